//! The tree of cancellable contexts: one [`Scope`] for each context that can end by itself.
//!
//! ```text
//!   scope ──parent──▶ scope ──parent──▶ scope        counted references, upwards
//!     ▲                │ children: weak, downwards
//!     └────────────────┘
//!             end ───▶ end of all below               never upwards
//! ```
//!
//! Invariants:
//! - A scope ends once. `end` is written under its lock; `ended` mirrors it for readers without.
//! - Children, waiters, calls and the alarm are added only under the lock of a scope that has not
//!   ended. Ending takes them all out under the lock, and acts on them after it: whoever comes later
//!   sees the end. So a child either is in the list when its parent ends, or is born ended.
//! - No lock is held while another scope's is taken but a parent's over the new child's place.
//! - Ending walks the tree with a list, not by recursion, and so does dropping a chain of parents.
//! - A scope with calls to make keeps itself alive until it ends: every scope has an owner that ends
//!   it, a `Cancel` or an alarm.
//!
//! Rejected: a goroutine for each context (Go's for foreign contexts); an intrusive list of
//! children, which saves the place in the parent's table and needs unsafe code.

use std::error::Error;
use std::mem;
use std::sync::{Arc, Weak};
use std::task::{Wake, Waker};

use super::ContextError;
use crate::chan::waiters::{WaitList, WaitState, WakeList};
use crate::sched::Instant;
use crate::sched::alarm::{Alarm, Launch};
use crate::shim::Mutex;
use crate::shim::atomic::{AtomicU8, AtomicUsize, Ordering};
use crate::sync::table::Table;

pub(super) type Cause = Arc<dyn Error + Send + Sync>;

const LIVE: u8 = 0;
const CANCELED: u8 = 1;
const DEADLINE_EXCEEDED: u8 = 2;

/// The place of a scope that is in no parent's table.
const NOWHERE: usize = usize::MAX;

pub(super) struct Scope {
    parent: Option<Arc<Scope>>,
    /// Where it is in the parent's table; written once, before the scope is shown to others.
    place: AtomicUsize,
    pub(super) deadline: Option<Instant>,
    ended: AtomicU8,
    pub(super) inner: Mutex<Inner>,
}

pub(super) struct Inner {
    end: Option<End>,
    pub(super) waiting: WaitList<()>,
    children: Table<Weak<Scope>>,
    calls: Table<Call>,
    alarm: Option<Alarm>,
    /// Itself, while it has calls to make.
    kept: Option<Arc<Scope>>,
}

/// Why a scope ended. Without a cause the error is its own.
#[derive(Clone)]
pub(super) struct End {
    pub(super) error: ContextError,
    pub(super) cause: Option<Cause>,
}

/// A function to be called in a goroutine of its own when the scope ends.
pub(super) struct Call {
    pub(super) run: Box<dyn FnOnce() + Send>,
    pub(super) launch: Launch,
}

impl Call {
    pub(super) fn start(self) {
        self.launch.go(async move { (self.run)() });
    }
}

impl Scope {
    /// A scope below `parent`; ended already if the parent is.
    pub(super) fn below(parent: Option<&Arc<Scope>>, deadline: Option<Instant>) -> Arc<Self> {
        let scope = Arc::new(Self {
            parent: parent.cloned(),
            place: AtomicUsize::new(NOWHERE),
            deadline,
            ended: AtomicU8::new(LIVE),
            inner: Mutex::new(Inner {
                end: None,
                waiting: WaitList::new(),
                children: Table::new(),
                calls: Table::new(),
                alarm: None,
                kept: None,
            }),
        });
        if let Some(parent) = parent {
            let mut inner = parent.inner.lock();
            if let Some(end) = inner.end.clone() {
                drop(inner);
                scope.end(end);
            } else {
                let place = inner.children.insert(Arc::downgrade(&scope));
                // ORDERING: Relaxed: read only by the drop, which comes after all else.
                scope.place.store(place, Ordering::Relaxed);
            }
        }
        scope
    }

    /// Ends it at its deadline from now on.
    pub(super) fn arm(self: &Arc<Self>, launch: &Launch, deadline: Instant) {
        let bell = Waker::from(Arc::new(Bell {
            scope: Arc::downgrade(self),
            deadline,
        }));
        let alarm = Alarm::set(launch, deadline, &bell);
        let mut inner = self.inner.lock();
        if inner.end.is_none() {
            inner.alarm = Some(alarm);
        } else {
            drop(inner);
            drop(alarm);
        }
    }

    #[inline]
    pub(super) fn error(&self) -> Option<ContextError> {
        // ORDERING: Acquire pairs with the Release in `end_one`: what was done before the cancel is
        // visible.
        match self.ended.load(Ordering::Acquire) {
            LIVE => None,
            CANCELED => Some(ContextError::Canceled),
            _ => Some(ContextError::DeadlineExceeded),
        }
    }

    pub(super) fn why(&self) -> Option<End> {
        self.error()?;
        self.inner.lock().end.clone()
    }

    /// Ends the scope and all below it. Nothing happens to those that have ended.
    pub(super) fn end(&self, end: End) {
        let mut below = Vec::new();
        self.end_one(&end, &mut below);
        while let Some(scope) = below.pop() {
            scope.end_one(&end, &mut below);
        }
    }

    fn end_one(&self, end: &End, below: &mut Vec<Arc<Scope>>) {
        let mut wakers = WakeList::new();
        let mut inner = self.inner.lock();
        if inner.end.is_some() {
            return;
        }
        inner.end = Some(end.clone());
        let word = match end.error {
            ContextError::Canceled => CANCELED,
            ContextError::DeadlineExceeded => DEADLINE_EXCEEDED,
        };
        // ORDERING: Release pairs with the Acquire in `error`.
        self.ended.store(word, Ordering::Release);
        while let Some(((), waker)) = inner.waiting.finish_first(WaitState::Done, |_| ()) {
            wakers.push(waker);
        }
        let children = mem::replace(&mut inner.children, Table::new());
        let calls = mem::replace(&mut inner.calls, Table::new());
        let alarm = inner.alarm.take();
        let kept = inner.kept.take();
        drop(inner);
        below.extend(children.into_iter().filter_map(|child| child.upgrade()));
        calls.into_iter().for_each(Call::start);
        drop(alarm);
        drop(wakers);
        // Last: `self` may be borrowed from it.
        below.extend(kept);
    }

    /// Remembers a call for the end, and gives its place; the call itself if the end has come.
    pub(super) fn call_at_end(self: &Arc<Self>, call: Call) -> Result<usize, Call> {
        let mut inner = self.inner.lock();
        if inner.end.is_some() {
            return Err(call);
        }
        inner.kept.get_or_insert_with(|| self.clone());
        Ok(inner.calls.insert(call))
    }

    /// Takes a call back; `None` if it was started.
    pub(super) fn forget_call(&self, place: usize) -> Option<Call> {
        let mut inner = self.inner.lock();
        let call = inner.calls.remove(place);
        let unkept = if inner.calls.is_empty() {
            inner.kept.take()
        } else {
            None
        };
        drop(inner);
        drop(unkept);
        call
    }

    /// For `Debug`: how many children and calls are registered.
    pub(super) fn registered(&self) -> (usize, usize) {
        let inner = self.inner.lock();
        (inner.children.len(), inner.calls.len())
    }

    /// Leaves the parent's table and gives the parent.
    fn leave(&mut self) -> Option<Arc<Scope>> {
        let parent = self.parent.take()?;
        // ORDERING: Relaxed: the last owner sees all writes.
        let place = self.place.load(Ordering::Relaxed);
        let left = if place == NOWHERE {
            None
        } else {
            parent.inner.lock().children.remove(place)
        };
        drop(left);
        Some(parent)
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        let mut above = self.leave();
        while let Some(mut scope) = above.and_then(Arc::into_inner) {
            above = scope.leave();
        }
    }
}

/// The waker of a deadline. It doesn't keep its scope: a context that nobody has any more goes, and
/// its alarm with it.
struct Bell {
    scope: Weak<Scope>,
    deadline: Instant,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let Some(scope) = self.scope.upgrade() else {
            return;
        };
        scope.end(if Instant::now() >= self.deadline {
            End {
                error: ContextError::DeadlineExceeded,
                cause: None,
            }
        } else {
            End {
                error: ContextError::Canceled,
                cause: Some(Arc::from(Box::<dyn Error + Send + Sync>::from(
                    "the runtime that kept the context's deadline has ended",
                ))),
            }
        });
    }
}
