//! A runtime leaves no thread and no allocation behind. A test binary of its own: it counts every
//! allocation of the process, so nothing may run beside it.
#![cfg(target_os = "linux")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::future::pending;
use std::sync::atomic::{AtomicI64, Ordering::SeqCst};
use std::time::Duration;

use actor_core::sync::TaskGroup;
use actor_core::{
    Context, Runtime, after_func, blocking, go, interval, lock_thread, sleep, spawn_blocking,
    timeout, yield_now,
};

struct Counting;
const LIVES: i64 = 40;
static LIVE: AtomicI64 = AtomicI64::new(0);

// SAFETY: passes everything on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(1, SeqCst);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        LIVE.fetch_sub(1, SeqCst);
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").unwrap().count()
}

/// A joined thread stays in /proc for a moment more: waits until the count is `n`, or gives up.
fn threads_become(n: usize) -> bool {
    let start = std::time::Instant::now();
    while threads() != n {
        if start.elapsed() > Duration::from_secs(20) {
            return false;
        }
        std::thread::yield_now();
    }
    true
}

/// Everything a runtime does: goroutines that end, wait, panic, are aborted, block and sleep.
fn one_life() {
    let rt = Runtime::builder().procs(2).build().unwrap();
    rt.run(async {
        let all: Vec<_> = (0..500)
            .map(|n| {
                go(async move {
                    yield_now().await;
                    vec![n; 10]
                })
            })
            .collect();
        for one in all {
            assert_eq!(one.await.unwrap().len(), 10);
        }
        let aborted = go(pending::<()>());
        aborted.abort();
        assert!(aborted.await.is_err());
        assert!(
            timeout(Duration::from_millis(1), pending::<()>())
                .await
                .is_err()
        );
        interval(Duration::from_millis(1)).tick().await;
        for _ in 0..4 {
            drop(go(async { blocking(|| std::fs::metadata("/").map(drop)) }));
        }
        spawn_blocking(|| ()).await.unwrap();
        lock_thread(|| async { yield_now().await }).await.unwrap();
        let hour = Duration::from_secs(3600);
        drop(after_func(hour, || ()));
        drop(Context::background().with_timeout(hour).after_func(|| ()));
        drop(spawn_blocking(|| {
            std::thread::sleep(Duration::from_millis(1))
        }));
        drop(lock_thread(pending::<()>));
        let group = TaskGroup::<()>::new();
        group.go(pending()).await;
        // Never finished: the end of the runtime drops these.
        for _ in 0..100 {
            drop(go(sleep(Duration::from_secs(3600))));
            drop(go(pending::<Vec<u8>>()));
        }
    });
}

fn main() {
    // Lazily made things of the process itself (thread-local keys, stdio, the clock's base).
    one_life();
    one_life();
    assert!(threads_become(1), "only the main thread is left");
    let live = LIVE.load(SeqCst);
    for life in 0..LIVES {
        one_life();
        assert!(threads_become(1), "life {life} left a thread behind");
    }
    // Not exactly equal: parking_lot's table of threads grows when more of them than ever before
    // meet by chance, once or twice in a process's life. A leak would come with every life.
    let left = LIVE.load(SeqCst) - live;
    assert!(
        left < LIVES / 4,
        "{LIVES} lives left {left} allocations behind"
    );
    println!("test a_runtime_leaves_no_thread_and_no_allocation_behind ... ok");
}
