//! A handle whose actor's type is only known at run time: what the registry and groups keep.

use std::{
    any::{Any, type_name},
    fmt,
    hash::{Hash, Hasher},
    sync::Arc,
};

use super::{Actor, ActorId, ActorRef, Hold, Watchee};

/// The handle of an actor of whatever type, as found in lists of names and of group members.
///
/// [`downcast`](AnyRef::downcast) gives the typed handle back. It counts as a handle: an actor
/// without a supervisor lives while somebody holds one.
///
/// ```
/// use actor_core::{actor::registry, prelude::*};
///
/// struct Bank;
/// #[actor]
/// impl Bank {
///     #[init]
///     fn new() -> Self { Bank }
///     pub fn balance(&self) -> u64 { 7 }
/// }
///
/// # actor_core::Runtime::new().unwrap().run(async {
/// let bank = Bank::start().await.unwrap();
/// registry::register(&bank, "bank").unwrap();
/// for (name, actor) in registry::registered() {
///     assert_eq!((name.as_str(), actor.id()), ("bank", bank.id()));
///     let bank: BankRef = actor.downcast::<Bank>().unwrap();
///     assert_eq!(bank.balance().await, Ok(7));
/// }
/// # });
/// ```
#[derive(Clone)]
pub struct AnyRef(Arc<dyn AnyActor>);

trait AnyActor: Any + Send + Sync {
    fn id(&self) -> ActorId;
    fn name(&self) -> &str;
    fn type_name(&self) -> &'static str;
    fn is_stopped(&self) -> bool;
    fn hold(&self, key: u32, tie: Arc<dyn Hold>) -> bool;
    fn unhold(&self, key: u32);
    fn watchee(&self) -> Watchee;
    fn as_any(&self) -> &dyn Any;
}

impl<A: Actor> AnyActor for ActorRef<A> {
    fn id(&self) -> ActorId {
        self.id()
    }

    fn name(&self) -> &str {
        self.name()
    }

    fn type_name(&self) -> &'static str {
        type_name::<A>()
    }

    fn is_stopped(&self) -> bool {
        self.is_stopped()
    }

    fn hold(&self, key: u32, tie: Arc<dyn Hold>) -> bool {
        self.cell().life.hold(key, tie)
    }

    fn unhold(&self, key: u32) {
        self.cell().life.unhold(key);
    }

    fn watchee(&self) -> Watchee {
        Watchee(self.peer())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl AnyRef {
    /// The handle of any actor, its type forgotten.
    #[must_use]
    pub fn of<A: Actor>(handle: &impl AsRef<ActorRef<A>>) -> Self {
        Self::new(handle.as_ref().clone())
    }

    pub(crate) fn new<A: Actor>(handle: ActorRef<A>) -> Self {
        Self(Arc::new(handle))
    }

    /// The actor's id.
    #[must_use]
    pub fn id(&self) -> ActorId {
        self.0.id()
    }

    /// The actor's name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.name()
    }

    /// The actor's Rust type, with its path.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        self.0.type_name()
    }

    /// True once it has ended and nothing is about to start it again.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.0.is_stopped()
    }

    /// The typed handle, if it is an actor of this type.
    #[must_use]
    pub fn downcast<A: Actor>(&self) -> Option<A::Handle> {
        let handle = self.0.as_any().downcast_ref::<ActorRef<A>>()?;
        Some(handle.clone().into())
    }

    pub(super) fn watchee(&self) -> Watchee {
        self.0.watchee()
    }

    /// Ties something to the actor's life; false when it is over.
    #[must_use]
    pub(super) fn hold(&self, key: u32, tie: Arc<dyn Hold>) -> bool {
        self.0.hold(key, tie)
    }

    pub(super) fn unhold(&self, key: u32) {
        self.0.unhold(key);
    }
}

impl fmt::Debug for AnyRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}: {}", self.name(), self.id(), self.type_name())
    }
}

impl PartialEq for AnyRef {
    fn eq(&self, other: &Self) -> bool {
        self.id() == other.id()
    }
}

impl Eq for AnyRef {}

impl Hash for AnyRef {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id().hash(state);
    }
}
