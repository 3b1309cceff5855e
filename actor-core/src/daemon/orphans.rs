//! Reaping orphans: what process 1 owes the others.
//!
//! A process whose parent dies becomes a child of process 1 (of a container, often this one), and
//! stays a zombie until that waits for it. But `wait` takes a child's status away from whoever else
//! wants it, and nothing tells an orphan from a child that this program started with
//! `std::process::Command`. What does tell is time: a program that wants the status of its child is
//! usually waiting for it. So:
//! 1. a SIGCHLD, or the end of a grace, makes us look through `/proc` for zombies that are ours;
//! 2. one that has been seen for the whole grace is nobody's, and is waited for, by its pid.
//!
//! Rejected: `waitid(P_ALL, WNOWAIT)`, which shows the first zombie only, as long as that is left
//! alone; an init process that forks the real one, which has to come before `main` has done anything.

use std::{collections::HashMap, fs, time::Duration};

use rustix::process::{Pid, WaitOptions, getpid, waitpid};

use crate::sched::{Instant, blocking};

/// For process 1, where nothing else was said.
pub(super) const GRACE: Duration = Duration::from_secs(5);

pub(super) fn is_init() -> bool {
    getpid().is_init()
}

pub(super) struct Orphans {
    grace: Duration,
    /// Zombies, and when each is nobody's.
    seen: HashMap<Pid, Instant>,
}

impl Orphans {
    pub(super) fn new(grace: Duration) -> Self {
        Self {
            grace,
            seen: HashMap::new(),
        }
    }

    /// When to look again, if no SIGCHLD comes before.
    pub(super) fn due(&self) -> Instant {
        let due = self.seen.values().min();
        due.copied().unwrap_or(Instant::FOREVER)
    }

    /// Looks for zombies, and waits for those that nobody else has waited for.
    pub(super) fn look(&mut self) {
        let zombies = blocking(zombies);
        self.seen.retain(|pid, _| zombies.contains(pid));
        let now = Instant::now();
        for pid in zombies {
            let due = *self.seen.entry(pid).or_insert(now + self.grace);
            if due <= now {
                self.seen.remove(&pid);
                // Fails if somebody was faster: so much the better.
                if let Ok(Some((_, status))) = waitpid(Some(pid), WaitOptions::NOHANG) {
                    let (pid, code) = (pid.as_raw_nonzero(), status.exit_status());
                    tracing::debug!(
                        pid,
                        code,
                        signal = status.terminating_signal(),
                        "orphan reaped"
                    );
                }
            }
        }
    }
}

/// Our children that have ended and are not waited for.
fn zombies() -> Vec<Pid> {
    let Ok(processes) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let ours = getpid().as_raw_nonzero().get();
    processes
        .flatten()
        .filter_map(|process| {
            let pid = process.file_name().to_str()?.parse().ok()?;
            let stat = fs::read_to_string(process.path().join("stat")).ok()?;
            (zombie_of(&stat)? == ours).then(|| Pid::from_raw(pid))?
        })
        .collect()
}

/// The parent in a line of `/proc/<pid>/stat`, if it is a zombie's: `12 (a name) Z 1 ..`. The name is
/// the process's choice, and may contain anything.
fn zombie_of(stat: &str) -> Option<i32> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace();
    (fields.next()? == "Z").then(|| fields.next()?.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::zombie_of;

    #[test]
    fn a_process_can_not_pass_as_somebody_elses_zombie_by_its_name() {
        assert_eq!(zombie_of("12 (sh) Z 7 12 12 0"), Some(7));
        assert_eq!(zombie_of("12 (sh) S 7 12 12 0"), None);
        assert_eq!(zombie_of("12 (a) Z 1 (b) S 7 12 12 0"), None);
        assert_eq!(zombie_of("12 (a b) c) Z 9 12 12 0"), Some(9));
        assert_eq!(zombie_of(""), None);
    }
}
