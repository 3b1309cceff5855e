//! Models of `select`, explored by loom: exactly one arm happens, in every interleaving.
//!
//! `RUSTFLAGS="--cfg actor_loom" cargo test -p actor-core --lib --release loom_select`
//!
//! They use the builder, as the macro's code names the crate from outside; the engine is the same.
//! A lost wake-up, or two that wait for each other, shows as a deadlock.

use std::future::IntoFuture;
use std::pin::pin;
use std::task::Poll;

use loom::thread;

use super::Select;
use crate::chan::loom_models::{block_on, model, poll_once};
use crate::chan::{SendError, buffered, rendezvous};

#[test]
fn loom_select_takes_one_of_two_values() {
    model(|| {
        let (a_tx, a) = rendezvous();
        let (b_tx, b) = rendezvous();
        let senders = [&a_tx, &b_tx].map(|tx| {
            let tx = tx.clone();
            thread::spawn(move || tx.try_send(1).is_ok())
        });
        let mut select = pin!(
            Select::new()
                .biased()
                .recv(&a, |v| v)
                .recv(&b, |v| v)
                .into_future()
        );
        let mut received = matches!(poll_once(select.as_mut()), Poll::Ready(Some(1)));
        let sent = senders.map(|sender| sender.join().unwrap());
        if !received {
            received = matches!(poll_once(select.as_mut()), Poll::Ready(Some(1)));
        }
        // What was sent was received; a rendezvous has no other place for it.
        assert_eq!(sent.iter().filter(|ok| **ok).count(), usize::from(received));
    });
}

#[test]
fn loom_select_wakes_for_either_of_two_senders() {
    model(|| {
        let (a_tx, a) = rendezvous();
        let (b_tx, b) = rendezvous();
        let senders = [a_tx, b_tx].map(|tx| thread::spawn(move || block_on(tx.send(1))));
        let select = || Select::new().biased().recv(&a, |v| v).recv(&b, |v| v);
        let first = block_on(select().into_future());
        assert_eq!(first, Some(1));
        // One of the senders has been served; the other one is, or finds the channel closed.
        drop((a, b));
        let served = senders.map(|sender| sender.join().unwrap());
        let failed = Err(SendError(1));
        assert!(served == [Ok(()), failed] || served == [failed, Ok(())]);
    });
}

#[test]
fn loom_select_meets_select_crossed() {
    model(|| {
        let (there, inbox) = rendezvous();
        let (back, outbox) = rendezvous();
        let other = thread::spawn(move || {
            let select = Select::new()
                .biased()
                .recv(&inbox, |v| ("there", v.unwrap()))
                .send(&back, 2, |r| {
                    r.unwrap();
                    ("back", 2)
                });
            (block_on(select.into_future()), inbox, back)
        });
        let select = Select::new()
            .biased()
            .send(&there, 1, |r| {
                r.unwrap();
                ("there", 1)
            })
            .recv(&outbox, |v| ("back", v.unwrap()));
        let mine = block_on(select.into_future());
        let (theirs, ..) = other.join().unwrap();
        assert_eq!(mine, theirs);
    });
}

#[test]
fn loom_select_dropped_returns_what_it_was_handed() {
    model(|| {
        let (tx, rx) = rendezvous();
        let (_idle_tx, idle) = rendezvous();
        let receiver = rx.clone();
        let gives_up = thread::spawn(move || {
            let select = Select::new().biased().recv(&idle, |v| v).recv(&rx, |v| v);
            match poll_once(pin!(select.into_future())) {
                Poll::Ready(value) => value,
                Poll::Pending => None, // dropped, perhaps with a value
            }
        });
        let sent = tx.try_send(1).is_ok();
        let taken = gives_up.join().unwrap();
        let left = receiver.try_recv().ok();
        assert_eq!(taken.or(left), sent.then_some(1));
        assert!(taken.is_none() || left.is_none());
    });
}

#[test]
fn loom_select_dropped_send_is_in_the_slot_or_delivered() {
    model(|| {
        let (tx, rx) = rendezvous();
        let (other, _idle) = rendezvous();
        let sender = thread::spawn(move || {
            let mut slot = Some(1);
            let select = Select::new()
                .biased()
                .send_from(&tx, &mut slot, |r| r)
                .send(&other, 5, |_| unreachable!());
            let _ = poll_once(pin!(select.into_future()));
            (slot, tx)
        });
        let received = rx.try_recv().ok();
        let (slot, _tx) = sender.join().unwrap();
        assert_eq!(received.or(slot), Some(1));
        assert!(received.is_none() || slot.is_none());
    });
}

#[test]
fn loom_select_hears_of_a_close() {
    model(|| {
        let (a_tx, a) = rendezvous::<u8>();
        let (b_tx, b) = rendezvous::<u8>();
        let closers = [
            thread::spawn(move || assert!(a_tx.close())),
            thread::spawn(move || drop(b_tx)),
        ];
        let select = Select::new().biased().recv(&a, |v| v).recv(&b, |v| v);
        assert_eq!(block_on(select.into_future()), None);
        closers
            .into_iter()
            .for_each(|closer| closer.join().unwrap());
    });
}

#[test]
fn loom_select_leaves_the_queue_to_those_behind_it() {
    model(|| {
        let (tx, rx) = buffered(1);
        let (_idle_tx, idle) = rendezvous();
        let behind = rx.clone();
        let plain = thread::spawn(move || block_on(behind.recv()));
        let sender = thread::spawn(move || block_on(tx.send(1)));
        let gave_up = {
            let select = Select::new().biased().recv(&idle, |v| v).recv(&rx, |v| v);
            let mut select = pin!(select.into_future());
            match poll_once(select.as_mut()) {
                Poll::Pending => poll_once(select),
                ready => ready,
            }
        };
        sender.join().unwrap().unwrap();
        let taken = match gave_up {
            Poll::Ready(value) => value,
            Poll::Pending => None,
        };
        let (received, left) = (plain.join().unwrap(), rx.try_recv().ok());
        // Dropped with the value after the close, the select gives it back to the channel.
        let all = [taken, received, left];
        assert_eq!(all.iter().flatten().count(), 1, "{all:?}");
    });
}
