//! Everyone who subscribed to a topic gets every message published to it.
//!
//! What differs: unsubscribing is dropping the receiver. A send to it fails, and the broker forgets
//! it; and when the broker is dropped, so are the senders, which ends the subscribers' loops.
#![forbid(unsafe_code)]

use std::collections::HashMap;

use actor_core::chan::{self, Receiver, Sender};
use actor_core::sync::Mutex;

#[derive(Default)]
struct Broker {
    topics: Mutex<HashMap<String, Vec<Sender<String>>>>,
}

impl Broker {
    async fn subscribe(&self, topic: &str) -> Receiver<String> {
        let (tx, rx) = chan::buffered(8);
        let mut topics = self.topics.lock().await;
        topics.entry(topic.to_owned()).or_default().push(tx);
        rx
    }

    /// How many were reached. A subscriber whose buffer is full makes everybody wait, as in Go.
    async fn publish(&self, topic: &str, message: &str) -> usize {
        // The guard may be held across the awaits below.
        let mut topics = self.topics.lock().await;
        let Some(subscribers) = topics.get_mut(topic) else {
            return 0;
        };
        for tx in std::mem::take(subscribers) {
            if tx.send(message.to_owned()).await.is_ok() {
                subscribers.push(tx);
            }
        }
        subscribers.len()
    }
}

#[actor_core::main]
async fn main() {
    let broker = Broker::default();
    let ann = broker.subscribe("news").await;
    let bob = broker.subscribe("news").await;
    let cid = broker.subscribe("sport").await;

    println!("reached: {}", broker.publish("news", "rain tomorrow").await);
    println!("reached: {}", broker.publish("sport", "two to one").await);
    println!(
        "reached: {}",
        broker.publish("music", "nobody hears this").await
    );
    drop(broker);

    for (name, messages) in [("ann", ann), ("bob", bob), ("cid", cid)] {
        while let Some(message) = messages.recv().await {
            println!("{name}: {message}");
        }
    }
}
