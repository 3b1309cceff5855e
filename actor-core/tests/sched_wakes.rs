//! Who talks to each other wakes no thread: at most one wake-up per 10,000 asks, counted, on as many Ps
//! as there are cores. A test binary of its own: beside busy tests a thread can lose its core in the
//! middle of a poll, and then it is right to wake another.

use actor_core::{Runtime, chan, go, prelude::*};

struct Echo;

#[actor]
impl Echo {
    #[init]
    fn new() -> Self {
        Echo
    }

    pub fn echo(&mut self, n: u64) -> u64 {
        n
    }

    pub async fn echo_later(&mut self, n: u64) -> u64 {
        yield_now().await;
        n
    }
}

const ASKS: u64 = 100_000;
const MOST: u64 = ASKS / 10_000;

/// The wakes of one run of `talk`; of another when those were too many, twice at most: on a machine that
/// stalls for longer than a poll may last others are woken, however few there need to be.
macro_rules! wakes {
    ($rt:expr, $talk:expr) => {{
        let handle = $rt.handle().clone();
        let runs = (0..3).map(|_| {
            let before = handle.metrics().wakes;
            $rt.run($talk);
            handle.metrics().wakes - before
        });
        let mut fewest = u64::MAX;
        for wakes in runs {
            fewest = fewest.min(wakes);
            if fewest <= MOST {
                break;
            }
        }
        fewest
    }};
}

#[test]
fn a_talking_pair_wakes_at_most_one_thread_per_ten_thousand_asks() {
    let rt = Runtime::new().unwrap();
    let asks = wakes!(rt, async {
        let echo = Echo::start().await.unwrap();
        for n in 0..ASKS {
            assert_eq!(echo.echo(n).await, Ok(n));
        }
    });
    assert!(asks <= MOST, "{asks} wakes for {ASKS} asks");

    let awaiting = wakes!(rt, async {
        let echo = Echo::start().await.unwrap();
        for n in 0..ASKS {
            assert_eq!(echo.echo_later(n).await, Ok(n));
        }
    });
    assert!(
        awaiting <= MOST,
        "{awaiting} wakes for {ASKS} asks that await"
    );

    let hops = wakes!(rt, async {
        let (to, from) = chan::rendezvous();
        let echo = go(async move {
            let mut sum = 0;
            while let Some(n) = from.recv().await {
                sum += n;
            }
            sum
        });
        for n in 0..ASKS {
            to.send(n).await.unwrap();
        }
        drop(to);
        assert_eq!(echo.await.unwrap(), ASKS * (ASKS - 1) / 2);
    });
    assert!(hops <= MOST, "{hops} wakes for {ASKS} values");
}

#[test]
fn an_idle_machine_that_is_given_work_is_a_wake() {
    let rt = Runtime::builder().procs(1).build().unwrap();
    let handle = rt.handle().clone();
    let before = handle.metrics().wakes;
    // It sleeps when nothing runs; what comes from outside then wakes it.
    while handle.metrics().processors_running > 0 {
        std::thread::yield_now();
    }
    rt.block_on(rt.handle().go(async {})).unwrap();
    assert_eq!(handle.metrics().wakes, before + 1);
}
