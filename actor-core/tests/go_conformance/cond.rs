//! `sync/cond_test.go`.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};

use actor_core::chan::{TryRecvError, buffered, rendezvous};
use actor_core::sync::{Condvar, Mutex};
use actor_core::{go, yield_now};

use crate::seeds::rounds;
use crate::{all, run};

/// cond_test.go: TestCondSignal: each signal wakes one, and nobody wakes without.
#[test]
fn a_signal_wakes_one() {
    run(4, || async {
        let shared = Arc::new((Mutex::new(()), Condvar::new()));
        let (running, is_running) = buffered(2);
        let (awake, is_awake) = buffered(2);
        let sleepers = [(); 2].map(|()| {
            let (shared, running, awake) = (shared.clone(), running.clone(), awake.clone());
            go(async move {
                let guard = shared.0.lock().await;
                running.send(()).await.unwrap();
                let _guard = shared.1.wait(guard).await;
                awake.send(()).await.unwrap();
            })
        });
        for _ in 0..2 {
            is_running.recv().await.unwrap();
        }
        for _ in 0..2 {
            assert_eq!(is_awake.try_recv(), Err(TryRecvError::Empty), "not asleep");
            {
                let _guard = shared.0.lock().await; // whoever was inside waits by now
                shared.1.notify_one();
            }
            is_awake.recv().await.unwrap();
            assert_eq!(is_awake.try_recv(), Err(TryRecvError::Empty), "too many");
        }
        all(sleepers).await;
        shared.1.notify_one(); // to nobody
    });
}

/// cond_test.go: TestCondSignalGenerations: a signal is for those that waited when it was given, and
/// of them for the first.
#[test]
fn a_signal_wakes_the_one_that_waited_first() {
    run(4, || async {
        let sleepers = rounds(100, 20);
        let shared = Arc::new((Mutex::new(()), Condvar::new()));
        let (running, is_running) = buffered(1);
        let (awake, is_awake) = buffered(1);
        for n in 0..sleepers {
            let (shared_, running, awake) = (shared.clone(), running.clone(), awake.clone());
            drop(go(async move {
                let guard = shared_.0.lock().await;
                running.send(()).await.unwrap();
                let _guard = shared_.1.wait(guard).await;
                awake.send(n).await.unwrap();
            }));
            if n > 0 {
                assert_eq!(is_awake.recv().await, Some(n - 1));
            }
            is_running.recv().await.unwrap();
            let _guard = shared.0.lock().await;
            shared.1.notify_one();
        }
        assert_eq!(is_awake.recv().await, Some(sleepers - 1));
    });
}

/// cond_test.go: TestCondBroadcast: a broadcast wakes all that wait, each once.
#[test]
fn a_broadcast_wakes_everybody_once() {
    run(4, || async {
        let many = rounds(50, 5);
        let shared = Arc::new((Mutex::new(false), Condvar::new()));
        let (running, is_running) = buffered(many);
        let (awake, is_awake) = buffered(many);
        let sleepers: Vec<_> = (0..many)
            .map(|n| {
                let (shared, running, awake) = (shared.clone(), running.clone(), awake.clone());
                go(async move {
                    let mut exit = shared.0.lock().await;
                    while !*exit {
                        running.send(()).await.unwrap();
                        exit = shared.1.wait(exit).await;
                        awake.send(n).await.unwrap();
                    }
                })
            })
            .collect();
        for round in 0..many {
            for _ in 0..many {
                is_running.recv().await.unwrap();
            }
            assert_eq!(is_awake.try_recv(), Err(TryRecvError::Empty), "not asleep");
            {
                let mut exit = shared.0.lock().await;
                *exit = round == many - 1;
                shared.1.notify_all();
            }
            let mut seen = vec![false; many];
            for _ in 0..many {
                let n: usize = is_awake.recv().await.unwrap();
                assert!(!std::mem::replace(&mut seen[n], true), "{n} woke twice");
            }
        }
        all(sleepers).await;
        assert_eq!(is_running.try_recv(), Err(TryRecvError::Empty));
        shared.1.notify_all(); // to nobody
    });
}

/// cond_test.go: TestRace: three goroutines pass a number on, waiting for each other's changes.
#[test]
fn a_change_under_the_lock_is_not_missed() {
    run(4, || async {
        for _ in 0..rounds(200, 3) {
            let shared = Arc::new((Mutex::new(0), Condvar::new()));
            let first = {
                let shared = shared.clone();
                go(async move {
                    let mut x = shared.0.lock().await;
                    *x = 1;
                    x = shared.1.wait(x).await;
                    assert_eq!(*x, 2);
                    *x = 3;
                    shared.1.notify_one();
                })
            };
            let second = {
                let shared = shared.clone();
                go(async move {
                    loop {
                        let mut x = shared.0.lock().await;
                        if *x == 1 {
                            *x = 2;
                            shared.1.notify_one();
                            return;
                        }
                        drop(x);
                        yield_now().await;
                    }
                })
            };
            let third = {
                let shared = shared.clone();
                go(async move {
                    loop {
                        let mut x = shared.0.lock().await;
                        if *x == 2 {
                            x = shared.1.wait(x).await;
                            assert_eq!(*x, 3);
                            return;
                        }
                        if *x == 3 {
                            return;
                        }
                        drop(x);
                        yield_now().await;
                    }
                })
            };
            all([first, second, third]).await;
        }
    });
}

/// cond_test.go: TestCondSignalStealing: who waited before a broadcast is woken by it, though others
/// begin to wait meanwhile.
#[test]
fn a_newcomer_does_not_steal_a_broadcast() {
    run(4, || async {
        for _ in 0..rounds(300, 3) {
            let shared = Arc::new((Mutex::new(false), Condvar::new()));
            let (inside, is_inside) = rendezvous();
            let waiter = go({
                let shared = shared.clone();
                async move {
                    let guard = shared.0.lock().await;
                    inside.send(()).await.unwrap();
                    drop(shared.1.wait(guard).await);
                }
            });
            is_inside.recv().await.unwrap();
            drop(shared.0.lock().await); // it waits by now
            let broadcast = go({
                let shared = shared.clone();
                async move { shared.1.notify_all() }
            });
            let newcomer = go({
                let shared = shared.clone();
                async move {
                    let mut done = shared.0.lock().await;
                    while !*done {
                        done = shared.1.wait(done).await;
                    }
                }
            });
            waiter.await.unwrap(); // hangs if its signal was stolen
            broadcast.await.unwrap();
            *shared.0.lock().await = true;
            shared.1.notify_all();
            newcomer.await.unwrap();
        }
    });
}

/// cond_test.go: TestCondCopy: a condition variable that is used as two at once is told. A copy can't
/// be made here; waiting with two mutexes is the mistake that is left.
#[test]
fn one_condition_variable_with_two_mutexes_panics() {
    let (one, other, changed) = (Mutex::new(()), Mutex::new(()), Condvar::new());
    let mut cx = Context::from_waker(Waker::noop());
    let mut waits = pin!(changed.wait(one.try_lock().unwrap()));
    assert!(waits.as_mut().poll(&mut cx).is_pending());
    let mut mistake = Box::pin(changed.wait(other.try_lock().unwrap()));
    let polled = catch_unwind(AssertUnwindSafe(|| {
        mistake.as_mut().poll(&mut cx).is_ready()
    }));
    assert!(polled.is_err());
    drop(mistake);
    changed.notify_one();
    assert!(waits.as_mut().poll(&mut cx).is_ready(), "the first goes on");
}
