//! What the mocks of [`#[protocol(mock)]`](macro@crate::protocol) are made of.
//!
//! A mock of the protocol `Bank` is a `MockBank` in the test's hands, and behind the handles it
//! gives out one [`MockMethod`] for each message.
//!
//! - A call is noted when it is sent (asked, told, forwarded), then answered: by the next of the
//!   replies that were lined up for it, else by the standing answer, else it is a fault.
//! - A fault panics where the call was made, which is often inside the actor under test and may go
//!   unnoticed there. So it is kept as well, and the mock fails the test when it is dropped.
//!
//! ```
//! use actor_core::prelude::*;
//!
//! #[protocol(mock)]
//! pub trait Bank {
//!     fn deposit(&self, who: u64, cents: u64) -> Result<u64, String>;
//!     fn audit(&self, line: String);
//! }
//!
//! /// The code under test.
//! async fn payday(bank: BankRef, staff: &[u64]) -> u64 {
//!     let mut paid = 0;
//!     for who in staff {
//!         match bank.deposit(*who, 500).await {
//!             Ok(_) => paid += 1,
//!             Err(error) => bank.audit(format!("{who}: {error}")).tell().await.unwrap(),
//!         }
//!     }
//!     paid
//! }
//!
//! # actor_core::Runtime::new().unwrap().run(async {
//! let bank = MockBank::new()
//!     .on_deposit(|who, cents| if who == 2 { Err("no account".into()) } else { Ok(cents) })
//!     .on_audit(|_| ());
//! assert_eq!(payday(bank.handle(), &[1, 2, 3]).await, 2);
//! assert_eq!(
//!     bank.calls(),
//!     ["deposit(1, 500)", "deposit(2, 500)", "audit(\"2: no account\")", "deposit(3, 500)"]
//! );
//! assert_eq!(bank.expect_deposit().await, (1, 500)); // or as they come, one by one
//! # });
//! ```

use std::{
    any::Any,
    collections::VecDeque,
    fmt,
    future::Future,
    panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind},
    sync::Arc,
    time::Duration,
};

use super::{Expect, WITHIN, expect::Failure, inbox::Inbox};
use crate::{
    actor::{BoxFuture, CallError, ProtocolCall},
    chan::{self, Sender},
    shim, sync,
};

/// Calls of one method that no expectation has taken; further ones are noted all the same.
const CAPACITY: usize = 1 << 16;

/// An argument that a mock can note: it is cloned and printed.
#[diagnostic::on_unimplemented(
    message = "a mock can't note an argument of type `{Self}`",
    label = "it is to be cloned and printed",
    note = "derive `Clone` and `Debug` for it, or write the mock by hand, as an `impl` of the protocol"
)]
pub trait MockArgument: Sized {
    /// Its text, and it three times: for the answer, for an expectation, for the list of calls.
    #[doc(hidden)]
    fn noted(self) -> (String, [Self; 3]);
}

impl<T: Clone + fmt::Debug> MockArgument for T {
    fn noted(self) -> (String, [Self; 3]) {
        let text = format!("{self:?}");
        (text, [self.clone(), self.clone(), self])
    }
}

/// A call as it would be written. `#[protocol(mock)]` uses it.
#[doc(hidden)]
#[must_use]
pub fn text(method: &str, args: &[String]) -> String {
    format!("{method}({})", args.join(", "))
}

/// What all methods of a mock share. `#[protocol(mock)]` uses it.
#[doc(hidden)]
pub struct MockLog {
    mock: &'static str,
    noted: shim::Mutex<Noted>,
}

#[derive(Default)]
struct Noted {
    calls: Vec<String>,
    faults: Vec<String>,
}

impl MockLog {
    #[must_use]
    pub fn new(mock: &'static str) -> Arc<Self> {
        Arc::new(Self {
            mock,
            noted: shim::Mutex::default(),
        })
    }

    #[must_use]
    pub fn calls(&self) -> Vec<String> {
        self.noted.lock().calls.clone()
    }

    pub fn take_faults(&self) -> Vec<String> {
        std::mem::take(&mut self.noted.lock().faults)
    }

    /// The mock is dropped, in the test.
    pub fn end(&self) {
        let faults = self.take_faults();
        if !faults.is_empty() && !std::thread::panicking() {
            let (mock, faults) = (self.mock, faults.join("\n  "));
            panic!("{mock} was called in a way that the test did not foresee:\n  {faults}");
        }
    }

    fn note(&self, call: &str) {
        self.noted.lock().calls.push(call.to_owned());
    }

    fn fault(&self, fault: String) {
        self.noted.lock().faults.push(fault);
    }
}

impl fmt::Debug for MockLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(self.mock)
            .field("calls", &self.calls())
            .finish()
    }
}

/// One message of a mock: how it is answered, and its calls. `when_deposit()` of a `MockBank` gives
/// that of `deposit`.
///
/// `Args` is the argument's type if there is one, `()` if there is none, otherwise the tuple of them.
/// Answers are what the actor's handler would say: a `Result`, with `Ok` for methods that can't fail.
/// Each of these may be called in the middle of a test, and counts from then on.
///
/// ```
/// use actor_core::prelude::*;
///
/// #[protocol(mock)]
/// trait Bank {
///     fn deposit(&self, who: u64, cents: u64) -> Result<u64, String>;
/// }
///
/// # actor_core::Runtime::new().unwrap().run(async {
/// let mock = MockBank::new();
/// mock.when_deposit().replies([Ok(500), Err("closed".into())]); // the first two calls
/// let bank = mock.handle();
/// assert_eq!(bank.deposit(7, 500).await, Ok(500));
/// assert_eq!(bank.deposit(7, 1).await, Err(CallError::Failed("closed".into())));
///
/// mock.when_deposit().fails_with(|| CallError::Stopped); // from now on
/// assert_eq!(bank.deposit(7, 2).await, Err(CallError::Stopped));
/// assert_eq!(mock.when_deposit().calls(), [(7, 500), (7, 1), (7, 2)]);
/// # });
/// ```
pub struct MockMethod<Args, T, E> {
    name: &'static str,
    /// What to write to answer it.
    hint: &'static str,
    log: Arc<MockLog>,
    replies: shim::Mutex<Replies<T, E>>,
    standing: shim::Mutex<Option<Standing<Args, T, E>>>,
    calls: shim::Mutex<Vec<Args>>,
    arrived: Sender<Arrived<Args>>,
    inbox: Inbox<Arrived<Args>>,
}

type Answered<T, E> = Result<T, CallError<E>>;
type Answer<Args, T, E> = dyn FnMut(Args) -> BoxFuture<'static, Answered<T, E>> + Send;
/// Its lock is held while the closure runs, not while its future does; it is one that can be waited
/// for, because the closure is the test's.
type Standing<Args, T, E> = Arc<sync::Mutex<Box<Answer<Args, T, E>>>>;

struct Replies<T, E> {
    left: VecDeque<Result<T, E>>,
    given: u64,
}

struct Arrived<Args> {
    args: Args,
    text: String,
}

impl<Args, T, E> MockMethod<Args, T, E>
where
    Args: Send + 'static,
    T: Send + 'static,
    E: Send + 'static,
{
    /// Used by the code that `#[protocol(mock)]` writes.
    #[doc(hidden)]
    #[must_use]
    pub fn new(name: &'static str, hint: &'static str, log: &Arc<MockLog>) -> Self {
        let (arrived, queue) = chan::buffered(CAPACITY);
        Self {
            name,
            hint,
            log: Arc::clone(log),
            replies: shim::Mutex::new(Replies {
                left: VecDeque::new(),
                given: 0,
            }),
            standing: shim::Mutex::new(None),
            calls: shim::Mutex::default(),
            arrived,
            inbox: Inbox::new(queue, |call| call.text.clone()),
        }
    }

    /// Used by the code that `#[protocol(mock)]` writes: a call with these arguments, which reads as
    /// `text`.
    #[doc(hidden)]
    pub fn call(&self, args: [Args; 3], text: String) -> ProtocolCall<'_, T, E> {
        ProtocolCall::answer_by(async move {
            let [args, arrived, listed] = args;
            self.log.note(&text);
            self.calls.lock().push(listed);
            let arrived = Arrived {
                args: arrived,
                text: text.clone(),
            };
            // Full: it is in `calls`.
            let _ = self.arrived.try_send(arrived);
            let reply = {
                let mut replies = self.replies.lock();
                replies.given += u64::from(!replies.left.is_empty());
                replies.left.pop_front()
            };
            if let Some(reply) = reply {
                return reply.map_err(CallError::Failed);
            }
            let standing = self.standing.lock().clone();
            let Some(standing) = standing else {
                self.unexpected(&text)
            };
            let answer = {
                let mut answer = standing.lock().await;
                catch_unwind(AssertUnwindSafe(|| answer(args)))
            };
            match answer {
                Ok(answer) => answer.await,
                Err(panic) => self.panicked(&text, panic),
            }
        })
    }

    #[cold]
    fn unexpected(&self, text: &str) -> ! {
        let given = match self.replies.lock().given {
            0 => String::new(),
            n => format!(", after the {n} that replies were lined up for"),
        };
        let fault = format!(
            "unexpected call {text}{given}; say what it answers, with `{}`",
            self.hint
        );
        self.log.fault(fault.clone());
        panic!("{}: {fault}", self.log.mock);
    }

    /// The test's own closure panicked, in whoever called the mock.
    #[cold]
    fn panicked(&self, text: &str, panic: Box<dyn Any + Send>) -> ! {
        let what = (panic.downcast_ref::<&'static str>().copied())
            .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("(no text)");
        let fault = format!("the answer to {text} panicked: {what}");
        self.log.fault(fault);
        resume_unwind(panic);
    }

    fn stand(&self, answer: Box<Answer<Args, T, E>>) -> &Self {
        let standing = Arc::new(sync::Mutex::new(answer));
        let former = self.standing.lock().replace(standing);
        drop(former);
        self
    }

    /// From now on `answer` says what each call is answered with. `on_deposit` of a `MockBank` is
    /// the same, with the arguments one by one. See [`MockMethod`].
    pub fn answers(&self, mut answer: impl FnMut(Args) -> Result<T, E> + Send + 'static) -> &Self {
        self.stand(Box::new(move |args| {
            let answer = answer(args).map_err(CallError::Failed);
            Box::pin(std::future::ready(answer))
        }))
    }

    /// From now on each call is answered with what a future says: for an answer that takes its time,
    /// or comes when the test says so.
    ///
    /// ```
    /// use actor_core::{chan, prelude::*};
    ///
    /// #[protocol(mock)]
    /// trait Clock {
    ///     fn now(&self) -> u64;
    /// }
    ///
    /// # actor_core::Runtime::new().unwrap().run(async {
    /// let (strike, strikes) = chan::rendezvous();
    /// let mock = MockClock::new();
    /// mock.when_now().answers_by(move |()| {
    ///     let strikes = strikes.clone();
    ///     async move { Ok(strikes.recv().await.unwrap()) }
    /// });
    /// let clock = mock.handle();
    /// let asked = go(async move { clock.now().await });
    /// mock.expect_now().await; // it has asked, and waits
    /// strike.send(12).await.unwrap();
    /// assert_eq!(asked.await.unwrap(), Ok(12));
    /// # });
    /// ```
    pub fn answers_by<Fut>(&self, mut answer: impl FnMut(Args) -> Fut + Send + 'static) -> &Self
    where
        Fut: Future<Output = Result<T, E>> + Send + 'static,
    {
        self.stand(Box::new(move |args| {
            let answer = answer(args);
            Box::pin(async move { answer.await.map_err(CallError::Failed) })
        }))
    }

    /// From now on each call fails with this: not with the handler's own error, but with what becomes
    /// of calls, such as [`CallError::Stopped`]. See [`MockMethod`].
    pub fn fails_with(&self, mut error: impl FnMut() -> CallError<E> + Send + 'static) -> &Self {
        self.stand(Box::new(move |_| {
            Box::pin(std::future::ready(Err(error())))
        }))
    }

    /// From now on no call is ever answered: for timeouts of the code under test.
    ///
    /// ```
    /// use actor_core::prelude::*;
    /// use std::time::Duration;
    ///
    /// #[protocol(mock)]
    /// trait Clock {
    ///     fn now(&self) -> u64;
    /// }
    ///
    /// # actor_core::Runtime::new().unwrap().run(async {
    /// let mock = MockClock::new();
    /// mock.when_now().never_answers();
    /// let late = mock.handle().now().timeout(Duration::from_millis(1)).await;
    /// assert_eq!(late, Err(CallError::Timeout));
    /// # });
    /// ```
    pub fn never_answers(&self) -> &Self {
        self.stand(Box::new(|_| Box::pin(std::future::pending())))
    }

    /// Lines up these replies for the next calls, one each, before any standing answer. See
    /// [`MockMethod`].
    pub fn replies(&self, replies: impl IntoIterator<Item = Result<T, E>>) -> &Self {
        let replies: Vec<_> = replies.into_iter().collect();
        self.replies.lock().left.extend(replies);
        self
    }

    /// The arguments of all its calls, in order, whether an expectation has taken them or not. See
    /// [`MockMethod`].
    #[must_use]
    pub fn calls(&self) -> Vec<Args>
    where
        Args: Clone,
    {
        self.calls.lock().clone()
    }

    /// Expects a call of this method, and is ready with its arguments; each expectation takes one
    /// call, in order. `expect_deposit` of a `MockBank` is the same.
    ///
    /// It only looks at the call: the answer is given by what was set up before.
    #[track_caller]
    pub fn expect_call(&self) -> Expect<'_, Args> {
        let place = Location::caller();
        let failure = move || {
            let failure = Failure::of(self.log.mock, &format!("expect_{}", self.name), place);
            failure.expected(format_args!("a call of {}", self.name))
        };
        let came = async move {
            let turn = self.inbox.turn().await;
            match turn.next().await {
                Some(Arrived { args, text }) => {
                    self.inbox.taken(text);
                    Ok(args)
                }
                None => unreachable!("the method keeps the sending side"),
            }
        };
        Expect::new(WITHIN, came, move |limit| {
            Err(self.history(failure().nothing_within(limit)))
        })
    }

    /// Expects that no call of this method comes for so long, and none has come that no expectation
    /// has taken.
    ///
    /// ```
    /// use actor_core::prelude::*;
    ///
    /// #[protocol(mock)]
    /// trait Clock {
    ///     fn now(&self) -> u64;
    /// }
    ///
    /// # actor_core::Runtime::new().unwrap().run(async {
    /// let mock = MockClock::new();
    /// mock.when_now().expect_no_call(std::time::Duration::from_millis(5)).await;
    /// # });
    /// ```
    #[track_caller]
    pub fn expect_no_call(&self, within: Duration) -> Expect<'_, ()> {
        let place = Location::caller();
        let came = async move {
            let turn = self.inbox.turn().await;
            let Some(call) = turn.next().await else {
                return Ok(());
            };
            let failure = Failure::of(self.log.mock, "expect_no_call", place);
            let failure = failure.expected(format_args!("no call of {}", self.name));
            Err(self.history(failure.came(call.text)))
        };
        Expect::new(within, came, |_| Ok(()))
    }

    fn history(&self, failure: Failure) -> Failure {
        let (calls, faults) = {
            let noted = self.log.noted.lock();
            (noted.calls.clone(), noted.faults.clone())
        };
        failure
            .list("all calls of the mock so far", calls)
            .list("faults", faults)
    }
}

impl<Args, T, E> fmt::Debug for MockMethod<Args, T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}::{}", self.log.mock, self.name)
    }
}
