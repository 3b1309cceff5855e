//! What ties one incarnation to others: who watches it, whom it watches, whom it is linked with,
//! and the signals that have come for it.
//!
//! ```text
//!   watcher ──watching[key]──► target          monitor: one way, one entry on each side per key
//!           ◄──watchers[key]──
//!   a ──────links[b]─────────► b               link: both ways, one entry on each side per pair
//!     ◄─────links[a]──────────
//! ```
//! - It lives in [`Life`](super::Life), boxed, and only in actors that have such ties. An
//!   incarnation takes its ties with it: the next one begins without.
//! - Both sides are written under both locks, taken in the order of their addresses, so that no end
//!   can come between "is it alive?" and the entry.
//! - An end takes all its ties under its own lock, in the same step that makes it ended, and then
//!   tells the others one by one, locking each. A signal whose entry is gone by then (demonitored,
//!   unlinked, the receiver restarted) is dropped: this is what `demonitor` and `unlink` promise.
//! - The place for a signal is made together with the entry, so telling an end never fails, never
//!   waits for room and has nothing to do with the mailbox.
//! - Between two incarnations a monitor is entered for the next one. A link has none to be made with.
//! - What a `#[down]` or `#[exit]` hook is told at once because its target is dead takes turns with
//!   messages: a hook that asks over and over would leave them none (`Control::echo`).
//! - Values that own an actor's cell are dropped after unlocking: they may be the last to own it.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use super::{
    ActorId, Down, ExitReason, Exited, Life, MonitorId, NoProc,
    life::{Killed, State},
    monitor::Slot,
};

/// An actor without its type.
pub(crate) trait Peer: Send + Sync {
    fn id(&self) -> ActorId;
    fn name(&self) -> &str;
    fn life(&self) -> &Life;
    /// Whether the exits of linked actors come as signals instead of ending it.
    fn traps(&self) -> bool;
    fn mailbox_len(&self) -> usize;
    /// Signals were queued: it looks at them before its next message.
    fn signalled(&self);
    /// Its own code asked for something about the dead, and the answer is queued.
    fn told_at_once(&self);
}

/// What comes in the control lane.
pub(crate) enum Signal {
    Down(Down),
    Exited(Exited),
}

/// Who an incarnation is, to those that outlive it.
#[derive(Clone)]
struct Identity {
    id: ActorId,
    name: Arc<str>,
    incarnation: u32,
}

enum Watcher {
    /// A future's.
    Slot(Arc<Slot>),
    /// This incarnation of an actor.
    Actor(Arc<dyn Peer>, u32),
}

struct Linked {
    peer: Arc<dyn Peer>,
    incarnation: u32,
}

/// See the file's comment.
#[derive(Default)]
pub(crate) struct Ties {
    /// Set with the first entry that will need it.
    me: Option<Identity>,
    watchers: BTreeMap<MonitorId, Watcher>,
    watching: BTreeMap<MonitorId, Arc<dyn Peer>>,
    links: BTreeMap<ActorId, Linked>,
    signals: VecDeque<Signal>,
}

impl Ties {
    pub(super) fn is_empty(&self) -> bool {
        self.watchers.is_empty()
            && self.watching.is_empty()
            && self.links.is_empty()
            && self.signals.is_empty()
    }

    pub(super) fn signals(&self) -> usize {
        self.signals.len()
    }

    /// The incarnation that they wait for begins.
    pub(super) fn begin(&mut self, incarnation: u32) {
        if let Some(me) = &mut self.me {
            me.incarnation = incarnation;
        }
    }

    pub(super) fn next_signal(&mut self) -> Option<Signal> {
        self.signals.pop_front()
    }

    fn identify(&mut self, peer: &dyn Peer, incarnation: u32) {
        self.me.get_or_insert_with(|| Identity {
            id: peer.id(),
            name: peer.name().into(),
            incarnation,
        });
    }

    /// Room for what every entry may send.
    fn make_room(&mut self) {
        self.signals.reserve(self.watching.len() + self.links.len());
    }

    /// The incarnation that had these ties has ended: tells the others.
    #[cold]
    pub(super) fn end(self, reason: &ExitReason) {
        // Nobody is to send to this one any more.
        for (key, target) in self.watching {
            let forgotten = target.life().with_ties(|ties| ties.watchers.remove(&key));
            drop(forgotten);
        }
        let Some(me) = self.me else { return };
        for (_, linked) in self.links {
            tell_exit(&linked, &me, reason);
        }
        // In the order in which they were made.
        for (key, watcher) in self.watchers {
            let down = me.down(key, reason.clone());
            match watcher {
                Watcher::Slot(slot) => slot.fill(down),
                Watcher::Actor(peer, incarnation) => tell_down(&*peer, incarnation, down),
            }
        }
    }
}

impl Identity {
    fn down(&self, monitor: MonitorId, reason: ExitReason) -> Down {
        Down {
            monitor,
            id: self.id,
            name: Arc::clone(&self.name),
            incarnation: u64::from(self.incarnation),
            reason,
        }
    }

    fn exited(&self, reason: ExitReason) -> Exited {
        Exited {
            id: self.id,
            name: Arc::clone(&self.name),
            incarnation: u64::from(self.incarnation),
            reason,
        }
    }
}

/// Runs `f` with the state of two different lives.
fn with_both<R>(a: &Life, b: &Life, f: impl FnOnce(&mut State, &mut State) -> R) -> R {
    if std::ptr::from_ref(a) < std::ptr::from_ref(b) {
        let mut a = a.lock();
        let mut b = b.lock();
        f(&mut a, &mut b)
    } else {
        let mut b = b.lock();
        let mut a = a.lock();
        f(&mut a, &mut b)
    }
}

fn unnamed(peer: &dyn Peer) -> Identity {
    Identity {
        id: peer.id(),
        name: peer.name().into(),
        incarnation: peer.life().look(State::incarnation),
    }
}

/// A monitor whose `Down` goes to a future's slot.
pub(super) fn watch_from_outside(target: &dyn Peer, key: MonitorId, slot: &Arc<Slot>) {
    let mut state = target.life().lock();
    if state.may_end() {
        let incarnation = state.incarnation();
        let ties = state.ties();
        ties.identify(target, incarnation);
        ties.watchers.insert(key, Watcher::Slot(Arc::clone(slot)));
    } else {
        drop(state);
        slot.fill(unnamed(target).down(key, ExitReason::NoProc));
    }
}

/// The future is dropped.
pub(super) fn unwatch_from_outside(target: &dyn Peer, key: MonitorId) {
    let forgotten = target.life().with_ties(|ties| ties.watchers.remove(&key));
    drop(forgotten);
}

/// A monitor of the actor `me`, whose code calls this.
pub(super) fn watch(me: &Arc<dyn Peer>, target: &Arc<dyn Peer>) -> MonitorId {
    let key = MonitorId::next();
    if me.id() == target.id() {
        // Nobody is told of its own end.
        return key;
    }
    let gone = unnamed(&**target);
    let signalled = with_both(me.life(), target.life(), |mine, its| {
        if !its.may_end() {
            let down = gone.down(key, ExitReason::NoProc);
            mine.ties().signals.push_back(Signal::Down(down));
            return true;
        }
        let (me_is, it_is) = (mine.incarnation(), its.incarnation());
        let ties = its.ties();
        ties.identify(&**target, it_is);
        let watcher = Watcher::Actor(Arc::clone(me), me_is);
        ties.watchers.insert(key, watcher);
        let ties = mine.ties();
        ties.watching.insert(key, Arc::clone(target));
        ties.make_room();
        false
    });
    if signalled {
        me.told_at_once();
    }
    key
}

/// True if the monitor was there and its `Down` will now not be seen.
pub(super) fn unwatch(me: &dyn Peer, key: MonitorId) -> bool {
    let target = me.life().with_ties(|ties| {
        let target = ties.watching.remove(&key);
        let before = ties.signals.len();
        ties.signals
            .retain(|signal| !matches!(signal, Signal::Down(down) if down.monitor == key));
        (target, ties.signals.len() < before)
    });
    let Some((target, was_queued)) = target else {
        return false;
    };
    if let Some(target) = &target {
        unwatch_from_outside(&**target, key);
    }
    was_queued || target.is_some()
}

fn tell_down(watcher: &dyn Peer, incarnation: u32, down: Down) {
    let mut state = watcher.life().lock();
    if !state.is_alive() || state.incarnation() != incarnation {
        return;
    }
    let Some(target) = state.ties().watching.remove(&down.monitor) else {
        return;
    };
    state.ties().signals.push_back(Signal::Down(down));
    drop(state);
    watcher.signalled();
    drop(target);
}

/// Links the actor `me`, whose code calls this, with another.
pub(super) fn link(me: &Arc<dyn Peer>, other: &Arc<dyn Peer>) -> Result<(), NoProc> {
    if me.id() == other.id() {
        return Ok(());
    }
    let (me_id, other_id) = (me.id(), other.id());
    let replaced = with_both(me.life(), other.life(), |mine, its| {
        if !its.is_alive() {
            return None;
        }
        let (me_is, it_is) = (mine.incarnation(), its.incarnation());
        let linked = |peer: &Arc<dyn Peer>, incarnation| Linked {
            peer: Arc::clone(peer),
            incarnation,
        };
        let ties = its.ties();
        ties.identify(&**other, it_is);
        let old = ties.links.insert(me_id, linked(me, me_is));
        ties.make_room();
        let ties = mine.ties();
        ties.identify(&**me, me_is);
        let old = (old, ties.links.insert(other_id, linked(other, it_is)));
        ties.make_room();
        Some(old)
    });
    if replaced.is_some() {
        return Ok(());
    }
    if !me.traps() {
        return Err(NoProc);
    }
    let exited = unnamed(&**other).exited(ExitReason::NoProc);
    me.life()
        .lock()
        .ties()
        .signals
        .push_back(Signal::Exited(exited));
    me.told_at_once();
    Ok(())
}

/// True if there was a link, or an exit of it that was not handled yet.
pub(super) fn unlink(me: &dyn Peer, other: &dyn Peer) -> bool {
    let id = other.id();
    if me.id() == id {
        return false;
    }
    let (mine, its, was_queued) = with_both(me.life(), other.life(), |mine, its| {
        let theirs = its
            .ties_if_any()
            .and_then(|ties| ties.links.remove(&me.id()));
        let Some(ties) = mine.ties_if_any() else {
            return (None, theirs, false);
        };
        let before = ties.signals.len();
        ties.signals
            .retain(|signal| !matches!(signal, Signal::Exited(exited) if exited.id == id));
        let was_queued = ties.signals.len() < before;
        (ties.links.remove(&id), theirs, was_queued)
    });
    drop(its);
    mine.is_some() || was_queued
}

/// The exit signal of a link: OTP's table.
fn tell_exit(to: &Linked, from: &Identity, reason: &ExitReason) {
    let mut state = to.peer.life().lock();
    if !state.is_alive() || state.incarnation() != to.incarnation {
        return;
    }
    let links = &mut state.ties().links;
    let stands = |linked: &Linked| linked.incarnation == from.incarnation;
    if !links.get(&from.id).is_some_and(stands) {
        return;
    }
    let entry = links.remove(&from.id);
    let mut killed = Killed::NotNow;
    if to.peer.traps() {
        let exited = from.exited(reason.clone());
        state.ties().signals.push_back(Signal::Exited(exited));
        drop(state);
        to.peer.signalled();
    } else {
        if *reason != ExitReason::Normal {
            killed = state.kill_as(linked_reason(&from.name, reason));
        }
        drop(state);
    }
    killed.carry_out();
    drop(entry);
}

/// Along a chain of links the first end stays the reason, as in OTP.
fn linked_reason(name: &Arc<str>, reason: &ExitReason) -> ExitReason {
    match reason {
        ExitReason::Linked { .. } => reason.clone(),
        _ => ExitReason::Linked {
            actor: name.to_string(),
            reason: Box::new(reason.clone()),
        },
    }
}
