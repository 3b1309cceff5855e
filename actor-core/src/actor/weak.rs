//! A handle that does not count: it names an actor, and becomes a real handle while there is one.
//!
//! - It holds the cell, not the actor: id and name stay known after the end.
//! - Of a protocol's handle, whose actor has no type here, it is a function that upgrades.
//! - `upgrade` counts the handle only if the actor is not on its way out for want of handles
//!   (`Cell::handle_made_from_weak`), so a handle that it gives can send, or learns that somebody
//!   else asked the actor to stop.

use std::{
    fmt,
    hash::{Hash, Hasher},
    sync::Arc,
};

use super::{Actor, ActorId, ActorRef, AnyActor, Cell};

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

/// A weak handle of a protocol: as a [`WeakRef`], of an actor whose type is not known here. Made by
/// the `downgrade` of a [`protocol`](macro@crate::protocol)'s handle `H`.
///
/// A mock lives as long as there is a handle of it. Two are equal when they mean the same actor, or the
/// same mock.
///
/// ```
/// use actor_core::prelude::*;
///
/// #[protocol]
/// pub trait Clock {
///     fn now(&self) -> u64;
/// }
///
/// struct Stopwatch;
/// #[actor(protocol = Clock)]
/// impl Stopwatch {
///     #[init]
///     fn new() -> Self { Stopwatch }
///     pub fn now(&mut self) -> u64 { 7 }
/// }
///
/// # actor_core::Runtime::new().unwrap().block_on(async {
/// let clock: ClockRef = Stopwatch::start().await.unwrap().into();
/// let weak = clock.downgrade();
/// assert_eq!(weak.upgrade().expect("there is a handle").now().await, Ok(7));
/// let ended = clock.actor().unwrap().wait();
/// drop(clock); // the last one: the actor stops
/// ended.await;
/// assert!(weak.upgrade().is_none());
/// # });
/// ```
pub struct WeakProtocol<H> {
    target: Target,
    upgrade: Arc<dyn Fn() -> Option<H> + Send + Sync>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Target {
    Actor(ActorId, Arc<str>),
    /// Its address, which nobody else has while this is here.
    Mock(usize),
}

impl<H> WeakProtocol<H> {
    /// Used by the code that `#[protocol]` writes. `mock` is the target's address.
    #[doc(hidden)]
    pub fn new(
        actor: Option<&dyn AnyActor>,
        mock: usize,
        upgrade: impl Fn() -> Option<H> + Send + Sync + 'static,
    ) -> Self {
        Self {
            target: actor.map_or(Target::Mock(mock), |actor| {
                Target::Actor(actor.id(), actor.name().into())
            }),
            upgrade: Arc::new(upgrade),
        }
    }

    /// A handle, which keeps the actor alive; `None` if it has ended for good, or is about to because
    /// its last handle is gone.
    #[must_use]
    pub fn upgrade(&self) -> Option<H> {
        (self.upgrade)()
    }

    /// The actor's id; `None` for a mock.
    #[must_use]
    pub fn id(&self) -> Option<ActorId> {
        match self.target {
            Target::Actor(id, _) => Some(id),
            Target::Mock(_) => None,
        }
    }
}

impl<H> Clone for WeakProtocol<H> {
    fn clone(&self) -> Self {
        Self {
            target: self.target.clone(),
            upgrade: Arc::clone(&self.upgrade),
        }
    }
}

impl<H> fmt::Debug for WeakProtocol<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.target {
            Target::Actor(id, name) => write!(f, "weak {name}#{id}"),
            Target::Mock(_) => f.write_str("weak handle of a mock"),
        }
    }
}

impl<H> PartialEq for WeakProtocol<H> {
    fn eq(&self, other: &Self) -> bool {
        self.target == other.target
    }
}

impl<H> Eq for WeakProtocol<H> {}

impl<H> Hash for WeakProtocol<H> {
    fn hash<S: Hasher>(&self, state: &mut S) {
        self.target.hash(state);
    }
}
