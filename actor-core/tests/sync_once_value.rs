//! Functions that run once: what Go's `oncefunc_test.go` checks, and what cancellation adds.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, Waker};
use std::thread;

use actor_core::sync::{Once, OnceCell, OnceFn, OnceValue, WaitGroup};
use actor_core::{Runtime, go, yield_now};

fn poll_once<F: Future>(future: F) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

fn panic_text(run: impl FnOnce()) -> String {
    let payload = catch_unwind(AssertUnwindSafe(run)).expect_err("it panics");
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => (*payload.downcast::<&'static str>().unwrap()).to_owned(),
    }
}

#[test]
fn a_once_function_runs_once_for_many_callers() {
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = runs.clone();
    let function = Arc::new(OnceFn::new(async move || {
        yield_now().await;
        counted.fetch_add(1, SeqCst);
    }));
    assert_eq!(runs.load(SeqCst), 0, "not before the first call");
    let runtime = Runtime::builder().procs(4).build().unwrap();
    runtime.block_on(async {
        let group = WaitGroup::new();
        for _ in 0..100 {
            let (function, runs) = (function.clone(), runs.clone());
            drop(group.go(async move {
                function.call().await;
                assert_eq!(runs.load(SeqCst), 1);
            }));
        }
        group.wait().await;
    });
    assert!(function.is_done());
    function.call_blocking();
    assert_eq!(runs.load(SeqCst), 1);
}

#[test]
fn a_once_value_is_the_same_for_all() {
    let value = Arc::new(OnceValue::new(async || String::from("made")));
    let first: *const String = value.get_blocking();
    thread::scope(|scope| {
        for _ in 0..4 {
            let value = value.clone();
            let first = first as usize;
            scope.spawn(move || assert_eq!(value.get_blocking() as *const _ as usize, first));
        }
    });
    assert_eq!(format!("{value:?}"), r#"OnceValue(Some(Ok("made")))"#);
}

#[test]
fn every_caller_of_a_once_function_that_panicked_panics_with_its_text() {
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = runs.clone();
    let value = OnceValue::<u8>::new(async move || {
        let run = counted.fetch_add(1, SeqCst);
        panic!("run {run} failed")
    });
    for _ in 0..3 {
        let text = panic_text(|| {
            let _ = poll_once(value.get());
        });
        assert_eq!(text, "run 0 failed");
    }
    assert_eq!(runs.load(SeqCst), 1);
    assert_eq!(value.try_get(), None);
}

#[test]
fn those_who_wait_for_a_once_function_that_panics_panic_too() {
    Runtime::new().unwrap().block_on(async {
        let function = Arc::new(OnceFn::new(async || {
            yield_now().await;
            resume_unwind(Box::new("no"))
        }));
        let callers: Vec<_> = (0..5)
            .map(|_| {
                let function = function.clone();
                go(async move { function.call().await })
            })
            .collect();
        for caller in callers {
            let error = caller.await.unwrap_err();
            assert_eq!(error.panic_message(), Some("no"));
        }
        assert!(!function.is_done());
    });
}

#[test]
fn a_payload_that_is_no_text_reaches_the_first_caller_whole() {
    let function = OnceFn::new(async || resume_unwind(Box::new(77_u32)));
    let first = catch_unwind(AssertUnwindSafe(|| function.call_blocking())).unwrap_err();
    assert_eq!(first.downcast_ref::<u32>(), Some(&77));
    let text = panic_text(|| function.call_blocking());
    assert!(text.contains("not text"), "{text}");
}

#[test]
fn the_next_caller_goes_on_where_a_cancelled_one_stopped() {
    let (runs, steps) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (counted, stepped) = (runs.clone(), steps.clone());
    let value = OnceValue::new(async move || {
        counted.fetch_add(1, SeqCst);
        for _ in 0..3 {
            stepped.fetch_add(1, SeqCst);
            let mut once = false;
            poll_fn(|_| match std::mem::replace(&mut once, true) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            })
            .await;
        }
        5
    });
    for step in 1..=3 {
        assert!(poll_once(value.get()).is_pending());
        assert_eq!((runs.load(SeqCst), steps.load(SeqCst)), (1, step));
    }
    assert_eq!(poll_once(value.get()), Poll::Ready(&5));
    assert_eq!(runs.load(SeqCst), 1);
}

#[test]
fn what_the_function_captured_is_dropped_when_it_is_over() {
    let captured = Arc::new(());
    let held = captured.clone();
    let function = OnceFn::new(async move || assert!(Arc::strong_count(&held) > 0));
    assert_eq!(Arc::strong_count(&captured), 2);
    function.call_blocking();
    assert_eq!(Arc::strong_count(&captured), 1);
    let held = captured.clone();
    drop(OnceFn::new(async move || {
        assert!(Arc::strong_count(&held) > 0)
    })); // never called
    assert_eq!(Arc::strong_count(&captured), 1);
}

/// A bug that `thread::panicking()` would let in: the action did not panic, its neighbour did.
#[test]
fn an_action_cancelled_by_somebody_elses_panic_does_not_count_as_done() {
    let once = Once::new();
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let mut doing = pin!(once.do_once(async || std::future::pending().await));
        let polled = doing.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_pending());
        resume_unwind(Box::new("the neighbour"));
    }));
    assert!(panicked.is_err());
    assert!(!once.is_done());
    assert!(poll_once(once.do_once(async || ())).is_ready());
    assert!(once.is_done());
}

#[test]
fn an_action_that_panics_when_it_is_called_counts_as_done() {
    let once = Once::new();
    fn panics() -> std::future::Ready<()> {
        resume_unwind(Box::new("called"))
    }
    assert!(
        catch_unwind(AssertUnwindSafe(
            || poll_once(once.do_once(panics)).is_ready()
        ))
        .is_err()
    );
    assert!(once.is_done());
}

#[test]
fn threads_do_things_once_too() {
    let (once, cell) = (Once::new(), OnceCell::new());
    let runs = AtomicUsize::new(0);
    thread::scope(|scope| {
        for n in 0..4 {
            let (once, cell, runs) = (&once, &cell, &runs);
            scope.spawn(move || {
                once.do_once_blocking(|| {
                    runs.fetch_add(1, SeqCst);
                });
                assert_eq!(runs.load(SeqCst), 1);
                assert!(*cell.get_or_init_blocking(|| n) < 4);
            });
        }
    });
}
