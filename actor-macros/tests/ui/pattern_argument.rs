use actor_core::prelude::*;

pub struct Bank;

#[actor]
impl Bank {
    #[init]
    fn new() -> Self {
        Bank
    }

    pub fn move_to(&mut self, (x, y): (u8, u8)) -> u8 {
        x + y
    }
}

fn main() {}
