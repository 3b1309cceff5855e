//! Banking: 8 tellers move money between 1000 accounts. An operation is one transfer.
//!
//! A teller asks the paying account, which asks the receiving one before it answers: actors that wait
//! for actors. Money moves from lower to higher numbers only, as in Savina, so that no two accounts
//! wait for each other. Checked: every transfer was made, and no money appeared or got lost.

use super::{Benchmark, on_ours, on_tokio};

const ACCOUNTS: u64 = 1_000;
const TELLERS: u64 = 8;
const BALANCE: i64 = 1_000_000;

pub(super) const BENCHMARK: Benchmark = Benchmark {
    name: "banking",
    operation: "transfer",
    ops: 120_000,
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

    use super::{ACCOUNTS, BALANCE, TELLERS};
    use crate::savina::Dice;
    use crate::work::share;

    struct Account {
        balance: i64,
    }

    #[actor(vis = pub(self))]
    impl Account {
        #[init]
        fn new(balance: i64) -> Self {
            Account { balance }
        }

        /// Answers when the other account has got the money.
        pub(crate) async fn transfer(
            &mut self,
            amount: i64,
            to: AccountRef,
        ) -> Result<(), CallError> {
            self.balance -= amount;
            to.credit(amount).await
        }

        pub(crate) fn credit(&mut self, amount: i64) {
            self.balance += amount;
        }

        pub(crate) fn balance(&mut self) -> i64 {
            self.balance
        }
    }

    struct Teller {
        dice: Dice,
        accounts: Arc<[AccountRef]>,
    }

    #[actor(vis = pub(self))]
    impl Teller {
        #[init]
        fn new(seed: u64, accounts: Arc<[AccountRef]>) -> Self {
            let dice = Dice::new(seed);
            Teller { dice, accounts }
        }

        /// Makes so many transfers, one after the other.
        pub(crate) async fn work(&mut self, transfers: u64) -> u64 {
            for _ in 0..transfers {
                let (from, to) = self.dice.two_below(self.accounts.len());
                let (from, to) = (&self.accounts[from], self.accounts[to].clone());
                from.transfer(1, to).await.expect("the accounts run");
            }
            transfers
        }
    }

    pub(super) async fn run(ops: u64) -> Duration {
        let mut accounts = Vec::new();
        for _ in 0..ACCOUNTS {
            accounts.push(Account::start(BALANCE).await.expect("it starts"));
        }
        let accounts: Arc<[AccountRef]> = accounts.into();
        let mut tellers = Vec::new();
        for seed in 0..TELLERS {
            let teller = Teller::start(seed, Arc::clone(&accounts)).await;
            tellers.push(teller.expect("it starts"));
        }
        let start = Instant::now();
        let shifts = (0..).zip(tellers).map(|(number, teller)| {
            let transfers = share(ops, TELLERS, number);
            go(async move { teller.work(transfers).await })
        });
        let mut made = 0;
        for shift in shifts.collect::<Vec<_>>() {
            made += shift.await.expect("it ends").expect("an answer");
        }
        let took = start.elapsed();
        assert_eq!(made, ops);
        let mut money = 0;
        for account in accounts.iter() {
            money += account.balance().await.expect("an answer");
        }
        assert_eq!(money, BALANCE * ACCOUNTS as i64);
        took
    }
}

mod tokio_actor {
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use tokio::sync::{mpsc, oneshot};

    use super::{ACCOUNTS, BALANCE, TELLERS};
    use crate::MAILBOX_CAPACITY;
    use crate::savina::Dice;
    use crate::work::share;

    enum Msg {
        Transfer {
            amount: i64,
            to: Account,
            reply: oneshot::Sender<()>,
        },
        Credit {
            amount: i64,
            reply: oneshot::Sender<()>,
        },
        Balance {
            reply: oneshot::Sender<i64>,
        },
    }

    #[derive(Clone)]
    struct Account(mpsc::Sender<Msg>);

    impl Account {
        fn open(mut balance: i64) -> Self {
            let (tx, mut inbox) = mpsc::channel(MAILBOX_CAPACITY);
            tokio::spawn(async move {
                while let Some(msg) = inbox.recv().await {
                    match msg {
                        Msg::Transfer { amount, to, reply } => {
                            balance -= amount;
                            to.ask(|reply| Msg::Credit { amount, reply }).await;
                            reply.send(()).expect("the teller waits");
                        }
                        Msg::Credit { amount, reply } => {
                            balance += amount;
                            reply.send(()).expect("the payer waits");
                        }
                        Msg::Balance { reply } => reply.send(balance).expect("someone waits"),
                    }
                }
            });
            Account(tx)
        }

        async fn ask<T>(&self, msg: impl FnOnce(oneshot::Sender<T>) -> Msg) -> T {
            let (reply, answer) = oneshot::channel();
            self.0.send(msg(reply)).await.expect("the account runs");
            answer.await.expect("an answer")
        }
    }

    /// Nobody talks to a teller, so it needs no mailbox.
    async fn teller(seed: u64, accounts: Arc<[Account]>, transfers: u64) -> u64 {
        let mut dice = Dice::new(seed);
        for _ in 0..transfers {
            let (from, to) = dice.two_below(accounts.len());
            let (amount, to) = (1, accounts[to].clone());
            let transfer = |reply| Msg::Transfer { amount, to, reply };
            accounts[from].ask(transfer).await;
        }
        transfers
    }

    pub(super) async fn run(ops: u64) -> Duration {
        let accounts: Arc<[Account]> = (0..ACCOUNTS).map(|_| Account::open(BALANCE)).collect();
        let start = Instant::now();
        let tellers: Vec<_> = (0..TELLERS)
            .map(|number| {
                let transfers = share(ops, TELLERS, number);
                tokio::spawn(teller(number, Arc::clone(&accounts), transfers))
            })
            .collect();
        let mut made = 0;
        for teller in tellers {
            made += teller.await.expect("it ends");
        }
        let took = start.elapsed();
        assert_eq!(made, ops);
        let mut money = 0;
        for account in accounts.iter() {
            money += account.ask(|reply| Msg::Balance { reply }).await;
        }
        assert_eq!(money, BALANCE * ACCOUNTS as i64);
        took
    }
}

mod kameo {
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use ::kameo::prelude::*;

    use super::{ACCOUNTS, BALANCE, TELLERS};
    use crate::savina::Dice;
    use crate::work::share;

    #[derive(Actor)]
    struct Account {
        balance: i64,
    }

    struct Transfer {
        amount: i64,
        to: ActorRef<Account>,
    }
    struct Credit(i64);
    struct Balance;

    impl Message<Transfer> for Account {
        type Reply = ();

        async fn handle(&mut self, transfer: Transfer, _ctx: &mut Context<Self, Self::Reply>) {
            self.balance -= transfer.amount;
            let credit = Credit(transfer.amount);
            transfer.to.ask(credit).await.expect("an answer");
        }
    }

    impl Message<Credit> for Account {
        type Reply = ();

        async fn handle(&mut self, Credit(amount): Credit, _ctx: &mut Context<Self, Self::Reply>) {
            self.balance += amount;
        }
    }

    impl Message<Balance> for Account {
        type Reply = i64;

        async fn handle(&mut self, Balance: Balance, _ctx: &mut Context<Self, Self::Reply>) -> i64 {
            self.balance
        }
    }

    #[derive(Actor)]
    struct Teller {
        dice: Dice,
        accounts: Arc<[ActorRef<Account>]>,
    }

    struct Work(u64);

    impl Message<Work> for Teller {
        type Reply = u64;

        async fn handle(
            &mut self,
            Work(transfers): Work,
            _ctx: &mut Context<Self, Self::Reply>,
        ) -> u64 {
            for _ in 0..transfers {
                let (from, to) = self.dice.two_below(self.accounts.len());
                let (amount, to) = (1, self.accounts[to].clone());
                let transfer = Transfer { amount, to };
                self.accounts[from].ask(transfer).await.expect("an answer");
            }
            transfers
        }
    }

    pub(super) async fn run(ops: u64) -> Duration {
        let accounts: Arc<[_]> = (0..ACCOUNTS)
            .map(|_| Account::spawn(Account { balance: BALANCE }))
            .collect();
        let tellers: Vec<_> = (0..TELLERS)
            .map(|seed| {
                let (dice, accounts) = (Dice::new(seed), Arc::clone(&accounts));
                Teller::spawn(Teller { dice, accounts })
            })
            .collect();
        let start = Instant::now();
        let shifts = (0..).zip(tellers).map(|(number, teller)| {
            let work = Work(share(ops, TELLERS, number));
            tokio::spawn(async move { teller.ask(work).await })
        });
        let mut made = 0;
        for shift in shifts.collect::<Vec<_>>() {
            made += shift.await.expect("it ends").expect("an answer");
        }
        let took = start.elapsed();
        assert_eq!(made, ops);
        let mut money = 0;
        for account in accounts.iter() {
            money += account.ask(Balance).await.expect("an answer");
        }
        assert_eq!(money, BALANCE * ACCOUNTS as i64);
        took
    }
}
