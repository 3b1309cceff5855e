//! Where user code meets an M outside of any poll: wakers and destructors that panic.
//!
//! Such a panic has nobody to be told to. Passing on it would end an M, or skip the wakers behind
//! it, so it is logged and dropped. A panic of the scheduler itself is a bug that nothing can be
//! trusted after: `AbortOnUnwind` ends the process.

use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs foreign code whose panic concerns nobody.
#[inline]
pub(crate) fn shield(foreign: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(foreign))
        && let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(payload)))
    {
        // A payload whose Drop panics may do so without end: this one is leaked.
        let _: ManuallyDrop<_> = ManuallyDrop::new(again);
    }
}

/// Ends the process when it is dropped by a panic.
pub(crate) struct AbortOnUnwind;

impl Drop for AbortOnUnwind {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("actor-core: the scheduler itself panicked (above); this is a bug in it");
            std::process::abort();
        }
    }
}
