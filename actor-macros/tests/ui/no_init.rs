use actor_core::prelude::*;

pub struct Bank;

#[actor]
impl Bank {
    pub fn deposit(&mut self, cents: u64) -> u64 {
        cents
    }
}

// What was right is generated, so that this is no second error.
pub async fn pay(bank: BankRef) -> Option<u64> {
    bank.deposit(5).await.ok()
}

fn main() {}
