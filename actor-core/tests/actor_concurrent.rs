//! Concurrent handlers: what runs beside what, in which order things start, and every end.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actor_core::Instant;
use actor_core::actor::{Actor, CallError, Down, ExitReason};
use actor_core::chan::{Receiver, Sender, buffered};
use actor_core::prelude::*;

struct Library {
    log: Sender<String>,
    title: u64,
    inside: AtomicUsize,
    most_inside: AtomicUsize,
    notes: Mutex<Vec<u64>>,
}

#[actor(mailbox = buffered(256))]
impl Library {
    #[init]
    fn new(log: Sender<String>) -> Self {
        Library {
            log,
            title: 0,
            inside: AtomicUsize::new(0),
            most_inside: AtomicUsize::new(0),
            notes: Mutex::new(Vec::new()),
        }
    }

    /// Reads until the door opens.
    #[concurrent]
    pub async fn read(&self, n: u64, door: Receiver<()>) -> u64 {
        self.say(format!("read {n}"));
        let inside = self.inside.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_inside.fetch_max(inside, Ordering::SeqCst);
        let _out = Out(&self.inside);
        door.recv().await;
        self.say(format!("done {n}"));
        self.title
    }

    #[concurrent(max = 2)]
    pub async fn copy(&self, n: u64, door: Receiver<()>) {
        self.say(format!("copy {n}"));
        door.recv().await;
        self.notes.lock().unwrap().push(n);
    }

    /// Never waits.
    #[concurrent]
    pub async fn peek(&self) -> u64 {
        self.title
    }

    #[concurrent]
    pub async fn tear(&self, door: Receiver<()>, _reply: Reply<u64>) {
        self.say("tear".into());
        door.recv().await;
        panic!("torn");
    }

    pub fn write(&mut self, title: u64) {
        assert_eq!(*self.inside.get_mut(), 0, "somebody reads");
        self.title = title;
        self.say(format!("write {title}"));
    }

    pub fn most_inside(&mut self) -> usize {
        *self.most_inside.get_mut()
    }

    pub fn notes(&mut self) -> Vec<u64> {
        self.notes.get_mut().unwrap().clone()
    }

    fn say(&self, what: String) {
        self.log.try_send(what).unwrap();
    }
}

struct Out<'a>(&'a AtomicUsize);

impl Drop for Out<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn library() -> (LibraryRef, Receiver<String>) {
    let (log, lines) = buffered(4096);
    (Library::start(log).await.unwrap(), lines)
}

async fn expect(log: &Receiver<String>, lines: &[&str]) {
    for line in lines {
        assert_eq!(log.recv().await.as_deref(), Some(*line));
    }
}

fn door() -> (Sender<()>, Receiver<()>) {
    buffered(1)
}

#[actor_core::test]
async fn concurrent_handlers_run_beside_each_other_and_end_in_any_order() {
    let (library, log) = library().await;
    let (open_1, door_1) = door();
    let (open_2, door_2) = door();
    let one = library.clone();
    let first = go(async move { one.read(1, door_1).await });
    expect(&log, &["read 1"]).await;
    let two = library.clone();
    let second = go(async move { two.read(2, door_2).await });
    expect(&log, &["read 2"]).await;
    assert_eq!(library.peek().await, Ok(0), "a third one, meanwhile");
    open_2.send(()).await.unwrap();
    assert_eq!(second.await.unwrap(), Ok(0));
    open_1.send(()).await.unwrap();
    assert_eq!(first.await.unwrap(), Ok(0));
    assert_eq!(library.most_inside().await, Ok(2));
    assert_eq!(library.peek().await, Ok(0), "a phase of its own");
}

#[actor_core::test]
async fn an_exclusive_message_waits_for_all_that_run_and_holds_up_those_behind_it() {
    let (library, log) = library().await;
    let (open, door_1) = door();
    let (open_late, late) = door();
    library.read(1, door_1).tell().await.unwrap();
    expect(&log, &["read 1"]).await;
    library.write(7).tell().await.unwrap();
    library.read(2, late).tell().await.unwrap();
    let peeker = library.clone();
    let peeked = go(async move { peeker.peek().await });
    // Those behind it can't have started: what is logged next is the end of the first one.
    while library.mailbox_len() < 2 {
        yield_now().await;
    }
    open.send(()).await.unwrap();
    expect(&log, &["done 1", "write 7", "read 2"]).await;
    assert_eq!(peeked.await.unwrap(), Ok(7), "sees what was written");
    open_late.send(()).await.unwrap();
    expect(&log, &["done 2"]).await;
}

/// On one P, that is: on several, what was started goes its own way.
#[actor_core::test(procs = 1)]
async fn messages_of_one_sender_start_in_their_order() {
    let (library, log) = library().await;
    let mut opens = Vec::new();
    let mut expected = Vec::new();
    for n in 0..40 {
        let (open, door) = door();
        opens.push(open);
        library.read(n, door).tell().await.unwrap();
        expected.push(format!("read {n}"));
    }
    for line in expected {
        assert_eq!(log.recv().await, Some(line));
    }
    for open in opens.iter().rev() {
        open.send(()).await.unwrap();
    }
    assert_eq!(library.most_inside().await, Ok(40));
}

#[actor_core::test(procs = 1)]
async fn a_method_has_a_limit_of_its_own_and_a_full_one_holds_up_those_behind_it() {
    let (library, log) = library().await;
    let doors: Vec<_> = (0..3).map(|_| door()).collect();
    for (n, (_, door)) in doors.iter().enumerate() {
        library.copy(n as u64, door.clone()).tell().await.unwrap();
    }
    let (_open, behind) = door();
    drop(_open);
    library.read(9, behind).tell().await.unwrap();
    expect(&log, &["copy 0", "copy 1"]).await;
    for _ in 0..50 {
        yield_now().await;
    }
    assert!(
        log.is_empty(),
        "the third one waits, and so does the reader"
    );
    doors[1].0.send(()).await.unwrap();
    expect(&log, &["copy 2", "read 9", "done 9"]).await;
    doors[2].0.send(()).await.unwrap();
    doors[0].0.send(()).await.unwrap();
    let mut notes = library.notes().await.unwrap();
    notes.sort_unstable();
    assert_eq!(notes, [0, 1, 2]);
}

#[actor_core::test]
async fn a_panic_ends_them_all_and_each_asker_is_told_what_happened_to_its_message() {
    let (library, log) = library().await;
    let (open, tearing) = door();
    let (_never, door_1) = door();
    let (reader, tearer, writer) = (library.clone(), library.clone(), library.clone());
    let read = go(async move { reader.read(1, door_1).await });
    expect(&log, &["read 1"]).await;
    let torn = go(async move { tearer.tear(tearing).await });
    expect(&log, &["tear"]).await;
    let write = go(async move { writer.write(1).await });
    open.send(()).await.unwrap();
    assert_eq!(torn.await.unwrap(), Err(CallError::Panicked));
    assert_eq!(read.await.unwrap(), Err(CallError::Stopped));
    assert_eq!(write.await.unwrap(), Err(CallError::Stopped));
    assert_eq!(
        library.wait().await,
        ExitReason::Panicked {
            message: "torn".into()
        }
    );
}

#[actor_core::test]
async fn the_next_incarnation_begins_with_what_was_taken_and_not_begun() {
    for end in ["crash", "kill"] {
        let (log_to, log) = buffered(64);
        let child = Library::child("library", log_to);
        let library = child.handle();
        let app = Supervisor::one_for_one("app")
            .child(child)
            .start()
            .await
            .unwrap();
        let (open, tearing) = door();
        library.tear(tearing).tell().await.unwrap();
        expect(&log, &["tear"]).await;
        // It is taken, and has to wait for the other.
        let writer = library.clone();
        let write = go(async move { writer.write(5).await });
        let other = library.clone();
        let then = go(async move { other.write(6).await });
        while library.mailbox_len() != 1 {
            yield_now().await;
        }
        match end {
            "crash" => open.send(()).await.unwrap(),
            _ => drop(library.kill().await),
        }
        assert_eq!(write.await.unwrap(), Ok(()), "{end}");
        assert_eq!(then.await.unwrap(), Ok(()));
        let lines = [log.recv().await.unwrap(), log.recv().await.unwrap()];
        assert!(lines.contains(&"write 5".into()) && lines.contains(&"write 6".into()));
        app.stop().await;
    }
}

#[actor_core::test]
async fn a_stop_waits_for_those_that_run_and_stop_now_begins_nothing_more() {
    let (library, log) = library().await;
    let (open, door_1) = door();
    let reader = library.clone();
    let read = go(async move { reader.read(1, door_1).await });
    expect(&log, &["read 1"]).await;
    let writer = library.clone();
    let write = go(async move { writer.write(3).await });
    for _ in 0..50 {
        yield_now().await;
    }
    let stopped = library.stop_now();
    open.send(()).await.unwrap();
    assert_eq!(read.await.unwrap(), Ok(0), "it was under way");
    assert_eq!(write.await.unwrap(), Err(CallError::Stopped));
    assert_eq!(stopped.await, ExitReason::Normal);

    let (library, log) = self::library().await;
    let (open, door_1) = door();
    library.read(1, door_1).tell().await.unwrap();
    expect(&log, &["read 1"]).await;
    library.write(3).tell().await.unwrap();
    let stopped = library.stop();
    open.send(()).await.unwrap();
    assert_eq!(stopped.await, ExitReason::Normal);
    expect(&log, &["done 1", "write 3"]).await;
}

struct Ticking {
    ticked: Sender<usize>,
    inside: AtomicUsize,
}

#[actor]
impl Ticking {
    #[init]
    fn new(ticked: Sender<usize>) -> Self {
        Ticking {
            ticked,
            inside: AtomicUsize::new(0),
        }
    }

    #[every(millis = 1)]
    fn tick(&mut self) {
        let _ = self.ticked.try_send(*self.inside.get_mut());
    }

    #[concurrent]
    pub async fn read(&self) {
        self.inside.fetch_add(1, Ordering::SeqCst);
        let _out = Out(&self.inside);
        yield_now().await;
        yield_now().await;
    }
}

#[actor_core::test]
async fn ticks_are_exclusive_and_come_in_between_readers_without_end() {
    let (ticked, ticks) = buffered(1024);
    let ticking = Ticking::start(ticked).await.unwrap();
    let readers: Vec<_> = (0..4)
        .map(|_| {
            let ticking = ticking.clone();
            go(async move { while ticking.read().await.is_ok() {} })
        })
        .collect();
    for _ in 0..5 {
        assert_eq!(ticks.recv().await, Some(0), "alone");
    }
    ticking.stop().await;
    for reader in readers {
        reader.await.unwrap();
    }
}

#[actor_core::test]
async fn many_readers_and_writers_agree() {
    let (library, log) = library().await;
    let drain = go(async move { while log.recv().await.is_some() {} });
    let work: Vec<_> = (0..8)
        .map(|who| {
            let library = library.clone();
            go(async move {
                for n in 0..200 {
                    if n % 10 == 0 {
                        library.write(who * 1000 + n).await.unwrap();
                    } else {
                        let (open, door) = door();
                        drop(open);
                        library.read(n, door).await.unwrap();
                    }
                }
            })
        })
        .collect();
    for one in work {
        one.await.unwrap();
    }
    library.stop().await;
    drain.await.unwrap();
}

#[test]
fn an_actor_without_concurrent_handlers_says_so() {
    struct Plain;
    #[actor]
    impl Plain {
        #[init]
        fn new() -> Self {
            Plain
        }
        pub async fn look(&self) {}
    }
    const { assert!(Library::CONCURRENT && !Plain::CONCURRENT) }
}

/// A state whose concurrent handlers share a lock of ours, and wait on each other through it.
struct Ledger {
    sum: actor_core::sync::Mutex<u64>,
    said: Sender<&'static str>,
}

#[actor]
impl Ledger {
    #[init]
    fn new(said: Sender<&'static str>) -> Self {
        Ledger {
            sum: actor_core::sync::Mutex::new(0),
            said,
        }
    }

    #[concurrent]
    pub async fn hold(&self, door: Receiver<()>) -> u64 {
        let mut sum = self.sum.lock().await;
        self.said.try_send("holds").unwrap();
        door.recv().await;
        *sum += 1;
        *sum
    }

    #[concurrent]
    pub async fn add(&self, n: u64) -> u64 {
        self.said.try_send("adds").unwrap();
        let mut sum = self.sum.lock().await;
        *sum += n;
        *sum
    }

    #[concurrent]
    pub async fn rest(&self) {
        actor_core::sleep(std::time::Duration::from_millis(1)).await;
    }
}

/// That is no deadlock, and is not told as one.
#[actor_core::test]
async fn concurrent_handlers_of_one_actor_may_wait_for_a_lock_that_another_one_holds() {
    let (said, says) = buffered(16);
    let ledger = Ledger::start(said).await.unwrap();
    let (open, door) = door();
    let (holder, adder) = (ledger.clone(), ledger.clone());
    let held = go(async move { holder.hold(door).await });
    assert_eq!(says.recv().await, Some("holds"));
    let added = go(async move { adder.add(5).await });
    assert_eq!(says.recv().await, Some("adds"));
    ledger.rest().await.unwrap(); // everybody else sleeps meanwhile
    open.send(()).await.unwrap();
    assert_eq!(held.await.unwrap(), Ok(1));
    assert_eq!(added.await.unwrap(), Ok(6));
}

/// Each handler has a waker of its own, and none is forgotten.
#[actor_core::test]
async fn a_wake_polls_the_handler_that_it_means() {
    let (library, log) = library().await;
    let doors: Vec<_> = (0..60).map(|_| door()).collect();
    let asks: Vec<_> = doors
        .iter()
        .enumerate()
        .map(|(n, (_, door))| {
            let (library, door) = (library.clone(), door.clone());
            go(async move { library.read(n as u64, door).await })
        })
        .collect();
    for _ in 0..60 {
        assert!(log.recv().await.unwrap().starts_with("read"));
    }
    // From the last to the first, one at a time.
    for (n, ((open, _), ask)) in doors.iter().zip(asks).enumerate().rev() {
        open.send(()).await.unwrap();
        assert_eq!(log.recv().await, Some(format!("done {n}")));
        assert_eq!(ask.await.unwrap(), Ok(0));
    }
}

/// Watches somebody, and says what it is told of.
struct Watching {
    log: Sender<String>,
}

#[actor]
impl Watching {
    #[init]
    fn new(log: Sender<String>) -> Self {
        Watching { log }
    }

    pub fn watch(&mut self, other: LibraryRef, ctx: &Ctx<Self>) {
        ctx.monitor(&other);
    }

    #[concurrent(max = 1)]
    pub async fn read(&self, n: u64, door: Receiver<()>) {
        self.log.try_send(format!("read {n}")).unwrap();
        door.recv().await;
    }

    #[down]
    fn gone(&mut self, down: Down) {
        self.log.try_send(format!("down {}", down.name)).unwrap();
    }
}

#[actor_core::test]
async fn a_down_is_exclusive_and_comes_before_a_message_that_was_not_begun() {
    let (log_to, log) = buffered(64);
    let watching = Watching::start(log_to).await.unwrap();
    let (library, _lines) = library().await;
    watching.watch(library.clone()).await.unwrap();
    let (open, door_1) = door();
    watching.read(1, door_1).tell().await.unwrap();
    expect(&log, &["read 1"]).await;
    // Taken, but its method is full.
    let (open_2, door_2) = door();
    watching.read(2, door_2).tell().await.unwrap();
    while watching.mailbox_len() > 0 {
        yield_now().await;
    }
    library.kill().await;
    for _ in 0..50 {
        yield_now().await;
    }
    assert!(log.is_empty(), "the reader has the state");
    open.send(()).await.unwrap();
    expect(&log, &["down Library", "read 2"]).await;
    drop(open_2);
    watching.stop().await;
}

/// Says how long after its start it ticks.
struct Clock {
    began: Instant,
    log: Sender<Duration>,
}

#[actor]
impl Clock {
    #[init]
    fn new(log: Sender<Duration>) -> Self {
        Clock {
            began: Instant::now(),
            log,
        }
    }

    #[every(seconds = 2)]
    fn tick(&mut self) {
        self.log.try_send(self.began.elapsed()).unwrap();
    }

    #[concurrent]
    pub async fn stay(&self, time: Duration) {
        sleep(time).await;
    }
}

#[actor_core::test(sim, seeds = 20)]
async fn a_tick_that_falls_among_concurrent_handlers_comes_when_they_have_ended() {
    let (log, ticks) = buffered(16);
    let clock = Clock::start(log).await.unwrap();
    let seconds = Duration::from_secs;
    clock.stay(seconds(3)).await.unwrap();
    for at in [3, 5] {
        assert_eq!(ticks.recv().await, Some(seconds(at)));
    }
    clock.stop().await;
}
