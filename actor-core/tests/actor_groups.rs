//! Groups: who is a member, who is told, and that no message is lost without a word.

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use actor_core::actor::groups::{self, Change, Group, GroupError};
use actor_core::actor::{Overflow, Report, Undelivered, UndeliveredReason};
use actor_core::prelude::*;
use actor_core::sync::WaitGroup;

#[derive(Clone)]
struct Event(u64);

/// Hears events; holds still at the gate while one is closed.
struct Ear {
    heard: Vec<u64>,
}

#[actor(mailbox = buffered(2))]
impl Ear {
    #[init]
    fn new() -> Self {
        Ear { heard: Vec::new() }
    }

    pub fn hear(&mut self, n: u64) {
        self.heard.push(n);
    }

    pub fn heard(&self) -> Vec<u64> {
        self.heard.clone()
    }

    pub async fn hold(&self, entered: WaitGroup, gate: WaitGroup) {
        entered.done();
        gate.wait().await;
    }

    pub fn crash(&self) {
        panic!("asked to");
    }
}

struct Sum(u64);

#[actor]
impl Sum {
    #[init]
    fn new() -> Self {
        Sum(0)
    }

    pub fn add(&mut self, event: Event) -> u64 {
        self.0 += event.0;
        self.0
    }

    pub fn sum(&self) -> u64 {
        self.0
    }
}

fn group() -> Group<Event> {
    Group::open("events").unwrap()
}

async fn ear_in(group: &Group<Event>) -> EarRef {
    let ear = Ear::start().await.unwrap();
    group.join(&ear, |ear, event| ear.hear(event.0)).unwrap();
    ear
}

/// Fills an ear: one message in work, two in the mailbox. Opened by `done`.
async fn fill(ear: &EarRef) -> WaitGroup {
    let (entered, gate) = (WaitGroup::new(), WaitGroup::new());
    entered.add(1);
    gate.add(1);
    ear.hold(entered.clone(), gate.clone())
        .tell()
        .await
        .unwrap();
    entered.wait().await;
    ear.hear(100).try_tell().unwrap();
    ear.hear(101).try_tell().unwrap();
    assert!(ear.hear(102).try_tell().is_err());
    gate
}

#[actor_core::test]
async fn members_of_different_types_get_their_own_kind_of_message() {
    let group = group();
    let ear = ear_in(&group).await;
    let sum = Sum::start().await.unwrap();
    groups::join("events", &sum, |sum, event: Event| sum.add(event)).unwrap();
    let ids: Vec<_> = group.members().iter().map(|member| member.id()).collect();
    assert_eq!(ids, [ear.id(), sum.id()]);
    for n in 1..=2 {
        let report = group.publish(Event(n)).await;
        assert_eq!(report.delivered, 2);
        assert!(report.is_complete());
    }
    assert_eq!(ear.heard().await, Ok(vec![1, 2]));
    assert_eq!(sum.sum().await, Ok(3));
}

#[actor_core::test]
async fn a_member_leaves_when_told_to_and_when_it_has_ended() {
    let group = group();
    let (a, b, c) = (
        ear_in(&group).await,
        ear_in(&group).await,
        ear_in(&group).await,
    );
    assert!(group.leave(&a));
    assert!(!group.leave(&a));
    b.stop().await;
    drop(c.crash().try_tell());
    c.wait().await;
    assert!(group.members().is_empty(), "gone when the wait is over");
    let report = group.publish(Event(1)).await;
    assert_eq!((report.delivered, report.is_complete()), (0, true));
    a.stop().await;
}

#[actor_core::test]
async fn a_membership_survives_a_restart() {
    let group = group();
    let child = Ear::child("ear");
    let ear = child.handle();
    group.join(&ear, |ear, event| ear.hear(event.0)).unwrap();
    let app = Supervisor::one_for_one("app")
        .child(child)
        .start()
        .await
        .unwrap();
    assert_eq!(ear.crash().await, Err(CallError::Panicked));
    assert_eq!(group.publish(Event(5)).await.delivered, 1);
    assert_eq!(ear.heard().await, Ok(vec![5]));
    app.stop().await;
    assert!(group.members().is_empty());
}

#[actor_core::test]
async fn joining_twice_is_one_membership() {
    let group = group();
    let ear = ear_in(&group).await;
    group
        .join(&ear, |ear, event| ear.hear(event.0 * 10))
        .unwrap();
    assert_eq!(group.publish(Event(1)).await.delivered, 1);
    assert_eq!(ear.heard().await, Ok(vec![10]), "the later function counts");
    assert!(group.leave(&ear));
    assert!(group.members().is_empty());
}

#[actor_core::test]
async fn a_dead_actor_cannot_join() {
    let group = group();
    let ear = Ear::start().await.unwrap();
    ear.stop().await;
    let (_, mut changes) = group.monitor();
    let refused = group.join(&ear, |ear, event| ear.hear(event.0));
    assert!(matches!(refused, Err(GroupError::Stopped { .. })));
    assert!(group.members().is_empty());
    // Whoever watches sees it come and go, if at all.
    let seen = [changes.try_next(), changes.try_next(), changes.try_next()];
    assert!(matches!(
        seen,
        [None, None, None] | [Some(Change::Joined(_)), Some(Change::Left(_)), None]
    ));
}

#[actor_core::test]
async fn a_full_member_is_reported_and_the_others_have_it() {
    let group = group();
    let (full, free) = (ear_in(&group).await, ear_in(&group).await);
    let gate = fill(&full).await;
    let report = group.try_publish(Event(1));
    assert_eq!(report.delivered, 1);
    assert_eq!(report.undelivered.len(), 1);
    assert_eq!(report.undelivered[0].actor.id(), full.id());
    assert_eq!(report.undelivered[0].reason, UndeliveredReason::Full);
    assert_eq!(free.heard().await, Ok(vec![1]));

    let report = group
        .publish_within(Event(2), Duration::from_millis(5))
        .await;
    assert_eq!(report.delivered, 1);
    assert_eq!(report.undelivered[0].reason, UndeliveredReason::Full);
    assert_eq!(free.heard().await, Ok(vec![1, 2]));
    gate.done();
    assert_eq!(
        full.heard().await,
        Ok(vec![100, 101]),
        "what was reported is not sent later"
    );
}

/// An ear with a policy of its own.
macro_rules! ear {
    ($name:ident, $policy:ident) => {
        struct $name(Vec<u64>);

        #[actor(mailbox = buffered(1), overflow = $policy)]
        impl $name {
            #[init]
            fn new() -> Self {
                Self(Vec::new())
            }

            pub fn hear(&mut self, n: u64) {
                self.0.push(n);
            }

            pub fn heard(&self) -> Vec<u64> {
                self.0.clone()
            }

            pub async fn hold(&self, entered: WaitGroup, gate: WaitGroup) {
                entered.done();
                gate.wait().await;
            }
        }
    };
}

ear!(Refuses, fail);
ear!(KeepsOld, drop_newest);
ear!(KeepsNew, drop_oldest);

/// A member whose one place is taken by event 1.
macro_rules! full_member {
    ($name:ident, $group:expr) => {{
        let ear = $name::start().await.unwrap();
        $group.join(&ear, |ear, event| ear.hear(event.0)).unwrap();
        let (entered, gate) = (WaitGroup::new(), WaitGroup::new());
        entered.add(1);
        gate.add(1);
        let hold = ear.hold(entered.clone(), gate.clone());
        hold.tell().await.unwrap();
        entered.wait().await;
        ear.hear(1).tell().await.unwrap();
        (ear, gate)
    }};
}

/// Must be used: its Drop panics otherwise.
struct Must(bool);

impl Drop for Must {
    fn drop(&mut self) {
        assert!(self.0, "dropped unused");
    }
}

struct User;

#[actor(mailbox = buffered(1), vis = pub(self))]
impl User {
    #[init]
    fn new() -> Self {
        User
    }

    pub(crate) fn make_use(&mut self, mut it: Must) {
        it.0 = true;
    }

    pub(crate) async fn hold(&self, entered: WaitGroup, gate: WaitGroup) {
        entered.done();
        gate.wait().await;
    }
}

#[actor_core::test]
async fn a_copy_whose_drop_panics_is_reported_like_any_other() {
    let group = group();
    let mut users = Vec::new();
    for _ in 0..2 {
        let user: UserRef = User::start().await.unwrap();
        let (entered, gate) = (WaitGroup::new(), WaitGroup::new());
        entered.add(1);
        gate.add(1);
        user.hold(entered.clone(), gate.clone())
            .tell()
            .await
            .unwrap();
        entered.wait().await;
        user.make_use(Must(true)).try_tell().unwrap();
        group
            .join(&user, |user, _| user.make_use(Must(false)))
            .unwrap();
        users.push(user);
    }
    let reasons = |report: Report| {
        assert_eq!(report.delivered, 0);
        let reasons = report.undelivered.iter().map(|missed| missed.reason);
        reasons.collect::<Vec<_>>()
    };
    let (full, stopped) = (UndeliveredReason::Full, UndeliveredReason::Stopped);
    assert_eq!(reasons(group.try_publish(Event(1))), [full, full]);
    let given_up = timeout(Duration::from_millis(1), group.publish(Event(2))).await;
    assert!(given_up.is_err());
    let mut waits = pin!(group.publish(Event(2)));
    let polled = waits.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(polled.is_pending());
    for user in &users {
        user.kill().await;
    }
    assert_eq!(reasons(waits.await), [stopped, stopped]);
}

#[actor_core::test]
async fn what_a_full_members_own_policy_does_with_its_copy_is_in_the_report() {
    for waits in [true, false] {
        let group = Group::<Event>::open(if waits { "waits" } else { "tries" }).unwrap();
        let (refuses, gate_1) = full_member!(Refuses, group);
        let (keeps_old, gate_2) = full_member!(KeepsOld, group);
        let (keeps_new, gate_3) = full_member!(KeepsNew, group);
        let report = match waits {
            true => group.publish(Event(2)).await,
            false => group.try_publish(Event(2)),
        };
        assert_eq!(report.delivered, 1, "{report:?}");
        let missed: Vec<_> = report.undelivered.iter().map(|u| u.actor.id()).collect();
        assert_eq!(missed, [refuses.id(), keeps_old.id()]);
        let full = |missed: &Undelivered| missed.reason == UndeliveredReason::Full;
        assert!(report.undelivered.iter().all(full), "{report:?}");
        for gate in [gate_1, gate_2, gate_3] {
            gate.done();
        }
        let heard = [
            refuses.heard().overflow(Overflow::Wait).await,
            keeps_old.heard().overflow(Overflow::Wait).await,
            keeps_new.heard().overflow(Overflow::Wait).await,
        ];
        assert_eq!(heard, [Ok(vec![1]), Ok(vec![1]), Ok(vec![2])]);
    }
}

#[actor_core::test]
async fn the_policy_of_the_call_is_kept_while_the_copy_waits() {
    let group = group();
    let (ear, gate) = full_member!(Refuses, group);
    group
        .join(&ear, |ear, event| {
            ear.hear(event.0).overflow(Overflow::Wait)
        })
        .unwrap();
    let mut waits = pin!(group.publish(Event(2)));
    let polled = waits.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(polled.is_pending());
    gate.done();
    let report = waits.await;
    assert_eq!((report.delivered, report.is_complete()), (1, true));
    assert_eq!(ear.heard().overflow(Overflow::Wait).await, Ok(vec![1, 2]));
}

#[actor_core::test]
async fn publish_waits_for_a_full_member_when_the_others_have_theirs() {
    let group = group();
    let (full, free) = (ear_in(&group).await, ear_in(&group).await);
    let gate = fill(&full).await;
    let publishing = go({
        let group = group.clone();
        async move { group.publish(Event(7)).await }
    });
    while free.heard().await.unwrap().is_empty() {
        yield_now().await;
    }
    assert!(!publishing.is_finished());
    gate.done();
    let report = publishing.await.unwrap();
    assert_eq!((report.delivered, report.is_complete()), (2, true));
    assert_eq!(full.heard().await, Ok(vec![100, 101, 7]));
}

#[actor_core::test]
async fn a_member_that_stops_while_it_is_waited_for_is_reported() {
    let group = group();
    let full = ear_in(&group).await;
    let gate = fill(&full).await;
    let publishing = go({
        let group = group.clone();
        async move { group.publish(Event(7)).await }
    });
    // Stopping: it takes no more messages, and is a member until it has ended.
    let end = full.stop();
    let report = group.try_publish(Event(8));
    assert_eq!(report.undelivered[0].reason, UndeliveredReason::Stopped);
    let report = publishing.await.unwrap();
    assert_eq!(report.delivered, 0);
    assert_eq!(report.undelivered[0].reason, UndeliveredReason::Stopped);
    gate.done();
    end.await;
}

#[actor_core::test]
async fn a_panic_while_a_message_is_made_is_that_members_alone() {
    let group = group();
    let bad = Ear::start().await.unwrap();
    group
        .join(&bad, |ear, event: Event| {
            assert!(event.0 != 1, "a bad one");
            ear.hear(event.0)
        })
        .unwrap();
    let good = ear_in(&group).await;
    let report = group.publish(Event(1)).await;
    assert_eq!(report.delivered, 1);
    assert_eq!(report.undelivered[0].reason, UndeliveredReason::Panicked);
    assert_eq!(good.heard().await, Ok(vec![1]));
}

#[actor_core::test]
async fn a_monitor_gets_the_members_and_then_every_change_in_order() {
    let group = group();
    let first = ear_in(&group).await;
    let (members, mut changes) = group.monitor();
    assert_eq!(members.len(), 1);
    assert_eq!(members[0].downcast::<Ear>(), Some(first.clone()));
    let watching = go(async move {
        let mut seen = Vec::new();
        for _ in 0..4 {
            seen.push(match changes.next().await {
                Change::Joined(who) => (who.id, true),
                Change::Left(who) => (who.id, false),
            });
        }
        assert!(changes.try_next().is_none());
        seen
    });
    let second = ear_in(&group).await;
    group.leave(&first);
    second.stop().await;
    group.join(&first, |ear, event| ear.hear(event.0)).unwrap();
    let expected = [
        (second.id(), true),
        (first.id(), false),
        (second.id(), false),
        (first.id(), true),
    ];
    assert_eq!(watching.await.unwrap(), expected);
}

#[actor_core::test]
async fn joins_and_ends_that_race_leave_no_dead_member() {
    let group = group();
    for _ in 0..200 {
        let ear = Ear::start().await.unwrap();
        let ending = go({
            let ear = ear.clone();
            async move { ear.kill().await }
        });
        let _ = group.join(&ear, |ear, event| ear.hear(event.0));
        ending.await.unwrap();
        ear.wait().await;
        // The join has returned, and the wait for the end has.
        assert!(group.members().is_empty());
    }
}

#[actor_core::test]
async fn a_topic_has_one_type_of_message_while_it_is_in_use() {
    let ear = Ear::start().await.unwrap();
    groups::join("events", &ear, |ear, event: Event| ear.hear(event.0)).unwrap();
    let error = Group::<u8>::open("events").unwrap_err();
    let GroupError::WrongType { wanted, found, .. } = &error else {
        panic!("{error:?}");
    };
    assert!(*wanted == "u8" && found.ends_with("::Event"));
    assert!(error.to_string().contains("\"events\" carries"));
    ear.stop().await;
    Group::<u8>::open("events").expect("its last member is gone, and nobody has it open");
}

#[actor_core::test]
async fn a_group_that_all_have_left_ends_with_its_last_handle() {
    let group = group();
    let ear = ear_in(&group).await;
    // Twice, which is one membership.
    group.join(&ear, |ear, event| ear.hear(event.0)).unwrap();
    assert!(group.leave(&ear));
    drop(group);
    assert!(Group::<u32>::open("events").is_ok(), "the topic is free");
    ear.stop().await;
}

#[actor_core::test]
async fn a_membership_keeps_an_actor_alive_and_leaving_does_not() {
    let group = group();
    let ear = ear_in(&group).await;
    let end = ear.wait();
    drop(ear);
    assert_eq!(group.publish(Event(1)).await.delivered, 1);
    let found = group.members()[0].downcast::<Ear>().unwrap();
    assert_eq!(found.heard().await, Ok(vec![1]));
    group.leave(&found);
    drop(found);
    end.await;
}

/// Counts, at the moment it is woken, the members.
struct Counts(Group<Event>, Mutex<Option<usize>>);

impl Wake for Counts {
    fn wake(self: Arc<Self>) {
        *self.1.lock().unwrap() = Some(self.0.members().len());
    }
}

#[actor_core::test]
async fn a_member_is_out_of_the_group_before_anybody_is_told_of_its_end() {
    let group = group();
    let ear = ear_in(&group).await;
    let counts = Arc::new(Counts(group, Mutex::new(None)));
    let waker = Waker::from(Arc::clone(&counts));
    let mut end = Box::pin(ear.wait());
    assert!(
        end.as_mut()
            .poll(&mut Context::from_waker(&waker))
            .is_pending()
    );
    ear.stop().await;
    while counts.1.lock().unwrap().is_none() {
        yield_now().await;
    }
    assert_eq!(*counts.1.lock().unwrap(), Some(0));
}
