//! `runtime/chan_test.go`, and the channel programs under `test/` and `test/chan/`.

use std::any::Any;
use std::collections::HashMap;
use std::sync::Arc;

use actor_core::chan::{
    Receiver, SendError, Sender, TryRecvError, TrySendError, buffered, rendezvous,
};
use actor_core::sync::WaitGroup;
use actor_core::{go, yield_now};

use crate::seeds::rounds;
use crate::{all, announced, run};

/// The capacities that Go's `TestChan` goes through, fewer of them.
const CAPACITIES: [usize; 8] = [0, 1, 2, 3, 7, 16, 64, 199];

/// chan_test.go: TestChan, a receive from an empty channel blocks.
#[test]
fn a_receive_from_an_empty_channel_waits_for_a_send() {
    run(4, || async {
        for capacity in CAPACITIES {
            let (tx, rx) = buffered(capacity);
            let (waits, waiting) = buffered(2);
            let receivers = [(); 2].map(|()| {
                let (rx, waits) = (rx.clone(), waits.clone());
                go(async move { announced(rx.recv(), waits).await })
            });
            drop(waits);
            assert_eq!(waiting.recv().await, Some(()));
            assert_eq!(waiting.recv().await, Some(()));
            assert!(receivers.iter().all(|receiver| !receiver.is_finished()));
            tx.send(1).await.unwrap();
            tx.send(2).await.unwrap();
            let mut got = all(receivers).await;
            got.sort_unstable();
            assert_eq!(got, [Some(1), Some(2)], "capacity {capacity}");
        }
    });
}

/// chan_test.go: TestChan, a non-blocking receive from an empty channel does not block, nor does it
/// take what others wait for.
#[test]
fn a_try_receive_from_an_empty_channel_returns_at_once() {
    run(2, || async {
        for capacity in CAPACITIES {
            let (tx, rx) = buffered(capacity);
            assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
            let (waits, waiting) = buffered(1);
            let receiver = go({
                let rx = rx.clone();
                async move { announced(rx.recv(), waits).await }
            });
            assert_eq!(waiting.recv().await, Some(()));
            assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
            tx.send(7).await.unwrap();
            assert_eq!(receiver.await.unwrap(), Some(7));
            assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
        }
    });
}

/// chan_test.go: TestChan, a send to a full channel blocks.
#[test]
fn a_send_to_a_full_channel_waits_for_a_receive() {
    run(4, || async {
        for capacity in CAPACITIES {
            let (tx, rx) = buffered(capacity);
            for n in 0..capacity {
                tx.try_send(n).unwrap();
            }
            let (waits, waiting) = buffered(1);
            let sender = go({
                let tx = tx.clone();
                async move { announced(tx.send(capacity), waits).await }
            });
            assert_eq!(waiting.recv().await, Some(()));
            assert!(!sender.is_finished());
            assert_eq!(rx.recv().await, Some(0));
            assert_eq!(sender.await.unwrap(), Ok(()));
            let rest: Vec<_> = std::iter::from_fn(|| rx.try_recv().ok()).collect();
            assert_eq!(rest, (1..=capacity).collect::<Vec<_>>());
        }
    });
}

/// chan_test.go: TestChan, a non-blocking send to a full channel does not block.
#[test]
fn a_try_send_to_a_full_channel_gives_the_value_back() {
    for capacity in CAPACITIES {
        let (tx, rx) = buffered(capacity);
        for n in 0..capacity {
            tx.try_send(n).unwrap();
        }
        assert_eq!(tx.try_send(99), Err(TrySendError::Full(99)));
        assert_eq!(rx.len(), capacity);
    }
}

/// chan_test.go: TestChan, a closed channel gives what is buffered, then zeroes (`None` here), for
/// ever.
#[test]
fn a_closed_channel_gives_what_it_holds_and_then_nothing() {
    run(2, || async {
        for capacity in CAPACITIES {
            let (tx, rx) = buffered(capacity);
            for n in 0..capacity {
                tx.send(n).await.unwrap();
            }
            tx.close();
            for n in 0..capacity {
                assert_eq!(rx.recv().await, Some(n));
            }
            for _ in 0..3 {
                assert_eq!(rx.recv().await, None);
                assert_eq!(rx.try_recv(), Err(TryRecvError::Closed));
            }
        }
    });
}

/// chan_test.go: TestChan, close unblocks a receive.
#[test]
fn a_close_wakes_every_waiting_receiver_with_nothing() {
    run(4, || async {
        for capacity in CAPACITIES {
            let (tx, rx) = buffered::<u8>(capacity);
            let (waits, waiting) = buffered(5);
            let receivers = [(); 5].map(|()| {
                let (rx, waits) = (rx.clone(), waits.clone());
                go(async move { announced(rx.recv(), waits).await })
            });
            for _ in 0..5 {
                waiting.recv().await.unwrap();
            }
            tx.close();
            assert_eq!(all(receivers).await, [None; 5]);
        }
    });
}

/// test/chan/select3.go, panics of blocked senders: a close ends their wait. They panic in Go; here
/// each gets its value back.
#[test]
fn a_close_gives_every_waiting_sender_its_value_back() {
    run(4, || async {
        let (tx, rx) = rendezvous();
        let (waits, waiting) = buffered(5);
        let senders = [0, 1, 2, 3, 4].map(|n| {
            let (tx, waits) = (tx.clone(), waits.clone());
            go(async move { announced(tx.send(n), waits).await })
        });
        for _ in 0..5 {
            waiting.recv().await.unwrap();
        }
        rx.close();
        let back: Vec<_> = all(senders).await;
        assert_eq!(back, [0, 1, 2, 3, 4].map(|n| Err(SendError(n))));
        assert_eq!(rx.recv().await, None, "none of them was received");
    });
}

/// chan_test.go: TestChan, a hundred integers arrive uncorrupted, first in, first out.
#[test]
fn values_arrive_in_the_order_they_were_sent() {
    run(4, || async {
        for capacity in CAPACITIES {
            let (tx, rx) = buffered(capacity);
            let sender = go(async move {
                for n in 0..100 {
                    tx.send(n).await.unwrap();
                }
            });
            for n in 0..100 {
                assert_eq!(rx.recv().await, Some(n), "capacity {capacity}");
            }
            sender.await.unwrap();
            assert_eq!(rx.recv().await, None, "the sender is gone");
        }
    });
}

/// chan_test.go: TestChan, four goroutines send a thousand integers each to four receivers.
#[test]
fn what_many_send_many_receive_once_each() {
    run(4, || async {
        let each = rounds(1000_u32, 5);
        for capacity in rounds(&CAPACITIES[..], &[0, 2]).iter().copied() {
            let (tx, rx) = buffered(capacity);
            for _ in 0..4 {
                let tx = tx.clone();
                drop(go(async move {
                    for n in 0..each {
                        tx.send(n).await.unwrap();
                    }
                }));
            }
            let receivers = [(); 4].map(|()| {
                let rx = rx.clone();
                go(async move {
                    let mut got = HashMap::new();
                    for _ in 0..each {
                        *got.entry(rx.recv().await.unwrap()).or_insert(0) += 1;
                    }
                    got
                })
            });
            let mut sum = HashMap::new();
            for (n, times) in all(receivers).await.into_iter().flatten() {
                *sum.entry(n).or_insert(0) += times;
            }
            assert_eq!(sum.len(), each as usize);
            assert!(sum.values().all(|times| *times == 4), "capacity {capacity}");
        }
    });
}

/// chan_test.go: TestChan, `len` and `cap`.
#[test]
fn a_channel_tells_its_length_and_capacity() {
    for capacity in CAPACITIES {
        let (tx, rx) = buffered(capacity);
        assert_eq!((tx.len(), tx.capacity()), (0, capacity));
        for n in 0..capacity {
            tx.try_send(n).unwrap();
        }
        assert_eq!((rx.len(), rx.capacity()), (capacity, capacity));
        assert_eq!(rx.try_recv().is_ok(), capacity > 0);
        assert_eq!(tx.len(), capacity.saturating_sub(1));
    }
}

/// chan_test.go: TestNonblockRecvRace: a value that is there is never overlooked, whatever happens
/// to the channel meanwhile.
#[test]
fn a_try_receive_beside_a_close_is_never_told_empty() {
    run(2, || async {
        for _ in 0..rounds(5_000, 3) {
            let (tx, rx) = buffered(1);
            tx.try_send(1).unwrap();
            let other = go({
                let rx = rx.clone();
                async move { rx.try_recv() }
            });
            tx.close();
            let mine = rx.recv().await;
            let theirs = other.await.unwrap();
            assert_ne!(theirs, Err(TryRecvError::Empty));
            assert_eq!(
                theirs.is_ok(),
                mine.is_none(),
                "one of us has the only value"
            );
        }
    });
}

/// chan_test.go: TestChanSendInterface: values of a dynamic type, refused ones included.
#[test]
fn values_of_dynamic_type_travel_and_come_back() {
    let (tx, rx) = buffered::<Box<dyn Any + Send>>(1);
    tx.try_send(Box::new("text")).unwrap();
    let back = tx.try_send(Box::new(5_u32)).unwrap_err();
    assert!(back.is_full());
    assert_eq!(back.into_inner().downcast_ref(), Some(&5_u32));
    assert_eq!(rx.try_recv().unwrap().downcast_ref(), Some(&"text"));
}

/// chan_test.go: TestMultiConsumer: a feeder, workers of uneven speed and a collector; nothing is
/// lost when the feeder closes the queue and the results are closed after the last worker.
#[test]
fn a_worker_pool_loses_nothing_when_its_queue_is_closed() {
    const PRIMES: [usize; 10] = [2, 3, 7, 11, 13, 17, 19, 23, 27, 31];
    run(4, || async {
        let (each, items) = (rounds(23, 4), rounds(27_182, 30));
        let (queue, work) = buffered(each * 3);
        let (results, collected) = buffered(each * 3);
        let workers = WaitGroup::new();
        for worker in 0..each {
            let (work, results) = (work.clone(), results.clone());
            drop(workers.go(async move {
                while let Some(value) = work.recv().await {
                    if PRIMES[worker % PRIMES.len()] == value {
                        yield_now().await; // out of step with the others
                    }
                    results.send(value).await.unwrap();
                }
            }));
        }
        let feeder = go(async move {
            let mut sum = 0;
            for n in 0..items {
                let value = PRIMES[n % PRIMES.len()];
                sum += value;
                queue.send(value).await.unwrap();
            }
            queue.close();
            workers.wait().await;
            results.close();
            sum
        });
        let (mut count, mut sum) = (0, 0);
        while let Some(value) = collected.recv().await {
            count += 1;
            sum += value;
        }
        assert_eq!((count, sum), (items, feeder.await.unwrap()));
    });
}

/// Uses a lot of stack, briefly.
fn deep(depth: u32) -> u64 {
    let frame = std::hint::black_box([u64::from(depth); 128]);
    if depth == 0 {
        0
    } else {
        frame[depth as usize] + deep(depth - 1)
    }
}

/// chan_test.go: TestShrinkStackDuringBlockedSend: the value of a blocked send stays what it was
/// while the stack below it grows and shrinks. Our waiting goroutines own no stack at all.
#[test]
fn a_waiting_value_is_not_harmed_by_deep_calls_meanwhile() {
    run(2, || async {
        let (tx, rx) = rendezvous();
        let (waits, waiting) = buffered(1);
        let sender = go(async move {
            for n in 0..10_u64 {
                announced(tx.send([n; 64]), waits.clone()).await.unwrap();
                assert_eq!(deep(20), 20 * 21 / 2);
            }
        });
        for n in 0..10_u64 {
            waiting.recv().await.unwrap();
            assert_eq!(deep(40), 40 * 41 / 2);
            assert_eq!(rx.recv().await, Some([n; 64]));
        }
        sender.await.unwrap();
    });
}

/// test/chan/fifo.go: the asynchronous half: a buffer is a queue.
#[test]
fn a_buffer_is_first_in_first_out() {
    let (tx, rx) = buffered(10);
    for n in 0..10 {
        tx.try_send(n).unwrap();
    }
    for n in 0..10 {
        assert_eq!(rx.try_recv(), Ok(n));
    }
    assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
}

/// test/chan/fifo.go: the synchronous half: goroutines in a chain take turns at one channel.
#[test]
fn goroutines_in_a_chain_receive_in_turn() {
    run(4, || async {
        let (tx, rx) = rendezvous();
        let (first, mut before) = rendezvous();
        let mut links = Vec::new();
        for n in 0..10 {
            let (after, next) = rendezvous::<()>();
            let turn = std::mem::replace(&mut before, next);
            let rx = rx.clone();
            links.push(go(async move {
                turn.recv().await.unwrap();
                assert_eq!(rx.recv().await, Some(n), "its turn, its value");
                after.send(()).await.unwrap();
            }));
        }
        first.send(()).await.unwrap();
        for n in 0..10 {
            tx.send(n).await.unwrap();
        }
        before.recv().await.unwrap();
        all(links).await;
    });
}

/// test/chan/fifo.go, asked of the waiters: who waits longest is served first, on both sides.
#[test]
fn waiters_are_served_in_the_order_they_came() {
    run(4, || async {
        let (tx, rx) = rendezvous();
        let (waits, waiting) = buffered(1);
        let mut receivers = Vec::new();
        for _ in 0..50 {
            let (rx, waits) = (rx.clone(), waits.clone());
            receivers.push(go(async move { announced(rx.recv(), waits).await }));
            waiting.recv().await.unwrap();
        }
        for n in 0..50 {
            tx.send(n).await.unwrap();
        }
        let got = all(receivers).await;
        assert_eq!(got, (0..50).map(Some).collect::<Vec<_>>());

        let mut senders = Vec::new();
        for n in 0..50 {
            let (tx, waits) = (tx.clone(), waits.clone());
            senders.push(go(async move { announced(tx.send(n), waits).await }));
            waiting.recv().await.unwrap();
        }
        for n in 0..50 {
            assert_eq!(rx.recv().await, Some(n));
        }
        all(senders).await;
    });
}

/// test/chan/goroutines.go: ten thousand goroutines in a line, each adding one on the way.
#[test]
fn a_line_of_ten_thousand_goroutines_passes_a_value_through() {
    run(4, || async {
        let links = rounds(10_000, 50);
        let (tx, mut left) = rendezvous();
        for _ in 0..links {
            let (to, from) = rendezvous();
            let right = std::mem::replace(&mut left, from);
            drop(go(async move {
                let n: u32 = right.recv().await.unwrap();
                to.send(n + 1).await.unwrap();
            }));
        }
        tx.send(0).await.unwrap();
        assert_eq!(left.recv().await, Some(links));
    });
}

/// test/chan/sieve1.go: the concurrent prime sieve.
#[test]
fn the_prime_sieve_finds_the_primes() {
    run(4, || async {
        let count = rounds(60, 8);
        let (tx, mut numbers) = rendezvous();
        drop(go(async move {
            for n in 2_u32.. {
                if tx.send(n).await.is_err() {
                    return; // nobody wants more
                }
            }
        }));
        let mut primes = Vec::new();
        while primes.len() < count {
            let prime = numbers.recv().await.unwrap();
            primes.push(prime);
            let (tx, filtered) = rendezvous();
            let unfiltered = std::mem::replace(&mut numbers, filtered);
            drop(go(async move {
                while let Some(n) = unfiltered.recv().await {
                    if n % prime != 0 && tx.send(n).await.is_err() {
                        return;
                    }
                }
            }));
        }
        let expected: Vec<_> = (2..)
            .filter(|n| (2..*n).all(|d| n % d != 0))
            .take(count)
            .collect();
        assert_eq!(primes, expected);
    });
}

/// test/chan/nonblock.go: the non-blocking operations of a channel without a buffer: they fail while
/// nobody is on the other side and succeed as soon as somebody waits there; values of any size.
#[test]
fn try_operations_meet_whoever_waits() {
    async fn meet<T: Send + PartialEq + Clone + std::fmt::Debug + 'static>(value: T) {
        let (tx, rx) = rendezvous();
        assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
        let back = tx.try_send(value.clone()).unwrap_err();
        assert!(back.is_full());
        assert_eq!(back.into_inner(), value);

        let (waits, waiting) = buffered(1);
        let receiver = go({
            let (rx, waits) = (rx.clone(), waits.clone());
            async move { announced(rx.recv(), waits).await }
        });
        waiting.recv().await.unwrap();
        tx.try_send(value.clone()).expect("a receiver waits");
        assert_eq!(receiver.await.unwrap().as_ref(), Some(&value));

        let sender = go({
            let (tx, value) = (tx.clone(), value.clone());
            async move { announced(tx.send(value), waits).await }
        });
        waiting.recv().await.unwrap();
        assert_eq!(rx.try_recv().as_ref(), Ok(&value), "a sender waits");
        sender.await.unwrap().unwrap();
    }
    run(2, || async {
        meet(true).await;
        meet(7_i32).await;
        meet(String::from("abc")).await;
        meet([9_u8; 1000]).await;
        meet(()).await;
    });
}

/// test/chan/zerosize.go: values without a size are counted like any other.
#[test]
fn values_without_a_size_are_counted() {
    let (tx, rx) = buffered(2);
    tx.try_send([(); 0]).unwrap();
    tx.try_send([(); 0]).unwrap();
    assert_eq!(tx.try_send([]), Err(TrySendError::Full([])));
    assert_eq!(rx.len(), 2);
    tx.close();
    assert_eq!(rx.iter().count(), 2);
}

/// test/closedchan.go: every operation on a closed channel. Where Go panics (send, second close) we
/// say it by value.
#[test]
fn every_operation_on_a_closed_channel_answers_at_once() {
    run(1, || async {
        for capacity in [0, 1] {
            let (tx, rx) = buffered(capacity);
            assert!(tx.close(), "this call closed it");
            assert!(!tx.close() && !rx.close(), "closed already");
            assert!(tx.is_closed() && rx.is_closed());
            for n in 0..2 {
                assert_eq!(tx.send(n).await, Err(SendError(n)));
                assert_eq!(tx.try_send(n), Err(TrySendError::Closed(n)));
                assert_eq!(tx.send_blocking(n), Err(SendError(n)));
                assert_eq!(rx.recv().await, None);
                assert_eq!(rx.try_recv(), Err(TryRecvError::Closed));
                assert_eq!(rx.recv_blocking(), None);
            }
        }
    });
}

/// test/chancap.go: a capacity is only a bound: an absurd one costs nothing until it is used. (Go
/// allocates, and panics when it can't.)
#[test]
fn a_capacity_beyond_all_memory_is_only_a_bound() {
    let (tx, rx) = buffered(usize::MAX);
    assert_eq!((tx.len(), tx.capacity()), (0, usize::MAX));
    for n in 0..1000_u64 {
        tx.try_send(n).unwrap();
    }
    assert_eq!(rx.len(), 1000);
    assert_eq!(rx.try_recv(), Ok(0));
}

/// test/range.go, testchan: a loop over a channel ends when it is closed, and not before.
#[test]
fn a_loop_over_a_channel_ends_with_its_close() {
    const LETTERS: &str = "abcdefghijklmnopqrstuvwxyz";
    run(2, || async {
        let (tx, rx) = rendezvous();
        drop(go(async move {
            for letter in 'a'..='z' {
                tx.send(letter).await.unwrap();
            }
        }));
        let mut letters = String::new();
        while let Some(letter) = rx.recv().await {
            letters.push(letter);
        }
        assert_eq!(letters, LETTERS);
    });
    let (tx, rx) = buffered(26);
    for letter in LETTERS.chars() {
        tx.try_send(letter).unwrap();
    }
    drop(tx);
    assert_eq!(rx.iter().collect::<String>(), LETTERS);
}

/// chan_test.go: BenchmarkChanProdCons: producers and consumers of unlike numbers and buffers; each
/// consumer stops at the mark of one producer.
#[test]
fn as_many_end_marks_as_consumers_stop_them_all() {
    run(4, || async {
        let each = rounds(2_000, 6);
        for (capacity, pairs) in [(0, 3), (1, 5), (10, 4), (100, 2)] {
            let (tx, rx) = buffered(capacity);
            let producers: Vec<_> = (0..pairs)
                .map(|_| {
                    let tx = tx.clone();
                    go(async move {
                        for _ in 0..each {
                            tx.send(1).await.unwrap();
                        }
                        tx.send(0).await.unwrap();
                    })
                })
                .collect();
            let consumers: Vec<_> = (0..pairs)
                .map(|_| {
                    let rx = rx.clone();
                    go(async move {
                        let mut sum = 0;
                        while let Some(n @ 1..) = rx.recv().await {
                            sum += n;
                        }
                        sum
                    })
                })
                .collect();
            all(producers).await;
            let sum: usize = all(consumers).await.into_iter().sum();
            assert_eq!(sum, pairs * each);
            assert!(rx.is_empty());
        }
    });
}

/// test/chan/powser1.go, its shape: from one to many and to one again, layer behind layer, all
/// rendezvous: demand travels back, nothing is reordered within a branch.
#[test]
fn a_fan_out_and_fan_in_keeps_each_branch_in_order() {
    async fn branch(n: u32, rx: Receiver<u32>, tx: Sender<(u32, u32)>) {
        while let Some(value) = rx.recv().await {
            tx.send((n, value)).await.unwrap();
        }
    }
    run(4, || async {
        let items = rounds(3_000_u32, 40);
        let (source, shared) = rendezvous();
        let (sink, merged) = rendezvous();
        for n in 0..8 {
            drop(go(branch(n, shared.clone(), sink.clone())));
        }
        drop(sink);
        let feeder = go(async move {
            for value in 0..items {
                source.send(value).await.unwrap();
            }
        });
        let mut last = HashMap::new();
        let mut all_values = Vec::new();
        while let Some((n, value)) = merged.recv().await {
            let before = last.insert(n, value);
            assert!(before < Some(value), "branch {n}: {value} after {before:?}");
            all_values.push(value);
        }
        feeder.await.unwrap();
        all_values.sort_unstable();
        assert_eq!(all_values, (0..items).collect::<Vec<_>>());
    });
}

/// test/ken/chan1.go, its meaning: what is handed out by one counter under contention is handed out
/// once; the channel's memory is gone with its last end.
#[test]
fn values_that_nobody_received_are_dropped_with_the_channel() {
    let value = Arc::new(());
    let held = value.clone();
    run(2, move || {
        let value = held.clone();
        async move {
            let (tx, rx) = buffered(8);
            let (waits, waiting) = buffered(1);
            for _ in 0..8 {
                tx.send(value.clone()).await.unwrap();
            }
            let late = go({
                let (tx, value) = (tx.clone(), value.clone());
                async move { announced(tx.send(value), waits).await.is_err() }
            });
            waiting.recv().await.unwrap();
            drop(rx);
            assert!(late.await.unwrap(), "the last receiver is gone");
            assert_eq!(Arc::strong_count(&value), 3);
        }
    });
    assert_eq!(Arc::strong_count(&value), 1);
}
