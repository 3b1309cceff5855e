//! Goroutines: values, panics, abort, detach, fairness, and the end of a runtime.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc;
use std::time::Duration;

use actor_core::{Handle, JoinHandle, Runtime, blocking, go, sleep, yield_now};

fn runtime(procs: usize) -> Runtime {
    Runtime::builder().procs(procs).build().unwrap()
}

/// Tells by its Drop that the future holding it is gone.
struct Gone(mpsc::Sender<&'static str>, &'static str);
impl Drop for Gone {
    fn drop(&mut self) {
        let _ = self.0.send(self.1);
    }
}

#[test]
fn a_goroutine_yields_its_value() {
    let rt = runtime(2);
    assert_eq!(rt.block_on(async { go(async { 42 }).await.unwrap() }), 42);
    assert_eq!(
        rt.run(async { go(async { "nested" }).await.unwrap() }),
        "nested"
    );
}

#[test]
fn a_panic_reaches_the_joiner_and_no_machine_dies() {
    let rt = runtime(2);
    for round in 0..100 {
        let error = rt.block_on(rt.handle().go(async move {
            if round >= 0 {
                panic!("round {round}");
            }
        }));
        let error = error.unwrap_err();
        assert!(error.is_panic() && !error.is_cancelled());
        assert_eq!(
            error.panic_message(),
            Some(format!("round {round}").as_str())
        );
    }
    assert_eq!(rt.block_on(rt.handle().go(async { 1 })).unwrap(), 1);
}

#[test]
fn a_panic_in_the_drop_of_a_finished_future_is_the_joiners_not_the_machines() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("in drop");
        }
    }
    let rt = runtime(1);
    let bomb = Bomb;
    let handle = rt.handle().go(async move {
        let _bomb = &bomb;
        7
    });
    assert!(rt.block_on(handle).unwrap_err().is_panic());
    // An output that nobody reads may panic in Drop too.
    drop(rt.handle().go(async { Bomb }));
    assert_eq!(rt.block_on(rt.handle().go(async { 1 })).unwrap(), 1);
}

#[test]
fn abort_drops_the_future_and_tells_the_joiner() {
    let rt = runtime(2);
    let (tx, rx) = mpsc::channel();
    let gone = Gone(tx, "future");
    let (started, is_started) = mpsc::channel();
    let handle = rt.handle().go(async move {
        let _gone = gone;
        started.send(()).unwrap();
        pending::<()>().await;
    });
    is_started.recv().unwrap();
    handle.abort();
    assert!(rt.block_on(handle).unwrap_err().is_cancelled());
    assert_eq!(rx.recv().unwrap(), "future");
}

#[test]
fn abort_after_the_end_changes_nothing() {
    let rt = runtime(1);
    let handle = rt.handle().go(async { 5 });
    let abort = handle.abort_handle();
    rt.block_on(async {
        while !handle.is_finished() {
            yield_now().await;
        }
        abort.abort();
        assert_eq!(handle.await.unwrap(), 5);
    });
}

#[test]
fn a_dropped_handle_detaches() {
    let rt = runtime(2);
    let (tx, rx) = mpsc::channel();
    drop(rt.handle().go(async move {
        sleep(Duration::from_millis(1)).await;
        tx.send("ran").unwrap();
    }));
    assert_eq!(rx.recv().unwrap(), "ran");
}

#[test]
fn spawn_from_many_threads_runs_every_goroutine_once() {
    let rt = runtime(2);
    let ran = Arc::new(AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..5_000 {
                    let ran = ran.clone();
                    drop(rt.handle().go(async move {
                        yield_now().await;
                        ran.fetch_add(1, SeqCst);
                    }));
                }
            });
        }
    });
    assert!(rt.drain(Duration::from_secs(60)));
    assert_eq!(ran.load(SeqCst), 20_000);
}

#[test]
fn a_tree_of_a_hundred_thousand_goroutines_is_joined() {
    fn tree(depth: u32) -> JoinHandle<u64> {
        go(async move {
            if depth == 0 {
                return 1;
            }
            let children: Vec<_> = (0..10).map(|_| tree(depth - 1)).collect();
            let mut sum = 0;
            for child in children {
                sum += child.await.unwrap();
            }
            sum
        })
    }
    let rt = runtime(2);
    assert_eq!(rt.run(async { tree(5).await.unwrap() }), 100_000);
    assert_eq!(rt.handle().metrics().goroutines, 0);
}

#[test]
fn goroutines_on_one_processor_run_in_the_order_of_their_start() {
    // As many as fit the ring: what overflows it goes to the injector, and may be overtaken.
    let rt = runtime(1);
    let order = rt.run(async {
        let log = Arc::new(parking_lot::Mutex::new(Vec::new()));
        let all: Vec<_> = (0..200)
            .map(|n| {
                let log = log.clone();
                go(async move { log.lock().push(n) })
            })
            .collect();
        for one in all {
            one.await.unwrap();
        }
        Arc::try_unwrap(log).unwrap().into_inner()
    });
    assert!(order.is_sorted() && order.len() == 200);
}

#[test]
fn one_that_is_always_ready_does_not_starve_its_processor() {
    // A goroutine that joins finished goroutines without end never has to wait; the budget makes
    // it yield, so that the other one on its only P can stop it.
    let rt = runtime(1);
    let stop = Arc::new(AtomicBool::new(false));
    let greedy = rt.handle().go({
        let stop = stop.clone();
        async move {
            let mut rounds = 0_u64;
            while !stop.load(SeqCst) {
                // Ready at the first poll: only the budget ever returns Pending here.
                sleep(Duration::ZERO).await;
                rounds += 1;
            }
            rounds
        }
    });
    let stopper = rt.handle().go(async move { stop.store(true, SeqCst) });
    rt.block_on(async {
        stopper.await.unwrap();
        greedy.await.unwrap();
    });
}

#[test]
fn a_pair_that_wakes_each_other_does_not_starve_the_ring() {
    let rt = runtime(1);
    let stop = Arc::new(AtomicBool::new(false));
    rt.run(async move {
        // Two goroutines that hand a token to and fro through join wake-ups use `runnext` only.
        let chatter = go({
            let stop = stop.clone();
            async move {
                while !stop.load(SeqCst) {
                    go(async {}).await.unwrap();
                }
            }
        });
        let other = go(async move { stop.store(true, SeqCst) });
        other.await.unwrap();
        chatter.await.unwrap();
    });
}

#[test]
fn dropping_a_runtime_drops_every_future_before_it_returns() {
    let (tx, rx) = mpsc::channel();
    let rt = runtime(2);
    for _ in 0..100 {
        let gone = Gone(tx.clone(), "waiting");
        drop(rt.handle().go(async move {
            let _gone = gone;
            sleep(Duration::from_secs(3600)).await;
        }));
    }
    for _ in 0..100 {
        let gone = Gone(tx.clone(), "spawning");
        drop(rt.handle().go(async move {
            let _gone = gone;
            loop {
                drop(go(async { pending::<()>().await }));
                yield_now().await;
            }
        }));
    }
    drop(rt);
    drop(tx);
    assert_eq!(rx.iter().count(), 200);
}

#[test]
fn a_goroutine_started_on_an_ending_runtime_is_cancelled_not_lost() {
    let rt = runtime(1);
    let handle = rt.handle().clone();
    drop(rt);
    let late = handle.go(async { 1 });
    assert!(late.is_finished());
    let other = runtime(1);
    assert!(other.block_on(late).unwrap_err().is_cancelled());
}

#[test]
fn a_runtime_dropped_by_its_own_goroutine_ends_without_waiting_for_itself() {
    let rt = runtime(2);
    let handle = rt.handle().clone();
    let (tx, rx) = mpsc::channel();
    drop(handle.go(async move {
        drop(rt);
        tx.send(()).unwrap();
    }));
    rx.recv().unwrap();
}

#[test]
fn several_runtimes_live_in_one_process() {
    let (a, b) = (runtime(1), runtime(2));
    let there = a.handle().clone();
    let value = b.run(async move {
        // A goroutine of `b` joins one of `a`: the wake crosses runtimes.
        there
            .go(async { go(async { 3 }).await.unwrap() + 1 })
            .await
            .unwrap()
    });
    assert_eq!(value, 4);
}

#[test]
fn block_on_inside_a_goroutine_gives_the_processor_away() {
    let rt = runtime(1);
    let sum = rt.run(async {
        let inner = go(async { 20 });
        // On a single P the inner goroutine can only run if this M gave its P up.
        Handle::current().block_on(inner).unwrap() + 22
    });
    assert_eq!(sum, 42);
}

#[test]
fn blocking_hands_the_only_processor_off_and_passes_panics_through() {
    let rt = runtime(1);
    let (tx, rx) = mpsc::channel();
    rt.run(async move {
        let other = go(async move { tx.send("other ran").unwrap() });
        // Blocks this M until the other goroutine has run: only with a hand-off does it.
        assert_eq!(blocking(|| rx.recv().unwrap()), "other ran");
        other.await.unwrap();
        let caught = std::panic::catch_unwind(|| blocking(|| panic!("through")));
        assert!(caught.is_err());
        yield_now().await;
    });
    assert_eq!(rt.handle().metrics().machines_blocked, 0);
}

#[test]
fn an_undeclared_block_does_not_keep_the_others_waiting() {
    let rt = runtime(2);
    let handle = rt.handle().clone();
    // Two Ms block in a poll, without a word, until a third goroutine has run. On 2 Ps it can only
    // run if sysmon makes up for the stuck ones.
    let (tx, rx) = crossbeam();
    let blocked: Vec<_> = (0..2)
        .map(|_| {
            let rx = rx.clone();
            handle.go(async move { rx.lock().recv().unwrap() })
        })
        .collect();
    let third = handle.go(async move {
        for _ in 0..2 {
            tx.send(()).unwrap();
        }
    });
    rt.block_on(async {
        third.await.unwrap();
        for one in blocked {
            one.await.unwrap();
        }
        // The spare Ps go away again.
        loop {
            let metrics = handle.metrics();
            if metrics.processors_running <= 2 && metrics.processors_stuck == 0 {
                break;
            }
            yield_now().await;
        }
    });
}

type Shared<T> = Arc<parking_lot::Mutex<T>>;
fn crossbeam() -> (mpsc::Sender<()>, Shared<mpsc::Receiver<()>>) {
    let (tx, rx) = mpsc::channel();
    (tx, Arc::new(parking_lot::Mutex::new(rx)))
}

#[test]
fn outside_a_runtime_go_says_what_to_do() {
    let panic = std::panic::catch_unwind(|| drop(go(async {}))).unwrap_err();
    let text = panic
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
    assert!(text.unwrap().contains("no runtime here"));
}

#[test]
fn a_builder_refuses_nonsense_with_a_message_that_names_it() {
    let zero = Runtime::builder().procs(0).build().unwrap_err();
    assert!(
        zero.to_string()
            .contains("procs must be between 1 and 1024, not 0")
    );
    let few = Runtime::builder()
        .procs(4)
        .machines_max(2)
        .build()
        .unwrap_err();
    assert!(
        few.to_string()
            .contains("machines_max (2) must be at least procs (4)")
    );
}

#[test]
fn a_block_right_after_a_long_sleep_of_everything_is_noticed_too() {
    let rt = runtime(1);
    rt.run(async {
        // Long enough for sysmon to have gone to sleep as well; the timer wakes the M by itself.
        sleep(Duration::from_millis(250)).await;
        let (tx, rx) = mpsc::channel();
        let other = go(async move { tx.send(()).unwrap() });
        // Blocks the only P's M without a word: somebody has to notice.
        rx.recv().unwrap();
        other.await.unwrap();
    });
}

#[test]
fn wakes_from_a_foreign_thread_may_race_with_the_end_of_the_runtime() {
    for _ in 0..300 {
        let rt = runtime(1);
        let waiting = rt.handle().go(pending::<()>());
        let abort = waiting.abort_handle();
        let foreign = std::thread::spawn(move || abort.abort());
        drop(rt);
        foreign.join().unwrap();
        assert!(waiting.is_finished());
    }
}

#[test]
fn a_goroutine_that_blocks_past_the_shutdown_time_is_reported_and_ends_when_it_can() {
    let rt = runtime(1);
    let (tx, rx) = mpsc::channel::<()>();
    let (began, has_begun) = mpsc::channel();
    let (gone, is_gone) = mpsc::channel();
    let gone = Gone(gone, "dropped");
    let handle = rt.handle().go(async move {
        let _gone = gone;
        began.send(()).unwrap();
        blocking(|| rx.recv().unwrap());
        yield_now().await;
    });
    has_begun.recv().unwrap();
    let left = rt.shutdown_timeout(Duration::from_millis(1)).unwrap_err();
    assert_eq!(left.goroutines, 1);
    tx.send(()).unwrap();
    assert_eq!(is_gone.recv().unwrap(), "dropped");
    let other = runtime(1);
    assert!(other.block_on(handle).is_err());
}

#[test]
fn machines_left_from_a_time_of_much_blocking_retire() {
    let rt = Runtime::builder()
        .procs(2)
        .keep_alive(Duration::from_millis(5))
        .build()
        .unwrap();
    let handle = rt.handle().clone();
    let meet = Arc::new(std::sync::Barrier::new(20));
    let blocked: Vec<_> = (0..20)
        .map(|_| {
            let meet = meet.clone();
            // All twenty have to be on threads of their own at the same time to get past this.
            handle.go(async move { blocking(|| meet.wait()).is_leader() })
        })
        .collect();
    rt.block_on(async {
        let mut leaders = 0;
        for one in blocked {
            leaders += usize::from(one.await.unwrap());
        }
        assert_eq!(leaders, 1);
        while handle.metrics().machines > 2 {
            yield_now().await;
        }
        assert_eq!(go(async { 1 }).await.unwrap(), 1);
    });
    assert!(handle.metrics().polls >= 21);
}
