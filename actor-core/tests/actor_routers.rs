//! Routers and pools: which worker gets a call, and what happens when workers crash, come and go.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use actor_core::actor::{ActorId, ExitReason, UndeliveredReason, registry};
use actor_core::prelude::*;
use actor_core::router::{ResizeError, Router, RouterRef, WorkPool};
use actor_core::supervise::ChildError;
use actor_core::sync::WaitGroup;

struct Worker {
    number: usize,
    done: u32,
}

#[actor(mailbox = buffered(4))]
impl Worker {
    #[init]
    fn new(number: usize) -> Self {
        Worker { number, done: 0 }
    }

    pub fn number(&self) -> usize {
        self.number
    }

    pub fn work(&mut self) -> u32 {
        self.done += 1;
        self.done
    }

    pub fn life(&self, ctx: &Ctx<Self>) -> u64 {
        ctx.incarnation()
    }

    pub fn crash(&self) {
        panic!("asked to");
    }

    /// Fails, but for one worker, which waits at its gate first.
    pub async fn find(&self, at: usize, gate: WaitGroup) -> Result<usize, String> {
        if self.number != at {
            return Err(format!("not at {}", self.number));
        }
        gate.wait().await;
        Ok(self.number)
    }

    pub async fn hold(&self, entered: WaitGroup, gate: WaitGroup) {
        entered.done();
        gate.wait().await;
    }
}

fn worker(number: usize) -> Child<Worker> {
    Worker::child(format!("worker-{number}"), number)
}

fn closed() -> WaitGroup {
    let gate = WaitGroup::new();
    gate.add(1);
    gate
}

/// Makes a worker busy; the gate lets it go on.
async fn hold(worker: &WorkerRef) -> WaitGroup {
    let (entered, gate) = (closed(), closed());
    worker
        .hold(entered.clone(), gate.clone())
        .tell()
        .await
        .unwrap();
    entered.wait().await;
    gate
}

async fn numbers(router: &RouterRef<Worker>) -> Vec<usize> {
    let answers = router.broadcast(|w| w.number()).await;
    answers.into_iter().map(Result::unwrap).collect()
}

#[actor_core::test]
async fn round_robin_takes_the_workers_in_turn() {
    let router = Router::round_robin("r", 3, worker).start().await.unwrap();
    let mut taken = Vec::new();
    for _ in 0..7 {
        taken.push(router.pick().number().await.unwrap());
    }
    assert_eq!(taken, [0, 1, 2, 0, 1, 2, 0]);
    router.stop().await;
}

#[actor_core::test]
async fn least_loaded_takes_the_shortest_mailbox() {
    let router = Router::least_loaded("r", 3, worker).start().await.unwrap();
    let workers = router.workers();
    let gates = [
        hold(&workers[0]).await,
        hold(&workers[1]).await,
        hold(&workers[2]).await,
    ];
    for (worker, queued) in workers.iter().zip([2, 1, 3]) {
        for _ in 0..queued {
            worker.work().try_tell().unwrap();
        }
    }
    assert_eq!(router.pick(), workers[1]);
    workers[1].work().try_tell().unwrap();
    workers[1].work().try_tell().unwrap();
    assert_eq!(router.pick(), workers[0]);
    gates.iter().for_each(WaitGroup::done);
    router.stop().await;
}

#[actor_core::test]
async fn least_loaded_takes_an_idle_worker_before_one_at_work() {
    let router = Router::least_loaded("r", 3, worker).start().await.unwrap();
    let workers = router.workers();
    let gates = [hold(&workers[0]).await, hold(&workers[2]).await];
    // Until it sleeps, it may seem to be at work as well.
    while (0..3).any(|_| router.pick() != workers[1]) {
        yield_now().await;
    }
    gates.iter().for_each(WaitGroup::done);
    router.stop().await;
}

/// A test of workers whose handlers compute: their futures never wait. Those with a clock sleep in
/// another way.
macro_rules! workers_that_compute {
    ($kind:ident { $($clock:tt)* }) => {
        mod $kind {
            use super::*;

            struct Cruncher;

            #[actor(vis = pub(crate))]
            impl Cruncher {
                #[init]
                fn new() -> Self {
                    Cruncher
                }

                pub(crate) fn crunch(&mut self, began: mpsc::Sender<()>, end: mpsc::Receiver<()>) {
                    began.send(()).unwrap();
                    end.recv().unwrap();
                }

                pub(crate) fn nothing(&mut self) {}

                $($clock)*
            }

            #[actor_core::test]
            async fn a_worker_that_computes_is_at_work() {
                let child = |number| Cruncher::child(format!("cruncher-{number}"));
                let router = Router::least_loaded("r", 2, child).start().await.unwrap();
                let workers: Vec<CruncherRef> = router.workers();
                // Both have slept before: what they do then is another way than the first.
                for worker in &workers {
                    worker.nothing().await.unwrap();
                }
                let (began, has_begun) = mpsc::channel();
                let (end, ended) = mpsc::channel();
                workers[0].crunch(began, ended).tell().await.unwrap();
                actor_core::blocking(|| has_begun.recv()).unwrap();
                // Until it sleeps, the other one may seem to be at work as well.
                let taken = timeout(Duration::from_secs(30), async {
                    while (0..3).any(|_| router.pick() != workers[1]) {
                        yield_now().await;
                    }
                });
                taken
                    .await
                    .expect("the one that computes is taken for idle");
                end.send(()).unwrap();
                router.stop().await;
            }
        }
    };
}

workers_that_compute!(without_a_clock {});
workers_that_compute!(with_ticks {
    #[every(seconds = 3600)]
    fn tick(&mut self) {}
});
workers_that_compute!(with_a_limit {
    #[limit(seconds = 3600)]
    pub(crate) fn limited(&mut self) {}
});

#[actor_core::test]
async fn idle_workers_are_equally_loaded_and_taken_in_turn() {
    let router = Router::least_loaded("r", 3, worker).start().await.unwrap();
    // They have started, and are about to sleep.
    loop {
        let mut taken = HashMap::<ActorId, u32>::new();
        for _ in 0..9 {
            *taken.entry(router.pick().id()).or_default() += 1;
        }
        if taken.len() == 3 && taken.values().all(|n| *n == 3) {
            break;
        }
        yield_now().await;
    }
}

#[actor_core::test]
async fn a_key_has_one_worker_and_one_more_worker_moves_only_its_share_of_them() {
    const KEYS: u32 = 10_000;
    let router = Router::round_robin("r", 4, worker).start().await.unwrap();
    let place = |key: u32| router.for_key(&key).id();
    let before: Vec<_> = (0..KEYS).map(place).collect();
    assert_eq!((0..KEYS).map(place).collect::<Vec<_>>(), before);
    let mut shares = BTreeMap::<ActorId, u32>::new();
    for id in &before {
        *shares.entry(*id).or_default() += 1;
    }
    assert!(
        shares.len() == 4 && shares.values().all(|n| (2_000..3_000).contains(n)),
        "{shares:?}"
    );

    router.resize(5).await.unwrap();
    let added = router.workers()[4].id();
    let after: Vec<_> = (0..KEYS).map(place).collect();
    let moved = before.iter().zip(&after).filter(|(a, b)| a != b).count();
    assert!(
        (1_500..2_500).contains(&moved),
        "a fifth of the keys, not {moved}"
    );
    assert!(
        before
            .iter()
            .zip(&after)
            .all(|(a, b)| a == b || *b == added),
        "a key that moves goes to the new worker"
    );
    router.resize(4).await.unwrap();
    assert_eq!((0..KEYS).map(place).collect::<Vec<_>>(), before);
}

#[actor_core::test]
async fn a_broadcast_asks_all_and_answers_in_order() {
    let router = Router::round_robin("r", 4, worker).start().await.unwrap();
    let gate = hold(&router.workers()[0]).await;
    let asking = go({
        let router = router.clone();
        async move { router.broadcast(|w| w.work()).await }
    });
    // The others have answered long before the first does.
    while router.workers()[3].work().await.unwrap() < 2 {
        yield_now().await;
    }
    assert!(!asking.is_finished());
    gate.done();
    let answers = asking.await.unwrap();
    assert_eq!(answers.len(), 4);
    assert!(answers[..3].iter().all(|answer| *answer == Ok(1)));
}

#[actor_core::test]
async fn the_first_answer_wins_and_the_other_asks_are_dropped() {
    let router = Router::round_robin("r", 3, worker).start().await.unwrap();
    let gate = hold(&router.workers()[0]).await;
    let open = WaitGroup::new();
    // Worker 0 is held up, worker 2 fails.
    let found = router.first(|w| w.find(1, open.clone())).await;
    assert_eq!(found, Ok(1));
    gate.done();
    // All fail: the last error.
    let failed = router.first(|w| w.find(9, open.clone())).await.unwrap_err();
    assert!(matches!(failed, CallError::Failed(text) if text.starts_with("not at")));
}

#[actor_core::test]
async fn tell_all_reports_who_did_not_get_it() {
    let router = Router::round_robin("r", 2, worker).start().await.unwrap();
    let workers = router.workers();
    let gate = hold(&workers[0]).await;
    for _ in 0..4 {
        workers[0].work().try_tell().unwrap();
    }
    let report = router.try_tell_all(|w| w.work());
    assert_eq!(report.delivered, 1);
    assert_eq!(report.undelivered[0].actor.id(), workers[0].id());
    assert_eq!(report.undelivered[0].reason, UndeliveredReason::Full);
    let report = router
        .tell_all_within(Duration::from_millis(5), |w| w.work())
        .await;
    assert_eq!((report.delivered, report.undelivered.len()), (1, 1));
    assert_eq!(workers[1].work().await, Ok(3));
    let telling = go({
        let router = router.clone();
        async move { router.tell_all(|w| w.work()).await }
    });
    gate.done();
    let report = telling.await.unwrap();
    assert_eq!((report.delivered, report.is_complete()), (2, true));
}

#[actor_core::test]
async fn a_worker_that_crashes_is_restarted_in_its_place() {
    let router = Router::round_robin("r", 3, worker).start().await.unwrap();
    let before = router.workers();
    assert_eq!(before[1].crash().await, Err(CallError::Panicked));
    assert_eq!(before[1].life().await, Ok(2));
    assert_eq!(router.workers(), before);
    assert_eq!(numbers(&router).await, [0, 1, 2]);
}

#[actor_core::test]
async fn a_worker_that_has_ended_for_good_is_passed_over() {
    let make = |n| worker(n).restart(Restart::Temporary);
    let router = Router::round_robin("r", 3, make).start().await.unwrap();
    let gone = router.workers()[1].clone();
    drop(gone.stop());
    gone.wait().await;
    for _ in 0..6 {
        let picked = router.pick();
        assert_ne!(picked, gone);
        picked.work().await.unwrap();
    }
    // Shrinking over it is fine.
    router.resize(1).await.unwrap();
    assert_eq!(numbers(&router).await, [0]);
}

#[actor_core::test]
async fn it_grows_and_shrinks_at_run_time_and_shrinking_drains() {
    let router = Router::round_robin("r", 2, worker).start().await.unwrap();
    router.resize(4).await.unwrap();
    assert_eq!(numbers(&router).await, [0, 1, 2, 3]);
    let last = router.workers()[3].clone();
    let gate = hold(&last).await;
    let queued = go({
        let last = last.clone();
        async move { last.work().await }
    });
    while last.mailbox_len() == 0 {
        yield_now().await;
    }
    let shrinking = go({
        let router = router.clone();
        async move { router.resize(1).await }
    });
    while router.workers().len() > 1 {
        yield_now().await;
    }
    assert!(!shrinking.is_finished(), "it waits for what is queued");
    for _ in 0..4 {
        assert_eq!(router.pick().number().await, Ok(0), "chosen no more");
    }
    gate.done();
    assert_eq!(queued.await.unwrap(), Ok(1), "handled before the end");
    shrinking.await.unwrap().unwrap();
    assert!(last.is_stopped());
    assert_eq!(
        router.supervisor().which_children().await.unwrap().len(),
        2,
        "worker and router"
    );
    router.resize(3).await.unwrap();
    assert_eq!(numbers(&router).await, [0, 1, 2]);
}

#[actor_core::test]
async fn a_resize_goes_on_when_its_future_is_dropped() {
    let router = Router::round_robin("r", 1, worker).start().await.unwrap();
    let resizing = go({
        let router = router.clone();
        async move { router.resize(5).await }
    });
    while router.workers().len() == 1 {
        yield_now().await;
    }
    resizing.abort();
    while router.workers().len() < 5 {
        yield_now().await;
    }
    assert_eq!(numbers(&router).await, [0, 1, 2, 3, 4]);
}

#[actor_core::test]
async fn a_worker_that_cannot_be_added_leaves_those_that_could() {
    let taken = Worker::start(99).await.unwrap();
    registry::register(&taken, "worker 3").unwrap();
    let make = |n| worker(n).register(format!("worker {n}"));
    let router = Router::round_robin("r", 2, make).start().await.unwrap();
    let error = router.resize(5).await.unwrap_err();
    let ResizeError::Child(ChildError::StartFailed(error)) = &error else {
        panic!("{error:?}");
    };
    assert!(matches!(error.reason(), ExitReason::NameTaken { .. }));
    assert_eq!(numbers(&router).await, [0, 1, 2]);
}

#[actor_core::test]
async fn a_router_that_is_restarted_has_its_first_workers_again() {
    let router = Router::round_robin("r", 2, worker).intensity(0, Duration::from_secs(600));
    let handle = router.handle();
    let app = Supervisor::one_for_one("app")
        .child(router)
        .start()
        .await
        .unwrap();
    let first = handle.workers();
    handle.resize(4).await.unwrap();
    let added = handle.workers()[3].clone();
    // One crash is too much for it; its parent starts it again.
    assert_eq!(first[0].crash().await, Err(CallError::Panicked));
    added.wait().await;
    // Between the two starts of the router they are stopped, as children of any supervisor.
    while first[1].life().await != Ok(2) {
        yield_now().await;
    }
    assert_eq!(first[0].life().await, Ok(2));
    assert_eq!(handle.workers(), first);
    handle.resize(3).await.unwrap();
    assert_eq!(numbers(&handle).await, [0, 1, 2]);
    app.stop().await;
}

#[actor_core::test]
async fn two_workers_with_one_id_are_an_error_of_the_start() {
    let router = Router::round_robin("r", 2, |_| worker(0));
    let error = router.start().await.unwrap_err();
    assert_eq!(error.failed_child(), Some("worker-0"));
}

#[actor_core::test]
async fn a_router_that_is_stopped_says_so() {
    let router = Router::round_robin("r", 2, worker).start().await.unwrap();
    router.stop().await;
    assert_eq!(router.pick().work().await, Err(CallError::Stopped));
    assert_eq!(router.for_key("k").work().await, Err(CallError::Stopped));
    let stopped = vec![Err(CallError::Stopped); 2];
    assert_eq!(router.broadcast(|w| w.work()).await, stopped);
    assert_eq!(router.first(|w| w.work()).await, Err(CallError::Stopped));
    let report = router.tell_all(|w| w.work()).await;
    assert_eq!(report.delivered, 0);
    assert!(
        report
            .undelivered
            .iter()
            .all(|u| u.reason == UndeliveredReason::Stopped)
    );
    let refused = ResizeError::Child(ChildError::SupervisorStopped);
    assert_eq!(router.resize(3).await, Err(refused));
}

#[actor_core::test]
async fn a_resize_to_zero_is_refused() {
    let router = Router::round_robin("r", 2, worker).start().await.unwrap();
    assert_eq!(router.resize(0).await, Err(ResizeError::Zero));
    assert_eq!(numbers(&router).await, [0, 1]);
    let pool = WorkPool::new("p", 1, 1, |(): ()| async {})
        .start()
        .await
        .unwrap();
    assert_eq!(pool.resize(0).await, Err(ResizeError::Zero));
}

#[test]
#[should_panic(expected = "the router \"empty\" has no workers: give it at least one")]
fn a_router_without_workers_is_refused() {
    let _ = Router::round_robin("empty", 0, worker);
}

#[test]
#[should_panic(expected = "the pool \"empty\" has no workers: give it at least one")]
fn a_pool_without_workers_is_refused() {
    let _ = WorkPool::new("empty", 0, 1, |(): ()| async {});
}

#[actor_core::test(procs = 4)]
async fn each_job_goes_to_exactly_one_worker_of_a_pool() {
    const JOBS: usize = 2_000;
    let counts: Arc<Vec<AtomicU32>> = Arc::new((0..JOBS).map(|_| AtomicU32::new(0)).collect());
    let pool = WorkPool::new("p", 4, 8, {
        let counts = Arc::clone(&counts);
        move |n: usize| {
            let counts = Arc::clone(&counts);
            async move {
                counts[n].fetch_add(1, Ordering::SeqCst);
                yield_now().await;
                assert!(n % 10 != 3, "a bad job");
                n * 2
            }
        }
    });
    let pool = pool.start().await.unwrap();
    let submitters: Vec<_> = (0..4)
        .map(|part| {
            let pool = pool.clone();
            go(async move {
                for n in (part..JOBS).step_by(4) {
                    let wanted = if n % 10 == 3 {
                        Err(CallError::Panicked)
                    } else {
                        Ok(n * 2)
                    };
                    assert_eq!(pool.run(n).await, wanted);
                }
            })
        })
        .collect();
    for submitter in submitters {
        submitter.await.unwrap();
    }
    assert!(counts.iter().all(|count| count.load(Ordering::SeqCst) == 1));
    let children = pool.supervisor().count_children().await.unwrap();
    assert_eq!(children.active, 4, "a panic costs the job, not the worker");
    pool.stop().await;
}

/// A pool of gates: each job says that it has begun and waits until it may end.
fn gates(workers: usize, capacity: usize) -> WorkPool<(WaitGroup, WaitGroup), ()> {
    WorkPool::new(
        "gates",
        workers,
        capacity,
        |(begun, gate): (WaitGroup, WaitGroup)| async move {
            begun.done();
            gate.wait().await;
        },
    )
}

#[actor_core::test]
async fn workers_share_the_channel_so_that_a_long_job_holds_up_no_other() {
    let pool = gates(2, 8).start().await.unwrap();
    let (begun, long) = (closed(), closed());
    let slow = go({
        let (pool, begun, long) = (pool.clone(), begun.clone(), long.clone());
        async move { pool.run((begun, long)).await }
    });
    begun.wait().await;
    for _ in 0..20 {
        assert_eq!(pool.run((closed(), WaitGroup::new())).await, Ok(()));
    }
    assert!(!slow.is_finished());
    long.done();
    assert_eq!(slow.await.unwrap(), Ok(()));
}

#[actor_core::test]
async fn a_full_pool_gives_the_job_back_and_grows_when_told_to() {
    let pool = gates(1, 1).start().await.unwrap();
    let (begun, gate) = (closed(), closed());
    pool.submit((begun.clone(), gate.clone())).await.unwrap();
    begun.wait().await;
    let waits = closed();
    pool.try_submit((waits.clone(), gate.clone())).unwrap();
    assert_eq!(pool.waiting(), 1);
    let refused = pool.try_submit((closed(), gate.clone())).unwrap_err();
    assert!(refused.to_string().contains("full"), "{refused}");
    pool.resize(2).await.unwrap();
    // The second worker has taken what waited.
    waits.wait().await;
    assert_eq!(pool.waiting(), 0);
    gate.done();
    pool.resize(1).await.unwrap();
    assert_eq!(pool.supervisor().count_children().await.unwrap().active, 1);
    assert_eq!(pool.run((closed(), WaitGroup::new())).await, Ok(()));
}

#[actor_core::test]
async fn a_stopped_pool_has_done_what_waited_and_refuses_more() {
    let pool = gates(1, 8).start().await.unwrap();
    let (begun, gate) = (closed(), closed());
    pool.submit((begun.clone(), gate.clone())).await.unwrap();
    begun.wait().await;
    let waits = closed();
    pool.submit((waits.clone(), WaitGroup::new()))
        .await
        .unwrap();
    let stopping = pool.stop();
    gate.done();
    stopping.await;
    waits.wait().await;
    assert_eq!(
        pool.run((closed(), WaitGroup::new())).await,
        Err(CallError::Stopped)
    );
    assert!(pool.submit((closed(), WaitGroup::new())).await.is_err());
    let refused = ResizeError::Child(ChildError::SupervisorStopped);
    assert_eq!(pool.resize(3).await, Err(refused));
}

#[test]
fn a_thread_that_runs_no_goroutines_can_use_a_pool() {
    let rt = actor_core::Runtime::new().unwrap();
    let pool = WorkPool::new("p", 1, 1, |n: u32| async move { n + 1 });
    let pool = rt.block_on(pool.start()).unwrap();
    assert_eq!(pool.run_blocking(1), Ok(2));
    drop(rt);
    assert_eq!(pool.run_blocking(1), Err(CallError::Stopped));
}

#[actor_core::test]
async fn a_killed_pool_tells_those_who_wait_for_results() {
    let pool = gates(1, 8).start().await.unwrap();
    let (begun, gate) = (closed(), closed());
    let in_work = go({
        let (pool, job) = (pool.clone(), (begun.clone(), gate.clone()));
        async move { pool.run(job).await }
    });
    begun.wait().await;
    let waiting = go({
        let (pool, job) = (pool.clone(), (closed(), gate.clone()));
        async move { pool.run(job).await }
    });
    while pool.waiting() == 0 {
        yield_now().await;
    }
    pool.supervisor().kill().await;
    assert_eq!(in_work.await.unwrap(), Err(CallError::Stopped));
    assert_eq!(waiting.await.unwrap(), Err(CallError::Stopped));
}

#[actor_core::test]
async fn a_pool_that_was_never_started_refuses_when_it_is_dropped() {
    let pool = gates(2, 8);
    let handle = pool.handle();
    let waiting = go({
        let (handle, job) = (handle.clone(), (closed(), WaitGroup::new()));
        async move { handle.run(job).await }
    });
    while handle.waiting() == 0 {
        yield_now().await;
    }
    drop(pool);
    assert_eq!(waiting.await.unwrap(), Err(CallError::Stopped));
}
