use actor_core::prelude::*;

pub struct Bank;

#[actor]
impl Bank {
    #[init]
    fn new() -> Self {
        Bank
    }

    pub fn get_a(&mut self) {}

    #[allow(non_snake_case)]
    pub fn getA(&mut self) {}
}

fn main() {}
