//! Runs a conformance case on the real scheduler, and under the simulation with many seeds.
//!
//! - The real scheduler says whether the case holds where it is used, the simulation whether it holds
//!   in whatever order things happen. A case is run anew for each seed.
//! - One seed in five is for PCT, which starves goroutines for long; the others are random walks.
//! - Goroutines that a case leaves fail it: a case stops what it starts.
//! - A case that the simulation can't run says why to [`run_real`].
#![allow(dead_code, unreachable_pub)]

use std::future::Future;
use std::thread;
use std::time::Duration;

use actor_core::Runtime;
use actor_core::sim::{self, Ask, Check, Outcome, Pct, Policy, RandomWalk};

/// So many seeds each case is run with; `ACTOR_SIM_SEEDS` overrides it.
pub const SEEDS: u64 = 500;
/// Every seed that this divides is for PCT.
const PCT_EACH: u64 = 5;
/// Far more than the longest case takes.
const STEPS_MAX: u64 = 200_000;

/// Runs a case on the real scheduler with so many Ps, then with all seeds.
#[track_caller]
pub fn run<F>(procs: Option<usize>, case: impl Fn() -> F + 'static)
where
    F: Future + Send + 'static,
    F::Output: Outcome,
{
    run_real(procs, "it is followed by the simulation", &case);
    simulated(case).run();
}

/// Runs a case on the real scheduler only, for this reason.
#[track_caller]
pub fn run_real<F>(procs: Option<usize>, why: &str, case: impl FnOnce() -> F)
where
    F: Future + Send + 'static,
    F::Output: Outcome,
{
    assert!(!why.is_empty());
    let builder = Runtime::builder();
    let builder = match procs {
        Some(procs) => builder.procs(procs),
        None => builder,
    };
    let limit = Duration::from_secs(60);
    let case = case();
    let real = builder.build().unwrap();
    let case = async move { case.await.into_failure() };
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
    let check = sim::check(move |_| case())
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
