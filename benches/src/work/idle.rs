//! What idle actors and idle tasks cost: bytes each, and the CPU time of a runtime full of them.
//!
//! Counted in a process of its own per peer and work, because pools that an earlier work filled
//! would hide it.

use std::fs;
use std::thread;
use std::time::Duration;

use super::{Figure, Work};
use crate::counting_alloc;
use crate::peers::{Peer, Runtime};

/// What is in use at one moment, in bytes.
#[derive(Clone, Copy)]
struct Memory {
    /// Allocated and not freed.
    allocated: i64,
    /// Resident in the process.
    resident: i64,
}

impl Memory {
    fn now() -> Memory {
        // The second word of `statm` is in pages; 0 where the system doesn't say it as Linux does.
        let statm = fs::read_to_string("/proc/self/statm").unwrap_or_default();
        let pages = statm
            .split_whitespace()
            .nth(1)
            .and_then(|n| n.parse::<i64>().ok());
        Memory {
            allocated: counting_alloc::live_bytes(),
            resident: pages.unwrap_or(0) * 4096,
        }
    }
}

/// Starts so many actors, with eight bytes of state each. The vector of their handles isn't counted.
pub fn actors<P: Peer>(work: Work, ops: u64) -> Vec<Figure> {
    counting_alloc::count();
    let rt = P::Rt::start();
    let (mut figures, handles) = rt.run(async move {
        // What the runtime allocates once is no actor's.
        for _ in 0..100 {
            let counter = P::counter(0).await;
            P::add(&counter, 1).await;
            P::release(counter);
        }
        let mut handles = Vec::with_capacity(ops as usize);
        let before = Memory::now();
        for i in 0..ops {
            let counter = P::counter(i).await;
            if work == Work::IdleTouched {
                assert_eq!(P::add(&counter, 1).await, i + 1);
            }
            handles.push(counter);
        }
        // Those that start later than their handle is returned have begun when they answer.
        let touched = u64::from(work == Work::IdleTouched);
        for i in [0, ops - 1] {
            assert_eq!(P::add(&handles[i as usize], 0).await, i + touched);
        }
        (grown(before, ops), handles)
    });
    if work == Work::IdleTouched {
        figures.push(cpu(&rt, ops));
    }
    // Ending them all takes longer than anybody waits for.
    std::mem::forget((handles, rt));
    figures
}

/// Starts so many tasks that sleep for an hour. What would wait for them isn't counted.
pub fn tasks<R: Runtime>(_: Work, ops: u64) -> Vec<Figure> {
    counting_alloc::count();
    let rt = R::start();
    let (mut figures, handles) = rt.run(async move {
        for _ in 0..100 {
            R::go(async {}).await;
        }
        let mut handles = Vec::with_capacity(ops as usize);
        let before = Memory::now();
        for _ in 0..ops {
            handles.push(R::go(R::sleep(Duration::from_secs(3600))));
        }
        // Until all have begun to sleep.
        R::sleep(Duration::from_millis(500)).await;
        (grown(before, ops), handles)
    });
    figures.push(cpu(&rt, ops));
    std::mem::forget((handles, rt));
    figures
}

fn grown(before: Memory, ops: u64) -> Vec<Figure> {
    let now = Memory::now();
    let each = |bytes: i64| bytes as f64 / ops as f64;
    let mut figure = Figure::new("bytes", each(now.allocated - before.allocated));
    figure.note = format!(
        "resident memory grew by {:.0} each",
        each(now.resident - before.resident)
    );
    vec![figure]
}

/// How much CPU time the process takes in a second, once it has come to rest.
fn cpu<R: Runtime>(rt: &R, ops: u64) -> Figure {
    // The clock is outside the runtime, so that nothing in there wakes when the second begins; and
    // the thread that started it waits in `run`, where some runtimes do their work.
    let meter = thread::spawn(|| {
        thread::sleep(Duration::from_millis(1500));
        let before = cpu_time();
        thread::sleep(Duration::from_secs(1));
        cpu_time() - before
    });
    rt.run(R::sleep(Duration::from_millis(2700)));
    let took = meter.join().expect("the meter");
    let mut figure = Figure::of(", CPU per second of all", "ms", took.as_secs_f64() * 1e3);
    figure.note = format!("{ops} of them, for one second");
    figure
}

/// What all threads of this process together have spent on cores so far.
fn cpu_time() -> Duration {
    let tasks = fs::read_dir("/proc/self/task")
        .into_iter()
        .flatten()
        .flatten();
    let nanos = tasks.filter_map(|task| {
        let schedstat = fs::read_to_string(task.path().join("schedstat")).ok()?;
        schedstat.split_whitespace().next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanos.sum())
}
