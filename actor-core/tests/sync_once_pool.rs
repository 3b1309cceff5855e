//! Once and the once cell: one maker, cancelled makers, panicking makers. Pools: reuse and bounds.

use std::convert::Infallible;
use std::future::{Future, pending};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::thread;

use actor_core::sync::{BufPool, Once, OnceCell, Pool, WaitGroup};
use actor_core::{Runtime, yield_now};

fn poll_once<F: Future>(future: F) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn one_of_many_goroutines_does_it_and_all_see_it_done() {
    let runtime = Runtime::builder().procs(4).build().unwrap();
    let (once, done) = (Arc::new(Once::new()), Arc::new(AtomicUsize::new(0)));
    runtime.block_on(async {
        let group = WaitGroup::new();
        for _ in 0..16 {
            let (once, done) = (once.clone(), done.clone());
            drop(group.go(async move {
                once.do_once(async || {
                    yield_now().await;
                    done.fetch_add(1, Ordering::Relaxed);
                })
                .await;
                assert_eq!(done.load(Ordering::Relaxed), 1);
            }));
        }
        group.wait().await;
    });
    assert!(once.is_done());
}

#[test]
fn a_cancelled_action_does_not_count_as_done() {
    let once = Once::new();
    assert!(poll_once(once.do_once(async || pending().await)).is_pending());
    assert!(!once.is_done());
    assert!(poll_once(once.do_once(async || ())).is_ready());
    assert!(once.is_done());
}

#[test]
fn a_panicking_action_counts_as_done_as_in_go() {
    let once = Arc::new(Once::new());
    let panics = once.clone();
    let action = async || std::panic::resume_unwind(Box::new("action"));
    assert!(
        thread::spawn(move || poll_once(panics.do_once(action)).is_ready())
            .join()
            .is_err()
    );
    assert!(once.is_done());
    assert!(poll_once(once.do_once(async || unreachable!())).is_ready());
}

#[test]
fn a_cell_is_made_by_the_first_that_succeeds() {
    let cell = OnceCell::new();
    assert_eq!(cell.get(), None);
    assert!(poll_once(cell.get_or_init(async || pending::<u8>().await)).is_pending());
    assert_eq!(
        poll_once(cell.get_or_try_init(async || Err("no"))),
        Poll::Ready(Err("no"))
    );
    assert_eq!(poll_once(cell.get_or_init(async || 5)), Poll::Ready(&5));
    let other = cell.get_or_try_init(async || Ok::<u8, Infallible>(6));
    assert_eq!(poll_once(other), Poll::Ready(Ok(&5)));
    assert_eq!(cell.set(7), Err(7));
    assert_eq!(cell.into_inner(), Some(5));
}

#[test]
fn a_value_set_while_another_is_made_stays() {
    let cell = OnceCell::new();
    let made = poll_once(cell.get_or_init(async || {
        cell.set(1).unwrap();
        2
    }));
    assert_eq!(made, Poll::Ready(&1));
}

#[test]
fn a_pool_hands_out_what_came_back() {
    let made = Arc::new(AtomicUsize::new(0));
    let counter = made.clone();
    let pool = Pool::with_reset(
        move || vec![counter.fetch_add(1, Ordering::Relaxed); 3],
        |object| object[1] = 77,
    );
    let (first, second) = (pool.get(), pool.get());
    assert_eq!((first[0], second[0], pool.idle()), (0, 1, 0));
    drop(second);
    let again = pool.clone().get();
    assert_eq!(**again, [1, 77, 1], "the second one, reset");
    assert_eq!(made.load(Ordering::Relaxed), 2);
    assert_eq!(first.into_inner(), [0; 3]);
    drop(again);
    assert_eq!(
        pool.idle(),
        1,
        "what was kept by its user did not come back"
    );
}

#[test]
fn a_pool_keeps_a_bounded_number() {
    let pool = Pool::new(|| 0_u8);
    let many: Vec<_> = (0..10_000).map(|_| pool.get()).collect();
    drop(many);
    assert!(
        (1..=65).contains(&pool.idle()), // 64 shared, 1 private
        "{} kept by one thread",
        pool.idle()
    );
}

#[test]
fn an_object_under_a_panic_does_not_come_back() {
    let pool = Pool::new(|| 0_u8);
    let panics = pool.clone();
    let user = thread::spawn(move || {
        let _object = panics.get();
        std::panic::resume_unwind(Box::new("user"));
    });
    assert!(user.join().is_err());
    assert_eq!(pool.idle(), 0);
}

#[test]
fn objects_may_travel_between_threads() {
    let pool = Pool::new(|| 0_usize);
    let (tx, rx) = actor_core::chan::buffered(8);
    thread::scope(|scope| {
        let maker = pool.clone();
        scope.spawn(move || {
            for n in 0..5_000 {
                let mut object = maker.get();
                *object = n;
                tx.send_blocking(object).unwrap_or_else(|_| panic!("open"));
            }
        });
        for (n, object) in rx.iter().enumerate() {
            assert_eq!(*object, n, "one user at a time");
        }
    });
}

#[test]
fn buffers_come_back_empty_in_their_class() {
    let pool = BufPool::new();
    for wanted in [0, 1, 256, 257, 4_096, 1 << 20] {
        let mut buffer = pool.get(wanted);
        assert!(buffer.is_empty() && buffer.capacity() >= wanted);
        buffer.push(1);
        let memory = buffer.as_ptr();
        drop(buffer);
        let again = pool.get(wanted);
        assert!(again.is_empty());
        assert_eq!(again.as_ptr(), memory, "{wanted} bytes: the same memory");
    }
    let before = pool.idle();
    drop(pool.get((1 << 20) + 1));
    assert_eq!(pool.idle(), before, "larger ones are not kept");
    let mut grown = pool.get(300);
    grown.resize(100_000, 0);
    drop(grown);
    assert!(
        pool.get(300).capacity() <= 1_024,
        "a grown buffer leaves its class"
    );
    assert_eq!(pool.get(10).into_vec(), []);
}

#[test]
fn a_pool_drops_what_two_rounds_did_not_use() {
    let pool = Pool::new(|| Arc::new(()));
    let objects: Vec<_> = (0..5).map(|_| pool.get()).collect();
    let watch: Vec<_> = objects
        .iter()
        .map(|object| Arc::downgrade(object))
        .collect();
    let alive = || {
        watch
            .iter()
            .filter(|object| object.strong_count() > 0)
            .count()
    };
    drop(objects);
    pool.age();
    assert_eq!(
        (pool.idle(), alive()),
        (5, 5),
        "victims are kept for a round"
    );
    drop((pool.get(), pool.get())); // two are saved
    pool.age();
    assert_eq!((pool.idle(), alive()), (2, 2));
    pool.age();
    assert_eq!((pool.idle(), alive()), (0, 0));
}

#[test]
fn objects_of_other_threads_and_victims_are_used_before_new_ones_are_made() {
    let made = Arc::new(AtomicUsize::new(0));
    let counter = made.clone();
    let pool = Pool::new(move || counter.fetch_add(1, Ordering::Relaxed));
    thread::scope(|scope| {
        // Kept at the same time, and put back by threads of different shards.
        let (tx, rx) = actor_core::chan::buffered(8);
        (0..8).for_each(|_| tx.try_send(pool.get()).unwrap());
        for _ in 0..8 {
            let rx = rx.clone();
            scope.spawn(move || drop(rx.recv_blocking()));
        }
    });
    let held: Vec<_> = (0..8).map(|_| pool.get()).collect();
    let kept = 16 - made.load(Ordering::Relaxed);
    assert!(kept >= 1, "all were made anew");
    drop(held);
    pool.age();
    let before = made.load(Ordering::Relaxed);
    drop(pool.get());
    assert_eq!(made.load(Ordering::Relaxed), before, "a victim was there");
    assert!(pool.try_get().is_some());
}

#[test]
fn what_did_not_come_from_the_pool_can_be_put_there() {
    let pool = Pool::with_reset(|| 0, |object| *object += 1);
    assert!(pool.try_get().is_none());
    pool.put(41);
    assert_eq!(*pool.get(), 42);
}

/// Objects carry a flag that says "in use". Goroutines of two runtimes and plain threads take, mark,
/// pass on, unmark and put back, while somebody ages the pool: no object is ever in two hands.
#[test]
fn a_pool_never_shares_an_object_twice() {
    struct Object {
        in_use: AtomicUsize,
    }
    fn mark(object: &Object) {
        let before = object.in_use.fetch_add(1, Ordering::SeqCst);
        assert_eq!(before, 0, "somebody else has it too");
    }
    fn unmark(object: &Object) {
        object.in_use.fetch_sub(1, Ordering::SeqCst);
    }
    const ROUNDS: usize = 4_000;
    let (made, alive) = (Arc::new(AtomicUsize::new(0)), Arc::new(()));
    let (counter, life) = (made.clone(), alive.clone());
    let pool = Pool::new(move || {
        counter.fetch_add(1, Ordering::Relaxed);
        let object = Object {
            in_use: AtomicUsize::new(0),
        };
        (object, life.clone())
    });
    thread::scope(|scope| {
        for _ in 0..2 {
            let pool = pool.clone();
            scope.spawn(move || {
                let runtime = Runtime::builder().procs(3).build().unwrap();
                runtime.block_on(async {
                    let group = WaitGroup::new();
                    for g in 0..6 {
                        let pool = pool.clone();
                        drop(group.go(async move {
                            for n in 0..ROUNDS {
                                let (one, two) = (pool.get(), pool.get());
                                mark(&one.0);
                                mark(&two.0);
                                if (n + g) % 7 == 0 {
                                    yield_now().await; // perhaps to another P
                                }
                                unmark(&one.0);
                                unmark(&two.0);
                            }
                        }));
                    }
                    group.wait().await;
                });
            });
        }
        for _ in 0..2 {
            let pool = pool.clone();
            scope.spawn(move || {
                for n in 0..ROUNDS {
                    let held: Vec<_> = (0..n % 5).map(|_| pool.get()).collect();
                    held.iter().for_each(|object| mark(&object.0));
                    held.iter().for_each(|object| unmark(&object.0));
                }
            });
        }
        let pool = pool.clone();
        scope.spawn(move || {
            for _ in 0..200 {
                pool.age();
                thread::yield_now();
            }
        });
    });
    // `alive` is held here, by `make`, and by every object that lives: all of them are in the pool.
    assert_eq!(Arc::strong_count(&alive), 2 + pool.idle());
    assert!(
        made.load(Ordering::Relaxed) < 12 * ROUNDS,
        "objects were used again"
    );
    drop(pool);
    assert_eq!(Arc::strong_count(&alive), 1, "none is leaked");
}
