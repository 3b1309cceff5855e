//! Monitors: being told once of an actor's end, one way. Erlang's `monitor/2`.
//!
//! A monitor belongs to the incarnation that lives when it is made, as OTP's belongs to a pid. Two
//! ends: a future's slot (this file), or the control lane of an actor (`ties`).

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        // Not the shim's: loom has no statics, and a counter of names needs no model.
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
};

use super::{
    ActorId, ExitReason,
    ties::{self, Peer},
};
use crate::{
    sched::{
        block_on_thread, coop, simulated,
        wait::{self, Wait, WaitKind},
    },
    shim::Mutex,
};

/// Names one monitor; no two in a process have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MonitorId(u64);

impl MonitorId {
    pub(super) fn next() -> Self {
        static LAST: AtomicU64 = AtomicU64::new(0);
        if let Some(id) = simulated::next_id() {
            return Self(id);
        }
        // ORDERING: Relaxed: only uniqueness counts.
        Self(LAST.fetch_add(1, Ordering::Relaxed) + 1)
    }
}

/// The end of a monitored actor: Erlang's `'DOWN'` message.
///
/// It tells of one incarnation. An actor that its supervisor starts again has ended all the same:
/// monitor it anew, in `#[down]` for example, to be told of the next end.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Down {
    /// The monitor that it answers.
    pub monitor: MonitorId,
    /// The actor that ended.
    pub id: ActorId,
    /// Its name.
    pub name: Arc<str>,
    /// Which of its lives; 0 if it was never started.
    pub incarnation: u64,
    /// How it ended; [`NoProc`](ExitReason::NoProc) if it did not live when the monitor was made, and
    /// was not started again.
    pub reason: ExitReason,
}

impl fmt::Display for Down {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{} {}", self.name, self.id, self.reason)
    }
}

/// Where an end is put for a [`Monitor`].
#[derive(Default)]
pub(super) struct Slot(Mutex<Filling>);

#[derive(Default)]
struct Filling {
    down: Option<Down>,
    waker: Option<Waker>,
}

impl Slot {
    pub(super) fn fill(&self, down: Down) {
        let mut filling = self.0.lock();
        filling.down = Some(down);
        let waker = filling.waker.take();
        drop(filling);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// The future of a monitored actor's end, made by [`ActorRef::monitor`](super::ActorRef::monitor).
///
/// Its output is the [`Down`]. It stays ready: awaited again (`(&mut monitor).await`) it says the
/// same. It keeps no actor alive, as a handle does. Dropping it takes the monitor away.
#[must_use = "a monitor is taken away when it is dropped: keep it, and await it"]
pub struct Monitor {
    id: MonitorId,
    target: Arc<dyn Peer>,
    slot: Arc<Slot>,
}

impl Monitor {
    pub(crate) fn new(target: Arc<dyn Peer>) -> Self {
        let (id, slot) = (MonitorId::next(), Arc::default());
        ties::watch_from_outside(&*target, id, &slot);
        Self { id, target, slot }
    }

    /// The id that its [`Down`] will carry.
    #[must_use]
    pub fn id(&self) -> MonitorId {
        self.id
    }

    /// The end, if it has been told already.
    #[must_use]
    pub fn try_down(&self) -> Option<Down> {
        self.slot.0.lock().down.clone()
    }

    /// Waits on a thread that is not a goroutine, and blocks it. Inside a goroutine it blocks the
    /// machine, which the scheduler then replaces: await instead.
    pub fn blocking(self) -> Down {
        block_on_thread(self)
    }
}

impl Future for Monitor {
    type Output = Down;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Down> {
        if coop::poll_proceed(cx).is_pending() {
            return Poll::Pending;
        }
        let mut filling = self.slot.0.lock();
        if let Some(down) = &filling.down {
            return Poll::Ready(down.clone());
        }
        Wait::of(WaitKind::Lifecycle).note(cx.waker());
        let is_known = |kept: &Waker| wait::same(kept, cx.waker());
        let mut old = None;
        if !filling.waker.as_ref().is_some_and(is_known) {
            old = filling.waker.replace(wait::keep(cx.waker()));
        }
        drop(filling);
        drop(old);
        Poll::Pending
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        ties::unwatch_from_outside(&*self.target, self.id);
        let waker = self.slot.0.lock().waker.take();
        drop(waker);
    }
}

impl fmt::Debug for Monitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Monitor")
            .field("id", &self.id.0)
            .field(
                "actor",
                &format_args!("{}#{}", self.target.name(), self.target.id()),
            )
            .field("down", &self.try_down())
            .finish()
    }
}
