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
//! Its unsafe code is in `task.rs`, `registry.rs`, `ring.rs`, `mem.rs`, and in single places of
//! `processor.rs`, `context.rs`, `join.rs`, `shared.rs`, `runtime.rs` and `cpus.rs`.

mod clock;
mod context;
pub(crate) mod coop;
mod cpus;
mod dispatch;
#[cfg(feature = "tokio")]
mod driver;
mod join;
#[cfg(all(test, actor_loom))]
mod loom_models;
mod machine;
pub(crate) mod mem;
mod processor;
mod registry;
mod ring;
mod runtime;
mod shared;
pub(crate) mod shield;
mod state;
mod sysmon;
mod task;
mod thread_park;
mod time;
mod timers;
mod tuning;
pub(crate) mod wait;
mod yield_now;

pub use clock::Instant;
pub(crate) use context::current_p;
pub use cpus::Pinning;
pub use join::{AbortHandle, JoinError, JoinHandle};
pub use machine::blocking;
pub use runtime::{Builder, Entered, Handle, LeftBehind, Metrics, Runtime, go};
pub(crate) use thread_park::block_on_thread;
pub use time::{Elapsed, Interval, Sleep, Timeout, interval, sleep, sleep_until, timeout};
pub use yield_now::yield_now;
