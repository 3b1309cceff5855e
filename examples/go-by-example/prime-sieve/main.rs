//! A chain of goroutines, each of which filters the multiples of one prime.
//!
//! What differs: Go's goroutines here never end. Ours do: when `main` drops the last receiver, a
//! send fails, that filter returns and drops its own receiver, and so on up to the generator.
#![forbid(unsafe_code)]

use actor_core::chan::{self, Receiver, Sender};
use actor_core::go;

async fn generate(out: Sender<u64>) {
    for n in 2.. {
        if out.send(n).await.is_err() {
            return;
        }
    }
}

async fn filter(input: Receiver<u64>, out: Sender<u64>, prime: u64) {
    while let Some(n) = input.recv().await {
        if n % prime != 0 && out.send(n).await.is_err() {
            return;
        }
    }
}

#[actor_core::main]
async fn main() {
    let (tx, mut numbers) = chan::rendezvous();
    go(generate(tx));
    for _ in 0..10 {
        let prime = numbers.recv().await.unwrap();
        println!("{prime}");
        let (tx, filtered) = chan::rendezvous();
        go(filter(numbers, tx, prime));
        numbers = filtered;
    }
}
