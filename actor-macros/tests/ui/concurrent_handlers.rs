//! Concurrent handlers are async messages that share the state.
use actor_core::prelude::*;

struct Bank;

#[actor]
impl Bank {
    #[init]
    fn new() -> Self {
        Bank
    }
    #[concurrent]
    pub async fn exclusive(&mut self) {}
    #[concurrent]
    pub async fn exclusive_typed(self: &mut Self) {}
    #[concurrent]
    async fn private(&self) {}
    #[concurrent(max = 0)]
    pub async fn never(&self) {}
    #[concurrent(limit = 3)]
    pub async fn limit(&self) {}
    #[concurrent = 3]
    pub async fn value(&self) {}
    #[concurrent]
    #[every(seconds = 1)]
    pub async fn tick(&self) {}
}

fn main() {}
