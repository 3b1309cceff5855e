use actor_core::prelude::*;

pub struct Bank;

#[actor(mailbox = buffered(0))]
impl Bank {
    #[init]
    fn new() -> Self {
        Bank
    }
}

pub struct Unsized;

#[actor(mailbox = buffered)]
impl Unsized {
    #[init]
    fn new() -> Self {
        Unsized
    }
}

fn main() {}
