//! The documented shape, with lints that a careful user turns on.
#![deny(warnings, missing_docs, missing_debug_implementations, clippy::pedantic)]

use actor_core::prelude::*;

/// A bank.
#[derive(Debug)]
pub struct Bank {
    cents: u64,
}

/// Not enough.
#[derive(Debug)]
pub struct Poor;

impl std::fmt::Display for Poor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("not enough")
    }
}

#[actor(mailbox = buffered(256), name = "bank")]
impl Bank {
    #[init]
    async fn open(cents: u64, ctx: &Ctx<Self>) -> Result<Self, Poor> {
        if ctx.incarnation() == 1 { Ok(Self { cents }) } else { Err(Poor) }
    }

    /// Takes some.
    pub async fn withdraw(&mut self, cents: u64) -> Result<u64, Poor> {
        self.cents = self.cents.checked_sub(cents).ok_or(Poor)?;
        Ok(self.cents)
    }

    /// Says how much is left.
    pub fn balance(&self) -> u64 {
        self.cents
    }

    #[every(minutes = 1)]
    fn interest(&mut self) {
        self.cents += self.cents / 100;
    }

    #[stopped]
    fn close(self, why: StopReason) {
        println!("{why:?}: {} left", self.cents);
    }
}

/// Uses the handle.
pub async fn rob(bank: &BankRef) -> Option<u64> {
    let all = bank.balance().await.ok()?;
    bank.withdraw(all).await.ok()
}

fn main() {}
