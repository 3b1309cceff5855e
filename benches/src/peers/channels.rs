//! Plain channels: ours, and the crates of others, each on the runtime that its users mostly have.

use actor_core::chan;

use super::{Channel, Ours, Smol, Tokio};

/// Our own, on our own scheduler.
#[derive(Debug)]
pub struct OursChan;

impl Channel for OursChan {
    const NAME: &'static str = "actor-core";
    type Rt = Ours;
    type Tx = chan::Sender<u64>;
    type Rx = chan::Receiver<u64>;

    fn channel(capacity: usize) -> (Self::Tx, Self::Rx) {
        if capacity == 0 {
            chan::rendezvous()
        } else {
            chan::buffered(capacity)
        }
    }

    async fn send(tx: &Self::Tx, value: u64) -> bool {
        tx.send(value).await.is_ok()
    }

    async fn recv(rx: &mut Self::Rx) -> Option<u64> {
        rx.recv().await
    }
}

/// `tokio::sync::mpsc`.
#[derive(Debug)]
pub struct TokioMpsc;

impl Channel for TokioMpsc {
    const NAME: &'static str = "tokio mpsc";
    const RENDEZVOUS: bool = false;
    type Rt = Tokio;
    type Tx = ::tokio::sync::mpsc::Sender<u64>;
    type Rx = ::tokio::sync::mpsc::Receiver<u64>;

    fn channel(capacity: usize) -> (Self::Tx, Self::Rx) {
        ::tokio::sync::mpsc::channel(capacity)
    }

    async fn send(tx: &Self::Tx, value: u64) -> bool {
        tx.send(value).await.is_ok()
    }

    async fn recv(rx: &mut Self::Rx) -> Option<u64> {
        rx.recv().await
    }
}

/// kanal on tokio.
#[derive(Debug)]
pub struct Kanal;

impl Channel for Kanal {
    const NAME: &'static str = "kanal";
    type Rt = Tokio;
    type Tx = kanal::AsyncSender<u64>;
    type Rx = kanal::AsyncReceiver<u64>;

    fn channel(capacity: usize) -> (Self::Tx, Self::Rx) {
        kanal::bounded_async(capacity)
    }

    async fn send(tx: &Self::Tx, value: u64) -> bool {
        tx.send(value).await.is_ok()
    }

    async fn recv(rx: &mut Self::Rx) -> Option<u64> {
        rx.recv().await.ok()
    }
}

/// flume on tokio.
#[derive(Debug)]
pub struct Flume;

impl Channel for Flume {
    const NAME: &'static str = "flume";
    type Rt = Tokio;
    type Tx = flume::Sender<u64>;
    type Rx = flume::Receiver<u64>;

    fn channel(capacity: usize) -> (Self::Tx, Self::Rx) {
        flume::bounded(capacity)
    }

    async fn send(tx: &Self::Tx, value: u64) -> bool {
        tx.send_async(value).await.is_ok()
    }

    async fn recv(rx: &mut Self::Rx) -> Option<u64> {
        rx.recv_async().await.ok()
    }
}

/// async-channel on smol.
#[derive(Debug)]
pub struct AsyncChannel;

impl Channel for AsyncChannel {
    const NAME: &'static str = "async-channel";
    const RENDEZVOUS: bool = false;
    type Rt = Smol;
    type Tx = ::smol::channel::Sender<u64>;
    type Rx = ::smol::channel::Receiver<u64>;

    fn channel(capacity: usize) -> (Self::Tx, Self::Rx) {
        ::smol::channel::bounded(capacity)
    }

    async fn send(tx: &Self::Tx, value: u64) -> bool {
        tx.send(value).await.is_ok()
    }

    async fn recv(rx: &mut Self::Rx) -> Option<u64> {
        rx.recv().await.ok()
    }
}
