//! What each thread works on, written by itself with a few plain stores and read by a watcher, which
//! is how somebody knows the handler that computes without an end.
//!
//! - A thread has a [`Working`], made when it first polls an actor. Its memory is never freed: a thread
//!   that ends leaves it to another.
//! - `who` is 0 between polls. `polls` moves at each begin, so that one who sees the same pair for long
//!   knows that one poll has been going on all the time. sysmon says when to look (`sysmon`).
//! - A text is two words, so it has a sequence lock: odd while it is written, and a reader that sees it
//!   move has seen nothing. The writer never waits.

use std::{
    cell::Cell,
    marker::PhantomData,
    ptr, slice, str,
    sync::{
        OnceLock,
        // Not the shim's: loom has no statics.
        atomic::{AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence},
    },
    time::Duration,
};

// As above. (Not std's either: sanitizers don't see into that.)
use parking_lot::Mutex;

use super::cpus;

/// What is known about a kind of worker when it is compiled.
#[derive(Debug)]
pub(crate) struct Sign {
    /// The actor's name, unless it was given another.
    pub(crate) name: &'static str,
    /// How long one poll may last before that is reported.
    pub(crate) wedged_after: Option<Duration>,
}

/// See the file's comment.
#[derive(Debug)]
pub(crate) struct Working {
    who: AtomicU64,
    polls: AtomicU64,
    sign: AtomicStatic<Sign>,
    on: AtomicStr,
    /// The OS thread's number.
    thread: AtomicUsize,
}

/// What a thread was seen at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen {
    /// The thread, and the poll.
    pub(crate) place: usize,
    pub(crate) polls: u64,
    pub(crate) who: u64,
    pub(crate) sign: &'static Sign,
    /// The handler.
    pub(crate) on: &'static str,
    thread: usize,
}

impl Seen {
    /// Whether its thread sleeps in the kernel.
    pub(crate) fn is_blocked(&self) -> bool {
        self.thread != 0 && cpus::is_blocked(self.thread)
    }
}

impl Working {
    const fn new() -> Self {
        Self {
            who: AtomicU64::new(0),
            polls: AtomicU64::new(0),
            sign: AtomicStatic::none(),
            on: AtomicStr::empty(),
            thread: AtomicUsize::new(0),
        }
    }

    /// A poll begins; returns what the thread worked on before.
    #[inline]
    pub(crate) fn begin(&self, who: u64, sign: &'static Sign, on: &'static str) -> &'static str {
        // ORDERING: Relaxed: one writer; the reader takes what it sees for a hint.
        let polls = self.polls.load(Ordering::Relaxed) + 1;
        self.polls.store(polls, Ordering::Relaxed);
        self.sign.set(sign);
        self.who.store(who, Ordering::Relaxed);
        self.replace(on)
    }

    /// The poll is over; `outer` is what `begin` returned. Returns what it worked on at its end.
    #[inline]
    pub(crate) fn end(&self, outer: &'static str) -> &'static str {
        // ORDERING: Relaxed: as in `begin`.
        self.who.store(0, Ordering::Relaxed);
        self.replace(outer)
    }

    #[inline]
    pub(crate) fn set(&self, on: &'static str) {
        self.on.set(on);
    }

    /// It works on nothing, for the moment.
    #[inline]
    pub(crate) fn clear(&self) {
        self.on.clear();
    }

    /// By its own thread.
    #[inline]
    pub(crate) fn get(&self) -> &'static str {
        self.on.own()
    }

    #[inline]
    fn replace(&self, on: &'static str) -> &'static str {
        let before = self.on.own();
        // As a rule there is nothing before, and nothing after.
        if on.is_empty() {
            self.on.clear();
        } else {
            self.on.set(on);
        }
        before
    }

    fn look(&self, place: usize) -> Option<Seen> {
        // ORDERING: Relaxed: who has seen one poll for long has seen what it wrote at its begin.
        let (polls, who) = (
            self.polls.load(Ordering::Relaxed),
            self.who.load(Ordering::Relaxed),
        );
        let (sign, on) = (self.sign.get()?, self.on.read()?);
        let still = self.polls.load(Ordering::Relaxed) == polls;
        (who != 0 && still).then(|| Seen {
            place,
            polls,
            who,
            sign,
            on,
            thread: self.thread.load(Ordering::Relaxed),
        })
    }
}

/// All that were made; and those whose thread has ended.
struct All {
    made: Vec<&'static Working>,
    free: Vec<&'static Working>,
}

static ALL: Mutex<All> = Mutex::new(All {
    made: Vec::new(),
    free: Vec::new(),
});

/// Leaves the thread's to another.
struct Lease;

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(working) = HERE.replace(None) {
            working.who.store(0, Ordering::Relaxed);
            working.clear();
            ALL.lock().free.push(working);
        }
    }
}

thread_local! {
    static HERE: Cell<Option<&'static Working>> = const { Cell::new(None) };
    static LEASE: Lease = const { Lease };
}

/// The calling thread's.
#[inline]
pub(crate) fn here() -> &'static Working {
    match HERE.get() {
        Some(working) => working,
        None => enter(),
    }
}

#[cold]
fn enter() -> &'static Working {
    let mut all = ALL.lock();
    let working = all.free.pop().unwrap_or_else(|| {
        let working: &'static Working = Box::leak(Box::new(Working::new()));
        all.made.push(working);
        working
    });
    drop(all);
    working.thread.store(cpus::thread_id(), Ordering::Relaxed);
    HERE.set(Some(working));
    // One that ends already has no more destructors to run: it keeps it.
    let _ = LEASE.try_with(|_| {});
    working
}

/// What all threads work on.
pub(crate) fn look() -> Vec<Seen> {
    let all = ALL.lock();
    let seen = all.made.iter().enumerate();
    seen.filter_map(|(place, working)| working.look(place))
        .collect()
}

static ON_STUCK: OnceLock<fn()> = OnceLock::new();

/// Has sysmon call `look` when a poll lasts for longer than a few milliseconds, and again now and then
/// while it does.
pub(crate) fn on_stuck(look: fn()) {
    let _ = ON_STUCK.set(look);
}

/// A poll is stuck, or still is.
pub(super) fn stuck() {
    if let Some(look) = ON_STUCK.get() {
        look();
    }
}

/// A reference that lives for ever, or none.
#[derive(Debug)]
struct AtomicStatic<T: 'static> {
    at: AtomicPtr<T>,
    of: PhantomData<&'static T>,
}

impl<T: Sync> AtomicStatic<T> {
    const fn none() -> Self {
        Self {
            at: AtomicPtr::new(ptr::null_mut()),
            of: PhantomData,
        }
    }

    #[inline]
    fn set(&self, to: &'static T) {
        // ORDERING: Release pairs with the Acquire in `get`.
        self.at
            .store(ptr::from_ref(to).cast_mut(), Ordering::Release);
    }

    fn get(&self) -> Option<&'static T> {
        // ORDERING: Acquire pairs with the Release in `set`.
        let at = self.at.load(Ordering::Acquire);
        // SAFETY: null, or made from a reference that lives for ever by `set`, the only writer.
        unsafe { at.as_ref() }
    }
}

/// A text that lives for ever: one thread writes it, others read it.
#[derive(Debug)]
struct AtomicStr {
    /// Odd while it is written.
    sequence: AtomicU32,
    at: AtomicPtr<u8>,
    len: AtomicUsize,
}

impl AtomicStr {
    const fn empty() -> Self {
        Self {
            sequence: AtomicU32::new(0),
            at: AtomicPtr::new(ptr::without_provenance_mut(1)),
            len: AtomicUsize::new(0),
        }
    }

    #[inline]
    fn set(&self, text: &'static str) {
        // ORDERING: Relaxed: one writer. The fence keeps the odd number before the words, Release
        // the words before the even one; they pair with the Acquires in `read`.
        let sequence = self.sequence.load(Ordering::Relaxed);
        self.sequence
            .store(sequence.wrapping_add(1), Ordering::Relaxed);
        fence(Ordering::Release);
        self.at.store(text.as_ptr().cast_mut(), Ordering::Relaxed);
        self.len.store(text.len(), Ordering::Relaxed);
        self.sequence
            .store(sequence.wrapping_add(2), Ordering::Release);
    }

    /// Nothing: one store, since no bytes are a text wherever they are.
    #[inline]
    fn clear(&self) {
        // ORDERING: Relaxed: whichever length a reader sees, it is that of the text, or 0.
        self.len.store(0, Ordering::Relaxed);
    }

    /// By the thread that writes it.
    #[inline]
    fn own(&self) -> &'static str {
        // ORDERING: Relaxed: its own stores.
        let (at, len) = (
            self.at.load(Ordering::Relaxed),
            self.len.load(Ordering::Relaxed),
        );
        // SAFETY: both are of the text that this thread has set last (or one that has ended, and
        // left it under a lock), which lives for ever.
        unsafe { text(at, len) }
    }

    /// By anybody; `None` while it is written.
    fn read(&self) -> Option<&'static str> {
        // ORDERING: Acquire pairs with the Release of the last store in `set`: the words are those of
        // that text or of a later one.
        let before = self.sequence.load(Ordering::Acquire);
        let (at, len) = (
            self.at.load(Ordering::Relaxed),
            self.len.load(Ordering::Relaxed),
        );
        // ORDERING: Acquire pairs with the fence in `set`: who has seen a word of a later text sees
        // that text's odd number below.
        fence(Ordering::Acquire);
        let after = self.sequence.load(Ordering::Relaxed);
        if before != after || before & 1 == 1 {
            return None;
        }
        // SAFETY: the number stood still and was even, so both words are of one text, which lives
        // for ever, or the length is 0.
        Some(unsafe { text(at, len) })
    }
}

/// # Safety
/// `at` and `len` are those of one `&'static str`.
#[inline]
unsafe fn text(at: *mut u8, len: usize) -> &'static str {
    // SAFETY: as the caller says.
    unsafe { str::from_utf8_unchecked(slice::from_raw_parts(at, len)) }
}

#[cfg(all(test, not(actor_loom)))]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicBool;
    use std::thread;

    #[test]
    fn a_text_that_is_read_while_it_is_written_is_one_of_those_that_were_written() {
        let (text, is_enough) = (AtomicStr::empty(), AtomicBool::new(false));
        let written = ["short", "a much longer one", ""];
        thread::scope(|threads| {
            threads.spawn(|| {
                while !is_enough.load(Ordering::SeqCst) {
                    text.set("short");
                    text.set("a much longer one");
                    text.clear();
                }
            });
            // So often that the two must have met.
            let (mut changes, mut last, mut torn) = (0, "", None);
            while changes < 200 && torn.is_none() {
                if let Some(read) = text.read() {
                    torn = Some(read).filter(|read| !written.contains(read));
                    changes += u32::from(read != last);
                    last = read;
                }
            }
            is_enough.store(true, Ordering::SeqCst);
            assert_eq!(torn, None);
        });
        assert_eq!(text.read(), Some(""));
    }

    #[test]
    fn a_thread_that_ends_leaves_its_place_to_another() {
        static SIGN: Sign = Sign {
            name: "worker",
            wedged_after: None,
        };
        let of = || {
            thread::spawn(|| ptr::from_ref(here()) as usize)
                .join()
                .unwrap()
        };
        let first = of();
        // Other tests may take it in between.
        assert!((0..1000).any(|_| of() == first));
        thread::spawn(|| {
            let outer = here().begin(7, &SIGN, "compute");
            assert_eq!((outer, here().get()), ("", "compute"));
            let mine = |seen: &Seen| seen.who == 7;
            let seen = look().into_iter().find(mine).expect("it is at work");
            assert_eq!((seen.on, seen.sign.name), ("compute", "worker"));
            assert_eq!(here().end(outer), "compute");
            assert!(!look().iter().any(mine));
        })
        .join()
        .unwrap();
    }
}
