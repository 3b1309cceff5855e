//! Taking signals, on a thread of the process's own.
//!
//! 1. The first daemon starts the thread; `signal-hook` wakes it for each signal. It lives as long as
//!    the process, because a signal once caught can't be given its old meaning back safely.
//! 2. While a daemon runs it is at the desk, and signals become its news. The first two that ask for
//!    the stop do; the third ends the process here and now, whatever the goroutines are up to.
//! 3. While no daemon is at the desk, a signal does what it would do uncaught.
//!
//! The deadlock detector is told in both states: somebody at the desk can be woken from outside at any
//! time (`Outsider`), and the thread as such means nothing (`OurThread`).

use std::{io, sync::Arc, thread};

use parking_lot::Mutex;
use signal_hook::{
    consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM},
    iterator::{Handle, Signals as Caught},
    low_level,
};

use super::inbox::Inbox;
use crate::sched::{OurThread, Outsider};

/// Who is told, and how often the stop was asked for. parking_lot's own lock: loom has no statics.
static DESK: Mutex<Desk> = Mutex::new(Desk {
    thread: None,
    inbox: None,
    stops: 0,
});

struct Desk {
    thread: Option<Handle>,
    inbox: Option<Arc<Inbox>>,
    stops: u32,
}

/// While it lives, signals are this daemon's news.
pub(super) struct Signals {
    _outsider: Outsider,
}

impl Signals {
    /// Sits down at the desk; the signals that this daemon wants are caught from now on.
    ///
    /// # Panics
    /// When another daemon sits there.
    #[track_caller]
    pub(super) fn sit_down(inbox: &Arc<Inbox>, children: bool) -> io::Result<Self> {
        let mut desk = DESK.lock();
        assert!(
            desk.inbox.is_none(),
            "a daemon is running already in this process: its signals can have one meaning only; \
             put both trees under one supervisor"
        );
        if desk.thread.is_none() {
            let caught = Caught::new([SIGTERM, SIGINT, SIGHUP, SIGQUIT])?;
            let handle = caught.handle();
            let thread = thread::Builder::new().name("signals".to_owned());
            thread.spawn(move || listen(caught))?;
            desk.thread = Some(handle);
        }
        if let Some(handle) = desk.thread.as_ref().filter(|_| children) {
            handle.add_signal(SIGCHLD)?;
        }
        desk.inbox = Some(Arc::clone(inbox));
        desk.stops = 0;
        Ok(Self {
            _outsider: Outsider::new(),
        })
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        let inbox = DESK.lock().inbox.take();
        drop(inbox);
    }
}

fn listen(mut caught: Caught) {
    let _known = OurThread::new();
    for signal in caught.forever() {
        take(signal);
    }
}

fn take(signal: i32) {
    let mut desk = DESK.lock();
    let Some(inbox) = desk.inbox.clone() else {
        drop(desk);
        let _ = low_level::emulate_default_handler(signal);
        return;
    };
    let stops = matches!(signal, SIGTERM | SIGINT);
    if stops {
        desk.stops += 1;
        if desk.stops > 2 {
            low_level::exit(128 + signal);
        }
    }
    drop(desk);
    inbox.post(|news| match signal {
        SIGHUP => news.reload = true,
        SIGQUIT => news.show = true,
        SIGCHLD => news.child = true,
        _ => news.stops.push(signal),
    });
}

/// A signal's name, for people.
pub(super) fn name(signal: i32) -> &'static str {
    low_level::signal_name(signal).unwrap_or("a signal")
}
