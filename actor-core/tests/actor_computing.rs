//! Handlers that take too long without an await: they compute, or block their thread.

mod probe;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
        mpsc,
    },
    time::Duration,
};

use actor_core::{
    actor::{self, ActorId, Reports, WedgedReport},
    prelude::*,
};
use probe::run;

/// Computes until it is told to stop.
#[derive(Clone, Default)]
struct Switch(Arc<AtomicBool>);

impl Switch {
    fn off(&self) {
        self.0.store(true, SeqCst);
    }

    fn compute(&self) {
        while !self.0.load(SeqCst) {
            std::hint::spin_loop();
        }
    }
}

struct Miner;

#[actor(name = "miner", wedged_after = millis(20), vis = pub(crate))]
impl Miner {
    #[init]
    fn new() -> Self {
        Self
    }

    pub fn mine(&mut self, switch: Switch) {
        switch.compute();
    }

    /// Waits first.
    pub async fn prepare_and_mine(&mut self, switch: Switch) {
        yield_now().await;
        switch.compute();
    }

    /// A blocking call of std, which no await shows.
    pub fn read(&mut self, device: mpsc::Receiver<()>) {
        let _ = device.recv();
    }

    #[concurrent]
    pub async fn look(&self, switch: Switch) {
        switch.compute();
    }

    pub async fn rest(&mut self) {
        yield_now().await;
    }
}

/// The same, but not to be reported.
struct Hidden;

#[actor(name = "hidden", wedged_after = seconds(0), vis = pub(crate))]
impl Hidden {
    #[init]
    fn new() -> Self {
        Self
    }

    pub fn mine(&mut self, switch: Switch) {
        switch.compute();
    }
}

async fn next_of(reports: &Reports<WedgedReport>, id: ActorId) -> Arc<WedgedReport> {
    loop {
        let report = reports.next().await;
        if report.id == id {
            return report;
        }
    }
}

#[test]
fn a_handler_that_computes_without_an_await_is_reported_with_its_method() {
    run(async {
        let reports = actor::wedged_reports();
        let miner = Miner::start().await.unwrap();
        let switch = Switch::default();
        miner.mine(switch.clone()).tell().await.unwrap();
        let report = next_of(&reports, miner.id()).await;
        assert_eq!((&*report.actor, report.handler), ("miner", "mine"));
        assert_eq!(report.waits_for, "nothing, it computes");
        assert!(report.waiting >= Duration::from_millis(20));
        assert_eq!(report.incarnation, 0, "it has never waited");
        switch.off();
        assert_eq!(miner.rest().await, Ok(()), "a report changes nothing");
    });
}

#[test]
fn a_handler_that_blocks_its_thread_is_reported_too() {
    run(async {
        let reports = actor::wedged_reports();
        let miner = Miner::start().await.unwrap();
        let (plug, device) = mpsc::channel();
        miner.read(device).tell().await.unwrap();
        let report = next_of(&reports, miner.id()).await;
        assert_eq!(report.handler, "read");
        #[cfg(target_os = "linux")]
        assert_eq!(report.waits_for, "its thread, which blocks");
        plug.send(()).unwrap();
        assert_eq!(miner.rest().await, Ok(()));
    });
}

#[test]
fn what_is_known_of_an_actor_that_has_waited_before_is_in_the_report() {
    run(async {
        let reports = actor::wedged_reports();
        let child = Miner::child("miner 7");
        let miner = child.handle();
        let mine = Supervisor::one_for_one("mine")
            .child(child)
            .start()
            .await
            .unwrap();
        let switch = Switch::default();
        miner.prepare_and_mine(switch.clone()).tell().await.unwrap();
        miner.rest().tell().await.unwrap();
        let report = next_of(&reports, miner.id()).await;
        assert_eq!(report.handler, "prepare_and_mine");
        assert_eq!((&*report.actor, report.incarnation), ("miner 7", 1));
        assert_eq!(report.mailbox_len, 1);
        switch.off();
        miner.rest().await.unwrap();
        let of_it = |report: &Arc<WedgedReport>| report.id == miner.id();
        let second = std::iter::from_fn(|| reports.try_next()).find(of_it);
        assert!(second.is_none(), "once, for waiting or for computing");
        mine.stop().await;
    });
}

#[test]
fn a_concurrent_handler_that_computes_is_reported() {
    run(async {
        let reports = actor::wedged_reports();
        let miner = Miner::start().await.unwrap();
        let switch = Switch::default();
        miner.look(switch.clone()).tell().await.unwrap();
        let report = next_of(&reports, miner.id()).await;
        assert_eq!(report.handler, "look");
        switch.off();
        assert_eq!(miner.rest().await, Ok(()));
    });
}

#[test]
fn one_computation_is_reported_once_and_a_hidden_one_never() {
    run(async {
        let reports = actor::wedged_reports();
        let (hidden, first) = (
            Hidden::start().await.unwrap(),
            Miner::start().await.unwrap(),
        );
        let switch = Switch::default();
        hidden.mine(switch.clone()).tell().await.unwrap();
        first.mine(switch.clone()).tell().await.unwrap();
        next_of(&reports, first.id()).await;
        for _ in 0..3 {
            let (other, its) = (Miner::start().await.unwrap(), Switch::default());
            other.mine(its.clone()).tell().await.unwrap();
            loop {
                let report = reports.next().await;
                assert!(![first.id(), hidden.id()].contains(&report.id), "{report}");
                if report.id == other.id() {
                    break;
                }
            }
            its.off();
        }
        switch.off();
    });
}
