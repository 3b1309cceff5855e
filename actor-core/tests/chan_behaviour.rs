//! What Go programmers expect of a channel, and what Rust adds: order, hand-off, close, drop.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use actor_core::chan::{Recv, Send, SendError, TryRecvError, TrySendError, buffered, rendezvous};
use actor_core::{Runtime, go};

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn poll_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn a_rendezvous_send_is_done_only_when_the_value_is_received() {
    let (tx, rx) = rendezvous();
    let mut send = Box::pin(tx.send(1));
    assert!(poll_once(send.as_mut()).is_pending());
    assert_eq!(rx.try_recv(), Ok(1));
    assert_eq!(poll_once(send.as_mut()), Poll::Ready(Ok(())));
}

#[test]
fn a_value_goes_straight_to_the_receiver_that_waited_longest() {
    let (tx, rx) = rendezvous();
    let mut first = Box::pin(rx.recv());
    let mut second = Box::pin(rx.recv());
    assert!(poll_once(first.as_mut()).is_pending());
    assert!(poll_once(second.as_mut()).is_pending());
    tx.try_send(1).unwrap();
    tx.try_send(2).unwrap();
    assert!(tx.try_send(3).unwrap_err().is_full());
    assert_eq!(
        rx.try_recv(),
        Err(TryRecvError::Empty),
        "handed values cannot be taken away"
    );
    assert_eq!(poll_once(second.as_mut()), Poll::Ready(Some(2)));
    assert_eq!(poll_once(first.as_mut()), Poll::Ready(Some(1)));
}

#[test]
fn a_receive_from_a_full_buffer_lets_the_first_waiting_sender_in() {
    let (tx, rx) = buffered(1);
    tx.try_send(0).unwrap();
    let mut sends: Vec<_> = (1..4).map(|n| Box::pin(tx.send(n))).collect();
    for send in &mut sends {
        assert!(poll_once(send.as_mut()).is_pending());
    }
    assert_eq!(rx.try_recv(), Ok(0));
    assert_eq!(poll_once(sends[0].as_mut()), Poll::Ready(Ok(())));
    assert!(poll_once(sends[1].as_mut()).is_pending());
    assert_eq!(rx.len(), 1);
    assert_eq!(
        [rx.try_recv(), rx.try_recv(), rx.try_recv()],
        [Ok(1), Ok(2), Ok(3)]
    );
}

#[test]
fn close_wakes_everybody_and_keeps_what_was_accepted() {
    let (tx, rx) = buffered(1);
    tx.try_send(1).unwrap();
    let count = Arc::new(Count::default());
    let waker = Waker::from(count.clone());
    let mut sends = [2, 3].map(|n| Box::pin(tx.send(n)));
    for send in &mut sends {
        assert!(
            send.as_mut()
                .poll(&mut Context::from_waker(&waker))
                .is_pending()
        );
    }
    assert!(rx.close());
    assert!(!tx.close(), "closed already; Go would panic");
    assert_eq!(count.0.load(Ordering::SeqCst), 2);
    let back = sends.map(|mut send| poll_once(send.as_mut()));
    assert_eq!(
        back,
        [
            Poll::Ready(Err(SendError(2))),
            Poll::Ready(Err(SendError(3)))
        ]
    );
    assert_eq!(tx.try_send(4), Err(TrySendError::Closed(4)));
    assert_eq!(rx.try_recv(), Ok(1));
    assert_eq!(rx.try_recv(), Err(TryRecvError::Closed));
}

#[test]
fn close_ends_waiting_receivers() {
    let (tx, rx) = buffered::<u8>(1);
    let mut recv = Box::pin(rx.recv());
    assert!(poll_once(recv.as_mut()).is_pending());
    drop(tx); // the last sender
    assert_eq!(poll_once(recv.as_mut()), Poll::Ready(None));
}

#[test]
fn the_last_receiver_drops_what_is_buffered() {
    let value = Arc::new(());
    let (tx, rx) = buffered(2);
    let other = rx.clone();
    tx.try_send(value.clone()).unwrap();
    drop(rx);
    assert!(!tx.is_closed(), "there is another receiver");
    drop(other);
    assert!(tx.is_closed());
    assert_eq!(Arc::strong_count(&value), 1);
}

#[test]
fn a_value_whose_drop_uses_the_channel_does_not_deadlock() {
    struct Nosy(actor_core::chan::Sender<Option<Nosy>>);
    impl Drop for Nosy {
        fn drop(&mut self) {
            assert!(self.0.is_closed());
        }
    }
    let (tx, rx) = buffered(1);
    tx.try_send(Some(Nosy(tx.clone())))
        .unwrap_or_else(|_| panic!("has room"));
    drop(rx);
}

#[test]
fn a_dropped_receive_passes_its_value_to_the_next_receiver() {
    let (tx, rx) = rendezvous();
    let mut first = Box::pin(rx.recv());
    let mut second = Box::pin(rx.recv());
    assert!(poll_once(first.as_mut()).is_pending());
    assert!(poll_once(second.as_mut()).is_pending());
    tx.try_send(1).unwrap();
    drop(first);
    assert_eq!(poll_once(second.as_mut()), Poll::Ready(Some(1)));
}

#[test]
fn a_dropped_receive_puts_its_value_back_in_front() {
    for capacity in [0, 1] {
        let (tx, rx) = buffered(capacity);
        let mut recv = Box::pin(rx.recv());
        assert!(poll_once(recv.as_mut()).is_pending());
        tx.try_send(1).unwrap();
        let mut later = Box::pin(tx.send(2));
        let _ = poll_once(later.as_mut());
        drop(recv);
        assert_eq!(
            [rx.try_recv(), rx.try_recv()],
            [Ok(1), Ok(2)],
            "capacity {capacity}"
        );
        assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
    }
}

#[test]
fn a_dropped_receive_s_value_survives_a_close() {
    let (tx, rx) = rendezvous();
    let mut recv = Box::pin(rx.recv());
    assert!(poll_once(recv.as_mut()).is_pending());
    tx.try_send(1).unwrap();
    tx.close();
    drop(recv);
    assert_eq!(rx.try_recv(), Ok(1));
    assert_eq!(rx.try_recv(), Err(TryRecvError::Closed));
}

#[test]
fn a_dropped_send_takes_its_value_along() {
    let value = Arc::new(());
    let (tx, rx) = rendezvous();
    let mut gone = Box::pin(tx.send(Some(value.clone())));
    let mut next = Box::pin(tx.send(None));
    assert!(poll_once(gone.as_mut()).is_pending());
    assert!(poll_once(next.as_mut()).is_pending());
    drop(gone);
    assert_eq!(Arc::strong_count(&value), 1);
    assert_eq!(rx.try_recv(), Ok(None));
}

#[test]
fn forgotten_futures_leave_a_usable_channel() {
    let (tx, rx) = rendezvous::<u64>();
    for n in 0..3 {
        let mut recv = Box::pin(rx.recv());
        assert!(poll_once(recv.as_mut()).is_pending());
        std::mem::forget(recv);
        tx.try_send(n).expect("the forgotten receive gets it");
    }
    let mut send = Box::pin(tx.send(7));
    assert!(poll_once(send.as_mut()).is_pending());
    std::mem::forget(send);
    assert_eq!(rx.try_recv(), Ok(7));
    let mut recv = Box::pin(rx.recv());
    assert!(poll_once(recv.as_mut()).is_pending());
    std::mem::forget(recv);
    drop((tx, rx)); // with a forgotten waiter still linked
}

#[test]
fn a_future_that_moves_to_another_task_is_woken_there() {
    let (tx, rx) = rendezvous();
    let (first, second) = (Arc::new(Count::default()), Arc::new(Count::default()));
    let mut recv = Box::pin(rx.recv());
    for count in [&first, &second] {
        let waker = Waker::from(count.clone());
        assert!(
            recv.as_mut()
                .poll(&mut Context::from_waker(&waker))
                .is_pending()
        );
    }
    tx.try_send(1).unwrap();
    assert_eq!(
        [&first, &second].map(|count| count.0.load(Ordering::SeqCst)),
        [0, 1]
    );
    assert_eq!(Arc::strong_count(&first), 1, "the old waker is let go");
}

#[test]
fn values_without_size_and_large_values_work() {
    let (tx, rx) = buffered(3);
    (0..3).for_each(|_| tx.try_send(()).unwrap());
    assert_eq!(rx.len(), 3);
    tx.close();
    assert_eq!(rx.iter().count(), 3);
    let (tx, rx) = rendezvous();
    std::thread::scope(|scope| {
        scope.spawn(|| tx.send_blocking([7_u8; 10_000]).unwrap());
        assert_eq!(rx.recv_blocking(), Some([7; 10_000]));
    });
}

#[test]
fn handles_say_what_they_are() {
    let (tx, rx) = buffered::<u8>(2);
    let (other, _rx) = buffered::<u8>(2);
    assert!(tx.same_channel(&tx.clone()) && !tx.same_channel(&other));
    assert!(rx.same_channel(&rx.clone()));
    assert_eq!(
        (tx.capacity(), rx.capacity(), rx.is_empty(), tx.len()),
        (2, 2, true, 0)
    );
    assert_eq!(
        format!("{tx:?}"),
        "Sender { len: 0, capacity: 2, is_closed: false }"
    );
    let error = tx
        .try_send(1)
        .and(tx.try_send(2))
        .and(tx.try_send(3))
        .unwrap_err();
    assert!(error.to_string().contains("full channel"), "{error}");
}

#[test]
fn the_futures_are_small() {
    let sizes = (size_of::<Send<'_, u64>>(), size_of::<Recv<'_, u64>>());
    assert!(sizes <= (72, 72), "{sizes:?} bytes");
}

/// Go's sieve: a chain of goroutines, each filtering what the next one gets.
#[test]
fn the_concurrent_prime_sieve_works() {
    let runtime = Runtime::builder().procs(2).build().unwrap();
    let primes = runtime.block_on(async {
        let (tx, mut rx) = rendezvous();
        drop(go(async move {
            for n in 2_u32.. {
                if tx.send(n).await.is_err() {
                    return; // nobody wants more
                }
            }
        }));
        let mut primes = Vec::new();
        for _ in 0..25 {
            let prime = rx.recv().await.unwrap();
            primes.push(prime);
            let (tx, next) = rendezvous();
            let numbers = std::mem::replace(&mut rx, next);
            drop(go(async move {
                while let Some(n) = numbers.recv().await {
                    if n % prime != 0 && tx.send(n).await.is_err() {
                        return;
                    }
                }
            }));
        }
        primes
    });
    assert_eq!(primes.last(), Some(&97));
    assert_eq!(primes.len(), 25);
}
