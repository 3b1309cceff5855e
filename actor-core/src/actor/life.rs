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
//! - Ties (a name, a place in a group) are cut between the burial and `Dead`, so that whoever waits
//!   for the end finds them gone. None is added to a dead actor.
//! - `kill` before the goroutine's handle is known is remembered, and done when it is.

use std::{
    sync::Arc,
    task::{Context, Poll, Waker},
};

use super::ExitReason;
use crate::{
    sched::{
        AbortHandle,
        record::RecordRef,
        wait::{self, Wait, WaitKind},
    },
    shim::Mutex,
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
pub(crate) trait Tie: Send + Sync {
    /// The actor is gone for good. Called once, under no lock.
    fn cut(&self);
}

pub(crate) struct Life {
    state: Mutex<State>,
}

pub(crate) struct State {
    phase: Phase,
    /// A supervisor's spec owns it and decides what an end means.
    owned: bool,
    kill_pending: bool,
    incarnation: u32,
    abort: Option<AbortHandle>,
    /// Boxed because an idle actor usually has none of it.
    more: Option<Box<More>>,
}

#[derive(Default)]
struct More {
    last_exit: Option<ExitReason>,
    wakers: Vec<(u32, Waker)>,
    ties: Vec<(u32, Arc<dyn Tie>)>,
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

    pub(crate) fn last_exit(&self) -> ExitReason {
        let last = self.more.as_ref().and_then(|m| m.last_exit.clone());
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

    fn take_wakers(&mut self) -> Vec<(u32, Waker)> {
        self.more
            .as_mut()
            .map(|m| std::mem::take(&mut m.wakers))
            .unwrap_or_default()
    }
}

/// Tells the waiting futures and ties of all lives apart.
pub(super) fn next_key() -> u32 {
    // Not the shim's: loom has no statics.
    use std::sync::atomic::{AtomicU32, Ordering};
    static LAST: AtomicU32 = AtomicU32::new(0);
    // ORDERING: Relaxed: only uniqueness counts.
    LAST.fetch_add(1, Ordering::Relaxed)
}

fn wake_all(wakers: Vec<(u32, Waker)>) {
    for (_, waker) in wakers {
        waker.wake();
    }
}

impl Life {
    pub(crate) fn new(owned: bool) -> Self {
        Self {
            state: Mutex::new(State {
                phase: Phase::Idle,
                owned,
                kill_pending: false,
                incarnation: 0,
                abort: None,
                more: None,
            }),
        }
    }

    /// Looks at the state under the lock.
    pub(crate) fn look<R>(&self, f: impl FnOnce(&State) -> R) -> R {
        f(&self.state.lock())
    }

    /// A new incarnation is about to be spawned.
    pub(crate) fn begin(&self) {
        let mut s = self.state.lock();
        debug_assert!(!s.is_alive(), "two incarnations of one actor");
        s.phase = Phase::Starting;
        s.incarnation = s.incarnation.wrapping_add(1);
        s.kill_pending = false;
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
        let more = s
            .more
            .take_if(|more| more.last_exit.is_none() && more.ties.is_empty());
        drop(s);
        drop(more);
        wake_all(wakers);
    }

    /// This incarnation has ended and its state is dropped.
    pub(crate) fn ended(&self, reason: ExitReason) -> Burial {
        let mut s = self.state.lock();
        s.more.get_or_insert_default().last_exit = Some(reason);
        let abort = s.abort.take();
        if !s.owned {
            drop(s);
            drop(abort);
            return Burial::Yours;
        }
        s.phase = Phase::Down;
        let wakers = s.take_wakers();
        drop(s);
        drop(abort);
        wake_all(wakers);
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

    /// Ties something to this life; false, and nothing was done, when it is over.
    #[must_use]
    pub(super) fn tie(&self, key: u32, tie: Arc<dyn Tie>) -> bool {
        let mut s = self.state.lock();
        if s.phase == Phase::Dead {
            drop(s);
            return false;
        }
        s.more.get_or_insert_default().ties.push((key, tie));
        true
    }

    /// Takes a tie off again, if it is still there.
    pub(super) fn untie(&self, key: u32) {
        let mut s = self.state.lock();
        let found = s.more.as_mut().and_then(|more| {
            let at = more.ties.iter().position(|(k, _)| *k == key)?;
            Some(more.ties.swap_remove(at))
        });
        drop(s);
        drop(found);
    }

    /// Burial is done.
    pub(crate) fn dead(&self) {
        let mut s = self.state.lock();
        // Cutting takes no lock along, so that more may be tied meanwhile.
        while let Some(more) = s.more.as_mut().filter(|more| !more.ties.is_empty()) {
            let ties = std::mem::take(&mut more.ties);
            drop(s);
            for (_, tie) in ties {
                tie.cut();
            }
            s = self.state.lock();
        }
        s.phase = Phase::Dead;
        let wakers = s.take_wakers();
        drop(s);
        wake_all(wakers);
    }

    pub(crate) fn kill(&self) {
        let mut s = self.state.lock();
        let abort = s.abort.clone();
        if abort.is_none() && s.is_alive() {
            s.kill_pending = true;
        }
        drop(s);
        if let Some(abort) = abort {
            abort.abort();
        }
    }

    /// The record of the goroutine that runs it, if it has one.
    pub(crate) fn record(&self) -> RecordRef {
        let s = self.state.lock();
        s.abort
            .as_ref()
            .map_or(RecordRef::NOBODY, AbortHandle::record)
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
        let more = s.more.get_or_insert_default();
        let key = *key.get_or_insert_with(next_key);
        let mut old = None;
        match more.wakers.iter_mut().find(|(k, _)| *k == key) {
            Some((_, waker)) if wait::same(waker, cx.waker()) => {}
            Some((_, waker)) => old = Some(std::mem::replace(waker, wait::keep(cx.waker()))),
            None => more.wakers.push((key, wait::keep(cx.waker()))),
        }
        drop(s);
        drop(old);
        Poll::Pending
    }

    /// A waiting future is dropped.
    pub(crate) fn unregister(&self, key: &mut Option<u32>) {
        if key.is_some() {
            let stale = forget_waker(&mut self.state.lock(), key);
            drop(stale);
        }
    }
}

fn forget_waker(s: &mut State, key: &mut Option<u32>) -> Option<Waker> {
    let key = key.take()?;
    let more = s.more.as_mut()?;
    let at = more.wakers.iter().position(|(k, _)| *k == key)?;
    Some(more.wakers.swap_remove(at).1)
}
