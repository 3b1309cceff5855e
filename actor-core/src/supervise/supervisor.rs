//! Building and starting a supervisor.

use std::{future::poll_fn, ops::Range, sync::Arc, time::Duration};

use super::{
    AutoShutdown, ChildSpec, Strategy, SupervisorRef,
    backoff::Backoff,
    config::Config,
    nested::{Address, SupervisorBody},
    run::Shared,
};
use crate::actor::{Phase, StartError};

/// A supervisor to be started: its children in start order, and how often it may restart them.
///
/// It starts them one at a time, each after the former's init returned, and stops them in reverse
/// order. Its constructor says whom a restart concerns ([`Strategy`]). Start it with
/// [`start`](Supervisor::start), or make it a child of another (`child(supervisor)`, or
/// `ChildSpec::from(supervisor)` to say more): it is then permanent and may take as long as it
/// needs to stop.
///
/// ```
/// use actor_core::supervise::{ChildSpec, Supervisor};
/// use std::time::Duration;
///
/// # actor_core::sched::Runtime::new().unwrap().run(async {
/// let connections = Supervisor::one_for_one("connections");
/// let accepted = connections.handle(); // to start children in later
/// let app = Supervisor::one_for_one("app")
///     .intensity(5, Duration::from_secs(10))
///     .child(connections)
///     .child(ChildSpec::go("clock", || async { std::future::pending::<()>().await }))
///     .start()
///     .await?;
/// accepted.start_child(ChildSpec::once("conn-1", async { /* serve it */ })).await.unwrap();
/// app.stop().await;
/// # Ok::<(), actor_core::actor::StartError>(())
/// # }).unwrap();
/// ```
#[derive(Debug)]
#[must_use = "a supervisor does nothing until it is started or made a child"]
pub struct Supervisor {
    children: Vec<ChildSpec>,
    config: Config,
    address: Address,
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.name)
    }
}

impl Supervisor {
    /// A supervisor that restarts a child without touching the others. Its name is its id when it
    /// is a child itself.
    pub fn one_for_one(name: impl Into<Arc<str>>) -> Self {
        Self::new(name.into(), Strategy::OneForOne)
    }

    /// A supervisor for children that can't do without each other: a restart concerns all of them.
    ///
    /// The others are stopped, last started first, then all are started in order; children that
    /// had ended or were terminated are started as well, temporary ones are not and are forgotten.
    /// An actor that is stopped for a sibling leaves its queue to its next incarnation. If one
    /// can't start, all are stopped and started again, as often as the intensity allows; a restart
    /// of all counts once.
    pub fn one_for_all(name: impl Into<Arc<str>>) -> Self {
        Self::new(name.into(), Strategy::OneForAll)
    }

    /// A supervisor for children that build on those started before them: a restart concerns the
    /// child and those after it, as [`one_for_all`](Supervisor::one_for_all) says for all. If one
    /// of them can't start, it and those after it are tried again.
    pub fn rest_for_one(name: impl Into<Arc<str>>) -> Self {
        Self::new(name.into(), Strategy::RestForOne)
    }

    /// A supervisor whose children all come later, by
    /// [`start_child`](SupervisorRef::start_child): OTP's simple_one_for_one, Elixir's
    /// `DynamicSupervisor`.
    ///
    /// They are named by the [`ChildKey`](super::ChildKey) that `start_child` returns; their ids
    /// are for people and need not differ. One that ends and is not restarted is forgotten. At the
    /// stop all are asked at once, each has its own deadline, and there is no order.
    ///
    /// ```
    /// use actor_core::supervise::{ChildError, ChildSpec, Supervisor};
    ///
    /// # actor_core::Runtime::new().unwrap().run(async {
    /// let rooms = Supervisor::dynamic("rooms").max_children(2).start().await.unwrap();
    /// let room = || ChildSpec::go("room", || std::future::pending::<()>());
    /// let lobby = rooms.start_child(room()).await.unwrap();
    /// rooms.start_child(room()).await.unwrap();
    /// assert_eq!(rooms.start_child(room()).await, Err(ChildError::MaxChildren { max: 2 }));
    /// rooms.terminate_child(lobby).await.unwrap();
    /// rooms.start_child(room()).await.unwrap();
    /// # });
    /// ```
    pub fn dynamic(name: impl Into<Arc<str>>) -> Self {
        Self::new(name.into(), Strategy::Dynamic)
    }

    pub(super) fn new(name: Arc<str>, strategy: Strategy) -> Self {
        Self {
            children: Vec::new(),
            config: Config::new(strategy),
            address: Address(Shared::new(name)),
        }
    }

    pub(super) fn config_mut(&mut self) -> &mut Config {
        &mut self.config
    }

    /// At most `restarts_max` restarts within `window`; one more and it gives up: it stops its
    /// children and ends with [`ExitReason::GaveUp`](crate::actor::ExitReason::GaveUp).
    ///
    /// 3 within 5 s unless set (Elixir's default; OTP's is 1). The window slides and includes both
    /// its ends, attempts that fail count, all children share it. With 0 the first exit that calls
    /// for a restart ends the supervisor.
    pub fn intensity(mut self, restarts_max: u32, window: Duration) -> Self {
        (self.config.restarts_max, self.config.window) = (restarts_max, window);
        self
    }

    /// Waits before each restart of a child, as [`ChildSpec::backoff`] says; for children that
    /// have none of their own. In a group restart the child that ended has its delay first, and its
    /// siblings run until it is over.
    pub fn backoff(mut self, range: Range<Duration>) -> Self {
        self.config.backoff = Some(Backoff {
            min: range.start,
            max: range.end,
        });
        self
    }

    /// Ends the supervisor, with [`ExitReason::Shutdown`](crate::actor::ExitReason::Shutdown),
    /// when significant children have ended; never unless set.
    ///
    /// A supervisor that is to end like this and stay down is itself transient or temporary in
    /// its parent, and may be significant there.
    ///
    /// ```
    /// use actor_core::{actor::ExitReason, supervise::{AutoShutdown, ChildSpec, Restart, Supervisor}};
    ///
    /// # actor_core::Runtime::new().unwrap().run(async {
    /// let job = ChildSpec::go("job", || async { /* work, then */ });
    /// let batch = Supervisor::one_for_one("batch")
    ///     .auto_shutdown(AutoShutdown::AnySignificant)
    ///     .child(ChildSpec::go("cache", || std::future::pending::<()>()))
    ///     .child(job.restart(Restart::Transient).significant())
    ///     .start()
    ///     .await
    ///     .unwrap();
    /// assert_eq!(batch.wait().await, ExitReason::Shutdown);
    /// # });
    /// ```
    pub fn auto_shutdown(mut self, when: AutoShutdown) -> Self {
        self.config.auto_shutdown = when;
        self
    }

    /// The most children that it may have, running or not: `start_child` refuses one more. No
    /// limit unless set.
    pub fn max_children(mut self, max: usize) -> Self {
        self.config.children_max = Some(max);
        self
    }

    /// Adds a child, the last to start and the first to stop so far.
    pub fn child(mut self, child: impl Into<ChildSpec>) -> Self {
        self.children.push(child.into());
        self
    }

    /// Its handle: valid now, and across restarts. Requests made before the start wait for it.
    #[must_use]
    pub fn handle(&self) -> SupervisorRef {
        SupervisorRef::new(Arc::clone(&self.address.0))
    }

    /// Starts it and its children, and is ready when the last one's init has returned.
    ///
    /// It then runs until it is stopped, gives up, or the runtime ends; dropping the handle
    /// doesn't stop it. Dropping this future kills it and what it has started.
    ///
    /// # Errors
    /// [`StartError`], whose `failed_child` is the one that could not start, for whatever reason:
    /// those started before it were stopped in reverse order, those after it never began.
    /// Nothing is retried at the start: that is OTP's rule, and makes it mean something.
    ///
    /// When the tree is misconfigured
    /// ([`ExitReason::Misconfigured`](crate::actor::ExitReason::Misconfigured)), nothing has begun:
    /// two children with one id, a window of zero, a significant child that is permanent or whose
    /// supervisor has no `auto_shutdown`, an empty range of delays, and what else the builders'
    /// docs rule out.
    ///
    /// # Panics
    /// Outside of a runtime.
    pub async fn start(self) -> Result<SupervisorRef, StartError> {
        if cfg!(panic = "abort") {
            tracing::warn!(
                supervisor = &*self.address.0.name,
                "built with panic = \"abort\": a panic ends the process and nothing is restarted"
            );
        }
        let name = &self.address.0.name;
        if let Err(reason) = self.config.check(name, &self.children) {
            return Err(StartError::new(name, reason));
        }
        let handle = self.handle();
        let shared = Arc::clone(&self.address.0);
        let mut unfinished = KillOnDrop(Some(&shared));
        let body = Arc::new(self.into_body());
        body.spawn(None, Some(Arc::clone(&body) as _));
        drop(body);
        let mut key = None;
        let started = poll_fn(|cx| {
            shared.life.poll_until(&mut key, cx, |s| match s.phase() {
                Phase::Running => Some(Ok(())),
                Phase::Dead if s.last_exit().is_orderly() => Some(Ok(())),
                Phase::Dead => Some(Err(s.last_exit())),
                Phase::Idle | Phase::Starting | Phase::Down => None,
            })
        })
        .await;
        unfinished.0 = None;
        match started {
            Ok(()) => Ok(handle),
            Err(reason) => Err(StartError::new(&shared.name, reason)),
        }
    }

    fn into_body(self) -> SupervisorBody {
        let Self {
            children,
            config,
            address,
        } = self;
        SupervisorBody {
            children,
            config,
            address,
        }
    }
}

impl From<Supervisor> for ChildSpec {
    fn from(supervisor: Supervisor) -> Self {
        let id = Arc::clone(&supervisor.address.0.name);
        ChildSpec::new(id, Arc::new(supervisor.into_body())).stop_within(Duration::MAX)
    }
}

struct KillOnDrop<'a>(Option<&'a Arc<Shared>>);

impl Drop for KillOnDrop<'_> {
    fn drop(&mut self) {
        if let Some(shared) = self.0 {
            shared.life.kill();
        }
    }
}
