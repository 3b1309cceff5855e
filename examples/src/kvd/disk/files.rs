//! The operating system's files.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, ErrorKind, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use actor_core::blocking;
use rustix::fs::{FlockOperation, flock};

use super::{Disk, DiskFile, DiskFuture, Visit};

const READ_BYTES: usize = 256 << 10;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Files {
    /// Whether an append lets others run meanwhile. When each is synced, the disk is waited for
    /// anyway; to the page cache it is quicker to write than to hand over.
    pub(crate) hand_over: bool,
}

#[derive(Debug)]
struct OpenFile {
    file: File,
    hand_over: bool,
}

impl Disk for Files {
    fn make_dir<'a>(&'a self, dir: &'a Path) -> DiskFuture<'a, ()> {
        Box::pin(async move { blocking(|| fs::create_dir_all(dir)) })
    }

    fn open<'a>(&'a self, path: &'a Path) -> DiskFuture<'a, Box<dyn DiskFile>> {
        let open = move || {
            let file = File::options()
                .read(true)
                .append(true)
                .create(true)
                .open(path)?;
            flock(&file, FlockOperation::NonBlockingLockExclusive)
                .map_err(|_| io::Error::new(ErrorKind::WouldBlock, "another daemon uses it"))?;
            Ok::<_, io::Error>(file)
        };
        Box::pin(async move {
            let (file, hand_over) = (blocking(open)?, self.hand_over);
            Ok(Box::new(OpenFile { file, hand_over }) as Box<dyn DiskFile>)
        })
    }

    fn read<'a>(&'a self, path: &'a Path, visit: Visit<'a>) -> DiskFuture<'a, ()> {
        let read = move || {
            let file = File::open(path)?;
            let len = file.metadata()?.len();
            visit(&mut BufReader::with_capacity(READ_BYTES, file), len)
        };
        Box::pin(async move { blocking(read) })
    }

    fn keep_aside<'a>(&'a self, path: &'a Path, from: u64, aside: &'a Path) -> DiskFuture<'a, ()> {
        let copy = move || {
            let mut tail = BufReader::new(File::open(path)?);
            tail.seek(SeekFrom::Start(from))?;
            if tail.fill_buf()?.is_empty() {
                return Ok(());
            }
            let mut copy = File::create(aside)?;
            io::copy(&mut tail, &mut copy)?;
            copy.sync_all()?;
            sync_folder_of(aside)
        };
        Box::pin(async move { blocking(copy) })
    }

    fn rewrite<'a>(&'a self, path: &'a Path, from: u64) -> DiskFuture<'a, ()> {
        let rewrite = move || {
            let file = File::options().read(true).write(true).open(path)?;
            let (mut at, mut bytes) = (from, vec![0; READ_BYTES]);
            loop {
                let len = file.read_at(&mut bytes, at)?;
                if len == 0 {
                    return Ok(());
                }
                file.write_all_at(&bytes[..len], at)?;
                at += len as u64;
            }
        };
        Box::pin(async move { blocking(rewrite) })
    }

    fn sync_dir<'a>(&'a self, path: &'a Path) -> DiskFuture<'a, ()> {
        Box::pin(async move { blocking(|| sync_folder_of(path)) })
    }
}

impl DiskFile for OpenFile {
    fn append<'a>(&'a mut self, bytes: &'a [u8]) -> DiskFuture<'a, ()> {
        Box::pin(async move {
            if self.hand_over {
                blocking(|| self.file.write_all(bytes))
            } else {
                self.file.write_all(bytes)
            }
        })
    }

    fn sync(&mut self) -> DiskFuture<'_, ()> {
        Box::pin(async move { blocking(|| self.file.sync_data()) })
    }

    fn truncate(&mut self, len: u64) -> DiskFuture<'_, ()> {
        Box::pin(async move { blocking(|| self.file.set_len(len)) })
    }
}

fn sync_folder_of(path: &Path) -> io::Result<()> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
    File::open(dir.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actor_core::test]
    async fn what_lies_behind_an_offset_is_kept_aside_and_nothing_makes_no_file() {
        let dir = tempfile::tempdir().expect("a folder");
        let (path, aside) = (dir.path().join("log"), dir.path().join("aside"));
        fs::write(&path, b"goodbad").expect("written");
        let disk = Files { hand_over: true };
        disk.keep_aside(&path, 7, &aside).await.expect("nothing");
        assert!(!aside.exists());
        disk.keep_aside(&path, 4, &aside).await.expect("copied");
        assert_eq!(fs::read(&aside).expect("read"), b"bad");
        let mut file = disk.open(&path).await.expect("opened");
        file.truncate(4).await.expect("cut");
        file.append(b"!").await.expect("appended");
        file.sync().await.expect("synced");
        disk.rewrite(&path, 2).await.expect("rewritten");
        assert_eq!(fs::read(&path).expect("read"), b"good!");
    }

    #[actor_core::test]
    async fn a_file_is_open_once_until_it_is_dropped() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("log");
        let disk = Files { hand_over: false };
        let file = disk.open(&path).await.expect("opened");
        let error = disk.open(&path).await.expect_err("locked");
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        drop(file);
        disk.open(&path).await.expect("opened again");
    }
}
