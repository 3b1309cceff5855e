//! Ends of channels as streams, sinks, iterators, and bridges to crossbeam: nothing is lost when
//! one side goes away.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

use actor_core::chan::{
    Receiver, SendError, TryRecvError, TrySendError, bridge, buffered, rendezvous,
};
use actor_core::{Runtime, go, yield_now};
use futures_core::stream::{FusedStream, Stream};
use futures_sink::Sink;

fn noop() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

fn poll_next<S: Stream>(stream: &mut Pin<&mut S>) -> Poll<Option<S::Item>> {
    stream.as_mut().poll_next(&mut noop())
}

async fn next<S: Stream>(stream: &mut Pin<&mut S>) -> Option<S::Item> {
    poll_fn(|cx| stream.as_mut().poll_next(cx)).await
}

async fn feed<S: Sink<T>, T>(sink: &mut Pin<&mut S>, value: T) -> Result<(), S::Error> {
    poll_fn(|cx| sink.as_mut().poll_ready(cx)).await?;
    sink.as_mut().start_send(value)
}

async fn flush<S: Sink<T>, T>(sink: &mut Pin<&mut S>) -> Result<(), S::Error> {
    poll_fn(|cx| sink.as_mut().poll_flush(cx)).await
}

#[derive(Default)]
struct Counting(AtomicUsize);

impl Wake for Counting {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn a_stream_yields_every_value_in_order_and_ends_for_good() {
    Runtime::new().unwrap().block_on(async {
        for capacity in [0, 1, 8] {
            let (tx, rx) = buffered(capacity);
            let sender = go(async move {
                for n in 0..300 {
                    tx.send(n).await.unwrap();
                }
            });
            let mut values = pin!(rx.into_stream());
            for n in 0..300 {
                assert_eq!(next(&mut values).await, Some(n));
            }
            assert!(!values.is_terminated());
            assert_eq!(next(&mut values).await, None);
            assert!(values.is_terminated());
            assert_eq!(poll_next(&mut values), Poll::Ready(None));
            sender.await.unwrap();
        }
    });
}

#[test]
fn a_stream_dropped_with_a_value_in_it_returns_it_to_the_front() {
    let (tx, rx) = buffered(2);
    let mut values = Box::pin(rx.stream());
    assert!(values.as_mut().poll_next(&mut noop()).is_pending());
    (1..=3).for_each(|n| tx.try_send(n).unwrap()); // the first is in the stream
    assert_eq!(rx.len(), 2);
    drop(values);
    assert_eq!(rx.try_iter().collect::<Vec<_>>(), [1, 2, 3]);
}

#[test]
fn an_owned_stream_dropped_with_a_value_in_it_leaves_it_to_other_receivers() {
    let (tx, rx) = rendezvous();
    let mut values = Box::pin(rx.clone().into_stream());
    assert!(values.as_mut().poll_next(&mut noop()).is_pending());
    tx.try_send(1).unwrap();
    assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
    drop(values);
    assert_eq!(rx.try_recv(), Ok(1));
    assert!(!rx.is_closed());
    drop(rx.into_stream()); // never polled, and the last receiver
    assert!(tx.is_closed());
}

#[test]
fn a_waiting_stream_that_is_dropped_passes_the_next_value_by() {
    let (tx, rx) = rendezvous();
    let mut first = Box::pin(rx.stream());
    let mut second = pin!(rx.stream());
    assert!(first.as_mut().poll_next(&mut noop()).is_pending());
    assert!(poll_next(&mut second).is_pending());
    drop(first);
    tx.try_send(9).unwrap();
    assert_eq!(poll_next(&mut second), Poll::Ready(Some(9)));
}

#[test]
fn a_stream_moves_between_goroutines_before_it_is_polled() {
    Runtime::new().unwrap().block_on(async {
        let (tx, rx) = buffered(1);
        let values = rx.into_stream();
        let sum = go(async move {
            let mut values = pin!(values);
            let mut sum = 0;
            while let Some(n) = next(&mut values).await {
                sum += n;
            }
            sum
        });
        for n in 1..=100 {
            tx.send(n).await.unwrap();
        }
        drop(tx);
        assert_eq!(sum.await.unwrap(), 5_050);
    });
}

#[test]
fn a_sink_keeps_the_order_and_one_value_on_its_way() {
    let (tx, rx) = buffered(1);
    let mut sink = pin!(tx.sink());
    for n in 1..=2 {
        assert_eq!(sink.as_mut().poll_ready(&mut noop()), Poll::Ready(Ok(())));
        sink.as_mut().start_send(n).unwrap();
    }
    assert!(sink.as_mut().poll_ready(&mut noop()).is_pending());
    assert_eq!(rx.try_recv(), Ok(1));
    assert_eq!(sink.as_mut().poll_flush(&mut noop()), Poll::Ready(Ok(())));
    assert_eq!(rx.try_recv(), Ok(2));
}

#[test]
fn a_sink_without_room_counts_as_a_waiting_sender_and_is_woken() {
    let (tx, rx) = rendezvous();
    let mut sink = pin!(tx.sink());
    sink.as_mut().start_send(1).unwrap();
    assert_eq!(rx.try_recv(), Err(TryRecvError::Empty), "not flushed yet");
    let woken = Arc::new(Counting::default());
    let waker = Waker::from(woken.clone());
    let flushing = sink.as_mut().poll_flush(&mut Context::from_waker(&waker));
    assert!(flushing.is_pending());
    assert_eq!(rx.try_recv(), Ok(1));
    assert_eq!(woken.0.load(Ordering::SeqCst), 1);
    assert_eq!(sink.as_mut().poll_flush(&mut noop()), Poll::Ready(Ok(())));
}

#[test]
fn a_sink_gives_values_back_when_the_channel_is_closed() {
    let (tx, rx) = buffered(1);
    let mut sink = pin!(tx.sink());
    sink.as_mut().start_send(1).unwrap();
    sink.as_mut().start_send(2).unwrap();
    assert!(sink.as_mut().poll_flush(&mut noop()).is_pending());
    rx.close();
    assert_eq!(
        sink.as_mut().poll_flush(&mut noop()),
        Poll::Ready(Err(SendError(2)))
    );
    assert_eq!(sink.as_mut().start_send(3), Err(SendError(3)));
    assert_eq!(rx.try_recv(), Ok(1), "what was accepted is received");
}

#[test]
fn a_closed_owned_sink_has_dropped_its_sender_after_its_value() {
    Runtime::new().unwrap().block_on(async {
        let (tx, rx) = rendezvous();
        let sender = go(async move {
            let mut sink = pin!(tx.into_sink());
            for n in 0..10 {
                feed(&mut sink, n).await.unwrap();
            }
            poll_fn(|cx| sink.as_mut().poll_close(cx)).await.unwrap();
            assert!(sink.sender().is_none());
            assert_eq!(feed(&mut sink, 77).await, Err(SendError(77)));
            flush(&mut sink).await.unwrap();
        });
        for n in 0..10 {
            assert_eq!(rx.recv().await, Some(n));
        }
        assert_eq!(rx.recv().await, None);
        sender.await.unwrap();
    });
}

#[test]
fn a_sink_dropped_while_it_waits_leaves_the_queue() {
    let (tx, rx) = rendezvous();
    let mut sink = Box::pin(tx.clone().into_sink());
    sink.as_mut().start_send(1).unwrap();
    assert!(sink.as_mut().poll_flush(&mut noop()).is_pending());
    drop(sink);
    assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
    assert!(!tx.is_closed());
}

#[test]
#[should_panic(expected = "await poll_ready first")]
fn start_send_on_a_sink_that_is_not_ready_panics() {
    let (tx, _rx) = rendezvous();
    let mut sink = pin!(tx.sink());
    let _ = sink.as_mut().start_send(1);
    let _ = sink.as_mut().start_send(2);
}

#[test]
fn iterators_own_borrow_or_never_wait() {
    let (tx, rx) = buffered(8);
    (0..4).for_each(|n| tx.try_send(n).unwrap());
    assert_eq!(rx.try_iter().take(1).collect::<Vec<_>>(), [0]);
    let mut owned = rx.into_iter();
    assert_eq!(owned.next(), Some(1));
    let rx = owned.into_inner();
    assert_eq!(rx.try_iter().collect::<Vec<_>>(), [2, 3]);
    assert_eq!(rx.try_iter().next(), None);
    let consumer = thread::spawn(move || rx.into_iter().collect::<Vec<_>>());
    (4..40).for_each(|n| tx.send_blocking(n).unwrap());
    drop(tx);
    assert_eq!(consumer.join().unwrap(), (4..40).collect::<Vec<_>>());
}

#[test]
fn closed_waits_for_the_close_and_nothing_else() {
    let (tx, rx) = buffered(1);
    let woken = Arc::new(Counting::default());
    let waker = Waker::from(woken.clone());
    let mut cx = Context::from_waker(&waker);
    let mut closed = Box::pin(tx.closed());
    let mut dropped = Box::pin(tx.closed());
    assert!(closed.as_mut().poll(&mut cx).is_pending());
    assert!(dropped.as_mut().poll(&mut cx).is_pending());
    drop(dropped);
    tx.try_send(1).unwrap();
    rx.try_recv().unwrap();
    assert!(closed.as_mut().poll(&mut cx).is_pending());
    assert_eq!(woken.0.load(Ordering::SeqCst), 0);
    drop(rx);
    assert_eq!(woken.0.load(Ordering::SeqCst), 1);
    assert!(closed.as_mut().poll(&mut cx).is_ready());
    assert!(is_ready(tx.closed()));
}

fn is_ready<F: Future>(future: F) -> bool {
    pin!(future).poll(&mut noop()).is_ready()
}

#[test]
fn a_bridge_in_passes_everything_on_in_order_and_closes() {
    for capacity in [0, 1, 16] {
        let (tx, rx) = crossbeam_channel::bounded(capacity);
        let sender = thread::spawn(move || (0..2_000).for_each(|n| tx.send(n).unwrap()));
        let ours = bridge::from_crossbeam(rx);
        let got = Runtime::new().unwrap().block_on(async move {
            let mut got = Vec::new();
            while let Some(n) = ours.recv().await {
                got.push(n);
            }
            got
        });
        assert_eq!(got, (0..2_000).collect::<Vec<_>>());
        sender.join().unwrap();
    }
}

#[test]
fn a_bridge_out_passes_everything_on_in_order_and_closes() {
    for capacity in [0, 1, 16] {
        let (tx, rx) = buffered(capacity);
        let theirs = bridge::to_crossbeam(rx);
        let receiver = thread::spawn(move || theirs.iter().collect::<Vec<_>>());
        Runtime::new().unwrap().block_on(async move {
            for n in 0..2_000 {
                tx.send(n).await.unwrap();
            }
        });
        assert_eq!(receiver.join().unwrap(), (0..2_000).collect::<Vec<_>>());
    }
}

/// There, over a bridge, and back: every value once, with many ends on both sides.
#[test]
fn two_bridges_in_a_row_lose_and_double_nothing() {
    let (tx, rx) = buffered(4);
    let back = bridge::from_crossbeam(bridge::to_crossbeam(rx));
    let mut got = Runtime::new().unwrap().block_on(async move {
        for sender in 0..4 {
            let tx = tx.clone();
            drop(go(async move {
                for n in 0..250 {
                    tx.send(sender * 250 + n).await.unwrap();
                }
            }));
        }
        drop(tx);
        let receivers: Vec<_> = (0..3).map(|_| go(collect(back.clone()))).collect();
        let mut got = Vec::new();
        for receiver in receivers {
            got.extend(receiver.await.unwrap());
        }
        got
    });
    got.sort_unstable();
    assert_eq!(got, (0..1_000).collect::<Vec<_>>());
}

async fn collect<T>(rx: Receiver<T>) -> Vec<T> {
    let mut got = Vec::new();
    while let Some(value) = rx.recv().await {
        got.push(value);
    }
    got
}

#[test]
fn a_bridge_adds_one_place_and_no_more() {
    let (tx, rx) = crossbeam_channel::bounded(1);
    let ours = bridge::from_crossbeam(rx);
    tx.send(1).unwrap();
    tx.send(2).unwrap(); // returns when the bridge has taken the first: both places are full
    assert!(tx.try_send(3).is_err());
    assert_eq!(ours.recv_blocking(), Some(1));
    tx.send(3).unwrap();
    assert_eq!(ours.recv_blocking(), Some(2));
    assert_eq!(ours.recv_blocking(), Some(3));

    let (tx, rx) = buffered(1);
    let theirs = bridge::to_crossbeam(rx);
    tx.send_blocking(1).unwrap();
    tx.send_blocking(2).unwrap();
    assert!(matches!(tx.try_send(3), Err(TrySendError::Full(3))));
    assert_eq!(theirs.recv(), Ok(1));
    assert_eq!(theirs.recv(), Ok(2));
}

#[test]
fn a_bridge_in_leaves_to_others_what_its_receiver_did_not_take() {
    let (tx, rx) = crossbeam_channel::unbounded();
    (0..10).for_each(|n| tx.send(n).unwrap());
    let (back, returned) = crossbeam_channel::bounded(1);
    let ours = bridge::from_crossbeam_with(rx.clone(), move |n| back.send(n).unwrap());
    let mut got = vec![ours.recv_blocking().unwrap()];
    drop(ours);
    got.extend(returned.iter()); // ends when the bridge does
    drop(tx);
    got.extend(rx.iter());
    assert_eq!(got, (0..10).collect::<Vec<_>>());
}

#[test]
fn a_bridge_in_ends_at_once_when_nobody_receives_any_more() {
    let (tx, rx) = crossbeam_channel::bounded::<u8>(1);
    let (held, gone) = crossbeam_channel::bounded::<()>(0);
    let ours = bridge::from_crossbeam_with(rx, move |_| drop(held));
    drop(ours);
    assert!(gone.recv().is_err(), "no value was needed to tell it");
    assert!(tx.send(1).is_err(), "its receiver is gone too");
}

#[test]
fn a_value_in_the_bridge_stays_receivable_after_a_close() {
    let (tx, rx) = crossbeam_channel::bounded(0);
    let (held, gone) = crossbeam_channel::bounded::<()>(0);
    let ours = bridge::from_crossbeam_with(rx, move |_| drop(held));
    tx.send(5).unwrap(); // the bridge has it
    ours.close();
    assert!(gone.recv().is_err());
    assert_eq!(ours.try_recv(), Ok(5));
    assert!(tx.send(6).is_err());
}

#[test]
fn a_bridge_out_puts_back_what_its_receiver_did_not_take() {
    let (tx, rx) = buffered(4);
    let theirs = bridge::to_crossbeam(rx.clone());
    (0..5).for_each(|n| tx.send_blocking(n).unwrap());
    let mut got = vec![theirs.recv().unwrap()];
    while rx.len() > 3 {
        thread::yield_now(); // until the bridge holds 1
    }
    drop(theirs);
    drop(tx);
    while rx.len() < 4 {
        thread::yield_now(); // until it has put it back
    }
    got.extend(rx.iter());
    assert_eq!(got, (0..5).collect::<Vec<_>>());
}

#[test]
fn senders_learn_that_the_far_end_of_a_bridge_is_gone() {
    let (tx, rx) = rendezvous();
    drop(bridge::to_crossbeam(rx));
    Runtime::new().unwrap().block_on(async {
        tx.send(1).await.unwrap(); // taken, and put back: nobody is there
        while tx.send(2).await.is_ok() {
            yield_now().await;
        }
        tx.closed().await;
    });
}
