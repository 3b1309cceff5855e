//! An init that says "not now": OTP's `ignore`. Nothing failed, and there is no child.

mod probe;

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

use actor_core::{
    actor::{ExitReason, registry},
    prelude::*,
    router::{ResizeError, Router},
    supervise::{AutoShutdown, ChildError, ChildState, SupervisorRef},
};
use probe::{Log, run};

/// How many of its next starts go well; then it declines.
#[derive(Clone, Default)]
struct Starts(Arc<AtomicU32>);

impl Starts {
    fn of(n: u32) -> Self {
        Self(Arc::new(AtomicU32::new(n)))
    }

    fn allow(&self, n: u32) {
        self.0.store(n, SeqCst);
    }

    fn next(&self) -> bool {
        self.0
            .fetch_update(SeqCst, SeqCst, |n| n.checked_sub(1))
            .is_ok()
    }
}

struct Shy(Log);

#[actor(name = "shy", vis = pub(crate))]
impl Shy {
    #[init]
    fn new(starts: Starts, log: Log) -> Option<Self> {
        log.add("shy init");
        starts.next().then_some(Self(log))
    }

    pub fn say(&mut self, text: String) {
        self.0.add(text);
    }

    pub fn crash(&mut self) {
        panic!("told to");
    }
}

/// As `Shy`, and it can fail too.
struct Fussy;

#[actor(vis = pub(crate))]
impl Fussy {
    #[init]
    async fn new(starts: Starts, fails: bool) -> io::Result<Option<Self>> {
        if fails {
            return Err(io::Error::other("broken"));
        }
        Ok(starts.next().then_some(Self))
    }
}

struct Plain;

#[actor(name = "plain", vis = pub(crate))]
impl Plain {
    #[init]
    fn new(log: Log) -> Self {
        log.add("plain init");
        Self
    }

    pub fn crash(&mut self) {
        panic!("told to");
    }
}

async fn state_of(app: &SupervisorRef, id: &str) -> Result<ChildState, ChildError> {
    app.which_child(id).await.map(|info| info.state)
}

/// Waits until the child has ended by itself and its supervisor has acted on that.
async fn until_last_exit(app: &SupervisorRef, id: &str, reason: ExitReason) {
    while app.which_child(id).await.unwrap().last_exit != Some(reason.clone()) {
        yield_now().await;
    }
}

#[test]
fn a_child_that_says_not_now_is_kept_as_stopped_and_the_start_succeeds() {
    run(async {
        let (log, starts) = (Log::default(), Starts::default());
        let app = Supervisor::one_for_one("app")
            .child(Shy::child("shy", starts.clone(), log.clone()))
            .child(Plain::child("plain", log.clone()))
            .start()
            .await
            .unwrap();
        assert_eq!(log.lines(), ["shy init", "plain init"]);
        let shy = app.which_child("shy").await.unwrap();
        assert_eq!(shy.state, ChildState::Stopped);
        assert_eq!(shy.last_exit, Some(ExitReason::Ignored));
        let counts = app.count_children().await.unwrap();
        assert_eq!((counts.specs, counts.active), (2, 1));

        // `restart_child` asks it again.
        assert_eq!(app.restart_child("shy").await, Err(ChildError::Ignored));
        assert_eq!(state_of(&app, "shy").await, Ok(ChildState::Stopped));
        starts.allow(1);
        app.restart_child("shy").await.unwrap();
        assert_eq!(state_of(&app, "shy").await, Ok(ChildState::Running));
        app.stop().await;
    });
}

#[test]
fn messages_to_a_child_that_says_not_now_are_refused_until_it_starts() {
    run(async {
        let (log, starts) = (Log::default(), Starts::default());
        let child = Shy::child("shy", starts.clone(), log.clone()).register("shy of this test");
        let shy = child.handle();
        shy.say("early".into()).tell().await.unwrap();
        let app = Supervisor::one_for_one("app")
            .child(child)
            .start()
            .await
            .unwrap();
        assert!(shy.is_stopped());
        assert_eq!(shy.wait().await, ExitReason::Ignored);
        assert_eq!(shy.say("late".into()).await, Err(CallError::Stopped));
        assert!(registry::whereis::<Shy>("shy of this test").is_err());
        starts.allow(1);
        app.restart_child("shy").await.unwrap();
        shy.say("now".into()).await.unwrap();
        assert_eq!(log.lines(), ["shy init", "shy init", "now"]);
        app.stop().await;
    });
}

#[test]
fn a_temporary_child_that_says_not_now_is_forgotten() {
    run(async {
        let child = Shy::child("shy", Starts::default(), Log::default());
        let app = Supervisor::one_for_one("app")
            .child(child.restart(Restart::Temporary))
            .start()
            .await
            .unwrap();
        assert_eq!(
            state_of(&app, "shy").await,
            Err(ChildError::NotFound {
                child: "shy".into()
            })
        );
        assert_eq!(app.which_children().await.unwrap(), []);
        app.stop().await;
    });
}

#[test]
fn start_child_tells_that_it_said_not_now_and_keeps_it() {
    run(async {
        let app = Supervisor::one_for_one("app").start().await.unwrap();
        let shy = || Shy::child("shy", Starts::default(), Log::default());
        assert_eq!(app.start_child(shy()).await, Err(ChildError::Ignored));
        assert_eq!(state_of(&app, "shy").await, Ok(ChildState::Stopped));
        let again = app.start_child(shy()).await;
        assert_eq!(again, Err(ChildError::AlreadyPresent { id: "shy".into() }));
        app.delete_child("shy").await.unwrap();
        let temporary = shy().restart(Restart::Temporary);
        assert_eq!(app.start_child(temporary).await, Err(ChildError::Ignored));
        assert_eq!(app.which_children().await.unwrap(), []);
        app.stop().await;
    });
}

#[test]
fn a_dynamic_supervisor_forgets_a_child_that_says_not_now() {
    run(async {
        let rooms = Supervisor::dynamic("rooms").max_children(1);
        let rooms = rooms.start().await.unwrap();
        let shy = |n| Shy::child("shy", Starts::of(n), Log::default());
        assert_eq!(rooms.start_child(shy(0)).await, Err(ChildError::Ignored));
        assert_eq!(rooms.count_children().await.unwrap().specs, 0);
        rooms.start_child(shy(1)).await.expect("there is room");
        rooms.stop().await;
    });
}

#[test]
fn a_restart_that_says_not_now_leaves_the_child_down_and_is_not_tried_again() {
    run(async {
        let (log, starts) = (Log::default(), Starts::of(1));
        let child = Shy::child("shy", starts.clone(), log.clone());
        let shy = child.handle();
        let app = Supervisor::one_for_one("app")
            .intensity(1, Duration::from_secs(60))
            .child(child)
            .child(Plain::child("plain", log.clone()))
            .start()
            .await
            .unwrap();
        assert_eq!(shy.crash().await, Err(CallError::Panicked));
        until_last_exit(&app, "shy", ExitReason::Ignored).await;
        assert_eq!(state_of(&app, "shy").await, Ok(ChildState::Stopped));
        assert_eq!(state_of(&app, "plain").await, Ok(ChildState::Running));
        assert_eq!(log.lines(), ["shy init", "plain init", "shy init"]);
        app.stop().await;
    });
}

#[test]
fn a_group_restart_asks_it_again_and_goes_on_without_it() {
    run(async {
        let (log, starts) = (Log::default(), Starts::default());
        let child = Plain::child("plain", log.clone());
        let plain = child.handle();
        let app = Supervisor::one_for_all("app")
            .child(Shy::child("shy", starts.clone(), log.clone()))
            .child(child)
            .start()
            .await
            .unwrap();
        log.take();
        assert_eq!(plain.crash().await, Err(CallError::Panicked));
        log.seen("plain init", 1).await;
        assert_eq!(log.take(), ["shy init", "plain init"]);
        assert_eq!(state_of(&app, "shy").await, Ok(ChildState::Stopped));
        starts.allow(1);
        assert_eq!(plain.crash().await, Err(CallError::Panicked));
        log.seen("plain init", 1).await;
        assert_eq!(state_of(&app, "shy").await, Ok(ChildState::Running));
        app.stop().await;
    });
}

#[test]
fn a_significant_child_that_says_not_now_shuts_nothing_down() {
    run(async {
        let child = Shy::child("shy", Starts::default(), Log::default());
        let app = Supervisor::one_for_one("app")
            .auto_shutdown(AutoShutdown::AnySignificant)
            .child(child.restart(Restart::Transient).significant())
            .start()
            .await
            .unwrap();
        assert_eq!(state_of(&app, "shy").await, Ok(ChildState::Stopped));
        app.stop().await;
    });
}

#[test]
fn an_init_that_can_fail_and_decline_is_told_apart() {
    run(async {
        let declined = Fussy::start(Starts::default(), false).await.unwrap_err();
        assert!(declined.is_ignored());
        assert_eq!(
            declined.to_string(),
            "could not start \"Fussy\": its init said not now"
        );
        let failed = Fussy::start(Starts::default(), true).await.unwrap_err();
        assert!(!failed.is_ignored());
        let message = "broken".to_owned();
        assert_eq!(*failed.reason(), ExitReason::InitFailed { message });
        Fussy::start(Starts::of(1), false).await.unwrap();
    });
}

/// There is no use for it in tests.
struct Profiler;

#[actor(singleton, vis = pub(crate))]
impl Profiler {
    #[init]
    fn new() -> Option<Self> {
        None
    }
}

#[test]
fn a_singleton_that_says_not_now_is_an_error_for_who_asks() {
    run(async {
        for _ in 0..2 {
            let error = Profiler::instance().await.unwrap_err();
            assert!(error.is_ignored(), "{error}");
        }
    });
}

#[test]
fn a_router_goes_on_without_a_worker_that_says_not_now() {
    run(async {
        let starts = Starts::of(1);
        let (log, allowed) = (Log::default(), starts.clone());
        let make = move |n| Shy::child(format!("shy {n}"), allowed.clone(), log.clone());
        let router = Router::round_robin("shies", 2, make).start().await.unwrap();
        for _ in 0..4 {
            router.pick().say("hello".into()).await.unwrap();
        }
        let error = ResizeError::Child(ChildError::Ignored);
        assert_eq!(router.resize(3).await, Err(error));
        starts.allow(1);
        router.resize(3).await.unwrap();
        router.stop().await;
    });
}

#[test]
fn a_goroutine_that_was_made_to_run_once_is_not_started_again_and_that_is_no_failure() {
    run(async {
        let log = Log::default();
        let (crash, crashes) = actor_core::chan::buffered::<()>(1);
        let said = log.clone();
        let once = ChildSpec::once("once", async move {
            said.add("ran");
            Err::<(), _>("broken")
        });
        let other = ChildSpec::go("other", move || {
            let crashes = crashes.clone();
            async move {
                crashes.recv().await;
                panic!("told to");
            }
        });
        // One restart is allowed, in each supervisor.
        let inner = Supervisor::one_for_one("inner")
            .intensity(1, Duration::from_secs(600))
            .child(once.restart(Restart::Permanent))
            .child(other);
        let inner_ref = inner.handle();
        let app = Supervisor::one_for_one("app").intensity(1, Duration::from_secs(600));
        let app = app.child(inner).start().await.unwrap();
        while inner_ref.which_child("once").await.unwrap().state != ChildState::Stopped {
            yield_now().await;
        }
        assert_eq!(
            inner_ref.restart_child("once").await,
            Err(ChildError::Ignored)
        );
        // The second end is one too many: the supervisor begins anew, without it.
        crash.send(()).await.unwrap();
        while app.which_child("inner").await.unwrap().restarts == 0 {
            yield_now().await;
        }
        let states = inner_ref.which_children().await.unwrap();
        let states: Vec<_> = states.into_iter().map(|child| child.state).collect();
        assert_eq!(states, [ChildState::Stopped, ChildState::Running]);
        assert_eq!(log.lines(), ["ran"]);
        app.stop().await;
    });
}
