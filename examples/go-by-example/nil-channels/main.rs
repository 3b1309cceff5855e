//! Switching an arm of a `select!` off. Go: setting the channel to nil.
//!
//! What differs: it is needed less often. An outcome that doesn't match the arm's pattern switches
//! the arm off for this `select!`, and `else` says what to do when all are off. For a switch that
//! lasts, there is `Receiver::never()`, on which every receive waits for ever.
#![forbid(unsafe_code)]

use actor_core::chan::{self, Receiver};
use actor_core::{go, select};

fn count(from: u32, to: u32) -> Receiver<u32> {
    let (tx, rx) = chan::rendezvous();
    go(async move {
        for n in from..=to {
            tx.send(n).await.unwrap();
        }
    });
    rx
}

#[actor_core::main]
async fn main() {
    let mut small = count(1, 3);
    let mut large = count(100, 102);
    let mut sum = 0;
    while !(small.is_never() && large.is_never()) {
        select! {
            n = small.recv() => match n {
                Some(n) => sum += n,
                None => small = Receiver::never(), // a closed channel is always ready
            },
            n = large.recv() => match n {
                Some(n) => sum += n,
                None => large = Receiver::never(),
            },
        }
    }
    println!("sum: {sum}");
}
