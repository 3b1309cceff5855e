//! The life of an actor or supervisor across incarnations: phase, exit reason, who waits for it.
//!
//! ```text
//!            begin             running             ended
//!   Idle ───────────► Starting ───────► Running ───────────► Down ──┐ owned: the supervisor
//!                        │  ▲                       (owned)   │  ▲  │ decides to restart ..
//!                        │  └─────────────────────────────────┘  │  │
//!                        │ ended, not owned (or owner gone)       │  │ .. or that it stays down
//!                        └──────────────────────────► Dead ◄──────┴──┘   (a later begin revives)
//! ```
//! - All of it is under one lock, because nothing here is on a message's path.
//! - Exactly one caller is told to bury (close the mailbox, drain it): `ended`, `settle` and
//!   `release` decide that under the lock, and `dead` is set by that caller afterwards, so whoever
//!   waits for `Dead` finds the queue settled as well.
//! - Wakers are called after unlocking: waking may drop a task that owns a handle of this actor.
//! - Monitors and links are told in the step that ends the incarnation they belong to (`ties`): an
//!   owned one in `ended`, another in `dead`, when its queue is settled as well.
//! - What others hold on its behalf (a name, a place in a group) is let go between the burial and
//!   `Dead`, so that whoever waits for the end finds it gone. Nothing is added to a dead actor.
//! - `kill` before the goroutine's handle is known is remembered, and done when it is.

use std::{
    any::Any,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use super::{
    ExitReason, crash,
    ties::{Signal, Ties},
    work::Work,
};
use crate::{
    sched::{
        AbortHandle, Instant,
        pooled::Pooled,
        record::RecordRef,
        wait::{self, Wait, WaitKind},
    },
    shim::{Mutex, MutexGuard},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Not started yet; its mailbox already takes messages.
    Idle,
    /// Its `init` runs.
    Starting,
    /// It handles messages.
    Running,
    /// Ended, and its supervisor has not decided yet.
    Down,
    /// Ended, and nobody is about to start it again.
    Dead,
}

/// Whether the caller must now close and drain the mailbox and call [`Life::dead`].
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Burial {
    Yours,
    NotYours,
}

/// What others hold on behalf of an actor for as long as it lives: a name, a place in a group.
pub(crate) trait Hold: Send + Sync {
    /// The actor is gone for good. Called once, under no lock.
    fn let_go(&self);
}

pub(crate) struct Life {
    state: Mutex<State>,
}

pub(crate) struct State {
    phase: Phase,
    /// A supervisor's spec owns it and decides what an end means.
    owned: bool,
    kill_pending: bool,
    marks: u8,
    incarnation: u32,
    abort: Option<AbortHandle>,
    /// Apart because an idle actor usually has none of it.
    apart: Option<Pooled<Apart>>,
}

// The marks: two in a byte, since one byte is left.
/// Its last incarnation ended with `Normal`, which is not in `more` then.
const ENDED_NORMALLY: u8 = 1;
/// The watcher of handlers that wait knows this incarnation.
const WATCHED: u8 = 2;

/// Who waits for a change, and what else an idle actor has not. In two parts, because a start needs the
/// first only.
#[derive(Default)]
struct Apart {
    wakers: Wakers,
    more: Option<Pooled<More>>,
}

impl Apart {
    /// Nothing in it that a running actor needs.
    fn is_idle(&self) -> bool {
        let Self { wakers, more } = self;
        wakers.first.is_none() && more.as_ref().is_none_or(|more| more.is_idle())
    }
}

#[derive(Default)]
struct More {
    last_exit: Option<ExitReason>,
    ties: Option<Box<Ties>>,
    /// What others hold on behalf of the actor: see [`Hold`].
    holds: Vec<(u32, Arc<dyn Hold>)>,
    /// How this incarnation is to have ended if its future is dropped.
    doom: Option<ExitReason>,
    stop_cause: Option<String>,
    /// When it began: always known of a restart, of a first life if crash reports are to say it.
    since: Option<Instant>,
    work: Work,
    /// A `Rare<A>`: see `rare.rs`.
    rare: Option<Box<dyn Any + Send>>,
}

impl More {
    fn is_idle(&self) -> bool {
        let Self {
            last_exit,
            ties,
            holds,
            doom,
            stop_cause,
            since,
            work,
            rare,
        } = self;
        since.is_none()
            && last_exit.is_none()
            && doom.is_none()
            && stop_cause.is_none()
            && rare.is_none()
            && ties.as_ref().is_none_or(|ties| ties.is_empty())
            && holds.is_empty()
            && work.is_idle()
    }
}

/// Those who wait for a change, with their keys. Mostly it is one: for the start.
#[derive(Default)]
struct Wakers {
    first: Option<(u32, Waker)>,
    /// Only behind a first one.
    others: Vec<(u32, Waker)>,
}

impl Wakers {
    fn find(&mut self, key: u32) -> Option<&mut Waker> {
        let mut all = self.first.iter_mut().chain(&mut self.others);
        all.find(|(k, _)| *k == key).map(|(_, waker)| waker)
    }

    fn add(&mut self, key: u32, waker: Waker) {
        if self.first.is_none() {
            self.first = Some((key, waker));
        } else {
            self.others.push((key, waker));
        }
    }

    fn remove(&mut self, key: u32) -> Option<Waker> {
        if self.first.as_ref().is_some_and(|(k, _)| *k == key) {
            let next = self.others.pop();
            return std::mem::replace(&mut self.first, next).map(|(_, waker)| waker);
        }
        let at = self.others.iter().position(|(k, _)| *k == key)?;
        Some(self.others.swap_remove(at).1)
    }

    fn wake(self) {
        for (_, waker) in self.first.into_iter().chain(self.others) {
            waker.wake();
        }
    }
}

/// What is left to do, after unlocking, to end an incarnation where it is.
#[must_use]
pub(crate) enum Killed {
    /// Nothing: it has ended, or ends when it is spawned.
    NotNow,
    Abort(AbortHandle),
}

impl Killed {
    pub(super) fn carry_out(self) {
        if let Self::Abort(abort) = self {
            abort.abort();
        }
    }
}

impl State {
    pub(crate) fn phase(&self) -> Phase {
        self.phase
    }

    pub(crate) fn incarnation(&self) -> u32 {
        self.incarnation
    }

    pub(crate) fn is_alive(&self) -> bool {
        matches!(self.phase, Phase::Starting | Phase::Running)
    }

    /// Does one incarnation live, or is its supervisor to decide about the next one?
    pub(super) fn may_end(&self) -> bool {
        self.is_alive() || self.phase == Phase::Down
    }

    pub(crate) fn last_exit(&self) -> ExitReason {
        if self.marks & ENDED_NORMALLY != 0 {
            return ExitReason::Normal;
        }
        let last = self.more_if_any().and_then(|m| m.last_exit.clone());
        // Dead without an end: its supervisor never came to start it.
        last.unwrap_or(ExitReason::Shutdown)
    }

    /// How it ended, once that incarnation has; `None` means for good.
    pub(crate) fn exit_of(&self, incarnation: Option<u32>) -> Option<ExitReason> {
        let over = match incarnation {
            Some(n) => self.incarnation != n || !self.is_alive(),
            None => self.phase == Phase::Dead,
        };
        over.then(|| self.last_exit())
    }

    pub(super) fn ties(&mut self) -> &mut Ties {
        self.more().ties.get_or_insert_default()
    }

    pub(super) fn ties_if_any(&mut self) -> Option<&mut Ties> {
        self.more_if_any_mut()?.ties.as_deref_mut()
    }

    pub(super) fn work_if_any(&mut self) -> Option<&mut Work> {
        self.more_if_any_mut().map(|more| &mut more.work)
    }

    fn take_ties(&mut self) -> Option<Box<Ties>> {
        self.more_if_any_mut()?.ties.take()
    }

    /// Made if need be.
    fn more(&mut self) -> &mut More {
        let apart = self.apart.get_or_insert_default();
        apart.more.get_or_insert_default()
    }

    fn more_if_any(&self) -> Option<&More> {
        self.apart.as_ref()?.more.as_deref()
    }

    fn more_if_any_mut(&mut self) -> Option<&mut More> {
        self.apart.as_mut()?.more.as_deref_mut()
    }

    /// What is apart if it is not needed any longer; to be dropped after unlocking.
    #[must_use = "drop it after unlocking"]
    fn take_idle_apart(&mut self) -> Option<Pooled<Apart>> {
        self.apart.take_if(|apart| apart.is_idle())
    }

    /// Ends the incarnation that lives, with this reason unless another came first.
    pub(super) fn kill_as(&mut self, reason: ExitReason) -> Killed {
        if !self.is_alive() {
            return Killed::NotNow;
        }
        self.more().doom.get_or_insert(reason);
        match &self.abort {
            Some(abort) => Killed::Abort(abort.clone()),
            None => {
                self.kill_pending = true;
                Killed::NotNow
            }
        }
    }

    fn take_wakers(&mut self) -> Wakers {
        self.apart
            .as_mut()
            .map(|m| std::mem::take(&mut m.wakers))
            .unwrap_or_default()
    }
}

/// Tells the waiting futures and holds of all lives apart.
pub(super) fn next_key() -> u32 {
    // Not the shim's: loom has no statics.
    use std::sync::atomic::{AtomicU32, Ordering};
    static LAST: AtomicU32 = AtomicU32::new(0);
    // ORDERING: Relaxed: only uniqueness counts.
    LAST.fetch_add(1, Ordering::Relaxed)
}

impl Life {
    pub(crate) fn new(owned: bool) -> Self {
        Self {
            state: Mutex::new(State {
                phase: Phase::Idle,
                owned,
                kill_pending: false,
                marks: 0,
                incarnation: 0,
                abort: None,
                apart: None,
            }),
        }
    }

    /// Looks at the state under the lock.
    pub(crate) fn look<R>(&self, f: impl FnOnce(&State) -> R) -> R {
        f(&self.state.lock())
    }

    /// Looks at the place of what few actors have, under the lock.
    pub(super) fn with_rare<R>(&self, f: impl FnOnce(&mut Option<Box<dyn Any + Send>>) -> R) -> R {
        let mut s = self.state.lock();
        match s.more_if_any_mut() {
            Some(more) => f(&mut more.rare),
            None => {
                let mut rare = None;
                let result = f(&mut rare);
                if rare.is_some() {
                    s.more().rare = rare;
                }
                result
            }
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Looks at the ties, if there are any.
    pub(super) fn with_ties<R>(&self, f: impl FnOnce(&mut Ties) -> R) -> Option<R> {
        self.state.lock().ties_if_any().map(f)
    }

    /// Looks at the work, which is made if need be.
    pub(super) fn with_work<R>(&self, f: impl FnOnce(&mut Work) -> R) -> R {
        f(&mut self.state.lock().more().work)
    }

    /// As `with_work`, if there is any; and if there is none afterwards, no memory is left to it.
    pub(super) fn end_work(&self, f: impl FnOnce(&mut Work)) {
        let mut s = self.state.lock();
        s.work_if_any().map(f);
        let idle = s.take_idle_apart();
        drop(s);
        drop(idle);
    }

    /// Whether there is a phase of concurrent handlers.
    pub(super) fn is_shared(&self) -> bool {
        let mut s = self.state.lock();
        s.work_if_any().is_some_and(|work| work.board.is_some())
    }

    /// Whether the watcher of handlers that wait knows this incarnation; from now on it does.
    pub(super) fn watch(&self) -> bool {
        let mut s = self.state.lock();
        let known = s.marks & WATCHED != 0;
        s.marks |= WATCHED;
        known
    }

    /// The handler that waits, or an empty name.
    pub(super) fn waiting_handler(&self) -> &'static str {
        let mut s = self.state.lock();
        let now = s.work_if_any().and_then(|work| work.now);
        now.map_or("", |now| now.handler)
    }

    /// How long this incarnation has lived, if that is known.
    pub(super) fn uptime(&self) -> Option<Duration> {
        let since = self.look(|s| s.more_if_any().and_then(|more| more.since));
        since.map(Instant::elapsed)
    }

    /// How many signals have come.
    pub(super) fn signals(&self) -> usize {
        self.with_ties(|ties| ties.signals()).unwrap_or_default()
    }

    pub(crate) fn next_signal(&self) -> Option<Signal> {
        self.with_ties(Ties::next_signal).flatten()
    }

    /// False if nobody lives who could stop. The first cause stays.
    pub(super) fn set_stop_cause(&self, cause: String) -> bool {
        let mut s = self.state.lock();
        let alive = s.is_alive();
        if alive {
            s.more().stop_cause.get_or_insert(cause);
        }
        alive
    }

    pub(super) fn stop_cause(&self) -> Option<String> {
        self.look(|s| s.more_if_any().and_then(|more| more.stop_cause.clone()))
    }

    /// How the former incarnation ended, for one that is not the first.
    pub(super) fn former_exit(&self) -> Option<ExitReason> {
        self.look(|s| (s.incarnation > 1).then(|| s.last_exit()))
    }

    /// How this incarnation ends if its future is dropped.
    pub(super) fn doom(&self) -> ExitReason {
        let doom = self.look(|s| s.more_if_any().and_then(|more| more.doom.clone()));
        doom.unwrap_or(ExitReason::Killed)
    }

    /// A new incarnation is about to be spawned.
    pub(crate) fn begin(&self) {
        let mut s = self.state.lock();
        debug_assert!(!s.is_alive(), "two incarnations of one actor");
        s.phase = Phase::Starting;
        s.incarnation = s.incarnation.wrapping_add(1);
        s.kill_pending = false;
        let incarnation = s.incarnation;
        if let Some(more) = s.more_if_any_mut() {
            more.doom = None;
            more.stop_cause = None;
            if let Some(ties) = &mut more.ties {
                ties.begin(incarnation);
            }
        }
        if s.incarnation > 1 || s.more_if_any().is_some() || crash::is_enabled() {
            s.more().since = Some(Instant::now());
        }
    }

    /// It was spawned: this is how to kill it.
    pub(crate) fn spawned(&self, abort: AbortHandle) {
        let mut s = self.state.lock();
        if s.kill_pending {
            drop(s);
            abort.abort();
        } else if s.is_alive() {
            s.abort = Some(abort);
        }
    }

    /// Its init returned Ok.
    pub(crate) fn running(&self) {
        let mut s = self.state.lock();
        if s.phase == Phase::Starting {
            s.phase = Phase::Running;
        }
        let wakers = s.take_wakers();
        // Only the wait for the start made it, as a rule: an idle actor is to be small.
        let idle = s.take_idle_apart();
        drop(s);
        drop(idle);
        wakers.wake();
    }

    /// This incarnation has ended and its state is dropped.
    pub(crate) fn ended(&self, reason: &ExitReason) -> Burial {
        let mut s = self.state.lock();
        if matches!(reason, ExitReason::Normal) {
            s.marks = ENDED_NORMALLY;
        } else {
            s.marks = 0;
            s.more().last_exit = Some(reason.clone());
        }
        // Its waker would keep the goroutine's memory.
        let work = s.work_if_any().map(std::mem::take);
        let abort = s.abort.take();
        if !s.owned {
            drop(s);
            drop((abort, work));
            return Burial::Yours;
        }
        s.phase = Phase::Down;
        let wakers = s.take_wakers();
        let ties = s.take_ties();
        #[cfg(feature = "planted")]
        if crate::planted::is(crate::planted::Bug::RegistryRace) {
            let holds = s
                .more_if_any_mut()
                .map(|more| std::mem::take(&mut more.holds));
            drop(s);
            for (_, held) in holds.unwrap_or_default() {
                held.let_go();
            }
            s = self.state.lock();
        }
        drop(s);
        drop((abort, work));
        if let Some(ties) = ties {
            ties.end(reason);
        }
        wakers.wake();
        Burial::NotYours
    }

    /// The supervisor decided that it stays down.
    pub(crate) fn settle(&self) -> Burial {
        let s = self.state.lock();
        if matches!(s.phase, Phase::Idle | Phase::Down) {
            Burial::Yours
        } else {
            Burial::NotYours
        }
    }

    /// The owner is gone: whoever sees the end buries.
    pub(crate) fn release(&self) -> Burial {
        let mut s = self.state.lock();
        s.owned = false;
        if matches!(s.phase, Phase::Idle | Phase::Down) {
            Burial::Yours
        } else {
            Burial::NotYours
        }
    }

    /// Somebody holds something on behalf of this life; false, and nothing was done, when it is over.
    #[must_use]
    pub(super) fn hold(&self, key: u32, held: Arc<dyn Hold>) -> bool {
        let mut s = self.state.lock();
        if s.phase == Phase::Dead {
            drop(s);
            return false;
        }
        s.more().holds.push((key, held));
        true
    }

    /// Takes it off again, if it is still there.
    pub(super) fn unhold(&self, key: u32) {
        let mut s = self.state.lock();
        let found = s.more_if_any_mut().and_then(|more| {
            let at = more.holds.iter().position(|(k, _)| *k == key)?;
            Some(more.holds.swap_remove(at))
        });
        drop(s);
        drop(found);
    }

    /// Burial is done.
    pub(crate) fn dead(&self) {
        let mut s = self.state.lock();
        // Letting go takes no lock along, so that more may come meanwhile.
        while let Some(more) = s.more_if_any_mut().filter(|more| !more.holds.is_empty()) {
            let holds = std::mem::take(&mut more.holds);
            drop(s);
            for (_, held) in holds {
                held.let_go();
            }
            s = self.state.lock();
        }
        // What was tied to a next incarnation is told that there is none.
        let reason = if s.is_alive() {
            s.last_exit()
        } else {
            ExitReason::NoProc
        };
        s.phase = Phase::Dead;
        let wakers = s.take_wakers();
        let ties = s.take_ties();
        drop(s);
        if let Some(ties) = ties {
            ties.end(&reason);
        }
        wakers.wake();
    }

    pub(crate) fn kill(&self) {
        let killed = self.state.lock().kill_as(ExitReason::Killed);
        killed.carry_out();
    }

    /// The records of the goroutines that run its handlers: one, or those that share the state (of
    /// these, who waits: another one is in no cycle).
    pub(crate) fn records(&self) -> Vec<RecordRef> {
        let mut s = self.state.lock();
        let beside = s.work_if_any().and_then(|work| work.beside_records());
        beside.unwrap_or_else(|| s.abort.iter().map(AbortHandle::record).collect())
    }

    /// Is it alive without an owner: the case in which losing the last handle stops it?
    pub(crate) fn is_orphan(&self) -> bool {
        let s = self.state.lock();
        !s.owned && s.is_alive()
    }

    /// Ready when `done` finds what it looks for; otherwise registers under `key`.
    pub(crate) fn poll_until<R>(
        &self,
        key: &mut Option<u32>,
        cx: &mut Context<'_>,
        done: impl FnOnce(&State) -> Option<R>,
    ) -> Poll<R> {
        let mut s = self.state.lock();
        if let Some(found) = done(&s) {
            let stale = forget_waker(&mut s, key);
            drop(s);
            drop(stale);
            return Poll::Ready(found);
        }
        Wait::of(WaitKind::Lifecycle).note(cx.waker());
        let wakers = &mut s.apart.get_or_insert_default().wakers;
        let key = *key.get_or_insert_with(next_key);
        let mut old = None;
        match wakers.find(key) {
            Some(waker) if wait::same(waker, cx.waker()) => {}
            Some(waker) => old = Some(std::mem::replace(waker, wait::keep(cx.waker()))),
            None => wakers.add(key, wait::keep(cx.waker())),
        }
        drop(s);
        drop(old);
        Poll::Pending
    }

    /// A waiting future is dropped.
    pub(crate) fn unregister(&self, key: &mut Option<u32>) {
        if key.is_some() {
            let mut s = self.state.lock();
            let stale = forget_waker(&mut s, key);
            let idle = s.take_idle_apart();
            drop(s);
            drop((stale, idle));
        }
    }
}

fn forget_waker(s: &mut State, key: &mut Option<u32>) -> Option<Waker> {
    let key = key.take()?;
    let apart = s.apart.as_mut()?;
    apart.wakers.remove(key)
}
