//! The timers of `#[every]`: one sleep for all periods of an actor, made only if it has any.
//!
//! Lives inside the serving future, so it is cancelled with the incarnation. A tick that comes
//! late is not made up for: the next one is a whole period after now, as Go's `Ticker` drops
//! ticks for slow receivers.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use crate::sched::{Instant, Sleep, sleep_until, wait};

/// Shorter periods would leave no time for messages.
const PERIOD_MIN: Duration = Duration::from_millis(1);

pub(super) struct Ticker {
    sleep: Pin<Box<Sleep>>,
    periods: &'static [Duration],
    due: Box<[Instant]>,
    /// Not the goroutine's own, but one that says nothing about whether it waits: a tick never wakes
    /// a handler, so it is no way out of a deadlock.
    waker: Option<Waker>,
}

/// What may have a tick for the actor; `()` never has, and takes no room.
pub(super) trait Ticks: Send {
    /// Whether the actor that has it keeps its turn at the mailbox while it has nothing to do.
    const KEEPS_TURN: bool;

    fn poll_tick(&mut self, cx: &mut Context<'_>) -> Poll<usize>;

    /// A tick that was taken and not run is due at once.
    fn put_back(&mut self, index: usize);
}

impl Ticks for () {
    const KEEPS_TURN: bool = false;

    #[inline]
    fn poll_tick(&mut self, _: &mut Context<'_>) -> Poll<usize> {
        Poll::Pending
    }

    fn put_back(&mut self, _: usize) {}
}

impl Ticks for Option<Box<Ticker>> {
    const KEEPS_TURN: bool = true;

    fn poll_tick(&mut self, cx: &mut Context<'_>) -> Poll<usize> {
        match self {
            Some(ticker) => ticker.poll_tick(cx),
            None => Poll::Pending,
        }
    }

    fn put_back(&mut self, index: usize) {
        if let Some(ticker) = self {
            ticker.put_back(index);
        }
    }
}

impl Ticker {
    /// `None` when there is nothing to tick; boxed because most actors have none.
    pub(super) fn new(periods: &'static [Duration]) -> Option<Box<Self>> {
        if periods.is_empty() {
            return None;
        }
        let now = Instant::now();
        let due: Box<[Instant]> = periods.iter().map(|p| now + (*p).max(PERIOD_MIN)).collect();
        let first = due.iter().copied().min().unwrap_or(now);
        Some(Box::new(Self {
            sleep: Box::pin(sleep_until(first)),
            periods,
            due,
            waker: None,
        }))
    }

    fn put_back(&mut self, index: usize) {
        let now = Instant::now();
        self.due[index] = now;
        self.sleep.as_mut().reset(now);
    }

    /// The index of a period that has passed.
    fn poll_tick(&mut self, cx: &mut Context<'_>) -> Poll<usize> {
        let waker = match &self.waker {
            Some(known) if wait::same(known, cx.waker()) => known,
            _ => self.waker.insert(wait::store(cx.waker())),
        };
        let cx = &mut Context::from_waker(waker);
        loop {
            if self.sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            let now = Instant::now();
            let (index, _) = self
                .due
                .iter()
                .enumerate()
                .min_by_key(|(_, due)| **due)
                .expect("a ticker has at least one period");
            let passed = self.due[index] <= now;
            if passed {
                self.due[index] = now + self.periods[index].max(PERIOD_MIN);
            }
            let next = self.due.iter().copied().min().unwrap_or(now);
            self.sleep.as_mut().reset(next);
            if passed {
                return Poll::Ready(index);
            }
        }
    }
}
