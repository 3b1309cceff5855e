//! Calls: what a handle's method returns, and the two ways to send it, ask and tell.
//!
//! An ask allocates nothing on the warm path: the reply slot comes from a pool, the message is
//! moved into the mailbox, and the future is written by hand:
//!
//! ```text
//!   first ──posted───────────────────► waiting (for the reply)
//!     └─────full──► sending ──room───► waiting      what else "full" can mean: `overflow.rs`
//! ```
//! The first poll is short and inlined, and no large value is moved in it: a value that is read again
//! right after it was written costs as much as the rest. Dropping an ask while it is at the first or
//! sending takes the message back (it is dropped); while it is waiting the message stays sent and its
//! reply is dropped.

use std::{
    convert::Infallible,
    fmt,
    future::{Future, IntoFuture},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use super::entangled::Edge;
use super::{
    Actor, ActorRef, CallError, Message, Overflow, Reply, SendError, TrySendError,
    overflow::Refused, simulate,
};
use crate::{
    chan::{MailboxSend, NoReply, ReplyFuture, reply_to},
    sched::{self, Timeout, coop},
};

/// A message to an actor that is not sent yet; `await` asks, [`tell`](Call::tell) tells.
///
/// `T` is what the handler returns, `E` its error ([`Infallible`] if it has none).
#[must_use = "nothing is sent yet: `.await` it to ask, or `.tell().await` it"]
pub struct Call<'a, A: Actor, T, E = Infallible> {
    to: &'a ActorRef<A>,
    msg: A::Msg,
    attach: fn(&mut A::Msg, Reply<Result<T, E>>),
    on_full: Overflow,
}

impl<'a, A: Actor, T, E> Call<'a, A, T, E> {
    /// Puts a call together: a message without a reply slot, and how to give it one. Used by the
    /// code that `#[actor]` writes.
    #[doc(hidden)]
    #[inline]
    pub fn new(
        to: &'a ActorRef<A>,
        msg: A::Msg,
        attach: fn(&mut A::Msg, Reply<Result<T, E>>),
    ) -> Self {
        Self {
            to,
            msg,
            attach,
            on_full: A::OVERFLOW,
        }
    }

    /// Says what happens to this message if the mailbox is full, instead of what the actor's own
    /// policy says. For an ask as well as for a tell; `try_tell` and `tell_or_drop` say it
    /// themselves.
    ///
    /// ```
    /// use actor_core::prelude::*;
    /// use actor_core::actor::Overflow;
    ///
    /// struct Screen;
    ///
    /// #[actor(mailbox = buffered(4))]
    /// impl Screen {
    ///     #[init]
    ///     fn new() -> Self { Screen }
    ///     pub fn draw(&mut self, frame: u64) { let _ = frame; }
    /// }
    ///
    /// # actor_core::Runtime::new().unwrap().block_on(async {
    /// let screen = Screen::start().await.unwrap();
    /// // Never waits: a frame that nobody has looked at yet makes room.
    /// for frame in 0..100 {
    ///     screen.draw(frame).overflow(Overflow::DropOldest).tell().await.unwrap();
    /// }
    /// # });
    /// ```
    #[inline]
    pub fn overflow(mut self, on_full: Overflow) -> Self {
        self.on_full = on_full;
        self
    }

    /// The same call, with the slot for its answer attached: sent by `tell`, it answers there.
    pub(super) fn with_reply(mut self, reply: Reply<Result<T, E>>) -> Self {
        (self.attach)(&mut self.msg, reply);
        self
    }

    pub(super) fn set_overflow(&mut self, on_full: Overflow) {
        self.on_full = on_full;
    }

    pub(super) fn message_name(&self) -> &'static str {
        self.msg.name()
    }

    /// Sends it now, by the overflow policy; gives it back, with that policy, if it has to wait for
    /// room, or was not taken.
    pub(super) fn post(self) -> Result<(), (Refused<A::Msg>, Overflow)> {
        let posted = self.to.cell().post_tell(&mut Some(self.msg), self.on_full);
        posted.map_err(|refused| (refused, self.on_full))
    }

    /// The message alone, which nobody waits for.
    pub(super) fn into_msg(self) -> A::Msg {
        self.msg
    }

    /// Sends without waiting for the handler: ready when the mailbox has the message, or has dealt
    /// with it by its [overflow policy](Overflow), by default by waiting for room.
    /// What the handler returns is dropped. As Erlang's `cast`, with back-pressure.
    ///
    /// Dropping the future before it is ready takes the message back and drops it.
    ///
    /// # Errors
    /// Gives the message back: `Closed` when the actor is stopped, `Full` when the mailbox is full
    /// and the policy is [`Overflow::Fail`].
    #[inline]
    pub fn tell(self) -> Tell<'a, A> {
        Tell {
            state: TellState::First {
                to: self.to,
                msg: Some(self.msg),
                on_full: self.on_full,
            },
        }
    }

    /// As [`tell`](Call::tell), from a thread that is not a goroutine, which it blocks while the
    /// message waits for room.
    ///
    /// # Errors
    /// As `tell`.
    pub fn tell_blocking(self) -> Result<(), TrySendError<A::Msg>> {
        sched::block_on_thread(self.tell())
    }

    /// Sends if there is room at once, whatever the policy; with [`Overflow::Coalesce`] also in the
    /// place of a queued message with the same key.
    ///
    /// # Errors
    /// Gives the message back: `Full` when the mailbox is, `Closed` when the actor is stopped.
    #[inline]
    pub fn try_tell(self) -> Result<(), TrySendError<A::Msg>> {
        let on_full = match self.on_full {
            Overflow::Coalesce if A::KEYED => Overflow::Coalesce,
            _ => Overflow::Fail,
        };
        match self.to.cell().post_tell(&mut Some(self.msg), on_full) {
            Ok(()) | Err(Refused::Dropped) => Ok(()),
            Err(Refused::Closed(msg)) => Err(TrySendError::Closed(msg)),
            Err(Refused::Full(msg) | Refused::Wait(msg)) => Err(TrySendError::Full(msg)),
        }
    }

    /// Sends if there is room at once; else the message is dropped, as a dead letter
    /// ([`Overflow::DropNewest`]). Never waits. Returns whether it was queued.
    ///
    /// # Errors
    /// [`SendError`] with the message when the actor is stopped.
    #[inline]
    pub fn tell_or_drop(self) -> Result<bool, SendError<A::Msg>> {
        let msg = &mut Some(self.msg);
        match self.to.cell().post_tell(msg, Overflow::DropNewest) {
            Ok(()) => Ok(true),
            Err(Refused::Closed(msg)) => Err(SendError(msg)),
            Err(Refused::Dropped | Refused::Full(_) | Refused::Wait(_)) => Ok(false),
        }
    }

    /// Asks with a deadline for the whole of it, waiting for room included.
    ///
    /// The answer is [`CallError::Timeout`] when the time is over. The handler isn't told, except
    /// that [`Reply::is_wanted`] turns false.
    pub fn timeout(self, within: Duration) -> AskTimeout<'a, A, T, E> {
        AskTimeout {
            ask: sched::timeout(within, self),
        }
    }

    /// Asks from a thread that is not a goroutine, and blocks it until the answer is there.
    /// Inside a goroutine it blocks the machine, which the scheduler then replaces: await instead.
    ///
    /// # Errors
    /// As an awaited ask.
    pub fn blocking(self) -> Result<T, CallError<E>> {
        sched::block_on_thread(self.into_future())
    }

    /// As [`blocking`](Call::blocking), with a deadline for the whole of it, waiting for room
    /// included. It needs no runtime on its thread: the thread keeps the time itself.
    ///
    /// # Errors
    /// As an awaited ask, and [`CallError::Timeout`] when the time is over.
    pub fn blocking_timeout(self, within: Duration) -> Result<T, CallError<E>> {
        sched::block_on_thread_within(within, self.into_future()).unwrap_or(Err(CallError::Timeout))
    }
}

impl<A: Actor, T, E> fmt::Debug for Call<'_, A, T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("to", self.to)
            .field("message", &self.msg.name())
            .finish()
    }
}

impl<'a, A: Actor, T, E> IntoFuture for Call<'a, A, T, E> {
    type Output = Result<T, CallError<E>>;
    type IntoFuture = Ask<'a, A, T, E>;

    #[inline]
    fn into_future(self) -> Ask<'a, A, T, E> {
        Ask {
            state: AskState::Direct {
                to: self.to,
                msg: Some(self.msg),
                attach: self.attach,
                on_full: self.on_full,
                reply: None,
                edge: None,
            },
        }
    }
}

pin_project_lite::pin_project! {
    /// An ask under way: the message is sent and its answer awaited.
    ///
    /// Its output is what the handler returned, or why there is no answer. Dropping it takes an
    /// unsent message back; a sent one will still be handled.
    #[must_use = "futures do nothing unless awaited"]
    pub struct Ask<'a, A: Actor, T, E> {
        #[pin]
        state: AskState<'a, A, T, E>,
    }
}

pin_project_lite::pin_project! {
    #[project = AskStateProj]
    enum AskState<'a, A: Actor, T, E> {
        // At the first with a message and without a reply, waiting with a reply.
        Direct {
            to: &'a ActorRef<A>,
            msg: Option<A::Msg>,
            attach: fn(&mut A::Msg, Reply<Result<T, E>>),
            on_full: Overflow,
            reply: Option<ReplyFuture<Result<T, E>>>,
            edge: Option<Edge<A>>,
        },
        Sending {
            #[pin]
            send: MailboxSend<'a, A::Msg>,
            to: &'a ActorRef<A>,
            attach: fn(&mut A::Msg, Reply<Result<T, E>>),
            on_full: Overflow,
            reply: Option<ReplyFuture<Result<T, E>>>,
            edge: Option<Edge<A>>,
            // The edge is for the room: the answer is no way for a walk.
            until_sent: bool,
        },
        Refused {
            is_stopped: bool,
        },
    }
}

impl<A: Actor, T, E> Future for Ask<'_, A, T, E> {
    type Output = Result<T, CallError<E>>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        match state.as_mut().project() {
            AskStateProj::Direct {
                reply: Some(reply),
                edge,
                ..
            } => {
                let polled = poll_reply(reply, cx);
                match edge {
                    Some(edge) if polled.is_pending() => wait_on(edge, cx),
                    _ => polled,
                }
            }
            AskStateProj::Direct {
                to,
                msg,
                attach,
                on_full,
                reply,
                edge,
            } => {
                if simulate::is_held(to.cell(), cx) {
                    return Poll::Pending;
                }
                let message = msg.as_mut().expect("polled after it was ready");
                // The waker is registered with the slot from the start: no poll of it is due now.
                let (slot, answer) = reply_to(cx.waker());
                attach(message, slot);
                // Not written when it is none, which it is already: see `mem.rs` about fresh stores.
                if let Some(answers) = Edge::for_answer(to.arc(), message) {
                    *edge = Some(answers);
                }
                match to.cell().post(msg, *on_full) {
                    Ok(()) => {
                        *reply = Some(answer);
                        if let Some(edge) = edge {
                            edge.waits(cx);
                        }
                        Poll::Pending
                    }
                    Err(Refused::Wait(msg)) => {
                        let mut answer = answer;
                        answer.stand_down();
                        let until_sent = edge.is_none();
                        let edge = edge.take().or_else(|| Edge::for_room(to.arc(), &msg));
                        let next = AskState::Sending {
                            send: to.cell().send(msg, *on_full),
                            to,
                            attach: *attach,
                            on_full: *on_full,
                            reply: Some(answer),
                            edge,
                            until_sent,
                        };
                        state.as_mut().set(next);
                        poll_sending(state, cx)
                    }
                    Err(refused) => {
                        let is_stopped = matches!(refused, Refused::Closed(_));
                        // What its message drops is user code, which may ask, too.
                        drop(refused);
                        state.set(AskState::Refused { is_stopped });
                        poll_refused(is_stopped, cx)
                    }
                }
            }
            AskStateProj::Refused { is_stopped } => poll_refused(*is_stopped, cx),
            AskStateProj::Sending { .. } => poll_sending(state, cx),
        }
    }
}

/// Who asks again at once, and is refused again, gives way to others at last.
#[cold]
fn poll_refused<T, E>(is_stopped: bool, cx: &mut Context<'_>) -> Poll<Result<T, CallError<E>>> {
    coop::poll_proceed(cx).map(|()| {
        Err(if is_stopped {
            CallError::Stopped
        } else {
            CallError::Overloaded
        })
    })
}

#[inline(always)] // as `reply_to`
fn poll_reply<T, E>(
    reply: &mut ReplyFuture<Result<T, E>>,
    cx: &mut Context<'_>,
) -> Poll<Result<T, CallError<E>>> {
    Pin::new(reply).poll(cx).map(answer)
}

/// A wait that could be part of a cycle: goes on, unless it has closed one.
#[cold]
fn wait_on<A: Actor, T, E>(edge: &mut Edge<A>, cx: &Context<'_>) -> Poll<Result<T, CallError<E>>> {
    match edge.verdict() {
        Some(cycle) => Poll::Ready(Err(CallError::Deadlock { cycle })),
        None => {
            edge.waits(cx);
            Poll::Pending
        }
    }
}

#[inline]
fn answer<T, E>(reply: Result<Result<T, E>, NoReply>) -> Result<T, CallError<E>> {
    match reply {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(CallError::Failed(error)),
        Err(why) => Err(why.into()),
    }
}

#[cold]
fn poll_sending<A: Actor, T, E>(
    mut state: Pin<&mut AskState<'_, A, T, E>>,
    cx: &mut Context<'_>,
) -> Poll<Result<T, CallError<E>>> {
    let AskStateProj::Sending {
        send,
        to,
        attach,
        on_full,
        reply,
        edge,
        until_sent,
    } = state.as_mut().project()
    else {
        unreachable!("called in the sending state only");
    };
    match send.poll(cx) {
        Poll::Pending => {
            return match edge {
                Some(edge) => wait_on(edge, cx),
                None => Poll::Pending,
            };
        }
        Poll::Ready(Err(_)) => return Poll::Ready(Err(CallError::Stopped)),
        Poll::Ready(Ok(())) => {}
    }
    let mut answer = reply.take().expect("polled after it was ready");
    let polled = poll_reply(&mut answer, cx);
    if polled.is_pending() {
        let mut edge = edge.take().filter(|_| !*until_sent);
        if let Some(edge) = &mut edge {
            edge.waits(cx);
        }
        let next = AskState::Direct {
            to,
            msg: None,
            attach: *attach,
            on_full: *on_full,
            reply: Some(answer),
            edge,
        };
        state.set(next);
    }
    polled
}

impl<A: Actor, T, E> fmt::Debug for Ask<'_, A, T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ask").finish_non_exhaustive()
    }
}

pin_project_lite::pin_project! {
    /// An ask with a deadline; see [`Call::timeout`]. Dropping it is dropping the ask.
    #[must_use = "futures do nothing unless awaited"]
    pub struct AskTimeout<'a, A: Actor, T, E> {
        #[pin]
        ask: Timeout<Ask<'a, A, T, E>>,
    }
}

impl<A: Actor, T, E> Future for AskTimeout<'_, A, T, E> {
    type Output = Result<T, CallError<E>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.project()
            .ask
            .poll(cx)
            .map(|in_time| in_time.unwrap_or(Err(CallError::Timeout)))
    }
}

impl<A: Actor, T, E> fmt::Debug for AskTimeout<'_, A, T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AskTimeout").finish_non_exhaustive()
    }
}

pin_project_lite::pin_project! {
    /// A tell under way; see [`Call::tell`]. Dropping it before it is ready drops the message.
    #[must_use = "futures do nothing unless awaited"]
    pub struct Tell<'a, A: Actor> {
        #[pin]
        state: TellState<'a, A>,
    }
}

pin_project_lite::pin_project! {
    #[project = TellStateProj]
    enum TellState<'a, A: Actor> {
        First {
            to: &'a ActorRef<A>,
            msg: Option<A::Msg>,
            on_full: Overflow,
        },
        Sending {
            #[pin]
            send: MailboxSend<'a, A::Msg>,
            edge: Option<Edge<A>>,
        },
    }
}

impl<A: Actor> Future for Tell<'_, A> {
    type Output = Result<(), TrySendError<A::Msg>>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        match state.as_mut().project() {
            TellStateProj::First { to, msg, on_full } => {
                // One that only tells, to somebody who keeps up, would never wait otherwise.
                if coop::poll_proceed(cx).is_pending() {
                    return Poll::Pending;
                }
                if simulate::is_held(to.cell(), cx) {
                    return Poll::Pending;
                }
                let to = *to;
                match to.cell().post_tell(msg, *on_full) {
                    Ok(()) | Err(Refused::Dropped) => return Poll::Ready(Ok(())),
                    Err(Refused::Closed(msg)) => {
                        return Poll::Ready(Err(TrySendError::Closed(msg)));
                    }
                    Err(Refused::Full(msg)) => return Poll::Ready(Err(TrySendError::Full(msg))),
                    Err(Refused::Wait(msg)) => {
                        let edge = Edge::for_room(to.arc(), &msg);
                        let send = to.cell().send(msg, *on_full);
                        state.as_mut().set(TellState::Sending { send, edge });
                    }
                }
            }
            TellStateProj::Sending { .. } => {}
        }
        match state.project() {
            TellStateProj::Sending { send, edge } => {
                let polled = send.poll(cx);
                if polled.is_pending()
                    && let Some(waits) = edge
                {
                    if let Some(cycle) = waits.verdict() {
                        // A tell has no error for it. Told once: without the edge it waits on.
                        *edge = None;
                        sched::lock_cycle_closed(&cycle);
                    } else {
                        waits.waits(cx);
                    }
                }
                polled.map_err(|SendError(msg)| TrySendError::Closed(msg))
            }
            TellStateProj::First { .. } => unreachable!("left above"),
        }
    }
}

impl<A: Actor> fmt::Debug for Tell<'_, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tell").finish_non_exhaustive()
    }
}
