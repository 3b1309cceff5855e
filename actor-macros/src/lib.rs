//! The attributes of `actor-core`: `#[actor]` turns an `impl` block into an actor, `#[main]` and
//! `#[test]` run an `async fn` as the first goroutine of a runtime; `#[protocol]`; and `select!`. Use them through
//! `actor-core`, which re-exports them; the code they write names `::actor_core` only.
//!
//! ```text
//!   tokens ─┬─► parse.rs (options) ────┐           ┌─► the user's impl, untouched
//!           └─► model.rs (impl block) ─┴► Model ──►│   message_enum.rs   enum BankMsg
//!                │ hooks.rs, messages.rs           │   handle.rs         struct BankRef
//!                │ signature.rs, types.rs          │   actor_impl.rs     impl Actor for Bank
//!                │                                 │   constructors.rs   Bank::start, Bank::child
//!                └─► Mistakes: all of them, each at the user's own tokens
//! ```
//!
//! - The user's item is emitted as written, without the helper attributes; bodies and spans stay.
//! - All mistakes of a block are reported at once, and what was right is still generated, so that
//!   one mistake does not bring a trail of "cannot find type" errors with it.
//! - Nothing is boxed: a handler's future is awaited in place, and a sync handler has none.
#![forbid(unsafe_code)]

mod actor_impl;
mod attrs;
mod constructors;
mod entry;
mod expand;
mod handle;
mod hooks;
mod message_enum;
mod messages;
mod mistakes;
mod mock;
mod model;
mod parse;
mod poison;
mod protocol;
mod queueing;
mod select;
mod signature;
mod types;

use proc_macro::TokenStream;

/// Turns an inherent `impl` block into an actor.
///
/// Every method with `&mut self` or `&self` that is `pub` (also `pub(crate)`, `pub(super)`) is a
/// message: the generated handle `BankRef` has a method of the same name, visibility and docs that
/// takes the same arguments and returns a [`Call`]: `.await` it to ask, `.tell()` it to send
/// without waiting for the reply. A method that returns `Result` gives its `Err` to the caller as
/// `CallError::Failed`. Private methods and functions without `self` are left alone; a `pub` method
/// that should not be a message goes into a second `impl` block without the attribute.
///
/// | attribute | on | meaning |
/// |---|---|---|
/// | `#[init]` | one `fn open(args..) -> Self` or `-> Result<Self, E>` | makes the state, inside the goroutine, at every (re)start; an `Option<Self>` in place of `Self` may be `None`, "not now" (`NotStarted`) |
/// | `#[restarting]` | one `fn recover(why: ExitReason)` | runs before `#[init]` at every start but the first, in the new goroutine; the old state is gone |
/// | `#[down]` | one `fn gone(&mut self, down: Down)` | an actor watched by `ctx.monitor(..)` has ended; before messages that wait |
/// | `#[exit]` | one `fn left(&mut self, exited: Exited)` | a linked actor has ended; with it the actor traps exits instead of ending too |
/// | `#[limit(millis = 500)]` | a message | the time its handler may take: then it is cancelled, its asker told, and the incarnation ends with `TimedOut` |
/// | `#[poison(retry(3))]` | a message | what becomes of it if the actor crashes on it: `drop`, `dead_letter` or `retry(n)` |
/// | `#[stopped]` | one `fn close(self, why: StopReason)` | runs before anyone is told that the actor stopped |
/// | `#[every(seconds = 60)]` | `fn flush(&mut self)` | runs periodically while an incarnation lives (`millis`, `seconds`, `minutes`) |
/// | `#[high_water]` | `fn crowded(change: &Pressure)` | told when the mailbox reaches `high_water`, and when it has fallen to `low_water` |
/// | `#[priority]` | a message | overtakes messages without it; at most 16 in a row while one of those waits. Its lane has room of its own, as much as the mailbox, with the same `overflow` |
/// | `#[coalesce(key = arg)]` | a message | replaces a queued one of the same method and key, always with `overflow = coalesce`, or (with another policy written out) where a call says `.overflow(Overflow::Coalesce)`; without a key any of the method |
/// | `#[batch(max = 64)]` | a message `fn add(&mut self, items: &mut Batch<T, R, E>)` | handles queued neighbours in one call; callers call `add(T)` and get `Result<R, E>` |
/// | `#[provides(Storage)]` | a message | it belongs to that [`macro@protocol`] (or to several) |
/// | `#[concurrent]`, `#[concurrent(max = 16)]` | `pub async fn look(&self)`, `pub fn look(&self)` | runs in parallel with other concurrent handlers, at most `max` (64) of this one |
///
/// Each concurrent handler is a goroutine of its own, on whichever core is free: one that computes, or
/// blocks its thread, holds up no other. A message that is not concurrent waits until those that run
/// are done, and holds up those behind it, so that it does not starve. Handlers are started in the
/// order in which their messages came; what two of them do on two cores then has no order. The state
/// must be `Sync`. Each such message costs a goroutine, and the first one after an exclusive message
/// an allocation and two moves of the state: a big one is better boxed.
///
/// The actor ends when all of them have: a stop waits for them; a kill, a panic or a time limit drops
/// the others at the await they wait in, and waits for those that compute.
///
/// A handler that answers later takes `reply: Reply<T>` anywhere among its arguments, or
/// `Reply<Result<T, E>>` if it can fail, and returns nothing: the caller sees a method without that
/// argument whose answer is what is sent there, from another handler, a goroutine or a thread. A reply
/// that is dropped tells the caller `CallError::NoReply`. A `Reply` inside of another type is an
/// argument like any other.
///
/// Each method may be sync or async and may take `ctx: &Ctx<Self>` anywhere among its arguments. A sync
/// method is called at once, without a future of its own.
///
/// # Options
///
/// `#[actor(mailbox = buffered(256), name = "bank", handle = BankRef, vis = pub(crate))]`
///
/// - `mailbox`: `buffered(n)` (the default, with 64), `rendezvous` or `unbounded`.
/// - `overflow`: what happens to a message when the mailbox is full: `wait` (the default), `fail`,
///   `drop_newest`, `drop_oldest` or `coalesce`; see `actor_core::actor::Overflow`.
/// - `high_water`, `low_water`: from how many queued messages on the mailbox counts as running full,
///   and down to how many (by default half). Told to `#[high_water]`, or else to `tracing`.
/// - `name`: the actor's name in reports; by default the type's name.
/// - `handle`: the handle's name; by default the type's name and `Ref`.
/// - `handler_limit`: `millis(n)`, `seconds(n)` or `minutes(n)`; what `#[limit]` is for one message, for
///   all of them, ticks, `#[down]` and `#[exit]`. None by default.
/// - `wedged_after`: a handler that waits longer is reported once; `seconds(0)` is never. By default
///   it is the library's setting.
/// - `poison`: what becomes of a message in whose handler the actor crashes: `drop` (the default),
///   `dead_letter` or `retry(n)`; what `#[poison]` says of one message goes before. A message that is
///   retried is copied, so its arguments must be `Clone`; its handler can't take its `Reply`, and
///   it can't be `#[batch]` or, if retried, `#[concurrent]`. See `actor_core::actor::Poison`.
/// - `vis`: how visible the handle and the message enum are; by default `pub`, because a `pub`
///   actor must not have less visible messages (its methods keep their own visibility).
/// - `when_unreferenced`: `stop` (the default) or `keep`, what an actor without a supervisor does
///   when its last handle is dropped.
///
/// - `protocol`: the [`macro@protocol`] that the messages belong to, those that have no
///   `#[provides(..)]` of their own.
///
/// - `singleton`: a runtime has one of it. `Metrics::instance().await` gives its handle and starts
///   it first if need be, once, however many race, under a supervisor of its own. Its `#[init]`
///   takes no arguments (a `ctx` is fine). See [`instance`].
///
/// # What is generated
///
/// For `impl Bank`: `enum BankMsg` with a variant per message, `struct BankRef`, `impl Actor for
/// Bank`, and the functions `Bank::start(args..)`, which starts it without a supervisor, and
/// `Bank::child(id, args..)`, which describes it to one (its arguments must be `Clone`, as they are
/// needed at every restart).
///
/// # Example
///
/// ```
/// use actor_core::actor::{Actor, Ctx, Message, StopReason};
/// use actor_core::actor;
///
/// pub struct Counter {
///     hits: u64,
/// }
///
/// #[actor(mailbox = buffered(16), name = "counter")]
/// impl Counter {
///     #[init]
///     fn new(first: u64) -> Self {
///         Counter { hits: first }
///     }
///
///     /// Counts one more and says how many there are.
///     pub fn hit(&mut self) -> u64 {
///         self.hits += 1;
///         self.hits
///     }
///
///     /// Stops the actor once nothing is left to count.
///     pub async fn take(&mut self, n: u64, ctx: &Ctx<Self>) -> Result<u64, String> {
///         self.hits = self.hits.checked_sub(n).ok_or("not that many")?;
///         if self.hits == 0 {
///             ctx.stop();
///         }
///         Ok(self.hits)
///     }
///
///     #[stopped]
///     fn close(self, why: StopReason) {
///         println!("{} left, {why:?}", self.hits);
///     }
/// }
///
/// async fn twice(counter: &CounterRef) -> Result<u64, Box<dyn std::error::Error>> {
///     counter.hit().await?;
///     Ok(counter.hit().await?)
/// }
/// # assert_eq!(Counter::NAME, "counter");
/// ```
///
/// [`Call`]: https://docs.rs/actor-core/latest/actor_core/actor/struct.Call.html
/// [`instance`]: https://docs.rs/actor-core/latest/actor_core/supervise/fn.instance.html
#[proc_macro_attribute]
pub fn actor(options: TokenStream, item: TokenStream) -> TokenStream {
    expand::actor(options.into(), item.into()).into()
}

/// Turns a trait of messages into a protocol: calls that any actor with those messages answers.
///
/// Who needs something names the protocol and not the actor that has it. So two modules may need
/// each other's actors without naming each other, and a test may hand in a mock.
///
/// ```
/// use actor_core::prelude::*;
/// use actor_core::actor::ProtocolCall;
///
/// #[protocol]
/// pub trait Storage {
///     /// What is stored under a key.
///     fn get(&self, key: String) -> Option<u64>;
///     async fn put(&mut self, key: String, value: u64) -> Result<(), String>;
/// }
///
/// struct Memory(std::collections::HashMap<String, u64>);
///
/// #[actor(protocol = Storage)]
/// impl Memory {
///     #[init]
///     fn new() -> Self { Memory(Default::default()) }
///     pub fn get(&mut self, key: String) -> Option<u64> { self.0.get(&key).copied() }
///     pub fn put(&mut self, key: String, value: u64) -> Result<(), String> {
///         self.0.insert(key, value);
///         Ok(())
///     }
/// }
///
/// /// A mock is an impl of the calls.
/// struct Broken;
/// impl Storage for Broken {
///     fn get(&self, _: String) -> ProtocolCall<'_, Option<u64>> {
///         ProtocolCall::answer(Ok(None))
///     }
///     fn put(&self, key: String, _: u64) -> ProtocolCall<'_, (), String> {
///         ProtocolCall::answer(Err(CallError::Failed(format!("{key} is read-only"))))
///     }
/// }
///
/// async fn count(storage: &StorageRef, key: &str) -> Result<u64, CallError<String>> {
///     let n = storage.get(key.into()).await.unwrap().unwrap_or(0) + 1;
///     storage.put(key.into(), n).await?;
///     Ok(n)
/// }
///
/// # actor_core::Runtime::new().unwrap().block_on(async {
/// let memory: StorageRef = Memory::start().await.unwrap().into();
/// assert_eq!(count(&memory, "a").await, Ok(1));
/// assert_eq!(count(&memory, "a").await, Ok(2));
/// assert!(count(&StorageRef::new(Broken), "a").await.is_err());
/// # });
/// ```
///
/// # What it makes
///
/// The trait keeps its name, methods and docs, and its methods become calls: they take `&self` and
/// return a [`ProtocolCall`], which is awaited, told, given a timeout and so on as a [`Call`] is, at
/// the cost of two allocations. Whether the actor's own method takes `&self` or `&mut self`, is async,
/// needs its context, or answers later, is its own matter.
///
/// Beside it stands a handle, `StorageRef` (`#[protocol(handle = Name)]` gives it another name): made
/// from any actor's handle that has the protocol, or any mock, by `StorageRef::new(..)` or `.into()`.
/// It keeps the actor alive as its own handles do, is equal to others that mean the same actor;
/// `actor()` gives the actor's id, name, stop and so on, and `downgrade()` a weak handle.
///
/// # Mocks
///
/// `#[protocol(mock)]` writes a `MockStorage` as well (`mock = Name` gives it another name), which is
/// answered by closures and tells what it was called with:
///
/// ```
/// use actor_core::prelude::*;
///
/// #[protocol(mock)]
/// pub trait Storage {
///     fn get(&self, key: String) -> Option<u64>;
/// }
///
/// # actor_core::Runtime::new().unwrap().block_on(async {
/// let mock = MockStorage::new().on_get(|key| (key == "a").then_some(5));
/// let storage: StorageRef = mock.handle();
/// assert_eq!(storage.get("a".into()).await, Ok(Some(5)));
/// assert_eq!(mock.expect_get().await, "a");
/// # });
/// ```
///
/// For each message it has `on_..` (the answer), `expect_..` (awaits a call) and `when_..` (replies
/// lined up, failures, answers that take their time: [`MockMethod`]). A call that nobody has an answer
/// for panics where it is made, and again when the mock is dropped. Arguments must be `Clone` and
/// `Debug`. To have it in unit tests only: `#[cfg_attr(test, protocol(mock))]` beside
/// `#[cfg_attr(not(test), protocol)]`.
///
/// # Who has it
///
/// An actor has a protocol by `#[actor(protocol = Storage)]`, if all its messages belong to it, or by
/// `#[provides(Storage)]` on each that does.
///
/// [`Call`]: https://docs.rs/actor-core/latest/actor_core/actor/struct.Call.html
/// [`ProtocolCall`]: https://docs.rs/actor-core/latest/actor_core/actor/struct.ProtocolCall.html
/// [`MockMethod`]: https://docs.rs/actor-core/latest/actor_core/testkit/mock/struct.MockMethod.html
#[proc_macro_attribute]
pub fn protocol(options: TokenStream, item: TokenStream) -> TokenStream {
    protocol::protocol(options.into(), item.into()).into()
}

/// Runs an `async fn main` as the first goroutine of a new runtime, as Go runs `main`.
///
/// When it returns, the process ends and every other goroutine with it. What it returns is reported
/// as Rust's own `main` does, so `Result<(), Box<dyn Error>>` and `ExitCode` both work.
/// `#[actor_core::main(procs = 4)]` sets the number of processors; by default it is one per core.
///
/// ```
/// #[actor_core::main(procs = 2)]
/// async fn main() {
///     println!("running on the scheduler");
/// }
/// ```
#[proc_macro_attribute]
pub fn main(options: TokenStream, item: TokenStream) -> TokenStream {
    entry::expand(entry::Kind::Main, options.into(), item.into()).into()
}

/// Runs an `async fn` as a unit test, on a runtime of its own with two processors.
///
/// Other attributes, such as `#[should_panic]` and `#[ignore]`, keep their meaning, and
/// `#[actor_core::test(procs = 4)]` sets the number of processors.
///
/// ```
/// #[actor_core::test]
/// async fn adds() {
///     assert_eq!(1 + 1, 2);
/// }
/// ```
///
/// # Simulated
///
/// `#[actor_core::test(sim)]` runs the same function in a simulation, once for each seed: with virtual
/// time, on one thread, every choice by the seed. `seeds = 1000` says how many (100), `policy = ..` who
/// decides; the function may take the simulation, `sim: &Sim` or `&'static Sim` to give it to goroutines,
/// which has the clock and the faults. A failure prints its seed, its steps and the command that runs it
/// again. See the module `sim`.
///
/// ```
/// use std::time::Duration;
/// use actor_core::sim::Sim;
///
/// #[actor_core::test(sim, seeds = 1000)]
/// async fn a_day_passes(sim: &Sim) {
///     actor_core::sleep(Duration::from_secs(86_400)).await;
///     assert_eq!(sim.elapsed(), Duration::from_secs(86_400));
/// }
/// ```
#[proc_macro_attribute]
pub fn test(options: TokenStream, item: TokenStream) -> TokenStream {
    entry::expand(entry::Kind::Test, options.into(), item.into()).into()
}

/// Waits on several operations at once; exactly one of them happens. Go's `select`.
///
/// ```
/// use actor_core::prelude::*;
/// use actor_core::chan;
/// use std::time::Duration;
///
/// # actor_core::Runtime::new().unwrap().block_on(async {
/// let (jobs, todo) = chan::buffered::<u32>(8);
/// let (results, done) = chan::rendezvous::<u32>();
/// let mut worker = go(async move {
///     while let Some(n) = todo.recv().await {
///         results.send(n * n).await.expect("somebody waits");
///     }
/// });
///
/// let (mut next, mut sum) = (1, 0);
/// let mut ticker = interval(Duration::from_secs(1));
/// while sum < 14 {
///     select! {
///         r = jobs.send(next), if next <= 3 => {
///             r.expect("the worker lives");
///             next += 1;
///         }
///         Some(square) = done.recv() => sum += square,
///         end = &mut worker => panic!("the worker ended: {end:?}"),
///         _ = ticker.tick() => println!("still at work"),
///         _ = sleep(Duration::from_secs(60)) => panic!("too slow"),
///     }
/// }
/// assert_eq!(sum, 14);
/// # });
/// ```
///
/// # Arms
///
/// An arm is `pattern = operation => handler`, or `pattern = operation, if condition => handler`.
///
/// - The operation is anything that can be awaited: a channel's `recv()`, `send(value)` or
///   `send_from(&mut slot)`, a ticker's `tick()`, `sleep(..)`, `&mut handle` of a goroutine, a call
///   of an actor, any future. The expressions are evaluated once, from top to bottom.
/// - With `, if condition` the arm takes part only if the condition holds; else its expression is
///   not even evaluated. `if let` works too, and what it binds can be used in the operation.
/// - An outcome that does not match the pattern is dropped; its arm is disabled and the select goes
///   on with the others.
/// - `default => handler` runs when no arm is ready now: the select does not wait.
/// - `else => handler` runs when every arm is disabled. Without it that panics (or runs `default`).
/// - Up to 64 arms; [`chan::Select`] takes any number, and arms that are known only at run time.
///
/// All arms have ended, and what they borrowed is free again, when the handler runs. It is an
/// ordinary expression of the surrounding function: `?`, `return`, `break`, `continue` and `.await`
/// work in it. The handlers' common value is the value of the `select!`.
///
/// # Which arm
///
/// If several arms are ready one of them is chosen at random, each as likely, as in Go: no arm
/// starves another. With `biased;` as the first line, the first ready arm in the order written wins;
/// then an arm that is always ready starves those below it.
///
/// # What happens to the others
///
/// Nothing: they have not happened. No value is received and none is sent, not even for a moment,
/// on channels whose arms lose; the counterpart in another goroutine, in a `select!` too, sees one
/// winner. Their places in the channels' queues are given up, and plain futures are dropped (pass
/// `&mut future`, pinned, to keep one for the next round).
///
/// - `tx.send(value)` owns the value and drops it if the arm loses, as Go leaves it to the garbage
///   collector. [`send_from`] keeps it.
/// - A future that borrows a channel operation (`recv.as_mut()`, with `recv` pinned outside) or wraps
///   one (`timeout(.., rx.recv())`) is a plain future. Nothing is lost with those either; only, a
///   value that was handed to such a future and lost goes back to the front of its channel.
///
/// Dropping the future in which a `select!` waits loses nothing: a value that was handed to an arm
/// at the last moment goes back to the front of its channel. A send whose value was taken at the last
/// moment has happened; with `send_from` the slot is empty then.
///
/// A closed channel is always ready; Go programmers set such a channel to nil, here it is
/// [`Receiver::never`].
///
/// # Panics
/// When every arm is disabled and there is neither `else` nor `default`.
///
/// [`chan::Select`]: https://docs.rs/actor-core/latest/actor_core/chan/struct.Select.html
/// [`send_from`]: https://docs.rs/actor-core/latest/actor_core/chan/struct.Sender.html#method.send_from
/// [`Receiver::never`]: https://docs.rs/actor-core/latest/actor_core/chan/struct.Receiver.html#method.never
#[proc_macro]
pub fn select(input: TokenStream) -> TokenStream {
    select::expand(input.into()).into()
}
