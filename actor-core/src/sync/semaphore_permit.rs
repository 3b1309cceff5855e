//! The permits of a semaphore, borrowed and owned: each is a number of permits to be released once.

use std::fmt;
use std::mem;

use super::semaphore::Semaphore;
use crate::shim::Arc;

macro_rules! permit {
    (
        $(#[$doc:meta])* $name:ident $(<$lifetime:lifetime>)?, $semaphore:ty
    ) => {
        $(#[$doc])*
        #[must_use = "the permits are released at once if they are not kept"]
        pub struct $name $(<$lifetime>)? {
            semaphore: $semaphore,
            count: usize,
        }

        impl $(<$lifetime>)? $name $(<$lifetime>)? {
            /// `count` permits were acquired and are this one's to release.
            #[inline]
            pub(super) fn acquired(semaphore: $semaphore, count: usize) -> Self {
                Self { semaphore, count }
            }

            /// How many permits these are.
            pub fn count(&self) -> usize {
                self.count
            }

            /// Takes `count` of them off, to be released by themselves; `None` if these are fewer.
            pub fn split(&mut self, count: usize) -> Option<Self> {
                self.count = self.count.checked_sub(count)?;
                Some(Self {
                    semaphore: self.semaphore.clone(),
                    count,
                })
            }

            /// Takes others in, to be released together.
            ///
            /// # Panics
            /// If the others are another semaphore's. Both are released then as usual.
            #[track_caller]
            pub fn merge(&mut self, mut other: Self) {
                let (ours, theirs): (&Semaphore, &Semaphore) = (&self.semaphore, &other.semaphore);
                assert!(
                    std::ptr::eq(ours, theirs),
                    "merging permits of two semaphores: each goes back to its own, keep them apart"
                );
                self.count += mem::take(&mut other.count);
            }

            /// Drops them without giving them back: the semaphore is smaller from now on. Requests
            /// that have become too big for it get an error when it is their turn.
            pub fn forget(mut self) {
                let count = mem::take(&mut self.count);
                self.semaphore.shrink(count);
            }
        }

        impl $(<$lifetime>)? Drop for $name $(<$lifetime>)? {
            #[inline]
            fn drop(&mut self) {
                if self.count != 0 {
                    self.semaphore.release(self.count);
                }
            }
        }

        impl $(<$lifetime>)? fmt::Debug for $name $(<$lifetime>)? {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name))
                    .field("count", &self.count)
                    .finish_non_exhaustive()
            }
        }
    };
}

permit! {
    /// Permits of a [`Semaphore`]; dropping them gives them back. Go's `Release` is that drop.
    ///
    /// ```
    /// use actor_core::sync::Semaphore;
    ///
    /// let semaphore = Semaphore::new(3);
    /// let mut all = semaphore.try_acquire(3).unwrap();
    /// let two = all.split(2).unwrap();
    /// drop(all); // the one that was left
    /// assert_eq!((two.count(), semaphore.available()), (2, 1));
    /// two.forget();
    /// assert_eq!(semaphore.size(), 1);
    /// ```
    Permit<'a>, &'a Semaphore
}
permit! {
    /// A [`Permit`] that keeps the semaphore alive, from [`Semaphore::acquire_owned`].
    OwnedPermit, Arc<Semaphore>
}

impl Permit<'_> {
    /// Ends the borrow; the permits are the caller's to release.
    pub(super) fn keep(self) {
        mem::forget(self);
    }
}
