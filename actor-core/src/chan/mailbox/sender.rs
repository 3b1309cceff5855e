//! The waiting side of a mailbox's senders: a message that may have to wait for room.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::super::SendError;
use super::super::waiters::{WaitList, WaitState, Waiter, WakeList, pin_field};
use super::store::Shared;
use super::{CLOSED, Mailbox, QUEUED, SPECIAL};
use crate::sched::coop;
use crate::sched::wait::{Wait, WaitKind};

/// The future of [`Mailbox::send`].
#[must_use = "nothing is sent until the future is awaited"]
pub(crate) struct MailboxSend<'a, M> {
    mailbox: &'a Mailbox<M>,
    waiter: Waiter<M>,
}

impl<'a, M> MailboxSend<'a, M> {
    #[inline]
    pub(super) fn new(mailbox: &'a Mailbox<M>, message: M) -> Self {
        let waiter = Waiter::new(Some(message));
        Self { mailbox, waiter }
    }

    /// Under which the mailbox keeps the message's post.
    pub(super) fn set_ticket(&self, ticket: u32) {
        self.waiter.set_tag(ticket);
    }
}

impl<M> Shared<M> {
    /// Where the sender with this ticket waits.
    #[inline]
    fn senders_of(&mut self, ticket: u32) -> &mut WaitList<M> {
        match &mut self.lanes {
            None => &mut self.senders,
            Some(lanes) => lanes.senders(ticket),
        }
    }
}

impl<M> Future for MailboxSend<'_, M> {
    type Output = Result<(), SendError<M>>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if coop::poll_proceed(cx).is_pending() {
            return Poll::Pending;
        }
        // SAFETY: `waiter` is never moved out of.
        let (mailbox, mut waiter) = unsafe {
            let this = self.get_unchecked_mut();
            (this.mailbox, pin_field(&mut this.waiter))
        };
        if waiter.state() != WaitState::Idle {
            return mailbox.poll_waiting(waiter, cx);
        }
        let mut message = waiter.as_mut().take_value();
        assert!(message.is_some(), "a send was polled after it was done");
        let flags = mailbox.word.lock();
        // SAFETY: locked just above.
        let pushed = unsafe { mailbox.push_locked(flags, &mut message) };
        match (pushed, message) {
            // SAFETY: still locked.
            (None, Some(message)) => unsafe { mailbox.push_or_wait(flags, message, waiter, cx) },
            (now, _) => {
                // SAFETY: still locked.
                unsafe { mailbox.unlock_and_wake(flags, now.unwrap_or(flags)) };
                Poll::Ready(Ok(()))
            }
        }
    }
}

impl<M> Mailbox<M> {
    /// What is left to try when the ring has no room. Unlocks.
    ///
    /// # Safety
    /// As for `wait_for_room`.
    #[cold]
    unsafe fn push_or_wait(
        &self,
        flags: u8,
        message: M,
        waiter: Pin<&mut Waiter<M>>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), SendError<M>>> {
        if flags & SPECIAL == 0 {
            // SAFETY: as promised.
            return unsafe { self.wait_for_room(flags, message, waiter, cx) };
        }
        // Dropped after each of the two unlocks below.
        let mut wakers = WakeList::new();
        // SAFETY: still locked.
        match unsafe { self.push_special(flags, message, waiter.tag(), &mut wakers) } {
            Ok(now) => {
                // SAFETY: still locked.
                unsafe { self.unlock_and_wake(flags, now) };
                Poll::Ready(Ok(()))
            }
            // SAFETY: still locked.
            Err(message) => unsafe { self.wait_for_room(flags, message, waiter, cx) },
        }
    }

    /// Links the sender, or gives the message back if the mailbox is closed. Unlocks.
    ///
    /// # Safety
    /// The caller holds the lock, which had `flags`; the waiter is the caller's pinned own, IDLE.
    #[cold]
    unsafe fn wait_for_room(
        &self,
        flags: u8,
        message: M,
        mut waiter: Pin<&mut Waiter<M>>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), SendError<M>>> {
        if flags & CLOSED != 0 {
            self.word.unlock(flags);
            return Poll::Ready(Err(SendError(message)));
        }
        waiter.as_mut().put_value(message);
        let ticket = waiter.tag();
        // SAFETY: locked; the waiter is pinned in its future, whose drop cancels it.
        unsafe {
            self.shared_or_new(flags, |shared| {
                shared.senders_of(ticket).enqueue(
                    waiter,
                    cx.waker(),
                    Wait::on(WaitKind::MailboxSend, self),
                )
            })
        };
        self.word.unlock(flags | QUEUED);
        Poll::Pending
    }

    #[cold]
    fn poll_waiting(
        &self,
        mut waiter: Pin<&mut Waiter<M>>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), SendError<M>>> {
        if waiter.state() == WaitState::Queued {
            let flags = self.word.lock();
            let queued = waiter.state() == WaitState::Queued;
            let replaced = if queued {
                // SAFETY: locked, and only this mailbox's list can have the waiter.
                unsafe {
                    self.shared(|shared| {
                        shared.senders_of(waiter.tag()).renew(
                            waiter.as_mut(),
                            cx.waker(),
                            Wait::on(WaitKind::MailboxSend, self),
                        )
                    })
                }
                .expect("who waits does so in a store")
            } else {
                None
            };
            self.word.unlock(flags);
            drop(replaced);
            if queued {
                return Poll::Pending;
            }
        }
        match waiter.as_mut().take_value() {
            Some(message) => Poll::Ready(Err(SendError(message))),
            None => Poll::Ready(Ok(())),
        }
    }
}

impl<M> fmt::Debug for MailboxSend<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MailboxSend")
            .field("waiter", &self.waiter)
            .finish_non_exhaustive()
    }
}

impl<M> Drop for MailboxSend<'_, M> {
    #[inline]
    fn drop(&mut self) {
        if self.waiter.state() == WaitState::Queued || self.waiter.tag() != 0 {
            self.cancel();
        }
    }
}

impl<M> MailboxSend<'_, M> {
    /// Leaves the queue, if it is in it, and forgets the ticket.
    #[cold]
    fn cancel(&mut self) {
        // SAFETY: `self` is not moved before it is freed: it is pinned (it would not be QUEUED
        // otherwise), or about to be dropped.
        let waiter = unsafe { pin_field(&mut self.waiter) };
        let ticket = waiter.tag();
        let flags = self.mailbox.word.lock();
        let waker = if waiter.state() == WaitState::Queued {
            // SAFETY: locked, and QUEUED in this mailbox's list. A stale `QUEUED` flag does no harm.
            unsafe {
                self.mailbox
                    .shared(|shared| shared.senders_of(ticket).cancel(waiter))
            }
            .expect("who waits does so in a store")
        } else {
            None
        };
        if flags & SPECIAL != 0 {
            // SAFETY: locked.
            unsafe { self.mailbox.lanes(|lanes| lanes.forget(ticket)) };
        }
        self.mailbox.word.unlock(flags);
        drop(waker);
    }
}

#[cfg(all(test, not(actor_loom)))]
impl<M> Mailbox<M> {
    /// How many tickets a special mailbox keeps.
    pub(crate) fn tickets(&self) -> usize {
        let flags = self.word.lock();
        // SAFETY: locked.
        let tickets = unsafe { self.lanes(|lanes| lanes.tickets()) };
        self.word.unlock(flags);
        tickets
    }
}

#[cfg(all(test, not(actor_loom)))]
impl<M> MailboxSend<'_, M> {
    /// Does what drop does, and says whether the message was still here.
    pub(crate) fn give_up_for_test(self: Pin<&mut Self>) -> Option<M> {
        // SAFETY: the waiter stays where it is.
        let this = unsafe { self.get_unchecked_mut() };
        if this.waiter.state() == WaitState::Queued {
            this.cancel();
        }
        // SAFETY: as above.
        unsafe { pin_field(&mut this.waiter) }.take_value()
    }
}
