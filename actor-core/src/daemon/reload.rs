//! What a reload does: the hooks that the program gave, one after another.

use std::{future::Future, pin::Pin};

use crate::{
    actor::{Caught, ExitReason, caught},
    supervise::Outcome,
};

type Running = Pin<Box<dyn Future<Output = ExitReason> + Send>>;

#[derive(Default)]
pub(super) struct Hooks(Vec<Box<dyn FnMut() -> Running + Send>>);

impl Hooks {
    pub(super) fn add<F, Fut>(&mut self, mut hook: F)
    where
        F: FnMut() -> Fut + Send + 'static,
        Fut: Future<Output: Outcome> + Send + 'static,
    {
        self.0.push(Box::new(move || {
            let reload = hook();
            Box::pin(async move { reload.await.exit_reason() })
        }));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Runs all of them; one that fails or panics doesn't keep the others from it.
    pub(super) async fn run(&mut self) {
        let mut failures = 0;
        for hook in &mut self.0 {
            let reason = match caught(hook) {
                Ok(reload) => Caught::new(reload).await,
                Err(panic) => Err(panic),
            };
            let reason = reason.unwrap_or_else(ExitReason::from);
            if !reason.is_orderly() {
                failures += 1;
                tracing::error!(%reason, "a reload hook did not succeed");
            }
        }
        tracing::info!(failures, "reloaded");
    }
}
