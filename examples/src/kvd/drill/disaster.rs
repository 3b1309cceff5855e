//! What goes wrong in a drill, and when.

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::super::disk::{DiskOp, Failure, Fate};

/// Where all chance of a drill comes from.
#[derive(Clone)]
pub(super) struct Chance(Arc<dyn Fn(usize) -> usize + Send + Sync>);

impl Chance {
    pub(super) fn new(random: impl Fn(usize) -> usize + Send + Sync + 'static) -> Self {
        Self(Arc::new(random))
    }

    /// A number below `bound`.
    pub(super) fn below(&self, bound: usize) -> usize {
        if bound < 2 { 0 } else { (self.0)(bound) }
    }

    pub(super) fn one_in(&self, n: usize) -> bool {
        self.below(n) == 0
    }
}

/// How a round ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    PowerLoss,
    Kill,
    Stop,
}

impl Ending {
    pub(super) fn by(chance: &Chance) -> Self {
        match chance.below(4) {
            0 | 1 => Self::PowerLoss,
            2 => Self::Kill,
            _ => Self::Stop,
        }
    }
}

/// A disk that takes its time and, while it may, refuses an append or a sync now and then.
pub(super) fn fates(
    chance: Chance,
    may_fail: Arc<AtomicBool>,
    lies: bool,
) -> impl FnMut(DiskOp) -> Fate + Send + 'static {
    move |op| {
        let may_fail = may_fail.load(Ordering::SeqCst);
        let failure = match op {
            DiskOp::Append(bytes) if may_fail && chance.one_in(10) => Some(Failure {
                kind: ErrorKind::StorageFull,
                after_bytes: chance.below(bytes + 1),
            }),
            DiskOp::Sync if may_fail && chance.one_in(20) => Some(Failure {
                kind: ErrorKind::Other,
                after_bytes: 0,
            }),
            _ => None,
        };
        let delay_us_max = match op {
            DiskOp::Sync => 2000,
            _ => 200,
        };
        let delay = if chance.one_in(2) {
            Duration::ZERO
        } else {
            Duration::from_micros(chance.below(delay_us_max) as u64)
        };
        Fate {
            delay,
            failure,
            is_a_lie: lies,
        }
    }
}
