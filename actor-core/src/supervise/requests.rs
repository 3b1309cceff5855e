//! The requests of a running supervisor's users: OTP's table of results, see `SupervisorRef`.
//!
//! None of them counts against the intensity.

use super::{
    ChildCounts, ChildError, ChildInfo, ChildKey, ChildKind, ChildName, ChildSpec, ChildState,
    Restart, Strategy, SupervisionEvent,
    config::misconfigured,
    engine::{Engine, Started},
    handle::Command,
    info::{Found, Listing},
};
use crate::{
    actor::{ExitReason, StartError},
    sched::Instant,
};

impl Engine<'_> {
    pub(super) async fn on_request(&mut self, request: Command) {
        match request {
            Command::StartChild { spec, reply } => {
                let done = self.start_child(spec).await;
                reply.send(done);
            }
            Command::RestartChild { child, reply } => {
                let done = self.restart_child(&child).await;
                reply.send(done);
            }
            Command::TerminateChild { child, reply } => {
                let done = self.terminate_child(&child).await;
                reply.send(done);
            }
            Command::DeleteChild { child, reply } => {
                let done = self.delete_child(&child);
                reply.send(done);
            }
            question => {
                let rest = self.answer(question);
                debug_assert!(rest.is_none(), "no request");
            }
        }
    }

    /// Answers what is only a question; anything else comes back.
    pub(super) fn answer(&mut self, command: Command) -> Option<Command> {
        match command {
            Command::WhichChildren { reply } => reply.send(self.listing()),
            Command::WhichChild { child, reply } => {
                let found = self.find(&child).and_then(|found| found.present(&child));
                reply.send(found.map(|slot| self.info(slot, Instant::now())));
            }
            Command::CountChildren { reply } => reply.send(self.count_children()),
            other => return Some(other),
        }
        None
    }

    fn find(&self, child: &ChildName) -> Result<Found, ChildError> {
        match child {
            ChildName::Id(_) if self.config.strategy == Strategy::Dynamic => {
                Err(ChildError::Dynamic)
            }
            ChildName::Id(id) => {
                let slot = self.table.find(id);
                slot.map(Found::At)
                    .ok_or_else(|| ChildError::not_found(child))
            }
            ChildName::Key(key) if key.supervisor != self.run.shared.id => {
                Err(ChildError::not_found(child))
            }
            ChildName::Key(key) if self.table.is_at(key.slot, key.number) => {
                Ok(Found::At(key.slot))
            }
            ChildName::Key(_) => Ok(Found::Gone),
        }
    }

    /// The child in a supervisor whose children outlive their ends.
    fn find_kept(&self, child: &ChildName) -> Result<u32, ChildError> {
        if self.config.strategy == Strategy::Dynamic {
            return Err(ChildError::Dynamic);
        }
        self.find(child)?.present(child)
    }

    async fn start_child(&mut self, spec: ChildSpec) -> Result<ChildKey, ChildError> {
        if let Some(slot) = self.table.find(&spec.id) {
            return Err(match self.table.at(slot).stage.state() {
                ChildState::Running => ChildError::AlreadyStarted {
                    child: Box::new(self.info(slot, Instant::now())),
                },
                ChildState::Stopped | ChildState::Restarting => ChildError::AlreadyPresent {
                    id: spec.id.to_string(),
                },
            });
        }
        if let Some(max) = self.config.children_max
            && self.table.len() >= max
        {
            return Err(ChildError::MaxChildren { max });
        }
        let refused = |id: &str, why: ExitReason| ChildError::StartFailed(StartError::new(id, why));
        let checked = self.config.check_child(&spec).map_err(misconfigured);
        if let Err(reason) = checked.and_then(|()| spec.body.check()) {
            return Err(refused(&spec.id, reason));
        }
        let number = self.run.shared.next_child();
        let slot = self.table.add(spec, number);
        match self.start(slot).await {
            Ok(Started::Running) => {
                self.tell_of(slot, |child| SupervisionEvent::Started { child });
                Ok(ChildKey {
                    supervisor: self.run.shared.id,
                    slot,
                    number,
                })
            }
            Ok(Started::Ignored) => {
                self.leave_out(slot);
                Err(ChildError::Ignored)
            }
            Err(reason) => {
                let entry = self.table.remove(slot).expect("it was just added");
                Err(refused(&entry.spec.id, reason))
            }
        }
    }

    async fn restart_child(&mut self, child: &ChildName) -> Result<(), ChildError> {
        let slot = self.find_kept(child)?;
        let entry = self.table.at(slot);
        let id = || entry.spec.id.to_string();
        match entry.stage.state() {
            ChildState::Running => Err(ChildError::Running { id: id() }),
            ChildState::Restarting => Err(ChildError::Restarting { id: id() }),
            ChildState::Stopped => {
                entry.backoff_step = 0;
                if let Some(breaker) = &mut entry.breaker {
                    breaker.reset();
                }
                match self.start(slot).await {
                    Ok(Started::Running) => {
                        self.tell_of(slot, |child| SupervisionEvent::Started { child });
                        Ok(())
                    }
                    Ok(Started::Ignored) => {
                        self.leave_out(slot);
                        Err(ChildError::Ignored)
                    }
                    Err(reason) => {
                        self.settle(slot);
                        let id = &self.table.at(slot).spec.id;
                        Err(ChildError::StartFailed(StartError::new(id, reason)))
                    }
                }
            }
        }
    }

    async fn terminate_child(&mut self, child: &ChildName) -> Result<(), ChildError> {
        let Found::At(slot) = self.find(child)? else {
            return Ok(());
        };
        self.stop(slot).await;
        let temporary = self.table.at(slot).spec.restart == Restart::Temporary;
        if temporary || self.config.strategy == Strategy::Dynamic {
            self.table.remove(slot);
        }
        self.settle_the_owed();
        Ok(())
    }

    fn delete_child(&mut self, child: &ChildName) -> Result<(), ChildError> {
        let slot = self.find_kept(child)?;
        let entry = self.table.at(slot);
        let id = || entry.spec.id.to_string();
        match entry.stage.state() {
            ChildState::Running => Err(ChildError::Running { id: id() }),
            ChildState::Restarting => Err(ChildError::Restarting { id: id() }),
            ChildState::Stopped => {
                self.table.remove(slot);
                Ok(())
            }
        }
    }

    fn info(&mut self, slot: u32, now: Instant) -> ChildInfo {
        ChildInfo::of(self.table.at(slot), self.run.shared.id, slot, now)
    }

    fn listing(&mut self) -> Listing {
        let now = Instant::now();
        let order = self.table.in_order();
        let describe = |slot| {
            let address = self.table.at(slot).spec.body.supervisor().cloned();
            (self.info(slot, now), address)
        };
        Listing {
            children: order.into_iter().map(describe).collect(),
            strategy: self.config.strategy,
        }
    }

    fn count_children(&self) -> ChildCounts {
        let mut counts = ChildCounts::default();
        for entry in self.table.iter() {
            counts.specs += 1;
            counts.active += usize::from(entry.stage.state() == ChildState::Running);
            match entry.spec.body.kind() {
                ChildKind::Supervisor => counts.supervisors += 1,
                ChildKind::Actor | ChildKind::Goroutine | ChildKind::Thread => counts.workers += 1,
            }
        }
        counts
    }
}
