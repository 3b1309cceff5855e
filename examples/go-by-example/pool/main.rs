//! Using buffers again instead of making new ones. Go: `sync.Pool`.
//!
//! What differs: an item is typed, comes back by itself when its guard is dropped, and is reset by
//! the pool, so nobody forgets to. The pool keeps a bounded number; no collector empties it.
#![forbid(unsafe_code)]

use std::fmt::Write;

use actor_core::go;
use actor_core::sync::Pool;

fn line(buffers: &Pool<String>, n: usize) -> String {
    let mut buffer = buffers.get();
    write!(buffer, "line {n}").expect("a String takes everything");
    buffer.clone()
}

#[actor_core::main]
async fn main() {
    // Clones are the same pool.
    let buffers = Pool::with_reset(String::new, String::clear);
    let lines: Vec<_> = (0..5)
        .map(|n| {
            let buffers = buffers.clone();
            go(async move { line(&buffers, n) })
        })
        .collect();
    for line in lines {
        println!("{}", line.await.unwrap());
    }
}
