//! How a supervised goroutine or thread learns that it is to stop.
//!
//! A future that waits takes its waker back when it is dropped: a thread that looks in a loop
//! (`requested_within_blocking`) has another waker each time.

use std::{
    fmt,
    future::Future,
    pin::Pin,
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
    last_key: u64,
    /// With the key of the future that waits; 0 for those written by hand.
    wakers: Vec<(u64, Waker)>,
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
        Requested {
            signal: self,
            key: None,
        }
        .await;
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
        // One entry per goroutine, however often it starts to wait anew.
        let known = |(key, waker): &(u64, Waker)| *key == 0 && wait::same(waker, cx.waker());
        if !signal.wakers.iter().any(known) {
            signal.wakers.push((0, wait::keep(cx.waker())));
        }
        Wait::of(WaitKind::Lifecycle).note(cx.waker());
        Poll::Pending
    }

    pub(super) fn request(&self) {
        let mut signal = self.0.lock();
        signal.requested = true;
        let wakers = std::mem::take(&mut signal.wakers);
        drop(signal);
        wakers.into_iter().for_each(|(_, waker)| waker.wake());
    }
}

/// Waiting for the request.
struct Requested<'a> {
    signal: &'a StopSignal,
    /// Of its waker, once it waits.
    key: Option<u64>,
}

impl Future for Requested<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut signal = self.signal.0.lock();
        if signal.requested {
            return Poll::Ready(());
        }
        let mut old = None;
        if let Some(key) = self.key {
            let mine = signal.wakers.iter_mut().find(|(k, _)| *k == key);
            if let Some((_, waker)) = mine.filter(|(_, waker)| !wait::same(waker, cx.waker())) {
                old = Some(std::mem::replace(waker, wait::keep(cx.waker())));
            }
        } else {
            signal.last_key += 1;
            let key = signal.last_key;
            signal.wakers.push((key, wait::keep(cx.waker())));
            self.key = Some(key);
        }
        drop(signal);
        drop(old);
        Wait::of(WaitKind::Lifecycle).note(cx.waker());
        Poll::Pending
    }
}

impl Drop for Requested<'_> {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            let mut signal = self.signal.0.lock();
            let at = signal.wakers.iter().position(|(k, _)| *k == key);
            let waker = at.map(|at| signal.wakers.swap_remove(at));
            drop(signal);
            drop(waker);
        }
    }
}

impl fmt::Debug for StopSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StopSignal")
            .field("requested", &self.is_requested())
            .finish()
    }
}

#[cfg(all(test, not(actor_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_wait_that_is_given_up_leaves_no_waker_behind() {
        let rt = crate::Runtime::new().unwrap();
        rt.block_on(async {
            let signal = StopSignal::new();
            for _ in 0..100 {
                let ms = Duration::from_micros(1);
                assert!(timeout(ms, signal.requested()).await.is_err());
            }
            assert_eq!(signal.0.lock().wakers.len(), 0);
            assert!(!signal.is_requested());
            signal.request();
            signal.requested().await;
        });
    }
}
