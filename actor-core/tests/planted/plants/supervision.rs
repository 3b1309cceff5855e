//! What supervision promises: how often it restarts, in which order it stops, and what a restart
//! leaves alone or behind.

use std::sync::{Arc, Mutex};

use actor_core::Instant;
use actor_core::actor::StopReason;
use actor_core::actor::registry::{self, RegisterError};
use actor_core::prelude::*;
use actor_core::sim::{self, Check, TimeUnits};

// ---- intensity off by one -----------------------------------------------------------------------

const RESTARTS_MAX: u32 = 3;

struct Worker;

#[actor]
impl Worker {
    #[init]
    fn new() -> Self {
        Worker
    }

    pub fn crash(&mut self) {
        panic!("told to");
    }
}

/// A supervisor gives up when its child crashes more than three times in ten seconds, and not before.
pub(super) fn intensity() -> Check {
    sim::check(|sim| async move {
        let child = Worker::child("worker");
        let worker = child.handle();
        let shop = Supervisor::one_for_one("shop")
            .intensity(RESTARTS_MAX, 10.secs())
            .child(child)
            .start()
            .await
            .unwrap();
        let mut crashes: Vec<Instant> = Vec::new();
        for _ in 0..6 {
            sim.advance(u64::from(sim.below(8)).secs()).await;
            let now = sim.now();
            crashes.retain(|at| now - *at <= 10.secs());
            crashes.push(now);
            assert_eq!(worker.crash().await, Err(CallError::Panicked));
            sim.settle().await;
            let too_often = crashes.len() > RESTARTS_MAX as usize;
            assert_eq!(shop.is_stopped(), too_often, "{} crashes", crashes.len());
            if too_often {
                return;
            }
        }
        shop.stop().await;
    })
}

// ---- a name that others can take ----------------------------------------------------------------

struct Bank;

#[actor]
impl Bank {
    #[init]
    fn new() -> Self {
        Bank
    }

    pub fn balance(&self) -> u64 {
        7
    }
}

/// A supervised actor is found by its name, and nobody else gets that, while it lives: restarts
/// included.
pub(super) fn registry_race() -> Check {
    sim::check(|sim| async move {
        let bank = Bank::child("bank").register("bank");
        let bank = sim.supervise(bank).await.unwrap();
        sim.faults().panic(&bank, 0.3);
        let client = go(async {
            for _ in 0..5 {
                sleep(1.ms()).await;
                let bank = registry::whereis::<Bank>("bank").expect("the bank has a name");
                let _ = bank.balance().await;
            }
        });
        let rival = Bank::start().await.unwrap();
        for _ in 0..5 {
            sleep(1.ms()).await;
            let refused = registry::register(&rival, "bank");
            assert!(
                matches!(refused, Err(RegisterError::Taken { holder, .. }) if holder.id() == bank.id())
            );
        }
        client.await.unwrap();
    })
}

// ---- a shutdown out of order --------------------------------------------------------------------

type Notes = Arc<Mutex<Vec<u32>>>;

struct Archive {
    kept: Notes,
}

#[actor]
impl Archive {
    #[init]
    fn new(kept: Notes) -> Self {
        Archive { kept }
    }

    pub async fn keep(&mut self, note: u32) {
        sleep(400.micros()).await;
        self.kept.lock().unwrap().push(note);
    }
}

/// Brings to the archive at its end what it was told.
struct Desk {
    archive: ArchiveRef,
    notes: Vec<u32>,
}

#[actor]
impl Desk {
    #[init]
    fn new(archive: ArchiveRef) -> Self {
        Desk {
            archive,
            notes: Vec::new(),
        }
    }

    pub fn note(&mut self, note: u32) {
        self.notes.push(note);
    }

    #[stopped]
    async fn clear(self, _why: StopReason) {
        for note in self.notes {
            // What can't be kept any more is missed by the test.
            let _ = self.archive.keep(note).await;
        }
    }
}

/// Children stop in reverse order: what a desk has noted is in the archive when all are stopped.
pub(super) fn shutdown_order() -> Check {
    sim::check(|sim| async move {
        let kept = Notes::default();
        let archive = Archive::child("archive", kept.clone());
        let desks = ["desk one", "desk two"].map(|id| Desk::child(id, archive.handle()));
        let handles = desks.each_ref().map(|desk| desk.handle());
        let office = desks
            .into_iter()
            .fold(
                Supervisor::one_for_one("office").child(archive),
                Supervisor::child,
            )
            .start()
            .await
            .unwrap();
        let mut noted = Vec::new();
        for desk in handles {
            for _ in 0..sim.below(5) {
                let note = noted.len() as u32;
                noted.push(note);
                desk.note(note).tell().await.unwrap();
            }
        }
        office.stop().await;
        let mut kept = kept.lock().unwrap().clone();
        kept.sort_unstable();
        assert_eq!(kept, noted);
    })
}

// ---- a timer that outlives a restart ------------------------------------------------------------

type Beats = Arc<Mutex<Vec<Instant>>>;

struct Heart {
    beats: Beats,
}

#[actor]
impl Heart {
    #[init]
    fn new(beats: Beats, ctx: &Ctx<Self>) -> Self {
        rest(ctx);
        Heart { beats }
    }

    pub fn beat(&mut self, ctx: &Ctx<Self>) {
        self.beats.lock().unwrap().push(Instant::now());
        rest(ctx);
    }

    pub fn listen(&self) {}
}

/// The next beat comes in a second.
fn rest(ctx: &Ctx<Heart>) {
    ctx.pipe(sleep(1.secs()), |me, ()| me.beat());
}

/// A heart beats once a second at most, whatever has happened to it.
pub(super) fn timer_leak() -> Check {
    sim::check(|sim| async move {
        let beats = Beats::default();
        let heart = Heart::child("heart", beats.clone());
        let heart = sim.supervise(heart).await.unwrap();
        sim.faults().panic_once_in(&heart, "listen");
        for _ in 0..5 {
            sim.advance(u64::from(sim.below(2000)).ms()).await;
            let _ = heart.listen().await;
        }
        sim.advance(3.secs()).await;
        let beats = beats.lock().unwrap();
        let pauses = beats.windows(2).map(|pair| pair[1] - pair[0]);
        assert!(pauses.min() >= Some(1.secs()), "{beats:?}");
    })
}
