//! What a mailbox needs while something is in it: one pooled block, with the first few slots in it.
//!
//! ```text
//!   mailbox ──▶ ┌─────────── Store ───────────┬── home ──┐        ┌─ a larger block ─┐
//!               │ next, mine │ slots, head, .. │ 1-4 slots│  or ──▶│ slots            │
//!               └─────────────────────────────┴──────────┘        └──────────────────┘
//! ```
//!
//! - Made under the lock, by whoever finds none and has something to put in that can't be a letter
//!   (`letter.rs`). Taken away under the lock by the receiver, when it parks and nothing is left: so an
//!   idle mailbox has none, after a burst of messages either. Blocks of up to 4 KiB come from the pool (`mem.rs`), so that a pair of a sender
//!   and a receiver that take turns never meets the allocator.
//! - Only `next`, `left` and `mine` are used without the lock, by the receiver, while it has a batch; the
//!   store stays for that long.
//! - What needed more room than `home` gets a large block at once when it is busy the next time
//!   (`ROOMY`), instead of growing into it again.

use std::alloc::Layout;
use std::fmt;
use std::mem::offset_of;
use std::ptr::NonNull;

use super::super::ring::{CAPACITY_MAX, Slots};
use super::super::waiters::{WaitList, WaitState, WakeList};
use super::lanes::Lanes;
use super::{BATCH_MAX, CLOSED, KICKED, PARKED, QUEUED, ROOMY, SPECIAL};
use crate::sched::mem;
use crate::shim::UnsafeCell;
use crate::shim::atomic::AtomicU8;

/// See the file's comment.
#[repr(C)]
pub(super) struct Store<M> {
    /// The receiver's: the index of the first message of its batch ..
    pub(super) next: UnsafeCell<u32>,
    /// .. how many are left of it (an atomic for `len`) ..
    pub(super) left: AtomicU8,
    /// .. and the block that it lies in; none once the room of the batch was given back.
    pub(super) mine: UnsafeCell<Slots<M>>,
    pub(super) shared: UnsafeCell<Shared<M>>,
}

/// What the lock guards; on a cache line of its own, since the receiver writes the rest all the time.
#[repr(align(64))]
pub(super) struct Shared<M> {
    pub(super) slots: Slots<M>,
    /// The slots behind the store itself; none for large messages.
    home: Slots<M>,
    /// Index of the first queued message (behind the batch): how many were received before it.
    pub(super) head: u32,
    /// Messages in the ring beyond the batch.
    pub(super) queued: u32,
    pub(super) senders: WaitList<M>,
    /// `CAPACITY_MAX` for unbounded, 0 for rendezvous and `SPECIAL`.
    capacity: u32,
    /// Size of the receiver's batch: room that is not given back yet.
    pub(super) batch: u8,
    /// The ring grew since the batch was taken: the batch lies in a block of its own.
    detached: bool,
    /// Instead of all of the above, in a `SPECIAL` mailbox.
    pub(super) lanes: Option<Box<Lanes<M>>>,
}

/// The most that the slots at home take, in bytes.
const HOME_MAX: usize = 192;
/// A roomy mailbox begins with so many slots, if it may have them ..
const ROOMY_SLOTS: u32 = 64;
/// .. and they are no more bytes than this.
const ROOMY_MAX: usize = 4096;
/// One that was given a large block and received no more than this before it was idle again is not
/// roomy any longer.
const FEW: u32 = 16;

impl<M> Store<M> {
    /// How many slots lie behind the store, as a power of two.
    const HOME_LOG2: Option<usize> = if cfg!(actor_loom) {
        Some(0)
    } else if size_of::<M>() * 4 <= HOME_MAX {
        Some(2)
    } else if size_of::<M>() * 2 <= HOME_MAX {
        Some(1)
    } else if size_of::<M>() <= HOME_MAX {
        Some(0)
    } else {
        None
    };

    /// The store with its slots, and where those begin.
    const LAYOUT: (Layout, usize) = {
        let slots = match Self::HOME_LOG2 {
            Some(log2) => Slots::<M>::layout(log2),
            None => Layout::new::<()>(),
        };
        match Layout::new::<Self>().extend(slots) {
            Ok(both) => both,
            Err(_) => panic!("a store is small"),
        }
    };

    /// A store, with a large block if `flags` say so.
    #[inline]
    pub(super) fn allocate(
        flags: u8,
        capacity: u32,
        lanes: Option<Box<Lanes<M>>>,
    ) -> NonNull<Self> {
        let (layout, offset) = Self::LAYOUT;
        let block = mem::alloc(layout);
        let home = match Self::HOME_LOG2 {
            // SAFETY: within the block, behind the store, there is room for these slots.
            Some(log2) => unsafe { Slots::within(block.add(offset), log2) },
            None => Slots::NONE,
        };
        let slots = if flags & ROOMY != 0 {
            Self::roomy(home, capacity)
        } else {
            home
        };
        let store = block.cast::<Self>();
        let new = Self {
            next: UnsafeCell::new(0),
            left: AtomicU8::new(0),
            mine: UnsafeCell::new(Slots::NONE),
            shared: UnsafeCell::new(Shared {
                slots,
                home,
                head: 0,
                queued: 0,
                senders: WaitList::new(),
                capacity,
                batch: 0,
                detached: false,
                lanes,
            }),
        };
        // SAFETY: fresh memory of this layout.
        unsafe { store.write(new) };
        store
    }

    /// Runs `f` on the receiver's block and index, and on the shared part.
    ///
    /// # Safety
    /// The caller is the receiver and holds the lock; `f` doesn't come back here.
    #[inline(always)]
    pub(super) unsafe fn with_all<R>(
        &self,
        f: impl FnOnce(&mut Slots<M>, &mut u32, &mut Shared<M>) -> R,
    ) -> R {
        self.mine.with_mut(|mine| {
            self.next.with_mut(|next| {
                self.shared.with_mut(|shared| {
                    // SAFETY: as the caller promises, nobody else uses any of the three.
                    unsafe { f(&mut *mine, &mut *next, &mut *shared) }
                })
            })
        })
    }

    #[cold]
    fn roomy(home: Slots<M>, capacity: u32) -> Slots<M> {
        let fit = (ROOMY_MAX / size_of::<M>().max(1)) as u32;
        let most = capacity.clamp(1, ROOMY_SLOTS).next_power_of_two();
        let wanted = most.min(fit.checked_ilog2().map_or(0, |log2| 1 << log2));
        if wanted > home.capacity() {
            Slots::allocate(wanted.ilog2() as usize)
        } else {
            home
        }
    }

    /// # Safety
    /// It is not used again; nothing is in it, and nobody waits in it.
    #[inline]
    pub(super) unsafe fn free(store: NonNull<Self>) {
        // SAFETY: as the caller promises; the slots are empty.
        unsafe {
            store.as_ref().shared.with_mut(|shared| {
                let shared = &mut *shared;
                shared.release(shared.slots);
            });
            store.drop_in_place();
            mem::free(store.cast(), Self::LAYOUT.0);
        }
    }
}

impl<M> Shared<M> {
    /// A parked receiver of a rendezvous mailbox is waiting for exactly one message.
    #[inline]
    pub(super) fn has_room(&self, flags: u8) -> bool {
        self.used() < self.capacity || is_awaited(self.capacity, flags)
    }

    #[inline]
    pub(super) fn used(&self) -> u32 {
        self.queued + u32::from(self.batch)
    }

    /// Appends to the ring; the caller has checked the capacity.
    #[inline]
    pub(super) fn push(&mut self, message: M) {
        self.push_from(&mut Some(message));
    }

    /// As `push`, from where the message lies, which has one: it is moved once.
    #[inline(always)]
    pub(super) fn push_from(&mut self, from: &mut Option<M>) {
        if self.used() >= self.slots.capacity() {
            self.grow();
        }
        if let Some(message) = from.take() {
            let index = self.head.wrapping_add(self.queued);
            // SAFETY: there is a block with more slots than are in use, so the slot behind the queued
            // messages is empty; slots outside the batch are the lock holder's.
            unsafe { self.slots.write(index, message) };
            self.queued += 1;
        }
    }

    /// Takes the first queued message out, from behind the receiver's batch; there is one.
    pub(super) fn pop(&mut self) -> M {
        if self.batch > 0 && !self.detached {
            // Else the slot between batch and queue would be in use without being counted, and a
            // push could come around the ring into the batch.
            self.move_to(self.slots.allocate_same());
        }
        let first = self.head;
        self.head = first.wrapping_add(1);
        self.queued -= 1;
        // SAFETY: it was the first queued message, and is counted out now.
        unsafe { self.slots.read(first) }
    }

    /// A block of twice the size for the queued messages. If the receiver has a batch in the old one
    /// it keeps that block and frees it (see `settle`); `batch` counts as used in the new one too.
    #[cold]
    fn grow(&mut self) {
        self.move_to(self.slots.allocate_larger());
    }

    /// Moves the queued messages to a new block, which is at least as large as the old one.
    fn move_to(&mut self, block: Slots<M>) {
        // SAFETY: the queued slots are full and ours; the new block is empty and large enough.
        unsafe { self.slots.move_to(block, self.head, self.queued) };
        if self.batch == 0 || self.detached {
            // SAFETY: its values moved out, and no batch lies in it.
            unsafe { self.release(self.slots) };
        }
        self.detached = self.batch > 0;
        self.slots = block;
    }

    /// # Safety
    /// No copy of this handle is used again, but that of `home`. Values in it are forgotten.
    #[inline]
    unsafe fn release(&self, slots: Slots<M>) {
        if !slots.is_same(self.home) {
            // SAFETY: as the caller promises, and it is not a part of the store.
            unsafe { slots.free() }
        }
    }

    /// The room of a used-up batch is free again, and so is the block it lay in, if it was left
    /// alone there.
    #[inline]
    pub(super) fn settle(&mut self, block: &mut Slots<M>) {
        if self.batch == 0 {
            return;
        }
        let block = std::mem::replace(block, Slots::NONE);
        if self.detached {
            // SAFETY: the queued messages moved out when the ring grew, the batch is used up.
            unsafe { self.release(block) };
            self.detached = false;
        }
        self.batch = 0;
    }

    /// How many messages the receiver may take at once.
    #[inline]
    pub(super) fn batch_max(&self) -> u32 {
        (self.capacity / 4).clamp(1, BATCH_MAX)
    }

    /// The flags to unlock with after a receive.
    #[inline]
    pub(super) fn flags(&self, flags: u8) -> u8 {
        let more = self.queued > 0 || !self.senders.is_empty();
        let kept = flags & (CLOSED | KICKED | ROOMY);
        if more { kept | QUEUED } else { kept }
    }

    /// Whether the store can go: nothing is in it, nobody waits, and there are no lanes.
    #[inline]
    pub(super) fn is_idle(&self) -> bool {
        self.used() == 0 && self.senders.is_empty() && self.lanes.is_none()
    }

    /// The flag to remember, when the store goes, of how much room was needed.
    #[inline]
    pub(super) fn roominess(&self) -> u8 {
        let grown = !self.slots.is_same(self.home);
        if grown && self.head > FEW { ROOMY } else { 0 }
    }

    /// Lets waiting senders in, in their order: the first one's message is received at once if the
    /// ring had none, the others' go into the ring.
    #[cold]
    pub(super) fn admit(&mut self, message: Option<M>, wakers: &mut WakeList) -> Option<M> {
        let message = message.or_else(|| self.admit_first(wakers));
        self.let_in(wakers);
        message
    }

    /// Lets waiting senders into the ring, as far as there is room.
    pub(super) fn let_in(&mut self, wakers: &mut WakeList) {
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

/// Whether a mailbox of this capacity has a receiver that waits for exactly one message.
#[inline]
pub(super) fn is_awaited(capacity: u32, flags: u8) -> bool {
    capacity == 0 && flags & (PARKED | SPECIAL) == PARKED
}

impl<M> fmt::Debug for Store<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}

const _: () = assert!(CAPACITY_MAX >= ROOMY_SLOTS);

/// What the receiver writes for each message, and what senders write, share no cache line.
const _: () = {
    let receivers = offset_of!(Store<u8>, mine) + size_of::<UnsafeCell<Slots<u8>>>();
    let shared = offset_of!(Store<u8>, shared);
    assert!(shared.is_multiple_of(64) && receivers <= shared && align_of::<Store<u8>>() >= 64);
};
