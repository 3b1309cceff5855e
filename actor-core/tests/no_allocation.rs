//! A warm ask or tell allocates nothing (promise 6). A test binary of its own: it counts every
//! allocation of the process.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use actor_core::prelude::*;
use actor_core::{Runtime, chan};

struct Counting;
static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: passes everything on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, SeqCst);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

struct Sum(u64);

#[actor(mailbox = buffered(64))]
impl Sum {
    #[init]
    fn new() -> Self {
        Sum(0)
    }

    pub fn add(&mut self, n: u64) -> u64 {
        self.0 += n;
        self.0
    }

    pub async fn add_later(&mut self, n: u64) -> Result<u64, String> {
        yield_now().await;
        self.0 += n;
        Ok(self.0)
    }
}

const ROUNDS: u64 = 20_000;

/// Far below one per message. Not zero: a spare P that sysmon makes when the machine stalls has a
/// ring, and a turn of tokio's driver, ten thousand times a second, allocates in tokio.
const STRAY: u64 = ROUNDS / 4;

/// Allocations of a warm run of `work`, whose first run warms the pools, rings and timers.
macro_rules! warm {
    ($what:literal, $work:expr) => {{
        $work;
        let before = ALLOCATIONS.load(SeqCst);
        $work;
        let made = ALLOCATIONS.load(SeqCst) - before;
        assert!(made < STRAY, "{made} allocations for {ROUNDS} {}", $what);
        println!(
            "test warm_{}_allocate_nothing_per_message ... ok ({made} in all)",
            $what
        );
    }};
}

fn main() {
    for procs in [1, 2] {
        let rt = Runtime::builder().procs(procs).build().unwrap();
        rt.run(async {
            let sum = Sum::start().await.unwrap();
            warm!(
                "asks",
                for _ in 0..ROUNDS {
                    sum.add(1).await.unwrap();
                }
            );
            warm!(
                "async_asks",
                for _ in 0..ROUNDS {
                    sum.add_later(1).await.unwrap();
                }
            );
            warm!("tells", {
                for _ in 0..ROUNDS {
                    sum.add(1).tell().await.unwrap();
                }
                sum.add(0).await.unwrap();
            });
            let (there, inbox) = chan::rendezvous::<u64>();
            let (back, outbox) = chan::buffered::<u64>(1);
            let echo = go(async move {
                while let Some(n) = inbox.recv().await {
                    back.send(n).await.unwrap();
                }
            });
            warm!(
                "channel_round_trips",
                for n in 0..ROUNDS {
                    there.send(n).await.unwrap();
                    assert_eq!(outbox.recv().await, Some(n));
                }
            );
            let (_idle_tx, idle) = chan::rendezvous::<u64>();
            warm!(
                "selects",
                for n in 0..ROUNDS {
                    let mut slot = Some(n);
                    select! {
                        sent = there.send_from(&mut slot) => sent.unwrap(),
                        _ = idle.recv() => unreachable!(),
                        _ = std::future::pending::<()>() => {}
                    }
                    select! {
                        got = outbox.recv() => assert_eq!(got, Some(n)),
                        _ = idle.recv() => unreachable!(),
                    }
                }
            );
            drop(there);
            echo.await.unwrap();
            warm!(
                "goroutines",
                for n in 0..ROUNDS {
                    assert_eq!(go(async move { n }).await.unwrap(), n);
                }
            );
        });
    }
}
