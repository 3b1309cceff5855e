//! A running router: choosing workers, asking all of them, changing how many there are.
//!
//! - There is always at least one worker, so that choosing one can't fail. Of a router that is
//!   stopped it is a stopped one, whose calls say so.
//! - The list of workers is copied when it changes; a choice is made on the copy it found.
//! - Workers are added and taken away at the end of the list only. That is what jump consistent
//!   hashing asks for: of n workers one more takes 1/(n+1) of the keys, and no other key moves.
//! - A resize runs in a goroutine, so that it is done, or has failed, as a whole, whatever becomes of
//!   who asked for it.

use std::{
    error::Error,
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
    time::Duration,
};

use super::asks;
use crate::{
    actor::{Actor, ActorRef, AnyRef, Call, CallError, Delivery, Report, try_tell},
    sched::go,
    shim::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    supervise::{Child, ChildError, SupervisorExit, SupervisorRef},
    sync,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Policy {
    RoundRobin,
    LeastLoaded,
}

pub(super) struct Worker<A: Actor> {
    id: Arc<str>,
    actor: ActorRef<A>,
    handle: A::Handle,
}

impl<A: Actor> Worker<A> {
    pub(super) fn of(child: &Child<A>) -> Self {
        Self {
            id: child.id().into(),
            actor: child.actor_ref(),
            handle: child.handle(),
        }
    }
}

type Make<A> = Box<dyn FnMut(usize) -> Child<A> + Send>;
type Workers<A> = Arc<Vec<Arc<Worker<A>>>>;

pub(super) struct Shared<A: Actor> {
    supervisor: SupervisorRef,
    policy: Policy,
    next: AtomicUsize,
    workers: Mutex<Workers<A>>,
    /// What every start of the router begins with.
    first: Workers<A>,
    /// One resize at a time.
    make: sync::Mutex<Make<A>>,
}

impl<A: Actor> Shared<A> {
    pub(super) fn new(
        supervisor: SupervisorRef,
        policy: Policy,
        workers: Vec<Worker<A>>,
        make: Make<A>,
    ) -> Self {
        let first: Workers<A> = Arc::new(workers.into_iter().map(Arc::new).collect());
        Self {
            supervisor,
            policy,
            next: AtomicUsize::new(0),
            workers: Mutex::new(Arc::clone(&first)),
            first,
            make: sync::Mutex::new(make),
        }
    }

    pub(super) fn begin(&self) {
        let former = self.set(Arc::clone(&self.first));
        drop(former);
    }

    fn workers(&self) -> Workers<A> {
        Arc::clone(&self.workers.lock())
    }

    #[must_use = "to be dropped when no lock is held"]
    fn set(&self, workers: Workers<A>) -> Workers<A> {
        std::mem::replace(&mut *self.workers.lock(), workers)
    }

    async fn resize(&self, count: usize) -> Result<(), ResizeError> {
        let mut make = self.make.lock().await;
        while self.workers().len() < count {
            let index = self.workers().len();
            let child = (*make)(index);
            let worker = Arc::new(Worker::of(&child));
            if let Err(error) = self.supervisor.start_child(child).await {
                if error == ChildError::Ignored {
                    // It is kept, stopped, under the id of the next one to be made.
                    drop(self.supervisor.delete_child(&*worker.id).await);
                }
                return Err(ResizeError::Child(error));
            }
            let mut workers = (*self.workers()).clone();
            workers.push(worker);
            drop(self.set(Arc::new(workers)));
        }
        // First out of the list, so that nobody chooses them, then drained.
        let all = self.workers();
        if count < all.len() {
            drop(self.set(Arc::new(all[..count].to_vec())));
            for worker in all[count..].iter().rev() {
                let gone = match self.supervisor.terminate_child(&*worker.id).await {
                    Ok(()) => self.supervisor.delete_child(&*worker.id).await,
                    Err(error) => Err(error),
                };
                match gone {
                    // A temporary one is forgotten when it ends.
                    Ok(()) | Err(ChildError::NotFound { .. }) => {}
                    Err(error) => return Err(ResizeError::Child(error)),
                }
            }
        }
        Ok(())
    }
}

/// The handle of a [`Router`](super::Router): cheap to clone, valid before its start and across
/// restarts. Dropping it doesn't stop the router.
///
/// See [`Router`](super::Router) for an example.
pub struct RouterRef<A: Actor> {
    shared: Arc<Shared<A>>,
}

impl<A: Actor> RouterRef<A> {
    pub(super) fn new(shared: Arc<Shared<A>>) -> Self {
        Self { shared }
    }

    /// Chooses a worker for one call, by the router's rule: `router.pick().work(job).await`.
    ///
    /// Workers that have ended for good are passed over. If all have, as when the router is stopped,
    /// the one it returns is stopped too, and its calls say so: `CallError::Stopped`.
    #[must_use]
    pub fn pick(&self) -> A::Handle {
        let workers = self.shared.workers();
        // ORDERING: Relaxed: only the number counts.
        let turn = self.shared.next.fetch_add(1, Ordering::Relaxed);
        let count = workers.len();
        let mut in_turn = (0..count)
            .map(|step| &workers[(turn % count + step) % count])
            .filter(|worker| !worker.actor.is_stopped());
        let chosen = match self.shared.policy {
            Policy::RoundRobin => in_turn.next(),
            Policy::LeastLoaded => in_turn.min_by_key(|worker| {
                let queued = worker.actor.mailbox_len();
                (queued, queued == 0 && !worker.actor.is_idle())
            }),
        };
        chosen.unwrap_or(&workers[0]).handle.clone()
    }

    /// The worker that all calls for this key go to: `router.for_key(&user).login().await`.
    ///
    /// Consistent hashing: when workers are added or taken away, a key keeps its worker unless it has
    /// to move; one worker more takes its even share of the keys and no other key moves. The same
    /// key has the same place in every process of one build.
    #[must_use]
    pub fn for_key<K: Hash + ?Sized>(&self, key: &K) -> A::Handle {
        let workers = self.shared.workers();
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        workers[jump(hasher.finish(), workers.len())].handle.clone()
    }

    /// Asks all workers at once and waits for all answers, in the order of the workers.
    ///
    /// Dropping the future drops the asks: those that were sent will still be handled.
    pub async fn broadcast<T, E, F>(&self, call: F) -> Vec<Result<T, CallError<E>>>
    where
        F: for<'a> Fn(&'a A::Handle) -> Call<'a, A, T, E>,
    {
        let workers = self.shared.workers();
        let asks = workers
            .iter()
            .map(|w| Box::pin(call(&w.handle).into_future()));
        asks::all(asks.collect()).await
    }

    /// Asks all workers at once and takes the first answer; the other asks are dropped. (Those that
    /// were sent will still be handled; [`Reply::is_wanted`](crate::actor::Reply::is_wanted) tells
    /// a handler that nobody waits.)
    ///
    /// # Errors
    /// When none succeeds, the error that came last.
    pub async fn first<T, E, F>(&self, call: F) -> Result<T, CallError<E>>
    where
        F: for<'a> Fn(&'a A::Handle) -> Call<'a, A, T, E>,
    {
        let workers = self.shared.workers();
        let asks = workers
            .iter()
            .map(|w| Box::pin(call(&w.handle).into_future()));
        let first = asks::first(asks.collect()).await;
        first.unwrap_or(Err(CallError::Stopped))
    }

    /// Tells all workers, and waits for room where a mailbox is full and its overflow policy is to
    /// wait; the others have theirs before.
    ///
    /// Dropping the future takes back what waits for room.
    pub async fn tell_all<T, E, F>(&self, call: F) -> Report
    where
        F: for<'a> Fn(&'a A::Handle) -> Call<'a, A, T, E>,
    {
        self.deliver(call).finish(None).await
    }

    /// As [`tell_all`](RouterRef::tell_all), for at most so long.
    pub async fn tell_all_within<T, E, F>(&self, within: Duration, call: F) -> Report
    where
        F: for<'a> Fn(&'a A::Handle) -> Call<'a, A, T, E>,
    {
        self.deliver(call).finish(Some(within)).await
    }

    /// As [`tell_all`](RouterRef::tell_all), without waiting: what would wait is reported as `Full`.
    pub fn try_tell_all<T, E, F>(&self, call: F) -> Report
    where
        F: for<'a> Fn(&'a A::Handle) -> Call<'a, A, T, E>,
    {
        self.deliver(call).give_up()
    }

    fn deliver<T, E, F>(&self, call: F) -> Delivery
    where
        F: for<'a> Fn(&'a A::Handle) -> Call<'a, A, T, E>,
    {
        let mut delivery = Delivery::default();
        for worker in self.shared.workers().iter() {
            let tried = try_tell(&worker.actor, || call(&worker.handle));
            delivery.add(|| AnyRef::new(worker.actor.clone()), tried);
        }
        delivery
    }

    /// Changes the number of workers, and is ready when the added ones have started, or those that
    /// are taken away have ended.
    ///
    /// Added ones are made by the router's `make`, with the next numbers. Those with the highest
    /// numbers are taken away: they are chosen no more, handle what they have in their mailboxes
    /// (within their `stop_within`), and end. Who has chosen one before finds it stopped.
    ///
    /// Resizes happen one after the other. One goes on when its future is dropped. A router that its
    /// own supervisor restarts has the workers that it was made with, as OTP's dynamic children are
    /// gone with their supervisor.
    ///
    /// # Errors
    /// [`ResizeError::Zero`]; [`ResizeError::Child`] when a worker can't start (those before it are
    /// there), or the router is stopped.
    ///
    /// # Panics
    /// When `make` does. Outside of a runtime.
    pub async fn resize(&self, workers: usize) -> Result<(), ResizeError> {
        if workers == 0 {
            return Err(ResizeError::Zero);
        }
        let shared = Arc::clone(&self.shared);
        match go(async move { shared.resize(workers).await }).await {
            Ok(done) => done,
            Err(error) => panic!("a router's new worker could not be made: {error}"),
        }
    }

    /// The workers' handles, in the order of their numbers; at least one.
    #[must_use]
    pub fn workers(&self) -> Vec<A::Handle> {
        let workers = self.shared.workers();
        workers.iter().map(|worker| worker.handle.clone()).collect()
    }

    /// The router's name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.shared.supervisor.name()
    }

    /// The supervisor of the workers.
    #[must_use]
    pub fn supervisor(&self) -> &SupervisorRef {
        &self.shared.supervisor
    }

    /// Stops the workers, each after what it has in its mailbox, and the router. See
    /// [`SupervisorRef::stop`].
    #[must_use = "the request is made; await it to know when all has stopped, or `drop` it"]
    pub fn stop(&self) -> SupervisorExit {
        self.shared.supervisor.stop()
    }
}

/// Lamping and Veach's jump consistent hash: the place of a key among so many, at least one.
fn jump(mut key: u64, count: usize) -> usize {
    let (mut at, mut next) = (0_u64, 0_u64);
    while next < count as u64 {
        at = next;
        key = key.wrapping_mul(2_862_933_555_777_941_757).wrapping_add(1);
        let share = (1_u64 << 31) as f64 / ((key >> 33) + 1) as f64;
        next = ((at + 1) as f64 * share) as u64;
    }
    at as usize
}

impl<A: Actor> Clone for RouterRef<A> {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.shared))
    }
}

impl<A: Actor> fmt::Debug for RouterRef<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RouterRef")
            .field("name", &self.name())
            .field("policy", &self.shared.policy)
            .field("workers", &self.shared.workers().len())
            .finish()
    }
}

/// Why a router or pool could not be resized.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResizeError {
    /// To no workers at all: stop it instead.
    Zero,
    /// A worker could not be started or ended.
    Child(ChildError),
}

impl fmt::Display for ResizeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Zero => f.write_str("it needs at least one worker; stop it instead"),
            Self::Child(error) => write!(f, "could not change the number of workers: {error}"),
        }
    }
}

impl Error for ResizeError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Zero => None,
            Self::Child(error) => error.source(),
        }
    }
}
