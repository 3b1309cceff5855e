//! What holds the data: the log, the shards and pub/sub, without a socket, a thread or a clock of
//! its own. The daemon puts connections on top of it; a test puts clients of its own in their place,
//! a disk that loses writes under it, and kills it.

use std::sync::Arc;
use std::time::Duration;

use actor_core::prelude::*;
use actor_core::supervise::Child;
use actor_core::sync::WaitGroup;
use actor_core::{Handle, Instant};

use super::aof::{Aof, AofConfig, LogState};
use super::clock::Clock;
use super::config::Config;
use super::disk::Disk;
use super::pubsub::PubSub;
use super::services::{Counters, Services, Stop, batch_pool, buffer_pool};
use super::shard::{Shard, ShardConfig};
use super::store::Place;

/// The data file's name in `--dir`.
pub const LOG_NAME: &str = "kvd.aof";

/// What it stands on.
#[derive(Debug)]
pub(crate) struct Ground {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) clock: Clock,
    /// Told what the operator should know.
    pub(crate) notice: fn(&str),
}

/// The children of kvd's root that hold the data, and the way to them. Nothing runs yet.
pub(crate) fn plant(config: Config, port: u16, ground: Ground) -> (Arc<Services>, Supervisor) {
    let Ground {
        disk,
        clock,
        notice,
    } = ground;
    let path = config.dir.join(LOG_NAME);
    let log_state = Arc::new(LogState::default());
    let aof = AofConfig {
        disk: Arc::clone(&disk),
        path: path.clone(),
        fsync: config.fsync,
        state: Arc::clone(&log_state),
        notice,
    };
    let aof = Child::<Aof>::new("aof", move || (aof.clone(),)).stop_within(config.stop_within);
    let pubsub = Child::<PubSub>::new("pubsub", || ());

    let of = config.shards.unwrap_or_else(|| Handle::current().procs());
    let mut shards = Supervisor::one_for_one("shards").intensity(20, Duration::from_secs(10));
    let mut shard_refs = Vec::with_capacity(of);
    for index in 0..of {
        let shard = ShardConfig {
            place: Place { index, of },
            disk: Arc::clone(&disk),
            path: path.clone(),
            clock,
            value_bytes_max: config.bulk_bytes_max,
            aof: aof.handle(),
            log_state: Arc::clone(&log_state),
        };
        let child = Child::<Shard>::new(format!("shard-{index}"), move || (shard.clone(),));
        shard_refs.push(child.handle());
        shards = shards.child(child);
    }

    let services = Arc::new(Services {
        port,
        shards: shard_refs,
        aof: aof.handle(),
        log_state,
        pubsub: pubsub.handle(),
        buffers: buffer_pool(),
        batches: batch_pool(),
        stop: Stop::new(),
        open: WaitGroup::new(),
        counters: Counters::default(),
        started: Instant::now(),
        config,
    });
    let root = Supervisor::one_for_one("kvd")
        .intensity(5, Duration::from_secs(10))
        .child(aof)
        .child(shards)
        .child(pubsub);
    (services, root)
}
