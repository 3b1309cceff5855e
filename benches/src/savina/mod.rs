//! Ten of Savina's actor benchmarks, each for ours, a hand-written tokio actor and kameo.
//!
//! Savina (Imam and Sarkar, 2014) is the actor community's own set. What an operation is, how the actors
//! talk and what is checked stands at the top of each file. The three versions of one benchmark send
//! the same messages; each is written as its own users write it. Where we depart from Savina:
//!
//! - Mailboxes are bounded (64) and tellers wait for room, except in `big`, where everybody tells
//!   everybody and bounded mailboxes could fill up in a circle.
//! - Who has to wait (a philosopher, a producer, a chameneo) is answered later, instead of being
//!   refused and asking again: the number of messages then doesn't depend on the schedule.
//! - Starting the actors is not timed, except in `fork-join create`.

mod banking;
mod big;
mod bounded_buffer;
mod chameneos;
mod counting;
mod fork_join_create;
mod fork_join_throughput;
mod philosophers;
mod ping_pong;
mod thread_ring;

use std::future::Future;
use std::time::Duration;

/// Those that are compared, in the order of [`Benchmark::run`].
pub const PEERS: [&str; 3] = ["actor-core", "tokio actor", "kameo"];

/// One of them.
#[derive(Debug)]
pub struct Benchmark {
    /// Savina's name for it.
    pub name: &'static str,
    /// What one operation is.
    pub operation: &'static str,
    /// How many operations a round has.
    pub ops: u64,
    /// Does so many operations on a runtime of its own, after an eighth of them to warm up, and
    /// returns how long that took; panics when an answer is wrong. One for each of [`PEERS`].
    pub run: [fn(u64) -> Duration; 3],
}

/// All of them.
pub const ALL: [Benchmark; 10] = [
    ping_pong::BENCHMARK,
    thread_ring::BENCHMARK,
    counting::BENCHMARK,
    fork_join_create::BENCHMARK,
    fork_join_throughput::BENCHMARK,
    chameneos::BENCHMARK,
    big::BENCHMARK,
    banking::BENCHMARK,
    bounded_buffer::BENCHMARK,
    philosophers::BENCHMARK,
];

/// Warms up and runs on a runtime of ours.
fn on_ours<F>(work: impl Fn(u64) -> F, ops: u64) -> Duration
where
    F: Future<Output = Duration> + Send + 'static,
{
    let rt = actor_core::Runtime::new().expect("a runtime");
    rt.run(work(warm_up(ops)));
    rt.run(work(ops))
}

/// Warms up and runs on tokio's multi-thread runtime, as a task.
fn on_tokio<F>(work: impl Fn(u64) -> F, ops: u64) -> Duration
where
    F: Future<Output = Duration> + Send + 'static,
{
    let rt = tokio::runtime::Runtime::new().expect("a runtime");
    let on_a_task = |work: F| rt.block_on(async { tokio::spawn(work).await.expect("the task") });
    on_a_task(work(warm_up(ops)));
    on_a_task(work(ops))
}

fn warm_up(ops: u64) -> u64 {
    (ops / 8).max(1)
}

/// Numbers that look random; the same for every peer.
#[derive(Debug)]
struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Self {
        Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `end`.
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % end
    }

    /// Two numbers below `end`, the first one less than the second.
    fn two_below(&mut self, end: usize) -> (usize, usize) {
        let first = self.below(end - 1);
        (first, first + 1 + self.below(end - 1 - first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_peer_gives_the_right_answers_for_odd_numbers_of_operations() {
        for benchmark in &ALL {
            for (peer, run) in PEERS.iter().zip(benchmark.run) {
                for ops in [1, 9, 1_003] {
                    let took = run(ops);
                    assert!(!took.is_zero(), "{} on {peer}: no time", benchmark.name);
                }
            }
        }
    }

    #[test]
    fn two_dice_are_in_order_and_reach_both_ends() {
        let mut dice = Dice::new(3);
        let mut seen = [[false; 4]; 4];
        for _ in 0..1_000 {
            let (a, b) = dice.two_below(4);
            assert!(a < b && b < 4);
            seen[a][b] = true;
        }
        assert_eq!(seen.as_flattened().iter().filter(|seen| **seen).count(), 6);
    }
}
