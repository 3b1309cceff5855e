//! Every message has exactly one fate: handled, back with its sender, or a dead letter. Checked for
//! each of many, through panics, kills, stops, restarts and every overflow policy.
//!
//! A message carries a token, whose `Drop` tells what became of it unless its handler or its sender
//! has said so before. At the end no token is left without a fate, none had two (a second one panics),
//! and the library's dead letters are exactly those that the tokens count.
#![allow(
    missing_debug_implementations,
    missing_docs,
    private_interfaces,
    unreachable_pub
)]

use std::cell::Cell;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::SeqCst};
use std::task::{Context, Poll};
use std::time::Duration;

use actor_core::actor::{Batch, BatchItem, CallError, Overflow, TrySendError, dead_letters};
use actor_core::prelude::*;

const NONE: u8 = 0;
const HANDLED: u8 = 1;
/// Its sender has it back, dropped it unsent, or was refused.
const RETURNED: u8 = 2;
/// Dropped by somebody other than its sender.
const DEAD: u8 = 3;
/// Dropped while its sender was polled or dropped: the sender's result says what that was.
const DROPPED_BY_SENDER: u8 = 4;

pub struct Ledger(Vec<AtomicU8>);

impl Ledger {
    fn settle(&self, id: usize, fate: u8) {
        let before = self.0[id].swap(fate, SeqCst);
        assert_eq!(
            before, NONE,
            "message {id} has two fates: {before} and {fate}"
        );
    }

    fn count(&self, fate: u8) -> usize {
        self.0.iter().filter(|f| f.load(SeqCst) == fate).count()
    }
}

thread_local! {
    /// The message whose sender runs on this thread now.
    static SENDING: Cell<usize> = const { Cell::new(usize::MAX) };
}

pub struct Token {
    id: usize,
    ledger: Arc<Ledger>,
    settled: bool,
}

impl Token {
    fn handled(mut self) {
        self.settled = true;
        self.ledger.settle(self.id, HANDLED);
    }

    fn returned(mut self) {
        self.settled = true;
        self.ledger.settle(self.id, RETURNED);
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        if !self.settled {
            let by_sender = SENDING.get() == self.id;
            let fate = if by_sender { DROPPED_BY_SENDER } else { DEAD };
            self.ledger.settle(self.id, fate);
        }
    }
}

/// A sender's future: while it is polled or dropped, its message is said to be its own.
struct Sending<F> {
    id: usize,
    future: Option<Pin<Box<F>>>,
}

impl<F: Future> Future for Sending<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        SENDING.set(self.id);
        let polled = self.future.as_mut().unwrap().as_mut().poll(cx);
        if polled.is_ready() {
            self.future = None;
        }
        SENDING.set(usize::MAX);
        polled
    }
}

impl<F> Drop for Sending<F> {
    fn drop(&mut self) {
        SENDING.set(self.id);
        self.future = None;
        SENDING.set(usize::MAX);
    }
}

fn sending<F: IntoFuture>(id: usize, future: F) -> Sending<F::IntoFuture> {
    Sending {
        id,
        future: Some(Box::pin(future.into_future())),
    }
}

/// Small, fast, and the same numbers for the same seed.
pub struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

#[derive(Clone, Copy)]
pub enum Deed {
    Return,
    Yield,
    Panic,
}

const TOLD_TO: &str = "told to panic";

async fn perform(deed: Deed) {
    match deed {
        Deed::Return => {}
        Deed::Yield => yield_now().await,
        Deed::Panic => panic!("{TOLD_TO}"),
    }
}

/// What a sender's own result says about a message that was dropped while it was sent.
fn settle(ledger: &Ledger, id: usize, fate: u8) {
    if ledger.0[id].load(SeqCst) == DROPPED_BY_SENDER {
        ledger.0[id].store(fate, SeqCst);
    }
}

const POLICIES: [Overflow; 5] = [
    Overflow::Wait,
    Overflow::Fail,
    Overflow::DropNewest,
    Overflow::DropOldest,
    Overflow::Coalesce,
];

/// An actor with some options, how to send one message to it, and how to disturb it.
macro_rules! target {
    ($module:ident, $key:ident, [$($mark:tt)*], $($option:tt)*) => {
        // The test's own types are private to it.
        #[allow(private_interfaces)]
        mod $module {
            use super::*;

            pub struct Target;

            #[actor($($option)*)]
            impl Target {
                #[init]
                async fn new() -> Self {
                    yield_now().await;
                    Self
                }

                pub async fn plain(&mut self, token: Token, deed: Deed, key: u64) {
                    let _ = key;
                    token.handled();
                    perform(deed).await;
                }

                $($mark)*
                pub async fn marked(&mut self, token: Token, deed: Deed, $key: u64) {
                    let _ = $key;
                    token.handled();
                    perform(deed).await;
                }

                #[batch(max = 8)]
                pub async fn batched(&mut self, items: &mut Batch<(Token, Deed, u64)>) {
                    // All of a batch is in work from here on, whatever becomes of it.
                    let take = |item: BatchItem<(Token, Deed, u64)>| {
                        let ((token, deed, _), reply) = item.into_parts();
                        token.handled();
                        (deed, reply)
                    };
                    let all: Vec<_> = items.drain().map(take).collect();
                    for (deed, reply) in all {
                        perform(deed).await;
                        reply.send(Ok(()));
                    }
                }
            }

            /// Sends one message in one of the ways there are, and settles it if it came back.
            pub async fn send(to: &TargetRef, id: usize, ledger: &Arc<Ledger>, dice: &mut Dice) {
                let token = Token {
                    id,
                    ledger: Arc::clone(ledger),
                    settled: false,
                };
                let deed = match dice.roll(400) {
                    0 => Deed::Panic,
                    1..100 => Deed::Yield,
                    _ => Deed::Return,
                };
                let key = dice.roll(8);
                let call = match dice.roll(3) {
                    0 => to.plain(token, deed, key),
                    1 => to.marked(token, deed, key),
                    _ => to.batched(token, deed, key),
                };
                let (call, policy) = match dice.roll(10) {
                    n @ 0..5 => (call.overflow(POLICIES[n as usize]), Some(POLICIES[n as usize])),
                    _ => (call, None),
                };
                let drops = match policy.unwrap_or(<Target as actor_core::actor::Actor>::OVERFLOW) {
                    Overflow::DropNewest | Overflow::DropOldest => DEAD,
                    _ => RETURNED,
                };
                let back = |msg: TargetMsg| match msg {
                    TargetMsg::Plain { token, .. } | TargetMsg::Marked { token, .. } => {
                        token.returned();
                    }
                    TargetMsg::Batched { arg0: token, .. } => token.returned(),
                };
                match dice.roll(10) {
                    0..3 => match sending(id, call).await {
                        Err(CallError::Overloaded) => settle(ledger, id, drops),
                        Err(CallError::Stopped) => settle(ledger, id, RETURNED),
                        _ => {}
                    },
                    3..7 => match sending(id, call.tell()).await {
                        Ok(()) => settle(ledger, id, DEAD),
                        Err(TrySendError::Full(msg) | TrySendError::Closed(msg)) => back(msg),
                        Err(_) => unreachable!("there are two ways to fail"),
                    },
                    7 => {
                        if let Err(refused) = call.try_tell() {
                            back(refused.into_inner());
                        }
                    }
                    8 => match call.tell_or_drop() {
                        Ok(_) => {}
                        Err(refused) => back(refused.into_inner()),
                    },
                    _ => {
                        // Given up after one poll.
                        let mut tell = sending(id, call.tell());
                        let polled = std::future::poll_fn(|cx| {
                            Poll::Ready(pin!(&mut tell).poll(cx))
                        })
                        .await;
                        drop(tell);
                        match polled {
                            Poll::Pending => settle(ledger, id, RETURNED),
                            Poll::Ready(Ok(())) => settle(ledger, id, DEAD),
                            Poll::Ready(Err(refused)) => back(refused.into_inner()),
                        }
                    }
                }
            }

            /// Runs this target with some senders under a supervisor until all `ids` are sent.
            pub async fn run(ids: std::ops::Range<usize>, ledger: Arc<Ledger>, seed: u64) {
                let child = Target::child(stringify!($module));
                let target = child.handle();
                let app = Supervisor::one_for_one("fates")
                    .intensity(u32::MAX, Duration::from_secs(1))
                    .child(child)
                    .start()
                    .await
                    .unwrap();
                let senders = 4;
                let share = ids.len().div_ceil(senders);
                let mut all = Vec::new();
                for (n, start) in ids.clone().step_by(share).enumerate() {
                    let (target, ledger) = (target.clone(), Arc::clone(&ledger));
                    let end = (start + share).min(ids.end);
                    all.push(go(async move {
                        let mut dice = Dice(seed ^ (n as u64 + 1) << 20);
                        for id in start..end {
                            match dice.roll(2_000) {
                                0 => drop(target.kill()),
                                1 => drop(target.stop()),
                                2 => drop(target.stop_now()),
                                _ => {}
                            }
                            send(&target, id, &ledger, &mut dice).await;
                            if dice.roll(16) == 0 {
                                yield_now().await;
                            }
                        }
                    }));
                }
                for sender in all {
                    sender.await.unwrap();
                }
                app.stop().await;
                target.wait().await;
            }
        }
    };
}

target!(waits, key, [#[priority]], mailbox = buffered(8));
target!(plain, key, [], mailbox = buffered(32));
target!(fails, key, [], mailbox = buffered(8), overflow = fail);
target!(
    drops_newest,
    key,
    [],
    mailbox = buffered(8),
    overflow = drop_newest
);
target!(drops_oldest, key, [#[priority]], mailbox = buffered(8), overflow = drop_oldest);
target!(coalesces, key, [#[coalesce(key = key)]], mailbox = buffered(8), overflow = coalesce);
target!(by_call, key, [#[coalesce(key = key)]], mailbox = buffered(8), overflow = wait);
target!(unbounded, key, [#[priority]], mailbox = unbounded, high_water = 100);

fn account_for_each_of(messages: usize) {
    // Most panics of this test are meant.
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let text = info.payload().downcast_ref::<String>();
        if text.is_none_or(|text| text != TOLD_TO) {
            report(info);
        }
    }));
    let seed = std::env::var("FATES_SEED").map_or(0x9E37_79B9, |seed| seed.parse().unwrap());
    println!("FATES_SEED={seed}");
    let before = dead_letters();
    let ledger = Arc::new(Ledger((0..messages).map(|_| AtomicU8::new(NONE)).collect()));
    let rt = actor_core::Runtime::new().unwrap();
    let shared = Arc::clone(&ledger);
    rt.run(async move {
        let share = messages.div_ceil(8);
        let ids = |n: usize| n * share..((n + 1) * share).min(messages);
        let all = [
            go(waits::run(ids(0), Arc::clone(&shared), seed + 10)),
            go(plain::run(ids(1), Arc::clone(&shared), seed + 11)),
            go(fails::run(ids(2), Arc::clone(&shared), seed + 12)),
            go(drops_newest::run(ids(3), Arc::clone(&shared), seed + 13)),
            go(drops_oldest::run(ids(4), Arc::clone(&shared), seed + 14)),
            go(coalesces::run(ids(5), Arc::clone(&shared), seed + 15)),
            go(unbounded::run(ids(6), Arc::clone(&shared), seed + 16)),
            go(by_call::run(ids(7), Arc::clone(&shared), seed + 17)),
        ];
        for run in all {
            run.await.unwrap();
        }
    });
    let fates = [HANDLED, RETURNED, DEAD].map(|fate| ledger.count(fate));
    println!("handled, returned, dead: {fates:?}");
    assert_eq!(ledger.count(NONE), 0, "messages without a fate");
    assert_eq!(
        ledger.count(DROPPED_BY_SENDER),
        0,
        "dropped, and nobody knows why"
    );
    assert_eq!(fates.iter().sum::<usize>(), messages);
    assert_eq!(
        dead_letters() - before,
        fates[2] as u64,
        "uncounted dead letters"
    );
    assert!(
        fates.iter().all(|count| *count > messages / 1_000),
        "a fate was not tried"
    );
}

#[test]
fn each_of_a_million_messages_has_exactly_one_fate() {
    account_for_each_of(1_000_000);
}
