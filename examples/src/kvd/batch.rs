//! The commands of one pipeline read for one shard, and their replies: one message each way.
//!
//! - All arguments lie in one buffer and all replies in another, so a batch of a thousand commands
//!   costs two allocations, or none when it comes out of the pool.
//! - A shard stops at [`REPLY_BYTES_MAX`] and returns the batch; the connection sends the replies
//!   off and asks again for the rest. So a pipeline of `LRANGE`s is never all in memory at once.

use super::aof::Ticket;
use super::command::Op;
use super::resp::{Args, Span, reply};
use super::store::{Exec, Store};

/// Replies above this size end a run.
const REPLY_BYTES_MAX: usize = 1 << 20;
/// A pooled batch keeps buffers up to this size.
const KEPT_BYTES_MAX: usize = 64 << 10;

#[derive(Clone, Copy, Debug)]
struct Item {
    op: Op,
    writes: bool,
    first: u32,
    last: u32,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    bytes: Vec<u8>,
    spans: Vec<Span>,
    items: Vec<Item>,
    /// Items that have been run.
    done: usize,
    /// The item whose reply is read next.
    next: usize,
    replies: Vec<u8>,
    /// Where the replies to `replied..done` end.
    ends: Vec<usize>,
    replied: usize,
    /// Comes back with the batch when there is nothing to wait for.
    pub(crate) ticket: Option<Ticket>,
}

impl Batch {
    pub(crate) fn push<'a>(&mut self, op: Op, writes: bool, words: impl Iterator<Item = &'a [u8]>) {
        let first = self.spans.len() as u32;
        for word in words {
            let start = self.bytes.len() as u32;
            self.bytes.extend_from_slice(word);
            self.spans.push(Span {
                start,
                end: self.bytes.len() as u32,
            });
        }
        self.items.push(Item {
            op,
            writes,
            first,
            last: self.spans.len() as u32,
        });
    }

    /// As `push`, all arguments as they lie: one copy.
    pub(crate) fn push_all(&mut self, op: Op, writes: bool, args: Args<'_>) {
        let (first, base) = (self.spans.len() as u32, self.bytes.len() as u32);
        let (bytes, spans) = args.as_they_lie();
        self.bytes.extend_from_slice(bytes);
        self.spans.extend(spans.map(|span| Span {
            start: base + span.start,
            end: base + span.end,
        }));
        self.items.push(Item {
            op,
            writes,
            first,
            last: self.spans.len() as u32,
        });
    }

    /// Whether a command that is still to be run writes.
    pub(crate) fn writes(&self) -> bool {
        self.items[self.done..].iter().any(|item| item.writes)
    }

    /// Runs commands until all are done or their replies are large. With a `refusal`, the commands
    /// that write get it as their reply instead.
    pub(crate) fn run(
        &mut self,
        store: &mut Store,
        now: u64,
        log: &mut Vec<u8>,
        refusal: Option<&str>,
    ) {
        self.replies.clear();
        self.ends.clear();
        self.replied = self.done;
        while self.done < self.items.len() && self.replies.len() < REPLY_BYTES_MAX {
            let item = self.items[self.done];
            match refusal {
                Some(text) if item.writes => reply::error(&mut self.replies, text),
                _ => {
                    let spans = &self.spans[item.first as usize..item.last as usize];
                    let mut exec = Exec {
                        now,
                        out: &mut self.replies,
                        log: Some(log),
                    };
                    store.execute(item.op, Args::new(&self.bytes, spans), &mut exec);
                }
            }
            self.ends.push(self.replies.len());
            self.done += 1;
        }
    }

    /// Gives all that is left to run this error reply.
    pub(crate) fn refuse(&mut self, text: &str) {
        self.replies.clear();
        self.ends.clear();
        self.replied = self.done;
        while self.done < self.items.len() {
            reply::error(&mut self.replies, text);
            self.ends.push(self.replies.len());
            self.done += 1;
        }
    }

    /// Whether the next reply is there.
    pub(crate) fn has_reply(&self) -> bool {
        self.next < self.done
    }

    /// The next reply, and whether its command writes.
    pub(crate) fn next_reply(&mut self) -> (&[u8], bool) {
        let at = self.next - self.replied;
        let start = if at == 0 { 0 } else { self.ends[at - 1] };
        let writes = self.items[self.next].writes;
        self.next += 1;
        (&self.replies[start..self.ends[at]], writes)
    }

    /// Makes it fit for the next use.
    pub(crate) fn reset(&mut self) {
        *self = Self {
            bytes: recycled(&mut self.bytes),
            replies: recycled(&mut self.replies),
            spans: cleared(&mut self.spans),
            items: cleared(&mut self.items),
            ends: cleared(&mut self.ends),
            ..Self::default()
        };
    }
}

/// An empty buffer with the room of this one, unless that is too much to keep.
pub(crate) fn recycled(buffer: &mut Vec<u8>) -> Vec<u8> {
    let mut buffer = std::mem::take(buffer);
    buffer.clear();
    buffer.shrink_to(KEPT_BYTES_MAX);
    buffer
}

fn cleared<T>(list: &mut Vec<T>) -> Vec<T> {
    let mut list = std::mem::take(list);
    list.clear();
    list.shrink_to(1024);
    list
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kvd::store::Place;

    #[test]
    fn a_run_stops_when_its_replies_are_large_and_goes_on_where_it_stopped() {
        let mut store = Store::new(Place { index: 0, of: 1 }, 1 << 20);
        let mut batch = Batch::default();
        let value = vec![b'v'; 400 << 10];
        batch.push(Op::Set, true, [&b"SET"[..], b"a", &value].into_iter());
        for _ in 0..5 {
            batch.push(Op::Get, false, [&b"GET"[..], b"a"].into_iter());
        }
        let (mut replies, mut runs) = (0, 0);
        let mut log = Vec::new();
        while replies < 6 {
            batch.run(&mut store, 1, &mut log, None);
            runs += 1;
            assert!(batch.replies.len() < REPLY_BYTES_MAX + value.len() + 100);
            while batch.has_reply() {
                let expected = if replies == 0 { 5 } else { value.len() + 11 };
                assert_eq!(batch.next_reply().0.len(), expected);
                replies += 1;
            }
            assert!(!batch.writes());
        }
        assert_eq!(runs, 2);
        batch.reset();
        assert!(batch.replies.capacity() <= KEPT_BYTES_MAX);
    }

    #[test]
    fn a_refusal_answers_writes_only_and_changes_nothing() {
        let mut store = Store::new(Place { index: 0, of: 1 }, 100);
        let (mut batch, mut log) = (Batch::default(), Vec::new());
        batch.push(Op::Set, true, [&b"SET"[..], b"a", b"1"].into_iter());
        batch.push(Op::Get, false, [&b"GET"[..], b"a"].into_iter());
        batch.run(&mut store, 1, &mut log, Some("MISCONF no"));
        assert_eq!(batch.next_reply(), (&b"-MISCONF no\r\n"[..], true));
        assert_eq!(batch.next_reply(), (&b"$-1\r\n"[..], false));
        assert!(log.is_empty());
    }
}
