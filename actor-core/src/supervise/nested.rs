//! The goroutine of a supervisor, alone or under another one.

use std::{sync::Arc, time::Duration};

use super::{
    ChildKind,
    engine::Engine,
    handle::Command,
    run::{ChildLink, Run, Shared},
    spec::{Begun, Body, ChildSpec},
};
use crate::{
    actor::{Caught, StopReason},
    sched::go,
};

/// What a supervisor is made of; each incarnation starts with these children. Owns their fate and
/// its own: when this is dropped, they are dead for good.
pub(super) struct SupervisorBody {
    pub(super) children: Vec<ChildSpec>,
    pub(super) restarts_max: u32,
    pub(super) window: Duration,
    /// Declared last: the children are released before the supervisor says it is dead.
    pub(super) address: Address,
}

/// Ownership of a supervisor's address: dropped, the supervisor is dead for good.
pub(super) struct Address(pub(super) Arc<Shared>);

impl Drop for Address {
    fn drop(&mut self) {
        self.0.release();
    }
}

impl SupervisorBody {
    pub(super) fn spawn(&self, parent: Option<ChildLink>, keep: Option<Arc<dyn Body>>) {
        let shared = &self.address.0;
        shared.control.reopen();
        shared.life.begin();
        let run = Run::new(Arc::clone(shared), parent, keep);
        let children = self.children.iter().map(ChildSpec::share).collect();
        let (restarts_max, window) = (self.restarts_max, self.window);
        let goroutine = go(live(Seed {
            restarts_max,
            window,
            children,
            run,
        }));
        shared.life.spawned(goroutine.abort_handle());
    }
}

/// A goroutine that is dropped before it was first polled drops these in this order.
struct Seed {
    restarts_max: u32,
    window: Duration,
    children: Vec<ChildSpec>,
    run: Arc<Run>,
}

async fn live(seed: Seed) {
    // The run is declared first, and so dropped last: the engine's Drop has killed what runs.
    let Seed {
        run,
        restarts_max,
        window,
        children,
    } = seed;
    let mut engine = Engine::new(&run, restarts_max, window);
    let reason = match Caught::new(engine.live(children)).await {
        Ok(reason) => reason,
        Err(panic) => panic.into(),
    };
    run.ends_with(reason);
}

impl Body for SupervisorBody {
    fn start(&self, link: ChildLink) -> Begun {
        self.spawn(Some(link), None);
        Begun::Starting
    }

    fn ask_stop(&self) {
        let shared = &self.address.0;
        let incarnation = shared.life.look(|s| s.incarnation());
        shared.tell(Command::Stop {
            why: StopReason::Supervisor,
            incarnation,
        });
    }

    fn kill(&self) {
        self.address.0.life.kill();
    }

    fn settle(&self) {
        for child in &self.children {
            child.body.settle();
        }
        self.address.0.settle();
    }

    fn kind(&self) -> ChildKind {
        ChildKind::Supervisor
    }
}
