//! A work-sharing pool whose workers are actors: one channel, supervised workers, no job lost but the
//! one that a worker crashed on.

mod probe;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

use actor_core::{
    prelude::*,
    router::{ResizeError, WorkPool, WorkPoolRef},
    supervise::{ChildError, ChildSpec, ChildState},
    sync::WaitGroup,
};
use probe::{Gate, Log, run};

enum Job {
    /// Answered with the worker's number and its life.
    Report,
    /// Says that it has begun, and waits.
    Hold(Gate),
    Crash,
    Fail,
}

struct Worker {
    number: usize,
    log: Log,
}

#[actor(vis = pub(crate))]
impl Worker {
    #[init]
    fn new(number: usize, log: Log, inits: Option<WaitGroup>, ctx: &Ctx<Self>) -> Self {
        if let Some(inits) = inits
            && ctx.incarnation() > 1
        {
            inits.wait_blocking();
        }
        log.add(format!("worker {number} up"));
        Self { number, log }
    }

    pub async fn work(&mut self, job: Job, ctx: &Ctx<Self>) -> Result<(usize, u64), String> {
        match job {
            Job::Report => {}
            Job::Hold(gate) => gate.pass().await,
            Job::Crash => panic!("told to"),
            Job::Fail => return Err(format!("worker {} won't", self.number)),
        }
        Ok((self.number, ctx.incarnation()))
    }

    #[stopped]
    fn close(self) {
        self.log.add(format!("worker {} stopped", self.number));
    }
}

type Pool = WorkPool<Job, (usize, u64), String>;
type PoolRef = WorkPoolRef<Job, (usize, u64), String>;

fn pool(workers: usize, capacity: usize, log: &Log) -> Pool {
    let log = log.clone();
    let make = move |n| Worker::child(format!("worker-{n}"), n, log.clone(), None);
    WorkPool::of_actors("pool", workers, capacity, make, WorkerRef::work)
        .intensity(1000, Duration::from_secs(1))
}

type Running = actor_core::JoinHandle<Result<(usize, u64), CallError<String>>>;

fn spawn_run(pool: &PoolRef, job: Job) -> Running {
    let pool = pool.clone();
    go(async move { pool.run(job).await })
}

/// Lets as many workers stand at these gates.
async fn hold<const N: usize>(pool: &PoolRef, gates: &[Gate; N]) -> [Running; N] {
    let held = gates
        .each_ref()
        .map(|gate| spawn_run(pool, Job::Hold(gate.clone())));
    for gate in gates {
        gate.entered().await;
    }
    held
}

/// Waits until so many jobs are in the channel.
async fn until_waiting(pool: &PoolRef, jobs: usize) {
    while pool.waiting() != jobs {
        yield_now().await;
    }
}

#[test]
fn jobs_are_answered_by_an_actor_with_its_value_or_its_error() {
    run(async {
        let pool = pool(1, 4, &Log::default()).start().await.unwrap();
        assert_eq!(pool.run(Job::Report).await, Ok((0, 1)));
        let failed = CallError::Failed("worker 0 won't".to_owned());
        assert_eq!(pool.run(Job::Fail).await, Err(failed));
        pool.stop().await;
    });
}

#[test]
fn the_next_job_goes_to_a_worker_that_is_free() {
    run(async {
        let (log, gate) = (Log::default(), Gate::new());
        let pool = pool(2, 4, &log).start().await.unwrap();
        let held = spawn_run(&pool, Job::Hold(gate.clone()));
        gate.entered().await;
        let (free, _) = pool.run(Job::Report).await.unwrap();
        for _ in 0..10 {
            assert_eq!(pool.run(Job::Report).await, Ok((free, 1)));
        }
        gate.open();
        assert_eq!(held.await.unwrap(), Ok((1 - free, 1)));
        pool.stop().await;
    });
}

#[test]
fn a_crash_costs_the_job_in_work_and_none_that_waits() {
    run(async {
        let log = Log::default();
        let pool = pool(1, 64, &log).start().await.unwrap();
        let gate = Gate::new();
        let held = spawn_run(&pool, Job::Hold(gate.clone()));
        gate.entered().await;
        let crash = spawn_run(&pool, Job::Crash);
        until_waiting(&pool, 1).await;
        let waiting: Vec<_> = (0..8).map(|_| spawn_run(&pool, Job::Report)).collect();
        until_waiting(&pool, 9).await;
        gate.open();
        assert_eq!(held.await.unwrap(), Ok((0, 1)));
        assert_eq!(crash.await.unwrap(), Err(CallError::Panicked));
        for job in waiting {
            assert_eq!(job.await.unwrap(), Ok((0, 2)), "by the next incarnation");
        }
        pool.stop().await;
    });
}

#[test]
fn the_others_do_the_jobs_while_a_worker_is_down() {
    run(async {
        let (log, closed) = (Log::default(), WaitGroup::new());
        closed.add(1);
        let make = {
            let (log, closed) = (log.clone(), closed.clone());
            move |n| Worker::child(format!("worker-{n}"), n, log.clone(), Some(closed.clone()))
        };
        let pool = WorkPool::of_actors("pool", 2, 64, make, WorkerRef::work);
        let pool = pool.start().await.unwrap();
        let crashed = pool.run(Job::Crash).await;
        assert_eq!(crashed, Err(CallError::Panicked));
        // It stands in its init now, or is about to.
        let (free, _) = pool.run(Job::Report).await.unwrap();
        for _ in 0..20 {
            assert_eq!(pool.run(Job::Report).await, Ok((free, 1)));
        }
        closed.done();
        log.seen(&format!("worker {} up", 1 - free), 2).await;
        pool.stop().await;
    });
}

#[test]
fn a_pool_that_is_stopped_has_done_what_waited_and_stops_its_workers() {
    run(async {
        let log = Log::default();
        let pool = pool(2, 64, &log).start().await.unwrap();
        let gates = [Gate::new(), Gate::new()];
        let held = hold(&pool, &gates).await;
        let waiting: Vec<_> = (0..8).map(|_| spawn_run(&pool, Job::Report)).collect();
        until_waiting(&pool, 8).await;
        let stopping = pool.stop();
        gates.iter().for_each(Gate::open);
        stopping.await;
        for job in held.into_iter().chain(waiting) {
            assert!(job.await.unwrap().is_ok());
        }
        assert_eq!(pool.run(Job::Report).await, Err(CallError::Stopped));
        assert_eq!(
            log.count("worker 0 stopped") + log.count("worker 1 stopped"),
            2
        );
    });
}

#[test]
fn a_pool_of_actors_grows_and_shrinks() {
    run(async {
        let log = Log::default();
        let pool = pool(1, 4, &log).start().await.unwrap();
        let gates = [Gate::new(), Gate::new(), Gate::new()];
        let held = |gate: &Gate| spawn_run(&pool, Job::Hold(gate.clone()));
        let first = held(&gates[0]);
        gates[0].entered().await;
        let others = [held(&gates[1]), held(&gates[2])];
        pool.resize(3).await.unwrap();
        gates[1].entered().await;
        gates[2].entered().await;
        gates.iter().for_each(Gate::open);
        assert_eq!(first.await.unwrap(), Ok((0, 1)));
        for job in others {
            assert!(job.await.unwrap().is_ok());
        }
        pool.resize(1).await.unwrap();
        assert_eq!(log.take_prefix("worker 2 st"), ["worker 2 stopped"]);
        assert_eq!(pool.run(Job::Report).await, Ok((0, 1)));
        assert_eq!(pool.supervisor().count_children().await.unwrap().specs, 2);
        assert_eq!(pool.resize(0).await, Err(ResizeError::Zero));
        pool.stop().await;
    });
}

#[test]
fn the_jobs_outlive_a_pool_that_is_restarted_and_it_can_be_resized_after() {
    run(async {
        let log = Log::default();
        let pool = pool(2, 64, &log).intensity(0, Duration::from_secs(600));
        let handle = pool.handle();
        let app = Supervisor::one_for_one("app")
            .intensity(100, Duration::from_secs(1))
            .child(ChildSpec::from(pool))
            .start()
            .await
            .unwrap();
        handle.resize(3).await.unwrap();
        let gates = [Gate::new(), Gate::new()];
        let held = hold(&handle, &gates).await;
        let crash = spawn_run(&handle, Job::Crash);
        assert_eq!(crash.await.unwrap(), Err(CallError::Panicked));
        // The pool gives up; its workers finish what they are at.
        gates.iter().for_each(Gate::open);
        for job in held {
            assert!(job.await.unwrap().is_ok());
        }
        log.seen("worker 1 up", 2).await;
        assert!(handle.run(Job::Report).await.is_ok());
        handle.resize(4).await.unwrap();
        assert_eq!(log.count("worker 2 up"), 2, "the added one was gone");
        assert_eq!(log.count("worker 3 up"), 1);
        app.stop().await;
    });
}

#[test]
fn a_job_that_is_not_retried_by_the_pool_can_be_by_its_actor() {
    run(async {
        let make = |n| Flaky::child(format!("flaky-{n}"));
        let pool = WorkPool::of_actors("flaky", 2, 8, make, FlakyRef::work);
        let pool = pool.start().await.unwrap();
        assert_eq!(pool.run(7).await, Ok(14));
        pool.stop().await;
    });
}

/// Crashes on the first try of each job.
struct Flaky;

#[actor(vis = pub(crate), poison = retry(1))]
impl Flaky {
    #[init]
    fn new() -> Self {
        Self
    }

    pub fn work(&mut self, n: u32, ctx: &Ctx<Self>) -> u32 {
        assert!(ctx.incarnation() > 1, "first try");
        n * 2
    }
}

#[test]
fn a_worker_that_cannot_start_is_an_error_of_the_resize_and_the_pool_goes_on() {
    run(async {
        let starts = Arc::new(AtomicU32::new(1));
        let make = move |n| Picky::child(format!("picky-{n}"), Arc::clone(&starts));
        let pool = WorkPool::of_actors("picky", 1, 8, make, PickyRef::work);
        let pool = pool.start().await.unwrap();
        let error = pool.resize(2).await.unwrap_err();
        assert!(
            matches!(error, ResizeError::Child(ChildError::StartFailed(_))),
            "{error}"
        );
        assert_eq!(pool.run(()).await, Ok(()));
        let children = pool.supervisor().which_children().await.unwrap();
        assert_eq!(children.len(), 2);
        assert!(children.iter().all(|c| c.state == ChildState::Running));
        pool.stop().await;
    });
}

/// Starts so often.
struct Picky;

#[actor(vis = pub(crate))]
impl Picky {
    #[init]
    fn new(starts: Arc<AtomicU32>) -> Result<Self, String> {
        let left = |n: u32| n.checked_sub(1);
        match starts.fetch_update(SeqCst, SeqCst, left) {
            Ok(_) => Ok(Self),
            Err(_) => Err("one too many".into()),
        }
    }

    pub fn work(&mut self, _job: ()) {}
}
