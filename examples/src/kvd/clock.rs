//! The time of day, by which keys expire and which the log remembers.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use actor_core::Instant;

/// Where the time of day comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Clock {
    /// The system's clock.
    System,
    /// A time of day, and the runtime's clock from then on: in a simulation nothing else goes.
    Counted { from: Duration, since: Instant },
}

impl Clock {
    /// One that starts now, at this time after 1970.
    pub(crate) fn counted(from: Duration) -> Self {
        let since = Instant::now();
        Self::Counted { from, since }
    }

    /// Milliseconds since 1970, as deadlines are logged; never 0.
    pub(crate) fn now_ms(self) -> u64 {
        let since_1970 = match self {
            Self::System => SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default(),
            Self::Counted { from, since } => from + since.elapsed(),
        };
        (since_1970.as_millis() as u64).max(1)
    }
}
