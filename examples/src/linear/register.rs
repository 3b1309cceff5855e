//! A register of a number, which may be missing: what a key is.

use std::fmt;

/// What a client asks of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    /// Gives the value.
    Get,
    /// Sets it.
    Set(i64),
    /// Sets it and gives the one before.
    Swap(i64),
    /// Sets it if the key is missing.
    SetIfMissing(i64),
    /// Sets it if the key is there.
    SetIfPresent(i64),
    /// Sets it to `to` if it is `from`.
    Cas {
        /// The value that it must have.
        from: i64,
        /// The value that it then gets.
        to: i64,
    },
    /// Adds to it, to 0 if the key is missing, and gives the sum.
    Add(i64),
    /// Removes the key.
    Del,
}

/// What a client is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reply {
    /// To a [`Set`](Op::Set).
    Ok,
    /// To [`Get`](Op::Get) and [`Swap`](Op::Swap): the value, if there was one.
    Value(Option<i64>),
    /// To [`Add`](Op::Add).
    Sum(i64),
    /// To the others: whether anything was done.
    Done(bool),
}

/// What a register holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum State {
    /// Not known: any of the others.
    Anything,
    Missing,
    Holds(i64),
}

impl Op {
    /// Whether it leaves every register as it is.
    pub(super) fn is_read(self) -> bool {
        self == Self::Get
    }
}

impl State {
    /// What the register holds after the operation; `None` if it can't have been answered like this.
    /// An operation without an answer can take effect in any state.
    pub(super) fn step(self, op: Op, reply: Option<Reply>) -> Option<Self> {
        let value = match self {
            Self::Anything => return Self::step_from_anything(op, reply),
            Self::Missing => None,
            Self::Holds(value) => Some(value),
        };
        let (after, answer) = match op {
            Op::Get => (value, Reply::Value(value)),
            Op::Set(new) => (Some(new), Reply::Ok),
            Op::Swap(new) => (Some(new), Reply::Value(value)),
            Op::SetIfMissing(new) => (value.or(Some(new)), Reply::Done(value.is_none())),
            Op::SetIfPresent(new) => (value.and(Some(new)), Reply::Done(value.is_some())),
            Op::Cas { from, to } if value == Some(from) => (Some(to), Reply::Done(true)),
            Op::Cas { .. } => (value, Reply::Done(false)),
            Op::Del => (None, Reply::Done(value.is_some())),
            Op::Add(by) => match value.unwrap_or(0).checked_add(by) {
                Some(sum) => (Some(sum), Reply::Sum(sum)),
                // An error, which is no answer.
                None => return reply.is_none().then_some(self),
            },
        };
        let fits = reply.is_none_or(|reply| reply == answer);
        fits.then(|| after.map_or(Self::Missing, Self::Holds))
    }

    /// As [`step`](Self::step), learning from the answer what can be learned.
    fn step_from_anything(op: Op, reply: Option<Reply>) -> Option<Self> {
        Some(match (op, reply) {
            (Op::Get, Some(Reply::Value(value))) => value.map_or(Self::Missing, Self::Holds),
            (Op::Set(new), None | Some(Reply::Ok))
            | (Op::Swap(new), None | Some(Reply::Value(_)))
            | (Op::SetIfMissing(new) | Op::SetIfPresent(new), Some(Reply::Done(true)))
            | (Op::Cas { to: new, .. }, Some(Reply::Done(true)))
            | (Op::Add(_), Some(Reply::Sum(new))) => Self::Holds(new),
            (Op::Del, None | Some(Reply::Done(_)))
            | (Op::SetIfPresent(_), Some(Reply::Done(false))) => Self::Missing,
            (Op::SetIfMissing(_) | Op::Cas { .. }, Some(Reply::Done(false))) | (_, None) => {
                Self::Anything
            }
            _ => return None,
        })
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Get => f.write_str("GET"),
            Self::Set(value) => write!(f, "SET {value}"),
            Self::Swap(value) => write!(f, "SET {value} GET"),
            Self::SetIfMissing(value) => write!(f, "SET {value} NX"),
            Self::SetIfPresent(value) => write!(f, "SET {value} XX"),
            Self::Cas { from, to } => write!(f, "CAS {from} {to}"),
            Self::Add(by) => write!(f, "INCRBY {by}"),
            Self::Del => f.write_str("DEL"),
        }
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ok => f.write_str("OK"),
            Self::Value(None) => f.write_str("nil"),
            Self::Value(Some(value)) => write!(f, "{value}"),
            Self::Sum(sum) => write!(f, "{sum}"),
            Self::Done(true) => f.write_str("done"),
            Self::Done(false) => f.write_str("not done"),
        }
    }
}
