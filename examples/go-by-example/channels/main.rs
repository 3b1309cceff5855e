//! A channel without a buffer hands a value from one goroutine to another. Go: `make(chan T)`.
//!
//! What differs: a channel has two ends of different types, and `close` is rarely called. When the
//! last sender is dropped, the channel is closed; a receive then yields `None`.
#![forbid(unsafe_code)]

use actor_core::{chan, go};

#[actor_core::main]
async fn main() {
    let (tx, rx) = chan::rendezvous();
    // `async move`: the goroutine owns `tx` from now on.
    go(async move { tx.send("ping").await });
    println!("{}", rx.recv().await.unwrap());

    // A conversation: each side waits for the other's word.
    let (balls_tx, balls_rx) = chan::rendezvous();
    let (back_tx, back_rx) = chan::rendezvous();
    go(async move {
        while let Some(ball) = balls_rx.recv().await {
            back_tx.send(ball + 1).await.unwrap();
        }
        // Here `back_tx` is dropped: that closes the other channel.
    });
    let mut ball = 1;
    for _ in 0..3 {
        balls_tx.send(ball).await.unwrap();
        ball = back_rx.recv().await.unwrap();
        println!("ball {ball}");
    }
    drop(balls_tx);
    println!("open: {}", back_rx.recv().await.is_some());
}
