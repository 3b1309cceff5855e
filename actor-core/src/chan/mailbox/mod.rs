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

mod receiver;
mod sender;

use std::fmt;
use std::mem::ManuallyDrop;
use std::task::Waker;

pub(crate) use receiver::MailboxReceiver;
pub(crate) use sender::MailboxSend;

use super::TrySendError;
use super::ring::{CAPACITY_MAX, Slots};
use super::waiters::{WaitList, WaitState, WakeList};
use super::word_lock::WordLock;
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
        MailboxSend::new(self, message)
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
        MailboxReceiver::of(self)
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
        let mut rest = ManuallyDrop::new(MailboxReceiver::of(self));
        drop(rest.drain());
    }
}
