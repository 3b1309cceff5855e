//! Whom a restart concerns: one_for_all and rest_for_one, and what becomes of their siblings.

mod probe;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use actor_core::{
    actor::{ActorRef, CallError, ExitReason, TrySendError},
    sched::yield_now,
    supervise::{Child, ChildError, ChildSpec, ChildState, Restart, Supervisor, SupervisorRef},
};
use probe::{Args, Gate, Log, Probe, run};

const LONG: Duration = Duration::from_secs(600);

struct Kid {
    handle: ActorRef<Probe>,
    /// Its init fails so often.
    errors: Arc<Mutex<u32>>,
}

fn child(id: &'static str, log: &Log) -> (Child<Probe>, Kid) {
    let args = Args::new(id, log);
    let errors = Arc::clone(&args.init_errors);
    let child = Child::<Probe>::new(id, move || args.clone());
    let handle = child.handle();
    (child, Kid { handle, errors })
}

/// A supervisor with children a, b, c, whose restart types are given.
async fn tree(app: Supervisor, log: &Log, types: [Restart; 3]) -> (SupervisorRef, [Kid; 3]) {
    let mut app = app;
    let mut kids = Vec::new();
    for (id, restart) in ["a", "b", "c"].into_iter().zip(types) {
        let (child, kid) = child(id, log);
        kids.push(kid);
        app = app.child(child.restart(restart));
    }
    let app = app.start().await.unwrap();
    log.take();
    let Ok(kids) = kids.try_into() else {
        unreachable!()
    };
    (app, kids)
}

const PERMANENT: [Restart; 3] = [Restart::Permanent; 3];

async fn crash(kid: &Kid) {
    assert_eq!(Probe::panic(&kid.handle).await, Err(CallError::Panicked));
}

/// Waits until the child was restarted so often. Requests are served after a group restart, not in
/// one, so all of the group has come so far.
async fn until_restarted(app: &SupervisorRef, id: &str, times: u64) {
    while app.which_child(id).await.unwrap().restarts < times {
        yield_now().await;
    }
}

async fn lives(kids: &[Kid; 3]) -> [u64; 3] {
    let mut lives = [0; 3];
    for (life, kid) in lives.iter_mut().zip(kids) {
        *life = Probe::life(&kid.handle).await.unwrap();
    }
    lives
}

async fn states(app: &SupervisorRef) -> Vec<(String, ChildState)> {
    let children = app.which_children().await.unwrap();
    children.into_iter().map(|c| (c.id, c.state)).collect()
}

async fn until_state(app: &SupervisorRef, id: &str, state: ChildState) {
    while app.which_child(id).await.unwrap().state != state {
        yield_now().await;
    }
}

#[test]
fn one_for_all_stops_the_others_in_reverse_and_starts_all_in_order() {
    run(async {
        let log = Log::default();
        let (app, kids) = tree(Supervisor::one_for_all("app"), &log, PERMANENT).await;
        crash(&kids[1]).await;
        until_restarted(&app, "c", 1).await;
        assert_eq!(lives(&kids).await, [2, 2, 2]);
        assert_eq!(
            log.take(),
            [
                "b dropped",
                "c stopped Supervisor",
                "c dropped",
                "a stopped Supervisor",
                "a dropped",
                "a init",
                "a up",
                "b init",
                "b up",
                "c init",
                "c up"
            ]
        );
        app.stop().await;
    });
}

#[test]
fn rest_for_one_concerns_those_started_after_it_only() {
    run(async {
        let log = Log::default();
        let (app, kids) = tree(Supervisor::rest_for_one("app"), &log, PERMANENT).await;
        crash(&kids[1]).await;
        until_restarted(&app, "b", 1).await;
        assert_eq!(lives(&kids).await, [1, 2, 2]);
        assert_eq!(
            log.take(),
            [
                "b dropped",
                "c stopped Supervisor",
                "c dropped",
                "b init",
                "b up",
                "c init",
                "c up"
            ]
        );
        crash(&kids[2]).await;
        until_restarted(&app, "c", 2).await;
        assert_eq!(lives(&kids).await, [1, 2, 3], "nobody was started after c");
        crash(&kids[0]).await;
        until_restarted(&app, "a", 1).await;
        assert_eq!(lives(&kids).await, [2, 3, 4]);
        app.stop().await;
    });
}

#[test]
fn children_of_a_group_are_stopped_in_reverse_order_at_the_end() {
    run(async {
        for app in [Supervisor::one_for_all("x"), Supervisor::rest_for_one("y")] {
            let log = Log::default();
            let (app, _kids) = tree(app, &log, PERMANENT).await;
            app.stop().await;
            let stops = ["c", "b", "a"]
                .map(|id| [format!("{id} stopped Supervisor"), format!("{id} dropped")]);
            assert_eq!(log.take(), stops.concat());
        }
    });
}

#[test]
fn a_group_restart_counts_once_against_the_intensity() {
    run(async {
        for app in [Supervisor::one_for_all("x"), Supervisor::rest_for_one("y")] {
            let log = Log::default();
            let (app, kids) = tree(app.intensity(2, LONG), &log, PERMANENT).await;
            crash(&kids[0]).await;
            until_restarted(&app, "a", 1).await;
            assert_eq!(lives(&kids).await, [2; 3]);
            crash(&kids[0]).await;
            until_restarted(&app, "a", 2).await;
            assert_eq!(lives(&kids).await, [3; 3], "six starts, two restarts");
            crash(&kids[0]).await;
            let reason = app.wait().await;
            assert!(
                matches!(&reason, ExitReason::GaveUp { child, .. } if child == "a"),
                "{reason:?}"
            );
            assert!(kids.iter().all(|kid| kid.handle.is_stopped()));
        }
    });
}

#[test]
fn an_end_that_calls_for_no_restart_leaves_siblings_and_intensity_alone() {
    run(async {
        for app in [Supervisor::one_for_all("x"), Supervisor::rest_for_one("y")] {
            let log = Log::default();
            let types = [Restart::Transient, Restart::Temporary, Restart::Permanent];
            let (app, kids) = tree(app.intensity(0, LONG), &log, types).await;
            // A temporary child that crashes, a transient one that finishes.
            crash(&kids[1]).await;
            Probe::stop_self(&kids[0].handle).await.unwrap();
            until_state(&app, "a", ChildState::Stopped).await;
            while app.count_children().await.unwrap().specs > 2 {
                yield_now().await;
            }
            assert_eq!(Probe::life(&kids[2].handle).await, Ok(1));
            app.stop().await;
        }
    });
}

#[test]
fn one_for_all_revives_siblings_that_had_finished_or_were_terminated() {
    run(async {
        let log = Log::default();
        let types = [Restart::Transient, Restart::Permanent, Restart::Permanent];
        let (app, kids) = tree(Supervisor::one_for_all("app"), &log, types).await;
        Probe::stop_self(&kids[0].handle).await.unwrap();
        until_state(&app, "a", ChildState::Stopped).await;
        app.terminate_child("b").await.unwrap();
        assert_eq!(
            Probe::echo(&kids[1].handle, 1).await,
            Err(CallError::Stopped)
        );
        crash(&kids[2]).await;
        until_restarted(&app, "c", 1).await;
        assert_eq!(lives(&kids).await, [2, 2, 2]);
        app.stop().await;
    });
}

#[test]
fn rest_for_one_revives_later_siblings_and_not_earlier_ones() {
    run(async {
        let log = Log::default();
        let (app, kids) = tree(Supervisor::rest_for_one("app"), &log, PERMANENT).await;
        app.terminate_child("a").await.unwrap();
        app.terminate_child("c").await.unwrap();
        crash(&kids[1]).await;
        until_restarted(&app, "c", 1).await;
        assert_eq!(Probe::life(&kids[2].handle).await, Ok(2));
        assert_eq!(
            app.which_child("a").await.unwrap().state,
            ChildState::Stopped
        );
        assert!(kids[0].handle.is_stopped());
        app.stop().await;
    });
}

#[test]
fn temporary_siblings_are_stopped_and_forgotten_in_a_group_restart() {
    run(async {
        let log = Log::default();
        let types = [Restart::Temporary, Restart::Permanent, Restart::Temporary];
        let (app, kids) = tree(Supervisor::one_for_all("app"), &log, types).await;
        crash(&kids[1]).await;
        until_restarted(&app, "b", 1).await;
        assert_eq!(states(&app).await, [("b".into(), ChildState::Running)]);
        assert!(kids[0].handle.is_stopped() && kids[2].handle.is_stopped());
        assert!(log.has("a stopped Supervisor") && log.has("c stopped Supervisor"));
        // The id is free again.
        let a = Args::new("a", &log);
        assert!(
            app.start_child(Child::<Probe>::new("a", move || a.clone()))
                .await
                .is_ok()
        );
        app.stop().await;
    });
}

#[test]
fn a_sibling_that_is_restarted_keeps_its_queue_and_its_handle() {
    run(async {
        let log = Log::default();
        let (a, b) = (Args::new("a", &log), Args::new("b", &log));
        let a = Child::<Probe>::new("a", move || a.clone());
        let b = Child::<Probe>::new("b", move || b.clone()).stop_within(Duration::from_millis(5));
        let (a_ref, b_ref) = (a.handle(), b.handle());
        let app = Supervisor::one_for_all("app").child(a).child(b);
        let app = app.start().await.unwrap();
        // It is in a handler that doesn't end, and killed for it when its time is over.
        let never = Gate::new();
        Probe::hold(&b_ref, &never).tell().await.unwrap();
        never.entered().await;
        Probe::note(&b_ref, 1).tell().await.unwrap();
        assert_eq!(Probe::panic(&a_ref).await, Err(CallError::Panicked));
        assert_eq!(Probe::life(&b_ref).await, Ok(2), "never refused meanwhile");
        let lines = log.take();
        let at = |line: &str| lines.iter().position(|l| l == line).unwrap();
        assert!(at("b dropped") < at("note 1"), "{lines:?}");
        app.stop().await;
    });
}

#[test]
fn a_sibling_that_makes_way_for_a_restart_refuses_nothing_meanwhile() {
    run(async {
        let log = Log::default();
        let (a, b) = (Args::new("a", &log), Args::new("b", &log));
        let a = Child::<Probe>::new("a", move || a.clone());
        let b = Child::<Probe>::new("b", move || b.clone()).stop_within(Duration::from_millis(30));
        let (a_ref, b_ref) = (a.handle(), b.handle());
        let app = Supervisor::one_for_all("app").child(a).child(b);
        let app = app.start().await.unwrap();
        let never = Gate::new();
        Probe::hold(&b_ref, &never).tell().await.unwrap();
        never.entered().await;
        assert_eq!(Probe::panic(&a_ref).await, Err(CallError::Panicked));
        // From before it is asked to stop until after it was killed.
        while log.count("b up") < 2 {
            match Probe::note(&b_ref, 1).try_tell() {
                Ok(()) | Err(TrySendError::Full(_)) => {}
                Err(refused) => panic!("{refused}"),
            }
            yield_now().await;
        }
        app.stop().await;
    });
}

#[test]
fn one_for_all_begins_anew_when_a_child_cannot_start_again() {
    run(async {
        let log = Log::default();
        let (app, kids) = tree(Supervisor::one_for_all("app"), &log, PERMANENT).await;
        *kids[1].errors.lock().unwrap() = 1;
        crash(&kids[2]).await;
        until_restarted(&app, "c", 1).await;
        let stop = |id: &str| [format!("{id} stopped Supervisor"), format!("{id} dropped")];
        let up = |id: &str| [format!("{id} init"), format!("{id} up")];
        let mut expected = vec!["c dropped".to_owned()];
        expected.extend([stop("b"), stop("a"), up("a")].concat());
        expected.push("b init".into());
        // The retry: what the first attempt had started is stopped again.
        expected.extend([stop("a"), up("a"), up("b"), up("c")].concat());
        assert_eq!(log.take(), expected);
        app.stop().await;
    });
}

#[test]
fn rest_for_one_goes_on_with_the_child_that_could_not_start() {
    run(async {
        let log = Log::default();
        let (app, kids) = tree(Supervisor::rest_for_one("app"), &log, PERMANENT).await;
        *kids[1].errors.lock().unwrap() = 1;
        crash(&kids[0]).await;
        until_restarted(&app, "c", 1).await;
        let lines = log.take();
        assert_eq!(
            lines[5..],
            [
                "a init", "a up", "b init", "b init", "b up", "c init", "c up"
            ],
            "a stays up in the retry: {lines:?}"
        );
        app.stop().await;
    });
}

#[test]
fn failed_attempts_of_a_group_count_each_and_requests_are_served_in_between() {
    run(async {
        let log = Log::default();
        let app = Supervisor::rest_for_one("app").intensity(3, LONG);
        let (app, kids) = tree(app, &log, PERMANENT).await;
        *kids[1].errors.lock().unwrap() = u32::MAX;
        crash(&kids[0]).await;
        let reason = app.wait().await;
        assert!(
            matches!(&reason, ExitReason::GaveUp { child, .. } if child == "b"),
            "{reason:?}"
        );
        assert_eq!(log.count("b init"), 3);

        let log = Log::default();
        let app = Supervisor::rest_for_one("app").intensity(u32::MAX, LONG);
        let (app, kids) = tree(app, &log, PERMANENT).await;
        *kids[1].errors.lock().unwrap() = u32::MAX;
        crash(&kids[0]).await;
        log.seen("b init", 2).await;
        let seen = states(&app).await;
        let expected = [
            ("a".to_owned(), ChildState::Running),
            ("b".to_owned(), ChildState::Restarting),
            ("c".to_owned(), ChildState::Stopped),
        ];
        assert_eq!(seen, expected);
        assert_eq!(
            app.restart_child("b").await,
            Err(ChildError::Restarting { id: "b".into() })
        );
        app.stop().await;
    });
}

#[test]
fn calling_off_the_retry_of_a_group_leaves_those_behind_it_down_and_tells_their_askers() {
    run(async {
        let log = Log::default();
        let app = Supervisor::rest_for_one("app").intensity(u32::MAX, LONG);
        let (app, kids) = tree(app, &log, PERMANENT).await;
        *kids[1].errors.lock().unwrap() = u32::MAX;
        crash(&kids[0]).await;
        log.seen("b init", 2).await;
        // It waits for c's next incarnation, which is owed to it.
        let asked = {
            let c = kids[2].handle.clone();
            actor_core::go(async move { Probe::echo(&c, 1).await })
        };
        while kids[2].handle.mailbox_len() < 1 {
            yield_now().await;
        }
        app.terminate_child("b").await.unwrap();
        assert_eq!(asked.await.unwrap(), Err(CallError::Stopped));
        assert!(kids[1].handle.is_stopped() && kids[2].handle.is_stopped());
        assert_eq!(Probe::life(&kids[0].handle).await, Ok(2));
        *kids[1].errors.lock().unwrap() = 0;
        app.restart_child("b").await.unwrap();
        assert_eq!(
            app.which_child("c").await.unwrap().state,
            ChildState::Stopped
        );
        app.restart_child("c").await.unwrap();
        assert_eq!(Probe::echo(&kids[2].handle, 7).await, Ok(7));
        app.stop().await;
    });
}

#[test]
fn a_later_retry_is_no_reason_to_wait_for_those_before_it() {
    run(async {
        let log = Log::default();
        let (a, a_kid) = child("a", &log);
        let (b, b_kid) = child("b", &log);
        let (c, c_kid) = child("c", &log);
        let (d, d_kid) = child("d", &log);
        let app = Supervisor::rest_for_one("app")
            .intensity(u32::MAX, LONG)
            .child(a)
            .child(b.backoff(LONG..2 * LONG))
            .child(c)
            .child(d.backoff(LONG..2 * LONG));
        let app = app.start().await.unwrap();
        *b_kid.errors.lock().unwrap() = u32::MAX;
        crash(&a_kid).await;
        until_state(&app, "b", ChildState::Restarting).await;
        app.restart_child("d").await.unwrap();
        crash(&d_kid).await;
        until_state(&app, "d", ChildState::Restarting).await;
        // It waits for b's retry, as c does; d's, which is left then, would not start c.
        let asked = actor_core::go({
            let c = c_kid.handle.clone();
            async move { Probe::echo(&c, 1).await }
        });
        while c_kid.handle.mailbox_len() < 1 {
            yield_now().await;
        }
        app.terminate_child("b").await.unwrap();
        assert_eq!(asked.await.unwrap(), Err(CallError::Stopped));
        app.stop().await;
    });
}

#[test]
fn siblings_that_crash_together_are_one_event() {
    run(async {
        let log = Log::default();
        let app = Supervisor::one_for_all("app").intensity(1, LONG);
        let (app, kids) = tree(app, &log, PERMANENT).await;
        // Both end before the supervisor can act on either: it is busy starting a child.
        let gate = Gate::new();
        let slow = Args {
            init_gate: Some(gate.clone()),
            ..Args::new("d", &log)
        };
        let starting = {
            let app = app.clone();
            let d = Child::<Probe>::new("d", move || slow.clone());
            actor_core::go(async move { app.start_child(d).await })
        };
        gate.entered().await;
        for kid in &kids[..2] {
            kid.handle.kill().await;
        }
        gate.open();
        starting.await.unwrap().unwrap();
        until_restarted(&app, "d", 1).await;
        assert_eq!(lives(&kids).await, [2, 2, 2]);
        assert!(!app.is_stopped());
        app.stop().await;
    });
}

#[test]
fn a_stop_during_a_group_restart_starts_no_further_child() {
    run(async {
        let log = Log::default();
        let gate = Gate::new();
        let a = Args::new("a", &log);
        let restarted = Arc::new(Mutex::new(false));
        let b = {
            let (gate, log) = (gate.clone(), log.clone());
            move || {
                let again = std::mem::replace(&mut *restarted.lock().unwrap(), true);
                Args {
                    init_gate: again.then(|| gate.clone()),
                    ..Args::new("b", &log)
                }
            }
        };
        let c = Args::new("c", &log);
        let a = Child::<Probe>::new("a", move || a.clone());
        let a_ref = a.handle();
        let app = Supervisor::one_for_all("app")
            .child(a)
            .child(Child::<Probe>::new("b", b))
            .child(Child::<Probe>::new("c", move || c.clone()))
            .start()
            .await
            .unwrap();
        assert_eq!(Probe::panic(&a_ref).await, Err(CallError::Panicked));
        gate.entered().await;
        assert_eq!(app.stop().await, ExitReason::Normal);
        assert_eq!(log.count("c init"), 1);
        assert_eq!(log.count("a dropped"), 2);
    });
}

#[test]
fn a_stop_while_siblings_make_way_for_a_restart_starts_none_of_them() {
    run(async {
        let log = Log::default();
        let (a, gate) = (Args::new("a", &log), Gate::new());
        let b = Args {
            stop_gate: Some(gate.clone()),
            ..Args::new("b", &log)
        };
        let a = Child::<Probe>::new("a", move || a.clone());
        let a_ref = a.handle();
        let app = Supervisor::one_for_all("app")
            .child(a)
            .child(Child::<Probe>::new("b", move || b.clone()));
        let app = app.start().await.unwrap();
        assert_eq!(Probe::panic(&a_ref).await, Err(CallError::Panicked));
        gate.entered().await;
        let stop = app.stop();
        gate.open();
        assert_eq!(stop.await, ExitReason::Normal);
        assert_eq!((log.count("a init"), log.count("b init")), (1, 1));
    });
}

#[test]
fn a_nested_supervisor_is_restarted_as_a_sibling_with_all_its_children() {
    run(async {
        let log = Log::default();
        let (a, b) = (Args::new("a", &log), Args::new("b", &log));
        let a = Child::<Probe>::new("a", move || a.clone());
        let b = Child::<Probe>::new("b", move || b.clone());
        let (a_ref, b_ref) = (a.handle(), b.handle());
        let app = Supervisor::one_for_all("app")
            .child(a)
            .child(Supervisor::one_for_one("inner").child(b))
            .child(ChildSpec::go("idle", std::future::pending::<()>));
        let app = app.start().await.unwrap();
        assert_eq!(Probe::panic(&a_ref).await, Err(CallError::Panicked));
        until_restarted(&app, "idle", 1).await;
        assert_eq!(Probe::life(&a_ref).await, Ok(2));
        assert_eq!(Probe::life(&b_ref).await, Ok(2));
        app.stop().await;
    });
}

#[test]
fn a_killed_child_of_a_group_restarts_it_too() {
    run(async {
        let log = Log::default();
        let (app, kids) = tree(Supervisor::one_for_all("app"), &log, PERMANENT).await;
        assert_eq!(kids[0].handle.kill().await, ExitReason::Killed);
        log.seen("c up", 1).await;
        assert_eq!(lives(&kids).await, [2, 2, 2]);
        app.stop().await;
    });
}
