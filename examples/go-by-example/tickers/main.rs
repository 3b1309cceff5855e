//! Doing something again and again, at regular times. Go: `time.NewTicker`.
//!
//! The same: ticks that nobody awaited are dropped, not saved up. What differs: stopping a ticker is
//! dropping it, and a period of zero panics with a message that says so in both.
#![forbid(unsafe_code)]

use std::time::Duration;

use actor_core::{Instant, interval};

#[actor_core::main]
async fn main() {
    const PERIOD: Duration = Duration::from_millis(5);
    let begin = Instant::now();
    let mut ticker = interval(PERIOD);
    for tick in 1..=3 {
        ticker.tick().await;
        println!("tick {tick}");
    }
    drop(ticker);
    println!("took three periods: {}", begin.elapsed() >= 3 * PERIOD);
}
