//! An actor under a supervisor. Owns the actor's fate: when this is dropped, the actor is dead
//! for good, and whoever waits for it is told.

use std::sync::Arc;

use super::{
    ChildKind, OnRestart,
    run::ChildLink,
    spec::{Begun, Body, Until},
};
use crate::{
    actor::{Actor, Cell, ExitReason, Link, StopReason, caught, spawn},
    shim::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

type MakeArgs<A> = Box<dyn FnMut() -> <A as Actor>::Args + Send>;

pub(super) struct ActorBody<A: Actor> {
    cell: Arc<Cell<A>>,
    args: Mutex<MakeArgs<A>>,
    /// See [`OnRestart::Clear`].
    clears: AtomicBool,
}

impl<A: Actor> ActorBody<A> {
    pub(super) fn new(cell: Arc<Cell<A>>, args: MakeArgs<A>) -> Self {
        Self {
            cell,
            args: Mutex::new(args),
            clears: AtomicBool::new(false),
        }
    }

    pub(super) fn on_restart(&self, what: OnRestart) {
        // ORDERING: Relaxed: set while the spec is built, before anybody runs it.
        self.clears
            .store(what == OnRestart::Clear, Ordering::Relaxed);
    }
}

impl<A: Actor> Body for ActorBody<A> {
    fn start(&self, mut link: ChildLink) -> Begun {
        if self.is_alive() {
            link.ended(still_alive());
            return Begun::Starting;
        }
        // The arguments are made by user code.
        match caught(|| (*self.args.lock())()) {
            Ok(args) => spawn(&self.cell, args, link),
            Err(panic) => link.ended(panic.into()),
        }
        Begun::Starting
    }

    fn ask_stop(&self, until: Until) {
        match until {
            Until::Further => self.cell.request_stop(StopReason::Supervisor, false),
            Until::Restart => self.cell.request_restart(),
        }
    }

    fn kill(&self) {
        self.cell.life.kill();
    }

    fn will_restart(&self) {
        // ORDERING: Relaxed: see `on_restart`.
        if self.clears.load(Ordering::Relaxed) {
            self.cell.clear_mailbox();
        }
    }

    fn settle(&self) {
        self.cell.settle();
    }

    fn is_alive(&self) -> bool {
        self.cell.life.look(|s| s.is_alive())
    }

    fn kind(&self) -> ChildKind {
        ChildKind::Actor
    }
}

/// Why an incarnation can't begin: see `OnStuck::Detach`.
pub(super) fn still_alive() -> ExitReason {
    ExitReason::InitFailed {
        message: "its last incarnation is stuck and has not ended yet".to_owned(),
    }
}

impl<A: Actor> Drop for ActorBody<A> {
    fn drop(&mut self) {
        self.cell.release();
    }
}
