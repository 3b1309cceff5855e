//! What every M, handle, waker and timer of one runtime shares, and the operations on it: making
//! goroutines runnable, sending Ms off, handing Ps over, timers, starting and ending goroutines.
//!
//! Lock order: nothing is locked under the dispatch lock but a P's timers; wakers are called and
//! threads made after it is released. `Shared` is only ever inside an `Arc` (see `arc`).
//!
//! Counters: `held` (dispatch) counts Ps with an M; `stuck` those of them that sysmon marked;
//! `blocked` the Ms inside `blocking`. `held - stuck` Ps make progress, and that is what spare Ps
//! are started and retired by.

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::sync::{Arc, OnceLock, Weak};
use std::task::Waker;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::attached::Attached;
use super::blocking_pool::BlockingPool;
use super::clock::Instant;
use super::context;
use super::cores::Cores;
use super::cpus;
use super::deadlock::DeadlockPolicy;
use super::dispatch::{Dispatch, Idler, Wake};
use super::join::JoinHandle;
use super::machine::{self, Machine};
use super::origin::Origin;
use super::processor::Processor;
use super::registry::Registry;
use super::runtimes::Number;
use super::shield::shield;
use super::simulated;
use super::sysmon;
use super::task::{self, Joinable, RunToken, TaskRef};
use super::thread_park::Root;
use super::timers::{NEVER, TimerKey};
use super::tuning;
use crate::shim::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};

type MachineThread = (Arc<Machine>, std::thread::JoinHandle<()>);

/// What all Ms of a runtime, its handles and its timers share.
pub(crate) struct Shared {
    me: Weak<Shared>,
    pub(crate) number: Number,
    pub(crate) name: String,
    pub(crate) procs: usize,
    machines_max: usize,
    pub(crate) keep_alive: Duration,
    pub(crate) cores: Cores,
    pub(crate) dispatch: Dispatch<RunToken, Machine>,
    processors: Box<[OnceLock<Box<Processor>>]>,
    processor_count: AtomicUsize,
    pub(crate) registry: Registry,
    wake_tokens: AtomicU32,
    /// Ps marked by sysmon as inside a poll that doesn't end.
    pub(crate) stuck: AtomicUsize,
    /// Ms inside `blocking`.
    blocked: AtomicUsize,
    /// How many Ps may work at once: see `width.rs`.
    width: AtomicUsize,
    pub(crate) adaptive: bool,
    stopping: AtomicBool,
    told_limit: AtomicBool,
    threads: Mutex<Vec<MachineThread>>,
    /// The end has joined all threads: no more may be started.
    threads_closed: AtomicBool,
    machine_ids: AtomicUsize,
    pub(crate) bed: sysmon::Bed,
    pub(crate) blocking: BlockingPool,
    drained: (Mutex<()>, Condvar),
    pub(crate) on_deadlock: DeadlockPolicy,
    /// sysmon, which holds no P, fires timers: those that it has taken are not set any more, and their
    /// goroutines not yet awake.
    firing: AtomicBool,
    /// The name of the thread that built it, which threads started there inherit.
    pub(crate) family: String,
    /// The threads in `block_on`.
    pub(crate) roots: Mutex<Vec<Arc<Root>>>,
    pub(crate) attached: Attached,
    #[cfg(feature = "tokio")]
    pub(crate) driver: super::driver::Driver,
    /// Of a simulation: a thread outside of it that has woken one of its goroutines.
    intruder: Mutex<Option<String>>,
}

/// How many Ms there may be, how long one too many is kept, and whether fewer may work than there are Ps.
pub(crate) struct MachineLimits {
    pub(crate) max: usize,
    pub(crate) keep_alive: Duration,
    pub(crate) adaptive: bool,
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
    pub(crate) fn new(
        name: String,
        procs: usize,
        machines: MachineLimits,
        on_deadlock: DeadlockPolicy,
        cores: Cores,
    ) -> std::io::Result<Arc<Self>> {
        let MachineLimits {
            max: machines_max,
            keep_alive,
            adaptive,
        } = machines;
        #[cfg(feature = "tokio")]
        let driver = match machines_max {
            0 => super::driver::Driver::none(), // a simulation
            _ => super::driver::Driver::new(&name)?,
        };
        let number = Number::take()?;
        let shared = Arc::new_cyclic(|me| Self {
            me: me.clone(),
            number,
            procs,
            machines_max,
            keep_alive,
            cores,
            dispatch: Dispatch::new(),
            processors: (0..machines_max.max(procs))
                .map(|_| OnceLock::new())
                .collect(),
            processor_count: AtomicUsize::new(0),
            registry: Registry::new(procs),
            wake_tokens: AtomicU32::new(tuning::WAKE_TOKENS),
            stuck: AtomicUsize::new(0),
            blocked: AtomicUsize::new(0),
            width: AtomicUsize::new(procs),
            adaptive,
            stopping: AtomicBool::new(false),
            told_limit: AtomicBool::new(false),
            threads: Mutex::new(Vec::new()),
            threads_closed: AtomicBool::new(false),
            machine_ids: AtomicUsize::new(0),
            bed: sysmon::Bed::default(),
            blocking: BlockingPool::new(),
            drained: (Mutex::new(()), Condvar::new()),
            on_deadlock,
            firing: AtomicBool::new(false),
            family: std::thread::current().name().unwrap_or_default().to_owned(),
            roots: Mutex::new(Vec::new()),
            attached: Attached::default(),
            #[cfg(feature = "tokio")]
            driver,
            intruder: Mutex::new(None),
            name,
        });
        shared.number.stands_for(Arc::as_ptr(&shared));
        Ok(shared)
    }

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

    /// A simulation's, which has no Ms of its own.
    fn is_simulated(&self) -> bool {
        self.machines_max == 0
    }

    pub(crate) fn intruder(&self) -> Option<String> {
        self.intruder.lock().clone()
    }

    /// From now on timers will not come.
    pub(crate) fn set_stopping(&self) {
        // ORDERING: SeqCst: see `is_stopping`.
        self.stopping.store(true, Ordering::SeqCst);
    }

    #[inline]
    pub(crate) fn is_stopping(&self) -> bool {
        // ORDERING: SeqCst: an M that sits down in the driver looks at it after it has published its
        // seat (`driver.rs`).
        self.stopping.load(Ordering::SeqCst)
    }

    // ---- making goroutines runnable -------------------------------------------------------

    /// Queues a goroutine that has just been made ready, from whatever thread.
    #[inline]
    pub(crate) fn schedule_from_anywhere(token: RunToken) {
        context::with(|cx| {
            let home = token.home();
            let Some(cx) = cx.filter(|cx| cx.shared.number.is_of(home)) else {
                // SAFETY: a token's goroutine is not complete, so its runtime is alive.
                let shared = unsafe { &*home.runtime() };
                // Once the token is handed on, the runtime may end before we are done with it.
                let shared = shared.arc();
                return shared.inject([token]);
            };
            let shared = &*cx.shared;
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
        if self.is_simulated() && !simulated::is_active() {
            let name = std::thread::current().name().map(str::to_owned);
            *self.intruder.lock() = Some(name.unwrap_or_else(|| "(unnamed)".to_owned()));
        }
        let wake = self.dispatch.inject(tokens);
        self.send(wake);
    }

    #[inline]
    pub(crate) fn width(&self) -> usize {
        // ORDERING: Relaxed: a policy.
        self.width.load(Ordering::Relaxed)
    }

    pub(crate) fn set_width(&self, width: usize) {
        self.width.store(width, Ordering::Relaxed);
    }

    /// Work was pushed to the ring of `p`: wakes another M if that is likely to pay.
    #[inline]
    pub(crate) fn wake_for_backlog(&self, p: &Processor) {
        let idle = self.dispatch.idle_ps();
        if idle == 0 || self.dispatch.searching() > 0 {
            return;
        }
        if self.procs.saturating_sub(idle) >= self.width() {
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
                    let kept = self.processor(p);
                    let waiting = kept.take_runnext().into_iter();
                    let waiting = waiting.chain(std::iter::from_fn(|| kept.ring.pop()));
                    self.dispatch.give_back(p, p >= self.procs, waiting);
                    self.bed.wake();
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
            // ORDERING: Acquire pairs with the Release in `close_threads`; both under the lock.
            if inner.stopping && self.threads_closed.load(Ordering::Acquire) {
                return false;
            }
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

    /// A counted reference; for those whose borrow may not last.
    fn arc(&self) -> Arc<Shared> {
        self.me
            .upgrade()
            .expect("borrowed from an Arc, or kept by a goroutine that isn't complete")
    }

    fn tell_limit(&self, what: &str) {
        if !self.told_limit.swap(true, Ordering::AcqRel) {
            // The subscriber is anybody's code.
            shield(|| {
                tracing::error!(
                    runtime = self.name,
                    machines_max = self.machines_max,
                    "{what}: goroutines wait until a blocked machine comes back; block less, or \
                     raise `Runtime::builder().machines_max(..)`"
                );
            });
        }
    }

    pub(crate) fn has_too_many_machines(&self) -> bool {
        self.dispatch.lock().machines > self.procs
    }

    /// Joins the threads of Ms that have ended.
    pub(crate) fn join_retired(&self) {
        let ended: Vec<_> = {
            let Some(mut threads) = self.threads.try_lock() else {
                return;
            };
            threads.extract_if(.., |(m, _)| m.is_retired()).collect()
        };
        // Not under the lock: a thread's destructors are anybody's code, and may need a machine.
        for (_, thread) in ended {
            let _ = thread.join();
        }
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
            let wake = if work {
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

    /// No P is held and nothing waits for one.
    pub(crate) fn is_idle(&self) -> bool {
        let inner = self.dispatch.lock();
        inner.held == 0 && inner.injector.is_empty() && !inner.stopping
    }

    /// Polls of goroutines begun, on all Ps.
    pub(crate) fn polls(&self) -> u64 {
        (0..self.processor_count())
            .map(|p| self.processor(p).polls_begun())
            .sum()
    }

    /// Whether a P has had a long poll since this was asked last.
    pub(crate) fn take_long_polls(&self) -> bool {
        let ps = 0..self.processor_count();
        ps.filter(|p| self.processor(*p).take_long_poll()).count() > 0
    }

    /// Operations done and goroutines ended, on all Ps.
    pub(crate) fn work_done(&self) -> u64 {
        (0..self.processor_count())
            .map(|p| self.processor(p).work_done())
            .sum()
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
            // ORDERING: SeqCst: see `timers_are_off`.
            self.firing.store(true, Ordering::SeqCst);
            self.fire_timers(now);
            self.firing.store(false, Ordering::SeqCst);
        }
    }

    /// No timer is set, and none is being fired.
    pub(crate) fn timers_are_off(&self) -> bool {
        // In this order: a timer that was taken before the first look is still being fired at the
        // second one, or its goroutine has been woken by then.
        self.next_deadline() == NEVER && !self.firing.load(Ordering::SeqCst)
    }

    // ---- goroutines ---------------------------------------------------------------------------

    /// Starts a goroutine that works for `L`.
    pub(crate) fn go<F, L>(
        self: &Arc<Self>,
        future: F,
        name: Option<Arc<str>>,
        location: &'static Location<'static>,
    ) -> JoinHandle<F::Output>
    where
        L: task::WorksFor,
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        JoinHandle::new(self.start::<F, L, Joinable>(future, name, location))
    }

    /// Starts a goroutine that works for `L`.
    #[inline(always)] // see `new_task`
    pub(crate) fn start<F, L, J>(
        self: &Arc<Self>,
        future: F,
        name: Option<Arc<str>>,
        location: &'static Location<'static>,
    ) -> TaskRef
    where
        J: task::Joining,
        L: task::WorksFor,
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        context::with(|cx| {
            let cx = cx.filter(|cx| std::ptr::eq(&*cx.shared, &**self));
            let p = cx.and_then(|cx| cx.p());
            let hint = p.map_or(0, |p| p.index);
            let id = self.registry.next_id(hint);
            let origin = match name {
                None => Origin::new(location),
                Some(name) => Origin::named(id, name, location),
            };
            let home = self.number.home_of(id);
            let (token, task) = task::new_task::<F, L, J>(future, home, origin);
            if !self.registry.insert(&task) {
                // The runtime is ending: the goroutine is over before it begins.
                self.cancel_unregistered(token, &task);
            } else if let Some(p) = p {
                self.push_local(p, token);
                self.wake_for_backlog(p);
            } else {
                self.inject([token]);
            }
            task
        })
    }

    #[cold]
    pub(super) fn cancel_unregistered(&self, token: RunToken, task: &TaskRef) {
        // The token is ours, so `cancel` can't ask anybody to queue it.
        let _ = task.header().state.cancel();
        let task::Ran::Over = token.run() else {
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
    pub(crate) fn stop(&self, within: Duration) -> bool {
        self.registry.close();
        self.blocking.close();
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
        self.set_stopping();
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
            // They still point to the runtime: it must never go away.
            std::mem::forget(self.arc());
            return false;
        }
        // An M may be on its way to `threads` still: wait for the count, not only for the list.
        while !self.close_threads() {
            let threads = std::mem::take(&mut *self.threads.lock());
            for (m, thread) in threads {
                m.unpark();
                let _ = thread.join();
            }
            std::thread::yield_now();
        }
        self.blocking.join();
        // Whoever sleeps in `block_on` on this runtime is told that its timer will not come.
        self.fire_timers(Instant::FOREVER);
        super::mem::trim();
        true
    }

    /// True once every thread was joined; from then on none is started.
    fn close_threads(&self) -> bool {
        let inner = self.dispatch.lock();
        let closed = inner.machines == 0 && self.threads.lock().is_empty();
        // ORDERING: Release, and under the dispatch lock, where `start_machine` reads it.
        self.threads_closed.store(closed, Ordering::Release);
        closed
    }
}
