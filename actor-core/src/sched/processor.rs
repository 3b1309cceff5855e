//! P: the right to run goroutines on one core, and what belongs to it.
//!
//! - Only the M that holds the P pushes to its ring and `runnext`; anybody may steal from both.
//!   Ownership changes hands under the dispatch lock.
//! - `runnext` holds the goroutine that the running one has just made ready: it runs next, on a
//!   warm cache, without waking another core. The owner stores into it only when it is empty, so a
//!   push needs no RMW; everybody takes from it with one.
//! - `polls` is odd inside a poll, and moves at each begin and end: whoever sees the same odd value
//!   for long knows that one poll has been going on all the time.

use std::ptr;

use super::ring::Ring;
use super::task::RunToken;
use super::timers::Timers;
use crate::shim::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering};

#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Processor {
    pub(crate) index: usize,
    polls: AtomicU64,
    ops: AtomicU64,
    runnext: AtomicPtr<()>,
    stuck: AtomicBool,
    pub(crate) ring: Ring,
    pub(crate) timers: Timers,
    pub(crate) steals: AtomicU64,
    long_poll: AtomicBool,
    /// The OS thread of the M that holds it, for sysmon; 0: unknown.
    holder: AtomicUsize,
}

impl Processor {
    pub(crate) fn new(index: usize) -> Self {
        Self {
            index,
            polls: AtomicU64::new(0),
            stuck: AtomicBool::new(false),
            runnext: AtomicPtr::new(ptr::null_mut()),
            ring: Ring::new(),
            timers: Timers::new(),
            steals: AtomicU64::new(0),
            ops: AtomicU64::new(0),
            long_poll: AtomicBool::new(false),
            holder: AtomicUsize::new(0),
        }
    }

    /// The poll counter; odd inside a poll.
    #[inline]
    pub(crate) fn polls(&self) -> u64 {
        // ORDERING: Relaxed: compared with an earlier value of itself only.
        self.polls.load(Ordering::Relaxed)
    }

    /// Polls begun so far.
    pub(crate) fn polls_begun(&self) -> u64 {
        self.polls().div_ceil(2)
    }

    /// Owner only: notes the begin (odd) or end (even) of a poll.
    #[inline]
    pub(crate) fn mark_poll(&self, inside: bool) {
        // ORDERING: Relaxed: a counter with one writer at a time.
        let polls = self.polls.load(Ordering::Relaxed);
        let next = if (polls & 1 == 1) == inside {
            polls + 2
        } else {
            polls + 1
        };
        self.polls.store(next, Ordering::Relaxed);
    }

    /// Owner only: a poll has ended in which so many operations were done.
    #[inline]
    pub(crate) fn count_ops(&self, ops: u32) {
        // ORDERING: Relaxed: a counter with one writer at a time.
        let before = self.ops.load(Ordering::Relaxed);
        self.ops.store(before + u64::from(ops), Ordering::Relaxed);
    }

    /// Operations done and goroutines ended so far.
    pub(crate) fn work_done(&self) -> u64 {
        self.ops.load(Ordering::Relaxed)
    }

    pub(crate) fn note_long_poll(&self) {
        // ORDERING: Relaxed here and below: a hint.
        self.long_poll.store(true, Ordering::Relaxed);
    }

    /// Whether one has been noted since this was asked last.
    pub(crate) fn take_long_poll(&self) -> bool {
        self.long_poll.load(Ordering::Relaxed) && self.long_poll.swap(false, Ordering::Relaxed)
    }

    pub(crate) fn set_holder(&self, tid: usize) {
        // ORDERING: Relaxed: a hint for sysmon.
        self.holder.store(tid, Ordering::Relaxed);
    }

    pub(crate) fn holder(&self) -> usize {
        self.holder.load(Ordering::Relaxed)
    }

    /// sysmon's verdict on the current poll. It may come late, by a poll at most: see `sysmon.rs`.
    pub(crate) fn set_stuck(&self) -> bool {
        !self.stuck.swap(true, Ordering::AcqRel)
    }

    /// Owner: takes the verdict back; true if there was one.
    #[inline]
    pub(crate) fn clear_stuck(&self) -> bool {
        // ORDERING: Relaxed first: the common case reads a line that is ours.
        self.stuck.load(Ordering::Relaxed) && self.stuck.swap(false, Ordering::AcqRel)
    }

    pub(crate) fn is_stuck(&self) -> bool {
        self.stuck.load(Ordering::Relaxed)
    }

    /// Owner only: puts a goroutine first in line, or gives it back if one is there already.
    #[inline]
    pub(crate) fn set_runnext(&self, token: RunToken) -> Result<(), RunToken> {
        // ORDERING: Relaxed: only the owner makes it non-null.
        if !self.runnext.load(Ordering::Relaxed).is_null() {
            return Err(token);
        }
        // ORDERING: Release pairs with the Acquire in `take_runnext` of a thief.
        self.runnext.store(token.into_raw(), Ordering::Release);
        Ok(())
    }

    #[inline]
    pub(crate) fn has_runnext(&self) -> bool {
        !self.runnext.load(Ordering::Relaxed).is_null()
    }

    /// Anybody: takes the goroutine that is first in line.
    #[inline]
    pub(crate) fn take_runnext(&self) -> Option<RunToken> {
        // ORDERING: Relaxed: null means nothing to do; the exchange below orders the rest.
        let raw = self.runnext.load(Ordering::Relaxed);
        if raw.is_null() {
            return None;
        }
        // ORDERING: Acquire pairs with the Release in `set_runnext`. An exchange, not a swap: the
        // slot is only ever written by the owner while it is empty. That the same goroutine was
        // taken and came back meanwhile does no harm: its token is there, and we take it.
        self.runnext
            .compare_exchange(raw, ptr::null_mut(), Ordering::AcqRel, Ordering::Relaxed)
            .ok()
            // SAFETY: a non-null value was put there by `set_runnext`; the exchange took it for us.
            .map(|raw| unsafe { RunToken::from_raw(raw) })
    }

    /// Whether a goroutine waits here.
    #[inline]
    pub(crate) fn has_work(&self) -> bool {
        self.has_runnext() || !self.ring.is_empty()
    }
}
