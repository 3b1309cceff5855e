//! A goroutine is a piece of work that runs beside its caller. Go: `go f()`.
//!
//! What differs: a goroutine returns a value. `go` gives a handle; awaiting it waits for the
//! goroutine and yields what it returned, so no shared slice and no `WaitGroup` are needed.
#![forbid(unsafe_code)]

use actor_core::go;

async fn greet(name: &str) -> String {
    format!("hello {name}")
}

#[actor_core::main]
async fn main() {
    println!("{}", greet("directly").await);

    // All three are started before the first is awaited: that is what makes them run side by side.
    let greetings: Vec<_> = ["ann", "bob", "cid"]
        .into_iter()
        .map(|name| go(greet(name)))
        .collect();
    for greeting in greetings {
        println!("{}", greeting.await.unwrap());
    }

    // Go's `go func() { .. }()`. `async move` would move what the block uses into it.
    let anonymous = go(async { println!("an anonymous goroutine") });
    anonymous.await.unwrap();
    println!("done");
}
