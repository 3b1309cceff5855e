//! Contexts: cancels go down and never up, deadlines are kept, nothing stays behind.

use std::future::{Future, pending};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Wake, Waker};
use std::thread;
use std::time::Duration;

use actor_core::chan::buffered;
use actor_core::sync::ContextError::{self, Canceled, DeadlineExceeded};
use actor_core::{Context, Instant, Runtime, go, yield_now};

const LONG: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(2);

fn runtime() -> Runtime {
    Runtime::builder().procs(2).build().unwrap()
}

/// Counts its wakes.
#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

fn is_ready(future: impl Future) -> bool {
    let mut cx = std::task::Context::from_waker(Waker::noop());
    pin!(future).poll(&mut cx).is_ready()
}

#[test]
fn a_cancel_goes_down_and_never_up() {
    let (root, cancel_root) = Context::background().with_cancel();
    let (left, cancel_left) = root.with_cancel();
    let (right, _cancel_right) = root.with_cancel();
    let leaf = left.with_value(1_u32);
    let (below, _cancel_below) = leaf.with_cancel();
    cancel_left.cancel();
    for context in [&left, &leaf, &below] {
        assert_eq!(context.err(), Some(Canceled));
        assert!(is_ready(context.done()));
    }
    for context in [&root, &right] {
        assert_eq!(context.err(), None);
        assert!(!is_ready(context.done()));
    }
    cancel_root.cancel();
    assert!(root.is_done() && right.is_done());
}

#[test]
fn a_child_of_a_done_context_is_born_done_with_its_cause() {
    let (parent, cancel) = Context::background().with_cancel();
    cancel.cancel_cause("lunch");
    let (child, _cancel) = parent.with_cancel();
    assert_eq!(child.err(), Some(Canceled));
    assert_eq!(child.cause().unwrap().to_string(), "lunch");
}

#[test]
fn the_first_cause_stays_and_the_error_is_its_own_without_one() {
    let (context, cancel) = Context::background().with_cancel();
    assert!(context.cause().is_none());
    cancel.cancel_cause(std::io::Error::other("first"));
    cancel.cancel_cause("second");
    cancel.cancel();
    let cause = context.cause().unwrap();
    assert_eq!(cause.to_string(), "first");
    assert!(cause.downcast_ref::<std::io::Error>().is_some());

    let (context, cancel) = Context::background().with_cancel();
    cancel.cancel();
    let cause = context.cause().unwrap();
    assert_eq!(cause.downcast_ref::<ContextError>(), Some(&Canceled));
}

#[test]
fn dropping_the_cancel_cancels_as_a_deferred_call_does() {
    let (context, cancel) = Context::background().with_cancel();
    let (child, _keep) = context.with_cancel();
    drop(cancel);
    assert_eq!(context.err(), Some(Canceled));
    assert_eq!(child.err(), Some(Canceled));
}

#[test]
fn the_background_never_ends() {
    let context = Context::background();
    assert!(!is_ready(context.done()));
    assert_eq!((context.err(), context.deadline()), (None, None));
    assert!(context.cause().is_none());
}

#[test]
fn a_deadline_ends_it_and_all_below_in_time_and_not_before() {
    runtime().run(async {
        let due = Instant::now() + SHORT;
        let context = Context::background().with_deadline(due);
        let (child, _cancel) = context.with_cancel();
        assert_eq!(child.deadline(), Some(due));
        child.done().await;
        assert!(Instant::now() >= due);
        for context in [&context, &child] {
            assert_eq!(context.err(), Some(DeadlineExceeded));
            let cause = context.cause().unwrap();
            assert_eq!(cause.downcast_ref(), Some(&DeadlineExceeded));
        }
    });
}

#[test]
fn a_child_s_deadline_is_never_later_than_its_parent_s() {
    runtime().block_on(async {
        let parent = Context::background().with_timeout(LONG);
        let later = parent.with_timeout(LONG * 2);
        assert_eq!(later.deadline(), parent.deadline());
        let earlier = parent.with_timeout(LONG / 2);
        assert!(earlier.deadline() < parent.deadline());
        let far = Context::background().with_timeout(Duration::MAX);
        assert_eq!(far.deadline(), None, "the end of the clock never comes");
    });
}

#[test]
fn a_deadline_in_the_past_ends_it_at_once_even_outside_a_runtime() {
    let context = Context::background().with_timeout(Duration::ZERO);
    assert_eq!(context.err(), Some(DeadlineExceeded));
    assert!(is_ready(context.done()));
}

#[test]
#[should_panic(expected = "a context's deadline needs a runtime")]
fn a_deadline_outside_a_runtime_panics_and_says_where_to_go() {
    drop(Context::background().with_timeout(LONG));
}

#[test]
fn a_cancelled_context_keeps_its_error_when_its_deadline_passes() {
    runtime().run(async {
        let (parent, cancel) = Context::background().with_cancel();
        let context = parent.with_timeout(SHORT);
        cancel.cancel();
        actor_core::sleep(SHORT * 2).await;
        assert_eq!(context.err(), Some(Canceled));
    });
}

#[test]
fn the_nearest_value_of_a_type_is_found() {
    #[derive(Debug, PartialEq)]
    struct User(&'static str);
    let root = Context::background()
        .with_value(User("root"))
        .with_value(1_u8);
    let (inner, _cancel) = root.with_value(User("inner")).with_cancel();
    assert_eq!(inner.value::<User>(), Some(&User("inner")));
    assert_eq!(inner.value::<u8>(), Some(&1));
    assert_eq!(root.value::<User>(), Some(&User("root")));
    assert_eq!(inner.value::<u16>(), None);
}

#[test]
fn without_cancel_keeps_the_values_and_not_the_end() {
    runtime().block_on(async {
        let (context, cancel) = Context::background().with_value(5_u8).with_cancel();
        let after = context.with_timeout(LONG).without_cancel();
        cancel.cancel();
        assert_eq!(after.err(), None);
        assert_eq!(after.deadline(), None);
        assert_eq!(after.value::<u8>(), Some(&5));
    });
}

#[test]
fn every_waiter_is_woken_once_and_a_dropped_one_never() {
    let (context, cancel) = Context::background().with_cancel();
    let counts = [(); 5].map(|()| Arc::new(Count::default()));
    let mut waiting: Vec<_> = counts.iter().map(|_| Box::pin(context.done())).collect();
    for (done, count) in waiting.iter_mut().zip(&counts) {
        let waker = Waker::from(count.clone());
        let mut cx = std::task::Context::from_waker(&waker);
        assert!(done.as_mut().poll(&mut cx).is_pending());
        assert!(done.as_mut().poll(&mut cx).is_pending());
    }
    drop(waiting.remove(2));
    cancel.cancel();
    cancel.cancel();
    let woken: Vec<_> = counts.iter().map(|count| count.0.load(SeqCst)).collect();
    assert_eq!(woken, [1, 1, 0, 1, 1]);
    assert!(
        Arc::strong_count(&counts[2]) == 1,
        "the dropped one's waker is gone"
    );
}

#[test]
fn a_dropped_child_is_forgotten_by_its_parent() {
    let registered = |context: &Context| {
        let text = format!("{context:?}");
        let count = text.split("children: ").nth(1).unwrap();
        count.split(',').next().unwrap().parse::<usize>().unwrap()
    };
    runtime().block_on(async {
        let (parent, _cancel) = Context::background().with_cancel();
        assert_eq!(registered(&parent), 0);
        let (first, first_cancel) = parent.with_cancel();
        for _ in 0..1000 {
            let (child, cancel) = parent.with_cancel();
            assert_eq!(registered(&parent), 2);
            drop((child, cancel));
            drop(parent.with_timeout(LONG));
            assert_eq!(registered(&parent), 1);
        }
        drop((first, first_cancel));
        assert_eq!(registered(&parent), 0);
    });
}

#[test]
fn a_chain_longer_than_any_stack_is_cancelled_and_dropped() {
    const DEPTH: usize = 200_000;
    let small = thread::Builder::new().stack_size(256 << 10).spawn(|| {
        let (root, cancel) = Context::background().with_cancel();
        let mut leaf = root.clone();
        let mut cancels = Vec::new();
        for n in 0..DEPTH {
            let (child, cancel) = leaf.with_value(n).with_cancel();
            leaf = child;
            cancels.push(cancel);
        }
        cancel.cancel();
        assert!(leaf.is_done());
        cancels.into_iter().for_each(drop);
        drop(leaf);
    });
    small.unwrap().join().unwrap();
}

#[test]
fn after_func_calls_once_in_a_goroutine_of_its_own() {
    runtime().run(async {
        let (context, cancel) = Context::background().with_cancel();
        let (tx, rx) = buffered(8);
        let early = tx.clone();
        drop(context.after_func(move || early.try_send("early").unwrap()));
        cancel.cancel();
        cancel.cancel();
        assert_eq!(rx.recv().await, Some("early"));
        // Done already: at once.
        context.after_func(move || tx.try_send("late").unwrap());
        assert_eq!(rx.recv().await, Some("late"));
        assert_eq!(rx.recv().await, None, "each was called once and dropped");
    });
}

#[test]
fn a_stopped_after_func_is_never_called() {
    runtime().run(async {
        let (context, cancel) = Context::background().with_cancel();
        let held = Arc::new(());
        let in_call = held.clone();
        let stopped = context.after_func(move || panic!("called with {in_call:?}"));
        assert!(stopped.stop());
        assert_eq!(Arc::strong_count(&held), 1, "the function was dropped");
        let (tx, rx) = buffered::<()>(1);
        let called = context.after_func(move || drop(tx));
        cancel.cancel();
        assert_eq!(rx.recv().await, None);
        assert!(!called.stop());
    });
}

/// As in Go, where the parent holds its children: nobody needs to keep the context.
#[test]
fn after_func_outlives_the_handles_on_its_context() {
    runtime().run(async {
        let (tx, rx) = buffered::<()>(1);
        drop(
            Context::background()
                .with_timeout(SHORT)
                .after_func(move || drop(tx)),
        );
        assert_eq!(rx.recv().await, None);

        let (parent, cancel) = Context::background().with_cancel();
        let (tx, rx) = buffered::<()>(1);
        drop(parent.with_timeout(LONG).after_func(move || drop(tx)));
        cancel.cancel();
        assert_eq!(rx.recv().await, None);
    });
}

#[test]
fn run_drops_the_future_when_the_context_is_done_first() {
    runtime().run(async {
        let (context, cancel) = Context::background().with_cancel();
        let held = Arc::new(());
        let in_future = held.clone();
        let running = go({
            let context = context.clone();
            async move {
                let ended = context
                    .run(async move {
                        let _held = in_future;
                        pending::<()>().await;
                    })
                    .await;
                (ended, Arc::strong_count(&held))
            }
        });
        yield_now().await;
        cancel.cancel();
        assert_eq!(running.await.unwrap(), (Err(Canceled), 1));
        let polled = context.run(async { panic!("polled on a done context") });
        assert_eq!(polled.await, Err(Canceled));
    });
}

#[test]
fn run_ends_a_future_that_is_always_ready() {
    // It spends its budget in every poll; the context has to be looked at all the same.
    Runtime::builder().procs(1).build().unwrap().run(async {
        let context = Context::background().with_timeout(SHORT);
        let endless = context.run(async {
            loop {
                actor_core::sleep(Duration::ZERO).await;
            }
        });
        let ended: Result<(), _> = endless.await;
        assert_eq!(ended, Err(DeadlineExceeded));
    });
}

#[test]
fn a_thread_can_wait_for_a_context() {
    let (context, cancel) = Context::background().with_cancel();
    let waiter = thread::spawn(move || context.done_blocking());
    cancel.cancel();
    waiter.join().unwrap();
}

#[test]
fn the_end_of_the_runtime_ends_its_deadlines_as_cancelled_and_says_so() {
    let runtime = runtime();
    let context = runtime.block_on(async { Context::background().with_timeout(LONG) });
    let handle = runtime.handle().clone();
    drop(runtime);
    context.done_blocking();
    assert_eq!(context.err(), Some(Canceled));
    let cause = context.cause().unwrap().to_string();
    assert!(cause.contains("runtime"), "{cause}");
    // After the end too: nobody would keep the time.
    let _entered = handle.enter();
    let late = Context::background().with_timeout(LONG);
    assert_eq!(late.err(), Some(Canceled));
}

#[test]
fn children_made_while_the_parent_is_cancelled_all_end() {
    for _ in 0..500 {
        let (parent, cancel) = Context::background().with_cancel();
        let children = thread::scope(|scope| {
            let makers = [(); 2]
                .map(|()| scope.spawn(|| [(); 8].map(|()| parent.with_value(1_u8).with_cancel())));
            cancel.cancel();
            makers.map(|maker| maker.join().unwrap())
        });
        for (child, _cancel) in children.iter().flatten() {
            assert_eq!(child.err(), Some(Canceled));
        }
    }
}
