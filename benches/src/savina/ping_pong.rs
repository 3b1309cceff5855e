//! Ping-pong: two actors tell each other. An operation is a round trip: a ball to Pong, and one back.
//!
//! A ball carries its sender's handle, as every message does in the systems that Savina comes from.
//! Checked: both have seen as many balls as there were rounds.

use super::{Benchmark, on_ours, on_tokio};

pub(super) const BENCHMARK: Benchmark = Benchmark {
    name: "ping-pong",
    operation: "round trip",
    ops: 200_000,
    run: [
        |ops| on_ours(ours::run, ops),
        |ops| on_tokio(tokio_actor::run, ops),
        |ops| on_tokio(kameo::run, ops),
    ],
};

mod ours {
    use std::time::{Duration, Instant};

    use actor_core::prelude::*;

    struct Ping {
        pong: PongRef,
        rounds: u64,
        seen: u64,
        done: Option<Reply<u64>>,
    }

    #[actor(vis = pub(self))]
    impl Ping {
        #[init]
        fn new(pong: PongRef) -> Self {
            Ping {
                pong,
                rounds: 0,
                seen: 0,
                done: None,
            }
        }

        /// Answers after so many rounds.
        pub(crate) async fn play(&mut self, rounds: u64, ctx: &Ctx<Self>, done: Reply<u64>) {
            (self.rounds, self.done) = (rounds, Some(done));
            self.pong
                .ball(ctx.handle())
                .tell()
                .await
                .expect("Pong runs");
        }

        pub(crate) async fn ball(&mut self, ctx: &Ctx<Self>) {
            self.seen += 1;
            if self.seen < self.rounds {
                self.pong
                    .ball(ctx.handle())
                    .tell()
                    .await
                    .expect("Pong runs");
            } else if let Some(done) = self.done.take() {
                done.send(self.seen);
            }
        }
    }

    struct Pong {
        seen: u64,
    }

    #[actor(vis = pub(self))]
    impl Pong {
        #[init]
        fn new() -> Self {
            Pong { seen: 0 }
        }

        pub(crate) async fn ball(&mut self, from: PingRef) {
            self.seen += 1;
            from.ball().tell().await.expect("Ping runs");
        }

        pub(crate) fn seen(&mut self) -> u64 {
            self.seen
        }
    }

    pub(super) async fn run(ops: u64) -> Duration {
        let pong = Pong::start().await.expect("Pong starts");
        let ping = Ping::start(pong.clone()).await.expect("Ping starts");
        let start = Instant::now();
        assert_eq!(ping.play(ops).await, Ok(ops));
        let took = start.elapsed();
        assert_eq!(pong.seen().await, Ok(ops));
        took
    }
}

mod tokio_actor {
    use std::time::{Duration, Instant};

    use tokio::sync::{mpsc, oneshot};

    use crate::MAILBOX_CAPACITY;

    enum PingMsg {
        Play {
            rounds: u64,
            done: oneshot::Sender<u64>,
        },
        Ball,
    }

    enum PongMsg {
        Ball { from: mpsc::Sender<PingMsg> },
        Seen { reply: oneshot::Sender<u64> },
    }

    struct Ping {
        me: mpsc::WeakSender<PingMsg>,
        pong: mpsc::Sender<PongMsg>,
        rounds: u64,
        seen: u64,
        done: Option<oneshot::Sender<u64>>,
    }

    impl Ping {
        fn start(pong: mpsc::Sender<PongMsg>) -> mpsc::Sender<PingMsg> {
            let (tx, rx) = mpsc::channel(MAILBOX_CAPACITY);
            let ping = Ping {
                me: tx.downgrade(),
                pong,
                rounds: 0,
                seen: 0,
                done: None,
            };
            tokio::spawn(ping.run(rx));
            tx
        }

        async fn serve(&self) {
            let from = self.me.upgrade().expect("someone waits for the end");
            let ball = PongMsg::Ball { from };
            self.pong.send(ball).await.expect("Pong runs");
        }

        async fn run(mut self, mut inbox: mpsc::Receiver<PingMsg>) {
            while let Some(msg) = inbox.recv().await {
                match msg {
                    PingMsg::Play { rounds, done } => {
                        (self.rounds, self.done) = (rounds, Some(done));
                        self.serve().await;
                    }
                    PingMsg::Ball => {
                        self.seen += 1;
                        if self.seen < self.rounds {
                            self.serve().await;
                        } else if let Some(done) = self.done.take() {
                            done.send(self.seen).expect("someone waits");
                        }
                    }
                }
            }
        }
    }

    async fn pong(mut inbox: mpsc::Receiver<PongMsg>) {
        let mut seen = 0;
        while let Some(msg) = inbox.recv().await {
            match msg {
                PongMsg::Ball { from } => {
                    seen += 1;
                    from.send(PingMsg::Ball).await.expect("Ping runs");
                }
                PongMsg::Seen { reply } => reply.send(seen).expect("someone waits"),
            }
        }
    }

    pub(super) async fn run(ops: u64) -> Duration {
        let (to_pong, inbox) = mpsc::channel(MAILBOX_CAPACITY);
        tokio::spawn(pong(inbox));
        let ping = Ping::start(to_pong.clone());
        let start = Instant::now();
        let (done, end) = oneshot::channel();
        let play = PingMsg::Play { rounds: ops, done };
        ping.send(play).await.expect("Ping runs");
        assert_eq!(end.await.expect("an answer"), ops);
        let took = start.elapsed();
        let (reply, seen) = oneshot::channel();
        to_pong
            .send(PongMsg::Seen { reply })
            .await
            .expect("Pong runs");
        assert_eq!(seen.await.expect("an answer"), ops);
        took
    }
}

mod kameo {
    use std::time::{Duration, Instant};

    use ::kameo::prelude::*;

    #[derive(Actor)]
    struct Ping {
        pong: ActorRef<Pong>,
        rounds: u64,
        seen: u64,
        done: Option<ReplySender<u64>>,
    }

    struct Play(u64);
    struct Back;

    impl Message<Play> for Ping {
        type Reply = DelegatedReply<u64>;

        async fn handle(
            &mut self,
            Play(rounds): Play,
            ctx: &mut Context<Self, Self::Reply>,
        ) -> Self::Reply {
            let (delegated, done) = ctx.reply_sender();
            (self.rounds, self.done) = (rounds, done);
            let ball = Ball(ctx.actor_ref().clone());
            self.pong.tell(ball).await.expect("Pong runs");
            delegated
        }
    }

    impl Message<Back> for Ping {
        type Reply = ();

        async fn handle(&mut self, Back: Back, ctx: &mut Context<Self, Self::Reply>) {
            self.seen += 1;
            if self.seen < self.rounds {
                let ball = Ball(ctx.actor_ref().clone());
                self.pong.tell(ball).await.expect("Pong runs");
            } else if let Some(done) = self.done.take() {
                done.send(self.seen);
            }
        }
    }

    #[derive(Actor)]
    struct Pong {
        seen: u64,
    }

    struct Ball(ActorRef<Ping>);
    struct Seen;

    impl Message<Ball> for Pong {
        type Reply = ();

        async fn handle(&mut self, Ball(from): Ball, _ctx: &mut Context<Self, Self::Reply>) {
            self.seen += 1;
            from.tell(Back).await.expect("Ping runs");
        }
    }

    impl Message<Seen> for Pong {
        type Reply = u64;

        async fn handle(&mut self, Seen: Seen, _ctx: &mut Context<Self, Self::Reply>) -> u64 {
            self.seen
        }
    }

    pub(super) async fn run(ops: u64) -> Duration {
        let pong = Pong::spawn(Pong { seen: 0 });
        let ping = Ping::spawn(Ping {
            pong: pong.clone(),
            rounds: 0,
            seen: 0,
            done: None,
        });
        let start = Instant::now();
        assert_eq!(ping.ask(Play(ops)).await.expect("an answer"), ops);
        let took = start.elapsed();
        assert_eq!(pong.ask(Seen).await.expect("an answer"), ops);
        took
    }
}
