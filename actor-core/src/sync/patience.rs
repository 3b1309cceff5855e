//! How the locks treat those that find them taken: spinning, and who has waited long enough.
//!
//! - A lock that is let go of is *free*, whoever waits: the one that waits is *called*, and competes
//!   with those that run (Go's normal mode). Handing a lock over keeps it from those that run until
//!   the new owner has been switched to. If that is the rule, all that run meanwhile queue up, and from
//!   then on every turn is a switch, for as long as the load lasts.
//! - Who has waited for [`STARVATION`], or was called [`LOST_MAX`] times and came too late, is handed
//!   the lock instead (Go's starvation mode). Go looks at the clock only; the number is for locks that
//!   are taken again before the clock moves, as in a simulation.

use std::time::Duration;

use crate::sched::record::RecordRef;
use crate::sched::{Instant, has_work, simulated};
use crate::shim::hint;

/// Who waits longer is handed the lock. Go's `starvationThresholdNs`.
const STARVATION: Duration = Duration::from_millis(1);

/// So often a waiter may be called in vain.
const LOST_MAX: u32 = 16;

/// How often a newcomer looks before it queues: about a microsecond, as Go's `runtime_doSpin`.
const LOOKS: u32 = 120;

/// For whom a waiter waits, and how patiently.
pub(super) struct Waiting {
    /// When it starves.
    due: Instant,
    pub(super) who: RecordRef,
}

impl Waiting {
    pub(super) fn new(who: RecordRef) -> Self {
        Self {
            due: Instant::now() + STARVATION,
            who,
        }
    }

    /// It was polled and did not get the lock: that much sooner it starves. (A number of its own would
    /// do, but make every future larger.)
    pub(super) fn lost(&mut self) {
        self.due = self.due - STARVATION / LOST_MAX;
    }

    pub(super) fn starves(&self) -> bool {
        // A model has no clock, and few turns: it says beforehand whether waiters starve.
        #[cfg(actor_loom)]
        return super::loom_models::STARVING.get();
        #[cfg(not(actor_loom))]
        return Instant::now() >= self.due;
    }
}

/// Looks for a while whether the lock is to be had: what is done under a lock is mostly shorter than a
/// switch. Only while nobody else waits for this P, as Go does: two cores that both spin for a lock move it
/// to and fro, which cost a mutex twice as much as letting one of them work. `look` says how it went, or
/// `None` if waiting is better.
#[cold]
pub(super) fn spin(mut look: impl FnMut() -> Option<bool>) -> bool {
    // In a model, and in a simulation, nobody lets go meanwhile.
    if cfg!(actor_loom) || simulated::is_active() || has_work() {
        return false;
    }
    for _ in 0..LOOKS {
        hint::spin_loop();
        match look() {
            Some(false) => {}
            Some(true) => return true,
            None => return false,
        }
    }
    false
}
