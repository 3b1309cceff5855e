//! Go's channels: typed, many senders, many receivers, rendezvous or buffered, closable.
//!
//! ```text
//!     sendq: waiting senders, each with its value        recvq: waiting receivers, each with a slot
//!              │ (only when the buffer is full)             ▲ (only when the buffer is empty)
//!              ▼                                            │
//!         [ buffer, first in first out ] ───────────────────┘
//! ```
//!
//! Invariants, under the one lock:
//! - At most one of the two queues is non-empty. Waiting senders ⇒ no room; waiting receivers ⇒ the
//!   buffer is empty. Closed ⇒ both are empty. (Not counted: arms of a `select` that can't be claimed
//!   now. It is being polled and looks here itself before it can be claimed again, or it is over.)
//! - The buffer holds at most `capacity` values, plus those in limbo.
//!
//! Protocol (Go's `chan.go`):
//! 1. send: closed ⇒ the value comes back; a receiver waits ⇒ the value goes straight into its
//!    waiter; room ⇒ into the buffer; else the sender waits with its value.
//! 2. receive: the head of the buffer, and the first waiting sender's value takes the free place; or
//!    (rendezvous) the first waiting sender's value; closed ⇒ `None`; else the receiver waits.
//! 3. close wakes everybody. Buffered values can still be received.
//! 4. Limbo: a receive future that is dropped after a value was handed to it passes it to the next
//!    waiting receiver, or puts it back to the *front* of the buffer, above the capacity if need be.
//!    Go has no cancellation; crates that drop the value here lose messages (kanal#24, kanal#50).
//!
//! Wakers are woken after unlocking. The wake-up and the value are one: a receiver that was woken
//! has its value, so nobody can take it away in between.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::waiters::{WaitList, WaitState, Waiter, WakeList, pin_field};
use super::word_lock::Locked;
use super::{SendError, TryRecvError, TrySendError};
use crate::sched::wait::{Wait, WaitKind};
use crate::sched::{block_on_thread, coop};
use crate::shim::Arc;
use crate::shim::atomic::{AtomicUsize, Ordering};

pub(super) struct State<T> {
    pub(super) buffer: VecDeque<T>,
    capacity: usize,
    pub(super) closed: bool,
    pub(super) sendq: WaitList<T>,
    pub(super) recvq: WaitList<T>,
    /// Those that wait for the close itself (`closed.rs`).
    pub(super) closedq: WaitList<()>,
}

pub(super) struct Chan<T> {
    pub(super) state: Locked<State<T>>,
    /// It has one side only, and is never closed: Go's nil channel.
    never: bool,
    senders: AtomicUsize,
    pub(super) receivers: AtomicUsize,
}

/// What became of a value that should be sent at once.
pub(super) enum Offer<T> {
    Taken,
    Full(T),
    Closed(T),
}

impl<T> State<T> {
    #[inline]
    pub(super) fn offer(&mut self, value: T, wakers: &mut WakeList) -> Offer<T> {
        if self.closed {
            return Offer::Closed(value);
        }
        match self.hand_over(value, wakers) {
            None => Offer::Taken,
            Some(value) if self.buffer.len() < self.capacity => {
                self.buffer.push_back(value);
                Offer::Taken
            }
            Some(value) => Offer::Full(value),
        }
    }

    /// Gives the value to the first waiting receiver; or back.
    #[inline]
    fn hand_over(&mut self, value: T, wakers: &mut WakeList) -> Option<T> {
        let mut value = Some(value);
        let handed = self
            .recvq
            .finish_first(WaitState::Done, |slot| *slot = value.take());
        if let Some(((), waker)) = handed {
            wakers.push(waker);
        }
        value
    }

    /// Takes the next value, if there is one.
    #[inline]
    pub(super) fn take(&mut self, wakers: &mut WakeList) -> Option<T> {
        let Some(value) = self.buffer.pop_front() else {
            return self.take_waiting(wakers);
        };
        if self.buffer.len() < self.capacity
            && let Some(next) = self.take_waiting(wakers)
        {
            self.buffer.push_back(next);
        }
        Some(value)
    }

    /// Takes the first waiting sender's value; its send is done.
    #[inline]
    fn take_waiting(&mut self, wakers: &mut WakeList) -> Option<T> {
        let (value, waker) = self.sendq.finish_first(WaitState::Done, Option::take)?;
        wakers.push(waker);
        value
    }
}

impl<T> Chan<T> {
    fn new(capacity: usize, never: bool) -> Self {
        Self {
            never,
            state: Locked::new(State {
                buffer: VecDeque::new(),
                capacity,
                closed: false,
                sendq: WaitList::new(),
                recvq: WaitList::new(),
                closedq: WaitList::new(),
            }),
            senders: AtomicUsize::new(1),
            receivers: AtomicUsize::new(1),
        }
    }

    fn close(&self) -> bool {
        if self.never {
            return false;
        }
        let mut wakers = WakeList::new();
        let mut state = self.state.lock();
        let first = !state.closed;
        state.closed = true;
        while let Some(((), waker)) = state.sendq.finish_first(WaitState::Closed, |_value| ()) {
            wakers.push(waker);
        }
        while let Some(((), waker)) = state.recvq.finish_first(WaitState::Closed, |_slot| ()) {
            wakers.push(waker);
        }
        while let Some(((), waker)) = state.closedq.finish_first(WaitState::Closed, |_| ()) {
            wakers.push(waker);
        }
        first
    }

    pub(super) fn try_send(&self, value: T) -> Result<(), TrySendError<T>> {
        let mut wakers = WakeList::new();
        match self.state.lock().offer(value, &mut wakers) {
            Offer::Taken => Ok(()),
            Offer::Full(value) => Err(TrySendError::Full(value)),
            Offer::Closed(value) => Err(TrySendError::Closed(value)),
        }
    }

    fn try_recv(&self) -> Result<T, TryRecvError> {
        let mut wakers = WakeList::new();
        let mut state = self.state.lock();
        match state.take(&mut wakers) {
            Some(value) => Ok(value),
            None if state.closed => Err(TryRecvError::Closed),
            None => Err(TryRecvError::Empty),
        }
    }

    /// A value that was handed to a receive that is dropped.
    #[cold]
    pub(super) fn return_to_front(&self, value: T) {
        let mut wakers = WakeList::new();
        let mut state = self.state.lock();
        if let Some(value) = state.hand_over(value, &mut wakers) {
            state.buffer.push_front(value);
        }
    }
}

/// Makes a channel without a buffer: a send is complete when a receiver has the value.
///
/// Go's `make(chan T)`.
///
/// ```
/// use actor_core::chan::rendezvous;
///
/// let (tx, rx) = rendezvous();
/// std::thread::scope(|s| {
///     s.spawn(move || tx.send_blocking("hello"));
///     assert_eq!(rx.recv_blocking(), Some("hello"));
///     assert_eq!(rx.recv_blocking(), None); // the last sender is gone
/// });
/// ```
pub fn rendezvous<T>() -> (Sender<T>, Receiver<T>) {
    buffered(0)
}

/// Makes a channel that buffers up to `capacity` values: a send waits only when it is full.
///
/// Go's `make(chan T, capacity)`; 0 makes a [`rendezvous`] channel. The buffer's memory is
/// allocated as it is used.
///
/// ```
/// use actor_core::chan::buffered;
///
/// let (tx, rx) = buffered(2);
/// tx.try_send(1)?;
/// tx.try_send(2)?;
/// assert!(tx.try_send(3).is_err()); // full
/// tx.close();
/// assert_eq!(rx.iter().collect::<Vec<_>>(), [1, 2]); // what was accepted is received
/// # Ok::<(), actor_core::chan::TrySendError<i32>>(())
/// ```
pub fn buffered<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    let chan = Arc::new(Chan::new(capacity, false));
    (Sender { chan: chan.clone() }, Receiver { chan })
}

/// The sending side of a channel; clone it to send from many places.
///
/// When the last sender is dropped the channel is closed.
pub struct Sender<T> {
    pub(super) chan: Arc<Chan<T>>,
}

impl<T> Sender<T> {
    /// Sends a value, waiting for room or (without a buffer) for a receiver.
    ///
    /// Values from one sender are received in the order sent. Go's `ch <- v`.
    ///
    /// Dropping the future before it is ready takes the value back and drops it, unless a receiver
    /// has it already; nothing else is disturbed.
    ///
    /// # Errors
    /// [`SendError`] with the value when the channel is closed, before or during the wait (where Go
    /// panics).
    ///
    /// ```
    /// # let rt = actor_core::sched::Runtime::new()?;
    /// # rt.block_on(async {
    /// let (tx, rx) = actor_core::chan::buffered(1);
    /// tx.send(5).await.expect("open");
    /// assert_eq!(rx.recv().await, Some(5));
    /// # });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[inline]
    pub fn send(&self, value: T) -> Send<'_, T> {
        Send {
            chan: &self.chan,
            waiter: Waiter::new(Some(value)),
        }
    }

    /// Sends the value in a slot, and leaves it there if it is not sent.
    ///
    /// As [`send`](Self::send), for those who want the value back when they give up: in an arm of a
    /// [`select!`](crate::select), which another arm may win, or under a timeout. The slot is empty
    /// afterwards if and only if a receiver or the buffer has the value. (While the future lives it
    /// holds the value; forgetting the future forgets the value.)
    ///
    /// # Errors
    /// [`SendError`] when the channel is closed; the value is in the slot.
    ///
    /// # Panics
    /// When the slot is empty. An arm of `select!` is skipped with `, if slot.is_some()`.
    ///
    /// ```
    /// # actor_core::Runtime::new().unwrap().block_on(async {
    /// use std::time::Duration;
    /// let (tx, rx) = actor_core::chan::rendezvous();
    /// let mut slot = Some("hello");
    /// let sent = actor_core::timeout(Duration::from_millis(1), tx.send_from(&mut slot)).await;
    /// assert!(sent.is_err()); // nobody received
    /// assert_eq!(slot, Some("hello"));
    /// # drop(rx);
    /// # });
    /// ```
    #[track_caller]
    pub fn send_from<'a>(&'a self, slot: &'a mut Option<T>) -> SendFrom<'a, T> {
        let value = slot.take().expect(
            "send_from was given an empty slot: put the value to send into it, or skip the arm of \
             the select with `, if slot.is_some()`",
        );
        SendFrom {
            send: self.send(value),
            slot,
        }
    }

    /// A sender on which every operation waits for ever. Go's nil channel.
    ///
    /// [`send`](Self::send) is never ready, [`try_send`](Self::try_send) says `Full`, and
    /// [`close`](Self::close) does nothing and returns false (where Go panics). In a
    /// [`select!`](crate::select) it is an arm that is switched off: see [`Receiver::never`].
    ///
    /// ```
    /// let tx = actor_core::chan::Sender::never();
    /// assert!(tx.try_send(1).unwrap_err().is_full());
    /// assert!(!tx.close());
    /// ```
    #[must_use]
    pub fn never() -> Self {
        Self {
            chan: Arc::new(Chan::new(0, true)),
        }
    }

    /// Whether it was made by [`never`](Self::never). Go's `ch == nil`.
    #[must_use]
    pub fn is_never(&self) -> bool {
        self.chan.never
    }

    /// Sends a value if that needs no waiting. Go's `select` with a `default`.
    ///
    /// # Errors
    /// [`TrySendError::Full`] or [`TrySendError::Closed`], with the value.
    ///
    /// ```
    /// let (tx, rx) = actor_core::chan::rendezvous();
    /// assert!(tx.try_send(1).unwrap_err().is_full()); // nobody is receiving
    /// # drop(rx);
    /// ```
    #[inline]
    pub fn try_send(&self, value: T) -> Result<(), TrySendError<T>> {
        self.chan.try_send(value)
    }

    /// Sends a value from a thread, blocking it meanwhile.
    ///
    /// For threads that run no goroutines; inside one it is a declared blocking section, and
    /// [`send`](Self::send) is better.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    ///
    /// ```
    /// let (tx, rx) = actor_core::chan::buffered(1);
    /// tx.send_blocking(1).expect("open");
    /// drop(rx);
    /// assert_eq!(tx.send_blocking(2).unwrap_err().into_inner(), 2);
    /// ```
    pub fn send_blocking(&self, value: T) -> Result<(), SendError<T>> {
        match self.try_send(value) {
            Ok(()) => Ok(()),
            Err(TrySendError::Closed(value)) => Err(SendError(value)),
            Err(TrySendError::Full(value)) => block_on_thread(self.send(value)),
        }
    }

    /// Closes the channel; returns whether this call did it. Go's `close(ch)`, which panics the
    /// second time. It does nothing to a [`never`](Self::never) channel.
    ///
    /// Buffered values can still be received. Waiting senders get their value back.
    ///
    /// ```
    /// let (tx, rx) = actor_core::chan::buffered::<u8>(1);
    /// assert!(tx.close());
    /// assert!(!rx.close());
    /// ```
    pub fn close(&self) -> bool {
        self.chan.close()
    }

    /// Whether the channel is closed: every send will fail.
    pub fn is_closed(&self) -> bool {
        self.chan.state.lock().closed
    }

    /// How many values are buffered. A moment's view. Go's `len(ch)`.
    pub fn len(&self) -> usize {
        self.chan.state.lock().buffer.len()
    }

    /// Whether no value is buffered. A moment's view.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many values the buffer may hold. Go's `cap(ch)`.
    pub fn capacity(&self) -> usize {
        self.chan.state.lock().capacity
    }

    /// Whether both are ends of the same channel.
    pub fn same_channel(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.chan, &other.chan)
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        // ORDERING: Relaxed, as for `Arc`: we have one, so the count cannot reach 0 meanwhile.
        self.chan.senders.fetch_add(1, Ordering::Relaxed);
        Self {
            chan: self.chan.clone(),
        }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        // ORDERING: AcqRel pairs with itself: the last one closes after all sends of the others.
        if self.chan.senders.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.chan.close();
        }
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.chan.describe("Sender", f)
    }
}

/// The receiving side of a channel; clone it to share the work: each value goes to one receiver.
///
/// When the last receiver is dropped the channel is closed and buffered values are dropped.
pub struct Receiver<T> {
    pub(super) chan: Arc<Chan<T>>,
}

impl<T> Receiver<T> {
    /// Receives the next value, waiting for one; `None` once the channel is closed and empty.
    ///
    /// Waiting receivers are served in the order they came. Go's `v, ok := <-ch`.
    ///
    /// Dropping the future loses nothing: a value that was handed to it goes to the next receiver,
    /// at its old place in the order. (If the channel was closed meanwhile, other receivers may have
    /// seen `None` by then; this one's next receive finds the value.)
    ///
    /// ```
    /// # let rt = actor_core::sched::Runtime::new()?;
    /// # rt.block_on(async {
    /// let (tx, rx) = actor_core::chan::buffered(1);
    /// tx.send(1).await.expect("open");
    /// drop(tx);
    /// assert_eq!(rx.recv().await, Some(1));
    /// assert_eq!(rx.recv().await, None);
    /// # });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[inline]
    pub fn recv(&self) -> Recv<'_, T> {
        Recv {
            chan: &self.chan,
            waiter: Waiter::new(None),
        }
    }

    /// A receiver on which every operation waits for ever. Go's nil channel.
    ///
    /// [`recv`](Self::recv) is never ready, [`try_recv`](Self::try_recv) says `Empty`, and
    /// [`close`](Self::close) does nothing and returns false (where Go panics). In a
    /// [`select!`](crate::select) it is an arm that is switched off, as Go programmers do it:
    ///
    /// ```
    /// use actor_core::chan::{Receiver, buffered};
    /// use actor_core::select;
    ///
    /// async fn merge(mut a: Receiver<u32>, mut b: Receiver<u32>) -> u32 {
    ///     let mut sum = 0;
    ///     while !(a.is_never() && b.is_never()) {
    ///         select! {
    ///             v = a.recv() => match v {
    ///                 Some(v) => sum += v,
    ///                 None => a = Receiver::never(), // closed: always ready from now on
    ///             },
    ///             v = b.recv() => match v {
    ///                 Some(v) => sum += v,
    ///                 None => b = Receiver::never(),
    ///             },
    ///         }
    ///     }
    ///     sum
    /// }
    /// # actor_core::Runtime::new().unwrap().block_on(async {
    /// let (tx_a, a) = buffered(4);
    /// let (tx_b, b) = buffered(4);
    /// for n in 0..4 {
    ///     tx_a.send(n).await.unwrap();
    ///     tx_b.send(10 * n).await.unwrap();
    /// }
    /// drop((tx_a, tx_b));
    /// assert_eq!(merge(a, b).await, 66);
    /// # });
    /// ```
    #[must_use]
    pub fn never() -> Self {
        Self {
            chan: Arc::new(Chan::new(0, true)),
        }
    }

    /// Whether it was made by [`never`](Self::never). Go's `ch == nil`.
    #[must_use]
    pub fn is_never(&self) -> bool {
        self.chan.never
    }

    /// Receives a value if one is there.
    ///
    /// # Errors
    /// [`TryRecvError::Empty`], or [`TryRecvError::Closed`] when nothing will come any more.
    ///
    /// ```
    /// use actor_core::chan::TryRecvError;
    ///
    /// let (tx, rx) = actor_core::chan::buffered::<u8>(1);
    /// assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
    /// drop(tx);
    /// assert_eq!(rx.try_recv(), Err(TryRecvError::Closed));
    /// ```
    #[inline]
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        self.chan.try_recv()
    }

    /// Receives a value on a thread, blocking it meanwhile. See [`Sender::send_blocking`].
    pub fn recv_blocking(&self) -> Option<T> {
        match self.try_recv() {
            Ok(value) => Some(value),
            Err(TryRecvError::Closed) => None,
            Err(TryRecvError::Empty) => block_on_thread(self.recv()),
        }
    }

    /// Iterates over the values until the channel is closed, blocking the thread between them.
    ///
    /// Go's `for v := range ch`, for threads; in a goroutine write
    /// `while let Some(v) = rx.recv().await`.
    pub fn iter(&self) -> Iter<'_, T> {
        Iter { receiver: self }
    }

    /// Closes the channel; returns whether this call did it. See [`Sender::close`].
    pub fn close(&self) -> bool {
        self.chan.close()
    }

    /// Whether the channel is closed; buffered values may still be there.
    pub fn is_closed(&self) -> bool {
        self.chan.state.lock().closed
    }

    /// How many values are buffered. A moment's view.
    pub fn len(&self) -> usize {
        self.chan.state.lock().buffer.len()
    }

    /// Whether no value is buffered. A moment's view.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many values the buffer may hold.
    pub fn capacity(&self) -> usize {
        self.chan.state.lock().capacity
    }

    /// Whether both are ends of the same channel.
    pub fn same_channel(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.chan, &other.chan)
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        // ORDERING: Relaxed, as for `Sender`.
        self.chan.receivers.fetch_add(1, Ordering::Relaxed);
        Self {
            chan: self.chan.clone(),
        }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        // ORDERING: AcqRel, as for `Sender`.
        if self.chan.receivers.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.chan.close();
            // Dropped after unlocking: a value's Drop may use the channel.
            let rest = std::mem::take(&mut self.chan.state.lock().buffer);
            drop(rest);
        }
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.chan.describe("Receiver", f)
    }
}

impl<'a, T> IntoIterator for &'a Receiver<T> {
    type Item = T;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

/// Blocking iterator over a channel's values: see [`Receiver::iter`].
#[derive(Debug)]
pub struct Iter<'a, T> {
    receiver: &'a Receiver<T>,
}

impl<T> Iterator for Iter<'_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.receiver.recv_blocking()
    }
}

impl<T> Chan<T> {
    fn describe(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (len, capacity, closed) = {
            let state = self.state.lock();
            (state.buffer.len(), state.capacity, state.closed)
        };
        f.debug_struct(name)
            .field("len", &len)
            .field("capacity", &capacity)
            .field("is_closed", &closed)
            .finish()
    }

    /// A waiter that may be queued was polled again: true if it still waits.
    #[cold]
    fn still_waits(
        &self,
        mut waiter: Pin<&mut Waiter<T>>,
        list: fn(&mut State<T>) -> &mut WaitList<T>,
        kind: WaitKind,
        cx: &mut Context<'_>,
    ) -> bool {
        let mut state = self.state.lock();
        if waiter.state() != WaitState::Queued {
            return false;
        }
        // SAFETY: locked; the waiter is QUEUED, and in this list: it has been in no other.
        let replaced =
            unsafe { list(&mut state).renew(waiter.as_mut(), cx.waker(), Wait::on(kind, self)) };
        drop(state);
        drop(replaced);
        true
    }

    /// Unlinks a waiter whose future is dropped, if it is still queued.
    #[cold]
    fn cancel(&self, mut waiter: Pin<&mut Waiter<T>>, list: fn(&mut State<T>) -> &mut WaitList<T>) {
        let mut state = self.state.lock();
        if waiter.state() == WaitState::Queued {
            // SAFETY: as in `still_waits`.
            let waker = unsafe { list(&mut state).cancel(waiter.as_mut()) };
            drop(state);
            drop(waker);
        }
    }
}

/// The future of [`Sender::send`].
#[must_use = "nothing is sent until the future is awaited"]
pub struct Send<'a, T> {
    pub(super) chan: &'a Chan<T>,
    pub(super) waiter: Waiter<T>,
}

impl<T> Future for Send<'_, T> {
    type Output = Result<(), SendError<T>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if coop::poll_proceed(cx).is_pending() {
            return Poll::Pending;
        }
        // SAFETY: `waiter` is never moved out of.
        let (chan, mut waiter) = unsafe {
            let this = self.get_unchecked_mut();
            (this.chan, pin_field(&mut this.waiter))
        };
        match waiter.state() {
            WaitState::Idle => {
                let value = waiter.as_mut().take_value();
                let value = value.expect("a send was polled after it was ready");
                let mut wakers = WakeList::new();
                let mut state = chan.state.lock();
                return match state.offer(value, &mut wakers) {
                    Offer::Taken => Poll::Ready(Ok(())),
                    Offer::Closed(value) => Poll::Ready(Err(SendError(value))),
                    Offer::Full(value) => {
                        waiter.as_mut().put_value(value);
                        // SAFETY: locked; pinned in this future, whose drop cancels it.
                        unsafe {
                            state.sendq.enqueue(
                                waiter,
                                cx.waker(),
                                Wait::on(WaitKind::ChanSend, chan),
                            )
                        };
                        Poll::Pending
                    }
                };
            }
            WaitState::Queued
                if chan.still_waits(waiter.as_mut(), |s| &mut s.sendq, WaitKind::ChanSend, cx) =>
            {
                return Poll::Pending;
            }
            _ => {}
        }
        // Done: a receiver has the value. Closed: it is still here.
        Poll::Ready(
            waiter
                .take_value()
                .map_or(Ok(()), |value| Err(SendError(value))),
        )
    }
}

impl<T> Send<'_, T> {
    /// Gives up: the waiter is in no list afterwards.
    #[inline]
    fn give_up(&mut self) {
        if self.waiter.state() == WaitState::Queued {
            // SAFETY: QUEUED, so this future was pinned, and is not moved before it is freed.
            self.chan
                .cancel(unsafe { pin_field(&mut self.waiter) }, |s| &mut s.sendq);
        }
    }
}

impl<T> Drop for Send<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.give_up();
    }
}

impl<T> fmt::Debug for Send<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Send")
            .field("waiter", &self.waiter)
            .finish_non_exhaustive()
    }
}

/// The future of [`Sender::send_from`].
#[must_use = "nothing is sent until the future is awaited"]
pub struct SendFrom<'a, T> {
    send: Send<'a, T>,
    slot: &'a mut Option<T>,
}

impl<'a, T> SendFrom<'a, T> {
    pub(super) fn inner(&self) -> &Send<'a, T> {
        &self.send
    }

    pub(super) fn send(self: Pin<&mut Self>) -> Pin<&mut Send<'a, T>> {
        // SAFETY: `send` is never moved out of.
        unsafe { pin_field(&mut self.get_unchecked_mut().send) }
    }

    /// Puts the value of a failed send back into the slot.
    pub(super) fn keep(
        self: Pin<&mut Self>,
        sent: Result<(), SendError<T>>,
    ) -> Result<(), SendError<()>> {
        sent.map_err(|SendError(value)| {
            // SAFETY: `slot` is not pinned, and nothing else is moved.
            *unsafe { self.get_unchecked_mut() }.slot = Some(value);
            SendError(())
        })
    }
}

impl<T> Future for SendFrom<'_, T> {
    type Output = Result<(), SendError<()>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let sent = std::task::ready!(self.as_mut().send().poll(cx));
        Poll::Ready(self.keep(sent))
    }
}

impl<T> Drop for SendFrom<'_, T> {
    fn drop(&mut self) {
        self.send.give_up();
        // SAFETY: this future is being dropped: if it was pinned it does not move any more.
        let unsent = unsafe { pin_field(&mut self.send.waiter) }.take_value();
        if unsent.is_some() {
            *self.slot = unsent;
        }
    }
}

impl<T> fmt::Debug for SendFrom<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendFrom")
            .field("send", &self.send)
            .finish_non_exhaustive()
    }
}

/// The future of [`Receiver::recv`].
#[must_use = "nothing is received until the future is awaited"]
pub struct Recv<'a, T> {
    pub(super) chan: &'a Chan<T>,
    pub(super) waiter: Waiter<T>,
}

impl<T> Future for Recv<'_, T> {
    type Output = Option<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        if coop::poll_proceed(cx).is_pending() {
            return Poll::Pending;
        }
        // SAFETY: `waiter` is never moved out of.
        let (chan, mut waiter) = unsafe {
            let this = self.get_unchecked_mut();
            (this.chan, pin_field(&mut this.waiter))
        };
        match waiter.state() {
            WaitState::Idle => {
                let mut wakers = WakeList::new();
                let mut state = chan.state.lock();
                let value = state.take(&mut wakers);
                if value.is_some() || state.closed {
                    return Poll::Ready(value);
                }
                // SAFETY: locked; pinned in this future, whose drop cancels it.
                unsafe {
                    state
                        .recvq
                        .enqueue(waiter, cx.waker(), Wait::on(WaitKind::ChanRecv, chan))
                };
                return Poll::Pending;
            }
            WaitState::Queued
                if chan.still_waits(waiter.as_mut(), |s| &mut s.recvq, WaitKind::ChanRecv, cx) =>
            {
                return Poll::Pending;
            }
            _ => {}
        }
        // Done: a sender put the value here. Closed: there is none.
        Poll::Ready(waiter.take_value())
    }
}

impl<T> Drop for Recv<'_, T> {
    #[inline]
    fn drop(&mut self) {
        if self.waiter.state() == WaitState::Idle {
            return;
        }
        // SAFETY: it was queued, so this future was pinned, and is not moved before it is freed.
        let mut waiter = unsafe { pin_field(&mut self.waiter) };
        if waiter.state() == WaitState::Queued {
            self.chan.cancel(waiter.as_mut(), |s| &mut s.recvq);
        }
        if let Some(value) = waiter.take_value() {
            self.chan.return_to_front(value);
        }
    }
}

impl<T> fmt::Debug for Recv<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recv")
            .field("waiter", &self.waiter)
            .finish_non_exhaustive()
    }
}
