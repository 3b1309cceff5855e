//! Functions that run once, whoever calls them and however often.
//!
//! - The function becomes a future when it is given, which is polled under an async [`Mutex`] by the
//!   first caller. The others wait for the mutex, and then find the result.
//! - A caller that is dropped leaves the future where it is: the next caller polls it on, from the
//!   place it had reached. So "once" holds under cancellation too.
//! - A panic is a result: every caller gets it, as in Go.

use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::OnceLock;

use super::{Mutex, caught};
use crate::sched::block_on_thread;

type Making<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A value computed by a function that runs once, when the first caller asks.
///
/// Go's `sync.OnceValue`, with a function that may await. [`OnceCell`](super::OnceCell) is for values
/// whose initialiser is known to each caller, or may fail and be tried again.
///
/// ```
/// use actor_core::{Runtime, sync::OnceValue};
///
/// let answer = OnceValue::new(async || {
///     actor_core::yield_now().await;
///     42
/// });
/// Runtime::new().unwrap().block_on(async {
///     assert_eq!(answer.try_get(), None); // nobody has asked yet
///     assert_eq!(*answer.get().await, 42);
///     assert_eq!(*answer.get().await, 42); // the same one
/// });
/// ```
pub struct OnceValue<T> {
    /// The value, or the text of the panic.
    result: OnceLock<Result<T, String>>,
    /// The function at work; gone once there is a result.
    making: Mutex<Option<Making<T>>>,
}

impl<T> OnceValue<T> {
    /// Nothing is computed yet; `function` will be called at most once.
    pub fn new<F, R>(function: F) -> Self
    where
        F: FnOnce() -> R + Send + 'static,
        R: Future<Output = T> + Send + 'static,
    {
        // An async block runs nothing before its first poll: this does not call the function.
        let making: Making<T> = Box::pin(async move { function().await });
        Self {
            result: OnceLock::new(),
            making: Mutex::new(Some(making)),
        }
    }

    /// The value; the first caller computes it, others wait for it.
    ///
    /// Dropping the future while it computes interrupts the function at its current await; the next
    /// caller goes on from there. Until then the function stands still. A function that asks for its
    /// own value waits for ever, as in Go.
    ///
    /// # Panics
    /// When the function panicked. The caller that ran it gets the panic itself, every other one,
    /// then and later, a panic with the same text.
    pub async fn get(&self) -> &T {
        if self.result.get().is_none() {
            self.make().await;
        }
        match self.result.get() {
            Some(Ok(value)) => value,
            Some(Err(text)) => panic!("{text}"),
            None => unreachable!("`make` returns with a result"),
        }
    }

    #[cold]
    async fn make(&self) {
        let mut making = self.making.lock().await;
        let Some(future) = making.as_mut() else {
            return; // made while we waited
        };
        let made = poll_fn(|cx| caught::poll(future.as_mut(), cx)).await;
        let (result, panic) = match made {
            Ok(value) => (Ok(value), None),
            Err(payload) => (Err(caught::text(&*payload)), Some(payload)),
        };
        let known = self.result.set(result);
        debug_assert!(known.is_ok(), "the function ran once");
        let over = making.take();
        drop(making);
        drop(over); // after unlocking: what the function captured is the user's
        if let Some(payload) = panic {
            resume_unwind(payload);
        }
    }

    /// As [`get`](Self::get), on a thread, blocking it meanwhile; for threads that run no goroutines.
    ///
    /// # Panics
    /// As [`get`](Self::get).
    ///
    /// ```
    /// let answer = actor_core::sync::OnceValue::new(async || 42);
    /// assert_eq!(*answer.get_blocking(), 42);
    /// ```
    pub fn get_blocking(&self) -> &T {
        match self.try_get() {
            Some(value) => value,
            None => block_on_thread(self.get()),
        }
    }

    /// The value, if it was computed already. Calls nothing, and `None` after a panic.
    #[inline]
    pub fn try_get(&self) -> Option<&T> {
        self.result.get()?.as_ref().ok()
    }
}

impl<T: fmt::Debug> fmt::Debug for OnceValue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OnceValue")
            .field(&self.result.get())
            .finish()
    }
}

/// A function that does its work at the first call, and nothing at any other.
///
/// Go's `sync.OnceFunc`, with a function that may await. Unlike [`Once`](super::Once), it has its
/// action with it, a cancelled caller does not make it start again, and a panic reaches everybody.
///
/// ```
/// use actor_core::{Runtime, sync::OnceFn};
///
/// let hello = OnceFn::new(async || println!("hello"));
/// Runtime::new().unwrap().block_on(async {
///     hello.call().await;
///     hello.call().await; // prints nothing
/// });
/// assert!(hello.is_done());
/// ```
pub struct OnceFn(OnceValue<()>);

impl OnceFn {
    /// Nothing is done yet; `function` will be called at most once.
    pub fn new<F, R>(function: F) -> Self
    where
        F: FnOnce() -> R + Send + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        Self(OnceValue::new(function))
    }

    /// Runs the function if it never ran; waits until it is done.
    ///
    /// Dropping the future is as for [`OnceValue::get`].
    ///
    /// # Panics
    /// When the function panicked, now or before: see [`OnceValue::get`].
    pub async fn call(&self) {
        self.0.get().await;
    }

    /// As [`call`](Self::call), on a thread, blocking it meanwhile.
    ///
    /// # Panics
    /// As [`call`](Self::call).
    pub fn call_blocking(&self) {
        self.0.get_blocking();
    }

    /// Whether the function has run to its end. Not if it panicked.
    #[inline]
    pub fn is_done(&self) -> bool {
        self.0.try_get().is_some()
    }
}

impl fmt::Debug for OnceFn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnceFn")
            .field("is_done", &self.is_done())
            .finish()
    }
}
