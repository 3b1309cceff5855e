//! Bridges to and from `crossbeam-channel`, for threads that run no goroutines.
//!
//! Our own ends work on any thread ([`Sender::send_blocking`], [`Receiver::recv_blocking`]); a
//! bridge is for code that speaks crossbeam already. It is one thread that passes values on.
//!
//! ```text
//!   thread ──▶ crossbeam ──▶ [ bridge: 1 ] ──▶ rendezvous ──▶ goroutine      from_crossbeam
//!   goroutine ──▶ our channel ──▶ [ bridge: 1 ] ──▶ bounded(0) ──▶ thread    to_crossbeam
//! ```
//!
//! - Backpressure: the channel that a bridge makes has no buffer, so it adds one place to the
//!   channel it continues: the value that the bridge holds. A bridge with a buffer would be faster,
//!   and would lose the buffer when the far side goes away.
//! - The near side closes: what was accepted is passed on, then the far side is closed.
//! - The far side goes away: the bridge takes nothing more, and drops its end of the near side. The
//!   value that it holds is not lost: `to_crossbeam` puts it back at the front of our channel, where
//!   other receivers find it; crossbeam takes nothing back, so `from_crossbeam` leaves it in the new
//!   channel while a receiver is there, and else gives it to the caller of `from_crossbeam_with`.
//! - A crossbeam sender can't tell that its receivers are gone until it sends. So `to_crossbeam`
//!   learns of it with the next value, which it puts back; `from_crossbeam` learns of it at once.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};
use std::thread;

use crossbeam_channel as crossbeam;

use super::SendError;
use super::channel::{Receiver, Sender, rendezvous};
use crate::sched::simulated;
use crate::shim::atomic::Ordering;

/// Continues a crossbeam channel as one of ours: threads send there, goroutines receive here.
///
/// Ends when crossbeam's senders are gone and its values are passed on. When the last receiver
/// returned here is dropped, or the channel closed, the bridge stops: values that it has not taken
/// stay in crossbeam's channel, for other receivers of it. It may have taken one: see
/// [`from_crossbeam_with`], if that one matters.
///
/// # Panics
/// When the system can't start a thread.
///
/// ```
/// use actor_core::{Runtime, chan::bridge};
///
/// let (tx, rx) = crossbeam_channel::bounded(8);
/// let camera = std::thread::spawn(move || (0..3).for_each(|frame| tx.send(frame).unwrap()));
/// let frames = bridge::from_crossbeam(rx);
/// Runtime::new().unwrap().block_on(async {
///     for expected in 0..3 {
///         assert_eq!(frames.recv().await, Some(expected));
///     }
///     assert_eq!(frames.recv().await, None); // the camera is done
/// });
/// # camera.join().unwrap();
/// ```
#[track_caller]
pub fn from_crossbeam<T: Send + 'static>(values: crossbeam::Receiver<T>) -> Receiver<T> {
    from_crossbeam_with(values, drop)
}

/// As [`from_crossbeam`]; `undelivered` gets the value that the bridge had taken when the last
/// receiver was dropped, on the bridge's thread. It is called at most once.
///
/// After a mere `close` nothing is undelivered: the value stays in the channel, behind a `None` that
/// a receiver may have seen meanwhile.
///
/// # Panics
/// When the system can't start a thread.
///
/// ```
/// use actor_core::chan::bridge;
///
/// let (tx, rx) = crossbeam_channel::unbounded();
/// let (back, returned) = crossbeam_channel::bounded(1);
/// let ours = bridge::from_crossbeam_with(rx.clone(), move |value| back.send(value).unwrap());
/// tx.send("frame").unwrap();
/// drop(ours);
/// // The bridge had taken it, or not; it is not lost.
/// assert_eq!(returned.recv().or_else(|_| rx.recv()), Ok("frame"));
/// ```
#[track_caller]
pub fn from_crossbeam_with<T: Send + 'static>(
    values: crossbeam::Receiver<T>,
    undelivered: impl FnOnce(T) + Send + 'static,
) -> Receiver<T> {
    let (tx, rx) = rendezvous();
    start(move || pass_in(undelivered, tx, values));
    rx
}

/// Continues one of our channels as crossbeam's: goroutines send here, threads receive there.
///
/// Ends when our channel is closed and empty. When the last receiver returned here is dropped, the
/// bridge stops at the next value, which it puts back at the front of our channel, and drops
/// `values`: if that was the last receiver, the channel is closed and its senders know. Keep a clone
/// of `values` to go on with what is left.
///
/// # Panics
/// When the system can't start a thread.
///
/// ```
/// use actor_core::{Runtime, chan::{bridge, buffered}};
///
/// let (tx, rx) = buffered(8);
/// let lines = bridge::to_crossbeam(rx);
/// let printer = std::thread::spawn(move || lines.iter().collect::<Vec<_>>());
/// Runtime::new().unwrap().block_on(async {
///     tx.send("one").await.unwrap();
///     tx.send("two").await.unwrap();
///     drop(tx);
/// });
/// assert_eq!(printer.join().unwrap(), ["one", "two"]);
/// ```
#[track_caller]
pub fn to_crossbeam<T: Send + 'static>(values: Receiver<T>) -> crossbeam::Receiver<T> {
    let (tx, rx) = crossbeam::bounded(0);
    start(move || {
        while let Some(value) = values.recv_blocking() {
            if let Err(crossbeam::SendError(value)) = tx.send(value) {
                values.chan.return_to_front(value);
                return;
            }
        }
    });
    rx
}

#[track_caller]
fn start(bridge: impl FnOnce() + Send + 'static) {
    simulated::refuse(
        "a bridge to crossbeam's channels",
        "there are no other threads to talk to; use the channel itself",
    );
    let started = thread::Builder::new().name("actor-bridge".into());
    if let Err(error) = started.spawn(bridge) {
        panic!("a bridge between channels needs a thread, and none could be started: {error}");
    }
}

/// Wakes the bridge's thread out of a wait for crossbeam's channel.
struct Bell(crossbeam::Sender<()>);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        let _ = self.0.try_send(()); // full: it rings already
    }
}

/// Drops its ends before `undelivered`, whose drop thus says that the bridge is over.
fn pass_in<T>(undelivered: impl FnOnce(T), tx: Sender<T>, values: crossbeam::Receiver<T>) {
    let (ring, rung) = crossbeam::bounded(1);
    let waker = Waker::from(Arc::new(Bell(ring)));
    let mut closed = pin!(tx.closed());
    // Polled first: who has nobody to give a value to must not take one.
    while closed
        .as_mut()
        .poll(&mut Context::from_waker(&waker))
        .is_pending()
    {
        let value = crossbeam::select_biased! {
            recv(rung) -> _ => continue,
            recv(values) -> value => value,
        };
        let Ok(value) = value else { return };
        if let Err(SendError(value)) = tx.send_blocking(value) {
            if let Some(value) = tx.chan.keep_after_close(value) {
                undelivered(value);
            }
            return;
        }
    }
}

impl<T> super::channel::Chan<T> {
    /// Leaves a value in a channel that was closed under it, if it has receivers; or gives it back.
    fn keep_after_close(&self, value: T) -> Option<T> {
        let mut state = self.state.lock();
        // ORDERING: Acquire pairs with the AcqRel of the last receiver's drop, which empties the
        // buffer under the lock *after* it: whoever finds a receiver here is not too late.
        if self.receivers.load(Ordering::Acquire) == 0 {
            return Some(value);
        }
        state.buffer.push_back(value);
        None
    }
}
