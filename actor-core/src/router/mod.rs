//! Routers and pools: several workers behind one handle.
//!
//! What lives here: [`Router`], actors of one type of which each call goes to one (or to all), and
//! [`WorkPool`], goroutines or actors that take jobs from one channel. Both are supervisors of their workers:
//! started alone, or put into a tree as a child. It may use everything down to `supervise`. No unsafe
//! code.
//!
//! ```text
//!                ┌─ pick ── round robin, least loaded ─► one      ┌─ worker ◄─┐
//!   RouterRef ───┼─ for_key ─ consistent hash ─────────► one      ├─ worker ◄─┼── one channel ◄── WorkPoolRef
//!                └─ broadcast, first, tell_all ────────► all      └─ worker ◄─┘
//! ```
//!
//! - A router hands out the workers' own typed handles: what follows is an ordinary call, and the
//!   router is not on its way.
//! - A worker that crashes is restarted in its place, with its handle and its mailbox.
//! - Which worker a job goes to is decided by a router when it is sent, by a pool when a worker is
//!   free. Jobs of different lengths are better off with a pool; keys need a router.
#![deny(unsafe_code)]

mod asks;
mod feeder;
mod handle;
mod spec;
mod work_pool;

pub use handle::{ResizeError, RouterRef};
pub use spec::Router;
pub use work_pool::{WorkPool, WorkPoolRef};
