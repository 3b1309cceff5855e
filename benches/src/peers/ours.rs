//! Ours: `#[actor]` on an `impl` block, goroutines by `go`, channels from `chan`, locks from `sync`.
//!
//! Our actors start with an awaited `init`, keep their mailbox over a restart, turn a handler's
//! panic into an error at the asker, and answer without an allocation per message.

use std::time::{Duration, Instant};

use actor_core::supervise::Supervisor;
use actor_core::{actor, chan, go, select, sleep, sync, yield_now};

use super::{BoxTask, CHILDREN, Done, Locks, Peer, Runtime};
use crate::work::{Alive, spin};

/// actor-core on its own scheduler.
#[derive(Debug)]
pub struct Ours {
    rt: actor_core::Runtime,
}

impl Runtime for Ours {
    const NAME: &'static str = "actor-core";

    fn start() -> Self {
        Ours {
            rt: actor_core::Runtime::new().expect("a runtime"),
        }
    }

    fn run<T: Send + 'static>(&self, task: impl Future<Output = T> + Send + 'static) -> T {
        self.rt.run(task)
    }

    fn injector(&self) -> impl Fn(BoxTask) + Send + 'static {
        let handle = self.rt.handle().clone();
        move |task| drop(handle.go(task))
    }

    fn go<T: Send + 'static>(
        task: impl Future<Output = T> + Send + 'static,
    ) -> impl Future<Output = T> + Send + 'static {
        let task = go(task);
        async { task.await.expect("a goroutine") }
    }

    fn sleep(time: Duration) -> impl Future<Output = ()> + Send {
        sleep(time)
    }

    fn yield_now() -> impl Future<Output = ()> + Send {
        yield_now()
    }
}

#[derive(Debug)]
struct Counter {
    sum: u64,
    _alive: Alive,
}

#[actor(mailbox = buffered(64), vis = pub)]
impl Counter {
    #[init]
    fn new(sum: u64) -> Self {
        Counter {
            sum,
            _alive: Alive::new(),
        }
    }

    pub fn add(&mut self, n: u64) -> u64 {
        self.sum += n;
        self.sum
    }

    pub fn note(&mut self, n: u64) {
        self.sum += n;
    }

    pub fn serve(&mut self, time: Duration) -> u64 {
        spin(time);
        self.sum += 1;
        self.sum
    }

    pub fn crash(&mut self) {
        panic!("{}", crate::CRASH);
    }
}

#[derive(Default)]
struct Link {
    next: Option<LinkRef>,
    zeros: u64,
    done: Option<Done>,
}

#[actor(mailbox = buffered(64), vis = pub)]
impl Link {
    #[init]
    fn new() -> Self {
        Link::default()
    }

    pub fn meet(&mut self, next: Option<LinkRef>, zeros: u64, done: Option<Done>) {
        *self = Link { next, zeros, done };
    }

    pub async fn hop(&mut self, left: u64) {
        if left > 0 {
            let next = self.next.as_ref().expect("a next one");
            next.hop(left - 1).tell().await.expect("the next one runs");
            return;
        }
        self.zeros -= 1;
        if self.zeros == 0 {
            self.done
                .take()
                .expect("someone waits")
                .send(())
                .expect("someone waits");
        }
    }
}

struct Bulk;

#[actor(mailbox = buffered(64), vis = pub)]
impl Bulk {
    #[init]
    fn new() -> Self {
        Bulk
    }

    pub fn page(&mut self, page: [u8; 1024]) -> u64 {
        u64::from(page[0]) + u64::from(page[1023])
    }

    pub fn block(&mut self, mut block: Vec<u8>) -> Vec<u8> {
        block[0] = block[0].wrapping_add(1);
        block
    }
}

/// Whom a node tells its sum.
enum Above {
    Node(NodeRef),
    Root(Done<u64>),
}

struct Node {
    above: Option<Above>,
    missing: u64,
    sum: u64,
    _alive: Alive,
}

#[actor(mailbox = buffered(64), vis = pub(self))]
impl Node {
    #[init]
    fn new() -> Self {
        Node {
            above: None,
            missing: 0,
            sum: 0,
            _alive: Alive::new(),
        }
    }

    pub(crate) async fn grow(&mut self, this: NodeRef, above: Above, num: u64, leaves: u64) {
        self.above = Some(above);
        if leaves == 1 {
            self.missing = 1;
            return self.total(num).await;
        }
        self.missing = CHILDREN;
        let below = leaves / CHILDREN;
        for i in 0..CHILDREN {
            let child = Node::start().await.expect("a node starts");
            let grow = child.grow(
                child.clone(),
                Above::Node(this.clone()),
                num + i * below,
                below,
            );
            grow.tell().await.expect("the child runs");
        }
    }

    pub(crate) async fn total(&mut self, sum: u64) {
        self.sum += sum;
        self.missing -= 1;
        if self.missing > 0 {
            return;
        }
        match self.above.take().expect("someone above") {
            Above::Node(node) => node.total(self.sum).tell().await.expect("the parent runs"),
            Above::Root(done) => done.send(self.sum).expect("someone waits"),
        }
    }
}

impl Peer for Ours {
    const NAME: &'static str = "actor-core";
    const NOTE: &'static str = "";
    type Rt = Ours;
    type Counter = CounterRef;

    async fn counter(sum: u64) -> CounterRef {
        Counter::start(sum).await.expect("a counter starts")
    }

    async fn add(counter: &CounterRef, n: u64) -> u64 {
        counter.add(n).await.expect("an answer")
    }

    async fn note(counter: &CounterRef, n: u64) {
        counter.note(n).tell().await.expect("the counter runs");
    }

    async fn serve(counter: &CounterRef, time: Duration) -> u64 {
        counter.serve(time).await.expect("an answer")
    }

    type Link = LinkRef;

    async fn link() -> LinkRef {
        Link::start().await.expect("a link starts")
    }

    async fn meet(link: &LinkRef, next: Option<LinkRef>, zeros: u64, done: Option<Done>) {
        link.meet(next, zeros, done).await.expect("the link runs");
    }

    async fn hop(link: &LinkRef, left: u64) {
        link.hop(left).tell().await.expect("the link runs");
    }

    type Bulk = BulkRef;

    async fn bulk() -> BulkRef {
        Bulk::start().await.expect("it starts")
    }

    async fn page(bulk: &BulkRef, page: [u8; 1024]) -> u64 {
        bulk.page(page).await.expect("an answer")
    }

    async fn block(bulk: &BulkRef, block: Vec<u8>) -> Vec<u8> {
        bulk.block(block).await.expect("an answer")
    }

    async fn skynet(leaves: u64) -> u64 {
        let (done, sum) = ::tokio::sync::oneshot::channel();
        let root = Node::start().await.expect("the root starts");
        let grow = root.grow(root.clone(), Above::Root(done), 0, leaves);
        grow.tell().await.expect("the root runs");
        sum.await.expect("the sum")
    }

    async fn restarts(times: u64) -> Option<Duration> {
        let child = Counter::child("counter", 0);
        let counter = child.handle();
        let supervisor = Supervisor::one_for_one("restarts")
            .intensity(u32::MAX, Duration::from_secs(1))
            .child(child)
            .start()
            .await
            .expect("a supervisor starts");
        let start = Instant::now();
        for _ in 0..times {
            assert_eq!(counter.add(2).await.expect("an answer"), 2);
            counter.crash().tell().await.expect("it runs");
            assert_eq!(counter.add(0).await.expect("an answer"), 0);
        }
        let took = start.elapsed();
        supervisor.stop().await;
        Some(took)
    }
}

impl Locks for Ours {
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
        let (tx, rx): (Vec<_>, Vec<_>) = (0..8).map(|_| chan::buffered::<u64>(1)).unzip();
        let sender = go(async move {
            for i in 0..values {
                tx[i as usize % 8].send(i).await.expect("someone receives");
            }
            tx // open until all is received: a closed one is ready at once
        });
        let mut sum = 0;
        for _ in 0..values {
            let value = select! {
                v = rx[0].recv() => v,
                v = rx[1].recv() => v,
                v = rx[2].recv() => v,
                v = rx[3].recv() => v,
                v = rx[4].recv() => v,
                v = rx[5].recv() => v,
                v = rx[6].recv() => v,
                v = rx[7].recv() => v,
            };
            sum += value.expect("someone sends");
        }
        drop(sender.await.expect("the sender"));
        sum
    }
}
