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
//! - The guard is captured by the block whose local the state is, so on every path (return, panic,
//!   kill by dropping this future) it is dropped after the state and after what uses it: "ended" is
//!   told only when the state is dropped.
//! - Each stretch of user code is `Caught` by itself, and the state lives outside the part that
//!   unwinds: a panicking handler doesn't take the state's `Drop` with it into the same unwinding,
//!   where a second panic would abort the process.
//! - On a kill, what the dropped future held (the message in work) answers `Stopped`.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use super::{
    Actor, Caught, Cell, Ctx, ExitReason, StopReason, caught, caught::Panic, registry,
    ticker::Ticker,
};
use crate::{
    chan::{MailboxReceiver, NoReply, discard_with},
    sched::go_for,
};

/// Who else is told about an incarnation: nobody (`()`), or a supervisor.
pub(crate) trait Link: Send + Sync + 'static {
    /// Init returned Ok.
    fn started(&self);
    /// It is over, and its state is dropped. Called once.
    fn ended(&mut self, reason: ExitReason);
}

impl Link for () {
    fn started(&self) {}
    fn ended(&mut self, _: ExitReason) {}
}

/// Starts the next incarnation of the cell's actor. The former one must have ended.
pub(crate) fn spawn<A: Actor, L: Link>(cell: &Arc<Cell<A>>, args: A::Args, link: L) {
    cell.begin();
    spawn_begun(cell, args, link);
}

/// As [`spawn`], under a registered name; whoever comes second to a name ends here, before `init`.
pub(crate) fn spawn_named<A: Actor, L: Link>(
    cell: &Arc<Cell<A>>,
    name: &Arc<str>,
    args: A::Args,
    mut link: L,
) {
    cell.begin();
    match registry::claim(cell, name) {
        Ok(()) => spawn_begun(cell, args, link),
        Err(refused) => {
            if let Err(panic) = caught(|| drop(args)) {
                tracing::error!(actor = cell.name(), ?panic, "an argument's Drop panicked");
            }
            let reason = refused.into_exit_reason();
            cell.ended(reason.clone());
            link.ended(reason);
        }
    }
}

fn spawn_begun<A: Actor, L: Link>(cell: &Arc<Cell<A>>, args: A::Args, link: L) {
    let goroutine = go_for::<A, _>(future(Arc::clone(cell), args, link));
    cell.life.spawned(goroutine.abort_handle());
}

/// The goroutine's future.
///
/// Its size is most of what an idle actor costs, so it keeps across its awaits only the guard, the
/// state and the serving future: what runs once (init, stop) is boxed for as long as it runs, and
/// every result is moved as a whole, never looked at in place, before the next await. It is a
/// block that captures because an `async fn` stores its arguments twice. `sizes.rs` checks it.
pub(super) fn future<A: Actor, L: Link>(
    cell: Arc<Cell<A>>,
    args: A::Args,
    link: L,
) -> impl Future<Output = ()> + Send + use<A, L> {
    let mut guard = ExitGuard {
        ctx: Some(Ctx::new(cell)),
        link,
    };
    let live = async move {
        // Captured in this order: a goroutine that is killed before its first poll drops the
        // arguments first. Later the state is a local of this block, and dropped before captures.
        let (up, made) = judged(Box::pin(init(args, guard.ctx())).await);
        if !up {
            guard.tell(made.err().unwrap_or(ExitReason::Normal));
            return;
        }
        let mut state = unwrapped(made);
        guard.started();
        let (served, panic) = judged(Caught::new(serve(&mut state, guard.ctx())).await);
        let reason = if served {
            drop(panic);
            Box::pin(stop(state, guard.ctx())).await
        } else {
            drop_after(panic, state, guard.ctx())
        };
        guard.tell(reason);
    };
    Incarnation { live: Some(live) }
}

/// So that the result itself need not be looked at in place: it would be kept.
fn judged<T, E>(result: Result<T, E>) -> (bool, Result<T, E>) {
    (result.is_ok(), result)
}

fn unwrapped<A>(made: Result<A, ExitReason>) -> A {
    made.unwrap_or_else(|reason| unreachable!("judged before: {reason}"))
}

async fn init<A: Actor>(args: A::Args, ctx: &Ctx<A>) -> Result<A, ExitReason> {
    match Caught::new(async move { A::init(args, ctx).await }).await {
        Ok(Ok(state)) => Ok(state),
        Ok(Err(error)) => Err(init_failed(error)),
        Err(panic) => Err(panic.into()),
    }
}

async fn stop<A: Actor>(state: A, ctx: &Ctx<A>) -> ExitReason {
    let why = ctx.cell().control.why();
    match Caught::new(async move { A::stopped(state, why, ctx).await }).await {
        Ok(()) if why == StopReason::Supervisor => ExitReason::Shutdown,
        Ok(()) => ExitReason::Normal,
        Err(panic) => panic.into(),
    }
}

#[cold]
fn drop_after<A: Actor>(panic: Result<(), Panic>, state: A, ctx: &Ctx<A>) -> ExitReason {
    if let Err(second) = caught(|| drop(state)) {
        tracing::error!(actor = ctx.name(), panic = ?second, "the state's Drop panicked too");
    }
    panic.err().map_or(ExitReason::Normal, ExitReason::from)
}

struct ExitGuard<A: Actor, L: Link> {
    /// Taken when the end was told.
    ctx: Option<Ctx<A>>,
    link: L,
}

impl<A: Actor, L: Link> ExitGuard<A, L> {
    fn ctx(&self) -> &Ctx<A> {
        self.ctx.as_ref().expect("there until the end is told")
    }

    fn started(&self) {
        self.ctx().cell().life.running();
        self.link.started();
    }

    fn tell(&mut self, reason: ExitReason) {
        let Some(ctx) = self.ctx.take() else { return };
        if reason.is_orderly() {
            tracing::debug!(actor = ctx.name(), id = %ctx.id(), %reason, "actor ended");
        } else {
            tracing::warn!(actor = ctx.name(), id = %ctx.id(), %reason, "actor ended");
        }
        ctx.cell().ended(reason.clone());
        self.link.ended(reason);
    }
}

impl<A: Actor, L: Link> Drop for ExitGuard<A, L> {
    fn drop(&mut self) {
        // Still untold: the goroutine is dropped before its end, which is what a kill is.
        self.tell(ExitReason::Killed);
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

#[derive(Clone, Copy)]
enum Next {
    Message,
    Tick(usize),
    Stop,
}

// Not an `async fn`: that stores its arguments twice.
#[allow(clippy::manual_async_fn)]
fn serve<'a, A: Actor>(
    state: &'a mut A,
    ctx: &'a Ctx<A>,
) -> impl Future<Output = ()> + Send + use<'a, A> {
    async move {
        let mut inbox = Inbox {
            mailbox: ctx.cell().mailbox.receiver(),
            ticker: Ticker::new(A::ticks()),
        };
        loop {
            let (next, msg) = NextOf {
                ctx,
                inbox: &mut inbox,
            }
            .await;
            match next {
                Next::Message => state.handle(present(msg), ctx).await,
                Next::Tick(index) => {
                    drop(msg);
                    state.tick(index, ctx).await;
                }
                Next::Stop => return,
            }
        }
    }
}

/// The message that `Next::Message` comes with; moved as a whole, see `future`.
fn present<M>(msg: Option<M>) -> M {
    msg.expect("`Next::Message` has a message")
}

struct Inbox<'a, M> {
    mailbox: MailboxReceiver<'a, M>,
    ticker: Option<Box<Ticker>>,
}

/// What the actor does next.
struct NextOf<'a, 'b, A: Actor> {
    ctx: &'a Ctx<A>,
    inbox: &'a mut Inbox<'b, A::Msg>,
}

impl<A: Actor> Future for NextOf<'_, '_, A> {
    type Output = (Next, Option<A::Msg>);

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let control = &self.ctx.cell().control;
        if control.stop_now() {
            return Poll::Ready((Next::Stop, None));
        }
        let inbox = &mut *self.inbox;
        if let Some(ticker) = &mut inbox.ticker
            && let Poll::Ready(index) = ticker.poll_tick(cx)
        {
            return Poll::Ready((Next::Tick(index), None));
        }
        match inbox.mailbox.poll_recv(cx) {
            Poll::Ready(Some(msg)) => Poll::Ready((Next::Message, Some(msg))),
            Poll::Ready(None) => Poll::Ready((Next::Stop, None)),
            // The waker is registered now; a request made before that had nobody to wake.
            Poll::Pending if self.ctx.cell().control.stop_now() => Poll::Ready((Next::Stop, None)),
            Poll::Pending => Poll::Pending,
        }
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
