//! Monitors: one `Down` for each, after the state is gone, ahead of messages, for one incarnation.

mod probe;

use std::time::Duration;

use actor_core::{
    actor::{self, Down, ExitReason, MonitorId},
    prelude::*,
    sched::yield_now,
    supervise::Health,
};
use probe::{Gate, Log, Probe, run};

fn panicked(text: &str) -> ExitReason {
    ExitReason::Panicked {
        message: text.into(),
    }
}

/// Watches probes and logs what it is told.
struct Watcher {
    log: Log,
    gate: Gate,
}

#[actor(vis = pub(crate))]
impl Watcher {
    #[init]
    fn new(log: Log, gate: Gate) -> Self {
        Self { log, gate }
    }

    pub fn watch(&mut self, probe: ActorRef<Probe>, ctx: &Ctx<Self>) -> MonitorId {
        ctx.monitor(&probe)
    }

    pub fn unwatch(&mut self, monitor: MonitorId, ctx: &Ctx<Self>) -> bool {
        ctx.demonitor(monitor)
    }

    /// Stands at the gate, then takes the monitor away.
    pub async fn hold_then_unwatch(&mut self, monitor: MonitorId, ctx: &Ctx<Self>) -> bool {
        self.gate.pass().await;
        ctx.demonitor(monitor)
    }

    pub async fn hold(&mut self) {
        self.gate.pass().await;
    }

    pub fn note(&mut self, text: String) {
        self.log.add(text);
    }

    pub fn boom(&mut self) {
        panic!("watcher told to");
    }

    #[down]
    fn gone(&mut self, down: Down) {
        self.log.add(format!("down {} {}", down.name, down.reason));
    }
}

async fn probe() -> ActorRef<Probe> {
    actor::start::<Probe>("probe", Probe::quiet())
        .await
        .unwrap()
}

/// Ends the probe and waits until all who watch it have been told: our monitor is the last one.
async fn ended(probe: &ActorRef<Probe>, end: fn(&ActorRef<Probe>) -> actor::Exit<Probe>) {
    let last = probe.monitor();
    drop(end(probe));
    last.await;
}

async fn watcher() -> (WatcherRef, Log, Gate) {
    let (log, gate) = (Log::default(), Gate::new());
    let watcher = Watcher::start(log.clone(), gate.clone()).await.unwrap();
    (watcher, log, gate)
}

#[test]
fn a_monitor_is_told_the_reason_of_every_kind_of_end_once_the_state_is_dropped() {
    run(async {
        let ends = [
            ("stop", ExitReason::Normal),
            (
                "stop_with",
                ExitReason::ShutdownWith {
                    cause: "tired".into(),
                },
            ),
            ("kill", ExitReason::Killed),
            ("panic", panicked("told to")),
            ("handles", ExitReason::Normal),
        ];
        for (end, reason) in ends {
            let (args, log) = Probe::logged();
            let probe = actor::start::<Probe>("probe", args).await.unwrap();
            let id = probe.id();
            let monitor = probe.monitor();
            assert_eq!(monitor.try_down(), None, "nothing has ended");
            match end {
                "stop" => drop(probe.stop()),
                "stop_with" => drop(probe.stop_with("tired")),
                "kill" => drop(probe.kill()),
                "panic" => Probe::panic(&probe).tell().await.unwrap(),
                _ => {}
            }
            drop(probe);
            let key = monitor.id();
            let down = monitor.await;
            assert!(log.has("probe dropped"), "told before the drop after {end}");
            assert_eq!((down.monitor, down.id, &*down.name), (key, id, "probe"));
            assert_eq!((down.incarnation, down.reason), (1, reason), "{end}");
        }
    });
}

#[test]
fn a_monitor_stays_ready_and_can_be_waited_for_by_reference() {
    run(async {
        let probe = probe().await;
        let mut monitor = probe.monitor();
        drop(probe.stop());
        let first = (&mut monitor).await;
        assert_eq!(monitor.try_down(), Some(first.clone()));
        assert_eq!(monitor.await, first);
    });
}

#[test]
fn a_monitor_of_an_actor_that_is_gone_is_told_noproc_at_once() {
    run(async {
        let probe = probe().await;
        probe.stop().await;
        let monitor = probe.monitor();
        let down = monitor.try_down().expect("there is nothing to wait for");
        assert_eq!(down.reason, ExitReason::NoProc);
        assert_eq!(down.incarnation, 1);

        let (watcher, log, _) = watcher().await;
        watcher.watch(probe).await.unwrap();
        log.seen("down probe was not alive", 1).await;
    });
}

#[test]
fn a_monitor_of_a_child_that_was_not_started_yet_is_told_noproc() {
    run(async {
        let child = Child::<Probe>::new("late", Probe::quiet);
        let down = child.handle().monitor().try_down().unwrap();
        assert_eq!((down.incarnation, down.reason), (0, ExitReason::NoProc));
    });
}

#[test]
fn a_foreign_thread_can_wait_for_an_end() {
    run(async {
        let probe = probe().await;
        let monitor = probe.monitor();
        let thread = std::thread::spawn(move || monitor.blocking().reason);
        drop(probe.stop());
        probe.wait().await;
        assert_eq!(thread.join().unwrap(), ExitReason::Normal);
    });
}

#[test]
fn monitors_add_up_and_each_is_told_once() {
    run(async {
        let probe = probe().await;
        let (watcher, log, _) = watcher().await;
        let first = watcher.watch(probe.clone()).await.unwrap();
        let second = watcher.watch(probe.clone()).await.unwrap();
        assert_ne!(first, second);
        probe.stop().await;
        log.seen("down probe finished", 2).await;
        watcher.note("end".into()).await.unwrap();
        assert_eq!(log.count("down probe finished"), 2);
    });
}

#[test]
fn a_down_comes_before_messages_that_were_queued_earlier() {
    run(async {
        let probe = probe().await;
        let (watcher, log, gate) = watcher().await;
        watcher.watch(probe.clone()).await.unwrap();
        watcher.hold().tell().await.unwrap();
        gate.entered().await;
        for n in 0..3 {
            watcher.note(format!("note {n}")).tell().await.unwrap();
        }
        ended(&probe, ActorRef::stop).await;
        gate.open();
        log.seen("note 2", 1).await;
        assert_eq!(
            log.take(),
            ["down probe finished", "note 0", "note 1", "note 2"]
        );
    });
}

#[test]
fn a_down_reaches_a_watcher_whose_mailbox_is_full_and_wakes_one_that_sleeps() {
    run(async {
        let (log, gate) = (Log::default(), Gate::new());
        let watcher = Watcher::start(log.clone(), gate.clone()).await.unwrap();
        let probe = probe().await;
        watcher.watch(probe.clone()).await.unwrap();
        watcher.hold().tell().await.unwrap();
        gate.entered().await;
        while watcher.note("queued".into()).try_tell().is_ok() {}
        ended(&probe, ActorRef::kill).await;
        gate.open();
        log.seen("down probe killed", 1).await;
        assert_eq!(log.lines()[0], "down probe killed");

        // And one that has nothing else to do.
        let probe = self::probe().await;
        watcher.watch(probe.clone()).await.unwrap();
        drop(probe);
        log.seen("down probe finished", 1).await;
    });
}

#[test]
fn demonitor_means_no_down_not_even_one_that_has_already_come() {
    run(async {
        // Before the end.
        let probe = probe().await;
        let (watcher, log, gate) = watcher().await;
        let monitor = watcher.watch(probe.clone()).await.unwrap();
        assert_eq!(watcher.unwatch(monitor).await, Ok(true));
        assert_eq!(watcher.unwatch(monitor).await, Ok(false), "it is gone");
        ended(&probe, ActorRef::stop).await;

        // After the end, with the Down queued behind the running handler.
        let probe = self::probe().await;
        let monitor = watcher.watch(probe.clone()).await.unwrap();
        let held = {
            let watcher = watcher.clone();
            go(async move { watcher.hold_then_unwatch(monitor).await })
        };
        gate.entered().await;
        ended(&probe, ActorRef::stop).await;
        gate.open();
        assert_eq!(
            held.await.unwrap(),
            Ok(true),
            "it was there to be taken away"
        );
        watcher.note("end".into()).await.unwrap();
        assert_eq!(log.take(), ["end"]);
    });
}

#[test]
fn demonitor_during_the_end_is_never_followed_by_a_down() {
    run(async {
        let (watcher, log, _) = watcher().await;
        for _ in 0..300 {
            let probe = probe().await;
            let monitor = watcher.watch(probe.clone()).await.unwrap();
            drop(probe.kill());
            if watcher.unwatch(monitor).await.unwrap() {
                probe.wait().await;
                watcher.note("end".into()).await.unwrap();
                assert_eq!(log.take(), ["end"], "a Down after demonitor");
            } else {
                assert_eq!(log.take(), ["down probe killed"]);
            }
        }
    });
}

#[test]
fn a_dropped_monitor_and_a_watcher_that_ended_are_forgotten() {
    run(async {
        let probe = probe().await;
        drop(probe.monitor());
        let (watcher, log, _) = watcher().await;
        watcher.watch(probe.clone()).await.unwrap();
        assert_eq!(watcher.stop().await, ExitReason::Normal);
        ended(&probe, ActorRef::stop).await;
        assert!(log.take().is_empty());
    });
}

#[test]
fn a_monitor_tells_of_one_incarnation_and_a_restart_is_an_end() {
    run(async {
        let child = Child::<Probe>::new("phoenix", Probe::quiet);
        let probe = child.handle();
        let app = Supervisor::one_for_one("app")
            .child(child)
            .start()
            .await
            .unwrap();
        let first = probe.monitor();
        let _ = Probe::panic(&probe).await;
        let down = first.await;
        assert_eq!((down.incarnation, down.reason), (1, panicked("told to")));
        // The mailbox waits for the next one, which has no monitors of the first.
        assert_eq!(Probe::life(&probe).await, Ok(2));
        let second = probe.monitor();
        yield_now().await;
        assert_eq!(second.try_down(), None);
        app.stop().await;
        let down = second.await;
        assert_eq!((down.incarnation, down.reason), (2, ExitReason::Shutdown));
    });
}

#[test]
fn monitors_end_with_the_watchers_incarnation() {
    run(async {
        let log = Log::default();
        let args = log.clone();
        let child = Watcher::child("watcher", args, Gate::new());
        let watcher = child.handle();
        let app = Supervisor::one_for_one("app")
            .child(child)
            .start()
            .await
            .unwrap();
        let probe = probe().await;
        watcher.watch(probe.clone()).await.unwrap();
        watcher.boom().await.unwrap_err();
        watcher.note("second life".into()).await.unwrap();
        ended(&probe, ActorRef::stop).await;
        watcher.note("end".into()).await.unwrap();
        assert_eq!(log.take(), ["second life", "end"]);
        app.stop().await;
    });
}

#[test]
fn an_actor_that_watches_itself_is_never_told_and_stops_as_ever() {
    struct Narcissus;
    #[actor]
    impl Narcissus {
        #[init]
        fn new(ctx: &Ctx<Self>) -> Self {
            ctx.monitor(&ctx.handle());
            Self
        }
        #[down]
        fn gone(&mut self, _down: Down) {
            panic!("told of its own end");
        }
    }
    run(async {
        let one = Narcissus::start().await.unwrap();
        assert_eq!(one.stop().await, ExitReason::Normal);
    });
}

/// Watches an actor for as long as it is told to, through all of its ends.
struct Stubborn {
    log: Log,
    watched: ActorRef<Probe>,
}

#[actor(vis = pub(crate))]
impl Stubborn {
    #[init]
    fn new(log: Log, watched: ActorRef<Probe>, ctx: &Ctx<Self>) -> Self {
        ctx.monitor(&watched);
        Self { log, watched }
    }

    pub fn note(&mut self, text: String) {
        self.log.add(text);
    }

    #[down]
    fn gone(&mut self, down: Down, ctx: &Ctx<Self>) {
        self.log
            .add(format!("down {}: {}", down.incarnation, down.reason));
        ctx.monitor(&self.watched);
    }
}

#[test]
fn a_hook_that_monitors_again_in_a_backoff_is_told_of_the_next_incarnations_end() {
    run(async {
        let child = Child::<Probe>::new("probe", Probe::quiet);
        let probe = child.handle();
        let app = Supervisor::one_for_one("app")
            .child(child.backoff(Duration::from_millis(50)..Duration::from_millis(51)))
            .start()
            .await
            .unwrap();
        let log = Log::default();
        let stubborn = Stubborn::start(log.clone(), probe.clone()).await.unwrap();
        assert_eq!(Probe::panic(&probe).await, Err(CallError::Panicked));
        log.seen("down 1: panicked: told to", 1).await;
        stubborn.note("meanwhile".into()).await.unwrap();
        assert_eq!(log.lines(), ["down 1: panicked: told to", "meanwhile"]);
        // It waits for the next incarnation, which is monitored by then.
        assert_eq!(Probe::panic(&probe).await, Err(CallError::Panicked));
        log.seen("down 2: panicked: told to", 1).await;
        assert_eq!(log.lines().len(), 3, "nothing else was told");
        app.stop().await;
    });
}

#[test]
fn a_monitor_made_between_two_incarnations_is_told_noproc_if_no_other_comes() {
    run(async {
        let child = Child::<Probe>::new("probe", Probe::quiet);
        let probe = child.handle();
        let app = Supervisor::one_for_one("app")
            .child(child.backoff(Duration::from_secs(600)..Duration::from_secs(601)))
            .start()
            .await
            .unwrap();
        assert_eq!(Probe::panic(&probe).await, Err(CallError::Panicked));
        while app.which_child("probe").await.unwrap().health == Health::Healthy {}
        let monitor = probe.monitor();
        assert_eq!(monitor.try_down(), None);
        app.terminate_child("probe").await.unwrap();
        let down = monitor.await;
        assert_eq!((down.incarnation, down.reason), (1, ExitReason::NoProc));
        app.stop().await;
    });
}

#[test]
fn a_hook_that_monitors_the_dead_over_and_over_holds_up_neither_messages_nor_a_stop() {
    run(async {
        let (log, probe) = (Log::default(), probe().await);
        probe.stop().await;
        let stubborn = Stubborn::start(log.clone(), probe).await.unwrap();
        for _ in 0..3 {
            stubborn.note("handled".into()).await.unwrap();
        }
        assert!(log.count("down 1: was not alive") >= 3, "it goes on asking");
        assert_eq!(log.count("handled"), 3);
        assert_eq!(stubborn.stop().await, ExitReason::Normal);
    });
}
