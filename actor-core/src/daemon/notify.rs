//! Telling the service manager: systemd's notify protocol, a line of text per datagram.
//!
//! Without a `NOTIFY_SOCKET` in the environment each of these does nothing. A message that can't be
//! sent is a warning and no more: the daemon's work doesn't depend on it.

use std::{sync::Arc, time::Duration};

use sd_notify::NotifyState;

use crate::{
    sched::{sleep, timeout},
    shim::atomic::{AtomicBool, Ordering},
    supervise::SupervisorRef,
};

pub(super) fn ready() {
    send(&[NotifyState::Ready]);
}

/// The time goes with it, as `Type=notify-reload` wants.
pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => send(&[NotifyState::Reloading, now]),
        Err(_) => send(&[NotifyState::Reloading]),
    }
}

pub(super) fn stopping() {
    send(&[NotifyState::Stopping]);
}

fn send(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "the service manager can't be told of the daemon's state");
    }
}

/// How often the service manager wants a sign of life, if it does (`WATCHDOG_USEC`).
pub(super) fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled().filter(|interval| !interval.is_zero())
}

/// Signs of life at half the interval, each after the whole tree has answered. During the stop,
/// when it has no time for questions and a deadline of its own, without asking.
pub(super) async fn feed(root: SupervisorRef, interval: Duration, stopping: Arc<AtomicBool>) {
    loop {
        let answered = timeout(interval / 4, root.tree()).await.is_ok();
        // ORDERING: Relaxed: late by one question at worst.
        if answered || stopping.load(Ordering::Relaxed) {
            send(&[NotifyState::Watchdog]);
            sleep(interval / 2).await;
        } else {
            tracing::warn!("the tree does not answer; the watchdog is not fed");
        }
    }
}
