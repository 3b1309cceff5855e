//! What an actor does without handles has two names.
use actor_core::prelude::*;

struct Bank;

#[actor(when_unreferenced = restart)]
impl Bank {
    #[init]
    fn new() -> Self {
        Bank
    }
}

#[actor(when_unreferenced = 3)]
impl Bank {
    #[init]
    fn new() -> Self {
        Bank
    }
}

fn main() {}
