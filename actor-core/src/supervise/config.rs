//! How a supervisor is set up, and the check of it that comes before anything starts.
//!
//! The check covers the whole tree: a nested supervisor's mistakes are found before the first
//! child of the outermost one runs. So a tree either has no such mistake or does nothing at all.
//! What start_child brings later is checked the same way, when it is brought.

use std::{collections::HashSet, fmt, time::Duration};

use super::{ChildKind, Restart, backoff::Backoff, events::Observer, spec::ChildSpec};
use crate::actor::ExitReason;

/// Whom a restart concerns besides the child that ended: OTP's restart strategies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Strategy {
    /// Nobody.
    OneForOne,
    /// All children: the others are stopped, last started first, then all are started in order.
    OneForAll,
    /// Those started after it: they are stopped, last started first, then it and they are started
    /// in order.
    RestForOne,
    /// Nobody; children are started later, named by their keys and stopped all at once.
    Dynamic,
}

impl Strategy {
    /// Does a restart concern siblings as well?
    pub(super) fn is_group(self) -> bool {
        matches!(self, Self::OneForAll | Self::RestForOne)
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OneForOne => "one_for_one",
            Self::OneForAll => "one_for_all",
            Self::RestForOne => "rest_for_one",
            Self::Dynamic => "dynamic",
        })
    }
}

/// When the end of [significant](super::ChildSpec::significant) children ends their supervisor.
///
/// A significant child counts when it ends by itself and is not restarted; `terminate_child` and a
/// stop for the sake of a sibling don't.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum AutoShutdown {
    /// Never.
    #[default]
    Never,
    /// The first one's end does.
    AnySignificant,
    /// One's end does when no other significant child is up.
    AllSignificant,
}

#[derive(Debug, Clone)]
pub(super) struct Config {
    pub(super) strategy: Strategy,
    pub(super) restarts_max: u32,
    pub(super) window: Duration,
    pub(super) auto_shutdown: AutoShutdown,
    /// For children without one of their own.
    pub(super) backoff: Option<Backoff>,
    pub(super) children_max: Option<usize>,
    pub(super) observer: Option<Observer>,
}

impl Config {
    pub(super) fn new(strategy: Strategy) -> Self {
        Self {
            strategy,
            restarts_max: 3,
            window: Duration::from_secs(5),
            auto_shutdown: AutoShutdown::Never,
            backoff: None,
            children_max: None,
            observer: None,
        }
    }

    /// Is this a supervisor that can be started with these children?
    pub(super) fn check(&self, name: &str, children: &[ChildSpec]) -> Result<(), ExitReason> {
        self.check_self(children.len()).map_err(misconfigured)?;
        let mut ids = HashSet::new();
        for spec in children {
            let fault = if self.strategy == Strategy::Dynamic {
                Err("a dynamic supervisor starts without children; start them with `start_child`")
            } else if ids.insert(&*spec.id) {
                self.check_child(spec)
            } else {
                Err("another child of this supervisor has the same id; give each its own")
            };
            let fault = fault
                .map_err(misconfigured)
                .and_then(|()| spec.body.check());
            fault.map_err(|reason| ExitReason::ChildFailed {
                child: spec.id.to_string(),
                reason: Box::new(reason),
            })?;
            warn_about(name, spec);
        }
        Ok(())
    }

    fn check_self(&self, children: usize) -> Result<(), &'static str> {
        if self.window.is_zero() {
            return Err("the intensity's window is zero; give it a length, such as 5 s");
        }
        if self.strategy == Strategy::Dynamic && self.auto_shutdown != AutoShutdown::Never {
            return Err(
                "a dynamic supervisor can't shut down by itself; leave `auto_shutdown` out",
            );
        }
        if self.children_max.is_some_and(|max| children > max) {
            return Err("it has more children than its `max_children`; raise that");
        }
        self.backoff.map_or(Ok(()), Backoff::check)
    }

    /// Is this a child that such a supervisor can have? Its id is checked elsewhere.
    pub(super) fn check_child(&self, spec: &ChildSpec) -> Result<(), &'static str> {
        if spec.significant && spec.restart == Restart::Permanent {
            return Err(
                "a significant child can't be permanent, whose end never stays; make it transient \
                 or temporary",
            );
        }
        if spec.significant && self.auto_shutdown == AutoShutdown::Never {
            return Err(
                "a significant child has no effect under a supervisor that never shuts down by \
                 itself; set its `auto_shutdown`",
            );
        }
        if let Some(backoff) = spec.backoff {
            backoff.check()?;
            if spec.restart == Restart::Temporary {
                return Err("a temporary child is never restarted; leave its `backoff` out");
            }
        }
        if let Some(breaker) = &spec.breaker {
            breaker.check()?;
            if spec.restart == Restart::Temporary {
                return Err(
                    "a temporary child is never restarted; leave its `circuit_breaker` out",
                );
            }
            if self.strategy.is_group() {
                return Err(
                    "a circuit breaker leaves one child down while its siblings run, which this \
                     strategy rules out; put the child under a one_for_one supervisor of its own",
                );
            }
        }
        Ok(())
    }
}

pub(super) fn misconfigured(message: &str) -> ExitReason {
    ExitReason::Misconfigured {
        message: message.to_owned(),
    }
}

/// What is allowed and seldom meant. Not said of children that are started later, where a
/// temporary supervisor (of one connection, say) is as common as any.
fn warn_about(supervisor: &str, spec: &ChildSpec) {
    if spec.body.kind() != ChildKind::Supervisor || spec.significant {
        return;
    }
    let child = &*spec.id;
    match spec.restart {
        Restart::Permanent => {}
        Restart::Transient => tracing::warn!(
            supervisor,
            child,
            "a supervisor as a transient child stays down when it ends in order; make it permanent \
             unless that is meant"
        ),
        Restart::Temporary => tracing::warn!(
            supervisor,
            child,
            "a supervisor as a temporary child is not restarted when it gives up, and nobody else \
             is told; make it permanent unless that is meant"
        ),
    }
}
