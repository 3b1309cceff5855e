use actor_core::prelude::*;

pub struct Bank;

#[actor(mailbox = buffered(0))]
impl Bank {
    #[init]
    fn new(&self, name: &str) -> u64 {
        let _ = name;
        0
    }

    pub fn a(self, (x, y): (u8, u8), name: &str) -> impl Clone {
        let _ = (x, y, name);
    }

    pub fn right(&mut self, n: u64) -> u64 {
        n
    }

    #[every]
    fn b(&mut self, n: u8) {
        let _ = n;
    }
}

pub async fn ask(bank: &BankRef) -> Option<u64> {
    bank.right(3).await.ok()
}

fn main() {}
