use actor_core::prelude::*;

pub struct Bank;
pub struct Silent;
pub struct Other;

#[actor]
impl Bank {
    #[init]
    fn new() -> Vec<Self> {
        vec![Bank]
    }
}

#[actor]
impl Silent {
    #[init]
    fn new() {}
}

#[actor]
impl Other {
    #[init]
    fn new() -> Result<u64, String> {
        Ok(1)
    }
}

fn main() {}
