//! Go's `time.Ticker`: ticks on a grid, those that nobody awaits are dropped.
//!
//! A ticker is one [`Sleep`] that is given its next deadline when it ends. A stopped one sleeps for
//! ever, which registers no timer. (Actors' `#[every]` methods have a table of their own.)

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use super::clock::Instant;
use super::time::{Sleep, sleep};

/// A ticker: yields at every multiple of the period after its creation.
///
/// As with Go's `Ticker`, the first tick comes after one period, and ticks that nobody awaited are
/// dropped, not saved up: a slow consumer gets the next tick on the grid. [`Ticker::new`] is the
/// same.
///
/// # Panics
/// A zero period panics.
///
/// ```
/// # actor_core::Runtime::new().unwrap().block_on(async {
/// use std::time::Duration;
/// let mut ticks = actor_core::interval(Duration::from_millis(1));
/// let first = ticks.tick().await;
/// assert!(ticks.tick().await > first);
/// # });
/// ```
#[must_use = "ticks come to whoever awaits `tick`"]
#[track_caller]
pub fn interval(period: Duration) -> Ticker {
    Ticker::new(period)
}

/// Ticks again and again: Go's `time.Ticker`. See [`interval`].
///
/// ```
/// # actor_core::Runtime::new().unwrap().block_on(async {
/// use actor_core::Ticker;
/// use std::time::Duration;
/// let mut ticks = Ticker::new(Duration::from_secs(3600));
/// ticks.reset(Duration::from_millis(1));
/// ticks.tick().await;
/// # });
/// ```
#[derive(Debug)]
#[must_use = "ticks come to whoever awaits `tick`"]
pub struct Ticker {
    sleep: Sleep,
    period: Duration,
}

impl Ticker {
    /// A ticker whose first tick comes after one period.
    ///
    /// # Panics
    /// A zero period panics.
    #[track_caller]
    pub fn new(period: Duration) -> Self {
        check(period);
        Self {
            sleep: sleep(period),
            period,
        }
    }

    /// Waits for the next tick and returns when it was due. Dropping this future loses no tick.
    pub async fn tick(&mut self) -> Instant {
        std::future::poll_fn(|cx| self.poll_tick(cx)).await
    }

    /// As [`tick`](Self::tick), for hand-written futures.
    pub fn poll_tick(&mut self, cx: &mut Context<'_>) -> Poll<Instant> {
        if Pin::new(&mut self.sleep).poll(cx).is_pending() {
            return Poll::Pending;
        }
        let due = self.sleep.deadline();
        let late = Instant::now() - due;
        let missed = late.as_nanos() / self.period.as_nanos();
        let skip = u32::try_from(missed + 1).unwrap_or(u32::MAX);
        Pin::new(&mut self.sleep).reset(due + self.period.saturating_mul(skip));
        Poll::Ready(due)
    }

    /// Begins anew with another period: the next tick comes one period from now, and none that was
    /// due before. It sets a stopped ticker going again.
    ///
    /// # Panics
    /// A zero period panics.
    #[track_caller]
    pub fn reset(&mut self, period: Duration) {
        check(period);
        self.period = period;
        Pin::new(&mut self.sleep).reset(Instant::now() + period);
    }

    /// No tick comes any more, not even one that was due: [`tick`](Self::tick) waits for ever. As in
    /// Go it doesn't end the loop of whoever awaits it.
    pub fn stop(&mut self) {
        Pin::new(&mut self.sleep).reset(Instant::FOREVER);
    }

    /// The time between ticks.
    #[must_use]
    pub fn period(&self) -> Duration {
        self.period
    }
}

#[track_caller]
fn check(period: Duration) {
    assert!(
        !period.is_zero(),
        "the period of a ticker must be longer than zero: use `yield_now` to let others run"
    );
}
