//! What a simulation does to messages: where the actor layer asks its director.
//!
//! Each of these is behind one look at a thread-local, and does nothing outside of simulations.

use std::task::Context;

use super::{Actor, Cell, Ctx, Message};
use crate::sched::simulated::{self, Delivered, Fate};
use crate::sched::sleep;

/// A message is about to go to its handler. It may come late, or its handler may panic.
pub(super) async fn deliver<A: Actor>(msg: A::Msg, ctx: &Ctx<A>) -> A::Msg {
    match fate(&msg, ctx) {
        Fate::Handled => {}
        Fate::Stalls(pause) => sleep(pause).await,
        Fate::Panics => panic!("a fault of the simulation, in `{}`", msg.name()),
    }
    msg
}

fn fate<A: Actor>(msg: &A::Msg, ctx: &Ctx<A>) -> Fate {
    let delivered = Delivered {
        actor: ctx.id().number(),
        name: ctx.name(),
        message: msg.name(),
    };
    simulated::with(|director| director.deliver(delivered)).unwrap_or(Fate::Handled)
}

/// Whether who sends to this actor is held back; its waker will be woken.
#[inline]
pub(super) fn is_held<A: Actor>(to: &Cell<A>, cx: &Context<'_>) -> bool {
    simulated::is_active() && is_held_now(to.id().number(), cx)
}

#[cold]
fn is_held_now(to: u64, cx: &Context<'_>) -> bool {
    simulated::with(|director| director.holds(to, cx.waker())).unwrap_or(false)
}

/// Whether the actor's mailbox is to look full. One that is closed refuses by itself.
#[inline]
pub(super) fn looks_full<A: Actor>(cell: &Cell<A>) -> bool {
    simulated::is_active() && !cell.mailbox.is_closed() && looks_full_now(cell.id().number())
}

#[cold]
fn looks_full_now(actor: u64) -> bool {
    simulated::with(|director| director.is_full(actor)).unwrap_or(false)
}

/// Whether a tell to this actor is lost. One that is stopped refuses it instead.
#[inline]
pub(super) fn loses_tell<A: Actor>(cell: &Cell<A>, msg: &A::Msg) -> bool {
    simulated::is_active() && loses_tell_now(cell, msg)
}

#[cold]
fn loses_tell_now<A: Actor>(cell: &Cell<A>, msg: &A::Msg) -> bool {
    let told = Delivered {
        actor: cell.id().number(),
        name: cell.name(),
        message: msg.name(),
    };
    !cell.mailbox.is_closed()
        && simulated::with(|director| director.loses_tell(told)).unwrap_or(false)
}
