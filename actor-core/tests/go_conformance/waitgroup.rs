//! `sync/waitgroup_test.go`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use actor_core::chan::{TryRecvError, buffered};
use actor_core::go;
use actor_core::sync::WaitGroup;

use crate::seeds::rounds;
use crate::{all, announced, run, run_real};

/// waitgroup_test.go: TestWaitGroup: two groups as the two halves of a barrier, used again and again:
/// nobody passes too soon, everybody passes in the end.
#[test]
fn two_groups_make_a_barrier_that_can_be_used_again() {
    const N: usize = 16;
    run(4, || async {
        let (arrived, released) = (WaitGroup::new(), WaitGroup::new());
        for _ in 0..8 {
            arrived.add(N);
            released.add(N);
            let (exit, exited) = buffered(N);
            for _ in 0..N {
                let (arrived, released, exit) = (arrived.clone(), released.clone(), exit.clone());
                drop(go(async move {
                    arrived.done();
                    released.wait().await;
                    exit.send(()).await.unwrap();
                }));
            }
            arrived.wait().await;
            for _ in 0..N {
                assert_eq!(exited.try_recv(), Err(TryRecvError::Empty), "too soon");
                released.done();
            }
            for _ in 0..N {
                assert_eq!(exited.recv().await, Some(()));
            }
        }
    });
}

/// waitgroup_test.go: TestWaitGroupMisuse: more done than added panics, says so, and leaves the group
/// as it was.
#[test]
fn a_group_driven_below_zero_panics() {
    let group = WaitGroup::new();
    group.add(1);
    group.done();
    let panic = catch_unwind(AssertUnwindSafe(|| group.done())).unwrap_err();
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap();
    assert!(text.contains("add(n)"), "{text}");
    group.add(1);
    group.done();
    group.wait_blocking();
}

/// waitgroup_test.go: TestWaitGroupMisuse2, TestWaitGroupMisuse3: a group that is used again before
/// an earlier `Wait` has returned. Go finds that now and then and panics; here it is allowed: a
/// waiter returns when the count was zero once since it came.
#[test]
fn a_group_may_be_used_again_before_its_waiters_have_returned() {
    run(4, || async {
        let group = WaitGroup::new();
        for _ in 0..rounds(1000, 5) {
            group.add(1);
            let (waits, waiting) = buffered(1);
            let waiter = go({
                let group = group.clone();
                async move { announced(group.wait(), waits).await }
            });
            waiting.recv().await.unwrap();
            group.done();
            group.add(1); // the waiter may not have run yet
            waiter.await.unwrap();
            group.done();
            group.wait().await;
        }
    });
}

/// waitgroup_test.go: TestWaitGroupRace: no wait returns before the work of all is visible.
#[test]
fn what_was_done_before_done_is_seen_after_wait() {
    run(4, || async {
        for _ in 0..rounds(1000, 5) {
            let group = WaitGroup::new();
            let sum = Arc::new(AtomicUsize::new(0));
            for _ in 0..2 {
                group.add(1);
                let (group, sum) = (group.clone(), sum.clone());
                drop(go(async move {
                    // Not synchronised by itself: the group does that.
                    sum.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    group.done();
                }));
            }
            group.wait().await;
            assert_eq!(sum.load(std::sync::atomic::Ordering::Relaxed), 2);
        }
    });
}

/// waitgroup_test.go: TestWaitGroupAlign: a group works wherever it lies in a struct.
#[test]
fn a_group_inside_a_struct_works() {
    #[repr(C)]
    struct Odd {
        byte: u8,
        group: WaitGroup,
    }
    run(1, || async {
        let odd = Arc::new(Odd {
            byte: 7,
            group: WaitGroup::new(),
        });
        odd.group.add(1);
        let other = odd.clone();
        drop(go(async move { other.group.done() }));
        odd.group.wait().await;
        assert_eq!(odd.byte, 7);
    });
}

/// waitgroup_test.go: TestWaitGroupGo: `go` counts by itself, the one that panics as well.
#[test]
fn goroutines_started_by_the_group_are_counted() {
    run(4, || async {
        let group = WaitGroup::new();
        let ran = Arc::new(AtomicUsize::new(0));
        let goroutines: Vec<_> = (0..100)
            .map(|n| {
                let ran = ran.clone();
                group.go(async move {
                    ran.fetch_add(1, SeqCst);
                    if n == 50 {
                        std::panic::resume_unwind(Box::new("one of them"));
                    }
                })
            })
            .collect();
        group.wait().await;
        assert_eq!(ran.load(SeqCst), 100);
        let mut panicked = 0;
        for goroutine in goroutines {
            panicked += usize::from(goroutine.await.is_err());
        }
        assert_eq!(panicked, 1);
    });
}

/// waitgroup_test.go: BenchmarkWaitGroupActuallyWait: many wait for the same group, goroutines and
/// threads.
#[test]
fn all_that_wait_are_released_together() {
    async fn released(group: WaitGroup) {
        let (waits, waiting) = buffered(50);
        let waiters: Vec<_> = (0..50)
            .map(|_| {
                let (group, waits) = (group.clone(), waits.clone());
                go(async move { announced(group.wait(), waits).await })
            })
            .collect();
        for _ in 0..50 {
            waiting.recv().await.unwrap();
        }
        assert!(waiters.iter().all(|waiter| !waiter.is_finished()));
        group.done();
        all(waiters).await;
    }
    let one = || {
        let group = WaitGroup::new();
        group.add(1);
        group
    };
    let group = one();
    let thread = std::thread::spawn({
        let group = group.clone();
        move || group.wait_blocking()
    });
    run_real(4, "a thread waits with them", released(group));
    thread.join().unwrap();
    run(2, move || released(one()));
}
