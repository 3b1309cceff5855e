//! What a supervisor does, told to somebody as it does it.
//!
//! Told by the supervisor's goroutine, in order, after the fact. A panic of the observer is
//! reported and goes no further: a supervisor does not die of being looked at.

use std::{fmt, sync::Arc, time::Duration};

use super::{Supervisor, engine::Engine};
use crate::actor::{ExitReason, caught};

/// Something that happened to a child, or to the supervisor itself. See
/// [`Supervisor::observe`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SupervisionEvent {
    /// A child runs: at the supervisor's start, or because it was asked to start it.
    Started {
        /// The child's id.
        child: Arc<str>,
    },
    /// A start or restart of a child failed.
    StartFailed {
        /// The child's id.
        child: Arc<str>,
        /// How the start ended.
        reason: ExitReason,
    },
    /// A child's init said "not now": it stays down.
    Ignored {
        /// The child's id.
        child: Arc<str>,
    },
    /// A child ended by itself.
    Exited {
        /// The child's id.
        child: Arc<str>,
        /// How it ended.
        reason: ExitReason,
        /// Whether that calls for a restart. None may follow: the supervisor may give up, or its
        /// own stop may come first.
        restart: bool,
    },
    /// A restart is put off, by a backoff or a circuit breaker.
    Delayed {
        /// The child's id.
        child: Arc<str>,
        /// For how long.
        by: Duration,
    },
    /// A child runs again, for its own sake or a sibling's.
    Restarted {
        /// The child's id.
        child: Arc<str>,
        /// How often it has been restarted by now.
        restarts: u64,
    },
    /// A child was killed and does not end: see [`OnStuck`](super::OnStuck).
    Stuck {
        /// The child's id.
        child: Arc<str>,
    },
    /// The supervisor has stopped a child.
    Stopped {
        /// The child's id.
        child: Arc<str>,
        /// How it ended.
        reason: ExitReason,
    },
    /// A child needed one restart too many: the supervisor stops the others and ends.
    GaveUp {
        /// The child's id.
        child: Arc<str>,
        /// How it ended the last time.
        reason: ExitReason,
    },
    /// The supervisor ends; its children have.
    Ended {
        /// How it ends.
        reason: ExitReason,
    },
}

impl SupervisionEvent {
    /// The id of the child that it is about, if it is about one.
    #[must_use]
    pub fn child(&self) -> Option<&str> {
        match self {
            Self::Started { child }
            | Self::StartFailed { child, .. }
            | Self::Ignored { child }
            | Self::Exited { child, .. }
            | Self::Delayed { child, .. }
            | Self::Restarted { child, .. }
            | Self::Stuck { child }
            | Self::Stopped { child, .. }
            | Self::GaveUp { child, .. } => Some(child),
            Self::Ended { .. } => None,
        }
    }
}

impl fmt::Display for SupervisionEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Started { child } => write!(f, "\"{child}\" started"),
            Self::StartFailed { child, reason } => {
                write!(f, "\"{child}\" could not start: {reason}")
            }
            Self::Ignored { child } => write!(f, "\"{child}\" is not to run now"),
            Self::Exited {
                child,
                reason,
                restart,
            } => {
                let then = if *restart { "" } else { ", and stays down" };
                write!(f, "\"{child}\" exited: {reason}{then}")
            }
            Self::Delayed { child, by } => {
                write!(f, "the restart of \"{child}\" is put off by {by:?}")
            }
            Self::Restarted { child, restarts } => {
                write!(f, "\"{child}\" restarted (restart {restarts})")
            }
            Self::Stuck { child } => write!(f, "\"{child}\" was killed and does not end"),
            Self::Stopped { child, reason } => write!(f, "\"{child}\" was stopped: {reason}"),
            Self::GaveUp { child, reason } => {
                write!(f, "gave up on \"{child}\", which last {reason}")
            }
            Self::Ended { reason } => write!(f, "the supervisor ended: {reason}"),
        }
    }
}

#[derive(Clone)]
pub(super) struct Observer(Arc<dyn Fn(&SupervisionEvent) + Send + Sync>);

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Observer(..)")
    }
}

impl Supervisor {
    /// Calls `observer` with everything that happens to this supervisor's children, and with its
    /// own end; not with what happens below a child that is a supervisor. One observer: the last
    /// one given counts.
    ///
    /// It runs in the supervisor's goroutine, so it must not block. A panic in it is reported to
    /// `tracing` and goes no further. Tests have `testkit::TestSupervisor`, which waits for events.
    ///
    /// ```
    /// use actor_core::{chan, supervise::{ChildSpec, SupervisionEvent, Supervisor}};
    ///
    /// # actor_core::Runtime::new().unwrap().run(async {
    /// let (tell, events) = chan::buffered(16);
    /// let app = Supervisor::one_for_one("app")
    ///     .child(ChildSpec::go("clock", || std::future::pending::<()>()))
    ///     .observe(move |event| drop(tell.try_send(event.clone())))
    ///     .start()
    ///     .await
    ///     .unwrap();
    /// assert_eq!(
    ///     events.recv().await,
    ///     Some(SupervisionEvent::Started { child: "clock".into() })
    /// );
    /// app.stop().await;
    /// # });
    /// ```
    pub fn observe(mut self, observer: impl Fn(&SupervisionEvent) + Send + Sync + 'static) -> Self {
        self.config_mut().observer = Some(Observer(Arc::new(observer)));
        self
    }
}

impl Engine<'_> {
    /// Tells the observer about the child in this slot, if there is one.
    pub(super) fn tell_of(&mut self, slot: u32, event: impl FnOnce(Arc<str>) -> SupervisionEvent) {
        if self.config.observer.is_some() {
            let child = Arc::clone(&self.table.at(slot).spec.id);
            self.tell(event(child));
        }
    }

    pub(super) fn tell(&self, event: SupervisionEvent) {
        if let Some(Observer(observer)) = &self.config.observer
            && let Err(panic) = caught(|| observer(&event))
        {
            tracing::error!(supervisor = self.name(), ?panic, "the observer panicked");
        }
    }
}
