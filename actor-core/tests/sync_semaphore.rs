//! The semaphore: weights, order, sizes, closing, cancellation.

use std::collections::VecDeque;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, Waker};
use std::thread;

use actor_core::sync::{
    Acquire, AcquireError, OwnedPermit, Permit, Semaphore, TryAcquireError, WaitGroup,
};
use actor_core::{Runtime, go, yield_now};
use proptest::prelude::*;

fn poll<F: Future>(future: &mut Pin<Box<F>>) -> Poll<F::Output> {
    future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
}

/// A future that waits, polled once.
#[track_caller]
fn waiting<F: Future>(future: F) -> Pin<Box<F>> {
    let mut future = Box::pin(future);
    assert!(poll(&mut future).is_pending());
    future
}

#[track_caller]
fn ready<F: Future>(future: &mut Pin<Box<F>>) -> F::Output {
    let Poll::Ready(output) = poll(future) else {
        panic!("it still waits")
    };
    output
}

#[test]
fn no_more_are_inside_than_there_are_permits() {
    const PERMITS: usize = 5;
    let runtime = Runtime::builder().procs(4).build().unwrap();
    let semaphore = Arc::new(Semaphore::new(PERMITS));
    let inside = Arc::new(AtomicUsize::new(0));
    let enter = {
        let inside = inside.clone();
        move |n: usize| assert!(inside.fetch_add(n, SeqCst) + n <= PERMITS)
    };
    let foreign = thread::spawn({
        let (semaphore, inside, enter) = (semaphore.clone(), inside.clone(), enter.clone());
        move || {
            for round in 0..1_000 {
                let permit = semaphore.acquire_blocking(round % 4 + 1).unwrap();
                enter(permit.count());
                inside.fetch_sub(permit.count(), SeqCst);
            }
        }
    });
    runtime.block_on(async {
        let group = WaitGroup::new();
        for worker in 0..8 {
            let (semaphore, inside, enter) = (semaphore.clone(), inside.clone(), enter.clone());
            drop(group.go(async move {
                for round in 0..500 {
                    let permit = semaphore.acquire((worker + round) % 5 + 1).await.unwrap();
                    enter(permit.count());
                    yield_now().await;
                    inside.fetch_sub(permit.count(), SeqCst);
                }
            }));
        }
        group.wait().await;
    });
    foreign.join().unwrap();
    assert_eq!(semaphore.available(), PERMITS);
}

#[test]
fn a_big_request_at_the_head_is_not_overtaken_by_small_ones() {
    let semaphore = Semaphore::new(3);
    let held = semaphore.try_acquire(2).unwrap();
    let mut big = waiting(semaphore.acquire(3));
    let mut small = waiting(semaphore.acquire(1));
    assert_eq!(semaphore.available(), 1);
    assert_eq!(
        semaphore.try_acquire(1).unwrap_err(),
        TryAcquireError::NoPermits
    );
    drop(held);
    assert!(poll(&mut small).is_pending());
    drop(ready(&mut big));
    drop(ready(&mut small));
}

#[test]
fn one_release_serves_all_for_whom_it_suffices() {
    let semaphore = Semaphore::new(4);
    let held = semaphore.try_acquire(4).unwrap();
    let mut waiters = [1, 2, 3].map(|n| waiting(semaphore.acquire(n)));
    drop(held);
    let [one, two, three] = &mut waiters;
    assert!(poll(three).is_pending(), "one is left, three are wanted");
    let both = (ready(one), ready(two));
    assert_eq!(semaphore.available(), 1);
    drop(both);
    assert_eq!(ready(three).unwrap().count(), 3);
}

#[test]
fn a_big_request_that_gives_up_lets_those_behind_it_in() {
    let semaphore = Semaphore::new(3);
    let _held = semaphore.try_acquire(1).unwrap();
    let big = waiting(semaphore.acquire(3));
    let mut small = waiting(semaphore.acquire(2));
    drop(big);
    assert!(ready(&mut small).is_ok());
}

#[test]
fn granted_permits_that_are_not_wanted_go_to_the_next() {
    let semaphore = Semaphore::new(2);
    let held = semaphore.try_acquire(2).unwrap();
    let granted = waiting(semaphore.acquire(2));
    let mut next = waiting(semaphore.acquire(2));
    drop(held);
    assert!(poll(&mut next).is_pending());
    drop(granted);
    drop(ready(&mut next));
    assert_eq!(semaphore.available(), 2);
}

#[test]
fn zero_permits_are_given_at_once_even_if_others_wait() {
    let semaphore = Semaphore::new(1);
    let held = semaphore.try_acquire(1).unwrap();
    let mut waits = waiting(semaphore.acquire(1));
    assert_eq!(
        ready(&mut Box::pin(semaphore.acquire(0))).unwrap().count(),
        0
    );
    assert!(semaphore.try_acquire(0).is_ok());
    assert!(poll(&mut waits).is_pending());
    drop(held);
    assert!(ready(&mut waits).is_ok());
    let empty = Semaphore::new(0);
    assert!(empty.acquire_blocking(0).is_ok());
}

#[test]
fn a_request_above_the_size_is_an_error_and_blocks_nobody() {
    let semaphore = Semaphore::new(3);
    let _held = semaphore.try_acquire(1).unwrap();
    let error = ready(&mut Box::pin(semaphore.acquire(4))).unwrap_err();
    assert_eq!(error, AcquireError::TooMany { wanted: 4, size: 3 });
    assert_eq!(
        error.to_string(),
        "acquiring 4 permits of a semaphore that has 3 in all: ask for fewer, or add some first \
         with `add_permits`"
    );
    assert_eq!(semaphore.acquire_blocking(4).unwrap_err(), error);
    assert!(semaphore.try_acquire(4).is_err());
    assert!(
        semaphore.try_acquire(2).is_ok(),
        "the hopeless one is in the way"
    );
}

#[test]
fn a_request_that_becomes_hopeless_while_it_waits_is_told_so() {
    let semaphore = Semaphore::new(3);
    let held = semaphore.try_acquire(2).unwrap();
    let mut big = waiting(semaphore.acquire(3));
    let mut small = waiting(semaphore.acquire(1));
    held.forget();
    assert_eq!(
        ready(&mut big).unwrap_err(),
        AcquireError::TooMany { wanted: 3, size: 1 }
    );
    drop(ready(&mut small));
    assert_eq!((semaphore.size(), semaphore.available()), (1, 1));
}

#[test]
fn added_permits_serve_who_waits() {
    let semaphore = Semaphore::new(1);
    let _held = semaphore.try_acquire(1).unwrap();
    let mut waits = waiting(semaphore.acquire(1));
    semaphore.add_permits(2);
    let _got = ready(&mut waits).unwrap();
    assert_eq!((semaphore.size(), semaphore.available()), (3, 1));
}

#[test]
fn permits_are_split_and_merged() {
    let (semaphore, other) = (Semaphore::new(5), Semaphore::new(5));
    let mut permit = semaphore.try_acquire(5).unwrap();
    assert!(permit.split(6).is_none());
    let two = permit.split(2).unwrap();
    assert_eq!((permit.count(), two.count()), (3, 2));
    drop(two);
    assert_eq!(semaphore.available(), 2);
    permit.merge(semaphore.try_acquire(1).unwrap());
    assert_eq!((permit.count(), semaphore.available()), (4, 1));
    let foreign = other.try_acquire(1).unwrap();
    let merged = catch_unwind(AssertUnwindSafe(|| permit.merge(foreign)));
    let message = *merged.unwrap_err().downcast::<&str>().unwrap();
    assert!(message.contains("two semaphores"), "{message}");
    assert_eq!(
        (permit.count(), other.available()),
        (4, 5),
        "both stay right"
    );
}

#[test]
fn closing_ends_the_waiting_and_leaves_held_permits_valid() {
    let semaphore = Semaphore::new(2);
    let held = semaphore.try_acquire(2).unwrap();
    let mut waiters = [1, 2].map(|n| waiting(semaphore.acquire(n)));
    assert!(semaphore.close());
    assert!(!semaphore.close(), "closed already");
    for waiter in &mut waiters {
        assert_eq!(ready(waiter).unwrap_err(), AcquireError::Closed);
    }
    drop(held);
    assert!(semaphore.is_closed());
    assert_eq!(semaphore.available(), 2);
    assert_eq!(
        semaphore.try_acquire(0).unwrap_err(),
        TryAcquireError::Closed
    );
    assert_eq!(
        semaphore.acquire_blocking(1).unwrap_err(),
        AcquireError::Closed
    );
}

#[test]
fn what_was_granted_before_the_close_stays_granted() {
    let semaphore = Semaphore::new(1);
    let held = semaphore.try_acquire(1).unwrap();
    let mut granted = waiting(semaphore.acquire(1));
    drop(held);
    semaphore.close();
    assert!(ready(&mut granted).is_ok());
}

#[test]
fn owned_permits_go_to_other_goroutines() {
    Runtime::new().unwrap().block_on(async {
        let semaphore = Arc::new(Semaphore::new(2));
        let mut permit = semaphore.acquire_owned(2).await.unwrap();
        let one = permit.split(1).unwrap();
        go(async move { drop(one) }).await.unwrap();
        assert_eq!(semaphore.available(), 1);
        assert_eq!(
            semaphore.try_acquire_owned(2).unwrap_err(),
            TryAcquireError::NoPermits
        );
        permit.merge(semaphore.try_acquire_owned(1).unwrap());
        drop(permit);
        assert_eq!(semaphore.available(), 2);
        assert_eq!(
            Arc::strong_count(&semaphore),
            1,
            "a permit leaked its handle"
        );
    });
}

#[test]
#[should_panic = "a semaphore has at most"]
fn too_many_permits_are_a_mistake() {
    let _ = Semaphore::new(Semaphore::MAX_PERMITS + 1);
}

#[test]
fn adding_too_many_permits_is_a_mistake_that_changes_nothing() {
    let semaphore = Semaphore::new(Semaphore::MAX_PERMITS - 1);
    semaphore.add_permits(1);
    for more in [1, usize::MAX] {
        assert!(catch_unwind(AssertUnwindSafe(|| semaphore.add_permits(more))).is_err());
    }
    assert_eq!(semaphore.size(), Semaphore::MAX_PERMITS);
    assert_eq!(semaphore.available(), Semaphore::MAX_PERMITS);
}

#[test]
fn permits_and_futures_may_change_threads() {
    fn send_and_sync<T: Send + Sync>() {}
    send_and_sync::<Semaphore>();
    send_and_sync::<Permit<'_>>();
    send_and_sync::<OwnedPermit>();
    send_and_sync::<Acquire<'_>>();
}

#[test]
fn a_semaphore_and_its_permits_show_their_numbers() {
    let semaphore = Semaphore::new(3);
    let permit = semaphore.try_acquire(2).unwrap();
    assert_eq!(
        format!("{semaphore:?} {permit:?}"),
        "Semaphore { available: 1, closed: false, .. } Permit { count: 2, .. }"
    );
}

/// Requests are given up at random, in every state; no permit is lost, whoever stays is served.
#[test]
fn requests_given_up_at_random_by_threads_lose_no_permit() {
    const PERMITS: usize = 4;
    let semaphore = Semaphore::new(PERMITS);
    thread::scope(|scope| {
        for seed in 0..4_usize {
            let semaphore = &semaphore;
            scope.spawn(move || {
                for round in 0..5_000 {
                    let wanted = (round * 7 + seed) % PERMITS + 1;
                    if round % 2 == 0 {
                        drop(poll(&mut Box::pin(semaphore.acquire(wanted))));
                    } else {
                        drop(semaphore.acquire_blocking(wanted).unwrap());
                    }
                }
            });
        }
    });
    assert_eq!(semaphore.available(), PERMITS);
}

// ---- against a sequential model -------------------------------------------------------------

#[derive(Clone, Debug)]
enum Step {
    Acquire(usize),
    TryAcquire(usize),
    Poll(usize),
    DropWaiting(usize),
    DropPermit(usize),
    Forget(usize),
    Split(usize),
    Add(usize),
    Close,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        400 => (0..7_usize).prop_map(Step::Acquire),
        100 => (0..7_usize).prop_map(Step::TryAcquire),
        200 => any::<usize>().prop_map(Step::Poll),
        200 => any::<usize>().prop_map(Step::DropWaiting),
        300 => any::<usize>().prop_map(Step::DropPermit),
        20 => any::<usize>().prop_map(Step::Forget),
        30 => any::<usize>().prop_map(Step::Split),
        50 => (0..3_usize).prop_map(Step::Add),
        10 => Just(Step::Close),
    ]
}

/// The semaphore as a specification: numbers instead of futures.
#[derive(Default)]
struct Model {
    size: usize,
    free: usize,
    closed: bool,
    /// Who waits, and for how many.
    waiting: VecDeque<(usize, usize)>,
    /// What those that waited were told, and have not seen yet.
    told: Vec<(usize, Result<usize, AcquireError>)>,
}

impl Model {
    /// `None`: it has to wait.
    fn ask(&mut self, wanted: usize) -> Option<Result<usize, AcquireError>> {
        let size = self.size;
        if self.closed {
            Some(Err(AcquireError::Closed))
        } else if wanted > size {
            Some(Err(AcquireError::TooMany { wanted, size }))
        } else if wanted == 0 || (self.waiting.is_empty() && wanted <= self.free) {
            self.free -= wanted;
            Some(Ok(wanted))
        } else {
            None
        }
    }

    fn serve(&mut self) {
        while let Some((id, wanted)) = self.waiting.front().copied() {
            let size = self.size;
            if wanted > size {
                let error = AcquireError::TooMany { wanted, size };
                self.told.push((id, Err(error)));
            } else if wanted <= self.free {
                self.free -= wanted;
                self.told.push((id, Ok(wanted)));
            } else {
                return;
            }
            self.waiting.pop_front();
        }
    }

    fn release(&mut self, count: usize) {
        self.free += count;
        self.serve();
    }

    fn hear(&mut self, id: usize) -> Option<Result<usize, AcquireError>> {
        let at = self.told.iter().position(|(told, _)| *told == id)?;
        Some(self.told.remove(at).1)
    }

    fn drop_waiting(&mut self, id: usize) {
        self.waiting.retain(|(waits, _)| *waits != id);
        let back = self.hear(id).and_then(Result::ok).unwrap_or(0);
        self.release(back);
    }

    fn close(&mut self) -> bool {
        let ended = self.waiting.drain(..);
        self.told
            .extend(ended.map(|(id, _)| (id, Err(AcquireError::Closed))));
        !std::mem::replace(&mut self.closed, true)
    }
}

/// Takes the `index`th element, modulo the length.
fn pick<T>(items: &[T], index: usize) -> Option<usize> {
    (!items.is_empty()).then(|| index % items.len())
}

/// The size is reported as it is when the answer is heard; the model notes it when it is told.
fn same(got: &Result<Permit<'_>, AcquireError>, wanted: Result<usize, AcquireError>) -> bool {
    match (got, wanted) {
        (Ok(permit), Ok(count)) => permit.count() == count,
        (
            Err(AcquireError::TooMany { wanted: a, .. }),
            Err(AcquireError::TooMany { wanted: b, .. }),
        ) => a == &b,
        (Err(a), Err(b)) => *a == b,
        _ => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 1_000, failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn a_semaphore_is_its_model_whatever_is_dropped_when(
        size in 0_usize..7,
        steps in proptest::collection::vec(step(), 0..120),
    ) {
        let semaphore = Semaphore::new(size);
        let mut model = Model { size, free: size, ..Model::default() };
        let mut requests = Vec::new();
        let mut permits: Vec<Permit<'_>> = Vec::new();
        for (id, step) in steps.into_iter().enumerate() {
            match step {
                Step::Acquire(wanted) => {
                    let mut request = Box::pin(semaphore.acquire(wanted));
                    match (poll(&mut request), model.ask(wanted)) {
                        (Poll::Pending, None) => {
                            model.waiting.push_back((id, wanted));
                            requests.push((id, request));
                        }
                        (Poll::Ready(got), Some(wanted)) if same(&got, wanted) => {
                            permits.extend(got);
                        }
                        (got, wanted) => prop_assert!(false, "{got:?} but {wanted:?}"),
                    }
                }
                Step::TryAcquire(wanted) => {
                    match (semaphore.try_acquire(wanted), model.ask(wanted)) {
                        (Ok(permit), Some(Ok(_))) => permits.push(permit),
                        (Err(TryAcquireError::Closed), Some(Err(AcquireError::Closed)))
                        | (
                            Err(TryAcquireError::NoPermits),
                            None | Some(Err(AcquireError::TooMany { .. })),
                        ) => {}
                        (got, wanted) => prop_assert!(false, "{got:?} but {wanted:?}"),
                    }
                }
                Step::Poll(index) => if let Some(at) = pick(&requests, index) {
                    let (id, request) = &mut requests[at];
                    match (poll(request), model.hear(*id)) {
                        (Poll::Pending, None) => {}
                        (Poll::Ready(got), Some(wanted)) if same(&got, wanted) => {
                            permits.extend(got);
                            drop(requests.remove(at));
                        }
                        (got, wanted) => prop_assert!(false, "{got:?} but {wanted:?}"),
                    }
                },
                Step::DropWaiting(index) => if let Some(at) = pick(&requests, index) {
                    model.drop_waiting(requests.remove(at).0);
                },
                Step::DropPermit(index) => if let Some(at) = pick(&permits, index) {
                    model.release(permits.remove(at).count());
                },
                Step::Forget(index) => if let Some(at) = pick(&permits, index) {
                    model.size -= permits[at].count();
                    permits.remove(at).forget();
                    model.serve();
                },
                Step::Split(index) => if let Some(at) = pick(&permits, index) {
                    let half = permits[at].count() / 2;
                    let half = permits[at].split(half).unwrap();
                    permits.push(half);
                },
                Step::Add(count) => {
                    semaphore.add_permits(count);
                    model.size += count;
                    model.release(count);
                }
                Step::Close => prop_assert_eq!(semaphore.close(), model.close()),
            }
            prop_assert_eq!(semaphore.available(), model.free);
            prop_assert_eq!(semaphore.size(), model.size);
        }
        drop((requests, permits));
        prop_assert_eq!(semaphore.available(), semaphore.size(), "a permit was lost");
    }
}
