//! A condition variable for our async mutex.
//!
//! ```text
//!   wait:  queue, then unlock ──▶ notified ──▶ lock again ──▶ the guard
//!                  │ dropped here    │ dropped here   │ or here
//!                  ▼                 └────────────────┴──▶ the signal goes to the next waiter
//!               unlinked
//! ```
//!
//! Invariants:
//! - A waiter is in the queue before it unlocks the mutex: who changes the condition under the mutex
//!   and notifies then finds it.
//! - A signal is one waiter's, from the notify until its `wait` has returned. If the future is dropped
//!   in between, it is passed on; it is lost only if nobody waits, as a signal to nobody is.
//! - A broadcast (`notify_all`) reached everybody, and is not passed on.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::ptr;
use std::task::{Context, Poll};

use super::mutex::{Mutex, MutexGuard};
use crate::chan::waiters::{WaitList, WaitState, Waiter, WakeList, pin_field};
use crate::chan::word_lock::Locked;
use crate::sched::wait::{Wait, WaitKind};
use crate::sched::{block_on_thread, coop};
use crate::shim::const_unless_modelled;

/// Lets goroutines wait until a value behind a [`Mutex`] has changed as they need it.
///
/// Go's `sync.Cond`: `Signal` is [`notify_one`](Self::notify_one), `Broadcast` is
/// [`notify_all`](Self::notify_all). As there, look at the condition again after
/// [`wait`](Self::wait): others may have been faster. [`wait_while`](Self::wait_while) does.
///
/// Often a channel says the same with less.
///
/// ```
/// use std::sync::Arc;
/// use actor_core::{go, sched::Runtime, sync::{Condvar, Mutex}};
///
/// Runtime::new()?.block_on(async {
///     let jobs = Arc::new((Mutex::new(vec![]), Condvar::new()));
///     let worker = go({
///         let jobs = jobs.clone();
///         async move {
///             let (list, changed) = &*jobs;
///             let mut list = changed.wait_while(list.lock().await, |list| list.is_empty()).await;
///             list.pop()
///         }
///     });
///     jobs.0.lock().await.push("job");
///     jobs.1.notify_one();
///     assert_eq!(worker.await.unwrap(), Some("job"));
/// });
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Condvar {
    queue: Locked<Queue>,
}

struct Queue {
    waiters: WaitList<()>,
    /// The mutex of those that wait; only its address is used. Means nothing while nobody waits.
    mutex: *const (),
}

// SAFETY: the address is compared, never followed.
unsafe impl Send for Queue {}

impl Condvar {
    const_unless_modelled! {
        /// A condition variable that nobody waits for.
        pub fn new() -> Self {
            Self {
                queue: Locked::new(Queue {
                    waiters: WaitList::new(),
                    mutex: ptr::null(),
                }),
            }
        }
    }

    /// Unlocks the mutex, waits for a notification, and locks it again. Go's `Wait`.
    ///
    /// The first poll unlocks; until then the future holds the guard. What is changed under the mutex
    /// after that, and notified, is not missed. There are no other wake-ups, but by the time the mutex
    /// is locked again the condition may be over.
    ///
    /// Dropping the future stops waiting, and leaves the mutex unlocked. A `notify_one` that had
    /// reached it goes to the next waiter.
    ///
    /// # Panics
    /// When polled, if somebody waits for this condition variable with another mutex at that time: the
    /// two would wake each other by mistake. (Go ties one mutex to a `Cond`; std may panic as well.)
    pub async fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        let mutex: &'a Mutex<T> = guard.mutex;
        let signal = Notified {
            condvar: self,
            guard: Some(guard),
            waiter: Waiter::new(None),
        }
        .await;
        let guard = mutex.lock().await;
        signal.arrived();
        guard
    }

    /// Waits as long as `condition` holds for the value.
    ///
    /// Dropping the future is as for [`wait`](Self::wait).
    ///
    /// # Panics
    /// As [`wait`](Self::wait).
    pub async fn wait_while<'a, T>(
        &self,
        mut guard: MutexGuard<'a, T>,
        mut condition: impl FnMut(&mut T) -> bool,
    ) -> MutexGuard<'a, T> {
        while condition(&mut guard) {
            guard = self.wait(guard).await;
        }
        guard
    }

    /// As [`wait`](Self::wait), on a thread, blocking it meanwhile; for threads that run no
    /// goroutines.
    ///
    /// # Panics
    /// As [`wait`](Self::wait).
    pub fn wait_blocking<'a, T>(&self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        block_on_thread(self.wait(guard))
    }

    /// As [`wait_while`](Self::wait_while), on a thread, blocking it meanwhile; for threads that run
    /// no goroutines.
    ///
    /// # Panics
    /// As [`wait`](Self::wait).
    pub fn wait_while_blocking<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        condition: impl FnMut(&mut T) -> bool,
    ) -> MutexGuard<'a, T> {
        block_on_thread(self.wait_while(guard, condition))
    }

    /// Wakes the one that has waited longest, if anybody waits. Go's `Signal`.
    ///
    /// The mutex need not be held. Change the condition under it, though, or before it is locked: else
    /// a waiter may look, miss the change, and queue after this call.
    pub fn notify_one(&self) {
        let mut queue = self.queue.lock();
        let first = queue.waiters.finish_first(WaitState::Done, |_| ());
        drop(queue);
        if let Some(((), waker)) = first {
            waker.wake();
        }
    }

    /// Gives a signal that has reached somebody who gives up to the next one.
    #[inline]
    fn pass_on(&self) {
        #[cfg(feature = "planted")]
        if crate::planted::is(crate::planted::Bug::MissedWakeUp) {
            return;
        }
        self.notify_one();
    }

    /// Wakes all that wait. Go's `Broadcast`.
    pub fn notify_all(&self) {
        let mut wakers = WakeList::new();
        let mut queue = self.queue.lock();
        while let Some(((), waker)) = queue.waiters.finish_first(WaitState::Closed, |_| ()) {
            wakers.push(waker);
        }
    }
}

impl Default for Condvar {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Condvar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Condvar").finish_non_exhaustive()
    }
}

/// A signal on its way: dropped before it arrived, it goes to the next waiter.
struct Signal<'a>(Option<&'a Condvar>);

impl Signal<'_> {
    fn arrived(mut self) {
        self.0 = None;
    }
}

impl Drop for Signal<'_> {
    fn drop(&mut self) {
        if let Some(condvar) = self.0 {
            condvar.pass_on();
        }
    }
}

/// Queues, unlocks, and is ready when notified.
struct Notified<'c, 'a, T> {
    condvar: &'c Condvar,
    /// Held until the waiter is in the queue.
    guard: Option<MutexGuard<'a, T>>,
    waiter: Waiter<()>,
}

impl<'c, T> Future for Notified<'c, '_, T> {
    type Output = Signal<'c>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Signal<'c>> {
        if coop::poll_proceed(cx).is_pending() {
            return Poll::Pending;
        }
        // SAFETY: `waiter` is never moved out of; the guard is not pinned structurally.
        let (condvar, guard, mut waiter) = unsafe {
            let this = self.get_unchecked_mut();
            (this.condvar, &mut this.guard, pin_field(&mut this.waiter))
        };
        let wait = Wait::on(WaitKind::Condvar, condvar);
        let mut queue = condvar.queue.lock();
        match waiter.state() {
            WaitState::Idle => {
                let held = guard.take().expect("polled again after it was ready");
                let mutex = ptr::from_ref(held.mutex).cast();
                if !queue.waiters.is_empty() && queue.mutex != mutex {
                    drop(queue);
                    drop(held);
                    panic!("waiting for a Condvar with two mutexes at a time: use one for each");
                }
                queue.mutex = mutex;
                // SAFETY: locked; idle, and pinned in this future, whose drop cancels it.
                unsafe { queue.waiters.enqueue(waiter, cx.waker(), wait) };
                drop(queue);
                drop(held); // unlocks the mutex, now that we are in the queue
                Poll::Pending
            }
            WaitState::Queued => {
                // SAFETY: locked; QUEUED, and in the only list it can be in.
                let replaced = unsafe { queue.waiters.renew(waiter.as_mut(), cx.waker(), wait) };
                drop(queue);
                drop(replaced);
                Poll::Pending
            }
            notified @ (WaitState::Done | WaitState::Closed) => {
                // The signal is passed on by `Signal` from here on.
                waiter.reset();
                Poll::Ready(Signal((notified == WaitState::Done).then_some(condvar)))
            }
        }
    }
}

impl<T> Drop for Notified<'_, '_, T> {
    #[inline]
    fn drop(&mut self) {
        if self.waiter.state() != WaitState::Idle {
            self.give_up();
        }
    }
}

impl<T> Notified<'_, '_, T> {
    #[cold]
    fn give_up(&mut self) {
        // SAFETY: it was queued, so this future was pinned, and is not moved before it is freed.
        let waiter = unsafe { pin_field(&mut self.waiter) };
        let mut queue = self.condvar.queue.lock();
        match waiter.state() {
            WaitState::Queued => {
                // SAFETY: locked; QUEUED, and in the only list it can be in.
                let waker = unsafe { queue.waiters.cancel(waiter) };
                drop(queue);
                drop(waker);
            }
            WaitState::Done => {
                drop(queue);
                self.condvar.pass_on();
            }
            WaitState::Idle | WaitState::Closed => {}
        }
    }
}
