//! Streams of reports: bounded, many subscribers, and never a reason for the reporter to wait.
//!
//! A [`Topic`] is a static. Publishing clones an `Arc` into each subscriber's channel if there is
//! room; a subscriber that is slow misses reports and can ask how many.

use std::{
    fmt,
    sync::{
        Arc,
        // Not the shim's: loom has no statics.
        Mutex,
        PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::chan::{self, Receiver, Sender, TrySendError};
use crate::sched::simulated;

/// Reports that a subscriber may be behind before it misses some.
const CAPACITY: usize = 64;

struct Subscriber<T> {
    /// Which simulation it belongs to; what happens in others is none of its business.
    simulation: u64,
    to: Sender<Arc<T>>,
    missed: Arc<AtomicU64>,
}

pub(super) struct Topic<T> {
    subscribers: Mutex<Vec<Subscriber<T>>>,
}

impl<T> Topic<T> {
    pub(super) const fn new() -> Self {
        Self {
            subscribers: Mutex::new(Vec::new()),
        }
    }

    pub(super) fn subscribe(&self) -> Reports<T> {
        let (to, from) = chan::buffered(CAPACITY);
        let missed = Arc::<AtomicU64>::default();
        let reports = Reports {
            from,
            missed: Arc::clone(&missed),
        };
        self.locked().push(Subscriber {
            simulation: simulated::simulation(),
            to,
            missed,
        });
        reports
    }

    pub(super) fn publish(&self, report: T) {
        let report = Arc::new(report);
        // A copy, so that the wake-ups happen outside of the lock.
        let subscribers: Vec<_> = {
            let mut all = self.locked();
            all.retain(|s| !s.to.is_closed());
            let here = simulated::simulation();
            all.iter()
                .filter(|s| s.simulation == here)
                .map(|s| (s.to.clone(), Arc::clone(&s.missed)))
                .collect()
        };
        for (to, missed) in subscribers {
            if let Err(TrySendError::Full(_)) = to.try_send(Arc::clone(&report)) {
                // ORDERING: Relaxed: a statistic.
                missed.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, Vec<Subscriber<T>>> {
        // Nothing that can panic runs under it.
        self.subscribers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// A subscription to reports, of the whole process, from when it was made.
///
/// It holds up to 64 of them; one that is further behind misses the rest, since those who report
/// never wait. Dropping it ends the subscription.
pub struct Reports<T> {
    from: Receiver<Arc<T>>,
    missed: Arc<AtomicU64>,
}

impl<T> Reports<T> {
    /// The next report. Dropping the future loses none.
    pub async fn next(&self) -> Arc<T> {
        match self.from.recv().await {
            Some(report) => report,
            None => unreachable!("the topic keeps the sending side"),
        }
    }

    /// The next report, for a thread that is no goroutine; it blocks.
    pub fn next_blocking(&self) -> Arc<T> {
        match self.from.recv_blocking() {
            Some(report) => report,
            None => unreachable!("the topic keeps the sending side"),
        }
    }

    /// A report that is there already.
    #[must_use]
    pub fn try_next(&self) -> Option<Arc<T>> {
        self.from.try_recv().ok()
    }

    /// How many reports came while 64 of them waited here, and were left out.
    #[must_use]
    pub fn missed(&self) -> u64 {
        // ORDERING: Relaxed: a statistic.
        self.missed.load(Ordering::Relaxed)
    }
}

impl<T> Drop for Reports<T> {
    fn drop(&mut self) {
        self.from.close();
    }
}

impl<T> fmt::Debug for Reports<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reports")
            .field("waiting", &self.from.len())
            .field("missed", &self.missed())
            .finish()
    }
}
