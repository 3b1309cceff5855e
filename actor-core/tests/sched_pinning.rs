//! Where Ms run: on the core of their P, until others want that core. A test binary of its own: beside
//! other tests they would.
#![cfg(target_os = "linux")]

use std::hint::spin_loop;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use actor_core::{Pinning, Runtime, yield_now};

/// The cores on which the calling thread may run.
fn allowed() -> String {
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("Cpus_allowed_list"));
    line.unwrap().to_owned()
}

/// A thread on each core that keeps it busy.
struct Crowd {
    over: Arc<AtomicBool>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Crowd {
    fn new() -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let cores = core_affinity::get_core_ids().unwrap();
        let threads = cores.into_iter().map(|core| {
            let over = over.clone();
            thread::spawn(move || {
                core_affinity::set_for_current(core);
                while !over.load(SeqCst) {
                    spin_loop();
                }
            })
        });
        Self {
            threads: threads.collect(),
            over,
        }
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.over.store(true, SeqCst);
        for thread in self.threads.drain(..) {
            thread.join().unwrap();
        }
    }
}

/// Keeps its M busy until that may run on `cores`.
async fn until_allowed(cores: &str) {
    let began = Instant::now();
    while allowed() != cores {
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "still bound to {}, not {cores}",
            allowed()
        );
        yield_now().await;
    }
}

#[test]
fn machines_make_way_for_others_who_want_their_cores() {
    let all = allowed();
    let auto = Runtime::new().unwrap();
    let on = Runtime::builder().pinning(Pinning::On).build().unwrap();
    let _crowd = Crowd::new();
    auto.run({
        let all = all.clone();
        async move { until_allowed(&all).await }
    });
    // Whoever asked for it stays where it is, for as long.
    let cores = core_affinity::get_core_ids().unwrap().len();
    on.run(async move {
        let began = Instant::now();
        while began.elapsed() < Duration::from_millis(200) {
            assert!(cores == 1 || allowed() != all, "it was let go");
            yield_now().await;
        }
    });
}
