//! A router to be started: its workers as children of a supervisor of its own.

use std::{fmt, future::pending, sync::Arc, time::Duration};

use super::{
    RouterRef,
    handle::{Policy, Shared, Worker},
};
use crate::{
    actor::{Actor, StartError},
    supervise::{Child, ChildSpec, Supervisor},
};

/// Several actors of one type behind one handle, to be started alone or as a child.
///
/// `make` is called with the number of each worker, from 0, and describes it to the router's
/// supervisor: its ids must differ. A worker that crashes is restarted in its place.
///
/// ```
/// use actor_core::{prelude::*, router::Router};
///
/// struct Worker;
/// #[actor]
/// impl Worker {
///     #[init]
///     fn new() -> Self { Worker }
///     pub fn square(&self, n: u64) -> u64 { n * n }
/// }
///
/// # actor_core::Runtime::new().unwrap().run(async {
/// let router = Router::round_robin("squares", 4, |i| Worker::child(format!("worker-{i}")));
/// let workers = router.handle();
/// let app = Supervisor::one_for_one("app").child(router).start().await.unwrap();
///
/// assert_eq!(workers.pick().square(3).await, Ok(9));
/// assert_eq!(workers.for_key("a user").square(4).await, Ok(16));
/// assert_eq!(workers.broadcast(|w| w.square(2)).await, [Ok(4), Ok(4), Ok(4), Ok(4)]);
/// assert_eq!(workers.first(|w| w.square(5)).await, Ok(25));
/// workers.resize(6).await.unwrap();
/// app.stop().await;
/// # });
/// ```
#[must_use = "a router does nothing until it is started or made a child"]
pub struct Router<A: Actor> {
    supervisor: Supervisor,
    shared: Arc<Shared<A>>,
}

impl<A: Actor> Router<A> {
    /// [`pick`](RouterRef::pick) takes the workers in turn.
    ///
    /// # Panics
    /// When `workers` is 0.
    #[track_caller]
    pub fn round_robin(
        name: impl Into<Arc<str>>,
        workers: usize,
        make: impl FnMut(usize) -> Child<A> + Send + 'static,
    ) -> Self {
        Self::new(name.into(), workers, Policy::RoundRobin, Box::new(make))
    }

    /// [`pick`](RouterRef::pick) takes the worker with the shortest mailbox; of several such one that
    /// has nothing to do, and of these the next in turn.
    ///
    /// # Panics
    /// When `workers` is 0.
    #[track_caller]
    pub fn least_loaded(
        name: impl Into<Arc<str>>,
        workers: usize,
        make: impl FnMut(usize) -> Child<A> + Send + 'static,
    ) -> Self {
        Self::new(name.into(), workers, Policy::LeastLoaded, Box::new(make))
    }

    #[track_caller]
    fn new(
        name: Arc<str>,
        count: usize,
        policy: Policy,
        mut make: Box<dyn FnMut(usize) -> Child<A> + Send>,
    ) -> Self {
        assert!(
            count > 0,
            "the router \"{name}\" has no workers: give it at least one"
        );
        let children: Vec<_> = (0..count).map(&mut make).collect();
        let workers = children.iter().map(Worker::of).collect();
        let supervisor = Supervisor::one_for_one(name);
        let handle = supervisor.handle();
        let shared = Arc::new(Shared::new(handle, policy, workers, make));
        // Runs when the router starts, and starts again: added workers are gone then, and those that
        // were taken away are back.
        let begun = Arc::clone(&shared);
        let begin = ChildSpec::go("(router)", move || {
            begun.begin();
            pending::<()>()
        });
        let supervisor = children
            .into_iter()
            .fold(supervisor.child(begin), Supervisor::child);
        Self { supervisor, shared }
    }

    /// See [`Supervisor::intensity`]: all workers share it.
    pub fn intensity(mut self, restarts_max: u32, window: Duration) -> Self {
        self.supervisor = self.supervisor.intensity(restarts_max, window);
        self
    }

    /// Its handle: valid now, and across restarts. What is sent before the start waits for it.
    #[must_use]
    pub fn handle(&self) -> RouterRef<A> {
        RouterRef::new(Arc::clone(&self.shared))
    }

    /// Starts it and its workers, one after the other. It runs until it is stopped, gives up, or the
    /// runtime ends.
    ///
    /// # Errors
    /// [`StartError`] when a worker can't start, or two of them have the same id.
    ///
    /// # Panics
    /// Outside of a runtime.
    pub async fn start(self) -> Result<RouterRef<A>, StartError> {
        let handle = self.handle();
        self.supervisor.start().await?;
        Ok(handle)
    }
}

impl<A: Actor> From<Router<A>> for ChildSpec {
    fn from(router: Router<A>) -> Self {
        router.supervisor.into()
    }
}

impl<A: Actor> fmt::Debug for Router<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Router")
            .field("supervisor", &self.supervisor)
            .finish_non_exhaustive()
    }
}
