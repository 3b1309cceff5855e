//! An emergency drill: clients that write and read while everything under them dies, and proof that
//! nothing that they were told was untrue.
//!
//! 1. The engine (log, shards) starts on a simulated disk. A probe reads all keys: what was
//!    acknowledged before is still there, or the history shows it.
//! 2. Clients send random pipelines and write down each call and reply. Meanwhile shards and the log
//!    are killed, and the disk is slow, is full, fails to sync.
//! 3. In the midst of it the round ends, one of three ways: the machine goes down and takes with it
//!    what was not synced; the process dies; the tree is stopped in order. Back to 1, a few times.
//! 4. The history must be linearizable ([`linear`]). Durability is a part of that: an acknowledged
//!    write that is gone can't be explained, nor can one that was read and is gone.
//!
//! A write that was refused or not answered may have been done, may be done later, or never.
//!
//! All happens inside of the process, without sockets or threads. Chance comes from one function: with
//! that of a simulation, one number makes the whole drill again. Any runtime will do, though.

mod client;
mod disaster;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actor_core::actor::StartError;
use actor_core::chan::{Receiver, Sender, buffered};
use actor_core::supervise::SupervisorRef;
use actor_core::{JoinHandle, go, yield_now};

use self::client::{Client, Crew};
use self::disaster::{Chance, Ending, fates};
use super::clock::Clock;
use super::config::{Config, Fsync};
use super::disk::SimDisk;
use super::engine::{self, Ground};
use super::services::Services;
use crate::linear::{self, Violation};

/// The time of day at which every drill begins; no key expires in one.
const DAWN: Duration = Duration::from_secs(1_000_000_000);

/// How much happens in a drill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drill {
    /// Clients at a time, each a goroutine.
    pub clients: usize,
    /// Keys that they share.
    pub keys: usize,
    /// Shards that share the keys.
    pub shards: usize,
    /// Lives of the engine.
    pub rounds: usize,
    /// Pipelines that each client sends in a round, if it comes to that.
    pub pipelines: usize,
    /// Whether the disk may be full and its syncs may fail.
    pub disk_errors: bool,
    /// Whether the disk's syncs do nothing and say that they did. No daemon can do anything about
    /// that, so a drill that tries it has to fail: a test of the drill.
    pub lying_disk: bool,
}

impl Default for Drill {
    fn default() -> Self {
        Self {
            clients: 4,
            keys: 4,
            shards: 2,
            rounds: 4,
            pipelines: 10,
            disk_errors: true,
            lying_disk: false,
        }
    }
}

/// What a drill that went well came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// Operations in the history.
    pub operations: usize,
    /// Writes of them that were not answered, or refused.
    pub unanswered: usize,
    /// Rounds that ended with the machine.
    pub power_losses: usize,
    /// Rounds that ended with the process.
    pub kills: usize,
    /// Rounds that ended in order.
    pub stops: usize,
    /// Actors that were killed in the midst of a round.
    pub crashes: usize,
    /// Bytes that the machine had when it went down and did not have when it came up.
    pub lost_bytes: usize,
}

/// What went wrong.
#[derive(Debug)]
#[non_exhaustive]
pub enum DrillError {
    /// The engine did not come up again.
    Start(StartError),
    /// A client got a reply that makes no sense.
    Reply(String),
    /// What clients were told can't be true.
    Untrue(Violation),
}

impl fmt::Display for DrillError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start(error) => write!(f, "the engine did not come up again: {error}"),
            Self::Reply(text) => write!(f, "a client got a reply that makes no sense: {text}"),
            Self::Untrue(violation) => violation.fmt(f),
        }
    }
}

impl std::error::Error for DrillError {}

/// One life of the engine.
struct Life {
    root: SupervisorRef,
    services: Arc<Services>,
}

/// One drill on its way.
struct Run {
    drill: Drill,
    chance: Chance,
    disk: SimDisk,
    /// Whether the disk may refuse something now.
    disk_fails: Arc<AtomicBool>,
    clock: Clock,
    crew: Crew,
    report: Report,
}

impl Drill {
    /// Runs it. `random` is given a bound and returns a number below it.
    ///
    /// ```
    /// use actor_core::sim;
    /// use examples::kvd::Drill;
    ///
    /// sim::check(|sim| async move {
    ///     let random = move |bound| sim.below(bound as u32) as usize;
    ///     Drill::default().run(random).await.map(drop)
    /// })
    /// .seeds(3)
    /// .run();
    /// ```
    ///
    /// # Errors
    /// What was found to be wrong.
    pub async fn run(
        self,
        random: impl Fn(usize) -> usize + Send + Sync + 'static,
    ) -> Result<Report, DrillError> {
        let chance = Chance::new(random);
        let disk_fails = Arc::new(AtomicBool::new(false));
        let mut run = Run {
            disk: SimDisk::with_fates(fates(
                chance.clone(),
                Arc::clone(&disk_fails),
                self.lying_disk,
            )),
            drill: self,
            chance,
            disk_fails,
            clock: Clock::counted(DAWN),
            crew: Crew::default(),
            report: Report::default(),
        };
        for _ in 0..self.rounds {
            run.round().await?;
        }
        run.start().await?.root.stop().await;
        run.finish()
    }
}

impl Run {
    /// Brings the engine up and looks at all that is there.
    async fn start(&self) -> Result<Life, DrillError> {
        let config = Config {
            dir: "/data".into(),
            fsync: Fsync::Always,
            shards: Some(self.drill.shards),
            ..Config::default()
        };
        let ground = Ground {
            disk: Arc::new(self.disk.clone()),
            clock: self.clock,
            notice: |_| (),
        };
        let (services, root) = engine::plant(config, 0, ground);
        let root = root.start().await.map_err(DrillError::Start)?;
        let mut probe = Client::new(0, &services, &self.crew);
        match probe.read_all(self.drill.keys).await {
            Ok(()) => Ok(Life { root, services }),
            Err(error) => {
                root.stop().await;
                Err(error)
            }
        }
    }

    async fn round(&mut self) -> Result<(), DrillError> {
        let life = self.start().await?;
        self.disk_fails.store(
            self.drill.disk_errors && self.chance.one_in(2),
            Ordering::SeqCst,
        );
        let (over, drill) = (Arc::new(AtomicBool::new(false)), self.drill);
        let (answered, progress) = buffered(drill.clients * drill.pipelines);
        let clients: Vec<JoinHandle<Result<(), DrillError>>> = (1..=drill.clients)
            .map(|number| {
                let client = Client::new(number as u64, &life.services, &self.crew);
                let (chance, over) = (self.chance.clone(), Arc::clone(&over));
                go(work(client, drill, chance, answered.clone(), over))
            })
            .collect();
        drop(answered);
        self.disturb(&life, &progress).await;
        over.store(true, Ordering::SeqCst);
        let ending = Ending::by(&self.chance);
        match ending {
            Ending::PowerLoss | Ending::Kill => drop(life.root.kill().await),
            Ending::Stop => drop(life.root.stop().await),
        }
        for client in clients {
            client.await.expect("a client does not panic")?;
        }
        self.disk_fails.store(false, Ordering::SeqCst);
        self.end(ending);
        Ok(())
    }

    /// Lets the clients work for a while, and kills actors under them.
    async fn disturb(&mut self, life: &Life, progress: &Receiver<()>) {
        let until = self.chance.below(self.drill.clients * self.drill.pipelines);
        // The log's supervisor gives up after the sixth in ten seconds.
        let mut victims = self.chance.below(4);
        for _ in 0..until {
            if progress.recv().await.is_none() {
                break;
            }
            if victims > 0 && self.chance.one_in(8) {
                victims -= 1;
                self.report.crashes += 1;
                match life
                    .services
                    .shards
                    .get(self.chance.below(self.drill.shards + 1))
                {
                    Some(shard) => drop(shard.kill()),
                    None => drop(life.services.aof.kill()),
                }
            }
        }
        for _ in 0..self.chance.below(20) {
            yield_now().await;
        }
    }

    /// What is left of the disk when all that ran is dead.
    fn end(&mut self, ending: Ending) {
        match ending {
            Ending::PowerLoss => {
                let before = self.disk.len();
                self.disk.crash(|bound| self.chance.below(bound));
                self.report.power_losses += 1;
                self.report.lost_bytes += before.saturating_sub(self.disk.len());
            }
            Ending::Kill => {
                self.disk.kill();
                self.report.kills += 1;
            }
            Ending::Stop => self.report.stops += 1,
        }
    }

    fn finish(mut self) -> Result<Report, DrillError> {
        let operations = self.crew.history.operations();
        self.report.operations = operations.len();
        self.report.unanswered = operations.iter().filter(|o| o.reply.is_none()).count();
        linear::check(&operations).map_err(DrillError::Untrue)?;
        Ok(self.report)
    }
}

/// One client's round.
async fn work(
    mut client: Client,
    drill: Drill,
    chance: Chance,
    answered: Sender<()>,
    over: Arc<AtomicBool>,
) -> Result<(), DrillError> {
    for _ in 0..drill.pipelines {
        if over.load(Ordering::SeqCst) {
            break;
        }
        client.send_pipeline(drill.keys, &chance).await?;
        // There is room for all.
        let _ = answered.try_send(());
    }
    Ok(())
}
