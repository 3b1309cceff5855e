//! Several goroutines share the work of a stage; their results meet in one channel.
//!
//! What differs: no `merge` and no goroutine that waits and closes. Fan-out is a clone of the
//! receiver, fan-in a clone of the sender; the channel closes itself after the last one.
#![forbid(unsafe_code)]

use actor_core::chan::{self, Receiver};
use actor_core::go;

fn generate(n: u64) -> Receiver<u64> {
    let (tx, out) = chan::rendezvous();
    go(async move {
        for i in 1..=n {
            tx.send(i).await.unwrap();
        }
    });
    out
}

fn square(input: Receiver<u64>, workers: usize) -> Receiver<u64> {
    let (tx, out) = chan::rendezvous();
    for _ in 0..workers {
        let (input, tx) = (input.clone(), tx.clone());
        go(async move {
            while let Some(n) = input.recv().await {
                tx.send(n * n).await.unwrap();
            }
        });
    }
    out // our own `tx` is dropped here
}

#[actor_core::main]
async fn main() {
    let squares = square(generate(100), 3);
    let mut sum = 0;
    while let Some(n) = squares.recv().await {
        sum += n;
    }
    println!("sum of squares: {sum}");
}
