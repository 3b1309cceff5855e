//! What becomes of a message in whose handler its actor crashed.
//!
//! ```text
//!   begin ── retry ──► a copy is set aside, with the reply ──► handler ──done──► the copy answers
//!                                                                │
//!                      next incarnation begins with it ◄─ tries ─┤ panic, or its time limit
//!                                             dead letter ◄──────┘ no tries left, or dead_letter
//! ```
//! - A message is moved into its handler, so nothing of it is left after a crash. To try again, it
//!   is copied before, and the reply slot goes with the copy: the handler's panic can't answer it.
//! - The copy is in the actor's box of rare things (`rare`), not in the incarnation. Only messages
//!   that are retried pay for it.
//! - A kill is nobody's fault: the message it ended is not tried again, and no dead letter.

use super::{
    Actor, Cell, Ctx, DeadLetterReason, Message, caught, dead_letters,
    rare::{Crashed, Returned},
};

/// What becomes of a message in whose handler its actor crashed: by a panic, or by its time limit.
///
/// Part of its work may have been done. Whatever the policy, the incarnation ends, and its supervisor
/// decides about the next one; whoever is told of the crash as an asker gets
/// [`CallError::Panicked`](super::CallError::Panicked) or
/// [`TimedOut`](super::CallError::TimedOut).
///
/// `#[actor(poison = ..)]` sets it for all messages of an actor and `#[poison(..)]` for one:
///
/// ```
/// use actor_core::{actor::dead_letters, prelude::*};
///
/// struct Printer {
///     paper: u32,
/// }
///
/// #[actor]
/// impl Printer {
///     #[init]
///     fn new(paper: u32) -> Self { Printer { paper } }
///
///     /// Fails while the paper is jammed, which a restart mends.
///     #[poison(retry(2))]
///     pub fn print(&mut self, page: String, ctx: &Ctx<Self>) -> u32 {
///         assert!(ctx.incarnation() > 1, "no paper for {page}");
///         self.paper -= 1;
///         self.paper
///     }
///
///     #[poison(dead_letter)]
///     pub fn shred(&mut self) { panic!("there is no shredder"); }
/// }
///
/// # actor_core::Runtime::new().unwrap().run(async {
/// let printer = Printer::child("printer", 10);
/// let (handle, before) = (printer.handle(), dead_letters());
/// let office = Supervisor::one_for_one("office").child(printer).start().await.unwrap();
/// assert_eq!(handle.print("a page".into()).await, Ok(9), "by the second incarnation");
/// assert_eq!(handle.shred().await, Err(CallError::Panicked));
/// assert_eq!(dead_letters(), before + 1);
/// # office.stop().await;
/// # });
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Poison {
    /// It is gone, and its asker is told. That it was is seen in the crash report.
    #[default]
    Drop,
    /// As `Drop`, and it is counted and told as a dead letter as well
    /// ([`DeadLetterReason::Poison`]), with its name: so that a tell leaves a trace.
    DeadLetter,
    /// The next incarnation begins with it, up to so many times, before what waits in the mailbox. Its
    /// asker waits on. After the last try it is a dead letter, and the asker is told.
    ///
    /// A copy is made before each try but the last ([`Message::spare`]). It is not tried again if
    /// no further incarnation comes, or if the supervisor
    /// [clears](crate::supervise::OnRestart::Clear) the mailbox: then it is a dead letter.
    Retry(u32),
}

/// Sets a copy of the message aside, if it is to be tried again after a crash.
#[inline(never)]
pub(super) fn set_aside<A: Actor>(cell: &Cell<A>, msg: &mut A::Msg) {
    let Poison::Retry(tries) = A::poison(msg.name()) else {
        return;
    };
    if cell.tries_begun() < tries
        && let Some(spare) = msg.spare()
    {
        cell.set_spare(spare);
    }
}

/// The actor has crashed in this handler.
#[cold]
pub(super) fn judge<A: Actor>(cell: &Cell<A>, handler: &'static str, crashed: Crashed) {
    if A::RETRIES
        && let Some(tries) = cell.retry(crashed)
    {
        let actor = cell.name();
        tracing::warn!(actor, message = handler, tries, "a message is tried again");
        return;
    }
    if A::poison(handler) != Poison::Drop {
        dead_letters::count(cell.name(), cell.id(), handler, DeadLetterReason::Poison);
    }
}

impl<A: Actor> Cell<A> {
    /// A message that crashed its actor is not tried again.
    pub(super) fn bury_returned(&self, returned: Returned<A::Msg>) {
        match returned.crashed {
            None => self.dead_letter(returned.msg, DeadLetterReason::Stopped),
            Some((crashed, _)) => {
                self.dead_letter_as(returned.msg, DeadLetterReason::Poison, crashed.answer());
            }
        }
    }

    /// The handler is done: its copy is not needed.
    pub(super) fn drop_spare(&self) {
        if let Some(spare) = self.take_spare()
            && let Err(panic) = caught(|| drop(spare))
        {
            tracing::error!(actor = self.name(), ?panic, "a message's Drop panicked");
        }
    }
}

impl<A: Actor> Ctx<A> {
    /// The copy of the message in work, with its reply. The code that `#[actor]` writes answers by it.
    #[doc(hidden)]
    #[must_use]
    pub fn take_spare(&self) -> Option<A::Msg> {
        self.cell().take_spare()
    }
}
