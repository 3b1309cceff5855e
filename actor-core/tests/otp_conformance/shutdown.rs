//! Stopping children: in which order, for how long, and with which reason.

use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use actor_core::{
    actor::ExitReason,
    go,
    sched::{Instant, yield_now},
    supervise::{Child, ChildSpec, Restart, StopSignal, Supervisor},
};

use crate::{
    Kid, LONG, PERMANENT, kid, kid_of, line,
    probe::{Args, Gate, Log, Probe},
    run, stops, tree, until,
};

const MS: Duration = Duration::from_millis(1);

/// An actor whose stop hook ends when the gate is opened.
fn slow_to_stop(id: &'static str, log: &Log, gate: &Gate) -> (Child<Probe>, Kid) {
    kid_of(Args {
        stop_gate: Some(gate.clone()),
        ..Args::new(id, log)
    })
}

/// supervisor.erl: terminate_children/2 goes through the children in reverse start order, whatever
/// the strategy.
#[test]
fn children_stop_in_reverse_start_order() {
    run(|| async {
        for app in [
            Supervisor::one_for_one("one"),
            Supervisor::one_for_all("all"),
            Supervisor::rest_for_one("rest"),
        ] {
            let log = Log::default();
            let (app, _kids) = tree(app, &log, PERMANENT).await;
            assert_eq!(app.stop().await, ExitReason::Normal);
            assert_eq!(log.take(), stops(&["c", "b", "a"]));
        }
    });
}

/// supervisor.erl: a child that is started later stops earlier, and a restarted one keeps its place.
#[test]
fn the_stop_order_is_that_of_the_first_starts() {
    run(|| async {
        let log = Log::default();
        let (app, kids) = tree(Supervisor::one_for_one("app"), &log, PERMANENT).await;
        app.start_child(kid("d", &log).0).await.unwrap();
        kids[0].crash().await;
        assert_eq!(kids[0].life().await, 2);
        app.terminate_child("b").await.unwrap();
        app.restart_child("b").await.unwrap();
        log.take();
        app.stop().await;
        assert_eq!(log.take(), stops(&["d", "c", "b", "a"]));
    });
}

/// supervisor_SUITE: tree. A supervisor stops its own children before its earlier sibling stops.
#[test]
fn a_tree_stops_depth_first_in_reverse() {
    run(|| async {
        let log = Log::default();
        let inner = Supervisor::one_for_all("inner")
            .child(kid("b", &log).0)
            .child(kid("c", &log).0);
        let app = Supervisor::one_for_one("app")
            .child(kid("a", &log).0)
            .child(inner)
            .child(kid("d", &log).0);
        let app = app.start().await.unwrap();
        log.take();
        app.stop().await;
        assert_eq!(log.take(), stops(&["d", "c", "b", "a"]));
    });
}

/// supervisor.erl: shutdown/1 waits for one child's end before it goes to the next.
#[test]
fn the_next_child_is_not_asked_before_the_last_one_has_ended() {
    run(|| async {
        let log = Log::default();
        let gate = Gate::new();
        let (b, _) = slow_to_stop("b", &log, &gate);
        let app = Supervisor::one_for_one("app")
            .child(kid("a", &log).0)
            .child(b);
        let app = app.start().await.unwrap();
        log.take();
        let stopping = app.stop();
        gate.entered().await;
        for _ in 0..100 {
            yield_now().await;
        }
        assert_eq!(log.take(), ["b stopped Supervisor"]);
        gate.open();
        stopping.await;
        assert_eq!(log.take(), [line("b dropped"), stops(&["a"])].concat());
    });
}

/// supervisor_SUITE: sup_stop_infinity.
#[test]
fn a_child_with_infinity_is_waited_for() {
    run(|| async {
        let log = Log::default();
        let gate = Gate::new();
        let (a, a_kid) = slow_to_stop("a", &log, &gate);
        let app = Supervisor::one_for_one("app").child(a.stop_within(Duration::MAX));
        let app = app.start().await.unwrap();
        let stopping = app.stop();
        gate.entered().await;
        for _ in 0..100 {
            yield_now().await;
        }
        assert!(!a_kid.handle.is_stopped());
        gate.open();
        stopping.await;
        assert_eq!(a_kid.handle.wait().await, ExitReason::Shutdown);
    });
}

/// supervisor_SUITE: sup_stop_timeout. `shutdown` for who stops in time, `killed` for who doesn't.
#[test]
fn a_child_past_its_deadline_is_killed_and_the_others_stop_in_order() {
    run(|| async {
        let log = Log::default();
        let (a, a_kid) = kid("a", &log);
        let (b, b_kid) = slow_to_stop("b", &log, &Gate::new());
        let (c, c_kid) = kid("c", &log);
        let app = Supervisor::one_for_one("app").child(a);
        let app = app.child(b.stop_within(10 * MS)).child(c);
        let app = app.start().await.unwrap();
        log.take();
        let asked = Instant::now();
        app.stop().await;
        assert!(asked.elapsed() >= 10 * MS, "b had its time");
        assert_eq!(log.take(), stops(&["c", "b", "a"]));
        assert_eq!(a_kid.handle.wait().await, ExitReason::Shutdown);
        assert_eq!(b_kid.handle.wait().await, ExitReason::Killed);
        assert_eq!(c_kid.handle.wait().await, ExitReason::Shutdown);
    });
}

/// supervisor_SUITE: sup_stop_brutal_kill.
#[test]
fn a_child_with_brutal_kill_is_not_asked() {
    run(|| async {
        let log = Log::default();
        let (a, a_kid) = kid("a", &log);
        let (b, b_kid) = kid("b", &log);
        let app = Supervisor::one_for_one("app").child(a);
        let app = app
            .child(b.stop_within(Duration::ZERO))
            .start()
            .await
            .unwrap();
        log.take();
        app.stop().await;
        assert_eq!(log.take(), [line("b dropped"), stops(&["a"])].concat());
        assert_eq!(a_kid.handle.wait().await, ExitReason::Shutdown);
        assert_eq!(b_kid.handle.wait().await, ExitReason::Killed);
    });
}

/// supervisor_SUITE: sup_stop_brutal_kill_dynamic.
#[test]
fn a_dynamic_child_with_brutal_kill_is_not_asked() {
    run(|| async {
        let log = Log::default();
        let app = Supervisor::dynamic("app").start().await.unwrap();
        let (a, a_kid) = kid("a", &log);
        let (b, b_kid) = kid("b", &log);
        app.start_child(a).await.unwrap();
        app.start_child(b.stop_within(Duration::ZERO))
            .await
            .unwrap();
        app.stop().await;
        assert_eq!(a_kid.handle.wait().await, ExitReason::Shutdown);
        assert_eq!(b_kid.handle.wait().await, ExitReason::Killed);
        assert!(!log.has("b stopped Supervisor"));
    });
}

/// supervisor_SUITE: simple_one_for_one_shutdown. A dynamic supervisor asks all before it waits for
/// any: each of these ends only when all have been asked.
#[test]
fn dynamic_children_are_asked_all_at_once() {
    run(|| async {
        let app = Supervisor::dynamic("app").start().await.unwrap();
        let asked = Arc::new(AtomicU32::new(0));
        for _ in 0..3 {
            let asked = Arc::clone(&asked);
            let waits = ChildSpec::go_until("waits", move |stop: StopSignal| {
                let asked = Arc::clone(&asked);
                async move {
                    stop.requested().await;
                    asked.fetch_add(1, Ordering::SeqCst);
                    while asked.load(Ordering::SeqCst) < 3 {
                        yield_now().await;
                    }
                }
            });
            app.start_child(waits.stop_within(Duration::MAX))
                .await
                .unwrap();
        }
        assert_eq!(app.stop().await, ExitReason::Normal);
    });
}

/// supervisor_SUITE: sup_stop_dynamic. The deadlines run side by side, and each is kept.
#[test]
fn dynamic_children_have_their_own_deadlines() {
    run(|| async {
        let log = Log::default();
        let app = Supervisor::dynamic("app").start().await.unwrap();
        let deaf = |within| ChildSpec::go_until("deaf", |_| pending::<()>()).stop_within(within);
        app.start_child(deaf(20 * MS)).await.unwrap();
        app.start_child(deaf(10 * MS)).await.unwrap();
        let (a, a_kid) = kid("a", &log);
        app.start_child(a).await.unwrap();
        let asked = Instant::now();
        app.stop().await;
        assert!(asked.elapsed() >= 20 * MS);
        assert_eq!(a_kid.handle.wait().await, ExitReason::Shutdown);
    });
}

/// supervisor.erl: shutdown/1 returns ok when the kill was needed, and so does terminate_child.
#[test]
fn terminate_child_is_ok_when_the_kill_was_needed() {
    run(|| async {
        let log = Log::default();
        let (a, a_kid) = slow_to_stop("a", &log, &Gate::new());
        let app = Supervisor::one_for_one("app").child(a.stop_within(5 * MS));
        let app = app.start().await.unwrap();
        assert_eq!(app.terminate_child("a").await, Ok(()));
        assert_eq!(a_kid.handle.wait().await, ExitReason::Killed);
        let info = app.which_child("a").await.unwrap();
        assert_eq!(info.last_exit, Some(ExitReason::Killed));
        app.stop().await;
    });
}

/// supervisor_SUITE: child_unlink. A child that has ended before it is asked can't hang the stop.
#[test]
fn a_child_that_ended_before_it_is_asked_is_not_waited_for() {
    run(|| async {
        let log = Log::default();
        let gate = Gate::new();
        let (a, a_kid) = kid("a", &log);
        let (b, _) = slow_to_stop("b", &log, &gate);
        let app = Supervisor::one_for_one("app").child(a.stop_within(Duration::MAX));
        let app = app
            .child(b.stop_within(Duration::MAX))
            .start()
            .await
            .unwrap();
        log.take();
        let stopping = app.stop();
        gate.entered().await;
        // The supervisor waits for b, and hears of a's end meanwhile.
        a_kid.handle.kill().await;
        gate.open();
        assert_eq!(stopping.await, ExitReason::Normal);
        let lines = log.take();
        assert_eq!(lines, ["b stopped Supervisor", "a dropped", "b dropped"]);
    });
}

/// supervisor.erl: a child that crashes while it is asked to stop is reported, and the rest stops.
#[test]
fn a_child_that_crashes_in_its_stop_is_not_restarted_and_the_rest_stops() {
    run(|| async {
        let log = Log::default();
        let (a, a_kid) = kid("a", &log);
        let (b, b_kid) = kid_of(Args {
            stop_panic: true,
            ..Args::new("b", &log)
        });
        let app = Supervisor::one_for_one("app").child(a).child(b);
        let app = app.start().await.unwrap();
        log.take();
        assert_eq!(app.stop().await, ExitReason::Normal);
        assert_eq!(log.take(), stops(&["b", "a"]));
        let reason = b_kid.handle.wait().await;
        assert!(matches!(reason, ExitReason::Panicked { .. }), "{reason:?}");
        assert_eq!(a_kid.handle.wait().await, ExitReason::Shutdown);
    });
}

/// supervisor.erl: handle_info `EXIT` of the parent. A supervisor ends with the reason for which its
/// parent stops it, after its children.
#[test]
fn a_supervisor_that_its_parent_stops_ends_with_shutdown_after_its_children() {
    run(|| async {
        let log = Log::default();
        let (a, a_kid) = kid("a", &log);
        let inner = Supervisor::one_for_one("inner").child(a);
        let inner_ref = inner.handle();
        let app = Supervisor::one_for_one("app").child(inner);
        let app = app.start().await.unwrap();
        let told = {
            let (inner, log) = (inner_ref.clone(), log.clone());
            go(async move {
                let reason = inner.wait().await;
                log.add("inner ended");
                reason
            })
        };
        log.take();
        app.stop().await;
        assert_eq!(told.await.unwrap(), ExitReason::Shutdown);
        assert_eq!(a_kid.handle.wait().await, ExitReason::Shutdown);
        assert_eq!(log.take(), [stops(&["a"]), line("inner ended")].concat());
    });
}

/// supervisor.erl: a supervisor that is killed runs no shutdown; its children die by their links.
/// Ours: by then they have, and their reason is `killed` too.
#[test]
fn a_killed_supervisor_kills_its_children_without_asking() {
    run(|| async {
        let log = Log::default();
        let (app, kids) = tree(Supervisor::one_for_one("app"), &log, PERMANENT).await;
        assert_eq!(app.kill().await, ExitReason::Killed);
        for kid in &kids {
            assert_eq!(kid.handle.wait().await, ExitReason::Killed);
        }
        let mut lines = log.take();
        lines.sort_unstable();
        assert_eq!(lines, ["a dropped", "b dropped", "c dropped"]);
    });
}

/// supervisor.erl: terminate/2 for a child that was terminated or has finished has nothing to do.
#[test]
fn children_that_are_down_are_passed_over() {
    run(|| async {
        let log = Log::default();
        let types = [Restart::Transient, Restart::Permanent, Restart::Permanent];
        let (app, kids) = tree(Supervisor::one_for_one("app"), &log, types).await;
        kids[0].finish().await;
        until(&app, "a", |a| a.last_exit.is_some()).await;
        app.terminate_child("c").await.unwrap();
        log.take();
        assert_eq!(app.stop().await, ExitReason::Normal);
        assert_eq!(log.take(), stops(&["b"]));
    });
}

/// gen_server.erl: a process is asked with a message behind those that it has. Ours: a supervised
/// stop has what is queued handled first, within the deadline.
#[test]
fn what_is_queued_is_handled_before_the_stop() {
    run(|| async {
        let log = Log::default();
        let (a, a_kid) = kid("a", &log);
        let app = Supervisor::one_for_one("app").child(a.stop_within(LONG));
        let app = app.start().await.unwrap();
        let gate = Gate::new();
        Probe::hold(&a_kid.handle, &gate).tell().await.unwrap();
        gate.entered().await;
        Probe::note(&a_kid.handle, 1).tell().await.unwrap();
        let stopping = app.stop();
        gate.open();
        stopping.await;
        let lines = log.take();
        assert_eq!(lines[2..], [line("note 1"), stops(&["a"])].concat());
    });
}
