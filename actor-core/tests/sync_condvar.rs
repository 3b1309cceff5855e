//! The condition variable: no signal is lost, none is delivered twice, the mutex is held after.

use std::collections::VecDeque;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::thread;

use actor_core::sync::{Condvar, Mutex, WaitGroup};
use actor_core::{Runtime, go};

fn poll<F: Future>(future: &mut Pin<Box<F>>) -> Poll<F::Output> {
    future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
}

/// A future that waits, polled once.
#[track_caller]
fn waiting<F: Future>(future: F) -> Pin<Box<F>> {
    let mut future = Box::pin(future);
    assert!(poll(&mut future).is_pending());
    future
}

#[track_caller]
fn ready<F: Future>(future: &mut Pin<Box<F>>) -> F::Output {
    let Poll::Ready(output) = poll(future) else {
        panic!("it still waits")
    };
    output
}

#[test]
fn waiting_unlocks_and_locks_again() {
    let (mutex, changed) = (Mutex::new(0), Condvar::new());
    let mut waits = waiting(changed.wait(mutex.try_lock().unwrap()));
    *mutex.try_lock().expect("unlocked while waiting") = 1;
    assert!(
        poll(&mut waits).is_pending(),
        "nobody has notified: no spurious wake-up"
    );
    changed.notify_one();
    let guard = ready(&mut waits);
    assert_eq!(*guard, 1);
    assert!(mutex.try_lock().is_none(), "locked again");
}

#[test]
fn a_notified_waiter_waits_for_the_mutex() {
    let (mutex, changed) = (Mutex::new(()), Condvar::new());
    let mut waits = waiting(changed.wait(mutex.try_lock().unwrap()));
    let held = mutex.try_lock().unwrap();
    changed.notify_one();
    assert!(poll(&mut waits).is_pending(), "the mutex is held");
    drop(held);
    drop(ready(&mut waits));
}

#[test]
fn notify_one_wakes_one_in_the_order_of_their_coming() {
    let (mutex, changed) = (Mutex::new(()), Condvar::new());
    let mut waiters = [(); 3].map(|()| waiting(changed.wait(mutex.try_lock().unwrap())));
    for next in 0..3 {
        changed.notify_one();
        for (at, waiter) in waiters.iter_mut().enumerate().skip(next) {
            assert_eq!(poll(waiter).is_ready(), at == next);
        }
    }
}

#[test]
fn notify_all_wakes_all_that_wait_and_nobody_later() {
    let (mutex, changed) = (Mutex::new(()), Condvar::new());
    let mut waiters = [(); 3].map(|()| waiting(changed.wait(mutex.try_lock().unwrap())));
    changed.notify_all();
    waiters.iter_mut().for_each(|waiter| drop(ready(waiter)));
    drop(waiting(changed.wait(mutex.try_lock().unwrap())));
}

#[test]
fn a_notification_to_nobody_is_not_kept() {
    let (mutex, changed) = (Mutex::new(()), Condvar::new());
    changed.notify_one();
    changed.notify_all();
    drop(waiting(changed.wait(mutex.try_lock().unwrap())));
}

#[test]
fn a_signal_to_a_waiter_that_left_goes_to_the_next() {
    let (mutex, changed) = (Mutex::new(()), Condvar::new());
    let leaves = waiting(changed.wait(mutex.try_lock().unwrap()));
    let mut stays = waiting(changed.wait(mutex.try_lock().unwrap()));
    changed.notify_one();
    drop(leaves);
    drop(ready(&mut stays));
}

#[test]
fn a_signal_to_a_waiter_that_left_while_locking_again_goes_to_the_next() {
    let (mutex, changed) = (Mutex::new(()), Condvar::new());
    let mut leaves = waiting(changed.wait(mutex.try_lock().unwrap()));
    let mut stays = waiting(changed.wait(mutex.try_lock().unwrap()));
    let held = mutex.try_lock().unwrap();
    changed.notify_one();
    assert!(poll(&mut leaves).is_pending(), "it waits for the mutex now");
    drop(leaves);
    drop(held);
    drop(ready(&mut stays));
}

#[test]
fn a_signal_that_was_taken_is_not_passed_on() {
    let (mutex, changed) = (Mutex::new(()), Condvar::new());
    let mut first = waiting(changed.wait(mutex.try_lock().unwrap()));
    let mut second = waiting(changed.wait(mutex.try_lock().unwrap()));
    changed.notify_one();
    drop(ready(&mut first));
    drop(first);
    assert!(poll(&mut second).is_pending());
}

#[test]
fn a_broadcast_is_not_passed_on() {
    let (mutex, changed) = (Mutex::new(()), Condvar::new());
    let leaves = waiting(changed.wait(mutex.try_lock().unwrap()));
    changed.notify_all();
    let mut later = waiting(changed.wait(mutex.try_lock().unwrap()));
    drop(leaves);
    assert!(poll(&mut later).is_pending());
}

#[test]
fn a_waiter_that_leaves_unnotified_takes_no_signal() {
    let (mutex, changed) = (Mutex::new(()), Condvar::new());
    let leaves = waiting(changed.wait(mutex.try_lock().unwrap()));
    let mut stays = waiting(changed.wait(mutex.try_lock().unwrap()));
    drop(leaves);
    assert!(mutex.try_lock().is_some(), "left unlocked");
    changed.notify_one();
    drop(ready(&mut stays));
}

#[test]
fn the_mutex_is_held_until_the_first_poll_and_released_by_a_drop() {
    let (mutex, changed) = (Mutex::new(()), Condvar::new());
    let never_polled = changed.wait(mutex.try_lock().unwrap());
    assert!(mutex.try_lock().is_none());
    drop(never_polled);
    assert!(mutex.try_lock().is_some());
}

#[test]
fn two_mutexes_at_a_time_are_a_mistake_and_one_after_the_other_are_not() {
    let (one, other, changed) = (Mutex::new(()), Mutex::new(()), Condvar::new());
    let mut waits = waiting(changed.wait(one.try_lock().unwrap()));
    let mut wrong = Box::pin(changed.wait(other.try_lock().unwrap()));
    let panic = catch_unwind(AssertUnwindSafe(|| poll(&mut wrong).is_ready())).unwrap_err();
    let message = *panic.downcast::<&str>().unwrap();
    assert!(message.contains("two mutexes"), "{message}");
    assert!(other.try_lock().is_some(), "the panic left it locked");
    changed.notify_one();
    drop(ready(&mut waits));
    drop(waiting(changed.wait(other.try_lock().unwrap())));
}

#[test]
fn wait_while_looks_before_it_waits_and_after_each_notification() {
    let (mutex, changed) = (Mutex::new(2), Condvar::new());
    drop(ready(&mut Box::pin(
        changed.wait_while(mutex.try_lock().unwrap(), |n| *n != 2),
    )));
    let mut waits = waiting(changed.wait_while(mutex.try_lock().unwrap(), |n| *n != 0));
    for left in [1, 0] {
        *mutex.try_lock().unwrap() = left;
        changed.notify_all();
        assert_eq!(poll(&mut waits).is_ready(), left == 0);
    }
}

/// A bounded queue between goroutines and threads, with waiters that give up all the time.
#[test]
fn a_queue_of_goroutines_and_threads_loses_nothing() {
    const EACH: u64 = 2_000;
    const ROOM: usize = 3;
    #[derive(Default)]
    struct Shared {
        items: Mutex<VecDeque<u64>>,
        filled: Condvar,
        emptied: Condvar,
    }
    let runtime = Runtime::builder().procs(4).build().unwrap();
    let shared = Arc::new(Shared::default());
    let foreign = thread::spawn({
        let shared = shared.clone();
        move || {
            for n in 0..EACH {
                let items = shared.items.lock_blocking();
                let full = |items: &mut VecDeque<u64>| items.len() == ROOM;
                let mut items = shared.emptied.wait_while_blocking(items, full);
                items.push_back(n);
                drop(items);
                shared.filled.notify_one();
            }
        }
    });
    let quitter = thread::spawn({
        let shared = shared.clone();
        move || {
            for _ in 0..EACH {
                // Leaves while it waits: a signal that it got must not get lost.
                let items = shared.items.lock_blocking();
                let mut waits = Box::pin(shared.filled.wait(items));
                let _ = poll(&mut waits);
                thread::yield_now();
                drop(waits);
            }
        }
    });
    let sum = runtime.block_on(async {
        let group = WaitGroup::new();
        for _ in 0..3 {
            let shared = shared.clone();
            drop(group.go(async move {
                for n in 0..EACH {
                    let items = shared.items.lock().await;
                    let full = |items: &mut VecDeque<u64>| items.len() == ROOM;
                    let mut items = shared.emptied.wait_while(items, full).await;
                    items.push_back(n);
                    drop(items);
                    shared.filled.notify_one();
                }
            }));
        }
        let consumers = [(); 4].map(|()| {
            let shared = shared.clone();
            go(async move {
                let mut sum = 0;
                for _ in 0..EACH {
                    let items = shared.items.lock().await;
                    let empty = |items: &mut VecDeque<u64>| items.is_empty();
                    let mut items = shared.filled.wait_while(items, empty).await;
                    sum += items.pop_front().unwrap();
                    drop(items);
                    shared.emptied.notify_one();
                }
                sum
            })
        });
        let mut sum = 0;
        for consumer in consumers {
            sum += consumer.await.unwrap();
        }
        group.wait().await;
        sum
    });
    foreign.join().unwrap();
    quitter.join().unwrap();
    assert_eq!(sum, 4 * EACH * (EACH - 1) / 2);
    assert!(shared.items.try_lock().unwrap().is_empty());
}

#[test]
fn waiting_on_a_thread_is_ended_by_a_goroutine() {
    let shared = Arc::new((Mutex::new(false), Condvar::new()));
    let waits = thread::spawn({
        let shared = shared.clone();
        move || {
            let mut guard = shared.0.lock_blocking();
            while !*guard {
                guard = shared.1.wait_blocking(guard);
            }
        }
    });
    Runtime::new().unwrap().block_on(async {
        *shared.0.lock().await = true;
        shared.1.notify_all();
    });
    waits.join().unwrap();
    assert_eq!(format!("{:?}", shared.1), "Condvar { .. }");
}
