//! Every policy constant of the scheduler, in one place, with the reason for its value.
//!
//! They are guesses until measured: `ARCHITECTURE.md` tells what each measurement said.

use std::time::Duration;

/// Slots of a P's ring; a power of two. Four under loom, so that wrap and overflow are modelled.
pub(crate) const RING: usize = if cfg!(actor_loom) { 4 } else { 256 };

/// Polls of `runnext` in a row before it has to queue behind the ring (Go bounds this by time).
pub(crate) const RUNNEXT_CHAIN: u32 = 16;

/// Operations on our primitives that one poll may complete before it has to yield.
pub(crate) const BUDGET: u32 = 128;

/// At most this many polls between two looks at timers, the injector and I/O.
pub(crate) const MAINTENANCE_POLLS_MAX: u32 = 61;

/// So much time between two such looks, on an M that had something to run all the time, is that of a long
/// poll: of a goroutine that computes, and should have other Ps beside it.
pub(crate) const LONG: Duration = Duration::from_micros(200);

/// Aim of the self-tuned distance between two such looks.
pub(crate) const MAINTENANCE_EVERY: Duration = Duration::from_micros(50);

/// A victim whose ring holds this many goroutines is stolen from at once; a shorter backlog is
/// left to its owner unless the owner's poll counter stands still. Stealing the partner of a
/// talking pair costs far more than it gains.
pub(crate) const STEAL_BACKLOG: usize = 8;

/// Search rounds without progress of the victim before its short backlog or `runnext` is stolen.
pub(crate) const STEAL_AGED_ROUNDS: u32 = 8;

/// A searching M spins this long at least before it parks, and at most so long: a search that found
/// work to steal makes the next one four times as long, another halves it. (Fixed at 40 µs, four
/// computations of a millisecond on two cores lost 12 % to parking just before the next batch; fixed
/// at 150 µs, every idle moment would cost as much.)
pub(crate) const SPIN_MIN: Duration = Duration::from_micros(20);
pub(crate) const SPIN_MAX: Duration = Duration::from_micros(160);

/// Wakes per sysmon tick that may turn out useless (the woken M found nothing to steal).
pub(crate) const WAKE_TOKENS: u32 = 2;

/// sysmon's tick while goroutines run.
pub(crate) const SYSMON_TICK: Duration = Duration::from_millis(1);

/// Ticks without a running P before sysmon sleeps until somebody wakes it.
pub(crate) const SYSMON_IDLE_TICKS: u32 = 100;

/// A poll that lasts this long is stuck: its P's work is given to another M.
pub(crate) const STUCK_AFTER: Duration = Duration::from_millis(8);

/// How often those who watch over handlers are told of one stuck poll.
pub(crate) const STUCK_TOLD_EACH: Duration = Duration::from_millis(50);

/// How long an M beyond the number of Ps stays parked before its thread ends, unless the builder
/// says otherwise.
pub(crate) const MACHINE_KEEP_ALIVE: Duration = Duration::from_secs(10);

/// Default upper bound on Ms (OS threads) of one runtime.
pub(crate) const MACHINES_MAX: usize = 512;

/// How long dropping a runtime waits for goroutines that do not yield.
pub(crate) const SHUTDOWN_WITHIN: Duration = Duration::from_secs(10);

/// Busy Ms turn the I/O driver this often (a turn costs about half a microsecond).
#[cfg(feature = "tokio")]
pub(crate) const IO_EVERY: Duration = Duration::from_micros(100);
