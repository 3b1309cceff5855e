//! A handler that takes its reply answers through it, once, and says with what.
use actor_core::prelude::*;

struct Bank;

#[actor]
impl Bank {
    #[init]
    fn new(_reply: Reply<u64>) -> Self {
        Bank
    }
    pub fn returns(&mut self, reply: Reply<u64>) -> u64 {
        drop(reply);
        1
    }
    pub fn twice(&mut self, one: Reply<u64>, two: Reply<u64>) {}
    pub fn with_what(&mut self, reply: Reply) {}
    pub fn borrowed(&mut self, reply: Reply<&str>) {}
    #[every(seconds = 1)]
    fn tick(&mut self, reply: Reply<()>) {}
}

fn main() {}
