//! The wait group: all of them, whatever their end, and mistakes that are told.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::thread;

use actor_core::Runtime;
use actor_core::sync::WaitGroup;

fn poll_once(future: impl Future) -> bool {
    matches!(
        pin!(future).poll(&mut Context::from_waker(Waker::noop())),
        Poll::Ready(_)
    )
}

#[test]
fn wait_is_over_when_all_are_done_and_not_before() {
    let group = WaitGroup::new();
    assert!(poll_once(group.wait()), "nothing announced");
    group.add(2);
    let other = group.clone();
    other.done();
    assert!(!poll_once(group.wait()));
    other.done();
    assert!(poll_once(group.wait()));
}

#[test]
fn many_waiters_are_woken_together() {
    let group = WaitGroup::new();
    group.add(1);
    let started = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                started.fetch_add(1, Ordering::SeqCst);
                group.wait_blocking();
            });
        }
        while started.load(Ordering::SeqCst) < 4 {
            thread::yield_now();
        }
        group.done();
    });
}

#[test]
fn a_goroutine_counts_until_it_returned_panicked_or_was_aborted() {
    let runtime = Runtime::builder().procs(2).build().unwrap();
    let dropped = Arc::new(());
    runtime.block_on(async {
        let group = WaitGroup::new();
        let held = dropped.clone();
        drop(group.go(async move { drop(held) }));
        let held = dropped.clone();
        let panics = group.go(async move {
            let _held = held;
            std::panic::resume_unwind(Box::new("goroutine"));
        });
        let held = dropped.clone();
        let aborted = group.go(async move {
            let _held = held;
            std::future::pending::<()>().await;
        });
        aborted.abort();
        group.wait().await;
        assert_eq!(
            Arc::strong_count(&dropped),
            1,
            "their values are dropped before `wait` is over"
        );
        assert!(panics.await.unwrap_err().is_panic());
    });
}

/// Aborted before its first poll: the future that was never begun is dropped before it counts.
#[test]
fn a_goroutine_that_never_began_counts_until_it_is_dropped() {
    let runtime = Runtime::builder().procs(1).build().unwrap();
    runtime.run(async {
        for _ in 0..100 {
            let group = WaitGroup::new();
            let value = Arc::new(());
            let held = value.clone();
            // On the only processor it can't begin before this goroutine waits.
            let aborted = group.go(async move { drop(held) });
            aborted.abort();
            group.wait().await;
            assert_eq!(Arc::strong_count(&value), 1);
        }
    });
}

#[test]
#[should_panic(expected = "call add(n) before the work starts")]
fn done_without_add_panics_and_says_what_to_do() {
    WaitGroup::new().done();
}

#[test]
fn a_panicking_done_leaves_the_group_usable() {
    let group = WaitGroup::new();
    let twice = group.clone();
    assert!(thread::spawn(move || twice.done()).join().is_err());
    group.add(1);
    group.done();
    group.wait_blocking();
}

#[test]
fn rounds_follow_each_other_without_a_pause() {
    let group = WaitGroup::new();
    let work = AtomicUsize::new(0);
    for round in 1..500 {
        group.add(3);
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    work.fetch_add(1, Ordering::Relaxed);
                    group.done();
                });
            }
            group.wait_blocking();
            assert_eq!(work.load(Ordering::Relaxed), round * 3);
        });
    }
}

#[test]
fn the_count_stays_at_zero_after_a_done_too_many() {
    let group = WaitGroup::new();
    group.add(1);
    group.done();
    let twice = group.clone();
    let panic = thread::spawn(move || twice.done()).join().unwrap_err();
    let text = panic.downcast_ref::<&str>().copied().unwrap_or_default();
    assert!(
        text.contains("WaitGroup::done was called more often"),
        "{text}"
    );
    assert!(poll_once(group.wait()));
}

#[test]
fn an_add_that_would_overflow_panics_and_changes_nothing() {
    let group = WaitGroup::new();
    group.add(2);
    let too_many = group.clone();
    let panic = thread::spawn(move || too_many.add(usize::MAX))
        .join()
        .unwrap_err();
    let text = panic.downcast_ref::<String>().cloned().unwrap_or_default();
    assert!(text.contains("makes the count overflow: it is 2"), "{text}");
    group.done();
    group.done();
    assert!(poll_once(group.wait()));
}

/// Go panics ("WaitGroup is reused before previous Wait has returned"); here it is a new round.
#[test]
fn a_wait_whose_round_is_over_stays_over_when_a_new_round_begins() {
    let group = WaitGroup::new();
    group.add(1);
    let mut old = Box::pin(group.wait());
    let mut cx = Context::from_waker(Waker::noop());
    assert!(old.as_mut().poll(&mut cx).is_pending());
    group.done();
    group.add(1);
    assert!(old.as_mut().poll(&mut cx).is_ready());
    assert!(!poll_once(group.wait()), "the new round is not over");
}
