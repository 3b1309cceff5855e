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

const ASKS: u64 = 1000;
const RUNS: usize = 100;
const RUNS_MOST: usize = 1000;
/// Of that many runs.
const WAKES_MOST: u64 = ASKS * RUNS as u64 / 10_000;

/// How often the kernel took a thread of this process from its core, so far; 0 where that is not told.
fn preemptions() -> u64 {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten();
    let told = tasks.flatten().filter_map(|task| {
        let status = std::fs::read_to_string(task.path().join("status")).ok()?;
        let mut lines = status.lines();
        let count = lines.find_map(|line| line.strip_prefix("nonvoluntary_ctxt_switches:"))?;
        count.trim().parse::<u64>().ok()
    });
    told.sum()
}

/// The wakes of the quietest hundred runs of `talk` during which no thread was taken from its core: when
/// that happens for longer than a poll may last others are woken, however few there need to be.
macro_rules! fewest_wakes {
    ($talk:block) => {{
        let handle = Handle::current();
        let mut runs = Vec::new();
        let mut fewest = 0;
        for _ in 0..RUNS_MOST {
            let before = (preemptions(), handle.metrics().wakes);
            $talk;
            let wakes = handle.metrics().wakes - before.1;
            if preemptions() > before.0 {
                continue;
            }
            runs.push(wakes);
            runs.sort();
            fewest = runs.iter().take(RUNS).sum();
            if runs.len() >= RUNS && fewest <= WAKES_MOST || runs.len() >= 3 * RUNS {
                break;
            }
        }
        fewest
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
        asks <= WAKES_MOST,
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
        awaiting <= WAKES_MOST,
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
        hops <= WAKES_MOST,
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
