//! The life of a goroutine in one atomic word. No other file touches the word.
//!
//! ```text
//!            notify                 start                 idle (nobody notified)
//!  idle ───────────────▶ notified ─────────▶ running ───────────────────▶ idle
//!                           ▲                  │  │
//!                           └──────────────────┘  └────────▶ complete
//!                             idle (notified meanwhile)       complete
//! ```
//!
//! Bits: `RUNNING`, `NOTIFIED`, `COMPLETE`, `CANCELLED`, `JOIN_INTEREST`, `JOIN_WAKER`; the rest of
//! the word counts references, in three fields by who holds them ([`Hold`]): handles (join and abort
//! handles, and one for the registry, which it keeps until `COMPLETE`), wakers that our primitives
//! keep while the goroutine waits, and wakers that anybody else keeps. The split costs nothing and
//! tells a deadlock's judge whether something unknown may still wake a goroutine.
//!
//! Invariants (modelled in `loom_models.rs`):
//! - (I1) At most one *run token* exists: whoever turns `NOTIFIED` on while the goroutine is
//!   neither notified, running nor complete owns it, and so does `idle` when it finds `NOTIFIED`.
//!   The token carries no reference: the registry's lasts until `COMPLETE`, and only a token's
//!   owner can complete.
//! - (I2) `RUNNING` and `COMPLETE` are never set together.
//! - (I3) A `notify` that returns before `start` is visible to that poll; one during a poll leads
//!   to one more poll.
//! - (I4) The join waker's slot belongs to the join handle while `JOIN_WAKER` is off, and is
//!   read-only for both sides while it is on. After `COMPLETE` the bit no longer changes.
//!
//! `notify` writes even when the bit is set already: a plain load would lose the happens-before
//! edge from the waker's writes to the poll that follows.

use super::lock_cycle::Sleeps;
use crate::shim::atomic::{AtomicU64, Ordering};

const RUNNING: u64 = 1;
const NOTIFIED: u64 = 1 << 1;
const COMPLETE: u64 = 1 << 2;
const CANCELLED: u64 = 1 << 3;
const JOIN_INTEREST: u64 = 1 << 4;
const JOIN_WAKER: u64 = 1 << 5;
const FLAGS: u64 = (1 << 6) - 1;

/// Who holds a reference: which field of the word counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hold {
    /// The registry, a join or abort handle, or a waker that is stored beyond the wait (a mailbox's).
    Handle,
    /// A waker kept by one of our primitives while the goroutine waits on it.
    Own,
    /// A waker kept by anybody else.
    Foreign,
}

impl Hold {
    /// Where the field begins, and how many bits it has.
    const fn field(self) -> (u32, u32) {
        match self {
            Self::Handle => (6, 16),
            Self::Own => (22, 22),
            Self::Foreign => (44, 20),
        }
    }

    const fn unit(self) -> u64 {
        1 << self.field().0
    }

    const fn count(self, word: u64) -> u64 {
        let (shift, bits) = self.field();
        (word >> shift) & ((1 << bits) - 1)
    }

    /// Beyond this a field could run over into its neighbour.
    const fn max(self) -> u64 {
        (1 << self.field().1) - 4096
    }
}

/// What a notification asks of its caller.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Notify {
    /// The caller owns the run token and has to queue the goroutine.
    Enqueue,
    /// Somebody else already will run it, or it is over.
    Nothing,
}

/// What the owner of a run token has to do.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// Poll the future.
    Poll,
    /// Drop the future: the goroutine was aborted.
    Cancel,
}

/// What follows a poll that returned `Pending`.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Idle {
    /// Nobody notified: hands off, the goroutine may already run elsewhere.
    Parked,
    /// It was notified during the poll: the caller owns a new run token.
    Notified,
}

/// Who has to deal with the output, and whether somebody waits for it.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Completed {
    pub(crate) join_interest: bool,
    pub(crate) join_waker: bool,
}

/// What a dropped join handle has to clean up.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct JoinDropped {
    pub(crate) drop_output: bool,
    pub(crate) drop_waker: bool,
}

/// The goroutine is complete, so the join waker can't be changed any more.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct AlreadyComplete;

#[derive(Debug)]
pub(crate) struct State(AtomicU64);

impl State {
    /// A goroutine about to be queued for the first time: the creator owns the run token; one
    /// reference is the registry's, one the creator's: a join handle, if it is joinable.
    pub(crate) fn new(is_joinable: bool) -> Self {
        let interest = if is_joinable { JOIN_INTEREST } else { 0 };
        Self(AtomicU64::new(
            NOTIFIED | interest | (2 * Hold::Handle.unit()),
        ))
    }

    /// Asks for a poll.
    #[inline]
    pub(crate) fn notify(&self) -> Notify {
        // ORDERING: AcqRel. Release: pairs with the Acquire in `start`, so that the poll sees what
        // the waker wrote. Acquire: the caller may become the token's owner.
        let old = self.0.fetch_or(NOTIFIED, Ordering::AcqRel);
        if old & (NOTIFIED | RUNNING | COMPLETE) == 0 {
            Notify::Enqueue
        } else {
            Notify::Nothing
        }
    }

    /// As [`notify`](Self::notify), giving up one reference in the same step. The flag is true when
    /// that was the last one: the caller frees the memory (and there is nothing to enqueue).
    #[inline]
    pub(crate) fn notify_and_release(&self, hold: Hold) -> (Notify, bool) {
        let mut old = self.0.load(Ordering::Relaxed);
        loop {
            debug_assert!(hold.count(old) > 0);
            let new = (old | NOTIFIED) - hold.unit();
            // ORDERING: AcqRel as in `notify` and in `ref_dec`.
            match self
                .0
                .compare_exchange_weak(old, new, Ordering::AcqRel, Ordering::Relaxed)
            {
                Ok(_) if old & (NOTIFIED | RUNNING | COMPLETE) == 0 => {
                    return (Notify::Enqueue, false);
                }
                Ok(_) => return (Notify::Nothing, new & !FLAGS == 0),
                Err(now) => old = now,
            }
        }
    }

    /// Asks for the end: the next owner of the token drops the future instead of polling it.
    pub(crate) fn cancel(&self) -> Notify {
        // ORDERING: as in `notify`.
        let old = self.0.fetch_or(CANCELLED | NOTIFIED, Ordering::AcqRel);
        if old & (NOTIFIED | RUNNING | COMPLETE) == 0 {
            Notify::Enqueue
        } else {
            Notify::Nothing
        }
    }

    /// Turns a run token into a poll.
    #[inline]
    pub(crate) fn start(&self) -> Start {
        // ORDERING: Acquire pairs with the Release in `notify`, `cancel` and `idle`.
        // One subtraction does both: -NOTIFIED +RUNNING (an xor that returns the old value is a loop).
        let old = self.0.fetch_sub(NOTIFIED - RUNNING, Ordering::AcqRel);
        debug_assert_eq!(old & (RUNNING | NOTIFIED | COMPLETE), NOTIFIED);
        if old & CANCELLED == 0 {
            Start::Poll
        } else {
            Start::Cancel
        }
    }

    /// Ends a poll that returned `Pending`. On `Parked` the goroutine may no longer be touched.
    #[inline]
    pub(crate) fn idle(&self) -> Idle {
        // ORDERING: Release: pairs with the Acquire in the next `start`, which may be another M's.
        let old = self.0.fetch_sub(RUNNING, Ordering::AcqRel);
        if old & NOTIFIED == 0 {
            Idle::Parked
        } else {
            Idle::Notified
        }
    }

    /// Ends the last poll; the output has been written.
    #[inline]
    pub(crate) fn complete(&self) -> Completed {
        // ORDERING: Release: pairs with the Acquire of `is_complete` and of `drop_join`, which
        // read the output. Acquire: sees the join waker stored before `set_join_waker`.
        let old = self.0.fetch_add(COMPLETE - RUNNING, Ordering::AcqRel);
        debug_assert_eq!(old & (RUNNING | COMPLETE), RUNNING);
        Completed {
            join_interest: old & JOIN_INTEREST != 0,
            join_waker: old & JOIN_WAKER != 0,
        }
    }

    #[inline]
    pub(crate) fn is_complete(&self) -> bool {
        // ORDERING: Acquire pairs with the Release in `complete`.
        self.0.load(Ordering::Acquire) & COMPLETE != 0
    }

    pub(crate) fn has_join_waker(&self) -> bool {
        // ORDERING: Acquire pairs with the Release in `complete`; only the join handle sets it.
        self.0.load(Ordering::Acquire) & JOIN_WAKER != 0
    }

    /// Publishes the waker that the join handle has just written into its slot.
    pub(crate) fn set_join_waker(&self) -> Result<(), AlreadyComplete> {
        self.update_unless_complete(|word| word | JOIN_WAKER)
            .map(|_| ())
    }

    /// Takes the slot back, to write another waker.
    pub(crate) fn unset_join_waker(&self) -> Result<(), AlreadyComplete> {
        self.update_unless_complete(|word| word & !JOIN_WAKER)
            .map(|_| ())
    }

    /// Gives up interest in the output.
    pub(crate) fn drop_join(&self) -> JoinDropped {
        match self.update_unless_complete(|word| word & !(JOIN_INTEREST | JOIN_WAKER)) {
            Ok(old) => JoinDropped {
                drop_output: false,
                drop_waker: old & JOIN_WAKER != 0,
            },
            // The completer may still be reading the waker: it is dropped with the memory.
            Err(AlreadyComplete) => JoinDropped {
                drop_output: true,
                drop_waker: false,
            },
        }
    }

    fn update_unless_complete(&self, f: impl Fn(u64) -> u64) -> Result<u64, AlreadyComplete> {
        // ORDERING: Acquire: pairs with `complete`'s Release.
        let mut word = self.0.load(Ordering::Acquire);
        loop {
            if word & COMPLETE != 0 {
                return Err(AlreadyComplete);
            }
            // ORDERING: Release: publishes the join waker to `complete`'s Acquire. Acquire: pairs
            // with `complete`'s Release when the exchange fails.
            match self
                .0
                .compare_exchange_weak(word, f(word), Ordering::AcqRel, Ordering::Acquire)
            {
                Ok(old) => return Ok(old),
                Err(now) => word = now,
            }
        }
    }

    /// What only a goroutine's own M, after its poll, or somebody who knows that it is parked, may
    /// conclude from: is exactly one waker left, in one of our primitives, and has nobody woken it?
    pub(crate) fn waits_on_one(&self) -> bool {
        // ORDERING: Relaxed: `lock_cycle` orders what it concludes with a fence.
        let word = self.0.load(Ordering::Relaxed);
        word & NOTIFIED == 0 && Hold::Own.count(word) == 1 && Hold::Foreign.count(word) == 0
    }

    /// Is it parked, with no waker in unknown hands? Only what our primitives do can wake it then.
    pub(crate) fn sleeps_soundly(&self) -> bool {
        // ORDERING: Acquire pairs with the Release in `idle`: what it waits for is visible.
        let word = self.0.load(Ordering::Acquire);
        word & (NOTIFIED | RUNNING | COMPLETE) == 0 && Hold::Foreign.count(word) == 0
    }

    #[inline]
    pub(crate) fn ref_inc(&self, hold: Hold) {
        // ORDERING: Relaxed, as in `Arc::clone`: a new reference is made from one that exists.
        let old = self.0.fetch_add(hold.unit(), Ordering::Relaxed);
        if hold.count(old) > hold.max() {
            too_many(hold);
        }
    }

    /// True when this was the last reference: the caller frees the memory.
    #[inline]
    #[must_use]
    pub(crate) fn ref_dec(&self, hold: Hold) -> bool {
        // ORDERING: AcqRel, as in `Arc::drop`: every use before happens before the free.
        let old = self.0.fetch_sub(hold.unit(), Ordering::AcqRel);
        debug_assert!(hold.count(old) > 0);
        old & !FLAGS == hold.unit()
    }
}

impl Sleeps for State {
    fn is_woken(&self) -> bool {
        // ORDERING: Acquire pairs with the Release in `start`: who sees the bit gone because the next
        // poll has begun sees the mark gone as well. Who has woken it sees the bit.
        self.0.load(Ordering::Acquire) & NOTIFIED != 0
    }
}

/// Going on would count into the neighbouring field, and free a goroutine that is still in use.
#[cold]
fn too_many(hold: Hold) -> ! {
    let (what, most) = match hold {
        Hold::Handle => ("abort handles", 60_000),
        Hold::Own => (
            "operations of one goroutine waiting at the same time",
            4_000_000,
        ),
        Hold::Foreign => ("wakers", 1_000_000),
    };
    eprintln!("actor-core: one goroutine has more than {most} {what}; this is a leak");
    std::process::abort();
}
