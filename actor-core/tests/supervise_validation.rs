//! Mistakes in a tree are found before anything in it starts, and the error says what to mend.

mod probe;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use actor_core::{
    actor::{ExitReason, StartError},
    supervise::{AutoShutdown, Child, ChildError, ChildSpec, Restart, Supervisor},
};
use probe::{Args, Log, Probe, run};

const MS: Duration = Duration::from_millis(1);

fn child(id: &'static str, log: &Log) -> Child<Probe> {
    let args = Args::new(id, log);
    Child::new(id, move || args.clone())
}

/// Puts a good child before the faulty rest, and checks that it never began.
async fn refused(app: Supervisor, make: impl FnOnce(Supervisor) -> Supervisor) -> StartError {
    let log = Log::default();
    let first = child("first", &log);
    let first_ref = first.handle();
    let handle = app.handle();
    let error = make(app.child(first)).start().await.unwrap_err();
    assert_eq!(log.lines(), [""; 0], "something was started: {error}");
    assert!(first_ref.is_stopped(), "its senders would wait for ever");
    assert!(handle.is_stopped());
    error
}

fn says(error: &StartError, child: Option<&str>, words: &[&str]) {
    assert_eq!(error.failed_child(), child, "{error}");
    let text = error.to_string();
    for word in words {
        assert!(text.contains(word), "{text:?} doesn't say {word:?}");
    }
}

#[test]
fn two_children_with_one_id() {
    run(async {
        let log = Log::default();
        let error = refused(Supervisor::one_for_one("app"), |app| {
            app.child(child("same", &log)).child(child("same", &log))
        })
        .await;
        says(&error, Some("same"), &["\"app\"", "same id"]);
        assert_eq!(log.lines(), [""; 0]);
    });
}

#[test]
fn a_window_of_zero() {
    run(async {
        let app = Supervisor::one_for_one("app").intensity(3, Duration::ZERO);
        let error = refused(app, |app| app).await;
        says(&error, None, &["window is zero"]);
        assert!(matches!(error.reason(), ExitReason::Misconfigured { .. }));
    });
}

#[test]
fn a_significant_child_that_is_permanent() {
    run(async {
        let app = Supervisor::one_for_one("app").auto_shutdown(AutoShutdown::AnySignificant);
        let log = Log::default();
        let error = refused(app, |app| app.child(child("main", &log).significant())).await;
        says(&error, Some("main"), &["permanent", "make it transient"]);
    });
}

#[test]
fn a_significant_child_whose_supervisor_never_shuts_down_by_itself() {
    run(async {
        let log = Log::default();
        let error = refused(Supervisor::one_for_all("app"), |app| {
            app.child(
                child("main", &log)
                    .restart(Restart::Transient)
                    .significant(),
            )
        })
        .await;
        says(&error, Some("main"), &["significant", "auto_shutdown"]);
    });
}

#[test]
fn delays_that_are_no_range() {
    run(async {
        for range in [5 * MS..MS, Duration::ZERO..MS] {
            let log = Log::default();
            let bad = range.clone();
            let error = refused(Supervisor::one_for_one("app"), |app| {
                app.child(child("a", &log).backoff(bad))
            })
            .await;
            says(&error, Some("a"), &["backoff", "above zero"]);
            let app = Supervisor::one_for_one("app").backoff(range);
            says(&refused(app, |app| app).await, None, &["backoff"]);
        }
    });
}

#[test]
fn what_can_have_no_effect_on_a_temporary_child() {
    run(async {
        let log = Log::default();
        let error = refused(Supervisor::one_for_one("app"), |app| {
            app.child(
                child("a", &log)
                    .restart(Restart::Temporary)
                    .backoff(MS..5 * MS),
            )
        })
        .await;
        says(&error, Some("a"), &["never restarted", "backoff"]);
        let error = refused(Supervisor::one_for_one("app"), |app| {
            let a = child("a", &log).restart(Restart::Temporary);
            app.child(a.circuit_breaker(3, MS, MS))
        })
        .await;
        says(&error, Some("a"), &["never restarted", "circuit_breaker"]);
    });
}

#[test]
fn circuit_breakers_that_cannot_work() {
    run(async {
        let log = Log::default();
        for (window, cool_down) in [(Duration::ZERO, MS), (MS, Duration::ZERO)] {
            let error = refused(Supervisor::one_for_one("app"), |app| {
                app.child(child("a", &log).circuit_breaker(3, window, cool_down))
            })
            .await;
            says(&error, Some("a"), &["longer than zero"]);
        }
        for app in [
            Supervisor::one_for_all("app"),
            Supervisor::rest_for_one("app"),
        ] {
            let error = refused(app, |app| {
                app.child(child("a", &log).circuit_breaker(3, MS, MS))
            });
            says(&error.await, Some("a"), &["circuit breaker", "one_for_one"]);
        }
    });
}

#[test]
fn dynamic_supervisors_with_children_or_an_auto_shutdown() {
    run(async {
        let error = refused(Supervisor::dynamic("app"), |app| app).await;
        says(&error, Some("first"), &["start_child"]);
        let app = Supervisor::dynamic("app").auto_shutdown(AutoShutdown::AllSignificant);
        let error = app.start().await.unwrap_err();
        says(&error, None, &["auto_shutdown"]);
    });
}

#[test]
fn more_children_than_max_children() {
    run(async {
        let log = Log::default();
        let app = Supervisor::one_for_one("app").max_children(1);
        let error = refused(app, |app| app.child(child("a", &log))).await;
        says(&error, None, &["max_children"]);
    });
}

#[test]
fn a_mistake_deep_in_the_tree_is_found_before_anything_starts() {
    run(async {
        let log = Log::default();
        let error = refused(Supervisor::one_for_one("app"), |app| {
            let deep = Supervisor::one_for_one("deep")
                .child(child("twin", &log))
                .child(child("twin", &log));
            app.child(Supervisor::one_for_all("middle").child(deep))
        })
        .await;
        says(&error, Some("twin"), &["\"middle\"", "\"deep\"", "same id"]);
    });
}

#[test]
fn a_partition_without_copies_panics_where_it_is_made() {
    let made = std::panic::catch_unwind(|| {
        Supervisor::partition("none", 0, |_| child("x", &Log::default()))
    });
    let panic = made.unwrap_err();
    let text = panic.downcast_ref::<String>().unwrap();
    assert!(
        text.contains("\"none\"") && text.contains("at least one"),
        "{text}"
    );
}

#[test]
fn start_child_checks_as_the_start_does_and_forgets_what_it_refuses() {
    run(async {
        let log = Log::default();
        let app = Supervisor::one_for_one("app").start().await.unwrap();
        let bad = child("a", &log).restart(Restart::Transient).significant();
        let bad_ref = bad.handle();
        let error = app.start_child(bad).await.unwrap_err();
        let ChildError::StartFailed(error) = &error else {
            panic!("{error:?}")
        };
        assert_eq!(error.name(), "a");
        says(error, None, &["auto_shutdown"]);
        assert!(bad_ref.is_stopped());

        let twins = || ChildSpec::go("twin", std::future::pending::<()>);
        let inner = Supervisor::one_for_one("inner")
            .child(twins())
            .child(twins());
        let error = app.start_child(inner).await.unwrap_err();
        assert!(error.to_string().contains("same id"), "{error}");
        assert_eq!(app.which_children().await.unwrap(), []);
        app.stop().await;
    });
}

/// The texts of all warnings of this thread, while it lives.
#[derive(Clone, Default)]
struct Warnings(Arc<Mutex<Vec<String>>>);

impl tracing::Subscriber for Warnings {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() == tracing::Level::WARN
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        struct Text(String);
        impl tracing::field::Visit for Text {
            fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
                self.0 += &format!("{}={value:?} ", field.name());
            }
        }
        let mut text = Text(String::new());
        event.record(&mut text);
        self.0.lock().unwrap().push(text.0);
    }
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

/// The warnings of starting `app`, on the test's own thread.
fn warnings(app: Supervisor) -> Vec<String> {
    let warnings = Warnings::default();
    tracing::subscriber::with_default(warnings.clone(), || {
        let rt = actor_core::Runtime::new().unwrap();
        rt.block_on(async {
            let app = app.start().await.unwrap();
            app.stop().await;
        });
    });
    let warnings = warnings.0.lock().unwrap();
    warnings.clone()
}

#[test]
fn a_supervisor_as_a_transient_or_temporary_child_is_warned_about() {
    let inner = || ChildSpec::from(Supervisor::one_for_one("inner"));
    let app = || Supervisor::one_for_one("app");
    assert_eq!(warnings(app().child(inner())), [""; 0]);
    let temporary = warnings(app().child(inner().restart(Restart::Temporary)));
    assert_eq!(temporary.len(), 1);
    assert!(
        temporary[0].contains("inner") && temporary[0].contains("gives up"),
        "{temporary:?}"
    );
    let transient = warnings(app().child(inner().restart(Restart::Transient)));
    assert_eq!(transient.len(), 1);
    assert!(transient[0].contains("stays down"), "{transient:?}");
    // Meant: a significant one is to end like this.
    let app = app().auto_shutdown(AutoShutdown::AnySignificant);
    let significant = inner().restart(Restart::Transient).significant();
    assert_eq!(warnings(app.child(significant)), [""; 0]);
}
