//! Starting an actor that no supervisor owns.

use std::{future::poll_fn, sync::Arc};

use super::{Actor, ActorRef, Cell, ExitReason, Phase, StartError, incarnation};

/// Starts an actor without a supervisor and waits until its `init` has returned.
///
/// It ends when it is stopped, killed, panics, or when the last handle is dropped. Nobody restarts
/// it: to keep it alive, make it a [`Child`](crate::supervise::Child) of a supervisor. Dropping
/// this future before it is ready kills the actor that was starting.
///
/// # Errors
/// [`StartError`] with `init`'s error, or with its panic, or because it said "not now"
/// ([`is_ignored`](StartError::is_ignored)).
///
/// # Panics
/// Outside of a runtime.
///
/// See [`Actor`] for an example.
pub async fn start<A: Actor>(name: &str, args: A::Args) -> Result<A::Handle, StartError> {
    let cell = Cell::<A>::new(name, false);
    let handle = ActorRef::new(Arc::clone(&cell));
    let mut unfinished = KillOnDrop(Some(&cell));
    incarnation::spawn(&cell, args, ());
    let mut key = None;
    let started = poll_fn(|cx| {
        cell.life.poll_until(&mut key, cx, |s| match s.phase() {
            Phase::Running => Some(Ok(())),
            // It ran and ended already, in order: the handle tells the rest.
            Phase::Dead => Some(match s.last_exit() {
                reason if reason.is_orderly() && reason != ExitReason::Ignored => Ok(()),
                reason => Err(reason),
            }),
            Phase::Idle | Phase::Starting | Phase::Down => None,
        })
    })
    .await;
    unfinished.0 = None;
    match started {
        Ok(()) => Ok(handle.into()),
        Err(reason) => Err(StartError::new(name, reason)),
    }
}

struct KillOnDrop<'a, A: Actor>(Option<&'a Arc<Cell<A>>>);

impl<A: Actor> Drop for KillOnDrop<'_, A> {
    fn drop(&mut self) {
        if let Some(cell) = self.0 {
            cell.life.kill();
        }
    }
}
