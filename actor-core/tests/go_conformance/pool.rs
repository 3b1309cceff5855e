//! `sync/pool_test.go`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::SeqCst};

use actor_core::sync::Pool;
use actor_core::{go, yield_now};

use crate::seeds::rounds;
use crate::{all, run};

/// pool_test.go: TestPool: what was put back is handed out again before anything new is made.
#[test]
fn what_was_put_back_is_used_again() {
    let made = Arc::new(AtomicU32::new(0));
    let pool = Pool::new({
        let made = made.clone();
        move || made.fetch_add(1, SeqCst)
    });
    assert_eq!(pool.idle(), 0, "it makes nothing in advance");
    let (a, b) = (pool.get(), pool.get());
    assert_eq!((*a, *b), (0, 1));
    drop((a, b));
    let (a, b) = (pool.get(), pool.get());
    let mut got = [*a, *b];
    got.sort_unstable();
    assert_eq!(got, [0, 1]);
    assert_eq!(
        (*pool.get(), made.load(SeqCst)),
        (2, 3),
        "the pool was empty"
    );
}

/// pool_test.go: TestPoolNew: `New` is called when there is nothing else, and only then.
#[test]
fn the_maker_is_asked_only_when_the_pool_is_empty() {
    let made = Arc::new(AtomicU32::new(0));
    let pool = Pool::new({
        let made = made.clone();
        move || made.fetch_add(1, SeqCst) + 1
    });
    let (first, second) = (pool.get(), pool.get());
    assert_eq!((*first, *second), (1, 2));
    drop(second);
    for _ in 0..100 {
        assert_eq!(*pool.get(), 2, "the one that is kept");
    }
    assert_eq!(made.load(SeqCst), 2);
}

/// pool_test.go: TestPoolGC, TestPoolRelease: the pool's end is the end of what it keeps; what was
/// taken out for good is not its own any more.
#[test]
fn a_pool_keeps_nothing_alive_after_its_end() {
    let alive = Arc::new(());
    let pool = Pool::new({
        let alive = alive.clone();
        move || alive.clone()
    });
    let guards: Vec<_> = (0..10).map(|_| pool.get()).collect();
    let taken = pool.get().into_inner();
    drop(guards);
    assert_eq!(Arc::strong_count(&alive), 1 + 1 + pool.idle() + 1);
    drop(pool);
    assert_eq!(Arc::strong_count(&alive), 2);
    drop(taken);
    assert_eq!(Arc::strong_count(&alive), 1);
}

/// pool_test.go: TestPoolStress: ten goroutines put and get, on all Ps; what they get is whole.
#[test]
fn goroutines_on_all_processors_share_a_pool() {
    run(4, || async {
        let pool = Pool::with_reset(|| vec![0_u8; 64], |bytes| bytes.fill(0));
        let users: Vec<_> = (0..10_u8)
            .map(|n| {
                let pool = pool.clone();
                go(async move {
                    for round in 0..rounds(2_000, 8) {
                        let mut bytes = pool.get();
                        assert!(bytes.iter().all(|byte| *byte == 0), "somebody else's");
                        bytes.fill(n);
                        if round % rounds(64, 2) == 0 {
                            yield_now().await; // it may come back on another P
                        }
                        assert!(bytes.iter().all(|byte| *byte == n));
                    }
                })
            })
            .collect();
        all(users).await;
    });
}

/// pool_test.go: TestPoolDequeue, TestPoolChain: nobody is handed what somebody else has, and nothing
/// is handed out twice.
#[test]
fn no_object_has_two_owners() {
    const USERS: usize = 8;
    run(4, || async {
        let made = Arc::new(AtomicUsize::new(0));
        let pool = Pool::new({
            let made = made.clone();
            move || (made.fetch_add(1, SeqCst), AtomicUsize::new(0))
        });
        let users: Vec<_> = (0..USERS)
            .map(|_| {
                let pool = pool.clone();
                go(async move {
                    for round in 0..rounds(2_000, 10) {
                        let mine: Vec<_> = (0..round % 5).map(|_| pool.get()).collect();
                        for object in &mine {
                            assert_eq!(object.1.fetch_add(1, SeqCst), 0, "two owners");
                        }
                        if round % rounds(32, 3) == 0 {
                            yield_now().await;
                        }
                        for object in mine {
                            object.1.fetch_sub(1, SeqCst);
                        }
                    }
                })
            })
            .collect();
        all(users).await;
        // No more than were out at once, plus those that were turned away by a busy shard.
        assert!(pool.idle() <= made.load(SeqCst));
    });
}

/// pool_test.go: TestPool, its collections: what was put in survives one round unused, and not two;
/// what was used in between stays.
#[test]
fn what_is_not_used_for_two_rounds_is_let_go() {
    let alive = Arc::new(());
    let pool = Pool::new(|| Arc::new(()));
    assert!(pool.try_get().is_none(), "empty");
    pool.put(alive.clone());
    pool.age();
    assert_eq!(Arc::strong_count(&alive), 2, "a victim");
    drop(pool.try_get().expect("it can be saved"));
    pool.age();
    assert_eq!(Arc::strong_count(&alive), 2, "it was used since");
    pool.age();
    assert_eq!(Arc::strong_count(&alive), 1);
    assert!(pool.try_get().is_none());
}

/// pool_test.go: TestPoolGC, TestPoolRelease: a hundred objects that nobody takes out again are all
/// let go by two rounds, whichever P they were put in by.
#[test]
fn objects_put_in_on_any_processor_are_let_go() {
    run(4, || async {
        let alive = Arc::new(());
        let pool = Pool::new(|| Arc::new(()));
        let putting: Vec<_> = (0..10)
            .map(|_| {
                let (pool, alive) = (pool.clone(), alive.clone());
                go(async move {
                    for _ in 0..10 {
                        pool.put(alive.clone());
                        yield_now().await;
                    }
                })
            })
            .collect();
        all(putting).await;
        assert_eq!(Arc::strong_count(&alive), 1 + pool.idle());
        pool.age();
        pool.age();
        assert_eq!((Arc::strong_count(&alive), pool.idle()), (1, 0));
    });
}
