//! Big: 120 actors, each pings one of the others at random, waits for the pong, pings the next one. An
//! operation is a ping and its pong.
//!
//! Each pings and answers the others' pings at the same time, so a pong is a message of its own. It
//! reports when it has had all its pongs, and goes on to answer. Mailboxes are unbounded. Checked:
//! the pongs that all report.

use super::{Benchmark, on_ours, on_tokio};

const ACTORS: u64 = 120;

pub(super) const BENCHMARK: Benchmark = Benchmark {
    name: "big",
    operation: "ping and pong",
    ops: 360_000,
    run: [
        |ops| on_ours(ours::run, ops),
        |ops| on_tokio(tokio_actor::run, ops),
        |ops| on_tokio(kameo::run, ops),
    ],
};

mod ours {
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use actor_core::prelude::*;

    use super::ACTORS;
    use crate::savina::Dice;
    use crate::work::share;

    struct Pinger {
        dice: Dice,
        all: Arc<[PingerRef]>,
        pings_left: u64,
        pongs: u64,
        done: Option<Reply<u64>>,
    }

    #[actor(mailbox = unbounded, vis = pub(self))]
    impl Pinger {
        #[init]
        fn new(seed: u64) -> Self {
            Pinger {
                dice: Dice::new(seed),
                all: Arc::new([]),
                pings_left: 0,
                pongs: 0,
                done: None,
            }
        }

        pub(crate) fn meet(&mut self, all: Arc<[PingerRef]>) {
            self.all = all;
        }

        /// Pings so often and answers how many pongs came back.
        pub(crate) async fn run(&mut self, pings: u64, ctx: &Ctx<Self>, done: Reply<u64>) {
            (self.pings_left, self.done) = (pings, Some(done));
            self.ping_next(ctx).await;
        }

        pub(crate) async fn ping(&mut self, from: PingerRef) {
            from.pong().tell().await.expect("it waits");
        }

        pub(crate) async fn pong(&mut self, ctx: &Ctx<Self>) {
            self.pongs += 1;
            self.ping_next(ctx).await;
        }

        async fn ping_next(&mut self, ctx: &Ctx<Self>) {
            if self.pings_left > 0 {
                self.pings_left -= 1;
                let other = &self.all[self.dice.below(self.all.len())];
                other.ping(ctx.handle()).tell().await.expect("it runs");
            } else if let Some(done) = self.done.take() {
                done.send(self.pongs);
            }
        }
    }

    pub(super) async fn run(ops: u64) -> Duration {
        let mut all = Vec::new();
        for seed in 0..ACTORS {
            all.push(Pinger::start(seed).await.expect("it starts"));
        }
        let all: Arc<[PingerRef]> = all.into();
        for pinger in all.iter() {
            pinger.meet(Arc::clone(&all)).await.expect("it runs");
        }
        let start = Instant::now();
        let runs = (0..).zip(all.iter().cloned()).map(|(number, pinger)| {
            let pings = share(ops, ACTORS, number);
            go(async move { pinger.run(pings).await })
        });
        let mut pongs = 0;
        for run in runs.collect::<Vec<_>>() {
            pongs += run.await.expect("it ends").expect("an answer");
        }
        assert_eq!(pongs, ops);
        let took = start.elapsed();
        for pinger in all.iter() {
            pinger.stop().await; // they keep each other alive
        }
        took
    }
}

mod tokio_actor {
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use tokio::sync::{mpsc, oneshot};

    use super::ACTORS;
    use crate::savina::Dice;
    use crate::work::share;

    enum Msg {
        Meet(Arc<[mpsc::UnboundedSender<Msg>]>),
        Run {
            pings: u64,
            done: oneshot::Sender<u64>,
        },
        Ping {
            from: mpsc::UnboundedSender<Msg>,
        },
        Pong,
        Stop,
    }

    struct Pinger {
        number: usize,
        dice: Dice,
        all: Arc<[mpsc::UnboundedSender<Msg>]>,
        pings_left: u64,
        pongs: u64,
        done: Option<oneshot::Sender<u64>>,
    }

    impl Pinger {
        fn start(number: u64) -> mpsc::UnboundedSender<Msg> {
            let (tx, rx) = mpsc::unbounded_channel();
            let pinger = Pinger {
                number: number as usize,
                dice: Dice::new(number),
                all: Arc::new([]),
                pings_left: 0,
                pongs: 0,
                done: None,
            };
            tokio::spawn(pinger.run(rx));
            tx
        }

        async fn run(mut self, mut inbox: mpsc::UnboundedReceiver<Msg>) {
            while let Some(msg) = inbox.recv().await {
                match msg {
                    Msg::Meet(all) => self.all = all,
                    Msg::Run { pings, done } => {
                        (self.pings_left, self.done) = (pings, Some(done));
                        self.ping_next();
                    }
                    Msg::Ping { from } => from.send(Msg::Pong).expect("it waits"),
                    Msg::Pong => {
                        self.pongs += 1;
                        self.ping_next();
                    }
                    Msg::Stop => return,
                }
            }
        }

        fn ping_next(&mut self) {
            if self.pings_left > 0 {
                self.pings_left -= 1;
                let other = &self.all[self.dice.below(self.all.len())];
                let from = self.all[self.number].clone();
                other.send(Msg::Ping { from }).expect("it runs");
            } else if let Some(done) = self.done.take() {
                done.send(self.pongs).expect("someone waits");
            }
        }
    }

    pub(super) async fn run(ops: u64) -> Duration {
        let all: Arc<[_]> = (0..ACTORS).map(Pinger::start).collect();
        for pinger in all.iter() {
            pinger.send(Msg::Meet(Arc::clone(&all))).expect("it runs");
        }
        let start = Instant::now();
        let runs = (0..).zip(all.iter()).map(|(number, pinger)| {
            let (done, pongs) = oneshot::channel();
            let pings = share(ops, ACTORS, number);
            pinger.send(Msg::Run { pings, done }).expect("it runs");
            pongs
        });
        let mut pongs = 0;
        for run in runs.collect::<Vec<_>>() {
            pongs += run.await.expect("an answer");
        }
        assert_eq!(pongs, ops);
        let took = start.elapsed();
        for pinger in all.iter() {
            pinger.send(Msg::Stop).expect("it runs"); // they keep each other alive
        }
        took
    }
}

mod kameo {
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use ::kameo::mailbox;
    use ::kameo::prelude::*;

    use super::ACTORS;
    use crate::savina::Dice;
    use crate::work::share;

    #[derive(Actor)]
    struct Pinger {
        dice: Dice,
        all: Arc<[ActorRef<Pinger>]>,
        pings_left: u64,
        pongs: u64,
        done: Option<ReplySender<u64>>,
    }

    impl Pinger {
        async fn ping_next(&mut self, me: &ActorRef<Pinger>) {
            if self.pings_left > 0 {
                self.pings_left -= 1;
                let other = &self.all[self.dice.below(self.all.len())];
                other.tell(Ping(me.clone())).await.expect("it runs");
            } else if let Some(done) = self.done.take() {
                done.send(self.pongs);
            }
        }
    }

    struct Meet(Arc<[ActorRef<Pinger>]>);
    struct Run(u64);
    struct Ping(ActorRef<Pinger>);
    struct Pong;

    impl Message<Meet> for Pinger {
        type Reply = ();

        async fn handle(&mut self, Meet(all): Meet, _ctx: &mut Context<Self, Self::Reply>) {
            self.all = all;
        }
    }

    impl Message<Run> for Pinger {
        type Reply = DelegatedReply<u64>;

        async fn handle(
            &mut self,
            Run(pings): Run,
            ctx: &mut Context<Self, Self::Reply>,
        ) -> Self::Reply {
            let (delegated, done) = ctx.reply_sender();
            (self.pings_left, self.done) = (pings, done);
            self.ping_next(ctx.actor_ref()).await;
            delegated
        }
    }

    impl Message<Ping> for Pinger {
        type Reply = ();

        async fn handle(&mut self, Ping(from): Ping, _ctx: &mut Context<Self, Self::Reply>) {
            from.tell(Pong).await.expect("it waits");
        }
    }

    impl Message<Pong> for Pinger {
        type Reply = ();

        async fn handle(&mut self, Pong: Pong, ctx: &mut Context<Self, Self::Reply>) {
            self.pongs += 1;
            self.ping_next(ctx.actor_ref()).await;
        }
    }

    pub(super) async fn run(ops: u64) -> Duration {
        let all: Arc<[_]> = (0..ACTORS)
            .map(|seed| {
                let pinger = Pinger {
                    dice: Dice::new(seed),
                    all: Arc::new([]),
                    pings_left: 0,
                    pongs: 0,
                    done: None,
                };
                Pinger::spawn_with_mailbox(pinger, mailbox::unbounded())
            })
            .collect();
        for pinger in all.iter() {
            pinger.ask(Meet(Arc::clone(&all))).await.expect("it runs");
        }
        let start = Instant::now();
        let runs = (0..).zip(all.iter().cloned()).map(|(number, pinger)| {
            let pings = share(ops, ACTORS, number);
            tokio::spawn(async move { pinger.ask(Run(pings)).await })
        });
        let mut pongs = 0;
        for run in runs.collect::<Vec<_>>() {
            pongs += run.await.expect("it ends").expect("an answer");
        }
        assert_eq!(pongs, ops);
        let took = start.elapsed();
        for pinger in all.iter() {
            pinger.kill(); // they keep each other alive
        }
        took
    }
}
