//! Many asks at once: until all are answered, or one is.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    task::Poll,
};

/// All outcomes, in order.
pub(super) async fn all<F: Future>(asks: Vec<Pin<Box<F>>>) -> Vec<F::Output> {
    let mut asks: Vec<_> = asks.into_iter().map(Some).collect();
    let mut done: Vec<_> = asks.iter().map(|_| None).collect();
    poll_fn(|cx| {
        let mut left = false;
        for (ask, done) in asks.iter_mut().zip(&mut done) {
            let Some(future) = ask else { continue };
            match future.as_mut().poll(cx) {
                Poll::Ready(outcome) => {
                    *done = Some(outcome);
                    *ask = None;
                }
                Poll::Pending => left = true,
            }
        }
        if left { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
    done.into_iter().flatten().collect()
}

/// The first success, or the error that came last. The other asks are dropped. None for no asks.
pub(super) async fn first<F, T, E>(mut asks: Vec<Pin<Box<F>>>) -> Option<Result<T, E>>
where
    F: Future<Output = Result<T, E>>,
{
    let mut last = None;
    poll_fn(|cx| {
        let mut at = 0;
        while let Some(ask) = asks.get_mut(at) {
            match ask.as_mut().poll(cx) {
                Poll::Ready(Ok(value)) => return Poll::Ready(Some(Ok(value))),
                Poll::Ready(Err(error)) => {
                    last = Some(Err(error));
                    drop(asks.swap_remove(at));
                }
                Poll::Pending => at += 1,
            }
        }
        if asks.is_empty() {
            Poll::Ready(last.take())
        } else {
            Poll::Pending
        }
    })
    .await
}
