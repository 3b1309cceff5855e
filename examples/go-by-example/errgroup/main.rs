//! Goroutines that stand or fall together: the first error ends the others. Go: x/sync's `errgroup`.
//!
//! What differs: the others need not look at a context. They are dropped at their next `.await`, and
//! none of them outlives the group.
#![forbid(unsafe_code)]

use std::time::Duration;

use actor_core::sleep;
use actor_core::sync::TaskGroup;

async fn fetch(page: u32) -> Result<(), String> {
    match page {
        1 => Ok(()),
        2 => Err(format!("page {page}: not found")),
        _ => {
            sleep(Duration::from_secs(3600)).await; // a slow one
            Ok(())
        }
    }
}

#[actor_core::main]
async fn main() {
    let group = TaskGroup::new();
    for page in 1..=4 {
        // Awaiting `go` waits for a slot, if the group has a limit; not for the task.
        group.go(fetch(page)).await;
    }
    if let Err(error) = group.wait().await {
        println!("pages 1 to 4: {error}");
    }

    let group = TaskGroup::new();
    group.go(fetch(1)).await;
    println!("page 1 alone failed: {}", group.wait().await.is_err());
}
