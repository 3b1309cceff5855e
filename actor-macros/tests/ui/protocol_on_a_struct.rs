//! A protocol is a trait.
use actor_core::prelude::*;

#[protocol]
struct Bank {
    balance: u64,
}

fn main() {}
