//! Runs a conformance case on the real scheduler, and under the simulation with many seeds.
//!
//! - The real scheduler says whether the case holds where it is used, the simulation whether it holds
//!   in whatever order things happen. A case is run anew for each seed.
//! - One seed in five is for PCT, which starves goroutines for long; the others are random walks.
//! - Goroutines that a case leaves fail it: a case stops what it starts.
//! - A case that the simulation can't run says why to [`run_real`].
#![allow(dead_code, unreachable_pub)]

use std::cell::Cell;
use std::future::Future;
use std::thread;
use std::time::Duration;

use actor_core::sim::{self, Ask, Check, Outcome, Pct, Policy, RandomWalk};
use actor_core::{Runtime, yield_now};

/// So many seeds each case is run with; `ACTOR_SIM_SEEDS` overrides it. Without tokio's driver the same
/// cases run a second time, where a few seeds are enough: the simulation has no driver in either.
pub const SEEDS: u64 = if cfg!(feature = "tokio") { 500 } else { 50 };
/// Every seed that this divides is for PCT.
const PCT_EACH: u64 = 5;
/// Far more than the longest case takes.
const STEPS_MAX: u64 = 200_000;

thread_local! {
    static SIMULATED: Cell<bool> = const { Cell::new(false) };
}

/// Runs a case on real schedulers with so many Ps each, `None` for as many as there are CPUs, then with
/// all seeds.
#[track_caller]
pub fn run<F>(procs: &[Option<usize>], case: impl Fn() -> F + 'static)
where
    F: Future + Send + 'static,
    F::Output: Outcome,
{
    for procs in procs {
        real(*procs, case());
    }
    simulated(case).run();
}

/// Runs a case on a real scheduler only, for this reason.
#[track_caller]
pub fn run_real<F>(procs: Option<usize>, why: &str, case: F)
where
    F: Future + Send + 'static,
    F::Output: Outcome,
{
    assert!(why.contains(' '), "a reason in words");
    real(procs, case);
}

/// How often a case repeats something: on a real scheduler, and in a simulation, where the seeds are
/// the repetitions.
pub fn rounds<T>(real: T, simulated: T) -> T {
    if SIMULATED.get() { simulated } else { real }
}

/// A place where another goroutine may come between: on a real scheduler anywhere, in a simulation only
/// where something is awaited.
pub async fn gap() {
    if SIMULATED.get() {
        yield_now().await;
    }
}

#[track_caller]
fn real<F>(procs: Option<usize>, case: F)
where
    F: Future + Send + 'static,
    F::Output: Outcome,
{
    let builder = Runtime::builder();
    let builder = match procs {
        Some(procs) => builder.procs(procs),
        None => builder,
    };
    let limit = Duration::from_secs(60);
    let case = async move { case.await.into_failure() };
    let real = builder.build().unwrap();
    match real.run(async move { actor_core::timeout(limit, case).await }) {
        Ok(None) => {}
        Ok(Some(failure)) => panic!("{failure}"),
        Err(_) => panic!("the case did not end within {limit:?}"),
    }
}

/// The check of a case, for those that have more to say than [`run`] does.
pub fn simulated<F>(case: impl Fn() -> F + 'static) -> Check
where
    F: Future + Send + 'static,
    F::Output: Outcome,
{
    let check = sim::check(move |_| {
        SIMULATED.set(true);
        case()
    });
    let check = check
        .seeds(SEEDS)
        .steps_max(STEPS_MAX)
        .policy(Box::new(Mixed::default()) as Box<dyn Policy>);
    // The harness names a test's thread after it, unless it runs all on the main thread.
    match thread::current().name() {
        None | Some("main") => check,
        Some(name) => check.name(name),
    }
}

/// PCT for some seeds, a random walk for the others.
struct Mixed {
    walk: Box<dyn Policy>,
    pct: Box<dyn Policy>,
    is_pct: bool,
}

impl Default for Mixed {
    fn default() -> Self {
        Self {
            walk: RandomWalk::default().into(),
            pct: Pct { depth: 3 }.into(),
            is_pct: false,
        }
    }
}

impl Mixed {
    fn policy(&mut self) -> &mut dyn Policy {
        match self.is_pct {
            true => &mut *self.pct,
            false => &mut *self.walk,
        }
    }
}

impl Policy for Mixed {
    fn begin(&mut self, seed: u64) -> bool {
        self.is_pct = seed % PCT_EACH == PCT_EACH - 1;
        self.policy().begin(seed)
    }

    fn choose(&mut self, ask: &Ask<'_>) -> u32 {
        self.policy().choose(ask)
    }

    fn name(&self) -> String {
        match self.is_pct {
            true => self.pct.name(),
            false => self.walk.name(),
        }
    }
}
