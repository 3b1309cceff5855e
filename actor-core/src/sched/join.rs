//! What `go` returns: the way to a goroutine's value, its panic, or its end.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use super::coop;
use super::record::RecordRef;
use super::task::TaskRef;
use super::thin_waker::ThinWaker;
use super::wait::{self, Wait};

/// Waits for a goroutine and yields what it returned.
///
/// Awaiting it gives the goroutine's value, or a [`JoinError`] when it panicked or was aborted.
/// Dropping it detaches the goroutine, which goes on (as every goroutine of Go does). Dropping the
/// handle in the middle of an `.await` loses nothing but the value.
///
/// # Panics
/// Awaiting it again after it has returned its value panics.
///
/// ```
/// # actor_core::Runtime::new().unwrap().block_on(async {
/// let answer = actor_core::go(async { 6 * 7 });
/// assert_eq!(answer.await.unwrap(), 42);
/// # });
/// ```
pub struct JoinHandle<T> {
    task: TaskRef,
    taken: bool,
    output: PhantomData<fn() -> T>,
}

impl<T> JoinHandle<T> {
    pub(crate) fn new(task: TaskRef) -> Self {
        Self {
            task,
            taken: false,
            output: PhantomData,
        }
    }

    /// Asks the scheduler to end the goroutine at its current await; it then yields a cancelled
    /// [`JoinError`]. A goroutine that has finished keeps its value. Its future is dropped by an M,
    /// not by the caller, so it may still be running when this returns: await the handle to know.
    pub fn abort(&self) {
        self.task.abort();
    }

    /// Whether the goroutine is over (its future is dropped by then).
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.task.header().state.is_complete()
    }

    /// A handle that can abort the goroutine after this one has been moved or awaited.
    #[must_use]
    pub fn abort_handle(&self) -> AbortHandle {
        AbortHandle {
            task: self.task.clone(),
        }
    }

    /// The goroutine's number, unique within its runtime.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.task.header().id()
    }

    fn register(&self, waker: &Waker) -> bool {
        Wait::join(self.id()).note(waker);
        let state = &self.task.header().state;
        let slot = self.task.join_waker();
        if state.has_join_waker() {
            // SAFETY: while JOIN_WAKER is on the slot is read-only for both sides (I4).
            if unsafe { &*slot }
                .as_ref()
                .is_some_and(|known| known.is_same(waker))
            {
                return !state.is_complete();
            }
            if state.unset_join_waker().is_err() {
                return false;
            }
        }
        if state.is_complete() {
            return false;
        }
        // SAFETY: JOIN_WAKER is off, and only this handle turns it on: the slot is ours. (The
        // completing M reads it only if it finds the bit on.)
        unsafe { *slot = Some(ThinWaker::new(wait::keep(waker))) };
        state.set_join_waker().is_ok()
    }
}

impl<T> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        assert!(
            !self.taken,
            "JoinHandle was awaited again after it had returned its value"
        );
        if coop::poll_proceed(cx).is_pending() {
            return Poll::Pending;
        }
        if !self.is_finished() && self.register(cx.waker()) {
            return Poll::Pending;
        }
        self.taken = true;
        // SAFETY: complete (`register` fails for no other reason); JOIN_INTEREST is still on, so
        // the output is ours, of type T by construction, and `taken` guards the second time.
        Poll::Ready(unsafe { self.task.take_output() })
    }
}

impl<T> Drop for JoinHandle<T> {
    fn drop(&mut self) {
        if self.taken {
            // Complete, and the output is gone; the waker is dropped with the memory.
            return;
        }
        let todo = self.task.header().state.drop_join();
        if todo.drop_output {
            // SAFETY: complete with JOIN_INTEREST on: the output, never taken, is ours.
            unsafe { self.task.drop_output() };
        }
        if todo.drop_waker {
            // SAFETY: not complete and JOIN_WAKER off again: the slot is ours (I4).
            drop(unsafe { &mut *self.task.join_waker() }.take());
        }
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let header = self.task.header();
        f.debug_struct("JoinHandle")
            .field("id", &header.id())
            .field("name", &header.origin.name())
            .field("started_at", &format_args!("{}", header.origin.location()))
            .field("finished", &self.is_finished())
            .finish()
    }
}

/// Ends a goroutine from anywhere; cheap to clone, and it does not keep the goroutine running.
#[derive(Clone)]
pub struct AbortHandle {
    task: TaskRef,
}

impl AbortHandle {
    pub(crate) fn new(task: TaskRef) -> Self {
        Self { task }
    }

    /// As [`JoinHandle::abort`].
    pub fn abort(&self) {
        self.task.abort();
    }

    /// As [`JoinHandle::is_finished`].
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.task.header().state.is_complete()
    }
}

impl AbortHandle {
    /// The goroutine's record, if it has one.
    pub(crate) fn record(&self) -> RecordRef {
        self.task
            .header()
            .origin
            .record()
            .unwrap_or(RecordRef::NOBODY)
    }
}

impl fmt::Debug for AbortHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AbortHandle")
            .field("id", &self.task.header().id())
            .finish()
    }
}

enum Cause {
    Cancelled,
    /// Boxed twice: one word in every goroutine that has none.
    Panicked(Box<Box<dyn Any + Send>>),
}

/// Why a goroutine has no value: it panicked, or it was aborted.
pub struct JoinError(Cause);

impl JoinError {
    pub(crate) fn cancelled() -> Self {
        Self(Cause::Cancelled)
    }

    pub(crate) fn panicked(payload: Box<dyn Any + Send>) -> Self {
        Self(Cause::Panicked(Box::new(payload)))
    }

    /// The goroutine was aborted, or its runtime ended.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        matches!(self.0, Cause::Cancelled)
    }

    /// The goroutine panicked.
    #[must_use]
    pub fn is_panic(&self) -> bool {
        matches!(self.0, Cause::Panicked(_))
    }

    /// The panic's text, when it is a string (as `panic!` makes it).
    #[must_use]
    pub fn panic_message(&self) -> Option<&str> {
        match &self.0 {
            Cause::Panicked(payload) => payload
                .downcast_ref::<&'static str>()
                .copied()
                .or_else(|| payload.downcast_ref::<String>().map(String::as_str)),
            Cause::Cancelled => None,
        }
    }

    /// The panic's payload, for `std::panic::resume_unwind`.
    ///
    /// # Panics
    /// When the goroutine did not panic; ask [`is_panic`](Self::is_panic) first.
    #[must_use]
    pub fn into_panic(self) -> Box<dyn Any + Send> {
        match self.0 {
            Cause::Panicked(payload) => *payload,
            Cause::Cancelled => panic!("into_panic on a goroutine that was cancelled"),
        }
    }
}

// SAFETY: the payload is only reached by value (`into_panic`) or downcast to `&str`/`String`,
// which are Sync; no `&dyn Any` leaves this type.
unsafe impl Sync for JoinError {}

impl fmt::Debug for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Cause::Cancelled => f.write_str("JoinError::Cancelled"),
            Cause::Panicked(_) => f
                .debug_tuple("JoinError::Panicked")
                .field(&self.panic_message().unwrap_or("<not a string>"))
                .finish(),
        }
    }
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.panic_message() {
            Some(message) => write!(f, "the goroutine panicked: {message}"),
            None if self.is_panic() => f.write_str("the goroutine panicked"),
            None => f.write_str("the goroutine was cancelled: aborted, or its runtime ended"),
        }
    }
}

impl std::error::Error for JoinError {}
