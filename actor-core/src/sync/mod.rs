//! Go's `sync`, adapted: waiting is `.await`, unlocking is a guard's drop, nothing poisons.
//!
//! | here | Go | what differs |
//! |---|---|---|
//! | [`WaitGroup`] | `sync.WaitGroup` | cloned instead of pointed to |
//! | [`TaskGroup`] | `errgroup.Group` | dropping it ends its tasks |
//! | [`Context`] | `context.Context` | dropping [`Cancel`] cancels; values are found by type |
//! | [`Mutex`] | `sync.Mutex` | holds its value; the guard unlocks; may be held across `.await` |
//! | [`RwLock`] | `sync.RWMutex` | as the mutex; a write guard can become a read guard |
//! | [`Condvar`] | `sync.Cond` | not tied to one mutex; a waiter that leaves passes its signal on |
//! | [`Semaphore`] | `x/sync/semaphore` | permits are guards; grows, shrinks and can be closed |
//! | [`Barrier`] | none | std's, with `.await`; a party that leaves has not arrived |
//! | [`Once`], [`OnceCell`] | `sync.Once` | the action may be async, and cancelled |
//! | [`OnceFn`], [`OnceValue`] | `sync.OnceFunc`, `sync.OnceValue` | the function may be async |
//! | [`SingleFlight`] | `x/sync/singleflight` | a cancelled leader is followed by the next |
//! | [`Map`] | `sync.Map` | typed; values are cloned out, or looked at by a closure |
//! | [`Pool`], [`BufPool`] | `sync.Pool` | a guard puts back; bounded; ages in use |
//!
//! Waiting goroutines queue in intrusive lists (`chan::waiters`) under a one-byte lock: no object
//! here allocates for a waiter. Uses `sched`, `chan` and the shim. Its unsafe code is in the locks,
//! `wait_group.rs`, `task_group.rs` and `context/wait.rs`.

mod barrier;
mod buf_pool;
mod caught;
mod condvar;
mod context;
#[cfg(all(test, actor_loom))]
mod loom_locks;
#[cfg(all(test, actor_loom))]
mod loom_models;
mod map;
mod mutex;
mod mutex_owned;
mod once;
mod once_value;
mod patience;
mod pool;
mod rwlock;
mod rwlock_guards;
mod rwlock_raw;
mod semaphore;
mod semaphore_permit;
mod single_flight;
mod table;
mod task_group;
mod wait_group;

pub use barrier::{Barrier, BarrierWait, BarrierWaitResult};
pub use buf_pool::{BufPool, PooledBuf};
pub use condvar::Condvar;
pub use context::{AfterFunc, Cancel, Context, ContextError, Done, Run};
pub use map::{Map, MapIntoIter};
pub use mutex::{Lock, Mutex, MutexGuard};
pub use mutex_owned::OwnedMutexGuard;
pub use once::{Once, OnceCell};
pub use once_value::{OnceFn, OnceValue};
pub use pool::{Pool, Pooled};
pub use rwlock::{ReadLock, RwLock, WriteLock};
pub use rwlock_guards::{
    OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLockReadGuard, RwLockWriteGuard,
};
pub use semaphore::{Acquire, AcquireError, Semaphore, TryAcquireError};
pub use semaphore_permit::{OwnedPermit, Permit};
pub use single_flight::SingleFlight;
pub use task_group::{TaskGroup, TaskStart, TaskWait};
pub use wait_group::{Wait, WaitGroup};
