//! The append-only-file actor: makes writes durable, many at a time.
//!
//! ```text
//!  shard ──append(records, ticket)──▶ mailbox ──▶ pending ──one write, one fdatasync──▶ kvd.aof
//!                                                    └──▶ then every ticket is settled ──▶ connections
//! ```
//!
//! - Group commit: records gather while more messages wait in the mailbox; the last of them commits
//!   for all. While a sync runs the next group gathers, so the disk is never idle under load and a
//!   lone write never waits for company.
//! - A shard sends its records in the order in which it applied them, and this actor writes in the
//!   order of its mailbox: per key, the file tells what happened.
//! - Each [`Ticket`] is settled exactly once, by its drop if need be; the connection waits for it
//!   before it answers. So an answered write is as safe as `--fsync` says.
//! - A failed write (a full disk) is cut off again and its records are refused, with `MISCONF`, as
//!   Redis does; and so are all others until as many bytes could be written, which is tried every
//!   second. A failed sync is final: the system may have dropped the data it could not write, so
//!   what should have been synced is cut off, and writes are refused until a restart.
//! - Records that will not be in the log, because it refused them or because it crashed with them,
//!   have been applied by their shards. So each time a new epoch begins: a shard that sees it
//!   rebuilds itself from the file, and records of an older epoch are not accepted.
//! - With `--fsync always` a read that may have seen records still on their way is followed by an
//!   empty append: its ticket is settled when they are safe. A [`Mark`] tells the shard how far the
//!   log has come, so that other reads need not wait.
//! - What a predecessor wrote is synced before anyone reads it: it may have died before its sync, or
//!   when that had failed and before it could cut off what was not synced. So it is written again
//!   first, as much as a group can have, for the sync to have something to do.

use std::fmt;
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actor_core::chan::Sender;
use actor_core::prelude::*;

use super::config::Fsync;
use super::disk::{Contents, Disk, DiskFile};
use super::log::{self, Scan};

/// A group is committed at this size even if more is waiting.
const GROUP_BYTES_MAX: usize = 8 << 20;
/// What a predecessor may have left unsynced: a full group, and the batch that filled it.
const DOUBTED_BYTES: u64 = 2 * GROUP_BYTES_MAX as u64;
/// A larger buffer is given back once it is written.
const KEPT_BYTES_MAX: usize = 1 << 20;

/// What others may know about the log without asking its actor.
#[derive(Debug, Default)]
pub(crate) struct LogState {
    /// Counts the times at which records were lost on their way to the log.
    epoch: AtomicU64,
    /// Why writes are refused, if they are.
    fault: Mutex<Option<Arc<str>>>,
    /// Bytes in the file.
    len: AtomicU64,
    /// Syncs so far: less than the writes, when groups are committed.
    syncs: AtomicU64,
}

impl LogState {
    // ORDERING: SeqCst throughout: these are read once per batch, where it does not show.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::SeqCst)
    }

    fn begin_epoch(&self) -> u64 {
        self.epoch.fetch_add(1, Ordering::SeqCst) + 1
    }

    pub(crate) fn len(&self) -> u64 {
        self.len.load(Ordering::SeqCst)
    }

    pub(crate) fn syncs(&self) -> u64 {
        self.syncs.load(Ordering::SeqCst)
    }

    pub(crate) fn fault(&self) -> Option<Arc<str>> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<str>>> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How a batch's writes ended.
#[derive(Debug)]
pub(crate) struct Ack {
    pub(crate) shard: usize,
    pub(crate) result: Result<(), Arc<str>>,
}

/// A connection's claim to hear when its writes are safe. Dropping it says that they are not.
#[derive(Debug)]
pub(crate) struct Ticket {
    shard: usize,
    /// The connection's channel; taken when the ticket is settled.
    to: Option<Sender<Ack>>,
}

impl Ticket {
    pub(crate) fn new(shard: usize, to: Sender<Ack>) -> Self {
        Self {
            shard,
            to: Some(to),
        }
    }

    /// Nothing had to be waited for: no one is told.
    pub(crate) fn cancel(mut self) {
        self.to = None;
    }

    pub(crate) fn settle(mut self, result: Result<(), Arc<str>>) {
        self.send(result);
    }

    fn send(&mut self, result: Result<(), Arc<str>>) {
        if let Some(to) = self.to.take() {
            // The channel has room for a ticket of each shard; a connection that is gone has no
            // use for the answer.
            let _ = to.try_send(Ack {
                shard: self.shard,
                result,
            });
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.send(Err("the write was interrupted and may be lost".into()));
    }
}

/// How far the log has come with one shard's records, once those with this mark are safe.
#[derive(Debug)]
pub(crate) struct Mark {
    pub(crate) reached: Arc<AtomicU64>,
    pub(crate) number: u64,
}

/// What a shard logs for one batch; nothing, when it only waits for what it logged before.
#[derive(Debug)]
pub(crate) struct Records {
    /// The epoch in which the shard's data was read.
    pub(crate) epoch: u64,
    pub(crate) bytes: Vec<u8>,
    pub(crate) ticket: Option<Ticket>,
    pub(crate) mark: Mark,
}

/// Where the log stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Position {
    pub(crate) epoch: u64,
    pub(crate) len: u64,
}

/// Why the log can't be used.
#[derive(Debug)]
pub(crate) struct AofError {
    path: PathBuf,
    what: &'static str,
    cause: Arc<str>,
}

impl fmt::Display for AofError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "can't {} {}: {}",
            self.what,
            self.path.display(),
            self.cause
        )
    }
}

impl std::error::Error for AofError {}

/// What the actor is started with.
#[derive(Clone, Debug)]
pub(crate) struct AofConfig {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) path: PathBuf,
    pub(crate) fsync: Fsync,
    pub(crate) state: Arc<LogState>,
    /// Told what the operator should know.
    pub(crate) notice: fn(&str),
}

/// The actor's state.
#[derive(Debug)]
pub(crate) struct Aof {
    config: AofConfig,
    file: Box<dyn DiskFile>,
    epoch: u64,
    /// Bytes of whole records in the file.
    len: u64,
    /// Whether something was written since the last sync.
    unsynced: bool,
    /// Set by a failed sync: no more writes.
    broken: bool,
    /// After a failed write, how many bytes it had: when they fit again, all is well.
    wanted: usize,
    pending: Vec<u8>,
    tickets: Vec<Ticket>,
    marks: Vec<Mark>,
}

#[actor(mailbox = buffered(1024), name = "aof", vis = pub(crate))]
impl Aof {
    /// Opens the log, checks all of it, and cuts a damaged tail off.
    #[init]
    async fn open(config: AofConfig) -> Result<Self, AofError> {
        let opened = open_checked(&config).await;
        let (file, scan) = opened.map_err(|(what, error)| AofError {
            path: config.path.clone(),
            what,
            cause: error.to_string().into(),
        })?;
        let epoch = config.state.begin_epoch();
        config.state.len.store(scan.end, Ordering::SeqCst);
        *config.state.lock() = None;
        Ok(Self {
            config,
            file,
            epoch,
            len: scan.end,
            unsynced: false,
            broken: false,
            wanted: 0,
            pending: Vec::new(),
            tickets: Vec::new(),
            marks: Vec::new(),
        })
    }

    /// Takes records to be written; their ticket is settled once they are.
    pub(crate) async fn append(&mut self, records: Records, ctx: &Ctx<Self>) {
        if records.epoch == self.epoch {
            self.take(records);
        } // otherwise the ticket's drop tells the connection
        if ctx.handle().mailbox_len() == 0 || self.pending.len() >= GROUP_BYTES_MAX {
            self.commit().await;
        }
    }

    /// Writes all that was appended before, and says where the file ends now.
    pub(crate) async fn flush(&mut self) -> Position {
        self.commit().await;
        Position {
            epoch: self.epoch,
            len: self.len,
        }
    }

    /// `DEBUG PANIC aof`.
    pub(crate) fn crash(&mut self) {
        panic!("asked to by DEBUG PANIC");
    }

    #[every(seconds = 1)]
    async fn each_second(&mut self) {
        self.commit().await;
        if self.config.fsync == Fsync::EverySecond {
            let _ = self.sync().await;
        }
        if self.wanted > 0 && !self.broken {
            self.try_again().await;
        }
    }

    #[stopped]
    async fn close(mut self) {
        self.commit().await;
        let _ = self.sync().await;
    }
}

impl Aof {
    fn take(&mut self, records: Records) {
        let refuses = self.broken || self.wanted > 0;
        if refuses && !records.bytes.is_empty() {
            // Its shard had not heard of the fault yet.
            self.epoch = self.config.state.begin_epoch();
            return;
        }
        self.pending.extend_from_slice(&records.bytes);
        self.tickets.extend(records.ticket);
        self.marks.push(records.mark);
    }

    /// Writes what is pending, syncs it if so configured, and settles the tickets.
    async fn commit(&mut self) {
        let result = if self.pending.is_empty() {
            Ok(())
        } else {
            self.write().await
        };
        self.pending.clear();
        self.pending.shrink_to(KEPT_BYTES_MAX);
        if result.is_ok() {
            for mark in &self.marks {
                mark.reached.store(mark.number, Ordering::SeqCst);
            }
        }
        self.marks.clear();
        for ticket in self.tickets.drain(..) {
            ticket.settle(result.clone());
        }
    }

    async fn write(&mut self) -> Result<(), Arc<str>> {
        let before = self.len;
        if let Err(error) = self.file.append(&self.pending).await {
            self.wanted = self.pending.len();
            let why = self.set_fault(error.to_string());
            self.cut_back(before).await;
            return Err(why);
        }
        self.unsynced = true;
        self.set_len(before + self.pending.len() as u64);
        if self.config.fsync == Fsync::Always
            && let Err(why) = self.sync().await
        {
            self.cut_back(before).await;
            return Err(why);
        }
        Ok(())
    }

    /// Takes back what was written of records that are refused.
    async fn cut_back(&mut self, len: u64) {
        // If even that fails, a restart finds and cuts what is torn.
        self.broken |= self.file.truncate(len).await.is_err();
        self.set_len(len);
        self.epoch = self.config.state.begin_epoch();
    }

    /// After a failed write: finds out whether it would succeed now. Zeros are no record, should the
    /// machine die before they are cut off again.
    async fn try_again(&mut self) {
        let written = self.file.append(&vec![0; self.wanted]).await.is_ok();
        self.broken |= self.file.truncate(self.len).await.is_err();
        if written && !self.broken {
            self.wanted = 0;
            *self.config.state.lock() = None;
            (self.config.notice)("the log can be written again");
        }
    }

    async fn sync(&mut self) -> Result<(), Arc<str>> {
        if !self.unsynced || self.broken {
            return Ok(());
        }
        match self.file.sync().await {
            Ok(()) => {
                self.unsynced = false;
                self.config.state.syncs.fetch_add(1, Ordering::SeqCst);
                Ok(())
            }
            Err(error) => {
                self.broken = true;
                Err(self.set_fault(format!("fdatasync: {error}; restart the daemon")))
            }
        }
    }

    fn set_len(&mut self, len: u64) {
        self.len = len;
        self.config.state.len.store(len, Ordering::SeqCst);
    }

    /// Has writes refused from now on, and says so once.
    fn set_fault(&self, why: String) -> Arc<str> {
        let why: Arc<str> = why.into();
        let before = self.config.state.lock().replace(Arc::clone(&why));
        if before.is_none() {
            (self.config.notice)(&format!("writes are refused: {why}"));
        }
        why
    }
}

/// Opens and locks the log, makes it if it is missing, and cuts what is not whole.
async fn open_checked(
    config: &AofConfig,
) -> Result<(Box<dyn DiskFile>, Scan), (&'static str, io::Error)> {
    let AofConfig { disk, path, .. } = config;
    let mut file = disk.open(path).await.map_err(|error| match error.kind() {
        ErrorKind::WouldBlock => {
            let text = "another daemon uses it; choose another --dir";
            ("lock", io::Error::new(ErrorKind::WouldBlock, text))
        }
        _ => ("open", error),
    })?;
    let mut found = None;
    let mut visit = |contents: &mut dyn Contents, len: u64| {
        found = Some(log::scan(contents, len, path, |_| true, |_| ())?);
        Ok(())
    };
    disk.read(path, &mut visit)
        .await
        .map_err(|error| ("read", error))?;
    let mut scan = found.unwrap_or_default();
    if let Some(damage) = scan.damage {
        let aside = PathBuf::from(format!("{}.cut-{}", path.display(), scan.end));
        // In this order: what is cut is safe elsewhere first.
        let kept = disk.keep_aside(path, scan.end, &aside).await;
        kept.map_err(|error| ("cut", error))?;
        file.truncate(scan.end)
            .await
            .map_err(|error| ("cut", error))?;
        (config.notice)(&format!(
            "{}: {damage} at offset {}: cut there, {} whole records kept; the rest is in {}",
            path.display(),
            scan.end,
            scan.records,
            aside.display(),
        ));
    }
    if scan.end == 0 {
        file.append(log::MAGIC)
            .await
            .map_err(|error| ("begin", error))?;
        scan.end = log::MAGIC.len() as u64;
    }
    // Whoever wrote this may have died before its sync, or after one that failed, and the file's name
    // may be as new.
    let doubted = scan.end.saturating_sub(DOUBTED_BYTES);
    let rewritten = disk.rewrite(path, doubted).await;
    rewritten.map_err(|error| ("write again the end of", error))?;
    file.sync().await.map_err(|error| ("sync", error))?;
    disk.sync_dir(path)
        .await
        .map_err(|error| ("sync the folder of", error))?;
    Ok((file, scan))
}
