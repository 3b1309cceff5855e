//! Calls and handles that don't say which actor they mean: what `#[protocol]` is made of.
//!
//! A protocol is a trait of calls. A handle of an actor that has those messages implements it, and so
//! may anything else (a mock); behind an `Arc<dyn Protocol>` nobody sees the difference. So a module
//! can name what it needs without naming the module that has it.
//!
//! An erased call is a box around the typed one: erasing costs two allocations an ask, and nothing
//! where it is not used.

use std::{
    convert::Infallible,
    fmt,
    future::{Future, IntoFuture, poll_fn},
    pin::Pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use super::{
    Actor, ActorId, ActorRef, Answers, Call, CallError, ExitReason, Message, Monitor, Overflow,
    Reply, SendError, TrySendError, Watchee,
};
use crate::sched;

/// A future in a box: what erased calls return.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A call of a protocol's method, not sent yet. As [`Call`], without the actor's type: `await` it to
/// ask, [`tell`](ProtocolCall::tell) to send.
///
/// Mocks make theirs with [`answer`](ProtocolCall::answer), [`answer_with`](ProtocolCall::answer_with)
/// and [`answer_by`](ProtocolCall::answer_by). See [`protocol`](macro@crate::protocol).
#[must_use = "nothing is sent yet: `.await` it to ask, or `.tell().await` it"]
pub struct ProtocolCall<'a, T, E = Infallible> {
    erased: Box<dyn Erased<'a, T, E> + Send + 'a>,
}

/// A message that was not sent, given back by an erased call: it can be named and dropped.
pub type ErasedMessage = Box<dyn Message>;

trait Erased<'a, T, E> {
    fn ask(self: Box<Self>) -> BoxFuture<'a, Result<T, CallError<E>>>;
    fn tell(self: Box<Self>) -> BoxFuture<'a, Result<(), TrySendError<ErasedMessage>>>;
    fn try_tell(self: Box<Self>) -> Result<(), TrySendError<ErasedMessage>>;
    fn tell_or_drop(self: Box<Self>) -> Result<bool, SendError<ErasedMessage>>;
    fn forward(self: Box<Self>, reply: Reply<Result<T, E>>) -> BoxFuture<'a, ()>;
    fn overflow(&mut self, on_full: Overflow);
    fn name(&self) -> &'static str;
}

impl<'a, T, E> ProtocolCall<'a, T, E>
where
    T: Send + 'static,
    E: Send + 'static,
{
    /// A call of an actor, without its type. Used by the code that `#[actor]` writes.
    pub fn of<A: Actor>(call: Call<'a, A, T, E>) -> Self {
        Self {
            erased: Box::new(call),
        }
    }

    /// A mock's call: its answer is known.
    pub fn answer(answer: Result<T, CallError<E>>) -> Self {
        Self::answer_with(move || answer)
    }

    /// A mock's call: `answer` runs when it is asked or told, not before.
    pub fn answer_with(answer: impl FnOnce() -> Result<T, CallError<E>> + Send + 'a) -> Self {
        Self::answer_by(async move { answer() })
    }

    /// A mock's call: the answer is a future's, which runs when it is asked, or told: then who tells
    /// waits for its end. For `try_tell` it is polled once; not ready then, it is refused as `Full`.
    pub fn answer_by(answer: impl Future<Output = Result<T, CallError<E>>> + Send + 'a) -> Self {
        Self {
            erased: Box::new(Mock(Box::pin(answer))),
        }
    }

    /// As [`Call::overflow`]. Of no effect on a mock, which has no mailbox.
    pub fn overflow(mut self, on_full: Overflow) -> Self {
        self.erased.overflow(on_full);
        self
    }

    /// As [`Call::tell`].
    ///
    /// # Errors
    /// Gives the message back: `Closed` when the actor is stopped, `Full` if its overflow policy is to
    /// fail.
    pub fn tell(self) -> BoxFuture<'a, Result<(), TrySendError<ErasedMessage>>> {
        self.erased.tell()
    }

    /// As [`Call::try_tell`].
    ///
    /// # Errors
    /// Gives the message back: `Full` when the mailbox is, `Closed` when the actor is stopped.
    pub fn try_tell(self) -> Result<(), TrySendError<ErasedMessage>> {
        self.erased.try_tell()
    }

    /// As [`Call::tell_blocking`].
    ///
    /// # Errors
    /// As `tell`.
    pub fn tell_blocking(self) -> Result<(), TrySendError<ErasedMessage>> {
        sched::block_on_thread(self.tell())
    }

    /// As [`Call::tell_or_drop`]. A mock's call that isn't ready at once is dropped.
    ///
    /// # Errors
    /// [`SendError`] with the message when the actor is stopped.
    pub fn tell_or_drop(self) -> Result<bool, SendError<ErasedMessage>> {
        self.erased.tell_or_drop()
    }

    /// As [`Call::timeout`].
    pub fn timeout(self, within: Duration) -> BoxFuture<'a, Result<T, CallError<E>>> {
        let ask = sched::timeout(within, self);
        Box::pin(async move { ask.await.unwrap_or(Err(CallError::Timeout)) })
    }

    /// As [`Call::blocking`].
    ///
    /// # Errors
    /// As an awaited ask.
    pub fn blocking(self) -> Result<T, CallError<E>> {
        sched::block_on_thread(self.into_future())
    }

    /// As [`Call::blocking_timeout`].
    ///
    /// # Errors
    /// As an awaited ask, and [`CallError::Timeout`] when the time is over.
    pub fn blocking_timeout(self, within: Duration) -> Result<T, CallError<E>> {
        sched::block_on_thread_within(within, self.into_future()).unwrap_or(Err(CallError::Timeout))
    }

    /// As [`Call::forward`]. A mock's answer goes to the asker when it is there; one that is an error
    /// other than the handler's own is not passed on: the asker gets `NoReply`.
    pub fn forward(self, reply: impl Answers<T, E>) -> BoxFuture<'a, ()> {
        self.erased.forward(reply.into_slot())
    }
}

impl<'a, T, E> IntoFuture for ProtocolCall<'a, T, E> {
    type Output = Result<T, CallError<E>>;
    type IntoFuture = BoxFuture<'a, Result<T, CallError<E>>>;

    fn into_future(self) -> Self::IntoFuture {
        self.erased.ask()
    }
}

impl<T, E> fmt::Debug for ProtocolCall<'_, T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProtocolCall")
            .field("message", &self.erased.name())
            .finish()
    }
}

impl<'a, A, T, E> Erased<'a, T, E> for Call<'a, A, T, E>
where
    A: Actor,
    T: Send + 'static,
    E: Send + 'static,
{
    fn ask(self: Box<Self>) -> BoxFuture<'a, Result<T, CallError<E>>> {
        Box::pin(self.into_future())
    }

    fn tell(self: Box<Self>) -> BoxFuture<'a, Result<(), TrySendError<ErasedMessage>>> {
        let tell = Call::tell(*self);
        Box::pin(async move {
            let sent = tell.await;
            sent.map_err(erased)
        })
    }

    fn try_tell(self: Box<Self>) -> Result<(), TrySendError<ErasedMessage>> {
        Call::try_tell(*self).map_err(erased)
    }

    fn tell_or_drop(self: Box<Self>) -> Result<bool, SendError<ErasedMessage>> {
        let told = Call::tell_or_drop(*self);
        told.map_err(|SendError(msg)| SendError(Box::new(msg) as ErasedMessage))
    }

    fn forward(self: Box<Self>, reply: Reply<Result<T, E>>) -> BoxFuture<'a, ()> {
        Box::pin(Call::forward(*self, reply))
    }

    fn overflow(&mut self, on_full: Overflow) {
        self.set_overflow(on_full);
    }

    fn name(&self) -> &'static str {
        self.message_name()
    }
}

fn erased<M: Message>(refused: TrySendError<M>) -> TrySendError<ErasedMessage> {
    match refused {
        TrySendError::Full(msg) => TrySendError::Full(Box::new(msg) as ErasedMessage),
        TrySendError::Closed(msg) => TrySendError::Closed(Box::new(msg) as ErasedMessage),
    }
}

struct Mock<'a, T, E>(BoxFuture<'a, Result<T, CallError<E>>>);

/// What a mock's refused call gives back.
struct MockMessage;

impl Message for MockMessage {
    fn name(&self) -> &'static str {
        "a mock's call"
    }
}

impl<'a, T, E> Erased<'a, T, E> for Mock<'a, T, E>
where
    T: Send + 'static,
    E: Send + 'static,
{
    fn ask(self: Box<Self>) -> BoxFuture<'a, Result<T, CallError<E>>> {
        self.0
    }

    fn tell(self: Box<Self>) -> BoxFuture<'a, Result<(), TrySendError<ErasedMessage>>> {
        let mut answer = self.0;
        Box::pin(async move {
            match poll_fn(|cx| answer.as_mut().poll(cx)).await {
                Err(CallError::Stopped) => {
                    Err(TrySendError::Closed(Box::new(MockMessage) as ErasedMessage))
                }
                _ => Ok(()),
            }
        })
    }

    fn try_tell(mut self: Box<Self>) -> Result<(), TrySendError<ErasedMessage>> {
        let mut cx = Context::from_waker(Waker::noop());
        match self.0.as_mut().poll(&mut cx) {
            Poll::Ready(Err(CallError::Stopped)) => {
                Err(TrySendError::Closed(Box::new(MockMessage)))
            }
            Poll::Ready(_) => Ok(()),
            Poll::Pending => Err(TrySendError::Full(Box::new(MockMessage))),
        }
    }

    fn tell_or_drop(self: Box<Self>) -> Result<bool, SendError<ErasedMessage>> {
        match self.try_tell() {
            Ok(()) => Ok(true),
            Err(TrySendError::Full(_)) => Ok(false),
            Err(TrySendError::Closed(msg)) => Err(SendError(msg)),
        }
    }

    fn overflow(&mut self, _: Overflow) {}

    fn forward(self: Box<Self>, reply: Reply<Result<T, E>>) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            match self.0.await {
                Ok(value) => reply.send(Ok(value)),
                Err(CallError::Failed(error)) => reply.send(Err(error)),
                Err(_) => {}
            }
        })
    }

    fn name(&self) -> &'static str {
        MockMessage.name()
    }
}

/// Any actor's handle without its type: what they all can do. [`ActorRef`] implements it.
pub trait AnyActor: Send + Sync + fmt::Debug + sealed::Sealed {
    /// The actor's id.
    fn id(&self) -> ActorId;
    /// The actor's name.
    fn name(&self) -> &str;
    /// See [`ActorRef::is_stopped`].
    fn is_stopped(&self) -> bool;
    /// See [`ActorRef::mailbox_len`].
    fn mailbox_len(&self) -> usize;
    /// See [`ActorRef::stop`]: the request is made by the call.
    fn stop(&self) -> BoxFuture<'static, ExitReason>;
    /// See [`ActorRef::stop_now`]: the request is made by the call.
    fn stop_now(&self) -> BoxFuture<'static, ExitReason>;
    /// See [`ActorRef::kill`]: the kill is done by the call.
    fn kill(&self) -> BoxFuture<'static, ExitReason>;
    /// See [`ActorRef::wait`].
    fn wait(&self) -> BoxFuture<'static, ExitReason>;
    /// See [`ActorRef::monitor`].
    fn monitor(&self) -> Monitor;
    #[doc(hidden)]
    fn watchee(&self) -> Watchee;
}

mod sealed {
    pub trait Sealed {}
    impl<A: super::Actor> Sealed for super::ActorRef<A> {}
}

impl<A: Actor> AnyActor for ActorRef<A> {
    fn id(&self) -> ActorId {
        ActorRef::id(self)
    }

    fn name(&self) -> &str {
        ActorRef::name(self)
    }

    fn is_stopped(&self) -> bool {
        ActorRef::is_stopped(self)
    }

    fn mailbox_len(&self) -> usize {
        ActorRef::mailbox_len(self)
    }

    fn stop(&self) -> BoxFuture<'static, ExitReason> {
        Box::pin(ActorRef::stop(self))
    }

    fn stop_now(&self) -> BoxFuture<'static, ExitReason> {
        Box::pin(ActorRef::stop_now(self))
    }

    fn kill(&self) -> BoxFuture<'static, ExitReason> {
        Box::pin(ActorRef::kill(self))
    }

    fn wait(&self) -> BoxFuture<'static, ExitReason> {
        Box::pin(ActorRef::wait(self))
    }

    fn monitor(&self) -> Monitor {
        ActorRef::monitor(self)
    }

    fn watchee(&self) -> Watchee {
        Watchee(self.peer())
    }
}
