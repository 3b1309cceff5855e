//! What the shell is told, by whom ever: a board of news and a bell.
//!
//! A board and not a queue: the writers never wait and nothing grows, however slow the reader is. A
//! SIGHUP that comes twice before it is looked at is one reload.

use super::reload::Hooks;
use crate::{
    actor::{ExitReason, StartError},
    chan::{Receiver, Sender, buffered},
    sched::{Instant, timeout},
    shim::Mutex,
};

/// What has happened since the shell looked the last time.
#[derive(Default)]
pub(super) struct News {
    /// The tree has a first incarnation, which hears what it is asked.
    pub(super) begun: bool,
    pub(super) started: Option<Result<(), StartError>>,
    pub(super) ended: Option<ExitReason>,
    /// Signals that ask for the stop: the thread that takes them lets two through.
    pub(super) stops: Vec<i32>,
    /// SIGHUP.
    pub(super) reload: bool,
    /// The hooks come back when they have run.
    pub(super) reloaded: Option<Hooks>,
    /// SIGQUIT.
    pub(super) show: bool,
    /// SIGCHLD.
    pub(super) child: bool,
}

pub(super) struct Inbox {
    news: Mutex<News>,
    bell: Sender<()>,
    rung: Receiver<()>,
}

impl Inbox {
    pub(super) fn new() -> Self {
        let (bell, rung) = buffered(1);
        Self {
            news: Mutex::new(News::default()),
            bell,
            rung,
        }
    }

    /// Notes something. Never waits but for the lock, under which nothing but such notes is done.
    pub(super) fn post(&self, note: impl FnOnce(&mut News)) {
        note(&mut self.news.lock());
        // Full: it has been rung already, and the reader looks after that.
        let _ = self.bell.try_send(());
    }

    /// Waits for news, until `due` at most, and takes them.
    pub(super) async fn wait(&self, due: Instant) -> News {
        if due == Instant::FOREVER {
            let _ = self.rung.recv().await;
        } else {
            let _ = timeout(due - Instant::now(), self.rung.recv()).await;
        }
        std::mem::take(&mut *self.news.lock())
    }
}
