use actor_core::prelude::*;

pub struct Bank;

#[actor]
impl Bank {
    #[init]
    fn new() -> Self {
        Bank
    }

    #[stopped]
    fn close(self, why: StopReason, deadline: u64) {
        let _ = (why, deadline);
    }
}

fn main() {}
