//! What an actor is to the library: its message type, its state, and the code of its life.
//!
//! `#[actor]` writes these impls. They are public and simple enough to be written by hand, which
//! is also how this crate's own tests exercise the runtime without the macro.

use std::{fmt, future::Future, time::Duration};

use super::{
    ActorRef, Concurrency, Ctx, Down, ExitReason, Exited, HighWater, Overflow, Poison, Pressure,
    Shared, StopReason,
};
use crate::chan::Capacity;

/// The type of an actor's messages: usually an enum with one variant per method.
pub trait Message: Send + 'static {
    /// The message's name for events and reports, such as `"deposit"`.
    fn name(&self) -> &'static str {
        std::any::type_name::<Self>()
    }

    /// Whether it goes into the priority lane: see [`Actor::PRIORITY`]. `#[priority]` writes it.
    #[inline]
    fn is_priority(&self) -> bool {
        false
    }

    /// Whether its answer may come after its handler has returned: see [`Actor::DEFERS_REPLIES`].
    /// `#[actor]` writes it: such a message's method takes a [`Reply`](super::Reply), or is `#[batch]`.
    #[inline]
    fn defers_reply(&self) -> bool {
        true
    }

    /// Its key, for [`Overflow::Coalesce`]: it takes the place of a queued message with the same
    /// one. `#[coalesce(key = ..)]` writes it. Called by the sender, not under a lock, and only if
    /// the actor is [`KEYED`](Actor::KEYED).
    ///
    /// Messages of different kinds with the same key replace each other: let the kind be a part of
    /// the key.
    #[inline]
    fn coalesce_key(&self) -> Option<u64> {
        None
    }

    /// A copy of it for another try, if its actor crashes on it: see
    /// [`Poison::Retry`](super::Poison::Retry). Asked before each try but the last; `None`: it is
    /// not tried again.
    ///
    /// A reply slot that stays in the message is answered by the crash. `#[poison(retry(n))]` moves
    /// it into the copy, and answers through that.
    fn spare(&mut self) -> Option<Self>
    where
        Self: Sized,
    {
        None
    }

    /// Which queued neighbours it is handled together with: those of the same number, which is that
    /// of an entry of [`Actor::BATCHES`], counted from 1; 0 for none. `#[batch]` writes it.
    #[inline]
    fn batch(&self) -> u32 {
        0
    }

    /// Takes those that followed it in the mailbox and are of the same [batch](Message::batch) into
    /// it: they are handled together, as one message, and one panic is the end of all of them.
    fn join(&mut self, followers: Vec<Self>)
    where
        Self: Sized,
    {
        let _ = followers;
        unreachable!("a message that is of a batch has a `join`")
    }
}

/// How much an actor's mailbox holds before senders wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailboxKind {
    /// Nothing: a send completes when the actor takes the message.
    Rendezvous,
    /// Up to so many messages; a send waits while it is full. `Buffered(0)` is a rendezvous.
    Buffered(usize),
    /// No bound. Memory grows with the backlog: prefer a bound unless senders are limited otherwise.
    Unbounded,
}

impl Default for MailboxKind {
    /// `Buffered(64)`.
    fn default() -> Self {
        Self::Buffered(64)
    }
}

impl MailboxKind {
    pub(crate) fn capacity(self) -> Capacity {
        match self {
            Self::Rendezvous | Self::Buffered(0) => Capacity::Rendezvous,
            Self::Buffered(n) => Capacity::Buffered(n),
            Self::Unbounded => Capacity::Unbounded,
        }
    }
}

/// What an actor without a supervisor does when its last handle is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum WhenUnreferenced {
    /// It handles what is queued and stops: nobody can send it anything any more.
    #[default]
    Stop,
    /// It stays: for one that lives by its ticks, its streams or its pipes. It ends by its own
    /// [`Ctx::stop`], a panic, or with the runtime; weak handles can still be upgraded.
    Keep,
}

/// The behaviour of an actor: how its state is made, how it handles a message, how it ends.
///
/// All of it runs inside the actor's goroutine, one thing at a time, so `&mut self` needs no lock.
/// It follows Erlang's `gen_server` (`init`, `handle_call`/`handle_cast`, `terminate`).
///
/// A panic in `init`, `handle`, `tick` or `stopped`, or in the state's `Drop`, ends this
/// incarnation with [`ExitReason::Panicked`](super::ExitReason::Panicked); a supervisor may start
/// the next one, and the mailbox waits for it. As everywhere in Rust, a `Drop` that panics *while
/// another panic unwinds through it* aborts the process; the state itself is kept out of that
/// danger (it is dropped after a handler's panic was caught).
///
/// # Example
///
/// A counter written by hand, as `#[actor]` would write it:
/// ```
/// use actor_core::actor::{self, Actor, ActorRef, Call, Ctx, MailboxKind, Message, Reply};
/// use std::convert::Infallible;
///
/// struct Counter(u64);
///
/// enum CounterMsg {
///     Add { n: u64, reply: Reply<Result<u64, Infallible>> },
/// }
/// impl Message for CounterMsg {
///     fn name(&self) -> &'static str { "add" }
/// }
///
/// impl Actor for Counter {
///     type Msg = CounterMsg;
///     type Args = u64;
///     type Error = Infallible;
///     type Handle = ActorRef<Self>;
///     const NAME: &'static str = "counter";
///
///     async fn init(start: u64, _: &Ctx<Self>) -> Result<Self, Infallible> {
///         Ok(Counter(start))
///     }
///     async fn handle(&mut self, msg: CounterMsg, _: &Ctx<Self>) {
///         match msg {
///             CounterMsg::Add { n, reply } => {
///                 self.0 += n;
///                 reply.send(Ok(self.0));
///             }
///         }
///     }
/// }
///
/// fn add(to: &ActorRef<Counter>, n: u64) -> Call<'_, Counter, u64> {
///     Call::new(to, CounterMsg::Add { n, reply: Reply::none() }, |msg, slot| match msg {
///         CounterMsg::Add { reply, .. } => *reply = slot,
///     })
/// }
///
/// let rt = actor_core::sched::Runtime::new().unwrap();
/// rt.run(async {
///     let counter = actor::start::<Counter>("counter", 40).await.unwrap();
///     assert_eq!(add(&counter, 2).await, Ok(42));
/// });
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an actor",
    note = "put `#[actor]` on one of its inherent `impl` blocks"
)]
pub trait Actor: Sized + Send + 'static {
    /// What its mailbox carries.
    type Msg: Message;
    /// What [`init`](Actor::init) is given at every start: a tuple, or `()`.
    type Args: Send + 'static;
    /// Why [`init`](Actor::init) can fail; [`Infallible`](std::convert::Infallible) if it cannot.
    type Error: fmt::Display + Send + 'static;
    /// The typed handle users hold; `ActorRef<Self>` itself when written by hand.
    type Handle: From<ActorRef<Self>> + Clone + Send + Sync + 'static;

    /// The name used where none was given.
    const NAME: &'static str;
    /// The mailbox's capacity.
    const MAILBOX: MailboxKind = MailboxKind::Buffered(64);
    /// What happens to a message when the mailbox is full, unless the call says otherwise. A policy
    /// that makes no sense with the mailbox does not compile.
    const OVERFLOW: Overflow = Overflow::Wait;
    /// Whether messages have [keys](Message::coalesce_key), by which [`Overflow::Coalesce`] replaces
    /// them, be it the actor's policy or a call's.
    const KEYED: bool = matches!(Self::OVERFLOW, Overflow::Coalesce);
    /// Whether messages that say [`is_priority`](Message::is_priority) overtake the others.
    ///
    /// They have a lane of their own, with the mailbox's capacity and overflow policy. Order is kept
    /// within each lane, and not between them. A normal message that waits is handled after at most
    /// 16 urgent ones, so that it can't starve (in Akka's control-aware mailbox it can). Stop and
    /// kill are in neither lane and wait for no message.
    const PRIORITY: bool = false;
    /// From how many queued messages on [`pressure`](Actor::pressure) is told that the mailbox runs
    /// full.
    const HIGH_WATER: Option<HighWater> = None;
    /// For each kind of message that is handled in batches ([`Message::batch`]), how many at most.
    const BATCHES: &'static [usize] = &[];

    /// Whether any message may be answered after its handler has returned, because a
    /// [`Reply`](super::Reply) was kept.
    ///
    /// Asks that are answered by the end of the handler take part in the search for ask cycles
    /// ([`CallError::Deadlock`](super::CallError::Deadlock)): while another handler waits, they can't
    /// be answered. `#[actor]` sets it; by hand, set it to `false` if there is no such message, or
    /// say which they are by [`Message::defers_reply`].
    const DEFERS_REPLIES: bool = true;
    /// What it does when its last handle is dropped; supervised, it does not care.
    const WHEN_UNREFERENCED: WhenUnreferenced = WhenUnreferenced::Stop;
    /// Whether the future of [`handle`](Actor::handle) may wait. If not, it is ready when it is first
    /// polled, or the actor panics; such a message needs no memory for it. `#[actor]` sets it.
    const HANDLERS_WAIT: bool = true;
    /// Whether it has concurrent handlers: then [`concurrency`](Actor::concurrency) is asked for each
    /// message.
    const CONCURRENT: bool = false;
    /// The end of a linked actor comes to [`exit`](Actor::exit) instead of ending this one: Erlang's
    /// `trap_exit`. `#[exit]` sets it.
    const TRAPS_EXITS: bool = false;
    /// Whether any handler has a time limit. `handler_limit` and `#[limit]` set it.
    const LIMITED: bool = false;
    /// How long the handling of a message, a tick, a `Down` or an exit may take if nothing else is
    /// said; only if [`LIMITED`](Actor::LIMITED).
    const HANDLER_LIMIT: Option<Duration> = None;
    /// A handler that waits for longer than this is reported; zero is never. `None`: as
    /// [`report_wedged_after`](super::report_wedged_after) says.
    const WEDGED_AFTER: Option<Duration> = None;

    /// Whether any message is tried again when the actor crashes on it: only then are messages
    /// copied. `poison = retry(n)` and `#[poison(retry(n))]` set it.
    const RETRIES: bool = false;

    /// What becomes of the message of this [name](Message::name) if the actor crashes on it: by
    /// default [`Poison::Drop`]. Not asked for hooks and ticks.
    fn poison(message: &str) -> Poison {
        let _ = message;
        Poison::Drop
    }

    /// How long this message's handler may take; only if [`LIMITED`](Actor::LIMITED).
    ///
    /// When the time is over the handler's future is dropped at the await it waits in, its asker
    /// gets [`CallError::TimedOut`](super::CallError::TimedOut), and the incarnation ends with
    /// [`ExitReason::TimedOut`](super::ExitReason::TimedOut), without the stop hook, since the state
    /// may be half changed. A handler that doesn't await can't be cancelled and isn't.
    ///
    /// A batch has the limit of its first message. A concurrent handler's time counts from its
    /// start; the handlers beside it are dropped with it, and their askers get `Stopped`.
    fn limit(msg: &Self::Msg) -> Option<Duration> {
        let _ = msg;
        Self::HANDLER_LIMIT
    }

    /// Makes the state; runs inside the goroutine at every (re)start.
    ///
    /// # Errors
    /// An error ends this start: `start` returns it, a supervisor counts it as a failed attempt.
    fn init(
        args: Self::Args,
        ctx: &Ctx<Self>,
    ) -> impl Future<Output = Result<Self, Self::Error>> + Send;

    /// Whether this error of [`init`](Actor::init) says "not now" instead of a failure:
    /// [`ExitReason::Ignored`](super::ExitReason::Ignored). `#[actor]` writes it where `#[init]`
    /// returns an `Option<Self>`; by hand take [`NotStarted`](super::NotStarted) as the error.
    fn is_ignored(error: &Self::Error) -> bool {
        let _ = error;
        false
    }

    /// Runs before [`init`](Actor::init) at every start but the first, and is told how the former
    /// incarnation ended. `#[restarting]` writes it.
    ///
    /// It runs in the new goroutine, under the supervisor's start deadline. There is no `self`: the
    /// old state was dropped before anyone was told of its end (after a panic it may have been
    /// broken), and the new one isn't made yet. Unlike Akka's `preRestart`, which is given the
    /// broken instance. A panic in it is a start that failed, as in `init`.
    fn restarting(why: ExitReason, ctx: &Ctx<Self>) -> impl Future<Output = ()> + Send {
        let _ = (why, ctx);
        async {}
    }

    /// Handles one message. The next one is taken when this future is done.
    fn handle(&mut self, msg: Self::Msg, ctx: &Ctx<Self>) -> impl Future<Output = ()> + Send;

    /// Told when the mailbox reaches its [high-water mark](Actor::HIGH_WATER), and when it has
    /// fallen to the low one. `#[high_water]` writes it; by default it is a `tracing` event.
    ///
    /// It runs in the goroutine of whoever caused it, often a sender, and must not block; a panic is
    /// reported and goes no further.
    fn pressure(change: &Pressure<'_>) {
        change.trace();
    }

    /// Whether a message's handler may run beside other concurrent ones: `#[concurrent]`. They
    /// start in the order in which their messages came, and one that is not concurrent waits for all running
    /// handlers and holds those behind it up, so it does not starve.
    #[inline]
    fn concurrency(msg: &Self::Msg) -> Option<Concurrency> {
        let _ = msg;
        None
    }

    /// Puts the state where concurrent handlers share it, until all of them are done. By hand:
    /// `Shared::new(self, ctx)`, which only a state that is `Sync` can have.
    fn share(self, ctx: &Ctx<Self>) -> Shared<Self> {
        let _ = ctx;
        unreachable!("an actor with a concurrent message says how its state is shared")
    }

    /// Handles a message that is [concurrent](Actor::concurrency), in a goroutine of its own: on
    /// several cores it runs in parallel with others of its kind.
    ///
    /// When the incarnation ends before it, by a kill or because another one panicked, its future is
    /// dropped at the await it waits in. The end waits for one that computes.
    fn concurrently(&self, msg: Self::Msg, ctx: &Ctx<Self>) -> impl Future<Output = ()> + Send {
        let _ = (msg, ctx);
        async { unreachable!("an actor with a concurrent message says how to handle it") }
    }

    /// Runs last when the actor was asked to stop (not after a panic or a kill).
    fn stopped(self, why: StopReason, ctx: &Ctx<Self>) -> impl Future<Output = ()> + Send {
        let _ = (why, ctx);
        async move { drop(self) }
    }

    /// An actor that [`Ctx::monitor`] watches has ended. Between messages, before those that wait.
    /// By default it is logged as a warning, since nobody looks at it.
    ///
    /// ```
    /// use actor_core::{actor::Down, prelude::*};
    ///
    /// struct Job;
    /// #[actor]
    /// impl Job {
    ///     #[init]
    ///     fn new() -> Self { Job }
    /// }
    ///
    /// /// Counts the jobs that have ended.
    /// struct Foreman(u32);
    /// #[actor]
    /// impl Foreman {
    ///     #[init]
    ///     fn new() -> Self { Foreman(0) }
    ///     pub fn oversee(&mut self, job: JobRef, ctx: &Ctx<Self>) { ctx.monitor(&job); }
    ///     pub fn ended(&self) -> u32 { self.0 }
    ///     #[down]
    ///     fn gone(&mut self, down: Down) {
    ///         println!("{down}");
    ///         self.0 += 1;
    ///     }
    /// }
    ///
    /// # actor_core::Runtime::new().unwrap().block_on(async {
    /// let (foreman, job) = (Foreman::start().await.unwrap(), Job::start().await.unwrap());
    /// foreman.oversee(job.clone()).await.unwrap();
    /// job.stop().await;
    /// while foreman.ended().await != Ok(1) {}
    /// # });
    /// ```
    fn down(&mut self, down: Down, ctx: &Ctx<Self>) -> impl Future<Output = ()> + Send {
        tracing::warn!(actor = ctx.name(), %down, "a Down came and there is no #[down] method");
        async {}
    }

    /// A linked actor has ended; only if [`TRAPS_EXITS`](Actor::TRAPS_EXITS). Between messages,
    /// before those that wait.
    fn exit(&mut self, exited: Exited, ctx: &Ctx<Self>) -> impl Future<Output = ()> + Send {
        let _ = (exited, ctx);
        async {}
    }

    /// The periods of `#[every]`; asked once per incarnation. By hand: `const { &[..] }`.
    #[inline]
    fn ticks() -> &'static [Duration] {
        &[]
    }

    /// Runs when period `index` of [`ticks`](Actor::ticks) has passed. Between messages, never
    /// during one; a tick that comes late is not made up for, as with Go's `Ticker`.
    fn tick(&mut self, index: usize, ctx: &Ctx<Self>) -> impl Future<Output = ()> + Send {
        let _ = (index, ctx);
        async {}
    }
}

/// A handler's `Result`, whatever alias it was written with (`io::Result<T>`, say): how the code
/// that `#[actor]` writes learns the value's and the error's type.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is named `Result` but is not std's `Result`",
    note = "a handler's `Result` becomes the caller's `Result<T, CallError<E>>`: use std's, or give \
            the type another name"
)]
pub trait ReplyResult {
    /// The value.
    type Ok;
    /// The handler's error.
    type Err;
    /// The plain `Result`.
    fn into_result(self) -> Result<Self::Ok, Self::Err>;
}

impl<T, E> ReplyResult for Result<T, E> {
    type Ok = T;
    type Err = E;

    #[inline]
    fn into_result(self) -> Result<T, E> {
        self
    }
}
