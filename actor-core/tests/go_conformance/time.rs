//! `time/sleep_test.go` and `time/tick_test.go`. Order and lower bounds only: on a busy machine
//! everything may be late, and nothing may be early.

use std::future::{Future, pending};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use actor_core::chan::{Receiver, Sender, buffered, rendezvous};
use actor_core::{
    Handle, Instant, Ticker, Timer, after, after_func, go, interval, select, sleep, sleep_until,
    timeout, yield_now,
};
use parking_lot::Mutex;

use crate::seeds::rounds;
use crate::{Random, all, announced, ready, run};

const HOUR: Duration = Duration::from_secs(3600);

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// sleep_test.go: TestSleep: a sleep lasts at least as long as it was told, whoever else wakes up
/// meanwhile.
#[test]
fn a_sleep_lasts_at_least_its_time() {
    run(2, || async {
        let interrupts = go(sleep(ms(5)));
        let start = Instant::now();
        sleep(ms(10)).await;
        assert!(start.elapsed() >= ms(10));
        interrupts.await.unwrap();
    });
}

/// sleep_test.go: TestAfterFunc: timers of zero, each set by the one before, all come.
#[test]
fn a_timer_that_sets_the_next_goes_on_to_the_last() {
    fn chain(left: u32, done: Sender<()>, stopped: Receiver<()>) {
        drop(go(async move {
            sleep(Duration::ZERO).await;
            if left == 0 {
                done.send(()).await.unwrap();
            } else {
                chain(left - 1, done, stopped.clone());
                // This does not keep the next from running.
                select! {
                    () = sleep(HOUR) => panic!("an hour has passed"),
                    _ = stopped.recv() => {}
                }
            }
        }));
    }
    run(2, || async {
        let (done, is_done) = buffered(1);
        let (_stop, stopped) = rendezvous();
        chain(10, done, stopped);
        assert_eq!(is_done.recv().await, Some(()));
    });
}

/// sleep_test.go: TestAfterStress: the shortest of tickers ticks beside a goroutine that is always
/// busy with short sleeps.
#[test]
fn the_shortest_ticker_ticks_beside_a_busy_goroutine() {
    run(1, || async {
        let stop = Arc::new(AtomicBool::new(false));
        let busy = go({
            let stop = stop.clone();
            async move {
                while !stop.load(SeqCst) {
                    sleep(Duration::from_nanos(1)).await;
                }
            }
        });
        let mut ticker = interval(Duration::from_nanos(1));
        for _ in 0..100 {
            ticker.tick().await;
        }
        stop.store(true, SeqCst);
        busy.await.unwrap();
    });
}

/// sleep_test.go: TestAfter, TestAfterTick: ten delays after each other take ten times as long, or
/// longer.
#[test]
fn delays_add_up() {
    run(2, || async {
        let start = Instant::now();
        for n in 1..=10 {
            sleep(ms(2)).await;
            assert!(start.elapsed() >= ms(2 * n));
        }
    });
}

/// sleep_test.go: TestAfterStop: what was stopped does not happen, also after a later timer has; a
/// second stop changes nothing.
#[test]
fn a_stopped_timer_does_not_fire() {
    run(2, || async {
        let fired = Arc::new(AtomicUsize::new(0));
        let (waits, waiting) = buffered(2);
        let stopped = [(); 2].map(|()| {
            let (fired, waits) = (fired.clone(), waits.clone());
            go(async move {
                announced(sleep(HOUR), waits).await;
                fired.fetch_add(1, SeqCst);
            })
        });
        for _ in 0..2 {
            waiting.recv().await.unwrap();
        }
        for timer in &stopped {
            timer.abort();
            timer.abort();
        }
        sleep(ms(1)).await;
        for timer in stopped {
            assert!(timer.await.unwrap_err().is_cancelled());
        }
        assert_eq!(fired.load(SeqCst), 0);
    });
}

/// sleep_test.go: TestAfterQueuing: timers that were set in any order come in the order of their
/// deadlines. Like Go's, the test tries again with longer distances: the system may take a thread
/// away between a timer and the note about it. A simulated clock waits for the note.
#[test]
fn timers_come_in_the_order_of_their_deadlines() {
    const SLOTS: [u32; 13] = [5, 3, 6, 6, 6, 1, 1, 2, 7, 9, 4, 8, 0];
    async fn attempt(distance: Duration) -> Vec<u32> {
        let log = Arc::new(Mutex::new(Vec::new()));
        let (waits, waiting) = buffered(SLOTS.len());
        let base = Instant::now() + distance;
        let timers = SLOTS.map(|slot| {
            let (log, waits) = (log.clone(), waits.clone());
            go(async move {
                let due = base + distance * slot;
                announced(sleep_until(due), waits).await;
                assert!(Instant::now() >= due, "early");
                log.lock().push(slot);
            })
        });
        drop(waits);
        for _ in SLOTS {
            waiting.recv().await; // nothing, if it came before we could look
        }
        all(timers).await;
        std::mem::take(&mut *log.lock())
    }
    run(1, || async {
        let distances = rounds(&[2, 20, 100, 200, 300][..], &[2]);
        for distance in distances {
            let order = attempt(ms(*distance)).await;
            assert_eq!(order.len(), SLOTS.len());
            if order.is_sorted() {
                return;
            }
        }
        panic!("out of order in {} attempts", distances.len());
    });
}

/// sleep_test.go: TestTimerStopStress: a hundred goroutines stop what they started; none fires, and
/// nothing is left.
#[test]
fn timers_stopped_by_a_hundred_goroutines_leave_nothing_behind() {
    run(4, || async {
        let fired = Arc::new(AtomicUsize::new(0));
        let goroutines: Vec<_> = (0..rounds(100, 10))
            .map(|_| {
                let fired = fired.clone();
                go(async move {
                    let timer = go(async move {
                        sleep(HOUR).await;
                        fired.fetch_add(1, SeqCst);
                    });
                    sleep(ms(1)).await;
                    timer.abort();
                    assert!(timer.await.unwrap_err().is_cancelled());
                })
            })
            .collect();
        all(goroutines).await;
        assert_eq!(fired.load(SeqCst), 0);
        while Handle::current().metrics().goroutines > 1 {
            yield_now().await;
        }
    });
}

/// sleep_test.go: TestSleepZeroDeadlock: a sleep of nothing comes back, also between channel
/// operations.
#[test]
fn a_sleep_of_zero_comes_back() {
    run(4, || async {
        let other = go(async {
            for _ in 0..100 {
                yield_now().await;
            }
        });
        for n in 0..100 {
            sleep(Duration::ZERO).await;
            let (tx, rx) = buffered(1);
            tx.send(n).await.unwrap();
            assert_eq!(rx.recv().await, Some(n));
        }
        other.await.unwrap();
    });
}

/// sleep_test.go: TestReset: a timer that has not fired is moved and fires at its new time only; one
/// that has fired fires again.
#[test]
fn a_reset_timer_fires_at_its_new_time() {
    run(2, || async {
        let mut timer = pin!(sleep(ms(4)));
        assert!(ready(&mut timer).is_none());
        let due = Instant::now() + ms(12);
        timer.as_mut().reset(due);
        sleep(ms(6)).await;
        if ready(&mut timer).is_some() {
            assert!(Instant::now() >= due, "fired at its old time");
        }
        timer.as_mut().await;
        assert!(Instant::now() >= due);
        assert!(timer.is_elapsed());

        let again = Instant::now() + ms(3);
        timer.as_mut().reset(again);
        assert_eq!(timer.deadline(), again);
        timer.await;
        assert!(Instant::now() >= again);
    });
}

/// sleep_test.go: TestOverflowSleep: a sleep so long that the clock overflows never ends, and is in
/// nobody's way; a deadline in the past is over at once.
#[test]
fn the_longest_sleep_does_not_overflow_into_a_short_one() {
    run(2, || async {
        let start = Instant::now();
        sleep(ms(2)).await;
        let longest = go(sleep(Duration::MAX));
        let far = go(sleep_until(Instant::FOREVER));
        assert!(timeout(ms(10), sleep(Duration::MAX)).await.is_err());
        sleep_until(start).await;
        let mut past = pin!(sleep_until(start));
        assert!(ready(&mut past).is_some(), "over at its first poll");
        assert!(!longest.is_finished() && !far.is_finished());
        longest.abort();
        far.abort();
    });
}

/// sleep_test.go: TestOverflowPeriodRuntimeTimer: a ticker of the longest period neither ticks nor
/// keeps other timers from firing.
#[test]
fn a_ticker_of_the_longest_period_is_in_nobody_s_way() {
    run(1, || async {
        let mut ticker = interval(Duration::MAX);
        assert!(timeout(ms(2), ticker.tick()).await.is_err());
        for _ in 0..10 {
            sleep(Duration::from_micros(200)).await;
        }
        assert!(timeout(ms(1), ticker.tick()).await.is_err());
    });
}

/// sleep_test.go: TestZeroTimer: timers of zero are not missed: new ones, and one that is set anew
/// each time.
#[test]
fn no_timer_of_zero_is_missed() {
    run(2, || async {
        for _ in 0..rounds(10_000, 20) {
            sleep(Duration::ZERO).await;
            sleep(Duration::from_nanos(1)).await;
        }
        let mut timer = pin!(sleep(HOUR));
        for _ in 0..rounds(10_000, 20) {
            timer.as_mut().reset(Instant::now());
            timer.as_mut().await;
        }
    });
}

/// sleep_test.go: TestTimerModifiedEarlier: a timer that is moved into the past over and over is not
/// forgotten.
#[test]
fn a_timer_moved_earlier_again_and_again_fires() {
    run(2, || async {
        let past = Instant::now();
        for _ in 0..rounds(1000, 3) {
            let mut timer = pin!(sleep(HOUR));
            for _ in 0..10 {
                timer.as_mut().reset(Instant::now() + HOUR);
                assert!(ready(&mut timer).is_none());
                timer.as_mut().reset(past);
            }
            timer.await;
        }
    });
}

/// sleep_test.go: TestAdjustTimers: a hundred timers, moved to and fro in random order, end when they
/// are told to.
#[test]
fn timers_moved_to_and_fro_are_not_lost() {
    run(2, || async {
        let mut random = Random(0x9E37_79B9_7F4A_7C15);
        let mut timers: Vec<_> = (0..rounds(100, 20))
            .map(|_| (0, Box::pin(sleep(HOUR))))
            .collect();
        while !timers.is_empty() {
            let index = random.below(timers.len());
            let (step, timer) = &mut timers[index];
            *step += 1;
            match *step {
                1 => assert!(ready(timer).is_none()),
                2 => timer.as_mut().reset(Instant::now()),
                3 | 10 => timer.as_mut().await,
                4 => timer.as_mut().reset(Instant::now() + HOUR),
                6 => timer.as_mut().reset(Instant::now() + 3 * HOUR),
                8 => timer.as_mut().reset(Instant::now() + 2 * HOUR),
                5 | 7 => assert!(ready(timer).is_none()),
                9 => timer
                    .as_mut()
                    .reset(Instant::now() + Duration::from_micros(50)),
                _ => drop(timers.swap_remove(index)),
            }
        }
    });
}

/// sleep_test.go: TestConcurrentTimerReset: goroutines that reset one timer between them, each on
/// whatever P it runs: the last word counts.
#[test]
fn a_timer_reset_by_many_goroutines_keeps_the_last_deadline() {
    run(4, || async {
        let timer = Arc::new(Mutex::new(Box::pin(sleep(HOUR))));
        let resetting: Vec<_> = (0..8)
            .map(|_| {
                let timer = timer.clone();
                go(async move {
                    for _ in 0..rounds(1000, 5) {
                        {
                            let mut timer = timer.lock();
                            assert!(ready(&mut *timer).is_none());
                            timer.as_mut().reset(Instant::now() + HOUR);
                        }
                        yield_now().await;
                    }
                })
            })
            .collect();
        all(resetting).await;
        let mut timer = Arc::into_inner(timer).unwrap().into_inner();
        let due = Instant::now() + ms(1);
        timer.as_mut().reset(due);
        timer.await;
        assert!(Instant::now() >= due);
    });
}

/// sleep_test.go: TestConcurrentTimerResetStop, TestStopResult: timers stopped while they fire: each
/// either fired or was stopped, never neither.
#[test]
fn a_timer_stopped_while_it_fires_has_done_one_of_both() {
    run(4, || async {
        for round in 0..rounds(200, 5) {
            let timers: Vec<_> = (0..20)
                .map(|n| {
                    go(async move {
                        sleep(Duration::from_micros(50 * n)).await;
                        n
                    })
                })
                .collect();
            for _ in 0..round % 20 {
                yield_now().await;
            }
            for timer in &timers {
                timer.abort();
            }
            for (n, timer) in timers.into_iter().enumerate() {
                match timer.await {
                    Ok(fired) => assert_eq!(fired, n as u64),
                    Err(stopped) => assert!(stopped.is_cancelled()),
                }
            }
        }
    });
}

/// sleep_test.go: TestMultiWakeupTimer: many goroutines wake from timers of the same moment, again
/// and again.
#[test]
fn timers_of_the_same_moment_all_fire() {
    run(4, || async {
        for _ in 0..rounds(50, 2) {
            let due = Instant::now() + Duration::from_micros(300);
            let sleepers: Vec<_> = (0..rounds(100, 20))
                .map(|_| {
                    go(async move {
                        sleep_until(due).await;
                        assert!(Instant::now() >= due);
                    })
                })
                .collect();
            all(sleepers).await;
        }
    });
}

/// sleep_test.go: TestIssue5745: a panic while a timer is set, or in who is woken by it, leaves the
/// timers usable.
#[test]
fn a_panic_beside_a_timer_leaves_the_timers_usable() {
    run(1, || async {
        let (waits, waiting) = buffered(1);
        let dies = go(async move {
            let mut ticker = interval(HOUR);
            let mut tick = pin!(ticker.tick());
            assert!(ready(&mut tick).is_none());
            announced(sleep(ms(1)), waits).await;
            std::panic::resume_unwind(Box::new("woken by a timer"));
        });
        waiting.recv().await.unwrap();
        assert!(dies.await.unwrap_err().is_panic());
        sleep(ms(1)).await;
    });
}

/// tick_test.go: TestTicker: ticks are no closer than the period, counted from the start.
#[test]
fn ticks_are_not_early() {
    run(2, || async {
        let start = Instant::now();
        let mut ticker = interval(ms(2));
        for n in 1..=10 {
            let due = ticker.tick().await;
            assert!(Instant::now() >= due && due >= start + ms(2 * n));
        }
        assert_eq!(ticker.period(), ms(2));
    });
}

/// tick_test.go: TestTicker, the slow receiver: ticks that nobody took are dropped, not saved.
#[test]
fn ticks_for_a_slow_receiver_are_dropped() {
    run(1, || async {
        let mut ticker = interval(ms(1));
        let first = ticker.tick().await;
        sleep(ms(10)).await;
        let before = Instant::now();
        let late = ticker.tick().await;
        let next = ticker.tick().await;
        // A saved tick would be due one period after the late one, long ago; those are gone.
        assert!(next > before && before > late && late > first);
        assert_eq!(
            (next - first).as_nanos() % ms(1).as_nanos(),
            0,
            "on the grid"
        );
    });
}

/// tick_test.go: TestTeardown: a ticker that is dropped between its ticks takes its timer along.
#[test]
fn tickers_come_and_go() {
    run(1, || async {
        for _ in 0..100 {
            let mut ticker = interval(Duration::from_micros(100));
            ticker.tick().await;
            let mut tick = Box::pin(ticker.tick());
            let _ = ready(&mut tick);
        }
        sleep(ms(1)).await;
    });
}

/// tick_test.go: TestNewTickerLtZeroDuration: a period of nothing panics and says why. (A negative
/// one can't be written here.)
#[test]
#[should_panic(expected = "must be longer than zero")]
fn a_ticker_without_a_period_is_refused() {
    drop(interval(Duration::ZERO));
}

/// sleep_test.go: TestAfter, used as every Go program does, to bound a wait: the late one is told, the
/// early one wins, and what lost is gone.
#[test]
fn a_wait_is_bounded_by_a_timer() {
    run(2, || async {
        let (tx, rx) = buffered(1);
        let start = Instant::now();
        assert!(timeout(ms(5), rx.recv()).await.is_err());
        assert!(start.elapsed() >= ms(5));
        tx.send(1).await.unwrap();
        assert_eq!(timeout(HOUR, rx.recv()).await, Ok(Some(1)));
        let held = Arc::new(());
        let late = {
            let held = held.clone();
            async move {
                let _held = held;
                pending::<()>().await;
            }
        };
        assert!(timeout(ms(1), late).await.is_err());
        assert_eq!(Arc::strong_count(&held), 1);
    });
}

/// A future that may be polled from a list of its own kind.
type Boxed = Pin<Box<dyn Future<Output = ()> + Send>>;

/// tick_test.go: BenchmarkTicker and sleep_test.go: BenchmarkStop, BenchmarkReset, as a promise: a
/// hundred thousand timers set and stopped don't pile up before the next one.
#[test]
fn a_hundred_thousand_stopped_timers_delay_nobody() {
    run(1, || async {
        for _ in 0..rounds(100, 2) {
            let mut timers: Vec<Boxed> = (0..rounds(1000, 50))
                .map(|_| Box::pin(sleep(HOUR)) as Boxed)
                .collect();
            assert!(timers.iter_mut().all(|timer| ready(timer).is_none()));
        }
        sleep(ms(1)).await;
    });
}

/// sleep_test.go: TestAfter: the event tells when it was due, which is not before its time.
#[test]
fn an_event_tells_when_it_was_due() {
    run(1, || async {
        let start = Instant::now();
        let due = after(ms(5)).await;
        assert!(due >= start + ms(5) && Instant::now() >= due);
    });
}

/// sleep_test.go: TestAfterTimes, tick_test.go: TestTickTimes: an event that is taken late tells its
/// own moment, not that of the taking.
#[test]
fn an_event_that_is_taken_late_tells_its_own_moment() {
    run(1, || async {
        let mut timer = after(ms(2));
        let mut ticker = Ticker::new(ms(2));
        assert!(ready(&mut timer).is_none());
        sleep(ms(8)).await;
        let taken = Instant::now();
        assert!(timer.await + ms(2) <= taken);
        assert!(ticker.tick().await + ms(2) <= taken);
    });
}

/// sleep_test.go: TestAfterFunc: functions of zero that each set the next are all called.
#[test]
fn functions_that_set_the_next_are_all_called() {
    fn set(left: u32, done: Sender<()>) {
        drop(after_func(Duration::ZERO, move || {
            if left == 0 {
                done.try_send(()).unwrap();
            } else {
                set(left - 1, done.clone());
            }
        }));
    }
    run(2, || async {
        let (done, is_done) = buffered(1);
        set(10, done);
        assert_eq!(is_done.recv().await, Some(()));
    });
}

/// sleep_test.go: TestAfterStop: a stopped timer and a stopped function do not fire, also after a
/// later one has; stopping again says that there was nothing to stop.
#[test]
fn stop_says_whether_there_was_something_to_stop() {
    run(2, || async {
        let mut timer = Timer::new(HOUR);
        let function = after_func(HOUR, || panic!("it was stopped"));
        assert!(timer.stop() && function.stop());
        sleep(ms(2)).await;
        assert!(ready(&mut timer).is_none());
        assert!(!timer.stop() && !function.stop(), "stopped already");
        assert!(!timer.is_active() && !function.is_active());

        // One that is due and was not received is stopped as well: Go 1.23 and later.
        let mut due = Timer::new(Duration::ZERO);
        assert!(due.stop());
        assert!(ready(&mut due).is_none());
    });
}

/// sleep_test.go: TestReset: `reset` says whether the timer was active, and the event comes at the new
/// time, received before or not.
#[test]
fn reset_says_whether_it_was_active() {
    run(2, || async {
        let mut timer = Timer::new(HOUR);
        assert!(ready(&mut timer).is_none());
        let due = Instant::now() + ms(3);
        assert!(timer.reset(ms(3)), "it had not fired");
        assert!((&mut timer).await >= due);
        assert!(ready(&mut timer).is_none(), "one event");
        assert!(!timer.reset(ms(1)), "it had");
        (&mut timer).await;
        assert!(!timer.stop());
        assert!(!timer.reset(ms(1)), "stopped");
        timer.await;

        let (tx, rx) = buffered(1);
        let function = after_func(HOUR, move || tx.try_send(()).unwrap());
        for _ in 0..3 {
            function.reset(Duration::ZERO);
            assert_eq!(rx.recv().await, Some(()));
            assert!(!function.reset(HOUR), "it had been called");
            assert!(function.is_active());
        }
    });
}

/// sleep_test.go: TestStopResult, TestResetResult: of two timers of one moment the first that is seen
/// wins; the other is either stopped, or its event is there: what `stop` says holds.
#[test]
fn what_stop_says_holds_while_timers_fire() {
    run(4, || async {
        let goroutines: Vec<_> = (0..rounds(50, 8))
            .map(|n| {
                go(async move {
                    for _ in 0..rounds(20, 3) {
                        let (mut one, mut two) = (after(ms(1)), after(ms(1)));
                        let other = select! {
                            _ = &mut one => &mut two,
                            _ = &mut two => &mut one,
                        };
                        let active = if n % 2 == 0 {
                            other.stop()
                        } else {
                            other.reset(HOUR)
                        };
                        assert!(active, "its event was not received");
                        assert!(ready(other).is_none(), "no event of before");
                    }
                })
            })
            .collect();
        all(goroutines).await;
    });
}

/// sleep_test.go: TestConcurrentTimerResetStop: a function that is stopped and set from many
/// goroutines is called as often as it was set and not stopped.
#[test]
fn a_function_set_and_stopped_by_many_is_called_as_told() {
    run(4, || async {
        for _ in 0..rounds(200, 3) {
            let called = Arc::new(AtomicUsize::new(0));
            let function = Arc::new(after_func(HOUR, {
                let called = called.clone();
                move || {
                    called.fetch_add(1, SeqCst);
                }
            }));
            // Each active period ends in one way: stopped, set anew, or called.
            let (ended, begun) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(1)));
            let goroutines: Vec<_> = (0..4)
                .map(|n| {
                    let (function, ended, begun) = (function.clone(), ended.clone(), begun.clone());
                    go(async move {
                        for round in 0..10 {
                            let was_active = if (n + round) % 3 == 0 {
                                function.stop()
                            } else {
                                begun.fetch_add(1, SeqCst);
                                function.reset(Duration::from_micros(round * 10))
                            };
                            ended.fetch_add(usize::from(was_active), SeqCst);
                            yield_now().await;
                        }
                    })
                })
                .collect();
            all(goroutines).await;
            ended.fetch_add(usize::from(function.stop()), SeqCst);
            let calls = begun.load(SeqCst) - ended.load(SeqCst);
            while called.load(SeqCst) < calls {
                yield_now().await; // their goroutines are started
            }
            assert_eq!(called.load(SeqCst), calls);
        }
    });
}

/// tick_test.go: TestTicker: a ticker whose period is changed half-way, and that is stopped at the
/// end.
#[test]
fn a_ticker_keeps_its_new_period_and_stops() {
    run(2, || async {
        let start = Instant::now();
        let mut ticker = Ticker::new(ms(2));
        for n in 1..=5 {
            assert!(ticker.tick().await >= start + ms(2 * n));
        }
        let changed = Instant::now();
        ticker.reset(ms(4));
        assert_eq!(ticker.period(), ms(4));
        for n in 1..=5 {
            assert!(ticker.tick().await >= changed + ms(4 * n));
        }
        ticker.stop();
        assert!(
            timeout(ms(10), ticker.tick()).await.is_err(),
            "it was stopped"
        );
        ticker.reset(ms(1));
        ticker.tick().await;
    });
}

/// tick_test.go: TestTickerResetLtZeroDuration: a reset to a period of nothing panics, too, and leaves
/// the ticker as it was.
#[test]
fn a_ticker_is_not_reset_to_no_period() {
    let mut ticker = Ticker::new(ms(1));
    let reset = std::panic::AssertUnwindSafe(|| ticker.reset(Duration::ZERO));
    assert!(std::panic::catch_unwind(reset).is_err());
    assert_eq!(ticker.period(), ms(1));
}

/// sleep_test.go: TestMultiWakeupTicker: many goroutines wait for the ticks of one ticker, or for a
/// time of their own; each tick goes to one.
#[test]
fn a_ticker_that_many_wait_for_serves_them_in_turn() {
    run(4, || async {
        let ticker = Arc::new(actor_core::sync::Mutex::new(Ticker::new(
            Duration::from_micros(1),
        )));
        let goroutines: Vec<_> = (0..4)
            .map(|_| {
                let ticker = ticker.clone();
                go(async move {
                    let mut ticks = Vec::new();
                    for _ in 0..rounds(200, 10) {
                        let next = async { ticker.lock().await.tick().await };
                        select! {
                            due = next => ticks.push(due),
                            _ = after(ms(1)) => {}
                        }
                    }
                    ticks
                })
            })
            .collect();
        let mut ticks: Vec<_> = all(goroutines).await.into_iter().flatten().collect();
        let count = ticks.len();
        ticks.sort();
        ticks.dedup();
        assert_eq!(ticks.len(), count, "a tick was received twice");
    });
}
