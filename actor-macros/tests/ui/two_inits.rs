use actor_core::prelude::*;

pub struct Bank;

#[actor]
impl Bank {
    #[init]
    fn new() -> Self {
        Bank
    }

    #[init]
    fn from_file(path: String) -> Self {
        drop(path);
        Bank
    }
}

fn main() {}
