//! An actor under a supervisor. Owns the actor's fate: when this is dropped, the actor is dead
//! for good, and whoever waits for it is told.

use std::sync::Arc;

use super::{
    ChildKind,
    run::ChildLink,
    spec::{Begun, Body},
};
use crate::{
    actor::{Actor, Cell, Link, StopReason, caught, spawn, spawn_named},
    shim::Mutex,
};

type MakeArgs<A> = Box<dyn FnMut() -> <A as Actor>::Args + Send>;

pub(super) struct ActorBody<A: Actor> {
    cell: Arc<Cell<A>>,
    args: Mutex<MakeArgs<A>>,
    /// What it is registered as while it lives.
    registered: Mutex<Option<Arc<str>>>,
}

impl<A: Actor> ActorBody<A> {
    pub(super) fn new(cell: Arc<Cell<A>>, args: MakeArgs<A>) -> Self {
        Self {
            cell,
            args: Mutex::new(args),
            registered: Mutex::new(None),
        }
    }

    pub(super) fn register(&self, name: Arc<str>) {
        *self.registered.lock() = Some(name);
    }
}

impl<A: Actor> Body for ActorBody<A> {
    fn start(&self, mut link: ChildLink) -> Begun {
        // The arguments are made by user code.
        match caught(|| (*self.args.lock())()) {
            Ok(args) => {
                let name = self.registered.lock().clone();
                match name {
                    Some(name) => spawn_named(&self.cell, &name, args, link),
                    None => spawn(&self.cell, args, link),
                }
            }
            Err(panic) => link.ended(panic.into()),
        }
        Begun::Starting
    }

    fn ask_stop(&self) {
        self.cell.request_stop(StopReason::Supervisor, false);
    }

    fn kill(&self) {
        self.cell.life.kill();
    }

    fn settle(&self) {
        self.cell.settle();
    }

    fn kind(&self) -> ChildKind {
        ChildKind::Actor
    }
}

impl<A: Actor> Drop for ActorBody<A> {
    fn drop(&mut self) {
        self.cell.release();
    }
}
