//! A lost update: every access is locked, and the program is wrong all the same.
//!
//! What differs: a *data race* (two goroutines touch the same memory without a lock) doesn't
//! compile. This is a *race condition*, which no compiler sees: the logic needs two steps to be one.
//! An `.await` between reading and writing is the place to look at; a stress run finds it.
#![forbid(unsafe_code)]

use std::sync::Arc;

use actor_core::sync::{Mutex, WaitGroup};
use actor_core::yield_now;

type Account = Mutex<u64>;

/// Wrong: between the two locks somebody else may pay in, and that payment is overwritten.
async fn pay_in_two_steps(account: Arc<Account>) {
    let cents = *account.lock().await; // the guard is dropped at the end of this line
    yield_now().await; // in real life: a request, a query ..
    *account.lock().await = cents + 1;
}

/// Right: reading and writing are one step, under one guard.
async fn pay_in_one_step(account: Arc<Account>) {
    yield_now().await;
    *account.lock().await += 1;
}

/// A stress run: many goroutines, many rounds, and a look at the sum after each.
async fn loses_updates<F>(pay: impl Fn(Arc<Account>) -> F) -> bool
where
    F: Future<Output = ()> + Send + 'static,
{
    const GOROUTINES: u64 = 8;
    const ROUNDS: u64 = 200;
    for _ in 0..ROUNDS {
        let account = Arc::new(Account::new(0));
        let group = WaitGroup::new();
        for _ in 0..GOROUTINES {
            group.go(pay(account.clone()));
        }
        group.wait().await;
        if *account.lock().await != GOROUTINES {
            return true;
        }
    }
    false
}

#[actor_core::main]
async fn main() {
    println!(
        "two steps, updates lost: {}",
        loses_updates(pay_in_two_steps).await
    );
    println!(
        "one step, updates lost: {}",
        loses_updates(pay_in_one_step).await
    );
}
