//! Why a request to a running supervisor was refused.

use std::{error::Error, fmt};

use super::{ChildInfo, ChildName};
use crate::actor::StartError;

/// Why a supervisor could not do what it was asked to do with a child.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChildError {
    /// `start_child`: a child with this id runs. As OTP's `{already_started, Pid}`.
    AlreadyStarted {
        /// The one that is there, with its key and its handle.
        child: Box<ChildInfo>,
    },
    /// `start_child`: there is a child with this id; it is stopped or about to be restarted.
    AlreadyPresent {
        /// The id.
        id: String,
    },
    /// `restart_child`, `delete_child`: it runs.
    Running {
        /// Its id.
        id: String,
    },
    /// `restart_child`, `delete_child`: it is about to be restarted.
    Restarting {
        /// Its id.
        id: String,
    },
    /// No child has this name.
    NotFound {
        /// The name.
        child: ChildName,
    },
    /// It was started and could not.
    StartFailed(StartError),
    /// `start_child`, `restart_child`: its init said "not now", which is no failure
    /// ([`NotStarted`](crate::actor::NotStarted)). It is there as a stopped child; a temporary one,
    /// and one of a dynamic supervisor, is not. OTP's `{ok, undefined}`.
    Ignored,
    /// `start_child`: the supervisor has as many children as its
    /// [`max_children`](super::Supervisor::max_children) allows.
    MaxChildren {
        /// The limit.
        max: usize,
    },
    /// A dynamic supervisor was asked for what it can't do: its children are named by their keys,
    /// and are never kept when they are stopped.
    Dynamic,
    /// The supervisor is stopped.
    SupervisorStopped,
}

impl ChildError {
    pub(super) fn not_found(child: &ChildName) -> Self {
        Self::NotFound {
            child: child.clone(),
        }
    }
}

impl fmt::Display for ChildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AlreadyStarted { child } => {
                write!(f, "a child with the id {:?} is running", child.id)
            }
            Self::AlreadyPresent { id } => write!(
                f,
                "a child with the id {id:?} exists and is not running; restart or delete it"
            ),
            Self::Running { id } => {
                write!(f, "the child {id:?} is running; terminate it first")
            }
            Self::Restarting { id } => {
                write!(f, "the child {id:?} is being restarted; terminate it first")
            }
            Self::NotFound { child } => match child {
                ChildName::Id(id) => write!(f, "no child has the id {id:?}"),
                ChildName::Key(key) => write!(f, "no child has the key {key:?}"),
            },
            Self::StartFailed(error) => error.fmt(f),
            Self::Ignored => f.write_str("the child did not start: its init said not now"),
            Self::MaxChildren { max } => write!(
                f,
                "the supervisor has {max} children, the most it may have; raise its \
                 `max_children` or stop some"
            ),
            Self::Dynamic => f.write_str(
                "children of a dynamic supervisor are named by their keys and are not kept when \
                 they are stopped; use `terminate_child` with a key, or `start_child`",
            ),
            Self::SupervisorStopped => f.write_str("the supervisor is stopped"),
        }
    }
}

impl Error for ChildError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::StartFailed(error) => error.source(),
            _ => None,
        }
    }
}
