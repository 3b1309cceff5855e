//! Actors: a goroutine that owns its state and receives from one mailbox.
//!
//! What lives here: the [`Actor`] trait (the `#[actor]` macro implements it; by hand it is a dozen
//! lines), the handle [`ActorRef`], [`Call`] with its ask and tell futures, and the life of one
//! actor. It may use `sched`, `chan` and `sync`; `supervise` builds on it. No unsafe code.
//!
//! ```text
//!   ActorRef ──┐                       ┌────────────── goroutine: one incarnation ─────────────┐
//!   ActorRef ──┤   ┌── Cell (Arc) ──┐  │  init ──► serve: { control? tick? message? } ──► stopped │
//!   Ctx ───────┼──►│ mailbox        │◄─┤    │          │ panic                           │  │
//!   supervisor ┘   │ control word   │  │    ▼          ▼                                  ▼  │
//!                  │ life           │  │  (state dropped)  ──────────► ExitGuard: "it has ended" │
//!                  └────────────────┘  └──────────────────────────────────────────────────────┘
//! ```
//!
//! Invariants, each kept in the file named:
//! - The cell outlives incarnations; a handle points at the cell, so it survives a restart (`cell`).
//! - Control (stop, kill) never waits behind messages: it is a word looked at before each message,
//!   and `Mailbox::wake_receiver` wakes an actor that sleeps (`control`, `incarnation`).
//! - "Ended" is told strictly after the state is dropped, whether by return, panic or kill
//!   (`incarnation`).
//! - An accepted message is handled once, or answered with an error and counted as a dead letter
//!   when the actor is gone for good (`dead_letters`).
//! - No panic of user code leaves the incarnation (`caught`).
#![deny(unsafe_code)]

mod any_ref;
mod call;
mod caught;
mod cell;
mod control;
mod ctx;
mod dead_letters;
mod definition;
mod delivery;
mod entangled;
mod error;
mod exit;
pub mod groups;
mod handle;
mod incarnation;
mod life;
pub mod registry;
#[cfg(all(test, not(actor_loom)))]
mod sizes;
mod start;
mod ticker;

pub use crate::chan::{Reply, SendError, TrySendError};
pub use any_ref::AnyRef;
pub use call::{Ask, AskTimeout, Call, Tell};
pub use ctx::Ctx;
pub use dead_letters::dead_letters;
pub use definition::{Actor, MailboxKind, Message, ReplyResult};
pub use delivery::{Report, Undelivered, UndeliveredReason};
pub use error::{CallError, StartError};
pub use exit::{ExitReason, StopReason};
pub use handle::{ActorId, ActorRef, Exit};
pub use start::start;

pub(crate) use caught::{Caught, caught};
pub(crate) use cell::Cell;
pub(crate) use delivery::{Delivery, try_tell};
pub(crate) use incarnation::{Link, spawn, spawn_named};
pub(crate) use life::{Burial, Life, Phase, Tie};
