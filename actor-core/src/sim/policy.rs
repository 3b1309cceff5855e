//! Who runs next: the policies.

use std::fmt;

use crate::sched::simulated;

/// One of the things that a policy decides.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Ask<'a> {
    /// Which of these goroutines runs next; the one that has waited longest comes first.
    Next(Waiting<'a>),
    /// Which of so many ready arms of a `select` wins.
    Arm(u32),
    /// Any number below this one.
    Number(u32),
    /// Whether a fault happens (1) that is to happen with this probability.
    Fault(f64),
}

impl Ask<'_> {
    /// How many answers there are: 0 up to this, without it.
    #[must_use]
    pub fn count(&self) -> u32 {
        match *self {
            Ask::Next(waiting) => waiting.len() as u32,
            Ask::Arm(n) | Ask::Number(n) => n.max(1),
            Ask::Fault(_) => 2,
        }
    }
}

/// Goroutines that could run next.
#[derive(Debug, Clone, Copy)]
pub struct Waiting<'a>(Who<'a>);

#[derive(Debug, Clone, Copy)]
enum Who<'a> {
    Ready(simulated::Ready<'a>),
    Ids(&'a [u64]),
}

impl PartialEq for Waiting<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && (0..self.len()).all(|at| self.id(at) == other.id(at))
    }
}

impl<'a> Waiting<'a> {
    /// Goroutines with these ids, to try a policy on.
    #[must_use]
    pub fn of(ids: &'a [u64]) -> Self {
        Self(Who::Ids(ids))
    }

    pub(super) fn ready(ready: simulated::Ready<'a>) -> Self {
        Self(Who::Ready(ready))
    }

    /// How many there are: one at least.
    #[must_use]
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        match self.0 {
            Who::Ready(ready) => ready.len(),
            Who::Ids(ids) => ids.len(),
        }
    }

    /// The number of one of them: goroutines are counted from 1 (the test) as they are started.
    ///
    /// # Panics
    /// When there are not so many.
    #[must_use]
    pub fn id(&self, at: usize) -> u64 {
        match self.0 {
            Who::Ready(ready) => ready.id(at),
            Who::Ids(ids) => ids[at],
        }
    }
}

/// Decides everything that a run leaves to chance.
///
/// Four are there: [`RandomWalk`] (the default), [`Pct`], [`RoundRobin`] and [`Exhaustive`]. A policy of
/// your own has to answer from its own state and the questions only, so that a seed means one run.
pub trait Policy: Send {
    /// A run with this seed begins. False when there is nothing left to try.
    fn begin(&mut self, seed: u64) -> bool;
    /// The answer: a number below [`ask.count()`](Ask::count), 0 being the plainest. A larger one counts
    /// as the largest possible.
    fn choose(&mut self, ask: &Ask<'_>) -> u32;
    /// What it is called in reports.
    fn name(&self) -> String;
}

impl fmt::Debug for dyn Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

/// A small generator: splitmix64.
#[derive(Debug, Clone)]
pub(super) struct Rng(u64);

impl Rng {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0xd134_2543_de82_ef95) ^ 0x9e37_79b9_7f4a_7c15)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, n: u32) -> u32 {
        (((self.next() >> 32) * u64::from(n)) >> 32) as u32
    }

    fn happens(&mut self, probability: f64) -> u32 {
        let drawn = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        u32::from(drawn < probability)
    }

    /// The answer to all but `Next`, each as likely as it is to be.
    fn chance(&mut self, ask: &Ask<'_>) -> u32 {
        match *ask {
            Ask::Fault(probability) => self.happens(probability),
            _ => self.below(ask.count()),
        }
    }
}

/// Any ready goroutine, each as likely. Finds most things, and knows nothing of what it looks for.
#[derive(Debug, Clone)]
pub struct RandomWalk(Rng);

impl Default for RandomWalk {
    fn default() -> Self {
        Self(Rng::new(0))
    }
}

impl Policy for RandomWalk {
    fn begin(&mut self, seed: u64) -> bool {
        self.0 = Rng::new(seed);
        true
    }

    fn choose(&mut self, ask: &Ask<'_>) -> u32 {
        self.0.chance(ask)
    }

    fn name(&self) -> String {
        "random walk".to_owned()
    }
}

/// The goroutine that has waited longest, always: the order of a run queue. For tests that want virtual
/// time and nothing else; with one seed, a paused clock.
#[derive(Debug, Clone)]
pub struct RoundRobin(Rng);

impl Default for RoundRobin {
    fn default() -> Self {
        Self(Rng::new(0))
    }
}

impl Policy for RoundRobin {
    fn begin(&mut self, seed: u64) -> bool {
        self.0 = Rng::new(seed);
        true
    }

    fn choose(&mut self, ask: &Ask<'_>) -> u32 {
        match ask {
            Ask::Next(_) => 0,
            _ => self.0.chance(ask),
        }
    }

    fn name(&self) -> String {
        "round robin".to_owned()
    }
}

/// Probabilistic concurrency testing: each goroutine gets a random priority, the highest one that is
/// ready runs, and at `depth - 1` random moments the running one falls behind all others.
///
/// It finds a bug that needs `depth` orderings with a probability of at least 1 / (n k^(depth-1)) a seed,
/// for n goroutines and k steps, where a random walk may have almost none. Most bugs need 2 or 3.
///
/// Source: Burckhardt, Kothari, Musuvathi, Nagarakatte, "A Randomized Scheduler with Probabilistic
/// Guarantees of Finding Bugs", 2010. Ours lowers one that runs very often in a row, too, since in an
/// actor system a goroutine may yield for as long as others don't run; and now and then whoever runs,
/// since some that wait for each other may be busy for as long, as a supervisor that retries is.
#[derive(Debug, Clone)]
pub struct Pct {
    /// How many orderings the bugs may need that it is to find.
    pub depth: u32,
}

impl From<Pct> for Box<dyn Policy> {
    fn from(pct: Pct) -> Self {
        Box::new(Priorities {
            depth: pct.depth.max(1),
            steps: 0,
            rng: Rng::new(0),
            ranks: Vec::new(),
            changes: Vec::new(),
            lowest: 0,
            fair: 0,
            last: 0,
            in_a_row: 0,
        })
    }
}

struct Priorities {
    depth: u32,
    steps: u64,
    rng: Rng,
    /// By goroutine; 0 for one that was not seen yet.
    ranks: Vec<i64>,
    changes: Vec<u64>,
    lowest: i64,
    /// The step at which whoever runs is lowered, so that nobody waits for ever.
    fair: u64,
    last: u64,
    in_a_row: u32,
}

impl Priorities {
    const IN_A_ROW_MAX: u32 = 200;
    /// Steps that are fair come about as often. At random, lest two that take turns are always hit at
    /// the same one's.
    const FAIR: u32 = 1000;

    fn rank(&mut self, who: u64) -> i64 {
        let at = who as usize;
        if self.ranks.len() <= at {
            self.ranks.resize(at + 1, 0);
        }
        if self.ranks[at] == 0 {
            self.ranks[at] = 1 + i64::from(self.rng.below(u32::MAX));
        }
        self.ranks[at]
    }

    fn next_fair(&mut self) -> u64 {
        self.steps + u64::from(Self::FAIR / 2 + self.rng.below(Self::FAIR))
    }

    fn lower(&mut self, who: u64) {
        self.lowest -= 1;
        self.ranks[who as usize] = self.lowest;
    }
}

impl Policy for Priorities {
    fn begin(&mut self, seed: u64) -> bool {
        self.rng = Rng::new(seed);
        self.steps = 0;
        self.ranks.clear();
        // How long the run will be isn't known, and must not depend on other runs.
        let rng = &mut self.rng;
        let within = 64 << rng.below(9);
        self.changes = (1..self.depth)
            .map(|_| u64::from(rng.below(within)))
            .collect();
        (self.lowest, self.last, self.in_a_row) = (0, 0, 0);
        self.fair = self.next_fair();
        true
    }

    fn choose(&mut self, ask: &Ask<'_>) -> u32 {
        let Ask::Next(waiting) = ask else {
            return self.rng.chance(ask);
        };
        self.steps += 1;
        let (mut best, mut rank) = (0, i64::MIN);
        for at in 0..waiting.len() {
            let its = self.rank(waiting.id(at));
            if its > rank {
                (best, rank) = (at, its);
            }
        }
        let who = waiting.id(best);
        self.in_a_row = if who == self.last {
            self.in_a_row + 1
        } else {
            0
        };
        self.last = who;
        let is_fair = self.steps == self.fair;
        if is_fair {
            self.fair = self.next_fair();
        }
        let is_change = self.changes.contains(&self.steps);
        if is_change || is_fair || self.in_a_row > Self::IN_A_ROW_MAX {
            self.in_a_row = 0;
            self.lower(who);
        }
        best as u32
    }

    fn name(&self) -> String {
        format!("PCT of depth {}", self.depth)
    }
}

/// Every order of a tiny case, one after the other; numbers at random are always 0.
///
/// The seeds only bound how many are tried: `seeds(1_000_000)` stops when all orders were.
#[derive(Debug, Clone, Default)]
pub struct Exhaustive {
    /// The choices of this run, with how many there were.
    path: Vec<(u32, u32)>,
    at: usize,
    begun: bool,
}

impl Policy for Exhaustive {
    fn begin(&mut self, _: u64) -> bool {
        self.path.truncate(self.at);
        self.at = 0;
        if !std::mem::replace(&mut self.begun, true) {
            return true;
        }
        while let Some((chosen, n)) = self.path.pop() {
            if chosen + 1 < n {
                self.path.push((chosen + 1, n));
                return true;
            }
        }
        false
    }

    fn choose(&mut self, ask: &Ask<'_>) -> u32 {
        if matches!(ask, Ask::Number(_)) {
            return 0;
        }
        if self.at == self.path.len() {
            self.path.push((0, ask.count()));
        }
        let (chosen, _) = self.path[self.at];
        self.at += 1;
        chosen
    }

    fn name(&self) -> String {
        "exhaustive".to_owned()
    }
}

impl From<RandomWalk> for Box<dyn Policy> {
    fn from(policy: RandomWalk) -> Self {
        Box::new(policy)
    }
}

impl From<RoundRobin> for Box<dyn Policy> {
    fn from(policy: RoundRobin) -> Self {
        Box::new(policy)
    }
}

impl From<Exhaustive> for Box<dyn Policy> {
    fn from(policy: Exhaustive) -> Self {
        Box::new(policy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exhaustive_tries_every_path_once() {
        let mut policy = Exhaustive::default();
        let mut seen = Vec::new();
        while policy.begin(0) {
            let first = policy.choose(&Ask::Arm(3));
            // Only one of the first answers leads to a second question.
            let second = (first == 1).then(|| policy.choose(&Ask::Fault(0.1)));
            seen.push((first, second));
        }
        assert_eq!(seen, [(0, None), (1, Some(0)), (1, Some(1)), (2, None)]);
    }

    #[test]
    fn a_seed_gives_the_same_answers_again() {
        for make in [
            || RandomWalk::default().into(),
            || Pct { depth: 3 }.into(),
            || RoundRobin::default().into(),
        ] as [fn() -> Box<dyn Policy>; 3]
        {
            let mut policy = make();
            let mut run = |seed| {
                policy.begin(seed);
                (0..200)
                    .map(|n| match n % 3 {
                        0 => policy.choose(&Ask::Next(Waiting::of(&[1, 2, 3]))),
                        1 => policy.choose(&Ask::Number(1000)),
                        _ => policy.choose(&Ask::Fault(0.5)),
                    })
                    .collect::<Vec<_>>()
            };
            let (one, other) = (run(1), run(2));
            assert_ne!(one, other);
            assert_eq!(run(1), one);
        }
    }

    #[test]
    fn pct_lets_nobody_wait_for_ever() {
        for seed in 0..20 {
            let mut policy: Box<dyn Policy> = Pct { depth: 1 }.into();
            policy.begin(seed);
            // 2 starts one after the other and waits for each: these have new priorities all the time.
            let ran = (3..100_000).any(|new| {
                let ready = [[1, 2], [1, new]][(new % 2) as usize];
                ready[policy.choose(&Ask::Next(Waiting::of(&ready))) as usize] == 1
            });
            assert!(ran, "{seed}");
        }
    }

    #[test]
    fn pct_runs_the_highest_until_it_is_lowered() {
        let mut policy: Box<dyn Policy> = Pct { depth: 1 }.into();
        policy.begin(7);
        let ready = [1, 2, 3];
        let first = policy.choose(&Ask::Next(Waiting::of(&ready)));
        for _ in 0..Priorities::IN_A_ROW_MAX {
            assert_eq!(policy.choose(&Ask::Next(Waiting::of(&ready))), first);
        }
        policy.choose(&Ask::Next(Waiting::of(&ready)));
        assert_ne!(
            policy.choose(&Ask::Next(Waiting::of(&ready))),
            first,
            "it was lowered"
        );
    }
}
