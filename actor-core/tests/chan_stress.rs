//! Many threads and goroutines on one channel: nothing lost, nothing twice, order per sender.

use std::collections::HashMap;
use std::future::Future;
use std::pin::pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use actor_core::chan::{Receiver, buffered};
use actor_core::sync::WaitGroup;
use actor_core::{Runtime, go, timeout, yield_now};

const SENDERS: usize = 4;
const EACH: usize = 5_000;

/// Checks what all receivers together got: each value once.
fn each_once(mut got: Vec<(usize, usize)>) {
    got.sort_unstable();
    let all: Vec<_> = (0..SENDERS)
        .flat_map(|s| (0..EACH).map(move |n| (s, n)))
        .collect();
    assert!(got == all, "{} of {} values", got.len(), all.len());
}

/// Checks what one receiver got: each sender's values in the order sent.
fn in_order(got: &[(usize, usize)]) {
    let mut last = HashMap::new();
    for &(sender, n) in got {
        let before = last.insert(sender, n);
        assert!(before < Some(n), "sender {sender}: {n} after {before:?}");
    }
}

#[test]
fn threads_lose_and_double_nothing() {
    for capacity in [0, 1, 3, 64] {
        let (tx, rx) = buffered(capacity);
        let got = Mutex::new(Vec::new());
        thread::scope(|scope| {
            for sender in 0..SENDERS {
                let tx = tx.clone();
                scope.spawn(move || (0..EACH).for_each(|n| tx.send_blocking((sender, n)).unwrap()));
            }
            for _ in 0..3 {
                let (rx, got) = (rx.clone(), &got);
                scope.spawn(move || {
                    let mine: Vec<_> = rx.iter().collect();
                    in_order(&mine);
                    got.lock().unwrap().extend(mine);
                });
            }
            drop(tx);
        });
        each_once(got.into_inner().unwrap());
    }
}

#[test]
fn goroutines_lose_and_double_nothing() {
    let runtime = Runtime::builder().procs(4).build().unwrap();
    for capacity in [0, 1, 64] {
        let got = runtime.block_on(async move {
            let (tx, rx) = buffered(capacity);
            for sender in 0..SENDERS {
                let tx = tx.clone();
                drop(go(async move {
                    for n in 0..EACH {
                        tx.send((sender, n)).await.unwrap();
                    }
                }));
            }
            drop(tx);
            let receivers: Vec<_> = (0..3).map(|_| go(collect(rx.clone()))).collect();
            let mut got = Vec::new();
            for receiver in receivers {
                let mine = receiver.await.unwrap();
                in_order(&mine);
                got.extend(mine);
            }
            got
        });
        each_once(got);
    }
}

async fn collect(rx: Receiver<(usize, usize)>) -> Vec<(usize, usize)> {
    let mut got = Vec::new();
    while let Some(value) = rx.recv().await {
        got.push(value);
    }
    got
}

/// Receivers drop their futures all the time, in every state; senders too. What a sender could not
/// hand over it sends again.
#[test]
fn dropped_futures_lose_and_double_nothing() {
    for capacity in [0, 1, 8] {
        let (tx, rx) = buffered(capacity);
        let got = Mutex::new(Vec::new());
        let dropped = AtomicUsize::new(0);
        thread::scope(|scope| {
            for sender in 0..SENDERS {
                let tx = tx.clone();
                scope.spawn(move || {
                    for n in 0..EACH {
                        // `try_send` only: a dropped send would not say whether it was delivered.
                        let mut value = (sender, n);
                        let mut tries = 0;
                        while let Err(back) = tx.try_send(value) {
                            assert!(back.is_full());
                            value = back.into_inner();
                            tries += 1;
                            if tries % 8 == 0 {
                                thread::yield_now();
                            }
                            if tries == 64 {
                                tx.send_blocking(value).unwrap();
                                break;
                            }
                        }
                    }
                });
            }
            for receiver in 0..3_usize {
                let (rx, got, dropped) = (rx.clone(), &got, &dropped);
                scope.spawn(move || {
                    let mut mine = Vec::new();
                    for round in receiver.. {
                        if round % 4 == 0 {
                            match rx.recv_blocking() {
                                Some(value) => mine.push(value),
                                None => break,
                            }
                        } else {
                            let mut recv = pin!(rx.recv());
                            let mut cx = Context::from_waker(Waker::noop());
                            match recv.as_mut().poll(&mut cx) {
                                Poll::Ready(Some(value)) => mine.push(value),
                                Poll::Ready(None) => break,
                                Poll::Pending => {
                                    if round % 4 == 1 {
                                        thread::yield_now(); // time to be handed a value
                                    }
                                    dropped.fetch_add(1, Ordering::Relaxed);
                                }
                            }
                        }
                    }
                    // Another receiver's dropped value may have come back after the close.
                    got.lock().unwrap().extend(mine);
                });
            }
            drop(tx);
        });
        let mut got = got.into_inner().unwrap();
        got.extend(rx.iter());
        each_once(got);
        assert!(dropped.into_inner() > 0);
    }
}

/// A select loop in miniature: `recv` under a timeout that often fires.
#[test]
fn a_receive_that_times_out_loses_nothing() {
    let runtime = Runtime::builder().procs(2).build().unwrap();
    runtime.block_on(async {
        let (tx, rx) = buffered(0);
        let group = WaitGroup::new();
        drop(group.go(async move {
            for n in 0..300 {
                tx.send(n).await.unwrap();
                if n % 3 == 0 {
                    actor_core::sleep(Duration::from_micros(n % 7 * 30)).await;
                }
            }
        }));
        let mut expected = 0;
        loop {
            match timeout(Duration::from_micros(60), rx.recv()).await {
                Ok(Some(n)) => {
                    assert_eq!(n, expected);
                    expected += 1;
                }
                Ok(None) => break,
                Err(_) => yield_now().await,
            }
        }
        assert_eq!(expected, 300);
        group.wait().await;
    });
}
