//! `x/sync/semaphore/semaphore_test.go`, and the semaphores of `sync/mutex_test.go` and
//! `sync/runtime_sema_test.go`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use actor_core::chan::buffered;
use actor_core::sync::{AcquireError, Semaphore, TryAcquireError};
use actor_core::{go, timeout, yield_now};

use crate::seeds::{gap, rounds};
use crate::{all, announced, run};

/// mutex_test.go: TestSemaphore: ten goroutines take and give back the only permit.
#[test]
fn ten_goroutines_hammer_one_permit() {
    run(4, || async {
        let semaphore = Arc::new(Semaphore::new(1));
        let inside = Arc::new(AtomicUsize::new(0));
        let hammering: Vec<_> = (0..10)
            .map(|_| {
                let (semaphore, inside) = (semaphore.clone(), inside.clone());
                go(async move {
                    for _ in 0..rounds(1000, 3) {
                        let _permit = semaphore.acquire(1).await.unwrap();
                        assert_eq!(inside.fetch_add(1, SeqCst), 0);
                        gap().await;
                        inside.fetch_sub(1, SeqCst);
                    }
                })
            })
            .collect();
        all(hammering).await;
        assert_eq!(semaphore.available(), 1);
    });
}

/// semaphore_test.go: TestWeighted: requests of all weights never hold more than there is.
#[test]
fn requests_of_any_weight_hold_no_more_than_there_is() {
    const SIZE: usize = 6;
    run(4, || async {
        let semaphore = Arc::new(Semaphore::new(SIZE));
        let held = Arc::new(AtomicUsize::new(0));
        let hammering: Vec<_> = (0..=SIZE)
            .map(|weight| {
                let (semaphore, held) = (semaphore.clone(), held.clone());
                go(async move {
                    for round in 0..rounds(500, 5) {
                        let _permit = semaphore.acquire(weight).await.unwrap();
                        assert!(held.fetch_add(weight, SeqCst) + weight <= SIZE);
                        if round % rounds(8, 2) == 0 {
                            yield_now().await;
                        }
                        held.fetch_sub(weight, SeqCst);
                    }
                })
            })
            .collect();
        all(hammering).await;
        assert_eq!(semaphore.available(), SIZE);
    });
}

/// semaphore_test.go: TestWeightedPanic: a release of what was not acquired. A permit gives back what
/// it holds and no more; what adds permits panics before the count overflows.
#[test]
fn more_permits_than_can_be_counted_are_refused() {
    let semaphore = Semaphore::new(1);
    let adding = AssertUnwindSafe(|| semaphore.add_permits(Semaphore::MAX_PERMITS));
    assert!(catch_unwind(adding).is_err());
    assert_eq!(
        (semaphore.available(), semaphore.size()),
        (1, 1),
        "as it was"
    );
    assert!(catch_unwind(|| Semaphore::new(usize::MAX)).is_err());
}

/// semaphore_test.go: TestWeightedTryAcquire: which tries succeed.
#[test]
fn a_try_takes_what_is_free_and_nothing_else() {
    let semaphore = Semaphore::new(2);
    let first = semaphore.try_acquire(1);
    let second = semaphore.try_acquire(1);
    assert!(first.is_ok() && second.is_ok());
    assert_eq!(
        semaphore.try_acquire(1).unwrap_err(),
        TryAcquireError::NoPermits
    );
    drop((first, second));
    let both = semaphore.try_acquire(2);
    assert!(both.is_ok());
    assert!(semaphore.try_acquire(1).is_err());
    assert!(semaphore.try_acquire(0).is_ok(), "nothing is always free");
}

/// semaphore_test.go: TestWeightedAcquire: the same with requests that give up after a time.
#[test]
fn a_request_that_gives_up_takes_nothing() {
    run(2, || async {
        const SHORT: Duration = Duration::from_millis(2);
        let semaphore = Semaphore::new(2);
        let first = semaphore.acquire(1).await.unwrap();
        let second = timeout(SHORT, semaphore.acquire(1)).await;
        assert!(second.is_ok());
        assert!(timeout(SHORT, semaphore.acquire(1)).await.is_err());
        drop((first, second));
        assert_eq!(semaphore.available(), 2);
        let _both = semaphore.acquire(2).await.unwrap();
        assert!(timeout(SHORT, semaphore.acquire(1)).await.is_err());
    });
}

/// semaphore_test.go: TestWeightedDoesntBlockIfTooBig: a request for more than there is blocks nobody
/// else. It is told so here, and waits until it is cancelled in Go.
#[test]
fn a_request_that_can_never_be_met_is_told_so() {
    run(2, || async {
        let semaphore = Arc::new(Semaphore::new(2));
        let hopeless = semaphore.acquire(3).await.unwrap_err();
        assert!(matches!(
            hopeless,
            AcquireError::TooMany {
                wanted: 3,
                size: 2,
                ..
            }
        ));
        let others: Vec<_> = (0..6)
            .map(|_| {
                let semaphore = semaphore.clone();
                go(async move {
                    let _permit = semaphore.acquire(1).await.unwrap();
                    yield_now().await;
                })
            })
            .collect();
        all(others).await;
    });
}

/// semaphore_test.go: TestLargeAcquireDoesntStarve: a big request is served although small ones come
/// all the time.
#[test]
fn a_big_request_is_not_starved_by_small_ones() {
    const SIZE: usize = 4;
    run(4, || async {
        let semaphore = Arc::new(Semaphore::new(SIZE));
        let stop = Arc::new(AtomicBool::new(false));
        let mut small = Vec::new();
        for _ in 0..SIZE {
            let mut permit = semaphore.acquire_owned(1).await.unwrap();
            let (semaphore, stop) = (semaphore.clone(), stop.clone());
            small.push(go(async move {
                while !stop.load(SeqCst) {
                    drop(permit);
                    permit = semaphore.acquire_owned(1).await.unwrap();
                    yield_now().await;
                }
            }));
        }
        let big = semaphore.acquire(SIZE).await.unwrap();
        stop.store(true, SeqCst);
        drop(big);
        all(small).await;
    });
}

/// semaphore_test.go: TestAllocCancelDoesntStarve: a big request that gives up lets those behind it
/// through.
#[test]
fn a_request_that_gives_up_lets_those_behind_it_through() {
    run(2, || async {
        let semaphore = Arc::new(Semaphore::new(10));
        let _reading = semaphore.acquire(1).await.unwrap();
        let (waits, waiting) = buffered(1);
        let big = go({
            let (semaphore, waits) = (semaphore.clone(), waits.clone());
            async move { announced(semaphore.acquire(10), waits).await.map(drop) }
        });
        waiting.recv().await.unwrap();
        let behind = go({
            let semaphore = semaphore.clone();
            async move { announced(semaphore.acquire(1), waits).await.map(drop) }
        });
        waiting.recv().await.unwrap();
        assert!(!behind.is_finished(), "first come, first served");
        big.abort();
        assert!(big.await.unwrap_err().is_cancelled());
        assert_eq!(behind.await.unwrap(), Ok(()));
    });
}

/// runtime_sema_test.go: TestSemaHandoff: a permit that is given back goes to the one that waits, not
/// to the giver who asks again at once.
#[test]
fn a_permit_goes_to_the_one_that_waits() {
    run(2, || async {
        let semaphore = Arc::new(Semaphore::new(1));
        let (waits, waiting) = buffered(1);
        for _ in 0..rounds(200, 5) {
            let permit = semaphore.acquire(1).await.unwrap();
            let other = go({
                let (semaphore, waits) = (semaphore.clone(), waits.clone());
                async move { announced(semaphore.acquire_owned(1), waits).await }
            });
            waiting.recv().await.unwrap();
            drop(permit);
            // Granted by now, whether the other has run or not: it can't be taken any more.
            assert!(semaphore.try_acquire(1).is_err());
            drop(other.await.unwrap());
        }
    });
}
