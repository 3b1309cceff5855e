//! Telling goroutines to stop, and letting them finish what they have begun. Go: a `done` channel.
//!
//! What differs: nothing is closed by hand. The stop signal is the drop of its only sender, and the
//! producer's end closes the numbers. (`handle.abort()` would end a goroutine at its next `.await`,
//! which is quicker, but not graceful.)
#![forbid(unsafe_code)]

use actor_core::chan::{self, Receiver, Sender};
use actor_core::{go, select};

/// Sends numbers until it is told to stop; says how many.
async fn produce(stop: Receiver<()>, out: Sender<u64>) -> u64 {
    let mut produced = 0;
    loop {
        select! {
            sent = out.send(produced) => {
                sent.unwrap();
                produced += 1;
            }
            _ = stop.recv() => return produced,
        }
    }
}

/// Receives until the producer is gone; reports when it has had three.
async fn consume(input: Receiver<u64>, enough: Sender<()>) -> u64 {
    let mut consumed = 0;
    while input.recv().await.is_some() {
        consumed += 1;
        if consumed == 3 {
            enough.close();
        }
    }
    consumed
}

#[actor_core::main]
async fn main() {
    let (stop_tx, stop) = chan::rendezvous();
    let (enough_tx, enough) = chan::rendezvous();
    let (numbers_tx, numbers) = chan::buffered(16);
    let producer = go(produce(stop, numbers_tx));
    let consumer = go(consume(numbers, enough_tx));

    enough.recv().await;
    println!("stopping");
    drop(stop_tx); // everybody who receives from it sees this

    let (produced, consumed) = (producer.await.unwrap(), consumer.await.unwrap());
    println!("at least three: {}", produced >= 3);
    println!("nothing lost: {}", produced == consumed);
}
