//! Panics turned into values, so that none of user code's panics leaves an incarnation.
//!
//! [`Caught`] polls a future under `catch_unwind`, once per poll of the whole actor loop and not
//! once per message. After a panic the inner future must be one of our own `async` blocks: what
//! it held (the message in work, its reply slot) was dropped by the unwinding itself, which is how
//! a reply slot knows to say "panicked".

use std::{
    any::Any,
    fmt,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll},
};

use super::ExitReason;

/// The text of a caught panic.
pub(crate) struct Panic {
    message: String,
}

impl Panic {
    #[cold]
    fn new(payload: Box<dyn Any + Send>) -> Self {
        let message = if let Some(text) = payload.downcast_ref::<&'static str>() {
            (*text).to_owned()
        } else if let Some(text) = payload.downcast_ref::<String>() {
            text.clone()
        } else {
            "(a panic payload that is not text)".to_owned()
        };
        // A payload is user data too, and may panic in its own Drop; that one's payload is leaked.
        if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
            std::mem::forget(second);
        }
        Self { message }
    }

    /// Goes on panicking, here. The panic was reported where it began.
    pub(super) fn resume(self) -> ! {
        std::panic::resume_unwind(Box::new(self.message))
    }
}

impl fmt::Debug for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<Panic> for ExitReason {
    fn from(panic: Panic) -> Self {
        ExitReason::Panicked {
            message: panic.message,
        }
    }
}

/// Runs `f`; a panic comes back as an error.
pub(crate) fn caught<R>(f: impl FnOnce() -> R) -> Result<R, Panic> {
    catch_unwind(AssertUnwindSafe(f)).map_err(Panic::new)
}

pin_project_lite::pin_project! {
    /// A future whose panic is its result.
    pub(crate) struct Caught<F> {
        #[pin]
        future: F,
    }
}

impl<F> Caught<F> {
    pub(crate) fn new(future: F) -> Self {
        Self { future }
    }
}

impl<F: Future> Future for Caught<F> {
    type Output = Result<F::Output, Panic>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let future = self.project().future;
        match catch_unwind(AssertUnwindSafe(|| future.poll(cx))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(value)) => Poll::Ready(Ok(value)),
            Err(payload) => Poll::Ready(Err(Panic::new(payload))),
        }
    }
}
