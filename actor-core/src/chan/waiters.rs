//! Intrusive lists of waiting operations: the queues of channels, mailboxes, locks and groups.
//!
//! A [`Waiter`] lives inside a pinned future; a [`WaitList`] lives in the object, under its lock.
//! No allocation, and nothing is reference-counted but the waker.
//!
//! ```text
//!            enqueue                 take_first / finish
//!   IDLE ───────────────▶ QUEUED ───────────────────────▶ DONE     got what it waited for
//!     ▲                      │ ╲─────────────────────────▶ CLOSED   the object was closed
//!     └──────────────────────┘ cancel (drop of the future)
//! ```
//!
//! Invariants:
//! - Links, waker and value of a QUEUED waiter are touched only under the object's lock.
//! - Whoever finishes a waiter unlinks it, takes its waker by value and stores the new state *last*:
//!   after that store the waiter belongs to its future again, which may free it at once, lock or no
//!   lock. The waker is woken after unlocking ([`WakeList`]).
//! - A waiter goes back from QUEUED to IDLE only under the lock, by its own future.
//! - A waiter of a `select` belongs to a [`Group`]: it is finished only by whoever claims the group
//!   for it. One whose group can't be claimed now is passed over, as if it were not there; one whose
//!   group is won by another arm is unlinked (QUEUED → IDLE) by whoever finds it.
//! - A forgotten future (`mem::forget` of its box) leaks its memory, pinned: the list stays valid.
//! - The list is circular through `next`; it holds the last waiter only, so it is one word.
//!
//! Rejected: a boxed waiter per operation (flume), 2 allocations each; waking under the lock.

use std::fmt;
use std::marker::PhantomPinned;
use std::mem::ManuallyDrop;
use std::pin::Pin;
use std::ptr;
use std::task::Waker;

use super::select::{Claim, Group};
use crate::sched::shield::shield;
use crate::sched::wait::{self, Wait};
use crate::shim::UnsafeCell;
use crate::shim::atomic::{AtomicU8, AtomicU32, Ordering};

/// Where a waiter is in its life: the picture above.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum WaitState {
    /// In no list. The value, if any, is the future's own.
    Idle = 0,
    /// In the list.
    Queued = 1,
    /// Finished: the value was taken (a send), put in (a receive) or the permit granted.
    Done = 2,
    /// Finished by a close; the value, if any, is still here.
    Closed = 3,
}

/// In this order: a waiter is moved right after it was made. What is written together (nulls) lies
/// together, and apart from what is not written yet (the value), or the core waits: see `mem.rs`.
#[repr(C)]
struct Fields<T> {
    next: *const Waiter<T>,
    prev: *const Waiter<T>,
    /// The `select` that it is an arm of, which has the waker; or null.
    group: *const Group,
    waker: Option<Waker>,
    value: Option<T>,
}

/// One waiting operation, embedded in its pinned future. See the file's comment.
pub(crate) struct Waiter<T> {
    fields: UnsafeCell<Fields<T>>,
    /// A byte, for the same reason (with four a free mutex took 23 ns instead of 9).
    state: AtomicU8,
    /// Its number among the arms of its group; without a group, its owner's tag.
    arm: AtomicU32,
    _pinned: PhantomPinned,
}

// SAFETY: the fields are reached by the future's thread, or by another under the object's lock, and
// the state's Release/Acquire hands them back; values and wakers move between threads (`T: Send`).
unsafe impl<T: Send> Send for Waiter<T> {}
// SAFETY: as above; `&Waiter` alone gives no access to the fields outside the protocol.
unsafe impl<T: Send> Sync for Waiter<T> {}

impl<T> Waiter<T> {
    pub(crate) fn new(value: Option<T>) -> Self {
        Self {
            fields: UnsafeCell::new(Fields {
                next: ptr::null(),
                prev: ptr::null(),
                waker: None,
                value,
                group: ptr::null(),
            }),
            state: AtomicU8::new(WaitState::Idle as u8),
            arm: AtomicU32::new(0),
            _pinned: PhantomPinned,
        }
    }

    #[inline]
    pub(crate) fn state(&self) -> WaitState {
        // ORDERING: Acquire pairs with the Release in `finish`: the value written there is visible.
        match self.state.load(Ordering::Acquire) {
            0 => WaitState::Idle,
            1 => WaitState::Queued,
            2 => WaitState::Done,
            _ => WaitState::Closed,
        }
    }

    /// Takes the value out of a waiter that is in no list.
    #[inline]
    pub(crate) fn take_value(self: Pin<&mut Self>) -> Option<T> {
        assert_ne!(
            self.state(),
            WaitState::Queued,
            "the waiter is still in a list"
        );
        // SAFETY: not QUEUED, so the fields are the future's own, borrowed mutably here; and it
        // cannot become QUEUED meanwhile, as that needs the pinned borrow too.
        self.fields
            .with_mut(|fields| unsafe { (*fields).value.take() })
    }

    /// Puts a value into a waiter that is in no list.
    #[inline]
    pub(crate) fn put_value(self: Pin<&mut Self>, value: T) {
        assert_ne!(
            self.state(),
            WaitState::Queued,
            "the waiter is still in a list"
        );
        // SAFETY: as in `take_value`.
        self.fields
            .with_mut(|fields| unsafe { (*fields).value = Some(value) });
    }

    /// Reaches the value of a waiter that is in no list, or in one whose lock is held.
    ///
    /// # Safety
    /// If the waiter is QUEUED, the lock of its list is held.
    #[inline]
    pub(crate) unsafe fn with_value<R>(
        self: Pin<&mut Self>,
        f: impl FnOnce(&mut Option<T>) -> R,
    ) -> R {
        // SAFETY: QUEUED: ours under the lock, as the caller promises. Else as in `take_value`.
        self.fields
            .with_mut(|fields| f(unsafe { &mut (*fields).value }))
    }

    /// Marks a waiter that no `select` will ever have, for its list's owner; 0 until then.
    #[inline]
    pub(crate) fn set_tag(&self, tag: u32) {
        // ORDERING: Relaxed, set before it is queued; the lock orders it for everybody else.
        self.arm.store(tag, Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn tag(&self) -> u32 {
        // ORDERING: Relaxed, as above.
        self.arm.load(Ordering::Relaxed)
    }

    /// Returns a finished waiter to the start, so that it can wait again.
    #[inline]
    pub(crate) fn reset(self: Pin<&mut Self>) {
        assert_ne!(
            self.state(),
            WaitState::Queued,
            "the waiter is still in a list"
        );
        // ORDERING: Relaxed, the waiter is in no list: nobody else looks at it.
        self.state.store(WaitState::Idle as u8, Ordering::Relaxed);
    }
}

impl<T> Drop for Waiter<T> {
    fn drop(&mut self) {
        debug_assert_ne!(
            self.state(),
            WaitState::Queued,
            "a queued waiter was dropped"
        );
    }
}

impl<T> fmt::Debug for Waiter<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiter")
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}

/// The queue of waiters, in the order of their arrival. Kept under the object's lock.
pub(crate) struct WaitList<T> {
    last: *const Waiter<T>,
}

// SAFETY: the list is a set of links between waiters, used by one thread at a time (`&mut self`,
// under a lock); wakers are Send, values move between threads only for `T: Send`.
unsafe impl<T: Send> Send for WaitList<T> {}

impl<T> WaitList<T> {
    pub(crate) const fn new() -> Self {
        Self { last: ptr::null() }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.last.is_null()
    }

    fn fields<R>(&self, waiter: *const Waiter<T>, f: impl FnOnce(&mut Fields<T>) -> R) -> R {
        // SAFETY: private; every caller passes a waiter that is linked in this list, so it is alive
        // (its future unlinks it before its memory goes) and its fields are ours under the lock. The
        // closures passed here never look at another waiter's fields.
        unsafe { (*waiter).fields.with_mut(|fields| f(&mut *fields)) }
    }

    fn first(&self) -> *const Waiter<T> {
        if self.last.is_null() {
            ptr::null()
        } else {
            self.fields(self.last, |last| last.next)
        }
    }

    /// Appends a waiter, to be woken through `waker`; `wait` says what its goroutine waits for.
    ///
    /// # Safety
    /// The object's lock is held, as for every method of the list. The waiter is IDLE, stays at its
    /// address, and its future calls [`cancel`](Self::cancel) under the same lock before the waiter
    /// is dropped, unless it finds it finished.
    pub(crate) unsafe fn enqueue(
        &mut self,
        waiter: Pin<&mut Waiter<T>>,
        waker: &Waker,
        wait: Wait,
    ) {
        wait.note(waker);
        debug_assert_eq!(waiter.state(), WaitState::Idle);
        let new: *const Waiter<T> = &raw const *waiter;
        self.link(new);
        self.fields(new, |fields| fields.waker = Some(wait::keep(waker)));
    }

    /// Appends a waiter that is an arm of a `select`: only who claims `group` for `arm` finishes it.
    ///
    /// # Safety
    /// As for [`enqueue`](Self::enqueue); and the group outlives the waiter's time in the list.
    pub(crate) unsafe fn enqueue_in(
        &mut self,
        waiter: Pin<&mut Waiter<T>>,
        group: &Group,
        arm: u32,
    ) {
        debug_assert_eq!(waiter.state(), WaitState::Idle);
        // ORDERING: Relaxed, the lock orders it for everybody else.
        waiter.arm.store(arm, Ordering::Relaxed);
        let new: *const Waiter<T> = &raw const *waiter;
        self.link(new);
        self.fields(new, |fields| fields.group = group);
    }

    /// Makes an IDLE waiter the last one, QUEUED.
    fn link(&mut self, new: *const Waiter<T>) {
        let first = self.first();
        let (next, prev) = if first.is_null() {
            (new, new)
        } else {
            (first, self.last)
        };
        // `fields` wants a linked waiter; this one's future is in `enqueue`, and it is linked below.
        self.fields(new, |fields| {
            fields.next = next;
            fields.prev = prev;
        });
        if !first.is_null() {
            self.fields(self.last, |last| last.next = new);
            self.fields(first, |first| first.prev = new);
        }
        self.last = new;
        // ORDERING: Relaxed, the lock orders it for everybody else, and the future set it itself.
        self.state(new)
            .store(WaitState::Queued as u8, Ordering::Relaxed);
    }

    fn state(&self, waiter: *const Waiter<T>) -> &AtomicU8 {
        // SAFETY: private; as in `fields`: every caller passes a waiter that its future can't free
        // before it sees the state stored here or takes the lock that we hold. Not used after that.
        unsafe { &(*waiter).state }
    }

    fn unlink(&mut self, waiter: *const Waiter<T>) {
        let (next, prev) = self.fields(waiter, |w| (w.next, w.prev));
        if next == waiter {
            self.last = ptr::null();
            return;
        }
        self.fields(prev, |p| p.next = next);
        self.fields(next, |n| n.prev = prev);
        if self.last == waiter {
            self.last = prev;
        }
    }

    /// Finishes the first waiter: runs `exchange` on its value, unlinks it, marks it `state`.
    /// Returns the waker, to be woken after unlocking.
    #[inline]
    pub(crate) fn finish_first<R>(
        &mut self,
        state: WaitState,
        exchange: impl FnOnce(&mut Option<T>) -> R,
    ) -> Option<(R, Waker)> {
        let first = self.first();
        if first.is_null() {
            return None;
        }
        let (waiter, waker) = if self.fields(first, |w| w.group).is_null() {
            (first, None)
        } else {
            self.claim_first()?
        };
        self.unlink(waiter);
        // `fields` wants a linked waiter; this one was, a moment ago, and is still QUEUED.
        let (result, own) = self.fields(waiter, |w| (exchange(&mut w.value), w.waker.take()));
        // ORDERING: Release pairs with the Acquire in `state()`: the future sees the value. It must
        // be the last access: the waiter may be gone right after it.
        self.state(waiter).store(state as u8, Ordering::Release);
        own.or(waker).map(|waker| (result, waker))
    }

    /// The first waiter that may be finished, and the waker of its `select` if it is an arm of one;
    /// that one is claimed. The list isn't empty.
    #[cold]
    fn claim_first(&mut self) -> Option<(*const Waiter<T>, Option<Waker>)> {
        let (mut at, last) = (self.first(), self.last);
        loop {
            let (next, group) = self.fields(at, |w| (w.next, w.group));
            if group.is_null() {
                return Some((at, None));
            }
            // SAFETY: both live while the waiter is QUEUED, which ends under this lock.
            let (group, arm) = unsafe { (&*group, &(*at).arm) };
            // ORDERING: Relaxed, it was stored under this lock.
            match group.claim(arm.load(Ordering::Relaxed)) {
                Claim::Won(waker) => return Some((at, waker)),
                Claim::Busy => {}
                Claim::Over => {
                    self.unlink(at);
                    // ORDERING: Release pairs with the Acquire in `state()`: our reads of the waiter
                    // and of its group come before its future frees them.
                    self.state(at)
                        .store(WaitState::Idle as u8, Ordering::Release);
                }
            }
            if at == last {
                return None;
            }
            at = next;
        }
    }

    /// Takes the first waiter's waker and leaves the waiter in the queue: a call to compete.
    /// `None` if it was called already and has not polled since, or if nobody waits.
    pub(crate) fn call_first(&mut self) -> Option<Waker> {
        let first = self.first();
        if first.is_null() {
            None
        } else {
            self.fields(first, |w| w.waker.take())
        }
    }

    /// The first waiter's tag; 0 if nobody waits.
    pub(crate) fn first_tag(&self) -> u32 {
        let first = self.first();
        if first.is_null() {
            return 0;
        }
        // SAFETY: as in `state`: it is linked, and we hold the lock.
        unsafe { (*first).tag() }
    }

    /// Reads the first waiter's value.
    pub(crate) fn peek_first<R>(&self, look: impl FnOnce(&T) -> R) -> Option<R> {
        let first = self.first();
        if first.is_null() {
            None
        } else {
            self.fields(first, |w| w.value.as_ref().map(look))
        }
    }

    /// The waiter was polled again: stores the waker if it is another one. Returns the replaced
    /// one, to be dropped after unlocking (dropping a waker may run foreign code).
    ///
    /// # Safety
    /// As for [`enqueue`](Self::enqueue): the lock is held, the waiter is QUEUED in this list.
    #[must_use = "drop it after unlocking"]
    pub(crate) unsafe fn renew(
        &mut self,
        waiter: Pin<&mut Waiter<T>>,
        waker: &Waker,
        wait: Wait,
    ) -> Option<Waker> {
        wait.note(waker);
        debug_assert_eq!(waiter.state(), WaitState::Queued);
        self.fields(&raw const *waiter, |w| match &w.waker {
            Some(known) if wait::same(known, waker) => None,
            _ => w.waker.replace(wait::keep(waker)),
        })
    }

    /// The future gives up: unlinks the waiter. Returns its waker, to be dropped after unlocking;
    /// `None` says that [`call_first`](Self::call_first) had called it.
    ///
    /// # Safety
    /// The lock is held and the waiter is QUEUED in this list.
    #[must_use = "drop it after unlocking"]
    pub(crate) unsafe fn cancel(&mut self, waiter: Pin<&mut Waiter<T>>) -> Option<Waker> {
        debug_assert_eq!(waiter.state(), WaitState::Queued);
        let raw: *const Waiter<T> = &raw const *waiter;
        self.unlink(raw);
        let waker = self.fields(raw, |w| w.waker.take());
        if let Some(waker) = &waker {
            wait::forget(waker);
        }
        // ORDERING: Relaxed, unlinked under the lock: nobody else looks at the waiter any more.
        waiter.state.store(WaitState::Idle as u8, Ordering::Relaxed);
        waker
    }
}

impl<T> fmt::Debug for WaitList<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitList")
            .field("is_empty", &self.is_empty())
            .finish()
    }
}

/// Wakers collected under a lock, to be woken after it. Declare it *before* the guard, so that it is
/// dropped after: dropping it wakes them, a panic in between included.
#[derive(Debug, Default)]
pub(crate) struct WakeList {
    first: Option<Waker>,
    /// Only behind a first one, so that dropping an empty list is one look at that.
    more: ManuallyDrop<Vec<Waker>>,
}

impl WakeList {
    #[inline]
    pub(crate) fn new() -> Self {
        Self {
            first: None,
            more: ManuallyDrop::new(Vec::new()),
        }
    }

    /// One waker fits without memory; more go to a vector (a close, a batch).
    #[inline]
    pub(crate) fn push(&mut self, waker: Waker) {
        if self.first.is_none() {
            self.first = Some(waker);
        } else {
            self.more.push(waker);
        }
    }

    /// Whom [`WaitList::call_first`] found.
    #[inline]
    pub(crate) fn push_some(&mut self, waker: Option<Waker>) {
        if let Some(waker) = waker {
            self.push(waker);
        }
    }
}

impl Drop for WakeList {
    #[inline]
    fn drop(&mut self) {
        if let Some(first) = self.first.take() {
            // SAFETY: not used again: nothing comes behind a first one that isn't there.
            let more = unsafe { ManuallyDrop::take(&mut self.more) };
            wake_all(first, more);
        }
    }
}

#[inline]
fn wake_all(first: Waker, more: Vec<Waker>) {
    // One whose waker panics must not cost the others their wake.
    shield(|| first.wake());
    for waker in more {
        shield(|| waker.wake());
    }
}

/// Pins a field of a pinned future. The unsafe part of pin projection, in one place.
///
/// # Safety
/// `field` must be structurally pinned: never moved out of, and pinned whenever its future is.
#[inline]
pub(crate) unsafe fn pin_field<T>(field: &mut T) -> Pin<&mut T> {
    // SAFETY: promised by the caller.
    unsafe { Pin::new_unchecked(field) }
}

// The list is one word: the mailbox counts on it.
const _: () = assert!(size_of::<WaitList<u8>>() == size_of::<usize>());
