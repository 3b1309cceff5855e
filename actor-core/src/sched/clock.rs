//! The library's clock: monotonic nanoseconds since the process first asked.
//!
//! Nothing else in the crate reads `std::time::Instant`, so that a simulated clock (`simulated.rs`)
//! takes its place without touching a caller.

use std::fmt;
use std::ops::{Add, AddAssign, Sub};
use std::sync::OnceLock;
use std::time::Duration;

use super::simulated;

/// A point on the runtime's monotonic clock.
///
/// It has nanosecond resolution, is `Copy` and ordered, and never overflows: additions saturate,
/// and the difference of two instants is zero when the right one is the later.
///
/// ```
/// use actor_core::Instant;
/// use std::time::Duration;
///
/// let start = Instant::now();
/// assert!(start + Duration::from_millis(5) > start);
/// assert_eq!(start - (start + Duration::from_secs(1)), Duration::ZERO);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// The far end of the clock (584 years): a deadline that never comes.
    pub const FOREVER: Instant = Instant(u64::MAX);

    /// Reads the clock; inside a simulation, its virtual one.
    #[must_use]
    pub fn now() -> Self {
        if let Some(now) = simulated::now() {
            return now;
        }
        static BASE: OnceLock<std::time::Instant> = OnceLock::new();
        let base = *BASE.get_or_init(std::time::Instant::now);
        Self(base.elapsed().as_nanos() as u64)
    }

    /// Time passed since this instant; zero if it lies in the future.
    #[must_use]
    pub fn elapsed(self) -> Duration {
        Self::now() - self
    }

    pub(crate) const fn nanos(self) -> u64 {
        self.0
    }

    pub(crate) const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }
}

impl Add<Duration> for Instant {
    type Output = Instant;

    fn add(self, by: Duration) -> Instant {
        let by = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        Instant(self.0.saturating_add(by))
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, by: Duration) {
        *self = *self + by;
    }
}

impl Sub for Instant {
    type Output = Duration;

    fn sub(self, earlier: Instant) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Sub<Duration> for Instant {
    type Output = Instant;

    fn sub(self, by: Duration) -> Instant {
        let by = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        Instant(self.0.saturating_sub(by))
    }
}

impl fmt::Debug for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::FOREVER {
            f.write_str("Instant(forever)")
        } else {
            write!(f, "Instant({:?})", Duration::from_nanos(self.0))
        }
    }
}
