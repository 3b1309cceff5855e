//! Dining philosophers: 20 of them, and a waiter who hands out the forks. An operation is one meal.
//!
//! Who is hungry asks the waiter, who answers when both forks are free; who has eaten tells it. Checked:
//! that no fork is in two hands, and the number of meals.

use super::{Benchmark, on_ours, on_tokio};

const SEATS: usize = 20;

pub(super) const BENCHMARK: Benchmark = Benchmark {
    name: "dining philosophers",
    operation: "meal",
    ops: 200_000,
    run: [
        |ops| on_ours(ours::run, ops),
        |ops| on_tokio(tokio_actor::run, ops),
        |ops| on_tokio(kameo::run, ops),
    ],
};

/// The forks, and who waits for two of them; `R` is where to tell them.
#[derive(Debug)]
struct Table<R> {
    taken: [bool; SEATS],
    hungry: [Option<R>; SEATS],
    meals: u64,
}

impl<R> Table<R> {
    fn new() -> Self {
        Table {
            taken: [false; SEATS],
            hungry: [const { None }; SEATS],
            meals: 0,
        }
    }

    fn right_of(seat: usize) -> usize {
        (seat + 1) % SEATS
    }

    /// Gives this one its forks, if it waits and both are free: tell it.
    fn serve(&mut self, seat: usize) -> Option<R> {
        let right = Self::right_of(seat);
        if self.taken[seat] || self.taken[right] {
            return None;
        }
        let ready = self.hungry[seat].take()?;
        (self.taken[seat], self.taken[right]) = (true, true);
        Some(ready)
    }

    fn sit_down(&mut self, seat: usize, ready: R) -> Option<R> {
        self.hungry[seat] = Some(ready);
        self.serve(seat)
    }

    /// Takes its forks back; returns the neighbours that can eat now.
    fn put_down(&mut self, seat: usize) -> impl Iterator<Item = R> {
        let right = Self::right_of(seat);
        assert!(self.taken[seat] && self.taken[right], "its forks were its");
        (self.taken[seat], self.taken[right]) = (false, false);
        self.meals += 1;
        let left = self.serve((seat + SEATS - 1) % SEATS);
        left.into_iter().chain(self.serve(right))
    }
}

mod ours {
    use std::time::{Duration, Instant};

    use actor_core::prelude::*;

    use super::{SEATS, Table};
    use crate::work::share;

    struct Waiter {
        table: Table<Reply<()>>,
    }

    #[actor(vis = pub(self))]
    impl Waiter {
        #[init]
        fn new() -> Self {
            Waiter {
                table: Table::new(),
            }
        }

        /// Answers when both forks are there.
        pub(crate) fn hungry(&mut self, seat: usize, ready: Reply<()>) {
            if let Some(ready) = self.table.sit_down(seat, ready) {
                ready.send(());
            }
        }

        pub(crate) fn full(&mut self, seat: usize) {
            self.table.put_down(seat).for_each(|ready| ready.send(()));
        }

        pub(crate) fn meals(&mut self) -> u64 {
            self.table.meals
        }
    }

    struct Philosopher {
        seat: usize,
        waiter: WaiterRef,
    }

    #[actor(vis = pub(self))]
    impl Philosopher {
        #[init]
        fn new(seat: usize, waiter: WaiterRef) -> Self {
            Philosopher { seat, waiter }
        }

        pub(crate) async fn dine(&mut self, meals: u64) -> Result<(), CallError> {
            for _ in 0..meals {
                self.waiter.hungry(self.seat).await?;
                self.waiter.full(self.seat).tell().await.expect("it runs");
            }
            Ok(())
        }
    }

    pub(super) async fn run(ops: u64) -> Duration {
        let waiter = Waiter::start().await.expect("it starts");
        let mut guests = Vec::new();
        for seat in 0..SEATS {
            let guest = Philosopher::start(seat, waiter.clone()).await;
            guests.push(guest.expect("it starts"));
        }
        let start = Instant::now();
        let dinners = (0..).zip(guests).map(|(number, guest)| {
            let meals = share(ops, SEATS as u64, number);
            go(async move { guest.dine(meals).await })
        });
        for dinner in dinners.collect::<Vec<_>>() {
            dinner.await.expect("it ends").expect("an answer");
        }
        assert_eq!(waiter.meals().await, Ok(ops));
        start.elapsed()
    }
}

mod tokio_actor {
    use std::time::{Duration, Instant};

    use tokio::sync::{mpsc, oneshot};

    use super::{SEATS, Table};
    use crate::MAILBOX_CAPACITY;
    use crate::work::share;

    enum Msg {
        Hungry {
            seat: usize,
            ready: oneshot::Sender<()>,
        },
        Full {
            seat: usize,
        },
        Meals {
            reply: oneshot::Sender<u64>,
        },
    }

    async fn waiter(mut inbox: mpsc::Receiver<Msg>) {
        let mut table = Table::new();
        let tell = |ready: oneshot::Sender<()>| ready.send(()).expect("it waits");
        while let Some(msg) = inbox.recv().await {
            match msg {
                Msg::Hungry { seat, ready } => {
                    table.sit_down(seat, ready).into_iter().for_each(tell);
                }
                Msg::Full { seat } => table.put_down(seat).for_each(tell),
                Msg::Meals { reply } => reply.send(table.meals).expect("someone waits"),
            }
        }
    }

    /// Nobody talks to a philosopher, so it needs no mailbox.
    async fn philosopher(seat: usize, waiter: mpsc::Sender<Msg>, meals: u64) {
        for _ in 0..meals {
            let (ready, forks) = oneshot::channel();
            let hungry = Msg::Hungry { seat, ready };
            waiter.send(hungry).await.expect("it runs");
            forks.await.expect("an answer");
            waiter.send(Msg::Full { seat }).await.expect("it runs");
        }
    }

    pub(super) async fn run(ops: u64) -> Duration {
        let (to_waiter, inbox) = mpsc::channel(MAILBOX_CAPACITY);
        tokio::spawn(waiter(inbox));
        let start = Instant::now();
        let dinners: Vec<_> = (0..SEATS)
            .map(|seat| {
                let meals = share(ops, SEATS as u64, seat as u64);
                tokio::spawn(philosopher(seat, to_waiter.clone(), meals))
            })
            .collect();
        for dinner in dinners {
            dinner.await.expect("it ends");
        }
        let (reply, meals) = oneshot::channel();
        to_waiter.send(Msg::Meals { reply }).await.expect("it runs");
        assert_eq!(meals.await.expect("an answer"), ops);
        start.elapsed()
    }
}

mod kameo {
    use std::time::{Duration, Instant};

    use ::kameo::prelude::*;

    use super::{SEATS, Table};
    use crate::work::share;

    #[derive(Actor)]
    struct Waiter {
        table: Table<ReplySender<()>>,
    }

    struct Hungry(usize);
    struct Full(usize);
    struct Meals;

    impl Message<Hungry> for Waiter {
        type Reply = DelegatedReply<()>;

        async fn handle(
            &mut self,
            Hungry(seat): Hungry,
            ctx: &mut Context<Self, Self::Reply>,
        ) -> Self::Reply {
            let (delegated, ready) = ctx.reply_sender();
            let ready = ready.expect("it is asked");
            if let Some(ready) = self.table.sit_down(seat, ready) {
                ready.send(());
            }
            delegated
        }
    }

    impl Message<Full> for Waiter {
        type Reply = ();

        async fn handle(&mut self, Full(seat): Full, _ctx: &mut Context<Self, Self::Reply>) {
            self.table.put_down(seat).for_each(|ready| ready.send(()));
        }
    }

    impl Message<Meals> for Waiter {
        type Reply = u64;

        async fn handle(&mut self, Meals: Meals, _ctx: &mut Context<Self, Self::Reply>) -> u64 {
            self.table.meals
        }
    }

    #[derive(Actor)]
    struct Philosopher {
        seat: usize,
        waiter: ActorRef<Waiter>,
    }

    struct Dine(u64);

    impl Message<Dine> for Philosopher {
        type Reply = ();

        async fn handle(&mut self, Dine(meals): Dine, _ctx: &mut Context<Self, Self::Reply>) {
            for _ in 0..meals {
                self.waiter.ask(Hungry(self.seat)).await.expect("an answer");
                self.waiter.tell(Full(self.seat)).await.expect("it runs");
            }
        }
    }

    pub(super) async fn run(ops: u64) -> Duration {
        let waiter = Waiter::spawn(Waiter {
            table: Table::new(),
        });
        let guests: Vec<_> = (0..SEATS)
            .map(|seat| {
                let waiter = waiter.clone();
                Philosopher::spawn(Philosopher { seat, waiter })
            })
            .collect();
        let start = Instant::now();
        let dinners = (0..).zip(guests).map(|(number, guest)| {
            let dine = Dine(share(ops, SEATS as u64, number));
            tokio::spawn(async move { guest.ask(dine).await })
        });
        for dinner in dinners.collect::<Vec<_>>() {
            dinner.await.expect("it ends").expect("an answer");
        }
        assert_eq!(waiter.ask(Meals).await.expect("an answer"), ops);
        start.elapsed()
    }
}
