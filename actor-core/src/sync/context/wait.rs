//! Waiting for a context: alone ([`Done`]), or beside a future that it bounds ([`Run`]).
//!
//! The waiter is in the scope's list, under the scope's lock; the end takes it out there.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context as Cx, Poll};

use pin_project_lite::pin_project;

use super::ContextError;
use super::scope::Scope;
use crate::chan::waiters::{WaitState, Waiter, pin_field};
use crate::sched::coop;
use crate::sched::wait::{Wait, WaitKind};

/// The future of [`Context::done`](super::Context::done).
#[must_use = "waiting happens when the future is awaited"]
pub struct Done<'a> {
    scope: Option<&'a Scope>,
    waiter: Waiter<()>,
}

impl<'a> Done<'a> {
    pub(super) fn new(scope: Option<&'a Scope>) -> Self {
        Self {
            scope,
            waiter: Waiter::new(None),
        }
    }

    fn error(&self) -> Option<ContextError> {
        self.scope?.error()
    }

    /// As `poll`, without asking the budget: whoever bounds another future by the context has to
    /// look at it even when that future has spent the budget.
    fn poll_done(self: Pin<&mut Self>, cx: &mut Cx<'_>) -> Poll<ContextError> {
        // SAFETY: `waiter` is never moved out of.
        let (scope, mut waiter) = unsafe {
            let this = self.get_unchecked_mut();
            (this.scope, pin_field(&mut this.waiter))
        };
        let Some(scope) = scope else {
            return Poll::Pending;
        };
        if waiter.state() != WaitState::Queued
            && let Some(error) = scope.error()
        {
            return Poll::Ready(error);
        }
        let wait = Wait::on(WaitKind::Context, scope);
        let mut inner = scope.inner.lock();
        // Ended scopes end under the lock: if it hasn't now, it will find the waiter.
        if let Some(error) = scope.error() {
            return Poll::Ready(error);
        }
        let replaced = if waiter.state() == WaitState::Queued {
            // SAFETY: locked; QUEUED, and in the only list it can be in.
            unsafe { inner.waiting.renew(waiter.as_mut(), cx.waker(), wait) }
        } else {
            // SAFETY: locked; pinned in this future, whose drop cancels it.
            unsafe { inner.waiting.enqueue(waiter, cx.waker(), wait) };
            None
        };
        drop(inner);
        drop(replaced);
        Poll::Pending
    }
}

impl Future for Done<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Cx<'_>) -> Poll<()> {
        if coop::poll_proceed(cx).is_pending() {
            return Poll::Pending;
        }
        self.poll_done(cx).map(|_| ())
    }
}

impl Drop for Done<'_> {
    fn drop(&mut self) {
        if self.waiter.state() != WaitState::Queued {
            return;
        }
        let scope = self.scope.expect("a queued waiter has a scope");
        // SAFETY: QUEUED, so this future was pinned, and is not moved before it is freed.
        let waiter = unsafe { pin_field(&mut self.waiter) };
        let mut inner = scope.inner.lock();
        if waiter.state() == WaitState::Queued {
            // SAFETY: locked; QUEUED, and in the only list it can be in.
            let waker = unsafe { inner.waiting.cancel(waiter) };
            drop(inner);
            drop(waker);
        }
    }
}

impl fmt::Debug for Done<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Done")
            .field("err", &self.error())
            .finish_non_exhaustive()
    }
}

pin_project! {
    /// The future of [`Context::run`](super::Context::run).
    #[must_use = "the future runs when this one is awaited"]
    pub struct Run<'a, F> {
        // `None` once it is over: the future is dropped before its end is told.
        #[pin]
        future: Option<F>,
        #[pin]
        done: Done<'a>,
        begun: bool,
    }
}

impl<'a, F> Run<'a, F> {
    pub(super) fn new(future: F, done: Done<'a>) -> Self {
        Self {
            future: Some(future),
            done,
            begun: false,
        }
    }
}

impl<F: Future> Future for Run<'_, F> {
    type Output = Result<F::Output, ContextError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Cx<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let over = match this.done.error() {
            Some(error) if !std::mem::replace(this.begun, true) => Poll::Ready(Err(error)),
            _ => {
                *this.begun = true;
                let future = this
                    .future
                    .as_mut()
                    .as_pin_mut()
                    .expect("`Context::run` was polled again after it had returned its result");
                match future.poll(cx) {
                    Poll::Ready(output) => Poll::Ready(Ok(output)),
                    Poll::Pending => this.done.poll_done(cx).map(Err),
                }
            }
        };
        if over.is_ready() {
            this.future.set(None);
        }
        over
    }
}

impl<F> fmt::Debug for Run<'_, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run")
            .field("done", &self.done)
            .finish_non_exhaustive()
    }
}
