//! A plain goroutine under a supervisor, and what it may return.

use std::{convert::Infallible, fmt, future::Future, marker::PhantomData, sync::Arc};

use super::{
    ChildKind, StopSignal,
    run::ChildLink,
    spec::{Begun, Body, Until},
};
use crate::{
    actor::{Caught, ExitReason, Link, caught},
    sched::{AbortHandle, go_named},
    shim::Mutex,
};

/// What a supervised goroutine or thread may return: `()`, or a `Result<(), E>`, whose error is an end that
/// is not orderly. One that loops for ever returns nothing, or, where `?` leaves the loop, a
/// `Result<Infallible, E>`.
///
/// ```
/// use actor_core::{prelude::*, supervise::ChildSpec};
/// use std::{convert::Infallible, io, time::Duration};
///
/// async fn serve() -> io::Result<Infallible> {
///     loop {
///         let text = blocking(|| std::fs::read_to_string("/no/such/file"))?;
///         println!("{text}");
///     }
/// }
///
/// let sweeper = ChildSpec::go("sweeper", || async {
///     loop {
///         sleep(Duration::from_secs(60)).await;
///     }
/// });
/// let app = Supervisor::one_for_one("app").child(sweeper).child(ChildSpec::go("server", serve));
/// # let _ = app;
/// ```
#[diagnostic::on_unimplemented(
    message = "a supervised goroutine or thread cannot return `{Self}`",
    note = "return `()` or `Result<(), E>` where `E: Display`"
)]
pub trait Outcome: Send + 'static {
    /// The exit reason that it means.
    fn exit_reason(self) -> ExitReason;
}

impl Outcome for () {
    fn exit_reason(self) -> ExitReason {
        ExitReason::Normal
    }
}

/// The type `!` of what loops for ever, which has no name of its own.
trait Returns {
    type Output;
}

impl<T> Returns for fn() -> T {
    type Output = T;
}

// Not for `Infallible` as well, which is to become another name of it.
#[allow(private_interfaces)] // the projection is `!` for everybody else
impl Outcome for <fn() -> ! as Returns>::Output {
    fn exit_reason(self) -> ExitReason {
        self
    }
}

impl<E: fmt::Display + Send + 'static> Outcome for Result<(), E> {
    fn exit_reason(self) -> ExitReason {
        self.map_or_else(failed, Outcome::exit_reason)
    }
}

impl<E: fmt::Display + Send + 'static> Outcome for Result<Infallible, E> {
    fn exit_reason(self) -> ExitReason {
        let Err(error) = self;
        failed(error)
    }
}

fn failed(error: impl fmt::Display) -> ExitReason {
    match caught(|| error.to_string()) {
        Ok(message) => ExitReason::Failed { message },
        Err(panic) => panic.into(),
    }
}

/// The user's closure, with the future's type kept by the side for the impl below.
pub(super) struct Make<F, Fut>(F, PhantomData<fn() -> Fut>);

impl<Fut, F: FnMut(StopSignal) -> Option<Fut>> Make<F, Fut> {
    pub(super) fn new(make: F) -> Self {
        Self(make, PhantomData)
    }
}

pub(super) struct GoBody<F, Fut> {
    /// The child's id, which reports call the goroutine by.
    id: Arc<str>,
    make: Mutex<Make<F, Fut>>,
    /// Asked to stop it gets the signal; otherwise it is just dropped.
    listens: bool,
    running: Mutex<Option<(AbortHandle, StopSignal)>>,
}

impl<F, Fut> GoBody<F, Fut> {
    pub(super) fn new(id: Arc<str>, make: Make<F, Fut>, listens: bool) -> Self {
        Self {
            id,
            make: Mutex::new(make),
            listens,
            running: Mutex::new(None),
        }
    }
}

/// A goroutine that is dropped before it was first polled drops these in this order.
struct Seed<Fut> {
    future: Fut,
    link: ChildLink,
}

async fn live<Fut: Future<Output: Outcome>>(seed: Seed<Fut>) {
    // The link is declared first, and so dropped last: after the future, however this ends.
    let Seed { mut link, future } = seed;
    // In a block of ours, so that the user's future is dropped inside of what is caught.
    let ended = Caught::new(async move {
        let outcome = future.await;
        outcome.exit_reason()
    });
    let reason = ended.await.unwrap_or_else(ExitReason::from);
    link.ended(reason);
}

impl<F, Fut> Body for GoBody<F, Fut>
where
    F: FnMut(StopSignal) -> Option<Fut> + Send + 'static,
    Fut: Future<Output: Outcome> + Send + 'static,
{
    fn start(&self, mut link: ChildLink) -> Begun {
        let stop = StopSignal::new();
        match caught(|| (self.make.lock().0)(stop.clone())) {
            Ok(Some(future)) => {
                let live = live(Seed { future, link });
                let goroutine = go_named(Arc::clone(&self.id), live);
                *self.running.lock() = Some((goroutine.abort_handle(), stop));
                Begun::Running
            }
            Ok(None) => {
                // Made to run once, and it has. That is no failure, which would be tried again.
                link.ended(ExitReason::Ignored);
                Begun::Starting
            }
            Err(panic) => {
                link.ended(panic.into());
                Begun::Starting
            }
        }
    }

    fn ask_stop(&self, _: Until) {
        if self.listens {
            let stop = self.running.lock().as_ref().map(|(_, stop)| stop.clone());
            if let Some(stop) = stop {
                stop.request();
            }
        } else {
            self.kill();
        }
    }

    fn kill(&self) {
        let abort = self.running.lock().as_ref().map(|(abort, _)| abort.clone());
        if let Some(abort) = abort {
            abort.abort();
        }
    }

    fn settle(&self) {
        let ended = self.running.lock().take();
        drop(ended);
    }

    fn kind(&self) -> ChildKind {
        ChildKind::Goroutine
    }
}
