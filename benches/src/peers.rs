//! The peers: the same works on three actor systems, each written as its own users write it.

mod kameo;
mod ours;
mod tokio;

use std::time::Duration;

pub use self::kameo::Kameo;
pub use self::ours::Ours;
pub use self::tokio::Tokio;
use crate::gap::{Offence, WorstGap};
use crate::work::Work;

/// Whether idle actors have answered a message before their memory is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idle {
    /// Started, never spoken to.
    Fresh,
    /// Each has answered one ask: what was allocated for that and is kept counts.
    Touched,
}

/// What is in use at one moment, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// Allocated and not freed.
    pub allocated: i64,
    /// Resident in the process.
    pub resident: i64,
}

impl Memory {
    /// What was added since then.
    pub fn since(self, before: Memory) -> Memory {
        Memory {
            allocated: self.allocated - before.allocated,
            resident: self.resident - before.resident,
        }
    }
}

/// A running actor system; dropping it joins its threads.
pub trait Peer: Sized {
    /// What the tables call it.
    const NAME: &'static str;

    /// Starts it with its default number of workers, one per core.
    fn start() -> Self;

    /// Does the work so many times and returns how long that took, setting up excluded; none when
    /// it has no such work of its own.
    ///
    /// # Panics
    ///
    /// When an answer is wrong.
    fn run(&self, work: Work, ops: u64) -> Option<Duration>;

    /// Starts so many actors with eight bytes of state and returns what `probe` grew by while they
    /// idle. Where the handles lie is not counted.
    fn idle(&self, actors: usize, idle: Idle, probe: fn() -> Memory) -> Memory;

    /// The longest gap while there are offenders; none when it has no tasks of its own.
    fn worst_gap(&self, offence: Offence) -> Option<WorstGap>;
}

/// How many of `ops` operations fall to one of so many tasks.
pub fn share(ops: u64, tasks: u64, task: u64) -> u64 {
    ops / tasks + u64::from(task < ops % tasks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up_to_all_operations() {
        for ops in [0, 1, 7, 8, 9, 1_000_003] {
            assert_eq!((0..8).map(|task| share(ops, 8, task)).sum::<u64>(), ops);
        }
    }
}
