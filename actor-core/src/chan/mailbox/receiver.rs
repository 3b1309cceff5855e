//! The receiving side of a mailbox: steps 2 and 3 of the protocol in `mod.rs`.
//!
//! - The batch is taken without a lock; everything else happens under it, or is the one
//!   compare-and-swap that parks.
//! - The stored waker is written only by the receiver, when it is not `PARKED` and nobody is using
//!   the waker; so the receiver itself may read it at any time.

use std::fmt;
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::task::{Context, Poll, Waker};

use super::super::ring::Slots;
use super::super::waiters::{WaitState, WakeList};
use super::super::word_lock::{Backoff, LOCKED};
use super::{BATCH_MAX, CLOSED, KICKED, Mailbox, PARKED, QUEUED, SPECIAL, Shared};
use crate::sched::coop;
use crate::sched::wait::{self, Wait, WaitKind};
use crate::shim::atomic::Ordering;

/// The one receiver of a mailbox, for as long as it lives. Messages that it took in a batch and did
/// not hand out stay in the mailbox.
pub(crate) struct MailboxReceiver<'a, M> {
    mailbox: &'a Mailbox<M>,
}

impl<'a, M> MailboxReceiver<'a, M> {
    /// Not to be called while there is another one: see [`Mailbox::receiver`].
    pub(super) fn of(mailbox: &'a Mailbox<M>) -> Self {
        Self { mailbox }
    }

    /// Runs `f` on the receiver's own part: the block of its batch and the index of the next message.
    #[inline(always)]
    fn mine<R>(&mut self, f: impl FnOnce(&mut Slots<M>, &mut u32) -> R) -> R {
        let Mailbox { mine, next, .. } = self.mailbox;
        // SAFETY: only the one receiver gets here, borrowed mutably; no `f` comes back here.
        mine.with_mut(|mine| next.with_mut(|next| f(unsafe { &mut *mine }, unsafe { &mut *next })))
    }

    /// Whether there is a batch whose room is not given back yet, used up or not.
    #[inline]
    fn has_batch(&mut self) -> bool {
        self.mine(|block, _| block.capacity() > 0)
    }

    /// The next message; `None` once the mailbox is closed and empty.
    #[inline]
    pub(crate) fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<M>> {
        if coop::poll_proceed(cx).is_pending() {
            return Poll::Pending;
        }
        match self.take_from_batch() {
            Some(message) => Poll::Ready(Some(message)),
            None => self.refill_or_park(cx),
        }
    }

    #[inline]
    fn take_from_batch(&mut self) -> Option<M> {
        // ORDERING: Relaxed, only this receiver writes it; others read it as a hint (`len`).
        let left = self.mailbox.left.load(Ordering::Relaxed);
        if left == 0 {
            return None;
        }
        self.mailbox.left.store(left - 1, Ordering::Relaxed);
        Some(self.mine(|block, next| {
            let index = *next;
            *next = index.wrapping_add(1);
            // SAFETY: `left` slots from `next` on are full and the receiver's; now one fewer.
            unsafe { block.read(index) }
        }))
    }

    #[inline]
    fn parked(&self, cx: &mut Context<'_>) -> Poll<Option<M>> {
        Wait::on(WaitKind::Mailbox, self.mailbox).note(cx.waker());
        Poll::Pending
    }

    fn refill_or_park(&mut self, cx: &mut Context<'_>) -> Poll<Option<M>> {
        let word = &self.mailbox.word;
        loop {
            let seen = word.peek();
            if seen & (QUEUED | CLOSED | KICKED | LOCKED) == 0 && !self.has_batch() {
                if seen & PARKED == 0 {
                    self.store_waker(cx.waker());
                    if word.transition(seen, seen | PARKED) {
                        return self.parked(cx);
                    }
                    continue;
                }
                if self.is_stored(cx.waker()) {
                    return self.parked(cx); // still, and nothing came
                }
            }
            let mut wakers = WakeList::new();
            let flags = word.lock();
            // SAFETY: locked.
            let (message, now) = unsafe { self.refill_locked(flags, &mut wakers) };
            if message.is_some() || flags & CLOSED != 0 {
                word.unlock(now);
                return Poll::Ready(message);
            }
            if flags & KICKED != 0 {
                word.unlock(now & !KICKED);
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            if self.is_stored(cx.waker()) {
                word.unlock(now | PARKED);
                return self.parked(cx);
            }
            // Not parked any more, so the next round may store the other waker.
            word.unlock(now);
        }
    }

    /// Gives the room of the used-up batch back, takes a message and the next batch, and lets
    /// waiting senders in. Returns the flags to unlock with, never `PARKED`.
    ///
    /// # Safety
    /// The lock is held, it had `flags`, and nothing of the batch is left.
    #[inline]
    unsafe fn refill_locked(&mut self, flags: u8, wakers: &mut WakeList) -> (Option<M>, u8) {
        if flags & SPECIAL != 0 {
            // SAFETY: as for this function.
            return unsafe { self.take_special(flags, wakers, None) };
        }
        let mailbox = self.mailbox;
        self.mine(|block, next| {
            let refill = |shared: &mut Shared<M>| {
                shared.settle(block);
                let message = if shared.queued > 0 {
                    let taken = shared.queued.min(shared.batch_max());
                    let first = shared.head;
                    shared.head = first.wrapping_add(taken);
                    shared.queued -= taken;
                    if taken > 1 {
                        shared.batch = (taken - 1) as u8;
                        *block = shared.slots;
                        *next = first.wrapping_add(1);
                        // ORDERING: Relaxed, see `take_from_batch`.
                        mailbox.left.store(shared.batch, Ordering::Relaxed);
                    }
                    // SAFETY: it was the first queued message; it is counted out now.
                    Some(unsafe { shared.slots.read(first) })
                } else {
                    None
                };
                let message = if shared.senders.is_empty() {
                    message
                } else {
                    shared.admit(message, wakers)
                };
                (message, shared.flags(flags))
            };
            // SAFETY: the lock is held; `refill` doesn't come back.
            unsafe { mailbox.shared(refill) }
        })
    }

    /// `refill_locked` of a SPECIAL mailbox; of `batch`, only a message of that batch.
    ///
    /// # Safety
    /// The lock is held, and it had `flags`.
    #[cold]
    unsafe fn take_special(
        &mut self,
        flags: u8,
        wakers: &mut WakeList,
        batch: Option<u32>,
    ) -> (Option<M>, u8) {
        // SAFETY: the lock is held.
        unsafe {
            self.mailbox.lanes(|lanes| {
                let message = match batch {
                    None => lanes.take(wakers),
                    Some(batch) => lanes.take_of(batch, wakers),
                };
                let kept = flags & (CLOSED | KICKED | SPECIAL);
                let more = lanes.has_more();
                (message, if more { kept | QUEUED } else { kept })
            })
        }
    }

    /// The next message, if one is there now that may be handled together with those of `batch`, as
    /// `batch_of` says of it. Never waits.
    pub(crate) fn next_of(&mut self, batch: u32, batch_of: impl FnOnce(&M) -> u32) -> Option<M> {
        // ORDERING: Relaxed, see `take_from_batch`.
        if self.mailbox.left.load(Ordering::Relaxed) == 0 {
            if self.mailbox.word.peek() & QUEUED == 0 {
                return None;
            }
            let mut wakers = WakeList::new();
            let flags = self.mailbox.word.lock();
            if flags & SPECIAL != 0 {
                // SAFETY: locked.
                let (message, now) = unsafe { self.take_special(flags, &mut wakers, Some(batch)) };
                self.mailbox.word.unlock(now);
                return message;
            }
            // SAFETY: locked, and nothing of the batch is left.
            let now = unsafe { self.take_batch_locked(flags, &mut wakers) };
            self.mailbox.word.unlock(now);
            // ORDERING: as above.
            if self.mailbox.left.load(Ordering::Relaxed) == 0 {
                return None;
            }
        }
        let place = self.mine(|block, next| block.place(*next));
        // SAFETY: `left` slots from `next` on are full and the receiver's, and it is borrowed
        // mutably: nobody moves the message while it is looked at.
        let found = batch_of(unsafe { &*place });
        if found == batch {
            self.take_from_batch()
        } else {
            None
        }
    }

    /// Takes the next batch without receiving the first of it. Returns the flags to unlock with.
    ///
    /// # Safety
    /// As for `refill_locked`, and the flags don't have `SPECIAL`.
    unsafe fn take_batch_locked(&mut self, flags: u8, wakers: &mut WakeList) -> u8 {
        let mailbox = self.mailbox;
        self.mine(|block, next| {
            let take = |shared: &mut Shared<M>| {
                shared.settle(block);
                let taken = shared.queued.min(shared.batch_max());
                if taken > 0 {
                    *block = shared.slots;
                    *next = shared.head;
                    shared.head = shared.head.wrapping_add(taken);
                    shared.queued -= taken;
                    shared.batch = taken as u8;
                    // ORDERING: Relaxed, see `take_from_batch`.
                    mailbox.left.store(shared.batch, Ordering::Relaxed);
                }
                shared.let_in(wakers);
                shared.flags(flags)
            };
            // SAFETY: the lock is held; `take` doesn't come back.
            unsafe { mailbox.shared(take) }
        })
    }

    /// Whether this is the waker that a push would wake.
    #[inline]
    fn is_stored(&self, waker: &Waker) -> bool {
        // SAFETY: only the receiver writes the cell, so it may read it at any time.
        let is_known = |stored: *const Option<Waker>| unsafe {
            (*stored)
                .as_ref()
                .is_some_and(|stored| wait::same(stored, waker))
        };
        self.mailbox.waker.with(is_known)
    }

    /// Stores the waker for the next park. Not to be called while `PARKED`.
    #[inline]
    fn store_waker(&mut self, waker: &Waker) {
        if !self.is_stored(waker) {
            self.replace_waker(Some(wait::store(waker)));
        }
    }

    #[cold]
    fn replace_waker(&mut self, waker: Option<Waker>) {
        let mut wait = Backoff::new();
        // ORDERING: Acquire pairs with the Release in `unlock_and_wake`: that use is over.
        while self.mailbox.waking.load(Ordering::Acquire) {
            wait.snooze();
        }
        // SAFETY: not PARKED, so nobody starts to use the cell; the last use is over.
        let old = self
            .mailbox
            .waker
            .with_mut(|stored| unsafe { std::mem::replace(&mut *stored, waker) });
        drop(old);
    }

    /// Takes all that is left, and gives the ring's memory back.
    pub(crate) fn drain(&mut self) -> Vec<M> {
        let mut messages = Vec::new();
        loop {
            messages.extend(std::iter::from_fn(|| self.take_from_batch()));
            let mut wakers = WakeList::new();
            let flags = self.mailbox.word.lock();
            // SAFETY: locked, and the batch is used up.
            let (message, now) = unsafe { self.refill_locked(flags, &mut wakers) };
            if message.is_none() {
                // SAFETY: locked; nothing queued, no batch: the block is empty.
                unsafe {
                    self.mailbox.shared(|shared| {
                        std::mem::replace(&mut shared.slots, Slots::NONE).free();
                        if let Some(lanes) = &mut shared.lanes {
                            lanes.shrink();
                        }
                    });
                }
            }
            self.mailbox.word.unlock(now);
            match message {
                Some(message) => messages.push(message),
                None => return messages,
            }
        }
    }
}

impl<M> Shared<M> {
    /// The room of a used-up batch is free again, and so is the block it lay in, if it was left
    /// alone there.
    #[inline]
    fn settle(&mut self, block: &mut Slots<M>) {
        if self.batch == 0 {
            return;
        }
        let block = std::mem::replace(block, Slots::NONE);
        if self.detached {
            // SAFETY: the queued messages moved out when the ring grew, the batch is used up.
            unsafe { block.free() };
            self.detached = false;
        }
        self.batch = 0;
    }

    /// How many messages the receiver may take at once.
    #[inline]
    fn batch_max(&self) -> u32 {
        (self.capacity / 4).clamp(1, BATCH_MAX)
    }

    /// The flags to unlock with after a receive.
    #[inline]
    fn flags(&self, flags: u8) -> u8 {
        let more = self.queued > 0 || !self.senders.is_empty();
        let kept = flags & (CLOSED | KICKED);
        if more { kept | QUEUED } else { kept }
    }

    /// Lets waiting senders in, in their order: the first one's message is received at once if the
    /// ring had none, the others' go into the ring.
    #[cold]
    fn admit(&mut self, message: Option<M>, wakers: &mut WakeList) -> Option<M> {
        let message = message.or_else(|| self.admit_first(wakers));
        self.let_in(wakers);
        message
    }

    /// Lets waiting senders into the ring, as far as there is room.
    fn let_in(&mut self, wakers: &mut WakeList) {
        while self.used() < self.capacity {
            let Some(message) = self.admit_first(wakers) else {
                break;
            };
            self.push(message);
        }
    }

    /// Takes the first waiting sender's message; its future finds itself done.
    fn admit_first(&mut self, wakers: &mut WakeList) -> Option<M> {
        let (message, waker) = self.senders.finish_first(WaitState::Done, Option::take)?;
        wakers.push(waker);
        message
    }
}

/// The right to receive for a while: during a poll, say. It leaves all as it is, so the next one goes
/// on where this one ends. Who takes turns says at last that it has left ([`Mailbox::leave`]).
pub(crate) struct MailboxTurn<'a, M>(ManuallyDrop<MailboxReceiver<'a, M>>);

impl<'a, M> MailboxTurn<'a, M> {
    /// Not to be called while there is a receiver: see [`Mailbox::turn`].
    #[inline]
    pub(super) fn of(mailbox: &'a Mailbox<M>) -> Self {
        Self(ManuallyDrop::new(MailboxReceiver::of(mailbox)))
    }
}

impl<'a, M> Deref for MailboxTurn<'a, M> {
    type Target = MailboxReceiver<'a, M>;

    #[inline]
    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<M> DerefMut for MailboxTurn<'_, M> {
    #[inline]
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl<M> Drop for MailboxTurn<'_, M> {
    #[inline]
    fn drop(&mut self) {
        // ORDERING: Release pairs with the Acquire in `become_receiver`.
        self.0.mailbox.receiving.store(false, Ordering::Release);
    }
}

impl<M> fmt::Debug for MailboxTurn<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<M> fmt::Debug for MailboxReceiver<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MailboxReceiver")
            .field(self.mailbox)
            .finish()
    }
}

impl<M> Drop for MailboxReceiver<'_, M> {
    fn drop(&mut self) {
        #[cfg(feature = "planted")]
        if crate::planted::is(crate::planted::Bug::LostMessage) {
            while let Some(message) = self.take_from_batch() {
                drop(message);
            }
        }
        // No longer parked: a message must not be handed to somebody who left (rendezvous), and the
        // waker goes, so that a stopped goroutine's memory does.
        let flags = self.mailbox.word.lock();
        self.mailbox.word.unlock(flags & !PARKED);
        self.replace_waker(None);
        // ORDERING: Release pairs with the Acquire in `become_receiver`.
        self.mailbox.receiving.store(false, Ordering::Release);
    }
}
