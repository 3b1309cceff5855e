//! One run: the director of the scheduler, and what it knows.
//!
//! ```text
//!   Testing ──test is over──▶ Ending ──all asleep──▶ Over
//!      │       (supervisors of the simulation are stopped, timers go on for the grace time)
//!      └── failure ──▶ Over
//! ```
//! - The clock moves when nobody is ready: to the next timer; but while somebody *settles*, no further
//!   than the horizon, which is the present plus what was asked for with `advance`.
//! - Nothing of a run may depend on another or on the machine: no global counters, no addresses, no
//!   iteration over hash maps.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use super::Sim;
use super::choices::{Choices, Source};
use super::faults::Rules;
use super::log::Log;
use super::panics::{self, Noted};
use super::policy::{Ask, Waiting};
use super::report::FailureKind;
use crate::sched::simulated::{
    self, Chance, Delivered, Director, Fate, Quiet, Ready, Remains, START,
};
use crate::sched::{AbortHandle, Instant, JoinError, JoinHandle, go_named};
use crate::supervise::SupervisorRef;

thread_local! {
    static WORLD: RefCell<Option<Rc<World>>> = const { RefCell::new(None) };
}

/// The run that goes on on this thread.
pub(super) fn try_current() -> Option<Rc<World>> {
    WORLD.with_borrow(Clone::clone)
}

/// # Panics
/// Outside of a simulation.
#[track_caller]
pub(super) fn current() -> Rc<World> {
    try_current().expect(
        "a `Sim` was used outside of its simulation: use it in the test's goroutines, and not after \
         the test",
    )
}

/// The rules of a check that a run has to know.
#[derive(Debug, Clone)]
pub(super) struct Rulebook {
    pub(super) steps_max: u64,
    pub(super) may_leak: bool,
    pub(super) may_panic: bool,
    pub(super) grace: Duration,
    pub(super) no_dead_letters: bool,
}

impl Default for Rulebook {
    fn default() -> Self {
        Self {
            steps_max: 5_000_000,
            may_leak: false,
            may_panic: false,
            grace: Duration::from_secs(60),
            no_dead_letters: false,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Testing,
    Ending,
    Over,
}

/// Why a run failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) kind: FailureKind,
    pub(super) text: String,
    /// Two failures of one kind with the same place are the same.
    pub(super) place: Option<String>,
}

pub(super) struct World {
    rulebook: Rulebook,
    /// The test, until it is over.
    test: RefCell<Option<JoinHandle<Option<String>>>>,
    /// The goroutine that cleans up after the test; 0 until there is one.
    conductor: Cell<u64>,
    choices: RefCell<Choices>,
    pub(super) log: RefCell<Log>,
    phase: Cell<Phase>,
    fault: RefCell<Option<Fault>>,
    horizon: Cell<Instant>,
    settlers: RefCell<Vec<Waker>>,
    /// Counts the quiet moments that settlers were told of.
    settled: Cell<u64>,
    /// Who looks after every step whether something has happened, and its goroutine.
    watcher: RefCell<Option<(u64, Waker)>>,
    /// Whose step was the last one.
    last: Cell<u64>,
    ids: Cell<u64>,
    pub(super) rules: RefCell<Rules>,
    /// Which actor a goroutine is an incarnation of.
    pub(super) actors: RefCell<HashMap<u64, u64>>,
    names: RefCell<HashMap<u64, Arc<str>>>,
    supervisors: RefCell<Vec<SupervisorRef>>,
    helpers: RefCell<Vec<AbortHandle>>,
    reached: RefCell<BTreeMap<&'static str, bool>>,
}

/// What a run was.
pub(super) struct Run {
    pub(super) fault: Option<Fault>,
    pub(super) log: Log,
    pub(super) source: Source,
    pub(super) trace: Vec<u32>,
    pub(super) elapsed: Duration,
    pub(super) reached: BTreeMap<&'static str, bool>,
}

/// A test: called once a run.
pub(super) type Test<'a> = &'a dyn Fn(&'static Sim) -> JoinHandle<Option<String>>;

/// Runs the test once.
pub(super) fn run(test: Test<'_>, source: Source, rulebook: &Rulebook) -> Run {
    panics::hook();
    panics::forget();
    let world = Rc::new(World {
        rulebook: rulebook.clone(),
        test: RefCell::default(),
        conductor: Cell::new(0),
        choices: RefCell::new(Choices::new(source)),
        log: RefCell::new(Log::new()),
        phase: Cell::new(Phase::Testing),
        fault: RefCell::new(None),
        horizon: Cell::new(START),
        settlers: RefCell::default(),
        settled: Cell::new(0),
        watcher: RefCell::default(),
        last: Cell::new(0),
        ids: Cell::new(0),
        rules: RefCell::default(),
        actors: RefCell::default(),
        names: RefCell::default(),
        supervisors: RefCell::default(),
        helpers: RefCell::default(),
        reached: RefCell::default(),
    });
    struct Leave;
    impl Drop for Leave {
        fn drop(&mut self) {
            let world = WORLD.take();
            drop(world);
        }
    }
    let leave = Leave;
    WORLD.set(Some(world.clone()));
    let end = Cell::new(START);
    let remains = simulated::run(world.clone(), &end, || {
        world.test.replace(Some(test(Sim::the())));
    });
    drop(world.test.take());
    world.judge(&remains);
    drop(leave);
    // The pieces, taken one by one: a goroutine that was leaked may still have the world.
    let choices = Choices::new(Source::Trace(Vec::new()));
    let (source, trace) = world.choices.replace(choices).into_parts();
    Run {
        fault: world.fault.take(),
        log: world.log.replace(Log::new()),
        source,
        trace,
        elapsed: end.get() - START,
        reached: world.reached.take(),
    }
}

/// Cleans up after a test that is over.
async fn conduct(test: JoinHandle<Option<String>>) {
    let result = test.await;
    let supervisors = current().tested(result);
    for supervisor in supervisors.into_iter().rev() {
        let _ = supervisor.stop().await;
    }
    current().begin_end();
}

impl World {
    /// The test is over. Returns who is to be stopped after it.
    fn tested(&self, result: Result<Option<String>, JoinError>) -> Vec<SupervisorRef> {
        match result {
            Ok(None) => {}
            Ok(Some(text)) => self.fail(FailureKind::Returned, text, None),
            Err(error) if error.is_panic() => {
                self.fail_by_panic("", &*error.into_panic());
            }
            Err(_) => {} // the run is over already
        }
        self.end_faults();
        self.supervisors.take()
    }

    pub(super) fn end_faults(&self) {
        for helper in self.helpers.take() {
            helper.abort();
        }
        Rules::end(self);
    }

    fn begin_end(&self) {
        self.phase.set(Phase::Ending);
        self.horizon.set(Instant::now() + self.rulebook.grace);
    }
}

impl World {
    pub(super) fn fail(&self, kind: FailureKind, text: String, place: Option<String>) {
        let fault = Fault { kind, text, place };
        // The first one is the cause of the others, more often than not.
        self.fault.borrow_mut().get_or_insert(fault);
    }

    fn fail_by_panic(&self, who: &str, payload: &(dyn Any + Send)) {
        let Noted { text, place } = panics::noted(payload);
        let text = match &place {
            Some(place) => format!("{who}panicked at {place}:\n{text}"),
            None => format!("{who}panicked: {text}"),
        };
        self.fail(FailureKind::Panicked, text, place);
    }

    pub(super) fn violated(&self, name: &str, place: &str) {
        let text = format!("not always: {name}\n    at {place}");
        self.fail(FailureKind::Property, text, Some(place.to_owned()));
    }

    pub(super) fn reached(&self, name: &'static str, holds: bool) {
        *self.reached.borrow_mut().entry(name).or_default() |= holds;
    }

    pub(super) fn note(&self, text: String) {
        self.log.borrow_mut().note(text);
    }

    pub(super) fn ask(&self, ask: Ask<'_>) -> u32 {
        if self.phase.get() != Phase::Testing {
            return 0;
        }
        self.choices.borrow_mut().choose(&ask)
    }

    /// Whether a fault happens that has this probability.
    pub(super) fn happens(&self, probability: f64) -> bool {
        probability > 0.0 && self.ask(Ask::Fault(probability)) == 1
    }

    pub(super) fn below(&self, n: u32) -> u32 {
        if n < 2 { 0 } else { self.ask(Ask::Number(n)) }
    }

    /// A duration below `limit`.
    pub(super) fn within(&self, limit: Duration) -> Duration {
        let share = f64::from(self.below(1 << 20)) / f64::from(1 << 20);
        limit.mul_f64(share)
    }

    pub(super) fn advance(&self, by: Duration) {
        self.horizon
            .set(self.horizon.get().max(Instant::now()) + by);
    }

    pub(super) fn settled(&self) -> u64 {
        self.settled.get()
    }

    /// Wakes at the next quiet moment.
    pub(super) fn settle(&self, waker: &Waker) {
        let mut settlers = self.settlers.borrow_mut();
        if !settlers.iter().any(|settler| settler.will_wake(waker)) {
            settlers.push(waker.clone());
        }
    }

    pub(super) fn watch(&self, waker: &Waker) {
        let watcher = (simulated::running(), waker.clone());
        let former = self.watcher.replace(Some(watcher));
        if let Some((_, waker)) = former {
            waker.wake();
        }
    }

    pub(super) fn own(&self, supervisor: SupervisorRef) {
        self.supervisors.borrow_mut().push(supervisor);
    }

    pub(super) fn help(&self, helper: AbortHandle) {
        self.helpers.borrow_mut().push(helper);
    }

    fn name_of(&self, actor: u64, name: &str) -> Arc<str> {
        let mut names = self.names.borrow_mut();
        names.entry(actor).or_insert_with(|| name.into()).clone()
    }

    /// What the end of the run says about it.
    fn judge(&self, remains: &Remains) {
        if let Some(thread) = &remains.intruder {
            self.fail(
                FailureKind::Refused,
                format!(
                    "the thread {thread:?}, which is not part of the simulation, has woken one of its \
                     goroutines: start goroutines instead of threads, and give what needs a thread \
                     an interface with a simulated implementation"
                ),
                None,
            );
        }
        if let Some(Noted { place, .. }) = panics::missed_tokio() {
            let at = place.map_or_else(String::new, |place| format!("\n    at {place}"));
            *self.fault.borrow_mut() = Some(Fault {
                kind: FailureKind::Refused,
                text: format!(
                    "tokio's I/O, timers and tasks can't be simulated: use `sleep`, `timeout` and `go` of \
                     actor_core, and put sockets behind a trait with a simulated implementation{at}"
                ),
                place: None,
            });
        }
        let left = remains.sleepers.as_deref().unwrap_or_default();
        let mut fault = self.fault.borrow_mut();
        match &mut *fault {
            Some(fault) if fault.kind == FailureKind::Deadlock => {
                fault.text.push_str(left);
                let wakes = "\nnothing that is left can wake the test";
                fault.text.push_str(wakes);
            }
            None if self.phase.get() == Phase::Over
                && remains.goroutines > 0
                && !self.rulebook.may_leak =>
            {
                *fault = Some(Fault {
                    kind: FailureKind::Leak,
                    text: format!(
                        "{} left {:?} after the test; stop what you start, or allow it with \
                         `may_leak()`\n{left}",
                        remains.goroutines, self.rulebook.grace
                    ),
                    place: None,
                });
            }
            _ => {}
        }
    }
}

impl Director for World {
    fn goes_on(&self) -> bool {
        if self.log.borrow().steps >= self.rulebook.steps_max {
            let text = format!(
                "{} steps, and the test is not over: does something retry without a pause? A test that \
                 is as long as that has to say so with `steps_max`",
                self.rulebook.steps_max
            );
            self.fail(FailureKind::Endless, text, None);
        }
        self.phase.get() != Phase::Over && self.fault.borrow().is_none()
    }

    fn pick(&self, ready: Ready<'_>) -> usize {
        let n = ready.len();
        let find = |who| (0..n).find(|&at| ready.id(at) == who);
        // These two only look; nobody's order is to depend on them.
        let conductor = self.conductor.get();
        if conductor != 0
            && let Some(at) = find(conductor)
        {
            return at;
        }
        let watcher = self.watcher.borrow().as_ref().map(|(who, _)| *who);
        let watches = watcher.and_then(find);
        let (at, out_of) = match watches {
            Some(at) => (at, 1),
            None if n == 1 => (0, 1),
            None => (self.ask(Ask::Next(Waiting::ready(ready))) as usize, n),
        };
        let chosen = if out_of == 1 { 0 } else { at as u32 };
        self.log
            .borrow_mut()
            .ran(ready.id(at), out_of as u32, chosen, || ready.who(at));
        self.last.set(ready.id(at));
        if watches.is_some() {
            self.watcher.take();
        }
        at
    }

    fn stepped(&self) {
        let over = |test: &mut JoinHandle<_>| test.is_finished();
        if let Some(test) = self.test.borrow_mut().take_if(over) {
            let conductor = go_named("simulation", conduct(test));
            self.conductor.set(conductor.id());
        }
        if let Some((who, waker)) = &*self.watcher.borrow()
            && *who != self.last.get()
        {
            waker.wake_by_ref();
        }
    }

    fn quiet(&self, next: Option<Instant>) -> Quiet {
        let quiet = self.when_quiet(next);
        if let Quiet::Until(time) = quiet {
            self.log.borrow_mut().clock(time);
        }
        quiet
    }

    fn choose(&self, what: Chance, n: u32) -> u32 {
        match what {
            _ if n < 2 => 0,
            Chance::Arm => self.ask(Ask::Arm(n)),
            Chance::Number => self.ask(Ask::Number(n)),
        }
    }

    fn holds(&self, to: u64, waker: &Waker) -> bool {
        Rules::hold(self, to, waker)
    }

    fn is_full(&self, actor: u64) -> bool {
        Rules::is_full(self, actor)
    }

    fn deliver(&self, what: Delivered<'_>) -> Fate {
        let name = self.name_of(what.actor, what.name);
        let who = simulated::running();
        self.actors.borrow_mut().insert(who, what.actor);
        self.log.borrow_mut().message(who, name, what.message);
        Rules::deliver(self, what)
    }

    fn loses_tell(&self, what: Delivered<'_>) -> bool {
        Rules::loses_tell(self, what)
    }

    fn loses_reply(&self) -> bool {
        Rules::loses_reply(self)
    }

    fn dead_letter(&self, actor: &str, message: &'static str, reason: &str) {
        let text = format!("dead letter: `{message}` for \"{actor}\" ({reason})");
        self.note(text.clone());
        if self.rulebook.no_dead_letters && self.phase.get() == Phase::Testing {
            self.fail(FailureKind::DeadLetter, text, None);
        }
    }

    fn panicked(&self, payload: Box<dyn Any + Send>) {
        if !self.rulebook.may_panic {
            let who = "a goroutine that nobody joins ";
            self.fail_by_panic(who, &*payload);
        }
    }

    fn refused(&self, what: &str) {
        self.fail(FailureKind::Refused, what.to_owned(), None);
    }

    fn next_id(&self) -> u64 {
        let id = self.ids.get() + 1;
        self.ids.set(id);
        id
    }
}

impl World {
    fn when_quiet(&self, next: Option<Instant>) -> Quiet {
        if self.phase.get() == Phase::Ending {
            return match next {
                Some(next) if next <= self.horizon.get() => Quiet::Until(next),
                _ => {
                    self.phase.set(Phase::Over);
                    Quiet::Stop
                }
            };
        }
        if !self.settlers.borrow().is_empty() {
            let horizon = self.horizon.get().max(Instant::now());
            self.horizon.set(horizon);
            if let Some(next) = next.filter(|next| *next <= horizon) {
                return Quiet::Until(next);
            }
            self.settled.set(self.settled.get() + 1);
            for settler in self.settlers.take() {
                settler.wake();
            }
            return Quiet::Until(horizon);
        }
        let Some(next) = next else {
            self.fail(FailureKind::Deadlock, String::new(), None);
            return Quiet::Stop;
        };
        Quiet::Until(Rules::jump(self, next))
    }
}
