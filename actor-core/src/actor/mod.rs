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
//!                  │ life           │  │  (state dropped)  ───────────► tell: "it has ended"     │
//!                  └────────────────┘  └──────────────────────────────────────────────────────┘
//! ```
//!
//! Invariants, each kept in the file named:
//! - The cell outlives incarnations; a handle points at the cell, so it survives a restart (`cell`).
//! - Control (stop, kill) never waits behind messages: it is a word looked at before each message,
//!   and `Mailbox::wake_receiver` wakes an actor that sleeps (`control`, `inbox`).
//! - Signals of monitors and links come in the same lane, ahead of messages (`ties`).
//! - "Ended" is told strictly after the state is dropped, whether by return, panic or kill
//!   (`incarnation`).
//! - An accepted message is handled once, or answered with an error and counted as a dead letter:
//!   when the actor is gone for good, or an overflow policy drops it (`overflow`, `dead_letters`).
//! - What works beside an actor belongs to one incarnation: it is cancelled with it, and nothing of
//!   it reaches the next one (`beside`, `rare`).
//! - Concurrent handlers own the state together, and are gone before anybody has it exclusively
//!   (`concurrent`).
//! - No panic of user code leaves the incarnation (`caught`).
#![deny(unsafe_code)]

mod any_ref;
mod batch;
mod beside;
mod call;
mod caught;
mod cell;
mod computing;
mod concurrent;
mod control;
mod crash;
mod ctx;
mod dead_letters;
mod definition;
mod delivery;
mod entangled;
mod error;
mod exit;
mod forward;
pub mod groups;
mod handle;
mod ignore;
mod inbox;
mod incarnation;
mod life;
mod link;
mod monitor;
mod overflow;
mod poison;
mod pressure;
mod protocol;
mod rare;
pub mod registry;
mod reports;
mod simulate;
#[cfg(all(test, not(actor_loom)))]
mod sizes;
mod stand_in;
mod start;
mod ticker;
mod ties;
mod weak;
mod wedged;
mod work;

pub use crate::chan::{Reply, SendError, TrySendError};
pub use any_ref::AnyRef;
#[doc(hidden)]
pub use batch::Followers;
pub use batch::{Batch, BatchItem};
pub use beside::Attachment;
pub use call::{Ask, AskTimeout, Call, Tell};
pub use concurrent::{Concurrency, Shared};
pub use crash::{CrashReport, capture_panics, crash_reports};
pub use ctx::Ctx;
pub use dead_letters::{
    DeadLetter, DeadLetterReason, DeadLetters, dead_letters, dead_letters_of,
    subscribe_dead_letters,
};
pub use definition::{Actor, MailboxKind, Message, ReplyResult, WhenUnreferenced};
pub use delivery::{Report, Undelivered, UndeliveredReason};
pub use error::{CallError, StartError};
pub use exit::{ExitReason, StopReason};
pub use forward::{Answers, Forward};
pub use handle::{ActorId, ActorRef, Exit};
pub use ignore::NotStarted;
#[doc(hidden)]
pub use link::Watchee;
pub use link::{Exited, NoProc, Watched};
pub use monitor::{Down, Monitor, MonitorId};
pub use overflow::Overflow;
#[doc(hidden)]
pub use overflow::coalesce_key_of;
pub use poison::Poison;
pub use pressure::{HighWater, Pressure};
pub use protocol::{AnyActor, BoxFuture, ErasedMessage, ProtocolCall};
pub use reports::Reports;
pub use start::start;
pub use weak::{WeakProtocol, WeakRef};
pub use wedged::{WedgedReport, report_wedged_after, wedged_reports};

pub(crate) use caught::{Caught, caught};
pub(crate) use cell::{Cell, next_id};
pub(crate) use dead_letters::subscribe_dead_letters_here;
pub(crate) use delivery::{Delivery, try_tell};
pub(crate) use incarnation::{Link, spawn, spawn_named};
pub(crate) use life::{Burial, Hold, Life, Phase};
pub(crate) use stand_in::stand_in;
pub(crate) use ties::Peer;
