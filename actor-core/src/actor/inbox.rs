//! What an actor does next, and the message that goes with it: the one place that knows in which order
//! all that may come is looked at.
//!
//! ```text
//!   1. control word:   stop now ▶ signals, echoes in their turn ▶ what is beside, in its turn
//!   2. ticks
//!   3. mailbox:        urgent ▶ normal;  closed and empty: the last from beside ▶ stop
//! ```
//! - A stop, a signal or a tick is only named here, and found again by whoever acts on it: so a phase of
//!   concurrent handlers may leave it for later (a tick is put back).
//! - Whoever sets a mark in the control word wakes the actor if its waker is registered: so the word is
//!   looked at once more when the mailbox has it.
//! - A message is put where its handler takes it from; what is moved on the way is written and read
//!   again at once.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use super::{Actor, Ctx, Message, ticker::Ticks};
use crate::chan::{Ahead, MailboxTurn};

/// The kinds of work.
#[derive(Clone, Copy)]
pub(super) enum Next {
    Message,
    /// A message whose handler runs beside others.
    Concurrent,
    Tick(usize),
    Signals,
    Stop,
}

/// The turn at the mailbox, and the ticks.
pub(super) struct Inbox<'a, M, T> {
    mailbox: MailboxTurn<'a, M>,
    pub(super) ticks: T,
}

impl<'a, M, T> Inbox<'a, M, T> {
    #[inline]
    pub(super) fn new<A: Actor<Msg = M>>(ctx: &'a Ctx<A>, ticks: T) -> Self {
        Self {
            mailbox: ctx.cell().mailbox.turn(),
            ticks,
        }
    }
}

impl<M, T> Inbox<'_, M, T> {
    /// Takes those that follow the message in the mailbox into it, if it is of a batch.
    #[inline]
    pub(super) fn join<A: Actor<Msg = M>>(&mut self, first: &mut M)
    where
        M: Message,
    {
        if !A::BATCHES.is_empty() {
            self.join_followers(first, A::BATCHES);
        }
    }

    fn join_followers(&mut self, first: &mut M, sizes: &[usize])
    where
        M: Message,
    {
        let batch = first.batch();
        let Some(&max) = sizes.get((batch as usize).wrapping_sub(1)) else {
            return;
        };
        let mut followers = Vec::new();
        while followers.len() + 1 < max
            && let Some(next) = self.mailbox.next_of(batch, M::batch)
        {
            followers.push(next);
        }
        if !followers.is_empty() {
            first.join(followers);
        }
    }
}

/// What the actor does next.
pub(super) struct NextOf<'a, 'b, A: Actor, T> {
    pub(super) ctx: &'a Ctx<A>,
    pub(super) inbox: &'a mut Inbox<'b, A::Msg, T>,
}

impl<A: Actor, T: Ticks> Future for NextOf<'_, '_, A, T> {
    type Output = (Next, Option<A::Msg>);

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.poll_next(cx)
    }
}

impl<A: Actor, T: Ticks> NextOf<'_, '_, A, T> {
    #[inline]
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<(Next, Option<A::Msg>)> {
        let mut msg = None;
        let polled = self.poll_into(cx, &mut msg);
        polled.map(|next| (next, msg))
    }

    /// As `poll_next`, with the message put where it shall lie.
    #[inline]
    pub(super) fn poll_into(
        &mut self,
        cx: &mut Context<'_>,
        msg: &mut Option<A::Msg>,
    ) -> Poll<Next> {
        if self.ctx.cell().control.is_marked()
            && let Some((next, beside)) = marked(self.ctx)
        {
            *msg = beside;
            return Poll::Ready(next);
        }
        let inbox = &mut *self.inbox;
        if let Poll::Ready(index) = inbox.ticks.poll_tick(cx) {
            return Poll::Ready(Next::Tick(index));
        }
        let ahead = const {
            // One that keeps its turn could not be told from one that is at work.
            if A::HANDLERS_WAIT || A::CONCURRENT || T::KEEPS_TURN {
                Ahead::No
            } else {
                Ahead::Yes
            }
        };
        match inbox.mailbox.poll_recv_into(cx, msg, ahead) {
            Poll::Ready(()) => Poll::Ready(match msg {
                Some(msg) => kind_of::<A>(msg),
                None => {
                    let (next, last) = closed(self.ctx);
                    *msg = last;
                    next
                }
            }),
            // The waker is registered now; who set a mark before that had nobody to wake.
            Poll::Pending if self.ctx.cell().control.is_marked() => match marked(self.ctx) {
                Some((next, beside)) => {
                    *msg = beside;
                    Poll::Ready(next)
                }
                None => Poll::Pending,
            },
            Poll::Pending => Poll::Pending,
        }
    }
}

#[inline]
fn kind_of<A: Actor>(msg: &A::Msg) -> Next {
    if A::CONCURRENT && A::concurrency(msg).is_some() {
        Next::Concurrent
    } else {
        Next::Message
    }
}

fn taken<A: Actor>(msg: A::Msg) -> (Next, Option<A::Msg>) {
    (kind_of::<A>(&msg), Some(msg))
}

/// What comes before the mailbox: a stop, signals, or a message from beside whose turn it is.
#[cold]
fn marked<A: Actor>(ctx: &Ctx<A>) -> Option<(Next, Option<A::Msg>)> {
    let cell = ctx.cell();
    if cell.control.stop_now() {
        return Some((Next::Stop, None));
    }
    if cell.control.is_signalled() || cell.control.has_echo() && cell.control.echo_is_next() {
        return Some((Next::Signals, None));
    }
    if !cell.control.beside_is_next() {
        return None;
    }
    cell.take_from_beside().map(taken::<A>)
}

/// The mailbox is closed and empty: what has come from beside is handled before the stop.
#[cold]
fn closed<A: Actor>(ctx: &Ctx<A>) -> (Next, Option<A::Msg>) {
    let last = ctx.cell().take_last_from_beside();
    last.map_or((Next::Stop, None), taken::<A>)
}
