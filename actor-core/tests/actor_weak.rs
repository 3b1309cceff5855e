//! Weak handles, what an actor does without handles, and how handles compare, hash and print.

use std::collections::HashSet;

use actor_core::actor::{
    Actor, ActorRef, ExitReason, ProtocolCall, StopReason, WeakRef, WhenUnreferenced,
};
use actor_core::chan::{Receiver, Sender, buffered};
use actor_core::prelude::*;

struct Cache {
    me: WeakRef<Self>,
    stopped: Sender<StopReason>,
}

#[actor]
impl Cache {
    #[init]
    fn new(stopped: Sender<StopReason>, ctx: &Ctx<Self>) -> Self {
        Cache {
            me: ctx.weak(),
            stopped,
        }
    }

    pub fn ping(&mut self) {}

    pub fn finds_itself(&mut self) -> bool {
        self.me.upgrade().is_some()
    }

    pub async fn block(&mut self, entered: Sender<()>, open: Receiver<()>) {
        entered.send(()).await.unwrap();
        open.recv().await;
    }

    #[stopped]
    fn close(self, why: StopReason) {
        self.stopped.try_send(why).unwrap();
    }
}

#[actor_core::test]
async fn a_weak_handle_gives_a_handle_and_does_not_keep_an_actor_alive() {
    let (stopped, why) = buffered(1);
    let cache = Cache::start(stopped).await.unwrap();
    let weak = cache.downgrade();
    assert_eq!(cache.finds_itself().await, Ok(true));
    let again: CacheRef = weak.upgrade().unwrap();
    assert_eq!(again, cache);
    drop(cache);
    again.ping().await.unwrap();
    let ended = again.wait();
    drop(again);
    assert_eq!(ended.await, ExitReason::Normal);
    assert_eq!(why.recv().await, Some(StopReason::HandlesGone));
    assert!(weak.upgrade().is_none());
    assert_eq!(weak.name(), "Cache", "its name and id outlive it");
}

#[actor_core::test]
async fn no_handle_comes_back_once_the_last_one_is_gone_even_while_the_actor_works() {
    let (stopped, why) = buffered(1);
    let cache = Cache::start(stopped).await.unwrap();
    let weak = cache.downgrade();
    let (entered, is_in) = buffered(1);
    let (open, gate) = buffered(1);
    cache.block(entered, gate).tell().await.unwrap();
    is_in.recv().await.unwrap();
    drop(cache);
    assert!(weak.upgrade().is_none(), "it is on its way out");
    open.send(()).await.unwrap();
    assert_eq!(why.recv().await, Some(StopReason::HandlesGone));
}

#[actor_core::test]
async fn a_supervised_actor_has_weak_handles_across_restarts_without_any_strong_one() {
    let (stopped, why) = buffered(1);
    let child = Cache::child("cache", stopped);
    let weak = child.handle().downgrade();
    assert!(weak.upgrade().is_some(), "before the start");
    let app = Supervisor::one_for_one("app")
        .child(child)
        .start()
        .await
        .unwrap();
    weak.upgrade().unwrap().ping().await.unwrap();
    drop(weak.upgrade().unwrap().kill().await);
    weak.upgrade().unwrap().ping().await.unwrap();
    app.stop().await;
    assert_eq!(why.recv().await, Some(StopReason::Supervisor));
    assert!(weak.upgrade().is_none());
}

struct Keeper {
    rings: Receiver<u32>,
}

#[actor(when_unreferenced = keep)]
impl Keeper {
    #[init]
    fn new(rings: Receiver<u32>, heard: Sender<u32>, ctx: &Ctx<Self>) -> Self {
        let bell = rings.clone();
        ctx.attach(bell.into_stream(), move |me, n| {
            heard.try_send(n).unwrap();
            me.ring(n)
        });
        Keeper { rings }
    }

    pub fn ring(&mut self, n: u32, ctx: &Ctx<Self>) {
        assert!(!self.rings.is_closed());
        if n == 0 {
            ctx.stop();
        }
    }
}

#[actor_core::test]
async fn an_actor_that_keeps_running_without_handles_lives_by_its_streams_and_ends_itself() {
    const { assert!(matches!(Keeper::WHEN_UNREFERENCED, WhenUnreferenced::Keep)) }
    const { assert!(matches!(Cache::WHEN_UNREFERENCED, WhenUnreferenced::Stop)) }
    let (ring, rings) = buffered(1);
    let (heard, hears) = buffered(4);
    let keeper = Keeper::start(rings, heard).await.unwrap();
    let weak = keeper.downgrade();
    let ended = keeper.wait();
    drop(keeper);
    ring.send(7).await.unwrap();
    assert_eq!(hears.recv().await, Some(7), "it still runs");
    weak.upgrade().unwrap().ring(1).await.unwrap();
    ring.send(0).await.unwrap();
    assert_eq!(ended.await, ExitReason::Normal);
    assert!(weak.upgrade().is_none());
}

#[actor_core::test]
async fn handles_of_all_kinds_compare_hash_and_print_by_the_actor_they_mean() {
    let (stopped, _why) = buffered(4);
    let one = Cache::start(stopped.clone()).await.unwrap();
    let two = Cache::start(stopped).await.unwrap();
    let name = format!("Cache#{}", one.id());

    assert!(one == one.clone() && one != two);
    assert_eq!(
        HashSet::from([one.clone(), two.clone(), one.clone()]).len(),
        2
    );
    assert_eq!(format!("{one:?}"), name);

    let (weak, other): (WeakRef<Cache>, _) = (one.downgrade(), two.downgrade());
    assert!(weak == one.downgrade() && weak != other && weak.id() == one.id());
    assert_eq!(HashSet::from([weak.clone(), other, weak.clone()]).len(), 2);
    assert_eq!(format!("{weak:?}"), format!("weak {name}"));

    let address: &ActorRef<Cache> = one.actor_ref();
    assert_eq!(address.downgrade(), weak);
    assert_eq!(format!("{address:?}"), name);
    assert_eq!(HashSet::from([address.clone(), address.clone()]).len(), 1);

    let app = Supervisor::one_for_one("tree").start().await.unwrap();
    let printed = format!("{app:?}");
    assert!(printed.contains("tree"), "{printed}");
    assert_eq!(HashSet::from([app.clone(), app.clone()]).len(), 1);
    app.stop().await;
}

/// What can be asked how often it was asked.
#[protocol]
pub trait Counted {
    fn asked(&self) -> u32;
}

struct Counter(u32);

#[actor(vis = pub(crate), protocol = Counted)]
impl Counter {
    #[init]
    fn new() -> Self {
        Self(0)
    }

    pub fn asked(&mut self) -> u32 {
        self.0 += 1;
        self.0
    }
}

struct Mock;

impl Counted for Mock {
    fn asked(&self) -> ProtocolCall<'_, u32> {
        ProtocolCall::answer(Ok(0))
    }
}

#[actor_core::test]
async fn a_weak_handle_of_a_protocol_does_not_keep_the_actor_alive() {
    let counter = Counter::start().await.unwrap();
    let counted = CountedRef::from(counter.clone());
    let weak = counted.downgrade();
    let ended = counter.wait();
    drop(counter);
    assert_eq!(
        counted.asked().await,
        Ok(1),
        "the protocol's handle keeps it"
    );
    let again = weak.upgrade().unwrap();
    drop(counted);
    assert_eq!(again.asked().await, Ok(2), "and so does an upgraded one");
    drop(again);
    assert_eq!(ended.await, ExitReason::Normal);
    assert!(weak.upgrade().is_none());
}

#[actor_core::test]
async fn a_weak_handle_of_a_mock_ends_with_its_last_handle() {
    let mock = CountedRef::new(Mock);
    let weak = mock.downgrade();
    assert_eq!(weak.id(), None);
    assert_eq!(weak.upgrade().unwrap(), mock);
    drop(mock);
    assert!(weak.upgrade().is_none());
    assert_eq!(format!("{weak:?}"), "weak handle of a mock");
}

#[actor_core::test]
async fn weak_handles_of_a_protocol_compare_and_hash_by_what_they_mean() {
    let counter = Counter::start().await.unwrap();
    let (one, two) = (CountedRef::from(counter.clone()), CountedRef::new(Mock));
    let same = CountedRef::from(counter.clone()).downgrade();
    assert_eq!(one.downgrade(), same);
    assert_eq!(same.id(), Some(counter.id()));
    assert_ne!(one.downgrade(), two.downgrade());
    assert_ne!(two.downgrade(), CountedRef::new(Mock).downgrade());
    let all = HashSet::from([
        same.clone(),
        one.downgrade(),
        two.downgrade(),
        two.downgrade(),
    ]);
    assert_eq!(all.len(), 2);
    assert_eq!(
        format!("{same:?}"),
        format!("weak Counter#{}", counter.id())
    );
}
