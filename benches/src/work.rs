//! The works: what one operation is, and how many make a round.

/// One kind of work; every peer implements each, or says that it has none of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// One asker, one actor: a request and its checked answer.
    Ask,
    /// Eight askers, one actor.
    AskEight,
    /// 64 askers, an actor each.
    AskPairs,
    /// One producer tells, waiting for room; timed until the last message was handled.
    TellOne,
    /// Four producers tell one actor.
    TellFour,
    /// Two actors tell each other; one operation is a round trip, two messages.
    PingPong,
    /// Start an actor, ask it once, let it go.
    Spawn,
    /// Start a task that is no actor and join it.
    SpawnTask,
    /// Four computations of about a millisecond, started together and joined.
    Compute,
}

/// How many pairs [`Work::AskPairs`] has.
pub const PAIRS: u64 = 64;
/// How many askers [`Work::AskEight`] has.
pub const ASKERS: u64 = 8;
/// How many tasks [`Work::Compute`] starts.
pub const COMPUTATIONS: u64 = 4;

impl Work {
    /// All of them, in the order of the table.
    pub const ALL: [Work; 9] = [
        Work::Ask,
        Work::AskEight,
        Work::AskPairs,
        Work::TellOne,
        Work::TellFour,
        Work::PingPong,
        Work::Spawn,
        Work::SpawnTask,
        Work::Compute,
    ];

    /// What the tables call it.
    pub fn name(self) -> &'static str {
        match self {
            Work::Ask => "ask",
            Work::AskEight => "ask, 8 askers, 1 actor",
            Work::AskPairs => "ask, 64 pairs",
            Work::TellOne => "tell, 1 producer",
            Work::TellFour => "tell, 4 producers",
            Work::PingPong => "ping-pong, round trip",
            Work::Spawn => "spawn actor, to its first answer",
            Work::SpawnTask => "spawn task and join",
            Work::Compute => "4 computations of 1 ms",
        }
    }

    /// How many operations one round of `versus` has: the same for every peer.
    pub fn ops(self, quick: bool) -> u64 {
        let full = match self {
            Work::Ask | Work::AskEight => 800_000,
            Work::AskPairs => 1_600_000,
            Work::TellOne | Work::TellFour => 3_200_000,
            Work::PingPong => 400_000,
            Work::Spawn => 160_000,
            Work::SpawnTask => 400_000,
            Work::Compute => 200,
        };
        if quick { full / 20 } else { full }
    }
}

/// About a millisecond of arithmetic that no compiler can shorten; returns a value to check.
#[inline(never)]
pub fn compute(seed: u64) -> u64 {
    let mut x = seed;
    for _ in 0..900_000 {
        x = std::hint::black_box(x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
    }
    x
}
