//! Pools of byte buffers, one per size class.

use std::fmt;
use std::ops::{Deref, DerefMut};

use super::{Pool, Pooled};

/// Classes are powers of two from `2^CLASS_MIN_LOG2` to `2^CLASS_MAX_LOG2` bytes.
const CLASS_MIN_LOG2: u32 = 8;
const CLASS_MAX_LOG2: u32 = 20;

/// Recycles byte buffers by size class: for I/O and message payloads. Clones are the same pool.
///
/// What Go programs build from a `sync.Pool` per size. Classes are the powers of two from 256 bytes
/// to 1 MiB; a larger buffer is made and freed as any other. How many are kept is bounded as in
/// [`Pool`].
///
/// ```
/// use actor_core::sync::BufPool;
///
/// let pool = BufPool::new();
/// let mut buffer = pool.get(1_000);
/// assert!(buffer.is_empty() && buffer.capacity() >= 1_000);
/// buffer.extend_from_slice(b"hello");
/// ```
#[derive(Clone)]
pub struct BufPool {
    classes: std::sync::Arc<[Pool<Vec<u8>>]>,
}

impl BufPool {
    /// A pool without buffers; they are made as they are needed.
    pub fn new() -> Self {
        let class = |log2: u32| {
            let size = 1_usize << log2;
            let make = move || Vec::with_capacity(size);
            let reset = move |bytes: &mut Vec<u8>| {
                bytes.clear();
                if bytes.capacity() > 2 * size || bytes.capacity() < size {
                    *bytes = make(); // grown by its user, or taken: back to the class
                }
            };
            Pool::with_reset(make, reset)
        };
        Self {
            classes: (CLASS_MIN_LOG2..=CLASS_MAX_LOG2).map(class).collect(),
        }
    }

    /// An empty buffer with room for at least `capacity` bytes. It goes back when it is dropped; if
    /// it grew beyond twice its class, fresh memory of the class takes its place.
    pub fn get(&self, capacity: usize) -> PooledBuf {
        let class = capacity
            .checked_next_power_of_two()
            .map(|size| size.trailing_zeros().saturating_sub(CLASS_MIN_LOG2) as usize);
        PooledBuf(match class.and_then(|class| self.classes.get(class)) {
            Some(class) => Buf::Pooled(class.get()),
            None => Buf::Large(Vec::with_capacity(capacity)),
        })
    }

    /// How many buffers are kept for the next user. A moment's view.
    pub fn idle(&self) -> usize {
        self.classes.iter().map(Pool::idle).sum()
    }
}

impl Default for BufPool {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for BufPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BufPool")
            .field("idle", &self.idle())
            .finish_non_exhaustive()
    }
}

/// A buffer of a [`BufPool`], used as a `Vec<u8>`; dropping it gives the memory back.
pub struct PooledBuf(Buf);

enum Buf {
    Pooled(Pooled<Vec<u8>>),
    Large(Vec<u8>),
}

impl PooledBuf {
    /// Keeps the bytes: the memory does not go back.
    pub fn into_vec(self) -> Vec<u8> {
        match self.0 {
            Buf::Pooled(bytes) => bytes.into_inner(),
            Buf::Large(bytes) => bytes,
        }
    }
}

impl Deref for PooledBuf {
    type Target = Vec<u8>;

    #[inline]
    fn deref(&self) -> &Vec<u8> {
        match &self.0 {
            Buf::Pooled(bytes) => bytes,
            Buf::Large(bytes) => bytes,
        }
    }
}

impl DerefMut for PooledBuf {
    #[inline]
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        match &mut self.0 {
            Buf::Pooled(bytes) => bytes,
            Buf::Large(bytes) => bytes,
        }
    }
}

impl fmt::Debug for PooledBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PooledBuf({} of {} bytes)", self.len(), self.capacity())
    }
}
