//! The shortest piece of a history that can't be explained.
//!
//! - Its end: a history that is cut off at any time is linearizable if the whole is, with what had no
//!   reply by then left open. So there is a first reply that can't be explained, and a search by
//!   halves finds it.
//! - Its beginning: forget all that was answered before some time, and let the register hold anything
//!   at first. What was called before that time and not answered may have had its effect on either
//!   side, so its reply is forgotten. That explains more, never less: if what is left still can't be
//!   explained, it is a proof by itself. The later the beginning, the more is forgotten, so a search
//!   by halves finds the last one too.
//!
//! If only the register's first state gives it away, the piece is the whole history up to its end.

use std::fmt;

use super::history::Operation;
use super::register::State;
use super::search::{Span, is_explainable};

/// A piece of history that no order explains.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Violation {
    /// The key.
    pub key: String,
    /// What is not explainable, by time of its call.
    pub operations: Vec<Operation>,
    /// Whether it depends on that the key was missing at first; otherwise nothing before it matters.
    pub from_the_start: bool,
    /// The time of the first reply that can't be explained.
    pub at: u64,
}

/// The violation in the history of one key, if there is one.
pub(super) fn shortest(operations: &[&Operation]) -> Option<Violation> {
    if is_explainable(&cut(operations, 0, u64::MAX), State::Missing) {
        return None;
    }
    let mut ends: Vec<u64> = operations.iter().filter_map(|o| Some(o.reply?.0)).collect();
    ends.sort_unstable();
    let first =
        ends.partition_point(|&end| is_explainable(&cut(operations, 0, end), State::Missing));
    let end = ends[first];

    let mut begins: Vec<u64> = operations
        .iter()
        .map(|o| o.call)
        .filter(|&t| t <= end)
        .collect();
    begins.sort_unstable();
    let good = begins
        .partition_point(|&begin| !is_explainable(&cut(operations, begin, end), State::Anything));
    let begin = good.checked_sub(1).map(|last| begins[last]);
    let mut inside: Vec<Operation> = operations
        .iter()
        .filter(|o| o.call <= end && reply_within(o, begin.unwrap_or(0), end).is_some())
        .map(|&o| o.clone())
        .collect();
    inside.sort_by_key(|operation| operation.call);
    Some(Violation {
        key: inside[0].key.clone(),
        operations: inside,
        from_the_start: begin.is_none(),
        at: end,
    })
}

/// The part of the history from one time to another.
fn cut(operations: &[&Operation], begin: u64, end: u64) -> Vec<Span> {
    let called = operations.iter().filter(|o| o.call <= end);
    let spans = called.filter_map(|o| {
        let reply = reply_within(o, begin, end)?;
        Some(Span {
            op: o.op,
            call: o.call,
            reply,
        })
    });
    spans.collect()
}

/// The reply as it is known to who sees that part only; `None` if the operation has none in it.
fn reply_within(
    operation: &Operation,
    begin: u64,
    end: u64,
) -> Option<Option<(u64, super::Reply)>> {
    let reply = match operation.reply {
        Some((time, _)) if time < begin => return None,
        Some((time, reply)) if time <= end && operation.call >= begin => Some((time, reply)),
        _ => None,
    };
    // A read that nobody heard of explains nothing and is in nobody's way.
    (reply.is_some() || !operation.op.is_read()).then_some(reply)
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let before = if self.from_the_start {
            "a key that was missing at first"
        } else {
            "whatever the key held before"
        };
        writeln!(
            f,
            "key '{}' is not linearizable: no order of these {} operations explains the marked \
             reply, {before}",
            self.key,
            self.operations.len(),
        )?;
        for operation in &self.operations {
            let marked = operation.reply.is_some_and(|(time, _)| time == self.at);
            writeln!(f, "{} {operation}", if marked { '>' } else { ' ' })?;
        }
        Ok(())
    }
}

impl std::error::Error for Violation {}
