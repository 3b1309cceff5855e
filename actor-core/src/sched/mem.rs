//! Pooled memory for what is made and freed all the time: goroutines and reply slots.
//!
//! ```text
//!   alloc ◀── thread's free list of the size class ──▶ free
//!                 │ empty: take a magazine     │ full: give a magazine
//!                 ▼                            ▼
//!              depot of the class (one lock, bounded) ◀─▶ the global allocator
//! ```
//!
//! - Size classes are multiples of 16 bytes up to 1 KiB, so that little is lost to rounding, and of 256
//!   up to 4 KiB; anything else goes straight to the global allocator. Blocks of a class are
//!   interchangeable, whoever allocated them: they are aligned as the size allows, to 64 at most.
//! - What one thread frees and another allocates (a reply slot, say) travels in magazines of
//!   `MAGAZINE` blocks, so a warm pair of threads never meets the allocator.
//! - A free list holds at most two magazines, the depot at most `DEPOT_MAX` a class; `trim` empties
//!   the depot when a runtime ends, and a thread's end empties its lists.
//! - **Fresh stores**: a load that spans two stores which are still on their way to the cache waits for
//!   both, some 4 ns. So what is made here is written in its place, by its fields, and not put together
//!   on the stack and moved: a move reads in pieces of 16 bytes what was just written in others.
//! - Under loom, and under `--cfg actor_no_pool` for a sanitizer, there is no pool: use after free must
//!   stay visible.

use std::alloc::{Layout, handle_alloc_error};
use std::cell::UnsafeCell;
use std::ptr::NonNull;

use parking_lot::Mutex;

const STEP: usize = 16;
const FINE: usize = 64;
const FINE_MAX: usize = FINE * STEP;
const COARSE_STEP: usize = 256;
const CLASSES: usize = FINE + (4096 - FINE_MAX) / COARSE_STEP;
const MAGAZINE: usize = 32;
const DEPOT_MAX: usize = 32;
const ALIGN: usize = 64;

/// A free block: its first words link it to the next of its magazine.
struct Free {
    next: Option<NonNull<Free>>,
}

/// A chain of free blocks.
struct Chain {
    head: Option<NonNull<Free>>,
    len: usize,
}

// SAFETY: free blocks belong to whoever holds the chain.
unsafe impl Send for Chain {}

impl Chain {
    const EMPTY: Chain = Chain { head: None, len: 0 };

    #[inline]
    fn pop(&mut self) -> Option<NonNull<u8>> {
        let block = self.head?;
        // SAFETY: blocks in a chain are free memory holding a `Free`, and ours.
        self.head = unsafe { block.as_ref() }.next;
        self.len -= 1;
        Some(block.cast())
    }

    /// # Safety
    /// `block` is free memory of this chain's class, given up by the caller.
    #[inline]
    unsafe fn push(&mut self, block: NonNull<u8>) {
        let block = block.cast::<Free>();
        // SAFETY: as the caller promises; every class has room and alignment for a `Free`.
        unsafe { block.write(Free { next: self.head }) };
        self.head = Some(block);
        self.len += 1;
    }

    fn split(&mut self, n: usize) -> Chain {
        let mut out = Chain::EMPTY;
        for _ in 0..n {
            let Some(block) = self.pop() else { break };
            // SAFETY: the block was just popped from a chain of the same class.
            unsafe { out.push(block) };
        }
        out
    }

    fn release(mut self, class: usize) {
        while let Some(block) = self.pop() {
            // SAFETY: every block of a class was allocated with that class's layout.
            unsafe { std::alloc::dealloc(block.as_ptr(), layout_of(class)) };
        }
    }
}

static DEPOT: [Mutex<Vec<Chain>>; CLASSES] = [const { Mutex::new(Vec::new()) }; CLASSES];

struct Lists([UnsafeCell<Chain>; CLASSES]);

impl Drop for Lists {
    fn drop(&mut self) {
        for (class, list) in self.0.iter_mut().enumerate() {
            std::mem::replace(list.get_mut(), Chain::EMPTY).release(class);
        }
    }
}

thread_local! {
    static LISTS: Lists = const { Lists([const { UnsafeCell::new(Chain::EMPTY) }; CLASSES]) };
}

const fn layout_of(class: usize) -> Layout {
    let size = if class < FINE {
        (class + 1) * STEP
    } else {
        FINE_MAX + (class + 1 - FINE) * COARSE_STEP
    };
    let align = 1 << size.trailing_zeros();
    let align = if align < ALIGN { align } else { ALIGN };
    match Layout::from_size_align(size, align) {
        Ok(layout) => layout,
        Err(_) => unreachable!(),
    }
}

#[inline(always)]
const fn class_of(layout: Layout) -> Option<usize> {
    if cfg!(any(actor_loom, actor_no_pool)) || layout.size() == 0 || layout.align() > ALIGN {
        return None;
    }
    // A multiple of the alignment, whose class then has it.
    let size = layout.pad_to_align().size();
    let class = if size <= FINE_MAX {
        size.div_ceil(STEP) - 1
    } else {
        FINE + (size - FINE_MAX).div_ceil(COARSE_STEP) - 1
    };
    if class < CLASSES { Some(class) } else { None }
}

/// Memory for a value of this layout, which must not be of size zero.
#[inline(always)] // where the layout is a constant, so is the class
pub(crate) fn alloc(layout: Layout) -> NonNull<u8> {
    if let Some(class) = class_of(layout) {
        let pooled = LISTS.try_with(|lists| {
            // SAFETY: the lists are this thread's own, and nothing below calls back into them.
            let list = unsafe { &mut *lists.0[class].get() };
            list.pop().or_else(|| refill(list, class))
        });
        if let Ok(Some(block)) = pooled {
            return block;
        }
        return from_global(layout_of(class));
    }
    from_global(layout)
}

/// Gives memory back.
///
/// # Safety
/// `block` came from `alloc` with the same layout, on whatever thread, and is not used any more.
#[inline(always)] // as `alloc`
pub(crate) unsafe fn free(block: NonNull<u8>, layout: Layout) {
    let Some(class) = class_of(layout) else {
        // SAFETY: without a class it came from the global allocator with this very layout.
        return unsafe { std::alloc::dealloc(block.as_ptr(), layout) };
    };
    let kept = LISTS.try_with(|lists| {
        // SAFETY: as in `alloc`.
        let list = unsafe { &mut *lists.0[class].get() };
        if list.len >= 2 * MAGAZINE {
            spill(list, class);
        }
        // SAFETY: a block of this class, given up by the caller.
        unsafe { list.push(block) };
    });
    if kept.is_err() {
        // SAFETY: every block of a class has that class's layout.
        unsafe { std::alloc::dealloc(block.as_ptr(), layout_of(class)) };
    }
}

#[cold]
fn refill(list: &mut Chain, class: usize) -> Option<NonNull<u8>> {
    *list = DEPOT[class].lock().pop()?;
    list.pop()
}

#[cold]
fn spill(list: &mut Chain, class: usize) {
    let magazine = list.split(MAGAZINE);
    let mut depot = DEPOT[class].lock();
    if depot.len() < DEPOT_MAX {
        depot.push(magazine);
    } else {
        drop(depot);
        magazine.release(class);
    }
}

#[cold]
fn from_global(layout: Layout) -> NonNull<u8> {
    // SAFETY: no caller asks for size zero.
    NonNull::new(unsafe { std::alloc::alloc(layout) }).unwrap_or_else(|| handle_alloc_error(layout))
}

/// Gives the memory of the depot and of the calling thread back to the allocator; other threads
/// keep their own lists until they end.
pub(crate) fn trim() {
    let _ = LISTS.try_with(|lists| {
        for (class, list) in lists.0.iter().enumerate() {
            // SAFETY: as in `alloc`.
            std::mem::replace(unsafe { &mut *list.get() }, Chain::EMPTY).release(class);
        }
    });
    for (class, depot) in DEPOT.iter().enumerate() {
        for magazine in std::mem::take(&mut *depot.lock()) {
            magazine.release(class);
        }
    }
}
