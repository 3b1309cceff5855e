//! Models of channels, mailboxes and replies, explored by loom: every interleaving that C11 allows.
//!
//! `RUSTFLAGS="--cfg actor_loom" cargo test -p actor-core --lib --release loom_`
//!
//! A lost wake-up shows as a deadlock, a wrong ordering as an access that is not ordered, a lost
//! message as a failed assertion or a leak.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use loom::sync::Notify as Bell;
use loom::sync::atomic::{AtomicBool, Ordering::Relaxed};
use loom::thread;

use super::word_lock::SpinWord;
use super::{
    Ahead, Capacity, Displaced, Mailbox, NoReply, Post, SendError, TrySendError, buffered,
    rendezvous, reply, reply_to,
};

pub(crate) fn model(f: impl Fn() + Sync + Send + 'static) {
    bounded_model(3, f);
}

fn bounded_model(preemptions: usize, f: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(f);
}

/// A waker that rings a bell, for a thread that waits for it.
struct Ring(Bell);

impl Wake for Ring {
    fn wake(self: Arc<Self>) {
        self.0.notify();
    }
}

/// Drives a future; every poll by another waker if `fickle`.
fn drive<F: Future>(future: F, fickle: bool) -> F::Output {
    let mut future = pin!(future);
    let mut bell = Arc::new(Ring(Bell::new()));
    loop {
        let waker = Waker::from(bell.clone());
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        bell.0.wait();
        if fickle {
            bell = Arc::new(Ring(Bell::new()));
        }
    }
}

pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    drive(future, false)
}

pub(crate) fn poll_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

fn recv<M>(mailbox: &Mailbox<M>) -> Option<M> {
    let mut receiver = mailbox.receiver();
    block_on(poll_fn(|cx| receiver.poll_recv(cx)))
}

// ---- the word lock ------------------------------------------------------------------------

#[test]
fn loom_the_word_lock_excludes_and_keeps_flags() {
    model(|| {
        let shared = Arc::new((SpinWord::new(2), loom::cell::UnsafeCell::new(0)));
        let add = |shared: &(SpinWord, loom::cell::UnsafeCell<u32>)| {
            let flags = shared.0.lock();
            assert_eq!(flags & 2, 2);
            // SAFETY: in the section; loom checks it.
            shared.1.with_mut(|n| unsafe { *n += 1 });
            shared.0.unlock(flags | 4);
        };
        let other = thread::spawn({
            let shared = shared.clone();
            move || add(&shared)
        });
        // A transition of the free word in between loses neither flag nor section.
        let changed = shared.0.transition(2, 2 | 8);
        add(&shared);
        other.join().unwrap();
        assert_eq!(shared.0.lock(), if changed { 14 } else { 6 });
        // SAFETY: the other thread has ended.
        assert_eq!(shared.1.with(|n| unsafe { *n }), 2);
    });
}

// ---- channels -----------------------------------------------------------------------------

#[test]
fn loom_a_rendezvous_meets() {
    model(|| {
        let (tx, rx) = rendezvous();
        let sender = thread::spawn(move || block_on(tx.send(1)));
        assert_eq!(block_on(rx.recv()), Some(1));
        sender.join().unwrap().unwrap();
        assert_eq!(block_on(rx.recv()), None, "the last sender is gone");
    });
}

#[test]
fn loom_a_full_buffer_lets_the_waiting_sender_in() {
    model(|| {
        let (tx, rx) = buffered(1);
        let sender = thread::spawn(move || (0..3).for_each(|n| block_on(tx.send(n)).unwrap()));
        assert_eq!(
            [(); 3].map(|()| block_on(rx.recv())),
            [Some(0), Some(1), Some(2)]
        );
        sender.join().unwrap();
    });
}

#[test]
fn loom_a_receive_dropped_with_a_value_passes_it_on() {
    model(|| {
        let (tx, rx) = rendezvous();
        let other = rx.clone();
        let gives_up = thread::spawn(move || {
            let polled = match poll_once(pin!(other.recv())) {
                Poll::Ready(value) => value,
                Poll::Pending => None, // dropped, perhaps with the value handed to it
            };
            // Where nobody else waits any more, the next receive finds it.
            polled.or_else(|| other.try_recv().ok())
        });
        let sender = thread::spawn(move || block_on(tx.send(1)).unwrap());
        let taken = [block_on(rx.recv()), gives_up.join().unwrap()];
        assert!(
            taken == [Some(1), None] || taken == [None, Some(1)],
            "{taken:?}"
        );
        sender.join().unwrap();
    });
}

#[test]
fn loom_a_dropped_send_is_taken_back_or_delivered() {
    model(|| {
        let (tx, rx) = rendezvous();
        let value = loom::sync::Arc::new(());
        let sender = thread::spawn({
            let value = value.clone();
            move || {
                drop(poll_once(pin!(tx.send(Some(value)))));
                block_on(tx.send(None)).unwrap();
            }
        });
        let mut received = 0;
        while block_on(rx.recv()).unwrap().is_some() {
            received += 1;
        }
        assert!(received <= 1);
        sender.join().unwrap();
        assert_eq!(loom::sync::Arc::strong_count(&value), 1, "lost or leaked");
    });
}

#[test]
fn loom_a_send_that_races_with_close_is_received_or_comes_back() {
    model(|| {
        let (tx, rx) = rendezvous();
        let closer = tx.clone();
        let sender = thread::spawn(move || block_on(tx.send(1)));
        let closing = thread::spawn(move || closer.close());
        let received = block_on(rx.recv());
        match sender.join().unwrap() {
            Ok(()) => assert_eq!(received, Some(1)),
            Err(SendError(value)) => assert_eq!((value, received), (1, None)),
        }
        assert!(closing.join().unwrap());
    });
}

#[test]
fn loom_the_last_receiver_frees_waiting_senders() {
    model(|| {
        let (tx, rx) = buffered(1);
        tx.try_send(0).unwrap();
        let sender = thread::spawn(move || block_on(tx.send(1)));
        drop(rx);
        assert!(sender.join().unwrap().is_err());
    });
}

// ---- mailboxes ----------------------------------------------------------------------------

#[test]
fn loom_a_push_never_misses_a_receiver_that_parks() {
    for capacity in [
        Capacity::Rendezvous,
        Capacity::Buffered(1),
        Capacity::Unbounded,
    ] {
        model(move || {
            let mailbox = Arc::new(Mailbox::new(capacity));
            let sender = thread::spawn({
                let mailbox = mailbox.clone();
                move || (0..2).for_each(|n| block_on(mailbox.send(n)).unwrap())
            });
            let mut receiver = mailbox.receiver();
            for n in 0..2 {
                let next = block_on(poll_fn(|cx| receiver.poll_recv(cx)));
                assert_eq!(next, Some(n));
            }
            sender.join().unwrap();
        });
    }
}

#[test]
fn loom_two_senders_and_one_receiver_lose_nothing() {
    model(|| {
        let mailbox = Arc::new(Mailbox::new(Capacity::Buffered(1)));
        let senders = [1, 2].map(|n| {
            let mailbox = mailbox.clone();
            thread::spawn(move || block_on(mailbox.send(n)).unwrap())
        });
        let sum = recv(&mailbox).unwrap() + recv(&mailbox).unwrap();
        assert_eq!(sum, 3);
        senders
            .into_iter()
            .for_each(|sender| sender.join().unwrap());
    });
}

#[test]
fn loom_a_receiver_may_change_its_waker_while_it_is_woken() {
    model(|| {
        let mailbox = Arc::new(Mailbox::new(Capacity::Unbounded));
        let senders = [1, 2].map(|n| {
            let mailbox = mailbox.clone();
            thread::spawn(move || mailbox.try_send(n).unwrap())
        });
        let mut receiver = mailbox.receiver();
        let mut sum = 0;
        for _ in 0..2 {
            sum += drive(poll_fn(|cx| receiver.poll_recv(cx)), true).unwrap();
        }
        assert_eq!(sum, 3);
        drop(receiver); // takes the waker away, perhaps from under a wake
        senders
            .into_iter()
            .for_each(|sender| sender.join().unwrap());
    });
}

#[test]
fn loom_the_ring_grows_while_a_batch_is_out() {
    model(|| {
        let mailbox = Arc::new(Mailbox::new(Capacity::Unbounded));
        let value = loom::sync::Arc::new(());
        (0..2).for_each(|n| mailbox.try_send((n, value.clone())).unwrap());
        let sender = thread::spawn({
            let (mailbox, value) = (mailbox.clone(), value.clone());
            move || (2..5).for_each(|n| mailbox.try_send((n, value.clone())).unwrap())
        });
        let mut receiver = mailbox.receiver();
        for n in 0..4 {
            let (next, _) = block_on(poll_fn(|cx| receiver.poll_recv(cx))).unwrap();
            assert_eq!(next, n);
        }
        sender.join().unwrap();
        drop(receiver);
        drop(mailbox);
        assert_eq!(loom::sync::Arc::strong_count(&value), 1, "lost or leaked");
    });
}

#[test]
fn loom_a_receiver_that_parks_before_it_handles_the_message_misses_none() {
    model(|| {
        let mailbox = Arc::new(Mailbox::new(Capacity::Buffered(2)));
        let mut receiver = mailbox.receiver();
        let bell = Arc::new(Ring(Bell::new()));
        let waker = Waker::from(bell.clone());
        let mut cx = Context::from_waker(&waker);
        // It knows the waker now, which parking ahead takes.
        assert!(receiver.poll_recv(&mut cx).is_pending());
        let sender = thread::spawn({
            let mailbox = mailbox.clone();
            move || (0..3).for_each(|n| block_on(mailbox.send(n)).unwrap())
        });
        for n in 0..3 {
            let mut message = None;
            while receiver
                .poll_recv_into(&mut cx, &mut message, Ahead::Yes)
                .is_pending()
            {
                bell.0.wait();
            }
            assert_eq!(message, Some(n));
        }
        sender.join().unwrap();
        assert_eq!(mailbox.len(), 0);
    });
}

#[test]
fn loom_a_kick_is_seen_by_a_receiver_that_parks() {
    model(|| {
        let mailbox = Arc::new(Mailbox::<u8>::new(Capacity::Buffered(1)));
        let stop = Arc::new(AtomicBool::new(false));
        let kicker = thread::spawn({
            let (mailbox, stop) = (mailbox.clone(), stop.clone());
            move || {
                stop.store(true, Relaxed);
                mailbox.wake_receiver();
            }
        });
        let mut receiver = mailbox.receiver();
        block_on(poll_fn(|cx| {
            if stop.load(Relaxed) {
                return Poll::Ready(());
            }
            receiver.poll_recv(cx).map(drop)
        }));
        kicker.join().unwrap();
    });
}

#[test]
fn loom_a_mailbox_send_given_up_is_taken_back_or_delivered() {
    for capacity in [Capacity::Rendezvous, Capacity::Buffered(1)] {
        model(move || {
            let mailbox = Arc::new(Mailbox::new(capacity));
            let value = loom::sync::Arc::new(());
            let sender = thread::spawn({
                let (mailbox, value) = (mailbox.clone(), value.clone());
                move || {
                    block_on(mailbox.send(Some(value.clone()))).unwrap();
                    drop(poll_once(pin!(mailbox.send(Some(value)))));
                    block_on(mailbox.send(None)).unwrap();
                }
            });
            let mut received = 0;
            let mut receiver = mailbox.receiver();
            while block_on(poll_fn(|cx| receiver.poll_recv(cx)))
                .unwrap()
                .is_some()
            {
                received += 1;
            }
            assert!((1..=2).contains(&received));
            sender.join().unwrap();
            assert_eq!(loom::sync::Arc::strong_count(&value), 1, "lost or leaked");
        });
    }
}

#[test]
fn loom_closing_a_mailbox_returns_or_keeps_each_message() {
    bounded_model(2, || {
        let mailbox = Arc::new(Mailbox::new(Capacity::Buffered(1)));
        let sender = thread::spawn({
            let mailbox = mailbox.clone();
            move || {
                (0..2)
                    .map(|n| block_on(mailbox.send(n)))
                    .filter(Result::is_ok)
                    .count()
            }
        });
        let closer = thread::spawn({
            let mailbox = mailbox.clone();
            move || mailbox.close()
        });
        let mut received = 0;
        while recv(&mailbox).is_some() {
            received += 1;
        }
        assert_eq!(sender.join().unwrap(), received);
        assert!(closer.join().unwrap());
        assert!(matches!(mailbox.try_send(9), Err(TrySendError::Closed(9))));
    });
}

/// Values and their order, whichever of the two takes each.
fn drop_oldest_against_a_receiver(mailbox: Mailbox<u32>, queued: u32) {
    let mailbox = Arc::new(mailbox);
    (0..queued).for_each(|n| assert_eq!(mailbox.offer(n, Post::default(), false), Ok(None)));
    let sender = thread::spawn({
        let mailbox = mailbox.clone();
        move || {
            let mut dropped = Vec::new();
            for n in queued..queued + 2 {
                match mailbox.offer(n, Post::default(), true) {
                    Ok(Some(Displaced::Oldest(old))) => dropped.push(old),
                    other => assert_eq!(other, Ok(None)),
                }
            }
            mailbox.close();
            dropped
        }
    });
    let mut received = Vec::new();
    let mut receiver = mailbox.receiver();
    while let Some(n) = block_on(poll_fn(|cx| receiver.poll_recv(cx))) {
        received.push(n);
    }
    let dropped = sender.join().unwrap();
    assert!(received.is_sorted() && dropped.is_sorted());
    let mut all = [received, dropped].concat();
    all.sort_unstable();
    assert!(all.into_iter().eq(0..queued + 2), "lost or received twice");
}

#[test]
fn loom_dropping_the_oldest_of_a_ring_meets_a_receiver() {
    // The smallest one whose receiver takes more than one at a time.
    bounded_model(2, || {
        drop_oldest_against_a_receiver(Mailbox::new(Capacity::Buffered(8)), 8)
    });
}

#[test]
fn loom_dropping_the_oldest_of_a_lane_meets_a_receiver() {
    bounded_model(2, || {
        drop_oldest_against_a_receiver(Mailbox::special(Capacity::Buffered(1), None), 1);
    });
}

#[test]
fn loom_an_urgent_message_wakes_a_receiver_that_parks() {
    model(|| {
        let mailbox = Arc::new(Mailbox::special(Capacity::Buffered(1), None));
        let sender = thread::spawn({
            let mailbox = mailbox.clone();
            move || {
                for urgent in [true, false] {
                    let post = Post {
                        urgent,
                        ..Post::default()
                    };
                    block_on(mailbox.send_as(urgent, post)).unwrap();
                }
            }
        });
        assert_eq!([recv(&mailbox), recv(&mailbox)], [Some(true), Some(false)]);
        sender.join().unwrap();
    });
}

// ---- replies ------------------------------------------------------------------------------

#[test]
fn loom_an_answer_reaches_an_asker_that_parks() {
    for fickle in [false, true] {
        model(move || {
            let value = loom::sync::Arc::new(());
            let (reply, future) = reply();
            let replier = thread::spawn({
                let value = value.clone();
                move || reply.send(value)
            });
            assert!(drive(future, fickle).is_ok());
            replier.join().unwrap();
            assert_eq!(loom::sync::Arc::strong_count(&value), 1);
        });
    }
}

#[test]
fn loom_an_asker_may_move_while_it_is_answered() {
    model(|| {
        let early = Arc::new(Ring(Bell::new()));
        let (reply, future) = reply_to::<u8>(&Waker::from(early));
        let replier = thread::spawn(move || reply.send(7));
        // Registered with one waker, polled with others: the last one must be rung.
        assert_eq!(drive(future, true), Ok(7));
        replier.join().unwrap();
    });
}

#[test]
fn loom_an_asker_that_leaves_and_an_answer_free_the_slot_once() {
    model(|| {
        let value = loom::sync::Arc::new(());
        let (reply, mut future) = reply();
        let replier = thread::spawn({
            let value = value.clone();
            move || reply.send(value)
        });
        drop(poll_once(Pin::new(&mut future)));
        drop(future);
        replier.join().unwrap();
        assert_eq!(loom::sync::Arc::strong_count(&value), 1, "lost or leaked");
    });
}

#[test]
fn loom_a_dropped_reply_wakes_the_asker() {
    model(|| {
        let (reply, future) = reply::<u8>();
        let replier = thread::spawn(move || drop(reply));
        assert_eq!(block_on(future), Err(NoReply::Dropped));
        replier.join().unwrap();
    });
}
