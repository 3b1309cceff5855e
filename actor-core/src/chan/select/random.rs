//! Random choice for `select`: a generator per thread, seeded by std's hasher.

use crate::sched::simulated::{self, Chance};

/// A source of numbers for one poll.
pub(crate) struct Random(u64);

impl Random {
    #[cfg(not(actor_loom))]
    pub(crate) fn new() -> Self {
        use std::cell::Cell;
        use std::hash::{BuildHasher, Hasher, RandomState};

        thread_local! {
            static SEED: Cell<u64> = Cell::new(RandomState::new().build_hasher().finish());
        }
        let seed = SEED.try_with(|seed| {
            let next = seed.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
            seed.set(next);
            next
        });
        // A thread that is ending has lost its own.
        Self(mix(seed.unwrap_or(0)))
    }

    /// A model must run the same way twice.
    #[cfg(actor_loom)]
    pub(crate) fn new() -> Self {
        Self(mix(0))
    }

    /// A number below `n`, each as likely; in a simulation, its choice.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        if let Some(chosen) = simulated::chosen(Chance::Arm, n as u32) {
            return chosen as usize;
        }
        let high = self.0 >> 32;
        self.0 = mix(self.0);
        // Lemire's reduction, without its correction: n is tiny beside 2^32.
        ((high * n as u64) >> 32) as usize
    }
}

/// splitmix64's step and finish.
fn mix(seed: u64) -> u64 {
    let z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
