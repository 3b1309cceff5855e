//! A handler that waits for another actor, as an edge of the graph of who waits for whom.
//!
//! - Only the waits of actors (and of goroutines that have taken a lock) are edges: nobody else can be
//!   part of a cycle. For all others this costs a look at the running goroutine.
//! - An edge shares the other actor's cell with the goroutine's record, so that the walk may look at it
//!   whatever becomes of the waiting future; when it is dropped, it withdraws itself.
//! - A message that may be answered after its handler has returned is no way for a walk: what the actor is
//!   busy with need not be what is waited for. Nor is the wait for a concurrent handler, which may begin
//!   beside those that run; an exclusive one has to wait for all of them, so each of them is a way.
//!
//! The search itself is in `sched/lock_cycle.rs`.

use std::sync::Arc;
use std::task::Context;

use super::{Actor, Cell, Message};
use crate::sched::Deadlock;
use crate::sched::lock_cycle::{self, Target, WaitsFor};
use crate::sched::record::RecordRef;
use crate::sched::wait::{Wait, WaitKind};

pub(super) struct Edge<A: Actor> {
    who: RecordRef,
    to: Arc<Cell<A>>,
    message: &'static str,
}

impl<A: Actor> Edge<A> {
    /// The calling goroutine's wait for the answer to this message, if it could be part of a cycle.
    #[inline]
    pub(super) fn for_answer(to: &Arc<Cell<A>>, msg: &A::Msg) -> Option<Self> {
        let is_no_way = A::DEFERS_REPLIES && msg.defers_reply()
            || A::CONCURRENT && A::concurrency(msg).is_some();
        if is_no_way {
            return None;
        }
        Self::for_what_it_does(to, msg)
    }

    /// Its wait for room in the mailbox, which the actor makes between two handlers, whenever it
    /// answers; one with concurrent handlers may make it beside those that run.
    #[inline]
    pub(super) fn for_room(to: &Arc<Cell<A>>, msg: &A::Msg) -> Option<Self> {
        if A::CONCURRENT {
            return None;
        }
        Self::for_what_it_does(to, msg)
    }

    #[inline(always)]
    fn for_what_it_does(to: &Arc<Cell<A>>, msg: &A::Msg) -> Option<Self> {
        let who = lock_cycle::current_if_entangled();
        if who.is_nobody() {
            return None;
        }
        Some(Self {
            who,
            to: Arc::clone(to),
            message: msg.name(),
        })
    }

    fn waits_for(&self) -> WaitsFor {
        let to: Arc<dyn Target> = self.to.clone();
        WaitsFor::Actor(to, self.message)
    }

    /// The future waits, in this poll. Whoever polls is whoever waits, from now on.
    pub(super) fn waits(&mut self, cx: &Context<'_>) {
        let who = lock_cycle::current_if_entangled();
        if who != self.who {
            lock_cycle::withdraw(self.who, &self.waits_for());
            self.who = who;
        }
        lock_cycle::publish(self.who, self.waits_for());
        Wait::on(WaitKind::Actor, Arc::as_ptr(&self.to)).note(cx.waker());
    }

    /// The cycle that this wait has closed, if it has; told once.
    pub(super) fn verdict(&self) -> Option<Box<Deadlock>> {
        if self.who != lock_cycle::current_if_entangled() {
            return None; // it is for another
        }
        lock_cycle::verdict(self.who)
    }
}

impl<A: Actor> Drop for Edge<A> {
    fn drop(&mut self) {
        lock_cycle::withdraw(self.who, &self.waits_for());
    }
}

impl<A: Actor> Target for Cell<A> {
    fn handlers(&self) -> Vec<RecordRef> {
        self.life.records()
    }

    fn describe(&self) -> String {
        format!("{self:?}")
    }
}
