//! Locked threads: one goroutine, one thread, nobody else; and an end in every case.

use std::cell::Cell;
use std::collections::HashSet;
use std::future::pending;
use std::rc::Rc;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};
use std::time::Duration;

use actor_core::chan::{buffered, rendezvous};
use actor_core::{Runtime, go, lock_thread, sleep, yield_now};

const LONG: Duration = Duration::from_secs(3600);

thread_local! {
    static OWN: Cell<u32> = const { Cell::new(0) };
}

fn runtime() -> Runtime {
    Runtime::builder().procs(2).name("rt").build().unwrap()
}

#[test]
fn thread_locals_stay_across_awaits_and_the_future_need_not_be_send() {
    runtime().run(async {
        let handle = lock_thread(|| async {
            let name = thread::current().name().unwrap().to_owned();
            assert!(name.starts_with("rt-locked-"), "{name}");
            let id = thread::current().id();
            let not_send = Rc::new(Cell::new(0));
            let (tx, rx) = rendezvous();
            for n in 1..=20 {
                OWN.set(OWN.get() + 1);
                let tx = tx.clone();
                drop(go(async move { tx.send(n).await }));
                not_send.set(not_send.get() + rx.recv().await.unwrap());
                sleep(Duration::from_micros(100)).await;
                yield_now().await;
                assert_eq!(thread::current().id(), id);
                assert_eq!(OWN.get(), n);
            }
            not_send.get()
        });
        assert_eq!(handle.await.unwrap(), 210);
        assert_eq!(OWN.get(), 0);
    });
}

#[test]
fn no_other_goroutine_ever_runs_on_the_thread() {
    runtime().run(async {
        let seen = Arc::new(Mutex::new(HashSet::<ThreadId>::new()));
        let locked: Vec<_> = (0..4)
            .map(|_| {
                let seen = seen.clone();
                lock_thread(move || async move {
                    let mut started = Vec::new();
                    for _ in 0..200 {
                        let seen = seen.clone();
                        started.push(go(async move {
                            yield_now().await;
                            seen.lock().unwrap().insert(thread::current().id());
                        }));
                        yield_now().await;
                    }
                    for goroutine in started {
                        goroutine.await.unwrap();
                    }
                    thread::current().id()
                })
            })
            .collect();
        let mut own = HashSet::new();
        for handle in locked {
            assert!(own.insert(handle.await.unwrap()), "two share a thread");
        }
        assert!(own.is_disjoint(&seen.lock().unwrap()));
    });
}

#[test]
fn it_may_block_its_thread_while_others_go_on() {
    Runtime::builder().procs(1).build().unwrap().run(async {
        let (tx, rx) = channel();
        let blocks = lock_thread(move || async move { rx.recv().unwrap() });
        let goes_on = go(async move {
            yield_now().await;
            tx.send(3).unwrap();
        });
        goes_on.await.unwrap();
        assert_eq!(blocks.await.unwrap(), 3);
    });
}

/// Tells which thread it is dropped on.
struct Tell(std::sync::mpsc::Sender<ThreadId>);

impl Drop for Tell {
    fn drop(&mut self) {
        let _ = self.0.send(thread::current().id());
    }
}

#[test]
fn an_abort_drops_the_future_on_its_own_thread_and_ends_it() {
    runtime().run(async {
        let (tx, rx) = channel();
        let (begun, begins) = buffered(1);
        let handle = lock_thread(move || async move {
            let _tell = Tell(tx);
            begun.send(thread::current().id()).await.unwrap();
            pending::<()>().await;
        });
        let id = begins.recv().await.unwrap();
        handle.abort();
        assert!(handle.await.unwrap_err().is_cancelled());
        assert_eq!(
            rx.try_recv(),
            Ok(id),
            "dropped before the handle was finished"
        );
    });
}

#[test]
fn one_that_is_aborted_before_it_began_needs_no_thread() {
    Runtime::builder().procs(1).build().unwrap().run(async {
        let handle = lock_thread(|| async { unreachable!("begun after the abort") });
        handle.abort();
        let error: actor_core::JoinError = handle.await.unwrap_err();
        assert!(error.is_cancelled());
    });
}

#[test]
fn a_panic_of_the_closure_or_the_future_goes_to_the_handle() {
    runtime().run(async {
        let handle = lock_thread(|| async {
            yield_now().await;
            std::panic::resume_unwind(Box::new("in the future"));
        });
        let error: actor_core::JoinError = handle.await.unwrap_err();
        assert_eq!(error.panic_message(), Some("in the future"));
        fn panics() -> std::future::Ready<()> {
            std::panic::resume_unwind(Box::new("in the closure"))
        }
        let error = lock_thread(panics).await.unwrap_err();
        assert_eq!(error.panic_message(), Some("in the closure"));
    });
}

#[test]
fn the_end_of_the_runtime_ends_it_and_waits_for_its_thread() {
    let runtime = runtime();
    let (tx, rx) = channel();
    let (begun, begins) = channel();
    let entered = runtime.handle().enter();
    let handle = lock_thread(move || async move {
        let _tell = Tell(tx);
        begun.send(()).unwrap();
        sleep(LONG).await;
    });
    drop(entered);
    begins.recv().unwrap();
    drop(runtime);
    assert!(handle.is_finished());
    assert!(rx.try_recv().is_ok(), "the future was dropped");
}

#[test]
fn it_may_drop_its_own_runtime() {
    let runtime = Runtime::builder()
        .procs(1)
        .shutdown_within(LONG)
        .build()
        .unwrap();
    let (give, get) = channel::<Runtime>();
    let (tx, rx) = channel();
    let entered = runtime.handle().enter();
    let handle = lock_thread(move || async move {
        drop(get.recv().unwrap());
        tx.send(()).unwrap();
    });
    drop(entered);
    give.send(runtime).unwrap();
    rx.recv().unwrap();
    drop(handle);
}

#[test]
#[should_panic(expected = "`lock_thread` needs a runtime")]
fn outside_a_runtime_it_panics_and_says_where_to_go() {
    drop(lock_thread(|| async {}));
}

#[test]
fn on_a_runtime_that_is_shut_down_it_is_cancelled() {
    let runtime = runtime();
    let handle = runtime.handle().clone();
    drop(runtime);
    let _entered = handle.enter();
    let never = lock_thread(|| async { unreachable!("begun after the end") });
    assert!(never.is_finished());
    let error: actor_core::JoinError = self::runtime().block_on(never).unwrap_err();
    assert!(error.is_cancelled());
}
