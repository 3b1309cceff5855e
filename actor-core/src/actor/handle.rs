//! The handle of an actor, and the future of its end.

use std::{
    fmt,
    future::{Future, poll_fn},
    hash::{Hash, Hasher},
    num::NonZeroU64,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use super::{
    Actor, Cell, ExitReason, Monitor, Phase, StopReason, WeakRef, incarnation::is_by_the_clock,
    life::State, ties::Peer,
};

/// The identity of an actor: unique in the process, kept across restarts.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ActorId(NonZeroU64);

impl ActorId {
    /// As a number, which simulations name actors by.
    pub(crate) fn number(self) -> u64 {
        self.0.get()
    }

    pub(super) fn new(n: u64) -> Self {
        Self(NonZeroU64::new(n).expect("2^64 actors were made"))
    }
}

impl fmt::Debug for ActorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for ActorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The address of an actor: cheap to clone, equal when it means the same actor, valid across
/// restarts (as Akka's `ActorRef`; Erlang's pid is not).
///
/// `#[actor]` wraps it in a type with a method per message. An actor without a supervisor stops
/// when its last handle is dropped, unless [`Actor::WHEN_UNREFERENCED`] says otherwise; a
/// supervised one does not care. A [`WeakRef`] is no handle in this sense.
pub struct ActorRef<A: Actor> {
    cell: Arc<Cell<A>>,
}

impl<A: Actor> ActorRef<A> {
    pub(crate) fn new(cell: Arc<Cell<A>>) -> Self {
        cell.handle_made();
        Self { cell }
    }

    /// Unless the last handle is gone and the actor stops because of that, or it is dead already.
    pub(super) fn from_weak(cell: &Arc<Cell<A>>) -> Option<Self> {
        cell.handle_made_from_weak().then(|| Self {
            cell: Arc::clone(cell),
        })
    }

    #[inline]
    pub(super) fn cell(&self) -> &Cell<A> {
        &self.cell
    }

    #[inline]
    pub(super) fn arc(&self) -> &Arc<Cell<A>> {
        &self.cell
    }

    pub(super) fn peer(&self) -> Arc<dyn Peer> {
        Arc::clone(&self.cell) as Arc<dyn Peer>
    }

    /// The actor's id.
    #[must_use]
    pub fn id(&self) -> ActorId {
        self.cell.id()
    }

    /// The actor's name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.cell.name()
    }

    /// True once it has ended and nothing is about to start it again.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.cell.life.look(|s| s.phase() == Phase::Dead)
    }

    /// How many messages wait in the mailbox.
    #[must_use]
    pub fn mailbox_len(&self) -> usize {
        self.cell.mailbox.len()
    }

    /// Whether it has nothing to do, as far as its mailbox knows: one that handles a tick seems to.
    pub(crate) fn is_idle(&self) -> bool {
        let mailbox = &self.cell.mailbox;
        // One that parks before it handles the only message has its turn while it is at that.
        mailbox.is_awaited() && (is_by_the_clock::<A>() || !mailbox.has_receiver())
    }

    /// Asks the actor to stop after what is queued: new messages are refused at once, queued ones
    /// are handled, then the stop hook runs and the state is dropped.
    ///
    /// The request is made by the call; the future is ready when the state is dropped, and
    /// dropping it changes nothing. Of an actor that has ended it tells how. A *permanent* supervised actor is then started again:
    /// use the supervisor's `terminate_child` to stop one for good. Awaiting this inside the
    /// actor's own handler never ends; use [`Ctx::stop`](super::Ctx::stop) there.
    #[must_use = "the request is made; await it to know when the actor has stopped, or `drop` it"]
    pub fn stop(&self) -> Exit<A> {
        self.ask_to_stop(false)
    }

    /// As [`stop`](ActorRef::stop), but after the message in work: the queued ones are not handled,
    /// their askers get `CallError::Stopped`.
    #[must_use = "the request is made; await it to know when the actor has stopped, or `drop` it"]
    pub fn stop_now(&self) -> Exit<A> {
        self.ask_to_stop(true)
    }

    /// As [`stop`](ActorRef::stop), and the exit reason will be
    /// [`ShutdownWith`](ExitReason::ShutdownWith) this cause: orderly, so a transient child stays
    /// down, and seen by monitors and links. Erlang's `{shutdown, Term}`.
    ///
    /// The first cause stays, and a supervisor that stops it meanwhile decides about the reason.
    ///
    /// ```
    /// # use actor_core::actor::{Actor, ActorRef};
    /// async fn replace<A: Actor>(old: &ActorRef<A>) {
    ///     let reason = old.stop_with("a newer version took over").await;
    ///     assert!(reason.is_orderly());
    /// }
    /// ```
    #[must_use = "the request is made; await it to know when the actor has stopped, or `drop` it"]
    pub fn stop_with(&self, cause: impl Into<String>) -> Exit<A> {
        let exit = self.exit_of_this_incarnation();
        self.cell.request_stop_with(cause.into());
        exit
    }

    fn ask_to_stop(&self, now: bool) -> Exit<A> {
        let exit = self.exit_of_this_incarnation();
        self.cell.request_stop(StopReason::Requested, now);
        exit
    }

    /// Ends the actor where it is: its future is dropped at the await it waits in, no hook runs.
    /// The caller it worked for gets `CallError::Stopped`. A handler that doesn't await is ended
    /// when it next does.
    ///
    /// The exit reason is `Killed`, so supervision restarts a permanent or transient child. The
    /// kill is done by the call; the future is ready when the state is dropped.
    #[must_use = "the kill is done; await it to know when the state is dropped, or `drop` it"]
    pub fn kill(&self) -> Exit<A> {
        let exit = self.exit_of_this_incarnation();
        self.cell.life.kill();
        exit
    }

    /// A handle that doesn't keep an unsupervised actor alive.
    #[must_use]
    pub fn downgrade(&self) -> WeakRef<A> {
        WeakRef::new(Arc::clone(&self.cell))
    }

    /// Waits until the actor has ended for good and says how. Restarts in between don't end the
    /// wait. It doesn't keep an unsupervised actor alive as a handle does.
    #[must_use = "futures do nothing unless awaited"]
    pub fn wait(&self) -> Exit<A> {
        Exit {
            cell: Arc::clone(&self.cell),
            incarnation: None,
            key: None,
        }
    }

    /// Waits until an incarnation lives whose init has returned.
    pub(crate) async fn until_running(&self) {
        struct Waiting<'a, A: Actor>(&'a Cell<A>, Option<u32>);
        impl<A: Actor> Drop for Waiting<'_, A> {
            fn drop(&mut self) {
                self.0.life.unregister(&mut self.1);
            }
        }
        let mut waiting = Waiting(self.cell(), None);
        poll_fn(|cx| {
            let running = |s: &State| (s.phase() == Phase::Running).then_some(());
            waiting.0.life.poll_until(&mut waiting.1, cx, running)
        })
        .await;
    }

    /// Watches the incarnation that lives now: the future is ready with a [`Down`](super::Down) when
    /// it has ended and its state is dropped. Erlang's `monitor/2`; an actor that wants to go on
    /// with its messages meanwhile uses [`Ctx::monitor`](super::Ctx::monitor).
    ///
    /// Unlike [`wait`](ActorRef::wait) it ends at a restart. Between two incarnations it watches the
    /// next one. If there is none it is ready at once, with [`NoProc`](ExitReason::NoProc): after the
    /// end for good, and before the first start.
    ///
    /// ```
    /// # use actor_core::actor::{Actor, ActorRef};
    /// async fn log_end<A: Actor>(actor: &ActorRef<A>) {
    ///     let down = actor.monitor().await;
    ///     println!("{} is gone: {}", down.name, down.reason);
    /// }
    /// ```
    pub fn monitor(&self) -> Monitor {
        Monitor::new(self.peer())
    }

    fn exit_of_this_incarnation(&self) -> Exit<A> {
        let incarnation = Some(self.cell.life.look(|s| s.incarnation()));
        Exit {
            cell: Arc::clone(&self.cell),
            incarnation,
            key: None,
        }
    }
}

impl<A: Actor> Clone for ActorRef<A> {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.cell))
    }
}

impl<A: Actor> Drop for ActorRef<A> {
    fn drop(&mut self) {
        self.cell.handle_dropped();
    }
}

impl<A: Actor> AsRef<ActorRef<A>> for ActorRef<A> {
    fn as_ref(&self) -> &ActorRef<A> {
        self
    }
}

impl<A: Actor> fmt::Debug for ActorRef<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cell.fmt(f)
    }
}

impl<A: Actor> PartialEq for ActorRef<A> {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.cell, &other.cell)
    }
}

impl<A: Actor> Eq for ActorRef<A> {}

impl<A: Actor> Hash for ActorRef<A> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.cell.id().hash(state);
    }
}

/// The end of an actor: of one incarnation after `stop`, `stop_now` and `kill`, for good after
/// `wait`. When it is ready the stop hook has run and the state is dropped. May be dropped at any
/// time.
pub struct Exit<A: Actor> {
    cell: Arc<Cell<A>>,
    /// `None`: the end for good.
    incarnation: Option<u32>,
    key: Option<u32>,
}

impl<A: Actor> Future for Exit<A> {
    type Output = ExitReason;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<ExitReason> {
        let this = &mut *self;
        let incarnation = this.incarnation;
        this.cell
            .life
            .poll_until(&mut this.key, cx, |s| s.exit_of(incarnation))
    }
}

impl<A: Actor> Drop for Exit<A> {
    fn drop(&mut self) {
        self.cell.life.unregister(&mut self.key);
    }
}

impl<A: Actor> fmt::Debug for Exit<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Exit").field(&self.cell).finish()
    }
}
