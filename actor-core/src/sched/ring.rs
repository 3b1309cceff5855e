//! A P's local run queue: a fixed ring with one owner and many thieves, in FIFO order.
//!
//! Go's algorithm (`runqput`, `runqget`, `runqgrab`). The owner alone moves `tail`; owner and
//! thieves move `head` with a compare-exchange. A thief copies the slots it wants *before* it
//! claims them with one exchange of `head`, so a whole batch costs one RMW.
//!
//! Why the racy read of a slot is sound: let a thief's exchange `h → h+n` succeed although it read
//! a value that the owner stored later, for index `i + RING`. The owner stored it after it had
//! loaded some head `h' > i` with Acquire. `h'` comes after `h` in head's modification order, and
//! the thief's exchange directly follows `h`; so `h'` is that exchange or later, and by the release
//! sequence the exchange happens before the owner's store. The thief's read comes before its
//! exchange, hence before the store: it can't have read from it. (A wrap of 2^32 pops within one
//! steal is accepted, as Go and tokio accept it.)
//!
//! No epochs, no reclamation, no fences. Modelled in `loom_models.rs`.

use super::task::RunToken;
use super::tuning::RING;
use crate::shim::atomic::{AtomicPtr, AtomicU32, Ordering};

const MASK: u32 = RING as u32 - 1;

/// `head` on a cache line of its own: thieves write it.
#[derive(Debug)]
#[repr(align(128))]
struct Padded<T>(T);

pub(crate) struct Ring {
    head: Padded<AtomicU32>,
    tail: Padded<AtomicU32>,
    slots: Box<[AtomicPtr<()>]>,
}

impl std::fmt::Debug for Ring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ring")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

impl Ring {
    pub(crate) fn new() -> Self {
        Self {
            head: Padded(AtomicU32::new(0)),
            tail: Padded(AtomicU32::new(0)),
            slots: (0..RING)
                .map(|_| AtomicPtr::new(std::ptr::null_mut()))
                .collect(),
        }
    }

    /// How many goroutines wait here: exact for the owner, a hint for others.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        // ORDERING: Relaxed: a hint; whoever acts on it re-reads with Acquire.
        let head = self.head.0.load(Ordering::Relaxed);
        let tail = self.tail.0.load(Ordering::Relaxed);
        tail.wrapping_sub(head).min(RING as u32) as usize
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    #[inline]
    fn slot(&self, index: u32) -> &AtomicPtr<()> {
        &self.slots[(index & MASK) as usize]
    }

    /// Owner only: puts a goroutine at the tail; gives it back when the ring is full.
    #[inline]
    pub(crate) fn push(&self, token: RunToken) -> Result<(), RunToken> {
        // ORDERING: Acquire pairs with the Release of `head` in `pop` and `steal_into`: the slot
        // that this push overwrites has been read by then.
        let head = self.head.0.load(Ordering::Acquire);
        // ORDERING: Relaxed: only the owner writes `tail`.
        let tail = self.tail.0.load(Ordering::Relaxed);
        if tail.wrapping_sub(head) as usize >= RING {
            return Err(token);
        }
        self.slot(tail).store(token.into_raw(), Ordering::Relaxed);
        // ORDERING: Release pairs with the Acquire of `tail` in `steal_into`.
        self.tail.0.store(tail.wrapping_add(1), Ordering::Release);
        Ok(())
    }

    /// Owner only: takes the oldest goroutine.
    #[inline]
    pub(crate) fn pop(&self) -> Option<RunToken> {
        // ORDERING: Acquire on failure: pairs with the Release of a thief's claim.
        let mut head = self.head.0.load(Ordering::Acquire);
        // ORDERING: Relaxed: only the owner writes `tail`.
        let tail = self.tail.0.load(Ordering::Relaxed);
        loop {
            if head == tail {
                return None;
            }
            let raw = self.slot(head).load(Ordering::Relaxed);
            match self.head.0.compare_exchange_weak(
                head,
                head.wrapping_add(1),
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                // SAFETY: the exchange claimed this slot for us alone, and `push` stored a token
                // in it (see the proof above).
                Ok(_) => return Some(unsafe { RunToken::from_raw(raw) }),
                Err(now) => head = now,
            }
        }
    }

    /// Owner only: takes the older half at once, to hand it on when the ring is full.
    pub(crate) fn pop_half(&self, out: &mut Vec<RunToken>) {
        // ORDERING: as in `pop`.
        let head = self.head.0.load(Ordering::Acquire);
        let tail = self.tail.0.load(Ordering::Relaxed);
        let n = tail.wrapping_sub(head) / 2;
        let raws: Vec<_> = (0..n)
            .map(|i| self.slot(head.wrapping_add(i)).load(Ordering::Relaxed))
            .collect();
        // ORDERING: AcqRel as in `pop`. A thief that was faster has made room: nothing to do.
        if self
            .head
            .0
            .compare_exchange(
                head,
                head.wrapping_add(n),
                Ordering::AcqRel,
                Ordering::Relaxed,
            )
            .is_ok()
        {
            // SAFETY: as in `pop`, for each of the n claimed slots.
            out.extend(
                raws.into_iter()
                    .map(|raw| unsafe { RunToken::from_raw(raw) }),
            );
        }
    }

    /// Thief: moves half of this ring (rounded up) into `own`, whose owner the caller is, and
    /// returns one of them to run now. `own` has to be empty.
    pub(crate) fn steal_into(&self, own: &Ring) -> Option<RunToken> {
        let own_tail = own.tail.0.load(Ordering::Relaxed);
        debug_assert_eq!(own.head.0.load(Ordering::Relaxed), own_tail);
        // ORDERING: Acquire: pairs with the Release of other claims of `head`.
        let head = self.head.0.load(Ordering::Acquire);
        // ORDERING: Acquire pairs with the Release in `push`: the slots below `tail` are filled.
        let tail = self.tail.0.load(Ordering::Acquire);
        let len = tail.wrapping_sub(head);
        // `head` may be older than `tail`: more than a ring between them means a stale pair.
        if len == 0 || len as usize > RING {
            return None;
        }
        let n = len - len / 2;
        // The oldest is run now; the others keep their order behind it.
        let oldest = self.slot(head).load(Ordering::Relaxed);
        for i in 1..n {
            let raw = self.slot(head.wrapping_add(i)).load(Ordering::Relaxed);
            own.slot(own_tail.wrapping_add(i - 1))
                .store(raw, Ordering::Relaxed);
        }
        // ORDERING: Release: our reads of the slots come before the owner's re-use of them.
        self.head
            .0
            .compare_exchange(
                head,
                head.wrapping_add(n),
                Ordering::AcqRel,
                Ordering::Relaxed,
            )
            .ok()?;
        // ORDERING: Release pairs with the Acquire of `tail` in another thief's `steal_into`.
        own.tail
            .0
            .store(own_tail.wrapping_add(n - 1), Ordering::Release);
        // SAFETY: the exchange claimed the n slots, this one among them.
        Some(unsafe { RunToken::from_raw(oldest) })
    }
}
