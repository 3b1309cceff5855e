//! Things done once: an action ([`Once`]) or a value ([`OnceCell`]).
//!
//! Both are a flag that says "done" and a [`Mutex`] that one initialiser at a time holds while it
//! runs. An initialiser that is cancelled unlocks the mutex, and the next caller runs its own; so
//! nothing here needs unsafe code or states of its own.

use std::convert::Infallible;
use std::fmt;
use std::future::{Future, poll_fn};
use std::mem::forget;
use std::pin::pin;
use std::sync::OnceLock;

use super::Mutex;
use crate::sched::block_on_thread;
use crate::shim::atomic::{AtomicBool, Ordering};
use crate::shim::const_unless_modelled;

/// Does something once, whoever comes first; everybody else waits until it is done.
///
/// Go's `sync.Once`, with an action that may await.
///
/// ```
/// use actor_core::{sched::Runtime, sync::Once};
///
/// static ONCE: Once = Once::new();
///
/// Runtime::new()?.block_on(async {
///     ONCE.do_once(async || println!("first")).await;
///     ONCE.do_once(async || unreachable!("done already")).await;
/// });
/// assert!(ONCE.is_done());
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Once {
    done: AtomicBool,
    running: Mutex<()>,
}

impl Once {
    const_unless_modelled! {
        /// Nothing was done yet.
        pub fn new() -> Self {
            Self {
                done: AtomicBool::new(false),
                running: Mutex::new(()),
            }
        }
    }

    /// Runs `action` unless one has run to its end before; waits for one that is running.
    ///
    /// As in Go, an action that panics counts as done: its caller gets the panic, the others go on.
    ///
    /// Dropping the future while its action runs cancels the action; it does not count as done, and
    /// the next caller runs its own. An action that calls `do_once` itself waits for ever, as in Go.
    pub async fn do_once<F, R>(&self, action: F)
    where
        F: FnOnce() -> R,
        R: Future<Output = ()>,
    {
        if self.is_done() {
            return;
        }
        let _running = self.running.lock().await;
        if self.is_done() {
            return;
        }
        let mut action = pin!(async { action().await });
        poll_fn(|cx| {
            let panicked = DoneOnPanic(self);
            let polled = action.as_mut().poll(cx);
            forget(panicked);
            polled
        })
        .await;
        self.set_done();
    }

    /// As [`do_once`](Self::do_once), on a thread, blocking it meanwhile; for threads that run no
    /// goroutines.
    ///
    /// ```
    /// let once = actor_core::sync::Once::new();
    /// once.do_once_blocking(|| println!("first"));
    /// once.do_once_blocking(|| unreachable!("done already"));
    /// ```
    pub fn do_once_blocking(&self, action: impl FnOnce()) {
        if !self.is_done() {
            block_on_thread(self.do_once(async || action()));
        }
    }

    /// Whether an action has run to its end.
    #[inline]
    pub fn is_done(&self) -> bool {
        // ORDERING: Acquire pairs with the Release in `set_done`: what the action did is visible.
        self.done.load(Ordering::Acquire)
    }

    fn set_done(&self) {
        // ORDERING: Release pairs with the Acquire in `is_done`.
        self.done.store(true, Ordering::Release);
    }
}

impl Default for Once {
    fn default() -> Self {
        Self::new()
    }
}

/// Lives during a poll of the action, and is dropped only if that poll panics. (A cancellation, even
/// one by somebody else's panic, drops the action between its polls.)
struct DoneOnPanic<'a>(&'a Once);

impl Drop for DoneOnPanic<'_> {
    fn drop(&mut self) {
        self.0.set_done();
    }
}

/// A value that is made once, by whoever needs it first.
///
/// Go's `sync.OnceValue` with the initialiser at the call: it may await, fail, and be tried again.
/// Where it is known beforehand and runs once, whatever comes of it, see
/// [`OnceValue`](super::OnceValue).
///
/// ```
/// use actor_core::{sched::Runtime, sync::OnceCell};
///
/// let config = OnceCell::new();
/// Runtime::new()?.block_on(async {
///     let port = config.get_or_init(async || 8080).await;
///     assert_eq!(*port, 8080);
/// });
/// assert_eq!(config.get(), Some(&8080));
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct OnceCell<T> {
    value: OnceLock<T>,
    making: Mutex<()>,
}

impl<T> OnceCell<T> {
    const_unless_modelled! {
        /// No value yet.
        pub fn new() -> Self {
            Self {
                value: OnceLock::new(),
                making: Mutex::new(()),
            }
        }
    }

    /// The value, if there is one.
    #[inline]
    pub fn get(&self) -> Option<&T> {
        self.value.get()
    }

    /// The value; made by `init` if there is none. Others that ask meanwhile wait for it.
    ///
    /// If `init` panics, or the future is dropped while it runs, there is no value, and the next
    /// caller runs its own.
    pub async fn get_or_init<F, R>(&self, init: F) -> &T
    where
        F: FnOnce() -> R,
        R: Future<Output = T>,
    {
        let made = self
            .get_or_try_init(|| async { Ok::<T, Infallible>(init().await) })
            .await;
        match made {
            Ok(value) => value,
            Err(never) => match never {},
        }
    }

    /// As [`get_or_init`](Self::get_or_init), on a thread, blocking it meanwhile; for threads that run
    /// no goroutines.
    pub fn get_or_init_blocking(&self, init: impl FnOnce() -> T) -> &T {
        match self.get() {
            Some(value) => value,
            None => block_on_thread(self.get_or_init(async || init())),
        }
    }

    /// As [`get_or_init`](Self::get_or_init), with an initialiser that may fail.
    ///
    /// # Errors
    /// That of `init`; there is no value then, and the next caller runs its own.
    pub async fn get_or_try_init<F, R, E>(&self, init: F) -> Result<&T, E>
    where
        F: FnOnce() -> R,
        R: Future<Output = Result<T, E>>,
    {
        if let Some(value) = self.get() {
            return Ok(value);
        }
        let _making = self.making.lock().await;
        if let Some(value) = self.get() {
            return Ok(value);
        }
        let value = init().await?;
        // `set` doesn't wait for us and may have been faster: the first value stays.
        Ok(self.value.get_or_init(|| value))
    }

    /// Sets the value, if there is none.
    ///
    /// # Errors
    /// The given value, if there is one already.
    pub fn set(&self, value: T) -> Result<(), T> {
        self.value.set(value)
    }

    /// The value.
    pub fn into_inner(self) -> Option<T> {
        self.value.into_inner()
    }
}

impl<T> Default for OnceCell<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: fmt::Debug> fmt::Debug for OnceCell<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OnceCell").field(&self.value.get()).finish()
    }
}
