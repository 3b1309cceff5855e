//! Significant children and the supervisors that end with them (OTP's auto_shutdown).

mod probe;

use std::time::Duration;

use actor_core::{
    actor::{ActorRef, CallError, ExitReason},
    sched::yield_now,
    supervise::{AutoShutdown, Child, ChildSpec, ChildState, Restart, Supervisor, SupervisorRef},
};
use probe::{Args, Log, Probe, run};

const LONG: Duration = Duration::from_secs(600);

fn child(id: &'static str, log: &Log) -> (Child<Probe>, ActorRef<Probe>) {
    let args = Args::new(id, log);
    let child = Child::new(id, move || args.clone());
    let handle = child.handle();
    (child, handle)
}

fn significant(id: &'static str, log: &Log, restart: Restart) -> (Child<Probe>, ActorRef<Probe>) {
    let (child, handle) = child(id, log);
    (child.restart(restart).significant(), handle)
}

fn any() -> Supervisor {
    Supervisor::one_for_one("app").auto_shutdown(AutoShutdown::AnySignificant)
}

fn all() -> Supervisor {
    Supervisor::one_for_one("app").auto_shutdown(AutoShutdown::AllSignificant)
}

async fn until_down(app: &SupervisorRef, id: &str) {
    while app.which_child(id).await.unwrap().state != ChildState::Stopped {
        yield_now().await;
    }
}

#[test]
fn any_significant_ends_the_supervisor_with_shutdown_and_its_children_in_reverse() {
    run(async {
        let log = Log::default();
        let (b, b_ref) = significant("b", &log, Restart::Transient);
        let app = any()
            .child(child("a", &log).0)
            .child(b)
            .child(child("c", &log).0)
            .start()
            .await
            .unwrap();
        log.take();
        Probe::stop_self(&b_ref).await.unwrap();
        assert_eq!(app.wait().await, ExitReason::Shutdown);
        assert_eq!(
            log.take(),
            [
                "b stopped Requested",
                "b dropped",
                "c stopped Supervisor",
                "c dropped",
                "a stopped Supervisor",
                "a dropped"
            ]
        );
    });
}

#[test]
fn a_transient_one_that_crashes_is_restarted_and_ends_nothing() {
    run(async {
        let log = Log::default();
        let (a, a_ref) = significant("a", &log, Restart::Transient);
        let app = any().child(a).start().await.unwrap();
        assert_eq!(Probe::panic(&a_ref).await, Err(CallError::Panicked));
        assert_eq!(Probe::life(&a_ref).await, Ok(2));
        assert!(!app.is_stopped());
        Probe::stop_self(&a_ref).await.unwrap();
        assert_eq!(app.wait().await, ExitReason::Shutdown);
    });
}

#[test]
fn a_temporary_one_ends_it_however_it_ends() {
    run(async {
        let log = Log::default();
        let (a, a_ref) = significant("a", &log, Restart::Temporary);
        let app = any().intensity(0, LONG).child(a).start().await.unwrap();
        assert_eq!(Probe::panic(&a_ref).await, Err(CallError::Panicked));
        assert_eq!(app.wait().await, ExitReason::Shutdown, "not GaveUp");

        let (a, a_ref) = significant("a", &log, Restart::Temporary);
        let app = any().child(a).start().await.unwrap();
        a_ref.stop().await;
        assert_eq!(app.wait().await, ExitReason::Shutdown);
    });
}

#[test]
fn a_child_that_is_not_significant_ends_nothing() {
    run(async {
        let log = Log::default();
        for app in [any(), all()] {
            let (a, a_ref) = child("a", &log);
            let (b, _) = significant("b", &log, Restart::Transient);
            let app = app.child(a.restart(Restart::Transient)).child(b);
            let app = app.start().await.unwrap();
            Probe::stop_self(&a_ref).await.unwrap();
            until_down(&app, "a").await;
            assert_eq!(app.count_children().await.unwrap().active, 1);
            app.stop().await;
        }
    });
}

#[test]
fn all_significant_waits_for_the_last_of_them() {
    run(async {
        let log = Log::default();
        let (a, a_ref) = significant("a", &log, Restart::Transient);
        let (b, b_ref) = significant("b", &log, Restart::Temporary);
        let app = all().child(a).child(b).child(child("c", &log).0);
        let app = app.start().await.unwrap();
        Probe::stop_self(&a_ref).await.unwrap();
        until_down(&app, "a").await;
        assert!(!app.is_stopped());
        assert_eq!(Probe::panic(&b_ref).await, Err(CallError::Panicked));
        assert_eq!(app.wait().await, ExitReason::Shutdown);
        assert!(log.has("c stopped Supervisor"));
    });
}

#[test]
fn one_that_is_about_to_be_restarted_is_waited_for() {
    run(async {
        let log = Log::default();
        let (a, a_ref) = significant("a", &log, Restart::Transient);
        let (b, b_ref) = significant("b", &log, Restart::Transient);
        let app = all().child(a.backoff(LONG..2 * LONG)).child(b);
        let app = app.start().await.unwrap();
        assert_eq!(Probe::panic(&a_ref).await, Err(CallError::Panicked));
        while app.which_child("a").await.unwrap().state != ChildState::Restarting {
            yield_now().await;
        }
        Probe::stop_self(&b_ref).await.unwrap();
        until_down(&app, "b").await;
        app.restart_child("b").await.unwrap();
        app.terminate_child("a").await.unwrap();
        Probe::stop_self(&b_ref).await.unwrap();
        assert_eq!(app.wait().await, ExitReason::Shutdown);
    });
}

#[test]
fn terminate_child_never_ends_it_but_a_terminated_one_is_not_waited_for() {
    run(async {
        let log = Log::default();
        let (a, _) = significant("a", &log, Restart::Transient);
        let (b, b_ref) = significant("b", &log, Restart::Transient);
        let app = all().child(a).child(b).start().await.unwrap();
        app.terminate_child("a").await.unwrap();
        assert_eq!(app.count_children().await.unwrap().active, 1);
        Probe::stop_self(&b_ref).await.unwrap();
        assert_eq!(app.wait().await, ExitReason::Shutdown);

        let (a, _) = significant("a", &log, Restart::Transient);
        let app = any().child(a).start().await.unwrap();
        app.terminate_child("a").await.unwrap();
        assert_eq!(app.count_children().await.unwrap().active, 0);
        app.restart_child("a").await.unwrap();
        app.stop().await;
    });
}

#[test]
fn one_that_is_stopped_for_a_siblings_sake_ends_nothing() {
    run(async {
        let log = Log::default();
        let (a, a_ref) = child("a", &log);
        let (b, b_ref) = significant("b", &log, Restart::Transient);
        let (c, c_ref) = significant("c", &log, Restart::Temporary);
        let app = Supervisor::one_for_all("app")
            .auto_shutdown(AutoShutdown::AnySignificant)
            .child(a)
            .child(b)
            .child(c);
        let app = app.start().await.unwrap();
        assert_eq!(Probe::panic(&a_ref).await, Err(CallError::Panicked));
        while app.which_child("b").await.unwrap().restarts == 0 {
            yield_now().await;
        }
        assert_eq!(Probe::life(&b_ref).await, Ok(2));
        assert!(c_ref.is_stopped() && !app.is_stopped());
        app.stop().await;
    });
}

#[test]
fn a_shutdown_is_judged_by_the_parent_and_significant_supervisors_pass_it_on() {
    run(async {
        let log = Log::default();
        let (deep, deep_ref) = significant("deep", &log, Restart::Transient);
        let inner = Supervisor::one_for_one("inner")
            .auto_shutdown(AutoShutdown::AnySignificant)
            .child(deep);
        let inner = ChildSpec::from(inner)
            .restart(Restart::Transient)
            .significant();
        let app = any().child(child("a", &log).0).child(inner);
        let app = app.start().await.unwrap();
        Probe::stop_self(&deep_ref).await.unwrap();
        assert_eq!(app.wait().await, ExitReason::Shutdown);
        assert!(log.has("a stopped Supervisor"));
    });
}

#[test]
fn a_permanent_supervisor_that_shuts_down_by_itself_is_started_again() {
    run(async {
        let log = Log::default();
        let (deep, deep_ref) = significant("deep", &log, Restart::Transient);
        let inner = Supervisor::one_for_one("inner")
            .auto_shutdown(AutoShutdown::AnySignificant)
            .child(deep);
        let app = Supervisor::one_for_one("app").child(inner);
        let app = app.start().await.unwrap();
        Probe::stop_self(&deep_ref).await.unwrap();
        log.seen("deep up", 2).await;
        assert_eq!(Probe::life(&deep_ref).await, Ok(2));
        app.stop().await;
    });
}
