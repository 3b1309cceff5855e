//! The dead letters of one test.

use std::{fmt, panic::Location, time::Duration};

use super::{Expect, WITHIN, expect::Failure, inbox::Inbox};
use crate::actor::{DeadLetter, DeadLetters, subscribe_dead_letters_here};

/// Many more than a test looks at; further ones are missed, and a failure says so.
const CAPACITY: usize = 1 << 16;

/// Collects the dead letters of this runtime from now on: messages that were accepted and will not
/// be handled. Tests that run side by side in their own runtimes don't see each other's.
///
/// A letter belongs to the runtime on whose threads it was dropped. One that a foreign thread causes
/// (a `try_tell` from outside of any runtime to a mailbox that drops) belongs to none.
///
/// ```
/// use actor_core::{prelude::*, testkit::dead_letters};
///
/// struct Slow;
/// #[actor(mailbox = buffered(1), overflow = drop_newest)]
/// impl Slow {
///     #[init]
///     fn new() -> Self { Slow }
///     pub async fn work(&mut self) { std::future::pending().await }
/// }
///
/// # actor_core::Runtime::new().unwrap().run(async {
/// let letters = dead_letters();
/// let slow = Slow::start().await.unwrap();
/// slow.work().tell().await.unwrap();
/// letters.expect_none();
/// for _ in 0..3 {
///     slow.work().tell().await.unwrap(); // one in work, one queued, the others are dropped
/// }
/// letters.expect("Slow", "work").await;
/// # });
/// ```
///
/// # Panics
/// Outside of a runtime.
#[must_use = "it collects until it is dropped"]
#[track_caller]
pub fn dead_letters() -> DeadLetterProbe {
    let letters = subscribe_dead_letters_here(CAPACITY);
    let inbox = Inbox::new(letters.queue().clone(), describe);
    DeadLetterProbe { letters, inbox }
}

fn describe(letter: &DeadLetter) -> String {
    let DeadLetter {
        actor,
        id,
        message,
        reason,
    } = letter;
    format!("\"{message}\" to {actor}#{id}: {reason}")
}

/// The dead letters of a test, made by [`dead_letters`].
pub struct DeadLetterProbe {
    letters: DeadLetters,
    inbox: Inbox<DeadLetter>,
}

impl DeadLetterProbe {
    /// Fails the test if there is a dead letter that no expectation has taken.
    ///
    /// It looks at those that have come so far. So make sure that what could cause one is done: an
    /// actor's queue is dropped before its `stop().await` is ready.
    ///
    /// # Panics
    /// That is how it fails the test.
    #[track_caller]
    pub fn expect_none(&self) {
        if let Some(first) = self.inbox.try_next() {
            let failure = self.failure("expect_none", Location::caller());
            let failure = failure.expected("no dead letter").came(describe(&first));
            panic!("{}", self.inbox.history(failure));
        }
    }

    /// Expects that none comes for so long, and none has.
    ///
    /// ```
    /// use actor_core::testkit::dead_letters;
    ///
    /// # actor_core::Runtime::new().unwrap().run(async {
    /// let letters = dead_letters();
    /// letters.expect_none_within(std::time::Duration::from_millis(5)).await;
    /// # });
    /// ```
    #[track_caller]
    pub fn expect_none_within(&self, limit: Duration) -> Expect<'_, ()> {
        let place = Location::caller();
        let came = async move {
            let turn = self.inbox.turn().await;
            match turn.next().await {
                None => Ok(()),
                Some(first) => {
                    let failure = self.failure("expect_none_within", place);
                    let failure = failure.expected("no dead letter").came(describe(&first));
                    Err(self.inbox.history(failure))
                }
            }
        };
        Expect::new(limit, came, |_| Ok(()))
    }

    /// Expects a dead letter of this message (the method's name) to the actor of this name. Takes
    /// the first one; others stay, whatever the order. See [`dead_letters`].
    #[track_caller]
    pub fn expect(&self, actor: &str, message: &str) -> Expect<'_, DeadLetter> {
        let expected = format!("a dead letter \"{message}\" to {actor}");
        let (actor, message) = (actor.to_owned(), message.to_owned());
        self.find("expect", expected, move |letter| {
            *letter.actor == *actor && letter.message == message
        })
    }

    /// As [`expect`](DeadLetterProbe::expect), for the first one of which `wanted` is true.
    ///
    /// ```
    /// use actor_core::{actor::DeadLetterReason, testkit::DeadLetterProbe};
    ///
    /// async fn check(letters: &DeadLetterProbe) {
    ///     letters.expect_where(|letter| letter.reason == DeadLetterReason::Overflow).await;
    /// }
    /// ```
    #[track_caller]
    pub fn expect_where(
        &self,
        wanted: impl FnMut(&DeadLetter) -> bool + Send + 'static,
    ) -> Expect<'_, DeadLetter> {
        let expected = "a dead letter of which the closure there is true".to_owned();
        self.find("expect_where", expected, wanted)
    }

    #[track_caller]
    fn find(
        &self,
        what: &'static str,
        expected: String,
        wanted: impl FnMut(&DeadLetter) -> bool + Send + 'static,
    ) -> Expect<'_, DeadLetter> {
        let place = Location::caller();
        let came = async move {
            let turn = self.inbox.turn().await;
            match turn.find(wanted, |_, _| false).await {
                Some(letter) => {
                    self.inbox.taken(describe(&letter));
                    Ok(letter)
                }
                None => unreachable!("the subscription keeps the sending side"),
            }
        };
        Expect::new(WITHIN, came, move |limit| {
            let failure = self.failure(what, place).expected(expected);
            Err(self.inbox.history(failure.nothing_within(limit)))
        })
    }

    fn failure(&self, what: &str, place: &'static Location<'static>) -> Failure {
        let failure = Failure::of("dead letters", what, place);
        match self.letters.missed() {
            0 => failure,
            missed => failure.line("missed", format_args!("{missed} more than fit in here")),
        }
    }
}

impl fmt::Debug for DeadLetterProbe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DeadLetterProbe")
            .field(&self.letters)
            .finish()
    }
}
