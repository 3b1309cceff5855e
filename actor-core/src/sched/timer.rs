//! Go's `time.Timer`: one event in the future, which can be stopped and set anew.
//!
//! - A [`Timer`] is awaited. It is *active* from `new` or `reset` until it is stopped or its event is
//!   received; as in Go 1.23, no event of before a `stop` or `reset` is received after it.
//! - A [`FuncTimer`] calls a function. It is a waker in the timers' heap, not a waiting goroutine:
//!   one is started for each call. `due` says, under a lock, whether a call is meant: a waker that
//!   was taken out for a deadline that has been reset since finds that its time hasn't come.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use super::alarm::{Alarm, Launch};
use super::clock::Instant;
use super::time::{Sleep, sleep};
use crate::shim::Mutex;

/// An event after a duration, to be awaited: Go's `time.After`.
///
/// Yields the moment that it was due. In a `select!` it is the arm for a time-out; make it before
/// the loop if the time is to pass across turns. Dropping it cancels it. Zero is ready at the first
/// poll. It is the same as [`Timer::new`].
///
/// ```
/// # actor_core::Runtime::new().unwrap().block_on(async {
/// use std::time::Duration;
/// let start = actor_core::Instant::now();
/// let due = actor_core::after(Duration::from_millis(1)).await;
/// assert!(due >= start + Duration::from_millis(1));
/// # });
/// ```
pub fn after(duration: Duration) -> Timer {
    Timer::new(duration)
}

/// One event in the future, that can be stopped and set anew: Go's `time.Timer`.
///
/// It is a future: `(&mut timer).await` yields the moment that the event was due. After that, and
/// after [`stop`](Self::stop), awaiting it waits for ever, until [`reset`](Self::reset): so it can
/// stay an arm of a `select!` in a loop.
///
/// # Panics
/// Polling an active one outside a runtime panics, as for [`sleep`](super::sleep()).
///
/// ```
/// # actor_core::Runtime::new().unwrap().block_on(async {
/// use actor_core::Timer;
/// use std::time::Duration;
/// let mut timer = Timer::new(Duration::from_secs(3600));
/// assert!(timer.reset(Duration::from_millis(1)), "it was active");
/// (&mut timer).await;
/// assert!(!timer.stop(), "its event was received");
/// # });
/// ```
#[must_use = "a timer's event comes to whoever awaits it"]
#[derive(Debug)]
pub struct Timer {
    sleep: Sleep,
    active: bool,
}

impl Timer {
    /// A timer whose event comes after `duration`.
    pub fn new(duration: Duration) -> Self {
        Self {
            sleep: sleep(duration),
            active: true,
        }
    }

    /// No event comes any more. True if the timer was active: its event had not been received.
    pub fn stop(&mut self) -> bool {
        Pin::new(&mut self.sleep).reset(Instant::FOREVER);
        std::mem::replace(&mut self.active, false)
    }

    /// Sets it anew: the event comes after `duration` from now. True if the timer was active.
    pub fn reset(&mut self, duration: Duration) -> bool {
        Pin::new(&mut self.sleep).reset(Instant::now() + duration);
        std::mem::replace(&mut self.active, true)
    }

    /// Whether an event is to come, or has come and was not received.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.active
    }

    /// When the event is due; `None` if the timer is not active.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.active.then(|| self.sleep.deadline())
    }
}

impl Future for Timer {
    type Output = Instant;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Instant> {
        if !self.active || Pin::new(&mut self.sleep).poll(cx).is_pending() {
            return Poll::Pending;
        }
        self.active = false;
        Poll::Ready(self.sleep.deadline())
    }
}

/// Calls a function in a goroutine of its own after a duration: Go's `time.AfterFunc`.
///
/// Dropping the returned timer changes nothing: the call is made. It is not made if the runtime ends
/// first. Zero calls it at once.
///
/// # Panics
/// Outside a runtime, which keeps the time. A panic of `f` ends its goroutine only.
///
/// ```
/// # actor_core::Runtime::new().unwrap().block_on(async {
/// use std::time::Duration;
/// let (tx, rx) = actor_core::chan::buffered(1);
/// let timer = actor_core::after_func(Duration::from_millis(1), move || {
///     let _ = tx.try_send("called");
/// });
/// assert_eq!(rx.recv().await, Some("called"));
/// assert!(!timer.stop());
/// # });
/// ```
#[track_caller]
pub fn after_func(duration: Duration, f: impl Fn() + Send + Sync + 'static) -> FuncTimer {
    let func = Arc::new(Func {
        call: Box::new(f),
        launch: Launch::here("`after_func`"),
        state: Mutex::new(FuncState {
            due: None,
            alarm: None,
        }),
    });
    func.set(Instant::now() + duration);
    FuncTimer { func }
}

/// A call that [`after_func`] will make, unless it is stopped.
pub struct FuncTimer {
    func: Arc<Func>,
}

struct Func {
    call: Box<dyn Fn() + Send + Sync>,
    launch: Launch,
    state: Mutex<FuncState>,
}

struct FuncState {
    /// When the call is to be made; `None` if none is.
    due: Option<Instant>,
    alarm: Option<Alarm>,
}

impl FuncTimer {
    /// Prevents the call. False if its goroutine was started already or it was stopped before;
    /// doesn't wait for a call's end.
    pub fn stop(&self) -> bool {
        let mut state = self.func.state.lock();
        let was_active = state.due.take().is_some();
        let alarm = state.alarm.take();
        drop(state);
        drop(alarm);
        was_active
    }

    /// Has the function called after `duration` from now, again if it was called before. True if a
    /// call was to come: it is made at the new time only.
    pub fn reset(&self, duration: Duration) -> bool {
        self.func.set(Instant::now() + duration)
    }

    /// Whether a call is to come.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.func.state.lock().due.is_some()
    }
}

impl fmt::Debug for FuncTimer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FuncTimer")
            .field("active", &self.is_active())
            .finish_non_exhaustive()
    }
}

impl Func {
    fn set(self: &Arc<Self>, due: Instant) -> bool {
        let mut state = self.state.lock();
        let was_active = state.due.replace(due).is_some();
        let old = state.alarm.take();
        drop(state);
        drop(old);
        if due != Instant::FOREVER {
            let alarm = Alarm::set(&self.launch, due, &Waker::from(self.clone()));
            let mut state = self.state.lock();
            // It may have rung, or been stopped or set again, since.
            let surplus = if state.due == Some(due) {
                state.alarm.replace(alarm)
            } else {
                Some(alarm)
            };
            drop(state);
            drop(surplus);
        }
        was_active
    }
}

impl Wake for Func {
    fn wake(self: Arc<Self>) {
        let mut state = self.state.lock();
        if state.due.is_none_or(|due| Instant::now() < due) {
            return;
        }
        state.due = None;
        let alarm = state.alarm.take();
        drop(state);
        drop(alarm);
        let func = self.clone();
        self.launch.go(async move { (func.call)() });
    }
}
