//! A shard: the actor that owns some of the keys.
//!
//! - At every start its `#[init]` rebuilds its keys from the log: after a crash as at first.
//! - It applies a batch and then only *queues* the records with the log's actor; the connection
//!   waits for the ticket. So a shard computes while the disk syncs.
//! - A crash between the two loses what no one was told: the batch had no reply yet.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use actor_core::prelude::*;
use actor_core::sync::Pooled;

use super::aof::{AofError, AofRef, LogState, Records};
use super::batch::Batch;
use super::store::{Place, Store};

/// Keys that one turn of the expiry timer removes at most: the rest waits for the next turn, so
/// that clients are not kept waiting.
const EXPIRED_PER_TURN_MAX: usize = 2000;

/// What a shard is started with.
#[derive(Clone, Debug)]
pub(crate) struct ShardConfig {
    pub(crate) place: Place,
    pub(crate) path: PathBuf,
    pub(crate) value_bytes_max: usize,
    pub(crate) aof: AofRef,
    pub(crate) log_state: Arc<LogState>,
}

/// Why a shard can't rebuild its keys.
#[derive(Debug)]
pub(crate) enum RebuildError {
    Flush(CallError<AofError>),
    Read(PathBuf, io::Error),
}

impl fmt::Display for RebuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flush(error) => write!(f, "the log can't be flushed: {error}"),
            Self::Read(path, error) => write!(f, "can't read {}: {error}", path.display()),
        }
    }
}

impl std::error::Error for RebuildError {}

/// For `INFO`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    pub(crate) keys: usize,
    pub(crate) expiring: usize,
    pub(crate) incarnation: u64,
}

/// The actor's state.
#[derive(Debug)]
pub(crate) struct Shard {
    config: ShardConfig,
    store: Store,
    /// The log's epoch from which the keys were read.
    epoch: u64,
    log: Vec<u8>,
}

#[actor(mailbox = buffered(256), name = "shard", vis = pub(crate))]
impl Shard {
    /// Reads the keys from the log, after all that the last incarnation logged is in it.
    #[init]
    async fn rebuild(config: ShardConfig) -> Result<Self, RebuildError> {
        let position = config.aof.flush().await.map_err(RebuildError::Flush)?;
        let ShardConfig {
            path,
            place,
            value_bytes_max,
            ..
        } = &config;
        let load = || Store::load(path, position.len, *place, *value_bytes_max);
        let (store, _) =
            actor_core::blocking(load).map_err(|error| RebuildError::Read(path.clone(), error))?;
        Ok(Self {
            store,
            epoch: position.epoch,
            log: Vec::new(),
            config,
        })
    }

    /// Runs a batch, at least in part, and queues its records.
    pub(crate) async fn run(&mut self, mut batch: Pooled<Batch>) -> Pooled<Batch> {
        if let Err(error) = self.follow_log().await {
            batch.refuse(&format!("ERR shard {}: {error}", self.config.place.index));
            return batch;
        }
        let fault = self.config.log_state.fault();
        let refusal = fault.map(|fault| format!("MISCONF Errors writing to the AOF file: {fault}"));
        batch.run(&mut self.store, now_ms(), &mut self.log, refusal.as_deref());
        let ticket = batch.ticket.take();
        if !self.log.is_empty() {
            let bytes = std::mem::take(&mut self.log);
            let records = Records {
                epoch: self.epoch,
                bytes,
                ticket,
            };
            // A log that is gone drops the ticket, which tells the connection.
            let _ = self.config.aof.append(records).tell().await;
        } else if let Some(ticket) = ticket {
            ticket.settle(Ok(()));
        }
        batch
    }

    /// `DEBUG PANIC`.
    pub(crate) fn crash(&mut self) {
        panic!("asked to by DEBUG PANIC");
    }

    /// For `INFO`.
    pub(crate) fn usage(&mut self, ctx: &Ctx<Self>) -> Usage {
        Usage {
            keys: self.store.len(),
            expiring: self.store.expiring(),
            incarnation: ctx.incarnation(),
        }
    }

    /// Removes keys whose time is over and that no one asks for.
    #[every(millis = 100)]
    async fn expire(&mut self) {
        let log = &self.config.log_state;
        if log.epoch() != self.epoch || log.fault().is_some() {
            return;
        }
        if self
            .store
            .expire_due(now_ms(), EXPIRED_PER_TURN_MAX, &mut self.log)
            > 0
        {
            let bytes = std::mem::take(&mut self.log);
            let records = Records {
                epoch: self.epoch,
                bytes,
                ticket: None,
            };
            let _ = self.config.aof.append(records).tell().await;
        }
    }
}

impl Shard {
    /// Reads the keys anew if the log's actor has crashed since: it took records with it.
    async fn follow_log(&mut self) -> Result<(), RebuildError> {
        if self.config.log_state.epoch() != self.epoch {
            *self = Self::rebuild(self.config.clone()).await?;
        }
        Ok(())
    }
}

/// Milliseconds since 1970, as deadlines are logged.
fn now_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(1, |since| since.as_millis() as u64)
}
