//! A stand-in for an actor: its handle, its mailbox, and instead of its code somebody who gets the
//! messages.
//!
//! It lives like an actor without a supervisor: it ends when it is stopped, killed, or when its last
//! handle is dropped, and its monitors and links are told. It ignores the ends of others, its time
//! limits and its batches, and has no hooks and no ticks.

use std::{
    future::{Future, poll_fn},
    sync::Arc,
    task::{Context, Poll},
};

use super::{Actor, ActorRef, Cell, ExitReason, StopReason};
use crate::{chan::MailboxReceiver, sched::go_for};

/// Starts one. `deliver` is given each message, and the next one when its future is done; when that
/// says false it stops. A message that is dropped is one that was not answered.
pub(crate) fn stand_in<A, F, Fut>(name: &str, mut deliver: F) -> A::Handle
where
    A: Actor,
    F: FnMut(A::Msg) -> Fut + Send + 'static,
    Fut: Future<Output = bool> + Send,
{
    let cell = Cell::<A>::new(name, false);
    let handle = ActorRef::new(Arc::clone(&cell));
    cell.begin();
    let mut end = End(Some(Arc::clone(&cell)));
    let goroutine = go_for::<A, _>(async move {
        // A local of this block, and dropped before what it captures.
        let mut deliver = move |msg| deliver(msg);
        let cell = Arc::clone(end.0.as_ref().expect("there until the end is told"));
        cell.life.running();
        let mut inbox = cell.mailbox.receiver();
        while let Some(msg) = poll_fn(|cx| poll_next(&cell, &mut inbox, cx)).await {
            if !deliver(msg).await {
                break;
            }
        }
        drop(inbox);
        end.tell(match cell.control.why() {
            StopReason::Supervisor => ExitReason::Shutdown,
            _ => match cell.life.stop_cause() {
                Some(cause) => ExitReason::ShutdownWith { cause },
                None => ExitReason::Normal,
            },
        });
    });
    cell.life.spawned(goroutine.abort_handle());
    handle.into()
}

/// The next message; `None` when it is to stop.
fn poll_next<A: Actor>(
    cell: &Cell<A>,
    inbox: &mut MailboxReceiver<'_, A::Msg>,
    cx: &mut Context<'_>,
) -> Poll<Option<A::Msg>> {
    if cell.control.stop_now() {
        return Poll::Ready(None);
    }
    match inbox.poll_recv(cx) {
        // The waker is registered now; who asked for a stop before that had nobody to wake.
        Poll::Pending if cell.control.stop_now() => Poll::Ready(None),
        polled => polled,
    }
}

/// Tells the end, also of one that is killed.
struct End<A: Actor>(Option<Arc<Cell<A>>>);

impl<A: Actor> End<A> {
    fn tell(&mut self, reason: ExitReason) {
        if let Some(cell) = self.0.take() {
            cell.ended(&reason);
        }
    }
}

impl<A: Actor> Drop for End<A> {
    fn drop(&mut self) {
        if let Some(cell) = &self.0 {
            let reason = cell.life.doom();
            self.tell(reason);
        }
    }
}
