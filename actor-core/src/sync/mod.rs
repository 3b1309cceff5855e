//! Go's `sync`, adapted: waiting is `.await`, unlocking is a guard's drop, nothing poisons.
//!
//! | here | Go | what differs |
//! |---|---|---|
//! | [`WaitGroup`] | `sync.WaitGroup` | cloned instead of pointed to |
//! | [`Mutex`] | `sync.Mutex` | holds its value; the guard unlocks; may be held across `.await` |
//! | [`Once`], [`OnceCell`] | `sync.Once` | the action may be async, and cancelled |
//! | [`OnceFn`], [`OnceValue`] | `sync.OnceFunc`, `sync.OnceValue` | the function may be async |
//! | [`SingleFlight`] | `x/sync/singleflight` | a cancelled leader is followed by the next |
//! | [`Map`] | `sync.Map` | typed; values are cloned out, or looked at by a closure |
//! | [`Pool`], [`BufPool`] | `sync.Pool` | a guard puts back; bounded; ages in use |
//!
//! Waiting goroutines queue in intrusive lists (`chan::waiters`) under a one-byte lock: no object
//! here allocates for a waiter. Uses `sched`, `chan` and the shim. Its unsafe code is in `mutex.rs`
//! and `wait_group.rs`.

mod buf_pool;
mod caught;
#[cfg(all(test, actor_loom))]
mod loom_models;
mod map;
mod mutex;
mod once;
mod once_value;
mod pool;
mod single_flight;
mod wait_group;

pub use buf_pool::{BufPool, PooledBuf};
pub use map::{Map, MapIntoIter};
pub use mutex::{Lock, Mutex, MutexGuard};
pub use once::{Once, OnceCell};
pub use once_value::{OnceFn, OnceValue};
pub use pool::{Pool, Pooled};
pub use single_flight::SingleFlight;
pub use wait_group::{Wait, WaitGroup};
