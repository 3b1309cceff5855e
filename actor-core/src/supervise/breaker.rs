//! A child's circuit breaker: after too many ends it stays down for a while, then gets one try.
//!
//! ```text
//!            more than `restarts_max` ends within `window`
//!   closed ───────────────────────────────────────────────► open ──┐ an end within `window`
//!      ▲                                                     │  ▲   │ of the try, or a start
//!      │ it stays up for `window`                   cool_down│  │   │ that fails
//!      └─────────────────────────────── half-open ◄──────────┘  └───┤
//!                                           └───────────────────────┘
//! ```

use std::time::Duration;

use super::intensity::Intensity;
use crate::sched::Instant;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BreakerSpec {
    pub(super) restarts_max: u32,
    pub(super) window: Duration,
    pub(super) cool_down: Duration,
}

impl BreakerSpec {
    pub(super) fn check(&self) -> Result<(), &'static str> {
        if self.window.is_zero() || self.cool_down.is_zero() {
            return Err("a circuit breaker's window and cool-down must be longer than zero");
        }
        Ok(())
    }
}

#[derive(Debug)]
pub(super) struct Breaker {
    spec: BreakerSpec,
    ends: Intensity,
    /// Since when it is half-open.
    trying: Option<Instant>,
}

/// What to do about a child that ended and is to be restarted.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Circuit {
    /// Restart it.
    Closed,
    /// Leave it down until then.
    OpenUntil(Instant),
}

impl Breaker {
    pub(super) fn new(spec: BreakerSpec) -> Self {
        Self {
            spec,
            ends: Intensity::new(spec.restarts_max, spec.window),
            trying: None,
        }
    }

    /// It ended, or could not start.
    pub(super) fn failed(&mut self, now: Instant) -> Circuit {
        let in_trial = self
            .trying
            .take()
            .is_some_and(|since| now - since <= self.spec.window);
        if !in_trial && self.ends.allows(now) {
            return Circuit::Closed;
        }
        self.ends = Intensity::new(self.spec.restarts_max, self.spec.window);
        Circuit::OpenUntil(now + self.spec.cool_down)
    }

    /// The cool-down is over: it is about to be tried.
    pub(super) fn half_open(&mut self, now: Instant) {
        self.trying = Some(now);
    }

    /// Somebody started it by hand: a clean slate.
    pub(super) fn reset(&mut self) {
        *self = Self::new(self.spec);
    }
}

#[cfg(all(test, not(actor_loom)))]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn breaker() -> Breaker {
        Breaker::new(BreakerSpec {
            restarts_max: 2,
            window: SECOND,
            cool_down: 10 * SECOND,
        })
    }

    #[test]
    fn it_opens_at_one_end_more_than_the_window_allows() {
        let (mut breaker, now) = (breaker(), Instant::now());
        assert_eq!(breaker.failed(now), Circuit::Closed);
        assert_eq!(breaker.failed(now), Circuit::Closed);
        assert_eq!(
            breaker.failed(now + SECOND),
            Circuit::OpenUntil(now + 11 * SECOND)
        );
    }

    #[test]
    fn a_failed_try_opens_it_at_once_and_a_try_that_lasts_closes_it() {
        let (mut breaker, now) = (breaker(), Instant::now());
        breaker.half_open(now);
        assert_eq!(breaker.failed(now), Circuit::OpenUntil(now + 10 * SECOND));
        breaker.half_open(now);
        let later = now + 2 * SECOND;
        assert_eq!(breaker.failed(later), Circuit::Closed);
        assert_eq!(
            breaker.failed(later),
            Circuit::Closed,
            "all ends are counted anew"
        );
        assert_ne!(breaker.failed(later), Circuit::Closed);
    }

    #[test]
    fn reset_forgets_all_ends_and_the_try() {
        let (mut breaker, now) = (breaker(), Instant::now());
        assert_eq!(breaker.failed(now), Circuit::Closed);
        assert_eq!(breaker.failed(now), Circuit::Closed);
        breaker.half_open(now);
        breaker.reset();
        assert_eq!(breaker.failed(now), Circuit::Closed);
    }
}
