//! Ours: `#[actor]` on an `impl` block, goroutines by `go`, channels from `chan`.
//!
//! Our actors start with an awaited `init`, keep their mailbox over a restart, turn a handler's
//! panic into an error at the asker, and answer without an allocation per message.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actor_core::{Runtime, actor, chan, go, sleep};

use super::{Idle, Memory, Peer, share};
use crate::gap::{self, Gaps, Offence, TICK, WorstGap};
use crate::work::{self, ASKERS, COMPUTATIONS, PAIRS, Work};

/// actor-core on its own scheduler.
#[derive(Debug)]
pub struct Ours {
    rt: Runtime,
}

struct Counter {
    sum: u64,
}

#[actor(mailbox = buffered(64), vis = pub(self))]
impl Counter {
    #[init]
    fn new(sum: u64) -> Self {
        Counter { sum }
    }

    pub(crate) fn add(&mut self, n: u64) -> u64 {
        self.sum += n;
        self.sum
    }

    pub(crate) fn note(&mut self, n: u64) {
        self.sum += n;
    }
}

struct Player {
    peer: Option<PlayerRef>,
    done: Option<chan::Sender<()>>,
    seen: u64,
}

#[actor(mailbox = buffered(64), vis = pub(self))]
impl Player {
    #[init]
    fn new() -> Self {
        Player {
            peer: None,
            done: None,
            seen: 0,
        }
    }

    pub(crate) fn meet(&mut self, peer: Option<PlayerRef>, done: Option<chan::Sender<()>>) {
        (self.peer, self.done) = (peer, done);
    }

    pub(crate) async fn ball(&mut self, left: u64) {
        self.seen += 1;
        if left > 0 {
            let peer = self.peer.as_ref().expect("a peer");
            peer.ball(left - 1).tell().await.expect("the peer runs");
        } else {
            let done = self.done.take().expect("someone waits");
            done.send(()).await.expect("someone waits");
        }
    }

    pub(crate) fn seen(&mut self) -> u64 {
        self.seen
    }
}

async fn counter(sum: u64) -> CounterRef {
    Counter::start(sum).await.expect("a counter starts")
}

async fn ask(ops: u64) -> Duration {
    let counter = counter(0).await;
    let start = Instant::now();
    for i in 1..=ops {
        assert_eq!(counter.add(1).await.expect("an answer"), i);
    }
    start.elapsed()
}

/// `askers` goroutines that ask the actor of their number modulo `actors`.
async fn ask_many(ops: u64, askers: u64, actors: u64) -> Duration {
    let mut counters = Vec::new();
    for _ in 0..actors {
        counters.push(counter(0).await);
    }
    let start = Instant::now();
    let mut tasks = Vec::new();
    for task in 0..askers {
        let counter = counters[(task % actors) as usize].clone();
        tasks.push(go(async move {
            let mut last = 0;
            for _ in 0..share(ops, askers, task) {
                let sum = counter.add(1).await.expect("an answer");
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
        sum += counter.add(0).await.expect("an answer");
    }
    assert_eq!(sum, ops);
    took
}

async fn tell(ops: u64, producers: u64) -> Duration {
    let counter = counter(0).await;
    let start = Instant::now();
    if producers == 1 {
        for _ in 0..ops {
            counter.note(1).tell().await.expect("the counter runs");
        }
    } else {
        let mut tasks = Vec::new();
        for task in 0..producers {
            let counter = counter.clone();
            tasks.push(go(async move {
                for _ in 0..share(ops, producers, task) {
                    counter.note(1).tell().await.expect("the counter runs");
                }
            }));
        }
        for task in tasks {
            task.await.expect("a producer");
        }
    }
    assert_eq!(counter.add(0).await.expect("an answer"), ops);
    start.elapsed()
}

async fn ping_pong(ops: u64) -> Duration {
    let a = Player::start().await.expect("a starts");
    let b = Player::start().await.expect("b starts");
    let (tx, rx) = chan::buffered(1);
    a.meet(Some(b.clone()), None).await.expect("a runs");
    b.meet(Some(a.clone()), Some(tx)).await.expect("b runs");
    let start = Instant::now();
    a.ball(ops * 2 - 1).tell().await.expect("a runs");
    rx.recv().await.expect("the last ball");
    let took = start.elapsed();
    for player in [a, b] {
        assert_eq!(player.seen().await.expect("an answer"), ops);
        player.meet(None, None).await.expect("it runs");
    }
    took
}

async fn spawn(ops: u64) -> Duration {
    let start = Instant::now();
    for i in 0..ops {
        let counter = counter(i).await;
        assert_eq!(counter.add(1).await.expect("an answer"), i + 1);
    }
    start.elapsed()
}

async fn spawn_task(ops: u64) -> Duration {
    let start = Instant::now();
    for i in 0..ops {
        assert_eq!(go(async move { i + 1 }).await.expect("a goroutine"), i + 1);
    }
    start.elapsed()
}

async fn compute(ops: u64) -> Duration {
    let expected = work::compute(7);
    let start = Instant::now();
    for _ in 0..ops {
        let tasks: Vec<_> = (0..COMPUTATIONS)
            .map(|_| go(async { work::compute(7) }))
            .collect();
        for task in tasks {
            assert_eq!(task.await.expect("a computation"), expected);
        }
    }
    start.elapsed()
}

/// The pair and the ticker; they end when the gaps are over.
async fn bystanders(gaps: Arc<Gaps>) {
    let (ping_tx, ping_rx) = chan::buffered::<u64>(1);
    let (pong_tx, pong_rx) = chan::buffered::<u64>(1);
    let mut tasks = Vec::new();
    tasks.push(go(async move {
        while let Some(ball) = ping_rx.recv().await {
            if pong_tx.send(ball + 1).await.is_err() {
                return;
            }
        }
    }));
    let pair = Arc::clone(&gaps);
    tasks.push(go(async move {
        let (mut last, mut ball) = (Instant::now(), 0);
        while !pair.is_over() {
            ping_tx.send(ball).await.expect("the other side");
            let back = pong_rx.recv().await.expect("the other side");
            assert_eq!(back, ball + 1);
            ball = back;
            pair.pair_step(&mut last);
        }
    }));
    tasks.push(go(async move {
        let mut last = Instant::now();
        while !gaps.is_over() {
            sleep(TICK).await;
            gaps.tick(&mut last);
        }
    }));
    for task in tasks {
        task.await.expect("a bystander");
    }
}

impl Peer for Ours {
    const NAME: &'static str = "actor-core";

    fn start() -> Self {
        Ours {
            rt: Runtime::new().expect("a runtime"),
        }
    }

    fn run(&self, work: Work, ops: u64) -> Option<Duration> {
        Some(match work {
            Work::Ask => self.rt.run(ask(ops)),
            Work::AskEight => self.rt.run(ask_many(ops, ASKERS, 1)),
            Work::AskPairs => self.rt.run(ask_many(ops, PAIRS, PAIRS)),
            Work::TellOne => self.rt.run(tell(ops, 1)),
            Work::TellFour => self.rt.run(tell(ops, 4)),
            Work::PingPong => self.rt.run(ping_pong(ops)),
            Work::Spawn => self.rt.run(spawn(ops)),
            Work::SpawnTask => self.rt.run(spawn_task(ops)),
            Work::Compute => self.rt.run(compute(ops)),
        })
    }

    fn idle(&self, actors: usize, idle: Idle, probe: fn() -> Memory) -> Memory {
        self.rt.run(async move {
            let mut handles = Vec::with_capacity(actors);
            let before = probe();
            for i in 0..actors as u64 {
                let counter = counter(i).await;
                if idle == Idle::Touched {
                    assert_eq!(counter.add(1).await.expect("an answer"), i + 1);
                }
                handles.push(counter);
            }
            let grown = probe().since(before);
            // All of them still live: the last and the first one answer.
            let last = handles[actors - 1].add(0).await.expect("an answer");
            assert!(last >= actors as u64 - 1);
            assert!(handles[0].add(0).await.expect("an answer") <= 1);
            grown
        })
    }

    fn worst_gap(&self, offence: Offence) -> Option<WorstGap> {
        let gaps = Gaps::new();
        let handle = self.rt.handle();
        let bystanders = handle.go(bystanders(Arc::clone(&gaps)));
        let offenders = gap::commit_on_all_cores(offence, |offender| handle.go(offender));
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
