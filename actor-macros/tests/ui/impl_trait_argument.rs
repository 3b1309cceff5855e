use actor_core::prelude::*;

pub struct Bank;

#[actor]
impl Bank {
    #[init]
    fn new() -> Self {
        Bank
    }

    pub fn rename(&mut self, name: impl Into<String>) {
        let _: String = name.into();
    }
}

fn main() {}
