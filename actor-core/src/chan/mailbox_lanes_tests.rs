//! A mailbox with lanes against a model of it: which message comes next, which ones have to leave,
//! what is told about its length, who waits.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use proptest::prelude::*;

use super::mailbox::{Capacity, Crossing, Displaced, Mailbox, MailboxSend, Post, Water};
use super::{SendError, TrySendError};

fn poll_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Letter {
    number: u64,
    post: Post,
}

/// What `lanes.rs` promises, in the plainest way.
#[derive(Default)]
struct Model {
    capacity: usize,
    queued: [VecDeque<Letter>; 2],
    waiting: [VecDeque<Letter>; 2],
    run: u32,
    closed: bool,
    crossings: Vec<(bool, usize)>,
}

const HIGH: usize = 5;
const LOW: usize = 2;
const RUN_MAX: u32 = 16;

impl Model {
    fn len(&self) -> usize {
        self.queued[0].len() + self.queued[1].len()
    }

    fn look(&mut self) {
        let was_high = self.crossings.last().is_some_and(|(high, _)| *high);
        let len = self.len();
        if was_high && len <= LOW || !was_high && len >= HIGH {
            self.crossings.push((!was_high, len));
        }
    }

    fn offer(&mut self, letter: Letter, drop_oldest: bool) -> Result<Option<Displaced<u64>>, bool> {
        if self.closed {
            return Err(true);
        }
        let lane = &mut self.queued[usize::from(letter.post.urgent)];
        let same =
            |other: &&mut Letter| letter.post.key.is_some() && other.post.key == letter.post.key;
        // Of two with the same key (one of them waited) the later one is replaced.
        if let Some(old) = lane.iter_mut().rev().find(same) {
            return Ok(Some(Displaced::Replaced(
                std::mem::replace(old, letter).number,
            )));
        }
        let mut displaced = None;
        if lane.len() >= self.capacity {
            match lane.pop_front() {
                Some(oldest) if drop_oldest => displaced = Some(Displaced::Oldest(oldest.number)),
                Some(oldest) => {
                    lane.push_front(oldest);
                    return Err(false);
                }
                None => return Err(false),
            }
        }
        lane.push_back(letter);
        self.look();
        Ok(displaced)
    }

    fn has(&self, lane: usize) -> bool {
        !self.queued[lane].is_empty() || !self.waiting[lane].is_empty()
    }

    fn next_lane(&self) -> usize {
        usize::from(self.has(1) && !(self.run >= RUN_MAX && self.has(0)))
    }

    fn recv(&mut self) -> Option<u64> {
        let lane = self.next_lane();
        self.run = if lane == 1 && self.has(0) {
            self.run + 1
        } else {
            0
        };
        let first = self.queued[lane].pop_front();
        let first = first.or_else(|| self.waiting[lane].pop_front());
        while self.queued[lane].len() < self.capacity {
            let Some(next) = self.waiting[lane].pop_front() else {
                break;
            };
            self.queued[lane].push_back(next);
        }
        self.look();
        first.map(|letter| letter.number)
    }

    fn recv_of(&mut self, batch: u32) -> Option<u64> {
        let front = self.queued[self.next_lane()].front()?;
        if front.post.batch == batch {
            self.recv()
        } else {
            None
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Offer(Post, bool),
    Send(Post),
    DropSend(usize),
    Recv,
    RecvOf(u32),
    Restart,
    Close,
}

fn posts() -> impl Strategy<Value = Post> {
    (any::<bool>(), proptest::option::of(0_u64..3), 0_u32..3)
        .prop_map(|(urgent, key, batch)| Post { urgent, key, batch })
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => (posts(), any::<bool>()).prop_map(|(post, drop)| Step::Offer(post, drop)),
        6 => posts().prop_map(Step::Send),
        2 => any::<usize>().prop_map(Step::DropSend),
        10 => Just(Step::Recv),
        3 => (0_u32..3).prop_map(Step::RecvOf),
        1 => Just(Step::Restart),
    ];
    let end = prop_oneof![Just(Step::Close), Just(Step::Recv)];
    (proptest::collection::vec(step, 0..200), end).prop_map(|(mut steps, end)| {
        steps.push(end);
        steps.extend([Step::Recv, Step::Send(Post::default()), Step::Recv]);
        steps
    })
}

type Waiting<'a> = (Letter, Pin<Box<MailboxSend<'a, u64>>>);

/// The sends that are done by now are taken out; they must be those that the model let in.
fn settle(waiting: &mut Vec<Waiting<'_>>, model: &Model) -> Result<(), TestCaseError> {
    let mut still = Vec::new();
    for (letter, mut send) in waiting.drain(..) {
        let waits = model.waiting[usize::from(letter.post.urgent)].contains(&letter);
        match poll_once(send.as_mut()) {
            Poll::Pending => {
                prop_assert!(waits && !model.closed, "{letter:?}");
                still.push((letter, send));
            }
            Poll::Ready(Ok(())) => prop_assert!(!waits, "{letter:?}"),
            Poll::Ready(Err(SendError(n))) => {
                prop_assert!(waits && model.closed && n == letter.number);
            }
        }
    }
    *waiting = still;
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn behaves_like_two_bounded_queues_with_keys(
        capacity in prop_oneof![1_usize..12, Just(usize::MAX)],
        steps in steps(),
    ) {
        let told = Arc::new(Mutex::new(Vec::new()));
        let watch = {
            let told = Arc::clone(&told);
            Arc::new(move |crossing: Crossing| told.lock().unwrap().push(crossing))
        };
        let kind = if capacity == usize::MAX { Capacity::Unbounded } else { Capacity::Buffered(capacity) };
        let mailbox = Mailbox::special(kind, Some(Water::new(HIGH, LOW, watch)));
        let mut receiver = mailbox.receiver();
        let mut waiting: Vec<Waiting<'_>> = Vec::new();
        let mut model = Model { capacity, ..Model::default() };
        let mut number = 0;
        for step in steps {
            number += 1;
            match step {
                Step::Offer(post, drop_oldest) => {
                    let found = match mailbox.offer(number, post, drop_oldest) {
                        Ok(displaced) => Ok(displaced),
                        Err(TrySendError::Full(n)) => { prop_assert_eq!(n, number); Err(false) }
                        Err(TrySendError::Closed(n)) => { prop_assert_eq!(n, number); Err(true) }
                    };
                    prop_assert_eq!(found, model.offer(Letter { number, post }, drop_oldest));
                }
                Step::Send(post) => {
                    // As an actor's handle does: an offer first, then waiting if there is no room.
                    let letter = Letter { number, post };
                    let offered = mailbox.offer(number, post, false);
                    match (offered, model.offer(letter, false)) {
                        (Ok(displaced), expected) => prop_assert_eq!(Ok(displaced), expected),
                        (Err(TrySendError::Closed(_)), expected) => prop_assert_eq!(expected, Err(true)),
                        (Err(TrySendError::Full(n)), expected) => {
                            prop_assert_eq!(expected, Err(false));
                            let mut send = Box::pin(mailbox.send_as(n, post));
                            prop_assert!(poll_once(send.as_mut()).is_pending());
                            model.waiting[usize::from(post.urgent)].push_back(letter);
                            waiting.push((letter, send));
                        }
                    }
                }
                Step::DropSend(which) if !waiting.is_empty() => {
                    let (letter, send) = waiting.remove(which % waiting.len());
                    drop(send);
                    model.waiting[usize::from(letter.post.urgent)].retain(|other| *other != letter);
                }
                Step::DropSend(_) => {}
                Step::Recv => {
                    let mut cx = Context::from_waker(Waker::noop());
                    let expected = match model.recv() {
                        None if !model.closed => Poll::Pending,
                        message => Poll::Ready(message),
                    };
                    prop_assert_eq!(receiver.poll_recv(&mut cx), expected);
                }
                Step::RecvOf(batch) => {
                    let found = receiver.next_of(batch, |_| unreachable!("the post says it"));
                    prop_assert_eq!(found, model.recv_of(batch));
                }
                Step::Restart => {
                    drop(receiver);
                    receiver = mailbox.receiver();
                }
                Step::Close => {
                    mailbox.close();
                    model.closed = true;
                }
            }
            settle(&mut waiting, &model)?;
            if model.closed {
                model.waiting = Default::default();
            }
            prop_assert_eq!(mailbox.len(), model.len());
            let told = told.lock().unwrap();
            let seen: Vec<_> = told.iter().map(|c| (c.is_high, c.len)).collect();
            prop_assert_eq!(&seen, &model.crossings);
            prop_assert!(told.iter().zip(1..).all(|(c, n)| c.number == n));
        }
        drop(receiver);
        let rest: Vec<u64> = std::iter::from_fn(|| model.recv()).collect();
        drop(waiting);
        let mut left = mailbox.drain();
        left.truncate(rest.len());
        prop_assert_eq!(left, rest);
    }
}

#[test]
fn a_ticket_is_forgotten_with_its_send() {
    let mailbox = Mailbox::special(Capacity::Buffered(1), None);
    let urgent = Post {
        urgent: true,
        ..Post::default()
    };
    mailbox.offer(1, urgent, false).unwrap();
    let mut receiver = mailbox.receiver();
    for n in 0..3 {
        let mut queued = Box::pin(mailbox.send_as(n, urgent));
        assert!(poll_once(queued.as_mut()).is_pending());
        drop(mailbox.send_as(n, urgent)); // never polled
        drop(queued);
    }
    let mut last = Box::pin(mailbox.send_as(9, urgent));
    assert!(poll_once(last.as_mut()).is_pending());
    let mut cx = Context::from_waker(Waker::noop());
    assert_eq!(receiver.poll_recv(&mut cx), Poll::Ready(Some(1)));
    assert_eq!(receiver.poll_recv(&mut cx), Poll::Ready(Some(9)));
    assert_eq!(poll_once(last.as_mut()), Poll::Ready(Ok(())));
    drop(last);
    assert_eq!(mailbox.tickets(), 0);
}

#[test]
fn a_rendezvous_with_lanes_hands_over_in_person_and_the_urgent_first() {
    let mailbox = Mailbox::special(Capacity::Rendezvous, None);
    let urgent = Post {
        urgent: true,
        ..Post::default()
    };
    assert_eq!(mailbox.offer(0, urgent, true), Err(TrySendError::Full(0)));
    let mut sends = [
        Box::pin(mailbox.send_as(1, Post::default())),
        Box::pin(mailbox.send_as(2, urgent)),
    ];
    for send in &mut sends {
        assert!(poll_once(send.as_mut()).is_pending());
    }
    let mut receiver = mailbox.receiver();
    let mut cx = Context::from_waker(Waker::noop());
    assert_eq!(receiver.poll_recv(&mut cx), Poll::Ready(Some(2)));
    assert_eq!(receiver.poll_recv(&mut cx), Poll::Ready(Some(1)));
    assert!(receiver.poll_recv(&mut cx).is_pending());
    // It waits now, for exactly one.
    assert_eq!(mailbox.offer(3, urgent, false), Ok(None));
    assert_eq!(mailbox.offer(4, urgent, false), Err(TrySendError::Full(4)));
    assert_eq!(receiver.poll_recv(&mut cx), Poll::Ready(Some(3)));
}
