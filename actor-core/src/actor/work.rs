//! What an actor works on: known to crash reports, time limits and the watcher of wedged handlers.
//!
//! ```text
//!            begin: name → thread
//!   (no work) ──────────────► running ──── Pending ───► waiting: name, time, waker → `Life`, boxed
//!        ▲                     │  ▲                       │          control word: WAITING
//!        └──────── end ────────┘  └─────── next poll ─────┘ name → thread
//! ```
//! - A message that is handled in one poll costs a few stores to the thread's own `sched::working`,
//!   where the watcher finds a handler that computes without an end. Only a handler that waits is
//!   written down in its actor, once, at its first `Pending`.
//! - The thread's is saved and restored around each poll, and read where a panic is caught.
//! - `WAITING` is set and cleared by the actor's own goroutine only.
//! - A limit ([`Limited`]) has one timer per incarnation, reused, which is set while a limited handler
//!   waits. When it fires, the handler's future is dropped where it is. A handler that can finish in
//!   that very poll finishes.
//! - Concurrent handlers are written down one by one ([`Beside`]), and `WAITING` is not for them; each
//!   has a timer of its own for its limit (`concurrent`).

use std::{
    cell::Cell as LocalCell,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use super::{
    Actor, Cell, Ctx, Message, caught,
    caught::Panic,
    concurrent::{Board, Left},
    poison, wedged,
};
use crate::{
    chan::{NoReply, discard_with},
    sched::{
        Instant, Sleep,
        record::RecordRef,
        sleep_until,
        wait::{self, Wait},
        working::{self, Sign},
    },
};

pub(super) const DOWN: &str = "#[down]";
pub(super) const EXIT: &str = "#[exit]";

thread_local! {
    /// The limit of what the actor polled by this thread works on; touched for actors with limits only.
    static LIMIT: LocalCell<Option<(Instant, Instant)>> = const { LocalCell::new(None) };
}

/// The handlers that wait.
#[derive(Default)]
pub(super) struct Work {
    /// The one that has the state for itself.
    pub(super) now: Option<Waiting>,
    /// Those that share it.
    pub(super) board: Option<Box<Board>>,
    /// The goroutine's, to look up what it waits for.
    waker: Option<Waker>,
}

#[derive(Clone, Copy)]
pub(super) struct Waiting {
    pub(super) handler: &'static str,
    pub(super) since: Instant,
    deadline: Option<Instant>,
    /// Noted here if a limit's timer was polled after it.
    wait: Option<Wait>,
    pub(super) reported: bool,
}

/// A concurrent handler that waits.
pub(super) struct Noted {
    waiting: Waiting,
    /// Its goroutine's, to look up what it waits for.
    waker: Waker,
}

/// A handler that has waited for too long.
pub(super) struct Wedged {
    pub(super) handler: &'static str,
    pub(super) since: Instant,
    /// In words.
    pub(super) waits_for: String,
}

impl Work {
    /// No handler waits.
    pub(super) fn is_idle(&self) -> bool {
        self.now.is_none() && self.board.is_none()
    }

    /// The handlers that have waited for `after` and were not reported before, and how many may
    /// have to be reported later.
    pub(super) fn wedged(&mut self, after: Duration, now: Instant) -> (Vec<Wedged>, usize) {
        let noted = self.waker.as_ref().and_then(wait::noted);
        let alone = self.now.iter_mut().map(|waiting| (waiting, noted));
        let beside = self.board.iter_mut().flat_map(|board| board.noted());
        let beside = beside.map(|beside| {
            let noted = wait::noted(&beside.waker);
            (&mut beside.waiting, noted)
        });
        let (mut found, mut later) = (Vec::new(), 0);
        for (waiting, noted) in alone.chain(beside).filter(|(w, _)| !w.reported) {
            if now - waiting.since < after {
                later += 1;
                continue;
            }
            waiting.reported = true;
            let wait = waiting.wait.or(noted);
            found.push(Wedged {
                handler: waiting.handler,
                since: waiting.since,
                waits_for: wait
                    .map_or_else(|| "something unknown".to_owned(), |wait| wait.to_string()),
            });
        }
        (found, later)
    }

    /// The goroutines of the concurrent handlers that wait, if the state is shared by such.
    pub(super) fn beside_records(&mut self) -> Option<Vec<RecordRef>> {
        let noted = self.board.as_mut()?.noted();
        Some(noted.map(|noted| wait::record(&noted.waker)).collect())
    }

    fn place_of(&mut self, key: u64) -> Option<&mut Option<Noted>> {
        self.board.as_mut()?.place_of(key)
    }

    /// A concurrent handler is over.
    pub(super) fn left_beside(&mut self, key: u64, cut: Option<Box<Cut>>) -> Left {
        let Some(board) = &mut self.board else {
            unreachable!("the board stays until the last handler has left")
        };
        let mut left = board.leave(key, cut);
        if left.last.is_some() {
            left.board = self.board.take();
        }
        left
    }
}

/// The next message goes to its handler.
#[inline]
pub(super) fn begin<A: Actor>(msg: &mut A::Msg, cell: &Cell<A>) {
    working::here().set(msg.name());
    if A::LIMITED {
        LIMIT.set(times(A::limit(msg)));
    }
    if A::RETRIES {
        poison::set_aside(cell, msg);
    }
}

/// A hook is about to run between messages.
pub(super) fn begin_hook<A: Actor>(name: &'static str) {
    working::here().set(name);
    if A::LIMITED {
        LIMIT.set(times(A::HANDLER_LIMIT));
    }
}

/// What the watcher is to know of this actor's type.
fn sign<A: Actor>() -> &'static Sign {
    const {
        &Sign {
            name: A::NAME,
            wedged_after: A::WEDGED_AFTER,
        }
    }
}

/// Whether this thread polls an actor's `#[down]` or `#[exit]`.
pub(super) fn is_in_signal_hook() -> bool {
    [DOWN, EXIT].contains(&working::here().get())
}

/// The panic that comes next is one of work beside the actor.
#[cold]
pub(super) fn blame_beside() {
    working::here().set("(pipe or stream)");
}

/// Who is to blame for the panic that was just caught; named once.
#[cold]
pub(super) fn take_blamed() -> &'static str {
    let here = working::here();
    let blamed = here.get();
    here.clear();
    named(blamed)
}

fn named(handler: &'static str) -> &'static str {
    if handler.is_empty() {
        "(between messages)"
    } else {
        handler
    }
}

/// The begin of what begins now, and its deadline.
fn times(limit: Option<Duration>) -> Option<(Instant, Instant)> {
    limit.map(|limit| {
        let now = Instant::now();
        (now, now + limit)
    })
}

/// The handler or hook is done.
#[inline]
pub(super) fn end<A: Actor>(cell: &Cell<A>) {
    if A::RETRIES {
        cell.drop_spare();
    }
    working::here().clear();
    if cell.control.is_waiting() {
        end_waiting(cell);
    }
}

fn end_waiting<A: Actor>(cell: &Cell<A>) {
    cell.control.set_waiting(false);
    cell.life.end_work(|work| work.now = None);
}

/// It returned `Pending` for the first time.
fn begin_waiting<A: Actor>(ctx: &Ctx<A>, handler: &'static str, cx: &Context<'_>) {
    let cell = ctx.cell();
    let limit = if A::LIMITED { LIMIT.take() } else { None };
    let now = Instant::now();
    let (since, deadline) = match limit {
        Some((since, deadline)) => (since, Some(deadline)),
        None => (now, None),
    };
    let mut fresh = None;
    cell.life.with_work(|work| {
        work.now = Some(Waiting {
            handler,
            since,
            deadline,
            wait: None,
            reported: false,
        });
        if !work
            .waker
            .as_ref()
            .is_some_and(|kept| wait::same(kept, cx.waker()))
        {
            fresh = work.waker.replace(wait::store(cx.waker()));
        }
    });
    drop(fresh);
    cell.control.set_waiting(true);
    if !cell.life.watch() {
        wedged::watch(ctx);
    }
    wedged::somebody_waits();
}

/// The work of one concurrent handler. It has the thread only while it is polled, and a place
/// of its own on the board, since others of its actor wait at the same time.
pub(super) struct Beside {
    handler: &'static str,
    key: u64,
    /// Its begin and its deadline.
    limit: Option<(Instant, Instant)>,
    is_noted: bool,
}

impl Beside {
    /// Its message goes to its handler. `key` tells it from others of the same phase.
    pub(super) fn begin<A: Actor>(msg: &A::Msg, key: u64) -> Self {
        let limit = if A::LIMITED {
            times(A::limit(msg))
        } else {
            None
        };
        Self {
            handler: msg.name(),
            key,
            limit,
            is_noted: false,
        }
    }

    pub(super) fn key(&self) -> u64 {
        self.key
    }

    pub(super) fn handler(&self) -> &'static str {
        self.handler
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.limit.map(|(_, deadline)| deadline)
    }

    /// Before each poll. What it returns is for `pause`.
    pub(super) fn resume<A: Actor>(&self, cell: &Cell<A>) -> &'static str {
        working::here().begin(cell.id().number(), sign::<A>(), self.handler)
    }

    /// After each poll.
    pub(super) fn pause(&self, outer: &'static str) {
        working::here().end(outer);
    }

    /// It returned `Pending`.
    pub(super) fn note<A: Actor>(&mut self, ctx: &Ctx<A>, cx: &Context<'_>) {
        // A limit's timer, which is polled after this, notes itself in the goroutine.
        let wait = self.limit.and_then(|_| wait::noted(cx.waker()));
        if self.is_noted && self.limit.is_none() {
            return;
        }
        let life = &ctx.cell().life;
        let key = self.key;
        if self.is_noted {
            life.with_work(|work| {
                if let Some(Some(noted)) = work.place_of(key) {
                    noted.waiting.wait = wait;
                }
            });
            return;
        }
        let noted = Noted {
            waiting: Waiting {
                handler: self.handler,
                since: self.limit.map_or_else(Instant::now, |(since, _)| since),
                deadline: None,
                wait,
                reported: false,
            },
            waker: wait::store(cx.waker()),
        };
        life.with_work(|work| {
            if let Some(place) = work.place_of(key) {
                *place = Some(noted);
            }
        });
        self.is_noted = true;
        if !life.watch() {
            wedged::watch(ctx);
        }
        wedged::somebody_waits();
    }

    /// Its deadline has passed.
    pub(super) fn timed_out(&self) -> Box<Cut> {
        let (since, deadline) = self.limit.expect("only what has a limit runs into it");
        Box::new(Cut::TimedOut {
            handler: self.handler,
            limit: deadline - since,
        })
    }

    pub(super) fn panicked(&self, panic: Panic) -> Box<Cut> {
        Box::new(Cut::Panicked {
            handler: self.handler,
            panic,
        })
    }
}

/// Why serving ended early.
pub(super) enum Cut {
    Panicked {
        handler: &'static str,
        panic: Panic,
    },
    TimedOut {
        handler: &'static str,
        limit: Duration,
    },
}

impl Cut {
    /// What happened, in words.
    pub(super) fn what(&self) -> String {
        match self {
            Self::Panicked { panic, .. } => format!("panicked: {panic:?}"),
            Self::TimedOut { limit, .. } => format!("ran into its limit of {limit:?}"),
        }
    }
}

pin_project_lite::pin_project! {
    /// The serving future: catches its panics, and knows what it works on.
    pub(super) struct Served<'a, A: Actor, F> {
        ctx: &'a Ctx<A>,
        #[pin]
        serve: F,
    }
}

impl<'a, A: Actor, F> Served<'a, A, F> {
    pub(super) fn new(ctx: &'a Ctx<A>, serve: F) -> Self {
        Self { ctx, serve }
    }
}

impl<A: Actor, R, F: Future<Output = Result<R, Box<Cut>>>> Future for Served<'_, A, F> {
    type Output = Result<R, Box<Cut>>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        served(this.ctx, cx, |cx| this.serve.poll(cx))
    }
}

/// One poll of the serving code: catches its panics, and knows what it works on.
#[inline]
pub(super) fn served<A: Actor, R>(
    ctx: &Ctx<A>,
    cx: &mut Context<'_>,
    serve: impl FnOnce(&mut Context<'_>) -> Poll<Result<R, Box<Cut>>>,
) -> Poll<Result<R, Box<Cut>>> {
    let cell = ctx.cell();
    let resumed = if cell.control.is_waiting() {
        cell.life.waiting_handler()
    } else {
        ""
    };
    let (here, sign) = (working::here(), sign::<A>());
    let outer = here.begin(cell.id().number(), sign, resumed);
    let polled = catch_unwind(AssertUnwindSafe(|| serve(cx)));
    let handler = here.end(outer);
    match polled {
        Ok(Poll::Pending) => {
            if !handler.is_empty() && !cell.control.is_waiting() {
                begin_waiting(ctx, handler, cx);
            }
            Poll::Pending
        }
        Ok(Poll::Ready(done)) => Poll::Ready(done),
        Err(payload) => Poll::Ready(Err(Box::new(Cut::Panicked {
            handler: named(handler),
            panic: Panic::new(payload),
        }))),
    }
}

pin_project_lite::pin_project! {
    /// As `Served`, with a time limit for each handler. Boxed as a whole by who uses it.
    pub(super) struct Limited<'a, A: Actor, F> {
        #[pin]
        served: Option<Served<'a, A, F>>,
        ctx: &'a Ctx<A>,
        timer: LimitTimer,
    }
}

impl<'a, A: Actor, F> Limited<'a, A, F> {
    pub(super) fn new(ctx: &'a Ctx<A>, serve: F) -> Self {
        Self {
            served: Some(Served::new(ctx, serve)),
            ctx,
            timer: LimitTimer::new(),
        }
    }
}

/// The timer of limits, set anew for each deadline that is waited for.
pub(super) struct LimitTimer {
    sleep: Pin<Box<Sleep>>,
    set_to: Instant,
}

impl LimitTimer {
    pub(super) fn new() -> Self {
        Self {
            sleep: Box::pin(sleep_until(Instant::FOREVER)),
            set_to: Instant::FOREVER,
        }
    }

    /// Ready when this time has come; `None` turns it off.
    pub(super) fn poll(&mut self, deadline: Option<Instant>, cx: &mut Context<'_>) -> Poll<()> {
        let set_to = deadline.unwrap_or(Instant::FOREVER);
        if set_to != self.set_to {
            self.sleep.as_mut().reset(set_to);
            self.set_to = set_to;
        }
        if deadline.is_none() {
            return Poll::Pending;
        }
        self.sleep.as_mut().poll(cx)
    }
}

impl<A: Actor, R, F: Future<Output = Result<R, Box<Cut>>>> Future for Limited<'_, A, F> {
    type Output = Result<R, Box<Cut>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if let Some(served) = this.served.as_mut().as_pin_mut()
            && let Poll::Ready(done) = served.poll(cx)
        {
            return Poll::Ready(done);
        }
        let life = &this.ctx.cell().life;
        let noted = wait::noted(cx.waker());
        let waiting = life.with_work(|work| {
            let now = work.now.as_mut()?;
            now.wait = noted;
            Some((now.handler, now.since, now.deadline?))
        });
        let deadline = waiting.map(|(_, _, deadline)| deadline);
        let passed = this.timer.poll(deadline, cx).is_ready();
        let (true, Some((handler, since, deadline))) = (passed, waiting) else {
            return Poll::Pending;
        };
        let ctx = *this.ctx;
        discard_with(NoReply::TimedOut, || {
            if let Err(panic) = caught(|| this.served.set(None)) {
                let actor = ctx.name();
                tracing::error!(
                    actor,
                    ?panic,
                    "a Drop panicked in a handler that was cancelled"
                );
            }
        });
        end_waiting(ctx.cell());
        let limit = deadline - since;
        Poll::Ready(Err(Box::new(Cut::TimedOut { handler, limit })))
    }
}
