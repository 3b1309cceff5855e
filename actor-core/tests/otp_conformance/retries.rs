//! Restarts that fail: they are tried again through the supervisor's own mailbox, so it hears
//! requests and its parent in between (OTP's try_again_restart).

use actor_core::{
    actor::{CallError, ExitReason},
    go,
    sched::yield_now,
    supervise::{ChildError, ChildState, Supervisor, SupervisorRef},
};

use crate::{
    Kid, LONG, PERMANENT, kid,
    probe::{Log, Probe},
    run, states, tree, until_restarted, until_state,
};

/// Children a, b, c, of which b can't start again, for ever, after a's or its own crash.
async fn hanging(app: Supervisor, log: &Log, crash: usize) -> (SupervisorRef, [Kid; 3]) {
    let (app, kids) = tree(app.intensity(u32::MAX, LONG), log, PERMANENT).await;
    kids[1].fail_inits(u32::MAX);
    kids[crash].crash().await;
    log.seen("b init", 2).await;
    (app, kids)
}

/// supervisor_SUITE: hanging_restart_loop. Requests are answered between the attempts.
#[test]
fn requests_are_served_between_attempts() {
    run(|| async {
        let log = Log::default();
        let (app, kids) = hanging(Supervisor::one_for_one("app"), &log, 1).await;
        for _ in 0..10 {
            assert_eq!(states(&app).await[1].1, ChildState::Restarting);
        }
        assert_eq!(kids[0].life().await, 1);
        let attempts = log.count("b init");
        log.seen("b init", attempts + 3).await;
        app.stop().await;
    });
}

/// supervisor_SUITE: hanging_restart_loop, its end: terminate_child stops the loop.
#[test]
fn terminate_child_calls_the_next_attempt_off() {
    run(|| async {
        let log = Log::default();
        let (app, kids) = hanging(Supervisor::one_for_one("app"), &log, 1).await;
        assert_eq!(app.terminate_child("b").await, Ok(()));
        let attempts = log.count("b init");
        // A retry that was under way would be served before these.
        for _ in 0..3 {
            assert_eq!(states(&app).await[1].1, ChildState::Stopped);
        }
        assert_eq!(log.count("b init"), attempts);
        assert!(kids[1].handle.is_stopped());
        assert_eq!(app.delete_child("b").await, Ok(()));
        app.stop().await;
    });
}

/// supervisor_SUITE: hanging_restart_loop_rest_for_one. Those behind the failing one wait for it.
#[test]
fn in_rest_for_one_the_former_run_and_the_later_wait_for_the_retry() {
    run(|| async {
        let log = Log::default();
        let (app, kids) = hanging(Supervisor::rest_for_one("app"), &log, 0).await;
        let expected = [
            ("a".to_owned(), ChildState::Running),
            ("b".to_owned(), ChildState::Restarting),
            ("c".to_owned(), ChildState::Stopped),
        ];
        assert_eq!(states(&app).await, expected);
        assert_eq!(kids[0].life().await, 2);
        kids[1].fail_inits(0);
        until_restarted(&app, "c", 1).await;
        assert_eq!(crate::lives(&kids).await[0], 2, "a was not started again");
        app.stop().await;
    });
}

/// supervisor_SUITE: hanging_restart_loop_rest_for_one, its end. Those behind the failing one stay
/// down, and those who wait for them are told.
#[test]
fn in_rest_for_one_calling_the_retry_off_leaves_the_later_ones_down() {
    run(|| async {
        let log = Log::default();
        let (app, kids) = hanging(Supervisor::rest_for_one("app"), &log, 0).await;
        let asked = {
            let c = kids[2].handle.clone();
            go(async move { Probe::echo(&c, 1).await })
        };
        while kids[2].handle.mailbox_len() < 1 {
            yield_now().await;
        }
        app.terminate_child("b").await.unwrap();
        assert_eq!(asked.await.unwrap(), Err(CallError::Stopped));
        assert_eq!(states(&app).await[2].1, ChildState::Stopped);
        app.restart_child("c").await.unwrap();
        assert_eq!(Probe::echo(&kids[2].handle, 1).await, Ok(1));
        app.stop().await;
    });
}

/// supervisor_SUITE: hanging_restart_loop_simple.
#[test]
fn a_dynamic_child_that_cannot_start_again_can_be_terminated_by_its_key() {
    run(|| async {
        let log = Log::default();
        let app = Supervisor::dynamic("app").intensity(u32::MAX, LONG);
        let app = app.start().await.unwrap();
        let (a, a_kid) = kid("a", &log);
        let key = app.start_child(a).await.unwrap();
        a_kid.fail_inits(u32::MAX);
        a_kid.crash().await;
        log.seen("a init", 3).await;
        let state = app.which_child(key).await.unwrap().state;
        assert_eq!(state, ChildState::Restarting);
        assert_eq!(app.terminate_child(key).await, Ok(()));
        assert_eq!(
            app.which_child(key).await,
            Err(ChildError::NotFound { child: key.into() })
        );
        let attempts = log.count("a init");
        assert_eq!(app.count_children().await.unwrap().specs, 0);
        assert_eq!(log.count("a init"), attempts);
        app.stop().await;
    });
}

/// supervisor.erl: terminate/2 while a retry is due: it is dropped.
#[test]
fn a_stop_is_heard_between_attempts() {
    run(|| async {
        for crash in [0, 1] {
            let log = Log::default();
            let app = Supervisor::one_for_all("app");
            let (app, kids) = hanging(app, &log, crash).await;
            assert_eq!(app.stop().await, ExitReason::Normal);
            assert!(kids.iter().all(|kid| kid.handle.is_stopped()));
            let attempts = log.count("b init");
            for _ in 0..100 {
                yield_now().await;
            }
            assert_eq!(log.count("b init"), attempts);
        }
    });
}

/// supervisor_SUITE: count_restarting_children. One that is being restarted is not active.
#[test]
fn a_child_that_is_being_restarted_is_a_spec_and_not_active() {
    run(|| async {
        let log = Log::default();
        let (app, kids) = hanging(Supervisor::one_for_one("app"), &log, 1).await;
        let counts = app.count_children().await.unwrap();
        assert_eq!((counts.specs, counts.active, counts.workers), (3, 2, 3));
        kids[1].fail_inits(0);
        until_state(&app, "b", ChildState::Running).await;
        assert_eq!(app.count_children().await.unwrap().active, 3);
        app.stop().await;
    });
}

/// supervisor.erl: a child whose start fails for a time is back when it works. Ours: what was sent
/// meanwhile waits for it.
#[test]
fn messages_wait_for_the_attempt_that_works() {
    run(|| async {
        let log = Log::default();
        let (app, kids) = hanging(Supervisor::one_for_one("app"), &log, 1).await;
        let asked = {
            let b = kids[1].handle.clone();
            go(async move { Probe::echo(&b, 7).await })
        };
        while kids[1].handle.mailbox_len() < 1 {
            yield_now().await;
        }
        kids[1].fail_inits(0);
        assert_eq!(asked.await.unwrap(), Ok(7));
        app.stop().await;
    });
}

/// supervisor.erl: try_again_restart for one_for_all begins with all, also when another child than
/// the first one fails the second time.
#[test]
fn an_attempt_may_fail_at_another_child_than_the_last() {
    run(|| async {
        let log = Log::default();
        let app = Supervisor::one_for_all("app").intensity(3, LONG);
        let (app, kids) = tree(app, &log, PERMANENT).await;
        kids[1].fail_inits(1);
        kids[2].fail_inits(1);
        kids[0].crash().await;
        until_restarted(&app, "c", 1).await;
        assert_eq!(
            ["a init", "b init", "c init"].map(|line| log.count(line)),
            [3, 3, 2],
            "b failed the first attempt, c the second"
        );
        app.stop().await;
    });
}
