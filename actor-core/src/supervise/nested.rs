//! The goroutine of a supervisor, alone or under another one.

use std::sync::Arc;

use super::{
    ChildKind,
    actor_body::still_alive,
    config::Config,
    engine::Engine,
    handle::Command,
    run::{ChildLink, Run, Shared},
    spec::{Begun, Body, ChildSpec, Until},
};
use crate::{
    actor::{Caught, ExitReason, Link, StopReason},
    sched::go_named,
};

/// What a supervisor is made of; each incarnation starts with these children. Owns their fate and
/// its own: when this is dropped, they are dead for good.
pub(super) struct SupervisorBody {
    pub(super) children: Vec<ChildSpec>,
    pub(super) config: Config,
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
        let config = self.config.clone();
        let live = live(Seed {
            config,
            children,
            run,
        });
        let goroutine = go_named(format!("supervisor {}", shared.name), live);
        shared.life.spawned(goroutine.abort_handle());
    }
}

/// A goroutine that is dropped before it was first polled drops these in this order.
struct Seed {
    config: Config,
    children: Vec<ChildSpec>,
    run: Arc<Run>,
}

async fn live(seed: Seed) {
    // The run is declared first, and so dropped last: the engine's Drop has killed what runs.
    let Seed {
        run,
        config,
        children,
    } = seed;
    let mut engine = Engine::new(&run, config);
    let reason = match Caught::new(engine.live(children)).await {
        Ok(reason) => reason,
        Err(panic) => panic.into(),
    };
    run.ends_with(reason);
}

impl Body for SupervisorBody {
    fn start(&self, mut link: ChildLink) -> Begun {
        if self.is_alive() {
            link.ended(still_alive());
            return Begun::Starting;
        }
        self.spawn(Some(link), None);
        Begun::Starting
    }

    fn ask_stop(&self, until: Until) {
        let shared = &self.address.0;
        let incarnation = shared.life.look(|s| s.incarnation());
        shared.tell(Command::Stop {
            why: StopReason::Supervisor,
            until,
            incarnation,
        });
    }

    fn kill(&self) {
        self.address.0.life.kill();
    }

    fn will_restart(&self) {
        for child in &self.children {
            child.body.will_restart();
        }
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

    fn is_alive(&self) -> bool {
        self.address.0.life.look(|s| s.is_alive())
    }

    fn check(&self) -> Result<(), ExitReason> {
        self.config.check(&self.address.0.name, &self.children)
    }

    fn supervisor(&self) -> Option<&Arc<Shared>> {
        Some(&self.address.0)
    }
}
