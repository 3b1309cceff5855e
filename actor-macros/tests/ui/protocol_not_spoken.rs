//! rustc compares an actor's messages with the protocol that it is said to have.
use actor_core::prelude::*;

#[protocol]
trait Bank {
    fn deposit(&mut self, cents: u64) -> u64;
    fn balance(&self) -> u64;
}

struct Teller;

#[actor(protocol = Bank)]
impl Teller {
    #[init]
    fn new() -> Self {
        Teller
    }
    pub fn deposit(&mut self, cents: u32) -> u64 {
        cents.into()
    }
    pub fn close(&mut self) {}
    #[provides(Bank)]
    fn helper(&self) {}
    #[provides]
    pub fn open(&mut self) {}
}

fn main() {}
