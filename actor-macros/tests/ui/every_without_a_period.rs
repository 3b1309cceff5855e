use actor_core::prelude::*;

pub struct Bank;

#[actor]
impl Bank {
    #[init]
    fn new() -> Self {
        Bank
    }

    #[every]
    fn a(&mut self) {}

    #[every(seconds = 0)]
    fn b(&mut self) {}

    #[every(seconds = 1, millis = 500)]
    fn c(&mut self) {}

    #[every(days = 1)]
    fn d(&mut self) {}

    #[every(seconds = 0.5)]
    fn e(&mut self) {}

    #[every(60)]
    fn f(&mut self) {}

    #[every(minutes = 18446744073709551615)]
    fn g(&mut self) {}
}

fn main() {}
