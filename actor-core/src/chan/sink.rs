//! A sender as a `Sink` of the `futures` crates.
//!
//! A sink has at most one value on its way: `start_send` sends it if that needs no waiting, or else
//! keeps it in a [`Send`] that the next `poll_ready`, `poll_flush` or `poll_close` drives. So a sink
//! adds one place to the channel's buffer and keeps the order of its values.
//!
//! The owned sink borrows from its own sender, as the owned stream does from its receiver.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_sink::Sink;
use pin_project_lite::pin_project;

use super::channel::{Chan, Send, Sender};
use super::waiters::Waiter;
use super::{SendError, TrySendError};

impl<T> Sender<T> {
    /// The sender as a sink that borrows it.
    ///
    /// `futures`' `send` on it is complete when the channel has the value; `feed` may leave one
    /// value on its way, which the next call or a `flush` delivers. Dropping the sink drops that
    /// one, as dropping a [`send`](Self::send) does: flush first. Closing the sink only flushes.
    ///
    /// # Errors
    /// Of the sink's methods: [`SendError`] with the value when the channel is closed. It may be the
    /// value of the call before, if that one was on its way.
    ///
    /// ```
    /// use std::{future::poll_fn, pin::pin};
    /// use actor_core::{Runtime, chan::buffered};
    /// use futures_sink::Sink;
    ///
    /// Runtime::new().unwrap().block_on(async {
    ///     let (tx, rx) = buffered(1);
    ///     let mut sink = pin!(tx.sink());
    ///     poll_fn(|cx| sink.as_mut().poll_ready(cx)).await.unwrap();
    ///     sink.as_mut().start_send(5).unwrap();
    ///     poll_fn(|cx| sink.as_mut().poll_flush(cx)).await.unwrap();
    ///     assert_eq!(rx.recv().await, Some(5));
    /// });
    /// ```
    pub fn sink(&self) -> SendSink<'_, T> {
        SendSink {
            chan: &self.chan,
            sending: None,
        }
    }
}

impl<T: 'static> Sender<T> {
    /// The sender as a sink that owns it, for combinators and other libraries.
    ///
    /// As [`sink`](Self::sink); closing the sink flushes it and then drops the sender, which closes
    /// the channel if it was the last one.
    ///
    /// ```
    /// use std::{future::poll_fn, pin::pin};
    /// use actor_core::{Runtime, chan::buffered};
    /// use futures_sink::Sink;
    ///
    /// Runtime::new().unwrap().block_on(async {
    ///     let (tx, rx) = buffered(1);
    ///     let mut sink = pin!(tx.into_sink());
    ///     sink.as_mut().start_send(5).unwrap();
    ///     poll_fn(|cx| sink.as_mut().poll_close(cx)).await.unwrap();
    ///     assert_eq!(rx.recv().await, Some(5));
    ///     assert_eq!(rx.recv().await, None);
    /// });
    /// ```
    pub fn into_sink(self) -> SenderSink<T> {
        let chan: *const Chan<T> = &raw const *self.chan;
        // SAFETY: the channel lives in an `Arc` that `self.sender` keeps, at an address that does
        // not change. The sink's drop and `poll_close` drop the `Send` before the sender, and after
        // `poll_close` has dropped the sender the reference is not used again.
        let chan: &'static Chan<T> = unsafe { &*chan };
        SenderSink {
            sending: SendSink {
                chan,
                sending: None,
            },
            sender: Some(self),
        }
    }
}

pin_project! {
    /// A borrowed sink into a channel: see [`Sender::sink`].
    #[must_use = "a sink does nothing unless it is polled"]
    pub struct SendSink<'a, T> {
        chan: &'a Chan<T>,
        #[pin]
        sending: Option<Send<'a, T>>,
    }
}

pin_project! {
    /// An owned sink into a channel: see [`Sender::into_sink`].
    #[must_use = "a sink does nothing unless it is polled"]
    pub struct SenderSink<T: 'static> {
        // Borrows from the sender below. Declared first: dropped first.
        #[pin]
        sending: SendSink<'static, T>,
        // `None` once the sink was closed.
        sender: Option<Sender<T>>,
    }
}

impl<T> SenderSink<T> {
    /// The sender behind the sink, unless the sink was closed.
    pub fn sender(&self) -> Option<&Sender<T>> {
        self.sender.as_ref()
    }
}

impl<T> Sink<T> for SendSink<'_, T> {
    type Error = SendError<T>;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError<T>>> {
        let mut sending = self.project().sending;
        match sending.as_mut().as_pin_mut() {
            None => Poll::Ready(Ok(())),
            Some(send) => {
                let sent = ready!(send.poll(cx));
                sending.set(None);
                Poll::Ready(sent)
            }
        }
    }

    /// # Panics
    /// When a value is still on its way: `poll_ready` was not called, or not ready.
    #[track_caller]
    fn start_send(self: Pin<&mut Self>, value: T) -> Result<(), SendError<T>> {
        let mut this = self.project();
        assert!(
            this.sending.is_none(),
            "start_send on a sink that is not ready: await poll_ready first"
        );
        match this.chan.try_send(value) {
            Ok(()) => Ok(()),
            Err(TrySendError::Closed(value)) => Err(SendError(value)),
            Err(TrySendError::Full(value)) => {
                this.sending.set(Some(Send {
                    chan: *this.chan,
                    waiter: Waiter::new(Some(value)),
                }));
                Ok(())
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError<T>>> {
        self.poll_ready(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError<T>>> {
        self.poll_ready(cx)
    }
}

impl<T> Sink<T> for SenderSink<T> {
    type Error = SendError<T>;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError<T>>> {
        // Without a sender there is no value on its way: nothing behind the reference is touched.
        self.project().sending.poll_ready(cx)
    }

    /// # Panics
    /// When a value is still on its way: `poll_ready` was not called, or not ready.
    #[track_caller]
    fn start_send(self: Pin<&mut Self>, value: T) -> Result<(), SendError<T>> {
        let this = self.project();
        if this.sender.is_none() {
            return Err(SendError(value)); // the sink was closed
        }
        this.sending.start_send(value)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError<T>>> {
        self.poll_ready(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError<T>>> {
        let this = self.project();
        let flushed = ready!(this.sending.poll_ready(cx));
        drop(this.sender.take());
        Poll::Ready(flushed)
    }
}

impl<T> fmt::Debug for SendSink<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendSink")
            .field("sending", &self.sending)
            .finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for SenderSink<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SenderSink")
            .field("sending", &self.sending.sending)
            .field("sender", &self.sender)
            .finish()
    }
}
