//! The disk, as the log sees it: what kvd needs of a file system, and no more.
//!
//! [`Files`] is the operating system's; [`SimDisk`] is one in memory that loses what was not synced
//! when it is told that the machine went down. The actors hold a `dyn Disk` and can't tell.
//!
//! - Nothing is durable before its sync: not what was appended, not a cut, not a file's name (that
//!   takes [`Disk::sync_dir`]).
//! - After a failed sync nothing is known of what was written since the last one that succeeded, and
//!   a later one that succeeds does not say otherwise: the system may have dropped it.
//! - One open file at a time, locked against other processes.
//!
//! The futures are boxed because the trait has to be a `dyn`: one allocation per group commit, beside
//! a write to the disk.

mod files;
mod sim;

pub(crate) use sim::{DiskOp, Failure, Fate, SimDisk};

pub(crate) use files::Files;

use std::fmt;
use std::future::Future;
use std::io::{self, BufRead, Seek};
use std::path::Path;
use std::pin::Pin;

/// What a disk's operations give.
pub(crate) type DiskFuture<'a, T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send + 'a>>;

/// A file's contents, to be read forwards and skipped through.
pub(crate) trait Contents: BufRead + Seek {}

impl<T: BufRead + Seek + ?Sized> Contents for T {}

/// What is done with a file's contents; it is told their length.
pub(crate) type Visit<'a> =
    &'a mut (dyn FnMut(&mut dyn Contents, u64) -> io::Result<()> + Send + 'a);

/// Where files are kept.
pub(crate) trait Disk: fmt::Debug + Send + Sync {
    /// Makes a folder, and those above it.
    fn make_dir<'a>(&'a self, dir: &'a Path) -> DiskFuture<'a, ()>;

    /// Opens a file to be appended to, makes it if it is missing, and locks it. Fails with
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) while somebody else has it open.
    fn open<'a>(&'a self, path: &'a Path) -> DiskFuture<'a, Box<dyn DiskFile>>;

    /// Shows `visit` the contents of a file, as they are now, synced or not.
    fn read<'a>(&'a self, path: &'a Path, visit: Visit<'a>) -> DiskFuture<'a, ()>;

    /// Copies what lies behind `from` in one file into another, synced with its name. Nothing
    /// happens when nothing lies there.
    fn keep_aside<'a>(&'a self, path: &'a Path, from: u64, aside: &'a Path) -> DiskFuture<'a, ()>;

    /// Writes what lies behind `from` once more as it is, so that the next sync has to write it, too,
    /// whatever became of those before.
    fn rewrite<'a>(&'a self, path: &'a Path, from: u64) -> DiskFuture<'a, ()>;

    /// Makes the names in the folder of `path` durable.
    fn sync_dir<'a>(&'a self, path: &'a Path) -> DiskFuture<'a, ()>;
}

/// An open file; closed and unlocked by its drop, which syncs nothing.
pub(crate) trait DiskFile: fmt::Debug + Send {
    /// Appends all of `bytes`. If that fails, any part of them may have been appended.
    fn append<'a>(&'a mut self, bytes: &'a [u8]) -> DiskFuture<'a, ()>;

    /// Makes what was appended and cut before durable.
    fn sync(&mut self) -> DiskFuture<'_, ()>;

    /// Cuts the file to `len` bytes.
    fn truncate(&mut self, len: u64) -> DiskFuture<'_, ()>;
}
