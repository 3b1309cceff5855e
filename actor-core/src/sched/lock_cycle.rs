//! Cycles of locks and asks, found by whoever closes them.
//!
//! ```text
//!   goroutine 3 ──waits for──▶ mutex A ──held by──▶ goroutine 5 ──waits for──▶ mutex B ─┐
//!        ▲                                                                              │
//!        └────────────────────────────────held by───────────────────────────────────────┘
//! ```
//!
//! Protocol:
//! 1. Who gets a lock writes its record into the lock's [`Home`](super::holders::Home); who unlocks
//!    clears it first.
//! 2. A waiter that is queued is *published* in its goroutine's record, under the queue's lock; who
//!    takes it out of the queue withdraws it. What is published names the lock without pointing to it
//!    (`holders.rs`), so the lock may move or go away while a forgotten waiter is still published.
//! 3. When a poll ends pending and the lock's waiter is the one thing that can wake the goroutine
//!    (`State::waits_on_one`), its M marks the record *parked* and walks from lock to holder to lock,
//!    through parked goroutines only. The mark is taken back when the next poll begins, and counts
//!    for nothing once the goroutine has been woken ([`Sleeps`]): by an answer, by an abort.
//! 4. A walk that comes back to its start is *confirmed*: a second round must find every mark and
//!    every edge as before. Then all of them were parked while all edges were read, and who is parked
//!    releases nothing: the cycle is real. The walker leaves a verdict in its own record and
//!    polls again; the lock's future finds it.
//!
//! Of the cycles made of marked goroutines none is missed: every party fences between its mark (and its
//! ownership, written earlier) and its walk, so the last one sees all others. Not marked, and so left to
//! the report when all sleep, are those that more than their lock could wake, or seems to: a kept abort
//! handle of a goroutine that was joined, locked threads.
//!
//! No false one is reported: see 4. A borrowed guard that another goroutine drops would deceive it; owned
//! guards, which are made for that, name no holder. Whoever could still abort a party from outside (a
//! supervisor with a timeout, say) is not asked: the cycle is real until then.
//!
//! Actors take part as locks do: a handler that waits for another actor (for its answer, or for room in
//! its mailbox) waits for the goroutine of that actor, whose handler holds it like a lock until it
//! returns. Concurrent handlers, each with a goroutine of its own, hold it as readers do. Who asks
//! without being an actor, or having taken a lock, is in no cycle and is not published.
//!
//! A wait with a way out (`timeout`, `select!`) has more than one waker and is never marked. A lock held
//! by a thread outside of any runtime has no holder to follow.
//!
//! Rejected: a table of all locks and waiters under one lock (every contended lock of the process
//! would meet there); searching from sysmon (milliseconds late, and a scan of all goroutines).

use std::fmt;
use std::ptr::NonNull;
use std::sync::Arc;

use parking_lot::Mutex;

use super::context;
use super::deadlock::{Deadlock, Party};
use super::holders::LockRef;
use super::record::{Notes, RecordRef};
use crate::shim::atomic::{Ordering, fence};

/// A goroutine, or a thread in `block_on`, that may be parked.
pub(crate) trait Sleeps: Sync {
    /// It will poll again, and has not taken its mark back yet.
    fn is_woken(&self) -> bool;
}

/// The mark of somebody parked.
pub(crate) struct Mark(NonNull<dyn Sleeps>);

// SAFETY: what it points to is Sync; see `settle` for how long it lives.
unsafe impl Send for Mark {}

impl Mark {
    /// # Safety
    /// The notes that it is in are locked.
    unsafe fn still_sleeps(&self) -> bool {
        // SAFETY: it lives until the mark is taken out or the record is released, and both need the
        // lock that the caller has.
        !unsafe { self.0.as_ref() }.is_woken()
    }
}

impl fmt::Debug for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mark")
    }
}

/// An actor that is waited for.
pub(crate) trait Target: Send + Sync {
    /// The records of the goroutines whose handlers all have to return before it handles anything
    /// exclusively.
    fn handlers(&self) -> Vec<RecordRef>;
    /// Its name and number.
    fn describe(&self) -> String;
}

/// What somebody waits for.
#[derive(Clone)]
pub(crate) enum WaitsFor {
    Mutex(LockRef),
    Read(LockRef),
    Write(LockRef),
    /// An actor, and the name of the message.
    Actor(Arc<dyn Target>, &'static str),
}

impl fmt::Debug for WaitsFor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:#x}", self.what(), self.address())
    }
}

impl WaitsFor {
    /// What is waited for, in words.
    pub(crate) fn what(&self) -> &'static str {
        match self {
            Self::Mutex(_) => "mutex",
            Self::Read(_) => "rwlock (to read)",
            Self::Write(_) => "rwlock (to write)",
            Self::Actor(..) => "actor",
        }
    }

    /// Its address, to tell locks and actors apart.
    pub(crate) fn address(&self) -> usize {
        match self {
            Self::Mutex(lock) | Self::Read(lock) | Self::Write(lock) => lock.address(),
            Self::Actor(actor, _) => Arc::as_ptr(actor).cast::<()>() as usize,
        }
    }

    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Mutex(a), Self::Mutex(b))
            | (Self::Read(a), Self::Read(b))
            | (Self::Write(a), Self::Write(b)) => a.is(*b),
            (Self::Actor(..), Self::Actor(..)) => self.address() == other.address(),
            _ => false,
        }
    }

    /// Those that have to move before the waiter can.
    fn holders(&self) -> Holders {
        Holders::Known(match self {
            Self::Actor(actor, _) => return Holders::Actor(actor.clone()),
            Self::Mutex(lock) => lock.writer(),
            Self::Read(lock) => lock.before_a_reader(),
            Self::Write(lock) => lock.before_a_writer(),
        })
    }
}

/// What `WaitsFor::holders` found.
enum Holders {
    Known(Vec<RecordRef>),
    /// To be asked after the record is unlocked.
    Actor(Arc<dyn Target>),
}

impl Holders {
    fn get(self) -> Vec<RecordRef> {
        match self {
            Self::Known(holders) => holders,
            Self::Actor(actor) => {
                let mut handlers = actor.handlers();
                handlers.retain(|handler| !handler.is_nobody());
                handlers
            }
        }
    }
}

/// Whom `who` waits for, as far as it is known, and the epoch of its notes, if `of` accepts those.
fn waited_for(
    who: RecordRef,
    of: impl FnOnce(&Notes) -> bool,
) -> Option<(u64, WaitsFor, Vec<RecordRef>)> {
    let notes = who.notes().filter(|notes| of(notes))?;
    let waits = notes.waits.clone()?;
    let holders = waits.holders();
    let epoch = notes.epoch;
    drop(notes);
    Some((epoch, waits, holders.get()))
}

/// Whom a sleeper waits for, for a report.
pub(crate) fn holders(who: RecordRef) -> Vec<RecordRef> {
    waited_for(who, |_| true).map_or_else(Vec::new, |(_, _, holders)| holders)
}

/// The record of the calling goroutine, or of the thread in `block_on`. Makes one if need be.
#[inline]
pub(crate) fn current() -> RecordRef {
    if cfg!(actor_loom) {
        return RecordRef::NOBODY;
    }
    context::current_record()
}

/// The calling goroutine's record, if a cycle could go through it: it is an actor, or has taken a
/// lock. Makes one for an actor.
#[inline]
pub(crate) fn current_if_entangled() -> RecordRef {
    if cfg!(actor_loom) {
        return RecordRef::NOBODY;
    }
    context::record_if_entangled()
}

/// A waiter of `who` was queued. The queue's lock is held.
pub(crate) fn publish(who: RecordRef, waits: WaitsFor) {
    let Some(mut notes) = who.notes() else { return };
    let old = notes.waits.replace(waits);
    // One that was not picked up belongs to another wait.
    let stale = notes.verdict.take();
    drop(notes);
    drop((old, stale));
}

/// A waiter of `who` left the queue, or is about to be given the lock.
pub(crate) fn withdraw(who: RecordRef, waits: &WaitsFor) {
    let Some(mut notes) = who.notes() else { return };
    let old = notes.waits.take_if(|published| published.is(waits));
    drop(notes);
    drop(old);
}

/// The deadlock that `who` closed by waiting, if it did: told once.
pub(crate) fn verdict(who: RecordRef) -> Option<Box<Deadlock>> {
    who.notes()?.verdict.take()
}

/// `who` goes to sleep and only its lock can wake it: marks it, and looks for a cycle. True when
/// there is one: `who` has to be polled again.
///
/// # Safety
/// `sleeper` lives until `resume(who)` or until the record is released.
#[cold]
pub(crate) unsafe fn settle(who: RecordRef, sleeper: &(dyn Sleeps + 'static)) -> bool {
    {
        let Some(mut notes) = who.notes() else {
            return false;
        };
        if notes.waits.is_none() {
            return false;
        }
        notes.parked = Some(Mark(NonNull::from(sleeper)));
        notes.epoch += 1;
    }
    // ORDERING: SeqCst: with the same fence of every other party. Of two, the later one sees what the
    // earlier one wrote before it: its mark, and its name in the locks that it holds.
    fence(Ordering::SeqCst);
    let Some(cycle) = find(who) else {
        return false;
    };
    // Of several that close one cycle at the same moment, one is told: the others, who come here after
    // it, find its mark gone.
    static CLOSING: Mutex<()> = Mutex::new(());
    let _closing = CLOSING.lock();
    let Some(deadlock) = confirm(&cycle) else {
        return false;
    };
    if let Some(mut notes) = who.notes() {
        notes.verdict = Some(Box::new(deadlock));
        notes.parked = None;
        notes.epoch += 1;
    }
    true
}

/// The next poll begins: it may release what it holds. Called before `is_woken` turns false.
#[cold]
pub(crate) fn resume(who: RecordRef) {
    if let Some(mut notes) = who.notes() {
        notes.parked = None;
        notes.epoch += 1;
    }
}

fn is_parked(notes: &Notes) -> bool {
    // SAFETY: a borrow of notes comes from their lock.
    let sleeps = |mark: &Mark| unsafe { mark.still_sleeps() };
    notes.parked.as_ref().is_some_and(sleeps)
}

/// One step of a walk: who waits, since which epoch, and the holder that the walk went on to.
type Step = (RecordRef, u64, RecordRef);

/// More parties than this are not followed.
const STEPS_MAX: usize = 64;

fn find(start: RecordRef) -> Option<Vec<Step>> {
    let mut path: Vec<(RecordRef, u64, Vec<RecordRef>)> = Vec::new();
    let mut visited = vec![start];
    let (epoch, holders) = edges(start)?;
    path.push((start, epoch, holders));
    while let Some((_, _, holders)) = path.last_mut() {
        let Some(next) = holders.pop() else {
            path.pop();
            continue;
        };
        if next == start {
            let onward = path[1..].iter().map(|step| step.0).chain([start]);
            let steps = path.iter().zip(onward);
            return Some(steps.map(|(step, next)| (step.0, step.1, next)).collect());
        }
        if visited.contains(&next) || visited.len() >= STEPS_MAX {
            continue;
        }
        visited.push(next);
        if let Some((epoch, holders)) = edges(next) {
            path.push((next, epoch, holders));
        }
    }
    None
}

fn edges(who: RecordRef) -> Option<(u64, Vec<RecordRef>)> {
    let (epoch, _, holders) = waited_for(who, is_parked)?;
    Some((epoch, holders))
}

/// The second round of rule 4; describes the cycle if it is real.
fn confirm(cycle: &[Step]) -> Option<Deadlock> {
    let mut parties = Vec::new();
    for &(who, epoch, next) in cycle {
        let still = |notes: &Notes| is_parked(notes) && notes.epoch == epoch;
        let (_, waits, holders) = waited_for(who, still)?;
        if !holders.contains(&next) {
            return None;
        }
        parties.push(Party::new(who, &waits));
    }
    Some(Deadlock::new(parties))
}

#[cfg(all(test, not(actor_loom)))]
mod tests {
    use super::*;
    use crate::sched::holders::Home;
    use crate::sched::record::new_record;
    use std::panic::Location;

    struct Asleep;

    impl Sleeps for Asleep {
        fn is_woken(&self) -> bool {
            false
        }
    }

    /// Two of whom each holds what the other one waits for.
    fn two() -> ([RecordRef; 2], [Home; 2]) {
        let [a, b] = [1, 2].map(|id| new_record(id, None, Location::caller()));
        let homes = [Home::new(), Home::new()];
        homes[0].set(a);
        homes[1].set(b);
        publish(a, WaitsFor::Mutex(homes[1].lock()));
        publish(b, WaitsFor::Mutex(homes[0].lock()));
        ([a, b], homes)
    }

    /// Goes to sleep, without a look.
    fn park(who: RecordRef) {
        let mut notes = who.notes().expect("it has a record");
        notes.parked = Some(Mark(NonNull::from(&Asleep)));
        notes.epoch += 1;
    }

    #[test]
    fn who_has_moved_since_the_walk_is_in_no_cycle_although_it_sleeps_again() {
        let ([a, b], _homes) = two();
        park(a);
        park(b);
        let walked = find(a).expect("a cycle");
        assert!(confirm(&walked).is_some());
        resume(b);
        assert!(find(a).is_none() && confirm(&walked).is_none(), "it runs");
        park(b);
        assert!(confirm(&walked).is_none(), "it ran");
        a.release();
        b.release();
    }

    #[test]
    fn of_two_that_closed_one_cycle_only_the_first_to_ask_is_told() {
        let ([a, b], _homes) = two();
        // SAFETY: `Asleep` is a constant.
        let settle = |who| unsafe { settle(who, &Asleep) };
        assert!(!settle(a), "the other one does not sleep yet");
        assert!(settle(b));
        assert_eq!(verdict(b).expect("told").parties().len(), 2);
        assert!(
            !settle(a),
            "it is going to be released by the one that was told"
        );
        a.release();
        b.release();
    }
}
