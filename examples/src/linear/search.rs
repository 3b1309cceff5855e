//! The search for an order, for one key.
//!
//! Calls and replies lie in a list, by time. An operation may be the next to take effect if its call
//! lies before every reply in the list; taking it removes its call and its reply. So:
//!
//! 1. The candidates are the calls before the first reply. Take one that the state allows, unless the
//!    same set of operations, taken in another order, has led to the same state before.
//! 2. When no candidate is left, put the last one taken back, and take its next candidate. If none was
//!    taken, there is no order.
//! 3. When no reply is left, the order is found: what is left has no reply, and may never happen.
//!
//! Two rules keep operations without a reply (each may come anywhere) from doubling the work:
//!
//! - One whose answer says that it changed nothing, and that fits here, needs no alternative: whatever
//!   order exists still exists with that operation moved to here.
//! - An unanswered one is not taken for nothing: right before one that overwrites whatever is there,
//!   it might as well never happen.
//!
//! Removing from a list and putting back is what makes a step cheap: an entry keeps its neighbours
//! while it is out (Knuth's dancing links), and comes back in reverse order.

use std::collections::HashSet;

use super::register::{Op, Reply, State};

/// An operation as the search sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) op: Op,
    pub(super) call: u64,
    /// The reply and when it came.
    pub(super) reply: Option<(u64, Reply)>,
}

impl Span {
    /// Whether the register was the same before and after it, whatever it held.
    fn changed_nothing(&self) -> bool {
        let reply = self.reply.map(|(_, reply)| reply);
        reply == Some(Reply::Done(false)) || (self.op.is_read() && reply.is_some())
    }

    /// Whether it does the same in every state.
    fn overwrites(&self) -> bool {
        match self.op {
            Op::Set(_) => true,
            Op::Swap(_) | Op::Del => self.reply.is_none(),
            _ => false,
        }
    }
}

#[derive(Clone, Copy)]
enum Event {
    Call(usize),
    Reply,
}

/// The list. Entry 0 is its head.
struct List {
    events: Vec<Option<Event>>,
    next: Vec<usize>,
    previous: Vec<usize>,
    /// Per operation.
    calls: Vec<usize>,
    replies: Vec<Option<usize>>,
}

impl List {
    fn new(spans: &[Span]) -> Self {
        // At the same time a call comes first: the two overlap.
        let mut times: Vec<(u64, bool, usize)> = Vec::with_capacity(2 * spans.len());
        for (i, span) in spans.iter().enumerate() {
            times.push((span.call, false, i));
            times.extend(span.reply.map(|(time, _)| (time, true, i)));
        }
        times.sort_unstable();
        let len = times.len() + 1;
        let mut list = Self {
            events: vec![None],
            next: (1..=len).map(|i| i % len).collect(),
            previous: (0..len).map(|i| (i + len - 1) % len).collect(),
            calls: vec![0; spans.len()],
            replies: vec![None; spans.len()],
        };
        for (_, is_reply, i) in times {
            let at = list.events.len();
            if is_reply {
                list.replies[i] = Some(at);
                list.events.push(Some(Event::Reply));
            } else {
                list.calls[i] = at;
                list.events.push(Some(Event::Call(i)));
            }
        }
        list
    }

    fn unlink(&mut self, at: usize) {
        let (previous, next) = (self.previous[at], self.next[at]);
        self.next[previous] = next;
        self.previous[next] = previous;
    }

    fn relink(&mut self, at: usize) {
        let (previous, next) = (self.previous[at], self.next[at]);
        self.next[previous] = at;
        self.previous[next] = at;
    }

    /// Removes an operation; how many replies that were.
    fn take(&mut self, operation: usize) -> usize {
        self.unlink(self.calls[operation]);
        self.replies[operation].map_or(0, |at| {
            self.unlink(at);
            1
        })
    }

    fn put_back(&mut self, operation: usize) -> usize {
        let replies = self.replies[operation].map_or(0, |at| {
            self.relink(at);
            1
        });
        self.relink(self.calls[operation]);
        replies
    }
}

/// One operation that was taken, and what else might be.
struct Frame {
    candidates: std::vec::IntoIter<usize>,
    /// Before any of them.
    state: State,
    taken: Option<usize>,
}

struct Search<'a> {
    spans: &'a [Span],
    list: List,
    state: State,
    /// The operations taken, a bit each.
    set: Vec<u64>,
    /// Replies in the list.
    unexplained: usize,
    seen: HashSet<(Box<[u64]>, State, bool)>,
}

impl Search<'_> {
    fn after(&self, i: usize) -> Option<State> {
        let span = &self.spans[i];
        self.state.step(span.op, span.reply.map(|(_, reply)| reply))
    }

    /// What may be taken now, after an operation without a reply or another one.
    fn frame(&self, after_open: bool) -> Frame {
        let mut candidates = Vec::new();
        let mut at = self.list.next[0];
        while let Some(Event::Call(i)) = self.list.events[at] {
            at = self.list.next[at];
            let span = &self.spans[i];
            let Some(after) = self.after(i) else { continue };
            let changes = after != self.state;
            if span.changed_nothing() && !changes {
                candidates = vec![i];
                break;
            }
            let in_vain = span.reply.is_none() && !changes;
            if !in_vain && !(after_open && span.overwrites()) {
                candidates.push(i);
            }
        }
        Frame {
            candidates: candidates.into_iter(),
            state: self.state,
            taken: None,
        }
    }

    fn flip(&mut self, i: usize) {
        self.set[i / 64] ^= 1 << (i % 64);
    }

    /// Takes the frame's next candidate; false when there is none.
    fn advance(&mut self, frame: &mut Frame) -> bool {
        if let Some(i) = frame.taken.take() {
            self.flip(i);
            self.unexplained += self.list.put_back(i);
            self.state = frame.state;
        }
        for i in frame.candidates.by_ref() {
            let Some(after) = self.after(i) else { continue };
            let open = self.spans[i].reply.is_none();
            self.flip(i);
            if self.seen.insert((self.set.as_slice().into(), after, open)) {
                self.unexplained -= self.list.take(i);
                self.state = after;
                frame.taken = Some(i);
                return true;
            }
            self.flip(i);
        }
        false
    }
}

/// Whether some order of the operations, on a register that is in state `start`, explains every reply.
pub(super) fn is_explainable(spans: &[Span], start: State) -> bool {
    let mut search = Search {
        spans,
        list: List::new(spans),
        state: start,
        set: vec![0; spans.len().div_ceil(64)],
        unexplained: spans.iter().filter(|span| span.reply.is_some()).count(),
        seen: HashSet::new(),
    };
    let mut frames = vec![search.frame(false)];
    while search.unexplained > 0 {
        let Some(frame) = frames.last_mut() else {
            return false;
        };
        if search.advance(frame) {
            let open = frame.taken.is_some_and(|i| spans[i].reply.is_none());
            frames.push(search.frame(open));
        } else {
            frames.pop();
        }
    }
    true
}
