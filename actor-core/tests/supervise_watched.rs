//! Supervisors monitored and linked with by actors, and by anybody.

mod probe;

use std::time::Duration;

use actor_core::{
    actor::{AnyRef, Down, ExitReason, Exited, MonitorId, NoProc},
    prelude::*,
    supervise::{ChildSpec, SupervisorRef},
};
use probe::{Log, Probe, run};

const LONG: Duration = Duration::from_secs(600);

/// Watches, and traps exits.
struct Watcher(Log);

#[actor(vis = pub(crate))]
impl Watcher {
    #[init]
    fn new(log: Log) -> Self {
        Self(log)
    }

    pub fn watch(&mut self, whom: SupervisorRef, ctx: &Ctx<Self>) -> MonitorId {
        ctx.monitor(&whom)
    }

    pub fn watch_any(&mut self, whom: AnyRef, ctx: &Ctx<Self>) {
        ctx.monitor(&whom);
    }

    pub fn watch_spoken(&mut self, whom: SpokenRef, ctx: &Ctx<Self>) {
        ctx.monitor(whom.actor().expect("an actor"));
    }

    pub fn unwatch(&mut self, monitor: MonitorId, ctx: &Ctx<Self>) -> bool {
        ctx.demonitor(monitor)
    }

    pub fn link(&mut self, whom: SupervisorRef, ctx: &Ctx<Self>) -> Result<(), NoProc> {
        ctx.link(&whom)
    }

    pub fn unlink(&mut self, whom: SupervisorRef, ctx: &Ctx<Self>) -> bool {
        ctx.unlink(&whom)
    }

    pub fn ping(&mut self) {}

    #[down]
    fn gone(&mut self, down: Down) {
        self.0.add(format!("down {} {}", down.name, down.reason));
    }

    #[exit]
    fn left(&mut self, exited: Exited) {
        self.0
            .add(format!("exit {} {}", exited.name, exited.reason));
    }
}

/// What speaks.
#[protocol]
pub trait Spoken {
    fn speak(&self);
}

/// Dies with what it is linked with.
struct Plain;

#[actor(vis = pub(crate), protocol = Spoken)]
impl Plain {
    #[init]
    fn new() -> Self {
        Self
    }

    #[provides(Spoken)]
    pub fn speak(&mut self) {}
}

struct Tied;

#[actor(vis = pub(crate))]
impl Tied {
    #[init]
    fn new(whom: SupervisorRef, ctx: &Ctx<Self>) -> Result<Self, NoProc> {
        ctx.link(&whom)?;
        Ok(Self)
    }

    pub fn crash(&mut self) {
        panic!("told to");
    }

    pub fn ping(&mut self) {}
}

/// A supervisor that gives up when its child is made to crash.
async fn app() -> (SupervisorRef, ActorRef<Probe>) {
    let child = Child::<Probe>::new("probe", Probe::quiet);
    let probe = child.handle();
    let app = Supervisor::one_for_one("app").intensity(0, LONG);
    (app.child(child).start().await.unwrap(), probe)
}

fn gave_up(reason: &ExitReason) -> bool {
    matches!(reason, ExitReason::GaveUp { .. })
}

#[test]
fn a_monitor_of_a_supervisor_is_told_its_end_once_its_children_are_gone() {
    run(async {
        let (app, probe) = app().await;
        let monitor = app.monitor();
        assert_eq!(monitor.try_down(), None);
        drop(Probe::panic(&probe).await);
        let down = monitor.await;
        assert!(gave_up(&down.reason), "{}", down.reason);
        assert_eq!(
            (down.id, &*down.name, down.incarnation),
            (app.id(), "app", 1)
        );
        assert!(probe.is_stopped());
        assert_eq!(app.monitor().await.reason, ExitReason::NoProc);
    });
}

#[test]
fn an_actor_is_told_the_end_of_a_supervisor_that_it_monitors() {
    run(async {
        let log = Log::default();
        let watcher = Watcher::start(log.clone()).await.unwrap();
        let (app, _) = app().await;
        let first = watcher.watch(app.clone()).await.unwrap();
        watcher.watch(app.clone()).await.unwrap();
        assert_eq!(watcher.unwatch(first).await, Ok(true));
        app.stop().await;
        log.seen("down app finished", 1).await;
        watcher.watch(app).await.unwrap();
        watcher.ping().await.unwrap();
        assert_eq!(log.take(), ["down app finished", "down app was not alive"]);
    });
}

#[test]
fn a_monitor_of_a_nested_supervisor_is_told_of_its_restart() {
    run(async {
        let child = Child::<Probe>::new("probe", Probe::quiet);
        let probe = child.handle();
        let inner = Supervisor::one_for_one("inner")
            .intensity(0, LONG)
            .child(child);
        let handle = inner.handle();
        let backoff = Duration::from_millis(20)..Duration::from_millis(21);
        let app = Supervisor::one_for_one("app")
            .child(ChildSpec::from(inner).backoff(backoff))
            .start()
            .await
            .unwrap();
        for life in 1..=2 {
            let monitor = handle.monitor();
            drop(Probe::panic(&probe).await);
            let down = monitor.await;
            assert!(gave_up(&down.reason), "{}", down.reason);
            assert_eq!(down.incarnation, life);
        }
        app.stop().await;
    });
}

#[test]
fn an_actor_linked_with_a_supervisor_ends_with_it() {
    run(async {
        let (app, probe) = app().await;
        let tied = Tied::start(app.clone()).await.unwrap();
        drop(Probe::panic(&probe).await);
        match tied.wait().await {
            ExitReason::Linked { actor, reason } => {
                assert_eq!(actor, "app");
                assert!(gave_up(&reason), "{reason}");
            }
            other => panic!("{other}"),
        }
        let error = Tied::start(app).await.unwrap_err();
        assert!(matches!(error.reason(), ExitReason::InitFailed { .. }));
    });
}

#[test]
fn an_actor_that_traps_exits_is_told_the_end_of_a_supervisor_that_it_is_linked_with() {
    run(async {
        let log = Log::default();
        let watcher = Watcher::start(log.clone()).await.unwrap();
        let (first, _) = app().await;
        let (second, _) = app().await;
        assert_eq!(watcher.link(first.clone()).await, Ok(()));
        assert_eq!(watcher.link(second.clone()).await, Ok(()));
        assert_eq!(watcher.unlink(first.clone()).await, Ok(true));
        first.stop().await;
        second.kill().await;
        log.seen("exit app killed", 1).await;
        assert_eq!(log.take(), ["exit app killed"]);
    });
}

#[test]
fn the_end_of_an_actor_does_not_concern_a_supervisor_that_it_is_linked_with() {
    run(async {
        let (app, probe) = app().await;
        for _ in 0..3 {
            let tied = Tied::start(app.clone()).await.unwrap();
            let monitor = tied.monitor();
            drop(tied.crash().await);
            monitor.await;
        }
        assert_eq!(app.count_children().await.unwrap().active, 1);
        assert_eq!(Probe::life(&probe).await, Ok(1));
        // Its own end still concerns those who live.
        let tied = Tied::start(app.clone()).await.unwrap();
        app.kill().await;
        assert!(matches!(tied.wait().await, ExitReason::Linked { .. }));
        assert_eq!(tied.ping().await, Err(CallError::Stopped));
    });
}

#[test]
fn handles_without_the_actors_type_can_be_monitored_too() {
    run(async {
        let log = Log::default();
        let watcher = Watcher::start(log.clone()).await.unwrap();
        let (app, _) = app().await;
        let any = app.which_child("probe").await.unwrap().actor.unwrap();
        watcher.watch_any(any).await.unwrap();
        let plain = Plain::start().await.unwrap();
        let spoken = SpokenRef::from(plain.clone());
        watcher.watch_spoken(spoken.clone()).await.unwrap();
        let outside = spoken.actor().unwrap().monitor();
        app.terminate_child("probe").await.unwrap();
        log.seen("down probe stopped by its supervisor", 1).await;
        plain.stop().await;
        log.seen("down Plain finished", 1).await;
        assert_eq!(outside.await.reason, ExitReason::Normal);
    });
}
