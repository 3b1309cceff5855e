//! Receiving until the channel is closed. Go: `for v := range ch`.
#![forbid(unsafe_code)]

use actor_core::chan;

#[actor_core::main]
async fn main() {
    let (tx, queue) = chan::buffered(2);
    tx.send("one").await.unwrap();
    tx.send("two").await.unwrap();
    drop(tx); // the last sender is gone: closed

    // What was sent before the close is still received.
    while let Some(element) = queue.recv().await {
        println!("{element}");
    }
}
