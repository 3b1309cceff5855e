//! Waiting for the close itself: for producers that make values only while somebody listens.
//!
//! A [`Closed`] is a waiter in a queue of its own, which the close empties; nothing else wakes it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::channel::{Chan, Sender};
use super::waiters::{WaitState, Waiter, pin_field};
use crate::sched::coop;
use crate::sched::wait::{Wait, WaitKind};

impl<T> Sender<T> {
    /// Waits until the channel is closed, by somebody's `close` or because the last receiver is gone.
    ///
    /// Go programs pass a second channel, `done`, for this. Dropping the future disturbs nothing.
    ///
    /// ```
    /// # actor_core::Runtime::new().unwrap().block_on(async {
    /// let (tx, rx) = actor_core::chan::buffered::<u8>(1);
    /// let listener = actor_core::go(async move { drop(rx) });
    /// tx.closed().await;
    /// # listener.await.unwrap();
    /// # });
    /// ```
    pub fn closed(&self) -> Closed<'_, T> {
        Closed {
            chan: &self.chan,
            waiter: Waiter::new(None),
        }
    }
}

/// The future of [`Sender::closed`].
#[must_use = "nothing is waited for until the future is awaited"]
pub struct Closed<'a, T> {
    chan: &'a Chan<T>,
    waiter: Waiter<()>,
}

impl<T> Future for Closed<'_, T> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if coop::poll_proceed(cx).is_pending() {
            return Poll::Pending;
        }
        // SAFETY: `waiter` is never moved out of.
        let (chan, waiter) = unsafe {
            let this = self.get_unchecked_mut();
            (this.chan, pin_field(&mut this.waiter))
        };
        let mut state = chan.state.lock();
        if state.closed {
            return Poll::Ready(());
        }
        let wait = Wait::on(WaitKind::ChanClosed, chan);
        let replaced = if waiter.state() == WaitState::Queued {
            // SAFETY: locked; QUEUED, and in the only list it can be in.
            unsafe { state.closedq.renew(waiter, cx.waker(), wait) }
        } else {
            // SAFETY: locked; pinned in this future, whose drop cancels it.
            unsafe { state.closedq.enqueue(waiter, cx.waker(), wait) };
            None
        };
        drop(state);
        drop(replaced);
        Poll::Pending
    }
}

impl<T> Drop for Closed<'_, T> {
    fn drop(&mut self) {
        if self.waiter.state() != WaitState::Queued {
            return;
        }
        // SAFETY: QUEUED, so this future was pinned, and is not moved before it is freed.
        let waiter = unsafe { pin_field(&mut self.waiter) };
        let mut state = self.chan.state.lock();
        if waiter.state() == WaitState::Queued {
            // SAFETY: locked; QUEUED, and in the only list it can be in.
            let waker = unsafe { state.closedq.cancel(waiter) };
            drop(state);
            drop(waker);
        }
    }
}

impl<T> fmt::Debug for Closed<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Closed")
            .field("waiter", &self.waiter)
            .finish_non_exhaustive()
    }
}
