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
    Actor, ActorId, ExitReason, Life, Message, StopReason, caught,
    control::Control,
    dead_letters,
    life::Burial,
    ties::{Peer, Signal},
};
use crate::{
    chan::{Mailbox, NoReply, discard_with},
    shim::atomic::{AtomicU32, Ordering},
};

static LAST_ID: AtomicU64 = AtomicU64::new(0);

/// The next identity of an actor.
fn next_id() -> ActorId {
    // ORDERING: Relaxed: only uniqueness counts.
    ActorId::new(LAST_ID.fetch_add(1, StaticOrdering::Relaxed) + 1)
}

pub(crate) struct Cell<A: Actor> {
    pub(super) mailbox: Mailbox<A::Msg>,
    pub(super) control: Control,
    handles: AtomicU32,
    pub(crate) life: Life,
    id: ActorId,
    /// Only when it differs from `A::NAME`. Boxed twice to cost one word in the many without.
    name: Option<Box<GivenName>>,
}

struct GivenName(Box<str>);

impl<A: Actor> Cell<A> {
    /// A cell whose actor has not started. `owned`: a supervisor's spec will decide its fate.
    pub(crate) fn new(name: &str, owned: bool) -> Arc<Self> {
        Arc::new(Self {
            mailbox: Mailbox::new(A::MAILBOX.capacity()),
            control: Control::new(),
            handles: AtomicU32::new(0),
            life: Life::new(owned),
            id: next_id(),
            name: (name != A::NAME).then(|| Box::new(GivenName(name.into()))),
        })
    }

    pub(crate) fn name(&self) -> &str {
        self.name.as_ref().map_or(A::NAME, |n| &n.0)
    }

    pub(super) fn id(&self) -> ActorId {
        self.id
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

    #[cold]
    fn handles_gone(&self) {
        if !A::OUTLIVES_HANDLES && self.life.is_orphan() {
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
    }

    /// An incarnation has ended, its state is dropped.
    pub(super) fn ended(&self, reason: ExitReason) {
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
        discard_with(NoReply::Stopped, || {
            for msg in self.mailbox.drain() {
                dead_letters::count(self.name(), msg.name());
                // A message's Drop is user code.
                if let Err(panic) = caught(|| drop(msg)) {
                    tracing::error!(actor = self.name(), ?panic, "a message's Drop panicked");
                }
            }
        });
        self.life.dead();
    }
}

impl<A: Actor> Peer for Cell<A> {
    fn id(&self) -> ActorId {
        self.id
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
}

impl<A: Actor> fmt::Debug for Cell<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.name(), self.id)
    }
}
