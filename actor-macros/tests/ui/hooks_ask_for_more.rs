//! Hooks that are told one thing, asking for more, or for a `self` that isn't there.
use actor_core::actor;
use actor_core::actor::{Down, ExitReason, Exited};

struct Bank;

#[actor]
impl Bank {
    #[init]
    fn new() -> Self {
        Bank
    }

    #[down]
    fn gone(&mut self, down: Down, again: Down) {
        drop((down, again));
    }

    #[exit]
    fn left(self, exited: Exited) {
        drop(exited);
    }

    #[restarting]
    fn recover(&mut self, why: ExitReason) {
        drop(why);
    }
}

fn main() {}
