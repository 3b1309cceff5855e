//! The append-only file's format: writing records, and reading them back up to the first bad one.
//!
//! ```text
//! "kvd-aof1"  record*                                   all numbers little-endian
//! record = length u32 | crc32 u32 | key hash u32 | payload: a command as a RESP array
//!          of the payload       of key hash and payload
//! ```
//!
//! - A record is whole when its length fits the file and its checksum is right. The first that is
//!   not ends the log: what follows is cut off (and kept aside), its offset reported.
//! - The key hash lets a shard that rebuilds itself skip the records of others without parsing
//!   them. It does not depend on the number of shards, which may change from one start to the next.
//! - The reader trusts no length: it never reads more than the file holds.

use std::fmt;
use std::io;
use std::path::Path;

use super::disk::Contents;
use super::resp::reply;

/// What a log file begins with.
pub(crate) const MAGIC: &[u8; 8] = b"kvd-aof1";
const HEADER_BYTES: usize = 12;

/// Where a key belongs: FNV-1a, the same in every process and version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeyHash(u32);

impl KeyHash {
    /// Of a record that every shard must read.
    pub(crate) const EVERYONE: Self = Self(u32::MAX);

    pub(crate) fn of(key: &[u8]) -> Self {
        let hash = key.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Self(((hash >> 32) as u32 ^ hash as u32).min(u32::MAX - 1))
    }

    /// The shard of `of` that holds the key.
    pub(crate) fn shard(self, of: usize) -> usize {
        (self.0 % of as u32) as usize
    }

    /// Whether shard `index` of `of` must read this record.
    pub(crate) fn concerns(self, index: usize, of: usize) -> bool {
        self == Self::EVERYONE || self.shard(of) == index
    }
}

/// Appends one record.
pub(crate) fn append<'a>(
    log: &mut Vec<u8>,
    hash: KeyHash,
    words: impl ExactSizeIterator<Item = &'a [u8]>,
) {
    let start = log.len();
    log.extend_from_slice(&[0; HEADER_BYTES]);
    log[start + 8..].copy_from_slice(&hash.0.to_le_bytes());
    reply::bulks(log, words);
    // A request's size limit keeps this below 4 GiB (see the parser).
    let length = (log.len() - start - HEADER_BYTES) as u32;
    log[start..start + 4].copy_from_slice(&length.to_le_bytes());
    let crc = crc32fast::hash(&log[start + 8..]);
    log[start + 4..start + 8].copy_from_slice(&crc.to_le_bytes());
}

/// Why the log ends before the file does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Damage {
    /// The file ends inside a record: it was being written when the machine or process died.
    Torn,
    /// The checksum is wrong.
    Checksum,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Torn => "the last record is incomplete",
            Self::Checksum => "a record's checksum is wrong",
        })
    }
}

/// What reading a log came to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Scan {
    pub(crate) records: u64,
    /// Where the last whole record ends.
    pub(crate) end: u64,
    pub(crate) damage: Option<Damage>,
}

/// Reads the first `len` bytes of a log and gives `each` every whole record; `path` is for the error.
///
/// Records that `wanted` declines are skipped unread, and unchecked.
pub(crate) fn scan(
    reader: &mut dyn Contents,
    len: u64,
    path: &Path,
    wanted: impl Fn(KeyHash) -> bool,
    mut each: impl FnMut(&[u8]),
) -> io::Result<Scan> {
    let mut magic = [0; MAGIC.len()];
    if len < MAGIC.len() as u64 {
        // Died while it was being made: nothing was in it yet.
        let damage = (len > 0).then_some(Damage::Torn);
        return Ok(Scan {
            records: 0,
            end: 0,
            damage,
        });
    }
    reader.read_exact(&mut magic)?;
    if magic != *MAGIC {
        let text = format!(
            "{} is not a kvd log (it does not begin with kvd-aof1)",
            path.display()
        );
        return Err(io::Error::new(io::ErrorKind::InvalidData, text));
    }
    let mut scan = Scan {
        records: 0,
        end: MAGIC.len() as u64,
        damage: None,
    };
    let mut payload = Vec::new();
    while scan.end < len {
        let left = len - scan.end;
        let mut header = [0; HEADER_BYTES];
        if left < HEADER_BYTES as u64 {
            scan.damage = Some(Damage::Torn);
            break;
        }
        reader.read_exact(&mut header)?;
        let word =
            |i: usize| u32::from_le_bytes([header[i], header[i + 1], header[i + 2], header[i + 3]]);
        let (length, crc, hash) = (u64::from(word(0)), word(4), KeyHash(word(8)));
        if left - (HEADER_BYTES as u64) < length {
            scan.damage = Some(Damage::Torn);
            break;
        }
        if wanted(hash) {
            payload.resize(length as usize, 0);
            reader.read_exact(&mut payload)?;
            let mut hasher = crc32fast::Hasher::new();
            hasher.update(&header[8..]);
            hasher.update(&payload);
            if hasher.finalize() != crc {
                scan.damage = Some(Damage::Checksum);
                break;
            }
            each(&payload);
        } else {
            reader.seek_relative(length as i64)?;
        }
        scan.records += 1;
        scan.end += HEADER_BYTES as u64 + length;
    }
    Ok(scan)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Cursor;

    fn records(n: usize) -> Vec<u8> {
        let mut log = MAGIC.to_vec();
        for i in 0..n {
            let (key, value) = (format!("key{i}"), vec![b'v'; i * 7 % 50]);
            append(
                &mut log,
                KeyHash::of(key.as_bytes()),
                [b"SET", key.as_bytes(), &value].into_iter(),
            );
        }
        log
    }

    fn read(bytes: &[u8]) -> (Scan, Vec<Vec<u8>>) {
        let mut payloads = Vec::new();
        let scan = scan(
            &mut Cursor::new(bytes),
            bytes.len() as u64,
            Path::new("log"),
            |_| true,
            |payload| payloads.push(payload.to_vec()),
        );
        (scan.expect("a log"), payloads)
    }

    #[test]
    fn a_log_cut_anywhere_ends_at_its_last_whole_record() {
        let whole = records(6);
        let ends: Vec<usize> = (0..=6).map(|n| records(n).len()).collect();
        for len in 0..=whole.len() {
            let (scan, payloads) = read(&whole[..len]);
            let last = ends.iter().rposition(|&end| end <= len);
            let end = last.map_or(0, |n| ends[n]);
            assert_eq!(scan.end as usize, end, "cut at {len}");
            assert_eq!(payloads.len(), last.unwrap_or(0));
            assert_eq!(scan.damage, (end != len).then_some(Damage::Torn));
        }
    }

    #[test]
    fn a_flipped_bit_is_found_in_every_byte_of_a_record() {
        let good = records(1).len();
        let whole = records(2);
        for at in good..whole.len() {
            for bit in 0..8 {
                let mut bytes = whole.clone();
                bytes[at] ^= 1 << bit;
                let (scan, payloads) = read(&bytes);
                assert_eq!(
                    (scan.end as usize, payloads.len()),
                    (good, 1),
                    "byte {at} bit {bit}"
                );
                assert!(scan.damage.is_some());
            }
        }
    }

    #[test]
    fn another_file_is_not_taken_for_a_log() {
        let bytes = b"REDIS0011 and so on";
        let (mut reader, len) = (Cursor::new(bytes), bytes.len() as u64);
        let error = scan(&mut reader, len, Path::new("x"), |_| true, |_| ()).expect_err("no log");
        assert!(error.to_string().contains("x is not a kvd log"), "{error}");
    }

    proptest! {
        #[test]
        fn garbage_behind_whole_records_never_panics_and_never_counts(
            garbage in proptest::collection::vec(any::<u8>(), 1..100)
        ) {
            let good = records(3);
            let (scan, payloads) = read(&[good.clone(), garbage].concat());
            prop_assert_eq!(scan.end as usize, good.len());
            prop_assert_eq!(payloads.len(), 3);
            prop_assert!(scan.damage.is_some());
        }
    }
}
