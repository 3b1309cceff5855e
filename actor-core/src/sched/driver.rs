//! Tokio's I/O and timers inside our Ms (feature `tokio`).
//!
//! One current-thread tokio runtime per runtime of ours owns the reactor; no thread is kept for it.
//! Whoever has nothing to do sits in it:
//!
//! 1. An M that parks takes the *seat* if it is free and parks inside `block_on`, that is in epoll.
//!    What I/O wakes there is collected (the M holds no P) and run by the same M as soon as it has
//!    a P again: no thread is woken.
//! 2. Busy Ms turn the reactor without waiting, whenever they run dry and now and then otherwise.
//! 3. sysmon turns it when nobody has for a tick.
//!
//! Alternatives measured: a driver thread of its own makes every readiness a cross-thread wake, ten
//! times slower (see `ARCHITECTURE.md`).
//!
//! No lost wake-up: `sit` publishes `seated` and then looks at the hand-over; whoever hands over
//! writes that first and looks at `seated` afterwards. All four are SeqCst, so one sees the other.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::task::{Poll, Waker};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::runtime::{EnterGuard, Runtime};

use super::clock::Instant;
use super::context::Context;
use super::tuning;
use crate::shim::atomic::{AtomicBool, AtomicU64, Ordering};

/// Makes tokio's context current on a thread.
pub(crate) type Guard<'a> = EnterGuard<'a>;

/// Where an M can be woken while it sits in the driver.
#[derive(Debug, Default)]
pub(crate) struct DriverSeat {
    seated: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl DriverSeat {
    /// Makes the M leave the driver, if it sits there.
    #[inline]
    pub(crate) fn wake(&self) {
        // ORDERING: SeqCst: see the file's comment.
        if self.seated.load(Ordering::SeqCst)
            && let Some(waker) = &*self.waker.lock()
        {
            waker.wake_by_ref();
        }
    }
}

pub(crate) struct Driver {
    /// `None` in a simulation, which has no I/O: making one takes as long as a whole small run.
    tokio: Option<Runtime>,
    taken: AtomicBool,
    last_turn: AtomicU64,
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver")
            .field("taken", &self.taken)
            .finish_non_exhaustive()
    }
}

impl Driver {
    pub(crate) fn new(name: &str) -> io::Result<Self> {
        let tokio = tokio::runtime::Builder::new_current_thread()
            .thread_name(format!("{name}-tokio"))
            .enable_all()
            .build()?;
        Ok(Self::of(Some(tokio)))
    }

    /// The driver of a simulation.
    pub(crate) fn none() -> Self {
        Self::of(None)
    }

    fn of(tokio: Option<Runtime>) -> Self {
        Self {
            tokio,
            taken: AtomicBool::new(false),
            last_turn: AtomicU64::new(0),
        }
    }

    fn tokio(&self) -> &Runtime {
        let tokio = self.tokio.as_ref();
        tokio.expect("nobody turns the driver of a simulation")
    }

    /// `None` in a simulation: there tokio's I/O says that it has no runtime.
    pub(crate) fn enter(&self) -> Option<Guard<'_>> {
        self.tokio.as_ref().map(Runtime::enter)
    }

    /// Nobody sits in the driver: an M without work should, soon.
    pub(crate) fn is_free(&self) -> bool {
        !self.taken.load(Ordering::Relaxed)
    }

    /// How many tasks of `tokio::spawn` are alive.
    pub(crate) fn tasks(&self) -> usize {
        let tokio = self.tokio.as_ref();
        tokio.map_or(0, |tokio| tokio.metrics().num_alive_tasks())
    }

    fn take(&self) -> bool {
        // ORDERING: Acquire pairs with the Release in `leave`: `last_turn` and the reactor.
        self.is_free() && !self.taken.swap(true, Ordering::AcqRel)
    }

    fn leave(&self) {
        self.last_turn
            .store(Instant::now().nanos(), Ordering::Relaxed);
        self.taken.store(false, Ordering::Release);
    }

    /// Handles what is ready now, without waiting, unless somebody else is at it.
    pub(crate) fn turn(&self) {
        if self.take() {
            self.tokio().block_on(tokio::task::yield_now());
            self.leave();
        }
    }

    /// A turn, if the last one was long enough ago.
    pub(crate) fn turn_after(&self, pause: Duration, now: Instant) {
        let last = Instant::from_nanos(self.last_turn.load(Ordering::Relaxed));
        if now - last >= pause {
            self.turn();
        }
    }

    /// sysmon: all Ms are busy with long polls.
    pub(crate) fn turn_if_neglected(&self, now: Instant) {
        self.turn_after(tuning::SYSMON_TICK, now);
    }

    /// Parks the calling M in the driver. `None`: the seat is taken. Otherwise whether the time
    /// was up. Returns when the M was handed a P, was woken, or I/O woke goroutines.
    pub(crate) fn park(&self, cx: &Context, timeout: Option<Duration>) -> Option<bool> {
        if !self.take() {
            return None;
        }
        let seat = &cx.machine.driver;
        cx.set_defer(true);
        let expired = self.tokio().block_on(async {
            let mut sleep = pin!(timeout.map(tokio::time::sleep));
            poll_fn(|task| {
                *seat.waker.lock() = Some(task.waker().clone());
                seat.seated.store(true, Ordering::SeqCst);
                if cx.machine.has_handoff() || cx.has_deferred() || cx.shared.is_stopping() {
                    return Poll::Ready(false);
                }
                match sleep.as_mut().as_pin_mut() {
                    Some(sleep) => sleep.poll(task).map(|()| true),
                    None => Poll::Pending,
                }
            })
            .await
        });
        seat.seated.store(false, Ordering::SeqCst);
        *seat.waker.lock() = None;
        cx.set_defer(false);
        self.leave();
        Some(expired)
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        if let Some(tokio) = self.tokio.take() {
            // This may run on an M, where tokio refuses to wait for its blocking threads.
            tokio.shutdown_background();
        }
    }
}
