//! Finds a short run that fails in the same way.
//!
//! The choices are shrunk, not the steps: parts of the list are made plain (0), cut out, cut off, and
//! single ones made smaller, as long as the run still fails so. What is left is, as a rule, the one
//! or two moments that matter. Source: Hypothesis's internal reduction (MacIver and Donaldson, 2020).

/// Runs that may be spent.
const TRIES: usize = 600;
/// Steps that all of them together may take.
const STEPS: u64 = 20_000_000;

/// How good a run is to read: few choices that aren't plain, then few steps, then small numbers.
pub(super) type Cost = (usize, u64, u64);

pub(super) fn cost(trace: &[u32], steps: u64) -> Cost {
    let unplain = trace.iter().filter(|c| **c != 0).count();
    (unplain, steps, trace.iter().map(|c| u64::from(*c)).sum())
}

/// Shrinks a trace. `attempt` runs one and returns what it really chose and its steps, if it fails in
/// the same way.
pub(super) fn shrink<R>(
    first: Vec<u32>,
    steps: u64,
    mut attempt: impl FnMut(Vec<u32>) -> Attempt<R>,
) -> Option<R> {
    let mut search = Search {
        cost: cost(&first, steps),
        best: first,
        found: None,
        tries: 0,
        steps: 0,
        attempt: &mut attempt,
    };
    search.all();
    search.found
}

/// What a try was.
pub(super) struct Attempt<R> {
    pub(super) steps: u64,
    /// Its choices and all else, if it failed in the same way.
    pub(super) failed: Option<(Vec<u32>, R)>,
}

struct Search<'a, R> {
    best: Vec<u32>,
    cost: Cost,
    found: Option<R>,
    tries: usize,
    steps: u64,
    attempt: &'a mut dyn FnMut(Vec<u32>) -> Attempt<R>,
}

impl<R> Search<'_, R> {
    fn is_over(&self) -> bool {
        self.tries >= TRIES || self.steps >= STEPS
    }

    /// Takes this trace if it is better.
    fn attempt(&mut self, trace: Vec<u32>) -> bool {
        if self.is_over() || trace == self.best {
            return false;
        }
        self.tries += 1;
        let tried = (self.attempt)(trace);
        self.steps += tried.steps;
        let Some((mut trace, run)) = tried.failed else {
            return false;
        };
        while trace.last() == Some(&0) {
            trace.pop();
        }
        let cost = cost(&trace, tried.steps);
        if cost >= self.cost {
            return false;
        }
        (self.best, self.cost, self.found) = (trace, cost, Some(run));
        true
    }

    fn all(&mut self) {
        self.attempt(Vec::new());
        loop {
            let before = self.cost;
            self.parts(|trace, from, to| trace[from..to].fill(0));
            self.parts(|trace, from, to| drop(trace.drain(from..to)));
            self.smaller();
            if self.cost >= before || self.is_over() {
                return;
            }
        }
    }

    /// Changes ever smaller parts.
    fn parts(&mut self, change: impl Fn(&mut Vec<u32>, usize, usize)) {
        let mut size = self.best.len().div_ceil(2);
        while size > 0 && !self.is_over() {
            let mut from = self.best.len().saturating_sub(size);
            loop {
                let to = (from + size).min(self.best.len());
                if from < to {
                    let mut trace = self.best.clone();
                    change(&mut trace, from, to);
                    self.attempt(trace); // does nothing if nothing has changed
                }
                if from == 0 || self.is_over() {
                    break;
                }
                from = from.min(self.best.len()).saturating_sub(size);
            }
            size /= 2;
        }
    }

    /// Makes single choices smaller.
    fn smaller(&mut self) {
        let mut at = 0;
        while at < self.best.len() && !self.is_over() {
            let (mut low, mut high) = (0, self.best[at]);
            while low + 1 < high && !self.is_over() {
                let middle = low + (high - low) / 2;
                let mut trace = self.best.clone();
                trace[at] = middle;
                if self.attempt(trace) && at < self.best.len() {
                    high = self.best[at];
                } else {
                    low = middle;
                }
            }
            at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Attempt, shrink};

    #[test]
    fn what_does_not_matter_goes() {
        let first: Vec<u32> = (0..200).map(|n| n * 7919 % 97).collect();
        // Fails if a number above 40 comes somewhere before one above 60.
        let fails = |trace: &[u32]| {
            let first = trace.iter().position(|n| *n > 40);
            first.is_some_and(|first| trace[first + 1..].iter().any(|n| *n > 60))
        };
        assert!(fails(&first));
        let shortest = shrink(first, 200, |trace| Attempt {
            steps: trace.len() as u64,
            failed: fails(&trace).then(|| (trace.clone(), trace)),
        });
        assert_eq!(shortest, Some(vec![41, 61]));
    }

    #[test]
    fn nothing_shorter_is_nothing() {
        let shortest = shrink(vec![1], 1, |_| Attempt::<()> {
            steps: 1,
            failed: None,
        });
        assert_eq!(shortest, None);
    }
}
