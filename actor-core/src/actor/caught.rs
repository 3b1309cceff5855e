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

use super::{ExitReason, crash};

/// A caught panic: its text, and where it was if a hook noted that. Boxed: it is rare, and part of
/// results that live in every actor's future.
pub(crate) struct Panic(Box<Noted>);

struct Noted {
    message: String,
    location: Option<String>,
    backtrace: Option<String>,
}

/// What `panic!` was given, if it was text.
pub(super) fn text(payload: &dyn Any) -> Option<&str> {
    (payload.downcast_ref::<&'static str>().copied())
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
}

impl Panic {
    #[cold]
    pub(super) fn new(payload: Box<dyn Any + Send>) -> Self {
        let payload = match payload.downcast::<Self>() {
            // Caught before, and resumed.
            Ok(known) => return *known,
            Err(payload) => payload,
        };
        let text = text(&*payload);
        let (location, backtrace) = crash::captured(text);
        let message = text
            .unwrap_or("(a panic payload that is not text)")
            .to_owned();
        // A payload is user data too, and may panic in its own Drop; that one's payload is leaked.
        if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
            std::mem::forget(second);
        }
        Self(Box::new(Noted {
            message,
            location,
            backtrace,
        }))
    }

    pub(super) fn reason(&self) -> ExitReason {
        ExitReason::Panicked {
            message: self.0.message.clone(),
        }
    }

    /// Location and backtrace.
    pub(super) fn into_place(self) -> (Option<String>, Option<String>) {
        (self.0.location, self.0.backtrace)
    }

    /// Goes on panicking, here. The panic was reported where it began.
    pub(super) fn resume(self) -> ! {
        std::panic::resume_unwind(Box::new(self))
    }
}

impl fmt::Debug for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl From<Panic> for ExitReason {
    fn from(panic: Panic) -> Self {
        ExitReason::Panicked {
            message: panic.0.message,
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
