//! A work-sharing pool: jobs wait in one channel, and each worker takes the next when it is free.
//!
//! - A job that was accepted is taken by exactly one worker: that is the channel's promise. They are
//!   taken in order, and done in any.
//! - A job's panic is caught: it costs that job, whose submitter is told, and neither the worker nor
//!   a restart. A worker that is killed takes the one job that it is at with it.
//! - Asked to stop, a worker finishes what it is at and helps to empty the channel. What is left when
//!   the pool is gone for good is dropped with the channel, and its submitters are told.
//! - The channel belongs to the pool, not to one start of it: a restart loses nothing that waits. Its
//!   receivers are held by the specs of the workers only, so it closes when the pool is gone.

use std::{
    fmt,
    future::{Future, poll_fn},
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use super::ResizeError;
use crate::{
    actor::{CallError, Caught, StartError},
    chan::{
        NoReply, Receiver, Reply, SendError, Sender, TrySendError, buffered, discard_with, reply,
    },
    sched::{block_on_thread, go},
    supervise::{ChildError, ChildSpec, StopSignal, Supervisor, SupervisorExit, SupervisorRef},
    sync,
};

struct Job<J, R> {
    job: J,
    reply: Reply<R>,
}

/// `None` when the pool is gone.
type MakeWorker = Box<dyn Fn(usize) -> Option<ChildSpec> + Send>;

struct Shared<J, R> {
    supervisor: SupervisorRef,
    jobs: Sender<Job<J, R>>,
    capacity: usize,
    /// One resize at a time, from so many workers.
    size: sync::Mutex<usize>,
    make: sync::Mutex<MakeWorker>,
}

/// Goroutines that take jobs of type `J` from one channel and make an `R` of each.
///
/// Each job goes to exactly one worker: the next that is free. Their order is not kept. A job that
/// panics costs nothing but itself.
///
/// ```
/// use actor_core::{actor::CallError, router::WorkPool};
///
/// # actor_core::Runtime::new().unwrap().run(async {
/// let pool = WorkPool::new("lengths", 4, 64, |text: String| async move {
///     assert!(!text.is_empty(), "nothing to measure");
///     text.len()
/// });
/// let pool = pool.start().await.unwrap(); // or make it a child: `.child(pool)`
/// assert_eq!(pool.run("four".into()).await, Ok(4));
/// assert_eq!(pool.run(String::new()).await, Err(CallError::Panicked));
/// assert_eq!(pool.run("eleven more".into()).await, Ok(11));
/// pool.stop().await;
/// # });
/// ```
#[must_use = "a pool does nothing until it is started or made a child"]
pub struct WorkPool<J, R> {
    supervisor: Supervisor,
    shared: Arc<Shared<J, R>>,
}

impl<J: Send + 'static, R: Send + 'static> WorkPool<J, R> {
    /// A pool of so many workers, whose channel holds up to `capacity` jobs that nobody has taken
    /// yet; with 0 a job is handed over in person.
    ///
    /// # Panics
    /// When `workers` is 0.
    #[track_caller]
    pub fn new<F, Fut>(name: impl Into<Arc<str>>, workers: usize, capacity: usize, work: F) -> Self
    where
        F: Fn(J) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = R> + Send + 'static,
    {
        let name = name.into();
        assert!(
            workers > 0,
            "the pool \"{name}\" has no workers: give it at least one"
        );
        let (jobs, todo) = buffered(capacity);
        let (todo, work) = (Arc::new(todo), Arc::new(work));
        let open = Arc::downgrade(&todo);
        let make: MakeWorker = Box::new(move |index| {
            let (todo, work) = (open.upgrade()?, Arc::clone(&work));
            Some(ChildSpec::go_until(worker_id(index), move |stop| {
                worker(Arc::clone(&todo), Arc::clone(&work), stop)
            }))
        });
        let supervisor = (0..workers)
            .filter_map(&make)
            .fold(Supervisor::one_for_one(name), Supervisor::child);
        drop(todo);
        let shared = Arc::new(Shared {
            supervisor: supervisor.handle(),
            jobs,
            capacity,
            size: sync::Mutex::new(workers),
            make: sync::Mutex::new(make),
        });
        Self { supervisor, shared }
    }

    /// See [`Supervisor::intensity`]. Panics of jobs don't count.
    pub fn intensity(mut self, restarts_max: u32, window: Duration) -> Self {
        self.supervisor = self.supervisor.intensity(restarts_max, window);
        self
    }

    /// Its handle: valid now, and across restarts. Jobs that are submitted before the start wait.
    #[must_use]
    pub fn handle(&self) -> WorkPoolRef<J, R> {
        WorkPoolRef {
            shared: Arc::clone(&self.shared),
        }
    }

    /// Starts the workers. The pool runs until it is stopped or the runtime ends.
    ///
    /// # Errors
    /// [`StartError`], as for a supervisor; workers themselves can't fail to start.
    ///
    /// # Panics
    /// Outside of a runtime.
    pub async fn start(self) -> Result<WorkPoolRef<J, R>, StartError> {
        let handle = self.handle();
        self.supervisor.start().await?;
        Ok(handle)
    }
}

fn worker_id(index: usize) -> String {
    format!("worker {index}")
}

async fn worker<J, R, F, Fut>(todo: Arc<Receiver<Job<J, R>>>, work: Arc<F>, stop: StopSignal)
where
    F: Fn(J) -> Fut,
    Fut: Future<Output = R>,
{
    while let Some(job) = next(&todo, &stop).await {
        do_job(job, &*work).await;
    }
    // To stop: first what waits still, unless the others are faster.
    for _ in 0..todo.len() {
        let Ok(job) = todo.try_recv() else { break };
        do_job(job, &*work).await;
    }
    // The channel may have ended for want of handles, which is no reason to end.
    stop.requested().await;
}

/// The next job; `None` when it is to stop, or there can be none.
async fn next<T>(todo: &Receiver<T>, stop: &StopSignal) -> Option<T> {
    let (mut job, mut stop) = (pin!(todo.recv()), pin!(stop.requested()));
    poll_fn(|cx| match stop.as_mut().poll(cx) {
        Poll::Ready(()) => Poll::Ready(None),
        Poll::Pending => job.as_mut().poll(cx),
    })
    .await
}

async fn do_job<J, R, F, Fut>(job: Job<J, R>, work: &F)
where
    F: Fn(J) -> Fut,
    Fut: Future<Output = R>,
{
    let Job { job, reply } = job;
    match Caught::new(async move { work(job).await }).await {
        Ok(result) => reply.send(result),
        Err(panic) => {
            tracing::error!(?panic, "a job panicked");
            discard_with(NoReply::Panicked, || drop(reply));
        }
    }
}

impl<J, R> From<WorkPool<J, R>> for ChildSpec {
    fn from(pool: WorkPool<J, R>) -> Self {
        pool.supervisor.into()
    }
}

impl<J, R> fmt::Debug for WorkPool<J, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkPool")
            .field("supervisor", &self.supervisor)
            .finish_non_exhaustive()
    }
}

/// The handle of a [`WorkPool`]: cheap to clone, valid before its start and across restarts. Dropping
/// it doesn't stop the pool.
///
/// See [`WorkPool`] for an example.
pub struct WorkPoolRef<J, R> {
    shared: Arc<Shared<J, R>>,
}

impl<J: Send + 'static, R: Send + 'static> WorkPoolRef<J, R> {
    /// Submits a job and waits for its result.
    ///
    /// Dropping the future takes the job back while it waits for room; after that it is done, and
    /// its result dropped.
    ///
    /// # Errors
    /// [`CallError::Panicked`] when the job did; [`CallError::Stopped`] when the pool is stopped for
    /// good, or its worker was killed at it.
    pub async fn run(&self, job: J) -> Result<R, CallError> {
        let (slot, result) = reply();
        let job = Job { job, reply: slot };
        if self.shared.jobs.send(job).await.is_err() {
            return Err(CallError::Stopped);
        }
        result.await.map_err(|why| match why {
            NoReply::Panicked => CallError::Panicked,
            // A worker answers, unless it or the whole channel is dropped.
            NoReply::Dropped => CallError::Stopped,
            other => other.into(),
        })
    }

    /// As [`run`](WorkPoolRef::run), on a thread, blocking it meanwhile; for threads that run no
    /// goroutines.
    ///
    /// # Errors
    /// As [`run`](WorkPoolRef::run).
    pub fn run_blocking(&self, job: J) -> Result<R, CallError> {
        block_on_thread(self.run(job))
    }

    /// Submits a job and waits for room only; its result is dropped.
    ///
    /// Dropping the future takes the job back.
    ///
    /// # Errors
    /// [`SendError`] with the job when the pool is stopped for good.
    pub async fn submit(&self, job: J) -> Result<(), SendError<J>> {
        let reply = Reply::none();
        let sent = self.shared.jobs.send(Job { job, reply }).await;
        sent.map_err(|SendError(job)| SendError(job.job))
    }

    /// As [`submit`](WorkPoolRef::submit), if there is room at once.
    ///
    /// # Errors
    /// Gives the job back: `Full` when the channel is, `Closed` when the pool is stopped for good.
    pub fn try_submit(&self, job: J) -> Result<(), TrySendError<J>> {
        let reply = Reply::none();
        let sent = self.shared.jobs.try_send(Job { job, reply });
        sent.map_err(|refused| match refused {
            TrySendError::Full(job) => TrySendError::Full(job.job),
            TrySendError::Closed(job) => TrySendError::Closed(job.job),
        })
    }

    /// How many jobs wait that nobody has taken yet.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.shared.jobs.len()
    }

    /// Changes the number of workers; those that are taken away finish what they are at and help to
    /// empty the channel. Goes on when its future is dropped. A pool that its own supervisor restarts
    /// has the workers that it was made with.
    ///
    /// # Errors
    /// [`ResizeError::Zero`]; [`ResizeError::Child`] when the pool is stopped.
    ///
    /// # Panics
    /// Outside of a runtime.
    pub async fn resize(&self, workers: usize) -> Result<(), ResizeError> {
        if workers == 0 {
            return Err(ResizeError::Zero);
        }
        let shared = Arc::clone(&self.shared);
        match go(async move { shared.resize(workers).await }).await {
            Ok(done) => done,
            Err(_) => Err(ResizeError::Child(ChildError::SupervisorStopped)),
        }
    }

    /// The supervisor of the workers.
    #[must_use]
    pub fn supervisor(&self) -> &SupervisorRef {
        &self.shared.supervisor
    }

    /// Stops the pool: jobs that are in the channel are done, within the workers' five seconds. What
    /// is submitted meanwhile may or may not be done; whoever waits for its result is told.
    #[must_use = "the request is made; await it to know when all has stopped, or `drop` it"]
    pub fn stop(&self) -> SupervisorExit {
        self.shared.supervisor.stop()
    }
}

impl<J, R> Shared<J, R> {
    async fn resize(&self, count: usize) -> Result<(), ResizeError> {
        let mut size = self.size.lock().await;
        while *size < count {
            let Some(spec) = (*self.make.lock().await)(*size) else {
                return Err(ResizeError::Child(ChildError::SupervisorStopped));
            };
            match self.supervisor.start_child(spec).await {
                // There already, after a restart of the pool.
                Ok(_) | Err(ChildError::AlreadyStarted { .. }) => *size += 1,
                Err(error) => return Err(ResizeError::Child(error)),
            }
        }
        while *size > count {
            let id = worker_id(*size - 1);
            let gone = match self.supervisor.terminate_child(&id).await {
                Ok(()) => self.supervisor.delete_child(&id).await,
                Err(error) => Err(error),
            };
            match gone {
                Ok(()) | Err(ChildError::NotFound) => *size -= 1,
                Err(error) => return Err(ResizeError::Child(error)),
            }
        }
        Ok(())
    }
}

impl<J, R> Clone for WorkPoolRef<J, R> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<J, R> fmt::Debug for WorkPoolRef<J, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkPoolRef")
            .field("name", &self.shared.supervisor.name())
            .field("waiting", &self.shared.jobs.len())
            .field("capacity", &self.shared.capacity)
            .finish()
    }
}
