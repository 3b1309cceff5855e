//! Fork-join throughput: one task tells 60 actors, in turns, and then asks each what it has done. An
//! operation is one message told; for each its actor computes a sine. Checked: how many each got.

use super::{Benchmark, on_ours, on_tokio};

const WORKERS: u64 = 60;

pub(super) const BENCHMARK: Benchmark = Benchmark {
    name: "fork-join throughput",
    operation: "message",
    ops: 600_000,
    run: [
        |ops| on_ours(ours::run, ops),
        |ops| on_tokio(tokio_actor::run, ops),
        |ops| on_tokio(kameo::run, ops),
    ],
};

/// What a message makes its actor do.
fn work(n: u64) {
    std::hint::black_box((n as f64).sin());
}

mod ours {
    use std::time::{Duration, Instant};

    use actor_core::prelude::*;

    use super::{WORKERS, work};
    use crate::work::share;

    struct Worker {
        done: u64,
    }

    #[actor(vis = pub(self))]
    impl Worker {
        #[init]
        fn new() -> Self {
            Worker { done: 0 }
        }

        pub(crate) fn work(&mut self, n: u64) {
            work(n);
            self.done += 1;
        }

        pub(crate) fn done(&mut self) -> u64 {
            self.done
        }
    }

    pub(super) async fn run(ops: u64) -> Duration {
        let mut workers = Vec::new();
        for _ in 0..WORKERS {
            workers.push(Worker::start().await.expect("it starts"));
        }
        let start = Instant::now();
        for (n, worker) in (0..ops).zip(workers.iter().cycle()) {
            worker.work(n).tell().await.expect("it runs");
        }
        for (number, worker) in (0..).zip(&workers) {
            assert_eq!(worker.done().await, Ok(share(ops, WORKERS, number)));
        }
        start.elapsed()
    }
}

mod tokio_actor {
    use std::time::{Duration, Instant};

    use tokio::sync::{mpsc, oneshot};

    use super::{WORKERS, work};
    use crate::MAILBOX_CAPACITY;
    use crate::work::share;

    enum Msg {
        Work(u64),
        Done { reply: oneshot::Sender<u64> },
    }

    async fn worker(mut inbox: mpsc::Receiver<Msg>) {
        let mut done = 0;
        while let Some(msg) = inbox.recv().await {
            match msg {
                Msg::Work(n) => {
                    work(n);
                    done += 1;
                }
                Msg::Done { reply } => reply.send(done).expect("someone waits"),
            }
        }
    }

    pub(super) async fn run(ops: u64) -> Duration {
        let workers: Vec<_> = (0..WORKERS)
            .map(|_| {
                let (tx, rx) = mpsc::channel(MAILBOX_CAPACITY);
                tokio::spawn(worker(rx));
                tx
            })
            .collect();
        let start = Instant::now();
        for (n, worker) in (0..ops).zip(workers.iter().cycle()) {
            worker.send(Msg::Work(n)).await.expect("it runs");
        }
        for (number, worker) in (0..).zip(&workers) {
            let (reply, done) = oneshot::channel();
            worker.send(Msg::Done { reply }).await.expect("it runs");
            let done = done.await.expect("an answer");
            assert_eq!(done, share(ops, WORKERS, number));
        }
        start.elapsed()
    }
}

mod kameo {
    use std::time::{Duration, Instant};

    use ::kameo::prelude::*;

    use super::{WORKERS, work};
    use crate::work::share;

    #[derive(Actor)]
    struct Worker {
        done: u64,
    }

    struct Work(u64);
    struct Done;

    impl Message<Work> for Worker {
        type Reply = ();

        async fn handle(&mut self, Work(n): Work, _ctx: &mut Context<Self, Self::Reply>) {
            work(n);
            self.done += 1;
        }
    }

    impl Message<Done> for Worker {
        type Reply = u64;

        async fn handle(&mut self, Done: Done, _ctx: &mut Context<Self, Self::Reply>) -> u64 {
            self.done
        }
    }

    pub(super) async fn run(ops: u64) -> Duration {
        let workers: Vec<_> = (0..WORKERS)
            .map(|_| Worker::spawn(Worker { done: 0 }))
            .collect();
        let start = Instant::now();
        for (n, worker) in (0..ops).zip(workers.iter().cycle()) {
            worker.tell(Work(n)).await.expect("it runs");
        }
        for (number, worker) in (0..).zip(&workers) {
            let done = worker.ask(Done).await.expect("an answer");
            assert_eq!(done, share(ops, WORKERS, number));
        }
        start.elapsed()
    }
}
