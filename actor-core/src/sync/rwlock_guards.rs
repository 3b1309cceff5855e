//! The guards of a reader-writer lock: borrowed and owned, reading and writing.
//!
//! - A guard is one acquired access, and its drop the one release.
//! - A reading guard gives `&T` only; a writing one gives `&mut T` through `&mut self`.
//! - Their `Send` and `Sync` are those of `&RwLock` and `Arc<RwLock>`, which ask for `T: Send + Sync`:
//!   enough for `&T` and `&mut T` on any thread.

use std::fmt;
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::ptr;

use super::rwlock::RwLock;
use super::rwlock_raw::Access;
use crate::sched::holders::Home;
use crate::sched::lock_cycle;
use crate::shim::Arc;

/// Where the lock notes the guard's goroutine, for `sched::lock_cycle`. Owned guards are made to be
/// moved to others, and are not noted.
#[derive(Clone, Copy)]
struct Holder(Option<usize>);

impl Holder {
    #[inline]
    fn current(holders: &Home, access: Access) -> Self {
        match access {
            Access::Read => Self(holders.enter(lock_cycle::current())),
            Access::Write => {
                holders.set_current();
                Self(None)
            }
        }
    }

    /// A writer that waited was noted when it was let in.
    #[inline]
    fn unknown(holders: &Home, access: Access) -> Self {
        if access == Access::Write {
            holders.clear();
        }
        Self(None)
    }

    /// Before the lock is released.
    #[inline]
    fn leave(self, holders: &Home, access: Access) {
        match access {
            Access::Read => holders.leave(self.0),
            Access::Write => holders.clear(),
        }
    }
}

macro_rules! guard {
    (
        $(#[$doc:meta])* $name:ident, $access:ident, $holder:ident, $lock:ty $(, $lifetime:lifetime)?
    ) => {
        $(#[$doc])*
        #[must_use = "the lock is released at once if the guard is not kept"]
        pub struct $name<$($lifetime,)? T> {
            lock: $lock,
            holder: Holder,
        }

        impl<$($lifetime,)? T> $name<$($lifetime,)? T> {
            /// The access was acquired and is this guard's to release.
            #[inline]
            pub(super) fn acquired(lock: $lock) -> Self {
                let holder = Holder::$holder(&lock.raw.holders, Access::$access);
                Self { lock, holder }
            }
        }

        impl<$($lifetime,)? T> Deref for $name<$($lifetime,)? T> {
            type Target = T;

            #[inline]
            fn deref(&self) -> &T {
                // SAFETY: we are inside: nobody writes but us, and that needs `&mut self`.
                self.lock.value.with(|value| unsafe { &*value })
            }
        }

        impl<$($lifetime,)? T> Drop for $name<$($lifetime,)? T> {
            #[inline]
            fn drop(&mut self) {
                self.holder.leave(&self.lock.raw.holders, Access::$access);
                self.lock.raw.release(Access::$access);
            }
        }

        impl<$($lifetime,)? T: fmt::Debug> fmt::Debug for $name<$($lifetime,)? T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                (**self).fmt(f)
            }
        }

        impl<$($lifetime,)? T: fmt::Display> fmt::Display for $name<$($lifetime,)? T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                (**self).fmt(f)
            }
        }
    };
}

guard! {
    /// The right to read the value of an [`RwLock`]; dropping it unlocks.
    RwLockReadGuard, Read, current, &'a RwLock<T>, 'a
}
guard! {
    /// The right to write the value of an [`RwLock`]; dropping it unlocks.
    RwLockWriteGuard, Write, current, &'a RwLock<T>, 'a
}
guard! {
    /// An [`RwLockReadGuard`] that keeps the lock alive, from [`RwLock::read_owned`].
    OwnedRwLockReadGuard, Read, unknown, Arc<RwLock<T>>
}
guard! {
    /// An [`RwLockWriteGuard`] that keeps the lock alive, from [`RwLock::write_owned`].
    OwnedRwLockWriteGuard, Write, unknown, Arc<RwLock<T>>
}

impl<T> DerefMut for RwLockWriteGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: we alone are inside, and the guard is borrowed mutably.
        self.lock.value.with_mut(|value| unsafe { &mut *value })
    }
}

impl<T> DerefMut for OwnedRwLockWriteGuard<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as for `RwLockWriteGuard`.
        self.lock.value.with_mut(|value| unsafe { &mut *value })
    }
}

impl<T> RwLockReadGuard<'_, T> {
    /// Leaves the access to another guard, which names no holder.
    pub(super) fn forget(guard: Self) {
        let guard = ManuallyDrop::new(guard);
        guard.holder.leave(&guard.lock.raw.holders, Access::Read);
    }
}

impl<'a, T> RwLockWriteGuard<'a, T> {
    /// Goes on as a reader: no writer gets in between, readers that wait get in with us.
    ///
    /// ```
    /// use actor_core::sync::{RwLock, RwLockWriteGuard};
    ///
    /// let lock = RwLock::new(1);
    /// let mut writes = lock.try_write().unwrap();
    /// *writes += 1;
    /// let reads = RwLockWriteGuard::downgrade(writes);
    /// assert_eq!(*reads + *lock.try_read().unwrap(), 4);
    /// ```
    pub fn downgrade(guard: Self) -> RwLockReadGuard<'a, T> {
        let guard = ManuallyDrop::new(guard);
        let lock = guard.lock;
        guard.holder.leave(&lock.raw.holders, Access::Write);
        lock.raw.downgrade();
        RwLockReadGuard::acquired(lock)
    }
}

impl<T> OwnedRwLockWriteGuard<T> {
    /// As [`RwLockWriteGuard::downgrade`].
    pub fn downgrade(guard: Self) -> OwnedRwLockReadGuard<T> {
        let guard = ManuallyDrop::new(guard);
        // SAFETY: moved out of a guard that is neither dropped nor used again.
        let lock = unsafe { ptr::read(&raw const guard.lock) };
        lock.raw.downgrade();
        OwnedRwLockReadGuard::acquired(lock)
    }
}
