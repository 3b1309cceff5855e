//! ractor's actors, used as its documentation advises: the actor is one value, its state another,
//! messages are an enum, asks carry a reply port, a supervisor handles its children's failures.
//!
//! ractor's mailboxes are unbounded, so that tells wait for nobody. An actor ends when it is told
//! to, not when its handles are gone. Each runs in its own task, with four channels.

use std::time::{Duration, Instant};

use ::ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort, SupervisionEvent, call, cast};
use ::tokio::sync::{mpsc, oneshot};

use super::{CHILDREN, Done, Peer, Tokio};
use crate::work::{Alive, spin};

type Processed = Result<(), ActorProcessingErr>;

/// ractor on tokio's multi-thread runtime.
#[derive(Debug)]
pub struct Ractor;

struct Counter;

/// What a counter is sent.
#[derive(Debug)]
pub enum Msg {
    /// Answers the sum.
    Add(u64, RpcReplyPort<u64>),
    /// Is not answered.
    Note(u64),
    /// Takes so long.
    Serve(Duration, RpcReplyPort<u64>),
    /// Panics.
    Crash,
}

impl Actor for Counter {
    type Msg = Msg;
    type State = (u64, Alive);
    type Arguments = u64;

    async fn pre_start(
        &self,
        _: ActorRef<Msg>,
        sum: u64,
    ) -> Result<Self::State, ActorProcessingErr> {
        Ok((sum, Alive::new()))
    }

    async fn handle(&self, _: ActorRef<Msg>, msg: Msg, (sum, _): &mut Self::State) -> Processed {
        match msg {
            Msg::Add(n, reply) => {
                *sum += n;
                reply.send(*sum)?;
            }
            Msg::Note(n) => *sum += n,
            Msg::Serve(time, reply) => {
                spin(time);
                *sum += 1;
                reply.send(*sum)?;
            }
            Msg::Crash => panic!("{}", crate::CRASH),
        }
        Ok(())
    }
}

struct Link;

/// What a link is sent.
#[derive(Debug)]
pub enum LinkMsg {
    /// Its neighbour, how many zeros it expects, and whom it tells.
    Meet(
        Option<ActorRef<LinkMsg>>,
        u64,
        Option<Done>,
        RpcReplyPort<()>,
    ),
    /// The number that it passes on.
    Hop(u64),
}

#[derive(Default)]
struct LinkState {
    next: Option<ActorRef<LinkMsg>>,
    zeros: u64,
    done: Option<Done>,
}

impl Actor for Link {
    type Msg = LinkMsg;
    type State = LinkState;
    type Arguments = ();

    async fn pre_start(
        &self,
        _: ActorRef<LinkMsg>,
        (): (),
    ) -> Result<LinkState, ActorProcessingErr> {
        Ok(LinkState::default())
    }

    async fn handle(&self, _: ActorRef<LinkMsg>, msg: LinkMsg, link: &mut LinkState) -> Processed {
        match msg {
            LinkMsg::Meet(next, zeros, done, reply) => {
                *link = LinkState { next, zeros, done };
                reply.send(())?;
            }
            LinkMsg::Hop(0) => {
                link.zeros -= 1;
                if link.zeros == 0 {
                    link.done
                        .take()
                        .expect("someone waits")
                        .send(())
                        .expect("someone waits");
                }
            }
            LinkMsg::Hop(left) => {
                let next = link.next.as_ref().expect("a next one");
                cast!(next, LinkMsg::Hop(left - 1))?;
            }
        }
        Ok(())
    }
}

struct Bulk;

/// What the actor of big messages is sent.
#[derive(Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "the work is about messages inline"
)]
pub enum BulkMsg {
    /// One that is copied.
    Page([u8; 1024], RpcReplyPort<u64>),
    /// One that is not.
    Block(Vec<u8>, RpcReplyPort<Vec<u8>>),
}

impl Actor for Bulk {
    type Msg = BulkMsg;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<BulkMsg>, (): ()) -> Processed {
        Ok(())
    }

    async fn handle(&self, _: ActorRef<BulkMsg>, msg: BulkMsg, (): &mut ()) -> Processed {
        match msg {
            BulkMsg::Page(page, reply) => {
                reply.send(u64::from(page[0]) + u64::from(page[1023]))?;
            }
            BulkMsg::Block(mut block, reply) => {
                block[0] = block[0].wrapping_add(1);
                reply.send(block)?;
            }
        }
        Ok(())
    }
}

struct Node;

/// Whom a node tells its sum.
enum Above {
    Node(ActorRef<NodeMsg>),
    Root(Done<u64>),
}

enum NodeMsg {
    Grow { num: u64, leaves: u64 },
    Total(u64),
}

struct NodeState {
    above: Option<Above>,
    missing: u64,
    sum: u64,
    _alive: Alive,
}

impl NodeState {
    fn total(&mut self, this: &ActorRef<NodeMsg>, sum: u64) -> Processed {
        self.sum += sum;
        self.missing -= 1;
        if self.missing > 0 {
            return Ok(());
        }
        this.stop(None);
        match self.above.take().expect("someone above") {
            Above::Node(node) => cast!(node, NodeMsg::Total(self.sum))?,
            Above::Root(done) => done.send(self.sum).expect("someone waits"),
        }
        Ok(())
    }
}

impl Actor for Node {
    type Msg = NodeMsg;
    type State = NodeState;
    type Arguments = Above;

    async fn pre_start(
        &self,
        _: ActorRef<NodeMsg>,
        above: Above,
    ) -> Result<NodeState, ActorProcessingErr> {
        Ok(NodeState {
            above: Some(above),
            missing: 0,
            sum: 0,
            _alive: Alive::new(),
        })
    }

    async fn handle(
        &self,
        this: ActorRef<NodeMsg>,
        msg: NodeMsg,
        node: &mut NodeState,
    ) -> Processed {
        match msg {
            NodeMsg::Grow { num, leaves: 1 } => {
                node.missing = 1;
                node.total(&this, num)
            }
            NodeMsg::Grow { num, leaves } => {
                node.missing = CHILDREN;
                let leaves = leaves / CHILDREN;
                for i in 0..CHILDREN {
                    let (child, _) = Actor::spawn(None, Node, Above::Node(this.clone())).await?;
                    cast!(
                        child,
                        NodeMsg::Grow {
                            num: num + i * leaves,
                            leaves
                        }
                    )?;
                }
                Ok(())
            }
            NodeMsg::Total(sum) => node.total(&this, sum),
        }
    }
}

/// Supervises one counter and says where it runs now.
struct Parent;

impl Actor for Parent {
    type Msg = ();
    type State = mpsc::UnboundedSender<ActorRef<Msg>>;
    type Arguments = Self::State;

    async fn pre_start(
        &self,
        this: ActorRef<()>,
        news: Self::State,
    ) -> Result<Self::State, ActorProcessingErr> {
        let (counter, _) = Actor::spawn_linked(None, Counter, 0, this.get_cell()).await?;
        news.send(counter)?;
        Ok(news)
    }

    async fn handle_supervisor_evt(
        &self,
        this: ActorRef<()>,
        event: SupervisionEvent,
        news: &mut Self::State,
    ) -> Processed {
        if let SupervisionEvent::ActorFailed(..) = event {
            let (counter, _) = Actor::spawn_linked(None, Counter, 0, this.get_cell()).await?;
            news.send(counter)?;
        }
        Ok(())
    }
}

impl Peer for Ractor {
    const NAME: &'static str = "ractor";
    const NOTE: &'static str = "unbounded mailboxes";
    type Rt = Tokio;
    type Counter = ActorRef<Msg>;

    async fn counter(sum: u64) -> ActorRef<Msg> {
        Actor::spawn(None, Counter, sum)
            .await
            .expect("a counter starts")
            .0
    }

    async fn add(counter: &ActorRef<Msg>, n: u64) -> u64 {
        call!(counter, Msg::Add, n).expect("an answer")
    }

    async fn note(counter: &ActorRef<Msg>, n: u64) {
        cast!(counter, Msg::Note(n)).expect("the counter runs");
    }

    async fn serve(counter: &ActorRef<Msg>, time: Duration) -> u64 {
        call!(counter, Msg::Serve, time).expect("an answer")
    }

    fn release(counter: ActorRef<Msg>) {
        counter.stop(None);
    }

    type Link = ActorRef<LinkMsg>;

    async fn link() -> ActorRef<LinkMsg> {
        Actor::spawn(None, Link, ()).await.expect("a link starts").0
    }

    async fn meet(
        link: &ActorRef<LinkMsg>,
        next: Option<ActorRef<LinkMsg>>,
        zeros: u64,
        done: Option<Done>,
    ) {
        call!(link, LinkMsg::Meet, next, zeros, done).expect("an answer");
    }

    async fn hop(link: &ActorRef<LinkMsg>, left: u64) {
        cast!(link, LinkMsg::Hop(left)).expect("the link runs");
    }

    type Bulk = ActorRef<BulkMsg>;

    async fn bulk() -> ActorRef<BulkMsg> {
        Actor::spawn(None, Bulk, ()).await.expect("it starts").0
    }

    async fn page(bulk: &ActorRef<BulkMsg>, page: [u8; 1024]) -> u64 {
        call!(bulk, BulkMsg::Page, page).expect("an answer")
    }

    async fn block(bulk: &ActorRef<BulkMsg>, block: Vec<u8>) -> Vec<u8> {
        call!(bulk, BulkMsg::Block, block).expect("an answer")
    }

    async fn skynet(leaves: u64) -> u64 {
        let (done, sum) = oneshot::channel();
        let (root, _) = Actor::spawn(None, Node, Above::Root(done))
            .await
            .expect("the root starts");
        assert!(
            cast!(root, NodeMsg::Grow { num: 0, leaves }).is_ok(),
            "the root runs"
        );
        sum.await.expect("the sum")
    }

    async fn restarts(times: u64) -> Option<Duration> {
        let (tx, mut counters) = mpsc::unbounded_channel();
        let (parent, _) = Actor::spawn(None, Parent, tx)
            .await
            .expect("a parent starts");
        let mut counter = counters.recv().await.expect("the first one");
        let start = Instant::now();
        for _ in 0..times {
            assert_eq!(call!(counter, Msg::Add, 2).expect("an answer"), 2);
            cast!(counter, Msg::Crash).expect("it runs");
            counter = counters.recv().await.expect("the next one");
            assert_eq!(call!(counter, Msg::Add, 0).expect("an answer"), 0);
        }
        let took = start.elapsed();
        parent.stop(None);
        Some(took)
    }
}
