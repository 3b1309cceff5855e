//! A plain goroutine under a supervisor: what it may return, how it is told to stop.

use std::{
    convert::Infallible,
    fmt,
    future::{Future, poll_fn},
    marker::PhantomData,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use super::{
    ChildKind,
    run::ChildLink,
    spec::{Begun, Body},
};
use crate::{
    actor::{Caught, ExitReason, Link, caught},
    sched::{AbortHandle, go, wait},
    shim::Mutex,
};

/// What a supervised goroutine may return: `()`, or a `Result<(), E>`, whose error is an end that
/// is not orderly.
#[diagnostic::on_unimplemented(
    message = "a supervised goroutine cannot return `{Self}`",
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

impl Outcome for Infallible {
    fn exit_reason(self) -> ExitReason {
        match self {}
    }
}

impl<T: Outcome, E: fmt::Display + Send + 'static> Outcome for Result<T, E> {
    fn exit_reason(self) -> ExitReason {
        match self {
            Ok(outcome) => outcome.exit_reason(),
            Err(error) => match caught(|| error.to_string()) {
                Ok(message) => ExitReason::Failed { message },
                Err(panic) => panic.into(),
            },
        }
    }
}

/// Tells a supervised goroutine that it is to stop.
#[derive(Clone)]
pub struct StopSignal(Arc<Mutex<Signal>>);

#[derive(Default)]
struct Signal {
    requested: bool,
    wakers: Vec<Waker>,
}

impl StopSignal {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(Signal::default())))
    }

    /// True when the supervisor has asked.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.0.lock().requested
    }

    /// Waits until the supervisor asks. May be dropped and called again at any time.
    pub async fn requested(&self) {
        poll_fn(|cx| self.poll_requested(cx)).await;
    }

    /// [`requested`](StopSignal::requested) for futures written by hand.
    pub fn poll_requested(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut signal = self.0.lock();
        if signal.requested {
            return Poll::Ready(());
        }
        // One entry per goroutine, however often it starts to wait anew.
        if !signal.wakers.iter().any(|w| wait::same(w, cx.waker())) {
            signal.wakers.push(wait::keep(cx.waker()));
        }
        Poll::Pending
    }

    fn request(&self) {
        let mut signal = self.0.lock();
        signal.requested = true;
        let wakers = std::mem::take(&mut signal.wakers);
        drop(signal);
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl fmt::Debug for StopSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StopSignal")
            .field("requested", &self.is_requested())
            .finish()
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
    make: Mutex<Make<F, Fut>>,
    /// Asked to stop it gets the signal; otherwise it is just dropped.
    listens: bool,
    running: Mutex<Option<(AbortHandle, StopSignal)>>,
}

impl<F, Fut> GoBody<F, Fut> {
    pub(super) fn new(make: Make<F, Fut>, listens: bool) -> Self {
        Self {
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
                let goroutine = go(live(Seed { future, link }));
                *self.running.lock() = Some((goroutine.abort_handle(), stop));
                Begun::Running
            }
            Ok(None) => {
                let message = "this child was made to run once and has run".to_owned();
                link.ended(ExitReason::InitFailed { message });
                Begun::Starting
            }
            Err(panic) => {
                link.ended(panic.into());
                Begun::Starting
            }
        }
    }

    fn ask_stop(&self) {
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
