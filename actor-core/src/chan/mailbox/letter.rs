//! One message in a mailbox that is otherwise empty: it lies alone in a pooled block, instead of in a store
//! that would have to be set up for it and cleared away at once.
//!
//! - The mailbox's pointer to its store points to it instead, with the lowest bit set.
//! - There is a letter ⇒ it is queued, and the only message; there is no batch, and nobody waits.
//! - Who needs a store while there is one makes it, with the letter as its first message.
//! - A mailbox that was busy last (`ROOMY`) will need the store.

use std::alloc::Layout;
use std::ptr::NonNull;

use super::store::Store;
use crate::sched::mem;

const LETTER: usize = 1;

/// Of its block.
const fn layout<M>() -> Layout {
    let (size, align) = (size_of::<M>(), align_of::<M>());
    let size = if size == 0 { 1 } else { size };
    let align = if align > LETTER { align } else { 2 * LETTER };
    match Layout::from_size_align(size, align) {
        Ok(layout) => layout,
        Err(_) => panic!("a message is small"),
    }
}

/// Takes the message, which is there, from where it lies; the pointer is for the mailbox.
#[inline(always)]
pub(super) fn seal<M>(from: &mut Option<M>) -> *mut Store<M> {
    // First of all, so that the message is moved once.
    let block = mem::alloc(const { layout::<M>() }).cast::<M>();
    if let Some(message) = from.take() {
        // SAFETY: fresh memory, large enough and aligned.
        unsafe { block.write(message) };
    }
    block.as_ptr().map_addr(|at| at | LETTER).cast()
}

#[inline(always)]
pub(super) fn is_letter<M>(store: *mut Store<M>) -> bool {
    store.addr() & LETTER != 0
}

/// Puts the message where it shall lie, where none is yet.
///
/// # Safety
/// It is a letter, the caller's alone, and not used again.
#[inline(always)]
pub(super) unsafe fn open<M>(letter: *mut Store<M>, to: &mut Option<M>) {
    let block = letter.map_addr(|at| at & !LETTER).cast::<M>();
    // SAFETY: `seal` made it; the message is read once, and forgotten where it lay.
    unsafe {
        *to = Some(block.read());
        mem::free(
            NonNull::new_unchecked(block.cast()),
            const { layout::<M>() },
        );
    }
}
