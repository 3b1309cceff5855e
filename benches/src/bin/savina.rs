//! Savina's actor benchmarks for ours, a hand-written tokio actor and kameo, alternating over several
//! rounds: medians and ratios.
//!
//! ```text
//! cargo run --release -p benches --bin savina -- [--quick] [--rounds N] [--only NAME] [--json FILE]
//! ```
//!
//! The peers take turns within a round and another one begins each round. Every answer is checked; a
//! wrong one ends the run.

use std::process::ExitCode;

use benches::cores;
use benches::report::{Cell, figure, median, table};
use benches::savina::{ALL, Benchmark, PEERS};

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
}

fn options() -> Result<Options, String> {
    let mut options = Options::default();
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or(format!("{arg} needs a value"));
        match arg.as_str() {
            "--quick" => options.quick = true,
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
        peer,
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

fn run() -> Result<(), String> {
    let options = options()?;
    let rounds = options.rounds.unwrap_or(if options.quick { 3 } else { 11 });
    println!("{} cores, {rounds} rounds, medians\n", cores());
    let mut cells = Vec::new();
    for benchmark in ALL.iter().filter(|b| b.name.starts_with(&options.only)) {
        let ops = benchmark.ops / if options.quick { 10 } else { 1 };
        cells.extend(measure(benchmark, ops, rounds));
    }
    println!("{}", table(&cells, &PEERS));
    if let Some(path) = &options.json {
        let rows: Vec<_> = cells.iter().filter_map(Cell::json).collect();
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
