//! Concurrent handlers on several cores: what runs at the same time, what never does, and how it
//! ends when some of them compute and can't be stopped.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::time::Duration;

use actor_core::actor::DeadLetterReason::Stopped;
use actor_core::actor::{CallError, ExitReason, subscribe_dead_letters};
use actor_core::chan::{Receiver, Sender, buffered};
use actor_core::prelude::*;
use actor_core::sched::JoinHandle;
use actor_core::{Runtime, sim};

/// So that what never comes is a failure.
const LONG: Duration = Duration::from_secs(30);

/// Where threads, not goroutines, wait for each other.
#[derive(Default)]
struct Meeting {
    here: Mutex<usize>,
    changed: Condvar,
}

impl Meeting {
    /// Blocks the thread until so many are here.
    fn meet(&self, all: usize) {
        let mut here = self.here.lock().unwrap();
        *here += 1;
        self.changed.notify_all();
        let few = |here: &mut usize| *here < all;
        let (_here, late) = (self.changed.wait_timeout_while(here, LONG, few)).unwrap();
        assert!(!late.timed_out(), "the others have not begun");
    }
}

/// Blocks the thread, as one that computes for long does.
fn block(until: &mpsc::Receiver<()>) {
    until.recv_timeout(LONG).expect("nobody opens");
}

struct Crew {
    log: Sender<String>,
    meeting: Meeting,
    readers: AtomicUsize,
    wrote: u64,
}

#[actor(mailbox = buffered(256))]
impl Crew {
    #[init]
    fn new(log: Sender<String>) -> Self {
        let _ = log.try_send("init".into());
        Crew {
            log,
            meeting: Meeting::default(),
            readers: AtomicUsize::new(0),
            wrote: 0,
        }
    }

    #[concurrent]
    pub fn meet(&self, all: usize) {
        self.meeting.meet(all);
    }

    #[concurrent]
    pub async fn meet_and_wait(&self, all: usize) {
        yield_now().await;
        self.meeting.meet(all);
        yield_now().await;
    }

    /// Has its thread until it may go on.
    #[concurrent]
    pub fn block(&self, until: Blocked) -> u64 {
        let _done = Logged(&self.log, "unblocked");
        self.say("blocks");
        block(&until.0);
        7
    }

    #[concurrent]
    pub async fn linger(&self, door: Receiver<()>) {
        let _done = Logged(&self.log, "waited");
        self.say("waits");
        door.recv().await;
    }

    #[concurrent]
    pub async fn linger_as(&self, who: usize, door: Receiver<()>) {
        self.say(&format!("{who} waits "));
        door.recv().await;
        self.say(&format!("{who} goes on "));
    }

    #[concurrent]
    pub fn tear(&self) {
        panic!("torn");
    }

    #[concurrent]
    #[limit(millis = 1)]
    pub async fn be_late(&self, door: Receiver<()>) {
        self.say("late");
        door.recv().await;
    }

    /// Adds up for a while; nobody writes meanwhile.
    #[concurrent]
    pub fn read(&self) -> u64 {
        self.readers.fetch_add(1, SeqCst);
        let before = self.wrote;
        let mut sum = 0_u64;
        for n in 0..300 {
            sum = std::hint::black_box(sum.wrapping_mul(31) + n);
        }
        assert!(sum != 1 && self.wrote == before);
        self.readers.fetch_sub(1, SeqCst);
        before
    }

    pub fn write(&mut self) -> u64 {
        let readers = *self.readers.get_mut();
        assert_eq!(readers, 0, "somebody reads");
        self.wrote += 1;
        assert_eq!(self.readers.load(SeqCst), 0, "somebody reads meanwhile");
        self.wrote
    }

    fn say(&self, what: &str) {
        self.log.try_send(what.into()).unwrap();
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        let _ = self.log.try_send("dropped".into());
    }
}

struct Blocked(mpsc::Receiver<()>);

struct Logged<'a>(&'a Sender<String>, &'static str);

impl Drop for Logged<'_> {
    fn drop(&mut self) {
        let _ = self.0.try_send(self.1.into());
    }
}

fn blocked() -> (mpsc::Sender<()>, Blocked) {
    let (open, until) = mpsc::channel();
    (open, Blocked(until))
}

async fn crew() -> (CrewRef, Receiver<String>) {
    let (log, lines) = buffered(4096);
    let crew = Crew::start(log).await.unwrap();
    expect(&lines, &["init"]).await;
    (crew, lines)
}

/// Has one of the crew block its thread until it is told to go on; it returns 7 then.
async fn one_that_computes(
    crew: &CrewRef,
    log: &Receiver<String>,
) -> (mpsc::Sender<()>, JoinHandle<Result<u64, CallError>>) {
    let (open, until) = blocked();
    let crew = crew.clone();
    let blocking = go(async move { crew.block(until).await });
    expect(log, &["blocks"]).await;
    (open, blocking)
}

async fn expect(log: &Receiver<String>, lines: &[&str]) {
    for line in lines {
        assert_eq!(log.recv().await.as_deref(), Some(*line));
    }
}

#[actor_core::test(procs = 4)]
async fn handlers_that_block_their_threads_until_the_others_have_begun_all_return() {
    let (crew, _log) = crew().await;
    let meet = |n: usize| {
        let crew = crew.clone();
        go(async move {
            if n.is_multiple_of(2) {
                crew.meet(4).await
            } else {
                crew.meet_and_wait(4).await
            }
        })
    };
    let all: Vec<_> = (0..4).map(meet).collect();
    for one in all {
        assert_eq!(one.await.unwrap(), Ok(()));
    }
}

#[actor_core::test(procs = 4)]
async fn one_that_blocks_its_thread_holds_up_no_other_concurrent_handler() {
    let (crew, log) = crew().await;
    let (open, blocking) = one_that_computes(&crew, &log).await;
    for _ in 0..100 {
        assert_eq!(crew.read().await, Ok(0));
    }
    open.send(()).unwrap();
    assert_eq!(blocking.await.unwrap(), Ok(7));
}

#[actor_core::test(procs = 4)]
async fn an_exclusive_handler_never_runs_beside_another() {
    let (crew, _log) = crew().await;
    let clients: Vec<_> = (0..8)
        .map(|who| {
            let crew = crew.clone();
            go(async move {
                let mut seen = 0;
                for n in 0..300 {
                    let now = if (who + n) % 7 == 0 {
                        crew.write().await.unwrap()
                    } else {
                        crew.read().await.unwrap()
                    };
                    assert!(now >= seen, "time goes on");
                    seen = now;
                }
            })
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
    assert_eq!(crew.stop().await, ExitReason::Normal);
}

#[actor_core::test(procs = 4)]
async fn a_stop_waits_for_one_that_computes() {
    let (crew, log) = crew().await;
    let (open, blocking) = one_that_computes(&crew, &log).await;
    let stopped = go(crew.stop_now());
    for _ in 0..100 {
        yield_now().await;
    }
    assert!(!stopped.is_finished() && log.is_empty());
    open.send(()).unwrap();
    assert_eq!(blocking.await.unwrap(), Ok(7));
    assert_eq!(stopped.await.unwrap(), ExitReason::Normal);
    expect(&log, &["unblocked", "dropped"]).await;
}

#[actor_core::test(procs = 4)]
async fn the_end_by_a_kill_is_told_when_the_last_that_computes_is_done_and_the_state_dropped() {
    let (log_to, log) = buffered(4096);
    let child = Crew::child("crew", log_to.clone());
    let crew = child.handle();
    let app = (Supervisor::one_for_one("app").child(child).start().await).unwrap();
    expect(&log, &["init"]).await;
    let (open, blocking) = one_that_computes(&crew, &log).await;
    let (_never, door) = buffered(1);
    let waiter = crew.clone();
    let waiting = go(async move { waiter.linger(door).await });
    expect(&log, &["waits"]).await;
    let killed = go(crew.kill());
    // The one that waits is gone at once, and the next incarnation begins after the other.
    assert_eq!(waiting.await.unwrap(), Err(CallError::Stopped));
    expect(&log, &["waited"]).await;
    for _ in 0..100 {
        yield_now().await;
    }
    assert!(!killed.is_finished() && log.is_empty());
    open.send(()).unwrap();
    assert_eq!(blocking.await.unwrap(), Ok(7), "it could finish");
    killed.await.unwrap();
    expect(&log, &["unblocked", "dropped", "init"]).await;
    assert_eq!(crew.read().await, Ok(0));
    app.stop().await;
    expect(&log, &["dropped"]).await;
}

#[actor_core::test(procs = 4)]
async fn a_panic_waits_for_one_that_computes_which_may_answer() {
    let (crew, log) = crew().await;
    let (open, blocking) = one_that_computes(&crew, &log).await;
    let (_never, door) = buffered(1);
    let waiter = crew.clone();
    let waiting = go(async move { waiter.linger(door).await });
    expect(&log, &["waits"]).await;
    assert_eq!(crew.tear().await, Err(CallError::Panicked));
    assert_eq!(waiting.await.unwrap(), Err(CallError::Stopped));
    expect(&log, &["waited"]).await;
    assert!(!crew.is_stopped() && log.is_empty());
    open.send(()).unwrap();
    assert_eq!(blocking.await.unwrap(), Ok(7));
    let torn = ExitReason::Panicked {
        message: "torn".into(),
    };
    assert_eq!(crew.wait().await, torn);
    expect(&log, &["unblocked", "dropped"]).await;
}

#[actor_core::test(procs = 4)]
async fn of_many_that_panic_at_once_each_asker_is_told_and_one_is_the_reason() {
    for _ in 0..50 {
        let (crew, log) = crew().await;
        let tearing: Vec<_> = (0..8)
            .map(|_| {
                let crew = crew.clone();
                go(async move { crew.tear().await })
            })
            .collect();
        let mut panicked = 0;
        for one in tearing {
            match one.await.unwrap() {
                Err(CallError::Panicked) => panicked += 1,
                other => assert_eq!(other, Err(CallError::Stopped)),
            }
        }
        assert!(panicked >= 1);
        assert!(matches!(crew.wait().await, ExitReason::Panicked { .. }));
        expect(&log, &["dropped"]).await;
    }
}

#[test]
fn a_handler_that_was_started_and_never_ran_is_a_dead_letter() {
    let fates = Arc::new(Mutex::new([0; 2]));
    let seen = fates.clone();
    sim::check(move |_| {
        let seen = seen.clone();
        async move {
            let (crew, log) = crew().await;
            let letters = subscribe_dead_letters(16);
            let (_never, door) = buffered(1);
            crew.tear().tell().await.unwrap();
            crew.linger(door).tell().await.unwrap();
            assert!(matches!(crew.wait().await, ExitReason::Panicked { .. }));
            let lines: Vec<_> = std::iter::from_fn(|| log.try_recv().ok()).collect();
            let ran = lines.contains(&"waits".to_owned());
            // In those seeds in which it was still queued, it is one anyway.
            let letter = std::iter::from_fn(|| letters.try_recv())
                .find(|letter| (letter.message, letter.reason) == ("linger", Stopped));
            assert_eq!(letter.is_some(), !ran, "one fate: {lines:?}");
            assert_eq!(lines.last().map(String::as_str), Some("dropped"));
            seen.lock().unwrap()[usize::from(ran)] += 1;
        }
    })
    .seeds(100)
    .run();
    let fates = *fates.lock().unwrap();
    assert!(fates[0] > 0 && fates[1] > 0, "{fates:?}");
}

#[actor_core::test(procs = 4)]
async fn a_time_limit_waits_for_one_that_computes() {
    let (crew, log) = crew().await;
    let (open, blocking) = one_that_computes(&crew, &log).await;
    let (_never, door) = buffered(1);
    let late = crew.clone();
    let late = go(async move { late.be_late(door).await });
    assert_eq!(late.await.unwrap(), Err(CallError::TimedOut));
    expect(&log, &["late"]).await;
    assert!(!crew.is_stopped() && log.is_empty());
    open.send(()).unwrap();
    assert_eq!(blocking.await.unwrap(), Ok(7));
    assert!(matches!(crew.wait().await, ExitReason::TimedOut { .. }));
    expect(&log, &["unblocked", "dropped"]).await;
}

#[test]
fn a_runtime_that_ends_waits_for_one_that_computes_and_drops_the_rest() {
    let runtime = Runtime::builder().procs(4).build().unwrap();
    let (_never, door) = buffered::<()>(1);
    let (open, log) = runtime.block_on(async move {
        let (crew, log) = crew().await;
        let (open, _) = one_that_computes(&crew, &log).await;
        go(async move { crew.linger(door).await });
        expect(&log, &["waits"]).await;
        (open, log)
    });
    let ending = std::thread::spawn(move || drop(runtime));
    assert_eq!(log.recv_blocking().as_deref(), Some("waited"));
    open.send(()).unwrap();
    ending.join().unwrap();
    assert_eq!(log.try_recv().as_deref(), Ok("unblocked"));
    assert_eq!(log.try_recv().as_deref(), Ok("dropped"));
}

/// The state's `Drop` panics, and a handler's own as well.
struct Brittle {
    begun: Sender<()>,
}

#[actor]
impl Brittle {
    #[init]
    fn new(begun: Sender<()>) -> Self {
        Brittle { begun }
    }

    #[concurrent]
    pub async fn linger(&self) {
        let _shard = Shard;
        self.begun.try_send(()).unwrap();
        std::future::pending::<()>().await;
    }

    #[concurrent]
    pub async fn tear(&self) {
        panic!("torn");
    }

    #[concurrent]
    pub async fn pipe_a_panic(&self, ctx: &Ctx<Self>) {
        ctx.pipe(async { panic!("beside") }, |me, ()| me.tear());
    }
}

impl Drop for Brittle {
    fn drop(&mut self) {
        panic!("the state breaks");
    }
}

struct Shard;

impl Drop for Shard {
    fn drop(&mut self) {
        panic!("a shard breaks");
    }
}

#[actor_core::test(procs = 2)]
async fn panics_of_drops_at_the_end_change_nothing_about_it() {
    let panicked = |message: &str| ExitReason::Panicked {
        message: message.into(),
    };
    for ends_with in [ExitReason::Killed, panicked("torn"), panicked("beside")] {
        let (begun, begins) = buffered(1);
        let brittle = Brittle::start(begun).await.unwrap();
        let other = brittle.clone();
        let waiting = go(async move { other.linger().await });
        begins.recv().await;
        match &ends_with {
            ExitReason::Killed => drop(brittle.kill()),
            ExitReason::Panicked { message } if message == "torn" => {
                assert_eq!(brittle.tear().await, Err(CallError::Panicked));
            }
            _ => brittle.pipe_a_panic().tell().await.unwrap(),
        }
        assert_eq!(brittle.wait().await, ends_with);
        assert!(waiting.await.unwrap().is_err());
    }
}

/// Everything at random: whatever the seed, readers and writers keep out of each other's way, each
/// message has one fate, and a state is dropped before the next is made.
struct Shop {
    states: Arc<AtomicUsize>,
    readers: AtomicUsize,
    writing: AtomicBool,
    limited: AtomicUsize,
    sold: AtomicU64,
}

#[actor(mailbox = buffered(4))]
impl Shop {
    #[init]
    fn new(states: Arc<AtomicUsize>) -> Self {
        assert_eq!(states.fetch_add(1, SeqCst), 0, "the former state lives");
        Shop {
            states,
            readers: AtomicUsize::new(0),
            writing: AtomicBool::new(false),
            limited: AtomicUsize::new(0),
            sold: AtomicU64::new(0),
        }
    }

    #[concurrent]
    pub async fn look(&self, steps: u64) -> u64 {
        let _in = Inside::enter(&self.readers);
        for _ in 0..steps {
            assert!(!self.writing.load(SeqCst));
            yield_now().await;
        }
        if steps == 3 {
            sleep(Duration::from_millis(steps)).await;
        }
        assert!(!self.writing.load(SeqCst));
        self.sold.load(SeqCst)
    }

    #[concurrent(max = 2)]
    pub async fn try_on(&self, steps: u64) {
        let (_in, _limited) = (Inside::enter(&self.readers), Inside::enter(&self.limited));
        assert!(self.limited.load(SeqCst) <= 2);
        for _ in 0..steps {
            yield_now().await;
        }
        assert!(!self.writing.load(SeqCst));
        assert!(steps != 5, "it doesn't fit");
    }

    pub async fn sell(&mut self, steps: u64) {
        assert_eq!(self.readers.load(SeqCst), 0);
        self.writing.store(true, SeqCst);
        for _ in 0..steps {
            yield_now().await;
            assert_eq!(self.readers.load(SeqCst), 0);
        }
        *self.sold.get_mut() += 1;
        self.writing.store(false, SeqCst);
    }

    #[every(millis = 2)]
    fn tick(&mut self) {
        assert_eq!(self.readers.load(SeqCst), 0);
        assert!(!self.writing.load(SeqCst));
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        // A kill may have cut a sale short, but no reader is left.
        let left = *self.readers.get_mut();
        self.states.fetch_sub(1, SeqCst);
        assert_eq!(left, 0, "dropped under a reader");
    }
}

struct Inside<'a>(&'a AtomicUsize);

impl<'a> Inside<'a> {
    fn enter(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, SeqCst);
        Self(count)
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

async fn shop_at_random(rounds: u64, mut random: impl FnMut(u64) -> u64) {
    let states = Arc::new(AtomicUsize::new(0));
    let child = Shop::child("shop", states.clone());
    let shop = child.handle();
    let app = Supervisor::one_for_one("app")
        .intensity(1000, Duration::from_secs(1))
        .child(child)
        .start()
        .await
        .unwrap();
    let mut clients = Vec::new();
    for _ in 0..rounds {
        let (shop, what, steps) = (shop.clone(), random(20), random(4));
        clients.push(go(async move {
            let outcome = match what {
                0..9 => shop.look(steps).await.map(drop),
                9..14 => shop.try_on(steps).await,
                14 => shop.try_on(5).await,
                15 => {
                    shop.kill().await;
                    Ok(())
                }
                _ => shop.sell(steps).await,
            };
            match outcome {
                Ok(()) | Err(CallError::Panicked | CallError::Stopped) => {}
                Err(other) => panic!("{other}"),
            }
        }));
    }
    for client in clients {
        client.await.unwrap();
    }
    app.stop().await;
    assert_eq!(states.load(SeqCst), 0);
}

fn numbers(seed: u64) -> impl FnMut(u64) -> u64 {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    move |below| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    }
}

#[test]
fn under_every_seed_readers_and_writers_keep_out_of_each_others_way() {
    sim::check(|sim| async move {
        shop_at_random(40, |below| u64::from(sim.below(below as u32))).await;
    })
    .seeds(200)
    .run();
}

#[actor_core::test(procs = 4)]
async fn on_cores_as_well_readers_and_writers_keep_out_of_each_others_way() {
    for seed in 0..20 {
        shop_at_random(60, numbers(seed)).await;
    }
}

#[test]
fn in_a_simulation_the_seed_chooses_which_handler_goes_on() {
    let orders = Arc::new(Mutex::new(std::collections::HashSet::new()));
    let seen = orders.clone();
    sim::check(move |_| {
        let seen = seen.clone();
        async move {
            let (crew, log) = crew().await;
            let doors: Vec<_> = (0..3).map(|_| buffered(1)).collect();
            let asks: Vec<_> = doors
                .iter()
                .enumerate()
                .map(|(n, (open, door))| {
                    let (crew, door) = (crew.clone(), door.clone());
                    open.try_send(()).unwrap();
                    go(async move { crew.linger_as(n, door).await })
                })
                .collect();
            for ask in asks {
                ask.await.unwrap().unwrap();
            }
            let mut order = String::new();
            while let Ok(line) = log.try_recv() {
                order += &line;
            }
            seen.lock().unwrap().insert(order);
        }
    })
    .seeds(100)
    .run();
    assert!(orders.lock().unwrap().len() > 3, "{orders:?}");
}
