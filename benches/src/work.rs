//! The works: what one operation is, how many make a round, and which contenders have it.
//!
//! - `actors.rs` does those of actor systems, `tasks.rs` those of runtimes without actors,
//!   `channels.rs` those of plain channels, `idle.rs` counts what idle actors and tasks cost. Each is
//!   written once, over the vocabulary of a peer (`peers.rs`).
//! - A work checks its answers and panics when one is wrong, which ends the run.

pub mod actors;
pub mod channels;
pub mod idle;
pub mod tasks;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Who competes in a work, and in which table its row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Actor systems.
    Actors,
    /// Runtimes: tasks, timers, locks.
    Tasks,
    /// Channels between tasks.
    Channels,
}

/// One kind of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[rustfmt::skip]
#[allow(missing_docs, reason = "the names in `spec` say it")]
pub enum Work {
    Ask, AskEight, AskThousand, AskPairs,
    TellOne, TellFour, TellSixteen,
    PingPong, PingPongs, Ring, FanOut,
    Spawn, Skynet, Restart,
    Page, Block,
    LatencyHalf, LatencyNine,
    TwoRuntimes,
    IdleFresh, IdleTouched,
    GapNone, GapBlock, GapCompute,
    SpawnTask, SkynetTasks, Compute,
    Timers, Select, Mutex, RwLock,
    IdleTask,
    RendezvousPair, RendezvousStream, BufferedStream, BufferedFour,
}

/// A work's row in the tables.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    /// Whose work it is.
    pub group: Group,
    /// What the tables call it.
    pub name: &'static str,
    /// Operations in one round of a full run.
    pub full: u64,
    /// Operations in one round of a quick run.
    pub quick: u64,
}

impl Work {
    /// All of them, in the order of the tables.
    #[rustfmt::skip]
    pub const ALL: [Work; 36] = [
        Work::Ask, Work::AskEight, Work::AskThousand, Work::AskPairs,
        Work::TellOne, Work::TellFour, Work::TellSixteen,
        Work::PingPong, Work::PingPongs, Work::Ring, Work::FanOut,
        Work::Spawn, Work::Skynet, Work::Restart,
        Work::Page, Work::Block,
        Work::LatencyHalf, Work::LatencyNine,
        Work::TwoRuntimes,
        Work::IdleFresh, Work::IdleTouched,
        Work::GapNone, Work::GapBlock, Work::GapCompute,
        Work::SpawnTask, Work::SkynetTasks, Work::Compute,
        Work::Timers, Work::Select, Work::Mutex, Work::RwLock,
        Work::IdleTask,
        Work::RendezvousPair, Work::RendezvousStream, Work::BufferedStream, Work::BufferedFour,
    ];

    /// Its row.
    #[rustfmt::skip]
    pub fn spec(self) -> Spec {
        use Group::{Actors, Channels, Tasks};
        let (group, name, full, quick) = match self {
            Work::Ask => (Actors, "ask", 800_000, 40_000),
            Work::AskEight => (Actors, "ask, 8 askers, 1 actor", 800_000, 40_000),
            Work::AskThousand => (Actors, "ask, 1,000 askers, 1 actor", 800_000, 100_000),
            Work::AskPairs => (Actors, "ask, 64 pairs", 1_600_000, 80_000),
            Work::TellOne => (Actors, "tell, 1 producer", 2_000_000, 100_000),
            Work::TellFour => (Actors, "tell, 4 producers", 2_000_000, 100_000),
            Work::TellSixteen => (Actors, "tell, 16 producers", 2_000_000, 100_000),
            Work::PingPong => (Actors, "ping-pong, one hop", 800_000, 40_000),
            Work::PingPongs => (Actors, "64 ping-pongs, one hop", 1_600_000, 80_000),
            Work::Ring => (Actors, "ring of 503, one hop", 800_000, 80_000),
            Work::FanOut => (Actors, "fan-out to 16, fan-in, per item", 800_000, 40_000),
            Work::Spawn => (Actors, "spawn, one ask, end", 160_000, 8_000),
            Work::Skynet => (Actors, "skynet, per leaf", 1_000_000, 100_000),
            Work::Restart => (Actors, "restart after a crash", 10_000, 500),
            Work::Page => (Actors, "ask with 1 KiB inline", 400_000, 20_000),
            Work::Block => (Actors, "ask with 1 MiB boxed, handed back", 400_000, 20_000),
            Work::LatencyHalf => (Actors, "ask, actor at 50% load", 20_000, 2_500),
            Work::LatencyNine => (Actors, "ask, actor at 90% load", 36_000, 4_500),
            Work::TwoRuntimes => (Actors, "ask, on two runtimes at once", 400_000, 20_000),
            Work::IdleFresh => (Actors, "idle actor, never spoken to", 1_000_000, 100_000),
            Work::IdleTouched => (Actors, "idle actor, after one ask", 1_000_000, 100_000),
            Work::GapNone => (Actors, "worst gap, no load", 1, 1),
            Work::GapBlock => (Actors, "worst gap, a task per core blocks 1 s", 1, 1),
            Work::GapCompute => (Actors, "worst gap, a task per core computes 1 s", 1, 1),
            Work::SpawnTask => (Tasks, "spawn task and join", 400_000, 40_000),
            Work::SkynetTasks => (Tasks, "skynet of tasks, per leaf", 1_000_000, 100_000),
            Work::Compute => (Tasks, "4 computations of 1 ms", 200, 20),
            Work::Timers => (Tasks, "100,000 sleepers, lateness", 100_000, 100_000),
            Work::Select => (Tasks, "select over 8 channels", 400_000, 40_000),
            Work::Mutex => (Tasks, "mutex, 16 tasks", 800_000, 80_000),
            Work::RwLock => (Tasks, "rwlock, 16 tasks, 1 write in 10", 800_000, 80_000),
            Work::IdleTask => (Tasks, "idle task, asleep for an hour", 1_000_000, 100_000),
            Work::RendezvousPair => (Channels, "rendezvous ping-pong, one hop", 800_000, 80_000),
            Work::RendezvousStream => (Channels, "rendezvous, one way", 800_000, 80_000),
            Work::BufferedStream => (Channels, "128 buffered, one way", 3_200_000, 200_000),
            Work::BufferedFour => (Channels, "128 buffered, 4 senders", 3_200_000, 200_000),
        };
        Spec { group, name, full, quick }
    }

    /// Whether the figures come from a process of its own (see `idle.rs`).
    pub fn is_idle(self) -> bool {
        matches!(self, Work::IdleFresh | Work::IdleTouched | Work::IdleTask)
    }

    /// How many rounds it gets at most, because each takes so long whatever the peer.
    pub fn rounds_max(self, quick: bool) -> usize {
        match self {
            Work::IdleFresh | Work::IdleTouched | Work::IdleTask => 1,
            Work::GapNone | Work::GapBlock | Work::GapCompute if quick => 1,
            Work::LatencyHalf | Work::LatencyNine | Work::Timers if quick => 1,
            Work::Skynet if quick => 2,
            Work::GapNone | Work::GapBlock | Work::GapCompute => 5,
            Work::LatencyHalf | Work::LatencyNine | Work::Timers | Work::Skynet => 5,
            _ => usize::MAX,
        }
    }
}

/// One reading.
#[derive(Clone, Debug)]
pub struct Figure {
    /// What follows the work's name in the table: `", p99"`, or nothing.
    pub of: String,
    /// `"ns"`, `"ms"` or `"bytes"`.
    pub unit: &'static str,
    /// The reading itself.
    pub value: f64,
    /// What a reader must know about it.
    pub note: String,
}

impl Figure {
    /// A reading that is the only one of its work.
    pub fn new(unit: &'static str, value: f64) -> Figure {
        Figure::of("", unit, value)
    }

    /// One of several.
    pub fn of(of: &str, unit: &'static str, value: f64) -> Figure {
        Figure {
            of: of.into(),
            unit,
            value,
            note: String::new(),
        }
    }

    /// Nanoseconds per operation.
    pub fn per_op(took: Duration, ops: u64) -> Figure {
        Figure::new("ns", took.as_nanos() as f64 / ops as f64)
    }

    /// Some quantiles of these times, in milliseconds.
    pub fn quantiles(mut times: Vec<Duration>, quantiles: &[(&str, f64)]) -> Vec<Figure> {
        times.sort_unstable();
        let at = |q: f64| times[((times.len() - 1) as f64 * q).round() as usize];
        quantiles
            .iter()
            .map(|(name, q)| Figure::of(name, "ms", at(*q).as_secs_f64() * 1e3))
            .collect()
    }
}

/// How many of `ops` operations fall to one of so many tasks.
pub fn share(ops: u64, tasks: u64, task: u64) -> u64 {
    ops / tasks + u64::from(task < ops % tasks)
}

/// About a millisecond of arithmetic that no compiler can shorten; returns a value to check.
#[inline(never)]
pub fn compute(seed: u64) -> u64 {
    let mut x = seed;
    for _ in 0..900_000 {
        x = std::hint::black_box(x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
    }
    x
}

/// Keeps the thread busy for so long, as a handler that serves a request does.
pub fn spin(time: Duration) {
    let start = Instant::now();
    while start.elapsed() < time {
        std::hint::spin_loop();
    }
}

static ALIVE: AtomicUsize = AtomicUsize::new(0);

/// A part of an actor's state that says when the actor has ended.
#[derive(Debug)]
pub struct Alive(());

impl Alive {
    /// One more actor lives.
    pub fn new() -> Alive {
        ALIVE.fetch_add(1, Ordering::Relaxed);
        Alive(())
    }

    /// How many actors have not ended.
    pub fn count() -> usize {
        ALIVE.load(Ordering::Acquire)
    }
}

impl Default for Alive {
    fn default() -> Self {
        Alive::new()
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        ALIVE.fetch_sub(1, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up_to_all_operations() {
        for ops in [0, 1, 7, 8, 9, 1_000_003] {
            assert_eq!((0..8).map(|task| share(ops, 8, task)).sum::<u64>(), ops);
        }
    }

    #[test]
    fn the_median_of_a_quantile_is_in_the_middle() {
        let times = [5, 1, 3].map(Duration::from_millis).to_vec();
        assert_eq!(Figure::quantiles(times, &[(", p50", 0.5)])[0].value, 3.0);
    }

    #[test]
    fn no_two_works_share_a_name() {
        for (i, work) in Work::ALL.iter().enumerate() {
            let twins = Work::ALL
                .iter()
                .filter(|w| w.spec().name == work.spec().name);
            assert_eq!(twins.count(), 1, "{work:?}");
            assert_eq!(*work as usize, i, "ALL is in the order of the enum");
        }
    }
}
