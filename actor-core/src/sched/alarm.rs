//! What things that are no goroutines need from the scheduler: a waker called at a deadline, and
//! the means to start a goroutine later, from whatever thread.
//!
//! - An [`Alarm`] is one registered timer. It calls its waker outside every lock, once, at or after
//!   the deadline; or early, when the runtime ends: the waker looks at the clock.
//! - Dropping it cancels it. A waker that a firing M has taken out already may still be called: its
//!   owner keeps a state of its own that says whether it is meant.
//! - A [`Launch`] remembers where the user asked, for the goroutine's reports.

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::sync::Arc;
use std::task::Waker;

use super::clock::Instant;
use super::context;
use super::join::JoinHandle;
use super::shared::Shared;
use super::timers::TimerKey;

/// A waker to be called at a deadline. See the file's comment.
pub(crate) struct Alarm {
    shared: Arc<Shared>,
    p: usize,
    key: TimerKey,
}

impl Alarm {
    /// Registers with the runtime that `launch` names. The waker may be called before this returns.
    pub(crate) fn set(launch: &Launch, deadline: Instant, waker: &Waker) -> Self {
        let shared = launch.shared.clone();
        let (p, key) = shared.add_timer(deadline.nanos(), waker);
        if shared.is_stopping() {
            // Nobody will look at its timers again. (Whoever doesn't see it here registered before
            // the end, which fires all that are registered.)
            waker.wake_by_ref();
        }
        Self { shared, p, key }
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        self.shared.processor(self.p).timers.cancel(self.key);
    }
}

impl fmt::Debug for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Alarm").field(&self.key).finish()
    }
}

/// The right to start a goroutine on a runtime, whatever the thread.
#[derive(Clone)]
pub(crate) struct Launch {
    pub(super) shared: Arc<Shared>,
    pub(super) location: &'static Location<'static>,
}

impl Launch {
    /// On the runtime that the caller runs in.
    ///
    /// # Panics
    /// Outside a runtime, saying that `what` needs one.
    #[track_caller]
    pub(crate) fn here(what: &str) -> Self {
        let location = Location::caller();
        match context::shared() {
            Some(shared) => Self { shared, location },
            None => panic!(
                "{what} needs a runtime and there is none here: call it inside a goroutine, in \
                 `Runtime::block_on`, in `#[actor_core::main]`, or after `Handle::enter`"
            ),
        }
    }

    /// Starts the goroutine; on a runtime that is ending it is cancelled before it begins.
    pub(crate) fn go<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.shared.go::<F, ()>(future, None, self.location)
    }
}

impl fmt::Debug for Launch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Launch")
            .field(&format_args!("{}", self.location))
            .finish()
    }
}
