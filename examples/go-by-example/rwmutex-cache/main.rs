//! A cache that many may read at once. Go: `sync.RWMutex`.
//!
//! What differs: a reader's guard gives `&T`, so writing under the read lock doesn't compile; and the
//! lock may be held while the value is loaded with `.await`.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use actor_core::sync::{RwLock, WaitGroup};
use actor_core::yield_now;

#[derive(Default)]
struct Cache {
    values: RwLock<HashMap<u32, u32>>,
    loads: AtomicU32,
}

impl Cache {
    async fn get(&self, key: u32) -> u32 {
        if let Some(value) = self.values.read().await.get(&key) {
            return *value;
        }
        let mut values = self.values.write().await;
        // Look again: between the two locks somebody else may have loaded it.
        if let Some(value) = values.get(&key) {
            return *value;
        }
        self.loads.fetch_add(1, Relaxed);
        yield_now().await; // loading
        values.insert(key, key * key);
        key * key
    }
}

#[actor_core::main]
async fn main() {
    let cache = Arc::new(Cache::default());
    let group = WaitGroup::new();
    for _ in 0..8 {
        let cache = cache.clone();
        group.go(async move {
            for key in 0..10 {
                cache.get(key).await;
            }
        });
    }
    group.wait().await;
    println!("9 squared: {}", cache.get(9).await);
    println!("loads: {}", cache.loads.load(Relaxed));

    // Two readers at the same time.
    let _first = cache.values.read().await;
    println!("a second reader: {}", cache.values.try_read().is_some());
    println!("a writer meanwhile: {}", cache.values.try_write().is_some());
}
