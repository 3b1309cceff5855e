//! Supervision: a goroutine that starts children, watches them, restarts and stops them.
//!
//! What lives here: [`Supervisor`] (builder and start), [`ChildSpec`] and [`Child`] (what to run
//! and how), [`SupervisorRef`] (the running one). It may use everything down to `actor`. The
//! meaning is OTP's, except where the docs of an item say otherwise. No unsafe code.
//!
//! ```text
//!   SupervisorRef ──commands──►┌──────────────────────┐ start / stop / kill ┌───────────────┐
//!                              │ engine (goroutine)   │────────────────────►│ Body: actor,  │
//!        ┌──started, exited───►│  table of children   │                     │ goroutine, or │
//!        │                     │  intensity window    │                     │ supervisor    │
//!        │                     └──────────────────────┘                     └───────────────┘
//!   ChildLink (one per start) ◄──────────────── held by the child's incarnation ────┘
//! ```
//!
//! Invariants, each kept in the file named:
//! - All decisions are made by one goroutine that reads one unbounded control mailbox (`engine`);
//!   nothing in it waits behind a user's message.
//! - Each start has a serial number; an exit or a retry that carries another one is stale and
//!   does nothing (`table`).
//! - A child's exit is told after its state is dropped; a supervisor's own after all its children
//!   are gone, even when it was killed: every `ChildLink` shares its `Run`, whose drop tells the
//!   parent (`run`).
//! - A supervisor that is killed or panics kills its children (`engine`'s Drop).
#![deny(unsafe_code)]

mod actor_body;
mod child;
mod engine;
mod error;
mod goroutine;
mod handle;
mod intensity;
mod nested;
mod run;
mod singleton;
mod spec;
mod supervisor;
mod table;

pub use child::Child;
pub use error::ChildError;
pub use goroutine::{Outcome, StopSignal};
pub use handle::{ChildCounts, ChildInfo, ChildKind, ChildState, SupervisorExit, SupervisorRef};
pub use singleton::instance;
pub use spec::{ChildSpec, Restart};
pub use supervisor::Supervisor;
