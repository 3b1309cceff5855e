//! What a goroutine waits for: one word that every primitive writes when it queues a waiter.
//!
//! The word is for people (deadlock reports), and tells an M whether to look for a lock cycle;
//! nothing else that runs goroutines depends on it. It costs one plain store a wait.
//!
//! Wakers kept by our primitives are told from those in unknown hands by their vtable, and counted
//! apart (`state.rs`): [`keep`] makes the former, `Waker::clone` the latter. So a goroutine whose
//! foreign count is zero can be woken by our primitives only.

use std::fmt;
use std::task::Waker;

use super::record::RecordRef;
use super::{task, thread_park};
use crate::shim::atomic::{AtomicU64, Ordering};

/// The sorts of waiting that a report can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[allow(dead_code)]
pub(crate) enum WaitKind {
    Unknown = 0,
    Mutex,
    RwLockRead,
    RwLockWrite,
    /// An actor, inside a handler, waits for another actor.
    Actor,
    ChanSend,
    ChanRecv,
    Select,
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
    Lifecycle,
    TaskGroup,
    LockedThread,
    /// A simulation in which nothing is left to do.
    Quiet,
    /// What a simulated test runs until.
    Until,
    ChanClosed,
    /// An actor, for its concurrent handlers.
    Handlers,
}

impl WaitKind {
    const ALL: [Self; 25] = [
        Self::Unknown,
        Self::Mutex,
        Self::RwLockRead,
        Self::RwLockWrite,
        Self::Actor,
        Self::ChanSend,
        Self::ChanRecv,
        Self::Select,
        Self::Condvar,
        Self::WaitGroup,
        Self::Semaphore,
        Self::Barrier,
        Self::Context,
        Self::Mailbox,
        Self::MailboxSend,
        Self::Reply,
        Self::Join,
        Self::Sleep,
        Self::Lifecycle,
        Self::TaskGroup,
        Self::LockedThread,
        Self::Quiet,
        Self::Until,
        Self::ChanClosed,
        Self::Handlers,
    ];

    /// What the goroutine does, in Go's words where Go has some.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Unknown => "something unknown",
            Self::Mutex => "mutex lock",
            Self::RwLockRead => "rwlock read",
            Self::RwLockWrite => "rwlock write",
            Self::Actor => "an actor's answer",
            Self::ChanSend => "chan send",
            Self::ChanRecv => "chan receive",
            Self::Select => "select",
            Self::Condvar => "condvar wait",
            Self::WaitGroup => "waitgroup wait",
            Self::Semaphore => "semaphore acquire",
            Self::Barrier => "barrier wait",
            Self::Context => "context done",
            Self::Mailbox => "mailbox receive",
            Self::MailboxSend => "mailbox send",
            Self::Reply => "reply to an ask",
            Self::Join => "join",
            Self::Sleep => "sleep",
            Self::Lifecycle => "an actor's start or end",
            Self::TaskGroup => "task group wait",
            Self::LockedThread => "its locked thread",
            Self::Quiet => "the simulation to settle",
            Self::Until => "what `run_until` asks for",
            Self::ChanClosed => "chan close",
            Self::Handlers => "its concurrent handlers",
        }
    }

    /// What the object is called that it waits on.
    pub(crate) fn object(self) -> Option<&'static str> {
        match self {
            Self::Mutex => Some("mutex"),
            Self::RwLockRead | Self::RwLockWrite => Some("rwlock"),
            Self::ChanSend | Self::ChanRecv | Self::ChanClosed => Some("channel"),
            Self::Condvar => Some("condvar"),
            Self::WaitGroup => Some("waitgroup"),
            Self::Semaphore => Some("semaphore"),
            Self::Barrier => Some("barrier"),
            _ => None,
        }
    }
}

/// A sort of waiting and the object waited on (its address, or a goroutine's number).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wait(u64);

impl Wait {
    const KIND_SHIFT: u32 = 56;

    const fn new(kind: WaitKind, object: u64) -> Self {
        Self(((kind as u64) << Self::KIND_SHIFT) | (object & ((1 << Self::KIND_SHIFT) - 1)))
    }

    /// Waiting of this kind on the object at this address.
    #[inline]
    pub(crate) fn on<T: ?Sized>(kind: WaitKind, object: *const T) -> Self {
        Self::new(kind, object.cast::<()>() as usize as u64)
    }

    /// Waiting for the end of the goroutine with this number.
    #[inline]
    pub(crate) fn join(id: u64) -> Self {
        Self::new(WaitKind::Join, id)
    }

    /// Waiting of a kind whose object has no name.
    #[inline]
    pub(crate) fn of(kind: WaitKind) -> Self {
        Self::new(kind, 0)
    }

    pub(crate) fn kind(self) -> WaitKind {
        let kind = (self.0 >> Self::KIND_SHIFT) as usize;
        WaitKind::ALL
            .get(kind)
            .copied()
            .unwrap_or(WaitKind::Unknown)
    }

    pub(crate) fn object(self) -> u64 {
        self.0 & ((1 << Self::KIND_SHIFT) - 1)
    }

    #[inline]
    fn may_close_a_cycle(self) -> bool {
        let kind = self.0 >> Self::KIND_SHIFT;
        kind != 0 && kind <= WaitKind::Actor as u64
    }

    /// Notes it down for the goroutine, or the thread in `block_on`, that `waker` wakes.
    #[inline]
    pub(crate) fn note(self, waker: &Waker) {
        // For measuring what it costs: `benches/wait_notes.sh`.
        if cfg!(actor_no_wait_notes) {
            return;
        }
        if let Some(word) = task::wait_word(waker) {
            word.set(self);
        } else {
            self.note_for_thread(waker);
        }
    }

    #[cold]
    fn note_for_thread(self, waker: &Waker) {
        if let Some(word) = thread_park::wait_word(waker) {
            word.set(self);
        }
    }
}

impl fmt::Display for Wait {
    /// For people: what it is, and the object's address where there is one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind().words())?;
        match self.kind().object() {
            Some(object) => write!(f, ", {object} at {:#x}", self.object()),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Wait({} {:#x})", self.kind().words(), self.object())
    }
}

/// Where the last wait of a goroutine's last poll is noted.
#[derive(Debug)]
pub(crate) struct WaitWord(AtomicU64);

impl WaitWord {
    pub(crate) fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    #[inline]
    fn set(&self, wait: Wait) {
        // ORDERING: Relaxed: read by the same M at the end of the poll, or by a report, after the
        // Release of `State::idle` that ended the poll.
        self.0.store(wait.0, Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn get(&self) -> Wait {
        Wait(self.0.load(Ordering::Relaxed))
    }

    /// A poll begins: nothing is waited for. True if the last one waited for
    /// something that a cycle could go through.
    #[inline]
    pub(crate) fn clear(&self) -> bool {
        let old = self.get();
        if old.0 == 0 {
            return false;
        }
        self.0.store(0, Ordering::Relaxed);
        old.may_close_a_cycle()
    }

    #[inline]
    pub(crate) fn may_close_a_cycle(&self) -> bool {
        self.get().may_close_a_cycle()
    }
}

/// What the goroutine, or thread in `block_on`, that `waker` wakes has noted last, if anything.
pub(crate) fn noted(waker: &Waker) -> Option<Wait> {
    let word = task::wait_word(waker).or_else(|| thread_park::wait_word(waker))?;
    Some(word.get()).filter(|wait| wait.0 != 0)
}

/// The record of the goroutine that `waker` wakes, if it is one that has a record.
pub(crate) fn record(waker: &Waker) -> RecordRef {
    task::record(waker).unwrap_or(RecordRef::NOBODY)
}

/// The waiting of `waker`'s goroutine is taken back: unless it is noted anew, nothing is known.
#[cold]
pub(crate) fn forget(waker: &Waker) {
    Wait(0).note(waker);
}

/// A clone for one of our primitives to keep while its goroutine waits.
#[inline]
pub(crate) fn keep(waker: &Waker) -> Waker {
    task::keep(waker).unwrap_or_else(|| thread_park::keep(waker))
}

/// A clone to be kept beyond the wait, by somebody who won't use it then: a mailbox. Such a one says
/// nothing about whether its goroutine waits.
#[inline]
pub(crate) fn store(waker: &Waker) -> Waker {
    task::store(waker).unwrap_or_else(|| thread_park::keep(waker))
}

/// Whether the kept waker wakes the same goroutine as `waker`; as `Waker::will_wake`, which can't
/// know that a kept one is the same as another.
#[inline]
pub(crate) fn same(kept: &Waker, waker: &Waker) -> bool {
    kept.will_wake(waker) || (kept.data() == waker.data() && is_ours(kept) && is_ours(waker))
}

fn is_ours(waker: &Waker) -> bool {
    task::wait_word(waker).is_some() || thread_park::wait_word(waker).is_some()
}
