//! What `#[protocol]` takes in its parentheses, and what a mock can't be.
use actor_core::prelude::*;

#[protocol(mocked, mock, mock = Fake, fake)]
pub trait Twice {
    fn get(&self) -> u64;
}

#[protocol(mock = "FakeBank", handle)]
pub trait Named {
    fn get(&self) -> u64;
}

#[protocol(mock)]
pub trait Part: std::fmt::Display {
    fn get(&self) -> u64;
}

fn main() {}
