use actor_core::prelude::*;

pub struct Bank;

#[actor]
impl Bank {
    #[init]
    fn new() -> Self {
        Bank
    }

    pub fn finish(self) -> u64 {
        7
    }

    pub fn boxed(self: Box<Self>) {}

    pub fn fine(self: &mut Self) {}
}

fn main() {}
