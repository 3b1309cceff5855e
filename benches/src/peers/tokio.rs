//! A hand-written tokio actor: a task that owns its state, an `mpsc` mailbox, a `oneshot` per ask.
//!
//! The pattern of tokio's own guide: an enum of messages, a handle around the sender, the task ends
//! when the last handle is gone. No supervision, no panic isolation beyond the task's.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ::tokio::runtime::Runtime;
use ::tokio::sync::{mpsc, oneshot};

use super::{Idle, Memory, Peer, share};
use crate::MAILBOX_CAPACITY;
use crate::gap::{self, Gaps, Offence, TICK, WorstGap};
use crate::work::{self, ASKERS, COMPUTATIONS, PAIRS, Work};

/// Hand-written actors on tokio's multi-thread runtime.
#[derive(Debug)]
pub struct Tokio {
    rt: Runtime,
}

enum Msg {
    Add { n: u64, reply: oneshot::Sender<u64> },
    Note { n: u64 },
}

struct Counter {
    sum: u64,
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
            }
        }
    }
}

#[derive(Clone)]
struct CounterHandle {
    inbox: mpsc::Sender<Msg>,
}

impl CounterHandle {
    fn start(sum: u64) -> Self {
        let (tx, rx) = mpsc::channel(MAILBOX_CAPACITY);
        ::tokio::spawn(Counter { sum }.run(rx));
        CounterHandle { inbox: tx }
    }

    async fn add(&self, n: u64) -> u64 {
        let (reply, answer) = oneshot::channel();
        self.inbox
            .send(Msg::Add { n, reply })
            .await
            .expect("the counter runs");
        answer.await.expect("the counter answers")
    }

    async fn note(&self, n: u64) {
        self.inbox
            .send(Msg::Note { n })
            .await
            .expect("the counter runs");
    }
}

enum PlayerMsg {
    Meet {
        peer: Option<mpsc::Sender<PlayerMsg>>,
        done: Option<oneshot::Sender<()>>,
    },
    Ball {
        left: u64,
    },
    Seen {
        reply: oneshot::Sender<u64>,
    },
}

#[derive(Default)]
struct Player {
    peer: Option<mpsc::Sender<PlayerMsg>>,
    done: Option<oneshot::Sender<()>>,
    seen: u64,
}

impl Player {
    fn start() -> mpsc::Sender<PlayerMsg> {
        let (tx, rx) = mpsc::channel(MAILBOX_CAPACITY);
        ::tokio::spawn(Player::default().run(rx));
        tx
    }

    async fn run(mut self, mut inbox: mpsc::Receiver<PlayerMsg>) {
        while let Some(msg) = inbox.recv().await {
            match msg {
                PlayerMsg::Meet { peer, done } => (self.peer, self.done) = (peer, done),
                PlayerMsg::Ball { left } => {
                    self.seen += 1;
                    if left > 0 {
                        let peer = self.peer.as_ref().expect("a peer");
                        let ball = PlayerMsg::Ball { left: left - 1 };
                        peer.send(ball).await.expect("the peer runs");
                    } else {
                        let done = self.done.take().expect("someone waits");
                        done.send(()).expect("someone waits");
                    }
                }
                PlayerMsg::Seen { reply } => {
                    let _ = reply.send(self.seen);
                }
            }
        }
    }
}

async fn ask(ops: u64) -> Duration {
    let counter = CounterHandle::start(0);
    let start = Instant::now();
    for i in 1..=ops {
        assert_eq!(counter.add(1).await, i);
    }
    start.elapsed()
}

/// `askers` tasks that ask the actor of their number modulo `actors`.
async fn ask_many(ops: u64, askers: u64, actors: u64) -> Duration {
    let counters: Vec<_> = (0..actors).map(|_| CounterHandle::start(0)).collect();
    let start = Instant::now();
    let mut tasks = Vec::new();
    for task in 0..askers {
        let counter = counters[(task % actors) as usize].clone();
        tasks.push(::tokio::spawn(async move {
            let mut last = 0;
            for _ in 0..share(ops, askers, task) {
                let sum = counter.add(1).await;
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
        sum += counter.add(0).await;
    }
    assert_eq!(sum, ops);
    took
}

async fn tell(ops: u64, producers: u64) -> Duration {
    let counter = CounterHandle::start(0);
    let start = Instant::now();
    if producers == 1 {
        for _ in 0..ops {
            counter.note(1).await;
        }
    } else {
        let mut tasks = Vec::new();
        for task in 0..producers {
            let counter = counter.clone();
            tasks.push(::tokio::spawn(async move {
                for _ in 0..share(ops, producers, task) {
                    counter.note(1).await;
                }
            }));
        }
        for task in tasks {
            task.await.expect("a producer");
        }
    }
    assert_eq!(counter.add(0).await, ops);
    start.elapsed()
}

async fn ping_pong(ops: u64) -> Duration {
    let (a, b) = (Player::start(), Player::start());
    let (tx, rx) = oneshot::channel();
    let meet = |peer, done| PlayerMsg::Meet { peer, done };
    a.send(meet(Some(b.clone()), None)).await.expect("a runs");
    b.send(meet(Some(a.clone()), Some(tx)))
        .await
        .expect("b runs");
    let start = Instant::now();
    a.send(PlayerMsg::Ball { left: ops * 2 - 1 })
        .await
        .expect("a runs");
    rx.await.expect("the last ball");
    let took = start.elapsed();
    for player in [a, b] {
        let (reply, seen) = oneshot::channel();
        player
            .send(PlayerMsg::Seen { reply })
            .await
            .expect("it runs");
        assert_eq!(seen.await.expect("an answer"), ops);
        player.send(meet(None, None)).await.expect("it runs");
    }
    took
}

async fn spawn(ops: u64) -> Duration {
    let start = Instant::now();
    for i in 0..ops {
        let counter = CounterHandle::start(i);
        assert_eq!(counter.add(1).await, i + 1);
    }
    start.elapsed()
}

async fn spawn_task(ops: u64) -> Duration {
    let start = Instant::now();
    for i in 0..ops {
        assert_eq!(
            ::tokio::spawn(async move { i + 1 }).await.expect("a task"),
            i + 1
        );
    }
    start.elapsed()
}

async fn compute(ops: u64) -> Duration {
    let expected = work::compute(7);
    let start = Instant::now();
    for _ in 0..ops {
        let tasks: Vec<_> = (0..COMPUTATIONS)
            .map(|_| ::tokio::spawn(async { work::compute(7) }))
            .collect();
        for task in tasks {
            assert_eq!(task.await.expect("a computation"), expected);
        }
    }
    start.elapsed()
}

/// The pair and the ticker; they end when the gaps are over.
async fn bystanders(gaps: Arc<Gaps>) {
    let (ping_tx, mut ping_rx) = mpsc::channel::<u64>(1);
    let (pong_tx, mut pong_rx) = mpsc::channel::<u64>(1);
    let mut tasks = Vec::new();
    tasks.push(::tokio::spawn(async move {
        while let Some(ball) = ping_rx.recv().await {
            if pong_tx.send(ball + 1).await.is_err() {
                return;
            }
        }
    }));
    let pair = Arc::clone(&gaps);
    tasks.push(::tokio::spawn(async move {
        let (mut last, mut ball) = (Instant::now(), 0);
        while !pair.is_over() {
            ping_tx.send(ball).await.expect("the other side");
            let back = pong_rx.recv().await.expect("the other side");
            assert_eq!(back, ball + 1);
            ball = back;
            pair.pair_step(&mut last);
        }
    }));
    tasks.push(::tokio::spawn(async move {
        let mut last = Instant::now();
        while !gaps.is_over() {
            ::tokio::time::sleep(TICK).await;
            gaps.tick(&mut last);
        }
    }));
    for task in tasks {
        task.await.expect("a bystander");
    }
}

impl Tokio {
    /// Runs the future as a task and waits for it outside the runtime.
    fn on_a_task<T: Send + 'static>(&self, fut: impl Future<Output = T> + Send + 'static) -> T {
        self.rt
            .block_on(async { ::tokio::spawn(fut).await.expect("the task") })
    }
}

impl Peer for Tokio {
    const NAME: &'static str = "tokio actor";

    fn start() -> Self {
        Tokio {
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
            Work::SpawnTask => self.on_a_task(spawn_task(ops)),
            Work::Compute => self.on_a_task(compute(ops)),
        })
    }

    fn idle(&self, actors: usize, idle: Idle, probe: fn() -> Memory) -> Memory {
        self.on_a_task(async move {
            let mut handles = Vec::with_capacity(actors);
            let before = probe();
            for i in 0..actors as u64 {
                let counter = CounterHandle::start(i);
                if idle == Idle::Touched {
                    assert_eq!(counter.add(1).await, i + 1);
                }
                handles.push(counter);
            }
            let grown = probe().since(before);
            // All of them still live: the last and the first one answer.
            assert!(handles[actors - 1].add(0).await >= actors as u64 - 1);
            assert!(handles[0].add(0).await <= 1);
            grown
        })
    }

    fn worst_gap(&self, offence: Offence) -> Option<WorstGap> {
        let gaps = Gaps::new();
        let bystanders = self.rt.spawn(bystanders(Arc::clone(&gaps)));
        let offenders = gap::commit_on_all_cores(offence, |offender| self.rt.spawn(offender));
        self.rt.block_on(async {
            for offender in offenders {
                offender.await.expect("an offender");
            }
            gaps.end_after_lead();
            bystanders.await.expect("the bystanders");
        });
        Some(gaps.worst())
    }
}
