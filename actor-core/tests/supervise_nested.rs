//! Actors under a supervisor that is itself restarted: their handles stay valid, and what is sent to
//! them meanwhile waits.

mod probe;

use std::time::Duration;

use actor_core::{
    actor::{DeadLetterReason, ExitReason, TrySendError, subscribe_dead_letters},
    chan::{self, Receiver, Sender},
    prelude::*,
    supervise::{ChildSpec, OnRestart, SupervisorRef},
};
use probe::{Log, run};

const LONG: Duration = Duration::from_secs(600);

/// Its init waits for a token.
struct Door;

#[actor(name = "door", vis = pub(crate))]
impl Door {
    #[init]
    async fn new(tokens: Receiver<()>, log: Log) -> Self {
        log.add("door init");
        tokens.recv().await.expect("the test lives");
        Self
    }

    pub fn crash(&mut self) {
        panic!("told to");
    }
}

/// Notes what it is told.
struct Desk(Log);

#[actor(name = "desk", vis = pub(crate))]
impl Desk {
    #[init]
    fn new(log: Log) -> Self {
        Self(log)
    }

    pub fn note(&mut self, text: String, ctx: &Ctx<Self>) -> u64 {
        self.0.add(format!("{text} in {}", ctx.incarnation()));
        ctx.incarnation()
    }
}

struct Inner {
    door: DoorRef,
    desk: DeskRef,
    tokens: Sender<()>,
    log: Log,
}

impl Inner {
    /// Lets the door's init return.
    async fn let_in(&self) {
        self.tokens.send(()).await.unwrap();
    }

    /// Waits until the door's next incarnation stands in its init, and so the desk is down.
    async fn restarting(&self) {
        self.log.seen("door init", 2).await;
    }
}

/// A supervisor that gives up at the first crash, with a door and then a desk.
fn inner(on_restart: OnRestart) -> (Supervisor, Inner) {
    let (log, (tokens, taken)) = (Log::default(), chan::buffered(8));
    let door = Door::child("door", taken, log.clone());
    let desk = Desk::child("desk", log.clone()).on_restart(on_restart);
    let inner = Inner {
        door: door.handle(),
        desk: desk.handle(),
        tokens,
        log,
    };
    let supervisor = Supervisor::one_for_one("inner").intensity(0, LONG);
    (supervisor.child(door).child(desk), inner)
}

async fn app_of(inner: impl Into<ChildSpec>) -> SupervisorRef {
    let app = Supervisor::one_for_one("app").intensity(100, LONG);
    app.child(inner).start().await.unwrap()
}

#[test]
fn what_is_sent_while_their_supervisor_is_restarted_after_it_gave_up_waits_for_them() {
    run(async {
        let (supervisor, inner) = inner(OnRestart::Keep);
        inner.let_in().await;
        let app = app_of(supervisor).await;
        assert_eq!(inner.desk.note("first".into()).await, Ok(1));
        assert_eq!(inner.door.crash().await, Err(CallError::Panicked));
        inner.restarting().await;
        assert!(!inner.desk.is_stopped());
        inner.desk.note("told".into()).tell().await.unwrap();
        let desk = inner.desk.clone();
        let asked = go(async move { desk.note("asked".into()).await });
        while inner.desk.mailbox_len() < 2 {
            yield_now().await;
        }
        inner.let_in().await;
        assert_eq!(asked.await.unwrap(), Ok(2));
        let notes = ["first in 1", "told in 2", "asked in 2"];
        let lines = inner.log.lines().into_iter().filter(|l| l != "door init");
        assert_eq!(lines.collect::<Vec<_>>(), notes);
        app.stop().await;
    });
}

#[test]
fn what_is_sent_while_their_supervisor_is_restarted_for_a_sibling_waits_for_them() {
    run(async {
        let (supervisor, inner) = inner(OnRestart::Keep);
        inner.let_in().await;
        let (crash, crashes) = chan::buffered::<()>(1);
        let sibling = ChildSpec::go("sibling", move || {
            let crashes = crashes.clone();
            async move {
                crashes.recv().await;
                Err::<(), _>("told to")
            }
        });
        let app = Supervisor::one_for_all("app")
            .child(supervisor)
            .child(sibling)
            .start()
            .await
            .unwrap();
        crash.send(()).await.unwrap();
        inner.restarting().await;
        inner.desk.note("told".into()).tell().await.unwrap();
        inner.let_in().await;
        inner.log.seen("told in 2", 1).await;
        app.stop().await;
    });
}

#[test]
fn a_restart_of_their_supervisor_clears_the_mailboxes_that_are_to_be_cleared() {
    run(async {
        let (supervisor, inner) = inner(OnRestart::Clear);
        inner.let_in().await;
        let app = app_of(supervisor).await;
        assert_eq!(inner.door.crash().await, Err(CallError::Panicked));
        inner.restarting().await;
        let refused = inner.desk.note("told".into()).try_tell();
        assert!(matches!(refused, Err(TrySendError::Closed(_))));
        inner.let_in().await;
        while inner.desk.note("later".into()).await != Ok(2) {}
        app.stop().await;
    });
}

#[test]
fn they_are_dead_for_good_when_their_supervisor_is_not_restarted() {
    run(async {
        let letters = subscribe_dead_letters(8);
        let (supervisor, inner) = inner(OnRestart::Keep);
        inner.let_in().await;
        let spec = ChildSpec::from(supervisor).restart(Restart::Temporary);
        let app = app_of(spec).await;
        assert_eq!(inner.door.crash().await, Err(CallError::Panicked));
        inner.desk.wait().await;
        inner.door.wait().await;
        assert_eq!(
            inner.desk.note("late".into()).await,
            Err(CallError::Stopped)
        );
        let ours = |id| id == inner.desk.id() || id == inner.door.id();
        let late: Vec<_> = std::iter::from_fn(|| letters.try_recv())
            .filter(|letter| ours(letter.id))
            .collect();
        assert_eq!(late, [], "nothing was queued");
        app.stop().await;
    });
}

#[test]
fn they_are_dead_for_good_when_a_supervisor_further_up_gives_up() {
    run(async {
        let letters = subscribe_dead_letters(8);
        let (supervisor, inner) = inner(OnRestart::Keep);
        inner.let_in().await;
        let backoff = LONG..LONG * 2;
        let spec = ChildSpec::from(supervisor).backoff(backoff);
        let app = app_of(spec).await;
        let down = inner.desk.monitor();
        assert_eq!(inner.door.crash().await, Err(CallError::Panicked));
        assert_eq!(down.await.reason, ExitReason::Shutdown);
        let desk = inner.desk.clone();
        let asked = go(async move { desk.note("asked".into()).await });
        while inner.desk.mailbox_len() == 0 {
            yield_now().await;
        }
        app.stop().await;
        assert_eq!(asked.await.unwrap(), Err(CallError::Stopped));
        assert!(inner.desk.is_stopped());
        let letter = std::iter::from_fn(|| letters.try_recv())
            .find(|letter| letter.id == inner.desk.id())
            .unwrap();
        let expected = ("note", DeadLetterReason::Stopped);
        assert_eq!((letter.message, letter.reason), expected);
    });
}

#[test]
fn they_refuse_messages_when_their_supervisor_is_stopped_in_order_until_it_runs_again() {
    run(async {
        let (supervisor, inner) = inner(OnRestart::Keep);
        inner.let_in().await;
        let handle = supervisor.handle();
        let app = app_of(supervisor).await;
        assert_eq!(handle.stop().await, ExitReason::Normal);
        inner.restarting().await;
        let refused = inner.desk.note("told".into()).try_tell();
        assert!(matches!(refused, Err(TrySendError::Closed(_))));
        inner.let_in().await;
        while inner.desk.note("later".into()).await != Ok(2) {}
        app.stop().await;
    });
}
