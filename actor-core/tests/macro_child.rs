//! What `Bank::child` promises: a handle before the start, and fresh arguments at every restart.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use actor_core::prelude::*;

struct Counter {
    n: u64,
}

#[actor(name = "counter")]
impl Counter {
    #[init]
    async fn new(id: String, first: Vec<u64>, starts: Arc<AtomicU32>) -> Self {
        assert_eq!(id, "the argument, not the child's id");
        starts.fetch_add(1, Ordering::SeqCst);
        Counter {
            n: first.into_iter().sum(),
        }
    }

    pub fn add(&mut self, n: u64) -> u64 {
        self.n += n;
        self.n
    }

    pub fn crash(&mut self) {
        panic!("asked to");
    }
}

#[actor_core::test]
async fn the_handle_and_the_arguments_survive_a_restart() {
    let starts = Arc::new(AtomicU32::new(0));
    let argument = "the argument, not the child's id".to_owned();
    let child = Counter::child("c1", argument, vec![20, 20], Arc::clone(&starts));
    let counter: CounterRef = child.handle();
    let app = Supervisor::one_for_one("app")
        .child(child)
        .start()
        .await
        .expect("it starts");
    assert_eq!(counter.name(), "c1");
    assert_eq!(counter.add(2).await, Ok(42));
    assert_eq!(counter.crash().await, Err(CallError::Panicked));
    assert_eq!(
        counter.add(1).await,
        Ok(41),
        "the same handle, made anew from the same arguments"
    );
    assert_eq!(starts.load(Ordering::SeqCst), 2);
    app.stop().await;
    assert_eq!(counter.add(1).await, Err(CallError::Stopped));
}
