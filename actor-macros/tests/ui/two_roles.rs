use actor_core::prelude::*;

pub struct Bank;

#[actor]
impl Bank {
    #[init]
    fn new() -> Self {
        Bank
    }

    #[stopped]
    #[every(seconds = 1)]
    fn close(self) {}
}

fn main() {}
