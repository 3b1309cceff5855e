//! A barrier: a number of parties wait for each other, again and again.
//!
//! - A round's parties that have arrived are those in the queue; the last one finishes them all and
//!   goes on without having queued. So the barrier is ready for the next round at once.
//! - A party that is dropped while it waits has not arrived. Once the round is complete it has, though
//!   its future may not have been polled since.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::chan::waiters::{WaitList, WaitState, Waiter, WakeList, pin_field};
use crate::chan::word_lock::Locked;
use crate::sched::wait::{Wait, WaitKind};
use crate::sched::{block_on_thread, coop};

/// Lets a number of goroutines wait until all of them have come to the same point.
///
/// `std::sync::Barrier` with `.await`; Go has none, and takes a `sync.WaitGroup` for one round. It can
/// be used again at once.
///
/// ```
/// use std::sync::Arc;
/// use actor_core::{sched::Runtime, sync::{Barrier, WaitGroup}};
///
/// Runtime::new()?.block_on(async {
///     let (barrier, group) = (Arc::new(Barrier::new(3)), WaitGroup::new());
///     for n in 0..3 {
///         let barrier = barrier.clone();
///         group.go(async move {
///             println!("before: {n}");
///             if barrier.wait().await.is_leader() {
///                 println!("all three have said it");
///             }
///         });
///     }
///     group.wait().await;
/// });
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Barrier {
    parties: usize,
    arrived: Locked<Arrived>,
}

struct Arrived {
    count: usize,
    waiters: WaitList<()>,
}

/// What a party of a [`Barrier`] gets when all have arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BarrierWaitResult {
    leader: bool,
}

impl BarrierWaitResult {
    /// Whether this is the one party of the round that arrived last; for what is done once a round.
    pub fn is_leader(&self) -> bool {
        self.leader
    }
}

impl Barrier {
    /// A barrier for that many parties.
    ///
    /// # Panics
    /// If `parties` is zero. (std's takes zero for one.)
    #[track_caller]
    pub fn new(parties: usize) -> Self {
        assert!(
            parties > 0,
            "a barrier for no parties would never open: give Barrier::new at least 1"
        );
        Self {
            parties,
            arrived: Locked::new(Arrived {
                count: 0,
                waiters: WaitList::new(),
            }),
        }
    }

    /// Arrives, and waits until all parties have. The last one to arrive is the leader.
    ///
    /// Dropping the future while others are missing takes the arrival back.
    pub fn wait(&self) -> BarrierWait<'_> {
        BarrierWait {
            barrier: self,
            waiter: Waiter::new(None),
        }
    }

    /// As [`wait`](Self::wait), on a thread, blocking it meanwhile; for threads that run no
    /// goroutines.
    pub fn wait_blocking(&self) -> BarrierWaitResult {
        block_on_thread(self.wait())
    }

    /// How many parties it waits for.
    pub fn parties(&self) -> usize {
        self.parties
    }
}

impl fmt::Debug for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let arrived = self.arrived.lock().count;
        f.debug_struct("Barrier")
            .field("parties", &self.parties)
            .field("arrived", &arrived)
            .finish()
    }
}

/// The future of [`Barrier::wait`].
#[must_use = "nobody arrives until the future is awaited"]
pub struct BarrierWait<'a> {
    barrier: &'a Barrier,
    waiter: Waiter<()>,
}

impl Future for BarrierWait<'_> {
    type Output = BarrierWaitResult;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<BarrierWaitResult> {
        if coop::poll_proceed(cx).is_pending() {
            return Poll::Pending;
        }
        // SAFETY: `waiter` is never moved out of.
        let (barrier, mut waiter) = unsafe {
            let this = self.get_unchecked_mut();
            (this.barrier, pin_field(&mut this.waiter))
        };
        let wait = Wait::on(WaitKind::Barrier, barrier);
        let mut wakers = WakeList::new();
        let mut arrived = barrier.arrived.lock();
        match waiter.state() {
            WaitState::Idle if arrived.count + 1 == barrier.parties => {
                arrived.count = 0;
                while let Some(((), waker)) = arrived.waiters.finish_first(WaitState::Done, |_| ())
                {
                    wakers.push(waker);
                }
                Poll::Ready(BarrierWaitResult { leader: true })
            }
            WaitState::Idle => {
                arrived.count += 1;
                // SAFETY: locked; idle, and pinned in this future, whose drop cancels it.
                unsafe { arrived.waiters.enqueue(waiter, cx.waker(), wait) };
                Poll::Pending
            }
            WaitState::Queued => {
                // SAFETY: locked; QUEUED, and in the only list it can be in.
                let replaced = unsafe { arrived.waiters.renew(waiter.as_mut(), cx.waker(), wait) };
                drop(arrived);
                drop(replaced);
                Poll::Pending
            }
            WaitState::Done | WaitState::Closed => Poll::Ready(BarrierWaitResult { leader: false }),
        }
    }
}

impl Drop for BarrierWait<'_> {
    fn drop(&mut self) {
        if self.waiter.state() != WaitState::Queued {
            return;
        }
        // SAFETY: QUEUED, so this future was pinned, and is not moved before it is freed.
        let waiter = unsafe { pin_field(&mut self.waiter) };
        let mut arrived = self.barrier.arrived.lock();
        if waiter.state() == WaitState::Queued {
            arrived.count -= 1;
            // SAFETY: locked; QUEUED, and in the only list it can be in.
            let waker = unsafe { arrived.waiters.cancel(waiter) };
            drop(arrived);
            drop(waker);
        }
    }
}

impl fmt::Debug for BarrierWait<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BarrierWait")
            .field("waiter", &self.waiter)
            .finish_non_exhaustive()
    }
}
