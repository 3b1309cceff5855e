//! Expecting an actor's end, and its next life.

use std::{future::poll_fn, panic::Location, sync::Arc};

use super::{Expect, WITHIN, expect::Failure};
use crate::actor::{Down, Life, Monitor, Peer, Phase, Watched, Watchee};

/// Expects the end of an actor's incarnation, or a supervisor's, and says how it ended.
///
/// Of the one that lives *when this is called*: so call it before what ends it, and await it after.
/// If none lives then, it is ready at once with [`NoProc`](crate::actor::ExitReason::NoProc), as a
/// [monitor](crate::actor::ActorRef::monitor) is.
///
/// ```
/// use actor_core::{actor::ExitReason, prelude::*, testkit::expect_down};
///
/// struct Job;
/// #[actor]
/// impl Job {
///     #[init]
///     fn new() -> Self { Job }
///     pub fn finish(&mut self, ctx: &Ctx<Self>) { ctx.stop() }
/// }
///
/// # actor_core::Runtime::new().unwrap().run(async {
/// let job = Job::start().await.unwrap();
/// let ends = expect_down(&job);
/// job.finish().tell().await.unwrap();
/// assert_eq!(ends.await.reason, ExitReason::Normal);
/// # });
/// ```
#[track_caller]
pub fn expect_down<Of: ?Sized>(actor: &impl Watched<Of>) -> Expect<'static, Down> {
    let actor = Eyed::new(actor.watched(), Location::caller());
    let monitor = Monitor::new(Arc::clone(&actor.peer));
    let came = async move { Ok(monitor.await) };
    Expect::new(WITHIN, came, move |limit| {
        let failure = actor.failure("expect_down").expected("that it ends");
        Err(actor.as_it_is(failure.nothing_within(limit)))
    })
}

/// Expects that an actor or supervisor is started again and has come up, and says which life that is (the first
/// restart makes it 2).
///
/// Counted from *when this is called*: a restart after that will do, however the actor was doing
/// then. So call it before what ends the actor, and await it after.
///
/// ```
/// use actor_core::{prelude::*, testkit::{TestSupervisor, expect_restart}};
///
/// struct Fragile;
/// #[actor]
/// impl Fragile {
///     #[init]
///     fn new() -> Self { Fragile }
///     pub fn touch(&mut self) { panic!("ouch") }
/// }
///
/// # std::panic::set_hook(Box::new(|_| {}));
/// # actor_core::Runtime::new().unwrap().run(async {
/// let sup = TestSupervisor::new().await;
/// let fragile = sup.start_child(Fragile::child("fragile")).await;
/// let again = expect_restart(&fragile);
/// assert_eq!(fragile.touch().await, Err(CallError::Panicked));
/// assert_eq!(again.await, 2);
/// # });
/// ```
#[track_caller]
pub fn expect_restart<Of: ?Sized>(actor: &impl Watched<Of>) -> Expect<'static, u64> {
    let actor = Eyed::new(actor.watched(), Location::caller());
    let (peer, since) = (Arc::clone(&actor.peer), actor.since);
    let came = async move {
        let mut waiting = Waiting {
            life: peer.life(),
            key: None,
        };
        Ok(poll_fn(|cx| {
            let Waiting { life, key } = &mut waiting;
            life.poll_until(key, cx, |s| {
                let now = u64::from(s.incarnation());
                (now > since && s.phase() == Phase::Running).then_some(now)
            })
        })
        .await)
    };
    Expect::new(WITHIN, came, move |limit| {
        let failure = actor.failure("expect_restart");
        let failure = failure.expected("that it is started again");
        Err(actor.as_it_is(failure.nothing_within(limit)))
    })
}

fn incarnation(life: &Life) -> u64 {
    u64::from(life.look(|s| s.incarnation()))
}

/// A dropped expectation leaves no waker behind.
struct Waiting<'a> {
    life: &'a Life,
    key: Option<u32>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.life.unregister(&mut self.key);
    }
}

/// Whom an expectation looks at.
struct Eyed {
    /// No handle: an expectation keeps nobody alive.
    peer: Arc<dyn Peer>,
    /// Which life it was in when the expectation was made.
    since: u64,
    place: &'static Location<'static>,
}

impl Eyed {
    fn new(Watchee(peer): Watchee, place: &'static Location<'static>) -> Self {
        let since = incarnation(peer.life());
        Self { peer, since, place }
    }

    fn failure(&self, what: &str) -> Failure {
        let who = format!("\"{}\"#{}", self.peer.name(), self.peer.id());
        Failure::of(&who, what, self.place)
    }

    fn as_it_is(&self, failure: Failure) -> Failure {
        let now = incarnation(self.peer.life());
        let (phase, last) = self.peer.life().look(|s| (s.phase(), s.last_exit()));
        let is = match phase {
            Phase::Idle => "was never started".to_owned(),
            Phase::Starting => format!("is starting, in life {now}"),
            Phase::Running => format!("runs, in life {now}"),
            Phase::Down => format!("is down, and may be restarted: it {last}"),
            Phase::Dead => format!("has ended for good: it {last}"),
        };
        failure.line("it", is).line(
            "note",
            format_args!(
                "this was called in life {}; call it before what ends the actor, await it after",
                self.since
            ),
        )
    }
}
