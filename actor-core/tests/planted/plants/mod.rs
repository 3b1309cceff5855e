//! Ten planted bugs and, for each, a test that its user could have written: it says what is promised
//! and knows nothing of the bug.
//!
//! The bugs of the library are in `actor_core::planted` and where that is asked; three of users' code
//! are in these files. A plant is *found* when its test fails with the bug turned on, within so many
//! seeds, by each policy and from each of several first seeds; and when the very same test passes
//! with the bug turned off, for many more.

mod disk;
mod messages;
mod sharing;
mod supervision;

use actor_core::planted::{self, Bug};
use actor_core::sim::{Check, Failure, FailureKind, Pct, Policy, RandomWalk, Summary};

/// A bug, and the test that has to find it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plant {
    /// Which one.
    pub(crate) bug: Bug,
    /// What it is called in tables and on the command line.
    pub(crate) name: &'static str,
    /// It has to be found within so many seeds, from wherever the search begins.
    pub(crate) seeds_max: u64,
    test: fn() -> Check,
}

/// All of them.
pub(crate) const ALL: [Plant; 10] = [
    Plant {
        bug: Bug::LostMessage,
        name: "lost message at restart",
        seeds_max: 50,
        test: messages::lost_message,
    },
    Plant {
        bug: Bug::DoubleReply,
        name: "double reply",
        seeds_max: 50,
        test: messages::double_reply,
    },
    Plant {
        bug: Bug::Intensity,
        name: "intensity off by one",
        seeds_max: 50,
        test: supervision::intensity,
    },
    Plant {
        bug: Bug::MissedWakeUp,
        name: "missed wake-up",
        seeds_max: 1000,
        test: sharing::missed_wake_up,
    },
    Plant {
        bug: Bug::LockCycle,
        name: "lock cycle",
        seeds_max: 100,
        test: sharing::lock_cycle,
    },
    Plant {
        bug: Bug::LostUpdate,
        name: "lost update across an await",
        seeds_max: 100,
        test: sharing::lost_update,
    },
    Plant {
        bug: Bug::EarlyAck,
        name: "AOF acknowledged before sync",
        seeds_max: 50,
        test: disk::early_ack,
    },
    Plant {
        bug: Bug::RegistryRace,
        name: "registry race",
        seeds_max: 100,
        test: supervision::registry_race,
    },
    Plant {
        bug: Bug::ShutdownOrder,
        name: "shutdown out of order",
        seeds_max: 50,
        test: supervision::shutdown_order,
    },
    Plant {
        bug: Bug::TimerLeak,
        name: "timer leak after restart",
        seeds_max: 50,
        test: supervision::timer_leak,
    },
];

/// A policy to search with.
pub(crate) type Way = fn() -> Box<dyn Policy>;

/// Those that have to find each bug.
pub(crate) const WAYS: [Way; 2] = [|| RandomWalk::default().into(), || Pct { depth: 3 }.into()];

impl Plant {
    /// Looks for the bug, from this seed on; in the end for the shortest run that shows it, if
    /// `shrinks`. Returns the report.
    ///
    /// # Errors
    /// Why it was not found.
    pub(crate) fn find(&self, way: Way, first_seed: u64, shrinks: bool) -> Result<Failure, String> {
        let _on = planted::turn(Some(self.bug));
        let check = (self.test)().policy(way()).first_seed(first_seed);
        let check = check.seeds(self.seeds_max);
        let check = if shrinks { check } else { check.no_shrinking() };
        let (name, most) = (self.name, self.seeds_max);
        let failure = match check.try_run() {
            Ok(_) => return Err(format!("{name}: not found in {most} seeds")),
            Err(failure) => *failure,
        };
        // Nothing that the test itself could be blamed for.
        let is_found = matches!(
            failure.kind,
            FailureKind::Panicked | FailureKind::Deadlock | FailureKind::Leak
        );
        if !is_found {
            return Err(format!("{name}: found something else: {failure}"));
        }
        Ok(failure)
    }

    /// The same test with the bug turned off.
    ///
    /// # Errors
    /// The failure that there ought not to be.
    pub(crate) fn passes(&self, way: Way, seeds: u64) -> Result<Summary, Box<Failure>> {
        let _off = planted::turn(None);
        (self.test)().policy(way()).seeds(seeds).try_run()
    }
}
