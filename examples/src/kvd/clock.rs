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

#[cfg(test)]
mod tests {
    use super::*;
    use actor_core::sim::Sim;

    #[actor_core::test(sim, seeds = 1)]
    async fn a_counted_clock_goes_with_simulated_time(sim: &Sim) {
        let clock = Clock::counted(Duration::from_secs(1000));
        assert_eq!(clock.now_ms(), 1_000_000);
        sim.advance(Duration::from_millis(1500)).await;
        assert_eq!(clock.now_ms(), 1_001_500);
    }
}
