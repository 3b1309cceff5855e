//! Cancellation fuzz: channels against a sequential model, with futures dropped at any moment.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use actor_core::chan::{Recv, Send, SendError, TryRecvError, TrySendError, buffered};
use futures_core::Stream;
use futures_sink::Sink;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    Send,
    Recv,
    TrySend,
    TryRecv,
    PollSend(usize),
    PollRecv(usize),
    DropSend(usize),
    DropRecv(usize),
    Close,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        40 => Just(Step::Send),
        40 => Just(Step::Recv),
        10 => Just(Step::TrySend),
        10 => Just(Step::TryRecv),
        20 => any::<usize>().prop_map(Step::PollSend),
        20 => any::<usize>().prop_map(Step::PollRecv),
        20 => any::<usize>().prop_map(Step::DropSend),
        20 => any::<usize>().prop_map(Step::DropRecv),
        1 => Just(Step::Close),
    ]
}

/// The channel as a specification: numbers instead of futures.
#[derive(Default)]
struct Model {
    capacity: usize,
    closed: bool,
    buffer: VecDeque<u64>,
    /// Waiting sends, as (id, value).
    sends: VecDeque<(u64, u64)>,
    /// Waiting receives.
    recvs: VecDeque<u64>,
    /// What waiting operations got: sends are accepted or returned, receives have a value or none.
    sent: Vec<(u64, bool)>,
    received: Vec<(u64, Option<u64>)>,
}

impl Model {
    fn offer(&mut self, value: u64) -> Result<(), TrySendError<u64>> {
        if self.closed {
            return Err(TrySendError::Closed(value));
        }
        if let Some(recv) = self.recvs.pop_front() {
            self.received.push((recv, Some(value)));
        } else if self.buffer.len() < self.capacity {
            self.buffer.push_back(value);
        } else {
            return Err(TrySendError::Full(value));
        }
        Ok(())
    }

    fn take(&mut self) -> Result<u64, TryRecvError> {
        let buffered = self.buffer.pop_front();
        if (buffered.is_none() || self.buffer.len() < self.capacity)
            && let Some((send, value)) = self.sends.pop_front()
        {
            self.sent.push((send, true));
            match buffered {
                None => return Ok(value),
                Some(_) => self.buffer.push_back(value),
            }
        }
        buffered.ok_or(if self.closed {
            TryRecvError::Closed
        } else {
            TryRecvError::Empty
        })
    }

    fn close(&mut self) -> bool {
        self.sent
            .extend(self.sends.drain(..).map(|(send, _)| (send, false)));
        self.received
            .extend(self.recvs.drain(..).map(|recv| (recv, None)));
        !std::mem::replace(&mut self.closed, true)
    }

    fn finished_send(&mut self, id: u64) -> Option<bool> {
        let at = self.sent.iter().position(|(send, _)| *send == id)?;
        Some(self.sent.remove(at).1)
    }

    fn finished_recv(&mut self, id: u64) -> Option<Option<u64>> {
        let at = self.received.iter().position(|(recv, _)| *recv == id)?;
        Some(self.received.remove(at).1)
    }

    fn drop_recv(&mut self, id: u64) {
        self.recvs.retain(|recv| *recv != id);
        if let Some(Some(value)) = self.finished_recv(id) {
            match self.recvs.pop_front() {
                Some(next) => self.received.push((next, Some(value))),
                None => self.buffer.push_front(value),
            }
        }
    }

    fn drop_send(&mut self, id: u64) {
        self.sends.retain(|(send, _)| *send != id);
        self.finished_send(id);
    }
}

/// Id, value, future.
type WaitingSend<'a> = (u64, u64, Pin<Box<Send<'a, u64>>>);

/// Id, future.
type WaitingRecv<'a> = (u64, Pin<Box<Recv<'a, u64>>>);

fn poll<F: Future>(future: &mut Pin<Box<F>>) -> Poll<F::Output> {
    future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
}

/// Takes the `index`th element, modulo the length.
fn pick<T>(items: &[T], index: usize) -> Option<usize> {
    (!items.is_empty()).then(|| index % items.len())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 1_000, failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn a_channel_is_its_model_whatever_is_dropped_when(
        capacity in 0_usize..4,
        steps in proptest::collection::vec(step(), 0..120),
    ) {
        let (tx, rx) = buffered(capacity);
        let mut model = Model { capacity, ..Model::default() };
        let mut sends: Vec<WaitingSend<'_>> = Vec::new();
        let mut recvs: Vec<WaitingRecv<'_>> = Vec::new();
        for (id, step) in (0_u64..).zip(steps) {
            let value = id + 1_000;
            match step {
                Step::TrySend => prop_assert_eq!(tx.try_send(value), model.offer(value)),
                Step::TryRecv => prop_assert_eq!(rx.try_recv(), model.take()),
                Step::Send => {
                    let mut send = Box::pin(tx.send(value));
                    match (poll(&mut send), model.offer(value)) {
                        (Poll::Ready(Ok(())), Ok(())) => {}
                        (Poll::Ready(Err(SendError(a))), Err(TrySendError::Closed(b))) => {
                            prop_assert_eq!(a, b);
                        }
                        (Poll::Pending, Err(TrySendError::Full(_))) => {
                            model.sends.push_back((id, value));
                            sends.push((id, value, send));
                        }
                        (got, wanted) => prop_assert!(false, "{got:?} but {wanted:?}"),
                    }
                }
                Step::Recv => {
                    let mut recv = Box::pin(rx.recv());
                    match (poll(&mut recv), model.take()) {
                        (Poll::Ready(Some(a)), Ok(b)) => prop_assert_eq!(a, b),
                        (Poll::Ready(None), Err(TryRecvError::Closed)) => {}
                        (Poll::Pending, Err(TryRecvError::Empty)) => {
                            model.recvs.push_back(id);
                            recvs.push((id, recv));
                        }
                        (got, wanted) => prop_assert!(false, "{got:?} but {wanted:?}"),
                    }
                }
                Step::PollSend(index) => if let Some(at) = pick(&sends, index) {
                    let (id, value, send) = &mut sends[at];
                    let expected = model.finished_send(*id);
                    match poll(send) {
                        Poll::Pending => prop_assert_eq!(expected, None),
                        Poll::Ready(Ok(())) => prop_assert_eq!(expected, Some(true)),
                        Poll::Ready(Err(SendError(back))) => {
                            prop_assert_eq!((expected, back), (Some(false), *value));
                        }
                    }
                    if expected.is_some() {
                        drop(sends.remove(at));
                    }
                },
                Step::PollRecv(index) => if let Some(at) = pick(&recvs, index) {
                    let (id, recv) = &mut recvs[at];
                    let expected = model.finished_recv(*id);
                    match poll(recv) {
                        Poll::Pending => prop_assert_eq!(expected, None),
                        Poll::Ready(got) => prop_assert_eq!(expected, Some(got)),
                    }
                    if expected.is_some() {
                        drop(recvs.remove(at));
                    }
                },
                Step::DropSend(index) => if let Some(at) = pick(&sends, index) {
                    model.drop_send(sends.remove(at).0);
                },
                Step::DropRecv(index) => if let Some(at) = pick(&recvs, index) {
                    let (id, recv) = recvs.remove(at);
                    drop(recv);
                    model.drop_recv(id);
                },
                Step::Close => prop_assert_eq!(tx.close(), model.close()),
            }
            prop_assert_eq!(rx.len(), model.buffer.len());
        }
        drop(sends);
        drop(recvs);
    }
}

/// One receiver or sender of several, with at most one operation under way, as goroutines have.
#[derive(Clone, Debug)]
enum Act {
    /// Polls the operation of this goroutine, starting one if there is none.
    Poll(usize),
    /// Drops it.
    Cancel(usize),
    TrySend,
    TryRecv,
    /// A goroutine without an operation under way starts none any more; or a spare end is dropped.
    Leave(usize),
    Close,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        60 => any::<usize>().prop_map(Act::Poll),
        15 => any::<usize>().prop_map(Act::Cancel),
        6 => Just(Act::TrySend),
        6 => Just(Act::TryRecv),
        2 => any::<usize>().prop_map(Act::Leave),
        1 => Just(Act::Close),
    ]
}

const SENDERS: usize = 3;
const RECEIVERS: usize = 3;

/// Where every value is: sent values are in exactly one of these places.
#[derive(Default)]
struct Places {
    received: Vec<u64>,
    returned: Vec<u64>,
    /// In sends that were cancelled, which may have been delivered before.
    cancelled: Vec<u64>,
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 300, failure_persistence: None, ..ProptestConfig::default()
    })]

    /// What holds whatever happens, closes with waiting senders included: no value is lost or doubled,
    /// and a closed channel lets nobody wait.
    #[test]
    fn several_ends_that_come_and_go_lose_and_double_nothing(
        capacity in 0_usize..4,
        acts in proptest::collection::vec(act(), 0..200),
    ) {
        let (tx, rx) = buffered::<u64>(capacity);
        let txs: Vec<_> = (0..SENDERS).map(|_| tx.clone()).collect();
        let rxs: Vec<_> = (0..RECEIVERS).map(|_| rx.clone()).collect();
        let mut sends: Vec<Option<WaitingSend<'_>>> = (0..SENDERS).map(|_| None).collect();
        let mut recvs: Vec<Option<WaitingRecv<'_>>> = (0..RECEIVERS).map(|_| None).collect();
        let (mut here_s, mut here_r) = ([true; SENDERS], [true; RECEIVERS]);
        let (mut places, mut next, mut closed) = (Places::default(), 0_u64, false);
        let mut extra = (Some(tx), Some(rx));
        for act in acts {
            match act {
                Act::Poll(who) if who % 2 == 0 => {
                    let who = who / 2 % SENDERS;
                    if !here_s[who] {
                        continue;
                    }
                    let (_, value, send) = sends[who].get_or_insert_with(|| {
                        next += 1;
                        (0, next, Box::pin(txs[who].send(next)))
                    });
                    match poll(send) {
                        Poll::Pending => prop_assert!(!closed, "a send waits on a closed channel"),
                        Poll::Ready(Ok(())) => sends[who] = None,
                        Poll::Ready(Err(SendError(back))) => {
                            prop_assert!(closed && back == *value);
                            places.returned.push(back);
                            sends[who] = None;
                        }
                    }
                }
                Act::Poll(who) => {
                    let who = who / 2 % RECEIVERS;
                    if !here_r[who] {
                        continue;
                    }
                    let (_, recv) = recvs[who]
                        .get_or_insert_with(|| (0, Box::pin(rxs[who].recv())));
                    match poll(recv) {
                        Poll::Pending => prop_assert!(!closed, "a receive waits though it is closed"),
                        Poll::Ready(Some(value)) => {
                            places.received.push(value);
                            recvs[who] = None;
                        }
                        Poll::Ready(None) => {
                            prop_assert!(closed, "the end of an open channel");
                            recvs[who] = None;
                        }
                    }
                }
                Act::Cancel(who) if who % 2 == 0 => {
                    if let Some((_, value, send)) = sends[who / 2 % SENDERS].take() {
                        drop(send);
                        places.cancelled.push(value);
                    }
                }
                Act::Cancel(who) => recvs[who / 2 % RECEIVERS] = None,
                Act::TrySend => if let Some(tx) = &extra.0 {
                    next += 1;
                    match tx.try_send(next) {
                        Ok(()) => {}
                        Err(TrySendError::Closed(back)) => {
                            prop_assert!(closed);
                            places.returned.push(back);
                        }
                        Err(back) => {
                            prop_assert!(!closed && rxs[0].len() >= capacity);
                            places.returned.push(back.into_inner());
                        }
                    }
                },
                Act::TryRecv => if let Some(rx) = &extra.1 {
                    match rx.try_recv() {
                        Ok(value) => places.received.push(value),
                        Err(TryRecvError::Closed) => prop_assert!(closed),
                        Err(_) => prop_assert!(!closed),
                    }
                },
                Act::Leave(who) => match who % 4 {
                    0 => extra.0 = None,
                    1 => extra.1 = None,
                    // The clones themselves live to the end: their futures borrow from them.
                    2 if sends[who / 4 % SENDERS].is_none() => here_s[who / 4 % SENDERS] = false,
                    3 if recvs[who / 4 % RECEIVERS].is_none() => {
                        here_r[who / 4 % RECEIVERS] = false;
                    }
                    _ => {}
                },
                Act::Close => {
                    prop_assert_eq!(txs[0].close(), !closed);
                    closed = true;
                }
            }
            prop_assert_eq!(rxs[0].is_closed(), closed);
        }
        // The end: everybody finishes what is under way; what is left is received.
        txs[0].close();
        for (_, recv) in recvs.iter_mut().flatten() {
            match poll(recv) {
                Poll::Ready(value) => places.received.extend(value),
                Poll::Pending => prop_assert!(false, "a receive waits though it is closed"),
            }
        }
        drop(recvs);
        for (_, value, send) in sends.iter_mut().flatten() {
            match poll(send) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(SendError(back))) => {
                    prop_assert_eq!(back, *value);
                    places.returned.push(back);
                }
                Poll::Pending => prop_assert!(false, "a send waits on a closed channel"),
            }
        }
        drop(sends);
        places.received.extend(rxs[0].try_iter());
        let mut all = places.received.clone();
        all.extend(&places.returned);
        all.sort_unstable();
        let before = all.len();
        all.dedup();
        prop_assert_eq!(before, all.len(), "a value came up twice");
        all.extend(places.cancelled.iter().filter(|value| !places.received.contains(value)));
        all.sort_unstable();
        prop_assert_eq!(all, (1..=next).collect::<Vec<_>>(), "a value is lost");
    }

    /// A stream and a sink are a receiver and a sender, whatever is dropped when.
    #[test]
    fn a_stream_and_a_sink_lose_and_double_nothing_and_keep_the_order(
        capacity in 0_usize..4,
        acts in proptest::collection::vec(0_u8..8, 0..120),
    ) {
        let (tx, rx) = buffered::<u64>(capacity);
        let mut cx = Context::from_waker(Waker::noop());
        let mut sink = Box::pin(tx.sink());
        let mut stream = Box::pin(rx.stream());
        let (mut received, mut next, mut on_its_way) = (Vec::new(), 0, None);
        for act in acts {
            match act {
                0..=2 => if sink.as_mut().poll_ready(&mut cx).is_ready() {
                    next += 1;
                    on_its_way = Some(next);
                    prop_assert_eq!(sink.as_mut().start_send(next), Ok(()));
                },
                3 => if sink.as_mut().poll_flush(&mut cx).is_ready() {
                    on_its_way = None;
                },
                4 | 5 => if let Poll::Ready(Some(value)) = stream.as_mut().poll_next(&mut cx) {
                    received.push(value);
                },
                6 => stream.set(rx.stream()),
                _ => {
                    stream.set(rx.stream()); // what it held comes first
                    received.extend(rx.try_recv());
                }
            }
        }
        // A flush that is pending says that the last value is not in the channel yet.
        let flushed = sink.as_mut().poll_flush(&mut cx).is_ready();
        drop(stream);
        received.extend(rx.try_iter());
        if flushed || sink.as_mut().poll_flush(&mut cx).is_ready() {
            on_its_way = None;
        }
        received.extend(rx.try_iter());
        let last = next - u64::from(on_its_way.is_some());
        prop_assert_eq!(&received, &(1..=last).collect::<Vec<_>>());
    }
}
