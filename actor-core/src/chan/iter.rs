//! Iterators that own their receiver, or that never wait.

use super::channel::Receiver;

impl<T> Receiver<T> {
    /// Iterates over the values that are there, without waiting: ends at the first moment without
    /// one.
    ///
    /// ```
    /// let (tx, rx) = actor_core::chan::buffered(4);
    /// tx.try_send(1)?;
    /// tx.try_send(2)?;
    /// assert_eq!(rx.try_iter().sum::<i32>(), 3); // though the channel is open
    /// # Ok::<(), actor_core::chan::TrySendError<i32>>(())
    /// ```
    pub fn try_iter(&self) -> TryIter<'_, T> {
        TryIter { receiver: self }
    }
}

/// Iterator over the values that are there now: see [`Receiver::try_iter`].
#[derive(Debug)]
pub struct TryIter<'a, T> {
    receiver: &'a Receiver<T>,
}

impl<T> Iterator for TryIter<'_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.receiver.try_recv().ok()
    }
}

/// `for value in rx`, on a thread: blocks between the values, ends when the channel is closed.
///
/// ```
/// let (tx, rx) = actor_core::chan::rendezvous();
/// let squares = std::thread::spawn(move || rx.into_iter().map(|n: u32| n * n).sum::<u32>());
/// (1..=3).for_each(|n| tx.send_blocking(n).unwrap());
/// drop(tx);
/// assert_eq!(squares.join().unwrap(), 14);
/// ```
impl<T> IntoIterator for Receiver<T> {
    type Item = T;
    type IntoIter = IntoIter<T>;

    fn into_iter(self) -> IntoIter<T> {
        IntoIter { receiver: self }
    }
}

/// Blocking iterator that owns its receiver; dropping it drops the receiver.
#[derive(Debug)]
pub struct IntoIter<T> {
    receiver: Receiver<T>,
}

impl<T> IntoIter<T> {
    /// The receiver, with whatever was not iterated over.
    pub fn into_inner(self) -> Receiver<T> {
        self.receiver
    }
}

impl<T> Iterator for IntoIter<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.receiver.recv_blocking()
    }
}
