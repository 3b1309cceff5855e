//! What a running supervisor says about its children, and how one of them is named.

use std::{fmt, sync::Arc, time::Duration};

use super::{ChildError, Restart, Strategy, SupervisorRef, run::Shared, table::Entry};
use crate::{
    actor::{ActorId, AnyRef, ExitReason},
    sched::Instant,
};

/// What a child is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChildKind {
    /// An actor.
    Actor,
    /// A plain goroutine.
    Goroutine,
    /// An OS thread that may block.
    Thread,
    /// A supervisor with children of its own.
    Supervisor,
}

impl fmt::Display for ChildKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Actor => "actor",
            Self::Goroutine => "goroutine",
            Self::Thread => "thread",
            Self::Supervisor => "supervisor",
        })
    }
}

/// How a child is doing, in OTP's terms: what the requests go by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChildState {
    /// It runs.
    Running,
    /// It doesn't, and waits for `restart_child` or `delete_child`.
    Stopped,
    /// It doesn't, and its supervisor is going to start it again.
    Restarting,
}

/// How a child is doing, in more detail than [`ChildState`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Health {
    /// It runs.
    Healthy,
    /// It doesn't run, and nothing is about to start it.
    Down,
    /// Its restart failed and is about to be tried again.
    Restarting,
    /// It is restarted when its [`backoff`](super::ChildSpec::backoff) has passed.
    BackingOff {
        /// How much of it is left.
        remaining: Duration,
    },
    /// Its [`circuit_breaker`](super::ChildSpec::circuit_breaker) is open.
    Broken {
        /// How much of the cool-down is left.
        remaining: Duration,
    },
    /// It was killed and doesn't end: it doesn't yield. See [`OnStuck`](super::OnStuck).
    Stuck,
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Healthy => f.write_str("running"),
            Self::Down => f.write_str("down"),
            Self::Restarting => f.write_str("restarting"),
            Self::BackingOff { remaining } => write!(f, "backing off for {remaining:.1?}"),
            Self::Broken { remaining } => write!(f, "broken for {remaining:.1?}"),
            Self::Stuck => f.write_str("stuck"),
        }
    }
}

/// Where a child stands with its supervisor; finer than `ChildState`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Stopped,
    Running,
    /// Killed, and it doesn't end.
    Stuck,
    /// Its restart failed; a retry is in the mailbox.
    Retrying,
    BackingOff(Instant),
    Broken(Instant),
}

impl Stage {
    pub(super) fn state(self) -> ChildState {
        match self {
            Self::Stopped => ChildState::Stopped,
            Self::Running | Self::Stuck => ChildState::Running,
            Self::Retrying | Self::BackingOff(_) | Self::Broken(_) => ChildState::Restarting,
        }
    }

    fn health(self, now: Instant) -> Health {
        match self {
            Self::Stopped => Health::Down,
            Self::Running => Health::Healthy,
            Self::Stuck => Health::Stuck,
            Self::Retrying => Health::Restarting,
            Self::BackingOff(until) => Health::BackingOff {
                remaining: until - now,
            },
            Self::Broken(until) => Health::Broken {
                remaining: until - now,
            },
        }
    }
}

/// One line of [`SupervisorRef::which_children`](super::SupervisorRef::which_children).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChildInfo {
    /// Its id.
    pub id: String,
    /// Its key: unlike the id it is never used again.
    pub key: ChildKey,
    /// What it is made of.
    pub kind: ChildKind,
    /// How it is doing, as OTP sees it.
    pub state: ChildState,
    /// How it is doing.
    pub health: Health,
    /// When it is restarted.
    pub restart: Restart,
    /// Whether its end may end the supervisor.
    pub significant: bool,
    /// How often its supervisor has restarted it, for its own sake or a sibling's.
    pub restarts: u64,
    /// How it ended the last time, if it has.
    pub last_exit: Option<ExitReason>,
    /// Its handle, if it is an actor: `info.actor.unwrap().downcast::<Bank>()`.
    pub actor: Option<AnyRef>,
    /// Its handle, if it is a supervisor.
    pub supervisor: Option<SupervisorRef>,
}

impl ChildInfo {
    pub(super) fn of(entry: &Entry, supervisor: ActorId, slot: u32, now: Instant) -> Self {
        let spec = &entry.spec;
        let stuck = entry.detached && spec.body.is_alive();
        Self {
            id: spec.id.to_string(),
            key: ChildKey {
                supervisor,
                slot,
                number: entry.number,
            },
            kind: spec.body.kind(),
            state: entry.stage.state(),
            health: if stuck {
                Health::Stuck
            } else {
                entry.stage.health(now)
            },
            restart: spec.restart,
            significant: spec.significant,
            restarts: entry.restarts,
            last_exit: entry.last_exit.clone(),
            actor: spec.body.actor(),
            supervisor: spec.body.supervisor().cloned().map(SupervisorRef::new),
        }
    }
}

/// What a supervisor answers to `which_children` and `tree`.
pub(crate) struct Listing {
    pub(super) strategy: Strategy,
    /// With the address of those that are supervisors.
    pub(super) children: Vec<(ChildInfo, Option<Arc<Shared>>)>,
}

/// What [`SupervisorRef::count_children`](super::SupervisorRef::count_children) returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ChildCounts {
    /// All children.
    pub specs: usize,
    /// Those that run.
    pub active: usize,
    /// Those that are supervisors, running or not.
    pub supervisors: usize,
    /// Those that are not, running or not.
    pub workers: usize,
}

/// The name of one child for good: given when it is started, kept across restarts, never given
/// to another. The only name that a [dynamic](super::Supervisor::dynamic) supervisor's child has.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChildKey {
    pub(super) supervisor: ActorId,
    pub(super) slot: u32,
    pub(super) number: u64,
}

impl fmt::Debug for ChildKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChildKey({}.{})", self.supervisor, self.number)
    }
}

/// A child as it is named in a request: by its id or its key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ChildName {
    /// By its id.
    Id(String),
    /// By its key.
    Key(ChildKey),
}

impl From<&str> for ChildName {
    fn from(id: &str) -> Self {
        Self::Id(id.to_owned())
    }
}

impl From<&String> for ChildName {
    fn from(id: &String) -> Self {
        Self::Id(id.clone())
    }
}

impl From<String> for ChildName {
    fn from(id: String) -> Self {
        Self::Id(id)
    }
}

impl From<ChildKey> for ChildName {
    fn from(key: ChildKey) -> Self {
        Self::Key(key)
    }
}

/// Where a named child is, if it is.
pub(super) enum Found {
    At(u32),
    /// It was here and is gone.
    Gone,
}

impl Found {
    pub(super) fn present(self, child: &ChildName) -> Result<u32, ChildError> {
        match self {
            Self::At(slot) => Ok(slot),
            Self::Gone => Err(ChildError::not_found(child)),
        }
    }
}
