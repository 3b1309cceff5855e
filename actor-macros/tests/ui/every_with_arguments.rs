use actor_core::prelude::*;

pub struct Bank;

#[actor]
impl Bank {
    #[init]
    fn new() -> Self {
        Bank
    }

    #[every(seconds = 1)]
    fn flush(&mut self, deep: bool) {
        let _ = deep;
    }

    #[every(seconds = 1)]
    fn no_state() {}

    #[every(seconds = 1)]
    pub fn both(&mut self, text: &str) {
        let _ = text;
    }
}

fn main() {}
