//! A runtime leaves no thread and no allocation behind. A test binary of its own: it counts every
//! allocation of the process, so nothing may run beside it.
#![cfg(target_os = "linux")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::future::pending;
use std::sync::atomic::{AtomicI64, Ordering::SeqCst};
use std::time::Duration;

use actor_core::{Runtime, blocking, go, interval, sleep, timeout, yield_now};

struct Counting;
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
        assert!(timeout(Duration::from_millis(1), pending::<()>()).await.is_err());
        interval(Duration::from_millis(1)).tick().await;
        for _ in 0..4 {
            drop(go(async { blocking(|| std::fs::metadata("/").map(drop)) }));
        }
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
    let (live, count) = (LIVE.load(SeqCst), threads());
    for life in 0..20 {
        one_life();
        assert_eq!(threads(), count, "life {life} left a thread behind");
        assert_eq!(LIVE.load(SeqCst), live, "life {life} left an allocation behind");
    }
    println!("test a_runtime_leaves_no_thread_and_no_allocation_behind ... ok");
}
