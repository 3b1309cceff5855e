//! A lock around a map that several goroutines change. Go: `sync.Mutex`.
//!
//! What differs: the lock holds its value, so the map cannot be reached without locking, and the
//! guard unlocks when it goes out of scope, so unlocking cannot be forgotten.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::sync::Arc;

use actor_core::sync::{Mutex, WaitGroup};

#[derive(Default)]
struct Container {
    counters: Mutex<HashMap<&'static str, u32>>,
}

impl Container {
    async fn inc(&self, name: &'static str) {
        *self.counters.lock().await.entry(name).or_default() += 1;
    }
}

#[actor_core::main]
async fn main() {
    let container = Arc::new(Container::default());
    let group = WaitGroup::new();
    for name in ["a", "a", "b"] {
        let container = container.clone();
        group.go(async move {
            for _ in 0..1000 {
                container.inc(name).await;
            }
        });
    }
    group.wait().await;
    let counters = container.counters.lock().await;
    println!("a: {}", counters["a"]);
    println!("b: {}", counters["b"]);
}
