//! Starting, restarting and giving up: what a supervisor does about its children's ends.

mod probe;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use actor_core::{
    actor::{ActorRef, CallError, ExitReason},
    supervise::{Child, ChildSpec, ChildState, Restart, Supervisor},
};
use probe::{Args, Gate, Log, Probe, run};

const LONG: Duration = Duration::from_secs(600);

fn child(id: &'static str, log: &Log) -> (Child<Probe>, ActorRef<Probe>) {
    child_of(Args::new(id, log))
}

fn child_of(args: Args) -> (Child<Probe>, ActorRef<Probe>) {
    let child = Child::new(args.id, move || args.clone());
    let handle = child.handle();
    (child, handle)
}

#[test]
fn each_child_starts_after_the_formers_init_and_they_stop_in_reverse() {
    run(async {
        let log = Log::default();
        let gate = Gate::new();
        let (a, _) = child_of(Args {
            init_gate: Some(gate.clone()),
            ..Args::new("a", &log)
        });
        let (b, _) = child("b", &log);
        let (c, _) = child("c", &log);
        let app = Supervisor::one_for_one("app").child(a).child(b).child(c);
        let starting = actor_core::sched::go(app.start());
        gate.entered().await;
        assert_eq!(log.lines(), ["a init"], "b must wait for a's init");
        gate.open();
        let app = starting.await.unwrap().unwrap();
        let started = log.take();
        assert_eq!(
            started,
            ["a init", "a up", "b init", "b up", "c init", "c up"]
        );
        assert_eq!(app.stop().await, ExitReason::Normal);
        assert_eq!(
            log.take(),
            [
                "c stopped Supervisor",
                "c dropped",
                "b stopped Supervisor",
                "b dropped",
                "a stopped Supervisor",
                "a dropped"
            ]
        );
    });
}

#[test]
fn a_start_that_fails_names_the_child_and_stops_the_former_ones_in_reverse() {
    run(async {
        let log = Log::default();
        let (a, a_ref) = child("a", &log);
        let (b, _) = child("b", &log);
        let (c, c_ref) = child_of(Args {
            init_error: true,
            ..Args::new("c", &log)
        });
        let (d, d_ref) = child("d", &log);
        let queued = Probe::echo(&d_ref, 1).try_tell();
        assert!(queued.is_ok());
        let app = Supervisor::one_for_one("app")
            .child(a)
            .child(b)
            .child(c)
            .child(d);
        let error = app.start().await.unwrap_err();
        assert_eq!((error.name(), error.failed_child()), ("app", Some("c")));
        let text = error.to_string();
        assert!(
            text.contains("\"c\"") && text.contains("init was told to fail"),
            "{text}"
        );
        assert_eq!(
            log.take()[4..],
            [
                "c init",
                "b stopped Supervisor",
                "b dropped",
                "a stopped Supervisor",
                "a dropped"
            ]
        );
        for gone in [&a_ref, &c_ref, &d_ref] {
            assert!(
                gone.is_stopped(),
                "{gone:?} is not dead after the failed start"
            );
            assert_eq!(Probe::echo(gone, 1).await, Err(CallError::Stopped));
        }
    });
}

#[test]
fn a_panic_in_init_is_a_failed_start_and_so_is_an_init_past_its_deadline() {
    run(async {
        let log = Log::default();
        let (a, _) = child_of(Args {
            init_panic: true,
            ..Args::new("a", &log)
        });
        let error = Supervisor::one_for_one("app")
            .child(a)
            .start()
            .await
            .unwrap_err();
        let text = error.to_string();
        assert!(text.contains("panicked: init told to"), "{text}");

        let never = Some(Gate::new());
        let (b, _) = child_of(Args {
            init_gate: never,
            ..Args::new("b", &log)
        });
        let b = b.start_within(Duration::from_millis(5));
        let error = Supervisor::one_for_one("app")
            .child(b)
            .start()
            .await
            .unwrap_err();
        let text = error.to_string();
        assert!(text.contains("not done within 5ms"), "{text}");
    });
}

#[test]
fn two_children_with_one_id_are_refused() {
    run(async {
        let log = Log::default();
        let ((a, _), (b, _)) = (child("same", &log), child("same", &log));
        let error = Supervisor::one_for_one("app")
            .child(a)
            .child(b)
            .start()
            .await
            .unwrap_err();
        assert_eq!(error.failed_child(), Some("same"));
        assert_eq!(
            log.lines(),
            [""; 0],
            "nothing may start when the specs are wrong"
        );
    });
}

#[test]
fn a_restart_keeps_handle_and_mailbox_and_loses_only_the_message_that_crashed() {
    run(async {
        let log = Log::default();
        let (a, probe) = child("a", &log);
        let app = Supervisor::one_for_one("app")
            .child(a)
            .start()
            .await
            .unwrap();
        let gate = Gate::new();
        Probe::hold(&probe, &gate).tell().await.unwrap();
        gate.entered().await;
        Probe::note(&probe, 1).tell().await.unwrap();
        let crash = {
            let probe = probe.clone();
            actor_core::sched::go(async move { Probe::panic(&probe).await })
        };
        while probe.mailbox_len() < 2 {
            actor_core::sched::yield_now().await;
        }
        Probe::note(&probe, 2).tell().await.unwrap();
        let life = {
            let probe = probe.clone();
            actor_core::sched::go(async move { Probe::life(&probe).await })
        };
        while probe.mailbox_len() < 4 {
            actor_core::sched::yield_now().await;
        }
        gate.open();
        assert_eq!(crash.await.unwrap(), Err(CallError::Panicked));
        assert_eq!(
            life.await.unwrap(),
            Ok(2),
            "the queued ask meets the second incarnation"
        );
        assert_eq!(
            log.take(),
            [
                "a init",
                "a up",
                "note 1",
                "a dropped",
                "a init",
                "a up",
                "note 2"
            ]
        );
        assert!(!probe.is_stopped());
        app.stop().await;
    });
}

/// Ends a child of each restart type in each way and says which were started again.
async fn restarted(restart: Restart, end: impl AsyncFn(&ActorRef<Probe>)) -> bool {
    let log = Log::default();
    let (a, probe) = child("a", &log);
    let app = Supervisor::one_for_one("app")
        .child(a.restart(restart))
        .start()
        .await
        .unwrap();
    end(&probe).await;
    // Served after the exit was: its word came first.
    log.seen("a dropped", 1).await;
    let state = loop {
        let children = app.which_children().await.unwrap();
        match children.first().map(|c| c.state) {
            Some(ChildState::Running) if log.count("a up") == 1 => {
                actor_core::sched::yield_now().await;
            }
            state => break state,
        }
    };
    match (restart, state) {
        (_, Some(ChildState::Running)) => {}
        (Restart::Temporary, None) => {}
        (Restart::Transient, Some(ChildState::Stopped)) => {}
        wrong => panic!("a {wrong:?} child in the table"),
    }
    assert_eq!(probe.is_stopped(), state != Some(ChildState::Running));
    app.stop().await;
    log.count("a up") == 2
}

#[test]
fn permanent_transient_and_temporary_are_restarted_as_their_exit_reasons_say() {
    run(async {
        let normal = async |p: &ActorRef<Probe>| drop(p.stop().await);
        let by_itself = async |p: &ActorRef<Probe>| _ = Probe::stop_self(p).await;
        let panic = async |p: &ActorRef<Probe>| _ = Probe::panic(p).await;
        let kill = async |p: &ActorRef<Probe>| drop(p.kill().await);
        assert!(restarted(Restart::Permanent, normal).await);
        assert!(restarted(Restart::Permanent, by_itself).await);
        assert!(restarted(Restart::Permanent, panic).await);
        assert!(restarted(Restart::Permanent, kill).await);
        assert!(!restarted(Restart::Transient, normal).await);
        assert!(!restarted(Restart::Transient, by_itself).await);
        assert!(restarted(Restart::Transient, panic).await);
        assert!(restarted(Restart::Transient, kill).await);
        assert!(!restarted(Restart::Temporary, normal).await);
        assert!(!restarted(Restart::Temporary, by_itself).await);
        assert!(!restarted(Restart::Temporary, panic).await);
        assert!(!restarted(Restart::Temporary, kill).await);
    });
}

#[test]
fn a_child_that_is_restarted_leaves_its_siblings_alone() {
    run(async {
        let log = Log::default();
        let ((a, a_ref), (b, b_ref)) = (child("a", &log), child("b", &log));
        let app = Supervisor::one_for_one("app")
            .child(a)
            .child(b)
            .start()
            .await
            .unwrap();
        assert_eq!(Probe::panic(&a_ref).await, Err(CallError::Panicked));
        assert_eq!(Probe::life(&a_ref).await, Ok(2));
        assert_eq!(Probe::life(&b_ref).await, Ok(1));
        app.stop().await;
    });
}

#[test]
fn more_restarts_than_the_intensity_allows_end_the_supervisor_with_gave_up() {
    run(async {
        let log = Log::default();
        let ((a, a_ref), (b, b_ref)) = (child("a", &log), child("b", &log));
        let app = Supervisor::one_for_one("app")
            .intensity(2, LONG)
            .child(a)
            .child(b);
        let app = app.start().await.unwrap();
        for life in 1..=2 {
            assert_eq!(Probe::life(&a_ref).await, Ok(life));
            assert_eq!(Probe::panic(&a_ref).await, Err(CallError::Panicked));
        }
        assert_eq!(Probe::life(&a_ref).await, Ok(3));
        assert_eq!(Probe::panic(&a_ref).await, Err(CallError::Panicked));
        let reason = app.wait().await;
        let ExitReason::GaveUp {
            child,
            reason,
            restarts_max: 2,
            ..
        } = &reason
        else {
            panic!("ended with {reason:?}");
        };
        assert_eq!(child, "a");
        assert_eq!(
            **reason,
            ExitReason::Panicked {
                message: "told to".into()
            }
        );
        assert!(a_ref.is_stopped() && b_ref.is_stopped());
        assert!(
            log.has("b stopped Supervisor"),
            "siblings are stopped in order"
        );
    });
}

#[test]
fn intensity_zero_gives_up_at_the_first_crash() {
    run(async {
        let log = Log::default();
        let (a, probe) = child("a", &log);
        let app = Supervisor::one_for_one("app").intensity(0, LONG).child(a);
        let app = app.start().await.unwrap();
        assert_eq!(Probe::panic(&probe).await, Err(CallError::Panicked));
        assert!(matches!(app.wait().await, ExitReason::GaveUp { .. }));
        assert_eq!(log.count("a init"), 1);
    });
}

#[test]
fn restarts_that_fail_count_and_the_last_error_is_reported() {
    run(async {
        let log = Log::default();
        let args = Args::new("a", &log);
        let errors = Arc::clone(&args.init_errors);
        let (a, probe) = child_of(args);
        let app = Supervisor::one_for_one("app").intensity(3, LONG).child(a);
        let app = app.start().await.unwrap();
        *errors.lock().unwrap() = 100;
        assert_eq!(Probe::panic(&probe).await, Err(CallError::Panicked));
        let ExitReason::GaveUp { reason, .. } = app.wait().await else {
            panic!()
        };
        assert!(
            matches!(*reason, ExitReason::InitFailed { .. }),
            "{reason:?}"
        );
        assert_eq!(
            log.count("a init"),
            1 + 3,
            "one start, three failing attempts"
        );
    });
}

#[test]
fn a_restart_that_fails_is_tried_again_and_the_mailbox_waits_for_it() {
    run(async {
        let log = Log::default();
        let args = Args::new("a", &log);
        let errors = Arc::clone(&args.init_errors);
        let (a, probe) = child_of(args);
        let app = Supervisor::one_for_one("app").intensity(5, LONG).child(a);
        let app = app.start().await.unwrap();
        *errors.lock().unwrap() = 2;
        assert_eq!(Probe::panic(&probe).await, Err(CallError::Panicked));
        assert_eq!(Probe::echo(&probe, 9).await, Ok(9));
        assert_eq!(log.count("a init"), 4);
        app.stop().await;
    });
}

#[test]
fn a_supervised_goroutine_is_restarted_after_an_error_or_panic_and_not_after_success() {
    run(async {
        let runs = Arc::new(AtomicU32::new(0));
        let done = Gate::new();
        let spec = {
            let (runs, done) = (Arc::clone(&runs), done.clone());
            ChildSpec::go("worker", move || {
                let run = runs.fetch_add(1, Ordering::SeqCst);
                let done = done.clone();
                async move {
                    match run {
                        0 => Err("first run fails"),
                        1 => panic!("second run panics"),
                        _ => {
                            done.pass().await;
                            Ok(())
                        }
                    }
                }
            })
        };
        let app = Supervisor::one_for_one("app").child(spec.restart(Restart::Transient));
        let app = app.start().await.unwrap();
        done.entered().await;
        assert_eq!(runs.load(Ordering::SeqCst), 3);
        done.open();
        loop {
            let counts = app.count_children().await.unwrap();
            if counts.active == 0 {
                break;
            }
            actor_core::sched::yield_now().await;
        }
        assert_eq!(runs.load(Ordering::SeqCst), 3);
        app.stop().await;
    });
}

#[test]
fn an_inner_supervisor_that_gives_up_is_restarted_with_its_children_and_handles() {
    run(async {
        let log = Log::default();
        let (a, probe) = child("a", &log);
        let inner = Supervisor::one_for_one("inner").intensity(0, LONG).child(a);
        let inner_ref = inner.handle();
        let app = Supervisor::one_for_one("app")
            .intensity(1, LONG)
            .child(inner);
        let app = app.start().await.unwrap();
        assert_eq!(Probe::panic(&probe).await, Err(CallError::Panicked));
        log.seen("a up", 2).await;
        assert_eq!(inner_ref.count_children().await.unwrap().active, 1);
        assert_eq!(Probe::life(&probe).await, Ok(2));
        assert_eq!(Probe::panic(&probe).await, Err(CallError::Panicked));
        let reason = app.wait().await;
        assert!(matches!(reason, ExitReason::GaveUp { ref child, .. } if child == "inner"));
        assert!(probe.is_stopped() && inner_ref.is_stopped());
        assert_eq!(Probe::echo(&probe, 1).await, Err(CallError::Stopped));
        assert!(inner_ref.count_children().await.is_err());
    });
}

#[test]
fn the_innermost_failed_child_is_named_by_a_tree_that_cannot_start() {
    run(async {
        let log = Log::default();
        let (a, _) = child_of(Args {
            init_error: true,
            ..Args::new("deep", &log)
        });
        let inner = Supervisor::one_for_one("inner").child(a);
        let error = Supervisor::one_for_one("app")
            .child(inner)
            .start()
            .await
            .unwrap_err();
        assert_eq!(error.failed_child(), Some("deep"));
        assert!(error.to_string().contains("\"inner\""), "{error}");
    });
}
