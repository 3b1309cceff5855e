//! The receiving side of a mailbox: steps 2 and 3 of the protocol in `mod.rs`.
//!
//! - The batch is taken without a lock; everything else happens under it.
//! - The stored waker is written only by the receiver, when it is not `PARKED` and nobody is using
//!   the waker; so the receiver itself may read it at any time.

use std::fmt;
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::ptr;
use std::task::{Context, Poll, Waker};

use super::super::ring::Slots;
use super::super::waiters::WakeList;
use super::super::word_lock::Backoff;
use super::store::{Shared, Store};
use super::{CLOSED, KICKED, Mailbox, PARKED, QUEUED, ROOMY, SPECIAL};
use crate::sched::coop;
use crate::sched::thin_waker::ThinWaker;
use crate::sched::wait::{self, Wait, WaitKind};
use crate::shim::atomic::Ordering;

/// Whether a receiver that takes the only message parks before it has handled it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ahead {
    /// The next sender wakes it: for who won't wait before it comes back, and so isn't polled in vain.
    Yes,
    No,
}

/// The one receiver of a mailbox, for as long as it lives. Messages that it took in a batch and did
/// not hand out stay in the mailbox.
pub(crate) struct MailboxReceiver<'a, M> {
    mailbox: &'a Mailbox<M>,
    /// The mailbox's, or null. Kept here because senders write beside the mailbox's own note of it.
    store: *const Store<M>,
}

// SAFETY: it is a reference to the mailbox, in two ways.
unsafe impl<M: Send> Send for MailboxReceiver<'_, M> {}
// SAFETY: as above; a shared one gives no access.
unsafe impl<M: Send> Sync for MailboxReceiver<'_, M> {}

impl<'a, M> MailboxReceiver<'a, M> {
    /// Not to be called while there is another one: see [`Mailbox::receiver`].
    #[inline]
    pub(super) fn of(mailbox: &'a Mailbox<M>) -> Self {
        let mut receiver = Self {
            mailbox,
            store: ptr::null(),
        };
        // SAFETY: this is the receiver.
        let store = unsafe { mailbox.store_of_receiver() };
        receiver.store = store.map_or(ptr::null(), ptr::from_ref);
        receiver
    }

    /// Notes the mailbox's store.
    ///
    /// # Safety
    /// The lock is held.
    #[inline]
    unsafe fn find_store(&mut self) {
        // SAFETY: locked.
        let store = unsafe { self.mailbox.store() };
        self.store = store.map_or(ptr::null(), ptr::from_ref);
    }

    /// The store with the batch, if there is one.
    #[inline(always)]
    fn batch(&self) -> Option<&Store<M>> {
        // SAFETY: only the receiver takes a store away, and it forgets it then.
        unsafe { self.store.as_ref() }
    }

    /// Runs `f` on the receiver's own part: the block of its batch and the index of the next message.
    ///
    /// # Safety
    /// It has a batch, used up or not, or holds the lock; and there is a store.
    #[inline(always)]
    unsafe fn mine<R>(&mut self, f: impl FnOnce(&mut Slots<M>, &mut u32) -> R) -> R {
        let Store { mine, next, .. } = self.batch().expect("a batch is in a store");
        // SAFETY: only the one receiver gets here, borrowed mutably; no `f` comes back here.
        mine.with_mut(|mine| next.with_mut(|next| f(unsafe { &mut *mine }, unsafe { &mut *next })))
    }

    /// The next message; `None` once the mailbox is closed and empty.
    #[inline]
    pub(crate) fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<M>> {
        let mut message = None;
        let polled = self.poll_recv_into(cx, &mut message, Ahead::No);
        polled.map(|()| message)
    }

    /// As `poll_recv`, to where the message shall lie, where none is yet: it is moved once.
    #[inline]
    pub(crate) fn poll_recv_into(
        &mut self,
        cx: &mut Context<'_>,
        to: &mut Option<M>,
        ahead: Ahead,
    ) -> Poll<()> {
        if coop::poll_proceed(cx).is_pending() {
            return Poll::Pending;
        }
        if let Some(message) = self.take_from_batch() {
            *to = Some(message);
            return Poll::Ready(());
        }
        // Asked once: a waker need not be equal to its own clone.
        let is_stored = self.is_stored(cx.waker());
        if is_stored && self.mailbox.word.peek() & !ROOMY == PARKED {
            return self.parked(cx); // still, and nothing came
        }
        self.refill_or_park(cx, to, ahead, is_stored)
    }

    /// How many messages of the batch are left.
    #[inline(always)]
    fn left(&self) -> u8 {
        // ORDERING: Relaxed, only this receiver writes it; others read it as a hint (`len`).
        self.batch()
            .map_or(0, |store| store.left.load(Ordering::Relaxed))
    }

    #[inline]
    fn take_from_batch(&mut self) -> Option<M> {
        let store = self.batch()?;
        // ORDERING: Relaxed, as in `left`.
        let left = store.left.load(Ordering::Relaxed);
        if left == 0 {
            return None;
        }
        store.left.store(left - 1, Ordering::Relaxed);
        let take = |block: &mut Slots<M>, next: &mut u32| {
            let index = *next;
            *next = index.wrapping_add(1);
            // SAFETY: `left` slots from `next` on are full and the receiver's; now one fewer.
            unsafe { block.read(index) }
        };
        // SAFETY: there is a batch.
        Some(unsafe { self.mine(take) })
    }

    #[inline]
    fn parked(&self, cx: &mut Context<'_>) -> Poll<()> {
        Wait::on(WaitKind::Mailbox, self.mailbox).note(cx.waker());
        Poll::Pending
    }

    fn refill_or_park(
        &mut self,
        cx: &mut Context<'_>,
        to: &mut Option<M>,
        ahead: Ahead,
        mut is_stored: bool,
    ) -> Poll<()> {
        let word = &self.mailbox.word;
        // Made before the lock is taken, the clone being foreign code.
        let mut waker = (!is_stored).then(|| ThinWaker::new(wait::store(cx.waker())));
        loop {
            let flags = word.lock();
            if !is_stored {
                // SAFETY: locked, with these flags.
                is_stored = unsafe { self.exchange_waker(flags, &mut waker) };
            }
            if flags & (QUEUED | CLOSED | KICKED) == 0 && is_stored {
                // SAFETY: locked, and the batch is used up; nothing is queued and nobody waits.
                let now = unsafe { self.settle_locked(flags) };
                word.unlock(now | PARKED);
                return self.parked(cx);
            }
            // SAFETY: locked.
            if unsafe { self.mailbox.take_letter(to) } {
                debug_assert!(self.store.is_null(), "there was no store");
                let now = flags & (CLOSED | KICKED);
                let parks =
                    ahead == Ahead::Yes && now == 0 && is_stored && self.mailbox.capacity != 0;
                word.unlock(if parks { PARKED } else { now });
                return Poll::Ready(());
            }
            // Dropped after each of the unlocks below.
            let mut wakers = WakeList::new();
            // SAFETY: locked, and the batch is used up.
            let now = unsafe { self.refill_locked(flags, &mut wakers, to) };
            let is_last = to.is_some() && now & !ROOMY == 0 && self.left() == 0;
            if is_last && is_stored && ahead == Ahead::Yes {
                // SAFETY: locked; nothing is queued, and there is no batch.
                let now = unsafe { self.park_ahead(now) };
                word.unlock(now);
                return Poll::Ready(());
            }
            if to.is_some() || flags & CLOSED != 0 {
                word.unlock(now);
                return Poll::Ready(());
            }
            if flags & KICKED != 0 {
                word.unlock(now & !KICKED);
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            // Not parked any more, so the waker may be replaced. The next round parks, or receives.
            word.unlock(now);
            if !is_stored {
                is_stored = true;
                self.replace_waker(waker.take());
            }
        }
    }

    /// Stores the waker for the next park, if nobody may be using the one that is there; false
    /// otherwise. `waker` is the old one then, to be dropped after unlocking.
    ///
    /// # Safety
    /// The lock is held, and had these flags.
    unsafe fn exchange_waker(&self, flags: u8, waker: &mut Option<ThinWaker>) -> bool {
        // ORDERING: Acquire pairs with the Release in `unlock_and_wake`: the last use is over.
        if flags & PARKED != 0 || self.mailbox.waking.load(Ordering::Acquire) {
            return false;
        }
        // SAFETY: it is used by who cleared `PARKED`, with `waking` set under the lock, which is ours.
        let exchange = |stored: *mut Option<ThinWaker>| unsafe { ptr::swap(stored, waker) };
        self.mailbox.waker.with_mut(exchange);
        true
    }

    /// Gives the room of the used-up batch back, and the store. Returns the flags to unlock with.
    ///
    /// # Safety
    /// The lock is held, it had `flags`, without `QUEUED`; nothing of the batch is left.
    #[inline]
    unsafe fn settle_locked(&mut self, flags: u8) -> u8 {
        // SAFETY: the lock is held.
        unsafe {
            self.find_store();
            if let Some(Store { mine, shared, .. }) = self.batch() {
                mine.with_mut(|block| shared.with_mut(|shared| (*shared).settle(&mut *block)));
            }
            self.let_store_go(flags)
        }
    }

    /// [`Mailbox::let_store_go`], and forgets it.
    ///
    /// # Safety
    /// As there.
    #[inline]
    unsafe fn let_store_go(&mut self, flags: u8) -> u8 {
        // SAFETY: as promised.
        unsafe {
            let now = self.mailbox.let_store_go(flags);
            self.find_store();
            now
        }
    }

    /// The message in hand was the only one: parks before it is handled. Returns the flags to unlock with.
    ///
    /// # Safety
    /// The lock is held, `flags` are to be unlocked with; nothing is queued, there is no batch.
    #[inline]
    unsafe fn park_ahead(&mut self, flags: u8) -> u8 {
        if self.mailbox.capacity == 0 {
            // A rendezvous would take the next message, which is for who comes back.
            return flags;
        }
        // SAFETY: as promised.
        unsafe { self.let_store_go(flags) | PARKED }
    }

    /// Gives the room of the used-up batch back, takes a message and the next batch, and lets
    /// waiting senders in. Returns the flags to unlock with, never `PARKED`.
    ///
    /// # Safety
    /// The lock is held, it had `flags`, and nothing of the batch is left.
    #[inline]
    unsafe fn refill_locked(&mut self, flags: u8, wakers: &mut WakeList, to: &mut Option<M>) -> u8 {
        if flags & SPECIAL != 0 {
            // SAFETY: as for this function.
            let (message, now) = unsafe { self.take_special(flags, wakers, None) };
            *to = message;
            return now;
        }
        // SAFETY: locked.
        unsafe { self.find_store() };
        let Some(store) = self.batch() else {
            return flags & (CLOSED | KICKED | ROOMY);
        };
        let refill = |block: &mut Slots<M>, next: &mut u32, shared: &mut Shared<M>| {
            shared.settle(block);
            if shared.queued > 0 {
                let taken = shared.queued.min(shared.batch_max());
                let first = shared.head;
                shared.head = first.wrapping_add(taken);
                shared.queued -= taken;
                if taken > 1 {
                    shared.batch = (taken - 1) as u8;
                    *block = shared.slots;
                    *next = first.wrapping_add(1);
                    // ORDERING: Relaxed, see `left`.
                    store.left.store(shared.batch, Ordering::Relaxed);
                }
                // SAFETY: it was the first queued message; it is counted out now.
                *to = Some(unsafe { shared.slots.read(first) });
            }
            if !shared.senders.is_empty() {
                *to = shared.admit(to.take(), wakers);
            }
            shared.flags(flags)
        };
        // SAFETY: this is the receiver, and it holds the lock.
        unsafe { store.with_all(refill) }
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
        if self.left() == 0 {
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
            if self.left() == 0 {
                return None;
            }
        }
        // SAFETY: there is a batch.
        let place = unsafe { self.mine(|block, next| block.place(*next)) };
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
        // SAFETY: locked.
        unsafe { self.find_store() };
        let Some(store) = self.batch() else {
            return flags & (CLOSED | KICKED | ROOMY);
        };
        let take = |block: &mut Slots<M>, next: &mut u32, shared: &mut Shared<M>| {
            shared.settle(block);
            let taken = shared.queued.min(shared.batch_max());
            if taken > 0 {
                *block = shared.slots;
                *next = shared.head;
                shared.head = shared.head.wrapping_add(taken);
                shared.queued -= taken;
                shared.batch = taken as u8;
                // ORDERING: Relaxed, see `left`.
                store.left.store(shared.batch, Ordering::Relaxed);
            }
            shared.let_in(wakers);
            shared.flags(flags)
        };
        // SAFETY: this is the receiver, and it holds the lock.
        unsafe { store.with_all(take) }
    }

    /// Whether this is the waker that a push would wake.
    #[inline]
    fn is_stored(&self, waker: &Waker) -> bool {
        // SAFETY: only the receiver writes the cell, so it may read it at any time.
        let is_known = |stored: *const Option<ThinWaker>| unsafe {
            (*stored)
                .as_ref()
                .is_some_and(|stored| stored.is_same(waker))
        };
        self.mailbox.waker.with(is_known)
    }

    /// Stores the waker for the next park. Not to be called while `PARKED`.
    #[cold]
    fn replace_waker(&mut self, waker: Option<ThinWaker>) {
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
            let mut message = None;
            let flags = self.mailbox.word.lock();
            // SAFETY: locked, and the batch is used up.
            let now = unsafe { self.refill_locked(flags, &mut wakers, &mut message) };
            let now = if message.is_none() {
                // SAFETY: locked; nothing queued, no batch.
                unsafe {
                    let _ = self.mailbox.shared(|shared| {
                        if let Some(lanes) = &mut shared.lanes {
                            lanes.shrink();
                        }
                    });
                    self.let_store_go(now)
                }
            } else {
                now
            };
            self.mailbox.word.unlock(now);
            match message {
                Some(message) => messages.push(message),
                None => return messages,
            }
        }
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
