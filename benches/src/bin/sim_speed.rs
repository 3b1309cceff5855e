//! How fast a simulation is: steps a second on one core, runs a second, and how many times real time
//! an idle service passes.
//!
//! A step is one poll of a goroutine, with the choice of who is polled, its place in the log and in
//! the hash: what `sim::check` counts. Every check runs its first seed twice, as checks do, and both
//! runs count. The time is the thread's own on its core, so that a busy machine doesn't spoil it;
//! each row is the median of several rounds.
//!
//! `cargo run --release -p benches --bin sim_speed`, with `--quick` for a look. The last line says
//! whether all rows reach what is promised, and so does the exit code.

use std::process::ExitCode;
use std::time::Duration;

use actor_core::prelude::*;
use actor_core::sim::{self, Check, Pct, Policy, RandomWalk, Sim, Summary, TimeUnits};
use actor_core::{chan, interval};
use rustix::time::{ClockId, clock_gettime};

/// Steps a second that each kind of work has to reach.
const STEPS_MIN: f64 = 1e6;
/// How many times real time the idle service has to pass.
const LEAP_MIN: f64 = 500.0;

/// How much to do.
#[derive(Clone, Copy)]
struct Size {
    rounds: usize,
    /// Of a work of one goroutine, in one run.
    times: u32,
    /// For runs as short as those of most tests.
    seeds: u64,
    days: u64,
}

const FULL: Size = Size {
    rounds: 7,
    times: 100_000,
    seeds: 2_000,
    days: 10,
};
const QUICK: Size = Size {
    rounds: 3,
    times: 20_000,
    seeds: 200,
    days: 1,
};

// ---- the works ----------------------------------------------------------------------------------

/// So many goroutines that are always ready.
async fn yielding(goroutines: u32, times: u32) {
    let all: Vec<_> = (0..goroutines)
        .map(|_| {
            go(async move {
                for _ in 0..times {
                    yield_now().await;
                }
            })
        })
        .collect();
    for one in all {
        one.await.unwrap();
    }
}

/// Two goroutines, a value to and fro.
async fn ping_pong(times: u32) {
    let (ping, pinged) = chan::buffered(1);
    let (pong, ponged) = chan::buffered(1);
    let other = go(async move {
        while let Some(n) = pinged.recv().await {
            pong.send(n).await.unwrap();
        }
    });
    for n in 0..times {
        ping.send(n).await.unwrap();
        assert_eq!(ponged.recv().await, Some(n));
    }
    drop(ping);
    other.await.unwrap();
}

struct Counter {
    value: u64,
}

#[actor]
impl Counter {
    #[init]
    fn new() -> Self {
        Counter { value: 0 }
    }

    pub fn add(&mut self, by: u64) -> u64 {
        self.value += by;
        self.value
    }
}

struct Clerk {
    counter: CounterRef,
}

#[actor]
impl Clerk {
    #[init]
    fn new(counter: CounterRef) -> Self {
        Clerk { counter }
    }

    /// Passes it on.
    pub async fn add(&mut self, by: u64) -> Result<u64, CallError> {
        self.counter.add(by).timeout(1.secs()).await
    }
}

/// Four clients ask two clerks, who ask one counter.
async fn asking(sim: &Sim, times: u32, is_faulty: bool) {
    let counter = sim.supervise(Counter::child("counter")).await.unwrap();
    let mut clerks = Vec::new();
    for name in ["one clerk", "the other"] {
        let clerk = Clerk::child(name, counter.clone());
        clerks.push(sim.supervise(clerk).await.unwrap());
    }
    if is_faulty {
        sim.faults()
            .panic(&counter, 0.001)
            .stall(&counter, 2.ms())
            .full_mailbox(&clerks[0])
            .delay(0.05, 1.micros()..1.ms())
            .drop_reply(0.01);
    }
    let clients: Vec<_> = (0..4)
        .map(|n| {
            let clerk = clerks[n % 2].clone();
            go(async move {
                for _ in 0..times {
                    let _ = clerk.add(1).await;
                }
            })
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
}

struct Housekeeper {
    seconds: u64,
}

#[actor]
impl Housekeeper {
    #[init]
    fn new() -> Self {
        Housekeeper { seconds: 0 }
    }

    #[every(seconds = 1)]
    fn look_around(&mut self) {
        self.seconds += 1;
    }

    #[every(minutes = 1)]
    fn tidy(&mut self) {}

    pub fn seconds(&self) -> u64 {
        self.seconds
    }
}

/// Three supervised actors and a goroutine that wait for their timers, for so many days.
async fn idle(sim: &Sim, days: u64) {
    let mut all = Vec::new();
    for name in ["sessions", "caches", "leases"] {
        all.push(sim.supervise(Housekeeper::child(name)).await.unwrap());
    }
    let heartbeat = go(async {
        let mut beat = interval(500.ms());
        loop {
            beat.tick().await;
        }
    });
    sim.advance(days.days()).await;
    for one in all {
        assert_eq!(one.seconds().await, Ok(days * 24 * 3600));
    }
    heartbeat.abort();
}

// ---- the measuring ------------------------------------------------------------------------------

/// What this thread has spent on a core.
fn spent() -> Duration {
    let spent = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(spent.tv_sec as u64, spent.tv_nsec as u32)
}

/// The median round, and what it has done.
fn measure(rounds: usize, check: impl Fn() -> Check) -> (Duration, Summary) {
    let once = || {
        let begin = spent();
        let summary = check().steps_max(u64::MAX).run();
        (spent() - begin, summary)
    };
    let mut all: Vec<_> = (0..rounds).map(|_| once()).collect();
    all.sort_by_key(|(spent, _)| *spent);
    all.swap_remove(rounds / 2)
}

type Make = Box<dyn Fn() -> Check>;
type Policies = [fn() -> Box<dyn Policy>; 2];

fn main() -> ExitCode {
    let size = if std::env::args().any(|arg| arg == "--quick") {
        QUICK
    } else {
        FULL
    };
    let times = size.times;
    let works: [(&str, Make); 6] = [
        (
            "4 goroutines yield",
            Box::new(move || sim::check(move |_| yielding(4, times))),
        ),
        (
            "64 goroutines yield",
            Box::new(move || sim::check(move |_| yielding(64, times / 8))),
        ),
        (
            "two channels, ping-pong",
            Box::new(move || sim::check(move |_| ping_pong(times))),
        ),
        (
            "actors ask actors",
            Box::new(move || sim::check(move |sim| asking(sim, times / 4, false))),
        ),
        (
            "the same with faults",
            Box::new(move || sim::check(move |sim| asking(sim, times / 4, true))),
        ),
        (
            "short runs: actors, 5 asks each",
            Box::new(move || sim::check(move |sim| asking(sim, 5, false)).seeds(size.seeds)),
        ),
    ];
    let policies: Policies = [|| RandomWalk::default().into(), || Pct { depth: 3 }.into()];
    let mut is_fast = true;
    println!(
        "| work | policy | steps a run | ns a step | million steps a second | runs a second |"
    );
    println!("|---|---|--:|--:|--:|--:|");
    for (name, check) in &works {
        for policy in policies {
            let is_short = name.starts_with("short");
            let seeds = |check: Check| if is_short { check } else { check.seeds(1) };
            let (spent, summary) = measure(size.rounds, || seeds(check()).policy(policy()));
            let seconds = spent.as_secs_f64();
            let a_second = summary.steps as f64 / seconds;
            is_fast &= is_short || a_second >= STEPS_MIN;
            println!(
                "| {name} | {} | {} | {:.0} | {:.2} | {:.0} |",
                policy().name(),
                summary.steps / summary.runs,
                1e9 / a_second,
                a_second / 1e6,
                summary.runs as f64 / seconds,
            );
        }
    }
    let days = size.days;
    let (spent, summary) = measure(3, || sim::check(move |sim| idle(sim, days)).seeds(1));
    let leap = summary.elapsed.as_secs_f64() / spent.as_secs_f64();
    println!("\n| supervised service, idle but for timers | |\n|---|--:|");
    println!(
        "| simulated | {:.0} hours |",
        summary.elapsed.as_secs_f64() / 3600.0
    );
    println!("| steps | {} |", summary.steps);
    println!("| time on the core | {spent:.1?} |");
    println!("| times real time | {leap:.0} |");
    let is_met = is_fast && leap >= LEAP_MIN;
    let verdict = if is_met { "met" } else { "NOT MET" };
    println!(
        "\nat least {:.0} million steps a second and {LEAP_MIN:.0} times real time: {verdict}",
        STEPS_MIN / 1e6
    );
    if is_met {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
