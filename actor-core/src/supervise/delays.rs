//! The supervisor's timers: restarts that are due later. They live in its goroutine and die with
//! it; none of them ever blocks it.
//!
//! A delay carries the serial of the start that it follows. Restarting, stopping or forgetting the
//! child in between changes the serial or the stage, so one that is overtaken does nothing;
//! `cancel` is there so that it doesn't keep memory until its time comes.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use crate::sched::{Instant, Sleep, sleep_until};

#[derive(Default)]
pub(super) struct Delays {
    /// When, slot, serial; the earliest on top.
    heap: BinaryHeap<Reverse<(Instant, u32, u32)>>,
    /// Set for the earliest one, once it was polled.
    sleep: Option<Sleep>,
}

impl Delays {
    pub(super) fn set(&mut self, at: Instant, slot: u32, serial: u32) {
        self.heap.push(Reverse((at, slot, serial)));
    }

    pub(super) fn cancel(&mut self, slot: u32) {
        self.heap.retain(|Reverse((_, of, _))| *of != slot);
    }

    /// The slot and serial of one whose time has come.
    pub(super) fn poll_due(&mut self, cx: &mut Context<'_>) -> Poll<(u32, u32)> {
        let Some(&Reverse((at, slot, serial))) = self.heap.peek() else {
            self.sleep = None;
            return Poll::Pending;
        };
        let sleep = self.sleep.get_or_insert_with(|| sleep_until(at));
        let mut sleep = Pin::new(sleep);
        if sleep.deadline() != at {
            sleep.as_mut().reset(at);
        }
        ready!(sleep.poll(cx));
        self.heap.pop();
        self.sleep = None;
        Poll::Ready((slot, serial))
    }
}
