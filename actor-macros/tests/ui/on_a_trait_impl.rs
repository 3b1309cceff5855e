use actor_core::prelude::*;

pub struct Bank;

#[actor]
impl Clone for Bank {
    fn clone(&self) -> Self {
        Bank
    }
}

fn main() {}
