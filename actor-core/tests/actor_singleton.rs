//! `#[actor(singleton)]`: one per runtime, however many ask, and what a failing start means.

use std::future::{Future, poll_fn};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::Poll;

use actor_core::actor::{ExitReason, registry};
use actor_core::prelude::*;

struct Metrics {
    hits: u64,
}

/// For one test only: the tests of a file share it, and have a `Metrics` each.
static METRICS_INITS: AtomicU32 = AtomicU32::new(0);

#[actor(singleton)]
impl Metrics {
    #[init]
    async fn new() -> Self {
        METRICS_INITS.fetch_add(1, Ordering::SeqCst);
        // Others get in between.
        for _ in 0..20 {
            yield_now().await;
        }
        Metrics { hits: 0 }
    }

    pub fn hit(&mut self) -> u64 {
        self.hits += 1;
        self.hits
    }
}

#[actor_core::test(procs = 4)]
async fn however_many_race_it_is_started_once() {
    let racers: Vec<_> = (0..100)
        .map(|_| go(async { Metrics::instance().await.unwrap() }))
        .collect();
    let mut handles = Vec::new();
    for racer in racers {
        handles.push(racer.await.unwrap());
    }
    assert_eq!(METRICS_INITS.load(Ordering::SeqCst), 1);
    assert!(handles.iter().all(|handle| *handle == handles[0]));
    for (n, handle) in (1..).zip(&handles) {
        assert_eq!(handle.hit().await, Ok(n));
    }
}

struct Fragile;

#[actor(singleton, name = "fragile")]
impl Fragile {
    #[init]
    fn new(ctx: &Ctx<Self>) -> Self {
        assert_eq!(ctx.name(), "fragile");
        Fragile
    }

    pub fn life(&self, ctx: &Ctx<Self>) -> u64 {
        ctx.incarnation()
    }

    pub fn crash(&self) {
        panic!("asked to");
    }
}

#[actor_core::test]
async fn after_a_crash_it_is_up_again_and_the_handle_stays() {
    let fragile = Fragile::instance().await.unwrap();
    assert_eq!(fragile.life().await, Ok(1));
    assert_eq!(fragile.crash().await, Err(CallError::Panicked));
    assert_eq!(fragile.life().await, Ok(2));
    assert_eq!(Fragile::instance().await.unwrap(), fragile);
}

struct Neighbour;

#[actor(singleton)]
impl Neighbour {
    #[init]
    fn new() -> Self {
        Neighbour
    }
}

#[actor_core::test]
async fn one_that_crashed_too_often_is_replaced_at_the_next_call() {
    let fragile = Fragile::instance().await.unwrap();
    let neighbour = Neighbour::instance().await.unwrap();
    for _ in 0..4 {
        assert_eq!(fragile.crash().await, Err(CallError::Panicked));
    }
    fragile.wait().await;
    let next = Fragile::instance().await.unwrap();
    assert_ne!(next, fragile);
    assert_eq!(next.life().await, Ok(1));
    assert!(!neighbour.is_stopped(), "the others are not touched");
}

#[actor_core::test]
async fn it_is_registered_by_the_name_of_its_type() {
    let fragile = Fragile::instance().await.unwrap();
    let name = std::any::type_name::<Fragile>();
    assert_eq!(registry::whereis::<Fragile>(name).unwrap(), fragile);
}

struct Moody;

static MOODY_FAILS: AtomicBool = AtomicBool::new(true);
static MOODY_INITS: AtomicU32 = AtomicU32::new(0);

#[actor(singleton)]
impl Moody {
    #[init]
    async fn new() -> Result<Self, String> {
        MOODY_INITS.fetch_add(1, Ordering::SeqCst);
        for _ in 0..20 {
            yield_now().await;
        }
        if MOODY_FAILS.load(Ordering::SeqCst) {
            return Err("not today".into());
        }
        Ok(Moody)
    }

    pub fn hello(&self) {}
}

#[actor_core::test(procs = 1)]
async fn every_racer_gets_the_error_of_a_failing_init_and_a_later_call_tries_again() {
    let mut racers: Vec<_> = (0..10).map(|_| Box::pin(Moody::instance())).collect();
    // All have asked before any is answered: nothing else runs on this runtime's one processor.
    poll_fn(|cx| {
        for racer in &mut racers {
            assert!(racer.as_mut().poll(cx).is_pending());
        }
        Poll::Ready(())
    })
    .await;
    for racer in racers {
        let error = racer.await.unwrap_err();
        assert_eq!(error.name(), "Moody");
        let message = "not today".to_owned();
        assert_eq!(error.reason(), &ExitReason::InitFailed { message });
    }
    let failed = MOODY_INITS.load(Ordering::SeqCst);
    assert!(failed < 10, "the start is shared, and so is its error");
    MOODY_FAILS.store(false, Ordering::SeqCst);
    let moody = Moody::instance().await.unwrap();
    assert_eq!(moody.hello().await, Ok(()));
    assert_eq!(MOODY_INITS.load(Ordering::SeqCst), failed + 1);
}

struct Slow;

static SLOW_INITS: AtomicU32 = AtomicU32::new(0);
static SLOW_MAY_GO_ON: AtomicBool = AtomicBool::new(false);

#[actor(singleton)]
impl Slow {
    #[init]
    async fn new() -> Self {
        SLOW_INITS.fetch_add(1, Ordering::SeqCst);
        while !SLOW_MAY_GO_ON.load(Ordering::SeqCst) {
            yield_now().await;
        }
        Slow
    }
}

#[actor_core::test]
async fn a_start_goes_on_when_the_caller_that_began_it_is_dropped() {
    let first = go(Slow::instance());
    while SLOW_INITS.load(Ordering::SeqCst) == 0 {
        yield_now().await;
    }
    first.abort();
    assert!(first.await.is_err());
    let second = go(Slow::instance());
    SLOW_MAY_GO_ON.store(true, Ordering::SeqCst);
    let slow = second.await.unwrap().unwrap();
    assert!(!slow.is_stopped());
    assert_eq!(SLOW_INITS.load(Ordering::SeqCst), 1);
}

struct Local;

#[actor(singleton)]
impl Local {
    #[init]
    fn new() -> Self {
        Local
    }

    pub fn hello(&self) {}
}

#[test]
fn each_runtime_has_its_own_and_a_stop_of_the_runtime_ends_it() {
    let one = actor_core::Runtime::new().unwrap();
    let two = actor_core::Runtime::new().unwrap();
    let a = one.block_on(Local::instance()).unwrap();
    let b = two.block_on(Local::instance()).unwrap();
    assert_ne!(a, b);
    drop(one);
    assert!(a.is_stopped());
    assert!(!b.is_stopped());
    assert_eq!(two.block_on(Local::instance()).unwrap(), b);
    assert_eq!(two.block_on(async { b.hello().await }), Ok(()));
}
