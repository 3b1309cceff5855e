//! The table of a supervisor's children.
//!
//! Adding, finding by id and removing are O(1), so that thousands of temporary children
//! (connections) come and go cheaply: slots with a free list, ids in a hash map, and the start
//! order as a number that is sorted by only when the order is asked for.
//!
//! Invariant: a child's `serial` is that of its latest start. What carries an older one (an exit,
//! a retry, a delay) is stale; `current` filters it.

use std::{collections::HashMap, sync::Arc};

use super::{breaker::Breaker, info::Stage, run::Tie, spec::ChildSpec};
use crate::{actor::ExitReason, sched::Instant};

pub(super) struct Entry {
    pub(super) spec: ChildSpec,
    pub(super) stage: Stage,
    pub(super) serial: u32,
    /// Its incarnation has ended like this and nobody has acted on it yet.
    pub(super) exit: Option<ExitReason>,
    /// How it ended, or failed to start, the last time.
    pub(super) last_exit: Option<ExitReason>,
    pub(super) restarts: u64,
    /// When its latest start was done.
    pub(super) started: Option<Instant>,
    /// Restarts since it last ran for long: the step of its backoff.
    pub(super) backoff_step: u32,
    pub(super) breaker: Option<Breaker>,
    /// Stopped for the sake of a sibling whose restart failed: started with that one's retry.
    pub(super) owed: bool,
    /// It was stuck, and is not waited for any more.
    pub(super) detached: bool,
    /// Between its latest start and this supervisor.
    pub(super) tie: Option<Arc<Tie>>,
    /// Its place in the start order, kept across restarts, and the number of its key.
    pub(super) number: u64,
}

pub(super) struct Table {
    slots: Vec<Option<Entry>>,
    free: Vec<u32>,
    /// `None` in a dynamic supervisor, whose children may share ids.
    ids: Option<HashMap<Arc<str>, u32>>,
}

impl Table {
    pub(super) fn new(by_id: bool) -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            ids: by_id.then(HashMap::new),
        }
    }

    /// Appends a child, stopped. Where children have ids its id is new (`Config::check`, or
    /// `find`), and `number` is larger than all before.
    pub(super) fn add(&mut self, spec: ChildSpec, number: u64) -> u32 {
        let id = Arc::clone(&spec.id);
        let entry = Entry {
            breaker: spec.breaker.map(Breaker::new),
            spec,
            stage: Stage::Stopped,
            serial: 0,
            exit: None,
            last_exit: None,
            restarts: 0,
            started: None,
            backoff_step: 0,
            owed: false,
            detached: false,
            tie: None,
            number,
        };
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slots[slot as usize] = Some(entry);
                slot
            }
            None => {
                let slot = u32::try_from(self.slots.len()).expect("2^32 children");
                self.slots.push(Some(entry));
                slot
            }
        };
        let former = self.ids.as_mut().and_then(|ids| ids.insert(id, slot));
        debug_assert!(former.is_none(), "two children with one id");
        slot
    }

    pub(super) fn remove(&mut self, slot: u32) -> Option<Entry> {
        let entry = self.slots.get_mut(slot as usize)?.take()?;
        if let Some(ids) = &mut self.ids {
            ids.remove(&entry.spec.id);
        }
        self.free.push(slot);
        Some(entry)
    }

    pub(super) fn find(&self, id: &str) -> Option<u32> {
        self.ids.as_ref()?.get(id).copied()
    }

    /// Whether the child with this number is (still) in this slot.
    pub(super) fn is_at(&self, slot: u32, number: u64) -> bool {
        let entry = self.slots.get(slot as usize);
        entry.is_some_and(|e| e.as_ref().is_some_and(|e| e.number == number))
    }

    /// The child in a slot that is known to be taken.
    pub(super) fn at(&mut self, slot: u32) -> &mut Entry {
        self.slots[slot as usize]
            .as_mut()
            .expect("a slot the engine knows is taken")
    }

    /// The child whose latest start is this one.
    pub(super) fn current(&mut self, slot: u32, serial: u32) -> Option<&mut Entry> {
        self.slots
            .get_mut(slot as usize)?
            .as_mut()
            .filter(|e| e.serial == serial)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.slots.iter().flatten()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Entry> {
        self.slots.iter_mut().flatten()
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// All slots in start order.
    pub(super) fn in_order(&self) -> Vec<u32> {
        let mut all: Vec<(u64, u32)> = (0..)
            .zip(&self.slots)
            .filter_map(|(slot, entry)| Some((entry.as_ref()?.number, slot)))
            .collect();
        all.sort_unstable();
        all.into_iter().map(|(_, slot)| slot).collect()
    }
}
