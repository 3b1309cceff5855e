//! One execution for all who ask for the same thing at the same time.
//!
//! ```text
//!   do_call(key) ──▶ flight for the key? ── no ──▶ a new one, with a token
//!                         │
//!                         ▼
//!                  receive the token ──▶ got it: lead, run the own closure ──▶ close: all wake
//!                         │                     │
//!                         │                     └─ dropped: the token goes back, the next leads
//!                         └──▶ closed: take a clone of the outcome
//! ```
//!
//! - A flight is a channel that holds one token. Who receives it leads; the channel's own rules say
//!   that a token handed to a caller that is dropped goes to the next.
//! - A flight is in the table from its first caller until its outcome is known, until it is
//!   forgotten, or until its last caller is gone. Callers are counted under the table's lock.
//! - The outcome is set before the channel is closed: who finds it closed finds the outcome.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::hash::Hash;
use std::panic::resume_unwind;
use std::sync::OnceLock;

use super::caught;
use crate::chan::{Receiver, Sender, buffered};
use crate::sched::block_on_thread;
use crate::shim::atomic::{AtomicUsize, Ordering};
use crate::shim::{Arc, Mutex};

/// Merges calls for the same key that overlap in time into one execution.
///
/// Go's `golang.org/x/sync/singleflight`: a hundred requests for a page that is not in the cache load
/// it once. It is no cache itself: when the call is over, the next one executes again.
///
/// ```
/// use std::sync::Arc;
/// use actor_core::{Runtime, go, sync::SingleFlight, yield_now};
///
/// let pages = Arc::new(SingleFlight::new());
/// Runtime::new().unwrap().block_on(async {
///     let other = pages.clone();
///     let other = go(async move { other.do_call("/", async || "<html>".to_owned()).await });
///     let (page, _shared) = pages.do_call("/", async || {
///         yield_now().await; // load it
///         "<html>".to_owned()
///     }).await;
///     assert_eq!(page, "<html>");
///     assert_eq!(other.await.unwrap().0, "<html>");
/// });
/// ```
pub struct SingleFlight<K, V> {
    flights: Mutex<HashMap<K, Arc<Flight<V>>>>,
}

struct Flight<V> {
    give: Sender<()>,
    token: Receiver<()>,
    /// The value, or the text of the panic.
    outcome: OnceLock<Result<V, String>>,
    /// Changed under the table's lock only.
    callers: AtomicUsize,
}

impl<K: Hash + Eq + Clone, V: Clone> SingleFlight<K, V> {
    /// Nothing is under way.
    pub fn new() -> Self {
        Self {
            flights: Mutex::new(HashMap::new()),
        }
    }

    /// Runs `function`, unless a call for the same key is under way: then waits for that one's value.
    /// The second result says whether the value went to more than one caller. Go's `Do`; for its
    /// `DoChan`, start a goroutine.
    ///
    /// Values are cloned for those who share them. A function that may fail returns a `Result` whose
    /// error is `Clone`, and all share the error. The key's `Hash` and `Eq` run under a lock: they
    /// must not use this object.
    ///
    /// Dropping the future of the caller that runs its function cancels that function; the next of
    /// the waiting callers then runs *its own*. Dropping a waiting one disturbs nobody. A function
    /// that calls for its own key waits for ever, as in Go.
    ///
    /// # Panics
    /// When the function that ran panicked. The caller that ran it gets the panic itself, those who
    /// share it a panic with the same text.
    pub async fn do_call<F, R>(&self, key: K, function: F) -> (V, bool)
    where
        F: FnOnce() -> R,
        R: Future<Output = V>,
    {
        let seat = Seat::take(self, key);
        let flight = &*seat.flight;
        if flight.token.recv().await.is_none() {
            return match flight.outcome.get() {
                Some(Ok(value)) => (value.clone(), true),
                Some(Err(text)) => panic!("{text}"),
                None => unreachable!("a flight closes with its outcome"),
            };
        }
        let lead = Lead(flight);
        let done = caught::run(function).await;
        let outcome = done.as_ref().map_err(|payload| caught::text(&**payload));
        let known = flight.outcome.set(outcome.cloned());
        debug_assert!(known.is_ok(), "one leads at a time");
        let shared = seat.land();
        drop(lead);
        match done {
            Ok(value) => (value, shared),
            Err(payload) => resume_unwind(payload),
        }
    }

    /// As [`do_call`](Self::do_call), on a thread, blocking it meanwhile; for threads that run no
    /// goroutines.
    ///
    /// # Panics
    /// As [`do_call`](Self::do_call).
    ///
    /// ```
    /// let flight = actor_core::sync::SingleFlight::new();
    /// assert_eq!(flight.do_call_blocking("key", || 5), (5, false));
    /// ```
    pub fn do_call_blocking(&self, key: K, function: impl FnOnce() -> V) -> (V, bool) {
        block_on_thread(self.do_call(key, async || function()))
    }

    /// Forgets a call that is under way: the next for this key executes, and does not wait for it.
    /// Those who wait for it already still do. Go's `Forget`.
    ///
    /// Returns whether there was one.
    pub fn forget(&self, key: &K) -> bool {
        let forgotten = self.flights.lock().remove_entry(key);
        forgotten.is_some() // dropped after unlocking
    }

    /// How many keys have a call under way. A moment's view.
    pub fn in_flight(&self) -> usize {
        self.flights.lock().len()
    }

    /// Takes the flight out of the table, unless another one has taken its key since.
    fn remove(&self, key: &K, flight: &Arc<Flight<V>>) -> Option<(K, Arc<Flight<V>>)> {
        let mut flights = self.flights.lock();
        flights
            .get(key)
            .is_some_and(|listed| Arc::ptr_eq(listed, flight))
            .then(|| flights.remove_entry(key))?
    }
}

impl<K: Hash + Eq + Clone, V: Clone> Default for SingleFlight<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K, V> fmt::Debug for SingleFlight<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SingleFlight")
            .field("in_flight", &self.flights.lock().len())
            .finish()
    }
}

impl<V> Flight<V> {
    fn new() -> Self {
        let (give, token) = buffered(1);
        let there = give.try_send(());
        debug_assert!(there.is_ok(), "the channel is new");
        Self {
            give,
            token,
            outcome: OnceLock::new(),
            callers: AtomicUsize::new(0),
        }
    }
}

/// A caller of a flight. The last one that leaves without an outcome takes the flight with it.
struct Seat<'a, K: Hash + Eq + Clone, V: Clone> {
    table: &'a SingleFlight<K, V>,
    key: K,
    flight: Arc<Flight<V>>,
}

impl<'a, K: Hash + Eq + Clone, V: Clone> Seat<'a, K, V> {
    fn take(table: &'a SingleFlight<K, V>, key: K) -> Self {
        let spare = Arc::new(Flight::new()); // made, and if need be dropped, outside the lock
        let listed = key.clone();
        let mut flights = table.flights.lock();
        let flight = flights.entry(listed).or_insert_with(|| spare.clone());
        let flight = flight.clone();
        // ORDERING: Relaxed, counted under the table's lock.
        flight.callers.fetch_add(1, Ordering::Relaxed);
        drop(flights);
        Self { table, key, flight }
    }

    /// The outcome is known: new callers need a new flight. Says whether there are others here.
    fn land(&self) -> bool {
        drop(self.table.remove(&self.key, &self.flight));
        // ORDERING: Relaxed: out of the table nobody joins any more; `remove` held its lock.
        self.flight.callers.load(Ordering::Relaxed) > 1
    }
}

impl<K: Hash + Eq + Clone, V: Clone> Drop for Seat<'_, K, V> {
    fn drop(&mut self) {
        let mut flights = self.table.flights.lock();
        // ORDERING: Relaxed, counted under the table's lock.
        let last = self.flight.callers.fetch_sub(1, Ordering::Relaxed) == 1;
        let empty = last
            && flights
                .get(&self.key)
                .is_some_and(|listed| Arc::ptr_eq(listed, &self.flight));
        let removed = if empty {
            flights.remove_entry(&self.key)
        } else {
            None
        };
        drop(flights);
        drop(removed);
    }
}

/// The token. Dropped without an outcome (cancelled): the next caller leads. With one: all wake.
struct Lead<'a, V>(&'a Flight<V>);

impl<V> Drop for Lead<'_, V> {
    fn drop(&mut self) {
        if self.0.outcome.get().is_some() {
            self.0.token.close();
        } else {
            let back = self.0.give.try_send(());
            debug_assert!(back.is_ok(), "there is one token");
        }
    }
}
