//! Crash reports: what an actor was doing when it panicked or ran into its time limit.
//!
//! Where a panic happened is known to panic hooks only. So [`capture_panics`] adds one, once, in
//! front of the hook that is there, which it calls afterwards: it leaves location and backtrace in a
//! thread-local, and whoever catches the panic in an actor (on the same thread) takes them. The
//! text is compared, because a panic that is resumed doesn't come through hooks.
//!
//! Alternative rejected: installing it always. A process's panic hook is its owner's.

use std::{
    backtrace::{Backtrace, BacktraceStatus},
    cell::RefCell,
    fmt,
    panic::{self, PanicHookInfo},
    sync::{
        // Not the shim's: loom has no statics.
        Once,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use super::{
    Actor, ActorId, Ctx, ExitReason,
    caught::Panic,
    reports::{Reports, Topic},
};

/// What is known about an actor's crash. Erlang's crash report.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CrashReport {
    /// The actor's name.
    pub actor: String,
    /// Its id.
    pub id: ActorId,
    /// Which of its lives ended so.
    pub incarnation: u64,
    /// What it was doing: the name of the message in work, the hook, such as `#[init]`, or
    /// `(pipe or stream)` where that was work beside the actor.
    pub handler: &'static str,
    /// How the incarnation ended: `Panicked` with the panic's text, or `TimedOut`.
    pub reason: ExitReason,
    /// File, line and column of the panic; only under [`capture_panics`].
    pub location: Option<String>,
    /// Only under [`capture_panics`], and if `RUST_BACKTRACE` or `RUST_LIB_BACKTRACE` ask for it.
    pub backtrace: Option<String>,
    /// Messages that waited in the mailbox.
    pub mailbox_len: usize,
    /// How long the incarnation had lived. Unknown for a first one that was started before
    /// [`capture_panics`].
    pub uptime: Option<Duration>,
    /// How often the actor had been started again before.
    pub restarts: u64,
    /// The names of its supervisors from the top, `app/storage`, if it has any.
    pub supervisor: Option<String>,
}

impl fmt::Display for CrashReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "actor {}#{} (life {}) in {}: {}",
            self.actor, self.id, self.incarnation, self.handler, self.reason
        )?;
        if let Some(location) = &self.location {
            write!(f, "\n  at {location}")?;
        }
        if let Some(supervisor) = &self.supervisor {
            write!(f, "\n  supervisor: {supervisor}")?;
        }
        if let Some(uptime) = self.uptime {
            write!(f, "\n  uptime: {uptime:?}")?;
        }
        let (queued, restarts) = (self.mailbox_len, self.restarts);
        write!(f, "\n  mailbox: {queued} queued, restarts: {restarts}")?;
        if let Some(backtrace) = &self.backtrace {
            write!(f, "\n{backtrace}")?;
        }
        Ok(())
    }
}

static CRASHES: Topic<CrashReport> = Topic::new();

/// Subscribes to the crash reports of all actors in this process, and calls [`capture_panics`].
///
/// Each report is a `tracing` event at error level as well, whether anybody subscribes or not.
///
/// ```
/// use actor_core::{actor, prelude::*};
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
/// actor_core::Runtime::new().unwrap().block_on(async {
///     let crashes = actor::crash_reports();
///     let fragile = Fragile::start().await.unwrap();
///     assert_eq!(fragile.touch().await, Err(CallError::Panicked));
///     let report = crashes.next().await;
///     assert_eq!((report.handler, &*report.actor), ("touch", "Fragile"));
/// });
/// ```
#[must_use = "the subscription ends when it is dropped"]
pub fn crash_reports() -> Reports<CrashReport> {
    capture_panics();
    CRASHES.subscribe()
}

/// Whether reports are wanted in full.
static ENABLED: AtomicBool = AtomicBool::new(false);

pub(super) fn is_enabled() -> bool {
    // ORDERING: Relaxed: when it is seen decides only how much the next reports say.
    ENABLED.load(Ordering::Relaxed)
}

/// Makes crash reports say where a panic happened: adds a panic hook that notes the place (and a
/// backtrace, if `RUST_BACKTRACE` asks for one) and then calls the hook that was there.
///
/// The first call does it, others do nothing. A hook that is set later replaces it, as any other;
/// if it doesn't call the former one, reports go without a place.
pub fn capture_panics() {
    static ONCE: Once = Once::new();
    // A hook can't be set by a thread that panics.
    if std::thread::panicking() {
        return;
    }
    ONCE.call_once(|| {
        let former = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            note(info);
            former(info);
        }));
        // ORDERING: Relaxed: see `is_enabled`.
        ENABLED.store(true, Ordering::Relaxed);
    });
}

struct Captured {
    text: String,
    location: Option<String>,
    backtrace: Backtrace,
}

thread_local! {
    /// The last panic of this thread that nobody has taken.
    static LAST: RefCell<Option<Captured>> = const { RefCell::new(None) };
}

fn note(info: &PanicHookInfo<'_>) {
    let captured = Captured {
        text: super::caught::text(info.payload())
            .unwrap_or_default()
            .to_owned(),
        location: info.location().map(ToString::to_string),
        backtrace: Backtrace::capture(),
    };
    // A thread that is ending has no such variable any more.
    let _ = LAST.try_with(|last| {
        if let Ok(mut last) = last.try_borrow_mut() {
            *last = Some(captured);
        }
    });
}

/// Location and backtrace of the panic with this text, which this thread has just caught.
pub(super) fn captured(text: Option<&str>) -> (Option<String>, Option<String>) {
    let last = LAST.try_with(|last| last.try_borrow_mut().ok().and_then(|mut last| last.take()));
    match last {
        Ok(Some(last)) if last.text == text.unwrap_or_default() => {
            let captured = last.backtrace.status() == BacktraceStatus::Captured;
            (last.location, captured.then(|| last.backtrace.to_string()))
        }
        _ => (None, None),
    }
}

/// Reports the crash of an incarnation, before it has ended.
#[cold]
pub(super) fn report<A: Actor>(
    ctx: &Ctx<A>,
    supervisor: Option<String>,
    handler: &'static str,
    reason: ExitReason,
    panic: Option<Panic>,
) {
    let (location, backtrace) = panic.map(Panic::into_place).unwrap_or_default();
    let incarnation = ctx.incarnation();
    let report = CrashReport {
        actor: ctx.name().to_owned(),
        id: ctx.id(),
        incarnation,
        handler,
        reason,
        location,
        backtrace,
        mailbox_len: ctx.cell().mailbox.len(),
        uptime: ctx.cell().life.uptime(),
        restarts: incarnation.saturating_sub(1),
        supervisor,
    };
    tracing::error!(
        actor = report.actor,
        id = %report.id,
        handler,
        reason = %report.reason,
        location = report.location,
        supervisor = report.supervisor,
        mailbox_len = report.mailbox_len,
        restarts = report.restarts,
        backtrace = report.backtrace,
        "actor crashed"
    );
    CRASHES.publish(report);
}
