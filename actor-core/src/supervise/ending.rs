//! Ending children: asked, then killed, then, if they don't end at all, given up on.
//!
//! ```text
//!              stop_within over          stuck_after over          policy
//!   asked ────────────────────► killed ───────────────────► stuck ──────► waited for, or
//!     │                           │                           │           detached, or abort
//!     └──────── its word ─────────┴─────────── its word ──────┘
//! ```
//! One child or many go through this together, under one timer that is set for the earliest
//! deadline among them. A child is never left before it has ended, unless its policy says so: the
//! link's word comes after its state is dropped.

use std::{collections::HashMap, sync::Arc, time::Duration};

use super::{
    ChildKind, OnStuck, Restart, SupervisionEvent,
    engine::{Engine, limited},
    handle::Command,
    info::Stage,
    spec::Until,
};
use crate::{actor::ExitReason, sched::Instant};

/// How children are ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// Asked first, each as its spec says.
    Stop(Until),
    /// Killed.
    Kill,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// It ended before it was asked.
    ByItself,
    Asked,
    Killed,
    Stuck,
}

struct Waiting {
    step: Step,
    /// When the next step is due, if there is one.
    due: Option<Instant>,
}

impl Engine<'_> {
    /// Stops the child if it runs. It stays in the table, stopped, and nothing is about to start it.
    pub(super) async fn stop(&mut self, slot: u32) {
        self.end(&[slot], Ending::Stop(Until::Further)).await;
        self.settle(slot);
    }

    /// The child, which doesn't run, stays down.
    pub(super) fn settle(&mut self, slot: u32) {
        let entry = self.table.at(slot);
        if matches!(entry.stage, Stage::BackingOff(_) | Stage::Broken(_)) {
            self.delays.cancel(slot);
        }
        entry.stage = Stage::Stopped;
        entry.owed = false;
        entry.spec.body.settle();
    }

    /// Ends those of the children that run, and waits for all of them.
    pub(super) async fn end(&mut self, slots: &[u32], how: Ending) {
        let mut waiting = HashMap::new();
        for &slot in slots {
            if self.table.at(slot).stage == Stage::Running {
                let first = self.first_step(slot, how);
                if !self.is_over(slot, first.step) {
                    waiting.insert(slot, first);
                }
            }
        }
        let mut due = waiting.values().filter_map(|w| w.due).min();
        while !waiting.is_empty() {
            let limit = due.map(|due| due - Instant::now());
            match limited(limit, self.read()).await {
                Some(Command::Exited { slot, serial, .. })
                    if waiting.contains_key(&slot) && self.table.at(slot).serial == serial =>
                {
                    if self.is_over(slot, waiting[&slot].step) {
                        waiting.remove(&slot);
                    }
                }
                Some(command) if waiting.values().any(|w| w.step == Step::Stuck) => {
                    // This may take for ever: who asks what goes on is told.
                    if let Some(command) = self.answer(command) {
                        self.stash.push_back(command);
                    }
                }
                Some(command) => self.stash.push_back(command),
                None => {
                    let now = Instant::now();
                    waiting.retain(|&slot, w| {
                        w.due.is_none_or(|d| d > now) || self.next_step(slot, w)
                    });
                    due = waiting.values().filter_map(|w| w.due).min();
                    if waiting.values().any(|w| w.step == Step::Stuck) {
                        let asked = std::mem::take(&mut self.stash);
                        self.stash = asked.into_iter().filter_map(|c| self.answer(c)).collect();
                    }
                }
            }
        }
    }

    fn first_step(&mut self, slot: u32, how: Ending) -> Waiting {
        let entry = self.table.at(slot);
        if entry.exit.is_some() {
            return Waiting {
                step: Step::ByItself,
                due: None,
            };
        }
        match how {
            Ending::Stop(until) if entry.spec.stop_within != Some(Duration::ZERO) => {
                entry.spec.body.ask_stop(until);
                Waiting {
                    step: Step::Asked,
                    due: entry.spec.stop_within.map(|within| Instant::now() + within),
                }
            }
            Ending::Stop(_) | Ending::Kill => self.kill(slot),
        }
    }

    fn kill(&mut self, slot: u32) -> Waiting {
        let entry = self.table.at(slot);
        entry.spec.body.kill();
        Waiting {
            step: Step::Killed,
            due: Some(Instant::now() + entry.spec.stuck_after),
        }
    }

    /// Takes the step that is due; false if the child is not waited for any more.
    fn next_step(&mut self, slot: u32, waiting: &mut Waiting) -> bool {
        if waiting.step == Step::Asked {
            *waiting = self.kill(slot);
            return true;
        }
        *waiting = Waiting {
            step: Step::Stuck,
            due: None,
        };
        let supervisor = self.name();
        let entry = self.table.at(slot);
        entry.stage = Stage::Stuck;
        let (child, policy) = (&*entry.spec.id, entry.spec.on_stuck);
        tracing::error!(
            supervisor,
            child,
            killed_since = ?entry.spec.stuck_after,
            ?policy,
            "child is stuck: it was killed and does not yield"
        );
        self.tell_of(slot, |child| SupervisionEvent::Stuck { child });
        match policy {
            OnStuck::Wait => true,
            OnStuck::Detach => {
                self.detach(slot);
                false
            }
            OnStuck::Abort => std::process::abort(),
        }
    }

    /// Goes on without a child that doesn't end.
    fn detach(&mut self, slot: u32) {
        // Its word may be under way already: it is stale from now on.
        let serial = self.run.shared.next_serial();
        let entry = self.table.at(slot);
        entry.serial = serial;
        entry.detached = true;
        entry.stage = Stage::Stopped;
        entry.last_exit = Some(ExitReason::Killed);
        let tie = entry.tie.take();
        // No more work for it.
        let body = Arc::clone(&entry.spec.body);
        body.ask_stop(Until::Further);
        if let Some(tie) = tie {
            tie.cut();
        }
    }

    /// Whether the child has ended; if so, that is noted and reported.
    fn is_over(&mut self, slot: u32, step: Step) -> bool {
        let supervisor = self.name();
        let entry = self.table.at(slot);
        let Some(reason) = entry.exit.take() else {
            return false;
        };
        let spec = &entry.spec;
        // A goroutine that can't be asked was dropped, which is how it stops in order.
        let dropped = step == Step::Asked && spec.body.kind() == ChildKind::Goroutine;
        let reason = match reason {
            ExitReason::Killed if dropped => ExitReason::Shutdown,
            reason => reason,
        };
        let brutal = spec.stop_within == Some(Duration::ZERO) && reason == ExitReason::Killed;
        let (child, within) = (&*spec.id, spec.stop_within);
        // What ends as it was asked to, even if its end would be worth a restart otherwise.
        let in_order = match spec.restart {
            Restart::Permanent if step == Step::ByItself => reason == ExitReason::Shutdown,
            _ => reason.is_orderly(),
        };
        if in_order || brutal {
            tracing::debug!(supervisor, child, %reason, "child stopped");
        } else {
            tracing::error!(supervisor, child, %reason, ?within, "child did not stop in order");
        }
        entry.stage = Stage::Stopped;
        entry.last_exit = Some(reason.clone());
        self.tell_of(slot, |child| SupervisionEvent::Stopped { child, reason });
        true
    }
}
