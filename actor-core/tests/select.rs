//! `select!` and `Select`: each sort of arm, the choice among ready ones, and that the losers have
//! not happened.

use std::future::{Future, IntoFuture, pending, ready};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use actor_core::chan::{Receiver, Select, SendError, Sender, buffered, rendezvous};
use actor_core::sync::WaitGroup;
use actor_core::{Runtime, go, interval, select, sleep, timeout, yield_now};

fn run<T: Send + 'static>(main: impl Future<Output = T> + Send + 'static) -> T {
    let runtime = Runtime::builder().procs(3).build().unwrap();
    runtime.run(main)
}

fn poll_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

// ---- the arms ------------------------------------------------------------------------------

#[test]
fn a_channel_arm_wins_at_once_and_after_a_wait() {
    run(async {
        let (tx, rx) = rendezvous();
        let (full, drain) = buffered(1);
        let idle = Receiver::<u8>::never();
        full.try_send(0).unwrap();
        let other = go(async move {
            for n in 0..100 {
                tx.send(n).await.unwrap();
                assert_eq!(drain.recv().await, Some(n));
            }
            drain
        });
        for n in 0..100 {
            let got = select! {
                v = rx.recv() => v,
                _ = idle.recv() => unreachable!(),
            };
            assert_eq!(got, Some(n));
            let sent = select! {
                r = full.send(n + 1) => r,
                _ = idle.recv() => unreachable!(),
            };
            assert_eq!(sent, Ok(()));
        }
        assert_eq!(other.await.unwrap().recv().await, Some(100));
    });
}

#[test]
fn tickers_timers_handles_and_other_futures_are_arms() {
    run(async {
        let idle = Receiver::<u8>::never();
        let mut ticker = interval(Duration::from_millis(1));
        select! {
            _ = ticker.tick() => {}
            _ = idle.recv() => unreachable!(),
        }
        select! {
            _ = sleep(Duration::from_millis(1)) => {}
            _ = idle.recv() => unreachable!(),
        }
        let (tx, rx) = rendezvous::<u8>();
        let mut handle = go(async move { rx.recv().await });
        let early = select! {
            out = &mut handle => Some(out),
            r = tx.send(7) => { r.unwrap(); None }
        };
        assert!(early.is_none());
        let late = select! {
            _ = idle.recv() => unreachable!(),
            out = &mut handle => out.unwrap(),
        };
        assert_eq!(late, Some(7));
        let value = select! {
            v = async { yield_now().await; 5 } => v,
            v = idle.recv() => v.unwrap(),
        };
        assert_eq!(value, 5);
        // `IntoFuture` will do.
        let nested = Select::new().recv(&idle, |_| 1).default(|| 2);
        assert_eq!(select! { n = nested => n }, 2);
    });
}

#[test]
fn a_future_kept_outside_goes_on_in_the_next_round() {
    run(async {
        let (tx, rx) = buffered(1);
        let mut rounds = 0;
        let mut slow = pin!(async {
            for _ in 0..50 {
                yield_now().await;
            }
            "done"
        });
        let end = loop {
            tx.try_send(()).ok();
            select! {
                out = &mut slow => break out,
                _ = rx.recv() => rounds += 1,
            }
        };
        assert_eq!(end, "done");
        assert!(rounds > 0);
    });
}

#[test]
fn handlers_belong_to_the_surrounding_function() {
    async fn f(rx: &mut Receiver<Result<u32, String>>) -> Result<u32, String> {
        let mut sum = 0;
        loop {
            select! {
                v = rx.recv() => {
                    // The arms are gone: `rx` is free again.
                    let rx = &mut *rx;
                    match v {
                        Some(v) => {
                            let v = v?;
                            if v == 0 { continue }
                            yield_now().await;
                            sum += v;
                        }
                        None if rx.is_closed() => break,
                        None => return Err("open".into()),
                    }
                }
            }
        }
        Ok(sum)
    }
    run(async {
        let (tx, mut rx) = buffered(8);
        for v in [Ok(0), Ok(1), Ok(2)] {
            tx.try_send(v).unwrap();
        }
        tx.close();
        assert_eq!(f(&mut rx).await, Ok(3));
        let (tx, mut rx) = buffered(8);
        tx.try_send(Err("no".to_owned())).unwrap();
        assert_eq!(f(&mut rx).await, Err("no".into()));
    });
}

#[test]
fn preconditions_switch_arms_off_without_evaluating_them() {
    run(async {
        let (tx, rx) = buffered(4);
        let mut maybe: Option<Sender<u8>> = None;
        for _ in 0..100 {
            select! {
                _ = maybe.as_ref().unwrap().send(1), if maybe.is_some() => unreachable!(),
                _ = tx.send(0), if let Some(tx) = &maybe => unreachable!(),
                _ = async { unreachable!() }, if false => {}
                default => {}
            }
        }
        maybe = Some(tx);
        select! {
            r = tx.send(3), if let Some(tx) = &maybe => r.unwrap(),
            _ = ready(()), if maybe.is_none() => unreachable!(),
        }
        assert_eq!(rx.try_recv(), Ok(3));
    });
}

#[test]
fn an_outcome_that_does_not_match_disables_its_arm() {
    run(async {
        let (a_tx, a) = buffered::<u8>(1);
        let (b_tx, b) = buffered(1);
        drop(a_tx);
        b_tx.try_send(2).unwrap();
        for _ in 0..50 {
            let b_value = select! {
                Some(v) = a.recv() => v,
                Some(mut v @ 1..=9) = b.recv() => { v += 0; v }
            };
            assert_eq!(b_value, 2);
            b_tx.try_send(2).unwrap();
        }
        // It waits for the rest, after it has waited already.
        let (late_tx, late) = rendezvous();
        let feeder = go(async move {
            late_tx.send(Err("first")).await.unwrap();
            b_tx.send(3).await.unwrap();
        });
        assert_eq!(b.recv().await, Some(2));
        let got: u8 = select! {
            Some(Ok(v)) = late.recv() => v,
            Some(v) = b.recv() => v,
        };
        assert_eq!(got, 3);
        feeder.await.unwrap();
    });
}

#[test]
fn else_runs_when_every_arm_is_disabled() {
    run(async {
        let (tx, rx) = buffered::<u8>(1);
        drop(tx);
        let word = select! {
            Some(_) = rx.recv() => "value",
            _ = pending::<()>(), if false => "never",
            else => "else",
            default => "default",
        };
        assert_eq!(word, "else");
        let word = select! {
            Some(_) = rx.recv() => "value",
            default => "default",
        };
        assert_eq!(word, "default");
        let panics = go(async move {
            select! { Some(v) = rx.recv() => v }
        });
        let why = panics.await.unwrap_err();
        assert!(
            why.panic_message()
                .unwrap()
                .contains("every arm of this select! is disabled"),
            "{why}"
        );
    });
}

#[test]
fn default_runs_only_if_nothing_is_ready() {
    run(async {
        let (tx, rx) = rendezvous();
        for _ in 0..100 {
            select! {
                v = rx.recv() => panic!("{v:?}"),
                r = tx.send(1) => panic!("{r:?}"),
                default => {}
            }
        }
        // Even when the budget of the goroutine is spent.
        let handles: Vec<_> = (0..5_000).map(|_| go(async {})).collect();
        while !handles.iter().all(|handle| handle.is_finished()) {
            yield_now().await;
        }
        for mut done in handles {
            select! {
                _ = &mut done => {}
                default => panic!("the handle was ready"),
            }
        }
        assert_eq!(select! { default => 3 }, 3);
    });
}

// ---- the choice ----------------------------------------------------------------------------

#[test]
fn ready_arms_win_equally_often() {
    const DRAWS: usize = 20_000;
    run(async {
        let (a_tx, a) = buffered::<u8>(1);
        let (b_tx, b) = buffered(1);
        let (c_tx, c) = buffered(1);
        let never = Receiver::<u8>::never();
        c_tx.try_send(0).unwrap();
        drop(a_tx); // always ready
        let mut wins = [0_usize; 4];
        for _ in 0..DRAWS {
            b_tx.try_send(0).ok();
            let won = select! {
                _ = a.recv() => 0,
                _ = never.recv() => unreachable!(),
                _ = b.recv() => 1,
                _ = c_tx.send(0), if false => unreachable!(),
                _ = ready(()) => 2,
                _ = async { yield_now().await } => unreachable!(),
                _ = c.recv() => 3,
            };
            wins[won] += 1;
            c_tx.try_send(0).ok();
        }
        let expected = (DRAWS / 4) as f64;
        let chi_square: f64 = wins
            .iter()
            .map(|&n| (n as f64 - expected).powi(2) / expected)
            .sum();
        // Three degrees of freedom: above 35 once in ten million runs.
        assert!(chi_square < 35.0, "{wins:?}: {chi_square}");
    });
}

#[test]
fn biased_prefers_the_order_written() {
    run(async {
        for _ in 0..200 {
            let won = select! {
                biased;
                _ = pending::<()>() => 0,
                _ = ready(()) => 1,
                _ = ready(()) => 2,
            };
            assert_eq!(won, 1);
            let built = Select::new()
                .biased()
                .future(pending::<()>(), |()| 0)
                .future(ready(()), |()| 1)
                .future(ready(()), |()| 2);
            assert_eq!(built.await, 1);
        }
    });
}

// ---- the claim -----------------------------------------------------------------------------

#[test]
fn a_select_that_was_handed_a_value_takes_no_other() {
    let (a_tx, a) = rendezvous();
    let (b_tx, b) = rendezvous();
    let mut waiting = Box::pin(async {
        select! {
            v = a.recv() => ("a", v),
            v = b.recv() => ("b", v),
        }
    });
    assert!(a_tx.try_send(0).unwrap_err().is_full(), "not polled yet");
    assert!(poll_once(waiting.as_mut()).is_pending());
    b_tx.try_send(1).expect("it waits");
    assert!(a_tx.try_send(2).unwrap_err().is_full(), "it has a value");
    assert!(b_tx.try_send(3).unwrap_err().is_full(), "it has a value");
    assert_eq!(poll_once(waiting.as_mut()), Poll::Ready(("b", Some(1))));
}

#[test]
fn a_select_with_both_ends_of_a_channel_does_not_meet_itself() {
    let (tx, rx) = rendezvous();
    let both = |n| {
        let (tx, rx) = (tx.clone(), rx.clone());
        Box::pin(async move {
            select! {
                r = tx.send(n) => r.map(|()| None),
                v = rx.recv() => Ok(v),
            }
        })
    };
    let (mut one, mut two) = (both(1), both(2));
    for _ in 0..3 {
        assert!(poll_once(one.as_mut()).is_pending());
    }
    // Two of them meet, in one of two ways.
    let second = poll_once(two.as_mut());
    let first = poll_once(one.as_mut());
    let outcomes = (first, second);
    let sent = Poll::Ready(Ok(None));
    assert!(
        outcomes == (sent, Poll::Ready(Ok(Some(1))))
            || outcomes == (Poll::Ready(Ok(Some(2))), sent),
        "{outcomes:?}"
    );
}

#[test]
fn a_select_that_is_polled_again_keeps_its_place() {
    let (tx, rx) = rendezvous();
    let idle = Receiver::<u8>::never();
    let mut first = Box::pin(async {
        select! {
            v = rx.recv() => v,
            v = idle.recv() => v,
        }
    });
    let mut second = Box::pin(rx.recv());
    assert!(poll_once(first.as_mut()).is_pending());
    assert!(poll_once(second.as_mut()).is_pending());
    assert!(poll_once(first.as_mut()).is_pending());
    tx.try_send(1).unwrap();
    tx.try_send(2).unwrap();
    assert_eq!(poll_once(first.as_mut()), Poll::Ready(Some(1)));
    assert_eq!(poll_once(second.as_mut()), Poll::Ready(Some(2)));
}

#[test]
fn a_dropped_select_passes_its_value_on() {
    let (tx, rx) = rendezvous();
    let idle = Receiver::<u8>::never();
    let select = || {
        Box::pin(async {
            select! {
                v = rx.recv() => v,
                v = idle.recv() => v,
            }
        })
    };
    let (mut first, mut second) = (select(), select());
    assert!(poll_once(first.as_mut()).is_pending());
    assert!(poll_once(second.as_mut()).is_pending());
    tx.try_send(1).unwrap();
    drop(first);
    assert_eq!(poll_once(second.as_mut()), Poll::Ready(Some(1)));
    let mut third = select();
    assert!(poll_once(third.as_mut()).is_pending());
    tx.try_send(2).unwrap();
    drop(third);
    assert_eq!(rx.try_recv(), Ok(2), "back at the front of the channel");
    assert!(tx.try_send(3).unwrap_err().is_full(), "nobody is left");
}

#[test]
fn a_losing_send_keeps_its_value_in_the_slot() {
    run(async {
        let (tx, rx) = rendezvous();
        let mut slot = Some("value".to_owned());
        for _ in 0..3 {
            let lost = select! {
                _ = tx.send_from(&mut slot) => false,
                _ = async { yield_now().await } => true,
            };
            assert!(lost);
            assert_eq!(slot.as_deref(), Some("value"));
        }
        let receiver = go(async move { (rx.recv().await, rx) });
        let sent = select! {
            r = tx.send_from(&mut slot) => r,
            _ = pending::<()>() => unreachable!(),
        };
        assert_eq!((sent, &slot), (Ok(()), &None));
        let (got, rx) = receiver.await.unwrap();
        assert_eq!(got.as_deref(), Some("value"));

        slot = Some("again".to_owned());
        let late = timeout(Duration::from_millis(1), tx.send_from(&mut slot)).await;
        assert!(late.is_err());
        drop(rx);
        let closed = select! {
            r = tx.send_from(&mut slot) => r,
        };
        assert_eq!(closed, Err(SendError(())));
        assert_eq!(tx.send_from(&mut slot).await, Err(SendError(())));
        drop(tx.send_from(&mut slot));
        assert_eq!(slot.as_deref(), Some("again"));
    });
}

#[test]
#[should_panic(expected = "send_from was given an empty slot")]
fn an_empty_slot_is_refused() {
    let (tx, _rx) = rendezvous::<u8>();
    drop(tx.send_from(&mut None));
}

#[test]
fn close_wakes_a_select_on_either_side() {
    run(async {
        for round in 0..200 {
            let (tx, rx) = rendezvous::<u8>();
            let (other_tx, other) = rendezvous::<u8>();
            let (closer, keeper) = (tx.clone(), rx.clone());
            let receives = go(async move {
                select! {
                    v = rx.recv() => v.is_none(),
                    _ = other.recv() => false,
                }
            });
            if round % 2 == 0 {
                yield_now().await;
            }
            drop(tx);
            assert!(closer.close());
            assert!(receives.await.unwrap());
            drop((keeper, other_tx));

            let (tx, rx) = rendezvous();
            let sends = go(async move {
                select! {
                    r = tx.send(1) => r,
                    _ = pending::<()>() => unreachable!(),
                }
            });
            if round % 2 == 0 {
                yield_now().await;
            }
            drop(rx);
            assert_eq!(sends.await.unwrap(), Err(SendError(1)));
        }
    });
}

#[test]
fn two_selects_that_cross_exchange_matched_pairs() {
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Event {
        There(usize),
        Back(usize),
    }
    const ROUNDS: usize = 20_000;
    run(async {
        let (there, inbox) = rendezvous();
        let (back, outbox) = rendezvous();
        let other = go(async move {
            let mut events = Vec::new();
            for n in 0..ROUNDS {
                events.push(select! {
                    v = inbox.recv() => Event::There(v.unwrap()),
                    r = back.send(n) => { r.unwrap(); Event::Back(n) }
                });
            }
            events
        });
        let mut events = Vec::new();
        for n in 0..ROUNDS {
            events.push(select! {
                r = there.send(n) => { r.unwrap(); Event::There(n) }
                v = outbox.recv() => Event::Back(v.unwrap()),
            });
        }
        assert_eq!(other.await.unwrap(), events);
        let theres = events.iter().filter(|e| matches!(e, Event::There(_)));
        assert!((1..ROUNDS).contains(&theres.count()), "one way only");
    });
}

#[test]
fn a_thousand_selecting_goroutines_share_the_work() {
    const EACH: usize = 5;
    run(async {
        let (a_tx, a) = rendezvous();
        let (b_tx, b) = buffered(3);
        let (stop_tx, stop) = rendezvous::<()>();
        let sum = Arc::new(AtomicUsize::new(0));
        let group = WaitGroup::new();
        for _ in 0..1000 {
            let (a, b, stop, sum) = (a.clone(), b.clone(), stop.clone(), sum.clone());
            drop(group.go(async move {
                loop {
                    let value = select! {
                        v = a.recv() => v,
                        v = b.recv() => v,
                        _ = stop.recv() => break,
                    };
                    sum.fetch_add(value.unwrap(), SeqCst);
                }
            }));
        }
        for n in 0..1000 * EACH {
            select! {
                r = a_tx.send(n) => r.unwrap(),
                r = b_tx.send(n) => r.unwrap(),
            }
        }
        while !b.is_empty() {
            yield_now().await;
        }
        stop_tx.close();
        group.wait().await;
        let n = 1000 * EACH;
        assert_eq!(sum.load(SeqCst), n * (n - 1) / 2);
    });
}

struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % n
    }
}

/// Ready after so many polls, each of which wakes the goroutine: the other arms are dropped in
/// every state.
async fn after(polls: u64) {
    for _ in 0..polls {
        yield_now().await;
    }
}

#[test]
fn selects_dropped_at_random_lose_and_double_nothing() {
    const SENDERS: u64 = 4;
    const EACH: u64 = 3_000;
    for capacity in [0, 1, 4] {
        let mut got = run(async move {
            let (a_tx, a) = buffered(capacity);
            let (b_tx, b) = rendezvous();
            let senders = WaitGroup::new();
            for sender in 0..SENDERS {
                let (a, b) = (a_tx.clone(), b_tx.clone());
                drop(senders.go(async move {
                    let mut random = Random(0x9e37_79b9 + sender);
                    for n in 0..EACH {
                        let (mut slot, mut second) = (Some((sender, n)), None);
                        while slot.is_some() || second.is_some() {
                            if random.below(2) == 0 {
                                (slot, second) = (second, slot);
                            }
                            let polls = random.below(4);
                            // One value, offered on both channels by turns or at once.
                            select! {
                                r = a.send_from(&mut slot), if slot.is_some() => r.unwrap(),
                                r = b.send_from(&mut second), if second.is_some() => r.unwrap(),
                                _ = after(polls) => {}
                            }
                        }
                    }
                }));
            }
            drop((a_tx, b_tx));
            let got = Arc::new(Mutex::new(Vec::new()));
            let receivers = WaitGroup::new();
            for receiver in 0..3 {
                let (a, b, got) = (a.clone(), b.clone(), got.clone());
                drop(receivers.go(async move {
                    let mut random = Random(0x0123_4567 + receiver);
                    let mut mine = Vec::new();
                    loop {
                        let polls = random.below(4);
                        let one = async {
                            select! {
                                v = a.recv() => v,
                                v = b.recv() => v,
                            }
                        };
                        let inner = random.below(2) == 0;
                        let value = if inner {
                            // The select is itself a future that loses.
                            select! {
                                v = one => v,
                                _ = after(polls) => continue,
                            }
                        } else {
                            select! {
                                v = a.recv() => v,
                                v = b.recv() => v,
                                _ = after(polls) => continue,
                            }
                        };
                        match value {
                            Some(value) => mine.push(value),
                            None => break,
                        }
                    }
                    got.lock().unwrap().extend(mine);
                }));
            }
            senders.wait().await;
            receivers.wait().await;
            // What a dropped select gave back after the close.
            let mut got = std::mem::take(&mut *got.lock().unwrap());
            got.extend(a.iter());
            got.extend(b.iter());
            got
        });
        got.sort_unstable();
        let all: Vec<_> = (0..SENDERS)
            .flat_map(|s| (0..EACH).map(move |n| (s, n)))
            .collect();
        assert!(got == all, "{} of {} values", got.len(), all.len());
    }
}

// ---- never, and the builder ----------------------------------------------------------------

#[test]
fn a_never_channel_waits_for_ever_and_cannot_be_closed() {
    run(async {
        let (tx, rx) = (Sender::<u8>::never(), Receiver::<u8>::never());
        for _ in 0..10 {
            let won = select! {
                _ = tx.send(1) => 1,
                _ = rx.recv() => 2,
                () = after(2) => 3,
            };
            assert_eq!(won, 3);
        }
        assert!(!tx.close() && !rx.close());
        assert!(!tx.is_closed() && !rx.is_closed());
        assert!(tx.is_never() && rx.clone().is_never());
        assert!(tx.try_send(1).unwrap_err().is_full());
        assert!(rx.try_recv().is_err());
        drop(tx.clone());
        assert!(poll_once(pin!(tx.send(1))).is_pending());
        assert!(poll_once(pin!(rx.recv())).is_pending());
    });
}

#[test]
fn the_builder_selects_over_any_number_of_arms() {
    run(async {
        let channels: Vec<_> = (0..100).map(|_| rendezvous()).collect();
        let receivers: Vec<_> = channels.iter().map(|(_, rx)| rx.clone()).collect();
        let senders: Vec<_> = channels.into_iter().map(|(tx, _)| tx).collect();
        let feeder = go(async move {
            for n in 0..500 {
                senders[n * 37 % 100].send(n).await.unwrap();
            }
            senders
        });
        for n in 0..500 {
            let mut select = Select::new();
            for (at, rx) in receivers.iter().enumerate() {
                select = select.recv(rx, move |value| (at, value));
            }
            assert_eq!(select.await, (n * 37 % 100, Some(n)));
        }
        drop(feeder.await.unwrap());
        let closed = Select::new()
            .recv(&receivers[0], |value| value)
            .timeout(Duration::from_secs(60), || unreachable!());
        assert_eq!(closed.await, None);
    });
}

#[test]
fn the_builder_sends_times_out_and_defaults() {
    run(async {
        let (tx, rx) = buffered(1);
        assert_eq!(Select::new().send(&tx, 1, |r| r).await, Ok(()));
        assert_eq!(
            Select::new()
                .send(&tx, 2, |_| "sent")
                .default(|| "full")
                .await,
            "full"
        );
        let mut slot = Some(3);
        let late = Select::new()
            .send_from(&tx, &mut slot, |_| "sent")
            .timeout(Duration::from_millis(1), || "late");
        assert_eq!(late.await, "late");
        assert_eq!(slot, Some(3));
        assert_eq!(rx.try_recv(), Ok(1));
        assert_eq!(Select::new().default(|| 5).await, 5);
        let for_ever = Select::<()>::new().into_future();
        assert!(poll_once(pin!(for_ever)).is_pending());
    });
}

#[test]
fn a_future_that_selects_is_send_if_its_arms_are() {
    fn send<F: Future + Send>(future: F) -> F {
        future
    }
    let (tx, rx) = rendezvous::<u8>();
    let selecting = send(async {
        select! {
            _ = tx.send(1) => 1,
            _ = rx.recv() => 2,
            _ = async {} => 3,
        }
    });
    assert_eq!(poll_once(pin!(selecting)), Poll::Ready(3));
    // And it may hold what is not: here nothing asks for Send.
    let local = std::rc::Rc::new(5);
    let selecting = async {
        select! { v = async { *local } => v }
    };
    assert_eq!(poll_once(pin!(selecting)), Poll::Ready(5));
}

/// Arms lie in rows of eight; a select of this many has three.
#[test]
fn each_of_many_arms_can_win() {
    run(async {
        let channels: Vec<_> = (0..20).map(|_| buffered::<u64>(1)).collect();
        let rx = |n: usize| &channels[n].1;
        for (n, (tx, _)) in channels.iter().enumerate() {
            for early in [true, false] {
                let tx = tx.clone();
                let send = go(async move {
                    if !early {
                        yield_now().await;
                    }
                    tx.send(n as u64).await.unwrap();
                });
                if early {
                    send.await.unwrap();
                }
                let (arm, value) = select! {
                    v = rx(0).recv() => (0, v), v = rx(1).recv() => (1, v), v = rx(2).recv() => (2, v),
                    v = rx(3).recv() => (3, v), v = rx(4).recv() => (4, v), v = rx(5).recv() => (5, v),
                    v = rx(6).recv() => (6, v), v = rx(7).recv() => (7, v), v = rx(8).recv() => (8, v),
                    v = rx(9).recv() => (9, v), v = rx(10).recv() => (10, v), v = rx(11).recv() => (11, v),
                    v = rx(12).recv() => (12, v), v = rx(13).recv() => (13, v), v = rx(14).recv() => (14, v),
                    v = rx(15).recv() => (15, v), v = rx(16).recv() => (16, v), v = rx(17).recv() => (17, v),
                    v = rx(18).recv() => (18, v), v = rx(19).recv() => (19, v),
                };
                assert_eq!((arm, value), (n as u64, Some(n as u64)));
            }
        }
    });
}

#[test]
fn an_arm_may_refer_to_what_is_made_in_its_expression() {
    run(async {
        let never = buffered::<u8>(0);
        let got = select! {
            v = &mut std::future::ready(7) => v,
            _ = never.1.recv() => 0,
        };
        assert_eq!(got, 7);
    });
}

#[test]
fn an_arm_behind_one_that_is_switched_off_waits_in_its_channel() {
    let (off, (tx, rx)) = (Receiver::<u8>::never(), rendezvous::<u8>());
    let mut wait = pin!(async {
        select! {
            biased;
            v = off.recv(), if false => v,
            v = rx.recv() => v,
        }
    });
    assert!(poll_once(wait.as_mut()).is_pending());
    assert_eq!(tx.try_send(7), Ok(()), "somebody receives");
    assert_eq!(poll_once(wait.as_mut()), Poll::Ready(Some(7)));
}
