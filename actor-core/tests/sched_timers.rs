//! Go's timers and tickers: stopped ones stay silent, reset ones keep no event of before.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use actor_core::chan::buffered;
use actor_core::{
    Instant, Runtime, Ticker, Timer, after, after_func, go, interval, sleep, timeout, yield_now,
};

const LONG: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(2);

fn run<F>(main: F) -> F::Output
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    Runtime::builder().procs(2).build().unwrap().run(main)
}

fn poll<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// Keeps the M busy until the moment has passed.
fn pass(until: Instant) {
    while Instant::now() <= until {
        std::hint::spin_loop();
    }
}

#[test]
fn after_yields_when_it_was_due_and_not_before() {
    run(async {
        let start = Instant::now();
        let due = after(SHORT).await;
        assert!(due >= start + SHORT && due <= Instant::now());
    });
}

#[test]
fn a_timer_in_the_past_fires_at_once_even_outside_a_runtime() {
    assert!(poll(&mut after(Duration::ZERO)).is_ready());
    assert!(poll(&mut Timer::new(Duration::ZERO)).is_ready());
}

#[test]
#[should_panic(expected = "a timer was polled outside a runtime")]
fn a_timer_outside_a_runtime_panics_and_says_where_to_go() {
    let _ = poll(&mut after(LONG));
}

#[test]
fn stop_says_whether_the_event_was_still_to_be_received() {
    run(async {
        let mut timer = Timer::new(LONG);
        assert!(timer.is_active() && timer.deadline().is_some());
        assert!(timer.stop());
        assert!(!timer.stop());
        assert!(!timer.is_active() && timer.deadline().is_none());
        let mut timer = Timer::new(SHORT);
        (&mut timer).await;
        assert!(!timer.stop());
    });
}

#[test]
fn no_event_of_before_is_received_after_stop_or_reset() {
    run(async {
        // Due, and not received: as in Go 1.23 it still counts as active.
        let mut timer = Timer::new(SHORT);
        assert!(poll(&mut timer).is_pending());
        pass(timer.deadline().unwrap());
        assert!(timer.stop());
        assert!(poll(&mut timer).is_pending());

        let mut timer = Timer::new(SHORT);
        assert!(poll(&mut timer).is_pending());
        pass(timer.deadline().unwrap());
        assert!(timer.reset(LONG));
        assert!(poll(&mut timer).is_pending());
        let now = Instant::now();
        assert!(timer.reset(SHORT));
        assert!(timer.await >= now + SHORT);
    });
}

#[test]
fn a_timer_whose_event_was_received_waits_until_it_is_reset() {
    run(async {
        let mut timer = after(SHORT);
        (&mut timer).await;
        assert!(poll(&mut timer).is_pending());
        assert!(!timer.reset(SHORT), "it was not active");
        timer.await;
    });
}

#[test]
fn a_timer_waits_through_a_reset_in_the_same_task() {
    run(async {
        let mut timer = Timer::new(LONG);
        let (tx, rx) = buffered::<()>(1);
        drop(go(async move { tx.send(()).await }));
        let mut stretched = false;
        std::future::poll_fn(|cx| {
            if Pin::new(&mut timer).poll(cx).is_ready() {
                return Poll::Ready(());
            }
            if !stretched && rx.try_recv().is_ok() {
                stretched = true;
                timer.reset(SHORT);
                return Pin::new(&mut timer).poll(cx).map(drop);
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
        assert!(stretched);
    });
}

#[test]
fn after_func_calls_once_and_its_timer_may_be_dropped() {
    run(async {
        let (tx, rx) = buffered(4);
        let start = Instant::now();
        drop(after_func(SHORT, move || {
            tx.try_send(Instant::now()).unwrap()
        }));
        assert!(rx.recv().await.unwrap() >= start + SHORT);
        assert_eq!(rx.recv().await, None, "called once, and dropped");
    });
}

#[test]
fn a_stopped_after_func_is_never_called_and_dropped_with_its_timer() {
    run(async {
        let held = Arc::new(());
        let in_call = held.clone();
        let timer = after_func(SHORT, move || panic!("called with {in_call:?}"));
        if timer.stop() {
            assert!(!timer.is_active() && !timer.stop());
            sleep(SHORT * 2).await;
        }
        drop(timer);
        assert_eq!(Arc::strong_count(&held), 1);
    });
}

#[test]
fn a_reset_after_func_is_called_at_the_new_time_only_and_again_after_a_call() {
    run(async {
        let (tx, rx) = buffered(4);
        let timer = after_func(LONG, move || tx.try_send(Instant::now()).unwrap());
        let now = Instant::now();
        assert!(timer.reset(SHORT));
        assert!(rx.recv().await.unwrap() >= now + SHORT);
        assert!(!timer.reset(SHORT), "the call was made");
        rx.recv().await.unwrap();
        assert!(rx.is_empty());
    });
}

/// The number of calls is that of the resets that found it inactive, plus the first: none is lost
/// and none made twice, however the alarm and the resets meet.
#[test]
fn resets_that_race_with_the_alarm_lose_no_call_and_make_none_twice() {
    run(async {
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = calls.clone();
        let timer = after_func(Duration::from_micros(50), move || {
            counted.fetch_add(1, SeqCst);
        });
        let mut expected = 1;
        for n in 0..2000_u64 {
            if !timer.reset(Duration::from_micros(n % 60)) {
                expected += 1;
            }
            if n % 3 == 0 {
                yield_now().await;
            }
        }
        while timer.is_active() || calls.load(SeqCst) < expected {
            yield_now().await;
        }
        sleep(SHORT).await;
        assert_eq!(calls.load(SeqCst), expected);
    });
}

#[test]
fn a_panic_in_after_func_ends_its_goroutine_only() {
    run(async {
        let (tx, rx) = buffered::<()>(1);
        drop(after_func(Duration::ZERO, move || {
            let _held = &tx;
            std::panic::resume_unwind(Box::new("in the function"));
        }));
        assert_eq!(rx.recv().await, None);
        after(SHORT).await;
    });
}

#[test]
fn the_end_of_the_runtime_drops_calls_that_were_not_due() {
    let held = Arc::new(());
    let in_call = held.clone();
    run(async move {
        drop(after_func(LONG, move || panic!("called with {in_call:?}")));
    });
    assert_eq!(Arc::strong_count(&held), 1);
}

#[test]
#[should_panic(expected = "`after_func` needs a runtime")]
fn after_func_outside_a_runtime_panics_and_says_where_to_go() {
    drop(after_func(SHORT, || {}));
}

#[test]
fn a_stopped_ticker_is_silent_until_it_is_reset() {
    run(async {
        let mut ticks = Ticker::new(SHORT);
        let first = ticks.tick().await;
        pass(first + SHORT);
        ticks.stop();
        assert!(
            timeout(SHORT * 3, ticks.tick()).await.is_err(),
            "one was due"
        );
    });
    run(async {
        let mut ticks = Ticker::new(SHORT);
        ticks.stop();
        let now = Instant::now();
        ticks.reset(SHORT * 2);
        assert_eq!(ticks.period(), SHORT * 2);
        let first = ticks.tick().await;
        assert!(first >= now + SHORT * 2);
        assert!(ticks.tick().await >= first + SHORT * 2);
    });
}

#[test]
fn a_reset_ticker_forgets_a_tick_that_was_due() {
    run(async {
        let mut ticks = interval(SHORT);
        pass(Instant::now() + SHORT * 2);
        ticks.reset(LONG);
        assert!(timeout(SHORT, ticks.tick()).await.is_err());
    });
}

#[test]
#[should_panic(expected = "the period of a ticker must be longer than zero")]
fn a_zero_period_is_refused() {
    drop(Ticker::new(Duration::ZERO));
}

#[test]
#[should_panic(expected = "the period of a ticker must be longer than zero")]
fn a_reset_to_a_zero_period_is_refused() {
    interval(LONG).reset(Duration::ZERO);
}

#[test]
fn a_zero_timeout_polls_once_and_takes_what_is_ready() {
    run(async {
        assert_eq!(timeout(Duration::ZERO, async { 1 }).await, Ok(1));
        let mut polls = 0;
        let late = timeout(
            Duration::ZERO,
            std::future::poll_fn(|_| {
                polls += 1;
                Poll::<()>::Pending
            }),
        );
        assert!(late.await.is_err());
        assert_eq!(polls, 1);
    });
}

#[test]
fn a_timer_on_a_runtime_that_is_shut_down_panics_instead_of_waiting_for_ever() {
    let runtime = Runtime::builder().procs(1).build().unwrap();
    let handle = runtime.handle().clone();
    drop(runtime);
    let sleeper = std::thread::spawn(move || handle.block_on(after(LONG)));
    let panic = sleeper.join().unwrap_err();
    let text = panic.downcast_ref::<&str>().copied().unwrap_or_default();
    assert!(text.contains("has been shut down"), "{text}");
}
