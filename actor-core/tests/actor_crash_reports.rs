//! Crash reports: what they say, that they never block, and that other panic hooks go on working.

use std::{
    backtrace::{Backtrace, BacktraceStatus},
    panic,
    sync::{
        Arc, Once,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use actor_core::{
    actor::{self, ActorId, CrashReport, ExitReason, Reports},
    prelude::*,
};

static FORMER_HOOK: AtomicUsize = AtomicUsize::new(0);

/// Reports of all tests of this process come; each looks at those of its own actors.
fn subscribed() -> Reports<CrashReport> {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let verbose = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            FORMER_HOOK.fetch_add(1, SeqCst);
            let text = info.to_string();
            // Those of the tests themselves.
            if !["told to", "touched", "the first"]
                .iter()
                .any(|mine| text.contains(mine))
            {
                verbose(info);
            }
        }));
    });
    actor::crash_reports()
}

async fn next_of(reports: &Reports<CrashReport>, id: ActorId) -> Arc<CrashReport> {
    loop {
        let report = reports.next().await;
        if report.id == id {
            return report;
        }
    }
}

/// One test at a time: the crashes of another could fill a subscription, which then misses some.
static TURN: std::sync::Mutex<()> = std::sync::Mutex::new(());

fn run<F: Future<Output = ()> + Send + 'static>(test: F) {
    let _turn = TURN.lock().unwrap_or_else(|failed| failed.into_inner());
    let rt = actor_core::Runtime::new().unwrap();
    let in_time = rt.run(async move { timeout(Duration::from_secs(60), test).await });
    assert!(in_time.is_ok(), "the test hangs");
}

#[derive(Clone, Copy, PartialEq)]
enum Fault {
    None,
    Init,
    Stopped,
    Tick,
    Drop,
}

struct Fragile {
    fault: Fault,
}

/// Of the panic in `touch`, a fixed way below.
const LINE_OF_TOUCH: u32 = line!() + 13;

#[actor(name = "fragile", vis = pub(crate))]
impl Fragile {
    #[init]
    fn new(fault: Fault) -> Self {
        assert!(fault != Fault::Init, "init told to");
        Self { fault }
    }

    pub fn ping(&mut self) {}

    pub fn touch(&mut self, how: &'static str) {
        panic!("touched {how}");
    }

    pub async fn touch_later(&mut self) {
        for _ in 0..50 {
            actor_core::yield_now().await;
        }
        panic!("touched later");
    }

    pub fn resume(&mut self) {
        // The hook sees the first panic only.
        let first = panic::catch_unwind(|| panic!("the first"));
        drop(first);
        panic::resume_unwind(Box::new("the second"));
    }

    #[every(millis = 1)]
    fn tick(&mut self) {
        assert!(self.fault != Fault::Tick, "tick told to");
    }

    #[stopped]
    fn close(self) {
        assert!(self.fault != Fault::Stopped, "stopped told to");
    }
}

impl Drop for Fragile {
    fn drop(&mut self) {
        if self.fault == Fault::Drop && !std::thread::panicking() {
            panic!("drop told to");
        }
    }
}

fn panicked(text: &str) -> ExitReason {
    ExitReason::Panicked {
        message: text.into(),
    }
}

#[test]
fn a_report_says_who_where_in_what_and_how_it_stood() {
    run(async {
        let reports = subscribed();
        let child = Fragile::child("fragile", Fault::None);
        let fragile = child.handle();
        let inner = Supervisor::one_for_one("inner").child(child);
        let app = Supervisor::one_for_one("app")
            .child(inner)
            .start()
            .await
            .unwrap();

        fragile.touch("hard").await.unwrap_err();
        let report = next_of(&reports, fragile.id()).await;
        assert_eq!((&*report.actor, report.handler), ("fragile", "touch"));
        assert_eq!((report.incarnation, report.restarts), (1, 0));
        assert_eq!(report.reason, panicked("touched hard"));
        assert_eq!(report.supervisor.as_deref(), Some("app/inner"));
        assert!(report.uptime.is_some(), "known from the start");
        let location = report.location.as_deref().unwrap();
        let line = format!("actor_crash_reports.rs:{LINE_OF_TOUCH}:");
        assert!(location.contains(&line), "{location}, not {line}");
        let wanted = Backtrace::capture().status() == BacktraceStatus::Captured;
        assert_eq!(report.backtrace.is_some(), wanted, "as RUST_BACKTRACE says");
        let text = report.to_string();
        assert!(text.contains("in touch: panicked: touched hard"), "{text}");

        fragile.ping().await.unwrap();
        fragile.touch("again").await.unwrap_err();
        let report = next_of(&reports, fragile.id()).await;
        assert_eq!((report.incarnation, report.restarts), (2, 1));
        app.stop().await;
    });
}

#[test]
fn the_message_is_named_also_when_its_handler_had_to_wait() {
    run(async {
        let reports = subscribed();
        for _ in 0..20 {
            let fragile = Fragile::start(Fault::None).await.unwrap();
            let _ = fragile.touch_later().await;
            let report = next_of(&reports, fragile.id()).await;
            assert_eq!(report.handler, "touch_later");
        }
    });
}

#[test]
fn messages_that_wait_behind_the_crash_are_counted() {
    run(async {
        let reports = subscribed();
        let fragile = Fragile::start(Fault::None).await.unwrap();
        fragile.touch_later().tell().await.unwrap();
        for _ in 0..3 {
            fragile.ping().tell().await.unwrap();
        }
        let report = next_of(&reports, fragile.id()).await;
        assert_eq!(report.mailbox_len, 3);
    });
}

#[test]
fn panics_in_hooks_and_in_drop_are_reported_under_the_hooks_name() {
    run(async {
        let reports = subscribed();
        let error = Fragile::start(Fault::Init).await.unwrap_err();
        assert_eq!(*error.reason(), panicked("init told to"));
        for (fault, handler, text) in [
            (Fault::Tick, "#[every]", "tick told to"),
            (Fault::Stopped, "#[stopped]", "stopped told to"),
            (Fault::Drop, "#[stopped]", "drop told to"),
        ] {
            let fragile = Fragile::start(fault).await.unwrap();
            if fault != Fault::Tick {
                drop(fragile.stop());
            }
            let report = next_of(&reports, fragile.id()).await;
            assert_eq!((report.handler, &report.reason), (handler, &panicked(text)));
            assert_eq!(fragile.wait().await, panicked(text));
        }
    });
}

#[test]
fn an_orderly_end_and_a_kill_are_no_crashes() {
    run(async {
        let reports = subscribed();
        let stopped = Fragile::start(Fault::None).await.unwrap();
        stopped.stop().await;
        let killed = Fragile::start(Fault::None).await.unwrap();
        killed.kill().await;
        let crashed = Fragile::start(Fault::None).await.unwrap();
        let _ = crashed.touch("hard").await;
        loop {
            let report = reports.next().await;
            assert!(![stopped.id(), killed.id()].contains(&report.id));
            if report.id == crashed.id() {
                break;
            }
        }
    });
}

#[test]
fn the_former_panic_hook_is_still_called() {
    run(async {
        let reports = subscribed();
        let before = FORMER_HOOK.load(SeqCst);
        let fragile = Fragile::start(Fault::None).await.unwrap();
        let _ = fragile.touch("hard").await;
        next_of(&reports, fragile.id()).await;
        assert!(FORMER_HOOK.load(SeqCst) > before);
    });
}

#[test]
fn the_place_of_another_panic_is_never_told() {
    run(async {
        let reports = subscribed();
        let fragile = Fragile::start(Fault::None).await.unwrap();
        let _ = fragile.resume().await;
        let report = next_of(&reports, fragile.id()).await;
        assert_eq!(report.reason, panicked("the second"));
        assert_eq!(report.location, None);
    });
}

#[test]
fn a_subscriber_that_does_not_read_misses_reports_and_holds_nobody_up() {
    run(async {
        let idle = subscribed();
        let reads = subscribed();
        for _ in 0..100 {
            let fragile = Fragile::start(Fault::None).await.unwrap();
            let _ = fragile.touch("hard").await;
            next_of(&reads, fragile.id()).await;
        }
        assert!(
            idle.missed() >= 36,
            "64 of at least 100 fit: {}",
            idle.missed()
        );
        let mut kept = 0;
        while idle.try_next().is_some() {
            kept += 1;
        }
        assert!(kept >= 64);
    });
}

/// Panics where others work at the same time.
struct Busy;

#[actor(vis = pub(crate))]
impl Busy {
    #[init]
    fn new() -> Self {
        Busy
    }

    #[concurrent]
    pub async fn idle(&self) {
        std::future::pending::<()>().await;
    }

    #[concurrent]
    pub async fn tear(&self) {
        yield_now().await;
        panic!("tear told to");
    }

    #[concurrent]
    pub async fn pipe(&self, ctx: &Ctx<Self>) {
        ctx.pipe(async { panic!("pipe told to") }, |me, ()| me.idle());
    }
}

#[test]
fn concurrent_handlers_and_work_beside_the_actor_are_told_apart() {
    run(async {
        let reports = subscribed();
        for idle in [false, true] {
            for (piped, handler, text) in [
                (false, "tear", "tear told to"),
                (true, "(pipe or stream)", "pipe told to"),
            ] {
                let busy = Busy::start().await.unwrap();
                if idle {
                    busy.idle().tell().await.unwrap();
                }
                if piped {
                    busy.pipe().tell().await.unwrap();
                } else {
                    busy.tear().tell().await.unwrap();
                }
                let report = next_of(&reports, busy.id()).await;
                assert_eq!((report.handler, &report.reason), (handler, &panicked(text)));
                let place = report.location.as_deref().unwrap_or_default();
                assert!(place.contains("actor_crash_reports.rs"), "{report}");
            }
        }
    });
}
