//! The works of plain channels between tasks, written once over [`Channel`].

use std::time::{Duration, Instant};

use super::{Figure, Work, share};
use crate::peers::{Channel, Runtime};

/// Does the work so often on a runtime of its own, after a warm-up.
pub fn run<C: Channel>(work: Work, ops: u64) -> Option<Vec<Figure>> {
    let rt = C::Rt::start();
    timed::<C>(&rt, work, (ops / 8).max(1));
    let mut figure = Figure::per_op(timed::<C>(&rt, work, ops), ops);
    if !C::RENDEZVOUS && matches!(work, Work::RendezvousPair | Work::RendezvousStream) {
        figure.note = "has no rendezvous channel: capacity 1".into();
    }
    Some(vec![figure])
}

fn timed<C: Channel>(rt: &C::Rt, work: Work, ops: u64) -> Duration {
    let smallest = usize::from(!C::RENDEZVOUS);
    match work {
        Work::RendezvousPair => rt.run(pair::<C>(ops, smallest)),
        Work::RendezvousStream => rt.run(stream::<C>(ops, smallest, 1)),
        Work::BufferedStream => rt.run(stream::<C>(ops, 128, 1)),
        Work::BufferedFour => rt.run(stream::<C>(ops, 128, 4)),
        _ => unreachable!("{work:?} is no work of channels"),
    }
}

/// Two tasks send a number there and back; one operation is one way.
async fn pair<C: Channel>(ops: u64, capacity: usize) -> Duration {
    let (ping_tx, mut ping_rx) = C::channel(capacity);
    let (pong_tx, mut pong_rx) = C::channel(capacity);
    let other = C::Rt::go(async move {
        while let Some(ball) = C::recv(&mut ping_rx).await {
            assert!(C::send(&pong_tx, ball + 1).await);
        }
    });
    let start = Instant::now();
    for ball in 0..ops.div_ceil(2) {
        assert!(C::send(&ping_tx, ball).await);
        let back = C::recv(&mut pong_rx).await;
        assert_eq!(back, Some(ball + 1));
    }
    let took = start.elapsed();
    drop(ping_tx);
    other.await;
    took
}

/// Some tasks send, one receives.
async fn stream<C: Channel>(ops: u64, capacity: usize, senders: u64) -> Duration {
    let (tx, mut rx) = C::channel(capacity);
    let start = Instant::now();
    let tasks: Vec<_> = (0..senders)
        .map(|task| {
            let tx = tx.clone();
            C::Rt::go(async move {
                for i in 0..share(ops, senders, task) {
                    assert!(C::send(&tx, i).await);
                }
            })
        })
        .collect();
    drop(tx);
    let (mut values, mut sum) = (0, 0);
    while let Some(value) = C::recv(&mut rx).await {
        values += 1;
        sum += value;
    }
    let took = start.elapsed();
    for task in tasks {
        task.await;
    }
    let sent = (0..senders)
        .map(|task| share(ops, senders, task))
        .map(|n| n * n.saturating_sub(1) / 2);
    assert_eq!((values, sum), (ops, sent.sum()));
    took
}
