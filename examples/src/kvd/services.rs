//! What every connection can reach: the handles of the actors, the pools, the counters.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use actor_core::Instant;
use actor_core::chan::{Receiver, Sender, buffered};
use actor_core::sync::{Pool, WaitGroup};

use super::aof::{AofRef, LogState};
use super::batch::{Batch, recycled};
use super::config::Config;
use super::pubsub::PubSubRef;
use super::shard::ShardRef;

/// See the module.
#[derive(Debug)]
pub(crate) struct Services {
    pub(crate) config: Config,
    /// The port that the listener got.
    pub(crate) port: u16,
    pub(crate) shards: Vec<ShardRef>,
    pub(crate) aof: AofRef,
    pub(crate) log_state: Arc<LogState>,
    pub(crate) pubsub: PubSubRef,
    /// Input and output buffers. An idle connection holds none.
    pub(crate) buffers: Pool<Vec<u8>>,
    /// Boxed: they go to a shard and back, and move at every step on the way.
    pub(crate) batches: Pool<Box<Batch>>,
    pub(crate) stop: Stop,
    /// Connections that are open.
    pub(crate) open: WaitGroup,
    pub(crate) counters: Counters,
    pub(crate) started: Instant,
}

/// The daemon's stop, for all who have to know of it.
#[derive(Debug)]
pub(crate) struct Stop {
    /// For those who only look: no lock is taken for each request.
    is_near: AtomicBool,
    /// Closed then: all who wait on its receiver learn it at once, as with a `done` channel in Go.
    done: Sender<()>,
    pub(crate) told: Receiver<()>,
}

impl Stop {
    pub(crate) fn new() -> Self {
        let (done, told) = buffered(0);
        Self {
            is_near: AtomicBool::new(false),
            done,
            told,
        }
    }

    pub(crate) fn tell(&self) {
        self.is_near.store(true, Ordering::SeqCst);
        self.done.close();
    }

    /// Whoever was woken by `told` sees it.
    pub(crate) fn is_near(&self) -> bool {
        self.is_near.load(Ordering::SeqCst)
    }
}

/// Numbers for `INFO`. Relaxed throughout: nothing is decided by them but how full we are.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    clients: AtomicUsize,
    accepted: AtomicU64,
    refused: AtomicU64,
    commands: AtomicU64,
}

impl Counters {
    pub(crate) fn clients(&self) -> usize {
        self.clients.load(Ordering::Relaxed)
    }

    pub(crate) fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    pub(crate) fn commands(&self) -> u64 {
        self.commands.load(Ordering::Relaxed)
    }

    pub(crate) fn add_commands(&self, n: usize) {
        self.commands.fetch_add(n as u64, Ordering::Relaxed);
    }

    pub(crate) fn refuse(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }
}

/// A place among the `--max-clients`, and in the group that an ordered stop waits for.
#[derive(Debug)]
pub(crate) struct Seat {
    /// The client's number, never given twice.
    pub(crate) id: u64,
    services: Arc<Services>,
}

impl Seat {
    /// Takes a place, if one is free. Only the listener calls this.
    pub(crate) fn take(services: &Arc<Services>) -> Option<Self> {
        let counters = &services.counters;
        if counters.clients() >= services.config.clients_max {
            return None;
        }
        counters.clients.fetch_add(1, Ordering::Relaxed);
        services.open.add(1);
        let id = counters.accepted.fetch_add(1, Ordering::Relaxed) + 1;
        Some(Self {
            id,
            services: Arc::clone(services),
        })
    }

    pub(crate) fn services(&self) -> &Arc<Services> {
        &self.services
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.services
            .counters
            .clients
            .fetch_sub(1, Ordering::Relaxed);
        self.services.open.done();
    }
}

pub(crate) fn buffer_pool() -> Pool<Vec<u8>> {
    Pool::with_reset(Vec::new, |buffer| *buffer = recycled(buffer))
}

pub(crate) fn batch_pool() -> Pool<Box<Batch>> {
    Pool::with_reset(Box::default, |batch: &mut Box<Batch>| batch.reset())
}
