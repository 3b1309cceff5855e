//! `Sim`: what a test has of its simulation.

use std::fmt;
use std::future::{Future, IntoFuture, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use super::Faults;
use super::world;
use crate::actor::{Actor, StartError};
use crate::sched::Instant;
use crate::sched::simulated::START;
use crate::sched::wait::{Wait, WaitKind};
use crate::supervise::{Child, Supervisor};

/// The simulation that a test runs in: its clock, its faults, its chance.
///
/// A test gets `&'static Sim`, so that its goroutines can have it, too. Used anywhere else it panics.
#[derive(Clone)]
pub struct Sim(());

impl Sim {
    /// Which simulation it is says the thread: so one is enough for all.
    pub(super) fn the() -> &'static Self {
        static THE: Sim = Sim(());
        &THE
    }

    /// The simulated time: what [`Instant::now`] says in here.
    #[must_use]
    pub fn now(&self) -> Instant {
        Instant::now()
    }

    /// How much simulated time has passed since the test began.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        Instant::now() - START
    }

    /// Lets so much time pass at the next [`settle`](Self::settle), or at once if it is awaited.
    ///
    /// Timers on the way fire one after the other, each at its time, and all that they set off is done
    /// before the next. Several calls add up. Time passes without it, too, whenever everybody waits
    /// and the test waits for something else than `settle`.
    ///
    /// ```
    /// use std::time::Duration;
    /// use actor_core::{Instant, sim};
    ///
    /// sim::check(|sim| async move {
    ///     let begin = Instant::now();
    ///     sim.advance(Duration::from_secs(60)).await;
    ///     assert_eq!(begin.elapsed(), Duration::from_secs(60));
    /// })
    /// .run();
    /// ```
    pub fn advance(&self, by: Duration) -> Advance {
        world::current().advance(by);
        Advance(())
    }

    /// Waits until everybody else waits for something that the present doesn't bring: no goroutine is
    /// ready, no timer is due. Go's `synctest.Wait`.
    ///
    /// Dropping the future changes nothing.
    pub fn settle(&self) -> Settle {
        Settle { since: None }
    }

    /// Waits until something is true. It is asked after every step, so it sees what lasts for one step
    /// only.
    ///
    /// The run fails as a deadlock if it never becomes true and nothing happens any more. Dropping the
    /// future changes nothing.
    pub async fn run_until(&self, mut is_true: impl FnMut() -> bool) {
        poll_fn(|cx| {
            if is_true() {
                return Poll::Ready(());
            }
            Wait::of(WaitKind::Until).note(cx.waker());
            world::current().watch(cx.waker());
            Poll::Pending
        })
        .await;
    }

    /// Starts a child under a supervisor of the simulation, which restarts it as its spec says and is
    /// stopped, with the child, when the test is over.
    ///
    /// The supervisor never gives up. For a tree of your own start that, and stop it.
    ///
    /// # Errors
    /// What the child's start says.
    pub async fn supervise<A: Actor>(&self, child: Child<A>) -> Result<A::Handle, StartError> {
        let handle = child.handle();
        let supervisor = Supervisor::one_for_one(format!("sim:{}", child.id()))
            .intensity(u32::MAX, Duration::from_secs(1))
            .child(child)
            .start()
            .await?;
        world::current().own(supervisor);
        Ok(handle)
    }

    /// What is to go wrong in this run.
    #[must_use]
    pub fn faults(&self) -> Faults {
        Faults::new()
    }

    /// A number below `n` by the seed; 0 if `n` is.
    #[must_use]
    pub fn below(&self, n: u32) -> u32 {
        world::current().below(n)
    }

    /// True with this probability, by the seed.
    #[must_use]
    pub fn chance(&self, probability: f64) -> bool {
        world::current().happens(probability)
    }

    /// Writes a line into the steps that the report of a failure shows.
    pub fn note(&self, text: impl Into<String>) {
        world::current().note(text.into());
    }
}

impl fmt::Debug for Sim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sim").finish_non_exhaustive()
    }
}

/// What [`Sim::advance`] returns; awaited, it settles.
#[derive(Debug)]
pub struct Advance(());

impl IntoFuture for Advance {
    type Output = ();
    type IntoFuture = Settle;

    fn into_future(self) -> Settle {
        Settle { since: None }
    }
}

/// The future of [`Sim::settle`].
#[must_use = "nothing settles until it is awaited"]
#[derive(Debug)]
pub struct Settle {
    /// The count of quiet moments when it began to wait.
    since: Option<u64>,
}

impl Future for Settle {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let world = world::current();
        let now = world.settled();
        if *self.since.get_or_insert(now) < now {
            return Poll::Ready(());
        }
        Wait::of(WaitKind::Quiet).note(cx.waker());
        world.settle(cx.waker());
        Poll::Pending
    }
}
