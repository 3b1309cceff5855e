//! The same work for every peer, alternating over several rounds: medians, ratios, memory, gaps.
//!
//! ```text
//! cargo run --release -p benches --bin versus -- [--quick] [--rounds N] [--only WORK] [--peer NAME] [--json FILE]
//! ```
//!
//! The peers take turns within a round and another one begins each round, so that a machine that
//! slows down or speeds up meanwhile favours none. Memory is counted in a process of its own per
//! peer (`--idle PEER`, started by this program), because pools that an earlier work filled would
//! hide what an actor costs.

use std::fs;
use std::process::{Command, ExitCode};

use benches::counting_alloc::{self, CountingAlloc};
use benches::gap::Offence;
use benches::peers::{Idle, Memory};
use benches::report::{Cell, figure, median, table};
use benches::{Kameo, Ours, Peer, Tokio, Work, cores};

#[global_allocator]
static ALLOC: CountingAlloc = CountingAlloc;

const PEERS: [&str; 3] = [Ours::NAME, Tokio::NAME, Kameo::NAME];

/// How many actors idle while their memory is counted.
const IDLE_ACTORS: usize = 100_000;

#[derive(Default)]
struct Options {
    quick: bool,
    rounds: Option<usize>,
    /// How the names of the works to run begin; empty for all.
    only: String,
    /// Part of the names of the peers to run; empty for all.
    peer: String,
    json: Option<String>,
    idle: Option<String>,
}

fn options() -> Result<Options, String> {
    let mut options = Options::default();
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or(format!("{arg} needs a value"));
        match arg.as_str() {
            "--quick" => options.quick = true,
            "--rounds" => {
                let rounds = value()?.parse().map_err(|e| format!("--rounds: {e}"))?;
                options.rounds = Some(rounds).filter(|n| *n > 0);
            }
            "--only" => options.only = value()?,
            "--peer" => options.peer = value()?,
            "--json" => options.json = Some(value()?),
            "--idle" => options.idle = Some(value()?),
            _ => return Err(format!("unknown option {arg}; see the top of versus.rs")),
        }
    }
    Ok(options)
}

fn main() -> ExitCode {
    let options = match options() {
        Ok(options) => options,
        Err(what) => {
            eprintln!("versus: {what}");
            return ExitCode::FAILURE;
        }
    };
    if let Some(peer) = &options.idle {
        return print_idle_bytes(peer);
    }
    let wanted = |name: &str| name.starts_with(&options.only);
    let rounds = options.rounds.unwrap_or(if options.quick { 3 } else { 11 });
    println!("{} cores, {rounds} rounds, medians\n", cores());

    let mut cells = Vec::new();
    for work in Work::ALL.into_iter().filter(|work| wanted(work.name())) {
        cells.extend(measure(work, rounds, &options));
    }
    for idle in [Idle::Fresh, Idle::Touched]
        .into_iter()
        .filter(|idle| wanted(idle_name(*idle)))
    {
        let peers = PEERS
            .into_iter()
            .filter(|peer| peer.contains(&options.peer));
        cells.extend(peers.map(|peer| idle_bytes(peer, idle)));
    }
    for offence in Offence::ALL
        .into_iter()
        .filter(|o| wanted(&gap_name("", *o)))
    {
        let rounds = if options.quick { 1 } else { rounds.min(5) };
        cells.extend(worst_gaps(offence, rounds, &options));
    }
    println!("{}", table(&cells, &PEERS));
    if let Some(path) = &options.json {
        let rows: Vec<_> = cells.iter().filter_map(Cell::json).collect();
        let text = serde_json::to_string_pretty(&rows).expect("rows are plain JSON");
        if let Err(e) = fs::write(path, text) {
            eprintln!("versus: cannot write {path}: {e}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// One measurement on a runtime of its own, warmed up first: nanoseconds per operation.
fn once<P: Peer>(work: Work, ops: u64) -> Option<f64> {
    let peer = P::start();
    peer.run(work, (ops / 8).max(1))?;
    let took = peer.run(work, ops)?;
    Some(took.as_nanos() as f64 / ops as f64)
}

fn measure(work: Work, rounds: usize, options: &Options) -> [Cell; 3] {
    let ops = work.ops(options.quick);
    let peers = [once::<Ours>, once::<Tokio>, once::<Kameo>];
    let mut cells = PEERS.map(|peer| Cell {
        work: work.name().into(),
        peer,
        unit: "ns",
        samples: Vec::new(),
        note: format!("{ops} operations a round"),
    });
    for round in 0..rounds {
        for turn in 0..peers.len() {
            let turn = (round + turn) % peers.len();
            if PEERS[turn].contains(&options.peer) {
                cells[turn].samples.extend(peers[turn](work, ops));
            }
        }
    }
    for cell in cells.iter().filter(|cell| !cell.samples.is_empty()) {
        eprintln!(
            "{:34} {:12} {:>12} ns",
            cell.work,
            cell.peer,
            figure(median(&cell.samples))
        );
    }
    cells
}

fn idle_name(idle: Idle) -> &'static str {
    match idle {
        Idle::Fresh => "idle actor, never spoken to",
        Idle::Touched => "idle actor, after one ask",
    }
}

/// Runs this program again to count one peer's memory alone.
fn idle_bytes(peer: &'static str, idle: Idle) -> Cell {
    let program = std::env::current_exe().expect("this program's path");
    let output = Command::new(program)
        .args(["--idle", &format!("{peer}/{idle:?}")])
        .output()
        .expect("this program starts again");
    let text = String::from_utf8_lossy(&output.stdout);
    let mut figures = text
        .split_whitespace()
        .map(|word| word.parse::<f64>().expect("a figure"));
    let (Some(bytes), Some(resident), true) =
        (figures.next(), figures.next(), output.status.success())
    else {
        panic!("{peer} failed: {}", String::from_utf8_lossy(&output.stderr));
    };
    eprintln!(
        "{:34} {peer:12} {:>12} bytes",
        idle_name(idle),
        figure(bytes)
    );
    Cell {
        work: idle_name(idle).into(),
        peer,
        unit: "bytes",
        samples: vec![bytes],
        note: format!("{IDLE_ACTORS} actors; resident memory grew by {resident:.0} each"),
    }
}

/// The process started by [`idle_bytes`]: prints bytes allocated and resident per actor.
fn print_idle_bytes(what: &str) -> ExitCode {
    fn grown<P: Peer>(idle: Idle) -> Memory {
        counting_alloc::count();
        let peer = P::start();
        peer.run(Work::Spawn, 100); // what the runtime allocates once is no actor's
        peer.idle(IDLE_ACTORS, idle, || Memory {
            allocated: counting_alloc::live_bytes(),
            resident: resident_bytes(),
        })
    }
    let (peer, idle) = what.split_once('/').unwrap_or((what, ""));
    let idle = if idle == "Touched" {
        Idle::Touched
    } else {
        Idle::Fresh
    };
    let grown = match peer {
        Ours::NAME => grown::<Ours>(idle),
        Tokio::NAME => grown::<Tokio>(idle),
        Kameo::NAME => grown::<Kameo>(idle),
        _ => {
            eprintln!("versus: no peer {peer}; there are {PEERS:?}");
            return ExitCode::FAILURE;
        }
    };
    let each = |total: i64| total as f64 / IDLE_ACTORS as f64;
    println!("{} {}", each(grown.allocated), each(grown.resident));
    ExitCode::SUCCESS
}

/// This process's resident memory, or 0 where the system doesn't say it as Linux does.
fn resident_bytes() -> i64 {
    let statm = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm
        .split_whitespace()
        .nth(1)
        .and_then(|n| n.parse::<i64>().ok())
        .unwrap_or(0)
        * 4096
}

fn gap_name(who: &str, offence: Offence) -> String {
    format!("worst gap, {who}, {}", offence.name())
}

fn worst_gaps(offence: Offence, rounds: usize, options: &Options) -> Vec<Cell> {
    let cell = |who: &str, peer| Cell {
        work: gap_name(who, offence),
        peer,
        unit: "ms",
        samples: Vec::new(),
        note: "the longest in each round".into(),
    };
    let peers = [
        (
            Ours::NAME,
            (|o| Ours::start().worst_gap(o)) as fn(Offence) -> _,
        ),
        (Tokio::NAME, |o| Tokio::start().worst_gap(o)),
    ];
    let mut pairs = peers.map(|(name, _)| cell("ping-pong", name));
    let mut tickers = peers.map(|(name, _)| cell("1 ms ticker", name));
    for round in 0..rounds {
        for turn in 0..peers.len() {
            let turn = (round + turn) % peers.len();
            if !peers[turn].0.contains(&options.peer) {
                continue;
            }
            let gap = peers[turn].1(offence).expect("both have tasks");
            pairs[turn].samples.push(gap.pair_ms);
            tickers[turn].samples.push(gap.ticker_ms);
        }
    }
    for cell in pairs
        .iter()
        .chain(&tickers)
        .filter(|cell| !cell.samples.is_empty())
    {
        eprintln!(
            "{:34} {:12} {:>12} ms",
            cell.work,
            cell.peer,
            figure(median(&cell.samples))
        );
    }
    pairs.into_iter().chain(tickers).collect()
}
