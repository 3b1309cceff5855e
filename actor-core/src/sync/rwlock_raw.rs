//! The reader-writer lock's word and its two queues: who is inside, who waits, who is next.
//!
//! ```text
//!   word:  [ readers inside | WAITERS | WRITER ]
//!
//!   read   one CAS, + READER, if neither WRITER nor WAITERS is set; else spin, then queue as a reader
//!   write  one CAS, 0 → WRITER; else spin, then queue as a writer
//!   unlock one RMW while WAITERS is not set; else, under the queues' lock:
//!            the last reader left → the first writer is let in
//!            a writer left        → readers that starve are let in, else a first writer that starves;
//!                                   else the lock is free, and all readers and the first writer are
//!                                   called: they compete with each other and with newcomers
//!            a writer became a reader, or the last writer gave up beside readers
//!                                 → all waiting readers are let in
//!
//!   a reader:  IDLE ──▶ QUEUED ──▶ DONE: let in          a writer:  IDLE ──▶ QUEUED ──▶ DONE: let in
//!                ▲         └─────▶ CALLED: out of the queue           └▶ called: its waker is taken,
//!                └─ loses the race ──┘                                   it competes at its place
//! ```
//!
//! Invariants:
//! - `WAITERS`: somebody waits that was not called. It and the queues change only under their lock.
//! - While `WAITERS` is set nobody enters but by [`hand_over`](RawRwLock::hand_over), under that lock:
//!   so a waiting writer blocks new readers, and the word can only lose readers meanwhile.
//! - `WAITERS` and nobody inside ⇒ somebody is on the way to `hand_over`: it is set only beside somebody
//!   inside, and whoever may have made room (the last reader that saw it, a writer, a waiter that gave
//!   up) calls `hand_over`, which looks at the word and the queues: one call too many does nothing.
//! - Not `WAITERS` ⇒ no reader is queued, and if a writer is, then the first was called and has not been
//!   polled since. When polled it takes the lock, and sets `WAITERS` for those behind it, or it sets
//!   `WAITERS` and waits on. When dropped it passes the call on.
//! - A called reader owes nobody anything: all others were called with it.
//!
//! Who wakes whom is what the lock costs under load (2 cores, 16 tasks, a write in 10 turns): 20 to 40 ns
//! as it is, 500 if a writer that leaves lets all waiting readers in, as Go's does. They are inside
//! before they run, so the next write has to wait for a switch to each of them, while all who run find
//! a waiting writer and queue: the convoy feeds itself. Whether the last reader hands over to the
//! writer or calls it makes no difference; so it hands over, and Go's one promise is kept.
//!
//! Known limit: a granted waiter whose goroutine doesn't poll it (it sits in another branch) is inside
//! until it is polled or dropped, and a called writer's call is its own for as long.
//!
//! Rejected: letting readers pass a waiting writer (bounded by number or time). It is not needed for
//! speed, and the clock would have to be read by those who run.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use super::patience::{Waiting, spin};
use crate::chan::waiters::{WaitList, WaitState, Waiter, WakeList};
use crate::chan::word_lock::Locked;
use crate::sched::holders::Home;
use crate::sched::lock_cycle::{self, WaitsFor};
use crate::sched::record::RecordRef;
use crate::sched::wait::{Wait, WaitKind};
use crate::sched::{self, Deadlock};
use crate::shim::atomic::{AtomicUsize, Ordering};
use crate::shim::const_unless_modelled;

const WRITER: usize = 1;
const WAITERS: usize = 2;
/// One reader inside.
const READER: usize = 4;
/// Only forgotten guards get there. Far from the edge, as `hand_over` adds without a look.
const READERS_MAX: usize = usize::MAX / 2;

/// The state of a reader that was called: out of the queue, not let in, its value still there.
const CALLED: WaitState = WaitState::Closed;

/// What a waiter wants to do inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    Read,
    Write,
}

/// A reader-writer lock without its value. Each access acquired is released once.
pub(super) struct RawRwLock {
    word: AtomicUsize,
    pub(super) holders: Home,
    queues: Locked<Queues>,
}

struct Queues {
    readers: WaitList<Waiting>,
    /// One of those readers has starved.
    reader_starves: bool,
    writers: WaitList<Waiting>,
}

impl Queues {
    fn of(&mut self, access: Access) -> &mut WaitList<Waiting> {
        match access {
            Access::Read => &mut self.readers,
            Access::Write => &mut self.writers,
        }
    }

    fn are_empty(&self) -> bool {
        self.readers.is_empty() && self.writers.is_empty()
    }

    /// Whether somebody of that sort has to be let in next.
    fn starve(&self, access: Access) -> bool {
        match access {
            Access::Read => {
                let first = self.readers.peek_first(Waiting::starves);
                first.is_some_and(|starves| starves || self.reader_starves)
            }
            Access::Write => self.writers.peek_first(Waiting::starves) == Some(true),
        }
    }
}

impl RawRwLock {
    const_unless_modelled! {
        pub(super) fn new() -> Self {
            Self {
                word: AtomicUsize::new(0),
                holders: Home::new(),
                queues: Locked::new(Queues {
                    readers: WaitList::new(),
                    reader_starves: false,
                    writers: WaitList::new(),
                }),
            }
        }
    }

    fn waits_for(&self, access: Access) -> WaitsFor {
        match access {
            Access::Read => WaitsFor::Read(self.holders.lock()),
            Access::Write => WaitsFor::Write(self.holders.lock()),
        }
    }

    /// `who` waits here. The queues are locked.
    fn publish(&self, access: Access, who: RecordRef) {
        if !who.is_nobody() {
            lock_cycle::publish(who, self.waits_for(access));
        }
    }

    /// It does no longer.
    fn withdraw(&self, access: Access, who: RecordRef) {
        if !who.is_nobody() {
            lock_cycle::withdraw(who, &self.waits_for(access));
        }
    }

    /// A waiter gets the access. In this order: who is published must not be found to hold the lock.
    fn granted(&self, access: Access, waiting: Option<Waiting>) {
        let who = waiting.map_or(RecordRef::NOBODY, |waiting| waiting.who);
        self.withdraw(access, who);
        if access == Access::Write {
            self.holders.set(who);
        }
    }

    /// The queue of writers has changed.
    fn note_first_writer(&self, queues: &Queues) {
        let first = queues.writers.peek_first(|waiting| waiting.who);
        self.holders
            .set_waiting_writer(first.unwrap_or(RecordRef::NOBODY));
    }

    #[inline]
    pub(super) fn try_acquire(&self, access: Access) -> bool {
        match access {
            Access::Read => self.try_read(),
            // ORDERING: Acquire pairs with the Release in `release`: what was written, and that the
            // readers have read, comes before.
            Access::Write => self
                .word
                .compare_exchange(0, WRITER, Ordering::Acquire, Ordering::Relaxed)
                .is_ok(),
        }
    }

    /// Whether it pays to go on looking, and whether `access` could be had, for [`spin`].
    fn looks_free(&self, access: Access) -> Option<bool> {
        // ORDERING: Relaxed, a guess.
        let seen = self.word.load(Ordering::Relaxed);
        let free = match access {
            Access::Read => seen & WRITER == 0,
            Access::Write => seen == 0,
        };
        // Once somebody waits to be called, nobody gets in before it.
        (seen & WAITERS == 0).then_some(free)
    }

    fn look(&self, access: Access) -> Option<bool> {
        self.looks_free(access)
            .map(|free| free && self.try_acquire(access))
    }

    #[inline]
    fn try_read(&self) -> bool {
        // ORDERING: Relaxed, a guess for the exchange below.
        let mut seen = self.word.load(Ordering::Relaxed);
        while seen & (WRITER | WAITERS) == 0 {
            // ORDERING: Acquire pairs with the Release in `release_write` and `downgrade`.
            match self.word.compare_exchange_weak(
                seen,
                one_more_reader(seen),
                Ordering::Acquire,
                Ordering::Relaxed,
            ) {
                Ok(_) => return true,
                Err(now) => seen = now,
            }
        }
        false
    }

    #[inline]
    pub(super) fn release(&self, access: Access) {
        match access {
            Access::Read => self.release_read(),
            Access::Write => self.release_write(),
        }
    }

    #[inline]
    fn release_read(&self) {
        // ORDERING: Release pairs with the Acquire of the writer's exchange or of `hand_over`: the
        // next writer comes after our reading.
        let before = self.word.fetch_sub(READER, Ordering::Release);
        if before & WAITERS != 0 && before < 2 * READER {
            self.release_contended(Access::Write, |_word| ()); // the last one out
        }
    }

    #[inline]
    fn release_write(&self) {
        // ORDERING: Release pairs with the Acquire in `try_acquire`.
        if self
            .word
            .compare_exchange(WRITER, 0, Ordering::Release, Ordering::Relaxed)
            .is_err()
        {
            self.release_contended(Access::Read, |word| {
                // ORDERING: as above, and with `hand_over`.
                word.fetch_and(!WRITER, Ordering::Release);
            });
        }
    }

    /// A writer becomes a reader; other readers may follow, no writer gets in between.
    pub(super) fn downgrade(&self) {
        // ORDERING: Release pairs with the Acquire in `try_read`: readers see what was written.
        if self
            .word
            .compare_exchange(WRITER, READER, Ordering::Release, Ordering::Relaxed)
            .is_err()
        {
            self.release_contended(Access::Read, |word| {
                // ORDERING: as above, and with `hand_over`.
                word.fetch_add(READER - WRITER, Ordering::Release);
            });
        }
    }

    /// Changes the word as somebody that leaves does, and hands over.
    #[cold]
    fn release_contended(&self, next: Access, leave: impl FnOnce(&AtomicUsize)) {
        let mut wakers = WakeList::new();
        let mut queues = self.queues.lock();
        leave(&self.word);
        self.hand_over(&mut queues, next, &mut wakers);
    }

    /// Lets in or calls those for whom there is room: the file's comment. `next`: whose turn it is if
    /// there is room for either sort.
    fn hand_over(&self, queues: &mut Queues, next: Access, wakers: &mut WakeList) {
        // ORDERING: Acquire pairs with the Releases of those that left; it travels to the granted
        // with their state (Release in `finish_first`, Acquire in `state`).
        let seen = self.word.load(Ordering::Acquire);
        let readers_next = next == Access::Read || queues.writers.is_empty();
        if seen & WRITER != 0 || seen & WAITERS == 0 {
            // Whoever is inside sees to it; or nobody is left who was not called.
        } else if seen >= READER {
            if readers_next {
                self.admit_readers(queues, wakers);
            }
        } else if readers_next && queues.starve(Access::Read) {
            self.admit_readers(queues, wakers);
        } else if !queues.writers.is_empty()
            && (next == Access::Write || queues.starve(Access::Write))
        {
            self.admit_writer(queues, wakers);
        } else {
            self.call_all(queues, wakers);
        }
        if queues.are_empty() {
            // ORDERING: Relaxed: the flag guards nothing, the queues' lock does.
            self.word.fetch_and(!WAITERS, Ordering::Relaxed);
        }
    }

    /// Nobody is inside, and nobody comes in, as `WAITERS` is set.
    fn admit_writer(&self, queues: &mut Queues, wakers: &mut WakeList) {
        // ORDERING: Relaxed, see `hand_over`; before the grant, as the writer may leave right after it.
        self.word.fetch_or(WRITER, Ordering::Relaxed);
        let grant = |waiting: &mut Option<_>| self.granted(Access::Write, waiting.take());
        let granted = queues.writers.finish_first(WaitState::Done, grant);
        granted.into_iter().for_each(|((), w)| wakers.push(w));
        self.note_first_writer(queues);
    }

    fn admit_readers(&self, queues: &mut Queues, wakers: &mut WakeList) {
        while !queues.readers.is_empty() {
            // ORDERING: Relaxed, as in `admit_writer`.
            self.word.fetch_add(READER, Ordering::Relaxed);
            let grant = |waiting: &mut Option<_>| self.granted(Access::Read, waiting.take());
            let granted = queues.readers.finish_first(WaitState::Done, grant);
            granted.into_iter().for_each(|((), w)| wakers.push(w));
        }
        queues.reader_starves = false;
    }

    /// The lock is free for everybody, and all that wait are told: the readers leave the queue, the
    /// first writer keeps its place.
    fn call_all(&self, queues: &mut Queues, wakers: &mut WakeList) {
        // ORDERING: Relaxed: who gets in acquires from those that left, whose Releases this carries on.
        self.word.fetch_and(!WAITERS, Ordering::Relaxed);
        while !queues.readers.is_empty() {
            let called = queues.readers.finish_first(CALLED, |waiting| {
                if let Some(waiting) = waiting {
                    self.withdraw(Access::Read, waiting.who);
                }
            });
            called.into_iter().for_each(|((), w)| wakers.push(w));
        }
        queues.reader_starves = false;
        wakers.push_some(queues.writers.call_first());
    }

    /// Enters, or sets `WAITERS`, in one step. The queues' lock is held.
    fn acquire_or_announce(&self, access: Access) -> bool {
        // ORDERING: Relaxed, a guess for the exchange below.
        let mut seen = self.word.load(Ordering::Relaxed);
        loop {
            let (free, inside) = match access {
                Access::Read => (seen & (WRITER | WAITERS) == 0, one_more_reader(seen)),
                Access::Write => (seen == 0, WRITER),
            };
            let next = if free { inside } else { seen | WAITERS };
            // ORDERING: Acquire as in `try_acquire`; announcing publishes nothing (the queues have
            // a lock of their own).
            match self
                .word
                .compare_exchange(seen, next, Ordering::Acquire, Ordering::Relaxed)
            {
                Ok(_) => return free,
                Err(now) => seen = now,
            }
        }
    }

    /// Polls for the access; an error once when waiting has closed a cycle of locks, and the place in
    /// the queue is given up. `told`: wait without looking for a cycle. `waiter` is pinned in a future whose drop calls
    /// [`give_up`](Self::give_up) with the same access, unless the waiter is idle.
    #[inline]
    pub(super) fn poll_acquire(
        &self,
        access: Access,
        waiter: Pin<&mut Waiter<Waiting>>,
        told: bool,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Deadlock>> {
        if waiter.state() == WaitState::Idle && self.try_acquire(access) {
            return Poll::Ready(Ok(()));
        }
        self.poll_contended(access, waiter, told, cx)
    }

    /// As `poll_acquire`, for those who can't be told: a cycle is dealt with as the policy says.
    #[inline]
    pub(super) fn poll_or_tell(
        &self,
        access: Access,
        mut waiter: Pin<&mut Waiter<Waiting>>,
        told: &mut bool,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        loop {
            match self.poll_acquire(access, waiter.as_mut(), *told, cx) {
                Poll::Ready(Ok(())) => return Poll::Ready(()),
                Poll::Ready(Err(deadlock)) => {
                    sched::lock_cycle_closed(&deadlock);
                    *told = true;
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    #[cold]
    fn poll_contended(
        &self,
        access: Access,
        mut waiter: Pin<&mut Waiter<Waiting>>,
        told: bool,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Deadlock>> {
        match waiter.state() {
            WaitState::Idle | CALLED if spin(|| self.look(access)) => {
                waiter.as_mut().take_value();
                waiter.reset();
                return Poll::Ready(Ok(()));
            }
            // Called, perhaps. What is free is taken under the queues' lock.
            WaitState::Queued => _ = spin(|| self.looks_free(access)),
            _ => {}
        }
        // Whoever polls is whoever waits, from now on.
        let who = if told {
            RecordRef::NOBODY
        } else {
            lock_cycle::current()
        };
        let kind = match access {
            Access::Read => WaitKind::RwLockRead,
            Access::Write => WaitKind::RwLockWrite,
        };
        let wait = Wait::on(kind, self);
        let deadlock = match waiter.state() {
            WaitState::Queued => lock_cycle::verdict(who),
            _ => None,
        };
        let mut queues = self.queues.lock();
        match waiter.state() {
            WaitState::Idle | CALLED => {
                let called = waiter.as_mut().take_value();
                waiter.as_mut().reset();
                if self.acquire_or_announce(access) {
                    return Poll::Ready(Ok(()));
                }
                let waiting = match called {
                    Some(mut waiting) => {
                        waiting.lost();
                        waiting.who = who;
                        queues.reader_starves |= waiting.starves();
                        waiting
                    }
                    None => Waiting::new(who),
                };
                waiter.as_mut().put_value(waiting);
                self.publish(access, who);
                // SAFETY: locked; idle, and pinned in a future whose drop cancels it (`give_up`).
                unsafe { queues.of(access).enqueue(waiter, cx.waker(), wait) };
                self.note_first_writer(&queues);
                Poll::Pending
            }
            WaitState::Queued if deadlock.is_some() => {
                let mut wakers = WakeList::new();
                let own = self.leave_to_others(&mut queues, access, waiter, &mut wakers);
                drop(queues);
                drop((wakers, own));
                Poll::Ready(deadlock.map_or(Ok(()), |deadlock| Err(*deadlock)))
            }
            WaitState::Queued if self.acquire_or_announce(access) => {
                let own = self.leave(&mut queues, access, waiter);
                if !queues.are_empty() {
                    // Those behind it were not called.
                    // ORDERING: Relaxed: the flag guards nothing, the queues' lock does.
                    self.word.fetch_or(WAITERS, Ordering::Relaxed);
                }
                drop(queues);
                drop(own);
                Poll::Ready(Ok(()))
            }
            WaitState::Queued => {
                // SAFETY: locked.
                let before = unsafe {
                    waiter.as_mut().with_value(|waiting| {
                        let waiting = waiting.as_mut()?;
                        waiting.lost();
                        Some(std::mem::replace(&mut waiting.who, who))
                    })
                };
                if let Some(before) = before.filter(|before| *before != who) {
                    self.withdraw(access, before);
                    self.note_first_writer(&queues);
                }
                self.publish(access, who);
                // SAFETY: locked; QUEUED, and in the only list it can be in.
                let replaced =
                    unsafe { queues.of(access).renew(waiter.as_mut(), cx.waker(), wait) };
                drop(queues);
                drop(replaced);
                Poll::Pending
            }
            WaitState::Done => {
                // Granted. Not again, should the future be polled or dropped.
                waiter.reset();
                Poll::Ready(Ok(()))
            }
        }
    }

    /// A future that has waited, and perhaps been granted the access meanwhile, is dropped.
    #[cold]
    pub(super) fn give_up(&self, access: Access, waiter: Pin<&mut Waiter<Waiting>>) {
        let mut wakers = WakeList::new();
        let mut queues = self.queues.lock();
        if waiter.state() != WaitState::Queued {
            drop(queues);
            if waiter.state() == WaitState::Done {
                if access == Access::Write {
                    self.holders.clear(); // noted when it was granted
                }
                self.release(access);
            }
            // CALLED: together with all others.
            return;
        }
        let own = self.leave_to_others(&mut queues, access, waiter, &mut wakers);
        drop(queues);
        drop(own);
    }

    /// Takes a QUEUED waiter out. Its waker is to be dropped after unlocking; if there is none, it had
    /// been called.
    fn leave(
        &self,
        queues: &mut Queues,
        access: Access,
        mut waiter: Pin<&mut Waiter<Waiting>>,
    ) -> Option<Waker> {
        // SAFETY: the caller holds the lock; QUEUED, and in the only list it can be in.
        let own = unsafe { queues.of(access).cancel(waiter.as_mut()) };
        if let Some(waiting) = waiter.take_value() {
            self.withdraw(access, waiting.who);
        }
        self.note_first_writer(queues);
        own
    }

    /// Takes a QUEUED waiter out that doesn't want the lock any more: others may get in for that, and
    /// its call is the next one's.
    fn leave_to_others(
        &self,
        queues: &mut Queues,
        access: Access,
        waiter: Pin<&mut Waiter<Waiting>>,
        wakers: &mut WakeList,
    ) -> Option<Waker> {
        let own = self.leave(queues, access, waiter);
        if own.is_none() {
            wakers.push_some(queues.writers.call_first());
        }
        self.hand_over(queues, Access::Write, wakers);
        own
    }
}

#[inline]
fn one_more_reader(word: usize) -> usize {
    assert!(
        word <= READERS_MAX,
        "too many readers of an RwLock: guards were forgotten (`mem::forget`) instead of dropped"
    );
    word + READER
}
