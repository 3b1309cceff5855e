//! The requests of a running supervisor: OTP's result table, and dynamic children by the thousand.

mod probe;

use std::time::Duration;

use actor_core::{
    actor::{ActorRef, CallError, ExitReason},
    supervise::{
        Child, ChildError, ChildKind, ChildSpec, ChildState, Restart, Supervisor, SupervisorRef,
    },
};
use probe::{Args, Gate, Log, Probe, run};

fn child(id: &'static str, log: &Log) -> (Child<Probe>, ActorRef<Probe>) {
    let args = Args::new(id, log);
    let child = Child::new(id, move || args.clone());
    let handle = child.handle();
    (child, handle)
}

async fn app_with(a: Child<Probe>) -> SupervisorRef {
    // Requests must never count against the intensity.
    let app = Supervisor::one_for_one("app").intensity(0, Duration::from_secs(600));
    app.child(a).start().await.unwrap()
}

#[test]
fn requests_about_a_running_child() {
    run(async {
        let log = Log::default();
        let (a, probe) = child("a", &log);
        let app = app_with(a).await;
        let (twin, twin_ref) = child("a", &log);
        let refused = app.start_child(twin).await;
        let Err(ChildError::AlreadyStarted { child }) = refused else {
            panic!("{refused:?}");
        };
        assert_eq!(child.id, "a");
        assert_eq!(app.which_child(child.key).await.unwrap().id, "a");
        let existing: ActorRef<Probe> = child.actor.unwrap().downcast::<Probe>().unwrap();
        assert_eq!(existing, probe, "the one that is there");
        assert!(
            twin_ref.is_stopped(),
            "the refused spec's actor will never start"
        );
        assert_eq!(
            app.restart_child("a").await,
            Err(ChildError::Running { id: "a".into() })
        );
        assert_eq!(
            app.delete_child("a").await,
            Err(ChildError::Running { id: "a".into() })
        );
        assert_eq!(app.terminate_child("a").await, Ok(()));
        assert!(probe.is_stopped());
        app.stop().await;
    });
}

#[test]
fn requests_about_a_stopped_child_and_its_handle_lives_again_after_restart_child() {
    run(async {
        let log = Log::default();
        let (a, probe) = child("a", &log);
        let app = app_with(a).await;
        for _ in 0..20 {
            assert_eq!(app.terminate_child("a").await, Ok(()));
            assert_eq!(Probe::echo(&probe, 1).await, Err(CallError::Stopped));
            assert_eq!(app.restart_child("a").await, Ok(()));
            assert_eq!(Probe::echo(&probe, 1).await, Ok(1));
        }
        app.terminate_child("a").await.unwrap();
        assert_eq!(
            app.terminate_child("a").await,
            Ok(()),
            "a stopped child is fine"
        );
        assert_eq!(
            app.start_child(child("a", &log).0).await,
            Err(ChildError::AlreadyPresent { id: "a".into() })
        );
        assert_eq!(app.delete_child("a").await, Ok(()));
        assert_eq!(
            app.delete_child("a").await,
            Err(ChildError::NotFound { child: "a".into() })
        );
        assert!(app.start_child(child("a", &log).0).await.is_ok());
        app.stop().await;
    });
}

#[test]
fn a_refusal_names_the_child() {
    run(async {
        let log = Log::default();
        let app = Supervisor::one_for_one("app").child(child("a", &log).0);
        let app = app.start().await.unwrap();
        let twin = app.start_child(child("a", &log).0).await.unwrap_err();
        assert_eq!(twin.to_string(), "a child with the id \"a\" is running");
        let running = app.restart_child("a").await.unwrap_err();
        assert_eq!(
            running.to_string(),
            "the child \"a\" is running; terminate it first"
        );
        let unknown = app.terminate_child("x").await.unwrap_err();
        assert_eq!(unknown.to_string(), "no child has the id \"x\"");
        let key = app.which_child("a").await.unwrap().key;
        app.terminate_child("a").await.unwrap();
        let twin = app.start_child(child("a", &log).0).await.unwrap_err();
        assert_eq!(
            twin.to_string(),
            "a child with the id \"a\" exists and is not running; restart or delete it"
        );
        app.delete_child("a").await.unwrap();
        let gone = app.which_child(key).await.unwrap_err();
        assert_eq!(gone.to_string(), format!("no child has the key {key:?}"));
        app.stop().await;
    });
}

#[test]
fn requests_about_an_unknown_child() {
    run(async {
        let app = Supervisor::one_for_one("app").start().await.unwrap();
        assert_eq!(
            app.restart_child("x").await,
            Err(ChildError::NotFound { child: "x".into() })
        );
        assert_eq!(
            app.terminate_child("x").await,
            Err(ChildError::NotFound { child: "x".into() })
        );
        assert_eq!(
            app.delete_child("x").await,
            Err(ChildError::NotFound { child: "x".into() })
        );
        assert_eq!(app.which_children().await.unwrap(), []);
        app.stop().await;
        assert_eq!(
            app.terminate_child("x").await,
            Err(ChildError::SupervisorStopped)
        );
    });
}

#[test]
fn terminating_a_child_whose_restarts_fail_calls_off_the_retry() {
    run(async {
        let log = Log::default();
        let args = Args::new("a", &log);
        let errors = std::sync::Arc::clone(&args.init_errors);
        let a = Child::<Probe>::new("a", move || args.clone());
        let probe = a.handle();
        let app = Supervisor::one_for_one("app").intensity(u32::MAX, Duration::from_secs(600));
        let app = app.child(a).start().await.unwrap();
        *errors.lock().unwrap() = u32::MAX;
        assert_eq!(Probe::panic(&probe).await, Err(CallError::Panicked));
        log.seen("a init", 3).await;
        // Retries go through the mailbox, so requests are served between them.
        assert_eq!(
            app.restart_child("a").await,
            Err(ChildError::Restarting { id: "a".into() })
        );
        assert_eq!(
            app.delete_child("a").await,
            Err(ChildError::Restarting { id: "a".into() })
        );
        assert_eq!(
            app.start_child(child("a", &log).0).await,
            Err(ChildError::AlreadyPresent { id: "a".into() })
        );
        let children = app.which_children().await.unwrap();
        assert_eq!(children[0].state, ChildState::Restarting);
        assert_eq!(app.count_children().await.unwrap().active, 0);
        assert_eq!(app.terminate_child("a").await, Ok(()));
        let attempts = log.count("a init");
        assert_eq!(
            app.which_children().await.unwrap()[0].state,
            ChildState::Stopped
        );
        assert_eq!(
            app.which_children().await.unwrap()[0].state,
            ChildState::Stopped
        );
        assert_eq!(
            log.count("a init"),
            attempts,
            "a retry came through after terminate"
        );
        assert!(probe.is_stopped());
        app.stop().await;
    });
}

#[test]
fn a_child_that_cannot_start_is_forgotten_and_siblings_are_untouched() {
    run(async {
        let log = Log::default();
        let (a, probe) = child("a", &log);
        let app = app_with(a).await;
        let args = Args {
            init_error: true,
            ..Args::new("b", &log)
        };
        let error = app
            .start_child(Child::<Probe>::new("b", move || args.clone()))
            .await;
        let Err(ChildError::StartFailed(error)) = error else {
            panic!("{error:?}")
        };
        assert_eq!(error.name(), "b");
        assert_eq!(app.which_children().await.unwrap().len(), 1);
        assert_eq!(Probe::life(&probe).await, Ok(1));
        app.stop().await;
    });
}

#[test]
fn children_are_listed_and_counted_in_start_order_and_a_restarted_one_keeps_its_place() {
    run(async {
        let log = Log::default();
        let inner = Supervisor::one_for_one("inner");
        let idle = ChildSpec::go("idle", std::future::pending::<()>);
        let app = Supervisor::one_for_one("app")
            .child(child("a", &log).0)
            .child(inner)
            .child(idle);
        let app = app.start().await.unwrap();
        app.start_child(child("z", &log).0).await.unwrap();
        app.terminate_child("a").await.unwrap();
        let counts = app.count_children().await.unwrap();
        assert_eq!((counts.specs, counts.active), (4, 3));
        assert_eq!((counts.supervisors, counts.workers), (1, 3));
        app.restart_child("a").await.unwrap();
        let children = app.which_children().await.unwrap();
        let ids: Vec<_> = children.iter().map(|c| (c.id.as_str(), c.kind)).collect();
        let expected = [
            ("a", ChildKind::Actor),
            ("inner", ChildKind::Supervisor),
            ("idle", ChildKind::Goroutine),
            ("z", ChildKind::Actor),
        ];
        assert_eq!(ids, expected);
        app.stop().await;
    });
}

#[test]
fn requests_made_before_the_start_wait_for_it_and_die_with_an_unstarted_supervisor() {
    run(async {
        let early = Supervisor::one_for_one("early");
        let handle = early.handle();
        let count = {
            let handle = handle.clone();
            actor_core::sched::go(async move { handle.count_children().await })
        };
        early.start().await.unwrap();
        assert!(count.await.unwrap().is_ok());
        handle.stop().await;

        let never = Supervisor::one_for_one("never");
        let handle = never.handle();
        let count = {
            let handle = handle.clone();
            actor_core::sched::go(async move { handle.count_children().await })
        };
        drop(never);
        assert_eq!(count.await.unwrap(), Err(ChildError::SupervisorStopped));
    });
}

#[test]
fn thousands_of_temporary_goroutines_come_and_go_and_the_rest_is_stopped() {
    run(async {
        let app = Supervisor::one_for_one("connections")
            .start()
            .await
            .unwrap();
        let (gate, log) = (Gate::new(), Log::default());
        for n in 0..5000 {
            let (gate, log) = (gate.clone(), log.clone());
            let connection = ChildSpec::once(format!("conn-{n}"), async move {
                if n % 2 == 0 {
                    log.add("done");
                } else {
                    gate.pass().await;
                }
            });
            app.start_child(connection).await.unwrap();
        }
        log.seen("done", 2500).await;
        loop {
            if app.count_children().await.unwrap().specs == 2500 {
                break;
            }
            actor_core::sched::yield_now().await;
        }
        assert_eq!(app.terminate_child("conn-1").await, Ok(()));
        assert_eq!(
            app.terminate_child("conn-1").await,
            Err(ChildError::NotFound {
                child: "conn-1".into()
            })
        );
        assert_eq!(app.stop().await, ExitReason::Normal);
    });
}

#[test]
fn a_temporary_child_that_ends_frees_its_id() {
    run(async {
        let app = Supervisor::one_for_one("app").start().await.unwrap();
        for _ in 0..100 {
            let log = Log::default();
            let ends = {
                let log = log.clone();
                ChildSpec::go("again", move || {
                    let log = log.clone();
                    async move { log.add("ran") }
                })
            };
            app.start_child(ends.restart(Restart::Temporary))
                .await
                .unwrap();
            log.seen("ran", 1).await;
            while app.count_children().await.unwrap().specs > 0 {
                actor_core::sched::yield_now().await;
            }
        }
        app.stop().await;
    });
}
