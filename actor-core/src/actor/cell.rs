//! What stays of an actor between incarnations: mailbox, control word, life, name and id.
//!
//! Handles, the running incarnation and the supervisor's spec share it through one `Arc`. It owns
//! no buffer (the mailbox makes one when it needs one) and no name unless one was given.
//!
//! Dead for good (`bury`), in this order: close the mailbox, so that waiting senders get their
//! values back and new ones are refused; drop what is queued, so that its askers are told
//! `Stopped`, and count it as dead letters; then set the phase, so that whoever waited for it
//! finds all of that done.

use std::{
    fmt,
    sync::{
        Arc,
        // Not the shim's: loom has no statics, and a counter of names needs no model.
        atomic::{AtomicU64, Ordering as StaticOrdering},
    },
};

use super::{
    Actor, ActorId, DeadLetterReason, ExitReason, Life, Phase, StopReason, WhenUnreferenced,
    control::Control,
    life::Burial,
    overflow,
    ties::{Peer, Signal},
    work,
};
use crate::{
    chan::Mailbox,
    sched::{number_or::NumberOr, pooled::arc_of, simulated},
    shim::atomic::{AtomicU32, Ordering},
};

static LAST_ID: AtomicU64 = AtomicU64::new(0);

/// The next identity of an actor.
pub(crate) fn next_id() -> ActorId {
    if let Some(id) = simulated::next_id() {
        return ActorId::new(id);
    }
    // ORDERING: Relaxed: only uniqueness counts.
    ActorId::new(LAST_ID.fetch_add(1, StaticOrdering::Relaxed) + 1)
}

/// In this order, because the actor reads the control word before each message, and senders write the
/// mailbox's for each: at its two ends, the two never share a cache line (`sizes.rs`).
#[repr(C)]
pub(crate) struct Cell<A: Actor> {
    pub(super) control: Control,
    handles: AtomicU32,
    pub(crate) life: Life,
    /// Its id; with a name, if that is another than `A::NAME`.
    identity: NumberOr<Named>,
    pub(super) mailbox: Mailbox<A::Msg>,
}

struct Named {
    id: ActorId,
    name: Box<str>,
}

impl<A: Actor> Cell<A> {
    /// A cell whose actor has not started. `owned`: a supervisor's spec will decide its fate.
    pub(crate) fn new(name: &str, owned: bool) -> Arc<Self> {
        let id = next_id();
        arc_of(|| Self {
            mailbox: overflow::mailbox::<A>(name, id),
            control: Control::new(),
            handles: AtomicU32::new(0),
            life: Life::new(owned),
            identity: if name == A::NAME {
                NumberOr::number(id.number())
            } else {
                let name = name.into();
                NumberOr::boxed(Box::new(Named { id, name }))
            },
        })
    }

    pub(crate) fn name(&self) -> &str {
        self.identity
            .get()
            .err()
            .map_or(A::NAME, |named| &named.name)
    }

    pub(super) fn id(&self) -> ActorId {
        match self.identity.get() {
            Ok(number) => ActorId::new(number),
            Err(named) => named.id,
        }
    }

    pub(super) fn handle_made(&self) {
        // ORDERING: Relaxed: who makes a handle has one, or runs inside the actor.
        self.handles.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn handle_dropped(&self) {
        // ORDERING: AcqRel: pairs with itself: the last one's messages are all in the mailbox.
        if self.handles.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.handles_gone();
        }
    }

    /// Counts a handle made from a weak one; false when the actor is dead, or on its way there
    /// because the last handle is gone.
    pub(super) fn handle_made_from_weak(&self) -> bool {
        if self.life.look(|s| s.phase() == Phase::Dead) {
            return false;
        }
        // ORDERING: Relaxed: a first guess.
        let mut seen = self.handles.load(Ordering::Relaxed);
        loop {
            if seen == 0 && A::WHEN_UNREFERENCED == WhenUnreferenced::Stop && self.life.is_orphan()
            {
                return false;
            }
            // ORDERING: AcqRel pairs with `handle_dropped`: either that one sees our count, or we
            // see that it was the last.
            match self
                .handles
                .compare_exchange(seen, seen + 1, Ordering::AcqRel, Ordering::Relaxed)
            {
                Ok(_) => return true,
                Err(now) => seen = now,
            }
        }
    }

    #[cold]
    fn handles_gone(&self) {
        if A::WHEN_UNREFERENCED == WhenUnreferenced::Stop && self.life.is_orphan() {
            self.control.request(StopReason::HandlesGone, false);
            self.mailbox.close();
        }
    }

    /// Asks the incarnation that lives, if one does, to stop: after the queue, or `now`.
    pub(crate) fn request_stop(&self, why: StopReason, now: bool) {
        if !self.life.look(|s| s.is_alive()) {
            return;
        }
        self.control.request(why, now);
        // Outside of any lock: it wakes senders. If the actor is restarted in between, the request
        // meets the next incarnation, as if it had been made a moment later.
        self.mailbox.close();
        if now {
            self.mailbox.wake_receiver();
        }
    }

    /// Asks the incarnation that lives, if one does, to make way for the next one: after the
    /// message in work. What is queued waits for that one.
    pub(crate) fn request_restart(&self) {
        if self.life.look(|s| s.is_alive()) {
            self.control.request(StopReason::Supervisor, true);
            self.mailbox.wake_receiver();
        }
    }

    /// Refuses messages until the next incarnation begins, and drops those that are queued.
    pub(crate) fn clear_mailbox(&self) {
        self.mailbox.close();
        self.bury_beside();
        self.discard_queue();
    }

    /// Asks the incarnation that lives to stop after the queue, with this cause.
    pub(super) fn request_stop_with(&self, cause: String) {
        if self.life.set_stop_cause(cause) {
            self.request_stop(StopReason::Requested, false);
        }
    }

    /// The next signal in the control lane.
    pub(super) fn next_signal(&self) -> Option<Signal> {
        self.life.next_signal()
    }

    /// Makes ready for the next incarnation.
    pub(super) fn begin(&self) {
        self.control.clear();
        self.mailbox.reopen();
        self.life.begin();
        if self.has_kept_back() {
            self.control.mark();
        }
    }

    /// An incarnation has ended, its state is dropped.
    pub(super) fn ended(&self, reason: &ExitReason) {
        self.end_beside();
        if self.life.ended(reason) == Burial::Yours {
            self.bury();
        }
    }

    /// The supervisor leaves it down: what is queued will not be handled.
    pub(crate) fn settle(&self) {
        if self.life.settle() == Burial::Yours {
            self.bury();
        }
    }

    /// The supervisor's spec is gone.
    pub(crate) fn release(&self) {
        if self.life.release() == Burial::Yours {
            self.bury();
        }
    }

    #[cold]
    fn bury(&self) {
        self.mailbox.close();
        self.bury_beside();
        self.discard_queue();
        self.life.dead();
    }

    fn discard_queue(&self) {
        for msg in self.mailbox.drain() {
            self.dead_letter(msg, DeadLetterReason::Stopped);
        }
    }
}

impl<A: Actor> Peer for Cell<A> {
    fn id(&self) -> ActorId {
        Cell::id(self)
    }

    fn name(&self) -> &str {
        Cell::name(self)
    }

    fn life(&self) -> &Life {
        &self.life
    }

    fn traps(&self) -> bool {
        A::TRAPS_EXITS
    }

    fn mailbox_len(&self) -> usize {
        self.mailbox.len()
    }

    fn signalled(&self) {
        self.control.signal();
        self.mailbox.wake_receiver();
    }

    fn told_at_once(&self) {
        if work::is_in_signal_hook() {
            self.control.echo();
        } else {
            self.signalled();
        }
    }
}

impl<A: Actor> fmt::Debug for Cell<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.name(), self.id())
    }
}
