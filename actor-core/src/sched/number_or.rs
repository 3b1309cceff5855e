//! A number or a boxed value, in one word: for what most have plain and few have with more to it.
//!
//! The lowest bit tells them apart: an odd word is a number times two, plus one; an even one the
//! address of a box.

use std::fmt;
use std::marker::PhantomData;

/// See the file's comment.
pub(crate) struct NumberOr<T> {
    word: u64,
    _boxed: PhantomData<Box<T>>,
}

impl<T> NumberOr<T> {
    /// # Panics
    /// If it has more than 63 bits.
    #[inline]
    pub(crate) fn number(number: u64) -> Self {
        assert!(number >> 63 == 0, "a number of 63 bits");
        Self {
            word: (number << 1) | 1,
            _boxed: PhantomData,
        }
    }

    pub(crate) fn boxed(value: Box<T>) -> Self {
        const { assert!(align_of::<T>() > 1) }
        Self {
            word: Box::into_raw(value).expose_provenance() as u64,
            _boxed: PhantomData,
        }
    }

    fn address(&self) -> Option<*mut T> {
        (self.word & 1 == 0).then(|| std::ptr::with_exposed_provenance_mut(self.word as usize))
    }

    /// The number, or the value.
    #[inline]
    pub(crate) fn get(&self) -> Result<u64, &T> {
        match self.address() {
            None => Ok(self.word >> 1),
            // SAFETY: the box is ours, and borrowed as we are.
            Some(boxed) => Err(unsafe { &*boxed }),
        }
    }
}

impl<T> Drop for NumberOr<T> {
    #[inline]
    fn drop(&mut self) {
        if let Some(boxed) = self.address() {
            // SAFETY: the box is ours, and not used again.
            drop(unsafe { Box::from_raw(boxed) });
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for NumberOr<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.get() {
            Ok(number) => number.fmt(f),
            Err(value) => value.fmt(f),
        }
    }
}
