//! Doing something once, at a later time. Go: `time.Timer`, `time.AfterFunc`.
//!
//! What differs: a timer has no channel, it is itself awaited. After `stop` or `reset` no event of
//! before can come, so there is no channel to drain.
#![forbid(unsafe_code)]

use std::time::Duration;

use actor_core::{Timer, after_func, chan};

const SOON: Duration = Duration::from_millis(1);
const LATE: Duration = Duration::from_secs(3600);

#[actor_core::main]
async fn main() {
    // To wait only, `sleep(SOON).await` is enough.
    Timer::new(SOON).await;
    println!("timer 1 fired");

    let mut timer2 = Timer::new(LATE);
    println!("timer 2 stopped: {}", timer2.stop());
    println!("stopped again: {}", timer2.stop());

    let mut timer3 = Timer::new(LATE);
    println!("timer 3 was active: {}", timer3.reset(SOON));
    timer3.await;
    println!("timer 3 fired");

    let (called_tx, called) = chan::rendezvous::<()>();
    drop(after_func(SOON, move || {
        called_tx.close();
    }));
    called.recv().await;
    println!("function called");
}
