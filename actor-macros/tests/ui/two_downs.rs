//! Two `#[down]` methods, and an `#[exit]` that answers.
use actor_core::actor;
use actor_core::actor::{Down, Exited};

struct Bank;

#[actor]
impl Bank {
    #[init]
    fn new() -> Self {
        Bank
    }

    #[down]
    fn gone(&mut self, _down: Down) {}

    #[down]
    fn gone_too(&mut self, _down: Down) {}

    #[exit(trap)]
    fn left(&mut self, _exited: Exited) -> bool {
        true
    }
}

fn main() {}
