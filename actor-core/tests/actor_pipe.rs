//! Futures piped to an actor and streams attached to it: order, back-pressure, and every end.

use std::future::pending;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use actor_core::actor::{Attachment, CallError, ExitReason, StopReason, dead_letters};
use actor_core::chan::{Receiver, Sender, buffered, rendezvous};
use actor_core::prelude::*;
use actor_core::sim::Sim;
use futures_core::Stream;

/// Says when it is dropped.
#[derive(Debug)]
struct OnDrop(Sender<&'static str>, &'static str);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.try_send(self.1).unwrap();
    }
}

struct Worker {
    seen: Sender<String>,
    attached: Option<Attachment>,
}

#[actor(mailbox = buffered(4))]
impl Worker {
    #[init]
    fn new(seen: Sender<String>) -> Self {
        Worker {
            seen,
            attached: None,
        }
    }

    /// Answers with what comes through `from`.
    pub fn fetch(&mut self, from: Receiver<u64>, reply: Reply<u64>, ctx: &Ctx<Self>) {
        let fetch = async move { from.recv().await.unwrap_or(0) };
        ctx.pipe(fetch, |me, n| me.fetched(n).answering(reply));
    }

    pub fn fetched(&mut self, n: u64) -> u64 {
        self.note(format!("fetched {n}"));
        n * 2
    }

    pub fn hang(&mut self, guard: Guard, ctx: &Ctx<Self>) {
        self.attached = Some(ctx.pipe(
            async move {
                let _guard = guard;
                pending::<u64>().await
            },
            |me, n| me.fetched(n),
        ));
    }

    pub fn detach(&mut self) {
        self.attached.as_ref().unwrap().detach();
    }

    pub fn is_detached(&mut self) -> bool {
        self.attached.as_ref().unwrap().is_finished()
    }

    pub fn pipe_a_panic(&mut self, ctx: &Ctx<Self>) {
        ctx.pipe(async { panic!("beside") }, |me, n: u64| me.fetched(n));
    }

    pub fn pipe_a_caught_panic(&mut self, reply: Reply<String>, ctx: &Ctx<Self>) {
        let outcome = go(async { panic!("beside") });
        ctx.pipe(outcome, |me, outcome: Result<(), _>| {
            me.told(outcome.unwrap_err().to_string()).answering(reply)
        });
    }

    pub fn told(&mut self, what: String) -> String {
        what
    }

    pub fn attach(&mut self, items: Receiver<u64>, guard: Option<Guard>, ctx: &Ctx<Self>) {
        let stream = Guarded(Box::pin(items.into_stream()), guard);
        self.attached = Some(ctx.attach_then(stream, |me, n| me.item(n), |me| me.end_of_items()));
    }

    pub async fn item(&mut self, n: u64) {
        self.note(format!("item {n}"));
    }

    pub fn end_of_items(&mut self) {
        self.note("end".into());
    }

    pub async fn block(&mut self, entered: Sender<()>, open: Receiver<()>) {
        entered.send(()).await.unwrap();
        open.recv().await;
    }

    pub fn ping(&mut self) {
        self.note("ping".into());
    }

    pub fn crash(&mut self) {
        panic!("told to");
    }

    fn note(&self, what: String) {
        self.seen.try_send(what).unwrap();
    }

    #[stopped]
    fn close(self, why: StopReason) {
        self.note(format!("stopped {why:?}"));
    }
}

/// Held by what works beside the actor.
#[derive(Debug)]
pub struct Guard(#[allow(dead_code)] OnDrop);

fn guard(name: &'static str) -> (Guard, Receiver<&'static str>) {
    let (tx, rx) = buffered(1);
    (Guard(OnDrop(tx, name)), rx)
}

struct Guarded<S>(Pin<Box<S>>, #[allow(dead_code)] Option<Guard>);

impl<S: Stream> Stream for Guarded<S> {
    type Item = S::Item;
    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        self.0.as_mut().poll_next(cx)
    }
}

async fn worker() -> (WorkerRef, Receiver<String>) {
    let (seen, log) = buffered(4096);
    (Worker::start(seen).await.unwrap(), log)
}

async fn lines(log: &Receiver<String>, count: usize) -> Vec<String> {
    let mut out = Vec::new();
    for _ in 0..count {
        out.push(log.recv().await.unwrap());
    }
    out
}

#[actor_core::test]
async fn a_piped_future_comes_back_as_a_message_while_the_actor_goes_on() {
    let (worker, log) = worker().await;
    let (bring, from) = rendezvous();
    let asker = worker.clone();
    let asked = go(async move { asker.fetch(from).await });
    bring.send(21).await.unwrap(); // taken by the future, not the actor
    assert_eq!(asked.await.unwrap(), Ok(42));
    let (bring, from) = rendezvous::<u64>();
    worker.fetch(from).tell().await.unwrap();
    worker.ping().await.unwrap();
    drop(bring);
    assert_eq!(lines(&log, 3).await, ["fetched 21", "ping", "fetched 0"]);
}

#[actor_core::test]
async fn what_works_beside_an_actor_is_cancelled_by_each_of_its_ends() {
    for end in ["stop", "kill", "crash", "detach", "handles"] {
        let (worker, _log) = worker().await;
        let (guard, dropped) = guard(end);
        let (stream_guard, stream_dropped) = self::guard(end);
        let (items, inbox) = buffered::<u64>(1);
        worker.attach(inbox, Some(stream_guard)).await.unwrap();
        worker.hang(guard).await.unwrap();
        let ended = worker.wait();
        match end {
            "stop" => drop(worker.stop().await),
            "kill" => drop(worker.kill().await),
            "crash" => assert_eq!(worker.crash().await, Err(CallError::Panicked)),
            "detach" => {
                assert_eq!(worker.is_detached().await, Ok(false));
                worker.detach().await.unwrap();
                assert_eq!(dropped.recv().await, Some(end));
                while !worker.is_detached().await.unwrap() {}
                drop(worker.stop().await);
            }
            _ => {}
        }
        drop(worker);
        ended.await;
        if end != "detach" {
            assert_eq!(dropped.recv().await, Some(end));
        }
        assert_eq!(stream_dropped.recv().await, Some(end));
        assert!(items.send(1).await.is_err(), "its stream is gone");
    }
}

#[actor_core::test]
async fn a_panic_beside_ends_the_incarnation_with_its_text() {
    let (worker, _log) = worker().await;
    worker.pipe_a_panic().tell().await.unwrap();
    assert_eq!(
        worker.wait().await,
        ExitReason::Panicked {
            message: "beside".into()
        }
    );
}

#[actor_core::test]
async fn a_panic_in_a_piped_goroutine_is_a_value() {
    let (worker, _log) = worker().await;
    let told = worker.pipe_a_caught_panic().await.unwrap();
    assert!(told.contains("beside"), "{told}");
    assert_eq!(worker.ping().await, Ok(()));
}

#[actor_core::test]
async fn items_come_in_order_and_then_the_end() {
    let (worker, log) = worker().await;
    let (items, inbox) = buffered(3);
    worker.attach(inbox, None).await.unwrap();
    for n in 0..100 {
        items.send(n).await.unwrap();
    }
    drop(items);
    let mut expected: Vec<_> = (0..100).map(|n| format!("item {n}")).collect();
    expected.push("end".into());
    assert_eq!(lines(&log, 101).await, expected);
    while !worker.is_detached().await.unwrap() {}
}

struct Direct(u64);

/// Takes a message only when it waits for one: what comes from beside has to wake it.
#[actor(mailbox = rendezvous)]
impl Direct {
    #[init]
    fn new() -> Self {
        Direct(0)
    }

    pub fn start_stream(&mut self, numbers: Receiver<u64>, ctx: &Ctx<Self>) {
        ctx.attach(numbers.into_stream(), |me, n| me.add(n));
    }

    pub fn add(&mut self, n: u64) {
        self.0 += n;
    }

    pub fn sum(&mut self) -> u64 {
        self.0
    }

    pub fn pipe_a_panicking_message(&mut self, ctx: &Ctx<Self>) {
        ctx.pipe(async { 1 }, |me, n| {
            assert!(n != 1, "no message of that");
            me.add(n)
        });
    }
}

#[actor_core::test]
async fn an_actor_with_a_rendezvous_mailbox_is_woken_from_beside() {
    let direct = Direct::start().await.unwrap();
    let (numbers, inbox) = buffered(1);
    direct.start_stream(inbox).await.unwrap();
    for n in 1..=100 {
        numbers.send(n).await.unwrap();
        if n % 10 == 0 {
            direct.add(0).await.unwrap();
        }
    }
    while direct.sum().await.unwrap() != 5050 {}
    let ended = direct.wait();
    direct.pipe_a_panicking_message().tell().await.unwrap();
    assert_eq!(
        ended.await,
        ExitReason::Panicked {
            message: "no message of that".into()
        }
    );
}

/// Counts how often it was polled for an item; always has one.
struct Endless(Arc<AtomicUsize>);

impl Stream for Endless {
    type Item = u64;
    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<u64>> {
        Poll::Ready(Some(self.0.fetch_add(1, Ordering::SeqCst) as u64))
    }
}

struct Eater {
    eaten: u64,
}

#[actor]
impl Eater {
    #[init]
    fn new(polls: Arc<AtomicUsize>, ctx: &Ctx<Self>) -> Self {
        ctx.attach(Endless(polls), |me, n| me.eat(n));
        Eater { eaten: 0 }
    }

    pub fn eat(&mut self, n: u64) {
        assert_eq!(n, self.eaten);
        self.eaten += 1;
    }

    pub fn eaten(&mut self) -> u64 {
        self.eaten
    }

    pub async fn block(&mut self, entered: Sender<()>, open: Receiver<()>) {
        entered.send(()).await.unwrap();
        open.recv().await;
    }
}

#[actor_core::test]
async fn a_stream_without_end_feels_the_actors_pace_and_does_not_starve_its_mailbox() {
    let polls = Arc::new(AtomicUsize::new(0));
    let eater = Eater::start(polls.clone()).await.unwrap();
    while eater.eaten().await.unwrap() < 1000 {}
    let (entered, is_in) = buffered(1);
    let (open, gate) = buffered(1);
    eater.block(entered, gate).tell().await.unwrap();
    is_in.recv().await.unwrap();
    // It goes on until its lane is full, and stands still then.
    let mut last = usize::MAX;
    let mut still = 0;
    while still < 100 {
        let now = polls.load(Ordering::SeqCst);
        still = if now == last { still + 1 } else { 0 };
        last = now;
        yield_now().await;
    }
    open.send(()).await.unwrap();
    let eaten = eater.eaten().await.unwrap();
    assert!(
        last as u64 <= eaten + 18,
        "polled {last} times, {eaten} handled"
    );
    drop(eater.stop().await);
}

#[actor_core::test(procs = 1)]
async fn a_full_mailbox_does_not_starve_a_stream() {
    let (worker, log) = worker().await;
    let (items, inbox) = buffered(8);
    worker.attach(inbox, None).await.unwrap();
    let (entered, is_in) = buffered(1);
    let (open, gate) = buffered(1);
    worker.block(entered, gate).tell().await.unwrap();
    is_in.recv().await.unwrap();
    for _ in 0..4 {
        worker.ping().try_tell().unwrap();
    }
    for n in 0..4 {
        items.send(n).await.unwrap();
    }
    while !items.is_empty() {
        yield_now().await; // until they are in the lane
    }
    yield_now().await;
    open.send(()).await.unwrap();
    let lines = lines(&log, 8).await;
    let first_item = lines.iter().position(|line| line == "item 0").unwrap();
    let first_ping = lines.iter().position(|line| line == "ping").unwrap();
    let last_ping = lines.iter().rposition(|line| line == "ping").unwrap();
    assert!(first_item < 3 && first_ping < 3, "by turns: {lines:?}");
    assert!(last_ping > 3, "by turns: {lines:?}");
}

#[actor_core::test]
async fn a_stop_handles_what_has_arrived_and_no_more() {
    let (worker, log) = worker().await;
    let (items, inbox) = buffered(0);
    worker.attach(inbox, None).await.unwrap();
    let (entered, is_in) = buffered(1);
    let (open, gate) = buffered(1);
    worker.block(entered, gate).tell().await.unwrap();
    is_in.recv().await.unwrap();
    items.send(1).await.unwrap();
    items.send(2).await.unwrap(); // 1 is in the lane: it is brought before the next is taken
    let stopped = worker.stop();
    open.send(()).await.unwrap();
    stopped.await;
    let mut seen = Vec::new();
    while let Ok(line) = log.try_recv() {
        seen.push(line);
    }
    assert_eq!(seen.first().map(String::as_str), Some("item 1"));
    assert_eq!(
        seen.last().map(String::as_str),
        Some("stopped Requested"),
        "{seen:?}"
    );
    // Who waits for items is told to end, and may take one more before it does.
    while items.send(3).await.is_ok() {}
}

/// Its incarnations attach one stream each, of a channel of their own.
struct Restarted {
    seen: Sender<String>,
}

#[actor]
impl Restarted {
    #[init]
    fn new(streams: Receiver<Receiver<u64>>, seen: Sender<String>, ctx: &Ctx<Self>) -> Self {
        let items = streams.try_recv().unwrap();
        ctx.attach(items.into_stream(), |me, n| me.item(n));
        Restarted { seen }
    }

    pub fn item(&mut self, n: u64, ctx: &Ctx<Self>) {
        let life = ctx.incarnation();
        self.seen.try_send(format!("life {life} item {n}")).unwrap();
    }

    pub async fn crash(&mut self, entered: Sender<()>, go_on: Receiver<()>) {
        entered.send(()).await.unwrap();
        go_on.recv().await;
        panic!("told to");
    }
}

#[actor_core::test]
async fn nothing_from_beside_an_old_incarnation_reaches_the_next_one() {
    let (first, first_items) = buffered(8);
    let (second, second_items) = buffered(8);
    let (give, streams) = buffered(2);
    give.send(first_items).await.unwrap();
    give.send(second_items).await.unwrap();
    let (seen, log) = buffered(64);
    let child = Restarted::child("restarted", streams, seen);
    let actor: RestartedRef = child.handle();
    let app = Supervisor::one_for_one("app")
        .child(child)
        .start()
        .await
        .unwrap();
    first.send(1).await.unwrap();
    assert_eq!(log.recv().await.unwrap(), "life 1 item 1");
    let (entered, is_in) = buffered(1);
    let (open, gate) = buffered(1);
    let before = dead_letters();
    actor.crash(entered, gate).tell().await.unwrap();
    is_in.recv().await.unwrap();
    first.send(2).await.unwrap();
    first.send(3).await.unwrap();
    while !first.is_empty() {
        yield_now().await;
    }
    second.send(4).await.unwrap();
    open.send(()).await.unwrap();
    assert_eq!(log.recv().await.unwrap(), "life 2 item 4");
    first.closed().await; // its stream is dropped, by now or soon
    assert!(
        dead_letters() > before,
        "what was brought in vain is counted"
    );
    app.stop().await;
    assert!(log.try_recv().is_err());
}

/// Gets exclusive and concurrent messages from beside.
struct Mixed {
    gate: Receiver<()>,
    seen: Sender<u64>,
}

#[actor]
impl Mixed {
    #[init]
    fn new(gate: Receiver<()>, seen: Sender<u64>) -> Self {
        Mixed { gate, seen }
    }

    pub async fn attach_and_hold(&mut self, numbers: Receiver<u64>, ctx: &Ctx<Self>) {
        ctx.attach(numbers.into_stream(), |me, n| match n % 2 {
            0 => me.alone(n),
            _ => me.beside(n),
        });
        self.gate.recv().await;
    }

    pub fn alone(&mut self, n: u64) {
        self.seen.try_send(n).unwrap();
    }

    #[concurrent]
    pub async fn beside(&self, n: u64) {
        self.seen.try_send(n).unwrap();
    }
}

#[actor_core::test(sim, seeds = 50)]
async fn all_kinds_of_messages_from_beside_are_handled_before_the_end(sim: &Sim) {
    let (open, gate) = buffered(1);
    let (seen, log) = buffered(8);
    let (give, numbers) = buffered(4);
    for n in 0..4 {
        give.try_send(n).unwrap();
    }
    let mixed = Mixed::start(gate, seen).await.unwrap();
    mixed.attach_and_hold(numbers).tell().await.unwrap();
    sim.settle().await;
    let ended = mixed.stop();
    open.send(()).await.unwrap();
    assert_eq!(ended.await, ExitReason::Normal);
    for n in 0..4 {
        assert_eq!(log.try_recv(), Ok(n));
    }
}
