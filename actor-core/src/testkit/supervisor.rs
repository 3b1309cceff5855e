//! A supervisor whose doings a test waits for.

use std::{fmt, future::Future, panic::Location, sync::Arc, time::Duration};

use super::{Expect, WITHIN, expect::Failure, inbox::Inbox};
use crate::{
    actor::{Actor, ExitReason, StartError},
    chan,
    shim::Mutex,
    supervise::{Child, SupervisionEvent, Supervisor, SupervisorRef},
};

/// Events that no expectation has taken; further ones are only in [`TestSupervisor::events`].
const CAPACITY: usize = 1 << 16;

/// A supervisor that notes what it does, for a test to wait for.
///
/// It is a [`Supervisor`] in every other respect: the one given to [`start`](TestSupervisor::start),
/// with its strategy, children and intensity. It sets that one's
/// [`observe`](Supervisor::observe). Nothing is printed. Dropped, it kills what still runs.
///
/// Each expectation takes the first event of its kind about its child; the events of that child
/// before it are behind it then, those of others stay.
///
/// ```
/// use actor_core::{actor::ExitReason, prelude::*, testkit::TestSupervisor};
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
/// let sup = TestSupervisor::start(Supervisor::one_for_one("app").intensity(1, LONG)).await;
/// let fragile = sup.start_child(Fragile::child("fragile")).await;
///
/// fragile.touch().tell().await.unwrap();
/// let how = sup.expect_exit("fragile").await;
/// assert_eq!(how, ExitReason::Panicked { message: "ouch".into() });
/// assert_eq!(sup.expect_restarted("fragile").await, 1);
///
/// fragile.touch().tell().await.unwrap();
/// sup.expect_gave_up("fragile").await;
/// # });
/// # const LONG: std::time::Duration = std::time::Duration::from_secs(60);
/// ```
pub struct TestSupervisor {
    supervisor: SupervisorRef,
    events: Inbox<SupervisionEvent>,
    all: Arc<Mutex<Vec<SupervisionEvent>>>,
}

impl TestSupervisor {
    /// Starts a one_for_one supervisor without children: see
    /// [`start_child`](TestSupervisor::start_child).
    #[track_caller]
    pub fn new() -> impl Future<Output = Self> + Send {
        Self::start(Supervisor::one_for_one("test"))
    }

    /// Starts this supervisor and its children. See [`TestSupervisor`].
    ///
    /// # Panics
    /// If it can't start; [`try_start`](TestSupervisor::try_start) gives the reason to the test.
    #[track_caller]
    pub fn start(supervisor: Supervisor) -> impl Future<Output = Self> + Send {
        let place = Location::caller();
        async move {
            match Self::try_start(supervisor).await {
                Ok(started) => started,
                Err(error) => panic!("TestSupervisor::start at {place}: {error}"),
            }
        }
    }

    /// As [`start`](TestSupervisor::start), for a test of what happens when it can't.
    ///
    /// # Errors
    /// Those of [`Supervisor::start`].
    ///
    /// ```
    /// use actor_core::{prelude::*, testkit::TestSupervisor};
    ///
    /// # actor_core::Runtime::new().unwrap().run(async {
    /// let twins = Supervisor::one_for_one("app")
    ///     .child(ChildSpec::go("twin", || std::future::pending::<()>()))
    ///     .child(ChildSpec::go("twin", || std::future::pending::<()>()));
    /// let error = TestSupervisor::try_start(twins).await.unwrap_err();
    /// assert_eq!(error.failed_child(), Some("twin"));
    /// # });
    /// ```
    pub async fn try_start(supervisor: Supervisor) -> Result<Self, StartError> {
        let (tell, events) = chan::buffered(CAPACITY);
        let all = Arc::<Mutex<Vec<_>>>::default();
        let noted = Arc::clone(&all);
        let supervisor = supervisor.observe(move |event| {
            noted.lock().push(event.clone());
            // Full: it is in `all`.
            let _ = tell.try_send(event.clone());
        });
        let supervisor = supervisor.start().await?;
        Ok(Self {
            supervisor,
            events: Inbox::new(events, ToString::to_string),
            all,
        })
    }

    /// Starts one more child, and is ready with its handle when it runs.
    ///
    /// For other kinds of children: [`supervisor`](TestSupervisor::supervisor)`().start_child(..)`.
    ///
    /// # Panics
    /// If it can't start.
    #[track_caller]
    pub fn start_child<A: Actor>(
        &self,
        child: Child<A>,
    ) -> impl Future<Output = A::Handle> + Send + use<'_, A> {
        let place = Location::caller();
        async move {
            let handle = child.handle();
            let id = child.id().to_owned();
            match self.supervisor.start_child(child).await {
                Ok(_) => handle,
                Err(error) => panic!("start_child(\"{id}\") at {place}: {error}"),
            }
        }
    }

    /// The supervisor, for all else that it can be asked.
    ///
    /// ```
    /// use actor_core::{prelude::*, testkit::TestSupervisor};
    ///
    /// # actor_core::Runtime::new().unwrap().run(async {
    /// let sup = TestSupervisor::new().await;
    /// let job = ChildSpec::once("job", async { /* work */ });
    /// sup.supervisor().start_child(job).await.unwrap();
    /// sup.expect_exit("job").await;
    /// # });
    /// ```
    #[must_use]
    pub fn supervisor(&self) -> &SupervisorRef {
        &self.supervisor
    }

    /// Stops it and its children, in order, and says how it ended.
    ///
    /// ```
    /// use actor_core::{actor::ExitReason, testkit::TestSupervisor};
    ///
    /// # actor_core::Runtime::new().unwrap().run(async {
    /// let sup = TestSupervisor::new().await;
    /// assert_eq!(sup.stop().await, ExitReason::Normal);
    /// # });
    /// ```
    pub async fn stop(&self) -> ExitReason {
        self.supervisor.stop().await
    }

    /// Everything that has happened, in order, whether an expectation has taken it or not.
    ///
    /// ```
    /// use actor_core::{prelude::*, testkit::TestSupervisor};
    ///
    /// # actor_core::Runtime::new().unwrap().run(async {
    /// let wait = || std::future::pending::<()>();
    /// let sup = Supervisor::one_for_one("app")
    ///     .child(ChildSpec::go("a", wait))
    ///     .child(ChildSpec::go("b", wait));
    /// let sup = TestSupervisor::start(sup).await;
    /// sup.stop().await;
    /// let lines: Vec<_> = sup.events().iter().map(ToString::to_string).collect();
    /// assert_eq!(
    ///     lines,
    ///     [
    ///         "\"a\" started",
    ///         "\"b\" started",
    ///         "\"b\" was stopped: stopped by its supervisor",
    ///         "\"a\" was stopped: stopped by its supervisor",
    ///         "the supervisor ended: finished",
    ///     ]
    /// );
    /// # });
    /// ```
    #[must_use]
    pub fn events(&self) -> Vec<SupervisionEvent> {
        self.all.lock().clone()
    }

    /// Expects that this child is started, at the supervisor's start or later; not a restart.
    ///
    /// ```
    /// use actor_core::{prelude::*, testkit::TestSupervisor};
    ///
    /// # actor_core::Runtime::new().unwrap().run(async {
    /// let clock = ChildSpec::go("clock", || std::future::pending::<()>());
    /// let sup = TestSupervisor::start(Supervisor::one_for_one("app").child(clock)).await;
    /// sup.expect_started("clock").await;
    /// # });
    /// ```
    #[track_caller]
    pub fn expect_started(&self, child: &str) -> Expect<'_, ()> {
        self.of_child("expect_started", child, "starts", |event| {
            matches!(event, SupervisionEvent::Started { .. }).then_some(())
        })
    }

    /// Expects that a start or restart of this child fails, and says how.
    ///
    /// ```
    /// use actor_core::{actor::ExitReason, prelude::*, testkit::TestSupervisor};
    ///
    /// struct Broken;
    /// #[actor]
    /// impl Broken {
    ///     #[init]
    ///     fn open() -> Result<Self, String> { Err("no disk".into()) }
    /// }
    ///
    /// # actor_core::Runtime::new().unwrap().run(async {
    /// let sup = TestSupervisor::new().await;
    /// assert!(sup.supervisor().start_child(Broken::child("broken")).await.is_err());
    /// let why = sup.expect_start_failed("broken").await;
    /// assert_eq!(why, ExitReason::InitFailed { message: "no disk".into() });
    /// # });
    /// ```
    #[track_caller]
    pub fn expect_start_failed(&self, child: &str) -> Expect<'_, ExitReason> {
        self.of_child(
            "expect_start_failed",
            child,
            "can't start",
            |event| match event {
                SupervisionEvent::StartFailed { reason, .. } => Some(reason.clone()),
                _ => None,
            },
        )
    }

    /// Expects that this child ends, by itself or because it is stopped, and says how. See
    /// [`TestSupervisor`].
    #[track_caller]
    pub fn expect_exit(&self, child: &str) -> Expect<'_, ExitReason> {
        self.of_child("expect_exit", child, "exits", |event| match event {
            SupervisionEvent::Exited { reason, .. } | SupervisionEvent::Stopped { reason, .. } => {
                Some(reason.clone())
            }
            _ => None,
        })
    }

    /// Expects that this child is restarted and runs, and says how often it has been by now. See
    /// [`TestSupervisor`].
    #[track_caller]
    pub fn expect_restarted(&self, child: &str) -> Expect<'_, u64> {
        self.of_child(
            "expect_restarted",
            child,
            "is restarted",
            |event| match event {
                SupervisionEvent::Restarted { restarts, .. } => Some(*restarts),
                _ => None,
            },
        )
    }

    /// Expects that the supervisor gives up because of this child, and says how that one ended the
    /// last time. See [`TestSupervisor`].
    #[track_caller]
    pub fn expect_gave_up(&self, child: &str) -> Expect<'_, ExitReason> {
        let text = "is restarted once too often, so that its supervisor gives up";
        self.of_child("expect_gave_up", child, text, |event| match event {
            SupervisionEvent::GaveUp { reason, .. } => Some(reason.clone()),
            _ => None,
        })
    }

    /// Expects that the supervisor itself ends, and says how.
    ///
    /// ```
    /// use actor_core::{actor::ExitReason, testkit::TestSupervisor};
    ///
    /// # actor_core::Runtime::new().unwrap().run(async {
    /// let sup = TestSupervisor::new().await;
    /// sup.stop().await;
    /// assert_eq!(sup.expect_ended().await, ExitReason::Normal);
    /// # });
    /// ```
    #[track_caller]
    pub fn expect_ended(&self) -> Expect<'_, ExitReason> {
        let expected = "that the supervisor ends".to_owned();
        self.find("expect_ended", expected, |event| match event {
            SupervisionEvent::Ended { reason } => Some(reason.clone()),
            _ => None,
        })
    }

    /// Expects an event of which `wanted` is true.
    ///
    /// ```
    /// use actor_core::supervise::SupervisionEvent;
    /// use actor_core::testkit::TestSupervisor;
    ///
    /// async fn backs_off(sup: &TestSupervisor) {
    ///     sup.expect_event(|event| matches!(event, SupervisionEvent::Delayed { .. })).await;
    /// }
    /// ```
    #[track_caller]
    pub fn expect_event(
        &self,
        mut wanted: impl FnMut(&SupervisionEvent) -> bool + Send + 'static,
    ) -> Expect<'_, SupervisionEvent> {
        let expected = "an event of which the closure there is true".to_owned();
        self.find("expect_event", expected, move |event| {
            wanted(event).then(|| event.clone())
        })
    }

    /// Expects that nothing happens for so long; what no expectation has taken counts as well.
    ///
    /// ```
    /// use actor_core::testkit::TestSupervisor;
    /// use std::time::Duration;
    ///
    /// # actor_core::Runtime::new().unwrap().run(async {
    /// let sup = TestSupervisor::new().await;
    /// sup.expect_no_event(Duration::from_millis(5)).await;
    /// # });
    /// ```
    #[track_caller]
    pub fn expect_no_event(&self, within: Duration) -> Expect<'_, ()> {
        let place = Location::caller();
        let came = async move {
            let turn = self.events.turn().await;
            let Some(event) = turn.next().await else {
                return Ok(());
            };
            let failure = self.failure("expect_no_event", place);
            Err(self.history(failure.expected("no event").came(event)))
        };
        Expect::new(within, came, |_| Ok(()))
    }

    #[track_caller]
    fn of_child<R: Send + 'static>(
        &self,
        what: &'static str,
        child: &str,
        does: &str,
        wanted: impl Fn(&SupervisionEvent) -> Option<R> + Send + 'static,
    ) -> Expect<'_, R> {
        let expected = format!("that \"{child}\" {does}");
        let child = child.to_owned();
        self.find(what, expected, move |event| {
            if event.child() == Some(&*child) {
                wanted(event)
            } else {
                None
            }
        })
    }

    #[track_caller]
    fn find<R: Send + 'static>(
        &self,
        what: &'static str,
        expected: String,
        mut wanted: impl FnMut(&SupervisionEvent) -> Option<R> + Send + 'static,
    ) -> Expect<'_, R> {
        let place = Location::caller();
        let failure = move || self.failure(what, place).expected(&expected);
        let late = failure.clone();
        let came = async move {
            let turn = self.events.turn().await;
            let mut found = None;
            let is_it = |event: &SupervisionEvent| {
                found = wanted(event);
                found.is_some()
            };
            let is_past = |earlier: &SupervisionEvent, event: &SupervisionEvent| {
                earlier.child().is_some() && earlier.child() == event.child()
            };
            turn.find(is_it, is_past).await;
            found.ok_or_else(|| self.history(failure().came("the end of the supervisor")))
        };
        Expect::new(WITHIN, came, move |limit| {
            Err(self.history(late().nothing_within(limit)))
        })
    }

    fn failure(&self, what: &str, place: &'static Location<'static>) -> Failure {
        Failure::of(
            &format!("supervisor \"{}\"", self.supervisor.name()),
            what,
            place,
        )
    }

    fn history(&self, failure: Failure) -> Failure {
        let all = self.events().iter().map(ToString::to_string).collect();
        failure.list("what happened so far", all)
    }
}

impl Drop for TestSupervisor {
    fn drop(&mut self) {
        drop(self.supervisor.kill());
    }
}

impl fmt::Debug for TestSupervisor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestSupervisor")
            .field("supervisor", &self.supervisor)
            .field("events", &self.events())
            .finish()
    }
}
