//! The high-water mark: an actor's code is told when its mailbox runs full, and when it has emptied.
//!
//! The mailbox counts under its lock and tells after it, on the goroutine (or thread) of whoever
//! caused the crossing: a sender upwards, the actor downwards, as a rule. An actor without a mark has
//! nothing of this in its mailbox.

use std::sync::Arc;

use super::{Actor, ActorId, caught};
use crate::chan::{Crossing, Water};

/// When a mailbox counts as running full: see [`Actor::HIGH_WATER`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HighWater {
    pub(super) high: usize,
    pub(super) low: usize,
}

impl HighWater {
    /// High from `messages` queued ones on, low again when half of them are gone.
    ///
    /// ```
    /// use actor_core::actor::HighWater;
    /// const MARKS: HighWater = HighWater::at(48).low(8);
    /// ```
    #[must_use]
    pub const fn at(messages: usize) -> Self {
        Self {
            high: messages,
            low: messages / 2,
        }
    }

    /// Low again when at most so many are queued. The gap between the marks keeps a length that
    /// goes up and down a little from being told each time.
    #[must_use]
    pub const fn low(self, messages: usize) -> Self {
        Self {
            low: messages,
            ..self
        }
    }
}

/// A mailbox went above its high-water mark, or came back below: given to
/// [`Actor::pressure`] and to the `#[high_water]` function.
#[derive(Debug)]
#[non_exhaustive]
pub struct Pressure<'a> {
    /// The actor's name.
    pub actor: &'a str,
    /// The actor's id.
    pub id: ActorId,
    /// True: the high-water mark was reached. False: the length has fallen to the low one.
    pub is_high: bool,
    /// How many messages were queued right after that.
    pub len: usize,
    /// Counts the crossings of this mailbox from 1. Two crossings that follow each other closely may
    /// be told by two goroutines at the same time, in either order: the greater number is the later.
    pub number: u64,
}

impl Pressure<'_> {
    /// Reports it as a `tracing` event, which is what happens without a hook.
    pub fn trace(&self) {
        let Self { actor, id, len, .. } = *self;
        if self.is_high {
            tracing::warn!(actor, %id, len, "the mailbox has reached its high-water mark");
        } else {
            tracing::info!(actor, %id, len, "the mailbox is below its low-water mark again");
        }
    }
}

/// The mailbox's part of it.
pub(super) fn water<A: Actor>(marks: HighWater, name: &str, id: ActorId) -> Water {
    let name: Box<str> = name.into();
    let watch = move |crossing: Crossing| {
        let pressure = Pressure {
            actor: &name,
            id,
            is_high: crossing.is_high,
            len: crossing.len,
            number: crossing.number,
        };
        // The hook is user code, and this may be somebody else's goroutine.
        if let Err(panic) = caught(|| A::pressure(&pressure)) {
            tracing::error!(actor = &*name, ?panic, "a high-water hook panicked");
        }
    };
    Water::new(marks.high, marks.low, Arc::new(watch))
}
