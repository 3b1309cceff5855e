//! A lock of one byte whose other bits are flags that its owner may read and change for free.
//!
//! The sections it guards are tens of instructions and run no user code, so it is a spin lock that
//! soon gives way: a few spins, then `sched_yield`, then short sleeps, never an unbounded spin.
//!
//! - Bit 0 is `LOCKED`; the seven flags above belong to whoever embeds the word.
//! - While the lock is held only its owner changes the word; while it is free the word changes only
//!   by a compare-and-swap. Therefore unlocking is a plain store (no read-modify-write), and that
//!   store may set the flags as well: an uncontended lock/unlock pair costs one RMW.
//! - [`Locked`] pairs the word with the value that it guards, for those who need no flags.
//!
//! loom cannot explore spinning, so its builds put [`modelled::WordLock`] in the place of
//! [`SpinWord`]: the same word, behind a mutex that loom knows. `SpinWord` has a model of its own.
//!
//! Rejected: parking_lot's raw mutex (its unlock is a second RMW, and the flags would be a third);
//! a queue of parked waiters (needs memory, and the sections are shorter than a futex call).

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

use crate::shim::UnsafeCell;
use crate::shim::atomic::{AtomicU8, Ordering};
use crate::shim::const_unless_modelled;

/// Bit 0: somebody is in the section.
pub(crate) const LOCKED: u8 = 1;

#[cfg(not(actor_loom))]
pub(crate) use SpinWord as WordLock;
#[cfg(actor_loom)]
pub(crate) use modelled::WordLock;

/// The lock word: see the file's comment.
pub(crate) struct SpinWord(AtomicU8);

impl SpinWord {
    const_unless_modelled! {
        #[inline]
        pub(crate) fn new(flags: u8) -> Self {
            debug_assert!(flags & LOCKED == 0);
            Self(AtomicU8::new(flags))
        }
    }

    /// Where it stands in the order in which several are taken: its address.
    pub(crate) fn rank(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    /// The word as it was a moment ago.
    #[inline]
    pub(crate) fn peek(&self) -> u8 {
        // ORDERING: Acquire pairs with the Release in `unlock` and `transition`: who acts on a flag
        // sees what was written before it was set.
        self.0.load(Ordering::Acquire)
    }

    /// Enters the section; returns the flags.
    #[inline]
    pub(crate) fn lock(&self) -> u8 {
        // ORDERING: Relaxed, only a guess for the compare-and-swap below.
        let seen = self.0.load(Ordering::Relaxed);
        if seen & LOCKED == 0 && self.transition(seen, seen | LOCKED) {
            return seen;
        }
        self.lock_contended()
    }

    /// Enters the section if nobody is in it. It may fail when the word changes meanwhile.
    #[inline]
    pub(crate) fn try_lock(&self) -> bool {
        // ORDERING: Relaxed, a guess as in `lock`.
        let seen = self.0.load(Ordering::Relaxed);
        seen & LOCKED == 0 && self.transition(seen, seen | LOCKED)
    }

    /// Leaves the section, setting the flags to `flags`.
    #[inline]
    pub(crate) fn unlock(&self, flags: u8) {
        debug_assert_eq!(flags & LOCKED, 0);
        // ORDERING: Release pairs with the Acquire of `transition` and `peek`: the next owner sees
        // what this one wrote. A plain store loses no update: nobody else writes a locked word.
        self.0.store(flags, Ordering::Release);
    }

    /// Changes a free word in one step; false if it is no longer `from`.
    #[inline]
    pub(crate) fn transition(&self, from: u8, to: u8) -> bool {
        debug_assert_eq!(from & LOCKED, 0);
        // ORDERING: AcqRel; Acquire pairs with the Release in `unlock`, Release with the Acquire of
        // whoever reads the flags set here.
        self.0
            .compare_exchange(from, to, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok()
    }

    #[cold]
    fn lock_contended(&self) -> u8 {
        let mut wait = Backoff::new();
        loop {
            // ORDERING: Relaxed, a guess as in `lock`.
            let seen = self.0.load(Ordering::Relaxed);
            if seen & LOCKED == 0 && self.transition(seen, seen | LOCKED) {
                return seen;
            }
            wait.snooze();
        }
    }
}

impl fmt::Debug for SpinWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SpinWord({:#010b})", self.peek())
    }
}

#[cfg(actor_loom)]
mod modelled {
    //! `SpinWord`'s interface for models: waiting for the section blocks, instead of spinning.

    use loom::sync::{Mutex, MutexGuard};

    use super::{AtomicU8, LOCKED, Ordering, UnsafeCell};

    #[derive(Debug)]
    pub(crate) struct WordLock {
        word: AtomicU8,
        /// The owner's guard. Declared before the mutex that it borrows.
        held: UnsafeCell<Option<MutexGuard<'static, ()>>>,
        section: Box<Mutex<()>>,
        /// Addresses are others in every run of a model; the order of creation is the same.
        rank: usize,
    }

    // SAFETY: `held` is touched only by the section's owner.
    unsafe impl Send for WordLock {}
    // SAFETY: as above.
    unsafe impl Sync for WordLock {}

    impl WordLock {
        pub(crate) fn new(flags: u8) -> Self {
            static CREATED: std::sync::Mutex<usize> = std::sync::Mutex::new(0);
            let mut created = CREATED.lock().unwrap();
            *created += 1;
            Self {
                rank: *created,
                word: AtomicU8::new(flags),
                held: UnsafeCell::new(None),
                section: Box::new(Mutex::new(())),
            }
        }

        pub(crate) fn rank(&self) -> usize {
            self.rank
        }

        pub(crate) fn peek(&self) -> u8 {
            // ORDERING: Acquire pairs with the Release in `unlock`.
            self.word.load(Ordering::Acquire)
        }

        pub(crate) fn lock(&self) -> u8 {
            self.enter(self.section.lock().unwrap())
        }

        pub(crate) fn try_lock(&self) -> bool {
            self.section
                .try_lock()
                .map(|guard| self.enter(guard))
                .is_ok()
        }

        fn enter(&self, guard: MutexGuard<'_, ()>) -> u8 {
            // SAFETY: only the lifetime changes; the guard is dropped in `unlock`, before the boxed
            // mutex is.
            let guard = unsafe {
                std::mem::transmute::<MutexGuard<'_, ()>, MutexGuard<'static, ()>>(guard)
            };
            // SAFETY: we are the section's owner.
            self.held.with_mut(|held| unsafe { *held = Some(guard) });
            // ORDERING: Relaxed: the mutex orders owners, and `peek` acts on no flag set here.
            self.word.fetch_or(LOCKED, Ordering::Relaxed)
        }

        pub(crate) fn unlock(&self, flags: u8) {
            // SAFETY: we are still the section's owner.
            let guard = self.held.with_mut(|held| unsafe { (*held).take() });
            // ORDERING: Release pairs with `peek`.
            self.word.store(flags, Ordering::Release);
            drop(guard);
        }

        pub(crate) fn transition(&self, from: u8, to: u8) -> bool {
            let _guard = self.section.lock().unwrap();
            // ORDERING: as in `SpinWord`.
            self.word
                .compare_exchange(from, to, Ordering::AcqRel, Ordering::Relaxed)
                .is_ok()
        }
    }
}

/// Gives way to whoever holds a short section: spins, then yields, then sleeps.
#[derive(Debug)]
pub(crate) struct Backoff(u32);

impl Backoff {
    pub(crate) fn new() -> Self {
        Self(0)
    }

    #[cfg(not(actor_loom))]
    pub(crate) fn snooze(&mut self) {
        const SPIN_ROUNDS: u32 = 5; // 1 + 2 + .. + 16 = 31 pauses, about a microsecond
        const YIELD_ROUNDS: u32 = 12;
        match self.0 {
            round if round < SPIN_ROUNDS => {
                (0..1 << round).for_each(|_| crate::shim::hint::spin_loop());
            }
            round if round < YIELD_ROUNDS => crate::shim::thread::yield_now(),
            // The owner was descheduled inside the section: let it run.
            _ => std::thread::sleep(std::time::Duration::from_micros(50)),
        }
        self.0 = self.0.saturating_add(1);
    }

    #[cfg(actor_loom)]
    pub(crate) fn snooze(&mut self) {
        crate::shim::thread::yield_now();
    }
}

/// A value behind a [`WordLock`].
pub(crate) struct Locked<T> {
    word: WordLock,
    value: UnsafeCell<T>,
}

// SAFETY: the value is reached only in the locked section, by one thread at a time, which may move
// it (`T: Send`).
unsafe impl<T: Send> Sync for Locked<T> {}

impl<T> Locked<T> {
    const_unless_modelled! {
        pub(crate) fn new(value: T) -> Self {
            Self {
                word: WordLock::new(0),
                value: UnsafeCell::new(value),
            }
        }
    }

    #[inline]
    pub(crate) fn lock(&self) -> LockedGuard<'_, T> {
        self.word.lock();
        LockedGuard {
            lock: self,
            shared: PhantomData,
        }
    }

    /// The lock alone, for those who take several at once: in the order of their addresses.
    pub(crate) fn word(&self) -> &WordLock {
        &self.word
    }

    /// Reaches the value under a lock that was taken through [`word`](Self::word).
    ///
    /// # Safety
    /// The caller holds the lock, and no guard or reference to the value is alive.
    #[inline]
    pub(crate) unsafe fn with_held<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        // SAFETY: promised by the caller: this is the only access.
        self.value.with_mut(|value| f(unsafe { &mut *value }))
    }
}

impl<T> Locked<T> {
    /// The right to the value, if nobody has it.
    #[inline]
    pub(crate) fn try_lock(&self) -> Option<LockedGuard<'_, T>> {
        self.word.try_lock().then(|| LockedGuard {
            lock: self,
            shared: PhantomData,
        })
    }
}

impl<T> fmt::Debug for Locked<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Locked")
            .field("word", &self.word)
            .finish_non_exhaustive()
    }
}

// SAFETY: `&LockedGuard` gives `&T` and nothing else. (Without this, `T: Send` would do, by the
// lock's own `Sync`.)
unsafe impl<T: Sync> Sync for LockedGuard<'_, T> {}

/// The right to the value; dropping it leaves the section.
pub(crate) struct LockedGuard<'a, T> {
    lock: &'a Locked<T>,
    /// Not `Sync` by itself.
    shared: PhantomData<std::cell::Cell<T>>,
}

impl<T> Deref for LockedGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: we hold the lock, so no `&mut` exists but through this guard, borrowed here.
        self.lock.value.with(|value| unsafe { &*value })
    }
}

impl<T> DerefMut for LockedGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: we hold the lock and the guard is borrowed mutably: the only access.
        self.lock.value.with_mut(|value| unsafe { &mut *value })
    }
}

impl<T> Drop for LockedGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.lock.word.unlock(0);
    }
}
