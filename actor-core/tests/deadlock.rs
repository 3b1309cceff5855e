//! Promise 4: when everything sleeps for ever, and when a lock cycle closes, somebody says so.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use actor_core::prelude::*;
use actor_core::sync::{Mutex, MutexGuard, RwLock, WaitGroup};
use actor_core::{DeadlockPolicy, Runtime, chan, go, go_named, sleep, timeout, yield_now};

fn runtime() -> Runtime {
    let builder = Runtime::builder().procs(2).name("dead");
    builder.on_deadlock(DeadlockPolicy::Panic).build().unwrap()
}

/// The text that `f` panics with.
fn panic_of<R>(f: impl FnOnce() -> R) -> String {
    let Err(payload) = catch_unwind(AssertUnwindSafe(f)) else {
        panic!("it came back, without a report");
    };
    *payload.downcast::<String>().expect("a report is a String")
}

#[test]
fn a_receive_that_nobody_can_serve_ends_block_on_with_a_report() {
    let runtime = runtime();
    let report = panic_of(|| {
        runtime.block_on(async {
            let (_tx, rx) = chan::rendezvous::<u8>();
            rx.recv().await
        })
    });
    assert!(
        report.starts_with("all goroutines are asleep - deadlock!"),
        "{report}"
    );
    assert!(report.contains("[chan receive, channel #1]"), "{report}");
    assert!(report.contains("tests/deadlock.rs"), "{report}");
}

#[test]
fn the_report_lists_each_goroutine_with_its_name_its_start_and_its_wait() {
    let runtime = runtime();
    let report = panic_of(|| {
        runtime.run(async {
            let (tx, rx) = chan::buffered::<u8>(1);
            let group = WaitGroup::new();
            group.add(1);
            let full = tx.clone();
            drop(go_named("sender", async move {
                full.send(1).await.unwrap();
                full.send(2).await.unwrap();
            }));
            drop(go_named("waiter", async move {
                let _rx = rx;
                group.wait().await;
            }));
            let (_never, other) = chan::rendezvous::<u8>();
            other.recv().await;
            drop(tx);
        });
    });
    for expected in [
        "\"sender\" [chan send, channel #",
        "\"waiter\" [waitgroup wait, waitgroup #1]",
        "[chan receive, channel #",
        "[join, goroutine",
        "started at actor-core/tests/deadlock.rs:",
    ] {
        assert!(
            report.contains(expected),
            "{expected} is missing in\n{report}"
        );
    }
}

#[test]
fn the_runtime_is_usable_after_a_report() {
    let runtime = runtime();
    let (tx, rx) = chan::rendezvous::<u8>();
    panic_of(|| runtime.block_on(rx.recv()));
    let sent = runtime.block_on(async {
        drop(go(async move { tx.send(7).await }));
        rx.recv().await
    });
    assert_eq!(sent, Some(7));
}

#[test]
fn a_timer_that_is_set_is_no_deadlock() {
    let runtime = runtime();
    let received = runtime.block_on(async {
        let (_tx, rx) = chan::rendezvous::<u8>();
        timeout(Duration::from_millis(120), rx.recv()).await
    });
    assert!(received.is_err());
}

#[test]
fn a_thread_of_the_programs_own_is_no_deadlock() {
    let runtime = runtime();
    let (tx, rx) = chan::rendezvous();
    let thread = std::thread::spawn(move || {
        // Longer than the first looks: it has touched nothing of ours before.
        std::thread::sleep(Duration::from_millis(150));
        tx.send_blocking(1).unwrap();
    });
    assert_eq!(runtime.block_on(rx.recv()), Some(1));
    thread.join().unwrap();
}

#[test]
fn a_waker_in_foreign_hands_is_no_deadlock() {
    let runtime = runtime();
    let waker = Arc::new(std::sync::Mutex::new(None::<std::task::Waker>));
    let done = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let thread = std::thread::Builder::new().name("stranger".into()).spawn({
        let (waker, done) = (waker.clone(), done.clone());
        move || {
            std::thread::sleep(Duration::from_millis(150));
            done.store(true, std::sync::atomic::Ordering::SeqCst);
            waker.lock().unwrap().take().unwrap().wake();
        }
    });
    runtime.run(std::future::poll_fn(move |cx| {
        if done.load(std::sync::atomic::Ordering::SeqCst) {
            return Poll::Ready(());
        }
        *waker.lock().unwrap() = Some(cx.waker().clone());
        Poll::Pending
    }));
    thread.unwrap().join().unwrap();
}

#[test]
fn another_runtime_of_the_same_test_that_works_is_no_deadlock() {
    let (one, two) = (runtime(), runtime());
    let (tx, rx) = chan::rendezvous();
    drop(two.handle().go(async move {
        sleep(Duration::from_millis(150)).await;
        tx.send(5).await.unwrap();
    }));
    assert_eq!(one.block_on(rx.recv()), Some(5));
}

#[test]
fn a_blocking_section_is_no_deadlock() {
    let runtime = runtime();
    let (tx, rx) = chan::rendezvous();
    drop(runtime.handle().go(async move {
        actor_core::blocking(|| std::thread::sleep(Duration::from_millis(150)));
        tx.send(5).await.unwrap();
    }));
    assert_eq!(runtime.block_on(rx.recv()), Some(5));
}

#[test]
fn goroutines_that_block_their_threads_on_our_channels_count_as_asleep() {
    let builder = Runtime::builder().on_deadlock(DeadlockPolicy::Panic);
    // It never comes back: left behind, and said so.
    let builder = builder.shutdown_within(Duration::from_millis(1));
    let runtime = builder.build().unwrap();
    let (tx, rx) = chan::rendezvous::<u8>();
    drop(runtime.handle().go_named("blocked", async move {
        let _tx = tx;
        let (_never, other) = chan::rendezvous::<u8>();
        other.recv_blocking();
    }));
    let report = panic_of(|| runtime.block_on(rx.recv()));
    assert!(report.contains("chan receive"), "{report}");
}

// ---- lock cycles ------------------------------------------------------------------------------

#[test]
fn a_mutex_that_its_holder_locks_again_panics_at_once() {
    let runtime = runtime();
    let report = panic_of(|| {
        runtime.run(async {
            let mutex = Mutex::new(0);
            let _held = mutex.lock().await;
            let _again = mutex.lock().await;
        });
    });
    assert!(
        report.contains("waits for a mutex that it holds itself"),
        "{report}"
    );
    assert!(report.contains("tests/deadlock.rs"), "{report}");
}

#[test]
fn block_on_itself_may_be_the_holder_that_locks_again() {
    let runtime = runtime();
    let report = panic_of(|| {
        runtime.block_on(async {
            let mutex = Mutex::new(0);
            let _held = mutex.lock().await;
            let _again = mutex.lock().await;
        });
    });
    assert!(report.contains("that it holds itself"), "{report}");
}

/// Takes its two locks so that both of a pair have their first before one asks for its second.
async fn take_both<'a>(
    first: &'a Mutex<u8>,
    second: &'a Mutex<u8>,
    meet: &WaitGroup,
) -> Result<MutexGuard<'a, u8>, actor_core::Deadlock> {
    let _first = first.lock().await;
    meet.done();
    meet.wait().await;
    second.lock_checked().await
}

#[test]
fn the_one_that_closes_a_cycle_is_told_and_both_holders_are_named() {
    let runtime = runtime();
    for _ in 0..200 {
        runtime.run(async {
            let locks = Arc::new((Mutex::new(1), Mutex::new(2)));
            let meet = WaitGroup::new();
            meet.add(2);
            let one = go_named("alice", {
                let (locks, meet) = (locks.clone(), meet.clone());
                async move { take_both(&locks.0, &locks.1, &meet).await.map(|g| *g) }
            });
            let two = go_named("bob", async move {
                take_both(&locks.1, &locks.0, &meet).await.map(|g| *g)
            });
            let results = [one.await.unwrap(), two.await.unwrap()];
            let errors: Vec<_> = results.iter().filter_map(|r| r.as_ref().err()).collect();
            // The one that is told lets go of its first lock, so the other one goes on.
            assert_eq!(errors.len(), 1, "{results:?}");
            let text = errors[0].to_string();
            assert!(
                text.contains("\"alice\"") && text.contains("\"bob\""),
                "{text}"
            );
            assert_eq!(errors[0].parties().len(), 2);
        });
    }
}

#[test]
fn a_cycle_of_many_is_found_by_the_last() {
    let runtime = runtime();
    runtime.run(async {
        const N: usize = 20;
        let locks: Arc<Vec<_>> = Arc::new((0..N).map(|_| Mutex::new(0)).collect());
        let meet = WaitGroup::new();
        meet.add(N);
        let diners: Vec<_> = (0..N)
            .map(|at| {
                let (locks, meet) = (locks.clone(), meet.clone());
                go(async move {
                    let next = &locks[(at + 1) % N];
                    take_both(&locks[at], next, &meet).await.map(|g| *g)
                })
            })
            .collect();
        let mut told = Vec::new();
        for diner in diners {
            told.extend(diner.await.unwrap().err());
        }
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].parties().len(), N);
    });
}

#[test]
fn an_actor_that_waits_in_a_handler_can_close_a_cycle() {
    use actor_core::prelude::*;

    struct Holder(Arc<Mutex<u8>>);

    #[actor]
    impl Holder {
        #[init]
        fn new(lock: Arc<Mutex<u8>>) -> Self {
            Self(lock)
        }

        pub async fn twice(&mut self) -> Option<String> {
            let _held = self.0.lock().await;
            self.0.lock_checked().await.err().map(|e| e.to_string())
        }
    }

    runtime().run(async {
        let holder = Holder::start(Arc::new(Mutex::new(0))).await.unwrap();
        let told = holder
            .twice()
            .await
            .unwrap()
            .expect("the actor holds the lock itself");
        assert!(told.contains("that it holds itself"), "{told}");
    });
}

#[test]
fn a_wait_with_a_way_out_is_no_cycle() {
    runtime().run(async {
        let mutex = Mutex::new(0);
        let _held = mutex.lock().await;
        let again = timeout(Duration::from_millis(30), mutex.lock()).await;
        assert!(again.is_err());
    });
}

/// One branch holds the lock while the other one waits for it: the goroutine itself goes on.
#[test]
fn two_branches_of_one_goroutine_are_no_cycle() {
    struct Both<A, B>(Pin<Box<A>>, Pin<Box<B>>, bool, bool);
    impl<A: Future<Output = ()>, B: Future<Output = ()>> Future for Both<A, B> {
        type Output = ();
        fn poll(mut self: Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> Poll<()> {
            let this = &mut *self;
            this.2 = this.2 || this.0.as_mut().poll(cx).is_ready();
            this.3 = this.3 || this.1.as_mut().poll(cx).is_ready();
            if this.2 && this.3 {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        }
    }
    let runtime = runtime();
    for _ in 0..100 {
        runtime.run(async {
            let mutex = Arc::new(Mutex::new(0));
            let (tx, rx) = chan::rendezvous();
            drop(go(async move {
                yield_now().await;
                tx.send(()).await.unwrap();
            }));
            let holds = {
                let mutex = mutex.clone();
                async move {
                    let mut held = mutex.lock().await;
                    rx.recv().await;
                    *held += 1;
                }
            };
            let waits = async {
                *mutex.lock().await += 1;
            };
            Both(Box::pin(holds), Box::pin(waits), false, false).await;
            assert_eq!(*mutex.lock().await, 2);
        });
    }
}

#[test]
fn a_lock_that_goes_away_with_a_forgotten_waiter_is_forgotten_too() {
    runtime().run(async {
        let other = Mutex::new(0);
        let held = other.lock().await;
        {
            let mutex = Mutex::new(0);
            let guard = mutex.lock().await;
            let mut waiter = Box::pin(mutex.lock());
            std::future::poll_fn(|cx| {
                assert!(waiter.as_mut().poll(cx).is_pending());
                Poll::Ready(())
            })
            .await;
            std::mem::forget(waiter);
            drop(guard);
        }
        drop(held);
        // Walks over this goroutine's record must not meet the lock that is gone.
        let told = {
            let _held = other.lock().await;
            other.lock_checked().await.err()
        };
        assert!(told.is_none() || told.unwrap().parties().len() == 1);
    });
}

/// A forgotten waiter stays in the queue, and is all that could wake the goroutine; the mutex moves
/// away in the same poll, before anybody looks whom it waits for.
#[test]
fn a_lock_that_moves_after_a_waiter_was_forgotten_is_followed_nowhere() {
    runtime().run(async {
        for drops in [false, true] {
            let (done_tx, done) = chan::buffered(1);
            let mut kept = None;
            let waits_for_ever = go(std::future::poll_fn(move |cx| {
                if kept.is_none() {
                    let mutex = Mutex::new([0_u64; 8]);
                    std::mem::forget(mutex.try_lock().unwrap());
                    let mut forgotten = Box::pin(mutex.lock());
                    assert!(forgotten.as_mut().poll(cx).is_pending());
                    std::mem::forget(forgotten);
                    kept = Some((!drops).then(|| Box::new(mutex)));
                    done_tx.try_send(()).unwrap();
                }
                Poll::<()>::Pending
            }));
            done.recv().await;
            yield_now().await;
            waits_for_ever.abort();
            assert!(waits_for_ever.await.unwrap_err().is_cancelled());
        }
    });
}

/// Locks taken in one order, by many, with cancelled waits, `try_lock`, and guards held across waits:
/// nothing here is a cycle, so nothing may be reported.
#[test]
fn no_false_alarm_under_random_load() {
    let runtime = Runtime::builder()
        .procs(4)
        .on_deadlock(DeadlockPolicy::Panic)
        .build()
        .unwrap();
    const LOCKS: usize = 6;
    const ROUNDS: u64 = 3_000;
    let locks: Arc<Vec<_>> = Arc::new((0..LOCKS).map(|_| Mutex::new(0_u64)).collect());
    let total = runtime.run({
        let locks = locks.clone();
        async move {
            let workers: Vec<_> = (0..24_u64)
                .map(|seed| go(worker(seed, locks.clone(), ROUNDS)))
                .collect();
            let mut total = 0;
            for worker in workers {
                total += worker.await.unwrap();
            }
            total
        }
    });
    let counted: u64 = locks.iter().map(|lock| *lock.try_lock().unwrap()).sum();
    assert_eq!(counted, total);
}

async fn worker(seed: u64, locks: Arc<Vec<Mutex<u64>>>, rounds: u64) -> u64 {
    let mut rng = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = move || {
        rng ^= rng << 13;
        rng ^= rng >> 7;
        rng ^= rng << 17;
        rng
    };
    let mut done = 0;
    for _ in 0..rounds {
        let mut at = (next() % locks.len() as u64) as usize;
        let mut held = Vec::new();
        while at < locks.len() {
            match next() % 8 {
                0 => held.extend(locks[at].try_lock()),
                1 => {
                    let waited = timeout(Duration::from_micros(20), locks[at].lock()).await;
                    held.extend(waited.ok());
                }
                _ => held.push(locks[at].lock().await),
            }
            at += 1 + (next() % 3) as usize;
        }
        if next().is_multiple_of(4) {
            yield_now().await;
        }
        for guard in &mut held {
            **guard += 1;
        }
        done += held.len() as u64;
    }
    done
}

// ---- reader-writer locks ------------------------------------------------------------------------

#[test]
fn a_writer_that_waits_for_its_own_reading_is_told() {
    runtime().run(async {
        let lock = RwLock::new(0);
        let _reads = lock.read().await;
        let told = lock.write_checked().await.expect_err("it reads itself");
        assert!(
            told.to_string()
                .contains("rwlock (to write) that it holds itself"),
            "{told}"
        );
    });
}

/// Go forbids it too: the second read waits for the writer, and that one for the first read.
#[test]
fn reading_twice_around_a_waiting_writer_is_told() {
    // On one P the writer is parked, not just queued, when this goroutine goes on: else it may be the
    // writer that closes the cycle.
    let builder = Runtime::builder().procs(1);
    let runtime = builder.on_deadlock(DeadlockPolicy::Panic).build().unwrap();
    runtime.run(async {
        let lock = Arc::new(RwLock::new(0));
        let reads = lock.read().await;
        let writer = go_named("writer", {
            let lock = lock.clone();
            async move { *lock.write().await += 1 }
        });
        while lock.try_read().is_some() {
            yield_now().await; // until the writer waits
        }
        let told = lock.read_checked().await.expect_err("a cycle");
        assert!(told.to_string().contains("\"writer\""), "{told}");
        drop(reads);
        writer.await.unwrap();
    });
}

/// A write lock that was granted to a future nobody polls any more is nobody's after its drop.
#[test]
fn a_grant_that_was_given_up_names_no_holder() {
    runtime().run(async {
        let lock = Arc::new(RwLock::new(0));
        let reads = lock.read().await;
        let mut write = Box::pin(lock.write());
        std::future::poll_fn(|cx| {
            assert!(write.as_mut().poll(cx).is_pending());
            Poll::Ready(())
        })
        .await;
        drop(reads); // granted
        drop(write); // given up
        let (begun_tx, begun) = chan::rendezvous();
        let (end, ends) = chan::rendezvous::<()>();
        go({
            let lock = lock.clone();
            async move {
                let _reads = lock.read().await;
                begun_tx.send(()).await.unwrap();
                ends.recv().await;
            }
        });
        begun.recv().await;
        go(async move {
            for _ in 0..10 {
                yield_now().await;
            }
            end.send(()).await
        });
        assert!(
            lock.write_checked().await.is_ok(),
            "the reader goes, sooner or later"
        );
    });
}

#[test]
fn a_cycle_through_a_mutex_and_a_reading_is_found() {
    let runtime = runtime();
    for _ in 0..100 {
        runtime.run(async {
            let locks = Arc::new((Mutex::new(0), RwLock::new(0)));
            let meet = WaitGroup::new();
            meet.add(2);
            let one = go_named("reads", {
                let (locks, meet) = (locks.clone(), meet.clone());
                async move {
                    let _reads = locks.1.read().await;
                    meet.done();
                    meet.wait().await;
                    locks.0.lock_checked().await.is_err()
                }
            });
            let two = go_named("locks", async move {
                let _locked = locks.0.lock().await;
                meet.done();
                meet.wait().await;
                locks.1.write_checked().await.is_err()
            });
            let told = [one.await.unwrap(), two.await.unwrap()];
            assert!(
                told[0] != told[1],
                "exactly one of the two is told: {told:?}"
            );
        });
    }
}

#[test]
fn a_guard_that_was_made_to_be_moved_raises_no_false_alarm() {
    runtime().run(async {
        let mutex = Arc::new(Mutex::new(0));
        let lock = Arc::new(RwLock::new(0));
        for _ in 0..200 {
            let owned = (mutex.lock_owned().await, lock.read_owned().await);
            drop(go(async move {
                yield_now().await;
                drop(owned);
            }));
            // This goroutine took them, but it is not the one that will let go of them.
            *mutex.lock().await += 1;
            *lock.write().await += 1;
        }
        assert_eq!((*mutex.lock().await, *lock.read().await), (200, 200));
    });
}

// ---- those that have been woken and not been polled yet -----------------------------------------

/// What another thread wakes comes later than what a P has queued itself: the goroutine that is aborted
/// is still waiting for its lock when the other one is.
#[test]
fn one_that_was_aborted_is_in_no_cycle() {
    let builder = Runtime::builder().procs(1);
    let runtime = builder.on_deadlock(DeadlockPolicy::Panic).build().unwrap();
    runtime.run(async {
        let (one, two) = (Arc::new(Mutex::new(0)), Arc::new(Mutex::new(0)));
        let held = one.lock().await;
        let other = go({
            let (one, two) = (one.clone(), two.clone());
            async move {
                let _two = two.lock().await;
                let _one = one.lock().await;
            }
        });
        while two.try_lock().is_some() {
            yield_now().await;
        }
        yield_now().await;
        let other = other.abort_handle();
        std::thread::spawn(move || other.abort()).join().unwrap();
        // Free as soon as the other one's future is dropped.
        *two.lock().await += 1;
        drop(held);
    });
}

/// A lock that is waited for at most so long is left again.
#[test]
fn a_thread_that_waits_for_a_limited_time_is_in_no_cycle() {
    runtime().run(async {
        let lock = Arc::new(Mutex::new(0));
        let node = Holding::start(lock.clone()).await.unwrap();
        let held = lock.lock().await;
        let asked = node.add().blocking_timeout(Duration::from_millis(50));
        assert!(matches!(asked, Err(CallError::Timeout)), "{asked:?}");
        drop(held);
        assert_eq!(node.add().await, Ok(2));
    });
}

struct Holding(Arc<Mutex<u32>>);

#[actor]
impl Holding {
    #[init]
    fn new(lock: Arc<Mutex<u32>>) -> Self {
        Self(lock)
    }

    pub async fn add(&mut self) -> u32 {
        let mut held = self.0.lock().await;
        *held += 1;
        *held
    }
}

/// A lock future that has waited in one goroutine waits on in another.
#[test]
fn a_waiting_lock_that_moves_takes_its_edge_along() {
    let builder = Runtime::builder().procs(1);
    let runtime = builder.on_deadlock(DeadlockPolicy::Panic).build().unwrap();
    runtime.run(async {
        let (one, two) = (Arc::new(Mutex::new(0)), Arc::new(Mutex::new(0)));
        let held = one.lock().await;
        let mut waits = Box::pin({
            let one = one.clone();
            async move {
                let _one = one.lock().await;
                sleep(Duration::from_millis(10)).await;
            }
        });
        assert!(timeout(Duration::from_millis(1), &mut waits).await.is_err());
        let mover = go(waits);
        yield_now().await;
        let second = go({
            let (one, two) = (one.clone(), two.clone());
            async move {
                let _two = two.lock().await;
                *one.lock().await += 1;
            }
        });
        yield_now().await;
        yield_now().await;
        drop(held);
        // Neither `mover`, which is granted the lock, nor `second` waits for this goroutine.
        *two.lock().await += 1;
        mover.await.unwrap();
        second.await.unwrap();
    });
}

/// As above, for a writer.
#[test]
fn a_waiting_writer_that_moves_takes_its_edge_along() {
    let builder = Runtime::builder().procs(1);
    let runtime = builder.on_deadlock(DeadlockPolicy::Panic).build().unwrap();
    runtime.run(async {
        let (one, two) = (Arc::new(RwLock::new(0)), Arc::new(Mutex::new(0)));
        let held = one.write().await;
        let mut waits = Box::pin({
            let one = one.clone();
            async move {
                let _one = one.write().await;
                sleep(Duration::from_millis(10)).await;
            }
        });
        assert!(timeout(Duration::from_millis(1), &mut waits).await.is_err());
        let mover = go(waits);
        yield_now().await;
        let second = go({
            let (one, two) = (one.clone(), two.clone());
            async move {
                let _two = two.lock().await;
                *one.write().await += 1;
            }
        });
        yield_now().await;
        yield_now().await;
        drop(held);
        // Neither `mover`, which is granted the lock, nor `second` waits for this goroutine.
        *two.lock().await += 1;
        mover.await.unwrap();
        second.await.unwrap();
    });
}

/// What a locked thread does before its first poll and after its last one is work.
#[test]
fn a_locked_thread_that_begins_or_ends_is_no_deadlock() {
    struct Slow;
    impl Drop for Slow {
        fn drop(&mut self) {
            std::thread::sleep(Duration::from_millis(150));
        }
    }
    runtime().block_on(async {
        let slow = actor_core::lock_thread(|| {
            std::thread::sleep(Duration::from_millis(150));
            let slow = Slow;
            async move {
                let _slow = &slow;
                yield_now().await;
            }
        });
        slow.await.unwrap();
    });
}
