//! A receiver as a `Stream` of the `futures` crates.
//!
//! A stream is a [`Recv`] that starts anew after each value. It waits in the channel's queue between
//! polls, not only during an await: a value may be handed to a stream that nobody polls. It is not
//! lost: the next poll yields it, or the stream's drop returns it to the front of the channel.
//!
//! The owned stream keeps the channel alive by its receiver and borrows from it: its future is
//! declared first, so it is gone before the receiver is.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::stream::{FusedStream, Stream};
use pin_project_lite::pin_project;

use super::channel::{Chan, Receiver, Recv};
use super::waiters::Waiter;

impl<T> Receiver<T> {
    /// The values as a stream that borrows the receiver.
    ///
    /// It ends when the channel is closed and empty. Dropping it loses nothing: a value that was
    /// handed to it and not yielded goes to the next receiver, at its old place in the order. While
    /// it waits it counts as a receiver in the queue, even if nobody polls it: among several
    /// receivers, use [`recv`](Self::recv) in a `select!` rather than a stream's `next()`.
    ///
    /// ```
    /// use std::{future::poll_fn, pin::pin};
    /// use actor_core::{Runtime, chan::buffered};
    /// use futures_core::Stream;
    ///
    /// Runtime::new().unwrap().block_on(async {
    ///     let (tx, rx) = buffered(2);
    ///     tx.send(7).await.unwrap();
    ///     drop(tx);
    ///     let mut values = pin!(rx.stream());
    ///     assert_eq!(poll_fn(|cx| values.as_mut().poll_next(cx)).await, Some(7));
    ///     assert_eq!(poll_fn(|cx| values.as_mut().poll_next(cx)).await, None);
    /// });
    /// ```
    pub fn stream(&self) -> RecvStream<'_, T> {
        RecvStream {
            receiver: self,
            recv: self.recv(),
            ended: false,
        }
    }
}

impl<T: 'static> Receiver<T> {
    /// The values as a stream that owns the receiver, for combinators and other libraries.
    ///
    /// As [`stream`](Self::stream); dropping it drops the receiver as well.
    ///
    /// ```
    /// use std::{future::poll_fn, pin::pin};
    /// use actor_core::{Runtime, chan::{Receiver, buffered}};
    /// use futures_core::Stream;
    ///
    /// fn evens(rx: Receiver<u32>) -> impl Stream<Item = u32> {
    ///     rx.into_stream() // with futures: `.filter(|n| ready(n % 2 == 0))`
    /// }
    ///
    /// let (tx, rx) = buffered(2);
    /// tx.try_send(2).unwrap();
    /// Runtime::new().unwrap().block_on(async {
    ///     let mut values = pin!(evens(rx));
    ///     assert_eq!(poll_fn(|cx| values.as_mut().poll_next(cx)).await, Some(2));
    /// });
    /// ```
    pub fn into_stream(self) -> ReceiverStream<T> {
        let chan: *const Chan<T> = &raw const *self.chan;
        // SAFETY: the channel lives in an `Arc` that `self.receiver` keeps for as long as the
        // stream lives, at an address that does not change; the `Recv` is dropped before it and does
        // not leave the stream.
        let recv = Recv::new(unsafe { &*chan });
        ReceiverStream {
            recv,
            receiver: self,
            ended: false,
        }
    }
}

pin_project! {
    /// A borrowed stream of a channel's values: see [`Receiver::stream`].
    #[derive(Debug)]
    #[must_use = "a stream does nothing unless it is polled"]
    pub struct RecvStream<'a, T> {
        receiver: &'a Receiver<T>,
        #[pin]
        recv: Recv<'a, T>,
        ended: bool,
    }
}

pin_project! {
    /// An owned stream of a channel's values: see [`Receiver::into_stream`].
    #[derive(Debug)]
    #[must_use = "a stream does nothing unless it is polled"]
    pub struct ReceiverStream<T: 'static> {
        // Borrows from the receiver below. Declared first: dropped first.
        #[pin]
        recv: Recv<'static, T>,
        receiver: Receiver<T>,
        ended: bool,
    }
}

impl<T> ReceiverStream<T> {
    /// The receiver behind the stream: for its length, its closing, or another receiver.
    pub fn receiver(&self) -> &Receiver<T> {
        &self.receiver
    }
}

impl<'a, T> Recv<'a, T> {
    fn new(chan: &'a Chan<T>) -> Self {
        Self {
            chan,
            waiter: Waiter::new(None),
        }
    }
}

/// Polls the receive; starts the next one when it is done.
fn poll_next<'a, T>(
    mut recv: Pin<&mut Recv<'a, T>>,
    ended: &mut bool,
    cx: &mut Context<'_>,
) -> Poll<Option<T>> {
    if *ended {
        return Poll::Ready(None);
    }
    let value = ready!(recv.as_mut().poll(cx));
    *ended = value.is_none();
    let chan = recv.chan;
    recv.set(Recv::new(chan));
    Poll::Ready(value)
}

impl<T> Stream for RecvStream<'_, T> {
    type Item = T;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let this = self.project();
        poll_next(this.recv, this.ended, cx)
    }
}

impl<T> FusedStream for RecvStream<'_, T> {
    fn is_terminated(&self) -> bool {
        self.ended
    }
}

impl<T> Stream for ReceiverStream<T> {
    type Item = T;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let this = self.project();
        poll_next(this.recv, this.ended, cx)
    }
}

impl<T> FusedStream for ReceiverStream<T> {
    fn is_terminated(&self) -> bool {
        self.ended
    }
}
