//! A supervisor that gives up, and what its parent makes of it.

use actor_core::{
    actor::ExitReason,
    supervise::{ChildError, ChildSpec, ChildState, Restart, Supervisor, SupervisorRef},
};

use crate::{
    Kid, LONG, PERMANENT, kid, line, probe::Log, run, starts, stops, tree, until, until_restarted,
    until_specs,
};

async fn gives_up(app: Supervisor) {
    let log = Log::default();
    let (app, kids) = tree(app.intensity(0, LONG), &log, PERMANENT).await;
    kids[0].crash().await;
    let reason = app.wait().await;
    assert!(
        matches!(&reason, ExitReason::GaveUp { child, .. } if child == "a"),
        "{reason:?}"
    );
    assert_eq!(log.take(), [line("a dropped"), stops(&["c", "b"])].concat());
    assert!(kids.iter().all(|kid| kid.handle.is_stopped()));
}

/// supervisor_SUITE: one_for_one_escalation.
#[test]
fn one_for_one_gives_up_and_stops_its_children() {
    run(|| gives_up(Supervisor::one_for_one("app")));
}

/// supervisor_SUITE: one_for_all_escalation.
#[test]
fn one_for_all_gives_up_and_stops_its_children() {
    run(|| gives_up(Supervisor::one_for_all("app")));
}

/// supervisor_SUITE: rest_for_one_escalation.
#[test]
fn rest_for_one_gives_up_and_stops_its_children() {
    run(|| gives_up(Supervisor::rest_for_one("app")));
}

/// supervisor_SUITE: simple_one_for_one_escalation.
#[test]
fn simple_one_for_one_gives_up_and_stops_its_children() {
    run(|| async {
        let log = Log::default();
        let app = Supervisor::dynamic("app").intensity(0, LONG);
        let app = app.start().await.unwrap();
        let (a, a_kid) = kid("a", &log);
        let (b, b_kid) = kid("b", &log);
        app.start_child(a).await.unwrap();
        app.start_child(b).await.unwrap();
        a_kid.crash().await;
        assert!(matches!(app.wait().await, ExitReason::GaveUp { .. }));
        assert!(a_kid.handle.is_stopped() && b_kid.handle.is_stopped());
        assert_eq!(log.count("b stopped Supervisor"), 1);
    });
}

/// A supervisor above one that gives up at the first crash of its child.
async fn above(restart: Restart, log: &Log) -> (SupervisorRef, SupervisorRef, Kid) {
    let (a, a_kid) = kid("a", log);
    let inner = Supervisor::one_for_one("inner").intensity(0, LONG).child(a);
    let inner_ref = inner.handle();
    let app = Supervisor::one_for_one("app").intensity(1, LONG);
    let app = app.child(ChildSpec::from(inner).restart(restart));
    (app.start().await.unwrap(), inner_ref, a_kid)
}

/// Design Principles manual, Tuning the Intensity and Period: the parent restarts a permanent
/// supervisor that gave up, with its children.
#[test]
fn a_permanent_supervisor_that_gave_up_is_restarted_with_its_children() {
    run(|| async {
        let log = Log::default();
        let (app, inner, a) = above(Restart::Permanent, &log).await;
        a.crash().await;
        log.seen("a up", 2).await;
        assert_eq!(a.life().await, 2);
        let info = until(&app, "inner", |inner| inner.restarts == 1).await;
        assert!(matches!(info.last_exit, Some(ExitReason::GaveUp { .. })));
        assert_eq!(inner.count_children().await.unwrap().active, 1);
        app.stop().await;
    });
}

/// supervisor.erl: do_restart/3 leaves a transient supervisor down whose end is `shutdown`. Ours:
/// giving up is abnormal, so it is restarted.
#[test]
fn a_transient_supervisor_that_gave_up_is_restarted() {
    run(|| async {
        let log = Log::default();
        let (app, _, a) = above(Restart::Transient, &log).await;
        a.crash().await;
        log.seen("a up", 2).await;
        assert_eq!(a.life().await, 2);
        app.stop().await;
    });
}

/// supervisor.erl: do_restart/3 never restarts a temporary child, a supervisor or not.
#[test]
fn a_temporary_supervisor_that_gave_up_is_forgotten() {
    run(|| async {
        let log = Log::default();
        let (app, inner, a) = above(Restart::Temporary, &log).await;
        a.crash().await;
        until_specs(&app, 0).await;
        assert!(a.handle.is_stopped() && inner.is_stopped());
        assert_eq!(
            inner.count_children().await,
            Err(ChildError::SupervisorStopped)
        );
        app.stop().await;
    });
}

/// Design Principles manual, Tuning the Intensity and Period: levels multiply. With 1 above 1 the
/// fourth crash is one too many.
#[test]
fn the_intensities_of_two_levels_multiply() {
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
            log.seen("a up", life).await;
        }
        a_kid.crash().await;
        let ExitReason::GaveUp { child, reason, .. } = app.wait().await else {
            panic!("{:?}", app.wait().await)
        };
        assert_eq!(child, "inner");
        assert!(
            matches!(&*reason, ExitReason::GaveUp { child, .. } if child == "a"),
            "the reason of the reason is told: {reason:?}"
        );
        assert_eq!(log.count("a up"), 4);
    });
}

/// supervisor.erl: a supervisor whose restart fails at one of its children is a failed attempt of
/// its parent's, which tries again.
#[test]
fn a_supervisor_that_cannot_start_again_is_tried_again_by_its_parent() {
    run(|| async {
        let log = Log::default();
        let (a, a_kid) = kid("a", &log);
        let inner = Supervisor::one_for_one("inner").intensity(0, LONG).child(a);
        let app = Supervisor::one_for_one("app")
            .intensity(2, LONG)
            .child(inner);
        let app = app.start().await.unwrap();
        a_kid.fail_inits(1);
        a_kid.crash().await;
        log.seen("a up", 2).await;
        assert_eq!(log.count("a init"), 3);

        a_kid.fail_inits(u32::MAX);
        a_kid.crash().await;
        let ExitReason::GaveUp { reason, .. } = app.wait().await else {
            panic!("{:?}", app.wait().await)
        };
        assert!(
            matches!(
                &*reason,
                ExitReason::GaveUp { .. } | ExitReason::ChildFailed { .. }
            ),
            "{reason:?}"
        );
    });
}

/// supervisor.erl: restart/2 for rest_for_one, when the child that ended is a supervisor.
#[test]
fn a_supervisor_that_gives_up_concerns_its_later_siblings_in_rest_for_one() {
    run(|| async {
        let log = Log::default();
        let (deep, deep_kid) = kid("deep", &log);
        let inner = Supervisor::one_for_one("inner")
            .intensity(0, LONG)
            .child(deep);
        let (c, c_kid) = kid("c", &log);
        let (a, a_kid) = kid("a", &log);
        let app = Supervisor::rest_for_one("app")
            .child(a)
            .child(inner)
            .child(c);
        let app = app.start().await.unwrap();
        log.take();
        deep_kid.crash().await;
        until_restarted(&app, "c", 1).await;
        let expected = [line("deep dropped"), stops(&["c"]), starts(&["deep", "c"])];
        assert_eq!(log.take(), expected.concat());
        assert_eq!((a_kid.life().await, c_kid.life().await), (1, 2));
        app.stop().await;
    });
}

/// supervisor_SUITE: tree. One process at the bottom of a tree of three levels ends: each level that
/// gives up takes its own children with it, and nobody else's.
#[test]
fn in_a_tree_only_the_branch_that_gave_up_is_restarted() {
    run(|| async {
        let log = Log::default();
        let (a, a_kid) = kid("a", &log);
        let (b, b_kid) = kid("b", &log);
        let (c, c_kid) = kid("c", &log);
        let left = Supervisor::one_for_one("left").intensity(0, LONG);
        let left = left.child(a).child(b);
        let right = Supervisor::one_for_one("right").intensity(0, LONG).child(c);
        let app = Supervisor::one_for_one("app").child(left).child(right);
        let app = app.start().await.unwrap();
        a_kid.crash().await;
        until_restarted(&app, "left", 1).await;
        let lives = (a_kid.life().await, b_kid.life().await, c_kid.life().await);
        assert_eq!(lives, (2, 2, 1));
        assert_eq!(app.which_child("right").await.unwrap().restarts, 0);
        app.stop().await;
    });
}

/// supervisor_SUITE: tree, a supervisor that is killed. Its children end with it, and it is
/// restarted when they have.
#[test]
fn a_supervisor_that_is_killed_is_restarted_when_its_children_have_ended() {
    run(|| async {
        let log = Log::default();
        let (app, inner, a) = above(Restart::Permanent, &log).await;
        assert_eq!(inner.kill().await, ExitReason::Killed);
        let info = until(&app, "inner", |inner| inner.restarts == 1).await;
        assert_eq!(info.last_exit, Some(ExitReason::Killed));
        assert_eq!(a.life().await, 2);
        let lines = log.take();
        assert_eq!(
            lines,
            [starts(&["a"]), line("a dropped"), starts(&["a"])].concat()
        );
        app.stop().await;
    });
}

/// supervisor.erl: a supervisor that a user of it stops by itself has ended, and its parent restarts
/// it if it is permanent.
#[test]
fn a_permanent_supervisor_that_somebody_stops_is_restarted() {
    run(|| async {
        let log = Log::default();
        let (app, inner, a) = above(Restart::Permanent, &log).await;
        assert_eq!(inner.stop().await, ExitReason::Normal);
        log.seen("a up", 2).await;
        assert_eq!(a.life().await, 2);
        app.stop().await;

        let (app, inner, a) = above(Restart::Transient, &log).await;
        assert_eq!(inner.stop().await, ExitReason::Normal);
        until(&app, "inner", |inner| inner.state == ChildState::Stopped).await;
        assert!(a.handle.is_stopped());
        app.stop().await;
    });
}
