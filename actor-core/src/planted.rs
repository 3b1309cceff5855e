//! Ten bugs to be turned on: what the simulation is tested with.
//!
//! A search that finds nothing proves nothing, unless it is known to find what is there. With the
//! feature `planted` the library has seven bugs in it, each an `if planted::is(..)` at the one place
//! where the real code is right, and each turned on by itself; three more are of the kind that users
//! write, and live with the tests that look for all ten (`tests/planted/`).
//!
//! - Without the feature nothing of this is compiled, neither the bugs nor the question.
//! - Which bug is on belongs to a thread, and so to the simulation that runs there: one process can
//!   try all, and nothing is on if nobody says so.
//!
//! For tests only: not part of the library's promises.

use std::cell::Cell;

/// A bug that can be turned on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Bug {
    /// What a receiver had taken from the mailbox in one batch, and not begun, is lost when its
    /// incarnation ends.
    LostMessage,
    /// A batch deals its answers to those who still wait: whoever comes after one that has given up
    /// gets another's.
    DoubleReply,
    /// A supervisor restarts once more than its intensity allows.
    Intensity,
    /// A signal that reached a waiter which gives up is not passed on to the next one.
    MissedWakeUp,
    /// Of a user: two locks are taken in any order.
    LockCycle,
    /// Of a user: what was read before an await is written after it.
    LostUpdate,
    /// Of a user: a write is acknowledged before it is synced.
    EarlyAck,
    /// A supervised actor's names are given up when an incarnation ends, and claimed again by the
    /// next one.
    RegistryRace,
    /// A supervisor that stops its children waits a millisecond for each before it asks the next.
    ShutdownOrder,
    /// Work beside an actor outlives its incarnation.
    TimerLeak,
}

thread_local! {
    static ON: Cell<Option<Bug>> = const { Cell::new(None) };
}

/// Whether this bug is on, on this thread.
#[inline]
#[must_use]
pub fn is(bug: Bug) -> bool {
    ON.get() == Some(bug)
}

/// Turns one bug on, or none, on this thread, for as long as what this returns lives.
pub fn turn(bug: Option<Bug>) -> Turned {
    Turned(ON.replace(bug))
}

/// See [`turn`].
#[derive(Debug)]
#[must_use = "the bug is turned off again when this is dropped"]
pub struct Turned(Option<Bug>);

impl Drop for Turned {
    fn drop(&mut self) {
        ON.set(self.0);
    }
}
