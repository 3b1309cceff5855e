//! A work-sharing pool: jobs wait in one channel, and each worker takes the next when it is free. A
//! worker is a goroutine, or an actor with a goroutine that feeds it (`feeder`).
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
    convert::Infallible,
    fmt,
    future::{Future, poll_fn},
    pin::pin,
    sync::{Arc, Weak},
    task::Poll,
    time::Duration,
};

use super::{ResizeError, feeder};
use crate::{
    actor::{Actor, Call, CallError, Caught, StartError},
    chan::{
        NoReply, Receiver, Reply, SendError, Sender, TrySendError, buffered, discard_with, reply,
    },
    sched::{block_on_thread, go},
    supervise::{
        Child, ChildError, ChildInfo, ChildSpec, StopSignal, Supervisor, SupervisorExit,
        SupervisorRef,
    },
    sync,
};

pub(super) struct Job<J, R, E> {
    pub(super) job: J,
    pub(super) reply: Reply<Result<R, CallError<E>>>,
}

/// What is started for one worker, in this order.
pub(super) struct Worker {
    ids: Vec<String>,
    specs: Vec<ChildSpec>,
}

impl Worker {
    pub(super) fn of(specs: impl Into<Vec<ChildSpec>>) -> Self {
        let specs = specs.into();
        Self {
            ids: specs.iter().map(|spec| spec.id().to_owned()).collect(),
            specs,
        }
    }
}

/// `None` when the pool is gone.
type MakeWorker = Box<dyn FnMut(usize) -> Option<Worker> + Send>;

struct Shared<J, R, E> {
    supervisor: SupervisorRef,
    jobs: Sender<Job<J, R, E>>,
    capacity: usize,
    /// One resize at a time.
    workers: sync::Mutex<Workers>,
}

struct Workers {
    make: MakeWorker,
    /// The ids of what each was made of.
    ids: Vec<Vec<String>>,
    /// Of those that the pool was made with.
    first: Vec<Vec<String>>,
}

impl Workers {
    /// Finds out who is there: after a restart of the pool, those that it was made with.
    fn look(&mut self, children: &[ChildInfo]) {
        // The last part never ends by itself.
        let is_there = |ids: &Vec<String>| children.iter().any(|c| Some(&c.id) == ids.last());
        while self.ids.last().is_some_and(|ids| !is_there(ids)) {
            self.ids.pop();
        }
        let back = self.first.iter().skip(self.ids.len());
        self.ids
            .extend(back.take_while(|ids| is_there(ids)).cloned());
    }
}

/// Workers that take jobs of type `J` from one channel and make an `R` of each.
///
/// Each job goes to exactly one worker: the next that is free. Their order is not kept. The workers are
/// goroutines ([`new`](WorkPool::new)), where a job that panics costs nothing but itself, or actors
/// ([`of_actors`](WorkPool::of_actors)), which have a state each and are restarted.
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
pub struct WorkPool<J, R, E = Infallible> {
    supervisor: Supervisor,
    shared: Arc<Shared<J, R, E>>,
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
        let work = Arc::new(work);
        Self::made(name.into(), workers, capacity, |open| {
            Box::new(move |index| {
                let (todo, work) = (open.upgrade()?, Arc::clone(&work));
                let id = format!("worker {index}");
                Some(Worker::of([ChildSpec::go_until(id, move |stop| {
                    worker(Arc::clone(&todo), Arc::clone(&work), stop)
                })]))
            })
        })
    }
}

impl<J, R, E> WorkPool<J, R, E>
where
    J: Send + 'static,
    R: Send + 'static,
    E: Send + 'static,
{
    /// A pool whose workers are actors: `make(n)` makes the child number `n`, from 0, each with an id
    /// of its own, and `call` is the message that a job is to it, such as a method of the handle.
    ///
    /// A worker is given a job when it is free. When it crashes, the job that it was at is lost, and
    /// its submitter told ([`CallError::Panicked`]); those that wait in the channel are done by the
    /// others, and by it when it is up again. Who stays down for good (a transient one, say) does no
    /// more jobs. Crashes count against the [`intensity`](WorkPool::intensity).
    ///
    /// The pool's supervisor shows two children for each: the actor and the goroutine that feeds it.
    /// Workers have their handles and mailboxes as other actors do; what is sent to one in person it
    /// does in between.
    ///
    /// # Panics
    /// When `workers` is 0.
    ///
    /// ```
    /// use actor_core::{prelude::*, router::WorkPool};
    ///
    /// /// Keeps a connection, say.
    /// struct Resizer {
    ///     done: u32,
    /// }
    ///
    /// #[actor]
    /// impl Resizer {
    ///     #[init]
    ///     fn new() -> Self { Resizer { done: 0 } }
    ///     pub fn resize(&mut self, image: Vec<u8>) -> Result<Vec<u8>, String> {
    ///         self.done += 1;
    ///         if image.is_empty() { Err("no image".into()) } else { Ok(image) }
    ///     }
    /// }
    ///
    /// # actor_core::Runtime::new().unwrap().block_on(async {
    /// let make = |n| Resizer::child(format!("resizer-{n}"));
    /// let pool = WorkPool::of_actors("resizers", 4, 64, make, ResizerRef::resize);
    /// let pool = pool.start().await.unwrap(); // or make it a child: `.child(pool)`
    /// assert_eq!(pool.run(vec![1, 2]).await, Ok(vec![1, 2]));
    /// let error = CallError::Failed("no image".to_owned());
    /// assert_eq!(pool.run(vec![]).await, Err(error));
    /// pool.stop().await;
    /// # });
    /// ```
    #[track_caller]
    pub fn of_actors<A, F>(
        name: impl Into<Arc<str>>,
        workers: usize,
        capacity: usize,
        make: impl FnMut(usize) -> Child<A> + Send + 'static,
        call: F,
    ) -> Self
    where
        A: Actor,
        F: for<'a> Fn(&'a A::Handle, J) -> Call<'a, A, R, E> + Send + Sync + 'static,
    {
        Self::made(name.into(), workers, capacity, |open| {
            Box::new(feeder::workers_of(open, make, call))
        })
    }

    #[track_caller]
    fn made(
        name: Arc<str>,
        workers: usize,
        capacity: usize,
        maker: impl FnOnce(Weak<Receiver<Job<J, R, E>>>) -> MakeWorker,
    ) -> Self {
        assert!(
            workers > 0,
            "the pool \"{name}\" has no workers: give it at least one"
        );
        let (jobs, todo) = buffered(capacity);
        let todo = Arc::new(todo);
        let mut make = maker(Arc::downgrade(&todo));
        let mut ids = Vec::with_capacity(workers);
        let mut supervisor = Supervisor::one_for_one(name);
        for worker in (0..workers).filter_map(&mut make) {
            ids.push(worker.ids);
            supervisor = worker.specs.into_iter().fold(supervisor, Supervisor::child);
        }
        drop(todo);
        let shared = Arc::new(Shared {
            supervisor: supervisor.handle(),
            jobs,
            capacity,
            workers: sync::Mutex::new(Workers {
                make,
                first: ids.clone(),
                ids,
            }),
        });
        Self { supervisor, shared }
    }

    /// See [`Supervisor::intensity`]. Panics of jobs don't count where the workers are goroutines; an
    /// actor's do.
    pub fn intensity(mut self, restarts_max: u32, window: Duration) -> Self {
        self.supervisor = self.supervisor.intensity(restarts_max, window);
        self
    }

    /// Its handle: valid now, and across restarts. Jobs that are submitted before the start wait.
    #[must_use]
    pub fn handle(&self) -> WorkPoolRef<J, R, E> {
        WorkPoolRef {
            shared: Arc::clone(&self.shared),
        }
    }

    /// Starts the workers. The pool runs until it is stopped or the runtime ends.
    ///
    /// # Errors
    /// [`StartError`], as for a supervisor; workers that are goroutines can't fail to start.
    ///
    /// # Panics
    /// Outside of a runtime.
    pub async fn start(self) -> Result<WorkPoolRef<J, R, E>, StartError> {
        let handle = self.handle();
        self.supervisor.start().await?;
        Ok(handle)
    }
}

async fn worker<J, R, F, Fut>(
    todo: Arc<Receiver<Job<J, R, Infallible>>>,
    work: Arc<F>,
    stop: StopSignal,
) where
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

async fn do_job<J, R, F, Fut>(job: Job<J, R, Infallible>, work: &F)
where
    F: Fn(J) -> Fut,
    Fut: Future<Output = R>,
{
    let Job { job, reply } = job;
    match Caught::new(async move { work(job).await }).await {
        Ok(result) => reply.send(Ok(result)),
        Err(panic) => {
            tracing::error!(?panic, "a job panicked");
            discard_with(NoReply::Panicked, || drop(reply));
        }
    }
}

impl<J, R, E> From<WorkPool<J, R, E>> for ChildSpec {
    fn from(pool: WorkPool<J, R, E>) -> Self {
        pool.supervisor.into()
    }
}

impl<J, R, E> fmt::Debug for WorkPool<J, R, E> {
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
pub struct WorkPoolRef<J, R, E = Infallible> {
    shared: Arc<Shared<J, R, E>>,
}

impl<J, R, E> WorkPoolRef<J, R, E>
where
    J: Send + 'static,
    R: Send + 'static,
    E: Send + 'static,
{
    /// Submits a job and waits for its result.
    ///
    /// Dropping the future takes the job back while it waits for room; after that it is done, and
    /// its result dropped.
    ///
    /// # Errors
    /// [`CallError::Panicked`] when the job did; [`CallError::Stopped`] when the pool is stopped for
    /// good, or its worker was killed at it. Where the workers are actors, whatever an ask of one fails
    /// with.
    pub async fn run(&self, job: J) -> Result<R, CallError<E>> {
        let (slot, result) = reply();
        let job = Job { job, reply: slot };
        if self.shared.jobs.send(job).await.is_err() {
            return Err(CallError::Stopped);
        }
        result.await.unwrap_or_else(|why| {
            Err(match why {
                NoReply::Panicked => CallError::Panicked,
                // A worker answers, unless it or the whole channel is dropped.
                NoReply::Dropped => CallError::Stopped,
                other => other.into(),
            })
        })
    }

    /// As [`run`](WorkPoolRef::run), on a thread, blocking it meanwhile; for threads that run no
    /// goroutines.
    ///
    /// # Errors
    /// As [`run`](WorkPoolRef::run).
    pub fn run_blocking(&self, job: J) -> Result<R, CallError<E>> {
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
    /// [`ResizeError::Zero`]; [`ResizeError::Child`] when the pool is stopped, or an actor can't
    /// start (those before it are there).
    ///
    /// # Panics
    /// When the function that makes an actor does. Outside of a runtime.
    pub async fn resize(&self, workers: usize) -> Result<(), ResizeError> {
        if workers == 0 {
            return Err(ResizeError::Zero);
        }
        let shared = Arc::clone(&self.shared);
        match go(async move { shared.resize(workers).await }).await {
            Ok(done) => done,
            Err(error) => panic!("a pool's new worker could not be made: {error}"),
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

impl<J, R, E> Shared<J, R, E> {
    async fn resize(&self, count: usize) -> Result<(), ResizeError> {
        let mut workers = self.workers.lock().await;
        let workers = &mut *workers;
        workers.look(
            &self
                .supervisor
                .which_children()
                .await
                .map_err(ResizeError::Child)?,
        );
        while workers.ids.len() < count {
            let Some(worker) = (workers.make)(workers.ids.len()) else {
                return Err(ResizeError::Child(ChildError::SupervisorStopped));
            };
            for (spec, id) in worker.specs.into_iter().zip(&worker.ids) {
                if let Err(error) = self.supervisor.start_child(spec).await {
                    if error == ChildError::Ignored {
                        // It is kept, stopped, under the id of the next one to be made.
                        drop(self.supervisor.delete_child(id).await);
                    }
                    return Err(ResizeError::Child(error));
                }
            }
            workers.ids.push(worker.ids);
        }
        while workers.ids.len() > count {
            for id in workers.ids.last().into_iter().flatten().rev() {
                let gone = match self.supervisor.terminate_child(id).await {
                    Ok(()) => self.supervisor.delete_child(id).await,
                    Err(error) => Err(error),
                };
                match gone {
                    // A temporary one is forgotten when it ends.
                    Ok(()) | Err(ChildError::NotFound { .. }) => {}
                    Err(error) => return Err(ResizeError::Child(error)),
                }
            }
            workers.ids.pop();
        }
        Ok(())
    }
}

impl<J, R, E> Clone for WorkPoolRef<J, R, E> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<J, R, E> fmt::Debug for WorkPoolRef<J, R, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkPoolRef")
            .field("name", &self.shared.supervisor.name())
            .field("waiting", &self.shared.jobs.len())
            .field("capacity", &self.shared.capacity)
            .finish()
    }
}
