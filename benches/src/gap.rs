//! How long the others stand still while some tasks keep their threads.
//!
//! A pair of tasks plays ping-pong and a third ticks every millisecond; each notes the longest time
//! between two of its own steps. Meanwhile as many tasks as there are cores hold their threads for a
//! second: asleep (a blocking system call) or computing. The longest time is the answer.
//!
//! The offenders come from outside the runtime, each when the former one has started. Started
//! together by one task they may all queue up behind the first one, and a worker that the pair keeps
//! busy never steals the second: then one core is blocked twice, not two cores once.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use crate::cores;

/// The ticker's period; a tick that comes later than that is late by the difference.
pub const TICK: Duration = Duration::from_millis(1);

/// How long each offender holds its thread.
pub const HOLD: Duration = Duration::from_secs(1);

/// How long the pair and the ticker run undisturbed first.
pub const LEAD: Duration = Duration::from_millis(200);

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
    /// All of them, in the order of the table.
    pub const ALL: [Offence; 3] = [Offence::None, Offence::Block, Offence::Compute];

    /// What the tables say the others were doing.
    pub fn name(self) -> &'static str {
        match self {
            Offence::None => "no load",
            Offence::Block => "one task per core blocks 1 s",
            Offence::Compute => "one task per core computes 1 s",
        }
    }

    /// Holds the calling thread for [`HOLD`].
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

/// Starts an offender per core by `spawn`, each after the former one has begun to hold its thread,
/// and waits until the last one has begun.
pub fn commit_on_all_cores<J>(offence: Offence, spawn: impl Fn(Offender) -> J) -> Vec<J> {
    thread::sleep(LEAD);
    let mut offenders = Vec::new();
    for _ in 0..cores() {
        let (begun, has_begun) = mpsc::channel();
        offenders.push(spawn(Box::pin(async move {
            begun.send(()).expect("the bench waits");
            offence.commit();
        })));
        has_begun.recv().expect("the offender begins");
    }
    offenders
}

/// A task that holds its thread.
pub type Offender = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The longest gaps seen, and the sign to stop.
#[derive(Debug, Default)]
pub struct Gaps {
    pair_ns: AtomicU64,
    ticker_ns: AtomicU64,
    pair_steps: AtomicU64,
    ticks: AtomicU64,
    over: AtomicBool,
}

/// The result: both in milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct WorstGap {
    /// The longest time between two round trips of the pair.
    pub pair_ms: f64,
    /// How late the latest tick was.
    pub ticker_ms: f64,
}

impl Gaps {
    /// Fresh ones, to be shared by the tasks.
    pub fn new() -> Arc<Gaps> {
        Arc::default()
    }

    /// Whether the pair and the ticker should end.
    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    /// Tells the pair and the ticker to end.
    fn end(&self) {
        self.over.store(true, Ordering::Release);
    }

    /// Lets the pair and the ticker run undisturbed again for a while, so that a gap that the
    /// offenders began is seen to end, and tells them to end. Blocks the calling thread.
    pub fn end_after_lead(&self) {
        thread::sleep(LEAD);
        self.end();
    }

    /// The pair made a step; `last` is the time of its former one.
    pub fn pair_step(&self, last: &mut Instant) {
        let now = Instant::now();
        self.pair_ns
            .fetch_max((now - *last).as_nanos() as u64, Ordering::Relaxed);
        self.pair_steps.fetch_add(1, Ordering::Relaxed);
        *last = now;
    }

    /// The ticker woke; `last` is the time of its former tick.
    pub fn tick(&self, last: &mut Instant) {
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
    /// When the pair or the ticker hardly ran at all, which would make a short gap meaningless.
    pub fn worst(&self) -> WorstGap {
        let (steps, ticks) = (
            self.pair_steps.load(Ordering::Acquire),
            self.ticks.load(Ordering::Acquire),
        );
        assert!(
            steps > 100 && ticks > 20,
            "only {steps} round trips and {ticks} ticks"
        );
        let ms = |ns: &AtomicU64| ns.load(Ordering::Acquire) as f64 / 1e6;
        WorstGap {
            pair_ms: ms(&self.pair_ns),
            ticker_ms: ms(&self.ticker_ns),
        }
    }
}
