//! Messages that were accepted and will never be handled, because their actor is gone for good.
//!
//! Their askers are told (`CallError::Stopped`); a tell has nobody to be told, so it is counted
//! and, at debug level, reported by name.

// Not the shim's: loom has no statics, and a statistic needs no model.
use std::sync::atomic::{AtomicU64, Ordering};

static COUNT: AtomicU64 = AtomicU64::new(0);

/// How many accepted messages were dropped unhandled in this process because their actor had
/// ended for good. A message that was refused is not one of them: its sender has it back.
///
/// ```
/// assert_eq!(actor_core::actor::dead_letters(), 0);
/// ```
#[must_use]
pub fn dead_letters() -> u64 {
    // ORDERING: Relaxed: a statistic.
    COUNT.load(Ordering::Relaxed)
}

#[cold]
pub(super) fn count(actor: &str, message: &'static str) {
    // ORDERING: Relaxed: a statistic.
    COUNT.fetch_add(1, Ordering::Relaxed);
    tracing::debug!(actor, message, reason = "stopped", "dead letter");
}
