//! What few actors have beside cell and state: goroutines that work for them, and a message that
//! was taken from the mailbox and not begun. It hangs in the life's box, so that others pay nothing.
//!
//! Protocol: who puts something here sets the control word's BESIDE bit and wakes the mailbox's
//! receiver; the actor clears the bit before it looks, so it never sleeps beside something new. With
//! the bit off, nothing here costs the actor anything.
//!
//! Between the mailbox and what came from beside the actor takes turns: neither starves the other.

use std::sync::Arc;

use super::{Actor, Cell, DeadLetterReason, beside::Lane, beside::Next, caught, work};
use crate::chan::{NoReply, discard_with};

/// See the file's comment.
pub(super) struct Rare<A: Actor> {
    /// Of the incarnation that lives.
    lane: Option<Arc<Lane<A>>>,
    /// Taken and not begun, or to be tried again (`poison`); it is next.
    returned: Option<Returned<A::Msg>>,
    /// A copy of the message in work, with its reply, for another try.
    spare: Option<A::Msg>,
    /// How often the message in work has crashed the actor.
    tries: u32,
}

pub(super) struct Returned<M> {
    pub(super) msg: M,
    /// It has crashed the actor: how the last time, and how often.
    pub(super) crashed: Option<(Crashed, u32)>,
}

/// How a message ended its incarnation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Crashed {
    Panicked,
    TimedOut,
}

impl Crashed {
    pub(super) fn answer(self) -> NoReply {
        match self {
            Self::Panicked => NoReply::Panicked,
            Self::TimedOut => NoReply::TimedOut,
        }
    }
}

impl<A: Actor> Default for Rare<A> {
    fn default() -> Self {
        Self {
            lane: None,
            returned: None,
            spare: None,
            tries: 0,
        }
    }
}

impl<A: Actor> Cell<A> {
    /// Runs `f` under the life's lock: nothing of a user's may run in it.
    fn rare<R>(&self, f: impl FnOnce(&mut Rare<A>) -> R) -> R {
        self.control.has_something_rare();
        self.life.with_rare(|place| {
            let rare = place.get_or_insert_with(|| Box::new(Rare::<A>::default()));
            f(rare.downcast_mut().expect("one cell has one type of actor"))
        })
    }

    fn rare_if_any<R>(&self, f: impl FnOnce(&mut Rare<A>) -> Option<R>) -> Option<R> {
        // Most never have: no lock for them.
        if !self.control.may_have_something_rare() {
            return None;
        }
        self.life.with_rare(|place| {
            let rare = place.as_mut()?;
            f(rare.downcast_mut().expect("one cell has one type of actor"))
        })
    }

    /// The lane of the incarnation that lives.
    pub(super) fn lane(&self) -> Arc<Lane<A>> {
        self.rare(|rare| Arc::clone(rare.lane.get_or_insert_with(Lane::new)))
    }

    /// Something came from beside.
    pub(super) fn mark(&self) {
        self.control.mark();
        self.mailbox.wake_receiver();
    }

    /// Keeps a message that was taken and not begun: it is next, in this incarnation or another.
    pub(super) fn keep_back(&self, msg: A::Msg) {
        self.rare(|rare| {
            debug_assert!(rare.returned.is_none(), "one message is held at a time");
            rare.returned = Some(Returned { msg, crashed: None });
        });
        self.control.mark_first();
    }

    pub(super) fn has_kept_back(&self) -> bool {
        self.rare_if_any(|rare| rare.returned.is_some().then_some(()))
            .is_some()
    }

    /// The next message from beside.
    ///
    /// # Panics
    /// With the panic of a goroutine that works for this actor.
    #[cold]
    pub(super) fn take_from_beside(&self) -> Option<A::Msg> {
        self.control.unmark();
        if let Some(returned) = self.rare_if_any(|rare| rare.returned.take()) {
            if let Some((_, tries)) = returned.crashed {
                // The message that begins next is this one.
                self.rare(|rare| rare.tries = tries);
            }
            self.control.mark();
            return Some(returned.msg);
        }
        let lane = self.rare_if_any(|rare| rare.lane.clone())?;
        match lane.next() {
            Next::Item(msg) => {
                self.control.mark_and_skip();
                Some(msg)
            }
            Next::Panicked(panic) => {
                work::blame_beside();
                panic.resume()
            }
            Next::Nothing => None,
        }
    }

    /// The next message of those that came from beside before now: the actor stops after them.
    #[cold]
    pub(super) fn take_last_from_beside(&self) -> Option<A::Msg> {
        if let Some(lane) = self.rare_if_any(|rare| rare.lane.clone()) {
            lane.close();
        }
        self.take_from_beside()
    }

    /// The incarnation has ended: nobody works for it any more.
    pub(super) fn end_beside(&self) {
        #[cfg(feature = "planted")]
        if crate::planted::is(crate::planted::Bug::TimerLeak) {
            return;
        }
        if let Some(lane) = self.rare_if_any(|rare| rare.lane.take()) {
            lane.end(|msg| self.dead_letter(msg, DeadLetterReason::Stopped));
        }
        // Its handler was ended by somebody else: what it worked on is not tried again.
        if A::RETRIES
            && let Some(spare) = self.take_spare()
            && let Err(panic) = caught(|| discard_with(NoReply::Stopped, || drop(spare)))
        {
            tracing::error!(actor = self.name(), ?panic, "a message's Drop panicked");
        }
    }

    /// There will be no next incarnation.
    pub(super) fn bury_beside(&self) {
        if let Some(returned) = self.rare_if_any(|rare| rare.returned.take()) {
            self.bury_returned(returned);
        }
    }

    /// How often the message that is about to begin has crashed the actor.
    pub(super) fn tries_begun(&self) -> u32 {
        self.rare_if_any(|rare| Some(rare.tries))
            .unwrap_or_default()
    }

    pub(super) fn set_spare(&self, spare: A::Msg) {
        self.rare(|rare| {
            debug_assert!(rare.spare.is_none(), "one message is at work at a time");
            rare.spare = Some(spare);
        });
    }

    pub(super) fn take_spare(&self) -> Option<A::Msg> {
        self.rare_if_any(|rare| {
            rare.tries = 0;
            rare.spare.take()
        })
    }

    /// Lets the next incarnation begin with the copy of the message in work, if there is one;
    /// returns how often that message has crashed the actor.
    pub(super) fn retry(&self, crashed: Crashed) -> Option<u32> {
        let tries = self.rare_if_any(|rare| {
            let tries = std::mem::take(&mut rare.tries) + 1;
            let msg = rare.spare.take()?;
            let crashed = Some((crashed, tries));
            rare.returned = Some(Returned { msg, crashed });
            Some(tries)
        })?;
        self.control.mark_first();
        Some(tries)
    }
}
