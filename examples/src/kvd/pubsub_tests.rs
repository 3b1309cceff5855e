//! The publish/subscribe actor alone: what subscribers hear, and what they learn of its end.

use actor_core::actor::ExitReason;
use actor_core::testkit::{Probe, TestSupervisor, expect_down};

use super::pubsub::{Inbox, PubSub, PubSubRef, subscriber};

fn words(all: &[&str]) -> Vec<Vec<u8>> {
    all.iter().map(|word| word.as_bytes().to_vec()).collect()
}

/// A subscriber to these channels: its bell, and its end.
async fn subscribe(pubsub: &PubSubRef, who: u64, channels: &[&str]) -> (Probe<()>, Inbox) {
    let (member, inbox) = subscriber();
    let counts = pubsub.subscribe(who, words(channels), Some(member)).await;
    assert_eq!(counts, Ok(Some((1..=channels.len()).collect())));
    let bell = Probe::on(inbox.bell.clone()).named(&format!("bell of {who}"));
    (bell, inbox)
}

fn heard(inbox: &Inbox) -> String {
    let mut out = Vec::new();
    inbox.outbox.drain_into(&mut out);
    String::from_utf8_lossy(&out).replace("\r\n", " ")
}

async fn publish(pubsub: &PubSubRef, channel: &str, text: &str) -> usize {
    pubsub.publish(channel.into(), text.into()).await.unwrap()
}

#[actor_core::test]
async fn those_who_listen_hear_it_and_one_ring_is_enough() {
    let pubsub = PubSub::start().await.unwrap();
    let (ann, anns) = subscribe(&pubsub, 1, &["news", "cats"]).await;
    let (bob, bobs) = subscribe(&pubsub, 2, &["cats"]).await;
    assert_eq!(publish(&pubsub, "cats", "meow").await, 2);
    assert_eq!(publish(&pubsub, "news", "now").await, 1);
    assert_eq!(publish(&pubsub, "dogs", "woof").await, 0);
    ann.expect_msg().await;
    bob.expect_msg().await;
    let meow = "*3 $7 message $4 cats $4 meow ";
    assert_eq!(heard(&anns), format!("{meow}*3 $7 message $4 news $3 now "));
    assert_eq!(heard(&bobs), meow);
    // Published before the answers above: no second ring is on its way.
    assert_eq!((ann.try_msg(), bob.try_msg()), (None, None));
}

#[actor_core::test]
async fn who_leaves_and_who_hangs_up_is_forgotten() {
    let pubsub = PubSub::start().await.unwrap();
    let (ann, _anns) = subscribe(&pubsub, 1, &["cats"]).await;
    let (bob, bobs) = subscribe(&pubsub, 2, &["cats"]).await;
    pubsub.leave(1).tell().await.unwrap();
    ann.expect_closed().await;
    drop((bob, bobs));
    assert_eq!(publish(&pubsub, "cats", "meow").await, 0);
    let gone = pubsub.subscribe(2, words(&["cats"]), None).await;
    assert_eq!(gone, Ok(None));
}

#[actor_core::test]
async fn a_crash_hangs_up_on_all_so_that_they_subscribe_anew() {
    let sup = TestSupervisor::new().await;
    let pubsub = sup.start_child(PubSub::child("pubsub")).await;
    let (ann, _anns) = subscribe(&pubsub, 1, &["cats"]).await;
    let ends = expect_down(&pubsub);
    pubsub.crash().tell().await.unwrap();
    let message = "asked to by DEBUG PANIC".to_owned();
    assert_eq!(ends.await.reason, ExitReason::Panicked { message });
    ann.expect_closed().await;
    sup.expect_restarted("pubsub").await;
    let (ann, _anns) = subscribe(&pubsub, 1, &["cats"]).await;
    assert_eq!(publish(&pubsub, "cats", "meow").await, 1);
    ann.expect_msg().await;
}
