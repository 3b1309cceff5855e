//! The mutex: exclusion, fairness, hand-over, cancellation.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use actor_core::sync::{Mutex, WaitGroup};
use actor_core::{Runtime, sim, yield_now};

fn poll_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Until a waiter that started to wait before this call has starved.
fn let_starve() {
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(2) {
        thread::yield_now();
    }
}

#[test]
fn goroutines_and_threads_exclude_each_other_across_awaits() {
    let runtime = Runtime::builder().procs(4).build().unwrap();
    // Two halves that are equal whenever nobody is inside.
    let shared = Arc::new(Mutex::new((0_u32, 0_u32)));
    let foreign = thread::spawn({
        let shared = shared.clone();
        move || {
            for _ in 0..2_000 {
                let mut guard = shared.lock_blocking();
                assert_eq!(guard.0, guard.1);
                guard.0 += 1;
                guard.1 += 1;
            }
        }
    });
    runtime.block_on(async {
        let group = WaitGroup::new();
        for _ in 0..8 {
            let shared = shared.clone();
            drop(group.go(async move {
                for _ in 0..500 {
                    let mut guard = shared.lock().await;
                    assert_eq!(guard.0, guard.1);
                    guard.0 += 1;
                    yield_now().await;
                    guard.1 += 1;
                }
            }));
        }
        group.wait().await;
    });
    foreign.join().unwrap();
    assert_eq!(*shared.try_lock().unwrap(), (6_000, 6_000));
}

#[test]
fn a_newcomer_may_barge_and_the_waiter_keeps_its_place() {
    let mutex = Mutex::new(());
    let held = mutex.try_lock().unwrap();
    let mut first = Box::pin(mutex.lock());
    let mut second = Box::pin(mutex.lock());
    assert!(poll_once(first.as_mut()).is_pending());
    assert!(poll_once(second.as_mut()).is_pending());
    drop(held);
    let barged = mutex.try_lock();
    if barged.is_some() {
        assert!(
            poll_once(first.as_mut()).is_pending(),
            "lost the race, waits on"
        );
    }
    drop(barged);
    assert!(poll_once(first.as_mut()).is_ready());
}

#[test]
fn who_waits_for_a_millisecond_is_handed_the_lock() {
    let mutex = Mutex::new(0);
    let held = mutex.try_lock().unwrap();
    let mut waits = Box::pin(mutex.lock());
    assert!(poll_once(waits.as_mut()).is_pending());
    let_starve();
    drop(held);
    assert!(mutex.try_lock().is_none(), "nobody may barge");
    assert!(poll_once(waits.as_mut()).is_ready());
}

/// The clock stands still, as in any simulation, and a newcomer is always faster.
#[test]
fn who_was_woken_in_vain_for_some_times_is_handed_the_lock() {
    let barging = sim::check(|_| async {
        let mutex = Mutex::new(());
        let mut barges = mutex.try_lock().unwrap();
        let mut waits = Box::pin(mutex.lock());
        let mut times = 0;
        while poll_once(waits.as_mut()).is_pending() {
            drop(barges);
            let Some(again) = mutex.try_lock() else {
                break; // it was handed over
            };
            barges = again;
            times += 1;
            assert!(times < 20, "it starves");
        }
        assert!(times > 2, "handed over already after {times}");
        assert!(poll_once(waits.as_mut()).is_ready());
    });
    barging.seeds(1).run();
}

#[test]
fn a_waiter_gets_in_while_another_goroutine_locks_again_and_again() {
    Runtime::builder().procs(2).build().unwrap().run(async {
        let mutex = Arc::new(Mutex::new(false));
        let barges = actor_core::go({
            let mutex = mutex.clone();
            async move {
                let mut guard = mutex.lock().await;
                while !*guard {
                    yield_now().await; // with the lock held: whoever is woken comes too late
                    drop(guard);
                    guard = mutex.lock().await;
                }
            }
        });
        for _ in 0..20 {
            drop(mutex.lock().await);
        }
        *mutex.lock().await = true;
        barges.await.unwrap();
    });
}

/// Counts how often it is woken.
#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Relaxed);
    }
}

impl Woken {
    /// Polls a future that has to wait; counts from then on.
    fn queue<F: Future>(future: Pin<&mut F>) -> Arc<Self> {
        let woken = Arc::new(Self::default());
        let waker = Waker::from(woken.clone());
        let polled = future.poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
        woken
    }
}

#[test]
fn a_called_waiter_that_gets_in_calls_those_behind_it_when_it_leaves() {
    let mutex = Mutex::new(());
    let held = mutex.try_lock().unwrap();
    let mut first = Box::pin(mutex.lock());
    assert!(poll_once(first.as_mut()).is_pending());
    let mut second = Box::pin(mutex.lock());
    let woken = Woken::queue(second.as_mut());
    drop(held); // calls the first
    let guard = poll_once(first.as_mut());
    assert!(guard.is_ready());
    assert_eq!(woken.0.load(Relaxed), 0, "it would come in vain");
    drop(guard);
    assert_eq!(woken.0.load(Relaxed), 1);
    assert!(poll_once(second.as_mut()).is_ready());
}

#[test]
fn a_call_to_a_waiter_that_leaves_goes_to_the_one_behind_it() {
    let mutex = Mutex::new(());
    let held = mutex.try_lock().unwrap();
    let mut first = Box::pin(mutex.lock());
    assert!(poll_once(first.as_mut()).is_pending());
    let mut second = Box::pin(mutex.lock());
    let woken = Woken::queue(second.as_mut());
    drop(held); // calls the first
    drop(first);
    assert_eq!(woken.0.load(Relaxed), 1);
    assert!(poll_once(second.as_mut()).is_ready());
}

#[test]
fn a_granted_lock_that_is_not_wanted_goes_to_the_next() {
    let mutex = Mutex::new(());
    let held = mutex.try_lock().unwrap();
    let mut first = Box::pin(mutex.lock());
    let mut second = Box::pin(mutex.lock());
    assert!(poll_once(first.as_mut()).is_pending());
    assert!(poll_once(second.as_mut()).is_pending());
    let_starve();
    drop(held); // grants it to the first
    drop(first);
    let Poll::Ready(guard) = poll_once(second.as_mut()) else {
        panic!("not passed on")
    };
    drop(guard);
    assert!(mutex.try_lock().is_some());
}

#[test]
fn a_called_waiter_that_leaves_passes_the_call_on() {
    let mutex = Arc::new(Mutex::new(()));
    let held = mutex.try_lock().unwrap();
    let mut first = Box::pin(mutex.lock());
    assert!(poll_once(first.as_mut()).is_pending());
    let second = thread::spawn({
        let mutex = mutex.clone();
        move || drop(mutex.lock_blocking())
    });
    drop(held); // calls the first
    drop(first);
    second.join().unwrap(); // hangs if the call was lost
}

#[test]
fn a_panic_while_locked_unlocks_and_poisons_nothing() {
    let mutex = Arc::new(Mutex::new(1));
    let other = mutex.clone();
    let panicked = thread::spawn(move || {
        let _guard = other.lock_blocking();
        std::panic::resume_unwind(Box::new("inside"));
    });
    assert!(panicked.join().is_err());
    assert_eq!(*mutex.try_lock().unwrap(), 1);
}

#[test]
fn a_mutex_shows_its_value_when_free() {
    let mut mutex = Mutex::new(5);
    assert_eq!(format!("{mutex:?}"), "Mutex { value: 5 }");
    let guard = mutex.try_lock().unwrap();
    assert_eq!(format!("{mutex:?} {guard} {guard:?}"), "Mutex { .. } 5 5");
    drop(guard);
    *mutex.get_mut() = 6;
    assert_eq!(mutex.into_inner(), 6);
}

/// Locks are given up at random, in every state; whoever waits to the end gets it.
#[test]
fn locks_given_up_at_random_block_nobody() {
    let mutex = Arc::new(Mutex::new(0_usize));
    thread::scope(|scope| {
        for seed in 0..4_usize {
            let mutex = &mutex;
            scope.spawn(move || {
                for round in 0..5_000 {
                    let mut lock = Box::pin(mutex.lock());
                    let polled = poll_once(lock.as_mut());
                    match (polled, (round + seed) % 3) {
                        (Poll::Ready(mut guard), _) => *guard += 1,
                        (Poll::Pending, 0) => drop(lock),
                        (Poll::Pending, _) => {
                            drop(lock);
                            *mutex.lock_blocking() += 1;
                        }
                    }
                }
            });
        }
    });
    assert!(mutex.try_lock().is_some(), "free at the end");
}
