//! What it costs that asks are edges of the graph of who waits for whom (`actor/entangled.rs`).
//!
//! ```text
//! cargo run --release -p benches --bin ask_edge -- [--rounds N]
//! ```
//!
//! Only actors, and goroutines that have taken a lock, publish what they wait for. So the same ask costs
//! a goroutine less before it has taken its first lock than afterwards, and less than it costs an
//! actor. The ways take turns within a round, on one P and on one per core; medians. The instructions
//! are those of the baseline, `instructions.txt`.

use std::process::ExitCode;
use std::time::Instant;

use actor_core::sync::Mutex;
use actor_core::{Runtime, actor};
use benches::instructions::baseline_of;
use benches::report::{figure, median};

/// Asks a round and way.
const OPS: u64 = 20_000;

/// Asks the next one in its handler; the last one of a chain answers.
struct Link {
    next: Option<LinkRef>,
}

#[actor(vis = pub(self))]
impl Link {
    #[init]
    fn new(next: Option<LinkRef>) -> Self {
        Link { next }
    }

    pub(crate) async fn depth(&mut self) -> u64 {
        match &self.next {
            Some(next) => 1 + next.depth().await.expect("the next one answers"),
            None => 1,
        }
    }

    /// Asks the next one so many times; returns the nanoseconds of one.
    pub(crate) async fn time_next(&mut self, ops: u64) -> f64 {
        let next = self.next.as_ref().expect("a next one");
        time_asks(next, ops, 1).await
    }
}

async fn chain(length: u64) -> LinkRef {
    let mut first = Link::start(None).await.expect("a link starts");
    for _ in 1..length {
        first = Link::start(Some(first)).await.expect("a link starts");
    }
    first
}

/// Asks so many times and checks the answers; returns the nanoseconds of one.
async fn time_asks(link: &LinkRef, ops: u64, depth: u64) -> f64 {
    let start = Instant::now();
    for _ in 0..ops {
        assert_eq!(link.depth().await.expect("an answer"), depth);
    }
    start.elapsed().as_nanos() as f64 / ops as f64
}

/// One way to ask; returns the nanoseconds per operation.
struct Way {
    name: &'static str,
    /// What `instructions.txt` calls it.
    counted_as: &'static str,
    time: fn(&Runtime) -> f64,
}

const WAYS: [Way; 4] = [
    Way {
        name: "of a goroutine: no edge",
        counted_as: "ask, async handler",
        time: |rt| rt.run(async { time_asks(&chain(1).await, OPS, 1).await }),
    },
    Way {
        name: "of a goroutine that has taken a lock: an edge",
        counted_as: "ask, async handler, after a lock",
        time: |rt| {
            rt.run(async {
                drop(Mutex::new(()).lock().await);
                time_asks(&chain(1).await, OPS, 1).await
            })
        },
    },
    Way {
        name: "of an actor: an edge",
        counted_as: "ask, async handler, by an actor",
        time: |rt| {
            rt.run(async {
                let asker = chain(2).await;
                asker.time_next(OPS).await.expect("an answer")
            })
        },
    },
    Way {
        name: "through 8 actors: 7 edges",
        counted_as: "ask through 8 actors",
        time: |rt| rt.run(async { time_asks(&chain(8).await, OPS / 8, 8).await }),
    },
];

fn rounds() -> Result<usize, String> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => Ok(21),
        ["--rounds", n] => n
            .parse()
            .ok()
            .filter(|n| *n > 0)
            .ok_or("--rounds needs a number of at least 1".into()),
        _ => Err("the only option is --rounds N".into()),
    }
}

fn main() -> ExitCode {
    let rounds = match rounds() {
        Ok(rounds) => rounds,
        Err(what) => {
            eprintln!("ask_edge: {what}");
            return ExitCode::FAILURE;
        }
    };
    let one = Runtime::builder().procs(1).build().expect("a runtime");
    let all = Runtime::new().expect("a runtime");
    let mut ns = WAYS.each_ref().map(|_| [Vec::new(), Vec::new()]);
    for round in 0..=rounds {
        for (way, ns) in WAYS.iter().zip(&mut ns) {
            for (rt, ns) in [&one, &all].into_iter().zip(ns) {
                let took = (way.time)(rt);
                if round > 0 {
                    ns.push(took); // the first round warms up
                }
            }
        }
    }
    let baseline = include_str!("../../instructions.txt");
    println!(
        "| one ask | instructions | ns, 1 P | ns, {} Ps |",
        all.handle().procs()
    );
    println!("|---|---:|---:|---:|");
    for (way, [on_one, on_all]) in WAYS.iter().zip(&ns) {
        let count = baseline_of(baseline, way.counted_as).map_or("–".into(), figure);
        let (on_one, on_all) = (figure(median(on_one)), figure(median(on_all)));
        println!("| {} | {count} | {on_one} | {on_all} |", way.name);
    }
    ExitCode::SUCCESS
}
