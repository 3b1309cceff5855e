//! What becomes of a message that crashes its actor: dropped, a dead letter, or tried again.

mod probe;

use std::{future::pending, time::Duration};

use actor_core::{
    actor::{
        ActorId, DeadLetterReason, DeadLetters, ExitReason, Poison, TrySendError,
        subscribe_dead_letters,
    },
    prelude::*,
    supervise::{OnRestart, SupervisorRef},
};
use probe::{Gate, Log, run};

/// Can be copied, and says when it is.
struct Sheet(Log);

impl Clone for Sheet {
    fn clone(&self) -> Self {
        self.0.add("copied");
        Self(self.0.clone())
    }
}

struct Printer {
    log: Log,
    gate: Gate,
}

#[actor(name = "printer", vis = pub(crate))]
impl Printer {
    #[init]
    fn new(log: Log, gate: Gate) -> Self {
        Self { log, gate }
    }

    pub fn plain(&mut self) {
        panic!("jammed");
    }

    #[poison(dead_letter)]
    pub fn shred(&mut self) {
        panic!("no shredder");
    }

    /// Works from incarnation `from` on.
    #[poison(retry(2))]
    pub fn print(&mut self, text: String, from: u64, ctx: &Ctx<Self>) -> String {
        self.log.add(format!("{text} in {}", ctx.incarnation()));
        assert!(ctx.incarnation() >= from, "jammed");
        text.to_uppercase()
    }

    /// As `print`, and it can fail.
    #[poison(retry(1))]
    pub fn check(&mut self, from: u64, ctx: &Ctx<Self>) -> Result<(), String> {
        assert!(ctx.incarnation() >= from, "jammed");
        Err(format!("checked in {}", ctx.incarnation()))
    }

    #[poison(retry(1))]
    #[limit(millis = 5)]
    pub async fn dry(&mut self, from: u64, ctx: &Ctx<Self>) -> u64 {
        if ctx.incarnation() < from {
            pending::<()>().await;
        }
        ctx.incarnation()
    }

    #[poison(retry(5))]
    pub async fn hold(&mut self) {
        self.gate.pass().await;
    }

    #[poison(retry(1))]
    pub fn copy(&mut self, sheet: Sheet) {
        drop(sheet);
    }

    pub fn note(&mut self, text: String, ctx: &Ctx<Self>) {
        self.log.add(format!("{text} in {}", ctx.incarnation()));
    }

    #[every(seconds = 3600)]
    fn clean(&mut self) {}
}

struct Office {
    printer: PrinterRef,
    supervisor: SupervisorRef,
    log: Log,
    gate: Gate,
    letters: DeadLetters,
}

impl Office {
    async fn open() -> Self {
        Self::open_with(OnRestart::Keep).await
    }

    async fn open_with(on_restart: OnRestart) -> Self {
        let (log, gate) = (Log::default(), Gate::default());
        let letters = subscribe_dead_letters(64);
        let child = Printer::child("printer", log.clone(), gate.clone()).on_restart(on_restart);
        let printer = child.handle();
        let supervisor = Supervisor::one_for_one("office")
            .intensity(100, Duration::from_secs(1))
            .child(child)
            .start()
            .await
            .unwrap();
        Self {
            printer,
            supervisor,
            log,
            gate,
            letters,
        }
    }

    /// The dead letters of its printer so far.
    fn letters(&self) -> Vec<(&'static str, DeadLetterReason)> {
        letters_of(&self.letters, self.printer.id())
    }
}

fn letters_of(letters: &DeadLetters, id: ActorId) -> Vec<(&'static str, DeadLetterReason)> {
    std::iter::from_fn(|| letters.try_recv())
        .filter(|letter| letter.id == id)
        .map(|letter| (letter.message, letter.reason))
        .collect()
}

#[test]
fn a_message_that_crashes_its_actor_is_dropped_unless_it_says_otherwise() {
    run(async {
        let office = Office::open().await;
        assert_eq!(office.printer.plain().await, Err(CallError::Panicked));
        office.printer.note("next".into()).await.unwrap();
        assert_eq!(office.log.lines(), ["next in 2"], "it is not handled again");
        assert_eq!(office.letters(), []);
        office.supervisor.stop().await;
    });
}

#[test]
fn a_poison_message_can_be_a_dead_letter_with_its_name() {
    run(async {
        let office = Office::open().await;
        assert_eq!(office.printer.shred().await, Err(CallError::Panicked));
        office.printer.shred().tell().await.unwrap();
        office.printer.note("next".into()).await.unwrap();
        assert_eq!(office.log.lines(), ["next in 3"]);
        let shred = ("shred", DeadLetterReason::Poison);
        assert_eq!(office.letters(), [shred, shred]);
        office.supervisor.stop().await;
    });
}

#[test]
fn the_asker_of_a_retried_message_gets_the_answer_of_the_try_that_succeeds() {
    run(async {
        let office = Office::open().await;
        let printed = office.printer.print("page".into(), 3).await;
        assert_eq!(printed, Ok("PAGE".to_owned()));
        assert_eq!(office.log.lines(), ["page in 1", "page in 2", "page in 3"]);
        let checked = office.printer.check(4).await;
        assert_eq!(checked, Err(CallError::Failed("checked in 4".to_owned())));
        assert_eq!(office.letters(), []);
        office.supervisor.stop().await;
    });
}

#[test]
fn a_retried_message_goes_before_those_that_wait() {
    run(async {
        let office = Office::open().await;
        let printer = &office.printer;
        // Queued in one go: the first crashes with the others behind it.
        let hold = printer.hold().tell();
        hold.await.unwrap();
        office.gate.entered().await;
        printer.print("first".into(), 2).tell().await.unwrap();
        printer.note("second".into()).tell().await.unwrap();
        office.gate.open();
        printer.note("third".into()).await.unwrap();
        let lines = ["first in 1", "first in 2", "second in 2", "third in 2"];
        assert_eq!(office.log.lines(), lines);
        office.supervisor.stop().await;
    });
}

#[test]
fn after_its_last_try_a_message_is_a_dead_letter_and_its_asker_is_told() {
    run(async {
        let office = Office::open().await;
        let printed = office.printer.print("page".into(), 100).await;
        assert_eq!(printed, Err(CallError::Panicked));
        office.printer.note("next".into()).await.unwrap();
        let lines = ["page in 1", "page in 2", "page in 3", "next in 4"];
        assert_eq!(office.log.lines(), lines);
        assert_eq!(office.letters(), [("print", DeadLetterReason::Poison)]);
        // Its tries are not counted on for the next message.
        let printed = office.printer.print("page".into(), 6).await;
        assert_eq!(printed, Ok("PAGE".to_owned()));
        office.supervisor.stop().await;
    });
}

#[test]
fn a_message_that_ran_into_its_limit_is_tried_again_too() {
    run(async {
        let office = Office::open().await;
        assert_eq!(office.printer.dry(2).await, Ok(2));
        assert_eq!(office.printer.dry(100).await, Err(CallError::TimedOut));
        office.printer.note("next".into()).await.unwrap();
        assert_eq!(office.letters(), [("dry", DeadLetterReason::Poison)]);
        office.supervisor.stop().await;
    });
}

#[test]
fn a_message_that_succeeds_at_once_is_answered_once_and_its_copy_dropped() {
    run(async {
        let office = Office::open().await;
        let copies = Log::default();
        office.printer.copy(Sheet(copies.clone())).await.unwrap();
        office.printer.note("next".into()).await.unwrap();
        assert_eq!(copies.lines(), ["copied"]);
        assert_eq!(office.log.lines(), ["next in 1"]);
        office.supervisor.stop().await;
    });
}

#[test]
fn the_message_at_which_an_actor_is_killed_is_not_tried_again() {
    run(async {
        let office = Office::open().await;
        let printer = office.printer.clone();
        let held = go(async move { printer.hold().await });
        office.gate.entered().await;
        office.printer.kill().await;
        assert_eq!(held.await.unwrap(), Err(CallError::Stopped));
        office.printer.note("next".into()).await.unwrap();
        assert_eq!(office.log.lines(), ["next in 2"]);
        assert_eq!(office.letters(), []);
        office.supervisor.stop().await;
    });
}

#[test]
fn without_a_supervisor_a_message_is_not_tried_again_and_its_asker_is_told() {
    run(async {
        let letters = subscribe_dead_letters(64);
        let printer = Printer::start(Log::default(), Gate::default())
            .await
            .unwrap();
        let printed = printer.print("page".into(), 2).await;
        assert_eq!(printed, Err(CallError::Panicked));
        assert!(matches!(printer.wait().await, ExitReason::Panicked { .. }));
        let print = ("print", DeadLetterReason::Poison);
        assert_eq!(letters_of(&letters, printer.id()), [print]);
        let refused = printer.print("page".into(), 2).try_tell();
        assert!(matches!(refused, Err(TrySendError::Closed(_))));
    });
}

#[test]
fn where_a_restart_clears_the_mailbox_nothing_is_tried_again() {
    run(async {
        let office = Office::open_with(OnRestart::Clear).await;
        let printed = office.printer.print("page".into(), 2).await;
        assert_eq!(printed, Err(CallError::Panicked));
        assert_eq!(office.letters(), [("print", DeadLetterReason::Poison)]);
        while office.printer.note("next".into()).await.is_err() {}
        assert_eq!(office.log.lines(), ["page in 1", "next in 2"]);
        office.supervisor.stop().await;
    });
}

#[test]
fn a_supervisor_that_gives_up_ends_the_tries() {
    run(async {
        let letters = subscribe_dead_letters(64);
        let log = Log::default();
        let child = Printer::child("printer", log.clone(), Gate::default());
        let printer = child.handle();
        let office = Supervisor::one_for_one("office")
            .intensity(1, Duration::from_secs(60))
            .child(child)
            .start()
            .await
            .unwrap();
        let printed = printer.print("page".into(), 100).await;
        assert_eq!(printed, Err(CallError::Panicked));
        assert!(matches!(office.wait().await, ExitReason::GaveUp { .. }));
        assert_eq!(log.lines(), ["page in 1", "page in 2"]);
        let print = ("print", DeadLetterReason::Poison);
        assert_eq!(letters_of(&letters, printer.id()), [print]);
    });
}

/// All that its actor crashes on are dead letters, but for one.
struct Strict;

#[actor(poison = dead_letter)]
impl Strict {
    #[init]
    fn new() -> Self {
        Self
    }

    pub fn first(&mut self) {
        panic!("first");
    }

    #[poison(drop)]
    pub fn second(&mut self) {
        panic!("second");
    }

    #[concurrent]
    pub async fn third(&self) {
        panic!("third");
    }
}

#[test]
fn the_actors_policy_holds_for_messages_that_have_none() {
    run(async {
        let letters = subscribe_dead_letters(64);
        let child = Strict::child("strict");
        let strict = child.handle();
        let office = Supervisor::one_for_one("office")
            .child(child)
            .start()
            .await
            .unwrap();
        assert_eq!(strict.first().await, Err(CallError::Panicked));
        assert_eq!(strict.second().await, Err(CallError::Panicked));
        assert_eq!(strict.third().await, Err(CallError::Panicked));
        office.stop().await;
        let poison = DeadLetterReason::Poison;
        let found = letters_of(&letters, strict.id());
        assert_eq!(found, [("first", poison), ("third", poison)]);
        assert_eq!(Poison::default(), Poison::Drop);
    });
}
