//! An answer has the method's own signature.
use actor_core::prelude::*;

#[protocol(mock)]
pub trait Bank {
    fn deposit(&self, who: u64, cents: u64) -> Result<u64, String>;
    fn balance(&self, who: u64) -> u64;
}

fn main() {
    let _ = MockBank::new().on_deposit(|who| Ok(who));
    let _ = MockBank::new().on_balance(|_| Ok(1));
    let _ = MockBank::new().on_withdraw(|_, _| Ok(1));
}
