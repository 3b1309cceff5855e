//! What becomes of a message when the mailbox is full, and how a message gets into the mailbox.
//!
//! ```text
//!   post ──room──────────────────────────────────────────────▶ queued
//!     └──full──▶ Wait, Coalesce ──▶ Refused::Wait    the caller waits for room with it
//!                Fail           ──▶ Refused::Full    the caller has it back
//!                DropNewest     ──▶ Refused::Dropped it is a dead letter
//!                DropOldest     ──▶ queued           the oldest is a dead letter
//! ```
//!
//! - A plain actor (no priority, no keys, no high-water mark, a policy that displaces nothing) has
//!   the plain mailbox; which it is, is known when the actor is compiled, so that a plain one pays
//!   nothing for the others. See `chan/mailbox/lanes.rs`.
//! - What is dropped is dropped here, by the sender, after the mailbox's lock: its asker is told
//!   why, it is counted, and a panic of its `Drop` stays here.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::{
    Actor, Cell, DeadLetterReason, HighWater, MailboxKind, Message, TrySendError, caught,
    dead_letters, simulate,
};
use crate::chan::{Displaced, Mailbox, MailboxSend, NoReply, Post, Unsent, discard_with};

/// What happens to a message for which the mailbox has no room.
///
/// An actor has one for all its messages ([`Actor::OVERFLOW`], `#[actor(overflow = ..)]`), and a
/// call may have another one ([`Call::overflow`](super::Call::overflow)). Room is never reserved:
/// stop, kill and supervision have a lane of their own and wait for none of this.
///
/// A message that is dropped is a [dead letter](super::dead_letters), and its asker gets
/// [`CallError::Overloaded`](super::CallError::Overloaded).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Overflow {
    /// The sender waits for room: back-pressure. Erlang has no bound, Go's channels do this.
    #[default]
    Wait,
    /// The sender has it back at once: `tell` returns [`TrySendError::Full`], an ask
    /// [`CallError::Overloaded`](super::CallError::Overloaded).
    Fail,
    /// The new message is dropped. For samples, of which some may be missing.
    DropNewest,
    /// The oldest queued message is dropped to make room, as with a ring buffer. For streams of
    /// which only the newest part counts. Messages that the actor has taken out are not dropped; an
    /// actor whose own policy is another one may have taken out up to a quarter of its mailbox.
    /// Without a queue (a rendezvous) the new message is dropped.
    DropOldest,
    /// A message takes the place of a queued one with the same [key](Message::coalesce_key), full
    /// or not: the queue holds the newest message of each key, at the place of the first. The
    /// replaced one is a dead letter, its asker gets
    /// [`CallError::Replaced`](super::CallError::Replaced). A message without a key, or with a new one,
    /// is queued as usual and waits for room; one that had to wait neither replaces nor is replaced
    /// before it is in.
    ///
    /// An actor with this policy replaces whatever a call says; the call then decides about a full
    /// mailbox only. As the policy of a call to an actor with another one, it replaces a message that
    /// was sent so too, and never one that was promised its place. Replacing costs O(1): the keys are
    /// in an index, which only an actor has whose messages [have keys](Actor::KEYED).
    Coalesce,
}

impl Overflow {
    const fn displaces(self) -> bool {
        matches!(self, Self::DropOldest | Self::Coalesce)
    }
}

/// The key of a message of the method `method` for [`Message::coalesce_key`]. 64 bits of a hash: that
/// two keys meet by accident is as likely as that memory errs.
#[doc(hidden)]
pub fn coalesce_key_of(method: &'static str, key: &(impl Hash + ?Sized)) -> u64 {
    let mut hasher = DefaultHasher::new();
    method.hash(&mut hasher);
    key.hash(&mut hasher);
    hasher.finish()
}

/// Why a message was not queued.
pub(super) enum Refused<M> {
    /// Full; to be sent again with [`Cell::send`].
    Wait(M),
    /// Full, and the policy is `Fail`.
    Full(M),
    /// The actor is stopped.
    Closed(M),
    /// It is a dead letter already.
    Dropped,
}

/// Whether the actor's mailbox has lanes, keys or a mark.
const fn is_special<A: Actor>() -> bool {
    A::OVERFLOW.displaces() || A::KEYED || A::PRIORITY || A::HIGH_WATER.is_some()
}

/// Options that contradict each other are a mistake in the actor, found when it is compiled.
const fn check<A: Actor>() {
    let is_rendezvous = matches!(
        A::MAILBOX,
        MailboxKind::Rendezvous | MailboxKind::Buffered(0)
    );
    let is_unbounded = matches!(A::MAILBOX, MailboxKind::Unbounded);
    assert!(
        !(is_rendezvous && (A::OVERFLOW.displaces() || A::KEYED)),
        "a rendezvous mailbox has no queue, so there is nothing to drop or to replace in it: use \
         `Buffered(n)`, or the overflow policy `Wait`, `Fail` or `DropNewest`"
    );
    assert!(
        !is_unbounded || matches!(A::OVERFLOW, Overflow::Wait | Overflow::Coalesce),
        "an unbounded mailbox is never full, so this overflow policy would never apply: use \
         `Buffered(n)`, or leave the policy out"
    );
    if let Some(HighWater { high, low }) = A::HIGH_WATER {
        assert!(
            !is_rendezvous,
            "a rendezvous mailbox has no queue that could reach a high-water mark: use `Buffered(n)`"
        );
        assert!(
            high > 0 && low < high,
            "the low-water mark must be below the high-water mark, which must be at least 1"
        );
        if let MailboxKind::Buffered(capacity) = A::MAILBOX {
            assert!(
                high <= capacity || A::PRIORITY && high <= capacity * 2,
                "the high-water mark is more than the mailbox holds, so it would never be reached"
            );
        }
    }
}

/// The mailbox that the actor's options ask for.
pub(super) fn mailbox<A: Actor>(cell_name: &str, id: super::ActorId) -> Mailbox<A::Msg> {
    const { check::<A>() }
    let capacity = A::MAILBOX.capacity();
    if is_special::<A>() {
        let water = A::HIGH_WATER.map(|marks| super::pressure::water::<A>(marks, cell_name, id));
        Mailbox::special(capacity, water)
    } else {
        Mailbox::new(capacity)
    }
}

/// A message that isn't there any more was sent before: futures say so by themselves.
const SENT_ONCE: &str = "a message is sent once";

#[inline]
fn post_of<A: Actor>(msg: &A::Msg, on_full: Overflow) -> Post {
    let replaces =
        A::KEYED && (matches!(A::OVERFLOW, Overflow::Coalesce) || on_full == Overflow::Coalesce);
    Post {
        urgent: A::PRIORITY && msg.is_priority(),
        key: if replaces { msg.coalesce_key() } else { None },
        batch: if A::BATCHES.is_empty() {
            0
        } else {
            msg.batch()
        },
    }
}

impl<A: Actor> Cell<A> {
    /// Puts a message into the mailbox, if it has room or the policy makes some. It is taken from
    /// where it lies, since one more copy of it is a third of what a tell costs.
    #[inline(always)]
    pub(super) fn post(
        &self,
        from: &mut Option<A::Msg>,
        on_full: Overflow,
    ) -> Result<(), Refused<A::Msg>> {
        let why = if simulate::looks_full(self) {
            Unsent::Full
        } else if is_special::<A>() {
            return self.offer(from.take(), on_full);
        } else {
            match self.mailbox.try_send_from(from) {
                Ok(()) => return Ok(()),
                Err(why) => why,
            }
        };
        self.not_posted(from.take(), why, on_full)
    }

    /// As [`post`](Self::post), for a tell: the one kind of message that a simulation may lose.
    #[inline(always)] // as `post`
    pub(super) fn post_tell(
        &self,
        from: &mut Option<A::Msg>,
        on_full: Overflow,
    ) -> Result<(), Refused<A::Msg>> {
        if let Some(msg) = from.take_if(|msg| simulate::loses_tell(self, msg)) {
            self.dead_letter(msg, DeadLetterReason::Lost);
            return Ok(()); // that is what its sender believes
        }
        self.post(from, on_full)
    }

    /// Waits for room with a message that [`post`](Self::post) refused.
    #[inline]
    pub(super) fn send(&self, msg: A::Msg, on_full: Overflow) -> MailboxSend<'_, A::Msg> {
        if is_special::<A>() {
            let post = post_of::<A>(&msg, on_full);
            self.mailbox.send_as(msg, post)
        } else {
            self.mailbox.send(msg)
        }
    }

    /// What is left to do with a message for which there is no room, or seems to be none.
    #[cold]
    fn not_posted(
        &self,
        msg: Option<A::Msg>,
        why: Unsent,
        on_full: Overflow,
    ) -> Result<(), Refused<A::Msg>> {
        match why {
            Unsent::Full if on_full == Overflow::DropOldest => self.offer(msg, on_full),
            Unsent::Full => self.refuse(msg.expect(SENT_ONCE), on_full),
            Unsent::Closed => Err(Refused::Closed(msg.expect(SENT_ONCE))),
        }
    }

    /// Sends a message that a plain mailbox with room would not simply take.
    #[inline(never)]
    fn offer(&self, msg: Option<A::Msg>, on_full: Overflow) -> Result<(), Refused<A::Msg>> {
        let msg = msg.expect(SENT_ONCE);
        let post = post_of::<A>(&msg, on_full);
        let drop_oldest = on_full == Overflow::DropOldest;
        match self.mailbox.offer(msg, post, drop_oldest) {
            Ok(displaced) => {
                self.bury_displaced(displaced);
                Ok(())
            }
            Err(TrySendError::Closed(msg)) => Err(Refused::Closed(msg)),
            Err(TrySendError::Full(msg)) => self.refuse(msg, on_full),
        }
    }

    #[cold]
    fn refuse(&self, msg: A::Msg, on_full: Overflow) -> Result<(), Refused<A::Msg>> {
        Err(match on_full {
            Overflow::Wait | Overflow::Coalesce => Refused::Wait(msg),
            Overflow::Fail => Refused::Full(msg),
            Overflow::DropNewest | Overflow::DropOldest => {
                self.dead_letter(msg, DeadLetterReason::Overflow);
                Refused::Dropped
            }
        })
    }

    fn bury_displaced(&self, displaced: Option<Displaced<A::Msg>>) {
        match displaced {
            None => {}
            Some(Displaced::Oldest(msg)) => self.dead_letter(msg, DeadLetterReason::Overflow),
            Some(Displaced::Replaced(msg)) => self.dead_letter(msg, DeadLetterReason::Coalesced),
        }
    }

    /// Drops a message that will not be handled: counted, and its asker told.
    #[cold]
    pub(super) fn dead_letter(&self, msg: A::Msg, reason: DeadLetterReason) {
        let answer = match reason {
            DeadLetterReason::Stopped => NoReply::Stopped,
            DeadLetterReason::Overflow => NoReply::Overloaded,
            DeadLetterReason::Coalesced => NoReply::Replaced,
            DeadLetterReason::Poison => NoReply::Panicked,
            DeadLetterReason::Lost => NoReply::Dropped,
        };
        self.dead_letter_as(msg, reason, answer);
    }

    /// The same, with another answer than is usual for the reason.
    #[cold]
    pub(super) fn dead_letter_as(&self, msg: A::Msg, reason: DeadLetterReason, answer: NoReply) {
        dead_letters::count(self.name(), self.id(), msg.name(), reason);
        // A message's Drop is user code.
        if let Err(panic) = caught(|| discard_with(answer, || drop(msg))) {
            tracing::error!(actor = self.name(), ?panic, "a message's Drop panicked");
        }
    }
}
