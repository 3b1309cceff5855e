//! Bad input: each has one documented outcome. What is wrong, where the docs say what comes of it, and
//! that it does.

mod probe;

use std::{future::pending, time::Duration};

use actor_core::{
    actor::{
        ActorRef, ExitReason, NoProc, StartError, TrySendError,
        registry::{self, RegisterError},
    },
    prelude::*,
    supervise::{ChildError, ChildSpec, SupervisorRef},
};
use probe::{Args, Gate, Log, Probe, run};

fn kid(args: Args) -> (Child<Probe>, ActorRef<Probe>) {
    let child = Child::<Probe>::new(args.id, move || args.clone());
    let handle = child.handle();
    (child, handle)
}

fn idle(id: &str) -> ChildSpec {
    ChildSpec::go(id, pending::<()>)
}

fn misconfigured(error: &StartError, words: &str) {
    let mut reason = error.reason();
    while let ExitReason::ChildFailed { reason: inner, .. } = reason {
        reason = inner;
    }
    match reason {
        ExitReason::Misconfigured { message } => assert!(message.contains(words), "{message}"),
        other => panic!("{other}"),
    }
}

fn panicked(text: &str) -> ExitReason {
    ExitReason::Panicked {
        message: text.into(),
    }
}

/// `Supervisor::start`, Errors; `SupervisorRef::start_child`, Errors.
#[test]
fn a_duplicate_child_id_starts_nothing_and_is_refused_later() {
    run(async {
        let log = Log::default();
        let app = Supervisor::one_for_one("app").child(kid(Args::new("a", &log)).0);
        let error = app.child(idle("a")).start().await.unwrap_err();
        misconfigured(&error, "same id");
        assert_eq!(error.failed_child(), Some("a"));
        assert_eq!(log.lines(), [""; 0], "nothing has begun");

        let app = Supervisor::one_for_one("app").child(idle("a"));
        let app = app.start().await.unwrap();
        match app.start_child(kid(Args::new("a", &log)).0).await {
            Err(ChildError::AlreadyStarted { child }) => assert_eq!(child.id, "a"),
            other => panic!("{other:?}"),
        }
        app.terminate_child("a").await.unwrap();
        let refused = app.start_child(idle("a")).await;
        assert_eq!(refused, Err(ChildError::AlreadyPresent { id: "a".into() }));
        assert_eq!(log.lines(), [""; 0]);
        app.stop().await;
    });
}

/// `Supervisor::start`, Errors.
#[test]
fn an_intensity_window_of_zero_starts_nothing() {
    run(async {
        let log = Log::default();
        let app = Supervisor::one_for_one("app").intensity(3, Duration::ZERO);
        let app = app.child(kid(Args::new("a", &log)).0);
        misconfigured(&app.start().await.unwrap_err(), "window is zero");
        assert_eq!(log.lines(), [""; 0]);
    });
}

/// `ChildSpec::start_within`.
#[test]
fn an_init_that_never_returns_is_killed_at_its_start_deadline_and_the_start_has_failed() {
    run(async {
        let log = Log::default();
        let hanging = Args {
            init_gate: Some(Gate::new()),
            ..Args::new("hanging", &log)
        };
        let (child, handle) = kid(hanging);
        let (first, _) = kid(Args::new("first", &log));
        let app = Supervisor::one_for_one("app")
            .child(first)
            .child(child.start_within(Duration::from_millis(20)));
        let error = app.start().await.unwrap_err();
        assert_eq!(error.failed_child(), Some("hanging"));
        assert!(
            error.to_string().contains("not done within 20ms"),
            "{error}"
        );
        assert!(handle.is_stopped());
        assert!(log.has("first dropped"), "the former ones were stopped");
    });
}

/// `registry::register`, Errors; `Child::register`.
#[test]
fn a_name_already_taken_is_refused_with_its_holder_and_the_newcomer_never_runs_init() {
    run(async {
        let (first, first_ref) = kid(Args::new("first", &Log::default()));
        let app = Supervisor::one_for_one("app").child(first.register("the name"));
        let app = app.start().await.unwrap();
        let log = Log::default();
        let (second, second_ref) = kid(Args::new("second", &log));
        let Err(ChildError::StartFailed(error)) =
            app.start_child(second.register("the name")).await
        else {
            panic!("the name was given twice");
        };
        let taken = ExitReason::NameTaken {
            name: "the name".into(),
            holder: first_ref.id(),
        };
        assert_eq!(*error.reason(), taken);
        assert_eq!(log.lines(), [""; 0], "its init did not run");
        assert!(second_ref.is_stopped());

        let third = Plain::start().await.unwrap();
        match registry::register(&third, "the name") {
            Err(RegisterError::Taken { holder, .. }) => assert_eq!(holder.id(), first_ref.id()),
            other => panic!("{other:?}"),
        }
        app.stop().await;
    });
}

struct Plain;

#[actor(vis = pub(crate))]
impl Plain {
    #[init]
    fn new() -> Self {
        Self
    }

    pub fn ping(&mut self) {}

    pub fn link(&mut self, other: PlainRef, ctx: &Ctx<Self>) -> Result<(), NoProc> {
        ctx.link(&other)
    }
}

/// `CallError::Stopped`; `Call::tell` and `try_tell`, Errors; `ActorRef::stop`, `kill`, `wait` and
/// `monitor`; `Ctx::link`, Errors; `registry::register`, Errors.
#[test]
fn a_handle_of_a_dead_actor_says_so_at_once_whatever_is_done_with_it() {
    run(async {
        let dead = Plain::start().await.unwrap();
        let weak = dead.downgrade();
        dead.stop().await;
        assert!(dead.is_stopped());
        assert_eq!(dead.ping().await, Err(CallError::Stopped));
        assert_eq!(
            dead.ping().timeout(Duration::from_secs(600)).await,
            Err(CallError::Stopped)
        );
        assert!(matches!(
            dead.ping().tell().await,
            Err(TrySendError::Closed(_))
        ));
        assert!(matches!(
            dead.ping().try_tell(),
            Err(TrySendError::Closed(_))
        ));
        assert!(dead.ping().tell_or_drop().is_err());
        // How it ended stays known, and no request changes that.
        assert_eq!(dead.stop().await, ExitReason::Normal);
        assert_eq!(dead.stop_now().await, ExitReason::Normal);
        assert_eq!(dead.stop_with("late").await, ExitReason::Normal);
        assert_eq!(dead.kill().await, ExitReason::Normal);
        assert_eq!(dead.wait().await, ExitReason::Normal);
        assert_eq!(dead.monitor().await.reason, ExitReason::NoProc);
        assert!(weak.upgrade().is_none());
        assert!(matches!(
            registry::register(&dead, "a dead one"),
            Err(RegisterError::Stopped { .. })
        ));
        let live = Plain::start().await.unwrap();
        let linked = live.link(dead.clone()).await;
        assert_eq!(linked, Err(CallError::Failed(NoProc)));
        let thread = std::thread::spawn(move || dead.ping().blocking());
        assert_eq!(thread.join().unwrap(), Err(CallError::Stopped));
    });
}

/// `SupervisorRef::stop`.
#[test]
fn a_supervisor_stopped_twice_ends_once_and_tells_both() {
    run(async {
        let log = Log::default();
        let gate = Gate::new();
        let slow = Args {
            stop_gate: Some(gate.clone()),
            ..Args::new("a", &log)
        };
        let app = Supervisor::one_for_one("app").child(kid(slow).0);
        let app = app.start().await.unwrap();
        let first = app.stop();
        gate.entered().await;
        let second = app.stop();
        gate.open();
        assert_eq!(first.await, ExitReason::Normal);
        assert_eq!(second.await, ExitReason::Normal);
        assert_eq!(log.count("a stopped Supervisor"), 1);
        assert_eq!(app.stop().await, ExitReason::Normal);
        assert_eq!(app.kill().await, ExitReason::Normal, "it has ended before");
        refuses_everything(&app).await;
    });
}

async fn refuses_everything(app: &SupervisorRef) {
    let stopped = ChildError::SupervisorStopped;
    assert_eq!(app.start_child(idle("b")).await, Err(stopped.clone()));
    assert_eq!(app.restart_child("a").await, Err(stopped.clone()));
    assert_eq!(app.terminate_child("a").await, Err(stopped.clone()));
    assert_eq!(app.delete_child("a").await, Err(stopped.clone()));
    assert_eq!(app.which_children().await, Err(stopped.clone()));
    assert_eq!(app.which_child("a").await, Err(stopped.clone()));
    assert_eq!(app.count_children().await, Err(stopped.clone()));
    assert_eq!(app.tree().await.map(drop), Err(stopped));
}

/// `Supervisor::max_children`; `SupervisorRef::start_child`, Errors.
#[test]
fn one_child_more_than_max_children_is_refused_and_the_others_are_untouched() {
    run(async {
        let log = Log::default();
        let rooms = Supervisor::dynamic("rooms").max_children(1);
        let rooms = rooms.start().await.unwrap();
        let first = rooms.start_child(idle("room")).await.unwrap();
        let refused = rooms.start_child(kid(Args::new("room", &log)).0).await;
        assert_eq!(refused, Err(ChildError::MaxChildren { max: 1 }));
        assert_eq!(log.lines(), [""; 0], "it never began");
        assert_eq!(rooms.count_children().await.unwrap().active, 1);
        rooms.terminate_child(first).await.unwrap();
        assert!(rooms.start_child(idle("room")).await.is_ok());
        rooms.stop().await;

        let static_one = Supervisor::one_for_one("app").max_children(1);
        let error = static_one.child(idle("a")).child(idle("b")).start().await;
        misconfigured(&error.unwrap_err(), "max_children");
    });
}

/// `Actor`: "A panic in `init` .."; `StartError::reason`.
#[test]
fn a_panic_in_init_is_a_start_that_failed() {
    run(async {
        let log = Log::default();
        let bad = || Args {
            init_panic: true,
            ..Args::new("bad", &log)
        };
        let alone = actor_core::actor::start::<Probe>("bad", bad()).await;
        assert_eq!(*alone.unwrap_err().reason(), panicked("init told to"));
        let app = Supervisor::one_for_one("app").child(kid(bad()).0);
        let error = app.start().await.unwrap_err();
        assert_eq!(error.failed_child(), Some("bad"));
        assert_eq!(
            *error.reason(),
            ExitReason::ChildFailed {
                child: "bad".into(),
                reason: Box::new(panicked("init told to")),
            }
        );
    });
}

/// `Actor`: "A panic in .. `stopped`, or in the state's `Drop` ..".
#[test]
fn a_panic_in_the_stopped_hook_is_the_exit_reason_and_the_state_is_dropped() {
    run(async {
        let log = Log::default();
        let bad = || Args {
            stop_panic: true,
            ..Args::new("bad", &log)
        };
        let alone = actor_core::actor::start::<Probe>("bad", bad()).await;
        let reason = alone.unwrap().stop().await;
        assert_eq!(reason, panicked("stopped told to"));
        assert_eq!(log.count("bad dropped"), 1);

        let (child, handle) = kid(bad());
        let app = Supervisor::one_for_one("app").child(child).child(idle("b"));
        let app = app.start().await.unwrap();
        assert_eq!(app.stop().await, ExitReason::Normal, "the stop goes on");
        assert_eq!(handle.wait().await, panicked("stopped told to"));
        assert_eq!(log.count("bad dropped"), 2);
    });
}

/// As above.
#[test]
fn a_panic_in_drop_is_the_exit_reason_and_goes_no_further() {
    run(async {
        let log = Log::default();
        let bad = || Args {
            drop_panic: true,
            ..Args::new("bad", &log)
        };
        let start = || actor_core::actor::start::<Probe>("bad", bad());
        let reason = start().await.unwrap().stop().await;
        assert_eq!(reason, panicked("drop told to"));
        // A panic that came first stays the reason, and so does a kill.
        let crashed = start().await.unwrap();
        let asked = Probe::panic(&crashed).await;
        assert_eq!(asked, Err(CallError::Panicked));
        assert_eq!(crashed.wait().await, panicked("told to"));
        assert_eq!(start().await.unwrap().kill().await, ExitReason::Killed);

        let (child, handle) = kid(bad());
        let app = Supervisor::one_for_one("app").child(child);
        let app = app.start().await.unwrap();
        assert_eq!(Probe::panic(&handle).await, Err(CallError::Panicked));
        assert_eq!(Probe::life(&handle).await, Ok(2), "it is restarted as ever");
        assert_eq!(app.stop().await, ExitReason::Normal);
    });
}
