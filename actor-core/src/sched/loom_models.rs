//! Models of the scheduler's lock-free parts, explored by loom: every interleaving that C11 allows.
//!
//! `RUSTFLAGS="--cfg actor_loom" cargo test -p actor-core --lib --release loom_`

use std::sync::Arc;

use loom::sync::Notify as Bell;
use loom::sync::atomic::{AtomicUsize, Ordering::*};
use loom::thread;

use super::dispatch::{Dispatch, Idler, Park, Wake};
use super::processor::Processor;
use super::ring::Ring;
use super::state::{Hold, Idle, Notify, Start, State};
use super::task::RunToken;
use super::timers::NEVER;

fn model(f: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(f);
}

// ---- the state word -----------------------------------------------------------------------

/// A goroutine whose polls read `data`; counts polls, and whether any saw the write.
#[derive(Default)]
struct Polled {
    polls: AtomicUsize,
    saw: AtomicUsize,
}

/// Owns a run token: polls until it parks, as an M does with `Again`.
fn run_token(state: &State, data: &AtomicUsize, polled: &Polled) {
    loop {
        assert_eq!(state.start(), Start::Poll);
        polled.polls.fetch_add(1, Relaxed);
        if data.load(Relaxed) == 1 {
            polled.saw.fetch_add(1, Relaxed);
        }
        if state.idle() == Idle::Parked {
            return;
        }
    }
}

#[test]
fn loom_a_wake_during_or_after_a_poll_leads_to_one_that_sees_its_write() {
    model(|| {
        let shared = Arc::new((State::new(true), AtomicUsize::new(0), Polled::default()));
        let waker = thread::spawn({
            let shared = shared.clone();
            move || {
                let (state, data, polled) = &*shared;
                data.store(1, Relaxed);
                if state.notify() == Notify::Enqueue {
                    run_token(state, data, polled);
                }
            }
        });
        run_token(&shared.0, &shared.1, &shared.2);
        waker.join().unwrap();
        assert!(
            shared.2.saw.load(Relaxed) >= 1,
            "the last poll did not see the waker's write"
        );
        assert!(shared.2.polls.load(Relaxed) <= 2);
    });
}

#[test]
fn loom_two_wakers_make_one_token() {
    model(|| {
        let state = Arc::new(State::new(true));
        assert_eq!(state.start(), Start::Poll);
        assert_eq!(state.idle(), Idle::Parked);
        let tokens = Arc::new(AtomicUsize::new(0));
        let wake = || {
            let (state, tokens) = (state.clone(), tokens.clone());
            move || {
                if state.notify() == Notify::Enqueue {
                    tokens.fetch_add(1, Relaxed);
                }
            }
        };
        let other = thread::spawn(wake());
        wake()();
        other.join().unwrap();
        assert_eq!(tokens.load(Relaxed), 1);
    });
}

#[test]
fn loom_a_wake_that_gives_its_reference_up_makes_a_token_or_frees_never_both() {
    model(|| {
        // Two references: the waker's, and the one of whoever completes the goroutine.
        let state = Arc::new(State::new(true));
        assert_eq!(state.start(), Start::Poll);
        let frees = Arc::new(AtomicUsize::new(0));
        let end = |state: &State, frees: &AtomicUsize| {
            assert_eq!(state.start(), Start::Poll);
            let _ = state.complete();
            if state.ref_dec(Hold::Handle) {
                frees.fetch_add(1, Relaxed);
            }
        };
        let waker = thread::spawn({
            let (state, frees) = (state.clone(), frees.clone());
            move || match state.notify_and_release(Hold::Handle) {
                (Notify::Enqueue, last) => {
                    assert!(!last);
                    end(&state, &frees);
                }
                (Notify::Nothing, true) => {
                    frees.fetch_add(1, Relaxed);
                }
                (Notify::Nothing, false) => {}
            }
        });
        match state.idle() {
            Idle::Parked => {}
            Idle::Notified => end(&state, &frees),
        }
        waker.join().unwrap();
        assert_eq!(frees.load(Relaxed), 1);
    });
}

#[test]
fn loom_an_abort_is_seen_by_exactly_one_token_owner() {
    model(|| {
        let state = Arc::new(State::new(true));
        let cancelled = Arc::new(AtomicUsize::new(0));
        let run = |state: &State, cancelled: &AtomicUsize| {
            loop {
                match state.start() {
                    Start::Cancel => {
                        cancelled.fetch_add(1, Relaxed);
                        let _ = state.complete();
                        return;
                    }
                    Start::Poll if state.idle() == Idle::Parked => return,
                    Start::Poll => {}
                }
            }
        };
        let aborter = thread::spawn({
            let (state, cancelled) = (state.clone(), cancelled.clone());
            move || {
                if state.cancel() == Notify::Enqueue {
                    run(&state, &cancelled);
                }
            }
        });
        run(&state, &cancelled);
        aborter.join().unwrap();
        assert_eq!(cancelled.load(Relaxed), 1);
        assert!(state.is_complete());
    });
}

#[test]
fn loom_the_output_is_dropped_once_by_the_handle_or_the_completer() {
    model(|| {
        let state = Arc::new(State::new(true));
        let drops = Arc::new(AtomicUsize::new(0));
        let completer = thread::spawn({
            let (state, drops) = (state.clone(), drops.clone());
            move || {
                assert_eq!(state.start(), Start::Poll);
                if !state.complete().join_interest {
                    drops.fetch_add(1, Relaxed);
                }
            }
        });
        if state.drop_join().drop_output {
            drops.fetch_add(1, Relaxed);
        }
        completer.join().unwrap();
        assert_eq!(drops.load(Relaxed), 1);
    });
}

#[test]
fn loom_a_joiner_that_registers_while_the_goroutine_ends_is_woken_or_told() {
    model(|| {
        let state = Arc::new((
            State::new(true),
            loom::cell::UnsafeCell::new(0),
            AtomicUsize::new(0),
        ));
        let completer = thread::spawn({
            let state = state.clone();
            move || {
                assert_eq!(state.0.start(), Start::Poll);
                let completed = state.0.complete();
                assert!(completed.join_interest);
                if completed.join_waker {
                    // SAFETY: I4 of `state.rs`; loom checks it.
                    assert_eq!(state.1.with(|waker| unsafe { *waker }), 7);
                    state.2.store(1, Relaxed);
                }
            }
        });
        // SAFETY: JOIN_WAKER is off: the slot is the join handle's; loom checks it.
        state.1.with_mut(|waker| unsafe { *waker = 7 });
        let registered = state.0.set_join_waker().is_ok();
        completer.join().unwrap();
        assert!(state.0.is_complete());
        assert_eq!(registered, state.2.load(Relaxed) == 1);
    });
}

#[test]
fn loom_the_last_of_two_references_frees_and_sees_all_uses() {
    model(|| {
        let shared = Arc::new((State::new(true), loom::cell::UnsafeCell::new(0)));
        let frees = Arc::new(AtomicUsize::new(0));
        let release = |shared: Arc<(State, loom::cell::UnsafeCell<i32>)>,
                       frees: Arc<AtomicUsize>| {
            // SAFETY: shared reads only, before the release.
            shared.1.with(|value| unsafe { assert_eq!(*value, 0) });
            if shared.0.ref_dec(Hold::Handle) {
                // SAFETY: the last reference is exclusive; loom checks it.
                shared.1.with_mut(|value| unsafe { *value = 1 });
                frees.fetch_add(1, Relaxed);
            }
        };
        let other = thread::spawn({
            let (shared, frees) = (shared.clone(), frees.clone());
            move || release(shared, frees)
        });
        release(shared.clone(), frees.clone());
        other.join().unwrap();
        assert_eq!(frees.load(Relaxed), 1);
    });
}

// ---- the ring and runnext -----------------------------------------------------------------

fn token(n: usize) -> RunToken {
    // SAFETY: never run, only moved and compared; non-null.
    unsafe { RunToken::from_raw(std::ptr::without_provenance_mut(n * 64)) }
}

fn number(token: RunToken) -> usize {
    token.into_raw().addr() / 64
}

fn drain(ring: &Ring, got: &mut Vec<usize>) {
    got.extend(std::iter::from_fn(|| ring.pop()).map(number));
}

#[test]
fn loom_every_goroutine_leaves_the_ring_once_with_two_thieves() {
    model(|| {
        let victim = Arc::new(Ring::new());
        for n in 1..=2 {
            victim.push(token(n)).unwrap();
        }
        let thieves: Vec<_> = (0..2)
            .map(|_| {
                let victim = victim.clone();
                thread::spawn(move || {
                    let own = Ring::new();
                    let mut got: Vec<_> = victim.steal_into(&own).map(number).into_iter().collect();
                    drain(&own, &mut got);
                    got
                })
            })
            .collect();
        let mut got = Vec::new();
        victim.push(token(3)).unwrap();
        got.extend(victim.pop().map(number));
        for thief in thieves {
            got.extend(thief.join().unwrap());
        }
        drain(&victim, &mut got);
        got.sort_unstable();
        assert_eq!(got, [1, 2, 3]);
    });
}

#[test]
fn loom_wrap_and_overflow_against_a_thief_lose_nothing() {
    model(|| {
        let victim = Arc::new(Ring::new());
        for n in 1..=4 {
            victim.push(token(n)).unwrap();
        }
        let thief = thread::spawn({
            let victim = victim.clone();
            move || {
                let own = Ring::new();
                let mut got: Vec<_> = victim.steal_into(&own).map(number).into_iter().collect();
                drain(&own, &mut got);
                got
            }
        });
        let mut got = Vec::new();
        // Full unless the thief was faster: the older half overflows, then slots are re-used.
        for n in 5..=6 {
            if let Err(token) = victim.push(token(n)) {
                let mut half = Vec::new();
                victim.pop_half(&mut half);
                got.extend(half.into_iter().map(number));
                got.push(number(token));
            }
        }
        got.extend(thief.join().unwrap());
        drain(&victim, &mut got);
        got.sort_unstable();
        assert_eq!(got, [1, 2, 3, 4, 5, 6]);
    });
}

#[test]
fn loom_runnext_is_taken_once() {
    model(|| {
        let p = Arc::new(Processor::new(0));
        p.set_runnext(token(1)).unwrap();
        let thief = thread::spawn({
            let p = p.clone();
            move || p.take_runnext().map(number)
        });
        let mut got: Vec<_> = p.take_runnext().map(number).into_iter().collect();
        p.set_runnext(token(2))
            .unwrap_or_else(|token| got.push(number(token)));
        got.extend(thief.join().unwrap());
        got.extend(p.take_runnext().map(number));
        got.sort_unstable();
        assert_eq!(got, [1, 2]);
    });
}

// ---- parking ------------------------------------------------------------------------------

const NO_P: usize = usize::MAX;

struct FakeM {
    handoff: AtomicUsize,
    bell: Bell,
}

impl Idler for FakeM {
    fn hand(&self, p: usize) {
        self.handoff.store(p, SeqCst);
    }
    fn unpark(&self) {
        self.bell.notify();
    }
    fn last_p(&self) -> usize {
        0
    }
}

fn fake_m() -> Arc<FakeM> {
    Arc::new(FakeM {
        handoff: AtomicUsize::new(NO_P),
        bell: Bell::new(),
    })
}

type Sched = Dispatch<usize, FakeM>;

fn send(wake: Wake<FakeM>) -> bool {
    match wake {
        Wake::Nobody => false,
        Wake::Idle(m) => {
            m.unpark();
            true
        }
        Wake::NewMachine { .. } => panic!("an idle P without an idle M"),
    }
}

/// An M that holds P `p` and finds nothing to do: parks until it has got a goroutine.
fn park_until_work(sched: &Sched, me: &Arc<FakeM>, p: usize, searching: bool) -> usize {
    match sched.park(me, p, false, searching, || NEVER) {
        Park::Work(token) => token,
        Park::Stop => panic!("nobody stops this runtime"),
        Park::Sleep { .. } => {
            while me.handoff.load(SeqCst) == NO_P {
                me.bell.wait();
            }
            let mut out = Vec::new();
            sched.take_injected(8, &mut out);
            send(sched.end_search());
            assert_eq!(out.len(), 1, "woken for nothing");
            out[0]
        }
    }
}

fn sched(held: usize) -> Arc<Sched> {
    let sched = Sched::new();
    sched.lock().held = held;
    Arc::new(sched)
}

#[test]
fn loom_a_goroutine_injected_while_the_last_machine_parks_is_run() {
    for searching in [false, true] {
        model(move || {
            let sched = sched(1);
            if searching {
                assert!(sched.try_search(2));
            }
            let m = thread::spawn({
                let sched = sched.clone();
                move || park_until_work(&sched, &fake_m(), 0, searching)
            });
            send(sched.inject([9]));
            assert_eq!(m.join().unwrap(), 9);
        });
    }
}

#[test]
fn loom_a_searcher_that_finds_other_work_passes_the_duty_on() {
    model(|| {
        // M1 searches and finds something in a ring; M2 parks; a foreign thread injects. Whatever
        // the order, M2 gets the injected goroutine, because M1 will not look again for long.
        let sched = sched(2);
        assert!(sched.try_search(2));
        let m2 = thread::spawn({
            let sched = sched.clone();
            move || park_until_work(&sched, &fake_m(), 1, false)
        });
        let injector = thread::spawn({
            let sched = sched.clone();
            move || send(sched.inject([9]))
        });
        send(sched.end_search());
        injector.join().unwrap();
        assert_eq!(m2.join().unwrap(), 9);
    });
}

#[test]
fn loom_two_injected_goroutines_reach_two_machines_or_one_twice() {
    model(|| {
        let sched = sched(1);
        let m = thread::spawn({
            let sched = sched.clone();
            move || {
                let me = fake_m();
                let mut got = Vec::new();
                let mut held = match sched.park(&me, 0, false, false, || NEVER) {
                    Park::Work(token) => {
                        got.push(token);
                        true
                    }
                    _ => false,
                };
                while got.len() < 2 {
                    if !held {
                        while me.handoff.load(SeqCst) == NO_P {
                            me.bell.wait();
                        }
                        me.handoff.store(NO_P, SeqCst);
                        sched.take_injected(8, &mut got);
                        send(sched.end_search());
                    }
                    if got.len() < 2 {
                        held = match sched.park(&me, 0, false, false, || NEVER) {
                            Park::Work(token) => {
                                got.push(token);
                                true
                            }
                            _ => false,
                        };
                    }
                }
                got
            }
        });
        send(sched.inject([1]));
        send(sched.inject([2]));
        let mut got = m.join().unwrap();
        got.sort_unstable();
        assert_eq!(got, [1, 2]);
    });
}
