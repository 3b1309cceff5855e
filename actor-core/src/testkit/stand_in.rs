//! A probe in an actor's place, and the macros that take messages apart.

use super::{Probe, probe::CAPACITY};
use crate::{
    actor::{Actor, Message, stand_in},
    chan,
};

/// Starts a stand-in for an actor: its handle, to be given to the code under test, and a probe that
/// gets its messages. The actor's own code does not run.
///
/// It is for peers whose type is fixed; where the code under test takes a protocol's handle, a mock
/// ([`#[protocol(mock)]`](macro@crate::protocol)) is less to write. The messages are those of the
/// actor's message enum; [`expect_call!`](super::expect_call) takes one apart and answers it. One
/// that is dropped unanswered tells its asker `CallError::NoReply`.
///
/// The stand-in lives as an actor without a supervisor: until it is stopped or killed, or its last
/// handle is dropped; also until a message comes after the probe was dropped.
///
/// ```
/// use actor_core::{prelude::*, testkit::{expect_call, stand_in_for}};
///
/// struct Bank;
/// #[actor]
/// impl Bank {
///     #[init]
///     fn open() -> Self { unimplemented!("connects to a real bank") }
///     pub fn deposit(&mut self, who: u64, cents: u64) -> Result<u64, String> { todo!() }
/// }
///
/// async fn payday(bank: BankRef) -> u64 {
///     bank.deposit(7, 500).await.unwrap_or(0)
/// }
///
/// # actor_core::Runtime::new().unwrap().run(async {
/// let (bank, calls) = stand_in_for::<Bank>();
/// let paid = go(payday(bank));
/// expect_call!(calls, BankMsg::Deposit { who: 7, cents } => Ok(cents + 1)).await;
/// assert_eq!(paid.await.unwrap(), 501);
/// # });
/// ```
///
/// # Panics
/// Outside of a runtime.
#[must_use]
#[track_caller]
pub fn stand_in_for<A: Actor>() -> (A::Handle, Probe<A::Msg>) {
    let (to, queue) = chan::buffered(CAPACITY);
    let handle = stand_in::<A, _, _>(A::NAME, move |msg| {
        let to = to.clone();
        async move { to.send(msg).await.is_ok() }
    });
    let probe = Probe::make(queue, None, |msg: &A::Msg| msg.name().to_owned());
    (handle, probe.named(A::NAME))
}

/// Expects that the next message of a [`Probe`] matches a pattern; what it binds may be returned.
///
/// `expect_msg!(probe, pattern)`, `expect_msg!(probe, pattern if condition)`, and either with
/// `=> value` after it. It makes an [`Expect`](crate::testkit::Expect): `.await` it. ExUnit's `assert_receive`.
///
/// ```
/// use actor_core::testkit::{Probe, expect_msg};
///
/// #[derive(Debug)]
/// enum Event { Paid { who: u64, cents: u64 }, Closed }
///
/// # actor_core::Runtime::new().unwrap().run(async {
/// let probe = Probe::new();
/// probe.sender().send(Event::Paid { who: 7, cents: 500 }).await.unwrap();
/// probe.sender().send(Event::Closed).await.unwrap();
/// let cents = expect_msg!(probe, Event::Paid { who: 7, cents } => cents).await;
/// assert_eq!(cents, 500);
/// expect_msg!(probe, Event::Closed).await;
/// # });
/// ```
#[doc(hidden)]
#[macro_export]
macro_rules! __testkit_expect_msg {
    ($probe:expr, $pattern:pat $(if $condition:expr)? $(,)?) => {
        $crate::testkit::expect_msg!($probe, $pattern $(if $condition)? => ())
    };
    ($probe:expr, $pattern:pat $(if $condition:expr)? => $value:expr $(,)?) => {
        $probe.__expect(
            ::core::stringify!($pattern $(if $condition)?),
            move |msg| match msg {
                $pattern $(if $condition)? => ::core::result::Result::Ok($value),
                #[allow(unreachable_patterns)]
                other => ::core::result::Result::Err(other),
            },
        )
    };
}

/// Expects that the next message to a [stand-in](stand_in_for) is this call, and answers it.
///
/// `expect_call!(probe, BankMsg::Deposit { who, cents } => answer)`: the fields are the arguments,
/// by `name` or `name: pattern`, and those left out don't matter; the answer is a `Result`, also
/// where the method returns none. It makes an [`Expect`](crate::testkit::Expect): `.await` it. See [`stand_in_for`](crate::testkit::stand_in_for).
#[doc(hidden)]
#[macro_export]
macro_rules! __testkit_expect_call {
    (
        $probe:expr,
        $($path:ident)::+ {
            $($field:ident $(: $pattern:pat)?),* $(,)?
        } => $answer:expr $(,)?
    ) => {
        $probe.__expect(
            ::core::stringify!($($path)::+ { $($field $(: $pattern)?),* }),
            move |msg| match msg {
                $($path)::+ { $($field $(: $pattern)?,)* __actor_reply: reply, .. } => {
                    reply.send($answer);
                    ::core::result::Result::Ok(())
                }
                #[allow(unreachable_patterns)]
                other => ::core::result::Result::Err(other),
            },
        )
    };
}
