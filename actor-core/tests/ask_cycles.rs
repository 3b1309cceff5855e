//! Promise 4 for actors: an ask that would close a cycle is told so at once, with names.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use actor_core::actor::Batch;
use actor_core::prelude::*;
use actor_core::sync::{Mutex, WaitGroup};
use actor_core::{Deadlock, chan, sleep, timeout, yield_now};

/// An actor that does what it is asked to do with another one of its kind.
struct Node {
    next: Option<NodeRef>,
    lock: Arc<Mutex<u64>>,
}

#[actor(mailbox = buffered(2))]
impl Node {
    #[init]
    fn new(lock: Arc<Mutex<u64>>) -> Self {
        Self { next: None, lock }
    }

    pub fn set_next(&mut self, next: NodeRef) {
        self.next = Some(next);
    }

    pub fn ping(&mut self) -> u32 {
        1
    }

    /// Asks the next one, `hops` times; 0 answers.
    pub async fn visit(&mut self, hops: u32) -> Result<u32, String> {
        match (&self.next, hops) {
            (Some(next), 1..) => next.visit(hops - 1).await.map_err(|e| told(&e)),
            _ => Ok(hops),
        }
    }

    pub async fn visit_in_time(&mut self, hops: u32) -> Result<u32, String> {
        let next = self.next.clone().expect("set");
        let asked = next.visit(hops).timeout(Duration::from_millis(30)).await;
        asked.map_err(|e| told(&e))
    }

    /// Tells the next one so often that its mailbox is full, and waits for room.
    pub async fn flood(&mut self, n: u32) -> Result<(), String> {
        let next = self.next.clone().expect("set");
        for _ in 0..n {
            next.ping().await.map_err(|e| told(&e))?;
        }
        Ok(())
    }

    /// Asks the next one, has its answer, and waits for something else.
    pub async fn ping_and_wait(&mut self, begun: WaitGroup, gate: WaitGroup) {
        let next = self.next.clone().expect("set");
        next.ping().await.unwrap();
        begun.done();
        gate.wait().await;
    }

    pub async fn with_the_lock(&mut self) -> Result<u32, String> {
        let lock = self.lock.clone();
        let _held = lock.lock().await;
        let next = self.next.clone().expect("set");
        next.needs_the_lock().await.map_err(|e| told(&e))
    }

    pub async fn needs_the_lock(&mut self) -> Result<u32, String> {
        match self.lock.lock_checked().await {
            Ok(held) => Ok(*held as u32),
            Err(cycle) => Err(cycle.to_string()),
        }
    }
}

fn told<E: std::fmt::Display>(error: &CallError<E>) -> String {
    match error {
        CallError::Deadlock { cycle } => format!("told: {cycle}"),
        other => other.to_string(),
    }
}

async fn ring(n: usize) -> Vec<NodeRef> {
    let lock = Arc::new(Mutex::new(0));
    let mut nodes = Vec::new();
    for _ in 0..n {
        nodes.push(Node::start(lock.clone()).await.unwrap());
    }
    for at in 0..n {
        nodes[at]
            .set_next(nodes[(at + 1) % n].clone())
            .await
            .unwrap();
    }
    nodes
}

fn failed(error: CallError<String>) -> String {
    error.into_failed().expect("the handler reports the cycle")
}

#[actor_core::test]
async fn an_actor_that_asks_itself_is_told_at_once() {
    let nodes = ring(1).await;
    let text = failed(nodes[0].visit(1).await.unwrap_err());
    assert!(text.starts_with("told: deadlock: actor Node#"), "{text}");
    assert!(
        text.contains("waits for itself (message `visit`)"),
        "{text}"
    );
    assert_eq!(nodes[0].ping().await, Ok(1), "it goes on");
}

#[actor_core::test]
async fn the_last_of_a_ring_is_told_and_all_actors_and_methods_are_named() {
    for n in [2, 3, 7] {
        let nodes = ring(n).await;
        let text = failed(nodes[0].visit(n as u32).await.unwrap_err());
        // It went through all handlers back to the first.
        assert!(text.contains("deadlock: a cycle of waits"), "{text}");
        for node in &nodes {
            let name = format!("actor Node#{}", node.id());
            assert!(text.contains(&name), "{name} is missing in {text}");
        }
        assert_eq!(text.matches("(message `visit`)").count(), n, "{text}");
        for node in &nodes {
            assert_eq!(node.ping().await, Ok(1), "each of them goes on");
        }
    }
}

#[actor_core::test]
async fn a_chain_that_ends_before_it_comes_back_is_no_cycle() {
    let nodes = ring(5).await;
    for _ in 0..200 {
        assert_eq!(nodes[0].visit(4).await, Ok(0));
    }
}

#[actor_core::test]
async fn two_that_ask_each_other_at_once_are_told_once_per_cycle() {
    let nodes = ring(2).await;
    let mut told = 0;
    for _ in 0..300 {
        let (a, b) = (nodes[0].clone(), nodes[1].clone());
        let one = go(async move { a.visit(1).await });
        let two = go(async move { b.visit(1).await });
        let results = [one.await.unwrap(), two.await.unwrap()];
        let errors: Vec<_> = results.into_iter().filter_map(Result::err).collect();
        // They meet in a cycle or just miss each other; both told would be one too many.
        assert!(errors.len() <= 1, "{errors:?}");
        told += errors.len();
    }
    // With no cycle in 300 rounds this test would show nothing.
    let forced = failed(nodes[0].visit(2).await.unwrap_err());
    assert!(told > 0 || forced.contains("cycle"), "{forced}");
}

#[actor_core::test]
async fn an_ask_with_a_timeout_has_a_way_out() {
    let nodes = ring(2).await;
    let text = failed(nodes[0].visit_in_time(1).await.unwrap_err());
    // The second one asks the first, without a timeout; the first one's runs out.
    assert!(text.contains("in time"), "{text}");
}

#[actor_core::test]
async fn a_cycle_through_an_ask_and_a_lock_is_found() {
    let nodes = ring(2).await;
    let text = failed(nodes[0].with_the_lock().await.unwrap_err());
    assert!(text.contains("mutex #1, held by goroutine"), "{text}");
    assert!(text.contains("::Node\""), "{text}");
    assert!(text.contains("(message `needs_the_lock`)"), "{text}");
}

struct Flooder {
    other: Option<FlooderRef>,
    started: chan::Sender<()>,
    go: chan::Receiver<()>,
}

#[actor(mailbox = buffered(1))]
impl Flooder {
    #[init]
    fn new(started: chan::Sender<()>, go: chan::Receiver<()>) -> Self {
        Self {
            other: None,
            started,
            go,
        }
    }

    pub fn know(&mut self, other: FlooderRef) {
        self.other = Some(other);
    }

    pub fn note(&mut self) {}

    /// Fills the other's mailbox while that one does the same, then asks it: no room, for either.
    pub async fn fill(&mut self) -> Option<Deadlock> {
        let other = self.other.clone().expect("known");
        self.started.send(()).await.unwrap();
        self.go.recv().await;
        while other.note().try_tell().is_ok() {}
        match other.note().await {
            Err(CallError::Deadlock { cycle }) => Some(*cycle),
            _ => None,
        }
    }
}

#[actor_core::test]
async fn a_cycle_through_full_mailboxes_is_found() {
    let (started, begun) = chan::rendezvous();
    let (start, wait) = chan::buffered(2);
    let a = Flooder::start(started.clone(), wait.clone()).await.unwrap();
    let b = Flooder::start(started, wait).await.unwrap();
    a.know(b.clone()).await.unwrap();
    b.know(a.clone()).await.unwrap();
    let (one, two) = (a.clone(), b.clone());
    let one = go(async move { one.fill().await.unwrap() });
    let two = go(async move { two.fill().await.unwrap() });
    for _ in 0..2 {
        begun.recv().await;
    }
    for _ in 0..2 {
        start.send(()).await.unwrap();
    }
    let told: Vec<_> = [one.await.unwrap(), two.await.unwrap()]
        .into_iter()
        .flatten()
        .collect();
    assert_eq!(told.len(), 1, "one of the two is told: {told:?}");
    assert!(
        told[0].to_string().contains("(message `note`)"),
        "{}",
        told[0]
    );
}

struct Timed(Option<TimedRef>);

#[actor]
impl Timed {
    #[init]
    fn new() -> Self {
        Self(None)
    }

    #[every(millis = 5)]
    fn tick(&mut self) {}

    pub fn know(&mut self, other: TimedRef) {
        self.0 = Some(other);
    }

    pub async fn bounce(&mut self, n: u32) -> Option<String> {
        match (&self.0, n) {
            (Some(other), 1..) => match other.bounce(n - 1).await {
                Err(e) => Some(e.to_string()),
                Ok(inner) => inner,
            },
            _ => None,
        }
    }
}

#[actor_core::test]
async fn a_ticker_is_no_way_out() {
    let a = Timed::start().await.unwrap();
    let b = Timed::start().await.unwrap();
    a.know(b.clone()).await.unwrap();
    b.know(a.clone()).await.unwrap();
    let text = a.bounce(2).await.unwrap().expect("a cycle");
    assert!(text.contains("deadlock: a cycle of waits"), "{text}");
}

/// Answers some of its asks later, and others at once.
struct Keeper {
    kept: Vec<Reply<u32>>,
    entered: chan::Sender<Reply<Result<u32, Infallible>>>,
}

#[actor(mailbox = buffered(2))]
impl Keeper {
    #[init]
    fn new(entered: chan::Sender<Reply<Result<u32, Infallible>>>) -> Self {
        let kept = Vec::new();
        Self { kept, entered }
    }

    pub fn later(&mut self, reply: Reply<u32>) {
        self.kept.push(reply);
    }

    pub fn now(&mut self) -> u32 {
        self.kept.drain(..).for_each(|reply| reply.send(7));
        1
    }

    /// Somebody else answers.
    #[batch(max = 4)]
    pub fn enter(&mut self, items: &mut Batch<u32, u32>) {
        for item in items.drain() {
            self.entered.try_send(item.into_parts().1).unwrap();
        }
    }

    pub async fn ask_now(&mut self, of: KeeperRef) -> Result<u32, String> {
        of.now().await.map_err(|e| told(&e))
    }

    /// Asks somebody who asks this one back.
    pub async fn ask_round(&mut self, over: KeeperRef, me: KeeperRef) -> Result<u32, String> {
        over.ask_now(me).await.map_err(|e| told(&e))
    }

    pub async fn ask_later(&mut self, of: KeeperRef, entered: WaitGroup) -> Result<u32, String> {
        entered.done();
        of.later().await.map_err(|e| told(&e))
    }

    /// Asks once the gate is open.
    pub async fn ask_now_when(
        &mut self,
        of: KeeperRef,
        entered: WaitGroup,
        gate: WaitGroup,
    ) -> Result<u32, String> {
        entered.done();
        gate.wait().await;
        of.now().await.map_err(|e| told(&e))
    }

    pub async fn ask_enter(&mut self, of: KeeperRef) -> Result<u32, String> {
        of.enter(1).await.map_err(|e| told(&e))
    }
}

async fn two_keepers() -> (
    KeeperRef,
    KeeperRef,
    chan::Receiver<Reply<Result<u32, Infallible>>>,
) {
    let (entered, replies) = chan::buffered(4);
    let a = Keeper::start(entered.clone()).await.unwrap();
    let b = Keeper::start(entered).await.unwrap();
    (a, b, replies)
}

#[actor_core::test]
async fn an_actor_that_keeps_some_replies_is_part_of_cycles_through_its_other_methods() {
    let (a, b, _replies) = two_keepers().await;
    let text = a.ask_now(a.clone()).await.unwrap_err().to_string();
    assert!(text.contains("waits for itself (message `now`)"), "{text}");
    let text = a.ask_round(b.clone(), a.clone()).await.unwrap_err();
    let text = text.to_string();
    assert!(text.contains("a cycle of waits"), "{text}");
    // And it keeps replies as ever.
    let asker = a.clone();
    let kept = go(async move { asker.later().await });
    while !kept.is_finished() {
        let _ = a.now().await;
    }
    assert_eq!(kept.await.unwrap(), Ok(7));
}

/// Whoever answers it later, it has to get into the mailbox first.
#[actor_core::test]
async fn an_ask_for_a_later_answer_that_waits_for_room_is_part_of_a_cycle() {
    let (a, b, _replies) = two_keepers().await;
    let (entered, gate) = (WaitGroup::new(), WaitGroup::new());
    gate.add(1);
    entered.add(1);
    let (asker, of) = (b.clone(), a.clone());
    let (inside, closed) = (entered.clone(), gate.clone());
    let asks_back = go(async move { asker.ask_now_when(of, inside, closed).await });
    entered.wait().await;
    while b.now().try_tell().is_ok() {}
    entered.add(1);
    let (asker, of, inside) = (a.clone(), b.clone(), entered.clone());
    let asks = go(async move { asker.ask_later(of, inside).await });
    entered.wait().await;
    gate.done();
    // One of the two is told, and the other one goes on.
    let is_told = |end: &Result<u32, CallError<String>>| match end {
        Err(error) => error.to_string().contains("a cycle of waits"),
        Ok(_) => false,
    };
    let back = asks_back.await.unwrap();
    while !asks.is_finished() {
        let _ = b.now().await; // answers what was kept
    }
    let there = asks.await.unwrap();
    assert!(is_told(&back) != is_told(&there), "{back:?} {there:?}");
}

#[actor_core::test]
async fn a_reply_that_was_taken_out_of_a_batch_is_in_no_cycle() {
    let (a, b, replies) = two_keepers().await;
    let (asker, of) = (a.clone(), b.clone());
    let enters = go(async move { asker.ask_enter(of).await.unwrap() });
    let reply = replies.recv().await.unwrap();
    // `a` waits for `b`'s answer, which somebody else has; now `b` waits for `a`.
    let (asker, of) = (b.clone(), a.clone());
    let asks = go(async move { asker.ask_now(of).await.unwrap() });
    while a.mailbox_len() < 1 {
        yield_now().await;
    }
    for _ in 0..100 {
        yield_now().await;
    }
    reply.send(Ok(5));
    assert_eq!(enters.await.unwrap(), 5);
    assert_eq!(asks.await.unwrap(), 1);
}

/// Thousands of asks between actors in one direction, at random, with cancelled ones in between.
#[actor_core::test(procs = 4)]
async fn no_false_alarm_among_layers_that_ask_downwards() {
    let nodes = ring(6).await;
    let askers: Vec<_> = (0..16_u64)
        .map(|seed| {
            let nodes = nodes.clone();
            go(async move {
                let mut rng = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
                for _ in 0..500 {
                    rng ^= rng << 13;
                    rng ^= rng >> 7;
                    rng ^= rng << 17;
                    let from = (rng % 6) as usize;
                    let hops = (5 - from) as u32; // never past the last
                    if rng & 64 == 0 {
                        let within = Duration::from_micros(rng % 50);
                        let _ = nodes[from].visit(hops).timeout(within).await;
                    } else {
                        assert_eq!(nodes[from].visit(hops).await, Ok(0));
                    }
                }
            })
        })
        .collect();
    for asker in askers {
        asker.await.unwrap();
    }
}

/// Answers at once, and needs the lock for what comes next.
struct Clerk(Arc<Mutex<u64>>);

#[actor]
impl Clerk {
    #[init]
    fn new(lock: Arc<Mutex<u64>>) -> Self {
        Self(lock)
    }

    pub async fn answer(&mut self) {
        yield_now().await;
    }

    pub async fn book(&mut self) {
        *self.0.lock().await += 1;
    }

    pub async fn book_later(&mut self) {
        sleep(Duration::from_millis(20)).await;
        *self.0.lock().await += 1;
    }
}

/// Its asker has the answer, but has not been polled since, and is about to unlock.
#[actor_core::test(procs = 1)]
async fn an_asker_that_was_answered_is_in_no_cycle() {
    let lock = Arc::new(Mutex::new(0));
    let clerk = Clerk::start(lock.clone()).await.unwrap();
    for round in 1..100 {
        let held = lock.lock().await;
        let asks = clerk.answer();
        let other = clerk.clone();
        let booked = go(async move { other.book().await });
        asks.await.unwrap();
        yield_now().await;
        yield_now().await;
        drop(held);
        booked.await.unwrap().unwrap();
        assert_eq!(*lock.lock().await, round);
    }
}

/// An ask that was begun by one goroutine and goes on in another: the first one waits for nobody.
#[actor_core::test(procs = 1)]
async fn an_ask_that_was_answered_is_no_edge_any_more() {
    let nodes = ring(2).await;
    let (begun, gate) = (WaitGroup::new(), WaitGroup::new());
    begun.add(1);
    gate.add(1);
    let (one, inside, closed) = (nodes[0].clone(), begun.clone(), gate.clone());
    let waits = go(async move { one.ping_and_wait(inside, closed).await });
    begun.wait().await;
    let two = nodes[1].clone();
    let asks = go(async move { two.visit(1).await });
    // It asks the first one, which sleeps, and whose last ask was to it.
    for _ in 0..100 {
        yield_now().await;
    }
    gate.done();
    waits.await.unwrap().unwrap();
    assert_eq!(asks.await.unwrap(), Ok(0));
}

#[actor_core::test(procs = 1)]
async fn an_ask_that_moves_takes_its_edge_along() {
    let (lock, mine) = (Arc::new(Mutex::new(0)), Arc::new(Mutex::new(0)));
    let clerk = Clerk::start(lock.clone()).await.unwrap();
    let held = lock.lock().await;
    let mut asks = Box::pin({
        let clerk = clerk.clone();
        async move { clerk.book_later().await }
    });
    let late = timeout(Duration::from_millis(1), &mut asks).await;
    assert!(late.is_err());
    // Something of this goroutine's own to wait for, at last.
    let busy = go({
        let mine = mine.clone();
        async move {
            let _held = mine.lock().await;
            sleep(Duration::from_millis(60)).await;
        }
    });
    yield_now().await;
    let moved = go(async move {
        // Polled once more while the first one waits for its own lock.
        let _ = timeout(Duration::from_millis(5), &mut asks).await;
        asks.await
    });
    yield_now().await;
    *mine.lock().await += 1;
    drop(held);
    busy.await.unwrap();
    assert_eq!(moved.await.unwrap(), Ok(()));
}

/// Its lookups run beside each other; a change has to wait for all of them.
struct Index {
    other: Option<IndexRef>,
    opened: chan::Receiver<()>,
}

#[actor]
impl Index {
    #[init]
    fn new(opened: chan::Receiver<()>) -> Self {
        Self {
            other: None,
            opened,
        }
    }

    pub fn set_other(&mut self, other: IndexRef) {
        self.other = Some(other);
    }

    pub fn change(&mut self) {}

    pub async fn change_both(&mut self) -> Result<(), String> {
        let other = self.other.clone().expect("set");
        other.change().await.map_err(|e| told(&e))
    }

    #[concurrent]
    pub async fn look(&self) -> u32 {
        self.opened.recv().await;
        1
    }

    #[concurrent]
    pub async fn look_and_change(&self, ctx: &Ctx<Self>) -> Result<(), String> {
        ctx.handle().change().await.map_err(|e| told(&e))
    }

    #[concurrent]
    pub async fn look_twice(&self, ctx: &Ctx<Self>) -> Result<u32, String> {
        ctx.handle().look().await.map_err(|e| told(&e))
    }

    #[concurrent(max = 1)]
    pub async fn browse(&self) {
        self.opened.recv().await;
    }

    /// Leaves no room in the other's mailbox, and asks it for a lookup.
    pub async fn crowd(&mut self) -> Result<u32, String> {
        let other = self.other.clone().expect("set");
        for _ in 0..10 {
            while other.browse().try_tell().is_ok() {}
            yield_now().await; // it takes what it can
        }
        other.look().await.map_err(|e| told(&e))
    }

    #[concurrent]
    pub async fn look_and_be_crowded(&self) -> Result<u32, String> {
        let other = self.other.clone().expect("set");
        other.crowd().await.map_err(|e| told(&e))
    }

    #[concurrent]
    pub async fn look_and_change_both(&self) -> Result<(), String> {
        let other = self.other.clone().expect("set");
        other.change_both().await.map_err(|e| told(&e))
    }
}

#[actor_core::test]
async fn a_concurrent_handler_that_asks_its_own_actor_for_an_exclusive_one_is_told() {
    let (_open, opened) = chan::buffered::<()>(1);
    let index = Index::start(opened).await.unwrap();
    let error = index.look_and_change().await.unwrap_err();
    assert!(error.to_string().contains("waits for itself"), "{error}");
    assert_eq!(
        index.change().await,
        Ok(()),
        "the message stays, and is handled"
    );
}

#[actor_core::test]
async fn that_another_handler_runs_beside_it_is_no_way_out() {
    let (open, opened) = chan::buffered::<()>(1);
    let index = Index::start(opened).await.unwrap();
    let other = index.clone();
    let looking = go(async move { other.look().await });
    while index.mailbox_len() > 0 {
        yield_now().await;
    }
    assert!(index.look_and_change().await.is_err());
    open.send(()).await.unwrap();
    assert_eq!(looking.await.unwrap(), Ok(1));
}

#[actor_core::test]
async fn a_concurrent_handler_that_asks_for_another_concurrent_one_is_in_no_cycle() {
    let (open, opened) = chan::buffered::<()>(1);
    let index = Index::start(opened).await.unwrap();
    let other = index.clone();
    let looking = go(async move { other.look_twice().await });
    for _ in 0..100 {
        yield_now().await;
    }
    open.send(()).await.unwrap();
    assert_eq!(looking.await.unwrap(), Ok(1));
}

#[actor_core::test]
async fn a_cycle_goes_through_the_concurrent_handlers_of_one_and_the_exclusive_of_another() {
    let (_open, opened) = chan::buffered::<()>(1);
    let one = Index::start(opened.clone()).await.unwrap();
    let two = Index::start(opened).await.unwrap();
    one.set_other(two.clone()).await.unwrap();
    two.set_other(one.clone()).await.unwrap();
    let error = one.look_and_change_both().await.unwrap_err().to_string();
    assert!(error.contains("Index"), "{error}");
    assert_eq!(one.change().await, Ok(()));
    assert_eq!(two.change().await, Ok(()));
}

#[actor_core::test(procs = 1)]
async fn a_wait_for_room_where_handlers_run_beside_each_other_is_in_no_cycle() {
    let (open, opened) = chan::buffered::<()>(1);
    let one = Index::start(opened.clone()).await.unwrap();
    let two = Index::start(opened).await.unwrap();
    one.set_other(two.clone()).await.unwrap();
    two.set_other(one.clone()).await.unwrap();
    let looking = go(async move { one.look_and_be_crowded().await });
    for _ in 0..100 {
        yield_now().await;
    }
    // Those that browse end, and make the room.
    drop(open);
    assert_eq!(looking.await.unwrap(), Ok(1));
}
