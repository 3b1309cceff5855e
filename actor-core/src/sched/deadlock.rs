//! "all goroutines are asleep - deadlock!": telling when nothing can ever happen again, and why.
//!
//! A thread in `block_on` that nobody has woken for a while looks whether its runtime sleeps for ever:
//! 1. no P is held, the injector is empty, no timer is set, no M is in a blocking section other than a
//!    `block_on` of ours, no blocking job and no tokio task is alive;
//! 2. every goroutine, and every thread in `block_on`, is parked and all its wakers are in the hands
//!    of our primitives (`state.rs` counts the others apart: I/O, foreign channels, executors);
//! 3. nothing was polled while 1 and 2 were looked at;
//! 4. nobody outside of the runtime could send, unlock or cancel: see [`Outside`].
//!
//! Then it prints who waits for what, as Go does, with the holders of locks and the cycle if there is
//! one, and does what the [`DeadlockPolicy`] says. Go's `checkdead` is the source of 1; Go has no
//! threads that it doesn't know of but cgo's, and switches the check off with cgo, which is our 4.
//!
//! The cost: nothing while anything runs. A sleeping `block_on` looks after 20 ms and then ever more
//! seldom, and scans the goroutines only if something was polled since it last did.

use std::collections::HashMap;
use std::fmt;
use std::panic::Location;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use parking_lot::Mutex;

use super::cpus;
use super::lock_cycle::{self, WaitsFor};
use super::record::RecordRef;
use super::shared::Shared;
use super::thread_park::{self, Role, Root};
use super::wait::{Wait, WaitKind};

/// What happens when every goroutine of a runtime sleeps and nothing can wake one, and when a lock
/// cycle closes.
///
/// ```
/// use actor_core::{DeadlockPolicy, Runtime, chan};
///
/// let runtime = Runtime::builder().on_deadlock(DeadlockPolicy::Panic).build()?;
/// let told = std::panic::catch_unwind(|| {
///     let (_tx, rx) = chan::rendezvous::<u8>();
///     runtime.block_on(rx.recv()) // nobody will ever send
/// });
/// let report = *told.unwrap_err().downcast::<String>().unwrap();
/// assert!(report.starts_with("all goroutines are asleep - deadlock!"));
/// assert!(report.contains("chan receive"));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeadlockPolicy {
    /// `Panic` in a build with debug assertions, else `Log`; and only if the process has no thread
    /// that the library does not know, since such a one may hold the other end of a channel.
    #[default]
    Auto,
    /// `block_on`, and with it `#[main]` and `#[test]`, panics with the report; so does a `lock` that
    /// closes a cycle. `#[actor_core::test]` sets this.
    ///
    /// Threads that this runtime's threads have started, as far as that can be told (on Linux: they
    /// inherited the name), count as able to wake somebody; other strangers do not.
    Panic,
    /// The report goes to `tracing::error!`, once per deadlock, and the wait goes on.
    Log,
    /// Nothing is reported; the wait goes on for ever.
    Ignore,
}

impl DeadlockPolicy {
    /// What `Auto` means in this build.
    fn resolved(self) -> Self {
        match self {
            Self::Auto if cfg!(debug_assertions) => Self::Panic,
            Self::Auto => Self::Log,
            other => other,
        }
    }
}

/// A cycle of goroutines each of which waits for a lock that the next one holds, or for an actor
/// whose handler the next one runs.
///
/// The error of [`Mutex::lock_checked`](crate::sync::Mutex::lock_checked), part of
/// [`CallError::Deadlock`](crate::actor::CallError::Deadlock), and the text of the panic when
/// [`lock`](crate::sync::Mutex::lock) closes a cycle under [`DeadlockPolicy::Panic`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Deadlock {
    parties: Vec<Party>,
}

/// One goroutine of a [`Deadlock`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Party {
    who: String,
    started_at: String,
    waits_for: String,
    /// Tells locks apart.
    lock: Option<usize>,
    /// The actor that it waits for, and the message.
    actor: Option<(String, &'static str)>,
}

impl Party {
    pub(crate) fn new(who: RecordRef, waits: &WaitsFor) -> Self {
        let (id, name, started_at) = match who.notes() {
            Some(notes) => (notes.id, notes.name.clone(), notes.location),
            None => (0, None, None),
        };
        let who = match (id, &name) {
            (0, Some(name)) => format!("block_on of thread {name:?}"),
            (0, None) => "block_on of an unnamed thread".to_owned(),
            (id, Some(name)) => format!("goroutine {id} {name:?}"),
            (id, None) => format!("goroutine {id}"),
        };
        let started_at = started_at.map(ToString::to_string).unwrap_or_default();
        let actor = match waits {
            WaitsFor::Actor(actor, message) => Some((actor.describe(), *message)),
            _ => None,
        };
        let waits_for = match &actor {
            Some((name, message)) => format!("actor {name} (message `{message}`)"),
            None => waits.what().to_owned(),
        };
        Self {
            who,
            started_at,
            waits_for,
            lock: actor.is_none().then(|| waits.address()),
            actor,
        }
    }

    /// Who it is: `goroutine 12 "printer"`, or `actor bank#3`.
    #[must_use]
    pub fn who(&self) -> &str {
        &self.who
    }

    /// What it waits for: `mutex`, or "actor log#4 (message `append`)".
    #[must_use]
    pub fn waits_for(&self) -> &str {
        &self.waits_for
    }

    /// The place in the source where the goroutine was started.
    #[must_use]
    pub fn started_at(&self) -> &str {
        &self.started_at
    }
}

impl Deadlock {
    pub(crate) fn new(mut parties: Vec<Party>) -> Self {
        // Whoever is waited for as an actor is one: that name says more than the goroutine's.
        let actors: Vec<_> = parties.iter().map(|party| party.actor.clone()).collect();
        let len = parties.len();
        for (at, actor) in actors.into_iter().enumerate() {
            if let Some((name, _)) = actor {
                parties[(at + 1) % len].who = format!("actor {name}");
            }
        }
        Self { parties }
    }

    /// The goroutines of the cycle, each waiting for the next, and the last one for the first. The
    /// first is the one that closed the cycle.
    #[must_use]
    pub fn parties(&self) -> &[Party] {
        &self.parties
    }
}

impl fmt::Display for Deadlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [only] = &self.parties[..] {
            return match &only.actor {
                Some((_, message)) => write!(
                    f,
                    "deadlock: {} waits for itself (message `{message}`): call the method on \
                     `self`, or tell",
                    only.who
                ),
                None => write!(
                    f,
                    "deadlock: {} (started at {}) waits for a {} that it holds itself: unlock it \
                     first",
                    only.who, only.started_at, only.waits_for
                ),
            };
        }
        f.write_str("deadlock: a cycle of waits")?;
        let mut known = Numbers::default();
        let mut locks = true;
        for (at, party) in self.parties.iter().enumerate() {
            let next = &self.parties[(at + 1) % self.parties.len()];
            write!(f, "\n    {}", party.who)?;
            if !party.who.starts_with("actor ") {
                write!(f, " (started at {})", party.started_at)?;
            }
            write!(f, " waits for {}", party.waits_for)?;
            match party.lock {
                Some(lock) => write!(f, " #{}, held by {}", known.number(lock), next.who)?,
                None => locks = false,
            }
        }
        f.write_str(if locks {
            "\ntake these locks in the same order everywhere"
        } else {
            "\nlet one of them tell instead of ask, or let go of what it holds first"
        })
    }
}

impl std::error::Error for Deadlock {}

/// Small numbers for objects, in the order of their appearance: addresses tell a reader nothing.
#[derive(Default)]
struct Numbers(HashMap<usize, usize>);

impl Numbers {
    fn number(&mut self, address: usize) -> usize {
        let next = self.0.len() + 1;
        *self.0.entry(address).or_insert(next)
    }
}

/// What `lock` does with a cycle that it has just closed.
#[cold]
pub(crate) fn lock_cycle_closed(deadlock: &Deadlock) {
    let policy = super::context::shared().map_or(DeadlockPolicy::Auto, |shared| shared.on_deadlock);
    match policy.resolved() {
        DeadlockPolicy::Ignore => {}
        DeadlockPolicy::Log => tracing::error!("{deadlock}"),
        _ => panic!("{deadlock}"),
    }
}

// ---- threads --------------------------------------------------------------------------------

fn our_threads() -> &'static Mutex<HashMap<usize, usize>> {
    static THREADS: OnceLock<Mutex<HashMap<usize, usize>>> = OnceLock::new();
    THREADS.get_or_init(Mutex::default)
}

/// While it lives, the thread that made it counts as one of ours: it is looked at, if it matters, by
/// other means than its existence.
#[derive(Debug)]
pub(crate) struct OurThread(usize);

impl OurThread {
    pub(crate) fn new() -> Self {
        let tid = cpus::thread_id();
        *our_threads().lock().entry(tid).or_insert(0) += 1;
        Self(tid)
    }
}

impl Drop for OurThread {
    fn drop(&mut self) {
        let mut threads = our_threads().lock();
        if let Some(nested) = threads.get_mut(&self.0) {
            *nested -= 1;
            if *nested == 0 {
                threads.remove(&self.0);
            }
        }
    }
}

/// Who else could end a wait. Conservative: in doubt somebody could.
struct Outside<'a> {
    shared: &'a Arc<Shared>,
    /// Any stranger counts, not only the runtime's own offspring.
    all: bool,
}

impl Outside<'_> {
    fn may_wake(&self) -> bool {
        thread_park::outsiders() > 0 || self.a_runtime_is_awake() || self.a_thread_is_unknown()
    }

    fn a_runtime_is_awake(&self) -> bool {
        runtimes().into_iter().any(|other| {
            !Arc::ptr_eq(&other, self.shared)
                && (self.all || other.family == self.shared.family)
                && asleep(&other).is_none()
        })
    }

    #[cfg(target_os = "linux")]
    fn a_thread_is_unknown(&self) -> bool {
        let ours = our_threads().lock().clone();
        let Ok(tasks) = std::fs::read_dir("/proc/self/task") else {
            return true;
        };
        let machines = format!("{}-", self.shared.name);
        let machines = cut(&machines);
        let mut family: Vec<String> = self.shared.roots.lock().iter().map(|r| r.name()).collect();
        family.push(self.shared.family.clone());
        tasks.flatten().any(|task| {
            let known = task.file_name().to_str().and_then(|tid| tid.parse().ok());
            if known.is_some_and(|tid: usize| ours.contains_key(&tid)) {
                return false;
            }
            if self.all {
                return true;
            }
            let comm = std::fs::read_to_string(task.path().join("comm")).unwrap_or_default();
            let comm = comm.trim_end();
            comm.starts_with(machines) || family.iter().any(|name| cut(name) == comm)
        })
    }

    /// Threads can't be listed here: strangers are assumed under `Auto`, and not otherwise.
    #[cfg(not(target_os = "linux"))]
    fn a_thread_is_unknown(&self) -> bool {
        self.all
    }
}

/// As much of a thread's name as the kernel keeps.
#[cfg(target_os = "linux")]
fn cut(name: &str) -> &str {
    let end = (0..=name.len().min(15))
        .rev()
        .find(|&at| name.is_char_boundary(at));
    &name[..end.unwrap_or(0)]
}

fn all_runtimes() -> &'static Mutex<Vec<Weak<Shared>>> {
    static RUNTIMES: Mutex<Vec<Weak<Shared>>> = Mutex::new(Vec::new());
    &RUNTIMES
}

/// A runtime begins.
pub(crate) fn enlist(shared: &Arc<Shared>) {
    let mut runtimes = all_runtimes().lock();
    runtimes.retain(|known| known.strong_count() > 0);
    runtimes.push(Arc::downgrade(shared));
}

fn runtimes() -> Vec<Arc<Shared>> {
    let runtimes = all_runtimes().lock();
    runtimes.iter().filter_map(Weak::upgrade).collect()
}

// ---- looking --------------------------------------------------------------------------------

/// The first look after this long a sleep; each further one after twice as long.
const FIRST_LOOK: Duration = Duration::from_millis(20);
const LAST_LOOK: Duration = Duration::from_secs(1);

/// A thread in `block_on` that looks for a deadlock while nobody wakes it.
pub(crate) struct Watch<'a> {
    shared: &'a Arc<Shared>,
    pause: Duration,
    /// What the count of polls was when all were last found awake, or told.
    seen: Option<u64>,
}

impl<'a> Watch<'a> {
    /// `None` if nobody wants to know.
    pub(crate) fn new(shared: &'a Arc<Shared>) -> Option<Self> {
        (shared.on_deadlock != DeadlockPolicy::Ignore).then_some(Self {
            shared,
            pause: FIRST_LOOK,
            seen: None,
        })
    }

    /// How long to sleep before the next look.
    pub(crate) fn pause(&self) -> Duration {
        self.pause
    }

    /// Somebody woke the thread.
    pub(crate) fn woken(&mut self) {
        self.pause = FIRST_LOOK;
        self.seen = None;
    }

    /// Nothing has happened for `pause`.
    ///
    /// # Panics
    /// With the report, if it is a deadlock and the policy says so.
    pub(crate) fn look(&mut self) {
        self.pause = (self.pause * 2).min(LAST_LOOK);
        let polls = self.shared.polls();
        if self.seen == Some(polls) {
            return;
        }
        let outside = Outside {
            shared: self.shared,
            all: self.shared.on_deadlock == DeadlockPolicy::Auto,
        };
        let Some(sleepers) = asleep(self.shared) else {
            // A goroutine that only I/O can wake is awake in this sense, as long as it isn't polled.
            self.seen = self.shared.is_idle().then_some(polls);
            return;
        };
        // May change without a poll of ours: look again.
        if outside.may_wake() || asleep(self.shared).is_none() || self.shared.polls() != polls {
            return;
        }
        self.seen = Some(polls);
        let report = report(sleepers);
        match self.shared.on_deadlock.resolved() {
            DeadlockPolicy::Log => tracing::error!(runtime = self.shared.name, "{report}"),
            _ => panic!("{report}"),
        }
    }
}

/// Somebody who sleeps, for the report.
#[derive(Debug)]
pub(crate) struct Sleeper {
    /// 0 for a thread in `block_on`.
    pub(crate) id: u64,
    pub(crate) name: Option<String>,
    pub(crate) location: &'static Location<'static>,
    pub(crate) wait: Wait,
    pub(crate) record: RecordRef,
}

impl Sleeper {
    fn of_root(root: &Root) -> Self {
        Self {
            id: 0,
            name: Some(root.name()),
            location: root.location,
            wait: root.wait.get(),
            record: root.record,
        }
    }

    fn who(&self) -> String {
        match (self.id, &self.name) {
            (0, name) => format!(
                "block_on of thread {:?}",
                name.as_deref().unwrap_or("unnamed")
            ),
            (id, Some(name)) => format!("goroutine {id} {name:?}"),
            (id, None) => format!("goroutine {id}"),
        }
    }
}

/// Everybody of the runtime, if all sleep and only our primitives could wake them.
fn asleep(shared: &Shared) -> Option<Vec<Sleeper>> {
    if !shared.is_idle() || !shared.timers_are_off() {
        return None;
    }
    #[cfg(feature = "tokio")]
    if shared.driver.tasks() > 0 {
        return None;
    }
    let roots: Vec<Arc<Root>> = shared.roots.lock().clone();
    let on_machines = roots
        .iter()
        .filter(|root| root.role == Role::Machine)
        .count();
    if shared.blocked() != on_machines || !roots.iter().all(|root| root.sleeps_soundly()) {
        return None;
    }
    let mut sleepers: Vec<_> = roots.iter().map(|root| Sleeper::of_root(root)).collect();
    let known = sleepers.len();
    // A goroutine that blocks its thread in our `block_on` is running, and named by that.
    let running: Vec<RecordRef> = sleepers.iter().map(|sleeper| sleeper.record).collect();
    if !shared.registry.all_sleep(&running, &mut sleepers) {
        return None;
    }
    sleepers[known..].sort_by_key(|sleeper| sleeper.id);
    Some(sleepers)
}

/// Everybody that is left of a simulation, asleep or not, and what each waits for.
pub(crate) fn remaining(shared: &Shared) -> Option<String> {
    let mut sleepers = Vec::new();
    shared.registry.list(&[], &mut sleepers, |_| true);
    sleepers.sort_by_key(|sleeper| sleeper.id);
    (!sleepers.is_empty()).then(|| listing(&sleepers))
}

// ---- the report -----------------------------------------------------------------------------

/// More goroutines than this are counted, not listed.
const LISTED_MAX: usize = 64;

fn report(sleepers: Vec<Sleeper>) -> String {
    let listing = listing(&sleepers);
    format!("all goroutines are asleep - deadlock!\n{listing}")
}

/// Who they are and what they wait for, and a cycle among them, if there is one.
fn listing(sleepers: &[Sleeper]) -> String {
    use fmt::Write;
    let mut out = String::new();
    let mut numbers: HashMap<&'static str, Numbers> = HashMap::new();
    let by_id: HashMap<u64, usize> = (sleepers.iter().enumerate())
        .filter(|(_, sleeper)| sleeper.id != 0)
        .map(|(at, sleeper)| (sleeper.id, at))
        .collect();
    let by_record: HashMap<u64, usize> = (sleepers.iter().enumerate())
        .filter(|(_, sleeper)| !sleeper.record.is_nobody())
        .map(|(at, sleeper)| (sleeper.record.bits(), at))
        .collect();
    // Whom each waits for, as far as it is known.
    let edges: Vec<Vec<usize>> = (sleepers.iter())
        .map(|sleeper| match sleeper.wait.kind() {
            WaitKind::Join => by_id
                .get(&sleeper.wait.object())
                .copied()
                .into_iter()
                .collect(),
            WaitKind::Mutex | WaitKind::RwLockRead | WaitKind::RwLockWrite | WaitKind::Actor => {
                let holders = lock_cycle::holders(sleeper.record).into_iter();
                holders
                    .filter_map(|holder| by_record.get(&holder.bits()).copied())
                    .collect()
            }
            _ => Vec::new(),
        })
        .collect();
    for (at, sleeper) in sleepers.iter().enumerate().take(LISTED_MAX) {
        let kind = sleeper.wait.kind();
        let _ = write!(out, "\n{} [{}", sleeper.who(), kind.words());
        if let Some(object) = kind.object() {
            let address = sleeper.wait.object() as usize;
            let number = numbers.entry(object).or_default().number(address);
            let _ = write!(out, ", {object} #{number}");
        }
        for &holder in &edges[at] {
            let held = if kind == WaitKind::Join {
                ""
            } else {
                "held by "
            };
            let _ = write!(out, ", {held}{}", sleepers[holder].who());
        }
        let verb = if sleeper.id == 0 { "called" } else { "started" };
        let _ = write!(out, "]:\n    {verb} at {}\n", sleeper.location);
    }
    if sleepers.len() > LISTED_MAX {
        let _ = write!(
            out,
            "\n.. and {} more goroutines\n",
            sleepers.len() - LISTED_MAX
        );
    }
    if let Some(cycle) = cycle(&edges) {
        let names: Vec<_> = cycle.iter().map(|&at| sleepers[at].who()).collect();
        let _ = write!(out, "\ncycle: {} -> {}\n", names.join(" -> "), names[0]);
    }
    out
}

/// The first cycle that a walk along the edges meets.
fn cycle(edges: &[Vec<usize>]) -> Option<Vec<usize>> {
    let mut done = vec![false; edges.len()];
    for start in 0..edges.len() {
        let mut path: Vec<(usize, usize)> = vec![(start, 0)];
        while let Some((at, next)) = path.last_mut() {
            let Some(&to) = edges[*at].get(*next).filter(|_| !done[*at]) else {
                done[*at] = true;
                path.pop();
                continue;
            };
            *next += 1;
            if let Some(from) = path.iter().position(|(known, _)| *known == to) {
                return Some(path[from..].iter().map(|(at, _)| *at).collect());
            }
            path.push((to, 0));
        }
    }
    None
}
