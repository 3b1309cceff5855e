//! The bound on Ms: what is logged when it is reached, and that nothing is lost. A test binary of
//! its own, because it watches the log of the whole process.

use std::sync::{Arc, Mutex};

use actor_core::{Runtime, blocking, go};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// Keeps the text of every error.
#[derive(Clone, Default)]
struct Errors(Arc<Mutex<Vec<String>>>);

struct Text<'a>(&'a mut String);

impl Visit for Text<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0.push_str(&format!("{field}={value:?} "));
    }
}

impl Subscriber for Errors {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::ERROR
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        let mut text = String::new();
        event.record(&mut Text(&mut text));
        self.0.lock().unwrap().push(text);
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[test]
fn at_the_limit_goroutines_wait_the_log_says_what_to_do_and_then_they_go_on() {
    let errors = Errors::default();
    tracing::subscriber::set_global_default(errors.clone()).unwrap();
    let rt = Runtime::builder()
        .procs(1)
        .machines_max(1)
        .name("tight")
        .build()
        .unwrap();
    let order = rt.run(async {
        let order = Arc::new(Mutex::new(Vec::new()));
        let other = go({
            let order = order.clone();
            async move { order.lock().unwrap().push("the other goroutine") }
        });
        // It needs a second M for the time of the block, and there may be none.
        blocking(|| order.lock().unwrap().push("the block"));
        other.await.unwrap();
        Arc::into_inner(order).unwrap().into_inner().unwrap()
    });
    assert_eq!(order, ["the block", "the other goroutine"]);
    drop(rt);
    let told = errors.0.lock().unwrap().clone();
    assert_eq!(told.len(), 1, "said once: {told:?}");
    for part in [
        "the limit on machines is reached",
        "machines_max=1",
        "tight",
        "raise",
    ] {
        assert!(told[0].contains(part), "{part:?} is not in {:?}", told[0]);
    }
}
