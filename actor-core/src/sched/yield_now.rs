//! Letting others run.

use std::future::poll_fn;
use std::task::Poll;

/// Lets the other ready goroutines of this P run first.
///
/// The caller queues behind them; with nobody else ready it goes on at once and wakes no other
/// core. Dropping the future before it is ready does nothing.
///
/// Source: Go's `runtime.Gosched`.
///
/// ```
/// # actor_core::Runtime::new().unwrap().block_on(async {
/// actor_core::yield_now().await;
/// # });
/// ```
pub async fn yield_now() {
    let mut yielded = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
