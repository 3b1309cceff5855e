//! Chameneos: 100 creatures meet in pairs at a mall and change their colours. An operation is one
//! meeting.
//!
//! The mall keeps the first one of a pair waiting for its answer until the second one comes; after the
//! last meeting it sends everybody home. Checked: the meetings that they report, each counted twice.

use super::{Benchmark, on_ours, on_tokio};

const CREATURES: u64 = 100;

pub(super) const BENCHMARK: Benchmark = Benchmark {
    name: "chameneos",
    operation: "meeting",
    ops: 200_000,
    run: [
        |ops| on_ours(ours::run, ops),
        |ops| on_tokio(tokio_actor::run, ops),
        |ops| on_tokio(kameo::run, ops),
    ],
};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Colour {
    Blue,
    Red,
    Yellow,
}

impl Colour {
    const ALL: [Colour; 3] = [Colour::Blue, Colour::Red, Colour::Yellow];

    fn of(creature: u64) -> Colour {
        Colour::ALL[creature as usize % 3]
    }

    /// Both take the third colour, unless they have the same one.
    fn after_meeting(self, other: Colour) -> Colour {
        let third = |colour: &&Colour| **colour != self && **colour != other;
        match self == other {
            true => self,
            false => *Colour::ALL.iter().find(third).expect("there are three"),
        }
    }
}

mod ours {
    use std::time::{Duration, Instant};

    use actor_core::prelude::*;

    use super::{CREATURES, Colour};

    struct Mall {
        meetings_left: u64,
        waiting: Option<(Colour, Reply<Option<Colour>>)>,
    }

    #[actor(vis = pub(self))]
    impl Mall {
        #[init]
        fn new(meetings: u64) -> Self {
            Mall {
                meetings_left: meetings,
                waiting: None,
            }
        }

        /// Answers with the other one's colour, or with none when the mall closes.
        pub(crate) fn meet(&mut self, colour: Colour, reply: Reply<Option<Colour>>) {
            if self.meetings_left == 0 {
                reply.send(None);
            } else if let Some((other, first)) = self.waiting.take() {
                self.meetings_left -= 1;
                first.send(Some(colour));
                reply.send(Some(other));
            } else {
                self.waiting = Some((colour, reply));
            }
        }
    }

    struct Creature {
        colour: Colour,
        mall: MallRef,
    }

    #[actor(vis = pub(self))]
    impl Creature {
        #[init]
        fn new(colour: Colour, mall: MallRef) -> Self {
            Creature { colour, mall }
        }

        /// Meets others until the mall closes; answers how many.
        pub(crate) async fn roam(&mut self) -> Result<u64, CallError> {
            let mut met = 0;
            while let Some(other) = self.mall.meet(self.colour).await? {
                self.colour = self.colour.after_meeting(other);
                met += 1;
            }
            Ok(met)
        }
    }

    pub(super) async fn run(ops: u64) -> Duration {
        let mall = Mall::start(ops).await.expect("it starts");
        let mut creatures = Vec::new();
        for n in 0..CREATURES {
            let creature = Creature::start(Colour::of(n), mall.clone()).await;
            creatures.push(creature.expect("it starts"));
        }
        let start = Instant::now();
        let roaming = creatures
            .into_iter()
            .map(|creature| go(async move { creature.roam().await }));
        let mut met = 0;
        for creature in roaming.collect::<Vec<_>>() {
            met += creature.await.expect("it ends").expect("an answer");
        }
        assert_eq!(met, ops * 2);
        start.elapsed()
    }
}

mod tokio_actor {
    use std::time::{Duration, Instant};

    use tokio::sync::{mpsc, oneshot};

    use super::{CREATURES, Colour};
    use crate::MAILBOX_CAPACITY;

    struct Meet {
        colour: Colour,
        reply: oneshot::Sender<Option<Colour>>,
    }

    async fn mall(mut inbox: mpsc::Receiver<Meet>, mut meetings_left: u64) {
        let mut waiting: Option<Meet> = None;
        while let Some(second) = inbox.recv().await {
            if meetings_left == 0 {
                second.reply.send(None).expect("it waits");
            } else if let Some(first) = waiting.take() {
                meetings_left -= 1;
                first.reply.send(Some(second.colour)).expect("it waits");
                second.reply.send(Some(first.colour)).expect("it waits");
            } else {
                waiting = Some(second);
            }
        }
    }

    /// Nobody talks to a creature, so it needs no mailbox.
    async fn creature(mut colour: Colour, mall: mpsc::Sender<Meet>) -> u64 {
        let mut met = 0;
        loop {
            let (reply, other) = oneshot::channel();
            let meet = Meet { colour, reply };
            mall.send(meet).await.expect("the mall runs");
            match other.await.expect("an answer") {
                Some(other) => colour = colour.after_meeting(other),
                None => return met,
            }
            met += 1;
        }
    }

    pub(super) async fn run(ops: u64) -> Duration {
        let (to_mall, inbox) = mpsc::channel(MAILBOX_CAPACITY);
        tokio::spawn(mall(inbox, ops));
        let start = Instant::now();
        let creatures: Vec<_> = (0..CREATURES)
            .map(|n| tokio::spawn(creature(Colour::of(n), to_mall.clone())))
            .collect();
        let mut met = 0;
        for creature in creatures {
            met += creature.await.expect("it ends");
        }
        assert_eq!(met, ops * 2);
        start.elapsed()
    }
}

mod kameo {
    use std::time::{Duration, Instant};

    use ::kameo::prelude::*;

    use super::{CREATURES, Colour};

    #[derive(Actor)]
    struct Mall {
        meetings_left: u64,
        waiting: Option<(Colour, ReplySender<Option<Colour>>)>,
    }

    struct Meet(Colour);

    impl Message<Meet> for Mall {
        type Reply = DelegatedReply<Option<Colour>>;

        async fn handle(
            &mut self,
            Meet(colour): Meet,
            ctx: &mut Context<Self, Self::Reply>,
        ) -> Self::Reply {
            let (delegated, reply) = ctx.reply_sender();
            let reply = reply.expect("it is asked");
            if self.meetings_left == 0 {
                reply.send(None);
            } else if let Some((other, first)) = self.waiting.take() {
                self.meetings_left -= 1;
                first.send(Some(colour));
                reply.send(Some(other));
            } else {
                self.waiting = Some((colour, reply));
            }
            delegated
        }
    }

    #[derive(Actor)]
    struct Creature {
        colour: Colour,
        mall: ActorRef<Mall>,
    }

    struct Roam;

    impl Message<Roam> for Creature {
        type Reply = u64;

        async fn handle(&mut self, Roam: Roam, _ctx: &mut Context<Self, Self::Reply>) -> u64 {
            let mut met = 0;
            while let Some(other) = self.mall.ask(Meet(self.colour)).await.expect("an answer") {
                self.colour = self.colour.after_meeting(other);
                met += 1;
            }
            met
        }
    }

    pub(super) async fn run(ops: u64) -> Duration {
        let mall = Mall::spawn(Mall {
            meetings_left: ops,
            waiting: None,
        });
        let creatures: Vec<_> = (0..CREATURES)
            .map(|n| {
                let (colour, mall) = (Colour::of(n), mall.clone());
                Creature::spawn(Creature { colour, mall })
            })
            .collect();
        let start = Instant::now();
        let roaming = creatures
            .into_iter()
            .map(|creature| tokio::spawn(async move { creature.ask(Roam).await }));
        let mut met = 0;
        for creature in roaming.collect::<Vec<_>>() {
            met += creature.await.expect("it ends").expect("an answer");
        }
        assert_eq!(met, ops * 2);
        start.elapsed()
    }
}
