//! Waiting for many goroutines. Go: `sync.WaitGroup`.
//!
//! What differs: clones of a `WaitGroup` are the same group, so it is passed by value without the
//! mistake that copying Go's is. `go` counts the goroutine until it has ended, even by a panic.
#![forbid(unsafe_code)]

use std::sync::Arc;

use actor_core::go;
use actor_core::sync::{Mutex, WaitGroup};

#[actor_core::main]
async fn main() {
    let group = WaitGroup::new();
    let finished = Arc::new(Mutex::new(0));
    for _ in 0..5 {
        let finished = finished.clone();
        group.go(async move { *finished.lock().await += 1 });
    }
    group.wait().await;
    println!("finished: {}", finished.lock().await);

    // By hand: announce before starting, and say when it is done.
    group.add(1);
    let of_the_goroutine = group.clone();
    go(async move {
        println!("one more");
        of_the_goroutine.done();
    });
    group.wait().await;
    println!("all done");
}
