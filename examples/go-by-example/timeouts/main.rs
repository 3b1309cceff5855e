//! Waiting for a result, but not for ever. Go: `select` with `time.After`.
//!
//! What differs: `timeout` bounds any future, not only a receive. The future that lost is dropped,
//! which cancels it: nobody goes on working for a result that nobody wants.
#![forbid(unsafe_code)]

use std::time::Duration;

use actor_core::{chan, go, timeout};

#[actor_core::main]
async fn main() {
    // `_tx` keeps the channel open: nothing is ever sent here.
    let (_tx, never) = chan::buffered::<String>(1);
    match timeout(Duration::from_millis(1), never.recv()).await {
        Ok(result) => println!("{}", result.unwrap()),
        Err(_elapsed) => println!("timeout 1"),
    }

    let (tx, soon) = chan::buffered(1);
    go(async move { tx.send("result 2").await });
    match timeout(Duration::from_secs(3600), soon.recv()).await {
        Ok(result) => println!("{}", result.unwrap()),
        Err(_elapsed) => println!("timeout 2"),
    }
}
