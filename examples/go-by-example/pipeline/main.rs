//! Stages, each a goroutine, joined by channels.
//!
//! What differs: a stage need not close its output, the drop of its sender does. And when the last
//! stage goes away, sends fail backwards through the pipeline and every stage ends: in Go they
//! would be stuck for ever without a `done` channel.
#![forbid(unsafe_code)]

use actor_core::chan::{self, Receiver};
use actor_core::go;

fn generate(numbers: Vec<u64>) -> Receiver<u64> {
    let (tx, out) = chan::rendezvous();
    go(async move {
        for n in numbers {
            if tx.send(n).await.is_err() {
                return; // nobody listens any more
            }
        }
    });
    out
}

fn square(input: Receiver<u64>) -> Receiver<u64> {
    let (tx, out) = chan::rendezvous();
    go(async move {
        while let Some(n) = input.recv().await {
            if tx.send(n * n).await.is_err() {
                return;
            }
        }
    });
    out
}

#[actor_core::main]
async fn main() {
    let out = square(square(generate(vec![2, 3, 4])));
    while let Some(n) = out.recv().await {
        println!("{n}");
    }
}
