//! What an idle actor and an idle goroutine cost (promise 7), in bytes asked of the allocator. A test
//! binary of its own: it counts every allocation of the process.

use std::alloc::{GlobalAlloc, Layout, System};
use std::future::pending;
use std::sync::atomic::{AtomicI64, Ordering::SeqCst};

use actor_core::prelude::*;
use actor_core::{Runtime, chan};

struct Counting;
static LIVE: AtomicI64 = AtomicI64::new(0);

// SAFETY: passes everything on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size() as i64, SeqCst);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size() as i64, SeqCst);
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Eight bytes of state.
struct Sum(u64);

#[actor(mailbox = buffered(64))]
impl Sum {
    #[init]
    fn new(n: u64) -> Self {
        Sum(n)
    }

    pub fn add(&mut self, n: u64) -> u64 {
        self.0 += n;
        self.0
    }
}

/// Its handler has a future of more than a kilobyte, while it runs.
struct Slow(u64);

#[actor]
impl Slow {
    #[init]
    fn new(n: u64) -> Self {
        Slow(n)
    }

    pub async fn add(&mut self, n: u64) -> u64 {
        let mut buffer = [0_u64; 128];
        buffer[n as usize % 128] = n;
        yield_now().await;
        self.0 += buffer.iter().sum::<u64>();
        self.0
    }
}

const MANY: usize = 100_000;

/// Bytes for each of many things that `make` makes, all of which are kept.
macro_rules! bytes_each {
    ($n:ident => $make:expr) => {{
        let mut kept = Vec::with_capacity(MANY);
        let before = LIVE.load(SeqCst);
        for $n in 0..MANY as u64 {
            kept.push($make);
        }
        let grown = LIVE.load(SeqCst) - before;
        (grown as f64 / MANY as f64, kept)
    }};
}

macro_rules! assert_at_most {
    ($what:literal, $bytes:expr, $most:expr) => {
        let (bytes, most) = ($bytes, f64::from($most));
        assert!(
            bytes <= most,
            "{bytes:.1} bytes for {}, at most {most}",
            $what
        );
        println!("test {} ... ok ({bytes:.1} bytes)", $what);
    };
}

/// Pools hold a few blocks, and other threads come and go: up to a byte for each of many.
const STRAY: u32 = 1;
const STATE: u32 = 8;
const ACTOR: u32 = 160 + STATE + STRAY;
/// The watcher of handlers that wait too long keeps a list of the actors whose handlers ever waited, and
/// may have made another just now.
const WATCHED: u32 = 84;

/// Goroutines are started faster than they run, and what queues them grows: so not too many at once.
async fn let_run(started: u64) {
    if started.is_multiple_of(64) {
        yield_now().await;
    }
}

fn main() {
    let rt = Runtime::builder().procs(2).build().unwrap();
    rt.run(async {
        let (bytes, _kept) = bytes_each!(n => Sum::start(n).await.unwrap());
        assert_at_most!("an_idle_actor_never_spoken_to", bytes, ACTOR);

        let (bytes, kept) = bytes_each!(n => {
            let sum = Sum::start(n).await.unwrap();
            assert_eq!(sum.add(1).await, Ok(n + 1));
            sum
        });
        assert_at_most!("an_idle_actor_after_an_ask", bytes, ACTOR);
        for (n, sum) in kept.iter().enumerate() {
            assert_eq!(sum.add(1).await, Ok(n as u64 + 2));
        }

        let (bytes, _kept) = bytes_each!(n => {
            let_run(n).await;
            go(pending::<()>())
        });
        assert_at_most!("an_idle_goroutine", bytes, 80 + STRAY);

        let (_tx, rx) = chan::rendezvous::<()>();
        let (bytes, _kept) = bytes_each!(n => {
            let_run(n).await;
            let rx = rx.clone();
            go(async move { rx.recv().await })
        });
        assert_at_most!("a_goroutine_that_receives", bytes, 176 + STRAY);

        // The last: the watcher that it wakes makes lists of its own now and then.
        let (bytes, _kept) = bytes_each!(n => {
            let slow = Slow::start(n).await.unwrap();
            assert_eq!(slow.add(1).await, Ok(n + 1));
            slow
        });
        assert_at_most!(
            "an_idle_actor_whose_handler_has_waited",
            bytes,
            ACTOR + WATCHED
        );
    });
}
