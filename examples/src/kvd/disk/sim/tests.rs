//! What the simulated disk promises; among others that it is as bad as it says.

use proptest::prelude::*;

use super::*;

const PATH: &str = "dir/log";

/// A crash that keeps no write that it need not keep.
fn worst(_: usize) -> usize {
    0
}

/// A crash that keeps all writes.
fn best(bound: usize) -> usize {
    bound - 1
}

impl SimDisk {
    /// What a reader of the file sees.
    fn contents(&self, path: &str) -> Option<Vec<u8>> {
        let state = self.state();
        Some(state.files.get(Path::new(path))?.cached.clone())
    }

    /// What a crash can't take from the file.
    fn durable(&self, path: &str) -> Option<Vec<u8>> {
        let state = self.state();
        let file = state.files.get(Path::new(path))?;
        file.name_is_durable.then(|| file.durable.clone())
    }
}

async fn open(disk: &SimDisk) -> Box<dyn DiskFile> {
    let file = disk.open(PATH.as_ref()).await.expect("opened");
    disk.sync_dir(PATH.as_ref()).await.expect("synced");
    file
}

async fn read(disk: &SimDisk) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut visit = |contents: &mut dyn super::super::Contents, len: u64| {
        contents.read_to_end(&mut bytes)?;
        assert_eq!(bytes.len() as u64, len);
        Ok(())
    };
    disk.read(PATH.as_ref(), &mut visit).await.expect("read");
    bytes
}

#[actor_core::test]
async fn what_was_synced_survives_and_what_was_not_may_be_lost() {
    let disk = SimDisk::new();
    let mut file = open(&disk).await;
    file.append(b"safe").await.expect("appended");
    file.sync().await.expect("synced");
    file.append(b" lost").await.expect("appended");
    assert_eq!(read(&disk).await, b"safe lost", "a reader sees both");
    assert_eq!(disk.durable(PATH).as_deref(), Some(&b"safe"[..]));
    disk.crash(worst);
    assert_eq!(read(&disk).await, b"safe");
}

#[actor_core::test]
async fn what_was_not_synced_may_be_kept_too() {
    let disk = SimDisk::new();
    let mut file = open(&disk).await;
    file.append(b"a").await.expect("appended");
    file.append(b"b").await.expect("appended");
    disk.crash(best);
    assert_eq!(read(&disk).await, b"ab");
}

#[actor_core::test]
async fn a_write_is_torn_at_every_byte_for_some_number() {
    for kept in 0..=4 {
        let disk = SimDisk::new();
        let mut file = open(&disk).await;
        file.append(b"data").await.expect("appended");
        // No whole write; `kept` bytes of the next (bound 5); no zeros.
        disk.crash(|bound| match bound {
            5 => kept,
            4 => 3,
            _ => 0,
        });
        assert_eq!(read(&disk).await, b"data"[..kept]);
    }
}

#[actor_core::test]
async fn a_cut_is_undone_by_a_crash_until_it_is_synced() {
    let disk = SimDisk::new();
    let mut file = open(&disk).await;
    file.append(b"data").await.expect("appended");
    file.sync().await.expect("synced");
    file.truncate(2).await.expect("cut");
    assert_eq!(read(&disk).await, b"da");
    disk.crash(worst);
    assert_eq!(read(&disk).await, b"data");
    let mut file = open(&disk).await;
    file.truncate(2).await.expect("cut");
    file.sync().await.expect("synced");
    disk.crash(worst);
    assert_eq!(read(&disk).await, b"da");
}

#[actor_core::test]
async fn a_file_whose_folder_was_not_synced_may_be_gone() {
    let disk = SimDisk::new();
    let mut file = disk.open(PATH.as_ref()).await.expect("opened");
    file.append(b"data").await.expect("appended");
    file.sync().await.expect("synced");
    assert_eq!(disk.durable(PATH), None);
    disk.crash(|_| 1);
    assert_eq!(disk.contents(PATH), None);
}

#[actor_core::test]
async fn what_a_failed_sync_dropped_is_never_safe() {
    let mut syncs = 0;
    let disk = SimDisk::with_fates(move |op| {
        syncs += usize::from(op == DiskOp::Sync);
        let failure = (op == DiskOp::Sync && syncs == 1).then_some(Failure {
            kind: ErrorKind::Other,
            after_bytes: 0,
        });
        Fate {
            failure,
            ..Fate::default()
        }
    });
    let mut file = open(&disk).await;
    file.append(b"lost").await.expect("appended");
    assert!(file.sync().await.is_err());
    file.append(b"safe").await.expect("appended");
    file.sync().await.expect("the system says so");
    assert_eq!(read(&disk).await, b"lostsafe", "as long as it runs");
    disk.crash(best);
    assert_eq!(read(&disk).await, b"\0\0\0\0safe");
}

#[actor_core::test]
async fn what_a_failed_sync_dropped_is_safe_once_it_is_written_again_and_synced() {
    let mut fails = true;
    let disk = SimDisk::with_fates(move |op| Fate {
        failure: (op == DiskOp::Sync && std::mem::take(&mut fails)).then_some(Failure {
            kind: ErrorKind::Other,
            after_bytes: 0,
        }),
        ..Fate::default()
    });
    let mut file = open(&disk).await;
    file.append(b"data").await.expect("appended");
    assert!(file.sync().await.is_err());
    disk.rewrite(PATH.as_ref(), 1).await.expect("rewritten");
    file.sync().await.expect("synced");
    disk.crash(worst);
    assert_eq!(read(&disk).await, b"\0ata", "as far as it was");
}

#[actor_core::test]
async fn an_append_that_fails_has_written_a_part() {
    let disk = SimDisk::with_fates(|op| Fate {
        failure: (op == DiskOp::Append(4)).then_some(Failure {
            kind: ErrorKind::StorageFull,
            after_bytes: 3,
        }),
        ..Fate::default()
    });
    let mut file = open(&disk).await;
    let error = file.append(b"data").await.expect_err("full");
    assert_eq!(error.kind(), ErrorKind::StorageFull);
    assert_eq!(read(&disk).await, b"dat");
}

#[actor_core::test]
async fn a_handle_of_another_life_does_nothing() {
    let disk = SimDisk::new();
    let mut old = open(&disk).await;
    disk.crash(worst);
    let mut new = open(&disk).await;
    assert!(old.append(b"ghost").await.is_err());
    assert!(old.truncate(0).await.is_err() && old.sync().await.is_err());
    drop(old);
    let error = disk.open(PATH.as_ref()).await.expect_err("still locked");
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    new.append(b"data").await.expect("appended");
    disk.kill();
    assert_eq!(
        read(&disk).await,
        b"data",
        "a dead process takes nothing with it"
    );
    assert_eq!(disk.durable(PATH).as_deref(), Some(&b""[..]));
}

#[actor_core::test]
async fn an_operation_that_is_dropped_in_its_delay_did_nothing() {
    let disk = SimDisk::with_fates(|op| Fate {
        delay: match op {
            DiskOp::Append(_) => Duration::MAX,
            _ => Duration::ZERO,
        },
        ..Fate::default()
    });
    let mut file = open(&disk).await;
    let mut append = file.append(b"data");
    let pending =
        std::future::poll_fn(|cx| std::task::Poll::Ready(append.as_mut().poll(cx).is_pending()));
    assert!(pending.await);
    drop(append);
    assert_eq!(read(&disk).await, b"");
}

#[derive(Clone, Debug)]
enum Step {
    Append(Vec<u8>),
    Cut(usize),
    Rewrite(usize),
    Sync,
    FailSync,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => proptest::collection::vec(1_u8.., 1..9).prop_map(Step::Append),
        1 => (0..30_usize).prop_map(Step::Cut),
        1 => (0..30_usize).prop_map(Step::Rewrite),
        2 => Just(Step::Sync),
        1 => Just(Step::FailSync),
    ];
    proptest::collection::vec(step, 0..12)
}

proptest! {
    /// Whatever is done and whatever is left, each byte after a crash is one that was written at its
    /// place or zero, and nothing that was safe is missing unless it was cut.
    #[test]
    fn a_crash_leaves_the_durable_bytes_and_a_part_of_the_rest(
        steps in steps(),
        draws in proptest::collection::vec(any::<usize>(), 1..20),
    ) {
        let mut file = SimFile::default();
        let (mut shortest, mut written) = (0, Vec::<Vec<u8>>::new());
        for step in steps {
            match step {
                Step::Append(bytes) => {
                    for (i, &byte) in bytes.iter().enumerate() {
                        let at = file.cached.len() + i;
                        written.resize(written.len().max(at + 1), Vec::new());
                        written[at].push(byte);
                    }
                    file.append(&bytes);
                }
                Step::Cut(len) => {
                    let len = len.min(file.cached.len());
                    file.truncate(len);
                    shortest = shortest.min(len);
                }
                Step::Rewrite(from) => file.rewrite(from),
                Step::Sync => {
                    file.sync();
                    shortest = file.durable.len();
                }
                Step::FailSync => file.writes.clear(),
            }
        }
        let safe = file.durable[..shortest.min(file.durable.len())].to_vec();
        let mut draws = draws.into_iter().cycle();
        file.crash(&mut |bound| draws.next().expect("endless") % bound);
        prop_assert_eq!(&file.cached, &file.durable);
        prop_assert!(file.writes.is_empty());
        prop_assert!(file.cached.len() >= safe.len(), "{:?} cut", safe);
        for (at, &byte) in safe.iter().enumerate() {
            // A hole that a failed sync has left may have been filled by a rewrite.
            prop_assert!(byte == 0 || file.cached[at] == byte, "{:?} lost", safe);
        }
        for (at, &byte) in file.cached.iter().enumerate() {
            let known = written.get(at).is_some_and(|bytes| bytes.contains(&byte));
            prop_assert!(byte == 0 || known, "byte {} at {}", byte, at);
        }
    }
}
