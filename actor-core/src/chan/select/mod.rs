//! Go's `select`: waits on several operations at once, and exactly one of them happens.
//!
//! ```text
//!   select! { .. }  ──▶ Selecting: arms of known types ──┐
//!                                                        ├──▶ engine::poll ──▶ channels, futures
//!   Select::new()   ──▶ Selection: boxed arms ───────────┘         │
//!                                                                Group: OPEN, BUSY, WON(arm)
//! ```
//!
//! - `group.rs`: the word that an arm's counterpart must claim. That makes the choice atomic: a
//!   value is handed to one arm, or one send is taken, and the others never happened.
//! - `engine.rs`: one poll. `arm.rs`, `operations.rs`: what it asks of the arms. `locks.rs`: all
//!   channels of a select at once. `random.rs`: the order in which ready arms are looked for.
//!
//! Rejected: polling every arm as a future of its own and dropping the losers. Two arms on
//! rendezvous channels could both be handed a value; the one that is put back was seen to be
//! received by its sender.

mod arm;
mod builder;
mod engine;
mod group;
mod locks;
#[cfg(all(test, actor_loom))]
mod loom_models;
mod operations;
mod random;
mod selecting;

pub use builder::{Select, Selection};
pub(crate) use group::{Claim, Group};

/// What `select!` expands to; not for use by hand.
#[doc(hidden)]
pub mod expansion {
    pub use super::arm::{ChannelKind, End, PlainKind, Row, TakeOutput};
    pub use super::engine::Picked;
    pub use super::selecting::Selecting;
}
