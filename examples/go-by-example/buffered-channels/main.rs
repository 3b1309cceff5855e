//! A buffered channel takes a number of values before anybody receives them. Go: `make(chan T, n)`.
//!
//! What differs: `try_send` gives the value back when there is no room, so it is not lost.
#![forbid(unsafe_code)]

use actor_core::chan;

#[actor_core::main]
async fn main() {
    let (tx, rx) = chan::buffered(2);
    tx.send("buffered").await.unwrap();
    tx.send("channel").await.unwrap();
    println!("holds {} of {}", tx.len(), tx.capacity());

    // A third `send(..).await` would wait for room. This one doesn't wait.
    match tx.try_send("too many") {
        Ok(()) => println!("sent"),
        Err(error) if error.is_full() => println!("full"),
        Err(_) => println!("closed"),
    }

    println!("{}", rx.recv().await.unwrap());
    println!("{}", rx.recv().await.unwrap());
    println!("holds {} of {}", rx.len(), rx.capacity());
}
