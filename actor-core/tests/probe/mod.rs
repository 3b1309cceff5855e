//! The actor that the actor and supervisor tests use: it logs its life and does as it is told.
//! Written by hand, as a macro would write it.
#![allow(dead_code, unreachable_pub)]

use std::{
    convert::Infallible,
    future::Future,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    task::{Poll, Waker},
};

use actor_core::actor::{Actor, ActorRef, Call, Ctx, MailboxKind, Message, Reply, StopReason};

pub const CAPACITY: usize = 8;

/// Runs a test in a runtime of its own, and fails it if it hangs.
pub fn run<F: Future<Output = ()> + Send + 'static>(test: F) {
    let rt = actor_core::sched::Runtime::new().unwrap();
    let limit = std::time::Duration::from_secs(60);
    let in_time = rt.run(async move { actor_core::sched::timeout(limit, test).await });
    assert!(in_time.is_ok(), "the test did not end within {limit:?}");
}

/// What happened, in order.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<(Vec<String>, Vec<Waker>)>>);

impl Log {
    pub fn add(&self, line: impl Into<String>) {
        let mut log = self.0.lock().unwrap();
        log.0.push(line.into());
        let wakers = std::mem::take(&mut log.1);
        drop(log);
        wakers.into_iter().for_each(Waker::wake);
    }
    pub fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().0.clone()
    }
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap().0)
    }
    pub fn take_prefix(&self, prefix: &str) -> Vec<String> {
        self.take()
            .into_iter()
            .filter(|l| l.starts_with(prefix))
            .collect()
    }
    pub fn has(&self, line: &str) -> bool {
        self.0.lock().unwrap().0.iter().any(|l| l == line)
    }
    pub fn count(&self, line: &str) -> usize {
        self.0
            .lock()
            .unwrap()
            .0
            .iter()
            .filter(|l| *l == line)
            .count()
    }
    /// Waits until so many lines equal `line`.
    pub async fn seen(&self, line: &str, times: usize) {
        std::future::poll_fn(|cx| {
            let mut log = self.0.lock().unwrap();
            if log.0.iter().filter(|l| *l == line).count() >= times {
                return Poll::Ready(());
            }
            log.1.push(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

/// A door that a handler stands in until the test opens it.
#[derive(Clone, Default)]
pub struct Gate(Arc<Mutex<(bool, bool, Vec<Waker>)>>);

impl Gate {
    pub fn new() -> Self {
        Self::default()
    }
    fn update(&self, f: impl FnOnce(&mut (bool, bool, Vec<Waker>))) {
        let mut gate = self.0.lock().unwrap();
        f(&mut gate);
        let wakers = std::mem::take(&mut gate.2);
        drop(gate);
        wakers.into_iter().for_each(Waker::wake);
    }
    async fn until(&self, f: impl Fn(&(bool, bool, Vec<Waker>)) -> bool) {
        std::future::poll_fn(|cx| {
            let mut gate = self.0.lock().unwrap();
            if f(&gate) {
                return Poll::Ready(());
            }
            gate.2.push(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
    pub fn open(&self) {
        self.update(|g| g.1 = true);
    }
    /// Waits until somebody stands in it.
    pub async fn entered(&self) {
        self.until(|g| g.0).await;
    }
    pub async fn pass(&self) {
        self.update(|g| g.0 = true);
        self.until(|g| g.1).await;
    }
}

/// How a probe behaves; a new copy is given to each incarnation.
#[derive(Clone, Default)]
pub struct Args {
    pub id: &'static str,
    pub log: Log,
    pub init_error: bool,
    pub init_panic: bool,
    /// Init fails while this holds a positive number, which it counts down.
    pub init_errors: Arc<Mutex<u32>>,
    pub init_gate: Option<Gate>,
    /// Init doesn't yield before this is set.
    pub init_spins: Option<Arc<AtomicBool>>,
    pub stop_gate: Option<Gate>,
    pub stop_panic: bool,
    pub drop_panic: bool,
}

impl Args {
    pub fn new(id: &'static str, log: &Log) -> Self {
        Self {
            id,
            log: log.clone(),
            ..Self::default()
        }
    }
}

pub struct Probe {
    args: Args,
}

pub enum Msg {
    Echo {
        n: u64,
        reply: Reply<Result<u64, Infallible>>,
    },
    Fail {
        reply: Reply<Result<(), &'static str>>,
    },
    Note {
        n: u64,
        reply: Reply<Result<(), Infallible>>,
    },
    Hold {
        gate: Gate,
        reply: Reply<Result<(), Infallible>>,
    },
    Panic {
        reply: Reply<Result<(), Infallible>>,
    },
    Forget {
        reply: Reply<Result<(), Infallible>>,
    },
    Spin {
        spin: Box<dyn FnOnce() + Send>,
    },
    Life {
        reply: Reply<Result<u64, Infallible>>,
    },
    StopSelf {
        reply: Reply<Result<(), Infallible>>,
    },
}

impl Message for Msg {
    fn name(&self) -> &'static str {
        "probe message"
    }
}

type To = ActorRef<Probe>;

impl Probe {
    pub fn quiet() -> Args {
        Args::default()
    }
    pub fn logged() -> (Args, Log) {
        let log = Log::default();
        (Args::new("probe", &log), log)
    }
    pub fn echo(to: &To, n: u64) -> Call<'_, Probe, u64> {
        Call::new(
            to,
            Msg::Echo {
                n,
                reply: Reply::none(),
            },
            |m, slot| {
                if let Msg::Echo { reply, .. } = m {
                    *reply = slot;
                }
            },
        )
    }
    pub fn fail(to: &To) -> Call<'_, Probe, (), &'static str> {
        Call::new(
            to,
            Msg::Fail {
                reply: Reply::none(),
            },
            |m, slot| {
                if let Msg::Fail { reply, .. } = m {
                    *reply = slot;
                }
            },
        )
    }
    pub fn note(to: &To, n: u64) -> Call<'_, Probe, ()> {
        Call::new(
            to,
            Msg::Note {
                n,
                reply: Reply::none(),
            },
            |m, slot| {
                if let Msg::Note { reply, .. } = m {
                    *reply = slot;
                }
            },
        )
    }
    pub fn noted(msg: &Msg) -> Option<u64> {
        match msg {
            Msg::Note { n, .. } => Some(*n),
            _ => None,
        }
    }
    pub fn hold<'a>(to: &'a To, gate: &Gate) -> Call<'a, Probe, ()> {
        let gate = gate.clone();
        Call::new(
            to,
            Msg::Hold {
                gate,
                reply: Reply::none(),
            },
            |m, slot| {
                if let Msg::Hold { reply, .. } = m {
                    *reply = slot;
                }
            },
        )
    }
    pub fn panic(to: &To) -> Call<'_, Probe, ()> {
        Call::new(
            to,
            Msg::Panic {
                reply: Reply::none(),
            },
            |m, slot| {
                if let Msg::Panic { reply, .. } = m {
                    *reply = slot;
                }
            },
        )
    }
    pub fn forget(to: &To) -> Call<'_, Probe, ()> {
        Call::new(
            to,
            Msg::Forget {
                reply: Reply::none(),
            },
            |m, slot| {
                if let Msg::Forget { reply, .. } = m {
                    *reply = slot;
                }
            },
        )
    }
    /// Calls `spin` in the handler; never answered.
    pub fn spin(to: &To, spin: impl FnOnce() + Send + 'static) -> Call<'_, Probe, ()> {
        let spin = Box::new(spin);
        Call::new(to, Msg::Spin { spin }, |_, _| {})
    }
    pub fn life(to: &To) -> Call<'_, Probe, u64> {
        Call::new(
            to,
            Msg::Life {
                reply: Reply::none(),
            },
            |m, slot| {
                if let Msg::Life { reply, .. } = m {
                    *reply = slot;
                }
            },
        )
    }
    pub fn stop_self(to: &To) -> Call<'_, Probe, ()> {
        Call::new(
            to,
            Msg::StopSelf {
                reply: Reply::none(),
            },
            |m, slot| {
                if let Msg::StopSelf { reply, .. } = m {
                    *reply = slot;
                }
            },
        )
    }
}

impl Actor for Probe {
    type Msg = Msg;
    type Args = Args;
    type Error = String;
    type Handle = ActorRef<Self>;
    const NAME: &'static str = "probe";
    const MAILBOX: MailboxKind = MailboxKind::Buffered(CAPACITY);

    async fn init(args: Args, _: &Ctx<Self>) -> Result<Self, String> {
        args.log.add(format!("{} init", args.id));
        if let Some(gate) = &args.init_gate {
            gate.pass().await;
        }
        if let Some(release) = &args.init_spins {
            while !release.load(Ordering::SeqCst) {
                std::thread::yield_now();
            }
        }
        assert!(!args.init_panic, "init told to");
        let mut errors = args.init_errors.lock().unwrap();
        if args.init_error || *errors > 0 {
            *errors = errors.saturating_sub(1);
            return Err("init was told to fail".into());
        }
        drop(errors);
        args.log.add(format!("{} up", args.id));
        Ok(Probe { args })
    }

    async fn handle(&mut self, msg: Msg, ctx: &Ctx<Self>) {
        match msg {
            Msg::Echo { n, reply } => reply.send(Ok(n)),
            Msg::Fail { reply } => reply.send(Err("no")),
            Msg::Note { n, reply } => {
                self.args.log.add(format!("note {n}"));
                reply.send(Ok(()));
            }
            Msg::Hold { gate, reply } => {
                gate.pass().await;
                reply.send(Ok(()));
            }
            Msg::Panic { reply } => {
                let _unanswered = reply;
                panic!("told to");
            }
            Msg::Spin { spin } => spin(),
            Msg::Forget { reply } => drop(reply),
            Msg::Life { reply } => reply.send(Ok(ctx.incarnation())),
            Msg::StopSelf { reply } => {
                ctx.stop();
                reply.send(Ok(()));
            }
        }
    }

    async fn stopped(self, why: StopReason, _: &Ctx<Self>) {
        self.args
            .log
            .add(format!("{} stopped {why:?}", self.args.id));
        if let Some(gate) = &self.args.stop_gate {
            gate.pass().await;
        }
        assert!(!self.args.stop_panic, "stopped told to");
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.args.log.add(format!("{} dropped", self.args.id));
        if self.args.drop_panic && !std::thread::panicking() {
            panic!("drop told to");
        }
    }
}
