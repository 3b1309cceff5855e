//! Single flight: what Go's `singleflight_test.go` checks, and what becomes of cancelled leaders.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, Waker};

use actor_core::chan::rendezvous;
use actor_core::sync::{SingleFlight, WaitGroup};
use actor_core::{Runtime, go, yield_now};

type Call<'a> = Pin<Box<dyn Future<Output = (u32, bool)> + 'a>>;

fn poll(call: &mut Call<'_>) -> Poll<(u32, bool)> {
    call.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

/// A call that is ready with `value` at its second poll.
async fn slow(value: u32) -> u32 {
    let mut polled = false;
    std::future::poll_fn(|_| match std::mem::replace(&mut polled, true) {
        true => Poll::Ready(value),
        false => Poll::Pending,
    })
    .await
}

#[test]
fn one_call_alone_gets_its_own_value_and_leaves_no_key() {
    let flight = SingleFlight::new();
    assert_eq!(flight.do_call_blocking("key", || 5), (5, false));
    assert_eq!(flight.do_call_blocking("key", || 6), (6, false), "no cache");
    assert_eq!(flight.in_flight(), 0);
}

#[test]
fn errors_are_shared_as_values_are() {
    let flight = SingleFlight::<_, Result<u8, &str>>::new();
    assert_eq!(flight.do_call_blocking(1, || Err("no")), (Err("no"), false));
}

#[test]
fn calls_at_the_same_time_run_one_function() {
    const CALLERS: usize = 100;
    let runtime = Runtime::builder().procs(4).build().unwrap();
    runtime.block_on(async {
        let flight = Arc::new(SingleFlight::new());
        let runs = Arc::new(AtomicUsize::new(0));
        let (release, released) = rendezvous::<()>();
        let started = WaitGroup::new();
        let callers: Vec<_> = (0..CALLERS)
            .map(|_| {
                let (flight, runs, released) = (flight.clone(), runs.clone(), released.clone());
                let here = started.clone();
                here.add(1);
                go(async move {
                    let call = flight.do_call("key", async || {
                        runs.fetch_add(1, SeqCst);
                        released.recv().await;
                        7
                    });
                    let mut call = pin!(call);
                    let mut first = true;
                    std::future::poll_fn(|cx| {
                        let polled = call.as_mut().poll(cx);
                        if std::mem::replace(&mut first, false) {
                            here.done(); // joined the flight
                        }
                        polled
                    })
                    .await
                })
            })
            .collect();
        started.wait().await;
        drop(release);
        for caller in callers {
            assert_eq!(caller.await.unwrap(), (7, true));
        }
        assert_eq!(runs.load(SeqCst), 1);
        assert_eq!(flight.in_flight(), 0);
    });
}

#[test]
fn different_keys_do_not_wait_for_each_other() {
    let flight = SingleFlight::new();
    let mut one: Call<'_> = Box::pin(flight.do_call(1, async || slow(1).await));
    assert!(poll(&mut one).is_pending());
    assert_eq!(flight.do_call_blocking(2, || 2), (2, false));
    assert_eq!(flight.in_flight(), 1);
    assert_eq!(poll(&mut one), Poll::Ready((1, false)));
}

#[test]
fn when_the_leader_is_cancelled_the_next_runs_its_own_function() {
    let flight = SingleFlight::new();
    let mut calls: Vec<Call<'_>> = (0..5)
        .map(|n| -> Call<'_> { Box::pin(flight.do_call("key", async move || slow(n).await)) })
        .collect();
    assert!(calls.iter_mut().all(|call| poll(call).is_pending()));
    drop(calls.remove(0)); // the leader: 1 is handed the token
    drop(calls.remove(0)); // before it was polled: it goes to 2
    drop(calls.remove(1)); // 3 only waits
    let (mut two, mut four) = (calls.remove(0), calls.remove(0));
    assert!(poll(&mut four).is_pending());
    assert!(
        poll(&mut two).is_pending(),
        "it leads, and its function waits"
    );
    assert_eq!(poll(&mut two), Poll::Ready((2, true)));
    assert_eq!(poll(&mut four), Poll::Ready((2, true)));
    assert_eq!(flight.in_flight(), 0);
}

#[test]
fn when_all_are_cancelled_no_key_is_left() {
    let flight = SingleFlight::new();
    for leaver in 0..3 {
        let mut calls: Vec<Call<'_>> = (0..3)
            .map(|n| -> Call<'_> { Box::pin(flight.do_call("key", async move || slow(n).await)) })
            .collect();
        assert!(calls.iter_mut().all(|call| poll(call).is_pending()));
        drop(calls.remove(leaver));
        assert_eq!(flight.in_flight(), 1);
        drop(calls);
        assert_eq!(flight.in_flight(), 0);
    }
    drop(flight.do_call("never polled", async || 1));
    assert_eq!(flight.in_flight(), 0);
}

#[test]
fn a_panic_reaches_all_who_share_it_and_nobody_after() {
    Runtime::new().unwrap().block_on(async {
        let flight = Arc::new(SingleFlight::<_, u8>::new());
        let calls: Vec<_> = (0..5)
            .map(|_| {
                let flight = flight.clone();
                go(async move {
                    flight
                        .do_call("key", async || {
                            for _ in 0..100 {
                                yield_now().await;
                            }
                            resume_unwind(Box::new("load failed"))
                        })
                        .await
                })
            })
            .collect();
        for call in calls {
            let error = call.await.unwrap_err();
            assert_eq!(error.panic_message(), Some("load failed"));
        }
        assert_eq!(flight.in_flight(), 0);
        assert_eq!(flight.do_call("key", async || 1).await, (1, false));
    });
}

#[test]
fn a_leader_that_panics_at_once_leaves_no_key() {
    let flight = SingleFlight::<_, u8>::new();
    let call = AssertUnwindSafe(|| flight.do_call_blocking("key", || resume_unwind(Box::new(1))));
    assert!(catch_unwind(call).is_err());
    assert_eq!(flight.in_flight(), 0);
}

#[test]
fn a_forgotten_call_goes_on_beside_the_next() {
    let flight = SingleFlight::new();
    let mut old: Call<'_> = Box::pin(flight.do_call("key", async || slow(1).await));
    let mut sharer: Call<'_> = Box::pin(flight.do_call("key", async || slow(9).await));
    assert!(poll(&mut old).is_pending());
    assert!(poll(&mut sharer).is_pending());
    assert!(flight.forget(&"key"));
    assert!(!flight.forget(&"key"));
    let mut new: Call<'_> = Box::pin(flight.do_call("key", async || slow(2).await));
    assert!(poll(&mut new).is_pending());
    assert_eq!(poll(&mut old), Poll::Ready((1, true)));
    assert_eq!(
        flight.in_flight(),
        1,
        "the old one did not take the new one's key"
    );
    drop(old);
    assert_eq!(poll(&mut sharer), Poll::Ready((1, true)));
    drop(sharer);
    assert_eq!(flight.in_flight(), 1);
    assert_eq!(poll(&mut new), Poll::Ready((2, false)));
    assert_eq!(flight.in_flight(), 0);
}

/// Callers come, are cancelled and finish at random: nobody hangs, and no key stays.
#[test]
fn a_crowd_that_is_cancelled_at_random_neither_hangs_nor_leaks() {
    let runtime = Runtime::builder().procs(4).build().unwrap();
    runtime.block_on(async {
        let flight = Arc::new(SingleFlight::new());
        let (group, led) = (WaitGroup::new(), Arc::new(AtomicUsize::new(0)));
        for n in 0..2_000_u32 {
            let (flight, led) = (flight.clone(), led.clone());
            let call = group.go(async move {
                let key = n % 7;
                let (value, _) = flight
                    .do_call(key, async || {
                        led.fetch_add(1, SeqCst);
                        for _ in 0..n % 5 {
                            yield_now().await;
                        }
                        key * 10
                    })
                    .await;
                assert_eq!(value, key * 10);
            });
            if n % 3 == 0 {
                call.abort();
            }
            drop(call);
            if n % 16 == 0 {
                yield_now().await;
            }
        }
        group.wait().await;
        assert_eq!(flight.in_flight(), 0);
        assert!(led.load(SeqCst) >= 7);
    });
}
