//! `runtime/proc_test.go`, and what `runtime/crash_test.go` says about the end of a goroutine.

use std::fs::File;
use std::future::pending;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use actor_core::chan::{Sender, TryRecvError, buffered, rendezvous};
use actor_core::{
    Handle, JoinHandle, Runtime, blocking, go, lock_thread, sleep, spawn_blocking, yield_now,
};

use crate::seeds::rounds;
use crate::{all, announced, run, run_real};

const HOUR: Duration = Duration::from_secs(3600);

/// Starts itself anew until it is told to stop.
fn perpetuum_mobile(stop: Arc<AtomicBool>, stopped: Sender<()>) {
    drop(go(async move {
        if stop.load(SeqCst) {
            stopped.try_send(()).unwrap();
        } else {
            perpetuum_mobile(stop, stopped);
        }
    }));
}

/// proc_test.go: TestStopTheWorldDeadlock. Nothing stops our world; what comes closest (counting it,
/// starting and ending another runtime) ends while goroutines are born all the time.
#[test]
fn runtimes_come_and_go_beside_an_endless_line_of_goroutines() {
    run_real(3, "it builds runtimes", async {
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, is_stopped) = buffered(1);
        perpetuum_mobile(stop.clone(), stopped);
        let counting = go(async {
            for _ in 0..1000 {
                assert!(Handle::current().metrics().goroutines >= 2);
                yield_now().await;
            }
        });
        let building = go(async {
            for n in 0..20 {
                let other = blocking(|| {
                    let other = Runtime::builder().procs(2).build().unwrap();
                    other.run(async move { go(async move { n }).await.unwrap() })
                });
                assert_eq!(other, n);
            }
        });
        all([counting, building]).await;
        stop.store(true, SeqCst);
        assert_eq!(is_stopped.recv().await, Some(()));
    });
}

/// proc_test.go: TestYieldProgress: who polls and yields lets the one run that it waits for, on a
/// single processor too.
#[test]
fn a_goroutine_that_polls_and_yields_lets_others_go_on() {
    run(1, || async {
        let (tx, rx) = rendezvous();
        let (ack, acked) = rendezvous();
        drop(go(async move {
            while rx.try_recv() == Err(TryRecvError::Empty) {
                yield_now().await;
            }
            ack.send(()).await.unwrap();
        }));
        tx.send(()).await.unwrap();
        assert_eq!(acked.recv().await, Some(()));
    });
}

/// proc_test.go: TestGoroutineParallelism: as many goroutines as there are Ps run at the same time:
/// none of these lets go of its P before all have had their turns.
#[test]
fn as_many_goroutines_as_processors_run_at_once() {
    const PROCS: usize = 4;
    for _ in 0..3 {
        run_real(PROCS, "it is about several Ps", async {
            let turn = Arc::new(AtomicUsize::new(0));
            let spinning = [0, 1, 2, 3].map(|p| {
                let turn = turn.clone();
                go(async move {
                    for round in 0..3 {
                        let mine = PROCS * round + p;
                        while turn.load(SeqCst) != mine {
                            thread::yield_now();
                        }
                        turn.store(mine + 1, SeqCst);
                    }
                })
            });
            all(spinning).await;
            assert_eq!(turn.load(SeqCst), 3 * PROCS);
        });
    }
}

/// proc_test.go: TestGoroutineParallelism2: so they do while others wait for timers and channels.
#[test]
fn goroutines_that_wait_take_no_processor_from_those_that_run() {
    const PROCS: usize = 3;
    run_real(PROCS, "it is about several Ps", async {
        let (_tx, rx) = rendezvous::<()>();
        let (waits, waiting) = buffered(32);
        let mut idle = Vec::new();
        for _ in 0..16 {
            let (rx, waits) = (rx.clone(), waits.clone());
            idle.push(go(announced(sleep(HOUR), waits.clone())));
            idle.push(go(async move {
                assert_eq!(announced(rx.recv(), waits).await, None)
            }));
        }
        for _ in 0..idle.len() {
            waiting.recv().await.unwrap();
        }
        let there = Arc::new(AtomicUsize::new(0));
        let spinning = [(); PROCS].map(|()| {
            let there = there.clone();
            go(async move {
                there.fetch_add(1, SeqCst);
                while there.load(SeqCst) < PROCS {
                    thread::yield_now();
                }
            })
        });
        all(spinning).await;
        assert!(idle.iter().all(|idle| !idle.is_finished()));
    });
}

/// proc_test.go: TestTimerFairness: goroutines that never stop talking don't keep a timer from
/// firing, on their only P.
#[test]
fn a_timer_fires_beside_goroutines_that_never_pause() {
    run_real(
        1,
        "simulated time stands still while somebody runs",
        async {
            let (tx, rx) = rendezvous();
            let talkers = [(); 2].map(|()| {
                let tx = tx.clone();
                go(async move { while tx.send(()).await.is_ok() {} })
            });
            let timer = go(sleep(Duration::from_millis(20)));
            while !timer.is_finished() {
                rx.recv().await.unwrap();
            }
            rx.close();
            all(talkers).await;
        },
    );
}

/// proc_test.go: TestTimerFairness2: nor do goroutines that make system calls all the time.
#[test]
fn a_timer_fires_beside_goroutines_that_only_make_system_calls() {
    run_real(
        2,
        "simulated time stands still while somebody runs",
        async {
            let talkers = [(); 2].map(|()| {
                go(async {
                    let mut null = File::create("/dev/null").unwrap();
                    let timer = go(sleep(Duration::from_millis(20)));
                    while !timer.is_finished() {
                        null.write_all(b"").unwrap();
                        yield_now().await;
                    }
                })
            });
            all(talkers).await;
        },
    );
}

/// proc_test.go: TestPreemption: two goroutines on one P that spin until the other one lets them
/// continue, without ever yielding. We can't preempt them; the P goes on without the stuck one.
#[test]
fn goroutines_that_spin_for_each_other_on_one_processor_both_go_on() {
    run_real(
        1,
        "its goroutines spin for each other without an await",
        async {
            let turn = Arc::new(AtomicUsize::new(0));
            let spinning = [0, 1].map(|me| {
                let turn = turn.clone();
                go(async move {
                    for _ in 0..5 {
                        while turn.load(SeqCst) != me {
                            thread::yield_now();
                        }
                        turn.store(1 - me, SeqCst);
                    }
                })
            });
            all(spinning).await;
        },
    );
}

/// proc_test.go: TestPreemptionGC, as far as it is ours: more goroutines that never yield than Ps
/// don't keep the next one from running.
#[test]
fn more_spinning_goroutines_than_processors_leave_room_for_one_more() {
    run_real(
        2,
        "its goroutines spin for each other without an await",
        async {
            let stop = Arc::new(AtomicBool::new(false));
            let spinning = [(); 3].map(|()| {
                let stop = stop.clone();
                go(async move {
                    while !stop.load(SeqCst) {
                        thread::yield_now();
                    }
                })
            });
            for _ in 0..10 {
                yield_now().await;
            }
            stop.store(true, SeqCst);
            all(spinning).await;
        },
    );
}

/// proc_test.go: TestGCFairness: two goroutines that do nothing but declared blocking calls, and
/// never await, leave the only P to the others.
#[test]
fn goroutines_in_blocking_calls_leave_the_processor_to_others() {
    run_real(1, "its goroutines block", async {
        let stop = Arc::new(AtomicBool::new(false));
        let writers = [(); 2].map(|()| {
            let stop = stop.clone();
            go(async move {
                let mut null = File::create("/dev/null").unwrap();
                while !stop.load(SeqCst) {
                    blocking(|| null.write_all(b".").unwrap());
                }
            })
        });
        sleep(Duration::from_millis(10)).await;
        stop.store(true, SeqCst);
        all(writers).await;
    });
}

/// Two goroutines that hand a token to and fro until `stop`, or for `rounds`; yields the rounds.
fn ping_pong(work: u32, rounds: u32, stop: Arc<AtomicBool>) -> JoinHandle<u32> {
    let (ping, pinged) = rendezvous();
    let (pong, ponged) = rendezvous();
    drop(go(async move {
        while let Some(token) = pinged.recv().await {
            pong.send(token).await.unwrap();
        }
    }));
    go(async move {
        let mut done = 0;
        while done < rounds && !stop.load(SeqCst) {
            for n in 0..work {
                std::hint::black_box(n);
            }
            ping.send(done).await.unwrap();
            assert_eq!(ponged.recv().await, Some(done));
            done += 1;
        }
        stop.store(true, SeqCst);
        done
    })
}

/// proc_test.go: TestPingPongHog: a pair that wakes only each other does not keep the P for itself,
/// be it the one with much work or the one with little.
#[test]
fn a_pair_that_wakes_each_other_shares_its_processor() {
    for (work, other_work) in [(5_000, 10), (10, 5_000)] {
        run_real(
            1,
            "it is about the order of the run queue, which seeds replace",
            async move {
                let stop = Arc::new(AtomicBool::new(false));
                let endless = ping_pong(work, u32::MAX, stop.clone());
                let counted = ping_pong(other_work, 1_000, stop);
                assert_eq!(counted.await.unwrap(), 1_000, "it was not starved");
                assert!(endless.await.unwrap() > 0, "nor was the other");
            },
        );
    }
}

/// proc_test.go: BenchmarkCreateGoroutines: each of a long line of goroutines starts the next.
#[test]
fn a_hundred_thousand_goroutines_each_start_the_next() {
    fn line(left: u32, done: Sender<()>) {
        drop(go(async move {
            if left == 0 {
                done.send(()).await.unwrap();
            } else {
                line(left - 1, done);
            }
        }));
    }
    run(4, || async {
        let (done, is_done) = rendezvous();
        for _ in 0..4 {
            line(rounds(25_000, 20), done.clone());
        }
        for _ in 0..4 {
            assert_eq!(is_done.recv().await, Some(()));
        }
    });
}

/// proc_test.go: BenchmarkMatmult: a product of matrices, divided among goroutines down to small
/// blocks, is what one goroutine computes.
#[test]
fn work_that_divides_itself_among_goroutines_adds_up() {
    const SIZE: usize = 32;
    type Matrix = Arc<Vec<Vec<u64>>>;
    /// The rows `from..to` of the product.
    fn rows(a: Matrix, b: Matrix, from: usize, to: usize) -> JoinHandle<Vec<Vec<u64>>> {
        go(async move {
            if to - from > 2 {
                let middle = from.midpoint(to);
                let upper = rows(a.clone(), b.clone(), from, middle);
                let lower = rows(a, b, middle, to);
                let mut product = upper.await.unwrap();
                product.extend(lower.await.unwrap());
                return product;
            }
            (from..to)
                .map(|i| {
                    let cell = |j: usize| (0..SIZE).map(|k| a[i][k] * b[k][j]).sum();
                    (0..SIZE).map(cell).collect()
                })
                .collect()
        })
    }
    let matrix = |seed: usize| -> Matrix {
        let cell = |i: usize, j: usize| ((i * 31 + j * 17 + seed) % 10) as u64;
        let row = |i| (0..SIZE).map(|j| cell(i, j)).collect();
        Arc::new((0..SIZE).map(row).collect())
    };
    let (a, b) = (matrix(1), matrix(2));
    let cell = |i: usize, j: usize| (0..SIZE).map(|k| a[i][k] * b[k][j]).sum();
    let row = |i| (0..SIZE).map(|j| cell(i, j)).collect();
    let expected: Vec<Vec<u64>> = (0..SIZE).map(row).collect();
    run(4, move || {
        let (a, b, expected) = (a.clone(), b.clone(), expected.clone());
        async move { assert_eq!(rows(a, b, 0, SIZE).await.unwrap(), expected) }
    });
}

/// proc_test.go: TestNumGoroutine: the count is right while goroutines live and after their end.
#[test]
fn the_number_of_goroutines_is_told() {
    run(2, || async {
        let count = || Handle::current().metrics().goroutines;
        assert_eq!(count(), 1, "the main goroutine");
        let (tx, rx) = rendezvous::<()>();
        let waiting = [(); 10].map(|()| {
            let rx = rx.clone();
            go(async move { rx.recv().await })
        });
        assert_eq!(count(), 11);
        drop(tx);
        all(waiting).await;
        while count() != 1 {
            yield_now().await;
        }
    });
}

/// proc_test.go: TestBigGOMAXPROCS: an absurd number of processors is an error that says so, and a
/// big one works.
#[test]
fn a_big_number_of_processors_works_and_an_absurd_one_is_refused() {
    let error = Runtime::builder().procs(1 << 20).build().unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    assert!(error.to_string().contains("between 1 and 1024"), "{error}");
    run_real(100, "a simulation has one P", async {
        let parts: Vec<_> = (0..1000).map(|n| go(async move { n })).collect();
        assert_eq!(all(parts).await.into_iter().sum::<usize>(), 499_500);
    });
}

/// proc_test.go: TestNetpollBreak: a runtime that sleeps until a far deadline is woken by what comes
/// from outside.
#[test]
fn a_sleeping_runtime_hears_of_work_from_another_thread() {
    let runtime = Runtime::builder().procs(1).build().unwrap();
    let (waits, waiting) = buffered(1);
    drop(runtime.handle().go(announced(sleep(HOUR), waits)));
    assert_eq!(waiting.recv_blocking(), Some(()));
    for n in 0..100 {
        let handle = runtime.handle().go(async move { n });
        assert_eq!(runtime.block_on(handle).unwrap(), n);
    }
    // So does an earlier timer, set by a thread that is no M.
    runtime.block_on(sleep(Duration::from_millis(1)));
}

/// crash_test.go: TestGoexitDefer: a goroutine that is ended from inside or outside runs its deferred
/// calls; ours are the drops of what it holds, innermost first.
#[test]
fn an_aborted_goroutine_drops_what_it_holds_innermost_first() {
    struct Deferred(&'static str, Sender<&'static str>);
    impl Drop for Deferred {
        fn drop(&mut self) {
            self.1.try_send(self.0).unwrap();
        }
    }
    run(2, || async {
        let (log, logged) = buffered(2);
        let (waits, waiting) = buffered(1);
        let goroutine = go(async move {
            let _outer = Deferred("outer", log.clone());
            let _inner = Deferred("inner", log);
            announced(pending::<()>(), waits).await;
        });
        waiting.recv().await.unwrap();
        goroutine.abort();
        assert!(goroutine.await.unwrap_err().is_cancelled());
        let order = [logged.recv().await, logged.recv().await];
        assert_eq!(order, [Some("inner"), Some("outer")]);
        assert_eq!(logged.recv().await, None);
    });
}

/// crash_test.go: TestRecursivePanic, TestPanicAfterGoexit: the panic of a goroutine reaches who waits
/// for it, with its value, and nobody else; what it held is dropped meanwhile. (Go's whole program
/// dies.)
#[test]
fn a_goroutine_that_panics_dies_alone_and_leaves_its_value() {
    run(2, || async {
        let (tx, rx) = rendezvous::<()>();
        let neighbour = go(async move { rx.recv().await });
        let held = Arc::new(());
        let dies = go({
            let held = held.clone();
            async move {
                let _held = held;
                yield_now().await;
                std::panic::resume_unwind(Box::new(42_i32));
            }
        });
        let error = dies.await.unwrap_err();
        assert_eq!(error.into_panic().downcast_ref(), Some(&42_i32));
        assert_eq!(Arc::strong_count(&held), 1);
        tx.send(()).await.unwrap();
        assert_eq!(neighbour.await.unwrap(), Some(()));
    });
}

/// proc_test.go: TestYieldLockedProgress: a goroutine with a thread of its own that polls and yields
/// keeps nobody from running.
#[test]
fn a_locked_goroutine_that_polls_and_yields_lets_others_go_on() {
    run_real(1, "it locks a thread", async {
        let (tx, rx) = rendezvous();
        let (ack, acked) = rendezvous();
        let locked = lock_thread(move || async move {
            while rx.try_recv() == Err(TryRecvError::Empty) {
                yield_now().await;
            }
            ack.send(()).await.unwrap();
        });
        tx.send(()).await.unwrap();
        assert_eq!(acked.recv().await, Some(()));
        locked.await.unwrap();
    });
}

/// proc_test.go: TestYieldLocked: a locked goroutine that yields and sleeps stays on its thread.
#[test]
fn a_locked_goroutine_stays_on_its_thread() {
    run_real(2, "it locks a thread", async {
        let others = [(); 4].map(|()| {
            go(async {
                for _ in 0..100 {
                    yield_now().await;
                }
            })
        });
        let locked = lock_thread(|| async {
            let mine = thread::current().id();
            for _ in 0..10 {
                yield_now().await;
                assert_eq!(thread::current().id(), mine);
                sleep(Duration::from_micros(100)).await;
                assert_eq!(thread::current().id(), mine);
            }
        });
        locked.await.unwrap();
        all(others).await;
    });
}

/// proc_test.go: TestBlockLocked: a locked goroutine talks to others over a channel without a buffer.
#[test]
fn a_locked_goroutine_blocks_on_channels_like_any_other() {
    run_real(1, "it locks a thread", async {
        let (tx, rx) = rendezvous();
        let locked = lock_thread(move || async move {
            for n in 0..10 {
                tx.send(n).await.unwrap();
            }
        });
        for n in 0..10 {
            assert_eq!(rx.recv().await, Some(n));
        }
        locked.await.unwrap();
    });
}

/// proc_test.go: TestLockOSThreadAvoidsStatePropagation, TestLockOSThreadExit: what a locked goroutine
/// does to its thread is seen by nobody else, during its life and after.
#[test]
fn the_state_of_a_locked_thread_is_seen_by_nobody_else() {
    use std::cell::Cell;
    thread_local! {
        static TAINTED: Cell<bool> = const { Cell::new(false) };
    }
    let looks = || {
        [(); 16].map(|()| {
            go(async {
                yield_now().await;
                assert!(!blocking(|| TAINTED.get()) && !TAINTED.get());
                assert!(!spawn_blocking(|| TAINTED.get()).await.unwrap());
            })
        })
    };
    run_real(4, "it locks a thread", async move {
        let (tx, rx) = rendezvous();
        let locked = lock_thread(move || async move {
            TAINTED.set(true);
            let started_there = go(async { TAINTED.get() });
            assert!(
                !started_there.await.unwrap(),
                "what it starts runs elsewhere"
            );
            rx.recv().await.unwrap();
            assert!(TAINTED.get());
        });
        all(looks()).await;
        tx.send(()).await.unwrap();
        locked.await.unwrap();
        all(looks()).await;
    });
}

/// proc_test.go: TestPreemptionAfterSyscall: many goroutines in blocking work, and those that don't
/// block go on.
#[test]
fn goroutines_go_on_beside_work_that_blocks_its_thread() {
    run_real(1, "it blocks threads", async {
        let (release, released) = rendezvous::<()>();
        let blocked: Vec<_> = (0..20)
            .map(|n| {
                let released = released.clone();
                spawn_blocking(move || {
                    assert_eq!(released.recv_blocking(), Some(()));
                    n
                })
            })
            .collect();
        for _ in 0..1000 {
            yield_now().await;
        }
        for _ in 0..20 {
            release.send(()).await.unwrap();
        }
        assert_eq!(all(blocked).await, (0..20).collect::<Vec<_>>());
    });
}
