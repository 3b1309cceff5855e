//! Clients that write as fast as they can and remember what was acknowledged.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use super::daemon::{Daemon, Progress};

/// What one writer was told.
#[derive(Default)]
pub(crate) struct Told {
    /// Keys whose `SET` was answered with OK, and their value.
    pub(crate) acknowledged: BTreeMap<String, u64>,
    /// The last answer to the writer's `INCR`.
    pub(crate) counter: i64,
    /// Error replies.
    pub(crate) errors: Vec<String>,
    /// Requests whose fate is unknown: an error reply, or none.
    pub(crate) unknown: u64,
}

/// Some writers, each on its own connection.
pub(crate) struct Load {
    writers: Vec<JoinHandle<Told>>,
    enough: Arc<AtomicBool>,
    pub(crate) progress: Progress,
}

impl Load {
    pub(crate) fn start(daemon: &Daemon, writers: usize) -> Self {
        let enough = Arc::new(AtomicBool::new(false));
        let progress = Progress::default();
        let writers = (0..writers)
            .map(|writer| {
                let (enough, progress) = (Arc::clone(&enough), progress.clone());
                let mut raw = daemon.raw();
                thread::spawn(move || {
                    let mut told = Told::default();
                    for i in 0.. {
                        if enough.load(Ordering::SeqCst) {
                            break;
                        }
                        // Two requests at once, for keys of different shards.
                        let key = format!("w{writer}:{i}");
                        if !raw.try_send(format!("SET {key} {i}\r\nINCR counter{writer}\r\n")) {
                            told.unknown += 2;
                            break;
                        }
                        let (set, incr) = (raw.line(), raw.line());
                        match set.as_str() {
                            "+OK" => {
                                told.acknowledged.insert(key, i);
                            }
                            _ => told.unknown += 1,
                        }
                        match incr.strip_prefix(':').map(str::parse) {
                            Some(Ok(n)) => told.counter = n,
                            _ => told.unknown += 1,
                        }
                        told.errors.extend(
                            [&set, &incr]
                                .iter()
                                .filter(|l| l.starts_with('-'))
                                .map(|l| (*l).clone()),
                        );
                        if incr.is_empty() {
                            break;
                        }
                        progress.add();
                    }
                    told
                })
            })
            .collect();
        Self {
            writers,
            enough,
            progress,
        }
    }

    /// Ends the writers, or waits until the daemon has ended them.
    pub(crate) fn finish(self) -> Vec<Told> {
        self.enough.store(true, Ordering::SeqCst);
        self.writers
            .into_iter()
            .map(|writer| writer.join().expect("no panic"))
            .collect()
    }
}

/// Panics unless the daemon has every acknowledged write.
pub(crate) fn check(daemon: &Daemon, told: &[Told]) {
    let mut raw = daemon.raw();
    for (writer, told) in told.iter().enumerate() {
        assert!(
            !told.acknowledged.is_empty(),
            "writer {writer} got no answer"
        );
        for (key, value) in &told.acknowledged {
            raw.send(format!("GET {key}\r\n"));
            let header = raw.line();
            assert_ne!(header, "$-1", "{key} was acknowledged and is lost");
            assert_eq!(raw.line(), value.to_string(), "{key}");
        }
        raw.send(format!("GET counter{writer}\r\n"));
        assert_ne!(raw.line(), "$-1", "counter{writer} is lost");
        let counter: i64 = raw.line().parse().expect("a number");
        let most = told.counter + told.unknown as i64;
        assert!(
            (told.counter..=most).contains(&counter),
            "counter{writer} is {counter}: {} acknowledged, at most {most} sent",
            told.counter
        );
    }
}
