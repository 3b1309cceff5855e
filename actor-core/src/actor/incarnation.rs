//! One life of an actor: the goroutine from `init` to the end, whatever end that is.
//!
//! Protocol:
//! 1. `spawn` makes the cell ready and starts the goroutine with the arguments.
//! 2. `restarting` (not in the first life), then `init` makes the state; `Life::running` and the
//!    link tell whoever waits for the start.
//! 3. Serve: take what is next (`inbox`: the control word, a tick, a message) and handle it. The
//!    handler's future lies in pooled memory while it runs, or on the stack if it never waits;
//!    concurrent ones are goroutines of their own, which have the state meanwhile (`concurrent`).
//! 4. The mailbox is closed and empty, or the control word says now: `stopped` gets the state by
//!    value. After a panic there is no hook: the state is just dropped.
//! 5. `tell` tells the cell, then the link (the supervisor), how it ended.
//!
//! Invariants:
//! - On every path (return, panic, kill by dropping this future) the handler's future, then the state,
//!   are dropped before `tell`: "ended" is told only when the state is dropped. The tag OVER makes it
//!   once.
//! - Each stretch of user code is `Caught` by itself, and the state lives outside the part that
//!   unwinds: a panicking handler doesn't take the state's `Drop` with it into the same unwinding,
//!   where a second panic would abort the process.
//! - On a kill, what the dropped future held (the message in work) answers `Stopped`. If concurrent
//!   handlers still have the state, the last of them drops it and does 5.

// Written out for the lifetime `'s`, which an `async fn` of an impl would hide.
#![allow(clippy::manual_async_fn)]

use std::{
    future::Future,
    marker::PhantomData,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
};

use super::{
    Actor, Caught, Cell, Ctx, ExitReason, StopReason, caught,
    caught::Panic,
    computing, concurrent, crash,
    inbox::{Inbox, Next, NextOf},
    poison,
    rare::Crashed,
    registry, simulate,
    ticker::Ticker,
    ties::Signal,
    work::{self, Cut, Limited, Served},
};
use crate::{
    chan::{NoReply, discard_with},
    sched::{
        go_as,
        lent::{Guest, Lent, Open, Tenant},
        simulated, yield_now,
    },
};

/// Who else is told about an incarnation: nobody (`()`), or a supervisor.
pub(crate) trait Link: Send + Sync + Sized + 'static {
    /// All of it, for somebody else to tell the end; what is left tells nothing any more.
    fn take(&mut self) -> Self;

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
    fn take(&mut self) -> Self {}
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
            cell.ended(&reason);
            link.ended(reason);
        }
    }
}

fn spawn_begun<A: Actor, L: Link>(cell: &Arc<Cell<A>>, args: A::Args, link: L) {
    computing::watch();
    cell.life
        .spawned(go_as::<A, _>(future(Arc::clone(cell), args, link)));
}

/// What a goroutine that is an actor consists of; see [`Lent`] for how it stays small.
type Desk<A> = Lent<Ctx<A>, A, Step<A>>;

/// Whether it has ticks or time limits. Such a one keeps its turn at the mailbox, busy or not.
pub(super) fn is_by_the_clock<A: Actor>() -> bool {
    A::LIMITED || !A::ticks().is_empty()
}

/// What a future at the desk has come to.
pub(super) enum Step<A: Actor> {
    Made(Result<A, Failure>),
    /// A message, or the signals, were handled.
    Handled,
    /// By the clock, a concurrent message is next.
    Share(Box<Concurrently<A>>),
    /// A phase of concurrent handlers is over.
    Phase(concurrent::Over<A>),
    /// So is serving by the clock.
    Served(Result<(), Box<Cut>>),
    Stopped(StopReason, Result<(), Panic>),
}

/// Why there is no state.
pub(super) enum Failure {
    Failed(ExitReason),
    Panicked(Panic),
}

// What the future at the desk is: its tag.
const STARTING: u8 = 0;
/// A handler's, if there is one.
const SERVING: u8 = 1;
const BY_THE_CLOCK: u8 = 2;
const STOPPING: u8 = 3;
/// None any more: the end was told.
const OVER: u8 = 4;

/// The goroutine's future.
pub(super) fn future<A: Actor, L: Link>(
    cell: Arc<Cell<A>>,
    args: A::Args,
    link: L,
) -> Incarnation<A, L> {
    Incarnation {
        desk: Lent::new(Ctx::new(cell), STARTING, Starting::<A>(args)),
        link,
    }
}

pin_project_lite::pin_project! {
    /// The goroutine's future. Dropped before its end (killed), it makes reply slots say so.
    #[project = IncarnationProj]
    pub(super) struct Incarnation<A: Actor, L: Link> {
        #[pin]
        desk: Desk<A>,
        link: L,
    }

    impl<A: Actor, L: Link> PinnedDrop for Incarnation<A, L> {
        fn drop(this: Pin<&mut Self>) {
            if this.desk.tag() != OVER {
                this.project().killed();
            }
        }
    }
}

impl<A: Actor, L: Link> Future for Incarnation<A, L> {
    type Output = ();

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        if this.desk.tag() == SERVING {
            let served = ready!(this.poll_serving(cx));
            if let Err(reason) = served {
                return this.tell(reason);
            }
            this.desk.as_mut().set_tag(STOPPING);
        }
        this.poll_rest(cx)
    }
}

impl<A: Actor, L: Link> IncarnationProj<'_, A, L> {
    fn ctx(&self) -> &Ctx<A> {
        self.desk.fixed()
    }

    /// Ready when the actor has to stop, or has crashed.
    #[inline]
    fn poll_serving(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ExitReason>> {
        let (ctx, desk) = self.desk.as_mut().open();
        let served = work::served(ctx, cx, |cx| serve_at(ctx, desk, cx));
        served.map(|served| served.map_err(|cut| self.crash(*cut)))
    }

    /// Whatever is not serving, or begins or ends it.
    fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let (mut ticks, mut share) = (None, None);
        loop {
            let at = self.desk.tag();
            let desk = self.desk.as_mut();
            let step = match at {
                SERVING => {
                    if let Err(reason) = ready!(self.poll_serving(cx)) {
                        return self.tell(reason);
                    }
                    self.desk.as_mut().set_tag(STOPPING);
                    continue;
                }
                OVER => return Poll::Ready(()),
                _ if desk.is_lent() => desk.poll(cx),
                BY_THE_CLOCK => match share.take() {
                    Some(share) => desk.invite(share, cx),
                    None => desk.lend(|| ByTheClock(ticks.take()), cx),
                },
                _ => {
                    let state = self.desk.as_mut().take();
                    let state = state.expect("it has served, so it has a state");
                    self.desk.as_mut().invite(Stopping(state), cx)
                }
            };
            match ready!(step) {
                Step::Made(Ok(state)) => self.begin_to_serve(state),
                Step::Made(Err(Failure::Failed(reason))) => return self.tell(reason),
                Step::Made(Err(Failure::Panicked(panic))) => {
                    let reason = self.panicked("#[init]", panic);
                    return self.tell(reason);
                }
                Step::Share(mut next) => {
                    next.state = self.desk.as_mut().take();
                    share = Some(*next);
                }
                Step::Phase(over) => {
                    self.desk.as_mut().put(over.state);
                    ticks = over.ticks;
                    if let Err(cut) = over.result {
                        let reason = self.crash(*cut);
                        return self.tell(reason);
                    }
                }
                Step::Served(Ok(())) => self.desk.as_mut().set_tag(STOPPING),
                Step::Served(Err(cut)) => {
                    let reason = self.crash(*cut);
                    return self.tell(reason);
                }
                Step::Stopped(why, hook) => {
                    let reason = self.stopped(why, hook);
                    return self.tell(reason);
                }
                Step::Handled => unreachable!("known to `serve_at` only"),
            }
        }
    }

    fn begin_to_serve(&mut self, state: A) {
        self.desk.as_mut().put(state);
        self.ctx().cell().life.running();
        self.link.started();
        let tag = if is_by_the_clock::<A>() {
            BY_THE_CLOCK
        } else {
            SERVING
        };
        self.desk.as_mut().set_tag(tag);
    }

    fn stopped(&self, why: StopReason, hook: Result<(), Panic>) -> ExitReason {
        match hook {
            Ok(()) if why == StopReason::Supervisor => ExitReason::Shutdown,
            Ok(()) => match self.ctx().stop_cause() {
                Some(cause) => ExitReason::ShutdownWith { cause },
                None => ExitReason::Normal,
            },
            Err(panic) => self.panicked("#[stopped]", panic),
        }
    }

    /// Reports the crash, and drops the state.
    #[cold]
    fn crash(&mut self, cut: Cut) -> ExitReason {
        let reason = match cut {
            Cut::Panicked { handler, panic } => {
                poison::judge(self.ctx().cell(), handler, Crashed::Panicked);
                self.panicked(handler, panic)
            }
            Cut::TimedOut { handler, limit } => {
                poison::judge(self.ctx().cell(), handler, Crashed::TimedOut);
                let reason = ExitReason::TimedOut {
                    message: handler.to_owned(),
                    limit,
                };
                self.crashed(handler, reason, None)
            }
        };
        let state = self.desk.as_mut().take();
        if let Err(second) = caught(|| drop(state)) {
            let actor = self.ctx().name();
            tracing::error!(actor, panic = ?second, "the state's Drop panicked too");
        }
        reason
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

    /// The goroutine is dropped before its end, which is what a kill is.
    #[cold]
    fn killed(&mut self) {
        discard_with(NoReply::Stopped, || {
            // The arguments, a hook or a handler, with the message in work; then the state.
            let desk = &mut self.desk;
            for part in [
                caught(|| desk.as_mut().end()),
                caught(|| drop(desk.as_mut().take())),
            ] {
                if let Err(panic) = part {
                    tracing::error!(?panic, "a Drop panicked while its actor was killed");
                }
            }
            let reason = self.ctx().cell().life.doom();
            if A::CONCURRENT && self.ctx().cell().life.is_shared() {
                return self.leave_to_handlers(reason);
            }
            if let Err(panic) = caught(|| self.tell(reason)) {
                tracing::error!(?panic, "a Drop panicked when its actor had been killed");
            }
        });
    }

    /// Concurrent handlers still have the state: the last of them tells the end.
    fn leave_to_handlers(&mut self, reason: ExitReason) {
        let (cell, mut link) = (self.ctx().shared_cell(), self.link.take());
        self.desk.as_mut().set_tag(OVER);
        let last = {
            let cell = Arc::clone(&cell);
            Box::new(move || {
                discard_with(NoReply::Stopped, || {
                    if let Err(panic) = caught(|| tell(&cell, &mut link, reason)) {
                        tracing::error!(?panic, "a Drop panicked when its actor had been killed");
                    }
                });
            })
        };
        if let Some(last) = concurrent::leave_to_last(&cell, last) {
            last();
        }
    }

    /// The state is dropped: tells those who wait for that.
    fn tell(&mut self, reason: ExitReason) -> Poll<()> {
        self.desk.as_mut().set_tag(OVER);
        tell(self.desk.fixed().cell(), self.link, reason);
        Poll::Ready(())
    }
}

fn tell<A: Actor>(cell: &Cell<A>, link: &mut impl Link, reason: ExitReason) {
    if reason.is_orderly() {
        tracing::debug!(actor = cell.name(), id = %cell.id(), %reason, "actor ended");
    } else {
        tracing::warn!(actor = cell.name(), id = %cell.id(), %reason, "actor ended");
    }
    // The next incarnation may begin before this returns: nothing of the cell is used after it.
    cell.mailbox.leave();
    cell.ended(&reason);
    link.ended(reason);
}

/// The start: `init`, with the arguments.
struct Starting<A: Actor>(A::Args);

impl<A: Actor> Guest<Ctx<A>, Step<A>> for Starting<A> {
    fn enter<'s>(self, ctx: &'s Ctx<A>) -> impl Future<Output = Step<A>> + Send + 's
    where
        Self: 's,
    {
        async move {
            let make = async move {
                if let Some(why) = ctx.cell().life.former_exit() {
                    A::restarting(why, ctx).await;
                }
                A::init(self.0, ctx).await
            };
            Step::Made(match Caught::new(make).await {
                Ok(Ok(state)) => Ok(state),
                Ok(Err(error)) => Err(Failure::Failed(init_failed::<A>(error))),
                Err(panic) => Err(Failure::Panicked(panic)),
            })
        }
    }
}

/// The stop hook, with the state.
struct Stopping<A: Actor>(A);

impl<A: Actor> Guest<Ctx<A>, Step<A>> for Stopping<A> {
    fn enter<'s>(self, ctx: &'s Ctx<A>) -> impl Future<Output = Step<A>> + Send + 's
    where
        Self: 's,
    {
        async move {
            let why = ctx.cell().control.why();
            let hook = async move { A::stopped(self.0, why, ctx).await };
            Step::Stopped(why, Caught::new(hook).await)
        }
    }
}

/// A message to its handler.
struct Handling<A: Actor>(A::Msg);

impl<A: Actor> Tenant<Ctx<A>, A, Step<A>> for Handling<A> {
    #[inline]
    fn enter<'s>(
        self,
        ctx: &'s Ctx<A>,
        state: &'s mut A,
    ) -> impl Future<Output = Step<A>> + Send + 's
    where
        Self: 's,
    {
        Handled {
            handler: state.handle(self.0, ctx),
            actor: PhantomData,
        }
    }
}

pin_project_lite::pin_project! {
    /// Not an `async` block: that would keep the message twice.
    struct Handled<F, A> {
        #[pin]
        handler: F,
        actor: PhantomData<fn() -> A>,
    }
}

impl<A: Actor, F: Future<Output = ()>> Future for Handled<F, A> {
    type Output = Step<A>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Step<A>> {
        self.project().handler.poll(cx).map(|()| Step::Handled)
    }
}

/// As `Handling`, in a simulation.
struct Delivering<A: Actor>(A::Msg);

impl<A: Actor> Tenant<Ctx<A>, A, Step<A>> for Delivering<A> {
    fn enter<'s>(
        self,
        ctx: &'s Ctx<A>,
        state: &'s mut A,
    ) -> impl Future<Output = Step<A>> + Send + 's
    where
        Self: 's,
    {
        async move {
            let msg = simulate::deliver(self.0, ctx).await;
            state.handle(msg, ctx).await;
            Step::Handled
        }
    }
}

/// What has come in the control lane.
struct Signals;

impl<A: Actor> Tenant<Ctx<A>, A, Step<A>> for Signals {
    fn enter<'s>(
        self,
        ctx: &'s Ctx<A>,
        state: &'s mut A,
    ) -> impl Future<Output = Step<A>> + Send + 's
    where
        Self: 's,
    {
        async move {
            signals(state, ctx).await;
            Step::Handled
        }
    }
}

/// The phase of concurrent handlers that begins with this message.
pub(super) struct Concurrently<A: Actor> {
    state: Option<A>,
    msg: Option<A::Msg>,
    ticks: Option<Box<Ticker>>,
}

impl<A: Actor> Guest<Ctx<A>, Step<A>> for Concurrently<A> {
    fn enter<'s>(self, ctx: &'s Ctx<A>) -> impl Future<Output = Step<A>> + Send + 's
    where
        Self: 's,
    {
        async move {
            let state = self.state.expect("it serves, so it has a state");
            Step::Phase(concurrent::phase(state, self.msg, ctx, self.ticks).await)
        }
    }
}

/// Serving an actor that has ticks or time limits: apart, so that those without don't pay for them.
/// With its ticks, if it has served before.
struct ByTheClock(Option<Box<Ticker>>);

impl<A: Actor> Tenant<Ctx<A>, A, Step<A>> for ByTheClock {
    fn enter<'s>(
        self,
        ctx: &'s Ctx<A>,
        state: &'s mut A,
    ) -> impl Future<Output = Step<A>> + Send + 's
    where
        Self: 's,
    {
        async move {
            let serve = serve_by_the_clock(state, ctx, self.0);
            let served = if A::LIMITED {
                Limited::new(ctx, serve).await
            } else {
                Served::new(ctx, serve).await
            };
            match served {
                Ok(Some(share)) => Step::Share(share),
                Ok(None) => Step::Served(Ok(())),
                Err(cut) => Step::Served(Err(cut)),
            }
        }
    }
}

#[cold]
fn init_failed<A: Actor>(error: A::Error) -> ExitReason {
    // The error's Display is user code as well.
    match caught(move || (!A::is_ignored(&error)).then(|| error.to_string())) {
        Ok(Some(message)) => ExitReason::InitFailed { message },
        Ok(None) => ExitReason::Ignored,
        Err(panic) => panic.into(),
    }
}

/// Serves an actor without ticks and time limits, from where it stands.
#[inline]
fn serve_at<A: Actor>(
    ctx: &Ctx<A>,
    mut desk: Open<'_, Ctx<A>, A, Step<A>>,
    cx: &mut Context<'_>,
) -> Poll<Result<(), Box<Cut>>> {
    let cell = ctx.cell();
    if desk.is_lent() {
        match ready!(desk.poll(cx)) {
            Step::Phase(over) => {
                desk.put(over.state);
                over.result?;
            }
            _ => work::end(cell),
        }
    }
    let mut msg = None;
    loop {
        let mut inbox = Inbox::new(ctx, ());
        let next = loop {
            let inbox = &mut inbox;
            let next = ready!(NextOf { ctx, inbox }.poll_into(cx, &mut msg));
            if !matches!(next, Next::Message) {
                break next;
            }
            // Where it lies: a message that is moved is written and read again at once.
            let here = msg.as_mut().expect(PRESENT);
            inbox.join::<A>(here);
            work::begin::<A>(here, ctx.cell());
            if simulated::is_active() {
                let message = || Delivering::<A>(msg.take().expect(PRESENT));
                ready!(desk.lend(message, cx));
            } else if A::HANDLERS_WAIT {
                let message = || Handling::<A>(msg.take().expect(PRESENT));
                ready!(desk.lend(message, cx));
            } else {
                handle_at_once(desk.state(), &mut msg, ctx, cx);
            }
            work::end(cell);
        };
        // What is lent next may want the turn.
        drop(inbox);
        match next {
            Next::Concurrent => {
                let (state, msg) = (desk.take(), msg.take());
                let ticks = None;
                let Step::Phase(over) = ready!(desk.invite(Concurrently { state, msg, ticks }, cx))
                else {
                    unreachable!("a phase ends as one")
                };
                desk.put(over.state);
                over.result?;
            }
            Next::Signals => drop(ready!(desk.lend(|| Signals, cx))),
            Next::Stop => return Poll::Ready(Ok(())),
            Next::Message | Next::Tick(_) => unreachable!("handled above; there is no clock"),
        }
    }
}

/// Without a place for a future that waits.
#[inline]
fn handle_at_once<A: Actor>(
    state: &mut A,
    msg: &mut Option<A::Msg>,
    ctx: &Ctx<A>,
    cx: &mut Context<'_>,
) {
    let handled = pin!(state.handle(msg.take().expect(PRESENT), ctx)).poll(cx);
    assert!(
        handled.is_ready(),
        "a handler waits, and `Actor::HANDLERS_WAIT` says that none does: leave that out"
    );
}

/// As `serve_at`, with ticks. What it returns, if the actor need not stop, is what is to be done before
/// it can go on.
async fn serve_by_the_clock<A: Actor>(
    state: &mut A,
    ctx: &Ctx<A>,
    ticks: Option<Box<Ticker>>,
) -> Result<Option<Box<Concurrently<A>>>, Box<Cut>> {
    let mut inbox = Inbox::new(ctx, ticks.or_else(|| Ticker::new(A::ticks())));
    loop {
        let (next, msg) = NextOf {
            ctx,
            inbox: &mut inbox,
        }
        .await;
        match next {
            Next::Message => {
                let mut msg = msg.expect(PRESENT);
                inbox.join::<A>(&mut msg);
                work::begin::<A>(&mut msg, ctx.cell());
                if simulated::is_active() {
                    msg = Box::pin(simulate::deliver(msg, ctx)).await;
                }
                state.handle(msg, ctx).await;
                work::end(ctx.cell());
            }
            Next::Concurrent => {
                let ticks = inbox.ticks.take();
                let state = None;
                return Ok(Some(Box::new(Concurrently { state, msg, ticks })));
            }
            Next::Tick(index) => {
                drop(msg);
                work::begin_hook::<A>("#[every]");
                state.tick(index, ctx).await;
                work::end(ctx.cell());
            }
            Next::Signals => {
                drop(msg);
                signals(state, ctx).await;
            }
            Next::Stop => return Ok(None),
        }
    }
}

const PRESENT: &str = "`Next::Message` has a message";

/// Handles what has come in the control lane, in its order.
async fn signals<A: Actor>(state: &mut A, ctx: &Ctx<A>) {
    let cell = ctx.cell();
    // Before they are taken: one that comes later sets it again.
    cell.control.clear_signal();
    // No more than there are: a hook that monitors the dead gets an answer for each.
    let mut left = cell.life.signals();
    while left > 0
        && !cell.control.stop_now()
        && let Some(signal) = cell.next_signal()
    {
        left -= 1;
        match signal {
            Signal::Down(down) => {
                work::begin_hook::<A>(work::DOWN);
                state.down(down, ctx).await;
            }
            Signal::Exited(exited) => {
                work::begin_hook::<A>(work::EXIT);
                state.exit(exited, ctx).await;
            }
        }
        work::end(cell);
    }
    if cell.control.has_echo() {
        // Such a hook may do that for ever, which is to hold up nobody else.
        yield_now().await;
    }
}
