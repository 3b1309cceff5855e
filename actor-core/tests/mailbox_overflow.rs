//! What happens when a mailbox is full, by the actor's policy and by the call's; dead letters; and
//! that stop and kill never wait behind messages.

#![allow(missing_debug_implementations)]

mod probe;

use std::sync::Arc;

use actor_core::actor::{
    ActorId, CallError, DeadLetter, DeadLetterReason, DeadLetters, ExitReason, Overflow,
    TrySendError, dead_letters_of, subscribe_dead_letters,
};
use actor_core::prelude::*;
use probe::{Gate, Log, run};

/// An actor with one capacity and one policy, whose first message holds it in a handler until the
/// gate opens.
macro_rules! desk {
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

            pub fn note(&mut self, n: u64) -> u64 {
                self.log.add(n.to_string());
                n
            }
        }
    };
}

desk!(
    Waiting,
    mailbox = buffered(4),
    overflow = wait,
    name = "waiting"
);
desk!(
    Failing,
    mailbox = buffered(4),
    overflow = fail,
    name = "failing"
);
desk!(
    DropsNew,
    mailbox = buffered(4),
    overflow = drop_newest,
    name = "drops new"
);
desk!(
    DropsOld,
    mailbox = buffered(64),
    overflow = drop_oldest,
    name = "drops old"
);
desk!(Large, mailbox = buffered(64), name = "large");
desk!(
    IfIdle,
    mailbox = rendezvous,
    overflow = drop_newest,
    name = "if idle"
);

/// Starts one and holds it in a handler. The message waits, if need be, until it is ready to take one.
macro_rules! held {
    ($name:ident) => {{
        let (log, gate) = (Log::default(), Gate::new());
        let desk = $name::start(log.clone()).await.unwrap();
        let hold = desk.hold(gate.clone()).overflow(Overflow::Wait);
        hold.tell().await.unwrap();
        gate.entered().await;
        (desk, gate, log)
    }};
}

fn lines(numbers: impl IntoIterator<Item = u64>) -> Vec<String> {
    numbers.into_iter().map(|n| n.to_string()).collect()
}

/// The letters of one actor so far, as message and reason. Other tests make some as well.
fn letters_of(all: &DeadLetters, actor: ActorId) -> Vec<(&'static str, DeadLetterReason)> {
    std::iter::from_fn(|| all.try_recv())
        .filter(|letter| letter.id == actor)
        .map(
            |DeadLetter {
                 message, reason, ..
             }| (message, reason),
        )
        .collect()
}

#[test]
fn wait_lets_senders_wait_and_loses_nothing() {
    run(async {
        let (desk, gate, log) = held!(Waiting);
        let senders: Vec<_> = (0..12)
            .map(|n| {
                let desk = desk.clone();
                go(async move { desk.note(n).tell().await.is_ok() })
            })
            .collect();
        while desk.mailbox_len() < 4 {
            yield_now().await;
        }
        gate.open();
        for sender in senders {
            assert!(sender.await.unwrap());
        }
        desk.note(99).await.unwrap();
        assert_eq!(log.lines().len(), 13);
    });
}

#[test]
fn fail_hands_a_tell_its_message_back_and_tells_an_ask_overloaded() {
    run(async {
        let (desk, gate, log) = held!(Failing);
        for n in 0..4 {
            desk.note(n).tell().await.unwrap();
        }
        let letters = subscribe_dead_letters(1_000);
        match desk.note(4).tell().await {
            Err(TrySendError::Full(FailingMsg::Note { n: 4, .. })) => {}
            other => panic!("not handed back: {other:?}"),
        }
        assert_eq!(desk.note(5).await, Err(CallError::Overloaded));
        assert_eq!(letters_of(&letters, desk.id()), [], "it was handed back");
        gate.open();
        desk.note(9).overflow(Overflow::Wait).await.unwrap();
        assert_eq!(log.lines(), lines([0, 1, 2, 3, 9]));
    });
}

#[test]
fn drop_newest_keeps_what_is_queued_and_buries_the_new_one() {
    run(async {
        let (desk, gate, log) = held!(DropsNew);
        let letters = subscribe_dead_letters(1_000);
        let before = dead_letters_of(DeadLetterReason::Overflow);
        for n in 0..6 {
            desk.note(n).tell().await.unwrap();
        }
        assert_eq!(desk.note(6).await, Err(CallError::Overloaded));
        assert!(dead_letters_of(DeadLetterReason::Overflow) >= before + 3);
        let expected = [("note", DeadLetterReason::Overflow); 3];
        assert_eq!(letters_of(&letters, desk.id()), expected);
        gate.open();
        desk.note(9).overflow(Overflow::Wait).await.unwrap();
        assert_eq!(log.lines(), lines([0, 1, 2, 3, 9]));
    });
}

#[test]
fn drop_oldest_buries_the_oldest_whatever_the_actor_has_taken_and_tells_its_asker() {
    run(async {
        let (desk, gate, log) = held!(DropsOld);
        let letters = subscribe_dead_letters(1_000);
        let first = {
            let desk = desk.clone();
            go(async move { desk.note(0).await })
        };
        while desk.mailbox_len() < 1 {
            yield_now().await;
        }
        for n in 1..64 {
            desk.note(n).tell().await.unwrap();
        }
        assert_eq!(letters_of(&letters, desk.id()), []);
        for n in 64..70 {
            desk.note(n).tell().await.unwrap();
        }
        assert_eq!(desk.mailbox_len(), 64);
        assert_eq!(first.await.unwrap(), Err(CallError::Overloaded));
        let expected = [("note", DeadLetterReason::Overflow); 6];
        assert_eq!(letters_of(&letters, desk.id()), expected);
        gate.open();
        desk.note(99).await.unwrap();
        // The ask above was one more, so 6 is gone as well unless the actor was quicker.
        let seen: Vec<String> = log.lines();
        let rest = lines((7..70).chain([99]));
        assert!(seen.ends_with(&rest), "{seen:?}");
        assert!(seen.len() <= rest.len() + 1, "{seen:?}");
    });
}

#[test]
fn a_call_may_drop_the_oldest_in_a_mailbox_that_waits_otherwise() {
    run(async {
        let (desk, gate, log) = held!(Large);
        let letters = subscribe_dead_letters(1_000);
        for n in 0..70 {
            let call = desk.note(n).overflow(Overflow::DropOldest);
            call.tell().await.unwrap();
        }
        assert_eq!(
            letters_of(&letters, desk.id()),
            [("note", DeadLetterReason::Overflow); 6]
        );
        assert_eq!(desk.note(70).tell_or_drop().map_err(drop), Ok(false));
        assert!(matches!(
            desk.note(71).try_tell(),
            Err(TrySendError::Full(_))
        ));
        assert_eq!(
            desk.note(72).overflow(Overflow::Fail).await,
            Err(CallError::Overloaded)
        );
        assert_eq!(
            letters_of(&letters, desk.id()),
            [("note", DeadLetterReason::Overflow)]
        );
        gate.open();
        desk.note(99).await.unwrap();
        assert_eq!(log.lines(), lines((6..70).chain([99])));
    });
}

#[test]
fn each_policy_may_be_a_calls_own_whatever_the_actors_is() {
    run(async {
        let (desk, gate, log) = held!(DropsNew);
        for n in 0..4 {
            desk.note(n).tell().await.unwrap();
        }
        let letters = subscribe_dead_letters(1_000);
        let with = |n, policy| desk.note(n).overflow(policy);
        assert!(matches!(
            with(10, Overflow::Fail).tell().await,
            Err(TrySendError::Full(DropsNewMsg::Note { n: 10, .. }))
        ));
        assert_eq!(with(11, Overflow::Fail).await, Err(CallError::Overloaded));
        assert_eq!(letters_of(&letters, desk.id()), [], "both were handed back");
        with(12, Overflow::DropOldest).tell().await.unwrap(); // for 0
        with(13, Overflow::DropNewest).tell().await.unwrap();
        let lost = ("note", DeadLetterReason::Overflow);
        assert_eq!(letters_of(&letters, desk.id()), [lost; 2]);
        let waits = {
            let desk = desk.clone();
            go(async move { desk.note(14).overflow(Overflow::Wait).await })
        };
        yield_now().await;
        gate.open();
        assert_eq!(waits.await.unwrap(), Ok(14));
        assert_eq!(log.lines(), lines([1, 2, 3, 12, 14]));

        let (desk, gate, _log) = held!(Waiting);
        for n in 0..4 {
            desk.note(n).tell().await.unwrap();
        }
        desk.note(4)
            .overflow(Overflow::DropNewest)
            .tell()
            .await
            .unwrap();
        assert_eq!(letters_of(&letters, desk.id()), [lost]);
        gate.open();
    });
}

#[test]
fn a_rendezvous_that_drops_takes_a_message_only_while_its_actor_is_idle() {
    run(async {
        let (desk, gate, log) = held!(IfIdle);
        assert_eq!(desk.note(1).await, Err(CallError::Overloaded));
        assert_eq!(
            desk.note(2).overflow(Overflow::DropOldest).await,
            Err(CallError::Overloaded),
            "there is no oldest"
        );
        gate.open();
        desk.note(3).overflow(Overflow::Wait).await.unwrap();
        assert_eq!(log.lines(), lines([3]));
    });
}

struct Board {
    log: Log,
}

#[actor(mailbox = buffered(4), overflow = coalesce, name = "board")]
impl Board {
    #[init]
    fn new(log: Log) -> Self {
        Self { log }
    }

    pub async fn hold(&mut self, gate: Gate) {
        gate.pass().await;
    }

    #[coalesce(key = symbol)]
    pub fn price(&mut self, symbol: &'static str, cents: u64) {
        self.log.add(format!("{symbol} {cents}"));
    }

    #[coalesce]
    pub fn refresh(&mut self) {
        self.log.add("refresh");
    }

    pub fn note(&mut self, n: u64) {
        self.log.add(n.to_string());
    }
}

#[test]
fn coalesce_puts_the_newest_of_a_key_in_the_place_of_the_queued_one() {
    run(async {
        let (desk, gate, log) = held!(Board);
        let letters = subscribe_dead_letters(1_000);
        let replaced = {
            let desk = desk.clone();
            go(async move { desk.price("abc", 1).await })
        };
        while desk.mailbox_len() < 1 {
            yield_now().await;
        }
        desk.note(7).tell().await.unwrap();
        desk.refresh().tell().await.unwrap();
        desk.price("xyz", 5).tell().await.unwrap();
        // Full now: known keys still get in, at their old place.
        for cents in 2..5 {
            desk.price("abc", cents).tell().await.unwrap();
        }
        desk.refresh().tell().await.unwrap();
        assert_eq!(replaced.await.unwrap(), Err(CallError::Replaced));
        assert_eq!(
            letters_of(&letters, desk.id()),
            [
                ("price", DeadLetterReason::Coalesced),
                ("price", DeadLetterReason::Coalesced),
                ("price", DeadLetterReason::Coalesced),
                ("refresh", DeadLetterReason::Coalesced),
            ]
        );
        // A new key waits for room.
        assert!(matches!(
            desk.price("new", 1).try_tell(),
            Err(TrySendError::Full(_))
        ));
        let waits = {
            let desk = desk.clone();
            go(async move { desk.price("new", 2).tell().await.is_ok() })
        };
        gate.open();
        assert!(waits.await.unwrap());
        desk.note(9).await.unwrap();
        assert_eq!(
            log.lines(),
            ["abc 4", "7", "refresh", "xyz 5", "new 2", "9"]
        );
        // What was handled is no longer there to be replaced.
        desk.price("abc", 8).await.unwrap();
        assert!(log.has("abc 8"));
    });
}

struct Gauge {
    log: Log,
}

#[actor(mailbox = buffered(4), overflow = wait, name = "gauge")]
impl Gauge {
    #[init]
    fn new(log: Log) -> Self {
        Self { log }
    }

    pub async fn hold(&mut self, gate: Gate) {
        gate.pass().await;
    }

    #[coalesce(key = place)]
    pub fn level(&mut self, place: u8, height: u64) {
        self.log.add(format!("{place} {height}"));
    }
}

#[test]
fn a_call_may_coalesce_with_those_that_say_so_too_in_a_mailbox_that_waits_otherwise() {
    run(async {
        let (desk, gate, log) = held!(Gauge);
        let letters = subscribe_dead_letters(1_000);
        // These are promised their places.
        desk.level(1, 10).tell().await.unwrap();
        desk.level(1, 11).tell().await.unwrap();
        let newest = |height| desk.level(1, height).overflow(Overflow::Coalesce);
        newest(12).tell().await.unwrap();
        desk.level(2, 20).tell().await.unwrap();
        // Full: one that coalesces still finds its place, at once and without an error.
        newest(13).tell().await.unwrap();
        newest(14).try_tell().unwrap();
        assert!(matches!(
            desk.level(1, 15).try_tell(),
            Err(TrySendError::Full(GaugeMsg::Level { height: 15, .. }))
        ));
        let coalesced = ("level", DeadLetterReason::Coalesced);
        assert_eq!(letters_of(&letters, desk.id()), [coalesced; 2]);
        gate.open();
        desk.level(3, 30).await.unwrap();
        assert_eq!(log.lines(), ["1 10", "1 11", "1 14", "2 20", "3 30"]);
    });
}

#[test]
fn a_full_mailbox_delays_neither_stop_now_nor_kill() {
    run(async {
        for kill in [false, true] {
            let (desk, gate, log) = held!(Waiting);
            while desk.note(1).try_tell().is_ok() {}
            let waiting = {
                let desk = desk.clone();
                go(async move { desk.note(2).tell().await.is_ok() })
            };
            yield_now().await;
            let end = if kill {
                desk.kill().await // while the gate is closed
            } else {
                let exit = desk.stop_now();
                gate.open();
                exit.await
            };
            let expected = if kill {
                ExitReason::Killed
            } else {
                ExitReason::Normal
            };
            assert_eq!(end, expected);
            assert!(!waiting.await.unwrap(), "the actor is gone");
            assert_eq!(
                log.lines(),
                [""; 0],
                "a queued message went before the request"
            );
        }
    });
}

#[test]
fn messages_queued_at_the_end_are_dead_letters_of_their_own_reason() {
    run(async {
        let (desk, _gate, _log) = held!(Large);
        let letters = subscribe_dead_letters(1_000);
        let before = dead_letters_of(DeadLetterReason::Stopped);
        for n in 0..3 {
            desk.note(n).tell().await.unwrap();
        }
        let id = desk.id();
        desk.kill().await;
        desk.wait().await;
        assert!(dead_letters_of(DeadLetterReason::Stopped) >= before + 3);
        let mut ours = std::iter::from_fn(|| letters.try_recv()).filter(|l| l.id == id);
        let first = ours.next().unwrap();
        assert_eq!(
            (&*first.actor, first.message, first.reason),
            ("large", "note", DeadLetterReason::Stopped)
        );
        assert_eq!(ours.count(), 2);
    });
}

#[test]
fn a_subscriber_that_is_behind_misses_letters_and_holds_nobody_up() {
    run(async {
        let (desk, gate, _log) = held!(DropsNew);
        let letters = subscribe_dead_letters(2);
        let other = Arc::new(subscribe_dead_letters(1_000));
        for n in 0..10 {
            desk.note(n).tell().await.unwrap();
        }
        assert!(letters.missed() >= 4, "6 letters, room for 2");
        assert_eq!(letters_of(&other, desk.id()).len(), 6);
        let waits = {
            let (other, id) = (Arc::clone(&other), desk.id());
            go(async move {
                loop {
                    let letter = other.recv().await.unwrap();
                    if letter.id == id {
                        return letter.message;
                    }
                }
            })
        };
        desk.note(99).tell().await.unwrap();
        assert_eq!(waits.await.unwrap(), "note");
        gate.open();
    });
}
