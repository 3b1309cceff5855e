//! What OTP does, checked here: one module for each part of its behaviour.
//!
//! - Written anew from the meaning of OTP's code, manual and tests, none of their text: each test
//!   names, in its first line of documentation, the module of OTP, the test suite and case, or the
//!   manual that it answers.
//! - Where we differ on purpose the test says "Ours" and checks our promise instead. Most of it
//!   comes from one rule: a restart keeps the handle and the mailbox, where OTP's new process has
//!   another pid and an empty queue.
//! - Driven by events: a test waits for a line in the log, an answer or a state. None sleeps but to let
//!   a window pass, and deadlines are those that are to pass, or so long that they never do.
//! - Each case holds in any order: it runs once on the real scheduler and then with the seeds of a
//!   simulation. One that lets a window pass is simulated only.

#[path = "../probe/mod.rs"]
mod probe;
#[path = "../seeds/mod.rs"]
mod seeds;

mod auto_shutdown;
mod calls;
mod dynamic;
mod escalation;
mod exit_reasons;
mod intensity;
mod links;
mod management;
mod monitors;
mod registry;
mod restart_types;
mod retries;
mod shutdown;
mod start;
mod strategies;

use std::{
    fs,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use actor_core::{
    actor::{ActorRef, CallError},
    sched::yield_now,
    supervise::{Child, ChildInfo, ChildSpec, ChildState, Restart, Supervisor, SupervisorRef},
};
use probe::{Args, Log, Probe};

/// A window or a deadline that no test lives to see the end of.
const LONG: Duration = Duration::from_secs(600);

const PERMANENT: [Restart; 3] = [Restart::Permanent; 3];

/// Runs a case on the real scheduler and with all seeds.
#[track_caller]
fn run<F: Future<Output = ()> + Send + 'static>(case: impl Fn() -> F + 'static) {
    seeds::run(&[None], case);
}

/// An actor under a supervisor, from outside.
struct Kid {
    handle: ActorRef<Probe>,
    errors: Arc<Mutex<u32>>,
}

impl Kid {
    /// An abnormal end.
    async fn crash(&self) {
        assert_eq!(Probe::panic(&self.handle).await, Err(CallError::Panicked));
    }

    /// A normal end, by itself.
    async fn finish(&self) {
        Probe::stop_self(&self.handle).await.unwrap();
    }

    /// The number of its incarnation, which runs.
    async fn life(&self) -> u64 {
        Probe::life(&self.handle).await.unwrap()
    }

    /// Its next inits fail, so many of them.
    fn fail_inits(&self, times: u32) {
        *self.errors.lock().unwrap() = times;
    }
}

fn kid(id: &'static str, log: &Log) -> (Child<Probe>, Kid) {
    kid_of(Args::new(id, log))
}

fn kid_of(args: Args) -> (Child<Probe>, Kid) {
    let errors = Arc::clone(&args.init_errors);
    let child = Child::new(args.id, move || args.clone());
    let handle = child.handle();
    (child, Kid { handle, errors })
}

/// A goroutine that does nothing for ever.
fn idle(id: &str) -> ChildSpec {
    ChildSpec::go(id, std::future::pending::<()>)
}

/// A running supervisor with children a, b, c of these restart types, and a log without their
/// starts.
async fn tree(app: Supervisor, log: &Log, types: [Restart; 3]) -> (SupervisorRef, [Kid; 3]) {
    let mut app = app;
    let kids = ["a", "b", "c"].map(|id| kid(id, log));
    let mut handles = Vec::new();
    for ((child, kid), restart) in kids.into_iter().zip(types) {
        app = app.child(child.restart(restart));
        handles.push(kid);
    }
    let app = app.start().await.unwrap();
    log.take();
    let Ok(kids) = handles.try_into() else {
        unreachable!("three of them")
    };
    (app, kids)
}

async fn lives(kids: &[Kid; 3]) -> [u64; 3] {
    let [a, b, c] = kids;
    [a.life().await, b.life().await, c.life().await]
}

/// Waits until what the supervisor says about the child is right, and returns it. Requests are
/// served between a supervisor's decisions, so that the rest of a group has come as far.
async fn until(app: &SupervisorRef, id: &str, right: impl Fn(&ChildInfo) -> bool) -> ChildInfo {
    loop {
        let info = app.which_child(id).await.unwrap();
        if right(&info) {
            return info;
        }
        yield_now().await;
    }
}

async fn until_restarted(app: &SupervisorRef, id: &str, times: u64) {
    until(app, id, |info| info.restarts >= times).await;
}

async fn until_state(app: &SupervisorRef, id: &str, state: ChildState) {
    until(app, id, |info| info.state == state).await;
}

async fn until_specs(app: &SupervisorRef, specs: usize) {
    while app.count_children().await.unwrap().specs != specs {
        yield_now().await;
    }
}

/// What the supervisor lists, in its order.
async fn states(app: &SupervisorRef) -> Vec<(String, ChildState)> {
    let children = app.which_children().await.unwrap();
    children.into_iter().map(|c| (c.id, c.state)).collect()
}

/// The lines that these children log when their supervisor stops them, one after the other.
fn stops(ids: &[&str]) -> Vec<String> {
    let lines = |id: &&str| [format!("{id} stopped Supervisor"), format!("{id} dropped")];
    ids.iter().flat_map(lines).collect()
}

/// The lines that these children log when they start, one after the other.
fn starts(ids: &[&str]) -> Vec<String> {
    let lines = |id: &&str| [format!("{id} init"), format!("{id} up")];
    ids.iter().flat_map(lines).collect()
}

fn line(text: &str) -> Vec<String> {
    vec![text.to_owned()]
}

/// The rule of this folder: the documentation of each test begins with what of OTP it answers.
#[test]
fn every_test_names_what_of_otp_it_answers() {
    const SOURCES: [&str; 5] = [".erl", "_SUITE", "DynamicSupervisor", "EEP 56", "manual"];
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/otp_conformance");
    let (mut tests, mut nameless) = (0, Vec::new());
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.ends_with("main.rs") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let mut first_line = None;
        for (n, line) in text.lines().enumerate() {
            let line = line.trim_start();
            if line == "#[test]" {
                tests += 1;
                let named = first_line
                    .take()
                    .is_some_and(|line: &str| SOURCES.iter().any(|source| line.contains(source)));
                if !named {
                    nameless.push(format!("{}:{}", path.display(), n + 1));
                }
            } else if line.starts_with("/// ") {
                first_line.get_or_insert(line);
            } else {
                first_line = None;
            }
        }
    }
    assert!(nameless.is_empty(), "{nameless:#?}");
    assert!(tests >= 100, "{tests}");
}
