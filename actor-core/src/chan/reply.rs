//! The reply to an ask: one value, one asker, one replier, in pooled memory.
//!
//! ```text
//!            register (asker)
//!   EMPTY ◀──────────────────▶ a waker
//!     │                           │
//!     ├── send, drop (replier) ───┼──▶ SENT, DROPPED..
//!     └── the asker drops ────────┴──▶ GONE
//! ```
//!
//! Invariants:
//! - The state is one word. An address in it is a waker, which belongs to whoever takes it out: the
//!   replier by its last exchange, the asker by changing it or by leaving.
//! - The value belongs to the replier until SENT, then to the asker.
//! - Storing SENT, DROPPED.. or GONE is that party's last access; who comes second frees the slot.
//! - Nobody waits for anybody: each step is one exchange.
//!
//! An ask costs the asker one waker clone, the replier one exchange and the wake. Not a slot
//! inside the asking future: that would be unsound if the future is dropped or forgotten.

use std::alloc::Layout;
use std::cell::Cell;
use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::ptr::{self, NonNull};
use std::task::{Context, Poll, RawWakerVTable, Waker};

use crate::sched::thin_waker::ThinWaker;
use crate::sched::{mem, simulated, wait};
use crate::shim::UnsafeCell;
use crate::shim::atomic::{AtomicPtr, Ordering};

/// A slot's state: one of the constants below, or a [`ThinWaker`] that the word owns.
type State = *mut u8;

const EMPTY: State = ptr::null_mut();
const SENT: State = ptr::without_provenance_mut(1);
const GONE: State = ptr::without_provenance_mut(2);
/// And the reason in the bits above.
const DROPPED: usize = 3;
const REASON_SHIFT: u32 = 2;
/// No waker has an address below this.
const WAKERS: usize = 64;

#[inline]
fn is_waker(state: State) -> bool {
    state.addr() >= WAKERS
}

fn dropped(reason: NoReply) -> State {
    ptr::without_provenance_mut((reason as usize) << REASON_SHIFT | DROPPED)
}

/// Why no reply came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoReply {
    /// The handler dropped the reply.
    Dropped = 0,
    /// It was dropped by a panic.
    Panicked = 1,
    /// The message was discarded because the actor stopped.
    Stopped = 2,
    /// The message was discarded because the mailbox was full.
    Overloaded = 3,
    /// The message was discarded because a newer one took its place.
    Replaced = 4,
    /// It was dropped because its handler took too long.
    TimedOut = 5,
}

thread_local! {
    /// What a reply that is dropped on this thread tells its asker.
    static REASON: Cell<NoReply> = const { Cell::new(NoReply::Dropped) };
}

/// Runs `discard`, which drops messages: their askers are told `reason`.
pub(crate) fn discard_with<R>(reason: NoReply, discard: impl FnOnce() -> R) -> R {
    struct Restore(NoReply);
    impl Drop for Restore {
        fn drop(&mut self) {
            REASON.set(self.0);
        }
    }
    let _restore = Restore(REASON.replace(reason));
    discard()
}

struct Slot<R> {
    state: AtomicPtr<u8>,
    value: UnsafeCell<MaybeUninit<R>>,
}

/// A slot that two parties share; each wrapper below is one of them.
struct SlotPtr<R>(NonNull<Slot<R>>);

impl<R> SlotPtr<R> {
    const LAYOUT: Layout = Layout::new::<Slot<R>>();

    #[inline(always)]
    fn new(waker: Option<ThinWaker>) -> Self {
        let slot = mem::alloc(Self::LAYOUT).cast::<Slot<R>>();
        let state = waker.map_or(EMPTY, ThinWaker::into_raw);
        // SAFETY: fresh memory of the slot's layout, ours alone.
        unsafe {
            slot.write(Slot {
                state: AtomicPtr::new(state),
                value: UnsafeCell::new(MaybeUninit::uninit()),
            });
        }
        Self(slot)
    }

    #[inline]
    fn slot(&self) -> &Slot<R> {
        // SAFETY: alive until both parties have let go, and we have not: `free` and the last store
        // of a state are what parties do last.
        unsafe { self.0.as_ref() }
    }

    /// # Safety
    /// The other party has let go, and the value was taken or never written.
    #[inline]
    unsafe fn free(self) {
        // SAFETY: the last use of the slot, which came from `mem::alloc` with this layout. There is
        // no waker in it any more; the value is a `MaybeUninit`.
        unsafe {
            self.0.drop_in_place();
            mem::free(self.0.cast(), Self::LAYOUT);
        }
    }

    /// Replier: publishes the final `state` and wakes the asker. Returns false if that one is gone;
    /// the slot is *not* freed then, for the caller to clean up.
    #[inline]
    fn publish(&self, state: State) -> bool {
        // ORDERING: Release pairs with the asker's Acquire loads: the value is visible with SENT, and
        // it may free the slot. Acquire pairs with the Release of `register` (what the waker points to
        // is visible) and of GONE (the asker is done with the slot). Our last access, unless GONE.
        let found = self.slot().state.swap(state, Ordering::AcqRel);
        if is_waker(found) {
            // SAFETY: it was in the word, and now it isn't: it is ours.
            unsafe { ThinWaker::from_raw(found) }.wake();
            return true;
        }
        found != GONE
    }
}

/// The handler's side of an ask: send the answer, or drop it to answer nothing.
///
/// It may be kept and answered later, from another handler, goroutine or thread. Dropping it tells
/// the asker at once that no reply will come (and whether that was a panic).
///
/// A handler written by hand has a `Reply<Result<T, E>>`, as an ask's answer always is one; one
/// under `#[actor]` may take `Reply<T>` if it cannot fail.
pub struct Reply<R> {
    /// The slot's address; with `PLAIN` set the slot is one of `Result<R, Infallible>`.
    slot: Option<NonNull<u8>>,
    of: PhantomData<R>,
}

/// The lowest bit of a slot's address, which its alignment leaves free.
const PLAIN: usize = 1;

/// A reply's slot, by what it holds.
enum Held<R> {
    Same(SlotPtr<R>),
    Plain(SlotPtr<Result<R, Infallible>>),
}

// SAFETY: it moves one value of `R` to the asker's thread, and shares nothing else.
unsafe impl<R: Send> Send for Reply<R> {}
// SAFETY: `&Reply` gives only `is_wanted`, an atomic load.
unsafe impl<R: Send> Sync for Reply<R> {}

impl<R> Reply<R> {
    /// A reply that nobody waits for, as in a tell: what is sent is dropped.
    #[doc(hidden)]
    #[inline]
    pub fn none() -> Self {
        Self {
            slot: None,
            of: PhantomData,
        }
    }

    #[inline]
    fn of(slot: SlotPtr<R>) -> Self {
        const { assert!(align_of::<Slot<R>>() > PLAIN) };
        Self {
            slot: Some(slot.0.cast()),
            of: PhantomData,
        }
    }

    /// The slot, as the tag says; this reply must not use it any more if it keeps it.
    #[inline]
    fn held(&self) -> Option<Held<R>> {
        let slot = self.slot?;
        Some(if slot.addr().get() & PLAIN == 0 {
            Held::Same(SlotPtr(slot.cast()))
        } else {
            // An address that is aligned to more than the tag is not 0 without it.
            let slot = slot.map_addr(|addr| {
                NonZeroUsize::new(addr.get() & !PLAIN).expect("a slot's address is not 0")
            });
            Held::Plain(SlotPtr(slot.cast()))
        })
    }

    #[inline]
    fn take(&mut self) -> Option<Held<R>> {
        let held = self.held();
        self.slot = None;
        held
    }

    /// Answers. The value is dropped if the asker is gone. Never waits.
    #[inline]
    pub fn send(mut self, value: R) {
        if simulated::is_active() && self.is_lost() {
            return; // unanswered, by its drop
        }
        match self.take() {
            None => {}
            Some(Held::Same(slot)) => slot.send(value),
            Some(Held::Plain(slot)) => slot.send(Ok(value)),
        }
    }

    #[cold]
    fn is_lost(&self) -> bool {
        self.slot.is_some() && simulated::with(|director| director.loses_reply()).unwrap_or(false)
    }

    /// Whether somebody still waits for the answer: a handler may skip costly work if not.
    #[inline]
    pub fn is_wanted(&self) -> bool {
        match self.held() {
            None => false,
            Some(Held::Same(slot)) => slot.is_wanted(),
            Some(Held::Plain(slot)) => slot.is_wanted(),
        }
    }

    /// Undoes [`plain`](Reply::plain).
    ///
    /// # Panics
    /// If the reply is not one that `plain` made.
    pub(crate) fn fallible(mut self) -> Reply<Result<R, Infallible>> {
        match self.take() {
            None => Reply::none(),
            Some(Held::Plain(slot)) => Reply::of(slot),
            Some(Held::Same(slot)) => {
                let unanswered = Self::of(slot);
                drop(unanswered);
                panic!(
                    "this reply answers with a `Result`, and the other call's value is that \
                     `Result`: answer with `send` instead of forwarding it"
                );
            }
        }
    }
}

impl<T> Reply<Result<T, Infallible>> {
    /// The same reply, for who cannot fail. Used by the code that `#[actor]` writes.
    ///
    /// # Panics
    /// If the reply is itself one that this made.
    #[doc(hidden)]
    #[inline]
    #[must_use]
    pub fn plain(mut self) -> Reply<T> {
        match self.take() {
            None => Reply::none(),
            Some(Held::Same(slot)) => Reply {
                slot: Some(slot.0.cast::<u8>().map_addr(|addr| addr | PLAIN)),
                of: PhantomData,
            },
            Some(Held::Plain(slot)) => {
                let unanswered = Reply::of(slot);
                drop(unanswered);
                panic!("a reply was made plain twice");
            }
        }
    }
}

impl<R> SlotPtr<R> {
    /// Replier: answers with a value.
    #[inline]
    fn send(self, value: R) {
        // SAFETY: until SENT is stored the value's place is the replier's, and empty.
        self.slot()
            .value
            .with_mut(|place| unsafe { (*place).write(value) });
        if !self.publish(SENT) {
            // SAFETY: the asker is gone: the value is still ours, and then the slot is.
            unsafe {
                let value = self.slot().value.with(|place| (*place).assume_init_read());
                self.free();
                drop(value);
            }
        }
    }

    /// Replier: whether the asker is still there.
    #[inline]
    fn is_wanted(&self) -> bool {
        // ORDERING: Relaxed, a hint.
        self.slot().state.load(Ordering::Relaxed) != GONE
    }
}

impl<R> Drop for Reply<R> {
    #[inline]
    fn drop(&mut self) {
        match self.take() {
            None => {}
            Some(Held::Same(slot)) => drop_unanswered(slot),
            Some(Held::Plain(slot)) => drop_unanswered(slot),
        }
    }
}

#[cold]
fn drop_unanswered<R>(slot: SlotPtr<R>) {
    let reason = match REASON.get() {
        NoReply::Dropped if std::thread::panicking() => NoReply::Panicked,
        reason => reason,
    };
    if !slot.publish(dropped(reason)) {
        // SAFETY: the asker is gone, and no value was written.
        unsafe { slot.free() };
    }
}

impl<R> fmt::Debug for Reply<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply")
            .field("is_wanted", &self.is_wanted())
            .finish()
    }
}

/// The asker's side. Dropping it tells the handler that nobody waits any more.
#[must_use = "the reply is lost unless the future is awaited"]
pub(crate) struct ReplyFuture<R> {
    slot: Option<SlotPtr<R>>,
    /// Which waker is registered, by its parts: what is in the slot must not be looked at. Compared only
    /// while the slot has a waker, and so keeps that one alive.
    registered: WakerId,
}

/// What `Waker::will_wake` compares.
type WakerId = (*const (), *const RawWakerVTable);

#[inline]
fn id_of(waker: &Waker) -> WakerId {
    (waker.data(), waker.vtable())
}

// SAFETY: it receives one value of `R` from the replier's thread, and shares nothing else.
unsafe impl<R: Send> Send for ReplyFuture<R> {}
// SAFETY: `&ReplyFuture` gives no access at all.
unsafe impl<R: Send> Sync for ReplyFuture<R> {}

/// A reply and its future.
#[inline]
pub(crate) fn reply<R>() -> (Reply<R>, ReplyFuture<R>) {
    pair(None, (ptr::null(), ptr::null()))
}

/// As [`reply`], with the asker's waker registered from the start: saves the first poll an RMW.
#[inline(always)] // else what it returns is written and read again at once, in other pieces
pub(crate) fn reply_to<R>(waker: &Waker) -> (Reply<R>, ReplyFuture<R>) {
    pair(Some(keep(waker)), id_of(waker))
}

#[inline]
fn keep(waker: &Waker) -> ThinWaker {
    wait::Wait::of(wait::WaitKind::Reply).note(waker);
    ThinWaker::new(wait::keep(waker))
}

#[inline(always)]
fn pair<R>(waker: Option<ThinWaker>, registered: WakerId) -> (Reply<R>, ReplyFuture<R>) {
    let slot = SlotPtr::new(waker);
    (
        Reply::of(SlotPtr(slot.0)),
        ReplyFuture {
            slot: Some(slot),
            registered,
        },
    )
}

impl<R> Future for ReplyFuture<R> {
    type Output = Result<R, NoReply>;

    #[inline(always)] // as `reply_to`
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let slot = this
            .slot
            .as_ref()
            .expect("a reply was polled after it was taken")
            .slot();
        // ORDERING: Acquire pairs with the Release of SENT or DROPPED in `publish`.
        let mut seen = slot.state.load(Ordering::Acquire);
        if seen != SENT {
            if is_waker(seen) && this.registered == id_of(cx.waker()) {
                wait::Wait::of(wait::WaitKind::Reply).note(cx.waker());
                return Poll::Pending;
            }
            this.registered = id_of(cx.waker());
            seen = match register(slot, seen, cx.waker()) {
                Some(last) => last,
                None => return Poll::Pending,
            };
        }
        let slot = this.slot.take().expect("checked above");
        // SAFETY: a final state was stored: the replier has let go. With SENT there is a value, and
        // it is taken once, here.
        Poll::Ready(unsafe {
            let result = if seen == SENT {
                Ok(slot.slot().value.with(|place| (*place).assume_init_read()))
            } else {
                Err(reason_of(seen))
            };
            slot.free();
            result
        })
    }
}

impl<R> ReplyFuture<R> {
    /// Takes the waker back until the next poll: the message is not even sent, and a waker out there
    /// would look like a way to be woken.
    #[cold]
    pub(crate) fn stand_down(&mut self) {
        let Some(slot) = &self.slot else { return };
        let state = &slot.slot().state;
        // ORDERING: Relaxed, a guess for the exchange: only the asker puts wakers there.
        let seen = state.load(Ordering::Relaxed);
        if is_waker(seen) && exchange(state, seen, EMPTY).is_ok() {
            self.registered = (ptr::null(), ptr::null());
            // SAFETY: it was in the word, and now it isn't: it is ours.
            drop(unsafe { ThinWaker::from_raw(seen) });
        }
    }
}

fn reason_of(state: State) -> NoReply {
    match state.addr() >> REASON_SHIFT {
        0 => NoReply::Dropped,
        1 => NoReply::Panicked,
        2 => NoReply::Stopped,
        3 => NoReply::Overloaded,
        4 => NoReply::Replaced,
        _ => NoReply::TimedOut,
    }
}

/// Asker: one step of the state, or what it is by now.
#[inline]
fn exchange(state: &AtomicPtr<u8>, from: State, to: State) -> Result<State, State> {
    // ORDERING: Release pairs with the Acquire in `publish`: a waker is visible, or with GONE that we
    // are done. Acquire pairs with its Release: with a final state the slot is ours.
    state.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire)
}

/// Asker: makes sure that `waker` is woken; or returns the final state.
fn register<R>(slot: &Slot<R>, seen: State, waker: &Waker) -> Option<State> {
    if seen != EMPTY && !is_waker(seen) {
        return Some(seen);
    }
    let fresh = keep(waker).into_raw();
    // Only the asker changes one waker for another, so a failure means that the replier was here.
    let last = exchange(&slot.state, seen, fresh);
    let spare = if last.is_ok() { seen } else { fresh };
    if is_waker(spare) {
        // SAFETY: it is not in the word: taken out, or never in.
        drop(unsafe { ThinWaker::from_raw(spare) });
    }
    last.err()
}

impl<R> Drop for ReplyFuture<R> {
    #[inline]
    fn drop(&mut self) {
        if let Some(slot) = self.slot.take() {
            give_up(slot);
        }
    }
}

#[cold]
fn give_up<R>(shared: SlotPtr<R>) {
    let state = &shared.slot().state;
    // ORDERING: Acquire pairs with the Release of a final state in `publish`.
    let mut seen = state.load(Ordering::Acquire);
    if seen == EMPTY || is_waker(seen) {
        match exchange(state, seen, GONE) {
            Ok(_) => {
                if is_waker(seen) {
                    // SAFETY: it was in the word, and now it isn't: it is ours.
                    drop(unsafe { ThinWaker::from_raw(seen) });
                }
                return;
            }
            Err(now) => seen = now,
        }
    }
    // SAFETY: a final state: the replier has let go; SENT means there is a value.
    unsafe {
        let slot = shared.slot();
        let value = (seen == SENT).then(|| slot.value.with(|place| (*place).assume_init_read()));
        shared.free();
        drop(value);
    }
}

impl<R> fmt::Debug for ReplyFuture<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReplyFuture(..)")
    }
}
