//! One P's timers: a 4-ary heap of deadlines beside a slab of wakers, under one lock.
//!
//! - A timer is named by its slot and the slot's generation, so a sleeper that went away, or one
//!   that fired, can never touch another's timer, whatever becomes of the sleeping future. No
//!   pointer into a future is kept.
//! - `next` mirrors the earliest deadline (`u64::MAX`: none), for Ms and sysmon to read without
//!   the lock.
//! - Firing takes wakers out under the lock and wakes after it. Cancelling is O(log n): each slot
//!   knows its place in the heap.
//! - Equal deadlines fire in the order of registration (a sequence number breaks the tie).

use std::task::Waker;

use super::shield::shield;
use super::wait;
use crate::shim::Mutex;
use crate::shim::atomic::{AtomicU64, Ordering};

const ARITY: usize = 4;
pub(crate) const NEVER: u64 = u64::MAX;

/// Names one registration of one timer in one shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimerKey {
    slot: u32,
    generation: u32,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    deadline: u64,
    seq: u64,
    slot: u32,
}

impl Entry {
    fn before(&self, other: &Entry) -> bool {
        (self.deadline, self.seq) < (other.deadline, other.seq)
    }
}

#[derive(Debug)]
struct Slot {
    generation: u32,
    place: u32,
    waker: Option<Waker>,
}

#[derive(Debug, Default)]
struct Heap {
    entries: Vec<Entry>,
    slots: Vec<Slot>,
    free: Vec<u32>,
    seq: u64,
}

#[derive(Debug)]
pub(crate) struct Timers {
    heap: Mutex<Heap>,
    next: AtomicU64,
    rounds: AtomicU64,
}

impl Timers {
    pub(crate) fn new() -> Self {
        Self {
            heap: Mutex::new(Heap::default()),
            next: AtomicU64::new(NEVER),
            rounds: AtomicU64::new(0),
        }
    }

    /// How often timers have fired here. While it stays what it was, so does each timer: whoever was woken
    /// by one sees another number.
    #[inline]
    pub(crate) fn rounds(&self) -> u64 {
        // ORDERING: Relaxed: the wake orders it.
        self.rounds.load(Ordering::Relaxed)
    }

    /// The earliest deadline in nanoseconds, or [`NEVER`].
    #[inline]
    pub(crate) fn next(&self) -> u64 {
        // ORDERING: Relaxed: a hint, re-read under the lock by whoever fires; parking Ms read it
        // under the dispatch lock (see `dispatch.rs`).
        self.next.load(Ordering::Relaxed)
    }

    /// Registers a timer; `waker` is woken once at or after `deadline`.
    pub(crate) fn insert(&self, deadline: u64, waker: &Waker) -> TimerKey {
        let waker = wait::keep(waker);
        let mut heap = self.heap.lock();
        let key = heap.insert(deadline, waker);
        self.publish(&heap);
        key
    }

    /// Cancels a timer. Its waker is dropped after the lock. Nothing happens if it has fired.
    pub(crate) fn cancel(&self, key: TimerKey) {
        let waker = {
            let mut heap = self.heap.lock();
            let waker = heap.cancel(key);
            self.publish(&heap);
            waker
        };
        drop(waker);
    }

    /// Whether the timer still waits; if so it will wake `waker` from now on.
    pub(crate) fn refresh(&self, key: TimerKey, waker: &Waker) -> bool {
        match self.heap.lock().live(key) {
            None => return false,
            Some(slot)
                if slot
                    .waker
                    .as_ref()
                    .is_some_and(|known| wait::same(known, waker)) =>
            {
                return true;
            }
            Some(_) => {}
        }
        // Cloned and dropped outside the lock: a waker may be anybody's code.
        let mut waker = Some(wait::keep(waker));
        let waits = match self.heap.lock().live(key) {
            None => false,
            Some(slot) => {
                std::mem::swap(&mut slot.waker, &mut waker);
                true
            }
        };
        drop(waker);
        waits
    }

    /// Wakes everything whose deadline is not after `now`; returns how many.
    pub(crate) fn fire(&self, now: u64) -> usize {
        if self.next() > now {
            return 0;
        }
        let mut fired = 0;
        loop {
            // A bounded batch at a time, woken outside the lock.
            let mut batch = [const { None }; 32];
            let mut n = 0;
            {
                let mut heap = self.heap.lock();
                while n < batch.len() {
                    let Some(waker) = heap.pop_due(now) else {
                        break;
                    };
                    batch[n] = waker;
                    n += 1;
                }
                self.publish(&heap);
                // ORDERING: Relaxed: see `rounds`; written under the lock only.
                let rounds = self.rounds.load(Ordering::Relaxed);
                self.rounds.store(rounds + 1, Ordering::Relaxed);
            }
            for waker in batch[..n].iter_mut().filter_map(Option::take) {
                shield(|| waker.wake());
            }
            fired += n;
            if n < batch.len() {
                return fired;
            }
        }
    }

    fn publish(&self, heap: &Heap) {
        let next = heap.entries.first().map_or(NEVER, |entry| entry.deadline);
        // ORDERING: Relaxed: see `next`.
        self.next.store(next, Ordering::Relaxed);
    }
}

impl Heap {
    fn insert(&mut self, deadline: u64, waker: Waker) -> TimerKey {
        let place = self.entries.len() as u32;
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => {
                self.slots.push(Slot {
                    generation: 0,
                    place,
                    waker: None,
                });
                (self.slots.len() - 1) as u32
            }
        };
        let entry = &mut self.slots[slot as usize];
        entry.place = place;
        entry.waker = Some(waker);
        let key = TimerKey {
            slot,
            generation: entry.generation,
        };
        self.seq += 1;
        self.entries.push(Entry {
            deadline,
            seq: self.seq,
            slot,
        });
        self.sift_up(place as usize);
        key
    }

    fn live(&mut self, key: TimerKey) -> Option<&mut Slot> {
        self.slots
            .get_mut(key.slot as usize)
            .filter(|slot| slot.generation == key.generation && slot.waker.is_some())
    }

    fn cancel(&mut self, key: TimerKey) -> Option<Waker> {
        let place = self.live(key)?.place as usize;
        self.remove_at(place)
    }

    fn pop_due(&mut self, now: u64) -> Option<Option<Waker>> {
        (self.entries.first()?.deadline <= now).then(|| self.remove_at(0))
    }

    fn remove_at(&mut self, place: usize) -> Option<Waker> {
        let entry = self.entries.swap_remove(place);
        if place < self.entries.len() {
            self.settle(place);
            // The element moved in from the end may belong above as well as below.
            if self.sift_down(place) == place {
                self.sift_up(place);
            }
        }
        let slot = &mut self.slots[entry.slot as usize];
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(entry.slot);
        slot.waker.take()
    }

    fn settle(&mut self, place: usize) {
        let slot = self.entries[place].slot as usize;
        self.slots[slot].place = place as u32;
    }

    fn sift_up(&mut self, mut at: usize) -> usize {
        while at > 0 {
            let parent = (at - 1) / ARITY;
            if !self.entries[at].before(&self.entries[parent]) {
                break;
            }
            self.entries.swap(at, parent);
            self.settle(at);
            at = parent;
        }
        self.settle(at);
        at
    }

    fn sift_down(&mut self, mut at: usize) -> usize {
        loop {
            let first = at * ARITY + 1;
            let children = first..(first + ARITY).min(self.entries.len());
            let Some(least) = children.reduce(|a, b| {
                if self.entries[b].before(&self.entries[a]) {
                    b
                } else {
                    a
                }
            }) else {
                return at;
            };
            if !self.entries[least].before(&self.entries[at]) {
                return at;
            }
            self.entries.swap(at, least);
            self.settle(at);
            self.settle(least);
            at = least;
        }
    }
}

#[cfg(all(test, not(actor_loom)))]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64 as StdU64, Ordering::SeqCst};
    use std::task::Wake;

    struct Note(StdU64);
    impl Wake for Note {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, SeqCst);
        }
    }

    #[test]
    fn random_inserts_and_cancels_fire_exactly_the_due_ones_once() {
        let mut rng = 0x2545_f491_4f6c_dd1d_u64;
        let mut next = move || {
            rng ^= rng << 13;
            rng ^= rng >> 7;
            rng ^= rng << 17;
            rng
        };
        let timers = Timers::new();
        let mut known: Vec<(u64, TimerKey, Arc<Note>, bool)> = Vec::new();
        let mut now = 0;
        for _ in 0..20_000 {
            match next() % 4 {
                0 | 1 => {
                    let note = Arc::new(Note(StdU64::new(0)));
                    let deadline = now + next() % 1000;
                    let key = timers.insert(deadline, &Waker::from(note.clone()));
                    known.push((deadline, key, note, false));
                }
                2 if !known.is_empty() => {
                    let at = (next() % known.len() as u64) as usize;
                    timers.cancel(known[at].1);
                    known[at].3 = true;
                    if known[at].0 > now {
                        assert_eq!(known[at].2.0.load(SeqCst), 0);
                    }
                }
                _ => {
                    now += next() % 50;
                    timers.fire(now);
                    known.retain(|(deadline, key, note, cancelled)| {
                        let fired = note.0.load(SeqCst);
                        if *cancelled {
                            assert!(fired == 0 || *deadline <= now);
                            return false;
                        }
                        assert_eq!(fired, u64::from(*deadline <= now), "{deadline} at {now}");
                        let waits = timers.refresh(*key, &Waker::from(note.clone()));
                        assert_eq!(waits, *deadline > now);
                        *deadline > now
                    });
                    let least = known.iter().map(|k| k.0).min().unwrap_or(NEVER);
                    assert_eq!(timers.next(), least);
                }
            }
        }
    }
}
