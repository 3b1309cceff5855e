//! Waiting for what can't happen: "all goroutines are asleep - deadlock!"
//!
//! What differs: `block_on` panics instead of ending the process, so a test can catch it and the rest
//! of the program may go on; and the report says of each goroutine who holds what it waits for.
#![forbid(unsafe_code)]

use std::panic::catch_unwind;

use actor_core::{DeadlockPolicy, Runtime, chan};

fn main() {
    let builder = Runtime::builder().on_deadlock(DeadlockPolicy::Panic);
    let runtime = builder.build().unwrap();
    let panic = catch_unwind(|| {
        runtime.block_on(async {
            let (_tx, never) = chan::rendezvous::<u32>();
            never.recv().await // nobody sends: the only sender is ours
        })
    })
    .unwrap_err();
    let report = panic.downcast_ref::<String>().unwrap();
    println!("{}", report.lines().next().unwrap());
    println!(
        "says what it waits for: {}",
        report.contains("[chan receive")
    );
}
