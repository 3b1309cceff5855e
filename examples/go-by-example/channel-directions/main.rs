//! A function says whether it sends to a channel or receives from it.
//!
//! What differs: Go's `chan T` goes both ways and is narrowed to `chan<- T` or `<-chan T`. Here the
//! two ends are two types from the start. Lend an end with `&`, or move it to give it away.
#![forbid(unsafe_code)]

use actor_core::chan::{self, Receiver, Sender};

async fn ping(pings: &Sender<String>, message: &str) {
    pings.send(message.to_owned()).await.unwrap();
}

async fn pong(pings: &Receiver<String>, pongs: &Sender<String>) {
    let message = pings.recv().await.unwrap();
    pongs.send(message).await.unwrap();
}

#[actor_core::main]
async fn main() {
    let (pings_tx, pings_rx) = chan::buffered(1);
    let (pongs_tx, pongs_rx) = chan::buffered(1);
    ping(&pings_tx, "passed message").await;
    pong(&pings_rx, &pongs_tx).await;
    println!("{}", pongs_rx.recv().await.unwrap());
}
