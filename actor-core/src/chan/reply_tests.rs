//! What a reply promises: one answer or one reason, whoever goes first, and no leak.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Wake, Waker};
use std::thread;

use super::reply::{NoReply, Reply, discard_with, reply, reply_to};
use crate::sched::block_on_thread;

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn a_reply_is_one_word() {
    assert_eq!(size_of::<Reply<[u64; 8]>>(), size_of::<usize>());
}

#[test]
fn an_answer_before_the_first_poll_is_kept() {
    let (reply, mut future) = reply();
    reply.send(5);
    assert_eq!(poll_once(&mut future), Poll::Ready(Ok(5)));
}

#[test]
fn an_answer_wakes_the_asker_that_registered_early() {
    let count = Arc::new(Count::default());
    let waker = Waker::from(count.clone());
    let (reply, mut future) = reply_to(&waker);
    assert!(
        Pin::new(&mut future)
            .poll(&mut Context::from_waker(&waker))
            .is_pending()
    );
    reply.send(5);
    assert_eq!(count.0.load(Ordering::SeqCst), 1);
    assert_eq!(poll_once(&mut future), Poll::Ready(Ok(5)));
    drop(waker);
    assert_eq!(Arc::strong_count(&count), 1, "the slot let go of the waker");
}

#[test]
fn an_asker_that_moves_to_another_task_is_woken_there() {
    let (first, second) = (Arc::new(Count::default()), Arc::new(Count::default()));
    let (reply, mut future) = reply_to::<u8>(&Waker::from(first.clone()));
    let waker = Waker::from(second.clone());
    let _ = Pin::new(&mut future).poll(&mut Context::from_waker(&waker));
    reply.send(1);
    let wakes = [&first, &second].map(|count| count.0.load(Ordering::SeqCst));
    assert_eq!(wakes, [0, 1]);
}

#[test]
fn an_asker_that_leaves_takes_its_waker_along() {
    let count = Arc::new(Count::default());
    let waker = Waker::from(count.clone());
    let (_early, future) = reply_to::<u8>(&waker);
    drop(future);
    assert_eq!(Arc::strong_count(&count), 2, "registered from the start");
    let (_late, mut future) = reply::<u8>();
    let _ = Pin::new(&mut future).poll(&mut Context::from_waker(&waker));
    assert_eq!(Arc::strong_count(&count), 3);
    drop(future);
    assert_eq!(Arc::strong_count(&count), 2, "registered when polled");
}

#[test]
fn a_dropped_reply_says_so_and_says_why() {
    let (dropped, mut future) = reply::<u8>();
    drop(dropped);
    assert_eq!(poll_once(&mut future), Poll::Ready(Err(NoReply::Dropped)));

    let (stopped, mut future) = reply::<u8>();
    discard_with(NoReply::Stopped, || drop(stopped));
    assert_eq!(poll_once(&mut future), Poll::Ready(Err(NoReply::Stopped)));

    let (panicked, mut future) = reply::<u8>();
    let handler = thread::spawn(move || {
        let _in_the_message = panicked;
        std::panic::resume_unwind(Box::new("handler"));
    });
    assert!(handler.join().is_err());
    assert_eq!(poll_once(&mut future), Poll::Ready(Err(NoReply::Panicked)));

    let (after, mut future) = reply::<u8>();
    drop(after);
    assert_eq!(
        poll_once(&mut future),
        Poll::Ready(Err(NoReply::Dropped)),
        "the reason is restored"
    );
}

#[test]
fn nobody_wants_a_reply_whose_asker_left_and_the_value_is_dropped() {
    let value = Arc::new(());
    let (reply, future) = reply();
    assert!(reply.is_wanted());
    drop(future);
    assert!(!reply.is_wanted());
    reply.send(value.clone());
    assert_eq!(Arc::strong_count(&value), 1);
    assert!(!Reply::<u8>::none().is_wanted());
}

#[test]
fn an_answer_that_nobody_takes_is_dropped_with_the_future() {
    let value = Arc::new(());
    let (reply, future) = reply();
    reply.send(value.clone());
    drop(future);
    assert_eq!(Arc::strong_count(&value), 1);
}

#[test]
fn asker_and_replier_race_in_every_way() {
    const ROUNDS: usize = 10_000;
    let alive = Arc::new(());
    let wakes = Arc::new(Count::default());
    let waker = Waker::from(wakes.clone());
    thread::scope(|scope| {
        let (to_replier, replies) = std::sync::mpsc::sync_channel::<Reply<Arc<()>>>(16);
        let value = alive.clone();
        scope.spawn(move || {
            for (n, reply) in replies.iter().enumerate() {
                match n % 5 {
                    0 => drop(reply),
                    _ => reply.send(value.clone()),
                }
            }
        });
        for n in 0..ROUNDS {
            let (reply, future) = reply();
            to_replier.send(reply).unwrap();
            let mut future = pin!(future);
            match n % 3 {
                0 => {} // dropped at once
                // Dropped while registered.
                1 => drop(future.as_mut().poll(&mut Context::from_waker(&waker))),
                _ => {
                    let expected = n % 5 == 0;
                    assert_eq!(block_on_thread(future).is_err(), expected);
                }
            }
        }
    });
    assert_eq!(Arc::strong_count(&alive), 1, "no value is leaked");
    assert_eq!(Arc::strong_count(&wakes), 2, "and no waker");
}

/// A waker that answers when it is cloned: while the asker registers it.
struct Answers(Mutex<Option<Reply<u8>>>);

impl Answers {
    const VTABLE: RawWakerVTable =
        RawWakerVTable::new(Self::clone, Self::release, |_| {}, Self::release);

    fn waker(self: &Arc<Self>) -> Waker {
        let data = Arc::into_raw(self.clone()).cast();
        // SAFETY: the functions count the `Arc` that `data` came from.
        unsafe { Waker::from_raw(RawWaker::new(data, &Self::VTABLE)) }
    }

    unsafe fn clone(data: *const ()) -> RawWaker {
        let this = data.cast::<Self>();
        // SAFETY: the waker that is cloned has a count of this `Arc`.
        let reply = unsafe {
            Arc::increment_strong_count(this);
            (*this).0.lock().unwrap().take()
        };
        reply.into_iter().for_each(|reply| reply.send(7));
        RawWaker::new(data, &Self::VTABLE)
    }

    unsafe fn release(data: *const ()) {
        // SAFETY: the waker that goes has a count of this `Arc`.
        unsafe { Arc::decrement_strong_count(data.cast::<Self>()) };
    }
}

#[test]
fn an_answer_that_comes_while_the_asker_registers_is_taken_at_once() {
    let (reply, mut future) = reply();
    let answers = Arc::new(Answers(Mutex::new(Some(reply))));
    let polled = Pin::new(&mut future).poll(&mut Context::from_waker(&answers.waker()));
    assert_eq!(polled, Poll::Ready(Ok(7)));
    assert_eq!(Arc::strong_count(&answers), 1, "its waker is not kept");
}

#[test]
fn a_plain_reply_is_one_word_and_answers_forgets_and_panics_as_the_other() {
    use std::convert::Infallible;

    assert_eq!(size_of::<Reply<u8>>(), size_of::<usize>());
    let (slot, mut future) = reply::<Result<String, Infallible>>();
    let plain: Reply<String> = slot.plain();
    assert!(plain.is_wanted());
    plain.send("yes".into());
    assert_eq!(poll_once(&mut future), Poll::Ready(Ok(Ok("yes".into()))));

    let (slot, mut future) = reply::<Result<String, Infallible>>();
    drop(slot.plain());
    assert_eq!(poll_once(&mut future), Poll::Ready(Err(NoReply::Dropped)));

    let (slot, future) = reply::<Result<String, Infallible>>();
    let plain = slot.plain();
    drop(future);
    assert!(!plain.is_wanted());
    plain.send("nobody hears".into());

    let (slot, mut future) = reply::<Result<String, Infallible>>();
    slot.plain().fallible().send(Ok("back".into()));
    assert_eq!(poll_once(&mut future), Poll::Ready(Ok(Ok("back".into()))));
    assert!(!Reply::<Result<u8, Infallible>>::none().plain().is_wanted());
}

#[test]
fn a_reply_that_is_not_plain_cannot_be_taken_for_one() {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    let (slot, mut future) = reply::<u64>();
    assert!(catch_unwind(AssertUnwindSafe(|| drop(slot.fallible()))).is_err());
    assert!(matches!(poll_once(&mut future), Poll::Ready(Err(_))));
}
