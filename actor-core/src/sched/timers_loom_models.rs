//! Models of one P's timers, explored by loom: firing against cancelling, refreshing and inserting.
//!
//! `RUSTFLAGS="--cfg actor_loom" cargo test -p actor-core --lib --release loom_timer_`

use std::sync::Arc;
use std::task::{Wake, Waker};

use loom::sync::Notify as Bell;
use loom::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use loom::thread;

use super::timers::{NEVER, Timers};

const DUE: u64 = 10;

fn model(f: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(f);
}

/// Counts its wakes.
struct Count(AtomicUsize);

fn counted() -> (Arc<Count>, Waker) {
    let count = Arc::new(Count(AtomicUsize::new(0)));
    (count.clone(), Waker::from(count))
}

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

#[test]
fn loom_timer_fires_once_although_two_look() {
    model(|| {
        let timers = Arc::new(Timers::new());
        let (count, waker) = counted();
        timers.insert(DUE, &waker);
        let other = thread::spawn({
            let timers = timers.clone();
            move || timers.fire(DUE)
        });
        let fired = timers.fire(DUE) + other.join().unwrap();
        assert_eq!((fired, count.0.load(SeqCst)), (1, 1));
        assert_eq!(timers.next(), NEVER);
    });
}

#[test]
fn loom_timer_cancelled_while_it_fires_wakes_at_most_once_and_leaves_the_others() {
    model(|| {
        let timers = Arc::new(Timers::new());
        let (cancelled, waker) = counted();
        let key = timers.insert(DUE, &waker);
        let (kept, kept_waker) = counted();
        timers.insert(DUE, &kept_waker);
        let firing = thread::spawn({
            let timers = timers.clone();
            move || timers.fire(DUE)
        });
        timers.cancel(key);
        // Cancelling again, or late, touches no timer that took the slot since.
        let (next, next_waker) = counted();
        timers.insert(DUE + 1, &next_waker);
        timers.cancel(key);
        let fired = firing.join().unwrap();
        assert_eq!(fired, 1 + cancelled.0.load(SeqCst));
        assert_eq!(kept.0.load(SeqCst), 1);
        assert_eq!(next.0.load(SeqCst), 0);
        assert_eq!(timers.next(), DUE + 1);
        assert_eq!(timers.fire(DUE + 1), 1);
        assert_eq!(next.0.load(SeqCst), 1);
        assert_eq!(
            Arc::strong_count(&cancelled),
            2,
            "ours and the test's waker"
        );
    });
}

#[test]
fn loom_timer_refreshed_while_it_fires_wakes_the_new_waker_or_says_that_it_fired() {
    model(|| {
        let timers = Arc::new(Timers::new());
        let (old, old_waker) = counted();
        let key = timers.insert(DUE, &old_waker);
        let firing = thread::spawn({
            let timers = timers.clone();
            move || timers.fire(DUE)
        });
        let (new, new_waker) = counted();
        let waits = timers.refresh(key, &new_waker);
        assert_eq!(firing.join().unwrap(), 1);
        let woken = (old.0.load(SeqCst), new.0.load(SeqCst));
        assert_eq!(woken, if waits { (0, 1) } else { (1, 0) });
    });
}

#[test]
fn loom_timer_waits_for_its_wake_and_gets_it_whoever_fires() {
    struct Ring(Bell);
    impl Wake for Ring {
        fn wake(self: Arc<Self>) {
            self.0.notify();
        }
    }
    model(|| {
        let timers = Arc::new(Timers::new());
        let ring = Arc::new(Ring(Bell::new()));
        let key = timers.insert(DUE, &Waker::from(ring.clone()));
        let firing = thread::spawn({
            let timers = timers.clone();
            move || timers.fire(DUE)
        });
        // As a sleep that is polled again, by another task: a lost wake would hang here.
        let waker = Waker::from(Arc::new(Ring(Bell::new())));
        let back = Waker::from(ring.clone());
        if timers.refresh(key, &waker) && !timers.refresh(key, &back) {
            // Fired in between: the other waker was told.
            assert_eq!(firing.join().unwrap(), 1);
            return;
        }
        ring.0.wait();
        assert_eq!(firing.join().unwrap(), 1);
    });
}
