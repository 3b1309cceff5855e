//! The requests of a running supervisor: OTP's table of calls and states, cell by cell.

use actor_core::{
    actor::{CallError, ExitReason},
    go,
    supervise::{ChildError, ChildKind, ChildState, Restart, Supervisor, SupervisorRef},
};

use crate::{
    Kid, LONG, idle, kid, kid_of,
    probe::{Args, Gate, Log, Probe},
    run, states, stops, tree, until_specs, until_state,
};

#[derive(Clone, Copy, PartialEq)]
enum State {
    Running,
    Stopped,
    Restarting,
    Unknown,
}

/// A supervisor with children "first", and "a" in this state.
async fn with_a(state: State, log: &Log) -> (SupervisorRef, Kid) {
    let (a, a_kid) = kid("a", log);
    let app = Supervisor::one_for_one("app").child(idle("first"));
    let app = if state == State::Restarting {
        app.intensity(u32::MAX, LONG)
    } else {
        // Requests must not count.
        app.intensity(0, LONG)
    };
    let app = if state == State::Unknown {
        app
    } else {
        app.child(a)
    };
    let app = app.start().await.unwrap();
    match state {
        State::Stopped => app.terminate_child("a").await.unwrap(),
        State::Restarting => {
            a_kid.fail_inits(u32::MAX);
            a_kid.crash().await;
            until_state(&app, "a", ChildState::Restarting).await;
        }
        State::Running | State::Unknown => {}
    }
    (app, a_kid)
}

#[derive(Clone, Copy)]
enum Request {
    Start,
    Restart,
    Terminate,
    Delete,
}

/// `ChildError`, without what it carries.
#[derive(Debug, Clone, PartialEq)]
enum Refusal {
    AlreadyStarted,
    AlreadyPresent,
    Running,
    Restarting,
    NotFound,
}

fn refusal(error: ChildError) -> Refusal {
    match error {
        ChildError::AlreadyStarted { child } => {
            assert_eq!((&*child.id, child.state), ("a", ChildState::Running));
            assert!(child.actor.is_some(), "OTP's tells the pid");
            Refusal::AlreadyStarted
        }
        ChildError::AlreadyPresent { .. } => Refusal::AlreadyPresent,
        ChildError::Running { .. } => Refusal::Running,
        ChildError::Restarting { .. } => Refusal::Restarting,
        ChildError::NotFound { .. } => Refusal::NotFound,
        other => panic!("{other}"),
    }
}

/// The answer, and the state that "a" is in afterwards; `None` if it is unknown.
fn check(request: Request, state: State, expected: Result<(), Refusal>, left: Option<ChildState>) {
    run(move || {
        let expected = expected.clone();
        async move {
            let log = Log::default();
            let (app, _a) = with_a(state, &log).await;
            let answer = match request {
                Request::Start => app.start_child(kid("a", &log).0).await.map(drop),
                Request::Restart => app.restart_child("a").await,
                Request::Terminate => app.terminate_child("a").await,
                Request::Delete => app.delete_child("a").await,
            };
            assert_eq!(answer.map_err(refusal), expected);
            let mut children = vec![("first".to_owned(), ChildState::Running)];
            children.extend(left.map(|state| ("a".to_owned(), state)));
            assert_eq!(states(&app).await, children);
            assert_eq!(app.stop().await, ExitReason::Normal);
        }
    });
}

macro_rules! cells {
    ($(
        $(#[$doc:meta])*
        $request:ident {
            running: $running:expr, $running_left:expr;
            stopped: $stopped:expr, $stopped_left:expr;
            restarting: $restarting:expr, $restarting_left:expr;
            unknown: $unknown:expr, $unknown_left:expr;
        } in $module:ident
    )*) => {$(
        mod $module {
            use super::*;
            use Refusal::*;
            #[allow(unused_imports)]
            use ChildState::{Restarting, Running, Stopped};

            /// supervisor_SUITE: child_adm, on a child that runs.
            #[test]
            fn that_runs() {
                check(Request::$request, State::Running, $running, $running_left);
            }

            /// supervisor_SUITE: child_adm, on a child that is stopped.
            #[test]
            fn that_is_stopped() {
                check(Request::$request, State::Stopped, $stopped, $stopped_left);
            }

            /// supervisor.erl: on a child whose pid is `{restarting, _}`.
            #[test]
            fn that_is_being_restarted() {
                check(Request::$request, State::Restarting, $restarting, $restarting_left);
            }

            /// supervisor_SUITE: child_adm, on a child that there isn't.
            #[test]
            fn that_there_is_not() {
                check(Request::$request, State::Unknown, $unknown, $unknown_left);
            }
        }
    )*};
}

cells! {
    Start {
        running: Err(AlreadyStarted), Some(Running);
        stopped: Err(AlreadyPresent), Some(Stopped);
        restarting: Err(AlreadyPresent), Some(Restarting);
        unknown: Ok(()), Some(Running);
    } in start_child_of_one
    Restart {
        running: Err(Refusal::Running), Some(ChildState::Running);
        stopped: Ok(()), Some(ChildState::Running);
        restarting: Err(Refusal::Restarting), Some(ChildState::Restarting);
        unknown: Err(NotFound), None;
    } in restart_child_of_one
    Terminate {
        running: Ok(()), Some(Stopped);
        stopped: Ok(()), Some(Stopped);
        restarting: Ok(()), Some(Stopped);
        unknown: Err(NotFound), None;
    } in terminate_child_of_one
    Delete {
        running: Err(Refusal::Running), Some(ChildState::Running);
        stopped: Ok(()), None;
        restarting: Err(Refusal::Restarting), Some(ChildState::Restarting);
        unknown: Err(NotFound), None;
    } in delete_child_of_one
}

/// supervisor_SUITE: child_adm. A child that is started later is the last in the order, and one that
/// is restarted by request keeps its place.
#[test]
fn a_new_child_is_the_last_and_a_restarted_one_keeps_its_place() {
    run(|| async {
        let log = Log::default();
        let (app, _kids) = tree(Supervisor::one_for_one("app"), &log, crate::PERMANENT).await;
        app.start_child(kid("d", &log).0).await.unwrap();
        app.terminate_child("b").await.unwrap();
        app.restart_child("b").await.unwrap();
        log.take();
        app.stop().await;
        assert_eq!(log.take(), stops(&["d", "c", "b", "a"]));
    });
}

/// supervisor.erl: handle_start_child/2 keeps no spec of a child that can't start.
#[test]
fn start_child_forgets_a_child_that_cannot_start_and_leaves_siblings_alone() {
    run(|| async {
        let log = Log::default();
        let app = Supervisor::one_for_all("app").intensity(0, LONG);
        let (app, kids) = tree(app, &log, crate::PERMANENT).await;
        let (d, d_kid) = kid("d", &log);
        d_kid.fail_inits(1);
        let Err(ChildError::StartFailed(error)) = app.start_child(d).await else {
            panic!("it started")
        };
        assert_eq!(error.name(), "d");
        assert_eq!(states(&app).await.len(), 3);
        assert_eq!(crate::lives(&kids).await, [1, 1, 1]);
        assert!(
            app.start_child(kid("d", &log).0).await.is_ok(),
            "id is free"
        );
        app.stop().await;
    });
}

/// supervisor.erl: handle_start_child/2 checks a spec as init does.
#[test]
fn start_child_refuses_a_faulty_spec() {
    run(|| async {
        let app = Supervisor::one_for_one("app").start().await.unwrap();
        let faulty = idle("x").restart(Restart::Transient).significant();
        let Err(ChildError::StartFailed(error)) = app.start_child(faulty).await else {
            panic!("it started")
        };
        assert!(matches!(error.reason(), ExitReason::Misconfigured { .. }));
        assert_eq!(app.count_children().await.unwrap().specs, 0);
        app.stop().await;
    });
}

/// supervisor.erl: restart_child whose start fails keeps the spec, with its pid undefined.
#[test]
fn restart_child_that_fails_leaves_the_child_stopped() {
    run(|| async {
        let log = Log::default();
        let (app, a) = with_a(State::Stopped, &log).await;
        a.fail_inits(1);
        let failed = app.restart_child("a").await;
        assert!(matches!(failed, Err(ChildError::StartFailed(_))));
        assert_eq!(states(&app).await[1].1, ChildState::Stopped);
        assert_eq!(app.restart_child("a").await, Ok(()));
        app.stop().await;
    });
}

/// supervisor.erl: terminate_child forgets a temporary child.
#[test]
fn terminate_child_forgets_a_temporary_child() {
    run(|| async {
        let app = Supervisor::one_for_one("app");
        let app = app.child(idle("a").restart(Restart::Temporary));
        let app = app.start().await.unwrap();
        assert_eq!(app.terminate_child("a").await, Ok(()));
        assert_eq!(
            app.restart_child("a").await,
            Err(ChildError::NotFound { child: "a".into() })
        );
        assert_eq!(
            app.terminate_child("a").await,
            Err(ChildError::NotFound { child: "a".into() })
        );
        app.stop().await;
    });
}

/// supervisor_SUITE: child_adm. A transient child that finished can be restarted or deleted.
#[test]
fn a_transient_child_that_finished_counts_as_stopped() {
    run(|| async {
        let log = Log::default();
        let types = [Restart::Transient; 3];
        let (app, kids) = tree(Supervisor::one_for_one("app"), &log, types).await;
        for kid in &kids {
            kid.finish().await;
        }
        for id in ["a", "b", "c"] {
            until_state(&app, id, ChildState::Stopped).await;
        }
        assert_eq!(app.restart_child("a").await, Ok(()));
        assert_eq!(app.delete_child("b").await, Ok(()));
        assert_eq!(app.terminate_child("c").await, Ok(()));
        let left = [
            ("a".to_owned(), ChildState::Running),
            ("c".to_owned(), ChildState::Stopped),
        ];
        assert_eq!(states(&app).await, left);
        app.stop().await;
    });
}

/// supervisor.erl: which_children lists id, pid or undefined, type and modules, last started first.
/// Ours: in start order, with a key instead of the pid.
#[test]
fn which_children_lists_id_state_and_kind_in_start_order() {
    run(|| async {
        let log = Log::default();
        let app = Supervisor::one_for_one("app")
            .child(kid("a", &log).0)
            .child(Supervisor::one_for_one("inner"))
            .child(idle("b"));
        let app = app.start().await.unwrap();
        app.terminate_child("inner").await.unwrap();
        let children = app.which_children().await.unwrap();
        let listed: Vec<_> = children.iter().map(|c| (&*c.id, c.state, c.kind)).collect();
        let expected = [
            ("a", ChildState::Running, ChildKind::Actor),
            ("inner", ChildState::Stopped, ChildKind::Supervisor),
            ("b", ChildState::Running, ChildKind::Goroutine),
        ];
        assert_eq!(listed, expected);
        app.stop().await;
    });
}

/// supervisor_SUITE: count_children. Specs, those that run, and supervisors and workers, running or
/// not.
#[test]
fn count_children_counts_specs_active_supervisors_and_workers() {
    run(|| async {
        let app = Supervisor::one_for_one("app")
            .child(idle("a"))
            .child(idle("b"))
            .child(Supervisor::one_for_one("inner"))
            .child(idle("once").restart(Restart::Temporary));
        let app = app.start().await.unwrap();
        app.terminate_child("b").await.unwrap();
        app.terminate_child("inner").await.unwrap();
        app.terminate_child("once").await.unwrap();
        let counts = app.count_children().await.unwrap();
        assert_eq!((counts.specs, counts.active), (3, 1));
        assert_eq!((counts.supervisors, counts.workers), (1, 2));
        app.stop().await;
    });
}

/// supervisor_SUITE: sup_start_map, get_childspec. Ours: which_child says what a child is set to.
#[test]
fn which_child_says_what_a_child_is_set_to() {
    run(|| async {
        let app = Supervisor::one_for_one("app").child(idle("a").restart(Restart::Transient));
        let app = app.start().await.unwrap();
        let a = app.which_child("a").await.unwrap();
        assert_eq!((a.restart, a.significant), (Restart::Transient, false));
        assert_eq!(
            app.which_child("x").await,
            Err(ChildError::NotFound { child: "x".into() })
        );
        app.stop().await;
    });
}

/// supervisor.erl: a call to a supervisor that has ended exits with `noproc`.
#[test]
fn requests_to_a_supervisor_that_ended_say_so() {
    run(|| async {
        let app = Supervisor::one_for_one("app").child(idle("a"));
        let app = app.start().await.unwrap();
        app.stop().await;
        let gone = ChildError::SupervisorStopped;
        assert_eq!(app.start_child(idle("b")).await, Err(gone.clone()));
        assert_eq!(app.restart_child("a").await, Err(gone.clone()));
        assert_eq!(app.terminate_child("a").await, Err(gone.clone()));
        assert_eq!(app.delete_child("a").await, Err(gone.clone()));
        assert_eq!(app.which_children().await, Err(gone.clone()));
        assert_eq!(app.which_child("a").await, Err(gone.clone()));
        assert_eq!(app.count_children().await, Err(gone));
        assert_eq!(app.stop().await, ExitReason::Normal, "stopped twice");
    });
}

/// supervisor.erl: one process serves all calls, so none is served while a child is starting.
#[test]
fn requests_wait_while_a_child_is_starting() {
    run(|| async {
        let log = Log::default();
        let app = Supervisor::one_for_one("app").start().await.unwrap();
        let gate = Gate::new();
        let slow = Args {
            init_gate: Some(gate.clone()),
            ..Args::new("a", &log)
        };
        let starting = {
            let app = app.clone();
            go(async move { app.start_child(kid_of(slow).0).await })
        };
        gate.entered().await;
        let counting = {
            let (app, log) = (app.clone(), log.clone());
            go(async move {
                let counts = app.count_children().await;
                log.add("counted");
                counts
            })
        };
        for _ in 0..100 {
            actor_core::sched::yield_now().await;
        }
        assert!(!log.has("counted"));
        gate.open();
        starting.await.unwrap().unwrap();
        assert_eq!(counting.await.unwrap().unwrap().active, 1);
        app.stop().await;
    });
}

/// supervisor.erl: a child that was refused or deleted has no process. Ours: its handle says so.
#[test]
fn the_handle_of_a_child_that_is_refused_or_deleted_is_dead() {
    run(|| async {
        let log = Log::default();
        let (app, a) = with_a(State::Running, &log).await;
        let (twin, twin_kid) = kid("a", &log);
        assert!(app.start_child(twin).await.is_err());
        let refused = Probe::echo(&twin_kid.handle, 1).await;
        assert_eq!(refused, Err(CallError::Stopped));
        app.terminate_child("a").await.unwrap();
        app.delete_child("a").await.unwrap();
        assert_eq!(Probe::echo(&a.handle, 1).await, Err(CallError::Stopped));
        app.stop().await;
    });
}

/// supervisor_SUITE: simple_one_for_one_scale_many_temporary_children. Thousands come and go.
#[test]
fn many_temporary_children_come_and_go() {
    run(|| async {
        let app = Supervisor::dynamic("app").start().await.unwrap();
        for n in 0..crate::seeds::rounds(5000, 20) {
            let child = actor_core::supervise::ChildSpec::once(format!("{n}"), async {});
            app.start_child(child).await.unwrap();
        }
        until_specs(&app, 0).await;
        app.stop().await;
    });
}
