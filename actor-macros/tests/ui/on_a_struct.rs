use actor_core::prelude::*;

#[actor]
pub struct Bank {
    pub cents: u64,
}

pub fn still_there(bank: Bank) -> u64 {
    bank.cents
}

fn main() {}
