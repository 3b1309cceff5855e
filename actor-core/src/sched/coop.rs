//! The cooperative budget: a goroutine that is always ready must not starve its P.
//!
//! Every primitive calls [`poll_proceed`] first. A poll may complete `tuning::BUDGET` operations;
//! the next one returns `Pending` after it has notified the goroutine, which then queues behind the
//! others. Outside a goroutine (a foreign thread, `block_on`) there is no budget.
//! Source: tokio's `coop`; Go needs none because it preempts.

use std::task::{Context, Poll};

use super::context;

/// Takes one unit of the budget; `Pending` when it is spent (the waker has been notified).
#[inline]
pub(crate) fn poll_proceed(cx: &mut Context<'_>) -> Poll<()> {
    if context::take_budget() {
        return Poll::Ready(());
    }
    cx.waker().wake_by_ref();
    Poll::Pending
}
