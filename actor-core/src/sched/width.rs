//! How many Ps may work at once: as many as add throughput.
//!
//! Goroutines that pass each other small messages can be slower on two cores than on one: sixteen senders of
//! one actor moved 15 million messages a second on two Ps and 43 million on one, because the lines of the
//! mailbox went to and fro. No rule about stealing tells them from goroutines that two Ps serve twice as fast.
//! So it is tried, now and then, and only while it can matter:
//!
//! ```text
//!              fine-grained for HOLD ticks             not faster, or not narrower
//!   all Ps ──────────────────────────────▶ try half ─────────────────────────────▶ all Ps
//!     ▲                                        │ as fast
//!     │ a goroutine computes or blocks         ▼                  no faster
//!     └──────────────────────────────────── half the Ps ──▶ try all ──────────▶ half the Ps
//! ```
//!
//! - What is counted are operations on our primitives, and polls: the work of goroutines that talk. While
//!   each takes more than [`FINE`] of a P's time, or a goroutine stands still in its poll with others behind
//!   it, or blocks, all Ps work.
//! - When all Ps have been idle what was learnt is forgotten.
//! - A P too many isn't taken away. It is not woken for a backlog, and when it has run dry it does not steal.
//!   What comes from outside, or by a timer, is still given to whoever is idle.
//! - The longer a trial fails, the rarer it is: in the end one that halves the throughput takes some 2 ms
//!   of 260.
//!
//! Precedents: the BEAM compacts load to fewer schedulers, by their run queues (`+scl`); hill climbing on
//! the measured throughput is what .NET's thread pool does with its number of threads.

use std::time::Duration;

use super::clock::Instant;

/// Work is fine-grained when an operation takes no more of a P's time than this: one on a mailbox for which
/// many Ps compete can take a microsecond.
const FINE: Duration = Duration::from_micros(2);

/// Ticks between two trials, at first and at most.
const HOLD_MIN: u32 = 8;
const HOLD_MAX: u32 = 256;

/// Ticks of a trial: one in which things settle, and those that count.
const SETTLE: u32 = 1;
const MEASURE: u32 = 2;

/// A tick this late says nothing.
const LATE: Duration = Duration::from_millis(10);

/// Fewer Ps must be this fast at least, and more this much faster.
const AS_FAST: f64 = 0.97;
const FASTER: f64 = 1.1;
/// One tick this slow ends a trial.
const HOPELESS: f64 = 0.8;

/// What sysmon sees at one tick.
#[derive(Clone, Copy)]
pub(super) struct Seen {
    pub(super) at: Instant,
    /// Of all Ps, so far.
    pub(super) ops: u64,
    /// Ps that an M holds.
    pub(super) running: usize,
    /// A goroutine computes or blocks.
    pub(super) coarse: bool,
}

/// See the file's comment.
pub(super) struct Width {
    procs: usize,
    now: usize,
    /// Operations per nanosecond, about, with so many Ps.
    rate: f64,
    /// The next trial is of fewer Ps, if both are possible.
    narrower: bool,
    hold: u32,
    state: State,
    last: Option<Seen>,
}

#[derive(Clone, Copy)]
enum State {
    Holding { ticks: u32 },
    Trying(Trial),
}

#[derive(Clone, Copy)]
struct Trial {
    from: usize,
    ticks: u32,
    /// The sum of the ticks that count.
    rates: f64,
    /// So few Ps ran in each of them as are on trial.
    kept: bool,
}

impl Width {
    pub(super) fn new(procs: usize) -> Self {
        Self {
            procs,
            now: procs,
            rate: 0.0,
            narrower: true,
            hold: HOLD_MIN,
            state: State::Holding { ticks: 0 },
            last: None,
        }
    }

    /// All Ps may work, as if nothing had been learnt: what comes next is other work.
    pub(super) fn reset(&mut self) -> usize {
        let last = self.last;
        *self = Self::new(self.procs);
        self.last = last;
        self.now
    }

    /// How many Ps may work from now on.
    pub(super) fn tick(&mut self, seen: Seen) -> usize {
        if let Some(last) = self.last.replace(seen) {
            let took = seen.at - last.at;
            let ops = seen.ops - last.ops;
            let of_all = took * u32::try_from(seen.running).unwrap_or(u32::MAX);
            let is_coarse = of_all.as_nanos() > u128::from(ops) * FINE.as_nanos();
            if seen.coarse || is_coarse || seen.running == 0 {
                self.reset();
            } else if took < LATE {
                self.learn(ops as f64 / took.as_nanos().max(1) as f64, seen.running);
            }
        }
        self.now
    }

    fn learn(&mut self, rate: f64, running: usize) {
        match self.state {
            State::Holding { ticks } => {
                self.rate = if ticks == 0 {
                    rate
                } else {
                    (3.0 * self.rate + rate) / 4.0
                };
                self.state = State::Holding { ticks: ticks + 1 };
                if ticks >= self.hold {
                    self.begin_trial(running);
                }
            }
            State::Trying(trial) => {
                let counts = trial.ticks >= SETTLE;
                let trial = Trial {
                    ticks: trial.ticks + 1,
                    rates: trial.rates + if counts { rate } else { 0.0 },
                    kept: trial.kept && (!counts || running <= self.now),
                    ..trial
                };
                self.state = State::Trying(trial);
                if trial.ticks == SETTLE + MEASURE || counts && rate < HOPELESS * self.rate {
                    self.end_trial(trial);
                }
            }
        }
    }

    fn begin_trial(&mut self, running: usize) {
        let narrower = self.now > 1 && (self.narrower || self.now == self.procs);
        let to = if narrower {
            self.now / 2
        } else {
            (self.now * 2).min(self.procs)
        };
        if narrower && running <= to {
            return; // they are so few by themselves
        }
        self.state = State::Trying(Trial {
            from: self.now,
            ticks: 0,
            rates: 0.0,
            kept: true,
        });
        self.now = to;
    }

    fn end_trial(&mut self, trial: Trial) {
        let rate = trial.rates / f64::from(trial.ticks - SETTLE);
        let narrower = self.now < trial.from;
        let pays = if narrower {
            trial.kept && rate >= AS_FAST * self.rate
        } else {
            rate > FASTER * self.rate
        };
        if pays {
            self.hold = HOLD_MIN;
            self.narrower = narrower;
        } else {
            self.now = trial.from;
            self.hold = (4 * self.hold).min(HOLD_MAX);
            self.narrower = !narrower;
        }
        self.state = State::Holding { ticks: 0 };
    }
}

#[cfg(all(test, not(actor_loom)))]
mod tests {
    use super::*;

    /// Ticks of a millisecond for work whose rate, in operations per microsecond, depends on the Ps.
    struct Machine {
        width: Width,
        at: Instant,
        ops: u64,
    }

    impl Machine {
        fn new(procs: usize) -> Self {
            Self {
                width: Width::new(procs),
                at: Instant::now(),
                ops: 0,
            }
        }

        /// The widths of so many ticks.
        fn run(&mut self, ticks: u32, rate: impl Fn(usize) -> u64) -> Vec<usize> {
            let tick = |_| {
                let running = self.width.now;
                self.tick(rate(running), running, false)
            };
            (0..ticks).map(tick).collect()
        }

        fn tick(&mut self, rate: u64, running: usize, coarse: bool) -> usize {
            self.at += Duration::from_millis(1);
            self.ops += 1000 * rate;
            self.width.tick(Seen {
                at: self.at,
                ops: self.ops,
                running,
                coarse,
            })
        }
    }

    fn share(widths: &[usize], of: usize) -> f64 {
        let those = widths.iter().filter(|width| **width == of).count();
        those as f64 / widths.len() as f64
    }

    #[test]
    fn work_that_is_slower_on_two_ps_gets_one() {
        let mut machine = Machine::new(2);
        let widths = machine.run(1000, |ps| if ps == 1 { 43 } else { 30 });
        assert!(share(&widths[20..], 1) > 0.95, "{}", share(&widths, 1));
    }

    #[test]
    fn work_that_is_as_fast_on_one_p_gets_one() {
        let mut machine = Machine::new(2);
        let widths = machine.run(1000, |_| 30);
        assert!(share(&widths[20..], 1) > 0.95, "{}", share(&widths, 1));
    }

    #[test]
    fn work_that_two_ps_do_faster_keeps_both() {
        let mut machine = Machine::new(2);
        let widths = machine.run(5000, |ps| 12 * ps as u64);
        assert!(share(&widths, 2) > 0.98, "{}", share(&widths, 2));
        assert!(widths.contains(&1), "it is tried");
    }

    #[test]
    fn the_best_of_many_widths_is_found_and_left_again() {
        let mut machine = Machine::new(32);
        // A group of goroutines that four Ps serve best.
        let four = |ps: usize| 40 * ps.min(4) as u64 / (ps as u64).div_ceil(4);
        let widths = machine.run(2000, four);
        assert!(
            share(&widths[200..], 4) > 0.7,
            "{}",
            share(&widths[200..], 4)
        );
        // Now all pay.
        let widths = machine.run(5000, |ps| 10 * ps as u64);
        assert!(share(&widths[3000..], 32) > 0.9, "{}", share(&widths, 32));
    }

    #[test]
    fn whoever_computes_or_blocks_has_all_ps_at_once() {
        let mut machine = Machine::new(2);
        machine.run(100, |ps| if ps == 1 { 43 } else { 30 });
        assert_eq!(machine.width.now, 1);
        assert_eq!(machine.tick(43, 1, true), 2);

        machine.run(100, |ps| if ps == 1 { 43 } else { 30 });
        assert_eq!(machine.width.now, 1);
        // None in a millisecond, as in a computation.
        assert_eq!(machine.tick(0, 1, false), 2);
    }

    #[test]
    fn coarse_work_is_never_put_on_fewer_ps() {
        let mut machine = Machine::new(2);
        let widths = machine.run(1000, |ps| if ps == 1 { 1 } else { 0 });
        assert_eq!(share(&widths, 2), 1.0);
    }

    #[test]
    fn ps_that_go_on_beside_the_trial_prove_nothing() {
        let mut machine = Machine::new(2);
        let widths: Vec<_> = (0..1000).map(|_| machine.tick(30, 2, false)).collect();
        assert!(share(&widths, 2) > 0.9, "{}", share(&widths, 2));
    }

    #[test]
    fn a_late_tick_says_nothing() {
        let mut machine = Machine::new(2);
        machine.run(12, |ps| 12 * ps as u64);
        machine.at += Duration::from_secs(1);
        machine.ops += 24_000_000;
        let before = machine.width.now;
        assert_eq!(machine.tick(24, 2, false), before);
    }
}
