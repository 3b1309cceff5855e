use actor_core::prelude::*;

pub struct Bank;

#[actor]
impl Bank {
    #[init]
    fn new() -> Self {
        Bank
    }

    #[stopped]
    fn close(self) {}

    #[stopped]
    async fn also_close(self) {}
}

fn main() {}
