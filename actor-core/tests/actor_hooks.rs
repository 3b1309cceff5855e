//! The hooks around a life: before a restart, at a stop, and the order in which an end is told.

mod probe;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::SeqCst},
};

use actor_core::{
    actor::{self, Down, ExitReason, Exited},
    prelude::*,
};
use probe::{Log, Probe, run};

fn panicked(text: &str) -> ExitReason {
    ExitReason::Panicked {
        message: text.into(),
    }
}

#[derive(Clone, Default)]
struct Setup {
    log: Log,
    /// The next restarting hook panics.
    restarting_panics: Arc<AtomicBool>,
    init_fails: Arc<AtomicBool>,
}

struct Phoenix {
    setup: Setup,
}

/// Where the hook without `self` finds the log: its tests run one after another.
static SETUP: std::sync::Mutex<Option<Setup>> = std::sync::Mutex::new(None);
static ONE_AT_A_TIME: std::sync::Mutex<()> = std::sync::Mutex::new(());

#[actor(name = "phoenix", vis = pub(crate))]
impl Phoenix {
    #[init]
    fn new(setup: Setup) -> Result<Self, String> {
        setup.log.add("init");
        if setup.init_fails.swap(false, SeqCst) {
            return Err("no".into());
        }
        Ok(Self { setup })
    }

    pub fn boom(&mut self) {
        panic!("told to");
    }

    pub fn end(&mut self, ctx: &Ctx<Self>) {
        ctx.stop_with("enough");
        ctx.stop_with("a second cause");
    }

    pub fn watch(&mut self, probe: ActorRef<Probe>, ctx: &Ctx<Self>) {
        ctx.monitor(&probe);
    }

    pub fn ping(&mut self) {}

    #[restarting]
    async fn again(ctx: &Ctx<Self>, why: ExitReason) {
        actor_core::yield_now().await;
        let setup = SETUP.lock().unwrap().clone().unwrap();
        setup
            .log
            .add(format!("restarting {} {why}", ctx.incarnation()));
        assert!(
            !setup.restarting_panics.swap(false, SeqCst),
            "restarting told to"
        );
    }

    #[down]
    fn gone(&mut self) {
        panic!("down told to");
    }

    #[stopped]
    async fn close(self, why: StopReason, ctx: &Ctx<Self>) {
        let log = &self.setup.log;
        log.add(format!("stopped {why:?} {:?}", ctx.stop_cause()));
    }
}

impl Drop for Phoenix {
    fn drop(&mut self) {
        self.setup.log.add("dropped");
    }
}

fn with_setup<F: Future<Output = ()> + Send + 'static>(test: impl FnOnce(Setup) -> F) {
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(|e| e.into_inner());
    let setup = Setup::default();
    *SETUP.lock().unwrap() = Some(setup.clone());
    run(test(setup));
}

#[test]
fn the_restarting_hook_runs_before_each_init_but_the_first_and_after_the_old_state_is_gone() {
    with_setup(|setup| async move {
        let log = setup.log.clone();
        let child = Phoenix::child("phoenix", setup);
        let phoenix = child.handle();
        let app = Supervisor::one_for_one("app")
            .child(child)
            .start()
            .await
            .unwrap();
        assert_eq!(log.take(), ["init"]);
        phoenix.boom().await.unwrap_err();
        phoenix.ping().await.unwrap();
        assert_eq!(
            log.take(),
            ["dropped", "restarting 2 panicked: told to", "init"]
        );
        app.stop().await;
        assert_eq!(log.take(), ["stopped Supervisor None", "dropped"]);
    });
}

#[test]
fn a_restarting_hook_that_panics_is_a_failed_start_which_is_tried_again() {
    with_setup(|setup| async move {
        let log = setup.log.clone();
        setup.restarting_panics.store(true, SeqCst);
        let child = Phoenix::child("phoenix", setup);
        let phoenix = child.handle();
        let app = Supervisor::one_for_one("app")
            .intensity(5, std::time::Duration::from_secs(60))
            .child(child)
            .start()
            .await
            .unwrap();
        phoenix.boom().await.unwrap_err();
        phoenix.ping().await.unwrap();
        assert_eq!(
            log.take(),
            [
                "init",
                "dropped",
                "restarting 2 panicked: told to",
                "restarting 3 panicked: restarting told to",
                "init"
            ]
        );
        app.stop().await;
    });
}

#[test]
fn the_restarting_hook_is_told_of_an_init_that_failed() {
    with_setup(|setup| async move {
        let log = setup.log.clone();
        let child = Phoenix::child("phoenix", setup.clone());
        let phoenix = child.handle();
        let app = Supervisor::one_for_one("app")
            .intensity(5, std::time::Duration::from_secs(60))
            .child(child)
            .start()
            .await
            .unwrap();
        setup.init_fails.store(true, SeqCst);
        phoenix.boom().await.unwrap_err();
        phoenix.ping().await.unwrap();
        assert_eq!(log.count("restarting 3 init failed: no"), 1);
        app.stop().await;
    });
}

#[test]
fn stop_with_is_orderly_tells_its_first_cause_and_is_seen_by_the_hook() {
    with_setup(|setup| async move {
        let log = setup.log.clone();
        let phoenix = Phoenix::start(setup).await.unwrap();
        phoenix.end().await.unwrap();
        let reason = phoenix.wait().await;
        let cause = "enough".to_owned();
        assert_eq!(reason, ExitReason::ShutdownWith { cause });
        assert!(reason.is_orderly());
        assert_eq!(reason.to_string(), "stopped: enough");
        assert_eq!(
            log.take(),
            ["init", "stopped Requested Some(\"enough\")", "dropped"]
        );
    });
}

#[test]
fn a_transient_child_that_was_stopped_with_a_cause_stays_down() {
    with_setup(|setup| async move {
        let log = setup.log.clone();
        let child = Phoenix::child("phoenix", setup).restart(Restart::Transient);
        let phoenix = child.handle();
        let app = Supervisor::one_for_one("app")
            .child(child)
            .start()
            .await
            .unwrap();
        let reason = phoenix.stop_with("moved").await;
        assert_eq!(reason, phoenix.wait().await);
        assert_eq!(log.count("init"), 1);
        app.stop().await;
    });
}

#[test]
fn a_cause_belongs_to_one_incarnation() {
    with_setup(|setup| async move {
        let log = setup.log.clone();
        let child = Phoenix::child("phoenix", setup);
        let phoenix = child.handle();
        let app = Supervisor::one_for_one("app")
            .child(child)
            .start()
            .await
            .unwrap();
        let reason = phoenix.stop_with("for now").await;
        assert_eq!(reason.to_string(), "stopped: for now");
        // A stopped mailbox refuses until the next incarnation begins.
        log.seen("init", 2).await;
        assert_eq!(phoenix.stop().await, ExitReason::Normal);
        app.stop().await;
    });
}

#[test]
fn a_stopped_actor_cannot_be_given_a_cause() {
    with_setup(|setup| async move {
        let phoenix = Phoenix::start(setup).await.unwrap();
        assert_eq!(phoenix.stop().await, ExitReason::Normal);
        assert_eq!(phoenix.stop_with("late").await, ExitReason::Normal);
    });
}

#[test]
fn a_panic_in_the_down_hook_ends_the_watcher_like_one_in_a_handler() {
    with_setup(|setup| async move {
        let phoenix = Phoenix::start(setup).await.unwrap();
        let probe = actor::start::<Probe>("probe", Probe::quiet())
            .await
            .unwrap();
        phoenix.watch(probe.clone()).await.unwrap();
        drop(probe.kill());
        assert_eq!(phoenix.wait().await, panicked("down told to"));
    });
}

/// Ends when it has ticked, whoever holds it.
struct Hermit {
    log: Log,
}

#[actor(when_unreferenced = keep, vis = pub(crate))]
impl Hermit {
    #[init]
    fn new(log: Log) -> Self {
        Self { log }
    }

    #[every(millis = 1)]
    fn tick(&mut self, ctx: &Ctx<Self>) {
        self.log.add("tick");
        if self.log.count("tick") == 5 {
            ctx.stop();
        }
    }

    #[stopped]
    fn close(self, why: StopReason) {
        self.log.add(format!("stopped {why:?}"));
    }
}

#[test]
fn an_actor_that_is_kept_without_handles_goes_on_until_it_ends_itself() {
    run(async {
        let log = Log::default();
        let hermit = Hermit::start(log.clone()).await.unwrap();
        let monitor = hermit.monitor();
        drop(hermit);
        assert_eq!(monitor.await.reason, ExitReason::Normal);
        let ticks = ["tick"; 5].map(String::from);
        assert_eq!(log.lines()[..5], ticks);
        assert_eq!(log.take()[5..], ["stopped Requested"]);
    });
}

/// Notes when it is told, to compare with what had happened by then.
struct Witness {
    log: Log,
}

#[actor(vis = pub(crate))]
impl Witness {
    #[init]
    fn new(log: Log) -> Self {
        Self { log }
    }

    pub fn tie(&mut self, probe: ActorRef<Probe>, ctx: &Ctx<Self>) {
        ctx.monitor(&probe);
        ctx.link(&probe).unwrap();
    }

    #[down]
    fn gone(&mut self, _down: Down) {
        self.log.add("told by monitor");
    }

    #[exit]
    fn left(&mut self, _exited: Exited) {
        self.log.add("told by link");
    }
}

#[test]
fn first_the_hook_then_the_drop_then_everybody_is_told() {
    run(async {
        for _ in 0..50 {
            let (args, log) = Probe::logged();
            let probe = actor::start::<Probe>("probe", args).await.unwrap();
            let witness = Witness::start(log.clone()).await.unwrap();
            witness.tie(probe.clone()).await.unwrap();
            let waiting = {
                let (exit, log) = (probe.wait(), log.clone());
                go(async move {
                    exit.await;
                    log.add("told by wait");
                })
            };
            drop(probe.stop());
            waiting.await.unwrap();
            log.seen("told by monitor", 1).await;
            log.seen("told by link", 1).await;
            let lines = log.take();
            assert_eq!(
                lines[..4],
                [
                    "probe init",
                    "probe up",
                    "probe stopped Requested",
                    "probe dropped"
                ]
            );
            assert_eq!(lines.len(), 7, "{lines:?}");
        }
    });
}
