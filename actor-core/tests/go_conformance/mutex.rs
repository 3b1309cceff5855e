//! `sync/mutex_test.go`. Its misuses (unlocking what is not locked) don't compile here: who has no
//! guard can't unlock.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use actor_core::chan::buffered;
use actor_core::sync::{Mutex, OwnedMutexGuard};
use actor_core::{go, sleep, yield_now};

use crate::seeds::{gap, rounds};
use crate::{all, announced, run, run_on, run_real};

/// mutex_test.go: TestMutex: ten goroutines lock and unlock a thousand times each; what they do
/// inside is not torn apart, across an await too.
#[test]
fn ten_goroutines_hammer_a_mutex() {
    run_on(&[1, 4], || async {
        let each = rounds(1000, 2);
        let total = Arc::new(Mutex::new((0, 0)));
        let hammering: Vec<_> = (0..10)
            .map(|n| {
                let total = total.clone();
                go(async move {
                    for round in 0..each {
                        let mut total = total.lock().await;
                        assert_eq!(total.0, total.1);
                        total.0 += 1;
                        if (round + n) % rounds(16, 3) == 0 {
                            yield_now().await;
                        }
                        total.1 += 1;
                    }
                })
            })
            .collect();
        all(hammering).await;
        let total = Arc::into_inner(total).unwrap().into_inner();
        assert_eq!(total, (10 * each, 10 * each));
    });
}

/// mutex_test.go: TestMutex, its first lines: `TryLock` fails while it is locked and locks it when it
/// is free.
#[test]
fn try_lock_tells_whether_it_is_free() {
    let mutex = Mutex::new(1);
    let guard = mutex.try_lock().expect("free");
    assert!(mutex.try_lock().is_none());
    drop(guard);
    *mutex.try_lock().expect("free again") += 1;
    assert_eq!(*mutex.lock_blocking(), 2);
}

/// mutex_test.go: HammerMutex with its TryLock turns: goroutines that try, goroutines that wait and
/// threads that block share one mutex.
#[test]
fn trying_waiting_and_blocking_exclude_each_other() {
    struct Room {
        count: Mutex<u32>,
        inside: AtomicUsize,
    }
    impl Room {
        fn enter(&self, count: &mut u32) {
            assert_eq!(self.inside.fetch_add(1, SeqCst), 0, "somebody is inside");
            *count += 1;
            self.inside.fetch_sub(1, SeqCst);
        }
    }
    let room = || {
        Arc::new(Room {
            count: Mutex::new(0),
            inside: AtomicUsize::new(0),
        })
    };
    async fn four_goroutines(room: Arc<Room>) {
        let each = rounds(1000, 3);
        let goroutines: Vec<_> = (0..4)
            .map(|n| {
                let room = room.clone();
                go(async move {
                    let mut done = 0;
                    while done < each {
                        let guard = if n % 2 == 0 {
                            Some(room.count.lock().await)
                        } else {
                            room.count.try_lock()
                        };
                        if let Some(mut count) = guard {
                            gap().await;
                            room.enter(&mut count);
                            done += 1;
                        } else {
                            yield_now().await;
                        }
                    }
                })
            })
            .collect();
        all(goroutines).await;
    }
    let shared = room();
    let foreign = thread::spawn({
        let room = shared.clone();
        move || {
            for _ in 0..1000 {
                let mut count = room.count.lock_blocking();
                room.enter(&mut count);
            }
        }
    });
    run_real(
        2,
        "one of them is a thread",
        four_goroutines(shared.clone()),
    );
    foreign.join().unwrap();
    assert_eq!(*shared.count.try_lock().unwrap(), 5000);
    run(1, move || four_goroutines(room()));
}

/// mutex_test.go: TestMutexFairness: a goroutine that holds the lock nearly all the time does not
/// starve one that needs it now and then.
#[test]
fn a_greedy_goroutine_does_not_starve_a_modest_one() {
    run_on(&[1, 4], || async {
        let mutex = Arc::new(Mutex::new(()));
        let stop = Arc::new(AtomicBool::new(false));
        let greedy = go({
            let (mutex, stop) = (mutex.clone(), stop.clone());
            async move {
                while !stop.load(SeqCst) {
                    let _guard = mutex.lock().await;
                    sleep(Duration::from_micros(100)).await;
                }
            }
        });
        let modest = go(async move {
            for _ in 0..10 {
                sleep(Duration::from_micros(100)).await;
                drop(mutex.lock().await);
            }
        });
        modest.await.unwrap();
        stop.store(true, SeqCst);
        greedy.await.unwrap();
    });
}

/// mutex_test.go: TestMutexFairness, asked the other way round: many that starve are served in the
/// order they came.
#[test]
fn those_that_starve_are_served_in_the_order_they_came() {
    run(4, || async {
        let log = Arc::new(Mutex::new(Vec::new()));
        let (waits, waiting) = buffered(1);
        let mut held = log.lock().await;
        let mut goroutines = Vec::new();
        for n in 0..20 {
            let (log, waits) = (log.clone(), waits.clone());
            goroutines.push(go(async move {
                let mut guard = announced(log.lock(), waits).await;
                guard.push(n);
                sleep(Duration::from_millis(2)).await; // the next one starves by now
            }));
            waiting.recv().await.unwrap();
        }
        sleep(Duration::from_millis(2)).await;
        held.push(99);
        drop(held);
        all(goroutines).await;
        let expected: Vec<_> = std::iter::once(99).chain(0..20).collect();
        assert_eq!(*log.lock().await, expected);
    });
}

/// mutex_test.go: TestMutexMisuse: what would be an unlock of an unlocked mutex. A guard that is
/// forgotten leaves it locked; one that is dropped unlocks it once.
#[test]
fn only_a_guard_unlocks_and_only_once() {
    let mutex = Mutex::new(());
    drop(mutex.try_lock().unwrap());
    std::mem::forget(mutex.try_lock().unwrap());
    assert!(mutex.try_lock().is_none(), "locked for ever");
    let mut mutex = mutex;
    mutex.get_mut(); // who owns it needs no lock
}

/// sema_test.go: TestSemaHandoff, its meaning for a mutex: a goroutine that panics inside hands the
/// lock on, and nobody behind it is poisoned. (Go would keep it locked.)
#[test]
fn a_panic_inside_hands_the_lock_on() {
    run(2, || async {
        let mutex = Arc::new(Mutex::new(0));
        let (waits, waiting) = buffered(1);
        let mut held = mutex.lock().await;
        let dies = go({
            let (mutex, waits) = (mutex.clone(), waits.clone());
            async move {
                let _guard = announced(mutex.lock(), waits).await;
                std::panic::resume_unwind(Box::new("inside"));
            }
        });
        waiting.recv().await.unwrap();
        let next = go({
            let mutex = mutex.clone();
            async move { *announced(mutex.lock(), waits).await }
        });
        waiting.recv().await.unwrap();
        *held = 5;
        drop(held);
        assert!(dies.await.unwrap_err().is_panic());
        assert_eq!(next.await.unwrap(), 5);
    });
}

/// mutex_test.go, what `sync.Mutex` promises in its documentation: a locked mutex belongs to no
/// goroutine: one may lock it and another unlock it. The guard is what travels.
#[test]
fn one_goroutine_may_lock_and_another_unlock() {
    run(2, || async {
        let mutex = Arc::new(Mutex::new(0));
        let (tx, rx) = buffered(1);
        let unlocking = go(async move {
            while let Some(guard) = rx.recv().await {
                let mut guard: OwnedMutexGuard<i32> = guard;
                yield_now().await;
                *guard += 1;
            }
        });
        for n in 0..100 {
            let guard = mutex.lock_owned().await; // unlocked by the other one
            assert_eq!(*guard, n);
            assert!(tx.send(guard).await.is_ok());
        }
        drop(tx);
        unlocking.await.unwrap();
        assert_eq!(*mutex.lock().await, 100);
    });
}
