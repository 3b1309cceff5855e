//! Concurrent handlers: several `&self` handlers of one actor under way at once, between two of the
//! exclusive ones. A reader-writer discipline without a lock: the state is borrowed shared for a
//! *phase*, and nobody else has it meanwhile.
//!
//! ```text
//!   queue:   c c c  X  c c  X
//!            └─┬─┘  │  └┬┘  │         c concurrent, X exclusive (`&mut self`, a tick, the stop)
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
//! - Each handler has a waker of its own, so that a wake costs one poll, not one per handler. (For
//!   deadlock reports that is a waker in unknown hands: an actor in a phase is never reported.)

use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
};

use super::{
    Actor, Ctx, caught,
    incarnation::{Inbox, Next, NextOf},
};
use crate::{
    chan::{NoReply, discard_with},
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
pub(super) fn phase<'s, 'b, A: Actor>(
    state: &'s A,
    msg: Option<A::Msg>,
    ctx: &'s Ctx<A>,
    inbox: &'s mut Inbox<'b, A::Msg>,
) -> Box<Phase<'s, 'b, A>> {
    Box::new(Phase {
        start: state.concurrently(ctx),
        handlers: Vec::new(),
        spare: Vec::new(),
        held: msg,
        waits: false,
        ctx,
        inbox,
    })
}

/// See the file's comment.
pub(super) struct Phase<'s, 'b, A: Actor> {
    start: Concurrently<'s, A::Msg>,
    handlers: Vec<Handler<'s>>,
    /// Bells of handlers that are done.
    spare: Vec<Arc<Bell>>,
    held: Option<A::Msg>,
    /// A tick or the stop is next: nothing more is taken.
    waits: bool,
    ctx: &'s Ctx<A>,
    inbox: &'s mut Inbox<'b, A::Msg>,
}

// Nothing in it is pinned: the handlers are in boxes, a message is moved.
impl<A: Actor> Unpin for Phase<'_, '_, A> {}

struct Handler<'s> {
    which: usize,
    future: Running<'s>,
    bell: Arc<Bell>,
    waker: Waker,
}

impl<A: Actor> Future for Phase<'_, '_, A> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        this.poll_woken(cx);
        while this.start_held(cx) || this.take_next(cx) {}
        if this.handlers.is_empty() {
            this.keep_back();
            return Poll::Ready(());
        }
        Poll::Pending
    }
}

impl<A: Actor> Phase<'_, '_, A> {
    fn poll_woken(&mut self, cx: &mut Context<'_>) {
        let mut at = 0;
        while at < self.handlers.len() {
            let handler = &mut self.handlers[at];
            if handler.bell.was_rung(cx.waker()) && self.poll_one(at).is_ready() {
                let done = self.handlers.swap_remove(at);
                self.spare.push(done.bell);
                drop(done.future);
            } else {
                at += 1;
            }
        }
    }

    /// A panic of the handler goes on after everybody else was told.
    fn poll_one(&mut self, at: usize) -> Poll<()> {
        let Handler { future, waker, .. } = &mut self.handlers[at];
        let mut cx = Context::from_waker(waker);
        match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(&mut cx))) {
            Ok(polled) => polled,
            Err(payload) => {
                self.end();
                resume_unwind(payload)
            }
        }
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
            Next::Stop => self.waits = true,
            Next::Tick(index) => {
                self.waits = true;
                if let Some(ticker) = &mut self.inbox.ticker {
                    ticker.put_back(index);
                }
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
        // Asked to leave what is queued: this one is, still.
        let stops = self.ctx.cell().control.stop_now();
        if stops || running >= max.max(1) {
            return false;
        }
        let msg = self.held.take().expect("looked at above");
        let bell = self.spare.pop().unwrap_or_else(Bell::new);
        bell.ring_for(cx.waker());
        self.handlers.push(Handler {
            which: handler,
            future: (self.start)(msg),
            waker: Waker::from(Arc::clone(&bell)),
            bell,
        });
        let at = self.handlers.len() - 1;
        if self.handlers[at].bell.was_rung(cx.waker()) && self.poll_one(at).is_ready() {
            let done = self.handlers.swap_remove(at);
            self.spare.push(done.bell);
        }
        true
    }

    /// Drops the handlers, whose askers are told that the actor stopped.
    fn end(&mut self) {
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

impl<A: Actor> Drop for Phase<'_, '_, A> {
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
