//! What a connection does with the requests of one read: who gets which, and in what order the
//! replies go back.
//!
//! ```text
//!  GET a   PING   MGET a b          slots:  shard 0 | local | join [0, 1]
//!    │       │      │   │           lanes:  0: GET a, GET a    1: GET b
//! ```
//!
//! - Each request becomes a slot; a lane is a shard's batch. A shard replies in the order of its
//!   lane, so a slot needs no number: it takes the next reply of its lanes.
//! - All lanes run at the same time; per key (that is, per lane) the order is the client's.
//! - Replies are written when all lanes are back and all tickets are settled.

use super::aof::{Ack, Ticket};
use super::batch::Batch;
use super::command::{Join, Route, Spec};
use super::config::Fsync;
use super::log::KeyHash;
use super::resp::{Args, parse_i64, reply};
use super::services::Services;
use super::store::parse_cursor;
use actor_core::actor::CallError;
use actor_core::chan::{Receiver, Sender, buffered};
use actor_core::sync::Pooled;
use futures_util::future::join_all;
use std::future::Future;
use std::io;
use std::ops::Range;

/// Where replies go.
pub(crate) trait Outlet {
    /// Sends all of `out` and empties it.
    fn send(&mut self, out: &mut Vec<u8>) -> impl Future<Output = io::Result<()>> + Send;
}

/// How a reply is made.
#[derive(Debug)]
enum Slot {
    /// Bytes of `Plan::local`.
    Local(Range<usize>),
    /// The next reply of this lane.
    Shard(usize),
    Join(Join, Vec<usize>),
}

/// A shard's part.
#[derive(Debug, Default)]
struct Lane {
    batch: Option<Pooled<Box<Batch>>>,
    /// Every reply that is left in this lane, when its shard could not run the batch.
    failure: Option<String>,
    /// The reply to what was done but could not be logged.
    unlogged: Option<Unlogged>,
}

#[derive(Debug)]
struct Unlogged {
    text: String,
    /// Whether it is the reply to reads, too: they may have seen what could not be logged.
    for_reads: bool,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Plan {
    slots: Vec<Slot>,
    /// Replies that the connection knows itself.
    local: Vec<u8>,
    lanes: Vec<Lane>,
    acks: Option<(Sender<Ack>, Receiver<Ack>)>,
}

impl Plan {
    pub(crate) fn new(shards: usize) -> Self {
        let lanes = (0..shards).map(|_| Lane::default()).collect();
        Self {
            slots: Vec::new(),
            local: Vec::new(),
            lanes,
            acks: None,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Whether it is time to run what is planned.
    pub(crate) fn is_full(&self) -> bool {
        self.slots.len() >= 1024
    }

    /// Plans a reply that `write` gives now.
    pub(crate) fn local(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.local.len();
        write(&mut self.local);
        self.slots.push(Slot::Local(start..self.local.len()));
    }

    /// Plans a request for the shards.
    pub(crate) fn request(&mut self, spec: &Spec, args: Args<'_>, services: &Services) {
        let of = self.lanes.len();
        let shard_of = |key: &[u8]| KeyHash::of(key).shard(of);
        let slot = match spec.route {
            Route::Local(_) => return,
            Route::Key(op) => {
                let shard = shard_of(args.at(1));
                self.batch(shard, services).push_all(op, spec.writes, args);
                Slot::Shard(shard)
            }
            Route::EachKey { op, step, join } => {
                let mut shards = Vec::with_capacity((args.len() - 1) / step);
                for first in (1..args.len()).step_by(step) {
                    let shard = shard_of(args.at(first));
                    let words = args.from(0).take(1).chain(args.from(first).take(step));
                    self.batch(shard, services).push(op, spec.writes, words);
                    shards.push(shard);
                }
                Slot::Join(join, shards)
            }
            Route::Everyone(op, join) => {
                for shard in 0..of {
                    self.batch(shard, services).push_all(op, spec.writes, args);
                }
                Slot::Join(join, (0..of).collect())
            }
            Route::Cursor(op) => {
                // A cursor that is no number fails in whichever shard.
                let shard = parse_cursor(args.at(1)).unwrap_or(0) % of;
                self.batch(shard, services).push_all(op, spec.writes, args);
                Slot::Shard(shard)
            }
        };
        self.slots.push(slot);
    }

    fn batch(&mut self, shard: usize, services: &Services) -> &mut Batch {
        let batch = &mut self.lanes[shard].batch;
        batch.get_or_insert_with(|| services.batches.get())
    }

    /// Runs all lanes, then makes the replies in order, in `out`; what would become too large is
    /// sent off before.
    pub(crate) async fn run(
        &mut self,
        services: &Services,
        out: &mut Vec<u8>,
        outlet: &mut impl Outlet,
    ) -> io::Result<()> {
        services.counters.add_commands(self.slots.len());
        self.run_lanes(services, None).await;
        let slots = std::mem::take(&mut self.slots);
        for slot in &slots {
            let shards = match slot {
                Slot::Local(range) => {
                    out.extend_from_slice(&self.local[range.clone()]);
                    continue;
                }
                Slot::Shard(shard) => {
                    if let Some(reply) = self.lanes[*shard].reply_in_order() {
                        out.extend_from_slice(reply);
                        continue;
                    }
                    std::slice::from_ref(shard)
                }
                Slot::Join(_, shards) => shards,
            };
            let mut joined = Joined::new(slot, shards.len(), out);
            for &shard in shards {
                if !self.lanes[shard].is_ready() {
                    outlet.send(out).await?;
                    self.run_lanes(services, Some(shard)).await;
                }
                self.lanes[shard].take_reply(|bytes| joined.add(bytes, out));
            }
            joined.finish(out);
        }
        self.slots = slots;
        self.clear();
        Ok(())
    }

    fn clear(&mut self) {
        self.slots.clear();
        self.slots.shrink_to(64);
        self.local.clear();
        self.local.shrink_to(1024);
        self.lanes
            .iter_mut()
            .for_each(|lane| *lane = Lane::default());
    }

    /// Sends the batches to their shards, all of them or one, and waits for the replies and until
    /// the writes are logged; with `--fsync always` also those that were read.
    async fn run_lanes(&mut self, services: &Services, only: Option<usize>) {
        let strict = services.config.fsync == Fsync::Always;
        let (mut tickets, acks) = (0, &mut self.acks);
        let lanes = self.lanes.iter_mut().enumerate();
        let mut asks = lanes.filter_map(|(shard, lane)| {
            if only.is_some_and(|only| only != shard) {
                return None;
            }
            let mut batch = lane.batch.take()?;
            if strict || batch.writes() {
                let (acks, _) = acks.get_or_insert_with(|| buffered(services.shards.len()));
                batch.ticket = Some(Ticket::new(shard, acks.clone()));
                tickets += 1;
            }
            Some((shard, services.shards[shard].run(batch)))
        });
        let Some((shard, ask)) = asks.next() else {
            return;
        };
        if let Some(second) = asks.next() {
            let asks = [(shard, ask), second].into_iter().chain(asks);
            let asks = asks.map(|(shard, ask)| async move { (shard, ask.await) });
            for (shard, result) in join_all(asks).await {
                tickets -= self.lanes[shard].returned(shard, result);
            }
        } else {
            drop(asks);
            tickets -= self.lanes[shard].returned(shard, ask.await);
        }
        let Some((_, acks)) = &self.acks else { return };
        for _ in 0..tickets {
            // Each ticket is settled, by its drop if need be, and we hold a sender ourselves.
            let Some(ack) = acks.recv().await else { return };
            if let Err(why) = ack.result {
                let text = format!("MISCONF Errors writing to the AOF file: {why}");
                self.lanes[ack.shard].unlogged = Some(Unlogged {
                    text,
                    for_reads: strict,
                });
            }
        }
    }
}

impl Lane {
    /// Takes what a shard answered; how many tickets came back with it.
    fn returned(&mut self, shard: usize, result: Result<Pooled<Box<Batch>>, CallError>) -> usize {
        match result {
            Ok(mut batch) => {
                let ticket = batch.ticket.take();
                self.batch = Some(batch);
                return ticket.map_or(0, |ticket| {
                    ticket.cancel();
                    1
                });
            }
            Err(error) => {
                let text = match error {
                    CallError::Panicked => format!(
                        "ERR shard {shard} crashed while it ran this; it restarts from the log"
                    ),
                    other => format!("ERR shard {shard}: {other}"),
                };
                self.failure = Some(text);
            }
        }
        0
    }

    /// Whether the next reply is there.
    fn is_ready(&self) -> bool {
        self.failure.is_some() || self.batch.as_ref().is_some_and(|batch| batch.has_reply())
    }

    /// The next reply, if it is there and nothing went wrong.
    fn reply_in_order(&mut self) -> Option<&[u8]> {
        if self.unlogged.is_some() {
            return None;
        }
        let batch = self.batch.as_mut().filter(|batch| batch.has_reply())?;
        Some(batch.next_reply().0)
    }

    fn take_reply(&mut self, mut give: impl FnMut(&[u8])) {
        let mut error = |text: &str| {
            let mut bytes = Vec::new();
            reply::error(&mut bytes, text);
            give(&bytes);
        };
        match (&self.failure, &mut self.batch) {
            (Some(text), _) => error(text),
            (None, Some(batch)) => match (batch.next_reply(), &self.unlogged) {
                ((_, writes), Some(unlogged)) if writes || unlogged.for_reads => {
                    error(&unlogged.text);
                }
                ((bytes, _), _) => give(bytes),
            },
            (None, None) => error("ERR no reply"),
        }
    }
}

/// Several replies on their way to become one.
#[derive(Debug)]
enum Joined {
    /// Goes out as it is.
    Plain,
    Sum {
        total: i64,
        error: Option<Vec<u8>>,
    },
    Same {
        reply: Option<Vec<u8>>,
    },
    Concat {
        count: i64,
        bodies: Vec<u8>,
        error: Option<Vec<u8>>,
    },
}

impl Joined {
    fn new(slot: &Slot, parts: usize, out: &mut Vec<u8>) -> Self {
        match slot {
            Slot::Join(Join::Sum, _) => Self::Sum {
                total: 0,
                error: None,
            },
            Slot::Join(Join::Same, _) => Self::Same { reply: None },
            Slot::Join(Join::Concat, _) => Self::Concat {
                count: 0,
                bodies: Vec::new(),
                error: None,
            },
            Slot::Join(Join::Elements, _) => {
                reply::array(out, parts);
                Self::Plain
            }
            Slot::Shard(_) | Slot::Local(_) => Self::Plain,
        }
    }

    fn add(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let failed = || bytes.starts_with(b"-").then(|| bytes.to_vec());
        match self {
            Self::Plain => out.extend_from_slice(bytes),
            Self::Sum { total, error } => {
                *total += header(bytes).0;
                *error = error.take().or_else(failed);
            }
            Self::Same { reply } => {
                if reply.is_none() || bytes.starts_with(b"-") {
                    *reply = Some(bytes.to_vec());
                }
            }
            Self::Concat {
                count,
                bodies,
                error,
            } => {
                let (len, at) = header(bytes);
                *count += len;
                bodies.extend_from_slice(&bytes[at..]);
                *error = error.take().or_else(failed);
            }
        }
    }

    fn finish(self, out: &mut Vec<u8>) {
        match self {
            Self::Plain => {}
            Self::Sum {
                error: Some(error), ..
            }
            | Self::Concat {
                error: Some(error), ..
            } => {
                out.extend_from_slice(&error);
            }
            Self::Sum { total, .. } => reply::int(out, total),
            Self::Same { reply } => out.extend_from_slice(&reply.unwrap_or_default()),
            Self::Concat { count, bodies, .. } => {
                reply::array(out, usize::try_from(count).unwrap_or(0));
                out.extend_from_slice(&bodies);
            }
        }
    }
}

/// The number in a reply's first line, and where that line ends.
fn header(bytes: &[u8]) -> (i64, usize) {
    let end = memchr::memchr(b'\n', bytes).map_or(bytes.len(), |at| at + 1);
    let number = bytes.get(1..end.saturating_sub(2)).and_then(parse_i64);
    (number.unwrap_or(0), end)
}
