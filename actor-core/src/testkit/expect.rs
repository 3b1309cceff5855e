//! What every expectation of the kit is: something that must come within a time, and the words for
//! a test that fails because it does not.
//!
//! The panic's own place is in here, because an `async` function doesn't know its caller; so each
//! expectation notes who made it, and the failure begins with that place.

use std::{
    fmt,
    future::{Future, IntoFuture},
    panic::Location,
    time::Duration,
};

use crate::{
    actor::BoxFuture,
    sched::{block_on_thread_within, timeout},
};

/// How long an expectation waits for what it expects, unless it is told otherwise: 5 s.
///
/// A test that passes never waits for so long; in a simulation it costs nothing.
pub const WITHIN: Duration = Duration::from_secs(5);

/// Something that a test expects to happen: `.await` it.
///
/// Ready with what came. If something else comes, or nothing within the time (5 s unless
/// [`within`](Expect::within) says otherwise), the test fails: a panic that says what was expected,
/// where, what came instead and what had come before. The time counts from the `.await`; what is
/// expected, such as the *next* restart, counts from the call. Dropping it, also half awaited,
/// loses nothing that has come.
///
/// ```
/// use actor_core::testkit::Probe;
/// use std::time::Duration;
///
/// # actor_core::Runtime::new().unwrap().run(async {
/// let probe = Probe::new();
/// probe.sender().send(1).await.unwrap();
/// assert_eq!(probe.expect_msg().within(Duration::from_millis(100)).await, 1);
/// # });
/// ```
#[must_use = "nothing is checked until it is awaited: `.await` it"]
pub struct Expect<'a, R> {
    within: Duration,
    came: BoxFuture<'a, Result<R, Failure>>,
    /// The time is over.
    late: Box<dyn FnOnce(Duration) -> Result<R, Failure> + Send + 'a>,
}

impl<'a, R> Expect<'a, R> {
    pub(super) fn new(
        within: Duration,
        came: impl Future<Output = Result<R, Failure>> + Send + 'a,
        late: impl FnOnce(Duration) -> Result<R, Failure> + Send + 'a,
    ) -> Self {
        Self {
            within,
            came: Box::pin(came),
            late: Box::new(late),
        }
    }

    /// Gives it this long instead of 5 s.
    pub fn within(mut self, limit: Duration) -> Self {
        self.within = limit;
        self
    }

    /// Waits on a thread that is not a goroutine, and blocks it.
    ///
    /// # Panics
    /// As awaiting it: if what is expected does not come.
    ///
    /// ```
    /// use actor_core::testkit::Probe;
    ///
    /// let probe = Probe::new();
    /// let to = probe.sender();
    /// std::thread::spawn(move || to.send_blocking(1));
    /// assert_eq!(probe.expect_msg().blocking(), 1);
    /// ```
    #[track_caller]
    pub fn blocking(self) -> R {
        let Self { within, came, late } = self;
        let came = block_on_thread_within(within, came);
        settled(came.unwrap_or_else(|| late(within)))
    }
}

impl<'a, R: 'a> IntoFuture for Expect<'a, R> {
    type Output = R;
    type IntoFuture = BoxFuture<'a, R>;

    fn into_future(self) -> BoxFuture<'a, R> {
        let Self { within, came, late } = self;
        let in_time = timeout(within, came);
        Box::pin(async move {
            let came = in_time.await;
            settled(came.unwrap_or_else(|_| late(within)))
        })
    }
}

#[track_caller]
fn settled<R>(came: Result<R, Failure>) -> R {
    match came {
        Ok(came) => came,
        Err(failure) => panic!("{failure}"),
    }
}

impl<R> fmt::Debug for Expect<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Expect")
            .field("within", &self.within)
            .finish_non_exhaustive()
    }
}

/// Why an expectation was not met, in full sentences for a person.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    /// The expectation and who made it.
    head: String,
    lines: Vec<(&'static str, String)>,
    lists: Vec<(&'static str, Vec<String>)>,
}

impl Failure {
    /// `who` expected something by calling `what` at `place`.
    pub(super) fn of(who: &str, what: &str, place: &Location<'_>) -> Self {
        Self {
            head: format!("{who}: {what} at {place}"),
            lines: Vec::new(),
            lists: Vec::new(),
        }
    }

    pub(super) fn expected(self, what: impl fmt::Display) -> Self {
        self.line("expected", what)
    }

    pub(super) fn came(self, what: impl fmt::Display) -> Self {
        self.line("came", what)
    }

    pub(super) fn nothing_within(self, limit: Duration) -> Self {
        self.came(format_args!("nothing of that kind within {limit:?}"))
    }

    pub(super) fn line(mut self, title: &'static str, text: impl fmt::Display) -> Self {
        self.lines.push((title, text.to_string()));
        self
    }

    /// What is worth knowing beside; nothing if there is nothing.
    pub(super) fn list(mut self, title: &'static str, items: Vec<String>) -> Self {
        if !items.is_empty() {
            self.lists.push((title, items));
        }
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.head)?;
        let width = self.lines.iter().map(|(title, _)| title.len() + 1).max();
        for (title, text) in &self.lines {
            let title = format!("{title}:");
            let width = width.unwrap_or_default();
            write!(f, "\n  {title:width$} {text}")?;
        }
        for (title, items) in &self.lists {
            write!(f, "\n  {title}:")?;
            for item in items {
                write!(f, "\n    {item}")?;
            }
        }
        Ok(())
    }
}
