//! Bounded buffer: 40 producers put items into a buffer of 50, from which 40 consumers take them. An
//! operation is one item.
//!
//! The buffer is an actor: who finds it full, or empty, waits for its answer. Making and using an item
//! takes some arithmetic. Checked: the sum of all items.

use super::{Benchmark, on_ours, on_tokio};

const PRODUCERS: u64 = 40;
const CONSUMERS: u64 = 40;
const ROOM: usize = 50;

pub(super) const BENCHMARK: Benchmark = Benchmark {
    name: "bounded buffer",
    operation: "item",
    ops: 200_000,
    run: [
        |ops| on_ours(ours::run, ops),
        |ops| on_tokio(tokio_actor::run, ops),
        |ops| on_tokio(kameo::run, ops),
    ],
};

/// What it takes to make or to use an item; returns it.
fn work_on(item: u64) -> u64 {
    let mut x = item as f64;
    for _ in 0..25 {
        x = std::hint::black_box(x.sqrt() + 1.0);
    }
    item
}

/// The sum of all items, when each producer makes 1, 2, 3 ..
fn sum_of_all(ops: u64) -> u64 {
    let of_one = |producer| {
        let items = crate::work::share(ops, PRODUCERS, producer);
        items * (items + 1) / 2
    };
    (0..PRODUCERS).map(of_one).sum()
}

mod ours {
    use std::collections::VecDeque;
    use std::time::{Duration, Instant};

    use actor_core::prelude::*;

    use super::{CONSUMERS, PRODUCERS, ROOM, sum_of_all, work_on};
    use crate::work::share;

    /// At most one of the two queues of waiting ones has somebody in it.
    struct Buffer {
        items: VecDeque<u64>,
        putting: VecDeque<(u64, Reply<()>)>,
        taking: VecDeque<Reply<u64>>,
    }

    #[actor(vis = pub(self))]
    impl Buffer {
        #[init]
        fn new() -> Self {
            Buffer {
                items: VecDeque::with_capacity(ROOM),
                putting: VecDeque::new(),
                taking: VecDeque::new(),
            }
        }

        /// Answers when there is room for the item.
        pub(crate) fn put(&mut self, item: u64, reply: Reply<()>) {
            if let Some(taker) = self.taking.pop_front() {
                taker.send(item);
                reply.send(());
            } else if self.items.len() < ROOM {
                self.items.push_back(item);
                reply.send(());
            } else {
                self.putting.push_back((item, reply));
            }
        }

        /// Answers when there is an item.
        pub(crate) fn take(&mut self, reply: Reply<u64>) {
            let Some(item) = self.items.pop_front() else {
                return self.taking.push_back(reply);
            };
            reply.send(item);
            if let Some((item, putter)) = self.putting.pop_front() {
                self.items.push_back(item);
                putter.send(());
            }
        }
    }

    struct Producer {
        buffer: BufferRef,
    }

    #[actor(vis = pub(self))]
    impl Producer {
        #[init]
        fn new(buffer: BufferRef) -> Self {
            Producer { buffer }
        }

        pub(crate) async fn produce(&mut self, items: u64) -> Result<(), CallError> {
            for item in 1..=items {
                self.buffer.put(work_on(item)).await?;
            }
            Ok(())
        }
    }

    struct Consumer {
        buffer: BufferRef,
    }

    #[actor(vis = pub(self))]
    impl Consumer {
        #[init]
        fn new(buffer: BufferRef) -> Self {
            Consumer { buffer }
        }

        /// Answers with the sum of so many items.
        pub(crate) async fn consume(&mut self, items: u64) -> Result<u64, CallError> {
            let mut sum = 0;
            for _ in 0..items {
                sum += work_on(self.buffer.take().await?);
            }
            Ok(sum)
        }
    }

    pub(super) async fn run(ops: u64) -> Duration {
        let buffer = Buffer::start().await.expect("it starts");
        let (mut producers, mut consumers) = (Vec::new(), Vec::new());
        for _ in 0..PRODUCERS {
            let producer = Producer::start(buffer.clone()).await;
            producers.push(producer.expect("it starts"));
        }
        for _ in 0..CONSUMERS {
            let consumer = Consumer::start(buffer.clone()).await;
            consumers.push(consumer.expect("it starts"));
        }
        let start = Instant::now();
        let producing = (0..).zip(producers).map(|(number, producer)| {
            let items = share(ops, PRODUCERS, number);
            go(async move { producer.produce(items).await })
        });
        let producing: Vec<_> = producing.collect();
        let consuming = (0..).zip(consumers).map(|(number, consumer)| {
            let items = share(ops, CONSUMERS, number);
            go(async move { consumer.consume(items).await })
        });
        let mut sum = 0;
        for consumer in consuming.collect::<Vec<_>>() {
            sum += consumer.await.expect("it ends").expect("an answer");
        }
        for producer in producing {
            producer.await.expect("it ends").expect("an answer");
        }
        assert_eq!(sum, sum_of_all(ops));
        start.elapsed()
    }
}

mod tokio_actor {
    use std::collections::VecDeque;
    use std::time::{Duration, Instant};

    use tokio::sync::{mpsc, oneshot};

    use super::{CONSUMERS, PRODUCERS, ROOM, sum_of_all, work_on};
    use crate::MAILBOX_CAPACITY;
    use crate::work::share;

    enum Msg {
        Put {
            item: u64,
            reply: oneshot::Sender<()>,
        },
        Take {
            reply: oneshot::Sender<u64>,
        },
    }

    #[derive(Default)]
    struct Buffer {
        items: VecDeque<u64>,
        putting: VecDeque<(u64, oneshot::Sender<()>)>,
        taking: VecDeque<oneshot::Sender<u64>>,
    }

    impl Buffer {
        async fn run(mut self, mut inbox: mpsc::Receiver<Msg>) {
            while let Some(msg) = inbox.recv().await {
                match msg {
                    Msg::Put { item, reply } => self.put(item, reply),
                    Msg::Take { reply } => self.take(reply),
                }
            }
        }

        fn put(&mut self, item: u64, reply: oneshot::Sender<()>) {
            if let Some(taker) = self.taking.pop_front() {
                taker.send(item).expect("it waits");
                reply.send(()).expect("it waits");
            } else if self.items.len() < ROOM {
                self.items.push_back(item);
                reply.send(()).expect("it waits");
            } else {
                self.putting.push_back((item, reply));
            }
        }

        fn take(&mut self, reply: oneshot::Sender<u64>) {
            let Some(item) = self.items.pop_front() else {
                return self.taking.push_back(reply);
            };
            reply.send(item).expect("it waits");
            if let Some((item, putter)) = self.putting.pop_front() {
                self.items.push_back(item);
                putter.send(()).expect("it waits");
            }
        }
    }

    /// Nobody talks to a producer or a consumer, so they need no mailbox.
    async fn producer(buffer: mpsc::Sender<Msg>, items: u64) {
        for item in 1..=items {
            let (reply, done) = oneshot::channel();
            let item = work_on(item);
            buffer
                .send(Msg::Put { item, reply })
                .await
                .expect("it runs");
            done.await.expect("an answer");
        }
    }

    async fn consumer(buffer: mpsc::Sender<Msg>, items: u64) -> u64 {
        let mut sum = 0;
        for _ in 0..items {
            let (reply, item) = oneshot::channel();
            buffer.send(Msg::Take { reply }).await.expect("it runs");
            sum += work_on(item.await.expect("an answer"));
        }
        sum
    }

    pub(super) async fn run(ops: u64) -> Duration {
        let (buffer, inbox) = mpsc::channel(MAILBOX_CAPACITY);
        tokio::spawn(Buffer::default().run(inbox));
        let start = Instant::now();
        let producers: Vec<_> = (0..PRODUCERS)
            .map(|number| tokio::spawn(producer(buffer.clone(), share(ops, PRODUCERS, number))))
            .collect();
        let consumers: Vec<_> = (0..CONSUMERS)
            .map(|number| tokio::spawn(consumer(buffer.clone(), share(ops, CONSUMERS, number))))
            .collect();
        let mut sum = 0;
        for consumer in consumers {
            sum += consumer.await.expect("it ends");
        }
        for producer in producers {
            producer.await.expect("it ends");
        }
        assert_eq!(sum, sum_of_all(ops));
        start.elapsed()
    }
}

mod kameo {
    use std::collections::VecDeque;
    use std::time::{Duration, Instant};

    use ::kameo::prelude::*;

    use super::{CONSUMERS, PRODUCERS, ROOM, sum_of_all, work_on};
    use crate::work::share;

    #[derive(Actor, Default)]
    struct Buffer {
        items: VecDeque<u64>,
        putting: VecDeque<(u64, ReplySender<()>)>,
        taking: VecDeque<ReplySender<u64>>,
    }

    struct Put(u64);
    struct Take;

    impl Message<Put> for Buffer {
        type Reply = DelegatedReply<()>;

        async fn handle(
            &mut self,
            Put(item): Put,
            ctx: &mut Context<Self, Self::Reply>,
        ) -> Self::Reply {
            let (delegated, reply) = ctx.reply_sender();
            let reply = reply.expect("it is asked");
            if let Some(taker) = self.taking.pop_front() {
                taker.send(item);
                reply.send(());
            } else if self.items.len() < ROOM {
                self.items.push_back(item);
                reply.send(());
            } else {
                self.putting.push_back((item, reply));
            }
            delegated
        }
    }

    impl Message<Take> for Buffer {
        type Reply = DelegatedReply<u64>;

        async fn handle(
            &mut self,
            Take: Take,
            ctx: &mut Context<Self, Self::Reply>,
        ) -> Self::Reply {
            let (delegated, reply) = ctx.reply_sender();
            let reply = reply.expect("it is asked");
            let Some(item) = self.items.pop_front() else {
                self.taking.push_back(reply);
                return delegated;
            };
            reply.send(item);
            if let Some((item, putter)) = self.putting.pop_front() {
                self.items.push_back(item);
                putter.send(());
            }
            delegated
        }
    }

    #[derive(Actor)]
    struct Producer {
        buffer: ActorRef<Buffer>,
    }

    struct Produce(u64);

    impl Message<Produce> for Producer {
        type Reply = ();

        async fn handle(&mut self, Produce(items): Produce, _ctx: &mut Context<Self, Self::Reply>) {
            for item in 1..=items {
                let put = Put(work_on(item));
                self.buffer.ask(put).await.expect("an answer");
            }
        }
    }

    #[derive(Actor)]
    struct Consumer {
        buffer: ActorRef<Buffer>,
    }

    struct Consume(u64);

    impl Message<Consume> for Consumer {
        type Reply = u64;

        async fn handle(
            &mut self,
            Consume(items): Consume,
            _ctx: &mut Context<Self, Self::Reply>,
        ) -> u64 {
            let mut sum = 0;
            for _ in 0..items {
                sum += work_on(self.buffer.ask(Take).await.expect("an answer"));
            }
            sum
        }
    }

    pub(super) async fn run(ops: u64) -> Duration {
        let buffer = Buffer::spawn(Buffer::default());
        let on_buffer = |_| buffer.clone();
        let producers: Vec<_> = (0..PRODUCERS)
            .map(on_buffer)
            .map(|buffer| Producer::spawn(Producer { buffer }))
            .collect();
        let consumers: Vec<_> = (0..CONSUMERS)
            .map(on_buffer)
            .map(|buffer| Consumer::spawn(Consumer { buffer }))
            .collect();
        let start = Instant::now();
        let producing = (0..).zip(producers).map(|(number, producer)| {
            let produce = Produce(share(ops, PRODUCERS, number));
            tokio::spawn(async move { producer.ask(produce).await })
        });
        let producing: Vec<_> = producing.collect();
        let consuming = (0..).zip(consumers).map(|(number, consumer)| {
            let consume = Consume(share(ops, CONSUMERS, number));
            tokio::spawn(async move { consumer.ask(consume).await })
        });
        let mut sum = 0;
        for consumer in consuming.collect::<Vec<_>>() {
            sum += consumer.await.expect("it ends").expect("an answer");
        }
        for producer in producing {
            producer.await.expect("it ends").expect("an answer");
        }
        assert_eq!(sum, sum_of_all(ops));
        start.elapsed()
    }
}
