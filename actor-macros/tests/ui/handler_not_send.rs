//! An async handler keeps something over an await that can't go to another thread.

use std::rc::Rc;

use actor_core::prelude::*;

struct Bank;

#[actor]
impl Bank {
    #[init]
    fn new() -> Self {
        Bank
    }

    pub async fn slow(&mut self) -> usize {
        let kept = Rc::new(1);
        yield_now().await;
        *kept
    }
}

fn main() {}
