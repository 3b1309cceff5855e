//! Driving a future on an OS thread that is no goroutine, by parking the thread.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use super::machine::blocking;

/// Wakes one parked thread; the flag keeps a wake that comes before the park, and spares a wake
/// that nobody waits for.
struct ThreadWaker {
    thread: Thread,
    woken: AtomicBool,
}

impl Wake for ThreadWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // ORDERING: Release pairs with the Acquire in `block_on_thread`.
        if !self.woken.swap(true, Ordering::AcqRel) {
            self.thread.unpark();
        }
    }
}

/// Polls a future on this thread until it is ready. On an M this is a blocking section: its P goes
/// to somebody else meanwhile.
pub(crate) fn block_on_thread<F: Future>(future: F) -> F::Output {
    blocking(|| {
        let mut future = pin!(future);
        let notes = Arc::new(ThreadWaker {
            thread: thread::current(),
            woken: AtomicBool::new(false),
        });
        let waker = Waker::from(notes.clone());
        let mut cx = Context::from_waker(&waker);
        loop {
            if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
                return output;
            }
            // ORDERING: Acquire pairs with the Release in `wake_by_ref`.
            while !notes.woken.swap(false, Ordering::AcqRel) {
                thread::park();
            }
        }
    })
}
