//! How a daemon ended, and the exit code that says so.
//!
//! Codes are those of `sysexits.h` where it has one that fits, `timeout(1)`'s for a deadline, and the
//! shell's for an end by a signal. Each end has its own, so that a service manager can tell them
//! apart: `RestartPreventExitStatus=78` in a systemd unit keeps it from retrying a mistake.

use std::{fmt, process::ExitCode, time::Duration};

use crate::actor::{ExitReason, StartError};

/// How a [`Daemon`](super::Daemon) ended. Each end has an exit code of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DaemonExit {
    /// A signal asked it to stop, and the tree stopped in order: 0.
    Stopped,
    /// The tree ended by itself, in order ([`AutoShutdown`](crate::supervise::AutoShutdown), or
    /// somebody called `stop`): 0.
    Finished,
    /// A child could not start: 69, `EX_UNAVAILABLE`.
    StartFailed(StartError),
    /// The tree is set up in a way that can't work, and nothing was started: 78, `EX_CONFIG`.
    Misconfigured(StartError),
    /// The tree gave up on a child that needed too many restarts: 70, `EX_SOFTWARE`.
    GaveUp(ExitReason),
    /// The tree ended in another way that is not orderly, as by a `kill`: 1.
    Ended(ExitReason),
    /// The stop took longer than [`stop_within`](super::Daemon::stop_within); what was left was
    /// killed: 124, as `timeout(1)`.
    Overran {
        /// The deadline.
        stop_within: Duration,
    },
    /// A second signal cut the stop short; what was left was killed: 128 and the signal's number.
    Forced {
        /// That signal's number.
        signal: i32,
    },
    /// The system refused to have signals caught; nothing was started: 71, `EX_OSERR`.
    NoSignals {
        /// The system's words.
        message: String,
    },
}

impl DaemonExit {
    /// The exit code for it.
    ///
    /// ```
    /// use actor_core::daemon::DaemonExit;
    /// assert_eq!(DaemonExit::Stopped.code(), 0);
    /// assert_eq!(DaemonExit::Forced { signal: 15 }.code(), 143);
    /// ```
    #[must_use]
    pub fn code(&self) -> u8 {
        match self {
            Self::Stopped | Self::Finished => 0,
            Self::Ended(_) => 1,
            Self::StartFailed(_) => 69,
            Self::GaveUp(_) => 70,
            Self::NoSignals { .. } => 71,
            Self::Misconfigured(_) => 78,
            Self::Overran { .. } => 124,
            Self::Forced { signal } => u8::try_from(128 + signal).unwrap_or(u8::MAX),
        }
    }

    /// The tree could not be started; or it was, and gave up before anybody looked.
    pub(super) fn not_started(error: StartError) -> Self {
        match (error.reason(), innermost(error.reason())) {
            (reason @ ExitReason::GaveUp { .. }, _) => Self::GaveUp(reason.clone()),
            (_, ExitReason::Misconfigured { .. }) => Self::Misconfigured(error),
            _ => Self::StartFailed(error),
        }
    }

    /// The tree ended, and nobody had asked the daemon for it.
    pub(super) fn by_itself(reason: ExitReason) -> Self {
        match reason {
            reason if reason.is_orderly() => Self::Finished,
            reason @ ExitReason::GaveUp { .. } => Self::GaveUp(reason),
            reason => Self::Ended(reason),
        }
    }
}

/// What failed at the bottom of a start that failed.
pub(super) fn innermost(mut reason: &ExitReason) -> &ExitReason {
    while let ExitReason::ChildFailed { reason: inner, .. } = reason {
        reason = inner;
    }
    reason
}

impl fmt::Display for DaemonExit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stopped => f.write_str("stopped"),
            Self::Finished => f.write_str("finished"),
            Self::StartFailed(error) | Self::Misconfigured(error) => error.fmt(f),
            Self::GaveUp(reason) => reason.fmt(f),
            Self::Ended(reason) => write!(f, "the tree ended: {reason}"),
            Self::Overran { stop_within } => write!(
                f,
                "the stop took longer than {stop_within:?}, and what was left was killed"
            ),
            Self::Forced { signal } => write!(
                f,
                "a second signal ({}) cut the stop short, and what was left was killed",
                super::signals::name(*signal)
            ),
            Self::NoSignals { message } => write!(f, "signals can't be caught: {message}"),
        }
    }
}

impl From<DaemonExit> for ExitCode {
    fn from(exit: DaemonExit) -> Self {
        ExitCode::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_that_gives_up_too_fast_for_its_starter_has_given_up_all_the_same() {
        let reason = ExitReason::GaveUp {
            child: "a".to_owned(),
            reason: Box::new(ExitReason::Killed),
            restarts_max: 0,
            window: Duration::from_secs(1),
        };
        let error = StartError::new("app", reason.clone());
        assert_eq!(
            DaemonExit::not_started(error),
            DaemonExit::GaveUp(reason.clone())
        );
        // Below the root it is a child that could not start.
        let below = ExitReason::ChildFailed {
            child: "inner".to_owned(),
            reason: Box::new(reason),
        };
        let error = StartError::new("app", below);
        assert_eq!(DaemonExit::not_started(error).code(), 69);
    }
}
