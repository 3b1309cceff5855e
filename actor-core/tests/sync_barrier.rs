//! The barrier: nobody passes before all have come, round after round.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, Waker};
use std::thread;

use actor_core::Runtime;
use actor_core::sync::{Barrier, BarrierWait, WaitGroup};

fn poll<F: Future>(future: &mut Pin<Box<F>>) -> Poll<F::Output> {
    future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
}

/// A party that has arrived and waits for others.
#[track_caller]
fn arrived(barrier: &Barrier) -> Pin<Box<BarrierWait<'_>>> {
    let mut party = Box::pin(barrier.wait());
    assert!(poll(&mut party).is_pending());
    party
}

/// Whether the party, which need not wait any more, is the leader.
#[track_caller]
fn leads(party: &mut Pin<Box<BarrierWait<'_>>>) -> bool {
    let Poll::Ready(result) = poll(party) else {
        panic!("it still waits")
    };
    result.is_leader()
}

#[test]
fn the_last_to_arrive_leads_and_lets_the_others_go() {
    let barrier = Barrier::new(3);
    for _round in 0..3 {
        let mut first = arrived(&barrier);
        let mut second = arrived(&barrier);
        assert!(poll(&mut first).is_pending());
        assert!(leads(&mut Box::pin(barrier.wait())));
        assert!(!leads(&mut first));
        assert!(!leads(&mut second));
    }
}

#[test]
fn a_party_that_leaves_has_not_arrived() {
    let barrier = Barrier::new(2);
    drop(arrived(&barrier));
    let mut stays = arrived(&barrier);
    assert!(leads(&mut Box::pin(barrier.wait())));
    assert!(!leads(&mut stays));
}

#[test]
fn a_party_that_leaves_after_the_round_is_complete_counts_for_that_round_only() {
    let barrier = Barrier::new(2);
    let leaves = arrived(&barrier);
    assert!(leads(&mut Box::pin(barrier.wait())));
    drop(leaves);
    let mut next = arrived(&barrier);
    assert!(leads(&mut Box::pin(barrier.wait())));
    assert!(!leads(&mut next));
}

#[test]
fn the_next_round_begins_before_the_last_has_gone() {
    let barrier = Barrier::new(2);
    let mut slow = arrived(&barrier);
    assert!(leads(&mut Box::pin(barrier.wait())));
    let mut next = arrived(&barrier);
    assert!(!leads(&mut slow));
    assert!(
        poll(&mut next).is_pending(),
        "the slow one is of the first round"
    );
}

#[test]
fn a_single_party_never_waits() {
    let barrier = Barrier::new(1);
    for _ in 0..3 {
        assert!(barrier.wait_blocking().is_leader());
    }
}

#[test]
#[should_panic = "a barrier for no parties would never open: give Barrier::new at least 1"]
fn no_parties_are_a_mistake() {
    let _ = Barrier::new(0);
}

#[test]
fn a_barrier_shows_who_has_arrived() {
    let barrier = Barrier::new(3);
    let _party = arrived(&barrier);
    assert_eq!(format!("{barrier:?}"), "Barrier { parties: 3, arrived: 1 }");
}

/// Goroutines and threads, round after round, with a party that comes and goes without being one.
#[test]
fn nobody_is_a_round_ahead_and_each_round_has_one_leader() {
    const ROUNDS: usize = 500;
    const GOROUTINES: usize = 6;
    const PARTIES: usize = GOROUTINES + 1;
    let runtime = Runtime::builder().procs(4).build().unwrap();
    let barrier = Arc::new(Barrier::new(PARTIES));
    let arrivals = Arc::new(AtomicUsize::new(0));
    let leaders = Arc::new(AtomicUsize::new(0));
    let check = {
        let arrivals = arrivals.clone();
        move |round: usize| {
            let seen = arrivals.load(SeqCst);
            assert!(seen >= PARTIES * (round + 1), "somebody is missing");
            assert!(seen < PARTIES * (round + 2), "a round went on without us");
        }
    };
    let foreign = thread::spawn({
        let (barrier, arrivals) = (barrier.clone(), arrivals.clone());
        let (leaders, check) = (leaders.clone(), check.clone());
        move || {
            for round in 0..ROUNDS {
                arrivals.fetch_add(1, SeqCst);
                let result = barrier.wait_blocking();
                leaders.fetch_add(usize::from(result.is_leader()), SeqCst);
                check(round);
            }
        }
    });
    runtime.block_on(async {
        let group = WaitGroup::new();
        for _ in 0..GOROUTINES {
            let (barrier, arrivals) = (barrier.clone(), arrivals.clone());
            let (leaders, check) = (leaders.clone(), check.clone());
            drop(group.go(async move {
                for round in 0..ROUNDS {
                    arrivals.fetch_add(1, SeqCst);
                    let result = barrier.wait().await;
                    leaders.fetch_add(usize::from(result.is_leader()), SeqCst);
                    check(round);
                }
            }));
        }
        group.wait().await;
    });
    foreign.join().unwrap();
    assert_eq!(leaders.load(SeqCst), ROUNDS);
}

/// Threads arrive and leave at random; a round that had counted one too many would pass too many.
#[test]
fn parties_that_leave_at_random_count_for_no_round() {
    const PARTIES: usize = 3;
    let barrier = Barrier::new(PARTIES);
    let (passed, leaders) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for seed in 0..4_usize {
            let (barrier, passed, leaders) = (&barrier, &passed, &leaders);
            scope.spawn(move || {
                for round in 0..5_000 {
                    let mut party = Box::pin(barrier.wait());
                    for _ in 0..=(round + seed) % 3 {
                        if let Poll::Ready(result) = poll(&mut party) {
                            passed.fetch_add(1, SeqCst);
                            leaders.fetch_add(usize::from(result.is_leader()), SeqCst);
                            break;
                        }
                        thread::yield_now();
                    }
                }
            });
        }
    });
    // A party may leave after its round was complete, unpolled: so at most, not exactly.
    assert!(passed.into_inner() <= PARTIES * leaders.into_inner());
    assert_eq!(format!("{barrier:?}"), "Barrier { parties: 3, arrived: 0 }");
}
