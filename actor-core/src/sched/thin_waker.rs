//! A waker in one word: for those who keep one for every goroutine or mailbox.
//!
//! ```text
//!   address of a goroutine's header, lowest bits 00   one of our wakers, kept while it waits
//!                                                10   one of our wakers, kept beyond the wait
//!   address of a box                             01   anybody else's waker
//! ```

use std::fmt;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;
use std::task::{RawWaker, Waker};

use super::state::Hold;
use super::{task, wait};

const BOXED: usize = 1;
const STORED: usize = 2;
const TAGS: usize = BOXED | STORED;

/// See the file's comment.
pub(crate) struct ThinWaker(NonNull<u8>);

// SAFETY: it is a `Waker`, which is both, in another form.
unsafe impl Send for ThinWaker {}
// SAFETY: as above.
unsafe impl Sync for ThinWaker {}

impl ThinWaker {
    #[inline]
    pub(crate) fn new(waker: Waker) -> Self {
        let tag = match task::hold_of_waker(&waker) {
            Some(Hold::Own) => 0,
            Some(Hold::Handle) => STORED,
            _ => return Self::boxed(waker),
        };
        let waker = ManuallyDrop::new(waker);
        let data: *const u8 = waker.data().cast();
        debug_assert_eq!(data.addr() & TAGS, 0);
        // SAFETY: a header's address is not null, and the tag makes it no less.
        Self(unsafe { NonNull::new_unchecked(data.map_addr(|at| at | tag).cast_mut()) })
    }

    #[cold]
    fn boxed(waker: Waker) -> Self {
        let waker: *mut u8 = Box::into_raw(Box::new(waker)).cast();
        // SAFETY: a box's address is not null.
        Self(unsafe { NonNull::new_unchecked(waker.map_addr(|at| at | BOXED)) })
    }

    /// The word; [`from_raw`](Self::from_raw) makes it a waker again.
    #[inline]
    pub(crate) fn into_raw(self) -> *mut u8 {
        ManuallyDrop::new(self).0.as_ptr()
    }

    /// # Safety
    /// It came from [`into_raw`](Self::into_raw), and becomes a waker once.
    #[inline]
    pub(crate) unsafe fn from_raw(word: *mut u8) -> Self {
        // SAFETY: it was made from a `NonNull`.
        Self(unsafe { NonNull::new_unchecked(word) })
    }

    fn as_box(&self) -> Option<*mut Waker> {
        let at = self.0.as_ptr();
        (at.addr() & BOXED != 0).then(|| at.map_addr(|at| at & !TAGS).cast())
    }

    #[inline]
    fn header(&self) -> *mut u8 {
        self.0.as_ptr().map_addr(|at| at & !TAGS)
    }

    /// The goroutine's waker. It must not be dropped unless this one is forgotten.
    #[inline]
    fn ours(&self) -> ManuallyDrop<Waker> {
        let data: *const () = self.header().cast();
        let vtable = task::vtable_of_hold(self.hold());
        // SAFETY: `new` took both from a waker, which it forgot.
        ManuallyDrop::new(unsafe { Waker::from_raw(RawWaker::new(data, vtable)) })
    }

    /// By what it is counted, if it is one of ours.
    #[inline]
    fn hold(&self) -> Hold {
        if self.0.as_ptr().addr() & STORED == 0 {
            Hold::Own
        } else {
            Hold::Handle
        }
    }

    /// Runs `f` on the waker.
    #[inline]
    pub(crate) fn with<R>(&self, f: impl FnOnce(&Waker) -> R) -> R {
        match self.as_box() {
            // SAFETY: the box is ours.
            Some(boxed) => f(unsafe { &*boxed }),
            None => f(&self.ours()),
        }
    }

    #[inline]
    pub(crate) fn wake_by_ref(&self) {
        match self.as_box() {
            // SAFETY: the box is ours.
            Some(boxed) => unsafe { &*boxed }.wake_by_ref(),
            // SAFETY: `new` took the header's address from a waker, whose count is ours.
            None => unsafe { task::wake_header(self.header()) },
        }
    }

    #[inline]
    pub(crate) fn wake(self) {
        if self.as_box().is_some() {
            return self.wake_by_ref();
        }
        let this = ManuallyDrop::new(self);
        // SAFETY: `new` took the header's address from a waker, whose count is ours; it is given up.
        unsafe { task::wake_header_and_release(this.header(), this.hold()) }
    }

    /// A clone that anybody may have.
    pub(crate) fn to_waker(&self) -> Waker {
        self.with(Waker::clone)
    }

    /// As [`wait::same`].
    #[inline]
    pub(crate) fn is_same(&self, waker: &Waker) -> bool {
        match self.as_box() {
            // SAFETY: the box is ours.
            Some(boxed) => wait::same(unsafe { &*boxed }, waker),
            None => task::is_waker_of(waker, self.header()),
        }
    }
}

impl Drop for ThinWaker {
    #[inline]
    fn drop(&mut self) {
        match self.as_box() {
            // SAFETY: the box is ours, and not used again.
            Some(boxed) => drop(unsafe { Box::from_raw(boxed) }),
            None => drop(ManuallyDrop::into_inner(self.ours())),
        }
    }
}

impl fmt::Debug for ThinWaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.with(|waker| waker.fmt(f))
    }
}

const _: () = assert!(size_of::<Option<ThinWaker>>() == size_of::<usize>());
