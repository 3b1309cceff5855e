//! What clients did, in the order in which it happened.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::register::{Op, Reply};

/// One operation on one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// The key.
    pub key: String,
    /// Who asked, for the report.
    pub client: u64,
    /// What for.
    pub op: Op,
    /// When: a number that grows with every call and reply.
    pub call: u64,
    /// The reply and when it came; `None` if it never did.
    pub reply: Option<(u64, Reply)>,
}

/// A record of calls and replies; clones write into the same one.
#[derive(Clone, Debug, Default)]
pub struct History(Arc<Mutex<Log>>);

#[derive(Debug, Default)]
struct Log {
    /// Calls and replies so far.
    time: u64,
    /// `None`: it is known to have had no effect.
    operations: Vec<Option<Operation>>,
}

/// A call that waits for its reply. Dropped without one, it may have had its effect, may have it
/// later, or never.
#[must_use]
#[derive(Debug)]
pub struct OpenCall(usize);

impl History {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes down a call; to be done before it is made.
    pub fn call(&self, client: u64, key: impl Into<String>, op: Op) -> OpenCall {
        let mut log = self.lock();
        let call = log.tick();
        log.operations.push(Some(Operation {
            key: key.into(),
            client,
            op,
            call,
            reply: None,
        }));
        OpenCall(log.operations.len() - 1)
    }

    /// Writes down its reply; to be done after it came.
    pub fn reply(&self, call: OpenCall, reply: Reply) {
        let mut log = self.lock();
        let time = log.tick();
        if let Some(operation) = &mut log.operations[call.0] {
            operation.reply = Some((time, reply));
        }
    }

    /// Strikes a call out that is known to have had no effect.
    pub fn strike(&self, call: OpenCall) {
        self.lock().operations[call.0] = None;
    }

    /// All that was written down so far.
    #[must_use]
    pub fn operations(&self) -> Vec<Operation> {
        self.lock().operations.iter().flatten().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Log> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Log {
    fn tick(&mut self) -> u64 {
        self.time += 1;
        self.time
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = self.reply.map(|(time, _)| time.to_string());
        let end = end.unwrap_or_default();
        write!(
            f,
            "{:>6}..{end:<6} client {:<3} {} -> ",
            self.call, self.client, self.op
        )?;
        match self.reply {
            Some((_, reply)) => reply.fmt(f),
            None => f.write_str("no reply"),
        }
    }
}
