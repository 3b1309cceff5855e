//! What concurrent handlers share must be shareable.
use actor_core::prelude::*;
use std::cell::Cell;

struct Bank(Cell<u64>);

#[actor]
impl Bank {
    #[init]
    fn new() -> Self {
        Bank(Cell::new(0))
    }
    #[concurrent]
    pub async fn look(&self) -> u64 {
        self.0.get()
    }
}

fn main() {}
