//! One life of an actor: the goroutine from `init` to the end, whatever end that is.
//!
//! Protocol:
//! 1. `spawn` makes the cell ready and starts the goroutine with the arguments and an `ExitGuard`.
//! 2. `init` makes the state; `Life::running` and the link tell whoever waits for the start.
//! 3. Serve: before each message look at the control word and the ticker, then take a message;
//!    the handler's future is inline, nothing is boxed.
//! 4. The mailbox is closed and empty, or the control word says now: `stopped` gets the state by
//!    value. After a panic there is no hook: the state is just dropped.
//! 5. The guard tells the cell, then the link (the supervisor), how it ended.
//!
//! Invariants:
//! - The guard is declared before the state and the futures that use it, so on every path (return,
//!   panic, kill by dropping this future) it is dropped after them: "ended" is told only when the
//!   state is dropped.
//! - Each stretch of user code is `Caught` by itself, and the state lives outside the part that
//!   unwinds: a panicking handler doesn't take the state's `Drop` with it into the same unwinding,
//!   where a second panic would abort the process.
//! - On a kill, what the dropped future held (the message in work) answers `Stopped`.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use super::{Actor, Caught, Cell, Ctx, ExitReason, StopReason, caught, ticker::Ticker};
use crate::{
    chan::{MailboxReceiver, NoReply, discard_with},
    sched::go,
};

/// Who else is told about an incarnation: nobody (`()`), or a supervisor.
pub(crate) trait Link: Send + Sync + 'static {
    /// Init returned Ok.
    fn started(&self);
    /// It is over, and its state is dropped.
    fn ended(self, reason: ExitReason);
}

impl Link for () {
    fn started(&self) {}
    fn ended(self, _: ExitReason) {}
}

/// Starts the next incarnation of the cell's actor. The former one must have ended.
pub(crate) fn spawn<A: Actor, L: Link>(cell: &Arc<Cell<A>>, args: A::Args, link: L) {
    cell.begin();
    let guard = ExitGuard {
        ctx: Ctx::new(Arc::clone(cell)),
        link: Some(link),
    };
    let goroutine = go(Incarnation {
        live: Some(live(Seed { args, guard })),
    });
    cell.life.spawned(goroutine.abort_handle());
}

/// A goroutine that is dropped before it was first polled drops these in this order.
struct Seed<A: Actor, L: Link> {
    args: A::Args,
    guard: ExitGuard<A, L>,
}

struct ExitGuard<A: Actor, L: Link> {
    ctx: Ctx<A>,
    /// Taken when the end was told.
    link: Option<L>,
}

impl<A: Actor, L: Link> ExitGuard<A, L> {
    fn tell(&mut self, reason: ExitReason) {
        if let Some(link) = self.link.take() {
            let name = self.ctx.name();
            if reason.is_orderly() {
                tracing::debug!(actor = name, id = %self.ctx.id(), %reason, "actor ended");
            } else {
                tracing::warn!(actor = name, id = %self.ctx.id(), %reason, "actor ended");
            }
            self.ctx.cell().ended(reason.clone());
            link.ended(reason);
        }
    }
}

impl<A: Actor, L: Link> Drop for ExitGuard<A, L> {
    fn drop(&mut self) {
        // Still untold: the goroutine is dropped before its end, which is what a kill is.
        self.tell(ExitReason::Killed);
    }
}

async fn live<A: Actor, L: Link>(seed: Seed<A, L>) {
    let Seed { args, mut guard } = seed;
    let reason = one_life(&guard, args).await;
    guard.tell(reason);
}

async fn one_life<A: Actor, L: Link>(guard: &ExitGuard<A, L>, args: A::Args) -> ExitReason {
    let ctx = &guard.ctx;
    let mut state = match Caught::new(async move { A::init(args, ctx).await }).await {
        Ok(Ok(state)) => state,
        Ok(Err(error)) => return init_failed(error),
        Err(panic) => return panic.into(),
    };
    ctx.cell().life.running();
    if let Some(link) = &guard.link {
        link.started();
    }
    if let Err(panic) = Caught::new(serve(&mut state, ctx)).await {
        if let Err(second) = caught(|| drop(state)) {
            tracing::error!(actor = ctx.name(), panic = ?second, "the state's Drop panicked too");
        }
        return panic.into();
    }
    let why = ctx.cell().control.why();
    match Caught::new(async move { A::stopped(state, why, ctx).await }).await {
        Ok(()) if why == StopReason::Supervisor => ExitReason::Shutdown,
        Ok(()) => ExitReason::Normal,
        Err(panic) => panic.into(),
    }
}

#[cold]
fn init_failed(error: impl std::fmt::Display) -> ExitReason {
    // The error's Display is user code as well.
    match caught(|| error.to_string()) {
        Ok(message) => ExitReason::InitFailed { message },
        Err(panic) => panic.into(),
    }
}

enum Next<M> {
    Message(M),
    Tick(usize),
    Stop,
}

// Not an `async fn`: the bound says `Send` here, where it can be read, not at the spawn.
#[allow(clippy::manual_async_fn)]
fn serve<'a, A: Actor>(
    state: &'a mut A,
    ctx: &'a Ctx<A>,
) -> impl Future<Output = ()> + Send + use<'a, A> {
    async move {
        let mut mailbox = ctx.cell().mailbox.receiver();
        let mut ticker = Ticker::new(A::ticks());
        loop {
            match poll_fn(|cx| poll_next(ctx, &mut mailbox, &mut ticker, cx)).await {
                Next::Message(msg) => state.handle(msg, ctx).await,
                Next::Tick(index) => state.tick(index, ctx).await,
                Next::Stop => return,
            }
        }
    }
}

#[inline]
fn poll_next<A: Actor>(
    ctx: &Ctx<A>,
    mailbox: &mut MailboxReceiver<'_, A::Msg>,
    ticker: &mut Option<Box<Ticker>>,
    cx: &mut Context<'_>,
) -> Poll<Next<A::Msg>> {
    let control = &ctx.cell().control;
    if control.stop_now() {
        return Poll::Ready(Next::Stop);
    }
    if let Some(ticker) = ticker
        && let Poll::Ready(index) = ticker.poll_tick(cx)
    {
        return Poll::Ready(Next::Tick(index));
    }
    match mailbox.poll_recv(cx) {
        Poll::Ready(Some(msg)) => Poll::Ready(Next::Message(msg)),
        Poll::Ready(None) => Poll::Ready(Next::Stop),
        // The waker is registered now; a request made before that had nobody to wake.
        Poll::Pending if control.stop_now() => Poll::Ready(Next::Stop),
        Poll::Pending => Poll::Pending,
    }
}

pin_project_lite::pin_project! {
    /// The goroutine's future. Dropped before its end (killed), it makes reply slots say so.
    struct Incarnation<F> {
        #[pin]
        live: Option<F>,
    }

    impl<F> PinnedDrop for Incarnation<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut live = this.project().live;
            discard_with(NoReply::Stopped, || {
                if let Err(panic) = caught(|| live.set(None)) {
                    tracing::error!(?panic, "a Drop panicked while its actor was killed");
                }
            });
        }
    }
}

impl<F: Future<Output = ()>> Future for Incarnation<F> {
    type Output = ();

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match self.project().live.as_pin_mut() {
            Some(live) => live.poll(cx),
            None => Poll::Ready(()),
        }
    }
}
