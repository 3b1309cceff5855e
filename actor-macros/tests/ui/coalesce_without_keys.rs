use actor_core::prelude::*;

pub struct Board;

#[actor(overflow = coalesce)]
impl Board {
    #[init]
    fn new() -> Self {
        Board
    }

    pub fn price(&mut self, cents: u64) {
        let _ = cents;
    }
}

pub struct Waits;

#[actor]
impl Waits {
    #[init]
    fn new() -> Self {
        Waits
    }

    #[coalesce(key = symbol)]
    pub fn price(&mut self, symbol: u32, cents: u64) {
        let _ = (symbol, cents);
    }

    #[coalesce(by = symbol)]
    pub fn volume(&mut self, symbol: u32) {
        let _ = symbol;
    }

    #[priority]
    fn not_a_message(&mut self) {}

    #[priority(high)]
    pub fn twice(&mut self) {}
}

pub struct NoQueue;

#[actor(mailbox = rendezvous, overflow = wait)]
impl NoQueue {
    #[init]
    fn new() -> Self {
        NoQueue
    }

    #[coalesce]
    pub fn refresh(&mut self) {}
}

/// Where a call says so.
pub struct ByCall;

#[actor(overflow = wait)]
impl ByCall {
    #[init]
    fn new() -> Self {
        ByCall
    }

    #[coalesce]
    pub fn refresh(&mut self) {}
}

fn main() {}
