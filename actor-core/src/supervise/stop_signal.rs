//! How a supervised goroutine or thread learns that it is to stop.

use std::{
    fmt,
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use crate::{
    sched::{
        block_on_thread, timeout,
        wait::{self, Wait, WaitKind},
    },
    shim::Mutex,
};

/// Tells a supervised goroutine or thread that it is to stop.
#[derive(Clone)]
pub struct StopSignal(Arc<Mutex<Signal>>);

#[derive(Default)]
struct Signal {
    requested: bool,
    wakers: Vec<Waker>,
}

impl StopSignal {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(Signal::default())))
    }

    /// True when the supervisor has asked.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.0.lock().requested
    }

    /// Waits until the supervisor asks. May be dropped and called again at any time.
    pub async fn requested(&self) {
        poll_fn(|cx| self.poll_requested(cx)).await;
    }

    /// As [`requested`](StopSignal::requested), for a thread.
    pub fn requested_blocking(&self) {
        block_on_thread(self.requested());
    }

    /// Sleeps on a thread for `limit`, or until the supervisor asks, which it returns: the pause
    /// in the loop of a [supervised thread](super::ChildSpec::thread).
    ///
    /// # Panics
    /// On a thread that belongs to no runtime.
    #[must_use = "true means that the thread is to stop"]
    pub fn requested_within_blocking(&self, limit: Duration) -> bool {
        block_on_thread(timeout(limit, self.requested())).is_ok()
    }

    /// [`requested`](StopSignal::requested) for futures written by hand.
    pub fn poll_requested(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut signal = self.0.lock();
        if signal.requested {
            return Poll::Ready(());
        }
        Wait::of(WaitKind::Lifecycle).note(cx.waker());
        // One entry per goroutine, however often it starts to wait anew.
        if !signal.wakers.iter().any(|w| wait::same(w, cx.waker())) {
            signal.wakers.push(wait::keep(cx.waker()));
        }
        Poll::Pending
    }

    pub(super) fn request(&self) {
        let mut signal = self.0.lock();
        signal.requested = true;
        let wakers = std::mem::take(&mut signal.wakers);
        drop(signal);
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl fmt::Debug for StopSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StopSignal")
            .field("requested", &self.is_requested())
            .finish()
    }
}
