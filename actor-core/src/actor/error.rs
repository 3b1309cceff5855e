//! The errors of starting and of asking.

use std::{convert::Infallible, error::Error, fmt};

use super::ExitReason;
use crate::{chan::NoReply, sched::Deadlock};

/// An actor or supervisor could not be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartError {
    name: String,
    reason: ExitReason,
}

impl StartError {
    pub(crate) fn new(name: &str, reason: ExitReason) -> Self {
        Self {
            name: name.to_owned(),
            reason,
        }
    }

    /// The name of what was to be started.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Why it could not: usually `InitFailed` or `Panicked`, `Ignored` if it would not, for a supervisor `ChildFailed`.
    #[must_use]
    pub fn reason(&self) -> &ExitReason {
        &self.reason
    }

    /// Whether nothing failed: its `init` said "not now". See [`NotStarted`](super::NotStarted).
    #[must_use]
    pub fn is_ignored(&self) -> bool {
        self.reason == ExitReason::Ignored
    }

    /// For a supervisor: the child that could not start, the innermost one in a tree.
    #[must_use]
    pub fn failed_child(&self) -> Option<&str> {
        let (mut found, mut reason) = (None, &self.reason);
        while let ExitReason::ChildFailed {
            child,
            reason: inner,
        } = reason
        {
            (found, reason) = (Some(child.as_str()), inner);
        }
        found
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "could not start \"{}\": {}", self.name, self.reason)
    }
}

impl Error for StartError {}

/// Why an ask has no answer, or the handler's own error.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CallError<E = Infallible> {
    /// The handler ran and returned this error. The actor goes on.
    Failed(E),
    /// The actor is stopped, stopped before it took the message, or was killed while it worked on
    /// it: in the last case part of the work may have happened.
    Stopped,
    /// The handler panicked on this message. Part of its work may have happened.
    Panicked,
    /// No answer within the time given to `timeout`. The message is taken back if it was still
    /// waiting for room in the mailbox; otherwise it will be, or was, handled.
    Timeout,
    /// The handler ran into its own time limit and was cancelled. Part of its work may have
    /// happened.
    TimedOut,
    /// The handler dropped its reply slot without answering.
    NoReply,
    /// Waiting for the answer would have closed a cycle of actors that wait for each other: A asks
    /// B, B asks A. (An actor that asks itself is the shortest one.) The message stays sent and will
    /// be handled; its answer is dropped.
    Deadlock {
        /// Who waits for whom, and with which message.
        cycle: Box<Deadlock>,
    },
    /// The mailbox was full, and the overflow policy dropped or refused this message: see
    /// [`Overflow`](super::Overflow).
    Overloaded,
    /// A newer message with the same key took this one's place in the mailbox: see
    /// [`Overflow::Coalesce`](super::Overflow::Coalesce).
    Replaced,
}

impl<E> CallError<E> {
    /// The handler's own error, if that is what happened.
    ///
    /// ```
    /// use actor_core::actor::CallError;
    /// assert_eq!(CallError::Failed("no such account").into_failed(), Some("no such account"));
    /// assert_eq!(CallError::<&str>::Stopped.into_failed(), None);
    /// ```
    pub fn into_failed(self) -> Option<E> {
        match self {
            Self::Failed(e) => Some(e),
            _ => None,
        }
    }

    /// Converts the handler's own error and leaves the other reasons as they are.
    pub fn map_failed<F>(self, f: impl FnOnce(E) -> F) -> CallError<F> {
        match self {
            Self::Failed(e) => CallError::Failed(f(e)),
            Self::Stopped => CallError::Stopped,
            Self::Panicked => CallError::Panicked,
            Self::Timeout => CallError::Timeout,
            Self::TimedOut => CallError::TimedOut,
            Self::NoReply => CallError::NoReply,
            Self::Deadlock { cycle } => CallError::Deadlock { cycle },
            Self::Overloaded => CallError::Overloaded,
            Self::Replaced => CallError::Replaced,
        }
    }
}

impl<E> From<NoReply> for CallError<E> {
    #[cold]
    fn from(why: NoReply) -> Self {
        match why {
            NoReply::Dropped => Self::NoReply,
            NoReply::Panicked => Self::Panicked,
            NoReply::Stopped => Self::Stopped,
            NoReply::Overloaded => Self::Overloaded,
            NoReply::Replaced => Self::Replaced,
            NoReply::TimedOut => Self::TimedOut,
        }
    }
}

impl<E: fmt::Display> fmt::Display for CallError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(e) => e.fmt(f),
            Self::Stopped => f.write_str("the actor is stopped"),
            Self::Panicked => f.write_str("the actor panicked on this message"),
            Self::Timeout => f.write_str("no reply from the actor in time"),
            Self::TimedOut => f.write_str("the handler ran into its time limit"),
            Self::NoReply => f.write_str("the actor dropped this message's reply unanswered"),
            Self::Deadlock { cycle } => cycle.fmt(f),
            Self::Overloaded => {
                f.write_str("the actor's mailbox was full; the message was dropped")
            }
            Self::Replaced => f.write_str("a newer message took this one's place in the mailbox"),
        }
    }
}

impl<E: Error + 'static> Error for CallError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Failed(e) => e.source(),
            _ => None,
        }
    }
}
