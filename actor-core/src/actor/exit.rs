//! Why an incarnation was asked to end, and how it ended.

use std::{convert::Infallible, fmt, time::Duration};

use super::{ActorId, NotStarted};

/// Why an actor stops; given to its `#[stopped]` hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StopReason {
    /// Somebody called `stop` or `stop_now`.
    Requested,
    /// Its supervisor is stopping it.
    Supervisor,
    /// It has no supervisor, and its last handle was dropped.
    HandlesGone,
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Requested => "it was asked to stop",
            Self::Supervisor => "its supervisor stopped it",
            Self::HandlesGone => "its last handle was dropped",
        })
    }
}

/// How an incarnation of an actor, goroutine or supervisor ended: Erlang's exit reason.
///
/// [`is_orderly`](ExitReason::is_orderly) divides them as OTP does: a transient child is
/// restarted after the others only.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExitReason {
    /// It finished, or stopped when asked by somebody other than its supervisor.
    Normal,
    /// Its supervisor stopped it.
    Shutdown,
    /// It stopped in order, and `stop_with` said why: Erlang's `{shutdown, Term}`.
    ShutdownWith {
        /// What the one who stopped it gave as the cause.
        cause: String,
    },
    /// It was killed: its future was dropped where it was.
    Killed,
    /// It did not live when it was monitored or linked: Erlang's `noproc`. Nothing ends so.
    NoProc,
    /// It was linked with an actor that ended.
    Linked {
        /// The name of the first one of the chain that ended.
        actor: String,
        /// How that one ended.
        reason: Box<ExitReason>,
    },
    /// A supervised goroutine returned an error.
    Failed {
        /// The error's text.
        message: String,
    },
    /// Its code panicked.
    Panicked {
        /// The panic's text.
        message: String,
    },
    /// A handler took longer than its limit.
    TimedOut {
        /// The message's name, or the hook.
        message: String,
        /// The limit.
        limit: Duration,
    },
    /// Its `init` said "not now", which is no error: OTP's `ignore`. See
    /// [`NotStarted`](super::NotStarted).
    Ignored,
    /// Its `init` returned an error, or took too long.
    InitFailed {
        /// The error's text.
        message: String,
    },
    /// A supervisor or child was set up in a way that cannot work; nothing was started.
    Misconfigured {
        /// What is wrong, and what to do about it.
        message: String,
    },
    /// It was to start under a name that another actor has; its `init` never ran. As OTP's
    /// `already_started`.
    NameTaken {
        /// The name.
        name: String,
        /// Who has it.
        holder: ActorId,
    },
    /// A supervisor could not start one of its children.
    ChildFailed {
        /// The child's id.
        child: String,
        /// How its start ended.
        reason: Box<ExitReason>,
    },
    /// A supervisor stopped because a child was to be restarted more often than its intensity
    /// allows. Unlike OTP's `shutdown` this is not orderly: a transient parent acts on it.
    GaveUp {
        /// The child's id.
        child: String,
        /// How it ended the last time.
        reason: Box<ExitReason>,
        /// The limit that was passed: so many restarts ..
        restarts_max: u32,
        /// .. within so long.
        window: Duration,
    },
}

impl ExitReason {
    /// True for [`Normal`](ExitReason::Normal), [`Shutdown`](ExitReason::Shutdown),
    /// [`ShutdownWith`](ExitReason::ShutdownWith) and [`Ignored`](ExitReason::Ignored), and for an end by a link with one that ended so:
    /// the ends after which a transient child stays down.
    #[must_use]
    pub fn is_orderly(&self) -> bool {
        match self {
            Self::Normal | Self::Shutdown | Self::ShutdownWith { .. } | Self::Ignored => true,
            Self::Linked { reason, .. } => reason.is_orderly(),
            _ => false,
        }
    }
}

impl fmt::Display for ExitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Normal => f.write_str("finished"),
            Self::Shutdown => f.write_str("stopped by its supervisor"),
            Self::ShutdownWith { cause } => write!(f, "stopped: {cause}"),
            Self::Killed => f.write_str("killed"),
            Self::NoProc => f.write_str("was not alive"),
            Self::Linked { actor, reason } => {
                write!(f, "ended with the linked actor \"{actor}\": {reason}")
            }
            Self::Failed { message } => write!(f, "failed: {message}"),
            Self::Panicked { message } => write!(f, "panicked: {message}"),
            Self::TimedOut { message, limit } => {
                write!(f, "took longer than {limit:?} in {message}")
            }
            Self::Ignored => NotStarted::<Infallible>::Ignored.fmt(f),
            Self::InitFailed { message } => write!(f, "init failed: {message}"),
            Self::Misconfigured { message } => write!(f, "misconfigured: {message}"),
            Self::NameTaken { name, holder } => {
                write!(f, "the name \"{name}\" is already taken by actor {holder}")
            }
            Self::ChildFailed { child, reason } => {
                write!(f, "child \"{child}\" could not start: {reason}")
            }
            Self::GaveUp {
                child,
                reason,
                restarts_max,
                window,
            } => write!(
                f,
                "gave up: child \"{child}\" needed more than {restarts_max} restarts within \
                 {window:?}, the last time it {reason}"
            ),
        }
    }
}
