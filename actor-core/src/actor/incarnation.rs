//! One life of an actor: the goroutine from `init` to the end, whatever end that is.
//!
//! Protocol:
//! 1. `spawn` makes the cell ready and starts the goroutine with the arguments and an `ExitGuard`.
//! 2. `restarting` (not in the first life), then `init` makes the state; `Life::running` and the
//!    link tell whoever waits for the start.
//! 3. Serve: before each message look at the control word (stop, then signals, then what comes from
//!    beside in its turn) and the ticker, then take a message; the handler's future is inline,
//!    nothing is boxed, but concurrent handlers (`concurrent`).
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
    Actor, Caught, Cell, Ctx, ExitReason, Message, StopReason, caught,
    caught::Panic,
    concurrent, crash, registry, simulate,
    ticker::{Ticker, Ticks},
    ties::Signal,
    work::{self, Cut, Limited, Served},
};
use crate::{
    chan::{MailboxReceiver, NoReply, discard_with},
    sched::{go_for, simulated},
};

/// Who else is told about an incarnation: nobody (`()`), or a supervisor.
pub(crate) trait Link: Send + Sync + 'static {
    /// Init returned Ok.
    fn started(&self);
    /// It is over, and its state is dropped. Called once.
    fn ended(&mut self, reason: ExitReason);
    /// The names of the supervisors above it.
    fn path(&self) -> Option<String> {
        None
    }
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
        let (up, made) = judged(Box::pin(init(args, &guard)).await);
        if !up {
            guard.tell(made.err().unwrap_or(ExitReason::Normal));
            return;
        }
        let mut state = unwrapped(made);
        guard.started();
        let (served, cut) = judged(if A::LIMITED || !A::ticks().is_empty() {
            Box::pin(serve_by_the_clock(&mut state, guard.ctx())).await
        } else {
            Served::new(guard.ctx(), serve(&mut state, guard.ctx(), ())).await
        });
        let reason = if served {
            drop(cut);
            Box::pin(stop(state, &guard)).await
        } else {
            drop_after(cut, state, &guard)
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

async fn init<A: Actor, L: Link>(args: A::Args, guard: &ExitGuard<A, L>) -> Result<A, ExitReason> {
    let ctx = guard.ctx();
    let make = async move {
        if let Some(why) = ctx.cell().life.former_exit() {
            A::restarting(why, ctx).await;
        }
        A::init(args, ctx).await
    };
    match Caught::new(make).await {
        Ok(Ok(state)) => Ok(state),
        Ok(Err(error)) => Err(init_failed(error)),
        Err(panic) => Err(guard.panicked("#[init]", panic)),
    }
}

async fn stop<A: Actor, L: Link>(state: A, guard: &ExitGuard<A, L>) -> ExitReason {
    let ctx = guard.ctx();
    let why = ctx.cell().control.why();
    match Caught::new(async move { A::stopped(state, why, ctx).await }).await {
        Ok(()) if why == StopReason::Supervisor => ExitReason::Shutdown,
        Ok(()) => match ctx.stop_cause() {
            Some(cause) => ExitReason::ShutdownWith { cause },
            None => ExitReason::Normal,
        },
        Err(panic) => guard.panicked("#[stopped]", panic),
    }
}

#[cold]
fn drop_after<A: Actor, L: Link>(
    cut: Result<(), Box<Cut>>,
    state: A,
    guard: &ExitGuard<A, L>,
) -> ExitReason {
    let reason = match cut.map_err(|cut| *cut) {
        Ok(()) => ExitReason::Normal,
        Err(Cut::Panicked { handler, panic }) => guard.panicked(handler, panic),
        Err(Cut::TimedOut { handler, limit }) => {
            let reason = ExitReason::TimedOut {
                message: handler.to_owned(),
                limit,
            };
            guard.crashed(handler, reason, None)
        }
    };
    if let Err(second) = caught(|| drop(state)) {
        let actor = guard.ctx().name();
        tracing::error!(actor, panic = ?second, "the state's Drop panicked too");
    }
    reason
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

    fn panicked(&self, handler: &'static str, panic: Panic) -> ExitReason {
        self.crashed(handler, panic.reason(), Some(panic))
    }

    fn crashed(
        &self,
        handler: &'static str,
        reason: ExitReason,
        panic: Option<Panic>,
    ) -> ExitReason {
        // A panic of a `tracing` subscriber is not to take the actor's end with it.
        let report = || crash::report(self.ctx(), self.link.path(), handler, reason.clone(), panic);
        drop(caught(report));
        reason
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
        if let Some(ctx) = &self.ctx {
            let reason = ctx.cell().life.doom();
            self.tell(reason);
        }
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
pub(super) enum Next {
    Message,
    /// A message whose handler runs beside others.
    Concurrent,
    Tick(usize),
    Signals,
    Stop,
}

/// Serves an actor that has ticks or time limits: apart, so that those without don't pay for them.
async fn serve_by_the_clock<A: Actor>(state: &mut A, ctx: &Ctx<A>) -> Result<(), Box<Cut>> {
    let serve = serve(state, ctx, Ticker::new(A::ticks()));
    if A::LIMITED {
        Limited::new(ctx, serve).await
    } else {
        Served::new(ctx, serve).await
    }
}

// Not an `async fn`: that stores its arguments twice.
#[allow(clippy::manual_async_fn)]
fn serve<'a, A: Actor, T: Ticks + 'a>(
    state: &'a mut A,
    ctx: &'a Ctx<A>,
    ticks: T,
) -> impl Future<Output = Result<(), Box<Cut>>> + Send + use<'a, A, T> {
    async move {
        let mut inbox = Inbox {
            mailbox: ctx.cell().mailbox.receiver(),
            ticks,
        };
        loop {
            let (next, msg) = NextOf {
                ctx,
                inbox: &mut inbox,
            }
            .await;
            match next {
                Next::Message => {
                    let mut msg = work::begin::<A>(inbox.joined::<A>(present(msg)));
                    if simulated::is_active() {
                        msg = Box::pin(simulate::deliver(msg, ctx)).await;
                    }
                    state.handle(msg, ctx).await;
                    work::end(ctx.cell());
                }
                Next::Concurrent => concurrent::phase(state, msg, ctx, &mut inbox).await?,
                Next::Tick(index) => {
                    drop(msg);
                    work::begin_hook::<A>("#[every]");
                    state.tick(index, ctx).await;
                    work::end(ctx.cell());
                }
                Next::Signals => {
                    drop(msg);
                    // Boxed: rare, and larger than an idle actor is to be.
                    Box::pin(signals(state, ctx)).await;
                }
                Next::Stop => return Ok(()),
            }
        }
    }
}

/// The message that `Next::Message` comes with; moved as a whole, see `future`.
fn present<M>(msg: Option<M>) -> M {
    msg.expect("`Next::Message` has a message")
}

/// Handles what has come in the control lane, in its order.
async fn signals<A: Actor>(state: &mut A, ctx: &Ctx<A>) {
    let cell = ctx.cell();
    // Before they are taken: one that comes later sets it again.
    cell.control.clear_signal();
    while !cell.control.stop_now()
        && let Some(signal) = cell.next_signal()
    {
        match signal {
            Signal::Down(down) => {
                work::begin_hook::<A>("#[down]");
                state.down(down, ctx).await;
            }
            Signal::Exited(exited) => {
                work::begin_hook::<A>("#[exit]");
                state.exit(exited, ctx).await;
            }
        }
        work::end(cell);
    }
}

pub(super) struct Inbox<'a, M, T> {
    mailbox: MailboxReceiver<'a, M>,
    pub(super) ticks: T,
}

impl<M, T> Inbox<'_, M, T> {
    /// The message, with those that follow it in the mailbox if it is of a batch.
    #[inline]
    fn joined<A: Actor<Msg = M>>(&mut self, first: M) -> M
    where
        M: Message,
    {
        if A::BATCHES.is_empty() {
            return first;
        }
        self.with_followers(first, A::BATCHES)
    }

    fn with_followers(&mut self, mut first: M, sizes: &[usize]) -> M
    where
        M: Message,
    {
        let batch = first.batch();
        let Some(&max) = sizes.get((batch as usize).wrapping_sub(1)) else {
            return first;
        };
        let mut followers = Vec::new();
        while followers.len() + 1 < max
            && let Some(next) = self.mailbox.next_of(batch, M::batch)
        {
            followers.push(next);
        }
        if !followers.is_empty() {
            first.join(followers);
        }
        first
    }
}

/// What the actor does next.
pub(super) struct NextOf<'a, 'b, A: Actor, T> {
    pub(super) ctx: &'a Ctx<A>,
    pub(super) inbox: &'a mut Inbox<'b, A::Msg, T>,
}

impl<A: Actor, T: Ticks> Future for NextOf<'_, '_, A, T> {
    type Output = (Next, Option<A::Msg>);

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.poll_next(cx)
    }
}

impl<A: Actor, T: Ticks> NextOf<'_, '_, A, T> {
    #[inline]
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<(Next, Option<A::Msg>)> {
        if self.ctx.cell().control.is_marked()
            && let Some(next) = marked(self.ctx)
        {
            return Poll::Ready(next);
        }
        let inbox = &mut *self.inbox;
        if let Poll::Ready(index) = inbox.ticks.poll_tick(cx) {
            return Poll::Ready((Next::Tick(index), None));
        }
        match inbox.mailbox.poll_recv(cx) {
            Poll::Ready(Some(msg)) => Poll::Ready(taken::<A>(msg)),
            Poll::Ready(None) => Poll::Ready(closed(self.ctx)),
            // The waker is registered now; who set a mark before that had nobody to wake.
            Poll::Pending if self.ctx.cell().control.is_marked() => {
                marked(self.ctx).map_or(Poll::Pending, Poll::Ready)
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

#[inline]
fn taken<A: Actor>(msg: A::Msg) -> (Next, Option<A::Msg>) {
    let next = if A::CONCURRENT && A::concurrency(&msg).is_some() {
        Next::Concurrent
    } else {
        Next::Message
    };
    (next, Some(msg))
}

/// What comes before the mailbox: a stop, signals, or a message from beside whose turn it is.
#[cold]
fn marked<A: Actor>(ctx: &Ctx<A>) -> Option<(Next, Option<A::Msg>)> {
    let cell = ctx.cell();
    if cell.control.stop_now() {
        return Some((Next::Stop, None));
    }
    if cell.control.is_signalled() {
        return Some((Next::Signals, None));
    }
    if !cell.control.beside_is_next() {
        return None;
    }
    cell.take_from_beside().map(taken::<A>)
}

/// The mailbox is closed and empty: what has come from beside is handled before the stop.
#[cold]
fn closed<A: Actor>(ctx: &Ctx<A>) -> (Next, Option<A::Msg>) {
    let last = ctx.cell().take_last_from_beside();
    last.map_or((Next::Stop, None), taken::<A>)
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
