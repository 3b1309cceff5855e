//! Channels: values from goroutine to goroutine, and the mailboxes and replies of actors.
//!
//! ```text
//!   Sender ──┐                         ┌── Receiver         channel.rs   many to many, Go's `chan`
//!   Sender ──┼──▶ [ buffer of n ] ─────┼── Receiver
//!            └─ waits when full        └─ waits when empty
//!
//!   handle ──▶ [ growing ring ] ──▶ the actor               mailbox/     many to one, survives it
//!   asker  ◀───────(one)────────── Reply                    reply.rs     one value, pooled
//! ```
//!
//! `select/` waits on several channels at once; `waiters.rs` is the queue of all that wait.
//!
//! Uses `sched` (budget, parking a thread, pooled memory, the clock) and the shim. Its unsafe code is
//! in `word_lock.rs`, `waiters.rs`, `ring.rs`, `mailbox/`, `reply.rs`, `channel.rs`, `closed.rs`,
//! `select/`, and the owned ends in `stream.rs` and `sink.rs`.

pub mod bridge;
mod channel;
mod closed;
mod error;
mod iter;
#[cfg(all(test, actor_loom))]
pub(crate) mod loom_models;
mod mailbox;
#[cfg(all(test, not(actor_loom)))]
mod mailbox_lanes_tests;
#[cfg(all(test, not(actor_loom)))]
mod mailbox_tests;
mod reply;
#[cfg(all(test, not(actor_loom)))]
mod reply_tests;
mod ring;
mod select;
mod sink;
mod stream;
pub(crate) mod waiters;
pub(crate) mod word_lock;

pub use channel::{Iter, Receiver, Recv, Send, SendFrom, Sender, buffered, rendezvous};
pub use closed::Closed;
pub use error::{SendError, TryRecvError, TrySendError};
pub use iter::{IntoIter, TryIter};
pub(crate) use mailbox::{
    Ahead, Capacity, Crossing, Displaced, Mailbox, MailboxReceiver, MailboxSend, MailboxTurn, Post,
    Unsent, Water,
};
pub use reply::Reply;
pub(crate) use reply::{NoReply, ReplyFuture, discard_with, reply, reply_to};
#[doc(hidden)]
pub use select::expansion as __select;
pub use select::{Select, Selection};
pub use sink::{SendSink, SenderSink};
pub use stream::{ReceiverStream, RecvStream};
