//! The runtime: builder, handle, the shared part that every M sees, and its end.
//!
//! Life: *running* → `close` (no new goroutines, all aborted; Ms drop the futures) → registry empty
//! → `stopping` (Ms leave) → threads joined. Whoever drops the runtime waits for that, unless it is
//! an M itself: then a thread made for the purpose does. Goroutines that don't yield within the
//! deadline are left behind with their M and a report; nothing is freed under a running M.

use std::fmt;
use std::future::Future;
use std::io;
use std::panic::{Location, resume_unwind};
use std::sync::{Arc, OnceLock};
use std::task::Waker;
use std::time::Duration;

use core_affinity::CoreId;
use parking_lot::{Condvar, Mutex};

use super::clock::Instant;
use super::context;
use super::cpus::{self, Cpus, Pinning};
use super::dispatch::{Dispatch, Idler, Wake};
use super::join::JoinHandle;
use super::machine::{self, Machine};
use super::processor::Processor;
use super::registry::Registry;
use super::sysmon;
use super::task::{self, RunToken};
use super::thread_park::block_on_thread;
use super::timers::{NEVER, TimerKey};
use super::tuning;
use crate::shim::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};

type MachineThread = (Arc<Machine>, std::thread::JoinHandle<()>);

/// What all Ms of a runtime, its handles and its timers share.
pub(crate) struct Shared {
    name: String,
    pub(crate) procs: usize,
    machines_max: usize,
    cpus: Cpus,
    plan: Vec<CoreId>,
    pub(crate) dispatch: Dispatch<RunToken, Machine>,
    processors: Box<[OnceLock<Box<Processor>>]>,
    processor_count: AtomicUsize,
    pub(crate) registry: Registry,
    wake_tokens: AtomicU32,
    /// Ps marked by sysmon as inside a poll that doesn't end.
    pub(crate) stuck: AtomicUsize,
    /// Ms inside `blocking`.
    blocked: AtomicUsize,
    stopping: AtomicBool,
    told_limit: AtomicBool,
    threads: Mutex<Vec<MachineThread>>,
    machine_ids: AtomicUsize,
    pub(crate) bed: sysmon::Bed,
    drained: (Mutex<()>, Condvar),
    #[cfg(feature = "tokio")]
    pub(crate) driver: super::driver::Driver,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime")
            .field("name", &self.name)
            .field("procs", &self.procs)
            .field("goroutines", &self.registry.len())
            .finish_non_exhaustive()
    }
}

impl Shared {
    #[inline]
    pub(crate) fn processor(&self, index: usize) -> &Processor {
        self.processors[index]
            .get()
            .expect("a P's index is given out after it was made")
    }

    #[inline]
    pub(crate) fn processor_count(&self) -> usize {
        // ORDERING: Acquire pairs with the Release in `new_spare_p`.
        self.processor_count.load(Ordering::Acquire)
    }

    /// Makes one more P; under the dispatch lock. None when there is one for each possible M.
    pub(crate) fn new_spare_p(&self) -> Option<usize> {
        let index = self.processor_count();
        let slot = self.processors.get(index)?;
        slot.get_or_init(|| Box::new(Processor::new(index)));
        // ORDERING: Release pairs with the Acquire in `processor_count`.
        self.processor_count.store(index + 1, Ordering::Release);
        Some(index)
    }

    #[inline]
    pub(crate) fn is_stopping(&self) -> bool {
        // ORDERING: Acquire pairs with the Release in `stop`.
        self.stopping.load(Ordering::Acquire)
    }

    // ---- making goroutines runnable -------------------------------------------------------

    /// Queues a goroutine that has just been made ready, from whatever thread.
    #[inline]
    pub(crate) fn schedule_from_anywhere(token: RunToken) {
        context::with(|cx| {
            // SAFETY: a token's goroutine is not complete, so its runtime is alive.
            let shared = unsafe { &*token.shared() };
            let Some(cx) = cx.filter(|cx| std::ptr::eq(&*cx.shared, shared)) else {
                return shared.inject([token]);
            };
            let Some(p) = cx.p() else {
                return match cx.try_defer(token) {
                    Ok(()) => {}
                    Err(token) => shared.inject([token]),
                };
            };
            if !cx.in_poll() {
                // I/O or timers, on the M's own account: it looks at the backlog afterwards.
                return shared.push_local(p, token);
            }
            if let Err(token) = p.set_runnext(token) {
                shared.push_local(p, token);
                shared.wake_for_backlog(p);
            }
        });
    }

    /// Owner of `p` only: to the tail of its ring; the older half overflows to the injector.
    #[inline]
    pub(crate) fn push_local(&self, p: &Processor, token: RunToken) {
        if let Err(token) = p.ring.push(token) {
            self.overflow(p, token);
        }
    }

    #[cold]
    fn overflow(&self, p: &Processor, token: RunToken) {
        let mut batch = Vec::with_capacity(tuning::RING / 2 + 1);
        p.ring.pop_half(&mut batch);
        batch.push(token);
        self.inject(batch);
    }

    #[cold]
    pub(crate) fn inject(&self, tokens: impl IntoIterator<Item = RunToken>) {
        let wake = self.dispatch.inject(tokens);
        self.send(wake);
    }

    /// Work was pushed to the ring of `p`: wakes another M if that is likely to pay.
    #[inline]
    pub(crate) fn wake_for_backlog(&self, p: &Processor) {
        if self.dispatch.idle_ps() == 0 || self.dispatch.searching() > 0 {
            return;
        }
        if p.ring.len() >= tuning::STEAL_BACKLOG || self.take_wake_token() {
            let wake = self.dispatch.wake_one();
            self.send(wake);
        }
    }

    fn take_wake_token(&self) -> bool {
        // ORDERING: Relaxed throughout: an allowance, not a lock.
        let mut left = self.wake_tokens.load(Ordering::Relaxed);
        while left > 0 {
            match self.wake_tokens.compare_exchange_weak(
                left,
                left - 1,
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(_) => return true,
                Err(now) => left = now,
            }
        }
        false
    }

    pub(crate) fn give_wake_token(&self) {
        self.refill_wake_tokens();
    }

    pub(crate) fn refill_wake_tokens(&self) {
        self.wake_tokens
            .store(tuning::WAKE_TOKENS, Ordering::Relaxed);
    }

    /// Sends an M off; false when there is none and no thread could be made.
    pub(crate) fn send(&self, wake: Wake<Machine>) -> bool {
        match wake {
            Wake::Nobody => return true,
            Wake::Idle(m) => m.unpark(),
            Wake::NewMachine { p } => {
                if !self.start_machine(p) {
                    self.dispatch.give_back(p, p >= self.procs);
                    return false;
                }
            }
        }
        self.bed.wake();
        true
    }

    // ---- machines ---------------------------------------------------------------------------

    fn start_machine(&self, p: usize) -> bool {
        {
            let mut inner = self.dispatch.lock();
            if inner.machines >= self.machines_max {
                drop(inner);
                self.tell_limit("the limit on machines is reached");
                return false;
            }
            inner.machines += 1;
        }
        // ORDERING: Relaxed: only uniqueness matters.
        let id = self.machine_ids.fetch_add(1, Ordering::Relaxed);
        let m = Arc::new(Machine::new(id));
        m.hand(p);
        let shared = self.arc();
        let thread = std::thread::Builder::new()
            .name(format!("{}-m{id}", self.name))
            .spawn({
                let m = m.clone();
                move || machine::run(shared, m)
            });
        match thread {
            Ok(thread) => {
                self.threads.lock().push((m, thread));
                true
            }
            Err(error) => {
                self.dispatch.lock().machines -= 1;
                self.tell_limit(&format!("the system refused a thread ({error})"));
                false
            }
        }
    }

    fn arc(&self) -> Arc<Shared> {
        // SAFETY: a `Shared` is only ever made inside an `Arc` (`Builder::build`), and `self` is
        // borrowed from one, so the count is at least one.
        unsafe {
            Arc::increment_strong_count(self);
            Arc::from_raw(self)
        }
    }

    fn tell_limit(&self, what: &str) {
        if !self.told_limit.swap(true, Ordering::AcqRel) {
            tracing::error!(
                runtime = self.name,
                machines_max = self.machines_max,
                "{what}: goroutines wait until a blocked machine comes back; block less, or raise \
                 `Runtime::builder().machines_max(..)`"
            );
        }
    }

    pub(crate) fn has_too_many_machines(&self) -> bool {
        self.dispatch.lock().machines > self.procs
    }

    /// Joins the threads of Ms that have ended.
    pub(crate) fn join_retired(&self) {
        let Some(mut threads) = self.threads.try_lock() else {
            return;
        };
        let mut at = 0;
        while at < threads.len() {
            if threads[at].0.is_retired() {
                let (_, thread) = threads.swap_remove(at);
                let _ = thread.join();
            } else {
                at += 1;
            }
        }
    }

    /// Binds the calling M to the core of its P, or frees it for a spare P.
    pub(crate) fn pin(&self, p: usize, pinned: Option<usize>) -> Option<usize> {
        if self.plan.is_empty() {
            return None;
        }
        match self.plan.get(p) {
            Some(core) if pinned == Some(p) => return Some(core.id).and(pinned),
            Some(core) => cpus::pin_to(*core),
            None if pinned == Some(usize::MAX) => {}
            None => cpus::unpin(&self.cpus.cores),
        }
        Some(if p < self.plan.len() { p } else { usize::MAX })
    }

    pub(crate) fn holder_is_blocked(&self, p: usize) -> bool {
        match self.processor(p).holder() {
            0 => false,
            tid => cpus::is_blocked(tid),
        }
    }

    // ---- blocking sections --------------------------------------------------------------------

    pub(crate) fn blocked(&self) -> usize {
        self.blocked.load(Ordering::Relaxed)
    }

    /// The calling M gives up `p`: to somebody who runs what waits there (or keeps its timers), or
    /// to the idle.
    pub(crate) fn hand_off(&self, p: &Processor) {
        self.blocked.fetch_add(1, Ordering::Relaxed);
        let wake = {
            let mut inner = self.dispatch.lock();
            let work = p.has_work() || !inner.injector.is_empty() || p.timers.next() != NEVER;
            let wake = if work && !inner.stopping {
                self.dispatch.hand_to_someone(&mut inner, p.index)
            } else {
                inner.held -= 1;
                if p.index >= self.procs {
                    inner.spare_ps.push(p.index);
                } else {
                    inner.idle_ps.push(p.index);
                }
                Wake::Nobody
            };
            self.dispatch.publish(&inner);
            wake
        };
        self.send(wake);
    }

    /// A free P for an M that comes back from a blocking section.
    pub(crate) fn take_idle_p(&self, me: &Arc<Machine>) -> Option<usize> {
        self.blocked.fetch_sub(1, Ordering::Relaxed);
        let mut inner = self.dispatch.lock();
        let p = Dispatch::<RunToken, Machine>::take_idle_p(&mut inner, me);
        self.dispatch.publish(&inner);
        p
    }

    /// Whether more Ps make progress than there are cores.
    #[inline]
    pub(crate) fn has_surplus(&self) -> bool {
        let stuck = self.stuck.load(Ordering::Acquire);
        self.dispatch.held().saturating_sub(stuck) > self.procs
    }

    /// Gives a spare P back if there is one too many; its goroutines go to everybody, the calling
    /// M to the idle.
    pub(crate) fn release_spare(&self, p: &Processor, me: &Arc<Machine>) -> bool {
        let wake = {
            let mut inner = self.dispatch.lock();
            let stuck = self.stuck.load(Ordering::Acquire);
            if inner.stopping || inner.held.saturating_sub(stuck) <= self.procs {
                return false;
            }
            inner.held -= 1;
            inner.injector.extend(p.take_runnext());
            inner.injector.extend(std::iter::from_fn(|| p.ring.pop()));
            inner.spare_ps.push(p.index);
            inner.idle_ms.push(me.clone());
            self.dispatch.publish(&inner);
            !inner.injector.is_empty()
        };
        if wake {
            let wake = self.dispatch.wake_one();
            self.send(wake);
        }
        true
    }

    // ---- timers -------------------------------------------------------------------------------

    /// Registers a timer with the calling M's P, or with the first P from elsewhere.
    pub(crate) fn add_timer(&self, deadline: u64, waker: &Waker) -> (usize, TimerKey) {
        let local = context::with(|cx| {
            let cx = cx.filter(|cx| std::ptr::eq(&*cx.shared, self))?;
            let p = cx.p()?;
            Some((p.index, p.timers.insert(deadline, waker)))
        });
        local.unwrap_or_else(|| {
            let key = self.processor(0).timers.insert(deadline, waker);
            let wake = self.dispatch.timer_added(deadline);
            self.send(wake);
            (0, key)
        })
    }

    /// The earliest deadline of all Ps.
    pub(crate) fn next_deadline(&self) -> u64 {
        (0..self.processor_count())
            .map(|p| self.processor(p).timers.next())
            .min()
            .unwrap_or(NEVER)
    }

    /// Fires what is due, on whichever P; returns how many.
    pub(crate) fn fire_timers(&self, now: Instant) -> usize {
        (0..self.processor_count())
            .map(|p| self.processor(p).timers.fire(now.nanos()))
            .sum()
    }

    /// sysmon: fires what should have been fired a tick ago.
    pub(crate) fn fire_overdue(&self, now: Instant) {
        if self.next_deadline() <= (now - tuning::SYSMON_TICK).nanos() {
            self.fire_timers(now);
        }
    }

    // ---- goroutines ---------------------------------------------------------------------------

    pub(crate) fn go<F>(
        self: &Arc<Self>,
        future: F,
        location: &'static Location<'static>,
    ) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        context::with(|cx| {
            let cx = cx.filter(|cx| std::ptr::eq(&*cx.shared, &**self));
            let p = cx.and_then(|cx| cx.p());
            let hint = p.map_or(0, |p| p.index);
            let id = self.registry.next_id(hint);
            let (token, task) = task::new_task(future, Arc::as_ptr(self), id, location);
            if !self.registry.insert(&task) {
                // The runtime is ending: the goroutine is over before it begins.
                self.cancel_unregistered(token, &task);
            } else if let Some(p) = p {
                self.push_local(p, token);
                self.wake_for_backlog(p);
            } else {
                self.inject([token]);
            }
            JoinHandle::new(task)
        })
    }

    #[cold]
    fn cancel_unregistered(&self, token: RunToken, task: &task::TaskRef) {
        // The token is ours, so `cancel` can't ask anybody to queue it.
        let _ = task.header().state.cancel();
        let task::Ran::Done = token.run() else {
            unreachable!("a cancelled goroutine ends")
        };
    }

    /// A goroutine has left the registry; the end of the runtime may wait for that.
    #[inline]
    pub(crate) fn note_complete(&self) {
        if self.registry.is_closed() {
            let _guard = self.drained.0.lock();
            self.drained.1.notify_all();
        }
    }

    /// Ends everything; false when goroutines were left behind.
    fn stop(&self, within: Duration) -> bool {
        self.registry.close();
        let deadline = Instant::now() + within;
        {
            let mut guard = self.drained.0.lock();
            while self.registry.len() > 0 {
                let left = deadline - Instant::now();
                if left.is_zero() {
                    break;
                }
                self.drained
                    .1
                    .wait_for(&mut guard, left.min(Duration::from_millis(100)));
            }
        }
        let left = self.registry.len();
        self.dispatch.lock().stopping = true;
        // ORDERING: Release pairs with the Acquire in `is_stopping`.
        self.stopping.store(true, Ordering::Release);
        self.bed.stop();
        for (m, _) in &*self.threads.lock() {
            m.unpark();
        }
        if left > 0 {
            tracing::error!(
                runtime = self.name,
                goroutines = left,
                "the runtime ended with goroutines that did not yield within {within:?}: they and \
                 their machines are left behind; wrap long blocking calls so that they can be \
                 told to end, or raise the shutdown time"
            );
            return false;
        }
        // An M may be on its way to `threads` still: wait for the count, not only for the list.
        while self.dispatch.lock().machines > 0 || !self.threads.lock().is_empty() {
            let threads = std::mem::take(&mut *self.threads.lock());
            for (m, thread) in threads {
                m.unpark();
                let _ = thread.join();
            }
            std::thread::yield_now();
        }
        super::mem::trim();
        true
    }
}

/// Configures a [`Runtime`].
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct Builder {
    name: String,
    procs: Option<usize>,
    machines_max: usize,
    pinning: Pinning,
    shutdown_within: Duration,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            name: "actor".to_owned(),
            procs: None,
            machines_max: tuning::MACHINES_MAX,
            pinning: Pinning::Auto,
            shutdown_within: tuning::SHUTDOWN_WITHIN,
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

    /// Whether Ms are pinned to the core of their P. The environment variable `ACTOR_PINNING`
    /// (`auto`, `on`, `off`) overrides the default, not this.
    pub fn pinning(mut self, pinning: Pinning) -> Self {
        self.pinning = pinning;
        self
    }

    /// How long dropping the runtime waits for goroutines that don't yield (10 s by default).
    pub fn shutdown_within(mut self, within: Duration) -> Self {
        self.shutdown_within = within;
        self
    }

    /// Starts the runtime's threads.
    ///
    /// # Errors
    /// `InvalidInput` when a number is zero, out of range, or an environment variable can't be
    /// read, with a message that names it; otherwise what the system said when it refused a
    /// thread or, with the `tokio` feature, an I/O driver.
    pub fn build(self) -> io::Result<Runtime> {
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
        if self.machines_max < procs {
            return Err(invalid(format!(
                "machines_max ({}) must be at least procs ({procs})",
                self.machines_max
            )));
        }
        let pinning = env_pinning(self.pinning)?;
        let shared = Arc::new(Shared {
            procs,
            machines_max: self.machines_max,
            plan: cpus.plan(pinning, procs),
            cpus,
            dispatch: Dispatch::new(),
            processors: (0..self.machines_max).map(|_| OnceLock::new()).collect(),
            processor_count: AtomicUsize::new(0),
            registry: Registry::new(procs),
            wake_tokens: AtomicU32::new(tuning::WAKE_TOKENS),
            stuck: AtomicUsize::new(0),
            blocked: AtomicUsize::new(0),
            stopping: AtomicBool::new(false),
            told_limit: AtomicBool::new(false),
            threads: Mutex::new(Vec::new()),
            machine_ids: AtomicUsize::new(0),
            bed: sysmon::Bed::default(),
            drained: (Mutex::new(()), Condvar::new()),
            #[cfg(feature = "tokio")]
            driver: super::driver::Driver::new(&self.name)?,
            name: self.name,
        });
        let runtime = Runtime {
            handle: Handle {
                shared: shared.clone(),
            },
            sysmon: None,
            shutdown_within: self.shutdown_within,
        };
        runtime.start(procs)
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
    match std::env::var("ACTOR_PINNING").as_deref() {
        Err(_) | Ok("auto") => Ok(Pinning::Auto),
        Ok("on") => Ok(Pinning::On),
        Ok("off") => Ok(Pinning::Off),
        Ok(other) => Err(invalid(format!(
            "the environment variable ACTOR_PINNING must be auto, on or off, not {other:?}"
        ))),
    }
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
    /// A panic of the future passes through.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.handle.block_on(future)
    }

    /// Runs a future as a goroutine and waits for it: the main goroutine of a program.
    ///
    /// # Panics
    /// With the goroutine's panic, if it panics.
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
        if on_own_machine {
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
    shared: Arc<Shared>,
}

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
        self.shared.go(future, Location::caller())
    }

    /// As [`Runtime::block_on`].
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
        let inner = self.shared.dispatch.lock();
        Metrics {
            machines: inner.machines,
            processors_running: inner.held,
            processors_stuck: self.shared.stuck.load(Ordering::Acquire),
            machines_blocked: self.shared.blocked(),
            steals: (0..self.shared.processor_count())
                .map(|p| self.shared.processor(p).steals.load(Ordering::Relaxed))
                .sum(),
            goroutines: self.shared.registry.len(),
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
}

/// Keeps a runtime current; see [`Handle::enter`].
#[must_use = "the runtime is current only while the guard lives"]
pub struct Entered<'a> {
    #[cfg(feature = "tokio")]
    _tokio: super::driver::Guard<'a>,
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
pub fn go<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let location = Location::caller();
    let on_machine = context::with(|cx| cx.map(|cx| std::ptr::from_ref(&cx.shared)));
    match on_machine {
        // SAFETY: the context outlives this call: it belongs to the running thread's main loop.
        Some(shared) => unsafe { &*shared }.go(future, location),
        None => context::shared().expect(OUTSIDE).go(future, location),
    }
}
