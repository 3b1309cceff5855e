//! What Go's own tests check of its concurrency, checked here: one module for each of Go's files.
//!
//! - Written anew from the meaning of Go's tests, none of their code: each test names, in its first
//!   line of documentation, the file and the test of Go that it answers.
//! - Where we differ on purpose the test says so and checks our promise instead: a send to a closed
//!   channel is an error here and a panic in Go, an unlock without a lock does not compile.
//! - Driven by events. Where Go's test sleeps to let a goroutine block, ours awaits [`announced`];
//!   tests of timers check order and that nothing is early, never that something is late. A promise
//!   that is broken shows as a failed assertion or as a test that never ends.
//! - Each case holds in any order: it runs once on the real scheduler and then with the seeds of a
//!   simulation. What needs threads, several Ps or the system's clock is for the real one only, and
//!   says so.

#[path = "../seeds/mod.rs"]
mod seeds;

mod chan;
mod cond;
mod context;
mod deadlock;
mod errgroup;
mod map;
mod mutex;
mod once;
mod pool;
mod proc;
mod rwlock;
mod select;
mod semaphore;
mod singleflight;
mod time;
mod waitgroup;

use std::fs;
use std::future::{Future, poll_fn};
use std::path::Path;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use actor_core::JoinHandle;
use actor_core::chan::Sender;
use actor_core::sim::Outcome;

/// Runs a case on the real scheduler with so many Ps, Go's `GOMAXPROCS(procs)`, and with all seeds.
#[track_caller]
fn run<F>(procs: usize, case: impl Fn() -> F + 'static)
where
    F: Future + Send + 'static,
    F::Output: Outcome,
{
    run_on(&[procs], case);
}

/// As [`run`], with several numbers of Ps.
#[track_caller]
fn run_on<F>(procs: &[usize], case: impl Fn() -> F + 'static)
where
    F: Future + Send + 'static,
    F::Output: Outcome,
{
    let procs: Vec<_> = procs.iter().copied().map(Some).collect();
    seeds::run(&procs, case);
}

/// Runs a case with so many Ps on the real scheduler only, for this reason.
#[track_caller]
fn run_real<F>(procs: usize, why: &str, case: F)
where
    F: Future + Send + 'static,
    F::Output: Outcome,
{
    seeds::run_real(Some(procs), why, case);
}

/// Awaits `future`, and sends on `waits` once its first poll had to wait: whoever receives that
/// knows that it is in the queue. Without it `waits` is dropped, which the receiver sees too.
async fn announced<F: Future>(future: F, waits: Sender<()>) -> F::Output {
    let mut future = pin!(future);
    let mut waits = Some(waits);
    poll_fn(|cx| {
        let polled = future.as_mut().poll(cx);
        if let Some(waits) = waits.take()
            && polled.is_pending()
        {
            waits.try_send(()).expect("room for every announcement");
        }
        polled
    })
    .await
}

/// The outputs of goroutines, in the order of the handles; panics if one of them did.
async fn all<T>(goroutines: impl IntoIterator<Item = JoinHandle<T>>) -> Vec<T> {
    let mut outputs = Vec::new();
    for goroutine in goroutines {
        match goroutine.await {
            Ok(output) => outputs.push(output),
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(error) => panic!("{error}"),
        }
    }
    outputs
}

/// Polls once, for nobody: a look at whether a future is ready.
fn ready<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

/// Numbers that look random and are the same in each run (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound as u64).unwrap()
    }
}

/// The rule of this folder: the documentation of each test begins with the file and test of Go.
#[test]
fn every_test_names_the_test_of_go_that_it_answers() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/go_conformance");
    let (mut tests, mut nameless) = (0, Vec::new());
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.ends_with("main.rs") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let mut first_line = None;
        for (n, line) in text.lines().enumerate() {
            if line == "#[test]" {
                tests += 1;
                if !first_line
                    .take()
                    .is_some_and(|line: &str| line.contains(".go"))
                {
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
    assert!(tests >= 60, "{tests}");
}
