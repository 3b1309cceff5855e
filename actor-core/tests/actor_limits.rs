//! Time limits of handlers, and the reports about handlers that wait too long.

mod probe;

use std::{sync::Arc, time::Duration};

use actor_core::{
    Instant,
    actor::{self, ActorId, Batch, CallError, ExitReason, Reports, WedgedReport},
    chan::{self, Receiver},
    prelude::*,
    sync::Mutex,
};
use probe::{Log, run};

const LIMIT: Duration = Duration::from_millis(20);

fn timed_out(message: &str) -> ExitReason {
    ExitReason::TimedOut {
        message: message.into(),
        limit: LIMIT,
    }
}

struct Limited {
    log: Log,
}

#[actor(name = "limited", vis = pub(crate))]
impl Limited {
    #[init]
    fn new(log: Log) -> Self {
        Self { log }
    }

    #[limit(millis = 20)]
    pub async fn hang(&mut self) {
        std::future::pending::<()>().await;
    }

    #[limit(minutes = 5)]
    pub async fn quick(&mut self) -> u32 {
        yield_now().await;
        7
    }

    #[limit(seconds = 1)]
    pub async fn short(&mut self) {
        yield_now().await;
    }

    pub async fn unlimited(&mut self, time: Duration) {
        sleep(time).await;
    }

    pub fn note(&mut self, text: &'static str) {
        self.log.add(text);
    }

    #[stopped]
    fn close(self) {
        self.log.add("stopped");
    }
}

impl Drop for Limited {
    fn drop(&mut self) {
        self.log.add("dropped");
    }
}

#[test]
fn a_handler_over_its_limit_is_cancelled_its_asker_told_and_the_state_dropped() {
    run(async {
        let log = Log::default();
        let limited = Limited::start(log.clone()).await.unwrap();
        let crashes = actor::crash_reports();
        let asked = Instant::now();
        assert_eq!(limited.hang().await, Err(CallError::TimedOut));
        assert!(asked.elapsed() >= LIMIT, "not before the time");
        let reason = limited.wait().await;
        assert_eq!(reason, timed_out("hang"));
        assert!(!reason.is_orderly());
        assert_eq!(
            log.take(),
            ["dropped"],
            "no stop hook: the state may be half changed"
        );
        loop {
            let report = crashes.next().await;
            if report.id == limited.id() {
                assert_eq!(
                    (report.handler, &report.reason),
                    ("hang", &timed_out("hang"))
                );
                break;
            }
        }
    });
}

#[test]
fn a_supervisor_starts_it_again_and_what_is_queued_is_handled_by_the_next() {
    run(async {
        let log = Log::default();
        let child = Limited::child("limited", log.clone());
        let limited = child.handle();
        let app = Supervisor::one_for_one("app")
            .child(child)
            .start()
            .await
            .unwrap();
        limited.hang().tell().await.unwrap();
        limited.note("queued").tell().await.unwrap();
        log.seen("queued", 1).await;
        assert_eq!(log.take(), ["dropped", "queued"]);
        app.stop().await;
    });
}

#[test]
fn each_message_has_its_own_time_and_those_without_a_limit_any() {
    run(async {
        let limited = Limited::start(Log::default()).await.unwrap();
        assert_eq!(limited.quick().await, Ok(7));
        // Together longer than the limit of one.
        let started = Instant::now();
        while started.elapsed() < Duration::from_millis(1200) {
            assert_eq!(limited.short().await, Ok(()));
        }
        assert_eq!(limited.unlimited(3 * LIMIT).await, Ok(()));
        assert_eq!(limited.hang().await, Err(CallError::TimedOut));
    });
}

/// Everything but `patient` within 20 ms.
struct Strict;

#[actor(handler_limit = millis(20), vis = pub(crate))]
impl Strict {
    #[init]
    fn new() -> Self {
        Self
    }

    pub async fn hang(&mut self) {
        std::future::pending::<()>().await;
    }

    #[limit(minutes = 10)]
    pub async fn patient(&mut self) {
        sleep(3 * LIMIT).await;
    }
}

#[test]
fn an_actors_limit_holds_for_every_message_that_has_none_of_its_own() {
    run(async {
        let strict = Strict::start().await.unwrap();
        assert_eq!(strict.patient().await, Ok(()));
        assert_eq!(strict.hang().await, Err(CallError::TimedOut));
        assert_eq!(strict.wait().await, timed_out("hang"));
    });
}

struct SlowTick;

#[actor(handler_limit = millis(20), vis = pub(crate))]
impl SlowTick {
    #[init]
    fn new() -> Self {
        Self
    }

    #[every(millis = 1)]
    async fn tick(&mut self) {
        std::future::pending::<()>().await;
    }
}

#[test]
fn an_actors_limit_holds_for_ticks() {
    run(async {
        let slow = SlowTick::start().await.unwrap();
        assert_eq!(slow.wait().await, timed_out("#[every]"));
    });
}

/// Waits in several ways.
struct Waiter {
    never: Receiver<u32>,
    lock: Arc<Mutex<u32>>,
}

#[actor(name = "waiter", wedged_after = millis(20), vis = pub(crate))]
impl Waiter {
    #[init]
    fn new(never: Receiver<u32>, lock: Arc<Mutex<u32>>) -> Self {
        Self { never, lock }
    }

    pub async fn receive(&mut self) -> Option<u32> {
        self.never.recv().await
    }

    pub async fn lock(&mut self) {
        *self.lock.lock().await += 1;
    }

    #[limit(minutes = 5)]
    pub async fn receive_within(&mut self) -> Option<u32> {
        self.never.recv().await
    }

    pub async fn quick(&mut self) {
        yield_now().await;
    }
}

/// The same, but not to be reported.
struct Hidden(Receiver<u32>);

#[actor(name = "hidden", wedged_after = seconds(0), vis = pub(crate))]
impl Hidden {
    #[init]
    fn new(never: Receiver<u32>) -> Self {
        Self(never)
    }

    pub async fn receive(&mut self) -> Option<u32> {
        self.0.recv().await
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
fn a_handler_that_waits_too_long_is_reported_with_what_it_waits_for() {
    run(async {
        let reports = actor::wedged_reports();
        let (give, never) = chan::rendezvous();
        let lock = Arc::new(Mutex::new(0));
        let waiter = Waiter::start(never, Arc::clone(&lock)).await.unwrap();

        waiter.receive().tell().await.unwrap();
        waiter.quick().tell().await.unwrap();
        let report = next_of(&reports, waiter.id()).await;
        assert_eq!((&*report.actor, report.handler), ("waiter", "receive"));
        assert!(report.waiting >= Duration::from_millis(20));
        assert!(
            report.waits_for.starts_with("chan receive, channel at 0x"),
            "{report}"
        );
        assert_eq!((report.incarnation, report.mailbox_len), (1, 1));
        give.send(1).await.unwrap();

        // With a limit it is still the channel, not the limit's own timer.
        waiter.receive_within().tell().await.unwrap();
        let report = next_of(&reports, waiter.id()).await;
        assert_eq!(report.handler, "receive_within");
        assert!(report.waits_for.starts_with("chan receive"), "{report}");
        give.send(2).await.unwrap();

        let held = lock.lock().await;
        waiter.lock().tell().await.unwrap();
        let report = next_of(&reports, waiter.id()).await;
        assert_eq!(report.handler, "lock");
        assert!(
            report.waits_for.starts_with("mutex lock, mutex at 0x"),
            "{report}"
        );
        drop(held);
        assert_eq!(waiter.quick().await, Ok(()), "a report changes nothing");
    });
}

#[test]
fn one_wait_is_reported_once_and_short_or_hidden_ones_never() {
    run(async {
        let reports = actor::wedged_reports();
        let (_give, never) = chan::rendezvous();
        let lock = Arc::new(Mutex::new(0));
        let start = || Waiter::start(never.clone(), Arc::clone(&lock));
        let quick = start().await.unwrap();
        let hidden = Hidden::start(never.clone()).await.unwrap();
        hidden.receive().tell().await.unwrap();
        let first = start().await.unwrap();
        first.receive().tell().await.unwrap();
        next_of(&reports, first.id()).await;
        assert_eq!(quick.quick().await, Ok(()));
        // Others that begin to wait now are reported after any second report of the first.
        for _ in 0..3 {
            let other = start().await.unwrap();
            other.receive().tell().await.unwrap();
            loop {
                let report = reports.next().await;
                assert!(
                    ![first.id(), quick.id(), hidden.id()].contains(&report.id),
                    "{report}"
                );
                if report.id == other.id() {
                    break;
                }
            }
        }
    });
}

#[test]
fn each_incarnation_that_waits_too_long_is_reported() {
    run(async {
        let reports = actor::wedged_reports();
        let (_give, never) = chan::rendezvous();
        let child = Waiter::child("waiter", never, Arc::default());
        let waiter = child.handle();
        let app = Supervisor::one_for_one("app").child(child);
        let app = app.start().await.unwrap();
        for incarnation in 1..=2 {
            waiter.receive().tell().await.unwrap();
            let report = next_of(&reports, waiter.id()).await;
            assert_eq!(report.incarnation, incarnation);
            waiter.kill().await;
        }
        app.stop().await;
    });
}

#[test]
fn a_deadlock_is_found_although_a_handler_waits_and_is_watched() {
    let deadlock = || {
        let panic = actor_core::DeadlockPolicy::Panic;
        let rt = actor_core::Runtime::builder().on_deadlock(panic).build();
        rt.unwrap().run(async {
            let (_give, never) = chan::rendezvous();
            let lock = Arc::new(Mutex::new(0));
            let waiter = Waiter::start(never, lock).await.unwrap();
            waiter.receive().await
        })
    };
    let told = std::thread::Builder::new()
        .name("deadlocked".into())
        .spawn(deadlock)
        .unwrap()
        .join()
        .unwrap_err();
    let report = told.downcast::<String>().unwrap();
    assert!(report.contains("all goroutines are asleep"), "{report}");
}

#[test]
fn a_wait_of_an_actor_that_was_killed_is_forgotten() {
    run(async {
        let reports = actor::wedged_reports();
        let (_give, never) = chan::rendezvous();
        let lock = Arc::new(Mutex::new(0));
        let killed = Waiter::start(never.clone(), Arc::clone(&lock))
            .await
            .unwrap();
        killed.receive().tell().await.unwrap();
        while killed.mailbox_len() > 0 {
            yield_now().await;
        }
        killed.kill().await;
        let other = Waiter::start(never, lock).await.unwrap();
        other.receive().tell().await.unwrap();
        loop {
            // Too late for the kill is only a report that was made before it.
            let report = reports.next().await;
            if report.id == other.id() {
                break;
            }
        }
        assert!(
            reports
                .try_next()
                .is_none_or(|report| report.id != killed.id())
        );
    });
}

/// Concurrent handlers and batches with limits.
struct Crowd;

#[actor(name = "crowd", wedged_after = millis(20), vis = pub(crate))]
impl Crowd {
    #[init]
    fn new(_never: Receiver<u32>) -> Self {
        Self
    }

    #[concurrent]
    #[limit(millis = 20)]
    pub async fn hang(&self) {
        std::future::pending::<()>().await;
    }

    #[concurrent]
    pub async fn receive(&self, from: Receiver<u32>) -> Option<u32> {
        from.recv().await
    }

    #[concurrent]
    #[limit(minutes = 5)]
    pub async fn receive_within(&self, from: Receiver<u32>) -> Option<u32> {
        from.recv().await
    }

    #[concurrent]
    #[limit(minutes = 5)]
    pub async fn yield_then_lock(&self, lock: Arc<Mutex<u32>>) {
        yield_now().await;
        *lock.lock().await += 1;
    }

    #[batch]
    #[limit(millis = 20)]
    pub async fn hang_together(&mut self, all: &mut Batch<u32>) {
        let _ = all.len();
        std::future::pending::<()>().await;
    }

    pub fn pipe_hang(&mut self, ctx: &Ctx<Self>) {
        ctx.pipe(async {}, |me, ()| me.hang());
    }

    pub fn pipe_hang_together(&mut self, ctx: &Ctx<Self>) {
        ctx.pipe(async {}, |me, ()| me.hang_together(1));
    }
}

async fn crowd() -> CrowdRef {
    Crowd::start(chan::rendezvous().1).await.unwrap()
}

#[test]
fn a_concurrent_handler_over_its_limit_ends_them_all_and_each_asker_is_told() {
    run(async {
        let crowd = crowd().await;
        let (_give, never) = chan::rendezvous();
        let (other, patient) = (crowd.clone(), crowd.clone());
        let (from, slowly) = (never.clone(), never);
        let received = go(async move { other.receive(from).await });
        let within = go(async move { patient.receive_within(slowly).await });
        let asked = Instant::now();
        assert_eq!(crowd.hang().await, Err(CallError::TimedOut));
        assert!(asked.elapsed() >= LIMIT, "not before the time");
        assert_eq!(received.await.unwrap(), Err(CallError::Stopped));
        assert_eq!(within.await.unwrap(), Err(CallError::Stopped));
        assert_eq!(crowd.wait().await, timed_out("hang"));
    });
}

#[test]
fn concurrent_handlers_within_their_limits_go_on() {
    run(async {
        let crowd = crowd().await;
        let (give, from) = chan::rendezvous();
        let (one, two) = (crowd.clone(), crowd.clone());
        let from_too = from.clone();
        let first = go(async move { one.receive_within(from).await });
        let second = go(async move { two.receive(from_too).await });
        sleep(2 * LIMIT).await;
        give.send(1).await.unwrap();
        give.send(2).await.unwrap();
        let both = [first.await.unwrap(), second.await.unwrap()];
        assert!(both.contains(&Ok(Some(1))) && both.contains(&Ok(Some(2))));
        assert!(!crowd.is_stopped());
    });
}

#[test]
fn a_limit_holds_for_batches_and_for_what_comes_from_beside() {
    run(async {
        let ends = [(0, "hang_together"), (1, "hang_together"), (2, "hang")];
        for (how, handler) in ends {
            let crowd = crowd().await;
            match how {
                0 => drop(crowd.hang_together(1).tell().await),
                1 => crowd.pipe_hang_together().await.unwrap(),
                _ => crowd.pipe_hang().await.unwrap(),
            }
            assert_eq!(crowd.wait().await, timed_out(handler), "{how}");
        }
    });
}

#[test]
fn each_concurrent_handler_that_waits_too_long_is_reported() {
    run(async {
        let reports = actor::wedged_reports();
        let crowd = crowd().await;
        let (give, never) = chan::rendezvous();
        crowd.receive(never.clone()).tell().await.unwrap();
        crowd.receive_within(never).tell().await.unwrap();
        let mut handlers = Vec::new();
        for _ in 0..2 {
            let report = next_of(&reports, crowd.id()).await;
            assert!(report.waits_for.starts_with("chan receive"), "{report}");
            handlers.push(report.handler);
        }
        handlers.sort_unstable();
        assert_eq!(handlers, ["receive", "receive_within"]);
        give.send(1).await.unwrap();
        give.send(2).await.unwrap();
    });
}

#[test]
fn what_a_concurrent_handler_with_a_limit_waits_for_is_what_it_waits_for_last() {
    run(async {
        let reports = actor::wedged_reports();
        let crowd = crowd().await;
        let lock = Arc::new(Mutex::new(0));
        for attempt in 1.. {
            let held = lock.lock().await;
            crowd.yield_then_lock(lock.clone()).tell().await.unwrap();
            let report = next_of(&reports, crowd.id()).await;
            drop(held);
            if report.waits_for.starts_with("mutex lock") {
                break;
            }
            // On a machine that has come to a halt it may have been seen before it waits for the lock.
            assert!(attempt < 20, "{report}");
        }
    });
}
