//! Handing a reply on: another actor answers the asker of this one.
//!
//! The message of the other call gets the reply slot that the first asker waits at, so the answer
//! travels once, and a panic, a stop or a dropped reply over there is told to the asker directly.

use std::{
    convert::Infallible,
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use super::{Actor, Call, Reply, Tell, TrySendError};
use crate::chan::{NoReply, discard_with};

/// A reply that a call with the answer `Result<T, E>` can be forwarded to: a `Reply<Result<T, E>>`,
/// or a `Reply<T>` for a call that cannot fail. Not to be implemented elsewhere.
#[diagnostic::on_unimplemented(
    message = "a call that answers with `{T}` and the error `{E}` can't answer `{Self}`",
    note = "the two must answer with the same types; to convert one answer into the other, await \
            the call (in `ctx.pipe`, so that the actor goes on) and `send` the reply yourself"
)]
pub trait Answers<T, E>: sealed::Sealed {
    /// The reply as the other call's slot.
    #[doc(hidden)]
    fn into_slot(self) -> Reply<Result<T, E>>;
}

mod sealed {
    pub trait Sealed {}
    impl<R> Sealed for crate::chan::Reply<R> {}
}

impl<T, E> Answers<T, E> for Reply<Result<T, E>> {
    fn into_slot(self) -> Reply<Result<T, E>> {
        self
    }
}

impl<T> Answers<T, Infallible> for Reply<T> {
    fn into_slot(self) -> Reply<Result<T, Infallible>> {
        self.fallible()
    }
}

impl<'a, A: Actor, T, E> Call<'a, A, T, E> {
    /// The same call, whose handler answers `reply`: to be told, or given to
    /// [`Ctx::pipe`](super::Ctx::pipe). If it is awaited instead the asker of `reply` gets
    /// [`CallError::NoReply`](super::CallError::NoReply), as an ask has one answer and one asker.
    pub fn answering(self, reply: impl Answers<T, E>) -> Self {
        self.with_reply(reply.into_slot())
    }

    /// Sends this call so that its handler answers `reply`, whose asker waits for another actor's
    /// answer: that one gives its work away. As Akka's `forward`, or a `gen_server` that passes
    /// `From` on and returns `noreply`.
    ///
    /// The future is ready when the mailbox has room; nobody waits for the answer but the asker.
    /// If the actor is stopped the asker is told so. Dropping the future before it is ready drops
    /// the message, and its asker gets [`CallError::NoReply`](super::CallError::NoReply).
    /// Forwarding to oneself while one's own mailbox is full would wait for ever.
    ///
    /// ```
    /// use actor_core::prelude::*;
    ///
    /// struct Shard(u64);
    /// #[actor]
    /// impl Shard {
    ///     #[init]
    ///     fn new(n: u64) -> Self { Shard(n) }
    ///     pub fn get(&mut self, key: u64) -> u64 { self.0 + key }
    /// }
    ///
    /// struct Front(ShardRef);
    /// #[actor]
    /// impl Front {
    ///     #[init]
    ///     fn new(shard: ShardRef) -> Self { Front(shard) }
    ///     pub async fn get(&mut self, key: u64, reply: Reply<u64>) {
    ///         self.0.get(key).forward(reply).await;
    ///     }
    /// }
    ///
    /// # actor_core::Runtime::new().unwrap().block_on(async {
    /// let front = Front::start(Shard::start(40).await.unwrap()).await.unwrap();
    /// assert_eq!(front.get(2).await, Ok(42)); // the shard's answer
    /// # });
    /// ```
    pub fn forward(self, reply: impl Answers<T, E>) -> Forward<'a, A> {
        Forward {
            tell: self.answering(reply).tell(),
        }
    }

    /// As [`forward`](Call::forward), if there is room at once.
    ///
    /// # Errors
    /// Gives the message back, with the reply in it: dropping it is not answering.
    pub fn try_forward(self, reply: impl Answers<T, E>) -> Result<(), TrySendError<A::Msg>> {
        self.answering(reply).try_tell()
    }
}

pin_project_lite::pin_project! {
    /// A forward under way; see [`Call::forward`]. Dropping it before it is ready drops the message.
    #[must_use = "futures do nothing unless awaited"]
    pub struct Forward<'a, A: Actor> {
        #[pin]
        tell: Tell<'a, A>,
    }
}

impl<A: Actor> Future for Forward<'_, A> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().tell.poll(cx).map(|sent| match sent {
            Ok(()) => {}
            Err(TrySendError::Closed(msg)) => discard_with(NoReply::Stopped, || drop(msg)),
            Err(TrySendError::Full(msg)) => discard_with(NoReply::Overloaded, || drop(msg)),
        })
    }
}

impl<A: Actor> fmt::Debug for Forward<'_, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Forward").finish_non_exhaustive()
    }
}
