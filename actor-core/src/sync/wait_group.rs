//! Go's `sync.WaitGroup`: wait until as many have finished as were announced.
//!
//! - The count changes without the lock, but the step to zero is made under it, together with the
//!   waking of all that wait: a waiter that registers under the lock sees a count that is not zero
//!   and is in the list before it can become zero. So a group can be used again at once.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::chan::waiters::{WaitList, WaitState, Waiter, WakeList, pin_field};
use crate::chan::word_lock::Locked;
use crate::sched::wait::{Wait as WaitFor, WaitKind};
use crate::sched::{self, JoinHandle, block_on_thread, coop};
use crate::shim::Arc;
use crate::shim::atomic::{AtomicUsize, Ordering};

/// Waits for a number of goroutines (or anything else) to finish. Clones are the same group.
///
/// Go's `sync.WaitGroup`: announce with [`add`](Self::add) *before* starting the work, call
/// [`done`](Self::done) when it ends, [`wait`](Self::wait) for all. [`go`](Self::go) does both.
///
/// ```
/// use actor_core::{sched::Runtime, sync::WaitGroup};
///
/// Runtime::new()?.block_on(async {
///     let group = WaitGroup::new();
///     for n in 0..3 {
///         group.go(async move { println!("goroutine {n}") });
///     }
///     group.wait().await;
/// });
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct WaitGroup {
    group: Arc<Group>,
}

struct Group {
    count: AtomicUsize,
    waiting: Locked<WaitList<()>>,
}

impl WaitGroup {
    /// A group that waits for nothing yet.
    pub fn new() -> Self {
        let group = Group {
            count: AtomicUsize::new(0),
            waiting: Locked::new(WaitList::new()),
        };
        Self {
            group: Arc::new(group),
        }
    }

    /// Announces `n` more that will call [`done`](Self::done).
    ///
    /// Call it before the work starts, not inside it: else a [`wait`](Self::wait) may be over before
    /// the work has begun. Adding at zero while others come back from `wait` begins a new round (in
    /// Go: a panic): a wait whose round is over is over, even if it has not been polled since.
    ///
    /// # Panics
    /// If the count overflows; it is then as it was before.
    #[track_caller]
    pub fn add(&self, n: usize) {
        // ORDERING: Relaxed: announcing publishes nothing; `done` does.
        let before = self.group.count.fetch_add(n, Ordering::Relaxed);
        if before.checked_add(n).is_none() {
            // ORDERING: as above.
            self.group.count.fetch_sub(n, Ordering::Relaxed);
            panic!(
                "WaitGroup::add({n}) makes the count overflow: it is {before} already; call done() \
                 once for each that was added"
            );
        }
    }

    /// One of those that were announced has finished.
    ///
    /// # Panics
    /// If more are done than were added: the count would fall below zero. It stays at zero.
    #[track_caller]
    pub fn done(&self) {
        let count = &self.group.count;
        // ORDERING: Relaxed, a guess for the exchange below.
        let mut seen = count.load(Ordering::Relaxed);
        while seen > 1 {
            // ORDERING: Release pairs with the Acquire in `Wait::poll`, through the chain of RMWs:
            // what was done before `done` is visible after `wait`.
            match count.compare_exchange(seen, seen - 1, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => seen = now,
            }
        }
        self.group.done_last();
    }

    /// Waits until the count is zero. Many may wait. Ready at once if nothing was announced.
    ///
    /// Dropping the future stops waiting and changes nothing else.
    pub fn wait(&self) -> Wait<'_> {
        Wait {
            group: &self.group,
            waiter: Waiter::new(None),
        }
    }

    /// Waits on a thread, blocking it meanwhile; for threads that run no goroutines.
    pub fn wait_blocking(&self) {
        // ORDERING: Acquire, as in `Wait::poll`.
        if self.group.count.load(Ordering::Acquire) != 0 {
            block_on_thread(self.wait());
        }
    }

    /// Starts a goroutine that is counted by this group until it has ended: returned, panicked or
    /// been aborted. Go 1.25's `WaitGroup.Go`.
    ///
    /// # Panics
    /// Outside a runtime, as [`go`](crate::sched::go).
    #[track_caller]
    pub fn go<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let counted = self.counted();
        sched::go(CountedFuture { future, counted })
    }

    fn counted(&self) -> Counted {
        self.add(1);
        Counted(self.clone())
    }
}

pin_project_lite::pin_project! {
    /// A counted goroutine. Not an async block: one that is aborted before its first poll would
    /// drop the guard before the future.
    struct CountedFuture<F> {
        // In this order: what the goroutine held is dropped before it counts as done.
        #[pin]
        future: F,
        counted: Counted,
    }
}

impl<F: Future> Future for CountedFuture<F> {
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.project().future.poll(cx)
    }
}

/// Calls `done` when dropped.
struct Counted(WaitGroup);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.done();
    }
}

impl Group {
    #[cold]
    #[track_caller]
    fn done_last(&self) {
        let mut wakers = WakeList::new();
        let mut waiting = self.waiting.lock();
        // ORDERING: Relaxed, a guess for the exchange below.
        let mut seen = self.count.load(Ordering::Relaxed);
        loop {
            // Checked before it is changed: the count stays right for everybody else.
            assert!(
                seen != 0,
                "WaitGroup::done was called more often than announced: call add(n) before the \
                 work starts, and done() once for each"
            );
            // ORDERING: AcqRel: Release as in `done`; Acquire so that the wake-ups below, and with
            // them the waiters, come after the work of all others.
            match self
                .count
                .compare_exchange(seen, seen - 1, Ordering::AcqRel, Ordering::Relaxed)
            {
                Ok(_) => break,
                Err(now) => seen = now,
            }
        }
        if seen == 1 {
            while let Some(((), waker)) = waiting.finish_first(WaitState::Done, |_| ()) {
                wakers.push(waker);
            }
        }
    }
}

impl Default for WaitGroup {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for WaitGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.group.count.load(Ordering::Relaxed);
        f.debug_struct("WaitGroup")
            .field("count", &count)
            .finish_non_exhaustive()
    }
}

/// The future of [`WaitGroup::wait`].
#[must_use = "waiting happens when the future is awaited"]
pub struct Wait<'a> {
    group: &'a Group,
    waiter: Waiter<()>,
}

impl Future for Wait<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if coop::poll_proceed(cx).is_pending() {
            return Poll::Pending;
        }
        // SAFETY: `waiter` is never moved out of.
        let (group, mut waiter) = unsafe {
            let this = self.get_unchecked_mut();
            (this.group, pin_field(&mut this.waiter))
        };
        // ORDERING: Acquire pairs with the Release in `done`: the work is visible.
        if waiter.state() == WaitState::Idle && group.count.load(Ordering::Acquire) == 0 {
            return Poll::Ready(());
        }
        let wait = WaitFor::on(WaitKind::WaitGroup, group);
        let mut waiting = group.waiting.lock();
        match waiter.state() {
            WaitState::Idle => {
                // ORDERING: as above; again, because only under the lock it cannot become zero.
                if group.count.load(Ordering::Acquire) == 0 {
                    return Poll::Ready(());
                }
                // SAFETY: locked; pinned in this future, whose drop cancels it.
                unsafe { waiting.enqueue(waiter, cx.waker(), wait) };
                Poll::Pending
            }
            WaitState::Queued => {
                // SAFETY: locked; QUEUED, and in the only list it can be in.
                let replaced = unsafe { waiting.renew(waiter.as_mut(), cx.waker(), wait) };
                drop(waiting);
                drop(replaced);
                Poll::Pending
            }
            WaitState::Done | WaitState::Closed => Poll::Ready(()),
        }
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        if self.waiter.state() != WaitState::Queued {
            return;
        }
        // SAFETY: QUEUED, so this future was pinned, and is not moved before it is freed.
        let waiter = unsafe { pin_field(&mut self.waiter) };
        let mut waiting = self.group.waiting.lock();
        if waiter.state() == WaitState::Queued {
            // SAFETY: locked; QUEUED, and in the only list it can be in.
            let waker = unsafe { waiting.cancel(waiter) };
            drop(waiting);
            drop(waker);
        }
    }
}

impl fmt::Debug for Wait<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wait")
            .field("waiter", &self.waiter)
            .finish_non_exhaustive()
    }
}
