//! Links: the manual's table of exit signals, by receiver and reason.

use actor_core::{
    actor::{self, CallError, ExitReason, Exited, NoProc},
    prelude::*,
};

use crate::{
    kid, line,
    probe::{Args, Gate, Log, Probe},
    run, until_restarted,
};

/// Doesn't trap exits.
struct Plain;

#[actor(name = "plain", vis = pub(crate))]
impl Plain {
    #[init]
    fn new() -> Self {
        Self
    }

    pub fn link(&mut self, other: ActorRef<Probe>, ctx: &Ctx<Self>) -> Result<(), NoProc> {
        ctx.link(&other)
    }

    pub fn link_plain(&mut self, other: PlainRef, ctx: &Ctx<Self>) -> Result<(), NoProc> {
        ctx.link(&other)
    }

    pub fn unlink(&mut self, other: ActorRef<Probe>, ctx: &Ctx<Self>) -> bool {
        ctx.unlink(&other)
    }

    pub fn ping(&mut self) {}
}

/// Traps exits.
struct Trapper {
    log: Log,
}

#[actor(name = "trapper", vis = pub(crate))]
impl Trapper {
    #[init]
    fn new(log: Log) -> Self {
        Self { log }
    }

    pub fn link(&mut self, other: ActorRef<Probe>, ctx: &Ctx<Self>) -> Result<(), NoProc> {
        ctx.link(&other)
    }

    pub async fn unlink_after(
        &mut self,
        gate: Gate,
        other: ActorRef<Probe>,
        ctx: &Ctx<Self>,
    ) -> bool {
        gate.pass().await;
        ctx.unlink(&other)
    }

    pub async fn hold(&mut self, gate: Gate) {
        gate.pass().await;
    }

    pub fn note(&mut self, text: String) {
        self.log.add(text);
    }

    #[exit]
    fn left(&mut self, exited: Exited) {
        self.log
            .add(format!("EXIT {} {}", exited.name, exited.reason));
    }
}

#[derive(Clone, Copy)]
enum End {
    Normal,
    Shutdown,
    ShutdownWith,
    Killed,
    Panicked,
}

impl End {
    fn reason(self) -> ExitReason {
        match self {
            Self::Normal => ExitReason::Normal,
            Self::Shutdown => ExitReason::Shutdown,
            Self::ShutdownWith => ExitReason::ShutdownWith {
                cause: "tired".into(),
            },
            Self::Killed => ExitReason::Killed,
            Self::Panicked => ExitReason::Panicked {
                message: "told to".into(),
            },
        }
    }
}

/// The reason of one that ended by its link with "other".
fn by_link(reason: ExitReason) -> ExitReason {
    ExitReason::Linked {
        actor: "other".into(),
        reason: Box::new(reason),
    }
}

async fn other() -> ActorRef<Probe> {
    actor::start::<Probe>("other", Args::default())
        .await
        .unwrap()
}

/// An actor "other" that `link` is told of before it ends like this. Ready when those who are linked
/// with it have been told: a monitor comes after them.
async fn one_that_ends(end: End, link: impl AsyncFnOnce(ActorRef<Probe>)) {
    let child = Child::<Probe>::new("other", Args::default).restart(Restart::Temporary);
    let other = child.handle();
    let app = Supervisor::one_for_one("app").child(child);
    let app = app.start().await.unwrap();
    link(other.clone()).await;
    let last = other.monitor();
    match end {
        End::Normal => drop(other.stop()),
        End::Shutdown => app.terminate_child("other").await.unwrap(),
        End::ShutdownWith => drop(other.stop_with("tired")),
        End::Killed => drop(other.kill()),
        End::Panicked => assert_eq!(Probe::panic(&other).await, Err(CallError::Panicked)),
    }
    assert_eq!(last.await.reason, end.reason());
    app.stop().await;
}

fn to_one_that_does_not_trap(end: End) {
    run(move || async move {
        let plain = Plain::start().await.unwrap();
        one_that_ends(end, async |other| plain.link(other).await.unwrap()).await;
        if matches!(end, End::Normal) {
            assert_eq!(plain.ping().await, Ok(()));
            assert_eq!(plain.stop().await, ExitReason::Normal);
        } else {
            assert_eq!(plain.wait().await, by_link(end.reason()));
        }
    });
}

fn to_one_that_traps(end: End) {
    run(move || async move {
        let log = Log::default();
        let trapper = Trapper::start(log.clone()).await.unwrap();
        one_that_ends(end, async |other| trapper.link(other).await.unwrap()).await;
        trapper.note("lives".into()).await.unwrap();
        let told = format!("EXIT other {}", end.reason());
        assert_eq!(log.take(), [line(&told), line("lives")].concat());
    });
}

macro_rules! signals {
    ($($name:ident: $end:ident),*) => {
        mod an_exit_to_one_that_does_not_trap {
            use super::*;
            $(
                /// Reference manual, Processes, Receiving Exit Signals: it ends with the sender's
                /// reason, unless that is `normal`. Ours: the reason says that a link did it.
                #[test]
                fn $name() {
                    to_one_that_does_not_trap(End::$end);
                }
            )*
        }

        mod an_exit_to_one_that_traps {
            use super::*;
            $(
                /// Reference manual, Processes, Receiving Exit Signals: it becomes a message,
                /// whatever the reason. Ours: a call of the `#[exit]` method.
                #[test]
                fn $name() {
                    to_one_that_traps(End::$end);
                }
            )*
        }
    };
}

signals!(
    with_normal: Normal,
    with_shutdown: Shutdown,
    with_shutdown_and_a_cause: ShutdownWith,
    with_killed: Killed,
    with_a_panic: Panicked
);

/// Reference manual, Processes, Links: a link is bidirectional.
#[test]
fn a_link_works_both_ways() {
    run(|| async {
        let (plain, other) = (Plain::start().await.unwrap(), other().await);
        plain.link(other.clone()).await.unwrap();
        drop(plain.kill());
        let reason = other.wait().await;
        let ExitReason::Linked { actor, reason } = reason else {
            panic!("{reason:?}")
        };
        assert_eq!((&*actor, *reason), ("plain", ExitReason::Killed));
    });
}

/// Reference manual, Processes, Links: linking twice is linking once, with one exit signal.
#[test]
fn two_links_are_one() {
    run(|| async {
        let log = Log::default();
        let trapper = Trapper::start(log.clone()).await.unwrap();
        one_that_ends(End::Killed, async |other| {
            trapper.link(other.clone()).await.unwrap();
            trapper.link(other).await.unwrap();
        })
        .await;
        trapper.note("end".into()).await.unwrap();
        assert_eq!(log.take(), ["EXIT other killed", "end"]);
    });
}

/// Reference manual, Processes, Links: after unlink/1 no exit signal of the link comes.
#[test]
fn unlink_takes_the_link_away_for_good() {
    run(|| async {
        let plain = Plain::start().await.unwrap();
        one_that_ends(End::Killed, async |other| {
            plain.link(other.clone()).await.unwrap();
            plain.link(other.clone()).await.unwrap();
            assert_eq!(plain.unlink(other).await, Ok(true));
        })
        .await;
        assert_eq!(plain.ping().await, Ok(()));
    });
}

/// erlang:unlink/1 in the manual: with a flush, which ours has in it, an exit that has come and was
/// not taken yet is gone too.
#[test]
fn unlink_takes_back_an_exit_that_was_not_handled_yet() {
    run(|| async {
        let log = Log::default();
        let trapper = Trapper::start(log.clone()).await.unwrap();
        let gate = Gate::new();
        let mut unlinking = None;
        one_that_ends(End::Killed, async |other| {
            trapper.link(other.clone()).await.unwrap();
            let (trapper, door) = (trapper.clone(), gate.clone());
            unlinking = Some(go(async move { trapper.unlink_after(door, other).await }));
            gate.entered().await;
        })
        .await;
        gate.open();
        assert_eq!(unlinking.unwrap().await.unwrap(), Ok(true));
        trapper.note("end".into()).await.unwrap();
        assert_eq!(log.take(), ["end"]);
    });
}

/// erlang:link/1 in the manual: one that doesn't trap gets the error `noproc`.
#[test]
fn a_link_with_the_dead_is_an_error_to_one_that_does_not_trap() {
    run(|| async {
        let (plain, other) = (Plain::start().await.unwrap(), other().await);
        other.stop().await;
        assert_eq!(plain.link(other).await, Err(CallError::Failed(NoProc)));
        assert_eq!(plain.ping().await, Ok(()));
    });
}

/// erlang:link/1 in the manual: one that traps gets an exit signal with `noproc`.
#[test]
fn a_link_with_the_dead_is_an_exit_to_one_that_traps() {
    run(|| async {
        let log = Log::default();
        let (trapper, other) = (Trapper::start(log.clone()).await.unwrap(), other().await);
        other.stop().await;
        assert_eq!(trapper.link(other).await, Ok(()));
        log.seen(&format!("EXIT other {}", ExitReason::NoProc), 1)
            .await;
    });
}

/// erts signal_SUITE: `kill` is not trapped by the one who is killed.
#[test]
fn a_kill_is_not_trapped() {
    run(|| async {
        let trapper = Trapper::start(Log::default()).await.unwrap();
        assert_eq!(trapper.kill().await, ExitReason::Killed);
    });
}

/// Reference manual, Processes, Process Termination: exits travel along links. Ours: all name the
/// one who was first.
#[test]
fn a_chain_of_links_ends_as_a_whole() {
    run(|| async {
        let mut chain = Vec::new();
        for _ in 0..5 {
            chain.push(Plain::start().await.unwrap());
        }
        for pair in chain.windows(2) {
            pair[0].link_plain(pair[1].clone()).await.unwrap();
        }
        one_that_ends(End::Killed, async |other| {
            chain[0].link(other).await.unwrap();
        })
        .await;
        for plain in chain {
            assert_eq!(plain.wait().await, by_link(ExitReason::Killed));
        }
    });
}

/// Reference manual, Processes, Signals: order is promised between two processes. Ours: an exit
/// comes before messages that wait in the mailbox, as it has a lane of its own.
#[test]
fn an_exit_comes_before_what_is_queued() {
    run(|| async {
        let log = Log::default();
        let trapper = Trapper::start(log.clone()).await.unwrap();
        let gate = Gate::new();
        one_that_ends(End::Killed, async |other| {
            trapper.link(other).await.unwrap();
            trapper.hold(gate.clone()).tell().await.unwrap();
            gate.entered().await;
            trapper.note("queued".into()).tell().await.unwrap();
        })
        .await;
        gate.open();
        log.seen("queued", 1).await;
        assert_eq!(log.take(), ["EXIT other killed", "queued"]);
    });
}

/// supervisor.erl: a child that ends by a link ends with that reason, and is restarted by its type:
/// a transient one after an abnormal one only.
#[test]
fn a_transient_child_is_restarted_as_the_linked_ones_reason_says() {
    run(|| async {
        for (end, again) in [(End::Killed, true), (End::ShutdownWith, false)] {
            let child = Plain::child("plain").restart(Restart::Transient);
            let plain = child.handle();
            let app = Supervisor::one_for_one("app").child(child);
            let app = app.start().await.unwrap();
            one_that_ends(end, async |other| plain.link(other).await.unwrap()).await;
            let left = crate::until(&app, "plain", |p| p.last_exit.is_some()).await;
            assert_eq!(left.last_exit, Some(by_link(end.reason())));
            assert_eq!(left.restarts, u64::from(again));
            app.stop().await;
        }
    });
}

/// supervisor.erl: a restarted child is another process, which has none of the links of the former.
#[test]
fn a_restart_ends_a_links_life() {
    run(|| async {
        let log = Log::default();
        let trapper = Trapper::start(log.clone()).await.unwrap();
        let (a, a_kid) = kid("a", &Log::default());
        let app = Supervisor::one_for_one("app").child(a);
        let app = app.start().await.unwrap();
        trapper.link(a_kid.handle.clone()).await.unwrap();
        a_kid.crash().await;
        log.seen("EXIT a panicked: told to", 1).await;
        until_restarted(&app, "a", 1).await;
        a_kid.handle.kill().await;
        until_restarted(&app, "a", 2).await;
        trapper.note("end".into()).await.unwrap();
        assert_eq!(log.take(), ["EXIT a panicked: told to", "end"]);
        app.stop().await;
    });
}
