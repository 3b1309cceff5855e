//! The daemon's life: one future, one stage at a time.
//!
//! 1. Starting: a goroutine starts the tree, and waits for its end afterwards.
//! 2. Running: reloads, pictures of the tree, orphans.
//! 3. Stopping: the tree was asked, and has until the deadline. Asked during the start, it ends that:
//!    an init that hangs holds up nothing.
//! 4. Killed: every goroutine of the tree is dropped at its next await. One that doesn't come there
//!    in a second is left behind, and the process ends under it.

use std::{
    future::{Future, poll_fn},
    io,
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use super::{
    Daemon, DaemonExit,
    exit::innermost,
    inbox::{Inbox, News},
    notify,
    reload::Hooks,
    signals::{self, Signals},
};
use crate::{
    actor::{ExitReason, StartError},
    sched::{AbortHandle, Instant, go, timeout},
    shim::atomic::{AtomicBool, Ordering},
    supervise::{Supervisor, SupervisorRef},
};

/// How long a killed tree may take to be gone.
const KILL_GRACE: Duration = Duration::from_secs(1);

/// How long the tree may take to be drawn.
const SHOW_WITHIN: Duration = Duration::from_secs(5);

enum Stage {
    Starting,
    Running,
    Stopping { until: Instant },
    Killed { exit: DaemonExit, until: Instant },
}

pub(super) struct Shell {
    app: Option<Supervisor>,
    root: SupervisorRef,
    inbox: Arc<Inbox>,
    stop_within: Duration,
    stage: Stage,
    /// The stage is past `Running`; for the goroutine that feeds the watchdog.
    stopping: Arc<AtomicBool>,
    /// Away while they run.
    hooks: Option<Hooks>,
    reload_again: bool,
    #[cfg(target_os = "linux")]
    orphans: Option<super::orphans::Orphans>,
    /// Dropped before the signals are let go: nothing of ours runs on after that.
    helpers: Helpers,
    _signals: Signals,
}

/// Goroutines of the shell's own; they end with it.
#[derive(Default)]
struct Helpers {
    tree: Option<AbortHandle>,
    reload: Option<AbortHandle>,
    watchdog: Option<AbortHandle>,
}

impl Drop for Helpers {
    fn drop(&mut self) {
        let all = [&self.tree, &self.reload, &self.watchdog];
        for helper in all.into_iter().flatten() {
            helper.abort();
        }
    }
}

impl Shell {
    pub(super) fn new(daemon: Daemon) -> io::Result<Self> {
        let inbox = Arc::new(Inbox::new());
        #[cfg(target_os = "linux")]
        let orphans = daemon.orphans.map(super::orphans::Orphans::new);
        #[cfg(target_os = "linux")]
        let reaps = orphans.is_some();
        #[cfg(not(target_os = "linux"))]
        let reaps = false;
        let signals = Signals::sit_down(&inbox, reaps)?;
        Ok(Self {
            root: daemon.app.handle(),
            app: Some(daemon.app),
            inbox,
            stop_within: daemon.stop_within,
            stage: Stage::Starting,
            stopping: Arc::new(AtomicBool::new(false)),
            hooks: Some(daemon.hooks),
            reload_again: false,
            #[cfg(target_os = "linux")]
            orphans,
            helpers: Helpers::default(),
            _signals: signals,
        })
    }

    pub(super) async fn live(mut self) -> DaemonExit {
        tracing::info!(
            app = self.root.name(),
            pid = std::process::id(),
            "daemon starting"
        );
        self.start();
        self.look_for_orphans();
        let exit = loop {
            let news = self.inbox.wait(self.due()).await;
            if let Some(exit) = self.on_news(news) {
                break exit;
            }
            if let Some(exit) = self.on_time() {
                self.end_the_process(exit);
            }
        };
        self.say_stopping();
        report(&exit);
        exit
    }

    fn start(&mut self) {
        let Some(app) = self.app.take() else { return };
        let inbox = Arc::clone(&self.inbox);
        let tree = go(async move {
            let mut started = pin!(app.start());
            let at_once = poll_fn(|cx| Poll::Ready(started.as_mut().poll(cx))).await;
            inbox.post(|news| news.begun = true);
            let started = match at_once {
                Poll::Ready(started) => started,
                Poll::Pending => started.await,
            };
            match started {
                Ok(root) => {
                    inbox.post(|news| news.started = Some(Ok(())));
                    let reason = root.wait().await;
                    inbox.post(|news| news.ended = Some(reason));
                }
                Err(error) => inbox.post(|news| news.started = Some(Err(error))),
            }
        });
        self.helpers.tree = Some(tree.abort_handle());
    }

    // --- news ---

    fn on_news(&mut self, news: News) -> Option<DaemonExit> {
        if news.begun {
            self.on_begun();
        }
        match news.started {
            Some(Ok(())) => self.on_started(),
            Some(Err(error)) => return Some(self.on_start_failed(error)),
            None => {}
        }
        if let Some(reason) = news.ended {
            return Some(self.on_ended(reason));
        }
        for signal in news.stops {
            self.on_stop_signal(signal);
        }
        if let Some(hooks) = news.reloaded {
            self.on_reloaded(hooks);
        }
        if news.reload {
            self.on_reload_signal();
        }
        if news.show {
            self.show_tree();
        }
        if news.child {
            self.look_for_orphans();
        }
        None
    }

    /// What was asked before there was an incarnation to hear it is asked again.
    fn on_begun(&self) {
        match self.stage {
            Stage::Starting | Stage::Running => {}
            Stage::Stopping { .. } => drop(self.root.stop()),
            Stage::Killed { .. } => drop(self.root.kill()),
        }
    }

    fn on_started(&mut self) {
        if !matches!(self.stage, Stage::Starting) {
            return;
        }
        self.stage = Stage::Running;
        tracing::info!(app = self.root.name(), "daemon started");
        notify::ready();
        if let Some(interval) = notify::watchdog() {
            let stopping = Arc::clone(&self.stopping);
            let feeder = go(notify::feed(self.root.clone(), interval, stopping));
            self.helpers.watchdog = Some(feeder.abort_handle());
        }
        if std::mem::take(&mut self.reload_again) {
            self.on_reload_signal();
        }
    }

    fn on_start_failed(&mut self, error: StartError) -> DaemonExit {
        match std::mem::replace(&mut self.stage, Stage::Running) {
            Stage::Killed { exit, .. } => exit,
            // The stop called the start off.
            Stage::Stopping { .. } if *innermost(error.reason()) == ExitReason::Killed => {
                DaemonExit::Stopped
            }
            _ => DaemonExit::not_started(error),
        }
    }

    fn on_ended(&mut self, reason: ExitReason) -> DaemonExit {
        match std::mem::replace(&mut self.stage, Stage::Running) {
            Stage::Killed { exit, .. } => exit,
            Stage::Stopping { .. } if reason.is_orderly() => DaemonExit::Stopped,
            _ => DaemonExit::by_itself(reason),
        }
    }

    fn on_stop_signal(&mut self, signal: i32) {
        let (name, within) = (signals::name(signal), self.stop_within);
        match self.stage {
            Stage::Starting | Stage::Running => {
                tracing::info!(?within, "{name}: stopping; a second signal kills the tree");
                self.say_stopping();
                self.stage = Stage::Stopping {
                    until: Instant::now() + within,
                };
                drop(self.root.stop());
            }
            Stage::Stopping { .. } => {
                tracing::warn!("{name}: killing the tree; a third signal ends the process");
                self.kill(DaemonExit::Forced { signal });
            }
            Stage::Killed { .. } => {}
        }
    }

    fn kill(&mut self, exit: DaemonExit) {
        self.stage = Stage::Killed {
            exit,
            until: Instant::now() + KILL_GRACE,
        };
        drop(self.root.kill());
    }

    /// No more reloads, and the service manager is told. Done once.
    fn say_stopping(&mut self) {
        // ORDERING: Relaxed: see `notify::feed`.
        if !self.stopping.swap(true, Ordering::Relaxed) {
            notify::stopping();
            if let Some(reload) = self.helpers.reload.take() {
                reload.abort();
            }
        }
    }

    // --- reloads, and what else can be asked for ---

    fn on_reload_signal(&mut self) {
        match (&self.stage, self.hooks.take()) {
            (Stage::Running, Some(hooks)) if hooks.is_empty() => {
                self.hooks = Some(hooks);
                tracing::info!("SIGHUP: nothing to reload");
            }
            (Stage::Running, Some(hooks)) => self.reload(hooks),
            (Stage::Running, None) => self.reload_again = true,
            (Stage::Starting, hooks) => {
                self.hooks = hooks;
                self.reload_again = true;
            }
            (Stage::Stopping { .. } | Stage::Killed { .. }, hooks) => self.hooks = hooks,
        }
    }

    fn reload(&mut self, mut hooks: Hooks) {
        tracing::info!("SIGHUP: reloading");
        notify::reloading();
        let inbox = Arc::clone(&self.inbox);
        let reload = go(async move {
            hooks.run().await;
            inbox.post(|news| news.reloaded = Some(hooks));
        });
        self.helpers.reload = Some(reload.abort_handle());
    }

    fn on_reloaded(&mut self, hooks: Hooks) {
        self.hooks = Some(hooks);
        if matches!(self.stage, Stage::Running) {
            notify::ready();
            if std::mem::take(&mut self.reload_again) {
                self.on_reload_signal();
            }
        }
    }

    fn show_tree(&self) {
        let root = self.root.clone();
        drop(go(async move {
            match timeout(SHOW_WITHIN, root.tree()).await {
                Ok(Ok(tree)) => eprint!("{tree}"),
                Ok(Err(error)) => eprintln!("{}: {error}", root.name()),
                Err(_) => eprintln!("{}: starting or stopping a child", root.name()),
            }
        }));
    }

    #[cfg(target_os = "linux")]
    fn look_for_orphans(&mut self) {
        if let Some(orphans) = &mut self.orphans {
            orphans.look();
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn look_for_orphans(&mut self) {}

    // --- time ---

    /// When something is to be done without news.
    fn due(&self) -> Instant {
        let due = match self.stage {
            Stage::Starting | Stage::Running => Instant::FOREVER,
            Stage::Stopping { until } | Stage::Killed { until, .. } => until,
        };
        #[cfg(target_os = "linux")]
        if let Some(orphans) = &self.orphans {
            return due.min(orphans.due());
        }
        due
    }

    /// Does what is due. An exit, if the tree can't be waited for any longer.
    fn on_time(&mut self) -> Option<DaemonExit> {
        let now = Instant::now();
        #[cfg(target_os = "linux")]
        if self.orphans.as_ref().is_some_and(|o| o.due() <= now) {
            self.look_for_orphans();
        }
        match &self.stage {
            Stage::Stopping { until } if *until <= now => {
                let stop_within = self.stop_within;
                tracing::error!(?stop_within, "the stop takes too long: killing the tree");
                self.kill(DaemonExit::Overran { stop_within });
                None
            }
            Stage::Killed { exit, until } if *until <= now => Some(exit.clone()),
            _ => None,
        }
    }

    /// With a goroutine or thread that doesn't yield, and that the runtime's end would wait for.
    fn end_the_process(&self, exit: DaemonExit) -> ! {
        report(&exit);
        tracing::error!(
            app = self.root.name(),
            "something was killed and does not yield; the process ends without it"
        );
        if !tracing::dispatcher::has_been_set() {
            eprintln!("{exit}; something does not yield, and the process ends without it");
        }
        std::process::exit(exit.code().into())
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        // Of no effect on a tree that has ended.
        drop(self.root.kill());
    }
}

fn report(exit: &DaemonExit) {
    let code = exit.code();
    if code == 0 {
        tracing::info!(code, "daemon ended: {exit}");
    } else {
        tracing::error!(code, "daemon ended: {exit}");
    }
}
