//! kameo's actors, used as its documentation advises: `#[derive(Actor)]`, a `Message` impl per
//! message, `spawn` with the default bounded mailbox (64), on tokio's multi-thread runtime.
//!
//! kameo starts, supervises and links actors, catches panics and boxes each message and reply.

use std::time::{Duration, Instant};

use ::kameo::Actor;
use ::kameo::actor::{ActorRef, Spawn};
use ::kameo::error::Infallible;
use ::kameo::message::{Context, Message};
use ::kameo::supervision::RestartPolicy;
use ::tokio::sync::oneshot;

use super::{CHILDREN, Done, Peer, Tokio};
use crate::work::{Alive, spin};

/// kameo on tokio's multi-thread runtime.
#[derive(Debug)]
pub struct Kameo;

/// The actor that owns a sum.
#[derive(Debug)]
pub struct Counter {
    sum: u64,
    _alive: Alive,
}

impl Actor for Counter {
    type Args = u64;
    type Error = Infallible;

    async fn on_start(sum: u64, _: ActorRef<Self>) -> Result<Self, Infallible> {
        Ok(Counter {
            sum,
            _alive: Alive::new(),
        })
    }
}

struct Add(u64);
struct Note(u64);
struct Serve(Duration);
struct Crash;

impl Message<Add> for Counter {
    type Reply = u64;

    async fn handle(&mut self, Add(n): Add, _ctx: &mut Context<Self, u64>) -> u64 {
        self.sum += n;
        self.sum
    }
}

impl Message<Note> for Counter {
    type Reply = ();

    async fn handle(&mut self, Note(n): Note, _ctx: &mut Context<Self, ()>) {
        self.sum += n;
    }
}

impl Message<Serve> for Counter {
    type Reply = u64;

    async fn handle(&mut self, Serve(time): Serve, _ctx: &mut Context<Self, u64>) -> u64 {
        spin(time);
        self.sum += 1;
        self.sum
    }
}

impl Message<Crash> for Counter {
    type Reply = ();

    async fn handle(&mut self, Crash: Crash, _ctx: &mut Context<Self, ()>) {
        panic!("{}", crate::CRASH);
    }
}

/// The actor that passes a number on.
#[derive(Actor, Debug, Default)]
pub struct Link {
    next: Option<ActorRef<Link>>,
    zeros: u64,
    done: Option<Done>,
}

struct Meet(Link);
struct Hop(u64);

impl Message<Meet> for Link {
    type Reply = ();

    async fn handle(&mut self, Meet(link): Meet, _ctx: &mut Context<Self, ()>) {
        *self = link;
    }
}

impl Message<Hop> for Link {
    type Reply = ();

    async fn handle(&mut self, Hop(left): Hop, _ctx: &mut Context<Self, ()>) {
        if left > 0 {
            let next = self.next.as_ref().expect("a next one");
            next.tell(Hop(left - 1)).await.expect("the next one runs");
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

/// The actor of big messages.
#[derive(Actor, Debug)]
pub struct Bulk;

struct Page([u8; 1024]);
struct Block(Vec<u8>);

impl Message<Page> for Bulk {
    type Reply = u64;

    async fn handle(&mut self, Page(page): Page, _ctx: &mut Context<Self, u64>) -> u64 {
        u64::from(page[0]) + u64::from(page[1023])
    }
}

impl Message<Block> for Bulk {
    type Reply = Vec<u8>;

    async fn handle(
        &mut self,
        Block(mut block): Block,
        _ctx: &mut Context<Self, Self::Reply>,
    ) -> Vec<u8> {
        block[0] = block[0].wrapping_add(1);
        block
    }
}

/// Whom a node tells its sum.
enum Above {
    Node(ActorRef<Node>),
    Root(Done<u64>),
}

#[derive(Actor)]
struct Node {
    above: Option<Above>,
    missing: u64,
    sum: u64,
    _alive: Alive,
}

impl Node {
    fn start(above: Above) -> ActorRef<Node> {
        Node::spawn(Node {
            above: Some(above),
            missing: 0,
            sum: 0,
            _alive: Alive::new(),
        })
    }

    async fn total(&mut self, sum: u64) {
        self.sum += sum;
        self.missing -= 1;
        if self.missing > 0 {
            return;
        }
        match self.above.take().expect("someone above") {
            Above::Node(node) => node.tell(Total(self.sum)).await.expect("the parent runs"),
            Above::Root(done) => done.send(self.sum).expect("someone waits"),
        }
    }
}

struct Grow {
    num: u64,
    leaves: u64,
}
struct Total(u64);

impl Message<Grow> for Node {
    type Reply = ();

    async fn handle(&mut self, Grow { num, leaves }: Grow, ctx: &mut Context<Self, ()>) {
        if leaves == 1 {
            self.missing = 1;
            return self.total(num).await;
        }
        self.missing = CHILDREN;
        let leaves = leaves / CHILDREN;
        for i in 0..CHILDREN {
            let child = Node::start(Above::Node(ctx.actor_ref().clone()));
            let grow = Grow {
                num: num + i * leaves,
                leaves,
            };
            child.tell(grow).await.expect("the child runs");
        }
    }
}

impl Message<Total> for Node {
    type Reply = ();

    async fn handle(&mut self, Total(sum): Total, _ctx: &mut Context<Self, ()>) {
        self.total(sum).await;
    }
}

#[derive(Actor)]
struct Parent;

impl Peer for Kameo {
    const NAME: &'static str = "kameo";
    const NOTE: &'static str = "";
    type Rt = Tokio;
    type Counter = ActorRef<Counter>;

    async fn counter(sum: u64) -> ActorRef<Counter> {
        Counter::spawn(sum)
    }

    async fn add(counter: &ActorRef<Counter>, n: u64) -> u64 {
        counter.ask(Add(n)).await.expect("an answer")
    }

    async fn note(counter: &ActorRef<Counter>, n: u64) {
        counter.tell(Note(n)).await.expect("the counter runs");
    }

    async fn serve(counter: &ActorRef<Counter>, time: Duration) -> u64 {
        counter.ask(Serve(time)).await.expect("an answer")
    }

    type Link = ActorRef<Link>;

    async fn link() -> ActorRef<Link> {
        Link::spawn_default()
    }

    async fn meet(
        link: &ActorRef<Link>,
        next: Option<ActorRef<Link>>,
        zeros: u64,
        done: Option<Done>,
    ) {
        link.ask(Meet(Link { next, zeros, done }))
            .await
            .expect("the link runs");
    }

    async fn hop(link: &ActorRef<Link>, left: u64) {
        link.tell(Hop(left)).await.expect("the link runs");
    }

    type Bulk = ActorRef<Bulk>;

    async fn bulk() -> ActorRef<Bulk> {
        Bulk::spawn(Bulk)
    }

    async fn page(bulk: &ActorRef<Bulk>, page: [u8; 1024]) -> u64 {
        bulk.ask(Page(page)).await.expect("an answer")
    }

    async fn block(bulk: &ActorRef<Bulk>, block: Vec<u8>) -> Vec<u8> {
        bulk.ask(Block(block)).await.expect("an answer")
    }

    async fn skynet(leaves: u64) -> u64 {
        let (done, sum) = oneshot::channel();
        let root = Node::start(Above::Root(done));
        root.tell(Grow { num: 0, leaves })
            .await
            .expect("the root runs");
        drop(root);
        sum.await.expect("the sum")
    }

    async fn restarts(times: u64) -> Option<Duration> {
        let parent = Parent::spawn(Parent);
        let counter = Counter::supervise(&parent, 0)
            .restart_policy(RestartPolicy::Permanent)
            .restart_limit(u32::MAX, Duration::from_secs(1))
            .spawn()
            .await;
        let start = Instant::now();
        for _ in 0..times {
            assert_eq!(counter.ask(Add(2)).await.expect("an answer"), 2);
            counter.tell(Crash).await.expect("it runs");
            assert_eq!(counter.ask(Add(0)).await.expect("an answer"), 0);
        }
        Some(start.elapsed())
    }
}
