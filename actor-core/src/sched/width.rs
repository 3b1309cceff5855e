//! How many Ps may work at once: as many as add throughput.
//!
//! Goroutines that pass each other small messages can be slower on two cores than on one: sixteen senders of
//! one actor moved 15 million messages a second on two Ps and 43 million on one, because the lines of the
//! mailbox went to and fro. No rule about stealing tells them from goroutines that two Ps serve twice as fast.
//! So it is tried, now and then, and only while it can matter:
//!
//! ```text
//!              fine-grained for HOLD ticks             slower, or no fewer ran
//!   all Ps ──────────────────────────────▶ try half ─────────────────────────────▶ all Ps
//!     ▲                                        │ as fast
//!     │ a goroutine computes or blocks         ▼                    no faster
//!     └───────────────────────────────────── half ──▶ try twice as many ──────▶ half
//! ```
//!
//! - What is counted are operations on our primitives that found something, and ends: the work of goroutines
//!   that talk. While each takes more than [`FINE`] of a P's time, or a goroutine computes for long or
//!   blocks, all Ps work.
//! - A P too many isn't taken away. It is not woken for a backlog, and when it has run dry it does not steal.
//!   What comes from outside, or by a timer, is still given to whoever is idle; an M that is woken for it
//!   and finds it taken may steal.
//! - The longer a trial fails, the rarer it is: in the end one that halves the throughput takes some 2 ms
//!   of 260. That is remembered until sysmon has had nothing to watch for long.
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
/// One tick this slow, among those that count, and a trial has failed.
const HOPELESS: f64 = 0.8;

/// What sysmon sees at one tick.
#[derive(Clone, Copy)]
pub(super) struct Seen {
    pub(super) at: Instant,
    /// Of all Ps, so far.
    pub(super) ops: u64,
    /// Ps that an M holds.
    pub(super) running: usize,
    /// A goroutine computes for long, or blocks.
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
    /// Much slower, or no fewer Ps ran than before.
    failed: bool,
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

    /// All Ps may work: what comes next is other work. That trials of fewer have failed is remembered.
    pub(super) fn give_back(&mut self) -> usize {
        if self.now < self.procs {
            self.hold = HOLD_MIN;
        }
        self.now = self.procs;
        self.narrower = true;
        self.state = State::Holding { ticks: 0 };
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
                self.give_back();
            } else if took < LATE {
                self.learn(ops as f64 / took.as_nanos().max(1) as f64, seen.running);
            } else if let State::Trying(trial) = self.state {
                // Nobody knows how it went; another time.
                self.now = trial.from;
                self.state = State::Holding { ticks: 0 };
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
                let ticks = ticks.saturating_add(1);
                self.state = State::Holding { ticks };
                if ticks > self.hold {
                    self.begin_trial(running);
                }
            }
            State::Trying(trial) => {
                let counts = trial.ticks >= SETTLE;
                let narrower = self.now < trial.from;
                let trial = Trial {
                    ticks: trial.ticks + 1,
                    rates: trial.rates + if counts { rate } else { 0.0 },
                    failed: counts
                        && (rate < HOPELESS * self.rate || narrower && running > self.now),
                    ..trial
                };
                self.state = State::Trying(trial);
                if trial.failed || trial.ticks == SETTLE + MEASURE {
                    self.end_trial(trial);
                }
            }
        }
    }

    fn begin_trial(&mut self, running: usize) {
        let to = if self.now > 1 && (self.narrower || self.now == self.procs) {
            // Half of those that run, which may be fewer than could.
            self.now.min(running) / 2
        } else {
            (self.now * 2).min(self.procs)
        };
        if to == 0 || to == self.now {
            return;
        }
        self.state = State::Trying(Trial {
            from: self.now,
            ticks: 0,
            rates: 0.0,
            failed: false,
        });
        self.now = to;
    }

    fn end_trial(&mut self, trial: Trial) {
        let rate = trial.rates / f64::from(trial.ticks - SETTLE);
        let narrower = self.now < trial.from;
        let wanted = if narrower { AS_FAST } else { FASTER };
        if !trial.failed && rate >= wanted * self.rate {
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
    use crate::sched::{Runtime, go, yield_now};

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
    fn work_that_scales_pays_little_for_trials_whatever_comes_between() {
        let mut machine = Machine::new(2);
        let (mut both, mut all) = (0, 0);
        for n in 0..20_000 {
            let running = machine.width.now;
            machine.tick(12 * running as u64, running, n % 20 == 0);
            all += 1;
            both += i32::from(running == 2);
        }
        assert!(f64::from(both) > 0.98 * f64::from(all), "{both} of {all}");
    }

    #[test]
    fn few_that_run_on_many_ps_are_tried_on_fewer() {
        let mut machine = Machine::new(64);
        for _ in 0..100 {
            let running = machine.width.now.min(17);
            machine.tick(if running > 1 { 15 } else { 43 }, running, false);
        }
        assert_eq!(machine.width.now, 1);
    }

    /// Batches that one P stole while another had a backlog, in one run.
    fn steals(rt: &Runtime) -> u64 {
        let before = rt.handle().metrics().steals;
        rt.run(async {
            let busy = || async {
                for _ in 0..200 {
                    yield_now().await;
                }
            };
            let all: Vec<_> = (0..64).map(|_| go(busy())).collect();
            for one in all {
                one.await.unwrap();
            }
        });
        rt.handle().metrics().steals - before
    }

    #[test]
    fn a_p_beyond_the_width_neither_steals_nor_is_woken_for_a_backlog() {
        let rt = Runtime::builder().procs(2).adaptive(false).build().unwrap();
        let begin = std::time::Instant::now();
        while steals(&rt) == 0 {
            assert!(begin.elapsed() < Duration::from_secs(60), "nobody steals");
        }
        rt.handle().shared.set_width(1);
        // A thread that is taken from its core has its work stolen, whatever the width: not in each run.
        assert!((0..50).any(|_| steals(&rt) == 0), "a P at rest steals");
    }

    const EXPECTED: &str = "ACTOR_TEST_EXPECTED";

    /// Run by the test below, in a process of its own.
    #[test]
    #[ignore = "needs the environment that another test gives it"]
    fn built_with_this_environment() {
        let built = Runtime::builder().procs(2).build();
        let is = match &built {
            Ok(rt) => format!("adaptive {}", rt.handle().shared.adaptive),
            Err(error) => error.to_string(),
        };
        assert_eq!(is, std::env::var(EXPECTED).unwrap());
        let explicit = Runtime::builder().procs(2).adaptive(false);
        let explicit = explicit.pinning(crate::sched::Pinning::Off).build();
        assert!(
            !explicit.unwrap().handle().shared.adaptive,
            "the builder wins"
        );
    }

    #[test]
    fn the_environment_overrides_the_defaults_or_is_refused_by_name() {
        let bad = "the environment variable";
        for (name, value, expected) in [
            ("ACTOR_ADAPTIVE", "on", "adaptive true".to_owned()),
            ("ACTOR_ADAPTIVE", "off", "adaptive false".to_owned()),
            ("ACTOR_PINNING", "off", "adaptive true".to_owned()),
            (
                "ACTOR_ADAPTIVE",
                "yes",
                format!("{bad} ACTOR_ADAPTIVE must be one of on, off, not \"yes\""),
            ),
            (
                "ACTOR_PINNING",
                "yes",
                format!("{bad} ACTOR_PINNING must be one of auto, on, off, not \"yes\""),
            ),
        ] {
            let test = "sched::width::tests::built_with_this_environment";
            let child = std::process::Command::new(std::env::current_exe().unwrap())
                .args([test, "--exact", "--ignored"])
                .env(name, value)
                .env(EXPECTED, &expected)
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&child.stdout);
            assert!(child.status.success(), "{name}={value}: {said}");
            assert!(said.contains("1 passed"), "{said}");
        }
    }

    #[test]
    fn a_trial_with_a_late_tick_is_given_up() {
        let mut machine = Machine::new(2);
        let rate = |machine: &mut Machine| machine.tick(30, machine.width.now, false);
        while rate(&mut machine) == 2 {}
        machine.at += Duration::from_secs(1);
        machine.ops += 30_000_000;
        assert_eq!(rate(&mut machine), 2);
        // And comes again as soon.
        let ticks = (0..20).take_while(|_| rate(&mut machine) == 2).count();
        assert!(ticks < 15, "{ticks}");
    }
}
