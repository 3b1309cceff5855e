//! What a running tree says about itself, and the requests that change it, cell by cell.

mod probe;

use std::time::Duration;

use actor_core::{
    actor::{ActorRef, CallError, ExitReason},
    sched::yield_now,
    supervise::{
        AutoShutdown, Child, ChildError, ChildSpec, ChildState, Health, Restart, Strategy,
        Supervisor, SupervisorRef,
    },
};
use probe::{Args, Gate, Log, Probe, run};

const LONG: Duration = Duration::from_secs(600);

fn child(id: &'static str, log: &Log) -> (Child<Probe>, ActorRef<Probe>) {
    let args = Args::new(id, log);
    let child = Child::new(id, move || args.clone());
    let handle = child.handle();
    (child, handle)
}

fn idle(id: &str) -> ChildSpec {
    ChildSpec::go(id, std::future::pending::<()>)
}

async fn crash(app: &SupervisorRef, id: &str, handle: &ActorRef<Probe>) {
    let before = app.which_child(id).await.unwrap();
    assert_eq!(Probe::panic(handle).await, Err(CallError::Panicked));
    while app.which_child(id).await.unwrap().last_exit == before.last_exit {
        yield_now().await;
    }
}

#[test]
fn a_tree_is_printed_with_kinds_strategies_health_and_restarts() {
    run(async {
        let log = Log::default();
        let (db, db_ref) = child("db", &log);
        let (cache, cache_ref) = child("cache", &log);
        let (job, _) = child("job", &log);
        let storage = Supervisor::rest_for_one("storage")
            .child(db)
            .child(cache.backoff(LONG..2 * LONG));
        let rooms = Supervisor::dynamic("rooms");
        let rooms_ref = rooms.handle();
        let storage_ref = storage.handle();
        let app = Supervisor::one_for_one("app")
            .auto_shutdown(AutoShutdown::AnySignificant)
            .child(storage)
            .child(rooms)
            .child(job.restart(Restart::Transient).significant())
            .child(ChildSpec::thread("poller", |stop| {
                stop.requested_blocking()
            }));
        let app = app.start().await.unwrap();
        rooms_ref.start_child(idle("lobby")).await.unwrap();
        crash(&storage_ref, "db", &db_ref).await;
        app.terminate_child("job").await.unwrap();
        let printed = app.tree().await.unwrap().to_string();
        assert_eq!(
            printed,
            "app: supervisor, one_for_one\n\
             ├─ storage: supervisor, rest_for_one, running\n\
             │  ├─ db: actor, running, 1 restart\n\
             │  └─ cache: actor, running, 1 restart\n\
             ├─ rooms: supervisor, dynamic, running\n\
             │  └─ lobby: goroutine, running\n\
             ├─ job: actor, down, transient, significant, stopped by its supervisor\n\
             └─ poller: thread, running\n"
        );
        crash(&storage_ref, "cache", &cache_ref).await;
        let printed = app.tree().await.unwrap().to_string();
        let line = printed.lines().find(|l| l.contains("cache")).unwrap();
        assert!(
            line.contains("backing off for") && line.ends_with("panicked: told to"),
            "{line}"
        );
        app.stop().await;
    });
}

#[test]
fn a_tree_can_be_walked() {
    run(async {
        let inner = Supervisor::one_for_all("inner")
            .child(idle("a"))
            .child(idle("b"));
        let app = Supervisor::one_for_one("app").child(inner).child(idle("c"));
        let app = app.start().await.unwrap();
        let tree = app.tree().await.unwrap();
        assert_eq!((&*tree.name, tree.strategy), ("app", Strategy::OneForOne));
        let [(inner, Some(below)), (c, None)] = &tree.children[..] else {
            panic!("{tree:?}")
        };
        assert_eq!((&*inner.id, &*c.id), ("inner", "c"));
        assert_eq!(below.strategy, Strategy::OneForAll);
        let ids: Vec<_> = below.children.iter().map(|(info, _)| &*info.id).collect();
        assert_eq!(ids, ["a", "b"]);
        app.terminate_child("inner").await.unwrap();
        let tree = app.tree().await.unwrap();
        assert!(tree.children[0].1.is_none(), "a stopped one has no tree");
        app.stop().await;
        assert_eq!(app.tree().await, Err(ChildError::SupervisorStopped));
    });
}

#[test]
fn a_childs_information_tells_its_restarts_and_its_last_end() {
    run(async {
        let log = Log::default();
        let (a, a_ref) = child("a", &log);
        let app = Supervisor::one_for_one("app").child(a);
        let app = app.start().await.unwrap();
        let info = app.which_child("a").await.unwrap();
        assert_eq!((info.restarts, info.last_exit), (0, None));
        assert_eq!((info.health, info.significant), (Health::Healthy, false));
        crash(&app, "a", &a_ref).await;
        let again = app.which_child("a").await.unwrap();
        assert_eq!(again.restarts, 1);
        assert_eq!(
            again.last_exit,
            Some(ExitReason::Panicked {
                message: "told to".into()
            })
        );
        assert_eq!(again.key, info.key, "a restart keeps the key");
        assert_eq!(app.which_child(info.key).await.unwrap().id, "a");
        assert_eq!(
            app.which_child("b").await,
            Err(ChildError::NotFound { child: "b".into() })
        );
        app.stop().await;
    });
}

// --- the table of requests, by the state of the child ---

#[test]
fn requests_about_a_child_that_finished() {
    run(async {
        let log = Log::default();
        let (a, a_ref) = child("a", &log);
        let app = Supervisor::one_for_one("app").intensity(0, LONG);
        let app = app.child(a.restart(Restart::Transient));
        let app = app.child(idle("z")).start().await.unwrap();
        let until_finished = async || {
            Probe::stop_self(&a_ref).await.unwrap();
            while app.which_child("a").await.unwrap().state != ChildState::Stopped {
                yield_now().await;
            }
        };
        until_finished().await;
        let twin = app.start_child(child("a", &log).0).await;
        assert_eq!(twin, Err(ChildError::AlreadyPresent { id: "a".into() }));
        assert_eq!(app.terminate_child("a").await, Ok(()));
        assert_eq!(app.restart_child("a").await, Ok(()));
        let order: Vec<_> = app.which_children().await.unwrap();
        assert_eq!(order[0].id, "a", "it keeps its place");
        until_finished().await;
        assert_eq!(app.delete_child("a").await, Ok(()));
        assert_eq!(
            app.which_child("a").await,
            Err(ChildError::NotFound { child: "a".into() })
        );
        app.stop().await;
    });
}

#[test]
fn terminating_a_temporary_child_forgets_it() {
    run(async {
        let log = Log::default();
        let (a, a_ref) = child("a", &log);
        let app = Supervisor::one_for_one("app").child(a.restart(Restart::Temporary));
        let app = app.start().await.unwrap();
        assert_eq!(app.terminate_child("a").await, Ok(()));
        assert!(a_ref.is_stopped());
        assert_eq!(
            app.terminate_child("a").await,
            Err(ChildError::NotFound { child: "a".into() })
        );
        assert_eq!(
            app.restart_child("a").await,
            Err(ChildError::NotFound { child: "a".into() })
        );
        app.stop().await;
    });
}

#[test]
fn a_restart_by_request_that_fails_leaves_it_stopped_and_can_be_made_again() {
    run(async {
        let log = Log::default();
        let args = Args::new("a", &log);
        let errors = std::sync::Arc::clone(&args.init_errors);
        let a = Child::<Probe>::new("a", move || args.clone());
        let a_ref = a.handle();
        let app = Supervisor::one_for_one("app").intensity(0, LONG).child(a);
        let app = app.start().await.unwrap();
        app.terminate_child("a").await.unwrap();
        *errors.lock().unwrap() = 1;
        let Err(ChildError::StartFailed(error)) = app.restart_child("a").await else {
            panic!()
        };
        assert!(error.to_string().contains("\"a\": init failed"), "{error}");
        assert_eq!(Probe::echo(&a_ref, 1).await, Err(CallError::Stopped));
        assert_eq!(app.restart_child("a").await, Ok(()));
        assert_eq!(Probe::echo(&a_ref, 1).await, Ok(1));
        app.stop().await;
    });
}

#[test]
fn terminate_child_is_fine_when_the_child_had_to_be_killed() {
    run(async {
        let log = Log::default();
        let args = Args {
            stop_gate: Some(Gate::new()),
            ..Args::new("a", &log)
        };
        let a = Child::<Probe>::new("a", move || args.clone());
        let a = a.stop_within(Duration::from_millis(2));
        let app = Supervisor::one_for_one("app").child(a);
        let app = app.start().await.unwrap();
        assert_eq!(app.terminate_child("a").await, Ok(()));
        let info = app.which_child("a").await.unwrap();
        assert_eq!(info.last_exit, Some(ExitReason::Killed));
        app.stop().await;
    });
}

#[test]
fn requests_wait_while_a_child_is_starting() {
    run(async {
        let log = Log::default();
        let gate = Gate::new();
        let slow = Args {
            init_gate: Some(gate.clone()),
            ..Args::new("slow", &log)
        };
        let app = Supervisor::one_for_one("app").start().await.unwrap();
        let starting = {
            let app = app.clone();
            let slow = Child::<Probe>::new("slow", move || slow.clone());
            actor_core::go(async move { app.start_child(slow).await })
        };
        gate.entered().await;
        let count = {
            let app = app.clone();
            actor_core::go(async move { app.count_children().await.unwrap().active })
        };
        for _ in 0..100 {
            yield_now().await;
        }
        assert!(!count.is_finished());
        gate.open();
        starting.await.unwrap().unwrap();
        assert_eq!(count.await.unwrap(), 1);
        app.stop().await;
    });
}

#[test]
fn all_requests_to_a_stopped_supervisor_say_so_and_stopping_it_twice_is_fine() {
    run(async {
        let app = Supervisor::one_for_one("app").child(idle("a"));
        let app = app.start().await.unwrap();
        let key = app.which_child("a").await.unwrap().key;
        let (first, second) = (app.stop(), app.stop());
        assert_eq!(first.await, ExitReason::Normal);
        assert_eq!(second.await, ExitReason::Normal);
        assert_eq!(app.stop().await, ExitReason::Normal);
        assert_eq!(
            app.kill().await,
            ExitReason::Normal,
            "it had ended in order"
        );
        assert!(app.is_stopped());
        let stopped = ChildError::SupervisorStopped;
        assert_eq!(app.start_child(idle("b")).await, Err(stopped.clone()));
        assert_eq!(app.restart_child("a").await, Err(stopped.clone()));
        assert_eq!(app.terminate_child(key).await, Err(stopped.clone()));
        assert_eq!(app.delete_child("a").await, Err(stopped.clone()));
        assert_eq!(app.which_children().await, Err(stopped.clone()));
        assert_eq!(app.which_child("a").await, Err(stopped.clone()));
        assert_eq!(app.count_children().await, Err(stopped.clone()));
        assert_eq!(stopped.to_string(), "the supervisor is stopped");
    });
}

#[test]
fn a_supervisor_that_gave_up_says_so_to_whoever_asks_later() {
    run(async {
        let log = Log::default();
        let (a, a_ref) = child("a", &log);
        let app = Supervisor::one_for_one("app").intensity(0, LONG).child(a);
        let app = app.start().await.unwrap();
        assert_eq!(Probe::panic(&a_ref).await, Err(CallError::Panicked));
        app.wait().await;
        assert!(matches!(app.stop().await, ExitReason::GaveUp { .. }));
        assert_eq!(
            app.count_children().await,
            Err(ChildError::SupervisorStopped)
        );
    });
}
