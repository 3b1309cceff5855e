//! A shard: the actor that owns some of the keys.
//!
//! - At every start its `#[init]` rebuilds its keys from the log: after a crash as at first.
//! - It applies a batch and then only *queues* the records with the log's actor; the connection
//!   waits for the ticket. So a shard computes while the disk syncs.
//! - With `--fsync always` nobody is shown what a crash could still take back: a read waits for the
//!   records that were logged before it.
//! - A crash between the two loses what no one was told: the batch had no reply yet.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use actor_core::prelude::*;
use actor_core::sync::Pooled;

use super::aof::{AofRef, LogState, Mark, Records, Ticket};
use super::batch::Batch;
use super::clock::Clock;
use super::disk::{Contents, Disk};
use super::store::{Place, Store};

/// Keys that one turn of the expiry timer removes at most: the rest waits for the next turn, so
/// that clients are not kept waiting.
const EXPIRED_PER_TURN_MAX: usize = 2000;
/// The most room that is made beforehand for the next batch's records.
const LOG_ROOM_MAX: usize = 64 << 10;

/// What a shard is started with.
#[derive(Clone, Debug)]
pub(crate) struct ShardConfig {
    pub(crate) place: Place,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) path: PathBuf,
    pub(crate) clock: Clock,
    pub(crate) value_bytes_max: usize,
    pub(crate) aof: AofRef,
    pub(crate) log_state: Arc<LogState>,
}

/// Why a shard can't rebuild its keys.
#[derive(Debug)]
pub(crate) enum RebuildError {
    Flush(CallError),
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
    /// Appends to the log so far.
    sent: u64,
    /// How many of them are as safe as they will be.
    reached: Arc<AtomicU64>,
}

#[actor(mailbox = buffered(256), name = "shard", vis = pub(crate))]
impl Shard {
    /// Reads the keys from the log, after all that the last incarnation logged is in it.
    #[init]
    async fn rebuild(config: ShardConfig) -> Result<Self, RebuildError> {
        let position = config.aof.flush().await.map_err(RebuildError::Flush)?;
        let ShardConfig { path, place, .. } = &config;
        let mut store = Store::new(*place, config.value_bytes_max);
        let mut visit = |contents: &mut dyn Contents, len: u64| {
            let len = len.min(position.len);
            (store, _) = Store::load(contents, len, path, *place, config.value_bytes_max)?;
            Ok(())
        };
        let read = config.disk.read(path, &mut visit).await;
        read.map_err(|error| RebuildError::Read(path.clone(), error))?;
        Ok(Self {
            store,
            epoch: position.epoch,
            log: Vec::new(),
            sent: 0,
            reached: Arc::default(),
            config,
        })
    }

    /// Runs a batch, at least in part, and queues its records.
    pub(crate) async fn run(&mut self, mut batch: Pooled<Box<Batch>>) -> Pooled<Box<Batch>> {
        if let Err(error) = self.follow_log().await {
            batch.refuse(&format!("ERR shard {}: {error}", self.config.place.index));
            return batch;
        }
        let fault = self.config.log_state.fault();
        let refusal =
            fault.map(|fault| format!("MISCONF Errors writing to the AOF file: {fault}; not done"));
        let now = self.config.clock.now_ms();
        batch.run(&mut self.store, now, &mut self.log, refusal.as_deref());
        // Keys that were found to be over wait for a log that can be written.
        let refused = refusal.is_some();
        let is_answered = self.is_logged() && (refused || self.log.is_empty());
        match batch.ticket.take() {
            Some(ticket) if !is_answered => self.send_log(Some(ticket)).await,
            unused => {
                if !refused {
                    self.send_log(None).await;
                }
                batch.ticket = unused;
            }
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
        let now = self.config.clock.now_ms();
        self.store
            .expire_due(now, EXPIRED_PER_TURN_MAX, &mut self.log);
        self.send_log(None).await;
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

    /// Whether all that was sent to the log is safe.
    fn is_logged(&self) -> bool {
        self.reached.load(Ordering::SeqCst) >= self.sent
    }

    /// Sends what there is to log, if there is anything or somebody waits for what was sent before.
    async fn send_log(&mut self, ticket: Option<Ticket>) {
        if self.log.is_empty() && ticket.is_none() {
            return;
        }
        self.sent += 1;
        // The next batch will need as much, as a rule.
        let next = Vec::with_capacity(self.log.len().min(LOG_ROOM_MAX));
        let records = Records {
            epoch: self.epoch,
            bytes: std::mem::replace(&mut self.log, next),
            ticket,
            mark: Mark {
                reached: Arc::clone(&self.reached),
                number: self.sent,
            },
        };
        // A log that is gone drops the ticket, which tells the connection.
        let _ = self.config.aof.append(records).tell().await;
    }
}
