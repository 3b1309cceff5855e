//! Mocks of protocols: how they answer, what they note, and how they fail a test.

use std::collections::HashSet;
use std::io;
use std::time::Duration;

use actor_core::actor::{ActorId, ExitReason};
use actor_core::chan;
use actor_core::prelude::*;
use actor_core::testkit::{TestSupervisor, expect_down};

const SOON: Duration = Duration::from_millis(20);

/// What money goes through.
#[protocol(mock)]
pub trait Bank {
    async fn deposit(&mut self, who: u64, cents: u64) -> Result<u64, String>;
    fn balance(&self, who: u64) -> u64;
    fn read(&self, path: String) -> io::Result<Vec<u8>>;
    fn audit(&self, line: String);
    fn close(&mut self);
    /// With names that need care.
    fn r#move(&self, r#type: u8, on: bool, _unused: Option<ActorId>);
    #[cfg(any())]
    fn left_out(&self, nothing: DoesNotExist);
}

/// Asks a bank, and goes on if that fails.
struct Clerk {
    bank: BankRef,
}

#[actor]
impl Clerk {
    #[init]
    fn new(bank: BankRef) -> Self {
        Clerk { bank }
    }
    pub async fn pay(&mut self, who: u64, cents: u64) -> Result<u64, String> {
        match self.bank.deposit(who, cents).await {
            Ok(balance) => Ok(balance),
            Err(CallError::Failed(error)) => {
                self.bank.audit(error.clone()).tell().await.unwrap();
                Err(error)
            }
            Err(other) => Err(other.to_string()),
        }
    }
}

#[actor_core::test]
async fn a_mock_answers_by_closures_of_the_methods_own_signature_and_notes_all_calls() {
    let mut sum = 0;
    let bank = MockBank::new()
        .on_deposit(move |who, cents| {
            sum += cents;
            if who == 8 {
                Err("no account".into())
            } else {
                Ok(sum)
            }
        })
        .on_balance(|who| who * 100)
        .on_read(|path| Ok(path.into_bytes()))
        .on_close(|| ())
        .on_move(|kind, on, id| assert!(kind == 1 && on && id.is_none()))
        .on_audit(|line| assert_eq!(line, "no account"));
    let clerk = Clerk::start(bank.handle()).await.unwrap();
    assert_eq!(clerk.pay(7, 500).await, Ok(500));
    let refused = clerk.pay(8, 1).await;
    assert_eq!(refused, Err(CallError::Failed("no account".into())));

    let handle: BankRef = (&bank).into();
    assert_eq!(handle.balance(3).await, Ok(300));
    assert_eq!(handle.read("a".into()).await.unwrap(), b"a");
    handle.close().await.unwrap();
    handle.r#move(1, true, None).try_tell().unwrap();
    assert_eq!(
        bank.calls(),
        [
            "deposit(7, 500)",
            "deposit(8, 1)",
            "audit(\"no account\")",
            "balance(3)",
            "read(\"a\")",
            "close()",
            "move(1, true, None)",
        ]
    );
    assert_eq!(bank.when_deposit().calls(), [(7, 500), (8, 1)]);
    assert_eq!(bank.when_audit().calls(), ["no account"]);
    assert_eq!(bank.when_close().calls(), [()]);
    assert_eq!(bank.expect_deposit().await, (7, 500));
    assert_eq!(bank.expect_deposit().await, (8, 1));
    assert_eq!(bank.expect_move().await, (1, true, None));
    bank.when_deposit().expect_no_call(SOON).await;
}

#[actor_core::test]
async fn a_call_that_is_not_sent_is_no_call() {
    let bank = MockBank::new();
    drop(bank.handle().deposit(1, 1));
    assert!(bank.calls().is_empty());
}

#[actor_core::test]
async fn replies_that_are_lined_up_come_before_the_standing_answer() {
    let bank = MockBank::new().on_deposit(|_, _| Ok(0));
    bank.when_deposit().replies([Ok(1), Err("two".into())]);
    bank.when_deposit().replies([Ok(3)]);
    let handle = bank.handle();
    assert_eq!(handle.deposit(7, 1).await, Ok(1));
    assert_eq!(
        handle.deposit(7, 1).await,
        Err(CallError::Failed("two".into()))
    );
    assert_eq!(handle.deposit(7, 1).await, Ok(3));
    assert_eq!(handle.deposit(7, 1).await, Ok(0));
    bank.when_deposit().answers(|(who, cents)| Ok(who + cents));
    assert_eq!(handle.deposit(7, 1).await, Ok(8));
    bank.when_deposit().fails_with(|| CallError::Stopped);
    assert_eq!(handle.deposit(7, 1).await, Err(CallError::Stopped));
    assert!(handle.deposit(7, 1).tell().await.unwrap_err().is_closed());
    bank.when_deposit().never_answers();
    assert!(handle.deposit(7, 1).try_tell().unwrap_err().is_full());
    let late = handle.deposit(7, 1).timeout(SOON).await;
    assert_eq!(late, Err(CallError::Timeout));
}

#[actor_core::test]
async fn an_answer_that_waits_does_not_hold_up_other_calls() {
    let (strike, strikes) = chan::rendezvous();
    let bank = MockBank::new();
    bank.when_balance().answers_by(move |who| {
        let strikes = strikes.clone();
        async move {
            Ok(if who == 0 {
                0
            } else {
                strikes.recv().await.unwrap()
            })
        }
    });
    let handle = bank.handle();
    let waits = go(async move { handle.balance(1).await });
    assert_eq!(bank.expect_balance().await, 1);
    assert_eq!(bank.handle().balance(0).await, Ok(0));
    strike.send(12).await.unwrap();
    assert_eq!(waits.await.unwrap(), Ok(12));
}

#[actor_core::test]
async fn an_unexpected_call_panics_where_it_is_made_and_fails_the_test_when_the_mock_is_dropped() {
    let bank = MockBank::new();
    bank.when_deposit().replies([Ok(1)]);
    let sup = TestSupervisor::new().await;
    let clerk = sup.start_child(Clerk::child("clerk", bank.handle())).await;
    let ends = expect_down(&clerk);
    assert_eq!(clerk.pay(7, 1).await, Ok(1));
    assert_eq!(clerk.pay(7, 2).await, Err(CallError::Panicked));
    let fault = "unexpected call deposit(7, 2), after the 1 that replies were lined up for; say \
                 what it answers, with `on_deposit(|who, cents| ..)`";
    let message = format!("MockBank: {fault}");
    assert_eq!(ends.await.reason, ExitReason::Panicked { message });
    let told = go(async move { drop(bank) }).await.unwrap_err().to_string();
    let expected = format!("called in a way that the test did not foresee:\n  {fault}");
    assert!(told.contains(&expected), "{told}");
}

#[actor_core::test]
async fn a_panic_in_an_answer_fails_the_test_although_it_happens_in_the_actor() {
    let bank = MockBank::new().on_audit(|line| assert_eq!(line, "paid", "the line"));
    let handle = bank.handle();
    assert!(
        go(async move { handle.audit("refused".into()).await })
            .await
            .is_err()
    );
    let faults = bank.take_faults();
    assert_eq!(faults.len(), 1);
    assert!(
        faults[0].starts_with("the answer to audit(\"refused\") panicked: "),
        "{faults:?}"
    );
    assert!(faults[0].contains("the line"));
    // Taken: nothing is told a second time.
    drop(bank);
}

#[actor_core::test]
async fn a_call_that_does_not_come_fails_with_those_that_came() {
    let bank = MockBank::new().on_balance(|_| 1);
    bank.handle().balance(7).await.unwrap();
    let failed = go(async move { bank.expect_deposit().within(SOON).await }).await;
    let failure = failed.unwrap_err().to_string();
    for line in [
        "MockBank: expect_deposit at actor-core/tests/testkit_mock.rs:",
        "expected: a call of deposit",
        "came:     nothing of that kind within 20ms",
        "all calls of the mock so far:\n    balance(7)",
    ] {
        assert!(failure.contains(line), "{failure}");
    }
}

#[actor_core::test]
async fn handles_of_one_mock_are_equal_and_those_of_two_are_not() {
    let (one, other) = (MockBank::new(), MockBank::default());
    assert_eq!(one.handle(), one.handle());
    assert_ne!(one.handle(), other.handle());
    let all: HashSet<_> = [one.handle(), one.handle(), other.handle()].into();
    assert_eq!(all.len(), 2);
    assert!(one.handle().actor().is_none());
    assert_eq!(format!("{one:?}"), "MockBank { calls: [] }");
}

mod elsewhere {
    use actor_core::prelude::*;

    #[protocol(handle = AnyClock, mock = FakeClock)]
    pub(crate) trait Clock {
        fn now(&self) -> u64;
    }
}

#[actor_core::test]
async fn a_mock_and_its_handle_may_have_other_names() {
    let clock = elsewhere::FakeClock::new().on_now(|| 5);
    let handle: elsewhere::AnyClock = clock.handle();
    assert_eq!(handle.now().await, Ok(5));
}
