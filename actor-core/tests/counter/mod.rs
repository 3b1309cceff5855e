//! An actor that counts, for the simulation's tests.
#![allow(dead_code, unreachable_pub)]

use actor_core::prelude::*;

#[derive(Debug)]
pub struct Counter {
    value: u64,
}

#[actor]
impl Counter {
    #[init]
    fn new() -> Self {
        Counter { value: 0 }
    }

    pub fn get(&self) -> u64 {
        self.value
    }

    pub fn set(&mut self, value: u64) {
        self.value = value;
    }

    pub fn add(&mut self, by: u64) -> u64 {
        self.value += by;
        self.value
    }
}
