//! Closing a channel says that no more values will come. Go: `close(ch)`, `v, ok := <-ch`.
//!
//! What differs: a send to a closed channel is an error that holds the value, not a panic. Closing
//! twice is allowed; `close` says whether it was this call that did it.
#![forbid(unsafe_code)]

use actor_core::{chan, go};

#[actor_core::main]
async fn main() {
    let (jobs_tx, jobs_rx) = chan::buffered(5);

    // Receivers can be cloned: both are ends of the same channel.
    let rx = jobs_rx.clone();
    let worker = go(async move {
        while let Some(job) = rx.recv().await {
            println!("received job {job}");
        }
        println!("received all jobs");
    });

    for job in 1..=3 {
        jobs_tx.send(job).await.unwrap();
    }
    // `drop(jobs_tx)` would close it too; we keep the sender to try it once more below.
    jobs_tx.close();
    worker.await.unwrap();

    println!("open: {}", jobs_rx.recv().await.is_some());
    println!("sent after close: {}", jobs_tx.send(4).await.is_ok());
}
