//! What an actor's own code can know and do about its actor.

use std::{fmt, sync::Arc};

use super::{Actor, ActorId, ActorRef, Cell, StopReason, WeakRef, ties::Peer};

/// The actor's view of itself, given to `init`, every handler that asks for it, and the stop hook.
///
/// ```
/// # use actor_core::actor::{Actor, Ctx};
/// fn log_line<A: Actor>(ctx: &Ctx<A>) -> String {
///     format!("{}#{} life {}", ctx.name(), ctx.id(), ctx.incarnation())
/// }
/// ```
pub struct Ctx<A: Actor> {
    cell: Arc<Cell<A>>,
}

impl<A: Actor> Ctx<A> {
    pub(super) fn new(cell: Arc<Cell<A>>) -> Self {
        Self { cell }
    }

    #[inline]
    pub(super) fn cell(&self) -> &Cell<A> {
        &self.cell
    }

    pub(super) fn shared_cell(&self) -> Arc<Cell<A>> {
        Arc::clone(&self.cell)
    }

    pub(super) fn peer(&self) -> Arc<dyn Peer> {
        Arc::clone(&self.cell) as Arc<dyn Peer>
    }

    /// A weak handle to this actor: one that it may keep in its state and yet stop when nobody else
    /// has a handle.
    #[must_use]
    pub fn weak(&self) -> WeakRef<A> {
        WeakRef::new(Arc::clone(&self.cell))
    }

    /// A handle to this actor, for others to call it.
    ///
    /// An actor that keeps its own handle in its state keeps itself alive: without a supervisor it
    /// stops when the last handle is gone (keep [`weak`](Ctx::weak) instead). A handler that awaits an
    /// ask to its own actor gets [`CallError::Deadlock`](super::CallError::Deadlock), unless the ask has
    /// a timeout, or the method asked takes its `Reply` (or is `#[batch]`): such waits close no cycle,
    /// and this one ends by its timeout or never. (A concurrent handler may ask for another one.)
    #[must_use]
    pub fn handle(&self) -> A::Handle {
        ActorRef::new(Arc::clone(&self.cell)).into()
    }

    /// The actor's name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.cell.name()
    }

    /// The actor's id, the same in all its incarnations.
    #[must_use]
    pub fn id(&self) -> ActorId {
        self.cell.id()
    }

    /// Which life this is: 1 for the first, one more after each restart.
    #[must_use]
    pub fn incarnation(&self) -> u64 {
        u64::from(self.cell.life.look(|s| s.incarnation()))
    }

    /// Asks this actor to stop: no new messages, the queued ones are handled, then the stop hook
    /// runs. The exit reason is `Normal`, so a permanent child is started again.
    pub fn stop(&self) {
        self.cell.request_stop(StopReason::Requested, false);
    }

    /// As [`stop`](Ctx::stop), with the exit reason
    /// [`ShutdownWith`](super::ExitReason::ShutdownWith) this cause. See
    /// [`ActorRef::stop_with`].
    pub fn stop_with(&self, cause: impl Into<String>) {
        self.cell.request_stop_with(cause.into());
    }

    /// The cause that [`stop_with`](ActorRef::stop_with) gave, for the stop hook to look at.
    #[must_use]
    pub fn stop_cause(&self) -> Option<String> {
        self.cell.life.stop_cause()
    }
}

impl<A: Actor> fmt::Debug for Ctx<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Ctx").field(&self.cell).finish()
    }
}
