//! Every strategy, restart type and way to end: who is restarted, and whom else that concerns.
//!
//! One table, one test for each cell. The supervisor may restart just as often as the cell says, so
//! that a restart too many, or an end that counts and shouldn't, makes it give up.

use std::{
    future::{Future, pending},
    pin::Pin,
};

use actor_core::{
    actor::ExitReason,
    sched::yield_now,
    supervise::{
        AutoShutdown, ChildError, ChildName, ChildSpec, ChildState, Restart, Strategy, Supervisor,
    },
};

use crate::{
    LONG, kid,
    probe::{Gate, Log},
    run,
};

#[derive(Debug, Clone, Copy, PartialEq)]
enum End {
    Normal,
    Shutdown,
    ShutdownWith,
    Panicked,
    Killed,
    Failed,
    GaveUp,
}

impl End {
    fn is_it(self, reason: &ExitReason) -> bool {
        match self {
            Self::Normal => *reason == ExitReason::Normal,
            Self::Shutdown => *reason == ExitReason::Shutdown,
            Self::ShutdownWith => matches!(reason, ExitReason::ShutdownWith { .. }),
            Self::Panicked => matches!(reason, ExitReason::Panicked { .. }),
            Self::Killed => *reason == ExitReason::Killed,
            Self::Failed => matches!(reason, ExitReason::Failed { .. }),
            Self::GaveUp => matches!(reason, ExitReason::GaveUp { .. }),
        }
    }

    /// OTP's table, and ours for the supervisor that gave up.
    fn calls_for_a_restart(self, restart: Restart) -> bool {
        match restart {
            Restart::Permanent => true,
            Restart::Transient => {
                !matches!(self, Self::Normal | Self::Shutdown | Self::ShutdownWith)
            }
            Restart::Temporary => false,
        }
    }
}

fn supervisor(strategy: Strategy) -> Supervisor {
    match strategy {
        Strategy::OneForOne => Supervisor::one_for_one("app"),
        Strategy::OneForAll => Supervisor::one_for_all("app"),
        Strategy::RestForOne => Supervisor::rest_for_one("app"),
        Strategy::Dynamic => Supervisor::dynamic("app"),
    }
}

type Ends = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Child b, and what makes it end like this, once.
fn ending_like(end: End, log: &Log) -> (ChildSpec, Ends) {
    match end {
        End::Normal | End::ShutdownWith | End::Panicked | End::Killed => {
            let (b, kid) = kid("b", log);
            let ends = Box::pin(async move {
                match end {
                    End::Normal => kid.finish().await,
                    End::Panicked => kid.crash().await,
                    End::ShutdownWith => drop(kid.handle.stop_with("tired").await),
                    _ => drop(kid.handle.kill().await),
                }
            });
            (b.into(), ends)
        }
        End::Failed => {
            let (gate, mut first) = (Gate::new(), true);
            let door = gate.clone();
            let b = ChildSpec::go("b", move || {
                let (first, door) = (std::mem::take(&mut first), door.clone());
                async move {
                    if !first {
                        pending::<()>().await;
                    }
                    door.pass().await;
                    Err::<(), _>("told to")
                }
            });
            (b, Box::pin(async move { gate.open() }))
        }
        End::Shutdown => {
            let (deep, kid) = kid("deep", log);
            let b = Supervisor::one_for_one("b")
                .auto_shutdown(AutoShutdown::AnySignificant)
                .child(deep.restart(Restart::Transient).significant());
            (b.into(), Box::pin(async move { kid.finish().await }))
        }
        End::GaveUp => {
            let (deep, kid) = kid("deep", log);
            let b = Supervisor::one_for_one("b").intensity(0, LONG).child(deep);
            (b.into(), Box::pin(async move { kid.crash().await }))
        }
    }
}

/// Children a, b, c; b ends.
fn check(strategy: Strategy, restart: Restart, end: End) {
    run(move || async move {
        let log = Log::default();
        let again = end.calls_for_a_restart(restart);
        let (a, first) = kid("a", &log);
        let (b, ends) = ending_like(end, &log);
        let (c, last) = kid("c", &log);
        let children = [a.into(), b.restart(restart), c.into()];
        let mut app = supervisor(strategy).intensity(u32::from(again), LONG);
        let mut name = ChildName::from("b");
        let app = if strategy == Strategy::Dynamic {
            let app = app.start().await.unwrap();
            let mut keys = Vec::new();
            for child in children {
                keys.push(app.start_child(child).await.unwrap());
            }
            name = keys[1].into();
            app
        } else {
            for child in children {
                app = app.child(child);
            }
            app.start().await.unwrap()
        };

        ends.await;
        let left = loop {
            match app.which_child(name.clone()).await {
                Ok(info) if info.last_exit.is_none() => yield_now().await,
                left => break left,
            }
        };
        let forgotten = !again && (restart == Restart::Temporary || strategy == Strategy::Dynamic);
        if forgotten {
            assert_eq!(left, Err(ChildError::NotFound { child: name }));
        } else {
            let left = left.unwrap();
            let state = if again {
                ChildState::Running
            } else {
                ChildState::Stopped
            };
            assert_eq!((left.state, left.restarts), (state, u64::from(again)));
            let reason = left.last_exit.unwrap();
            assert!(end.is_it(&reason), "{reason:?}");
        }
        let (all, rest) = (Strategy::OneForAll, Strategy::RestForOne);
        let a_too = again && strategy == all;
        let c_too = again && (strategy == all || strategy == rest);
        assert_eq!(first.life().await, 1 + u64::from(a_too), "child a");
        assert_eq!(last.life().await, 1 + u64::from(c_too), "child c");
        assert!(!app.is_stopped());
        assert_eq!(app.stop().await, ExitReason::Normal);
    });
}

macro_rules! cells {
    ($strategy:ident, $restart:ident) => {
        use super::super::*;

        /// supervisor_SUITE: permanent_normal, transient_normal, temporary_normal.
        #[test]
        fn that_finishes() {
            check(Strategy::$strategy, Restart::$restart, End::Normal);
        }

        /// supervisor_SUITE: permanent_shutdown, transient_shutdown, temporary_shutdown.
        #[test]
        fn that_ends_with_shutdown() {
            check(Strategy::$strategy, Restart::$restart, End::Shutdown);
        }

        /// supervisor_SUITE: shutdown_termination, with `{shutdown, Cause}`.
        #[test]
        fn that_ends_with_shutdown_and_a_cause() {
            check(Strategy::$strategy, Restart::$restart, End::ShutdownWith);
        }

        /// supervisor_SUITE: permanent_abnormal, transient_abnormal, temporary_abnormal.
        #[test]
        fn that_panics() {
            check(Strategy::$strategy, Restart::$restart, End::Panicked);
        }

        /// supervisor_SUITE, abnormal_termination, with `exit(Pid, kill)`: the reason is `killed`.
        #[test]
        fn that_is_killed() {
            check(Strategy::$strategy, Restart::$restart, End::Killed);
        }

        /// supervisor_SUITE, abnormal_termination, with a reason of the child's own.
        #[test]
        fn that_ends_with_an_error() {
            check(Strategy::$strategy, Restart::$restart, End::Failed);
        }

        /// supervisor_SUITE: one_for_one_escalation, one level further up. Ours: giving up is an
        /// end of its own, which a transient parent acts on; OTP's is `shutdown`.
        #[test]
        fn that_is_a_supervisor_and_gives_up() {
            check(Strategy::$strategy, Restart::$restart, End::GaveUp);
        }
    };
}

macro_rules! rows {
    ($($module:ident: $strategy:ident),*) => {$(
        mod $module {
            mod a_permanent_child {
                cells!($strategy, Permanent);
            }
            mod a_transient_child {
                cells!($strategy, Transient);
            }
            mod a_temporary_child {
                cells!($strategy, Temporary);
            }
        }
    )*};
}

rows!(
    one_for_one: OneForOne,
    one_for_all: OneForAll,
    rest_for_one: RestForOne,
    simple_one_for_one: Dynamic
);
