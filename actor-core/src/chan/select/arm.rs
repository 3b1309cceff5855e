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

/// What came of trying an arm.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// The output is here now.
    Ready,
    Pending,
    /// It takes no part.
    Disabled,
}

/// What the engine asks of an arm.
#[allow(private_interfaces, reason = "only this crate can implement it")]
#[doc(hidden)]
pub trait Arm {
    /// The lock of its channel; null for a plain future, and for an arm that takes no part.
    fn word(&self) -> *const WordLock;

    /// Tries to finish it. Runs user code.
    fn attempt(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Attempt;

    /// As `attempt`, under the lock; true if it is ready, which a plain future never is.
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
    fn word(&self) -> *const WordLock {
        self.operation
            .as_ref()
            .map_or(std::ptr::null(), Operation::word)
    }

    fn attempt(self: Pin<&mut Self>, _: &mut Context<'_>) -> Attempt {
        let word = self.word();
        if word.is_null() {
            return Attempt::Disabled;
        }
        let mut wakers = WakeList::new();
        // SAFETY: the channel lives as long as the operation on it, longer than this call.
        let _locked = unsafe { Locks::hold(std::slice::from_ref(&word)) };
        // SAFETY: locked; the engine tries arms while the group is BUSY.
        if unsafe { self.attempt_locked(&mut wakers) } {
            Attempt::Ready
        } else {
            Attempt::Pending
        }
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
    fn word(&self) -> *const WordLock {
        std::ptr::null()
    }

    fn attempt(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Attempt {
        let this = self.project();
        let Some(future) = this.future.as_pin_mut() else {
            return Attempt::Disabled;
        };
        match future.poll(cx) {
            Poll::Ready(output) => {
                *this.output = Some(output);
                Attempt::Ready
            }
            Poll::Pending => Attempt::Pending,
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
    fn at<'s>(self: Pin<&'s mut Self>, arm: usize) -> Pin<&'s mut (dyn Arm + 's)>;
}

macro_rules! row {
    ($($place:ident $type:ident $number:literal),*) => {
        pin_project! {
            /// The next arms of a `select!`, each of its own type, and those after them. Not one by one: an
            /// arm would be moved once for each that comes before it.
            #[doc(hidden)]
            #[derive(Debug)]
            pub struct Row<$($type,)* T> {
                $(#[pin] pub $place: $type,)*
                #[pin]
                pub tail: T,
            }
        }

        impl<$($type,)* T> Row<$($type,)* T> {
            $(
                pub fn $place(self: Pin<&mut Self>) -> Pin<&mut $type> {
                    self.project().$place
                }
            )*

            pub fn tail(self: Pin<&mut Self>) -> Pin<&mut T> {
                self.project().tail
            }
        }

        impl<$($type: Arm,)* T: Arms> Arms for Row<$($type,)* T> {
            #[inline]
            fn at<'s>(self: Pin<&'s mut Self>, arm: usize) -> Pin<&'s mut (dyn Arm + 's)> {
                let this = self.project();
                match arm {
                    $($number => this.$place,)*
                    _ => this.tail.at(arm - ROW),
                }
            }
        }
    };
}

/// The arms of a row; the macro knows it too.
const ROW: usize = 8;

row!(a A 0, b B 1, c C 2, d D 3, e E 4, f F 5, g G 6, h H 7);

/// The rest of a row, and what comes after the last row. It is never asked for: numbers end before it.
#[doc(hidden)]
#[derive(Debug)]
pub struct End;

impl Arms for End {
    fn at<'s>(self: Pin<&'s mut Self>, _: usize) -> Pin<&'s mut (dyn Arm + 's)> {
        unreachable!("an arm that is not there");
    }
}

#[allow(private_interfaces, reason = "as the trait")]
impl Arm for End {
    fn word(&self) -> *const WordLock {
        std::ptr::null()
    }

    fn attempt(self: Pin<&mut Self>, _: &mut Context<'_>) -> Attempt {
        Attempt::Disabled
    }

    unsafe fn attempt_locked(self: Pin<&mut Self>, _: &mut WakeList) -> bool {
        false
    }

    unsafe fn enqueue(self: Pin<&mut Self>, _: &Group, _: u32) {}

    fn settle(self: Pin<&mut Self>) {}
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
