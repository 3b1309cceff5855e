//! A channel tells that work is finished.
//!
//! For one goroutine its handle does the same with less: `go(worker()).await`. Use a channel when
//! somebody else has to be told, or before the goroutine ends.
#![forbid(unsafe_code)]

use actor_core::{chan, go};

async fn worker(done: chan::Sender<bool>) {
    println!("working ...");
    println!("done");
    done.send(true).await.unwrap();
}

#[actor_core::main]
async fn main() {
    let (done_tx, done_rx) = chan::buffered(1);
    go(worker(done_tx));
    // If the worker panicked, its sender would be dropped and this would be `None`: no deadlock.
    assert_eq!(done_rx.recv().await, Some(true));
    println!("main saw it");
}
