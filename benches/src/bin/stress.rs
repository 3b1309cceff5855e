//! Millions of random operations on channels and locks: nothing lost, nothing twice, nobody hangs.
//!
//! `stress [--ops N] [--seed N]`; 24 million operations unless told otherwise. Each part prints its
//! operations, its time and `ok`; the process fails at the first violation, and when nothing has
//! moved for half a minute: then it says what is known.
//!
//! - A value on a channel is a number with a page in a ledger. Receiving it marks the page, dropping
//!   it unreceived (a cancelled or refused send) marks it otherwise, a second mark is a violation. At
//!   the end every page has one mark, and the pages of all accepted values are marked as received.
//! - Operations are dropped at random polls, in every state, goroutines are parked with locks held,
//!   and channels are closed under those who wait.

use std::cell::UnsafeCell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::process::exit;
use std::sync::atomic::{
    AtomicBool, AtomicU8, AtomicU64, AtomicUsize,
    Ordering::{Relaxed, SeqCst},
};
use std::sync::{Arc, Mutex as ThreadMutex};
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use actor_core::chan::{Receiver, Sender, TryRecvError, TrySendError, buffered};
use actor_core::sync::{Map, Mutex, OnceValue, Pool, RwLock, Semaphore, SingleFlight, WaitGroup};
use actor_core::{DeadlockPolicy, Handle, Runtime, go, select, yield_now};

const OPS: u64 = 24_000_000;
const HANGS_AFTER: Duration = Duration::from_secs(30);

pub(crate) fn main() {
    let mut args = std::env::args().skip(1);
    let (mut ops, mut seed) = (OPS, 0x9e37_79b9_7f4a_7c15);
    while let Some(arg) = args.next() {
        let number = args.next().and_then(|n| n.replace('_', "").parse().ok());
        match (arg.as_str(), number) {
            ("--ops", Some(n)) => ops = n,
            ("--seed", Some(n)) => seed = n,
            _ => {
                eprintln!("usage: stress [--ops N] [--seed N]");
                exit(64);
            }
        }
    }
    run(ops, seed);
}

/// Runs all parts; does not return after a violation.
pub(crate) fn run(ops: u64, seed: u64) {
    // No part panics on purpose: one that does (a false alarm about a deadlock, say) is a violation.
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        before(info);
        exit(3);
    }));
    let builder = Runtime::builder()
        .procs(4)
        .on_deadlock(DeadlockPolicy::Panic);
    let runtime = builder.build().expect("threads");
    let watch = Arc::new(Watch::new());
    watch.clone().start(runtime.handle().clone());
    let started = Instant::now();
    println!(
        "seed {seed}\n{:<44}{:>12}{:>10}",
        "part", "operations", "seconds"
    );
    let mut done = 0;
    for (at, (name, share, part)) in PARTS.iter().enumerate() {
        let began = Instant::now();
        let before = watch.ops.load(SeqCst);
        *watch.part.lock().unwrap() = (*name).to_owned();
        *watch.notes.lock().unwrap() = None;
        let setting = Setting {
            watch: watch.clone(),
            ops: (ops * share / 100).max(100),
            seed: seed.wrapping_add(at as u64),
        };
        if let Err(violation) = runtime.block_on(part(setting)) {
            fail(name, &violation);
        }
        let part_ops = watch.ops.load(SeqCst) - before;
        let seconds = began.elapsed().as_secs_f64();
        println!("{name:<44}{part_ops:>12}{seconds:>10.2}  ok");
        done += part_ops;
    }
    watch.over.store(true, SeqCst);
    let seconds = started.elapsed().as_secs_f64();
    println!("{:<44}{done:>12}{seconds:>10.2}  ok", "all");
}

fn fail(part: &str, violation: &str) -> ! {
    eprintln!("VIOLATION in {part}: {violation}");
    exit(1);
}

type Verdict = Result<(), String>;
type Boxed = std::pin::Pin<Box<dyn Future<Output = Verdict>>>;
/// Name, share of the operations in per cent, the part.
type Part = (&'static str, u64, fn(Setting) -> Boxed);

const PARTS: &[Part] = &[
    ("rendezvous, 8 to 8, cancels", 7, |s| {
        Box::pin(channel(s, Shape::new(0)))
    }),
    ("buffered 1, 8 to 8, cancels", 7, |s| {
        Box::pin(channel(s, Shape::new(1)))
    }),
    ("buffered 64, 8 to 8, cancels", 8, |s| {
        Box::pin(channel(s, Shape::new(64)))
    }),
    ("rendezvous, 100 to 1, cancels", 6, |s| {
        Box::pin(channel(
            s,
            Shape {
                senders: 100,
                receivers: 1,
                ..Shape::new(0)
            },
        ))
    }),
    ("buffered 7, 1 to 50, cancels", 6, |s| {
        Box::pin(channel(
            s,
            Shape {
                senders: 1,
                receivers: 50,
                ..Shape::new(7)
            },
        ))
    }),
    ("buffered 16, 4 to 4, order", 8, |s| {
        Box::pin(channel(
            s,
            Shape {
                senders: 4,
                receivers: 4,
                cancels: false,
                ..Shape::new(16)
            },
        ))
    }),
    ("rendezvous, threads and goroutines", 4, |s| {
        Box::pin(channel(
            s,
            Shape {
                threads: true,
                ..Shape::new(0)
            },
        ))
    }),
    ("buffered 8, threads and goroutines", 4, |s| {
        Box::pin(channel(
            s,
            Shape {
                threads: true,
                ..Shape::new(8)
            },
        ))
    }),
    ("channels closed under their users", 7, |s| {
        Box::pin(closes(s))
    }),
    ("mutex, cancels, held across awaits", 8, |s| {
        Box::pin(mutex(s))
    }),
    ("rwlock, cancels, held across awaits", 6, |s| {
        Box::pin(rwlock(s))
    }),
    ("semaphore, cancels, big requests", 5, |s| {
        Box::pin(semaphore(s))
    }),
    ("select among four channels, cancels", 8, |s| {
        Box::pin(selects(s))
    }),
    ("wait groups", 6, |s| Box::pin(wait_groups(s))),
    ("pool", 6, |s| Box::pin(pool(s))),
    ("single flight, cancels; once values; map", 4, |s| {
        Box::pin(shared_calls(s))
    }),
];

/// Knows whether anything moves.
struct Watch {
    ops: AtomicU64,
    over: AtomicBool,
    part: ThreadMutex<String>,
    /// What the part would like to be known about it, if it hangs.
    notes: ThreadMutex<Option<Box<dyn Fn() -> String + Send>>>,
}

impl Watch {
    fn new() -> Self {
        Self {
            ops: AtomicU64::new(0),
            over: AtomicBool::new(false),
            part: ThreadMutex::default(),
            notes: ThreadMutex::default(),
        }
    }

    fn start(self: Arc<Self>, runtime: Handle) {
        thread::spawn(move || {
            let (mut seen, mut since) = (0, Instant::now());
            while !self.over.load(SeqCst) {
                thread::sleep(Duration::from_millis(250));
                let ops = self.ops.load(SeqCst);
                if ops != seen {
                    (seen, since) = (ops, Instant::now());
                } else if since.elapsed() >= HANGS_AFTER {
                    let part = self.part.lock().unwrap().clone();
                    eprintln!("HANG in {part}: nothing moves after {ops} operations");
                    eprintln!("{:#?}", runtime.metrics());
                    if let Some(notes) = &*self.notes.lock().unwrap() {
                        eprintln!("{}", notes());
                    }
                    exit(2);
                }
            }
        });
    }
}

/// What a part is given.
#[derive(Clone)]
struct Setting {
    watch: Arc<Watch>,
    ops: u64,
    seed: u64,
}

impl Setting {
    fn note(&self, notes: impl Fn() -> String + Send + 'static) {
        *self.watch.notes.lock().unwrap() = Some(Box::new(notes));
    }

    fn worker(&self, number: usize) -> Worker {
        let mut worker = Worker {
            state: self.seed ^ (number as u64 + 1).wrapping_mul(0xd134_2543_de82_ef95),
            counted: 0,
            watch: self.watch.clone(),
        };
        worker.random();
        worker
    }
}

/// Random numbers and the count of one worker's operations.
struct Worker {
    state: u64,
    counted: u64,
    watch: Arc<Watch>,
}

impl Worker {
    /// splitmix64.
    fn random(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.random() % n
    }

    /// Counts an operation; told to the watch now and then.
    fn op(&mut self) {
        self.counted += 1;
        if self.counted == 64 {
            self.tell();
        }
    }

    fn tell(&mut self) {
        self.watch
            .ops
            .fetch_add(std::mem::take(&mut self.counted), SeqCst);
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.tell();
    }
}

/// Polls the future at most `polls` more times after the first, then drops it.
async fn cancel_after<F: Future>(future: F, mut polls: u64) -> Option<F::Output> {
    let mut future = pin!(future);
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending if polls == 0 => Poll::Ready(None),
        Poll::Pending => {
            polls -= 1;
            cx.waker().wake_by_ref();
            Poll::Pending
        }
    })
    .await
}

const RECEIVED: u8 = 1;
const DROPPED: u8 = 2;
const ACCEPTED: u8 = 4;

/// One page per value.
struct Ledger {
    pages: Box<[AtomicU8]>,
    twice: AtomicU64,
}

impl Ledger {
    fn new(values: usize) -> Arc<Self> {
        Arc::new(Self {
            pages: (0..values).map(|_| AtomicU8::new(0)).collect(),
            twice: AtomicU64::new(0),
        })
    }

    fn mark(&self, value: usize, mark: u8) {
        let before = self.pages[value].fetch_or(mark, SeqCst);
        if mark != ACCEPTED && before & (RECEIVED | DROPPED) != 0 {
            self.twice.fetch_add(1, SeqCst);
        }
    }

    fn verdict(&self) -> Verdict {
        let twice = self.twice.load(SeqCst);
        if twice > 0 {
            return Err(format!("{twice} values came up twice"));
        }
        for (value, page) in self.pages.iter().enumerate() {
            match page.load(SeqCst) {
                0 => return Err(format!("value {value} vanished")),
                ACCEPTED => return Err(format!("value {value} was accepted and vanished")),
                mark if mark & ACCEPTED != 0 && mark & DROPPED != 0 => {
                    return Err(format!("value {value} was accepted and dropped"));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// A value on a channel.
struct Parcel {
    value: usize,
    sender: usize,
    ledger: Arc<Ledger>,
    received: bool,
}

impl Parcel {
    fn open(mut self) -> (usize, usize) {
        self.received = true;
        (self.sender, self.value)
    }
}

impl Drop for Parcel {
    fn drop(&mut self) {
        let mark = if self.received { RECEIVED } else { DROPPED };
        self.ledger.mark(self.value, mark);
    }
}

/// What a channel part looks like.
#[derive(Clone, Copy)]
struct Shape {
    capacity: usize,
    senders: usize,
    receivers: usize,
    /// Drops operations at random polls; without, the order of each sender's values is checked.
    cancels: bool,
    /// Half of the workers are threads.
    threads: bool,
}

impl Shape {
    const fn new(capacity: usize) -> Self {
        Self {
            capacity,
            senders: 8,
            receivers: 8,
            cancels: true,
            threads: false,
        }
    }
}

/// Senders send their values, receivers receive until the channel is closed.
async fn channel(setting: Setting, shape: Shape) -> Verdict {
    let each = (setting.ops / 2).div_ceil(shape.senders as u64) as usize;
    let ledger = Ledger::new(each * shape.senders);
    let (tx, rx) = buffered(shape.capacity);
    {
        let rx = rx.clone();
        setting.note(move || format!("{rx:?}"));
    }
    let group = WaitGroup::new();
    let disorder = Arc::new(AtomicUsize::new(0));
    let mut threads = Vec::new();
    for sender in 0..shape.senders {
        let (tx, ledger, worker) = (tx.clone(), ledger.clone(), setting.worker(sender));
        let values = sender * each..(sender + 1) * each;
        if shape.threads && sender % 2 == 0 {
            threads.push(thread::spawn(move || {
                send_on_thread(worker, sender, values, tx, ledger)
            }));
        } else {
            group.go(send_all(worker, sender, values, tx, ledger, shape.cancels));
        }
    }
    drop(tx);
    for receiver in 0..shape.receivers {
        let (rx, mut worker) = (rx.clone(), setting.worker(1_000 + receiver));
        let disorder = disorder.clone();
        if shape.threads && receiver % 2 == 0 {
            threads.push(thread::spawn(move || {
                for parcel in &rx {
                    parcel.open();
                    worker.op();
                }
            }));
        } else {
            group.go(async move {
                receive_all(worker, rx, shape, disorder).await;
            });
        }
    }
    group.wait().await;
    for thread in threads {
        thread.join().map_err(|_| "a thread panicked".to_owned())?;
    }
    // A receive that was dropped after the close may have put its value back.
    receive_rest(&rx);
    match disorder.load(SeqCst) {
        0 => ledger.verdict(),
        n => Err(format!("{n} values came out of order")),
    }
}

async fn send_all(
    mut worker: Worker,
    sender: usize,
    values: std::ops::Range<usize>,
    tx: Sender<Parcel>,
    ledger: Arc<Ledger>,
    cancels: bool,
) {
    for value in values {
        let mut parcel = Parcel {
            value,
            sender,
            ledger: ledger.clone(),
            received: false,
        };
        worker.op();
        match worker.below(10) {
            0 | 1 if cancels => {
                let polls = worker.below(3);
                if let Some(Ok(())) = cancel_after(tx.send(parcel), polls).await {
                    ledger.mark(value, ACCEPTED);
                }
                continue;
            }
            2 | 3 => match tx.try_send(parcel) {
                Ok(()) => {
                    ledger.mark(value, ACCEPTED);
                    continue;
                }
                Err(TrySendError::Full(back)) => {
                    parcel = back;
                    worker.op();
                }
                Err(_closed) => continue,
            },
            4 => yield_now().await,
            _ => {}
        }
        if tx.send(parcel).await.is_ok() {
            ledger.mark(value, ACCEPTED);
        }
    }
}

fn send_on_thread(
    mut worker: Worker,
    sender: usize,
    values: std::ops::Range<usize>,
    tx: Sender<Parcel>,
    ledger: Arc<Ledger>,
) {
    for value in values {
        let parcel = Parcel {
            value,
            sender,
            ledger: ledger.clone(),
            received: false,
        };
        worker.op();
        if tx.send_blocking(parcel).is_ok() {
            ledger.mark(value, ACCEPTED);
        }
    }
}

async fn receive_all(
    mut worker: Worker,
    rx: Receiver<Parcel>,
    shape: Shape,
    disorder: Arc<AtomicUsize>,
) {
    let mut last = vec![None; shape.senders];
    loop {
        worker.op();
        let parcel = match worker.below(10) {
            0..=2 if shape.cancels => {
                let polls = worker.below(3);
                match cancel_after(rx.recv(), polls).await {
                    Some(received) => received,
                    None => continue,
                }
            }
            3 | 4 => match rx.try_recv() {
                Ok(parcel) => Some(parcel),
                Err(TryRecvError::Closed) => None,
                Err(_empty) => {
                    yield_now().await;
                    continue;
                }
            },
            _ => rx.recv().await,
        };
        let Some(parcel) = parcel else { return };
        let (sender, value) = parcel.open();
        if !shape.cancels && last[sender].replace(value) >= Some(value) {
            disorder.fetch_add(1, SeqCst);
        }
    }
}

/// Receives what is there.
fn receive_rest(rx: &Receiver<Parcel>) {
    for parcel in rx.try_iter() {
        parcel.open();
    }
}

/// Many short-lived channels, each closed at a random moment by one of three ways.
async fn closes(setting: Setting) -> Verdict {
    const VALUES: usize = 40;
    let mut worker = setting.worker(0);
    let rounds = setting.ops / VALUES as u64 / 2;
    for round in 0..rounds.max(1) {
        let capacity = worker.below(4) as usize;
        let ledger = Ledger::new(VALUES);
        let (tx, rx) = buffered(capacity);
        let group = WaitGroup::new();
        for sender in 0..2 {
            let values = sender * VALUES / 2..(sender + 1) * VALUES / 2;
            let (tx, ledger) = (tx.clone(), ledger.clone());
            let worker = setting.worker(round as usize * 8 + sender);
            group.go(send_all(worker, sender, values, tx, ledger, true));
        }
        for receiver in 0..2 {
            let (rx, worker) = (
                rx.clone(),
                setting.worker(round as usize * 8 + 4 + receiver),
            );
            let shape = Shape {
                senders: 2,
                ..Shape::new(capacity)
            };
            group.go(receive_all(worker, rx, shape, Arc::default()));
        }
        for _ in 0..worker.below(6) {
            yield_now().await;
        }
        match worker.below(3) {
            0 => drop(tx),
            1 => drop((tx.close(), tx)),
            _ => drop((rx.close(), tx)),
        }
        group.wait().await;
        receive_rest(&rx);
        ledger.verdict()?;
    }
    Ok(())
}

/// A number that only the lock protects. The atomics around it are relaxed: they must not order what
/// the lock should.
struct Unprotected(UnsafeCell<u64>);

// SAFETY: wrong on purpose: it is sound only if the mutex excludes. ThreadSanitizer watches.
unsafe impl Sync for Unprotected {}

async fn mutex(setting: Setting) -> Verdict {
    const WORKERS: usize = 16;
    let each = setting.ops / WORKERS as u64;
    let lock = Arc::new(Mutex::new(0_u64));
    let outside = Arc::new(Unprotected(UnsafeCell::new(0)));
    let (locked, inside) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU8::new(0)));
    let shared = Arc::new(AtomicU64::new(0));
    {
        let lock = lock.clone();
        setting.note(move || format!("{lock:?}"));
    }
    let group = WaitGroup::new();
    for number in 0..WORKERS {
        let (lock, outside, locked) = (lock.clone(), outside.clone(), locked.clone());
        let (inside, shared) = (inside.clone(), shared.clone());
        let mut worker = setting.worker(number);
        group.go(async move {
            for _ in 0..each {
                worker.op();
                let polls = worker.below(3);
                let guard = match worker.below(8) {
                    0 => lock.try_lock(),
                    1 | 2 => cancel_after(lock.lock(), polls).await,
                    _ => Some(lock.lock().await),
                };
                let Some(mut guard) = guard else {
                    if polls == 0 {
                        yield_now().await;
                    }
                    continue;
                };
                if inside.fetch_add(1, Relaxed) != 0 {
                    shared.fetch_add(1, Relaxed);
                }
                *guard += 1;
                // SAFETY: we hold the lock, and nobody touches the number without it.
                unsafe { *outside.0.get() += 1 };
                if worker.below(32) == 0 {
                    yield_now().await;
                }
                locked.fetch_add(1, Relaxed);
                inside.fetch_sub(1, Relaxed);
            }
        });
    }
    group.wait().await;
    let (locked, shared) = (locked.load(Relaxed), shared.load(Relaxed));
    let guard = lock.lock().await;
    // SAFETY: as above.
    let outside = unsafe { *outside.0.get() };
    if shared > 0 {
        return Err(format!("{shared} times two goroutines held the lock"));
    }
    if *guard != locked || outside != locked {
        return Err(format!(
            "locked {locked} times, counted {} and {outside}",
            *guard
        ));
    }
    Ok(())
}

async fn rwlock(setting: Setting) -> Verdict {
    const WORKERS: usize = 16;
    let each = setting.ops / WORKERS as u64;
    let lock = Arc::new(RwLock::new(0_u64));
    let outside = Arc::new(Unprotected(UnsafeCell::new(0)));
    let (written, wrong) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    // Readers inside, plus a thousand for a writer.
    let inside = Arc::new(AtomicUsize::new(0));
    let group = WaitGroup::new();
    for number in 0..WORKERS {
        let (lock, outside, written) = (lock.clone(), outside.clone(), written.clone());
        let (wrong, inside) = (wrong.clone(), inside.clone());
        let mut worker = setting.worker(number);
        group.go(async move {
            for _ in 0..each {
                worker.op();
                let polls = worker.below(3);
                let yields = worker.below(32) == 0;
                if worker.below(3) > 0 {
                    let guard = match worker.below(6) {
                        0 => lock.try_read(),
                        1 => cancel_after(lock.read(), polls).await,
                        _ => Some(lock.read().await),
                    };
                    let Some(guard) = guard else { continue };
                    let others = inside.fetch_add(1, SeqCst);
                    // SAFETY: we read under the lock; writers have it alone.
                    let seen = unsafe { *outside.0.get() };
                    if others >= 1000 || seen != *guard {
                        wrong.fetch_add(1, SeqCst);
                    }
                    if yields {
                        yield_now().await;
                    }
                    inside.fetch_sub(1, SeqCst);
                } else {
                    let guard = match worker.below(6) {
                        0 => lock.try_write(),
                        1 => cancel_after(lock.write(), polls).await,
                        _ => Some(lock.write().await),
                    };
                    let Some(mut guard) = guard else { continue };
                    if inside.fetch_add(1000, SeqCst) != 0 {
                        wrong.fetch_add(1, SeqCst);
                    }
                    *guard += 1;
                    // SAFETY: we hold the lock alone.
                    unsafe { *outside.0.get() += 1 };
                    if yields {
                        yield_now().await;
                    }
                    written.fetch_add(1, SeqCst);
                    inside.fetch_sub(1000, SeqCst);
                }
            }
        });
    }
    group.wait().await;
    let (written, wrong) = (written.load(SeqCst), wrong.load(SeqCst));
    let counted = *lock.read().await;
    if wrong > 0 || counted != written {
        return Err(format!(
            "{wrong} times a writer was not alone; written {written}, counted {counted}"
        ));
    }
    Ok(())
}

async fn semaphore(setting: Setting) -> Verdict {
    const WORKERS: usize = 16;
    const PERMITS: usize = 5;
    let each = setting.ops / WORKERS as u64;
    let permits = Arc::new(Semaphore::new(PERMITS));
    let (out, wrong) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicU64::new(0)));
    let group = WaitGroup::new();
    for number in 0..WORKERS {
        let (permits, out, wrong) = (permits.clone(), out.clone(), wrong.clone());
        let mut worker = setting.worker(number);
        group.go(async move {
            for _ in 0..each {
                worker.op();
                let polls = worker.below(3);
                let wanted = 1 + worker.below(PERMITS as u64) as usize;
                let permit = match worker.below(6) {
                    0 => permits.try_acquire(wanted).ok(),
                    1 => match cancel_after(permits.acquire(wanted), polls).await {
                        Some(acquired) => acquired.ok(),
                        None => None,
                    },
                    _ => permits.acquire(wanted).await.ok(),
                };
                let Some(permit) = permit else { continue };
                if out.fetch_add(wanted, SeqCst) + wanted > PERMITS {
                    wrong.fetch_add(1, SeqCst);
                }
                if worker.below(32) == 0 {
                    yield_now().await;
                }
                out.fetch_sub(wanted, SeqCst);
                drop(permit);
            }
        });
    }
    group.wait().await;
    let (wrong, left) = (wrong.load(SeqCst), permits.available());
    if wrong > 0 || left != PERMITS {
        return Err(format!(
            "{wrong} times too many permits were out; {left} of {PERMITS} came back"
        ));
    }
    Ok(())
}

/// Goroutines that send and receive on four channels by `select!`: what all have sent, less what
/// stands in the buffers at the end, is what all have received.
async fn selects(setting: Setting) -> Verdict {
    const WORKERS: usize = 12;
    let each = setting.ops / WORKERS as u64;
    let channels: Vec<_> = [0, 0, 1, 8].map(buffered::<u64>).into_iter().collect();
    let (sent, received) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let group = WaitGroup::new();
    for number in 0..WORKERS {
        let channels = channels.clone();
        let (sent, received) = (sent.clone(), received.clone());
        let mut worker = setting.worker(number);
        group.go(async move {
            for _ in 0..each {
                worker.op();
                let (a, b) = (worker.below(4) as usize, worker.below(4) as usize);
                let value = 1 + worker.below(1000);
                let polls = worker.below(3);
                let mut slot = Some(value);
                let (tx, rx) = (&channels[a].0, &channels[b].1);
                let got = cancel_after(
                    async {
                        select! {
                            Some(got) = rx.recv() => got,
                            _ = tx.send_from(&mut slot) => 0,
                            _ = yield_now() => 0,
                        }
                    },
                    polls,
                )
                .await;
                // Whatever became of the select: an empty slot was sent.
                sent.fetch_add(value - slot.unwrap_or(0), SeqCst);
                received.fetch_add(got.unwrap_or(0), SeqCst);
            }
        });
    }
    group.wait().await;
    let left: u64 = (channels.iter()).flat_map(|(_, rx)| rx.try_iter()).sum();
    let (sent, received) = (sent.load(SeqCst), received.load(SeqCst));
    if sent != received + left {
        return Err(format!(
            "sent {sent}, received {received}, and {left} were left"
        ));
    }
    Ok(())
}

async fn wait_groups(setting: Setting) -> Verdict {
    let mut worker = setting.worker(0);
    let mut left = setting.ops;
    while left > 0 {
        let goroutines = 1 + worker.below(20);
        left = left.saturating_sub(goroutines);
        let (group, done) = (WaitGroup::new(), Arc::new(AtomicU64::new(0)));
        for _ in 0..goroutines {
            let (done, yields) = (done.clone(), worker.below(3));
            worker.op();
            group.go(async move {
                for _ in 0..yields {
                    yield_now().await;
                }
                done.fetch_add(1, SeqCst);
            });
        }
        let waiters: Vec<_> = (0..worker.below(3))
            .map(|_| {
                let group = group.clone();
                go(async move { group.wait().await })
            })
            .collect();
        let polls = worker.below(2);
        cancel_after(group.wait(), polls).await;
        group.wait().await;
        if done.load(SeqCst) != goroutines {
            return Err(format!(
                "waited for {goroutines}, of which some were not done"
            ));
        }
        for waiter in waiters {
            waiter.await.map_err(|error| error.to_string())?;
        }
    }
    Ok(())
}

async fn pool(setting: Setting) -> Verdict {
    const WORKERS: usize = 8;
    let each = setting.ops / WORKERS as u64;
    let pool = Pool::new(|| (AtomicU8::new(0), Unprotected(UnsafeCell::new(0))));
    let shared = Arc::new(AtomicU64::new(0));
    let group = WaitGroup::new();
    for number in 0..WORKERS {
        let (pool, shared, mut worker) = (pool.clone(), shared.clone(), setting.worker(number));
        group.go(async move {
            for _ in 0..each {
                worker.op();
                let objects: Vec<_> = (0..1 + worker.below(3)).map(|_| pool.get()).collect();
                for object in &objects {
                    if object.0.fetch_add(1, Relaxed) != 0 {
                        shared.fetch_add(1, Relaxed);
                    }
                    // SAFETY: the object is ours alone, if the pool is right.
                    unsafe { *object.1.0.get() += 1 };
                }
                match worker.below(64) {
                    0..=3 => yield_now().await,
                    4 => pool.age(),
                    _ => {}
                }
                for object in &objects {
                    object.0.fetch_sub(1, Relaxed);
                }
            }
        });
    }
    group.wait().await;
    match shared.load(Relaxed) {
        0 => Ok(()),
        n => Err(format!("{n} times an object was in two hands")),
    }
}

async fn shared_calls(setting: Setting) -> Verdict {
    const WORKERS: usize = 16;
    const KEYS: u64 = 8;
    let each = setting.ops / WORKERS as u64;
    let flight = Arc::new(SingleFlight::new());
    let (runs, values) = (Arc::new(AtomicU64::new(0)), Arc::new(Map::new()));
    let wrong = Arc::new(AtomicU64::new(0));
    {
        let flight = flight.clone();
        setting.note(move || format!("{flight:?}"));
    }
    let group = WaitGroup::new();
    for number in 0..WORKERS {
        let (flight, runs, values) = (flight.clone(), runs.clone(), values.clone());
        let (wrong, mut worker) = (wrong.clone(), setting.worker(number));
        group.go(async move {
            for n in 0..each {
                worker.op();
                let key = worker.below(KEYS);
                let yields = worker.below(3);
                let call = flight.do_call(key, async || {
                    for _ in 0..yields {
                        yield_now().await;
                    }
                    key
                });
                let got = match worker.below(4) {
                    0 => cancel_after(call, yields).await,
                    _ => Some(call.await),
                };
                // Computed once, whoever is cancelled on the way.
                let (value, _) = values.load_or_store_with(n, || {
                    let runs = runs.clone();
                    Arc::new(OnceValue::new(async move || {
                        yield_now().await;
                        runs.fetch_add(1, SeqCst);
                        n
                    }))
                });
                cancel_after(value.get(), 0).await;
                if got.is_some_and(|(got, _)| got != key) || *value.get().await != n {
                    wrong.fetch_add(1, SeqCst);
                }
            }
        });
    }
    group.wait().await;
    let (wrong, runs) = (wrong.load(SeqCst), runs.load(SeqCst));
    match (wrong, flight.in_flight(), runs == each) {
        (0, 0, true) => Ok(()),
        (0, 0, false) => Err(format!("{each} once values ran {runs} times")),
        (0, keys, _) => Err(format!("{keys} keys are left")),
        (wrong, ..) => Err(format!("{wrong} wrong values")),
    }
}
