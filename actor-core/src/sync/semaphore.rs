//! A weighted semaphore: permits, taken several at a time, first come first served.
//!
//! ```text
//!   word:  [ free permits | CLOSED | WAITERS ]
//!
//!   acquire(k)  one CAS, − k, if neither flag is set and k are free; else queue
//!   release(k)  one RMW, + k; if WAITERS was set, then serve the queue under its lock
//!   serve       while the first waiter's k are free: − k, granted to it
//! ```
//!
//! Invariants:
//! - `WAITERS` ⇔ the queue is not empty; it, `CLOSED`, the queue and the size change only under the
//!   queue's lock.
//! - While `WAITERS` is set permits are taken only by [`serve`](Semaphore::serve), under that lock: a
//!   big request at the head is overtaken by nobody, and the free permits can only grow meanwhile.
//! - Whoever may have made the head ready (a release that saw `WAITERS`, a waiter that gave up, a
//!   change of the size) serves; it looks at the word and the queue only, so once too often is free.
//! - size = free + granted to waiters + held by permits. A request above the size is hopeless: it is
//!   told so when it comes, or, if the size shrank, when it comes to the head.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::semaphore_permit::{OwnedPermit, Permit};
use crate::chan::waiters::{WaitList, WaitState, Waiter, WakeList, pin_field};
use crate::chan::word_lock::{Locked, LockedGuard};
use crate::sched::wait::{Wait, WaitKind};
use crate::sched::{block_on_thread, coop};
use crate::shim::Arc;
use crate::shim::atomic::{AtomicUsize, Ordering};

const WAITERS: usize = 1;
const CLOSED: usize = 2;
/// One free permit.
const ONE: usize = 4;

/// A number of permits, to limit how many do something at once, each with a weight.
///
/// Go's `semaphore.Weighted` (`golang.org/x/sync`), with a guard for `Release`. Requests are served in
/// the order of their coming: a big one that waits is not starved by small ones that would fit.
///
/// The permits count places, not events: to signal, use a [`Condvar`](super::Condvar) or a channel.
///
/// ```
/// use actor_core::{sched::Runtime, sync::Semaphore};
///
/// let memory = Semaphore::new(100);
/// Runtime::new()?.block_on(async {
///     let big = memory.acquire(80).await?;
///     assert!(memory.try_acquire(30).is_err());
///     drop(big);
///     assert!(memory.try_acquire(30).is_ok());
///     Ok::<(), actor_core::sync::AcquireError>(())
/// })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Semaphore {
    word: AtomicUsize,
    queue: Locked<Queue>,
}

struct Queue {
    /// Each waiter's value is the number of permits it wants; taken out if it can never get them.
    waiters: WaitList<usize>,
    size: usize,
}

/// Why no permits were given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AcquireError {
    /// The semaphore was closed.
    Closed,
    /// The semaphore has fewer permits in all than were asked for. (Go waits until the context ends.)
    TooMany {
        /// How many were asked for.
        wanted: usize,
        /// How many there are in all, free or not, at the time of the answer.
        size: usize,
    },
}

impl fmt::Display for AcquireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("acquiring from a closed semaphore: no permits are given"),
            Self::TooMany { wanted, size } => write!(
                f,
                "acquiring {wanted} permits of a semaphore that has {size} in all: ask for fewer, \
                 or add some first with `add_permits`"
            ),
        }
    }
}

impl Error for AcquireError {}

/// Why no permits were given at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TryAcquireError {
    /// Too few are free now, or others wait.
    NoPermits,
    /// The semaphore was closed.
    Closed,
}

impl fmt::Display for TryAcquireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoPermits => "too few permits of the semaphore are free: wait with `acquire`",
            Self::Closed => "acquiring from a closed semaphore: no permits are given",
        })
    }
}

impl Error for TryAcquireError {}

impl Semaphore {
    /// The most permits that a semaphore can have.
    pub const MAX_PERMITS: usize = usize::MAX / ONE;

    /// A semaphore with `permits` free ones.
    ///
    /// # Panics
    /// If they are more than [`MAX_PERMITS`](Self::MAX_PERMITS).
    #[track_caller]
    pub fn new(permits: usize) -> Self {
        check_size(Some(permits));
        Self {
            word: AtomicUsize::new(permits * ONE),
            queue: Locked::new(Queue {
                waiters: WaitList::new(),
                size: permits,
            }),
        }
    }

    /// Takes `permits`, waiting until that many are free and everybody that came before is served.
    /// Go's `Acquire`. Zero permits are given at once.
    ///
    /// Dropping the future gives up the place in the queue, and what was granted meanwhile.
    ///
    /// # Errors
    /// [`Closed`](AcquireError::Closed) if the semaphore is closed, before or meanwhile;
    /// [`TooMany`](AcquireError::TooMany) if it has fewer in all, now or after some were forgotten.
    #[inline]
    pub fn acquire(&self, permits: usize) -> Acquire<'_> {
        Acquire {
            semaphore: self,
            permits,
            waiter: Waiter::new(None),
        }
    }

    /// Takes `permits` if that many are free and nobody waits. Go's `TryAcquire`.
    ///
    /// # Errors
    /// Which of both it is.
    #[inline]
    pub fn try_acquire(&self, permits: usize) -> Result<Permit<'_>, TryAcquireError> {
        self.take(permits).map(|()| Permit::acquired(self, permits))
    }

    /// As [`acquire`](Self::acquire), on a thread, blocking it meanwhile; for threads that run no
    /// goroutines.
    ///
    /// # Errors
    /// As [`acquire`](Self::acquire).
    pub fn acquire_blocking(&self, permits: usize) -> Result<Permit<'_>, AcquireError> {
        match self.try_acquire(permits) {
            Ok(permit) => Ok(permit),
            Err(_) => block_on_thread(self.acquire(permits)),
        }
    }

    /// As [`acquire`](Self::acquire); the permit keeps the semaphore alive, so that it may go
    /// anywhere.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use actor_core::{go, sched::Runtime, sync::Semaphore};
    ///
    /// let at_once = Arc::new(Semaphore::new(2));
    /// Runtime::new()?.block_on(async {
    ///     for n in 0..10 {
    ///         let permit = at_once.acquire_owned(1).await.unwrap();
    ///         go(async move {
    ///             println!("one of at most two: {n}");
    ///             drop(permit);
    ///         });
    ///     }
    ///     drop(at_once.acquire(2).await); // all have ended
    /// });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`acquire`](Self::acquire).
    pub fn acquire_owned(
        self: &Arc<Self>,
        permits: usize,
    ) -> impl Future<Output = Result<OwnedPermit, AcquireError>> + use<> {
        let semaphore = self.clone();
        async move {
            semaphore.acquire(permits).await?.keep();
            Ok(OwnedPermit::acquired(semaphore, permits))
        }
    }

    /// As [`try_acquire`](Self::try_acquire), with a permit that keeps the semaphore alive.
    ///
    /// # Errors
    /// As [`try_acquire`](Self::try_acquire).
    pub fn try_acquire_owned(
        self: &Arc<Self>,
        permits: usize,
    ) -> Result<OwnedPermit, TryAcquireError> {
        self.take(permits)
            .map(|()| OwnedPermit::acquired(self.clone(), permits))
    }

    /// Adds free permits; the semaphore is bigger from now on.
    ///
    /// # Panics
    /// If it gets bigger than [`MAX_PERMITS`](Self::MAX_PERMITS); then it stays as it is.
    #[track_caller]
    pub fn add_permits(&self, permits: usize) {
        let mut wakers = WakeList::new();
        let mut queue = self.queue.lock();
        queue.size = check_size(queue.size.checked_add(permits));
        // ORDERING: Relaxed: what adds permits has done nothing that their taker must see.
        self.word.fetch_add(permits * ONE, Ordering::Relaxed);
        self.serve(&mut queue, &mut wakers);
    }

    /// Closes it: who waits and who comes later gets an error. Permits that are held stay valid.
    /// False if it was closed already.
    pub fn close(&self) -> bool {
        let mut wakers = WakeList::new();
        let mut queue = self.queue.lock();
        // ORDERING: Relaxed: the flag publishes nothing; waiters are told by their state.
        let before = self.word.fetch_or(CLOSED, Ordering::Relaxed);
        while let Some(((), waker)) = queue.waiters.finish_first(WaitState::Closed, |_| ()) {
            wakers.push(waker);
        }
        self.forget_waiters_if_none(&queue);
        before & CLOSED == 0
    }

    /// Whether it was closed.
    pub fn is_closed(&self) -> bool {
        // ORDERING: Relaxed, as in `close`.
        self.word.load(Ordering::Relaxed) & CLOSED != 0
    }

    /// How many permits are free at this moment.
    pub fn available(&self) -> usize {
        // ORDERING: Relaxed: it may be another number at once.
        self.word.load(Ordering::Relaxed) / ONE
    }

    /// How many permits there are in all, free or not.
    pub fn size(&self) -> usize {
        self.queue.lock().size
    }

    #[inline]
    fn take(&self, permits: usize) -> Result<(), TryAcquireError> {
        // ORDERING: Relaxed, a guess for the exchange below.
        let mut seen = self.word.load(Ordering::Relaxed);
        loop {
            if seen & CLOSED != 0 {
                return Err(TryAcquireError::Closed);
            }
            if permits == 0 {
                return Ok(());
            }
            if seen & WAITERS != 0 || seen / ONE < permits {
                return Err(TryAcquireError::NoPermits);
            }
            // ORDERING: Acquire pairs with the Release in `release`: we come after who held them.
            match self.word.compare_exchange_weak(
                seen,
                seen - permits * ONE,
                Ordering::Acquire,
                Ordering::Relaxed,
            ) {
                Ok(_) => return Ok(()),
                Err(now) => seen = now,
            }
        }
    }

    /// Takes the permits, or sets `WAITERS`, in one step. The queue's lock is held.
    fn take_or_announce(&self, permits: usize) -> bool {
        // ORDERING: Relaxed, a guess for the exchange below.
        let mut seen = self.word.load(Ordering::Relaxed);
        loop {
            let free = seen & WAITERS == 0 && seen / ONE >= permits;
            let next = if free {
                seen - permits * ONE
            } else {
                seen | WAITERS
            };
            // ORDERING: Acquire as in `take`; announcing publishes nothing (the queue has a lock of
            // its own).
            match self
                .word
                .compare_exchange(seen, next, Ordering::Acquire, Ordering::Relaxed)
            {
                Ok(_) => return free,
                Err(now) => seen = now,
            }
        }
    }

    #[inline]
    pub(super) fn release(&self, permits: usize) {
        // ORDERING: Release pairs with the Acquire in `take` and `serve`: who gets the permits comes
        // after us.
        let before = self.word.fetch_add(permits * ONE, Ordering::Release);
        if before & WAITERS != 0 {
            self.release_contended();
        }
    }

    #[cold]
    fn release_contended(&self) {
        let mut wakers = WakeList::new();
        let mut queue = self.queue.lock();
        self.serve(&mut queue, &mut wakers);
    }

    /// Permits that are held are gone for good.
    pub(super) fn shrink(&self, permits: usize) {
        let mut wakers = WakeList::new();
        let mut queue = self.queue.lock();
        queue.size -= permits;
        self.serve(&mut queue, &mut wakers);
    }

    /// Grants the permits to those at the head for whom they suffice.
    fn serve(&self, queue: &mut Queue, wakers: &mut WakeList) {
        while let Some(wanted) = queue.waiters.peek_first(|wanted| *wanted) {
            // ORDERING: Acquire pairs with the Release in `release`; it travels to the granted with
            // their state (Release in `finish_first`, Acquire in `state`).
            let free = self.word.load(Ordering::Acquire) / ONE;
            let finished = if wanted > queue.size {
                let hopeless = |wanted: &mut Option<usize>| *wanted = None;
                queue.waiters.finish_first(WaitState::Closed, hopeless)
            } else if wanted <= free {
                // ORDERING: Relaxed: nobody else takes any meanwhile. Before the grant, as the waiter
                // may release them right after it.
                self.word.fetch_sub(wanted * ONE, Ordering::Relaxed);
                queue.waiters.finish_first(WaitState::Done, |_| ())
            } else {
                break;
            };
            finished.into_iter().for_each(|((), w)| wakers.push(w));
        }
        self.forget_waiters_if_none(queue);
    }

    fn forget_waiters_if_none(&self, queue: &Queue) {
        if queue.waiters.is_empty() {
            // ORDERING: Relaxed: the flag guards nothing, the queue's lock does.
            self.word.fetch_and(!WAITERS, Ordering::Relaxed);
        }
    }
}

#[track_caller]
fn check_size(size: Option<usize>) -> usize {
    match size {
        Some(size) if size <= Semaphore::MAX_PERMITS => size,
        _ => panic!(
            "a semaphore has at most {} permits (Semaphore::MAX_PERMITS): ask for fewer",
            Semaphore::MAX_PERMITS
        ),
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Semaphore")
            .field("available", &self.available())
            .field("closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}

/// The future of [`Semaphore::acquire`].
#[must_use = "no permits are taken until the future is awaited"]
pub struct Acquire<'a> {
    semaphore: &'a Semaphore,
    permits: usize,
    waiter: Waiter<usize>,
}

impl<'a> Future for Acquire<'a> {
    type Output = Result<Permit<'a>, AcquireError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if coop::poll_proceed(cx).is_pending() {
            return Poll::Pending;
        }
        // SAFETY: `waiter` is never moved out of.
        let (semaphore, permits, waiter) = unsafe {
            let this = self.get_unchecked_mut();
            (this.semaphore, this.permits, pin_field(&mut this.waiter))
        };
        if waiter.state() == WaitState::Idle && semaphore.take(permits).is_ok() {
            return Poll::Ready(Ok(Permit::acquired(semaphore, permits)));
        }
        semaphore
            .poll_contended(permits, waiter, cx)
            .map_ok(|()| Permit::acquired(semaphore, permits))
    }
}

impl Semaphore {
    #[cold]
    fn poll_contended(
        &self,
        permits: usize,
        mut waiter: Pin<&mut Waiter<usize>>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), AcquireError>> {
        let wait = Wait::on(WaitKind::Semaphore, self);
        let mut queue = self.queue.lock();
        match waiter.state() {
            WaitState::Idle => self.enter(permits, waiter, cx, queue),
            WaitState::Queued => {
                // SAFETY: locked; QUEUED, and in the only list it can be in.
                let replaced = unsafe { queue.waiters.renew(waiter.as_mut(), cx.waker(), wait) };
                drop(queue);
                drop(replaced);
                Poll::Pending
            }
            WaitState::Done => {
                // Granted. Not again, should the future be polled or dropped.
                waiter.reset();
                Poll::Ready(Ok(()))
            }
            WaitState::Closed => {
                waiter.as_mut().reset();
                Poll::Ready(Err(match waiter.take_value() {
                    None => AcquireError::TooMany {
                        wanted: permits,
                        size: queue.size,
                    },
                    Some(_) => AcquireError::Closed,
                }))
            }
        }
    }

    /// The first poll, under the lock.
    fn enter(
        &self,
        permits: usize,
        mut waiter: Pin<&mut Waiter<usize>>,
        cx: &mut Context<'_>,
        mut queue: LockedGuard<'_, Queue>,
    ) -> Poll<Result<(), AcquireError>> {
        if self.is_closed() {
            return Poll::Ready(Err(AcquireError::Closed));
        }
        if permits > queue.size {
            return Poll::Ready(Err(AcquireError::TooMany {
                wanted: permits,
                size: queue.size,
            }));
        }
        if self.take_or_announce(permits) {
            return Poll::Ready(Ok(()));
        }
        waiter.as_mut().put_value(permits);
        let wait = Wait::on(WaitKind::Semaphore, self);
        // SAFETY: locked; idle, and pinned in a future whose drop cancels it.
        unsafe { queue.waiters.enqueue(waiter, cx.waker(), wait) };
        Poll::Pending
    }

    /// A future that has waited, and perhaps been granted its permits meanwhile, is dropped.
    #[cold]
    fn give_up(&self, permits: usize, mut waiter: Pin<&mut Waiter<usize>>) {
        let mut wakers = WakeList::new();
        let mut queue = self.queue.lock();
        match waiter.state() {
            WaitState::Queued => {
                // SAFETY: locked; QUEUED, and in the only list it can be in.
                let own = unsafe { queue.waiters.cancel(waiter.as_mut()) };
                // We may have been the one for whom the permits did not suffice.
                self.serve(&mut queue, &mut wakers);
                drop(queue);
                drop(own);
            }
            WaitState::Done => {
                drop(queue);
                self.release(permits);
            }
            WaitState::Idle | WaitState::Closed => {}
        }
    }
}

impl Drop for Acquire<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.waiter.state() != WaitState::Idle {
            // SAFETY: it was queued, so this future was pinned, and is not moved before it is freed.
            let waiter = unsafe { pin_field(&mut self.waiter) };
            self.semaphore.give_up(self.permits, waiter);
        }
    }
}

impl fmt::Debug for Acquire<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acquire")
            .field("permits", &self.permits)
            .field("waiter", &self.waiter)
            .finish_non_exhaustive()
    }
}
