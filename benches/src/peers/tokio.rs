//! A hand-written tokio actor: a task that owns its state, an `mpsc` mailbox, a `oneshot` per ask.
//!
//! The pattern of tokio's own guide: an enum of messages, a handle around the sender, the task ends
//! when the last handle is gone. No supervision, no panic isolation beyond the task's.

use std::time::Duration;

use ::tokio::runtime;
use ::tokio::sync::{self, mpsc, oneshot};

use super::{BoxTask, CHILDREN, Done, Locks, Peer, Runtime};
use crate::MAILBOX_CAPACITY;
use crate::work::{Alive, spin};

/// tokio's multi-thread runtime, and hand-written actors on it.
#[derive(Debug)]
pub struct Tokio {
    rt: runtime::Runtime,
}

impl Runtime for Tokio {
    const NAME: &'static str = "tokio";

    fn start() -> Self {
        Tokio {
            rt: runtime::Runtime::new().expect("a runtime"),
        }
    }

    fn run<T: Send + 'static>(&self, task: impl Future<Output = T> + Send + 'static) -> T {
        self.rt
            .block_on(async { ::tokio::spawn(task).await.expect("the task") })
    }

    fn injector(&self) -> impl Fn(BoxTask) + Send + 'static {
        let handle = self.rt.handle().clone();
        move |task| drop(handle.spawn(task))
    }

    fn go<T: Send + 'static>(
        task: impl Future<Output = T> + Send + 'static,
    ) -> impl Future<Output = T> + Send + 'static {
        let task = ::tokio::spawn(task);
        async { task.await.expect("the task") }
    }

    fn sleep(time: Duration) -> impl Future<Output = ()> + Send {
        ::tokio::time::sleep(time)
    }

    fn yield_now() -> impl Future<Output = ()> + Send {
        ::tokio::task::yield_now()
    }
}

enum Msg {
    Add {
        n: u64,
        reply: oneshot::Sender<u64>,
    },
    Note {
        n: u64,
    },
    Serve {
        time: Duration,
        reply: oneshot::Sender<u64>,
    },
}

struct Counter {
    sum: u64,
    _alive: Alive,
}

impl Counter {
    async fn run(mut self, mut inbox: mpsc::Receiver<Msg>) {
        while let Some(msg) = inbox.recv().await {
            match msg {
                Msg::Add { n, reply } => {
                    self.sum += n;
                    // An asker that has gone needs no answer.
                    let _ = reply.send(self.sum);
                }
                Msg::Note { n } => self.sum += n,
                Msg::Serve { time, reply } => {
                    spin(time);
                    self.sum += 1;
                    let _ = reply.send(self.sum);
                }
            }
        }
    }
}

enum LinkMsg {
    Meet { link: Link, reply: Done },
    Hop { left: u64 },
}

#[derive(Default)]
struct Link {
    next: Option<mpsc::Sender<LinkMsg>>,
    zeros: u64,
    done: Option<Done>,
}

impl Link {
    async fn run(mut self, mut inbox: mpsc::Receiver<LinkMsg>) {
        while let Some(msg) = inbox.recv().await {
            match msg {
                LinkMsg::Meet { link, reply } => {
                    self = link;
                    let _ = reply.send(());
                }
                LinkMsg::Hop { left: 0 } => {
                    self.zeros -= 1;
                    if self.zeros == 0 {
                        let done = self.done.take().expect("someone waits");
                        done.send(()).expect("someone waits");
                    }
                }
                LinkMsg::Hop { left } => {
                    let next = self.next.as_ref().expect("a next one");
                    let hop = LinkMsg::Hop { left: left - 1 };
                    next.send(hop).await.expect("the next one runs");
                }
            }
        }
    }
}

/// The actor of big messages.
#[derive(Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "the work is about messages inline"
)]
pub enum BulkMsg {
    /// One that is copied.
    Page([u8; 1024], oneshot::Sender<u64>),
    /// One that is not.
    Block(Vec<u8>, oneshot::Sender<Vec<u8>>),
}

async fn run_bulk(mut inbox: mpsc::Receiver<BulkMsg>) {
    while let Some(msg) = inbox.recv().await {
        match msg {
            BulkMsg::Page(page, reply) => {
                let _ = reply.send(u64::from(page[0]) + u64::from(page[1023]));
            }
            BulkMsg::Block(mut block, reply) => {
                block[0] = block[0].wrapping_add(1);
                let _ = reply.send(block);
            }
        }
    }
}

enum NodeMsg {
    Grow {
        this: mpsc::Sender<NodeMsg>,
        num: u64,
        leaves: u64,
    },
    Total(u64),
}

/// Whom a node tells its sum.
enum Above {
    Node(mpsc::Sender<NodeMsg>),
    Root(Done<u64>),
}

struct Node {
    above: Option<Above>,
    missing: u64,
    sum: u64,
    _alive: Alive,
}

impl Node {
    fn start(above: Above) -> mpsc::Sender<NodeMsg> {
        let (tx, rx) = mpsc::channel(MAILBOX_CAPACITY);
        let node = Node {
            above: Some(above),
            missing: 0,
            sum: 0,
            _alive: Alive::new(),
        };
        ::tokio::spawn(node.run(rx));
        tx
    }

    async fn run(mut self, mut inbox: mpsc::Receiver<NodeMsg>) {
        while let Some(msg) = inbox.recv().await {
            match msg {
                NodeMsg::Grow { num, leaves: 1, .. } => {
                    self.missing = 1;
                    self.total(num).await;
                }
                NodeMsg::Grow { this, num, leaves } => {
                    self.missing = CHILDREN;
                    let leaves = leaves / CHILDREN;
                    for i in 0..CHILDREN {
                        let child = Node::start(Above::Node(this.clone()));
                        let this = child.clone();
                        let grow = NodeMsg::Grow {
                            this,
                            num: num + i * leaves,
                            leaves,
                        };
                        child.send(grow).await.expect("the child runs");
                    }
                }
                NodeMsg::Total(sum) => self.total(sum).await,
            }
        }
    }

    async fn total(&mut self, sum: u64) {
        self.sum += sum;
        self.missing -= 1;
        if self.missing > 0 {
            return;
        }
        match self.above.take().expect("someone above") {
            Above::Node(node) => {
                node.send(NodeMsg::Total(self.sum))
                    .await
                    .expect("the parent runs");
            }
            Above::Root(done) => done.send(self.sum).expect("someone waits"),
        }
    }
}

/// A counter's handle.
#[derive(Clone, Debug)]
pub struct CounterHandle(mpsc::Sender<Msg>);

/// A link's handle.
#[derive(Clone, Debug)]
pub struct LinkHandle(mpsc::Sender<LinkMsg>);

async fn ask<M, T>(inbox: &mpsc::Sender<M>, msg: impl FnOnce(oneshot::Sender<T>) -> M) -> T {
    let (reply, answer) = oneshot::channel();
    // The error would carry the message, which need not be `Debug`.
    assert!(inbox.send(msg(reply)).await.is_ok(), "the actor runs");
    answer.await.expect("the actor answers")
}

impl Peer for Tokio {
    const NAME: &'static str = "tokio actor";
    const NOTE: &'static str = "";
    type Rt = Tokio;
    type Counter = CounterHandle;

    async fn counter(sum: u64) -> CounterHandle {
        let (tx, rx) = mpsc::channel(MAILBOX_CAPACITY);
        ::tokio::spawn(
            Counter {
                sum,
                _alive: Alive::new(),
            }
            .run(rx),
        );
        CounterHandle(tx)
    }

    async fn add(counter: &CounterHandle, n: u64) -> u64 {
        ask(&counter.0, |reply| Msg::Add { n, reply }).await
    }

    async fn note(counter: &CounterHandle, n: u64) {
        counter
            .0
            .send(Msg::Note { n })
            .await
            .expect("the counter runs");
    }

    async fn serve(counter: &CounterHandle, time: Duration) -> u64 {
        ask(&counter.0, |reply| Msg::Serve { time, reply }).await
    }

    type Link = LinkHandle;

    async fn link() -> LinkHandle {
        let (tx, rx) = mpsc::channel(MAILBOX_CAPACITY);
        ::tokio::spawn(Link::default().run(rx));
        LinkHandle(tx)
    }

    async fn meet(link: &LinkHandle, next: Option<LinkHandle>, zeros: u64, done: Option<Done>) {
        let next = next.map(|next| next.0);
        ask(&link.0, |reply| LinkMsg::Meet {
            link: Link { next, zeros, done },
            reply,
        })
        .await;
    }

    async fn hop(link: &LinkHandle, left: u64) {
        link.0
            .send(LinkMsg::Hop { left })
            .await
            .expect("the link runs");
    }

    type Bulk = mpsc::Sender<BulkMsg>;

    async fn bulk() -> Self::Bulk {
        let (tx, rx) = mpsc::channel(MAILBOX_CAPACITY);
        ::tokio::spawn(run_bulk(rx));
        tx
    }

    async fn page(bulk: &Self::Bulk, page: [u8; 1024]) -> u64 {
        ask(bulk, |reply| BulkMsg::Page(page, reply)).await
    }

    async fn block(bulk: &Self::Bulk, block: Vec<u8>) -> Vec<u8> {
        ask(bulk, |reply| BulkMsg::Block(block, reply)).await
    }

    async fn skynet(leaves: u64) -> u64 {
        let (done, sum) = oneshot::channel();
        let root = Node::start(Above::Root(done));
        let grow = NodeMsg::Grow {
            this: root.clone(),
            num: 0,
            leaves,
        };
        root.send(grow).await.expect("the root runs");
        drop(root);
        sum.await.expect("the sum")
    }
}

impl Locks for Tokio {
    type Mutex = sync::Mutex<u64>;

    fn mutex() -> Self::Mutex {
        sync::Mutex::new(0)
    }

    async fn add(mutex: &Self::Mutex, n: u64) -> u64 {
        let mut sum = mutex.lock().await;
        *sum += n;
        *sum
    }

    type RwLock = sync::RwLock<u64>;

    fn rwlock() -> Self::RwLock {
        sync::RwLock::new(0)
    }

    async fn write(lock: &Self::RwLock, n: u64) {
        *lock.write().await += n;
    }

    async fn read(lock: &Self::RwLock) -> u64 {
        *lock.read().await
    }

    async fn select(values: u64) -> u64 {
        let (tx, mut rx): (Vec<_>, Vec<_>) = (0..8).map(|_| mpsc::channel::<u64>(1)).unzip();
        let sender = ::tokio::spawn(async move {
            for i in 0..values {
                tx[i as usize % 8].send(i).await.expect("someone receives");
            }
            tx // open until all is received: a closed one is ready at once
        });
        let [a, b, c, d, e, f, g, h] = rx.as_mut_slice() else {
            unreachable!("eight")
        };
        let mut sum = 0;
        for _ in 0..values {
            let value = ::tokio::select! {
                v = a.recv() => v,
                v = b.recv() => v,
                v = c.recv() => v,
                v = d.recv() => v,
                v = e.recv() => v,
                v = f.recv() => v,
                v = g.recv() => v,
                v = h.recv() => v,
            };
            sum += value.expect("someone sends");
        }
        drop(sender.await.expect("the sender"));
        sum
    }
}
