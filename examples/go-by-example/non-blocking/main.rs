//! Channel operations that don't wait. Go: `select` with `default`.
//!
//! For one operation there are `try_recv` and `try_send`, which also tell "closed" from "not now".
//! For several, `select!` has a `default` arm.
#![forbid(unsafe_code)]

use actor_core::{chan, select};

#[actor_core::main]
async fn main() {
    let (messages_tx, messages) = chan::rendezvous();
    let (_signals_tx, signals) = chan::rendezvous::<bool>();

    match messages.try_recv() {
        Ok(message) => println!("received {message}"),
        Err(_) => println!("no message received"),
    }

    // Nobody is receiving, and the channel has no buffer.
    match messages_tx.try_send("hi") {
        Ok(()) => println!("sent"),
        Err(_) => println!("no message sent"),
    }

    select! {
        Some(message) = messages.recv() => println!("received {message}"),
        Some(signal) = signals.recv() => println!("signal {signal}"),
        default => println!("no activity"),
    }
}
