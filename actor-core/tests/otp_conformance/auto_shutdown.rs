//! Significant children, whose end by themselves may end their supervisor.

use actor_core::{
    actor::ExitReason,
    sched::yield_now,
    supervise::{AutoShutdown, ChildError, ChildSpec, ChildState, Restart, Supervisor},
};

use crate::{LONG, kid, line, probe::Log, run, stops, until_restarted, until_specs, until_state};

#[derive(Clone, Copy)]
enum Effect {
    /// The supervisor ends.
    Ends,
    /// The child is restarted.
    Restarts,
    /// The child stays down and the supervisor up.
    Nothing,
}

/// Children "other" (significant as well, and up), "s" and "plain"; s ends.
fn check(when: AutoShutdown, restart: Restart, crashes: bool, expected: Effect) {
    run(move || async move {
        let log = Log::default();
        let (other, _) = kid("other", &log);
        let (s, s_kid) = kid("s", &log);
        let app = Supervisor::one_for_one("app")
            .auto_shutdown(when)
            .child(other.restart(Restart::Transient).significant())
            .child(s.restart(restart).significant())
            .child(kid("plain", &log).0);
        let app = app.start().await.unwrap();
        log.take();
        if crashes {
            s_kid.crash().await;
        } else {
            s_kid.finish().await;
        }
        match expected {
            Effect::Ends => {
                assert_eq!(app.wait().await, ExitReason::Shutdown);
                let lines = log.take();
                let last = lines.len() - 4;
                assert_eq!(lines[last..], stops(&["plain", "other"]));
                return;
            }
            Effect::Restarts => until_restarted(&app, "s", 1).await,
            Effect::Nothing if restart == Restart::Temporary => until_specs(&app, 2).await,
            Effect::Nothing => until_state(&app, "s", ChildState::Stopped).await,
        }
        assert!(!app.is_stopped());
        assert_eq!(app.stop().await, ExitReason::Normal);
    });
}

/// EEP 56, any_significant: a transient child that ends in order is not restarted, and ends it.
#[test]
fn any_significant_ends_when_a_transient_child_finishes() {
    let any = AutoShutdown::AnySignificant;
    check(any, Restart::Transient, false, Effect::Ends);
}

/// EEP 56, any_significant: a transient child that crashes is restarted.
#[test]
fn any_significant_goes_on_when_a_transient_child_crashes() {
    let any = AutoShutdown::AnySignificant;
    check(any, Restart::Transient, true, Effect::Restarts);
}

/// EEP 56, any_significant: a temporary child, for any reason; here a normal one.
#[test]
fn any_significant_ends_when_a_temporary_child_finishes() {
    let any = AutoShutdown::AnySignificant;
    check(any, Restart::Temporary, false, Effect::Ends);
}

/// EEP 56, any_significant: a temporary child, for any reason; here a crash.
#[test]
fn any_significant_ends_when_a_temporary_child_crashes() {
    let any = AutoShutdown::AnySignificant;
    check(any, Restart::Temporary, true, Effect::Ends);
}

/// EEP 56, all_significant: another significant child is up, so a transient one's end is no event.
#[test]
fn all_significant_goes_on_when_one_of_two_finishes() {
    let all = AutoShutdown::AllSignificant;
    check(all, Restart::Transient, false, Effect::Nothing);
}

/// EEP 56, all_significant: a transient child that crashes is restarted.
#[test]
fn all_significant_goes_on_when_a_transient_child_crashes() {
    let all = AutoShutdown::AllSignificant;
    check(all, Restart::Transient, true, Effect::Restarts);
}

/// EEP 56, all_significant: another significant child is up, so a temporary one's crash is no event.
#[test]
fn all_significant_goes_on_when_one_of_two_temporary_children_crashes() {
    let all = AutoShutdown::AllSignificant;
    check(all, Restart::Temporary, true, Effect::Nothing);
}

/// EEP 56, all_significant: the last one's end is what ends the supervisor, restarted ones included.
#[test]
fn all_significant_ends_with_the_last_of_them() {
    run(|| async {
        let log = Log::default();
        let (a, a_kid) = kid("a", &log);
        let (b, b_kid) = kid("b", &log);
        let app = Supervisor::one_for_one("app")
            .auto_shutdown(AutoShutdown::AllSignificant)
            .child(a.restart(Restart::Transient).significant())
            .child(b.restart(Restart::Temporary).significant())
            .child(kid("plain", &log).0);
        let app = app.start().await.unwrap();
        b_kid.crash().await;
        until_specs(&app, 2).await;
        a_kid.crash().await;
        assert_eq!(a_kid.life().await, 2);
        assert!(!app.is_stopped());
        log.take();
        a_kid.finish().await;
        assert_eq!(app.wait().await, ExitReason::Shutdown);
        let expected = [
            line("a stopped Requested"),
            line("a dropped"),
            stops(&["plain"]),
        ];
        assert_eq!(log.take(), expected.concat());
    });
}

/// supervisor.erl: do_auto_shutdown/2 concerns significant children only.
#[test]
fn the_end_of_a_child_that_is_not_significant_ends_nothing() {
    run(|| async {
        for when in [AutoShutdown::AnySignificant, AutoShutdown::AllSignificant] {
            let log = Log::default();
            let (plain, plain_kid) = kid("plain", &log);
            let (s, _) = kid("s", &log);
            let app = Supervisor::one_for_one("app")
                .auto_shutdown(when)
                .child(plain.restart(Restart::Transient))
                .child(s.restart(Restart::Transient).significant());
            let app = app.start().await.unwrap();
            plain_kid.finish().await;
            until_state(&app, "plain", ChildState::Stopped).await;
            assert!(!app.is_stopped());
            app.stop().await;
        }
    });
}

/// EEP 56: terminate_child on a significant child never triggers an automatic shutdown.
#[test]
fn terminate_child_of_a_significant_child_ends_nothing() {
    run(|| async {
        for when in [AutoShutdown::AnySignificant, AutoShutdown::AllSignificant] {
            let log = Log::default();
            let (s, s_kid) = kid("s", &log);
            let app = Supervisor::one_for_one("app").auto_shutdown(when);
            let app = app.child(s.restart(Restart::Transient).significant());
            let app = app.start().await.unwrap();
            app.terminate_child("s").await.unwrap();
            until_state(&app, "s", ChildState::Stopped).await;
            app.restart_child("s").await.unwrap();
            assert_eq!(s_kid.life().await, 2);
            app.stop().await;
        }
    });
}

/// EEP 56, all_significant: a significant child that was terminated is not up, so it is not waited
/// for.
#[test]
fn all_significant_does_not_wait_for_a_terminated_one() {
    run(|| async {
        let log = Log::default();
        let (a, _) = kid("a", &log);
        let (b, b_kid) = kid("b", &log);
        let app = Supervisor::one_for_one("app")
            .auto_shutdown(AutoShutdown::AllSignificant)
            .child(a.restart(Restart::Transient).significant())
            .child(b.restart(Restart::Transient).significant());
        let app = app.start().await.unwrap();
        app.terminate_child("a").await.unwrap();
        b_kid.finish().await;
        assert_eq!(app.wait().await, ExitReason::Shutdown);
    });
}

/// EEP 56: a significant child that is stopped because of a sibling never triggers it.
#[test]
fn a_significant_child_that_is_stopped_for_a_sibling_ends_nothing() {
    run(|| async {
        let log = Log::default();
        let (a, a_kid) = kid("a", &log);
        let (s, s_kid) = kid("s", &log);
        let (t, t_kid) = kid("t", &log);
        let app = Supervisor::one_for_all("app")
            .auto_shutdown(AutoShutdown::AnySignificant)
            .child(a)
            .child(s.restart(Restart::Transient).significant())
            .child(t.restart(Restart::Temporary).significant());
        let app = app.start().await.unwrap();
        a_kid.crash().await;
        until_restarted(&app, "s", 1).await;
        assert_eq!(s_kid.life().await, 2);
        assert!(t_kid.handle.is_stopped() && !app.is_stopped());
        app.stop().await;
    });
}

/// EEP 56: auto_shutdown never is the default, and a significant child is refused under it.
#[test]
fn without_auto_shutdown_start_child_refuses_a_significant_child() {
    run(|| async {
        let log = Log::default();
        let app = Supervisor::one_for_one("app").start().await.unwrap();
        let (s, _) = kid("s", &log);
        let s = s.restart(Restart::Transient).significant();
        let refused = app.start_child(s).await;
        assert!(matches!(refused, Err(ChildError::StartFailed(_))));
        assert_eq!(log.take(), [""; 0]);
        app.stop().await;
    });
}

/// A supervisor that ends when its child "deep" does, as a child.
fn ending_with_deep(log: &Log) -> (ChildSpec, crate::Kid) {
    let (deep, deep_kid) = kid("deep", log);
    let inner = Supervisor::one_for_one("inner")
        .auto_shutdown(AutoShutdown::AnySignificant)
        .child(deep.restart(Restart::Transient).significant());
    (inner.into(), deep_kid)
}

/// EEP 56: the parent judges the supervisor's `shutdown`; a significant one passes it on.
#[test]
fn significant_supervisors_pass_the_shutdown_on_to_the_top() {
    run(|| async {
        let log = Log::default();
        let (inner, deep) = ending_with_deep(&log);
        let inner = inner.restart(Restart::Transient).significant();
        let middle = Supervisor::one_for_one("middle")
            .auto_shutdown(AutoShutdown::AllSignificant)
            .child(inner);
        let middle = ChildSpec::from(middle)
            .restart(Restart::Temporary)
            .significant();
        let app = Supervisor::one_for_one("app")
            .auto_shutdown(AutoShutdown::AnySignificant)
            .child(middle);
        let app = app.start().await.unwrap();
        deep.finish().await;
        assert_eq!(app.wait().await, ExitReason::Shutdown);
    });
}

/// EEP 56: a permanent supervisor that shuts down by itself is restarted as after any end.
#[test]
fn a_permanent_supervisor_that_shut_itself_down_is_restarted() {
    run(|| async {
        let log = Log::default();
        let (inner, deep) = ending_with_deep(&log);
        let app = Supervisor::one_for_one("app").child(inner);
        let app = app.start().await.unwrap();
        deep.finish().await;
        until_restarted(&app, "inner", 1).await;
        assert_eq!(deep.life().await, 2);
        app.stop().await;
    });
}

/// EEP 56: a transient supervisor that shuts down by itself ended in order, and stays down.
#[test]
fn a_transient_supervisor_that_shut_itself_down_stays_down() {
    run(|| async {
        let log = Log::default();
        let (inner, deep) = ending_with_deep(&log);
        let app = Supervisor::one_for_one("app").intensity(0, LONG);
        let app = app.child(inner.restart(Restart::Transient));
        let app = app.start().await.unwrap();
        deep.finish().await;
        until_state(&app, "inner", ChildState::Stopped).await;
        for _ in 0..100 {
            yield_now().await;
        }
        assert_eq!(log.count("deep up"), 1);
        app.stop().await;
    });
}
