//! Several locks at once, in the order of their addresses: two selects over the same channels can't
//! wait for each other.

use std::fmt;

use crate::chan::word_lock::WordLock;

/// Holds every lock of a slice, each once; dropping it leaves them.
pub(crate) struct Locks<'a> {
    held: &'a [*const WordLock],
}

impl<'a> Locks<'a> {
    /// Takes them all.
    ///
    /// # Safety
    /// They live longer than what is returned, and this thread holds none of them.
    pub(crate) unsafe fn take(words: &'a mut [*const WordLock]) -> Self {
        let mut distinct = words.len().min(1);
        if words.len() > 1 {
            // SAFETY: alive, as the caller promises.
            words.sort_unstable_by_key(|word| unsafe { (**word).rank() });
            for n in 1..words.len() {
                if words[n] != words[distinct - 1] {
                    words[distinct] = words[n];
                    distinct += 1;
                }
            }
        }
        // SAFETY: as the caller promises; sorted, and each once.
        unsafe { Self::hold(&words[..distinct]) }
    }

    /// Takes them all, in their order.
    ///
    /// # Safety
    /// As for [`take`](Self::take); and they are sorted, each once.
    #[inline]
    pub(crate) unsafe fn hold(held: &'a [*const WordLock]) -> Self {
        for word in held {
            // SAFETY: alive, as the caller promises.
            unsafe { (**word).lock() };
        }
        Self { held }
    }
}

impl Drop for Locks<'_> {
    #[inline]
    fn drop(&mut self) {
        for word in self.held {
            // SAFETY: alive; locked in `take`.
            unsafe { (**word).unlock(0) };
        }
    }
}

impl fmt::Debug for Locks<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Locks({})", self.held.len())
    }
}
