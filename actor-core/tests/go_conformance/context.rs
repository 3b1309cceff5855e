//! `context/context_test.go`, `context/afterfunc_test.go` and `context/x_test.go`.

use std::sync::Arc;
use std::time::Duration;

use actor_core::chan::buffered;
use actor_core::sync::{Cancel, ContextError};
use actor_core::{Context, Handle, Instant, go, sleep, timeout};

use crate::seeds::rounds;
use crate::{Random, all, announced, ready, run};

const HOUR: Duration = Duration::from_secs(3600);

/// context_test.go: TestBackground, TestTODO: the root is not done and never will be.
#[test]
fn the_background_is_never_done() {
    run(1, || async {
        let root = Context::background();
        assert!(!root.is_done() && root.err().is_none() && root.cause().is_none());
        assert_eq!(root.deadline(), None);
        assert!(
            timeout(Duration::from_millis(2), root.done())
                .await
                .is_err()
        );
    });
}

/// context_test.go: TestWithCancel: a cancel ends the context and those made from it, at once and for
/// good.
#[test]
fn a_cancel_ends_the_context_and_its_children() {
    run(2, || async {
        let (parent, cancel) = Context::background().with_cancel();
        let (child, _child_cancel) = parent.with_cancel();
        let clone = parent.clone();
        for context in [&parent, &child, &clone] {
            assert!(ready(&mut Box::pin(context.done())).is_none());
            assert_eq!(context.err(), None);
        }
        let (waits, waiting) = buffered(1);
        let waiter = go({
            let child = child.clone();
            async move { announced(child.done(), waits).await }
        });
        waiting.recv().await.unwrap();
        cancel.cancel();
        cancel.cancel();
        for context in [&parent, &child, &clone] {
            assert!(ready(&mut Box::pin(context.done())).is_some());
            assert_eq!(context.err(), Some(ContextError::Canceled));
        }
        waiter.await.unwrap();
    });
}

/// context_test.go: TestParentFinishesChild: whatever lies between a parent and its children, they
/// end with it; one that is made afterwards is born done.
#[test]
fn children_of_every_kind_end_with_their_parent() {
    run(2, || async {
        let (parent, cancel) = Context::background().with_cancel();
        let (cancel_child, _stop) = parent.with_cancel();
        let value_child = parent.with_value("value");
        let timer_child = value_child.with_timeout(HOUR);
        let contexts = [&parent, &cancel_child, &value_child, &timer_child];
        assert!(contexts.iter().all(|context| !context.is_done()));
        cancel.cancel();
        for context in contexts {
            context.done().await;
            assert_eq!(context.err(), Some(ContextError::Canceled));
        }
        let late = parent.with_value("value").with_timeout(HOUR);
        assert_eq!(late.err(), Some(ContextError::Canceled));
    });
}

/// context_test.go: TestChildFinishesFirst: a child's end is not its parent's.
#[test]
fn a_parent_does_not_notice_the_end_of_a_child() {
    let (cancelable, _stop) = Context::background().with_cancel();
    for parent in [Context::background(), cancelable] {
        let (child, cancel) = parent.with_cancel();
        let (sibling, _sibling_cancel) = parent.with_cancel();
        cancel.cancel();
        assert_eq!(child.err(), Some(ContextError::Canceled));
        assert!(!parent.is_done() && !sibling.is_done());
    }
}

/// context_test.go: TestDeadline: a context ends at its deadline, not before; an earlier deadline
/// above counts; one in the past has passed.
#[test]
fn a_deadline_ends_the_context() {
    run(2, || async {
        let due = Instant::now() + Duration::from_millis(5);
        let context = Context::background().with_deadline(due);
        assert_eq!(context.deadline(), Some(due));
        context.done().await;
        assert!(Instant::now() >= due, "early");
        assert_eq!(context.err(), Some(ContextError::DeadlineExceeded));

        let due = Instant::now() + Duration::from_millis(5);
        let outer = Context::background().with_deadline(due);
        let inner = outer.with_deadline(due + HOUR);
        assert_eq!(inner.deadline(), Some(due), "the earlier one");
        inner.done().await;
        assert!(Instant::now() >= due);
        assert_eq!(inner.err(), Some(ContextError::DeadlineExceeded));

        let past = Context::background().with_deadline(Instant::now());
        assert_eq!(past.err(), Some(ContextError::DeadlineExceeded));
    });
}

/// context_test.go: TestTimeout: the same, counted from now; zero is over at once.
#[test]
fn a_timeout_ends_the_context() {
    run(2, || async {
        let start = Instant::now();
        let short = Context::background().with_timeout(Duration::from_millis(5));
        let long = short.with_timeout(HOUR);
        long.done().await;
        assert!(start.elapsed() >= Duration::from_millis(5));
        assert_eq!(long.err(), Some(ContextError::DeadlineExceeded));
        let zero = Context::background().with_timeout(Duration::ZERO);
        assert_eq!(zero.err(), Some(ContextError::DeadlineExceeded));
    });
}

/// context_test.go: TestCanceledTimeout: who is cancelled before its deadline was cancelled.
#[test]
fn a_cancel_before_the_deadline_is_a_cancel() {
    run(1, || async {
        let (outer, cancel) = Context::background().with_timeout(HOUR).with_cancel();
        let context = outer.with_timeout(HOUR / 2);
        cancel.cancel();
        context.done().await;
        assert_eq!(context.err(), Some(ContextError::Canceled));
    });
}

#[derive(Debug, PartialEq)]
struct One(&'static str);
#[derive(Debug, PartialEq)]
struct Two(&'static str);
#[derive(Debug, PartialEq)]
struct Three(&'static str);

/// context_test.go: TestValues: values are found by their key, here their type: equal contents of
/// another type are another value, the innermost counts, and the contexts above don't change.
#[test]
fn values_are_found_by_their_type() {
    let check = |context: &Context, one, two, three| {
        assert_eq!(context.value(), Option::map(one, One).as_ref());
        assert_eq!(context.value(), Option::map(two, Two).as_ref());
        assert_eq!(context.value(), Option::map(three, Three).as_ref());
    };
    let root = Context::background();
    check(&root, None, None, None);
    let first = root.with_value(One("a"));
    check(&first, Some("a"), None, None);
    let second = first.with_value(Two("a"));
    check(&second, Some("a"), Some("a"), None);
    let third = second.with_value(Three("c"));
    check(&third, Some("a"), Some("a"), Some("c"));
    let hidden = third.with_value(One("d"));
    check(&hidden, Some("d"), Some("a"), Some("c"));
    let (below, _cancel) = hidden.with_cancel();
    check(&below, Some("d"), Some("a"), Some("c"));
    check(&first, Some("a"), None, None);
}

/// context_test.go: TestSimultaneousCancels: a tree of contexts, all cancelled at once from many
/// goroutines: each is done, and no cancel hangs.
#[test]
fn a_tree_cancelled_everywhere_at_once_ends_everywhere() {
    run(4, || async {
        for _ in 0..rounds(20, 1) {
            let mut tree: Vec<(Context, Cancel)> = vec![Context::background().with_cancel()];
            for parent in 0..rounds(25, 10) {
                for _ in 0..4 {
                    let child = tree[parent].0.with_cancel();
                    tree.push(child);
                }
            }
            let (contexts, cancels): (Vec<_>, Vec<_>) = tree.into_iter().unzip();
            let mut cancels: Vec<_> = cancels.into_iter().map(Some).collect();
            let mut random = Random(7);
            let mut cancelling = Vec::new();
            for left in (1..=cancels.len()).rev() {
                let at = random.below(left);
                cancels.swap(at, left - 1);
                let cancel = cancels[left - 1].take().unwrap();
                cancelling.push(go(async move { cancel.cancel() }));
            }
            for context in &contexts {
                context.done().await;
                assert_eq!(context.err(), Some(ContextError::Canceled));
            }
            all(cancelling).await;
        }
    });
}

/// context_test.go: TestInterlockedCancels: a child that is cancelled while its parent is.
#[test]
fn a_child_and_its_parent_may_be_cancelled_at_once() {
    run(4, || async {
        for _ in 0..rounds(2000, 3) {
            let (parent, cancel) = Context::background().with_cancel();
            let (child, child_cancel) = parent.with_cancel();
            let other = go(async move {
                parent.done().await;
                child_cancel.cancel();
            });
            cancel.cancel();
            child.done().await;
            other.await.unwrap();
        }
    });
}

/// A value that knows where it was put.
struct Layer<const N: usize>(usize);

/// Thirty layers of values, cancels and deadlines, in random order.
fn layers(seed: u64, deadline: Duration) -> (Context, Vec<Cancel>, [Option<usize>; 3]) {
    let mut random = Random(seed);
    let (mut context, mut cancels, mut values) = (Context::background(), Vec::new(), [None; 3]);
    let mut deadlines = 0;
    for n in 0.. {
        if n >= 30 && deadlines > 0 && !cancels.is_empty() {
            break;
        }
        match random.below(5) {
            0 => {
                let (child, cancel) = context.with_cancel();
                cancels.push(cancel);
                context = child;
            }
            1 => {
                context = context.with_timeout(deadline);
                deadlines += 1;
            }
            2 => {
                context = context.with_value(Layer::<0>(n));
                values[0] = Some(n);
            }
            3 => {
                context = context.with_value(Layer::<1>(n));
                values[1] = Some(n);
            }
            _ => {
                context = context.with_value(Layer::<2>(n));
                values[2] = Some(n);
            }
        }
    }
    (context, cancels, values)
}

fn values_of(context: &Context) -> [Option<usize>; 3] {
    [
        context.value::<Layer<0>>().map(|layer| layer.0),
        context.value::<Layer<1>>().map(|layer| layer.0),
        context.value::<Layer<2>>().map(|layer| layer.0),
    ]
}

/// context_test.go: TestLayersCancel: under many layers of every kind any one cancel ends the
/// innermost, and its values stay.
#[test]
fn any_cancel_among_many_layers_ends_the_innermost() {
    run(2, || async {
        for seed in 1..50 {
            let (context, cancels, values) = layers(seed, HOUR);
            assert!(!context.is_done());
            assert_eq!(values_of(&context), values);
            let one = Random(seed).below(cancels.len());
            cancels[one].cancel();
            assert_eq!(context.err(), Some(ContextError::Canceled));
            assert_eq!(values_of(&context), values, "after the cancel");
        }
    });
}

/// context_test.go: TestLayersTimeout: and so does the earliest deadline.
#[test]
fn the_earliest_deadline_among_many_layers_ends_the_innermost() {
    run(2, || async {
        for seed in 1..10 {
            let (context, _cancels, values) = layers(seed, Duration::from_millis(2));
            context.done().await;
            assert_eq!(context.err(), Some(ContextError::DeadlineExceeded));
            assert_eq!(values_of(&context), values, "after the deadline");
        }
    });
}

/// How many children a context knows of, as its `Debug` tells.
fn children(context: &Context) -> String {
    let text = format!("{context:?}");
    let from = text.find("children: ").unwrap() + "children: ".len();
    text[from..].split([',', ' ']).next().unwrap().to_owned()
}

/// context_test.go: TestCancelRemoves: a child that is over is forgotten by its parent, with or
/// without a deadline.
#[test]
fn a_parent_forgets_children_that_are_over() {
    run(1, || async {
        let (parent, _cancel) = Context::background().with_cancel();
        assert_eq!(children(&parent), "0");
        let (child, cancel) = parent.with_cancel();
        assert_eq!(children(&parent), "1");
        cancel.cancel();
        drop((child, cancel));
        assert_eq!(children(&parent), "0");
        let timed = parent.with_timeout(HOUR);
        assert_eq!(children(&parent), "1");
        drop(timed);
        assert_eq!(children(&parent), "0");
    });
}

/// context_test.go: TestWithCancelCanceledParent: a child of a context that is done is done.
#[test]
fn a_child_of_a_done_context_is_done() {
    let (parent, cancel) = Context::background().with_cancel();
    drop(cancel); // Go's `defer cancel()`
    let (child, _child_cancel) = parent.with_cancel();
    assert_eq!(child.err(), Some(ContextError::Canceled));
    assert!(ready(&mut Box::pin(child.done())).is_some());
}

/// x_test.go: TestCause: the first cause stays, travels down and not up, and without one it is the
/// error itself.
#[test]
fn the_cause_of_the_end_travels_down() {
    let text = |context: &Context| context.cause().map(|cause| cause.to_string());
    let (parent, parent_cancel) = Context::background().with_cancel();
    let (child, child_cancel) = parent.with_cancel();
    let (other, _other_cancel) = parent.with_cancel();
    assert_eq!(text(&child), None);
    child_cancel.cancel_cause("the child's");
    child_cancel.cancel_cause("too late");
    assert_eq!(
        (text(&child).as_deref(), text(&parent)),
        (Some("the child's"), None)
    );
    parent_cancel.cancel_cause("the parent's");
    assert_eq!(
        text(&child).as_deref(),
        Some("the child's"),
        "the first stays"
    );
    assert_eq!(text(&other).as_deref(), Some("the parent's"));
    assert_eq!(other.err(), Some(ContextError::Canceled));
    let grandchild = other.with_value(());
    assert_eq!(text(&grandchild).as_deref(), Some("the parent's"));

    let (plain, cancel) = Context::background().with_cancel();
    cancel.cancel();
    assert_eq!(text(&plain), Some(ContextError::Canceled.to_string()));
    let past = Context::background().with_deadline(Instant::now());
    assert_eq!(
        text(&past),
        Some(ContextError::DeadlineExceeded.to_string())
    );
}

/// x_test.go: TestCauseRace: whoever sees a context done sees its cause.
#[test]
fn who_sees_it_done_sees_the_cause() {
    run(4, || async {
        for _ in 0..rounds(2000, 3) {
            let (context, cancel) = Context::background().with_cancel();
            let cancelling = go(async move { cancel.cancel_cause("why") });
            while !context.is_done() {
                actor_core::yield_now().await;
            }
            assert_eq!(context.cause().unwrap().to_string(), "why");
            cancelling.await.unwrap();
        }
    });
}

/// x_test.go: TestWithoutCancel: the same values, and none of the ends.
#[test]
fn a_context_without_cancel_keeps_the_values_only() {
    run(1, || async {
        let (parent, cancel) = Context::background().with_value(One("kept")).with_cancel();
        let freed = parent.with_timeout(HOUR).without_cancel();
        cancel.cancel();
        assert!(parent.is_done() && !freed.is_done());
        assert_eq!((freed.deadline(), freed.cause().is_none()), (None, true));
        assert_eq!(freed.value(), Some(&One("kept")));
    });
}

/// context_test.go: TestCustomContextGoroutines: contexts and their deadlines take no goroutines.
#[test]
fn contexts_start_no_goroutines() {
    run(1, || async {
        let (one, cancel) = Context::background().with_cancel();
        let two = one.with_timeout(HOUR).with_value(1);
        let (three, _cancel) = two.with_cancel();
        let four = three.with_timeout(HOUR / 2);
        assert_eq!(Handle::current().metrics().goroutines, 1);
        cancel.cancel();
        assert!(four.is_done());
        assert_eq!(Handle::current().metrics().goroutines, 1);
    });
}

/// afterfunc_test.go and x_test.go: TestAfterFuncCalledAfterCancel, TestAfterFuncCalledAfterTimeout,
/// TestAfterFuncCalledImmediately: a function is called once, after the end, in a goroutine.
#[test]
fn a_function_is_called_once_after_the_end() {
    run(2, || async {
        let (tx, rx) = buffered(8);
        let call = |name: &'static str| {
            let tx = tx.clone();
            move || tx.try_send(name).unwrap()
        };
        let (cancelled, cancel) = Context::background().with_cancel();
        cancelled.after_func(call("cancelled"));
        assert!(rx.try_recv().is_err(), "not before");
        cancel.cancel();
        cancel.cancel();
        assert_eq!(rx.recv().await, Some("cancelled"));

        let timed = Context::background().with_timeout(Duration::from_millis(1));
        timed.after_func(call("timed out"));
        assert_eq!(rx.recv().await, Some("timed out"));

        cancelled.after_func(call("at once"));
        assert_eq!(rx.recv().await, Some("at once"));
        drop(tx);
        assert_eq!(rx.recv().await, None, "each once");
    });
}

/// x_test.go: TestAfterFuncNotCalledAfterStop: one that was stopped is not called, and is told apart
/// from one that was.
#[test]
fn a_stopped_function_is_not_called() {
    run(2, || async {
        let alive = Arc::new(());
        let (context, cancel) = Context::background().with_cancel();
        let held = alive.clone();
        let stopped = context.after_func(move || panic!("called with {held:?}"));
        assert!(stopped.stop(), "in time");
        assert_eq!(Arc::strong_count(&alive), 1, "and let go");
        let (tx, rx) = buffered(1);
        let called = context.after_func(move || tx.try_send(()).unwrap());
        cancel.cancel();
        rx.recv().await.unwrap();
        assert!(!called.stop(), "too late");
    });
}

/// context_test.go, how every Go program uses it: work that is bounded by a context ends with it, and
/// what it held is let go.
#[test]
fn work_under_a_context_ends_with_it() {
    run(2, || async {
        let (context, cancel) = Context::background().with_cancel();
        let held = Arc::new(());
        let (waits, waiting) = buffered(1);
        let worker = go({
            let held = held.clone();
            async move {
                let work = async {
                    let _held = held;
                    announced(sleep(HOUR), waits).await;
                };
                context.run(work).await
            }
        });
        waiting.recv().await.unwrap();
        cancel.cancel();
        assert_eq!(worker.await.unwrap(), Err(ContextError::Canceled));
        assert_eq!(Arc::strong_count(&held), 1);
    });
}
