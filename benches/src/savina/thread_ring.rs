//! Thread ring: 100 actors in a ring pass a token on. An operation is one hop.
//!
//! The token carries where to say that it has arrived. Checked: it arrives after so many hops, at the
//! node where it has to.

use super::{Benchmark, on_ours, on_tokio};

const NODES: u64 = 100;

pub(super) const BENCHMARK: Benchmark = Benchmark {
    name: "thread ring",
    operation: "hop",
    ops: 400_000,
    run: [
        |ops| on_ours(ours::run, ops),
        |ops| on_tokio(tokio_actor::run, ops),
        |ops| on_tokio(kameo::run, ops),
    ],
};

/// Where a token ends that starts at node 0.
fn last(hops: u64) -> u64 {
    hops % NODES
}

mod ours {
    use std::time::{Duration, Instant};

    use actor_core::prelude::*;

    use super::{NODES, last};

    struct Node {
        number: u64,
        next: Option<NodeRef>,
    }

    #[actor(vis = pub(self))]
    impl Node {
        #[init]
        fn new(number: u64) -> Self {
            Node { number, next: None }
        }

        pub(crate) fn join(&mut self, next: NodeRef) {
            self.next = Some(next);
        }

        /// Hands the token on; the last one answers for all, with its number.
        pub(crate) async fn token(&mut self, hops: u64, arrived: Reply<u64>) {
            match &self.next {
                Some(next) if hops > 0 => next.token(hops - 1).forward(arrived).await,
                _ => arrived.send(self.number),
            }
        }
    }

    pub(super) async fn run(ops: u64) -> Duration {
        let mut nodes = Vec::new();
        for number in 0..NODES {
            nodes.push(Node::start(number).await.expect("a node starts"));
        }
        for (node, next) in nodes.iter().zip(nodes.iter().cycle().skip(1)) {
            node.join(next.clone()).await.expect("it runs");
        }
        let start = Instant::now();
        assert_eq!(nodes[0].token(ops).await, Ok(last(ops)));
        let took = start.elapsed();
        for node in nodes {
            node.stop().await; // each keeps the next one alive
        }
        took
    }
}

mod tokio_actor {
    use std::time::{Duration, Instant};

    use tokio::sync::{mpsc, oneshot};

    use super::{NODES, last};
    use crate::MAILBOX_CAPACITY;

    struct Token {
        hops: u64,
        arrived: oneshot::Sender<u64>,
    }

    async fn node(number: u64, mut inbox: mpsc::Receiver<Token>, next: mpsc::Sender<Token>) {
        while let Some(Token { hops, arrived }) = inbox.recv().await {
            if hops > 0 {
                let token = Token {
                    hops: hops - 1,
                    arrived,
                };
                next.send(token).await.expect("the next one runs");
            } else {
                arrived.send(number).expect("someone waits");
            }
        }
    }

    pub(super) async fn run(ops: u64) -> Duration {
        let (to_first, inbox) = mpsc::channel(MAILBOX_CAPACITY);
        let mut next = to_first.clone();
        let mut tasks = Vec::new();
        for number in (1..NODES).rev() {
            let (tx, rx) = mpsc::channel(MAILBOX_CAPACITY);
            tasks.push(tokio::spawn(node(number, rx, next)));
            next = tx;
        }
        tasks.push(tokio::spawn(node(0, inbox, next)));
        let start = Instant::now();
        let (arrived, end) = oneshot::channel();
        let token = Token { hops: ops, arrived };
        to_first.send(token).await.expect("it runs");
        assert_eq!(end.await.expect("an answer"), last(ops));
        let took = start.elapsed();
        for task in tasks {
            task.abort(); // each keeps the next one alive
        }
        took
    }
}

mod kameo {
    use std::time::{Duration, Instant};

    use ::kameo::prelude::*;
    use tokio::sync::oneshot;

    use super::{NODES, last};

    #[derive(Actor)]
    struct Node {
        number: u64,
        next: Option<ActorRef<Node>>,
    }

    struct Join(ActorRef<Node>);
    struct Token {
        hops: u64,
        arrived: oneshot::Sender<u64>,
    }

    impl Message<Join> for Node {
        type Reply = ();

        async fn handle(&mut self, Join(next): Join, _ctx: &mut Context<Self, Self::Reply>) {
            self.next = Some(next);
        }
    }

    // Its `forward` can't be used here: the type of the reply would contain itself.
    impl Message<Token> for Node {
        type Reply = ();

        async fn handle(&mut self, token: Token, _ctx: &mut Context<Self, Self::Reply>) {
            let Token { hops, arrived } = token;
            match &self.next {
                Some(next) if hops > 0 => {
                    let token = Token {
                        hops: hops - 1,
                        arrived,
                    };
                    next.tell(token).await.expect("the next one runs");
                }
                _ => arrived.send(self.number).expect("someone waits"),
            }
        }
    }

    pub(super) async fn run(ops: u64) -> Duration {
        let nodes: Vec<_> = (0..NODES)
            .map(|number| Node::spawn(Node { number, next: None }))
            .collect();
        for (node, next) in nodes.iter().zip(nodes.iter().cycle().skip(1)) {
            node.ask(Join(next.clone())).await.expect("it runs");
        }
        let start = Instant::now();
        let (arrived, end) = oneshot::channel();
        let token = Token { hops: ops, arrived };
        nodes[0].tell(token).await.expect("it runs");
        assert_eq!(end.await.expect("an answer"), last(ops));
        let took = start.elapsed();
        for node in nodes {
            node.kill(); // each keeps the next one alive
        }
        took
    }
}
