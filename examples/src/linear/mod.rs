//! A linearizability checker: is there an order of what clients did to a store, one operation at a
//! time, that explains every reply?
//!
//! ```text
//!  client 1   ├── SET 1 ──┤              ├─ GET -> 1 ─┤
//!  client 2        ├─────── SET 2 ───────────────┤
//!  client 3                     ├ GET -> 2 ┤                 SET 1, SET 2, GET -> 2, then what?
//! ```
//!
//! An operation takes effect at one moment between its call and its reply. One without a reply (its
//! client or its server died) takes effect at some moment after its call, or never.
//!
//! 1. Clients write down calls and replies, in the order in which they happen ([`History`]).
//! 2. [`check`] looks at each key by itself: a history is linearizable if and only if each object's
//!    part of it is (Herlihy and Wing, "Linearizability", 1990), and the parts are small.
//! 3. For one key it tries orders, as Wing and Gong do ("Testing and Verifying Concurrent Objects",
//!    1993), and remembers which sets of operations it has been left in which state with, as Lowe
//!    adds ("Testing for Linearizability", 2017). The set is what makes it practical: the number of
//!    orders is exponential, that of sets which respect the history is not, for a given number of
//!    clients (`search`).
//! 4. If there is no such order, it says so by the shortest piece of history that shows it
//!    ([`Violation`], `window`).
//!
//! The objects are registers of numbers (`register`): that is all that a test of a key-value store
//! needs, as it chooses the values.

mod history;
mod register;
mod search;
#[cfg(test)]
mod tests;
mod window;

use std::collections::BTreeMap;

pub use history::{History, OpenCall, Operation};
pub use register::{Op, Reply};
pub use window::Violation;

/// Finds out whether what happened is linearizable, if every key was missing at first.
///
/// ```
/// use examples::linear::{History, Op, Reply, check};
///
/// let history = History::new();
/// let set = history.call(1, "key", Op::Set(7));
/// history.reply(set, Reply::Ok);
/// let get = history.call(2, "key", Op::Get);
/// history.reply(get, Reply::Value(None));
/// let violation = check(&history.operations()).unwrap_err();
/// assert_eq!(violation.operations.len(), 2);
/// println!("{violation}");
/// ```
///
/// # Errors
/// The shortest piece of the history of one key that no order explains.
pub fn check(operations: &[Operation]) -> Result<(), Violation> {
    let mut keys: BTreeMap<&str, Vec<&Operation>> = BTreeMap::new();
    for operation in operations {
        keys.entry(&operation.key).or_default().push(operation);
    }
    let violations = keys.values().filter_map(|key| window::shortest(key));
    violations
        .min_by_key(|violation| violation.operations.len())
        .map_or(Ok(()), Err)
}
