//! Links: OTP's table of exit signals, line by line.

mod probe;

use actor_core::{
    actor::{self, CallError, ExitReason, Exited, NoProc},
    prelude::*,
};
use probe::{Gate, Log, Probe, run};

fn panicked(text: &str) -> ExitReason {
    ExitReason::Panicked {
        message: text.into(),
    }
}

fn linked(actor: &str, reason: ExitReason) -> ExitReason {
    ExitReason::Linked {
        actor: actor.into(),
        reason: Box::new(reason),
    }
}

/// Ends when a linked one does.
struct Plain {
    log: Log,
    gate: Gate,
}

#[actor(name = "plain", vis = pub(crate))]
impl Plain {
    #[init]
    fn new(log: Log, gate: Gate) -> Self {
        Self { log, gate }
    }

    pub fn link(&mut self, probe: ActorRef<Probe>, ctx: &Ctx<Self>) -> Result<(), NoProc> {
        ctx.link(&probe)
    }

    pub fn link_plain(&mut self, plain: PlainRef, ctx: &Ctx<Self>) -> Result<(), NoProc> {
        ctx.link(&plain)
    }

    pub fn unlink(&mut self, probe: ActorRef<Probe>, ctx: &Ctx<Self>) -> bool {
        ctx.unlink(&probe)
    }

    pub async fn hold(&mut self) {
        self.gate.pass().await;
    }

    pub fn ping(&mut self) {}

    #[stopped]
    fn close(self) {
        self.log.add("plain stopped");
    }
}

impl Drop for Plain {
    fn drop(&mut self) {
        self.log.add("plain dropped");
    }
}

/// Is told when a linked one ends.
struct Trapper {
    log: Log,
    gate: Gate,
}

#[actor(name = "trapper", vis = pub(crate))]
impl Trapper {
    #[init]
    fn new(log: Log, gate: Gate) -> Self {
        Self { log, gate }
    }

    pub fn link(&mut self, probe: ActorRef<Probe>, ctx: &Ctx<Self>) -> Result<(), NoProc> {
        ctx.link(&probe)
    }

    pub fn link_plain(&mut self, plain: PlainRef, ctx: &Ctx<Self>) -> Result<(), NoProc> {
        ctx.link(&plain)
    }

    pub async fn hold_then_unlink(&mut self, probe: ActorRef<Probe>, ctx: &Ctx<Self>) -> bool {
        self.gate.pass().await;
        ctx.unlink(&probe)
    }

    pub async fn hold(&mut self) {
        self.gate.pass().await;
    }

    pub fn note(&mut self, text: String) {
        self.log.add(text);
    }

    #[exit]
    async fn left(&mut self, exited: Exited, _ctx: &Ctx<Self>) {
        self.log
            .add(format!("exit {} {}", exited.name, exited.reason));
    }
}

async fn probe() -> ActorRef<Probe> {
    actor::start::<Probe>("probe", Probe::quiet())
        .await
        .unwrap()
}

/// Ends the probe and waits until all who are linked with it have been told: monitors come later.
async fn ended(probe: &ActorRef<Probe>, end: fn(&ActorRef<Probe>) -> actor::Exit<Probe>) {
    let last = probe.monitor();
    drop(end(probe));
    last.await;
}

async fn plain() -> (PlainRef, Log, Gate) {
    let (log, gate) = (Log::default(), Gate::new());
    let plain = Plain::start(log.clone(), gate.clone()).await.unwrap();
    (plain, log, gate)
}

async fn trapper() -> (TrapperRef, Log, Gate) {
    let (log, gate) = (Log::default(), Gate::new());
    let trapper = Trapper::start(log.clone(), gate.clone()).await.unwrap();
    (trapper, log, gate)
}

#[test]
fn every_end_but_a_normal_one_ends_the_linked_actor_without_its_stop_hook() {
    run(async {
        let ends = [
            ("kill", ExitReason::Killed),
            ("panic", panicked("told to")),
            (
                "stop_with",
                ExitReason::ShutdownWith {
                    cause: "tired".into(),
                },
            ),
        ];
        for (end, reason) in ends {
            let probe = probe().await;
            let (plain, log, _) = plain().await;
            plain.link(probe.clone()).await.unwrap();
            match end {
                "kill" => drop(probe.kill()),
                "panic" => Probe::panic(&probe).tell().await.unwrap(),
                _ => drop(probe.stop_with("tired")),
            }
            assert_eq!(plain.wait().await, linked("probe", reason), "{end}");
            assert_eq!(log.take(), ["plain dropped"]);
        }
    });
}

#[test]
fn a_normal_end_leaves_the_linked_actor_alone() {
    run(async {
        let probe = probe().await;
        let (plain, log, _) = plain().await;
        plain.link(probe.clone()).await.unwrap();
        ended(&probe, ActorRef::stop).await;
        assert_eq!(plain.ping().await, Ok(()));
        assert!(log.take().is_empty());
    });
}

#[test]
fn a_supervisors_shutdown_of_one_ends_the_linked_one_in_order() {
    run(async {
        let child = Child::<Probe>::new("probe", Probe::quiet);
        let probe = child.handle();
        let app = Supervisor::one_for_one("app")
            .child(child)
            .start()
            .await
            .unwrap();
        let (plain, ..) = plain().await;
        plain.link(probe).await.unwrap();
        app.stop().await;
        let reason = plain.wait().await;
        assert_eq!(reason, linked("probe", ExitReason::Shutdown));
        assert!(reason.is_orderly(), "a transient child would stay down");
    });
}

#[test]
fn a_link_works_both_ways() {
    run(async {
        let (plain, ..) = plain().await;
        let probe = probe().await;
        plain.link(probe.clone()).await.unwrap();
        drop(plain.kill());
        assert_eq!(probe.wait().await, linked("plain", ExitReason::Killed));
    });
}

#[test]
fn a_chain_of_links_ends_as_a_whole_and_names_the_first() {
    run(async {
        let mut chain = Vec::new();
        for _ in 0..5 {
            chain.push(plain().await.0);
        }
        for pair in chain.windows(2) {
            pair[0].link_plain(pair[1].clone()).await.unwrap();
        }
        let probe = probe().await;
        chain[0].link(probe.clone()).await.unwrap();
        drop(probe.kill());
        for plain in chain {
            assert_eq!(plain.wait().await, linked("probe", ExitReason::Killed));
        }
    });
}

#[test]
fn an_exit_is_sent_only_when_the_state_is_dropped() {
    run(async {
        for _ in 0..100 {
            let (args, log) = Probe::logged();
            let probe = actor::start::<Probe>("probe", args).await.unwrap();
            let (plain, ..) = plain().await;
            plain.link(probe.clone()).await.unwrap();
            drop(probe.kill());
            plain.wait().await;
            assert!(log.has("probe dropped"));
        }
    });
}

#[test]
fn the_asker_of_a_handler_that_a_link_ended_is_told_stopped() {
    run(async {
        let probe = probe().await;
        let (plain, _, gate) = plain().await;
        plain.link(probe.clone()).await.unwrap();
        let held = {
            let plain = plain.clone();
            go(async move { plain.hold().await })
        };
        gate.entered().await;
        drop(probe.kill());
        assert_eq!(held.await.unwrap(), Err(CallError::Stopped));
    });
}

#[test]
fn a_trapping_actor_is_told_of_every_end_and_lives_on() {
    run(async {
        let (trapper, log, _) = trapper().await;
        for end in ["stop", "kill", "panic"] {
            let probe = probe().await;
            trapper.link(probe.clone()).await.unwrap();
            let last = probe.monitor();
            match end {
                "stop" => drop(probe.stop()),
                "kill" => drop(probe.kill()),
                _ => Probe::panic(&probe).tell().await.unwrap(),
            }
            last.await;
            trapper.note(end.into()).await.unwrap();
        }
        assert_eq!(
            log.take(),
            [
                "exit probe finished",
                "stop",
                "exit probe killed",
                "kill",
                "exit probe panicked: told to",
                "panic"
            ]
        );
    });
}

#[test]
fn an_exit_comes_before_messages_that_were_queued_earlier() {
    run(async {
        let probe = probe().await;
        let (trapper, log, gate) = trapper().await;
        trapper.link(probe.clone()).await.unwrap();
        trapper.hold().tell().await.unwrap();
        gate.entered().await;
        trapper.note("queued".into()).tell().await.unwrap();
        ended(&probe, ActorRef::kill).await;
        gate.open();
        log.seen("queued", 1).await;
        assert_eq!(log.take(), ["exit probe killed", "queued"]);
    });
}

#[test]
fn a_kill_cannot_be_trapped_by_its_victim() {
    run(async {
        let (trapper, ..) = trapper().await;
        assert_eq!(trapper.kill().await, ExitReason::Killed);
    });
}

#[test]
fn linking_twice_is_linking_once() {
    run(async {
        let probe = probe().await;
        let (trapper, log, _) = trapper().await;
        trapper.link(probe.clone()).await.unwrap();
        trapper.link(probe.clone()).await.unwrap();
        ended(&probe, ActorRef::stop).await;
        trapper.note("end".into()).await.unwrap();
        assert_eq!(log.take(), ["exit probe finished", "end"]);
    });
}

#[test]
fn both_may_link_and_one_unlink_takes_it_away() {
    run(async {
        let (one, ..) = plain().await;
        let (two, ..) = plain().await;
        one.link_plain(two.clone()).await.unwrap();
        two.link_plain(one.clone()).await.unwrap();
        // `unlink` is by the actor, whichever side made the link.
        let probe = probe().await;
        one.link(probe.clone()).await.unwrap();
        assert_eq!(one.unlink(probe.clone()).await, Ok(true));
        assert_eq!(one.unlink(probe.clone()).await, Ok(false));
        ended(&probe, ActorRef::kill).await;
        assert_eq!(one.ping().await, Ok(()));
        drop(one.kill());
        assert_eq!(two.wait().await, linked("plain", ExitReason::Killed));
    });
}

#[test]
fn linking_the_dead_is_an_error_or_an_exit_for_one_that_traps() {
    run(async {
        let probe = probe().await;
        probe.stop().await;
        let (plain, ..) = plain().await;
        assert_eq!(
            plain.link(probe.clone()).await,
            Err(CallError::Failed(NoProc))
        );
        assert_eq!(plain.ping().await, Ok(()), "an error, not an end");
        let (trapper, log, _) = trapper().await;
        assert_eq!(trapper.link(probe).await, Ok(()));
        log.seen("exit probe was not alive", 1).await;
    });
}

#[test]
fn linking_itself_does_nothing() {
    run(async {
        let (plain, ..) = plain().await;
        assert_eq!(plain.link_plain(plain.clone()).await, Ok(()));
        assert_eq!(plain.stop().await, ExitReason::Normal);
    });
}

#[test]
fn unlink_takes_back_an_exit_that_has_come_and_was_not_handled() {
    run(async {
        let probe = probe().await;
        let (trapper, log, gate) = trapper().await;
        trapper.link(probe.clone()).await.unwrap();
        let held = {
            let (trapper, probe) = (trapper.clone(), probe.clone());
            go(async move { trapper.hold_then_unlink(probe).await })
        };
        gate.entered().await;
        ended(&probe, ActorRef::kill).await;
        gate.open();
        assert_eq!(held.await.unwrap(), Ok(true));
        trapper.note("end".into()).await.unwrap();
        assert_eq!(log.take(), ["end"]);
    });
}

#[test]
fn an_unlink_that_returned_in_time_is_never_followed_by_an_exit() {
    run(async {
        for _ in 0..300 {
            let probe = probe().await;
            let (plain, ..) = plain().await;
            plain.link(probe.clone()).await.unwrap();
            let killer = {
                let probe = probe.clone();
                go(async move { probe.kill().await })
            };
            let unlinked = plain.unlink(probe.clone()).await;
            killer.await.unwrap();
            match unlinked {
                Ok(true) => assert_eq!(plain.ping().await, Ok(())),
                // The exit was first.
                Ok(false) | Err(_) => {
                    assert_eq!(plain.wait().await, linked("probe", ExitReason::Killed));
                }
            }
        }
    });
}

#[test]
fn a_restart_is_an_end_for_links_and_the_next_incarnation_has_none() {
    run(async {
        let child = Child::<Probe>::new("phoenix", Probe::quiet);
        let probe = child.handle();
        let app = Supervisor::one_for_one("app")
            .child(child)
            .start()
            .await
            .unwrap();
        let (plain, ..) = plain().await;
        plain.link(probe.clone()).await.unwrap();
        let _ = Probe::panic(&probe).await;
        assert_eq!(plain.wait().await, linked("phoenix", panicked("told to")));
        assert_eq!(Probe::life(&probe).await, Ok(2));
        let (other, ..) = self::plain().await;
        other.link(probe.clone()).await.unwrap();
        drop(other.kill());
        // Restarted once more: the child is permanent.
        while Probe::life(&probe).await != Ok(3) {}
        app.stop().await;
    });
}

#[test]
fn a_supervised_actor_that_a_link_ended_is_started_again() {
    run(async {
        let log = Log::default();
        let child = Plain::child("plain", log.clone(), Gate::new());
        let plain = child.handle();
        let app = Supervisor::one_for_one("app")
            .child(child)
            .start()
            .await
            .unwrap();
        let probe = probe().await;
        plain.link(probe.clone()).await.unwrap();
        drop(probe.kill());
        log.seen("plain dropped", 1).await;
        assert_eq!(plain.ping().await, Ok(()), "the next incarnation answers");
        assert_eq!(plain.kill().await, ExitReason::Killed, "and ends by itself");
        app.stop().await;
    });
}

#[test]
fn linked_actors_that_end_at_once_from_both_sides_leave_no_trace() {
    run(async {
        for _ in 0..200 {
            let (one, ..) = plain().await;
            let (two, ..) = plain().await;
            one.link_plain(two.clone()).await.unwrap();
            let first = {
                let one = one.clone();
                go(async move { one.kill().await })
            };
            let second = {
                let two = two.clone();
                go(async move { two.kill().await })
            };
            for reason in [first.await.unwrap(), second.await.unwrap()] {
                let by_link = linked("plain", ExitReason::Killed);
                assert!(
                    reason == ExitReason::Killed || reason == by_link,
                    "{reason}"
                );
            }
        }
    });
}

/// Links itself again whenever the link is gone.
struct Clinging {
    log: Log,
    other: ActorRef<Probe>,
}

#[actor(vis = pub(crate))]
impl Clinging {
    #[init]
    fn new(log: Log, other: ActorRef<Probe>, ctx: &Ctx<Self>) -> Self {
        ctx.link(&other).expect("it traps");
        Self { log, other }
    }

    pub fn note(&mut self, text: String) {
        self.log.add(text);
    }

    #[exit]
    fn left(&mut self, exited: Exited, ctx: &Ctx<Self>) {
        self.log.add(format!("exit {}", exited.reason));
        ctx.link(&self.other).expect("it traps");
    }
}

#[test]
fn a_hook_that_links_with_the_dead_over_and_over_holds_up_neither_messages_nor_a_stop() {
    run(async {
        let (log, probe) = (Log::default(), probe().await);
        let clinging = Clinging::start(log.clone(), probe.clone()).await.unwrap();
        probe.stop().await;
        log.seen("exit was not alive", 3).await;
        for _ in 0..3 {
            clinging.note("handled".into()).await.unwrap();
        }
        assert_eq!(log.count("handled"), 3);
        assert_eq!(clinging.stop().await, ExitReason::Normal);
    });
}
