//! No more than one request per interval; or a few at once, and then one per interval.
//!
//! What differs: the goroutine that fills the bucket ends when the bucket's receiver is dropped. In
//! Go it would wait for room for ever.
#![forbid(unsafe_code)]

use std::time::Duration;

use actor_core::{Instant, chan, go, interval};

const INTERVAL: Duration = Duration::from_millis(5);

#[actor_core::main]
async fn main() {
    let begin = Instant::now();
    let mut limiter = interval(INTERVAL);
    for request in 1..=5 {
        limiter.tick().await;
        println!("request {request}");
    }
    println!("took five intervals: {}", begin.elapsed() >= 5 * INTERVAL);

    // A bucket of three tokens, to which every interval adds one.
    let begin = Instant::now();
    let (fill, bucket) = chan::buffered(3);
    while fill.try_send(()).is_ok() {}
    println!("tokens for a burst: {}", bucket.len());
    go(async move {
        let mut ticks = interval(INTERVAL);
        loop {
            ticks.tick().await;
            if fill.send(()).await.is_err() {
                return;
            }
        }
    });
    for request in 1..=5 {
        bucket.recv().await.unwrap();
        println!("bursty request {request}");
    }
    println!("took two intervals: {}", begin.elapsed() >= 2 * INTERVAL);
}
