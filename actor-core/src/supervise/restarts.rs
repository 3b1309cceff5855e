//! What the end of a child means: whether it is restarted, whom else that concerns, and when.
//!
//! 1. Its restart type says whether. If not, the siblings are left alone, and it may end the
//!    supervisor (`AutoShutdown`).
//! 2. Its circuit breaker or backoff may put the restart off: a delay that comes back as `Retry`.
//! 3. An attempt counts against the intensity, once, whoever is concerned; one too many and the
//!    supervisor gives up.
//! 4. The strategy names the group. Its running members are stopped in reverse order, then all are
//!    started in order.
//! 5. If member f can't start, f is retried (through step 2, or at once through the mailbox, so
//!    that requests are served in between) as if f had ended: one_for_all begins with all anew,
//!    rest_for_one with f. Those that were stopped and not started again are `owed` a start: it
//!    comes with f's retry. If that is called off they are left down.

use std::sync::Arc;

use super::{AutoShutdown, backoff::Backoff};
use super::{
    Restart, Strategy, SupervisionEvent,
    backoff::roll,
    breaker::Circuit,
    config::Config,
    ending::Ending,
    engine::{Engine, Started},
    handle::Command,
    info::Stage,
    spec::{ChildSpec, Until},
};
use crate::{actor::ExitReason, sched::Instant};

impl Config {
    fn backoff_of(&self, spec: &ChildSpec) -> Option<Backoff> {
        spec.backoff.or(self.backoff)
    }
}

impl Engine<'_> {
    /// A child has ended by itself. Some means that the supervisor ends.
    pub(super) async fn on_exit(&mut self, slot: u32, serial: u32) -> Option<ExitReason> {
        let entry = self.table.current(slot, serial)?;
        let reason = entry.exit.take()?;
        let again = match entry.spec.restart {
            Restart::Permanent => true,
            Restart::Transient => !reason.is_orderly(),
            Restart::Temporary => false,
        };
        let (supervisor, child) = (&*self.run.shared.name, &*entry.spec.id);
        if reason.is_orderly() && !again {
            tracing::debug!(supervisor, child, %reason, "child ended");
        } else {
            tracing::error!(supervisor, child, %reason, restart = again, "child ended");
        }
        entry.stage = Stage::Stopped;
        entry.last_exit = Some(reason.clone());
        self.tell_of(slot, |child| SupervisionEvent::Exited {
            child,
            reason,
            restart: again,
        });
        if !again {
            return self.leave_down(slot);
        }
        let entry = self.table.at(slot);
        let ran = entry.started.map(|started| started.elapsed());
        let backoff = self.config.backoff_of(&entry.spec);
        if backoff.is_some_and(|b| ran.is_some_and(|ran| b.is_over(ran))) {
            entry.backoff_step = 0;
        }
        entry.spec.body.will_restart();
        if self.put_off(slot) {
            return None;
        }
        self.attempt(slot).await
    }

    /// It ended and is not restarted.
    fn leave_down(&mut self, slot: u32) -> Option<ExitReason> {
        self.settle(slot);
        let spec = &self.table.at(slot).spec;
        let significant = spec.significant;
        if spec.restart == Restart::Temporary || self.config.strategy == Strategy::Dynamic {
            self.table.remove(slot);
        }
        let ends = significant
            && match self.config.auto_shutdown {
                AutoShutdown::Never => false,
                AutoShutdown::AnySignificant => true,
                AutoShutdown::AllSignificant => !self
                    .table
                    .iter()
                    .any(|e| e.spec.significant && e.stage != Stage::Stopped),
            };
        ends.then(|| {
            tracing::info!(
                supervisor = self.name(),
                "its significant children have ended: the supervisor shuts down"
            );
            ExitReason::Shutdown
        })
    }

    /// A restart that failed, or was put off, is due.
    pub(super) async fn on_retry(&mut self, slot: u32, serial: u32) -> Option<ExitReason> {
        let entry = self.table.current(slot, serial)?;
        match entry.stage {
            Stage::Retrying | Stage::BackingOff(_) => {}
            Stage::Broken(_) => {
                if let Some(breaker) = &mut entry.breaker {
                    breaker.half_open(Instant::now());
                }
            }
            // Called off, or done by somebody else.
            Stage::Stopped | Stage::Running | Stage::Stuck => return None,
        }
        self.attempt(slot).await
    }

    /// Puts the restart off if the child's breaker or backoff says so.
    fn put_off(&mut self, slot: u32) -> bool {
        let now = Instant::now();
        let supervisor = self.name();
        let entry = self.table.at(slot);
        let child = &*entry.spec.id;
        let opens = entry.breaker.as_mut().map(|breaker| breaker.failed(now));
        if let Some(Circuit::OpenUntil(until)) = opens {
            let cool_down = until - now;
            tracing::error!(
                supervisor,
                child,
                ?cool_down,
                "circuit broken: child stays down"
            );
            entry.stage = Stage::Broken(until);
            entry.spec.body.settle();
            self.delays.set(until, slot, entry.serial);
            self.tell_of(slot, |child| SupervisionEvent::Delayed {
                child,
                by: cool_down,
            });
            return true;
        }
        let Some(backoff) = self.config.backoff_of(&entry.spec) else {
            return false;
        };
        let delay = backoff.delay(entry.backoff_step, roll());
        tracing::info!(supervisor, child, ?delay, "child is restarted later");
        entry.backoff_step = entry.backoff_step.saturating_add(1);
        entry.stage = Stage::BackingOff(now + delay);
        self.delays.set(now + delay, slot, entry.serial);
        self.tell_of(slot, |child| SupervisionEvent::Delayed { child, by: delay });
        true
    }

    /// Restarts the child and whom that concerns. Some means that the supervisor gives up.
    async fn attempt(&mut self, slot: u32) -> Option<ExitReason> {
        let entry = self.table.at(slot);
        // As what it is seen if it can't be started.
        entry.stage = Stage::Retrying;
        if entry.breaker.is_none() && !self.intensity.allows(Instant::now()) {
            return Some(self.give_up(slot));
        }
        for slot in self.stop_group(slot).await {
            // A supervisor that is asked to stop starts no further children.
            if self.stop_requested().is_some() {
                return None;
            }
            let Ok(started) = self.start(slot).await else {
                if !self.put_off(slot) {
                    let entry = self.table.at(slot);
                    entry.stage = Stage::Retrying;
                    let serial = entry.serial;
                    self.run.shared.tell(Command::Retry { slot, serial });
                }
                return None;
            };
            if started == Started::Ignored {
                self.leave_out(slot);
                continue;
            }
            let supervisor = self.name();
            let entry = self.table.at(slot);
            entry.restarts += 1;
            tracing::info!(supervisor, child = &*entry.spec.id, "child restarted");
            let restarts = entry.restarts;
            self.tell_of(slot, |child| SupervisionEvent::Restarted {
                child,
                restarts,
            });
        }
        None
    }

    fn give_up(&mut self, slot: u32) -> ExitReason {
        let entry = self.table.at(slot);
        let last = entry.last_exit.clone().unwrap_or(ExitReason::Killed);
        let child = Arc::clone(&entry.spec.id);
        self.tell(SupervisionEvent::GaveUp {
            child: Arc::clone(&child),
            reason: last.clone(),
        });
        let reason = ExitReason::GaveUp {
            child: child.to_string(),
            reason: Box::new(last),
            restarts_max: self.intensity.restarts_max,
            window: self.intensity.window,
        };
        tracing::error!(supervisor = self.name(), %reason, "supervisor gives up");
        reason
    }

    /// Stops those who are restarted with this child; returns all to be started, in order.
    async fn stop_group(&mut self, slot: u32) -> Vec<u32> {
        let mut group = self.table.in_order();
        match self.config.strategy {
            Strategy::OneForOne | Strategy::Dynamic => return vec![slot],
            Strategy::OneForAll => {}
            Strategy::RestForOne => {
                let first = group.iter().position(|at| *at == slot);
                group.drain(..first.unwrap_or_default());
            }
        }
        let mut to_start = Vec::with_capacity(group.len());
        for &sibling in group.iter().rev() {
            if sibling == slot {
                to_start.push(slot);
                continue;
            }
            self.delays.cancel(sibling);
            self.end(&[sibling], Ending::Stop(Until::Restart)).await;
            let entry = self.table.at(sibling);
            entry.stage = Stage::Stopped;
            if entry.spec.restart == Restart::Temporary {
                entry.spec.body.settle();
                self.table.remove(sibling);
            } else {
                entry.owed = true;
                entry.spec.body.will_restart();
                to_start.push(sibling);
            }
        }
        to_start.reverse();
        to_start
    }

    /// A retry was called off: those that were to be started with it, and with no other, are left
    /// down.
    pub(super) fn settle_the_owed(&mut self) {
        if !self.config.strategy.is_group() {
            return;
        }
        let retried = self.table.iter().filter(|e| {
            matches!(
                e.stage,
                Stage::Retrying | Stage::BackingOff(_) | Stage::Broken(_)
            )
        });
        let first = retried.map(|e| e.number).min();
        let all = self.config.strategy == Strategy::OneForAll;
        for entry in self.table.iter_mut() {
            let covered = first.is_some_and(|first| all || first < entry.number);
            if entry.owed && !covered {
                entry.owed = false;
                entry.spec.body.settle();
            }
        }
    }
}
