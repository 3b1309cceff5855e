//! A panic of somebody else's function as a value, to be told to everybody who waited for it.

use std::any::Any;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::thread;

/// Polls a future; its panic is a result.
pub(super) fn poll<F: Future + ?Sized>(
    future: Pin<&mut F>,
    cx: &mut Context<'_>,
) -> Poll<thread::Result<F::Output>> {
    match catch_unwind(AssertUnwindSafe(|| future.poll(cx))) {
        Ok(polled) => polled.map(Ok),
        Err(payload) => Poll::Ready(Err(payload)),
    }
}

/// Runs `make` and what it makes; a panic of either is a result.
pub(super) async fn run<F, R>(make: F) -> thread::Result<R::Output>
where
    F: FnOnce() -> R,
    R: Future,
{
    let mut future = pin!(async { make().await });
    poll_fn(|cx| poll(future.as_mut(), cx)).await
}

/// The text of a panic, which can be told more than once; the payload can't.
pub(super) fn text(payload: &(dyn Any + Send)) -> String {
    payload
        .downcast_ref::<&'static str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "(a panic payload that is not text)".to_owned())
}
