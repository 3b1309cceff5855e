//! The test kit inside of a simulation: the same expectations, on virtual time, under many seeds.

use std::time::Duration;

use actor_core::actor::ExitReason;
use actor_core::chan::Sender;
use actor_core::prelude::*;
use actor_core::sim::{self, FailureKind, Sim, TimeUnits};
use actor_core::testkit::{
    Probe, TestSupervisor, dead_letters, expect_call, expect_down, expect_msg, expect_restart,
    stand_in_for,
};

#[protocol(mock)]
trait Bank {
    fn deposit(&self, who: u64, cents: u64) -> Result<u64, String>;
}

/// Pays in the end, however often the bank refuses, and says so.
struct Payer {
    bank: BankRef,
    paid: Sender<u64>,
}

#[actor]
impl Payer {
    #[init]
    fn new(bank: BankRef, paid: Sender<u64>) -> Self {
        Payer { bank, paid }
    }
    pub async fn pay(&mut self, who: u64, cents: u64) {
        assert!(cents > 0, "nothing to pay");
        while self.bank.deposit(who, cents).await.is_err() {
            sleep(1.hours()).await;
        }
        self.paid.send(who).await.unwrap();
    }
    pub fn idle(&self) {}
}

async fn a_test_of_the_payer() {
    let letters = dead_letters();
    let (bank, paid) = (MockBank::new(), Probe::new());
    let sup = TestSupervisor::new().await;
    let payer = Payer::child("payer", bank.handle(), paid.sender());
    let payer = sup.start_child(payer).await;

    bank.when_deposit()
        .replies([Err("closed".into()), Err("closed".into()), Ok(500)]);
    payer.pay(7, 500).tell().await.unwrap();
    for _ in 0..3 {
        let call = bank.expect_deposit().within(2.hours()).await;
        assert_eq!(call, (7, 500));
    }
    paid.expect_msg_eq(7).await;

    let (ends, again) = (expect_down(&payer), expect_restart(&payer));
    payer.pay(7, 0).tell().await.unwrap();
    assert!(matches!(ends.await.reason, ExitReason::Panicked { .. }));
    assert_eq!(again.await, 2);
    assert_eq!(sup.expect_restarted("payer").await, 1);
    paid.expect_no_msg(7.days()).await;

    bank.when_deposit().never_answers();
    payer.pay(8, 1).tell().await.unwrap();
    bank.expect_deposit().await;
    payer.idle().tell().await.unwrap();
    letters.expect_none();
    let ends = expect_down(&payer);
    drop(sup);
    assert_eq!(ends.await.reason, ExitReason::Killed);
    letters.expect("payer", "idle").await;
    letters.expect_none();
}

#[actor_core::test(sim, seeds = 200)]
async fn the_kit_works_on_virtual_time_under_every_seed(_sim: &Sim) {
    a_test_of_the_payer().await;
}

// Days of `expect_no_msg` take days here; the rest is the same.
#[actor_core::test]
async fn and_so_do_its_parts_on_the_real_scheduler() {
    let (bank, paid) = (MockBank::new().on_deposit(|_, c| Ok(c)), Probe::new());
    let payer = Payer::start(bank.handle(), paid.sender()).await.unwrap();
    payer.pay(7, 500).tell().await.unwrap();
    paid.expect_msg_eq(7).await;
}

#[actor_core::test(sim, seeds = 100)]
async fn a_stand_in_is_simulated_as_an_actor_is(_sim: &Sim) {
    let (payer, calls) = stand_in_for::<Payer>();
    let clients: Vec<_> = (0..3)
        .map(|who| {
            let payer = payer.clone();
            go(async move { payer.pay(who, 1).timeout(1.days()).await })
        })
        .collect();
    let mut seen = 0;
    for _ in 0..3 {
        seen += expect_msg!(calls, PayerMsg::Pay { who, .. } => who + 1).await;
    }
    assert_eq!(seen, 1 + 2 + 3);
    // Unanswered.
    for client in clients {
        assert_eq!(client.await.unwrap(), Err(CallError::NoReply));
    }
    let client = go(async move { payer.pay(7, 1).await });
    expect_call!(calls, PayerMsg::Pay { who: 7 } => Ok(())).await;
    assert_eq!(client.await.unwrap(), Ok(()));
    calls.expect_closed().await;
}

#[test]
fn what_an_expectation_says_is_in_the_report_of_the_seed() {
    let failed = sim::check(|_| async {
        let probe = Probe::new().named("numbers");
        for n in 0..2 {
            let to = probe.sender();
            go(async move { to.send(n).await.unwrap() });
        }
        // Wrong under some schedules.
        probe.expect_msg_eq(0).await;
    })
    .seeds(100)
    .try_run()
    .unwrap_err();
    assert!(matches!(failed.kind, FailureKind::Panicked), "{failed}");
    let text = failed.to_string();
    assert!(
        text.contains("probe \"numbers\": expect_msg_eq at "),
        "{text}"
    );
    assert!(text.contains("expected: 0\n"), "{text}");
}

#[test]
fn a_time_limit_is_virtual_as_well() {
    let began = std::time::Instant::now();
    let failed = sim::check(|sim| async move {
        let probe = Probe::<u8>::new();
        let to = probe.sender();
        let begin = sim.now();
        let late = go(async move { probe.expect_msg().within(30.days()).await }).await;
        assert_eq!(begin.elapsed(), 30.days());
        drop(to);
        late.unwrap();
    })
    .seeds(3)
    .try_run();
    assert!(failed.is_err());
    assert!(began.elapsed() < Duration::from_secs(3600));
}
