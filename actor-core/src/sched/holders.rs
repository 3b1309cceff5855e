//! Who holds a lock: in memory of its own, which is never freed.
//!
//! The search for cycles (`lock_cycle.rs`) looks at locks that others wait for, while they may be
//! released, moved or dropped, and whose waiting futures may have been forgotten. So a lock does not
//! hold the names of its holders itself: its [`Home`] points to a [`Kept`] line that goes back to a
//! free list when the lock is dropped. A [`LockRef`] carries a generation, which tells a line that serves
//! another lock by now.
//!
//! A lock takes its line when a goroutine first holds it or waits for it, and keeps it; a lock that
//! nobody with a record ever touched has none.

use std::fmt;

use parking_lot::Mutex;

use super::lock_cycle;
use super::record::RecordRef;
use crate::shim::atomic::{AtomicPtr, AtomicU64, Ordering, fence};
use crate::shim::const_unless_modelled;

/// How many readers of one lock are known by name; more of them are not followed.
const READERS: usize = 4;

/// The holders of one lock, on a cache line of their own.
#[repr(align(64))]
struct Kept {
    generation: AtomicU64,
    writer: AtomicU64,
    /// The writer that keeps new readers out.
    waiting_writer: AtomicU64,
    readers: [AtomicU64; READERS],
}

static FREE: Mutex<Vec<&'static Kept>> = Mutex::new(Vec::new());

impl Kept {
    fn take() -> &'static Self {
        let free = FREE.lock().pop();
        free.unwrap_or_else(|| {
            Box::leak(Box::new(Self {
                generation: AtomicU64::new(0),
                writer: AtomicU64::new(0),
                waiting_writer: AtomicU64::new(0),
                readers: std::array::from_fn(|_| AtomicU64::new(0)),
            }))
        })
    }

    fn give_back(&'static self) {
        // ORDERING: Release pairs with the fence in `LockRef::read`: who sees what the next lock writes
        // here sees that the generation has moved.
        self.generation.fetch_add(1, Ordering::Release);
        self.writer.store(0, Ordering::Relaxed);
        self.waiting_writer.store(0, Ordering::Relaxed);
        for reader in &self.readers {
            reader.store(0, Ordering::Relaxed);
        }
        FREE.lock().push(self);
    }
}

/// A lock's way to the names of its holders.
pub(crate) struct Home(AtomicPtr<Kept>);

impl Home {
    const_unless_modelled! {
        pub(crate) fn new() -> Self {
            Self(AtomicPtr::new(std::ptr::null_mut()))
        }
    }

    #[inline]
    fn kept(&self) -> Option<&'static Kept> {
        // ORDERING: Acquire pairs with the Release in `make`.
        let kept = self.0.load(Ordering::Acquire);
        // SAFETY: null, or a line that was leaked.
        unsafe { kept.as_ref() }
    }

    #[inline]
    fn kept_or_made(&self) -> &'static Kept {
        self.kept().unwrap_or_else(|| self.make())
    }

    #[cold]
    fn make(&self) -> &'static Kept {
        let made = Kept::take();
        // ORDERING: Release pairs with the Acquire in `kept`, as does that of a failure.
        match self.0.compare_exchange(
            std::ptr::null_mut(),
            std::ptr::from_ref(made).cast_mut(),
            Ordering::AcqRel,
            Ordering::Acquire,
        ) {
            Ok(_) => made,
            Err(other) => {
                made.give_back();
                // SAFETY: not null, so a line that was leaked.
                unsafe { &*other }
            }
        }
    }

    /// The calling goroutine has the lock for itself.
    #[inline]
    pub(crate) fn set_current(&self) {
        self.set(lock_cycle::current());
    }

    /// `holder` has the lock for itself.
    #[inline]
    pub(crate) fn set(&self, holder: RecordRef) {
        if holder.is_nobody() {
            return self.clear();
        }
        // ORDERING: Relaxed: read by a walk, after the fences of both sides (`lock_cycle::settle`).
        self.kept_or_made()
            .writer
            .store(holder.bits(), Ordering::Relaxed);
    }

    /// Before it is unlocked.
    #[inline]
    pub(crate) fn clear(&self) {
        if let Some(kept) = self.kept() {
            kept.writer.store(0, Ordering::Relaxed);
        }
    }

    /// The first writer that waits.
    pub(crate) fn set_waiting_writer(&self, who: RecordRef) {
        if who.is_nobody() && self.kept().is_none() {
            return;
        }
        let kept = self.kept_or_made();
        kept.waiting_writer.store(who.bits(), Ordering::Relaxed);
    }

    /// `reader` reads. Returns where it is noted, for [`leave`](Self::leave).
    #[inline]
    pub(crate) fn enter(&self, reader: RecordRef) -> Option<usize> {
        if reader.is_nobody() {
            return None;
        }
        self.kept_or_made().readers.iter().position(|slot| {
            // ORDERING: Relaxed, as in `set`.
            slot.load(Ordering::Relaxed) == 0
                && slot
                    .compare_exchange(0, reader.bits(), Ordering::Relaxed, Ordering::Relaxed)
                    .is_ok()
        })
    }

    /// A reader leaves.
    #[inline]
    pub(crate) fn leave(&self, noted: Option<usize>) {
        if let (Some(slot), Some(kept)) = (noted, self.kept()) {
            kept.readers[slot].store(0, Ordering::Relaxed);
        }
    }

    /// A name for the lock, good whatever becomes of it.
    pub(crate) fn lock(&self) -> LockRef {
        let kept = self.kept_or_made();
        LockRef {
            kept,
            generation: kept.generation.load(Ordering::Relaxed),
        }
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if let Some(kept) = self.kept() {
            kept.give_back();
        }
    }
}

impl fmt::Debug for Home {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Home")
    }
}

/// Names a lock. It outlives the lock, and knows no holders then.
#[derive(Clone, Copy)]
pub(crate) struct LockRef {
    kept: &'static Kept,
    generation: u64,
}

impl LockRef {
    /// Tells locks apart.
    pub(crate) fn address(self) -> usize {
        std::ptr::from_ref(self.kept) as usize
    }

    pub(crate) fn is(self, other: Self) -> bool {
        self.address() == other.address() && self.generation == other.generation
    }

    /// Reads holders, unless the lock is gone.
    fn read(self, which: impl FnOnce(&Kept) -> Vec<u64>) -> Vec<RecordRef> {
        let mut found = which(self.kept);
        // ORDERING: Acquire: the check comes after the reads; pairs with `give_back`.
        fence(Ordering::Acquire);
        if self.kept.generation.load(Ordering::Relaxed) != self.generation {
            found.clear();
        }
        found.retain(|bits| *bits != 0);
        found.into_iter().map(RecordRef::from_bits).collect()
    }

    /// Who has it for itself.
    pub(crate) fn writer(self) -> Vec<RecordRef> {
        self.read(|kept| vec![kept.writer.load(Ordering::Relaxed)])
    }

    /// Whom a reader waits for: the writer, or else the first that waits to be it.
    pub(crate) fn before_a_reader(self) -> Vec<RecordRef> {
        self.read(|kept| match kept.writer.load(Ordering::Relaxed) {
            0 => vec![kept.waiting_writer.load(Ordering::Relaxed)],
            writer => vec![writer],
        })
    }

    /// Whom a writer waits for: all that are inside.
    pub(crate) fn before_a_writer(self) -> Vec<RecordRef> {
        self.read(|kept| {
            let mut all = vec![kept.writer.load(Ordering::Relaxed)];
            all.extend(kept.readers.iter().map(|slot| slot.load(Ordering::Relaxed)));
            all
        })
    }
}

#[cfg(all(test, not(actor_loom)))]
mod tests {
    use super::*;
    use crate::sched::record::new_record;
    use std::panic::Location;

    #[test]
    fn a_lock_that_is_gone_has_no_holders_though_its_line_serves_another() {
        let (first, second) = (
            new_record(1, None, Location::caller()),
            new_record(2, None, Location::caller()),
        );
        let gone = Home::new();
        gone.set(first);
        let name = gone.lock();
        assert_eq!(name.writer(), [first]);
        drop(gone);
        // Others of this process may take the line first: then it has other holders, or none.
        let next = Home::new();
        next.set(second);
        assert_eq!(next.lock().writer(), [second]);
        assert!(name.writer().is_empty() && name.before_a_writer().is_empty());
        assert!(!name.is(next.lock()));
        first.release();
        second.release();
    }
}
