//! `spawn_blocking`: an elastic pool of threads for calls that block, beside the machines.
//!
//! A job is a goroutine whose only poll runs the function: it has a join handle, it is registered
//! (so the end of the runtime cancels and awaits it), its panic is caught. Only its run token goes to
//! the pool's queue instead of a P's.
//!
//! - A thread is made when more jobs are queued than threads are idle, up to a limit. An idle one
//!   ends after the keep-alive time. `idle` counts a thread from its making on; whoever changes it
//!   or the queue looks whether the pool falls short, so no job waits while a thread could be made.
//! - The queue's sender is in the pool until it is closed: threads end when it is gone.
//! - At the end of the runtime the registry aborts all jobs first. So those that are queued are only
//!   dropped by whoever takes them, and those that run are awaited like any goroutine.
//! - Threads are made under the pool's lock, so that closing misses none. No job runs under it.
//!
//! `blocking` needs no queue and no second thread for the caller's own call; this is for calls whose
//! caller goes on meanwhile, and for threads with another bound than the machines'.

use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::io;
use std::panic::Location;
use std::pin::Pin;
use std::ptr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};

use super::alarm::Launch;
use super::context;
use super::deadlock::OurThread;
use super::join::JoinHandle;
use super::origin::Origin;
use super::runtime::Handle;
use super::shared::Shared;
use super::shield::shield;
use super::simulated;
use super::task::{self, Joinable, Ran, RunToken};
use crate::shim::Mutex;
use crate::shim::atomic::{AtomicUsize, Ordering};

/// The default upper bound on threads (tokio's).
const THREADS_MAX: usize = 512;

pub(crate) struct BlockingPool {
    threads_max: AtomicUsize,
    thread_ids: AtomicUsize,
    queue: Receiver<RunToken>,
    inner: Mutex<Inner>,
}

struct Inner {
    /// `None` once it is closed.
    sender: Option<Sender<RunToken>>,
    threads: usize,
    idle: usize,
    handles: Vec<thread::JoinHandle<()>>,
}

impl BlockingPool {
    pub(crate) fn new() -> Self {
        let (sender, queue) = unbounded();
        Self {
            threads_max: AtomicUsize::new(THREADS_MAX),
            thread_ids: AtomicUsize::new(0),
            queue,
            inner: Mutex::new(Inner {
                sender: Some(sender),
                threads: 0,
                idle: 0,
                handles: Vec::new(),
            }),
        }
    }

    /// Sets the bound on threads; before the first job.
    pub(crate) fn limit_to(&self, threads_max: usize) -> io::Result<()> {
        if threads_max == 0 {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "blocking_threads_max must be at least 1, not 0",
            ));
        }
        // ORDERING: Relaxed: set before the runtime is shown to anybody.
        self.threads_max.store(threads_max, Ordering::Relaxed);
        Ok(())
    }

    pub(crate) const fn default_threads_max() -> usize {
        THREADS_MAX
    }

    fn push(&self, shared: &Arc<Shared>, token: RunToken) {
        let refused = {
            let mut inner = self.inner.lock();
            match &inner.sender {
                Some(sender) => {
                    let sent = sender.send(token);
                    debug_assert!(sent.is_ok(), "the pool keeps a receiver");
                    self.grow(&mut inner, shared);
                    if inner.threads == 0 {
                        // None could be made: nobody would ever take the job.
                        self.queue.try_recv().ok()
                    } else {
                        None
                    }
                }
                // The runtime has ended.
                None => Some(token),
            }
        };
        if let Some(token) = refused {
            token.cancel();
            finish(token);
        }
    }

    /// Makes threads while jobs wait that no idle one will take.
    fn grow(&self, inner: &mut Inner, shared: &Arc<Shared>) {
        // ORDERING: Relaxed: see `limit_to`.
        let threads_max = self.threads_max.load(Ordering::Relaxed);
        while self.queue.len() > inner.idle && inner.threads < threads_max {
            let made = named(shared, "blocking").spawn({
                let shared = shared.clone();
                move || serve(&shared, || shared.blocking.work(&shared))
            });
            match made {
                Ok(handle) => {
                    inner.threads += 1;
                    inner.idle += 1;
                    inner.handles.retain(|handle| !handle.is_finished());
                    inner.handles.push(handle);
                }
                Err(error) => {
                    shield(|| {
                        tracing::error!(
                            runtime = shared.name,
                            threads = inner.threads,
                            "the system refused a thread for a blocking job ({error}): it waits for \
                             one of the others, or is cancelled if there is none; lower \
                             `Runtime::builder().blocking_threads_max(..)`"
                        );
                    });
                    return;
                }
            }
        }
    }

    /// What a thread of the pool does all its life.
    fn work(&self, shared: &Arc<Shared>) {
        loop {
            match self.queue.recv_timeout(shared.keep_alive) {
                Ok(token) => {
                    {
                        let mut inner = self.inner.lock();
                        inner.idle -= 1;
                        // Between our taking the job and this moment we looked idle.
                        self.grow(&mut inner, shared);
                    }
                    finish(token);
                    self.inner.lock().idle += 1;
                }
                Err(RecvTimeoutError::Timeout) => {
                    let mut inner = self.inner.lock();
                    if self.queue.is_empty() {
                        inner.idle -= 1;
                        inner.threads -= 1;
                        return;
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// The runtime ends, and its registry has aborted all goroutines: drops what is queued.
    pub(crate) fn close(&self) {
        let sender = self.inner.lock().sender.take();
        drop(sender);
        while let Ok(token) = self.queue.try_recv() {
            finish(token);
        }
    }

    /// Waits for the threads, which have nothing left to do.
    pub(crate) fn join(&self) {
        let handles = std::mem::take(&mut self.inner.lock().handles);
        for handle in handles {
            let _ = handle.join();
        }
    }
}

impl fmt::Debug for BlockingPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockingPool")
            .field("queued", &self.queue.len())
            .finish_non_exhaustive()
    }
}

/// Runs a job to its end, or drops it if it was aborted.
fn finish(token: RunToken) {
    let Ran::Over = token.run() else {
        unreachable!("a job is over after its first poll")
    };
}

thread_local! {
    /// The runtime that this thread serves for life, without being a machine of it.
    static SERVES: Cell<*const Shared> = const { Cell::new(ptr::null()) };
}

/// Whether the calling thread is one of the runtime's threads for blocking jobs, or a locked one:
/// it can't wait for the runtime's end, which waits for it.
pub(crate) fn serves(shared: &Arc<Shared>) -> bool {
    SERVES.with(Cell::get) == Arc::as_ptr(shared)
}

/// A thread of the runtime that is no machine: `<runtime>-<kind>-<number>`.
pub(super) fn named(shared: &Shared, kind: &str) -> thread::Builder {
    // ORDERING: Relaxed: only uniqueness matters.
    let id = shared.blocking.thread_ids.fetch_add(1, Ordering::Relaxed);
    thread::Builder::new().name(format!("{}-{kind}-{id}", shared.name))
}

/// The frame of such a thread: in the runtime's context, on any core.
pub(super) fn serve(shared: &Arc<Shared>, life: impl FnOnce()) {
    struct Leave;
    impl Drop for Leave {
        fn drop(&mut self) {
            context::leave();
        }
    }
    // A thread begins on the cores of the machine that made it.
    let _ = shared.cores.unpin(None);
    SERVES.set(Arc::as_ptr(shared));
    context::enter(shared.clone());
    let _leave = Leave;
    let _ours = OurThread::new();
    #[cfg(feature = "tokio")]
    let _tokio = shared.driver.enter();
    life();
}

/// A function as a future that is ready at once.
struct Job<F>(Option<F>);

impl<F> Unpin for Job<F> {}

impl<F: FnOnce() -> T, T> Future for Job<F> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<T> {
        let call = self.0.take().expect("a job is polled once");
        Poll::Ready(call())
    }
}

impl Shared {
    fn spawn_blocking<F, T>(
        self: &Arc<Self>,
        f: F,
        location: &'static Location<'static>,
    ) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        simulated::refuse(
            "`spawn_blocking`",
            "it is for code that waits outside of the program; put that behind a trait with a \
             simulated implementation, or run what only computes in a goroutine",
        );
        let home = self.number.home_of(self.registry.next_id(0));
        let job = Job(Some(f));
        let (token, task) = task::new_task::<_, (), Joinable>(job, home, Origin::new(location));
        if self.registry.insert(&task) {
            self.blocking.push(self, token);
        } else {
            self.cancel_unregistered(token, &task);
        }
        JoinHandle::new(task)
    }
}

impl Handle {
    /// As [`spawn_blocking`], on this runtime. After its end the job is cancelled: its join handle
    /// says so.
    #[track_caller]
    pub fn spawn_blocking<F, T>(&self, f: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.shared.spawn_blocking(f, Location::caller())
    }
}

/// Runs a blocking function on a thread of its own kind, beside the goroutines.
///
/// The caller goes on at once; the handle gives the value, or the function's panic as a
/// [`JoinError`](super::JoinError). Around a call that the goroutine itself has to wait for,
/// [`blocking`](super::blocking()) is cheaper.
///
/// - Threads (`<runtime>-blocking-<number>`, not pinned) are made as needed, up to
///   [`blocking_threads_max`](super::Builder::blocking_threads_max) (512); beyond that jobs queue.
///   Idle ones end after the [`keep_alive`](super::Builder::keep_alive) time.
/// - Aborting a job has an effect only until it begins. At the end of the runtime the jobs that have
///   not begun are cancelled; those that run are waited for, as for goroutines that don't yield.
/// - Inside the function [`go`](super::go), [`Handle::current`] and `_blocking` methods work.
///
/// # Panics
/// Outside a runtime; use [`Handle::spawn_blocking`] there.
///
/// ```
/// # actor_core::Runtime::new().unwrap().block_on(async {
/// let sum = actor_core::spawn_blocking(|| (1..=10_u64).sum::<u64>());
/// assert_eq!(sum.await.unwrap(), 55);
/// # });
/// ```
#[track_caller]
pub fn spawn_blocking<F, T>(f: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let launch = Launch::here("`spawn_blocking`");
    launch.shared.spawn_blocking(f, launch.location)
}
