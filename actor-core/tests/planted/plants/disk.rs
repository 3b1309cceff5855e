//! What a log promises: who was told that a write is kept finds it after a power cut.

use std::sync::{Arc, Mutex};

use actor_core::planted::{self, Bug};
use actor_core::prelude::*;
use actor_core::sim::{self, Check, TimeUnits};
use actor_core::supervise::SupervisorRef;

/// A disk that forgets in a power cut what was not synced.
#[derive(Clone, Default)]
struct Disk(Arc<Mutex<Platter>>);

#[derive(Default)]
struct Platter {
    written: Vec<Write>,
    /// How many of them are safe.
    synced: usize,
    has_power: bool,
}

/// A key and its value.
type Write = (usize, u64);

impl Disk {
    fn turn_on(&self) {
        self.0.lock().unwrap().has_power = true;
    }

    fn cut_power(&self) {
        let mut platter = self.0.lock().unwrap();
        let synced = platter.synced;
        platter.written.truncate(synced);
        platter.has_power = false;
    }

    fn read(&self) -> Vec<Write> {
        self.0.lock().unwrap().written.clone()
    }

    async fn append(&self, write: Write) -> Result<(), NoPower> {
        sleep(50.micros()).await;
        let mut platter = self.0.lock().unwrap();
        if !platter.has_power {
            return Err(NoPower);
        }
        platter.written.push(write);
        Ok(())
    }

    /// What was written before is safe when this is done.
    async fn sync(&self) -> Result<(), NoPower> {
        let until = self.0.lock().unwrap().written.len();
        sleep(2.ms()).await;
        let mut platter = self.0.lock().unwrap();
        if !platter.has_power {
            return Err(NoPower);
        }
        platter.synced = platter.synced.max(until);
        Ok(())
    }
}

struct NoPower;

/// Appends, and syncs for many at a time.
struct Log {
    disk: Disk,
    unsynced: Vec<Reply<()>>,
}

#[actor]
impl Log {
    #[init]
    fn new(disk: Disk) -> Self {
        Log {
            disk,
            unsynced: Vec::new(),
        }
    }

    pub async fn append(&mut self, write: Write, reply: Reply<()>) {
        if self.disk.append(write).await.is_err() {
            return; // no answer
        }
        if planted::is(Bug::EarlyAck) {
            reply.send(());
        } else {
            self.unsynced.push(reply);
        }
    }

    #[every(millis = 5)]
    async fn sync(&mut self) {
        let is_safe = self.disk.sync().await.is_ok();
        for reply in self.unsynced.drain(..) {
            if is_safe {
                reply.send(());
            }
        }
    }
}

/// The values in memory, each in the log before it is here.
struct Store {
    log: LogRef,
    values: [u64; KEYS],
}

const KEYS: usize = 2;

#[actor]
impl Store {
    #[init]
    fn new(disk: Disk, log: LogRef) -> Self {
        let mut values = [0; KEYS];
        for (key, value) in disk.read() {
            values[key] = value;
        }
        Store { log, values }
    }

    pub async fn set(&mut self, key: usize, value: u64) -> Result<(), CallError> {
        self.log.append((key, value)).await?;
        self.values[key] = value;
        Ok(())
    }

    pub fn get(&self, key: usize) -> u64 {
        self.values[key]
    }
}

async fn start(disk: &Disk) -> (SupervisorRef, StoreRef) {
    disk.turn_on();
    let log = Log::child("log", disk.clone());
    let store = Store::child("store", disk.clone(), log.handle());
    let handle = store.handle();
    let tree = Supervisor::rest_for_one("database").child(log).child(store);
    (tree.start().await.unwrap(), handle)
}

/// A value that was set is there after a power cut, or a later one.
pub(super) fn early_ack() -> Check {
    sim::check(|sim| async move {
        let disk = Disk::default();
        let (tree, store) = start(&disk).await;
        let clients: Vec<_> = (0..KEYS)
            .map(|key| {
                let (store, sim) = (store.clone(), sim.clone());
                go(async move {
                    let mut kept = 0;
                    for value in 1.. {
                        sleep(u64::from(sim.below(20)).ms()).await;
                        match store.set(key, value).await {
                            Ok(()) => kept = value,
                            Err(_) => break,
                        }
                    }
                    kept
                })
            })
            .collect();
        sleep(u64::from(sim.below(100)).ms()).await;
        disk.cut_power();
        tree.kill().await;
        let (tree, store) = start(&disk).await;
        for (key, client) in clients.into_iter().enumerate() {
            let kept = client.await.unwrap();
            let found = store.get(key).await.unwrap();
            assert!(found >= kept, "key {key} was {kept}, and is {found}");
        }
        tree.stop().await;
    })
}
