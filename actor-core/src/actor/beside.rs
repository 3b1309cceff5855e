//! Work beside an actor: futures piped to it and streams attached to it, a goroutine each.
//!
//! ```text
//!   pipe:   goroutine { future ──► message }─────┐
//!   attach: goroutine { item ──► message, .. }───┤ lane (16)
//!                                                └──────────► the actor, in turns with its mailbox
//! ```
//! Invariants:
//! - The lane belongs to one incarnation. When that ends its goroutines are cancelled and what is in
//!   the lane becomes dead letters: nothing of an old life reaches the next one. (The mailbox is kept
//!   across restarts, so these messages must not go through it.)
//! - The lane is bounded: a stream is not polled for its next item before there is room for it.
//! - A panic beside is one of the actor: it ends the incarnation at its next message.
//! - A goroutine is listed from before its start until its future is dropped, whatever ends it.

use std::{
    fmt,
    future::{Future, poll_fn},
    pin::pin,
    sync::Arc,
};

use futures_core::Stream;

use super::{Actor, ActorRef, Call, Caught, Cell, Ctx, caught::Panic};
use crate::{
    chan::{NoReply, Receiver, Sender, buffered, discard_with},
    sched::{AbortHandle, go_for},
    shim::Mutex,
};

/// Messages that wait in a lane before those who bring them do.
const LANE_CAPACITY: usize = 16;

/// What an incarnation finds in its lane.
pub(super) enum Next<M> {
    Item(M),
    Panicked(Panic),
    Nothing,
}

/// See the file's comment.
pub(super) struct Lane<A: Actor> {
    bring: Sender<A::Msg>,
    take: Receiver<A::Msg>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    ended: bool,
    last_id: u64,
    /// `None` until the goroutine is spawned.
    workers: Vec<(u64, Option<AbortHandle>)>,
    panic: Option<Panic>,
}

impl<A: Actor> Lane<A> {
    pub(super) fn new() -> Arc<Self> {
        let (bring, take) = buffered(LANE_CAPACITY);
        Arc::new(Self {
            bring,
            take,
            state: Mutex::new(State::default()),
        })
    }

    pub(super) fn next(&self) -> Next<A::Msg> {
        let panic = self.state.lock().panic.take();
        match panic {
            Some(panic) => Next::Panicked(panic),
            None => self.take.try_recv().map_or(Next::Nothing, Next::Item),
        }
    }

    /// Takes no more; what is there can still be taken.
    pub(super) fn close(&self) {
        self.take.close();
    }

    /// Cancels everybody; `bury` gets what nobody took.
    pub(super) fn end(&self, mut bury: impl FnMut(A::Msg)) {
        let mut state = self.state.lock();
        state.ended = true;
        let workers = std::mem::take(&mut state.workers);
        drop(state);
        for abort in workers.into_iter().filter_map(|(_, abort)| abort) {
            abort.abort();
        }
        self.take.close();
        discard_with(NoReply::Stopped, || {
            while let Ok(msg) = self.take.try_recv() {
                bury(msg);
            }
        });
    }

    /// Runs `work` as a goroutine until it ends, is detached, or the incarnation ends.
    fn start<W>(self: Arc<Self>, cell: Arc<Cell<A>>, work: W) -> Attachment
    where
        W: Future<Output = ()> + Send + 'static,
    {
        let id = {
            let mut state = self.state.lock();
            state.last_id += 1;
            let id = state.last_id;
            state.workers.push((id, None));
            id
        };
        let place = Place {
            lane: Arc::clone(&self),
            id,
        };
        let goroutine = go_for::<A, _>(async move {
            let place = place;
            if let Err(panic) = Caught::new(work).await {
                tracing::error!(actor = cell.name(), ?panic, "work beside an actor panicked");
                place.lane.state.lock().panic.get_or_insert(panic);
                cell.mark();
            }
        });
        let abort = goroutine.abort_handle();
        let mut state = self.state.lock();
        let ended = state.ended;
        if let Some(place) = state.workers.iter_mut().find(|(other, _)| *other == id) {
            place.1 = Some(abort.clone());
        }
        drop(state);
        if ended {
            abort.abort();
        }
        Attachment { abort }
    }

    /// Brings a message to the actor; false once the lane takes no more.
    async fn bring(&self, cell: &Cell<A>, msg: A::Msg) -> bool {
        let brought = self.bring.send(msg).await.is_ok();
        if brought {
            cell.mark();
        }
        brought
    }
}

/// A worker's place in the list, left when its future is dropped.
struct Place<A: Actor> {
    lane: Arc<Lane<A>>,
    id: u64,
}

impl<A: Actor> Drop for Place<A> {
    fn drop(&mut self) {
        let mut state = self.lane.state.lock();
        let at = state.workers.iter().position(|(id, _)| *id == self.id);
        let gone = at.map(|at| state.workers.swap_remove(at));
        drop(state);
        drop(gone);
    }
}

/// The message of the call that `call` makes of a handle.
fn message<A: Actor, T, E>(
    cell: &Arc<Cell<A>>,
    call: impl for<'a> FnOnce(&'a A::Handle) -> Call<'a, A, T, E>,
) -> A::Msg {
    let me = A::Handle::from(ActorRef::new(Arc::clone(cell)));
    call(&me).into_msg()
}

impl<A: Actor> Ctx<A> {
    /// Runs a future beside the actor and sends the actor what it comes to: the actor goes on with
    /// other messages meanwhile. As Akka's `pipeTo(self)`.
    ///
    /// `then` gets the actor's own handle and the output, and says which message that is. It is told
    /// to this actor. Its answer goes to nobody, or where [`Call::answering`] says: so a handler that
    /// took its [`Reply`](super::Reply) lets another one answer.
    ///
    /// The future is cancelled when this incarnation ends, however it ends (it is dropped soon after,
    /// the next one may have begun by then); neither it nor its message reaches the next one. It does
    /// not keep the actor alive: an actor that stops handles what has arrived and no more. If the
    /// future or `then` panics, the incarnation ends as if a handler had panicked. To get the panic as
    /// a value, pipe a goroutine's handle: `ctx.pipe(go(work), |me, outcome| me.done(outcome))`.
    ///
    /// Dropping what this returns changes nothing; [`Attachment::detach`] cancels the future.
    ///
    /// ```
    /// use actor_core::prelude::*;
    ///
    /// struct Pages(usize);
    /// async fn fetch(url: String) -> usize { url.len() }
    ///
    /// #[actor]
    /// impl Pages {
    ///     #[init]
    ///     fn new() -> Self { Pages(0) }
    ///
    ///     pub fn size(&mut self, url: String, reply: Reply<usize>, ctx: &Ctx<Self>) {
    ///         ctx.pipe(fetch(url), |me, size| me.fetched(size).answering(reply));
    ///     }
    ///
    ///     pub fn fetched(&mut self, size: usize) -> usize {
    ///         self.0 += size;
    ///         self.0
    ///     }
    /// }
    ///
    /// # actor_core::Runtime::new().unwrap().block_on(async {
    /// let pages = Pages::start().await.unwrap();
    /// assert_eq!(pages.size("/index".into()).await, Ok(6));
    /// # });
    /// ```
    pub fn pipe<F, T, E, M>(&self, future: F, then: M) -> Attachment
    where
        F: Future + Send + 'static,
        M: for<'a> FnOnce(&'a A::Handle, F::Output) -> Call<'a, A, T, E> + Send + 'static,
    {
        let (lane, cell) = (self.cell().lane(), self.shared_cell());
        let work = {
            let (lane, cell) = (Arc::clone(&lane), Arc::clone(&cell));
            async move {
                let output = future.await;
                let msg = message(&cell, |me| then(me, output));
                lane.bring(&cell, msg).await;
            }
        };
        lane.start(cell, work)
    }

    /// Makes the items of a stream messages to this actor, until the stream or this incarnation ends.
    ///
    /// `each` gets the actor's own handle and an item, and says which message that is. Items come in
    /// order, in turns with other messages; while 16 of them are not handled yet the stream is not
    /// polled, so it feels the actor's pace. Of a channel's `Receiver`, attach its
    /// [`into_stream`](crate::chan::Receiver::into_stream).
    ///
    /// The stream is dropped when this incarnation ends, and what it brought and was not handled
    /// become dead letters; it does not keep the actor alive. A panic of the stream or of `each`
    /// ends the incarnation as if a handler had panicked.
    ///
    /// Dropping what this returns changes nothing; [`Attachment::detach`] drops the stream.
    ///
    /// ```
    /// use actor_core::prelude::*;
    /// use actor_core::chan::{Receiver, buffered};
    ///
    /// struct Sum { total: u64 }
    ///
    /// #[actor]
    /// impl Sum {
    ///     #[init]
    ///     fn new(numbers: Receiver<u64>, ctx: &Ctx<Self>) -> Self {
    ///         ctx.attach(numbers.into_stream(), |me, n| me.add(n));
    ///         Sum { total: 0 }
    ///     }
    ///     pub fn add(&mut self, n: u64) -> u64 {
    ///         self.total += n;
    ///         self.total
    ///     }
    /// }
    ///
    /// # actor_core::Runtime::new().unwrap().block_on(async {
    /// let (numbers, inbox) = buffered(4);
    /// let sum = Sum::start(inbox).await.unwrap();
    /// numbers.send(40).await.unwrap();
    /// while sum.add(0).await.unwrap() != 40 {}
    /// # });
    /// ```
    pub fn attach<S, T, E, M>(&self, stream: S, each: M) -> Attachment
    where
        S: Stream + Send + 'static,
        M: for<'a> FnMut(&'a A::Handle, S::Item) -> Call<'a, A, T, E> + Send + 'static,
    {
        let (lane, cell) = (self.cell().lane(), self.shared_cell());
        let work = {
            let (lane, cell) = (Arc::clone(&lane), Arc::clone(&cell));
            async move {
                bring_all(&lane, &cell, stream, each).await;
            }
        };
        lane.start(cell, work)
    }

    /// As [`attach`](Ctx::attach), with a last message when the stream has ended by itself: not when
    /// it is detached.
    pub fn attach_then<S, T, E, M, T2, E2, L>(&self, stream: S, each: M, end: L) -> Attachment
    where
        S: Stream + Send + 'static,
        M: for<'a> FnMut(&'a A::Handle, S::Item) -> Call<'a, A, T, E> + Send + 'static,
        L: for<'a> FnOnce(&'a A::Handle) -> Call<'a, A, T2, E2> + Send + 'static,
    {
        let (lane, cell) = (self.cell().lane(), self.shared_cell());
        let work = {
            let (lane, cell) = (Arc::clone(&lane), Arc::clone(&cell));
            async move {
                if bring_all(&lane, &cell, stream, each).await {
                    let msg = message(&cell, end);
                    lane.bring(&cell, msg).await;
                }
            }
        };
        lane.start(cell, work)
    }
}

/// Brings a stream's items until it ends (true) or the lane takes no more (false).
async fn bring_all<A, S, T, E, M>(
    lane: &Lane<A>,
    cell: &Arc<Cell<A>>,
    stream: S,
    mut each: M,
) -> bool
where
    A: Actor,
    S: Stream,
    M: for<'a> FnMut(&'a A::Handle, S::Item) -> Call<'a, A, T, E>,
{
    let mut stream = pin!(stream);
    loop {
        let next = poll_fn(|cx| {
            // In here, because an item need not be `Send`.
            let item = stream.as_mut().poll_next(cx);
            item.map(|item| item.map(|item| message(cell, |me| each(me, item))))
        });
        let Some(msg) = next.await else { return true };
        if !lane.bring(cell, msg).await {
            return false;
        }
    }
}

/// Work beside an actor: a piped future or an attached stream. Dropping it leaves the work alone.
#[derive(Clone)]
pub struct Attachment {
    abort: AbortHandle,
}

impl Attachment {
    /// Cancels the work: the future or stream is dropped soon. What it brought to the actor before
    /// is still handled.
    pub fn detach(&self) {
        self.abort.abort();
    }

    /// True once the work is over and its future or stream is dropped, however it ended.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.abort.is_finished()
    }
}

impl fmt::Debug for Attachment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attachment")
            .field("is_finished", &self.is_finished())
            .finish()
    }
}
