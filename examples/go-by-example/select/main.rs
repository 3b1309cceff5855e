//! Waiting on several channels at once. Go: `select`.
//!
//! The same: if several arms are ready, one is chosen at random; only that one happens. What
//! differs: an arm is any future, not only a channel's operation, and a pattern may refuse a value.
#![forbid(unsafe_code)]

use std::time::Duration;

use actor_core::{after, chan, go, select};

#[actor_core::main]
async fn main() {
    let (ones_tx, ones) = chan::rendezvous();
    let (twos_tx, twos) = chan::rendezvous();
    let (quit_tx, quit) = chan::rendezvous::<()>();
    go(async move {
        ones_tx.send("one").await.unwrap();
        twos_tx.send("two").await.unwrap();
        ones_tx.send("three").await.unwrap();
        drop(quit_tx); // closes `quit`; then the other two are closed as well
    });

    loop {
        select! {
            // A closed channel yields `None`: that doesn't match, and the arm is out of the game.
            Some(message) = ones.recv() => println!("from ones: {message}"),
            Some(message) = twos.recv() => println!("from twos: {message}"),
            _ = quit.recv() => {
                println!("quit");
                break;
            }
            _ = after(Duration::from_secs(3600)) => {
                println!("nothing for an hour");
                break;
            }
        }
    }
}
