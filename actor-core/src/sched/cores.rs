//! Where Ms may run: each on the core of its P, unless others want those cores.
//!
//! A pinned M can't make way. If anything else runs on its core the two wait for each other, and another
//! core may be idle meanwhile. So with `Pinning::Auto` Ms *roam* (run where the kernel wants them) when one
//! of them finds that it is jostled:
//!
//! - Linux counts for each thread how long it ran, and how long it wanted to and waited for its core
//!   (`/proc/thread-self/schedstat`). An M reads its own every [`LOOK_EVERY`], for about a microsecond.
//! - It is jostled when it waited for more than [`JOSTLED_PERCENT`] of the time in which it wanted to run.
//!   That waking up takes a moment counts too: an M that sleeps after each message waits for 4 to 8 %, with
//!   nobody else on the machine. With a client beside the server on two cores it waits for 20 to 45 %.
//! - After [`ROAM_FOR`] all are pinned again, and learn anew.

use std::fmt;
use std::fs::File;
use std::time::Duration;

use core_affinity::CoreId;

use super::clock::Instant;
use super::cpus::{self, Cpus};
use crate::shim::atomic::{AtomicU64, Ordering};

const LOOK_EVERY: Duration = Duration::from_millis(10);
const JOSTLED_PERCENT: u64 = 15;

/// Less says nothing.
const WANTED_MIN: Duration = Duration::from_millis(2);

const ROAM_FOR: Duration = Duration::from_secs(10);

/// The M of a spare P has no core of its own.
const NO_CORE: usize = usize::MAX;

/// The core of each P.
#[derive(Debug, Default)]
pub(crate) struct Cores {
    /// All that the process may use.
    cpus: Cpus,
    /// Empty: nobody is pinned, ever.
    plan: Vec<CoreId>,
    may_roam: bool,
    /// Until then, in nanoseconds, nobody is pinned; 0: all are.
    roam_until: AtomicU64,
}

impl Cores {
    pub(crate) fn new(cpus: Cpus, plan: Vec<CoreId>, may_roam: bool) -> Self {
        Self {
            cpus,
            plan,
            may_roam,
            roam_until: AtomicU64::new(0),
        }
    }

    /// Binds the calling M to the core of its P, or gives it all. `pinned` is what this returned last.
    pub(crate) fn pin(&self, p: usize, pinned: Option<usize>) -> Option<usize> {
        if self.plan.is_empty() {
            return None;
        }
        let core = self.plan.get(p).filter(|_| !self.roams());
        let wanted = core.map_or(NO_CORE, |_| p);
        if pinned != Some(wanted) {
            match core {
                Some(core) => cpus::pin_to(*core),
                None => cpus::unpin(&self.cpus.cores),
            }
        }
        Some(wanted)
    }

    /// As [`pin`](Self::pin), for an M without a P.
    pub(crate) fn unpin(&self, pinned: Option<usize>) -> Option<usize> {
        self.pin(NO_CORE, pinned)
    }

    #[inline]
    pub(crate) fn roams(&self) -> bool {
        // ORDERING: Relaxed here and below: a policy, looked at again and again.
        self.roam_until.load(Ordering::Relaxed) != 0
    }

    fn roam(&self, now: Instant) {
        let until = (now + ROAM_FOR).nanos().max(1);
        self.roam_until.store(until, Ordering::Relaxed);
    }

    fn end_roaming(&self, now: Instant) {
        if self.roams() && self.roam_until.load(Ordering::Relaxed) <= now.nanos() {
            self.roam_until.store(0, Ordering::Relaxed);
        }
    }
}

/// What an M knows about itself and its core.
pub(crate) struct Jostle {
    file: File,
    seen: Ran,
    look_at: Instant,
    roamed: bool,
}

impl Jostle {
    /// For the calling thread; `None` where nothing is to be learned, or done about it.
    pub(crate) fn new(cores: &Cores) -> Option<Self> {
        if cores.plan.is_empty() || !cores.may_roam {
            return None;
        }
        let file = File::open("/proc/thread-self/schedstat").ok()?;
        let seen = Ran::read(&file)?;
        Some(Self {
            file,
            seen,
            look_at: Instant::now() + LOOK_EVERY,
            roamed: false,
        })
    }

    /// True when the M has to be pinned, or let go, as `cores` says now.
    pub(crate) fn look(&mut self, cores: &Cores, now: Instant) -> bool {
        if now >= self.look_at {
            self.look_at = now + LOOK_EVERY;
            self.judge(cores, now);
        }
        let roams = cores.roams();
        std::mem::replace(&mut self.roamed, roams) != roams
    }

    fn judge(&mut self, cores: &Cores, now: Instant) {
        cores.end_roaming(now);
        let Some(ran) = Ran::read(&self.file) else {
            return;
        };
        // What it waited for while it roamed is no reason to roam.
        if cores.roams() || self.roamed {
            self.seen = ran;
        } else if ran.wanted_since(self.seen) >= WANTED_MIN {
            if ran.is_jostled_since(self.seen) {
                cores.roam(now);
            }
            self.seen = ran;
        }
    }
}

impl fmt::Debug for Jostle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jostle")
            .field("roamed", &self.roamed)
            .finish_non_exhaustive()
    }
}

/// How long a thread ran, and waited for a core, in nanoseconds since it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ran {
    ran: u64,
    waited: u64,
}

impl Ran {
    #[cfg(target_os = "linux")]
    fn read(file: &File) -> Option<Self> {
        use std::os::unix::fs::FileExt;

        let mut text = [0; 64];
        let len = file.read_at(&mut text, 0).ok()?;
        Self::parse(std::str::from_utf8(&text[..len]).ok()?)
    }

    #[cfg(not(target_os = "linux"))]
    fn read(_: &File) -> Option<Self> {
        None
    }

    /// "123 45 6": nanoseconds on a core, nanoseconds in a run queue, turns.
    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace().map(str::parse);
        Some(Self {
            ran: words.next()?.ok()?,
            waited: words.next()?.ok()?,
        })
    }

    fn wanted_since(self, before: Self) -> Duration {
        let ran = self.ran.saturating_sub(before.ran);
        Duration::from_nanos(ran + self.waited.saturating_sub(before.waited))
    }

    fn is_jostled_since(self, before: Self) -> bool {
        let waited = self.waited.saturating_sub(before.waited);
        let wanted = self.wanted_since(before).as_nanos() as u64;
        waited * 100 > wanted * JOSTLED_PERCENT
    }
}

#[cfg(all(test, not(actor_loom)))]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn ran(ran: u64, waited: u64) -> Ran {
        Ran {
            ran: ran * MS,
            waited: waited * MS,
        }
    }

    #[test]
    fn the_first_two_words_of_schedstat_are_read() {
        assert_eq!(Ran::parse("7000000 2000000 9\n"), Some(ran(7, 2)));
        assert_eq!(Ran::parse("7000000"), None);
        assert_eq!(Ran::parse("seven 2 9"), None);
    }

    #[test]
    fn who_waited_for_more_than_the_share_of_what_it_wanted_is_jostled() {
        let before = ran(100, 50);
        assert!(!ran(192, 58).is_jostled_since(before), "8 of 100");
        assert!(!ran(185, 65).is_jostled_since(before), "15 of 100");
        assert!(ran(180, 70).is_jostled_since(before), "20 of 100");
        assert!(!before.is_jostled_since(before));
        assert_eq!(ran(101, 51).wanted_since(before), Duration::from_millis(2));
    }

    #[test]
    fn who_roams_is_pinned_again_when_the_time_is_up() {
        let cores = Cores::new(Cpus::default(), Vec::new(), true);
        let now = Instant::now();
        assert!(!cores.roams());
        cores.roam(now);
        cores.end_roaming(now + ROAM_FOR - Duration::from_nanos(1));
        assert!(cores.roams());
        cores.end_roaming(now + ROAM_FOR);
        assert!(!cores.roams());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_machine_hears_that_all_roam_and_that_they_do_no_longer() {
        let cores = Cores::new(Cpus::default(), Vec::new(), true);
        let now = Instant::now();
        let file = File::open("/proc/thread-self/schedstat").unwrap();
        let mut jostle = Jostle {
            seen: Ran::read(&file).unwrap(),
            file,
            look_at: now + LOOK_EVERY,
            roamed: false,
        };
        assert!(!jostle.look(&cores, now), "nothing has changed");
        cores.roam(now); // by another machine
        assert!(jostle.look(&cores, now));
        assert!(!jostle.look(&cores, now + LOOK_EVERY), "it knows");
        // Whatever it had to wait for meanwhile.
        jostle.seen = Ran { ran: 0, waited: 0 };
        assert!(jostle.look(&cores, now + ROAM_FOR));
        assert!(!cores.roams() && !jostle.roamed);
    }
}
