//! An async mutex with Go's fairness: barging while it is cheap, hand-off when somebody starves.
//!
//! ```text
//!              lock: one CAS                        unlock, not WAITERS: one CAS
//!   free ────────────────────▶ LOCKED ────────────────────────────────▶ free
//!                                │
//!                                │ unlock, WAITERS:
//!                                ├─ first doesn't starve: free, *call* the first (it competes)
//!                                └─ first starves:        stays LOCKED, *granted* to the first
//! ```
//!
//! Who finds it locked spins, then queues. Who starves is in `patience.rs`.
//!
//! Invariants:
//! - `WAITERS`: somebody waits that was not called. It and the queue change only under the queue's
//!   lock, and `WAITERS` ⇒ `LOCKED`: whoever holds it will call.
//! - Waiters, but not `WAITERS` ⇒ the first was called (its waker was taken out) and has not been polled
//!   since. So those that run meanwhile lock and unlock by one CAS each, as Go's do while a waiter is
//!   woken. A called waiter stays the first: if it loses the race it sets `WAITERS` and waits on at its
//!   place; if it wins it sets `WAITERS` for those behind it.
//! - So: who was called and leaves the queue passes the call on (drop of a called future); who was
//!   granted the mutex and is dropped unlocks it.
//! - Barging needs no flag against it: a granted mutex is never free in between.
//!
//! The lock knows who holds it and who waits, for `sched::lock_cycle`: a waiter is published when it is
//! queued and withdrawn by whoever takes it out, so a published lock is alive.
//!
//! Known limit: a granted waiter whose goroutine doesn't poll it (it sits in another branch) holds
//! the mutex until it is polled or dropped. Barging makes that need 1 ms of waiting first.

use std::fmt;
use std::future::{Future, poll_fn};
use std::ops::{Deref, DerefMut};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use super::patience::{Waiting, spin};
use crate::chan::waiters::{WaitList, WaitState, Waiter, pin_field};
use crate::chan::word_lock::Locked;
use crate::sched::holders::Home;
use crate::sched::lock_cycle::{self, WaitsFor};
use crate::sched::record::RecordRef;
use crate::sched::wait::{Wait, WaitKind};
use crate::sched::{self, Deadlock, block_on_thread, coop};
use crate::shim::UnsafeCell;
use crate::shim::atomic::{AtomicU8, Ordering};
use crate::shim::const_unless_modelled;

const LOCKED: u8 = 1;
const WAITERS: u8 = 2;

/// A lock around a value, which a goroutine may hold across an `.await`.
///
/// Go's `sync.Mutex`, with the value inside and a guard for `Unlock`. Fast and unfair while nobody
/// waits long; a goroutine that has waited for 1 ms, or was woken 16 times and came too late, is
/// handed the lock next. A panic while it is held unlocks it and poisons nothing: keep the value valid
/// between statements, or let an actor own it.
///
/// ```
/// use actor_core::{sched::Runtime, sync::Mutex};
///
/// let total = Mutex::new(0);
/// Runtime::new()?.block_on(async {
///     *total.lock().await += 5;
/// });
/// assert_eq!(total.into_inner(), 5);
///
/// static EVERYWHERE: Mutex<Vec<u64>> = Mutex::new(Vec::new()); // as a Go package variable
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Mutex<T> {
    state: AtomicU8,
    queue: Queue,
    pub(super) value: UnsafeCell<T>,
}

/// Those that wait for one mutex, in the order of their arrival.
struct Queue {
    /// Who holds the mutex.
    owner: Home,
    waiters: Locked<WaitList<Waiting>>,
}

impl Queue {
    /// `who` waits here. The waiters are locked.
    fn publish(&self, who: RecordRef) {
        if !who.is_nobody() {
            lock_cycle::publish(who, WaitsFor::Mutex(self.owner.lock()));
        }
    }

    /// It does no longer.
    fn withdraw(&self, who: RecordRef) {
        if !who.is_nobody() {
            lock_cycle::withdraw(who, &WaitsFor::Mutex(self.owner.lock()));
        }
    }
}

// SAFETY: the value is reached only through a guard, one at a time, perhaps on another thread each
// time: it must be Send.
unsafe impl<T: Send> Sync for Mutex<T> {}
// SAFETY: moving the mutex moves the value. (Only loom's cell needs this line.)
unsafe impl<T: Send> Send for Mutex<T> {}

impl<T> Mutex<T> {
    const_unless_modelled! {
        /// A mutex around `value`, unlocked.
        pub fn new(value: T) -> Self {
            Self {
                state: AtomicU8::new(0),
                queue: Queue {
                    owner: Home::new(),
                    waiters: Locked::new(WaitList::new()),
                },
                value: UnsafeCell::new(value),
            }
        }
    }

    /// Locks it, waiting while another goroutine holds it. Go's `Lock`.
    ///
    /// Dropping the future gives up the place in the queue; if the lock had just been handed to it,
    /// it goes to the next.
    ///
    /// # Panics
    /// When waiting would close a cycle of locks, each held by a goroutine that waits for the next,
    /// under [`DeadlockPolicy::Panic`](crate::DeadlockPolicy): the text names all of them. Locking
    /// a mutex that the goroutine holds already is the shortest such cycle. Under the other policies
    /// it waits for ever, as in Go.
    ///
    /// A guard counts as held by the goroutine that locked it. One that another goroutine is to drop
    /// wants [`lock_owned`](Self::lock_owned), whose guards name no holder.
    #[inline]
    pub fn lock(&self) -> Lock<'_, T> {
        Lock {
            mutex: self,
            waiter: Waiter::new(None),
            told: false,
        }
    }

    /// As [`lock`](Self::lock), for those who would rather be told of a deadlock than end in one.
    ///
    /// # Errors
    /// [`Deadlock`] when waiting would close a cycle of locks; it names the goroutines. The place in
    /// the queue is given up: let go of what is held, and try again.
    ///
    /// Dropping the future is as dropping that of [`lock`](Self::lock).
    ///
    /// ```
    /// # actor_core::Runtime::new().unwrap().block_on(async {
    /// let mutex = actor_core::sync::Mutex::new(0);
    /// let _held = mutex.lock().await;
    /// let error = mutex.lock_checked().await.unwrap_err();
    /// assert!(error.to_string().contains("that it holds itself"));
    /// # });
    /// ```
    pub async fn lock_checked(&self) -> Result<MutexGuard<'_, T>, Deadlock> {
        let mut lock = pin!(self.lock());
        poll_fn(|cx| {
            if coop::poll_proceed(cx).is_pending() {
                return Poll::Pending;
            }
            lock.as_mut().poll_lock(cx)
        })
        .await
    }

    /// Locks it if it is free. Go's `TryLock`.
    #[inline]
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        self.try_acquire().then(|| self.guard())
    }

    /// Locks it on a thread, blocking it meanwhile; for threads that run no goroutines.
    pub fn lock_blocking(&self) -> MutexGuard<'_, T> {
        self.try_lock()
            .unwrap_or_else(|| block_on_thread(self.lock()))
    }

    /// The value, without locking: `&mut self` proves that nobody holds it.
    pub fn get_mut(&mut self) -> &mut T {
        // SAFETY: `&mut self`: there is no guard and no waiter that could make one.
        self.value.with_mut(|value| unsafe { &mut *value })
    }

    /// The value.
    pub fn into_inner(self) -> T {
        self.value.into_inner()
    }

    /// The guard of a lock that has just been acquired, by the calling goroutine.
    #[inline]
    fn guard(&self) -> MutexGuard<'_, T> {
        self.queue.owner.set_current();
        MutexGuard { mutex: self }
    }

    #[inline]
    fn try_acquire(&self) -> bool {
        // ORDERING: Relaxed, a guess for the exchange below.
        let mut seen = self.state.load(Ordering::Relaxed);
        while seen & LOCKED == 0 {
            // ORDERING: Acquire pairs with the Release in `unlock`: the value is visible.
            match self.state.compare_exchange_weak(
                seen,
                seen | LOCKED,
                Ordering::Acquire,
                Ordering::Relaxed,
            ) {
                Ok(_) => return true,
                Err(now) => seen = now,
            }
        }
        false
    }

    /// Whether it pays to go on looking, and whether it is free, for [`spin`].
    fn looks_free(&self) -> Option<bool> {
        // ORDERING: Relaxed, a guess.
        let seen = self.state.load(Ordering::Relaxed);
        // Once somebody waits to be called, a turn is a switch anyhow.
        (seen & WAITERS == 0).then_some(seen & LOCKED == 0)
    }

    fn look(&self) -> Option<bool> {
        self.looks_free().map(|free| free && self.try_acquire())
    }

    /// Acquires it, or sets `WAITERS`, in one step. The queue's lock is held.
    fn acquire_or_announce(&self) -> bool {
        let mut seen = self.state.load(Ordering::Relaxed);
        loop {
            let free = seen & LOCKED == 0;
            let next = if free { seen | LOCKED } else { seen | WAITERS };
            // ORDERING: Acquire as in `try_acquire`; announcing publishes nothing (the queue has a
            // lock of its own).
            match self
                .state
                .compare_exchange(seen, next, Ordering::Acquire, Ordering::Relaxed)
            {
                Ok(_) => return free,
                Err(now) => seen = now,
            }
        }
    }

    /// The guard may be anybody's from now on.
    pub(super) fn disown(&self) {
        self.queue.owner.clear();
    }

    #[inline]
    pub(super) fn unlock(&self) {
        self.queue.owner.clear();
        // ORDERING: Release pairs with the Acquire in `try_acquire`.
        if self
            .state
            .compare_exchange(LOCKED, 0, Ordering::Release, Ordering::Relaxed)
            .is_err()
        {
            self.unlock_contended();
        }
    }

    #[cold]
    fn unlock_contended(&self) {
        let mut queue = self.queue.waiters.lock();
        let waker = if queue.peek_first(Waiting::starves) == Some(true) {
            // The lock stays LOCKED and is the waiter's. The value travels with the waiter's state
            // (Release in `finish_first`, Acquire in `state`).
            let granted = queue.finish_first(WaitState::Done, |waiting| {
                let who = waiting
                    .take()
                    .map_or(RecordRef::NOBODY, |waiting| waiting.who);
                // In this order: who is published here must not be found to hold it.
                self.queue.withdraw(who);
                self.queue.owner.set(who);
            });
            self.forget_waiters_if_none(&queue);
            granted.map(|((), waker)| waker)
        } else {
            // ORDERING: Release pairs with the Acquire in `try_acquire`.
            self.state.store(0, Ordering::Release);
            queue.call_first()
        };
        drop(queue);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn forget_waiters_if_none(&self, queue: &WaitList<Waiting>) {
        if queue.is_empty() {
            // ORDERING: Relaxed: the flag guards nothing, the queue's lock does.
            self.state.fetch_and(!WAITERS, Ordering::Relaxed);
        }
    }
}

impl<T: Default> Default for Mutex<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T: fmt::Debug> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Mutex");
        match self.try_lock() {
            Some(guard) => out.field("value", &*guard).finish(),
            None => out.finish_non_exhaustive(),
        }
    }
}

/// The future of [`Mutex::lock`].
#[must_use = "nothing is locked until the future is awaited"]
pub struct Lock<'a, T> {
    mutex: &'a Mutex<T>,
    waiter: Waiter<Waiting>,
    /// A cycle was logged: wait on without looking for it.
    told: bool,
}

impl<'a, T> Future for Lock<'a, T> {
    type Output = MutexGuard<'a, T>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if coop::poll_proceed(cx).is_pending() {
            return Poll::Pending;
        }
        loop {
            match self.as_mut().poll_lock(cx) {
                Poll::Ready(Ok(guard)) => return Poll::Ready(guard),
                Poll::Ready(Err(deadlock)) => {
                    sched::lock_cycle_closed(&deadlock);
                    // SAFETY: not the pinned field.
                    unsafe { self.as_mut().get_unchecked_mut() }.told = true;
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

impl<'a, T> Lock<'a, T> {
    /// As `poll`; an error once when waiting has closed a cycle. The next poll waits anew.
    fn poll_lock(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<MutexGuard<'a, T>, Deadlock>> {
        // SAFETY: `waiter` is never moved out of.
        let (mutex, waiter, told) = unsafe {
            let this = self.get_unchecked_mut();
            (this.mutex, pin_field(&mut this.waiter), this.told)
        };
        if waiter.state() == WaitState::Idle && mutex.try_acquire() {
            return Poll::Ready(Ok(mutex.guard()));
        }
        mutex.poll_contended(waiter, told, cx)
    }
}

impl<T> Mutex<T> {
    #[cold]
    fn poll_contended(
        &self,
        mut waiter: Pin<&mut Waiter<Waiting>>,
        told: bool,
        cx: &mut Context<'_>,
    ) -> Poll<Result<MutexGuard<'_, T>, Deadlock>> {
        match waiter.state() {
            WaitState::Idle if spin(|| self.look()) => return Poll::Ready(Ok(self.guard())),
            // Called, perhaps. What is free is taken under the queue's lock.
            WaitState::Queued => _ = spin(|| self.looks_free()),
            _ => {}
        }
        let wait = Wait::on(WaitKind::Mutex, self);
        // Whoever polls is whoever waits, from now on.
        let who = if told {
            RecordRef::NOBODY
        } else {
            lock_cycle::current()
        };
        let deadlock = match waiter.state() {
            WaitState::Queued => lock_cycle::verdict(who),
            _ => None,
        };
        let mut queue = self.queue.waiters.lock();
        if waiter.state() == WaitState::Done {
            // Granted: LOCKED is ours. Not again, should the future be polled or dropped.
            waiter.reset();
            return Poll::Ready(Ok(self.guard()));
        }
        let queued = waiter.state() == WaitState::Queued;
        let acquired = self.acquire_or_announce();
        let mut next = None;
        let (waker, left) = if acquired || deadlock.is_some() {
            let (waker, left) = self.leave_queue(&mut queue, waiter.as_mut(), queued);
            if acquired && !queue.is_empty() {
                // Those behind it were not called.
                // ORDERING: Relaxed: the flag guards nothing, the queue's lock does.
                self.state.fetch_or(WAITERS, Ordering::Relaxed);
            } else if queued && waker.is_none() {
                next = queue.call_first(); // its call is the next one's
            }
            (waker, left)
        } else if queued {
            // Lost the race: wait on, at the same place.
            self.waits_on(waiter.as_mut(), who);
            self.queue.publish(who);
            // SAFETY: locked; QUEUED, and in the only list it can be in.
            (
                unsafe { queue.renew(waiter.as_mut(), cx.waker(), wait) },
                None,
            )
        } else {
            waiter.as_mut().put_value(Waiting::new(who));
            self.queue.publish(who);
            // SAFETY: locked; pinned in this future, whose drop cancels it.
            unsafe { queue.enqueue(waiter, cx.waker(), wait) };
            (None, None)
        };
        drop(queue);
        drop((waker, left));
        if let Some(next) = next {
            next.wake();
        }
        match deadlock {
            _ if acquired => Poll::Ready(Ok(self.guard())),
            Some(deadlock) => Poll::Ready(Err(*deadlock)),
            None => Poll::Pending,
        }
    }

    /// A queued waiter was polled in vain by `who`, perhaps not the same as before. The queue's lock is
    /// held.
    fn waits_on(&self, waiter: Pin<&mut Waiter<Waiting>>, who: RecordRef) {
        // SAFETY: the caller holds the lock.
        let before = unsafe {
            waiter.with_value(|waiting| {
                let waiting = waiting.as_mut()?;
                waiting.lost();
                Some(std::mem::replace(&mut waiting.who, who))
            })
        };
        if let Some(before) = before.filter(|before| *before != who) {
            self.queue.withdraw(before);
        }
    }

    /// Takes a waiter out, if it is queued. What comes back is to be dropped after unlocking.
    fn leave_queue(
        &self,
        queue: &mut WaitList<Waiting>,
        mut waiter: Pin<&mut Waiter<Waiting>>,
        queued: bool,
    ) -> (Option<Waker>, Option<Waiting>) {
        if !queued {
            return (None, None);
        }
        // SAFETY: the caller holds the lock; QUEUED, and in the only list it can be in.
        let waker = unsafe { queue.cancel(waiter.as_mut()) };
        self.forget_waiters_if_none(queue);
        let left = waiter.take_value();
        if let Some(waiting) = &left {
            self.queue.withdraw(waiting.who);
        }
        (waker, left)
    }
}

impl<T> Drop for Lock<'_, T> {
    #[inline]
    fn drop(&mut self) {
        if self.waiter.state() != WaitState::Idle {
            self.give_up();
        }
    }
}

impl<T> Lock<'_, T> {
    #[cold]
    fn give_up(&mut self) {
        let mutex = self.mutex;
        // SAFETY: it was queued, so this future was pinned, and is not moved before it is freed.
        let waiter = unsafe { pin_field(&mut self.waiter) };
        let mut queue = mutex.queue.waiters.lock();
        if waiter.state() != WaitState::Queued {
            drop(queue);
            mutex.unlock(); // it was granted to us meanwhile
            return;
        }
        let (waker, _) = mutex.leave_queue(&mut queue, waiter, true);
        // A call that we got is the next one's.
        let next = match waker {
            Some(_) => None,
            None => queue.call_first(),
        };
        drop(queue);
        drop(waker);
        if let Some(next) = next {
            next.wake();
        }
    }
}

impl<T> fmt::Debug for Lock<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lock")
            .field("waiter", &self.waiter)
            .finish_non_exhaustive()
    }
}

/// The right to the value of a [`Mutex`]; dropping it unlocks.
#[must_use = "the mutex is unlocked at once if the guard is not kept"]
pub struct MutexGuard<'a, T> {
    pub(super) mutex: &'a Mutex<T>,
}

// SAFETY: sharing the guard shares `&T`; the mutex itself may be used from anywhere.
unsafe impl<T: Sync> Sync for MutexGuard<'_, T> {}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: LOCKED is ours, and `&mut` comes only from `&mut self`.
        self.mutex.value.with(|value| unsafe { &*value })
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: LOCKED is ours, and the guard is borrowed mutably.
        self.mutex.value.with_mut(|value| unsafe { &mut *value })
    }
}

impl<T: fmt::Debug> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: fmt::Display> fmt::Display for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T> Drop for MutexGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.mutex.unlock();
    }
}
