//! xtra's actors, used as its documentation advises: a `Handler` impl per message,
//! `spawn_tokio` with a bounded mailbox, `detach` to tell.
//!
//! xtra boxes each message; a tell allocates a slot for an answer that nobody reads. Its
//! mailbox is a heap by priority: messages of equal priority that wait in it together may be handled
//! in another order than they were sent. No supervision.

use std::time::Duration;

use ::tokio::sync::oneshot;
use ::xtra::{Actor, Address, Context, Handler, Mailbox, spawn_tokio};

use super::{CHILDREN, Done, Peer, Tokio};
use crate::MAILBOX_CAPACITY;
use crate::work::{Alive, spin};

/// xtra on tokio's multi-thread runtime.
#[derive(Debug)]
pub struct Xtra;

/// The actor that owns a sum.
#[derive(Actor, Debug)]
pub struct Counter {
    sum: u64,
    _alive: Alive,
}

struct Add(u64);
struct Note(u64);
struct Serve(Duration);

impl Handler<Add> for Counter {
    type Return = u64;

    async fn handle(&mut self, Add(n): Add, _: &mut Context<Self>) -> u64 {
        self.sum += n;
        self.sum
    }
}

impl Handler<Note> for Counter {
    type Return = ();

    async fn handle(&mut self, Note(n): Note, _: &mut Context<Self>) {
        self.sum += n;
    }
}

impl Handler<Serve> for Counter {
    type Return = u64;

    async fn handle(&mut self, Serve(time): Serve, _: &mut Context<Self>) -> u64 {
        spin(time);
        self.sum += 1;
        self.sum
    }
}

/// The actor that passes a number on.
#[derive(Actor, Debug, Default)]
pub struct Link {
    next: Option<Address<Link>>,
    zeros: u64,
    done: Option<Done>,
}

struct Meet(Link);
struct Hop(u64);

impl Handler<Meet> for Link {
    type Return = ();

    async fn handle(&mut self, Meet(link): Meet, _: &mut Context<Self>) {
        *self = link;
    }
}

impl Handler<Hop> for Link {
    type Return = ();

    async fn handle(&mut self, Hop(left): Hop, _: &mut Context<Self>) {
        if left > 0 {
            let next = self.next.as_ref().expect("a next one");
            tell(next, Hop(left - 1)).await;
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

impl Handler<Page> for Bulk {
    type Return = u64;

    async fn handle(&mut self, Page(page): Page, _: &mut Context<Self>) -> u64 {
        u64::from(page[0]) + u64::from(page[1023])
    }
}

impl Handler<Block> for Bulk {
    type Return = Vec<u8>;

    async fn handle(&mut self, Block(mut block): Block, _: &mut Context<Self>) -> Vec<u8> {
        block[0] = block[0].wrapping_add(1);
        block
    }
}

/// Whom a node tells its sum.
enum Above {
    Node(Address<Node>),
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
    fn start(above: Above) -> Address<Node> {
        let node = Node {
            above: Some(above),
            missing: 0,
            sum: 0,
            _alive: Alive::new(),
        };
        spawn_tokio(node, Mailbox::bounded(MAILBOX_CAPACITY))
    }

    async fn total(&mut self, sum: u64) {
        self.sum += sum;
        self.missing -= 1;
        if self.missing > 0 {
            return;
        }
        match self.above.take().expect("someone above") {
            Above::Node(node) => {
                tell(&node, Total(self.sum)).await;
            }
            Above::Root(done) => done.send(self.sum).expect("someone waits"),
        }
    }
}

struct Grow {
    this: Address<Node>,
    num: u64,
    leaves: u64,
}
struct Total(u64);

impl Handler<Grow> for Node {
    type Return = ();

    async fn handle(&mut self, Grow { this, num, leaves }: Grow, _: &mut Context<Self>) {
        if leaves == 1 {
            self.missing = 1;
            return self.total(num).await;
        }
        self.missing = CHILDREN;
        let leaves = leaves / CHILDREN;
        for i in 0..CHILDREN {
            let child = Node::start(Above::Node(this.clone()));
            let this = child.clone();
            let grow = Grow {
                this,
                num: num + i * leaves,
                leaves,
            };
            tell(&child, grow).await;
        }
    }
}

impl Handler<Total> for Node {
    type Return = ();

    async fn handle(&mut self, Total(sum): Total, _: &mut Context<Self>) {
        self.total(sum).await;
    }
}

async fn tell<A: Handler<M, Return = ()>, M: Send + 'static>(actor: &Address<A>, msg: M) {
    // What would resolve to the answer is nobody's.
    drop(actor.send(msg).detach().await.expect("the actor runs"));
}

impl Peer for Xtra {
    const NAME: &'static str = "xtra";
    const NOTE: &'static str = "queued messages may overtake each other";
    type Rt = Tokio;
    type Counter = Address<Counter>;

    async fn counter(sum: u64) -> Address<Counter> {
        let counter = Counter {
            sum,
            _alive: Alive::new(),
        };
        spawn_tokio(counter, Mailbox::bounded(MAILBOX_CAPACITY))
    }

    async fn add(counter: &Address<Counter>, n: u64) -> u64 {
        counter.send(Add(n)).await.expect("an answer")
    }

    async fn note(counter: &Address<Counter>, n: u64) {
        tell(counter, Note(n)).await;
    }

    async fn serve(counter: &Address<Counter>, time: Duration) -> u64 {
        counter.send(Serve(time)).await.expect("an answer")
    }

    type Link = Address<Link>;

    async fn link() -> Address<Link> {
        spawn_tokio(Link::default(), Mailbox::bounded(MAILBOX_CAPACITY))
    }

    async fn meet(
        link: &Address<Link>,
        next: Option<Address<Link>>,
        zeros: u64,
        done: Option<Done>,
    ) {
        link.send(Meet(Link { next, zeros, done }))
            .await
            .expect("the link runs");
    }

    async fn hop(link: &Address<Link>, left: u64) {
        tell(link, Hop(left)).await;
    }

    type Bulk = Address<Bulk>;

    async fn bulk() -> Address<Bulk> {
        spawn_tokio(Bulk, Mailbox::bounded(MAILBOX_CAPACITY))
    }

    async fn page(bulk: &Address<Bulk>, page: [u8; 1024]) -> u64 {
        bulk.send(Page(page)).await.expect("an answer")
    }

    async fn block(bulk: &Address<Bulk>, block: Vec<u8>) -> Vec<u8> {
        bulk.send(Block(block)).await.expect("an answer")
    }

    async fn skynet(leaves: u64) -> u64 {
        let (done, sum) = oneshot::channel();
        let root = Node::start(Above::Root(done));
        let grow = Grow {
            this: root.clone(),
            num: 0,
            leaves,
        };
        tell(&root, grow).await;
        drop(root);
        sum.await.expect("the sum")
    }
}
