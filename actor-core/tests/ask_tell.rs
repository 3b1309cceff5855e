//! Ask and tell: answers, errors, room in the mailbox, and the ends that an asker can meet.

mod probe;

use std::time::Duration;

use actor_core::Runtime;
use actor_core::actor::{self, CallError, ExitReason, TrySendError};
use probe::{CAPACITY, Gate, Probe, run};

#[test]
fn an_ask_returns_what_the_handler_returned_value_or_error() {
    run(async {
        let probe = actor::start::<Probe>("probe", Probe::quiet())
            .await
            .unwrap();
        assert_eq!(Probe::echo(&probe, 7).await, Ok(7));
        assert_eq!(Probe::fail(&probe).await, Err(CallError::Failed("no")));
        assert_eq!(
            Probe::echo(&probe, 8).await,
            Ok(8),
            "an Err must not end the actor"
        );
    });
}

#[test]
fn tells_of_one_sender_are_handled_in_order_before_its_ask() {
    run(async {
        let (args, log) = Probe::logged();
        let probe = actor::start::<Probe>("probe", args).await.unwrap();
        for n in 0..1000 {
            Probe::note(&probe, n).tell().await.unwrap();
        }
        assert_eq!(Probe::echo(&probe, 1).await, Ok(1));
        let expected: Vec<String> = (0..1000).map(|n| format!("note {n}")).collect();
        assert_eq!(log.take_prefix("note"), expected);
    });
}

#[test]
fn try_tell_hands_the_message_back_when_the_mailbox_is_full_and_tell_waits_for_room() {
    run(async {
        let (args, log) = Probe::logged();
        let probe = actor::start::<Probe>("probe", args).await.unwrap();
        let gate = Gate::new();
        Probe::hold(&probe, &gate).tell().await.unwrap();
        gate.entered().await;
        let mut fitted = 0;
        let refused = loop {
            match Probe::note(&probe, fitted).try_tell() {
                Ok(()) => fitted += 1,
                Err(refused) => break refused,
            }
            assert!(
                fitted <= probe::CAPACITY as u64,
                "the mailbox takes more than its capacity"
            );
        };
        assert!(matches!(refused, TrySendError::Full(_)));
        let late = {
            let probe = probe.clone();
            actor_core::sched::go(async move { Probe::note(&probe, 99).tell().await.is_ok() })
        };
        // The ask waits for room as well, behind the tell or before it.
        let asked = {
            let probe = probe.clone();
            actor_core::sched::go(async move { Probe::echo(&probe, 5).await })
        };
        actor_core::sched::yield_now().await;
        gate.open();
        assert!(late.await.unwrap());
        assert_eq!(asked.await.unwrap(), Ok(5));
        assert_eq!(Probe::echo(&probe, 1).await, Ok(1));
        assert!(log.has("note 99"));
    });
}

#[test]
fn an_ask_in_time_is_answered_and_a_late_one_times_out_without_hurting_the_actor() {
    run(async {
        let probe = actor::start::<Probe>("probe", Probe::quiet())
            .await
            .unwrap();
        assert_eq!(
            Probe::echo(&probe, 3)
                .timeout(Duration::from_secs(60))
                .await,
            Ok(3)
        );
        let gate = Gate::new();
        let late = Probe::hold(&probe, &gate)
            .timeout(Duration::from_millis(5))
            .await;
        assert_eq!(late, Err(CallError::Timeout));
        gate.open();
        assert_eq!(Probe::echo(&probe, 4).await, Ok(4));
    });
}

#[test]
fn a_timeout_while_waiting_for_room_takes_the_message_back() {
    run(async {
        let (args, log) = Probe::logged();
        let probe = actor::start::<Probe>("probe", args).await.unwrap();
        let gate = Gate::new();
        Probe::hold(&probe, &gate).tell().await.unwrap();
        gate.entered().await;
        while Probe::note(&probe, 0).try_tell().is_ok() {}
        let late = Probe::note(&probe, 666)
            .timeout(Duration::from_millis(5))
            .await;
        assert_eq!(late, Err(CallError::Timeout));
        gate.open();
        assert_eq!(Probe::echo(&probe, 1).await, Ok(1));
        assert!(
            !log.has("note 666"),
            "a message was handled after its asker took it back"
        );
    });
}

#[test]
fn an_ask_to_a_stopped_actor_and_one_queued_when_it_stops_now_are_told_stopped() {
    run(async {
        let probe = actor::start::<Probe>("probe", Probe::quiet())
            .await
            .unwrap();
        let gate = Gate::new();
        Probe::hold(&probe, &gate).tell().await.unwrap();
        gate.entered().await;
        let queued = {
            let probe = probe.clone();
            actor_core::sched::go(async move { Probe::echo(&probe, 1).await })
        };
        while probe.mailbox_len() == 0 {
            actor_core::sched::yield_now().await;
        }
        let before = actor::dead_letters();
        let exit = probe.stop_now();
        gate.open();
        assert_eq!(exit.await, ExitReason::Normal);
        assert_eq!(queued.await.unwrap(), Err(CallError::Stopped));
        assert_eq!(probe.wait().await, ExitReason::Normal);
        assert!(
            actor::dead_letters() > before,
            "the dropped message was not counted"
        );
        assert_eq!(Probe::echo(&probe, 2).await, Err(CallError::Stopped));
        assert!(Probe::note(&probe, 2).tell().await.is_err());
        assert!(matches!(
            Probe::note(&probe, 2).try_tell(),
            Err(TrySendError::Closed(_))
        ));
    });
}

#[test]
fn a_tell_that_waits_for_room_gets_its_message_back_when_the_actor_ends() {
    run(async {
        let probe = actor::start::<Probe>("probe", Probe::quiet())
            .await
            .unwrap();
        let gate = Gate::new();
        Probe::hold(&probe, &gate).tell().await.unwrap();
        gate.entered().await;
        while Probe::note(&probe, 0).try_tell().is_ok() {}
        let waiting = {
            let probe = probe.clone();
            actor_core::sched::go(async move { Probe::note(&probe, 42).tell().await })
        };
        actor_core::sched::yield_now().await;
        assert_eq!(probe.kill().await, ExitReason::Killed);
        let back = waiting
            .await
            .unwrap()
            .expect_err("nobody was there to take it");
        assert_eq!(Probe::noted(&back.into_inner()), Some(42));
    });
}

#[test]
fn the_asker_of_the_message_that_panics_is_told_panicked() {
    run(async {
        let probe = actor::start::<Probe>("probe", Probe::quiet())
            .await
            .unwrap();
        assert_eq!(Probe::panic(&probe).await, Err(CallError::Panicked));
        let reason = probe.wait().await;
        assert_eq!(
            reason,
            ExitReason::Panicked {
                message: "told to".into()
            }
        );
    });
}

#[test]
fn a_handler_that_drops_its_reply_says_no_reply() {
    run(async {
        let probe = actor::start::<Probe>("probe", Probe::quiet())
            .await
            .unwrap();
        assert_eq!(Probe::forget(&probe).await, Err(CallError::NoReply));
        assert_eq!(Probe::echo(&probe, 1).await, Ok(1));
    });
}

#[test]
fn an_ask_from_a_foreign_thread_blocks_it_until_the_answer() {
    run(async {
        let probe = actor::start::<Probe>("probe", Probe::quiet())
            .await
            .unwrap();
        let thread = std::thread::spawn(move || Probe::echo(&probe, 11).blocking());
        let answer = actor_core::sched::blocking(|| thread.join().unwrap());
        assert_eq!(answer, Ok(11));
    });
}

#[test]
fn a_tell_from_a_foreign_thread_blocks_it_until_there_is_room() {
    run(async {
        let (args, log) = Probe::logged();
        let probe = actor::start::<Probe>("probe", args).await.unwrap();
        let gate = Gate::new();
        Probe::hold(&probe, &gate).tell().await.unwrap();
        gate.entered().await;
        let told = {
            let probe = probe.clone();
            let told = move || {
                for n in 0..=CAPACITY as u64 {
                    Probe::note(&probe, n).tell_blocking().unwrap();
                }
            };
            std::thread::spawn(told)
        };
        // The last one has no room: the thread waits.
        while probe.mailbox_len() < CAPACITY {
            actor_core::sched::yield_now().await;
        }
        assert!(!told.is_finished());
        gate.open();
        log.seen(&format!("note {CAPACITY}"), 1).await;
        told.join().unwrap();
        let notes = log.take_prefix("note");
        assert_eq!(
            notes,
            (0..=CAPACITY)
                .map(|n| format!("note {n}"))
                .collect::<Vec<_>>()
        );
    });
}

#[test]
fn a_tell_from_a_foreign_thread_gets_its_message_back_when_the_actor_ends() {
    run(async {
        let probe = actor::start::<Probe>("probe", Probe::quiet())
            .await
            .unwrap();
        let gate = Gate::new();
        Probe::hold(&probe, &gate).tell().await.unwrap();
        gate.entered().await;
        while Probe::note(&probe, 0).try_tell().is_ok() {}
        let told = {
            let probe = probe.clone();
            std::thread::spawn(move || Probe::note(&probe, 7).tell_blocking())
        };
        probe.kill().await;
        match told.join().unwrap() {
            Err(TrySendError::Closed(msg)) => assert_eq!(Probe::noted(&msg), Some(7)),
            other => panic!("{:?}", other.map_err(|_| "another error")),
        }
        let late = std::thread::spawn(move || Probe::note(&probe, 8).tell_blocking());
        assert!(matches!(late.join().unwrap(), Err(TrySendError::Closed(_))));
    });
}

#[test]
fn who_asks_a_stopped_actor_without_a_pause_lets_others_run() {
    let runtime = Runtime::builder().procs(1).build().unwrap();
    runtime.run(async {
        let probe = actor::start::<Probe>("probe", Probe::quiet())
            .await
            .unwrap();
        probe.stop().await;
        let (done, is_done) = actor_core::chan::buffered(1);
        actor_core::go(async move { done.send(()).await.unwrap() });
        while is_done.try_recv().is_err() {
            assert_eq!(Probe::echo(&probe, 1).await, Err(CallError::Stopped));
        }
    });
}
