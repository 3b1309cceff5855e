//! A mock clones and prints what it is called with.
use actor_core::prelude::*;

pub struct Ticket;

#[protocol(mock)]
pub trait Gate {
    fn pass(&self, ticket: Ticket, times: u64) -> bool;
}

fn main() {}
