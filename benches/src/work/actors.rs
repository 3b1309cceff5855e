//! The works of actor systems, written once over [`Peer`].

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::{Alive, Figure, Work, share};
use crate::gap::{self, Offence};
use crate::peers::{Peer, Runtime};

/// How many nanoseconds an ask under load keeps the actor busy.
const SERVICE: Duration = Duration::from_micros(100);

/// Does the work so often on a runtime of its own, after a warm-up; none when the peer can't.
pub fn run<P: Peer>(work: Work, ops: u64) -> Option<Vec<Figure>> {
    let rt = P::Rt::start();
    let per_op = |took| Some(vec![Figure::per_op(took, ops)]);
    match work {
        Work::LatencyHalf => return Some(latency::<P>(&rt, ops, 0.5)),
        Work::LatencyNine => return Some(latency::<P>(&rt, ops, 0.9)),
        Work::GapNone => return Some(gap::worst::<P>(&rt, Offence::None)),
        Work::GapBlock => return Some(gap::worst::<P>(&rt, Offence::Block)),
        Work::GapCompute => return Some(gap::worst::<P>(&rt, Offence::Compute)),
        Work::TwoRuntimes => {
            drop(rt);
            return per_op(on_two_runtimes::<P>(ops));
        }
        _ => {}
    }
    timed::<P>(&rt, work, (ops / 8).max(1))?;
    let sleeps = thread_sleeps();
    let took = timed::<P>(&rt, work, ops)?;
    let mut figure = Figure::per_op(took, ops);
    if work == Work::Ask {
        let sleeps = (thread_sleeps() - sleeps) as f64 * 10_000.0 / ops as f64;
        figure.note = format!("{sleeps:.1} times a thread slept per 10,000 asks");
    }
    Some(vec![figure])
}

/// One timed pass on a running runtime; none when the peer cannot do the work.
pub fn timed<P: Peer>(rt: &P::Rt, work: Work, ops: u64) -> Option<Duration> {
    Some(match work {
        Work::Ask => rt.run(ask::<P>(ops)),
        Work::AskEight => rt.run(ask_many::<P>(ops, 8, 1)),
        Work::AskThousand => rt.run(ask_many::<P>(ops, 1000, 1)),
        Work::AskPairs => rt.run(ask_many::<P>(ops, 64, 64)),
        Work::TellOne => rt.run(tell::<P>(ops, 1)),
        Work::TellFour => rt.run(tell::<P>(ops, 4)),
        Work::TellSixteen => rt.run(tell::<P>(ops, 16)),
        Work::PingPong => rt.run(rings::<P>(ops, 1, 2)),
        Work::PingPongs => rt.run(rings::<P>(ops, 64, 2)),
        Work::Ring => rt.run(rings::<P>(ops, 1, 503)),
        Work::FanOut => rt.run(fan_out::<P>(ops, 16)),
        Work::Spawn => rt.run(spawn::<P>(ops)),
        Work::Skynet => rt.run(skynet::<P>(ops)),
        Work::Page => rt.run(pages::<P>(ops)),
        Work::Block => rt.run(blocks::<P>(ops)),
        Work::Restart => return rt.run(P::restarts(ops)),
        _ => unreachable!("{work:?} is no work of actors"),
    })
}

async fn ask<P: Peer>(ops: u64) -> Duration {
    let counter = P::counter(0).await;
    let start = Instant::now();
    for i in 1..=ops {
        assert_eq!(P::add(&counter, 1).await, i);
    }
    let took = start.elapsed();
    P::release(counter);
    took
}

/// `askers` tasks that ask the actor of their number modulo `actors`.
async fn ask_many<P: Peer>(ops: u64, askers: u64, actors: u64) -> Duration {
    let mut counters = Vec::new();
    for _ in 0..actors {
        counters.push(P::counter(0).await);
    }
    let start = Instant::now();
    let mut tasks = Vec::new();
    for task in 0..askers {
        let counter = counters[(task % actors) as usize].clone();
        tasks.push(P::Rt::go(async move {
            let mut last = 0;
            for _ in 0..share(ops, askers, task) {
                let sum = P::add(&counter, 1).await;
                assert!(sum > last, "{sum} after {last}");
                last = sum;
            }
        }));
    }
    for task in tasks {
        task.await;
    }
    let took = start.elapsed();
    let mut sum = 0;
    for counter in counters {
        sum += P::add(&counter, 0).await;
        P::release(counter);
    }
    assert_eq!(sum, ops);
    took
}

/// Timed until the last message was handled.
async fn tell<P: Peer>(ops: u64, producers: u64) -> Duration {
    let counter = P::counter(0).await;
    let start = Instant::now();
    let mut tasks = Vec::new();
    for task in 1..producers {
        let counter = counter.clone();
        tasks.push(P::Rt::go(async move {
            for _ in 0..share(ops, producers, task) {
                P::note(&counter, 1).await;
            }
        }));
    }
    for _ in 0..share(ops, producers, 0) {
        P::note(&counter, 1).await;
    }
    for task in tasks {
        task.await;
    }
    // Again and again, because not every peer handles one sender's messages in order.
    let mut sum = 0;
    while sum < ops {
        sum = P::add(&counter, 0).await;
    }
    let took = start.elapsed();
    assert_eq!(sum, ops);
    P::release(counter);
    took
}

/// So many rings of so many links, a number running round in each. Two links play ping-pong.
async fn rings<P: Peer>(ops: u64, rings: u64, links: u64) -> Duration {
    let mut all = Vec::new();
    let mut ends = Vec::new();
    for ring in 0..rings {
        let hops = share(ops, rings, ring);
        let mut ring = Vec::new();
        for _ in 0..links {
            ring.push(P::link().await);
        }
        for (i, link) in (0..links).zip(&ring) {
            // The number starts at `hops - 1` with link 0; that many links further on it is 0.
            let (done, end) = oneshot::channel();
            let mut done = Some(done);
            if i == (hops - 1) % links {
                ends.push(end);
            } else {
                done = None;
            }
            let next = ring[((i + 1) % links) as usize].clone();
            P::meet(link, Some(next), 1, done).await;
        }
        all.push((ring, hops));
    }
    let start = Instant::now();
    for (ring, hops) in &all {
        P::hop(&ring[0], hops - 1).await;
    }
    for end in ends {
        end.await.expect("the number comes to 0");
    }
    let took = start.elapsed();
    for link in all.iter().flat_map(|(ring, _)| ring) {
        P::meet(link, None, 0, None).await; // the ring of handles would live for ever
    }
    took
}

/// One task tells `width` links in turn, each of which passes on to the same last one.
async fn fan_out<P: Peer>(ops: u64, width: usize) -> Duration {
    let (done, end) = oneshot::channel();
    let last = P::link().await;
    P::meet(&last, None, ops, Some(done)).await;
    let mut links = Vec::new();
    for _ in 0..width {
        let link = P::link().await;
        P::meet(&link, Some(last.clone()), 0, None).await;
        links.push(link);
    }
    let start = Instant::now();
    for i in 0..ops as usize {
        P::hop(&links[i % width], 1).await;
    }
    end.await.expect("all items arrive");
    start.elapsed()
}

/// Each actor starts, answers and is let go; timed until all have ended.
async fn spawn<P: Peer>(ops: u64) -> Duration {
    let before = Alive::count();
    let start = Instant::now();
    for i in 0..ops {
        let counter = P::counter(i).await;
        assert_eq!(P::add(&counter, 1).await, i + 1);
        P::release(counter);
    }
    while Alive::count() > before {
        P::Rt::yield_now().await;
    }
    start.elapsed()
}

async fn skynet<P: Peer>(leaves: u64) -> Duration {
    // A tree that is full: the warm-up's is the next smaller one.
    let leaves = 10u64.pow(leaves.ilog10());
    let before = Alive::count();
    let start = Instant::now();
    assert_eq!(P::skynet(leaves).await, leaves * (leaves - 1) / 2);
    while Alive::count() > before {
        P::Rt::yield_now().await;
    }
    start.elapsed()
}

async fn pages<P: Peer>(ops: u64) -> Duration {
    let bulk = P::bulk().await;
    let start = Instant::now();
    for i in 0..ops {
        let mut page = [0; 1024];
        (page[0], page[1023]) = (i as u8, 200);
        assert_eq!(P::page(&bulk, page).await, u64::from(i as u8) + 200);
    }
    start.elapsed()
}

async fn blocks<P: Peer>(ops: u64) -> Duration {
    let bulk = P::bulk().await;
    let mut block = vec![0; 1 << 20];
    let start = Instant::now();
    for i in 0..ops {
        block = P::block(&bulk, block).await;
        assert_eq!(block[0], (i + 1) as u8);
    }
    start.elapsed()
}

/// Asks arrive at random times (a Poisson process, the same for each peer) from outside the runtime
/// at an actor that spends [`SERVICE`] on each; an ask's latency counts from when it should arrive.
fn latency<P: Peer>(rt: &P::Rt, ops: u64, load: f64) -> Vec<Figure> {
    let counter = rt.run(P::counter(0));
    let inject = rt.injector();
    let (tx, mut answers) = tokio::sync::mpsc::unbounded_channel();
    let asker = thread::spawn(move || {
        let gap = SERVICE.as_secs_f64() / load;
        let (mut seed, mut at) = (1_u64, 0.0);
        let start = Instant::now();
        for _ in 0..ops {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            at += -gap * (1.0 - (seed >> 11) as f64 / (1_u64 << 53) as f64).ln();
            let due = start + Duration::from_secs_f64(at);
            thread::sleep(due.saturating_duration_since(Instant::now()));
            let (counter, tx) = (counter.clone(), tx.clone());
            inject(Box::pin(async move {
                assert_ne!(P::serve(&counter, SERVICE).await, 0);
                tx.send(due.elapsed()).expect("the bench waits");
            }));
        }
    });
    let times = rt.run(async move {
        let mut times = Vec::new();
        while let Some(time) = answers.recv().await {
            times.push(time);
        }
        times
    });
    asker.join().expect("the asker");
    assert_eq!(times.len() as u64, ops);
    Figure::quantiles(
        times,
        &[(", p50", 0.5), (", p99", 0.99), (", p99.9", 0.999)],
    )
}

/// Two runtimes of the peer in one process, each with a pair that asks.
fn on_two_runtimes<P: Peer>(ops: u64) -> Duration {
    let (tx, took) = mpsc::channel();
    let threads = [(); 2].map(|()| {
        let tx = tx.clone();
        thread::spawn(move || {
            let rt = P::Rt::start();
            rt.run(ask::<P>((ops / 8).max(1)));
            tx.send(rt.run(ask::<P>(ops))).expect("the bench waits");
        })
    });
    let times = threads.map(|thread| {
        thread.join().expect("a runtime");
        took.recv().expect("its time")
    });
    times[0].max(times[1])
}

/// How many times threads of this process gave up their core to wait, so far.
fn thread_sleeps() -> u64 {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten();
    tasks
        .flatten()
        .filter_map(|task| std::fs::read_to_string(task.path().join("status")).ok())
        .filter_map(|status| {
            let line = status
                .lines()
                .find(|l| l.starts_with("voluntary_ctxt_switches"))?;
            line.split_whitespace().nth(1)?.parse::<u64>().ok()
        })
        .sum()
}
