//! Names of actors: one table per runtime, from a name to a handle and its type.
//!
//! Protocol of a registration, without a lock over both sides:
//! 1. Put the entry into the table; the map's entry is what makes it atomic. Taken: give up, unless
//!    the holder is dead, whose entry is about to go: take it out and try again.
//! 2. Hold it on behalf of the actor's life. If that is over, take the entry out again.
//!
//! At the end the life cuts its ties before it tells anybody: who has waited for the end finds the
//! name free. In the moment between 1 and 2 of an actor that dies just then, its entry is there and
//! looks dead; whoever finds it takes it for a miss.
//!
//! - An entry holds a real handle: what can be found is alive. Names go with the runtime.
//! - No shard of the map is locked while a handle is dropped (which may wake senders) or made.

use std::{any::type_name, error::Error, fmt, sync::Arc};

use dashmap::{DashMap, mapref::entry::Entry as Place};

use super::{Actor, ActorRef, AnyRef, Cell, ExitReason, Hold, life::next_key};
use crate::sched::attached::of_runtime;

#[derive(Default)]
struct Names {
    taken: DashMap<Arc<str>, Entry>,
}

#[derive(Clone)]
struct Entry {
    actor: AnyRef,
    key: u32,
}

/// What the life of a registered actor holds.
struct NameHold {
    names: std::sync::Weak<Names>,
    name: Arc<str>,
    key: u32,
}

impl Hold for NameHold {
    fn let_go(&self) {
        if let Some(names) = self.names.upgrade() {
            names.remove_of(&self.name, self.key);
        }
    }
}

impl Names {
    fn claim(self: &Arc<Self>, actor: AnyRef, name: &Arc<str>) -> Result<(), RegisterError> {
        let key = next_key();
        let entry = Entry { actor, key };
        loop {
            let Err(holder) = self.put(name, &entry) else {
                break;
            };
            if holder.actor.id() == entry.actor.id() {
                return Ok(());
            }
            if !holder.actor.is_stopped() {
                return Err(RegisterError::Taken {
                    name: name.to_string(),
                    holder: holder.actor,
                });
            }
            self.remove_of(name, holder.key);
        }
        let tie = Arc::new(NameHold {
            names: Arc::downgrade(self),
            name: Arc::clone(name),
            key,
        });
        if entry.actor.hold(key, tie) {
            return Ok(());
        }
        self.remove_of(name, key);
        Err(RegisterError::Stopped {
            name: name.to_string(),
        })
    }

    /// Puts it in, or gives a copy of the one that is there.
    fn put(&self, name: &Arc<str>, entry: &Entry) -> Result<(), Entry> {
        match self.taken.entry(Arc::clone(name)) {
            Place::Occupied(place) => Err(place.get().clone()),
            Place::Vacant(place) => {
                place.insert(entry.clone());
                Ok(())
            }
        }
    }

    fn find(&self, name: &str) -> Option<Entry> {
        let found = self.taken.get(name).map(|entry| entry.clone());
        found.filter(|entry| !entry.actor.is_stopped())
    }

    /// Removes the entry of one registration; a later one of the same name stays.
    fn remove_of(&self, name: &str, key: u32) {
        let removed = self.taken.remove_if(name, |_, entry| entry.key == key);
        drop(removed);
    }
}

/// For a child that is about to start: the name is its own, or it doesn't start.
pub(super) fn claim<A: Actor>(cell: &Arc<Cell<A>>, name: &Arc<str>) -> Result<(), RegisterError> {
    let actor = AnyRef::new(ActorRef::new(Arc::clone(cell)));
    of_runtime::<Names>().claim(actor, name)
}

/// Gives an actor a name in this runtime, by which [`whereis`] finds it. Erlang's `register`.
///
/// The name is the actor's until it ends for good or is [`unregister`]ed: it survives restarts, and
/// whoever has waited for the actor's end finds it free. (With `wait`, that is: what `stop` and
/// `kill` return is the end of one incarnation, and a supervisor has yet to decide.) An actor may have several names;
/// registering it again under one that it has changes nothing. A name is a handle: an actor without
/// a supervisor isn't stopped for want of one while it has a name.
///
/// Each runtime has names of its own. To register a supervised actor before its `init` runs, and
/// never to run it without the name, use [`Child::register`](crate::supervise::Child::register).
///
/// # Errors
/// [`RegisterError::Taken`] with the holder when another actor has the name,
/// [`RegisterError::Stopped`] when this one has ended.
///
/// # Panics
/// Outside of a runtime.
///
/// ```
/// use actor_core::actor::registry::{self, LookupError, RegisterError};
/// use actor_core::prelude::*;
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
/// assert_eq!(registry::whereis::<Bank>("bank").unwrap().balance().await, Ok(7));
///
/// let second = Bank::start().await.unwrap();
/// match registry::register(&second, "bank") {
///     Err(RegisterError::Taken { holder, .. }) => assert_eq!(holder.id(), bank.id()),
///     other => panic!("{other:?}"),
/// }
///
/// bank.stop().await;
/// assert!(matches!(registry::whereis::<Bank>("bank"), Err(LookupError::NotFound { .. })));
/// # });
/// ```
#[track_caller]
pub fn register<A: Actor>(
    handle: &impl AsRef<ActorRef<A>>,
    name: impl Into<Arc<str>>,
) -> Result<(), RegisterError> {
    let actor = AnyRef::new(handle.as_ref().clone());
    of_runtime::<Names>().claim(actor, &name.into())
}

/// Finds the actor of this name, and gives its typed handle. Erlang's `whereis`.
///
/// An actor that is being restarted is found; what is sent to it waits.
///
/// # Errors
/// [`LookupError::NotFound`]; [`LookupError::WrongType`] when the actor of this name is of another
/// type.
///
/// # Panics
/// Outside of a runtime.
///
/// See [`register`] for an example.
#[track_caller]
pub fn whereis<A: Actor>(name: &str) -> Result<A::Handle, LookupError> {
    let Some(found) = of_runtime::<Names>().find(name) else {
        return Err(LookupError::NotFound {
            name: name.to_owned(),
        });
    };
    found
        .actor
        .downcast::<A>()
        .ok_or_else(|| LookupError::WrongType {
            name: name.to_owned(),
            wanted: type_name::<A>(),
            found: found.actor.type_name(),
        })
}

/// Frees a name, and says whose it was. The actor itself is not touched, except that one without a
/// supervisor stops if this was its last handle. Erlang's `unregister`.
///
/// # Panics
/// Outside of a runtime.
///
/// ```
/// use actor_core::actor::registry;
/// # actor_core::Runtime::new().unwrap().run(async {
/// assert!(registry::unregister("nobody").is_none());
/// # });
/// ```
#[track_caller]
pub fn unregister(name: &str) -> Option<AnyRef> {
    let (_, entry) = of_runtime::<Names>().taken.remove(name)?;
    entry.actor.unhold(entry.key);
    Some(entry.actor)
}

/// All names of this runtime with their actors, sorted by name. Erlang's `registered`.
///
/// A moment's view: names may come and go while it is made.
///
/// # Panics
/// Outside of a runtime.
///
/// See [`AnyRef`] for an example.
#[must_use]
#[track_caller]
pub fn registered() -> Vec<(String, AnyRef)> {
    let names = of_runtime::<Names>();
    let mut all: Vec<_> = names
        .taken
        .iter()
        .map(|entry| (entry.key().to_string(), entry.actor.clone()))
        .collect();
    all.retain(|(_, actor)| !actor.is_stopped());
    all.sort_by(|(a, _), (b, _)| a.cmp(b));
    all
}

/// Why an actor did not get a name.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegisterError {
    /// Another actor has the name: OTP's `already_started`.
    Taken {
        /// The name.
        name: String,
        /// Who has it.
        holder: AnyRef,
    },
    /// The actor that was to be registered has ended for good.
    Stopped {
        /// The name it was to have.
        name: String,
    },
}

impl RegisterError {
    pub(super) fn into_exit_reason(self) -> ExitReason {
        match self {
            Self::Taken { name, holder } => ExitReason::NameTaken {
                name,
                holder: holder.id(),
            },
            Self::Stopped { .. } => ExitReason::Shutdown,
        }
    }
}

impl fmt::Display for RegisterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Taken { name, holder } => write!(
                f,
                "the name \"{name}\" is already taken by {holder:?}; unregister it or use another"
            ),
            Self::Stopped { name } => write!(
                f,
                "an actor that is stopped can't be registered as \"{name}\"; start it first"
            ),
        }
    }
}

impl Error for RegisterError {}

/// Why a name did not lead to an actor.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum LookupError {
    /// No living actor has the name.
    NotFound {
        /// The name.
        name: String,
    },
    /// The actor of this name is of another type than was asked for.
    WrongType {
        /// The name.
        name: String,
        /// The type that was asked for.
        wanted: &'static str,
        /// The type of the actor that has the name.
        found: &'static str,
    },
}

impl fmt::Display for LookupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound { name } => write!(f, "no actor is registered as \"{name}\""),
            Self::WrongType {
                name,
                wanted,
                found,
            } => write!(
                f,
                "the actor registered as \"{name}\" is a `{found}`, not a `{wanted}`; ask for the \
                 type that was registered"
            ),
        }
    }
}

impl Error for LookupError {}
