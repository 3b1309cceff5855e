//! The reader-writer lock: exclusion, the order of readers and writers, calls, hand-over, cancellation.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use actor_core::sync::{
    OwnedRwLockReadGuard, OwnedRwLockWriteGuard, ReadLock, RwLock, RwLockReadGuard,
    RwLockWriteGuard, WaitGroup, WriteLock,
};
use actor_core::{Runtime, go, sim, yield_now};
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

/// Until a waiter that started to wait before this call has starved.
fn let_starve() {
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(2) {
        thread::yield_now();
    }
}

/// Runs `test` in a simulation, where nobody starves by the clock.
fn while_the_clock_stands<F>(test: impl Fn() -> F + 'static)
where
    F: Future<Output = ()> + Send + 'static,
{
    let check = sim::check(move |_| test());
    check.seeds(1).no_shrinking().run();
}

/// Whether its waker was woken since it was made.
#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Relaxed);
    }
}

impl Woken {
    /// Polls `future`; from now on a wake counts again.
    fn poll<F: Future + ?Sized>(self: &Arc<Self>, future: &mut Pin<Box<F>>) -> Poll<F::Output> {
        self.0.store(false, Relaxed);
        let waker = Waker::from(self.clone());
        future.as_mut().poll(&mut Context::from_waker(&waker))
    }

    fn is_woken(&self) -> bool {
        self.0.load(Relaxed)
    }
}

/// As `waiting`, and whether it is woken.
fn watched<F: Future>(future: F) -> (Arc<Woken>, Pin<Box<F>>) {
    let (woken, mut future) = (Arc::new(Woken::default()), Box::pin(future));
    assert!(woken.poll(&mut future).is_pending());
    (woken, future)
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
fn readers_that_starve_get_in_when_a_writer_leaves_before_the_next_writer() {
    let lock = RwLock::new(());
    let writer = lock.try_write().unwrap();
    let mut next = waiting(lock.write());
    let mut readers: Vec<_> = (0..5).map(|_| waiting(lock.read())).collect();
    let_starve();
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
fn all_readers_and_the_first_writer_are_woken_when_a_writer_leaves_and_the_lock_is_free() {
    while_the_clock_stands(|| async {
        let lock = RwLock::new(());
        let writer = lock.try_write().unwrap();
        let (first, _first) = watched(lock.write());
        let (second, _second) = watched(lock.write());
        let readers: Vec<_> = (0..5).map(|_| watched(lock.read())).collect();
        drop(writer);
        assert!(readers.iter().all(|(woken, _)| woken.is_woken()));
        assert!(first.is_woken() && !second.is_woken());
        assert!(lock.try_write().is_some(), "free for whoever comes");
    });
}

/// The clock stands still, and a newcomer is always faster.
#[test]
fn who_was_woken_in_vain_for_some_times_is_let_in() {
    while_the_clock_stands(|| async {
        let lock = RwLock::new(());
        for access in ["read", "write"] {
            let mut barges = lock.try_write().unwrap();
            let mut waits: Pin<Box<dyn Future<Output = bool> + Send>> = match access {
                "read" => Box::pin(async {
                    drop(lock.read().await);
                    true
                }),
                _ => Box::pin(async {
                    drop(lock.write().await);
                    true
                }),
            };
            let (woken, mut times) = (Arc::new(Woken::default()), 0);
            while woken.poll(&mut waits).is_pending() {
                drop(barges);
                assert!(woken.is_woken(), "after {times} times");
                let Some(again) = lock.try_write() else {
                    break; // it was handed over
                };
                barges = again;
                times += 1;
                assert!(times < 20, "to {access}: it starves");
            }
            assert!(times > 2, "to {access}: handed over already after {times}");
            assert!(woken.poll(&mut waits).is_ready());
        }
    });
}

#[test]
fn a_reader_that_starves_behind_newer_ones_is_let_in_with_them() {
    while_the_clock_stands(|| async {
        let lock = RwLock::new(());
        let mut writer = lock.try_write();
        let (woken, mut starves) = watched(lock.read());
        let mut times = 0;
        while writer.is_some() {
            let newer = waiting(lock.read()); // before it, from the second time on
            assert!(woken.poll(&mut starves).is_pending());
            drop(writer);
            assert!(woken.is_woken());
            writer = lock.try_write();
            drop(newer);
            times += 1;
            assert!(times < 20, "it starves");
        }
        drop(ready(&mut starves));
    });
}

#[test]
fn a_writer_gets_in_while_readers_come_all_the_time() {
    Runtime::builder().procs(2).build().unwrap().run(async {
        let lock = Arc::new(RwLock::new(false));
        let readers: Vec<_> = (0..4)
            .map(|_| {
                let lock = lock.clone();
                go(async move {
                    // One is always inside, as each goes to the other's back with its guard.
                    while !*lock.read().await {
                        let guard = lock.try_read();
                        yield_now().await;
                        drop(guard);
                    }
                })
            })
            .collect();
        for _ in 0..1_000 {
            yield_now().await;
            *lock.write().await = false; // hangs if they keep it out
        }
        *lock.write().await = true;
        for reader in readers {
            reader.await.unwrap();
        }
    });
}

#[test]
fn writers_are_called_in_the_order_of_their_coming() {
    while_the_clock_stands(|| async {
        let lock = RwLock::new(());
        let held = lock.try_write().unwrap();
        let (called, mut first) = watched(lock.write());
        let (next, mut second) = watched(lock.write());
        drop(held);
        assert!(called.is_woken() && !next.is_woken());
        let guard = called.poll(&mut first);
        assert!(guard.is_ready() && !next.is_woken());
        drop(guard);
        assert!(next.is_woken());
        drop(ready(&mut second));
    });
}

#[test]
fn a_called_writer_that_comes_too_late_is_called_again() {
    while_the_clock_stands(|| async {
        let lock = RwLock::new(());
        let held = lock.try_write().unwrap();
        let (called, mut late) = watched(lock.write());
        drop(held);
        let barged = lock.try_write().unwrap();
        assert!(called.poll(&mut late).is_pending());
        drop(barged);
        assert!(called.is_woken());
        drop(ready(&mut late));
        assert!(lock.try_write().is_some());
    });
}

#[test]
fn a_called_writer_that_finds_readers_keeps_new_ones_out() {
    while_the_clock_stands(|| async {
        let lock = RwLock::new(());
        let held = lock.try_write().unwrap();
        let (_, mut late) = watched(lock.write());
        drop(held);
        let barged = lock.try_read().unwrap();
        assert!(lock.try_read().is_some(), "it hasn't come yet");
        assert!(poll(&mut late).is_pending());
        assert!(lock.try_read().is_none());
        drop(barged);
        assert!(lock.try_read().is_none(), "handed over");
        drop(ready(&mut late));
    });
}

#[test]
fn a_called_writer_that_leaves_passes_the_call_on() {
    while_the_clock_stands(|| async {
        let lock = RwLock::new(());
        let held = lock.try_write().unwrap();
        let called = waiting(lock.write());
        let (next, mut second) = watched(lock.write());
        drop(held);
        drop(called);
        assert!(next.is_woken());
        drop(ready(&mut second));
    });
}

#[test]
fn a_called_writer_that_gets_in_calls_those_behind_it_when_it_leaves() {
    while_the_clock_stands(|| async {
        let lock = RwLock::new(());
        let held = lock.try_write().unwrap();
        let mut first = waiting(lock.write());
        let (second, _waits) = watched(lock.write());
        drop(held);
        // The second came before the first was called: nothing says now that it waits.
        drop(ready(&mut first));
        assert!(second.is_woken());
    });
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
    let_starve();
    drop(held);
    assert!(lock.try_write().is_none(), "granted");
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
    let_starve();
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
    /// Which, and how many times in a row.
    PollReader(usize, usize),
    PollWriter(usize, usize),
    DropReader(usize),
    DropWriter(usize),
    UnlockRead(usize),
    UnlockWrite,
    Downgrade,
}

/// Once, mostly; or until it starves.
fn times(chosen: usize) -> usize {
    if chosen.is_multiple_of(5) {
        LOST_MAX
    } else {
        1
    }
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        30 => Just(Step::Read),
        15 => Just(Step::Write),
        10 => Just(Step::TryRead),
        10 => Just(Step::TryWrite),
        20 => any::<usize>().prop_map(|n| Step::PollReader(n / 5, times(n))),
        20 => any::<usize>().prop_map(|n| Step::PollWriter(n / 5, times(n))),
        10 => any::<usize>().prop_map(Step::DropReader),
        10 => any::<usize>().prop_map(Step::DropWriter),
        40 => any::<usize>().prop_map(Step::UnlockRead),
        20 => Just(Step::UnlockWrite),
        5 => Just(Step::Downgrade),
    ]
}

/// So often a waiter is called in vain.
const LOST_MAX: usize = 16;

/// Somebody that waits, and how often it was polled in vain since it queued.
#[derive(Clone, Copy)]
struct Waits {
    id: usize,
    lost: usize,
}

/// The lock as a specification: numbers instead of futures, and a clock that stands still.
#[derive(Default)]
struct Model {
    readers: usize,
    writer: bool,
    /// Somebody waits that was not called.
    waiters: bool,
    reads: Vec<Waits>,
    reader_starves: bool,
    writes: Vec<Waits>,
    first_write_called: bool,
    /// Readers that compete.
    called: Vec<Waits>,
    /// Let in while they waited, and not polled since.
    granted: Vec<usize>,
}

impl Model {
    fn try_read(&mut self) -> bool {
        let free = !self.writer && !self.waiters;
        self.readers += usize::from(free);
        free
    }

    fn try_write(&mut self) -> bool {
        let free = !self.writer && self.readers == 0 && !self.waiters;
        self.writer |= free;
        free
    }

    fn read(&mut self, id: usize) -> bool {
        let free = self.try_read();
        if !free {
            self.queue_read(Waits { id, lost: 0 });
        }
        free
    }

    fn queue_read(&mut self, waits: Waits) {
        self.waiters = true;
        self.reader_starves |= waits.lost >= LOST_MAX;
        self.reads.push(waits);
    }

    fn write(&mut self, id: usize) -> bool {
        let free = self.try_write();
        if !free {
            self.waiters = true;
            self.writes.push(Waits { id, lost: 0 });
        }
        free
    }

    fn poll_reader(&mut self, id: usize) -> bool {
        if let Some(at) = self.called.iter().position(|waits| waits.id == id) {
            let Waits { lost, .. } = self.called.remove(at);
            let free = self.try_read();
            if !free {
                self.queue_read(Waits { id, lost: lost + 1 });
            }
            return free;
        }
        for waits in self.reads.iter_mut().filter(|waits| waits.id == id) {
            waits.lost += 1;
        }
        self.take_grant(id)
    }

    fn poll_writer(&mut self, id: usize) -> bool {
        let Some(at) = self.writes.iter().position(|waits| waits.id == id) else {
            return self.take_grant(id);
        };
        self.first_write_called &= at != 0;
        if self.try_write() {
            self.writes.remove(at);
            self.waiters = !self.writes.is_empty();
            return true;
        }
        self.waiters = true;
        self.writes[at].lost += 1;
        false
    }

    fn admit_readers(&mut self) {
        self.readers += self.reads.len();
        self.granted
            .extend(self.reads.drain(..).map(|waits| waits.id));
        self.reader_starves = false;
    }

    fn hand_over(&mut self, left_a_writer: bool) {
        let starves = |waits: &[Waits]| waits.first().is_some_and(|w| w.lost >= LOST_MAX);
        let readers_next = left_a_writer || self.writes.is_empty();
        let a_reader_starves = starves(&self.reads) || self.reader_starves;
        if self.writer || !self.waiters {
        } else if self.readers > 0 {
            if readers_next {
                self.admit_readers();
            }
        } else if readers_next && !self.reads.is_empty() && a_reader_starves {
            self.admit_readers();
        } else if !self.writes.is_empty() && (!left_a_writer || starves(&self.writes)) {
            self.writer = true;
            self.granted.push(self.writes.remove(0).id);
            self.first_write_called = false;
        } else {
            self.waiters = false;
            self.called.append(&mut self.reads);
            self.reader_starves = false;
            self.first_write_called = !self.writes.is_empty();
        }
        self.waiters &= !self.reads.is_empty() || !self.writes.is_empty();
    }

    fn unlock_read(&mut self) {
        self.readers -= 1;
        self.hand_over(false);
    }

    fn unlock_write(&mut self) {
        self.writer = false;
        self.hand_over(true);
    }

    fn downgrade(&mut self) {
        self.writer = false;
        self.readers = 1;
        self.hand_over(true);
    }

    fn take_grant(&mut self, id: usize) -> bool {
        let at = self.granted.iter().position(|granted| *granted == id);
        at.map(|at| self.granted.remove(at)).is_some()
    }

    fn drop_reader(&mut self, id: usize) {
        if self.take_grant(id) {
            return self.unlock_read();
        }
        self.called.retain(|waits| waits.id != id);
        self.reads.retain(|waits| waits.id != id);
        self.hand_over(false);
    }

    fn drop_writer(&mut self, id: usize) {
        if self.take_grant(id) {
            return self.unlock_write();
        }
        self.writes.retain(|waits| waits.id != id);
        self.first_write_called &= !self.writes.is_empty();
        self.hand_over(false);
    }

    /// Nobody is inside, and nobody was let in.
    fn is_free(&self) -> bool {
        !self.writer && self.readers == 0
    }
}

/// A future that waits, and what woke it.
type Watched<F> = (usize, Arc<Woken>, Pin<Box<F>>);

/// Takes the `index`th element, modulo the length.
fn pick<T>(items: &[T], index: usize) -> Option<usize> {
    (!items.is_empty()).then(|| index % items.len())
}

/// Runs the lock beside its model.
async fn agrees(steps: Vec<Step>) {
    let lock = RwLock::new(0_u64);
    let mut model = Model::default();
    let mut reads: Vec<Watched<ReadLock<'_, u64>>> = Vec::new();
    let mut writes: Vec<Watched<WriteLock<'_, u64>>> = Vec::new();
    let mut inside = Vec::new();
    let mut writer = None;
    for (id, step) in steps.into_iter().enumerate() {
        if id % 7 == 6 {
            yield_now().await; // without it, polls would be told to give way
        }
        let shown = format!("{id}: {step:?}");
        match step {
            Step::TryRead => {
                let guard = lock.try_read();
                assert_eq!(guard.is_some(), model.try_read(), "{shown}");
                inside.extend(guard);
            }
            Step::TryWrite => {
                let guard = lock.try_write();
                assert_eq!(guard.is_some(), model.try_write(), "{shown}");
                writer = guard.or(writer);
            }
            Step::Read => {
                let (woken, mut read) = (Arc::new(Woken::default()), Box::pin(lock.read()));
                match (woken.poll(&mut read), model.read(id)) {
                    (Poll::Ready(guard), true) => inside.push(guard),
                    (Poll::Pending, false) => reads.push((id, woken, read)),
                    (got, wanted) => panic!("{shown}: {got:?} but {wanted}"),
                }
            }
            Step::Write => {
                let (woken, mut write) = (Arc::new(Woken::default()), Box::pin(lock.write()));
                match (woken.poll(&mut write), model.write(id)) {
                    (Poll::Ready(guard), true) => writer = Some(guard),
                    (Poll::Pending, false) => writes.push((id, woken, write)),
                    (got, wanted) => panic!("{shown}: {got:?} but {wanted}"),
                }
            }
            Step::PollReader(index, times) => {
                for _ in 0..times {
                    let Some(at) = pick(&reads, index) else { break };
                    let (id, woken, read) = &mut reads[at];
                    match (woken.poll(read), model.poll_reader(*id)) {
                        (Poll::Ready(guard), true) => {
                            inside.push(guard);
                            drop(reads.remove(at));
                            break;
                        }
                        (Poll::Pending, false) => {}
                        (got, wanted) => panic!("{shown}: {got:?} but {wanted}"),
                    }
                }
            }
            Step::PollWriter(index, times) => {
                for _ in 0..times {
                    let Some(at) = pick(&writes, index) else {
                        break;
                    };
                    let (id, woken, write) = &mut writes[at];
                    match (woken.poll(write), model.poll_writer(*id)) {
                        (Poll::Ready(guard), true) => {
                            writer = Some(guard);
                            drop(writes.remove(at));
                            break;
                        }
                        (Poll::Pending, false) => {}
                        (got, wanted) => panic!("{shown}: {got:?} but {wanted}"),
                    }
                }
            }
            Step::DropReader(index) => {
                if let Some(at) = pick(&reads, index) {
                    model.drop_reader(reads.remove(at).0);
                }
            }
            Step::DropWriter(index) => {
                if let Some(at) = pick(&writes, index) {
                    model.drop_writer(writes.remove(at).0);
                }
            }
            Step::UnlockRead(index) => {
                if let Some(at) = pick(&inside, index) {
                    drop(inside.remove(at));
                    model.unlock_read();
                }
            }
            Step::UnlockWrite => {
                if let Some(mut guard) = writer.take() {
                    *guard += 1;
                    drop(guard);
                    model.unlock_write();
                }
            }
            Step::Downgrade => {
                if let Some(guard) = writer.take() {
                    inside.push(RwLockWriteGuard::downgrade(guard));
                    model.downgrade();
                }
            }
        }
        let alone = writer.is_none() || inside.is_empty();
        assert!(alone, "{shown}: a reader beside a writer");
        // No wake-up is lost: a free lock that somebody waits for is on somebody's way.
        let mut wakes = (reads.iter().map(|read| &read.1)).chain(writes.iter().map(|w| &w.1));
        let waits = !reads.is_empty() || !writes.is_empty();
        if model.is_free() && waits {
            assert!(wakes.any(|w| w.is_woken()), "{shown}: nobody was woken");
        }
    }
    drop((reads, writes, inside, writer));
    assert!(lock.try_write().is_some(), "free at the end");
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 500, failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn a_lock_is_its_model_whatever_is_dropped_when(
        steps in proptest::collection::vec(step(), 0..120),
    ) {
        while_the_clock_stands(move || agrees(steps.clone()));
    }
}
