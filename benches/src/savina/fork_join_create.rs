//! Fork-join create: start many actors, give each one message, wait until all have ended. An operation
//! is one actor's life. Checked: the sum of what they were told.

use super::{Benchmark, on_ours, on_tokio};

pub(super) const BENCHMARK: Benchmark = Benchmark {
    name: "fork-join create",
    operation: "actor",
    ops: 40_000,
    run: [
        |ops| on_ours(ours::run, ops),
        |ops| on_tokio(tokio_actor::run, ops),
        |ops| on_tokio(kameo::run, ops),
    ],
};

/// What all of them together were told.
fn sum_of_all(ops: u64) -> u64 {
    (0..ops).sum()
}

mod ours {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::{Duration, Instant};

    use actor_core::prelude::*;

    use super::sum_of_all;

    struct Worker {
        sum: Arc<AtomicU64>,
    }

    #[actor(vis = pub(self))]
    impl Worker {
        #[init]
        fn new(sum: Arc<AtomicU64>) -> Self {
            Worker { sum }
        }

        pub(crate) fn work(&mut self, n: u64, ctx: &Ctx<Self>) {
            self.sum.fetch_add(n, Ordering::Relaxed);
            ctx.stop();
        }
    }

    pub(super) async fn run(ops: u64) -> Duration {
        let sum = Arc::new(AtomicU64::new(0));
        let mut workers = Vec::new();
        let start = Instant::now();
        for n in 0..ops {
            let worker = Worker::start(Arc::clone(&sum)).await.expect("it starts");
            worker.work(n).tell().await.expect("it runs");
            workers.push(worker);
        }
        for worker in &workers {
            worker.wait().await;
        }
        let took = start.elapsed();
        assert_eq!(sum.load(Ordering::Relaxed), sum_of_all(ops));
        took
    }
}

mod tokio_actor {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::{Duration, Instant};

    use tokio::sync::mpsc;

    use super::sum_of_all;
    use crate::MAILBOX_CAPACITY;

    async fn worker(mut inbox: mpsc::Receiver<u64>, sum: Arc<AtomicU64>) {
        if let Some(n) = inbox.recv().await {
            sum.fetch_add(n, Ordering::Relaxed);
        }
    }

    pub(super) async fn run(ops: u64) -> Duration {
        let sum = Arc::new(AtomicU64::new(0));
        let mut workers = Vec::new();
        let start = Instant::now();
        for n in 0..ops {
            let (to_worker, inbox) = mpsc::channel(MAILBOX_CAPACITY);
            let task = tokio::spawn(worker(inbox, Arc::clone(&sum)));
            to_worker.send(n).await.expect("it runs");
            workers.push(task);
        }
        for worker in workers {
            worker.await.expect("it ends");
        }
        let took = start.elapsed();
        assert_eq!(sum.load(Ordering::Relaxed), sum_of_all(ops));
        took
    }
}

mod kameo {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::{Duration, Instant};

    use ::kameo::prelude::*;

    use super::sum_of_all;

    #[derive(Actor)]
    struct Worker {
        sum: Arc<AtomicU64>,
    }

    struct Work(u64);

    impl Message<Work> for Worker {
        type Reply = ();

        async fn handle(&mut self, Work(n): Work, ctx: &mut Context<Self, Self::Reply>) {
            self.sum.fetch_add(n, Ordering::Relaxed);
            ctx.stop();
        }
    }

    pub(super) async fn run(ops: u64) -> Duration {
        let sum = Arc::new(AtomicU64::new(0));
        let mut workers = Vec::new();
        let start = Instant::now();
        for n in 0..ops {
            let sum = Arc::clone(&sum);
            let worker = Worker::spawn(Worker { sum });
            worker.tell(Work(n)).await.expect("it runs");
            workers.push(worker);
        }
        for worker in &workers {
            worker.wait_for_shutdown().await;
        }
        let took = start.elapsed();
        assert_eq!(sum.load(Ordering::Relaxed), sum_of_all(ops));
        took
    }
}
