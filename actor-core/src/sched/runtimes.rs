//! The runtimes of the process by number, so that a goroutine names its own in twelve bits.
//!
//! A goroutine's header has one word for its number and its runtime's ([`Home`]). The table behind it
//! is written when a runtime is made and when its memory goes; a look-up is one load. An entry is
//! valid for as long as a goroutine of that runtime isn't complete (see `task.rs`).

use std::fmt;
use std::io;
use std::ptr;
// Not the shim's: loom has no statics, and nothing is ordered by the table.
use std::sync::atomic::{AtomicPtr, Ordering};

use parking_lot::Mutex;

use super::shared::Shared;

const BITS: u32 = 12;

/// Runtimes that may be there at the same time.
const MAX: usize = 1 << BITS;

static TABLE: [AtomicPtr<Shared>; MAX] = [const { AtomicPtr::new(ptr::null_mut()) }; MAX];

/// Free numbers, and how many were ever given out.
static FREE: Mutex<(Vec<u16>, u16)> = Mutex::new((Vec::new(), 0));

/// A runtime's number; gives it back when dropped.
#[derive(Debug)]
pub(crate) struct Number(u16);

impl Number {
    pub(crate) fn take() -> io::Result<Self> {
        let mut free = FREE.lock();
        if let Some(number) = free.0.pop() {
            return Ok(Self(number));
        }
        if usize::from(free.1) == MAX {
            let what = format!("{MAX} runtimes are there already: end some, or share one");
            return Err(io::Error::other(what));
        }
        free.1 += 1;
        Ok(Self(free.1 - 1))
    }

    /// What goroutines that name this number will find.
    pub(crate) fn stands_for(&self, shared: *const Shared) {
        // ORDERING: Release pairs with the Acquire in `runtime`.
        TABLE[usize::from(self.0)].store(shared.cast_mut(), Ordering::Release);
    }

    /// The home of the goroutine with this id.
    #[inline]
    pub(crate) fn home_of(&self, id: u64) -> Home {
        debug_assert!(id >> (u64::BITS - BITS) == 0);
        Home((id << BITS) | u64::from(self.0))
    }

    #[inline]
    pub(crate) fn is_of(&self, home: Home) -> bool {
        home.index() == usize::from(self.0)
    }
}

impl Drop for Number {
    fn drop(&mut self) {
        self.stands_for(ptr::null());
        FREE.lock().0.push(self.0);
    }
}

/// A goroutine's number and its runtime's, in one word.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Home(u64);

impl Home {
    /// The goroutine's number, unique within its runtime.
    #[inline]
    pub(crate) fn id(self) -> u64 {
        self.0 >> BITS
    }

    #[inline]
    fn index(self) -> usize {
        self.0 as usize & (MAX - 1)
    }

    /// The runtime; valid while a goroutine of it isn't complete.
    #[inline]
    pub(crate) fn runtime(self) -> *const Shared {
        // ORDERING: Acquire pairs with the Release in `stands_for`.
        TABLE[self.index()].load(Ordering::Acquire)
    }
}

impl fmt::Debug for Home {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of runtime {}", self.id(), self.index())
    }
}
