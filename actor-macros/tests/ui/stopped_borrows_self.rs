use actor_core::prelude::*;

pub struct Bank;

#[actor]
impl Bank {
    #[init]
    fn new() -> Self {
        Bank
    }

    #[stopped]
    fn close(&mut self, why: StopReason) {
        let _ = why;
    }
}

fn main() {}
