//! The scheduler under simulation: one thread, no clock but a number, and somebody who decides.
//!
//! ```text
//!   go / wake ──▶ runnext, ring, injector ──▶ ready ──(director picks one)──▶ one poll
//!                                              │ empty
//!                                              ▼
//!                       the director says: on to the next timer, again, or the end
//! ```
//! - A simulated runtime is an ordinary one with one P, whose only M is the thread that called
//!   [`run`], driven by the loop in this file instead of `machine.rs`: no other M, no sysmon, no I/O.
//!   Goroutines, timers, channels and locks are the very same code.
//! - All that is left to chance, here and in the layers above, is asked of the [`Director`]: with the
//!   same answers everything happens again.
//! - Which simulation a thread belongs to is in its thread-locals, so that any number of them run
//!   side by side, and nothing of them is seen from outside. `NOW` is also what `Instant::now` looks
//!   at first.
//! - What would leave the simulation is refused: see [`refuse`] and [`Intruder`].

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;

use super::clock::Instant;
use super::context::{self, Context};
use super::cores::Cores;
use super::deadlock::{self, DeadlockPolicy, OurThread};
use super::join::JoinError;
use super::machine::Machine;
use super::processor::Processor;
use super::shared::{MachineLimits, Shared};
use super::task::{Ran, RunToken};
use super::timers::NEVER;
use super::tuning;
use crate::shim::atomic::Ordering;

/// What `NOW` is outside of simulations.
const REAL: u64 = u64::MAX;

/// When simulated time begins: late enough that a program may subtract from its first instant.
pub(crate) const START: Instant = Instant::from_nanos(1_000_000_000_000);

thread_local! {
    /// The number of the simulation that runs here; 0: none does.
    static NUMBER: Cell<u64> = const { Cell::new(0) };
    static NOW: Cell<u64> = const { Cell::new(REAL) };
    static DIRECTOR: RefCell<Option<Rc<dyn Director>>> = const { RefCell::new(None) };
}

/// Whether there was ever a simulation in this process. A static: std's own, which loom does not model.
static EVER: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);

/// Something that is left to chance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Chance {
    /// Which of the ready arms of a select wins.
    Arm,
    /// A number below `n`, for whatever purpose.
    Number,
}

/// What to do when no goroutine is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quiet {
    /// The clock goes on until then; what is due by then fires.
    Until(Instant),
    /// It is over.
    Stop,
}

/// A message on its way to an actor, or to its handler.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Delivered<'a> {
    pub(crate) actor: u64,
    pub(crate) name: &'a str,
    pub(crate) message: &'static str,
}

/// What a fault does to a message on its way to a handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Handled,
    /// The handler panics at once.
    Panics,
    /// It begins this much later.
    Stalls(std::time::Duration),
}

/// Who decides, and is told. It runs between and inside polls, on the simulation's thread.
pub(crate) trait Director {
    /// Whether to go on: asked before each step.
    fn goes_on(&self) -> bool;
    /// Which of the goroutines that are ready (one at least) is polled next.
    fn pick(&self, ready: Ready<'_>) -> usize;
    /// It was polled.
    fn stepped(&self);
    /// Nobody is ready; the next timer is due at this time, if there is one.
    fn quiet(&self, next: Option<Instant>) -> Quiet;
    /// One of `n`, 0 being the plainest.
    fn choose(&self, what: Chance, n: u32) -> u32;

    /// A goroutine sends to an actor; true to hold it back: its waker will be woken.
    fn holds(&self, to: u64, waker: &Waker) -> bool;
    /// The actor's mailbox is to look full.
    fn is_full(&self, actor: u64) -> bool;
    fn deliver(&self, what: Delivered<'_>) -> Fate;
    /// This tell is to be lost.
    fn loses_tell(&self, what: Delivered<'_>) -> bool;
    /// A handler's answer is to be lost.
    fn loses_reply(&self) -> bool;
    fn dead_letter(&self, actor: &str, message: &'static str, reason: &str);
    /// A goroutine has panicked, and nobody joins it.
    fn panicked(&self, payload: Box<dyn Any + Send>);
    /// The code does what can't be simulated.
    fn refused(&self, what: &str);
    /// The next of the numbers that name things.
    fn next_id(&self) -> u64;
}

/// Whether the calling thread runs a simulation.
///
/// A program that has never run one, which is every program but a test, pays one load that never
/// changes.
#[inline]
pub(crate) fn is_active() -> bool {
    // ORDERING: Relaxed: the thread that simulates has set it itself; all others find `REAL`.
    EVER.load(Ordering::Relaxed) && is_active_here()
}

#[cold]
fn is_active_here() -> bool {
    NOW.get() != REAL
}

/// Tells simulations apart; 0 outside of them.
pub(crate) fn simulation() -> u64 {
    NUMBER.get()
}

/// The simulated time, on a thread that runs a simulation.
#[inline]
pub(crate) fn now() -> Option<Instant> {
    is_active().then(|| Instant::from_nanos(NOW.get()))
}

/// Asks the director of this thread's simulation, if there is one.
#[cold]
pub(crate) fn with<R>(f: impl FnOnce(&dyn Director) -> R) -> Option<R> {
    // A copy: what the director wakes or drops may ask again.
    let director = DIRECTOR.with_borrow(Clone::clone)?;
    Some(f(&*director))
}

/// One of `n` by the director's choice; `None` outside of simulations.
#[inline]
pub(crate) fn chosen(what: Chance, n: u32) -> Option<u32> {
    if !is_active() {
        return None;
    }
    with(|director| director.choose(what, n))
}

/// The next number to name something by, which in a simulation must not depend on other threads.
#[inline]
pub(crate) fn next_id() -> Option<u64> {
    if !is_active() {
        return None;
    }
    with(|director| director.next_id())
}

/// A goroutine ended like that, and nobody has looked at it.
#[cold]
pub(crate) fn unseen(error: JoinError) {
    if error.is_panic() {
        with(|director| director.panicked(error.into_panic()));
    }
}

/// In a simulation, ends what the caller is about to do.
///
/// # Panics
/// In a simulation, with a text that says what is refused, and what to do instead.
#[inline]
#[track_caller]
pub(crate) fn refuse(what: &str, instead: &str) {
    if is_active() {
        refuse_here(what, instead);
    }
}

#[cold]
#[track_caller]
fn refuse_here(what: &str, instead: &str) -> ! {
    let text = format!("{what} can't be simulated: {instead}");
    with(|director| director.refused(&text));
    panic!("{text}");
}

/// The goroutines that are ready.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ready<'a>(&'a [RunToken]);

impl Ready<'_> {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn id(&self, at: usize) -> u64 {
        self.0[at].id()
    }

    pub(crate) fn who(&self, at: usize) -> String {
        self.0[at].describe()
    }
}

/// The goroutine that is being polled; 0 for none.
pub(crate) fn running() -> u64 {
    context::with(|cx| cx.map_or(0, Context::running_id))
}

/// Registers a waker with the simulation's timers. It is woken once, whatever becomes of who asked.
pub(crate) fn wake_at(deadline: Instant, waker: &Waker) {
    context::with(|cx| {
        if let Some(p) = cx.and_then(Context::p) {
            let _ = p.timers.insert(deadline.nanos(), waker);
        }
    });
}

/// What a simulation leaves behind when its director has said that it is over.
#[derive(Debug)]
pub(crate) struct Remains {
    /// The goroutines that were not over, as the deadlock report tells them; empty if none.
    pub(crate) sleepers: Option<String>,
    pub(crate) goroutines: usize,
    /// A thread that doesn't belong to the simulation has woken a goroutine of it.
    pub(crate) intruder: Option<String>,
}

/// Runs a simulation from `start`, which starts the first goroutines, until the director ends it.
/// `end` is set to the time that it is then.
///
/// # Panics
/// On a thread that runs goroutines.
pub(crate) fn run(
    director: Rc<dyn Director>,
    end: &Cell<Instant>,
    start: impl FnOnce(),
) -> Remains {
    assert!(
        context::with(|cx| cx.is_none()) && !is_active(),
        "a simulation can't be started inside a goroutine: it needs a thread for itself; start it in \
         a plain `#[test]` or in `main`"
    );
    let no_machines = MachineLimits {
        max: 0,
        keep_alive: tuning::MACHINE_KEEP_ALIVE,
        adaptive: false,
    };
    let (policy, cores) = (DeadlockPolicy::Panic, Cores::default());
    let shared = Shared::new("sim".to_owned(), 1, no_machines, policy, cores)
        .expect("a runtime without threads needs nothing that could be refused");
    shared.new_spare_p().expect("there is room for one P");
    let machine = Arc::new(Machine::new(0));
    machine.set_thread();
    let _thread = OurThread::new();
    let cx = Context::new(shared.clone(), machine);
    let _reset = Reset;
    // A static: std's own, which loom does not model.
    static LAST: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    // ORDERING: Relaxed: only uniqueness matters.
    NUMBER.set(LAST.fetch_add(1, Ordering::Relaxed) + 1);
    EVER.store(true, Ordering::Relaxed);
    NOW.set(START.nanos());
    DIRECTOR.set(Some(director.clone()));
    cx.scope(|| {
        let stage = Stage {
            cx: &cx,
            shared: &shared,
            p: shared.processor(0),
            ready: Vec::new(),
            intruded: false,
        };
        cx.set_p(Some(stage.p));
        start();
        let remains = stage.play(&*director);
        end.set(Instant::now());
        remains
    })
}

/// Back to real time, whatever happens.
struct Reset;

impl Drop for Reset {
    fn drop(&mut self) {
        NOW.set(REAL);
        NUMBER.set(0);
        // Taken out before it is dropped.
        let director = DIRECTOR.take();
        drop(director);
    }
}

struct Stage<'a> {
    cx: &'a Context,
    shared: &'a Shared,
    p: &'a Processor,
    ready: Vec<RunToken>,
    intruded: bool,
}

impl Stage<'_> {
    fn play(mut self, director: &dyn Director) -> Remains {
        loop {
            self.gather();
            if self.intruded || !director.goes_on() {
                break;
            }
            if self.ready.is_empty() {
                let next = match self.p.timers.next() {
                    NEVER => None,
                    next => Some(Instant::from_nanos(next)),
                };
                match director.quiet(next) {
                    Quiet::Until(time) => {
                        NOW.set(time.nanos().max(NOW.get()));
                        self.p.timers.fire(NOW.get());
                    }
                    Quiet::Stop => break,
                }
                continue;
            }
            let at = director.pick(Ready(&self.ready));
            let token = self.ready.remove(at);
            self.poll(token);
            director.stepped();
        }
        let remains = Remains {
            goroutines: self.shared.registry.len(),
            sleepers: deadlock::remaining(self.shared),
            intruder: self.shared.intruder(),
        };
        self.close();
        remains
    }

    /// Collects what was made ready, the first one first.
    fn gather(&mut self) {
        self.ready.extend(self.p.take_runnext());
        self.ready.extend(std::iter::from_fn(|| self.p.ring.pop()));
        if self.shared.dispatch.injected() > 0 {
            self.shared
                .dispatch
                .take_injected(usize::MAX, &mut self.ready);
            self.intruded |= self.shared.intruder().is_some();
        }
    }

    fn poll(&mut self, token: RunToken) {
        self.p.mark_poll(true);
        self.cx.begin_poll(tuning::BUDGET, &token);
        let ran = token.run();
        self.cx.end_poll();
        self.p.mark_poll(false);
        if let Ran::Again(token) = ran {
            self.shared.push_local(self.p, token);
        }
    }

    /// Aborts what is left, as the end of a runtime does.
    fn close(&mut self) {
        self.shared.registry.close();
        loop {
            self.gather();
            if self.ready.is_empty() {
                break;
            }
            for token in std::mem::take(&mut self.ready) {
                self.poll(token);
            }
        }
        self.shared.set_stopping();
        self.p.timers.fire(NEVER);
    }
}
