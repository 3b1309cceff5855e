//! Pools of byte buffers, one per size class.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::OnceLock;

use super::{Pool, Pooled};

/// Classes are powers of two from `2^CLASS_MIN_LOG2` to `2^CLASS_MAX_LOG2` bytes.
const CLASS_MIN_LOG2: u32 = 8;
const CLASS_MAX_LOG2: u32 = 20;
const CLASSES: usize = (CLASS_MAX_LOG2 - CLASS_MIN_LOG2 + 1) as usize;

/// Recycles byte buffers by size class: for I/O and message payloads. Clones are the same pool.
///
/// What Go programs build from a `sync.Pool` per size. Classes are the powers of two from 256 bytes
/// to 1 MiB; a larger buffer is made and freed as any other. How many are kept, and how long, is as in
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
    /// Made when they are first needed.
    classes: std::sync::Arc<[OnceLock<Pool<Vec<u8>>>; CLASSES]>,
}

fn pool_of(size: usize) -> Pool<Vec<u8>> {
    let make = move || Vec::with_capacity(size);
    let reset = move |bytes: &mut Vec<u8>| {
        bytes.clear();
        if bytes.capacity() > 2 * size || bytes.capacity() < size {
            *bytes = make(); // grown by its user, or taken: back to the class
        }
    };
    Pool::with_reset(make, reset)
}

impl BufPool {
    /// A pool without buffers; they are made as they are needed.
    pub fn new() -> Self {
        Self {
            classes: std::sync::Arc::new([const { OnceLock::new() }; CLASSES]),
        }
    }

    /// An empty buffer with room for at least `capacity` bytes. It goes back when it is dropped; if
    /// it grew beyond twice its class, fresh memory of the class takes its place.
    pub fn get(&self, capacity: usize) -> PooledBuf {
        let class = capacity
            .checked_next_power_of_two()
            .map(|size| size.trailing_zeros().saturating_sub(CLASS_MIN_LOG2) as usize);
        let class = class.and_then(|class| Some((class, self.classes.get(class)?)));
        PooledBuf(match class {
            Some((class, pool)) => {
                let pool = pool.get_or_init(|| pool_of(1 << (CLASS_MIN_LOG2 as usize + class)));
                Buf::Pooled(pool.get())
            }
            None => Buf::Large(Vec::with_capacity(capacity)),
        })
    }

    /// How many buffers are kept for the next user. A moment's view.
    pub fn idle(&self) -> usize {
        self.made().map(Pool::idle).sum()
    }

    /// Ages every class by one round: see [`Pool::age`].
    pub fn age(&self) {
        self.made().for_each(Pool::age);
    }

    fn made(&self) -> impl Iterator<Item = &Pool<Vec<u8>>> {
        self.classes.iter().filter_map(OnceLock::get)
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
