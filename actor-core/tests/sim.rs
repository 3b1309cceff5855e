//! The simulation: what it finds, what it promises, what it refuses.

mod counter;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use actor_core::actor::CallError;
use actor_core::prelude::*;
use actor_core::sim::{
    self, Exhaustive, Failure, FailureKind, Pct, RandomWalk, RoundRobin, Sim, TimeUnits,
};
use actor_core::sync::Mutex;
use actor_core::{Instant, always, chan, sometimes};
use counter::Counter;

fn failure<T>(test: impl Fn(&'static Sim) -> T + 'static) -> Failure
where
    T: Future + Send + 'static,
    T::Output: sim::Outcome,
{
    *sim::check(test)
        .seeds(500)
        .try_run()
        .expect_err("it must fail")
}

// ---- time ---------------------------------------------------------------------------------------

#[test]
fn time_stands_still_while_somebody_can_run_and_leaps_when_all_sleep() {
    let real = std::time::Instant::now();
    sim::check(|sim| async move {
        let begin = sim.now();
        for _ in 0..100 {
            yield_now().await;
        }
        assert_eq!(sim.now(), begin);
        sleep(1.days()).await;
        assert_eq!(begin.elapsed(), 1.days());
        assert_eq!(sim.elapsed(), 1.days());
    })
    .run();
    assert!(real.elapsed() < Duration::from_secs(3600));
}

#[test]
fn timers_fire_in_their_order_each_at_its_time() {
    sim::check(|sim| async move {
        let (tx, rx) = chan::buffered(10);
        for ms in [30_u64, 10, 20] {
            let tx = tx.clone();
            go(async move {
                sleep(ms.ms()).await;
                tx.send((ms, Instant::now())).await.unwrap();
            });
        }
        let begin = sim.now();
        sim.advance(1.secs()).await;
        assert_eq!(begin.elapsed(), 1.secs());
        for ms in [10, 20, 30] {
            assert_eq!(rx.try_recv(), Ok((ms, begin + ms.ms())));
        }
    })
    .run();
}

#[test]
fn to_settle_lets_no_time_pass_but_what_was_asked_for() {
    sim::check(|sim| async move {
        let fired = Arc::new(AtomicU64::new(0));
        go({
            let fired = fired.clone();
            async move {
                for _ in 0..3 {
                    sleep(1.secs()).await;
                    fired.fetch_add(1, SeqCst);
                }
            }
        });
        sim.settle().await;
        assert_eq!((fired.load(SeqCst), sim.elapsed()), (0, Duration::ZERO));
        sim.advance(1500.ms());
        assert_eq!(fired.load(SeqCst), 0);
        sim.settle().await;
        assert_eq!((fired.load(SeqCst), sim.elapsed()), (1, 1500.ms()));
        sim.advance(500.ms()).await;
        assert_eq!((fired.load(SeqCst), sim.elapsed()), (2, 2.secs()));
    })
    .run();
}

#[test]
fn run_until_sees_what_is_true_for_one_step() {
    sim::check(|sim| async move {
        let value = Arc::new(AtomicU64::new(0));
        go({
            let value = value.clone();
            async move {
                for n in 0..100 {
                    value.store(n, SeqCst);
                    yield_now().await;
                }
            }
        });
        sim.run_until(|| value.load(SeqCst) == 57).await;
        assert_eq!(value.load(SeqCst), 57);
    })
    .run();
}

#[actor_core::test(sim, seeds = 3)]
async fn a_test_may_take_its_simulation(sim: &Sim) -> Result<(), CallError> {
    let counter = Counter::start().await.expect("it starts");
    sim.advance(1.hours()).await;
    assert_eq!(counter.add(1).await?, 1);
    assert_eq!(sim.elapsed(), 1.hours());
    Ok(())
}

#[actor_core::test(sim, seeds = 3)]
async fn its_goroutines_may_have_it_too(sim: &'static Sim) {
    let begin = go(async { sim.now() }).await.unwrap();
    assert_eq!(begin, sim.now());
}

#[actor_core::test(sim, seeds = 3)]
async fn or_it_has_a_simulation_of_its_own(sim: Sim) {
    go(async move { sim.settle().await }).await.unwrap();
}

#[actor_core::test(sim, policy = Pct { depth: 3 })]
#[should_panic(expected = "ACTOR_SIM=0:0 cargo test -p actor-core \
                           a_failed_test_says_how_it_is_run_again -- --exact")]
async fn a_failed_test_says_how_it_is_run_again() {
    panic!("on purpose");
}

// ---- chance -------------------------------------------------------------------------------------

/// Two that read, give way and write.
async fn lost_update() -> u64 {
    let shared = Arc::new(AtomicU64::new(0));
    let both: Vec<_> = (0..2)
        .map(|_| {
            let shared = shared.clone();
            go(async move {
                let seen = shared.load(SeqCst);
                yield_now().await;
                shared.store(seen + 1, SeqCst);
            })
        })
        .collect();
    for one in both {
        one.await.unwrap();
    }
    shared.load(SeqCst)
}

#[test]
fn a_lost_update_is_found_shrunk_and_replayed() {
    let failure = failure(|_| async {
        // In the plain order both read first; so the one that fails is the one that doesn't.
        assert_eq!(lost_update().await, 1, "one came after the other");
    });
    assert_eq!(failure.kind, FailureKind::Panicked);
    assert!(
        failure.message.contains("one came after the other"),
        "{failure}"
    );
    assert!(failure.message.contains("tests/sim.rs"), "{failure}");
    let unplain = failure.shortest().iter().filter(|l| l.starts_with('*'));
    assert_eq!(unplain.count(), 1, "{failure}");
}

#[test]
fn each_policy_finds_a_lost_update() {
    let policies: [fn() -> Box<dyn sim::Policy>; 3] = [
        || RandomWalk::default().into(),
        || Pct { depth: 2 }.into(),
        || Exhaustive::default().into(),
    ];
    for policy in policies {
        let found = sim::check(|_| async { assert_ne!(lost_update().await, 2) })
            .policy(policy())
            .seeds(200)
            .try_run()
            .expect_err("it must be found");
        assert_eq!(found.kind, FailureKind::Panicked);
    }
}

#[test]
fn exhaustive_ends_when_all_orders_were_tried() {
    let summary = sim::check(|_| async {
        let outcome = lost_update().await;
        sometimes!(outcome == 1, "lost");
        sometimes!(outcome == 2, "not lost");
    })
    .policy(Exhaustive::default())
    .seeds(1_000_000)
    .run();
    assert!(summary.runs < 10_000, "{summary:?}");
    assert!(summary.sometimes.values().all(|reached| *reached));
}

#[test]
fn round_robin_is_the_order_of_a_run_queue() {
    sim::check(|_| async {
        let order = Arc::new(Mutex::new(Vec::new()));
        let all: Vec<_> = (0..5)
            .map(|n| {
                let order = order.clone();
                go(async move { order.lock().await.push(n) })
            })
            .collect();
        for one in all {
            one.await.unwrap();
        }
        assert_eq!(*order.lock().await, [0, 1, 2, 3, 4]);
    })
    .policy(RoundRobin::default())
    .run();
}

#[test]
fn a_select_takes_any_ready_arm() {
    let summary = sim::check(|_| async {
        let (tx, rx) = chan::buffered(1);
        let (ty, ry) = chan::buffered(1);
        tx.send(()).await.unwrap();
        ty.send(()).await.unwrap();
        let first = select! {
            _ = rx.recv() => true,
            _ = ry.recv() => false,
        };
        sometimes!(first, "the first arm");
        sometimes!(!first, "the second arm");
    })
    .seeds(50)
    .run();
    assert_eq!(summary.sometimes.len(), 2);
}

// ---- determinism --------------------------------------------------------------------------------

#[test]
fn a_program_that_depends_on_something_else_is_found_out() {
    let runs = Arc::new(AtomicU64::new(0));
    let failure = failure(move |_| {
        let nth = runs.fetch_add(1, SeqCst);
        async move {
            for _ in 0..nth {
                yield_now().await;
            }
        }
    });
    assert_eq!(failure.kind, FailureKind::NotDeterministic);
    assert!(failure.message.contains("the first time"), "{failure}");
}

#[test]
fn the_first_difference_of_two_runs_is_named() {
    let (runs, nth) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let test = {
        let (runs, nth) = (runs.clone(), nth.clone());
        move |_: &Sim| {
            runs.fetch_add(1, SeqCst);
            let nth = nth.clone();
            async move {
                let counter = Counter::start().await.unwrap();
                counter.add(1).await.unwrap();
                // Something of the outside.
                if nth.fetch_add(1, SeqCst) % 2 == 0 {
                    counter.get().await.unwrap();
                } else {
                    counter.set(1).await.unwrap();
                }
            }
        }
    };
    let failure = failure(test);
    assert_eq!(failure.kind, FailureKind::NotDeterministic);
    assert_eq!(runs.load(SeqCst), 2);
    let first =
        "the first time \"Counter\" handles `get`; the second time \"Counter\" handles `set`";
    assert!(failure.message.contains(first), "{failure}");
    assert!(failure.message.contains("wall clock"), "{failure}");
    assert!(
        failure.message.contains("`Instant` from actor_core"),
        "{failure}"
    );
}

/// Who asks std for the time gets another answer each time.
#[test]
fn a_test_that_goes_by_the_wall_clock_is_found_out() {
    let began = std::time::Instant::now();
    let failure = failure(move |_| async move {
        let nanos = began.elapsed().as_nanos() as u64;
        sleep(Duration::from_nanos(1 + nanos)).await;
    });
    assert_eq!(failure.kind, FailureKind::NotDeterministic);
    assert!(
        failure
            .message
            .contains("the first time the clock moves to"),
        "{failure}"
    );
}

#[test]
fn a_thread_that_is_joined_changes_nothing_and_one_that_is_not_is_found_out() {
    let read = || std::thread::spawn(|| 7).join().unwrap();
    sim::check(move |_| async move { assert_eq!(read(), 7) }).run();

    let shared = Arc::new(AtomicU64::new(0));
    let failure = failure(move |_| {
        let shared = shared.clone();
        async move {
            // What a thread has come to meanwhile: here more in the second run than in the first.
            let so_far = std::thread::spawn(move || shared.fetch_add(1, SeqCst)).join();
            for _ in 0..so_far.unwrap() {
                yield_now().await;
            }
        }
    });
    assert_eq!(failure.kind, FailureKind::NotDeterministic);
}

#[test]
fn actors_under_faults_are_deterministic() {
    for seed in 0..20 {
        let log = || {
            let check = sim::check(|sim| async move {
                let counter = sim.supervise(Counter::child("counter")).await.unwrap();
                sim.faults()
                    .panic(&counter, 0.1)
                    .stall(&counter, 5.ms())
                    .drop_reply(0.1)
                    .delay(0.2, 1.ms()..9.ms())
                    .full_mailbox(&counter);
                let clients: Vec<_> = (0..4)
                    .map(|_| {
                        let counter = counter.clone();
                        go(async move {
                            for n in 0..10 {
                                let _ = counter.add(n).timeout(20.ms()).await;
                            }
                        })
                    })
                    .collect();
                for client in clients {
                    client.await.unwrap();
                }
            });
            let summary = check.first_seed(seed).seeds(1).run();
            (summary.steps, summary.elapsed)
        };
        assert_eq!(log(), log());
    }
}

// ---- what is found ------------------------------------------------------------------------------

#[test]
fn a_deadlock_is_reported_with_who_waits_for_whom() {
    let failure = failure(|_| async {
        let (a, b) = (Arc::new(Mutex::new(())), Arc::new(Mutex::new(())));
        let (c, d) = (a.clone(), b.clone());
        let other = go(async move {
            let _b = d.lock().await;
            yield_now().await;
            let _a = c.lock().await;
        });
        let _a = a.lock().await;
        yield_now().await;
        let _b = b.lock().await;
        other.await.unwrap();
    });
    let words = ["mutex", "held by"];
    let text = failure.to_string().to_lowercase();
    assert!(words.iter().all(|word| text.contains(word)), "{failure}");
}

#[test]
fn a_wait_for_nothing_is_a_deadlock() {
    let failure = failure(|_| async {
        let (_tx, rx) = chan::buffered::<()>(1);
        rx.recv().await;
    });
    assert_eq!(failure.kind, FailureKind::Deadlock);
    assert!(failure.message.contains("chan receive"), "{failure}");
}

#[test]
fn a_goroutine_that_is_left_is_a_leak() {
    let leak = |_| async {
        go(async {
            loop {
                sleep(10.secs()).await;
            }
        });
    };
    let failure = failure(leak);
    assert_eq!(failure.kind, FailureKind::Leak);
    assert!(failure.message.contains("tests/sim.rs"), "{failure}");
    sim::check(leak).may_leak().run();
}

#[test]
fn a_goroutine_that_sleeps_too_long_is_a_leak_that_says_so() {
    let failure = failure(|_| async { drop(go(sleep(1.days()))) });
    assert_eq!(failure.kind, FailureKind::Leak);
    assert!(failure.message.contains("[sleep]"), "{failure}");
}

#[test]
fn a_test_sees_no_goroutines_but_its_own() {
    let count = || actor_core::Handle::current().metrics().goroutines;
    sim::check(move |_| async move {
        assert_eq!(count(), 1);
        let other = go(async move { count() });
        assert_eq!(count(), 2);
        other.await.unwrap();
        assert_eq!(count(), 1);
    })
    .run();
}

#[test]
fn what_ends_within_the_grace_time_is_no_leak() {
    sim::check(|_| async {
        go(sleep(10.secs()));
        let _counter = Counter::start().await.unwrap();
    })
    .run();
}

#[test]
fn a_retry_without_a_pause_is_endless() {
    let failure = sim::check(|_| async {
        while Instant::now() < Instant::FOREVER {
            yield_now().await;
        }
    })
    .steps_max(1000)
    .try_run()
    .expect_err("it must fail");
    assert_eq!(failure.kind, FailureKind::Endless);
}

#[test]
fn a_panic_before_the_future_is_there_is_reported_too() {
    let failure = failure(|_| {
        assert_eq!(1 + 1, 3, "on purpose");
        async {}
    });
    assert_eq!(failure.kind, FailureKind::Panicked);
    assert!(failure.message.contains("on purpose"), "{failure}");
    assert!(failure.message.contains("tests/sim.rs"), "{failure}");
}

#[test]
fn an_error_that_is_returned_fails_the_test() {
    let failure = failure(|_| async { Err::<(), _>("no money") });
    assert_eq!(failure.kind, FailureKind::Returned);
    assert!(failure.message.contains("no money"));
}

#[test]
fn a_panic_that_nobody_joins_fails_the_test() {
    let test = |_| async { drop(go(async { panic!("unseen") })) };
    let found = failure(test);
    assert_eq!(found.kind, FailureKind::Panicked);
    assert!(found.message.contains("nobody joins"), "{found}");
    sim::check(test).may_panic().run();
    sim::check(|_| async { assert!(go(async { panic!("seen") }).await.is_err()) }).run();
}

#[test]
fn a_property_that_is_violated_ends_the_run() {
    let failure = failure(|sim| async move {
        let n = sim.below(10);
        always!(n != 3, "never three");
    });
    assert_eq!(failure.kind, FailureKind::Property);
    assert!(failure.message.contains("never three"));
    assert!(failure.trace.ends_with('3'), "{failure}");
}

#[test]
fn what_never_happens_sometimes_fails_the_check() {
    let found = failure(|_| async { sometimes!(false, "the moon is blue") });
    assert_eq!(found.kind, FailureKind::NeverReached);
    assert!(found.message.contains("the moon is blue"));
    let unknown = sim::check(|_| async {}).reaches(["a line nobody wrote"]);
    let found = unknown.try_run().expect_err("it must fail");
    assert_eq!(found.kind, FailureKind::NeverReached);
}

#[test]
fn dead_letters_are_failures_if_asked() {
    let test = |_| async {
        let counter = Counter::start().await.unwrap();
        counter.set(1).tell().await.unwrap();
        counter.kill().await;
    };
    sim::check(test).run();
    let found = sim::check(test).no_dead_letters().try_run();
    let found = found.expect_err("some seed kills it first");
    assert_eq!(found.kind, FailureKind::DeadLetter);
    assert!(found.message.contains("`set`"), "{found}");
}

// ---- what is refused ----------------------------------------------------------------------------

#[test]
fn what_leaves_the_simulation_is_refused() {
    type Run = fn() -> Failure;
    let tests: [(&str, Run); 10] = [
        ("`blocking`", || failure(|_| async { blocking(|| ()) })),
        ("`spawn_blocking`", || {
            failure(|_| async { drop(actor_core::spawn_blocking(|| ())) })
        }),
        ("`lock_thread`", || {
            failure(|_| async { drop(actor_core::lock_thread(|| async {})) })
        }),
        ("a second runtime", || {
            failure(|_| async { drop(actor_core::Runtime::new()) })
        }),
        ("blocking a thread", || {
            failure(|_| async {
                let counter = Counter::start().await.unwrap();
                let _ = counter.get().blocking();
            })
        }),
        ("blocking a thread", || {
            failure(|_| async {
                let counter = Counter::start().await.unwrap();
                let _ = counter.get().blocking_timeout(1.secs());
            })
        }),
        ("blocking a thread", || {
            failure(|_| async {
                let (tx, rx) = chan::buffered(1);
                tx.send_blocking(1).unwrap(); // there is room: it needs not wait
                let _ = (rx.recv_blocking(), rx.recv_blocking());
            })
        }),
        ("blocking a thread", || {
            failure(|_| async {
                let mutex = Mutex::new(());
                let _held = mutex.lock().await;
                drop(mutex.lock_blocking());
            })
        }),
        ("blocking a thread", || {
            failure(|_| async { actor_core::Handle::current().block_on(async {}) })
        }),
        ("a supervised thread", || {
            failure(|_| async {
                let poller = ChildSpec::thread("poller", |_: actor_core::supervise::StopSignal| ());
                let _ = Supervisor::one_for_one("top").child(poller).start().await;
            })
        }),
    ];
    for (what, run) in tests {
        let failure = run();
        assert_eq!(failure.kind, FailureKind::Refused, "{failure}");
        assert!(failure.message.contains(what), "{failure}");
        assert!(failure.message.contains("can't be simulated"), "{failure}");
    }
}

/// A handler that catches the refusal, or a supervisor that restarts after it, doesn't hide it.
#[test]
fn what_is_refused_inside_of_an_actor_fails_the_test_as_well() {
    struct Reader;

    #[actor]
    impl Reader {
        #[init]
        fn new() -> Self {
            Reader
        }

        pub fn read(&self) -> bool {
            blocking(|| true)
        }
    }

    let failure = failure(|sim| async {
        let reader = sim.supervise(Reader::child("reader")).await.unwrap();
        assert_eq!(reader.read().await, Err(CallError::Panicked));
    });
    assert_eq!(failure.kind, FailureKind::Refused, "{failure}");
    assert!(failure.message.contains("behind a trait"), "{failure}");
}

#[test]
fn a_thread_that_wakes_a_goroutine_is_refused() {
    let failure = failure(|sim| async move {
        let (tx, rx) = chan::buffered(1);
        let received = go(async move { rx.recv().await });
        sim.settle().await;
        let thread = std::thread::spawn(move || tx.try_send(()).unwrap());
        thread.join().unwrap();
        received.await.unwrap();
    });
    assert_eq!(failure.kind, FailureKind::Refused, "{failure}");
}

#[actor_core::test]
async fn a_simulation_inside_a_goroutine_is_refused() {
    let started = go(async { sim::check(|_| async {}).run() }).await;
    assert!(started.unwrap_err().is_panic());
}
