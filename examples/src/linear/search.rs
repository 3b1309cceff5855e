//! The search for an order, for one key.
//!
//! A node of it is a set of operations that have taken effect, and the state in which they have left the
//! register: in which order they did is forgotten.
//!
//! 1. The next to take effect may be any operation that is not in the set and was called before all
//!    replies that are not in the set. If the state allows it, and its reply, that is another node.
//! 2. A node is not visited again; nor is one with the same answered operations and the same state, and
//!    with more unanswered ones: whatever can follow it can follow the other.
//! 3. The node with the most answered operations is next, and of those the one with the fewest
//!    unanswered. When all are answered, the order is found: what is left may never happen. When no
//!    node is left, there is none.
//!
//! Wing and Gong, and Lowe, walk the same nodes depth first, and know no unanswered operations. Each of
//! those may come anywhere, and after a crash there is one per client: it is the second half of rule 2
//! that keeps them from doubling the work, and the order of rule 3 that lets it. Two more rules help:
//!
//! - If an answer says that nothing was changed, and the operation may be next, it is, without an
//!   alternative: whatever order exists still exists with it moved to here.
//! - Of unanswered operations that do the same, the one that was called first is taken first.

use std::cmp::{Ordering, Reverse};
use std::collections::{BinaryHeap, HashMap};

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
    fn step(&self, state: State) -> Option<State> {
        state.step(self.op, self.reply.map(|(_, reply)| reply))
    }

    /// Whether the register was the same before and after it, whatever it held.
    fn changed_nothing(&self) -> bool {
        let reply = self.reply.map(|(_, reply)| reply);
        reply == Some(Reply::Done(false)) || (self.op.is_read() && reply.is_some())
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Set(Box<[u64]>);

impl Set {
    fn new(room: usize) -> Self {
        Self(vec![0; room.div_ceil(64)].into())
    }

    fn has(&self, i: usize) -> bool {
        self.0[i / 64] & (1 << (i % 64)) != 0
    }

    fn with(&self, i: usize) -> Self {
        let mut set = self.clone();
        set.0[i / 64] |= 1 << (i % 64);
        set
    }

    fn is_subset_of(&self, other: &Self) -> bool {
        self.0
            .iter()
            .zip(&other.0)
            .all(|(mine, others)| mine & !others == 0)
    }
}

struct Node {
    answered: Set,
    answered_len: usize,
    /// Answered operations before this one are all in the set.
    first: usize,
    unanswered: Set,
    unanswered_len: usize,
    state: State,
}

impl Node {
    fn rank(&self) -> (usize, Reverse<usize>) {
        (self.answered_len, Reverse(self.unanswered_len))
    }
}

impl Ord for Node {
    fn cmp(&self, other: &Self) -> Ordering {
        self.rank().cmp(&other.rank())
    }
}

impl PartialOrd for Node {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        self.rank() == other.rank()
    }
}

impl Eq for Node {}

struct Search {
    /// Both by time of their calls.
    answered: Vec<Span>,
    unanswered: Vec<Span>,
    /// Per unanswered operation, the one before that does the same.
    twins: Vec<Option<usize>>,
    open: BinaryHeap<Node>,
    /// Per answered set and state, the unanswered sets that it was met with.
    seen: HashMap<(Set, State), Vec<Set>>,
}

impl Search {
    fn new(spans: &[Span], start: State) -> Self {
        let mut spans = spans.to_vec();
        spans.sort_by_key(|span| span.call);
        let (answered, unanswered): (Vec<Span>, Vec<Span>) =
            spans.into_iter().partition(|span| span.reply.is_some());
        let twin = |i: usize| (0..i).rev().find(|&j| unanswered[j].op == unanswered[i].op);
        let node = Node {
            answered: Set::new(answered.len()),
            answered_len: 0,
            first: 0,
            unanswered: Set::new(unanswered.len()),
            unanswered_len: 0,
            state: start,
        };
        Self {
            twins: (0..unanswered.len()).map(twin).collect(),
            answered,
            unanswered,
            open: BinaryHeap::from([node]),
            seen: HashMap::new(),
        }
    }

    /// Opens the nodes that follow this one.
    fn expand(&mut self, node: &Node) {
        let mut end = u64::MAX;
        let mut next = Vec::new();
        for (i, span) in self.answered.iter().enumerate().skip(node.first) {
            if span.call > end {
                break;
            }
            if !node.answered.has(i) {
                end = end.min(span.reply.map_or(end, |(time, _)| time));
                next.push(i);
            }
        }
        // Those that were looked at before the first reply was known.
        next.retain(|&i| self.answered[i].call <= end);
        let fits = |&i: &usize| Some((i, self.answered[i].step(node.state)?));
        let mut next: Vec<(usize, State)> = next.iter().filter_map(fits).collect();
        let forced = next
            .iter()
            .find(|(i, after)| self.answered[*i].changed_nothing() && *after == node.state);
        if let Some(&forced) = forced {
            next = vec![forced];
        } else {
            self.expand_unanswered(node, end);
        }
        for (i, state) in next {
            let answered = node.answered.with(i);
            let taken = (node.first..self.answered.len()).take_while(|&i| answered.has(i));
            self.visit(Node {
                first: node.first + taken.count(),
                answered,
                answered_len: node.answered_len + 1,
                unanswered: node.unanswered.clone(),
                unanswered_len: node.unanswered_len,
                state,
            });
        }
    }

    fn expand_unanswered(&mut self, node: &Node, end: u64) {
        for i in 0..self.unanswered.len() {
            if self.unanswered[i].call > end {
                break;
            }
            let twin_is_left = self.twins[i].is_some_and(|twin| !node.unanswered.has(twin));
            if node.unanswered.has(i) || twin_is_left {
                continue;
            }
            if let Some(state) = self.unanswered[i].step(node.state) {
                self.visit(Node {
                    first: node.first,
                    answered: node.answered.clone(),
                    answered_len: node.answered_len,
                    unanswered: node.unanswered.with(i),
                    unanswered_len: node.unanswered_len + 1,
                    state,
                });
            }
        }
    }

    /// Opens a node, unless it can do no more than one that was open before.
    fn visit(&mut self, node: Node) {
        let met = self
            .seen
            .entry((node.answered.clone(), node.state))
            .or_default();
        if met.iter().any(|set| set.is_subset_of(&node.unanswered)) {
            return;
        }
        met.push(node.unanswered.clone());
        self.open.push(node);
    }
}

/// Whether some order of the operations, on a register that is in state `start`, explains every reply.
pub(super) fn is_explainable(spans: &[Span], start: State) -> bool {
    let mut search = Search::new(spans, start);
    while let Some(node) = search.open.pop() {
        if node.answered_len == search.answered.len() {
            return true;
        }
        search.expand(&node);
    }
    false
}
