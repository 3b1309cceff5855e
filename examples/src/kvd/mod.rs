//! kvd: a Redis-compatible key-value daemon made of actors.
//!
//! It shows how the library is meant to be used, on a program with real faults and a real load:
//!
//! ```text
//!                           ┌──────────── shard 0 ────────────┐
//!  client ── connection ────┤   (actor: owns its keys)        ├──── aof ──── kvd.aof
//!            (goroutine)    └──────────── shard 1 ────────────┘   (actor: group commit)
//!                └─────────────────────── pubsub (actor)
//! ```
//!
//! Start reading with `tree` (who supervises whom, and the ordered stop) and `engine` (the part that
//! holds the data), then `shard` and `aof` (actors, restarts, durability), `conn` and `plan` (a
//! connection's goroutine). `resp`, `command`, `store` and `log` are plain code without an actor in it.
//! `disk` is what files are behind, `drill` what is done to all of it in tests, by [`Drill`].
//!
//! What is promised:
//! - A write that was answered is in the log, synced as `--fsync` says; a crash of any actor, or of
//!   the process, loses none. A write that was refused with `MISCONF` is taken back.
//! - Commands of one connection take effect in its order, per key. A command that names keys of
//!   several shards is not atomic.
//! - With `--fsync always` nobody reads what a crash can still take back: per key, all that clients are
//!   told is linearizable, whatever crashes. Otherwise a reader may see a write before it is logged.
//! - Memory is bounded by the limits on the command line: no header is believed before its bytes
//!   arrive, replies wait for slow clients in bounded pieces, a slow subscriber is dropped.
//!
//! Deliberately absent: replication, clustering, RDB files, log compaction, transactions, scripts,
//! patterns in subscriptions.

mod admin;
mod aof;
mod batch;
mod clock;
mod command;
mod config;
mod conn;
mod daemon;
mod disk;
mod drill;
mod engine;
mod glob;
mod log;
mod plan;
mod pubsub;
#[cfg(test)]
mod pubsub_tests;
mod resp;
mod services;
mod shard;
mod store;
mod tree;

pub use config::{Config, ConfigError, Fsync, HELP, Wanted, parse};
pub use daemon::main;
pub use drill::{Drill, DrillError, Report};
pub use engine::LOG_NAME;
