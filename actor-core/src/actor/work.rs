//! What an actor works on: known to crash reports, time limits and the watcher of wedged handlers.
//!
//! ```text
//!            begin: name → thread-local
//!   (no work) ──────────────► running ──── Pending ───► waiting: name, time, waker → `Life`, boxed
//!        ▲                     │  ▲                       │          control word: WAITING
//!        └──────── end ────────┘  └─────── next poll ─────┘ name → thread-local
//! ```
//! - A message that is handled in one poll costs two stores to a thread-local. Only a handler that
//!   waits is written down where others can see it, once, at its first `Pending`.
//! - The thread-local is saved and restored around each poll, and read where a panic is caught.
//! - `WAITING` is set and cleared by the actor's own goroutine only.
//! - A limit ([`Limited`]) has one timer per incarnation, reused, which is set while a limited handler
//!   waits. When it fires, the handler's future is dropped where it is. A handler that can finish in
//!   that very poll finishes.

use std::{
    cell::Cell as LocalCell,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use super::{Actor, Cell, Ctx, Message, caught, caught::Panic, wedged};
use crate::{
    chan::{NoReply, discard_with},
    sched::{
        Instant, Sleep, sleep_until,
        wait::{self, Wait},
    },
};

thread_local! {
    /// The message or hook that the actor polled by this thread works on; empty for none.
    static HANDLER: LocalCell<&'static str> = const { LocalCell::new("") };
    /// Its limit; touched for actors with limits only.
    static LIMIT: LocalCell<Option<(Instant, Instant)>> = const { LocalCell::new(None) };
}

/// A handler that waits.
#[derive(Default)]
pub(super) struct Work {
    pub(super) now: Option<Waiting>,
    /// The goroutine's, to look up what it waits for. Stays for the next time.
    waker: Option<Waker>,
    /// The watcher knows this incarnation.
    watched: bool,
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

impl Work {
    /// What it waits for, in words.
    pub(super) fn waits_for(&self) -> String {
        let noted = || self.waker.as_ref().and_then(wait::noted);
        let wait = self.now.and_then(|now| now.wait).or_else(noted);
        wait.map_or_else(|| "something unknown".to_owned(), |wait| wait.to_string())
    }
}

/// The next message goes to its handler. By value, so that it is not kept in the serving future.
#[inline]
pub(super) fn begin<A: Actor>(msg: Option<A::Msg>) -> A::Msg {
    let msg = msg.expect("`Next::Message` has a message");
    HANDLER.set(msg.name());
    if A::LIMITED {
        begin_limit(A::limit(&msg));
    }
    msg
}

/// A hook is about to run between messages.
pub(super) fn begin_hook<A: Actor>(name: &'static str) {
    HANDLER.set(name);
    if A::LIMITED {
        begin_limit(A::HANDLER_LIMIT);
    }
}

fn begin_limit(limit: Option<Duration>) {
    LIMIT.set(limit.map(|limit| {
        let now = Instant::now();
        (now, now + limit)
    }));
}

/// The handler or hook is done.
#[inline]
pub(super) fn end<A: Actor>(cell: &Cell<A>) {
    HANDLER.set("");
    if cell.control.is_waiting() {
        end_waiting(cell);
    }
}

fn end_waiting<A: Actor>(cell: &Cell<A>) {
    cell.control.set_waiting(false);
    cell.life.with_work(|work| work.now = None);
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
    let unknown_to_watcher = cell.life.with_work(|work| {
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
        !std::mem::replace(&mut work.watched, true)
    });
    drop(fresh);
    cell.control.set_waiting(true);
    if unknown_to_watcher {
        wedged::watch(ctx);
    }
    wedged::somebody_waits();
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

impl<A: Actor, F: Future<Output = ()>> Future for Served<'_, A, F> {
    type Output = Result<(), Box<Cut>>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let cell = this.ctx.cell();
        let resumed = if cell.control.is_waiting() {
            cell.life.waiting_handler()
        } else {
            ""
        };
        let outer = HANDLER.replace(resumed);
        let polled = catch_unwind(AssertUnwindSafe(|| this.serve.poll(cx)));
        let handler = HANDLER.replace(outer);
        match polled {
            Ok(Poll::Pending) => {
                if !handler.is_empty() && !cell.control.is_waiting() {
                    begin_waiting(this.ctx, handler, cx);
                }
                Poll::Pending
            }
            Ok(Poll::Ready(())) => Poll::Ready(Ok(())),
            Err(payload) => Poll::Ready(Err(Box::new(Cut::Panicked {
                handler: if handler.is_empty() {
                    "(between messages)"
                } else {
                    handler
                },
                panic: Panic::new(payload),
            }))),
        }
    }
}

pin_project_lite::pin_project! {
    /// As `Served`, with a time limit for each handler. Boxed as a whole by who uses it.
    pub(super) struct Limited<'a, A: Actor, F> {
        #[pin]
        served: Option<Served<'a, A, F>>,
        ctx: &'a Ctx<A>,
        timer: Pin<Box<Sleep>>,
        set_to: Instant,
    }
}

impl<'a, A: Actor, F> Limited<'a, A, F> {
    pub(super) fn new(ctx: &'a Ctx<A>, serve: F) -> Self {
        Self {
            served: Some(Served::new(ctx, serve)),
            ctx,
            timer: Box::pin(sleep_until(Instant::FOREVER)),
            set_to: Instant::FOREVER,
        }
    }
}

impl<A: Actor, F: Future<Output = ()>> Future for Limited<'_, A, F> {
    type Output = Result<(), Box<Cut>>;

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
        let deadline = waiting.map_or(Instant::FOREVER, |(_, _, deadline)| deadline);
        if deadline != *this.set_to {
            this.timer.as_mut().reset(deadline);
            *this.set_to = deadline;
        }
        let Some((handler, since, deadline)) = waiting else {
            return Poll::Pending;
        };
        if this.timer.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
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
