//! How a call fails: gen_server:call's shapes.

use std::time::Duration;

use actor_core::{
    actor::{CallError, ExitReason},
    go,
    prelude::*,
    sched::yield_now,
    supervise::{Restart, Supervisor, SupervisorRef},
};

use crate::{
    Kid, kid,
    probe::{Gate, Log, Probe},
    run,
};

/// A running child "a" of a supervisor.
async fn running(log: &Log) -> (SupervisorRef, Kid) {
    let (a, a_kid) = kid("a", log);
    let app = Supervisor::one_for_one("app").child(a);
    (app.start().await.unwrap(), a_kid)
}

/// Waits until the actor stands in the gate and so many messages wait behind it.
async fn busy(a: &Kid, gate: &Gate, waiting: usize) {
    gate.entered().await;
    while a.handle.mailbox_len() < waiting {
        yield_now().await;
    }
}

/// gen_server.erl: call/2 to a process that isn't there exits with `noproc`, at once.
#[test]
fn a_call_to_one_that_has_ended_fails_at_once() {
    run(|| async {
        let log = Log::default();
        let (app, a) = running(&log).await;
        app.stop().await;
        assert_eq!(Probe::echo(&a.handle, 1).await, Err(CallError::Stopped));
    });
}

/// gen_server.erl: call/2 exits with the server's reason if it crashes on the call.
#[test]
fn a_call_that_crashes_the_server_fails_and_says_that_it_panicked() {
    run(|| async {
        let log = Log::default();
        let (app, a) = running(&log).await;
        assert_eq!(Probe::panic(&a.handle).await, Err(CallError::Panicked));
        app.stop().await;
    });
}

/// gen_server.erl: call/2 exits with `killed` if the server is killed in the call.
#[test]
fn a_call_in_work_when_the_server_is_killed_fails() {
    run(|| async {
        let log = Log::default();
        let (app, a) = running(&log).await;
        let gate = Gate::new();
        let held = {
            let (to, gate) = (a.handle.clone(), gate.clone());
            go(async move { Probe::hold(&to, &gate).await })
        };
        gate.entered().await;
        a.handle.kill().await;
        assert_eq!(held.await.unwrap(), Err(CallError::Stopped));
        app.stop().await;
    });
}

/// gen_server.erl: call/2 exits with the reason also where the call was only queued. Ours: it waits
/// for the next incarnation.
#[test]
fn a_call_that_is_queued_when_the_server_crashes_is_answered_by_the_next() {
    run(|| async {
        let log = Log::default();
        let (app, a) = running(&log).await;
        let gate = Gate::new();
        Probe::hold(&a.handle, &gate).tell().await.unwrap();
        gate.entered().await;
        Probe::panic(&a.handle).tell().await.unwrap();
        let queued = {
            let to = a.handle.clone();
            go(async move { Probe::life(&to).await })
        };
        busy(&a, &gate, 2).await;
        gate.open();
        assert_eq!(queued.await.unwrap(), Ok(2));
        app.stop().await;
    });
}

/// gen_server.erl: call/2 exits with the reason `normal` if the server stops before it takes the
/// call.
#[test]
fn a_call_that_is_queued_when_the_server_stops_at_once_fails() {
    run(|| async {
        let log = Log::default();
        let (a, a_kid) = kid("a", &log);
        let app = Supervisor::one_for_one("app").child(a.restart(Restart::Transient));
        let app = app.start().await.unwrap();
        let gate = Gate::new();
        Probe::hold(&a_kid.handle, &gate).tell().await.unwrap();
        let queued = {
            let to = a_kid.handle.clone();
            go(async move { Probe::echo(&to, 1).await })
        };
        busy(&a_kid, &gate, 1).await;
        let stopping = a_kid.handle.stop_now();
        gate.open();
        assert_eq!(stopping.await, ExitReason::Normal);
        assert_eq!(queued.await.unwrap(), Err(CallError::Stopped));
        app.stop().await;
    });
}

/// gen_server.erl: call/3 exits with `timeout`; the server is not told and works on.
#[test]
fn a_call_that_takes_too_long_fails_and_the_server_works_on() {
    run(|| async {
        let log = Log::default();
        let (app, a) = running(&log).await;
        let gate = Gate::new();
        let late = Probe::hold(&a.handle, &gate).timeout(Duration::from_millis(5));
        assert_eq!(late.await, Err(CallError::Timeout));
        gate.entered().await;
        gate.open();
        assert_eq!(a.life().await, 1);
        app.stop().await;
    });
}

/// gen_server.erl: a call that timed out while it was queued is handled all the same.
#[test]
fn a_queued_call_that_timed_out_is_still_handled() {
    run(|| async {
        let log = Log::default();
        let (app, a) = running(&log).await;
        let gate = Gate::new();
        Probe::hold(&a.handle, &gate).tell().await.unwrap();
        gate.entered().await;
        let late = Probe::note(&a.handle, 1).timeout(Duration::from_millis(5));
        assert_eq!(late.await, Err(CallError::Timeout));
        gate.open();
        log.seen("note 1", 1).await;
        app.stop().await;
    });
}

/// gen.erl, process aliases: a reply that is late is dropped, and never taken for the answer to
/// another call.
#[test]
fn a_late_reply_is_never_taken_for_another_calls() {
    run(|| async {
        let log = Log::default();
        let (app, a) = running(&log).await;
        for n in 0..20 {
            let gate = Gate::new();
            Probe::hold(&a.handle, &gate).tell().await.unwrap();
            gate.entered().await;
            let late = Probe::echo(&a.handle, 1000 + n).timeout(Duration::from_millis(1));
            assert_eq!(late.await, Err(CallError::Timeout));
            let next = {
                let to = a.handle.clone();
                go(async move { Probe::echo(&to, n).await })
            };
            gate.open();
            assert_eq!(next.await.unwrap(), Ok(n));
        }
        app.stop().await;
    });
}

/// gen_server.erl: `{reply, ..}` that never comes. Ours: a reply that is dropped fails the call at
/// once.
#[test]
fn a_call_whose_reply_is_dropped_fails_at_once() {
    run(|| async {
        let log = Log::default();
        let (app, a) = running(&log).await;
        assert_eq!(Probe::forget(&a.handle).await, Err(CallError::NoReply));
        assert_eq!(a.life().await, 1);
        app.stop().await;
    });
}

/// gen_server.erl: an `{error, Reason}` reply is an answer as any; the server goes on.
#[test]
fn an_error_of_the_handler_is_an_answer() {
    run(|| async {
        let log = Log::default();
        let (app, a) = running(&log).await;
        let answer = Probe::fail(&a.handle).await;
        assert_eq!(answer, Err(CallError::Failed("no")));
        assert_eq!(a.life().await, 1);
        app.stop().await;
    });
}

/// gen_server.erl: cast/2 to a process that isn't there is ok. Ours: the sender gets its message
/// back.
#[test]
fn a_cast_to_one_that_has_ended_gives_the_message_back() {
    run(|| async {
        let log = Log::default();
        let (app, a) = running(&log).await;
        app.stop().await;
        let refused = Probe::note(&a.handle, 5).tell().await.unwrap_err();
        assert_eq!(Probe::noted(&refused.into_inner()), Some(5));
    });
}

struct Caller {
    other: Option<CallerRef>,
}

#[actor]
impl Caller {
    #[init]
    fn new() -> Self {
        Self { other: None }
    }

    pub fn meet(&mut self, other: CallerRef) {
        self.other = Some(other);
    }

    /// Calls the other, and says whether that failed as a deadlock.
    pub async fn call(&mut self) -> bool {
        let other = self.other.clone().expect("met");
        matches!(
            other.call().await,
            Err(CallError::Deadlock { .. }) | Ok(true)
        )
    }
}

/// gen_server.erl: a call to itself exits with `calling_self`.
#[test]
fn a_call_to_itself_fails_at_once() {
    run(|| async {
        let caller = Caller::start().await.unwrap();
        caller.meet(caller.clone()).await.unwrap();
        assert_eq!(caller.call().await, Ok(true));
        caller.stop().await;
    });
}

/// gen_server.erl: two servers that call each other both run into their timeouts. Ours: the call
/// that closes the cycle fails at once, whatever its length.
#[test]
fn calls_in_a_cycle_fail_at_once() {
    run(|| async {
        let (one, two) = (
            Caller::start().await.unwrap(),
            Caller::start().await.unwrap(),
        );
        one.meet(two.clone()).await.unwrap();
        two.meet(one.clone()).await.unwrap();
        assert_eq!(one.call().await, Ok(true));
        one.stop().await;
        two.stop().await;
    });
}

/// gen_server.erl: calls of one process are handled in the order in which it made them.
#[test]
fn messages_of_one_sender_are_handled_in_order() {
    run(|| async {
        let log = Log::default();
        let (app, a) = running(&log).await;
        log.take();
        for n in 0..100 {
            Probe::note(&a.handle, n).tell().await.unwrap();
        }
        assert_eq!(Probe::echo(&a.handle, 1).await, Ok(1));
        let expected: Vec<_> = (0..100).map(|n| format!("note {n}")).collect();
        assert_eq!(log.take(), expected);
        app.stop().await;
    });
}

/// Reference manual, Processes, Signals: a sender that waits for room is told when the process ends.
/// Ours: it gets its message back.
#[test]
fn a_sender_that_waits_for_room_gets_its_message_back_at_the_end() {
    run(|| async {
        let log = Log::default();
        let (app, a) = running(&log).await;
        let never = Gate::new();
        Probe::hold(&a.handle, &never).tell().await.unwrap();
        never.entered().await;
        for n in 0..crate::probe::CAPACITY as u64 {
            Probe::note(&a.handle, n).try_tell().unwrap();
        }
        let waits = {
            let (to, log) = (a.handle.clone(), log.clone());
            go(async move {
                log.add("sending");
                Probe::note(&to, 99).tell().await
            })
        };
        log.seen("sending", 1).await;
        assert_eq!(app.kill().await, ExitReason::Killed);
        let refused = waits.await.unwrap().unwrap_err();
        assert_eq!(Probe::noted(&refused.into_inner()), Some(99));
    });
}
