//! Programs that show how actors are meant to be used.
#![forbid(unsafe_code)]

pub mod kvd;
pub mod linear;

/// The book's samples, compiled and run as doctests.
#[cfg(doctest)]
mod book {
    #[doc = include_str!("../../book/src/first-steps.md")]
    struct FirstSteps;
    #[doc = include_str!("../../book/src/actors.md")]
    struct ActorsAndSupervision;
    #[doc = include_str!("../../book/src/mailboxes.md")]
    struct Mailboxes;
    #[doc = include_str!("../../book/src/calls.md")]
    struct BeyondAskAndTell;
    #[doc = include_str!("../../book/src/failures.md")]
    struct EndsAndWhoIsTold;
    #[doc = include_str!("../../book/src/names-and-groups.md")]
    struct NamesAndGroups;
    #[doc = include_str!("../../book/src/routers.md")]
    struct Routers;
    #[cfg(unix)]
    #[doc = include_str!("../../book/src/daemon.md")]
    struct Daemon;
    #[doc = include_str!("../../book/src/testing.md")]
    struct TestingActors;
    #[doc = include_str!("../../book/src/simulation.md")]
    struct Simulation;
    #[doc = include_str!("../../book/src/go-by-example.md")]
    struct GoByExample;
    #[doc = include_str!("../../book/src/goroutines.md")]
    struct Goroutines;
    #[doc = include_str!("../../book/src/gmp.md")]
    struct Gmp;
    #[doc = include_str!("../../book/src/channels.md")]
    struct Channels;
    #[doc = include_str!("../../book/src/channel-parameters.md")]
    struct ChannelParameters;
    #[doc = include_str!("../../book/src/buffered-channels.md")]
    struct BufferedChannels;
    #[doc = include_str!("../../book/src/select.md")]
    struct Select;
    #[doc = include_str!("../../book/src/timers.md")]
    struct Timers;
    #[doc = include_str!("../../book/src/context.md")]
    struct Context;
    #[doc = include_str!("../../book/src/race-conditions.md")]
    struct RaceConditions;
    #[doc = include_str!("../../book/src/mutex.md")]
    struct Mutex;
    #[doc = include_str!("../../book/src/rwlock.md")]
    struct Rwlock;
    #[doc = include_str!("../../book/src/deadlock.md")]
    struct Deadlock;
    #[doc = include_str!("../../book/src/wait-group.md")]
    struct WaitGroup;
    #[doc = include_str!("../../book/src/once.md")]
    struct Once;
    #[doc = include_str!("../../book/src/pool.md")]
    struct Pool;
}
