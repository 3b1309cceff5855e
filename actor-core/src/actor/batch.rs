//! Several messages of one method, handled in one call.

use std::{convert::Infallible, fmt, vec};

use super::Reply;

/// Queued messages of one `#[batch]` method that followed each other, handled in one call.
///
/// `T` is the method's argument, or the tuple of its arguments; `R` what each caller is answered,
/// and `E` the error that it may be answered instead. Callers make ordinary calls and get ordinary
/// answers: they don't see that there is a batch.
///
/// An item that is left without an answer answers `NoReply`; where `R` is `()`, items that were not
/// taken out are answered when the method returns. A panic answers `Panicked` to all that had no
/// answer yet.
///
/// ```
/// use actor_core::prelude::*;
/// use actor_core::actor::Batch;
///
/// struct Store {
///     rows: Vec<(u64, String)>,
/// }
///
/// #[actor]
/// impl Store {
///     #[init]
///     fn new() -> Self {
///         Store { rows: Vec::new() }
///     }
///
///     /// Writes a row, with one flush for all that are queued; returns how many there are.
///     #[batch(max = 100)]
///     pub fn insert(&mut self, rows: &mut Batch<(u64, String), usize>) {
///         for row in rows.drain() {
///             let (args, reply) = row.into_parts();
///             self.rows.push(args);
///             reply.send(Ok(self.rows.len()));
///         }
///     }
/// }
///
/// # actor_core::Runtime::new().unwrap().block_on(async {
/// let store = Store::start().await.unwrap();
/// assert_eq!(store.insert(7, "seven".into()).await, Ok(1));
/// # });
/// ```
pub struct Batch<T, R = (), E = Infallible> {
    items: Vec<BatchItem<T, R, E>>,
}

impl<T, R, E> Batch<T, R, E> {
    /// Made by the code that `#[actor]` writes: of the first message and those that joined it.
    #[doc(hidden)]
    pub fn new<M>(
        args: T,
        reply: Reply<Result<R, E>>,
        followers: Followers<M>,
        mut part: impl FnMut(M) -> Option<(T, Reply<Result<R, E>>)>,
    ) -> Self {
        let mut items = vec![BatchItem { args, reply }];
        items.extend(
            followers
                .0
                .into_iter()
                .flat_map(|all| *all)
                .filter_map(|m| {
                    let (args, reply) = part(m)?;
                    Some(BatchItem { args, reply })
                }),
        );
        Self { items }
    }

    /// How many messages there are; at least one when the method is called.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether all were taken out.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The arguments, in the order in which the messages were queued.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.items.iter().map(|item| &item.args)
    }

    /// Takes all messages out, in the order in which they were queued.
    pub fn drain(&mut self) -> vec::Drain<'_, BatchItem<T, R, E>> {
        self.items.drain(..)
    }

    /// Takes all messages out and answers each with what `answer` makes of its arguments.
    pub fn answer_each(&mut self, mut answer: impl FnMut(T) -> Result<R, E>) {
        #[cfg(feature = "planted")]
        if crate::planted::is(crate::planted::Bug::DoubleReply) {
            let parts = self.items.drain(..).map(BatchItem::into_parts);
            let (all, replies): (Vec<T>, Vec<_>) = parts.unzip();
            let mut replies = replies.into_iter().filter(Reply::is_wanted);
            for args in all {
                let answer = answer(args);
                if let Some(reply) = replies.next() {
                    reply.send(answer);
                }
            }
            return;
        }
        for BatchItem { args, reply } in self.items.drain(..) {
            reply.send(answer(args));
        }
    }
}

impl<T, E> Batch<T, (), E> {
    /// Answers what was left in it.
    #[doc(hidden)]
    pub fn finish(&mut self) {
        for item in self.items.drain(..) {
            item.answer(());
        }
    }
}

impl<T, R, E> fmt::Debug for Batch<T, R, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch").field("len", &self.len()).finish()
    }
}

/// The place in a message for those that [join](super::Message::join) it; boxed, because a message
/// that waits has none.
#[doc(hidden)]
#[derive(Debug)]
pub struct Followers<M>(#[allow(clippy::box_collection)] Option<Box<Vec<M>>>);

impl<M> Followers<M> {
    #[must_use]
    pub fn none() -> Self {
        Self(None)
    }

    #[must_use]
    pub fn of(all: Vec<M>) -> Self {
        Self(Some(Box::new(all)))
    }
}

/// One message of a [`Batch`].
#[must_use = "its caller waits for an answer"]
pub struct BatchItem<T, R = (), E = Infallible> {
    /// What the caller passed.
    pub args: T,
    reply: Reply<Result<R, E>>,
}

impl<T, R, E> BatchItem<T, R, E> {
    /// Answers the caller.
    pub fn answer(self, value: R) {
        self.reply.send(Ok(value));
    }

    /// Answers the caller with an error, which it gets as `CallError::Failed`.
    pub fn fail(self, error: E) {
        self.reply.send(Err(error));
    }

    /// The arguments, and the reply for an answer that comes later.
    pub fn into_parts(self) -> (T, Reply<Result<R, E>>) {
        (self.args, self.reply)
    }
}

impl<T, R, E> fmt::Debug for BatchItem<T, R, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchItem")
            .field("reply", &self.reply)
            .finish_non_exhaustive()
    }
}
