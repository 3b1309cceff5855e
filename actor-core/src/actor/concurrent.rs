//! Concurrent handlers: several `&self` handlers of one actor at work at the same time, each a
//! goroutine of its own that any P may run, between two of the exclusive ones. A reader-writer
//! discipline without a lock: for a *phase* the state moves onto a [`Shelf`] that the handlers own
//! together, and when none of them is left it moves back.
//!
//! ```text
//!   queue:   c c c  X  c c  X         c concurrent
//!            └─┬─┘  │  └┬┘  │         X exclusive (`&mut self`, a tick, a signal, the stop)
//!   phase 1 ───┘    │   │   └─ alone
//!           alone ──┘   └─ phase 2
//!
//!   actor's goroutine:   state ──▶ shelf ──── takes messages, starts handlers ────▶ state
//!   handlers' goroutines:            ├──▶ c ──▶ leaves ─┐    `Board`: who has left, ▲
//!                                    └──▶ c ──▶ leaves ─┴──▶ and what went wrong ───┘
//! ```
//! Protocol of a phase (which begins with a concurrent message):
//! 1. Look at the board. Who is there has left.
//! 2. If nothing is held, take what is next. A concurrent message whose method has room becomes a
//!    goroutine at once; anything else is *held*, and nothing behind it is taken: exclusive handlers
//!    do not starve, and handlers start in the order in which their messages came.
//! 3. No handler left: the phase ends, and what is held is put back, to be the actor's next step.
//!
//! A handler leaves in this order: its future is dropped, then its share of the state, then it goes
//! onto the board. So when the last one is on the board, the state has one owner: whoever looks.
//!
//! Invariants:
//! - A held message was not begun. If the incarnation ends first, the next one begins with it. One
//!   whose goroutine was started and never ran is a dead letter then.
//! - A handler that panics ends the incarnation. Its asker is told so, the others are aborted, each at
//!   its next await, and their askers are told `Stopped`. So does one that runs into its time limit,
//!   which counts from its start.
//! - The incarnation's end is told when the last handler has left and the state is dropped. After a
//!   kill there is no goroutine of the actor any more to wait for that: its [`Board::last`] is what
//!   the last handler does in its place.
//! - User code runs outside of the board's lock, which is the life's.
//!
//! That the state is `Sync` is known only where the actor is (its `share` makes the shelf), so the
//! phase, which is written for all actors, has it behind a trait object.
//!
//! Rejected: the state in an `Arc` at all times (a word more and a step more for each message of all
//! actors, or a second kind of actor); the first handler on the actor's own goroutine (it can't be
//! moved to another P, so one that computes would hold up the rest).

use std::{
    fmt,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use super::{
    Actor, Cell, Ctx, DeadLetterReason, caught,
    caught::Panic,
    inbox::{Inbox, Next, NextOf},
    simulate,
    ticker::{Ticker, Ticks as _},
    work::{self, Beside, Cut, LimitTimer, Noted},
};
use crate::{
    chan::{NoReply, discard_with},
    sched::{
        AbortHandle, go_as, simulated,
        wait::{self, Wait, WaitKind},
    },
};

/// Which concurrent handler a message has, and how many of it may run at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Concurrency {
    /// Tells the actor's concurrent handlers apart.
    pub handler: usize,
    /// At least 1; 0 counts as 1.
    pub max: usize,
}

/// A state that concurrent handlers share: see [`Actor::share`].
pub struct Shared<A: Actor>(Arc<dyn Share<A>>);

impl<A: Actor + Sync> Shared<A> {
    /// Only a state that is `Sync` can be shared.
    pub fn new(state: A, ctx: &Ctx<A>) -> Self {
        let ctx = Ctx::new(ctx.shared_cell());
        Self(Arc::new(Shelf { state, ctx }))
    }
}

impl<A: Actor> fmt::Debug for Shared<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

/// What can be done with a shelf where nobody knows that the state is `Sync`.
trait Share<A: Actor>: Send + Sync {
    /// Starts a handler.
    fn start(self: Arc<Self>, msg: A::Msg, work: Beside) -> AbortHandle;
    /// The state, if nobody else has a share.
    fn into_state(self: Arc<Self>) -> Option<A>;
}

/// See the file's comment.
struct Shelf<A: Actor> {
    state: A,
    ctx: Ctx<A>,
}

impl<A: Actor + Sync> Share<A> for Shelf<A> {
    fn start(self: Arc<Self>, msg: A::Msg, work: Beside) -> AbortHandle {
        let begin = |shelf: Arc<Self>, mut msg| async move {
            if simulated::is_active() {
                msg = Box::pin(simulate::deliver(msg, &shelf.ctx)).await;
            }
            shelf.state.concurrently(msg, &shelf.ctx).await;
        };
        go_as::<A, _>(Handler {
            msg: Some(msg),
            begin,
            run: None,
            shelf: Some(self),
            work,
            timer: None,
        })
    }

    fn into_state(self: Arc<Self>) -> Option<A> {
        Arc::into_inner(self).map(|shelf| shelf.state)
    }
}

pin_project_lite::pin_project! {
    /// The goroutine of one handler.
    #[project = HandlerProj]
    struct Handler<A: Actor, B, F> {
        // None: it has begun.
        msg: Option<A::Msg>,
        begin: B,
        // With a share of its own.
        #[pin]
        run: Option<F>,
        // So that the state is never dropped by the unwinding of `run`. None: it has left.
        shelf: Option<Arc<Shelf<A>>>,
        work: Beside,
        // Made when a handler with a time limit waits.
        timer: Option<LimitTimer>,
    }

    impl<A: Actor, B, F> PinnedDrop for Handler<A, B, F> {
        fn drop(this: Pin<&mut Self>) {
            // Aborted, or its runtime ends.
            leave(this.project(), NoReply::Stopped, None);
        }
    }
}

impl<A: Actor, B, F> Future for Handler<A, B, F>
where
    B: Fn(Arc<Shelf<A>>, A::Msg) -> F,
    F: Future<Output = ()>,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        let Some(shelf) = &*this.shelf else {
            return Poll::Ready(());
        };
        if let Some(msg) = this.msg.take() {
            let run = (this.begin)(Arc::clone(shelf), msg);
            this.run.set(Some(run));
        }
        let Some(run) = this.run.as_mut().as_pin_mut() else {
            return Poll::Ready(());
        };
        let outer = this.work.resume(shelf.ctx.cell());
        let polled = catch_unwind(AssertUnwindSafe(|| run.poll(cx)));
        this.work.pause(outer);
        let (answer, cut) = match polled {
            Ok(Poll::Ready(())) => (NoReply::Dropped, None),
            Ok(Poll::Pending) => {
                this.work.note(&shelf.ctx, cx);
                let Some(deadline) = this.work.deadline() else {
                    return Poll::Pending;
                };
                let timer = this.timer.get_or_insert_with(LimitTimer::new);
                if timer.poll(Some(deadline), cx).is_pending() {
                    return Poll::Pending;
                }
                (NoReply::TimedOut, Some(this.work.timed_out()))
            }
            Err(payload) => {
                let cut = this.work.panicked(Panic::new(payload));
                (NoReply::Panicked, Some(cut))
            }
        };
        leave(this, answer, cut);
        Poll::Ready(())
    }
}

/// The handler is over, if it was not before; see the file's comment for the order.
fn leave<A: Actor, B, F>(this: HandlerProj<'_, A, B, F>, answer: NoReply, cut: Option<Box<Cut>>) {
    let Some(shelf) = this.shelf.take() else {
        return;
    };
    let (cell, mut run) = (shelf.ctx.shared_cell(), this.run);
    discard_with(answer, || {
        for dropped in [caught(|| run.set(None)), caught(|| drop(shelf))] {
            if let Err(panic) = dropped {
                tracing::error!(
                    actor = cell.name(),
                    handler = this.work.handler(),
                    ?panic,
                    "a Drop panicked at the end of a concurrent handler"
                );
            }
        }
    });
    if let Some(msg) = this.msg.take() {
        // It was not begun, and has no place in the queue any more.
        cell.dead_letter(msg, DeadLetterReason::Stopped);
    }
    let key = this.work.key();
    let mut left = cell.life.with_work(|work| work.left_beside(key, cut));
    drop((left.gone.take(), left.board.take()));
    if let Some(cut) = left.second {
        tracing::error!(
            actor = cell.name(),
            handler = this.work.handler(),
            what = cut.what(),
            "one more concurrent handler crashed while its actor ended"
        );
    }
    if let Some(waker) = left.wake {
        waker.wake();
    }
    if let Some(last) = left.last {
        last();
    }
}

/// How a phase stands: in the life's work, under its lock.
#[derive(Default)]
pub(super) struct Board {
    handlers: Vec<UnderWay>,
    cut: Option<Box<Cut>>,
    was_cut: bool,
    /// Each one who leaves is waited for, not only the last: by a message whose method is full.
    each: bool,
    /// Somebody has left since the phase looked last.
    has_left: bool,
    /// Of the actor's goroutine, while it waits.
    waker: Option<Waker>,
    /// What is to be done when nobody is left, by the last one: the phase itself is gone.
    last: Option<Last>,
}

struct UnderWay {
    key: u64,
    which: usize,
    /// None until its goroutine is started, or when it is aborted.
    abort: Option<AbortHandle>,
    /// None until it waits.
    noted: Option<Noted>,
}

/// See [`Board::last`].
pub(super) type Last = Box<dyn FnOnce() + Send>;

/// What somebody who left has to do, out of the lock.
#[must_use]
#[derive(Default)]
pub(super) struct Left {
    wake: Option<Waker>,
    pub(super) last: Option<Last>,
    /// It was not the first to crash.
    second: Option<Box<Cut>>,
    /// Only to be dropped: it has wakers.
    gone: Option<UnderWay>,
    pub(super) board: Option<Box<Board>>,
}

impl Board {
    pub(super) fn leave(&mut self, key: u64, cut: Option<Box<Cut>>) -> Left {
        let mut left = Left::default();
        let at = self.handlers.iter().position(|handler| handler.key == key);
        left.gone = at.map(|at| self.handlers.swap_remove(at));
        self.has_left = true;
        let mut wakes = self.each || self.handlers.is_empty();
        if self.was_cut {
            left.second = cut;
        } else if cut.is_some() {
            (self.cut, self.was_cut, wakes) = (cut, true, true);
        }
        if wakes {
            left.wake = self.waker.take();
        }
        if self.handlers.is_empty() {
            left.last = self.last.take();
        }
        left
    }

    /// Where to note that a handler waits.
    pub(super) fn place_of(&mut self, key: u64) -> Option<&mut Option<Noted>> {
        let handler = self.handlers.iter_mut().find(|handler| handler.key == key);
        handler.map(|handler| &mut handler.noted)
    }

    /// The handlers that wait.
    pub(super) fn noted(&mut self) -> impl Iterator<Item = &mut Noted> {
        self.handlers.iter_mut().filter_map(|h| h.noted.as_mut())
    }
}

/// Has the last handler do what the end of a killed incarnation needs; or returns it, if there is no
/// handler any more.
pub(super) fn leave_to_last<A: Actor>(cell: &Cell<A>, last: Last) -> Option<Last> {
    let (mut last, mut board) = (Some(last), None);
    cell.life.end_work(|work| match &mut work.board {
        Some(board) if !board.handlers.is_empty() => board.last = last.take(),
        _ => board = work.board.take(),
    });
    drop(board);
    last
}

/// Aborts all handlers: they are dropped at their next await, and who computes goes on until then.
fn abort_all<A: Actor>(cell: &Cell<A>) {
    let mut aborts = Vec::new();
    cell.life.end_work(|work| {
        let handlers = work.board.iter_mut().flat_map(|board| &mut board.handlers);
        aborts.extend(handlers.filter_map(|handler| handler.abort.take()));
    });
    for abort in aborts {
        abort.abort();
    }
}

/// The phase that begins with `msg`.
pub(super) fn phase<A: Actor>(
    state: A,
    msg: Option<A::Msg>,
    ctx: &Ctx<A>,
    ticks: Option<Box<Ticker>>,
) -> Phase<'_, A> {
    ctx.cell()
        .life
        .with_work(|work| work.board = Some(Box::default()));
    Phase {
        shared: Some(state.share(ctx)),
        held: msg,
        waits: false,
        cut: None,
        last_key: 0,
        ctx,
        inbox: Inbox::new(ctx, ticks),
    }
}

/// See the file's comment.
pub(super) struct Phase<'a, A: Actor> {
    /// None: it is over.
    shared: Option<Shared<A>>,
    held: Option<A::Msg>,
    /// A tick, a signal or the stop is next: nothing more is taken.
    waits: bool,
    /// What ends the incarnation: nothing more is taken either.
    cut: Option<Box<Cut>>,
    /// Of the handler that was started last.
    last_key: u64,
    ctx: &'a Ctx<A>,
    inbox: Inbox<'a, A::Msg, Option<Box<Ticker>>>,
}

/// What a phase leaves.
pub(super) struct Over<A> {
    pub(super) state: A,
    pub(super) result: Result<(), Box<Cut>>,
    pub(super) ticks: Option<Box<Ticker>>,
}

// Nothing in it is pinned: messages are moved.
impl<A: Actor> Unpin for Phase<'_, A> {}

impl<A: Actor> Future for Phase<'_, A> {
    type Output = Over<A>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        loop {
            if let Some(cut) = this.look() {
                this.end_with(cut);
            }
            // What a user may have written by hand (a message's concurrency, its limit, its name), and the
            // panics of those who work beside the actor.
            if this.cut.is_none()
                && let Err(panic) = caught(|| while this.start_held() || this.take_next(cx) {})
            {
                let handler = work::take_blamed();
                this.end_with(Box::new(Cut::Panicked { handler, panic }));
            }
            match this.stands(cx) {
                Stands::Over => return Poll::Ready(this.over()),
                Stands::Asleep => return Poll::Pending,
                Stands::Changed => {}
            }
        }
    }
}

/// Whether a phase can sleep.
enum Stands {
    Asleep,
    /// There is something new on the board.
    Changed,
    /// Nobody is on it.
    Over,
}

impl<A: Actor> Phase<'_, A> {
    fn with_board<R>(&self, f: impl FnOnce(&mut Board) -> R) -> R {
        let f =
            |board: &mut Option<Box<Board>>| f(board.as_mut().expect("there is one in a phase"));
        self.ctx.cell().life.with_work(|work| f(&mut work.board))
    }

    /// Has somebody crashed?
    fn look(&mut self) -> Option<Box<Cut>> {
        self.with_board(|board| {
            board.has_left = false;
            board.cut.take()
        })
    }

    fn end_with(&mut self, cut: Box<Cut>) {
        self.cut = Some(cut);
        self.with_board(|board| board.was_cut = true);
        abort_all(self.ctx.cell());
    }

    /// Holds the next message. False if there is none, or something else has to wait for the end.
    fn take_next(&mut self, cx: &mut Context<'_>) -> bool {
        if self.waits || self.held.is_some() {
            return false;
        }
        let mut next = NextOf {
            ctx: self.ctx,
            inbox: &mut self.inbox,
        };
        let Poll::Ready((next, msg)) = next.poll_next(cx) else {
            return false;
        };
        match next {
            Next::Message | Next::Concurrent => self.held = msg,
            // Found again by whoever looks after the phase.
            Next::Stop | Next::Signals => self.waits = true,
            Next::Tick(index) => {
                self.waits = true;
                self.inbox.ticks.put_back(index);
            }
        }
        self.held.is_some()
    }

    /// Starts the held message if it is a concurrent one and may start now.
    fn start_held(&mut self) -> bool {
        let Some(Concurrency { handler, max }) = self.held.as_ref().and_then(A::concurrency) else {
            return false;
        };
        let is_full = self.with_board(|board| {
            let same = board.handlers.iter().filter(|h| h.which == handler);
            same.count() >= max.max(1)
        });
        // Asked to leave what is queued, or to look at a signal first: this one is queued, still.
        if is_full || self.ctx.cell().control.calls() {
            return false;
        }
        let (Some(msg), Some(shared)) = (self.held.take(), &self.shared) else {
            return false;
        };
        self.last_key += 1;
        let key = self.last_key;
        let work = Beside::begin::<A>(&msg, key);
        self.with_board(|board| {
            board.handlers.push(UnderWay {
                key,
                which: handler,
                abort: None,
                noted: None,
            });
        });
        let mut abort = Some(Arc::clone(&shared.0).start(msg, work));
        self.with_board(|board| {
            if let Some(started) = board.handlers.iter_mut().find(|h| h.key == key) {
                started.abort = abort.take();
            }
        });
        true
    }

    /// Registers with the board, unless it has something new.
    fn stands(&self, cx: &Context<'_>) -> Stands {
        let each = self.held.is_some();
        let mut old = None;
        let stands = self.with_board(|board| {
            if board.cut.is_some() || each && board.has_left {
                return Stands::Changed;
            }
            if board.handlers.is_empty() {
                return Stands::Over;
            }
            board.each = each;
            let known = board.waker.as_ref();
            if !known.is_some_and(|known| wait::same(known, cx.waker())) {
                old = board.waker.replace(wait::keep(cx.waker()));
            }
            Stands::Asleep
        });
        drop(old);
        if each || self.waits || self.cut.is_some() {
            // Else it is the mailbox that is waited for.
            Wait::of(WaitKind::Handlers).note(cx.waker());
        }
        stands
    }

    /// Nobody else has the state.
    fn over(&mut self) -> Over<A> {
        let mut board = None;
        let cell = self.ctx.cell();
        cell.life.end_work(|work| board = work.board.take());
        drop(board);
        self.keep_back();
        let shared = self.shared.take().expect("polled after it was ready");
        let state = shared.0.into_state();
        Over {
            state: state.expect("those who had a share have left"),
            result: self.cut.take().map_or(Ok(()), Err),
            ticks: self.inbox.ticks.take(),
        }
    }

    fn keep_back(&mut self) {
        if let Some(msg) = self.held.take() {
            self.ctx.cell().keep_back(msg);
        }
    }
}

impl<A: Actor> Drop for Phase<'_, A> {
    fn drop(&mut self) {
        // After its end there is nothing left of all this.
        abort_all(self.ctx.cell());
        self.keep_back();
    }
}
