//! The test kit: probes, mocks, a supervisor to look at, for tests of actors.
//!
//! Everything in it waits in goroutines, on channels and on the library's clock, so a test means the
//! same on the real scheduler and in a simulation.
//!
//! | to check | use |
//! |---|---|
//! | what a peer is sent | [`Probe`], with [`expect_msg!`] for patterns |
//! | what an actor asks another one, and answer it | a mock: [`#[protocol(mock)]`](macro@crate::protocol); [`stand_in_for`] with [`expect_call!`] where the peer's type is fixed |
//! | that an actor ends, or is started again | [`expect_down`], [`expect_restart`] |
//! | what a supervisor does | [`TestSupervisor`] |
//! | that no message is lost | [`dead_letters`] |
//!
//! Each expectation is an [`Expect`]: `.await` it. It waits for 5 s unless told otherwise, and a
//! failure says what was expected and where, what came instead, and what had come before.
//!
//! It uses the layers down to `supervise`, by their public names but for the stand-in of an actor
//! and the scope of dead letters. No unsafe code.
#![deny(unsafe_code)]

mod dead_letters;
mod expect;
mod inbox;
mod lifecycle;
pub mod mock;
mod probe;
mod stand_in;
mod supervisor;

#[doc(inline)]
pub use crate::__testkit_expect_call as expect_call;
#[doc(inline)]
pub use crate::__testkit_expect_msg as expect_msg;
pub use dead_letters::{DeadLetterProbe, dead_letters};
pub use expect::{Expect, WITHIN};
pub use lifecycle::{expect_down, expect_restart};
pub use probe::Probe;
pub use stand_in::stand_in_for;
pub use supervisor::TestSupervisor;
