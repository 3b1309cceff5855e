//! `spawn_blocking`: values and panics come back, the pool grows and shrinks, nothing hangs at the
//! end.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use actor_core::{Handle, Pinning, Runtime, go, sleep, spawn_blocking, yield_now};

const LONG: Duration = Duration::from_secs(3600);

fn runtime() -> Runtime {
    Runtime::builder().procs(2).name("rt").build().unwrap()
}

fn threads_named(prefix: &str) -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    tasks
        .filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok())
        .filter(|name| name.starts_with(prefix))
        .count()
}

#[test]
fn the_value_comes_back_from_a_named_thread_inside_the_runtime() {
    runtime().run(async {
        let job = spawn_blocking(|| {
            let name = thread::current().name().unwrap().to_owned();
            // The runtime is current there.
            let inner = Handle::current().block_on(go(async { 5 })).unwrap();
            (name, inner)
        });
        let (name, inner) = job.await.unwrap();
        assert!(name.starts_with("rt-blocking-"), "{name}");
        assert_eq!(inner, 5);
    });
}

#[test]
fn a_panic_becomes_a_join_error_and_the_thread_goes_on() {
    let runtime = Runtime::builder()
        .procs(1)
        .blocking_threads_max(1)
        .build()
        .unwrap();
    runtime.run(async {
        let thread = spawn_blocking(|| thread::current().id()).await.unwrap();
        let job = spawn_blocking(|| std::panic::resume_unwind(Box::new("in a job")));
        let error: actor_core::JoinError = job.await.unwrap_err();
        assert_eq!(error.panic_message(), Some("in a job"));
        let again = spawn_blocking(|| thread::current().id()).await.unwrap();
        assert_eq!(again, thread);
    });
}

/// Each job waits for all others: with one thread too few this would hang.
#[test]
fn jobs_that_wait_for_each_other_all_get_a_thread() {
    const JOBS: usize = 40;
    runtime().run(async {
        let barrier = Arc::new(Barrier::new(JOBS));
        let jobs: Vec<_> = (0..JOBS)
            .map(|_| {
                let barrier = barrier.clone();
                spawn_blocking(move || barrier.wait().is_leader())
            })
            .collect();
        let mut leaders = 0;
        for job in jobs {
            leaders += usize::from(job.await.unwrap());
        }
        assert_eq!(leaders, 1);
    });
}

/// A thread that has taken a job looks idle for a moment: the next job must not count on it.
#[test]
fn pairs_that_wait_for_each_other_never_share_a_thread() {
    runtime().run(async {
        for _ in 0..1000 {
            let (tx, rx) = channel();
            let waits = spawn_blocking(move || rx.recv().unwrap());
            let tells = spawn_blocking(move || tx.send(()).unwrap());
            waits.await.unwrap();
            tells.await.unwrap();
        }
    });
}

#[test]
fn beyond_the_limit_jobs_queue_in_order() {
    let runtime = Runtime::builder()
        .procs(1)
        .blocking_threads_max(1)
        .build()
        .unwrap();
    runtime.run(async {
        let (open, gate) = channel::<()>();
        let (tx, rx) = channel();
        let first = spawn_blocking(move || gate.recv().unwrap());
        let queued: Vec<_> = (0..10)
            .map(|n| {
                let tx = tx.clone();
                spawn_blocking(move || tx.send(n).unwrap())
            })
            .collect();
        yield_now().await;
        assert!(rx.try_recv().is_err() && !first.is_finished());
        open.send(()).unwrap();
        for job in queued {
            job.await.unwrap();
        }
        drop(tx);
        assert_eq!(rx.iter().collect::<Vec<_>>(), (0..10).collect::<Vec<_>>());
    });
}

#[test]
#[cfg(target_os = "linux")]
fn idle_threads_end_after_the_keep_alive_time() {
    let runtime = Runtime::builder()
        .procs(1)
        .name("brief")
        .keep_alive(Duration::from_millis(5))
        .build()
        .unwrap();
    runtime.run(async {
        for _ in 0..3 {
            let barrier = Arc::new(Barrier::new(3));
            let jobs = [(); 3].map(|()| {
                let barrier = barrier.clone();
                spawn_blocking(move || {
                    barrier.wait();
                    threads_named("brief-blocking")
                })
            });
            for job in jobs {
                assert!(job.await.unwrap() > 0);
            }
            while threads_named("brief-blocking") > 0 {
                sleep(Duration::from_millis(1)).await;
            }
        }
    });
}

#[test]
#[cfg(target_os = "linux")]
fn its_threads_are_not_pinned() {
    let cores = || {
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        let line = status
            .lines()
            .find(|l| l.starts_with("Cpus_allowed_list"))
            .unwrap();
        line.to_owned()
    };
    let all = cores();
    let runtime = Runtime::builder()
        .procs(1)
        .pinning(Pinning::On)
        .build()
        .unwrap();
    runtime.run(async move {
        assert_eq!(spawn_blocking(cores).await.unwrap(), all);
    });
}

#[test]
fn an_abort_cancels_a_queued_job_and_not_a_running_one() {
    let runtime = Runtime::builder()
        .procs(1)
        .blocking_threads_max(1)
        .build()
        .unwrap();
    runtime.run(async {
        let (open, gate) = channel::<()>();
        let (begun, begins) = channel();
        let running = spawn_blocking(move || {
            begun.send(()).unwrap();
            gate.recv().unwrap();
            "finished"
        });
        let held = Arc::new(());
        let in_job = held.clone();
        let queued = spawn_blocking(move || drop(in_job));
        actor_core::blocking(|| begins.recv().unwrap());
        running.abort();
        queued.abort();
        open.send(()).unwrap();
        assert_eq!(running.await.unwrap(), "finished");
        assert!(queued.await.unwrap_err().is_cancelled());
        assert_eq!(Arc::strong_count(&held), 1);
    });
}

#[test]
fn the_end_of_the_runtime_awaits_running_jobs_and_cancels_queued_ones() {
    let runtime = Runtime::builder()
        .procs(1)
        .blocking_threads_max(1)
        .build()
        .unwrap();
    let (open, gate) = channel::<()>();
    let (begun, begins) = channel();
    let finished = Arc::new(AtomicUsize::new(0));
    let counted = finished.clone();
    let running = runtime.handle().spawn_blocking(move || {
        begun.send(()).unwrap();
        // The queued jobs are cancelled while this one runs.
        gate.recv().unwrap_err();
        counted.fetch_add(1, SeqCst);
    });
    begins.recv().unwrap();
    let queued: Vec<_> = (0..5)
        .map(|_| {
            let open = open.clone();
            runtime.handle().spawn_blocking(move || drop(open))
        })
        .collect();
    drop(open);
    drop(runtime);
    assert_eq!(finished.load(SeqCst), 1);
    assert!(running.is_finished());
    for job in queued {
        assert!(job.is_finished());
    }
}

#[test]
fn a_job_that_never_ends_is_left_behind_after_the_time_given() {
    let runtime = runtime();
    let (_open, gate) = channel::<()>();
    let (begun, begins) = channel();
    drop(runtime.handle().spawn_blocking(move || {
        begun.send(()).unwrap();
        let _ = gate.recv_timeout(LONG);
    }));
    begins.recv().unwrap();
    let left = runtime
        .shutdown_timeout(Duration::from_millis(20))
        .unwrap_err();
    assert_eq!(left.goroutines, 1);
}

#[test]
fn a_job_on_a_runtime_that_is_shut_down_is_cancelled() {
    let runtime = runtime();
    let handle = runtime.handle().clone();
    drop(runtime);
    let job = handle.spawn_blocking(|| unreachable!("run after the end"));
    assert!(job.is_finished());
    let other = self::runtime();
    let error: actor_core::JoinError = other.block_on(job).unwrap_err();
    assert!(error.is_cancelled());
    assert!(error.to_string().contains("its runtime ended"), "{error}");
}

#[test]
#[should_panic(expected = "`spawn_blocking` needs a runtime")]
fn outside_a_runtime_it_panics_and_says_where_to_go() {
    drop(spawn_blocking(|| ()));
}

#[test]
fn a_limit_of_zero_threads_is_an_error() {
    let error = Runtime::builder()
        .blocking_threads_max(0)
        .build()
        .unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    assert!(
        error
            .to_string()
            .contains("blocking_threads_max must be at least 1"),
        "{error}"
    );
}

#[test]
fn a_job_may_drop_its_own_runtime() {
    let runtime = Runtime::builder()
        .procs(1)
        .shutdown_within(LONG)
        .build()
        .unwrap();
    let handle = runtime.handle().clone();
    let (tx, rx) = channel();
    drop(handle.spawn_blocking(move || {
        drop(runtime);
        tx.send(()).unwrap();
    }));
    rx.recv().unwrap();
}
