//! A panic in a goroutine is the business of whoever awaits its handle.
//!
//! What differs: Go ends the program unless the goroutine itself recovers. Here the panic stops at
//! the goroutine's boundary and comes out of the handle as an error, with its text.
#![forbid(unsafe_code)]

use actor_core::go;

fn divide(a: i32, b: i32) -> i32 {
    assert!(b != 0, "b must not be {b}");
    a / b
}

#[actor_core::main]
async fn main() {
    for b in [4, 0] {
        match go(async move { divide(12, b) }).await {
            Ok(result) => println!("12 / {b} = {result}"),
            Err(error) => println!("{error}"),
        }
    }
    println!("main goes on");
}
