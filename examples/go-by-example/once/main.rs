//! Doing something once, whoever comes first. Go: `sync.Once`, `sync.OnceValue`.
//!
//! What differs: the action may await. While it does, the others wait without blocking a thread;
//! and if its goroutine is cancelled half-way, the next caller takes over.
#![forbid(unsafe_code)]

use std::sync::Arc;

use actor_core::sync::{Once, OnceValue, WaitGroup};

#[actor_core::main]
async fn main() {
    let once = Arc::new(Once::new());
    let group = WaitGroup::new();
    for _ in 0..10 {
        let once = once.clone();
        group.go(async move {
            once.do_once(async || println!("initialised")).await;
        });
    }
    group.wait().await;

    // A value that is made by whoever needs it first.
    let config = OnceValue::new(async || {
        println!("reading the configuration");
        8080
    });
    println!("port {}", config.get().await);
    println!("port {}", config.get().await);
}
