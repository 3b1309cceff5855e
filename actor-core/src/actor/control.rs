//! The control word: what an actor was asked to do, looked at before each message.
//!
//! ```text
//!   bit 0  NOW         leave the queue, stop after the message in work
//!   bit 1  REQUESTED   somebody called stop
//!   bit 2  SUPERVISOR  the supervisor stops it
//!   bit 3  GONE        the last handle of an unsupervised actor was dropped
//!   bit 4  BESIDE      something came from beside the mailbox: see `rare`
//!   bit 5  SKIP        the last message came from there: the mailbox is next
//!   bit 6  SIGNAL      a `Down` or an exit signal is queued (`ties`)
//!   bit 7  WAITING     its handler waits (`work`); the actor's own note to itself
//!   bit 8  ECHO        an answer is queued that a `#[down]` or `#[exit]` hook got at once (`ties`)
//!   bit 9  ECHO_SKIP   the last thing was one of those hooks: the mailbox is next
//!   bit 10 RARE        the actor has, or had, something of `rare`
//! ```
//! Protocol: set bits here, then close the mailbox (which ends `serve` once it is empty), then,
//! for NOW, `Mailbox::wake_receiver`; for SIGNAL, queue it, set the bit, `wake_receiver`. The loop
//! looks at the word before it polls the mailbox and again after it registered its waker, so one of
//! the two sides always sees the other.
//! A restart clears the word, but for RARE: a request belongs to the incarnation that it found.

use super::StopReason;
use crate::shim::atomic::{AtomicU32, Ordering};

const NOW: u32 = 1;
const REQUESTED: u32 = 1 << 1;
const SUPERVISOR: u32 = 1 << 2;
const GONE: u32 = 1 << 3;
const BESIDE: u32 = 1 << 4;
const SKIP: u32 = 1 << 5;
const SIGNAL: u32 = 1 << 6;
const WAITING: u32 = 1 << 7;
const ECHO: u32 = 1 << 8;
const ECHO_SKIP: u32 = 1 << 9;
const RARE: u32 = 1 << 10;

#[derive(Debug)]
pub(crate) struct Control(AtomicU32);

impl Control {
    pub(crate) fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    pub(crate) fn request(&self, why: StopReason, now: bool) {
        let why = match why {
            StopReason::Requested => REQUESTED,
            StopReason::Supervisor => SUPERVISOR,
            StopReason::HandlesGone => GONE,
        };
        let now = if now { NOW } else { 0 };
        // ORDERING: Release pairs with the Acquire in `stop_now` and `why`.
        self.0.fetch_or(why | now, Ordering::Release);
    }

    /// Must the actor stop, or look at a signal, before any message, wherever that comes from?
    pub(crate) fn calls(&self) -> bool {
        // ORDERING: Acquire pairs with the Release in `request` and `signal`.
        self.0.load(Ordering::Acquire) & (NOW | SIGNAL) != 0
    }

    /// A signal was queued.
    pub(crate) fn signal(&self) {
        // ORDERING: Release pairs with the Acquire in `calls` and `is_marked`.
        self.0.fetch_or(SIGNAL, Ordering::Release);
    }

    /// Is a signal queued?
    pub(crate) fn is_signalled(&self) -> bool {
        // ORDERING: Acquire pairs with the Release in `signal`.
        self.0.load(Ordering::Acquire) & SIGNAL != 0
    }

    /// The signals queued so far are about to be taken.
    pub(crate) fn clear_signal(&self) {
        // ORDERING: Acquire pairs with the Release in `signal`; the queue has a lock of its own.
        self.0
            .fetch_and(!(SIGNAL | ECHO | ECHO_SKIP), Ordering::Acquire);
    }

    /// A hook got an answer at once: it comes after a message, if one waits.
    pub(super) fn echo(&self) {
        // ORDERING: Relaxed: the actor's own note to itself.
        self.0.fetch_or(ECHO | ECHO_SKIP, Ordering::Relaxed);
    }

    pub(super) fn has_echo(&self) -> bool {
        // ORDERING: Relaxed: as in `echo`.
        self.0.load(Ordering::Relaxed) & ECHO != 0
    }

    /// Is there such an answer, and is it its turn? If it is a message's, it is not next time.
    pub(super) fn echo_is_next(&self) -> bool {
        // ORDERING: Relaxed: as in `echo`.
        let word = self.0.fetch_and(!ECHO_SKIP, Ordering::Relaxed);
        word & (ECHO | ECHO_SKIP) == ECHO
    }

    /// Does its handler wait?
    #[inline]
    pub(crate) fn is_waiting(&self) -> bool {
        // ORDERING: Relaxed: written by the same goroutine.
        self.0.load(Ordering::Relaxed) & WAITING != 0
    }

    /// For the actor's own goroutine.
    pub(crate) fn set_waiting(&self, waiting: bool) {
        // ORDERING: Relaxed: as in `is_waiting`.
        if waiting {
            self.0.fetch_or(WAITING, Ordering::Relaxed);
        } else {
            self.0.fetch_and(!WAITING, Ordering::Relaxed);
        }
    }

    /// Must the actor stop before the next message?
    #[inline]
    pub(crate) fn stop_now(&self) -> bool {
        // ORDERING: Acquire pairs with the Release in `request`.
        self.0.load(Ordering::Acquire) & NOW != 0
    }

    /// Is there anything to look at before the next message? The one load on a message's path.
    #[inline]
    pub(crate) fn is_marked(&self) -> bool {
        // ORDERING: Acquire pairs with the Release in `request`, `signal` and `mark`.
        self.0.load(Ordering::Acquire) & (NOW | SIGNAL | BESIDE | ECHO) != 0
    }

    /// Is there something beside, and is it its turn? If it is the mailbox's, it is not next time.
    pub(super) fn beside_is_next(&self) -> bool {
        // ORDERING: Acquire pairs with the Release in `mark`.
        let word = self.0.fetch_and(!SKIP, Ordering::Acquire);
        word & (BESIDE | SKIP) == BESIDE
    }

    /// Something came from beside; wake the receiver after this.
    pub(super) fn mark(&self) {
        // ORDERING: Release pairs with the Acquire in `is_marked` and `unmark`.
        self.0.fetch_or(BESIDE, Ordering::Release);
    }

    /// As `mark`, and the mailbox's turn is over.
    pub(super) fn mark_first(&self) {
        self.mark();
        // ORDERING: Relaxed: the actor's own note to itself.
        self.0.fetch_and(!SKIP, Ordering::Relaxed);
    }

    /// One message was taken from there, and there may be more.
    pub(super) fn mark_and_skip(&self) {
        // ORDERING: Relaxed: the actor's own note to itself.
        self.0.fetch_or(BESIDE | SKIP, Ordering::Relaxed);
    }

    /// Before looking at what came.
    pub(super) fn unmark(&self) {
        // ORDERING: Acquire pairs with the Release in `mark`: what was brought is seen.
        self.0.fetch_and(!BESIDE, Ordering::Acquire);
    }

    /// Why it stops. A supervisor's request outranks a user's: it decides about the exit reason.
    pub(crate) fn why(&self) -> StopReason {
        // ORDERING: Acquire pairs with the Release in `request`.
        let word = self.0.load(Ordering::Acquire);
        if word & SUPERVISOR != 0 {
            StopReason::Supervisor
        } else if word & GONE != 0 && word & REQUESTED == 0 {
            StopReason::HandlesGone
        } else {
            StopReason::Requested
        }
    }

    /// Something is about to be kept in `rare`.
    pub(super) fn has_something_rare(&self) {
        // ORDERING: Release pairs with the Acquire in `may_have_something_rare`.
        self.0.fetch_or(RARE, Ordering::Release);
    }

    #[inline]
    pub(super) fn may_have_something_rare(&self) -> bool {
        // ORDERING: Acquire pairs with the Release in `has_something_rare`.
        self.0.load(Ordering::Acquire) & RARE != 0
    }

    /// A new incarnation starts with no requests.
    pub(crate) fn clear(&self) {
        // ORDERING: Relaxed: the spawn of the incarnation orders this before its loads.
        self.0.fetch_and(RARE, Ordering::Relaxed);
    }
}
