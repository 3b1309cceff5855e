//! Many readers or one writer: the value, and the futures that wait for it.
//!
//! Who gets in, and when, is in `rwlock_raw.rs`; the guards are in `rwlock_guards.rs`. Here the rule
//! is one: an access that was acquired becomes a guard at once, which releases it.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use super::patience::Waiting;
use super::rwlock_guards::{
    OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLockReadGuard, RwLockWriteGuard,
};
use super::rwlock_raw::{Access, RawRwLock};
use crate::chan::waiters::{WaitState, Waiter, pin_field};
use crate::sched::{Deadlock, block_on_thread, coop};
use crate::shim::const_unless_modelled;
use crate::shim::{Arc, UnsafeCell};

/// A lock around a value that many may read at once, or one may write; goroutines may hold it across
/// an `.await`.
///
/// Go's `sync.RWMutex`, with the value inside and guards for `RUnlock` and `Unlock`. A waiting writer
/// blocks new readers, and is next when those inside have left. When a writer unlocks, those that
/// wait are woken and compete with those that run; who has waited for 1 ms by then, or was woken
/// 16 times and came too late, is let in, readers first. So neither side starves. A panic while it is
/// held unlocks it and poisons nothing.
///
/// Go lets all readers that wait in each time a writer unlocks. Its documentation doesn't promise that,
/// and here it would make each turn a switch of goroutines, once somebody has had to wait.
///
/// Reading twice in one goroutine waits for ever if a writer comes in between: it waits for the first
/// guard, and the second reader waits for it. This is Go's rule too ("prohibits recursive read
/// locking"). Pass the guard on instead.
///
/// ```
/// use actor_core::{sched::Runtime, sync::RwLock};
///
/// let config = RwLock::new(vec!["a"]);
/// Runtime::new()?.block_on(async {
///     config.write().await.push("b");
///     let (one, other) = (config.read().await, config.read().await);
///     assert_eq!((one.len(), other[1]), (2, "b"));
/// });
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct RwLock<T> {
    pub(super) raw: RawRwLock,
    pub(super) value: UnsafeCell<T>,
}

// SAFETY: readers on several threads share `&T` (Sync); a writer on any thread may take the value out
// or drop it (Send).
unsafe impl<T: Send + Sync> Sync for RwLock<T> {}
// SAFETY: moving the lock moves the value. (Only loom's cell needs this line.)
unsafe impl<T: Send> Send for RwLock<T> {}

impl<T> RwLock<T> {
    const_unless_modelled! {
        /// A lock around `value`, with nobody inside.
        pub fn new(value: T) -> Self {
            Self {
                raw: RawRwLock::new(),
                value: UnsafeCell::new(value),
            }
        }
    }

    /// Locks it for reading, waiting while somebody writes or waits to write. Go's `RLock`.
    ///
    /// Dropping the future gives up the place in the queue, and the lock if it was granted meanwhile.
    #[inline]
    pub fn read(&self) -> ReadLock<'_, T> {
        ReadLock {
            lock: self,
            waiter: Waiter::new(None),
            told: false,
        }
    }

    /// Locks it for writing, waiting until everybody is out. Go's `Lock`.
    ///
    /// Dropping the future gives up the place in the queue: readers that waited behind it alone get
    /// in. If the lock was granted meanwhile, it goes to the next.
    #[inline]
    pub fn write(&self) -> WriteLock<'_, T> {
        WriteLock {
            lock: self,
            waiter: Waiter::new(None),
            told: false,
        }
    }

    /// Locks it for reading, if nobody writes or waits to write. Go's `TryRLock`.
    #[inline]
    pub fn try_read(&self) -> Option<RwLockReadGuard<'_, T>> {
        self.raw
            .try_acquire(Access::Read)
            .then(|| RwLockReadGuard::acquired(self))
    }

    /// Locks it for writing, if nobody is inside. Go's `TryLock`.
    #[inline]
    pub fn try_write(&self) -> Option<RwLockWriteGuard<'_, T>> {
        self.raw
            .try_acquire(Access::Write)
            .then(|| RwLockWriteGuard::acquired(self))
    }

    /// As [`read`](Self::read), for those who would rather be told of a deadlock than end in one.
    ///
    /// Dropping the future is as dropping that of [`read`](Self::read).
    ///
    /// # Errors
    /// [`Deadlock`] when waiting would close a cycle of locks; it names the goroutines. The place in
    /// the queue is given up: let go of what is held, and try again.
    pub async fn read_checked(&self) -> Result<RwLockReadGuard<'_, T>, Deadlock> {
        let mut lock = pin!(self.read());
        poll_fn(|cx| {
            if coop::poll_proceed(cx).is_pending() {
                return Poll::Pending;
            }
            lock.as_mut().poll_checked(cx)
        })
        .await
    }

    /// Locks it for reading on a thread, blocking it meanwhile; for threads that run no goroutines.
    pub fn read_blocking(&self) -> RwLockReadGuard<'_, T> {
        self.try_read()
            .unwrap_or_else(|| block_on_thread(self.read()))
    }

    /// As [`write`](Self::write), for those who would rather be told of a deadlock than end in one.
    ///
    /// Dropping the future is as dropping that of [`write`](Self::write).
    ///
    /// # Errors
    /// [`Deadlock`] when waiting would close a cycle of locks; it names the goroutines. The place in
    /// the queue is given up: let go of what is held, and try again.
    pub async fn write_checked(&self) -> Result<RwLockWriteGuard<'_, T>, Deadlock> {
        let mut lock = pin!(self.write());
        poll_fn(|cx| {
            if coop::poll_proceed(cx).is_pending() {
                return Poll::Pending;
            }
            lock.as_mut().poll_checked(cx)
        })
        .await
    }

    /// Locks it for writing on a thread, blocking it meanwhile; for threads that run no goroutines.
    pub fn write_blocking(&self) -> RwLockWriteGuard<'_, T> {
        self.try_write()
            .unwrap_or_else(|| block_on_thread(self.write()))
    }

    /// As [`read`](Self::read); the guard keeps the lock alive, so that it may go anywhere.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use actor_core::{go, sched::Runtime, sync::RwLock};
    ///
    /// let lock = Arc::new(RwLock::new(1));
    /// let read = Runtime::new()?.block_on(async {
    ///     let guard = lock.read_owned().await;
    ///     go(async move { *guard }).await
    /// });
    /// assert_eq!(read.unwrap(), 1);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn read_owned(self: &Arc<Self>) -> impl Future<Output = OwnedRwLockReadGuard<T>> + use<T> {
        let lock = self.clone();
        async move {
            RwLockReadGuard::forget(lock.read().await);
            OwnedRwLockReadGuard::acquired(lock)
        }
    }

    /// As [`write`](Self::write); the guard keeps the lock alive, so that it may go anywhere.
    pub fn write_owned(
        self: &Arc<Self>,
    ) -> impl Future<Output = OwnedRwLockWriteGuard<T>> + use<T> {
        let lock = self.clone();
        async move {
            std::mem::forget(lock.write().await);
            OwnedRwLockWriteGuard::acquired(lock)
        }
    }

    /// As [`try_read`](Self::try_read), with a guard that keeps the lock alive.
    pub fn try_read_owned(self: &Arc<Self>) -> Option<OwnedRwLockReadGuard<T>> {
        self.raw
            .try_acquire(Access::Read)
            .then(|| OwnedRwLockReadGuard::acquired(self.clone()))
    }

    /// As [`try_write`](Self::try_write), with a guard that keeps the lock alive.
    pub fn try_write_owned(self: &Arc<Self>) -> Option<OwnedRwLockWriteGuard<T>> {
        self.raw
            .try_acquire(Access::Write)
            .then(|| OwnedRwLockWriteGuard::acquired(self.clone()))
    }

    /// The value, without locking: `&mut self` proves that nobody is inside.
    pub fn get_mut(&mut self) -> &mut T {
        // SAFETY: `&mut self`: there is no guard and no waiter that could make one.
        self.value.with_mut(|value| unsafe { &mut *value })
    }

    /// The value.
    pub fn into_inner(self) -> T {
        self.value.into_inner()
    }
}

impl<T: Default> Default for RwLock<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T: fmt::Debug> fmt::Debug for RwLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("RwLock");
        match self.try_read() {
            Some(guard) => out.field("value", &*guard).finish(),
            None => out.finish_non_exhaustive(),
        }
    }
}

/// The future of [`RwLock::read`].
#[must_use = "nothing is locked until the future is awaited"]
pub struct ReadLock<'a, T> {
    lock: &'a RwLock<T>,
    waiter: Waiter<Waiting>,
    /// A cycle was logged: wait on without looking for it.
    told: bool,
}

impl<'a, T> Future for ReadLock<'a, T> {
    type Output = RwLockReadGuard<'a, T>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if coop::poll_proceed(cx).is_pending() {
            return Poll::Pending;
        }
        // SAFETY: `waiter` is never moved out of.
        let (lock, mut waiter, told) = unsafe {
            let this = self.get_unchecked_mut();
            (this.lock, pin_field(&mut this.waiter), &mut this.told)
        };
        let acquired = lock
            .raw
            .poll_or_tell(Access::Read, waiter.as_mut(), told, cx);
        acquired.map(|()| RwLockReadGuard::acquired(lock))
    }
}

impl<'a, T> ReadLock<'a, T> {
    /// As `poll`; an error once when waiting has closed a cycle. The next poll waits anew.
    fn poll_checked(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<RwLockReadGuard<'a, T>, Deadlock>> {
        // SAFETY: `waiter` is never moved out of.
        let (lock, waiter) = unsafe {
            let this = self.get_unchecked_mut();
            (this.lock, pin_field(&mut this.waiter))
        };
        let acquired = lock.raw.poll_acquire(Access::Read, waiter, false, cx);
        acquired.map_ok(|()| RwLockReadGuard::acquired(lock))
    }
}

impl<T> Drop for ReadLock<'_, T> {
    #[inline]
    fn drop(&mut self) {
        if self.waiter.state() != WaitState::Idle {
            // SAFETY: it was queued, so this future was pinned, and is not moved before it is freed.
            let waiter = unsafe { pin_field(&mut self.waiter) };
            self.lock.raw.give_up(Access::Read, waiter);
        }
    }
}

impl<T> fmt::Debug for ReadLock<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadLock")
            .field("waiter", &self.waiter)
            .finish_non_exhaustive()
    }
}

/// The future of [`RwLock::write`].
#[must_use = "nothing is locked until the future is awaited"]
pub struct WriteLock<'a, T> {
    lock: &'a RwLock<T>,
    waiter: Waiter<Waiting>,
    /// A cycle was logged: wait on without looking for it.
    told: bool,
}

impl<'a, T> Future for WriteLock<'a, T> {
    type Output = RwLockWriteGuard<'a, T>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if coop::poll_proceed(cx).is_pending() {
            return Poll::Pending;
        }
        // SAFETY: `waiter` is never moved out of.
        let (lock, mut waiter, told) = unsafe {
            let this = self.get_unchecked_mut();
            (this.lock, pin_field(&mut this.waiter), &mut this.told)
        };
        let acquired = lock
            .raw
            .poll_or_tell(Access::Write, waiter.as_mut(), told, cx);
        acquired.map(|()| RwLockWriteGuard::acquired(lock))
    }
}

impl<'a, T> WriteLock<'a, T> {
    /// As `poll`; an error once when waiting has closed a cycle. The next poll waits anew.
    fn poll_checked(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<RwLockWriteGuard<'a, T>, Deadlock>> {
        // SAFETY: `waiter` is never moved out of.
        let (lock, waiter) = unsafe {
            let this = self.get_unchecked_mut();
            (this.lock, pin_field(&mut this.waiter))
        };
        let acquired = lock.raw.poll_acquire(Access::Write, waiter, false, cx);
        acquired.map_ok(|()| RwLockWriteGuard::acquired(lock))
    }
}

impl<T> Drop for WriteLock<'_, T> {
    #[inline]
    fn drop(&mut self) {
        if self.waiter.state() != WaitState::Idle {
            // SAFETY: it was queued, so this future was pinned, and is not moved before it is freed.
            let waiter = unsafe { pin_field(&mut self.waiter) };
            self.lock.raw.give_up(Access::Write, waiter);
        }
    }
}

impl<T> fmt::Debug for WriteLock<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteLock")
            .field("waiter", &self.waiter)
            .finish_non_exhaustive()
    }
}
