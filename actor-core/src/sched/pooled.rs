//! A box in pooled memory (`mem.rs`), for what comes and goes.

use std::alloc::Layout;
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::Arc;

use super::mem;

/// As `Box<T>`.
pub(crate) struct Pooled<T> {
    value: NonNull<T>,
    _owned: PhantomData<T>,
}

// SAFETY: it owns its value, as a box does.
unsafe impl<T: Send> Send for Pooled<T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Sync for Pooled<T> {}

impl<T> Pooled<T> {
    /// The value is made in its place (`mem.rs`). If that panics, the memory is lost.
    #[inline]
    fn of(make: impl FnOnce() -> T) -> Self {
        const { assert!(size_of::<T>() > 0) }
        let memory = mem::alloc(Layout::new::<T>()).cast::<T>();
        // SAFETY: fresh memory of this layout.
        unsafe { memory.write(make()) };
        Self {
            value: memory,
            _owned: PhantomData,
        }
    }
}

impl<T: Default> Default for Pooled<T> {
    #[inline]
    fn default() -> Self {
        Self::of(T::default)
    }
}

/// As `Arc::new`, with the value made in its place.
#[inline]
pub(crate) fn arc_of<T>(make: impl FnOnce() -> T) -> Arc<T> {
    let arc = Arc::<T>::new_uninit();
    let place = Arc::as_ptr(&arc).cast::<T>().cast_mut();
    // SAFETY: nobody else has the `Arc` yet, so the memory is ours; and then it is written.
    unsafe {
        place.write(make());
        arc.assume_init()
    }
}

impl<T> Deref for Pooled<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the value is ours, and borrowed as we are.
        unsafe { self.value.as_ref() }
    }
}

impl<T> DerefMut for Pooled<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as in `deref`.
        unsafe { self.value.as_mut() }
    }
}

impl<T> Drop for Pooled<T> {
    fn drop(&mut self) {
        struct Free<T>(NonNull<T>);
        impl<T> Drop for Free<T> {
            fn drop(&mut self) {
                // SAFETY: it came from `mem::alloc` with this layout; the value is dropped.
                unsafe { mem::free(self.0.cast(), Layout::new::<T>()) }
            }
        }
        let free = Free(self.value);
        // SAFETY: the value is ours, and not used again.
        unsafe { self.value.drop_in_place() };
        drop(free);
    }
}

impl<T: fmt::Debug> fmt::Debug for Pooled<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
