//! A counter that many goroutines add to without a lock. Go: `sync/atomic`.
//!
//! What differs: a plain `u64` in its place doesn't compile, so the mistake that Go's race detector
//! finds at run time cannot be made. The atomics are those of Rust's standard library.
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use actor_core::sync::WaitGroup;

#[actor_core::main]
async fn main() {
    let ops = Arc::new(AtomicU64::new(0));
    let group = WaitGroup::new();
    for _ in 0..50 {
        let ops = ops.clone();
        group.go(async move {
            for _ in 0..1000 {
                // Relaxed is enough for a count: `wait` makes all additions visible.
                ops.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    group.wait().await;
    println!("ops: {}", ops.load(Ordering::Relaxed));
}
