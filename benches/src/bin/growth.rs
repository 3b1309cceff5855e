//! How costs grow: from 1 to 10^6 actors, from 1 to 10^5 senders, from 2 to 128 Ps.
//!
//! ```text
//! cargo run --release -p benches --bin growth -- [--quick]
//! ```
//!
//! Prints markdown. The first two tables are the CPU time that the process takes on one P, whatever else
//! the machine does meanwhile; medians of 3 rounds (1 with `--quick`, which also stops at a tenth of
//! the sizes). The third counts what the real runtime does with more Ps than there are cores: only the
//! counts mean anything there. The last one is the model of the protocol (`benches::protocol`) with a
//! core for each P, in virtual time.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use actor_core::{Pinning, Runtime, actor, go};
use benches::cores;
use benches::counting_alloc::{self, CountingAlloc};
use benches::protocol::{self, Counts, Load};
use benches::report::{figure, median};
use benches::work::share;

#[global_allocator]
static ALLOC: CountingAlloc = CountingAlloc;

/// Calls a round and size.
const CALLS: u64 = 200_000;

struct Counter {
    sum: u64,
}

#[actor(vis = pub(self))]
impl Counter {
    #[init]
    fn new() -> Self {
        Counter { sum: 0 }
    }

    pub(crate) fn add(&mut self, n: u64) -> u64 {
        self.sum += n;
        self.sum
    }

    pub(crate) fn sum(&mut self) -> u64 {
        self.sum
    }
}

async fn start(actors: usize) -> Vec<CounterRef> {
    let mut counters = Vec::with_capacity(actors);
    for _ in 0..actors {
        counters.push(Counter::start().await.expect("it starts"));
    }
    counters
}

/// Nanoseconds that this process's threads have run; zero where the system doesn't say it as Linux does.
fn cpu_ns() -> u64 {
    let of_thread = |path: PathBuf| {
        let text = fs::read_to_string(path.join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<u64>().ok()
    };
    threads().filter_map(of_thread).sum()
}

fn threads() -> impl Iterator<Item = PathBuf> {
    let threads = fs::read_dir("/proc/self/task").into_iter().flatten();
    threads.filter_map(|thread| Some(thread.ok()?.path()))
}

/// Nanoseconds of CPU per operation since then.
fn each(since: u64, ops: u64) -> f64 {
    (cpu_ns() - since) as f64 / ops as f64
}

/// One P: nobody searches, so nothing but the work takes CPU time.
fn one_p() -> Runtime {
    Runtime::builder().procs(1).build().expect("a runtime")
}

/// With so many actors: to start one, an ask, a tell, to let one go.
async fn of_actors(actors: usize) -> [f64; 4] {
    let began = cpu_ns();
    let counters = start(actors).await;
    let spawn = each(began, actors as u64);

    // A stride that visits all of them, and no neighbours in a row.
    let stride = (0..CALLS as usize).map(|i| i.wrapping_mul(7_919) % actors);
    let began = cpu_ns();
    for i in stride.clone() {
        counters[i].add(1).await.expect("an answer");
    }
    let ask = each(began, CALLS);

    let began = cpu_ns();
    for i in stride {
        counters[i].add(1).tell().await.expect("it runs");
    }
    // Who has answered has handled its own, and goroutines queue first in, first out.
    let mut sum = 0;
    let probes = actors.min(1_000);
    for counter in &counters[..probes] {
        sum += counter.sum().await.expect("an answer");
    }
    let tell = each(began, CALLS + probes as u64);
    for counter in &counters[probes..] {
        sum += counter.sum().await.expect("an answer");
    }
    assert_eq!(sum, CALLS * 2);

    let began = cpu_ns();
    let exits: Vec<_> = counters.iter().map(|counter| counter.wait()).collect();
    drop(counters);
    for exit in exits {
        exit.await;
    }
    [spawn, ask, tell, each(began, actors as u64)]
}

/// With so many senders to one actor: an ask, a tell.
async fn of_senders(senders: u64) -> [f64; 2] {
    let calls = CALLS.max(2 * senders);
    let counter = Counter::start().await.expect("it starts");
    let mut ns = [0.0; 2];
    for (asks, ns) in [true, false].into_iter().zip(&mut ns) {
        let began = cpu_ns();
        let sending = (0..senders).map(|sender| {
            let counter = counter.clone();
            go(async move {
                for _ in 0..share(calls, senders, sender) {
                    if asks {
                        counter.add(1).await.expect("an answer");
                    } else {
                        counter.add(1).tell().await.expect("it runs");
                    }
                }
            })
        });
        for sender in sending.collect::<Vec<_>>() {
            sender.await.expect("it ends");
        }
        counter.sum().await.expect("an answer");
        *ns = each(began, calls);
    }
    assert_eq!(counter.sum().await, Ok(calls * 2));
    ns
}

/// The process started by [`bytes_each`]: prints the bytes of an idle actor, among so many.
fn print_bytes(actors: usize) {
    counting_alloc::count();
    let rt = Runtime::new().expect("a runtime");
    let grown = rt.run(async move {
        drop(start(100).await); // what the runtime allocates once is no actor's
        let before = counting_alloc::live_bytes();
        let counters = start(actors).await;
        let handles = std::mem::size_of::<CounterRef>() * actors;
        let grown = counting_alloc::live_bytes() - before - handles as i64;
        drop(counters);
        grown
    });
    println!("{}", grown as f64 / actors as f64);
}

fn bytes_each(actors: usize) -> f64 {
    let program = std::env::current_exe().expect("this program's path");
    let output = Command::new(program)
        .args(["--bytes", &actors.to_string()])
        .output()
        .expect("this program starts again");
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim().parse().expect("a figure")
}

/// Medians over the rounds of what each round returns.
fn medians<const N: usize>(rounds: usize, mut round: impl FnMut() -> [f64; N]) -> [f64; N] {
    let rounds: Vec<_> = (0..rounds).map(|_| round()).collect();
    std::array::from_fn(|i| median(&rounds.iter().map(|round| round[i]).collect::<Vec<_>>()))
}

fn row(first: impl std::fmt::Display, figures: &[f64]) {
    let figures: Vec<_> = figures.iter().map(|x| figure(*x)).collect();
    println!("| {first} | {} |", figures.join(" | "));
}

fn actors_and_senders(quick: bool) {
    let rounds = if quick { 1 } else { 3 };
    println!(
        "## Actors\n\nCPU time on one P; {CALLS} calls by one goroutine, spread over all of them.\n"
    );
    println!("| actors | start, ns | ask, ns | tell, ns | end, ns | idle, bytes |");
    println!("|---:|---:|---:|---:|---:|---:|");
    for power in 0..=(if quick { 5 } else { 6 }) {
        let actors = 10_usize.pow(power);
        // A runtime each, so that one size's leftovers are not the next one's.
        let ns = medians(rounds, || one_p().run(of_actors(actors)));
        // A few are lost among what the runtime itself allocates.
        let bytes = (actors >= 1_000).then(|| figure(bytes_each(actors)));
        let [spawn, ask, tell, end] = ns.map(figure);
        // CPU time is counted in ticks of some milliseconds.
        let lives = |ns| {
            if actors < 100_000 {
                "–".to_owned()
            } else {
                ns
            }
        };
        let (spawn, end) = (lives(spawn), lives(end));
        let bytes = bytes.as_deref().unwrap_or("–");
        println!("| {actors} | {spawn} | {ask} | {tell} | {end} | {bytes} |");
    }
    println!(
        "\n## Senders\n\nCPU time on one P; {CALLS} calls (2 each, if that is more) to one actor.\n"
    );
    println!("| senders | ask, ns | tell, ns |\n|---:|---:|---:|");
    for power in 0..=(if quick { 4 } else { 5 }) {
        let senders = 10_u64.pow(power);
        let ns = medians(rounds, || one_p().run(of_senders(senders)));
        row(senders, &ns);
    }
}

/// What the real runtime does on so many Ps: polls, steals and wakes per ask, of twice as many pairs
/// as Ps.
fn of_procs(procs: usize) -> [f64; 3] {
    let rt = Runtime::builder()
        .procs(procs)
        .pinning(Pinning::Off)
        .build()
        .expect("a runtime");
    let handle = rt.handle().clone();
    rt.run(async move {
        let counters = start(2 * procs).await;
        let before = handle.metrics();
        let pairs = (0..).zip(counters).map(|(pair, counter)| {
            let asks = share(CALLS, 2 * procs as u64, pair);
            go(async move {
                for asked in 1..=asks {
                    assert_eq!(counter.add(1).await, Ok(asked));
                }
            })
        });
        for pair in pairs.collect::<Vec<_>>() {
            pair.await.expect("it ends");
        }
        let after = handle.metrics();
        let per_ask = |n: u64| n as f64 / CALLS as f64;
        [
            per_ask(after.polls - before.polls),
            per_ask(after.steals - before.steals),
            per_ask(after.wakes - before.wakes),
        ]
    })
}

fn runtime_on_too_many_ps(quick: bool) {
    println!(
        "\n## More Ps than cores ({}): the real runtime\n\n\
         Two talking pairs per P, {CALLS} asks; per thousand asks.\n",
        cores()
    );
    println!("| Ps | polls | steals | wakes |\n|---:|---:|---:|---:|");
    for power in 1..=(if quick { 4 } else { 6 }) {
        let procs = 1 << power;
        let counts = medians(if quick { 1 } else { 3 }, || of_procs(procs));
        row(procs, &counts.map(|n| n * 1_000.0));
    }
}

/// How a load grows with the Ps.
type OnPs = fn(usize) -> Load;

fn model(quick: bool) {
    let loads: [(&str, OnPs); 5] = [
        ("two talking pairs per P, an ask", |ps| Load::Pairs(2 * ps)),
        ("fork-join of 8 tasks of 20 µs per P, a task", |ps| {
            Load::ForkJoin(8 * ps, 20_000)
        }),
        ("fork-join of 64 tasks of 1 µs per P, a task", |ps| {
            Load::ForkJoin(64 * ps, 1_000)
        }),
        ("tasks of 10 µs from outside, half the Ps' worth", |ps| {
            Load::Outside(20_000 / ps as u64)
        }),
        ("one task of 10 µs from outside every 50 µs", |_| {
            Load::Outside(50_000)
        }),
    ];
    println!(
        "\n## 2 to 128 Ps: the model\n\n\
         Per thousand operations. *Looks*: at the ring or the timers of another P; *locked*: those of them under \
         the dispatch lock. *Held*: of all time, by somebody. *Busy*: of the Ps' time, inside polls."
    );
    for (name, load) in loads {
        println!("\n**{name}**\n");
        println!(
            "| Ps | lock takings | wakes | steals | looks | locked | held | busy | ns per op |"
        );
        println!("|---:|---:|---:|---:|---:|---:|---:|---:|---:|");
        for power in 1..=7 {
            let procs = 1 << power;
            let ops = if quick { 1_000 } else { 5_000 } * procs as u64;
            // What starting takes is not counted.
            let early = protocol::run(procs, load(procs), ops / 4);
            let counts = since(early, protocol::run(procs, load(procs), ops));
            let per_1000 = |n: u64| n as f64 * 1_000.0 / counts.ops as f64;
            let of_time = |ns: u64, time: u64| format!("{:.1}%", ns as f64 * 100.0 / time as f64);
            println!(
                "| {procs} | {} | {} | {} | {} | {} | {} | {} | {} |",
                figure(per_1000(counts.locks)),
                figure(per_1000(counts.wakes)),
                figure(per_1000(counts.steals)),
                figure(per_1000(counts.looks)),
                figure(per_1000(counts.looks_locked)),
                of_time(counts.lock_held_ns, counts.ns),
                of_time(counts.busy_ns, counts.ns * procs as u64),
                figure(counts.ns as f64 / counts.ops as f64),
            );
        }
    }
}

/// What was counted after `early`: the model is deterministic, so the longer run began as that one.
fn since(early: Counts, all: Counts) -> Counts {
    Counts {
        ops: all.ops - early.ops,
        locks: all.locks - early.locks,
        wakes: all.wakes - early.wakes,
        steals: all.steals - early.steals,
        looks: all.looks - early.looks,
        looks_locked: all.looks_locked - early.looks_locked,
        ns: all.ns - early.ns,
        lock_held_ns: all.lock_held_ns - early.lock_held_ns,
        busy_ns: all.busy_ns - early.busy_ns,
    }
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let quick = match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => false,
        ["--quick"] => true,
        ["--bytes", actors] if actors.parse::<usize>().is_ok_and(|n| n > 0) => {
            print_bytes(actors.parse().expect("it was one"));
            return ExitCode::SUCCESS;
        }
        _ => {
            eprintln!("growth: the only option is --quick");
            return ExitCode::FAILURE;
        }
    };
    actors_and_senders(quick);
    runtime_on_too_many_ps(quick);
    model(quick);
    ExitCode::SUCCESS
}
