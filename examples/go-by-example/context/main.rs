//! Ending work on somebody's behalf: by a cancellation, or at a deadline. Go: `context`.
//!
//! What differs: dropping the `Cancel` cancels, so no `defer cancel()` can be forgotten; a value's
//! key is its type; and `run` bounds any future, which need not know of contexts.
#![forbid(unsafe_code)]

use std::time::Duration;

use actor_core::sync::ContextError;
use actor_core::{Context, go, sleep};

async fn work(context: Context) -> &'static str {
    // Or, among other arms of a `select!`: `_ = context.done() => ..`
    match context.run(sleep(Duration::from_secs(3600))).await {
        Ok(()) => "finished",
        Err(ContextError::DeadlineExceeded) => "deadline exceeded",
        Err(_) => "canceled",
    }
}

struct User(&'static str);

#[actor_core::main]
async fn main() {
    let (request, cancel) = Context::background().with_cancel();
    let query = request.with_timeout(Duration::from_secs(3600));
    let result = go(work(query));
    cancel.cancel(); // the parent ends, and its children with it
    println!("query: {}", result.await.unwrap());

    let quick = Context::background().with_timeout(Duration::from_millis(1));
    println!("quick: {}", work(quick).await);

    // The cause is kept.
    let (caused, cancel) = Context::background().with_cancel();
    cancel.cancel_cause("the client hung up");
    println!("cause: {}", caused.cause().unwrap());

    // Values go down with it.
    let ann = Context::background().with_value(User("ann"));
    let (child, _cancel) = ann.with_cancel();
    println!("user: {}", child.value::<User>().unwrap().0);
}
