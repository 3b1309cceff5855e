//! First come, first served: counted, not timed. And nobody starves among a thousand senders.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::task::{Context, Poll, Waker};

use actor_core::chan::{Receiver, buffered, rendezvous};
use actor_core::sync::WaitGroup;
use actor_core::{Runtime, go, yield_now};

fn poll<F: Future>(future: &mut Pin<Box<F>>) -> Poll<F::Output> {
    future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn waiting_senders_are_served_in_the_order_they_came() {
    for capacity in [0, 1, 7] {
        let (tx, rx) = buffered(capacity);
        (0..capacity).for_each(|n| tx.try_send(n).unwrap());
        let mut sends: Vec<_> = (capacity..200).map(|n| Box::pin(tx.send(n))).collect();
        assert!(sends.iter_mut().all(|send| poll(send).is_pending()));
        for n in 0..200 {
            assert!(tx.try_send(999).is_err(), "nobody overtakes those who wait");
            assert_eq!(rx.try_recv(), Ok(n));
            if n + 1 >= 200 - capacity {
                break;
            }
        }
    }
}

#[test]
fn waiting_receivers_are_served_in_the_order_they_came() {
    for capacity in [0, 1, 7] {
        let (tx, rx) = buffered(capacity);
        let mut recvs: Vec<_> = (0..200).map(|_| Box::pin(rx.recv())).collect();
        assert!(recvs.iter_mut().all(|recv| poll(recv).is_pending()));
        for (n, recv) in recvs.iter_mut().enumerate() {
            tx.try_send(n).unwrap();
            assert!(rx.try_recv().is_err(), "it is the waiting one's");
            assert_eq!(poll(recv), Poll::Ready(Some(n)));
        }
    }
}

#[test]
fn who_gives_up_its_place_does_not_take_that_of_others() {
    let (tx, rx) = rendezvous();
    let mut sends: Vec<_> = (0..100).map(|n| Some(Box::pin(tx.send(n)))).collect();
    for send in sends.iter_mut().flatten() {
        assert!(poll(send).is_pending());
    }
    sends.iter_mut().step_by(3).for_each(|send| *send = None);
    let expected: Vec<_> = (0..100).filter(|n| n % 3 != 0).collect();
    assert_eq!(rx.try_iter().collect::<Vec<_>>(), expected);
}

const SENDERS: usize = 1_000;

/// Says of a sender that it may not be in the queue yet.
const UNKNOWN: usize = usize::MAX;

/// A thousand goroutines send without pause to one receiver, which counts. A sender notes the count
/// once it waits: when it is served, at most those who were in the queue before it, and those whose
/// values were in the buffer, have been served since.
fn the_queue_turns_like_a_wheel(capacity: usize) {
    const EACH: usize = 30;
    let runtime = Runtime::builder().procs(2).build().unwrap();
    runtime.block_on(async move {
        let (tx, rx) = buffered(capacity);
        let count = Arc::new(AtomicUsize::new(0));
        let queued: Arc<[AtomicUsize]> = (0..SENDERS).map(|_| AtomicUsize::new(UNKNOWN)).collect();
        for sender in 0..SENDERS {
            let (tx, count, queued) = (tx.clone(), count.clone(), queued.clone());
            drop(go(async move {
                loop {
                    queued[sender].store(UNKNOWN, SeqCst);
                    let mut send = pin!(tx.send(sender));
                    let sent = poll_fn(|cx| {
                        let sent = send.as_mut().poll(cx);
                        if sent.is_pending() && queued[sender].load(SeqCst) == UNKNOWN {
                            queued[sender].store(count.load(SeqCst), SeqCst);
                        }
                        sent
                    });
                    if sent.await.is_err() {
                        return;
                    }
                    // A fresh budget: otherwise a send may be pending before it is in the queue.
                    yield_now().await;
                }
            }));
        }
        let (mut waited, mut served) = (0, vec![0; SENDERS]);
        for before in 0..SENDERS * EACH {
            let sender = rx.recv().await.expect("they send for ever");
            let queued = queued[sender].load(SeqCst);
            if queued != UNKNOWN {
                let others = before - queued.min(before);
                assert!(
                    others <= SENDERS + capacity + 1,
                    "sender {sender} waited while {others} others were served"
                );
                waited += 1;
            }
            served[sender] += 1;
            count.store(before + 1, SeqCst);
        }
        rx.close();
        assert!(
            waited > SENDERS,
            "only {waited} had to wait: nothing was shown"
        );
        let least = served.iter().min().unwrap();
        assert!(*least >= 1, "somebody was never served");
    });
}

#[test]
fn nobody_starves_among_a_thousand_senders_without_a_buffer() {
    the_queue_turns_like_a_wheel(0);
}

#[test]
fn nobody_starves_among_a_thousand_senders_with_a_buffer() {
    the_queue_turns_like_a_wheel(64);
}

#[test]
fn a_thousand_senders_get_their_messages_through_while_others_never_stop() {
    const EACH: usize = 20;
    let runtime = Runtime::builder().procs(2).build().unwrap();
    for (capacity, receivers) in [(0, 1), (16, 1), (0, 3), (16, 3)] {
        runtime.block_on(async move {
            let (tx, rx) = buffered(capacity);
            for _ in 0..100 {
                let tx = tx.clone();
                drop(go(async move { while tx.send(None).await.is_ok() {} }));
            }
            let group = WaitGroup::new();
            for sender in 0..SENDERS {
                let tx = tx.clone();
                drop(group.go(async move {
                    for n in 0..EACH {
                        tx.send(Some((sender, n))).await.unwrap();
                    }
                }));
            }
            let receivers: Vec<_> = (0..receivers).map(|_| go(count(rx.clone()))).collect();
            group.wait().await;
            rx.close();
            let mut all = vec![0; SENDERS];
            for receiver in receivers {
                let counts = receiver.await.unwrap();
                all.iter_mut().zip(counts).for_each(|(all, n)| *all += n);
            }
            assert!(all.iter().all(|count| *count == EACH));
        });
    }
}

/// Counts what each sender got through to this receiver, in order.
async fn count(rx: Receiver<Option<(usize, usize)>>) -> Vec<usize> {
    let mut counts = vec![0; SENDERS];
    let mut expected = vec![0; SENDERS];
    while let Some(value) = rx.recv().await {
        if let Some((sender, n)) = value {
            assert!(n >= expected[sender], "in the order sent");
            expected[sender] = n + 1;
            counts[sender] += 1;
        }
    }
    counts
}
