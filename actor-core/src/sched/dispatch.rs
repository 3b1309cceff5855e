//! Who is idle, and what waits for anybody: the one lock of the scheduler.
//!
//! Under the lock: the *injector* (goroutines made ready by threads without a P, and overflow), the
//! idle Ms, the idle Ps, the spare Ps, and who keeps time. Running Ms don't take it: their traffic
//! goes through `runnext` and the ring of their P.
//!
//! **No lost wake-up (proof).** A goroutine in the injector is seen because both sides decide under
//! the lock:
//! 1. `inject` adds it, then looks: if an M is searching it does nothing, else it takes an idle M
//!    and an idle P and sends them off.
//! 2. `park` looks at the injector, then stops searching and joins the idle, in one critical
//!    section.
//!
//! If (1) comes first, (2) sees the goroutine. If (2) comes first, (1) sees the idle pair, and
//! `searching` without that M. If (1) found somebody searching, that M must still come to (2), or
//! find other work and pass `end_search`, which wakes the next M when the injector is not empty.
//! With no P idle, every P is held by an M that will look at the injector before it parks.
//!
//! A goroutine in a ring or in `runnext` needs no proof: the M that holds the P runs it before it
//! parks. Waking a second M for it is a matter of speed, decided in `machine.rs`, and insured by
//! sysmon when the holder is stuck inside a poll. (A P whose new M could not be started is emptied
//! into the injector: `give_back`.)
//!
//! An M that was taken off the idle list has its P in `handoff` before it is unparked, and `park`
//! returns only with that P, or after the M took itself off under the lock. Timers: see `keep_time`.

use std::collections::VecDeque;

use super::timers::NEVER;
use crate::shim::atomic::{AtomicUsize, Ordering};
use crate::shim::{Arc, Mutex, MutexGuard};

/// What `Dispatch` has to know of an M.
pub(crate) trait Idler: Sized {
    /// Gives the M a P; it is off the idle list.
    fn hand(&self, p: usize);
    /// Wakes the M's thread.
    fn unpark(&self);
    /// The P it held last, whose core is warm for it.
    fn last_p(&self) -> usize;
}

#[derive(Debug)]
pub(crate) struct Inner<T, M> {
    pub(crate) injector: VecDeque<T>,
    pub(crate) idle_ms: Vec<Arc<M>>,
    pub(crate) idle_ps: Vec<usize>,
    pub(crate) spare_ps: Vec<usize>,
    /// Ps that an M holds, stuck ones included.
    pub(crate) held: usize,
    /// Ms that exist (idle, running or blocked).
    pub(crate) machines: usize,
    /// The parked M with a deadline, and the deadline.
    pub(crate) timekeeper: Option<(Arc<M>, u64)>,
    /// Ms taken off the idle list to be woken.
    pub(crate) wakes: u64,
    pub(crate) stopping: bool,
}

#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Dispatch<T, M> {
    inner: Mutex<Inner<T, M>>,
    /// Mirrors of the lengths, written under the lock, read without it as hints.
    injected: AtomicUsize,
    idle: AtomicUsize,
    held: AtomicUsize,
    searching: AtomicUsize,
}

/// An M on its way to run, to be unparked after the lock is released.
#[must_use = "call `go` after the lock is released"]
#[derive(Debug)]
pub(crate) enum Wake<M> {
    Nobody,
    Idle(Arc<M>),
    /// A P is free but no M is: start a thread for it. The P counts as held already.
    NewMachine {
        p: usize,
    },
}

/// What a parking M has to do.
#[derive(Debug)]
pub(crate) enum Park<T> {
    /// There was work after all; the M keeps its P.
    Work(T),
    /// It is on the idle list and gave up its P: park until `handoff`, at most until this deadline.
    Sleep {
        until: u64,
    },
    Stop,
}

impl<T, M: Idler> Dispatch<T, M> {
    pub(crate) fn new() -> Self {
        Self {
            inner: Mutex::new(Inner {
                injector: VecDeque::new(),
                idle_ms: Vec::new(),
                idle_ps: Vec::new(),
                spare_ps: Vec::new(),
                held: 0,
                machines: 0,
                timekeeper: None,
                wakes: 0,
                stopping: false,
            }),
            injected: AtomicUsize::new(0),
            idle: AtomicUsize::new(0),
            held: AtomicUsize::new(0),
            searching: AtomicUsize::new(0),
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner<T, M>> {
        self.inner.lock()
    }

    #[inline]
    pub(crate) fn injected(&self) -> usize {
        // ORDERING: Relaxed: a hint; decisions are made under the lock.
        self.injected.load(Ordering::Relaxed)
    }

    #[inline]
    pub(crate) fn idle_ps(&self) -> usize {
        self.idle.load(Ordering::Relaxed)
    }

    /// Ps that an M holds, stuck ones included.
    #[inline]
    pub(crate) fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    #[inline]
    pub(crate) fn searching(&self) -> usize {
        self.searching.load(Ordering::Relaxed)
    }

    /// Writes the mirrors; called before the lock is released whenever a list changed.
    pub(crate) fn publish(&self, inner: &Inner<T, M>) {
        // ORDERING: Relaxed: hints.
        self.injected.store(inner.injector.len(), Ordering::Relaxed);
        self.idle.store(inner.idle_ps.len(), Ordering::Relaxed);
        self.held.store(inner.held, Ordering::Relaxed);
    }

    /// Makes goroutines runnable by anybody, and wakes an M for them if none is looking.
    pub(crate) fn inject(&self, tokens: impl IntoIterator<Item = T>) -> Wake<M> {
        let mut inner = self.lock();
        inner.injector.extend(tokens);
        // Before the hand-over, so that the M that wakes from it sees that there is something.
        self.publish(&inner);
        let wake = self.wake_locked(&mut inner);
        self.publish(&inner);
        wake
    }

    /// Wakes an M to search, unless one searches already or no P is idle.
    pub(crate) fn wake_one(&self) -> Wake<M> {
        let mut inner = self.lock();
        let wake = self.wake_locked(&mut inner);
        self.publish(&inner);
        wake
    }

    fn wake_locked(&self, inner: &mut Inner<T, M>) -> Wake<M> {
        // ORDERING: Relaxed: `searching` goes down to let others search only under this lock, or
        // in `end_search`, whose caller then looks at the injector itself.
        if inner.stopping || self.searching.load(Ordering::Relaxed) > 0 {
            return Wake::Nobody;
        }
        self.send_off(inner)
    }

    /// Takes an idle P and an idle M, preferably one whose last P it was.
    fn send_off(&self, inner: &mut Inner<T, M>) -> Wake<M> {
        let Some(p) = inner.idle_ps.pop() else {
            return Wake::Nobody;
        };
        inner.held += 1;
        self.hand_to_someone(inner, p)
    }

    /// Gives a held P to an idle M, or asks for a new one. It starts as a searcher, and counts as
    /// one from now on, so that others don't wake more.
    pub(crate) fn hand_to_someone(&self, inner: &mut Inner<T, M>, p: usize) -> Wake<M> {
        self.searching.fetch_add(1, Ordering::AcqRel);
        let keeper = |inner: &Inner<T, M>, m: &Arc<M>| {
            inner
                .timekeeper
                .as_ref()
                .is_some_and(|(keeper, _)| Arc::ptr_eq(keeper, m))
        };
        // The warmest M, but rather not the one that keeps time for the others.
        let at = (0..inner.idle_ms.len()).max_by_key(|&i| {
            let m = &inner.idle_ms[i];
            (!keeper(inner, m), m.last_p() == p)
        });
        let Some(at) = at else {
            return Wake::NewMachine { p };
        };
        let m = inner.idle_ms.remove(at);
        if keeper(inner, &m) {
            inner.timekeeper = None;
        }
        inner.wakes += 1;
        m.hand(p);
        Wake::Idle(m)
    }

    /// Lets an M search if at most half of the running ones do.
    pub(crate) fn try_search(&self, running: usize) -> bool {
        // ORDERING: AcqRel: see `wake_locked`; the bound itself may be missed by one.
        if 2 * self.searching.load(Ordering::Relaxed) >= running.max(1) {
            return false;
        }
        self.searching.fetch_add(1, Ordering::AcqRel);
        true
    }

    /// Ends a search that found something. The last searcher to leave makes sure that what was
    /// injected while it was searching (and therefore woke nobody) finds an M.
    pub(crate) fn end_search(&self) -> Wake<M> {
        if self.searching.fetch_sub(1, Ordering::AcqRel) > 1 {
            return Wake::Nobody;
        }
        // Under the lock, not by the mirrors: they may be older than an injection that saw us.
        let mut inner = self.lock();
        if inner.injector.is_empty() {
            return Wake::Nobody;
        }
        let wake = self.wake_locked(&mut inner);
        self.publish(&inner);
        wake
    }

    /// Takes up to `max` goroutines from the injector.
    pub(crate) fn take_injected(&self, max: usize, out: &mut Vec<T>) {
        if self.injected() == 0 {
            return;
        }
        let mut inner = self.lock();
        let n = inner.injector.len().min(max);
        out.extend(inner.injector.drain(..n));
        self.publish(&inner);
    }

    /// The last step of an M without work: it keeps its P if the injector has something, else it
    /// joins the idle and its P becomes idle (or spare).
    pub(crate) fn park(
        &self,
        me: &Arc<M>,
        p: usize,
        spare: bool,
        was_searching: bool,
        next_deadline: impl FnOnce() -> u64,
    ) -> Park<T> {
        let mut inner = self.lock();
        if was_searching {
            self.searching.fetch_sub(1, Ordering::AcqRel);
        }
        // Even when stopping: what was aborted has to be dropped by somebody.
        if let Some(token) = inner.injector.pop_front() {
            self.publish(&inner);
            return Park::Work(token);
        }
        if inner.stopping {
            inner.held -= 1;
            return Park::Stop;
        }
        inner.held -= 1;
        if spare {
            inner.spare_ps.push(p);
        } else {
            inner.idle_ps.push(p);
        }
        inner.idle_ms.push(me.clone());
        self.publish(&inner);
        Park::Sleep {
            until: Self::keep_time(&mut inner, me, next_deadline()),
        }
    }

    /// Makes `me` the timekeeper if no parked M wakes early enough. Returns its deadline.
    ///
    /// Deadlines are read under the lock by every M that parks, so the last one to park has seen
    /// all timers of its own P and of the Ps that went idle before it. Timers added later come from
    /// a running M (which looks at its own P again before it parks) or from a thread without a P
    /// (which calls `timer_added`).
    fn keep_time(inner: &mut Inner<T, M>, me: &Arc<M>, deadline: u64) -> u64 {
        match &inner.timekeeper {
            Some((_, kept)) if *kept <= deadline => NEVER,
            _ if deadline == NEVER => NEVER,
            _ => {
                inner.timekeeper = Some((me.clone(), deadline));
                deadline
            }
        }
    }

    /// An M that finished a poll without a P: an idle one, or a place among the idle Ms, where it
    /// sleeps at most until the deadline.
    pub(crate) fn rejoin(&self, me: &Arc<M>, deadline: impl FnOnce() -> u64) -> Result<usize, u64> {
        let mut inner = self.lock();
        if let Some(p) = Self::take_idle_p(&mut inner, me) {
            self.publish(&inner);
            return Ok(p);
        }
        inner.idle_ms.push(me.clone());
        Err(Self::keep_time(&mut inner, me, deadline()))
    }

    /// An idle P, rather the one that this M held last.
    pub(crate) fn take_idle_p(inner: &mut Inner<T, M>, me: &Arc<M>) -> Option<usize> {
        if inner.stopping {
            return None;
        }
        let warm = inner.idle_ps.iter().position(|&p| p == me.last_p());
        let p = match warm {
            Some(at) => inner.idle_ps.remove(at),
            None => inner.idle_ps.pop()?,
        };
        inner.held += 1;
        Some(p)
    }

    /// A failed hand-over: the P is idle again, what waited there waits for anybody, and the searcher
    /// that was counted never came to be.
    pub(crate) fn give_back(&self, p: usize, spare: bool, waiting: impl IntoIterator<Item = T>) {
        let mut inner = self.lock();
        inner.injector.extend(waiting);
        inner.held -= 1;
        if spare {
            inner.spare_ps.push(p);
        } else {
            inner.idle_ps.push(p);
        }
        self.searching.fetch_sub(1, Ordering::AcqRel);
        self.publish(&inner);
    }

    /// A thread without a P added a timer: if nobody parked wakes early enough, wake one to look.
    pub(crate) fn timer_added(&self, deadline: u64) -> Wake<M> {
        let mut inner = self.lock();
        let covered = inner
            .timekeeper
            .as_ref()
            .is_some_and(|(_, kept)| *kept <= deadline);
        if covered || inner.stopping {
            return Wake::Nobody;
        }
        let wake = self.send_off(&mut inner);
        self.publish(&inner);
        wake
    }

    /// A parked M woke by itself (its deadline came, or it was unparked for nothing): off the idle
    /// list, with an idle P if there is one. `None`: it goes on sleeping, or was handed a P.
    pub(crate) fn wake_self(&self, me: &Arc<M>) -> Option<usize> {
        let mut inner = self.lock();
        if inner
            .timekeeper
            .as_ref()
            .is_some_and(|(keeper, _)| Arc::ptr_eq(keeper, me))
        {
            inner.timekeeper = None;
        }
        let at = inner.idle_ms.iter().position(|m| Arc::ptr_eq(m, me))?;
        let p = Self::take_idle_p(&mut inner, me)?;
        inner.idle_ms.remove(at);
        self.publish(&inner);
        Some(p)
    }

    /// A parked M gives up for good, if there are more than `keep`: off the idle list, and no longer
    /// counted. False: it is needed, or was handed a P meanwhile.
    pub(crate) fn retire(&self, me: &Arc<M>, keep: usize) -> bool {
        let mut inner = self.lock();
        if inner.machines <= keep {
            return false;
        }
        let Some(at) = inner.idle_ms.iter().position(|m| Arc::ptr_eq(m, me)) else {
            return false;
        };
        inner.idle_ms.remove(at);
        if inner
            .timekeeper
            .as_ref()
            .is_some_and(|(keeper, _)| Arc::ptr_eq(keeper, me))
        {
            inner.timekeeper = None;
        }
        inner.machines -= 1;
        true
    }
}
