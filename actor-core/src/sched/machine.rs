//! M: a thread that runs goroutines while it holds a P.
//!
//! One turn of an M: look at timers, injector and I/O if it is time; else `runnext` (a bounded
//! chain), else the ring, else search, else park. Searching is throttled (at most half of the
//! running Ms) and short: it spins for as long as that has paid lately, and steals a short backlog
//! only from an M that stands still. Waking follows the same economy:
//!
//! - `runnext` never wakes anybody: its goroutine runs here, next.
//! - A push to the ring wakes an idle M at once when the backlog is long, else only while *wake
//!   tokens* last. A wake takes one; a search that found work, and sysmon each tick, fill them up:
//!   useless wakes are bounded by `WAKE_TOKENS` a tick, at about 6 µs each.
//! - A goroutine that queues itself again (yield, spent budget) wakes nobody.
//! - An M beyond the width (`width.rs`) is not woken for a backlog, and parks instead of searching.
//!
//! The M that gives up its P in the middle of a poll (`blocking`) finishes that poll without one:
//! what it wakes goes to the injector.

use std::sync::OnceLock;
use std::time::Duration;

use super::clock::Instant;
use super::context::{self, Context};
use super::cores::Jostle;
use super::deadlock::OurThread;
use super::dispatch::{Idler, Park};
use super::processor::Processor;
use super::shared::Shared;
use super::shield::AbortOnUnwind;
use super::simulated;
use super::task::{Ran, RunToken};
use super::timers::NEVER;
use super::{cpus, tuning};
use crate::shim::atomic::{AtomicBool, AtomicUsize, Ordering};
use crate::shim::{Arc, hint, thread};

const NONE: usize = usize::MAX;

/// The part of an M that others see.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) id: usize,
    handoff: AtomicUsize,
    last_p: AtomicUsize,
    thread: OnceLock<thread::Thread>,
    /// The OS thread's number, for sysmon to ask whether it sleeps.
    pub(crate) tid: AtomicUsize,
    #[cfg(feature = "tokio")]
    pub(crate) driver: super::driver::DriverSeat,
    retired: AtomicBool,
}

impl Machine {
    pub(crate) fn new(id: usize) -> Self {
        Self {
            id,
            handoff: AtomicUsize::new(NONE),
            last_p: AtomicUsize::new(NONE),
            thread: OnceLock::new(),
            tid: AtomicUsize::new(0),
            #[cfg(feature = "tokio")]
            driver: super::driver::DriverSeat::default(),
            retired: AtomicBool::new(false),
        }
    }

    /// The thread's first act: unpark needs to know it.
    pub(crate) fn set_thread(&self) {
        let _ = self.thread.set(thread::current());
    }

    /// Takes the P that somebody handed over, if any.
    pub(crate) fn take_handoff(&self) -> Option<usize> {
        // ORDERING: Relaxed load: the swap orders; SeqCst against the driver seat (`driver.rs`).
        if self.handoff.load(Ordering::SeqCst) == NONE {
            return None;
        }
        let p = self.handoff.swap(NONE, Ordering::SeqCst);
        (p != NONE).then_some(p)
    }

    pub(crate) fn has_handoff(&self) -> bool {
        self.handoff.load(Ordering::SeqCst) != NONE
    }

    pub(crate) fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Acquire)
    }

    pub(crate) fn set_retired(&self) {
        self.retired.store(true, Ordering::Release);
    }

    /// A wake was kept for this M while it sits in the driver: it has to leave it.
    #[inline]
    pub(crate) fn note_deferred(&self) {
        #[cfg(feature = "tokio")]
        self.driver.wake();
    }
}

impl Idler for Machine {
    fn hand(&self, p: usize) {
        self.last_p.store(p, Ordering::Relaxed);
        // ORDERING: SeqCst: pairs with the driver seat's check after it sat down; and it publishes
        // the P's ring and owner-only state together with the dispatch lock.
        self.handoff.store(p, Ordering::SeqCst);
    }

    fn unpark(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
        #[cfg(feature = "tokio")]
        self.driver.wake();
    }

    fn last_p(&self) -> usize {
        self.last_p.load(Ordering::Relaxed)
    }
}

/// What a search has found, and where.
enum Found {
    Stolen(RunToken),
    Injected(RunToken),
}

/// What only the M's own thread touches.
struct Worker<'a> {
    cx: &'a Context,
    shared: &'a Shared,
    me: &'a Arc<Machine>,
    searching: bool,
    chain: u32,
    until_maintenance: u32,
    interval: u32,
    last_maintenance: Instant,
    /// It had nothing to run since.
    rested: bool,
    /// How long the next search may spin.
    spin: Duration,
    /// Victims' poll counters, and for how many rounds each has stood still.
    seen: Vec<(u64, u32)>,
    batch: Vec<RunToken>,
    rng: u32,
    jostle: Option<Jostle>,
    /// It was taken off the count of machines already.
    retired: bool,
}

/// An M's thread from start to end.
pub(crate) fn run(shared: Arc<Shared>, machine: Arc<Machine>) {
    machine.set_thread();
    machine.tid.store(cpus::thread_id(), Ordering::Relaxed);
    let _ours = OurThread::new();
    let cx = Context::new(shared.clone(), machine.clone());
    let retired = cx.scope(|| {
        let _bug = AbortOnUnwind;
        #[cfg(feature = "tokio")]
        let _tokio = shared.driver.enter();
        let mut worker = Worker {
            cx: &cx,
            shared: &shared,
            me: &machine,
            searching: false,
            chain: 0,
            until_maintenance: tuning::MAINTENANCE_POLLS_MAX,
            interval: tuning::MAINTENANCE_POLLS_MAX,
            last_maintenance: Instant::now(),
            rested: true,
            spin: tuning::SPIN_MIN,
            seen: Vec::new(),
            batch: Vec::new(),
            rng: 0x9e37_79b9 ^ (machine.id as u32).wrapping_mul(0x85eb_ca6b) | 1,
            jostle: Jostle::new(&shared.cores),
            retired: false,
        };
        worker.sleep(NEVER);
        while let Some(token) = worker.next() {
            worker.run(token);
        }
        worker.retired
    });
    if !retired {
        shared.dispatch.lock().machines -= 1;
    }
    machine.set_retired();
}

impl Worker<'_> {
    /// Runs one goroutine for one poll.
    #[inline]
    fn run(&mut self, token: RunToken) {
        if let Some(p) = self.cx.p() {
            p.mark_poll(true);
        }
        self.cx.begin_poll(tuning::BUDGET, &token);
        let ran = token.run();
        let left = self.cx.end_poll();
        // The poll may have lost its P, or got another one, inside `blocking`.
        if let Some(p) = self.cx.p() {
            p.mark_poll(false);
            let ops = tuning::BUDGET - left;
            match ran {
                // The last attempt of one that waits found nothing.
                Ran::Parked => p.count_ops(ops.saturating_sub(1)),
                Ran::Over => p.count_ops(ops + 1),
                Ran::Again(token) => {
                    p.count_ops(ops);
                    self.shared.push_local(p, token);
                }
            }
            if p.clear_stuck() {
                self.shared.stuck.fetch_sub(1, Ordering::AcqRel);
            }
            if p.index >= self.shared.procs && self.shared.has_surplus() {
                self.retire_spare();
            }
        } else {
            match ran {
                // All others have left, or are about to: it was aborted, and ends with one more run.
                Ran::Again(token) if self.shared.is_stopping() => {
                    let mut ran = token.run();
                    while let Ran::Again(token) = ran {
                        ran = token.run();
                    }
                }
                Ran::Again(token) => self.shared.inject([token]),
                Ran::Parked | Ran::Over => {}
            }
            let shared = self.shared;
            match shared.dispatch.rejoin(self.me, || shared.next_deadline()) {
                Ok(p) => self.acquire(p),
                Err(until) => self.sleep(until),
            }
        }
    }

    fn p(&self) -> &Processor {
        self.cx
            .p()
            .expect("an M looks for work only while it holds a P")
    }

    #[inline(always)] // it has one caller, the loop
    fn next(&mut self) -> Option<RunToken> {
        loop {
            self.cx.p()?;
            if self.until_maintenance == 0
                && let Some(token) = self.maintain()
            {
                return Some(self.found(token));
            }
            self.until_maintenance -= 1;
            if let Some(token) = self.next_local() {
                return Some(self.found(token));
            }
            if let Some(token) = self.find_work() {
                return Some(token);
            }
        }
    }

    #[inline(always)]
    fn next_local(&mut self) -> Option<RunToken> {
        let p = self.cx.p()?;
        if p.has_runnext() {
            if self.chain < tuning::RUNNEXT_CHAIN {
                self.chain += 1;
                if let Some(token) = p.take_runnext() {
                    return Some(token);
                }
            } else {
                // A pair that keeps waking each other queues behind the ring now and then.
                self.chain = 0;
                if !p.ring.is_empty()
                    && let Some(token) = p.take_runnext()
                {
                    self.shared.push_local(p, token);
                } else if let Some(token) = p.take_runnext() {
                    return Some(token);
                }
            }
        }
        self.chain = 0;
        p.ring.pop()
    }

    /// Timers, injector and I/O: now and then, however busy the ring is.
    #[cold]
    fn maintain(&mut self) -> Option<RunToken> {
        let now = Instant::now();
        let took = (now - self.last_maintenance).max(Duration::from_nanos(1));
        self.last_maintenance = now;
        if took > tuning::LONG && !std::mem::take(&mut self.rested) {
            self.p().note_long_poll();
        }
        let per_poll = took.as_nanos() as u64 / u64::from(self.interval) + 1;
        let fit = tuning::MAINTENANCE_EVERY.as_nanos() as u64 / per_poll;
        self.interval = (fit as u32).clamp(1, tuning::MAINTENANCE_POLLS_MAX);
        self.until_maintenance = self.interval;
        if let Some(jostle) = &mut self.jostle
            && jostle.look(&self.shared.cores, now)
        {
            self.cx.pin();
        }
        self.shared.fire_timers(now);
        #[cfg(feature = "tokio")]
        self.shared.driver.turn_after(tuning::IO_EVERY, now);
        let next = self.take_injected(1);
        let p = self.p();
        // One goroutine is no backlog: it runs here, now.
        if p.ring.len() > usize::from(next.is_none() && !p.has_runnext()) {
            self.shared.wake_for_backlog(p);
        }
        next
    }

    fn take_injected(&mut self, max: usize) -> Option<RunToken> {
        if self.shared.dispatch.injected() == 0 {
            return None;
        }
        self.shared.dispatch.take_injected(max, &mut self.batch);
        let mut batch = std::mem::take(&mut self.batch);
        let mut tokens = batch.drain(..);
        let first = tokens.next();
        for token in tokens {
            self.shared.push_local(self.p(), token);
        }
        self.batch = batch;
        first
    }

    fn find_work(&mut self) -> Option<RunToken> {
        self.rested = true;
        let share = self.shared.dispatch.injected() / self.shared.procs + 1;
        if let Some(token) = self.take_injected(share.min(tuning::RING / 2)) {
            return Some(self.found(token));
        }
        if self.shared.fire_timers(Instant::now()) > 0
            && let Some(token) = self.next_local()
        {
            self.share_backlog();
            return Some(self.found(token));
        }
        #[cfg(feature = "tokio")]
        {
            self.shared.driver.turn();
            if let Some(token) = self.next_local() {
                self.share_backlog();
                return Some(self.found(token));
            }
        }
        if let Some(token) = self.search() {
            return Some(self.found(token));
        }
        self.park()
    }

    /// The end of a successful search: pays the wake back and passes the duty on.
    #[inline]
    fn found(&mut self, token: RunToken) -> RunToken {
        if self.searching {
            self.end_search();
        }
        token
    }

    #[cold]
    fn end_search(&mut self) {
        self.searching = false;
        self.shared.refill_wake_tokens();
        self.shared.send(self.shared.dispatch.end_search());
        self.share_backlog();
    }

    /// Timers or I/O made goroutines ready: this M runs one of them, others may want the rest.
    fn share_backlog(&self) {
        let p = self.p();
        if !p.ring.is_empty() {
            self.shared.wake_for_backlog(p);
        }
    }

    /// Searches, and learns from it how long the next search is worth. What came from outside teaches
    /// nothing: the threads that bring it need a core too, and a core on which an M spins looks taken.
    fn search(&mut self) -> Option<RunToken> {
        let (found, stolen) = match self.search_for(self.spin) {
            Some(Found::Stolen(token)) => (Some(token), true),
            Some(Found::Injected(token)) => (Some(token), false),
            None => (None, false),
        };
        self.spin = if stolen {
            (self.spin * 4).min(tuning::SPIN_MAX)
        } else {
            (self.spin / 2).max(tuning::SPIN_MIN)
        };
        found
    }

    /// Spins over the other Ps for a short while.
    fn search_for(&mut self, spin: Duration) -> Option<Found> {
        let shared = self.shared;
        let procs = shared.processor_count();
        if procs < 2 {
            return None;
        }
        // An M that was woken looks longer than one that has just run dry.
        #[cfg(feature = "tokio")]
        let woken = self.searching;
        if !self.searching {
            let running = shared.procs.saturating_sub(shared.dispatch.idle_ps());
            if running > shared.width() {
                return None;
            }
            if !shared.dispatch.try_search(running) {
                return None;
            }
            self.searching = true;
        }
        self.seen.clear();
        self.seen.resize(procs, (u64::MAX, 0));
        let started = Instant::now();
        let mut round = 0_u32;
        loop {
            if let Some(token) = self.steal_round(procs) {
                return Some(Found::Stolen(token));
            }
            if shared.dispatch.injected() > 0
                && let Some(token) = self.take_injected(1)
            {
                return Some(Found::Injected(token));
            }
            if self.p().is_stuck() || shared.is_stopping() {
                return None;
            }
            round += 1;
            #[cfg(feature = "tokio")]
            if shared.driver.is_free() && (!woken || round >= 2 * tuning::STEAL_AGED_ROUNDS) {
                // I/O waits for somebody to look: rather from inside the driver.
                return None;
            }
            if round.is_multiple_of(16) && started.elapsed() >= spin {
                return None;
            }
            for _ in 0..20 {
                hint::spin_loop();
            }
        }
    }

    fn steal_round(&mut self, procs: usize) -> Option<RunToken> {
        let own = self.p().index;
        let start = self.random() as usize;
        for i in 0..procs {
            let victim = self.shared.processor((start + i) % procs);
            if victim.index == own {
                continue;
            }
            let backlog = victim.ring.len();
            if backlog == 0 && !victim.has_runnext() {
                continue;
            }
            let polls = victim.polls();
            let (seen, rounds) = &mut self.seen[victim.index];
            if *seen == polls {
                *rounds += 1;
            } else {
                (*seen, *rounds) = (polls, 0);
            }
            let aged = *rounds >= tuning::STEAL_AGED_ROUNDS;
            if backlog >= tuning::STEAL_BACKLOG || (aged && backlog > 0) {
                if let Some(token) = victim.ring.steal_into(&self.cx.p()?.ring) {
                    self.count_steal();
                    return Some(token);
                }
            } else if aged && let Some(token) = victim.take_runnext() {
                self.count_steal();
                return Some(token);
            }
        }
        None
    }

    fn count_steal(&self) {
        // ORDERING: Relaxed: a statistic.
        self.p().steals.fetch_add(1, Ordering::Relaxed);
    }

    fn random(&mut self) -> u32 {
        self.rng ^= self.rng << 13;
        self.rng ^= self.rng >> 17;
        self.rng ^= self.rng << 5;
        self.rng
    }

    /// Gives up the P and sleeps until there is work. `None`: try again with the P that came.
    fn park(&mut self) -> Option<RunToken> {
        let p = self.p();
        if p.clear_stuck() {
            self.shared.stuck.fetch_sub(1, Ordering::AcqRel);
        }
        let index = p.index;
        let spare = index >= self.shared.procs;
        let searching = std::mem::take(&mut self.searching);
        let shared = self.shared;
        let parked = shared
            .dispatch
            .park(self.me, index, spare, searching, || shared.next_deadline());
        match parked {
            Park::Work(token) => return Some(token),
            Park::Stop => self.cx.set_p(None),
            Park::Sleep { until } => self.sleep(until),
        }
        None
    }

    /// Sleeps until a P comes; without one afterwards, the M ends.
    fn sleep(&mut self, mut until: u64) {
        self.cx.set_p(None);
        loop {
            if let Some(p) = self.me.take_handoff() {
                self.searching = true;
                return self.acquire(p);
            }
            if self.shared.is_stopping() {
                return;
            }
            let expired = self.sleep_once(until);
            let deferred = self.cx.take_deferred();
            if deferred.is_empty() && !expired {
                continue;
            }
            if deferred.is_empty() && until == NEVER {
                if self.shared.dispatch.retire(self.me, self.shared.procs) {
                    self.retired = true;
                    return;
                }
                continue;
            }
            // The deadline came, or I/O did: go on with an idle P, if there is one.
            match self.shared.dispatch.wake_self(self.me) {
                Some(p) => {
                    self.acquire(p);
                    let more = deferred.len() > 1;
                    for token in deferred {
                        self.shared.push_local(self.p(), token);
                    }
                    if more {
                        self.share_backlog();
                    }
                    return;
                }
                None if !deferred.is_empty() => self.shared.inject(deferred),
                None => until = NEVER,
            }
        }
    }

    /// Parks once: in the I/O driver if nobody sits there, else on the thread's own token. True
    /// when the time is up: the deadline, or how long an M too many is kept.
    fn sleep_once(&self, until: u64) -> bool {
        let timeout = if until != NEVER {
            Some(Instant::from_nanos(until) - Instant::now())
        } else {
            self.shared
                .has_too_many_machines()
                .then_some(self.shared.keep_alive)
        };
        // Who sits in the driver stays, however many machines there are.
        #[cfg(feature = "tokio")]
        let in_driver = timeout.filter(|_| until != NEVER);
        #[cfg(feature = "tokio")]
        if let Some(expired) = self.shared.driver.park(self.cx, in_driver) {
            return expired;
        }
        let Some(timeout) = timeout else {
            thread::park();
            return false;
        };
        let end = Instant::now() + timeout;
        thread::park_timeout(timeout);
        !self.me.has_handoff() && Instant::now() >= end
    }

    /// Takes over a P that the dispatch lock gave to this M.
    fn acquire(&mut self, index: usize) {
        let p = self.shared.processor(index);
        p.set_holder(self.me.tid.load(Ordering::Relaxed));
        self.cx.set_p(Some(p));
        self.cx.pin();
        self.shared.bed.wake();
        self.until_maintenance = 0;
    }

    /// A spare P is one too many again: its goroutines go back to all, and this M to the idle.
    #[cold]
    fn retire_spare(&mut self) {
        let p = self.p();
        if self.shared.release_spare(p, self.me) {
            self.sleep(NEVER);
        }
    }
}

/// Gives the P of the calling M to somebody else while `f` runs.
///
/// Call this around anything that blocks the thread (a file system call, a foreign lock, a C
/// library, a long computation): the goroutines that wait behind this one go on at once, on another
/// M. Afterwards the goroutine continues with a free P, or finishes its current poll without one.
/// On a thread that is no M, `f` simply runs. Nothing else has to be declared: an undeclared block
/// is noticed too, but only after some milliseconds.
///
/// Source: Go's `entersyscallblock`/`exitsyscall`.
///
/// # Panics
/// A panic of `f` passes through, with the M as it was.
///
/// ```
/// # actor_core::Runtime::new().unwrap().block_on(async {
/// let text = actor_core::go(async {
///     actor_core::blocking(|| std::fs::read_to_string("/proc/self/comm"))
/// });
/// assert!(text.await.unwrap().is_ok());
/// # });
/// ```
pub fn blocking<R>(f: impl FnOnce() -> R) -> R {
    context::with(|cx| {
        let Some(cx) = cx else { return f() };
        let Some(p) = cx.p() else { return f() };
        if !cx.in_poll() {
            return f();
        }
        simulated::refuse(
            "`blocking`",
            "it is for code that waits outside of the program; put that behind a trait with a \
             simulated implementation, or call what only computes directly",
        );
        struct Back<'a>(&'a Context);
        impl Drop for Back<'_> {
            fn drop(&mut self) {
                let cx = self.0;
                if let Some(p) = cx.shared.take_idle_p(&cx.machine) {
                    let p = cx.shared.processor(p);
                    p.mark_poll(true);
                    p.set_holder(cx.machine.tid.load(Ordering::Relaxed));
                    cx.set_p(Some(p));
                    cx.pin();
                    cx.shared.bed.wake();
                }
            }
        }
        p.mark_poll(false);
        if p.clear_stuck() {
            cx.shared.stuck.fetch_sub(1, Ordering::AcqRel);
        }
        cx.set_p(None);
        cx.shared.hand_off(p);
        // Its core belongs to whoever holds the P now.
        cx.unpin();
        let _back = Back(cx);
        cx.suspend_poll(f)
    })
}
