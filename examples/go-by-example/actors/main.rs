//! An account as an actor: state with methods that anybody may call, one at a time.
//!
//! What differs: `#[actor]` writes the channel, the messages and the loop, so what is left are the
//! methods. An error is the caller's, with its type; the account goes on.
#![forbid(unsafe_code)]

use actor_core::prelude::*;
use actor_core::sync::WaitGroup;

struct Account {
    cents: u64,
}

#[actor]
impl Account {
    #[init]
    fn open(cents: u64) -> Self {
        Account { cents }
    }

    pub fn deposit(&mut self, cents: u64) {
        self.cents += cents;
    }

    pub fn withdraw(&mut self, cents: u64) -> Result<(), String> {
        let left = self.cents.checked_sub(cents);
        self.cents = left.ok_or_else(|| format!("only {} left", self.cents))?;
        Ok(())
    }

    pub fn balance(&self) -> u64 {
        self.cents
    }
}

#[actor_core::main]
async fn main() {
    let account = Account::open_and_fill().await;
    println!("balance: {}", account.balance().await.unwrap());

    match account.withdraw(100).await {
        Ok(()) => println!("withdrawn"),
        Err(error) => println!("withdraw: {error}"),
    }
    account.withdraw(50).await.unwrap();
    println!("balance: {}", account.balance().await.unwrap());

    account.stop().await;
    match account.balance().await {
        Ok(cents) => println!("balance: {cents}"),
        Err(error) => println!("balance: {error}"),
    }
}

impl Account {
    /// Ten goroutines fill it at the same time.
    async fn open_and_fill() -> AccountRef {
        let account = Account::start(0).await.unwrap();
        let group = WaitGroup::new();
        for cents in 1..=10 {
            let account = account.clone();
            group.go(async move { account.deposit(cents).await.unwrap() });
        }
        group.wait().await;
        account
    }
}
