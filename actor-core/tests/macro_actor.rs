//! What `#[actor]` promises about an actor that runs: which methods are messages, what reaches
//! whom, when the hooks run. What it says about mistakes is pinned in `actor-macros/tests/ui`.

use std::collections::HashSet;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actor_core::actor::{Actor, ActorRef, MailboxKind, TrySendError};
use actor_core::chan::{Receiver, Sender, buffered};
use actor_core::prelude::*;

/// Tells the test what happened, in order.
type Log = Sender<&'static str>;

struct Bank {
    cents: u64,
    log: Log,
}

#[derive(Debug, PartialEq)]
struct Poor {
    missing: u64,
}

#[actor(mailbox = buffered(2), name = "bank")]
impl Bank {
    #[init]
    async fn open(cents: u64, ctx: &Ctx<Self>, log: Log) -> Result<Self, String> {
        if cents == 13 {
            return Err(format!("{} is superstitious", ctx.name()));
        }
        Ok(Bank { cents, log })
    }

    pub fn deposit(&mut self, cents: u64) -> u64 {
        self.cents += cents;
        self.cents
    }

    pub async fn withdraw(&mut self, cents: u64) -> Result<u64, Poor> {
        yield_now().await;
        match self.cents.checked_sub(cents) {
            Some(rest) => {
                self.cents = rest;
                Ok(rest)
            }
            None => Err(Poor {
                missing: cents - self.cents,
            }),
        }
    }

    pub fn export(&self, to: String) -> io::Result<u64> {
        Err(io::Error::new(io::ErrorKind::NotFound, to))
    }

    pub fn me(&self, ctx: &Ctx<Self>) -> BankRef {
        ctx.handle()
    }

    pub fn same_as(&self, other: BankRef, ctx: &Ctx<Self>) -> bool {
        other == ctx.handle()
    }

    pub fn note(&mut self, text: &'static str) {
        self.log.try_send(text).expect("the log has room");
    }

    pub async fn crash(&mut self, after: Receiver<()>) {
        let _ = after.recv().await;
        panic!("asked to");
    }

    pub async fn work_until(&mut self, done: Receiver<()>) {
        let _ = done.recv().await;
    }

    #[stopped]
    async fn close(self, why: StopReason) {
        yield_now().await;
        assert_eq!(why, StopReason::Requested);
        self.log.try_send("closed").expect("the log has room");
    }
}

async fn open(cents: u64) -> (BankRef, Receiver<&'static str>) {
    let (log, events) = buffered(64);
    (Bank::start(cents, log).await.expect("a bank opens"), events)
}

#[actor_core::test]
async fn sync_and_async_handlers_answer_an_ask() {
    let (bank, _events) = open(100).await;
    assert_eq!(bank.deposit(5).await, Ok(105));
    assert_eq!(bank.withdraw(100).await, Ok(5));
}

#[actor_core::test]
async fn an_err_goes_to_the_caller_and_the_actor_goes_on() {
    let (bank, _events) = open(1).await;
    assert_eq!(
        bank.withdraw(4).await,
        Err(CallError::Failed(Poor { missing: 3 }))
    );
    assert_eq!(bank.deposit(0).await, Ok(1));
}

#[actor_core::test]
async fn the_error_behind_a_result_alias_is_found() {
    let (bank, _events) = open(1).await;
    let failed: io::Error = bank
        .export("nowhere".into())
        .await
        .unwrap_err()
        .into_failed()
        .unwrap();
    assert_eq!(failed.kind(), io::ErrorKind::NotFound);
    assert_eq!(failed.to_string(), "nowhere");
}

#[actor_core::test]
async fn a_failed_init_is_the_starts_error() {
    let (log, _events) = buffered(1);
    let error = Bank::start(13, log).await.expect_err("13 is refused");
    assert!(
        error.to_string().contains("bank is superstitious"),
        "{error}"
    );
}

#[actor_core::test]
async fn tells_are_handled_in_the_order_sent() {
    let (bank, events) = open(0).await;
    for text in ["one", "two", "three", "four"] {
        bank.note(text).tell().await.expect("the bank is open");
    }
    for text in ["one", "two", "three", "four"] {
        assert_eq!(events.recv().await, Some(text));
    }
}

#[actor_core::test]
async fn the_capacity_is_the_one_written() {
    let (bank, _events) = open(0).await;
    let (done, until) = buffered::<()>(1);
    // One in work and two waiting; whether the first was taken already is the actor's business.
    bank.work_until(until)
        .tell()
        .await
        .expect("the bank is open");
    let mut accepted = 0;
    let refused = loop {
        match bank.deposit(1).try_tell() {
            Ok(()) => accepted += 1,
            Err(refused) => break refused,
        }
        assert!(accepted <= 3, "a mailbox for 2 took {accepted}");
        yield_now().await;
    };
    assert!(matches!(refused, TrySendError::Full(_)), "{refused:?}");
    assert_eq!(format!("{:?}", refused.into_inner()), "BankMsg::deposit");
    done.close();
    assert_eq!(bank.deposit(0).await, Ok(accepted));
}

#[actor_core::test]
async fn a_message_may_carry_a_handle_of_its_own_actor() {
    let (bank, _events) = open(0).await;
    let (other, _events) = open(0).await;
    assert_eq!(bank.same_as(bank.me().await.unwrap()).await, Ok(true));
    assert_eq!(bank.same_as(other).await, Ok(false));
}

#[actor_core::test]
async fn stopped_has_run_when_stop_returns() {
    let (bank, events) = open(0).await;
    bank.note("before").tell().await.expect("the bank is open");
    bank.stop().await;
    assert_eq!(events.try_recv(), Ok("before"));
    assert_eq!(events.try_recv(), Ok("closed"));
    assert!(bank.is_stopped());
    assert_eq!(bank.deposit(1).await, Err(CallError::Stopped));
}

#[actor_core::test]
async fn a_panic_is_told_to_its_asker_and_skips_the_stop_hook() {
    let (bank, events) = open(0).await;
    let (_go, when) = buffered::<()>(1);
    drop(_go);
    assert_eq!(bank.crash(when).await, Err(CallError::Panicked));
    assert!(!bank.wait().await.is_orderly());
    drop(bank);
    assert_eq!(
        events.recv().await,
        None,
        "the state is dropped without `close`"
    );
}

#[actor_core::test]
async fn handles_are_values() {
    let (bank, _events) = open(0).await;
    let address: &ActorRef<Bank> = bank.as_ref();
    assert_eq!(BankRef::from(address.clone()), bank);
    assert_eq!(ActorRef::from(bank.clone()), *bank.actor_ref());
    assert_eq!((bank.name(), bank.mailbox_len()), ("bank", 0));
    assert_eq!(HashSet::from([bank.clone(), bank.clone()]).len(), 1);
    assert_eq!(format!("{bank:?}"), format!("{address:?}"));
}

struct Defaults;

#[actor]
impl Defaults {
    #[init]
    fn new() -> Self {
        Defaults
    }
}

struct Direct;

#[actor(mailbox = rendezvous)]
impl Direct {
    #[init]
    fn new() -> Self {
        Direct
    }
}

struct Endless;

#[actor(mailbox = unbounded)]
impl Endless {
    #[init]
    fn new() -> Self {
        Endless
    }
}

#[test]
fn options_and_their_defaults_reach_the_trait() {
    assert_eq!(
        (Bank::NAME, Bank::MAILBOX),
        ("bank", MailboxKind::Buffered(2))
    );
    assert_eq!(
        (Defaults::NAME, Defaults::MAILBOX),
        ("Defaults", MailboxKind::default())
    );
    assert_eq!(Direct::MAILBOX, MailboxKind::Rendezvous);
    assert_eq!(Endless::MAILBOX, MailboxKind::Unbounded);
}

struct Metronome {
    fast: Sender<u64>,
    beats: u64,
    slow_ran: Arc<AtomicBool>,
}

#[actor]
impl Metronome {
    #[init]
    fn new(fast: Sender<u64>, slow_ran: Arc<AtomicBool>) -> Self {
        Metronome {
            fast,
            beats: 0,
            slow_ran,
        }
    }

    #[every(minutes = 60)]
    fn slow(&mut self) {
        self.slow_ran.store(true, Ordering::SeqCst);
    }

    /// A tick, and a message in between.
    #[every(millis = 1)]
    pub async fn beat(&mut self, ctx: &Ctx<Self>) {
        assert_eq!(ctx.name(), "Metronome");
        self.beats += 1;
        let _ = self.fast.try_send(self.beats);
    }
}

#[actor_core::test]
async fn ticks_run_each_at_its_own_period_and_pub_ones_are_messages_too() {
    assert_eq!(
        <Metronome as Actor>::ticks(),
        [Duration::from_secs(3600), Duration::from_millis(1)]
    );
    let (fast, beats) = buffered(1024);
    let slow_ran = Arc::new(AtomicBool::new(false));
    let metronome = Metronome::start(fast, Arc::clone(&slow_ran)).await.unwrap();
    for n in 1..=5 {
        assert_eq!(beats.recv().await, Some(n));
    }
    assert_eq!(metronome.beat().await, Ok(()));
    metronome.stop().await;
    assert!(!slow_ran.load(Ordering::SeqCst), "an hour has not passed");
}

struct Sink;

#[actor(mailbox = unbounded)]
impl Sink {
    #[init]
    fn new() -> Self {
        Sink
    }

    pub fn take(&mut self, _n: u64) {}
}

/// On a single processor, a goroutine that tells without end to a mailbox that is never full has
/// to let another one run: only its budget makes it.
#[actor_core::test(procs = 1)]
async fn one_that_only_tells_does_not_starve_the_others() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    let sink = Sink::start().await.unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let teller = actor_core::go({
        let stop = stop.clone();
        async move {
            while !stop.load(Ordering::SeqCst) {
                sink.take(1).tell().await.unwrap();
            }
        }
    });
    let stopper = actor_core::go(async move { stop.store(true, Ordering::SeqCst) });
    stopper.await.unwrap();
    teller.await.unwrap();
}
