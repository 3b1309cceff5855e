//! A global allocator that can count the bytes in use, for "bytes per idle actor".
//!
//! Counting is off until [`count`] is called, because two shared counters on every allocation
//! would slow down exactly those peers that allocate per message. Off, it costs one relaxed load.

use std::alloc::{GlobalAlloc, Layout};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

#[cfg(feature = "mimalloc")]
use mimalloc::MiMalloc as Inner;
#[cfg(not(feature = "mimalloc"))]
use std::alloc::System as Inner;

static COUNTING: AtomicBool = AtomicBool::new(false);
static LIVE: AtomicI64 = AtomicI64::new(0);

/// What `#[global_allocator]` names: the system's allocator (or mimalloc), counted on request.
#[derive(Debug)]
pub struct CountingAlloc;

/// Counts from now on; what was allocated before and is freed later counts as negative.
pub fn count() {
    COUNTING.store(true, Ordering::SeqCst);
}

/// The bytes allocated and not freed since [`count`] was called, as asked for by the callers:
/// the allocator's own overhead is not in it.
pub fn live_bytes() -> i64 {
    LIVE.load(Ordering::SeqCst)
}

#[inline]
fn note(bytes: i64) {
    // ORDERING: Relaxed; a counter and a switch that is thrown while one thread exists. The reader
    // has joined or been messaged by the threads whose allocations it asks about.
    if COUNTING.load(Ordering::Relaxed) {
        LIVE.fetch_add(bytes, Ordering::Relaxed);
    }
}

// SAFETY: every method hands its arguments to the inner allocator unchanged and returns what that
// returned, so its contract is the inner one's; counting neither allocates nor unwinds.
unsafe impl GlobalAlloc for CountingAlloc {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size() as i64);
        // SAFETY: the caller's promise about `layout` is passed on.
        unsafe { Inner.alloc(layout) }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(layout.size() as i64);
        // SAFETY: the caller's promise about `layout` is passed on.
        unsafe { Inner.alloc_zeroed(layout) }
    }

    #[inline]
    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        note(-(layout.size() as i64));
        // SAFETY: `ptr` came from the inner allocator with this layout, as all of ours do.
        unsafe { Inner.dealloc(ptr, layout) }
    }

    #[inline]
    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(size as i64 - layout.size() as i64);
        // SAFETY: `ptr` came from the inner allocator with this layout; the caller vouches for
        // `size`.
        unsafe { Inner.realloc(ptr, layout, size) }
    }
}
