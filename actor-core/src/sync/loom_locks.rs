//! Models of the reader-writer lock, the semaphore, the condition variable and the barrier, explored
//! by loom: every interleaving that C11 allows.

use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use loom::thread;

use super::{RwLock, RwLockWriteGuard};
use crate::chan::loom_models::{block_on, model, poll_once};

// ---- the reader-writer lock -----------------------------------------------------------------

#[test]
fn loom_an_rwlock_keeps_readers_and_writers_apart() {
    model(|| {
        let lock = Arc::new(RwLock::new(0));
        let writer = thread::spawn({
            let lock = lock.clone();
            move || *block_on(lock.write()) += 1
        });
        let reader = thread::spawn({
            let lock = lock.clone();
            move || assert!(*block_on(lock.read()) < 3)
        });
        *block_on(lock.write()) += 1;
        writer.join().unwrap();
        reader.join().unwrap();
        assert_eq!(*lock.try_write().expect("free at the end"), 2);
    });
}

#[test]
fn loom_a_writer_comes_after_the_readers_it_waited_for() {
    model(|| {
        let lock = Arc::new(RwLock::new(0));
        let readers = [(); 2].map(|()| {
            let lock = lock.clone();
            thread::spawn(move || *block_on(lock.read()))
        });
        *block_on(lock.write()) = 1; // loom checks that no reader still looks
        for reader in readers {
            assert!(reader.join().unwrap() <= 1);
        }
        assert!(lock.try_write().is_some());
    });
}

#[test]
fn loom_a_writer_that_gives_up_unblocks_the_readers_behind_it() {
    model(|| {
        let lock = Arc::new(RwLock::new(0));
        let held = lock.try_read().unwrap();
        let gives_up = thread::spawn({
            let lock = lock.clone();
            move || {
                // Dropped while queued, granted or holding: whatever comes first.
                if let Poll::Ready(mut guard) = poll_once(pin!(lock.write())) {
                    *guard += 1;
                }
            }
        });
        let reader = thread::spawn({
            let lock = lock.clone();
            move || *block_on(lock.read())
        });
        drop(held);
        gives_up.join().unwrap();
        assert!(reader.join().unwrap() <= 1);
        assert!(lock.try_write().is_some(), "free at the end");
    });
}

#[test]
fn loom_a_reader_that_gives_up_passes_its_grant_on() {
    model(|| {
        let lock = Arc::new(RwLock::new(0));
        let held = lock.try_write().unwrap();
        let gives_up = thread::spawn({
            let lock = lock.clone();
            move || drop(poll_once(pin!(lock.read())))
        });
        let writer = thread::spawn({
            let lock = lock.clone();
            move || *block_on(lock.write()) += 1
        });
        drop(held);
        gives_up.join().unwrap();
        writer.join().unwrap();
        assert_eq!(*lock.try_write().expect("free at the end"), 1);
    });
}

#[test]
fn loom_a_downgraded_writer_lets_no_writer_in() {
    model(|| {
        let lock = Arc::new(RwLock::new(0));
        let mut held = lock.try_write().unwrap();
        let writer = thread::spawn({
            let lock = lock.clone();
            move || *block_on(lock.write()) += 10
        });
        let reader = thread::spawn({
            let lock = lock.clone();
            move || *block_on(lock.read())
        });
        *held += 1;
        let held = RwLockWriteGuard::downgrade(held);
        assert_eq!(*held, 1);
        drop(held);
        writer.join().unwrap();
        assert!([1, 11].contains(&reader.join().unwrap()));
        assert_eq!(*lock.try_write().unwrap(), 11);
    });
}
