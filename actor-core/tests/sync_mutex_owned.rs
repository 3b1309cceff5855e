//! Owned guards of the mutex: they go anywhere, keep the mutex alive and unlock it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use actor_core::sync::{Mutex, OwnedMutexGuard};
use actor_core::{Runtime, go, yield_now};

fn poll<F: Future>(future: &mut Pin<Box<F>>) -> Poll<F::Output> {
    future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn an_owned_guard_excludes_and_unlocks() {
    let mutex = Arc::new(Mutex::new(1));
    let mut guard = mutex.try_lock_owned().unwrap();
    assert!(mutex.try_lock_owned().is_none() && mutex.try_lock().is_none());
    let mut waits = Box::pin(mutex.lock_owned());
    assert!(poll(&mut waits).is_pending());
    *guard += 1;
    assert_eq!(format!("{guard} {guard:?}"), "2 2");
    drop(guard);
    let Poll::Ready(guard) = poll(&mut waits) else {
        panic!("it still waits")
    };
    assert_eq!(*guard, 2);
    drop((guard, waits));
    assert!(mutex.try_lock().is_some());
    assert_eq!(Arc::strong_count(&mutex), 1, "a guard leaked its handle");
}

#[test]
fn an_owned_guard_outlives_every_other_handle() {
    let mutex = Arc::new(Mutex::new(vec![1]));
    let alive = Arc::downgrade(&mutex);
    let mut guard = mutex.try_lock_owned().unwrap();
    drop(mutex);
    guard.push(2);
    assert_eq!(*guard, [1, 2]);
    drop(guard);
    assert!(alive.upgrade().is_none());
}

#[test]
fn an_owned_guard_may_be_unlocked_by_another_goroutine() {
    Runtime::new().unwrap().block_on(async {
        let mutex = Arc::new(Mutex::new(0));
        for n in 1..=100 {
            let mut guard = mutex.lock_owned().await;
            assert_eq!(*guard, n - 1);
            drop(go(async move {
                yield_now().await;
                *guard = n;
            }));
        }
        assert_eq!(*mutex.lock().await, 100);
    });
}

#[test]
fn a_request_for_an_owned_guard_that_is_dropped_leaves_no_lock() {
    let mutex = Arc::new(Mutex::new(()));
    let held = mutex.try_lock().unwrap();
    let mut gives_up = Box::pin(mutex.lock_owned());
    assert!(poll(&mut gives_up).is_pending());
    drop(held);
    drop(gives_up);
    assert!(mutex.try_lock().is_some());
}

#[test]
fn owned_guards_may_change_threads() {
    fn send_and_sync<T: Send + Sync>() {}
    fn send<T: Send>(_: &T) {}
    send_and_sync::<OwnedMutexGuard<u8>>();
    send(&Arc::new(Mutex::new(std::cell::Cell::new(1))).try_lock_owned());
}
