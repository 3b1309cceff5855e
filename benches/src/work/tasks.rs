//! The works of runtimes: tasks, timers, locks, written once over [`Runtime`] and [`Locks`].

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::{Figure, Work, compute, share};
use crate::cores;
use crate::peers::{BoxTask, CHILDREN, Locks, Runtime};

/// How many tasks contend for a lock.
const CONTENDERS: u64 = 16;

/// How many tasks [`Work::Compute`] starts at once.
const COMPUTATIONS: u64 = 4;

/// Does the work so often on a runtime of its own, after a warm-up.
pub fn run<R: Locks>(work: Work, ops: u64) -> Option<Vec<Figure>> {
    let rt = R::start();
    if work == Work::Timers {
        let lateness = rt.run(sleepers::<R>(ops));
        return Some(Figure::quantiles(
            lateness,
            &[(", p50", 0.5), (", p99", 0.99)],
        ));
    }
    timed(&rt, work, (ops / 8).max(1));
    Some(vec![Figure::per_op(timed(&rt, work, ops), ops)])
}

fn timed<R: Locks>(rt: &R, work: Work, ops: u64) -> Duration {
    match work {
        Work::SpawnTask => rt.run(spawn::<R>(ops)),
        Work::SkynetTasks => rt.run(skynet::<R>(ops)),
        Work::Compute => rt.run(computations::<R>(ops)),
        Work::Select => rt.run(select::<R>(ops)),
        Work::Mutex => rt.run(mutex::<R>(ops)),
        Work::RwLock => rt.run(rwlock::<R>(ops)),
        _ => unreachable!("{work:?} is no work of tasks"),
    }
}

/// The computations on bare threads, one per core: what a runtime can reach at best.
pub fn ideal(work: Work, ops: u64) -> Option<Vec<Figure>> {
    if work != Work::Compute {
        return None;
    }
    let cores = cores() as u64;
    let expected = compute(7);
    let start = Instant::now();
    thread::scope(|scope| {
        for core in 0..cores {
            scope.spawn(move || {
                for _ in 0..share(ops * COMPUTATIONS, cores, core) {
                    assert_eq!(compute(7), expected);
                }
            });
        }
    });
    Some(vec![Figure::per_op(start.elapsed(), ops)])
}

async fn spawn<R: Runtime>(ops: u64) -> Duration {
    let start = Instant::now();
    for i in 0..ops {
        assert_eq!(R::go(async move { i + 1 }).await, i + 1);
    }
    start.elapsed()
}

async fn skynet<R: Runtime>(leaves: u64) -> Duration {
    fn grow<R: Runtime>(num: u64, leaves: u64) -> BoxTask<u64> {
        Box::pin(async move {
            let below = leaves / CHILDREN;
            let mut sum = 0;
            if below == 1 {
                let tasks = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9].map(|i| R::go(async move { num + i }));
                for task in tasks {
                    sum += task.await;
                }
            } else {
                let tasks: Vec<_> = (0..CHILDREN)
                    .map(|i| R::go(grow::<R>(num + i * below, below)))
                    .collect();
                for task in tasks {
                    sum += task.await;
                }
            }
            sum
        })
    }
    let leaves = 10u64.pow(leaves.ilog10());
    let start = Instant::now();
    assert_eq!(grow::<R>(0, leaves).await, leaves * (leaves - 1) / 2);
    start.elapsed()
}

async fn computations<R: Runtime>(ops: u64) -> Duration {
    let expected = compute(7);
    let start = Instant::now();
    for _ in 0..ops {
        let tasks: Vec<_> = (0..COMPUTATIONS)
            .map(|_| R::go(async { compute(7) }))
            .collect();
        for task in tasks {
            assert_eq!(task.await, expected);
        }
    }
    start.elapsed()
}

/// So many tasks sleep for a time of their own, between 0.2 and 1.2 s; returns how late each was.
async fn sleepers<R: Runtime>(sleepers: u64) -> Vec<Duration> {
    let mut tasks = Vec::with_capacity(sleepers as usize);
    for i in 0..sleepers {
        let time = Duration::from_micros(200_000 + i * 7919 % 1_000_000);
        tasks.push(R::go(async move {
            let due = Instant::now() + time;
            R::sleep(time).await;
            let now = Instant::now();
            assert!(now >= due, "woken {:?} too early", due - now);
            now - due
        }));
    }
    let mut lateness = Vec::with_capacity(tasks.len());
    for task in tasks {
        lateness.push(task.await);
    }
    lateness
}

async fn select<R: Locks>(ops: u64) -> Duration {
    let start = Instant::now();
    assert_eq!(R::select(ops).await, ops * (ops - 1) / 2);
    start.elapsed()
}

async fn mutex<R: Locks>(ops: u64) -> Duration {
    let mutex = Arc::new(R::mutex());
    let start = Instant::now();
    let tasks: Vec<_> = (0..CONTENDERS)
        .map(|task| {
            let mutex = Arc::clone(&mutex);
            R::go(async move {
                for _ in 0..share(ops, CONTENDERS, task) {
                    R::add(&mutex, 1).await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await;
    }
    let took = start.elapsed();
    assert_eq!(R::add(&mutex, 0).await, ops);
    took
}

async fn rwlock<R: Locks>(ops: u64) -> Duration {
    let lock = Arc::new(R::rwlock());
    let start = Instant::now();
    let tasks: Vec<_> = (0..CONTENDERS)
        .map(|task| {
            let lock = Arc::clone(&lock);
            R::go(async move {
                let (mut writes, mut last) = (0, 0);
                for i in 0..share(ops, CONTENDERS, task) {
                    if i % 10 == 0 {
                        R::write(&lock, 1).await;
                        writes += 1;
                    } else {
                        let sum = R::read(&lock).await;
                        assert!(sum >= last, "{sum} after {last}");
                        last = sum;
                    }
                }
                writes
            })
        })
        .collect();
    let mut writes = 0;
    for task in tasks {
        writes += task.await;
    }
    let took = start.elapsed();
    assert_eq!(R::read(&lock).await, writes);
    took
}
