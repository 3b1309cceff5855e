//! The mailbox: a channel for many senders and one receiver, which survives its receivers.
//!
//! ```text
//!            ring (one block, grows; indices count up)             waiting senders
//!   ───┬───────────────┬───────────────────────┬─────────────     ┌───┐   ┌───┐
//!      │ batch: left   │ queued: head..+queued │  room            │ w │──▶│ w │  (value inside)
//!   ───┴───────────────┴───────────────────────┴─────────────     └───┘   └───┘
//!      receiver's alone        under the lock                      only when there is no room
//! ```
//!
//! One word lock (see `word_lock.rs`) carries the flags that say what the receiver may do without it:
//! - `QUEUED`: the ring has messages beyond the batch, or senders wait.
//! - `PARKED`: the receiver found nothing, stored its waker and sleeps. Who clears it must wake it.
//! - `CLOSED`: nothing is accepted any more.
//! - `KICKED`: `wake_receiver` found it awake; its next attempt to park fails.
//!
//! Protocol:
//! 1. send: lock; room ⇒ write the slot, unlock with `QUEUED` set and `PARKED` cleared, and if it
//!    was set, wake. No room ⇒ link a waiter. A warm push is one RMW.
//! 2. receive: take from the batch without any lock; when it is used up, lock, give its room back
//!    (to waiting senders first, in their order), take the next batch, unlock. Nothing there ⇒ park:
//!    one compare-and-swap of the whole word, so that no push can come between look and park.
//! 3. wake: after unlocking and by reference, so that a warm wake touches no reference count. The
//!    one who cleared `PARKED` sets `waking` while it uses the stored waker; a receiver that wants to
//!    store another waker (a new incarnation) waits for it to be false. If a second wake overlaps the
//!    first, it wakes a clone.
//! 4. grow: a new block takes the queued messages; the batch stays where it is, and the receiver
//!    frees that block when the batch is used up.
//!
//! Invariants:
//! - Waiting senders ⇒ no room. `PARKED` ⇒ nothing queued, no batch, no waiting sender.
//! - A batch is at most a quarter of the capacity and at most `BATCH_MAX`; its messages count
//!   against the capacity until it is used up, and stay here when the receiver goes (a restart).
//! - `Mine` and `left` belong to the one [`MailboxReceiver`]; `receiving` makes sure it is one.
//! - An idle mailbox owns no heap memory until its first message.

use std::fmt;
use std::future::Future;
use std::mem::ManuallyDrop;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use super::ring::{CAPACITY_MAX, Slots};
use super::waiters::{WaitList, WaitState, Waiter, WakeList, pin_field};
use super::word_lock::{Backoff, LOCKED, WordLock};
use super::{SendError, TrySendError};
use crate::sched::coop;
use crate::shim::UnsafeCell;
use crate::shim::atomic::{AtomicBool, AtomicU8, Ordering};

const QUEUED: u8 = 2;
const PARKED: u8 = 4;
const CLOSED: u8 = 8;
const KICKED: u8 = 16;

/// The most messages that the receiver takes under one lock.
const BATCH_MAX: u32 = if cfg!(actor_loom) { 2 } else { 32 };

/// How many messages a mailbox accepts before its senders wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Capacity {
    /// None: a send completes when the receiver takes the message, or waits for one.
    Rendezvous,
    /// So many; 0 is a rendezvous.
    Buffered(usize),
    /// As many as memory holds.
    Unbounded,
}

/// What the lock guards.
struct Shared<M> {
    slots: Slots<M>,
    /// Index of the first queued message (behind the batch).
    head: u32,
    /// Messages in the ring beyond the batch.
    queued: u32,
    senders: WaitList<M>,
    /// Size of the receiver's batch: room that is not given back yet.
    batch: u8,
    /// The ring grew since the batch was taken: the batch lies in a block of its own.
    detached: bool,
}

/// What only the receiver touches: its batch. How many are left is an atomic, for `len`.
struct Mine<M> {
    slots: Slots<M>,
    next: u32,
    /// The batch as it was taken, 0 once its room was given back.
    batch: u8,
}

/// See the file's comment.
pub(crate) struct Mailbox<M> {
    word: WordLock,
    waking: AtomicBool,
    receiving: AtomicBool,
    left: AtomicU8,
    /// `CAPACITY_MAX` for unbounded, 0 for rendezvous.
    capacity: u32,
    shared: UnsafeCell<Shared<M>>,
    mine: UnsafeCell<Mine<M>>,
    waker: UnsafeCell<Option<Waker>>,
}

// SAFETY: messages move between threads (`M: Send`), and nobody gets a reference to one inside.
// `shared` is used under the lock, `mine` by the only receiver, `waker` as step 3 of the protocol says.
unsafe impl<M: Send> Send for Mailbox<M> {}
// SAFETY: as above.
unsafe impl<M: Send> Sync for Mailbox<M> {}

impl<M> Mailbox<M> {
    pub(crate) fn new(capacity: Capacity) -> Self {
        Self {
            word: WordLock::new(0),
            waking: AtomicBool::new(false),
            receiving: AtomicBool::new(false),
            left: AtomicU8::new(0),
            capacity: match capacity {
                Capacity::Rendezvous => 0,
                Capacity::Buffered(messages) => messages.min(CAPACITY_MAX as usize - 1) as u32,
                Capacity::Unbounded => CAPACITY_MAX,
            },
            shared: UnsafeCell::new(Shared {
                slots: Slots::NONE,
                head: 0,
                queued: 0,
                senders: WaitList::new(),
                batch: 0,
                detached: false,
            }),
            mine: UnsafeCell::new(Mine {
                slots: Slots::NONE,
                next: 0,
                batch: 0,
            }),
            waker: UnsafeCell::new(None),
        }
    }

    /// Runs `f` on the shared part.
    ///
    /// # Safety
    /// The caller holds the lock, and `f` doesn't come back here.
    #[inline(always)]
    unsafe fn shared<R>(&self, f: impl FnOnce(&mut Shared<M>) -> R) -> R {
        // SAFETY: the lock makes it the only access.
        self.shared.with_mut(|shared| f(unsafe { &mut *shared }))
    }

    /// Sends a message, waiting for room. Dropping the future before it is ready takes the message
    /// back (and drops it); once it is ready the message is the mailbox's.
    #[inline]
    pub(crate) fn send(&self, message: M) -> MailboxSend<'_, M> {
        MailboxSend {
            mailbox: self,
            waiter: Waiter::new(Some(message)),
        }
    }

    /// Sends a message if there is room now.
    #[inline]
    pub(crate) fn try_send(&self, message: M) -> Result<(), TrySendError<M>> {
        let flags = self.word.lock();
        // SAFETY: locked just above.
        match unsafe { self.push_locked(flags, message) } {
            Ok(flags_now) => {
                // SAFETY: still locked; `flags_now` came from `push_locked`.
                unsafe { self.unlock_and_wake(flags, flags_now) };
                Ok(())
            }
            Err(message) => {
                self.word.unlock(flags);
                Err(if flags & CLOSED != 0 {
                    TrySendError::Closed(message)
                } else {
                    TrySendError::Full(message)
                })
            }
        }
    }

    /// Puts a message into the ring; the flags to unlock with, or the message if it may not enter.
    ///
    /// # Safety
    /// The caller holds the lock, which had `flags`.
    #[inline]
    unsafe fn push_locked(&self, flags: u8, message: M) -> Result<u8, M> {
        // SAFETY: the caller holds the lock.
        let pushed = unsafe {
            self.shared(|shared| {
                let used = shared.used();
                // A parked receiver of a rendezvous mailbox is waiting for exactly this message.
                let room = used < self.capacity || (self.capacity == 0 && flags & PARKED != 0);
                if flags & CLOSED != 0 || !room {
                    return Err(message);
                }
                shared.push(message);
                Ok(())
            })
        };
        pushed.map(|()| (flags | QUEUED) & !PARKED)
    }

    /// Unlocks with `now`, and wakes the receiver if that clears `PARKED`.
    ///
    /// # Safety
    /// The caller holds the lock, which had the flags `before`.
    #[inline]
    unsafe fn unlock_and_wake(&self, before: u8, now: u8) {
        if before & PARKED == 0 || now & PARKED != 0 {
            self.word.unlock(now);
            return;
        }
        // ORDERING: Relaxed, set and seen set only under the lock; if we see a stale `true` we
        // clone, which is always right. `false` is stored with Release by the one waker before us,
        // whose use of the waker was by shared reference, like ours.
        if self.waking.load(Ordering::Relaxed) {
            return self.unlock_and_wake_clone(now);
        }
        self.waking.store(true, Ordering::Relaxed);
        self.word.unlock(now);
        self.waker.with(|waker| {
            // SAFETY: we cleared `PARKED`, so the waker is there, and the receiver doesn't replace
            // it while `waking` is true; its park (Release) made it visible to our lock.
            if let Some(waker) = unsafe { &*waker } {
                waker.wake_by_ref();
            }
        });
        // ORDERING: Release pairs with the Acquire in `store_waker`: our use is over before the
        // receiver writes the cell.
        self.waking.store(false, Ordering::Release);
    }

    #[cold]
    fn unlock_and_wake_clone(&self, now: u8) {
        // SAFETY: the caller holds the lock and found `PARKED`: until we unlock without it, the
        // receiver doesn't touch the cell; others only read it.
        let waker = self.waker.with(|waker| unsafe { (*waker).clone() });
        self.word.unlock(now);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Wakes the receiver without a message: if it sleeps it is polled, if it is awake its next
    /// attempt to sleep makes it poll once more. So what was written before this call is seen.
    pub(crate) fn wake_receiver(&self) {
        let flags = self.word.lock();
        let now = if flags & PARKED != 0 {
            flags & !PARKED
        } else {
            flags | KICKED
        };
        // SAFETY: locked, with `flags`.
        unsafe { self.unlock_and_wake(flags, now) };
    }

    /// Accepts no more messages; what is queued can still be received. Waiting senders get their
    /// message back. Returns whether this call closed it.
    pub(crate) fn close(&self) -> bool {
        let mut wakers = WakeList::new();
        let flags = self.word.lock();
        // SAFETY: locked.
        let queued = unsafe {
            self.shared(|shared| {
                while let Some(((), waker)) = shared
                    .senders
                    .finish_first(WaitState::Closed, |_message| ())
                {
                    wakers.push(waker);
                }
                shared.queued > 0
            })
        };
        let now = (flags | CLOSED) & !(PARKED | QUEUED);
        let now = if queued { now | QUEUED } else { now };
        // SAFETY: locked, with `flags`.
        unsafe { self.unlock_and_wake(flags, now) };
        flags & CLOSED == 0
    }

    /// Accepts messages again: the next incarnation of a closed one.
    pub(crate) fn reopen(&self) {
        let flags = self.word.lock();
        self.word.unlock(flags & !CLOSED);
    }

    #[inline]
    pub(crate) fn is_closed(&self) -> bool {
        self.word.peek() & CLOSED != 0
    }

    /// Messages accepted and not yet received. A moment's view.
    pub(crate) fn len(&self) -> usize {
        let flags = self.word.lock();
        // SAFETY: locked.
        let queued = unsafe { self.shared(|shared| shared.queued) };
        // ORDERING: Relaxed, a moment's view of the receiver's progress.
        let left = self.left.load(Ordering::Relaxed);
        self.word.unlock(flags);
        queued as usize + usize::from(left)
    }

    pub(crate) fn capacity(&self) -> Capacity {
        match self.capacity {
            CAPACITY_MAX => Capacity::Unbounded,
            0 => Capacity::Rendezvous,
            messages => Capacity::Buffered(messages as usize),
        }
    }

    /// Becomes the receiver, until the guard is dropped. Panics while there is another one.
    pub(crate) fn receiver(&self) -> MailboxReceiver<'_, M> {
        // ORDERING: AcqRel pairs with the Release in `MailboxReceiver::drop`: we see what the last
        // receiver left in `mine` and `waker`.
        let taken = self.receiving.swap(true, Ordering::AcqRel);
        assert!(
            !taken,
            "a mailbox has one receiver at a time: drop the other one first"
        );
        MailboxReceiver { mailbox: self }
    }

    /// Takes all that is left. Panics while there is a receiver; see also `MailboxReceiver::drain`.
    pub(crate) fn drain(&self) -> Vec<M> {
        self.receiver().drain()
    }
}

impl<M> Shared<M> {
    #[inline]
    fn used(&self) -> u32 {
        self.queued + u32::from(self.batch)
    }

    /// Appends to the ring; the caller has checked the capacity.
    #[inline]
    fn push(&mut self, message: M) {
        if self.used() >= self.slots.capacity() {
            self.grow();
        }
        // SAFETY: there is a block with more slots than are in use, so the slot behind the queued
        // messages is empty; slots outside the batch are the lock holder's.
        unsafe {
            self.slots
                .write(self.head.wrapping_add(self.queued), message)
        };
        self.queued += 1;
    }

    /// A block of twice the size for the queued messages. If the receiver has a batch in the old one
    /// it keeps that block and frees it (see `settle`); `batch` counts as used in the new one too.
    #[cold]
    fn grow(&mut self) {
        let larger = self.slots.allocate_larger();
        // SAFETY: the queued slots are full and ours; the new block is empty and larger.
        unsafe { self.slots.move_to(larger, self.head, self.queued) };
        if self.batch == 0 || self.detached {
            // SAFETY: its values moved out, and no batch lies in it.
            unsafe { self.slots.free() };
        }
        self.detached = self.batch > 0;
        self.slots = larger;
    }
}

impl<M> fmt::Debug for Mailbox<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailbox")
            .field("len", &self.len())
            .field("capacity", &self.capacity())
            .field("is_closed", &self.is_closed())
            .finish()
    }
}

impl<M> Drop for Mailbox<M> {
    fn drop(&mut self) {
        // Nobody else can reach the mailbox: be its receiver, whatever `receiving` says (the guard
        // may have been forgotten).
        let mut rest = ManuallyDrop::new(MailboxReceiver { mailbox: self });
        drop(rest.drain());
    }
}

/// The one receiver of a mailbox, for as long as it lives. Messages that it took in a batch and did
/// not hand out stay in the mailbox.
pub(crate) struct MailboxReceiver<'a, M> {
    mailbox: &'a Mailbox<M>,
}

impl<M> MailboxReceiver<'_, M> {
    /// Runs `f` on the receiver's own part.
    #[inline(always)]
    fn mine<R>(&mut self, f: impl FnOnce(&mut Mine<M>) -> R) -> R {
        // SAFETY: only the one receiver gets here, borrowed mutably; no `f` comes back here.
        self.mailbox.mine.with_mut(|mine| f(unsafe { &mut *mine }))
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
        Some(self.mine(|mine| {
            let index = mine.next;
            mine.next = index.wrapping_add(1);
            // SAFETY: `left` slots from `next` on are full and the receiver's; now one fewer.
            unsafe { mine.slots.read(index) }
        }))
    }

    fn refill_or_park(&mut self, cx: &mut Context<'_>) -> Poll<Option<M>> {
        let word = &self.mailbox.word;
        loop {
            let seen = word.peek();
            if seen & (QUEUED | CLOSED | KICKED | LOCKED) == 0 && self.mine(|mine| mine.batch == 0)
            {
                if seen == 0 {
                    self.store_waker(cx.waker());
                    if word.transition(0, PARKED) {
                        return Poll::Pending;
                    }
                    continue;
                }
                if self.is_stored(cx.waker()) {
                    return Poll::Pending; // still parked, and nothing came
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
                return Poll::Pending;
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
    unsafe fn refill_locked(&mut self, flags: u8, wakers: &mut WakeList) -> (Option<M>, u8) {
        let mailbox = self.mailbox;
        let batch_max = (mailbox.capacity / 4).clamp(1, BATCH_MAX);
        self.mine(|mine| {
            let refill = |shared: &mut Shared<M>| {
                shared.settle(mine);
                let message = if shared.queued > 0 {
                    let taken = shared.queued.min(batch_max);
                    let first = shared.head;
                    shared.head = first.wrapping_add(taken);
                    shared.queued -= taken;
                    if taken > 1 {
                        shared.batch = (taken - 1) as u8;
                        *mine = Mine {
                            slots: shared.slots,
                            next: first.wrapping_add(1),
                            batch: shared.batch,
                        };
                        // ORDERING: Relaxed, see `take_from_batch`.
                        mailbox.left.store(shared.batch, Ordering::Relaxed);
                    }
                    // SAFETY: it was the first queued message; it is counted out now.
                    Some(unsafe { shared.slots.read(first) })
                } else {
                    shared.admit_first(wakers)
                };
                while shared.used() < mailbox.capacity {
                    let Some(message) = shared.admit_first(wakers) else {
                        break;
                    };
                    shared.push(message);
                }
                let more = shared.queued > 0 || !shared.senders.is_empty();
                let kept = flags & (CLOSED | KICKED);
                (message, if more { kept | QUEUED } else { kept })
            };
            // SAFETY: the lock is held; `refill` doesn't come back.
            unsafe { mailbox.shared(refill) }
        })
    }

    /// Whether this is the waker that a push would wake.
    #[inline]
    fn is_stored(&self, waker: &Waker) -> bool {
        // SAFETY: only the receiver writes the cell, so it may read it at any time.
        let is_known = |stored: *const Option<Waker>| unsafe {
            (*stored)
                .as_ref()
                .is_some_and(|stored| stored.will_wake(waker))
        };
        self.mailbox.waker.with(is_known)
    }

    /// Stores the waker for the next park. Not to be called while `PARKED`.
    #[inline]
    fn store_waker(&mut self, waker: &Waker) {
        if !self.is_stored(waker) {
            self.replace_waker(Some(waker.clone()));
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
    fn settle(&mut self, mine: &mut Mine<M>) {
        if mine.batch == 0 {
            return;
        }
        if self.detached {
            // SAFETY: the queued messages moved out when the ring grew, the batch is used up.
            unsafe { mine.slots.free() };
            self.detached = false;
        }
        *mine = Mine {
            slots: Slots::NONE,
            next: 0,
            batch: 0,
        };
        self.batch = 0;
    }

    /// Takes the first waiting sender's message; its future finds itself done.
    fn admit_first(&mut self, wakers: &mut WakeList) -> Option<M> {
        let (message, waker) = self.senders.finish_first(WaitState::Done, Option::take)?;
        wakers.push(waker);
        message
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
        // No longer parked: a message must not be handed to somebody who left (rendezvous), and the
        // waker goes, so that a stopped goroutine's memory does.
        let flags = self.mailbox.word.lock();
        self.mailbox.word.unlock(flags & !PARKED);
        self.replace_waker(None);
        // ORDERING: Release pairs with the AcqRel in `receiver()`.
        self.mailbox.receiving.store(false, Ordering::Release);
    }
}

/// The future of [`Mailbox::send`].
#[must_use = "nothing is sent until the future is awaited"]
pub(crate) struct MailboxSend<'a, M> {
    mailbox: &'a Mailbox<M>,
    waiter: Waiter<M>,
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
        let message = waiter
            .as_mut()
            .take_value()
            .expect("a send was polled after it was done");
        let flags = mailbox.word.lock();
        // SAFETY: locked just above.
        match unsafe { mailbox.push_locked(flags, message) } {
            Ok(now) => {
                // SAFETY: still locked.
                unsafe { mailbox.unlock_and_wake(flags, now) };
                Poll::Ready(Ok(()))
            }
            // SAFETY: still locked.
            Err(message) => unsafe { mailbox.wait_for_room(flags, message, waiter, cx) },
        }
    }
}

impl<M> Mailbox<M> {
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
        // SAFETY: locked; the waiter is pinned in its future, whose drop cancels it.
        unsafe { self.shared(|shared| shared.senders.enqueue(waiter, cx.waker())) };
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
                unsafe { self.shared(|shared| shared.senders.renew(waiter.as_mut(), cx.waker())) }
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
        if self.waiter.state() == WaitState::Queued {
            self.cancel();
        }
    }
}

impl<M> MailboxSend<'_, M> {
    #[cold]
    fn cancel(&mut self) {
        // SAFETY: `self` is pinned, or it would not be QUEUED; it is not moved before it is freed.
        let waiter = unsafe { pin_field(&mut self.waiter) };
        let flags = self.mailbox.word.lock();
        let waker = if waiter.state() == WaitState::Queued {
            // SAFETY: locked, and QUEUED in this mailbox's list. A stale `QUEUED` flag does no harm.
            unsafe { self.mailbox.shared(|shared| shared.senders.cancel(waiter)) }
        } else {
            None
        };
        self.mailbox.word.unlock(flags);
        drop(waker);
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
