//! Handlers that compute, or block their thread, for too long in one poll: found by the watcher of
//! wedged ones (`wedged`).
//!
//! 1. sysmon sees a poll that lasts and calls `stuck`, which wakes the watcher.
//! 2. The watcher notes what all threads work on (`sched::working`), and looks again now and then: what
//!    has not moved is the same poll still.
//! 3. One that has lasted for its actor's threshold is reported, once. When none is left that moves
//!    not, nobody looks any more, until sysmon sees the next.

use std::{
    sync::{
        Once,
        // Not the shim's: loom has no statics.
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use super::wedged;
use crate::sched::{
    Instant,
    working::{self, Seen},
};

/// sysmon has seen a poll that lasts, and nobody has looked yet.
static STUCK: AtomicBool = AtomicBool::new(false);

/// From now on sysmon tells. Called at each start of an actor.
#[inline]
pub(super) fn watch() {
    static WATCHED: Once = Once::new();
    if !WATCHED.is_completed() {
        WATCHED.call_once(|| working::on_stuck(stuck));
    }
}

fn stuck() {
    // Most such polls are of plain goroutines.
    if working::look().iter().all(|seen| seen.on.is_empty()) {
        return;
    }
    // ORDERING: SeqCst: as `IDLE` in `wedged`.
    STUCK.store(true, Ordering::SeqCst);
    wedged::look_now();
}

/// A poll that lasts.
struct Poll {
    place: usize,
    polls: u64,
    /// When it was seen first.
    since: Instant,
    reported: bool,
}

/// A handler to be reported.
pub(super) struct Computing {
    pub(super) seen: Seen,
    pub(super) since: Instant,
}

/// The polls that have lasted since the last look.
#[derive(Default)]
pub(super) struct Polls(Vec<Poll>);

/// What a look at them found.
#[derive(Default)]
pub(super) struct Found {
    pub(super) computing: Vec<Computing>,
    /// Those that may have to be reported later.
    pub(super) later: usize,
    /// The shortest threshold of those.
    pub(super) shortest: Option<Duration>,
}

impl Polls {
    pub(super) fn look(&mut self, now: Instant, default_after: Duration) -> Found {
        let mut found = Found::default();
        let told = STUCK.swap(false, Ordering::SeqCst);
        if !told && self.0.is_empty() {
            return found;
        }
        let before = std::mem::take(&mut self.0);
        for seen in working::look() {
            let after = seen.sign.wedged_after.unwrap_or(default_after);
            if after.is_zero() || seen.on.is_empty() {
                continue;
            }
            let known = |poll: &&Poll| (poll.place, poll.polls) == (seen.place, seen.polls);
            let mut poll = match before.iter().find(known) {
                Some(poll) => Poll { ..*poll },
                None if told => Poll {
                    place: seen.place,
                    polls: seen.polls,
                    since: now,
                    reported: false,
                },
                None => continue,
            };
            if !poll.reported && now - poll.since >= after {
                poll.reported = true;
                let since = poll.since;
                found.computing.push(Computing { seen, since });
            } else if !poll.reported {
                found.later += 1;
                let shortest = found.shortest.map_or(after, |shortest| shortest.min(after));
                found.shortest = Some(shortest);
            }
            self.0.push(poll);
        }
        found
    }
}
