//! The select of the macro: arms of known types, no memory of its own.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::arm::Arms;
use super::engine::{self, Options, Picked, Scratch};
use super::group::Group;
use crate::chan::waiters::pin_field;

/// What `select!` waits with.
#[doc(hidden)]
pub struct Selecting<A, const N: usize> {
    // Before the group, which their waiters point to: fields are dropped in this order. Both are
    // pinned with the struct.
    arms: A,
    group: Group,
    options: Options,
}

impl<A, const N: usize> Selecting<A, N> {
    /// `N` is the number of arms.
    #[inline]
    pub fn new(arms: A, biased: bool, default: bool) -> Self {
        Self {
            arms,
            group: Group::new(),
            options: Options { biased, default },
        }
    }

    pub fn poll_pick(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Picked>
    where
        A: Arms,
    {
        // SAFETY: neither the arms nor the group is moved out of.
        let (arms, group, options) = unsafe {
            let this = self.get_unchecked_mut();
            (pin_field(&mut this.arms), &this.group, this.options)
        };
        let scratch = Scratch {
            order: &mut [0; N],
            words: &mut [std::ptr::null(); N],
        };
        // SAFETY: both are pinned in this struct, whose drop begins the group and drops it last.
        unsafe { engine::poll(group, arms, options, scratch, cx) }
    }

    pub fn arms(self: Pin<&mut Self>) -> Pin<&mut A> {
        // SAFETY: the arms are never moved out of.
        unsafe { pin_field(&mut self.get_unchecked_mut().arms) }
    }
}

impl<A, const N: usize> Drop for Selecting<A, N> {
    fn drop(&mut self) {
        // From here on nobody claims; an arm that was claimed knows what to do when it is dropped.
        let _ = self.group.begin();
    }
}

impl<A, const N: usize> fmt::Debug for Selecting<A, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Selecting")
            .field("arms", &N)
            .field("group", &self.group)
            .finish_non_exhaustive()
    }
}
