//! Times in `#[actor(..)]` that are none.
use actor_core::actor;

struct Bank;

#[actor(handler_limit = 5, wedged_after = hours(1))]
impl Bank {
    #[init]
    fn new() -> Self {
        Bank
    }
}

struct Shop;

#[actor(handler_limit = seconds(0), wedged_after = seconds(1.5))]
impl Shop {
    #[init]
    fn new() -> Self {
        Shop
    }
}

fn main() {}
