//! What a supervisor shares with its handles (across incarnations) and with its children (one
//! incarnation).
//!
//! - `Shared` is the address: control mailbox, name, life. Handles hold it.
//! - `Run` is one incarnation *and all its children*: the engine holds it, and so does the
//!   `ChildLink` of every child that lives. When the last of them is gone, its Drop tells the end.
//!   So a supervisor that was killed has "ended" only when its children have, although nobody is
//!   left to wait for them, and a parent never starts a second incarnation next to the remains of
//!   the first.
//! - `ChildLink` tells the engine about one start of one child. Dropped without a word (the
//!   goroutine was dropped before its end) it says `Killed`. What it holds of the run is in a
//!   `Tie`, which the engine can cut: then nobody waits for that start's end any more.

use std::sync::Arc;

use super::{handle::Command, spec::Body};
use crate::{
    actor::{ActorId, Burial, ExitReason, Life, Link, Peer, caught, next_id},
    chan::{Capacity, Mailbox, NoReply, discard_with},
    shim::{
        Mutex,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    sync::WaitGroup,
};

pub(crate) struct Shared {
    pub(super) name: Arc<str>,
    pub(super) control: Mailbox<Command>,
    pub(super) life: Life,
    pub(super) id: ActorId,
    serial: AtomicU32,
    children: AtomicU64,
}

impl Shared {
    pub(super) fn new(name: Arc<str>) -> Arc<Self> {
        Arc::new(Self {
            name,
            control: Mailbox::new(Capacity::Unbounded),
            life: Life::new(true),
            id: next_id(),
            serial: AtomicU32::new(0),
            children: AtomicU64::new(0),
        })
    }

    /// The number of a start: no exit of another start carries it.
    pub(super) fn next_serial(&self) -> u32 {
        // ORDERING: Relaxed: only uniqueness counts.
        self.serial.fetch_add(1, Ordering::Relaxed).wrapping_add(1)
    }

    /// The number of a child, larger than all before.
    pub(super) fn next_child(&self) -> u64 {
        // ORDERING: Relaxed: the one engine asks.
        self.children.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// To the engine; lost when the supervisor is gone for good.
    pub(super) fn tell(&self, command: Command) {
        let _ = self.control.try_send_from(&mut Some(command));
    }

    pub(super) fn settle(&self) {
        if self.life.settle() == Burial::Yours {
            self.bury();
        }
    }

    pub(super) fn release(&self) {
        if self.life.release() == Burial::Yours {
            self.bury();
        }
    }

    fn bury(&self) {
        self.control.close();
        discard_with(NoReply::Stopped, || {
            for command in self.control.drain() {
                // A spec in it owns user data.
                if let Err(panic) = caught(|| drop(command)) {
                    tracing::error!(
                        supervisor = &*self.name,
                        ?panic,
                        "a child spec's Drop panicked"
                    );
                }
            }
        });
        self.life.dead();
    }
}

/// Supervisors trap exits and heed none, as OTP's do with those of strangers: their children's ends
/// come another way.
impl Peer for Shared {
    fn id(&self) -> ActorId {
        self.id
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn life(&self) -> &Life {
        &self.life
    }

    fn traps(&self) -> bool {
        true
    }

    fn mailbox_len(&self) -> usize {
        self.control.len()
    }

    fn signalled(&self) {
        while self.life.next_signal().is_some() {}
    }

    fn told_at_once(&self) {
        self.signalled();
    }
}

pub(crate) struct Run {
    pub(super) shared: Arc<Shared>,
    pub(super) joined: WaitGroup,
    end: Mutex<End>,
}

struct End {
    reason: ExitReason,
    parent: Option<ChildLink>,
    /// What a supervisor without a parent is made of; its drop releases the children for good.
    keep: Option<Arc<dyn Body>>,
}

impl Run {
    pub(super) fn new(
        shared: Arc<Shared>,
        parent: Option<ChildLink>,
        keep: Option<Arc<dyn Body>>,
    ) -> Arc<Self> {
        let end = End {
            reason: ExitReason::Killed,
            parent,
            keep,
        };
        Arc::new(Self {
            shared,
            joined: WaitGroup::new(),
            end: Mutex::new(end),
        })
    }

    /// All children of the first start run.
    pub(super) fn started(&self) {
        self.shared.life.running();
        if let Some(parent) = &self.end.lock().parent {
            parent.started();
        }
    }

    /// Whether a supervisor above it decides what its end means.
    pub(super) fn has_parent(&self) -> bool {
        self.end.lock().parent.is_some()
    }

    /// Its name after those of the supervisors above it.
    fn path(&self) -> String {
        // Taken out of the lock: the run above may end where it is let go.
        let above = self.end.lock().parent.as_ref().and_then(ChildLink::run);
        match above {
            Some(above) => format!("{}/{}", above.path(), self.shared.name),
            None => self.shared.name.to_string(),
        }
    }

    /// How the engine ended; told when the children are gone as well.
    pub(super) fn ends_with(&self, reason: ExitReason) {
        self.end.lock().reason = reason;
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let (reason, parent, keep) = {
            let mut end = self.end.lock();
            let reason = std::mem::replace(&mut end.reason, ExitReason::Killed);
            (reason, end.parent.take(), end.keep.take())
        };
        // Before the end is told, so that whoever waits for it finds the children dead for good.
        if let Err(panic) = caught(|| drop(keep)) {
            tracing::error!(
                supervisor = &*self.shared.name,
                ?panic,
                "a child spec's Drop panicked"
            );
        }
        if self.shared.life.ended(&reason) == Burial::Yours {
            self.shared.bury();
        }
        if let Some(mut parent) = parent {
            parent.ended(reason);
        }
    }
}

/// What one start of a child holds of its supervisor's run.
pub(super) struct Tie {
    /// Taken when the end was told, or is not waited for any more.
    run: Mutex<Option<Arc<Run>>>,
    slot: u32,
    serial: u32,
}

impl Tie {
    /// Nobody waits for this start's end any more, and nobody is told.
    pub(super) fn cut(&self) {
        let run = self.run.lock().take();
        if let Some(run) = run {
            run.joined.done();
        }
    }
}

/// `None`: it was taken.
pub(crate) struct ChildLink(Option<Arc<Tie>>);

impl ChildLink {
    pub(super) fn new(run: &Arc<Run>, slot: u32, serial: u32) -> Self {
        run.joined.add(1);
        Self(Some(Arc::new(Tie {
            run: Mutex::new(Some(Arc::clone(run))),
            slot,
            serial,
        })))
    }

    pub(super) fn tie(&self) -> Arc<Tie> {
        Arc::clone(self.0.as_ref().expect("a link that was just made"))
    }

    fn run(&self) -> Option<Arc<Run>> {
        self.0.as_ref()?.run.lock().clone()
    }

    fn tell_end(&self, reason: ExitReason) {
        let Some(tie) = &self.0 else { return };
        let run = tie.run.lock().take();
        if let Some(run) = run {
            run.shared.tell(Command::Exited {
                slot: tie.slot,
                serial: tie.serial,
                reason,
            });
            run.joined.done();
        }
    }
}

impl Link for ChildLink {
    fn take(&mut self) -> Self {
        Self(self.0.take())
    }

    fn started(&self) {
        if let (Some(run), Some(tie)) = (self.run(), &self.0) {
            run.shared.tell(Command::Started {
                slot: tie.slot,
                serial: tie.serial,
            });
        }
    }

    fn ended(&mut self, reason: ExitReason) {
        self.tell_end(reason);
    }

    fn path(&self) -> Option<String> {
        self.run().map(|run| run.path())
    }
}

impl Drop for ChildLink {
    fn drop(&mut self) {
        self.tell_end(ExitReason::Killed);
    }
}
