//! Many runs: seeds, policies, the test for determinism, the search for a short failure.

use std::collections::BTreeMap;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

use super::Sim;
use super::choices::{self, Source};
use super::outcome::Outcome;
use super::policy::{Policy, RandomWalk, Rng};
use super::report::{Failure, FailureKind};
use super::shrink::{self, Attempt};
use super::world::{self, Fault, Rulebook, Run};
use crate::sched::{JoinHandle, go_named};

/// The environment variable that runs one seed, or one trace, again.
const REPLAY: &str = "ACTOR_SIM";
/// The one that says how many seeds every check tries.
const SEEDS: &str = "ACTOR_SIM_SEEDS";
/// Lines of a failed run in a report; all of them if it is run again.
const LINES: usize = 60;
/// So many seeds are run twice in any case.
const TWICE_AT_FIRST: u64 = 4;
/// A longer trace than this is left out of the command.
const TRACE_MAX: usize = 2000;

/// Makes a check of an async closure: [`run`](Check::run) runs it once for each seed.
///
/// The closure is called anew for each run, with that run's [`Sim`], which it may give to any goroutine.
/// What it returns may be `()` or a `Result`. [`#[actor_core::test(sim, seeds = 1000)]`](macro@crate::test) is the same for an `async fn`.
///
/// ```
/// use actor_core::{chan, go, sim};
///
/// sim::check(|_| async {
///     let (tx, rx) = chan::buffered(1);
///     go(async move { tx.send(1).await.unwrap() });
///     assert_eq!(rx.recv().await, Some(1));
/// })
/// .seeds(100)
/// .run();
/// ```
pub fn check<F, T>(test: F) -> Check
where
    F: Fn(&'static Sim) -> T + 'static,
    T: Future + Send + 'static,
    T::Output: Outcome,
{
    Check {
        test: Box::new(
            move |sim| match catch_unwind(AssertUnwindSafe(|| test(sim))) {
                Ok(test) => go_named("test", async move { test.await.into_failure() }),
                // Of what the closure does before its future: for the report, like any other.
                Err(panic) => go_named("test", async move { resume_unwind(panic) }),
            },
        ),
        name: None,
        seeds: 100,
        first: 0,
        policy: RandomWalk::default().into(),
        rulebook: Rulebook::default(),
        shrinks: true,
        expected: Vec::new(),
    }
}

/// As [`check`], for the macro: with the command that runs the test again.
#[doc(hidden)]
pub fn check_test<F, T>(name: &'static str, package: &'static str, test: F) -> Check
where
    F: Fn(&'static Sim) -> T + 'static,
    T: Future + Send + 'static,
    T::Output: Outcome,
{
    let mut check = check(test);
    // The test harness leaves the crate's name out.
    let path = name.split_once("::").map_or(name, |(_, path)| path);
    check.name = Some(Name {
        test: path.to_owned(),
        package: Some(package.to_owned()),
    });
    check
}

struct Name {
    test: String,
    package: Option<String>,
}

/// A test to be run under many seeds; see [`check()`].
#[must_use = "it does nothing until `run` is called"]
pub struct Check {
    test: Box<dyn Fn(&'static Sim) -> JoinHandle<Option<String>>>,
    name: Option<Name>,
    seeds: u64,
    first: u64,
    policy: Box<dyn Policy>,
    rulebook: Rulebook,
    shrinks: bool,
    expected: Vec<&'static str>,
}

/// What a check that passed has done.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Summary {
    /// Runs, those to test determinism included.
    pub runs: u64,
    /// Polls of goroutines in all of them.
    pub steps: u64,
    /// Simulated time in all of them.
    pub elapsed: Duration,
    /// Whether each condition of `sometimes!` that was reached was true at least once.
    pub sometimes: BTreeMap<&'static str, bool>,
}

impl Check {
    /// How many seeds are tried, 100 if nothing is said. The environment variable `ACTOR_SIM_SEEDS`
    /// overrides it.
    pub fn seeds(mut self, seeds: u64) -> Self {
        self.seeds = seeds;
        self
    }

    /// Begins with this seed instead of 0.
    pub fn first_seed(mut self, first: u64) -> Self {
        self.first = first;
        self
    }

    /// Who decides what runs next; a [`RandomWalk`] if nothing is said.
    pub fn policy(mut self, policy: impl Into<Box<dyn Policy>>) -> Self {
        self.policy = policy.into();
        self
    }

    /// The name of the test, for the command in a report: its path as `cargo test` knows it.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(Name {
            test: name.into(),
            package: None,
        });
        self
    }

    /// A run that has taken so many steps (5 million if nothing is said) has failed.
    pub fn steps_max(mut self, steps: u64) -> Self {
        self.rulebook.steps_max = steps;
        self
    }

    /// Goroutines may be left when the test is over. If nothing is said, that fails the run.
    pub fn may_leak(mut self) -> Self {
        self.rulebook.may_leak = true;
        self
    }

    /// A goroutine may panic whose handle was dropped. If nothing is said, that fails the run: nobody
    /// else would see it.
    pub fn may_panic(mut self) -> Self {
        self.rulebook.may_panic = true;
        self
    }

    /// How much simulated time goroutines have to end after the test: a minute if nothing is said.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.rulebook.grace = grace;
        self
    }

    /// A message that becomes a dead letter fails the run.
    pub fn no_dead_letters(mut self) -> Self {
        self.rulebook.no_dead_letters = true;
        self
    }

    /// Conditions of [`sometimes!`](crate::sometimes) that must come true, for lines that may never be
    /// reached at all.
    pub fn reaches(mut self, names: impl IntoIterator<Item = &'static str>) -> Self {
        self.expected.extend(names);
        self
    }

    /// Reports the run that failed first as it is, without looking for a shorter one.
    pub fn no_shrinking(mut self) -> Self {
        self.shrinks = false;
        self
    }

    /// Runs all seeds.
    ///
    /// # Panics
    /// With the report of the first that fails; and on a thread that runs goroutines.
    #[track_caller]
    pub fn run(self) -> Summary {
        match self.try_run() {
            Ok(summary) => summary,
            Err(failure) => panic!("{failure}"),
        }
    }

    /// As [`run`](Self::run), and gives the failure back.
    ///
    /// # Errors
    /// The first failure.
    ///
    /// # Panics
    /// On a thread that runs goroutines.
    pub fn try_run(mut self) -> Result<Summary, Box<Failure>> {
        let replay = match std::env::var(REPLAY) {
            Err(_) => None,
            Ok(text) => Some(parse(&text).map_err(|why| self.plain(FailureKind::BadTrace, why))?),
        };
        if let Some((seed, trace)) = replay {
            return self.again(seed, trace);
        }
        if let Ok(text) = std::env::var(SEEDS) {
            self.seeds = text.trim().parse().map_err(|_| {
                let why = format!("{SEEDS} must be a number, not {text:?}");
                self.plain(FailureKind::BadTrace, why)
            })?;
        }
        let mut summary = Summary::default();
        for name in std::mem::take(&mut self.expected) {
            summary.sometimes.insert(name, false);
        }
        let mut tried = 0;
        for seed in self.first..self.first.saturating_add(self.seeds) {
            let Some(source) = self.begin(seed) else {
                break;
            };
            tried += 1;
            let mut run = self.once(source, &mut summary);
            if let Some(fault) = run.fault.take() {
                return Err(self.failed(seed, tried, fault, run, LINES));
            }
            // Which seeds are run twice is left to chance, but not to a different one each time.
            if tried <= TWICE_AT_FIRST || Rng::new(seed).below(16) == 0 {
                self.twice(seed, tried, &run, &mut summary)?;
            }
            self.keep(run.source);
        }
        let missed = summary.sometimes.iter().find(|(_, reached)| !**reached);
        if let Some((name, _)) = missed {
            let why = format!("in {tried} seeds this was never true: {name}");
            return Err(self.plain(FailureKind::NeverReached, why));
        }
        Ok(summary)
    }

    fn begin(&mut self, seed: u64) -> Option<Source> {
        if !self.policy.begin(seed) {
            return None;
        }
        let policy = std::mem::replace(&mut self.policy, RandomWalk::default().into());
        Some(Source::Policy(policy))
    }

    fn keep(&mut self, source: Source) {
        if let Source::Policy(policy) = source {
            self.policy = policy;
        }
    }

    fn once(&self, source: Source, summary: &mut Summary) -> Run {
        let run = world::run(&*self.test, source, &self.rulebook);
        summary.runs += 1;
        summary.steps += run.log.steps;
        summary.elapsed += run.elapsed;
        for (name, holds) in &run.reached {
            *summary.sometimes.entry(name).or_default() |= holds;
        }
        run
    }

    /// Makes the same choices again, and expects the same.
    fn twice(
        &self,
        seed: u64,
        tried: u64,
        first: &Run,
        summary: &mut Summary,
    ) -> Result<(), Box<Failure>> {
        let second = self.once(Source::Trace(first.trace.clone()), summary);
        if second.log.hash() == first.log.hash() {
            return Ok(());
        }
        let differs = match first.log.first_difference(&second.log) {
            None => "they differ after the steps that are kept".to_owned(),
            Some((at, one, other)) => {
                format!("event {at}: the first time {one}; the second time {other}")
            }
        };
        let why = format!(
            "{differs}\nDoes it look at the wall clock, at addresses, at the order of a HashMap, at \
             random numbers of its own, or at a static that an earlier run has changed? Take `Instant` \
             from actor_core, numbers from `Sim::below`, and a BTreeMap"
        );
        let mut failure = self.plain(FailureKind::NotDeterministic, why);
        (failure.seed, failure.tried) = (Some(seed), tried);
        // The seed alone: its choices lead elsewhere each time.
        failure.command = self.command(seed, "");
        Err(failure)
    }

    /// A seed or a trace from the environment. If a seed doesn't fail this time, it may do so by not being
    /// the same the next time.
    fn again(mut self, seed: u64, trace: Option<Vec<u32>>) -> Result<Summary, Box<Failure>> {
        let mut summary = Summary::default();
        let source = match trace {
            Some(trace) => Source::Trace(trace),
            None => match self.begin(seed) {
                Some(source) => source,
                None => return Ok(summary),
            },
        };
        let is_trace = matches!(source, Source::Trace(_));
        let mut run = self.once(source, &mut summary);
        let Some(fault) = run.fault.take() else {
            if !is_trace {
                self.twice(seed, 1, &run, &mut summary)?;
            }
            return Ok(summary);
        };
        self.shrinks &= !is_trace;
        Err(self.failed(seed, 1, fault, run, usize::MAX))
    }

    /// Shrinks a failed run, and puts the report together.
    fn failed(
        &mut self,
        seed: u64,
        tried: u64,
        fault: Fault,
        run: Run,
        lines: usize,
    ) -> Box<Failure> {
        let found_with = run.log.steps;
        let mut best = Best {
            text: fault.text.clone(),
            trace: run.trace.clone(),
            log: run.log,
            elapsed: run.elapsed,
        };
        self.keep(run.source);
        if self.shrinks && fault.kind != FailureKind::Endless {
            let rulebook = Rulebook {
                steps_max: self.rulebook.steps_max.min(found_with * 4 + 1000),
                ..self.rulebook.clone()
            };
            let shorter = shrink::shrink(run.trace, found_with, |trace| {
                let run = world::run(&*self.test, Source::Trace(trace), &rulebook);
                let steps = run.log.steps;
                let same = run
                    .fault
                    .filter(|other| other.kind == fault.kind && other.place == fault.place);
                let failed = same.map(|fault| {
                    let best = Best {
                        text: fault.text,
                        trace: run.trace.clone(),
                        log: run.log,
                        elapsed: run.elapsed,
                    };
                    (run.trace, best)
                });
                Attempt { steps, failed }
            });
            if let Some(shorter) = shorter {
                best = shorter;
            }
        }
        let trace = choices::encode(&best.trace);
        let (lines, left_out) = best.log.lines(lines);
        let mut failure = self.plain(fault.kind, best.text);
        failure.command = self.command(seed, &trace);
        failure.seed = Some(seed);
        failure.tried = tried;
        failure.steps = (found_with, best.log.steps);
        failure.trace = trace;
        failure.lines = lines;
        failure.left_out = left_out;
        failure.elapsed = best.elapsed;
        failure
    }

    fn command(&self, seed: u64, trace: &str) -> Option<String> {
        let name = self.name.as_ref()?;
        let package = name
            .package
            .as_ref()
            .map_or_else(String::new, |package| format!(" -p {package}"));
        let trace = match trace.len() {
            0 => String::new(),
            1..=TRACE_MAX => format!(":{trace}"),
            _ => String::new(), // nothing to read or to paste; the seed makes the same choices
        };
        Some(format!(
            "{REPLAY}={seed}{trace} cargo test{package} {} -- --exact --nocapture",
            name.test
        ))
    }

    fn plain(&self, kind: FailureKind, message: String) -> Box<Failure> {
        Box::new(Failure {
            kind,
            message,
            seed: None,
            tried: 0,
            steps: (0, 0),
            trace: String::new(),
            test: match &self.name {
                Some(name) => format!("`{}`", name.test),
                None => "a check without a name".to_owned(),
            },
            policy: self.policy.name(),
            lines: Vec::new(),
            left_out: 0,
            command: None,
            elapsed: Duration::ZERO,
        })
    }
}

/// The best run that fails so far.
struct Best {
    text: String,
    trace: Vec<u32>,
    log: super::log::Log,
    elapsed: Duration,
}

impl std::fmt::Debug for Check {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Check")
            .field("seeds", &self.seeds)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

/// Reads `17` or `17:0-5-z3`.
fn parse(text: &str) -> Result<(u64, Option<Vec<u32>>), String> {
    let (seed, trace) = match text.split_once(':') {
        None => (text, None),
        Some((seed, trace)) => (seed, Some(choices::decode(trace)?)),
    };
    match seed.trim().parse() {
        Ok(seed) => Ok((seed, trace)),
        Err(_) => Err(format!(
            "it must be a seed, `17`, or a seed and a trace, `17:0-5-z3`, not {text:?}"
        )),
    }
}
