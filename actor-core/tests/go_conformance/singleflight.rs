//! `x/sync/singleflight/singleflight_test.go`.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use actor_core::chan::{buffered, rendezvous};
use actor_core::go;
use actor_core::sync::SingleFlight;

use crate::{all, announced, run};

/// singleflight_test.go: TestDo, TestDoChan: one caller gets what its function returns, from a
/// goroutine as well.
#[test]
fn a_call_returns_what_its_function_does() {
    run(2, || async {
        let flights = Arc::new(SingleFlight::new());
        assert_eq!(flights.do_call("key", async || "bar").await, ("bar", false));
        let other = flights.clone();
        let elsewhere = go(async move { other.do_call("key", async || "baz").await });
        assert_eq!(elsewhere.await.unwrap(), ("baz", false), "no cache");
        assert_eq!(flights.in_flight(), 0);
    });
}

/// singleflight_test.go: TestDoErr: an error is shared like a value.
#[test]
fn an_error_is_a_result_like_any_other() {
    run(1, || async {
        let flights = SingleFlight::<_, Result<u8, &str>>::new();
        let (result, _) = flights.do_call("key", async || Err("some error")).await;
        assert_eq!(result, Err("some error"));
    });
}

/// singleflight_test.go: TestDoDupSuppress: those that ask while a call is under way share its result
/// and don't execute.
#[test]
fn callers_at_the_same_time_share_one_execution() {
    run(4, || async {
        let flights = Arc::new(SingleFlight::new());
        let calls = Arc::new(AtomicUsize::new(0));
        let (began, begun) = buffered(1);
        let (release, released) = rendezvous();
        let leader = go({
            let (flights, calls) = (flights.clone(), calls.clone());
            async move {
                let load = async || {
                    calls.fetch_add(1, SeqCst);
                    began.send(()).await.unwrap();
                    released.recv().await.unwrap()
                };
                flights.do_call("key", load).await
            }
        });
        begun.recv().await.unwrap();
        let (waits, waiting) = buffered(9);
        let others: Vec<_> = (0..9)
            .map(|_| {
                let (flights, waits) = (flights.clone(), waits.clone());
                go(async move {
                    let shared = flights.do_call("key", async || panic!("a second execution"));
                    announced(shared, waits).await
                })
            })
            .collect();
        for _ in 0..9 {
            waiting.recv().await.unwrap();
        }
        let another = flights.do_call("another", async || "foo").await;
        assert_eq!(another, ("foo", false), "other keys don't wait");
        release.send("bar").await.unwrap();
        assert_eq!(leader.await.unwrap(), ("bar", true));
        assert_eq!(all(others).await, [("bar", true); 9]);
        assert_eq!(calls.load(SeqCst), 1);
    });
}

/// singleflight_test.go: TestForget: after a forget the next call executes; those that come then share
/// the new one, although the forgotten one ends meanwhile.
#[test]
fn a_forgotten_call_is_not_joined_any_more() {
    run(4, || async {
        let flights = Arc::new(SingleFlight::new());
        let start = |result: u8| {
            let (began, begun) = buffered(1);
            let (release, released) = rendezvous::<()>();
            let flights = flights.clone();
            let call = go(async move {
                let load = async || {
                    began.send(()).await.unwrap();
                    released.recv().await.unwrap();
                    result
                };
                flights.do_call("key", load).await.0
            });
            (call, begun, release)
        };
        let (first, first_begun, first_release) = start(1);
        first_begun.recv().await.unwrap();
        assert!(flights.forget(&"key"));
        assert!(!flights.forget(&"key"), "forgotten already");

        let (second, second_begun, second_release) = start(2);
        second_begun.recv().await.unwrap();
        first_release.send(()).await.unwrap();
        assert_eq!(first.await.unwrap(), 1);

        let (waits, waiting) = buffered(1);
        let third = go({
            let flights = flights.clone();
            async move {
                let shared = flights.do_call("key", async || panic!("a third execution"));
                announced(shared, waits).await
            }
        });
        waiting.recv().await.unwrap();
        second_release.send(()).await.unwrap();
        assert_eq!(
            (second.await.unwrap(), third.await.unwrap()),
            (2, (2, true))
        );
    });
}

/// singleflight_test.go: TestPanicDo, TestPanicDoSharedByDoChan: a panic reaches all that share the
/// call, and nobody hangs.
#[test]
fn a_panic_reaches_all_that_share_the_call() {
    run(4, || async {
        let flights = Arc::new(SingleFlight::<_, ()>::new());
        let (began, begun) = buffered(1);
        let (release, released) = rendezvous::<()>();
        let leader = go({
            let flights = flights.clone();
            async move {
                let load = async || {
                    began.send(()).await.unwrap();
                    released.recv().await.unwrap();
                    std::panic::resume_unwind(Box::new("nil pointer"));
                };
                flights.do_call("key", load).await
            }
        });
        begun.recv().await.unwrap();
        let (waits, waiting) = buffered(4);
        let others: Vec<_> = (0..4)
            .map(|_| {
                let (flights, waits) = (flights.clone(), waits.clone());
                go(async move {
                    let shared = flights.do_call("key", async || unreachable!("it shares"));
                    announced(shared, waits).await
                })
            })
            .collect();
        for _ in 0..4 {
            waiting.recv().await.unwrap();
        }
        release.send(()).await.unwrap();
        assert_eq!(
            leader.await.unwrap_err().panic_message(),
            Some("nil pointer")
        );
        for other in others {
            let error = other.await.unwrap_err();
            assert!(
                error.panic_message().unwrap().contains("nil pointer"),
                "{error}"
            );
        }
        assert_eq!(flights.in_flight(), 0);
        flights.do_call("key", async || ()).await; // and the next one executes
    });
}

/// singleflight_test.go: TestGoexitDo: a caller that is ended while its function runs does not take
/// the others along: the next of them executes.
#[test]
fn a_caller_that_is_aborted_is_followed_by_the_next() {
    run(4, || async {
        let flights = Arc::new(SingleFlight::new());
        let (began, begun) = buffered(1);
        let leader = go({
            let flights = flights.clone();
            async move {
                let load = async || {
                    began.send(()).await.unwrap();
                    pending().await
                };
                flights.do_call("key", load).await
            }
        });
        begun.recv().await.unwrap();
        let (waits, waiting) = buffered(4);
        let others: Vec<_> = (0..4)
            .map(|n| {
                let (flights, waits) = (flights.clone(), waits.clone());
                go(async move { announced(flights.do_call("key", async || n), waits).await.0 })
            })
            .collect();
        for _ in 0..4 {
            waiting.recv().await.unwrap();
        }
        leader.abort();
        assert!(leader.await.unwrap_err().is_cancelled());
        let got = all(others).await;
        assert!(got.iter().all(|n| *n == got[0]), "one execution: {got:?}");
    });
}
