//! Monitors: one way, one `Down` each, once.

use actor_core::{
    actor::{self, CallError, Down, ExitReason, MonitorId},
    prelude::*,
    supervise::SupervisorRef,
};

use crate::{
    Kid, kid,
    probe::{Args, Gate, Log, Probe},
    run,
};

/// Watches, and logs what it is told.
struct Watcher {
    log: Log,
}

#[actor(name = "watcher", vis = pub(crate))]
impl Watcher {
    #[init]
    fn new(log: Log) -> Self {
        Self { log }
    }

    pub fn watch(&mut self, other: ActorRef<Probe>, ctx: &Ctx<Self>) -> MonitorId {
        ctx.monitor(&other)
    }

    pub fn unwatch(&mut self, monitor: MonitorId, ctx: &Ctx<Self>) -> bool {
        ctx.demonitor(monitor)
    }

    pub async fn unwatch_after(&mut self, gate: Gate, monitor: MonitorId, ctx: &Ctx<Self>) -> bool {
        gate.pass().await;
        ctx.demonitor(monitor)
    }

    pub async fn hold(&mut self, gate: Gate) {
        gate.pass().await;
    }

    pub fn note(&mut self, text: String) {
        self.log.add(text);
    }

    #[down]
    fn gone(&mut self, down: Down) {
        self.log.add(format!("DOWN {} {}", down.name, down.reason));
    }
}

async fn watcher() -> (WatcherRef, Log) {
    let log = Log::default();
    (Watcher::start(log.clone()).await.unwrap(), log)
}

async fn other() -> ActorRef<Probe> {
    actor::start::<Probe>("other", Args::default())
        .await
        .unwrap()
}

/// Kills it, and is ready when all who watch it have been told: our monitor is the last one.
async fn killed(other: &ActorRef<Probe>) {
    let last = other.monitor();
    drop(other.kill());
    assert_eq!(last.await.reason, ExitReason::Killed);
}

/// The reason in the Down of a supervised temporary actor that ends like this.
async fn down_of(end: impl AsyncFnOnce(&SupervisorRef, &Kid)) -> (Down, Log) {
    let log = Log::default();
    let (a, a_kid) = kid("a", &log);
    let app = Supervisor::one_for_one("app").child(a.restart(Restart::Temporary));
    let app = app.start().await.unwrap();
    let monitor = a_kid.handle.monitor();
    assert_eq!(monitor.try_down(), None);
    end(&app, &a_kid).await;
    let down = monitor.await;
    app.stop().await;
    (down, log)
}

/// Reference manual, Processes, Monitors: the reason `normal`, which a link would not pass on.
#[test]
fn a_normal_end_is_told() {
    run(|| async {
        let (down, _) = down_of(async |_, a| a.finish().await).await;
        assert_eq!((&*down.name, down.reason), ("a", ExitReason::Normal));
    });
}

/// Reference manual, Processes, Monitors: the reason of a crash.
#[test]
fn a_crash_is_told() {
    run(|| async {
        let (down, _) = down_of(async |_, a| a.crash().await).await;
        let message = "told to".to_owned();
        assert_eq!(down.reason, ExitReason::Panicked { message });
    });
}

/// erts signal_SUITE: kill2killed, for monitors.
#[test]
fn a_kill_is_told_as_killed() {
    run(|| async {
        let (down, _) = down_of(async |_, a| drop(a.handle.kill())).await;
        assert_eq!(down.reason, ExitReason::Killed);
    });
}

/// supervisor.erl: the reason of a child that its supervisor stopped.
#[test]
fn a_shutdown_is_told() {
    run(|| async {
        let end = async |app: &SupervisorRef, _: &Kid| app.terminate_child("a").await.unwrap();
        assert_eq!(down_of(end).await.0.reason, ExitReason::Shutdown);
    });
}

/// Reference manual, Processes: the signals of an end are sent when the process's resources are
/// released. Ours: its state is dropped by then.
#[test]
fn a_down_comes_after_the_state_is_dropped() {
    run(|| async {
        for _ in 0..50 {
            let log = Log::default();
            let args = Args::new("other", &log);
            let other = actor::start::<Probe>("other", args).await.unwrap();
            let monitor = other.monitor();
            drop(other.kill());
            monitor.await;
            assert!(log.has("other dropped"));
        }
    });
}

/// erlang:monitor/2 in the manual: of a process that isn't there, a Down with `noproc` at once.
#[test]
fn a_monitor_of_the_dead_is_told_noproc_at_once() {
    run(|| async {
        let other = other().await;
        other.stop().await;
        let monitor = other.monitor();
        assert_eq!(monitor.try_down().unwrap().reason, ExitReason::NoProc);
        let (watcher, log) = watcher().await;
        watcher.watch(other).await.unwrap();
        watcher.note("end".into()).await.unwrap();
        let told = format!("DOWN other {}", ExitReason::NoProc);
        assert_eq!(log.take(), [told, "end".to_owned()]);
    });
}

/// Reference manual, Processes, Monitors: they are unidirectional; the watcher's end is no event.
#[test]
fn the_watchers_end_does_not_concern_the_watched() {
    run(|| async {
        let other = other().await;
        let (watcher, _) = watcher().await;
        watcher.watch(other.clone()).await.unwrap();
        assert_eq!(watcher.kill().await, ExitReason::Killed);
        assert_eq!(Probe::life(&other).await, Ok(1));
    });
}

/// erlang:monitor/2 in the manual: monitors add up, and each has a Down of its own.
#[test]
fn two_monitors_are_told_twice() {
    run(|| async {
        let other = other().await;
        let (watcher, log) = watcher().await;
        let one = watcher.watch(other.clone()).await.unwrap();
        let two = watcher.watch(other.clone()).await.unwrap();
        assert_ne!(one, two);
        killed(&other).await;
        watcher.note("end".into()).await.unwrap();
        let expected = ["DOWN other killed", "DOWN other killed", "end"];
        assert_eq!(log.take(), expected);
    });
}

/// erlang:demonitor/1 in the manual: it takes one of them away.
#[test]
fn demonitor_takes_one_monitor_away() {
    run(|| async {
        let other = other().await;
        let (watcher, log) = watcher().await;
        let one = watcher.watch(other.clone()).await.unwrap();
        watcher.watch(other.clone()).await.unwrap();
        assert_eq!(watcher.unwatch(one).await, Ok(true));
        assert_eq!(watcher.unwatch(one).await, Ok(false));
        killed(&other).await;
        watcher.note("end".into()).await.unwrap();
        assert_eq!(log.take(), ["DOWN other killed", "end"]);
    });
}

/// erlang:demonitor/2 in the manual, with `flush`: no Down afterwards, not even one that has come.
#[test]
fn demonitor_takes_back_a_down_that_was_not_handled_yet() {
    run(|| async {
        let other = other().await;
        let (watcher, log) = watcher().await;
        let monitor = watcher.watch(other.clone()).await.unwrap();
        let gate = Gate::new();
        let unwatching = {
            let (watcher, gate) = (watcher.clone(), gate.clone());
            go(async move { watcher.unwatch_after(gate, monitor).await })
        };
        gate.entered().await;
        killed(&other).await;
        gate.open();
        assert_eq!(unwatching.await.unwrap(), Ok(true));
        watcher.note("end".into()).await.unwrap();
        assert_eq!(log.take(), ["end"]);
    });
}

/// Reference manual, Processes, Signals. Ours: a Down has a lane of its own, so it comes before what
/// is queued and into a mailbox that is full.
#[test]
fn a_down_comes_before_what_is_queued() {
    run(|| async {
        let other = other().await;
        let (watcher, log) = watcher().await;
        watcher.watch(other.clone()).await.unwrap();
        let gate = Gate::new();
        watcher.hold(gate.clone()).tell().await.unwrap();
        gate.entered().await;
        let mut queued = 0;
        while watcher.note("queued".into()).try_tell().is_ok() {
            queued += 1;
        }
        killed(&other).await;
        gate.open();
        log.seen("queued", queued).await;
        assert_eq!(log.take()[0], "DOWN other killed");
    });
}

/// supervisor.erl: a restarted child is another process. Ours: its handle is the same, and a monitor
/// is of the incarnation that lived when it was made.
#[test]
fn a_monitor_is_of_one_incarnation() {
    run(|| async {
        let (a, a_kid) = kid("a", &Log::default());
        let app = Supervisor::one_for_one("app").child(a);
        let app = app.start().await.unwrap();
        let first = a_kid.handle.monitor();
        a_kid.crash().await;
        assert_eq!(first.await.incarnation, 1);
        assert_eq!(a_kid.life().await, 2);
        let second = a_kid.handle.monitor();
        assert_eq!(second.try_down(), None);
        app.stop().await;
        let down = second.await;
        assert_eq!((down.incarnation, down.reason), (2, ExitReason::Shutdown));
    });
}

/// erlang:monitor/2 in the manual: a process that monitors itself gets no Down.
#[test]
fn an_actor_that_watches_itself_stops_as_ever() {
    struct Selfish;
    #[actor]
    impl Selfish {
        #[init]
        fn new(ctx: &Ctx<Self>) -> Self {
            ctx.monitor(&ctx.handle());
            Self
        }

        pub fn ping(&mut self) {}
    }
    run(|| async {
        let selfish = Selfish::start().await.unwrap();
        assert_eq!(selfish.ping().await, Ok(()));
        assert_eq!(selfish.stop().await, ExitReason::Normal);
        assert_eq!(selfish.ping().await, Err(CallError::Stopped));
    });
}
