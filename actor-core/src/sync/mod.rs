//! Go's `sync`, adapted: waiting is `.await`, unlocking is a guard's drop, nothing poisons.
//!
//! | here | Go | what differs |
//! |---|---|---|
//! | [`WaitGroup`] | `sync.WaitGroup` | cloned instead of pointed to |
//! | [`Mutex`] | `sync.Mutex` | holds its value; the guard unlocks; may be held across `.await` |
//! | [`Once`], [`OnceCell`] | `sync.Once`, `sync.OnceValue` | the initialiser may be async, and cancelled |
//! | [`Pool`], [`BufPool`] | `sync.Pool` | a guard puts back; bounded; no collector empties it |
//!
//! Waiting goroutines queue in intrusive lists (`chan::waiters`) under a one-byte lock: no object
//! here allocates for a waiter. Uses `sched`, `chan` and the shim. Its unsafe code is in `mutex.rs`
//! and `wait_group.rs`.

mod buf_pool;
#[cfg(all(test, actor_loom))]
mod loom_models;
mod mutex;
mod once;
mod pool;
mod wait_group;

pub use buf_pool::{BufPool, PooledBuf};
pub use mutex::{Lock, LockChecked, Mutex, MutexGuard};
pub use once::{Once, OnceCell};
pub use pool::{Pool, Pooled};
pub use wait_group::{Wait, WaitGroup};
