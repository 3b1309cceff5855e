//! What the benches share: the works that are measured and the peers that run them.
//!
//! A peer is a runtime with actors on it. Its file (`peers/`) says in that peer's own idiom what the
//! works (`work/`) are written in. The rules that make the figures comparable:
//!
//! - Askers, tellers and actors are tasks inside the runtime; the thread that waits for them
//!   measures nothing. The clock starts and stops inside a task, after what is set up.
//! - One worker per core, where a peer has a choice. Mailboxes hold 64 messages, the default of
//!   kameo and of ours, where they have a bound; a teller waits for room.
//! - A peer's runtime is built before its measurement and shut down after it, so that no other
//!   peer's worker spins, steals or ticks meanwhile.
//!
//! `versus` alternates the peers over several rounds and prints medians; the criterion bench
//! `first_numbers` runs some of the works for a look at the distributions.

pub mod counting_alloc;
pub mod external;
pub mod gap;
pub mod instructions;
pub mod peers;
pub mod protocol;
pub mod report;
pub mod savina;
pub mod stalls;
pub mod work;

pub use peers::{Kameo, Ours, Peer, Tokio};
pub use work::Work;

/// How many messages a mailbox holds, for every peer.
pub const MAILBOX_CAPACITY: usize = 64;

/// What an actor says that panics on purpose; `versus` doesn't print it.
pub const CRASH: &str = "crash on purpose";

/// How many cores this process may use, which is every peer's default number of workers.
///
/// # Panics
///
/// When the operating system doesn't say.
pub fn cores() -> usize {
    std::thread::available_parallelism()
        .expect("the number of cores")
        .get()
}
