//! `lock_thread`: a goroutine with an OS thread of its own, Go's `runtime.LockOSThread`.
//!
//! ```text
//!   goroutine (on the Ms)                          thread <runtime>-locked-<n>
//!   first poll ──────────── starts ───────────────▶ makes the future, polls it, parks, ..
//!   waits            ◀───── outcome, wake ───────── future and closure are dropped
//!   dropped (abort) ─────── stop, unpark ─────────▶ drops the future between two polls
//!      └─ joins the thread
//! ```
//!
//! - The future never leaves its thread, so it need not be `Send`; the goroutine is a proxy that has
//!   what goroutines have: a handle, an abort, a place in the registry.
//! - The proxy is over only after the thread is: whoever sees the handle finished, and the end of the
//!   runtime, may rely on the thread being gone.
//! - Between its polls the thread is a root, and a deadlock's judge looks at it as at all of them; at
//!   any other time it counts as an [`Outsider`], as it may do what it likes.
//! - The thread is no M. What it wakes goes to the injector; what wakes it unparks it.
//!
//! Rejected: an M bound to one goroutine (Go): every wake-up of every goroutine would have to ask
//! whether it is bound, for something that few programs use.

use std::any::Any;
use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::thread;

use super::alarm::Launch;
use super::blocking_pool::{named, serve};
use super::join::JoinHandle;
use super::machine::blocking;
use super::simulated;
use super::thread_park::{self, Outsider};
use super::wait::{self, Wait, WaitKind};
use crate::shim::Mutex;
use crate::shim::atomic::{AtomicBool, Ordering};

/// Runs an async closure as a goroutine that has an OS thread of its own for all its life.
///
/// Go's `runtime.LockOSThread`, for C libraries and system calls that depend on the thread: its
/// thread-local variables, its signal mask, its GUI or GPU context. The closure is called on the new
/// thread (`<runtime>-locked-<number>`, not pinned), its future is polled and dropped there and need
/// not be `Send`, and no other goroutine ever runs there. [`go`](super::go), timers, channels and
/// locks work inside; a wake-up costs a thread switch. It may block its thread as it likes.
///
/// Aborting the handle, and the end of the runtime, drop the future at its next `.await`; the handle
/// is finished once the thread has ended.
///
/// # Panics
/// Outside a runtime. A panic of the closure or its future goes to the handle, as does the system's
/// refusal of a thread.
///
/// ```
/// # actor_core::Runtime::new().unwrap().block_on(async {
/// use std::{rc::Rc, time::Duration};
/// let handle = actor_core::lock_thread(|| async {
///     let id = std::thread::current().id();
///     let not_send = Rc::new(3);
///     actor_core::sleep(Duration::from_millis(1)).await;
///     assert_eq!(std::thread::current().id(), id);
///     *not_send
/// });
/// assert_eq!(handle.await.unwrap(), 3);
/// # });
/// ```
#[track_caller]
pub fn lock_thread<F, R>(f: F) -> JoinHandle<R::Output>
where
    F: FnOnce() -> R + Send + 'static,
    R: Future,
    R::Output: Send + 'static,
{
    simulated::refuse(
        "`lock_thread`",
        "a simulation has only one thread; give what needs one an interface with a simulated \
         implementation",
    );
    let launch = Launch::here("`lock_thread`");
    launch.go(Proxy {
        make: Some(f),
        launch: launch.clone(),
        link: Arc::new(Link {
            stop: AtomicBool::new(false),
            waker: Mutex::new(None),
        }),
        outcome: Arc::new(Mutex::new(Outcome {
            result: None,
            waker: None,
        })),
        thread: None,
    })
}

/// The goroutine that stands for the thread.
struct Proxy<F, T> {
    make: Option<F>,
    launch: Launch,
    link: Arc<Link>,
    outcome: Arc<Mutex<Outcome<T>>>,
    thread: Option<thread::JoinHandle<()>>,
}

struct Outcome<T> {
    /// What the thread ended with; `Ok(None)` if it was stopped.
    result: Option<Result<Option<T>, Box<dyn Any + Send>>>,
    waker: Option<Waker>,
}

impl<F, T> Unpin for Proxy<F, T> {}

impl<F, R, T> Future for Proxy<F, T>
where
    F: FnOnce() -> R + Send + 'static,
    R: Future<Output = T>,
    T: Send + 'static,
{
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        if let Some(make) = self.make.take() {
            self.thread = Some(self.start(make));
        }
        let mut outcome = self.outcome.lock();
        let Some(result) = outcome.result.take() else {
            Wait::of(WaitKind::LockedThread).note(cx.waker());
            let old = outcome.waker.replace(wait::keep(cx.waker()));
            drop(outcome);
            drop(old);
            return Poll::Pending;
        };
        drop(outcome);
        match result {
            Ok(value) => Poll::Ready(value.expect("it is stopped by this future's drop only")),
            Err(payload) => resume_unwind(payload),
        }
    }
}

impl<F, T> Proxy<F, T> {
    fn start<R>(&self, make: F) -> thread::JoinHandle<()>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Future<Output = T>,
        T: Send + 'static,
    {
        let (launch, link) = (self.launch.clone(), self.link.clone());
        let outcome = self.outcome.clone();
        let busy = Cell::new(Some(Outsider::new()));
        let started = named(&self.launch.shared, "locked").spawn(move || {
            serve(&launch.shared, || {
                let life = || drive(make, &link, &launch, &busy);
                let result = catch_unwind(AssertUnwindSafe(life));
                let mut outcome = outcome.lock();
                outcome.result = Some(result);
                let waker = outcome.waker.take();
                drop(outcome);
                if let Some(waker) = waker {
                    waker.wake();
                }
                drop(busy);
            });
        });
        started.unwrap_or_else(|error| {
            panic!("the system refused a thread for `lock_thread` ({error}): run fewer of them")
        })
    }
}

impl<F, T> Drop for Proxy<F, T> {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            self.link.stop();
            // Its last poll may take a while, and so may the destructors of its thread-locals.
            let _ = blocking(|| thread.join());
        }
    }
}

/// Calls the closure and polls its future to the end, or until it is stopped. `busy` is empty while
/// the thread waits.
fn drive<F, R>(
    make: F,
    link: &Link,
    launch: &Launch,
    busy: &Cell<Option<Outsider>>,
) -> Option<R::Output>
where
    F: FnOnce() -> R,
    R: Future,
{
    if link.is_stopped() {
        return None;
    }
    let mut future = pin!(make());
    let stoppable = poll_fn(|cx| {
        busy.set(Some(Outsider::new()));
        let old = link.waker.lock().replace(wait::keep(cx.waker()));
        drop(old);
        // After the waker is there: who stops it from now on finds somebody to wake.
        if link.is_stopped() {
            return Poll::Ready(None);
        }
        let polled = future.as_mut().poll(cx).map(Some);
        if polled.is_pending() {
            busy.set(None);
        }
        polled
    });
    let result = thread_park::drive_thread(stoppable, &launch.shared, launch.location);
    let own = link.waker.lock().take();
    drop(own);
    result
}

/// How others reach the thread.
struct Link {
    stop: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Link {
    fn is_stopped(&self) -> bool {
        // ORDERING: Acquire pairs with the Release in `stop`.
        self.stop.load(Ordering::Acquire)
    }

    fn stop(&self) {
        // ORDERING: Release pairs with the Acquire in `is_stopped`; the wake follows it.
        self.stop.store(true, Ordering::Release);
        let waker = self.waker.lock().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}
