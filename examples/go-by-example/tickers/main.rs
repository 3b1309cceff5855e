//! Doing something again and again, at regular times. Go: `time.NewTicker`.
//!
//! The same: ticks that nobody awaited are dropped, not saved up; a period of zero panics. What
//! differs: there is no channel, `tick` is awaited; and a ticker that is dropped has stopped.
#![forbid(unsafe_code)]

use std::time::Duration;

use actor_core::{Instant, Ticker};

#[actor_core::main]
async fn main() {
    const PERIOD: Duration = Duration::from_millis(5);
    let begin = Instant::now();
    let mut ticker = Ticker::new(PERIOD);
    for tick in 1..=3 {
        ticker.tick().await;
        println!("tick {tick}");
    }
    drop(ticker);
    println!("took three periods: {}", begin.elapsed() >= 3 * PERIOD);
}
