//! The priority lane, the high-water mark and batches, as a user of `#[actor]` sees them.
#![allow(missing_debug_implementations)]

mod probe;

use std::sync::Mutex;

use actor_core::JoinHandle;
use actor_core::actor::{Batch, CallError, Down, ExitReason, Overflow, Pressure, TrySendError};
use actor_core::prelude::*;
use probe::{Gate, Log, run};

macro_rules! held {
    ($name:ident) => {{
        let (log, gate) = (Log::default(), Gate::new());
        let desk = $name::start(log.clone()).await.unwrap();
        desk.hold(gate.clone()).tell().await.unwrap();
        gate.entered().await;
        (desk, gate, log)
    }};
}

// ---- priority -------------------------------------------------------------------------------

macro_rules! triage {
    ($name:ident, $($option:tt)*) => {
        struct $name {
            log: Log,
        }

        #[actor($($option)*)]
        impl $name {
            #[init]
            fn new(log: Log) -> Self {
                Self { log }
            }

            pub async fn hold(&mut self, gate: Gate) {
                gate.pass().await;
            }

            pub fn routine(&mut self, n: u64) {
                self.log.add(format!("r{n}"));
            }

            #[priority]
            pub fn urgent(&mut self, n: u64) {
                self.log.add(format!("u{n}"));
            }
        }
    };
}

triage!(Small, mailbox = buffered(4));
triage!(Endless, mailbox = unbounded);
triage!(InPerson, mailbox = rendezvous);
triage!(Forgetful, mailbox = buffered(2), overflow = drop_oldest);

fn names(letter: char, numbers: impl IntoIterator<Item = u64>) -> Vec<String> {
    numbers
        .into_iter()
        .map(|n| format!("{letter}{n}"))
        .collect()
}

// One processor: after a few yields the others have gone as far as they can.
#[actor_core::test(procs = 1)]
async fn urgent_messages_overtake_and_each_lane_keeps_its_order_and_its_own_room() {
    let (desk, gate, log) = held!(Small);
    for n in 0..4 {
        desk.routine(n).tell().await.unwrap();
    }
    assert!(matches!(
        desk.routine(4).try_tell(),
        Err(TrySendError::Full(_))
    ));
    for n in 0..4 {
        desk.urgent(n).tell().await.unwrap(); // the other lane is full
    }
    assert!(matches!(
        desk.urgent(4).try_tell(),
        Err(TrySendError::Full(_))
    ));
    assert_eq!(desk.mailbox_len(), 8);
    // Senders wait in their lane, too.
    let (late_routine, late_urgent) = (desk.clone(), desk.clone());
    let waits = [
        go(async move { late_routine.routine(5).tell().await.is_ok() }),
        go(async move { late_urgent.urgent(5).tell().await.is_ok() }),
    ];
    for _ in 0..10 {
        yield_now().await;
    }
    gate.open();
    for wait in waits {
        assert!(wait.await.unwrap());
    }
    desk.routine(9).await.unwrap();
    let mut expected = names('u', [0, 1, 2, 3, 5]);
    expected.extend(names('r', [0, 1, 2, 3, 5, 9]));
    assert_eq!(log.lines(), expected);
}

#[test]
fn urgent_messages_do_not_starve_the_others() {
    run(async {
        let (desk, gate, log) = held!(Endless);
        for n in 0..3 {
            desk.routine(n).tell().await.unwrap();
        }
        for n in 0..40 {
            desk.urgent(n).tell().await.unwrap();
        }
        gate.open();
        desk.routine(9).await.unwrap();
        let mut expected = names('u', 0..16);
        expected.extend(names('r', [0]));
        expected.extend(names('u', 16..32));
        expected.extend(names('r', [1]));
        expected.extend(names('u', 32..40));
        expected.extend(names('r', [2, 9]));
        assert_eq!(log.lines(), expected);
    });
}

/// A desk that is held, with both lanes full and a sender waiting at each.
async fn crammed() -> (SmallRef, Gate, Log, Vec<JoinHandle<bool>>) {
    let (desk, gate, log) = held!(Small);
    while desk.urgent(0).try_tell().is_ok() {}
    while desk.routine(0).try_tell().is_ok() {}
    let (urgent, routine) = (desk.clone(), desk.clone());
    let senders = vec![
        go(async move { urgent.urgent(9).tell().await.is_ok() }),
        go(async move { routine.routine(9).tell().await.is_ok() }),
    ];
    for _ in 0..10 {
        yield_now().await;
    }
    (desk, gate, log, senders)
}

async fn all_of(senders: Vec<JoinHandle<bool>>) -> Vec<bool> {
    let mut sent = Vec::new();
    for sender in senders {
        sent.push(sender.await.unwrap());
    }
    sent
}

#[actor_core::test(procs = 1)]
async fn a_stop_waits_for_no_room_in_a_full_urgent_lane() {
    let (desk, gate, log, senders) = crammed().await;
    let stopping = desk.stop();
    assert_eq!(
        all_of(senders).await,
        [false, false],
        "they have theirs back"
    );
    gate.open();
    assert_eq!(stopping.await, ExitReason::Normal);
    assert_eq!(log.lines().len(), 8, "what was queued is handled first");
}

#[actor_core::test(procs = 1)]
async fn a_stop_now_overtakes_a_full_urgent_lane() {
    let (desk, gate, log, senders) = crammed().await;
    let stopping = desk.stop_now();
    assert_eq!(all_of(senders).await, [false, false]);
    gate.open();
    assert_eq!(stopping.await, ExitReason::Normal);
    assert_eq!(log.lines(), [""; 0], "nothing of it is handled");
}

#[actor_core::test(procs = 1)]
async fn a_kill_overtakes_a_full_urgent_lane_and_the_message_in_work() {
    let (desk, _gate, log, senders) = crammed().await;
    assert_eq!(desk.kill().await, ExitReason::Killed);
    assert_eq!(all_of(senders).await, [false, false]);
    assert_eq!(log.lines(), [""; 0]);
}

#[actor_core::test(procs = 1)]
async fn an_urgent_sender_is_met_first_at_a_rendezvous() {
    let (desk, gate, log) = held!(InPerson);
    let (routine, urgent) = (desk.clone(), desk.clone());
    let first = go(async move { routine.routine(1).tell().await.is_ok() });
    for _ in 0..10 {
        yield_now().await;
    }
    let second = go(async move { urgent.urgent(1).tell().await.is_ok() });
    for _ in 0..10 {
        yield_now().await;
    }
    gate.open();
    assert!(first.await.unwrap() && second.await.unwrap());
    desk.routine(2).await.unwrap();
    assert_eq!(log.lines(), ["u1", "r1", "r2"]);
}

#[test]
fn the_oldest_that_leaves_is_of_the_new_messages_lane() {
    run(async {
        let (desk, gate, log) = held!(Forgetful);
        for n in 0..3 {
            desk.routine(n).tell().await.unwrap();
            desk.urgent(n).tell().await.unwrap();
        }
        gate.open();
        desk.routine(9).overflow(Overflow::Wait).await.unwrap();
        assert_eq!(log.lines(), ["u1", "u2", "r1", "r2", "r9"]);
    });
}

// ---- high water -----------------------------------------------------------------------------

static CROSSINGS: Mutex<Vec<(String, bool, usize, u64)>> = Mutex::new(Vec::new());

fn crossings(actor: &str) -> Vec<(bool, usize, u64)> {
    let all = CROSSINGS.lock().unwrap();
    let ours = all.iter().filter(|(name, ..)| name == actor);
    ours.map(|&(_, is_high, len, number)| (is_high, len, number))
        .collect()
}

struct Tank {
    log: Log,
}

#[actor(mailbox = buffered(8), high_water = 6, low_water = 2, name = "tank")]
impl Tank {
    #[init]
    fn new(log: Log) -> Self {
        Self { log }
    }

    pub async fn hold(&mut self, gate: Gate) {
        gate.pass().await;
    }

    pub fn pour(&mut self, n: u64) {
        // The mailbox is seen from its own handler: a hook under its lock would hang here.
        self.log.add(format!("{n} {}", crossings("tank").len()));
    }

    #[high_water]
    fn crowded(change: &Pressure<'_>) {
        CROSSINGS.lock().unwrap().push((
            change.actor.to_owned(),
            change.is_high,
            change.len,
            change.number,
        ));
    }
}

#[test]
fn the_marks_are_told_once_per_crossing_up_and_down() {
    run(async {
        let (desk, gate, log) = held!(Tank);
        for n in 0..5 {
            desk.pour(n).tell().await.unwrap();
        }
        assert_eq!(crossings("tank"), []);
        for n in 5..8 {
            desk.pour(n).tell().await.unwrap();
        }
        assert_eq!(crossings("tank"), [(true, 6, 1)]);
        gate.open();
        desk.pour(8).await.unwrap();
        let (up, down) = ((true, 6, 1), (false, 2, 2));
        assert_eq!(crossings("tank")[..2], [up, down]);
        // Before the message that left two behind was handled, not after the queue was empty.
        assert!(log.has("4 1") && log.has("6 2"), "{:?}", log.lines());
        // And again.
        let gate = Gate::new();
        desk.hold(gate.clone()).tell().await.unwrap();
        gate.entered().await;
        for n in 0..6 {
            desk.pour(n).tell().await.unwrap();
        }
        assert_eq!(crossings("tank").last(), Some(&(true, 6, 3)));
        gate.open();
        desk.pour(9).await.unwrap();
        assert_eq!(crossings("tank").last(), Some(&(false, 2, 4)));
    });
}

struct Fragile;

#[actor(mailbox = unbounded, high_water = 1)]
impl Fragile {
    #[init]
    fn new() -> Self {
        Self
    }

    pub fn note(&mut self, n: u64) -> u64 {
        n
    }

    #[high_water]
    fn crowded(_: &Pressure<'_>) {
        panic!("the hook's own mistake");
    }
}

#[test]
fn a_hook_that_panics_hurts_neither_the_sender_nor_the_actor() {
    run(async {
        let desk = Fragile::start().await.unwrap();
        for n in 0..5 {
            assert_eq!(desk.note(n).await, Ok(n));
        }
    });
}

// ---- batches --------------------------------------------------------------------------------

macro_rules! ledger {
    ($name:ident, $($option:tt)*) => {
        struct $name {
            log: Log,
            sum: u64,
        }

        #[actor($($option)*)]
        impl $name {
            #[init]
            fn new(log: Log) -> Self {
                Self { log, sum: 0 }
            }

            pub async fn hold(&mut self, gate: Gate) {
                gate.pass().await;
            }

            pub fn note(&mut self, n: u64) {
                self.log.add(format!("note {n}"));
            }

            /// Adds all, and answers each with the sum so far.
            #[batch(max = 5)]
            pub async fn add(&mut self, items: &mut Batch<(u64, bool), u64, String>, ctx: &Ctx<Self>) {
                let all: Vec<u64> = items.iter().map(|(n, _)| *n).collect();
                self.log.add(format!("add {all:?} in life {}", ctx.incarnation()));
                yield_now().await;
                for item in items.drain() {
                    let (n, fails) = item.args;
                    self.sum += n;
                    if n == 666 {
                        panic!("told to");
                    }
                    match fails {
                        false => item.answer(self.sum),
                        true => item.fail(format!("not {n}")),
                    }
                }
            }

            #[batch]
            pub fn mark(&mut self, marks: &mut Batch<u64>) {
                self.log.add(format!("mark {:?}", marks.iter().collect::<Vec<_>>()));
            }
        }
    };
}

ledger!(Ledger, mailbox = buffered(64));
ledger!(OneByOne, mailbox = buffered(4));
ledger!(Lossy, mailbox = buffered(64), overflow = drop_oldest);

#[test]
fn queued_neighbours_of_one_method_are_handled_in_one_call_and_answered_each() {
    run(async {
        let (desk, gate, log) = held!(Ledger);
        let asks: Vec<_> = [(1, false), (2, true), (3, false)]
            .into_iter()
            .map(|(n, fails)| {
                let desk = desk.clone();
                go(async move { desk.add(n, fails).await })
            })
            .collect();
        while desk.mailbox_len() < 3 {
            yield_now().await;
        }
        desk.note(1).tell().await.unwrap();
        for n in 10..17 {
            desk.add(n, false).tell().await.unwrap();
        }
        desk.mark(1).tell().await.unwrap();
        let marked = {
            let desk = desk.clone();
            go(async move { desk.mark(2).await })
        };
        while desk.mailbox_len() < 13 {
            yield_now().await;
        }
        gate.open();
        let mut answers = Vec::new();
        for ask in asks {
            answers.push(ask.await.unwrap());
        }
        assert_eq!(
            marked.await.unwrap(),
            Ok(()),
            "a silent batch answers by itself"
        );
        assert_eq!(answers[1], Err(CallError::Failed("not 2".to_owned())));
        assert!(answers[0].is_ok() && answers[2].is_ok(), "{answers:?}");
        let lines = log.lines();
        assert!(
            lines[0].starts_with("add [") && lines[0].matches(',').count() == 2,
            "{lines:?}"
        );
        assert_eq!(
            lines[1..],
            [
                "note 1",
                "add [10, 11, 12, 13, 14] in life 1",
                "add [15, 16] in life 1",
                "mark [1, 2]"
            ]
        );
        assert_eq!(desk.add(0, false).await, Ok(6 + (10..17).sum::<u64>()));
    });
}

#[test]
fn a_small_and_a_displacing_mailbox_batch_as_well() {
    run(async {
        let (desk, gate, log) = held!(OneByOne);
        for n in 0..4 {
            desk.add(n, false).tell().await.unwrap();
        }
        gate.open();
        desk.note(9).await.unwrap();
        assert_eq!(log.lines(), ["add [0, 1, 2, 3] in life 1", "note 9"]);
        let (desk, gate, log) = held!(Lossy);
        for n in 0..4 {
            desk.add(n, false).tell().await.unwrap();
        }
        desk.note(5).tell().await.unwrap();
        desk.add(6, false).tell().await.unwrap();
        gate.open();
        desk.note(9).await.unwrap();
        let expected = [
            "add [0, 1, 2, 3] in life 1",
            "note 5",
            "add [6] in life 1",
            "note 9",
        ];
        assert_eq!(log.lines(), expected);
    });
}

/// Handles its messages in twos, and watches another actor.
struct Watcher {
    log: Log,
}

#[actor(mailbox = buffered(4))]
impl Watcher {
    #[init]
    fn new(watched: SlowRef, log: Log, ctx: &Ctx<Self>) -> Self {
        ctx.monitor(&watched);
        Self { log }
    }

    #[batch(max = 2)]
    pub async fn pass(&mut self, gates: &mut Batch<Gate>) {
        for gate in gates.iter() {
            self.log.add("pass");
            gate.pass().await;
        }
    }

    #[down]
    fn gone(&mut self, _: Down) {
        self.log.add("down");
    }

    #[stopped]
    fn close(self, _: StopReason) {
        self.log.add("stopped");
    }
}

#[test]
fn a_down_and_a_stop_now_wait_for_the_batch_in_work_and_for_no_other_in_a_full_mailbox() {
    run(async {
        let (watched, log) = (Slow::start().await.unwrap(), Log::default());
        let watcher = Watcher::start(watched.clone(), log.clone()).await.unwrap();
        let gates = [(); 3].map(|()| Gate::new());
        watcher.pass(gates[0].clone()).tell().await.unwrap();
        gates[0].entered().await;
        for gate in &gates[1..] {
            watcher.pass(gate.clone()).tell().await.unwrap();
        }
        while watcher.pass(Gate::new()).try_tell().is_ok() {}
        let sender = watcher.clone();
        let waits = go(async move { sender.pass(Gate::new()).tell().await.is_ok() });
        yield_now().await;
        watched.kill().await;
        gates[0].open();
        gates[1].entered().await;
        assert_eq!(log.lines(), ["pass", "down", "pass"]);
        let stop = watcher.stop_now();
        gates[1].open();
        gates[2].open();
        stop.await;
        assert_eq!(log.lines(), ["pass", "down", "pass", "pass", "stopped"]);
        let _ = waits.await.unwrap();
    });
}

#[test]
fn a_panic_is_the_end_of_the_whole_batch_and_of_nothing_behind_it() {
    run(async {
        let log = Log::default();
        let child = Ledger::child("ledger", log.clone());
        let desk = child.handle();
        let app = Supervisor::one_for_one("app")
            .child(child)
            .start()
            .await
            .unwrap();
        let gate = Gate::new();
        desk.hold(gate.clone()).tell().await.unwrap();
        gate.entered().await;
        let mut asks = Vec::new();
        for (queued, n) in [1, 666, 2, 3, 4, 5, 6].into_iter().enumerate() {
            let asker = desk.clone();
            asks.push(go(async move { asker.add(n, false).await }));
            while desk.mailbox_len() <= queued {
                yield_now().await;
            }
        }
        gate.open();
        let mut answers = Vec::new();
        for ask in asks {
            answers.push(ask.await.unwrap());
        }
        // 1 had its answer already; 666 and what was left of the batch have none.
        assert_eq!(answers[0], Ok(1));
        assert_eq!(answers[1..5], [const { Err(CallError::Panicked) }; 4]);
        assert_eq!(answers[5..], [Ok(5), Ok(11)], "of the next incarnation");
        assert_eq!(log.lines()[1], "add [5, 6] in life 2");
        app.stop().await;
    });
}

struct Slow;

#[actor]
impl Slow {
    #[init]
    fn new() -> Self {
        Self
    }

    #[batch]
    pub async fn pass(&mut self, gates: &mut Batch<Gate>) {
        for gate in gates.iter() {
            gate.pass().await;
        }
    }
}

#[test]
fn a_kill_answers_stopped_to_the_whole_batch() {
    run(async {
        let desk = Slow::start().await.unwrap();
        let gates = [(); 4].map(|()| Gate::new());
        let mut asks = Vec::new();
        for (n, gate) in gates.iter().enumerate() {
            let (asker, gate) = (desk.clone(), gate.clone());
            asks.push(go(async move { asker.pass(gate).await }));
            if n == 0 {
                gates[0].entered().await; // alone
            }
        }
        while desk.mailbox_len() < 3 {
            yield_now().await;
        }
        gates[0].open();
        // Any of the others may be the first of the batch; in it no other one is entered.
        while desk.mailbox_len() > 0 {
            yield_now().await;
        }
        desk.kill().await;
        let mut answers = Vec::new();
        for ask in asks {
            answers.push(ask.await.unwrap());
        }
        assert_eq!(answers[0], Ok(()));
        assert_eq!(answers[1..], [const { Err(CallError::Stopped) }; 3]);
    });
}
