//! Go's `sync.Pool`: objects that are costly to make, used again.
//!
//! ```text
//!   shard of this P:   [ private: 0..1 ]   [ fresh: 0..64 ]   [ old: what was fresh a round ago ]
//!                            │                   │                    │
//!   get:  private ─▶ fresh ─▶ the other shards' fresh and private ─▶ old, own first ─▶ make one
//!   put:  private, or fresh, or (both full) drop
//!   age:  drop old; fresh and private become old
//! ```
//!
//! - A goroutine uses the shard of the P that runs it, another thread the one of its number. Two
//!   runtimes' Ps may meet in a shard: it has locks, of which the fast path takes one, uncontended.
//! - Locks are tried, never waited for, in get and put. Nothing of the user's runs under one.
//! - Bounded: `RETAINED_MAX` fresh objects a shard. More are dropped.
//! - Ageing: Go's collector empties a pool by two rounds, of which an object survives the first as a
//!   "victim". Here a round is `ROUND` of time, and one put or miss in `TICKS_PER_LOOK` looks at the
//!   clock. So a pool in use drops what it does not need, in the shards of idle Ps too. A pool that
//!   nobody touches keeps what it has: a timer would run the objects' drops on a thread that has
//!   other duties. [`Pool::age`] is for such pools.
//! - Guards count references to the pool on a line of their shard (`Lease`), so that two Ps share no
//!   written line: with two threads at work, a get and put cost half of what they did with one count.
//!   Alone on its shard, a get and put cost about 30 ns, as one mutex per shard did.

use std::cell::Cell;
use std::fmt;
use std::mem;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicUsize as StaticCounter, Ordering as StaticOrdering};
use std::thread;
use std::time::Duration;

use crate::chan::word_lock::Locked;
use crate::sched::{Instant, current_p};
use crate::shim::Arc;
use crate::shim::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

/// How many fresh objects a shard keeps.
const RETAINED_MAX: usize = 64;

/// The most shards of a pool.
const SHARDS_MAX: usize = 64;

/// An object that is not used for two of these is dropped.
const ROUND: Duration = Duration::from_secs(10);

/// How many puts and misses of a shard there are to a look at the clock.
const TICKS_PER_LOOK: u32 = 64;

/// Recycles objects that are costly to make. Clones are the same pool.
///
/// Go's `sync.Pool`. [`get`](Self::get) hands out a recycled object or makes one; it comes back when
/// the guard is dropped, wherever that is: guards may travel in messages. An object is not reset
/// unless a hook was given ([`with_reset`](Self::with_reset)). What a pool in use has not needed for
/// about twenty seconds is dropped.
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
    /// One for each shard.
    leases: Arc<[Arc<Lease<T>>]>,
}

/// A guard's way to the pool, counted per shard.
#[repr(align(64))]
struct Lease<T> {
    pool: Arc<Inner<T>>,
}

type Make<T> = Box<dyn Fn() -> T + Send + Sync>;
type Reset<T> = Box<dyn Fn(&mut T) + Send + Sync>;

struct Inner<T> {
    /// A power of two of them.
    shards: Box<[Shard<T>]>,
    make: Make<T>,
    reset: Option<Reset<T>>,
    born: Instant,
    /// The last ageing, in milliseconds since `born`.
    aged: AtomicU64,
}

/// Apart from its neighbours' cache lines.
#[repr(align(128))]
struct Shard<T> {
    private: Locked<Option<T>>,
    /// Puts and misses so far, roughly: says when to look at the clock.
    ticks: AtomicU32,
    /// Objects in `shared`, roughly: spares others the lock of a shard that has none.
    shared_len: AtomicUsize,
    shared: Locked<Shared<T>>,
}

struct Shared<T> {
    fresh: Vec<T>,
    old: Vec<T>,
}

/// Which objects a search is content with.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Age {
    Fresh,
    Old,
}

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
        let pool = Arc::new(Inner {
            shards: (0..shards).map(|_| Shard::new()).collect(),
            make,
            reset,
            born: Instant::now(),
            aged: AtomicU64::new(0),
        });
        let lease = |_| Arc::new(Lease { pool: pool.clone() });
        Self {
            leases: (0..shards).map(lease).collect(),
        }
    }

    /// A recycled object, or a new one. Go's `Get`.
    #[inline]
    pub fn get(&self) -> Pooled<T> {
        let home = self.home();
        let lease = &self.leases[home];
        let object = match lease.pool.take(home) {
            Some(object) => object,
            None => lease.pool.make_new(home),
        };
        Pooled {
            object: Some(object),
            lease: lease.clone(),
        }
    }

    /// A recycled object, if there is one: `Get` of a Go pool without `New`.
    ///
    /// ```
    /// let pool = actor_core::sync::Pool::new(|| 1);
    /// assert!(pool.try_get().is_none()); // nothing was made yet
    /// pool.put(2);
    /// assert_eq!(*pool.try_get().unwrap(), 2);
    /// ```
    pub fn try_get(&self) -> Option<Pooled<T>> {
        let home = self.home();
        let lease = &self.leases[home];
        Some(Pooled {
            object: Some(lease.pool.take(home)?),
            lease: lease.clone(),
        })
    }

    /// Gives the pool an object that did not come from it. Go's `Put`.
    pub fn put(&self, object: T) {
        self.inner().put(object);
    }

    /// How many objects are kept for the next user. A moment's view.
    pub fn idle(&self) -> usize {
        self.inner().shards.iter().map(Shard::idle).sum()
    }

    /// Ages the pool by one round, as ten seconds of use do: what was not used since the round before
    /// is dropped. Twice in a row empties it. For pools that fall idle for long.
    ///
    /// ```
    /// let pool = actor_core::sync::Pool::new(|| 1);
    /// drop(pool.get());
    /// pool.age();
    /// assert_eq!(pool.idle(), 1); // a victim: it can still be saved by a `get`
    /// pool.age();
    /// assert_eq!(pool.idle(), 0);
    /// ```
    pub fn age(&self) {
        self.inner().age();
    }

    #[inline]
    fn home(&self) -> usize {
        home(self.leases.len())
    }

    fn inner(&self) -> &Inner<T> {
        &self.leases[0].pool
    }
}

impl<T> Inner<T> {
    #[inline]
    fn take(&self, home: usize) -> Option<T> {
        let private = self.shards[home].take_private();
        private.or_else(|| self.take_shared(home))
    }

    fn take_shared(&self, home: usize) -> Option<T> {
        let mask = self.shards.len() - 1;
        let from = |offset: usize| &self.shards[(home + offset) & mask];
        let others = || (1..=mask).map(from);
        from(0)
            .take_shared(Age::Fresh)
            .or_else(|| others().find_map(|shard| shard.take_shared(Age::Fresh)))
            .or_else(|| others().find_map(Shard::take_private))
            .or_else(|| (0..=mask).find_map(|offset| from(offset).take_shared(Age::Old)))
    }

    #[cold]
    fn make_new(&self, home: usize) -> T {
        self.tick(home);
        (self.make)()
    }

    #[inline]
    fn put(&self, mut object: T) {
        if let Some(reset) = &self.reset {
            reset(&mut object);
        }
        let home = home(self.shards.len());
        let shard = &self.shards[home];
        let surplus = shard
            .put_private(object)
            .and_then(|object| shard.put_shared(object));
        drop(surplus); // after unlocking: its Drop is the user's
        self.tick(home);
    }

    /// Counts an operation; some of them look at the clock.
    #[inline]
    fn tick(&self, home: usize) {
        let ticks = &self.shards[home].ticks;
        // ORDERING: Relaxed: a rough count; two threads in one shard may lose a step of it.
        let tick = ticks.load(Ordering::Relaxed).wrapping_add(1);
        ticks.store(tick, Ordering::Relaxed);
        if tick.is_multiple_of(TICKS_PER_LOOK) {
            self.age_if_due();
        }
    }

    #[cold]
    fn age_if_due(&self) {
        let now = u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX);
        let round = ROUND.as_millis() as u64;
        // ORDERING: Relaxed: the number alone decides who ages; the shards have locks.
        let aged = self.aged.load(Ordering::Relaxed);
        if now.saturating_sub(aged) >= round
            && self
                .aged
                .compare_exchange(aged, now, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
        {
            self.age();
        }
    }

    fn age(&self) {
        for shard in &self.shards {
            drop(shard.age());
        }
    }
}

impl<T> Shard<T> {
    fn new() -> Self {
        Self {
            private: Locked::new(None),
            ticks: AtomicU32::new(0),
            shared_len: AtomicUsize::new(0),
            shared: Locked::new(Shared {
                fresh: Vec::new(),
                old: Vec::new(),
            }),
        }
    }

    #[inline]
    fn take_private(&self) -> Option<T> {
        self.private.try_lock()?.take()
    }

    /// Puts the object into the private place, or gives it back.
    #[inline]
    fn put_private(&self, object: T) -> Option<T> {
        match self.private.try_lock() {
            Some(mut place) if place.is_none() => {
                *place = Some(object);
                None
            }
            _ => Some(object),
        }
    }

    fn take_shared(&self, age: Age) -> Option<T> {
        // ORDERING: Relaxed: a hint. Zero by mistake costs a new object.
        if self.shared_len.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let mut shared = self.shared.try_lock()?;
        let taken = match age {
            Age::Fresh => shared.fresh.pop(),
            Age::Old => shared.old.pop(),
        };
        self.note_len(&shared);
        taken
    }

    /// Puts the object to the fresh ones, or gives it back.
    fn put_shared(&self, object: T) -> Option<T> {
        match self.shared.try_lock() {
            Some(mut shared) if shared.fresh.len() < RETAINED_MAX => {
                shared.fresh.push(object);
                self.note_len(&shared);
                None
            }
            _ => Some(object),
        }
    }

    /// What was old, to be dropped by the caller; what was fresh becomes old.
    fn age(&self) -> Vec<T> {
        let private = self.private.lock().take();
        let mut shared = self.shared.lock();
        let mut fresh = mem::take(&mut shared.fresh);
        fresh.extend(private);
        let dropped = mem::replace(&mut shared.old, fresh);
        self.note_len(&shared);
        dropped
    }

    /// The lock of `shared` is held.
    fn note_len(&self, shared: &Shared<T>) {
        // ORDERING: Relaxed: a hint, see `take_shared`.
        self.shared_len
            .store(shared.fresh.len() + shared.old.len(), Ordering::Relaxed);
    }

    fn idle(&self) -> usize {
        let private = usize::from(self.private.lock().is_some());
        let shared = self.shared.lock();
        private + shared.fresh.len() + shared.old.len()
    }
}

/// The shard of the P that runs the caller; of the thread, if it runs without a P. `shards` is a
/// power of two.
#[inline]
fn home(shards: usize) -> usize {
    current_p().unwrap_or_else(thread_number) & (shards - 1)
}

/// Threads take numbers in turn.
fn thread_number() -> usize {
    static NEXT: StaticCounter = StaticCounter::new(0);
    thread_local! {
        static NUMBER: Cell<usize> = const { Cell::new(usize::MAX) };
    }
    NUMBER.with(|number| {
        if number.get() == usize::MAX {
            // ORDERING: Relaxed: only a number.
            number.set(NEXT.fetch_add(1, StaticOrdering::Relaxed) & (usize::MAX >> 1));
        }
        number.get()
    })
}

impl<T> Clone for Pool<T> {
    fn clone(&self) -> Self {
        Self {
            leases: self.leases.clone(),
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
    lease: Arc<Lease<T>>,
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
            Some(object) if !thread::panicking() => self.lease.pool.put(object),
            _ => {}
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Pooled<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
