//! The growing ring of slots behind a mailbox: raw storage, no synchronisation, no idea of who owns
//! which slot. `mailbox` decides that.
//!
//! - No memory until the first slot is needed; capacities are powers of two.
//! - Indices count up for ever and wrap; the slot of index `i` is `i & (capacity - 1)`.
//! - The handle is one word: blocks are aligned to 32, and the low 5 bits hold the capacity's log2.
//! - The storage never drops a value: who owns a slot reads the value out.
//! - A block may be a part of somebody else's memory ([`Slots::within`]), who must not free it by itself.

use std::alloc::Layout;
use std::marker::PhantomData;
use std::ptr::{self, NonNull};

use crate::sched::mem;

/// Blocks start at multiples of this, so that the capacity's log2 fits below.
const ALIGN: usize = 32;

/// The smallest block.
#[repr(align(32))]
struct Aligned(#[expect(dead_code, reason = "only its layout matters")] [u8; ALIGN]);

/// The largest capacity of a ring.
pub(crate) const CAPACITY_MAX: u32 = 1 << 30;

/// A block of slots, or none. Copying the handle copies no slot.
pub(crate) struct Slots<M> {
    /// The block's address plus the log2 of its capacity; null for none.
    tagged: *mut u8,
    _values: PhantomData<M>,
}

impl<M> Clone for Slots<M> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<M> Copy for Slots<M> {}

impl<M> Slots<M> {
    pub(crate) const NONE: Self = Self {
        tagged: ptr::null_mut(),
        _values: PhantomData,
    };

    #[inline]
    fn capacity_log2(self) -> usize {
        self.tagged.addr() & (ALIGN - 1)
    }

    #[inline]
    pub(crate) fn capacity(self) -> u32 {
        if self.tagged.is_null() {
            0
        } else {
            1 << self.capacity_log2()
        }
    }

    /// Slots in memory that is somebody else's.
    ///
    /// # Safety
    /// There is room for `layout(capacity_log2)`, aligned like that, for as long as the handle is used.
    pub(crate) unsafe fn within(block: NonNull<u8>, capacity_log2: usize) -> Self {
        debug_assert_eq!(block.addr().get() % ALIGN, 0);
        Self {
            tagged: block.as_ptr().map_addr(|addr| addr | capacity_log2),
            _values: PhantomData,
        }
    }

    /// Whether it is the same block.
    #[inline]
    pub(crate) fn is_same(self, other: Self) -> bool {
        ptr::eq(self.tagged, other.tagged)
    }

    /// A block of twice as many slots (of one, for `NONE`).
    pub(crate) fn allocate_larger(self) -> Self {
        Self::allocate(if self.tagged.is_null() {
            0
        } else {
            self.capacity_log2() + 1
        })
    }

    /// Another block of as many slots; not for `NONE`.
    pub(crate) fn allocate_same(self) -> Self {
        debug_assert!(!self.tagged.is_null());
        Self::allocate(self.capacity_log2())
    }

    #[inline(never)] // as `free`
    pub(crate) fn allocate(capacity_log2: usize) -> Self {
        assert!(
            1 << capacity_log2 <= CAPACITY_MAX,
            "a mailbox holds at most 2^30 messages"
        );
        let block = mem::alloc(Self::layout(capacity_log2)).as_ptr();
        debug_assert_eq!(block.addr() % ALIGN, 0);
        Self {
            tagged: block.map_addr(|addr| addr | capacity_log2),
            _values: PhantomData,
        }
    }

    pub(crate) const fn layout(capacity_log2: usize) -> Layout {
        let Ok(slots) = Layout::array::<M>(1 << capacity_log2) else {
            panic!("the mailbox outgrew the address space")
        };
        // Messages without data still get a block, so that the capacity has a meaning.
        let slots = if slots.size() == 0 {
            Layout::new::<Aligned>().align_to(slots.align())
        } else {
            slots.align_to(ALIGN)
        };
        match slots {
            Ok(slots) => slots,
            Err(_) => panic!("the mailbox outgrew the address space"),
        }
    }

    #[inline]
    fn slot(self, index: u32) -> *mut M {
        debug_assert!(!self.tagged.is_null());
        let position = index as usize & ((1 << self.capacity_log2()) - 1);
        let block = self.tagged.map_addr(|addr| addr & !(ALIGN - 1)).cast::<M>();
        // Inside the block, by the mask; `wrapping_add` needs no promise.
        block.wrapping_add(position)
    }

    /// # Safety
    /// There is a block, and the slot of `index` is empty and the caller's alone.
    #[inline]
    pub(crate) unsafe fn write(self, index: u32, value: M) {
        // SAFETY: in bounds by the mask, aligned by the layout, nobody else's by the promise.
        unsafe { self.slot(index).write(value) }
    }

    /// # Safety
    /// The slot of `index` holds a value and is the caller's alone; it is empty afterwards.
    #[inline]
    pub(crate) unsafe fn read(self, index: u32) -> M {
        // SAFETY: in bounds, aligned, and initialised by the promise; it is not read again.
        unsafe { self.slot(index).read() }
    }

    /// Where the value of `index` lies.
    #[inline]
    pub(crate) fn place(self, index: u32) -> *const M {
        self.slot(index)
    }

    /// Moves the `len` values from index `from` on to the same indices of `to`.
    ///
    /// # Safety
    /// Those slots are full here and empty there, the caller's alone, and `len` fits both blocks.
    pub(crate) unsafe fn move_to(self, to: Self, from: u32, len: u32) {
        for offset in 0..len {
            let index = from.wrapping_add(offset);
            // SAFETY: promised by the caller, slot by slot.
            unsafe { to.write(index, self.read(index)) }
        }
    }

    /// Frees the block, if there is one. Values in it are forgotten.
    ///
    /// # Safety
    /// No copy of this handle is used again.
    #[inline(never)] // rare, and long
    pub(crate) unsafe fn free(self) {
        let block = self.tagged.map_addr(|addr| addr & !(ALIGN - 1));
        if let Some(block) = NonNull::new(block) {
            // SAFETY: it came from `mem::alloc` with this layout, and is freed once, as promised.
            unsafe { mem::free(block, Self::layout(self.capacity_log2())) }
        }
    }
}
