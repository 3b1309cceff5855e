//! What a daemon is made of; `shell` is what runs.

use std::{fmt, future::Future, process::ExitCode, time::Duration};

use super::{exit::DaemonExit, reload::Hooks, shell::Shell};
use crate::supervise::{Outcome, Supervisor, SupervisorRef};

/// Five seconds less than what Kubernetes waits before it kills; systemd waits for 90 s, Docker
/// for 10 s.
const STOP_WITHIN: Duration = Duration::from_secs(25);

/// The process's shell around a supervision tree: it starts the tree, stops it in order when a signal
/// says so, and ends with an exit code that says how it went ([`DaemonExit`]).
///
/// | signal | what it does |
/// |---|---|
/// | SIGTERM, SIGINT | the tree stops in order, within [`stop_within`](Daemon::stop_within) in all |
/// | a second one of these | what still runs is killed |
/// | a third one | the process ends at once |
/// | SIGHUP | the hooks of [`on_reload`](Daemon::on_reload) run |
/// | SIGQUIT | the tree is printed to stderr, and the daemon goes on |
///
/// Under systemd (`Type=notify` or `notify-reload`, anything that sets `NOTIFY_SOCKET`) it says
/// `READY=1` when the last child's init has returned, `RELOADING=1`, and `STOPPING=1`; with
/// `WatchdogSec=` it gives a sign of life at half that interval, as long as every supervisor of the
/// tree answers. One that is starting or stopping a child doesn't answer, so let the interval be
/// longer than the slowest child's restart.
///
/// As process 1 of a container it reaps orphans; see [`reap_orphans`](Daemon::reap_orphans).
///
/// Each step is an event of `tracing`. While a daemon runs, the deadlock detector stays silent, as
/// Go's does in a program that catches signals: a signal may always come.
///
/// ```no_run
/// use actor_core::prelude::*;
/// use std::process::ExitCode;
///
/// #[actor_core::main]
/// async fn main() -> ExitCode {
///     let app = Supervisor::one_for_one("app")
///         .child(ChildSpec::go("server", || async { std::future::pending::<()>().await }));
///     Daemon::new(app).run().await
/// }
/// ```
#[must_use = "a daemon does nothing until it runs"]
pub struct Daemon {
    pub(super) app: Supervisor,
    pub(super) stop_within: Duration,
    pub(super) hooks: Hooks,
    #[cfg(target_os = "linux")]
    pub(super) orphans: Option<Duration>,
}

impl Daemon {
    /// A daemon that runs this tree.
    pub fn new(app: Supervisor) -> Self {
        Self {
            app,
            stop_within: STOP_WITHIN,
            hooks: Hooks::default(),
            #[cfg(target_os = "linux")]
            orphans: super::orphans::is_init().then_some(super::orphans::GRACE),
        }
    }

    /// How long the ordered stop may take in all, whatever the children's own deadlines add up to;
    /// 25 s unless set. When it is over, what still runs is killed. `Duration::MAX` is no limit.
    ///
    /// Choose less than what the service manager waits before it kills the process.
    pub fn stop_within(mut self, limit: Duration) -> Self {
        self.stop_within = limit;
        self
    }

    /// Runs `hook` at every SIGHUP, in a goroutine of its own. Several hooks run one after another.
    ///
    /// Its future may return `()`, or a `Result` whose `Err` is logged; a panic is, too. The daemon
    /// goes on. A SIGHUP that comes while the hooks run makes them run once more, one that comes
    /// during the start is kept for its end, and one during the stop does nothing. A hook that runs
    /// when the stop begins is dropped at its next await. Without any hook SIGHUP is logged, and no
    /// more: it never ends the process.
    ///
    /// ```
    /// use actor_core::{chan, prelude::*};
    ///
    /// let (changed, reloads) = chan::buffered::<()>(1);
    /// let app = Supervisor::one_for_one("app").child(ChildSpec::go("cache", move || {
    ///     let reloads = reloads.clone();
    ///     async move {
    ///         while reloads.recv().await.is_some() { /* read the configuration again */ }
    ///     }
    /// }));
    /// let daemon = Daemon::new(app).on_reload(move || {
    ///     let changed = changed.clone();
    ///     async move { changed.send(()).await }
    /// });
    /// # let _ = daemon;
    /// ```
    pub fn on_reload<F, Fut>(mut self, hook: F) -> Self
    where
        F: FnMut() -> Fut + Send + 'static,
        Fut: Future<Output: Outcome> + Send + 'static,
    {
        self.hooks.add(hook);
        self
    }

    /// Reaps children of the process that have been zombies for `grace`: orphans, whom nobody else
    /// waits for. Process 1 does it anyway, after 5 s; for others it makes sense for a "child
    /// subreaper". Linux only.
    ///
    /// An orphan can't be told from a child that the program started itself, other than by that
    /// time: so call `wait` on a `std::process::Child` within `grace` of its end, best from a thread
    /// that blocks in it. A later `wait` fails, as the status is gone.
    #[cfg(target_os = "linux")]
    pub fn reap_orphans(mut self, grace: Duration) -> Self {
        self.orphans = Some(grace);
        self
    }

    /// Leaves orphans alone even as process 1: for a program that waits for them itself.
    #[cfg(target_os = "linux")]
    pub fn leave_orphans(mut self) -> Self {
        self.orphans = None;
        self
    }

    /// The handle of the tree's root; valid before the start.
    #[must_use]
    pub fn root(&self) -> SupervisorRef {
        self.app.handle()
    }

    /// Runs the tree to its end, and gives the exit code for it; return that from `main`.
    ///
    /// An end that is a failure is logged as an error, or printed to stderr if the program has no
    /// `tracing` subscriber. Otherwise as [`run_to_end`](Daemon::run_to_end), which says how it ended.
    ///
    /// # Panics
    /// Outside of a runtime, and when another daemon runs in this process.
    pub async fn run(self) -> ExitCode {
        let exit = self.run_to_end().await;
        if exit.code() != 0 && !tracing::dispatcher::has_been_set() {
            eprintln!("{exit}");
        }
        exit.into()
    }

    /// Runs the tree to its end, and says how it came; for a `main` that has something left to do.
    ///
    /// When it returns, no child runs any more, and signals do what they would do uncaught. The
    /// exception: what has been killed, and a second later still doesn't yield, can't be waited for.
    /// Then this doesn't return, and the process ends here, with the exit code.
    ///
    /// Dropping this future kills the tree.
    ///
    /// # Panics
    /// Outside of a runtime, and when another daemon runs in this process.
    pub async fn run_to_end(self) -> DaemonExit {
        match Shell::new(self) {
            Ok(shell) => shell.live().await,
            Err(error) => {
                let exit = DaemonExit::NoSignals {
                    message: error.to_string(),
                };
                tracing::error!(code = exit.code(), "{exit}");
                exit
            }
        }
    }
}

impl fmt::Debug for Daemon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Daemon")
            .field("app", &self.app)
            .field("stop_within", &self.stop_within)
            .field("reload_hooks", &self.hooks.len())
            .finish_non_exhaustive()
    }
}
