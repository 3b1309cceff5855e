//! One message to many actors, and what became of each copy.
//!
//! 1. Each gets its copy at once if its mailbox has room, or its overflow policy makes some: a full
//!    one holds up nobody else.
//! 2. The copies for full mailboxes whose policy is to wait do so together, as long as the sender
//!    allows.
//! 3. The report counts the delivered ones and names every other with the reason.
//!
//! Dropped while it waits, it takes back the copies that wait; the others are delivered.

use std::{
    convert::Infallible,
    fmt,
    future::{Future, poll_fn},
    pin::Pin,
    task::Poll,
    time::Duration,
};

use super::{Actor, ActorRef, AnyRef, Call, caught, overflow::Refused};
use crate::sched;

/// What became of a message that was sent to many: how many have it, and who has not, and why.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[must_use = "it tells who did not get the message"]
#[non_exhaustive]
pub struct Report {
    /// How many mailboxes accepted it.
    pub delivered: usize,
    /// Those that did not.
    pub undelivered: Vec<Undelivered>,
}

impl Report {
    /// Whether all got it. True when there was nobody to get it.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.undelivered.is_empty()
    }
}

/// One that did not get a message; see [`Report`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Undelivered {
    /// Who.
    pub actor: AnyRef,
    /// Why.
    pub reason: UndeliveredReason,
}

/// Why an actor did not get a message that was sent to many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UndeliveredReason {
    /// Its mailbox was full: for as long as the sender was ready to wait, or its
    /// [overflow policy](super::Overflow) is not to wait, but to fail or to drop what is new.
    Full,
    /// It is stopped, or about to.
    Stopped,
    /// The function that makes its message panicked.
    Panicked,
}

impl fmt::Display for UndeliveredReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "its mailbox is full",
            Self::Stopped => "it is stopped",
            Self::Panicked => "the function that makes its message panicked",
        })
    }
}

/// A copy that waits for room in one mailbox.
pub(crate) type Waiting = Pin<Box<dyn Future<Output = Result<(), UndeliveredReason>> + Send>>;

/// How the first try went.
pub(crate) enum Tried {
    Delivered,
    Refused(UndeliveredReason),
    Full(Waiting),
}

/// Makes the message of one actor and tries to send it.
pub(crate) fn try_tell<'a, A: Actor, T, E>(
    handle: &'a ActorRef<A>,
    call: impl FnOnce() -> Call<'a, A, T, E>,
) -> Tried {
    // The function that makes it is user code.
    match caught(|| call().post()) {
        Ok(Ok(())) => Tried::Delivered,
        Ok(Err((Refused::Wait(msg), on_full))) => {
            let handle = handle.clone();
            Tried::Full(Box::pin(async move {
                // Its reply slot is the empty one it was made with.
                let again = Call::<A, (), Infallible>::new(&handle, msg, |_, _| {});
                let sent = again.overflow(on_full).tell().await;
                sent.map_err(|refused| missed(refused, UndeliveredReason::Stopped))
            }))
        }
        Ok(Err((refused, _))) => {
            let reason = match refused {
                Refused::Closed(_) => UndeliveredReason::Stopped,
                _ => UndeliveredReason::Full,
            };
            Tried::Refused(missed(refused, reason))
        }
        Err(panic) => {
            tracing::error!(actor = handle.name(), ?panic, "making its message panicked");
            Tried::Refused(UndeliveredReason::Panicked)
        }
    }
}

/// Drops a copy, whose Drop is user code too.
fn missed(copy: impl Sized, reason: UndeliveredReason) -> UndeliveredReason {
    let _ = caught(|| drop(copy));
    reason
}

/// A message under way to many.
#[derive(Default)]
pub(crate) struct Delivery {
    report: Report,
    waiting: Vec<(AnyRef, Waiting)>,
}

impl Delivery {
    pub(crate) fn add(&mut self, actor: impl FnOnce() -> AnyRef, tried: Tried) {
        match tried {
            Tried::Delivered => self.report.delivered += 1,
            Tried::Refused(reason) => self.miss(actor(), reason),
            Tried::Full(waiting) => self.waiting.push((actor(), waiting)),
        }
    }

    fn miss(&mut self, actor: AnyRef, reason: UndeliveredReason) {
        self.report.undelivered.push(Undelivered { actor, reason });
    }

    /// Waits for no room.
    pub(crate) fn give_up(mut self) -> Report {
        for (actor, waiting) in std::mem::take(&mut self.waiting) {
            self.miss(actor, missed(waiting, UndeliveredReason::Full));
        }
        std::mem::take(&mut self.report)
    }

    /// Waits until every mailbox has had room, or for so long.
    pub(crate) async fn finish(mut self, within: Option<Duration>) -> Report {
        if !self.waiting.is_empty() {
            match within {
                None => self.all().await,
                // Over or not, what waits still is counted below.
                Some(limit) => drop(sched::timeout(limit, self.all()).await),
            }
        }
        self.give_up()
    }

    async fn all(&mut self) {
        poll_fn(|cx| {
            let mut at = 0;
            while let Some((_, waiting)) = self.waiting.get_mut(at) {
                let Poll::Ready(done) = waiting.as_mut().poll(cx) else {
                    at += 1;
                    continue;
                };
                let (actor, _) = self.waiting.swap_remove(at);
                match done {
                    Ok(()) => self.report.delivered += 1,
                    Err(reason) => self.miss(actor, reason),
                }
            }
            if self.waiting.is_empty() {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }
}

impl Drop for Delivery {
    /// One by one: two copies whose Drop panics would end the process.
    fn drop(&mut self) {
        for (_, waiting) in self.waiting.drain(..) {
            let _ = caught(|| drop(waiting));
        }
    }
}
