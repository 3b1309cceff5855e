//! Actors of which a runtime has one: started by whoever asks first, found by everybody else.
//!
//! - One flight per type (`SingleFlight`): however many race, one start is under way, and all of
//!   them get its handle or its error. An error is not kept: the next to ask tries again.
//! - Who asks takes part in the flight through a goroutine, so that no start is called off with the
//!   future that asked for it: what it has started would still be dying, with the name, when the
//!   next one starts.
//! - Each has a supervisor of its own, so one that crashes too often takes none of the others with
//!   it. Such a one is dead; the next to ask starts another.
//! - The table is the runtime's: another runtime has other instances, and its end clears them.

use std::any::{TypeId, type_name};

use dashmap::DashMap;

use super::{Child, Supervisor};
use crate::{
    actor::{Actor, ActorRef, AnyRef, ExitReason, StartError},
    sched::{attached::of_runtime, go},
    sync::SingleFlight,
};

#[derive(Default)]
struct Singletons {
    known: DashMap<TypeId, AnyRef>,
    starts: SingleFlight<TypeId, Result<AnyRef, StartError>>,
}

impl Singletons {
    fn find(&self, id: TypeId) -> Option<AnyRef> {
        let found = self.known.get(&id).map(|actor| actor.clone());
        found.filter(|actor| !actor.is_stopped())
    }

    async fn start<A: Actor<Args = ()>>(&self) -> Result<AnyRef, StartError> {
        let id = TypeId::of::<A>();
        // Started between this caller's look and its flight?
        if let Some(known) = self.find(id) {
            return Ok(known);
        }
        let child = Child::<A>::new(A::NAME, || ()).register(type_name::<A>());
        let actor: ActorRef<A> = child.actor_ref();
        let supervisor = Supervisor::one_for_one(format!("singleton {}", A::NAME))
            .child(child)
            .start()
            .await
            .map_err(|error| match error.reason() {
                ExitReason::ChildFailed { reason, .. } => {
                    StartError::new(A::NAME, (**reason).clone())
                }
                _ => error,
            })?;
        if actor.is_stopped() && actor.wait().await == ExitReason::Ignored {
            supervisor.stop().await;
            return Err(StartError::new(A::NAME, ExitReason::Ignored));
        }
        let actor = AnyRef::new(actor);
        let former = self.known.insert(id, actor.clone());
        drop(former);
        Ok(actor)
    }
}

/// The one instance of this actor in the runtime, started now if there is none: what
/// `Metrics::instance()` of a `#[actor(singleton)]` calls.
///
/// It is started exactly once, however many race for it, under a supervisor of its own (permanent,
/// 3 restarts in 5 s): after a crash it is up again, and the handle stays valid. It lives until the
/// runtime ends, and is registered by the name of its type, with its path
/// ([`registered`](crate::actor::registry::registered) lists it). One whose supervisor has given up
/// is dead; the next call starts another. A start goes on when the future of who asked is dropped.
///
/// An `init` that asks for its own instance waits for itself.
///
/// # Errors
/// [`StartError`] when its `init` fails, or says "not now": all who have waited get it, and the next call tries again.
///
/// # Panics
/// Outside of a runtime.
///
/// ```
/// use actor_core::prelude::*;
///
/// struct Metrics {
///     hits: u64,
/// }
///
/// #[actor(singleton)]
/// impl Metrics {
///     #[init]
///     fn new() -> Self { Metrics { hits: 0 } }
///     pub fn hit(&mut self) -> u64 {
///         self.hits += 1;
///         self.hits
///     }
/// }
///
/// # actor_core::Runtime::new().unwrap().run(async {
/// assert_eq!(Metrics::instance().await.unwrap().hit().await, Ok(1));
/// assert_eq!(Metrics::instance().await.unwrap().hit().await, Ok(2));
/// # });
/// ```
pub async fn instance<A: Actor<Args = ()>>() -> Result<A::Handle, StartError> {
    let all = of_runtime::<Singletons>();
    let id = TypeId::of::<A>();
    let actor = match all.find(id) {
        Some(known) => known,
        None => {
            let flight = async move { all.starts.do_call(id, || all.start::<A>()).await.0 };
            match go(flight).await {
                Ok(started) => started?,
                // The runtime ends.
                Err(_) => return Err(StartError::new(A::NAME, ExitReason::Killed)),
            }
        }
    };
    let handle = actor.downcast::<A>();
    Ok(handle.expect("it was put in under its own type"))
}
