//! Actors that are goroutines: Go's scheduler, Erlang's supervision, Rust's types.
//!
//! - Goroutines are stackless tasks on our own G-M-P scheduler: [`go`], [`JoinHandle`], [`sleep`],
//!   [`timeout`], [`blocking`], [`Runtime`].
//! - They talk through typed channels ([`chan`]) and share state behind [`sync`].
//! - An actor is a goroutine with a typed mailbox: write an `impl` block, mark it
//!   [`#[actor]`](macro@actor), and hand it to a [`Supervisor`](supervise::Supervisor).
//! - A tree of supervisors becomes a process by `daemon::Daemon` (Unix): signals, the ordered stop,
//!   exit codes.
//!
//! ```
//! use actor_core::prelude::*;
//!
//! struct Greeter {
//!     greeted: u32,
//! }
//!
//! #[actor]
//! impl Greeter {
//!     #[init]
//!     fn new() -> Self {
//!         Greeter { greeted: 0 }
//!     }
//!
//!     pub fn greet(&mut self, name: String) -> String {
//!         self.greeted += 1;
//!         format!("hello {name}, you are number {}", self.greeted)
//!     }
//! }
//!
//! #[actor_core::main]
//! async fn main() {
//!     let greeter = Greeter::start().await.unwrap();
//!     assert_eq!(greeter.greet("Ada".into()).await.unwrap(), "hello Ada, you are number 1");
//! }
//! ```
//!
//! # Features
//!
//! - `tokio`: tokio's I/O and timer futures run inside goroutines and handlers. Without it the
//!   library has no tokio in its tree.
//! - `planted`: bugs for this repository's own tests to find. Never to be enabled elsewhere.

pub mod actor;
pub mod chan;
#[cfg(unix)]
pub mod daemon;
#[cfg(feature = "planted")]
#[doc(hidden)]
pub mod planted;
pub mod router;
pub mod sched;
mod shim;
pub mod sim;
pub mod supervise;
pub mod sync;
pub mod testkit;

pub use actor_macros::{actor, main, protocol, select, test};
pub use chan::Select;
pub use sched::{
    AbortHandle, Builder, Deadlock, DeadlockPolicy, Elapsed, Entered, FuncTimer, Handle, Instant,
    JoinError, JoinHandle, LeftBehind, Metrics, Pinning, Runtime, Sleep, Ticker, Timeout, Timer,
    after, after_func, blocking, go, go_named, interval, lock_thread, sleep, sleep_until,
    spawn_blocking, timeout, yield_now,
};
pub use sync::Context;

/// What a user's file starts with: `use actor_core::prelude::*;`.
pub mod prelude {
    pub use crate::actor::{ActorRef, CallError, Ctx, Reply, StopReason};
    #[cfg(unix)]
    pub use crate::daemon::Daemon;
    pub use crate::supervise::{Child, ChildSpec, Restart, Supervisor};
    pub use crate::{
        actor, after, blocking, go, interval, protocol, select, sleep, timeout, yield_now,
    };
}

#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
