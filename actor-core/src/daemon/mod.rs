//! The process around a supervision tree: signals, the ordered stop, exit codes, the service manager.
//!
//! ```text
//!   the kernel ──────► signals (thread) ──┐
//!   Supervisor::start ────────── started ─┤
//!   SupervisorRef::wait ─────────── ended ┼──► Inbox ──► Shell (the future of `run`) ──► stop, kill
//!   reload hooks ──────────────  reloaded ┘                 │
//!                                                           └──► READY=1, STOPPING=1, ..
//!
//!              started             SIGTERM, SIGINT          deadline, second signal
//!   Starting ──────────► Running ──────────────────► Stopping ─────────────────► Killed
//!       └──── fails         └──── ends by itself         └──── ended                └── ended, or
//!             ▼                   ▼                            ▼                        1 s over
//!             69, 78              0, 70, 1                     0                        124, 128+n
//! ```
//!
//! What lives here: [`Daemon`] (what to run, and how), [`DaemonExit`] (how it ended, and the code for
//! it). It may use everything down to `supervise`. Unix only. No unsafe code.
//!
//! - One future decides everything, from news that other goroutines and one thread put into its
//!   `Inbox`; news of one kind that it has not looked at are one (`inbox`).
//! - The thread that takes signals is the process's, not the daemon's: nothing that a goroutine does
//!   can keep the third signal from ending the process (`signals`).
//! - The process ends by `run`'s return. Only when the tree was killed and still runs does the shell
//!   end the process itself (`shell`).
#![deny(unsafe_code)]

mod builder;
mod exit;
mod inbox;
mod notify;
#[cfg(target_os = "linux")]
mod orphans;
mod reload;
mod shell;
mod signals;

pub use builder::Daemon;
pub use exit::DaemonExit;
