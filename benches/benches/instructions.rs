//! How many instructions the warm paths take, counted by valgrind's callgrind: the one figure of a bench
//! that doesn't depend on the machine's noise. Grown counts fail the build.
//!
//! ```text
//! cargo bench -p benches --bench instructions                 # count, compare with the baseline
//! cargo bench -p benches --bench instructions -- --renew      # count, and write the baseline
//! cargo bench -p benches --bench instructions -- --runs 9     # more runs than five
//! cargo bench -p benches --bench instructions -- --stalls     # loads that wait for stores, instead
//! ```
//!
//! 1. The program starts itself under callgrind, with [`INSIDE`] set. That process does each work on a
//!    runtime with one P and one M, first a few times to warm pools and rings, then [`OPS`] times
//!    between two marks: callgrind sets its counters to zero at the first and writes them out at
//!    the second.
//! 2. Only the M's thread counts. Its maintenance (timers, injector) is left out: how often it comes
//!    is a matter of the clock, which valgrind stretches fiftyfold.
//! 3. The least of the runs is compared, because what disturbs a run (a time slice that ends inside a
//!    spin) only adds. The spread over the runs is printed.
//!
//! With `--stalls` it runs under lackey, which traces all loads and stores, and says which loads wait for stores
//! (`src/stalls.rs`). In the works in [`STALL_FREE`] none may.
//!
//! Counts depend on the compiler: a baseline names the one it was made with.
//!
//! Why not a framework such as gungraun: its runner is a second program to build on every fresh
//! machine, of the very version of the library, and its entry points count the calling thread, where
//! goroutines don't run.

use std::fs::File;
use std::future::Future;
use std::hint::black_box;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, ExitCode};
use std::{env, fs, process};

use actor_core::sync::{Mutex, RwLock};
use actor_core::{Pinning, Runtime, actor, chan, go, select, yield_now};
use benches::instructions::{Counts, baseline, compare, total};
use benches::stalls::Finder;

/// Operations between the marks.
const OPS: u64 = 4_000;
/// Operations before them.
const WARM: u64 = 500;
/// As many when each access to memory is written down.
const TRACED_OPS: u64 = 200;
/// The environment variable that the process under valgrind has, with the name of the tool.
const INSIDE: &str = "ACTOR_INSTRUCTIONS";
const LACKEY: &str = "lackey";

const BASELINE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/instructions.txt");

const RENEW: &str = "cargo bench -p benches --bench instructions -- --renew";

fn is_traced() -> bool {
    env::var(INSIDE).is_ok_and(|tool| tool == LACKEY)
}

/// Sets callgrind's counters to zero.
#[inline(never)]
fn instructions_mark_begin() {
    black_box("begin");
}

/// Makes callgrind write its counters.
#[inline(never)]
fn instructions_mark_end() {
    black_box("the end");
}

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
}

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

    /// Asks the next one so many times in a row.
    pub(crate) async fn ask_often(&mut self, ops: u64) {
        let next = self.next.as_ref().expect("a next one");
        for _ in 0..ops {
            assert_eq!(next.depth().await.expect("an answer"), 1);
        }
    }
}

async fn chain(length: u64) -> LinkRef {
    let mut first = Link::start(None).await.expect("a link starts");
    for _ in 1..length {
        first = Link::start(Some(first)).await.expect("a link starts");
    }
    first
}

/// Warms up, then does it again between the marks.
async fn counted<F: Future<Output = ()>>(work: impl Fn(u64) -> F) {
    work(WARM).await;
    let ops = if is_traced() { TRACED_OPS } else { OPS };
    instructions_mark_begin();
    work(ops).await;
    instructions_mark_end();
}

async fn ask() {
    let counter = Counter::start().await.expect("a counter starts");
    counted(async |ops| {
        for _ in 0..ops {
            black_box(counter.add(1).await.expect("an answer"));
        }
    })
    .await;
}

/// As [`ask_of_an_actor`], but the asker is a goroutine.
async fn ask_async() {
    let last = chain(1).await;
    counted(async |ops| {
        for _ in 0..ops {
            assert_eq!(last.depth().await.expect("an answer"), 1);
        }
    })
    .await;
}

async fn ask_of_an_actor() {
    let first = chain(2).await;
    counted(async |ops| first.ask_often(ops).await.expect("it answers")).await;
}

async fn ask_async_after_a_lock() {
    drop(Mutex::new(()).lock().await); // from now on this goroutine could be part of a cycle
    ask_async().await;
}

async fn ask_through_8() {
    let first = chain(8).await;
    counted(async |ops| {
        for _ in 0..ops {
            assert_eq!(first.depth().await.expect("an answer"), 8);
        }
    })
    .await;
}

async fn tell() {
    let counter = Counter::start().await.expect("a counter starts");
    counted(async |ops| {
        for _ in 1..ops {
            counter.add(1).tell().await.expect("the counter runs");
        }
        black_box(counter.add(1).await.expect("an answer")); // all of them are handled by now
    })
    .await;
}

async fn switch() {
    counted(async |ops| {
        let half = move || async move {
            for _ in 0..ops / 2 {
                yield_now().await;
            }
        };
        let other = go(half());
        half().await;
        other.await.expect("the other one");
    })
    .await;
}

async fn spawn_and_join() {
    counted(async |ops| {
        for i in 0..ops {
            assert_eq!(go(async move { i + 1 }).await.expect("it ends"), i + 1);
        }
    })
    .await;
}

async fn spawn_actor() {
    counted(async |ops| {
        for _ in 0..ops {
            let counter = Counter::start().await.expect("a counter starts");
            assert_eq!(counter.add(1).await.expect("an answer"), 1);
        }
    })
    .await;
}

async fn ping_pong(channel: fn() -> (chan::Sender<u64>, chan::Receiver<u64>)) {
    counted(async |ops| {
        let ((ping, pings), (pong, pongs)) = (channel(), channel());
        let other = go(async move {
            while let Some(ball) = pings.recv().await {
                pong.send(ball).await.expect("the other side");
            }
        });
        for ball in 0..ops {
            ping.send(ball).await.expect("the other side");
            assert_eq!(pongs.recv().await, Some(ball));
        }
        drop(ping);
        other.await.expect("the other side");
    })
    .await;
}

async fn send_and_receive() {
    let (tx, rx) = chan::buffered::<u64>(64);
    counted(async |ops| {
        for i in 0..ops {
            tx.send(i).await.expect("there is a receiver");
            assert_eq!(rx.recv().await, Some(i));
        }
    })
    .await;
}

async fn select_of_two() {
    let (tx, rx) = chan::buffered::<u64>(64);
    let (_silent, never) = chan::buffered::<u64>(1);
    counted(async |ops| {
        for i in 0..ops {
            tx.send(i).await.expect("there is a receiver");
            select! {
                Some(got) = rx.recv() => assert_eq!(got, i),
                Some(_) = never.recv() => unreachable!("nobody sends"),
            }
        }
    })
    .await;
}

async fn lock_and_unlock() {
    let sum = Mutex::new(0);
    counted(async |ops| {
        for i in 0..ops {
            *sum.lock().await += i;
        }
    })
    .await;
}

async fn read_lock_and_unlock() {
    let value = RwLock::new(7);
    counted(async |ops| {
        for _ in 0..ops {
            assert_eq!(*value.read().await, 7);
        }
    })
    .await;
}

/// These have no load that waits for stores.
const STALL_FREE: [&str; 7] = [
    "ask",
    "tell",
    "switch (yield)",
    "rendezvous round trip",
    "send and receive, buffered",
    "Mutex, lock and unlock",
    "RwLock, read and unlock",
];

/// One path: what it is called, whether growth fails the build, and the goroutine that takes it.
struct Work {
    name: &'static str,
    guarded: bool,
    run: fn(&Runtime),
}

const WORKS: [Work; 16] = [
    work("ask", true, |rt| rt.run(ask())),
    work("tell", true, |rt| rt.run(tell())),
    work("switch (yield)", true, |rt| rt.run(switch())),
    work("spawn and join", true, |rt| rt.run(spawn_and_join())),
    work("spawn actor, ask, stop", true, |rt| rt.run(spawn_actor())),
    work("ask, async handler", false, |rt| rt.run(ask_async())),
    work("ask, async handler, after a lock", false, |rt| {
        rt.run(ask_async_after_a_lock());
    }),
    work("ask, async handler, by an actor", false, |rt| {
        rt.run(ask_of_an_actor())
    }),
    work("ask through 8 actors", false, |rt| rt.run(ask_through_8())),
    work("rendezvous round trip", false, |rt| {
        rt.run(ping_pong(chan::rendezvous));
    }),
    work("buffered(1) round trip", false, |rt| {
        rt.run(ping_pong(|| chan::buffered(1)));
    }),
    work("send and receive, buffered", false, |rt| {
        rt.run(send_and_receive());
    }),
    work("send, and receive by select", false, |rt| {
        rt.run(select_of_two());
    }),
    work("Mutex, lock and unlock", false, |rt| {
        rt.run(lock_and_unlock());
    }),
    work("RwLock, read and unlock", false, |rt| {
        rt.run(read_lock_and_unlock());
    }),
    // Alone on its P, a goroutine that yields is run again at once.
    work("yield, alone", false, |rt| {
        rt.run(counted(async |ops| {
            for _ in 0..ops {
                yield_now().await;
            }
        }));
    }),
];

const fn work(name: &'static str, guarded: bool, run: fn(&Runtime)) -> Work {
    Work { name, guarded, run }
}

/// Does all works once; under callgrind each leaves a dump.
fn run_all() {
    for work in &WORKS {
        let rt = Runtime::builder()
            .procs(1)
            .machines_max(1) // no second M, whatever sysmon thinks of valgrind's pace
            .pinning(Pinning::Off)
            .build()
            .expect("a runtime");
        (work.run)(&rt);
    }
}

/// Runs the works under callgrind: instructions per operation, in the order of [`WORKS`].
fn count(dir: &Path) -> Result<Vec<f64>, String> {
    let program = env::current_exe().map_err(|e| format!("no path to this program: {e}"))?;
    let out = dir.join("callgrind.out");
    let valgrind = Command::new("valgrind")
        .args(["--tool=callgrind", "--collect-atstart=no"])
        .arg("--toggle-collect=actor_core::sched::machine::run")
        .arg("--toggle-collect=*Worker*::maintain")
        .arg("--zero-before=*instructions_mark_begin")
        .arg("--dump-before=*instructions_mark_end")
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(program)
        .env(INSIDE, "callgrind")
        .output()
        .map_err(|e| {
            format!("cannot start valgrind ({e}); install it: apt-get install valgrind")
        })?;
    if !valgrind.status.success() {
        let said = String::from_utf8_lossy(&valgrind.stderr);
        return Err(format!("valgrind failed, {}:\n{said}", valgrind.status));
    }
    (1..=WORKS.len())
        .map(|n| {
            let path = dir.join(format!("callgrind.out.{n}"));
            let text = fs::read_to_string(&path)
                .map_err(|e| format!("no counts of {:?} in {path:?}: {e}", WORKS[n - 1].name))?;
            let total = total(&text).ok_or(format!("no total in {path:?}"))?;
            Ok(total as f64 / OPS as f64)
        })
        .collect()
}

/// Where this program is loaded, and the two marks in it, for who reads its trace.
fn tell_marks() {
    let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let base = maps.split('-').next().unwrap_or_default();
    let (begin, end) = (
        instructions_mark_begin as *const (),
        instructions_mark_end as *const (),
    );
    eprintln!("marks {base} {begin:p} {end:p}");
}

/// Runs the works under lackey, and says which loads waited for stores. One in two operations, or more
/// often: what is rarer has to do with timers or threads.
fn stalls() -> Result<ExitCode, String> {
    let program = env::current_exe().map_err(|e| format!("no path to this program: {e}"))?;
    let trace = format!("stalls-{}", process::id());
    let trace = Path::new(env!("CARGO_TARGET_TMPDIR")).join(trace);
    let valgrind = Command::new("valgrind")
        .args(["--tool=lackey", "--trace-mem=yes", "--basic-counts=no"])
        .arg(format!("--log-file={}", trace.display()))
        .arg(&program)
        .env(INSIDE, LACKEY)
        .output()
        .map_err(|e| {
            format!("cannot start valgrind ({e}); install it: apt-get install valgrind")
        })?;
    let said = String::from_utf8_lossy(&valgrind.stderr);
    let marks = said.lines().find_map(|line| line.strip_prefix("marks "));
    let marks: Option<Vec<u64>> = marks.and_then(|marks| {
        let hex = |mark: &str| u64::from_str_radix(mark.trim_start_matches("0x"), 16).ok();
        marks.split_whitespace().map(hex).collect()
    });
    let Some([base, begin, end]) = marks.as_deref() else {
        return Err(format!("valgrind failed, {}:\n{said}", valgrind.status));
    };
    let mut finder = Finder::new(*begin, *end);
    let file = File::open(&trace).map_err(|e| format!("no trace in {trace:?}: {e}"))?;
    for line in BufReader::new(file).lines() {
        finder.line(&line.map_err(|e| format!("cannot read {trace:?}: {e}"))?);
    }
    fs::remove_file(&trace).map_err(|e| format!("cannot remove {trace:?}: {e}"))?;
    let found = finder.found();
    if found.len() != WORKS.len() {
        return Err(format!(
            "{} works in the trace of {}",
            found.len(),
            WORKS.len()
        ));
    }
    let mut faults = 0;
    println!("| loads that wait for stores, per operation | | addresses |\n|---|---:|---|");
    for (work, found) in WORKS.iter().zip(found) {
        let often = found.iter().filter(|(_, times)| 2 * **times >= TRACED_OPS);
        let addresses = often.clone().map(|(at, _)| format!("{:x}", at - base));
        let addresses = addresses.collect::<Vec<_>>().join(" ");
        let sum: u64 = often.map(|(_, times)| times).sum();
        faults += usize::from(STALL_FREE.contains(&work.name) && sum > 0);
        let each = sum as f64 / TRACED_OPS as f64;
        println!("| {} | {each:.1} | {addresses} |", work.name);
    }
    let program = program.display();
    println!(
        "addr2line -i -e {program} ADDRESS says where, with CARGO_PROFILE_BENCH_DEBUG=line-tables-only"
    );
    Ok(if faults == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn compiler() -> String {
    let said = Command::new("rustc").arg("--version").output();
    let said = said.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    said.unwrap_or_else(|_| "an unknown rustc".into())
}

fn check(renew: bool, runs: usize) -> Result<ExitCode, String> {
    let dir = format!("instructions-{}", process::id());
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(dir);
    let mut counts = WORKS.each_ref().map(|work| Counts {
        name: work.name,
        guarded: work.guarded,
        runs: Vec::new(),
    });
    for _ in 0..runs {
        fs::create_dir_all(&dir).map_err(|e| format!("cannot make {dir:?}: {e}"))?;
        for (work, count) in counts.iter_mut().zip(count(&dir)?) {
            work.runs.push(count);
        }
        fs::remove_dir_all(&dir).map_err(|e| format!("cannot remove {dir:?}: {e}"))?;
    }
    let (file, compiler) = (Path::new(BASELINE), compiler());
    let before = fs::read_to_string(file).unwrap_or_default();
    let (table, faults) = compare(&counts, &before);
    println!("{table}");
    println!("spread: between the least and the most of {runs} runs; the least counts");
    if renew {
        let head = [
            "Instructions per operation on one P, maintenance left out. Made with",
            RENEW,
            &compiler,
        ];
        fs::write(file, baseline(&head, &counts))
            .map_err(|e| format!("cannot write {file:?}: {e}"))?;
        println!("wrote {BASELINE}: commit it with the change that it comes from");
        return Ok(ExitCode::SUCCESS);
    }
    if !before.contains(&compiler) {
        println!("the baseline was made by another compiler than {compiler}");
    }
    if faults.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("instructions: {}", faults.join("\ninstructions: "));
    eprintln!("if that is worth it, renew the baseline and commit it:\n    {RENEW}");
    Ok(ExitCode::FAILURE)
}

/// The value of `--runs`; at least one.
fn runs(args: &[String]) -> Result<usize, String> {
    let Some(at) = args.iter().position(|arg| arg == "--runs") else {
        return Ok(5);
    };
    let runs = args.get(at + 1).and_then(|n| n.parse().ok());
    runs.filter(|n| *n > 0)
        .ok_or("--runs needs a number of at least 1".into())
}

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    if env::var_os(INSIDE).is_some() || args.iter().any(|arg| arg == "--test") {
        if is_traced() {
            tell_marks();
        }
        run_all();
        return ExitCode::SUCCESS;
    }
    let has = |option| args.iter().any(|arg| arg == option);
    let checked = if has("--stalls") {
        stalls()
    } else {
        runs(&args).and_then(|runs| check(has("--renew"), runs))
    };
    match checked {
        Ok(code) => code,
        Err(what) => {
            eprintln!("instructions: {what}");
            ExitCode::FAILURE
        }
    }
}
