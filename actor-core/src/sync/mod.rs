//! Go's `sync`, adapted: waiting is `.await`, unlocking is a guard's drop, nothing poisons.
//!
//! | here | Go | what differs |
//! |---|---|---|
//! | [`WaitGroup`] | `sync.WaitGroup` | cloned instead of pointed to |
//! | [`TaskGroup`] | `errgroup.Group` | dropping it ends its tasks |
//! | [`Context`] | `context.Context` | dropping [`Cancel`] cancels; values are found by type |
//! | [`Mutex`] | `sync.Mutex` | holds its value; the guard unlocks; may be held across `.await` |
//! | [`Once`], [`OnceCell`] | `sync.Once`, `sync.OnceValue` | the initialiser may be async, and cancelled |
//! | [`Pool`], [`BufPool`] | `sync.Pool` | a guard puts back; bounded; no collector empties it |
//!
//! Waiting goroutines queue in intrusive lists (`chan::waiters`) under a one-byte lock: no object
//! here allocates for a waiter. Uses `sched`, `chan` and the shim. Its unsafe code is in `mutex.rs`,
//! `wait_group.rs`, `task_group.rs` and `context/wait.rs`.

mod buf_pool;
mod context;
#[cfg(all(test, actor_loom))]
mod loom_models;
mod mutex;
mod once;
mod pool;
mod table;
mod task_group;
mod wait_group;

pub use buf_pool::{BufPool, PooledBuf};
pub use context::{AfterFunc, Cancel, Context, ContextError, Done, Run};
pub use mutex::{Lock, Mutex, MutexGuard};
pub use once::{Once, OnceCell};
pub use pool::{Pool, Pooled};
pub use task_group::{TaskGroup, TaskStart, TaskWait};
pub use wait_group::{Wait, WaitGroup};
