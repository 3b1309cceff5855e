//! The faults of a simulation: each happens in some seeds, breaks no promise, and can be ended.

mod counter;

use std::time::Duration;

use actor_core::actor::{
    AnyRef, CallError, DeadLetterReason, Overflow, TrySendError, subscribe_dead_letters,
};
use actor_core::prelude::*;
use actor_core::sim::{self, FailureKind, Pct, Sim, TimeUnits};
use actor_core::testkit::dead_letters;
use actor_core::{always, sometimes};
use counter::{Counter, CounterRef};

// ---- a whole test -------------------------------------------------------------------------------

#[derive(Clone)]
struct Config {
    cents_max: i64,
}

impl Config {
    fn fake() -> Self {
        Config { cents_max: 100 }
    }
}

struct Bank {
    config: Config,
    accounts: [i64; 2],
}

#[actor]
impl Bank {
    #[init]
    fn open(config: Config) -> Self {
        Bank {
            config,
            accounts: [0; 2],
        }
    }

    pub fn deposit(&mut self, from: usize, to: usize, cents: i64) -> Result<(), String> {
        if cents > self.config.cents_max {
            return Err("too much".to_owned());
        }
        self.accounts[from] -= cents;
        self.accounts[to] += cents;
        Ok(())
    }

    pub fn total(&self) -> i64 {
        self.accounts.iter().sum()
    }
}

#[actor_core::test(sim, seeds = 1000)]
async fn transfers_never_lose_money(sim: &Sim) -> Result<(), Box<dyn std::error::Error>> {
    let bank = sim.supervise(Bank::child("bank", Config::fake())).await?;
    sim.faults()
        .panic_once_in(&bank, "deposit")
        .drop_reply(0.01)
        .stall(&bank, 200.ms())
        .full_mailbox(&bank);
    for cents in 0..10 {
        let answer = bank.deposit(0, 1, cents * 20).await;
        sometimes!(answer == Err(CallError::Panicked), "a deposit panics");
        sometimes!(answer == Err(CallError::NoReply), "an answer is lost");
        bank.deposit(1, 0, cents).tell().await?;
    }
    sim.advance(1.hours());
    sim.settle().await;
    sim.faults().end();
    assert_eq!(bank.total().await?, 0);
    Ok(())
}

#[test]
fn the_same_test_under_another_policy() {
    sim::check(|sim| async {
        let bank = sim.supervise(Bank::child("bank", Config::fake())).await?;
        bank.deposit(0, 1, 5).tell().await.expect("it runs");
        go(async { sleep(1.minutes()).await });
        sim.run_until(|| sim.elapsed() >= 1.minutes()).await;
        assert_eq!(bank.total().await.expect("it runs"), 0);
        Ok::<_, actor_core::actor::StartError>(())
    })
    .seeds(100)
    .policy(Pct { depth: 3 })
    .run();
}

// ---- one by one ---------------------------------------------------------------------------------

#[test]
fn a_panic_that_is_injected_costs_one_message() {
    sim::check(|sim| async move {
        let counter = sim.supervise(Counter::child("counter")).await.unwrap();
        sim.faults().panic_at(&counter, 2);
        assert_eq!(counter.add(1).await, Ok(1));
        assert_eq!(counter.add(1).await, Err(CallError::Panicked));
        assert_eq!(counter.add(1).await, Ok(1));
    })
    .run();
}

#[test]
fn a_panic_that_is_to_come_once_comes_once() {
    sim::check(|sim| async move {
        let counter = sim.supervise(Counter::child("counter")).await.unwrap();
        sim.faults().panic_once_in(&counter, "add");
        let mut panics = 0;
        for _ in 0..30 {
            panics += u32::from(counter.add(1).await == Err(CallError::Panicked));
        }
        always!(panics <= 1, "more than once");
        sometimes!(panics == 1, "once");
    })
    .seeds(50)
    .run();
}

#[test]
fn the_nth_message_is_the_nth_whatever_befell_those_before() {
    sim::check(|sim| async move {
        let counter = sim.supervise(Counter::child("counter")).await.unwrap();
        sim.faults()
            .stall(&counter, 1.ms())
            .panic_at(&counter, 2)
            .panic_at(&counter, 3);
        let mut answers = Vec::new();
        for _ in 0..4 {
            answers.push(counter.add(1).await);
        }
        let panicked = Err(CallError::Panicked);
        assert_eq!(answers, [Ok(1), panicked.clone(), panicked, Ok(1)]);
    })
    .seeds(50)
    .run();
}

#[test]
fn a_stopped_actor_with_a_full_mailbox_says_that_it_is_stopped() {
    sim::check(|sim| async move {
        let counter = Counter::start().await.unwrap();
        sim.faults().full_mailbox(&counter);
        let full = counter.add(1).try_tell();
        sometimes!(matches!(full, Err(TrySendError::Full(_))), "it looks full");
        counter.stop().await;
        let letters = dead_letters();
        let refused = counter.add(1).try_tell();
        assert!(
            matches!(refused, Err(TrySendError::Closed(_))),
            "{refused:?}"
        );
        let refused = counter.add(1).overflow(Overflow::DropNewest).tell().await;
        assert!(
            matches!(refused, Err(TrySendError::Closed(_))),
            "{refused:?}"
        );
        letters.expect_none();
    })
    .seeds(50)
    .run();
}

#[test]
fn a_mailbox_that_looks_full_costs_nobody_a_message_who_drops_the_oldest() {
    sim::check(|sim| async move {
        let counter = Counter::start().await.unwrap();
        sim.faults().full_mailbox(&counter);
        for _ in 0..4 {
            let add = counter.add(1).overflow(Overflow::DropOldest);
            add.tell().await.unwrap();
        }
        assert_eq!(counter.get().await, Ok(4));
    })
    .seeds(50)
    .run();
}

#[test]
fn each_fault_happens_in_some_seed_and_not_in_all() {
    sim::check(|sim| async move {
        let counter = sim.supervise(Counter::child("counter")).await.unwrap();
        sim.faults()
            .panic_once_in(&counter, "add")
            .drop_reply(0.2)
            .stall(&counter, 200.ms());
        let answer = counter.add(1).timeout(100.ms()).await;
        sometimes!(answer == Ok(1), "all is well");
        sometimes!(answer == Err(CallError::Panicked), "a panic");
        sometimes!(answer == Err(CallError::NoReply), "a lost answer");
        sometimes!(answer == Err(CallError::Timeout), "a stall");
        let answer = counter.get().await;
        always!(
            answer != Err(CallError::Panicked),
            "it panics in `add` only"
        );
    })
    .seeds(200)
    .run();
}

#[test]
fn killed_actors_come_back_and_killed_trees_do_not() {
    sim::check(|sim| async move {
        let one = sim.supervise(Counter::child("one")).await.unwrap();
        let child = Counter::child("two");
        let two = child.handle();
        let tree = Supervisor::one_for_one("tree")
            .child(child)
            .start()
            .await
            .unwrap();
        sim.faults()
            .kill(&one, 1.secs())
            .kill_subtree(&tree, 1.secs());
        sim.advance(2.secs()).await;
        assert_eq!(one.get().await, Ok(0));
        assert!(two.is_stopped());
    })
    .run();
}

struct Asker(CounterRef);

#[actor]
impl Asker {
    #[init]
    fn new(counter: CounterRef) -> Self {
        Asker(counter)
    }

    pub async fn ask(&mut self) -> Option<u64> {
        self.0.add(1).timeout(1.secs()).await.ok()
    }

    pub async fn ask_for_ever(&mut self) {
        self.0.add(1).await.unwrap();
    }
}

#[test]
fn a_partition_holds_back_what_is_sent_across_until_it_is_healed() {
    sim::check(|sim| async move {
        let counter = Counter::start().await.unwrap();
        let asker = Asker::start(counter.clone()).await.unwrap();
        assert_eq!(asker.ask().await, Ok(Some(1)));
        let cut = sim
            .faults()
            .partition([AnyRef::of(&asker)], [AnyRef::of(&counter)]);
        assert_eq!(asker.ask().await, Ok(None));
        assert_eq!(counter.add(1).await, Ok(2), "the test is on neither side");
        cut.heal();
        assert_eq!(asker.ask().await, Ok(Some(3)));
    })
    .run();
}

#[test]
fn a_message_is_delayed_once_and_for_a_time_in_the_range() {
    sim::check(|sim| async move {
        let counter = Counter::start().await.unwrap();
        sim.faults().delay(1.0, 1.secs()..2.secs());
        let range = 1.secs()..2.secs();
        for n in 1..=3 {
            let begin = sim.now();
            counter.add(1).tell().await.unwrap();
            assert!(range.contains(&begin.elapsed()), "{:?}", begin.elapsed());
            let begin = sim.now();
            assert_eq!(counter.add(1).await, Ok(2 * n));
            assert!(range.contains(&begin.elapsed()), "{:?}", begin.elapsed());
            // What was called off while it was delayed delays nothing later.
            let off = counter.add(100).timeout(500.ms()).await;
            assert_eq!(off, Err(CallError::Timeout));
            sleep(1.minutes()).await;
        }
        sim.faults().delay(0.5, 1.secs()..2.secs());
        let begin = sim.now();
        counter.add(1).tell().await.unwrap();
        sometimes!(begin.elapsed() == 0.secs(), "in time");
        sometimes!(range.contains(&begin.elapsed()), "late");
    })
    .seeds(50)
    .run();
}

#[test]
fn a_message_that_is_delayed_is_sent_when_the_faults_end() {
    sim::check(|sim| async move {
        let counter = Counter::start().await.unwrap();
        sim.faults().delay(1.0, 1.hours()..2.hours());
        let other = counter.clone();
        let sent = go(async move { other.add(1).await });
        sim.settle().await;
        sim.faults().end();
        assert_eq!(sent.await.unwrap(), Ok(1));
        assert_eq!(sim.elapsed(), Duration::ZERO);
    })
    .run();
}

#[test]
fn a_clock_that_jumps_makes_timers_late() {
    sim::check(|sim| async move {
        sim.faults().clock_jump(0.5, 1.hours());
        let begin = sim.now();
        sleep(1.secs()).await;
        sometimes!(begin.elapsed() == 1.secs(), "in time");
        sometimes!(begin.elapsed() == 1.secs() + 1.hours(), "late");
    })
    .run();
}

#[test]
fn a_partition_lasts_until_it_is_dropped_in_both_directions() {
    sim::check(|sim| async {
        let counter = Counter::start().await.unwrap();
        let ask = || Asker::start(counter.clone());
        let (one, other) = (ask().await.unwrap(), ask().await.unwrap());
        let begin = sim.now();
        {
            let faults = sim.faults();
            let _cut = faults.partition([AnyRef::of(&counter)], [AnyRef::of(&one)]);
            // Who is on neither side, or sends from no actor, is not concerned.
            assert_eq!(other.ask().await, Ok(Some(1)));
            assert_eq!(counter.add(1).await, Ok(2));
            assert_eq!(begin.elapsed(), Duration::ZERO);
            assert_eq!(one.ask().await, Ok(None));
            assert_eq!(begin.elapsed(), 1.secs(), "it gave up");
        }
        assert_eq!(one.ask().await, Ok(Some(3)), "what it gave up was not sent");
        assert_eq!(begin.elapsed(), 1.secs());
    })
    .run();
}

#[test]
fn a_partition_that_has_ended_heals_no_later_one() {
    sim::check(|sim| async {
        let counter = Counter::start().await.unwrap();
        let asker = Asker::start(counter.clone()).await.unwrap();
        let cut = || {
            sim.faults()
                .partition([AnyRef::of(&asker)], [AnyRef::of(&counter)])
        };
        let ended = cut();
        sim.faults().end();
        let later = cut();
        ended.heal();
        assert_eq!(asker.ask().await, Ok(None));
        later.heal();
        assert_eq!(asker.ask().await, Ok(Some(1)));
    })
    .run();
}

#[test]
fn what_lists_the_sides_of_a_partition_may_use_the_faults() {
    sim::check(|sim| async {
        let counter = Counter::start().await.unwrap();
        let asker = Asker::start(counter.clone()).await.unwrap();
        let side = std::iter::once_with(|| {
            let _ = sim.faults().drop_tell(1.0);
            AnyRef::of(&asker)
        });
        let _cut = sim.faults().partition(side, [AnyRef::of(&counter)]);
        assert_eq!(asker.ask().await, Ok(None));
    })
    .run();
}

#[test]
fn what_a_partition_holds_back_is_sent_when_the_test_ends() {
    sim::check(|sim| async {
        let counter = Counter::start().await.unwrap();
        let asker = Asker::start(counter.clone()).await.unwrap();
        let cut = sim
            .faults()
            .partition([AnyRef::of(&asker)], [AnyRef::of(&counter)]);
        asker.ask_for_ever().tell().await.unwrap();
        sim.settle().await; // it is held
        std::mem::forget(cut); // a leak otherwise: the asker would wait for ever
    })
    .run();
}

#[test]
fn a_subtree_that_crashes_comes_back_as_its_supervisor_says() {
    sim::check(|sim| async {
        let (one, two) = (Counter::child("one"), Counter::child("two"));
        let handles = [one.handle(), two.handle()];
        let inner = Supervisor::one_for_all("inner").child(one).child(two);
        let top = Supervisor::one_for_one("top").start().await.unwrap();
        let tree = inner.handle();
        top.start_child(inner).await.unwrap();
        for handle in &handles {
            handle.add(5).await.unwrap();
        }
        let begin = sim.now();
        sim.faults().kill_subtree(&tree, 1.secs());
        sim.advance(2.secs()).await;
        for handle in &handles {
            assert_eq!(handle.get().await, Ok(0), "both have begun anew");
        }
        assert_eq!(begin.elapsed(), 2.secs());
        top.stop().await;
    })
    .run();
}

#[test]
fn a_clock_that_jumps_fires_all_that_is_due_at_once() {
    sim::check(|sim| async {
        sim.faults().clock_jump(1.0, 1.hours());
        let begin = sim.now();
        let sleepers: Vec<_> = (1..=3)
            .map(|n: u64| {
                go(async move {
                    sleep(n.secs()).await;
                    begin.elapsed()
                })
            })
            .collect();
        for sleeper in sleepers {
            // The first timer moves the clock by its own time and an hour.
            assert_eq!(sleeper.await.unwrap(), 1.secs() + 1.hours());
        }
        sim.faults().end();
        let begin = sim.now();
        sleep(1.secs()).await;
        assert_eq!(begin.elapsed(), 1.secs());
    })
    .run();
}

#[test]
fn a_tell_that_is_lost_is_a_dead_letter_and_its_sender_knows_nothing() {
    sim::check(|sim| async {
        let letters = dead_letters();
        let (counter, other) = (
            Counter::start().await.unwrap(),
            Counter::start().await.unwrap(),
        );
        sim.faults().drop_tell_to(&counter, 1.0);
        counter.add(1).tell().await.unwrap();
        counter.add(1).try_tell().unwrap();
        assert!(counter.add(1).tell_or_drop().unwrap());
        for _ in 0..3 {
            letters
                .expect_where(|letter| {
                    letter.reason == DeadLetterReason::Lost && letter.message == "add"
                })
                .await;
        }
        // No ask, and no tell to somebody else.
        assert_eq!(counter.add(7).await, Ok(7));
        other.add(1).tell().await.unwrap();
        assert_eq!(other.get().await, Ok(1));
        letters.expect_none();

        sim.faults().end();
        counter.add(1).tell().await.unwrap();
        assert_eq!(counter.get().await, Ok(8));
        // One that is stopped doesn't lose: it refuses.
        sim.faults().drop_tell(1.0);
        other.stop().await;
        let refused = other.add(1).tell().await;
        assert!(
            matches!(refused, Err(TrySendError::Closed(_))),
            "{refused:?}"
        );
    })
    .run();
}

#[test]
fn each_tell_is_handled_once_or_lost_as_often_as_was_asked_for() {
    let check = sim::check(|sim| async {
        let letters = subscribe_dead_letters(64);
        let counter = Counter::start().await.unwrap();
        sim.faults().drop_tell(0.1).drop_tell_to(&counter, 0.1);
        for _ in 0..20 {
            counter.add(1).tell().await.unwrap();
        }
        sim.settle().await;
        let handled = counter.get().await.unwrap();
        let mut lost = 0;
        while letters.try_recv().is_some() {
            lost += 1;
        }
        assert_eq!(handled + lost as u64, 20);
        sometimes!(lost == 0, "none is lost");
        sometimes!(lost > 5, "many are");
    });
    check.seeds(300).run();
}

#[test]
fn a_lost_tell_shows_in_the_steps() {
    let failure = sim::check(|sim| async {
        let counter = Counter::start().await.unwrap();
        sim.faults().drop_tell(0.5);
        for _ in 0..4 {
            counter.add(1).tell().await.unwrap();
        }
        assert_eq!(counter.get().await, Ok(4));
    })
    .try_run()
    .unwrap_err();
    let has = |words: &str| {
        failure
            .shortest()
            .iter()
            .filter(|l| l.contains(words))
            .count()
    };
    assert_eq!(has("fault: `add` to \"Counter\" is lost"), 1, "{failure}");
    assert_eq!(
        has("dead letter: `add` for \"Counter\" (lost)"),
        1,
        "{failure}"
    );
}

#[test]
fn a_forwarded_ask_that_is_lost_is_answered() {
    sim::check(|sim| async {
        let counter = Counter::start().await.unwrap();
        let front = Front::start(counter.clone()).await.unwrap();
        assert_eq!(front.add(1).await, Ok(1));
        sim.faults().drop_tell_to(&counter, 1.0);
        assert_eq!(front.add(1).await, Err(CallError::NoReply));
    })
    .run();
}

struct Front(CounterRef);

#[actor]
impl Front {
    #[init]
    fn new(counter: CounterRef) -> Self {
        Front(counter)
    }

    pub async fn add(&mut self, by: u64, reply: Reply<u64>) {
        self.0.add(by).forward(reply).await;
    }
}

#[test]
fn ended_faults_do_not_happen() {
    sim::check(|sim| async {
        let counter = sim.supervise(Counter::child("counter")).await.unwrap();
        let asker = Asker::start(counter.clone()).await.unwrap();
        sim.faults()
            .panic(&counter, 1.0)
            .drop_reply(1.0)
            .drop_tell(1.0)
            .stall(&counter, 1.hours())
            .full_mailbox(&counter)
            .delay(1.0, 1.hours()..2.hours())
            .kill(&counter, 1.hours());
        let cut = sim
            .faults()
            .partition([AnyRef::of(&asker)], [AnyRef::of(&counter)]);
        sim.faults().end();
        counter.add(1).tell().await.unwrap();
        assert_eq!(asker.ask().await, Ok(Some(2)));
        assert_eq!(sim.elapsed(), Duration::ZERO);
        drop(cut);
        sim.advance(1.days()).await;
        assert_eq!(counter.get().await, Ok(2), "it was not killed");
    })
    .run();
}

#[test]
fn what_is_no_probability_is_refused() {
    for probability in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
        let failure = sim::check(move |sim| async move {
            let _ = sim.faults().drop_reply(probability);
        })
        .try_run()
        .unwrap_err();
        assert_eq!(failure.kind, FailureKind::Panicked);
        assert!(
            failure.message.contains("it must be from 0 to 1"),
            "{failure}"
        );
        assert!(failure.message.contains("tests/sim_faults.rs"), "{failure}");
    }
}
