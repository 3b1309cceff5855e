//! Goroutine-local values: found inside their scope and nowhere else, wherever the goroutine runs.

use std::cell::Cell;
use std::future::{Future, pending};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::{Context, Waker};

use actor_core::chan::buffered;
use actor_core::{Runtime, go, goroutine_local, yield_now};

goroutine_local! {
    static NUMBER: u64;
    /// With interior mutability, as a goroutine's own counter.
    static COUNT: Cell<u32>;
}

fn runtime() -> Runtime {
    Runtime::builder().procs(2).build().unwrap()
}

#[test]
fn each_goroutine_finds_its_own_value_across_awaits() {
    runtime().run(async {
        let all: Vec<_> = (0..100)
            .map(|n| {
                go(NUMBER.scope(n, async move {
                    for _ in 0..50 {
                        assert_eq!(NUMBER.get(), n);
                        yield_now().await;
                    }
                }))
            })
            .collect();
        for one in all {
            one.await.unwrap();
        }
        assert!(NUMBER.try_with(|_| ()).is_err());
    });
}

#[test]
fn a_goroutine_started_in_a_scope_does_not_inherit_it() {
    runtime().run(NUMBER.scope(1, async {
        let inner = go(async { NUMBER.try_with(|n| *n) });
        assert!(inner.await.unwrap().is_err());
        let given = go(NUMBER.scope(NUMBER.get(), async { NUMBER.get() }));
        assert_eq!(given.await.unwrap(), 1);
    }));
}

#[test]
fn scopes_nest_and_the_outer_value_comes_back() {
    runtime().block_on(NUMBER.scope(1, async {
        let inner = NUMBER.scope(2, async {
            yield_now().await;
            assert_eq!(NUMBER.sync_scope(3, || NUMBER.get()), 3);
            NUMBER.get()
        });
        assert_eq!(NUMBER.get(), 1);
        assert_eq!(inner.await, 2);
        assert_eq!(NUMBER.get(), 1);
    }));
}

#[test]
fn the_value_keeps_what_the_goroutine_changed() {
    runtime().block_on(COUNT.scope(Cell::new(0), async {
        for _ in 0..3 {
            COUNT.with(|count| count.set(count.get() + 1));
            yield_now().await;
        }
        assert_eq!(COUNT.with(Cell::get), 3);
    }));
}

#[test]
fn a_panic_puts_the_outer_value_back() {
    NUMBER.sync_scope(1, || {
        let inner = AssertUnwindSafe(|| {
            NUMBER.sync_scope(2, || std::panic::resume_unwind(Box::new("in the scope")))
        });
        assert!(catch_unwind(inner).is_err());
        assert_eq!(NUMBER.get(), 1);
        let polled = catch_unwind(AssertUnwindSafe(|| {
            let future = NUMBER.scope(3, async { std::panic::resume_unwind(Box::new("poll")) });
            pin!(future).poll(&mut Context::from_waker(Waker::noop()))
        }));
        assert!(polled.is_err());
        assert_eq!(NUMBER.get(), 1);
    });
    assert!(NUMBER.try_with(|_| ()).is_err());
}

#[test]
fn what_an_aborted_future_drops_still_finds_the_value() {
    struct Tell(actor_core::chan::Sender<u64>);
    impl Drop for Tell {
        fn drop(&mut self) {
            self.0.try_send(NUMBER.get()).unwrap();
        }
    }
    runtime().run(async {
        let (tx, rx) = buffered(1);
        let tell = Tell(tx);
        let goroutine = go(NUMBER.scope(7, async move {
            let _tell = tell;
            pending::<()>().await;
        }));
        goroutine.abort();
        assert_eq!(rx.recv().await, Some(7), "begun or not");
        let (tx, rx) = buffered(1);
        let tell = Tell(tx);
        let mut scoped = Box::pin(NUMBER.scope(8, async move {
            let _tell = tell;
            pending::<()>().await;
        }));
        assert!(
            scoped
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop()))
                .is_pending()
        );
        drop(scoped);
        assert_eq!(rx.recv().await, Some(8));
    });
}

#[test]
#[should_panic(expected = "the goroutine-local NUMBER has no value here")]
fn outside_a_scope_with_panics_and_says_what_to_do() {
    let _ = NUMBER.get();
}

#[test]
fn outside_a_scope_try_with_names_the_key() {
    let error = NUMBER.try_with(|_| ()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the goroutine-local NUMBER has no value here"
    );
}

#[test]
#[should_panic(expected = "was entered inside `with` of the same key")]
fn a_scope_inside_with_of_the_same_key_panics() {
    NUMBER.sync_scope(1, || NUMBER.with(|_| NUMBER.sync_scope(2, || ())));
}

#[test]
fn a_scope_dropped_inside_with_of_its_key_only_misses_the_value() {
    NUMBER.sync_scope(1, || {
        let scoped = NUMBER.scope(2, pending::<()>());
        NUMBER.with(|_| drop(scoped));
        assert_eq!(NUMBER.get(), 1);
    });
}
