//! Every goroutine of a runtime that isn't complete: for shutdown, counting and reports.
//!
//! Intrusive doubly linked lists, one per shard, each under its own lock; a goroutine's id names
//! its shard. The registry holds one counted reference per goroutine until it completes. Spawn and
//! completion on one P meet the same, uncontended shard.

use std::ptr::NonNull;

use super::deadlock::Sleeper;
use super::record::RecordRef;
use super::state::Hold;
use super::task::{Header, TaskRef};
use crate::shim::Mutex;
use crate::shim::atomic::{AtomicBool, AtomicU64, Ordering};

/// A goroutine's neighbours in its shard; only touched under the shard's lock.
#[derive(Debug, Default)]
pub(crate) struct Links {
    prev: Option<NonNull<Header>>,
    next: Option<NonNull<Header>>,
}

#[derive(Debug, Default)]
struct List {
    head: Option<NonNull<Header>>,
    len: usize,
    closed: bool,
}

// SAFETY: the pointers are only followed under the shard's lock, while the registry's reference
// keeps the headers alive.
unsafe impl Send for List {}

#[derive(Debug)]
#[repr(align(128))]
struct Shard {
    list: Mutex<List>,
    ids: AtomicU64,
}

#[derive(Debug)]
pub(crate) struct Registry {
    shards: Box<[Shard]>,
    closed: AtomicBool,
}

impl Registry {
    pub(crate) fn new(shards: usize) -> Self {
        let shard = |_| Shard {
            list: Mutex::new(List::default()),
            ids: AtomicU64::new(0),
        };
        Self {
            shards: (0..shards.next_power_of_two()).map(shard).collect(),
            closed: AtomicBool::new(false),
        }
    }

    /// A new id whose shard is `hint`'s.
    #[inline]
    pub(crate) fn next_id(&self, hint: usize) -> u64 {
        let shard = hint & (self.shards.len() - 1);
        // ORDERING: Relaxed: only uniqueness matters.
        let n = self.shards[shard].ids.fetch_add(1, Ordering::Relaxed) + 1;
        n * self.shards.len() as u64 + shard as u64
    }

    #[inline]
    fn shard(&self, id: u64) -> &Mutex<List> {
        &self.shards[id as usize & (self.shards.len() - 1)].list
    }

    /// Adds a goroutine, with the reference that `State::new` counted for the registry. False when
    /// the runtime is shutting down: the caller keeps both the token and the reference.
    #[inline]
    #[must_use]
    pub(crate) fn insert(&self, task: &TaskRef) -> bool {
        let header = task.ptr();
        let mut list = self.shard(task.header().id()).lock();
        if list.closed {
            return false;
        }
        // SAFETY: links are ours under the lock; the head is alive by the registry's reference.
        unsafe {
            *header.as_ref().links.get() = Links {
                prev: None,
                next: list.head,
            };
            if let Some(old) = list.head {
                (*old.as_ref().links.get()).prev = Some(header);
            }
        }
        list.head = Some(header);
        list.len += 1;
        true
    }

    /// Takes a completed goroutine out; its reference is now the caller's. One that was never
    /// inserted (its runtime was closing) is told by its links and its place.
    #[inline]
    pub(crate) fn remove(&self, header: NonNull<Header>) {
        // SAFETY: the caller still has the registry's reference.
        let head = unsafe { header.as_ref() };
        let mut list = self.shard(head.id()).lock();
        // SAFETY: links are ours under the lock; neighbours are alive by their references.
        unsafe {
            let links = std::mem::take(&mut *head.links.get());
            match links.prev {
                Some(prev) => (*prev.as_ref().links.get()).next = links.next,
                None if list.head == Some(header) => list.head = links.next,
                None => return,
            }
            if let Some(next) = links.next {
                (*next.as_ref().links.get()).prev = links.prev;
            }
        }
        list.len -= 1;
    }

    pub(crate) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.list.lock().len).sum()
    }

    /// Whether all goroutines are parked and only our primitives can wake them; those whose record is
    /// in `running` are let off. Tells who sleeps.
    pub(crate) fn all_sleep(&self, running: &[RecordRef], sleepers: &mut Vec<Sleeper>) -> bool {
        self.list(running, sleepers, |head| head.state.sleeps_soundly())
    }

    /// Tells who is not over, as long as each is what it has to be.
    pub(crate) fn list(
        &self,
        running: &[RecordRef],
        sleepers: &mut Vec<Sleeper>,
        is_right: impl Fn(&Header) -> bool,
    ) -> bool {
        for shard in &self.shards {
            let list = shard.list.lock();
            let mut at = list.head;
            while let Some(header) = at {
                // SAFETY: in the list, hence alive while the lock is held.
                let head = unsafe { header.as_ref() };
                // SAFETY: links are ours under the lock.
                at = unsafe { (*head.links.get()).next };
                let record = head.origin.record();
                if record.is_some_and(|record| running.contains(&record)) {
                    continue;
                }
                if !is_right(head) {
                    return false;
                }
                let label = head.vtable.label.map(|label| label().to_owned());
                let name = head.origin.name().map(|name| name.to_string());
                sleepers.push(Sleeper {
                    id: head.id(),
                    name: name.or(label),
                    location: head.origin.location(),
                    wait: head.wait.get(),
                    record: record.unwrap_or(RecordRef::NOBODY),
                });
            }
        }
        true
    }

    #[inline]
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Refuses new goroutines and aborts all that are there.
    pub(crate) fn close(&self) {
        // ORDERING: Release pairs with the Acquire in `is_closed`; the shards' own flags decide.
        self.closed.store(true, Ordering::Release);
        for shard in &self.shards {
            let mut tasks = Vec::new();
            {
                let mut list = shard.list.lock();
                list.closed = true;
                let mut at = list.head;
                while let Some(header) = at {
                    // SAFETY: in the list, hence alive; our own reference outlives the lock.
                    unsafe {
                        header.as_ref().state.ref_inc(Hold::Handle);
                        tasks.push(TaskRef::from_counted(header));
                        at = (*header.as_ref().links.get()).next;
                    }
                }
            }
            for task in tasks {
                task.abort();
            }
        }
    }
}
