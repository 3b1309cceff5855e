//! An init that says "not now": no state, and no error either. OTP's `ignore`.

use std::{convert::Infallible, error::Error, fmt};

/// Why an [`init`](super::Actor::init) that may decline has made no state: the
/// [`Error`](super::Actor::Error) of an actor whose `#[init]` returns `Option<Self>` or
/// `Result<Option<Self>, E>`. OTP's `ignore`.
///
/// A supervisor goes on without a child whose init says `None`: it is kept as a stopped one, to be
/// started later by [`restart_child`](crate::supervise::SupervisorRef::restart_child) or with its
/// group; a temporary child and one of a dynamic supervisor is forgotten.
///
/// ```
/// use actor_core::{prelude::*, supervise::ChildState};
///
/// struct Debugger;
/// #[actor]
/// impl Debugger {
///     /// Only where it is asked for.
///     #[init]
///     fn new(wanted: bool) -> Option<Self> { wanted.then_some(Debugger) }
/// }
///
/// # actor_core::Runtime::new().unwrap().run(async {
/// let app = Supervisor::one_for_one("app")
///     .child(Debugger::child("debugger", false))
///     .start()
///     .await
///     .unwrap();
/// assert_eq!(app.which_child("debugger").await.unwrap().state, ChildState::Stopped);
/// assert!(Debugger::start(false).await.unwrap_err().is_ignored());
/// # app.stop().await;
/// # });
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NotStarted<E = Infallible> {
    /// It said "not now".
    Ignored,
    /// It failed.
    Failed(E),
}

impl<E: fmt::Display> fmt::Display for NotStarted<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ignored => f.write_str("its init said not now"),
            Self::Failed(error) => error.fmt(f),
        }
    }
}

impl<E: Error + 'static> Error for NotStarted<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Ignored => None,
            Self::Failed(error) => error.source(),
        }
    }
}
