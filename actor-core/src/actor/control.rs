//! The control word: what an actor was asked to do, looked at before each message.
//!
//! ```text
//!   bit 0  NOW         leave the queue, stop after the message in work
//!   bit 1  REQUESTED   somebody called stop
//!   bit 2  SUPERVISOR  the supervisor stops it
//!   bit 3  GONE        the last handle of an unsupervised actor was dropped
//!   bit 4  SIGNAL      a `Down` or an exit signal is queued (`ties`)
//!   bit 5  WAITING     its handler waits (`work`); the actor's own note to itself
//! ```
//! Protocol: set bits here, then close the mailbox (which ends `serve` once it is empty), then,
//! for NOW, `Mailbox::wake_receiver`; for SIGNAL, queue it, set the bit, `wake_receiver`. The loop looks at the word before it polls the mailbox and
//! again after it registered its waker, so one of the two sides always sees the other.
//! A restart clears the word: a request belongs to the incarnation that it found.

use super::StopReason;
use crate::shim::atomic::{AtomicU32, Ordering};

const NOW: u32 = 1;
const REQUESTED: u32 = 1 << 1;
const SUPERVISOR: u32 = 1 << 2;
const GONE: u32 = 1 << 3;
const SIGNAL: u32 = 1 << 4;
const WAITING: u32 = 1 << 5;

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

    /// Is there something to do before the next message?
    #[inline]
    pub(crate) fn calls(&self) -> bool {
        // ORDERING: Acquire pairs with the Release in `request` and `signal`.
        self.0.load(Ordering::Acquire) & (NOW | SIGNAL) != 0
    }

    /// A signal was queued.
    pub(crate) fn signal(&self) {
        // ORDERING: Release pairs with the Acquire in `calls`.
        self.0.fetch_or(SIGNAL, Ordering::Release);
    }

    /// The signals queued so far are about to be taken.
    pub(crate) fn clear_signal(&self) {
        // ORDERING: Acquire pairs with the Release in `signal`; the queue has a lock of its own.
        self.0.fetch_and(!SIGNAL, Ordering::Acquire);
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

    /// A new incarnation starts with no requests.
    pub(crate) fn clear(&self) {
        // ORDERING: Relaxed: the spawn of the incarnation orders this before its loads.
        self.0.store(0, Ordering::Relaxed);
    }
}
