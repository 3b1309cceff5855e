//! How long to wait before a restart: longer each time, and not all children at the same moment.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    time::Duration,
};

use crate::sched::simulated::{self, Chance};

/// Delays from `min` to `max`. Each is drawn from the upper half of a bound that doubles with each
/// restart, so that children that crashed together don't come back together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Backoff {
    pub(super) min: Duration,
    pub(super) max: Duration,
}

impl Backoff {
    pub(super) fn check(self) -> Result<(), &'static str> {
        if self.min.is_zero() || self.max < self.min {
            return Err("a backoff needs a range of delays from above zero upwards, min..max");
        }
        Ok(())
    }

    /// The delay before restart number `step`, counted from 0; `roll` is the chance in it.
    pub(super) fn delay(self, step: u32, roll: u32) -> Duration {
        let doubled = 2_u32
            .checked_pow(step.saturating_add(1))
            .and_then(|factor| self.min.checked_mul(factor));
        let upper = doubled.map_or(self.max, |doubled| doubled.min(self.max));
        let lower = (upper / 2).max(self.min);
        lower + (upper - lower).mul_f64(f64::from(roll) / f64::from(u32::MAX))
    }

    /// A child that ran this long starts at the short delays again.
    pub(super) fn is_over(self, ran: Duration) -> bool {
        ran >= self.max
    }
}

/// A number by chance.
pub(super) fn roll() -> u32 {
    if let Some(chosen) = simulated::chosen(Chance::Number, u32::MAX) {
        return chosen;
    }
    // Each `RandomState` has keys of its own.
    RandomState::new().build_hasher().finish() as u32
}

#[cfg(all(test, not(actor_loom)))]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn delays_double_up_to_the_maximum_and_vary_within_the_upper_half() {
        let backoff = Backoff {
            min: 10 * MS,
            max: 100 * MS,
        };
        let range = |step| (backoff.delay(step, 0), backoff.delay(step, u32::MAX));
        assert_eq!(range(0), (10 * MS, 20 * MS));
        assert_eq!(range(1), (20 * MS, 40 * MS));
        assert_eq!(range(2), (40 * MS, 80 * MS));
        assert_eq!(range(3), (50 * MS, 100 * MS));
        assert_eq!(range(31), (50 * MS, 100 * MS));
        assert_eq!(range(u32::MAX), (50 * MS, 100 * MS));
    }

    #[test]
    fn no_delay_leaves_the_range_however_narrow_or_wide_it_is() {
        for max in [10 * MS, 11 * MS, 19 * MS, Duration::MAX] {
            let backoff = Backoff { min: 10 * MS, max };
            for step in [0, 1, 5, 40, 400] {
                for roll in [0, 1, u32::MAX / 2, u32::MAX] {
                    let delay = backoff.delay(step, roll);
                    assert!(
                        delay >= backoff.min && delay <= max,
                        "{delay:?} for {max:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_range_that_is_empty_or_begins_at_zero_is_refused() {
        let check = |min: u32, max: u32| {
            let (min, max) = (min * MS, max * MS);
            Backoff { min, max }.check().is_ok()
        };
        assert!(!check(0, 5));
        assert!(!check(6, 5));
        assert!(check(5, 5) && check(1, 5));
    }
}
