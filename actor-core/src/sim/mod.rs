//! Simulation: the same actors under a seed, virtual time and faults.
//!
//! ```text
//!   check(test) ─ for each seed ─▶ world: director of the scheduler ─▶ choices, log, hash
//!                                    │ asks                │ tells
//!                                    ▼                     ▼
//!                            policy (or a trace)    faults, properties, leaks, deadlocks
//!                                                          │ failed
//!                 report: seed, steps, command ◀── shrink ◀┘
//! ```
//! The actors, channels, locks, timers and supervisors of a simulation are the ones that you ship:
//! the runtime is another, chosen when it is built. It has one thread, a clock that moves only when
//! every goroutine waits, and no chance that doesn't come from the seed. So a failure is found by
//! trying many seeds and happens again with the one that found it.
//!
//! ```
//! use std::time::Duration;
//! use actor_core::{prelude::*, sim};
//!
//! struct Alarm { rings: u32 }
//!
//! #[actor]
//! impl Alarm {
//!     #[init]
//!     fn new() -> Self { Alarm { rings: 0 } }
//!
//!     #[every(minutes = 10)]
//!     fn ring(&mut self) { self.rings += 1; }
//!
//!     pub fn rings(&self) -> u32 { self.rings }
//! }
//!
//! sim::check(|sim| async move {
//!     let alarm = Alarm::start().await.unwrap();
//!     sim.advance(Duration::from_secs(24 * 3600)).await; // takes a millisecond
//!     assert_eq!(alarm.rings().await.unwrap(), 6 * 24);
//! })
//! .seeds(20)
//! .run();
//! ```
//!
//! What belongs to the outside can't be simulated. What of it goes through the library is refused, with
//! a text that says what to do instead: blocking, locked and supervised threads, a second runtime,
//! tokio's I/O and timers, and a thread that wakes a goroutine. What doesn't, the wall clock of std, its
//! files and threads, is not seen; code that decides by it is found out by running seeds twice, and the
//! report names the first difference.
//!
//! Start reading with `world.rs` (one run) and `check.rs` (many). The loop that polls is in
//! `sched/simulated.rs`; this layer has no unsafe code.
//!
//! Sources: FoundationDB's simulation, Go's `testing/synctest` (time moves when all are durably
//! blocked), Coyote and shuttle (controlled schedules), PCT (Burckhardt et al., 2010), Hypothesis
//! (shrinking the choices instead of the values).

#![deny(unsafe_code)]

mod check;
mod choices;
mod duration;
mod faults;
mod handle;
mod log;
mod outcome;
mod panics;
mod policy;
mod property;
mod report;
mod shrink;
mod world;

pub use check::{Check, Summary, check};
pub use duration::TimeUnits;
pub use faults::{Faults, Partition};
pub use handle::{Advance, Settle, Sim};
pub use outcome::Outcome;
pub use policy::{Ask, Exhaustive, Pct, Policy, RandomWalk, RoundRobin, Waiting};
pub use report::{Failure, FailureKind};

#[doc(hidden)]
pub use check::check_test;
#[doc(hidden)]
pub use property::{always, sometimes};
