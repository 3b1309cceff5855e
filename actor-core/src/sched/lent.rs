//! A value and at most one future that works on it, in the value's size and one word: what an actor
//! that has nothing to do consists of.
//!
//! ```text
//!            seed                        put                      lend
//!   (new) ─────────▶ [future] ──ready──▶ [ ] ─────▶ [state] ────────────▶ [state, future] ─┐
//!                                         ▲            │ ▲                   │             │
//!                      ready ─ [future] ◀─┘  take ─────┘ └──────── ready ────┘   Pending ──┘
//! ```
//!
//! - The future lies in a block of pooled memory (`mem.rs`) of its own size, only while it runs. So an
//!   idle actor has none, whatever its handlers need, and a warm message allocates nothing.
//! - A [`Tenant`]'s future borrows the state exclusively and the fixed part shared, a [`Guest`]'s the
//!   fixed part only. Both live in this value, which is pinned before the first future begins and
//!   drops the future first: the borrow that the type system can't write down.
//! - `enter` is generic over the borrow's lifetime, so nothing of it can be kept beyond the future.
//! - The word is the block's address; in its lowest bits are [`FULL`] (the state is there) and a number
//!   that the owner may use as it likes ([`tag`](Lent::tag)).
//!
//! Rejected: an `async` block whose local the state is. Each layer of it keeps pointers to what lies
//! beside it, and the handlers' futures are a part of it: 96 bytes and more where this needs 16.

use std::alloc::Layout;
use std::cell::UnsafeCell;
use std::fmt;
use std::future::Future;
use std::marker::{PhantomData, PhantomPinned};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::ptr::{self, NonNull};
use std::task::{Context, Poll};

use super::mem;

/// Makes a future that works with the fixed part only.
pub(crate) trait Guest<C, R>: Send {
    fn enter<'s>(self, fixed: &'s C) -> impl Future<Output = R> + Send + 's
    where
        Self: 's;
}

/// Makes a future that works on the state.
pub(crate) trait Tenant<C, S, R>: Send {
    fn enter<'s>(self, fixed: &'s C, state: &'s mut S) -> impl Future<Output = R> + Send + 's
    where
        Self: 's;
}

/// In the word: the state is there.
const FULL: usize = 1;
const TAG_SHIFT: u32 = 1;
const TAG_MAX: usize = 7;
const BITS: usize = 15;

/// Blocks start at multiples of this, so that the bits fit below.
const ALIGN: usize = BITS + 1;

/// See the file's comment.
pub(crate) struct Lent<C: 'static, S, R: 'static> {
    word: *mut u8,
    fixed: UnsafeCell<C>,
    state: UnsafeCell<MaybeUninit<S>>,
    _result: PhantomData<fn() -> R>,
    _pinned: PhantomPinned,
}

// SAFETY: the block's future is `Send` (`Guest` and `Tenant` demand it); it shares the fixed part
// with whoever has this value.
unsafe impl<C: Send + Sync, S: Send, R> Send for Lent<C, S, R> {}

/// A block, whatever is in it.
type Thin<C, R> = NonNull<&'static Head<C, R>>;

/// How to use a block.
struct Head<C: 'static, R: 'static> {
    /// The fixed part outlives the future.
    poll: unsafe fn(Thin<C, R>, *const C, &mut Context<'_>) -> Poll<R>,
    /// Drops the future, or its seed.
    drop: unsafe fn(Thin<C, R>),
    free: unsafe fn(Thin<C, R>),
}

#[repr(C)]
struct Block<C: 'static, R: 'static, T> {
    head: &'static Head<C, R>,
    what: T,
}

impl<C, S, R> Lent<C, S, R> {
    /// Without a state, and with a guest that has not entered yet: it does at the first poll.
    pub(crate) fn new<T: Guest<C, R> + 'static>(fixed: C, tag: u8, seed: T) -> Self {
        let head = const {
            &Head {
                poll: begin::<C, R, T>,
                drop: drop_what::<C, R, T>,
                free: free_seeded::<C, R, T>,
            }
        };
        let layout = seeded_layout::<C, R, T>();
        // SAFETY: the layout has room for this.
        let block = unsafe { place(layout, head, || seed) };
        let mut lent = Self {
            word: block.as_ptr().cast(),
            fixed: UnsafeCell::new(fixed),
            state: UnsafeCell::new(MaybeUninit::uninit()),
            _result: PhantomData,
            _pinned: PhantomPinned,
        };
        lent.word = with_tag(lent.word, tag);
        lent
    }

    /// The owner's number.
    #[inline]
    pub(crate) fn tag(&self) -> u8 {
        ((self.word.addr() & BITS) >> TAG_SHIFT) as u8
    }

    #[inline]
    pub(crate) fn set_tag(self: Pin<&mut Self>, tag: u8) {
        let word = self.word;
        self.set_word(with_tag(word, tag));
    }

    #[inline]
    pub(crate) fn fixed(&self) -> &C {
        // SAFETY: it is only ever borrowed shared.
        unsafe { &*self.fixed.get() }
    }

    /// The fixed part, and beside it the right to do the rest.
    #[inline]
    pub(crate) fn open(self: Pin<&mut Self>) -> (&C, Open<'_, C, S, R>) {
        let fixed = self.fixed.get();
        // SAFETY: it is only ever borrowed shared, and `Open` can't replace the value as a whole.
        (unsafe { &*fixed }, Open(self))
    }

    /// Whether a future is under way, or about to begin.
    #[inline]
    pub(crate) fn is_lent(&self) -> bool {
        self.block().is_some()
    }

    /// Whether the state is there, and no future has it.
    #[inline]
    fn is_at_home(&self) -> bool {
        self.has_state() && !self.is_lent()
    }

    #[inline]
    fn has_state(&self) -> bool {
        self.word.addr() & FULL != 0
    }

    /// # Panics
    /// If there is one.
    pub(crate) fn put(self: Pin<&mut Self>, state: S) {
        assert!(!self.has_state() && !self.is_lent(), "there is a state");
        // SAFETY: nobody else looks at the place of the state.
        unsafe { (*self.state.get()).write(state) };
        let word = self.word;
        self.set_word(word.map_addr(|at| at | FULL));
    }

    /// The state, if it is there.
    ///
    /// # Panics
    /// If a future has it.
    pub(crate) fn take(self: Pin<&mut Self>) -> Option<S> {
        assert!(!self.is_lent(), "it is lent");
        if !self.has_state() {
            return None;
        }
        let word = self.word;
        let state = self.state.get();
        self.set_word(word.map_addr(|at| at & !FULL));
        // SAFETY: it was there, and is counted as gone now. It is not pinned: futures borrow it.
        Some(unsafe { (*state).assume_init_read() })
    }

    /// Begins a future that works on the state, and polls it. The tenant is made when its future is,
    /// whose place is known then.
    ///
    /// # Panics
    /// If there is no state, or a future has it; and when the future does, which is over then.
    #[inline]
    pub(crate) fn lend<T>(
        mut self: Pin<&mut Self>,
        tenant: impl FnOnce() -> T,
        cx: &mut Context<'_>,
    ) -> Poll<R>
    where
        T: Tenant<C, S, R> + 'static,
    {
        assert!(self.is_at_home(), "no state, or it is lent");
        let (fixed, state) = (self.fixed.get(), self.state.get());
        // SAFETY: both are pinned with `self` and outlive the future, which is dropped first; the
        // state has no other user until then. The lifetime made up here is `enter`'s to hand on to
        // the future alone, which borrows nothing else: the tenant itself lives for ever.
        let enter = || unsafe { tenant().enter(&*fixed, (*state).assume_init_mut()) };
        self.as_mut().start(enter, cx)
    }

    /// Begins a future that works with the fixed part only, and polls it.
    ///
    /// # Panics
    /// If a future is under way; and when this one does, which is over then.
    pub(crate) fn invite<T>(mut self: Pin<&mut Self>, guest: T, cx: &mut Context<'_>) -> Poll<R>
    where
        T: Guest<C, R> + 'static,
    {
        assert!(!self.is_lent(), "a future is under way");
        let fixed = self.fixed.get();
        // SAFETY: as in `lend`.
        let enter = || unsafe { guest.enter(&*fixed) };
        self.as_mut().start(enter, cx)
    }

    #[inline]
    fn start<F>(
        mut self: Pin<&mut Self>,
        enter: impl FnOnce() -> F,
        cx: &mut Context<'_>,
    ) -> Poll<R>
    where
        F: Future<Output = R> + Send,
    {
        let head = const {
            &Head {
                poll: poll_what::<C, R, F>,
                drop: drop_what::<C, R, F>,
                free: free_what::<C, R, F>,
            }
        };
        // SAFETY: of this layout.
        let block = unsafe { place(layout::<C, R, F>(), head, enter) };
        let bits = self.word.addr() & BITS;
        let word: *mut u8 = block.as_ptr().cast();
        self.as_mut().set_word(word.map_addr(|at| at | bits));
        let end = EndOnDrop(self);
        // SAFETY: the block has an `F`, and is ours alone.
        let polled = unsafe { poll_what::<C, R, F>(block, end.0.fixed.get(), cx) };
        end.unless_pending(polled)
    }

    /// Polls the future.
    ///
    /// # Panics
    /// If there is none; and when it does, which is over then.
    pub(crate) fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<R> {
        let block = self.block().expect("a future is under way");
        let end = EndOnDrop(self);
        // SAFETY: the block is ours alone, and its head knows what is in it; the fixed part is
        // pinned with `self`.
        let polled = unsafe { (block.as_ref().poll)(block, end.0.fixed.get(), cx) };
        end.unless_pending(polled)
    }

    /// Drops the future, if there is one. The state stays.
    ///
    /// # Panics
    /// When its drop does; it is gone all the same.
    pub(crate) fn end(self: Pin<&mut Self>) {
        let Some(block) = self.block() else { return };
        let word = self.word;
        self.set_word(ptr::without_provenance_mut(word.addr() & BITS));
        struct Free<C: 'static, R: 'static>(Thin<C, R>, &'static Head<C, R>);
        impl<C, R> Drop for Free<C, R> {
            fn drop(&mut self) {
                // SAFETY: what was in the block is dropped, and nobody knows it any more.
                unsafe { (self.1.free)(self.0) }
            }
        }
        // SAFETY: a block begins with its head.
        let head = *unsafe { block.as_ref() };
        let free = Free(block, head);
        // SAFETY: the word has let go of it: nobody uses it again.
        unsafe { (head.drop)(block) };
        drop(free);
    }

    #[inline]
    fn block(&self) -> Option<Thin<C, R>> {
        NonNull::new(self.word.map_addr(|at| at & !BITS).cast())
    }

    #[inline]
    fn set_word(self: Pin<&mut Self>, word: *mut u8) {
        // SAFETY: nothing is moved.
        unsafe { self.get_unchecked_mut() }.word = word;
    }
}

/// All but the fixed part of a [`Lent`].
pub(crate) struct Open<'a, C: 'static, S, R: 'static>(Pin<&'a mut Lent<C, S, R>>);

impl<C, S, R> Open<'_, C, S, R> {
    /// As [`Lent::is_lent`].
    #[inline]
    pub(crate) fn is_lent(&self) -> bool {
        self.0.is_lent()
    }

    /// The state.
    ///
    /// # Panics
    /// If there is none, or a future has it.
    #[inline]
    pub(crate) fn state(&mut self) -> &mut S {
        assert!(self.0.is_at_home(), "no state, or it is lent");
        // SAFETY: it is there, nobody else has it, and we are borrowed.
        unsafe { (*self.0.state.get()).assume_init_mut() }
    }

    /// As [`Lent::lend`].
    #[inline]
    pub(crate) fn lend<T>(&mut self, tenant: impl FnOnce() -> T, cx: &mut Context<'_>) -> Poll<R>
    where
        T: Tenant<C, S, R> + 'static,
    {
        self.0.as_mut().lend(tenant, cx)
    }

    /// As [`Lent::take`].
    pub(crate) fn take(&mut self) -> Option<S> {
        self.0.as_mut().take()
    }

    /// As [`Lent::put`].
    pub(crate) fn put(&mut self, state: S) {
        self.0.as_mut().put(state);
    }

    /// As [`Lent::invite`].
    pub(crate) fn invite<T>(&mut self, guest: T, cx: &mut Context<'_>) -> Poll<R>
    where
        T: Guest<C, R> + 'static,
    {
        self.0.as_mut().invite(guest, cx)
    }

    /// As [`Lent::poll`].
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<R> {
        self.0.as_mut().poll(cx)
    }
}

impl<C, S, R> fmt::Debug for Open<'_, C, S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[inline]
fn with_tag(word: *mut u8, tag: u8) -> *mut u8 {
    let tag = usize::from(tag);
    assert!(tag <= TAG_MAX, "a tag has three bits");
    word.map_addr(|at| (at & !(TAG_MAX << TAG_SHIFT)) | (tag << TAG_SHIFT))
}

/// Ends the future unless it has to go on: it is ready, or its poll panics.
struct EndOnDrop<'a, C: 'static, S, R: 'static>(Pin<&'a mut Lent<C, S, R>>);

impl<C, S, R> EndOnDrop<'_, C, S, R> {
    #[inline]
    fn unless_pending(self, polled: Poll<R>) -> Poll<R> {
        if polled.is_pending() {
            std::mem::forget(self);
        }
        polled
    }
}

impl<C, S, R> Drop for EndOnDrop<'_, C, S, R> {
    #[inline]
    fn drop(&mut self) {
        self.0.as_mut().end();
    }
}

impl<C, S, R> Drop for Lent<C, S, R> {
    fn drop(&mut self) {
        // SAFETY: it is not moved before it is gone.
        let mut this = unsafe { Pin::new_unchecked(self) };
        // First what borrows the others.
        this.as_mut().end();
        drop(this.take());
    }
}

impl<C, S, R> fmt::Debug for Lent<C, S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lent")
            .field("tag", &self.tag())
            .field("has_state", &self.has_state())
            .field("is_lent", &self.is_lent())
            .finish_non_exhaustive()
    }
}

fn layout<C: 'static, R: 'static, T>() -> Layout {
    let layout = Layout::new::<Block<C, R, T>>().align_to(ALIGN);
    layout.expect("a type's layout").pad_to_align()
}

/// Of a block that has room for a seed and for the future that it becomes.
fn seeded_layout<C: 'static, R: 'static, T: Guest<C, R>>() -> Layout {
    fn grown<C: 'static, R: 'static, T, F>(_: impl FnOnce(T, &'static C) -> F) -> Layout {
        layout::<C, R, F>()
    }
    let seed = layout::<C, R, T>();
    let future = grown::<C, R, T, _>(|seed, fixed| seed.enter(fixed));
    let align = seed.align().max(future.align());
    let size = seed.size().max(future.size());
    Layout::from_size_align(size, align).expect("the larger of two layouts")
}

/// A new block. What is in it is made in its place: see `mem.rs` about fresh stores.
///
/// # Safety
/// The layout has room for the block.
#[inline]
unsafe fn place<C: 'static, R: 'static, T>(
    layout: Layout,
    head: &'static Head<C, R>,
    what: impl FnOnce() -> T,
) -> Thin<C, R> {
    struct Free(NonNull<u8>, Layout);
    impl Drop for Free {
        fn drop(&mut self) {
            // SAFETY: `what` has panicked, and nobody knows the memory.
            unsafe { mem::free(self.0, self.1) }
        }
    }
    let free = Free(mem::alloc(layout), layout);
    let block = free.0.cast::<Block<C, R, T>>().as_ptr();
    // SAFETY: fresh memory, large enough as promised, and aligned for a block at least.
    unsafe {
        (&raw mut (*block).what).write(what());
        (&raw mut (*block).head).write(head);
    }
    let block = free.0.cast();
    std::mem::forget(free);
    block
}

/// # Safety
/// The block has a `T`, which is the caller's alone.
#[inline]
unsafe fn what<C, R, T>(block: Thin<C, R>) -> *mut T {
    // SAFETY: as the caller promises.
    unsafe { &raw mut (*block.cast::<Block<C, R, T>>().as_ptr()).what }
}

/// # Safety
/// The block has a future `F`, which is the caller's alone.
#[inline]
unsafe fn poll_what<C, R, F>(block: Thin<C, R>, _: *const C, cx: &mut Context<'_>) -> Poll<R>
where
    F: Future<Output = R>,
{
    // SAFETY: it stays where it is until it is dropped there.
    unsafe { Pin::new_unchecked(&mut *what::<C, R, F>(block)) }.poll(cx)
}

/// The first poll of a seed.
///
/// # Safety
/// The block has a seed `T` and room for its future, and is the caller's alone; the fixed part
/// outlives that future.
unsafe fn begin<C, R, T>(block: Thin<C, R>, fixed: *const C, cx: &mut Context<'_>) -> Poll<R>
where
    T: Guest<C, R>,
{
    unsafe fn grow<C: 'static, R: 'static, T: Guest<C, R>, F: Future<Output = R>>(
        block: Thin<C, R>,
        future: F,
    ) {
        let head = const {
            &Head {
                poll: poll_what::<C, R, F>,
                drop: drop_what::<C, R, F>,
                free: free_seeded::<C, R, T>,
            }
        };
        // SAFETY: there is room, by `seeded_layout`; the seed is gone.
        unsafe { block.cast().write(Block { head, what: future }) };
    }
    // If `enter` panics, the seed is gone and nothing has come of it.
    let nothing = const {
        &Head {
            poll: poll_what::<C, R, std::future::Pending<R>>,
            drop: |_| (),
            free: free_seeded::<C, R, T>,
        }
    };
    // SAFETY: as promised; the seed is read once, since the head no longer knows it.
    unsafe {
        let seed = what::<C, R, T>(block).read();
        block.write(nothing);
        grow::<C, R, T, _>(block, seed.enter(&*fixed));
        (block.as_ref().poll)(block, fixed, cx)
    }
}

/// # Safety
/// The block has a `T`, which is the caller's alone and not used again.
unsafe fn drop_what<C, R, T>(block: Thin<C, R>) {
    // SAFETY: as the caller promises.
    unsafe { ptr::drop_in_place(what::<C, R, T>(block)) }
}

/// # Safety
/// The block is the caller's alone, was made for a `T`, and is not used again.
unsafe fn free_what<C, R, T>(block: Thin<C, R>) {
    // SAFETY: as the caller promises.
    unsafe { mem::free(block.cast(), layout::<C, R, T>()) }
}

/// # Safety
/// The block is the caller's alone, was made for a seed `T`, and is not used again.
unsafe fn free_seeded<C, R, T: Guest<C, R>>(block: Thin<C, R>) {
    // SAFETY: as the caller promises.
    unsafe { mem::free(block.cast(), seeded_layout::<C, R, T>()) }
}
