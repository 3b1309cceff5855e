//! Our own parts under criterion, one by one: channels, select, locks, pools, spawning, timers, restarts,
//! and what `#[actor]` makes of a call.
//!
//! ```text
//! cargo bench -p benches --bench parts                # all; some five minutes
//! cargo bench -p benches --bench parts -- lock        # the groups or parts with that in their names
//! cargo bench -p benches --bench parts -- --test      # each once
//! ```
//!
//! The clock runs inside a goroutine (`iter_custom`) and excludes setting up, so neither waking the
//! bench's thread nor making channels is in a figure. One runtime, a P per core. How these compare
//! with other libraries is not said here but by `versus`.

use std::future::Future;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actor_core::actor::Batch;
use actor_core::prelude::*;
use actor_core::sync::{BufPool, Mutex, Once, Pool, RwLock, Semaphore, WaitGroup};
use actor_core::{Runtime, chan};
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, criterion_group, criterion_main};

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOC: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The time of so many operations, numbered by `$i`.
macro_rules! timed {
    ($ops:expr, $i:ident => $operation:expr) => {{
        let start = Instant::now();
        for $i in 0..$ops {
            $operation;
        }
        start.elapsed()
    }};
}

/// Parts that belong together.
struct Parts<'a> {
    rt: &'a Runtime,
    group: BenchmarkGroup<'a, WallTime>,
}

impl Parts<'_> {
    /// One part: `work` does so many operations and returns how long they took.
    fn part<F>(&mut self, name: &str, work: impl Fn(u64) -> F)
    where
        F: Future<Output = Duration> + Send + 'static,
    {
        let rt = self.rt;
        self.group
            .bench_function(name, |bencher| bencher.iter_custom(|ops| rt.run(work(ops))));
    }
}

fn channel(parts: &mut Parts<'_>) {
    parts.part("send and recv, same goroutine", async |ops| {
        let (tx, rx) = chan::buffered(64);
        timed!(ops, i => {
            tx.send(i).await.expect("a receiver");
            assert_eq!(rx.recv().await, Some(i));
        })
    });
    for (name, capacity) in [
        ("rendezvous, to another goroutine", 0),
        ("buffered(128), to another goroutine", 128),
    ] {
        parts.part(name, move |ops| async move {
            let (tx, rx) = chan::buffered(capacity);
            let receiver = go(async move {
                for i in 0..ops {
                    assert_eq!(rx.recv().await, Some(i));
                }
            });
            let start = Instant::now();
            for i in 0..ops {
                tx.send(i).await.expect("a receiver");
            }
            receiver.await.expect("it ends");
            start.elapsed()
        });
    }
    parts.part("buffered(128), 4 senders", async |ops| {
        let (tx, rx) = chan::buffered(128);
        let start = Instant::now();
        for sender in 0..4 {
            let tx = tx.clone();
            drop(go(async move {
                for _ in 0..ops / 4 + u64::from(sender < ops % 4) {
                    tx.send(1).await.expect("a receiver");
                }
            }));
        }
        drop(tx);
        let mut sum = 0;
        while let Some(n) = rx.recv().await {
            sum += n;
        }
        assert_eq!(sum, ops);
        start.elapsed()
    });
}

fn select(parts: &mut Parts<'_>) {
    parts.part("2 arms, one ready", async |ops| {
        let (tx, rx) = chan::buffered(1);
        let (_silent, never) = chan::buffered::<u64>(1);
        timed!(ops, i => {
            tx.send(i).await.expect("a receiver");
            select! {
                Some(got) = rx.recv() => assert_eq!(got, i),
                Some(_) = never.recv() => unreachable!("nobody sends"),
            }
        })
    });
    parts.part("8 arms, the last one ready", async |ops| {
        let (tx, rx) = chan::buffered(1);
        let (_silent, never) = chan::buffered::<u64>(1);
        timed!(ops, i => {
            tx.send(i).await.expect("a receiver");
            select! {
                Some(_) = never.recv() => unreachable!("nobody sends"),
                Some(_) = never.recv() => unreachable!("nobody sends"),
                Some(_) = never.recv() => unreachable!("nobody sends"),
                Some(_) = never.recv() => unreachable!("nobody sends"),
                Some(_) = never.recv() => unreachable!("nobody sends"),
                Some(_) = never.recv() => unreachable!("nobody sends"),
                Some(_) = never.recv() => unreachable!("nobody sends"),
                Some(got) = rx.recv() => assert_eq!(got, i),
            }
        })
    });
    parts.part("default taken", async |ops| {
        let (_silent, never) = chan::buffered::<u64>(1);
        timed!(ops, _i => select! {
            Some(_) = never.recv() => unreachable!("nobody sends"),
            default => {}
        })
    });
    parts.part("2 arms, waits for another goroutine", async |ops| {
        let (tx, rx) = chan::rendezvous();
        let (_silent, never) = chan::buffered::<u64>(1);
        let sender = go(async move {
            for i in 0..ops {
                tx.send(i).await.expect("a receiver");
            }
        });
        let took = timed!(ops, i => select! {
            Some(got) = rx.recv() => assert_eq!(got, i),
            Some(_) = never.recv() => unreachable!("nobody sends"),
        });
        sender.await.expect("it ends");
        took
    });
}

fn lock(parts: &mut Parts<'_>) {
    parts.part("Mutex, free", async |ops| {
        let sum = Mutex::new(0);
        timed!(ops, i => *sum.lock().await += i)
    });
    parts.part("Mutex, 4 goroutines", async |ops| {
        let sum = Arc::new(Mutex::new(0));
        let start = Instant::now();
        let adders = (0..4).map(|adder| {
            let sum = Arc::clone(&sum);
            go(async move {
                for _ in 0..ops / 4 + u64::from(adder < ops % 4) {
                    *sum.lock().await += 1;
                }
            })
        });
        for adder in adders.collect::<Vec<_>>() {
            adder.await.expect("it ends");
        }
        assert_eq!(*sum.lock().await, ops);
        start.elapsed()
    });
    parts.part("RwLock, read, free", async |ops| {
        let value = RwLock::new(7);
        timed!(ops, _i => assert_eq!(*value.read().await, 7))
    });
    parts.part("RwLock, write, free", async |ops| {
        let sum = RwLock::new(0);
        timed!(ops, i => *sum.write().await += i)
    });
    parts.part("Semaphore, free", async |ops| {
        let semaphore = Semaphore::new(4);
        timed!(ops, _i => drop(black_box(semaphore.acquire(1).await)))
    });
    parts.part("Once, done", async |ops| {
        let once = Once::new();
        timed!(ops, _i => once.do_once(async || {}).await)
    });
}

fn pool(parts: &mut Parts<'_>) {
    parts.part("Pool, get and put back", async |ops| {
        let pool = Pool::new(|| [0_u64; 32]);
        timed!(ops, i => pool.get()[0] = i)
    });
    parts.part(
        "Pool, Box::new for comparison",
        async |ops| timed!(ops, i => drop(black_box(Box::new([i; 32])))),
    );
    parts.part("BufPool, 4 KiB", async |ops| {
        let pool = BufPool::new();
        timed!(ops, _i => pool.get(4096).push(1))
    });
}

fn spawn(parts: &mut Parts<'_>) {
    parts.part(
        "go and join",
        async |ops| timed!(ops, i => assert_eq!(go(async move { i }).await.expect("it ends"), i)),
    );
    parts.part("go, 256 at a time, WaitGroup", async |ops| {
        let group = Arc::new(WaitGroup::new());
        timed!(ops, i => {
            drop(group.go(async {}));
            if i % 256 == 255 || i + 1 == ops {
                group.wait().await;
            }
        })
    });
    parts.part("yield, two goroutines", async |ops| {
        let half = move || async move {
            for _ in 0..ops / 2 {
                yield_now().await;
            }
        };
        let start = Instant::now();
        let other = go(half());
        half().await;
        other.await.expect("it ends");
        start.elapsed()
    });
    parts.part("start an actor, ask it, let it go", async |ops| {
        timed!(ops, _i => {
            let part = Part::start().await.expect("it starts");
            assert_eq!(part.add(1).await, Ok(1));
        })
    });
}

fn timer(parts: &mut Parts<'_>) {
    parts.part("timeout, ready at once", async |ops| {
        let (tx, rx) = chan::buffered(1);
        timed!(ops, i => {
            tx.send(i).await.expect("a receiver");
            let got = timeout(Duration::from_secs(60), rx.recv()).await;
            assert_eq!(got, Ok(Some(i)));
        })
    });
    parts.part("timeout, set and cancelled", async |ops| {
        timed!(ops, _i => timeout(Duration::from_secs(60), yield_now()).await.expect("in time"))
    });
    // All fall due within a millisecond: what setting and firing take, not the waiting.
    parts.part("sleep, 1000 at a time", async |ops| {
        let group = Arc::new(WaitGroup::new());
        timed!(ops, i => {
            drop(group.go(sleep(Duration::from_micros(i % 1000))));
            if i % 1000 == 999 || i + 1 == ops {
                group.wait().await;
            }
        })
    });
}

fn supervision(parts: &mut Parts<'_>) {
    parts.part("crash, restart, next answer", async |ops| {
        let part = Part::child("part");
        let handle = part.handle();
        let app = Supervisor::one_for_one("app")
            .intensity(u32::MAX, Duration::from_secs(1))
            .child(part)
            .start()
            .await
            .expect("the tree starts");
        let took = timed!(ops, _i => {
            assert_eq!(handle.crash().await, Err(CallError::Panicked));
            assert_eq!(handle.add(1).await, Ok(1), "a new state");
        });
        app.stop().await;
        took
    });
    // What any library pays that lets a handler panic: most of the part above.
    parts.part("a panic, caught", async |ops| {
        timed!(ops, _i => {
            let told = || std::panic::resume_unwind(Box::new("told to"));
            let caught: Result<(), _> = std::panic::catch_unwind(told);
            assert!(caught.is_err());
        })
    });
    parts.part("start and stop a tree of 8", async |ops| {
        timed!(ops, _i => {
            let mut app = Supervisor::one_for_one("app");
            for id in ["a", "b", "c", "d", "e", "f", "g", "h"] {
                app = app.child(Part::child(id));
            }
            app.start().await.expect("the tree starts").stop().await;
        })
    });
}

/// An actor with a message of each kind.
struct Part {
    sum: u64,
}

#[actor(vis = pub(self))]
impl Part {
    #[init]
    fn new() -> Self {
        Part { sum: 0 }
    }

    pub(crate) fn add(&mut self, n: u64) -> u64 {
        self.sum += n;
        self.sum
    }

    pub(crate) async fn add_async(&mut self, n: u64) -> u64 {
        self.sum += n;
        self.sum
    }

    pub(crate) fn add_unless(&mut self, n: u64, refuse: bool) -> Result<u64, String> {
        if refuse {
            return Err("refused".into());
        }
        self.sum += n;
        Ok(self.sum)
    }

    pub(crate) fn add_later(&mut self, n: u64, reply: Reply<u64>) {
        self.sum += n;
        reply.send(self.sum);
    }

    /// Crashes without the panic hook, which would print.
    pub(crate) fn crash(&mut self) {
        std::panic::resume_unwind(Box::new("told to"));
    }
}

/// Its messages are all of a protocol, so that its handle can be erased.
struct Provider {
    sum: u64,
}

#[protocol]
trait Adds {
    fn add(&mut self, n: u64) -> u64;
}

#[actor(protocol = Adds, vis = pub(self))]
impl Provider {
    #[init]
    fn new() -> Self {
        Provider { sum: 0 }
    }

    pub(crate) fn add(&mut self, n: u64) -> u64 {
        self.sum += n;
        self.sum
    }
}

struct Batcher {
    sum: u64,
}

#[actor(mailbox = buffered(64), vis = pub(self))]
impl Batcher {
    #[init]
    fn new() -> Self {
        Batcher { sum: 0 }
    }

    #[batch(max = 64)]
    pub(crate) fn add(&mut self, items: &mut Batch<u64, ()>) {
        self.sum += items.iter().sum::<u64>();
    }

    pub(crate) fn sum(&mut self) -> u64 {
        self.sum
    }
}

fn call(parts: &mut Parts<'_>) {
    parts.part("ask, sync handler", async |ops| {
        let part = Part::start().await.expect("it starts");
        timed!(ops, i => assert_eq!(part.add(1).await, Ok(i + 1)))
    });
    parts.part("ask, async handler", async |ops| {
        let part = Part::start().await.expect("it starts");
        timed!(ops, i => assert_eq!(part.add_async(1).await, Ok(i + 1)))
    });
    parts.part("ask, handler with a Result", async |ops| {
        let part = Part::start().await.expect("it starts");
        timed!(ops, i => assert_eq!(part.add_unless(1, false).await, Ok(i + 1)))
    });
    parts.part("ask, answered by a Reply", async |ops| {
        let part = Part::start().await.expect("it starts");
        timed!(ops, i => assert_eq!(part.add_later(1).await, Ok(i + 1)))
    });
    parts.part("ask, with a timeout", async |ops| {
        let part = Part::start().await.expect("it starts");
        timed!(ops, i => {
            let answer = part.add(1).timeout(Duration::from_secs(60)).await;
            assert_eq!(answer, Ok(i + 1));
        })
    });
    parts.part("ask, through a protocol's handle", async |ops| {
        let provider: AddsRef = Provider::start().await.expect("it starts").into();
        timed!(ops, i => assert_eq!(provider.add(1).await, Ok(i + 1)))
    });
    parts.part("tell", async |ops| {
        let part = Part::start().await.expect("it starts");
        let start = Instant::now();
        for _ in 0..ops {
            part.add(1).tell().await.expect("it runs");
        }
        assert_eq!(part.add(0).await, Ok(ops));
        start.elapsed()
    });
    parts.part("tell, a batching handler", async |ops| {
        let batcher = Batcher::start().await.expect("it starts");
        let start = Instant::now();
        for _ in 0..ops {
            batcher.add(1).tell().await.expect("it runs");
        }
        assert_eq!(batcher.sum().await, Ok(ops));
        start.elapsed()
    });
}

/// Answers with a computation of some 20 µs.
struct Solver {
    seed: u64,
}

#[actor(vis = pub(self))]
impl Solver {
    #[init]
    fn new() -> Self {
        Solver { seed: 1 }
    }

    pub(crate) fn solve_alone(&mut self) -> u64 {
        self.solve()
    }

    #[concurrent]
    pub(crate) fn solve_beside(&self) -> u64 {
        self.solve()
    }

    #[concurrent]
    pub(crate) fn seed(&self) -> u64 {
        self.seed
    }
}

impl Solver {
    fn solve(&self) -> u64 {
        // Each step needs the one before.
        (0..10_000).fold(self.seed, |x, n| black_box(x ^ n).rotate_left(7))
    }
}

/// So many askers, who share the operations.
async fn asked_by<F>(askers: u64, ops: u64, ask: impl Fn(SolverRef) -> F) -> Duration
where
    F: Future<Output = ()> + Send + 'static,
{
    let solver = Solver::start().await.expect("it starts");
    let start = Instant::now();
    let all: Vec<_> = (0..askers)
        .map(|asker| {
            let count = ops / askers + u64::from(asker < ops % askers);
            (0..count).map(|_| ask(solver.clone())).collect::<Vec<_>>()
        })
        .map(|asks| {
            go(async move {
                for ask in asks {
                    ask.await;
                }
            })
        })
        .collect();
    for one in all {
        one.await.expect("it ends");
    }
    start.elapsed()
}

/// With two cores, the second is to take half the time of the first.
fn concurrent(parts: &mut Parts<'_>) {
    parts.part("4 askers, 20 µs each, exclusive", |ops| {
        asked_by(4, ops, |solver| async move {
            black_box(solver.solve_alone().await.expect("it runs"));
        })
    });
    parts.part("4 askers, 20 µs each, concurrent", |ops| {
        asked_by(4, ops, |solver| async move {
            black_box(solver.solve_beside().await.expect("it runs"));
        })
    });
    parts.part("ask, a concurrent handler that never waits", async |ops| {
        let solver = Solver::start().await.expect("it starts");
        timed!(ops, _i => assert_eq!(solver.seed().await, Ok(1)))
    });
}

fn parts(criterion: &mut Criterion) {
    let rt = Runtime::new().expect("a runtime");
    type Group = fn(&mut Parts<'_>);
    let groups: [(&str, Group); 9] = [
        ("channel", channel),
        ("select", select),
        ("lock", lock),
        ("pool", pool),
        ("spawn", spawn),
        ("timer", timer),
        ("supervision", supervision),
        ("call", call),
        ("concurrent", concurrent),
    ];
    for (name, measure) in groups {
        let mut group = criterion.benchmark_group(name);
        group.warm_up_time(Duration::from_millis(500));
        group.measurement_time(Duration::from_secs(2));
        group.sample_size(30);
        let mut parts = Parts { rt: &rt, group };
        measure(&mut parts);
        parts.group.finish();
    }
}

criterion_group!(benches, parts);
criterion_main!(benches);
