//! The watcher of handlers that take too long: one thread per process, asleep unless a handler waits
//! or, as sysmon has told it, one computes for long (`computing`).
//!
//! An incarnation is entered at its first handler that waits, and stays entered. The thread looks at
//! all entries every quarter of the shortest threshold (at most once a second), reports each wait
//! that is too long once, and drops the entries of incarnations that have ended. When no handler
//! waits it parks. It is a thread and no goroutine so that it keeps no runtime awake (a deadlock is
//! still found), and can report when every goroutine of one is stuck.
//!
//! Parking: `IDLE` is set, then everything is looked at once more under the actors' locks; who
//! begins to wait writes under such a lock, then looks at `IDLE`. One of the two sees the other.

use std::{
    fmt,
    sync::{
        Arc,
        OnceLock,
        Weak,
        // Not the shim's: loom has no statics.
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, Thread},
    time::Duration,
};

// Nor this one. (Nor std's: sanitizers don't see into that.)
use parking_lot::Mutex;

use super::{
    Actor, ActorId, Ctx,
    computing::{Computing, Polls},
    reports::{Reports, Topic},
    ties::Peer,
    work::Wedged,
};
use crate::sched::{Instant, OurThread, simulated};

/// A handler that has waited, or computed in one go, for longer than its actor's threshold, and still
/// does.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct WedgedReport {
    /// The actor's name; the name of its type, if it computes and has never waited before.
    pub actor: String,
    /// Its id.
    pub id: ActorId,
    /// Which of its lives; 0 if it computes and has never waited before: then nobody knows.
    pub incarnation: u64,
    /// The name of the message in work, or the hook, such as `#[every]`.
    pub handler: &'static str,
    /// How long it has been waiting or computing, at the least.
    pub waiting: Duration,
    /// What it waits for: "chan receive", "mutex lock" .. or "something unknown". For one that
    /// doesn't await: "nothing, it computes", or "its thread, which blocks".
    pub waits_for: String,
    /// Messages that wait behind it; 0 if `incarnation` is not known.
    pub mailbox_len: usize,
}

impl fmt::Display for WedgedReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "actor {}#{} has been in {} for {:?}, waiting for: {}; {} messages wait behind it",
            self.actor, self.id, self.handler, self.waiting, self.waits_for, self.mailbox_len
        )
    }
}

static WEDGED: Topic<WedgedReport> = Topic::new();

/// Subscribes to the reports about handlers of this process that wait too long; see
/// [`report_wedged_after`]. Each is a `tracing` event at warn level as well.
///
/// ```
/// # actor_core::Runtime::new().unwrap().block_on(async {
/// let wedged = actor_core::actor::wedged_reports();
/// assert!(wedged.try_next().is_none());
/// # });
/// ```
#[must_use = "the subscription ends when it is dropped"]
pub fn wedged_reports() -> Reports<WedgedReport> {
    WEDGED.subscribe()
}

/// In nanoseconds; 0 is never.
static AFTER: AtomicU64 = AtomicU64::new(5_000_000_000);

/// Sets how long a handler may wait before it is reported, once, for actors that don't say it
/// themselves ([`Actor::WEDGED_AFTER`]). The default is 5 s; zero is never.
///
/// What is measured is the time since the handler first had to wait; or, of one that does not await,
/// the time that one poll of it lasts, from some milliseconds after its begin on.
///
/// ```
/// actor_core::actor::report_wedged_after(std::time::Duration::from_secs(30));
/// ```
pub fn report_wedged_after(after: Duration) {
    let nanos = u64::try_from(after.as_nanos()).unwrap_or(u64::MAX);
    // ORDERING: Relaxed: the watcher sees it at its next look.
    AFTER.store(nanos, Ordering::Relaxed);
    if let Some(watcher) = WATCHER.get() {
        watcher.unpark();
    }
}

struct Entry {
    actor: Weak<dyn Peer>,
    incarnation: u32,
    after: Option<Duration>,
}

static ENTRIES: Mutex<Vec<Entry>> = Mutex::new(Vec::new());
static WATCHER: OnceLock<Thread> = OnceLock::new();
static IDLE: AtomicBool = AtomicBool::new(false);

/// Enters the incarnation whose context this is.
#[cold]
pub(super) fn watch<A: Actor>(ctx: &Ctx<A>) {
    // The watcher is a thread, and looks at the real clock.
    if A::WEDGED_AFTER == Some(Duration::ZERO) || simulated::is_active() {
        return;
    }
    ENTRIES.lock().push(Entry {
        actor: Arc::downgrade(&ctx.peer()),
        incarnation: ctx.cell().life.look(|s| s.incarnation()),
        after: A::WEDGED_AFTER,
    });
    watcher();
}

fn watcher() -> &'static Thread {
    WATCHER.get_or_init(|| {
        let named = thread::Builder::new().name("actor-wedged".to_owned());
        match named.spawn(live) {
            Ok(thread) => thread.thread().clone(),
            Err(error) => {
                tracing::error!(%error, "no thread for the reports about wedged handlers");
                thread::current()
            }
        }
    })
}

/// A handler computes for long.
pub(super) fn look_now() {
    let watcher = watcher();
    IDLE.store(false, Ordering::SeqCst);
    watcher.unpark();
}

/// A handler began to wait.
#[inline]
pub(super) fn somebody_waits() {
    // ORDERING: SeqCst, see the file's comment.
    if IDLE.load(Ordering::SeqCst) {
        wake();
    }
}

#[cold]
fn wake() {
    if IDLE.swap(false, Ordering::SeqCst)
        && let Some(watcher) = WATCHER.get()
    {
        watcher.unpark();
    }
}

fn default_after() -> Duration {
    // ORDERING: Relaxed: see `report_wedged_after`.
    Duration::from_nanos(AFTER.load(Ordering::Relaxed))
}

/// The longest and the shortest pause between two looks.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_millis(5));

fn live() {
    // It ends no wait, so it doesn't stand in the way of a deadlock report.
    let _ours = OurThread::new();
    let mut polls = Polls::default();
    loop {
        let mut look = Look::take(&mut polls);
        if look.waiting == 0 {
            IDLE.store(true, Ordering::SeqCst);
            look = Look::take(&mut polls);
            if look.waiting == 0 {
                thread::park();
            }
            IDLE.store(false, Ordering::SeqCst);
        }
        let shortest = look.shortest.unwrap_or(PAUSES.0) / 4;
        thread::park_timeout(shortest.clamp(PAUSES.1, PAUSES.0));
    }
}

/// What one look at all entries found.
#[derive(Default)]
struct Look {
    /// Handlers that wait and have not been reported.
    waiting: usize,
    /// The shortest threshold of all entries.
    shortest: Option<Duration>,
}

impl Look {
    fn take(polls: &mut Polls) -> Self {
        let (mut look, now, default) = (Self::default(), Instant::now(), default_after());
        let mut reports = Vec::new();
        // Dropped after unlocking: one may be the last to own its actor.
        let mut seen = Vec::new();
        let computing = look.computing(polls, now, default);
        ENTRIES.lock().retain(|entry| {
            let Some(actor) = entry.actor.upgrade() else {
                return false;
            };
            let after = entry.after.unwrap_or(default);
            let found = look.at(&*actor, entry.incarnation, after, now);
            seen.push(actor);
            match found {
                Ok(found) => {
                    reports.extend(found);
                    true
                }
                Err(Ended) => false,
            }
        });
        // After what waits: one that has waited before is reported once.
        reports.extend(
            computing
                .into_iter()
                .filter_map(|found| report_of(&found, &seen, now)),
        );
        drop(seen);
        for report in reports {
            tracing::warn!(
                actor = report.actor,
                id = %report.id,
                handler = report.handler,
                waiting = ?report.waiting,
                waits_for = report.waits_for,
                mailbox_len = report.mailbox_len,
                "a handler is wedged"
            );
            WEDGED.publish(report);
        }
        look
    }

    /// The handlers that compute for too long.
    fn computing(&mut self, polls: &mut Polls, now: Instant, default: Duration) -> Vec<Computing> {
        let found = polls.look(now, default);
        self.waiting += found.later;
        self.shortest = self.shortest.into_iter().chain(found.shortest).min();
        found.computing
    }

    fn at(
        &mut self,
        actor: &dyn Peer,
        incarnation: u32,
        after: Duration,
        now: Instant,
    ) -> Result<Vec<WedgedReport>, Ended> {
        let mut state = actor.life().lock();
        if !state.is_alive() || state.incarnation() != incarnation {
            return Err(Ended);
        }
        if after.is_zero() {
            return Ok(Vec::new());
        }
        self.shortest = Some(self.shortest.map_or(after, |shortest| shortest.min(after)));
        let Some(work) = state.work_if_any() else {
            return Ok(Vec::new());
        };
        let (wedged, later) = work.wedged(after, now);
        drop(state);
        self.waiting += later;
        let report = |wedged: Wedged| WedgedReport {
            actor: actor.name().to_owned(),
            id: actor.id(),
            incarnation: u64::from(incarnation),
            handler: wedged.handler,
            waiting: now - wedged.since,
            waits_for: wedged.waits_for,
            mailbox_len: actor.mailbox_len(),
        };
        Ok(wedged.into_iter().map(report).collect())
    }
}

/// The report about a handler that computes; `None` if it was reported as one that waits, from before
/// it went on.
fn report_of(found: &Computing, known: &[Arc<dyn Peer>], now: Instant) -> Option<WedgedReport> {
    let Computing { seen, since } = found;
    let id = ActorId::new(seen.who);
    let actor = known.iter().find(|actor| actor.id() == id);
    let mut incarnation = 0;
    if let Some(actor) = actor {
        let mut state = actor.life().lock();
        incarnation = u64::from(state.incarnation());
        if let Some(waiting) = state.work_if_any().and_then(|work| work.now.as_mut())
            && std::mem::replace(&mut waiting.reported, true)
        {
            return None;
        }
    }
    let waits_for = if seen.is_blocked() {
        "its thread, which blocks"
    } else {
        "nothing, it computes"
    };
    Some(WedgedReport {
        actor: actor
            .map_or(seen.sign.name, |actor| actor.name())
            .to_owned(),
        id,
        incarnation,
        handler: seen.on,
        waiting: now - *since,
        waits_for: waits_for.to_owned(),
        mailbox_len: actor.map_or(0, |actor| actor.mailbox_len()),
    })
}

/// The incarnation is over.
struct Ended;
