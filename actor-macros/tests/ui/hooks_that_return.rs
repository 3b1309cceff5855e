use actor_core::prelude::*;

pub struct Bank;

#[actor]
impl Bank {
    #[init]
    fn new() -> Self {
        Bank
    }

    #[stopped]
    fn close(self) -> Result<(), String> {
        Ok(())
    }

    #[every(seconds = 1)]
    fn flush(&mut self) -> u64 {
        1
    }
}

fn main() {}
