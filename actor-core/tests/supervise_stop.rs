//! Stopping: "stopped" is true, deadlines hold, and nothing outlives its supervisor.

mod probe;

use std::time::Duration;

use actor_core::{
    actor::{ActorRef, CallError, ExitReason},
    sched::Instant,
    supervise::{Child, ChildError, ChildSpec, StopSignal, Supervisor},
};
use probe::{Args, Gate, Log, Probe, run};

fn child_of(args: Args) -> (Child<Probe>, ActorRef<Probe>) {
    let child = Child::new(args.id, move || args.clone());
    let handle = child.handle();
    (child, handle)
}

#[test]
fn a_child_past_its_deadline_is_killed_and_the_others_still_stop_in_order() {
    run(async {
        let log = Log::default();
        let (a, _) = child_of(Args::new("a", &log));
        let never = Some(Gate::new());
        let (b, b_ref) = child_of(Args {
            stop_gate: never,
            ..Args::new("b", &log)
        });
        let b = b.stop_within(Duration::from_millis(20));
        let (c, _) = child_of(Args::new("c", &log));
        let app = Supervisor::one_for_one("app")
            .child(a)
            .child(b)
            .child(c)
            .start()
            .await
            .unwrap();
        log.take();
        let asked = Instant::now();
        assert_eq!(app.stop().await, ExitReason::Normal);
        assert!(
            asked.elapsed() >= Duration::from_millis(20),
            "b had its time"
        );
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
        assert_eq!(b_ref.wait().await, ExitReason::Killed);
    });
}

#[test]
fn a_child_with_deadline_zero_is_killed_without_being_asked() {
    run(async {
        let log = Log::default();
        let (a, probe) = child_of(Args::new("a", &log));
        let app = Supervisor::one_for_one("app").child(a.stop_within(Duration::ZERO));
        let app = app.start().await.unwrap();
        app.stop().await;
        assert_eq!(
            log.take(),
            ["a init", "a up", "a dropped"],
            "no stop hook ran"
        );
        assert_eq!(probe.wait().await, ExitReason::Killed);
    });
}

#[test]
fn a_supervised_stop_handles_what_is_queued_first() {
    run(async {
        let log = Log::default();
        let (a, probe) = child_of(Args::new("a", &log));
        let app = Supervisor::one_for_one("app")
            .child(a)
            .start()
            .await
            .unwrap();
        let gate = Gate::new();
        Probe::hold(&probe, &gate).tell().await.unwrap();
        gate.entered().await;
        Probe::note(&probe, 1).tell().await.unwrap();
        Probe::note(&probe, 2).tell().await.unwrap();
        let stop = app.stop();
        while Probe::note(&probe, 3).try_tell().is_ok() {
            // Accepted until the supervisor got to it; refused from then on.
            actor_core::sched::yield_now().await;
        }
        gate.open();
        stop.await;
        let lines = log.take();
        let at = |line: &str| lines.iter().position(|l| l == line);
        assert!(at("note 1") < at("note 2") && at("note 2") < at("a stopped Supervisor"));
        assert!(at("note 1").is_some() && at("a dropped").is_some());
        assert_eq!(probe.wait().await, ExitReason::Shutdown);
    });
}

#[test]
fn a_killed_supervisor_takes_its_whole_tree_with_it_before_its_end_is_told() {
    run(async {
        let log = Log::default();
        let (a, a_ref) = child_of(Args::new("a", &log));
        let (b, b_ref) = child_of(Args::new("b", &log));
        let gate = Gate::new();
        let inner = Supervisor::one_for_one("inner").child(b);
        let app = Supervisor::one_for_one("app")
            .child(a)
            .child(inner)
            .start()
            .await
            .unwrap();
        let held = {
            let (b_ref, gate) = (b_ref.clone(), gate.clone());
            actor_core::sched::go(async move { Probe::hold(&b_ref, &gate).await })
        };
        gate.entered().await;
        assert_eq!(app.kill().await, ExitReason::Killed);
        assert_eq!(
            log.count("a dropped") + log.count("b dropped"),
            2,
            "children outlived it"
        );
        assert!(a_ref.is_stopped() && b_ref.is_stopped());
        assert_eq!(
            held.await.unwrap(),
            Err(CallError::Stopped),
            "the asker in work is told"
        );
        assert_eq!(app.wait().await, ExitReason::Killed);
        assert!(
            !log.lines().iter().any(|l| l.contains("stopped")),
            "no hook runs in a kill"
        );
    });
}

#[test]
fn a_killed_inner_supervisor_is_restarted_after_its_children_are_gone() {
    run(async {
        let log = Log::default();
        let (a, probe) = child_of(Args::new("a", &log));
        let inner = Supervisor::one_for_one("inner").child(a);
        let inner_ref = inner.handle();
        let app = Supervisor::one_for_one("app")
            .child(inner)
            .start()
            .await
            .unwrap();
        for life in 2..12 {
            assert_eq!(inner_ref.kill().await, ExitReason::Killed);
            log.seen("a up", life).await;
            if life % 3 == 0 {
                assert_eq!(
                    app.restart_child("inner").await,
                    Err(ChildError::Running { id: "inner".into() })
                );
            }
            if life >= 4 {
                break;
            }
        }
        let lines: Vec<_> = log.take();
        assert_eq!(
            lines[..6],
            ["a init", "a up", "a dropped", "a init", "a up", "a dropped"]
        );
        assert_eq!(Probe::life(&probe).await, Ok(4));
        app.stop().await;
    });
}

#[test]
fn a_goroutine_is_dropped_when_stopped_and_one_that_listens_may_finish() {
    run(async {
        struct Bell(Log, &'static str);
        impl Drop for Bell {
            fn drop(&mut self) {
                self.0.add(self.1);
            }
        }
        let log = Log::default();
        let plain = {
            let log = log.clone();
            ChildSpec::go("plain", move || {
                let bell = Bell(log.clone(), "plain dropped");
                async move {
                    std::future::pending::<()>().await;
                    drop(bell);
                }
            })
        };
        let listens = {
            let log = log.clone();
            ChildSpec::go_until("listens", move |stop: StopSignal| {
                let log = log.clone();
                async move {
                    stop.requested().await;
                    log.add("finishing");
                    actor_core::sched::yield_now().await;
                    log.add("finished");
                }
            })
        };
        let deaf = ChildSpec::go_until("deaf", |_| std::future::pending::<()>());
        let deaf = deaf.stop_within(Duration::from_millis(5));
        let app = Supervisor::one_for_one("app")
            .child(plain)
            .child(listens)
            .child(deaf);
        let app = app.start().await.unwrap();
        app.stop().await;
        assert_eq!(log.take(), ["finishing", "finished", "plain dropped"]);
    });
}

#[test]
fn a_stop_while_a_child_is_starting_does_not_wait_for_its_init() {
    run(async {
        let log = Log::default();
        let (a, _) = child_of(Args::new("a", &log));
        let gate = Gate::new();
        let (b, b_ref) = child_of(Args {
            init_gate: Some(gate.clone()),
            ..Args::new("b", &log)
        });
        let (c, _) = child_of(Args::new("c", &log));
        let app = Supervisor::one_for_one("app").child(a).child(b).child(c);
        let handle = app.handle();
        let starting = actor_core::sched::go(app.start());
        gate.entered().await;
        handle.stop().await;
        assert!(starting.await.unwrap().is_err(), "it never came up");
        assert!(b_ref.is_stopped() && handle.is_stopped());
        assert!(log.has("a stopped Supervisor") && !log.has("c init"));
    });
}

#[test]
fn dropping_the_start_of_a_supervisor_kills_what_it_had_started() {
    run(async {
        let log = Log::default();
        let (a, a_ref) = child_of(Args::new("a", &log));
        let gate = Gate::new();
        let (b, b_ref) = child_of(Args {
            init_gate: Some(gate.clone()),
            ..Args::new("b", &log)
        });
        let app = Supervisor::one_for_one("app").child(a).child(b);
        let handle = app.handle();
        let starting = actor_core::sched::go(app.start());
        gate.entered().await;
        starting.abort();
        assert_eq!(handle.wait().await, ExitReason::Killed);
        assert_eq!(a_ref.wait().await, ExitReason::Killed);
        assert_eq!(b_ref.wait().await, ExitReason::Killed);
    });
}

#[test]
fn panics_while_stopping_are_reported_and_do_not_stop_the_stopping() {
    run(async {
        let log = Log::default();
        let (a, a_ref) = child_of(Args {
            drop_panic: true,
            ..Args::new("a", &log)
        });
        let (b, b_ref) = child_of(Args {
            stop_panic: true,
            ..Args::new("b", &log)
        });
        let app = Supervisor::one_for_one("app")
            .child(a)
            .child(b)
            .start()
            .await
            .unwrap();
        assert_eq!(app.stop().await, ExitReason::Normal);
        let panicked = |text: &str| ExitReason::Panicked {
            message: text.into(),
        };
        assert_eq!(a_ref.wait().await, panicked("drop told to"));
        assert_eq!(b_ref.wait().await, panicked("stopped told to"));
    });
}
