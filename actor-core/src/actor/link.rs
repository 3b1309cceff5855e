//! Links and monitors as an actor's own code makes them. Erlang's `link/1` and `monitor/2`.
//!
//! What they do is in `ties`; here is what users call, and what a trapping actor is told.

use std::{error::Error, fmt, sync::Arc};

use super::{
    Actor, ActorId, ActorRef, AnyActor, AnyRef, Ctx, ExitReason, MonitorId,
    ties::{self, Peer},
};

/// The end of a linked actor, as an actor that traps exits is told: Erlang's `{'EXIT', From,
/// Reason}` message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exited {
    /// The actor that ended.
    pub id: ActorId,
    /// Its name.
    pub name: Arc<str>,
    /// Which of its lives; 0 if it was never started.
    pub incarnation: u64,
    /// How it ended; [`NoProc`](ExitReason::NoProc) if it did not live when it was linked.
    pub reason: ExitReason,
}

impl fmt::Display for Exited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{} {}", self.name, self.id, self.reason)
    }
}

/// The actor to link with does not live: Erlang's `noproc`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoProc;

impl fmt::Display for NoProc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("there is no live actor to link with: it has ended, or was not started yet")
    }
}

impl Error for NoProc {}

/// What can be monitored and linked with: any actor's handle, typed or not, and a
/// [`SupervisorRef`](crate::supervise::SupervisorRef).
///
/// `Of` is the actor's type, or that of the handle itself; the compiler finds it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is nothing that could be monitored or linked with",
    note = "take the handle of an actor, of whatever type, or of a supervisor"
)]
pub trait Watched<Of: ?Sized> {
    #[doc(hidden)]
    fn watched(&self) -> Watchee;
}

/// Who is watched. Made by [`Watched`].
#[doc(hidden)]
pub struct Watchee(pub(crate) Arc<dyn Peer>);

impl fmt::Debug for Watchee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.0.name(), self.0.id())
    }
}

impl<A: Actor, H: AsRef<ActorRef<A>> + ?Sized> Watched<A> for H {
    fn watched(&self) -> Watchee {
        Watchee(self.as_ref().peer())
    }
}

impl Watched<AnyRef> for AnyRef {
    fn watched(&self) -> Watchee {
        self.watchee()
    }
}

impl Watched<dyn AnyActor> for dyn AnyActor + '_ {
    fn watched(&self) -> Watchee {
        self.watchee()
    }
}

impl<A: Actor> Ctx<A> {
    /// Watches another actor, one way: its end comes as a [`Down`](super::Down) to the `#[down]`
    /// method ([`Actor::down`]), before messages that wait in the mailbox. Erlang's `monitor/2`.
    ///
    /// The monitor belongs to the incarnation that lives now, so a restart of the other ends it
    /// with a `Down`. Between two incarnations (in a backoff, say) it belongs to the next one; so
    /// `#[down]` may monitor the actor again. If none is to come, a `Down` with
    /// [`NoProc`](ExitReason::NoProc) comes at once.
    ///
    /// Monitors add up: two of the same actor bring two `Down`s. They end with this incarnation.
    /// An actor that watches itself is never told.
    ///
    /// A supervisor can be watched as well. Anybody who is no actor uses [`ActorRef::monitor`].
    ///
    /// ```
    /// # use actor_core::actor::{Actor, Ctx, ActorRef, MonitorId};
    /// fn watch<A: Actor, B: Actor>(ctx: &Ctx<A>, other: &ActorRef<B>) -> MonitorId {
    ///     ctx.monitor(other)
    /// }
    /// ```
    pub fn monitor<Of: ?Sized>(&self, other: &(impl Watched<Of> + ?Sized)) -> MonitorId {
        ties::watch(&self.peer(), &other.watched().0)
    }

    /// Takes a monitor away, also if its `Down` has come and was not handled yet: after this call
    /// the `#[down]` method doesn't see it. Erlang's `demonitor(Ref, [flush])`. True if there was
    /// something to take away.
    pub fn demonitor(&self, monitor: MonitorId) -> bool {
        ties::unwatch(self.cell(), monitor)
    }

    /// Ties this actor and another together: when one ends other than
    /// [`Normal`](ExitReason::Normal), the other is ended as by a kill, with the exit reason
    /// [`Linked`](ExitReason::Linked). Erlang's `link/1`.
    ///
    /// An actor with an `#[exit]` method ([`Actor::TRAPS_EXITS`]) is not ended: it is told there of
    /// every end, `Normal` included, before messages that wait in the mailbox. The exit is sent
    /// when the state of the actor that ended is dropped. A link is between the incarnations that
    /// live now; linking twice is linking once, and linking to itself does nothing.
    ///
    /// A supervisor can be linked with, too: its end (that it gave up, say) concerns this actor. It traps
    /// exits and heeds none of them, as OTP's, so this actor's end does not concern it.
    ///
    /// # Errors
    /// [`NoProc`] if the other doesn't live and this actor doesn't trap exits; one that does is
    /// told by its `#[exit]` method instead.
    ///
    /// ```
    /// # use actor_core::actor::{Actor, Ctx, ActorRef};
    /// fn share_fate<A: Actor, B: Actor>(ctx: &Ctx<A>, other: &ActorRef<B>) {
    ///     if let Err(error) = ctx.link(other) {
    ///         println!("not linked: {error}");
    ///     }
    /// }
    /// ```
    pub fn link<Of: ?Sized>(&self, other: &(impl Watched<Of> + ?Sized)) -> Result<(), NoProc> {
        ties::link(&self.peer(), &other.watched().0)
    }

    /// Takes a link away, whichever side made it, and with it an exit that has come and was not
    /// handled yet. After this call the other's end has no effect here, nor this one's there.
    /// Erlang's `unlink/1`, with a flush. True if there was something to take away.
    pub fn unlink<Of: ?Sized>(&self, other: &(impl Watched<Of> + ?Sized)) -> bool {
        ties::unlink(self.cell(), &*other.watched().0)
    }
}
