//! Building and starting a supervisor.

use std::{future::poll_fn, sync::Arc, time::Duration};

use super::{
    ChildSpec, SupervisorRef,
    nested::{Address, SupervisorBody},
    run::Shared,
};
use crate::actor::{Phase, StartError};

/// A supervisor to be started: its children in start order, and how often it may restart them.
///
/// It starts them one at a time, each after the former's init returned, and stops them in reverse
/// order. Strategy: one_for_one, a child that ends affects no other. Start it with
/// [`start`](Supervisor::start), or make it a child of another (`child(supervisor)`): it is then
/// permanent and may take as long as it needs to stop.
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
    restarts_max: u32,
    window: Duration,
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
        Self {
            children: Vec::new(),
            restarts_max: 3,
            window: Duration::from_secs(5),
            address: Address(Shared::new(name.into())),
        }
    }

    /// At most `restarts_max` restarts within `window`; one more and it gives up: it stops its
    /// children and ends with [`ExitReason::GaveUp`](crate::actor::ExitReason::GaveUp).
    ///
    /// 3 within 5 s unless set (Elixir's default; OTP's is 1). The window slides and includes both
    /// its ends, attempts that fail count, all children share it. With 0 the first exit that calls
    /// for a restart ends the supervisor.
    pub fn intensity(mut self, restarts_max: u32, window: Duration) -> Self {
        (self.restarts_max, self.window) = (restarts_max, window);
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
    /// # Panics
    /// Outside of a runtime.
    pub async fn start(self) -> Result<SupervisorRef, StartError> {
        if cfg!(panic = "abort") {
            tracing::warn!(
                supervisor = &*self.address.0.name,
                "built with panic = \"abort\": a panic ends the process and nothing is restarted"
            );
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
            restarts_max,
            window,
            address,
        } = self;
        SupervisorBody {
            children,
            restarts_max,
            window,
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
