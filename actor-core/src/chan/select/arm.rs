//! The arms of a `select`, as its engine sees them: an operation on a channel, or any future.
//!
//! An arm keeps its future and, once it has won, the output, until whoever runs the handler takes
//! it. An arm without a future is disabled: its precondition was false, or its output did not match
//! the pattern.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use super::group::Group;
use super::locks::Locks;
use crate::chan::waiters::WakeList;
use crate::chan::word_lock::WordLock;

/// An operation on a channel that may be claimed: the futures `Recv`, `Send` and `SendFrom`.
#[allow(private_interfaces, reason = "only this crate can implement it")]
#[doc(hidden)]
pub trait Operation: Future {
    /// The lock of the channel.
    fn word(&self) -> *const WordLock;

    /// Tries to finish it. When it is ready its waiter is in no list.
    ///
    /// # Safety
    /// The lock is held, and the group of the waiter, if it is queued, is BUSY.
    unsafe fn attempt(self: Pin<&mut Self>, wakers: &mut WakeList) -> Option<Self::Output>;

    /// Queues the waiter, unless it is queued already.
    ///
    /// # Safety
    /// The lock is held; the group outlives the operation.
    unsafe fn enqueue(self: Pin<&mut Self>, group: &Group, arm: u32);

    /// The output of a waiter that was claimed.
    fn settle(self: Pin<&mut Self>) -> Self::Output;
}

/// What the engine asks of an arm.
#[allow(private_interfaces, reason = "only this crate can implement it")]
#[doc(hidden)]
pub trait Arm {
    /// Whether it takes part.
    fn is_enabled(&self) -> bool;

    /// The lock of its channel; null for a plain future.
    fn word(&self) -> *const WordLock;

    /// Tries to finish it; true if the output is here now. Runs user code.
    fn attempt(self: Pin<&mut Self>, cx: &mut Context<'_>) -> bool;

    /// As `attempt`, under the lock; never true for a plain future.
    ///
    /// # Safety
    /// As for [`Operation::attempt`].
    unsafe fn attempt_locked(self: Pin<&mut Self>, wakers: &mut WakeList) -> bool;

    /// See [`Operation::enqueue`]; nothing for a plain future.
    ///
    /// # Safety
    /// As there.
    unsafe fn enqueue(self: Pin<&mut Self>, group: &Group, arm: u32);

    /// Fetches the output of an arm that was claimed.
    fn settle(self: Pin<&mut Self>);
}

/// An arm whose output can be taken by whoever knows its type.
#[doc(hidden)]
pub trait TakeOutput: Arm {
    type Output;

    /// The output of the arm that won.
    fn take(self: Pin<&mut Self>) -> Self::Output;

    /// Takes the arm out of the select.
    fn disable(self: Pin<&mut Self>);
}

pin_project! {
    /// An arm that operates on a channel.
    #[doc(hidden)]
    #[derive(Debug)]
    pub struct ChannelArm<F: Future> {
        #[pin]
        operation: Option<F>,
        output: Option<F::Output>,
    }
}

pin_project! {
    /// An arm that is any future. (Without a bound: what is no future is reported once, where it
    /// becomes an arm.)
    #[doc(hidden)]
    #[derive(Debug)]
    pub struct PlainArm<F, O> {
        #[pin]
        future: Option<F>,
        output: Option<O>,
    }
}

impl<F: Operation> ChannelArm<F> {
    pub fn new(operation: Option<F>) -> Self {
        Self {
            operation,
            output: None,
        }
    }
}

impl<F: Future> PlainArm<F, F::Output> {
    pub fn new(future: Option<F>) -> Self {
        Self {
            future,
            output: None,
        }
    }
}

#[allow(private_interfaces, reason = "as the trait")]
impl<F: Operation> Arm for ChannelArm<F> {
    fn is_enabled(&self) -> bool {
        self.operation.is_some()
    }

    fn word(&self) -> *const WordLock {
        self.operation
            .as_ref()
            .map_or(std::ptr::null(), Operation::word)
    }

    fn attempt(self: Pin<&mut Self>, _: &mut Context<'_>) -> bool {
        let mut wakers = WakeList::new();
        let mut word = [self.word()];
        // SAFETY: the channel lives as long as the operation on it, longer than this call.
        let _locked = unsafe { Locks::take(&mut word) };
        // SAFETY: locked; the engine tries arms while the group is BUSY.
        unsafe { self.attempt_locked(&mut wakers) }
    }

    unsafe fn attempt_locked(self: Pin<&mut Self>, wakers: &mut WakeList) -> bool {
        let this = self.project();
        let Some(operation) = this.operation.as_pin_mut() else {
            return false;
        };
        // SAFETY: promised by the caller.
        match unsafe { operation.attempt(wakers) } {
            Some(output) => {
                *this.output = Some(output);
                true
            }
            None => false,
        }
    }

    unsafe fn enqueue(self: Pin<&mut Self>, group: &Group, arm: u32) {
        if let Some(operation) = self.project().operation.as_pin_mut() {
            // SAFETY: promised by the caller.
            unsafe { operation.enqueue(group, arm) };
        }
    }

    fn settle(self: Pin<&mut Self>) {
        let this = self.project();
        *this.output = this.operation.as_pin_mut().map(Operation::settle);
    }
}

#[allow(private_interfaces, reason = "as the trait")]
impl<F: Future> Arm for PlainArm<F, F::Output> {
    fn is_enabled(&self) -> bool {
        self.future.is_some()
    }

    fn word(&self) -> *const WordLock {
        std::ptr::null()
    }

    fn attempt(self: Pin<&mut Self>, cx: &mut Context<'_>) -> bool {
        let this = self.project();
        let Some(future) = this.future.as_pin_mut() else {
            return false;
        };
        match future.poll(cx) {
            Poll::Ready(output) => {
                *this.output = Some(output);
                true
            }
            Poll::Pending => false,
        }
    }

    unsafe fn attempt_locked(self: Pin<&mut Self>, _: &mut WakeList) -> bool {
        false
    }

    unsafe fn enqueue(self: Pin<&mut Self>, _: &Group, _: u32) {}

    fn settle(self: Pin<&mut Self>) {
        unreachable!("a plain future was claimed");
    }
}

const NO_OUTPUT: &str = "the output of an arm that has not won was taken";

impl<F: Operation> TakeOutput for ChannelArm<F> {
    type Output = F::Output;

    fn take(self: Pin<&mut Self>) -> F::Output {
        self.project().output.take().expect(NO_OUTPUT)
    }

    fn disable(self: Pin<&mut Self>) {
        self.project().operation.set(None);
    }
}

impl<F: Future> TakeOutput for PlainArm<F, F::Output> {
    type Output = F::Output;

    fn take(self: Pin<&mut Self>) -> F::Output {
        self.project().output.take().expect(NO_OUTPUT)
    }

    fn disable(self: Pin<&mut Self>) {
        self.project().future.set(None);
    }
}

/// The arms of one `select`, by number.
#[doc(hidden)]
pub trait Arms {
    fn count(&self) -> usize;

    fn at<'s>(self: Pin<&'s mut Self>, arm: usize) -> Pin<&'s mut (dyn Arm + 's)>;
}

pin_project! {
    /// An arm and those after it: the arms of `select!`, each of its own type.
    #[doc(hidden)]
    #[derive(Debug)]
    pub struct Cons<H, T> {
        #[pin]
        head: H,
        #[pin]
        tail: T,
    }
}

/// After the last arm.
#[doc(hidden)]
#[derive(Debug)]
pub struct End;

impl<H, T> Cons<H, T> {
    pub fn new(head: H, tail: T) -> Self {
        Self { head, tail }
    }

    pub fn head(self: Pin<&mut Self>) -> Pin<&mut H> {
        self.project().head
    }

    pub fn tail(self: Pin<&mut Self>) -> Pin<&mut T> {
        self.project().tail
    }
}

impl<H: Arm, T: Arms> Arms for Cons<H, T> {
    #[inline]
    fn count(&self) -> usize {
        1 + self.tail.count()
    }

    #[inline]
    fn at<'s>(self: Pin<&'s mut Self>, arm: usize) -> Pin<&'s mut (dyn Arm + 's)> {
        let this = self.project();
        match arm.checked_sub(1) {
            None => this.head,
            Some(arm) => this.tail.at(arm),
        }
    }
}

impl Arms for End {
    fn count(&self) -> usize {
        0
    }

    fn at<'s>(self: Pin<&'s mut Self>, _: usize) -> Pin<&'s mut (dyn Arm + 's)> {
        unreachable!("an arm that is not there");
    }
}

/// How `select!` tells what sort of arm an expression is: [`ChannelKind`] is found first.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct ChannelTag;

/// See [`ChannelTag`].
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct PlainTag;

#[doc(hidden)]
pub trait ChannelKind {
    fn __select_kind(&self) -> ChannelTag {
        ChannelTag
    }
}

impl<F: Operation> ChannelKind for Option<F> {}

#[doc(hidden)]
pub trait PlainKind {
    fn __select_kind(&self) -> PlainTag {
        PlainTag
    }
}

impl<F> PlainKind for &Option<F> {}

impl ChannelTag {
    pub fn arm<F: Operation>(self, operation: Option<F>) -> ChannelArm<F> {
        ChannelArm::new(operation)
    }
}

impl PlainTag {
    pub fn arm<F: IntoFuture>(self, future: Option<F>) -> PlainArm<F::IntoFuture, F::Output> {
        PlainArm::new(future.map(IntoFuture::into_future))
    }
}
