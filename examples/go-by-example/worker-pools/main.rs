//! Several workers share one queue of jobs.
//!
//! What differs: every worker owns a clone of the results' sender. When the last worker ends, the
//! last sender is dropped and the results are closed: nobody has to wait and close them.
#![forbid(unsafe_code)]

use actor_core::chan::{self, Receiver, Sender};
use actor_core::go;

async fn worker(jobs: Receiver<u32>, results: Sender<u32>) {
    // Each job goes to one of the receivers, whoever is free.
    while let Some(job) = jobs.recv().await {
        results.send(job * 2).await.unwrap();
    }
}

#[actor_core::main]
async fn main() {
    let (jobs_tx, jobs_rx) = chan::buffered(100);
    let (results_tx, results_rx) = chan::buffered(100);

    for _ in 0..3 {
        go(worker(jobs_rx.clone(), results_tx.clone()));
    }
    drop(results_tx); // ours; else the loop below would wait for us

    for job in 1..=5 {
        jobs_tx.send(job).await.unwrap();
    }
    drop(jobs_tx);

    let mut all = Vec::new();
    while let Some(result) = results_rx.recv().await {
        all.push(result);
    }
    all.sort_unstable();
    for result in all {
        println!("{result}");
    }
}
