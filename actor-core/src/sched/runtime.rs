//! The runtime as its user holds it: builder, runtime, handle, `go`, and the end of it all.
//!
//! Life: *running* → `close` (no new goroutines, all aborted; Ms drop the futures) → registry empty
//! → `stopping` (Ms leave) → threads joined. Whoever drops the runtime waits for that, unless it is
//! an M itself: then a thread made for the purpose does. Goroutines that don't yield within the
//! deadline are left behind with their M and a report; nothing is freed under a running M.

use std::fmt;
use std::future::Future;
use std::io;
use std::panic::{Location, RefUnwindSafe, UnwindSafe, resume_unwind};
use std::sync::Arc;
use std::time::Duration;

use super::blocking_pool::{self, BlockingPool};
use super::clock::Instant;
use super::context;
use super::cores::Cores;
use super::cpus::{Cpus, Pinning};
use super::deadlock::{self, DeadlockPolicy};
use super::join::{AbortHandle, JoinHandle};
use super::shared::{MachineLimits, Shared};
use super::simulated;
use super::sysmon;
use super::task::{Detached, ForActor, Joinable, Joining, TaskRef, WorksFor};
use super::thread_park::block_on_thread;
use super::tuning;
use crate::shim::atomic::Ordering;

/// Configures a [`Runtime`].
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct Builder {
    name: String,
    procs: Option<usize>,
    machines_max: usize,
    keep_alive: Duration,
    pinning: Pinning,
    adaptive: Option<bool>,
    shutdown_within: Duration,
    on_deadlock: DeadlockPolicy,
    blocking_threads_max: usize,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            name: "actor".to_owned(),
            procs: None,
            machines_max: tuning::MACHINES_MAX,
            keep_alive: tuning::MACHINE_KEEP_ALIVE,
            pinning: Pinning::Auto,
            adaptive: None,
            shutdown_within: tuning::SHUTDOWN_WITHIN,
            on_deadlock: DeadlockPolicy::Auto,
            blocking_threads_max: BlockingPool::default_threads_max(),
        }
    }
}

impl Builder {
    /// Names the runtime; its threads are called `<name>-m<number>`.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// The number of Ps: how many goroutines run at the same time (`GOMAXPROCS`). The default is
    /// the number of cores this process may use, its CPU quota respected. The environment variable
    /// `ACTOR_PROCS` overrides the default, not this.
    pub fn procs(mut self, procs: usize) -> Self {
        self.procs = Some(procs);
        self
    }

    /// The upper bound on Ms (OS threads), 512 by default. When it is reached, goroutines behind a
    /// blocked M wait until one comes back, and an error is logged.
    pub fn machines_max(mut self, machines_max: usize) -> Self {
        self.machines_max = machines_max;
        self
    }

    /// How long an M beyond the number of Ps, left from a time of much blocking, stays parked
    /// before its thread ends (10 s by default).
    pub fn keep_alive(mut self, keep_alive: Duration) -> Self {
        self.keep_alive = keep_alive;
        self
    }

    /// Whether Ms are pinned to the core of their P. The environment variable `ACTOR_PINNING`
    /// (`auto`, `on`, `off`) overrides the default, not this.
    pub fn pinning(mut self, pinning: Pinning) -> Self {
        self.pinning = pinning;
        self
    }

    /// Whether Ps rest while they add no throughput, as happens when goroutines do little but talk to each
    /// other (on by default). It is learnt by trials of some milliseconds on half the Ps, a few in a
    /// second; a goroutine that computes for longer than 0.2 ms without a break, or blocks, gets all Ps back within
    /// some two. [`Metrics::processors_paying`] tells how many work. The environment variable `ACTOR_ADAPTIVE`
    /// (`on`, `off`) overrides the default, not this.
    ///
    /// Source: the BEAM's load compaction (`+scl`), and the hill climbing of .NET's thread pool.
    pub fn adaptive(mut self, adaptive: bool) -> Self {
        self.adaptive = Some(adaptive);
        self
    }

    /// How long dropping the runtime waits for goroutines that don't yield (10 s by default).
    pub fn shutdown_within(mut self, within: Duration) -> Self {
        self.shutdown_within = within;
        self
    }

    /// What happens when all goroutines sleep for ever, or a lock cycle closes (`Auto` by default).
    pub fn on_deadlock(mut self, policy: DeadlockPolicy) -> Self {
        self.on_deadlock = policy;
        self
    }

    /// The upper bound on threads for [`spawn_blocking`](super::spawn_blocking), 512 by default;
    /// beyond it jobs queue. They are made as needed and end after the keep-alive time.
    pub fn blocking_threads_max(mut self, threads_max: usize) -> Self {
        self.blocking_threads_max = threads_max;
        self
    }

    /// Starts the runtime's threads.
    ///
    /// # Errors
    /// `InvalidInput` when a number is zero, out of range, or an environment variable can't be
    /// read, with a message that names it; otherwise what the system said when it refused a
    /// thread or, with the `tokio` feature, an I/O driver.
    pub fn build(self) -> io::Result<Runtime> {
        simulated::refuse(
            "a second runtime",
            "start goroutines and actors in the simulation's own, with `go` and `start`",
        );
        let cpus = Cpus::detect();
        let procs = match self.procs {
            Some(procs) => procs,
            None => env_number("ACTOR_PROCS")?.unwrap_or_else(|| cpus.procs()),
        };
        if procs == 0 || procs > 1024 {
            return Err(invalid(format!(
                "procs must be between 1 and 1024, not {procs}"
            )));
        }
        if self.name.contains('\0') {
            return Err(invalid(format!(
                "the name {:?} holds a NUL byte",
                self.name
            )));
        }
        if self.machines_max > 10_000 {
            return Err(invalid(format!(
                "machines_max must be at most 10000, not {}",
                self.machines_max
            )));
        }
        if self.machines_max < procs {
            return Err(invalid(format!(
                "machines_max ({}) must be at least procs ({procs})",
                self.machines_max
            )));
        }
        let pinning = env_pinning(self.pinning)?;
        let adaptive = match self.adaptive {
            Some(adaptive) => adaptive,
            None => env_choice("ACTOR_ADAPTIVE", [("on", true), ("off", false)])?.unwrap_or(true),
        };
        let plan = cpus.plan(pinning, procs);
        let shared = Shared::new(
            self.name,
            procs,
            MachineLimits {
                max: self.machines_max,
                keep_alive: self.keep_alive,
                adaptive: adaptive && procs > 1,
            },
            self.on_deadlock,
            Cores::new(cpus, plan, pinning == Pinning::Auto),
        )?;
        deadlock::enlist(&shared);
        shared.blocking.limit_to(self.blocking_threads_max)?;
        let runtime = Runtime {
            handle: Handle {
                shared: shared.clone(),
            },
            sysmon: None,
            shutdown_within: self.shutdown_within,
        };
        match runtime.start(procs) {
            Ok(runtime) => Ok(runtime),
            Err(error) => {
                // The Ms that were started already have nobody else to end them.
                shared.stop(Duration::ZERO);
                Err(error)
            }
        }
    }
}

fn invalid(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, what)
}

fn env_number(name: &str) -> io::Result<Option<usize>> {
    match std::env::var(name) {
        Err(_) => Ok(None),
        Ok(text) => text.trim().parse().map(Some).map_err(|_| {
            invalid(format!(
                "the environment variable {name} must be a number, not {text:?}"
            ))
        }),
    }
}

fn env_pinning(set: Pinning) -> io::Result<Pinning> {
    if set != Pinning::Auto {
        return Ok(set);
    }
    let choices = [
        ("auto", Pinning::Auto),
        ("on", Pinning::On),
        ("off", Pinning::Off),
    ];
    Ok(env_choice("ACTOR_PINNING", choices)?.unwrap_or(Pinning::Auto))
}

fn env_choice<T, const N: usize>(name: &str, choices: [(&str, T); N]) -> io::Result<Option<T>> {
    let Ok(text) = std::env::var(name) else {
        return Ok(None);
    };
    let names = choices.each_ref().map(|(name, _)| *name).join(", ");
    let chosen = choices.into_iter().find(|(name, _)| *name == text);
    let refused = || {
        invalid(format!(
            "the environment variable {name} must be one of {names}, not {text:?}"
        ))
    };
    chosen.map(|(_, choice)| Some(choice)).ok_or_else(refused)
}

/// A scheduler of its own: Ps, Ms, timers and goroutines.
///
/// Several may live in one process. Dropping it aborts its goroutines (their futures are dropped on
/// its Ms), then joins its threads. Dropping it inside one of its own goroutines doesn't wait.
///
/// ```
/// let runtime = actor_core::Runtime::builder().procs(2).name("demo").build().unwrap();
/// let sum = runtime.block_on(async {
///     let parts: Vec<_> = (0..4u64).map(|n| actor_core::go(async move { n * n })).collect();
///     let mut sum = 0;
///     for part in parts {
///         sum += part.await.unwrap();
///     }
///     sum
/// });
/// assert_eq!(sum, 14);
/// ```
#[derive(Debug)]
pub struct Runtime {
    handle: Handle,
    sysmon: Option<std::thread::JoinHandle<()>>,
    shutdown_within: Duration,
}

impl Runtime {
    /// A runtime with the defaults: one P per core. See [`Builder::build`] for the errors.
    pub fn new() -> io::Result<Self> {
        Self::builder().build()
    }

    /// A runtime to configure.
    pub fn builder() -> Builder {
        Builder::default()
    }

    fn start(mut self, procs: usize) -> io::Result<Self> {
        let shared = self.handle.shared.clone();
        for _ in 0..procs {
            let p = {
                let mut inner = shared.dispatch.lock();
                inner.held += 1;
                shared.new_spare_p().expect("there is room for every P")
            };
            // Each M begins with its own P, finds nothing and parks: all start-up paths are the
            // ordinary ones.
            let wake = {
                let mut inner = shared.dispatch.lock();
                let wake = shared.dispatch.hand_to_someone(&mut inner, p);
                shared.dispatch.publish(&inner);
                wake
            };
            if !shared.send(wake) {
                return Err(io::Error::other(
                    "the system refused a thread for a machine",
                ));
            }
        }
        let sysmon = std::thread::Builder::new()
            .name(format!("{}-sysmon", shared.name))
            .spawn(move || sysmon::run(&shared))?;
        self.sysmon = Some(sysmon);
        Ok(self)
    }

    /// Polls a future on the calling thread until it is ready, inside this runtime's context.
    ///
    /// The future need not be `Send`. Each time it waits the thread sleeps, so a conversation with
    /// goroutines crosses threads; put the main work into a goroutine ([`run`](Self::run)).
    ///
    /// # Panics
    /// A panic of the future passes through. When every goroutine of the runtime sleeps and nothing
    /// can wake one, with a report, if the [`DeadlockPolicy`] says so.
    #[track_caller]
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.handle.block_on(future)
    }

    /// Runs a future as a goroutine and waits for it: the main goroutine of a program.
    ///
    /// # Panics
    /// With the goroutine's panic, if it panics; and as [`block_on`](Self::block_on).
    #[track_caller]
    pub fn run<F>(&self, main: F) -> F::Output
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let main = self.handle.go(main);
        match self.block_on(main) {
            Ok(output) => output,
            Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
            Err(_) => unreachable!("the main goroutine is aborted by nobody else"),
        }
    }

    /// The runtime's handle, to start goroutines from any thread.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Ends the runtime now, waiting at most this long for goroutines that don't yield.
    ///
    /// # Errors
    /// [`LeftBehind`] when some did not.
    pub fn shutdown_timeout(mut self, within: Duration) -> Result<(), LeftBehind> {
        self.end(within)
    }

    /// Waits until no goroutine is left, at most this long: the gentle way to end. The runtime
    /// goes on afterwards. True when all have finished.
    pub fn drain(&self, within: Duration) -> bool {
        let shared = &self.handle.shared;
        let deadline = Instant::now() + within;
        let idle = async {
            while shared.registry.len() > 0 {
                if Instant::now() >= deadline {
                    return false;
                }
                super::time::sleep(Duration::from_millis(1)).await;
            }
            true
        };
        self.block_on(idle)
    }

    fn end(&mut self, within: Duration) -> Result<(), LeftBehind> {
        let Some(sysmon) = self.sysmon.take() else {
            return Ok(());
        };
        let shared = self.handle.shared.clone();
        let on_own_machine =
            context::with(|cx| cx.is_some_and(|cx| Arc::ptr_eq(&cx.shared, &shared)));
        if on_own_machine || blocking_pool::serves(&shared) {
            // An M can't wait for itself: somebody else does.
            let reaper = std::thread::Builder::new().name(format!("{}-reaper", shared.name));
            let spawned = reaper.spawn(move || {
                shared.stop(within);
                let _ = sysmon.join();
            });
            drop(spawned);
            return Ok(());
        }
        let clean = shared.stop(within);
        let _ = sysmon.join();
        if clean {
            Ok(())
        } else {
            Err(LeftBehind {
                goroutines: shared.registry.len(),
            })
        }
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        let _ = self.end(self.shutdown_within);
    }
}

/// A runtime ended although some goroutines did not yield; they and their threads are leaked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeftBehind {
    /// How many goroutines were left.
    pub goroutines: usize,
}

impl fmt::Display for LeftBehind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} goroutines did not yield before the runtime's end",
            self.goroutines
        )
    }
}

impl std::error::Error for LeftBehind {}

/// A reference to a runtime, for any thread; cheap to clone. It doesn't keep the runtime running.
#[derive(Clone, Debug)]
pub struct Handle {
    pub(super) shared: Arc<Shared>,
}

// A panic that passes through `block_on` leaves the runtime as it was.
impl UnwindSafe for Handle {}
impl RefUnwindSafe for Handle {}
impl UnwindSafe for Runtime {}
impl RefUnwindSafe for Runtime {}

impl Handle {
    /// The runtime that the calling code runs in.
    ///
    /// # Panics
    /// Outside a runtime; ask [`try_current`](Self::try_current) there.
    #[must_use]
    #[track_caller]
    pub fn current() -> Self {
        Self::try_current().expect(OUTSIDE)
    }

    /// The runtime that the calling code runs in, if any.
    #[must_use]
    pub fn try_current() -> Option<Self> {
        context::shared().map(|shared| Self { shared })
    }

    /// Starts a goroutine on this runtime; see [`go`].
    #[track_caller]
    pub fn go<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.shared.go::<F, ()>(future, None, Location::caller())
    }

    /// Starts a goroutine with a name on this runtime; see [`go_named`].
    #[track_caller]
    pub fn go_named<F>(&self, name: impl Into<Arc<str>>, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let location = Location::caller();
        self.shared.go::<F, ()>(future, Some(name.into()), location)
    }

    /// As [`Runtime::block_on`].
    #[track_caller]
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        let _entered = self.enter();
        block_on_thread(future)
    }

    /// Makes this runtime the calling thread's current one until the guard is dropped.
    pub fn enter(&self) -> Entered<'_> {
        context::enter(self.shared.clone());
        Entered {
            #[cfg(feature = "tokio")]
            _tokio: self.shared.driver.enter(),
            _not_send: std::marker::PhantomData,
        }
    }

    /// The number of Ps.
    #[must_use]
    pub fn procs(&self) -> usize {
        self.shared.procs
    }

    /// A count of what the scheduler holds at this moment.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        let goroutines = self.shared.registry.len();
        let inner = self.shared.dispatch.lock();
        Metrics {
            machines: inner.machines,
            processors_running: inner.held,
            processors_stuck: self.shared.stuck.load(Ordering::Acquire),
            machines_blocked: self.shared.blocked(),
            steals: (0..self.shared.processor_count())
                .map(|p| self.shared.processor(p).steals.load(Ordering::Relaxed))
                .sum(),
            polls: self.shared.polls(),
            wakes: inner.wakes,
            processors_paying: self.shared.width(),
            goroutines,
        }
    }
}

/// See [`Handle::metrics`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metrics {
    /// Goroutines that are not over.
    pub goroutines: usize,
    /// OS threads made for Ms that have not ended.
    pub machines: usize,
    /// Ps held by an M, those inside a stuck poll included.
    pub processors_running: usize,
    /// Ps whose current poll lasts longer than the limit.
    pub processors_stuck: usize,
    /// Ms inside `blocking`.
    pub machines_blocked: usize,
    /// Batches of goroutines that moved from one P to another.
    pub steals: u64,
    /// Polls of goroutines begun, on all Ps.
    pub polls: u64,
    /// How many Ps goroutines are spread over, since more would add no throughput: see [`Builder::adaptive`].
    /// What comes from outside or by a timer may run on more.
    pub processors_paying: usize,
    /// Ms woken to run goroutines: each is a system call here and a core that has to get going, some 10 µs,
    /// so two that talk to each other must not cause any.
    pub wakes: u64,
}

/// Keeps a runtime current; see [`Handle::enter`].
#[must_use = "the runtime is current only while the guard lives"]
pub struct Entered<'a> {
    #[cfg(feature = "tokio")]
    _tokio: Option<super::driver::Guard<'a>>,
    _not_send: std::marker::PhantomData<(&'a (), *const ())>,
}

impl fmt::Debug for Entered<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Entered")
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        context::leave();
    }
}

const OUTSIDE: &str = "no runtime here: call this inside a goroutine, in `Runtime::block_on`, in \
                       `#[actor_core::main]`, or after `Handle::enter`";

/// Starts a goroutine.
///
/// It runs beside the caller on the current runtime, from now on, whether or not the handle is
/// awaited; dropping the handle detaches it. New goroutines queue first in, first out. On a runtime
/// that is ending the goroutine is cancelled before it begins.
///
/// Source: Go's `go` statement.
///
/// # Panics
/// Outside a runtime.
///
/// ```
/// # actor_core::Runtime::new().unwrap().block_on(async {
/// let handle = actor_core::go(async { "hello".len() });
/// assert_eq!(handle.await.unwrap(), 5);
/// # });
/// ```
#[track_caller]
#[inline(always)] // see `new_task`
pub fn go<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    go_on_current::<F, ()>(future, None, Location::caller())
}

/// Starts a goroutine with a name, which deadlock reports and `Debug` show. See [`go`].
///
/// A name costs a few dozen nanoseconds and some memory for as long as the goroutine lives.
///
/// # Panics
/// Outside a runtime.
///
/// ```
/// # actor_core::Runtime::new().unwrap().block_on(async {
/// let handle = actor_core::go_named("printer", async { println!("hello") });
/// assert!(format!("{handle:?}").contains("printer"));
/// handle.await.unwrap();
/// # });
/// ```
#[track_caller]
pub fn go_named<F>(name: impl Into<Arc<str>>, future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    go_on_current::<F, ()>(future, Some(name.into()), Location::caller())
}

/// Starts a goroutine that is the actor `A`. Nobody can join it.
#[track_caller]
#[inline(always)]
pub(crate) fn go_as<A, F>(future: F) -> AbortHandle
where
    F: Future<Output = ()> + Send + 'static,
{
    let location = Location::caller();
    AbortHandle::new(start_on_current::<F, ForActor<A>, Detached>(
        future, None, location,
    ))
}

/// Starts a goroutine that works for the actor `A`, which reports name.
#[track_caller]
#[inline(always)]
pub(crate) fn go_for<A, F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    go_on_current::<F, ForActor<A>>(future, None, Location::caller())
}

#[track_caller]
#[inline(always)]
fn go_on_current<F, L>(
    future: F,
    name: Option<Arc<str>>,
    location: &'static Location<'static>,
) -> JoinHandle<F::Output>
where
    L: WorksFor,
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    JoinHandle::new(start_on_current::<F, L, Joinable>(future, name, location))
}

#[track_caller]
#[inline(always)]
fn start_on_current<F, L, J>(
    future: F,
    name: Option<Arc<str>>,
    location: &'static Location<'static>,
) -> TaskRef
where
    J: Joining,
    L: WorksFor,
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let on_machine = context::with(|cx| cx.map(|cx| std::ptr::from_ref(&cx.shared)));
    let entered;
    let shared = match on_machine {
        // SAFETY: the context outlives this call: it belongs to the running thread's main loop.
        Some(shared) => unsafe { &*shared },
        None => {
            entered = context::shared().expect(OUTSIDE);
            &entered
        }
    };
    shared.start::<F, L, J>(future, name, location)
}
