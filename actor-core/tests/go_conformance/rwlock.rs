//! `sync/rwmutex_test.go`. Its misuses don't compile here: who has no guard can't unlock.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering::SeqCst};

use actor_core::chan::{buffered, rendezvous};
use actor_core::sync::RwLock;
use actor_core::{go, yield_now};

use crate::seeds::rounds;
use crate::{all, announced, run};

/// rwmutex_test.go: TestParallelReaders: all readers are inside at once.
#[test]
fn readers_are_inside_together() {
    for (readers, procs) in [(1, 4), (3, 4), (4, 2)] {
        run(procs, move || async move {
            let lock = Arc::new(RwLock::new(()));
            let (locked, is_locked) = rendezvous();
            let (unlock, may_unlock) = rendezvous::<()>();
            let inside: Vec<_> = (0..readers)
                .map(|_| {
                    let (lock, locked, may_unlock) =
                        (lock.clone(), locked.clone(), may_unlock.clone());
                    go(async move {
                        let _guard = lock.read().await;
                        locked.send(()).await.unwrap();
                        may_unlock.recv().await.unwrap();
                    })
                })
                .collect();
            for _ in 0..readers {
                is_locked.recv().await.unwrap();
            }
            assert!(lock.try_write().is_none());
            assert!(lock.try_read().is_some(), "one more");
            for _ in 0..readers {
                unlock.send(()).await.unwrap();
            }
            all(inside).await;
            assert!(lock.try_write().is_some());
        });
    }
}

/// rwmutex_test.go: TestRWMutex: readers and writers hammer a lock; a writer is alone, on all numbers
/// of Ps.
#[test]
fn readers_and_writers_hammer_a_lock() {
    const WRITER: i32 = 10_000;
    for (procs, readers) in [
        (1, 1),
        (1, 3),
        (1, 10),
        (4, 1),
        (4, 3),
        (4, 10),
        (10, 10),
        (10, 5),
    ] {
        run(procs, move || async move {
            let each = rounds(300, 3);
            let lock = Arc::new(RwLock::new(0));
            let activity = Arc::new(AtomicI32::new(0));
            let writer = || {
                let (lock, activity) = (lock.clone(), activity.clone());
                go(async move {
                    for _ in 0..each {
                        let mut count = lock.write().await;
                        assert_eq!(activity.fetch_add(WRITER, SeqCst), 0, "not alone");
                        *count += 1;
                        activity.fetch_sub(WRITER, SeqCst);
                    }
                })
            };
            let reader = || {
                let (lock, activity) = (lock.clone(), activity.clone());
                go(async move {
                    let mut before = 0;
                    for _ in 0..each {
                        let count = lock.read().await;
                        let inside = activity.fetch_add(1, SeqCst);
                        assert!((0..WRITER).contains(&inside), "beside a writer");
                        assert!(*count >= before);
                        before = *count;
                        activity.fetch_sub(1, SeqCst);
                    }
                })
            };
            let mut goroutines = vec![writer()];
            goroutines.extend((0..readers / 2).map(|_| reader()));
            goroutines.push(writer());
            goroutines.extend((readers / 2..readers).map(|_| reader()));
            all(goroutines).await;
            assert_eq!(*lock.read().await, 2 * each);
        });
    }
}

/// rwmutex_test.go: TestRWMutex, its first lines: which tries succeed beside which guards.
#[test]
fn tries_tell_who_is_inside() {
    let lock = RwLock::new(());
    let write = lock.try_write().unwrap();
    assert!(lock.try_read().is_none() && lock.try_write().is_none());
    drop(write);
    let read = lock.try_read().unwrap();
    assert!(lock.try_write().is_none());
    let other = lock.try_read().unwrap();
    drop(read);
    assert!(lock.try_write().is_none(), "one is still inside");
    drop(other);
    assert!(lock.try_write().is_some());
}

/// rwmutex_test.go: TestRLocker: a writer waits until the last reader has gone, and keeps readers out
/// from then on; the guards may unlock elsewhere.
#[test]
fn a_writer_waits_for_every_reader_wherever_it_unlocks() {
    run(2, || async {
        let lock = Arc::new(RwLock::new(0));
        let (reads, read_locked) = buffered(2);
        let (writes, write_locked) = buffered(1);
        let (waits, waiting) = buffered(1);
        let locking = go({
            let lock = lock.clone();
            async move {
                for _ in 0..10 {
                    reads.send(lock.read_owned().await).await.unwrap();
                    reads.send(lock.read_owned().await).await.unwrap();
                    let write = announced(lock.write_owned(), waits.clone()).await;
                    assert!(writes.send(write).await.is_ok());
                }
            }
        });
        for n in 0..10 {
            let one = read_locked.recv().await.unwrap();
            let other = read_locked.recv().await.unwrap();
            waiting.recv().await.unwrap();
            drop(one);
            assert!(write_locked.try_recv().is_err(), "there is another reader");
            drop(other);
            let mut write = write_locked.recv().await.unwrap();
            assert!(lock.try_read().is_none(), "beside a writer");
            assert_eq!(*write, n);
            *write += 1;
        }
        locking.await.unwrap();
    });
}

/// rwmutex_test.go, what `sync.RWMutex` promises in its documentation: a waiting writer keeps new
/// readers out, so that it gets its turn; the readers that waited are let in together after it.
#[test]
fn a_waiting_writer_keeps_new_readers_out() {
    run(4, || async {
        let lock = Arc::new(RwLock::new(0));
        let (waits, waiting) = buffered(1);
        let reading = lock.read().await;
        let writer = go({
            let (lock, waits) = (lock.clone(), waits.clone());
            async move { *announced(lock.write(), waits).await += 1 }
        });
        waiting.recv().await.unwrap();
        assert!(lock.try_read().is_none(), "a writer waits");
        let mut readers = Vec::new();
        for _ in 0..3 {
            let (lock, waits) = (lock.clone(), waits.clone());
            readers.push(go(async move { *announced(lock.read(), waits).await }));
            waiting.recv().await.unwrap();
        }
        assert!(!writer.is_finished());
        drop(reading);
        writer.await.unwrap();
        assert_eq!(all(readers).await, [1; 3], "after the writer");
    });
}

/// rwmutex_test.go: BenchmarkRWMutexWrite10, as a promise: writers that come all the time don't starve
/// readers, nor readers writers.
#[test]
fn neither_side_starves_the_other() {
    run(2, || async {
        for counted_writes in [false, true] {
            let lock = Arc::new(RwLock::new(false));
            let (inside, is_inside) = buffered(4);
            let endless: Vec<_> = (0..4)
                .map(|_| {
                    let (lock, inside) = (lock.clone(), inside.clone());
                    go(async move {
                        let mut turns = 0;
                        loop {
                            let stop = if counted_writes {
                                let guard = lock.read().await;
                                yield_now().await;
                                *guard
                            } else {
                                let guard = lock.write().await;
                                yield_now().await;
                                *guard
                            };
                            if stop {
                                return;
                            }
                            turns += 1;
                            if turns == rounds(10, 2) {
                                inside.send(()).await.unwrap();
                            }
                        }
                    })
                })
                .collect();
            for _ in 0..4 {
                is_inside.recv().await.unwrap(); // from now on they come all the time
            }
            for _ in 0..rounds(100, 10) {
                if counted_writes {
                    drop(lock.write().await);
                } else {
                    drop(lock.read().await);
                }
            }
            *lock.write().await = true;
            all(endless).await;
        }
    });
}
