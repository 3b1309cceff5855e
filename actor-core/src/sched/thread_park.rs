//! Driving a future on an OS thread that is no goroutine, by parking the thread.
//!
//! - The waker's memory is the [`Root`]: an `Arc` whose clones are counted twice, as a goroutine's
//!   wakers are (`state.rs`): kept by our primitives, or by anybody else.
//! - A thread in `block_on` of a runtime is entered in its list of roots, so that a deadlock's report
//!   names it and what it waits for. If it is no M, it looks for a deadlock itself when nothing woke
//!   it for a while: there is nobody else with nothing to do, and it is the one to be told.

use std::future::Future;
use std::mem::ManuallyDrop;
use std::panic::Location;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use super::clock::Instant;
use super::context;
use super::deadlock::{OurThread, Watch};
use super::lock_cycle::{self, Sleeps};
use super::machine::blocking;
use super::record::{self, RecordRef};
use super::shared::Shared;
use super::simulated;
use super::wait::WaitWord;
use crate::shim::atomic::{AtomicBool, AtomicUsize, Ordering};

/// A thread that drives a future.
#[derive(Debug)]
pub(crate) struct Root {
    thread: Thread,
    /// Keeps a wake that comes before the park, and spares a wake that nobody waits for.
    woken: AtomicBool,
    /// It has polled and found nothing to do.
    parked: AtomicBool,
    kept: AtomicUsize,
    foreign: AtomicUsize,
    pub(crate) wait: WaitWord,
    pub(crate) record: RecordRef,
    pub(crate) role: Role,
    pub(crate) location: &'static Location<'static>,
}

impl Root {
    /// Asleep, with no waker in unknown hands.
    pub(crate) fn sleeps_soundly(&self) -> bool {
        // ORDERING: SeqCst, in this order. A foreign waker sets `woken` before it is counted out; and a
        // thread that goes on says so in `parked` before it takes `woken` back.
        self.foreign.load(Ordering::SeqCst) == 0
            && !self.woken.load(Ordering::SeqCst)
            && self.parked.load(Ordering::SeqCst)
            && !self.woken.load(Ordering::SeqCst)
    }

    pub(crate) fn name(&self) -> String {
        self.thread.name().unwrap_or("unnamed").to_owned()
    }

    fn wake(&self) {
        // ORDERING: SeqCst: Release pairs with the swap in `drive`; and see `sleeps_soundly`.
        if !self.woken.swap(true, Ordering::SeqCst) {
            self.thread.unpark();
        }
    }

    fn waits_on_one(&self) -> bool {
        self.kept.load(Ordering::Acquire) == 1
            && self.foreign.load(Ordering::Acquire) == 0
            && !self.woken.load(Ordering::Acquire)
    }
}

impl Sleeps for Root {
    fn is_woken(&self) -> bool {
        // ORDERING: Acquire pairs with the swap in `drive`, which comes after the mark is taken back.
        self.woken.load(Ordering::Acquire)
    }
}

/// The wakers that polls are given, and their clones.
static FOREIGN: RawWakerVTable =
    RawWakerVTable::new(clone, wake::<false>, wake_by_ref, release::<false>);
/// Those that our primitives keep while the thread waits.
static KEPT: RawWakerVTable =
    RawWakerVTable::new(clone, wake::<true>, wake_by_ref, release::<true>);

fn root(data: *const ()) -> &'static Root {
    // SAFETY: the data pointer of our wakers is an `Arc<Root>` that each of them holds a count of. The
    // borrow ends within the waker's call; `'static` never leaves this file's functions.
    unsafe { &*data.cast::<Root>() }
}

fn count(root: &Root, kept: bool) -> &AtomicUsize {
    if kept { &root.kept } else { &root.foreign }
}

fn raw(data: *const (), kept: bool) -> RawWaker {
    // ORDERING: AcqRel: read by whoever judges, after the park.
    count(root(data), kept).fetch_add(1, Ordering::AcqRel);
    // SAFETY: made from an `Arc` that is alive; the new waker gives the count up.
    unsafe { Arc::increment_strong_count(data.cast::<Root>()) };
    RawWaker::new(data, if kept { &KEPT } else { &FOREIGN })
}

unsafe fn clone(data: *const ()) -> RawWaker {
    raw(data, false)
}

unsafe fn wake_by_ref(data: *const ()) {
    root(data).wake();
}

unsafe fn wake<const KEPT_ONE: bool>(data: *const ()) {
    root(data).wake();
    // SAFETY: the waker's count goes with it.
    unsafe { release::<KEPT_ONE>(data) };
}

unsafe fn release<const KEPT_ONE: bool>(data: *const ()) {
    count(root(data), KEPT_ONE).fetch_sub(1, Ordering::AcqRel);
    // SAFETY: the waker's count, given up here.
    unsafe { Arc::decrement_strong_count(data.cast::<Root>()) };
}

/// Where to note what the waker's thread waits for, if it is one of ours.
pub(crate) fn wait_word(waker: &Waker) -> Option<&WaitWord> {
    let vtable: *const RawWakerVTable = waker.vtable();
    let ours = [&raw const FOREIGN, &raw const KEPT].contains(&vtable);
    // SAFETY: with one of our vtables the data pointer is a root, alive as long as the waker.
    ours.then(|| unsafe { &(*waker.data().cast::<Root>()).wait })
}

/// A clone for one of our primitives to keep while the thread waits. Anybody else's waker is cloned
/// as it wishes.
pub(crate) fn keep(waker: &Waker) -> Waker {
    if wait_word(waker).is_none() {
        return waker.clone();
    }
    // SAFETY: the vtable gives up what `raw` counts.
    unsafe { Waker::from_raw(raw(waker.data(), true)) }
}

/// Polls a future on this thread until it is ready. On an M this is a blocking section: its P goes
/// to somebody else meanwhile.
#[track_caller]
pub(crate) fn block_on_thread<F: Future>(future: F) -> F::Output {
    refuse_in_simulation();
    let location = Location::caller();
    let on_machine = context::in_poll();
    let shared = context::shared();
    let role = if on_machine {
        Role::Machine
    } else {
        Role::BlockOn
    };
    blocking(|| drive(future, shared.as_ref(), location, role, None))
        .expect("without a deadline it ends with the future")
}

/// As `block_on_thread`, for at most so long: `None` when the time is over. The future is then
/// dropped. The thread keeps the time by itself, so no runtime is needed.
#[track_caller]
pub(crate) fn block_on_thread_within<F: Future>(limit: Duration, future: F) -> Option<F::Output> {
    refuse_in_simulation();
    let location = Location::caller();
    let deadline = Instant::now() + limit;
    let shared = context::shared();
    let role = if context::in_poll() {
        Role::Machine
    } else {
        Role::BlockOn
    };
    blocking(|| drive(future, shared.as_ref(), location, role, Some(deadline)))
}

#[track_caller]
fn refuse_in_simulation() {
    simulated::refuse(
        "blocking a thread until a future is ready",
        "there is only one thread; await the future instead",
    );
}

/// As `block_on_thread`, for a thread of the runtime's own that is no M.
pub(crate) fn drive_thread<F: Future>(
    future: F,
    shared: &Arc<Shared>,
    location: &'static Location<'static>,
) -> F::Output {
    drive(future, Some(shared), location, Role::Locked, None)
        .expect("without a deadline it ends with the future")
}

/// What sort of thread drives a future.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// An M inside a goroutine's poll, which counts as blocked meanwhile.
    Machine,
    /// The thread of a `lock_thread`.
    Locked,
    /// Any other; it reports deadlocks.
    BlockOn,
}

/// Somebody outside of any runtime who may wake one of us, for as long as this lives: a thread that
/// waits on our primitives, or the kernel, to whom signals are being listened to.
pub(crate) struct Outsider;

/// A static: std's own, which loom does not model.
static OUTSIDERS: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);

/// How many there are at this moment.
pub(crate) fn outsiders() -> usize {
    OUTSIDERS.load(Ordering::SeqCst)
}

impl Outsider {
    pub(crate) fn new() -> Self {
        OUTSIDERS.fetch_add(1, Ordering::SeqCst);
        Self
    }
}

impl Drop for Outsider {
    fn drop(&mut self) {
        OUTSIDERS.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Entered in its runtime's list, and with the thread's record set, until dropped.
struct Entry<'a> {
    root: &'a Arc<Root>,
    shared: Option<&'a Shared>,
    outer: RecordRef,
    _outsider: Option<Outsider>,
    _thread: OurThread,
}

impl<'a> Entry<'a> {
    fn new(root: &'a Arc<Root>, shared: Option<&'a Shared>) -> Self {
        if let Some(shared) = shared {
            shared.roots.lock().push(root.clone());
        }
        Self {
            root,
            shared,
            outer: context::set_thread_record(root.record),
            _outsider: shared.is_none().then(Outsider::new),
            _thread: OurThread::new(),
        }
    }
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        context::set_thread_record(self.outer);
        if let Some(shared) = self.shared {
            let mut roots = shared.roots.lock();
            roots.retain(|other| !Arc::ptr_eq(other, self.root));
        }
        if self.root.role != Role::Machine {
            self.root.record.release();
        }
    }
}

fn drive<F: Future>(
    future: F,
    shared: Option<&Arc<Shared>>,
    location: &'static Location<'static>,
    role: Role,
    deadline: Option<Instant>,
) -> Option<F::Output> {
    // Dropped after the future: what that holds may name the record.
    let root = Arc::new(Root {
        thread: thread::current(),
        woken: AtomicBool::new(false),
        parked: AtomicBool::new(false),
        kept: AtomicUsize::new(0),
        foreign: AtomicUsize::new(0),
        wait: WaitWord::new(),
        record: if role == Role::Machine {
            lock_cycle::current()
        } else {
            record::new_record(0, thread::current().name().map(Arc::from), location)
        },
        role,
        location,
    });
    let _entry = Entry::new(&root, shared.map(|shared| &**shared));
    let mut future = pin!(future);
    let borrowed = RawWaker::new(Arc::as_ptr(&root).cast(), &FOREIGN);
    // SAFETY: not dropped, so it needs no count of its own; `root` outlives it.
    let waker = ManuallyDrop::new(unsafe { Waker::from_raw(borrowed) });
    let mut cx = Context::from_waker(&waker);
    let mut watch = shared
        .filter(|_| role == Role::BlockOn)
        .and_then(Watch::new);
    let mut marked = false;
    loop {
        // The word alone won't do: a mark that stayed would outlive `root`.
        if root.wait.clear() || marked {
            marked = false;
            lock_cycle::resume(root.record);
        }
        // ORDERING: Acquire pairs with the Release in `wake`; SeqCst: see `sleeps_soundly`.
        root.woken.swap(false, Ordering::SeqCst);
        if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return Some(output);
        }
        // Who waits for a limited time has a way out.
        if deadline.is_none() && root.wait.may_close_a_cycle() && root.waits_on_one() {
            marked = true;
            // SAFETY: `root` outlives the loop, which ends only after `resume` or by a panic in the
            // sleep of a `BlockOn`, whose `Entry` releases the record before `root` goes.
            if unsafe { lock_cycle::settle(root.record, &*root) } {
                continue;
            }
        }
        match deadline {
            None => root.sleep(&mut watch),
            Some(deadline) if root.sleep_until(deadline) => {}
            Some(_) => return None,
        }
    }
}

impl Root {
    /// Parks until somebody wakes it; false when the time is over before that. Never `parked`, as
    /// one that will wake by itself is no part of a deadlock.
    fn sleep_until(&self, deadline: Instant) -> bool {
        while !self.woken.load(Ordering::SeqCst) {
            let now = Instant::now();
            if now >= deadline {
                return false;
            }
            thread::park_timeout(deadline - now);
        }
        true
    }

    /// Parks until somebody wakes it.
    fn sleep(&self, watch: &mut Option<Watch<'_>>) {
        self.parked.store(true, Ordering::SeqCst);
        while !self.woken.load(Ordering::SeqCst) {
            let Some(watching) = watch else {
                thread::park();
                continue;
            };
            let pause = watching.pause();
            let until = Instant::now() + pause;
            thread::park_timeout(pause);
            if Instant::now() >= until && !self.woken.load(Ordering::SeqCst) {
                watching.look();
            }
        }
        self.parked.store(false, Ordering::SeqCst);
        if let Some(watching) = watch {
            watching.woken();
        }
    }
}
