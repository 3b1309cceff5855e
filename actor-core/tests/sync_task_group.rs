//! Task groups: the first failure ends the rest, the limit holds, nobody outlives the group.

use std::future::{Future, pending};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::task::{Poll, Wake, Waker};

use actor_core::chan::{buffered, rendezvous};
use actor_core::sync::{ContextError, TaskGroup};
use actor_core::{Context, Runtime, go, yield_now};

fn runtime() -> Runtime {
    Runtime::builder().procs(2).build().unwrap()
}

fn poll_once(future: Pin<&mut impl Future>) -> bool {
    future
        .poll(&mut std::task::Context::from_waker(Waker::noop()))
        .is_ready()
}

#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, SeqCst);
    }
}

/// Waits until nobody else holds `value`.
async fn released(value: &Arc<()>) {
    while Arc::strong_count(value) > 1 {
        yield_now().await;
    }
}

#[test]
fn wait_is_over_when_all_are_done() {
    runtime().run(async {
        let group = TaskGroup::<()>::new();
        assert_eq!(group.wait().await, Ok(()), "nothing was started");
        let sum = Arc::new(AtomicUsize::new(0));
        for n in 0..100 {
            let sum = sum.clone();
            let task = async move {
                yield_now().await;
                sum.fetch_add(n, SeqCst);
                Ok(())
            };
            group.go(task).await;
        }
        assert_eq!(group.wait().await, Ok(()));
        assert_eq!(sum.load(SeqCst), 4950);
        assert!(group.is_empty());
    });
}

#[test]
fn the_first_error_is_told_once_and_the_rest_is_dropped() {
    runtime().run(async {
        let (group, context) = TaskGroup::with_context(&Context::background());
        let held = Arc::new(());
        for _ in 0..50 {
            let held = held.clone();
            let endless = async move {
                pending::<()>().await;
                drop(held);
                Ok(())
            };
            group.go(endless).await;
        }
        let (tx, rx) = buffered::<()>(1);
        let fails = async move {
            rx.recv().await;
            Err("first")
        };
        group.go(fails).await;
        assert!(!context.is_done());
        drop(tx);
        assert_eq!(group.wait().await, Err("first"));
        assert_eq!(Arc::strong_count(&held), 1, "dropped before `wait` is over");
        assert_eq!(context.err(), Some(ContextError::Canceled));
        assert_eq!(group.wait().await, Ok(()), "it was told");
    });
}

#[test]
fn nothing_starts_after_a_failure() {
    runtime().run(async {
        let group = TaskGroup::new();
        group.go(async { Err(1) }).await;
        assert_eq!(group.wait().await, Err(1));
        group
            .go(async { unreachable!("started in a failed group") })
            .await;
        assert!(group.try_go(async { Ok(()) }).is_err());
        assert_eq!(group.wait().await, Ok(()));
    });
}

#[test]
fn finish_others_lets_the_rest_end_by_itself() {
    runtime().run(async {
        let (group, context) = TaskGroup::with_context(&Context::background());
        let group = group.finish_others();
        let finished = Arc::new(AtomicUsize::new(0));
        for _ in 0..3 {
            let (context, finished) = (context.clone(), finished.clone());
            let told = async move {
                context.done().await;
                yield_now().await;
                finished.fetch_add(1, SeqCst);
                Err("later")
            };
            group.go(told).await;
        }
        group.go(async { Err("first") }).await;
        assert_eq!(group.wait().await, Err("first"));
        assert_eq!(finished.load(SeqCst), 3);
        group.go(async { Ok(()) }).await;
        assert_eq!(group.wait().await, Ok(()));
    });
}

#[test]
fn wait_panics_with_the_panic_of_a_task_and_the_rest_is_ended() {
    let held = Arc::new(());
    let in_task = held.clone();
    let main = runtime().block_on(async move {
        let main = go(async move {
            let group = TaskGroup::<()>::new();
            let endless = async move {
                let _held = in_task;
                pending().await
            };
            group.go(endless).await;
            group
                .go(async { std::panic::resume_unwind(Box::new("in a task")) })
                .await;
            group.wait().await
        });
        main.await
    });
    let error = main.unwrap_err();
    assert_eq!(error.panic_message(), Some("in a task"));
    assert_eq!(Arc::strong_count(&held), 1);
}

#[test]
fn a_task_whose_future_panics_in_drop_fails_the_group() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            std::panic::resume_unwind(Box::new("in drop"));
        }
    }
    impl Future for Bomb {
        type Output = Result<(), ()>;
        fn poll(self: Pin<&mut Self>, _: &mut std::task::Context<'_>) -> Poll<Result<(), ()>> {
            Poll::Ready(Ok(()))
        }
    }
    runtime().run(async {
        let main = go(async {
            let group = TaskGroup::<()>::new();
            group.go(Bomb).await;
            group.wait().await
        });
        let error = main.await.unwrap_err();
        assert_eq!(error.panic_message(), Some("in drop"));
    });
}

#[test]
fn dropping_the_group_ends_its_tasks_and_its_context() {
    runtime().run(async {
        let (group, context) = TaskGroup::<()>::with_context(&Context::background());
        let held = Arc::new(());
        for _ in 0..20 {
            let held = held.clone();
            let endless = async move {
                let _held = held;
                pending().await
            };
            group.go(endless).await;
        }
        drop(group);
        assert!(context.is_done());
        released(&held).await;
    });
}

#[test]
fn the_limit_holds_and_slots_are_given_in_the_order_of_arrival() {
    runtime().run(async {
        let group = TaskGroup::<()>::new().limit(3);
        let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        for _ in 0..200 {
            let (running, most) = (running.clone(), most.clone());
            let task = async move {
                most.fetch_max(running.fetch_add(1, SeqCst) + 1, SeqCst);
                yield_now().await;
                running.fetch_sub(1, SeqCst);
                Ok(())
            };
            group.go(task).await;
            assert!(group.len() <= 3);
        }
        assert_eq!(group.wait().await, Ok(()));
        assert!((1..=3).contains(&most.load(SeqCst)));
    });
    runtime().run(async {
        let group = TaskGroup::<()>::new().limit(1);
        let (gate, opened) = rendezvous::<()>();
        let held = async move {
            opened.recv().await;
            Ok(())
        };
        group.go(held).await;
        let (log, order) = buffered(8);
        let mut waiting: Vec<_> = (0..3)
            .map(|n| {
                let log = log.clone();
                let task = async move {
                    log.send(n).await.unwrap();
                    Ok(())
                };
                Box::pin(group.go(task))
            })
            .collect();
        for start in &mut waiting {
            assert!(!poll_once(start.as_mut()));
        }
        // One that gives up keeps nobody waiting.
        drop(waiting.remove(1));
        drop(gate);
        for start in waiting {
            start.await;
        }
        assert_eq!(group.wait().await, Ok(()));
        assert_eq!((order.recv().await, order.recv().await), (Some(0), Some(2)));
    });
}

#[test]
fn a_slot_handed_to_a_start_that_is_dropped_goes_on_to_the_next() {
    runtime().run(async {
        let group = TaskGroup::<()>::new().limit(1);
        let (gate, opened) = rendezvous::<()>();
        let held = async move {
            opened.recv().await;
            Ok(())
        };
        group.go(held).await;
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(woken.clone());
        let mut first = Box::pin(group.go(async { unreachable!("dropped before it began") }));
        let mut second = Box::pin(group.go(async { Ok(()) }));
        assert!(
            first
                .as_mut()
                .poll(&mut std::task::Context::from_waker(&waker))
                .is_pending()
        );
        assert!(!poll_once(second.as_mut()));
        let mut wait = pin!(group.wait());
        assert!(!poll_once(wait.as_mut()));
        drop(gate);
        while !woken.0.load(SeqCst) {
            yield_now().await;
        }
        drop(first);
        second.await;
        assert_eq!(wait.await, Ok(()));
    });
}

#[test]
fn try_go_gives_the_task_back_when_every_slot_is_taken() {
    runtime().run(async {
        let group = TaskGroup::<()>::new().limit(1);
        assert!(group.try_go(pending()).is_ok());
        let Err(task) = group.try_go(async { Ok(()) }) else {
            panic!("a second task in one slot");
        };
        assert_eq!(task.await, Ok(()));
    });
}

#[test]
#[should_panic(expected = "a TaskGroup with a limit of 0 could never start a task")]
fn a_limit_of_zero_is_refused() {
    drop(TaskGroup::<()>::new().limit(0));
}

#[test]
#[should_panic(expected = "`TaskGroup::go` needs a runtime")]
fn go_outside_a_runtime_panics_and_says_where_to_go() {
    drop(TaskGroup::<()>::new().go(async { Ok(()) }));
}

#[test]
fn a_parent_s_cancel_reaches_tasks_only_through_their_context() {
    runtime().run(async {
        let (parent, cancel) = Context::background().with_cancel();
        let (group, context) = TaskGroup::with_context(&parent);
        let task = async move { context.run(pending::<()>()).await };
        group.go(task).await;
        cancel.cancel();
        assert_eq!(group.wait().await, Err(ContextError::Canceled));
    });
}

#[test]
fn who_waits_for_tasks_of_a_runtime_that_ended_is_told() {
    let runtime = runtime();
    let group = runtime.block_on(async {
        let group = TaskGroup::<()>::new();
        group.go(pending()).await;
        group
    });
    drop(runtime);
    let waiter = std::thread::spawn(move || group.wait_blocking());
    let panic = waiter.join().unwrap_err();
    let text = panic.downcast_ref::<&str>().copied().unwrap_or_default();
    assert!(text.contains("its runtime ended"), "{text}");
}

#[test]
fn groups_that_fail_while_they_are_filled_leave_nothing_running() {
    runtime().run(async {
        for round in 0..300_usize {
            let held = Arc::new(());
            let group = TaskGroup::new().limit(1 + round % 4);
            for n in 0..10 {
                let held = held.clone();
                let task = async move {
                    let _held = held;
                    if n == round % 10 {
                        return Err(n);
                    }
                    yield_now().await;
                    Ok(())
                };
                group.go(task).await;
            }
            assert_eq!(group.wait().await, Err(round % 10));
            assert_eq!(Arc::strong_count(&held), 1);
        }
    });
}
