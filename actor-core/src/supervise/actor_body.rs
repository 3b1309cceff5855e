//! An actor under a supervisor. Owns the actor's fate: when this is dropped, the actor is dead
//! for good, and whoever waits for it is told.

use std::sync::Arc;

use super::{
    ChildKind, OnRestart,
    run::ChildLink,
    spec::{Begun, Body, Until},
};
use crate::{
    actor::{
        Actor, ActorRef, AnyRef, Cell, ExitReason, Link, StopReason, caught, spawn, spawn_named,
    },
    shim::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

type MakeArgs<A> = Box<dyn FnMut() -> <A as Actor>::Args + Send>;

pub(super) struct ActorBody<A: Actor> {
    cell: Arc<Cell<A>>,
    args: Mutex<MakeArgs<A>>,
    /// See [`OnRestart::Clear`].
    clears: AtomicBool,
    /// What it is registered as while it lives.
    registered: Mutex<Option<Arc<str>>>,
}

impl<A: Actor> ActorBody<A> {
    pub(super) fn new(cell: Arc<Cell<A>>, args: MakeArgs<A>) -> Self {
        Self {
            cell,
            args: Mutex::new(args),
            clears: AtomicBool::new(false),
            registered: Mutex::new(None),
        }
    }

    pub(super) fn on_restart(&self, what: OnRestart) {
        // ORDERING: Relaxed: set while the spec is built, before anybody runs it.
        self.clears
            .store(what == OnRestart::Clear, Ordering::Relaxed);
    }

    pub(super) fn register(&self, name: Arc<str>) {
        *self.registered.lock() = Some(name);
    }
}

impl<A: Actor> Body for ActorBody<A> {
    fn start(&self, mut link: ChildLink) -> Begun {
        if self.is_alive() {
            link.ended(still_alive());
            return Begun::Starting;
        }
        // The arguments are made by user code.
        match caught(|| (*self.args.lock())()) {
            Ok(args) => {
                let name = self.registered.lock().clone();
                match name {
                    Some(name) => spawn_named(&self.cell, &name, args, link),
                    None => spawn(&self.cell, args, link),
                }
            }
            Err(panic) => link.ended(panic.into()),
        }
        Begun::Starting
    }

    fn ask_stop(&self, until: Until) {
        match until {
            Until::Further => self.cell.request_stop(StopReason::Supervisor, false),
            Until::Restart => self.cell.request_restart(),
        }
    }

    fn kill(&self) {
        self.cell.life.kill();
    }

    fn will_restart(&self) {
        // ORDERING: Relaxed: see `on_restart`.
        if self.clears.load(Ordering::Relaxed) {
            self.cell.clear_mailbox();
        }
    }

    fn settle(&self) {
        self.cell.settle();
    }

    fn is_alive(&self) -> bool {
        self.cell.life.look(|s| s.is_alive())
    }

    fn kind(&self) -> ChildKind {
        ChildKind::Actor
    }

    fn actor(&self) -> Option<AnyRef> {
        Some(AnyRef::new(ActorRef::new(Arc::clone(&self.cell))))
    }
}

/// Why an incarnation can't begin: see `OnStuck::Detach`.
pub(super) fn still_alive() -> ExitReason {
    ExitReason::InitFailed {
        message: "its last incarnation is stuck and has not ended yet".to_owned(),
    }
}

impl<A: Actor> Drop for ActorBody<A> {
    fn drop(&mut self) {
        self.cell.release();
    }
}

#[cfg(all(test, not(actor_loom)))]
mod tests {
    use std::convert::Infallible;

    use super::*;
    use crate::{
        actor::{Call, Ctx, ExitReason, Message, Reply},
        chan, sched,
    };

    struct Note(u32);
    impl Message for Note {}

    struct Notes(chan::Sender<String>, chan::Receiver<()>);

    impl Actor for Notes {
        type Msg = Note;
        type Args = (chan::Sender<String>, chan::Receiver<()>);
        type Error = Infallible;
        type Handle = ActorRef<Self>;
        const NAME: &'static str = "notes";

        async fn init((seen, gate): Self::Args, _: &Ctx<Self>) -> Result<Self, Infallible> {
            Ok(Self(seen, gate))
        }

        async fn handle(&mut self, Note(n): Note, ctx: &Ctx<Self>) {
            let line = format!("{n} in life {}", ctx.incarnation());
            self.0.send(line).await.unwrap();
            self.1.recv().await;
        }
    }

    #[test]
    fn an_actor_that_is_to_be_restarted_leaves_its_queue_open_and_to_the_next_incarnation() {
        sched::Runtime::new().unwrap().run(async {
            let cell = Cell::<Notes>::new("notes", true);
            let notes = ActorRef::new(Arc::clone(&cell));
            let ((seen, lines), (open, gate)) = (chan::buffered(8), chan::buffered(8));
            let body = ActorBody::new(
                Arc::clone(&cell),
                Box::new(move || (seen.clone(), gate.clone())),
            );
            let tell = |n| {
                let call: Call<'_, Notes, ()> = Call::new(&notes, Note(n), |_, _: Reply<_>| {});
                assert!(call.try_tell().is_ok());
            };
            spawn(&cell, (body.args.lock())(), ());
            tell(1);
            tell(2);
            assert_eq!(lines.recv().await.unwrap(), "1 in life 1");
            body.ask_stop(Until::Restart);
            tell(3);
            open.send(()).await.unwrap();
            let mut key = None;
            let end = std::future::poll_fn(|cx| {
                let life = &cell.life;
                life.poll_until(&mut key, cx, |s| s.exit_of(Some(1)))
            });
            assert_eq!(end.await, ExitReason::Shutdown, "after the message in work");
            tell(4);
            spawn(&cell, (body.args.lock())(), ());
            for n in 2..=4 {
                assert_eq!(lines.recv().await.unwrap(), format!("{n} in life 2"));
                open.send(()).await.unwrap();
            }
        });
    }
}
