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

struct Tally(u64);

#[actor]
impl Tally {
    #[init]
    fn new() -> Self {
        Tally(0)
    }

    pub fn add(&mut self, n: u64) -> u64 {
        self.0 += n;
        self.0
    }
}

/// The request to stop is the former incarnation's: the next one must not find it.
#[actor_core::test]
async fn an_actor_told_to_stop_now_is_itself_again_after_its_restart() {
    let child = Tally::child("tally");
    let tally = child.handle();
    let app = Supervisor::one_for_one("app")
        .child(child)
        .start()
        .await
        .unwrap();
    assert_eq!(tally.add(5).await.unwrap(), 5);
    tally.stop_now().await;
    // It is permanent, so it comes back; until it has, it is stopped.
    let first = loop {
        match tally.add(1).await {
            Ok(sum) => break sum,
            Err(error) => assert!(!app.is_stopped(), "the supervisor gave up: {error}"),
        }
        actor_core::yield_now().await;
    };
    assert_eq!(first, 1, "a new incarnation");
    assert_eq!(tally.add(1).await.unwrap(), 2, "and it goes on");
    app.stop().await;
}
