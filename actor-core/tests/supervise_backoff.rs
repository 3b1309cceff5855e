//! Restarts that wait: backoff, the circuit breaker, and what a restart does to the mailbox.
//!
//! Delays that must not end during a test are long ones, which the test then calls off; of short
//! ones only the lower bound is asserted.

mod probe;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use actor_core::{
    actor::{ActorRef, CallError, ExitReason, dead_letters},
    sched::{Instant, sleep, yield_now},
    supervise::{
        Child, ChildError, ChildSpec, ChildState, Health, OnRestart, Supervisor, SupervisorRef,
    },
};
use probe::{Args, Gate, Log, Probe, run};

const MS: Duration = Duration::from_millis(1);
const LONG: Duration = Duration::from_secs(600);

struct Kid {
    child: Child<Probe>,
    handle: ActorRef<Probe>,
    errors: Arc<Mutex<u32>>,
}

fn kid(id: &'static str, log: &Log) -> Kid {
    let args = Args::new(id, log);
    let errors = Arc::clone(&args.init_errors);
    let child = Child::<Probe>::new(id, move || args.clone());
    let handle = child.handle();
    Kid {
        child,
        handle,
        errors,
    }
}

async fn crash(handle: &ActorRef<Probe>) {
    assert_eq!(Probe::panic(handle).await, Err(CallError::Panicked));
}

async fn until_state(app: &SupervisorRef, id: &str, state: ChildState) {
    while app.which_child(id).await.unwrap().state != state {
        yield_now().await;
    }
}

/// A supervisor whose child "a" has crashed and backs off for ages.
async fn backing_off(log: &Log) -> (SupervisorRef, ActorRef<Probe>) {
    let a = kid("a", log);
    let app = Supervisor::one_for_one("app").child(a.child.backoff(LONG..2 * LONG));
    let app = app.child(kid("b", log).child).start().await.unwrap();
    crash(&a.handle).await;
    until_state(&app, "a", ChildState::Restarting).await;
    (app, a.handle)
}

#[test]
fn a_restart_comes_after_the_delay_and_messages_wait_for_it() {
    run(async {
        let log = Log::default();
        let a = kid("a", &log);
        let app = Supervisor::one_for_one("app").child(a.child.backoff(20 * MS..LONG));
        let app = app.start().await.unwrap();
        let crashed = Instant::now();
        crash(&a.handle).await;
        assert_eq!(Probe::life(&a.handle).await, Ok(2));
        let took = crashed.elapsed();
        assert!(took >= 20 * MS, "{took:?}");
        app.stop().await;
    });
}

#[test]
fn each_further_delay_is_longer() {
    run(async {
        let log = Log::default();
        let a = kid("a", &log);
        let app = Supervisor::one_for_one("app").child(a.child.backoff(4 * MS..LONG));
        let app = app.intensity(10, LONG).start().await.unwrap();
        for life in 1..=4 {
            let crashed = Instant::now();
            crash(&a.handle).await;
            assert_eq!(Probe::life(&a.handle).await, Ok(life + 1));
            let (took, at_least) = (crashed.elapsed(), 4 * MS * (1 << (life - 1)));
            assert!(took >= at_least, "{took:?} before life {life}");
        }
        app.stop().await;
    });
}

/// In virtual time, so that the delays are exact.
#[actor_core::test(sim, seeds = 100)]
async fn delays_double_up_to_the_longest_and_begin_anew_when_it_has_run_that_long() {
    let log = Log::default();
    let (a, longest) = (kid("a", &log), 80 * MS);
    let app = Supervisor::one_for_one("app").child(a.child.backoff(10 * MS..longest));
    let app = app.intensity(100, LONG).start().await.unwrap();
    let almost = longest - Duration::from_nanos(1);
    let runs = [
        (Duration::ZERO, 10, 20),
        (Duration::ZERO, 20, 40),
        (Duration::ZERO, 40, 80),
        (Duration::ZERO, 40, 80),
        (almost, 40, 80),
        (longest, 10, 20),
        (Duration::ZERO, 20, 40),
    ];
    for (life, (ran, least, most)) in (2..).zip(runs) {
        sleep(ran).await;
        let crashed = Instant::now();
        crash(&a.handle).await;
        assert_eq!(Probe::life(&a.handle).await, Ok(life));
        let took = crashed.elapsed();
        assert!(
            (least * MS..=most * MS).contains(&took),
            "{took:?} before life {life}"
        );
    }
    app.stop().await;
}

#[test]
fn the_supervisors_backoff_is_for_children_without_their_own() {
    run(async {
        let log = Log::default();
        let (a, b) = (kid("a", &log), kid("b", &log));
        let app = Supervisor::one_for_one("app")
            .backoff(LONG..2 * LONG)
            .child(a.child)
            .child(b.child.backoff(MS..2 * MS));
        let app = app.start().await.unwrap();
        crash(&b.handle).await;
        assert_eq!(Probe::life(&b.handle).await, Ok(2));
        crash(&a.handle).await;
        until_state(&app, "a", ChildState::Restarting).await;
        let Health::BackingOff { remaining } = app.which_child("a").await.unwrap().health else {
            panic!("{:?}", app.which_child("a").await)
        };
        assert!(
            remaining > LONG / 2 && remaining <= 2 * LONG,
            "{remaining:?}"
        );
        app.stop().await;
    });
}

#[test]
fn requests_are_served_and_siblings_run_during_a_backoff() {
    run(async {
        let log = Log::default();
        let (app, _) = backing_off(&log).await;
        assert_eq!(
            app.restart_child("a").await,
            Err(ChildError::Restarting { id: "a".into() })
        );
        assert_eq!(
            app.delete_child("a").await,
            Err(ChildError::Restarting { id: "a".into() })
        );
        assert_eq!(
            app.start_child(kid("a", &log).child).await,
            Err(ChildError::AlreadyPresent { id: "a".into() })
        );
        let c = kid("c", &log);
        app.start_child(c.child).await.unwrap();
        assert_eq!(Probe::echo(&c.handle, 1).await, Ok(1));
        let counts = app.count_children().await.unwrap();
        assert_eq!((counts.specs, counts.active), (3, 2));
        app.stop().await;
    });
}

#[test]
fn terminate_child_calls_the_restart_off_and_answers_who_waited_for_it() {
    run(async {
        let log = Log::default();
        let (app, a) = backing_off(&log).await;
        let asked = {
            let a = a.clone();
            actor_core::go(async move { Probe::echo(&a, 1).await })
        };
        while a.mailbox_len() < 1 {
            yield_now().await;
        }
        assert_eq!(app.terminate_child("a").await, Ok(()));
        assert_eq!(asked.await.unwrap(), Err(CallError::Stopped));
        let info = app.which_child("a").await.unwrap();
        assert_eq!(
            (info.state, info.health),
            (ChildState::Stopped, Health::Down)
        );
        assert_eq!(app.delete_child("a").await, Ok(()));
        app.stop().await;
    });
}

#[test]
fn a_delay_that_was_called_off_never_restarts_the_child() {
    run(async {
        let log = Log::default();
        let a = kid("a", &log);
        let b = kid("b", &log);
        let app = Supervisor::one_for_one("app")
            .child(a.child.backoff(20 * MS..LONG))
            .child(b.child.backoff(40 * MS..LONG));
        let app = app.start().await.unwrap();
        crash(&a.handle).await;
        until_state(&app, "a", ChildState::Restarting).await;
        app.terminate_child("a").await.unwrap();
        // Started by hand: the delay of before must not start it a second time either.
        app.restart_child("a").await.unwrap();
        app.terminate_child("a").await.unwrap();
        crash(&b.handle).await;
        // b's delay is set later and longer: when it is over, a's would be.
        assert_eq!(Probe::life(&b.handle).await, Ok(2));
        let info = app.which_child("a").await.unwrap();
        assert_eq!(info.state, ChildState::Stopped);
        assert_eq!(log.count("a up"), 2);
        app.stop().await;
    });
}

#[test]
fn a_stop_doesnt_wait_for_the_delay() {
    run(async {
        let log = Log::default();
        let (app, a) = backing_off(&log).await;
        assert_eq!(app.stop().await, ExitReason::Normal);
        assert!(a.is_stopped());
        assert_eq!(log.count("a init"), 1);

        let (app, a) = backing_off(&log).await;
        assert_eq!(app.kill().await, ExitReason::Killed);
        assert!(a.is_stopped());
    });
}

#[test]
fn attempts_count_against_the_intensity_when_they_are_made() {
    run(async {
        let log = Log::default();
        let a = kid("a", &log);
        let app = Supervisor::one_for_one("app")
            .intensity(3, LONG)
            .child(a.child.backoff(MS..2 * MS));
        let app = app.start().await.unwrap();
        *a.errors.lock().unwrap() = u32::MAX;
        crash(&a.handle).await;
        assert!(matches!(app.wait().await, ExitReason::GaveUp { .. }));
        assert_eq!(log.count("a init"), 1 + 3);
    });
}

#[test]
fn in_a_group_the_siblings_run_until_the_delay_is_over() {
    run(async {
        let log = Log::default();
        let (a, b) = (kid("a", &log), kid("b", &log));
        let app = Supervisor::one_for_all("app")
            .child(a.child.backoff(20 * MS..LONG))
            .child(b.child);
        let app = app.start().await.unwrap();
        let crashed = Instant::now();
        crash(&a.handle).await;
        until_state(&app, "a", ChildState::Restarting).await;
        log.seen("b dropped", 1).await;
        assert!(crashed.elapsed() >= 20 * MS);
        assert_eq!(Probe::life(&a.handle).await, Ok(2));
        app.stop().await;
    });
}

// --- the circuit breaker ---

/// A child that may be restarted once, then stays down for `cool_down`.
fn broken_after_one(kid: Kid, cool_down: Duration) -> (Supervisor, ActorRef<Probe>) {
    let app = Supervisor::one_for_one("app").intensity(0, LONG);
    let child = kid.child.circuit_breaker(1, LONG, cool_down);
    (app.child(child), kid.handle)
}

async fn break_circuit(app: &SupervisorRef, a: &ActorRef<Probe>) {
    crash(a).await;
    while app.which_child("a").await.unwrap().restarts == 0 {
        yield_now().await;
    }
    assert!(!app.is_stopped(), "its restarts count against no intensity");
    crash(a).await;
    while !matches!(
        app.which_child("a").await.unwrap().health,
        Health::Broken { .. }
    ) {
        yield_now().await;
    }
}

#[test]
fn a_broken_child_stays_down_and_refuses_at_once_while_its_siblings_run() {
    run(async {
        let log = Log::default();
        let (app, a) = broken_after_one(kid("a", &log), LONG);
        let b = kid("b", &log);
        let app = app.child(b.child).start().await.unwrap();
        break_circuit(&app, &a).await;
        assert_eq!(Probe::echo(&a, 1).await, Err(CallError::Stopped));
        assert_eq!(Probe::echo(&b.handle, 1).await, Ok(1));
        assert_eq!(log.count("a init"), 2);
        assert_eq!(
            app.restart_child("a").await,
            Err(ChildError::Restarting { id: "a".into() })
        );
        assert_eq!(
            app.delete_child("a").await,
            Err(ChildError::Restarting { id: "a".into() })
        );
        app.stop().await;
    });
}

#[test]
fn what_is_queued_when_it_breaks_goes_back_to_the_askers() {
    run(async {
        let log = Log::default();
        let (app, a) = broken_after_one(kid("a", &log), LONG);
        let app = app.start().await.unwrap();
        crash(&a).await;
        assert_eq!(Probe::life(&a).await, Ok(2));
        let gate = Gate::new();
        Probe::hold(&a, &gate).tell().await.unwrap();
        gate.entered().await;
        let ask = |what: fn(&ActorRef<Probe>) -> actor_core::actor::Call<'_, Probe, ()>| {
            let a = a.clone();
            actor_core::go(async move { what(&a).await })
        };
        let crash = ask(Probe::panic);
        while a.mailbox_len() < 1 {
            yield_now().await;
        }
        let behind = ask(|a| Probe::note(a, 1));
        while a.mailbox_len() < 2 {
            yield_now().await;
        }
        gate.open();
        assert_eq!(crash.await.unwrap(), Err(CallError::Panicked));
        assert_eq!(behind.await.unwrap(), Err(CallError::Stopped));
        app.stop().await;
    });
}

#[test]
fn after_the_cool_down_it_gets_one_try_and_is_broken_again_if_that_fails() {
    run(async {
        let log = Log::default();
        let a = kid("a", &log);
        let errors = Arc::clone(&a.errors);
        let (app, a) = broken_after_one(a, 20 * MS);
        let app = app.start().await.unwrap();
        let broken = Instant::now();
        break_circuit(&app, &a).await;
        log.seen("a up", 3).await;
        assert!(broken.elapsed() >= 20 * MS);
        // One end within the window of the try is enough; one that can't start is another.
        *errors.lock().unwrap() = 1;
        let broken = Instant::now();
        while Probe::life(&a).await != Ok(3) {
            yield_now().await;
        }
        crash(&a).await;
        log.seen("a up", 4).await;
        assert!(
            broken.elapsed() >= 2 * 20 * MS,
            "a failed try, a cool-down, a failed start, a cool-down"
        );
        while Probe::life(&a).await != Ok(5) {
            yield_now().await;
        }
        assert_eq!(app.which_child("a").await.unwrap().health, Health::Healthy);
        app.stop().await;
    });
}

#[test]
fn terminate_child_calls_the_try_off_and_restart_child_closes_the_circuit() {
    run(async {
        let log = Log::default();
        let (app, a) = broken_after_one(kid("a", &log), LONG);
        let app = app.start().await.unwrap();
        break_circuit(&app, &a).await;
        app.terminate_child("a").await.unwrap();
        assert_eq!(app.which_child("a").await.unwrap().health, Health::Down);
        app.restart_child("a").await.unwrap();
        // A clean slate: it may be restarted once again. And again when it was at the limit.
        for _ in 0..2 {
            let restarts = app.which_child("a").await.unwrap().restarts;
            crash(&a).await;
            while app.which_child("a").await.unwrap().restarts == restarts {
                let health = app.which_child("a").await.unwrap().health;
                assert!(!matches!(health, Health::Broken { .. }), "{health:?}");
                yield_now().await;
            }
            assert_eq!(Probe::echo(&a, 1).await, Ok(1));
            app.terminate_child("a").await.unwrap();
            app.restart_child("a").await.unwrap();
        }
        app.stop().await;
    });
}

#[test]
fn a_stop_doesnt_wait_for_the_cool_down() {
    run(async {
        let log = Log::default();
        let (app, a) = broken_after_one(kid("a", &log), LONG);
        let app = app.start().await.unwrap();
        break_circuit(&app, &a).await;
        assert_eq!(app.stop().await, ExitReason::Normal);
    });
}

#[test]
fn a_breaker_and_a_backoff_work_together() {
    run(async {
        let log = Log::default();
        let a = kid("a", &log);
        let child = a
            .child
            .backoff(10 * MS..LONG)
            .circuit_breaker(1, LONG, LONG);
        let app = Supervisor::one_for_one("app").intensity(0, LONG);
        let app = app.child(child).start().await.unwrap();
        let crashed = Instant::now();
        break_circuit(&app, &a.handle).await;
        assert!(crashed.elapsed() >= 10 * MS);
        app.stop().await;
    });
}

// --- what a restart does to the mailbox ---

/// Crashes an actor that has a tell and an ask queued behind the crash; says what the ask got.
async fn queued_behind_a_crash(what: OnRestart, log: &Log) -> Result<u64, CallError> {
    let a = kid("a", log);
    let app = Supervisor::one_for_one("app").child(a.child.on_restart(what));
    let (app, a) = (app.start().await.unwrap(), a.handle);
    let gate = Gate::new();
    Probe::hold(&a, &gate).tell().await.unwrap();
    gate.entered().await;
    Probe::panic(&a).tell().await.unwrap();
    Probe::note(&a, 1).tell().await.unwrap();
    let asked = {
        let a = a.clone();
        actor_core::go(async move { Probe::life(&a).await })
    };
    while a.mailbox_len() < 3 {
        yield_now().await;
    }
    gate.open();
    let answer = asked.await.unwrap();
    while app.which_child("a").await.unwrap().restarts == 0 {
        yield_now().await;
    }
    assert_eq!(Probe::life(&a).await, Ok(2), "it works again in any case");
    app.stop().await;
    answer
}

#[test]
fn a_restart_keeps_what_is_queued() {
    run(async {
        let log = Log::default();
        assert_eq!(queued_behind_a_crash(OnRestart::Keep, &log).await, Ok(2));
        assert!(log.has("note 1"));
    });
}

#[test]
fn a_restart_that_clears_gives_asks_back_and_counts_tells_as_dead_letters() {
    run(async {
        let log = Log::default();
        let before = dead_letters();
        assert_eq!(
            queued_behind_a_crash(OnRestart::Clear, &log).await,
            Err(CallError::Stopped)
        );
        assert!(!log.has("note 1"), "the next incarnation must not see it");
        assert!(dead_letters() >= before + 2);
    });
}

#[test]
fn an_actor_that_clears_refuses_messages_until_it_is_up_again() {
    run(async {
        let log = Log::default();
        let a = kid("a", &log);
        let child = a.child.on_restart(OnRestart::Clear).backoff(LONG..2 * LONG);
        let app = Supervisor::one_for_one("app").child(child);
        let app = app.start().await.unwrap();
        crash(&a.handle).await;
        until_state(&app, "a", ChildState::Restarting).await;
        assert_eq!(Probe::echo(&a.handle, 1).await, Err(CallError::Stopped));
        assert!(!a.handle.is_stopped(), "it is about to be restarted");
        app.stop().await;
    });
}

#[test]
fn a_sibling_that_clears_is_cleared_by_a_group_restart_too() {
    run(async {
        let log = Log::default();
        let (a, b) = (kid("a", &log), kid("b", &log));
        let b_ref = b.handle;
        let b = b.child.on_restart(OnRestart::Clear).stop_within(5 * MS);
        let app = Supervisor::one_for_all("app").child(a.child).child(b);
        let app = app.start().await.unwrap();
        let never = Gate::new();
        Probe::hold(&b_ref, &never).tell().await.unwrap();
        never.entered().await;
        Probe::note(&b_ref, 1).tell().await.unwrap();
        crash(&a.handle).await;
        while app.which_child("b").await.unwrap().restarts == 0 {
            yield_now().await;
        }
        assert_eq!(Probe::life(&b_ref).await, Ok(2));
        assert!(!log.has("note 1"));
        app.stop().await;
    });
}

#[test]
fn a_goroutine_backs_off_as_an_actor_does() {
    run(async {
        let log = Log::default();
        let fails = {
            let log = log.clone();
            ChildSpec::go("fails", move || {
                log.add("ran");
                async { Err::<(), _>("as always") }
            })
        };
        let app = Supervisor::one_for_one("app").intensity(u32::MAX, LONG);
        let started = Instant::now();
        let app = app
            .child(fails.backoff(5 * MS..LONG))
            .start()
            .await
            .unwrap();
        log.seen("ran", 3).await;
        assert!(started.elapsed() >= 5 * MS + 10 * MS);
        app.stop().await;
    });
}

#[actor_core::test]
async fn a_delay_that_is_to_come_is_no_deadlock() {
    let log = Log::default();
    let a = kid("a", &log);
    let app = Supervisor::one_for_one("app").child(a.child.backoff(100 * MS..LONG));
    let app = app.start().await.unwrap();
    crash(&a.handle).await;
    assert_eq!(Probe::life(&a.handle).await, Ok(2));
    app.stop().await;
}
