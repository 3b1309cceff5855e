//! Goroutine-local values: `goroutine_local!` and [`LocalKey`].
//!
//! A goroutine moves between threads at its awaits, so a thread-local is of no use to it. A scoped
//! future carries the value instead, and lends it to a thread-local of its key for the length of each
//! poll (and of its drop): a swap before, a swap after, also when the poll panics. Scopes of one key
//! nest, as each swap keeps what was there.
//!
//! Source: tokio's `task_local!`. Go has none: it passes a `context.Context`.

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::thread;

use pin_project_lite::pin_project;

/// Declares keys of goroutine-local values: see [`LocalKey`](crate::sched::LocalKey).
///
/// ```
/// actor_core::goroutine_local! {
///     /// Whom the work is for.
///     pub static USER: String;
///     static DEPTH: u32;
/// }
/// assert_eq!(DEPTH.sync_scope(3, || DEPTH.get()), 3);
/// ```
#[macro_export]
macro_rules! goroutine_local {
    ($($(#[$attribute:meta])* $visible:vis static $name:ident: $of:ty);* $(;)?) => {
        $(
            $(#[$attribute])*
            $visible static $name: $crate::sched::LocalKey<$of> = {
                ::std::thread_local! {
                    static SLOT: ::std::cell::RefCell<::std::option::Option<$of>> =
                        const { ::std::cell::RefCell::new(::std::option::Option::None) };
                }
                $crate::sched::LocalKey::__new(stringify!($name), &SLOT)
            };
        )*
    };
}

/// A value that belongs to a goroutine, or to a part of its work. Made by [`goroutine_local!`].
///
/// [`scope`](Self::scope) gives a future the value; inside it, through all its awaits, the key finds
/// it. A goroutine started there does *not* inherit it: give it a scope of its own, or use a
/// [`Context`](crate::sync::Context), which is passed on in plain sight.
///
/// ```
/// use actor_core::{goroutine_local, yield_now};
///
/// goroutine_local! {
///     static REQUEST: u64;
/// }
///
/// # actor_core::Runtime::new().unwrap().block_on(async {
/// let number = REQUEST.scope(7, async {
///     yield_now().await;
///     REQUEST.get()
/// });
/// assert_eq!(number.await, 7);
/// assert!(REQUEST.try_with(|_| ()).is_err());
/// # });
/// ```
///
/// [`goroutine_local!`]: crate::goroutine_local
pub struct LocalKey<T: 'static> {
    name: &'static str,
    slot: &'static thread::LocalKey<RefCell<Option<T>>>,
}

impl<T: 'static> LocalKey<T> {
    #[doc(hidden)]
    pub const fn __new(
        name: &'static str,
        slot: &'static thread::LocalKey<RefCell<Option<T>>>,
    ) -> Self {
        Self { name, slot }
    }

    /// Runs a future with the value. An outer scope of the same key is hidden meanwhile.
    ///
    /// The value is dropped with the returned future, after the inner one.
    ///
    /// # Panics
    /// When it is polled inside [`with`](Self::with) of the same key. (Dropped there, the inner
    /// future doesn't find the value.)
    pub fn scope<F: Future>(&'static self, value: T, future: F) -> Scoped<T, F> {
        Scoped {
            future: Some(future),
            value: Some(value),
            key: self,
        }
    }

    /// Calls a function with the value. An outer scope of the same key is hidden meanwhile.
    ///
    /// # Panics
    /// Inside [`with`](Self::with) of the same key.
    #[track_caller]
    pub fn sync_scope<R>(&'static self, value: T, f: impl FnOnce() -> R) -> R {
        let mut value = Some(value);
        let _lent = self.lend(&mut value);
        f()
    }

    /// Looks at the value of the innermost scope.
    ///
    /// # Panics
    /// Outside every scope of this key; ask [`try_with`](Self::try_with) there.
    #[track_caller]
    pub fn with<R>(&'static self, f: impl FnOnce(&T) -> R) -> R {
        match self.try_with(f) {
            Ok(result) => result,
            Err(NotInScope { name }) => panic!(
                "the goroutine-local {name} has no value here: run this inside \
                 `{name}.scope(value, future)` (goroutines started there don't inherit it)"
            ),
        }
    }

    /// As [`with`](Self::with).
    ///
    /// # Errors
    /// [`NotInScope`] outside every scope of this key.
    pub fn try_with<R>(&'static self, f: impl FnOnce(&T) -> R) -> Result<R, NotInScope> {
        let outside = NotInScope { name: self.name };
        // A thread that is ending has no scope.
        let found = self
            .slot
            .try_with(|slot| slot.borrow().as_ref().map(f))
            .ok()
            .flatten();
        found.ok_or(outside)
    }

    /// A copy of the value of the innermost scope.
    ///
    /// # Panics
    /// As [`with`](Self::with).
    #[must_use]
    #[track_caller]
    pub fn get(&'static self) -> T
    where
        T: Clone,
    {
        self.with(T::clone)
    }

    /// Puts the value in its place until the guard is dropped.
    #[track_caller]
    fn lend<'a>(&'static self, value: &'a mut Option<T>) -> Lent<'a, T> {
        assert!(
            self.swap(value),
            "a scope of the goroutine-local {} was entered inside `with` of the same key: copy the \
             value out first",
            self.name
        );
        Lent { key: self, value }
    }

    /// False if somebody looks at the value, or the thread is ending.
    fn swap(&'static self, value: &mut Option<T>) -> bool {
        let swapped = self.slot.try_with(|slot| {
            let mut slot = slot.try_borrow_mut().ok()?;
            std::mem::swap(&mut *slot, value);
            Some(())
        });
        matches!(swapped, Ok(Some(())))
    }
}

impl<T> fmt::Debug for LocalKey<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalKey")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Takes the value back out of its place.
struct Lent<'a, T: 'static> {
    key: &'static LocalKey<T>,
    value: &'a mut Option<T>,
}

impl<T> Drop for Lent<'_, T> {
    fn drop(&mut self) {
        self.key.swap(self.value);
    }
}

pin_project! {
    /// The future of [`LocalKey::scope`].
    #[must_use = "the future runs when this one is awaited"]
    pub struct Scoped<T: 'static, F> {
        #[pin]
        future: Option<F>,
        value: Option<T>,
        key: &'static LocalKey<T>,
    }

    impl<T: 'static, F> PinnedDrop for Scoped<T, F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if this.future.is_some() {
                // What the future drops may look at the value too.
                let key = *this.key;
                let lent = key.swap(this.value);
                let _lent = lent.then(|| Lent { key, value: this.value });
                this.future.set(None);
            }
        }
    }
}

impl<T: 'static, F: Future> Future for Scoped<T, F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let mut this = self.project();
        let _lent = this.key.lend(this.value);
        let future =
            this.future.as_mut().as_pin_mut().expect(
                "a goroutine-local scope was polled again after it had returned its output",
            );
        let polled = future.poll(cx);
        if polled.is_ready() {
            this.future.set(None);
        }
        polled
    }
}

impl<T: fmt::Debug, F> fmt::Debug for Scoped<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scoped")
            .field("key", &self.key.name)
            .field("value", &self.value)
            .finish_non_exhaustive()
    }
}

/// No scope of the key is around the caller; see [`LocalKey::try_with`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotInScope {
    name: &'static str,
}

impl fmt::Display for NotInScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the goroutine-local {} has no value here", self.name)
    }
}

impl std::error::Error for NotInScope {}
