//! Timers: never early, cancelled by drop, late ones caught up, ticks on the grid.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;

use actor_core::{Instant, Runtime, go, interval, sleep, sleep_until, timeout};

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

#[test]
fn a_sleep_is_never_early() {
    let rt = Runtime::builder().procs(2).build().unwrap();
    rt.run(async {
        let all: Vec<_> = (0..500_u64)
            .map(|n| {
                go(async move {
                    let due = Instant::now() + Duration::from_micros(n * 37 % 9000);
                    sleep_until(due).await;
                    assert!(Instant::now() >= due);
                })
            })
            .collect();
        for one in all {
            one.await.unwrap();
        }
    });
}

#[test]
fn sleeps_end_in_the_order_of_their_deadlines_on_one_processor() {
    let rt = Runtime::builder().procs(1).build().unwrap();
    let log = rt.run(async {
        let log = std::sync::Arc::new(parking_lot::Mutex::new(Vec::new()));
        let start = Instant::now() + ms(5);
        let all: Vec<_> = [3, 1, 2, 0_u64]
            .map(|n| {
                let log = log.clone();
                go(async move {
                    sleep_until(start + ms(3 * n)).await;
                    log.lock().push(n);
                })
            })
            .into();
        for one in all {
            one.await.unwrap();
        }
        log.lock().clone()
    });
    assert_eq!(log, [0, 1, 2, 3]);
}

#[test]
fn a_timeout_drops_the_late_future_and_lets_the_early_one_win() {
    let rt = Runtime::builder().procs(1).build().unwrap();
    rt.block_on(async {
        assert!(timeout(ms(1), std::future::pending::<()>()).await.is_err());
        assert_eq!(timeout(ms(10_000), async { 3 }).await, Ok(3));
        // Both ready: the output wins.
        assert_eq!(timeout(Duration::ZERO, async { 4 }).await, Ok(4));
    });
}

#[test]
fn a_dropped_sleep_leaves_nothing_behind() {
    let rt = Runtime::builder().procs(1).build().unwrap();
    rt.block_on(async {
        let waker = Waker::noop();
        for _ in 0..10_000 {
            let mut late = pin!(sleep(ms(3_600_000)));
            assert!(
                late.as_mut()
                    .poll(&mut Context::from_waker(waker))
                    .is_pending()
            );
        }
        // The ones above are cancelled: this one is the earliest again, and ends.
        sleep(ms(1)).await;
    });
}

#[test]
fn reset_moves_a_deadline_whether_it_has_fired_or_not() {
    let rt = Runtime::builder().procs(1).build().unwrap();
    rt.block_on(async {
        let mut timer = pin!(sleep(ms(3_600_000)));
        assert!(
            timer
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop()))
                .is_pending()
        );
        timer.as_mut().reset(Instant::now() + ms(1));
        timer.as_mut().await;
        assert!(timer.is_elapsed());
        let due = Instant::now() + ms(2);
        timer.as_mut().reset(due);
        timer.await;
        assert!(Instant::now() >= due);
    });
}

#[test]
fn ticks_stay_on_the_grid_and_missed_ones_are_dropped() {
    let rt = Runtime::builder().procs(1).build().unwrap();
    rt.run(async {
        let mut ticks = interval(ms(2));
        let first = ticks.tick().await;
        let second = ticks.tick().await;
        assert_eq!((second - first).as_nanos() % ms(2).as_nanos(), 0);
        assert!(second > first);
        // A slow consumer: the ticks that it missed are gone.
        let busy_until = Instant::now() + ms(11);
        while Instant::now() < busy_until {
            std::hint::spin_loop();
        }
        let late = ticks.tick().await;
        let next = ticks.tick().await;
        assert!(next > late && next + ms(2) > busy_until);
        assert_eq!((next - first).as_nanos() % ms(2).as_nanos(), 0);
    });
}

#[test]
#[should_panic(expected = "must be longer than zero")]
fn a_zero_interval_is_refused() {
    drop(interval(Duration::ZERO));
}

#[test]
fn a_timer_of_a_stuck_processor_fires_elsewhere() {
    let rt = Runtime::builder().procs(2).build().unwrap();
    rt.run(async {
        let (tx, rx) = std::sync::mpsc::channel();
        let sleeper = go(async move {
            sleep(ms(3)).await;
            tx.send(()).unwrap();
        });
        // Blocks the M, undeclared, until the timer has fired: on this P it never would.
        let waiter = go(async move { rx.recv().unwrap() });
        sleeper.await.unwrap();
        waiter.await.unwrap();
    });
}

#[test]
fn a_timeout_ends_a_future_that_is_always_ready() {
    // The inner future spends its budget in every poll; the clock has to be looked at all the same.
    let rt = Runtime::builder().procs(1).build().unwrap();
    let late = rt.run(async {
        timeout(ms(5), async {
            loop {
                sleep(Duration::ZERO).await;
            }
        })
        .await
    });
    let _: actor_core::Elapsed = late.unwrap_err();
}

#[test]
fn who_sleeps_on_a_runtime_that_is_shut_down_is_told() {
    let rt = Runtime::builder().procs(1).build().unwrap();
    let handle = rt.handle().clone();
    let (tx, rx) = std::sync::mpsc::channel();
    let sleeper = std::thread::spawn(move || {
        handle.block_on(async {
            let mut long = pin!(sleep(ms(3_600_000)));
            std::future::poll_fn(|cx| {
                let polled = long.as_mut().poll(cx);
                let _ = tx.send(());
                polled
            })
            .await;
        });
    });
    rx.recv().unwrap();
    drop(rt);
    let panic = sleeper.join().unwrap_err();
    let text = panic.downcast_ref::<&str>().copied().unwrap_or_default();
    assert!(text.contains("has been shut down"), "{text}");
}

#[test]
fn one_waker_that_panics_costs_no_other_timer_its_wake() {
    struct Bomb;
    impl std::task::Wake for Bomb {
        fn wake(self: std::sync::Arc<Self>) {
            panic!("a waker that panics");
        }
    }
    let rt = Runtime::builder().procs(1).build().unwrap();
    rt.run(async {
        let waker = Waker::from(std::sync::Arc::new(Bomb));
        let due = Instant::now() + ms(3);
        let mut bombs: Vec<_> = (0..3).map(|_| Box::pin(sleep_until(due))).collect();
        for bomb in &mut bombs {
            assert!(
                bomb.as_mut()
                    .poll(&mut Context::from_waker(&waker))
                    .is_pending()
            );
        }
        sleep_until(due).await;
    });
}
