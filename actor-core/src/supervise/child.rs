//! An actor as a child: its handle exists before it is started and survives restarts.

use std::{fmt, ops::Range, sync::Arc, time::Duration};

use super::{ChildSpec, OnStuck, Restart, actor_body::ActorBody};
use crate::actor::{Actor, ActorRef, Cell};

/// What a restart does about the messages that wait in the actor's mailbox. What becomes of the one
/// that crashed it, [`Poison`](crate::actor::Poison) says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum OnRestart {
    /// They wait for the next incarnation, and so do those that are sent meanwhile: Akka's rule.
    #[default]
    Keep,
    /// They go back to their askers (`CallError::Stopped`) or count as dead letters, and until the
    /// next incarnation begins further ones are refused: OTP's rule, where a new process has an
    /// empty mailbox.
    Clear,
}

/// An actor to be supervised.
///
/// The mailbox exists from here on: a message sent through [`handle`](Child::handle) before the
/// start waits for it. If the child is dropped without being started, or its supervisor ends,
/// its senders and askers are told that it is stopped.
///
/// So do messages wait that are sent while its supervisor is itself restarted by one above: because
/// it gave up, failed to start or was killed, or for a sibling's sake. (Not if it was asked to stop,
/// or shut itself down in order: then it is open again after the restart only. And not those of a
/// child that [`start_child`](super::SupervisorRef::start_child) has added, which is gone with that
/// incarnation of its supervisor.)
///
/// ```
/// # use actor_core::actor::{Actor, Ctx, ActorRef, Message};
/// # use std::convert::Infallible;
/// # struct Log; struct Line(String); impl Message for Line {}
/// # impl Actor for Log {
/// #     type Msg = Line; type Args = (); type Error = Infallible; type Handle = ActorRef<Self>;
/// #     const NAME: &'static str = "log";
/// #     async fn init(_: (), _: &Ctx<Self>) -> Result<Self, Infallible> { Ok(Log) }
/// #     async fn handle(&mut self, _: Line, _: &Ctx<Self>) {}
/// # }
/// use actor_core::supervise::{Child, Restart, Supervisor};
///
/// let log = Child::<Log>::new("log", || ()).restart(Restart::Transient);
/// let handle = log.handle(); // hand it out, then start the tree
/// # actor_core::sched::Runtime::new().unwrap().run(async move {
/// let app = Supervisor::one_for_one("app").child(log).start().await.unwrap();
/// assert_eq!(handle.name(), "log");
/// app.stop().await;
/// # });
/// ```
pub struct Child<A: Actor> {
    spec: ChildSpec,
    cell: Arc<Cell<A>>,
    body: Arc<ActorBody<A>>,
}

impl<A: Actor> Child<A> {
    /// A child with this id; `args` is called for the arguments of each (re)start's `init`.
    pub fn new(id: impl Into<Arc<str>>, args: impl FnMut() -> A::Args + Send + 'static) -> Self {
        let id = id.into();
        let cell = Cell::new(&id, true);
        let body = Arc::new(ActorBody::new(Arc::clone(&cell), Box::new(args)));
        Self {
            spec: ChildSpec::new(id, Arc::clone(&body) as _),
            cell,
            body,
        }
    }

    /// Registers the actor under a name of the runtime, from before its `init` runs until it ends
    /// for good: across restarts, and afresh when it is started again after that. Where
    /// [`whereis`](crate::actor::registry::whereis) finds it; the last name given counts.
    ///
    /// The start fails with [`ExitReason::NameTaken`](crate::actor::ExitReason::NameTaken), and
    /// `init` doesn't run, when another actor has the name: of two that race for one, one starts.
    ///
    /// ```
    /// use actor_core::{actor::registry, prelude::*};
    ///
    /// struct Bank;
    /// #[actor]
    /// impl Bank {
    ///     #[init]
    ///     fn new() -> Self { Bank }
    ///     pub fn balance(&self) -> u64 { 7 }
    /// }
    ///
    /// # actor_core::Runtime::new().unwrap().run(async {
    /// let app = Supervisor::one_for_one("app")
    ///     .child(Bank::child("bank").register("bank"))
    ///     .start()
    ///     .await
    ///     .unwrap();
    /// assert_eq!(registry::whereis::<Bank>("bank").unwrap().balance().await, Ok(7));
    /// app.stop().await;
    /// assert!(registry::whereis::<Bank>("bank").is_err());
    /// # });
    /// ```
    #[must_use]
    pub fn register(self, name: impl Into<Arc<str>>) -> Self {
        self.body.register(name.into());
        self
    }

    /// The actor's handle, valid now and across restarts.
    #[must_use]
    pub fn handle(&self) -> A::Handle {
        self.actor_ref().into()
    }

    pub(crate) fn actor_ref(&self) -> ActorRef<A> {
        ActorRef::new(Arc::clone(&self.cell))
    }

    /// Its id in its supervisor, which is the actor's name too.
    #[must_use]
    pub fn id(&self) -> &str {
        self.spec.id()
    }

    /// See [`ChildSpec::restart`].
    #[must_use]
    pub fn restart(mut self, restart: Restart) -> Self {
        self.spec = self.spec.restart(restart);
        self
    }

    /// See [`ChildSpec::stop_within`]. Stopping handles the queued messages, then runs the stop
    /// hook.
    #[must_use]
    pub fn stop_within(mut self, limit: Duration) -> Self {
        self.spec = self.spec.stop_within(limit);
        self
    }

    /// See [`ChildSpec::start_within`].
    #[must_use]
    pub fn start_within(mut self, limit: Duration) -> Self {
        self.spec = self.spec.start_within(limit);
        self
    }

    /// What a restart does about its mailbox; [`OnRestart::Keep`] unless set.
    #[must_use]
    pub fn on_restart(self, what: OnRestart) -> Self {
        self.body.on_restart(what);
        self
    }

    /// See [`ChildSpec::significant`].
    #[must_use]
    pub fn significant(mut self) -> Self {
        self.spec = self.spec.significant();
        self
    }

    /// See [`ChildSpec::backoff`].
    #[must_use]
    pub fn backoff(mut self, range: Range<Duration>) -> Self {
        self.spec = self.spec.backoff(range);
        self
    }

    /// See [`ChildSpec::circuit_breaker`].
    #[must_use]
    pub fn circuit_breaker(
        mut self,
        restarts_max: u32,
        window: Duration,
        cool_down: Duration,
    ) -> Self {
        self.spec = self.spec.circuit_breaker(restarts_max, window, cool_down);
        self
    }

    /// See [`ChildSpec::on_stuck`].
    #[must_use]
    pub fn on_stuck(mut self, policy: OnStuck) -> Self {
        self.spec = self.spec.on_stuck(policy);
        self
    }

    /// See [`ChildSpec::stuck_after`].
    #[must_use]
    pub fn stuck_after(mut self, limit: Duration) -> Self {
        self.spec = self.spec.stuck_after(limit);
        self
    }
}

impl<A: Actor> From<Child<A>> for ChildSpec {
    fn from(child: Child<A>) -> Self {
        child.spec
    }
}

impl<A: Actor> fmt::Debug for Child<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Child")
            .field("actor", &self.cell)
            .field("spec", &self.spec)
            .finish()
    }
}
