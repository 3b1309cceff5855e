//! Models of the reader-writer lock, the semaphore, the condition variable and the barrier, explored
//! by loom: every interleaving that C11 allows.

use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use loom::thread;

use super::loom_models::both_ways;
use super::{Barrier, Condvar, Mutex, RwLock, RwLockWriteGuard, Semaphore};
use crate::chan::loom_models::{block_on, model, poll_once};

// ---- the reader-writer lock -----------------------------------------------------------------

#[test]
fn loom_an_rwlock_keeps_readers_and_writers_apart() {
    both_ways(|| {
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
    both_ways(|| {
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
    both_ways(|| {
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
    both_ways(|| {
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
    both_ways(|| {
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

#[test]
fn loom_a_called_writer_that_gives_up_passes_its_call_on() {
    both_ways(|| {
        let lock = Arc::new(RwLock::new(0));
        let held = lock.try_write().unwrap();
        let gives_up = thread::spawn({
            let lock = lock.clone();
            // Dropped while queued, called, granted or holding: whatever comes first.
            move || drop(poll_once(pin!(lock.write())))
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
fn loom_those_that_wait_for_an_rwlock_are_called_though_somebody_barges() {
    for barges_to_write in [false, true] {
        both_ways(move || {
            let lock = Arc::new(RwLock::new(0));
            let held = lock.try_write().unwrap();
            let writer = thread::spawn({
                let lock = lock.clone();
                move || *block_on(lock.write()) += 1
            });
            let reader = thread::spawn({
                let lock = lock.clone();
                move || *block_on(lock.read())
            });
            drop(held);
            if barges_to_write {
                drop(lock.try_write());
            } else {
                drop(lock.try_read());
            }
            writer.join().unwrap();
            assert!(reader.join().unwrap() <= 1);
            assert_eq!(*lock.try_write().expect("free at the end"), 1);
        });
    }
}

#[test]
fn loom_two_called_writers_come_one_after_the_other() {
    both_ways(|| {
        let lock = Arc::new(RwLock::new(0));
        let held = lock.try_write().unwrap();
        let writers = [(); 2].map(|()| {
            let lock = lock.clone();
            thread::spawn(move || *block_on(lock.write()) += 1)
        });
        drop(held);
        writers
            .into_iter()
            .for_each(|writer| writer.join().unwrap());
        assert_eq!(*lock.try_write().expect("free at the end"), 2);
    });
}

// ---- the semaphore --------------------------------------------------------------------------

#[test]
fn loom_a_semaphore_of_one_excludes_and_wakes() {
    model(|| {
        let shared = Arc::new((Semaphore::new(1), loom::cell::UnsafeCell::new(0)));
        let add = |shared: &(Semaphore, loom::cell::UnsafeCell<u32>)| {
            let _permit = block_on(shared.0.acquire(1)).unwrap();
            // SAFETY: one permit; loom checks it.
            shared.1.with_mut(|n| unsafe { *n += 1 });
        };
        let others = [(); 2].map(|()| {
            let shared = shared.clone();
            thread::spawn(move || add(&shared))
        });
        add(&shared);
        others.into_iter().for_each(|other| other.join().unwrap());
        assert_eq!(shared.0.available(), 1);
        // SAFETY: the others have ended.
        assert_eq!(shared.1.with(|n| unsafe { *n }), 3);
    });
}

#[test]
fn loom_a_request_that_gives_up_loses_no_permit() {
    model(|| {
        let semaphore = Arc::new(Semaphore::new(2));
        let held = semaphore.try_acquire(1).unwrap();
        let gives_up = thread::spawn({
            let semaphore = semaphore.clone();
            // Dropped while at the head and too big, granted or held: whatever comes first.
            move || drop(poll_once(pin!(semaphore.acquire(2))))
        });
        let waits = thread::spawn({
            let semaphore = semaphore.clone();
            move || block_on(semaphore.acquire(1)).unwrap().count()
        });
        drop(held);
        gives_up.join().unwrap();
        assert_eq!(waits.join().unwrap(), 1);
        assert_eq!(semaphore.available(), 2);
        assert!(semaphore.try_acquire(2).is_ok(), "nobody waits any more");
    });
}

#[test]
fn loom_two_releases_serve_the_one_that_wants_both_and_come_before_it() {
    model(|| {
        let semaphore = Arc::new(Semaphore::new(2));
        let cells = [(); 2].map(|()| Arc::new(loom::cell::UnsafeCell::new(0)));
        let releases = cells.clone().map(|cell| {
            let permit = semaphore.try_acquire_owned(1).unwrap();
            thread::spawn(move || {
                // SAFETY: the main thread looks only when it has both permits; loom checks it.
                cell.with_mut(|n| unsafe { *n = 1 });
                drop(permit);
            })
        });
        assert_eq!(block_on(semaphore.acquire(2)).unwrap().count(), 2);
        for cell in &cells {
            // SAFETY: as above.
            assert_eq!(cell.with(|n| unsafe { *n }), 1);
        }
        releases.into_iter().for_each(|other| other.join().unwrap());
        assert_eq!(semaphore.available(), 2);
    });
}

#[test]
fn loom_a_close_reaches_who_waits_and_who_comes() {
    model(|| {
        let semaphore = Arc::new(Semaphore::new(1));
        let held = semaphore.try_acquire(1).unwrap();
        let closes = thread::spawn({
            let semaphore = semaphore.clone();
            move || assert!(semaphore.close())
        });
        let releases = semaphore.clone();
        let waits = thread::spawn(move || drop(block_on(releases.acquire(1))));
        drop(held);
        closes.join().unwrap();
        waits.join().unwrap();
        assert_eq!(semaphore.available(), 1);
        assert!(block_on(semaphore.acquire(1)).is_err());
    });
}

// ---- the condition variable -----------------------------------------------------------------

#[test]
fn loom_a_change_that_is_notified_is_not_missed() {
    model(|| {
        let shared = Arc::new((Mutex::new(false), Condvar::new()));
        let changes = thread::spawn({
            let shared = shared.clone();
            move || {
                *block_on(shared.0.lock()) = true;
                shared.1.notify_one();
            }
        });
        let (flag, changed) = &*shared;
        let guard = block_on(async { changed.wait_while(flag.lock().await, |set| !*set).await });
        assert!(*guard);
        drop(guard);
        changes.join().unwrap();
    });
}

#[test]
fn loom_a_signal_to_a_waiter_that_leaves_is_not_lost() {
    model(|| {
        let shared = Arc::new((Mutex::new(()), Condvar::new()));
        // Both wait before the signal; the first then leaves, notified or not.
        let (mutex, changed) = &*shared;
        let mut leaves = Box::pin(changed.wait(mutex.try_lock().unwrap()));
        assert!(poll_once(leaves.as_mut()).is_pending());
        let mut stays = Box::pin(changed.wait(mutex.try_lock().unwrap()));
        assert!(poll_once(stays.as_mut()).is_pending());
        let notifies = thread::spawn({
            let shared = shared.clone();
            move || {
                let _held = shared.0.try_lock();
                shared.1.notify_one();
            }
        });
        // Polled once more: it may be locking again when it leaves.
        let taken = poll_once(leaves.as_mut()).is_ready();
        drop(leaves);
        if !taken {
            drop(block_on(stays));
        }
        notifies.join().unwrap();
    });
}

#[test]
fn loom_a_broadcast_reaches_all_that_wait() {
    model(|| {
        let shared = Arc::new((Mutex::new(()), Condvar::new()));
        let (mutex, changed) = &*shared;
        let waiters = [(); 2].map(|()| {
            let mut waiter = Box::pin(changed.wait(mutex.try_lock().unwrap()));
            assert!(poll_once(waiter.as_mut()).is_pending());
            waiter
        });
        let notifies = thread::spawn({
            let shared = shared.clone();
            move || shared.1.notify_all()
        });
        for waiter in waiters {
            drop(block_on(waiter));
        }
        notifies.join().unwrap();
    });
}

// ---- the barrier ----------------------------------------------------------------------------

#[test]
fn loom_a_barrier_opens_when_all_have_come_and_one_leads() {
    model(|| {
        let barrier = Arc::new(Barrier::new(2));
        let cells = [(); 2].map(|()| Arc::new(loom::cell::UnsafeCell::new(0)));
        let [ours, theirs] = cells.clone();
        let party = |barrier: &Barrier, ours: &loom::cell::UnsafeCell<u32>, theirs: &_| {
            // SAFETY: the other looks after the barrier; loom checks that it is ordered.
            ours.with_mut(|n| unsafe { *n = 1 });
            let leads = block_on(barrier.wait()).is_leader();
            let theirs: &loom::cell::UnsafeCell<u32> = theirs;
            // SAFETY: as above.
            assert_eq!(theirs.with(|n| unsafe { *n }), 1);
            leads
        };
        let other = thread::spawn({
            let (barrier, [ours, theirs]) = (barrier.clone(), cells);
            move || party(&barrier, &theirs, &ours)
        });
        let leads = party(&barrier, &ours, &theirs);
        assert_ne!(leads, other.join().unwrap(), "one leads");
    });
}

#[test]
fn loom_a_party_that_leaves_has_arrived_or_not() {
    model(|| {
        let barrier = Arc::new(Barrier::new(2));
        let leaves = thread::spawn({
            let barrier = barrier.clone();
            move || match poll_once(pin!(barrier.wait())) {
                Poll::Ready(result) => usize::from(result.is_leader()),
                Poll::Pending => 0,
            }
        });
        let mut party = Box::pin(barrier.wait());
        let passed = poll_once(party.as_mut()).is_ready();
        let led = leaves.join().unwrap();
        if passed || led == 1 {
            // The round is complete, and nobody is left over from it.
            assert!(passed || poll_once(party.as_mut()).is_ready());
        } else {
            assert!(block_on_both(&barrier, party));
        }
        assert!(poll_once(pin!(barrier.wait())).is_pending());
    });
}

/// A second party comes, and the first goes on.
fn block_on_both(barrier: &Barrier, first: std::pin::Pin<Box<super::BarrierWait<'_>>>) -> bool {
    block_on(barrier.wait()).is_leader() && !block_on(first).is_leader()
}
