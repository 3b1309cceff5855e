//! Go's `sync.Pool`: objects that are costly to make, used again.
//!
//! - Sharded: a thread takes from and puts back to its own shard, and looks into the others' only
//!   before it makes a new object. Shards are only tried, never waited for.
//! - Bounded: a shard keeps at most `RETAINED_MAX` objects; more are dropped. Go lets the garbage
//!   collector empty the pool instead.

use std::cell::Cell;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicUsize as StaticCounter, Ordering as StaticOrdering};
use std::thread;

use crate::shim::{Arc, Mutex};

/// How many objects a shard keeps.
const RETAINED_MAX: usize = 64;

/// The most shards of a pool.
const SHARDS_MAX: usize = 16;

/// Recycles objects that are costly to make. Clones are the same pool.
///
/// Go's `sync.Pool`. [`get`](Self::get) hands out a recycled object or makes one; it comes back when
/// the guard is dropped, wherever that is: guards may travel in messages. An object is not reset
/// unless a hook was given ([`with_reset`](Self::with_reset)).
///
/// ```
/// use actor_core::sync::Pool;
///
/// let pool = Pool::with_reset(Vec::<u8>::new, Vec::clear);
/// let mut buffer = pool.get();
/// buffer.extend(b"hello");
/// drop(buffer);
/// assert!(pool.get().is_empty()); // the same memory, cleared
/// ```
pub struct Pool<T> {
    inner: Arc<Inner<T>>,
}

type Make<T> = Box<dyn Fn() -> T + Send + Sync>;
type Reset<T> = Box<dyn Fn(&mut T) + Send + Sync>;

struct Inner<T> {
    /// A power of two of them.
    shards: Box<[Shard<T>]>,
    make: Make<T>,
    reset: Option<Reset<T>>,
}

/// Apart from its neighbours' cache lines.
#[repr(align(128))]
struct Shard<T>(Mutex<Vec<T>>);

impl<T> Pool<T> {
    /// A pool of objects made by `make`. Makes none yet.
    pub fn new(make: impl Fn() -> T + Send + Sync + 'static) -> Self {
        Self::build(Box::new(make), None)
    }

    /// As [`new`](Self::new); `reset` is called on every object that comes back.
    pub fn with_reset(
        make: impl Fn() -> T + Send + Sync + 'static,
        reset: impl Fn(&mut T) + Send + Sync + 'static,
    ) -> Self {
        Self::build(Box::new(make), Some(Box::new(reset)))
    }

    fn build(make: Make<T>, reset: Option<Reset<T>>) -> Self {
        let threads = thread::available_parallelism().map_or(1, usize::from);
        let shards = threads.next_power_of_two().min(SHARDS_MAX);
        let shards = (0..shards).map(|_| Shard(Mutex::new(Vec::new()))).collect();
        Self {
            inner: Arc::new(Inner {
                shards,
                make,
                reset,
            }),
        }
    }

    /// A recycled object, or a new one.
    pub fn get(&self) -> Pooled<T> {
        let object = self.inner.take().unwrap_or_else(|| (self.inner.make)());
        Pooled {
            object: Some(object),
            pool: Self {
                inner: self.inner.clone(),
            },
        }
    }

    /// How many objects are kept for the next user. A moment's view.
    pub fn idle(&self) -> usize {
        self.inner
            .shards
            .iter()
            .map(|shard| shard.0.lock().len())
            .sum()
    }
}

impl<T> Inner<T> {
    fn take(&self) -> Option<T> {
        let home = home_shard();
        let mask = self.shards.len() - 1;
        (0..self.shards.len())
            .filter_map(|offset| self.shards[(home + offset) & mask].0.try_lock()?.pop())
            .next()
    }

    fn put(&self, mut object: T) {
        if let Some(reset) = &self.reset {
            reset(&mut object);
        }
        let mask = self.shards.len() - 1;
        let surplus = match self.shards[home_shard() & mask].0.try_lock() {
            Some(mut shard) if shard.len() < RETAINED_MAX => {
                shard.push(object);
                None
            }
            _ => Some(object),
        };
        drop(surplus); // after unlocking: its Drop is the user's
    }
}

/// Threads take numbers in turn; a number modulo the shards is the thread's home.
fn home_shard() -> usize {
    static NEXT: StaticCounter = StaticCounter::new(0);
    thread_local! {
        static HOME: Cell<usize> = const { Cell::new(usize::MAX) };
    }
    HOME.with(|home| {
        if home.get() == usize::MAX {
            // ORDERING: Relaxed: only a number.
            home.set(NEXT.fetch_add(1, StaticOrdering::Relaxed) & (usize::MAX >> 1));
        }
        home.get()
    })
}

impl<T> Clone for Pool<T> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
        }
    }
}

impl<T> fmt::Debug for Pool<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("idle", &self.idle())
            .finish_non_exhaustive()
    }
}

/// An object of a [`Pool`]; dropping the guard gives it back.
pub struct Pooled<T> {
    object: Option<T>,
    pool: Pool<T>,
}

impl<T> Pooled<T> {
    /// Keeps the object: it does not go back.
    pub fn into_inner(mut self) -> T {
        self.object.take().expect(PRESENT)
    }
}

/// The object leaves the guard only in `drop` and `into_inner`.
const PRESENT: &str = "a pooled object is there until its guard is gone";

impl<T> Deref for Pooled<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        self.object.as_ref().expect(PRESENT)
    }
}

impl<T> DerefMut for Pooled<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        self.object.as_mut().expect(PRESENT)
    }
}

impl<T> Drop for Pooled<T> {
    fn drop(&mut self) {
        // A panic may have left the object half changed: don't hand it to somebody else.
        match self.object.take() {
            Some(object) if !thread::panicking() => self.pool.inner.put(object),
            _ => {}
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Pooled<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
