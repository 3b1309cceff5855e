//! The handle of a supervisor: what a running one can be asked.

use std::{
    fmt,
    future::Future,
    hash::{Hash, Hasher},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use super::{
    ChildCounts, ChildError, ChildInfo, ChildKey, ChildName, ChildSpec, Tree, info::Listing,
    run::Shared, spec::Until,
};
use crate::{
    actor::{ActorId, ExitReason, Monitor, Phase, Reply, StopReason, Watched, Watchee},
    chan::reply,
};

/// What the engine's control mailbox carries.
pub(crate) enum Command {
    Started {
        slot: u32,
        serial: u32,
    },
    Exited {
        slot: u32,
        serial: u32,
        reason: ExitReason,
    },
    Retry {
        slot: u32,
        serial: u32,
    },
    /// For that incarnation only: a request that came too late must not stop the next.
    Stop {
        why: StopReason,
        /// Whether it is started again at once.
        until: Until,
        incarnation: u32,
    },
    StartChild {
        spec: ChildSpec,
        reply: Reply<Result<ChildKey, ChildError>>,
    },
    RestartChild {
        child: ChildName,
        reply: Reply<Result<(), ChildError>>,
    },
    TerminateChild {
        child: ChildName,
        reply: Reply<Result<(), ChildError>>,
    },
    DeleteChild {
        child: ChildName,
        reply: Reply<Result<(), ChildError>>,
    },
    WhichChildren {
        reply: Reply<Listing>,
    },
    WhichChild {
        child: ChildName,
        reply: Reply<Result<ChildInfo, ChildError>>,
    },
    CountChildren {
        reply: Reply<ChildCounts>,
    },
}

/// The address of a supervisor: cheap to clone, valid before its start and across restarts.
/// Dropping it doesn't stop the supervisor.
///
/// Requests are served in order, and not while a child is starting or stopping (questions are,
/// while a child is stuck). So a child that awaits one in its own `init` or stop hook waits for
/// itself, as in OTP. A request whose future is dropped after its first poll is still carried out.
/// Each of them fails with [`SupervisorStopped`](ChildError::SupervisorStopped) when the
/// supervisor is stopped for good.
#[derive(Clone)]
pub struct SupervisorRef {
    shared: Arc<Shared>,
}

impl SupervisorRef {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// The supervisor's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// Its id, by which a [`Down`](crate::actor::Down) names it.
    #[must_use]
    pub fn id(&self) -> ActorId {
        self.shared.id
    }

    /// True once it has ended and nothing is about to start it again.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.shared.life.look(|s| s.phase() == Phase::Dead)
    }

    /// Asks it to stop its children, last started first, each within its deadline, and to end.
    ///
    /// The request is made by the call; the future is ready when all of them have ended. A
    /// supervisor that is itself a permanent child is then started again. Stopping one that is
    /// stopping or has ended changes nothing, and tells how it ended.
    #[must_use = "the request is made; await it to know when all has stopped, or `drop` it"]
    pub fn stop(&self) -> SupervisorExit {
        let exit = self.exit_of_this_incarnation();
        if let Some(incarnation) = exit.incarnation {
            self.shared.tell(Command::Stop {
                why: StopReason::Requested,
                until: Until::Further,
                incarnation,
            });
        }
        exit
    }

    /// Ends it without ceremony: its children are killed, in no order, and no hook runs. The
    /// future is ready when all of them have ended.
    #[must_use = "the kill is done; await it to know when all has ended, or `drop` it"]
    pub fn kill(&self) -> SupervisorExit {
        let exit = self.exit_of_this_incarnation();
        self.shared.life.kill();
        exit
    }

    /// Waits until it has ended for good and says how; by then all its children have.
    #[must_use = "futures do nothing unless awaited"]
    pub fn wait(&self) -> SupervisorExit {
        SupervisorExit {
            shared: Arc::clone(&self.shared),
            incarnation: None,
            key: None,
        }
    }

    /// Watches the incarnation that lives now: ready with a [`Down`](crate::actor::Down) when it and
    /// all its children have ended. As [`ActorRef::monitor`](crate::actor::ActorRef::monitor); an actor
    /// uses [`Ctx::monitor`](crate::actor::Ctx::monitor), or links with it.
    ///
    /// ```
    /// use actor_core::{actor::ExitReason, prelude::*};
    ///
    /// # actor_core::Runtime::new().unwrap().run(async {
    /// let app = Supervisor::one_for_one("app").start().await.unwrap();
    /// let monitor = app.monitor();
    /// app.stop().await;
    /// let down = monitor.await;
    /// assert_eq!((down.id, down.reason), (app.id(), ExitReason::Normal));
    /// # });
    /// ```
    pub fn monitor(&self) -> Monitor {
        Monitor::new(Arc::clone(&self.shared) as _)
    }

    fn exit_of_this_incarnation(&self) -> SupervisorExit {
        let incarnation = Some(self.shared.life.look(|s| s.incarnation()));
        SupervisorExit {
            shared: Arc::clone(&self.shared),
            incarnation,
            key: None,
        }
    }

    /// Starts one more child, the last in the order, and waits for its init. The key names it for
    /// good.
    ///
    /// # Errors
    /// [`AlreadyStarted`](ChildError::AlreadyStarted), with the child that runs, or
    /// [`AlreadyPresent`](ChildError::AlreadyPresent) when the id is taken,
    /// [`MaxChildren`](ChildError::MaxChildren), [`Ignored`](ChildError::Ignored) when its init said
    /// "not now", [`StartFailed`](ChildError::StartFailed) when it could not start, or is misconfigured: it
    /// is then forgotten, and its siblings are untouched.
    pub async fn start_child<S: Into<ChildSpec>>(&self, spec: S) -> Result<ChildKey, ChildError> {
        let spec = spec.into();
        self.ask(|reply| Command::StartChild { spec, reply })
            .await?
    }

    /// Starts a stopped child again, in its old place in the order. It doesn't count as a restart
    /// against the intensity.
    ///
    /// # Errors
    /// [`Running`](ChildError::Running), [`Restarting`](ChildError::Restarting),
    /// [`NotFound`](ChildError::NotFound), [`Dynamic`](ChildError::Dynamic), or
    /// [`StartFailed`](ChildError::StartFailed) and [`Ignored`](ChildError::Ignored): it stays
    /// stopped.
    pub async fn restart_child(&self, child: impl Into<ChildName>) -> Result<(), ChildError> {
        let child = child.into();
        self.ask(|reply| Command::RestartChild { child, reply })
            .await?
    }

    /// Stops a child within its deadline, or by force, and keeps its spec (a temporary child's and
    /// a dynamic supervisor's child's is forgotten). A restart that was to come is called off,
    /// whether it was about to be retried or waited for a backoff or a circuit breaker.
    ///
    /// # Errors
    /// [`NotFound`](ChildError::NotFound), [`Dynamic`](ChildError::Dynamic). A stopped child is
    /// fine, and so is the key of one that is gone.
    pub async fn terminate_child(&self, child: impl Into<ChildName>) -> Result<(), ChildError> {
        let child = child.into();
        self.ask(|reply| Command::TerminateChild { child, reply })
            .await?
    }

    /// Forgets a stopped child.
    ///
    /// # Errors
    /// [`Running`](ChildError::Running), [`Restarting`](ChildError::Restarting),
    /// [`NotFound`](ChildError::NotFound) or [`Dynamic`](ChildError::Dynamic).
    pub async fn delete_child(&self, child: impl Into<ChildName>) -> Result<(), ChildError> {
        let child = child.into();
        self.ask(|reply| Command::DeleteChild { child, reply })
            .await?
    }

    /// Its children, in start order.
    ///
    /// # Errors
    /// [`SupervisorStopped`](ChildError::SupervisorStopped).
    pub async fn which_children(&self) -> Result<Vec<ChildInfo>, ChildError> {
        let listing = self.listing().await?;
        Ok(listing.children.into_iter().map(|(info, _)| info).collect())
    }

    /// One of its children.
    ///
    /// # Errors
    /// [`NotFound`](ChildError::NotFound), and in a dynamic supervisor
    /// [`Dynamic`](ChildError::Dynamic) for an id.
    pub async fn which_child(&self, child: impl Into<ChildName>) -> Result<ChildInfo, ChildError> {
        let child = child.into();
        self.ask(|reply| Command::WhichChild { child, reply })
            .await?
    }

    /// The supervisor and all below it, to be printed.
    ///
    /// Each supervisor in it answers for itself, so the picture is not of one moment. One that is
    /// starting or stopping a child is waited for.
    ///
    /// # Errors
    /// [`SupervisorStopped`](ChildError::SupervisorStopped).
    ///
    /// ```
    /// use actor_core::supervise::{ChildSpec, Supervisor};
    ///
    /// # actor_core::Runtime::new().unwrap().run(async {
    /// let web = Supervisor::one_for_all("web")
    ///     .child(ChildSpec::go("listener", || std::future::pending::<()>()));
    /// let app = Supervisor::one_for_one("app").child(web).start().await.unwrap();
    /// let tree = app.tree().await.unwrap();
    /// assert_eq!(
    ///     tree.to_string(),
    ///     "app: supervisor, one_for_one\n\
    ///      └─ web: supervisor, one_for_all, running\n   \
    ///         └─ listener: goroutine, running\n"
    /// );
    /// # });
    /// ```
    pub async fn tree(&self) -> Result<Tree, ChildError> {
        Tree::of(self.clone()).await
    }

    pub(super) async fn listing(&self) -> Result<Listing, ChildError> {
        self.ask(|reply| Command::WhichChildren { reply }).await
    }

    /// How many children it has, and how many of them run.
    ///
    /// # Errors
    /// [`SupervisorStopped`](ChildError::SupervisorStopped).
    pub async fn count_children(&self) -> Result<ChildCounts, ChildError> {
        self.ask(|reply| Command::CountChildren { reply }).await
    }

    async fn ask<R>(&self, command: impl FnOnce(Reply<R>) -> Command) -> Result<R, ChildError> {
        let (slot, answer) = reply();
        // Refused when it is stopped for good; the slot in it dies and says so.
        self.shared.tell(command(slot));
        answer.await.map_err(|_| ChildError::SupervisorStopped)
    }
}

impl Watched<SupervisorRef> for SupervisorRef {
    fn watched(&self) -> Watchee {
        Watchee(Arc::clone(&self.shared) as _)
    }
}

impl fmt::Debug for SupervisorRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SupervisorRef")
            .field(&self.shared.name)
            .finish()
    }
}

impl PartialEq for SupervisorRef {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }
}

impl Eq for SupervisorRef {}

impl Hash for SupervisorRef {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.shared).hash(state);
    }
}

/// The end of a supervisor: of one incarnation after `stop` and `kill`, for good after `wait`.
/// When it is ready its children have ended. May be dropped at any time.
pub struct SupervisorExit {
    shared: Arc<Shared>,
    /// `None`: the end for good.
    incarnation: Option<u32>,
    key: Option<u32>,
}

impl Future for SupervisorExit {
    type Output = ExitReason;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<ExitReason> {
        let this = &mut *self;
        let incarnation = this.incarnation;
        this.shared
            .life
            .poll_until(&mut this.key, cx, |s| s.exit_of(incarnation))
    }
}

impl Drop for SupervisorExit {
    fn drop(&mut self) {
        self.shared.life.unregister(&mut self.key);
    }
}

impl fmt::Debug for SupervisorExit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SupervisorExit")
            .field(&self.shared.name)
            .finish()
    }
}
