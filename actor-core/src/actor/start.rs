//! Starting an actor that no supervisor owns.

use std::{future::poll_fn, sync::Arc};

use super::{Actor, ActorRef, Cell, ExitReason, Phase, StartError, incarnation, life::State};

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
    let is_running = poll_fn(|cx| {
        cell.life.poll_until(&mut key, cx, |s| match s.phase() {
            Phase::Running => Some(true),
            Phase::Dead => Some(false),
            Phase::Idle | Phase::Starting | Phase::Down => None,
        })
    })
    .await;
    unfinished.0 = None;
    if !is_running {
        let reason = cell.life.look(State::last_exit);
        // It ran and ended already, in order: the handle tells the rest.
        let has_run = reason.is_orderly() && reason != ExitReason::Ignored;
        if !has_run {
            return Err(StartError::new(name, reason));
        }
    }
    Ok(handle.into())
}

struct KillOnDrop<'a, A: Actor>(Option<&'a Arc<Cell<A>>>);

impl<A: Actor> Drop for KillOnDrop<'_, A> {
    fn drop(&mut self) {
        if let Some(cell) = self.0 {
            cell.life.kill();
        }
    }
}
