//! Actors that are goroutines: Go's scheduler, Erlang's supervision, Rust's types.

pub mod actor;
pub mod chan;
pub mod sched;
mod shim;
pub mod supervise;
pub mod sync;

pub use actor_macros::{actor, main, test};

/// What a user's file starts with: `use actor_core::prelude::*;`.
pub mod prelude {}
