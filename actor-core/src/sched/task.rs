//! G: one goroutine, one allocation.
//!
//! ```text
//!  ┌───────────────── Header, seven words ──────────┐┌──── stage ────┐┌─ join waker ─┐
//!  │ state │ vtable │ home │ links │ origin │ wait │ ││ future/output ││ if joinable  │
//!  └────────────────────────────────────────────────┘└───────────────┘└──────────────┘
//! ```
//!
//! - Everything outside this file handles a goroutine as `RunToken` (the right to poll it once),
//!   `TaskRef` (a counted reference) or `Waker`; the future's type is known only behind `VTable`.
//! - The future is polled and dropped by Ms only, never by whoever aborts or drops a handle; a
//!   waker on a foreign thread can at most free memory whose future is long gone.
//! - The output overwrites the future, when `finish` begins; no word says which of the two is there.
//!   It is taken by the join handle, or dropped by it, or by the completing M when nobody is
//!   interested; so it is gone before the memory is.
//! - One that nobody joins ([`Detached`]) has no room for a join waker. Its end is told otherwise.
//! - `home` names the runtime. That is valid while the goroutine is not complete: a runtime goes
//!   away only after its registry is empty, and one that gives up on goroutines is leaked. Whoever
//!   hands a token on may lose the runtime with it, and takes a counted reference first.
//! - A panic in `poll`, in a future's `Drop` or in an unread output's `Drop` ends here.

use std::cell::UnsafeCell;
use std::future::Future;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::ptr::NonNull;
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Waker};

use super::join::JoinError;
use super::lock_cycle;
use super::mem;
use super::origin::Origin;
use super::record::RecordRef;
use super::registry::Links;
use super::runtimes::Home;
use super::shared::Shared;
use super::shield::shield;
use super::simulated;
use super::state::{Hold, Idle, Notify, Start, State};
use super::thin_waker::ThinWaker;
use super::wait::WaitWord;

/// What became of a run token.
#[must_use]
#[derive(Debug)]
pub(crate) enum Ran {
    /// The goroutine waits; it may no longer be touched.
    Parked,
    /// It is over.
    Over,
    /// It was notified during its poll and has to be queued again.
    Again(RunToken),
}

pub(crate) struct VTable {
    run: unsafe fn(NonNull<Header>) -> Ran,
    /// Moves the output to `*mut Result<T, JoinError>`.
    take_output: unsafe fn(NonNull<Header>, *mut ()),
    drop_output: unsafe fn(NonNull<Header>),
    join_waker: unsafe fn(NonNull<Header>) -> *mut Option<ThinWaker>,
    dealloc: unsafe fn(NonNull<Header>),
    /// The name of the actor's type that it works for, if it does.
    pub(crate) label: Option<fn() -> &'static str>,
}

/// What a goroutine works for: nobody in particular, `()`, or an actor.
pub(crate) trait WorksFor {
    const LABEL: Option<fn() -> &'static str>;
}

impl WorksFor for () {
    const LABEL: Option<fn() -> &'static str> = None;
}

/// An incarnation of the actor `A`.
pub(crate) struct ForActor<A>(PhantomData<A>);

impl<A> WorksFor for ForActor<A> {
    const LABEL: Option<fn() -> &'static str> = Some(std::any::type_name::<A>);
}

#[repr(C)]
pub(crate) struct Header {
    pub(crate) state: State,
    pub(crate) vtable: &'static VTable,
    /// Its number and its runtime's.
    pub(crate) home: Home,
    pub(crate) links: UnsafeCell<Links>,
    /// Where it was started and what it is called.
    pub(crate) origin: Origin,
    /// What its last poll waited for.
    pub(crate) wait: WaitWord,
}

const _: () = assert!(cfg!(actor_loom) || size_of::<Header>() == 7 * size_of::<u64>());

impl Header {
    /// Its number, unique within its runtime.
    #[inline]
    pub(crate) fn id(&self) -> u64 {
        self.home.id()
    }
}

/// What the word of `state.rs` says is there: see the file's comment.
union Stage<F: Future> {
    future: ManuallyDrop<F>,
    output: ManuallyDrop<Result<F::Output, JoinError>>,
}

impl<F: Future> Stage<F> {
    /// # Safety
    /// `stage` is the caller's alone, and its output is there and was not taken before.
    unsafe fn take_output(stage: *mut Self) -> Result<F::Output, JoinError> {
        // SAFETY: as the caller promises.
        unsafe { ManuallyDrop::take(&mut (*stage).output) }
    }
}

/// Whether a goroutine can be joined.
pub(crate) trait Joining {
    /// Room for the joiner's waker.
    type Slot;
    const IS_JOINABLE: bool;
    const EMPTY: Self::Slot;
    fn waker(slot: &Self::Slot) -> *mut Option<ThinWaker>;
}

/// By the handle that its start returns.
pub(crate) enum Joinable {}

/// By nobody.
pub(crate) enum Detached {}

impl Joining for Joinable {
    type Slot = UnsafeCell<Option<ThinWaker>>;
    const IS_JOINABLE: bool = true;
    // Copied into each goroutine, never used in place.
    #[allow(clippy::declare_interior_mutable_const)]
    const EMPTY: Self::Slot = UnsafeCell::new(None);

    fn waker(slot: &Self::Slot) -> *mut Option<ThinWaker> {
        slot.get()
    }
}

impl Joining for Detached {
    type Slot = ();
    const IS_JOINABLE: bool = false;
    const EMPTY: Self::Slot = ();

    fn waker((): &()) -> *mut Option<ThinWaker> {
        unreachable!("nobody joins it")
    }
}

#[repr(C)]
struct Cell<F: Future, J: Joining> {
    header: Header,
    stage: UnsafeCell<Stage<F>>,
    join_waker: J::Slot,
}

/// The right, and the duty, to run a goroutine once or to hand the token on. It carries no
/// reference (see `state.rs`), so losing one leaks the goroutine until its runtime ends.
#[must_use]
pub(crate) struct RunToken(NonNull<Header>);

// SAFETY: a token is the exclusive right to poll; the future behind it is `Send` (`Task::new`
// demands it), and the rest of the header is shared through atomics and the registry's lock.
unsafe impl Send for RunToken {}

impl std::fmt::Debug for RunToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("RunToken").field(&self.0).finish()
    }
}

impl RunToken {
    #[inline]
    pub(crate) fn into_raw(self) -> *mut () {
        self.0.as_ptr().cast()
    }

    /// # Safety
    /// `raw` comes from `into_raw`, and this is the only token made from that call.
    #[inline]
    pub(crate) unsafe fn from_raw(raw: *mut ()) -> Self {
        // SAFETY: `into_raw` never returns null; the caller vouches for the rest.
        Self(unsafe { NonNull::new_unchecked(raw.cast()) })
    }

    #[inline]
    pub(crate) fn header(&self) -> *const Header {
        self.0.as_ptr()
    }

    #[inline]
    pub(crate) fn home(&self) -> Home {
        // SAFETY: a token keeps its goroutine alive (I1 in `state.rs`).
        unsafe { self.0.as_ref() }.home
    }

    pub(crate) fn id(&self) -> u64 {
        // SAFETY: as in `shared`.
        unsafe { self.0.as_ref() }.id()
    }

    /// Its name, what it works for, or else where it was started.
    pub(crate) fn describe(&self) -> String {
        // SAFETY: as in `shared`.
        let head = unsafe { self.0.as_ref() };
        match (head.origin.name(), head.vtable.label) {
            (Some(name), _) => name.to_string(),
            (None, Some(label)) => {
                let path = label().split('<').next().unwrap_or_default();
                path.rsplit("::").next().unwrap_or_default().to_owned()
            }
            (None, None) => head.origin.location().to_string(),
        }
    }

    /// Marks the goroutine as aborted: the token's owner drops its future instead of polling it.
    pub(crate) fn cancel(&self) {
        // SAFETY: as in `home`. The token is ours, so nobody is asked to queue another.
        let _ = unsafe { self.0.as_ref() }.state.cancel();
    }

    /// Polls the goroutine, or drops its future if it was aborted.
    #[inline]
    pub(crate) fn run(self) -> Ran {
        // SAFETY: the token makes us the only one to poll; the vtable belongs to this header.
        unsafe { (self.0.as_ref().vtable.run)(self.0) }
    }
}

/// A counted reference to a goroutine, whatever its future and output.
pub(crate) struct TaskRef(NonNull<Header>);

// SAFETY: through a reference only the atomic state, immutable header fields and, by the protocol
// of `state.rs`, output and join waker are reached; `JoinHandle` demands `Send` of the output.
unsafe impl Send for TaskRef {}
// SAFETY: as above.
unsafe impl Sync for TaskRef {}

impl Clone for TaskRef {
    fn clone(&self) -> Self {
        self.header().state.ref_inc(Hold::Handle);
        Self(self.0)
    }
}

impl Drop for TaskRef {
    fn drop(&mut self) {
        // SAFETY: this reference was counted and is given up here.
        unsafe { release(self.0, Hold::Handle) }
    }
}

impl TaskRef {
    #[inline]
    pub(crate) fn header(&self) -> &Header {
        // SAFETY: the counted reference keeps the memory.
        unsafe { self.0.as_ref() }
    }

    /// Takes over a reference that is already counted (the registry's, or the join handle's).
    ///
    /// # Safety
    /// The reference is counted in the state and nobody else gives it up.
    pub(crate) unsafe fn from_counted(header: NonNull<Header>) -> Self {
        Self(header)
    }

    pub(crate) fn ptr(&self) -> NonNull<Header> {
        self.0
    }

    /// Asks for the goroutine's end; an M drops its future.
    pub(crate) fn abort(&self) {
        if self.header().state.cancel() == Notify::Enqueue {
            Shared::schedule_from_anywhere(RunToken(self.0));
        }
    }

    /// # Safety
    /// The goroutine is complete, `T` is its output type, and the output was not taken before.
    pub(crate) unsafe fn take_output<T>(&self) -> Result<T, JoinError> {
        let mut out = std::mem::MaybeUninit::<Result<T, JoinError>>::uninit();
        // SAFETY: `out` has the type that the vtable's function writes; the rest is the caller's.
        unsafe {
            (self.header().vtable.take_output)(self.0, out.as_mut_ptr().cast());
            out.assume_init()
        }
    }

    /// # Safety
    /// The goroutine is complete and the caller owns its output, which was not taken before.
    pub(crate) unsafe fn drop_output(&self) {
        // SAFETY: as the caller promises.
        unsafe { (self.header().vtable.drop_output)(self.0) }
    }

    /// The join waker's slot; who may touch it is said in `state.rs` (I4).
    pub(crate) fn join_waker(&self) -> *mut Option<ThinWaker> {
        // SAFETY: only computes an address within the live cell.
        unsafe { (self.header().vtable.join_waker)(self.0) }
    }
}

/// Makes a goroutine: its first run token and a reference to it. The caller registers it.
/// `L` is what it works for.
#[inline(always)] // so that a future is written where it lies, by whoever starts it: see `mem.rs`
pub(crate) fn new_task<F, L, J>(future: F, home: Home, origin: Origin) -> (RunToken, TaskRef)
where
    J: Joining,
    L: WorksFor,
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let memory = mem::alloc(std::alloc::Layout::new::<Cell<F, J>>()).cast::<Cell<F, J>>();
    let header = memory.cast::<Header>();
    let (cell, head) = (memory.as_ptr(), header.as_ptr());
    // Field by field, in place: see `mem.rs` about fresh stores.
    // SAFETY: fresh memory of exactly this layout.
    unsafe {
        (&raw mut (*head).state).write(State::new(J::IS_JOINABLE));
        (&raw mut (*head).vtable).write(vtable::<F, L, J>());
        (&raw mut (*head).home).write(home);
        (&raw mut (*head).links).write(UnsafeCell::new(Links::default()));
        (&raw mut (*head).origin).write(origin);
        (&raw mut (*head).wait).write(WaitWord::new());
        let future = ManuallyDrop::new(future);
        (&raw mut (*cell).stage).write(UnsafeCell::new(Stage { future }));
        (&raw mut (*cell).join_waker).write(J::EMPTY);
    }
    (RunToken(header), TaskRef(header))
}

fn vtable<F, L, J>() -> &'static VTable
where
    J: Joining,
    L: WorksFor,
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    const {
        &VTable {
            run: run::<F, J>,
            take_output: take_output::<F, J>,
            drop_output: drop_output::<F, J>,
            join_waker: join_waker::<F, J>,
            dealloc: dealloc::<F, J>,
            label: L::LABEL,
        }
    }
}

/// # Safety
/// The caller owns the run token of this goroutine, whose future is an `F`.
unsafe fn run<F: Future, J: Joining>(header: NonNull<Header>) -> Ran {
    let cell = header.cast::<Cell<F, J>>();
    // SAFETY: the token keeps the cell alive until `idle` or `complete` gives it up.
    let (head, stage) = unsafe { (&cell.as_ref().header, cell.as_ref().stage.get()) };
    // While NOTIFIED is still on: a walk must not take it for a sleeper.
    if head.wait.clear() {
        resume(head);
    }
    let started = head.state.start();
    let output = match started {
        Start::Cancel => Err(JoinError::cancelled()),
        Start::Poll => {
            // SAFETY: the borrowed waker is not dropped, so it needs no count of its own; the
            // goroutine outlives the poll.
            let waker = ManuallyDrop::new(unsafe { Waker::from_raw(raw_waker(header)) });
            let mut cx = Context::from_waker(&waker);
            let polled = catch_unwind(AssertUnwindSafe(|| {
                // SAFETY: RUNNING makes us the only one to touch the stage, and a goroutine that is
                // not complete has its future there.
                let future: &mut F = unsafe { &mut (*stage).future };
                // SAFETY: it is dropped in place (`finish`), never moved.
                unsafe { Pin::new_unchecked(future) }.poll(&mut cx)
            }));
            match polled {
                Ok(Poll::Pending) => {
                    if head.wait.may_close_a_cycle() {
                        settle(head);
                    }
                    return match head.state.idle() {
                        Idle::Parked => Ran::Parked,
                        Idle::Notified => Ran::Again(RunToken(header)),
                    };
                }
                Ok(Poll::Ready(value)) => Ok(value),
                Err(payload) => Err(JoinError::panicked(payload)),
            }
        }
    };
    // SAFETY: still RUNNING, so the stage is ours.
    unsafe { finish::<F, J>(cell, stage, output) };
    Ran::Over
}

/// The poll waits for a lock: looks whether that closes a cycle. If so it is polled again.
#[cold]
fn settle(head: &Header) {
    if let Some(record) = head.origin.record()
        && head.state.waits_on_one()
        // SAFETY: the state's memory is freed after the origin beside it has released the record.
        && unsafe { lock_cycle::settle(record, &head.state) }
    {
        // We are inside the poll: nobody can be asked to enqueue it.
        let _ = head.state.notify();
    }
}

#[cold]
fn resume(head: &Header) {
    if let Some(record) = head.origin.record() {
        lock_cycle::resume(record);
    }
}

/// Drops the future, stores the output, tells the joiner and gives up the registry's reference.
///
/// # Safety
/// The caller has the goroutine in RUNNING, with its future in the stage.
unsafe fn finish<F: Future, J: Joining>(
    cell: NonNull<Cell<F, J>>,
    stage: *mut Stage<F>,
    mut output: Result<F::Output, JoinError>,
) {
    // SAFETY: the stage is ours; it is overwritten below without being dropped again.
    let dropped = catch_unwind(AssertUnwindSafe(|| unsafe {
        ManuallyDrop::drop(&mut (*stage).future)
    }));
    if let Err(payload) = dropped {
        // The value of a goroutine whose future panics in Drop is not trusted: the panic is told.
        let value = std::mem::replace(&mut output, Err(JoinError::panicked(payload)));
        shield(|| drop(value));
    }
    let output = ManuallyDrop::new(output);
    // SAFETY: the future was dropped above.
    unsafe { stage.write(Stage { output }) };
    // SAFETY: alive: the registry's reference is given up at the end only.
    let head = unsafe { &cell.as_ref().header };
    // SAFETY: the runtime is alive: goroutines are only run, or refused, by threads that hold it.
    let shared = unsafe { &*head.home.runtime() };
    // Before `complete`, so that a joiner finds the goroutine gone. Our reference stays.
    shared.registry.remove(cell.cast());
    let completed = head.state.complete();
    if !completed.join_interest {
        // SAFETY: complete, and nobody else is interested: the output is ours.
        unsafe { drop_output::<F, J>(cell.cast()) };
    } else if completed.join_waker {
        // SAFETY: with JOIN_WAKER set at completion the slot is read-only for both sides (I4).
        if let Some(waker) = unsafe { &*J::waker(&cell.as_ref().join_waker) } {
            shield(|| waker.wake_by_ref());
        }
    }
    shared.note_complete();
    // SAFETY: the registry's reference, taken out just now.
    unsafe { release(cell.cast(), Hold::Handle) };
}

/// # Safety
/// Complete; the output was not taken; `out` points to a `Result<F::Output, JoinError>`.
unsafe fn take_output<F: Future, J: Joining>(header: NonNull<Header>, out: *mut ()) {
    let cell = header.cast::<Cell<F, J>>();
    // SAFETY: the caller owns the output, which is there; `out` is as it promises.
    unsafe {
        let output = Stage::take_output(cell.as_ref().stage.get());
        out.cast::<Result<F::Output, JoinError>>().write(output);
    }
}

/// # Safety
/// Complete, and the caller owns the output, which was not taken before.
unsafe fn drop_output<F: Future, J: Joining>(header: NonNull<Header>) {
    let cell = header.cast::<Cell<F, J>>();
    // SAFETY: the caller owns the output, which is there.
    let output = unsafe { Stage::take_output(cell.as_ref().stage.get()) };
    if simulated::is_active()
        && let Err(error) = output
    {
        return simulated::unseen(error);
    }
    shield(|| drop(output));
}

/// # Safety
/// The cell is alive and its future is an `F`.
unsafe fn join_waker<F: Future, J: Joining>(header: NonNull<Header>) -> *mut Option<ThinWaker> {
    // SAFETY: as the caller promises.
    J::waker(unsafe { &header.cast::<Cell<F, J>>().as_ref().join_waker })
}

/// # Safety
/// No reference is left.
unsafe fn dealloc<F: Future, J: Joining>(header: NonNull<Header>) {
    let cell = header.cast::<Cell<F, J>>();
    // SAFETY: nobody else can reach the cell. Its output is gone (see the file's comment); what is
    // left to drop are the header and the join waker.
    unsafe {
        shield(|| std::ptr::drop_in_place(cell.as_ptr()));
        mem::free(cell.cast(), std::alloc::Layout::new::<Cell<F, J>>());
    }
}

/// # Safety
/// The caller gives up one reference, counted in this field.
unsafe fn release(header: NonNull<Header>, hold: Hold) {
    // SAFETY: the reference given up keeps the header alive up to the decrement.
    unsafe {
        let head = header.as_ref();
        let vtable = head.vtable;
        if head.state.ref_dec(hold) {
            (vtable.dealloc)(header);
        }
    }
}

/// The wakers that polls are given, and their clones.
static WAKER: RawWakerVTable = vtable_of::<{ Hold::Foreign as u8 }>();
/// Those that our primitives keep while the goroutine waits.
static KEPT: RawWakerVTable = vtable_of::<{ Hold::Own as u8 }>();
/// Those that stay where they are beyond the wait.
static STORED: RawWakerVTable = vtable_of::<{ Hold::Handle as u8 }>();

const fn vtable_of<const HOLD: u8>() -> RawWakerVTable {
    RawWakerVTable::new(
        waker_clone,
        waker_wake::<HOLD>,
        waker_wake_by_ref,
        waker_drop::<HOLD>,
    )
}

/// The inverse of `hold as u8`, for constants.
const fn hold_of(hold: u8) -> Hold {
    match hold {
        h if h == Hold::Own as u8 => Hold::Own,
        h if h == Hold::Handle as u8 => Hold::Handle,
        _ => Hold::Foreign,
    }
}

/// By what a waker that one of our primitives keeps is counted; `None` for all others.
#[inline]
pub(super) fn hold_of_waker(waker: &Waker) -> Option<Hold> {
    if std::ptr::eq(waker.vtable(), &raw const KEPT) {
        Some(Hold::Own)
    } else if std::ptr::eq(waker.vtable(), &raw const STORED) {
        Some(Hold::Handle)
    } else {
        None
    }
}

/// The vtable of wakers that are counted so.
#[inline]
pub(super) fn vtable_of_hold(hold: Hold) -> &'static RawWakerVTable {
    match hold {
        Hold::Own => &KEPT,
        Hold::Handle => &STORED,
        Hold::Foreign => &WAKER,
    }
}

/// The goroutine behind a waker, if it is one of ours.
#[inline]
fn header_of(waker: &Waker) -> Option<&Header> {
    let vtable: *const RawWakerVTable = waker.vtable();
    // Written out: by far the most are the first.
    let ours = std::ptr::eq(vtable, &raw const WAKER)
        || std::ptr::eq(vtable, &raw const KEPT)
        || std::ptr::eq(vtable, &raw const STORED);
    // SAFETY: with one of our vtables the data pointer is a header, alive as long as the waker.
    ours.then(|| unsafe { &*waker.data().cast::<Header>() })
}

/// Whether it is the waker of a goroutine, of the one with this header if it is.
#[inline]
pub(super) fn is_waker_of(waker: &Waker, header: *const u8) -> bool {
    std::ptr::eq(waker.data().cast(), header) && header_of(waker).is_some()
}

/// Wakes a goroutine.
///
/// # Safety
/// It is the address of a header, on which the caller has a counted reference.
#[inline]
pub(super) unsafe fn wake_header(header: *const u8) {
    // SAFETY: as the caller promises.
    unsafe { waker_wake_by_ref(header.cast()) }
}

/// Wakes a goroutine, and gives the reference up.
///
/// # Safety
/// It is the address of a header, on which the caller has a reference counted as `hold`.
#[inline]
pub(super) unsafe fn wake_header_and_release(header: *const u8, hold: Hold) {
    // SAFETY: as the caller promises.
    unsafe { wake_and_release(from_waker(header.cast()), hold) }
}

/// Where to note what the waker's goroutine waits for, if it is a goroutine.
#[inline]
pub(crate) fn wait_word(waker: &Waker) -> Option<&WaitWord> {
    header_of(waker).map(|head| &head.wait)
}

/// The record of the waker's goroutine, if it has one.
pub(crate) fn record(waker: &Waker) -> Option<RecordRef> {
    header_of(waker)?.origin.record()
}

#[inline]
fn clone_as(waker: &Waker, hold: Hold, vtable: &'static RawWakerVTable) -> Option<Waker> {
    let head = header_of(waker)?;
    head.state.ref_inc(hold);
    // SAFETY: the vtable gives up the reference counted just now, in the same field.
    Some(unsafe { Waker::from_raw(RawWaker::new(waker.data(), vtable)) })
}

/// A clone for one of our primitives to keep while the goroutine waits; `None` if it is no
/// goroutine's. One made by [`store`] stays what it is.
#[inline]
pub(crate) fn keep(waker: &Waker) -> Option<Waker> {
    if std::ptr::eq(waker.vtable(), &raw const STORED) {
        return store(waker);
    }
    clone_as(waker, Hold::Own, &KEPT)
}

/// A clone to be kept beyond the wait, by somebody who won't use it then.
#[inline]
pub(crate) fn store(waker: &Waker) -> Option<Waker> {
    clone_as(waker, Hold::Handle, &STORED)
}

fn raw_waker(header: NonNull<Header>) -> RawWaker {
    RawWaker::new(header.as_ptr().cast(), &WAKER)
}

fn from_waker(data: *const ()) -> NonNull<Header> {
    // SAFETY: `raw_waker` made it from a NonNull.
    unsafe { NonNull::new_unchecked(data.cast_mut().cast()) }
}

// SAFETY (all four): the data pointer is a header; an owned waker holds a counted reference, and
// the borrowed one of `run` is covered by the run token.
unsafe fn waker_clone(data: *const ()) -> RawWaker {
    let header = from_waker(data);
    // SAFETY: see above.
    unsafe { header.as_ref() }.state.ref_inc(Hold::Foreign);
    raw_waker(header)
}

unsafe fn waker_wake<const HOLD: u8>(data: *const ()) {
    // SAFETY: see above; the reference is given up here.
    unsafe { wake_and_release(from_waker(data), const { hold_of(HOLD) }) }
}

/// # Safety
/// The caller gives up one reference, counted in this field.
#[inline]
unsafe fn wake_and_release(header: NonNull<Header>, hold: Hold) {
    // SAFETY: the reference given up keeps the header alive up to the decrement.
    let head = unsafe { header.as_ref() };
    let vtable = head.vtable;
    match head.state.notify_and_release(hold) {
        // The registry's reference keeps a goroutine that isn't complete: never the last one.
        (Notify::Enqueue, _) => Shared::schedule_from_anywhere(RunToken(header)),
        // SAFETY: that was the last reference.
        (Notify::Nothing, true) => unsafe { (vtable.dealloc)(header) },
        (Notify::Nothing, false) => {}
    }
}

#[inline]
unsafe fn waker_wake_by_ref(data: *const ()) {
    let header = from_waker(data);
    // SAFETY: see above.
    if unsafe { header.as_ref() }.state.notify() == Notify::Enqueue {
        Shared::schedule_from_anywhere(RunToken(header));
    }
}

unsafe fn waker_drop<const HOLD: u8>(data: *const ()) {
    // SAFETY: see above.
    unsafe { release(from_waker(data), const { hold_of(HOLD) }) };
}
