//! The queue of a mailbox that was asked for more than a queue: a second lane for urgent messages,
//! replacing by key, dropping the oldest exactly, telling when it runs full.
//!
//! ```text
//!   urgent  ─▶ [ u1 u2 ]        ─┐   at most RUN_MAX urgent ones in a row
//!                                ├─▶ receiver (no batch: one message at a time, under the lock)
//!   normal  ─▶ [ n1 n2 n3 .. ]  ─┘   while a normal one waits
//!                   ▲
//!              keys: k ──▶ number of the queued message with that key
//! ```
//!
//! - It lives in a box that only such a mailbox has, behind the mailbox's own lock, flags and wake
//!   protocol (`mod.rs`); the flag `SPECIAL` says so, for the others at the cost of no load.
//! - Each lane has the mailbox's capacity, its own queue and its own waiting senders. Order is kept
//!   within a lane.
//! - Nothing here runs user code: keys and lanes are decided before the lock is taken ([`Post`]), and
//!   what is displaced goes out to be dropped after it; a crossing of the high-water mark is told by
//!   a waker of its own kind, after it too.
//! - A sender that waits has a ticket in its waiter, under which its `Post` is kept here: a message
//!   that is let in later still knows its lane, key and batch.
//!
//! Rejected: keys found by a walk of the queue (O(queue) under the lock, and a key in every message);
//! a heap of priorities (an order that nobody can predict; two lanes are what systems use).

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::task::{Wake, Waker};

use super::super::waiters::{WaitList, WaitState, WakeList};

/// How many urgent messages are received in a row while a normal one waits.
pub(crate) const RUN_MAX: u32 = 16;

/// How a message is to be queued.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Post {
    /// In the urgent lane.
    pub(crate) urgent: bool,
    /// Replaces a queued message of its lane with this key.
    pub(crate) key: Option<u64>,
    /// Which messages it may be handled together with; 0 for none.
    pub(crate) batch: u32,
}

/// A message that was queued and had to leave for another one.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Displaced<M> {
    /// It was the oldest, and there was no room.
    Oldest(M),
    /// Another one with its key took its place.
    Replaced(M),
}

/// The length passed a mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Crossing {
    /// Upwards through the high one; else down to the low one.
    pub(crate) is_high: bool,
    /// Messages queued right after.
    pub(crate) len: usize,
    /// Counts crossings from 1, to put two that are told by two threads in order.
    pub(crate) number: u64,
}

/// Whom a crossing is told, by whoever caused it.
pub(crate) type Watch = Arc<dyn Fn(Crossing) + Send + Sync>;

/// When a mailbox counts as high, and when as low again.
pub(crate) struct Water {
    high: usize,
    low: usize,
    is_high: bool,
    number: u64,
    watch: Watch,
}

impl Water {
    /// High from `high` messages on, until there are at most `low`.
    pub(crate) fn new(high: usize, low: usize, watch: Watch) -> Self {
        Self {
            high,
            low,
            is_high: false,
            number: 0,
            watch,
        }
    }

    fn look(&mut self, len: usize, wakers: &mut WakeList) {
        let crossed = if self.is_high {
            len <= self.low
        } else {
            len >= self.high
        };
        if crossed {
            self.is_high = !self.is_high;
            self.number += 1;
            let crossing = Crossing {
                is_high: self.is_high,
                len,
                number: self.number,
            };
            let watch = Arc::clone(&self.watch);
            wakers.push(Waker::from(Arc::new(Telling { watch, crossing })));
        }
    }
}

/// A crossing to be told, dressed as a waker: so that it goes into the [`WakeList`] and is told after
/// the lock, like every wake.
struct Telling {
    watch: Watch,
    crossing: Crossing,
}

impl Wake for Telling {
    fn wake(self: Arc<Self>) {
        (self.watch)(self.crossing);
    }
}

struct Lane<M> {
    queue: VecDeque<(Post, M)>,
    /// The number of the first queued message; numbers count up for ever.
    first: u64,
    /// The number of the last queued message of each key.
    keys: HashMap<u64, u64>,
    senders: WaitList<M>,
}

impl<M> Lane<M> {
    fn new() -> Self {
        Self {
            queue: VecDeque::new(),
            first: 0,
            keys: HashMap::new(),
            senders: WaitList::new(),
        }
    }

    fn has_more(&self) -> bool {
        !self.queue.is_empty() || !self.senders.is_empty()
    }

    fn push(&mut self, post: Post, message: M) {
        if let Some(key) = post.key {
            self.keys.insert(key, self.first + self.queue.len() as u64);
        }
        self.queue.push_back((post, message));
    }

    fn pop(&mut self) -> Option<M> {
        let (post, message) = self.queue.pop_front()?;
        if let Some(key) = post.key
            && self.keys.get(&key) == Some(&self.first)
        {
            self.keys.remove(&key);
        }
        self.first += 1;
        Some(message)
    }

    /// Puts `message` in the place of the queued one with its key; gives it back if there is none.
    fn replace(&mut self, post: Post, message: M) -> Result<M, M> {
        let number = post.key.and_then(|key| self.keys.get(&key));
        let Some(&number) = number else {
            return Err(message);
        };
        let place = &mut self.queue[(number - self.first) as usize];
        Ok(std::mem::replace(place, (post, message)).1)
    }

    /// Takes the message of the sender that has waited longest.
    fn admit_first(
        &mut self,
        posts: &mut HashMap<u32, Post>,
        wakers: &mut WakeList,
    ) -> Option<(Post, M)> {
        let ticket = self.senders.first_tag();
        let (message, waker) = self.senders.finish_first(WaitState::Done, Option::take)?;
        wakers.push(waker);
        let post = posts.remove(&ticket).unwrap_or_default();
        message.map(|message| (post, message))
    }
}

/// See the file's comment.
pub(super) struct Lanes<M> {
    /// Of each lane.
    capacity: usize,
    normal: Lane<M>,
    urgent: Lane<M>,
    /// Of senders that wait, or may have to, by ticket.
    posts: HashMap<u32, Post>,
    last_ticket: u32,
    /// Urgent messages received in a row while normal ones waited.
    run: u32,
    water: Option<Water>,
}

impl<M> Lanes<M> {
    pub(super) fn new(capacity: u32, water: Option<Water>) -> Box<Self> {
        Box::new(Self {
            capacity: capacity as usize,
            normal: Lane::new(),
            urgent: Lane::new(),
            posts: HashMap::new(),
            last_ticket: 0,
            run: 0,
            water,
        })
    }

    pub(super) fn capacity(&self) -> u32 {
        self.capacity as u32
    }

    pub(super) fn len(&self) -> usize {
        self.normal.queue.len() + self.urgent.queue.len()
    }

    pub(super) fn has_more(&self) -> bool {
        self.normal.has_more() || self.urgent.has_more()
    }

    fn lane(&mut self, urgent: bool) -> &mut Lane<M> {
        if urgent {
            &mut self.urgent
        } else {
            &mut self.normal
        }
    }

    fn look_at_the_water(&mut self, wakers: &mut WakeList) {
        let len = self.len();
        if let Some(water) = &mut self.water {
            water.look(len, wakers);
        }
    }

    /// Queues a message, in the place of another one with its key if there is one. Without room the
    /// oldest of its lane has to go if `drop_oldest`; else the message comes back. `is_awaited`: the
    /// receiver sleeps, so that a rendezvous takes one message.
    pub(super) fn push(
        &mut self,
        post: Post,
        message: M,
        is_awaited: bool,
        drop_oldest: bool,
        wakers: &mut WakeList,
    ) -> Result<Option<Displaced<M>>, M> {
        match self.lane(post.urgent).replace(post, message) {
            Ok(replaced) => Ok(Some(Displaced::Replaced(replaced))),
            Err(message) => self.append(post, message, is_awaited, drop_oldest, wakers),
        }
    }

    /// As [`push`](Self::push), always at the end.
    pub(super) fn append(
        &mut self,
        post: Post,
        message: M,
        is_awaited: bool,
        drop_oldest: bool,
        wakers: &mut WakeList,
    ) -> Result<Option<Displaced<M>>, M> {
        let capacity = self.capacity;
        let lane = self.lane(post.urgent);
        let mut displaced = None;
        let room = lane.queue.len() < capacity || (capacity == 0 && is_awaited);
        if !room {
            let oldest = if drop_oldest { lane.pop() } else { None };
            let Some(oldest) = oldest else {
                return Err(message);
            };
            displaced = Some(Displaced::Oldest(oldest));
        }
        lane.push(post, message);
        self.look_at_the_water(wakers);
        Ok(displaced)
    }

    /// Whether the next message is an urgent one.
    fn next_is_urgent(&self) -> bool {
        self.urgent.has_more() && !(self.run >= RUN_MAX && self.normal.has_more())
    }

    /// The next message; lets senders that wait for its lane in.
    pub(super) fn take(&mut self, wakers: &mut WakeList) -> Option<M> {
        let urgent = self.next_is_urgent();
        self.run = if urgent && self.normal.has_more() {
            self.run + 1
        } else {
            0
        };
        let capacity = self.capacity;
        let (lane, posts) = if urgent {
            (&mut self.urgent, &mut self.posts)
        } else {
            (&mut self.normal, &mut self.posts)
        };
        let message = lane
            .pop()
            .or_else(|| Some(lane.admit_first(posts, wakers)?.1));
        while lane.queue.len() < capacity {
            let Some((post, message)) = lane.admit_first(posts, wakers) else {
                break;
            };
            lane.push(post, message);
        }
        self.look_at_the_water(wakers);
        message
    }

    /// The next message, if it is queued and may be handled together with those of `batch`.
    pub(super) fn take_of(&mut self, batch: u32, wakers: &mut WakeList) -> Option<M> {
        let urgent = self.next_is_urgent();
        let (post, _) = self.lane(urgent).queue.front()?;
        if post.batch != batch {
            return None;
        }
        self.take(wakers)
    }

    /// Keeps `post` for a message that may have to wait; never 0.
    pub(super) fn ticket(&mut self, post: Post) -> u32 {
        loop {
            self.last_ticket = self.last_ticket.wrapping_add(1);
            if self.last_ticket != 0 && !self.posts.contains_key(&self.last_ticket) {
                self.posts.insert(self.last_ticket, post);
                return self.last_ticket;
            }
        }
    }

    pub(super) fn post_of(&self, ticket: u32) -> Post {
        self.posts.get(&ticket).copied().unwrap_or_default()
    }

    pub(super) fn forget(&mut self, ticket: u32) {
        self.posts.remove(&ticket);
    }

    /// Where the sender with this ticket waits.
    pub(super) fn senders(&mut self, ticket: u32) -> &mut WaitList<M> {
        let urgent = self.post_of(ticket).urgent;
        &mut self.lane(urgent).senders
    }

    /// Gives all waiting senders their message back.
    pub(super) fn close(&mut self, wakers: &mut WakeList) {
        for lane in [&mut self.urgent, &mut self.normal] {
            while let Some(((), waker)) =
                lane.senders.finish_first(WaitState::Closed, |_message| ())
            {
                wakers.push(waker);
            }
        }
    }

    #[cfg(all(test, not(actor_loom)))]
    pub(super) fn tickets(&self) -> usize {
        self.posts.len()
    }

    /// Gives the memory of empty queues back.
    pub(super) fn shrink(&mut self) {
        for lane in [&mut self.urgent, &mut self.normal] {
            lane.queue.shrink_to_fit();
            lane.keys.shrink_to_fit();
        }
    }
}

impl<M> fmt::Debug for Lanes<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lanes")
            .field("normal", &self.normal.queue.len())
            .field("urgent", &self.urgent.queue.len())
            .finish_non_exhaustive()
    }
}
