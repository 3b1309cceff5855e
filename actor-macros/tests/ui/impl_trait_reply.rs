use actor_core::prelude::*;

pub struct Bank;

#[actor]
impl Bank {
    #[init]
    fn new() -> Self {
        Bank
    }

    pub fn all(&mut self) -> impl Iterator<Item = u64> {
        0..3
    }

    pub fn later(&mut self) -> impl Future<Output = u64> {
        async { 3 }
    }

    pub fn never(&mut self) -> ! {
        loop {}
    }
}

fn main() {}
