//! The test kit: what its expectations take, what they leave, and what they say when they fail.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use actor_core::actor::{DeadLetterReason, ExitReason};
use actor_core::chan::{self, Sender};
use actor_core::prelude::*;
use actor_core::supervise::SupervisionEvent;
use actor_core::testkit::{
    Probe, TestSupervisor, dead_letters, expect_call, expect_down, expect_msg, expect_restart,
    stand_in_for,
};

const SOON: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_secs(600);

/// The text with which this fails.
async fn failure_of<R: Send + 'static>(check: impl Future<Output = R> + Send + 'static) -> String {
    let failed = go(check).await;
    match failed {
        Ok(_) => panic!("it did not fail"),
        Err(error) => error.to_string(),
    }
}

#[derive(Debug, PartialEq)]
enum Event {
    Paid { who: u64, cents: u64 },
    Refused(&'static str),
}

fn events() -> (Sender<Event>, Probe<Event>) {
    let probe = Probe::new().named("events");
    (probe.sender(), probe)
}

#[actor_core::test]
async fn messages_are_taken_in_order_and_one_by_one() {
    let (to, probe) = events();
    for cents in 1..=6 {
        to.send(Event::Paid { who: 1, cents }).await.unwrap();
    }
    assert_eq!(probe.expect_msg().await, Event::Paid { who: 1, cents: 1 });
    probe.expect_msg_eq(Event::Paid { who: 1, cents: 2 }).await;
    probe
        .expect_msg_where(|event| matches!(event, Event::Paid { cents: 3, .. }))
        .await;
    let cents = expect_msg!(probe, Event::Paid { who: 1, cents } if cents > 3 => cents).await;
    assert_eq!(cents, 4);
    assert_eq!(probe.receive_n(2).await.len(), 2);
    assert_eq!(probe.try_msg(), None);
    probe.expect_no_msg(SOON).await;
}

#[actor_core::test]
async fn a_message_that_is_not_the_expected_one_fails_at_once_and_is_shown_beside_it() {
    let (to, probe) = events();
    to.send(Event::Paid { who: 1, cents: 5 }).await.unwrap();
    to.send(Event::Refused("no account")).await.unwrap();
    to.send(Event::Refused("closed")).await.unwrap();
    probe.expect_msg().await;
    let line = line!() + 3;
    let failure = failure_of(async move {
        probe
            .expect_msg_eq(Event::Paid { who: 1, cents: 6 })
            .within(LONG)
            .await
    })
    .await;
    let expected = format!(
        "probe \"events\": expect_msg_eq at actor-core/tests/testkit.rs:{line}:14
  expected: Paid {{ who: 1, cents: 6 }}
  came:     Refused(\"no account\")
  received before:
    Paid {{ who: 1, cents: 5 }}
  waiting, not received yet:
    Refused(\"closed\")"
    );
    assert!(failure.contains(&expected), "{failure}\n---\n{expected}");
}

#[actor_core::test]
async fn a_pattern_that_does_not_match_is_shown_as_written() {
    let (to, probe) = events();
    to.send(Event::Refused("no")).await.unwrap();
    let failure =
        failure_of(async move { expect_msg!(probe, Event::Paid { who: 7, .. }).await }).await;
    assert!(
        failure.contains("expect_msg! at actor-core/tests/testkit.rs"),
        "{failure}"
    );
    assert!(
        failure.contains("expected: Event::Paid { who: 7, .. }"),
        "{failure}"
    );
    assert!(failure.contains("came:     Refused(\"no\")"), "{failure}");
}

#[actor_core::test]
async fn what_does_not_come_within_the_time_fails_and_says_how_long_it_waited() {
    let (_to, probe) = events();
    let failure = failure_of(async move { probe.within(SOON).expect_msg().await }).await;
    assert!(
        failure.contains("came:     nothing of that kind within 20ms"),
        "{failure}"
    );
    let (_to, probe) = events();
    let failure = failure_of(async move { probe.receive_n(2).within(SOON).await }).await;
    assert!(failure.contains("expected: 2 messages"), "{failure}");
}

#[actor_core::test]
async fn a_message_where_none_is_expected_fails_with_that_message() {
    let (to, probe) = events();
    to.send(Event::Refused("no")).await.unwrap();
    let failure = failure_of(async move { probe.expect_no_msg(LONG).await }).await;
    assert!(failure.contains("expected: nothing"), "{failure}");
    assert!(failure.contains("came:     Refused(\"no\")"), "{failure}");
}

#[actor_core::test]
async fn fishing_drops_what_comes_before_and_names_it_when_it_fails() {
    let (to, probe) = events();
    for cents in 1..=3 {
        to.send(Event::Paid { who: 1, cents }).await.unwrap();
    }
    let fished = probe.fish_for(|event| matches!(event, Event::Paid { cents: 2, .. }));
    assert_eq!(fished.await, Event::Paid { who: 1, cents: 2 });
    let failure = failure_of(async move {
        let refused = probe.fish_for(|event| matches!(event, Event::Refused(_)));
        refused.within(SOON).await
    })
    .await;
    for cents in 1..=3 {
        assert!(failure.contains(&format!("cents: {cents} }}")), "{failure}");
    }
}

#[actor_core::test]
async fn an_expectation_that_is_given_up_loses_no_message() {
    let (to, probe) = events();
    to.send(Event::Refused("first")).await.unwrap();
    let three = actor_core::timeout(SOON, probe.receive_n(3).within(LONG)).await;
    assert!(three.is_err());
    to.send(Event::Refused("second")).await.unwrap();
    probe.expect_msg_eq(Event::Refused("first")).await;
    probe.expect_msg_eq(Event::Refused("second")).await;
}

#[actor_core::test]
async fn two_expectations_of_one_probe_take_turns() {
    let probe = Arc::new(Probe::new());
    let takers: Vec<_> = (0..10)
        .map(|_| {
            let probe = Arc::clone(&probe);
            go(async move { probe.expect_msg().await })
        })
        .collect();
    let to = probe.sender();
    for n in 0..10 {
        to.send(n).await.unwrap();
    }
    let mut got = Vec::new();
    for taker in takers {
        got.push(taker.await.unwrap());
    }
    got.sort_unstable();
    assert_eq!(got, (0..10).collect::<Vec<_>>());
}

#[actor_core::test]
async fn a_probe_sees_that_all_senders_have_hung_up() {
    let (to, probe) = events();
    let worker = go(async move {
        to.send(Event::Refused("last words")).await.unwrap();
    });
    let failure = failure_of({
        let probe = Probe::on({
            let (to, queue) = chan::buffered(1);
            to.send(1).await.unwrap();
            queue
        });
        async move { probe.expect_closed().await }
    })
    .await;
    assert!(failure.contains("came:     1"), "{failure}");
    probe.expect_msg().await;
    worker.await.unwrap();
    probe.expect_closed().await;
    let failure = failure_of(async move { probe.expect_msg().within(LONG).await }).await;
    assert!(
        failure.contains("came:     the end: the channel is closed"),
        "{failure}"
    );
}

#[test]
fn a_thread_outside_of_any_runtime_can_expect() {
    let probe = Probe::new();
    let to = probe.sender();
    std::thread::scope(|s| {
        s.spawn(move || to.send_blocking(5));
        assert_eq!(probe.expect_msg().blocking(), 5);
    });
    let failed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        probe.expect_msg().within(SOON).blocking()
    }));
    let failure = *failed.unwrap_err().downcast::<String>().unwrap();
    assert!(
        failure.contains("nothing of that kind within 20ms"),
        "{failure}"
    );
}

// --- in an actor's place ---

struct Bank;

#[actor(name = "bank")]
impl Bank {
    #[init]
    fn open() -> Self {
        panic!("the real bank is not to be opened in tests")
    }
    pub fn deposit(&mut self, _who: u64, _cents: u64) -> Result<u64, String> {
        Ok(0)
    }
    pub fn balance(&self, _who: u64) -> u64 {
        0
    }
    pub fn audit(&self, _line: String) {}
}

#[actor_core::test]
async fn a_stand_in_gets_the_messages_of_an_actor_and_answers_them() {
    let (bank, calls) = stand_in_for::<Bank>();
    let client = {
        let bank = bank.clone();
        go(async move {
            let paid = bank.deposit(7, 500).await;
            let refused = bank.deposit(8, 1).await;
            bank.audit("done".into()).tell().await.unwrap();
            (paid, refused, bank.balance(7).await)
        })
    };
    expect_call!(calls, BankMsg::Deposit { _who: 7, _cents: cents } => Ok(cents + 1)).await;
    expect_call!(calls, BankMsg::Deposit { _who } => Err(format!("no account {_who}"))).await;
    expect_msg!(calls, BankMsg::Audit { _line, .. } if _line == "done").await;
    expect_call!(calls, BankMsg::Balance {} => Ok(501)).await;
    let (paid, refused, balance) = client.await.unwrap();
    assert_eq!(paid, Ok(501));
    assert_eq!(refused, Err(CallError::Failed("no account 8".into())));
    assert_eq!(balance, Ok(501));
    drop(bank);
    calls.expect_closed().await;
}

#[actor_core::test]
async fn a_stand_in_ends_as_an_actor_does() {
    let (bank, calls) = stand_in_for::<Bank>();
    let ends = expect_down(&bank);
    assert_eq!(bank.stop().await, ExitReason::Normal);
    assert_eq!(ends.await.reason, ExitReason::Normal);
    assert_eq!(bank.balance(1).await, Err(CallError::Stopped));
    calls.expect_closed().await;

    let (bank, _calls) = stand_in_for::<Bank>();
    assert_eq!(bank.kill().await, ExitReason::Killed);

    let (bank, calls) = stand_in_for::<Bank>();
    drop(calls);
    assert_eq!(bank.balance(1).await, Err(CallError::NoReply));
    assert_eq!(bank.wait().await, ExitReason::Normal);
}

// --- ends and restarts ---

struct Fragile;

#[actor]
impl Fragile {
    #[init]
    fn new() -> Self {
        Fragile
    }
    pub fn touch(&mut self) {
        panic!("ouch")
    }
    pub fn greet(&self) -> &'static str {
        "hello"
    }
    pub async fn hang(&self, entered: Sender<()>) {
        entered.send(()).await.unwrap();
        std::future::pending::<()>().await;
    }
}

fn ouch() -> ExitReason {
    ExitReason::Panicked {
        message: "ouch".into(),
    }
}

#[actor_core::test]
async fn an_end_and_a_restart_are_those_after_the_expectation_was_made() {
    let sup = TestSupervisor::new().await;
    let fragile = sup.start_child(Fragile::child("fragile")).await;
    for life in 2..4 {
        let (ends, again) = (expect_down(&fragile), expect_restart(&fragile));
        fragile.touch().tell().await.unwrap();
        assert_eq!(ends.await.reason, ouch());
        assert_eq!(again.await, life);
    }
    assert_eq!(fragile.greet().await, Ok("hello"));
    let failure = failure_of(async move { expect_restart(&fragile).within(SOON).await }).await;
    assert!(failure.contains("it:       runs, in life 3"), "{failure}");
    assert!(failure.contains("this was called in life 3"), "{failure}");
}

#[actor_core::test]
async fn expecting_an_end_keeps_no_actor_alive() {
    let fragile = Fragile::start().await.unwrap();
    let (ends, _restarts) = (expect_down(&fragile), expect_restart(&fragile));
    drop(fragile);
    assert_eq!(ends.await.reason, ExitReason::Normal);
    let gone = Fragile::start().await.unwrap();
    gone.stop().await;
    assert_eq!(expect_down(&gone).await.reason, ExitReason::NoProc);
}

#[actor_core::test]
async fn a_supervisors_end_and_restart_are_expected_as_an_actors_are() {
    let fragile = Fragile::child("fragile");
    let fragile_ref = fragile.handle();
    let inner = Supervisor::one_for_one("inner")
        .intensity(0, LONG)
        .child(fragile);
    let inner_ref = inner.handle();
    let sup = TestSupervisor::start(Supervisor::one_for_one("app").child(inner)).await;
    let (ends, again) = (expect_down(&inner_ref), expect_restart(&inner_ref));
    fragile_ref.touch().tell().await.unwrap();
    assert!(matches!(ends.await.reason, ExitReason::GaveUp { .. }));
    assert_eq!(again.await, 2);
    assert_eq!(sup.expect_restarted("inner").await, 1);
}

// --- the supervisor ---

#[actor_core::test]
async fn a_supervisors_doings_come_in_order_for_each_child() {
    let sup = Supervisor::one_for_one("app")
        .intensity(1, LONG)
        .child(Fragile::child("a"))
        .child(Fragile::child("b"));
    let sup = TestSupervisor::start(sup).await;
    let c = sup.start_child(Fragile::child("c")).await;
    c.touch().tell().await.unwrap();
    assert_eq!(sup.expect_restarted("c").await, 1);
    // Those of the others are still there.
    sup.expect_started("b").await;
    sup.expect_started("a").await;
    // Those of `c` before the restart are not.
    let sup = Arc::new(sup);
    let again = Arc::clone(&sup);
    let failure = failure_of(async move { again.expect_started("c").within(SOON).await }).await;
    assert!(failure.contains("expected: that \"c\" starts"), "{failure}");
    c.touch().tell().await.unwrap();
    assert_eq!(sup.expect_exit("c").await, ouch());
    assert_eq!(sup.expect_gave_up("c").await, ouch());
    assert_eq!(sup.expect_exit("b").await, ExitReason::Shutdown);
    assert!(matches!(
        sup.expect_ended().await,
        ExitReason::GaveUp {
            restarts_max: 1,
            ..
        }
    ));
    let lines: Vec<_> = sup.events().iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "\"a\" started",
            "\"b\" started",
            "\"c\" started",
            "\"c\" exited: panicked: ouch",
            "\"c\" restarted (restart 1)",
            "\"c\" exited: panicked: ouch",
            "gave up on \"c\", which last panicked: ouch",
            "\"b\" was stopped: stopped by its supervisor",
            "\"a\" was stopped: stopped by its supervisor",
            "the supervisor ended: gave up: child \"c\" needed more than 1 restarts within 600s, \
             the last time it panicked: ouch",
        ]
    );
    let failure = failure_of(async move { sup.expect_restarted("c").await }).await;
    assert!(
        failure.contains("supervisor \"app\": expect_restarted"),
        "{failure}"
    );
    assert!(
        failure.contains("expected: that \"c\" is restarted"),
        "{failure}"
    );
    assert!(
        failure.contains("came:     the end of the supervisor"),
        "{failure}"
    );
    assert!(failure.contains("\"c\" restarted (restart 1)"), "{failure}");
}

#[actor_core::test]
async fn a_group_restart_a_delay_and_a_child_that_stays_down_are_seen() {
    let once = Fragile::child("once").restart(Restart::Temporary);
    let once_ref = once.handle();
    let late = Fragile::child("late").backoff(Duration::from_millis(1)..Duration::from_millis(5));
    let late_ref = late.handle();
    let sup = Supervisor::one_for_all("app").child(once).child(late);
    let sup = TestSupervisor::start(sup).await;
    once_ref.touch().tell().await.unwrap();
    let exit = sup.expect_event(|event| matches!(event, SupervisionEvent::Exited { .. }));
    assert_eq!(
        exit.await.to_string(),
        "\"once\" exited: panicked: ouch, and stays down"
    );
    late_ref.touch().tell().await.unwrap();
    let delay = sup.expect_event(|event| matches!(event, SupervisionEvent::Delayed { .. }));
    assert_eq!(delay.await.child(), Some("late"));
    sup.expect_restarted("late").await;
    sup.expect_no_event(SOON).await;
    assert_eq!(sup.stop().await, ExitReason::Normal);
}

#[actor_core::test]
async fn an_observer_that_panics_harms_no_supervisor() {
    let sup = Supervisor::one_for_one("app")
        .observe(|_| panic!("the observer"))
        .child(Fragile::child("a"));
    let sup = sup.start().await.unwrap();
    assert_eq!(sup.count_children().await.unwrap().active, 1);
    assert_eq!(sup.stop().await, ExitReason::Normal);
}

#[actor_core::test]
async fn a_test_supervisor_that_is_dropped_kills_its_children() {
    let sup = TestSupervisor::new().await;
    let fragile = sup.start_child(Fragile::child("fragile")).await;
    drop(sup);
    assert_eq!(fragile.wait().await, ExitReason::Killed);
}

// --- dead letters ---

#[actor_core::test]
async fn dead_letters_are_those_of_this_runtime_only() {
    let letters = dead_letters();
    std::thread::spawn(|| {
        actor_core::Runtime::new().unwrap().run(async {
            let theirs = dead_letters();
            let fragile = Fragile::start().await.unwrap();
            fragile.hang(Probe::new().sender()).tell().await.unwrap();
            fragile.greet().tell().await.unwrap();
            fragile.kill().await;
            theirs.expect("Fragile", "greet").await;
        });
    })
    .join()
    .unwrap();
    letters.expect_none();
}

#[actor_core::test]
async fn dead_letters_are_found_in_any_order_and_others_stay() {
    let letters = dead_letters();
    let fragile = Fragile::start().await.unwrap();
    let entered = Probe::new();
    fragile.hang(entered.sender()).tell().await.unwrap();
    entered.expect_msg().await;
    fragile.greet().tell().await.unwrap();
    fragile.touch().tell().await.unwrap();
    fragile.kill().await;
    letters.expect("Fragile", "touch").await;
    let failure = failure_of(async move {
        letters.expect_none();
    })
    .await;
    assert!(
        failure.contains("came:     \"greet\" to Fragile#"),
        "{failure}"
    );

    let letters = dead_letters();
    letters.expect_none_within(SOON).await;
    let failure = failure_of(async move {
        let full = letters.expect_where(|letter| letter.reason == DeadLetterReason::Overflow);
        full.within(SOON).await
    })
    .await;
    assert!(failure.contains("dead letters: expect_where"), "{failure}");
}
