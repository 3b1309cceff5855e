//! The supervisor's goroutine: everything that decides about children.
//!
//! One loop reads the control mailbox. While it starts or stops a child it keeps reading, so that
//! it sees that child's word; whatever else comes is set aside (`stash`) in order and served
//! afterwards. An exit that is set aside is written into the child's entry at once, so a child
//! that is to be stopped and has ended already is never waited for.
//!
//! 1. Start children in order, each after the former's init; on failure stop what runs, in
//!    reverse order (here).
//! 2. An exit: restart or not, whom, when, and at most as often as allowed (`restarts`).
//! 3. Requests (`requests`).
//! 4. Stop: in reverse order, each within its deadline, then killed (`ending`); a dynamic
//!    supervisor's children all at once.
//!
//! Dropped before its end (killed, or a panic in here) it kills its children.

use std::{
    collections::VecDeque,
    future::{Future, poll_fn},
    sync::Arc,
    task::Poll,
    time::Duration,
};

use super::{
    Restart, Strategy, SupervisionEvent,
    config::Config,
    delays::Delays,
    ending::Ending,
    handle::Command,
    info::Stage,
    intensity::Intensity,
    run::{ChildLink, Run},
    spec::{Begun, ChildSpec, Until},
    table::Table,
};
use crate::{
    actor::{ExitReason, StopReason},
    chan::MailboxReceiver,
    sched::{Instant, timeout},
};

/// How it ends, and until when.
type Ended = (ExitReason, Until);

pub(super) struct Engine<'r> {
    pub(super) run: &'r Arc<Run>,
    inbox: MailboxReceiver<'r, Command>,
    incarnation: u32,
    pub(super) config: Config,
    pub(super) intensity: Intensity,
    pub(super) table: Table,
    pub(super) delays: Delays,
    pub(super) stash: VecDeque<Command>,
}

/// What became of a start that did not fail.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Started {
    Running,
    /// Its init said "not now": it is to stay down.
    Ignored,
}

impl<'r> Engine<'r> {
    pub(super) fn new(run: &'r Arc<Run>, config: Config) -> Self {
        Self {
            run,
            inbox: run.shared.control.receiver(),
            incarnation: run.shared.life.look(|s| s.incarnation()),
            intensity: Intensity::new(config.restarts_max, config.window),
            table: Table::new(config.strategy != Strategy::Dynamic),
            config,
            delays: Delays::default(),
            stash: VecDeque::new(),
        }
    }

    pub(super) fn name(&self) -> &'r str {
        &self.run.shared.name
    }

    /// The whole life; returns when no child is left running.
    pub(super) async fn live(&mut self, children: Vec<ChildSpec>) -> ExitReason {
        let (reason, until) = match self.start_all(children).await {
            Ok(()) => {
                self.run.started();
                self.serve().await
            }
            Err(ended) => ended,
        };
        self.stop_all(until).await;
        tracing::info!(supervisor = self.name(), %reason, "supervisor ended");
        self.tell(SupervisionEvent::Ended {
            reason: reason.clone(),
        });
        reason
    }

    /// The children have passed `Config::check`.
    async fn start_all(&mut self, children: Vec<ChildSpec>) -> Result<(), Ended> {
        let mut slots = Vec::with_capacity(children.len());
        for spec in children {
            slots.push(self.table.add(spec, self.run.shared.next_child()));
        }
        for slot in slots {
            match self.start(slot).await {
                Ok(Started::Running) => {
                    self.tell_of(slot, |child| SupervisionEvent::Started { child });
                }
                Ok(Started::Ignored) => self.leave_out(slot),
                Err(reason) => {
                    let child = self.table.at(slot).spec.id.to_string();
                    let reason = Box::new(reason);
                    return Err(self.by_itself(ExitReason::ChildFailed { child, reason }));
                }
            }
            // A supervisor that is asked to stop starts no further children.
            if let Some((why, until)) = self.stop_requested() {
                return Err((exit_when_stopped(why), until));
            }
        }
        Ok(())
    }

    /// It ends without being asked to. If a supervisor above is likely to start it again, what was
    /// sent to its children waits for that.
    fn by_itself(&self, reason: ExitReason) -> Ended {
        let again = !reason.is_orderly() && self.run.has_parent();
        let until = if again {
            Until::Restart
        } else {
            Until::Further
        };
        (reason, until)
    }

    async fn serve(&mut self) -> Ended {
        loop {
            let command = match self.stash.pop_front() {
                Some(command) => command,
                None => self.read().await,
            };
            let ends_with = match command {
                Command::Started { .. } => None,
                Command::Exited { slot, serial, .. } => self.on_exit(slot, serial).await,
                Command::Retry { slot, serial } => self.on_retry(slot, serial).await,
                Command::Stop {
                    why,
                    until,
                    incarnation,
                } if incarnation == self.incarnation => {
                    return (exit_when_stopped(why), until);
                }
                Command::Stop { .. } => None,
                request => {
                    self.on_request(request).await;
                    None
                }
            };
            if let Some(reason) = ends_with {
                return self.by_itself(reason);
            }
        }
    }

    /// Stops all children; then waits until their goroutines have let go. Until a restart, those that
    /// it was made with are left as they are: its own next incarnation starts them, or whoever decides
    /// that there is none settles them.
    async fn stop_all(&mut self, until: Until) {
        // No restart is to come any more.
        self.delays = Delays::default();
        let mut slots = self.table.in_order();
        slots.reverse();
        #[cfg(feature = "planted")]
        if crate::planted::is(crate::planted::Bug::ShutdownOrder) {
            for &slot in &slots {
                let slot = [slot];
                let ended = self.end(&slot, Ending::Stop(Until::Further));
                let _ = timeout(Duration::from_millis(1), ended).await;
            }
        }
        if self.config.strategy == Strategy::Dynamic {
            self.end(&slots, Ending::Stop(Until::Further)).await;
            for slot in slots {
                self.settle(slot);
            }
        } else {
            for slot in slots {
                match until {
                    Until::Further => self.stop(slot).await,
                    Until::Restart => self.end(&[slot], Ending::Stop(until)).await,
                }
            }
        }
        self.run.joined.wait().await;
    }

    // --- reading the control mailbox ---

    /// The next command: a delay that is over, or one from the mailbox. An exit is noted in its
    /// child's entry on the way.
    pub(super) async fn read(&mut self) -> Command {
        let (inbox, delays) = (&mut self.inbox, &mut self.delays);
        let command = poll_fn(|cx| match delays.poll_due(cx) {
            Poll::Ready((slot, serial)) => Poll::Ready(Some(Command::Retry { slot, serial })),
            Poll::Pending => inbox.poll_recv(cx),
        })
        .await;
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
                until: Until::Further,
                incarnation: self.incarnation,
            },
        }
    }

    pub(super) fn stop_requested(&self) -> Option<(StopReason, Until)> {
        self.stash.iter().find_map(|c| match c {
            Command::Stop {
                why,
                until,
                incarnation,
            } if *incarnation == self.incarnation => Some((*why, *until)),
            _ => None,
        })
    }

    // --- starting a child ---

    /// Starts the child in this slot and waits for its init.
    pub(super) async fn start(&mut self, slot: u32) -> Result<Started, ExitReason> {
        let serial = self.run.shared.next_serial();
        let link = ChildLink::new(self.run, slot, serial);
        let entry = self.table.at(slot);
        entry.serial = serial;
        entry.exit = None;
        entry.owed = false;
        entry.tie = Some(link.tie());
        // From here on a drop of the engine must kill it.
        entry.stage = Stage::Running;
        let (within, body) = (entry.spec.start_within, Arc::clone(&entry.spec.body));
        let begun = match body.start(link) {
            Begun::Running => Ok(()),
            Begun::Starting => match limited(within, self.begun(slot)).await {
                Some(Some(begun)) => begun,
                // An init that hangs must not hold up a stop.
                interrupted => {
                    self.end(&[slot], Ending::Kill).await;
                    Err(match interrupted {
                        Some(_) => ExitReason::Killed,
                        None => ExitReason::InitFailed {
                            message: format!("not done within {:?}", within.unwrap_or_default()),
                        },
                    })
                }
            },
        };
        let supervisor = self.name();
        let entry = self.table.at(slot);
        match begun {
            Ok(()) => {
                entry.started = Some(Instant::now());
                entry.detached = false;
                tracing::debug!(supervisor, child = &*entry.spec.id, "child started");
                Ok(Started::Running)
            }
            Err(ExitReason::Ignored) => {
                entry.stage = Stage::Stopped;
                entry.last_exit = Some(ExitReason::Ignored);
                tracing::debug!(supervisor, child = &*entry.spec.id, "child said not now");
                Ok(Started::Ignored)
            }
            Err(reason) => {
                entry.stage = Stage::Stopped;
                entry.last_exit = Some(reason.clone());
                tracing::error!(supervisor, child = &*entry.spec.id, %reason, "child start failed");
                let told = reason.clone();
                self.tell_of(slot, |child| SupervisionEvent::StartFailed {
                    child,
                    reason: told,
                });
                Err(reason)
            }
        }
    }

    /// The child, whose init said "not now", stays down; it is forgotten if nobody could start it.
    pub(super) fn leave_out(&mut self, slot: u32) {
        self.tell_of(slot, |child| SupervisionEvent::Ignored { child });
        self.settle(slot);
        let temporary = self.table.at(slot).spec.restart == Restart::Temporary;
        if temporary || self.config.strategy == Strategy::Dynamic {
            self.table.remove(slot);
        }
    }

    /// Waits until this start of the child says that it runs, or has ended; `None` when the
    /// supervisor is to stop.
    async fn begun(&mut self, slot: u32) -> Option<Result<(), ExitReason>> {
        loop {
            let entry = self.table.at(slot);
            if let Some(reason) = entry.exit.take() {
                return Some(Err(reason));
            }
            let awaited = (slot, entry.serial);
            match self.read().await {
                Command::Started { slot, serial } if (slot, serial) == awaited => {
                    return Some(Ok(()));
                }
                Command::Exited { slot, serial, .. } if (slot, serial) == awaited => {}
                stop @ Command::Stop { incarnation, .. } if incarnation == self.incarnation => {
                    self.stash.push_back(stop);
                    return None;
                }
                other => self.stash.push_back(other),
            }
        }
    }
}

impl Drop for Engine<'_> {
    fn drop(&mut self) {
        for entry in self.table.iter() {
            if matches!(entry.stage, Stage::Running | Stage::Stuck) && entry.exit.is_none() {
                entry.spec.body.kill();
            }
        }
    }
}

fn exit_when_stopped(why: StopReason) -> ExitReason {
    match why {
        StopReason::Supervisor => ExitReason::Shutdown,
        _ => ExitReason::Normal,
    }
}

/// `future` within `limit`, if there is one; `None` when the time is over.
pub(super) async fn limited<F: Future>(limit: Option<Duration>, future: F) -> Option<F::Output> {
    match limit {
        Some(limit) => timeout(limit, future).await.ok(),
        None => Some(future.await),
    }
}
