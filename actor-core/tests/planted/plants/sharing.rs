//! What is shared: a queue with those who wait for it, locks, and a value behind an actor.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use actor_core::planted::{self, Bug};
use actor_core::prelude::*;
use actor_core::sim::{self, Check, Sim, TimeUnits};
use actor_core::sync::{Condvar, Mutex};
use actor_core::{JoinHandle, chan};

// ---- a missed wake-up ---------------------------------------------------------------------------

#[derive(Default)]
struct Counter {
    jobs: Mutex<VecDeque<u32>>,
    more: Condvar,
}

/// A clerk takes jobs, tells of each that it is done, and leaves when told to.
async fn clerk(counter: Arc<Counter>, done: chan::Sender<u32>, leave: chan::Receiver<()>) {
    loop {
        let jobs = counter.jobs.lock().await;
        let job = select! {
            mut jobs = counter.more.wait_while(jobs, |jobs| jobs.is_empty()) => jobs.pop_front(),
            _ = leave.recv() => return,
        };
        done.send(job.expect("waited for")).await.unwrap();
    }
}

/// Each job is done, although one of the clerks leaves.
pub(super) fn missed_wake_up() -> Check {
    sim::check(|sim| async move {
        let counter = Arc::new(Counter::default());
        let (done, is_done) = chan::buffered(4);
        let clerks = ["one", "two"].map(|_| {
            let (send_home, leave) = chan::buffered(1);
            (go(clerk(counter.clone(), done.clone(), leave)), send_home)
        });
        let [(first, send_first_home), (second, send_second_home)] = clerks;
        let customer = go({
            let (counter, sim) = (counter.clone(), sim.clone());
            async move {
                for job in 0..3 {
                    sleep(u64::from(sim.below(4)).ms()).await;
                    counter.jobs.lock().await.push_back(job);
                    counter.more.notify_one();
                }
            }
        });
        sleep(u64::from(sim.below(8)).ms()).await;
        send_first_home.send(()).await.unwrap();
        for _ in 0..3 {
            is_done.recv().await.unwrap();
        }
        send_second_home.send(()).await.unwrap();
        for one in [first, second, customer] {
            one.await.unwrap();
        }
    })
}

// ---- a lock cycle -------------------------------------------------------------------------------

struct Safe {
    cents: Mutex<i64>,
}

/// Moves an amount between two safes, when the porter has come.
async fn carry(safes: &[Safe], from: usize, to: usize, cents: i64) {
    let in_order = if planted::is(Bug::LockCycle) {
        [from, to]
    } else {
        [from.min(to), from.max(to)]
    };
    let mut first = safes[in_order[0]].cents.lock().await;
    sleep(1.ms()).await;
    let mut second = safes[in_order[1]].cents.lock().await;
    let (out_of, into) = if in_order[0] == from {
        (&mut *first, &mut *second)
    } else {
        (&mut *second, &mut *first)
    };
    *out_of -= cents;
    *into += cents;
}

/// Money moves between safes, and is all there in the end.
pub(super) fn lock_cycle() -> Check {
    sim::check(|sim| async move {
        let safes: Arc<Vec<_>> = Arc::new(
            (0..4)
                .map(|_| Safe {
                    cents: Mutex::new(100),
                })
                .collect(),
        );
        let porters = porters(sim, &safes);
        for porter in porters {
            porter.await.unwrap();
        }
        let mut sum = 0;
        for safe in &*safes {
            sum += *safe.cents.lock().await;
        }
        assert_eq!(sum, 400);
    })
}

fn porters(sim: &Sim, safes: &Arc<Vec<Safe>>) -> Vec<JoinHandle<()>> {
    let porter = |_| {
        let (safes, sim) = (safes.clone(), sim.clone());
        go(async move {
            for _ in 0..2 {
                sleep(u64::from(sim.below(4)).ms()).await;
                let from = sim.below(4) as usize;
                let to = (from + 1 + sim.below(3) as usize) % 4;
                carry(&safes, from, to, 10).await;
            }
        })
    };
    (0..2).map(porter).collect()
}

// ---- a lost update ------------------------------------------------------------------------------

struct Account {
    cents: AtomicU64,
}

#[actor]
impl Account {
    #[init]
    fn new() -> Self {
        Account {
            cents: AtomicU64::new(0),
        }
    }

    /// Several at a time: the auditor takes a while.
    #[concurrent]
    pub async fn deposit(&self, cents: u64) {
        let seen = self.cents.load(Ordering::Relaxed);
        audit(cents).await;
        if planted::is(Bug::LostUpdate) {
            self.cents.store(seen + cents, Ordering::Relaxed);
        } else {
            self.cents.fetch_add(cents, Ordering::Relaxed);
        }
    }

    pub fn cents(&self) -> u64 {
        self.cents.load(Ordering::Relaxed)
    }
}

async fn audit(cents: u64) {
    sleep((cents * 100).micros()).await;
}

/// What was deposited is in the account.
pub(super) fn lost_update() -> Check {
    sim::check(|sim| async move {
        let account = sim.supervise(Account::child("account")).await.unwrap();
        let depositors: Vec<_> = (1..=3)
            .map(|cents| {
                let (account, sim) = (account.clone(), sim.clone());
                go(async move {
                    for _ in 0..3 {
                        sleep(u64::from(sim.below(20)).ms()).await;
                        account.deposit(cents).await.unwrap();
                    }
                })
            })
            .collect();
        for depositor in depositors {
            depositor.await.unwrap();
        }
        assert_eq!(account.cents().await, Ok(18));
    })
}
