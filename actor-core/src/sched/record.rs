//! Notes about those that wait for locks or have a name: kept apart from them, never freed.
//!
//! A lock names its holder, and the search for lock cycles (`lock_cycle.rs`) goes from lock to
//! holder to lock, through goroutines that may end at any moment. So the notes that it reads live in
//! a table of their own whose memory stays valid for ever, and a [`RecordRef`] carries a generation:
//! notes about somebody who is gone are told from notes about who took the place.
//!
//! - A goroutine gets a record when it first takes a lock, or when it is given a name; most never do.
//!   A thread gets one for as long as it is in `block_on`.
//! - Each record has a lock of its own, the innermost of all locks: nothing else is locked, dropped
//!   or called while it is held.
//! - `waits` is set under a lock's queue lock when a waiter is queued, and cleared under the same lock, or
//!   by whoever takes the waiter out. What a forgotten future leaves there names its lock by
//!   generation, and leads nowhere once that is gone.

use std::panic::Location;
use std::sync::{Arc, OnceLock};

use parking_lot::{Mutex, MutexGuard};

use super::deadlock::Deadlock;
use super::lock_cycle::{Mark, WaitsFor};

/// Names one record, as long as its owner lives. `NOBODY` is zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RecordRef(u64);

impl RecordRef {
    pub(crate) const NOBODY: Self = Self(0);

    /// An index has 31 bits: with the generation it leaves a bit of a word free.
    const INDEX_BITS: u32 = 31;

    fn new(index: u32, generation: u32) -> Self {
        Self((u64::from(generation) << Self::INDEX_BITS) | u64::from(index + 1))
    }

    #[inline]
    pub(crate) fn bits(self) -> u64 {
        self.0
    }

    #[inline]
    pub(crate) fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    pub(crate) fn is_nobody(self) -> bool {
        self.0 == 0
    }

    fn index(self) -> Option<u32> {
        let low = self.0 & ((1 << Self::INDEX_BITS) - 1);
        (low as u32).checked_sub(1)
    }

    fn generation(self) -> u32 {
        (self.0 >> Self::INDEX_BITS) as u32
    }

    /// Locks the notes; `None` when the owner is gone, or was nobody.
    pub(crate) fn notes(self) -> Option<MutexGuard<'static, Notes>> {
        let notes = record(self.index()?)?.lock();
        (notes.generation == self.generation()).then_some(notes)
    }

    /// The owner is gone: the record is free for another.
    pub(crate) fn release(self) {
        let Some(index) = self.index() else { return };
        let Some(mut notes) = self.notes() else {
            return;
        };
        let gone = std::mem::replace(
            &mut *notes,
            Notes {
                generation: self.generation().wrapping_add(1),
                ..Notes::default()
            },
        );
        drop(notes);
        drop(gone);
        table().free.lock().push(index);
    }
}

/// What is known about a goroutine, or about a thread in `block_on`.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    generation: u32,
    /// The goroutine's number; 0 for a thread.
    pub(crate) id: u64,
    pub(crate) name: Option<Arc<str>>,
    pub(crate) location: Option<&'static Location<'static>>,
    /// The lock that it is queued at.
    pub(crate) waits: Option<WaitsFor>,
    /// It sleeps, and nothing but that lock can wake it.
    pub(crate) parked: Option<Mark>,
    /// Moves whenever `parked` changes.
    pub(crate) epoch: u64,
    /// It closed a cycle: for the lock's future to find.
    pub(crate) verdict: Option<Box<Deadlock>>,
}

/// Takes a free record.
pub(crate) fn new_record(
    id: u64,
    name: Option<Arc<str>>,
    location: &'static Location<'static>,
) -> RecordRef {
    let table = table();
    let free = table.free.lock().pop();
    let Some(index) = free.or_else(|| table.grow()) else {
        return RecordRef::NOBODY;
    };
    let mut notes = table.record(index).expect("it was given out").lock();
    notes.id = id;
    notes.name = name;
    notes.location = Some(location);
    RecordRef::new(index, notes.generation)
}

/// Records in the first chunk; each further one has twice as many.
const FIRST_CHUNK: u32 = 256;
const CHUNKS: usize = 22;

type Chunk = Box<[Mutex<Notes>]>;

#[derive(Debug, Default)]
struct Table {
    chunks: [OnceLock<Chunk>; CHUNKS],
    free: Mutex<Vec<u32>>,
    made: Mutex<usize>,
}

fn table() -> &'static Table {
    static TABLE: OnceLock<Table> = OnceLock::new();
    TABLE.get_or_init(Table::default)
}

fn record(index: u32) -> Option<&'static Mutex<Notes>> {
    table().record(index)
}

impl Table {
    fn record(&self, index: u32) -> Option<&Mutex<Notes>> {
        let from_first = index / FIRST_CHUNK + 1;
        let chunk = from_first.ilog2();
        let start = FIRST_CHUNK * ((1 << chunk) - 1);
        let chunk = self.chunks.get(chunk as usize)?.get()?;
        chunk.get((index - start) as usize)
    }

    /// Makes one more chunk and returns one of its records; `None` when there are 10^9 already, and
    /// the newcomer goes without.
    #[cold]
    fn grow(&self) -> Option<u32> {
        let mut made = self.made.lock();
        let chunk = *made;
        let slot = self.chunks.get(chunk)?;
        let len = FIRST_CHUNK << chunk;
        let start = FIRST_CHUNK * ((1 << chunk) - 1);
        slot.get_or_init(|| (0..len).map(|_| Mutex::default()).collect());
        *made += 1;
        drop(made);
        self.free.lock().extend(start + 1..start + len);
        Some(start)
    }
}
