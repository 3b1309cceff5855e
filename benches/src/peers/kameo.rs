//! kameo's actors, used as its documentation advises: `#[derive(Actor)]`, a `Message` impl per
//! message, `spawn` with the default bounded mailbox (64), on tokio's multi-thread runtime.
//!
//! kameo starts, supervises and links actors, catches panics and boxes each message and reply.

use std::time::{Duration, Instant};

use ::kameo::Actor;
use ::kameo::actor::{ActorRef, Spawn};
use ::kameo::message::{Context, Message};
use ::tokio::runtime::Runtime;
use ::tokio::sync::oneshot;

use super::{Idle, Memory, Peer, share};
use crate::gap::{Offence, WorstGap};
use crate::work::{ASKERS, PAIRS, Work};

/// kameo on tokio's multi-thread runtime.
#[derive(Debug)]
pub struct Kameo {
    rt: Runtime,
}

#[derive(Actor)]
struct Counter {
    sum: u64,
}

struct Add(u64);
struct Note(u64);

impl Message<Add> for Counter {
    type Reply = u64;

    async fn handle(&mut self, Add(n): Add, _ctx: &mut Context<Self, Self::Reply>) -> u64 {
        self.sum += n;
        self.sum
    }
}

impl Message<Note> for Counter {
    type Reply = ();

    async fn handle(&mut self, Note(n): Note, _ctx: &mut Context<Self, Self::Reply>) {
        self.sum += n;
    }
}

#[derive(Actor, Default)]
struct Player {
    peer: Option<ActorRef<Player>>,
    done: Option<oneshot::Sender<()>>,
    seen: u64,
}

struct Meet {
    peer: Option<ActorRef<Player>>,
    done: Option<oneshot::Sender<()>>,
}
struct Ball(u64);
struct Seen;

impl Message<Meet> for Player {
    type Reply = ();

    async fn handle(&mut self, Meet { peer, done }: Meet, _ctx: &mut Context<Self, Self::Reply>) {
        (self.peer, self.done) = (peer, done);
    }
}

impl Message<Ball> for Player {
    type Reply = ();

    async fn handle(&mut self, Ball(left): Ball, _ctx: &mut Context<Self, Self::Reply>) {
        self.seen += 1;
        if left > 0 {
            let peer = self.peer.as_ref().expect("a peer");
            peer.tell(Ball(left - 1)).await.expect("the peer runs");
        } else {
            self.done
                .take()
                .expect("someone waits")
                .send(())
                .expect("someone waits");
        }
    }
}

impl Message<Seen> for Player {
    type Reply = u64;

    async fn handle(&mut self, Seen: Seen, _ctx: &mut Context<Self, Self::Reply>) -> u64 {
        self.seen
    }
}

async fn ask(ops: u64) -> Duration {
    let counter = Counter::spawn(Counter { sum: 0 });
    let start = Instant::now();
    for i in 1..=ops {
        assert_eq!(counter.ask(Add(1)).await.expect("an answer"), i);
    }
    start.elapsed()
}

/// `askers` tasks that ask the actor of their number modulo `actors`.
async fn ask_many(ops: u64, askers: u64, actors: u64) -> Duration {
    let counters: Vec<_> = (0..actors)
        .map(|_| Counter::spawn(Counter { sum: 0 }))
        .collect();
    let start = Instant::now();
    let mut tasks = Vec::new();
    for task in 0..askers {
        let counter = counters[(task % actors) as usize].clone();
        tasks.push(::tokio::spawn(async move {
            let mut last = 0;
            for _ in 0..share(ops, askers, task) {
                let sum = counter.ask(Add(1)).await.expect("an answer");
                assert!(sum > last, "{sum} after {last}");
                last = sum;
            }
        }));
    }
    for task in tasks {
        task.await.expect("an asker");
    }
    let took = start.elapsed();
    let mut sum = 0;
    for counter in &counters {
        sum += counter.ask(Add(0)).await.expect("an answer");
    }
    assert_eq!(sum, ops);
    took
}

async fn tell(ops: u64, producers: u64) -> Duration {
    let counter = Counter::spawn(Counter { sum: 0 });
    let start = Instant::now();
    if producers == 1 {
        for _ in 0..ops {
            counter.tell(Note(1)).await.expect("the counter runs");
        }
    } else {
        let mut tasks = Vec::new();
        for task in 0..producers {
            let counter = counter.clone();
            tasks.push(::tokio::spawn(async move {
                for _ in 0..share(ops, producers, task) {
                    counter.tell(Note(1)).await.expect("the counter runs");
                }
            }));
        }
        for task in tasks {
            task.await.expect("a producer");
        }
    }
    assert_eq!(counter.ask(Add(0)).await.expect("an answer"), ops);
    start.elapsed()
}

async fn ping_pong(ops: u64) -> Duration {
    let (a, b) = (Player::spawn_default(), Player::spawn_default());
    let (tx, rx) = oneshot::channel();
    a.ask(Meet {
        peer: Some(b.clone()),
        done: None,
    })
    .await
    .expect("a runs");
    b.ask(Meet {
        peer: Some(a.clone()),
        done: Some(tx),
    })
    .await
    .expect("b runs");
    let start = Instant::now();
    a.tell(Ball(ops * 2 - 1)).await.expect("a runs");
    rx.await.expect("the last ball");
    let took = start.elapsed();
    for player in [a, b] {
        assert_eq!(player.ask(Seen).await.expect("an answer"), ops);
        player
            .ask(Meet {
                peer: None,
                done: None,
            })
            .await
            .expect("it runs");
    }
    took
}

async fn spawn(ops: u64) -> Duration {
    let start = Instant::now();
    for i in 0..ops {
        let counter = Counter::spawn(Counter { sum: i });
        assert_eq!(counter.ask(Add(1)).await.expect("an answer"), i + 1);
    }
    start.elapsed()
}

impl Kameo {
    /// Runs the future as a task and waits for it outside the runtime.
    fn on_a_task<T: Send + 'static>(&self, fut: impl Future<Output = T> + Send + 'static) -> T {
        self.rt
            .block_on(async { ::tokio::spawn(fut).await.expect("the task") })
    }
}

impl Peer for Kameo {
    const NAME: &'static str = "kameo";

    fn start() -> Self {
        Kameo {
            rt: Runtime::new().expect("a runtime"),
        }
    }

    fn run(&self, work: Work, ops: u64) -> Option<Duration> {
        Some(match work {
            Work::Ask => self.on_a_task(ask(ops)),
            Work::AskEight => self.on_a_task(ask_many(ops, ASKERS, 1)),
            Work::AskPairs => self.on_a_task(ask_many(ops, PAIRS, PAIRS)),
            Work::TellOne => self.on_a_task(tell(ops, 1)),
            Work::TellFour => self.on_a_task(tell(ops, 4)),
            Work::PingPong => self.on_a_task(ping_pong(ops)),
            Work::Spawn => self.on_a_task(spawn(ops)),
            // Its tasks are tokio's.
            Work::SpawnTask | Work::Compute => return None,
        })
    }

    fn idle(&self, actors: usize, idle: Idle, probe: fn() -> Memory) -> Memory {
        self.on_a_task(async move {
            let mut handles = Vec::with_capacity(actors);
            let before = probe();
            for i in 0..actors as u64 {
                let counter = Counter::spawn(Counter { sum: i });
                match idle {
                    Idle::Fresh => counter.wait_for_startup().await,
                    Idle::Touched => {
                        assert_eq!(counter.ask(Add(1)).await.expect("an answer"), i + 1);
                    }
                }
                handles.push(counter);
            }
            let grown = probe().since(before);
            // All of them still live: the last and the first one answer.
            let last = handles[actors - 1].ask(Add(0)).await.expect("an answer");
            assert!(last >= actors as u64 - 1);
            assert!(handles[0].ask(Add(0)).await.expect("an answer") <= 1);
            grown
        })
    }

    fn worst_gap(&self, _offence: Offence) -> Option<WorstGap> {
        // Its tasks are tokio's.
        None
    }
}
