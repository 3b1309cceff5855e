//! The reader-writer lock's word and its two queues: who is inside, who waits, who is next.
//!
//! ```text
//!   word:  [ readers inside | WAITERS | WRITER ]
//!
//!   read   one CAS, + READER, if neither WRITER nor WAITERS is set; else queue as a reader
//!   write  one CAS, 0 → WRITER; else queue as a writer
//!   unlock one RMW while nobody waits; else, under the queues' lock, hand the lock over:
//!            a writer left       → all waiting readers, else the first writer
//!            the last reader left → the first writer
//!            a waiter gave up    → if it was the last writer, all waiting readers
//! ```
//!
//! Invariants:
//! - `WAITERS` ⇔ a queue is not empty; it and the queues change only under the queues' lock.
//! - While `WAITERS` is set nobody enters but by [`hand_over`](RawRwLock::hand_over), under that lock:
//!   so a waiting writer blocks new readers, and the word can only lose readers meanwhile.
//! - Whoever may have made room (the last reader that saw `WAITERS`, a writer, a waiter that gave up)
//!   calls `hand_over`; it looks at the word and the queues only, so one call too many does nothing.
//! - A reader waits only while a writer is inside or waits.
//!
//! Known limit: a granted waiter whose goroutine doesn't poll it (it sits in another branch) is inside
//! until it is polled or dropped.
//!
//! Rejected: barging, as the mutex has it. Go's writers compete for a mutex before they announce
//! themselves; here the lock is handed over always, which keeps "nobody inside ⇒ nobody waits" and
//! costs a wake-up per turn while somebody waits. So a newcomer spins a little before it queues.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use crate::chan::waiters::{WaitList, WaitState, Waiter, WakeList};
use crate::chan::word_lock::Locked;
use crate::sched::holders::Home;
use crate::sched::lock_cycle::{self, WaitsFor};
use crate::sched::record::RecordRef;
use crate::sched::wait::{Wait, WaitKind};
use crate::sched::{self, Deadlock, simulated};
use crate::shim::atomic::{AtomicUsize, Ordering};
use crate::shim::{const_unless_modelled, hint};

const WRITER: usize = 1;
const WAITERS: usize = 2;
/// One reader inside.
const READER: usize = 4;
/// Only forgotten guards get there. Far from the edge, as `hand_over` adds without a look.
const READERS_MAX: usize = usize::MAX / 2;

const SPIN_ROUNDS: u32 = 4;
const SPIN_PAUSES: u32 = 30;

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

/// Each waiter's value is the record of its goroutine, for `sched::lock_cycle`.
struct Queues {
    readers: WaitList<RecordRef>,
    writers: WaitList<RecordRef>,
}

impl Queues {
    fn of(&mut self, access: Access) -> &mut WaitList<RecordRef> {
        match access {
            Access::Read => &mut self.readers,
            Access::Write => &mut self.writers,
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
    fn granted(&self, access: Access, who: Option<RecordRef>) {
        let who = who.unwrap_or(RecordRef::NOBODY);
        self.withdraw(access, who);
        if access == Access::Write {
            self.holders.set(who);
        }
    }

    /// The queue of writers has changed.
    fn note_first_writer(&self, queues: &Queues) {
        let first = queues.writers.peek_first(|who| *who);
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

    /// Tries for as long as Go's mutex spins (`runtime_doSpin`): what is done inside is mostly shorter than
    /// a switch, and once somebody has queued, each turn costs a wake-up until the queue is empty.
    #[cold]
    fn spin_to_acquire(&self, access: Access) -> bool {
        // In a model, and in a simulation, nobody leaves meanwhile.
        if cfg!(actor_loom) || simulated::is_active() {
            return false;
        }
        for _ in 0..SPIN_ROUNDS {
            for _ in 0..SPIN_PAUSES {
                hint::spin_loop();
            }
            // ORDERING: Relaxed, a guess.
            if self.word.load(Ordering::Relaxed) & WAITERS != 0 {
                return false;
            }
            if self.try_acquire(access) {
                return true;
            }
        }
        false
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

    /// Lets in whom there is room for; if both sorts wait and could be let in, `next` it is.
    fn hand_over(&self, queues: &mut Queues, next: Access, wakers: &mut WakeList) {
        // ORDERING: Acquire pairs with the Releases of those that left; it travels to the granted
        // with their state (Release in `finish_first`, Acquire in `state`).
        let seen = self.word.load(Ordering::Acquire);
        let readers_next = next == Access::Read || queues.writers.is_empty();
        if seen & WRITER != 0 {
            // Whoever is inside hands over.
        } else if readers_next && !queues.readers.is_empty() {
            while !queues.readers.is_empty() {
                // ORDERING: Relaxed; before the grant, as the reader may leave right after it.
                self.word.fetch_add(READER, Ordering::Relaxed);
                let grant = |who: &mut Option<_>| self.granted(Access::Read, who.take());
                let granted = queues.readers.finish_first(WaitState::Done, grant);
                granted.into_iter().for_each(|((), w)| wakers.push(w));
            }
        } else if seen < READER && !queues.writers.is_empty() {
            // ORDERING: Relaxed, as above.
            self.word.fetch_or(WRITER, Ordering::Relaxed);
            let grant = |who: &mut Option<_>| self.granted(Access::Write, who.take());
            let granted = queues.writers.finish_first(WaitState::Done, grant);
            granted.into_iter().for_each(|((), w)| wakers.push(w));
            self.note_first_writer(queues);
        }
        if queues.readers.is_empty() && queues.writers.is_empty() {
            // ORDERING: Relaxed: the flag guards nothing, the queues' lock does.
            self.word.fetch_and(!WAITERS, Ordering::Relaxed);
        }
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
        waiter: Pin<&mut Waiter<RecordRef>>,
        told: bool,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Deadlock>> {
        if waiter.state() == WaitState::Idle
            && (self.try_acquire(access) || self.spin_to_acquire(access))
        {
            return Poll::Ready(Ok(()));
        }
        // Whoever polls is whoever waits, from now on.
        let who = if told {
            RecordRef::NOBODY
        } else {
            lock_cycle::current()
        };
        self.poll_contended(access, waiter, who, cx)
    }

    /// As `poll_acquire`, for those who can't be told: a cycle is dealt with as the policy says.
    #[inline]
    pub(super) fn poll_or_tell(
        &self,
        access: Access,
        mut waiter: Pin<&mut Waiter<RecordRef>>,
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
        mut waiter: Pin<&mut Waiter<RecordRef>>,
        who: RecordRef,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Deadlock>> {
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
            WaitState::Idle => {
                if self.acquire_or_announce(access) {
                    return Poll::Ready(Ok(()));
                }
                waiter.as_mut().put_value(who);
                self.publish(access, who);
                // SAFETY: locked; idle, and pinned in a future whose drop cancels it (`give_up`).
                unsafe { queues.of(access).enqueue(waiter, cx.waker(), wait) };
                self.note_first_writer(&queues);
                Poll::Pending
            }
            WaitState::Queued if deadlock.is_some() => {
                let mut wakers = WakeList::new();
                let own = self.leave(&mut queues, access, waiter, &mut wakers);
                drop(queues);
                drop((wakers, own));
                Poll::Ready(deadlock.map_or(Ok(()), |deadlock| Err(*deadlock)))
            }
            WaitState::Queued => {
                // SAFETY: locked.
                let before = unsafe { waiter.as_mut().with_value(|held| held.replace(who)) };
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
            WaitState::Done | WaitState::Closed => {
                // Granted. Not again, should the future be polled or dropped.
                waiter.reset();
                Poll::Ready(Ok(()))
            }
        }
    }

    /// A future that has waited, and perhaps been granted the access meanwhile, is dropped.
    #[cold]
    pub(super) fn give_up(&self, access: Access, waiter: Pin<&mut Waiter<RecordRef>>) {
        let mut wakers = WakeList::new();
        let mut queues = self.queues.lock();
        if waiter.state() != WaitState::Queued {
            drop(queues);
            if access == Access::Write {
                self.holders.clear(); // noted when it was granted
            }
            self.release(access);
            return;
        }
        let own = self.leave(&mut queues, access, waiter, &mut wakers);
        drop(queues);
        drop(own);
    }

    /// Takes a QUEUED waiter out; others may get in for that. Its waker is to be dropped after
    /// unlocking.
    fn leave(
        &self,
        queues: &mut Queues,
        access: Access,
        mut waiter: Pin<&mut Waiter<RecordRef>>,
        wakers: &mut WakeList,
    ) -> Option<Waker> {
        // SAFETY: the caller holds the lock; QUEUED, and in the only list it can be in.
        let own = unsafe { queues.of(access).cancel(waiter.as_mut()) };
        if let Some(who) = waiter.take_value() {
            self.withdraw(access, who);
        }
        self.note_first_writer(queues);
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
