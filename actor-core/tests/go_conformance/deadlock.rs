//! The deadlocks of `runtime/crash_test.go`. A report ends `block_on` here, and the process in Go.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use actor_core::chan::{buffered, rendezvous};
use actor_core::sync::{Mutex, WaitGroup};
use actor_core::{DeadlockPolicy, Runtime, go, lock_thread};

use crate::announced;

fn runtime() -> Runtime {
    let builder = Runtime::builder().procs(2);
    builder.on_deadlock(DeadlockPolicy::Panic).build().unwrap()
}

/// The report that `main` ends with.
fn report_of<R>(main: impl FnOnce() -> R) -> String {
    let Err(payload) = catch_unwind(AssertUnwindSafe(main)) else {
        panic!("no deadlock was found");
    };
    *payload.downcast::<String>().expect("a report is a text")
}

/// Go's first line, which programs look for.
const ASLEEP: &str = "all goroutines are asleep - deadlock!";

/// crash_test.go: TestSimpleDeadlock: a main goroutine that waits for what nobody will send.
#[test]
fn a_wait_that_nobody_can_end_is_a_deadlock() {
    let runtime = runtime();
    let report = report_of(|| {
        runtime.run(async {
            let (_tx, rx) = rendezvous::<()>();
            rx.recv().await
        })
    });
    assert!(report.starts_with(ASLEEP), "{report}");
}

/// crash_test.go: TestLockedDeadlock, TestLockedDeadlock2: goroutines with threads of their own are
/// goroutines in this, too.
#[test]
fn locked_goroutines_that_wait_for_ever_are_a_deadlock() {
    let runtime = runtime();
    let report = report_of(|| {
        runtime.run(async {
            let (tx, rx) = rendezvous::<()>();
            let locked = lock_thread(move || async move { rx.recv().await });
            let _tx = tx;
            locked.await.unwrap()
        })
    });
    assert!(report.starts_with(ASLEEP), "{report}");
}

/// crash_test.go: TestGoexitDeadlock: the others are gone, by their own end or by another's hand, and
/// the main one waits for them.
#[test]
fn a_wait_for_goroutines_that_are_gone_is_a_deadlock() {
    let runtime = runtime();
    let report = report_of(|| {
        runtime.run(async {
            let group = WaitGroup::new();
            group.add(2);
            let (waits, waiting) = buffered(1);
            let (_tx, rx) = rendezvous::<()>();
            let aborted = go(async move { announced(rx.recv(), waits).await });
            let forgets = go(async {}); // to call `done`
            waiting.recv().await.unwrap();
            aborted.abort();
            forgets.await.unwrap();
            group.wait().await;
        });
    });
    assert!(report.starts_with(ASLEEP), "{report}");
    assert!(report.contains("waitgroup wait"), "{report}");
}

/// crash_test.go: TestInternalDeadlock and its kind: a goroutine that locks twice, and two that lock
/// crosswise. The circle is told.
#[test]
fn locks_taken_in_a_circle_are_a_deadlock() {
    let twice = runtime();
    let report = report_of(|| {
        twice.run(async {
            let mutex = Mutex::new(());
            let _first = mutex.lock().await;
            drop(mutex.lock().await);
        });
    });
    assert!(report.contains("deadlock"), "{report}");

    let crosswise = runtime();
    let report = report_of(|| {
        crosswise.run(async {
            let (a, b) = (Arc::new(Mutex::new(())), Arc::new(Mutex::new(())));
            let (waits, waiting) = buffered(1);
            let first = a.lock().await;
            let other = go({
                let (a, b) = (a.clone(), b.clone());
                async move {
                    let _second = b.lock().await;
                    drop(announced(a.lock(), waits).await);
                }
            });
            waiting.recv().await.unwrap();
            drop(b.lock().await);
            drop(first);
            other.await.unwrap();
        });
    });
    assert!(report.contains("deadlock"), "{report}");
}
