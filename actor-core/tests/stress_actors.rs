//! Random operations on actors from goroutines and threads, for the sanitizers' scripts; every `cargo
//! test` runs some. Without a harness, so that nothing but it runs.
//!
//! `stress_actors [--ops N] [--seed N]`. Asks and tells, awaited, dropped half-way, forgotten, from
//! threads; handlers that wait, panic, panic in a `Drop`; kills, stops and restarts meanwhile; small and
//! large messages, every kind of mailbox.
//!
//! - A message carries a token that is to be dropped once: a second time, or never, is a violation. So
//!   what is moved by hand, from slot to slot and into futures, is neither lost nor doubled.
//! - One sender's messages are handled in their order.
//! - The state is canaries: a handler that runs on a state that is gone sees them changed.
#![allow(missing_debug_implementations, missing_docs, unreachable_pub)]

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::task::Poll;
use std::time::Duration;

use actor_core::prelude::*;
use actor_core::{DeadlockPolicy, Runtime};

const ALIVE: u8 = 1;
const DROPPED: u8 = 2;
const CANARY: u64 = 0x5afe_5afe_5afe_5afe;

/// Which tokens there are.
struct Ledger {
    fates: Vec<AtomicU8>,
    next: AtomicUsize,
    forgotten: AtomicUsize,
}

impl Ledger {
    fn token(self: &Arc<Self>, sender: usize, number: u64) -> Option<Token> {
        let id = self.next.fetch_add(1, SeqCst);
        let fate = self.fates.get(id)?;
        fate.store(ALIVE, SeqCst);
        Some(Token {
            id,
            sender,
            number,
            ledger: Arc::clone(self),
        })
    }
}

pub struct Token {
    id: usize,
    sender: usize,
    /// Counts this sender's messages to this actor.
    number: u64,
    ledger: Arc<Ledger>,
}

impl Drop for Token {
    fn drop(&mut self) {
        let before = self.ledger.fates[self.id].swap(DROPPED, SeqCst);
        if before != ALIVE {
            violation(&format!("token {} was dropped in state {before}", self.id));
        }
    }
}

fn violation(text: &str) -> ! {
    eprintln!("VIOLATION: {text}");
    std::process::exit(1)
}

/// Panics when it is dropped, unless that would be inside of another panic.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("a bomb");
        }
    }
}

/// What all the actors have.
pub struct State {
    canaries: Box<[u64; 4]>,
    seen: Vec<u64>,
}

impl State {
    fn new() -> Self {
        State {
            canaries: Box::new([CANARY; 4]),
            seen: Vec::new(),
        }
    }

    fn check(&self) {
        if *self.canaries != [CANARY; 4] {
            violation("a handler ran on a state that is gone");
        }
    }

    fn see(&mut self, token: &Token) {
        self.check();
        if self.seen.len() <= token.sender {
            self.seen.resize(token.sender + 1, 0);
        }
        let before = std::mem::replace(&mut self.seen[token.sender], token.number);
        if before >= token.number {
            violation(&format!(
                "sender {}: {} came after {before}",
                token.sender, token.number
            ));
        }
    }
}

impl Drop for State {
    fn drop(&mut self) {
        self.check();
        *self.canaries = [0; 4];
    }
}

/// A target of the operations: the same messages, whatever the mailbox.
#[derive(Clone)]
enum Target {
    Plain(PlainRef),
    Narrow(NarrowRef),
    Rendezvous(RendezvousRef),
    Special(SpecialRef),
    Large(LargeRef),
    Sync(SyncRef),
}

macro_rules! actors {
    ($($name:ident: $handle:ident, $pad:literal, [$($options:tt)*], [$($wait:tt)*];)*) => {
        $(
            pub struct $name(State);

            #[actor($($options)*)]
            impl $name {
                #[init]
                fn new() -> Self {
                    $name(State::new())
                }

                pub $($wait)* fn note(&mut self, token: Token, pad: [u64; $pad]) -> u64 {
                    self.0.see(&token);
                    pad.iter().sum::<u64>() + token.number
                }

                pub $($wait)* fn crash(&mut self, token: Token, in_drop: bool) -> u64 {
                    self.0.see(&token);
                    let _bomb = in_drop.then_some(Bomb);
                    if !in_drop {
                        panic!("on purpose");
                    }
                    token.number
                }
            }
        )*

        impl Target {
            async fn ask(&self, token: Token) -> bool {
                match self {
                    $(Target::$name(to) => to.note(token, [1; $pad]).await.is_ok(),)*
                }
            }

            async fn tell(&self, token: Token) -> bool {
                match self {
                    $(Target::$name(to) => to.note(token, [1; $pad]).tell().await.is_ok(),)*
                }
            }

            fn try_tell(&self, token: Token) -> bool {
                match self {
                    $(Target::$name(to) => to.note(token, [1; $pad]).try_tell().is_ok(),)*
                }
            }

            async fn crash(&self, token: Token, in_drop: bool) -> bool {
                match self {
                    $(Target::$name(to) => to.crash(token, in_drop).await.is_ok(),)*
                }
            }

            fn ask_blocking(&self, token: Token) -> bool {
                match self {
                    $(Target::$name(to) => to.note(token, [1; $pad]).blocking().is_ok(),)*
                }
            }

            async fn kill(&self) {
                match self {
                    $(Target::$name(to) => drop(to.kill().await),)*
                }
            }
        }
    };
}

actors! {
    Plain: PlainRef, 1, [], [async];
    Narrow: NarrowRef, 2, [mailbox = buffered(2)], [async];
    Rendezvous: RendezvousRef, 1, [mailbox = rendezvous], [async];
    Special: SpecialRef, 1, [mailbox = buffered(8), overflow = drop_oldest, high_water = 6], [async];
    Large: LargeRef, 700, [mailbox = buffered(4)], [async];
    Sync: SyncRef, 1, [mailbox = unbounded], [];
}

/// Handlers that wait, with the message in their futures, on the state or beside others.
pub struct Waiter(State);

#[actor(mailbox = buffered(4))]
impl Waiter {
    #[init]
    async fn new(yields: u64) -> Self {
        for _ in 0..yields {
            yield_now().await;
        }
        Waiter(State::new())
    }

    pub async fn alone(&mut self, token: Token, yields: u64) -> u64 {
        self.0.see(&token);
        // Dropped with the rest when the actor is killed.
        let _bomb = (yields == 5).then_some(Bomb);
        for _ in 0..yields {
            yield_now().await;
            self.0.check();
        }
        token.number
    }

    #[concurrent]
    pub async fn beside(&self, token: Token, yields: u64) -> u64 {
        let _bomb = (yields == 5).then_some(Bomb);
        for _ in 0..yields {
            self.0.check();
            yield_now().await;
        }
        token.number
    }

    #[stopped]
    async fn stopped(self) {
        yield_now().await;
        self.0.check();
    }
}

/// A number from the seed.
struct Chance(Cell<u64>);

impl Chance {
    fn below(&self, n: u64) -> u64 {
        let mut x = self.0.get();
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        self.0.set(x);
        (x >> 11) % n
    }
}

/// Polls it so often, then drops it, or forgets it together with all that it has.
async fn abandon<F: Future>(future: F, polls: u64, forgets: bool) -> Option<F::Output> {
    let mut future = Box::pin(future);
    let mut left = polls;
    let done = poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(value) => Poll::Ready(Some(value)),
        Poll::Pending if left == 0 => Poll::Ready(None),
        Poll::Pending => {
            left -= 1;
            cx.waker().wake_by_ref();
            Poll::Pending
        }
    })
    .await;
    if done.is_none() && forgets {
        std::mem::forget(future);
    }
    done
}

struct Setting {
    targets: Vec<Target>,
    ledger: Arc<Ledger>,
    done: AtomicU64,
}

async fn customer(setting: Arc<Setting>, sender: usize, seed: u64, ops: u64) {
    let chance = Chance(Cell::new(seed | 1));
    let mut numbers = vec![0; setting.targets.len()];
    for _ in 0..ops {
        let at = chance.below(setting.targets.len() as u64) as usize;
        let target = &setting.targets[at];
        numbers[at] += 1;
        let Some(token) = setting.ledger.token(sender, numbers[at]) else {
            return;
        };
        let polls = chance.below(4);
        match chance.below(100) {
            0..25 => drop(target.ask(token).await),
            25..50 => drop(target.tell(token).await),
            50..65 => drop(target.try_tell(token)),
            65..78 => drop(abandon(target.ask(token), polls, false).await),
            78..90 => drop(abandon(target.tell(token), polls, false).await),
            90..92 => {
                // Its token may never be dropped.
                setting.ledger.forgotten.fetch_add(1, SeqCst);
                let _ = abandon(target.ask(token), polls, true).await;
            }
            92..95 => drop(target.crash(token, false).await),
            95..97 => drop(target.crash(token, true).await),
            97 => {
                drop(token);
                target.kill().await;
            }
            _ => {
                drop(token);
                yield_now().await;
            }
        }
        setting.done.fetch_add(1, SeqCst);
    }
}

fn thread(setting: &Setting, sender: usize, ops: u64) {
    for number in 1..=ops {
        let target = &setting.targets[number as usize % setting.targets.len()];
        let Some(token) = setting.ledger.token(sender, number) else {
            return;
        };
        let _ = target.ask_blocking(token);
        setting.done.fetch_add(1, SeqCst);
    }
}

/// Actors that come and go, with what is in their hands.
async fn short_lives(ledger: Arc<Ledger>, sender: usize, seed: u64, ops: u64) {
    let chance = Chance(Cell::new(seed | 1));
    let mut number = 0;
    while number < ops {
        let start = Waiter::start(chance.below(3));
        let Some(Ok(waiter)) = abandon(start, 1 + chance.below(9), false).await else {
            number += 1;
            continue;
        };
        let mut asks = Vec::new();
        for _ in 0..1 + chance.below(6) {
            number += 1;
            let Some(token) = ledger.token(sender, number) else {
                return;
            };
            let (waiter, yields, polls) = (waiter.clone(), chance.below(6), chance.below(12));
            let is_alone = chance.below(2) == 0;
            if is_alone && chance.below(2) == 0 {
                let _ = waiter.alone(token, yields).try_tell();
                continue;
            }
            // Each of its own goroutine: these may overtake each other.
            asks.push(go(async move {
                abandon(waiter.beside(token, yields).into_future(), polls, false).await
            }));
        }
        for _ in 0..chance.below(4) {
            yield_now().await;
        }
        match chance.below(4) {
            0 => drop(waiter.kill().await),
            1 => drop(waiter.stop().await),
            2 => drop(abandon(waiter.stop(), 1, false).await),
            _ => {}
        }
        drop(waiter);
        for ask in asks {
            let _ = ask.await;
        }
    }
}

fn main() {
    let (mut ops, mut seed) = (20_000, 1);
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        // Other arguments are those of a `cargo test` that filters.
        let mut number = || args.next().and_then(|n| n.parse().ok());
        match arg.as_str() {
            "--ops" => ops = number().expect("--ops N"),
            "--seed" => seed = number().expect("--seed N"),
            _ => {}
        }
    }
    run(ops, seed);
}

fn run(ops: u64, seed: u64) {
    std::panic::set_hook(Box::new(|info| {
        let text = info.to_string();
        if !text.contains("on purpose") && !text.contains("a bomb") {
            violation(&text);
        }
    }));
    let runtime = Runtime::builder()
        .procs(4)
        .on_deadlock(DeadlockPolicy::Panic)
        .build()
        .expect("threads");
    let ledger = Arc::new(Ledger {
        fates: (0..ops as usize * 2).map(|_| AtomicU8::new(0)).collect(),
        next: AtomicUsize::new(0),
        forgotten: AtomicUsize::new(0),
    });
    let began = std::time::Instant::now();
    let setting = runtime.block_on(all(Arc::clone(&ledger), ops, seed));
    drop(runtime);

    let next = ledger.next.load(SeqCst).min(ledger.fates.len());
    let left = ledger.fates[..next]
        .iter()
        .filter(|fate| fate.load(SeqCst) == ALIVE)
        .count();
    let forgotten = ledger.forgotten.load(SeqCst);
    if left > forgotten {
        violation(&format!(
            "{left} tokens are left, {forgotten} were forgotten"
        ));
    }
    println!(
        "seed {seed}: {} operations on actors, {next} tokens, {left} of {forgotten} forgotten ones left, \
         {:.2} s  ok",
        setting,
        began.elapsed().as_secs_f64()
    );
}

async fn all(ledger: Arc<Ledger>, ops: u64, seed: u64) -> u64 {
    let mut tree = Supervisor::one_for_one("stress").intensity(u32::MAX, Duration::from_secs(1));
    let mut targets = Vec::new();
    macro_rules! child {
        ($($name:ident)*) => {$(
            let child = $name::child(stringify!($name));
            targets.push(Target::$name(child.handle()));
            tree = tree.child(child);
        )*};
    }
    child!(Plain Narrow Rendezvous Special Large Sync);
    let tree = tree.start().await.expect("it starts");
    let setting = Arc::new(Setting {
        targets,
        ledger: Arc::clone(&ledger),
        done: AtomicU64::new(0),
    });

    const CUSTOMERS: u64 = 8;
    let each = ops / (CUSTOMERS + 2);
    let mut goroutines: Vec<_> = (0..CUSTOMERS)
        .map(|n| {
            let seed = seed.wrapping_mul(0x9e37_79b9).wrapping_add(n * 7919);
            go(customer(Arc::clone(&setting), n as usize, seed, each))
        })
        .collect();
    goroutines.push(go(short_lives(ledger, 0, seed ^ 0xabcd, each)));
    let threads: Vec<_> = (0..2)
        .map(|n| {
            let setting = Arc::clone(&setting);
            let ops = each / 4;
            std::thread::spawn(move || thread(&setting, CUSTOMERS as usize + n, ops))
        })
        .collect();
    for goroutine in goroutines {
        goroutine.await.expect("no customer panics");
    }
    while threads.iter().any(|thread| !thread.is_finished()) {
        sleep(Duration::from_millis(1)).await;
    }
    tree.stop().await;
    setting.done.load(SeqCst)
}
