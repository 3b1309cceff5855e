//! A mutex guard that keeps its mutex alive, to be sent anywhere.
//!
//! It is the borrowed guard with a counted handle instead of the reference: the lock is acquired by
//! the borrowed one, which is forgotten, and released here. Since such a guard may go to another
//! goroutine, it names no holder: a cycle of locks through it is found only when everybody sleeps.

use std::fmt;
use std::future::Future;
use std::mem;
use std::ops::{Deref, DerefMut};

use super::mutex::Mutex;
use crate::shim::Arc;

impl<T> Mutex<T> {
    /// As [`lock`](Self::lock); the guard keeps the mutex alive, so that it may go anywhere.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use actor_core::{go, sched::Runtime, sync::Mutex};
    ///
    /// let total = Arc::new(Mutex::new(1));
    /// Runtime::new()?.block_on(async {
    ///     let mut guard = total.lock_owned().await;
    ///     go(async move { *guard += 1 }).await.unwrap();
    ///     assert_eq!(*total.lock().await, 2);
    /// });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn lock_owned(self: &Arc<Self>) -> impl Future<Output = OwnedMutexGuard<T>> + use<T> {
        let mutex = self.clone();
        async move {
            mem::forget(mutex.lock().await);
            mutex.disown();
            OwnedMutexGuard { mutex }
        }
    }

    /// As [`try_lock`](Self::try_lock), with a guard that keeps the mutex alive.
    pub fn try_lock_owned(self: &Arc<Self>) -> Option<OwnedMutexGuard<T>> {
        mem::forget(self.try_lock()?);
        self.disown();
        Some(OwnedMutexGuard {
            mutex: self.clone(),
        })
    }
}

/// A [`MutexGuard`](super::MutexGuard) that keeps the mutex alive, from [`Mutex::lock_owned`].
#[must_use = "the mutex is unlocked at once if the guard is not kept"]
pub struct OwnedMutexGuard<T> {
    mutex: Arc<Mutex<T>>,
}

// SAFETY: sharing the guard shares `&T` (Sync); its handle to the mutex may drop the value (Send).
unsafe impl<T: Send + Sync> Sync for OwnedMutexGuard<T> {}

impl<T> Deref for OwnedMutexGuard<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: we hold the lock, and `&mut` comes only from `&mut self`.
        self.mutex.value.with(|value| unsafe { &*value })
    }
}

impl<T> DerefMut for OwnedMutexGuard<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: we hold the lock, and the guard is borrowed mutably.
        self.mutex.value.with_mut(|value| unsafe { &mut *value })
    }
}

impl<T> Drop for OwnedMutexGuard<T> {
    #[inline]
    fn drop(&mut self) {
        self.mutex.unlock();
    }
}

impl<T: fmt::Debug> fmt::Debug for OwnedMutexGuard<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: fmt::Display> fmt::Display for OwnedMutexGuard<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
