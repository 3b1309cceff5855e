//! Go's `context`: a deadline, a cancellation and values that go down a call tree together.
//!
//! A [`Context`] is two counted references: the [`Scope`](scope::Scope) that ends it, none for one
//! that never ends, and the innermost of a chain of values. A value or a clone shares the scope of
//! its parent, so only contexts that can end by themselves cost a place in their parent.
//!
//! | here | Go |
//! |---|---|
//! | `with_cancel()`, dropping [`Cancel`] cancels | `WithCancel`, `WithCancelCause`, `defer cancel()` |
//! | `with_deadline`, `with_timeout` give a context only | `WithDeadline`, `WithTimeout` |
//! | the type of a value is its key | a comparable value of a private type |
//! | `done().await` | `<-ctx.Done()` |
//! | `run(future)`: dropped when the context is done | each callee looks at `ctx` |

mod scope;
mod wait;

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::future::IntoFuture;
use std::sync::{Arc, Weak};
use std::time::Duration;

use self::scope::{Call, End, Scope};
pub use self::wait::{Done, Run};
use crate::sched::alarm::Launch;
use crate::sched::{Instant, block_on_thread};

/// Says when work on somebody's behalf should end, and carries values along with it.
///
/// Go's `context.Context`. Pass it on by reference or by clone (two counters); a clone is the same
/// context. What is made from it with `with_*` is a *child*: it ends when its parent does, and may
/// end earlier by itself; the parent never notices. A child that is dropped is forgotten by its
/// parent, with its timer.
///
/// ```
/// use actor_core::{Context, Runtime, sync::ContextError};
/// use std::time::Duration;
///
/// Runtime::new()?.block_on(async {
///     let (request, cancel) = Context::background().with_cancel();
///     let query = request.with_timeout(Duration::from_secs(5));
///     cancel.cancel();
///     query.done().await;
///     assert_eq!(query.err(), Some(ContextError::Canceled));
/// });
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct Context {
    scope: Option<Arc<Scope>>,
    values: Option<Arc<Value>>,
}

struct Value {
    value: Box<dyn Any + Send + Sync>,
    outer: Option<Arc<Value>>,
}

impl Drop for Value {
    fn drop(&mut self) {
        // Not by recursion: the chain may be longer than the stack.
        let mut outer = self.outer.take();
        while let Some(mut value) = outer.and_then(Arc::into_inner) {
            outer = value.outer.take();
        }
    }
}

impl Context {
    /// The root: it never ends and has no values. Go's `context.Background`.
    #[must_use]
    pub const fn background() -> Self {
        Self {
            scope: None,
            values: None,
        }
    }

    /// A child that ends when the [`Cancel`] says so, or is dropped. Go's `WithCancel`, with its
    /// `defer cancel()`.
    ///
    /// ```
    /// let (context, cancel) = actor_core::Context::background().with_cancel();
    /// assert!(!context.is_done());
    /// drop(cancel);
    /// assert!(context.is_done());
    /// ```
    pub fn with_cancel(&self) -> (Self, Cancel) {
        let scope = Scope::below(self.scope.as_ref(), self.deadline());
        let context = Self {
            scope: Some(scope.clone()),
            values: self.values.clone(),
        };
        (context, Cancel { scope })
    }

    /// A child that ends at `deadline` at the latest. Go's `WithDeadline`; to cancel it earlier too,
    /// make it from one of [`with_cancel`](Self::with_cancel), or the other way round.
    ///
    /// A deadline in the past ends it at once. One that isn't before the parent's changes nothing,
    /// as the parent ends earlier. If the runtime ends before the deadline, the context is cancelled
    /// with a cause that says so.
    ///
    /// # Panics
    /// Outside a runtime, which keeps the time; not if the deadline has passed already.
    #[must_use = "the deadline is the returned context's"]
    #[track_caller]
    pub fn with_deadline(&self, deadline: Instant) -> Self {
        if deadline >= self.deadline().unwrap_or(Instant::FOREVER) {
            return self.clone();
        }
        let launch = (deadline > Instant::now()).then(|| Launch::here("a context's deadline"));
        let scope = Scope::below(self.scope.as_ref(), Some(deadline));
        match launch {
            Some(launch) => scope.arm(&launch, deadline),
            None => scope.end(End {
                error: ContextError::DeadlineExceeded,
                cause: None,
            }),
        }
        Self {
            scope: Some(scope),
            values: self.values.clone(),
        }
    }

    /// As [`with_deadline`](Self::with_deadline), from now. Zero ends it at once.
    ///
    /// # Panics
    /// As [`with_deadline`](Self::with_deadline).
    ///
    /// ```
    /// # actor_core::Runtime::new().unwrap().block_on(async {
    /// use actor_core::{Context, sync::ContextError};
    /// let context = Context::background().with_timeout(std::time::Duration::from_millis(1));
    /// context.done().await;
    /// assert_eq!(context.err(), Some(ContextError::DeadlineExceeded));
    /// # });
    /// ```
    #[must_use = "the deadline is the returned context's"]
    #[track_caller]
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        self.with_deadline(Instant::now() + timeout)
    }

    /// A child that carries a value, found by its type. Go's `WithValue`.
    ///
    /// Give it a type of its own (`struct RequestId(u64);`): of two values of one type the innermost
    /// is found. For what belongs to a request and crosses its goroutines, not for arguments.
    ///
    /// ```
    /// use actor_core::Context;
    ///
    /// #[derive(Debug, PartialEq)]
    /// struct RequestId(u64);
    ///
    /// let request = Context::background().with_value(RequestId(7));
    /// assert_eq!(request.value::<RequestId>(), Some(&RequestId(7)));
    /// assert_eq!(request.value::<u64>(), None);
    /// ```
    #[must_use = "the value is in the returned context"]
    pub fn with_value<T: Send + Sync + 'static>(&self, value: T) -> Self {
        let value = Value {
            value: Box::new(value),
            outer: self.values.clone(),
        };
        Self {
            scope: self.scope.clone(),
            values: Some(Arc::new(value)),
        }
    }

    /// The value of this type that was put in last, on the way from the root to here.
    #[must_use]
    pub fn value<T: Send + Sync + 'static>(&self) -> Option<&T> {
        let mut at = self.values.as_deref();
        while let Some(here) = at {
            if let Some(value) = here.value.downcast_ref() {
                return Some(value);
            }
            at = here.outer.as_deref();
        }
        None
    }

    /// The same values, without the end: for what has to be finished even if the request is
    /// cancelled. Go's `WithoutCancel`.
    #[must_use = "the returned context is the one that doesn't end"]
    pub fn without_cancel(&self) -> Self {
        Self {
            scope: None,
            values: self.values.clone(),
        }
    }

    /// Waits until the context is done: an arm for `select!`. Go's `<-ctx.Done()`.
    ///
    /// Waits for ever on a context that can't end. Dropping the future stops waiting and changes
    /// nothing else.
    pub fn done(&self) -> Done<'_> {
        Done::new(self.scope.as_deref())
    }

    /// Waits on a thread, blocking it meanwhile; for threads that run no goroutines.
    pub fn done_blocking(&self) {
        block_on_thread(self.done());
    }

    /// Whether it was cancelled or its deadline has passed.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.err().is_some()
    }

    /// Why it is done; `None` while it isn't. Never changes again. Go's `ctx.Err`.
    #[must_use]
    pub fn err(&self) -> Option<ContextError> {
        self.scope.as_ref()?.error()
    }

    /// What led to its end: the error given to [`Cancel::cancel_cause`], of this context or of the
    /// one above that ended it, else that of [`err`](Self::err). Go's `context.Cause`.
    #[must_use]
    pub fn cause(&self) -> Option<Arc<dyn Error + Send + Sync>> {
        let end = self.scope.as_ref()?.why()?;
        Some(end.cause.unwrap_or_else(|| Arc::new(end.error)))
    }

    /// When it ends at the latest. Go's `ctx.Deadline`.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.scope.as_ref()?.deadline
    }

    /// Calls `f` in a goroutine of its own once the context is done; at once if it is. Go's
    /// `context.AfterFunc`.
    ///
    /// The call is made even if the context and the returned handle are dropped before; it is
    /// dropped unmade only on a context that can't end, or if the runtime ends first.
    ///
    /// # Panics
    /// Outside a runtime, which runs the goroutine.
    ///
    /// ```
    /// # actor_core::Runtime::new().unwrap().block_on(async {
    /// let (context, cancel) = actor_core::Context::background().with_cancel();
    /// let (tx, rx) = actor_core::chan::buffered(1);
    /// context.after_func(move || tx.try_send("cleaned up").unwrap());
    /// cancel.cancel();
    /// assert_eq!(rx.recv().await, Some("cleaned up"));
    /// # });
    /// ```
    #[track_caller]
    pub fn after_func(&self, f: impl FnOnce() + Send + 'static) -> AfterFunc {
        let launch = Launch::here("`Context::after_func`");
        let Some(scope) = &self.scope else {
            return AfterFunc { call: None };
        };
        let run = Box::new(f);
        match scope.call_at_end(Call { run, launch }) {
            Ok(place) => AfterFunc {
                call: Some((Arc::downgrade(scope), place)),
            },
            Err(call) => {
                call.start();
                AfterFunc { call: None }
            }
        }
    }

    /// Runs a future until it is ready or the context is done, whichever comes first; the future is
    /// dropped then.
    ///
    /// On a context that is done already the future isn't polled. Later, when both are ready, the
    /// output wins. Dropping the returned future drops the inner one.
    ///
    /// # Errors
    /// [`Context::err`], when the context was done first.
    ///
    /// ```
    /// # actor_core::Runtime::new().unwrap().block_on(async {
    /// use actor_core::{Context, sync::ContextError};
    /// let (context, cancel) = Context::background().with_cancel();
    /// assert_eq!(context.run(async { 3 }).await, Ok(3));
    /// cancel.cancel();
    /// assert_eq!(context.run(async { 3 }).await, Err(ContextError::Canceled));
    /// # });
    /// ```
    pub fn run<F: IntoFuture>(&self, future: F) -> Run<'_, F::IntoFuture> {
        Run::new(future.into_future(), self.done())
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Context");
        if let Some(scope) = &self.scope {
            let (children, calls) = scope.registered();
            out.field("err", &scope.error())
                .field("deadline", &scope.deadline)
                .field("children", &children)
                .field("after_funcs", &calls);
        }
        out.finish_non_exhaustive()
    }
}

/// Ends a context made by [`Context::with_cancel`]. Dropping it ends it too.
///
/// Go wants the cancel function called on every path (`defer cancel()`); here the drop is that call.
/// Keep it for as long as the context is wanted: `let (context, _) = ..` cancels at once. Put it
/// into an `Arc` to let several cancel, or the last of them by its drop.
#[must_use = "dropping it cancels the context: keep it for as long as the context is wanted"]
pub struct Cancel {
    scope: Arc<Scope>,
}

impl Cancel {
    /// Ends the context and all its children: their [`err`](Context::err) is
    /// [`Canceled`](ContextError::Canceled). Again does nothing.
    pub fn cancel(&self) {
        self.scope.end(End {
            error: ContextError::Canceled,
            cause: None,
        });
    }

    /// As [`cancel`](Self::cancel), with a reason for [`Context::cause`]. The first cause stays.
    ///
    /// ```
    /// let (context, cancel) = actor_core::Context::background().with_cancel();
    /// cancel.cancel_cause("the client hung up");
    /// assert_eq!(context.cause().unwrap().to_string(), "the client hung up");
    /// ```
    pub fn cancel_cause(&self, cause: impl Into<Box<dyn Error + Send + Sync>>) {
        self.scope.end(End {
            error: ContextError::Canceled,
            cause: Some(Arc::from(cause.into())),
        });
    }
}

impl Drop for Cancel {
    fn drop(&mut self) {
        if self.scope.error().is_none() {
            self.cancel();
        }
    }
}

impl fmt::Debug for Cancel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cancel")
            .field("err", &self.scope.error())
            .finish()
    }
}

/// A call that [`Context::after_func`] will make; dropping it changes nothing.
pub struct AfterFunc {
    call: Option<(Weak<Scope>, usize)>,
}

impl AfterFunc {
    /// Prevents the call. False if its goroutine was started before, or there was nothing to
    /// prevent. Doesn't wait for the call's end. Go's `stop` function.
    pub fn stop(self) -> bool {
        let stopped = self
            .call
            .and_then(|(scope, place)| scope.upgrade()?.forget_call(place));
        stopped.is_some()
    }
}

impl fmt::Debug for AfterFunc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AfterFunc").finish_non_exhaustive()
    }
}

/// Why a [`Context`] is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ContextError {
    /// It, or one above it, was cancelled. Go's `context.Canceled`.
    Canceled,
    /// Its deadline, or that of one above it, has passed. Go's `context.DeadlineExceeded`.
    DeadlineExceeded,
}

impl fmt::Display for ContextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Canceled => "the context was cancelled",
            Self::DeadlineExceeded => "the context's deadline has passed",
        })
    }
}

impl Error for ContextError {}
