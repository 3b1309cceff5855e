//! Ten planted bugs: how many seeds the simulation needs to find each, and that the same tests pass
//! without them.
//!
//! `cargo run --release -p benches --bin planted` prints the table and ends with `found N of 10`. With
//! part of a bug's name as an argument it prints the report of that one instead. The bugs and their
//! tests are in `actor-core/tests/planted/plants/`.
//!
//! The bugs are compiled only with the feature `planted`, which no other bin is to be built with. Built
//! without it, this one has itself built again, with it.

#[cfg(not(feature = "planted"))]
fn main() -> std::process::ExitCode {
    use std::process::{Command, ExitCode};

    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let mut again = Command::new(cargo);
    again.args(["run", "--release", "--manifest-path", manifest]);
    again.args(["--features", "planted", "--bin", "planted", "--"]);
    again.args(std::env::args_os().skip(1));
    match again.status() {
        Ok(status) => status
            .code()
            .map_or(ExitCode::FAILURE, |code| ExitCode::from(code as u8)),
        Err(error) => {
            eprintln!("cargo could not be started, to build the planted bugs: {error}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(feature = "planted")]
#[path = "../../../actor-core/tests/planted/plants/mod.rs"]
mod plants;

#[cfg(feature = "planted")]
fn main() -> std::process::ExitCode {
    with_bugs::main()
}

#[cfg(feature = "planted")]
mod with_bugs {
    use std::process::ExitCode;
    use std::time::Instant;

    use crate::plants::{ALL, Plant, WAYS};

    /// Searches by one policy, each beginning with another seed.
    const SEARCHES: u64 = 5;
    /// Where the next one begins.
    const APART: u64 = 10_000;
    /// Seeds that each test has to pass by each policy with its bug turned off.
    const SEEDS_OFF: u64 = 10_000;

    pub(crate) fn main() -> ExitCode {
        match std::env::args().nth(1) {
            Some(part) => report(&part),
            None => table(),
        }
    }

    fn report(part: &str) -> ExitCode {
        let Some(plant) = ALL.iter().find(|plant| plant.name.contains(part)) else {
            eprintln!("no planted bug has {part:?} in its name");
            return ExitCode::FAILURE;
        };
        match plant.find(WAYS[0], 0, true) {
            Ok(failure) => {
                let (seed, trace) = (failure.seed.unwrap_or_default(), &failure.trace);
                println!(
                    "{failure}\nrun it again:\n    ACTOR_SIM={seed}:{trace} cargo run --release -p benches \
                     --bin planted '{}'",
                    plant.name
                );
                ExitCode::SUCCESS
            }
            Err(why) => {
                eprintln!("{why}");
                ExitCode::FAILURE
            }
        }
    }

    fn table() -> ExitCode {
        for name in ["ACTOR_SIM", "ACTOR_SIM_SEEDS"] {
            if std::env::var_os(name).is_some() {
                eprintln!("{name} is set: unset it, the seeds are part of what is measured");
                return ExitCode::FAILURE;
            }
        }
        let begin = Instant::now();
        println!(
            "Seeds to find a bug: the first seed that does; the median and the most of {SEARCHES} \
             searches that begin {APART} seeds apart.\n"
        );
        println!(
            "| bug | shows as | random walk | PCT of depth 3 | at most | shortest run | searched for | passes without |"
        );
        println!("|---|---|--:|--:|--:|--:|--:|--:|");
        let mut complaints = Vec::new();
        for plant in &ALL {
            match row(plant) {
                Ok(row) => println!("{row}"),
                Err(why) => {
                    println!(
                        "| {} | **not found** | | | {} | | | |",
                        plant.name, plant.seeds_max
                    );
                    complaints.push(why);
                }
            }
        }
        for why in &complaints {
            println!("\n{why}");
        }
        println!("\n{:.1?} in all", begin.elapsed());
        let found = ALL.len() - complaints.len();
        println!("found {found} of {}", ALL.len());
        if complaints.is_empty() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }

    /// One row of the table, or why the bug counts as not found.
    fn row(plant: &Plant) -> Result<String, String> {
        let begin = Instant::now();
        let mut cells = Vec::new();
        let (mut shows_as, mut shortest) = (String::new(), u64::MAX);
        for way in WAYS {
            let (mut first, mut all) = (0, Vec::new());
            for search in 0..SEARCHES {
                let failure = plant.find(way, search * APART, search == 0)?;
                if search == 0 {
                    first = failure.seed.unwrap_or_default();
                    shortest = shortest.min(failure.steps.1);
                    shows_as = failure.kind.to_string();
                }
                all.push(failure.tried);
            }
            all.sort_unstable();
            let (median, most) = (all[all.len() / 2], all[all.len() - 1]);
            cells.push(format!("{first}; {median}, {most}"));
        }
        let searched = begin.elapsed();
        let begin = Instant::now();
        let mut runs = 0;
        for way in WAYS {
            let passed = plant.passes(way, SEEDS_OFF).map_err(|failure| {
                format!("{}: fails with the bug turned off: {failure}", plant.name)
            })?;
            runs += passed.runs;
        }
        Ok(format!(
            "| {} | {shows_as} | {} | {} | {} seeds | {shortest} steps | {searched:.1?} | \
             {runs} runs, {:.1?} |",
            plant.name,
            cells[0],
            cells[1],
            plant.seeds_max,
            begin.elapsed(),
        ))
    }
}
