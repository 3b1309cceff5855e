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
//! The ring and all that goes with it are made when they are needed, and gone when the mailbox is idle
//! (`store.rs`): an idle mailbox is three words. One message alone needs less (`letter.rs`).
//!
//! One word lock (see `word_lock.rs`) carries the flags that say what the receiver may do without it:
//! - `QUEUED`: the ring has messages beyond the batch, or senders wait.
//! - `PARKED`: the receiver found nothing, stored its waker and sleeps, or will when it is done with the
//!   one message that it took. Who clears it must wake it.
//! - `CLOSED`: nothing is accepted any more.
//! - `KICKED`: `wake_receiver` found it awake; its next attempt to park fails.
//! - `SPECIAL`: the messages are in `lanes.rs`'s queues, not in the ring. Never changes. The ring of
//!   such a mailbox has no room, so that a plain push needs no look at the flag.
//! - `ROOMY`: when it was busy last it needed many slots.
//!
//! Protocol:
//! 1. send: lock; room ⇒ write the slot, unlock with `QUEUED` set and `PARKED` cleared, and if it
//!    was set, wake. No room ⇒ link a waiter. A warm push is one RMW.
//! 2. receive: take from the batch without any lock; when it is used up, lock, give its room back
//!    (to waiting senders first, in their order), take the next batch, unlock. Nothing there ⇒ the
//!    store goes, and the word is unlocked with `PARKED`, so that no push can come between. A receiver
//!    that takes the only message, and will not wait while it is at it, may do that at once: when it
//!    comes back and finds itself `PARKED` still, it needs no lock.
//! 3. wake: after unlocking and by reference, so that a warm wake touches no reference count. The
//!    one who cleared `PARKED` sets `waking` while it uses the stored waker; a receiver that wants to
//!    store another waker (a new incarnation) waits for it to be false. If a second wake overlaps the
//!    first, it wakes a clone.
//! 4. grow: a new block takes the queued messages; the batch stays where it is, and the receiver
//!    frees that block when the batch is used up. Dropping the oldest moves the queue away from a
//!    batch in the same way, to a block of the same size: the ring has no gap.
//!
//! Invariants:
//! - Waiting senders ⇒ no room. `PARKED` ⇒ nothing queued, no batch, no waiting sender.
//! - A batch is at most a quarter of the capacity and at most `BATCH_MAX`; its messages count
//!   against the capacity until it is used up, and stay here when the receiver goes (a restart).
//! - `mine`, `next` and `left` belong to the one [`MailboxReceiver`], or to whoever has the turn
//!   ([`MailboxTurn`]); `receiving` makes sure it is one.
//! - What the receiver writes for each message (in the store), and what senders write (the rest of the
//!   store, and the word), lie on different cache lines.

mod lanes;
mod letter;
mod receiver;
mod sender;
mod store;

use std::fmt;
use std::mem::ManuallyDrop;
use std::ptr::{self, NonNull};

use lanes::Lanes;
pub(crate) use lanes::{Crossing, Displaced, Post, Water};
pub(crate) use receiver::{Ahead, MailboxReceiver, MailboxTurn};
pub(crate) use sender::MailboxSend;
use store::{Shared, Store};

use super::TrySendError;
use super::ring::CAPACITY_MAX;
use super::waiters::{WaitState, WakeList};
use super::word_lock::WordLock;
use crate::sched::thin_waker::ThinWaker;
use crate::shim::UnsafeCell;
use crate::shim::atomic::{AtomicBool, AtomicPtr, Ordering};

const QUEUED: u8 = 2;
const PARKED: u8 = 4;
const CLOSED: u8 = 8;
const KICKED: u8 = 16;
const SPECIAL: u8 = 32;
const ROOMY: u8 = 64;

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

/// Why a message was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unsent {
    Full,
    Closed,
}

/// See the file's comment.
///
/// In this order, so that who embeds it knows where the word is: last.
#[repr(C)]
pub(crate) struct Mailbox<M> {
    /// Made under the lock by anybody, taken away under the lock by the receiver. So that one may look
    /// at it at any time. Or a letter.
    store: AtomicPtr<Store<M>>,
    waker: UnsafeCell<Option<ThinWaker>>,
    /// `CAPACITY_MAX` for unbounded, 0 for rendezvous and `SPECIAL`.
    capacity: u32,
    receiving: AtomicBool,
    waking: AtomicBool,
    word: WordLock,
}

// SAFETY: messages move between threads (`M: Send`), and nobody gets a reference to one inside.
// The store is used under the lock, `mine` and `next` in it by the only receiver, `waker` as step 3 of
// the protocol says.
unsafe impl<M: Send> Send for Mailbox<M> {}
// SAFETY: as above.
unsafe impl<M: Send> Sync for Mailbox<M> {}

impl<M> Mailbox<M> {
    pub(crate) fn new(capacity: Capacity) -> Self {
        Self::made(0, capacity_of(capacity), None)
    }

    /// A mailbox with an urgent lane, keys, exact dropping of the oldest, and perhaps a high-water
    /// mark. It hands out one message at a time, under the lock.
    pub(crate) fn special(capacity: Capacity, water: Option<Water>) -> Self {
        Self::made(SPECIAL, 0, Some(Lanes::new(capacity_of(capacity), water)))
    }

    /// Where the word is in a mailbox, in bytes.
    #[cfg(test)]
    pub(crate) const WORD_AT: usize = std::mem::offset_of!(Self, word);

    fn made(flags: u8, capacity: u32, lanes: Option<Box<Lanes<M>>>) -> Self {
        Self {
            store: AtomicPtr::new(lanes.map_or(ptr::null_mut(), |lanes| {
                Store::allocate(flags, capacity, Some(lanes)).as_ptr()
            })),
            waker: UnsafeCell::new(None),
            capacity,
            receiving: AtomicBool::new(false),
            waking: AtomicBool::new(false),
            word: WordLock::new(flags),
        }
    }

    /// The store, if there is one; of a letter one is made.
    ///
    /// # Safety
    /// The caller holds the lock, and uses it for as long at most, or as the receiver.
    #[inline(always)]
    unsafe fn store(&self) -> Option<&Store<M>> {
        // ORDERING: Relaxed, written under the lock.
        let store = self.store.load(Ordering::Relaxed);
        if letter::is_letter(store) {
            // SAFETY: locked.
            return Some(unsafe { self.unfold(store) });
        }
        // SAFETY: a store stays while the lock is held, and only the receiver takes it away.
        unsafe { store.as_ref() }
    }

    /// The store, if there is one, without the lock.
    ///
    /// # Safety
    /// The caller is the receiver, and uses it for as long at most.
    #[inline(always)]
    unsafe fn store_of_receiver(&self) -> Option<&Store<M>> {
        // ORDERING: Acquire pairs with the Release in `set_store`.
        let store = self.store.load(Ordering::Acquire);
        if letter::is_letter(store) {
            return None;
        }
        // SAFETY: only the receiver takes it away.
        unsafe { store.as_ref() }
    }

    fn set_store(&self, store: NonNull<Store<M>>) {
        // ORDERING: Release: see `store_of_receiver`.
        self.store.store(store.as_ptr(), Ordering::Release);
    }

    /// # Safety
    /// The caller holds the lock; this is the letter.
    #[cold]
    unsafe fn unfold(&self, letter: *mut Store<M>) -> &Store<M> {
        let new = Store::allocate(0, self.capacity, None);
        let mut message = None;
        // SAFETY: locked, so the letter is ours, and the store stays.
        let store = unsafe {
            letter::open(letter, &mut message);
            let push = |shared: *mut Shared<M>| (*shared).push_from(&mut message);
            new.as_ref().shared.with_mut(push);
            new.as_ref()
        };
        self.set_store(new);
        store
    }

    /// Takes the only message, if it is a letter, to where none is yet; false otherwise.
    ///
    /// # Safety
    /// The caller is the receiver, and holds the lock.
    #[inline(always)]
    unsafe fn take_letter(&self, to: &mut Option<M>) -> bool {
        // ORDERING: Relaxed here and below: written and read under the lock.
        let store = self.store.load(Ordering::Relaxed);
        let is_letter = letter::is_letter(store);
        if is_letter {
            self.store.store(ptr::null_mut(), Ordering::Relaxed);
            // SAFETY: locked, and nobody knows it any more.
            unsafe { letter::open(store, to) };
        }
        is_letter
    }

    /// Runs `f` on the shared part, if there is a store.
    ///
    /// # Safety
    /// The caller holds the lock, and `f` doesn't come back here.
    #[inline(always)]
    unsafe fn shared<R>(&self, f: impl FnOnce(&mut Shared<M>) -> R) -> Option<R> {
        // SAFETY: the lock makes it the only access.
        unsafe { self.store() }
            .map(|store| store.shared.with_mut(|shared| f(unsafe { &mut *shared })))
    }

    /// Runs `f` on the shared part of the store, which is made if there is none.
    ///
    /// # Safety
    /// As for `shared`. The lock had `flags`.
    #[inline(always)]
    unsafe fn shared_or_new<R>(&self, flags: u8, f: impl FnOnce(&mut Shared<M>) -> R) -> R {
        // SAFETY: locked.
        let store = match unsafe { self.store() } {
            Some(store) => store,
            None => {
                let new = Store::allocate(flags, self.capacity, None);
                self.set_store(new);
                // SAFETY: it stays while the lock is held.
                unsafe { new.as_ref() }
            }
        };
        // SAFETY: as in `shared`.
        store.shared.with_mut(|shared| f(unsafe { &mut *shared }))
    }

    /// The store goes, if nothing is in it; returns the flags to unlock with.
    ///
    /// # Safety
    /// The caller is the receiver, without a batch, and holds the lock. `flags` are to be unlocked with.
    #[inline]
    unsafe fn let_store_go(&self, flags: u8) -> u8 {
        // SAFETY: locked.
        let idle = unsafe { self.shared(|shared| (shared.is_idle(), shared.roominess())) };
        let Some((true, roominess)) = idle else {
            return flags;
        };
        // ORDERING: Relaxed: written and read under the lock, or by the receiver, which we are.
        let store = self.store.load(Ordering::Relaxed);
        self.store.store(ptr::null_mut(), Ordering::Relaxed);
        if let Some(store) = NonNull::new(store) {
            // SAFETY: nothing is in it, and nobody knows it any more.
            unsafe { Store::free(store) };
        }
        (flags & !ROOMY) | roominess
    }

    /// Whether a message would find room in a mailbox without a store.
    #[inline]
    fn has_room_when_empty(&self, flags: u8) -> bool {
        self.capacity > 0 || store::is_awaited(self.capacity, flags)
    }

    /// Sends a message, waiting for room. Dropping the future before it is ready takes the message
    /// back (and drops it); once it is ready the message is the mailbox's.
    #[inline]
    pub(crate) fn send(&self, message: M) -> MailboxSend<'_, M> {
        MailboxSend::new(self, message)
    }

    /// As [`send`](Self::send), for a message that an [`offer`](Self::offer) with this `post` found
    /// no room for. While it waits it neither replaces another one nor is replaced.
    pub(crate) fn send_as(&self, message: M, post: Post) -> MailboxSend<'_, M> {
        let send = MailboxSend::new(self, message);
        if post != Post::default() {
            let flags = self.word.lock();
            if flags & SPECIAL != 0 {
                // SAFETY: locked.
                let ticket = unsafe { self.lanes(|lanes| lanes.ticket(post)) };
                send.set_ticket(ticket);
            }
            self.word.unlock(flags);
        }
        send
    }

    /// Sends a message if there is room now. A `SPECIAL` mailbox always says that it is full, so that
    /// this stays short: see [`offer`](Self::offer).
    #[cfg(test)]
    pub(crate) fn try_send(&self, message: M) -> Result<(), TrySendError<M>> {
        let mut message = Some(message);
        let sent = self.try_send_from(&mut message);
        match (sent, message) {
            (_, None) => Ok(()),
            (Err(Unsent::Closed), Some(message)) => Err(TrySendError::Closed(message)),
            (_, Some(message)) => Err(TrySendError::Full(message)),
        }
    }

    /// As `try_send`, with the message where it lies: it is moved once if it is sent, and stays there
    /// otherwise.
    ///
    /// # Panics
    /// If there is none.
    #[inline]
    pub(crate) fn try_send_from(&self, from: &mut Option<M>) -> Result<(), Unsent> {
        assert!(from.is_some(), "a message is sent once");
        let flags = self.word.lock();
        // SAFETY: locked just above.
        if let Some(now) = unsafe { self.push_locked(flags, from) } {
            // SAFETY: still locked; `now` came from `push_locked`.
            unsafe { self.unlock_and_wake(flags, now) };
            return Ok(());
        }
        self.word.unlock(flags);
        Err(if flags & CLOSED != 0 {
            Unsent::Closed
        } else {
            Unsent::Full
        })
    }

    /// Sends a message as `post` says. Where there is no room, the oldest queued one leaves for it if
    /// `drop_oldest`: of its lane, and without lanes the oldest beyond those that the receiver has
    /// in hand. Returns who had to leave.
    #[inline(never)] // a plain push is short because this is not a part of it
    pub(crate) fn offer(
        &self,
        message: M,
        post: Post,
        drop_oldest: bool,
    ) -> Result<Option<Displaced<M>>, TrySendError<M>> {
        let mut wakers = WakeList::new();
        let flags = self.word.lock();
        let pushed = if flags & CLOSED != 0 {
            Err(message)
        } else if flags & SPECIAL != 0 {
            let is_awaited = flags & PARKED != 0;
            let push = |lanes: &mut Lanes<M>| {
                lanes.push(post, message, is_awaited, drop_oldest, &mut wakers)
            };
            // SAFETY: locked.
            unsafe { self.lanes(push) }
        } else {
            let push = |shared: &mut Shared<M>| {
                let mut displaced = None;
                if !shared.has_room(flags) {
                    if !drop_oldest || shared.queued == 0 {
                        return Err(message);
                    }
                    displaced = Some(Displaced::Oldest(shared.pop()));
                }
                shared.push(message);
                Ok(displaced)
            };
            // SAFETY: locked, and not SPECIAL.
            unsafe { self.shared_or_new(flags, push) }
        };
        match pushed {
            Ok(displaced) => {
                // SAFETY: still locked, with `flags`.
                unsafe { self.unlock_and_wake(flags, (flags | QUEUED) & !PARKED) };
                Ok(displaced)
            }
            Err(message) => Err(self.unlock_and_refuse(flags, message)),
        }
    }

    #[cold]
    fn unlock_and_refuse(&self, flags: u8, message: M) -> TrySendError<M> {
        self.word.unlock(flags);
        if flags & CLOSED != 0 {
            TrySendError::Closed(message)
        } else {
            TrySendError::Full(message)
        }
    }

    /// Runs `f` on the lanes.
    ///
    /// # Safety
    /// The caller holds the lock, which had `SPECIAL`.
    unsafe fn lanes<R>(&self, f: impl FnOnce(&mut Lanes<M>) -> R) -> R {
        let with = |shared: &mut Shared<M>| {
            let lanes = shared.lanes.as_mut();
            f(lanes.expect("a SPECIAL mailbox has lanes"))
        };
        // SAFETY: the caller holds the lock.
        unsafe { self.shared(with) }.expect("lanes are in a store")
    }

    /// Puts a message into the ring; returns the flags to unlock with, or leaves it if it may not enter.
    /// In a `SPECIAL` mailbox it never may.
    ///
    /// # Safety
    /// The caller holds the lock, which had `flags`.
    #[inline(always)]
    unsafe fn push_locked(&self, flags: u8, from: &mut Option<M>) -> Option<u8> {
        if flags & CLOSED != 0 {
            return None;
        }
        // SAFETY: the caller holds the lock.
        match unsafe { self.store() } {
            Some(store) => store.shared.with_mut(|shared| {
                // SAFETY: the lock makes it the only access.
                let shared = unsafe { &mut *shared };
                let has_room = shared.has_room(flags);
                if has_room {
                    shared.push_from(from);
                }
                has_room.then_some((flags | QUEUED) & !PARKED)
            }),
            None => {
                if !self.has_room_when_empty(flags) {
                    return None;
                }
                if flags & ROOMY != 0 {
                    // SAFETY: as above.
                    unsafe { self.shared_or_new(flags, |shared| shared.push_from(from)) };
                } else {
                    // ORDERING: Relaxed: read under the lock; without it, it is no store yet.
                    self.store.store(letter::seal(from), Ordering::Relaxed);
                }
                Some((flags | QUEUED) & !PARKED)
            }
        }
    }

    /// As `push_locked`, for a `SPECIAL` mailbox, by the post of a ticket (0: none). It replaces
    /// nothing.
    ///
    /// # Safety
    /// As there.
    unsafe fn push_special(
        &self,
        flags: u8,
        message: M,
        ticket: u32,
        wakers: &mut WakeList,
    ) -> Result<u8, M> {
        if flags & CLOSED != 0 {
            return Err(message);
        }
        let push = |lanes: &mut Lanes<M>| {
            let post = lanes.post_of(ticket);
            lanes.append(post, message, flags & PARKED != 0, false, wakers)?;
            lanes.forget(ticket);
            Ok(())
        };
        // SAFETY: promised by the caller.
        unsafe { self.lanes(push) }.map(|()| (flags | QUEUED) & !PARKED)
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
        // ORDERING: Release pairs with the Acquire in `exchange_waker` and `replace_waker`: our use is over before the
        // receiver writes the cell.
        self.waking.store(false, Ordering::Release);
    }

    #[cold]
    fn unlock_and_wake_clone(&self, now: u8) {
        // SAFETY: the caller holds the lock and found `PARKED`: until we unlock without it, the
        // receiver doesn't touch the cell; others only read it.
        let waker = self
            .waker
            .with(|waker| unsafe { (*waker).as_ref().map(ThinWaker::to_waker) });
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
        if self.is_closed() {
            // Nobody waits in it then, to send or to receive.
            return false;
        }
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
                match &mut shared.lanes {
                    None => shared.queued > 0,
                    Some(lanes) => {
                        lanes.close(&mut wakers);
                        lanes.len() > 0
                    }
                }
            })
        }
        .unwrap_or(false);
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

    /// Whether its receiver sleeps because there is nothing, or will when it is done with the message in
    /// hand. A moment's view.
    pub(crate) fn is_awaited(&self) -> bool {
        self.word.peek() & PARKED != 0
    }

    /// Whether somebody is the receiver, for a turn or for longer. A moment's view.
    pub(crate) fn has_receiver(&self) -> bool {
        // ORDERING: Relaxed, a hint.
        self.receiving.load(Ordering::Relaxed)
    }

    #[inline]
    pub(crate) fn is_closed(&self) -> bool {
        self.word.peek() & CLOSED != 0
    }

    /// Messages accepted and not yet received. A moment's view.
    pub(crate) fn len(&self) -> usize {
        let flags = self.word.lock();
        // ORDERING: Relaxed, written under the lock.
        if letter::is_letter(self.store.load(Ordering::Relaxed)) {
            self.word.unlock(flags);
            return 1;
        }
        // SAFETY: locked.
        let (queued, left) = unsafe {
            let queued = self.shared(|shared| match &shared.lanes {
                None => shared.queued as usize,
                Some(lanes) => lanes.len(),
            });
            // ORDERING: Relaxed, a moment's view of the receiver's progress.
            let left = self.store().map(|store| store.left.load(Ordering::Relaxed));
            (queued.unwrap_or(0), left.unwrap_or(0))
        };
        self.word.unlock(flags);
        queued + usize::from(left)
    }

    pub(crate) fn capacity(&self) -> Capacity {
        let flags = self.word.lock();
        // SAFETY: locked.
        let capacity =
            unsafe { self.shared(|shared| shared.lanes.as_ref().map(|lanes| lanes.capacity())) }
                .flatten()
                .unwrap_or(self.capacity);
        self.word.unlock(flags);
        match capacity {
            CAPACITY_MAX => Capacity::Unbounded,
            0 => Capacity::Rendezvous,
            messages => Capacity::Buffered(messages as usize),
        }
    }

    /// Becomes the receiver, until the guard is dropped. Panics while there is another one.
    pub(crate) fn receiver(&self) -> MailboxReceiver<'_, M> {
        self.become_receiver();
        MailboxReceiver::of(self)
    }

    /// Becomes the receiver for a while; see [`MailboxTurn`]. Panics while there is another one.
    #[inline]
    pub(crate) fn turn(&self) -> MailboxTurn<'_, M> {
        self.become_receiver();
        MailboxTurn::of(self)
    }

    /// Who received by turns will not come back. Panics while there is a receiver.
    pub(crate) fn leave(&self) {
        drop(self.receiver());
    }

    #[inline]
    fn become_receiver(&self) {
        // ORDERING: Acquire pairs with the Release of the guards' drops: we see what the last
        // receiver left in `mine` and `waker`.
        let taken = self.receiving.swap(true, Ordering::Acquire);
        assert!(
            !taken,
            "a mailbox has one receiver at a time: drop the other one first"
        );
    }

    /// Takes all that is left. Panics while there is a receiver; see also `MailboxReceiver::drain`.
    pub(crate) fn drain(&self) -> Vec<M> {
        let flags = self.word.lock();
        // SAFETY: locked.
        let is_empty = unsafe { self.store() }.is_none();
        self.word.unlock(flags);
        if is_empty {
            return Vec::new();
        }
        self.receiver().drain()
    }
}

fn capacity_of(capacity: Capacity) -> u32 {
    match capacity {
        Capacity::Rendezvous => 0,
        Capacity::Buffered(messages) => messages.min(CAPACITY_MAX as usize - 1) as u32,
        Capacity::Unbounded => CAPACITY_MAX,
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
        // ORDERING: Relaxed: the only access.
        let store = self.store.load(Ordering::Relaxed);
        if let Some(store) = NonNull::new(store) {
            // SAFETY: drained, and not used again.
            unsafe { Store::free(store) };
        }
    }
}
