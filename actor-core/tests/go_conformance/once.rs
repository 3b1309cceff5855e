//! `sync/once_test.go` and `sync/oncefunc_test.go`.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use actor_core::chan::{buffered, rendezvous};
use actor_core::go;
use actor_core::sync::{Once, OnceCell, OnceFn, OnceValue};

use crate::seeds::{gap, rounds};
use crate::{all, announced, run};

/// once_test.go: TestOnce: of ten callers one acts, and all return after it has.
#[test]
fn of_many_callers_one_acts_and_all_see_it_done() {
    run(4, || async {
        for _ in 0..rounds(100, 3) {
            let once = Arc::new(Once::new());
            let count = Arc::new(AtomicUsize::new(0));
            let callers: Vec<_> = (0..10)
                .map(|_| {
                    let (once, count) = (once.clone(), count.clone());
                    go(async move {
                        once.do_once(async || {
                            actor_core::yield_now().await;
                            count.fetch_add(1, SeqCst);
                        })
                        .await;
                        assert_eq!(count.load(SeqCst), 1, "returned after the action");
                    })
                })
                .collect();
            all(callers).await;
            assert_eq!(count.load(SeqCst), 1);
        }
    });
}

/// once_test.go: TestOncePanic: an action that panics counts as done: its caller gets the panic, the
/// next ones return, and it is not called again.
#[test]
fn an_action_that_panics_counts_as_done() {
    run(2, || async {
        let once = Arc::new(Once::new());
        let first = go({
            let once = once.clone();
            async move {
                once.do_once(async || std::panic::resume_unwind(Box::new("failed")))
                    .await;
            }
        });
        let error = first.await.unwrap_err();
        assert_eq!(error.into_panic().downcast_ref(), Some(&"failed"));
        assert!(once.is_done());
        once.do_once(async || unreachable!("called twice")).await;
    });
}

/// once_test.go: TestOnce, the callers that came while it ran: they wait, however long.
#[test]
fn callers_wait_while_the_action_runs() {
    run(4, || async {
        let once = Arc::new(Once::new());
        let (release, released) = rendezvous::<()>();
        let (began, begun) = buffered(1);
        let first = go({
            let once = once.clone();
            async move {
                once.do_once(async || {
                    began.send(()).await.unwrap();
                    released.recv().await.unwrap();
                })
                .await;
            }
        });
        begun.recv().await.unwrap();
        let (waits, waiting) = buffered(5);
        let others: Vec<_> = (0..5)
            .map(|_| {
                let (once, waits) = (once.clone(), waits.clone());
                go(async move {
                    announced(once.do_once(async || unreachable!("done")), waits).await;
                })
            })
            .collect();
        for _ in 0..5 {
            waiting.recv().await.unwrap();
        }
        assert!(!once.is_done());
        release.send(()).await.unwrap();
        first.await.unwrap();
        all(others).await;
    });
}

/// oncefunc_test.go: TestOnceFuncGoexit: an action that is ended from outside is not done, and the
/// next caller runs its own. (Go leaves open what happens.)
#[test]
fn an_action_that_was_aborted_is_tried_again() {
    run(2, || async {
        let once = Arc::new(Once::new());
        let (began, begun) = buffered(1);
        let first = go({
            let once = once.clone();
            async move {
                once.do_once(async || {
                    began.send(()).await.unwrap();
                    pending::<()>().await;
                })
                .await;
            }
        });
        begun.recv().await.unwrap();
        first.abort();
        assert!(first.await.unwrap_err().is_cancelled());
        assert!(!once.is_done());
        let mut ran = false;
        once.do_once(async || ran = true).await;
        assert!(ran && once.is_done());
    });
}

/// oncefunc_test.go: TestOnceValue: the value is made once and is the same for all.
#[test]
fn a_value_is_made_once() {
    run(4, || async {
        let cell = Arc::new(OnceCell::new());
        let calls = Arc::new(AtomicUsize::new(0));
        let callers: Vec<_> = (0..10)
            .map(|_| {
                let (cell, calls) = (cell.clone(), calls.clone());
                go(async move {
                    let value = cell
                        .get_or_init(async || {
                            actor_core::yield_now().await;
                            calls.fetch_add(1, SeqCst) + 1
                        })
                        .await;
                    std::ptr::from_ref(value) as usize
                })
            })
            .collect();
        let mut places = all(callers).await;
        places.dedup();
        assert_eq!(places.len(), 1, "one value, one place");
        assert_eq!((calls.load(SeqCst), cell.get()), (1, Some(&1)));
    });
}

/// oncefunc_test.go: TestOnceValues: the second value of Go's pair is the error as a rule: a maker
/// that fails leaves no value, and the next one may succeed.
#[test]
fn a_maker_that_fails_leaves_room_for_the_next() {
    run(1, || async {
        let cell = OnceCell::new();
        let failed: Result<&u32, &str> = cell.get_or_try_init(async || Err("not yet")).await;
        assert_eq!(failed, Err("not yet"));
        assert_eq!(cell.get(), None);
        let made: Result<&u32, &str> = cell.get_or_try_init(async || Ok(5)).await;
        assert_eq!(made, Ok(&5));
        assert_eq!(cell.set(6), Err(6), "there is one");
        assert_eq!(*cell.get_or_init(async || unreachable!("made")).await, 5);
    });
}

/// oncefunc_test.go: TestOnceFunc: the function runs at the first call, and at no other.
#[test]
fn a_once_function_runs_at_its_first_call_only() {
    run(4, || async {
        let calls = Arc::new(AtomicUsize::new(0));
        let function = Arc::new(OnceFn::new({
            let calls = calls.clone();
            async move || {
                actor_core::yield_now().await;
                calls.fetch_add(1, SeqCst);
            }
        }));
        assert!(!function.is_done(), "nobody has called it");
        let callers: Vec<_> = (0..10)
            .map(|_| {
                let (function, calls) = (function.clone(), calls.clone());
                go(async move {
                    function.call().await;
                    assert_eq!(calls.load(SeqCst), 1);
                })
            })
            .collect();
        all(callers).await;
        function.call_blocking();
        assert!(function.is_done());
        assert_eq!(calls.load(SeqCst), 1);
    });
}

/// oncefunc_test.go: TestOnceValue, TestOnceValues: the value, a pair too, is computed once and is one
/// for all.
#[test]
fn a_once_value_is_computed_once() {
    fn one_and_two() -> (OnceValue<(usize, usize)>, Arc<AtomicUsize>) {
        let calls = Arc::new(AtomicUsize::new(0));
        let pair = OnceValue::new({
            let calls = calls.clone();
            async move || {
                let n = calls.fetch_add(1, SeqCst) + 1;
                gap().await;
                (n, n + 1)
            }
        });
        (pair, calls)
    }
    let (pair, _) = one_and_two();
    assert_eq!(pair.try_get(), None);
    assert_eq!(*pair.get_blocking(), (1, 2));
    assert!(std::ptr::eq(pair.get_blocking(), pair.try_get().unwrap()));
    run(2, || async {
        let (pair, calls) = one_and_two();
        let pair = Arc::new(pair);
        let callers = [(); 3].map(|()| {
            let pair = pair.clone();
            go(async move { assert_eq!(*pair.get().await, (1, 2)) })
        });
        all(callers).await;
        assert!(std::ptr::eq(pair.get().await, pair.try_get().unwrap()));
        assert_eq!(calls.load(SeqCst), 1);
    });
}

/// oncefunc_test.go: TestOnceFuncPanic, TestOnceValuePanic, TestOnceValuesPanic: every call panics
/// with the same text, and the function has run once.
#[test]
fn a_panic_of_a_once_function_reaches_every_caller() {
    run(2, || async {
        let calls = Arc::new(AtomicUsize::new(0));
        let value = Arc::new(OnceValue::<u8>::new({
            let calls = calls.clone();
            async move || {
                calls.fetch_add(1, SeqCst);
                std::panic::resume_unwind(Box::new("x"));
            }
        }));
        for _ in 0..3 {
            let value = value.clone();
            let caller = go(async move { *value.get().await });
            assert_eq!(caller.await.unwrap_err().panic_message(), Some("x"));
        }
        assert_eq!(calls.load(SeqCst), 1);
        assert_eq!(value.try_get(), None);
    });
}

/// oncefunc_test.go: TestOnceFuncGoexit, of a function that has its work with it: a caller that is
/// aborted leaves it where it is, and the next one carries it on; it is not called twice.
#[test]
fn a_once_function_is_carried_on_when_its_caller_is_aborted() {
    run(2, || async {
        let calls = Arc::new(AtomicUsize::new(0));
        let (began, begun) = buffered(1);
        let (release, released) = rendezvous::<()>();
        let function = Arc::new(OnceFn::new({
            let calls = calls.clone();
            async move || {
                calls.fetch_add(1, SeqCst);
                began.send(()).await.unwrap();
                released.recv().await.unwrap();
            }
        }));
        let first = go({
            let function = function.clone();
            async move { function.call().await }
        });
        begun.recv().await.unwrap();
        first.abort();
        assert!(first.await.unwrap_err().is_cancelled());
        let (waits, waiting) = buffered(1);
        let second = go({
            let function = function.clone();
            async move { announced(function.call(), waits).await }
        });
        waiting.recv().await.unwrap();
        release.send(()).await.unwrap();
        second.await.unwrap();
        assert_eq!(calls.load(SeqCst), 1);
    });
}

/// oncefunc_test.go: TestOnceXGC: what a once function holds is let go after its first call, one that
/// panicked included, and not before.
#[test]
fn what_a_once_function_holds_is_let_go_after_its_call() {
    for panics in [false, true] {
        let held = Arc::new(());
        let function = OnceFn::new({
            let held = held.clone();
            async move || {
                let _held = held;
                if panics {
                    std::panic::resume_unwind(Box::new("x"));
                }
            }
        });
        assert_eq!(Arc::strong_count(&held), 2);
        let called = std::panic::AssertUnwindSafe(|| function.call_blocking());
        assert_eq!(std::panic::catch_unwind(called).is_err(), panics);
        assert_eq!(Arc::strong_count(&held), 1);
    }
}
