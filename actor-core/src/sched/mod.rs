//! The scheduler: goroutines (G) run on machines (M), which need a processor (P) to run them.
//!
//! ```text
//!   go(fut) / wake                        ┌──────────── sysmon: no P, watches ────────────┐
//!        │                                │ stuck polls, overdue timers, idle Ps           │
//!        ▼                                └────────────────────────────────────────────────┘
//!   P0  runnext │ ring of 256 │ timers  ◀── M (thread, pinned to core 0)
//!   P1  runnext │ ring of 256 │ timers  ◀── M (thread, pinned to core 1)     steal: half a ring
//!   Ps  (spare, while a poll is stuck)  ◀── M
//!        ▲
//!        └── dispatch lock: injector │ idle Ms │ idle Ps │ timekeeper
//! ```
//!
//! Start reading with `state.rs` (the life of a G), `dispatch.rs` (parking, and why no wake-up is
//! lost) and `machine.rs` (what an M does). This layer uses nothing else of the crate but `shim`.
//! Beside the Ms stand the threads of `blocking_pool.rs` and `lock_thread.rs`, which hold no P.
//! Its unsafe code is in `task.rs`, `registry.rs`, `ring.rs`, `mem.rs`, `pooled.rs`, `lent.rs`, the
//! words of `thin_waker.rs` and `number_or.rs`, and in single places of
//! `processor.rs`, `context.rs`, `join.rs`, `shared.rs`, `runtime.rs` and `cpus.rs`.

pub(crate) mod alarm;
pub(crate) mod attached;
mod blocking_pool;
mod clock;
mod context;
pub(crate) mod coop;
mod cores;
mod cpus;
mod deadlock;
mod dispatch;
#[cfg(feature = "tokio")]
mod driver;
pub(crate) mod holders;
mod join;
pub(crate) mod lent;
mod local;
pub(crate) mod lock_cycle;
mod lock_thread;
#[cfg(all(test, actor_loom))]
mod loom_models;
mod machine;
pub(crate) mod mem;
pub(crate) mod number_or;
mod origin;
pub(crate) mod pooled;
mod processor;
pub(crate) mod record;
mod registry;
mod ring;
mod runtime;
mod runtimes;
mod shared;
pub(crate) mod shield;
pub(crate) mod simulated;
mod state;
mod sysmon;
mod task;
pub(crate) mod thin_waker;
mod thread_park;
mod ticker;
mod time;
mod timer;
mod timers;
#[cfg(all(test, actor_loom))]
mod timers_loom_models;
mod tuning;
pub(crate) mod wait;
mod width;
pub(crate) mod working;
mod yield_now;

pub use blocking_pool::spawn_blocking;
pub use clock::Instant;
pub(crate) use context::{current_p, has_work};
pub use cpus::Pinning;
pub use deadlock::{Deadlock, DeadlockPolicy, Party};
pub(crate) use deadlock::{OurThread, lock_cycle_closed};
pub use join::{AbortHandle, JoinError, JoinHandle};
pub use local::{LocalKey, NotInScope, Scoped};
pub use lock_thread::lock_thread;
pub use machine::blocking;
pub use runtime::{Builder, Entered, Handle, LeftBehind, Metrics, Runtime, go, go_named};
pub(crate) use runtime::{go_as, go_for};
#[cfg(unix)]
pub(crate) use thread_park::Outsider;
pub(crate) use thread_park::{block_on_thread, block_on_thread_within};
pub use ticker::{Ticker, interval};
pub use time::{Elapsed, Sleep, Timeout, sleep, sleep_until, timeout};
pub use timer::{FuncTimer, Timer, after, after_func};
pub use yield_now::yield_now;
