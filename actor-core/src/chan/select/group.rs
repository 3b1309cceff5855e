//! The one word of a waiting `select`: which of its arms has won.
//!
//! ```text
//!              open: under the locks of all its channels
//!      BUSY ──────────────────────────────────────────────▶ OPEN
//!    (polled, ◀────────────────────────────────────────────  │ claim(arm), by whoever finishes
//!    or over)              begin: polled or dropped          ▼   a waiter, under its channel's lock
//!      ▲                                                   WON(arm)
//!      └─────────────────────────────────────────────────────┘
//!                 settled: the arm's result was fetched
//! ```
//!
//! - BUSY and settled belong to the select's own future: nobody else leaves them.
//! - The waker is the future's while BUSY. Between OPEN and WON it is the claimer's, until it marks
//!   the waiter finished; then it is the future's again.
//! - OPEN is entered only under the locks of all channels on which the select waits, after it found
//!   nothing to do there. So of two that could meet on a channel the later one to open has seen the
//!   other open, and has claimed it.

use std::fmt;
use std::marker::PhantomPinned;
use std::task::Waker;

use crate::shim::UnsafeCell;
use crate::shim::atomic::{AtomicU32, Ordering};

const OPEN: u32 = u32::MAX;
const BUSY: u32 = u32::MAX - 1;

/// What ties the waiters of one `select` together; lives in its pinned future.
pub(crate) struct Group {
    word: AtomicU32,
    waker: UnsafeCell<Option<Waker>>,
    _pinned: PhantomPinned,
}

// SAFETY: the waker, which is Send and Sync, is reached by one at a time: see the file's comment.
unsafe impl Send for Group {}
// SAFETY: as above.
unsafe impl Sync for Group {}

/// Whether a waiter may be finished.
#[must_use = "a claimed waiter must be finished"]
pub(crate) enum Claim {
    /// Yes: finish it, and wake this after unlocking.
    Won(Option<Waker>),
    /// Not now: the select is being polled, and looks for itself before it opens.
    Busy,
    /// No more: another arm has won.
    Over,
}

/// What a poll of the select finds.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a claimed arm has a result"]
pub(crate) enum Begin {
    /// No arm is claimed, nor will be until it is opened.
    Polling,
    /// This arm was claimed: its result is in its waiter, as soon as its channel can be locked.
    Won(u32),
}

impl Group {
    pub(crate) fn new() -> Self {
        Self {
            word: AtomicU32::new(BUSY),
            waker: UnsafeCell::new(None),
            _pinned: PhantomPinned,
        }
    }

    /// Keeps everybody from claiming an arm: for a poll, or for good when the future is dropped.
    pub(crate) fn begin(&self) -> Begin {
        // ORDERING: Acquire pairs with `claim`'s Release: its arm is chosen. The result itself comes
        // with the waiter's state. Nothing is released: the waker was last written before OPEN.
        match self
            .word
            .compare_exchange(OPEN, BUSY, Ordering::Acquire, Ordering::Acquire)
        {
            Ok(_) | Err(BUSY) => Begin::Polling,
            Err(arm) => Begin::Won(arm),
        }
    }

    /// Keeps the waker for the claimer. Only the future calls it, while BUSY; user code may run.
    pub(crate) fn renew(&self, waker: &Waker) {
        // SAFETY: BUSY: the future's own, and this is its only reference.
        let known = self
            .waker
            .with(|own| unsafe { (*own).as_ref().is_some_and(|known| known.will_wake(waker)) });
        if !known {
            let new = Some(waker.clone());
            // SAFETY: as above; the clone did not come back here.
            let old = self
                .waker
                .with_mut(|own| unsafe { std::mem::replace(&mut *own, new) });
            drop(old);
        }
    }

    /// Lets others claim an arm. Only the future calls it, while BUSY, under its channels' locks.
    pub(crate) fn open(&self) {
        // ORDERING: Release pairs with the Acquire in `claim`: the claimer sees the waker.
        self.word.store(OPEN, Ordering::Release);
    }

    /// The result of the arm that won was fetched: the future's own again.
    pub(crate) fn settled(&self) {
        // ORDERING: Relaxed, nobody else acts on WON or BUSY but by leaving the group alone.
        self.word.store(BUSY, Ordering::Relaxed);
    }

    /// Wins the select for an arm, if none has won. Called under the lock of the arm's channel; the
    /// caller then finishes the arm's waiter.
    pub(crate) fn claim(&self, arm: u32) -> Claim {
        // ORDERING: AcqRel; Acquire pairs with the Release in `open`: the waker is visible; Release
        // with the Acquire in `begin`.
        match self
            .word
            .compare_exchange(OPEN, arm, Ordering::AcqRel, Ordering::Relaxed)
        {
            // SAFETY: it was OPEN and we won it: the waker is ours until the waiter is finished.
            Ok(_) => Claim::Won(self.waker.with_mut(|waker| unsafe { (*waker).take() })),
            Err(BUSY) => Claim::Busy,
            Err(_) => Claim::Over,
        }
    }
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // ORDERING: Relaxed, for a human.
        match self.word.load(Ordering::Relaxed) {
            OPEN => f.write_str("Open"),
            BUSY => f.write_str("Busy"),
            arm => write!(f, "Won({arm})"),
        }
    }
}
