//! A protocol is a plain trait of messages as a caller sees them.
use actor_core::prelude::*;

#[protocol]
pub trait Bank {
    const LIMIT: u64;
    type Money;
    fn body(&self) -> u64 {
        1
    }
    fn borrows(&self, name: &str) -> &str;
    fn generic<T>(&self, what: T);
    fn opaque(&self, what: impl Into<String>);
    fn no_receiver(n: u64);
    fn by_value(self);
    fn context(&self, ctx: &Ctx<Teller>);
    fn later(&self, reply: Reply<u64>);
    fn other(&self, like: Self) -> Option<Self>;
    fn new(&self);
    fn right(&self, n: u64) -> u64;
}

struct Teller;

fn right(bank: &BankRef) {
    let _ = bank.right(1).tell();
}

fn main() {}
