//! Who talks to each other wakes no thread: at most one wake-up per 10,000 asks, counted, on as many Ps
//! as there are cores. A test binary of its own: beside busy tests a thread can lose its core in the
//! middle of a poll, and then it is right to wake another.

use actor_core::{Handle, Runtime, chan, go, prelude::*};

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

const ASKS: u64 = 10_000;
const RUNS: usize = 10;
const RUNS_MOST: usize = 60;

/// The wakes of the quietest ten of `talk`'s runs: of the first ten, unless those were too many. On a
/// machine that takes a thread from its core for longer than a poll may last others are woken, however
/// few there need to be.
macro_rules! fewest_wakes {
    ($talk:block) => {{
        let handle = Handle::current();
        let mut runs = Vec::new();
        loop {
            let before = handle.metrics().wakes;
            $talk;
            runs.push(handle.metrics().wakes - before);
            runs.sort();
            let fewest: u64 = runs.iter().take(RUNS).sum();
            if runs.len() >= RUNS && (fewest <= RUNS as u64 || runs.len() == RUNS_MOST) {
                break fewest;
            }
        }
    }};
}

#[test]
fn a_talking_pair_wakes_at_most_one_thread_per_ten_thousand_asks() {
    let rt = Runtime::new().unwrap();
    let asks = rt.run(async {
        let echo = Echo::start().await.unwrap();
        fewest_wakes!({
            for n in 0..ASKS {
                assert_eq!(echo.echo(n).await, Ok(n));
            }
        })
    });
    assert!(
        asks <= RUNS as u64,
        "{asks} wakes for {RUNS} times {ASKS} asks"
    );

    let awaiting = rt.run(async {
        let echo = Echo::start().await.unwrap();
        fewest_wakes!({
            for n in 0..ASKS {
                assert_eq!(echo.echo_later(n).await, Ok(n));
            }
        })
    });
    assert!(
        awaiting <= RUNS as u64,
        "{awaiting} wakes for {RUNS} times {ASKS} asks that await"
    );

    let hops = rt.run(async {
        let (to, from) = chan::rendezvous();
        let echo = go(async move {
            let mut got = 0;
            while let Some(n) = from.recv().await {
                assert_eq!(n, got % ASKS);
                got += 1;
            }
            got
        });
        let fewest = fewest_wakes!({
            for n in 0..ASKS {
                to.send(n).await.unwrap();
            }
        });
        drop(to);
        assert!(echo.await.unwrap() >= ASKS * RUNS as u64);
        fewest
    });
    assert!(
        hops <= RUNS as u64,
        "{hops} wakes for {RUNS} times {ASKS} values"
    );
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
    assert!(handle.metrics().wakes > before);
}
