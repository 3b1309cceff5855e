//! What has come to a test and was not asked for yet, and what was.
//!
//! - Expectations on one inbox take turns (`turn`), so that two that run at once don't take each
//!   other's messages for missing; the test's closures run under that turn and no lock.
//! - A message is either in the channel, in `ahead`, or handed out. An expectation that is dropped
//!   leaves those it has looked at in `ahead`, in their order.

use std::collections::VecDeque;

use super::expect::Failure;
use crate::{
    chan::Receiver,
    shim,
    sync::{Mutex, MutexGuard},
};

/// So many of those handed out are remembered for failures.
const REMEMBERED: usize = 20;

pub(super) struct Inbox<T> {
    queue: Receiver<T>,
    turn: Mutex<()>,
    kept: shim::Mutex<Kept<T>>,
    describe: fn(&T) -> String,
}

struct Kept<T> {
    ahead: VecDeque<T>,
    /// The last of those that were handed out, described.
    taken: VecDeque<String>,
    taken_in_all: u64,
}

/// The right to take from an inbox.
pub(super) struct Turn<'a, T> {
    inbox: &'a Inbox<T>,
    _turn: MutexGuard<'a, ()>,
}

impl<T: Send> Inbox<T> {
    pub(super) fn new(queue: Receiver<T>, describe: fn(&T) -> String) -> Self {
        Self {
            queue,
            turn: Mutex::new(()),
            kept: shim::Mutex::new(Kept {
                ahead: VecDeque::new(),
                taken: VecDeque::new(),
                taken_in_all: 0,
            }),
            describe,
        }
    }

    pub(super) async fn turn(&self) -> Turn<'_, T> {
        Turn {
            inbox: self,
            _turn: self.turn.lock().await,
        }
    }

    pub(super) fn describe(&self, msg: &T) -> String {
        (self.describe)(msg)
    }

    /// The next one, if there is one now and no expectation is at work.
    pub(super) fn try_next(&self) -> Option<T> {
        let _turn = self.turn.try_lock()?;
        let ahead = self.kept.lock().ahead.pop_front();
        ahead.or_else(|| self.queue.try_recv().ok())
    }

    /// Remembers one that was handed out, described.
    pub(super) fn taken(&self, text: String) {
        let mut kept = self.kept.lock();
        kept.taken_in_all += 1;
        kept.taken.push_back(text);
        let oldest = (kept.taken.len() > REMEMBERED).then(|| kept.taken.pop_front());
        drop(kept);
        drop(oldest);
    }

    /// What has come is in `ahead` now.
    fn look(&self) {
        while let Ok(msg) = self.queue.try_recv() {
            self.kept.lock().ahead.push_back(msg);
        }
    }

    /// What was handed out and what waits, for a failure.
    pub(super) fn history(&self, failure: Failure) -> Failure {
        self.look();
        let (taken, taken_in_all, ahead) = {
            // Taken out, so that the messages' `Debug` runs under no lock.
            let mut kept = self.kept.lock();
            let ahead = std::mem::take(&mut kept.ahead);
            (Vec::from(kept.taken.clone()), kept.taken_in_all, ahead)
        };
        let waiting: Vec<String> = ahead.iter().map(|msg| self.describe(msg)).collect();
        let later = std::mem::replace(&mut self.kept.lock().ahead, ahead);
        self.kept.lock().ahead.extend(later);
        let left_out = taken_in_all - taken.len() as u64;
        let mut before = taken;
        if left_out > 0 {
            before.insert(0, format!(".. {left_out} earlier"));
        }
        failure
            .list("received before", before)
            .list("waiting, not received yet", waiting)
    }
}

impl<T: Send> Turn<'_, T> {
    /// The next one; `None` when the channel is closed and empty. Dropping the future loses none.
    pub(super) async fn next(&self) -> Option<T> {
        let ahead = self.inbox.kept.lock().ahead.pop_front();
        match ahead {
            Some(msg) => Some(msg),
            None => self.inbox.queue.recv().await,
        }
    }

    /// The next `n`, or none of them: as many as there are when the channel closes before.
    pub(super) async fn next_n(&self, n: usize) -> Result<Vec<T>, usize> {
        loop {
            {
                let mut kept = self.inbox.kept.lock();
                if kept.ahead.len() >= n {
                    return Ok(kept.ahead.drain(..n).collect());
                }
            }
            match self.inbox.queue.recv().await {
                Some(msg) => self.inbox.kept.lock().ahead.push_back(msg),
                None => return Err(self.inbox.kept.lock().ahead.len()),
            }
        }
    }

    /// The first one that is wanted, wherever it stands; the others stay. `None` when the channel is
    /// closed and none of those that came is.
    ///
    /// `stale` is asked about those before the one that was found: if it says so, they are dropped.
    pub(super) async fn find(
        &self,
        mut wanted: impl FnMut(&T) -> bool,
        stale: impl Fn(&T, &T) -> bool,
    ) -> Option<T> {
        let mut at = 0;
        loop {
            let next = self.inbox.kept.lock().ahead.remove(at);
            let msg = match next {
                Some(msg) => msg,
                None => self.inbox.queue.recv().await?,
            };
            if wanted(&msg) {
                self.forget_before(at, |earlier| stale(earlier, &msg));
                return Some(msg);
            }
            let mut kept = self.inbox.kept.lock();
            let place = at.min(kept.ahead.len());
            kept.ahead.insert(place, msg);
            at = place + 1;
        }
    }

    fn forget_before(&self, at: usize, stale: impl Fn(&T) -> bool) {
        let ahead = std::mem::take(&mut self.inbox.kept.lock().ahead);
        let (mut left, mut gone) = (VecDeque::with_capacity(ahead.len()), Vec::new());
        for (n, msg) in ahead.into_iter().enumerate() {
            if n < at && stale(&msg) {
                gone.push(msg);
            } else {
                left.push_back(msg);
            }
        }
        let later = std::mem::replace(&mut self.inbox.kept.lock().ahead, left);
        self.inbox.kept.lock().ahead.extend(later);
        drop(gone);
    }
}
