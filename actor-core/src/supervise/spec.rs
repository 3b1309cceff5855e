//! What a supervisor needs to know of a child: its id, when to restart it, how long it may take.

use std::{fmt, future::Future, ops::Range, sync::Arc, time::Duration};

use super::{
    ChildKind, Outcome, StopSignal,
    backoff::Backoff,
    breaker::BreakerSpec,
    goroutine::{GoBody, Make},
    run::{ChildLink, Shared},
    thread::ThreadBody,
};
use crate::actor::{AnyRef, ExitReason};

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
    fn ask_stop(&self, until: Until);
    /// Drops the incarnation where it is.
    fn kill(&self);
    /// It ended, and a `start` is to come.
    fn will_restart(&self) {}
    /// It ended and stays down until a `start` comes, if ever.
    fn settle(&self);
    fn kind(&self) -> ChildKind;
    /// Whether an incarnation lives that would be in the next one's way.
    fn is_alive(&self) -> bool {
        false
    }
    /// Finds what is wrong with the tree below it.
    fn check(&self) -> Result<(), ExitReason> {
        Ok(())
    }
    /// Its handle, if it is an actor.
    fn actor(&self) -> Option<AnyRef> {
        None
    }
    /// Its address, if it is a supervisor.
    fn supervisor(&self) -> Option<&Arc<Shared>> {
        None
    }
}

/// How long a child is asked to be down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Until {
    /// For good, as far as its supervisor knows: it should finish what it was given.
    Further,
    /// Until it is started again, at once: what it was given can wait.
    Restart,
}

/// What a supervisor does about a child that was killed and doesn't end: one that doesn't yield,
/// or a thread that doesn't heed its signal. In any case it is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum OnStuck {
    /// Waits for its end, however long that takes; meanwhile nothing but questions is served. The
    /// next incarnation never runs beside the last one: OTP's rule.
    #[default]
    Wait,
    /// Goes on without it: it counts as stopped, and whatever it holds may be held for ever. A
    /// goroutine or thread may then be started anew beside it; an actor or supervisor can't be
    /// before it has ended: starting it fails until then.
    Detach,
    /// Aborts the process, for somebody outside to start it again.
    Abort,
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
    pub(super) significant: bool,
    pub(super) backoff: Option<Backoff>,
    pub(super) breaker: Option<BreakerSpec>,
    pub(super) on_stuck: OnStuck,
    pub(super) stuck_after: Duration,
    pub(super) body: Arc<dyn Body>,
}

/// How long a child that is no supervisor may take to stop, unless told otherwise: OTP's 5 s.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// A killed child that takes longer than this to end doesn't yield: it is stuck.
const STUCK_AFTER: Duration = Duration::from_secs(5);

impl ChildSpec {
    pub(super) fn new(id: impl Into<Arc<str>>, body: Arc<dyn Body>) -> Self {
        Self {
            id: id.into(),
            restart: Restart::default(),
            stop_within: Some(STOP_WITHIN),
            start_within: None,
            significant: false,
            backoff: None,
            breaker: None,
            on_stuck: OnStuck::default(),
            stuck_after: STUCK_AFTER,
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
        Self::goroutine(id.into(), Make::new(move |_| Some(make())), false)
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
        Self::goroutine(id.into(), Make::new(move |stop| Some(make(stop))), true)
    }

    /// A temporary goroutine made of one future, such as a connection that was just accepted.
    ///
    /// It is never restarted, whatever [`restart`](ChildSpec::restart) says later: a start but the first
    /// is one that says "not now". So a supervisor that is itself restarted begins without it.
    pub fn once<Fut>(id: impl Into<Arc<str>>, future: Fut) -> Self
    where
        Fut: Future<Output: Outcome> + Send + 'static,
    {
        let mut future = Some(future);
        Self::goroutine(id.into(), Make::new(move |_| future.take()), false)
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
        Self::goroutine(id.into(), make, true).restart(Restart::Temporary)
    }

    fn goroutine<F, Fut>(id: Arc<str>, make: Make<F, Fut>, listens: bool) -> Self
    where
        F: FnMut(StopSignal) -> Option<Fut> + Send + 'static,
        Fut: Future<Output: Outcome> + Send + 'static,
    {
        let body = GoBody::new(Arc::clone(&id), make, listens);
        Self::new(id, Arc::new(body))
    }

    /// A supervised OS thread, for code that blocks: `run` is called on a thread of its own for
    /// each (re)start.
    ///
    /// It counts as started at once, and belongs to the runtime: `go`, timers and `_blocking`
    /// methods work in it. It is to look at its [`StopSignal`] and return when asked. A thread
    /// can't be killed: a kill asks it once more, and if it doesn't end it is stuck
    /// ([`on_stuck`](ChildSpec::on_stuck)).
    ///
    /// ```
    /// use actor_core::supervise::{ChildSpec, StopSignal};
    /// use std::time::Duration;
    ///
    /// let spec = ChildSpec::thread("poller", |stop: StopSignal| {
    ///     while !stop.requested_within_blocking(Duration::from_millis(100)) {
    ///         // .. read the device, which blocks
    ///     }
    /// });
    /// # let _ = spec;
    /// ```
    pub fn thread<F, O>(id: impl Into<Arc<str>>, run: F) -> Self
    where
        F: Fn(StopSignal) -> O + Send + Sync + 'static,
        O: Outcome,
    {
        Self::new(id, Arc::new(ThreadBody::new(run)))
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

    /// Its end by itself may end its supervisor, as that one's
    /// [`auto_shutdown`](super::Supervisor::auto_shutdown) says. For transient and temporary
    /// children.
    #[must_use]
    pub fn significant(mut self) -> Self {
        self.significant = true;
        self
    }

    /// Waits before each restart: the first time somewhat longer than `range.start`, each further
    /// time about twice as long, up to `range.end`.
    ///
    /// The exact delay is drawn by chance. A child that ran for `range.end` starts at the short
    /// delays again. Meanwhile its mailbox accepts messages, its siblings run, and the supervisor
    /// serves requests; stopping the child calls the restart off. The restart counts against the
    /// intensity when it is made. It has no effect on [`restart_child`].
    ///
    /// [`restart_child`]: super::SupervisorRef::restart_child
    #[must_use]
    pub fn backoff(mut self, range: Range<Duration>) -> Self {
        self.backoff = Some(Backoff {
            min: range.start,
            max: range.end,
        });
        self
    }

    /// Leaves it down for `cool_down` when it would be restarted more than `restarts_max` times
    /// within `window`, instead of letting it end its supervisor.
    ///
    /// While it is down it is like a stopped one: its mailbox refuses messages, and those in it go
    /// back to their askers or count as dead letters. Then it is started for a try: if that fails,
    /// or doesn't last for `window`, it is left down again at once; otherwise all is as before.
    /// Its restarts don't count against the supervisor's intensity. `terminate_child` calls the
    /// try off, `restart_child` after that makes it at once.
    ///
    /// ```
    /// use actor_core::supervise::{ChildSpec, Supervisor};
    /// use std::time::Duration;
    ///
    /// let exporter = ChildSpec::go("exporter", || async { /* .. */ })
    ///     .circuit_breaker(5, Duration::from_secs(10), Duration::from_secs(60));
    /// let app = Supervisor::one_for_one("app").child(exporter);
    /// # let _ = app;
    /// ```
    #[must_use]
    pub fn circuit_breaker(
        mut self,
        restarts_max: u32,
        window: Duration,
        cool_down: Duration,
    ) -> Self {
        self.breaker = Some(BreakerSpec {
            restarts_max,
            window,
            cool_down,
        });
        self
    }

    /// What to do when it was killed and doesn't end; [`OnStuck::Wait`] unless set.
    #[must_use]
    pub fn on_stuck(mut self, policy: OnStuck) -> Self {
        self.on_stuck = policy;
        self
    }

    /// How long after a kill it counts as stuck; 5 s unless set.
    #[must_use]
    pub fn stuck_after(mut self, limit: Duration) -> Self {
        self.stuck_after = limit;
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
            .finish_non_exhaustive()
    }
}
