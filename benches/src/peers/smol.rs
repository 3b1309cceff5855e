//! A hand-written smol actor: a task that owns its state, a bounded channel for its mailbox, a
//! channel of one place per ask, all of them smol's own.
//!
//! smol's global executor has one thread unless an environment variable says otherwise; here an
//! [`Executor`] is run by one thread per core, as its documentation shows. No supervision.

use std::cell::RefCell;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use ::smol::channel::{self, Receiver, Sender};
use ::smol::future::{self, race};
use ::smol::{Executor, Timer, lock};

use super::{BoxTask, CHILDREN, Done, Locks, Peer, Runtime};
use crate::work::{Alive, spin};
use crate::{MAILBOX_CAPACITY, cores};

/// A smol executor and its threads.
#[derive(Debug)]
pub struct Smol {
    executor: Arc<Executor<'static>>,
    stop: Option<Sender<()>>,
    threads: Vec<JoinHandle<()>>,
}

thread_local! {
    static EXECUTOR: RefCell<Option<Arc<Executor<'static>>>> = const { RefCell::new(None) };
}

fn spawn<T: Send + 'static>(task: impl Future<Output = T> + Send + 'static) -> ::smol::Task<T> {
    EXECUTOR.with_borrow(|executor| executor.as_ref().expect("inside a task").spawn(task))
}

impl Runtime for Smol {
    const NAME: &'static str = "smol";

    fn start() -> Self {
        let executor = Arc::new(Executor::new());
        let (stop, stopped) = channel::unbounded::<()>();
        let threads = (0..cores())
            .map(|_| {
                let (executor, stopped) = (Arc::clone(&executor), stopped.clone());
                thread::spawn(move || {
                    EXECUTOR.set(Some(Arc::clone(&executor)));
                    // Ends by an error when the sending side is gone.
                    let _ = future::block_on(executor.run(stopped.recv()));
                    EXECUTOR.set(None);
                })
            })
            .collect();
        Smol {
            executor,
            stop: Some(stop),
            threads,
        }
    }

    fn run<T: Send + 'static>(&self, task: impl Future<Output = T> + Send + 'static) -> T {
        future::block_on(self.executor.spawn(task))
    }

    fn injector(&self) -> impl Fn(BoxTask) + Send + 'static {
        let executor = Arc::clone(&self.executor);
        move |task| executor.spawn(task).detach()
    }

    fn go<T: Send + 'static>(
        task: impl Future<Output = T> + Send + 'static,
    ) -> impl Future<Output = T> + Send + 'static {
        spawn(task)
    }

    async fn sleep(time: Duration) {
        Timer::after(time).await;
    }

    fn yield_now() -> impl Future<Output = ()> + Send {
        future::yield_now()
    }
}

impl Drop for Smol {
    fn drop(&mut self) {
        self.stop = None;
        for thread in self.threads.drain(..) {
            thread.join().expect("an executor's thread");
        }
    }
}

fn start<M: Send + 'static, F: Future<Output = ()> + Send + 'static>(
    run: impl FnOnce(Receiver<M>) -> F,
) -> Sender<M> {
    let (tx, rx) = channel::bounded(MAILBOX_CAPACITY);
    spawn(run(rx)).detach();
    tx
}

async fn ask<M, T>(inbox: &Sender<M>, msg: impl FnOnce(Sender<T>) -> M) -> T {
    let (reply, answer) = channel::bounded(1);
    tell(inbox, msg(reply)).await;
    answer.recv().await.expect("the actor answers")
}

async fn tell<M>(inbox: &Sender<M>, msg: M) {
    // The error would carry the message, which need not be `Debug`.
    assert!(inbox.send(msg).await.is_ok(), "the actor runs");
}

/// What a counter is sent.
#[derive(Debug)]
pub enum Msg {
    /// Answers the sum.
    Add(u64, Sender<u64>),
    /// Is not answered.
    Note(u64),
    /// Takes so long.
    Serve(Duration, Sender<u64>),
}

struct Counter {
    sum: u64,
    _alive: Alive,
}

impl Counter {
    async fn run(mut self, inbox: Receiver<Msg>) {
        while let Ok(msg) = inbox.recv().await {
            match msg {
                Msg::Add(n, reply) => {
                    self.sum += n;
                    // An asker that has gone needs no answer.
                    let _ = reply.send(self.sum).await;
                }
                Msg::Note(n) => self.sum += n,
                Msg::Serve(time, reply) => {
                    spin(time);
                    self.sum += 1;
                    let _ = reply.send(self.sum).await;
                }
            }
        }
    }
}

/// What a link is sent.
#[derive(Debug)]
pub enum LinkMsg {
    /// Replaces what it knows.
    Meet(Link, Sender<()>),
    /// The number that it passes on.
    Hop(u64),
}

/// The actor that passes a number on.
#[derive(Debug, Default)]
pub struct Link {
    next: Option<Sender<LinkMsg>>,
    zeros: u64,
    done: Option<Done>,
}

impl Link {
    async fn run(mut self, inbox: Receiver<LinkMsg>) {
        while let Ok(msg) = inbox.recv().await {
            match msg {
                LinkMsg::Meet(link, reply) => {
                    self = link;
                    let _ = reply.send(()).await;
                }
                LinkMsg::Hop(0) => {
                    self.zeros -= 1;
                    if self.zeros == 0 {
                        let done = self.done.take().expect("someone waits");
                        done.send(()).expect("someone waits");
                    }
                }
                LinkMsg::Hop(left) => {
                    tell(
                        self.next.as_ref().expect("a next one"),
                        LinkMsg::Hop(left - 1),
                    )
                    .await;
                }
            }
        }
    }
}

/// What the actor of big messages is sent.
#[derive(Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "the work is about messages inline"
)]
pub enum BulkMsg {
    /// One that is copied.
    Page([u8; 1024], Sender<u64>),
    /// One that is not.
    Block(Vec<u8>, Sender<Vec<u8>>),
}

async fn run_bulk(inbox: Receiver<BulkMsg>) {
    while let Ok(msg) = inbox.recv().await {
        match msg {
            BulkMsg::Page(page, reply) => {
                let _ = reply.send(u64::from(page[0]) + u64::from(page[1023])).await;
            }
            BulkMsg::Block(mut block, reply) => {
                block[0] = block[0].wrapping_add(1);
                let _ = reply.send(block).await;
            }
        }
    }
}

enum NodeMsg {
    Grow {
        this: Sender<NodeMsg>,
        num: u64,
        leaves: u64,
    },
    Total(u64),
}

/// Whom a node tells its sum.
enum Above {
    Node(Sender<NodeMsg>),
    Root(Done<u64>),
}

struct Node {
    above: Option<Above>,
    missing: u64,
    sum: u64,
    _alive: Alive,
}

impl Node {
    fn start(above: Above) -> Sender<NodeMsg> {
        let node = Node {
            above: Some(above),
            missing: 0,
            sum: 0,
            _alive: Alive::new(),
        };
        start(|inbox| node.run(inbox))
    }

    async fn run(mut self, inbox: Receiver<NodeMsg>) {
        while let Ok(msg) = inbox.recv().await {
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
                        tell(
                            &child,
                            NodeMsg::Grow {
                                this,
                                num: num + i * leaves,
                                leaves,
                            },
                        )
                        .await;
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
            Above::Node(node) => tell(&node, NodeMsg::Total(self.sum)).await,
            Above::Root(done) => done.send(self.sum).expect("someone waits"),
        }
    }
}

impl Peer for Smol {
    const NAME: &'static str = "smol";
    const NOTE: &'static str = "";
    type Rt = Smol;
    type Counter = Sender<Msg>;

    async fn counter(sum: u64) -> Sender<Msg> {
        start(|inbox| {
            Counter {
                sum,
                _alive: Alive::new(),
            }
            .run(inbox)
        })
    }

    async fn add(counter: &Sender<Msg>, n: u64) -> u64 {
        ask(counter, |reply| Msg::Add(n, reply)).await
    }

    async fn note(counter: &Sender<Msg>, n: u64) {
        tell(counter, Msg::Note(n)).await;
    }

    async fn serve(counter: &Sender<Msg>, time: Duration) -> u64 {
        ask(counter, |reply| Msg::Serve(time, reply)).await
    }

    type Link = Sender<LinkMsg>;

    async fn link() -> Sender<LinkMsg> {
        start(|inbox| Link::default().run(inbox))
    }

    async fn meet(
        link: &Sender<LinkMsg>,
        next: Option<Sender<LinkMsg>>,
        zeros: u64,
        done: Option<Done>,
    ) {
        ask(link, |reply| {
            LinkMsg::Meet(Link { next, zeros, done }, reply)
        })
        .await;
    }

    async fn hop(link: &Sender<LinkMsg>, left: u64) {
        tell(link, LinkMsg::Hop(left)).await;
    }

    type Bulk = Sender<BulkMsg>;

    async fn bulk() -> Sender<BulkMsg> {
        start(run_bulk)
    }

    async fn page(bulk: &Sender<BulkMsg>, page: [u8; 1024]) -> u64 {
        ask(bulk, |reply| BulkMsg::Page(page, reply)).await
    }

    async fn block(bulk: &Sender<BulkMsg>, block: Vec<u8>) -> Vec<u8> {
        ask(bulk, |reply| BulkMsg::Block(block, reply)).await
    }

    async fn skynet(leaves: u64) -> u64 {
        let (done, sum) = ::tokio::sync::oneshot::channel();
        let root = Node::start(Above::Root(done));
        let this = root.clone();
        tell(
            &root,
            NodeMsg::Grow {
                this,
                num: 0,
                leaves,
            },
        )
        .await;
        drop(root);
        sum.await.expect("the sum")
    }
}

impl Locks for Smol {
    type Mutex = lock::Mutex<u64>;

    fn mutex() -> Self::Mutex {
        lock::Mutex::new(0)
    }

    async fn add(mutex: &Self::Mutex, n: u64) -> u64 {
        let mut sum = mutex.lock().await;
        *sum += n;
        *sum
    }

    type RwLock = lock::RwLock<u64>;

    fn rwlock() -> Self::RwLock {
        lock::RwLock::new(0)
    }

    async fn write(lock: &Self::RwLock, n: u64) {
        *lock.write().await += n;
    }

    async fn read(lock: &Self::RwLock) -> u64 {
        *lock.read().await
    }

    async fn select(values: u64) -> u64 {
        let (tx, rx): (Vec<_>, Vec<_>) = (0..8).map(|_| channel::bounded::<u64>(1)).unzip();
        let sender = spawn(async move {
            for i in 0..values {
                tx[i as usize % 8].send(i).await.expect("someone receives");
            }
            tx // open until all is received: a closed one is ready at once
        });
        let mut sum = 0;
        for _ in 0..values {
            let [a, b, c, d, e, f, g, h] = [0, 1, 2, 3, 4, 5, 6, 7].map(|i| rx[i].recv());
            let left = race(race(a, b), race(c, d));
            let right = race(race(e, f), race(g, h));
            sum += race(left, right).await.expect("someone sends");
        }
        drop(sender.await);
        sum
    }
}
