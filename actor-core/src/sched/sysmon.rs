//! sysmon: one thread without a P that watches the others.
//!
//! Each tick it
//! 1. refills the wake tokens and, when nobody else did, fires overdue timers and turns I/O;
//! 2. wakes an M for a P that stands still with work behind it, if a P is idle;
//! 3. marks a P whose poll lasts `STUCK_AFTER` as *stuck*, and while fewer than `procs` Ps make
//!    progress and work waits, starts a *spare* P on another M. A P can't be taken from under a
//!    running poll (the M may touch it any moment), so the stuck M keeps it; its ring and `runnext`
//!    are stolen by the spare. Whoever watches over handlers is told (`working`);
//! 4. learns how many Ps pay (`width.rs`).
//!
//! A poll that blocks (its thread sleeps in the kernel) is made up for without bound, up to the
//! limit on Ms. One that computes takes part in the kernel's sharing of the cores instead; at most
//! `procs` of those are made up for. When a stuck poll ends its M clears the mark, and the next
//! spare that ends a poll finds one P too many and retires.
//!
//! The mark may be late: sysmon marks when it has seen one odd poll counter for long enough, and
//! the poll may end just then. The M looks at the mark after each poll and when it parks, so the
//! mistake lasts one poll, and costs a spare M that retires.
//!
//! With all Ps idle for `SYSMON_IDLE_TICKS` it sleeps until an M is sent off.

use super::clock::Instant;
use super::deadlock::OurThread;
use super::dispatch::Wake;
use super::shared::Shared;
use super::tuning;
use super::width::{Seen, Width};
use super::working;
use crate::shim::Arc;
use crate::shim::atomic::{AtomicBool, Ordering};
use parking_lot::{Condvar, Mutex};

#[derive(Debug, Default)]
pub(crate) struct Bed {
    asleep: AtomicBool,
    stop: Mutex<bool>,
    bell: Condvar,
}

impl Bed {
    /// An M is on its way: sysmon has somebody to watch.
    #[inline]
    pub(crate) fn wake(&self) {
        // ORDERING: SeqCst: with the store in `run`, either this load sees it, or sysmon, which
        // looks once more after it, sees the held P.
        if self.asleep.load(Ordering::SeqCst) {
            let _stop = self.stop.lock();
            self.asleep.store(false, Ordering::SeqCst);
            self.bell.notify_one();
        }
    }

    pub(crate) fn stop(&self) {
        *self.stop.lock() = true;
        self.bell.notify_one();
    }
}

#[derive(Clone, Copy)]
struct Watch {
    polls: u64,
    since: Instant,
    /// The stuck poll computes; such a one is made up for only `procs` times.
    computes: bool,
    /// When others were told of it.
    told: Option<Instant>,
}

pub(crate) fn run(shared: &Arc<Shared>) {
    let _ours = OurThread::new();
    let mut watches: Vec<Watch> = Vec::new();
    let mut width = Width::new(shared.procs);
    let mut idle_ticks = 0;
    loop {
        {
            let bed = &shared.bed;
            let mut stop = bed.stop.lock();
            if idle_ticks >= tuning::SYSMON_IDLE_TICKS {
                width = Width::new(shared.procs);
                bed.asleep.store(true, Ordering::SeqCst);
                // An M that was sent off before the store did not ring the bell.
                if !busy(shared) {
                    while bed.asleep.load(Ordering::SeqCst) && !*stop {
                        bed.bell.wait(&mut stop);
                    }
                }
                bed.asleep.store(false, Ordering::SeqCst);
                idle_ticks = 0;
            } else if !*stop {
                bed.bell.wait_for(&mut stop, tuning::SYSMON_TICK);
            }
            if *stop {
                return;
            }
        }
        let now = Instant::now();
        shared.refill_wake_tokens();
        shared.join_retired();
        if !busy(shared) {
            shared.set_width(width.give_back());
            // A turn of ours may have kept the last M that parked out of the driver.
            #[cfg(feature = "tokio")]
            if shared.driver.is_free() && !shared.is_stopping() {
                shared.send(shared.dispatch.wake_one());
            }
            idle_ticks += 1;
            continue;
        }
        idle_ticks = 0;
        shared.fire_overdue(now);
        #[cfg(feature = "tokio")]
        shared.driver.turn_if_neglected(now);
        let computes = watch(shared, &mut watches, now);
        let long = shared.take_long_polls();
        if shared.adaptive {
            let blocks = shared.blocked() > 0 || shared.stuck.load(Ordering::Relaxed) > 0;
            shared.set_width(width.tick(Seen {
                at: now,
                ops: shared.work_done(),
                running: shared.procs.saturating_sub(shared.dispatch.idle_ps()),
                coarse: computes || long || blocks,
            }));
        }
    }
}

/// Whether there is anything to watch.
fn busy(shared: &Shared) -> bool {
    let inner = shared.dispatch.lock();
    inner.held > 0
        || !inner.injector.is_empty()
        || shared.blocked() > 0
        || shared.stuck.load(Ordering::Relaxed) > 0
}

/// Whether a poll goes on for long with work behind it.
fn watch(shared: &Arc<Shared>, watches: &mut Vec<Watch>, now: Instant) -> bool {
    let injected = shared.dispatch.injected() > 0;
    let mut waiting = injected;
    let mut stands_still = injected;
    let mut computes = false;
    let mut computing = 0;
    let count = shared.processor_count();
    watches.resize(
        count,
        Watch {
            polls: 0,
            since: now,
            computes: false,
            told: None,
        },
    );
    for (index, watch) in watches.iter_mut().enumerate() {
        let p = shared.processor(index);
        let polls = p.polls();
        let work = p.has_work();
        waiting |= work;
        if polls & 1 == 0 && p.clear_stuck() {
            // A mark that came too late, on a P that is idle by now.
            shared.stuck.fetch_sub(1, Ordering::AcqRel);
        }
        if polls != watch.polls {
            *watch = Watch {
                polls,
                since: now,
                computes: false,
                told: None,
            };
            continue;
        }
        // The same poll as a tick ago, or an M that the kernel suspended between two.
        stands_still |= work;
        if polls & 1 == 0 {
            watch.since = now;
            continue;
        }
        computes |= work && now - watch.since >= tuning::SYSMON_TICK;
        if now - watch.since >= tuning::STUCK_AFTER {
            if !p.is_stuck() {
                // Counted first: whoever clears the mark takes the count back.
                shared.stuck.fetch_add(1, Ordering::AcqRel);
                if !p.set_stuck() {
                    shared.stuck.fetch_sub(1, Ordering::AcqRel);
                }
            }
            // Again now and then: what the poll is stuck in may begin late.
            if watch
                .told
                .is_none_or(|told| now - told >= tuning::STUCK_TOLD_EACH)
            {
                watch.told = Some(now);
                working::stuck();
            }
            watch.computes = !shared.holder_is_blocked(index);
            computing += usize::from(watch.computes);
        }
    }
    if shared.dispatch.idle_ps() > 0 {
        // Insurance against every policy that decided not to wake somebody.
        if stands_still && shared.dispatch.searching() == 0 {
            shared.send(shared.dispatch.wake_one());
        }
        return computes;
    }
    if waiting {
        compensate(shared, computing);
    }
    computes
}

/// Starts spare Ps until as many make progress as there are cores.
fn compensate(shared: &Arc<Shared>, computing: usize) {
    loop {
        let wake = {
            let mut inner = shared.dispatch.lock();
            let stuck = shared.stuck.load(Ordering::Acquire);
            let running = inner.held.saturating_sub(stuck);
            // Computing Ps beyond the bound count as running: their cores are busy.
            let beyond = computing.saturating_sub(shared.procs);
            if inner.stopping || !inner.idle_ps.is_empty() || running + beyond >= shared.procs {
                return;
            }
            let Some(p) = inner.spare_ps.pop().or_else(|| shared.new_spare_p()) else {
                return;
            };
            inner.held += 1;
            let wake = shared.dispatch.hand_to_someone(&mut inner, p);
            shared.dispatch.publish(&inner);
            wake
        };
        if matches!(wake, Wake::Nobody) || !shared.send(wake) {
            return;
        }
    }
}
