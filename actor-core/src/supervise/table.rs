//! The table of a supervisor's children.
//!
//! Adding, finding by id and removing are O(1), so that thousands of temporary children
//! (connections) come and go cheaply: slots with a free list, ids in a hash map, and the start
//! order as a sequence number that is sorted by only when the order is asked for.
//!
//! Invariant: a child's `serial` is that of its latest start. What carries an older one (an exit,
//! a retry) is stale; `current` filters it.

use std::{collections::HashMap, sync::Arc};

use super::{ChildState, spec::ChildSpec};
use crate::actor::ExitReason;

pub(super) struct Entry {
    pub(super) spec: ChildSpec,
    pub(super) state: ChildState,
    pub(super) serial: u32,
    /// Its incarnation has ended like this and nobody has acted on it yet.
    pub(super) exit: Option<ExitReason>,
    /// Place in the start order; kept across restarts.
    order: u64,
}

#[derive(Default)]
pub(super) struct Table {
    slots: Vec<Option<Entry>>,
    free: Vec<u32>,
    ids: HashMap<Arc<str>, u32>,
    last_order: u64,
}

impl Table {
    /// Appends a child, stopped. Its id must be new.
    pub(super) fn add(&mut self, spec: ChildSpec) -> u32 {
        self.last_order += 1;
        let id = Arc::clone(&spec.id);
        let order = self.last_order;
        let entry = Entry {
            spec,
            state: ChildState::Stopped,
            serial: 0,
            exit: None,
            order,
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
        let former = self.ids.insert(id, slot);
        debug_assert!(former.is_none(), "two children with one id");
        slot
    }

    pub(super) fn remove(&mut self, slot: u32) -> Option<Entry> {
        let entry = self.slots.get_mut(slot as usize)?.take()?;
        self.ids.remove(&entry.spec.id);
        self.free.push(slot);
        Some(entry)
    }

    pub(super) fn find(&self, id: &str) -> Option<u32> {
        self.ids.get(id).copied()
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

    /// All slots in start order.
    pub(super) fn in_order(&self) -> Vec<u32> {
        let mut all: Vec<(u64, u32)> = (0..)
            .zip(&self.slots)
            .filter_map(|(slot, entry)| Some((entry.as_ref()?.order, slot)))
            .collect();
        all.sort_unstable();
        all.into_iter().map(|(_, slot)| slot).collect()
    }
}
