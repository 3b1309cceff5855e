//! Messages that will never be handled and that nobody has any more: counted by reason, and told to
//! whoever subscribed.
//!
//! Their askers are told (`CallError::Stopped`, `Overloaded`, `Replaced`, `Panicked`); a tell has nobody to be
//! told, so it is counted here, reported at debug level by name, and sent to the subscribers. That
//! never blocks the one who drops the message: a subscriber that is behind misses letters and counts
//! them. With no subscriber a dead letter costs two relaxed additions and a load.

use std::{
    fmt,
    sync::{
        Arc,
        // Not the shim's: loom has no statics, and a statistic needs no model.
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use super::ActorId;
use crate::{
    chan::{self, Receiver, Sender},
    sched::{attached::RuntimeId, simulated},
};

/// Why a message will not be handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DeadLetterReason {
    /// Its actor had ended for good while it was queued.
    Stopped,
    /// The mailbox was full, and the overflow policy was to drop this one.
    Overflow,
    /// A newer message with the same key took its place in the queue.
    Coalesced,
    /// Its actor crashed on it, and the policy is not to pass over that: see
    /// [`Poison`](super::Poison). Part of its work may have happened.
    Poison,
    /// A fault of a simulation has lost it on its way
    /// ([`Faults::drop_tell`](crate::sim::Faults::drop_tell)). Outside of simulations there is no such
    /// thing.
    Lost,
}

impl DeadLetterReason {
    const ALL: [Self; 5] = [
        Self::Stopped,
        Self::Overflow,
        Self::Coalesced,
        Self::Poison,
        Self::Lost,
    ];

    fn text(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Overflow => "overflow",
            Self::Coalesced => "coalesced",
            Self::Poison => "poison",
            Self::Lost => "lost",
        }
    }
}

impl fmt::Display for DeadLetterReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// A message that was accepted and dropped unhandled, or not handled to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeadLetter {
    /// The name of the actor that it was for.
    pub actor: Arc<str>,
    /// That actor's id.
    pub id: ActorId,
    /// The message's [`name`](super::Message::name): the method, for `#[actor]`.
    pub message: &'static str,
    /// Why it was dropped.
    pub reason: DeadLetterReason,
}

static COUNTS: [AtomicU64; DeadLetterReason::ALL.len()] =
    [const { AtomicU64::new(0) }; DeadLetterReason::ALL.len()];

/// How many subscribers there are, so that none costs no lock.
static SUBSCRIBED: AtomicUsize = AtomicUsize::new(0);
static SUBSCRIBERS: std::sync::Mutex<Vec<Subscriber>> = std::sync::Mutex::new(Vec::new());

#[derive(Clone)]
struct Subscriber {
    /// Which simulation it belongs to; what happens in others is none of its business.
    simulation: u64,
    letters: Sender<DeadLetter>,
    missed: Arc<AtomicU64>,
    /// Only what is dropped on threads of this runtime.
    scope: Option<RuntimeId>,
}

fn subscribers() -> std::sync::MutexGuard<'static, Vec<Subscriber>> {
    // A list of channels is never half changed: a panic elsewhere does it no harm.
    SUBSCRIBERS
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// How many accepted messages were dropped unhandled in this process, for whatever reason. A message
/// that was refused is not one of them: its sender has it back.
///
/// ```
/// assert_eq!(actor_core::actor::dead_letters(), 0);
/// ```
#[must_use]
pub fn dead_letters() -> u64 {
    DeadLetterReason::ALL.into_iter().map(dead_letters_of).sum()
}

/// How many messages were dropped unhandled in this process for this reason.
///
/// ```
/// use actor_core::actor::{DeadLetterReason, dead_letters_of};
/// assert_eq!(dead_letters_of(DeadLetterReason::Overflow), 0);
/// ```
#[must_use]
pub fn dead_letters_of(reason: DeadLetterReason) -> u64 {
    // ORDERING: Relaxed: a statistic.
    COUNTS[reason as usize].load(Ordering::Relaxed)
}

/// Receives the dead letters of the whole process from now on; Akka's `DeadLetter` event stream.
///
/// At most `capacity` of them (at least 1) wait to be received; while so many do, further ones are
/// missed and counted ([`DeadLetters::missed`]): nobody waits for a subscriber.
///
/// ```
/// use actor_core::actor::subscribe_dead_letters;
///
/// # actor_core::Runtime::new().unwrap().block_on(async {
/// let letters = subscribe_dead_letters(64);
/// actor_core::go(async move {
///     while let Some(letter) = letters.recv().await {
///         eprintln!("{} never handled {}: {}", letter.actor, letter.message, letter.reason);
///     }
/// });
/// # });
/// ```
pub fn subscribe_dead_letters(capacity: usize) -> DeadLetters {
    subscribe(capacity, None)
}

/// As [`subscribe_dead_letters`], for those that are dropped on threads of the runtime that this
/// thread runs in.
///
/// # Panics
/// Outside of a runtime.
#[track_caller]
pub(crate) fn subscribe_dead_letters_here(capacity: usize) -> DeadLetters {
    let here = RuntimeId::current();
    assert!(
        here.is_some(),
        "there is no runtime here whose dead letters could be collected: call this in a goroutine, \
         inside `block_on`, or after `Handle::enter`"
    );
    subscribe(capacity, here)
}

fn subscribe(capacity: usize, scope: Option<RuntimeId>) -> DeadLetters {
    let (letters, queue) = chan::buffered(capacity.max(1));
    let missed = Arc::new(AtomicU64::new(0));
    let mut all = subscribers();
    all.push(Subscriber {
        simulation: simulated::simulation(),
        letters,
        missed: Arc::clone(&missed),
        scope,
    });
    // ORDERING: Relaxed: who loses a message at this very moment may count as before.
    SUBSCRIBED.store(all.len(), Ordering::Relaxed);
    drop(all);
    DeadLetters { queue, missed }
}

/// A subscription to dead letters; dropping it ends it. See [`subscribe_dead_letters`].
#[must_use = "dropping it ends the subscription"]
pub struct DeadLetters {
    queue: Receiver<DeadLetter>,
    missed: Arc<AtomicU64>,
}

impl DeadLetters {
    /// The next dead letter, in the order in which they were dropped; waits for it. Never `None`
    /// in fact: the process goes on for ever. Dropping the future loses none.
    pub async fn recv(&self) -> Option<DeadLetter> {
        self.queue.recv().await
    }

    /// The next dead letter, if there is one now.
    pub fn try_recv(&self) -> Option<DeadLetter> {
        self.queue.try_recv().ok()
    }

    pub(crate) fn queue(&self) -> &Receiver<DeadLetter> {
        &self.queue
    }

    /// How many were missed because nobody had received earlier ones in time.
    #[must_use]
    pub fn missed(&self) -> u64 {
        // ORDERING: Relaxed: a statistic.
        self.missed.load(Ordering::Relaxed)
    }
}

impl Drop for DeadLetters {
    fn drop(&mut self) {
        let mut all = subscribers();
        let ours = |other: &Subscriber| Arc::ptr_eq(&other.missed, &self.missed);
        let gone = all.iter().position(ours).map(|at| all.swap_remove(at));
        // ORDERING: Relaxed, as in `subscribe_dead_letters`.
        SUBSCRIBED.store(all.len(), Ordering::Relaxed);
        drop(all);
        // It closes a channel, which may wake somebody: not under the lock.
        drop(gone);
    }
}

impl fmt::Debug for DeadLetters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeadLetters")
            .field("missed", &self.missed())
            .finish_non_exhaustive()
    }
}

/// Counts and tells; the caller drops the message.
#[cold]
pub(super) fn count(actor: &str, id: ActorId, message: &'static str, reason: DeadLetterReason) {
    // ORDERING: Relaxed: a statistic.
    COUNTS[reason as usize].fetch_add(1, Ordering::Relaxed);
    tracing::debug!(actor, %id, message, %reason, "dead letter");
    let simulation = simulated::simulation();
    if simulation != 0 {
        simulated::with(|director| director.dead_letter(actor, message, reason.text()));
    }
    // ORDERING: Relaxed, see `subscribe_dead_letters`.
    if SUBSCRIBED.load(Ordering::Relaxed) == 0 {
        return;
    }
    let letter = DeadLetter {
        actor: actor.into(),
        id,
        message,
        reason,
    };
    // Sending wakes a subscriber, which is not to be done under the lock.
    let all = subscribers().clone();
    let here = RuntimeId::current();
    for subscriber in all {
        let Subscriber {
            letters,
            missed,
            scope,
            ..
        } = subscriber;
        if subscriber.simulation != simulation || (scope.is_some() && scope != here) {
            continue;
        }
        if letters.try_send(letter.clone()).is_err() {
            // ORDERING: Relaxed: a statistic.
            missed.fetch_add(1, Ordering::Relaxed);
        }
    }
}
