use actor_core::prelude::*;

pub struct Bank;

#[actor(mailbox = bounded(5), size = 3, name = "", vis = 3, handle = A::B, name = "bank", fast,)]
impl Bank {
    #[init]
    fn new() -> Self {
        Bank
    }
}

pub struct Twice;

#[actor(mailbox = unbounded, mailbox = rendezvous, name =, handle = TwiceRef more)]
impl Twice {
    #[init(now)]
    fn new() -> Self {
        Twice
    }
}

fn main() {}
