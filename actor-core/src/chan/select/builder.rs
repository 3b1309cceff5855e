//! `Select`: a select whose arms are known only at run time.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::marker::Send as SendMarker;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use pin_project_lite::pin_project;

use super::arm::{Arm, Arms, Attempt, ChannelArm, PlainArm, TakeOutput};
use super::engine::{self, Options, Picked, Scratch};
use super::group::Group;
use crate::chan::waiters::WakeList;
use crate::chan::word_lock::WordLock;
use crate::chan::{Receiver, SendError, Sender};

/// A `select` with arms added at run time: any number, in a loop if need be. Go's `reflect.Select`.
///
/// Every arm comes with a function that turns its outcome into the value of the select; awaiting the
/// select waits until one arm is ready and yields what that arm's function returns. If several are
/// ready, one is chosen at random, each as likely, unless [`biased`](Self::biased) is asked for. The
/// other arms have not happened. With a fixed number of arms [`select!`](crate::select) reads better
/// and allocates nothing; here every arm is boxed.
///
/// Without arms and without a default it waits for ever, as Go's `select {}`.
///
/// Dropping the future loses nothing: as for [`select!`](crate::select).
///
/// ```
/// use actor_core::chan::{Select, buffered};
/// # actor_core::Runtime::new().unwrap().block_on(async {
/// let channels: Vec<_> = (0..10).map(|_| buffered(1)).collect();
/// channels[7].0.send("hello").await.unwrap();
///
/// let mut select = Select::new();
/// for (n, (_, rx)) in channels.iter().enumerate() {
///     select = select.recv(rx, move |value| (n, value));
/// }
/// assert_eq!(select.await, (7, Some("hello")));
/// # });
/// ```
#[must_use = "a select does nothing until it is awaited"]
pub struct Select<'a, R> {
    arms: Vec<Pin<Box<dyn BuiltArm<R> + SendMarker + 'a>>>,
    default: Option<Box<dyn FnOnce() -> R + SendMarker + 'a>>,
    biased: bool,
}

impl<'a, R: 'a> Select<'a, R> {
    /// A select without arms.
    pub fn new() -> Self {
        Self {
            arms: Vec::new(),
            default: None,
            biased: false,
        }
    }

    /// Adds a receive: see [`Receiver::recv`].
    pub fn recv<T: SendMarker>(
        self,
        receiver: &'a Receiver<T>,
        then: impl FnOnce(Option<T>) -> R + SendMarker + 'a,
    ) -> Self {
        self.arm(ChannelArm::new(Some(receiver.recv())), then)
    }

    /// Adds a send: see [`Sender::send`]. If another arm wins, the value is dropped.
    pub fn send<T: SendMarker>(
        self,
        sender: &'a Sender<T>,
        value: T,
        then: impl FnOnce(Result<(), SendError<T>>) -> R + SendMarker + 'a,
    ) -> Self {
        self.arm(ChannelArm::new(Some(sender.send(value))), then)
    }

    /// Adds a send that keeps its value if another arm wins: see [`Sender::send_from`].
    ///
    /// # Panics
    /// When the slot is empty.
    #[track_caller]
    pub fn send_from<T: SendMarker>(
        self,
        sender: &'a Sender<T>,
        slot: &'a mut Option<T>,
        then: impl FnOnce(Result<(), SendError<()>>) -> R + SendMarker + 'a,
    ) -> Self {
        self.arm(ChannelArm::new(Some(sender.send_from(slot))), then)
    }

    /// Adds any other future. It is dropped when another arm wins; pass `&mut future` to keep it.
    pub fn future<F>(self, future: F, then: impl FnOnce(F::Output) -> R + SendMarker + 'a) -> Self
    where
        F: IntoFuture<IntoFuture: SendMarker + 'a, Output: SendMarker + 'a>,
    {
        self.arm(PlainArm::new(Some(future.into_future())), then)
    }

    /// Adds an arm that is ready after a duration, counted from here. Go's `case <-time.After(d)`.
    pub fn timeout(self, duration: Duration, then: impl FnOnce() -> R + SendMarker + 'a) -> Self {
        self.future(crate::sched::sleep(duration), |()| then())
    }

    /// What to do when no arm is ready at once, instead of waiting; the last one given counts.
    pub fn default(mut self, otherwise: impl FnOnce() -> R + SendMarker + 'a) -> Self {
        self.default = Some(Box::new(otherwise));
        self
    }

    /// Among ready arms the one added first wins, instead of a random one.
    pub fn biased(mut self) -> Self {
        self.biased = true;
        self
    }

    fn arm<A>(mut self, arm: A, then: impl FnOnce(A::Output) -> R + SendMarker + 'a) -> Self
    where
        A: TakeOutput + SendMarker + 'a,
    {
        let then = Some(then);
        self.arms.push(Box::pin(Built { arm, then }));
        self
    }
}

impl<'a, R: 'a> Default for Select<'a, R> {
    fn default() -> Self {
        Self::new()
    }
}

impl<R> fmt::Debug for Select<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Select")
            .field("arms", &self.arms.len())
            .field("default", &self.default.is_some())
            .field("biased", &self.biased)
            .finish()
    }
}

impl<'a, R> IntoFuture for Select<'a, R> {
    type Output = R;
    type IntoFuture = Selection<'a, R>;

    fn into_future(self) -> Selection<'a, R> {
        let count = self.arms.len();
        Selection {
            arms: BuiltArms { arms: self.arms },
            group: Group::new(),
            order: vec![0; count],
            words: Words(vec![std::ptr::null(); count]),
            default: self.default,
            biased: self.biased,
        }
    }
}

pin_project! {
    /// The future of [`Select`].
    #[must_use = "a select does nothing until it is awaited"]
    pub struct Selection<'a, R> {
        // Before the group, which their waiters point to: fields are dropped in this order.
        arms: BuiltArms<'a, R>,
        #[pin]
        group: Group,
        order: Vec<u32>,
        words: Words,
        default: Option<Box<dyn FnOnce() -> R + SendMarker + 'a>>,
        biased: bool,
    }

    impl<'a, R> PinnedDrop for Selection<'a, R> {
        fn drop(this: Pin<&mut Self>) {
            // From here on nobody claims; an arm that was claimed knows what to do when dropped.
            let _ = this.into_ref().project_ref().group.begin();
        }
    }
}

/// Memory for the locks of one poll; between polls it means nothing.
struct Words(Vec<*const WordLock>);

// SAFETY: what the pointers point to is used within one poll only.
unsafe impl SendMarker for Words {}
// SAFETY: as above; a shared reference gives no access.
unsafe impl Sync for Words {}

impl<R> Future for Selection<'_, R> {
    type Output = R;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<R> {
        let this = self.project();
        let options = Options {
            biased: *this.biased,
            default: this.default.is_some(),
        };
        let scratch = Scratch {
            order: this.order,
            words: &mut this.words.0,
        };
        let arms = Pin::new(&mut *this.arms);
        // SAFETY: the arms are boxed and dropped before the group, which is pinned here; `drop`
        // begins it.
        let picked = unsafe { engine::poll(&this.group, arms, options, scratch, cx) };
        match picked {
            Poll::Ready(Picked::Arm(arm)) => Poll::Ready(this.arms.arms[arm].as_mut().finish()),
            Poll::Ready(Picked::Default | Picked::Disabled) => match this.default.take() {
                Some(otherwise) => Poll::Ready(otherwise()),
                None => Poll::Pending,
            },
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<R> fmt::Debug for Selection<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Selection")
            .field("arms", &self.arms.arms.len())
            .field("group", &self.group)
            .finish_non_exhaustive()
    }
}

struct BuiltArms<'a, R> {
    arms: Vec<Pin<Box<dyn BuiltArm<R> + SendMarker + 'a>>>,
}

impl<R> Arms for BuiltArms<'_, R> {
    fn at<'s>(self: Pin<&'s mut Self>, arm: usize) -> Pin<&'s mut (dyn Arm + 's)> {
        self.get_mut().arms[arm].as_mut()
    }
}

/// An arm with its function.
trait BuiltArm<R>: Arm {
    fn finish(self: Pin<&mut Self>) -> R;
}

pin_project! {
    struct Built<A, G> {
        #[pin]
        arm: A,
        then: Option<G>,
    }
}

impl<R, A: TakeOutput, G: FnOnce(A::Output) -> R> BuiltArm<R> for Built<A, G> {
    fn finish(self: Pin<&mut Self>) -> R {
        let this = self.project();
        let then = this
            .then
            .take()
            .expect("a select was polled after it was ready");
        then(this.arm.take())
    }
}

impl<A: Arm, G> Arm for Built<A, G> {
    fn word(&self) -> *const WordLock {
        self.arm.word()
    }

    fn attempt(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Attempt {
        self.project().arm.attempt(cx)
    }

    unsafe fn attempt_locked(self: Pin<&mut Self>, wakers: &mut WakeList) -> bool {
        // SAFETY: promised by the caller.
        unsafe { self.project().arm.attempt_locked(wakers) }
    }

    unsafe fn enqueue(self: Pin<&mut Self>, group: &Group, arm: u32) {
        // SAFETY: promised by the caller.
        unsafe { self.project().arm.enqueue(group, arm) };
    }

    fn settle(self: Pin<&mut Self>) {
        self.project().arm.settle();
    }
}
