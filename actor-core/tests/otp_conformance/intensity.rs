//! How often children may be restarted: what counts, what doesn't, and what happens then.
//!
//! OTP's clock is in whole seconds, so that two crashes 1.85 s apart may be within a period of 1 s.
//! Ours: nanoseconds, `[now - window, now]`. The edges are tested in virtual time.

use std::time::Duration;

use actor_core::{
    actor::ExitReason,
    sched::{Instant, sleep},
    supervise::{ChildState, Restart, Supervisor},
};

use crate::{
    LONG, PERMANENT, kid, probe::Log, run, stops, tree, until_restarted, until_specs, until_state,
};

/// supervisor.erl: add_restart/1, in_period. As many as the intensity says, and not one more.
#[test]
fn one_restart_more_than_the_intensity_ends_the_supervisor() {
    run(|| async {
        let log = Log::default();
        let (a, a_kid) = kid("a", &log);
        let app = Supervisor::one_for_one("app").intensity(3, LONG).child(a);
        let app = app.start().await.unwrap();
        for life in 2..=4 {
            a_kid.crash().await;
            assert_eq!(a_kid.life().await, life);
        }
        a_kid.crash().await;
        let ExitReason::GaveUp {
            restarts_max: 3, ..
        } = app.wait().await
        else {
            panic!("{:?}", app.wait().await)
        };
        assert_eq!(log.count("a init"), 4);
    });
}

/// supervisor.erl: add_restart/1 with intensity 0: the first exit that calls for a restart.
#[test]
fn intensity_0_gives_up_at_the_first_crash() {
    run(|| async {
        let log = Log::default();
        let app = Supervisor::one_for_one("app").intensity(0, LONG);
        let (app, kids) = tree(app, &log, PERMANENT).await;
        kids[1].crash().await;
        assert!(matches!(app.wait().await, ExitReason::GaveUp { .. }));
        assert_eq!(log.count("b init"), 0);
    });
}

/// supervisor.erl: handle_cast try_again_restart counts each attempt. Intensity 3, one crash, starts
/// that always fail: exactly 3 of them.
#[test]
fn attempts_that_fail_count_too() {
    run(|| async {
        let log = Log::default();
        let (a, a_kid) = kid("a", &log);
        let app = Supervisor::one_for_one("app").intensity(3, LONG).child(a);
        let app = app.start().await.unwrap();
        log.take();
        a_kid.fail_inits(u32::MAX);
        a_kid.crash().await;
        let ExitReason::GaveUp { reason, .. } = app.wait().await else {
            panic!("{:?}", app.wait().await)
        };
        assert!(matches!(*reason, ExitReason::InitFailed { .. }), "{reason}");
        assert_eq!(log.count("a init"), 3);
    });
}

/// supervisor.erl: add_restart/1 is called once for a restart of one_for_all or rest_for_one.
#[test]
fn a_restart_of_a_group_counts_once() {
    run(|| async {
        for app in [
            Supervisor::one_for_all("all"),
            Supervisor::rest_for_one("rest"),
        ] {
            let log = Log::default();
            let (app, kids) = tree(app.intensity(2, LONG), &log, PERMANENT).await;
            for times in 1..=2 {
                kids[0].crash().await;
                until_restarted(&app, "c", times).await;
            }
            kids[0].crash().await;
            assert!(matches!(app.wait().await, ExitReason::GaveUp { .. }));
            assert_eq!(log.count("c up"), 2);
        }
    });
}

/// supervisor.erl: the state has one list of restarts, for all children.
#[test]
fn all_children_share_one_count() {
    run(|| async {
        let log = Log::default();
        let app = Supervisor::one_for_one("app").intensity(2, LONG);
        let (app, kids) = tree(app, &log, PERMANENT).await;
        kids[0].crash().await;
        until_restarted(&app, "a", 1).await;
        kids[1].crash().await;
        until_restarted(&app, "b", 1).await;
        kids[2].crash().await;
        let ExitReason::GaveUp { child, .. } = app.wait().await else {
            panic!("{:?}", app.wait().await)
        };
        assert_eq!(child, "c");
    });
}

/// supervisor.erl: handle_call restart_child and terminate_child never call add_restart/1.
#[test]
fn requests_never_count() {
    run(|| async {
        let log = Log::default();
        let app = Supervisor::one_for_one("app").intensity(1, LONG);
        let (app, kids) = tree(app, &log, PERMANENT).await;
        for life in 2..=21 {
            app.terminate_child("a").await.unwrap();
            app.restart_child("a").await.unwrap();
            assert_eq!(kids[0].life().await, life);
        }
        // The one restart that it may have is still to be had.
        kids[0].crash().await;
        until_restarted(&app, "a", 1).await;
        app.stop().await;
    });
}

/// supervisor.erl: handle_call restart_child whose start fails counts no restart either.
#[test]
fn requests_that_fail_never_count() {
    run(|| async {
        let log = Log::default();
        let app = Supervisor::one_for_one("app").intensity(1, LONG);
        let (app, kids) = tree(app, &log, PERMANENT).await;
        app.terminate_child("a").await.unwrap();
        kids[0].fail_inits(5);
        for _ in 0..5 {
            assert!(app.restart_child("a").await.is_err());
        }
        app.restart_child("a").await.unwrap();
        kids[0].crash().await;
        until_restarted(&app, "a", 1).await;
        app.stop().await;
    });
}

/// supervisor.erl: do_restart/3 counts nothing for an end that calls for no restart.
#[test]
fn an_end_that_calls_for_no_restart_never_counts() {
    run(|| async {
        let log = Log::default();
        let types = [Restart::Transient, Restart::Temporary, Restart::Permanent];
        let app = Supervisor::one_for_all("app").intensity(1, LONG);
        let (app, kids) = tree(app, &log, types).await;
        kids[0].finish().await;
        until_state(&app, "a", ChildState::Stopped).await;
        kids[1].crash().await;
        until_specs(&app, 2).await;
        assert_eq!(kids[2].life().await, 1);
        kids[2].crash().await;
        until_restarted(&app, "c", 1).await;
        app.stop().await;
    });
}

/// supervisor_SUITE: multiple_restarts. Restarts that are further apart than the window never add
/// up.
#[actor_core::test(sim, seeds = 100)]
async fn restarts_that_are_out_of_the_window_never_add_up() {
    let log = Log::default();
    let window = Duration::from_secs(5);
    let (a, a_kid) = kid("a", &log);
    let app = Supervisor::one_for_one("app").intensity(1, window).child(a);
    let app = app.start().await.unwrap();
    for life in 2..=50 {
        a_kid.crash().await;
        assert_eq!(a_kid.life().await, life);
        sleep(window + Duration::from_nanos(1)).await;
    }
    app.stop().await;
}

/// supervisor.erl: in_period/3, which includes the edge. Ours: to the nanosecond.
#[actor_core::test(sim, seeds = 100)]
async fn a_restart_that_is_exactly_a_window_old_counts_and_an_older_one_does_not() {
    let window = Duration::from_secs(5);
    let edge = Duration::from_nanos(1);
    for (apart, gives_up) in [
        (window - edge, true),
        (window, true),
        (window + edge, false),
    ] {
        let log = Log::default();
        let (a, a_kid) = kid("a", &log);
        let app = Supervisor::one_for_one("app").intensity(1, window).child(a);
        let app = app.start().await.unwrap();
        let first = Instant::now();
        a_kid.crash().await;
        until_restarted(&app, "a", 1).await;
        sleep(apart - first.elapsed()).await;
        a_kid.crash().await;
        if gives_up {
            assert!(
                matches!(app.wait().await, ExitReason::GaveUp { .. }),
                "{apart:?}"
            );
        } else {
            until_restarted(&app, "a", 2).await;
        }
        app.stop().await;
    }
}

/// supervisor.erl: add_restart/3 keeps those of the last period only: of three, the first is out when
/// the third comes, and the second is not.
#[actor_core::test(sim, seeds = 100)]
async fn the_window_slides_and_does_not_begin_anew() {
    let window = Duration::from_secs(10);
    let log = Log::default();
    let (a, a_kid) = kid("a", &log);
    let app = Supervisor::one_for_one("app").intensity(2, window).child(a);
    let app = app.start().await.unwrap();
    // At 0, 6 and 12 s two are within any 10 s; one more at 13 s is the third since 6 s.
    for (restarts, pause) in [(1, 6), (2, 6), (3, 1)] {
        a_kid.crash().await;
        until_restarted(&app, "a", restarts).await;
        sleep(Duration::from_secs(pause)).await;
    }
    a_kid.crash().await;
    assert!(matches!(app.wait().await, ExitReason::GaveUp { .. }));
}

/// supervisor.erl: terminate/2 after reached_max_restart_intensity, in reverse start order.
#[test]
fn a_supervisor_that_gives_up_stops_the_others_in_reverse() {
    run(|| async {
        let log = Log::default();
        let app = Supervisor::one_for_one("app").intensity(0, LONG);
        let (app, kids) = tree(app, &log, PERMANENT).await;
        kids[1].crash().await;
        app.wait().await;
        let expected = [vec!["b dropped".to_owned()], stops(&["c", "a"])].concat();
        assert_eq!(log.take(), expected);
    });
}

/// supervisor.erl: reached_max_restart_intensity ends it with `shutdown`. Ours: `GaveUp` says which
/// child, how it ended, and which limit was passed.
#[test]
fn giving_up_says_which_child_and_why() {
    run(|| async {
        let log = Log::default();
        let app = Supervisor::one_for_one("app").intensity(0, LONG);
        let (app, kids) = tree(app, &log, PERMANENT).await;
        kids[1].crash().await;
        let reason = app.wait().await;
        let expected = ExitReason::GaveUp {
            child: "b".into(),
            reason: Box::new(ExitReason::Panicked {
                message: "told to".into(),
            }),
            restarts_max: 0,
            window: LONG,
        };
        assert_eq!(reason, expected);
        assert!(!reason.is_orderly());
    });
}

/// supervisor.erl: a supervisor that is restarted begins with an empty list of restarts.
#[test]
fn a_restarted_supervisor_counts_anew() {
    run(|| async {
        let log = Log::default();
        let (a, a_kid) = kid("a", &log);
        let inner = Supervisor::one_for_one("inner").intensity(1, LONG).child(a);
        let app = Supervisor::one_for_one("app")
            .intensity(1, LONG)
            .child(inner);
        let app = app.start().await.unwrap();
        for life in 2..=4 {
            a_kid.crash().await;
            // 2 and 4 by inner, 3 by app.
            log.seen("a up", life).await;
        }
        until_restarted(&app, "inner", 1).await;
        assert!(!app.is_stopped());
        app.stop().await;
    });
}
