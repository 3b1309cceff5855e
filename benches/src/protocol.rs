//! A model of the scheduler's protocol on any number of Ps: what is counted here, no clock decides.
//!
//! The rules are those of `sched/{machine,dispatch,shared,sysmon}.rs`, with their constants: `runnext`
//! and its chain, the ring and its overflow, the injector behind the dispatch lock, wake tokens, who
//! may search and for how long, patience before a short backlog is stolen, parking. Each P has its
//! own core and its own M. Virtual time is there to order events; the costs in it ([`cost`]) are
//! those of a bare machine, roughly. They move the figures in nanoseconds, the counts hardly.
//!
//! 1. An event is one step of one P: a poll that ends, a search round, an M that wakes.
//! 2. The dispatch lock is taken by one at a time: who comes while it is held waits in virtual time.
//! 3. What is counted: lock takings, wakes, steals, and looks at other Ps (each may be a cache miss),
//!    also those under the lock.
//!
//! Left out: spare Ps, `blocking`, timers and I/O as sources of work (looking for them counts).

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

/// Nanoseconds that things take, in the model.
pub mod cost {
    /// From the end of a poll to the next one.
    pub const SWITCH: u64 = 15;
    /// Looking at another P's ring or timers: between a hit and a miss.
    pub const LOOK: u64 = 3;
    /// Pauses between two rounds of a search.
    pub const ROUND: u64 = 150;
    /// Holding the dispatch lock, without looks.
    pub const LOCK: u64 = 40;
    /// Telling the kernel to wake an M, for the one who tells.
    pub const WAKE: u64 = 1_500;
    /// From then until the woken M runs.
    pub const WAKE_LATENCY: u64 = 6_000;
    /// Making a goroutine.
    pub const SPAWN: u64 = 60;
}

// `sched/tuning.rs`.
const RING: usize = 256;
const RUNNEXT_CHAIN: u32 = 16;
const MAINTENANCE_POLLS_MAX: u64 = 61;
const MAINTENANCE_EVERY: u64 = 50_000;
const STEAL_BACKLOG: usize = 8;
const STEAL_AGED_ROUNDS: u32 = 8;
const SPIN_MIN: u64 = 20_000;
const SPIN_MAX: u64 = 160_000;
const WAKE_TOKENS: u32 = 2;
const SYSMON_TICK: u64 = 1_000_000;

/// What runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Load {
    /// So many pairs, an asker and an actor each, started by one goroutine; polls of 50 ns. An
    /// operation is an ask.
    Pairs(usize),
    /// One goroutine starts so many tasks of so many nanoseconds, waits for all, and again. An
    /// operation is a task.
    ForkJoin(usize, u64),
    /// A thread outside starts a task of 10 µs every so many nanoseconds. An operation is a task.
    Outside(u64),
}

/// What was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Counts {
    /// Operations done.
    pub ops: u64,
    /// Takings of the dispatch lock.
    pub locks: u64,
    /// Ms woken by the kernel.
    pub wakes: u64,
    /// Batches stolen.
    pub steals: u64,
    /// Looks at other Ps: their rings when searching, their timers in maintenance.
    pub looks: u64,
    /// Looks at all Ps' timers under the dispatch lock, by Ms that park.
    pub looks_locked: u64,
    /// Virtual nanoseconds from the first to the last operation.
    pub ns: u64,
    /// Of those, how long the dispatch lock was held.
    pub lock_held_ns: u64,
    /// Virtual nanoseconds inside polls, on all Ps together.
    pub busy_ns: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Goroutine {
    Main,
    Asker(usize),
    Actor(usize),
    Task,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Idle: on the list of idle Ps.
    Parked,
    /// Handed to an M that is on its way.
    Waking,
    /// About to look for something to run.
    Ready,
    Polling(Goroutine),
    /// Searching since then, so many rounds.
    Searching(u64, u32),
}

#[derive(Debug)]
struct Processor {
    state: State,
    ring: VecDeque<Goroutine>,
    runnext: Option<Goroutine>,
    chain: u32,
    polls: u64,
    until_maintenance: u64,
    last_maintenance: u64,
    searching: bool,
    spin: u64,
    /// The others' poll counters, and for how many rounds each has stood still.
    seen: Vec<(u64, u32)>,
}

/// One run of the model.
#[derive(Debug)]
struct Model {
    load: Load,
    now: u64,
    ps: Vec<Processor>,
    events: BinaryHeap<Reverse<(u64, usize)>>,
    injector: VecDeque<Goroutine>,
    idle: Vec<usize>,
    searching: usize,
    tokens: u32,
    tokens_filled: u64,
    lock_free_at: u64,
    /// Tasks of a fork-join that have not ended.
    unjoined: usize,
    counts: Counts,
    dice: u64,
}

/// Counts what this load takes on so many Ps until so many operations are done.
///
/// # Panics
///
/// When the model runs dry before that: a wake-up was lost.
pub fn run(procs: usize, load: Load, ops: u64) -> Counts {
    let mut model = Model::new(procs, load);
    while model.counts.ops < ops {
        let next = model.events.pop();
        let Reverse((at, who)) = next.expect("somebody has work, or is on the way to it");
        model.now = at;
        if at - model.tokens_filled >= SYSMON_TICK {
            (model.tokens, model.tokens_filled) = (WAKE_TOKENS, at);
        }
        if who == procs {
            model.inject_from_outside();
        } else {
            model.step(who);
        }
    }
    model.counts.ns = model.now;
    model.counts
}

impl Model {
    fn new(procs: usize, load: Load) -> Self {
        let p = || Processor {
            state: State::Parked,
            ring: VecDeque::new(),
            runnext: None,
            chain: 0,
            polls: 0,
            until_maintenance: 0,
            last_maintenance: 0,
            searching: false,
            spin: SPIN_MIN,
            seen: vec![(u64::MAX, 0); procs],
        };
        let mut model = Model {
            load,
            now: 0,
            ps: std::iter::repeat_with(p).take(procs).collect(),
            events: BinaryHeap::new(),
            injector: VecDeque::new(),
            idle: (1..procs).rev().collect(),
            searching: 0,
            tokens: WAKE_TOKENS,
            tokens_filled: 0,
            lock_free_at: 0,
            unjoined: 0,
            counts: Counts::default(),
            dice: 0x9e37_79b9_7f4a_7c15,
        };
        if matches!(load, Load::Outside(_)) {
            model.idle.push(0);
            model.at(0, procs);
        } else {
            model.ps[0].runnext = Some(Goroutine::Main);
            model.ps[0].state = State::Ready;
            model.at(0, 0);
        }
        model
    }

    fn at(&mut self, time: u64, who: usize) {
        self.events.push(Reverse((time, who)));
    }

    /// Takes the dispatch lock for as long as so many looks last.
    fn lock(&mut self, looks: u64) {
        let hold = cost::LOCK + looks * cost::LOOK;
        self.now = self.now.max(self.lock_free_at) + hold;
        self.lock_free_at = self.now;
        self.counts.locks += 1;
        self.counts.looks_locked += looks;
        self.counts.lock_held_ns += hold;
    }

    /// `wake_locked`: an idle M and P, unless somebody is searching; the lock is held.
    fn wake_locked(&mut self) {
        if self.searching > 0 {
            return;
        }
        let Some(p) = self.idle.pop() else { return };
        self.searching += 1;
        self.ps[p].searching = true;
        self.ps[p].state = State::Waking;
        self.counts.wakes += 1;
        self.now += cost::WAKE;
        self.at(self.now + cost::WAKE_LATENCY, p);
    }

    fn inject(&mut self, goroutines: impl IntoIterator<Item = Goroutine>) {
        self.lock(0);
        self.injector.extend(goroutines);
        self.wake_locked();
    }

    fn inject_from_outside(&mut self) {
        let Load::Outside(every) = self.load else {
            unreachable!("only this load has a thread outside")
        };
        let next = self.now + every;
        self.inject([Goroutine::Task]);
        // It may be late itself, when the lock or a wake kept it.
        self.at(next.max(self.now), self.ps.len());
    }

    fn push_local(&mut self, p: usize, goroutine: Goroutine) {
        if self.ps[p].ring.len() < RING {
            return self.ps[p].ring.push_back(goroutine);
        }
        let mut half: Vec<_> = self.ps[p].ring.drain(..RING / 2).collect();
        half.push(goroutine);
        self.inject(half);
    }

    fn wake_for_backlog(&mut self, p: usize) {
        if self.idle.is_empty() || self.searching > 0 {
            return;
        }
        let long = self.ps[p].ring.len() >= STEAL_BACKLOG;
        if !long && self.tokens == 0 {
            return;
        }
        if !long {
            self.tokens -= 1;
        }
        self.lock(0);
        self.wake_locked();
    }

    /// Makes a goroutine ready from a poll on `p`.
    fn schedule(&mut self, p: usize, goroutine: Goroutine) {
        if self.ps[p].runnext.is_none() {
            self.ps[p].runnext = Some(goroutine);
        } else {
            self.push_local(p, goroutine);
            self.wake_for_backlog(p);
        }
    }

    fn go(&mut self, p: usize, goroutine: Goroutine) {
        self.now += cost::SPAWN;
        self.push_local(p, goroutine);
        self.wake_for_backlog(p);
    }

    fn step(&mut self, p: usize) {
        match self.ps[p].state {
            State::Parked => unreachable!("a parked M has no events"),
            State::Waking => {
                self.ps[p].until_maintenance = 0;
                self.ps[p].state = State::Ready;
                self.next(p);
            }
            State::Ready => self.next(p),
            State::Polling(goroutine) => {
                self.end_poll(p, goroutine);
                self.ps[p].polls += 1;
                self.ps[p].state = State::Ready;
                self.now += cost::SWITCH;
                self.next(p);
            }
            State::Searching(since, rounds) => self.search_round(p, since, rounds),
        }
    }

    /// What a goroutine does in the poll that ends now.
    fn end_poll(&mut self, p: usize, goroutine: Goroutine) {
        match (goroutine, self.load) {
            (Goroutine::Main, Load::Pairs(pairs)) => {
                for pair in 0..pairs {
                    self.go(p, Goroutine::Asker(pair));
                }
            }
            (Goroutine::Main, Load::ForkJoin(width, _)) => {
                self.unjoined = width;
                for _ in 0..width {
                    self.go(p, Goroutine::Task);
                }
            }
            (Goroutine::Main, Load::Outside(_)) => unreachable!("nobody starts it"),
            (Goroutine::Asker(pair), _) => self.schedule(p, Goroutine::Actor(pair)),
            (Goroutine::Actor(pair), _) => {
                self.counts.ops += 1;
                self.schedule(p, Goroutine::Asker(pair));
            }
            (Goroutine::Task, Load::ForkJoin(..)) => {
                self.counts.ops += 1;
                self.unjoined -= 1;
                if self.unjoined == 0 {
                    self.schedule(p, Goroutine::Main);
                }
            }
            (Goroutine::Task, _) => self.counts.ops += 1,
        }
    }

    /// Finds something to run and begins it, or begins to search, or parks.
    fn next(&mut self, p: usize) {
        if self.ps[p].until_maintenance == 0
            && let Some(goroutine) = self.maintain(p)
        {
            return self.found(p, goroutine);
        }
        self.ps[p].until_maintenance -= 1;
        if let Some(goroutine) = self.next_local(p) {
            return self.found(p, goroutine);
        }
        let share = self.injector.len() / self.ps.len() + 1;
        if let Some(goroutine) = self.take_injected(p, share.min(RING / 2)) {
            return self.found(p, goroutine);
        }
        self.look_at_timers();
        if !self.ps[p].searching {
            let running = self.ps.len() - self.idle.len();
            if self.ps.len() < 2 || 2 * self.searching >= running.max(1) {
                return self.park(p);
            }
            self.searching += 1;
            self.ps[p].searching = true;
        }
        self.ps[p].seen.fill((u64::MAX, 0));
        self.search_round(p, self.now, 0);
    }

    fn look_at_timers(&mut self) {
        let looks = self.ps.len() as u64;
        self.counts.looks += looks;
        self.now += looks * cost::LOOK;
    }

    fn maintain(&mut self, p: usize) -> Option<Goroutine> {
        let took = self.now - self.ps[p].last_maintenance;
        self.ps[p].last_maintenance = self.now;
        let per_poll = took / MAINTENANCE_POLLS_MAX + 1;
        let interval = (MAINTENANCE_EVERY / per_poll).clamp(1, MAINTENANCE_POLLS_MAX);
        self.ps[p].until_maintenance = interval;
        self.look_at_timers();
        if !self.ps[p].ring.is_empty() {
            self.wake_for_backlog(p);
        }
        self.take_injected(p, 1)
    }

    fn take_injected(&mut self, p: usize, max: usize) -> Option<Goroutine> {
        if self.injector.is_empty() {
            return None;
        }
        self.lock(0);
        let first = self.injector.pop_front();
        for _ in 1..max {
            let Some(goroutine) = self.injector.pop_front() else {
                break;
            };
            self.push_local(p, goroutine);
        }
        first
    }

    fn next_local(&mut self, p: usize) -> Option<Goroutine> {
        let of = &mut self.ps[p];
        if let Some(goroutine) = of.runnext.take() {
            if of.chain < RUNNEXT_CHAIN {
                of.chain += 1;
                return Some(goroutine);
            }
            of.chain = 0;
            if of.ring.is_empty() {
                return Some(goroutine);
            }
            self.push_local(p, goroutine);
        }
        self.ps[p].chain = 0;
        self.ps[p].ring.pop_front()
    }

    fn found(&mut self, p: usize, goroutine: Goroutine) {
        if std::mem::take(&mut self.ps[p].searching) {
            self.searching -= 1;
            self.tokens = WAKE_TOKENS;
            if self.searching == 0 {
                self.lock(0);
                if !self.injector.is_empty() {
                    self.wake_locked();
                }
            }
            if !self.ps[p].ring.is_empty() {
                self.wake_for_backlog(p);
            }
        }
        let takes = match (goroutine, self.load) {
            (Goroutine::Task, Load::ForkJoin(_, ns)) => ns,
            (Goroutine::Task, _) => 10_000,
            _ => 50,
        };
        self.counts.busy_ns += takes;
        self.ps[p].state = State::Polling(goroutine);
        self.at(self.now + takes, p);
    }

    fn search_round(&mut self, p: usize, since: u64, rounds: u32) {
        let spin = self.ps[p].spin;
        if let Some(goroutine) = self.steal(p).or_else(|| self.take_injected(p, 1)) {
            self.ps[p].spin = (spin * 4).min(SPIN_MAX);
            return self.found(p, goroutine);
        }
        let rounds = rounds + 1;
        if rounds.is_multiple_of(16) && self.now - since >= spin {
            self.ps[p].spin = (spin / 2).max(SPIN_MIN);
            return self.park(p);
        }
        self.ps[p].state = State::Searching(since, rounds);
        self.at(self.now + cost::ROUND, p);
    }

    /// One round over the other Ps.
    fn steal(&mut self, p: usize) -> Option<Goroutine> {
        let procs = self.ps.len();
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        let start = self.dice as usize % procs;
        for victim in (0..procs).map(|i| (start + i) % procs) {
            if victim == p {
                continue;
            }
            self.counts.looks += 1;
            self.now += cost::LOOK;
            let backlog = self.ps[victim].ring.len();
            if backlog == 0 && self.ps[victim].runnext.is_none() {
                continue;
            }
            let polls = self.ps[victim].polls;
            let (seen, rounds) = &mut self.ps[p].seen[victim];
            (*seen, *rounds) = (polls, if *seen == polls { *rounds + 1 } else { 0 });
            let aged = *rounds >= STEAL_AGED_ROUNDS;
            let stolen = if backlog >= STEAL_BACKLOG || (aged && backlog > 0) {
                let half = backlog - backlog / 2;
                let batch: Vec<_> = self.ps[victim].ring.drain(..half).collect();
                self.ps[p].ring.extend(&batch[1..]);
                Some(batch[0])
            } else if aged {
                self.ps[victim].runnext.take()
            } else {
                None
            };
            if stolen.is_some() {
                self.counts.steals += 1;
                return stolen;
            }
        }
        None
    }

    fn park(&mut self, p: usize) {
        self.lock(self.ps.len() as u64);
        if std::mem::take(&mut self.ps[p].searching) {
            self.searching -= 1;
        }
        if let Some(goroutine) = self.injector.pop_front() {
            return self.found(p, goroutine);
        }
        self.ps[p].state = State::Parked;
        self.idle.push(p);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOADS: [Load; 3] = [
        Load::Pairs(64),
        Load::ForkJoin(128, 5_000),
        Load::Outside(3_000),
    ];

    #[test]
    fn no_wake_up_is_lost_on_any_number_of_ps() {
        for procs in [1, 2, 3, 16, 128] {
            for load in LOADS {
                assert!(run(procs, load, 5_000).ops >= 5_000);
            }
        }
    }

    #[test]
    fn the_same_run_counts_the_same() {
        for load in LOADS {
            assert_eq!(run(8, load, 5_000), run(8, load, 5_000));
        }
    }

    #[test]
    fn no_p_is_busier_than_the_time_that_passed() {
        for procs in [1, 2, 32] {
            for load in LOADS {
                let counts = run(procs, load, 20_000);
                // A poll counts when it begins, so the last ones may reach beyond the end.
                let most = (counts.ns + 10_000) * procs as u64;
                assert!(counts.busy_ns <= most, "{procs} {load:?} {counts:?}");
                assert!(counts.lock_held_ns <= counts.ns + 10_000, "{counts:?}");
            }
        }
    }

    #[test]
    fn one_p_alone_wakes_and_steals_nothing() {
        let counts = run(1, Load::Pairs(10), 10_000);
        assert_eq!((counts.wakes, counts.steals), (0, 0));
    }

    #[test]
    fn more_ps_do_more_in_the_same_time() {
        let few = run(2, Load::ForkJoin(256, 20_000), 20_000);
        let many = run(16, Load::ForkJoin(256, 20_000), 20_000);
        assert!(many.ns * 5 < few.ns, "{few:?} {many:?}");
    }
}
