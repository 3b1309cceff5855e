//! Everything that says how a message is queued, with lints that a careful user turns on.
#![deny(warnings, missing_docs, missing_debug_implementations, clippy::pedantic)]

use actor_core::actor::{Batch, Pressure};
use actor_core::prelude::*;

const ROOM: usize = 128;

/// A board.
#[derive(Debug)]
pub struct Board {
    prices: Vec<(String, u64)>,
}

impl Board {
    const KEYS: usize = 3;
}

#[actor(mailbox = buffered(ROOM), overflow = coalesce, high_water = ROOM / 2, low_water = 4)]
impl Board {
    #[init]
    fn new() -> Self {
        Self { prices: Vec::new() }
    }

    /// Sets a price.
    #[coalesce(key = (symbol.len() % Self::KEYS, symbol))]
    pub fn price(&mut self, symbol: String, cents: u64) {
        self.prices.push((symbol, cents));
    }

    /// Shows it.
    #[priority]
    #[coalesce]
    pub async fn refresh(&mut self) {
        yield_now().await;
    }

    /// Takes many at once.
    #[batch(max = ROOM)]
    pub async fn load(&mut self, ctx: &Ctx<Self>, items: &mut Batch<(String, u64), usize, String>) {
        let _ = ctx.id();
        items.answer_each(|(symbol, cents)| {
            self.prices.push((symbol, cents));
            Ok(self.prices.len())
        });
        yield_now().await;
    }

    /// Takes one thing at a time, many at once.
    #[batch]
    #[priority]
    pub fn forget(&mut self, symbols: &mut Batch<String>) {
        for symbol in symbols.iter() {
            self.prices.retain(|(other, _)| other != symbol);
        }
    }

    /// Has no arguments.
    #[batch]
    pub fn ping(&self, pings: &mut Batch<(), usize>) {
        let many = pings.len();
        for ping in pings.drain() {
            ping.answer(many);
        }
    }

    #[high_water]
    fn crowded(change: &Pressure<'_>) {
        change.trace();
    }
}

/// One message only.
#[derive(Debug)]
pub struct Single;

#[actor(overflow = drop_newest)]
impl Single {
    #[init]
    fn new() -> Self {
        Self
    }

    /// Alone.
    #[priority]
    #[batch]
    pub fn only(&mut self, items: &mut Batch<u8>) {
        let _ = items;
    }
}

#[actor_core::main]
async fn main() {
    let board = Board::start().await.expect("it starts");
    board.price("abc".to_owned(), 1).await.expect("it runs");
    assert_eq!(board.load("abc".to_owned(), 2).await, Ok(2));
    board.forget("abc".to_owned()).await.expect("it runs");
    board.refresh().await.expect("it runs");
    assert_eq!(board.ping().await, Ok(1));
    let single = Single::start().await.expect("it starts");
    assert_eq!(single.only(1).await, Ok(()));
}
