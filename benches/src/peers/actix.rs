//! actix's actors, used as its documentation advises: a `Handler` impl per message, actors started
//! on the current arbiter, `do_send` to tell.
//!
//! All of it, actors and those who talk to them, is on one thread (an arbiter), where no message
//! crosses cores and nothing is stolen: several arbiters would be several such worlds. `do_send`
//! ignores the mailbox's capacity, so that tells wait for nobody. A panic ends the thread; what
//! `Supervisor` restarts is an actor that stopped.

use std::time::{Duration, Instant};

use ::actix::{
    Actor, ActorContext, Addr, ArbiterHandle, AsyncContext, Context, Handler, Message,
    MessageResult, Supervised, Supervisor, System, SystemRunner,
};
use ::tokio::sync::oneshot;

use super::{BoxTask, CHILDREN, Done, Peer, Runtime};
use crate::work::{Alive, spin};

/// actix and its single-threaded runtime.
#[derive(Debug)]
pub struct Actix {
    system: SystemRunner,
    arbiter: ArbiterHandle,
}

impl Runtime for Actix {
    const NAME: &'static str = "actix";

    fn start() -> Self {
        let system = System::new();
        let arbiter = system.block_on(async { System::current().arbiter().clone() });
        Actix { system, arbiter }
    }

    fn run<T: Send + 'static>(&self, task: impl Future<Output = T> + Send + 'static) -> T {
        self.system
            .block_on(async { ::actix::spawn(task).await.expect("the task") })
    }

    fn injector(&self) -> impl Fn(BoxTask) + Send + 'static {
        let arbiter = self.arbiter.clone();
        move |task| assert!(arbiter.spawn(task), "the arbiter runs")
    }

    fn go<T: Send + 'static>(
        task: impl Future<Output = T> + Send + 'static,
    ) -> impl Future<Output = T> + Send + 'static {
        let task = ::actix::spawn(task);
        async { task.await.expect("the task") }
    }

    fn sleep(time: Duration) -> impl Future<Output = ()> + Send {
        ::tokio::time::sleep(time)
    }

    fn yield_now() -> impl Future<Output = ()> + Send {
        ::tokio::task::yield_now()
    }
}

/// The actor that owns a sum.
#[derive(Debug)]
pub struct Counter {
    sum: u64,
    _alive: Alive,
}

impl Actor for Counter {
    type Context = Context<Self>;
}

impl Supervised for Counter {
    fn restarting(&mut self, _: &mut Context<Self>) {
        self.sum = 0;
    }
}

#[derive(Message)]
#[rtype(u64)]
struct Add(u64);

#[derive(Message)]
#[rtype("()")]
struct Note(u64);

#[derive(Message)]
#[rtype(u64)]
struct Serve(Duration);

#[derive(Message)]
#[rtype("()")]
struct Stop;

impl Handler<Add> for Counter {
    type Result = u64;

    fn handle(&mut self, Add(n): Add, _: &mut Context<Self>) -> u64 {
        self.sum += n;
        self.sum
    }
}

impl Handler<Note> for Counter {
    type Result = ();

    fn handle(&mut self, Note(n): Note, _: &mut Context<Self>) {
        self.sum += n;
    }
}

impl Handler<Serve> for Counter {
    type Result = u64;

    fn handle(&mut self, Serve(time): Serve, _: &mut Context<Self>) -> u64 {
        spin(time);
        self.sum += 1;
        self.sum
    }
}

impl Handler<Stop> for Counter {
    type Result = ();

    fn handle(&mut self, Stop: Stop, ctx: &mut Context<Self>) {
        ctx.stop();
    }
}

/// The actor that passes a number on.
#[derive(Debug, Default)]
pub struct Link {
    next: Option<Addr<Link>>,
    zeros: u64,
    done: Option<Done>,
}

impl Actor for Link {
    type Context = Context<Self>;
}

#[derive(Message)]
#[rtype("()")]
struct Meet(Link);

#[derive(Message)]
#[rtype("()")]
struct Hop(u64);

impl Handler<Meet> for Link {
    type Result = ();

    fn handle(&mut self, Meet(link): Meet, _: &mut Context<Self>) {
        *self = link;
    }
}

impl Handler<Hop> for Link {
    type Result = ();

    fn handle(&mut self, Hop(left): Hop, _: &mut Context<Self>) {
        if left > 0 {
            return self
                .next
                .as_ref()
                .expect("a next one")
                .do_send(Hop(left - 1));
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

/// The actor of big messages.
#[derive(Debug)]
pub struct Bulk;

impl Actor for Bulk {
    type Context = Context<Self>;
}

#[derive(Message)]
#[rtype(u64)]
struct Page([u8; 1024]);

#[derive(Message)]
#[rtype("Vec<u8>")]
struct Block(Vec<u8>);

impl Handler<Page> for Bulk {
    type Result = u64;

    fn handle(&mut self, Page(page): Page, _: &mut Context<Self>) -> u64 {
        u64::from(page[0]) + u64::from(page[1023])
    }
}

impl Handler<Block> for Bulk {
    type Result = MessageResult<Block>;

    fn handle(&mut self, Block(mut block): Block, _: &mut Context<Self>) -> Self::Result {
        block[0] = block[0].wrapping_add(1);
        MessageResult(block)
    }
}

/// Whom a node tells its sum.
enum Above {
    Node(Addr<Node>),
    Root(Done<u64>),
}

struct Node {
    above: Option<Above>,
    missing: u64,
    sum: u64,
    _alive: Alive,
}

impl Actor for Node {
    type Context = Context<Self>;
}

impl Node {
    fn start_below(above: Above) -> Addr<Node> {
        Node {
            above: Some(above),
            missing: 0,
            sum: 0,
            _alive: Alive::new(),
        }
        .start()
    }
}

#[derive(Message)]
#[rtype("()")]
struct Grow {
    num: u64,
    leaves: u64,
}

#[derive(Message)]
#[rtype("()")]
struct Total(u64);

impl Handler<Grow> for Node {
    type Result = ();

    fn handle(&mut self, Grow { num, leaves }: Grow, ctx: &mut Context<Self>) {
        if leaves == 1 {
            self.missing = 1;
            return self.handle(Total(num), ctx);
        }
        self.missing = CHILDREN;
        let leaves = leaves / CHILDREN;
        for i in 0..CHILDREN {
            let child = Node::start_below(Above::Node(ctx.address()));
            child.do_send(Grow {
                num: num + i * leaves,
                leaves,
            });
        }
    }
}

impl Handler<Total> for Node {
    type Result = ();

    fn handle(&mut self, Total(sum): Total, _: &mut Context<Self>) {
        self.sum += sum;
        self.missing -= 1;
        if self.missing > 0 {
            return;
        }
        match self.above.take().expect("someone above") {
            Above::Node(node) => node.do_send(Total(self.sum)),
            Above::Root(done) => done.send(self.sum).expect("someone waits"),
        }
    }
}

impl Peer for Actix {
    const NAME: &'static str = "actix";
    const NOTE: &'static str = "all on one thread, tells unbounded";
    type Rt = Actix;
    type Counter = Addr<Counter>;

    async fn counter(sum: u64) -> Addr<Counter> {
        Counter {
            sum,
            _alive: Alive::new(),
        }
        .start()
    }

    async fn add(counter: &Addr<Counter>, n: u64) -> u64 {
        counter.send(Add(n)).await.expect("an answer")
    }

    async fn note(counter: &Addr<Counter>, n: u64) {
        counter.do_send(Note(n));
    }

    async fn serve(counter: &Addr<Counter>, time: Duration) -> u64 {
        counter.send(Serve(time)).await.expect("an answer")
    }

    type Link = Addr<Link>;

    async fn link() -> Addr<Link> {
        Link::default().start()
    }

    async fn meet(link: &Addr<Link>, next: Option<Addr<Link>>, zeros: u64, done: Option<Done>) {
        link.send(Meet(Link { next, zeros, done }))
            .await
            .expect("the link runs");
    }

    async fn hop(link: &Addr<Link>, left: u64) {
        link.do_send(Hop(left));
    }

    type Bulk = Addr<Bulk>;

    async fn bulk() -> Addr<Bulk> {
        Bulk.start()
    }

    async fn page(bulk: &Addr<Bulk>, page: [u8; 1024]) -> u64 {
        bulk.send(Page(page)).await.expect("an answer")
    }

    async fn block(bulk: &Addr<Bulk>, block: Vec<u8>) -> Vec<u8> {
        bulk.send(Block(block)).await.expect("an answer")
    }

    async fn skynet(leaves: u64) -> u64 {
        let (done, sum) = oneshot::channel();
        let root = Node::start_below(Above::Root(done));
        root.do_send(Grow { num: 0, leaves });
        drop(root);
        sum.await.expect("the sum")
    }

    async fn restarts(times: u64) -> Option<Duration> {
        let counter = Supervisor::start(|_| Counter {
            sum: 0,
            _alive: Alive::new(),
        });
        let start = Instant::now();
        for _ in 0..times {
            assert_eq!(counter.send(Add(2)).await.expect("an answer"), 2);
            counter.send(Stop).await.expect("it runs");
            assert_eq!(counter.send(Add(0)).await.expect("an answer"), 0);
        }
        Some(start.elapsed())
    }
}
