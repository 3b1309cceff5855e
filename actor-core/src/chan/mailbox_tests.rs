//! What a mailbox promises: order, capacity, no loss across receivers, cancellation, memory.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

use proptest::prelude::*;

use super::mailbox::{Ahead, Capacity, Displaced, Mailbox, MailboxReceiver, MailboxSend, Post};
use super::{SendError, TrySendError};
use crate::sched::block_on_thread;

/// Counts its wake-ups.
#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Count {
    fn new() -> (Arc<Self>, Waker) {
        let count = Arc::new(Self::default());
        (count.clone(), Waker::from(count))
    }

    fn get(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

fn buffered(messages: usize) -> Capacity {
    Capacity::Buffered(messages)
}

fn poll_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

fn recv_now<M>(receiver: &mut MailboxReceiver<'_, M>) -> Poll<Option<M>> {
    receiver.poll_recv(&mut Context::from_waker(Waker::noop()))
}

/// As one that will not wait while it is at the message.
fn recv_ahead<M>(receiver: &mut MailboxReceiver<'_, M>) -> Poll<Option<M>> {
    let mut message = None;
    let cx = &mut Context::from_waker(Waker::noop());
    let polled = receiver.poll_recv_into(cx, &mut message, Ahead::Yes);
    polled.map(|()| message)
}

fn recv<M>(receiver: &mut MailboxReceiver<'_, M>) -> Option<M> {
    block_on_thread(std::future::poll_fn(|cx| receiver.poll_recv(cx)))
}

/// A value that counts itself, to see that none is lost or dropped twice.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(alive: &Arc<AtomicUsize>) -> Self {
        alive.fetch_add(1, Ordering::SeqCst);
        Self(alive.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[test]
fn an_idle_mailbox_stays_small() {
    assert!(
        size_of::<Mailbox<u64>>() <= 72,
        "{} bytes",
        size_of::<Mailbox<u64>>()
    );
    assert_eq!(size_of::<Mailbox<u64>>(), size_of::<Mailbox<[u64; 32]>>());
    let send = size_of::<MailboxSend<'_, u64>>();
    assert!(send <= 72, "{send} bytes");
}

#[test]
fn messages_come_out_in_the_order_sent_while_the_ring_grows() {
    let mailbox = Mailbox::new(Capacity::Unbounded);
    let mut receiver = mailbox.receiver();
    let mut expected = VecDeque::new();
    let mut next = 0_u64;
    // Bursts of growing size, taken out partly, so that the ring grows with a batch outstanding.
    for burst in 1..200 {
        for _ in 0..burst {
            mailbox.try_send(next).unwrap();
            expected.push_back(next);
            next += 1;
        }
        assert_eq!(mailbox.len(), expected.len());
        for _ in 0..burst / 2 {
            assert_eq!(recv_now(&mut receiver), Poll::Ready(expected.pop_front()));
        }
    }
    mailbox.close();
    while let Some(message) = expected.pop_front() {
        assert_eq!(recv_now(&mut receiver), Poll::Ready(Some(message)));
    }
    assert_eq!(recv_now(&mut receiver), Poll::Ready(None));
}

#[test]
fn a_full_mailbox_refuses_and_gives_the_message_back() {
    let mailbox = Mailbox::new(buffered(2));
    mailbox.try_send(1).unwrap();
    mailbox.try_send(2).unwrap();
    assert_eq!(mailbox.try_send(3), Err(TrySendError::Full(3)));
    mailbox.close();
    assert_eq!(mailbox.try_send(4), Err(TrySendError::Closed(4)));
    assert_eq!(mailbox.drain(), [1, 2]);
}

#[test]
fn waiting_senders_are_let_in_in_their_order() {
    let mailbox = Mailbox::new(buffered(1));
    let mut receiver = mailbox.receiver();
    mailbox.try_send(0).unwrap();
    let mut sends: Vec<_> = (1..5).map(|n| Box::pin(mailbox.send(n))).collect();
    for send in &mut sends {
        assert!(poll_once(send.as_mut()).is_pending());
    }
    for n in 0..5 {
        assert_eq!(recv_now(&mut receiver), Poll::Ready(Some(n)));
    }
    for send in &mut sends {
        assert_eq!(poll_once(send.as_mut()), Poll::Ready(Ok(())));
    }
    assert!(recv_now(&mut receiver).is_pending());
}

#[test]
fn a_rendezvous_send_completes_when_the_message_is_taken() {
    let mailbox = Mailbox::new(Capacity::Rendezvous);
    let mut receiver = mailbox.receiver();
    assert_eq!(mailbox.try_send(0), Err(TrySendError::Full(0)));
    let mut send = Box::pin(mailbox.send(1));
    assert!(poll_once(send.as_mut()).is_pending());
    assert_eq!(recv_now(&mut receiver), Poll::Ready(Some(1)));
    assert_eq!(poll_once(send.as_mut()), Poll::Ready(Ok(())));

    // A parked receiver is a taker: one send completes at once, the next one waits.
    assert!(recv_now(&mut receiver).is_pending());
    mailbox.try_send(2).unwrap();
    assert_eq!(mailbox.try_send(3), Err(TrySendError::Full(3)));
    assert_eq!(recv_now(&mut receiver), Poll::Ready(Some(2)));

    // One that has left is not.
    assert!(recv_now(&mut receiver).is_pending());
    drop(receiver);
    assert_eq!(mailbox.try_send(4), Err(TrySendError::Full(4)));
}

#[test]
fn a_rendezvous_takes_no_second_message_while_the_first_is_in_hand() {
    let mailbox = Mailbox::new(Capacity::Rendezvous);
    let mut receiver = mailbox.receiver();
    assert!(recv_ahead(&mut receiver).is_pending());
    mailbox.try_send(1).unwrap();
    assert_eq!(recv_ahead(&mut receiver), Poll::Ready(Some(1)));
    assert_eq!(mailbox.try_send(2), Err(TrySendError::Full(2)));
    assert!(recv_ahead(&mut receiver).is_pending());
    mailbox.try_send(3).unwrap();
}

#[test]
fn who_has_a_batch_in_hand_is_not_awaited_and_gives_its_room_back() {
    let mailbox = Mailbox::new(buffered(8));
    let mut receiver = mailbox.receiver();
    assert!(recv_ahead(&mut receiver).is_pending());
    mailbox.try_send(1).unwrap();
    mailbox.try_send(2).unwrap();
    assert_eq!(recv_ahead(&mut receiver), Poll::Ready(Some(1)));
    assert!(!mailbox.is_awaited());
    assert_eq!(recv_ahead(&mut receiver), Poll::Ready(Some(2)));
    assert!(recv_ahead(&mut receiver).is_pending());
    for n in 0..8 {
        mailbox.try_send(n).unwrap();
    }
    assert_eq!(mailbox.try_send(8), Err(TrySendError::Full(8)));
}

#[test]
fn close_gives_waiting_senders_their_message_back_and_keeps_the_queue() {
    let mailbox = Mailbox::new(buffered(1));
    mailbox.try_send(1).unwrap();
    let (woken, waker) = Count::new();
    let mut send = Box::pin(mailbox.send(2));
    assert!(
        send.as_mut()
            .poll(&mut Context::from_waker(&waker))
            .is_pending()
    );
    assert!(mailbox.close());
    assert!(!mailbox.close());
    assert_eq!(woken.get(), 1);
    assert_eq!(poll_once(send.as_mut()), Poll::Ready(Err(SendError(2))));
    let mut receiver = mailbox.receiver();
    assert_eq!(recv_now(&mut receiver), Poll::Ready(Some(1)));
    assert_eq!(recv_now(&mut receiver), Poll::Ready(None));
}

#[test]
fn a_reopened_mailbox_keeps_what_was_queued_and_accepts_more() {
    let mailbox = Mailbox::new(buffered(4));
    mailbox.try_send(1).unwrap();
    mailbox.close();
    assert_eq!(mailbox.try_send(2), Err(TrySendError::Closed(2)));
    mailbox.reopen();
    mailbox.try_send(3).unwrap();
    let mut receiver = mailbox.receiver();
    assert_eq!(recv_now(&mut receiver), Poll::Ready(Some(1)));
    assert_eq!(recv_now(&mut receiver), Poll::Ready(Some(3)));
    assert!(recv_now(&mut receiver).is_pending());
}

#[test]
fn only_a_parked_receiver_is_woken_and_only_once() {
    let mailbox = Mailbox::new(Capacity::Unbounded);
    let mut receiver = mailbox.receiver();
    let (woken, waker) = Count::new();
    let mut cx = Context::from_waker(&waker);
    assert!(receiver.poll_recv(&mut cx).is_pending());
    assert!(
        receiver.poll_recv(&mut cx).is_pending(),
        "a second poll stays parked"
    );
    mailbox.try_send(1).unwrap();
    mailbox.try_send(2).unwrap();
    assert_eq!(woken.get(), 1);
    assert_eq!(receiver.poll_recv(&mut cx), Poll::Ready(Some(1)));
    mailbox.try_send(3).unwrap();
    assert_eq!(woken.get(), 1);
    let held = Arc::strong_count(&woken);
    for n in [2, 3] {
        assert_eq!(receiver.poll_recv(&mut cx), Poll::Ready(Some(n)));
    }
    assert!(receiver.poll_recv(&mut cx).is_pending());
    assert_eq!(
        Arc::strong_count(&woken),
        held,
        "a warm park clones no waker"
    );
}

#[test]
fn a_second_poll_with_another_waker_moves_the_wake_there() {
    let mailbox = Mailbox::new(Capacity::Unbounded);
    let mut receiver = mailbox.receiver();
    let (first, first_waker) = Count::new();
    let (second, second_waker) = Count::new();
    assert!(
        receiver
            .poll_recv(&mut Context::from_waker(&first_waker))
            .is_pending()
    );
    assert!(
        receiver
            .poll_recv(&mut Context::from_waker(&second_waker))
            .is_pending()
    );
    mailbox.try_send(1).unwrap();
    assert_eq!((first.get(), second.get()), (0, 1));
}

#[test]
fn a_kick_wakes_a_parked_receiver_and_keeps_an_awake_one_from_sleeping() {
    let mailbox = Mailbox::<u8>::new(buffered(4));
    let mut receiver = mailbox.receiver();
    let (woken, waker) = Count::new();
    let mut cx = Context::from_waker(&waker);
    mailbox.wake_receiver();
    assert!(receiver.poll_recv(&mut cx).is_pending());
    assert_eq!(woken.get(), 1, "it would have slept, so it is polled again");
    assert!(receiver.poll_recv(&mut cx).is_pending());
    assert_eq!(woken.get(), 1);
    mailbox.wake_receiver();
    assert_eq!(woken.get(), 2);
    // A kick hides no message and no close.
    mailbox.wake_receiver();
    mailbox.wake_receiver();
    mailbox.try_send(7).unwrap();
    assert_eq!(receiver.poll_recv(&mut cx), Poll::Ready(Some(7)));
    mailbox.close();
    assert_eq!(receiver.poll_recv(&mut cx), Poll::Ready(None));
}

#[test]
fn a_batch_in_hand_counts_against_the_capacity_and_survives_its_receiver() {
    let mailbox = Mailbox::new(buffered(16));
    for n in 0..16 {
        mailbox.try_send(n).unwrap();
    }
    {
        let mut receiver = mailbox.receiver();
        assert_eq!(recv_now(&mut receiver), Poll::Ready(Some(0)));
        // 0 is out; 1..4 are in the batch and not handled yet: one free place only.
        mailbox.try_send(16).unwrap();
        assert_eq!(mailbox.try_send(17), Err(TrySendError::Full(17)));
        assert_eq!(recv_now(&mut receiver), Poll::Ready(Some(1)));
        assert_eq!(mailbox.len(), 15);
    }
    let mut next_incarnation = mailbox.receiver();
    for n in 2..17 {
        assert_eq!(recv_now(&mut next_incarnation), Poll::Ready(Some(n)));
    }
    assert!(recv_now(&mut next_incarnation).is_pending());
    assert_eq!(mailbox.len(), 0);
}

#[test]
#[should_panic(expected = "one receiver at a time")]
fn a_second_receiver_panics() {
    let mailbox = Mailbox::<u8>::new(buffered(1));
    let _first = mailbox.receiver();
    let _second = mailbox.receiver();
}

#[test]
fn a_receiver_that_leaves_lets_go_of_its_goroutine() {
    let mailbox = Mailbox::<u8>::new(buffered(1));
    let (woken, waker) = Count::new();
    let mut receiver = mailbox.receiver();
    assert!(
        receiver
            .poll_recv(&mut Context::from_waker(&waker))
            .is_pending()
    );
    drop(receiver);
    drop(waker);
    assert_eq!(Arc::strong_count(&woken), 1);
}

#[test]
fn dropping_the_oldest_leaves_the_batch_in_hand_alone() {
    let mailbox = Mailbox::new(buffered(8));
    let mut receiver = mailbox.receiver();
    let text = |n: u32| n.to_string(); // owns memory, so that a slot used twice shows
    for n in 0..8 {
        mailbox.try_send(text(n)).unwrap();
    }
    assert_eq!(recv(&mut receiver), Some(text(0))); // and 1 is in hand
    assert_eq!(mailbox.try_send(text(8)), Ok(()));
    // Far enough to come around the ring several times.
    for n in 9..40 {
        let oldest = mailbox.offer(text(n), Post::default(), true);
        assert_eq!(oldest, Ok(Some(Displaced::Oldest(text(n - 7)))));
    }
    let rest = std::iter::from_fn(|| match recv_now(&mut receiver) {
        Poll::Ready(message) => message,
        Poll::Pending => None,
    });
    let expected: Vec<_> = [1].into_iter().chain(33..40).map(text).collect();
    assert_eq!(rest.collect::<Vec<_>>(), expected);
}

#[test]
fn messages_without_data_work() {
    let mailbox = Mailbox::new(Capacity::Unbounded);
    let mut receiver = mailbox.receiver();
    (0..100).for_each(|_| mailbox.try_send(()).unwrap());
    (0..100).for_each(|_| assert_eq!(recv_now(&mut receiver), Poll::Ready(Some(()))));
    assert!(recv_now(&mut receiver).is_pending());
}

/// It lies apart (`letter.rs`) until something else is needed of the mailbox.
#[test]
fn a_message_alone_is_queued_like_any_other() {
    let alive = Arc::new(AtomicUsize::new(0));
    let with_one = || {
        let mailbox = Mailbox::new(buffered(2));
        assert!(mailbox.try_send(Counted::new(&alive)).is_ok());
        assert_eq!((mailbox.len(), alive.load(Ordering::SeqCst)), (1, 1));
        mailbox
    };
    drop(with_one());
    assert_eq!(alive.load(Ordering::SeqCst), 0);

    let mailbox = with_one();
    assert_eq!(mailbox.drain().len(), 1);
    assert_eq!((mailbox.len(), alive.load(Ordering::SeqCst)), (0, 0));

    let mailbox = with_one();
    assert!(mailbox.close());
    assert!(recv(&mut mailbox.receiver()).is_some());
    assert!(recv(&mut mailbox.receiver()).is_none());

    let mailbox = with_one();
    assert_eq!(mailbox.capacity(), buffered(2));
    assert!(mailbox.try_send(Counted::new(&alive)).is_ok());
    assert!(mailbox.try_send(Counted::new(&alive)).is_err(), "full");
    assert!(
        mailbox
            .offer(Counted::new(&alive), Post::default(), true)
            .is_ok()
    );
    assert_eq!((mailbox.len(), alive.load(Ordering::SeqCst)), (2, 2));

    let mut receiver = mailbox.receiver();
    for left in [1, 0] {
        assert!(recv_ahead(&mut receiver).is_ready());
        assert_eq!(alive.load(Ordering::SeqCst), left);
    }
}

#[test]
fn a_kick_is_not_lost_behind_a_message_alone() {
    let mailbox = Mailbox::new(buffered(2));
    let mut receiver = mailbox.receiver();
    let (count, waker) = Count::new();
    let cx = &mut Context::from_waker(&waker);
    assert!(receiver.poll_recv(cx).is_pending());
    mailbox.try_send(1).unwrap();
    mailbox.wake_receiver();
    let before = count.get();
    let mut message = None;
    assert!(
        receiver
            .poll_recv_into(cx, &mut message, Ahead::Yes)
            .is_ready()
    );
    assert_eq!(message, Some(1));
    assert!(receiver.poll_recv(cx).is_pending());
    assert_eq!(count.get(), before + 1, "it is polled once more");
}

#[test]
fn a_large_message_lies_where_its_alignment_wants_it() {
    #[repr(align(128))]
    struct Large([u8; 9000]);
    let mailbox = Mailbox::new(buffered(4));
    let mut receiver = mailbox.receiver();
    for n in 0..3 {
        assert!(mailbox.try_send(Large([n; 9000])).is_ok());
        let large = recv_ahead(&mut receiver);
        assert!(matches!(large, Poll::Ready(Some(large)) if large.0 == [n; 9000]));
    }
    let bytes = Mailbox::new(buffered(4));
    assert!(bytes.try_send([7_u8; 9000]).is_ok());
    assert_eq!(bytes.drain(), [[7; 9000]]);
}

#[test]
fn dropping_the_mailbox_drops_queued_and_batched_messages() {
    let alive = Arc::new(AtomicUsize::new(0));
    let mailbox = Mailbox::new(Capacity::Unbounded);
    for _ in 0..20 {
        mailbox
            .try_send(Counted::new(&alive))
            .unwrap_or_else(|_| panic!("has room"));
    }
    let mut receiver = mailbox.receiver();
    assert!(recv_now(&mut receiver).is_ready());
    assert!(recv_now(&mut receiver).is_ready());
    // Forgotten: `Mailbox::drop` must not trust the guard to be dropped.
    std::mem::forget(receiver);
    assert_eq!(alive.load(Ordering::SeqCst), 18);
    drop(mailbox);
    assert_eq!(alive.load(Ordering::SeqCst), 0);
}

#[test]
fn a_forgotten_send_leaves_the_queue_usable() {
    let mailbox = Mailbox::new(buffered(1));
    mailbox.try_send(0).unwrap();
    let mut forgotten = Box::pin(mailbox.send(1));
    let mut send = Box::pin(mailbox.send(2));
    assert!(poll_once(forgotten.as_mut()).is_pending());
    assert!(poll_once(send.as_mut()).is_pending());
    std::mem::forget(forgotten);
    let mut receiver = mailbox.receiver();
    for n in 0..3 {
        assert_eq!(
            recv_now(&mut receiver),
            Poll::Ready(Some(n)),
            "accepted before it was forgotten"
        );
    }
}

#[test]
fn many_senders_one_receiver_nothing_lost_or_reordered() {
    const SENDERS: usize = 4;
    const EACH: usize = if cfg!(miri) { 50 } else { 20_000 };
    for capacity in [
        Capacity::Rendezvous,
        buffered(1),
        buffered(16),
        Capacity::Unbounded,
    ] {
        let mailbox = Mailbox::new(capacity);
        thread::scope(|scope| {
            for sender in 0..SENDERS {
                let mailbox = &mailbox;
                scope.spawn(move || {
                    for n in 0..EACH {
                        block_on_thread(mailbox.send((sender, n))).unwrap();
                    }
                });
            }
            let mut next = [0; SENDERS];
            let mut receiver = mailbox.receiver();
            for round in 0..SENDERS * EACH {
                if round % 1_000 == 0 {
                    // A restart now and then: another incarnation goes on.
                    drop(receiver);
                    receiver = mailbox.receiver();
                }
                let (sender, n) = recv(&mut receiver).unwrap();
                assert_eq!(n, next[sender], "{capacity:?}, sender {sender}");
                next[sender] += 1;
            }
            assert!(recv_now(&mut receiver).is_pending());
        });
        assert_eq!(mailbox.len(), 0);
    }
}

#[test]
fn senders_that_give_up_at_random_lose_only_what_they_take_back() {
    const SENDERS: usize = 3;
    const EACH: usize = 5_000;
    for capacity in [Capacity::Rendezvous, buffered(1), buffered(8)] {
        let mailbox = Mailbox::new(capacity);
        let accepted = AtomicUsize::new(0);
        let received = thread::scope(|scope| {
            let receiver = scope.spawn(|| {
                let mut receiver = mailbox.receiver();
                std::iter::from_fn(|| recv(&mut receiver)).count()
            });
            let senders: Vec<_> = (0..SENDERS)
                .map(|_| {
                    scope.spawn(|| {
                        for n in 0..EACH {
                            let mut send = Box::pin(mailbox.send(n));
                            let mut done = poll_once(send.as_mut()).is_ready();
                            if !done && n % 3 != 0 {
                                thread::yield_now();
                                done = poll_once(send.as_mut()).is_ready();
                            }
                            if !done && n % 3 == 2 {
                                block_on_thread(send.as_mut()).unwrap();
                                done = true;
                            }
                            // A drop while the receiver takes it: the drop decides, under the lock.
                            let taken = done || !give_up(send);
                            accepted.fetch_add(usize::from(taken), Ordering::SeqCst);
                        }
                    })
                })
                .collect();
            senders
                .into_iter()
                .for_each(|sender| sender.join().unwrap());
            mailbox.close();
            receiver.join().unwrap()
        });
        assert_eq!(received, accepted.load(Ordering::SeqCst), "{capacity:?}");
    }
}

/// Drops a send; whether the message came back (was dropped with the future).
fn give_up(mut send: Pin<Box<MailboxSend<'_, usize>>>) -> bool {
    send.as_mut().give_up_for_test().is_some()
}

/// One step of the sequential model.
#[derive(Clone, Debug)]
enum Step {
    TrySend,
    DropOldest,
    Send,
    PollSend(usize),
    DropSend(usize),
    Recv,
    NextOf(u32),
    Restart,
    Kick,
    Close,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => Just(Step::TrySend),
        3 => Just(Step::DropOldest),
        6 => Just(Step::Send),
        2 => any::<usize>().prop_map(Step::PollSend),
        3 => any::<usize>().prop_map(Step::DropSend),
        8 => Just(Step::Recv),
        3 => (0_u32..2).prop_map(Step::NextOf),
        1 => Just(Step::Restart),
        1 => Just(Step::Kick),
        1 => Just(Step::Close),
    ];
    proptest::collection::vec(step, 0..200)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// Against a queue of accepted messages and a queue of waiting ones. Room comes back a batch at
    /// a time, so the model checks order and conservation, and capacity as a bound.
    #[test]
    fn behaves_like_two_queues(capacity in 0_usize..20, steps in steps()) {
        let mailbox = Mailbox::new(buffered(capacity));
        let mut receiver = mailbox.receiver();
        let mut sends: Vec<(u64, Pin<Box<MailboxSend<'_, u64>>>)> = Vec::new();
        let mut order: VecDeque<u64> = VecDeque::new(); // accepted or waiting, in order
        let mut closed = false;
        let mut next = 0;
        for step in steps {
            next += 1;
            match step {
                Step::TrySend => match mailbox.try_send(next) {
                    Ok(()) => {
                        prop_assert!(!closed);
                        order.push_back(next);
                    }
                    Err(TrySendError::Full(_)) => prop_assert!(!closed),
                    Err(TrySendError::Closed(_)) => prop_assert!(closed),
                },
                Step::DropOldest => {
                    let accepted = mailbox.len();
                    match mailbox.offer(next, Post::default(), true) {
                        Ok(None) => order.push_back(next), // there was room, so nobody waits
                        Ok(Some(Displaced::Oldest(old))) => {
                            let at = order.iter().position(|other| *other == old);
                            // Behind those in hand, at most a quarter (or one, if peeked at).
                            prop_assert!(at.is_some_and(|at| at <= (capacity / 4).max(1)));
                            order.remove(at.unwrap());
                            order.insert(accepted - 1, next); // before those that wait
                        }
                        Ok(Some(Displaced::Replaced(_))) => prop_assert!(false, "it has no key"),
                        Err(TrySendError::Full(_)) => prop_assert!(capacity <= 1),
                        Err(TrySendError::Closed(_)) => prop_assert!(closed),
                    }
                }
                Step::Send => {
                    let mut send = Box::pin(mailbox.send(next));
                    match poll_once(send.as_mut()) {
                        Poll::Ready(Ok(())) => order.push_back(next),
                        Poll::Ready(Err(SendError(n))) => prop_assert!(closed && n == next),
                        Poll::Pending => {
                            prop_assert!(!closed);
                            order.push_back(next);
                            sends.push((next, send));
                        }
                    }
                }
                Step::PollSend(which) if !sends.is_empty() => {
                    let which = which % sends.len();
                    let (n, send) = &mut sends[which];
                    match poll_once(send.as_mut()) {
                        Poll::Pending => {}
                        Poll::Ready(Ok(())) => drop(sends.remove(which)),
                        Poll::Ready(Err(SendError(back))) => {
                            prop_assert!(closed && back == *n);
                            drop(sends.remove(which));
                        }
                    }
                }
                Step::DropSend(which) if !sends.is_empty() => {
                    let (n, mut send) = sends.remove(which % sends.len());
                    if send.as_mut().give_up_for_test().is_some() && !closed {
                        order.retain(|other| *other != n);
                    }
                }
                Step::Recv => match recv_now(&mut receiver) {
                    Poll::Ready(Some(n)) => prop_assert_eq!(Some(n), order.pop_front()),
                    Poll::Ready(None) => prop_assert!(closed && order.is_empty()),
                    Poll::Pending => prop_assert!(!closed && order.is_empty()),
                },
                Step::NextOf(batch) => {
                    let accepted = mailbox.len();
                    let of = |n: &u64| (*n % 2) as u32;
                    match receiver.next_of(batch, of) {
                        Some(n) => {
                            prop_assert_eq!(of(&n), batch);
                            prop_assert_eq!(Some(n), order.pop_front());
                        }
                        None => {
                            let other = order.front().is_some_and(|n| of(n) != batch);
                            prop_assert!(accepted == 0 || other);
                        }
                    }
                }
                Step::Restart => {
                    drop(receiver);
                    receiver = mailbox.receiver();
                }
                Step::Kick => mailbox.wake_receiver(),
                Step::Close => {
                    closed = true;
                    let before = mailbox.len();
                    mailbox.close();
                    // Waiting ones come back; accepted ones stay.
                    order.truncate(before);
                }
                Step::PollSend(_) | Step::DropSend(_) => {}
            }
            prop_assert!(mailbox.len() <= capacity.max(1));
            prop_assert!(mailbox.len() <= order.len());
        }
        let rest = { drop(receiver); mailbox.close(); mailbox.drain() };
        prop_assert!(order.iter().take(rest.len()).eq(rest.iter()));
    }
}
