//! Waiting for time: `sleep` and `timeout`. (`timer.rs` and `ticker.rs` have Go's timers.)
//!
//! A sleep registers with the timers of the P it is first polled on, and keeps a key there: no
//! pointer into the future is shared, so forgetting or moving one is harmless. Deadlines have
//! nanosecond resolution; a goroutine is made runnable at the deadline or as soon after it as its
//! M looks (parked Ms wake for it, busy ones look about every 50 µs, sysmon covers stuck ones within
//! about 2 ms; with the `tokio` feature a machine that sits in tokio's driver rounds up to 1 ms).

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use pin_project_lite::pin_project;

use super::clock::Instant;
use super::shared::Shared;
use super::timers::TimerKey;
use super::wait::{Wait, WaitKind};
use super::{context, coop, wait};

/// Waits until a duration has passed.
///
/// Dropping the future cancels the timer. A zero duration is ready at the first poll.
///
/// # Panics
/// Polling it outside a runtime panics, unless its time has come already; so does awaiting it on a
/// runtime that has been shut down, or is while `block_on` waits there.
///
/// ```
/// # actor_core::Runtime::new().unwrap().block_on(async {
/// use std::time::Duration;
/// actor_core::sleep(Duration::from_millis(1)).await;
/// # });
/// ```
pub fn sleep(duration: Duration) -> Sleep {
    sleep_until(Instant::now() + duration)
}

/// Waits until an instant; ready at once if it lies in the past. See [`sleep`].
pub fn sleep_until(deadline: Instant) -> Sleep {
    Sleep {
        deadline,
        registered: None,
        fired: false,
    }
}

/// The future of [`sleep`] and [`sleep_until`].
#[must_use = "a sleep does nothing until it is awaited"]
pub struct Sleep {
    deadline: Instant,
    registered: Option<(Arc<Shared>, usize, TimerKey)>,
    fired: bool,
}

impl Sleep {
    /// When it ends.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Whether its time has come.
    #[must_use]
    pub fn is_elapsed(&self) -> bool {
        self.fired || Instant::now() >= self.deadline
    }

    /// Gives it a new deadline, whether it has ended or not (Go's `Timer.Reset`). The next poll
    /// registers it anew.
    pub fn reset(mut self: Pin<&mut Self>, deadline: Instant) {
        self.cancel();
        self.deadline = deadline;
        self.fired = false;
    }

    /// As `poll`, without asking the budget: whoever bounds another future by this one has to look
    /// at the clock even when that future has spent the budget.
    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.fired {
            return Poll::Ready(());
        }
        if let Some((shared, p, key)) = self.registered.take() {
            if shared.processor(p).timers.refresh(key, cx.waker()) {
                self.registered = Some((shared, p, key));
                return Poll::Pending;
            }
            if Instant::now() < self.deadline && shared.is_stopping() {
                tell_shut_down();
            }
        }
        if Instant::now() >= self.deadline {
            self.fired = true;
            return Poll::Ready(());
        }
        let shared = context::shared().expect(
            "a timer was polled outside a runtime: await it in a goroutine or in `block_on`",
        );
        if self.deadline != Instant::FOREVER {
            let (p, key) = shared.add_timer(self.deadline.nanos(), cx.waker());
            let stopping = shared.is_stopping();
            self.registered = Some((shared, p, key));
            // After registering: the end of a runtime fires all that it finds.
            if stopping {
                tell_shut_down();
            }
        }
        Poll::Pending
    }

    /// While it stays what it was before a poll that returned `Pending`, another poll with the same waker
    /// would do so again. `None` when it waits nowhere.
    #[inline]
    pub(crate) fn rounds(&self) -> Option<u64> {
        let (shared, p, _) = self.registered.as_ref()?;
        Some(shared.processor(*p).timers.rounds())
    }

    fn cancel(&mut self) {
        if let Some((shared, p, key)) = self.registered.take() {
            shared.processor(p).timers.cancel(key);
        }
    }
}

#[cold]
fn tell_shut_down() -> ! {
    panic!(
        "a timer was awaited on a runtime that has been shut down: keep the runtime until its work \
         is done"
    );
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.fired {
            return Poll::Ready(());
        }
        if coop::poll_proceed(cx).is_pending() {
            return Poll::Pending;
        }
        let polled = self.poll_deadline(cx);
        // What else it waits for in this poll says more.
        if polled.is_pending() && wait::noted(cx.waker()).is_none() {
            Wait::of(WaitKind::Sleep).note(cx.waker());
        }
        polled
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.cancel();
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleep")
            .field("deadline", &self.deadline)
            .field("elapsed", &self.is_elapsed())
            .finish()
    }
}

/// Bounds how long a future may take.
///
/// Yields the future's output, or [`Elapsed`] once the duration has passed; the future is dropped
/// together with the returned one, which cancels it. When both are ready the output wins: so a zero
/// duration polls the future once, and takes its output if it is ready then.
///
/// # Panics
/// As [`sleep`], when polled outside a runtime.
///
/// ```
/// # actor_core::Runtime::new().unwrap().block_on(async {
/// use std::{future::pending, time::Duration};
/// let late = actor_core::timeout(Duration::from_millis(1), pending::<()>()).await;
/// assert!(late.is_err());
/// # });
/// ```
pub fn timeout<F: IntoFuture>(duration: Duration, future: F) -> Timeout<F::IntoFuture> {
    Timeout {
        future: future.into_future(),
        sleep: sleep(duration),
    }
}

pin_project! {
    /// The future of [`timeout`].
    #[must_use = "a timeout does nothing until it is awaited"]
    #[derive(Debug)]
    pub struct Timeout<F> {
        #[pin]
        future: F,
        #[pin]
        sleep: Sleep,
    }
}

impl<F: Future> Future for Timeout<F> {
    type Output = Result<F::Output, Elapsed>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Poll::Ready(output) = this.future.poll(cx) {
            return Poll::Ready(Ok(output));
        }
        this.sleep
            .get_mut()
            .poll_deadline(cx)
            .map(|()| Err(Elapsed(())))
    }
}

/// The time given to [`timeout`] has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Elapsed(());

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the time given to the future has passed")
    }
}

impl std::error::Error for Elapsed {}
