//! How long the others stand still while some tasks keep their threads.
//!
//! A task asks an actor over and over and another ticks every millisecond; each notes the longest
//! time between two of its own steps. Meanwhile as many tasks as there are cores hold their threads for a
//! second: asleep (a blocking system call) or computing. The longest time is the answer.
//!
//! The offenders come from outside the runtime, each when the former one has started. Started
//! together by one task they may all queue up behind the first one, and a worker that the asker keeps
//! busy never steals the second: then one core is blocked twice, not two cores once.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use crate::cores;
use crate::peers::{BoxTask, Peer, Runtime};
use crate::work::Figure;

/// The ticker's period; a tick that comes later than that is late by the difference.
const TICK: Duration = Duration::from_millis(1);

/// How long each offender holds its thread.
const HOLD: Duration = Duration::from_secs(1);

/// How long the asker and the ticker run undisturbed before and after.
const LEAD: Duration = Duration::from_millis(200);

/// What the offenders do to their threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offence {
    /// Nothing: there are no offenders, for comparison.
    None,
    /// Sleep in the kernel without telling the runtime.
    Block,
    /// Compute without a pause.
    Compute,
}

impl Offence {
    /// Holds the calling thread for one second.
    pub fn commit(self) {
        match self {
            Offence::None => {}
            Offence::Block => thread::sleep(HOLD),
            Offence::Compute => {
                let start = Instant::now();
                while start.elapsed() < HOLD {
                    std::hint::black_box(crate::work::compute(1));
                }
            }
        }
    }
}

/// Starts an offender per core, each after the former one has begun to hold its thread, and waits
/// until all have ended.
fn commit_on_all_cores(offence: Offence, inject: impl Fn(BoxTask)) {
    let mut ends = Vec::new();
    for _ in 0..cores() {
        let (begun, has_begun) = mpsc::channel();
        let (ended, has_ended) = mpsc::channel();
        inject(Box::pin(async move {
            begun.send(()).expect("the bench waits");
            offence.commit();
            ended.send(()).expect("the bench waits");
        }));
        has_begun.recv().expect("the offender begins");
        ends.push(has_ended);
    }
    for end in ends {
        end.recv().expect("the offender ends");
    }
}

/// The longest gaps of the peer, in milliseconds.
pub fn worst<P: Peer>(rt: &P::Rt, offence: Offence) -> Vec<Figure> {
    let gaps = Arc::new(Gaps::default());
    let (inject, over) = (rt.injector(), Arc::clone(&gaps));
    let offender = thread::spawn(move || {
        thread::sleep(LEAD);
        commit_on_all_cores(offence, inject);
        // So that a gap that the offenders began is seen to end.
        thread::sleep(LEAD);
        over.over.store(true, Ordering::Release);
    });
    rt.run(bystanders::<P>(Arc::clone(&gaps)));
    offender.join().expect("the offenders");
    gaps.worst()
}

/// The asker and the ticker; they end when the gaps are over.
async fn bystanders<P: Peer>(gaps: Arc<Gaps>) {
    let counter = P::counter(0).await;
    let ticked = Arc::clone(&gaps);
    let ticker = P::Rt::go(async move {
        let mut last = Instant::now();
        while !ticked.is_over() {
            P::Rt::sleep(TICK).await;
            ticked.tick(&mut last);
        }
    });
    let asker = P::Rt::go(async move {
        let (mut last, mut sum) = (Instant::now(), 0);
        while !gaps.is_over() {
            sum += 1;
            assert_eq!(P::add(&counter, 1).await, sum);
            gaps.pair_step(&mut last);
        }
        P::release(counter);
    });
    asker.await;
    ticker.await;
}

/// The longest gaps seen, and the sign to stop.
#[derive(Debug, Default)]
struct Gaps {
    pair_ns: AtomicU64,
    ticker_ns: AtomicU64,
    pair_steps: AtomicU64,
    ticks: AtomicU64,
    over: AtomicBool,
}

impl Gaps {
    /// Whether the asker and the ticker should end.
    fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    /// The asker has its answer; `last` is when it had the former one.
    fn pair_step(&self, last: &mut Instant) {
        let now = Instant::now();
        self.pair_ns
            .fetch_max((now - *last).as_nanos() as u64, Ordering::Relaxed);
        self.pair_steps.fetch_add(1, Ordering::Relaxed);
        *last = now;
    }

    /// The ticker woke; `last` is the time of its former tick.
    fn tick(&self, last: &mut Instant) {
        let now = Instant::now();
        let late = (now - *last).saturating_sub(TICK);
        self.ticker_ns
            .fetch_max(late.as_nanos() as u64, Ordering::Relaxed);
        self.ticks.fetch_add(1, Ordering::Relaxed);
        *last = now;
    }

    /// The result.
    ///
    /// # Panics
    ///
    /// When the asker or the ticker hardly ran at all, which would make a short gap meaningless.
    fn worst(&self) -> Vec<Figure> {
        let (steps, ticks) = (
            self.pair_steps.load(Ordering::Acquire),
            self.ticks.load(Ordering::Acquire),
        );
        assert!(
            steps > 100 && ticks > 20,
            "only {steps} answers and {ticks} ticks"
        );
        let ms = |ns: &AtomicU64| ns.load(Ordering::Acquire) as f64 / 1e6;
        vec![
            Figure::of(", asker", "ms", ms(&self.pair_ns)),
            Figure::of(", 1 ms ticker", "ms", ms(&self.ticker_ns)),
        ]
    }
}
