//! How often a supervisor may restart children: a window that slides over restart attempts.
//!
//! An attempt at `now` counts those in `[now - window, now]`, both ends included, on the
//! monotonic clock in nanoseconds (OTP counts whole seconds; that is not copied). One window per
//! supervisor, for all its children; failed attempts count, requests by its users don't.

use std::{collections::VecDeque, time::Duration};

use crate::sched::Instant;

#[derive(Debug)]
pub(super) struct Intensity {
    pub(super) restarts_max: u32,
    pub(super) window: Duration,
    /// At most `restarts_max + 1` of them, oldest first.
    attempts: VecDeque<Instant>,
}

impl Intensity {
    pub(super) fn new(restarts_max: u32, window: Duration) -> Self {
        Self {
            restarts_max,
            window,
            attempts: VecDeque::new(),
        }
    }

    /// Counts an attempt; false when it is one too many.
    pub(super) fn allows(&mut self, now: Instant) -> bool {
        while self
            .attempts
            .front()
            .is_some_and(|first| now - *first > self.window)
        {
            self.attempts.pop_front();
        }
        self.attempts.push_back(now);
        #[cfg(feature = "planted")]
        if crate::planted::is(crate::planted::Bug::Intensity) {
            return self.attempts.len() <= self.restarts_max as usize + 1;
        }
        self.attempts.len() <= self.restarts_max as usize
    }
}

#[cfg(all(test, not(actor_loom)))]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const NANO: Duration = Duration::from_nanos(1);

    #[test]
    fn the_attempt_that_is_exactly_a_window_old_still_counts() {
        let start = Instant::now();
        let mut intensity = Intensity::new(1, SECOND);
        assert!(intensity.allows(start));
        assert!(!intensity.allows(start + SECOND), "the window is inclusive");

        let mut intensity = Intensity::new(1, SECOND);
        assert!(intensity.allows(start));
        assert!(
            intensity.allows(start + SECOND + NANO),
            "a nanosecond later it is out"
        );
    }

    #[test]
    fn zero_restarts_allow_none() {
        assert!(!Intensity::new(0, SECOND).allows(Instant::now()));
    }

    #[test]
    fn a_burst_passes_the_limit_and_a_slow_trickle_never_does() {
        let start = Instant::now();
        let mut burst = Intensity::new(3, SECOND);
        assert_eq!(
            [0, 1, 2, 3].map(|_| burst.allows(start)),
            [true, true, true, false]
        );

        let mut trickle = Intensity::new(3, SECOND);
        for n in 0..1000 {
            assert!(trickle.allows(start + n * (SECOND / 2)), "attempt {n}");
        }
        assert!(trickle.attempts.len() <= 4, "old attempts are forgotten");
    }
}
