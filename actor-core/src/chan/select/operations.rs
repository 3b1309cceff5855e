//! The channel futures as arms of a `select`: what they do under their channel's lock.

use std::pin::Pin;

use super::arm::Operation;
use super::group::Group;
use crate::chan::SendError;
use crate::chan::channel::{Chan, Offer, Recv, Send, SendFrom, State};
use crate::chan::waiters::{WaitState, Waiter, WakeList, pin_field};
use crate::chan::word_lock::WordLock;

impl<'a, T> Recv<'a, T> {
    fn parts(self: Pin<&mut Self>) -> (&'a Chan<T>, Pin<&mut Waiter<T>>) {
        // SAFETY: `waiter` is never moved out of.
        unsafe {
            let this = self.get_unchecked_mut();
            (this.chan, pin_field(&mut this.waiter))
        }
    }
}

impl<'a, T> Send<'a, T> {
    fn parts(self: Pin<&mut Self>) -> (&'a Chan<T>, Pin<&mut Waiter<T>>) {
        // SAFETY: as for `Recv`.
        unsafe {
            let this = self.get_unchecked_mut();
            (this.chan, pin_field(&mut this.waiter))
        }
    }
}

/// A waiter that was claimed is finished under the channel's lock, which the claimer may hold yet.
fn await_claimer<T>(chan: &Chan<T>, waiter: &Waiter<T>) {
    if waiter.state() == WaitState::Queued {
        drop(chan.state.lock());
    }
}

#[allow(private_interfaces, reason = "as the trait")]
impl<T> Operation for Recv<'_, T> {
    fn word(&self) -> *const WordLock {
        self.chan.state.word()
    }

    unsafe fn attempt(self: Pin<&mut Self>, wakers: &mut WakeList) -> Option<Option<T>> {
        let (chan, waiter) = self.parts();
        let attempt = |state: &mut State<T>| {
            let value = state.take(wakers);
            if value.is_none() && !state.closed {
                return None;
            }
            if waiter.state() == WaitState::Queued {
                // SAFETY: locked; QUEUED, in this list. Its group has the waker.
                let waker = unsafe { state.recvq.cancel(waiter) };
                debug_assert!(waker.is_none());
            }
            Some(value)
        };
        // SAFETY: the caller holds the lock.
        unsafe { chan.state.with_held(attempt) }
    }

    unsafe fn enqueue(self: Pin<&mut Self>, group: &Group, arm: u32) {
        let (chan, waiter) = self.parts();
        if waiter.state() != WaitState::Queued {
            // SAFETY: the caller holds the lock; pinned in this future, whose drop cancels it.
            unsafe {
                chan.state
                    .with_held(|state| state.recvq.enqueue_in(waiter, group, arm));
            }
        }
    }

    fn settle(self: Pin<&mut Self>) -> Option<T> {
        let (chan, waiter) = self.parts();
        await_claimer(chan, &waiter);
        waiter.take_value()
    }
}

#[allow(private_interfaces, reason = "as the trait")]
impl<T> Operation for Send<'_, T> {
    fn word(&self) -> *const WordLock {
        self.chan.state.word()
    }

    unsafe fn attempt(
        self: Pin<&mut Self>,
        wakers: &mut WakeList,
    ) -> Option<Result<(), SendError<T>>> {
        let (chan, mut waiter) = self.parts();
        let attempt = |state: &mut State<T>| {
            // SAFETY: locked.
            let value = unsafe { waiter.as_mut().with_value(Option::take) };
            let value = value.expect("a send was polled after it was ready");
            let output = match state.offer(value, wakers) {
                Offer::Taken => Ok(()),
                Offer::Closed(value) => Err(SendError(value)),
                Offer::Full(value) => {
                    // SAFETY: locked.
                    unsafe { waiter.with_value(|slot| *slot = Some(value)) };
                    return None;
                }
            };
            if waiter.state() == WaitState::Queued {
                // SAFETY: locked; QUEUED, in this list. Its group has the waker.
                let waker = unsafe { state.sendq.cancel(waiter) };
                debug_assert!(waker.is_none());
            }
            Some(output)
        };
        // SAFETY: the caller holds the lock.
        unsafe { chan.state.with_held(attempt) }
    }

    unsafe fn enqueue(self: Pin<&mut Self>, group: &Group, arm: u32) {
        let (chan, waiter) = self.parts();
        if waiter.state() != WaitState::Queued {
            // SAFETY: the caller holds the lock; pinned in this future, whose drop cancels it.
            unsafe {
                chan.state
                    .with_held(|state| state.sendq.enqueue_in(waiter, group, arm));
            }
        }
    }

    fn settle(self: Pin<&mut Self>) -> Result<(), SendError<T>> {
        let (chan, waiter) = self.parts();
        await_claimer(chan, &waiter);
        waiter
            .take_value()
            .map_or(Ok(()), |value| Err(SendError(value)))
    }
}

#[allow(private_interfaces, reason = "as the trait")]
impl<T> Operation for SendFrom<'_, T> {
    fn word(&self) -> *const WordLock {
        self.inner().word()
    }

    unsafe fn attempt(
        mut self: Pin<&mut Self>,
        wakers: &mut WakeList,
    ) -> Option<Result<(), SendError<()>>> {
        // SAFETY: promised by the caller.
        let sent = unsafe { self.as_mut().send().attempt(wakers) }?;
        Some(self.keep(sent))
    }

    unsafe fn enqueue(self: Pin<&mut Self>, group: &Group, arm: u32) {
        // SAFETY: promised by the caller.
        unsafe { self.send().enqueue(group, arm) };
    }

    fn settle(mut self: Pin<&mut Self>) -> Result<(), SendError<()>> {
        let sent = self.as_mut().send().settle();
        self.keep(sent)
    }
}
