//! An OS thread under a supervisor, for code that blocks.
//!
//! It is a locked thread (`sched::lock_thread`) whose goroutine's one poll is the user's function:
//! so it belongs to the runtime, deadlock reports know of it, and the runtime's end waits for it.
//! Nothing can take a running function away from a thread. A kill asks it to stop; whether it does
//! is seen by whoever waits for the link's word.

use std::sync::Arc;

use super::{
    ChildKind, Outcome, StopSignal,
    run::ChildLink,
    spec::{Begun, Body, Until},
};
use crate::{
    actor::{ExitReason, Link, caught},
    sched::{lock_thread, simulated},
    shim::Mutex,
};

pub(super) struct ThreadBody<F> {
    run: Arc<F>,
    /// Of the latest start.
    stop: Mutex<Option<StopSignal>>,
}

impl<F> ThreadBody<F> {
    pub(super) fn new(run: F) -> Self {
        Self {
            run: Arc::new(run),
            stop: Mutex::new(None),
        }
    }
}

impl<O: Outcome, F: Fn(StopSignal) -> O + Send + Sync + 'static> Body for ThreadBody<F> {
    fn start(&self, mut link: ChildLink) -> Begun {
        simulated::refuse(
            "a supervised thread",
            "a simulation has only one thread; let the child be an actor or a goroutine, and give what \
             blocks an interface with a simulated implementation",
        );
        let stop = StopSignal::new();
        *self.stop.lock() = Some(stop.clone());
        let run = Arc::clone(&self.run);
        // Dropped before its thread begins, as at the runtime's end, it drops the link.
        drop(lock_thread(move || async move {
            // The function's own drop is user code too.
            let ended = caught(move || run(stop).exit_reason());
            link.ended(ended.unwrap_or_else(ExitReason::from));
        }));
        Begun::Running
    }

    fn ask_stop(&self, _: Until) {
        let stop = self.stop.lock().clone();
        if let Some(stop) = stop {
            stop.request();
        }
    }

    fn kill(&self) {
        self.ask_stop(Until::Further);
    }

    fn settle(&self) {
        let ended = self.stop.lock().take();
        drop(ended);
    }

    fn kind(&self) -> ChildKind {
        ChildKind::Thread
    }
}
