use actor_core::prelude::*;

pub struct Bank;

#[actor]
impl Bank {
    #[init]
    fn new() -> Self {
        Bank
    }

    pub unsafe fn poke(&mut self, at: usize) {
        let _ = at;
    }

    pub extern "C" fn called(&mut self) {}

    pub const fn size(&self) -> usize {
        3
    }
}

fn main() {}
