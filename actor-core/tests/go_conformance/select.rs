//! The selects of `runtime/chan_test.go`, `runtime/proc_test.go` and `test/chan/`, and what
//! `reflect` tests of its dynamic ones.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use actor_core::chan::{Receiver, Select, SendError, Sender, TryRecvError, buffered, rendezvous};
use actor_core::sync::{Mutex, WaitGroup};
use actor_core::{go, select, sleep, yield_now};
use parking_lot::Mutex as Plain;

use crate::seeds::{gap, rounds};
use crate::{Random, all, announced, run, run_real};

/// Two goroutines that meet at the start of each round, by spinning: what they do then overlaps.
async fn meet(here: &AtomicUsize, there: &AtomicUsize, round: usize) {
    here.store(round, SeqCst);
    let mut turns = 0;
    while there.load(SeqCst) < round {
        turns += 1;
        if turns % 1000 == 0 {
            yield_now().await;
        }
        gap().await;
        std::hint::spin_loop();
    }
}

/// In each round the first of two channels is ready, then `second` makes the other one ready, and
/// only then the first is emptied. A select that runs meanwhile never sees none ready.
async fn no_default_beside(second: fn(&Sender<u8>)) {
    let rounds = rounds(20_000, 5);
    let (start, started) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (channels, new_channels) = buffered::<(Receiver<u8>, Receiver<u8>)>(1);
    let selecting = go({
        let (here, there) = (started.clone(), start.clone());
        async move {
            let mut random = Random(1);
            let mut defaults = 0;
            for round in 1..=rounds {
                let (one, two) = new_channels.recv().await.unwrap();
                meet(&here, &there, round).await;
                (0..random.below(60)).for_each(|_| std::hint::spin_loop());
                gap().await;
                select! {
                    _ = one.recv() => {}
                    _ = two.recv() => {}
                    default => defaults += 1,
                }
            }
            defaults
        }
    });
    let mut random = Random(2);
    for round in 1..=rounds {
        let ((one, one_rx), (two, two_rx)) = (buffered(1), buffered(1));
        one.try_send(1).unwrap();
        let ends = (one_rx.clone(), two_rx.clone());
        channels.send(ends).await.unwrap();
        meet(&start, &started, round).await;
        (0..random.below(60)).for_each(|_| std::hint::spin_loop());
        gap().await;
        second(&two);
        gap().await;
        let _ = one_rx.try_recv();
    }
    let defaults = selecting.await.unwrap();
    assert_eq!(defaults, 0, "one of the channels was ready all the time");
}

/// chan_test.go: TestNonblockSelectRace: a select with a default sees all its channels at one
/// moment: while at least one of them is ready at any time, the default never runs.
#[test]
fn a_default_never_runs_while_one_of_the_channels_is_ready() {
    run(4, || no_default_beside(|two| two.try_send(1).unwrap()));
}

/// chan_test.go: TestNonblockSelectRace2: the same with a close.
#[test]
fn a_default_never_runs_while_a_channel_is_ready_or_closed() {
    run(4, || no_default_beside(|two| assert!(two.close())));
}

/// chan_test.go: TestSelfSelect: two goroutines that both send and receive on one channel in one
/// select neither hang nor receive from themselves.
#[test]
fn a_select_does_not_receive_what_it_sends() {
    run(2, || async {
        for capacity in [0, 10] {
            let (tx, rx) = buffered(capacity);
            let goroutines = [0, 1].map(|me| {
                let (tx, rx) = (tx.clone(), rx.clone());
                go(async move {
                    for n in 0..rounds(1000, 20) {
                        let got = if me == 0 || n % 2 == 0 {
                            select! {
                                sent = tx.send(me) => { sent.unwrap(); None }
                                got = rx.recv() => got,
                            }
                        } else {
                            select! {
                                got = rx.recv() => got,
                                sent = tx.send(me) => { sent.unwrap(); None }
                            }
                        };
                        assert!(capacity > 0 || got != Some(me), "received from itself");
                    }
                })
            });
            all(goroutines).await;
        }
    });
}

/// chan_test.go: TestSelectStress: goroutines that send or receive on one of four channels, one that
/// sends on all and one that receives from all; each channel carries as many as it should, and a
/// channel that is through is replaced by one that is never ready.
#[test]
fn selects_and_plain_operations_interact_without_loss() {
    run(10, || async {
        let each = rounds(3_000, 5);
        let (txs, rxs): (Vec<_>, Vec<_>) = [0, 0, 2, 3].map(buffered).into_iter().unzip();
        let group = WaitGroup::new();
        let mut goroutines = Vec::new();
        for (tx, rx) in txs.iter().cloned().zip(rxs.iter().cloned()) {
            goroutines.push(group.go(async move {
                for _ in 0..each {
                    tx.send(()).await.unwrap();
                }
            }));
            goroutines.push(group.go(async move {
                for _ in 0..each {
                    rx.recv().await.unwrap();
                }
            }));
        }
        let mut out = txs.clone();
        goroutines.push(group.go(async move {
            let mut count = [0; 4];
            for _ in 0..4 * each {
                let sent = select! {
                    r = out[3].send(()) => { r.unwrap(); 3 }
                    r = out[2].send(()) => { r.unwrap(); 2 }
                    r = out[0].send(()) => { r.unwrap(); 0 }
                    r = out[1].send(()) => { r.unwrap(); 1 }
                };
                count[sent] += 1;
                if count[sent] == each {
                    out[sent] = Sender::never();
                }
            }
            assert_eq!(count, [each; 4]);
        }));
        let mut into = rxs.clone();
        goroutines.push(group.go(async move {
            let mut count = [0; 4];
            for _ in 0..4 * each {
                let received = select! {
                    Some(()) = into[0].recv() => 0,
                    Some(()) = into[1].recv() => 1,
                    Some(()) = into[2].recv() => 2,
                    Some(()) = into[3].recv() => 3,
                };
                count[received] += 1;
                if count[received] == each {
                    into[received] = Receiver::never();
                }
            }
            assert_eq!(count, [each; 4]);
        }));
        group.wait().await;
        all(goroutines).await;
        assert!(rxs.iter().all(Receiver::is_empty));
    });
}

/// chan_test.go: TestSelectFairness: of two arms that are always ready each is chosen about half of
/// the times: within ten standard deviations, which chance never leaves.
#[test]
fn arms_that_are_ready_are_chosen_evenly() {
    run(2, || async {
        let trials = rounds(10_000_i32, 200);
        let full = move |value| {
            let (tx, rx) = buffered(trials as usize + 1);
            for _ in 0..=trials {
                tx.try_send(value).unwrap();
            }
            (tx, rx)
        };
        let ((_one, one), (_two, two)) = (full(1), full(2));
        let (_three, three) = rendezvous();
        let (_four, four) = rendezvous();
        let (out, result) = rendezvous();
        let (done, is_done) = rendezvous::<()>();
        let chooser = go(async move {
            loop {
                let value = select! {
                    value = three.recv() => value,
                    value = four.recv() => value,
                    value = one.recv() => value,
                    value = two.recv() => value,
                };
                select! {
                    sent = out.send(value.unwrap()) => sent.unwrap(),
                    _ = is_done.recv() => return,
                }
            }
        });
        let mut ones = 0;
        for _ in 0..trials {
            match result.recv().await {
                Some(1) => ones += 1,
                Some(2) => {}
                other => panic!("received {other:?}"),
            }
        }
        drop(done);
        chooser.await.unwrap();
        let off = (ones - trials / 2).abs();
        assert!(
            off <= rounds(500, 71),
            "{ones} of {trials} is not a fair share"
        );
    });
}

/// chan_test.go: TestPseudoRandomSend: two sends to one channel in one select: both values are sent,
/// in a random order, buffered or not.
#[test]
fn two_sends_to_one_channel_are_chosen_at_random() {
    const N: usize = 200;
    run(2, || async {
        for capacity in [0, N] {
            let (tx, rx) = buffered(capacity);
            let receiver = go(async move {
                let mut got = Vec::new();
                while got.len() < N {
                    yield_now().await;
                    got.push(rx.recv().await.unwrap());
                }
                got
            });
            for _ in 0..N {
                select! {
                    sent = tx.send(1) => sent.unwrap(),
                    sent = tx.send(0) => sent.unwrap(),
                }
            }
            let ones: usize = receiver.await.unwrap().into_iter().sum();
            assert!(ones > N / 10 && N - ones > N / 10, "{ones} of {N}");
        }
    });
}

/// chan_test.go: TestSelectDuplicateChannel: a select that waits on one channel twice leaves both its
/// places when another channel wins, and the goroutine behind it is served.
#[test]
fn a_channel_may_occur_twice_in_a_select() {
    run(2, || async {
        let (c, c_rx) = rendezvous();
        let (d, d_rx) = rendezvous();
        let (e, e_rx) = rendezvous();
        let (waits, waiting) = buffered(1);
        let selecting = go({
            let (c_rx, waits) = (c_rx.clone(), waits.clone());
            async move {
                let waiting = async {
                    select! {
                        _ = c_rx.recv() => panic!("nothing was sent there"),
                        _ = c_rx.recv() => panic!("nothing was sent there"),
                        value = d_rx.recv() => value,
                    }
                };
                assert_eq!(announced(waiting, waits).await, Some(7));
                e.send(9).await.unwrap();
            }
        });
        waiting.recv().await.unwrap();
        let behind = go(async move { announced(c_rx.recv(), waits).await });
        waiting.recv().await.unwrap();
        d.send(7).await.unwrap();
        assert_eq!(e_rx.recv().await, Some(9));
        selecting.await.unwrap();
        c.send(8).await.unwrap();
        assert_eq!(behind.await.unwrap(), Some(8));
    });
}

/// chan_test.go: TestChanSendInterface, its selects: sends to a full channel, twice the same one and
/// with a default, neither hang nor lose what the channel holds.
#[test]
fn sends_to_a_full_channel_fall_to_the_default() {
    run(1, || async {
        let (tx, rx) = buffered(1);
        tx.try_send("first").unwrap();
        let sent = select! {
            _ = tx.send("second") => true,
            _ = tx.send("third") => true,
            default => false,
        };
        assert!(!sent);
        assert_eq!(rx.try_recv(), Ok("first"));
        assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
    });
}

/// test/chan/doubleselect.go: what one select sends on any of four channels arrives once, though the
/// four are merged by another select.
#[test]
fn a_value_is_sent_on_one_channel_only() {
    run(4, || async {
        let many = rounds(5_000, 30);
        let (txs, rxs): (Vec<_>, Vec<_>) = [0, 0, 0, 0].map(buffered).into_iter().unzip();
        let sender = go(async move {
            for n in 0..many {
                select! {
                    sent = txs[0].send(n) => sent.unwrap(),
                    sent = txs[1].send(n) => sent.unwrap(),
                    sent = txs[2].send(n) => sent.unwrap(),
                    sent = txs[3].send(n) => sent.unwrap(),
                }
            }
        });
        let (merged, values) = rendezvous();
        for rx in rxs {
            let merged = merged.clone();
            drop(go(async move {
                while let Some(n) = rx.recv().await {
                    merged.send(n).await.unwrap();
                }
            }));
        }
        drop(merged);
        let mut seen = HashSet::new();
        while let Some(n) = values.recv().await {
            assert!(seen.insert(n), "{n} was sent twice");
        }
        assert_eq!(seen.len(), many);
        sender.await.unwrap();
    });
}

/// Whether a select with this one arm would wait.
macro_rules! waits {
    ($operation:expr) => {
        select! {
            _ = $operation => false,
            default => true,
        }
    };
}

/// test/chan/select3.go: which operations of a select wait, for channels that are nil (never), empty,
/// full and closed.
#[test]
fn each_operation_waits_exactly_when_it_should() {
    run(1, || async {
        let (never_tx, never_rx) = (Sender::never(), Receiver::<u8>::never());
        assert!(waits!(never_tx.send(1_u8)) && waits!(never_rx.recv()));

        let (tx, rx) = rendezvous::<u8>();
        assert!(waits!(tx.send(1)) && waits!(rx.recv()), "nobody there");

        let (tx, rx) = buffered::<u8>(2);
        assert!(waits!(rx.recv()), "empty");
        assert!(!waits!(tx.send(1)), "room");
        assert!(!waits!(rx.recv()), "a value");
        tx.try_send(1).unwrap();
        tx.try_send(2).unwrap();
        assert!(waits!(tx.send(3)), "full");

        tx.close();
        assert!(!waits!(tx.send(4)), "closed: told at once");
        assert!(!waits!(rx.recv()) && !waits!(rx.recv()), "what it held");
        assert!(!waits!(rx.recv()) && !waits!(rx.recv()), "closed and empty");
        let told = select! { sent = tx.send(5) => sent };
        assert_eq!(told, Err(SendError(5)), "Go panics");
    });
}

/// test/chan/select5.go: the operands of all arms are evaluated once, in the order written, whichever
/// arm wins.
#[test]
fn operands_are_evaluated_once_and_in_order() {
    run(1, || async {
        let (tx, rx) = buffered(1);
        let (_other, empty) = rendezvous::<u8>();
        let log = Plain::new(Vec::new());
        let note = |n| log.lock().push(n);
        select! {
            _ = { note(1); &empty }.recv() => panic!("empty"),
            sent = { note(2); &tx }.send({ note(3); 7 }) => sent.unwrap(),
            _ = { note(4); &empty }.recv() => panic!("empty"),
        }
        assert_eq!(*log.lock(), [1, 2, 3, 4]);
        assert_eq!(rx.try_recv(), Ok(7));
    });
}

/// test/chan/select6.go: a select that gives up its place, the last one in a queue, leaves the queue
/// in order: who comes after it is served.
#[test]
fn a_losing_arm_at_the_end_of_a_queue_leaves_the_queue_in_order() {
    run(2, || async {
        let (one, one_rx) = rendezvous();
        let (two, two_rx) = rendezvous();
        let (waits, waiting) = buffered(1);
        let first = go({
            let (rx, waits) = (one_rx.clone(), waits.clone());
            async move { announced(rx.recv(), waits).await }
        });
        waiting.recv().await.unwrap();
        let selecting = go({
            let (rx, waits) = (one_rx.clone(), waits.clone());
            async move {
                let both = async {
                    select! {
                        value = rx.recv() => value,
                        value = two_rx.recv() => value,
                    }
                };
                announced(both, waits).await
            }
        });
        waiting.recv().await.unwrap();
        two.send(2).await.unwrap();
        assert_eq!(selecting.await.unwrap(), Some(2));
        let last = go({
            let waits = waits.clone();
            async move { announced(one_rx.recv(), waits).await }
        });
        waiting.recv().await.unwrap();
        one.send(1).await.unwrap();
        one.send(3).await.unwrap();
        assert_eq!(
            (first.await.unwrap(), last.await.unwrap()),
            (Some(1), Some(3))
        );
    });
}

/// The ways to receive that test/chan/select7.go pairs with the ways to send.
async fn receive(how: u8, rx: Receiver<i32>) -> Option<i32> {
    match how {
        0 => rx.recv().await,
        1 => select! { value = rx.recv() => value },
        _ => {
            let never = Receiver::never();
            select! {
                value = never.recv() => value,
                value = rx.recv() => value,
            }
        }
    }
}

async fn send(how: u8, tx: Sender<i32>) {
    let sent = match how {
        0 => tx.send(1).await,
        1 => select! { sent = tx.send(1) => sent },
        _ => {
            let never = Sender::never();
            select! {
                sent = tx.send(1) => sent,
                sent = never.send(2) => sent,
            }
        }
    };
    sent.unwrap();
}

/// test/chan/select7.go: every way to receive meets every way to send, whoever comes first, buffered
/// or not.
#[test]
fn every_form_of_receive_meets_every_form_of_send() {
    run(2, || async {
        for receiving in 0..3 {
            for sending in 0..3 {
                for capacity in [0, 1, 10] {
                    let (tx, rx) = buffered(capacity);
                    let (waits, waiting) = buffered(1);
                    let receiver = go(announced(receive(receiving, rx), waits));
                    waiting.recv().await.unwrap();
                    send(sending, tx).await;
                    assert_eq!(receiver.await.unwrap(), Some(1));
                }
                let (tx, rx) = rendezvous();
                let (waits, waiting) = buffered(1);
                let sender = go(announced(send(sending, tx), waits));
                waiting.recv().await.unwrap();
                assert_eq!(receive(receiving, rx).await, Some(1));
                sender.await.unwrap();
            }
        }
    });
}

/// test/chan/select2.go: selects that wait on a channel which is never used leave nothing in its
/// queue.
#[test]
fn a_channel_that_always_loses_collects_no_waiters() {
    run(2, || async {
        let (idle, idle_rx) = rendezvous();
        let (tx, rx) = rendezvous();
        let sender = go(async move {
            for n in 0..rounds(10_000, 20) {
                tx.send(n).await.unwrap();
            }
        });
        for n in 0..rounds(10_000, 20) {
            select! {
                value = rx.recv() => assert_eq!(value, Some(n)),
                _ = idle_rx.recv() => panic!("nothing was sent there"),
            }
        }
        sender.await.unwrap();
        assert!(
            idle.try_send(()).unwrap_err().is_full(),
            "nobody waits there"
        );
    });
}

/// proc_test.go: TestTimerFairness: a timer among arms that are ready all the time is chosen in the
/// end, on one P.
#[test]
fn a_timer_arm_is_not_starved_by_busy_channels() {
    run_real(
        1,
        "simulated time stands still while somebody runs",
        async {
            let (tx, rx) = rendezvous();
            let (done, is_done) = rendezvous::<()>();
            let talkers = [(); 2].map(|()| {
                let (tx, is_done) = (tx.clone(), is_done.clone());
                go(async move {
                    loop {
                        select! {
                            sent = tx.send(()) => sent.unwrap(),
                            _ = is_done.recv() => return,
                        }
                    }
                })
            });
            let mut timer = std::pin::pin!(sleep(Duration::from_millis(20)));
            loop {
                select! {
                    got = rx.recv() => assert_eq!(got, Some(())),
                    () = timer.as_mut() => break,
                }
            }
            drop(done);
            all(talkers).await;
        },
    );
}

/// proc_test.go: TestTimerFairness2: goroutines that talk to each other and wait for a timer of their
/// own all end.
#[test]
fn goroutines_that_talk_until_their_timers_all_end() {
    run_real(
        2,
        "simulated time stands still while somebody runs",
        async {
            let (tx, rx) = rendezvous();
            let talkers = [(); 2].map(|()| {
                let (tx, rx) = (tx.clone(), rx.clone());
                go(async move {
                    let mut timer = std::pin::pin!(sleep(Duration::from_millis(20)));
                    loop {
                        select! {
                            sent = tx.send(()) => sent.unwrap(),
                            got = rx.recv() => assert_eq!(got, Some(())),
                            () = timer.as_mut() => return,
                        }
                    }
                })
            });
            all(talkers).await;
        },
    );
}

/// proc_test.go: BenchmarkSelectProdCons: producers and consumers that also watch a timer and a stop
/// channel: each value once, and all stop.
#[test]
fn producers_and_consumers_that_watch_a_stop_channel_all_stop() {
    run(4, || async {
        let each = rounds(3_000, 5);
        let (tx, rx) = buffered(rounds(128, 3));
        let (stop, stopped) = rendezvous::<()>();
        let sum = Arc::new(Mutex::new(0));
        let producers = [(); 4].map(|()| {
            let (tx, stopped) = (tx.clone(), stopped.clone());
            go(async move {
                for _ in 0..each {
                    select! {
                        sent = tx.send(1) => sent.unwrap(),
                        _ = stopped.recv() => panic!("stopped too early"),
                        _ = sleep(Duration::from_secs(3600)) => panic!("an hour has passed"),
                    }
                }
            })
        });
        let consumers = [(); 4].map(|()| {
            let (rx, stopped, sum) = (rx.clone(), stopped.clone(), sum.clone());
            go(async move {
                loop {
                    select! {
                        biased;
                        Some(n) = rx.recv() => *sum.lock().await += n,
                        _ = stopped.recv() => return,
                    }
                }
            })
        });
        all(producers).await;
        drop(stop);
        all(consumers).await;
        assert_eq!(
            *sum.lock().await,
            4 * each,
            "biased: values before the stop"
        );
    });
}

/// reflect/all_test.go: TestSelect: a select built at run time, of any number of sends, receives and
/// a default, does one of those that are ready and nothing else.
#[test]
fn a_select_built_at_run_time_does_one_ready_operation() {
    run(2, || async {
        for count in [1, 2, 7, 40] {
            let channels: Vec<_> = (0..count).map(|_| buffered::<usize>(1)).collect();
            // Half of them can be received from, the others can be sent to; one side of each is
            // asked for the opposite, and must lose.
            for (n, (tx, _)) in channels.iter().enumerate() {
                if n % 2 == 0 {
                    tx.try_send(n).unwrap();
                }
            }
            let mut done = HashSet::new();
            while done.len() < count {
                let mut select = Select::new();
                for (n, (tx, rx)) in channels.iter().enumerate() {
                    if done.contains(&n) {
                        continue;
                    }
                    select = if n % 2 == 0 {
                        select
                            .send(tx, 99, |_| panic!("it was full"))
                            .recv(rx, move |value| {
                                assert_eq!(value, Some(n));
                                n
                            })
                    } else {
                        select
                            .recv(rx, |_| panic!("it was empty"))
                            .send(tx, n, move |sent| {
                                sent.unwrap();
                                n
                            })
                    };
                }
                assert!(done.insert(select.await));
            }
            for (n, (_, rx)) in channels.iter().enumerate() {
                assert_eq!(rx.len(), n % 2, "one operation on each");
            }
            let mut select = Select::new().default(|| true);
            for (_, rx) in channels.iter().step_by(2) {
                select = select.recv(rx, |_| false);
            }
            assert!(select.await, "all empty: the default");
        }
    });
}
