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
//! Start reading with `tree` (who supervises whom, and the ordered stop), then `shard` and `aof`
//! (actors, restarts, durability), `conn` and `plan` (a connection's goroutine). `resp`, `command`,
//! `store` and `log` are plain code without an actor in it.
//!
//! What is promised:
//! - A write that was answered is in the log, synced as `--fsync` says; a crash of any actor, or of
//!   the process, loses none.
//! - Commands of one connection take effect in its order, per key. A command that names keys of
//!   several shards is not atomic, and a reader may see a write before its sync is done.
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
mod engine;
mod glob;
mod log;
mod plan;
mod pubsub;
mod resp;
mod services;
mod shard;
mod store;
mod tree;

pub use config::{Config, ConfigError, Fsync, HELP, Wanted, parse};
pub use daemon::main;
pub use engine::LOG_NAME;
