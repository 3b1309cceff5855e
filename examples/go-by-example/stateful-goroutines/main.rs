//! State that one goroutine owns; the others ask it through a channel.
//!
//! What differs: an `enum` is one channel for all kinds of requests, in the order they were sent.
//! This pattern is what `#[actor]` writes for you, with typed methods instead of the enum.
#![forbid(unsafe_code)]

use std::collections::HashMap;

use actor_core::chan::{self, Receiver, Sender};
use actor_core::go;
use actor_core::sync::WaitGroup;

enum Op {
    Read {
        key: &'static str,
        reply: Sender<u32>,
    },
    Add {
        key: &'static str,
        value: u32,
        reply: Sender<()>,
    },
}

async fn own(ops: Receiver<Op>) {
    let mut state = HashMap::new();
    while let Some(op) = ops.recv().await {
        // An asker that went away does not want the reply: that error is its own affair.
        match op {
            Op::Read { key, reply } => {
                let value = state.get(key).copied().unwrap_or_default();
                let _ = reply.send(value).await;
            }
            Op::Add { key, value, reply } => {
                *state.entry(key).or_default() += value;
                let _ = reply.send(()).await;
            }
        }
    }
}

#[actor_core::main]
async fn main() {
    let (ops, ops_rx) = chan::rendezvous();
    go(own(ops_rx));

    let group = WaitGroup::new();
    for value in 1..=10 {
        let ops = ops.clone();
        group.go(async move {
            let (reply, done) = chan::buffered(1);
            let key = "sum";
            ops.send(Op::Add { key, value, reply }).await.unwrap();
            done.recv().await.unwrap();
        });
    }
    group.wait().await;

    let (reply, sum) = chan::buffered(1);
    ops.send(Op::Read { key: "sum", reply }).await.unwrap();
    println!("sum: {}", sum.recv().await.unwrap());
}
