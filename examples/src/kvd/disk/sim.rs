//! A disk in memory whose machine can go down.
//!
//! ```text
//!             append, truncate              sync
//!   (caller) ─────────────────► cached ──────────────► durable
//!                                  │                      │
//!                        read sees this        a crash leaves this, and of the
//!                                              writes after it a torn beginning
//! ```
//!
//! - A file has the bytes that a reader sees (`cached`), those that are safe (`durable`), and the
//!   list of writes between the two. A crash applies a random beginning of that list, tears the next
//!   write at a random byte, and may leave zeros in the place of new bytes whose length was written
//!   before their contents.
//! - A failed sync empties the list: what was in it stays readable and never becomes safe, whatever
//!   a later sync says. What Linux does with dirty pages is the same ("fsyncgate").
//! - A file's name is durable by `sync_dir`; until then a crash may lose the file.
//! - Who had a file open when the machine went down has a handle of another life: all it does fails,
//!   and its drop doesn't unlock what was opened since.
//! - Each operation has a [`Fate`]: how long it takes, and whether it fails. It takes effect after its
//!   delay, so one that is dropped before has none. Even without a delay it yields once.
//!
//! All randomness comes from the functions that the caller gives, in an order that doesn't depend on
//! anything else: a seed makes the same crash again.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Cursor, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{Disk, DiskFile, DiskFuture, Visit};

/// What is done to a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum DiskOp {
    /// Opening a file.
    Open,
    /// Reading one.
    Read,
    /// Appending so many bytes.
    Append(usize),
    /// Syncing a file.
    Sync,
    /// Cutting one.
    Truncate,
    /// Copying the end of a file into another.
    KeepAside,
    /// Writing the end of a file again.
    Rewrite,
    /// Syncing a folder.
    SyncDir,
}

/// How an operation fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// The error.
    pub(crate) kind: ErrorKind,
    /// What an append has written by then.
    pub(crate) after_bytes: usize,
}

/// What becomes of an operation. The default is success without a delay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fate {
    /// How long it takes.
    pub(crate) delay: Duration,
    /// Whether it fails then.
    pub(crate) failure: Option<Failure>,
    /// A sync that does nothing, and says that it did.
    pub(crate) is_a_lie: bool,
}

type Fates = Box<dyn FnMut(DiskOp) -> Fate + Send>;

/// A disk in memory; clones are the same disk. See the module.
#[derive(Clone, Default)]
pub(crate) struct SimDisk {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// Apart from the state: it is the caller's code.
    fates: Mutex<Option<Fates>>,
}

#[derive(Debug, Default)]
struct State {
    files: BTreeMap<PathBuf, SimFile>,
    /// How often the disk's user has died; handles of an earlier life are dead.
    life: u64,
}

#[derive(Debug, Default)]
struct SimFile {
    cached: Vec<u8>,
    durable: Vec<u8>,
    /// From `durable` to `cached`, but for what failed syncs dropped.
    writes: Vec<Write>,
    name_is_durable: bool,
    is_open: bool,
}

#[derive(Debug)]
enum Write {
    At(usize, Vec<u8>),
    Cut(usize),
}

impl SimDisk {
    /// An empty disk on which everything succeeds at once.
    #[must_use]
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// An empty disk whose operations do what `fates` says of each.
    #[must_use]
    pub(crate) fn with_fates(fates: impl FnMut(DiskOp) -> Fate + Send + 'static) -> Self {
        let disk = Self::new();
        *lock(&disk.shared.fates) = Some(Box::new(fates));
        disk
    }

    /// The power fails: of what was not synced, `random` decides what is left. It is given a bound
    /// and returns a number below it.
    pub(crate) fn crash(&self, mut random: impl FnMut(usize) -> usize) {
        let mut state = self.state();
        state.die();
        state.files.retain(|_, file| {
            let kept = file.name_is_durable || random(2) == 0;
            if kept {
                file.crash(&mut random);
                // What a machine finds when it comes up again, it will find the next time too.
                file.name_is_durable = true;
            }
            kept
        });
    }

    /// The process dies and the machine goes on: open files are closed, nothing is lost, and
    /// nothing becomes safer than it was.
    pub(crate) fn kill(&self) {
        self.state().die();
    }

    /// Bytes in all files, as readers see them.
    pub(crate) fn len(&self) -> usize {
        self.state()
            .files
            .values()
            .map(|file| file.cached.len())
            .sum()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.shared.state)
    }

    /// Waits for the operation's turn; gives its fate.
    async fn turn(&self, op: DiskOp) -> Fate {
        let fate = lock(&self.shared.fates)
            .as_mut()
            .map_or_else(Fate::default, |fates| fates(op));
        if fate.delay.is_zero() {
            actor_core::yield_now().await;
        } else {
            actor_core::sleep(fate.delay).await;
        }
        fate
    }

    /// An operation that does all or nothing.
    async fn whole<T>(
        &self,
        op: DiskOp,
        effect: impl FnOnce(&mut State) -> io::Result<T>,
    ) -> io::Result<T> {
        match self.turn(op).await.failure {
            Some(failure) => Err(failure.error()),
            None => effect(&mut self.state()),
        }
    }
}

impl fmt::Debug for SimDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("SimDisk")
            .field("files", &state.files.keys())
            .field("life", &state.life)
            .finish()
    }
}

impl Failure {
    fn error(self) -> io::Error {
        io::Error::new(self.kind, "injected")
    }
}

impl State {
    fn die(&mut self) {
        self.life += 1;
        for file in self.files.values_mut() {
            file.is_open = false;
        }
    }

    fn file(&mut self, path: &Path) -> io::Result<&mut SimFile> {
        self.files
            .get_mut(path)
            .ok_or_else(|| ErrorKind::NotFound.into())
    }
}

impl SimFile {
    fn append(&mut self, bytes: &[u8]) {
        self.writes
            .push(Write::At(self.cached.len(), bytes.to_vec()));
        self.cached.extend_from_slice(bytes);
    }

    fn rewrite(&mut self, from: usize) {
        let from = from.min(self.cached.len());
        self.writes
            .push(Write::At(from, self.cached[from..].to_vec()));
    }

    fn truncate(&mut self, len: usize) {
        self.writes.push(Write::Cut(len));
        self.cached.resize(len, 0);
    }

    fn sync(&mut self) {
        for write in std::mem::take(&mut self.writes) {
            write.apply(&mut self.durable);
        }
    }

    fn crash(&mut self, random: &mut impl FnMut(usize) -> usize) {
        let writes = std::mem::take(&mut self.writes);
        let whole = random(writes.len() + 1);
        for (i, mut write) in writes.into_iter().enumerate().take(whole + 1) {
            if let Write::At(at, bytes) = &mut write {
                if i == whole {
                    bytes.truncate(random(bytes.len() + 1));
                }
                let new = self.durable.len().saturating_sub(*at).min(bytes.len());
                let new = &mut bytes[new..];
                if !new.is_empty() && random(4) == 0 {
                    let from = random(new.len());
                    new[from..].fill(0);
                }
            } else if i == whole {
                break;
            }
            write.apply(&mut self.durable);
        }
        self.cached.clone_from(&self.durable);
    }
}

impl Write {
    fn apply(self, bytes: &mut Vec<u8>) {
        match self {
            Self::Cut(len) => bytes.resize(len, 0),
            Self::At(at, new) => {
                // Beyond the end after a failed sync: what should be between is zeros.
                bytes.resize(bytes.len().max(at + new.len()), 0);
                bytes[at..at + new.len()].copy_from_slice(&new);
            }
        }
    }
}

impl Disk for SimDisk {
    fn make_dir<'a>(&'a self, _: &'a Path) -> DiskFuture<'a, ()> {
        Box::pin(async { Ok(()) })
    }

    fn open<'a>(&'a self, path: &'a Path) -> DiskFuture<'a, Box<dyn DiskFile>> {
        Box::pin(self.whole(DiskOp::Open, |state| {
            let file = state.files.entry(path.to_owned()).or_default();
            if std::mem::replace(&mut file.is_open, true) {
                let text = "another daemon uses it";
                return Err(io::Error::new(ErrorKind::WouldBlock, text));
            }
            Ok(Box::new(OpenFile {
                disk: self.clone(),
                path: path.to_owned(),
                life: state.life,
            }) as Box<dyn DiskFile>)
        }))
    }

    fn read<'a>(&'a self, path: &'a Path, visit: Visit<'a>) -> DiskFuture<'a, ()> {
        Box::pin(async move {
            let read = self.whole(DiskOp::Read, |state| Ok(state.file(path)?.cached.clone()));
            let bytes = read.await?;
            let len = bytes.len() as u64;
            visit(&mut Cursor::new(bytes), len)
        })
    }

    fn keep_aside<'a>(&'a self, path: &'a Path, from: u64, aside: &'a Path) -> DiskFuture<'a, ()> {
        Box::pin(self.whole(DiskOp::KeepAside, move |state| {
            let bytes = &state.file(path)?.cached;
            let tail = bytes.get(from as usize..).unwrap_or_default().to_vec();
            if !tail.is_empty() {
                let copy = SimFile {
                    cached: tail.clone(),
                    durable: tail,
                    name_is_durable: true,
                    ..SimFile::default()
                };
                state.files.insert(aside.to_owned(), copy);
            }
            Ok(())
        }))
    }

    fn rewrite<'a>(&'a self, path: &'a Path, from: u64) -> DiskFuture<'a, ()> {
        Box::pin(self.whole(DiskOp::Rewrite, move |state| {
            state.file(path)?.rewrite(from as usize);
            Ok(())
        }))
    }

    fn sync_dir<'a>(&'a self, path: &'a Path) -> DiskFuture<'a, ()> {
        Box::pin(self.whole(DiskOp::SyncDir, |state| {
            let dir = path.parent();
            for (path, file) in &mut state.files {
                file.name_is_durable |= path.parent() == dir;
            }
            Ok(())
        }))
    }
}

/// A handle of one life.
#[derive(Debug)]
struct OpenFile {
    disk: SimDisk,
    path: PathBuf,
    life: u64,
}

impl OpenFile {
    fn with<T>(&self, effect: impl FnOnce(&mut SimFile) -> T) -> io::Result<T> {
        let mut state = self.disk.state();
        if state.life != self.life {
            return Err(io::Error::other("the process that opened this is dead"));
        }
        state.file(&self.path).map(effect)
    }
}

impl DiskFile for OpenFile {
    fn append<'a>(&'a mut self, bytes: &'a [u8]) -> DiskFuture<'a, ()> {
        Box::pin(async move {
            match self.disk.turn(DiskOp::Append(bytes.len())).await.failure {
                None => self.with(|file| file.append(bytes)),
                Some(failure) => {
                    let part = &bytes[..failure.after_bytes.min(bytes.len())];
                    self.with(|file| file.append(part))?;
                    Err(failure.error())
                }
            }
        })
    }

    fn sync(&mut self) -> DiskFuture<'_, ()> {
        Box::pin(async move {
            let fate = self.disk.turn(DiskOp::Sync).await;
            match fate.failure {
                None if fate.is_a_lie => Ok(()),
                None => self.with(SimFile::sync),
                Some(failure) => {
                    self.with(|file| file.writes.clear())?;
                    Err(failure.error())
                }
            }
        })
    }

    fn truncate(&mut self, len: u64) -> DiskFuture<'_, ()> {
        Box::pin(async move {
            match self.disk.turn(DiskOp::Truncate).await.failure {
                None => self.with(|file| file.truncate(len as usize)),
                Some(failure) => Err(failure.error()),
            }
        })
    }
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        // Of an earlier life: nothing of this one's is closed.
        let _ = self.with(|file| file.is_open = false);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
