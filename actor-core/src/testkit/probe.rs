//! `Probe`: a mailbox in the hands of a test, to stand in for a peer. Akka's `TestProbe`, ExUnit's
//! `assert_receive`.

use std::{fmt, panic::Location, sync::Arc, time::Duration};

use super::{Expect, WITHIN, expect::Failure, inbox::Inbox};
use crate::{
    chan::{self, Receiver, Sender},
    shim::Mutex,
};

/// So many messages wait in a probe before a sender has to wait for the test.
pub(super) const CAPACITY: usize = 1024;

/// A mailbox that a test holds in its hands.
///
/// Give the code under test what it would be given of its peer, and look at what comes: a channel's
/// [`sender`](Probe::sender), a [`callback`](Probe::callback), the handle of an actor that the probe
/// [stands in](super::stand_in_for) for, or the other end of a channel that exists already
/// ([`Probe::on`]). Each expectation takes what it looks at, in the order in which it came.
///
/// ```
/// use actor_core::{chan::Sender, prelude::*, testkit::Probe};
///
/// struct Till { paid: Sender<u64> }
/// #[actor]
/// impl Till {
///     #[init]
///     fn new(paid: Sender<u64>) -> Self { Till { paid } }
///     pub async fn pay(&mut self, cents: u64) {
///         self.paid.send(cents).await.ok();
///     }
/// }
///
/// # actor_core::Runtime::new().unwrap().run(async {
/// let paid = Probe::new();
/// let till = Till::start(paid.sender()).await.unwrap();
/// till.pay(500).tell().await.unwrap();
/// paid.expect_msg_eq(500).await;
/// paid.expect_no_msg(std::time::Duration::from_millis(1)).await;
/// # });
/// ```
///
/// # What a failure says
///
/// ```text
/// probe "paid": expect_msg_eq at tests/till.rs:18:10
///   expected: 500
///   came:     50
///   received before:
///     100
/// ```
pub struct Probe<T> {
    name: Arc<str>,
    inbox: Inbox<T>,
    /// Kept so that the channel stays open; `None` for a channel that is somebody else's.
    sender: Mutex<Option<Sender<T>>>,
    within: Duration,
}

impl<T: fmt::Debug + Send + 'static> Probe<T> {
    /// A probe with a channel of its own, which holds 1024 messages before senders wait.
    #[must_use]
    pub fn new() -> Self {
        Self::with_capacity(CAPACITY)
    }

    /// A probe whose channel holds so many messages before senders wait; 0 makes a rendezvous, so
    /// that a send is done when an expectation has taken it.
    ///
    /// ```
    /// use actor_core::testkit::Probe;
    ///
    /// # actor_core::Runtime::new().unwrap().run(async {
    /// let probe = Probe::with_capacity(1);
    /// let to = probe.sender();
    /// to.try_send("first").unwrap();
    /// assert!(to.try_send("second").is_err()); // how does the code under test bear that?
    /// # });
    /// ```
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        let (sender, queue) = chan::buffered(capacity);
        Self::make(queue, Some(sender), |msg| format!("{msg:?}"))
    }

    /// A probe of a channel that exists already: of what an actor or a goroutine hands out.
    ///
    /// ```
    /// use actor_core::{chan, go, testkit::Probe};
    ///
    /// # actor_core::Runtime::new().unwrap().run(async {
    /// let (out, squares) = chan::buffered(4);
    /// go(async move {
    ///     for n in 1..=3 {
    ///         out.send(n * n).await.unwrap();
    ///     }
    /// });
    /// let squares = Probe::on(squares);
    /// assert_eq!(squares.receive_n(3).await, [1, 4, 9]);
    /// squares.expect_closed().await;
    /// # });
    /// ```
    #[must_use]
    pub fn on(queue: Receiver<T>) -> Self {
        Self::make(queue, None, |msg| format!("{msg:?}"))
    }
}

impl<T: fmt::Debug + Send + 'static> Default for Probe<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Send + 'static> Probe<T> {
    pub(super) fn make(
        queue: Receiver<T>,
        sender: Option<Sender<T>>,
        describe: fn(&T) -> String,
    ) -> Self {
        Self {
            name: "a probe".into(),
            inbox: Inbox::new(queue, describe),
            sender: Mutex::new(sender),
            within: WITHIN,
        }
    }

    /// Gives it a name, for failures: which of several peers it stands in for.
    ///
    /// ```
    /// use actor_core::testkit::Probe;
    /// let paid = Probe::<u64>::new().named("paid");
    /// assert_eq!(format!("{paid:?}"), "probe \"paid\"");
    /// ```
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.name = format!("probe {name:?}").into();
        self
    }

    /// Gives each of its expectations this long instead of 5 s.
    ///
    /// ```
    /// use actor_core::testkit::Probe;
    /// let probe = Probe::<u64>::new().within(std::time::Duration::from_secs(30));
    /// # let _ = probe;
    /// ```
    #[must_use]
    pub fn within(mut self, limit: Duration) -> Self {
        self.within = limit;
        self
    }

    /// A sender into the probe, for the code under test. See [`Probe`].
    ///
    /// # Panics
    /// If the channel is not the probe's own ([`Probe::on`], [`stand_in_for`](super::stand_in_for)), or after
    /// [`expect_closed`](Probe::expect_closed).
    #[must_use]
    #[track_caller]
    pub fn sender(&self) -> Sender<T> {
        let sender = self.sender.lock().clone();
        sender.unwrap_or_else(|| {
            panic!(
                "{} has no sender to give: its channel is another's, or `expect_closed` has given \
                 the sender up; take one from where the channel was made, or before",
                self.name
            )
        })
    }

    /// A closure that sends into the probe, for code that calls back. It never waits.
    ///
    /// # Panics
    /// As [`sender`](Probe::sender). The closure panics when the probe is full.
    ///
    /// ```
    /// use actor_core::testkit::Probe;
    ///
    /// fn each(words: &str, on_word: impl Fn(String)) {
    ///     words.split(' ').for_each(|word| on_word(word.into()));
    /// }
    /// # actor_core::Runtime::new().unwrap().run(async {
    /// let words = Probe::new();
    /// each("to be", words.callback());
    /// assert_eq!(words.receive_n(2).await, ["to", "be"]);
    /// # });
    /// ```
    #[track_caller]
    pub fn callback(&self) -> impl Fn(T) + Clone + Send + Sync + 'static + use<T> {
        let (sender, name) = (self.sender(), Arc::clone(&self.name));
        move |msg| {
            if let Err(refused) = sender.try_send(msg) {
                // Closed: the test is over, and so is its interest.
                assert!(
                    !refused.is_full(),
                    "{name} is full: give it a larger capacity, or take its messages"
                );
            }
        }
    }

    /// The next message, if there is one now.
    ///
    /// ```
    /// use actor_core::testkit::Probe;
    /// let probe = Probe::new();
    /// assert_eq!(probe.try_msg(), None);
    /// probe.sender().try_send(1).unwrap();
    /// assert_eq!(probe.try_msg(), Some(1));
    /// ```
    pub fn try_msg(&self) -> Option<T> {
        let msg = self.inbox.try_next()?;
        self.inbox.taken(self.inbox.describe(&msg));
        Some(msg)
    }

    /// Expects a message: ready with the next one, whatever it is. See [`Probe`].
    #[track_caller]
    pub fn expect_msg(&self) -> Expect<'_, T> {
        self.next("expect_msg", "a message".into(), Ok)
    }

    /// Expects that the next message is equal to this one. See [`Probe`].
    #[track_caller]
    pub fn expect_msg_eq(&self, expected: T) -> Expect<'_, T>
    where
        T: PartialEq,
    {
        let text = self.inbox.describe(&expected);
        self.next("expect_msg_eq", text, move |msg| {
            if msg == expected { Ok(msg) } else { Err(msg) }
        })
    }

    /// Expects that `wanted` is true of the next message. [`expect_msg!`](super::expect_msg) does
    /// the same with a pattern.
    ///
    /// ```
    /// use actor_core::testkit::Probe;
    ///
    /// # actor_core::Runtime::new().unwrap().run(async {
    /// let probe = Probe::new();
    /// probe.sender().send("hello Ada".to_owned()).await.unwrap();
    /// let greeting = probe.expect_msg_where(|text| text.ends_with("Ada")).await;
    /// assert!(greeting.starts_with("hello"));
    /// # });
    /// ```
    #[track_caller]
    pub fn expect_msg_where(
        &self,
        mut wanted: impl FnMut(&T) -> bool + Send + 'static,
    ) -> Expect<'_, T> {
        let text = "a message of which the closure there is true";
        self.next("expect_msg_where", text.into(), move |msg| {
            if wanted(&msg) { Ok(msg) } else { Err(msg) }
        })
    }

    /// What [`expect_msg!`](super::expect_msg) calls: `take` makes something of the next message, or
    /// gives it back because it is another one than `expected` says.
    #[doc(hidden)]
    #[track_caller]
    pub fn __expect<R: Send + 'static>(
        &self,
        expected: &'static str,
        take: impl FnOnce(T) -> Result<R, T> + Send + 'static,
    ) -> Expect<'_, R> {
        self.next("expect_msg!", expected.into(), take)
    }

    /// Expects that nothing comes for so long.
    ///
    /// On the real scheduler it waits for that time: keep it short, and expect something that comes
    /// *after* what must not come where you can. In a simulation it costs nothing.
    ///
    /// ```
    /// use actor_core::testkit::Probe;
    /// use std::time::Duration;
    ///
    /// # actor_core::Runtime::new().unwrap().run(async {
    /// let probe = Probe::<u64>::new();
    /// probe.expect_no_msg(Duration::from_millis(5)).await;
    /// # });
    /// ```
    #[track_caller]
    pub fn expect_no_msg(&self, within: Duration) -> Expect<'_, ()> {
        let place = Location::caller();
        let came = async move {
            let turn = self.inbox.turn().await;
            let Some(msg) = turn.next().await else {
                // Closed: nothing will come.
                return Ok(());
            };
            let failure = self.failure("expect_no_msg", place);
            let failure = failure.expected("nothing").came(self.inbox.describe(&msg));
            Err(self.inbox.history(failure))
        };
        Expect::new(within, came, |_| Ok(()))
    }

    /// Takes messages until `wanted` is true of one, and is ready with that one; those before it are
    /// dropped, and named if the expectation fails. Akka's `fishForMessage`.
    ///
    /// ```
    /// use actor_core::testkit::Probe;
    ///
    /// # actor_core::Runtime::new().unwrap().run(async {
    /// let probe = Probe::new();
    /// for n in 1..=10 {
    ///     probe.sender().send(n).await.unwrap();
    /// }
    /// assert_eq!(probe.fish_for(|n| n % 4 == 0).await, 4);
    /// assert_eq!(probe.expect_msg().await, 5);
    /// # });
    /// ```
    #[track_caller]
    pub fn fish_for(&self, mut wanted: impl FnMut(&T) -> bool + Send + 'static) -> Expect<'_, T> {
        let place = Location::caller();
        let failure = move || {
            let failure = self.failure("fish_for", place);
            failure.expected("a message of which the closure there is true, sooner or later")
        };
        let came = async move {
            let turn = self.inbox.turn().await;
            while let Some(msg) = turn.next().await {
                self.inbox.taken(self.inbox.describe(&msg));
                if wanted(&msg) {
                    return Ok(msg);
                }
            }
            Err(self.closed(failure()))
        };
        Expect::new(self.within, came, move |limit| {
            Err(self.inbox.history(failure().nothing_within(limit)))
        })
    }

    /// Expects `n` messages, whatever they are: all of them within the time.
    ///
    /// ```
    /// use actor_core::{go, testkit::Probe};
    ///
    /// # actor_core::Runtime::new().unwrap().run(async {
    /// let probe = Probe::new();
    /// for n in 0..3 {
    ///     let to = probe.sender();
    ///     go(async move { to.send(n).await });
    /// }
    /// let mut got = probe.receive_n(3).await; // in the order in which they came
    /// got.sort();
    /// assert_eq!(got, [0, 1, 2]);
    /// # });
    /// ```
    #[track_caller]
    pub fn receive_n(&self, n: usize) -> Expect<'_, Vec<T>> {
        let place = Location::caller();
        let failure = move || {
            let failure = self.failure("receive_n", place);
            failure.expected(format_args!("{n} messages"))
        };
        let came = async move {
            let turn = self.inbox.turn().await;
            match turn.next_n(n).await {
                Ok(all) => {
                    all.iter()
                        .for_each(|msg| self.inbox.taken(self.inbox.describe(msg)));
                    Ok(all)
                }
                Err(_) => Err(self.closed(failure())),
            }
        };
        Expect::new(self.within, came, move |limit| {
            let failure = failure().came(format_args!("fewer within {limit:?}"));
            Err(self.inbox.history(failure))
        })
    }

    /// Expects that no message is left and none can come: all senders are dropped, or the channel is
    /// closed. The probe gives up its own sender for that.
    ///
    /// ```
    /// use actor_core::testkit::Probe;
    ///
    /// # actor_core::Runtime::new().unwrap().run(async {
    /// let probe = Probe::<u64>::new();
    /// let worker = { let out = probe.sender(); actor_core::go(async move { drop(out) }) };
    /// probe.expect_closed().await; // the worker has hung up
    /// # worker.await.unwrap();
    /// # });
    /// ```
    #[track_caller]
    pub fn expect_closed(&self) -> Expect<'_, ()> {
        let place = Location::caller();
        let own = self.sender.lock().take();
        drop(own);
        let failure = move || {
            let failure = self.failure("expect_closed", place);
            failure.expected("that all senders hang up, and nothing before that")
        };
        let came = async move {
            let turn = self.inbox.turn().await;
            let Some(msg) = turn.next().await else {
                return Ok(());
            };
            let failure = failure().came(self.inbox.describe(&msg));
            Err(self.inbox.history(failure))
        };
        Expect::new(self.within, came, move |limit| {
            let failure = failure().came(format_args!("neither within {limit:?}"));
            Err(self.inbox.history(failure))
        })
    }

    /// Expects something of the next message.
    #[track_caller]
    fn next<R: Send + 'static>(
        &self,
        what: &'static str,
        expected: String,
        take: impl FnOnce(T) -> Result<R, T> + Send + 'static,
    ) -> Expect<'_, R> {
        let place = Location::caller();
        let failure = move || self.failure(what, place).expected(&expected);
        let late = failure.clone();
        let came = async move {
            let turn = self.inbox.turn().await;
            let Some(msg) = turn.next().await else {
                return Err(self.closed(failure()));
            };
            // Before it is taken apart.
            let text = self.inbox.describe(&msg);
            match take(msg) {
                Ok(taken) => {
                    self.inbox.taken(text);
                    Ok(taken)
                }
                Err(_) => Err(self.inbox.history(failure().came(text))),
            }
        };
        Expect::new(self.within, came, move |limit| {
            Err(self.inbox.history(late().nothing_within(limit)))
        })
    }

    fn failure(&self, what: &str, place: &'static Location<'static>) -> Failure {
        Failure::of(&self.name, what, place)
    }

    fn closed(&self, failure: Failure) -> Failure {
        self.inbox
            .history(failure.came("the end: the channel is closed"))
    }
}

impl<T> fmt::Debug for Probe<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}
