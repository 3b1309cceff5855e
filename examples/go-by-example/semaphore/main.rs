//! No more than a number of goroutines at the same time. Go: a buffered channel, or x/sync's
//! `semaphore.Weighted`.
//!
//! What differs: the place is a guard, given back when it is dropped, also by a panic or an abort.
//! One may take several permits at a time: `acquire(n)`.
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use actor_core::sync::{Semaphore, WaitGroup};
use actor_core::yield_now;

const LIMIT: u32 = 3;

#[derive(Default)]
struct Counts {
    inside: AtomicU32,
    worst: AtomicU32,
    finished: AtomicU32,
}

#[actor_core::main]
async fn main() {
    let places = Arc::new(Semaphore::new(LIMIT as usize));
    let counts = Arc::new(Counts::default());
    let group = WaitGroup::new();
    for _ in 0..20 {
        let (places, counts) = (places.clone(), counts.clone());
        group.go(async move {
            let _place = places.acquire(1).await.unwrap();

            let now = counts.inside.fetch_add(1, Relaxed) + 1;
            counts.worst.fetch_max(now, Relaxed);
            yield_now().await;
            counts.inside.fetch_sub(1, Relaxed);
            counts.finished.fetch_add(1, Relaxed);
        });
    }
    group.wait().await;
    println!("finished: {}", counts.finished.load(Relaxed));
    println!(
        "never more than three: {}",
        counts.worst.load(Relaxed) <= LIMIT
    );

    // Not waiting for a place.
    let _all = places.acquire(LIMIT as usize).await.unwrap();
    match places.try_acquire(1) {
        Ok(_place) => println!("got a place"),
        Err(_) => println!("no place free"),
    }
}
