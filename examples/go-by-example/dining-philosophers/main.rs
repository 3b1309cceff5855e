//! Five philosophers, five forks, and each needs two. How a deadlock is told, and how to prevent it.
//!
//! What differs: Go ends the process once *all* goroutines sleep. Here a circle of locks is found by
//! the one who closes it, while others run on: it panics with a report that names everybody in the
//! circle, and lets go of its fork. (The report is on stderr.)
#![forbid(unsafe_code)]

use std::sync::Arc;

use actor_core::sync::{Barrier, Mutex};
use actor_core::{DeadlockPolicy, JoinError, JoinHandle, Runtime, go_named};

type Fork = Arc<Mutex<()>>;

const NAMES: [&str; 5] = ["Plato", "Kant", "Hume", "Marx", "Mill"];

fn forks() -> [Fork; 5] {
    std::array::from_fn(|_| Fork::default())
}

/// Everybody takes the fork on the left, and then waits for the one on the right: for ever.
fn naive() -> Vec<JoinHandle<()>> {
    let (forks, seated) = (forks(), Arc::new(Barrier::new(NAMES.len())));
    let dine = |seat: usize| {
        let (left, right) = (forks[seat].clone(), forks[(seat + 1) % 5].clone());
        let seated = seated.clone();
        // The name is for the report.
        go_named(NAMES[seat], async move {
            let _left = left.lock().await;
            seated.wait().await; // all have one fork
            let _right = right.lock().await;
        })
    };
    (0..5).map(dine).collect()
}

/// Everybody takes the fork with the lower number first: no circle can close.
fn ordered() -> Vec<JoinHandle<u32>> {
    let forks = forks();
    let dine = |seat: usize| {
        let next = (seat + 1) % 5;
        let low = forks[seat.min(next)].clone();
        let high = forks[seat.max(next)].clone();
        go_named(NAMES[seat], async move {
            let mut meals = 0;
            for _ in 0..3 {
                let _low = low.lock().await;
                let _high = high.lock().await;
                meals += 1;
            }
            meals
        })
    };
    (0..5).map(dine).collect()
}

async fn outcomes<T>(dinner: Vec<JoinHandle<T>>) -> Vec<Result<T, JoinError>> {
    let mut outcomes = Vec::new();
    for philosopher in dinner {
        outcomes.push(philosopher.await);
    }
    outcomes
}

fn main() {
    // `Panic` also in a release build, where the default is to log the report.
    let runtime = Runtime::builder().on_deadlock(DeadlockPolicy::Panic);
    runtime.build().unwrap().run(async {
        let errors = outcomes(naive()).await.into_iter().filter_map(Result::err);
        let reports: Vec<_> = errors.map(|error| error.to_string()).collect();
        println!(
            "naive: deadlock: {}",
            reports[0].starts_with("the goroutine panicked: deadlock")
        );
        println!(
            "philosophers in the report: {}",
            reports[0].matches("waits for").count()
        );

        let meals = outcomes(ordered()).await.into_iter().flatten().sum::<u32>();
        println!("ordered: meals: {meals}");
    });
}
