//! Models of the mutex, the wait group and the once cell, explored by loom.

use std::cell::Cell;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use loom::thread;

use super::{Context, ContextError, Mutex, Once, OnceCell, WaitGroup};
use crate::chan::loom_models::{block_on, model, poll_once};

thread_local! {
    /// Whether waiters have starved (loom's threads all run on the test's own thread).
    pub(crate) static STARVING: Cell<bool> = const { Cell::new(false) };
}

/// Runs the model without and with starvation: barging, and hand-off.
pub(super) fn both_ways(f: impl Fn() + Sync + Send + Clone + 'static) {
    for starving in [false, true] {
        STARVING.set(starving);
        model(f.clone());
    }
    STARVING.set(false);
}

#[test]
fn loom_a_mutex_excludes_and_wakes() {
    both_ways(|| {
        let total = Arc::new(Mutex::new(0));
        let others = [(); 2].map(|()| {
            let total = total.clone();
            thread::spawn(move || *block_on(total.lock()) += 1)
        });
        *block_on(total.lock()) += 1;
        others.into_iter().for_each(|other| other.join().unwrap());
        assert_eq!(*block_on(total.lock()), 3);
    });
}

#[test]
fn loom_a_lock_given_up_passes_its_turn_on() {
    both_ways(|| {
        let total = Arc::new(Mutex::new(0));
        let held = total.try_lock().unwrap();
        let gives_up = thread::spawn({
            let total = total.clone();
            move || {
                // Dropped while queued, called, granted or holding: whatever comes first.
                if let Poll::Ready(mut guard) = poll_once(pin!(total.lock())) {
                    *guard += 1;
                }
            }
        });
        let waits = thread::spawn({
            let total = total.clone();
            move || *block_on(total.lock()) += 10
        });
        drop(held);
        gives_up.join().unwrap();
        waits.join().unwrap();
        assert!(*total.try_lock().expect("free at the end") >= 10);
    });
}

#[test]
fn loom_who_waits_is_called_again_though_somebody_barges() {
    both_ways(|| {
        let total = Arc::new(Mutex::new(0));
        let held = total.try_lock().unwrap();
        let waits = thread::spawn({
            let total = total.clone();
            move || *block_on(total.lock()) += 1
        });
        drop(held);
        if let Some(mut guard) = total.try_lock() {
            *guard += 10;
        }
        waits.join().unwrap();
        let total = *total.try_lock().expect("free at the end");
        assert!([1, 11].contains(&total));
    });
}

#[test]
fn loom_a_wait_group_waits_for_all_and_sees_their_work() {
    model(|| {
        let group = WaitGroup::new();
        group.add(2);
        let work = [(); 2].map(|()| Arc::new(loom::cell::UnsafeCell::new(0)));
        let workers = work.clone().map(|cell| {
            let group = group.clone();
            thread::spawn(move || {
                // SAFETY: the main thread looks only after `wait`; loom checks that it is ordered.
                cell.with_mut(|n| unsafe { *n = 1 });
                group.done();
            })
        });
        block_on(group.wait());
        for cell in &work {
            // SAFETY: as above.
            assert_eq!(cell.with(|n| unsafe { *n }), 1);
        }
        workers
            .into_iter()
            .for_each(|worker| worker.join().unwrap());
    });
}

#[test]
fn loom_a_wait_given_up_leaves_the_group_intact() {
    model(|| {
        let group = WaitGroup::new();
        group.add(1);
        let gives_up = thread::spawn({
            let group = group.clone();
            move || poll_once(pin!(group.wait())).is_ready()
        });
        let worker = thread::spawn({
            let group = group.clone();
            move || group.done()
        });
        block_on(group.wait());
        let _ = gives_up.join().unwrap();
        worker.join().unwrap();
    });
}

#[test]
fn loom_a_wait_group_can_be_used_again_at_once() {
    model(|| {
        let group = WaitGroup::new();
        group.add(1);
        let worker = thread::spawn({
            let group = group.clone();
            move || {
                group.done();
                group.add(1);
                group.done();
            }
        });
        block_on(group.wait());
        worker.join().unwrap();
        assert!(poll_once(pin!(group.wait())).is_ready());
    });
}

#[test]
fn loom_a_cell_is_made_once_though_one_maker_gives_up() {
    model(|| {
        let cell = Arc::new(OnceCell::new());
        let made = Arc::new(loom::sync::atomic::AtomicUsize::new(0));
        let gives_up = thread::spawn({
            let cell = cell.clone();
            move || {
                let never = async || std::future::pending::<u8>().await;
                let _ = poll_once(pin!(cell.get_or_init(never)));
            }
        });
        let makers = [(); 2].map(|()| {
            let (cell, made) = (cell.clone(), made.clone());
            move || {
                block_on(cell.get_or_init(async || {
                    made.fetch_add(1, loom::sync::atomic::Ordering::Relaxed);
                    5
                }));
            }
        });
        let [other, this] = makers;
        let other = thread::spawn(other);
        this();
        other.join().unwrap();
        gives_up.join().unwrap();
        assert_eq!(
            (made.load(loom::sync::atomic::Ordering::Relaxed), cell.get()),
            (1, Some(&5))
        );
    });
}

#[test]
fn loom_once_is_done_before_anybody_goes_on() {
    model(|| {
        let once = Arc::new(Once::new());
        let done = Arc::new(loom::cell::UnsafeCell::new(0));
        let run = {
            let (once, done) = (once.clone(), done.clone());
            move || {
                block_on(once.do_once(async || {
                    // SAFETY: one action runs; loom checks it.
                    done.with_mut(|n| unsafe { *n += 1 });
                }));
                // SAFETY: after the action; loom checks it.
                assert_eq!(done.with(|n| unsafe { *n }), 1);
            }
        };
        let other = thread::spawn(run.clone());
        run();
        other.join().unwrap();
    });
}

#[test]
fn loom_context_wakes_every_waiter_and_a_dropped_one_costs_nothing() {
    model(|| {
        let (context, cancel) = Context::background().with_cancel();
        let (child, _keep) = context.with_cancel();
        let waits = thread::spawn(move || {
            block_on(child.done());
            assert_eq!(child.err(), Some(ContextError::Canceled));
        });
        let gives_up = thread::spawn(move || {
            let _ = poll_once(pin!(context.done()));
        });
        cancel.cancel();
        waits.join().unwrap();
        gives_up.join().unwrap();
    });
}

#[test]
fn loom_context_child_born_while_its_parent_ends_is_ended() {
    model(|| {
        let (parent, cancel) = Context::background().with_cancel();
        let bears = thread::spawn(move || parent.with_cancel());
        cancel.cancel();
        let (child, _keep) = bears.join().unwrap();
        assert!(child.is_done());
    });
}
