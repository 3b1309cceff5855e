//! Savina's actor benchmarks for ours, a hand-written tokio actor and kameo, alternating over several
//! rounds: medians and ratios.
//!
//! ```text
//! cargo run --release -p benches --bin savina -- [--quick] [--rounds N] [--only NAME] [--json FILE]
//! cargo run --release -p benches --bin savina -- --count [--only NAME]
//! ```
//!
//! The peers take turns within a round and another one begins each round. Every answer is checked; a
//! wrong one ends the run.
//!
//! `--count` counts instructions instead, all those of the process, runtime included: it runs itself under
//! valgrind, on one core (hence with one worker), with few and with three times as many operations,
//! and divides the difference. That doesn't depend on what else the machine does, and says nothing
//! about what crossing cores costs. Needs `valgrind` and `taskset`.

use std::process::{Command, ExitCode};

use benches::cores;
use benches::report::{Cell, figure, median, table};
use benches::savina::{ALL, Benchmark, PEERS};
use benches::work::Group;

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOC: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Default)]
struct Options {
    quick: bool,
    rounds: Option<usize>,
    /// How the names of the benchmarks to run begin; empty for all.
    only: String,
    json: Option<String>,
    /// Count instructions.
    count: bool,
    /// The benchmark, the peer and the operations that a process under valgrind is started for.
    one: Option<(usize, usize, u64)>,
}

fn options() -> Result<Options, String> {
    let mut options = Options::default();
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or(format!("{arg} needs a value"));
        match arg.as_str() {
            "--quick" => options.quick = true,
            "--count" => options.count = true,
            "--one" => {
                let mut number = || value()?.parse().map_err(|e| format!("--one: {e}"));
                let (benchmark, peer, ops) = (number()?, number()?, number()?);
                options.one = Some((benchmark as usize, peer as usize, ops));
            }
            "--rounds" => {
                let rounds = value()?.parse().ok().filter(|n| *n > 0);
                options.rounds = Some(rounds.ok_or("--rounds needs a number of at least 1")?);
            }
            "--only" => options.only = value()?,
            "--json" => options.json = Some(value()?),
            _ => return Err(format!("unknown option {arg}; see the top of savina.rs")),
        }
    }
    if !ALL.iter().any(|b| b.name.starts_with(&options.only)) {
        let names = ALL.map(|b| b.name).join(", ");
        return Err(format!(
            "no benchmark begins with {:?}: {names}",
            options.only
        ));
    }
    Ok(options)
}

fn measure(benchmark: &Benchmark, ops: u64, rounds: usize) -> [Cell; 3] {
    let mut cells = PEERS.map(|peer| Cell {
        work: format!("{}, per {}", benchmark.name, benchmark.operation),
        peer: peer.into(),
        group: Group::Actors,
        unit: "ns",
        samples: Vec::new(),
        note: format!("{ops} operations a round"),
    });
    for round in 0..rounds {
        for turn in 0..PEERS.len() {
            let turn = (round + turn) % PEERS.len();
            let took = benchmark.run[turn](ops);
            cells[turn]
                .samples
                .push(took.as_nanos() as f64 / ops as f64);
        }
    }
    for cell in &cells {
        let middle = figure(median(&cell.samples));
        eprintln!("{:40} {:12} {middle:>12} ns", cell.work, cell.peer);
    }
    cells
}

/// Instructions of a process that does so many operations, after an eighth of them to warm up.
fn instructions(benchmark: usize, peer: usize, ops: u64) -> Result<f64, String> {
    let program = std::env::current_exe().map_err(|e| format!("no path to this program: {e}"))?;
    let counted = Command::new("taskset")
        .args(["-c", "0", "valgrind", "--tool=callgrind"])
        .arg("--callgrind-out-file=/dev/null")
        .arg(program)
        .arg("--one")
        .args([benchmark as u64, peer as u64, ops].map(|n| n.to_string()))
        .output()
        .map_err(|e| format!("cannot start taskset: {e}"))?;
    let said = String::from_utf8_lossy(&counted.stderr);
    let collected = said
        .lines()
        .find_map(|line| line.split_once("Collected :"))
        .and_then(|(_, count)| count.trim().parse().ok());
    match collected {
        Some(count) if counted.status.success() => Ok(count),
        _ => Err(format!("valgrind failed, {}:\n{said}", counted.status)),
    }
}

/// How many operations, and how many times as many, `--count` does.
const FEW: u64 = 2_000;
const TIMES: u64 = 3;

fn count(benchmark: usize) -> Result<[Cell; 3], String> {
    let of = &ALL[benchmark];
    let mut cells = PEERS.map(|peer| Cell {
        work: format!("{}, per {}", of.name, of.operation),
        peer: peer.into(),
        group: Group::Actors,
        unit: "instructions",
        samples: Vec::new(),
        note: "on one core".into(),
    });
    for (peer, cell) in cells.iter_mut().enumerate() {
        let few = instructions(benchmark, peer, FEW)?;
        let many = instructions(benchmark, peer, FEW * TIMES)?;
        let more = FEW * (TIMES - 1);
        cell.samples.push((many - few) / (more + more / 8) as f64);
        let count = figure(cell.samples[0]);
        eprintln!("{:40} {:12} {count:>12} instructions", cell.work, cell.peer);
    }
    Ok(cells)
}

fn run() -> Result<(), String> {
    let options = options()?;
    if let Some((benchmark, peer, ops)) = options.one {
        let benchmark = ALL.get(benchmark).ok_or("--one: no such benchmark")?;
        let run = benchmark.run.get(peer).ok_or("--one: no such peer")?;
        run(ops);
        return Ok(());
    }
    let wanted = |benchmark: &Benchmark| benchmark.name.starts_with(&options.only);
    let mut cells = Vec::new();
    if options.count {
        println!("one core, callgrind\n");
        for benchmark in (0..ALL.len()).filter(|n| wanted(&ALL[*n])) {
            cells.extend(count(benchmark)?);
        }
    } else {
        let rounds = options.rounds.unwrap_or(if options.quick { 3 } else { 11 });
        println!("{} cores, {rounds} rounds, medians\n", cores());
        for benchmark in ALL.iter().filter(|benchmark| wanted(benchmark)) {
            let ops = benchmark.ops / if options.quick { 10 } else { 1 };
            cells.extend(measure(benchmark, ops, rounds));
        }
    }
    println!("{}", table(&cells, Group::Actors, PEERS[0]));
    if let Some(path) = &options.json {
        let rows: Vec<_> = cells.iter().map(Cell::json).collect();
        let text = serde_json::to_string_pretty(&rows).expect("rows are plain JSON");
        std::fs::write(path, text).map_err(|e| format!("cannot write {path}: {e}"))?;
    }
    Ok(())
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(what) => {
            eprintln!("savina: {what}");
            ExitCode::FAILURE
        }
    }
}
