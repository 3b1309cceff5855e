use actor_core::prelude::*;

pub struct Bank;

#[actor]
impl Bank {
    #[init]
    fn new() -> Self {
        Bank
    }

    pub fn stop(&mut self) {}

    pub fn id(&self) -> u64 {
        1
    }

    pub fn clone(&self) -> Self {
        Bank
    }

    fn start(&mut self) {}
}

fn main() {}
