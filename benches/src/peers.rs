//! The peers, and the vocabulary each must have for the works to be done on it.
//!
//! A peer's file says in that peer's own idiom what a work needs to say: start a task, start an
//! actor, ask it, tell it. The works themselves are written once, over these traits, so that every
//! peer does the same. What a peer lacks it leaves out, and has no row then.

mod actix;
mod channels;
mod kameo;
mod ours;
mod ractor;
mod smol;
mod tokio;
mod xtra;

use std::pin::Pin;
use std::time::Duration;

pub use self::actix::Actix;
pub use self::channels::{AsyncChannel, Flume, Kanal, OursChan, TokioMpsc};
pub use self::kameo::Kameo;
pub use self::ours::Ours;
pub use self::ractor::Ractor;
pub use self::smol::Smol;
pub use self::tokio::Tokio;
pub use self::xtra::Xtra;

/// A task whose type is forgotten.
pub type BoxTask<T = ()> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Tells once that all has arrived; the same for every peer, because it is used once per work.
pub type Done<T = ()> = ::tokio::sync::oneshot::Sender<T>;

/// A running runtime; dropping it joins its threads.
pub trait Runtime: Sized + 'static {
    /// What the tables call it.
    const NAME: &'static str;

    /// Starts it with its default number of workers, one per core.
    fn start() -> Self;

    /// Runs a task and waits for it outside the runtime.
    fn run<T: Send + 'static>(&self, task: impl Future<Output = T> + Send + 'static) -> T;

    /// What starts tasks from another thread.
    fn injector(&self) -> impl Fn(BoxTask) + Send + 'static;

    /// Starts a task and returns what waits for it; called inside the runtime.
    fn go<T: Send + 'static>(
        task: impl Future<Output = T> + Send + 'static,
    ) -> impl Future<Output = T> + Send + 'static;

    /// Sleeps.
    fn sleep(time: Duration) -> impl Future<Output = ()> + Send;

    /// Lets other tasks run.
    fn yield_now() -> impl Future<Output = ()> + Send;
}

/// An actor system.
///
/// Functions that talk to an actor panic when it isn't there.
pub trait Peer: 'static {
    /// What the tables call it.
    const NAME: &'static str;

    /// What makes its figures differ in kind from the others'.
    const NOTE: &'static str;

    /// What runs it.
    type Rt: Runtime;

    /// A handle of an actor that owns a sum, eight bytes, and [`Alive`](crate::work::Alive).
    type Counter: Clone + Send + Sync + 'static;

    /// Starts a counter.
    fn counter(sum: u64) -> impl Future<Output = Self::Counter> + Send;
    /// Asks it to add, answers the sum.
    fn add(counter: &Self::Counter, n: u64) -> impl Future<Output = u64> + Send;
    /// Tells it to add, waits for room.
    fn note(counter: &Self::Counter, n: u64) -> impl Future<Output = ()> + Send;
    /// Asks it to spend `time` on an answer.
    fn serve(counter: &Self::Counter, time: Duration) -> impl Future<Output = u64> + Send;
    /// Lets it end; dropping the last handle does that in most systems.
    fn release(counter: Self::Counter) {
        drop(counter);
    }

    /// A handle of an actor that passes a number on, less one; of numbers that are 0 it counts so
    /// many as expected and then says that it is done.
    type Link: Clone + Send + Sync + 'static;

    /// Starts a link.
    fn link() -> impl Future<Output = Self::Link> + Send;
    /// Asks it to pass on to `next`, and to expect so many zeros.
    fn meet(
        link: &Self::Link,
        next: Option<Self::Link>,
        zeros: u64,
        done: Option<Done>,
    ) -> impl Future<Output = ()> + Send;
    /// Tells it a number, waits for room.
    fn hop(link: &Self::Link, left: u64) -> impl Future<Output = ()> + Send;

    /// A handle of an actor that gets big messages.
    type Bulk: Clone + Send + Sync + 'static;

    /// Starts one.
    fn bulk() -> impl Future<Output = Self::Bulk> + Send;
    /// Asks it for the sum of the first and the last byte.
    fn page(bulk: &Self::Bulk, page: [u8; 1024]) -> impl Future<Output = u64> + Send;
    /// Asks it to count up the first byte and hand the block back.
    fn block(bulk: &Self::Bulk, block: Vec<u8>) -> impl Future<Output = Vec<u8>> + Send;

    /// Grows a tree of actors, ten below each, down to `leaves` that are numbered; each tells its
    /// parent the sum of those below. Returns the root's.
    fn skynet(leaves: u64) -> impl Future<Output = u64> + Send;

    /// Makes a supervised actor crash, and asks it once it runs again, so many times; returns how
    /// long that took, none when the peer has no supervision.
    fn restarts(times: u64) -> impl Future<Output = Option<Duration>> + Send {
        let _ = times;
        async { None }
    }
}

/// How many children a node of [`Peer::skynet`] has.
pub const CHILDREN: u64 = 10;

/// A runtime's locks and its select.
pub trait Locks: Runtime {
    /// A mutex around a number.
    type Mutex: Send + Sync + 'static;
    /// Makes one around 0.
    fn mutex() -> Self::Mutex;
    /// Adds under the lock; returns the sum.
    fn add(mutex: &Self::Mutex, n: u64) -> impl Future<Output = u64> + Send;

    /// A read-write lock around a number.
    type RwLock: Send + Sync + 'static;
    /// Makes one around 0.
    fn rwlock() -> Self::RwLock;
    /// Adds under the write lock.
    fn write(lock: &Self::RwLock, n: u64) -> impl Future<Output = ()> + Send;
    /// Reads under the read lock.
    fn read(lock: &Self::RwLock) -> impl Future<Output = u64> + Send;

    /// One task sends `values` in turn over eight channels of one place, another receives from all
    /// of them by select; returns the sum of what was received.
    fn select(values: u64) -> impl Future<Output = u64> + Send;
}

/// A channel of numbers between tasks.
pub trait Channel: 'static {
    /// What the tables call it.
    const NAME: &'static str;
    /// Whether its capacity may be 0; else the smallest is taken, 1.
    const RENDEZVOUS: bool = true;
    /// The runtime that its users mostly have.
    type Rt: Runtime;
    /// Its sending side.
    type Tx: Clone + Send + Sync + 'static;
    /// Its receiving side.
    type Rx: Send + 'static;

    /// Makes a channel.
    fn channel(capacity: usize) -> (Self::Tx, Self::Rx);
    /// Sends, waits for room or for the receiver; false when nobody receives any more.
    fn send(tx: &Self::Tx, value: u64) -> impl Future<Output = bool> + Send;
    /// Receives; none when nobody sends any more.
    fn recv(rx: &mut Self::Rx) -> impl Future<Output = Option<u64>> + Send;
}
