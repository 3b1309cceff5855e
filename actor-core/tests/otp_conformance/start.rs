//! Starting a supervisor: one child after the other, all or nothing.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use actor_core::{
    actor::{ExitReason, StartError},
    go,
    sched::yield_now,
    supervise::{AutoShutdown, ChildError, ChildSpec, ChildState, Restart, Supervisor},
};

use crate::{
    LONG, idle, kid, kid_of, line,
    probe::{Args, Gate, Log, Probe},
    run, starts, states, stops,
};

/// supervisor_SUITE: sup_start_normal. A supervisor without children starts, and ends when asked.
#[test]
fn a_supervisor_without_children_starts_and_stops() {
    run(|| async {
        let app = Supervisor::one_for_one("app").start().await.unwrap();
        assert_eq!(app.which_children().await.unwrap(), []);
        assert_eq!(app.stop().await, ExitReason::Normal);
    });
}

/// supervisor.erl: start_children/2 goes through the specs in list order, each start synchronous.
#[test]
fn each_child_starts_after_the_formers_init_has_returned() {
    run(|| async {
        let log = Log::default();
        let gate = Gate::new();
        let slow = Args {
            init_gate: Some(gate.clone()),
            ..Args::new("a", &log)
        };
        let app = Supervisor::one_for_one("app")
            .child(kid_of(slow).0)
            .child(kid("b", &log).0)
            .child(kid("c", &log).0);
        let starting = go(app.start());
        gate.entered().await;
        assert_eq!(log.take(), ["a init"]);
        gate.open();
        let app = starting.await.unwrap().unwrap();
        assert_eq!(log.take(), [line("a up"), starts(&["b", "c"])].concat());
        app.stop().await;
    });
}

/// supervisor.erl: init/1, and so start_link, returns when the last child's start has.
#[test]
fn the_start_returns_when_the_last_child_has_started() {
    run(|| async {
        let log = Log::default();
        let gate = Gate::new();
        let slow = Args {
            init_gate: Some(gate.clone()),
            ..Args::new("b", &log)
        };
        let app = Supervisor::one_for_one("app")
            .child(kid("a", &log).0)
            .child(kid_of(slow).0);
        let starting = {
            let log = log.clone();
            go(async move {
                let app = app.start().await.unwrap();
                log.add("started");
                app
            })
        };
        gate.entered().await;
        for _ in 0..100 {
            yield_now().await;
        }
        assert!(!log.has("started"));
        gate.open();
        let app = starting.await.unwrap();
        assert_eq!(log.take()[3..], ["b up", "started"]);
        app.stop().await;
    });
}

/// Design Principles manual, Supervisor Behaviour: a child that is a supervisor has started when
/// all below it have.
#[test]
fn a_tree_starts_depth_first() {
    run(|| async {
        let log = Log::default();
        let inner = Supervisor::one_for_one("inner")
            .child(kid("b", &log).0)
            .child(kid("c", &log).0);
        let app = Supervisor::one_for_one("app")
            .child(kid("a", &log).0)
            .child(inner)
            .child(kid("d", &log).0);
        let app = app.start().await.unwrap();
        assert_eq!(log.take(), starts(&["a", "b", "c", "d"]));
        app.stop().await;
    });
}

/// Children a, b, then one that can't start as `bad` says, then d.
async fn failed_start(bad: impl FnOnce(Args) -> Args) -> (StartError, Vec<String>) {
    let log = Log::default();
    let app = Supervisor::one_for_one("app")
        .intensity(10, LONG)
        .child(kid("a", &log).0)
        .child(kid("b", &log).0)
        .child(kid_of(bad(Args::new("c", &log))).0)
        .child(kid("d", &log).0);
    let error = app.start().await.unwrap_err();
    (error, log.take())
}

/// supervisor.erl: init_children/2. What has started is shut down, last first; what comes after the
/// failed child never begins.
#[test]
fn a_failed_start_stops_those_that_have_started_in_reverse_and_begins_no_further() {
    run(|| async {
        let failing = |args| Args {
            init_error: true,
            ..args
        };
        let (error, lines) = failed_start(failing).await;
        assert_eq!((error.name(), error.failed_child()), ("app", Some("c")));
        let expected = [starts(&["a", "b"]), line("c init"), stops(&["b", "a"])];
        assert_eq!(lines, expected.concat());
    });
}

/// supervisor.erl: do_start_child/2 takes an exception in a start for an error.
#[test]
fn a_panic_in_an_init_is_a_failed_start_as_any() {
    run(|| async {
        let panicking = |args| Args {
            init_panic: true,
            ..args
        };
        let (error, lines) = failed_start(panicking).await;
        assert_eq!(error.failed_child(), Some("c"));
        assert!(
            error.to_string().contains("panicked: init told to"),
            "{error}"
        );
        let expected = [starts(&["a", "b"]), line("c init"), stops(&["b", "a"])];
        assert_eq!(lines, expected.concat());
    });
}

/// supervisor.erl: do_start_child/2, for a child that is killed before its init returns.
#[test]
fn a_child_that_is_killed_in_its_init_is_a_failed_start() {
    run(|| async {
        let log = Log::default();
        let gate = Gate::new();
        let slow = Args {
            init_gate: Some(gate.clone()),
            ..Args::new("b", &log)
        };
        let (b, b_kid) = kid_of(slow);
        let app = Supervisor::one_for_one("app").child(kid("a", &log).0);
        let starting = go(app.child(b).start());
        gate.entered().await;
        assert_eq!(b_kid.handle.kill().await, ExitReason::Killed);
        let error = starting.await.unwrap().unwrap_err();
        assert_eq!(error.failed_child(), Some("b"));
        let expected = [starts(&["a"]), line("b init"), stops(&["a"])].concat();
        assert_eq!(log.take(), expected);
    });
}

/// supervisor.erl: init_children/2 makes no second attempt, whatever the intensity.
#[test]
fn a_failed_start_is_not_tried_again() {
    run(|| async {
        let log = Log::default();
        let (a, a_kid) = kid("a", &log);
        a_kid.fail_inits(1);
        let app = Supervisor::one_for_one("app").intensity(10, LONG).child(a);
        assert!(app.start().await.is_err());
        assert_eq!(log.take(), ["a init"]);
        assert!(a_kid.handle.is_stopped());
    });
}

/// supervisor.erl: the error is `{shutdown, {failed_to_start_child, Id, Reason}}`, nested as the
/// tree is.
#[test]
fn the_error_of_a_start_names_each_child_on_the_way_to_the_one_that_failed() {
    run(|| async {
        let log = Log::default();
        let failing = Args {
            init_error: true,
            ..Args::new("deep", &log)
        };
        let inner = Supervisor::one_for_one("inner").child(kid_of(failing).0);
        let app = Supervisor::one_for_one("app").child(inner);
        let error = app.start().await.unwrap_err();
        let ExitReason::ChildFailed { child, reason } = error.reason() else {
            panic!("{error:?}")
        };
        assert_eq!(child, "inner");
        let ExitReason::ChildFailed { child, reason } = &**reason else {
            panic!("{error:?}")
        };
        assert_eq!(child, "deep");
        assert!(matches!(**reason, ExitReason::InitFailed { .. }));
        assert_eq!(error.failed_child(), Some("deep"));
    });
}

/// An actor whose init returns `ignore`.
struct Nothing;

#[actor_core::actor(vis = pub(crate))]
impl Nothing {
    #[init]
    fn new() -> Option<Self> {
        None
    }
}

/// supervisor_SUITE: sup_start_ignore_child.
#[test]
fn a_child_whose_init_ignores_is_kept_without_running() {
    run(|| async {
        let app = Supervisor::one_for_one("app").child(Nothing::child("a"));
        let app = app.child(idle("b")).start().await.unwrap();
        let expected = [
            ("a".to_owned(), ChildState::Stopped),
            ("b".to_owned(), ChildState::Running),
        ];
        assert_eq!(states(&app).await, expected);
        let counts = app.count_children().await.unwrap();
        assert_eq!((counts.specs, counts.active, counts.workers), (2, 1, 2));
        app.stop().await;
    });
}

/// supervisor_SUITE: sup_start_ignore_temporary_child.
#[test]
fn a_temporary_child_whose_init_ignores_is_forgotten() {
    run(|| async {
        let temporary = Nothing::child("a").restart(Restart::Temporary);
        let app = Supervisor::one_for_one("app").child(temporary);
        let app = app.child(idle("b")).start().await.unwrap();
        let expected = [("b".to_owned(), ChildState::Running)];
        assert_eq!(states(&app).await, expected);
        app.stop().await;
    });
}

/// supervisor_SUITE: sup_start_ignore_temporary_child_start_child_simple. Ours: `start_child` says
/// `Ignored`, where OTP's says `{ok, undefined}`.
#[test]
fn a_dynamic_child_whose_init_ignores_is_forgotten() {
    run(|| async {
        let app = Supervisor::dynamic("app").start().await.unwrap();
        let ignored = app.start_child(Nothing::child("a")).await;
        assert_eq!(ignored, Err(ChildError::Ignored));
        assert_eq!(app.count_children().await.unwrap().specs, 0);
        app.stop().await;
    });
}

/// Whether a supervisor with a child "first" and what `make` adds refuses to begin anything.
async fn is_refused(app: Supervisor, make: impl FnOnce(Supervisor) -> Supervisor) -> bool {
    let log = Log::default();
    let app = make(app.child(kid("first", &log).0));
    let error = app.start().await.unwrap_err();
    let mut reason = error.reason();
    while let ExitReason::ChildFailed { reason: inner, .. } = reason {
        reason = inner;
    }
    matches!(reason, ExitReason::Misconfigured { .. }) && log.take().is_empty()
}

/// supervisor.erl: check_startspec/1, duplicate_child_name, found before any child starts.
#[test]
fn two_children_with_one_id_are_refused_before_any_starts() {
    run(|| async {
        let twice = |app: Supervisor| app.child(idle("x")).child(idle("x"));
        assert!(is_refused(Supervisor::one_for_one("app"), twice).await);
    });
}

/// supervisor_SUITE: sup_flags, invalid_period. An intensity of 0 is valid, a period of 0 is not.
#[test]
fn a_period_of_zero_is_refused() {
    run(|| async {
        let zero = |app: Supervisor| app.intensity(0, Duration::ZERO);
        assert!(is_refused(Supervisor::one_for_one("app"), zero).await);
    });
}

/// supervisor.erl: check_childspec/2, bad_combination of significant and permanent.
#[test]
fn a_significant_child_that_is_permanent_is_refused() {
    run(|| async {
        let app = Supervisor::one_for_one("app").auto_shutdown(AutoShutdown::AnySignificant);
        let permanent = |app: Supervisor| app.child(idle("x").significant());
        assert!(is_refused(app, permanent).await);
    });
}

/// supervisor.erl: check_childspec/2, bad_combination of significant and auto_shutdown never.
#[test]
fn a_significant_child_without_auto_shutdown_is_refused() {
    run(|| async {
        let never =
            |app: Supervisor| app.child(idle("x").restart(Restart::Temporary).significant());
        assert!(is_refused(Supervisor::one_for_one("app"), never).await);
    });
}

/// supervisor_SUITE: sup_start_map_faulty_specs. Ours: the whole tree is checked before any of it
/// starts; OTP checks an inner supervisor when it comes to it.
#[test]
fn a_faulty_spec_deep_in_the_tree_is_refused_before_any_child_starts() {
    run(|| async {
        let inner = Supervisor::one_for_one("inner").intensity(1, Duration::ZERO);
        let deep = |app: Supervisor| app.child(inner);
        assert!(is_refused(Supervisor::one_for_one("app"), deep).await);
    });
}

/// supervisor_SUITE: sup_start_map, default values of a child.
#[test]
fn a_child_is_permanent_and_has_5_s_to_stop_and_a_supervisor_as_long_as_it_takes() {
    let said = format!("{:?}", idle("a"));
    assert!(said.contains("restart: Permanent"), "{said}");
    assert!(said.contains("stop_within: Some(5s)"), "{said}");
    let said = format!("{:?}", ChildSpec::from(Supervisor::one_for_one("inner")));
    assert!(said.contains("restart: Permanent"), "{said}");
    assert!(said.contains("stop_within: None"), "{said}");
}

/// supervisor_SUITE: sup_start_map, default flags. Ours: 3 restarts within 5 s, as in Elixir; OTP
/// allows 1.
#[test]
fn the_default_intensity_is_3_restarts_in_5_s() {
    run(|| async {
        let log = Log::default();
        let (a, a_kid) = kid("a", &log);
        let app = Supervisor::one_for_one("app")
            .child(a)
            .start()
            .await
            .unwrap();
        while Probe::life(&a_kid.handle).await.is_ok() {
            let _ = Probe::panic(&a_kid.handle).await;
        }
        let ExitReason::GaveUp {
            restarts_max,
            window,
            ..
        } = app.wait().await
        else {
            panic!("it did not give up")
        };
        assert_eq!((restarts_max, window), (3, Duration::from_secs(5)));
        assert!(log.count("a up") >= 4);
    });
}

/// supervisor.erl: an exit signal of the parent that comes in a start is served after it. Ours: no
/// further child begins, and the init that runs is not waited for.
#[test]
fn a_stop_during_the_start_begins_no_further_child() {
    run(|| async {
        let log = Log::default();
        let gate = Gate::new();
        let slow = Args {
            init_gate: Some(gate.clone()),
            ..Args::new("b", &log)
        };
        let app = Supervisor::one_for_one("app")
            .child(kid("a", &log).0)
            .child(kid_of(slow).0)
            .child(kid("c", &log).0);
        let app_ref = app.handle();
        let starting = go(app.start());
        gate.entered().await;
        app_ref.stop().await;
        let _ = starting.await.unwrap();
        let expected = [starts(&["a"]), line("b init"), stops(&["a"])].concat();
        assert_eq!(log.take(), expected);
    });
}

/// supervisor.erl: a child is started by its MFA each time. A next incarnation has the arguments
/// anew and none of the state.
#[test]
fn each_start_of_a_child_makes_its_arguments_anew() {
    run(|| async {
        let log = Log::default();
        let made = Arc::new(Mutex::new(0));
        let child = {
            let (made, log) = (Arc::clone(&made), log.clone());
            actor_core::supervise::Child::<Probe>::new("a", move || {
                *made.lock().unwrap() += 1;
                Args::new("a", &log)
            })
        };
        let handle = child.handle();
        let app = Supervisor::one_for_one("app").child(child);
        let app = app.start().await.unwrap();
        assert_eq!(*made.lock().unwrap(), 1);
        let _ = Probe::panic(&handle).await;
        assert_eq!(Probe::life(&handle).await, Ok(2));
        assert_eq!(*made.lock().unwrap(), 2);
        app.stop().await;
    });
}
