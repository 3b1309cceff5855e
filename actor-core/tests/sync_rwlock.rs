//! The reader-writer lock: exclusion, Go's order of readers and writers, hand-over, cancellation.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, Waker};
use std::thread;

use actor_core::sync::{
    OwnedRwLockReadGuard, OwnedRwLockWriteGuard, ReadLock, RwLock, RwLockReadGuard,
    RwLockWriteGuard, WaitGroup, WriteLock,
};
use actor_core::{Runtime, go, yield_now};
use proptest::prelude::*;

fn poll<F: Future>(future: &mut Pin<Box<F>>) -> Poll<F::Output> {
    future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
}

/// A future that waits, polled once.
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
fn readers_share_and_writers_exclude_across_awaits_and_threads() {
    let runtime = Runtime::builder().procs(4).build().unwrap();
    // Two halves that are equal whenever no writer is inside.
    let shared = Arc::new(RwLock::new((0_u32, 0_u32)));
    let foreign = thread::spawn({
        let shared = shared.clone();
        move || {
            for _ in 0..1_000 {
                let mut guard = shared.write_blocking();
                guard.0 += 1;
                guard.1 += 1;
                drop(guard);
                let guard = shared.read_blocking();
                assert_eq!(guard.0, guard.1);
            }
        }
    });
    runtime.block_on(async {
        let group = WaitGroup::new();
        for _ in 0..8 {
            let (reads, writes) = (shared.clone(), shared.clone());
            drop(group.go(async move {
                for _ in 0..500 {
                    let guard = reads.read().await;
                    assert_eq!(guard.0, guard.1);
                    yield_now().await;
                    assert_eq!(guard.0, guard.1);
                }
            }));
            drop(group.go(async move {
                for _ in 0..250 {
                    let mut guard = writes.write().await;
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
    assert_eq!(*shared.try_write().unwrap(), (3_000, 3_000));
}

#[test]
fn readers_are_inside_together() {
    let lock = RwLock::new(());
    let (one, other) = (lock.try_read(), lock.try_read());
    assert!(one.is_some() && other.is_some() && lock.try_write().is_none());
    drop(one);
    assert!(lock.try_write().is_none(), "one reader is still inside");
    drop(other);
    let writer = lock.try_write();
    assert!(writer.is_some() && lock.try_read().is_none() && lock.try_write().is_none());
}

#[test]
fn a_waiting_writer_blocks_new_readers_and_is_next() {
    let lock = RwLock::new(());
    let reader = lock.try_read().unwrap();
    let mut writer = waiting(lock.write());
    assert!(lock.try_read().is_none());
    let mut late = waiting(lock.read());
    drop(reader);
    assert!(poll(&mut late).is_pending(), "the writer is next");
    drop(ready(&mut writer));
    drop(ready(&mut late));
}

#[test]
fn reading_twice_waits_behind_a_writer_that_came_in_between() {
    let lock = RwLock::new(());
    let _first = lock.try_read().unwrap();
    let mut writer = waiting(lock.write());
    let mut second = waiting(lock.read());
    assert!(poll(&mut writer).is_pending());
    assert!(poll(&mut second).is_pending());
}

#[test]
fn all_readers_that_wait_get_in_when_a_writer_leaves_before_the_next_writer() {
    let lock = RwLock::new(());
    let writer = lock.try_write().unwrap();
    let mut next = waiting(lock.write());
    let mut readers: Vec<_> = (0..5).map(|_| waiting(lock.read())).collect();
    drop(writer);
    assert!(poll(&mut next).is_pending());
    let guards: Vec<_> = readers.iter_mut().map(ready).collect();
    assert!(lock.try_read().is_none(), "the next writer waits already");
    assert!(poll(&mut next).is_pending());
    drop(guards);
    drop(ready(&mut next));
    assert!(lock.try_write().is_some());
}

#[test]
fn writers_get_in_in_the_order_of_their_coming() {
    let lock = RwLock::new(());
    let held = lock.try_write().unwrap();
    let (mut first, mut second) = (waiting(lock.write()), waiting(lock.write()));
    drop(held);
    assert!(poll(&mut second).is_pending());
    drop(ready(&mut first));
    drop(ready(&mut second));
}

#[test]
fn a_waiting_writer_that_gives_up_lets_the_readers_behind_it_in() {
    let lock = RwLock::new(());
    let _reader = lock.try_read().unwrap();
    let writer = waiting(lock.write());
    let mut blocked = waiting(lock.read());
    drop(writer);
    let _guard = ready(&mut blocked);
    assert!(lock.try_read().is_some());
}

#[test]
fn readers_stay_blocked_while_another_writer_waits() {
    let lock = RwLock::new(());
    let reader = lock.try_read().unwrap();
    let gives_up = waiting(lock.write());
    let mut stays = waiting(lock.write());
    let mut blocked = waiting(lock.read());
    drop(gives_up);
    assert!(poll(&mut blocked).is_pending());
    drop(reader);
    drop(ready(&mut stays));
    drop(ready(&mut blocked));
}

#[test]
fn a_granted_write_that_is_not_wanted_goes_to_the_next() {
    let lock = RwLock::new(());
    let held = lock.try_write().unwrap();
    let granted = waiting(lock.write());
    let mut next = waiting(lock.write());
    drop(held);
    drop(granted);
    drop(ready(&mut next));
    assert!(lock.try_write().is_some());
}

#[test]
fn a_granted_read_that_is_not_wanted_makes_room_for_a_writer() {
    let lock = RwLock::new(());
    let held = lock.try_write().unwrap();
    let granted = waiting(lock.read());
    let mut writer = waiting(lock.write());
    drop(held);
    assert!(poll(&mut writer).is_pending());
    drop(granted);
    drop(ready(&mut writer));
    assert!(lock.try_write().is_some());
}

#[test]
fn a_downgraded_writer_lets_readers_in_and_writers_not() {
    let lock = RwLock::new(1);
    let mut held = lock.try_write().unwrap();
    let mut writer = waiting(lock.write());
    let mut reader = waiting(lock.read());
    *held = 2;
    let held = RwLockWriteGuard::downgrade(held);
    let other = ready(&mut reader);
    assert_eq!((*held, *other), (2, 2));
    drop((held, other));
    *ready(&mut writer) += 1;
    assert_eq!(*lock.try_read().unwrap(), 3);
}

#[test]
fn a_writer_downgraded_with_nobody_waiting_shares() {
    let lock = RwLock::new(());
    let held = RwLockWriteGuard::downgrade(lock.try_write().unwrap());
    assert!(lock.try_read().is_some() && lock.try_write().is_none());
    drop(held);
    assert!(lock.try_write().is_some());
}

#[test]
fn a_panic_inside_unlocks_and_poisons_nothing() {
    let lock = Arc::new(RwLock::new(1));
    let other = lock.clone();
    let panicked = thread::spawn(move || {
        let _guard = other.write_blocking();
        std::panic::resume_unwind(Box::new("inside"));
    });
    assert!(panicked.join().is_err());
    assert_eq!(*lock.try_write().unwrap(), 1);
}

#[test]
fn owned_guards_go_to_other_goroutines_and_outlive_every_other_handle() {
    let lock = Arc::new(RwLock::new(vec![1]));
    Runtime::new().unwrap().block_on(async {
        let mut writes = lock.write_owned().await;
        assert!(lock.try_read_owned().is_none() && lock.try_write_owned().is_none());
        let reads = go(async move {
            writes.push(2);
            OwnedRwLockWriteGuard::downgrade(writes)
        });
        let reads = reads.await.unwrap();
        let again = lock.read_owned().await;
        drop(lock);
        assert_eq!((reads.len(), again[1]), (2, 2));
    });
}

#[test]
fn an_owned_guard_unlocks_when_it_is_dropped() {
    let lock = Arc::new(RwLock::new(()));
    let held = lock.try_write_owned().unwrap();
    let mut reader = waiting(lock.read_owned());
    drop(held);
    let reader = ready(&mut reader);
    assert!(lock.try_write().is_none());
    drop(reader);
    assert!(lock.try_write_owned().is_some());
    assert_eq!(Arc::strong_count(&lock), 1, "a guard leaked its handle");
}

#[test]
fn a_lock_shows_its_value_when_it_can() {
    let mut lock = RwLock::new(5);
    let reader = lock.try_read().unwrap();
    assert_eq!(format!("{lock:?} {reader}"), "RwLock { value: 5 } 5");
    drop(reader);
    let writer = lock.try_write().unwrap();
    assert_eq!(format!("{lock:?} {writer:?}"), "RwLock { .. } 5");
    drop(writer);
    *lock.get_mut() = 6;
    assert_eq!(lock.into_inner(), 6);
}

#[test]
fn guards_and_futures_may_change_threads() {
    fn send_and_sync<T: Send + Sync>() {}
    send_and_sync::<RwLock<u8>>();
    send_and_sync::<RwLockReadGuard<'_, u8>>();
    send_and_sync::<RwLockWriteGuard<'_, u8>>();
    send_and_sync::<OwnedRwLockReadGuard<u8>>();
    send_and_sync::<OwnedRwLockWriteGuard<u8>>();
    send_and_sync::<ReadLock<'_, u8>>();
    send_and_sync::<WriteLock<'_, u8>>();
}

/// Locks are given up at random, in every state; readers never see a writer, nobody is forgotten.
#[test]
fn locks_given_up_at_random_by_threads_block_nobody() {
    const ROUNDS: usize = 5_000;
    let lock = RwLock::new(0_usize);
    let written = AtomicUsize::new(0);
    thread::scope(|scope| {
        for seed in 0..4_usize {
            let (lock, written) = (&lock, &written);
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    match (round * 7 + seed) % 5 {
                        0 => {
                            let mut gives_up = Box::pin(lock.write());
                            if let Poll::Ready(mut guard) = poll(&mut gives_up) {
                                *guard += 1;
                                written.fetch_add(1, Relaxed);
                            }
                        }
                        1 => drop(poll(&mut Box::pin(lock.read()))),
                        2 => {
                            let mut guard = lock.write_blocking();
                            *guard += 1;
                            written.fetch_add(1, Relaxed);
                            let guard = RwLockWriteGuard::downgrade(guard);
                            assert_eq!(*guard, written.load(Relaxed));
                        }
                        _ => {
                            let guard = lock.read_blocking();
                            assert_eq!(*guard, written.load(Relaxed));
                        }
                    }
                }
            });
        }
    });
    let total = lock.try_write().expect("free at the end");
    assert_eq!(*total, written.load(Relaxed));
}

// ---- against a sequential model -------------------------------------------------------------

#[derive(Clone, Debug)]
enum Step {
    Read,
    Write,
    TryRead,
    TryWrite,
    PollReader(usize),
    PollWriter(usize),
    DropReader(usize),
    DropWriter(usize),
    UnlockRead(usize),
    UnlockWrite,
    Downgrade,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        30 => Just(Step::Read),
        15 => Just(Step::Write),
        10 => Just(Step::TryRead),
        10 => Just(Step::TryWrite),
        20 => any::<usize>().prop_map(Step::PollReader),
        20 => any::<usize>().prop_map(Step::PollWriter),
        10 => any::<usize>().prop_map(Step::DropReader),
        10 => any::<usize>().prop_map(Step::DropWriter),
        40 => any::<usize>().prop_map(Step::UnlockRead),
        20 => Just(Step::UnlockWrite),
        5 => Just(Step::Downgrade),
    ]
}

/// The lock as a specification: numbers instead of futures.
#[derive(Default)]
struct Model {
    readers: usize,
    writer: bool,
    reads_wait: Vec<usize>,
    writes_wait: Vec<usize>,
    /// Let in while they waited, and not polled since.
    granted: Vec<usize>,
}

impl Model {
    fn try_read(&mut self) -> bool {
        let free = !self.writer && self.writes_wait.is_empty();
        self.readers += usize::from(free);
        free
    }

    fn try_write(&mut self) -> bool {
        let free = !self.writer && self.readers == 0;
        self.writer |= free;
        free
    }

    fn admit_readers(&mut self) {
        self.readers += self.reads_wait.len();
        self.granted.append(&mut self.reads_wait);
    }

    fn admit_writer(&mut self) {
        if self.readers == 0 && !self.writer && !self.writes_wait.is_empty() {
            self.writer = true;
            self.granted.push(self.writes_wait.remove(0));
        }
    }

    fn unlock_read(&mut self) {
        self.readers -= 1;
        self.admit_writer();
    }

    fn unlock_write(&mut self) {
        self.writer = false;
        self.admit_readers();
        self.admit_writer();
    }

    fn downgrade(&mut self) {
        self.writer = false;
        self.readers = 1;
        self.admit_readers();
    }

    fn take_grant(&mut self, id: usize) -> bool {
        let at = self.granted.iter().position(|granted| *granted == id);
        at.map(|at| self.granted.remove(at)).is_some()
    }

    fn drop_reader(&mut self, id: usize) {
        self.reads_wait.retain(|waits| *waits != id);
        if self.take_grant(id) {
            self.unlock_read();
        }
    }

    fn drop_writer(&mut self, id: usize) {
        self.writes_wait.retain(|waits| *waits != id);
        if self.take_grant(id) {
            self.unlock_write();
        } else if self.writes_wait.is_empty() && !self.writer {
            self.admit_readers();
        }
    }
}

/// Takes the `index`th element, modulo the length.
fn pick<T>(items: &[T], index: usize) -> Option<usize> {
    (!items.is_empty()).then(|| index % items.len())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 1_000, failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn a_lock_is_its_model_whatever_is_dropped_when(
        steps in proptest::collection::vec(step(), 0..120),
    ) {
        let lock = RwLock::new(0_u64);
        let mut model = Model::default();
        let mut reads = Vec::new();
        let mut writes = Vec::new();
        let mut inside = Vec::new();
        let mut writer = None;
        for (id, step) in steps.into_iter().enumerate() {
            match step {
                Step::TryRead => {
                    let guard = lock.try_read();
                    prop_assert_eq!(guard.is_some(), model.try_read());
                    inside.extend(guard);
                }
                Step::TryWrite => {
                    let guard = lock.try_write();
                    prop_assert_eq!(guard.is_some(), model.try_write());
                    writer = guard.or(writer);
                }
                Step::Read => {
                    let mut read = Box::pin(lock.read());
                    match (poll(&mut read), model.try_read()) {
                        (Poll::Ready(guard), true) => inside.push(guard),
                        (Poll::Pending, false) => {
                            model.reads_wait.push(id);
                            reads.push((id, read));
                        }
                        (got, wanted) => prop_assert!(false, "{got:?} but {wanted}"),
                    }
                }
                Step::Write => {
                    let mut write = Box::pin(lock.write());
                    match (poll(&mut write), model.try_write()) {
                        (Poll::Ready(guard), true) => writer = Some(guard),
                        (Poll::Pending, false) => {
                            model.writes_wait.push(id);
                            writes.push((id, write));
                        }
                        (got, wanted) => prop_assert!(false, "{got:?} but {wanted}"),
                    }
                }
                Step::PollReader(index) => if let Some(at) = pick(&reads, index) {
                    let (id, read) = &mut reads[at];
                    match (poll(read), model.take_grant(*id)) {
                        (Poll::Ready(guard), true) => {
                            inside.push(guard);
                            drop(reads.remove(at));
                        }
                        (Poll::Pending, false) => {}
                        (got, wanted) => prop_assert!(false, "{got:?} but {wanted}"),
                    }
                },
                Step::PollWriter(index) => if let Some(at) = pick(&writes, index) {
                    let (id, write) = &mut writes[at];
                    match (poll(write), model.take_grant(*id)) {
                        (Poll::Ready(guard), true) => {
                            writer = Some(guard);
                            drop(writes.remove(at));
                        }
                        (Poll::Pending, false) => {}
                        (got, wanted) => prop_assert!(false, "{got:?} but {wanted}"),
                    }
                },
                Step::DropReader(index) => if let Some(at) = pick(&reads, index) {
                    model.drop_reader(reads.remove(at).0);
                },
                Step::DropWriter(index) => if let Some(at) = pick(&writes, index) {
                    model.drop_writer(writes.remove(at).0);
                },
                Step::UnlockRead(index) => if let Some(at) = pick(&inside, index) {
                    drop(inside.remove(at));
                    model.unlock_read();
                },
                Step::UnlockWrite => if let Some(mut guard) = writer.take() {
                    *guard += 1;
                    drop(guard);
                    model.unlock_write();
                },
                Step::Downgrade => if let Some(guard) = writer.take() {
                    inside.push(RwLockWriteGuard::downgrade(guard));
                    model.downgrade();
                },
            }
            prop_assert!(writer.is_none() || inside.is_empty(), "a reader beside a writer");
        }
        drop((reads, writes, inside, writer));
        prop_assert!(lock.try_write().is_some(), "free at the end");
    }
}
