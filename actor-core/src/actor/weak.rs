//! A handle that does not count: it names an actor, and becomes a real handle while there is one.
//!
//! - It holds the cell, not the actor: id and name stay known after the end.
//! - `upgrade` counts the handle only if the actor is not on its way out for want of handles
//!   (`Cell::handle_made_from_weak`), so a handle that it gives can send, or learns that somebody
//!   else asked the actor to stop.

use std::{
    fmt,
    hash::{Hash, Hasher},
    sync::Arc,
};

use super::{Actor, ActorId, ActorRef, Cell};

/// A weak handle: it does not keep an unsupervised actor alive. As `std::sync::Weak` is to `Arc`.
///
/// Made by [`ActorRef::downgrade`] and [`Ctx::weak`](super::Ctx::weak). Two are equal when they
/// mean the same actor.
///
/// ```
/// use actor_core::prelude::*;
///
/// struct Cache;
/// #[actor]
/// impl Cache {
///     #[init]
///     fn new() -> Self { Cache }
///     pub fn ping(&mut self) {}
/// }
///
/// # actor_core::Runtime::new().unwrap().block_on(async {
/// let cache = Cache::start().await.unwrap();
/// let weak = cache.downgrade();
/// weak.upgrade().expect("there is a handle").ping().await.unwrap();
/// let ended = cache.wait();
/// drop(cache); // the last one: the actor stops
/// ended.await;
/// assert!(weak.upgrade().is_none());
/// # });
/// ```
pub struct WeakRef<A: Actor> {
    cell: Arc<Cell<A>>,
}

impl<A: Actor> WeakRef<A> {
    pub(super) fn new(cell: Arc<Cell<A>>) -> Self {
        Self { cell }
    }

    /// A handle, which keeps the actor alive; `None` if it has ended for good, or is about to
    /// because its last handle is gone.
    #[must_use]
    pub fn upgrade(&self) -> Option<A::Handle> {
        ActorRef::from_weak(&self.cell).map(A::Handle::from)
    }

    /// The actor's id.
    #[must_use]
    pub fn id(&self) -> ActorId {
        self.cell.id()
    }

    /// The actor's name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.cell.name()
    }
}

impl<A: Actor> Clone for WeakRef<A> {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.cell))
    }
}

impl<A: Actor> fmt::Debug for WeakRef<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "weak {:?}", self.cell)
    }
}

impl<A: Actor> PartialEq for WeakRef<A> {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.cell, &other.cell)
    }
}

impl<A: Actor> Eq for WeakRef<A> {}

impl<A: Actor> Hash for WeakRef<A> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.cell.id().hash(state);
    }
}
