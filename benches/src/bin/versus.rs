//! The same work for every peer, alternating over several rounds: medians, ratios, memory, gaps.
//!
//! ```text
//! cargo run --release -p benches --bin versus -- \
//!     [--quick] [--rounds N] [--only WORK] [--peer NAME] [--json FILE] [--markdown FILE]
//! ```
//!
//! The peers take turns within a round and another one begins each round, so that a machine that
//! slows down or speeds up meanwhile favours none. `--only` is how the names of works begin, `--peer`
//! a part of the names of peers. `--markdown` writes the tables into the file, between the lines
//! `<!-- versus -->` and `<!-- end of versus -->` where it has them.

use std::fs;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use benches::counting_alloc::CountingAlloc;
use benches::external::{self, External};
use benches::peers::{
    Actix, AsyncChannel, Channel, Flume, Kameo, Kanal, Locks, Ours, OursChan, Peer, Ractor, Smol,
    Tokio, TokioMpsc, Xtra,
};
use benches::report::{Cell, figure, median, table};
use benches::work::{Figure, Group, Work, actors, channels, idle, tasks};
use benches::{CRASH, cores};

#[global_allocator]
static ALLOC: CountingAlloc = CountingAlloc;

/// A quick run that has taken so long makes only one round of each work that is left.
const QUICK: Duration = Duration::from_secs(90);

/// A quick run that has taken so long does without the programs of `external.rs`.
const QUICK_ALONE: Duration = Duration::from_secs(150);

/// Who competes in the works of one group.
struct Contender {
    name: &'static str,
    note: &'static str,
    /// Nothing when it has no such work.
    run: Box<dyn Fn(Work, u64) -> Result<Vec<Figure>, String>>,
    /// Counts memory; for a process of its own.
    idle: Option<fn(Work, u64) -> Vec<Figure>>,
    /// It starts processes by itself.
    external: bool,
}

impl Contender {
    fn inside(
        name: &'static str,
        note: &'static str,
        run: fn(Work, u64) -> Option<Vec<Figure>>,
        idle: Option<fn(Work, u64) -> Vec<Figure>>,
    ) -> Contender {
        let run = Box::new(move |work, ops| Ok(run(work, ops).unwrap_or_default()));
        Contender {
            name,
            note,
            run,
            idle,
            external: false,
        }
    }

    fn outside(external: External) -> Contender {
        let (name, note) = (external.name, external.note);
        let run = Box::new(move |work, ops| external.run(work, ops));
        Contender {
            name,
            note,
            run,
            idle: None,
            external: true,
        }
    }
}

fn actor_system<P: Peer>() -> Contender {
    Contender::inside(P::NAME, P::NOTE, actors::run::<P>, Some(idle::actors::<P>))
}

fn runtime<R: Locks>() -> Contender {
    Contender::inside(R::NAME, "", tasks::run::<R>, Some(idle::tasks::<R>))
}

fn channel<C: Channel>() -> Contender {
    Contender::inside(C::NAME, "", channels::run::<C>, None)
}

fn contenders(group: Group) -> Vec<Contender> {
    match group {
        Group::Actors => vec![
            actor_system::<Ours>(),
            actor_system::<Tokio>(),
            actor_system::<Kameo>(),
            actor_system::<Ractor>(),
            actor_system::<Xtra>(),
            actor_system::<Actix>(),
            actor_system::<Smol>(),
        ],
        Group::Tasks => vec![
            runtime::<Ours>(),
            runtime::<Tokio>(),
            runtime::<Smol>(),
            Contender::inside("ideal", "bare threads", tasks::ideal, None),
        ],
        Group::Channels => vec![
            channel::<OursChan>(),
            channel::<TokioMpsc>(),
            channel::<Kanal>(),
            channel::<Flume>(),
            channel::<AsyncChannel>(),
        ],
    }
}

#[derive(Default)]
struct Options {
    quick: bool,
    rounds: Option<usize>,
    /// How the names of the works to run begin; empty for all.
    only: String,
    /// Part of the names of the peers to run; empty for all.
    peer: String,
    json: Option<String>,
    markdown: Option<String>,
    /// This is the process of its own of this contender and work.
    idle: Option<(String, String)>,
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
            "--markdown" => options.markdown = Some(value()?),
            "--idle" => options.idle = Some((value()?, value()?)),
            _ => return Err(format!("unknown option {arg}; see the top of versus.rs")),
        }
    }
    Ok(options)
}

fn main() -> ExitCode {
    end_on_panic();
    match options().and_then(|options| match &options.idle {
        Some((peer, work)) => print_idle(peer, work, options.quick),
        None => compare(&options),
    }) {
        Ok(()) => ExitCode::SUCCESS,
        Err(what) => {
            eprintln!("versus: {what}");
            ExitCode::FAILURE
        }
    }
}

fn compare(options: &Options) -> Result<(), String> {
    let started = Instant::now();
    let rounds = options.rounds.unwrap_or(if options.quick { 3 } else { 11 });
    let mut cells = Vec::new();
    let groups = [Group::Actors, Group::Tasks, Group::Channels];
    let externals = External::all();
    let everybody = groups.map(|group| {
        let mut contenders = contenders(group);
        contenders.extend(externals.iter().cloned().map(Contender::outside));
        contenders.retain(|contender| contender.name.contains(&options.peer));
        contenders
    });
    for work in Work::ALL {
        let spec = work.spec();
        if !spec.name.starts_with(&options.only) {
            continue;
        }
        let contenders = &everybody[spec.group as usize];
        let first = cells.len();
        for round in 0..rounds.min(work.rounds_max(options.quick)) {
            if round > 0 && options.quick && started.elapsed() > QUICK {
                break;
            }
            for turn in 0..contenders.len() {
                let contender = &contenders[(round + turn) % contenders.len()];
                if contender.external && options.quick && started.elapsed() > QUICK_ALONE {
                    continue;
                }
                for figure in measure(contender, work, options.quick)? {
                    enter(&mut cells, contender, work, figure);
                }
            }
        }
        // In the order of the contenders, whoever began.
        let place = |cell: &Cell| contenders.iter().position(|c| c.name == cell.peer);
        cells[first..].sort_by_key(place);
        for cell in &cells[first..] {
            let middle = figure(median(&cell.samples));
            eprintln!(
                "{:48} {:13} {middle:>10} {}",
                cell.work, cell.peer, cell.unit
            );
        }
    }
    let tables = groups
        .map(|group| table(&cells, group, <Ours as Peer>::NAME))
        .join("\n");
    println!(
        "{} cores, {rounds} rounds, {:.0?}\n\n{tables}",
        cores(),
        started.elapsed()
    );
    if let Some(path) = &options.json {
        let rows: Vec<_> = cells.iter().map(Cell::json).collect();
        let text = serde_json::to_string_pretty(&rows).expect("rows are plain JSON");
        fs::write(path, text).map_err(|e| format!("cannot write {path}: {e}"))?;
    }
    if let Some(path) = &options.markdown {
        write_between_marks(path, &tables).map_err(|e| format!("cannot write {path}: {e}"))?;
    }
    Ok(())
}

/// One round of one contender; nothing when it has no such work.
fn measure(contender: &Contender, work: Work, quick: bool) -> Result<Vec<Figure>, String> {
    let spec = work.spec();
    if work.is_idle() && contender.idle.is_some() {
        let program = std::env::current_exe().expect("this program's path");
        let mut command = Command::new(program);
        command
            .args(["--idle", contender.name, spec.name])
            .args(quick.then_some("--quick"));
        return external::rows(&mut command, work);
    }
    (contender.run)(work, if quick { spec.quick } else { spec.full })
}

/// Notes the figure down among the cells.
fn enter(cells: &mut Vec<Cell>, contender: &Contender, work: Work, figure: Figure) {
    let spec = work.spec();
    let name = format!("{}{}", spec.name, figure.of);
    let same = |cell: &&mut Cell| {
        cell.work == name && cell.peer == contender.name && cell.unit == figure.unit
    };
    if let Some(cell) = cells.iter_mut().find(same) {
        return cell.samples.push(figure.value);
    }
    let notes = [contender.note, &figure.note].map(str::to_owned);
    cells.push(Cell {
        group: spec.group,
        work: name,
        peer: contender.name.into(),
        unit: figure.unit,
        samples: vec![figure.value],
        note: notes
            .into_iter()
            .filter(|note| !note.is_empty())
            .collect::<Vec<_>>()
            .join("; "),
    });
}

/// The process started by [`measure`]: prints its figures, a JSON row each.
fn print_idle(peer: &str, work: &str, quick: bool) -> Result<(), String> {
    let work = Work::ALL
        .into_iter()
        .find(|w| w.spec().name == work)
        .ok_or("no such work")?;
    let spec = work.spec();
    let contender = contenders(spec.group).into_iter().find(|c| c.name == peer);
    let idle = contender
        .and_then(|contender| contender.idle)
        .ok_or("no such peer")?;
    for figure in idle(work, if quick { spec.quick } else { spec.full }) {
        let row = serde_json::json!({
            "work": format!("{}{}", spec.name, figure.of),
            "peer": peer,
            figure.unit: figure.value,
            "note": figure.note,
        });
        println!("{row}");
    }
    Ok(())
}

/// Ends the program on a panic, wherever it happens, unless a work causes it on purpose.
fn end_on_panic() {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let payload = panic.payload();
        let text = payload.downcast_ref::<&str>().copied();
        let text = text.or(payload.downcast_ref::<String>().map(String::as_str));
        if text != Some(CRASH) {
            print(panic);
            std::process::exit(101);
        }
    }));
}

fn write_between_marks(path: &str, tables: &str) -> std::io::Result<()> {
    const MARKS: [&str; 2] = ["<!-- versus -->\n", "<!-- end of versus -->\n"];
    let old = fs::read_to_string(path).unwrap_or_default();
    let parts = old.split_once(MARKS[0]).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(MARKS[1])?;
        Some((before, after))
    });
    let new = match parts {
        Some((before, after)) => format!("{before}{}\n{tables}\n{}{after}", MARKS[0], MARKS[1]),
        None => tables.into(),
    };
    fs::write(path, new)
}
