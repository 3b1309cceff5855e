//! How processes end, and what their end is called.

use std::time::Duration;

use actor_core::{
    actor::ExitReason,
    supervise::{ChildInfo, ChildSpec, ChildState, Restart, Supervisor},
};

use crate::{
    LONG, kid, kid_of,
    probe::{Args, Gate, Log},
    run, until,
};

fn text(message: &str) -> String {
    message.to_owned()
}

/// Design Principles manual, restart types: `normal`, `shutdown` and `{shutdown, _}` are orderly,
/// the rest is not. Ours: giving up is not, where OTP's is `shutdown`.
#[test]
fn normal_and_shutdown_are_orderly_and_nothing_else_is() {
    let inner = || Box::new(ExitReason::Normal);
    assert!(ExitReason::Normal.is_orderly());
    assert!(ExitReason::Shutdown.is_orderly());
    let cause = text("tired");
    assert!(ExitReason::ShutdownWith { cause }.is_orderly());
    let abnormal = [
        ExitReason::Killed,
        ExitReason::Failed { message: text("e") },
        ExitReason::Panicked { message: text("p") },
        ExitReason::InitFailed { message: text("i") },
        ExitReason::Misconfigured { message: text("m") },
        ExitReason::ChildFailed {
            child: text("c"),
            reason: inner(),
        },
        ExitReason::GaveUp {
            child: text("c"),
            reason: inner(),
            restarts_max: 1,
            window: LONG,
        },
    ];
    for reason in abnormal {
        assert!(!reason.is_orderly(), "{reason:?}");
    }
}

/// What the supervisor keeps of the end of a temporary-like child that stays down.
async fn ended(spec: impl Into<ChildSpec>, end: impl AsyncFnOnce()) -> ChildInfo {
    let app = Supervisor::one_for_one("app").intensity(1, LONG);
    let app = app.child(spec).start().await.unwrap();
    end().await;
    let id = app.which_children().await.unwrap()[0].id.clone();
    let info = until(&app, &id, |a| a.last_exit.is_some()).await;
    app.stop().await;
    info
}

/// Reference manual, Processes, Process Termination: code that has nothing more to do ends with
/// `normal`.
#[test]
fn a_process_that_stops_by_itself_ends_with_normal() {
    run(|| async {
        let log = Log::default();
        let (a, a_kid) = kid("a", &log);
        let info = ended(a.restart(Restart::Transient), async || a_kid.finish().await).await;
        assert_eq!(info.last_exit, Some(ExitReason::Normal));
        let done = ChildSpec::go("b", || async {}).restart(Restart::Transient);
        let info = ended(done, async || {}).await;
        assert_eq!(info.last_exit, Some(ExitReason::Normal));
    });
}

/// Reference manual, Processes, Process Termination: a run-time error ends it with the error.
#[test]
fn a_process_that_crashes_ends_with_what_it_said() {
    run(|| async {
        let log = Log::default();
        let (a, a_kid) = kid("a", &log);
        let info = ended(a, async || a_kid.crash().await).await;
        let message = text("told to");
        assert_eq!(info.last_exit, Some(ExitReason::Panicked { message }));
    });
}

/// Reference manual, Processes: `exit(Reason)` ends a process with that reason. Ours: an `Err`.
#[test]
fn a_goroutine_that_returns_an_error_ends_with_it() {
    run(|| async {
        let (gate, mut first) = (Gate::new(), true);
        let door = gate.clone();
        let a = ChildSpec::go("a", move || {
            let (door, first) = (door.clone(), std::mem::take(&mut first));
            async move {
                door.pass().await;
                if !first {
                    std::future::pending::<()>().await;
                }
                Err::<(), _>("no disk")
            }
        });
        let info = ended(a, async || gate.open()).await;
        let message = text("no disk");
        assert_eq!(info.last_exit, Some(ExitReason::Failed { message }));
        assert_eq!(info.state, ChildState::Running, "and it is restarted");
    });
}

/// erts signal_SUITE: kill2killed. `kill` cannot be refused; what is told is `killed`.
#[test]
fn a_process_that_is_killed_ends_with_killed_wherever_it_waits() {
    run(|| async {
        let log = Log::default();
        let (a, a_kid) = kid("a", &log);
        let (never, handle) = (Gate::new(), a_kid.handle.clone());
        let info = ended(a, async || {
            crate::probe::Probe::hold(&handle, &never)
                .tell()
                .await
                .unwrap();
            never.entered().await;
            assert_eq!(handle.kill().await, ExitReason::Killed);
        })
        .await;
        assert_eq!(info.last_exit, Some(ExitReason::Killed));
        assert_eq!(log.count("a stopped Requested"), 0, "no hook runs");
    });
}

/// gen_server.erl: terminate/2 is called with the reason. Ours: the stop hook is told who wanted it.
#[test]
fn the_stop_hook_is_told_who_asked() {
    run(|| async {
        let log = Log::default();
        let (a, a_kid) = kid("a", &log);
        let (b, _b_kid) = kid("b", &log);
        let app = Supervisor::one_for_one("app").child(a.restart(Restart::Transient));
        let app = app.child(b).start().await.unwrap();
        assert_eq!(a_kid.handle.stop().await, ExitReason::Normal);
        app.stop().await;
        assert!(log.has("a stopped Requested") && log.has("b stopped Supervisor"));
    });
}

/// supervisor.erl: a child that its supervisor stops ends with `shutdown`, a goroutine too, which is
/// dropped where it waits.
#[test]
fn a_child_that_its_supervisor_stops_ends_with_shutdown() {
    run(|| async {
        let log = Log::default();
        let (a, a_kid) = kid("a", &log);
        let app = Supervisor::one_for_one("app")
            .child(a)
            .child(crate::idle("b"));
        let app = app.start().await.unwrap();
        app.terminate_child("a").await.unwrap();
        app.terminate_child("b").await.unwrap();
        for child in app.which_children().await.unwrap() {
            assert_eq!(child.last_exit, Some(ExitReason::Shutdown), "{}", child.id);
        }
        assert_eq!(a_kid.handle.wait().await, ExitReason::Shutdown);
        app.stop().await;
    });
}

/// supervisor.erl: a child that misses its deadline ends with `killed`, whatever it was about to be.
#[test]
fn a_child_that_misses_its_deadline_ends_with_killed() {
    run(|| async {
        let log = Log::default();
        let (a, a_kid) = kid_of(Args {
            stop_gate: Some(Gate::new()),
            ..Args::new("a", &log)
        });
        let a = a.stop_within(Duration::from_millis(5));
        let app = Supervisor::one_for_one("app").child(a);
        let app = app.start().await.unwrap();
        app.stop().await;
        assert_eq!(a_kid.handle.wait().await, ExitReason::Killed);
    });
}

/// gen_server.erl: an exception in terminate/2 takes the place of the reason.
#[test]
fn a_panic_in_the_stop_hook_is_the_reason() {
    run(|| async {
        let log = Log::default();
        let (a, a_kid) = kid_of(Args {
            stop_panic: true,
            ..Args::new("a", &log)
        });
        let app = Supervisor::one_for_one("app").child(a);
        let app = app.start().await.unwrap();
        app.stop().await;
        let reason = a_kid.handle.wait().await;
        assert!(matches!(reason, ExitReason::Panicked { .. }), "{reason:?}");
    });
}

/// supervisor.erl: a transient child whose orderly stop panics has ended abnormally, and is
/// restarted.
#[test]
fn a_transient_child_that_panics_while_it_finishes_is_restarted() {
    run(|| async {
        let log = Log::default();
        let (a, a_kid) = kid_of(Args {
            stop_panic: true,
            ..Args::new("a", &log)
        });
        let app = Supervisor::one_for_one("app").child(a.restart(Restart::Transient));
        let app = app.start().await.unwrap();
        a_kid.finish().await;
        until(&app, "a", |a| a.restarts == 1).await;
        assert_eq!(a_kid.life().await, 2);
        app.stop().await;
    });
}

/// Reference manual, Processes: an exit is told after what the process held is released. Ours: the
/// state is dropped before the end is told.
#[test]
fn an_end_is_told_after_the_state_is_dropped() {
    run(|| async {
        let log = Log::default();
        let (a, a_kid) = kid("a", &log);
        let app = Supervisor::one_for_one("app").child(a.restart(Restart::Temporary));
        let app = app.start().await.unwrap();
        a_kid.handle.kill().await;
        assert!(log.has("a dropped"));
        crate::until_specs(&app, 0).await;
        app.stop().await;
    });
}
