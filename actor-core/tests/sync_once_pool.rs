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
        (1..=64).contains(&pool.idle()),
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
