//! Go's `errgroup`: goroutines that stand or fall together, and never outlive their group.
//!
//! ```text
//!             slot free               returned, panicked, aborted
//!   go(..) ──────────────▶ running ───────────────────────────────▶ gone ──▶ wait: none is left
//!      │ none free            ▲ slot handed on                       │
//!      └──────▶ slots ────────┘                                      │ the first failure
//!               (queue)                                              ▼
//!                                                  context cancelled, all others aborted
//! ```
//!
//! Invariants:
//! - `running` counts slots: tasks that aren't gone, and slots handed to a waiter that hasn't used
//!   its one yet. The step to zero wakes `wait` under the lock.
//! - `slots` has waiters only while every slot is taken; who leaves hands its slot to the first. A
//!   waiter that is dropped with a slot hands it on.
//! - A task's place in `tasks` is given up by the later of two: the starter, who brings its abort
//!   handle, and the task's end. So nobody stores a handle into another task's place.
//! - Once `ending` is set nothing is started, and every task has been aborted, or is by its starter.
//! - Aborts, wakes, cancels and drops of errors come after unlocking.
//!
//! Rejected: tasks that watch the group's context (a lock at every poll of every task); an unbounded
//! queue behind the limit (no back-pressure on whoever makes the work).

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as Cx, Poll};

use super::context::{Cancel, Context};
use super::table::Table;
use crate::chan::waiters::{WaitList, WaitState, Waiter, WakeList, pin_field};
use crate::sched::alarm::Launch;
use crate::sched::shield::shield;
use crate::sched::wait::{Wait, WaitKind};
use crate::sched::{AbortHandle, block_on_thread, coop};
use crate::shim::Mutex;

/// Runs goroutines for one common purpose, and waits for all: the first error ends the rest.
///
/// Go's `errgroup.Group`. What differs: the others are not only told through the context, they are
/// aborted (dropped at their next `.await`), unless [`finish_others`](Self::finish_others) says to
/// let them end by themselves; and dropping the group aborts what still runs. Goroutines of a group
/// never outlive it.
///
/// - A task that panics fails the group like one that returns an error; [`wait`](Self::wait) then
///   panics with the same payload.
/// - The cancellation of a parent context does not end tasks: they see it in theirs, if they look
///   ([`Context::run`]).
///
/// ```
/// use actor_core::{Runtime, sync::TaskGroup};
///
/// Runtime::new()?.block_on(async {
///     let group = TaskGroup::new();
///     for n in 0..3 {
///         let task = async move { if n == 1 { Err("number 1 failed") } else { Ok(()) } };
///         group.go(task).await;
///     }
///     assert_eq!(group.wait().await, Err("number 1 failed"));
/// });
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct TaskGroup<E> {
    group: Arc<Group<E>>,
}

struct Group<E> {
    inner: Mutex<Inner<E>>,
    cancel: Option<Cancel>,
}

struct Inner<E> {
    limit: usize,
    finish_others: bool,
    running: usize,
    tasks: Table<Task>,
    failed: bool,
    failure: Option<Failure<E>>,
    ending: bool,
    slots: WaitList<()>,
    waiting: WaitList<()>,
}

enum Task {
    /// Its starter is about to bring the handle.
    Starting,
    Running(AbortHandle),
    /// It was over before its starter came back.
    Gone,
}

enum Failure<E> {
    Error(E),
    Panic(Box<dyn Any + Send>),
    /// Dropped unfinished, and not by us: the runtime has ended.
    Lost,
}

impl<E: Send + 'static> TaskGroup<E> {
    /// A group without tasks and without a context.
    #[must_use]
    pub fn new() -> Self {
        Self::with(None)
    }

    /// A group, and the context of its tasks: a child of `parent` that is cancelled by the first
    /// failure, when [`wait`](Self::wait) has returned, and when the group is dropped. Go's
    /// `errgroup.WithContext`.
    ///
    /// ```
    /// # actor_core::Runtime::new().unwrap().block_on(async {
    /// use actor_core::{Context, sync::TaskGroup};
    /// let (group, context) = TaskGroup::with_context(&Context::background());
    /// let group = group.limit(8).finish_others();
    /// let told = context.clone();
    /// group.go(async move { Ok(told.done().await) }).await;
    /// group.go(async { Err("enough") }).await;
    /// assert_eq!(group.wait().await, Err("enough"));
    /// assert!(context.is_done());
    /// # });
    /// ```
    #[must_use = "dropping the group cancels the context"]
    pub fn with_context(parent: &Context) -> (Self, Context) {
        let (context, cancel) = parent.with_cancel();
        (Self::with(Some(cancel)), context)
    }

    fn with(cancel: Option<Cancel>) -> Self {
        let inner = Inner {
            limit: usize::MAX,
            finish_others: false,
            running: 0,
            tasks: Table::new(),
            failed: false,
            failure: None,
            ending: false,
            slots: WaitList::new(),
            waiting: WaitList::new(),
        };
        Self {
            group: Arc::new(Group {
                inner: Mutex::new(inner),
                cancel,
            }),
        }
    }

    /// At most `tasks` run at a time; [`go`](Self::go) waits for a slot. Go's `SetLimit`.
    ///
    /// # Panics
    /// If `tasks` is zero: no task could ever start (in Go, `Go` blocks for ever).
    #[must_use = "the returned group is the one with the limit"]
    #[track_caller]
    pub fn limit(self, tasks: usize) -> Self {
        assert!(
            tasks > 0,
            "a TaskGroup with a limit of 0 could never start a task: give 1 or more, or no limit"
        );
        self.group.inner.lock().limit = tasks;
        self
    }

    /// After a failure the other tasks go on to their end, and more may be started, as in Go: only
    /// the context tells them.
    #[must_use = "the returned group is the one that lets tasks finish"]
    pub fn finish_others(self) -> Self {
        self.group.inner.lock().finish_others = true;
        self
    }

    /// Starts a goroutine in this group when the returned future is awaited, which waits for a slot
    /// if there is a [`limit`](Self::limit). Go's `Group.Go`.
    ///
    /// Slots are given in the order of arrival. Dropping the future before it is ready drops the
    /// task, never begun. After a failure nothing is started any more: the task is dropped.
    ///
    /// # Panics
    /// Outside a runtime.
    #[track_caller]
    pub fn go<F>(&self, task: F) -> TaskStart<'_, F, E>
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
    {
        TaskStart {
            group: &self.group,
            launch: Launch::here("`TaskGroup::go`"),
            task: Some(task),
            waiter: Waiter::new(None),
        }
    }

    /// As [`go`](Self::go), without waiting. Go's `TryGo`.
    ///
    /// # Errors
    /// The task, if every slot is taken or the group has failed.
    ///
    /// # Panics
    /// Outside a runtime.
    #[track_caller]
    pub fn try_go<F>(&self, task: F) -> Result<(), F>
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
    {
        let launch = Launch::here("`TaskGroup::try_go`");
        let Some(place) = self.group.inner.lock().take_slot() else {
            return Err(task);
        };
        self.group.start(&launch, task, place);
        Ok(())
    }

    /// Waits until no task is left, and tells the first failure. Go's `Group.Wait`.
    ///
    /// All tasks are dropped by then. The failure is given once: a second `wait` finds the group as
    /// if it had succeeded. Dropping the future stops waiting and changes nothing else; dropping the
    /// group is what ends the tasks.
    ///
    /// # Errors
    /// That of the first task that failed.
    ///
    /// # Panics
    /// With the panic of a task, if that was the first failure; and if tasks were lost because their
    /// runtime ended.
    pub fn wait(&self) -> TaskWait<'_, E> {
        TaskWait {
            group: &self.group,
            waiter: Waiter::new(None),
        }
    }

    /// As [`wait`](Self::wait), on a thread, blocking it meanwhile; for threads that run no
    /// goroutines.
    ///
    /// # Errors
    /// As [`wait`](Self::wait).
    ///
    /// # Panics
    /// As [`wait`](Self::wait).
    pub fn wait_blocking(&self) -> Result<(), E> {
        block_on_thread(self.wait())
    }

    /// How many tasks were started and are not over.
    #[must_use]
    pub fn len(&self) -> usize {
        self.group.inner.lock().running
    }

    /// Whether no task is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<E: Send + 'static> Default for TaskGroup<E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<E> Drop for TaskGroup<E> {
    fn drop(&mut self) {
        let mut wakers = WakeList::new();
        let aborts = self.group.inner.lock().end(&mut wakers);
        self.group.cancel_context();
        aborts.iter().for_each(AbortHandle::abort);
    }
}

impl<E> fmt::Debug for TaskGroup<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = self.group.inner.lock();
        f.debug_struct("TaskGroup")
            .field("running", &inner.running)
            .field("failed", &inner.failed)
            .finish_non_exhaustive()
    }
}

impl<E> Inner<E> {
    /// A slot and a place for a task; `None` if it may not start now.
    fn take_slot(&mut self) -> Option<usize> {
        if self.ending || self.running >= self.limit {
            return None;
        }
        self.running += 1;
        Some(self.tasks.insert(Task::Starting))
    }

    /// A slot is free: it goes to the first that waits for one.
    fn free_slot(&mut self, wakers: &mut WakeList) {
        if let Some(((), waker)) = self.slots.finish_first(WaitState::Done, |_| ()) {
            wakers.push(waker);
            return;
        }
        self.running -= 1;
        if self.running == 0 {
            while let Some(((), waker)) = self.waiting.finish_first(WaitState::Done, |_| ()) {
                wakers.push(waker);
            }
        }
    }

    /// Nothing is started any more; the tasks to abort.
    fn end(&mut self, wakers: &mut WakeList) -> Vec<AbortHandle> {
        self.ending = true;
        while let Some(((), waker)) = self.slots.finish_first(WaitState::Closed, |_| ()) {
            wakers.push(waker);
        }
        let running = self.tasks.iter_mut().filter_map(|task| match task {
            Task::Running(handle) => Some(handle.clone()),
            Task::Starting | Task::Gone => None,
        });
        running.collect()
    }
}

impl<E> Group<E> {
    fn cancel_context(&self) {
        if let Some(cancel) = &self.cancel {
            cancel.cancel();
        }
    }

    /// Starts a task in a place that was made for it.
    fn start<F>(self: &Arc<Self>, launch: &Launch, future: F, place: usize)
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Send + 'static,
    {
        let task = launch.go(Member {
            future: Some(future),
            seat: Seat {
                group: self.clone(),
                place,
                finished: false,
            },
        });
        let handle = task.abort_handle();
        drop(task);
        let mut inner = self.inner.lock();
        let ending = inner.ending;
        match inner.tasks.get_mut(place) {
            Some(task @ Task::Starting) => *task = Task::Running(handle.clone()),
            _ => drop(inner.tasks.remove(place)),
        }
        drop(inner);
        if ending {
            handle.abort();
        }
    }

    fn fail(&self, failure: Failure<E>) {
        let mut wakers = WakeList::new();
        let mut inner = self.inner.lock();
        if inner.failed {
            // Only the first is told. Dropped after unlocking: it is the user's.
            drop(inner);
            shield(|| drop(failure));
            return;
        }
        inner.failed = true;
        inner.failure = Some(failure);
        let aborts = if inner.finish_others {
            Vec::new()
        } else {
            inner.end(&mut wakers)
        };
        drop(inner);
        self.cancel_context();
        aborts.iter().for_each(AbortHandle::abort);
    }
}

pin_project_lite::pin_project! {
    /// A task of the group. What it held is dropped before it gives up its seat.
    struct Member<F, E> {
        #[pin]
        future: Option<F>,
        seat: Seat<E>,
    }
}

struct Seat<E> {
    group: Arc<Group<E>>,
    place: usize,
    finished: bool,
}

impl<F, E> Future for Member<F, E>
where
    F: Future<Output = Result<(), E>>,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Cx<'_>) -> Poll<()> {
        let mut this = self.project();
        let polled = catch_unwind(AssertUnwindSafe(|| {
            let future = this.future.as_mut().as_pin_mut();
            let polled = future
                .expect("a member is polled until it is over")
                .poll(cx);
            if polled.is_ready() {
                this.future.set(None);
            }
            polled
        }));
        let failure = match polled {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(Ok(()))) => None,
            Ok(Poll::Ready(Err(error))) => Some(Failure::Error(error)),
            Err(payload) => {
                shield(|| this.future.set(None));
                Some(Failure::Panic(payload))
            }
        };
        this.seat.finished = true;
        if let Some(failure) = failure {
            this.seat.group.fail(failure);
        }
        Poll::Ready(())
    }
}

impl<E> Drop for Seat<E> {
    fn drop(&mut self) {
        if !self.finished && !self.group.inner.lock().ending {
            self.group.fail(Failure::Lost);
        }
        let mut wakers = WakeList::new();
        let mut inner = self.group.inner.lock();
        let known = match inner.tasks.get_mut(self.place) {
            Some(task @ Task::Starting) => {
                *task = Task::Gone;
                None
            }
            _ => inner.tasks.remove(self.place),
        };
        inner.free_slot(&mut wakers);
        drop(inner);
        drop(known);
    }
}

/// The future of [`TaskGroup::go`].
#[must_use = "the task is started when the future is awaited"]
pub struct TaskStart<'a, F, E> {
    group: &'a Arc<Group<E>>,
    launch: Launch,
    /// Never pinned here: it is moved into its goroutine.
    task: Option<F>,
    waiter: Waiter<()>,
}

impl<F, E> Future for TaskStart<'_, F, E>
where
    F: Future<Output = Result<(), E>> + Send + 'static,
    E: Send + 'static,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Cx<'_>) -> Poll<()> {
        if coop::poll_proceed(cx).is_pending() {
            return Poll::Pending;
        }
        // SAFETY: `waiter` is never moved out of, and nothing else is treated as pinned.
        let (group, launch, task, mut waiter) = unsafe {
            let this = self.get_unchecked_mut();
            let waiter = pin_field(&mut this.waiter);
            (this.group, &this.launch, &mut this.task, waiter)
        };
        let wait = Wait::on(WaitKind::TaskGroup, Arc::as_ptr(group));
        let mut inner = group.inner.lock();
        let place = match waiter.state() {
            WaitState::Queued => {
                // SAFETY: locked; QUEUED, and in the only list it can be in.
                let replaced = unsafe { inner.slots.renew(waiter.as_mut(), cx.waker(), wait) };
                drop(inner);
                drop(replaced);
                return Poll::Pending;
            }
            WaitState::Closed => None,
            WaitState::Done => {
                // The slot is ours now; not again, should the future be dropped.
                waiter.reset();
                if inner.ending {
                    let mut wakers = WakeList::new();
                    inner.free_slot(&mut wakers);
                    drop(inner);
                    drop(wakers);
                    drop(task.take());
                    return Poll::Ready(());
                }
                Some(inner.tasks.insert(Task::Starting))
            }
            WaitState::Idle => {
                let place = inner.take_slot();
                if place.is_none() && !inner.ending {
                    // SAFETY: locked; pinned in this future, whose drop cancels it.
                    unsafe { inner.slots.enqueue(waiter, cx.waker(), wait) };
                    return Poll::Pending;
                }
                place
            }
        };
        drop(inner);
        let task = task
            .take()
            .expect("`TaskGroup::go` was polled again after it had started its task");
        match place {
            Some(place) => group.start(launch, task, place),
            None => drop(task),
        }
        Poll::Ready(())
    }
}

impl<F, E> Drop for TaskStart<'_, F, E> {
    fn drop(&mut self) {
        if self.waiter.state() == WaitState::Idle {
            return;
        }
        let mut wakers = WakeList::new();
        // SAFETY: it was queued, so this future was pinned, and is not moved before it is freed.
        let waiter = unsafe { pin_field(&mut self.waiter) };
        let mut inner = self.group.inner.lock();
        match waiter.state() {
            WaitState::Queued => {
                // SAFETY: locked; QUEUED, and in the only list it can be in.
                let waker = unsafe { inner.slots.cancel(waiter) };
                drop(inner);
                drop(waker);
            }
            // It was handed a slot that it will not use.
            WaitState::Done => inner.free_slot(&mut wakers),
            WaitState::Idle | WaitState::Closed => {}
        }
    }
}

impl<F, E> fmt::Debug for TaskStart<'_, F, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskStart")
            .field("waiter", &self.waiter)
            .finish_non_exhaustive()
    }
}

/// The future of [`TaskGroup::wait`].
#[must_use = "waiting happens when the future is awaited"]
pub struct TaskWait<'a, E> {
    group: &'a Arc<Group<E>>,
    waiter: Waiter<()>,
}

impl<E> Future for TaskWait<'_, E> {
    type Output = Result<(), E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Cx<'_>) -> Poll<Self::Output> {
        if coop::poll_proceed(cx).is_pending() {
            return Poll::Pending;
        }
        // SAFETY: `waiter` is never moved out of.
        let (group, mut waiter) = unsafe {
            let this = self.get_unchecked_mut();
            (this.group, pin_field(&mut this.waiter))
        };
        let wait = Wait::on(WaitKind::TaskGroup, Arc::as_ptr(group));
        let mut inner = group.inner.lock();
        match waiter.state() {
            WaitState::Idle if inner.running > 0 => {
                // SAFETY: locked; pinned in this future, whose drop cancels it.
                unsafe { inner.waiting.enqueue(waiter, cx.waker(), wait) };
                return Poll::Pending;
            }
            WaitState::Queued => {
                // SAFETY: locked; QUEUED, and in the only list it can be in.
                let replaced = unsafe { inner.waiting.renew(waiter.as_mut(), cx.waker(), wait) };
                drop(inner);
                drop(replaced);
                return Poll::Pending;
            }
            WaitState::Idle | WaitState::Done | WaitState::Closed => {}
        }
        let failure = inner.failure.take();
        drop(inner);
        group.cancel_context();
        match failure {
            None => Poll::Ready(Ok(())),
            Some(Failure::Error(error)) => Poll::Ready(Err(error)),
            Some(Failure::Panic(payload)) => resume_unwind(payload),
            Some(Failure::Lost) => panic!(
                "a task of a TaskGroup was dropped unfinished because its runtime ended: wait for \
                 the group before the runtime ends"
            ),
        }
    }
}

impl<E> Drop for TaskWait<'_, E> {
    fn drop(&mut self) {
        if self.waiter.state() != WaitState::Queued {
            return;
        }
        // SAFETY: QUEUED, so this future was pinned, and is not moved before it is freed.
        let waiter = unsafe { pin_field(&mut self.waiter) };
        let mut inner = self.group.inner.lock();
        if waiter.state() == WaitState::Queued {
            // SAFETY: locked; QUEUED, and in the only list it can be in.
            let waker = unsafe { inner.waiting.cancel(waiter) };
            drop(inner);
            drop(waker);
        }
    }
}

impl<E> fmt::Debug for TaskWait<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskWait")
            .field("waiter", &self.waiter)
            .finish_non_exhaustive()
    }
}
