//! The supervisor's goroutine: everything that decides about children.
//!
//! One loop reads the control mailbox. While it starts or stops a child it keeps reading, so that
//! it sees that child's word; whatever else comes is set aside (`stash`) in order and served
//! afterwards. An exit that is set aside is written into the child's entry at once, so a child
//! that is to be stopped and has ended already is never waited for.
//!
//! 1. Start children in order, each after the former's init; on failure stop what runs, in
//!    reverse order.
//! 2. An exit: restart or not (`Restart`), at most as often as `Intensity` allows. A restart that
//!    fails is tried again through the mailbox (`Retry`), so that requests are served in between.
//! 3. Stop: in reverse order, each within its deadline, then killed; a child that a kill doesn't
//!    end is reported and waited for.
//!
//! Dropped before its end (killed, or a panic in here) it kills its children.

use std::{collections::VecDeque, future::Future, future::poll_fn, sync::Arc, time::Duration};

use super::{
    ChildCounts, ChildError, ChildInfo, ChildKind, ChildState, Restart,
    handle::Command,
    intensity::Intensity,
    run::{ChildLink, Run},
    spec::{Begun, ChildSpec},
    table::Table,
};
use crate::{
    actor::{ExitReason, StartError, StopReason},
    chan::MailboxReceiver,
    sched::{Instant, timeout},
};

/// A killed child that takes longer than this to end doesn't yield: it is reported.
const STUCK_AFTER: Duration = Duration::from_secs(5);

pub(super) struct Engine<'r> {
    run: &'r Arc<Run>,
    inbox: MailboxReceiver<'r, Command>,
    incarnation: u32,
    intensity: Intensity,
    table: Table,
    stash: VecDeque<Command>,
}

impl<'r> Engine<'r> {
    pub(super) fn new(run: &'r Arc<Run>, restarts_max: u32, window: Duration) -> Self {
        let incarnation = run.shared.life.look(|s| s.incarnation());
        let intensity = Intensity::new(restarts_max, window);
        let inbox = run.shared.control.receiver();
        let (table, stash) = (Table::default(), VecDeque::new());
        Self {
            run,
            inbox,
            incarnation,
            intensity,
            table,
            stash,
        }
    }

    fn name(&self) -> &'r str {
        &self.run.shared.name
    }

    /// The whole life; returns when no child is left running.
    pub(super) async fn live(&mut self, children: Vec<ChildSpec>) -> ExitReason {
        let reason = match self.start_all(children).await {
            Ok(()) => {
                self.run.started();
                self.serve().await
            }
            Err(reason) => reason,
        };
        self.stop_all().await;
        tracing::info!(supervisor = self.name(), %reason, "supervisor ended");
        reason
    }

    async fn start_all(&mut self, children: Vec<ChildSpec>) -> Result<(), ExitReason> {
        let mut slots = Vec::with_capacity(children.len());
        for spec in children {
            if self.table.find(&spec.id).is_some() {
                let message = "another child of this supervisor has the same id".to_owned();
                let reason = Box::new(ExitReason::InitFailed { message });
                return Err(ExitReason::ChildFailed {
                    child: spec.id.to_string(),
                    reason,
                });
            }
            slots.push(self.table.add(spec));
        }
        for slot in slots {
            if let Err(reason) = self.start(slot).await {
                let child = self.table.at(slot).spec.id.to_string();
                return Err(ExitReason::ChildFailed {
                    child,
                    reason: Box::new(reason),
                });
            }
            // A supervisor that is asked to stop starts no further children.
            if let Some(why) = self.stop_requested() {
                return Err(exit_when_stopped(why));
            }
        }
        Ok(())
    }

    async fn serve(&mut self) -> ExitReason {
        loop {
            let command = match self.stash.pop_front() {
                Some(command) => command,
                None => self.read().await,
            };
            let gave_up = match command {
                Command::Started { .. } => None,
                Command::Exited { slot, serial, .. } => self.on_exit(slot, serial).await,
                Command::Retry { slot, serial } => self.on_retry(slot, serial).await,
                Command::Stop { why, incarnation } if incarnation == self.incarnation => {
                    return exit_when_stopped(why);
                }
                Command::Stop { .. } => None,
                Command::StartChild { spec, reply } => {
                    let done = self.start_child(spec).await;
                    reply.send(done);
                    None
                }
                Command::RestartChild { id, reply } => {
                    let done = self.restart_child(&id).await;
                    reply.send(done);
                    None
                }
                Command::TerminateChild { id, reply } => {
                    let done = self.terminate_child(&id).await;
                    reply.send(done);
                    None
                }
                Command::DeleteChild { id, reply } => {
                    reply.send(self.delete_child(&id));
                    None
                }
                Command::WhichChildren { reply } => {
                    reply.send(self.which_children());
                    None
                }
                Command::CountChildren { reply } => {
                    reply.send(self.count_children());
                    None
                }
            };
            if let Some(reason) = gave_up {
                return reason;
            }
        }
    }

    // --- reading the control mailbox ---

    /// The next command from the mailbox; an exit is noted in its child's entry on the way.
    async fn read(&mut self) -> Command {
        let command = poll_fn(|cx| self.inbox.poll_recv(cx)).await;
        match command {
            Some(Command::Exited {
                slot,
                serial,
                reason,
            }) => {
                if let Some(entry) = self.table.current(slot, serial) {
                    entry.exit = Some(reason);
                }
                Command::Exited {
                    slot,
                    serial,
                    reason: ExitReason::Normal,
                }
            }
            Some(command) => command,
            // Closed under a live engine: nobody can reach it any more.
            None => Command::Stop {
                why: StopReason::Requested,
                incarnation: self.incarnation,
            },
        }
    }

    fn stop_requested(&self) -> Option<StopReason> {
        self.stash.iter().find_map(|c| match c {
            Command::Stop { why, incarnation } if *incarnation == self.incarnation => Some(*why),
            _ => None,
        })
    }

    /// Waits until this start of the child has ended, and takes the reason.
    async fn ended(&mut self, slot: u32) -> ExitReason {
        loop {
            let entry = self.table.at(slot);
            if let Some(reason) = entry.exit.take() {
                return reason;
            }
            let awaited = (slot, entry.serial);
            match self.read().await {
                Command::Exited { slot, serial, .. } if (slot, serial) == awaited => {}
                other => self.stash.push_back(other),
            }
        }
    }

    /// Waits until this start of the child says that it runs, or has ended.
    async fn begun(&mut self, slot: u32) -> Result<(), ExitReason> {
        loop {
            let entry = self.table.at(slot);
            if let Some(reason) = entry.exit.take() {
                return Err(reason);
            }
            let awaited = (slot, entry.serial);
            match self.read().await {
                Command::Started { slot, serial } if (slot, serial) == awaited => return Ok(()),
                Command::Exited { slot, serial, .. } if (slot, serial) == awaited => {}
                // Don't let an init that hangs hold up the stop.
                stop @ Command::Stop { incarnation, .. } if incarnation == self.incarnation => {
                    self.stash.push_back(stop);
                    self.table.at(slot).spec.body.kill();
                }
                other => self.stash.push_back(other),
            }
        }
    }

    // --- one child ---

    /// Starts the child in this slot and waits for its init.
    async fn start(&mut self, slot: u32) -> Result<(), ExitReason> {
        let serial = self.run.shared.next_serial();
        let link = ChildLink::new(self.run, slot, serial);
        let entry = self.table.at(slot);
        entry.serial = serial;
        entry.exit = None;
        // From here on a drop of the engine must kill it.
        entry.state = ChildState::Running;
        let (within, body) = (entry.spec.start_within, Arc::clone(&entry.spec.body));
        let begun = match body.start(link) {
            Begun::Running => Ok(()),
            Begun::Starting => match limited(within, self.begun(slot)).await {
                Some(begun) => begun,
                None => {
                    self.kill(slot).await;
                    let within = within.unwrap_or_default();
                    Err(ExitReason::InitFailed {
                        message: format!("not done within {within:?}"),
                    })
                }
            },
        };
        let supervisor = self.name();
        let entry = self.table.at(slot);
        match &begun {
            Ok(()) => tracing::debug!(supervisor, child = &*entry.spec.id, "child started"),
            Err(reason) => {
                entry.state = ChildState::Stopped;
                tracing::error!(supervisor, child = &*entry.spec.id, %reason, "child start failed");
            }
        }
        begun
    }

    /// Stops the child if it runs, by asking, then by force. It stays in the table, stopped.
    async fn stop(&mut self, slot: u32) {
        let entry = self.table.at(slot);
        let body = Arc::clone(&entry.spec.body);
        if entry.state == ChildState::Running {
            let (within, by_itself) = (entry.spec.stop_within, entry.exit.is_some());
            let brutal = within == Some(Duration::ZERO);
            let mut reason = None;
            if !brutal {
                if !by_itself {
                    body.ask_stop();
                }
                reason = limited(within, self.ended(slot)).await;
            }
            let forced = reason.is_none();
            let reason = match reason {
                Some(reason) => reason,
                None => self.kill(slot).await,
            };
            // A goroutine that can't be asked was dropped, which is how it stops in order.
            let asked = body.kind() == ChildKind::Goroutine && !forced && !by_itself;
            let reason = if asked && reason == ExitReason::Killed {
                ExitReason::Shutdown
            } else {
                reason
            };
            let supervisor = self.name();
            let child = &*self.table.at(slot).spec.id;
            if reason.is_orderly() || (brutal && reason == ExitReason::Killed) {
                tracing::debug!(supervisor, child, %reason, "child stopped");
            } else {
                tracing::error!(supervisor, child, %reason, ?within, "child did not stop in order");
            }
        }
        self.table.at(slot).state = ChildState::Stopped;
        body.settle();
    }

    async fn kill(&mut self, slot: u32) -> ExitReason {
        self.table.at(slot).spec.body.kill();
        if let Some(reason) = limited(Some(STUCK_AFTER), self.ended(slot)).await {
            return reason;
        }
        let id = Arc::clone(&self.table.at(slot).spec.id);
        tracing::error!(
            supervisor = self.name(),
            child = &*id,
            "child is stuck: it was killed {STUCK_AFTER:?} ago and does not yield"
        );
        self.ended(slot).await
    }

    /// Last started, first stopped; then waits until their goroutines have let go.
    async fn stop_all(&mut self) {
        for slot in self.table.in_order().into_iter().rev() {
            self.stop(slot).await;
        }
        self.run.joined.wait().await;
    }

    // --- exits and restarts; Some means: give up ---

    async fn on_exit(&mut self, slot: u32, serial: u32) -> Option<ExitReason> {
        let entry = self.table.current(slot, serial)?;
        let reason = entry.exit.take()?;
        let again = match entry.spec.restart {
            Restart::Permanent => true,
            Restart::Transient => !reason.is_orderly(),
            Restart::Temporary => false,
        };
        let temporary = entry.spec.restart == Restart::Temporary;
        let (supervisor, child) = (&*self.run.shared.name, Arc::clone(&entry.spec.id));
        if reason.is_orderly() && !again {
            tracing::debug!(supervisor, child = &*child, %reason, "child ended");
        } else {
            tracing::error!(supervisor, child = &*child, %reason, restart = again, "child ended");
        }
        if again {
            return self.restart(slot, reason).await;
        }
        entry.state = ChildState::Stopped;
        entry.spec.body.settle();
        if temporary {
            self.table.remove(slot);
        }
        None
    }

    async fn on_retry(&mut self, slot: u32, serial: u32) -> Option<ExitReason> {
        let entry = self.table.current(slot, serial)?;
        if entry.state != ChildState::Restarting {
            return None;
        }
        let reason = entry.exit.take().unwrap_or(ExitReason::Killed);
        self.restart(slot, reason).await
    }

    async fn restart(&mut self, slot: u32, last: ExitReason) -> Option<ExitReason> {
        self.table.at(slot).state = ChildState::Restarting;
        if !self.intensity.allows(Instant::now()) {
            let reason = ExitReason::GaveUp {
                child: self.table.at(slot).spec.id.to_string(),
                reason: Box::new(last),
                restarts_max: self.intensity.restarts_max,
                window: self.intensity.window,
            };
            tracing::error!(supervisor = self.name(), %reason, "supervisor gives up");
            return Some(reason);
        }
        if let Err(reason) = self.start(slot).await {
            let entry = self.table.at(slot);
            entry.state = ChildState::Restarting;
            // Kept for the report if the retry is one too many.
            entry.exit = Some(reason);
            let serial = entry.serial;
            self.run.shared.tell(Command::Retry { slot, serial });
        } else {
            let child = Arc::clone(&self.table.at(slot).spec.id);
            tracing::info!(supervisor = self.name(), child = &*child, "child restarted");
        }
        None
    }

    // --- requests ---

    async fn start_child(&mut self, spec: ChildSpec) -> Result<(), ChildError> {
        if let Some(slot) = self.table.find(&spec.id) {
            return Err(match self.table.at(slot).state {
                ChildState::Running => ChildError::AlreadyStarted,
                ChildState::Stopped | ChildState::Restarting => ChildError::AlreadyPresent,
            });
        }
        let slot = self.table.add(spec);
        match self.start(slot).await {
            Ok(()) => Ok(()),
            Err(reason) => {
                let entry = self.table.remove(slot).expect("it was just added");
                Err(ChildError::StartFailed(StartError::new(
                    &entry.spec.id,
                    reason,
                )))
            }
        }
    }

    async fn restart_child(&mut self, id: &str) -> Result<(), ChildError> {
        let slot = self.table.find(id).ok_or(ChildError::NotFound)?;
        match self.table.at(slot).state {
            ChildState::Running => Err(ChildError::Running),
            ChildState::Restarting => Err(ChildError::Restarting),
            ChildState::Stopped => self.start(slot).await.map_err(|reason| {
                self.table.at(slot).spec.body.settle();
                ChildError::StartFailed(StartError::new(id, reason))
            }),
        }
    }

    async fn terminate_child(&mut self, id: &str) -> Result<(), ChildError> {
        let slot = self.table.find(id).ok_or(ChildError::NotFound)?;
        self.stop(slot).await;
        if self.table.at(slot).spec.restart == Restart::Temporary {
            self.table.remove(slot);
        }
        Ok(())
    }

    fn delete_child(&mut self, id: &str) -> Result<(), ChildError> {
        let slot = self.table.find(id).ok_or(ChildError::NotFound)?;
        match self.table.at(slot).state {
            ChildState::Running => Err(ChildError::Running),
            ChildState::Restarting => Err(ChildError::Restarting),
            ChildState::Stopped => {
                self.table.remove(slot);
                Ok(())
            }
        }
    }

    fn which_children(&mut self) -> Vec<ChildInfo> {
        let order = self.table.in_order();
        order
            .into_iter()
            .map(|slot| ChildInfo::of(self.table.at(slot)))
            .collect()
    }

    fn count_children(&self) -> ChildCounts {
        let mut counts = ChildCounts::default();
        for entry in self.table.iter() {
            counts.specs += 1;
            counts.active += usize::from(entry.state == ChildState::Running);
            match entry.spec.body.kind() {
                ChildKind::Supervisor => counts.supervisors += 1,
                ChildKind::Actor | ChildKind::Goroutine => counts.workers += 1,
            }
        }
        counts
    }
}

impl Drop for Engine<'_> {
    fn drop(&mut self) {
        for entry in self.table.iter() {
            if entry.state == ChildState::Running && entry.exit.is_none() {
                entry.spec.body.kill();
            }
        }
    }
}

fn exit_when_stopped(why: StopReason) -> ExitReason {
    match why {
        StopReason::Supervisor => ExitReason::Shutdown,
        StopReason::Requested | StopReason::HandlesGone => ExitReason::Normal,
    }
}

/// `future` within `limit`, if there is one; `None` when the time is over.
async fn limited<F: Future>(limit: Option<Duration>, future: F) -> Option<F::Output> {
    match limit {
        Some(limit) => timeout(limit, future).await.ok(),
        None => Some(future.await),
    }
}
