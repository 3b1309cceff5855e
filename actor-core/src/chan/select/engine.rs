//! One poll of a `select`, for the macro and the builder alike.
//!
//! 1. BUSY: from here on nobody claims an arm. One that was claimed already has won.
//! 2. Every arm is tried once, in random order (`biased`: as written); the first that is ready wins.
//!    The order is a fresh permutation each time, so among ready arms each is as likely.
//! 3. With a `default` the channel arms are tried once more, under the locks of all their channels:
//!    one after the other, each may have been missed although one was ready at any time. A default
//!    means that none was, at one moment. Then that is all.
//! 4. Under the locks of all its channels the channel arms are tried again and their waiters queued;
//!    then the group opens. What arrived in between is found here, what arrives later claims.
//!
//! No lock is held while futures are polled or wakers cloned, dropped or woken.

use std::pin::Pin;
use std::task::{Context, Poll};

use super::arm::{Arms, Attempt};
use super::group::{Begin, Group};
use super::locks::Locks;
use super::random::Random;
use crate::chan::waiters::WakeList;
use crate::chan::word_lock::WordLock;
use crate::sched::coop;
use crate::sched::wait::{Wait, WaitKind};

/// How a select ended.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Picked {
    /// This arm has won, and holds its output.
    Arm(usize),
    /// No arm was ready.
    Default,
    /// No arm takes part.
    Disabled,
}

/// What was written beside the arms.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    pub(crate) biased: bool,
    pub(crate) default: bool,
}

/// Memory for one poll, as long as there are arms: that is how their number is known.
pub(crate) struct Scratch<'a> {
    pub(crate) order: &'a mut [u32],
    pub(crate) words: &'a mut [*const WordLock],
}

/// See the file's comment.
///
/// # Safety
/// The group outlives the arms, both stay where they are, and when the select ends before its arms
/// are dropped `group.begin()` is called.
pub(crate) unsafe fn poll(
    group: &Group,
    mut arms: Pin<&mut dyn Arms>,
    options: Options,
    scratch: Scratch<'_>,
    cx: &mut Context<'_>,
) -> Poll<Picked> {
    if coop::poll_proceed(cx).is_pending() {
        return Poll::Pending;
    }
    if let Begin::Won(arm) = group.begin() {
        arms.at(arm as usize).settle();
        group.settled();
        return Poll::Ready(Picked::Arm(arm as usize));
    }
    let order = &mut *scratch.order;
    let count = order.len();
    for (n, arm) in order.iter_mut().enumerate() {
        *arm = n as u32;
    }
    let mut random = (!options.biased && count > 1).then(Random::new);
    // Those that take part are moved to the front, in the order in which they were tried.
    let mut enabled = 0;
    for n in 0..count {
        if let Some(random) = &mut random {
            order.swap(n, n + random.below(count - n));
        }
        let arm = order[n];
        match arms.as_mut().at(arm as usize).attempt(cx) {
            Attempt::Ready => return Poll::Ready(Picked::Arm(arm as usize)),
            Attempt::Pending => {
                order[enabled] = arm;
                enabled += 1;
            }
            Attempt::Disabled => {}
        }
    }
    let order = &mut order[..enabled];
    if order.is_empty() {
        return Poll::Ready(Picked::Disabled);
    }
    let mut channels = 0;
    for &mut arm in &mut *order {
        let word = arms.as_mut().at(arm as usize).word();
        if !word.is_null() {
            scratch.words[channels] = word;
            channels += 1;
        }
    }
    if options.default {
        // A future that says "pending" because the budget is spent may be ready.
        if channels < enabled && coop::poll_proceed(cx).is_pending() {
            return Poll::Pending;
        }
        if channels > 1 {
            let mut wakers = WakeList::new(); // woken after unlocking
            // SAFETY: the channels live as long as the arms.
            let _locks = unsafe { Locks::take(&mut scratch.words[..channels]) };
            for &mut arm in order {
                // SAFETY: locked, and BUSY.
                if unsafe { arms.as_mut().at(arm as usize).attempt_locked(&mut wakers) } {
                    return Poll::Ready(Picked::Arm(arm as usize));
                }
            }
        }
        return Poll::Ready(Picked::Default);
    }
    Wait::on(WaitKind::Select, group).note(cx.waker());
    if channels > 0 {
        group.renew(cx.waker());
        let mut wakers = WakeList::new(); // woken after unlocking
        // SAFETY: the channels live as long as the arms.
        let locks = unsafe { Locks::take(&mut scratch.words[..channels]) };
        for &mut arm in &mut *order {
            // SAFETY: locked, and BUSY.
            if unsafe { arms.as_mut().at(arm as usize).attempt_locked(&mut wakers) } {
                return Poll::Ready(Picked::Arm(arm as usize));
            }
        }
        for &mut arm in order {
            // SAFETY: locked; the caller promises that the group outlives the arms.
            unsafe { arms.as_mut().at(arm as usize).enqueue(group, arm) };
        }
        group.open();
        drop(locks);
    }
    Poll::Pending
}
