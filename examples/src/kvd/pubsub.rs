//! The publish/subscribe actor: who listens to which channel.
//!
//! - A publisher never waits for a subscriber: a message goes into the subscriber's outbox, and its
//!   connection's bell rings. The connection takes all that is there and writes it at once.
//! - An outbox is bounded in bytes. A subscriber that does not keep up is dropped: its bell closes,
//!   and its connection hangs up.
//! - A crash of this actor drops all bells, so subscribers are hung up on and know that they must
//!   subscribe anew, instead of waiting for messages that will never come.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actor_core::chan::{Receiver, Sender, TrySendError, buffered};
use actor_core::prelude::*;

use super::resp::reply;

/// Most bytes that wait for one subscriber (Redis: the hard limit for pubsub clients).
pub(crate) const OUTBOX_BYTES_MAX: usize = 32 << 20;

type Channel = Box<[u8]>;

/// Messages on their way to one subscriber, encoded.
#[derive(Debug, Default)]
pub(crate) struct Outbox(Mutex<Vec<u8>>);

impl Outbox {
    /// Moves what is there to the end of `out`.
    pub(crate) fn drain_into(&self, out: &mut Vec<u8>) {
        let mut waiting = self.lock();
        if out.is_empty() {
            std::mem::swap(out, &mut waiting);
        } else {
            out.append(&mut waiting);
        }
    }

    /// False when there is no room.
    fn push(&self, message: &[u8]) -> bool {
        let mut waiting = self.lock();
        let fits = waiting.len() + message.len() <= OUTBOX_BYTES_MAX;
        if fits {
            waiting.extend_from_slice(message);
        }
        fits
    }

    fn lock(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A subscriber's end.
#[derive(Debug)]
pub(crate) struct Inbox {
    pub(crate) outbox: Arc<Outbox>,
    /// Rings when there are messages, closes when the subscription is lost.
    pub(crate) bell: Receiver<()>,
}

/// The actor's end.
#[derive(Debug)]
pub(crate) struct Member {
    outbox: Arc<Outbox>,
    bell: Sender<()>,
    channels: HashSet<Channel>,
}

/// Both ends for a new subscriber.
pub(crate) fn subscriber() -> (Member, Inbox) {
    let (bell, heard) = buffered(1);
    let outbox = Arc::new(Outbox::default());
    let member = Member {
        outbox: Arc::clone(&outbox),
        bell,
        channels: HashSet::new(),
    };
    (
        member,
        Inbox {
            outbox,
            bell: heard,
        },
    )
}

/// The actor's state.
#[derive(Debug, Default)]
pub(crate) struct PubSub {
    members: HashMap<u64, Member>,
    channels: HashMap<Channel, HashSet<u64>>,
}

#[actor(mailbox = buffered(1024), name = "pubsub", vis = pub(crate))]
impl PubSub {
    #[init]
    fn new() -> Self {
        Self::default()
    }

    /// Subscribes client `who` and gives, per channel, the number that it then has. `member` comes
    /// with the client's first subscription; `None` is returned when it has been dropped since.
    pub(crate) fn subscribe(
        &mut self,
        who: u64,
        channels: Vec<Vec<u8>>,
        member: Option<Member>,
    ) -> Option<Vec<usize>> {
        self.members.extend(member.map(|member| (who, member)));
        let member = self.members.get_mut(&who)?;
        let mut counts = Vec::with_capacity(channels.len());
        for channel in channels {
            let channel = channel.into_boxed_slice();
            member.channels.insert(channel.clone());
            self.channels.entry(channel).or_default().insert(who);
            counts.push(member.channels.len());
        }
        Some(counts)
    }

    /// Ends subscriptions, all when none is named, and gives those ended with what is left then.
    pub(crate) fn unsubscribe(
        &mut self,
        who: u64,
        channels: Vec<Vec<u8>>,
    ) -> Vec<(Vec<u8>, usize)> {
        let Some(member) = self.members.get_mut(&who) else {
            return channels.into_iter().map(|channel| (channel, 0)).collect();
        };
        let named = if channels.is_empty() {
            member
                .channels
                .iter()
                .map(|channel| channel.to_vec())
                .collect()
        } else {
            channels
        };
        let mut ended = Vec::with_capacity(named.len());
        for channel in named {
            member.channels.remove(&*channel);
            Self::forget(&mut self.channels, &channel, who);
            ended.push((channel, member.channels.len()));
        }
        ended
    }

    /// Sends to all subscribers and tells how many they are.
    pub(crate) fn publish(&mut self, channel: Vec<u8>, payload: Vec<u8>) -> usize {
        let Some(listeners) = self.channels.get(&*channel) else {
            return 0;
        };
        let mut message = Vec::with_capacity(payload.len() + channel.len() + 64);
        reply::bulks(&mut message, [&b"message"[..], &channel, &payload].iter());
        let (mut reached, mut lost) = (0, Vec::new());
        for &who in listeners {
            let Some(member) = self.members.get(&who) else {
                continue;
            };
            // A bell that is already ringing is enough.
            let rung = member.outbox.push(&message)
                && !matches!(member.bell.try_send(()), Err(TrySendError::Closed(())));
            if rung {
                reached += 1;
            } else {
                lost.push(who);
            }
        }
        lost.into_iter().for_each(|who| self.leave(who));
        reached
    }

    /// Forgets a client; its bell closes.
    pub(crate) fn leave(&mut self, who: u64) {
        let Some(member) = self.members.remove(&who) else {
            return;
        };
        for channel in member.channels {
            Self::forget(&mut self.channels, &channel, who);
        }
    }

    /// `DEBUG PANIC pubsub`.
    pub(crate) fn crash(&mut self) {
        panic!("asked to by DEBUG PANIC");
    }
}

impl PubSub {
    fn forget(channels: &mut HashMap<Channel, HashSet<u64>>, channel: &[u8], who: u64) {
        if let Some(listeners) = channels.get_mut(channel) {
            listeners.remove(&who);
            if listeners.is_empty() {
                channels.remove(channel);
            }
        }
    }
}
