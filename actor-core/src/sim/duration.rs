//! `200.ms()`: durations as a test says them.

use std::time::Duration;

/// Durations written as `200.ms()` or `1.hours()`, for tests.
///
/// ```
/// use actor_core::sim::TimeUnits;
/// use std::time::Duration;
///
/// assert_eq!(90.secs(), Duration::from_secs(90));
/// assert_eq!(1.hours(), 60.minutes());
/// ```
pub trait TimeUnits: Sized {
    /// So many microseconds.
    fn micros(self) -> Duration;
    /// So many milliseconds.
    fn ms(self) -> Duration;
    /// So many seconds.
    fn secs(self) -> Duration;
    /// So many minutes.
    fn minutes(self) -> Duration;
    /// So many hours.
    fn hours(self) -> Duration;
    /// So many days of 24 hours.
    fn days(self) -> Duration;
}

impl TimeUnits for u64 {
    fn micros(self) -> Duration {
        Duration::from_micros(self)
    }

    fn ms(self) -> Duration {
        Duration::from_millis(self)
    }

    fn secs(self) -> Duration {
        Duration::from_secs(self)
    }

    fn minutes(self) -> Duration {
        Duration::from_secs(self.saturating_mul(60))
    }

    fn hours(self) -> Duration {
        Duration::from_secs(self.saturating_mul(3600))
    }

    fn days(self) -> Duration {
        Duration::from_secs(self.saturating_mul(86_400))
    }
}
