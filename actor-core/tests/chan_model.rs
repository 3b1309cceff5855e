//! Cancellation fuzz: channels against a sequential model, with futures dropped at any moment.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use actor_core::chan::{Recv, Send, SendError, TryRecvError, TrySendError, buffered};
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
