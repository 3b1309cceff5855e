//! What a restart does to siblings: who is stopped, who is started, in which order.

use std::time::Duration;

use actor_core::{
    actor::{CallError, ExitReason},
    go,
    supervise::{Child, ChildSpec, ChildState, OnRestart, Restart, Supervisor},
};

use crate::{
    LONG, PERMANENT, kid, kid_of, line, lives,
    probe::{Args, Gate, Log, Probe},
    run, starts, states, stops, tree, until, until_restarted, until_specs, until_state,
};

/// supervisor_SUITE: one_for_one.
#[test]
fn one_for_one_restarts_the_child_and_nobody_else() {
    run(|| async {
        let log = Log::default();
        let (app, kids) = tree(Supervisor::one_for_one("app"), &log, PERMANENT).await;
        kids[1].crash().await;
        until_restarted(&app, "b", 1).await;
        assert_eq!(log.take(), [line("b dropped"), starts(&["b"])].concat());
        assert_eq!(lives(&kids).await, [1, 2, 1]);
        app.stop().await;
    });
}

/// supervisor_SUITE: one_for_all.
#[test]
fn one_for_all_stops_the_others_in_reverse_and_starts_all_in_order() {
    run(|| async {
        let log = Log::default();
        let (app, kids) = tree(Supervisor::one_for_all("app"), &log, PERMANENT).await;
        kids[1].crash().await;
        until_restarted(&app, "c", 1).await;
        let expected = [
            line("b dropped"),
            stops(&["c", "a"]),
            starts(&["a", "b", "c"]),
        ];
        assert_eq!(log.take(), expected.concat());
        assert_eq!(lives(&kids).await, [2, 2, 2]);
        app.stop().await;
    });
}

/// supervisor_SUITE: rest_for_one.
#[test]
fn rest_for_one_stops_the_later_ones_in_reverse_and_starts_from_the_child_on() {
    run(|| async {
        let log = Log::default();
        let (app, kids) = tree(Supervisor::rest_for_one("app"), &log, PERMANENT).await;
        kids[1].crash().await;
        until_restarted(&app, "c", 1).await;
        let expected = [line("b dropped"), stops(&["c"]), starts(&["b", "c"])];
        assert_eq!(log.take(), expected.concat());
        assert_eq!(lives(&kids).await, [1, 2, 2]);
        app.stop().await;
    });
}

/// supervisor_SUITE: rest_for_one, the edges: the first child's end concerns all.
#[test]
fn rest_for_one_concerns_all_when_the_first_child_ends() {
    run(|| async {
        let log = Log::default();
        let (app, kids) = tree(Supervisor::rest_for_one("app"), &log, PERMANENT).await;
        kids[0].crash().await;
        until_restarted(&app, "c", 1).await;
        let expected = [
            line("a dropped"),
            stops(&["c", "b"]),
            starts(&["a", "b", "c"]),
        ];
        assert_eq!(log.take(), expected.concat());
        app.stop().await;
    });
}

/// supervisor_SUITE: rest_for_one, the edges: the last child's end concerns nobody else.
#[test]
fn rest_for_one_concerns_nobody_else_when_the_last_child_ends() {
    run(|| async {
        let log = Log::default();
        let (app, kids) = tree(Supervisor::rest_for_one("app"), &log, PERMANENT).await;
        kids[2].crash().await;
        until_restarted(&app, "c", 1).await;
        assert_eq!(log.take(), [line("c dropped"), starts(&["c"])].concat());
        assert_eq!(lives(&kids).await, [1, 1, 2]);
        app.stop().await;
    });
}

/// supervisor_SUITE: simple_one_for_one.
#[test]
fn simple_one_for_one_restarts_the_child_and_nobody_else() {
    run(|| async {
        let log = Log::default();
        let app = Supervisor::dynamic("app").start().await.unwrap();
        let (one, one_kid) = kid("one", &log);
        let (two, two_kid) = kid("two", &log);
        app.start_child(one).await.unwrap();
        app.start_child(two).await.unwrap();
        one_kid.crash().await;
        assert_eq!((one_kid.life().await, two_kid.life().await), (2, 1));
        app.stop().await;
    });
}

/// supervisor.erl: restart/2 for one_for_all starts all children that have a spec, so a transient
/// one that has finished runs again.
#[test]
fn one_for_all_revives_a_sibling_that_has_finished() {
    run(|| async {
        let log = Log::default();
        let types = [Restart::Transient, Restart::Permanent, Restart::Permanent];
        let (app, kids) = tree(Supervisor::one_for_all("app"), &log, types).await;
        kids[0].finish().await;
        until_state(&app, "a", ChildState::Stopped).await;
        kids[1].crash().await;
        until_restarted(&app, "b", 1).await;
        assert_eq!(lives(&kids).await, [2, 2, 2]);
        app.stop().await;
    });
}

/// supervisor.erl: restart/2 for one_for_all starts a child that terminate_child had stopped too.
#[test]
fn one_for_all_revives_a_sibling_that_was_terminated() {
    run(|| async {
        let log = Log::default();
        let (app, kids) = tree(Supervisor::one_for_all("app"), &log, PERMANENT).await;
        app.terminate_child("c").await.unwrap();
        kids[1].crash().await;
        until_restarted(&app, "c", 1).await;
        assert_eq!(lives(&kids).await, [2, 2, 2]);
        app.stop().await;
    });
}

/// supervisor.erl: restart/2 for rest_for_one splits the children at the one that ended.
#[test]
fn rest_for_one_revives_later_siblings_and_leaves_earlier_ones_down() {
    run(|| async {
        let log = Log::default();
        let (app, kids) = tree(Supervisor::rest_for_one("app"), &log, PERMANENT).await;
        app.terminate_child("a").await.unwrap();
        app.terminate_child("c").await.unwrap();
        kids[1].crash().await;
        until_restarted(&app, "c", 1).await;
        assert_eq!(kids[2].life().await, 2);
        assert_eq!(states(&app).await[0].1, ChildState::Stopped);
        app.stop().await;
    });
}

/// supervisor_SUITE: temporary_bystander. A temporary sibling is stopped with its group, forgotten,
/// and not started.
#[test]
fn temporary_siblings_are_stopped_and_forgotten_in_a_group_restart() {
    run(|| async {
        let types = [Restart::Temporary, Restart::Permanent, Restart::Temporary];
        for (app, left) in [
            (Supervisor::one_for_all("all"), &["b"][..]),
            (Supervisor::rest_for_one("rest"), &["a", "b"]),
        ] {
            let log = Log::default();
            let (app, kids) = tree(app, &log, types).await;
            kids[1].crash().await;
            until_restarted(&app, "b", 1).await;
            let kept = states(&app).await;
            assert_eq!(kept.iter().map(|c| &*c.0).collect::<Vec<_>>(), left);
            assert_eq!(log.count("c init") + log.count("a init"), 0);
            assert!(log.has("c stopped Supervisor") && kids[2].handle.is_stopped());
            app.stop().await;
        }
    });
}

/// supervisor_SUITE: one_for_all_other_child_fails_restart. The next attempt begins with the first.
#[test]
fn one_for_all_begins_anew_when_a_sibling_cannot_start() {
    run(|| async {
        let log = Log::default();
        let (app, kids) = tree(Supervisor::one_for_all("app"), &log, PERMANENT).await;
        kids[1].fail_inits(1);
        kids[0].crash().await;
        until_restarted(&app, "c", 1).await;
        let expected = [
            line("a dropped"),
            stops(&["c", "b"]),
            starts(&["a"]),
            line("b init"),
            stops(&["a"]),
            starts(&["a", "b", "c"]),
        ];
        assert_eq!(log.take(), expected.concat());
        app.stop().await;
    });
}

/// supervisor_SUITE: rest_for_one_other_child_fails_restart. Those before the failed one stay up.
#[test]
fn rest_for_one_goes_on_with_the_sibling_that_could_not_start() {
    run(|| async {
        let log = Log::default();
        let (app, kids) = tree(Supervisor::rest_for_one("app"), &log, PERMANENT).await;
        kids[1].fail_inits(1);
        kids[0].crash().await;
        until_restarted(&app, "c", 1).await;
        let expected = [
            line("a dropped"),
            stops(&["c", "b"]),
            starts(&["a"]),
            line("b init"),
            starts(&["b", "c"]),
        ];
        assert_eq!(log.take(), expected.concat());
        app.stop().await;
    });
}

/// supervisor.erl: terminate_children/2 takes the exit of a sibling that is ending already for its
/// stop; it is not a second event.
#[test]
fn siblings_that_end_together_are_one_event() {
    run(|| async {
        let log = Log::default();
        let app = Supervisor::one_for_all("app").intensity(1, LONG);
        let (app, kids) = tree(app, &log, PERMANENT).await;
        // All end before the supervisor can act on any: it is busy starting a child.
        let gate = Gate::new();
        let slow = Args {
            init_gate: Some(gate.clone()),
            ..Args::new("d", &log)
        };
        let starting = {
            let app = app.clone();
            go(async move { app.start_child(kid_of(slow).0).await })
        };
        gate.entered().await;
        for kid in &kids {
            kid.handle.kill().await;
        }
        gate.open();
        starting.await.unwrap().unwrap();
        until_restarted(&app, "d", 1).await;
        assert_eq!(lives(&kids).await, [2, 2, 2]);
        app.stop().await;
    });
}

/// supervisor.erl: terminate_children/2 uses each sibling's shutdown, here with a deadline.
#[test]
fn a_sibling_past_its_deadline_is_killed_and_the_restart_goes_on() {
    run(|| async {
        let log = Log::default();
        let (a, a_kid) = kid("a", &log);
        let deaf = Args {
            stop_gate: Some(Gate::new()),
            ..Args::new("b", &log)
        };
        let (b, b_kid) = kid_of(deaf);
        let b = b.stop_within(Duration::from_millis(5));
        let app = Supervisor::one_for_all("app").child(a).child(b);
        let app = app.start().await.unwrap();
        a_kid.crash().await;
        let b = until(&app, "b", |b| b.restarts == 1).await;
        assert_eq!(b.last_exit, Some(ExitReason::Killed));
        assert_eq!((a_kid.life().await, b_kid.life().await), (2, 2));
        app.kill().await;
    });
}

/// Design Principles manual, Restart Strategy: a child that is a supervisor is stopped and started
/// with all its children.
#[test]
fn a_supervisor_is_restarted_as_a_sibling_with_its_whole_tree() {
    run(|| async {
        let log = Log::default();
        let (a, a_kid) = kid("a", &log);
        let inner = Supervisor::one_for_one("inner")
            .child(kid("b", &log).0)
            .child(kid("c", &log).0);
        let app = Supervisor::one_for_all("app").child(a).child(inner);
        let app = app.start().await.unwrap();
        log.take();
        a_kid.crash().await;
        until_restarted(&app, "inner", 1).await;
        let expected = [
            line("a dropped"),
            stops(&["c", "b"]),
            starts(&["a", "b", "c"]),
        ];
        assert_eq!(log.take(), expected.concat());
        app.stop().await;
    });
}

/// supervisor.erl: a restarted child is a new process with an empty mailbox. Ours: handle and
/// mailbox stay; the message that crashed is consumed, the rest waits for the next incarnation.
#[test]
fn a_restart_keeps_the_handle_and_what_is_queued() {
    run(|| async {
        let (log, life) = queued_behind_a_crash(OnRestart::Keep).await;
        assert_eq!(life, Ok(2), "handled by the next incarnation");
        assert_eq!(log.count("a up"), 2);
    });
}

/// supervisor.erl: a restarted child is a new process with an empty mailbox; ours too with
/// `OnRestart::Clear`, and who asked is told.
#[test]
fn a_restart_that_clears_the_mailbox_tells_those_who_asked() {
    run(|| async {
        let (_, life) = queued_behind_a_crash(OnRestart::Clear).await;
        assert_eq!(life, Err(CallError::Stopped));
    });
}

/// An ask that is queued behind the message that crashes the actor, and its answer.
async fn queued_behind_a_crash(what: OnRestart) -> (Log, Result<u64, CallError>) {
    let log = Log::default();
    let args = Args::new("a", &log);
    let a = Child::<Probe>::new("a", move || args.clone()).on_restart(what);
    let handle = a.handle();
    let app = Supervisor::one_for_one("app")
        .child(a)
        .start()
        .await
        .unwrap();
    let gate = Gate::new();
    Probe::hold(&handle, &gate).tell().await.unwrap();
    gate.entered().await;
    Probe::panic(&handle).tell().await.unwrap();
    let asked = {
        let handle = handle.clone();
        go(async move { Probe::life(&handle).await })
    };
    while handle.mailbox_len() < 2 {
        actor_core::sched::yield_now().await;
    }
    gate.open();
    let life = asked.await.unwrap();
    until_restarted(&app, "a", 1).await;
    app.stop().await;
    (log, life)
}

/// supervisor_SUITE: do_not_save_child_specs_for_temporary_children. The id is free again.
#[test]
fn the_id_of_a_temporary_child_that_ended_is_free() {
    run(|| async {
        let app = Supervisor::one_for_all("app").intensity(0, LONG);
        let app = app.start().await.unwrap();
        for _ in 0..10 {
            app.start_child(ChildSpec::once("again", async {}))
                .await
                .unwrap();
            until_specs(&app, 0).await;
        }
        app.stop().await;
    });
}
