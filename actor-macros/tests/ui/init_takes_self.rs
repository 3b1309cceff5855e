use actor_core::prelude::*;

pub struct Bank;

#[actor]
impl Bank {
    #[init]
    fn reopen(&mut self) -> Self {
        Bank
    }
}

fn main() {}
