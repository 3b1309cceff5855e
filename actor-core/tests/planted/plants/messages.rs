//! What messages are promised: none is lost, and each asker gets its own answer.

use std::sync::{Arc, Mutex};

use actor_core::actor::{Batch, CallError};
use actor_core::prelude::*;
use actor_core::sim::{self, Check, TimeUnits};

// ---- a lost message at a restart ----------------------------------------------------------------

/// What was paid in, on paper: it survives the actor.
type Ledger = Arc<Mutex<Vec<u64>>>;

const FORGED: u64 = 12;

struct Till {
    ledger: Ledger,
}

#[actor]
impl Till {
    #[init]
    fn new(ledger: Ledger) -> Self {
        Till { ledger }
    }

    pub fn pay_in(&mut self, slip: u64) {
        assert_ne!(slip, FORGED, "a forged slip");
        self.ledger.lock().unwrap().push(slip);
    }
}

/// A message that crashes its actor costs nobody else's.
pub(super) fn lost_message() -> Check {
    sim::check(|sim| async move {
        let ledger = Ledger::default();
        let till = Till::child("till", ledger.clone());
        let till = sim.supervise(till).await.unwrap();
        let customers: Vec<_> = (0..3)
            .map(|customer| {
                let (till, sim) = (till.clone(), sim.clone());
                go(async move {
                    for slip in customer * 10..customer * 10 + 4 {
                        sleep(u64::from(sim.below(4)).ms()).await;
                        till.pay_in(slip).tell().await.unwrap();
                    }
                })
            })
            .collect();
        for customer in customers {
            customer.await.unwrap();
        }
        sim.settle().await;
        let mut paid_in = ledger.lock().unwrap().clone();
        paid_in.sort_unstable();
        assert_eq!(paid_in, [0, 1, 2, 3, 10, 11, 13, 20, 21, 22, 23]);
    })
}

// ---- an answer meant for another ----------------------------------------------------------------

struct Prices;

#[actor]
impl Prices {
    #[init]
    fn new() -> Self {
        Prices
    }

    /// Looks up all that are asked for in one go.
    #[batch(max = 8)]
    pub fn price(&mut self, articles: &mut Batch<u64, u64>) {
        articles.answer_each(|article| Ok(article * 100));
    }
}

/// Who asks for a price gets the price of what it asked for, or none in time.
pub(super) fn double_reply() -> Check {
    sim::check(|sim| async move {
        let prices = sim.supervise(Prices::child("prices")).await.unwrap();
        sim.faults().stall(&prices, 20.ms());
        let askers: Vec<_> = (0..3)
            .map(|asker| {
                let (prices, sim) = (prices.clone(), sim.clone());
                go(async move {
                    for article in asker * 10..asker * 10 + 3 {
                        sleep(u64::from(sim.below(10)).ms()).await;
                        match prices.price(article).timeout(10.ms()).await {
                            Ok(price) => assert_eq!(price, article * 100),
                            Err(error) => assert_eq!(error, CallError::Timeout),
                        }
                    }
                })
            })
            .collect();
        for asker in askers {
            asker.await.unwrap();
        }
    })
}
