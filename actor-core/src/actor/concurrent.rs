//! Concurrent handlers: several `&self` handlers of one actor under way at once, between two of the
//! exclusive ones. A reader-writer discipline without a lock: the state is borrowed shared for a
//! *phase*, and nobody else has it meanwhile.
//!
//! ```text
//!   queue:   c c c  X  c c  X         c concurrent
//!            └─┬─┘  │  └┬┘  │         X exclusive (`&mut self`, a tick, a signal, the stop)
//!   phase 1 ───┘    │   │   └─ alone
//!           alone ──┘   └─ phase 2
//! ```
//! Protocol of a phase (which begins with a concurrent message):
//! 1. Poll the handlers that were woken. One that is done leaves.
//! 2. If nothing is held, take what is next. A concurrent message whose method has room starts at
//!    once; anything else is *held*, and nothing behind it is taken: exclusive handlers do not
//!    starve, and messages start in the order in which they came.
//! 3. No handler left: the phase ends, and what is held is put back, to be the actor's next step.
//!
//! This is concurrency, not parallelism: all handlers of an actor run on its one goroutine, in turns
//! at their awaits. So no lock is needed, and a handler that computes delays the others. (Goroutines
//! of their own would need the state in an `Arc`, and its end would have to wait for all of them.)
//!
//! Invariants:
//! - The handlers are dropped before the state that they borrow, on every path: they live in the
//!   serving future, which borrows it.
//! - A held message was not begun. If the incarnation ends first, the next one begins with it.
//! - A handler that panics ends the incarnation. Its asker is told so, the others' askers `Stopped`.
//!   So does one that runs into its time limit, which counts from its start.
//! - Each handler has a waker of its own, so that a wake costs one poll, not one per handler. (For
//!   deadlock reports that is a waker in unknown hands: an actor in a phase is never reported.)

use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
};

use super::{
    Actor, Ctx, caught,
    caught::Panic,
    incarnation::{Inbox, Next, NextOf},
    simulate,
    ticker::Ticks,
    work::{self, Beside, Cut, LimitTimer},
};
use crate::{
    chan::{NoReply, discard_with},
    sched::simulated,
    shim::{
        Mutex,
        atomic::{AtomicBool, Ordering},
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

/// A concurrent handler under way.
pub type Running<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// Starts concurrent handlers on a state that is borrowed shared: see [`Actor::concurrently`].
pub type Concurrently<'a, M> = Box<dyn Fn(M) -> Running<'a> + Send + 'a>;

/// The phase that begins with `msg`.
pub(super) fn phase<'s, 'b, A: Actor, T: Ticks>(
    state: &'s A,
    msg: Option<A::Msg>,
    ctx: &'s Ctx<A>,
    inbox: &'s mut Inbox<'b, A::Msg, T>,
) -> Box<Phase<'s, 'b, A, T>> {
    Box::new(Phase {
        start: state.concurrently(ctx),
        handlers: Vec::new(),
        spare: Vec::new(),
        held: msg,
        waits: false,
        timer: None,
        last_key: 0,
        ctx,
        inbox,
    })
}

/// See the file's comment.
pub(super) struct Phase<'s, 'b, A: Actor, T: Ticks> {
    start: Concurrently<'s, A::Msg>,
    handlers: Vec<Handler<'s>>,
    /// Bells of handlers that are done.
    spare: Vec<Arc<Bell>>,
    held: Option<A::Msg>,
    /// A tick, a signal or the stop is next: nothing more is taken.
    waits: bool,
    /// Made when a handler with a time limit waits.
    timer: Option<LimitTimer>,
    /// Of the handler that was started last.
    last_key: u64,
    ctx: &'s Ctx<A>,
    inbox: &'s mut Inbox<'b, A::Msg, T>,
}

// Nothing in it is pinned: the handlers are in boxes, a message is moved.
impl<A: Actor, T: Ticks> Unpin for Phase<'_, '_, A, T> {}

struct Handler<'s> {
    which: usize,
    work: Beside,
    future: Running<'s>,
    bell: Arc<Bell>,
    waker: Waker,
}

impl<A: Actor, T: Ticks> Future for Phase<'_, '_, A, T> {
    type Output = Result<(), Box<Cut>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        this.poll_woken(cx);
        while this.start_held(cx) || this.take_next(cx) {}
        if this.handlers.is_empty() {
            this.keep_back();
            return Poll::Ready(Ok(()));
        }
        if A::LIMITED {
            return this.poll_limits(cx).map(Err);
        }
        Poll::Pending
    }
}

impl<A: Actor, T: Ticks> Phase<'_, '_, A, T> {
    fn poll_woken(&mut self, cx: &mut Context<'_>) {
        let mut at = 0;
        while at < self.handlers.len() {
            let handler = &mut self.handlers[at];
            if handler.bell.was_rung(cx.waker()) && self.poll_one(at).is_ready() {
                self.leave(at);
            } else {
                at += 1;
            }
        }
    }

    /// A panic of the handler goes on after everybody else was told.
    fn poll_one(&mut self, at: usize) -> Poll<()> {
        let Handler {
            future,
            waker,
            work,
            ..
        } = &mut self.handlers[at];
        let mut cx = Context::from_waker(waker);
        work.resume();
        match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(&mut cx))) {
            Ok(Poll::Pending) => {
                work.pause(self.ctx);
                Poll::Pending
            }
            Ok(Poll::Ready(())) => Poll::Ready(()),
            Err(payload) => {
                let panic = Panic::new(payload);
                self.end();
                panic.resume()
            }
        }
    }

    /// A handler is done. Its work ends with its `Drop`.
    fn leave(&mut self, at: usize) {
        let Handler {
            future, bell, work, ..
        } = self.handlers.swap_remove(at);
        drop(future);
        work.end(self.ctx.cell());
        self.spare.push(bell);
    }

    /// Ends the phase and the incarnation if a handler has run into its time limit.
    fn poll_limits(&mut self, cx: &mut Context<'_>) -> Poll<Box<Cut>> {
        let limited = |(at, handler): (usize, &Handler<'_>)| Some((handler.work.deadline()?, at));
        let first = self.handlers.iter().enumerate().filter_map(limited).min();
        let Some((deadline, at)) = first else {
            return Poll::Pending;
        };
        let timer = self.timer.get_or_insert_with(LimitTimer::new);
        if timer.poll(Some(deadline), cx).is_pending() {
            return Poll::Pending;
        }
        let late = self.handlers.swap_remove(at);
        let cut = late.work.timed_out();
        discard_with(NoReply::TimedOut, || {
            if let Err(panic) = caught(|| drop(late)) {
                let actor = self.ctx.name();
                tracing::error!(
                    actor,
                    ?panic,
                    "a Drop panicked in a handler that was cancelled"
                );
            }
        });
        self.end();
        Poll::Ready(cut)
    }

    /// Holds the next message. False if there is none, or something else has to wait for the end.
    fn take_next(&mut self, cx: &mut Context<'_>) -> bool {
        if self.waits || self.held.is_some() {
            return false;
        }
        let mut next = NextOf {
            ctx: self.ctx,
            inbox: &mut *self.inbox,
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
    fn start_held(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(Concurrency { handler, max }) = self.held.as_ref().and_then(A::concurrency) else {
            return false;
        };
        let running = self.handlers.iter().filter(|h| h.which == handler).count();
        // Asked to leave what is queued, or to look at a signal first: this one is queued, still.
        let called = self.ctx.cell().control.calls();
        if called || running >= max.max(1) {
            return false;
        }
        let msg = self.held.take().expect("looked at above");
        let bell = self.spare.pop().unwrap_or_else(Bell::new);
        bell.ring_for(cx.waker());
        self.last_key += 1;
        let work = Beside::begin::<A>(&msg, self.last_key);
        if simulated::is_active() {
            simulate::deliver_at_once(&msg, self.ctx);
        }
        self.handlers.push(Handler {
            which: handler,
            work,
            future: (self.start)(msg),
            waker: Waker::from(Arc::clone(&bell)),
            bell,
        });
        let at = self.handlers.len() - 1;
        if self.handlers[at].bell.was_rung(cx.waker()) && self.poll_one(at).is_ready() {
            self.leave(at);
        }
        true
    }

    /// Drops the handlers, whose askers are told that the actor stopped.
    fn end(&mut self) {
        if !self.handlers.is_empty() {
            work::end_all_beside(self.ctx.cell());
        }
        discard_with(NoReply::Stopped, || {
            for handler in self.handlers.drain(..) {
                if let Err(panic) = caught(|| drop(handler)) {
                    tracing::error!(?panic, "a Drop panicked while its actor ended");
                }
            }
        });
        self.keep_back();
    }

    fn keep_back(&mut self) {
        if let Some(msg) = self.held.take() {
            self.ctx.cell().keep_back(msg);
        }
    }
}

impl<A: Actor, T: Ticks> Drop for Phase<'_, '_, A, T> {
    fn drop(&mut self) {
        self.end();
    }
}

/// The waker of one handler: notes that it was woken, and wakes the actor's goroutine.
struct Bell {
    rung: AtomicBool,
    goroutine: Mutex<Waker>,
}

impl Bell {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            rung: AtomicBool::new(false),
            goroutine: Mutex::new(Waker::noop().clone()),
        })
    }

    fn ring_for(&self, goroutine: &Waker) {
        self.follow(goroutine);
        // ORDERING: Relaxed: the actor's own note to itself.
        self.rung.store(true, Ordering::Relaxed);
    }

    /// Whether to poll; from now on a wake is one of this poll.
    fn was_rung(&self, goroutine: &Waker) -> bool {
        // A goroutine's waker stays the same; anybody else's may not.
        let moved = self.follow(goroutine);
        // ORDERING: SeqCst: a wake after this is seen, by the flag or by the goroutine's wake.
        self.rung.swap(false, Ordering::SeqCst) || moved
    }

    fn follow(&self, goroutine: &Waker) -> bool {
        let mut known = self.goroutine.lock();
        if known.will_wake(goroutine) {
            return false;
        }
        let old = std::mem::replace(&mut *known, goroutine.clone());
        drop(known);
        drop(old);
        true
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // ORDERING: SeqCst: see `was_rung`.
        if !self.rung.swap(true, Ordering::SeqCst) {
            let goroutine = self.goroutine.lock().clone();
            goroutine.wake();
        }
    }
}
