//! The life of an actor without a supervisor: start, stop, kill, panics, the last handle.

mod probe;

use std::{
    collections::HashSet,
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use actor_core::{
    actor::{self, Actor, ActorRef, Call, CallError, Ctx, ExitReason, Message, Reply, StopReason},
    sched::{go, yield_now},
};
use probe::{Args, Gate, Log, Probe, run};

fn panicked(text: &str) -> ExitReason {
    ExitReason::Panicked {
        message: text.into(),
    }
}

#[test]
fn stop_handles_what_is_queued_then_runs_the_hook_then_drops_the_state() {
    run(async {
        let (args, log) = Probe::logged();
        let probe = actor::start::<Probe>("probe", args).await.unwrap();
        let gate = Gate::new();
        Probe::hold(&probe, &gate).tell().await.unwrap();
        gate.entered().await;
        for n in 0..3 {
            Probe::note(&probe, n).tell().await.unwrap();
        }
        let exit = probe.stop();
        assert!(
            Probe::note(&probe, 9).tell().await.is_err(),
            "refused once a stop was asked"
        );
        gate.open();
        assert_eq!(exit.await, ExitReason::Normal);
        assert_eq!(
            log.take(),
            [
                "probe init",
                "probe up",
                "note 0",
                "note 1",
                "note 2",
                "probe stopped Requested",
                "probe dropped"
            ]
        );
    });
}

#[test]
fn the_end_is_told_only_when_the_state_is_dropped_however_it_ends() {
    run(async {
        for end in ["stop", "stop_now", "kill", "panic", "handles"] {
            for _ in 0..200 {
                let (args, log) = Probe::logged();
                let probe = actor::start::<Probe>("probe", args).await.unwrap();
                let exit = probe.wait();
                match end {
                    "stop" => drop(probe.stop()),
                    "stop_now" => drop(probe.stop_now()),
                    "kill" => drop(probe.kill()),
                    "panic" => Probe::panic(&probe).tell().await.unwrap(),
                    _ => {}
                }
                drop(probe);
                exit.await;
                assert!(log.has("probe dropped"), "told before the drop after {end}");
            }
        }
    });
}

#[test]
fn an_actor_stops_when_its_last_handle_is_gone_and_handles_what_is_queued() {
    run(async {
        let (args, log) = Probe::logged();
        let probe = actor::start::<Probe>("probe", args).await.unwrap();
        let second = probe.clone();
        let exit = probe.wait();
        drop(probe);
        assert_eq!(Probe::echo(&second, 1).await, Ok(1), "a handle is left");
        Probe::note(&second, 1).tell().await.unwrap();
        drop(second);
        assert_eq!(exit.await, ExitReason::Normal);
        assert_eq!(
            log.take()[2..],
            ["note 1", "probe stopped HandlesGone", "probe dropped"]
        );
    });
}

#[test]
fn a_kill_ends_a_handler_that_waits_and_its_asker_is_told_stopped() {
    run(async {
        let (args, log) = Probe::logged();
        let probe = actor::start::<Probe>("probe", args).await.unwrap();
        let gate = Gate::new();
        let held = {
            let (probe, gate) = (probe.clone(), gate.clone());
            go(async move { Probe::hold(&probe, &gate).await })
        };
        gate.entered().await;
        assert_eq!(probe.kill().await, ExitReason::Killed);
        assert_eq!(held.await.unwrap(), Err(CallError::Stopped));
        assert_eq!(log.take(), ["probe init", "probe up", "probe dropped"]);
        assert!(probe.is_stopped());
        assert_eq!(
            probe.kill().await,
            ExitReason::Killed,
            "a second kill is fine"
        );
    });
}

#[test]
fn an_init_that_fails_panics_or_is_given_up_is_a_failed_start() {
    run(async {
        let log = Log::default();
        let error = Args {
            init_error: true,
            ..Args::new("e", &log)
        };
        let error = actor::start::<Probe>("e", error).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "could not start \"e\": init failed: init was told to fail"
        );

        let panic = Args {
            init_panic: true,
            ..Args::new("p", &log)
        };
        let error = actor::start::<Probe>("p", panic).await.unwrap_err();
        assert_eq!(*error.reason(), panicked("init told to"));

        let gate = Gate::new();
        let slow = Args {
            init_gate: Some(gate.clone()),
            ..Args::new("s", &log)
        };
        let starting = go(async move { actor::start::<Probe>("s", slow).await.is_ok() });
        gate.entered().await;
        starting.abort();
        assert!(starting.await.is_err());
        gate.open();
        yield_now().await;
        assert!(!log.has("s up"), "a start that was given up went on");
    });
}

#[test]
fn a_panic_in_the_handler_skips_the_hook_and_drops_the_state() {
    run(async {
        let (args, log) = Probe::logged();
        let probe = actor::start::<Probe>("probe", args).await.unwrap();
        assert_eq!(Probe::panic(&probe).await, Err(CallError::Panicked));
        assert_eq!(probe.wait().await, panicked("told to"));
        assert_eq!(log.take(), ["probe init", "probe up", "probe dropped"]);
    });
}

#[test]
fn a_panic_in_the_stop_hook_or_in_the_states_drop_is_the_exit_reason() {
    run(async {
        let hook = Args {
            stop_panic: true,
            ..Args::default()
        };
        let probe = actor::start::<Probe>("probe", hook).await.unwrap();
        assert_eq!(probe.stop().await, panicked("stopped told to"));
        assert_eq!(probe.wait().await, panicked("stopped told to"));

        let drop_panic = Args {
            drop_panic: true,
            ..Args::default()
        };
        let probe = actor::start::<Probe>("probe", drop_panic.clone())
            .await
            .unwrap();
        assert_eq!(probe.stop().await, panicked("drop told to"));

        // After a handler's panic the first panic is the reason; the second must not abort us.
        let probe = actor::start::<Probe>("probe", drop_panic.clone())
            .await
            .unwrap();
        assert_eq!(Probe::panic(&probe).await, Err(CallError::Panicked));
        assert_eq!(probe.wait().await, panicked("told to"));

        // In a kill nothing of it reaches the scheduler either.
        let probe = actor::start::<Probe>("probe", drop_panic).await.unwrap();
        assert_eq!(probe.kill().await, ExitReason::Killed);
        assert_eq!(Probe::echo(&probe, 1).await, Err(CallError::Stopped));
    });
}

#[test]
fn an_actor_that_stops_itself_answers_first() {
    run(async {
        let (args, log) = Probe::logged();
        let probe = actor::start::<Probe>("probe", args).await.unwrap();
        assert_eq!(Probe::stop_self(&probe).await, Ok(()));
        assert_eq!(probe.wait().await, ExitReason::Normal);
        assert!(log.has("probe stopped Requested"));
    });
}

#[test]
fn many_waiters_are_told_and_those_that_gave_up_are_forgotten() {
    run(async {
        let probe = actor::start::<Probe>("probe", Probe::quiet())
            .await
            .unwrap();
        let waiters: Vec<_> = (0..100).map(|_| go(probe.wait())).collect();
        for waiter in waiters.iter().step_by(2) {
            waiter.abort();
        }
        drop(probe.stop());
        for (n, waiter) in waiters.into_iter().enumerate() {
            match waiter.await {
                Ok(reason) => assert_eq!(reason, ExitReason::Normal),
                Err(error) => assert!(error.is_cancelled() && n % 2 == 0),
            }
        }
    });
}

// The id is what is hashed, and it never changes.
#[allow(clippy::mutable_key_type)]
#[test]
fn handles_are_equal_when_they_mean_the_same_actor_and_show_its_name() {
    run(async {
        let one = actor::start::<Probe>("one", Probe::quiet()).await.unwrap();
        let two = actor::start::<Probe>("one", Probe::quiet()).await.unwrap();
        assert_eq!(one, one.clone());
        assert_ne!(one, two);
        let set: HashSet<_> = [one.clone(), two.clone(), one.clone()]
            .into_iter()
            .collect();
        assert_eq!(set.len(), 2);
        assert_eq!(format!("{one:?}"), format!("one#{}", one.id()));
        assert_eq!(one.name(), "one");
        assert_ne!(one.id(), two.id());
    });
}

/// Ticks at two periods and says how often.
struct Clock(Log, Arc<AtomicUsize>);

struct Never;

impl Message for Never {}

impl Actor for Clock {
    type Msg = Never;
    type Args = (Log, Arc<AtomicUsize>);
    type Error = Infallible;
    type Handle = ActorRef<Self>;
    const NAME: &'static str = "clock";

    async fn init((log, ticks): Self::Args, _: &Ctx<Self>) -> Result<Self, Infallible> {
        Ok(Clock(log, ticks))
    }

    async fn handle(&mut self, _: Never, _: &Ctx<Self>) {}

    fn ticks() -> &'static [Duration] {
        const { &[Duration::from_millis(2), Duration::from_secs(3600)] }
    }

    async fn tick(&mut self, index: usize, ctx: &Ctx<Self>) {
        self.0.add(format!("tick {index}"));
        if self.1.fetch_add(1, Ordering::SeqCst) == 4 {
            ctx.stop();
        }
    }

    async fn stopped(self, why: StopReason, _: &Ctx<Self>) {
        self.0.add(format!("stopped {why:?}"));
    }
}

#[test]
fn ticks_come_each_period_until_the_actor_stops_and_a_long_period_does_not_tick_early() {
    run(async {
        let (log, ticks) = (Log::default(), Arc::new(AtomicUsize::new(0)));
        let started = actor_core::Instant::now();
        let args = (log.clone(), Arc::clone(&ticks));
        let clock = actor::start::<Clock>("clock", args).await.unwrap();
        assert_eq!(clock.wait().await, ExitReason::Normal);
        assert!(
            started.elapsed() >= Duration::from_millis(10),
            "five ticks of 2 ms"
        );
        let after = log.take();
        assert_eq!(after[..5], ["tick 0"; 5]);
        assert_eq!(after.last().map(String::as_str), Some("stopped Requested"));
    });
}

/// Written by hand, so that its handler can panic before there is a future.
struct Hasty {
    _kept: Arc<()>,
}

struct HastyMsg {
    kept: Arc<()>,
    reply: Reply<Result<u64, Infallible>>,
}

impl Message for HastyMsg {
    fn name(&self) -> &'static str {
        "hasten"
    }
}

impl Actor for Hasty {
    type Msg = HastyMsg;
    type Args = Arc<()>;
    type Error = Infallible;
    type Handle = ActorRef<Self>;
    const NAME: &'static str = "hasty";

    async fn init(kept: Arc<()>, _: &Ctx<Self>) -> Result<Self, Infallible> {
        Ok(Hasty { _kept: kept })
    }

    fn handle(&mut self, msg: HastyMsg, _: &Ctx<Self>) -> impl Future<Output = ()> + Send {
        assert!(Arc::strong_count(&msg.kept) > 3, "too hasty");
        async move { msg.reply.send(Ok(1)) }
    }
}

#[test]
fn a_handler_that_panics_before_its_future_is_a_panic_like_any_other() {
    run(async {
        let kept = Arc::new(());
        let hasty = actor::start::<Hasty>("hasty", Arc::clone(&kept))
            .await
            .unwrap();
        let hasten = || {
            let (kept, reply) = (Arc::clone(&kept), Reply::none());
            Call::<_, u64>::new(&hasty, HastyMsg { kept, reply }, |msg, slot| {
                msg.reply = slot
            })
        };
        let fourth = Arc::clone(&kept);
        assert_eq!(hasten().await, Ok(1));
        drop(fourth);
        assert_eq!(hasten().await, Err(CallError::Panicked));
        assert_eq!(hasty.wait().await, panicked("too hasty"));
        // The message is dropped, and so is the state.
        assert_eq!(Arc::strong_count(&kept), 1);
    });
}
