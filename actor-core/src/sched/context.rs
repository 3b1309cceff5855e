//! What an M knows about itself, in one thread-local pointer.
//!
//! - On an M, `CURRENT` points to its `Context` for as long as the thread runs; elsewhere it is
//!   null, and `ENTERED` may name a runtime (inside `block_on`, or under `Handle::enter`).
//! - `p` is null while the M holds no P (inside `blocking`, or between losing and getting one).

use std::cell::{Cell, RefCell};
use std::ptr;
use std::sync::Arc;

use super::machine::Machine;
use super::processor::Processor;
use super::record::RecordRef;
use super::shared::Shared;
use super::task::{Header, RunToken};

#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) shared: Arc<Shared>,
    pub(crate) machine: Arc<Machine>,
    p: Cell<*const Processor>,
    /// The P whose core this thread is bound to.
    pinned: Cell<Option<usize>>,
    in_poll: Cell<bool>,
    /// The goroutine that is being polled, or null.
    running: Cell<*const Header>,
    budget: Cell<u32>,
    /// Wakes that I/O fired while this M was parked inside the driver, without a P.
    deferred: RefCell<Vec<RunToken>>,
    defer: Cell<bool>,
}

thread_local! {
    static CURRENT: Cell<*const Context> = const { Cell::new(ptr::null()) };
    /// Of a thread in `block_on` that is no M.
    static RECORD: Cell<RecordRef> = const { Cell::new(RecordRef::NOBODY) };
    static ENTERED: RefCell<Vec<Arc<Shared>>> = const { RefCell::new(Vec::new()) };
}

impl Context {
    pub(crate) fn new(shared: Arc<Shared>, machine: Arc<Machine>) -> Self {
        Self {
            shared,
            machine,
            p: Cell::new(ptr::null()),
            pinned: Cell::new(None),
            in_poll: Cell::new(false),
            running: Cell::new(ptr::null()),
            budget: Cell::new(0),
            deferred: RefCell::new(Vec::new()),
            defer: Cell::new(false),
        }
    }

    /// Runs `f` with this context as the thread's.
    pub(crate) fn scope<R>(&self, f: impl FnOnce() -> R) -> R {
        struct Reset;
        impl Drop for Reset {
            fn drop(&mut self) {
                CURRENT.set(ptr::null());
            }
        }
        let _reset = Reset;
        CURRENT.set(self);
        f()
    }

    #[inline]
    pub(crate) fn p(&self) -> Option<&Processor> {
        // SAFETY: set from a P of `self.shared`, which keeps all Ps until it is dropped.
        unsafe { self.p.get().as_ref() }
    }

    pub(crate) fn set_p(&self, p: Option<&Processor>) {
        self.p.set(p.map_or(ptr::null(), ptr::from_ref));
    }

    /// Binds the thread to the core of its P.
    pub(crate) fn pin(&self) {
        if let Some(p) = self.p() {
            self.pinned
                .set(self.shared.cores.pin(p.index, self.pinned.get()));
        }
    }

    /// Gives the thread all cores.
    pub(crate) fn unpin(&self) {
        self.pinned.set(self.shared.cores.unpin(self.pinned.get()));
    }

    #[inline]
    pub(crate) fn begin_poll(&self, budget: u32, token: &RunToken) {
        self.in_poll.set(true);
        self.running.set(token.header());
        self.budget.set(budget);
    }

    /// What is left of the budget.
    #[inline]
    pub(crate) fn end_poll(&self) -> u32 {
        self.in_poll.set(false);
        self.running.set(ptr::null());
        self.budget.get()
    }

    #[inline]
    pub(crate) fn in_poll(&self) -> bool {
        self.in_poll.get()
    }

    /// The id of the goroutine that is being polled, or 0.
    pub(crate) fn running_id(&self) -> u64 {
        // SAFETY: the M that polls a goroutine keeps its run token until the poll is over.
        unsafe { self.running.get().as_ref() }.map_or(0, |head| head.id())
    }

    /// Runs `f` with a fresh unlimited budget, outside any poll: for code that drives futures of
    /// its own on this M.
    pub(crate) fn suspend_poll<R>(&self, f: impl FnOnce() -> R) -> R {
        struct Restore<'a>(&'a Context, bool);
        impl Drop for Restore<'_> {
            fn drop(&mut self) {
                self.0.in_poll.set(self.1);
            }
        }
        let _restore = Restore(self, self.in_poll.replace(false));
        f()
    }

    /// While the M sits in the I/O driver: collects wakes instead of queueing them.
    #[cfg_attr(not(feature = "tokio"), allow(dead_code))]
    pub(crate) fn set_defer(&self, on: bool) {
        self.defer.set(on);
    }

    pub(crate) fn take_deferred(&self) -> Vec<RunToken> {
        self.deferred.take()
    }

    #[cfg_attr(not(feature = "tokio"), allow(dead_code))]
    pub(crate) fn has_deferred(&self) -> bool {
        !self.deferred.borrow().is_empty()
    }

    /// Keeps a wake for later if the M is in the driver, or gives it back.
    #[inline]
    pub(crate) fn try_defer(&self, token: RunToken) -> Result<(), RunToken> {
        if !self.defer.get() {
            return Err(token);
        }
        let mut deferred = self.deferred.borrow_mut();
        deferred.push(token);
        if deferred.len() == 1 {
            self.machine.note_deferred();
        }
        Ok(())
    }
}

/// Runs `f` with the M's context, if this thread is one.
#[inline(always)]
pub(crate) fn with<R>(f: impl FnOnce(Option<&Context>) -> R) -> R {
    let current = CURRENT.try_with(Cell::get).unwrap_or(ptr::null());
    // SAFETY: `scope` sets the pointer to a context that outlives the scope, on this very thread.
    f(unsafe { current.as_ref() })
}

/// The index of the P that the caller runs on; `None` on a foreign thread, and on an M without a P.
#[inline]
pub(crate) fn current_p() -> Option<usize> {
    with(|cx| cx?.p().map(|p| p.index))
}

/// Whether other goroutines wait for the P that the caller runs on.
pub(crate) fn has_work() -> bool {
    with(|cx| cx.and_then(Context::p).is_some_and(Processor::has_work))
}

/// The runtime that this thread belongs to or has entered.
pub(crate) fn shared() -> Option<Arc<Shared>> {
    with(|cx| cx.map(|cx| cx.shared.clone())).or_else(|| {
        ENTERED
            .try_with(|entered| entered.borrow().last().cloned())
            .ok()
            .flatten()
    })
}

pub(crate) fn enter(shared: Arc<Shared>) {
    ENTERED.with(|entered| entered.borrow_mut().push(shared));
}

pub(crate) fn leave() {
    let left = ENTERED.try_with(|entered| entered.borrow_mut().pop());
    drop(left);
}

/// The record of the goroutine that runs here, made if need be; or that of the thread, if it is in
/// `block_on`.
#[inline]
pub(crate) fn current_record() -> RecordRef {
    with(|cx| {
        // SAFETY: the M that polls a goroutine keeps its run token until the poll is over.
        let running = cx.and_then(|cx| unsafe { cx.running.get().as_ref() });
        match running {
            Some(head) => head.origin.make_record(head.id(), head.vtable.label),
            None => RECORD.try_with(Cell::get).unwrap_or(RecordRef::NOBODY),
        }
    })
}

/// As `current_record`, but makes none unless an actor runs here.
#[inline]
pub(crate) fn record_if_entangled() -> RecordRef {
    with(|cx| {
        // SAFETY: as in `current_record`.
        let running = cx.and_then(|cx| unsafe { cx.running.get().as_ref() });
        match running {
            Some(head) if head.vtable.label.is_some() => {
                head.origin.make_record(head.id(), head.vtable.label)
            }
            Some(head) => head.origin.record().unwrap_or(RecordRef::NOBODY),
            None => RECORD.try_with(Cell::get).unwrap_or(RecordRef::NOBODY),
        }
    })
}

/// Sets the thread's record; returns the one before.
pub(crate) fn set_thread_record(record: RecordRef) -> RecordRef {
    RECORD
        .try_with(|known| known.replace(record))
        .unwrap_or(RecordRef::NOBODY)
}

/// Whether this thread is an M that polls a goroutine.
pub(crate) fn in_poll() -> bool {
    with(|cx| cx.is_some_and(Context::in_poll))
}

/// One unit of the budget of the current poll; always granted outside of one.
#[inline]
pub(crate) fn take_budget() -> bool {
    with(|cx| match cx {
        Some(cx) if cx.in_poll() => match cx.budget.get() {
            0 => false,
            left => {
                cx.budget.set(left - 1);
                true
            }
        },
        _ => true,
    })
}
