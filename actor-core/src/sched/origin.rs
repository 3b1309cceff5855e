//! Where a goroutine was started, and what it is called: one word.
//!
//! Most goroutines have no name and take no lock: their word points to the place they were started at.
//! The others have a [record](super::record) that knows it, and the word names that.

use std::panic::Location;
use std::sync::Arc;

use super::record::{self, RecordRef};
use crate::shim::atomic::{AtomicU64, Ordering};

/// Set in the word of a goroutine that has a record. (A `Location` is aligned, so its address is even.)
const RECORD: u64 = 1;

#[derive(Debug)]
pub(crate) struct Origin(AtomicU64);

impl Origin {
    pub(crate) fn new(location: &'static Location<'static>) -> Self {
        let address = std::ptr::from_ref(location).expose_provenance() as u64;
        debug_assert_eq!(address & RECORD, 0);
        Self(AtomicU64::new(address))
    }

    /// Gives a goroutine that has not begun a name.
    pub(crate) fn named(id: u64, name: Arc<str>, location: &'static Location<'static>) -> Self {
        let origin = Self::new(location);
        origin.set_record(record::new_record(id, Some(name), location));
        origin
    }

    fn set_record(&self, record: RecordRef) {
        if !record.is_nobody() {
            // ORDERING: Release pairs with the Acquire in `load`: whoever finds the record's name
            // may ask it.
            self.0
                .store((record.bits() << 1) | RECORD, Ordering::Release);
        }
    }

    fn load(&self) -> Result<&'static Location<'static>, RecordRef> {
        // ORDERING: Acquire, see `set_record`.
        let word = self.0.load(Ordering::Acquire);
        if word & RECORD == 0 {
            let location = std::ptr::with_exposed_provenance::<Location<'static>>(word as usize);
            // SAFETY: `new` made the word from a reference that lives for ever.
            Ok(unsafe { &*location })
        } else {
            Err(RecordRef::from_bits(word >> 1))
        }
    }

    /// The goroutine's record, if it has one.
    #[inline]
    pub(crate) fn record(&self) -> Option<RecordRef> {
        self.load().err()
    }

    /// The goroutine's record, made if it has none; `label` is its name then. Called by the goroutine's own M only.
    #[inline]
    pub(crate) fn make_record(&self, id: u64, label: Option<fn() -> &'static str>) -> RecordRef {
        match self.load() {
            Err(record) => record,
            Ok(location) => {
                let name = label.map(|label| label().into());
                let record = record::new_record(id, name, location);
                self.set_record(record);
                record
            }
        }
    }

    pub(crate) fn location(&self) -> &'static Location<'static> {
        match self.load() {
            Ok(location) => location,
            Err(record) => {
                let known = record.notes().and_then(|notes| notes.location);
                known.expect("a goroutine's record lives as long as the goroutine")
            }
        }
    }

    pub(crate) fn name(&self) -> Option<Arc<str>> {
        self.record()?.notes()?.name.clone()
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        if let Some(record) = self.record() {
            record.release();
        }
    }
}
