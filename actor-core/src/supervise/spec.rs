//! What a supervisor needs to know of a child: its id, when to restart it, how long it may take.

use std::{fmt, future::Future, sync::Arc, time::Duration};

use super::{
    ChildKind, Outcome, StopSignal,
    goroutine::{GoBody, Make},
    run::ChildLink,
};

/// When a child that ended is started again: OTP's restart types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Restart {
    /// Always, however it ended.
    #[default]
    Permanent,
    /// After an end that is not orderly (see
    /// [`ExitReason::is_orderly`](crate::actor::ExitReason::is_orderly)): a panic, an error, a
    /// kill, a supervisor that gave up.
    Transient,
    /// Never; its spec is forgotten when it ends.
    Temporary,
}

/// How a supervisor deals with a kind of child. Implementations never block and never panic.
pub(crate) trait Body: Send + Sync {
    /// Starts an incarnation; `link` says `started` (unless this returns `Running`) and `ended`.
    fn start(&self, link: ChildLink) -> Begun;
    /// Asks the incarnation to stop.
    fn ask_stop(&self);
    /// Drops the incarnation where it is.
    fn kill(&self);
    /// It ended and stays down until a `start` comes, if ever.
    fn settle(&self);
    fn kind(&self) -> ChildKind;
}

/// How far `Body::start` came.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Begun {
    /// It runs: there is no init to wait for.
    Running,
    /// Its init runs: wait for the link's word.
    Starting,
}

/// What to run under a supervisor, and how.
///
/// Made from an actor ([`Child`](super::Child)), a goroutine ([`ChildSpec::go`]) or a whole
/// [`Supervisor`](super::Supervisor).
///
/// ```
/// use actor_core::supervise::{ChildSpec, Restart, Supervisor};
/// use std::time::Duration;
///
/// let spec = ChildSpec::go("janitor", || async { /* .. */ })
///     .restart(Restart::Transient)
///     .stop_within(Duration::from_secs(1));
/// let app = Supervisor::one_for_one("app").child(spec);
/// # let _ = app;
/// ```
pub struct ChildSpec {
    pub(super) id: Arc<str>,
    pub(super) restart: Restart,
    /// `None`: as long as it takes.
    pub(super) stop_within: Option<Duration>,
    pub(super) start_within: Option<Duration>,
    pub(super) body: Arc<dyn Body>,
}

/// How long a child that is no supervisor may take to stop, unless told otherwise: OTP's 5 s.
const STOP_WITHIN: Duration = Duration::from_secs(5);

impl ChildSpec {
    pub(super) fn new(id: impl Into<Arc<str>>, body: Arc<dyn Body>) -> Self {
        Self {
            id: id.into(),
            restart: Restart::default(),
            stop_within: Some(STOP_WITHIN),
            start_within: None,
            body,
        }
    }

    /// A supervised goroutine; `make` is called for each (re)start.
    ///
    /// It counts as started at once. Asked to stop it is dropped at its next await (its exit
    /// reason is then `Shutdown`); for one that has to finish something use
    /// [`go_until`](ChildSpec::go_until). Its future may return `()`, or a `Result<(), E>` whose
    /// `Err` is an end that is not orderly.
    pub fn go<F, Fut>(id: impl Into<Arc<str>>, mut make: F) -> Self
    where
        F: FnMut() -> Fut + Send + 'static,
        Fut: Future<Output: Outcome> + Send + 'static,
    {
        Self::new(
            id,
            Arc::new(GoBody::new(Make::new(move |_| Some(make())), false)),
        )
    }

    /// A supervised goroutine that is told when to stop, and dropped only when it takes longer
    /// than [`stop_within`](ChildSpec::stop_within).
    ///
    /// ```
    /// use actor_core::supervise::{ChildSpec, StopSignal};
    /// let spec = ChildSpec::go_until("flusher", |stop: StopSignal| async move {
    ///     stop.requested().await;
    ///     // .. write what is left, then return
    /// });
    /// # let _ = spec;
    /// ```
    pub fn go_until<F, Fut>(id: impl Into<Arc<str>>, mut make: F) -> Self
    where
        F: FnMut(StopSignal) -> Fut + Send + 'static,
        Fut: Future<Output: Outcome> + Send + 'static,
    {
        Self::new(
            id,
            Arc::new(GoBody::new(Make::new(move |stop| Some(make(stop))), true)),
        )
    }

    /// A temporary goroutine made of one future, such as a connection that was just accepted.
    /// It is never restarted, whatever [`restart`](ChildSpec::restart) says later.
    pub fn once<Fut>(id: impl Into<Arc<str>>, future: Fut) -> Self
    where
        Fut: Future<Output: Outcome> + Send + 'static,
    {
        let mut future = Some(future);
        Self::new(
            id,
            Arc::new(GoBody::new(Make::new(move |_| future.take()), false)),
        )
        .restart(Restart::Temporary)
    }

    /// As [`once`](ChildSpec::once), for one that is told when to stop.
    pub fn once_until<F, Fut>(id: impl Into<Arc<str>>, make: F) -> Self
    where
        F: FnOnce(StopSignal) -> Fut + Send + 'static,
        Fut: Future<Output: Outcome> + Send + 'static,
    {
        let mut make = Some(make);
        let make = Make::new(move |stop| make.take().map(|make| make(stop)));
        Self::new(id, Arc::new(GoBody::new(make, true))).restart(Restart::Temporary)
    }

    /// The child's id, unique in its supervisor.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// When to start it again; permanent unless set.
    #[must_use]
    pub fn restart(mut self, restart: Restart) -> Self {
        self.restart = restart;
        self
    }

    /// How long it may take to stop before it is killed; 5 s unless set, without a limit for a
    /// supervisor. `Duration::ZERO` kills it without asking (OTP's `brutal_kill`),
    /// `Duration::MAX` never does (OTP's `infinity`).
    #[must_use]
    pub fn stop_within(mut self, limit: Duration) -> Self {
        self.stop_within = (limit != Duration::MAX).then_some(limit);
        self
    }

    /// How long its init may take before it is killed and the start has failed; no limit unless
    /// set, as in OTP.
    #[must_use]
    pub fn start_within(mut self, limit: Duration) -> Self {
        self.start_within = (limit != Duration::MAX).then_some(limit);
        self
    }

    /// The same child again, for a supervisor's next incarnation.
    pub(super) fn share(&self) -> Self {
        Self {
            id: Arc::clone(&self.id),
            body: Arc::clone(&self.body),
            ..*self
        }
    }
}

impl fmt::Debug for ChildSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChildSpec")
            .field("id", &self.id)
            .field("kind", &self.body.kind())
            .field("restart", &self.restart)
            .field("stop_within", &self.stop_within)
            .field("start_within", &self.start_within)
            .finish()
    }
}
