//! `x/sync/errgroup/errgroup_test.go`.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use actor_core::chan::{buffered, rendezvous};
use actor_core::sync::{ContextError, TaskGroup};
use actor_core::{Context, go, yield_now};

use crate::run;
use crate::seeds::rounds;

/// errgroup_test.go: TestZeroGroup: `wait` tells the first error, of any number of tasks. It is told
/// once here, and at each `Wait` in Go.
#[test]
fn a_group_tells_the_first_error() {
    run(2, || async {
        let cases: [&[Result<(), u8>]; 5] = [
            &[],
            &[Ok(())],
            &[Err(1)],
            &[Err(1), Ok(())],
            &[Err(1), Ok(()), Err(2)],
        ];
        for results in cases {
            let group = TaskGroup::new().finish_others();
            let mut first = Ok(());
            for &result in results {
                group.go(async move { result }).await;
                if first.is_ok() {
                    first = result;
                    assert_eq!(group.wait().await, result);
                } else {
                    assert_eq!(group.wait().await, Ok(()), "told already");
                }
            }
            assert_eq!(group.wait().await, Ok(()));
        }
    });
}

/// errgroup_test.go: TestWithContext: the group's context ends with the first error, or when all is
/// over.
#[test]
fn the_group_s_context_ends_with_the_group() {
    run(2, || async {
        let cases: [(&[Result<(), &str>], _); 4] = [
            (&[], Ok(())),
            (&[Ok(())], Ok(())),
            (&[Err("doomed")], Err("doomed")),
            (&[Err("doomed"), Ok(())], Err("doomed")),
        ];
        for (results, expected) in cases {
            let (group, context) = TaskGroup::with_context(&Context::background());
            assert!(!context.is_done());
            for &result in results {
                group.go(async move { result }).await;
            }
            assert_eq!(group.wait().await, expected);
            assert_eq!(context.err(), Some(ContextError::Canceled));
        }
    });
}

/// errgroup_test.go: TestCancelCause, its meaning: those that watch the context hear of an error while
/// they work.
#[test]
fn an_error_reaches_the_others_through_the_context() {
    run(2, || async {
        let (group, context) = TaskGroup::with_context(&Context::background());
        let group = group.finish_others();
        let (told, is_told) = buffered(3);
        for _ in 0..3 {
            let (context, told) = (context.clone(), told.clone());
            group
                .go(async move {
                    context.done().await;
                    told.send(context.err()).await.unwrap();
                    Err("cancelled")
                })
                .await;
        }
        group.go(async { Err("the cause") }).await;
        assert_eq!(group.wait().await, Err("the cause"));
        for _ in 0..3 {
            assert_eq!(is_told.recv().await, Some(Some(ContextError::Canceled)));
        }
    });
}

/// errgroup_test.go: TestTryGo: as many as the limit start without waiting, and no more until one has
/// ended.
#[test]
fn a_try_starts_no_more_than_the_limit() {
    const LIMIT: usize = 42;
    run(4, || async {
        let group = TaskGroup::<()>::new().limit(LIMIT);
        let (tx, rx) = rendezvous();
        let task = || {
            let tx = tx.clone();
            async move {
                tx.send(()).await.unwrap();
                Ok(())
            }
        };
        for n in 0..LIMIT {
            assert!(group.try_go(task()).is_ok(), "number {n} of {LIMIT}");
        }
        assert!(group.try_go(task()).is_err(), "one too many");
        for _ in 0..LIMIT {
            rx.recv().await.unwrap();
        }
        assert_eq!(group.wait().await, Ok(()));
        assert!(group.try_go(task()).is_ok(), "there is room again");
        rx.recv().await.unwrap();
        assert_eq!(group.wait().await, Ok(()));
        assert!(group.is_empty());
    });
}

/// errgroup_test.go: TestGoLimit: never more at once than the limit, however many there are.
#[test]
fn no_more_tasks_than_the_limit_run_at_once() {
    run(4, || async {
        let (limit, tasks) = rounds((10, 1024), (3, 30));
        let group = TaskGroup::new().limit(limit);
        let active = Arc::new(AtomicUsize::new(0));
        let ran = Arc::new(AtomicUsize::new(0));
        for _ in 0..tasks {
            let (active, ran) = (active.clone(), ran.clone());
            let task = async move {
                let others = active.fetch_add(1, SeqCst);
                yield_now().await;
                active.fetch_sub(1, SeqCst);
                ran.fetch_add(1, SeqCst);
                if others < limit { Ok(()) } else { Err(others) }
            };
            group.go(task).await;
        }
        assert_eq!(group.wait().await, Ok(()));
        assert_eq!(ran.load(SeqCst), tasks);
    });
}

/// errgroup_test.go: ExampleGroup_parallel: parts of an answer, gathered by the group.
#[test]
fn a_group_gathers_the_parts_of_an_answer() {
    run(4, || async {
        let (group, _context) = TaskGroup::<()>::with_context(&Context::background());
        let (results, gathered) = buffered(3);
        for (place, kind) in ["web", "image", "video"].into_iter().enumerate() {
            let results = results.clone();
            group
                .go(async move {
                    let result = (place, format!("{kind} result"));
                    results.send(result).await.unwrap();
                    Ok(())
                })
                .await;
        }
        drop(results);
        assert_eq!(group.wait().await, Ok(()));
        let mut parts: Vec<_> = gathered.iter().collect();
        parts.sort();
        let parts: Vec<_> = parts.into_iter().map(|(_, text)| text).collect();
        assert_eq!(parts, ["web result", "image result", "video result"]);
    });
}

/// errgroup_test.go: TestPanic: the panic of a task is that of `wait`, with its value, and only after
/// the others have ended. (Go had it, and took it out again.)
#[test]
fn a_panic_in_a_task_is_the_panic_of_wait() {
    run(2, || async {
        let alive = Arc::new(());
        let held = alive.clone();
        let waiting = go(async move {
            let group = TaskGroup::<()>::new();
            group
                .go(async move {
                    let _held = held;
                    pending().await
                })
                .await;
            group
                .go(async { std::panic::resume_unwind(Box::new("in a task")) })
                .await;
            group.wait().await
        });
        let error = waiting.await.unwrap_err();
        assert_eq!(error.panic_message(), Some("in a task"));
        assert_eq!(
            Arc::strong_count(&alive),
            1,
            "the other one was ended first"
        );
    });
}
