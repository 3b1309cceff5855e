//! Counting: one actor tells another to count, again and again, and then asks for the count. An
//! operation is one message told. Checked: the count.

use super::{Benchmark, on_ours, on_tokio};

pub(super) const BENCHMARK: Benchmark = Benchmark {
    name: "counting",
    operation: "message",
    ops: 2_000_000,
    run: [
        |ops| on_ours(ours::run, ops),
        |ops| on_tokio(tokio_actor::run, ops),
        |ops| on_tokio(kameo::run, ops),
    ],
};

mod ours {
    use std::time::{Duration, Instant};

    use actor_core::prelude::*;

    struct Counter {
        count: u64,
    }

    #[actor(vis = pub(self))]
    impl Counter {
        #[init]
        fn new() -> Self {
            Counter { count: 0 }
        }

        pub(crate) fn increment(&mut self) {
            self.count += 1;
        }

        pub(crate) fn count(&mut self) -> u64 {
            self.count
        }
    }

    struct Producer {
        counter: CounterRef,
    }

    #[actor(vis = pub(self))]
    impl Producer {
        #[init]
        fn new(counter: CounterRef) -> Self {
            Producer { counter }
        }

        /// Counts so far and answers what the counter says.
        pub(crate) async fn produce(&mut self, n: u64) -> Result<u64, CallError> {
            for _ in 0..n {
                self.counter.increment().tell().await.expect("it runs");
            }
            self.counter.count().await
        }
    }

    pub(super) async fn run(ops: u64) -> Duration {
        let counter = Counter::start().await.expect("it starts");
        let producer = Producer::start(counter).await.expect("it starts");
        let start = Instant::now();
        assert_eq!(producer.produce(ops).await, Ok(ops));
        start.elapsed()
    }
}

mod tokio_actor {
    use std::time::{Duration, Instant};

    use tokio::sync::{mpsc, oneshot};

    use crate::MAILBOX_CAPACITY;

    enum CounterMsg {
        Increment,
        Count { reply: oneshot::Sender<u64> },
    }

    async fn counter(mut inbox: mpsc::Receiver<CounterMsg>) {
        let mut count = 0;
        while let Some(msg) = inbox.recv().await {
            match msg {
                CounterMsg::Increment => count += 1,
                CounterMsg::Count { reply } => reply.send(count).expect("someone waits"),
            }
        }
    }

    struct Produce {
        n: u64,
        reply: oneshot::Sender<u64>,
    }

    async fn producer(mut inbox: mpsc::Receiver<Produce>, counter: mpsc::Sender<CounterMsg>) {
        while let Some(Produce { n, reply }) = inbox.recv().await {
            for _ in 0..n {
                counter.send(CounterMsg::Increment).await.expect("it runs");
            }
            let (to_me, count) = oneshot::channel();
            let ask = CounterMsg::Count { reply: to_me };
            counter.send(ask).await.expect("it runs");
            let count = count.await.expect("an answer");
            reply.send(count).expect("someone waits");
        }
    }

    pub(super) async fn run(ops: u64) -> Duration {
        let (to_counter, inbox) = mpsc::channel(MAILBOX_CAPACITY);
        tokio::spawn(counter(inbox));
        let (to_producer, inbox) = mpsc::channel(MAILBOX_CAPACITY);
        tokio::spawn(producer(inbox, to_counter));
        let start = Instant::now();
        let (reply, count) = oneshot::channel();
        let produce = Produce { n: ops, reply };
        to_producer.send(produce).await.expect("it runs");
        assert_eq!(count.await.expect("an answer"), ops);
        start.elapsed()
    }
}

mod kameo {
    use std::time::{Duration, Instant};

    use ::kameo::prelude::*;

    #[derive(Actor)]
    struct Counter {
        count: u64,
    }

    struct Increment;
    struct Count;

    impl Message<Increment> for Counter {
        type Reply = ();

        async fn handle(&mut self, Increment: Increment, _ctx: &mut Context<Self, Self::Reply>) {
            self.count += 1;
        }
    }

    impl Message<Count> for Counter {
        type Reply = u64;

        async fn handle(&mut self, Count: Count, _ctx: &mut Context<Self, Self::Reply>) -> u64 {
            self.count
        }
    }

    #[derive(Actor)]
    struct Producer {
        counter: ActorRef<Counter>,
    }

    struct Produce(u64);

    impl Message<Produce> for Producer {
        type Reply = u64;

        async fn handle(
            &mut self,
            Produce(n): Produce,
            _ctx: &mut Context<Self, Self::Reply>,
        ) -> u64 {
            for _ in 0..n {
                self.counter.tell(Increment).await.expect("it runs");
            }
            self.counter.ask(Count).await.expect("an answer")
        }
    }

    pub(super) async fn run(ops: u64) -> Duration {
        let counter = Counter::spawn(Counter { count: 0 });
        let producer = Producer::spawn(Producer { counter });
        let start = Instant::now();
        assert_eq!(producer.ask(Produce(ops)).await.expect("an answer"), ops);
        start.elapsed()
    }
}
