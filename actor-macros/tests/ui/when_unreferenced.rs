//! What an actor does without handles has two names.
use actor_core::prelude::*;

struct Bank;
struct Teller;

#[actor(when_unreferenced = restart)]
impl Bank {
    #[init]
    fn new() -> Self {
        Bank
    }
}

#[actor(when_unreferenced = 3)]
impl Teller {
    #[init]
    fn new() -> Self {
        Teller
    }
}

fn main() {}
