//! Supervision: a goroutine that starts children, watches them, restarts and stops them.
//!
//! What lives here: [`Supervisor`] (builder and start), [`ChildSpec`] and [`Child`] (what to run
//! and how), [`SupervisorRef`] (the running one), [`Tree`] (what it looks like). It may use
//! everything down to `actor`. The meaning is OTP's, except where the docs of an item say
//! otherwise. No unsafe code.
//!
//! ```text
//!   SupervisorRef ──commands──►┌──────────────────────┐ start / stop / kill ┌───────────────┐
//!                              │ engine (goroutine)   │────────────────────►│ Body: actor,  │
//!        ┌──started, exited───►│  table of children   │                     │ goroutine,    │
//!        │                     │  intensity window    │                     │ thread, or    │
//!        │                     │  delays              │                     │ supervisor    │
//!        │                     └──────────────────────┘                     └───────────────┘
//!   ChildLink (one per start) ◄──────────────── held by the child's incarnation ────┘
//! ```
//!
//! Invariants, each kept in the file named:
//! - All decisions are made by one goroutine that reads one unbounded control mailbox (`engine`);
//!   nothing in it waits behind a user's message.
//! - A tree that is misconfigured anywhere starts nothing (`config`).
//! - Each start has a serial number; an exit, a retry or a delay that carries another one is stale
//!   and does nothing (`table`, `delays`). So what was called off never comes back.
//! - No restart sleeps in the engine: it is either made, or a delay that comes as a command
//!   (`restarts`).
//! - A child is left before its end only where its policy for stuck children says so (`ending`).
//! - A child's exit is told after its state is dropped; a supervisor's own after all its children
//!   are gone, even when it was killed: every `ChildLink` shares its `Run`, whose drop tells the
//!   parent (`run`).
//! - A supervisor that is killed or panics kills its children (`engine`'s Drop).
#![deny(unsafe_code)]

mod actor_body;
mod backoff;
mod breaker;
mod child;
mod config;
mod delays;
mod ending;
mod engine;
mod error;
mod events;
mod goroutine;
mod handle;
mod info;
mod intensity;
mod nested;
mod partition;
mod requests;
mod restarts;
mod run;
mod singleton;
mod spec;
mod stop_signal;
mod supervisor;
mod table;
mod thread;
mod tree;

pub use child::{Child, OnRestart};
pub use config::{AutoShutdown, Strategy};
pub use error::ChildError;
pub use events::SupervisionEvent;
pub use goroutine::Outcome;
pub use handle::{SupervisorExit, SupervisorRef};
pub use info::{ChildCounts, ChildInfo, ChildKey, ChildKind, ChildName, ChildState, Health};
pub use partition::Partition;
pub use singleton::instance;
pub use spec::{ChildSpec, OnStuck, Restart};
pub use stop_signal::StopSignal;
pub use supervisor::Supervisor;
pub use tree::Tree;
