use actor_core::prelude::*;

pub struct Bank;

#[actor]
impl Bank {
    #[init]
    fn new() -> Self {
        Bank
    }

    pub fn title(&self) -> &str {
        "bank"
    }

    pub fn all<'a>(&'a mut self) -> Result<Vec<&'a u64>, String> {
        Ok(Vec::new())
    }
}

fn main() {}
